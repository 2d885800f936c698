//! Issuance of tokens that are bound to a key of the client's: by a DPoP proof in each request (RFC 9449), and by the
//! certificate of the connection (RFC 8705). Both ask with the same assertions as the plain issuance, so that what
//! differs is the binding.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::{FORM, ISSUED, TOKEN_PATH, Tenure, To, now};
use crate::assertion::Key;
use crate::http::{Connection, request};
use crate::load::{Load, Measured};
use crate::tls::{Certificates, Client};
use xtask::process::free_port;

impl Tenure {
    /// Issuance with a proof per request. All proofs of a measurement repeat one nonce of the server's, which lives for
    /// 150 seconds.
    pub(super) async fn dpop(&self, load: Load) -> Result<Measured> {
        let keys = (0..self.workloads.len()).map(|_| Key::generate()).collect::<Result<Vec<_>>>()?;
        let url = format!("{}/token", self.issuer);
        let sign = async |count: usize| {
            let nonce = self.dpop_nonce().await?;
            let holders = self.workloads.iter().zip(&keys).cycle().take(count);
            let signed = holders.map(|(workload, key)| {
                let proof = key.proof(&url, &nonce, now())?;
                self.token_request(workload, &[&format!("dpop: {proof}")])
            });
            signed.collect()
        };
        let to = To::Clear(self.address);
        self.look(to, sign(1).await?, "/cnf/jkt").await?;
        self.prepared(load, to, "\"token_type\":\"DPoP\"", sign).await
    }

    /// What the server gives to whoever uses DPoP.
    async fn dpop_nonce(&self) -> Result<String> {
        let asked = request("POST", TOKEN_PATH, self.address, &[FORM, "dpop: none"], b"");
        let reply = Connection::open(self.address).await?.exchange(&asked).await?;
        let summary = reply.summary();
        reply.dpop_nonce.with_context(|| format!("the token endpoint gave no DPoP nonce; it answered {summary}"))
    }

    /// Starts it again on what it has, with a second listener that asks for client certificates. The first has TLS from
    /// then on, and is not used.
    pub async fn with_certificates(mut self) -> Result<MutualTls> {
        let certificates = Certificates::make(&self.launch.data.join("certificates"))?;
        let client = certificates.client()?;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        self.server.stop(Signal::TERM).await?;
        self.server =
            self.launch.server(SocketAddr::from(([127, 0, 0, 1], free_port()?)), Some((&certificates, address)))?;
        self.server.until(async || crate::answers(address, Some(&client), "/readyz").await).await?;
        Ok(MutualTls { tenure: self, address, client })
    }
}

/// A server whose clients show a certificate.
pub struct MutualTls {
    /// The server, with what is set up in it.
    pub(super) tenure: Tenure,
    /// Its listener that asks for certificates.
    pub(super) address: SocketAddr,
    /// A client that has one.
    pub(super) client: Client,
}

impl MutualTls {
    /// Measures issuance over connections that stay open, each with the client's certificate.
    pub async fn issuance(&self, load: Load) -> Result<Measured> {
        let to = To::Tls(self.address, &self.client);
        let sign = async |count: usize| self.tenure.token_requests(count);
        self.tenure.look(to, sign(1).await?, "/cnf/x5t#S256").await?;
        self.tenure.prepared(load, to, ISSUED, sign).await
    }

    /// Stops it.
    pub async fn stop(self) -> Result<()> {
        self.tenure.stop().await
    }
}
