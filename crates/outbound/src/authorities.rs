//! The certificate authorities that a server's certificate is checked against.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::error::OutboundError;

/// Certificates of one server's authorities that are read at most; a chain has a few.
const MAX_AUTHORITIES: usize = 64;

/// Certificate authorities: those of the system, or those that somebody named for one server, and then no others.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Authorities(Option<Vec<CertificateDer<'static>>>);

impl Authorities {
    /// Those of the system.
    pub const fn system() -> Self {
        Self(None)
    }

    /// Those of a PEM file's text.
    ///
    /// # Errors
    /// It holds no certificate, too many, or one that is none.
    pub fn from_pem(text: &str) -> Result<Self, OutboundError> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes())
            .take(MAX_AUTHORITIES + 1)
            .collect::<Result<_, _>>()
            .map_err(|why| OutboundError::Authorities(format!("it is no PEM: {why}")))?;
        if certificates.is_empty() || certificates.len() > MAX_AUTHORITIES {
            return Err(OutboundError::Authorities(format!("expected 1 to {MAX_AUTHORITIES} certificates in PEM")));
        }
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots
                .add(certificate.clone())
                .map_err(|why| OutboundError::Authorities(format!("a certificate in it can't be used: {why}")))?;
        }
        Ok(Self(Some(certificates)))
    }

    /// The certificates, for clients that build their TLS by themselves.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        static SYSTEM: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
        match &self.0 {
            Some(named) => named,
            None => SYSTEM.get_or_init(|| rustls_native_certs::load_native_certs().certs),
        }
    }

    /// The client's side of TLS: a server has to have a certificate of these authorities for the name that it is
    /// reached by.
    ///
    /// # Errors
    /// This build has no TLS that can be used.
    pub fn client_config(&self) -> Result<ClientConfig, OutboundError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.certificates().iter().cloned());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|why| OutboundError::Transport(format!("TLS can't be set up: {why}")))?;
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }

    /// Whether they are the system's.
    pub(crate) const fn named(&self) -> Option<&Vec<CertificateDer<'static>>> {
        self.0.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_no_authority() {
        for bad in [
            "",
            "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            assert!(Authorities::from_pem(bad).is_err(), "{bad}");
        }
    }
}
