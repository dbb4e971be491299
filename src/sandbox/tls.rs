//! Certificates: an authority that signs the API's, and another, self-signed, for the hosts that transfers go to.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
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

/// A certificate for the API, signed by an authority of its own; the kept one where there is one.
pub(super) fn for_api(listen: SocketAddr, kept: Option<&Kept>) -> Result<(Identity, Kept), Error> {
    make(listen, true, kept).map_err(Error::Certificate)
}

/// A certificate for the hosts, which only a thumbprint makes trusted.
pub(super) fn for_hosts(listen: SocketAddr, kept: Option<&Kept>) -> Result<(Identity, Kept), Error> {
    make(listen, false, kept).map_err(Error::Certificate)
}

/// An identity in the form in which it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    /// In base64.
    certificate: String,
    /// In base64, as PKCS #8.
    key: String,
    ca_pem: String,
    /// The names that it is for.
    names: Vec<String>,
}

fn make(listen: SocketAddr, signed: bool, kept: Option<&Kept>) -> Result<(Identity, Kept), String> {
    let names = names(listen);
    let kept = match kept.filter(|kept| names.iter().all(|name| kept.names.contains(name))) {
        Some(kept) => kept.clone(),
        None => fresh(names, signed).map_err(|e| e.to_string())?,
    };
    let bytes = |text: &str| STANDARD.decode(text).map_err(|e| e.to_string());
    let (der, key) = (bytes(&kept.certificate)?, bytes(&kept.key)?);
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(der.clone())], key)
        .map_err(|e| e.to_string())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let identity = Identity { acceptor: TlsAcceptor::from(Arc::new(config)), der, ca_pem: kept.ca_pem.clone() };
    Ok((identity, kept))
}

fn fresh(names: Vec<String>, signed: bool) -> Result<Kept, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names.clone())?;
    let name = if signed { "vmwbuild sandbox" } else { "vmwbuild sandbox host" };
    params.distinguished_name.push(DnType::CommonName, name);
    let (certificate, ca_pem) = if signed {
        let ca_key = KeyPair::generate()?;
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, "vmwbuild sandbox authority");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca_pem = ca.self_signed(&ca_key)?.pem();
        (params.signed_by(&key, &Issuer::new(ca, ca_key))?, ca_pem)
    } else {
        let certificate = params.self_signed(&key)?;
        let pem = certificate.pem();
        (certificate, pem)
    };
    let (certificate, key) = (STANDARD.encode(certificate.der()), STANDARD.encode(key.serialize_der()));
    Ok(Kept { certificate, key, ca_pem, names })
}
