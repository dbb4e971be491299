//! A tiny HTTP server that answers as each test says: what a vCenter would, or what nobody should.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::vsphere::client::{Endpoint, Thumbprint};
use crate::vsphere::wire::{
    AboutInfo, Element, Fault, Limits, Login, Method, Moref, RetrieveServiceContent, Service, ServiceContent,
    UserSession, fault_document, parse_request, response_document,
};

/// What to do with a request.
pub enum Answer {
    /// An answer with that status, content type, and body.
    Http(u16, &'static str, Vec<u8>),
    /// Bytes as they are, then close.
    Raw(Vec<u8>),
    /// Close without an answer.
    Close,
    /// A piece, again and again, for as long as the client reads.
    Endless(Vec<u8>),
    /// Never answer.
    Hang,
}

/// A request as the server got it.
pub struct Got {
    /// The SOAP method, or `GET path`, `PUT path`.
    pub method: String,
    /// How many of that method came before.
    pub before: usize,
    /// The SOAP body's element.
    pub body: Element,
    /// Header lines and content, for what else a test looks at.
    pub head: String,
    pub content: Vec<u8>,
}

type Handler = Box<dyn Fn(&Got) -> Option<Answer> + Send + Sync>;

/// A running server; it ends with the test's runtime.
pub struct Server {
    pub port: u16,
    pub leaf: Option<CertificateDer<'static>>,
    seen: Arc<Mutex<BTreeMap<String, usize>>>,
}

/// The certificate of a TLS server.
pub struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
    /// The authority, in PEM form; the certificate itself when it has signed itself.
    pub ca_pem: String,
}

impl Certificate {
    /// Self-signed, for those names, valid for those years.
    pub fn self_signed(names: &[&str], years: (i32, i32)) -> Self {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(names).expect("names");
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        let key = rcgen::KeyPair::generate().expect("a key");
        let cert = params.self_signed(&key).expect("a certificate");
        Certificate { chain: vec![cert.der().clone()], key: key.serialize_der(), ca_pem: cert.pem() }
    }

    /// Issued by an authority of its own.
    pub fn issued(names: &[&str]) -> Self {
        let mut authority = rcgen::CertificateParams::new(Vec::<String>::new()).expect("no names");
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        authority.distinguished_name.push(rcgen::DnType::CommonName, "test authority");
        let ca_key = rcgen::KeyPair::generate().expect("a key");
        let ca_pem = authority.self_signed(&ca_key).expect("a certificate").pem();
        let issuer = rcgen::Issuer::new(authority, ca_key);
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let params = rcgen::CertificateParams::new(names).expect("names");
        let key = rcgen::KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &issuer).expect("a certificate");
        Certificate { chain: vec![cert.der().clone()], key: key.serialize_der(), ca_pem }
    }
}

impl Server {
    /// Over plain HTTP; what `handler` leaves open is answered as a vCenter would.
    pub async fn http(handler: impl Fn(&Got) -> Option<Answer> + Send + Sync + 'static) -> Self {
        Self::start(None, Box::new(handler)).await
    }

    /// The same over TLS.
    pub async fn https(
        certificate: &Certificate,
        handler: impl Fn(&Got) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certificate.key.clone()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(certificate.chain.clone(), key)
            .expect("a certificate with its key");
        let mut server = Self::start(Some(TlsAcceptor::from(Arc::new(config))), Box::new(handler)).await;
        server.leaf = certificate.chain.first().cloned();
        server
    }

    async fn start(tls: Option<TlsAcceptor>, handler: Handler) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let seen: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
        let (handler, counts) = (Arc::new(handler), seen.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, handler, counts) = (tls.clone(), handler.clone(), counts.clone());
                tokio::spawn(async move { connection(stream, tls, &handler, &counts).await });
            }
        });
        Server { port, leaf: None, seen }
    }

    /// How to reach it.
    pub fn endpoint(&self) -> Endpoint {
        let scheme = if self.leaf.is_some() { "https" } else { "http" };
        Endpoint::parse(&format!("{scheme}://user:secret@127.0.0.1:{}/sdk", self.port)).expect("a URL")
    }

    pub fn sha1(&self) -> Thumbprint {
        Thumbprint::sha1_of(self.leaf.as_ref().expect("a TLS server"))
    }

    pub fn sha256(&self) -> Thumbprint {
        Thumbprint::sha256_of(self.leaf.as_ref().expect("a TLS server"))
    }

    /// How many requests of a method came.
    pub fn count(&self, method: &str) -> usize {
        self.seen.lock().expect("not poisoned").get(method).copied().unwrap_or_default()
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    handler: &Handler,
    counts: &Mutex<BTreeMap<String, usize>>,
) {
    match tls {
        None => requests(stream, handler, counts).await,
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                requests(stream, handler, counts).await;
            }
        }
    }
}

