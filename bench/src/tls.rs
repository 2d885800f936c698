//! TLS that asks for a client certificate: what OpenSSL makes for it, and the client's side.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use xtask::workspace::{make_folder, output};

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
const EXTENSIONS: &str = "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n";

/// The certificates of a server on 127.0.0.1 and of a client, in a folder.
pub struct Certificates(PathBuf);

impl Certificates {
    /// Makes them.
    pub fn make(folder: &Path) -> Result<Self> {
        make_folder(folder)?;
        let made = Self(folder.to_owned());
        std::fs::write(made.path("extensions"), EXTENSIONS)?;
        made.openssl(&format!("req -x509 {KEY} -subj /CN=bench -days 2 -keyout ca.key -out ca.pem"))?;
        for name in ["server", "client"] {
            made.openssl(&format!("req {KEY} -subj /CN={name} -keyout {name}.key -out {name}.csr"))?;
            made.openssl(&format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out {name}.pem"
            ))?;
        }
        Ok(made)
    }

    fn openssl(&self, arguments: &str) -> Result<()> {
        output(Command::new("openssl").current_dir(&self.0).args(arguments.split(' '))).map(|_| ())
    }

    /// One of them: `server` or `client`, with `.pem` or `.key`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The client: it trusts only this server.
    pub fn client(&self) -> Result<Client> {
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.authority()?)
            .with_client_auth_cert(self.chain("client")?, self.key("client")?)?;
        Ok(Client(TlsConnector::from(Arc::new(config))))
    }

    fn authority(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("ca.pem"))?)?;
        Ok(roots)
    }

    fn chain(&self, name: &str) -> Result<Vec<CertificateDer<'static>>> {
        Ok(vec![CertificateDer::from_pem_file(self.path(&format!("{name}.pem")))?])
    }

    fn key(&self, name: &str) -> Result<PrivateKeyDer<'static>> {
        Ok(PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key")))?)
    }
}

/// A client with a certificate.
pub struct Client(TlsConnector);

impl Client {
    /// Shakes hands with the server at `address`.
    pub async fn connect(&self, stream: TcpStream, address: SocketAddr) -> Result<TlsStream<TcpStream>> {
        let name = ServerName::IpAddress(address.ip().into());
        self.0.connect(name, stream).await.with_context(|| format!("no TLS with {address}"))
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use rustls::ServerConfig;
    use rustls::server::WebPkiClientVerifier;
    use tokio_rustls::TlsAcceptor;

    /// A server's side, which takes only clients that have a certificate.
    pub fn acceptor(certificates: &Certificates) -> TlsAcceptor {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let authority = Arc::new(certificates.authority().unwrap());
        let clients = WebPkiClientVerifier::builder_with_provider(authority, Arc::clone(&provider)).build().unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(certificates.chain("server").unwrap(), certificates.key("server").unwrap())
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}
