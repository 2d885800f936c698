//! Client certificates (RFC 8705): which one it is, by the hash of all of it. No authority vouches for them: the
//! handshake proves the key.

use aws_lc_rs::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::encoding::to_base64url;

/// The longest certificate in PEM that a charter may name.
const MAX_PEM: usize = 16 * 1024;

/// Why a certificate is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not exactly one certificate in PEM.
    #[error("give exactly one certificate in PEM, without its key")]
    NotOne,
    /// The private key was given: it must be considered lost and made anew.
    #[error("the private key was given; make a new key and send only its certificate")]
    PrivateKeyGiven,
    /// Not a certificate of X.509, version 3.
    #[error("not a well-formed X.509 v3 certificate")]
    Malformed,
}

impl CertificateError {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotOne => "certificate_not_one",
            Self::PrivateKeyGiven => "certificate_private",
            Self::Malformed => "certificate_malformed",
        }
    }
}

/// The thumbprint of the one certificate that a PEM text holds.
///
/// # Errors
/// Why it is not accepted.
pub fn pem_thumbprint(pem: &str) -> Result<String, CertificateError> {
    if pem.contains("PRIVATE KEY") {
        return Err(CertificateError::PrivateKeyGiven);
    }
    if pem.len() > MAX_PEM {
        return Err(CertificateError::NotOne);
    }
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let [Ok(certificate)] = certificates.as_slice() else {
        return Err(CertificateError::NotOne);
    };
    webpki::EndEntityCert::try_from(certificate).map_err(|_| CertificateError::Malformed)?;
    Ok(thumbprint(certificate))
}

/// SHA-256 over the DER of a certificate, base64url: `x5t#S256` (RFC 8705 §3.1).
pub fn thumbprint(der: &[u8]) -> String {
    to_base64url(digest(&SHA256, der).as_ref())
}
