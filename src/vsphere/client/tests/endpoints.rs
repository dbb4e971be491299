//! Addresses, thumbprints, versions, names: texts that users and servers write.

use crate::vsphere::client::names;
use crate::vsphere::client::versions::{agree, offered};
use crate::vsphere::client::{Endpoint, Thumbprint};

#[test]
fn addresses_as_users_write_them() {
    for (text, url, user, password) in [
        ("vc", "https://vc/sdk", "", ""),
        ("vc.example.com:8443", "https://vc.example.com:8443/sdk", "", ""),
        ("https://vc/", "https://vc/sdk", "", ""),
        ("https://vc/sdk/", "https://vc/sdk", "", ""),
        ("http://127.0.0.1:8989/sdk?x=1#y", "http://127.0.0.1:8989/sdk", "", ""),
        ("HTTPS://VC/other", "https://vc/other", "", ""),
        ("user:pass@vc", "https://vc/sdk", "user", "pass"),
        ("https://user@vsphere.local:pa:s@s@vc/sdk", "https://vc/sdk", "user@vsphere.local", "pa:s@s"),
        ("https://user%40vsphere.local:p%3Aw@vc/sdk", "https://vc/sdk", "user@vsphere.local", "p:w"),
        (r"https://DOMAIN\user:100%@vc", "https://vc/sdk", r"DOMAIN\user", "100%"),
        ("https://user:a/b#c?d@vc/sdk", "https://vc/sdk", "user", "a/b#c?d"),
        ("[::1]:989", "https://[::1]:989/sdk", "", ""),
        ("  vc\n", "https://vc/sdk", "", ""),
    ] {
        let endpoint = Endpoint::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let got = (endpoint.url.as_str(), endpoint.username.as_str(), endpoint.password.as_str());
        assert_eq!(got, (url, user, password), "{text}");
    }
    for (text, secret) in [
        ("", "-"),
        ("ftp://user:secret@vc", "secret"),
        ("https://", "-"),
        ("https://user:secret@", "secret"),
        ("user:secret@a b", "secret"),
    ] {
        let error = Endpoint::parse(text).expect_err(text).to_string();
        assert!(!error.contains(secret), "{error}");
    }
    let shown = format!("{:?}", Endpoint::parse("https://user:secret@vc").expect("a URL"));
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn thumbprints_of_both_lengths() {
    let der = b"certificate";
    for print in [Thumbprint::sha1_of(der), Thumbprint::sha256_of(der)] {
        let text = print.to_string();
        for text in [text.clone(), text.to_lowercase(), text.replace(':', ""), format!(" {text}\n")] {
            let read = Thumbprint::parse(&text).expect("a thumbprint");
            assert!(read == print && read.matches(der) && !read.matches(b"other"), "{text}");
        }
    }
    for bad in ["", "AB", "AB:CD", &"0".repeat(39), &"g".repeat(40), &"0".repeat(66), "ä".repeat(20).as_str()] {
        assert!(Thumbprint::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_newest_common_version_is_spoken() {
    let of = |list: &[&str]| agree(&list.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>());
    assert_eq!(of(&["9.0.0.0", "8.0.3.0", "8.0.2.0", "7.0"]).as_deref(), Some("8.0.3.0"));
    assert_eq!(of(&["6.7.3", "6.7", "6.5"]).as_deref(), Some("6.7.3"));
    assert_eq!(of(&["6.10", "6.9"]).as_deref(), Some("6.10"), "numbers, not texts");
    assert_eq!(of(&["dev", "internalVersion"]), None);
    assert!(offered(b"<html><body>no</body></html>").is_empty());
    assert!(offered(b"not XML").is_empty());
}

#[test]
fn names_survive_escapes() {
    for (raw, decoded) in [("a%2fb", "a/b"), ("100%25", "100%"), ("%5C%2F", "\\/"), ("50% off", "50% off"), ("%", "%")]
    {
        assert_eq!(names::decode(raw), decoded);
        assert_eq!(names::decode(&names::encode(decoded)), decoded);
        assert_eq!(names::segments(&format!("/dc/vm/{}", names::segment(decoded))), ["dc", "vm", decoded]);
    }
    assert_eq!(names::encode("50%/\\"), "50%25%2f%5c");
}

proptest::proptest! {
    #[test]
    fn any_name_survives(name in ".*") {
        proptest::prop_assert_eq!(names::decode(&names::encode(&name)), name.clone());
        let path = format!("/{}", names::segment(&name));
        let wanted: Vec<String> = if name.is_empty() { vec![] } else { vec![name] };
        proptest::prop_assert_eq!(names::segments(&path), wanted);
    }

    #[test]
    fn any_address_is_read_or_refused(text in ".*") {
        let _ = Endpoint::parse(&text);
        let _ = Thumbprint::parse(&text);
    }
}
