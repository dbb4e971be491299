//! Certificates: an authority that signs the API's, and another, self-signed, for the hosts that transfers go to.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;

use super::Error;

/// A certificate with its key, ready to serve.
pub(super) struct Identity {
    pub acceptor: TlsAcceptor,
    /// The server's certificate.
    der: Vec<u8>,
    /// The authority's certificate in PEM form; the server's own where it signs itself.
    pub ca_pem: String,
}

impl Identity {
    /// SHA-256 of the certificate, in hexadecimal with colons.
    pub fn sha256(&self) -> String {
        colons(&Sha256::digest(&self.der))
    }

    /// SHA-1 of the certificate, in hexadecimal with colons.
    pub fn sha1(&self) -> String {
        colons(&Sha1::digest(&self.der))
    }
}

fn colons(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

/// Names under which a server at an address may be reached.
fn names(listen: SocketAddr) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    let ip: IpAddr = listen.ip();
    if !ip.is_unspecified() && !names.contains(&ip.to_string()) {
        names.push(ip.to_string());
    }
    names
}

/// A certificate for the API, signed by an authority of its own.
pub(super) fn for_api(listen: SocketAddr) -> Result<Identity, Error> {
    make(listen, true).map_err(Error::Certificate)
}

/// A certificate for the hosts, which only a thumbprint makes trusted.
pub(super) fn for_hosts(listen: SocketAddr) -> Result<Identity, Error> {
    make(listen, false).map_err(Error::Certificate)
}

fn make(listen: SocketAddr, signed: bool) -> Result<Identity, String> {
    let text = |e: rcgen::Error| e.to_string();
    let key = KeyPair::generate().map_err(text)?;
    let mut params = CertificateParams::new(names(listen)).map_err(text)?;
    let name = if signed { "vmwbuild sandbox" } else { "vmwbuild sandbox host" };
    params.distinguished_name.push(DnType::CommonName, name);
    let (certificate, ca_pem) = if signed {
        let ca_key = KeyPair::generate().map_err(text)?;
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, "vmwbuild sandbox authority");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca_pem = ca.self_signed(&ca_key).map_err(text)?.pem();
        let issuer = Issuer::new(ca, ca_key);
        (params.signed_by(&key, &issuer).map_err(text)?, ca_pem)
    } else {
        let certificate = params.self_signed(&key).map_err(text)?;
        let pem = certificate.pem();
        (certificate, pem)
    };
    let der: CertificateDer<'static> = certificate.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_no_client_auth()
        .with_single_cert(vec![der.clone()], key)
        .map_err(|e| e.to_string())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Identity { acceptor: TlsAcceptor::from(Arc::new(config)), der: der.to_vec(), ca_pem })
}
