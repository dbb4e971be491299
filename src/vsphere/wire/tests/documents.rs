//! XML as such.

use crate::vsphere::wire::{Element, Limits, XmlError};

fn parse(text: &str) -> Result<Element, XmlError> {
    Element::parse(text.as_bytes(), Limits::default())
}

#[test]
fn the_type_attribute_is_found_by_namespace() {
    let xsi = "http://www.w3.org/2001/XMLSchema-instance";
    for text in [
        format!(r#"<a xmlns:xsi="{xsi}" xsi:type="Kind"/>"#),
        format!(r#"<a xmlns:odd="{xsi}" xmlns:v="urn:vim25" odd:type=" v:Kind "/>"#),
        format!(r#"<x:a xmlns:x="urn:vim25" xmlns:p1="{xsi}" type="other" p1:type="x:Kind"/>"#),
    ] {
        assert_eq!(parse(&text).expect("it").xsi_type.as_deref(), Some("Kind"), "{text}");
    }
    // The prefix alone means nothing.
    let other = parse(r#"<a xmlns:xsi="urn:other" xsi:type="Kind" type="VirtualMachine">vm-1</a>"#).expect("it");
    assert_eq!(other.xsi_type, None);
    let outer = format!(r#"<a xmlns:xsi="{xsi}"><b xmlns:xsi="urn:other"><c xsi:type="K"/></b><d xsi:type="K"/></a>"#);
    let outer = parse(&outer).expect("it");
    let inner = outer.child("b").and_then(|b| b.child("c")).expect("c");
    assert_eq!((inner.xsi_type.as_deref(), outer.child("d").expect("d").xsi_type.as_deref()), (None, Some("K")));
}

#[test]
fn text_arrives_as_it_was_meant() {
    let text = |document: &str| parse(document).expect(document).text;
    assert_eq!(text("<a>a &lt;b&gt; &amp;amp; &quot;&apos; &#65;&#x42;</a>"), "a <b> &amp; \"' AB");
    assert_eq!(text("<a><![CDATA[<b> & ]]>c</a>"), "<b> & c");
    assert_eq!(
        text("<a>one\r\ntwo\rthree&#13;&#10;</a>"),
        "one\ntwo\nthree\r\n",
        "line ends are made one, references stay"
    );
    assert_eq!(text("\u{feff}<?xml version=\"1.0\"?><!-- c --><a> \n b<!-- c --> c </a>"), " \n b c ");
    assert_eq!(parse("<a>\n  <b/>\n</a>").expect("it").text, "", "blanks between elements");
    assert_eq!(parse("<a>  </a>").expect("it").text, "  ", "blanks that are a value");
    assert_eq!(parse("<a/>trailing").expect("it").name, "a");
}

#[test]
fn what_is_no_document_is_refused() {
    let small = Limits { bytes: 1000, depth: 10, elements: 20 };
    let refused = |document: &[u8]| Element::parse(document, small).expect_err("refused");
    assert_eq!(refused(b""), XmlError::Empty);
    assert_eq!(refused(b"  words  "), XmlError::Empty);
    assert_eq!(refused(b"<a>\xff</a>"), XmlError::NotUtf8 { at: 3 });
    assert_eq!(refused(&[b' '; 1001]), XmlError::TooLarge { limit: 1000 });
    assert_eq!(refused("<a>".repeat(11).as_bytes()), XmlError::TooDeep { limit: 10 });
    assert_eq!(refused(format!("<a>{}</a>", "<b/>".repeat(20)).as_bytes()), XmlError::TooMany { limit: 20 });
    assert_eq!(refused(b"<!DOCTYPE html><html></html>"), XmlError::Doctype);
    for cut in ["<a", "<a>", "<a><b", "<a><b>x</b", "<a><b x=", "<a>x&am", "<a><![CDATA[x"] {
        match refused(cut.as_bytes()) {
            XmlError::Truncated { .. } | XmlError::Malformed { .. } => {}
            other => panic!("{cut}: {other:?}"),
        }
    }
    for broken in ["<a></b>", "<a>&nope;</a>", "<a>&#x110000;</a>", "<a x=1/>", "<a x='1' x='2'/>", "<a><b></a></b>"] {
        assert!(matches!(refused(broken.as_bytes()), XmlError::Malformed { .. }), "{broken}");
    }
}

#[test]
fn what_xml_cannot_carry_is_not_written() {
    for (value, code) in [("a\0", 0), ("\u{1b}[0m", 0x1b), ("\u{ffff}", 0xffff)] {
        let error = Element::new("a").with(Element::text("b", value)).to_xml().expect_err("refused");
        assert_eq!(error, XmlError::Unwritable { element: "b".to_owned(), code });
        assert!(Element::new("a").attr("x", value).to_xml().is_err());
    }
}
