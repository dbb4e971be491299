//! Which server certificates are accepted.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::endpoint::{Thumbprint, Trust};
use super::error::{Error, Result, TlsKind};

/// Why the last certificate was refused.
#[derive(Clone, Debug)]
pub(super) struct Rejection {
    pub kind: TlsKind,
    /// SHA-256 of the certificate.
    pub presented: String,
    pub detail: String,
}

/// Checks certificates as [`Trust`] says, and keeps the reason of a refusal for the error message: the libraries in
/// between would reduce it to a text.
#[derive(Debug)]
pub(super) struct Verifier {
    /// None when there are no roots at all.
    roots: Option<Arc<WebPkiServerVerifier>>,
    given: Vec<CertificateDer<'static>>,
    trust: Trust,
    provider: Arc<CryptoProvider>,
    last: Mutex<Option<Rejection>>,
}

impl Verifier {
    /// Errors: a CA file without certificates.
    pub fn new(trust: &Trust) -> Result<Arc<Self>> {
        let provider = Arc::new(ring::default_provider());
        let given = read_pem(&trust.ca_pem)?;
        let mut store = RootCertStore::empty();
        if !trust.insecure {
            store.add_parsable_certificates(system().iter().cloned());
            store.add_parsable_certificates(given.iter().cloned());
        }
        let roots = match store.is_empty() {
            true => None,
            false => WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone()).build().ok(),
        };
        Ok(Arc::new(Verifier { roots, given, trust: trust.clone(), provider, last: Mutex::new(None) }))
    }

    /// The TLS configuration that asks it.
    pub fn config(self: &Arc<Self>) -> Result<ClientConfig> {
        let config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::Usage(format!("TLS can't be set up: {e}")))?;
        Ok(config.dangerous().with_custom_certificate_verifier(self.clone()).with_no_client_auth())
    }

    /// Why the last certificate was refused; none when it was accepted.
    pub fn rejection(&self) -> Option<Rejection> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<(), (TlsKind, String)> {
        let unknown = CertificateError::UnknownIssuer;
        let error = match &self.roots {
            Some(roots) => match roots.verify_server_cert(leaf, intermediates, name, ocsp, now) {
                Ok(_) => return Ok(()),
                Err(rustls::Error::InvalidCertificate(error)) => error,
                Err(other) => return Err((TlsKind::Other, other.to_string())),
            },
            None => unknown,
        };
        let kind = match &error {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => TlsKind::Expired,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsKind::NameMismatch
            }
            // A bad signature: by an authority that is called as a trusted one and isn't it, as one whose key is new.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsKind::UnknownAuthority,
            // A certificate that signs itself as an authority, as appliances make them.
            CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                TlsKind::UnknownAuthority
            }
            _ => TlsKind::Other,
        };
        match kind {
            TlsKind::UnknownAuthority | TlsKind::NameMismatch => {}
            kind => return Err((kind, error.to_string())),
        }
        if self.trust.thumbprints.iter().any(|t| t.matches(leaf)) {
            return Ok(());
        }
        // The server's own certificate given as the authority to trust.
        if kind == TlsKind::UnknownAuthority
            && self.given.iter().any(|c| c == leaf)
            && let Ok(parsed) = ParsedCertificate::try_from(leaf)
        {
            return match rustls::client::verify_server_name(&parsed, name) {
                Ok(()) => Ok(()),
                Err(e) => Err((TlsKind::NameMismatch, e.to_string())),
            };
        }
        if !self.trust.thumbprints.is_empty() {
            return Err((TlsKind::ThumbprintMismatch, "it has another thumbprint than the trusted one".to_owned()));
        }
        Err((kind, error.to_string()))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        if self.trust.insecure {
            return Ok(ServerCertVerified::assertion());
        }
        let verdict = self.judge(leaf, intermediates, name, ocsp, now);
        let rejection = verdict.err().map(|(kind, detail)| {
            let presented = Thumbprint::sha256_of(leaf).to_string();
            Rejection { kind, presented, detail }
        });
        let refused = rejection.is_some();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = rejection;
        if refused {
            return Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The system's certificates, read once. What can't be loaded of them only makes fewer servers trusted.
fn system() -> &'static [CertificateDer<'static>] {
    static SYSTEM: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
    SYSTEM.get_or_init(|| rustls_native_certs::load_native_certs().certs)
}

fn read_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    if pem.is_empty() {
        return Ok(Vec::new());
    }
    let certs: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certs {
        Ok(certs) if !certs.is_empty() => Ok(certs),
        Ok(_) => Err(Error::Usage("the CA file holds no certificate in PEM form".to_owned())),
        Err(e) => Err(Error::Usage(format!("the CA file can't be read as PEM: {e}"))),
    }
}