async fn requests(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    handler: &Handler,
    counts: &Mutex<BTreeMap<String, usize>>,
) {
    while let Some((head, content)) = request(&mut stream).await {
        let line = head.lines().next().unwrap_or_default();
        let soap = line.starts_with("POST").then(|| parse_request(&content, Limits::default()).expect("SOAP").body);
        let mut words = line.split_whitespace();
        let plain = format!("{} {}", words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let method = soap.as_ref().map_or(plain, |body| body.name.clone());
        let before = {
            let mut counts = counts.lock().expect("not poisoned");
            let count = counts.entry(method.clone()).or_default();
            *count += 1;
            *count - 1
        };
        let got = Got { method, before, body: soap.unwrap_or_default(), head, content };
        let answer = handler(&got).unwrap_or_else(|| usual(&got));
        match answer {
            Answer::Http(status, kind, body) => {
                let cookie =
                    if got.method == "Login" { "Set-Cookie: vmware_soap_session=\"abc\"; Path=/\r\n" } else { "" };
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{cookie}Content-Length: {}\r\n\r\n",
                    body.len()
                );
                if stream.write_all(head.as_bytes()).await.is_err() || stream.write_all(&body).await.is_err() {
                    return;
                }
            }
            Answer::Raw(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Answer::Close => return,
            Answer::Endless(piece) => {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n";
                let _ = stream.write_all(head.as_bytes()).await;
                while stream.write_all(&piece).await.is_ok() {}
                return;
            }
            Answer::Hang => std::future::pending::<()>().await,
        }
    }
}

async fn request(stream: &mut (impl AsyncRead + Unpin)) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let mut content = bytes.split_off(end + 4);
    let head = String::from_utf8(bytes).ok()?;
    let length = head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    while content.len() < length.unwrap_or(0) {
        if stream.read_buf(&mut content).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, content))
}

/// A SOAP response.
pub fn soap<M: Method>(returns: &M::Returns) -> Answer {
    let document = response_document(Service::Vim, &M::response(returns)).expect("it can be written");
    Answer::Http(200, "text/xml; charset=utf-8", document.into_bytes())
}

/// A SOAP fault.
pub fn fault(kind: &str, message: &str) -> Answer {
    let document = fault_document(&Fault::new(kind, message)).expect("it can be written");
    Answer::Http(500, "text/xml; charset=utf-8", document.into_bytes())
}

/// What a vCenter answers to what every connection begins with, and to what needs no thought.
fn usual(got: &Got) -> Answer {
    let manager = |kind: &str| Some(Moref::new(kind, kind));
    match got.method.as_str() {
        "GET /sdk/vimServiceVersions.xml" => Answer::Http(
            200,
            "text/xml",
            br#"<?xml version="1.0" encoding="UTF-8" ?>
                <namespaces version="1.0"><namespace><name>urn:vim25</name><version>9.9.0.0</version>
                <priorVersions><version>8.0.2.0</version><version>6.7.3</version></priorVersions></namespace></namespaces>"#
                .to_vec(),
        ),
        "RetrieveServiceContent" => soap::<RetrieveServiceContent>(&ServiceContent {
            root_folder: Moref::new("Folder", "group-d1"),
            property_collector: Moref::new("PropertyCollector", "pc"),
            view_manager: manager("ViewManager"),
            session_manager: manager("SessionManager"),
            guest_operations_manager: manager("GuestOperationsManager"),
            about: AboutInfo {
                api_type: "VirtualCenter".to_owned(),
                api_version: "8.0.2.0".to_owned(),
                ..AboutInfo::default()
            },
            ..ServiceContent::default()
        }),
        "Login" => soap::<Login>(&UserSession::default()),
        other => {
            let response = response_document(Service::Vim, &Element::new(format!("{other}Response"))).expect("it can be written");
            Answer::Http(200, "text/xml", response.into_bytes())
        }
    }
}
