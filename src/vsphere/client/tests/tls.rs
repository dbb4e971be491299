//! Certificates: which are accepted, and what is said about the others.

use super::server::{Answer, Certificate, Server, soap};
use super::{connect, failure, soon};
use crate::vsphere::client::{Client, Endpoint, Error, GuestAuth, Source, Thumbprint, TlsKind};
use crate::vsphere::wire::{
    Any, DynamicProperty, FileTransferInformation, GuestFileAttributes, InitiateFileTransferFromGuest,
    InitiateFileTransferToGuest, Moref, ObjectContent, RetrievePropertiesEx, RetrieveResult,
};

const NOW: (i32, i32) = (2020, 4000);

async fn with(server: &Server, change: impl FnOnce(&mut Endpoint)) -> Result<(), Error> {
    let mut endpoint = server.endpoint();
    change(&mut endpoint);
    let client = Client::connect(endpoint, soon()).await?;
    client.logout().await
}

fn kind_of(error: &Error) -> (TlsKind, String) {
    match error {
        Error::Tls { kind, presented, .. } => (*kind, presented.clone().unwrap_or_default()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_unknown_authority_is_refused_unless_pinned_or_trusted() {
    for certificate in [Certificate::self_signed(&["127.0.0.1"], NOW), Certificate::issued(&["127.0.0.1"])] {
        let server = Server::https(&certificate, |_| None).await;
        let error = failure(&server).await;
        assert_eq!(kind_of(&error), (TlsKind::UnknownAuthority, server.sha256().to_string()));
        let diagnostic = error.diagnostic();
        assert_eq!(diagnostic.code.number, 705);
        assert!(diagnostic.notes.iter().any(|n| n.contains(&server.sha256().to_string())), "{diagnostic:?}");

        with(&server, |e| e.trust.thumbprints = vec![server.sha1()]).await.expect("pinned by SHA-1");
        with(&server, |e| e.trust.thumbprints = vec![server.sha256()]).await.expect("pinned by SHA-256");
        with(&server, |e| e.trust.ca_pem = certificate.ca_pem.clone().into()).await.expect("a trusted authority");
        with(&server, |e| e.trust.insecure = true).await.expect("anything goes");
        let other = Thumbprint::sha256_of(b"another");
        let error = with(&server, |e| e.trust.thumbprints = vec![other]).await.expect_err("another certificate");
        assert_eq!(kind_of(&error).0, TlsKind::ThumbprintMismatch);
        assert_eq!(error.diagnostic().code.number, 708);
    }
}

#[tokio::test]
async fn an_authority_that_is_only_called_as_the_trusted_one_is_unknown() {
    let (certificate, renewed) = (Certificate::issued(&["127.0.0.1"]), Certificate::issued(&["127.0.0.1"]));
    let server = Server::https(&certificate, |_| None).await;
    let error = with(&server, |e| e.trust.ca_pem = renewed.ca_pem.clone().into()).await.expect_err("another key");
    assert_eq!(kind_of(&error), (TlsKind::UnknownAuthority, server.sha256().to_string()));
    let pinned = |e: &mut Endpoint| {
        e.trust.ca_pem = renewed.ca_pem.clone().into();
        e.trust.thumbprints = vec![server.sha256()];
    };
    with(&server, pinned).await.expect("pinned");
}

#[tokio::test]
async fn another_name_is_refused_unless_pinned() {
    let certificate = Certificate::issued(&["vc.example.com"]);
    let server = Server::https(&certificate, |_| None).await;
    let trusted = |e: &mut Endpoint| e.trust.ca_pem = certificate.ca_pem.clone().into();
    let error = with(&server, trusted).await.expect_err("another name");
    assert_eq!(kind_of(&error).0, TlsKind::NameMismatch);
    with(&server, |e| {
        trusted(e);
        e.trust.thumbprints = vec![server.sha256()];
    })
    .await
    .expect("pinned");
}

#[tokio::test]
async fn an_expired_certificate_is_refused_even_when_pinned() {
    for years in [(2000, 2001), (3999, 4000)] {
        let server = Server::https(&Certificate::self_signed(&["127.0.0.1"], years), |_| None).await;
        let error = with(&server, |e| e.trust.thumbprints = vec![server.sha256()]).await.expect_err("expired");
        assert_eq!(kind_of(&error).0, TlsKind::Expired);
        with(&server, |e| e.trust.insecure = true).await.expect("anything goes");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_named() {
    let server = Server::http(|_| Some(Answer::Close)).await;
    let endpoint = Endpoint::parse(&format!("https://127.0.0.1:{}", server.port)).expect("a URL");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            use tokio::io::AsyncWriteExt;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let mut plain = endpoint;
    plain.url.set_port(Some(port)).expect("a port");
    let error = Client::connect(plain, soon()).await.map(|_| ()).expect_err("no TLS");
    assert_eq!(kind_of(&error).0, TlsKind::Other);
    assert!(error.to_string().contains("doesn't speak TLS"), "{error}");
}

#[tokio::test]
async fn a_ca_file_without_certificates_is_refused() {
    let server = Server::http(|_| None).await;
    let error = with(&server, |e| e.trust.ca_pem = b"no certificate".to_vec()).await.expect_err("no certificate");
    assert!(matches!(error, Error::Usage(_)), "{error:?}");
}

/// A vCenter that hands out URLs on another host, whose certificate it knows.
async fn vcenter(host: &Server, thumbprint: String) -> Server {
    let port = host.port;
    Server::http(move |got| {
        let url = format!("https://127.0.0.1:{port}/guestFile?id=1&token=secret");
        let property = |kind: &str, id: &str, name: &str, val: Any| {
            let prop_set = vec![DynamicProperty { name: name.to_owned(), val }];
            let objects = vec![ObjectContent { obj: Moref::new(kind, id), prop_set, missing_set: Vec::new() }];
            soap::<RetrievePropertiesEx>(&Some(RetrieveResult { token: None, objects }))
        };
        let spec = String::from_utf8_lossy(&got.content).into_owned();
        match got.method.as_str() {
            "RetrievePropertiesEx" if spec.contains("fileManager") => {
                let manager = Any::of(&Moref::new("GuestFileManager", "files"));
                Some(property("GuestOperationsManager", "GuestOperationsManager", "fileManager", manager))
            }
            "RetrievePropertiesEx" if spec.contains("runtime.host") => {
                let host = Any::of(&Moref::new("HostSystem", "host-1"));
                Some(property("VirtualMachine", "vm-1", "runtime.host", host))
            }
            "RetrievePropertiesEx" => {
                let thumbprint = Any::of(&thumbprint);
                Some(property("HostSystem", "host-1", "summary.config.sslThumbprint", thumbprint))
            }
            "InitiateFileTransferToGuest" => Some(soap::<InitiateFileTransferToGuest>(&url)),
            "InitiateFileTransferFromGuest" => {
                let info = FileTransferInformation { url, size: 5, ..FileTransferInformation::default() };
                Some(soap::<InitiateFileTransferFromGuest>(&info))
            }
            _ => None,
        }
    })
    .await
}

#[tokio::test]
async fn transfers_trust_the_host_that_vcenter_vouches_for() {
    let esxi = Server::https(&Certificate::self_signed(&["esxi"], NOW), |got| {
        let head = got.head.to_ascii_lowercase();
        match got.method.split(' ').next() {
            Some("PUT") => {
                assert!(head.contains("content-length: 5") && !head.contains("transfer-encoding"), "{head}");
                assert!(head.contains("application/octet-stream"), "{head}");
                assert!(!head.contains("cookie") && !head.contains("authorization"), "{head}");
                let status = if got.before == 0 { 500 } else { 201 };
                Some(Answer::Http(status, "text/plain", Vec::new()))
            }
            _ if got.before == 0 => Some(Answer::Http(200, "x", b"hello".to_vec())),
            _ => Some(Answer::Http(200, "x", b"hel".to_vec())),
        }
    })
    .await;
    let server = vcenter(&esxi, esxi.sha1().to_string()).await;
    let client = connect(&server).await;
    let auth = GuestAuth { username: "root".into(), password: "p".into() };
    let guest = client.guest(&Moref::new("VirtualMachine", "vm-1"), auth.clone());
    let source = Source::Bytes("hello".into());
    guest.upload("/f", &source, GuestFileAttributes::default(), false, soon()).await.expect("at the second try");
    assert_eq!(server.count("InitiateFileTransferToGuest"), 2, "a new URL for a new try");
    let download = guest.download("/f", soon()).await.expect("a download");
    assert_eq!(download.size(), 5);
    assert_eq!(download.bytes(5).await.expect("all of it"), "hello");
    let short = guest.download("/f", soon()).await.expect("a download").bytes(5).await.expect_err("it ends early");
    assert!(short.to_string().contains("3 of 5 bytes"), "{short}");

    // A host that shows another certificate than vCenter knows.
    let server = vcenter(&esxi, Thumbprint::sha1_of(b"another").to_string()).await;
    let client = connect(&server).await;
    let guest = client.guest(&Moref::new("VirtualMachine", "vm-1"), auth);
    let error = guest.download("/f", soon()).await.map(|_| ()).expect_err("not trusted");
    let address = format!("127.0.0.1:{}", esxi.port);
    match &error {
        Error::Transfer { address: at, connection: Some(inner), .. } => {
            assert_eq!((at, kind_of(inner).0), (&address, TlsKind::ThumbprintMismatch));
        }
        other => panic!("{other:?}"),
    }
    let diagnostic = error.diagnostic();
    assert_eq!(diagnostic.code.number, 861);
    assert!(diagnostic.help.as_deref().is_some_and(|h| h.contains(&address)), "{diagnostic:?}");
    assert!(!format!("{diagnostic:?}").contains("secret"), "a transfer's URL is a key");
}
