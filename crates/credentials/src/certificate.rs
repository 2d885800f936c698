//! Client certificates (RFC 8705): which one it is, by the hash of all of it, and until when it is good. No authority
//! vouches for them: the handshake proves the key.

use aws_lc_rs::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tenure_core::base::time::{Span, Timestamp};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::time::Time;

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
    /// Its lifetime is over.
    #[error("its lifetime is over: give the one that followed it")]
    Ended,
}

impl CertificateError {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotOne => "certificate_not_one",
            Self::PrivateKeyGiven => "certificate_private",
            Self::Malformed => "certificate_malformed",
            Self::Ended => "certificate_ended",
        }
    }
}

/// A client certificate, as far as something follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// `x5t#S256` (RFC 8705 §3.1).
    pub thumbprint: String,
    /// The serial number, in hex (RFC 5280 §4.1.2.2).
    pub serial: String,
    /// From when on it is good (RFC 5280 §4.1.2.5).
    pub not_before: Timestamp,
    /// When its lifetime is over.
    pub not_after: Timestamp,
}

impl ClientCertificate {
    /// The one certificate that a PEM text holds.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn of_pem(pem: &str) -> Result<Self, CertificateError> {
        if pem.contains("PRIVATE KEY") {
            return Err(CertificateError::PrivateKeyGiven);
        }
        if pem.len() > MAX_PEM {
            return Err(CertificateError::NotOne);
        }
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        let [Ok(der)] = certificates.as_slice() else {
            return Err(CertificateError::NotOne);
        };
        webpki::EndEntityCert::try_from(der).map_err(|_| CertificateError::Malformed)?;
        let read = Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?.tbs_certificate;
        Ok(Self {
            thumbprint: thumbprint(der),
            serial: read.serial_number.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect(),
            not_before: timestamp(read.validity.not_before),
            not_after: timestamp(read.validity.not_after),
        })
    }

    /// Whether its lifetime is over.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        now >= self.not_after
    }
}

/// Dates of certificates are of whole seconds, and of the years 1970 to 9999.
fn timestamp(time: Time) -> Timestamp {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    Timestamp::default().plus(Span::from_secs(seconds))
}

/// SHA-256 over the DER of a certificate, base64url: `x5t#S256` (RFC 8705 §3.1).
pub fn thumbprint(der: &[u8]) -> String {
    to_base64url(digest(&SHA256, der).as_ref())
}
