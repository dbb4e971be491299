//! A connection made only to see whether it can be made, step by step.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::endpoint::{Deadline, Thumbprint, Trust};
use super::error::{ConnectKind, Error, Result, TlsKind};
use super::tls::Verifier;
use crate::diagnostic::text;

/// What a server showed, and was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// `TLS 1.3`.
    pub protocol: String,
    /// The certificate's SHA-256.
    pub sha256: String,
    /// Its SHA-1.
    pub sha1: String,
}

/// Looks a name up, connects to the first of its addresses that accepts, and shakes hands. `told` hears of each step
/// that was done: the addresses, then the one that accepted.
///
/// # Errors
/// As connecting for real.
pub async fn probe(
    host: &str,
    port: u16,
    trust: Option<&Trust>,
    deadline: Deadline,
    told: &mut (dyn FnMut(&[SocketAddr]) + Send),
) -> Result<Option<Certificate>> {
    let address = format!("{host}:{port}");
    let failed = |kind, detail: String| Error::Connect { address: address.clone(), kind, detail, lost_reply: false };
    let late = || failed(ConnectKind::TimedOut, format!("no answer in {}", text::limit(deadline.allowed())));
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let found = tokio::time::timeout_at(deadline.instant(), tokio::net::lookup_host((bare.as_str(), port))).await;
    let found: Vec<SocketAddr> = match found {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(e)) => return Err(failed(ConnectKind::Dns, e.to_string())),
        Err(_) => return Err(failed(ConnectKind::Dns, "the resolver doesn't answer".to_owned())),
    };
    told(&found);
    let mut last = failed(ConnectKind::Dns, "the name has no address".to_owned());
    let mut stream = None;
    for at in &found {
        match tokio::time::timeout_at(deadline.instant(), TcpStream::connect(at)).await {
            Ok(Ok(connected)) => {
                told(&[*at]);
                stream = Some(connected);
                break;
            }
            Ok(Err(e)) => {
                let kind = match e.kind() {
                    ErrorKind::ConnectionRefused => ConnectKind::Refused,
                    ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => ConnectKind::Unreachable,
                    ErrorKind::TimedOut => ConnectKind::TimedOut,
                    _ => ConnectKind::Other,
                };
                last = failed(kind, e.to_string());
            }
            Err(_) => last = late(),
        }
    }
    let Some(stream) = stream else { return Err(last) };
    let Some(trust) = trust else { return Ok(None) };
    let verifier = Verifier::new(trust)?;
    let name = ServerName::try_from(bare.clone())
        .map_err(|e| Error::Usage(format!("`{host}` is not the name of a server: {e}")))?;
    let connector = TlsConnector::from(Arc::new(verifier.config()?));
    let shaken = match tokio::time::timeout_at(deadline.instant(), connector.connect(name, stream)).await {
        Ok(shaken) => shaken,
        Err(_) => return Err(late()),
    };
    let stream = shaken.map_err(|e| match verifier.rejection() {
        Some(r) => {
            Error::Tls { address: address.clone(), kind: r.kind, presented: Some(r.presented), detail: r.detail }
        }
        None => {
            let detail = e.to_string();
            Error::Tls { address: address.clone(), kind: TlsKind::Other, presented: None, detail }
        }
    })?;
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates().and_then(|list| list.first());
    let protocol = match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS",
    };
    Ok(leaf.map(|leaf| Certificate {
        protocol: protocol.to_owned(),
        sha256: Thumbprint::sha256_of(leaf).to_string(),
        sha1: Thumbprint::sha1_of(leaf).to_string(),
    }))
}
