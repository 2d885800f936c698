//! The accept loop: bounded connections, header timeouts, TLS if asked for, whose connection it is, and an orderly
//! stop.

mod answer;
pub(crate) mod client_certificates;
mod pace;
mod places;
mod proxies;
pub(crate) mod shares;

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use tenure_credentials::certificate::thumbprint;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_io_timeout::TimeoutWriter;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::serve::client_certificates::{AnyCertificate, MutualTls};

pub(crate) use self::answer::holding;
pub(crate) use self::pace::{TooSlow, UnderWay, paced};
pub(crate) use self::places::Connection;
pub use self::places::Places;
pub use self::proxies::{Proxies, SourceFrom, SourceFromError, introduced};

/// How long a client may take for a request's head or the TLS handshake.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may read nothing of what is to be written to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a stop waits for requests that are under way.
const DRAIN: Duration = Duration::from_secs(10);
/// Of the bytes of one connection as many are held at most, be it a request's head or answers that its client doesn't
/// read.
const MAX_BUFFER: usize = 64 * 1024;

/// Where a request comes from, as it is counted: an address, of IPv6 its first 64 bits, which is what one customer gets
/// at least.
#[derive(Debug, Clone)]
pub(crate) struct RequestSource(pub String);

/// Whether the server stops: what lives longer than a request ends by itself then, and holds the stop up for nobody.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Waits until the server stops.
    pub(crate) async fn begun(&mut self) {
        // Where whoever could say so is gone, so is the server.
        let _ = self.0.wait_for(|stops| *stops).await;
    }
}

/// The prefix under which NAT64 writes IPv4 addresses (RFC 6052 §2.1): behind it are many sources, not one.
const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

impl From<IpAddr> for RequestSource {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let segments @ [a, b, c, d, ..] = address.segments();
                if segments.starts_with(&NAT64) {
                    let [.., w, x, y, z] = address.octets();
                    return Self::from(IpAddr::from([w, x, y, z]));
                }
                format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        })
    }
}

/// The server's certificate chain and key, in PEM files.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// What a listener with TLS asks of its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// Nothing.
    Anonymous,
    /// A certificate of their own, if they have one (RFC 8705).
    Certificates,
}

/// Why the server can't listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address can't be bound.
    #[error("can't listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A certificate or key can't be used.
    #[error("can't use {path} for TLS: {why}")]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// A bound listener.
pub struct Listener {
    tcp: TcpListener,
    tls: Option<TlsAcceptor>,
    clients: Clients,
}

impl Listener {
    /// Binds the address.
    ///
    /// # Errors
    /// The address is taken, or the certificate is unusable.
    pub async fn bind(address: SocketAddr, tls: Option<&Tls>, clients: Clients) -> Result<Self, ServeError> {
        let tls = tls.map(|tls| acceptor(tls, clients)).transpose()?;
        let tcp = TcpListener::bind(address).await.map_err(|source| ServeError::Bind { address, source })?;
        Ok(Self { tcp, tls, clients })
    }

    /// The bound address, with the port that the system chose if none was given.
    ///
    /// # Errors
    /// The socket is gone.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

fn acceptor(tls: &Tls, clients: Clients) -> Result<TlsAcceptor, ServeError> {
    let bad = |path: &Path, why: String| ServeError::Tls { path: path.to_owned(), why };
    let chain = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| bad(&tls.certificate, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| bad(&tls.key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(&tls.certificate, error.to_string()))?;
    let builder = match clients {
        Clients::Anonymous => builder.with_no_client_auth(),
        Clients::Certificates => builder.with_client_cert_verifier(AnyCertificate::new(&provider)),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| bad(&tls.certificate, error.to_string()))?;
    if clients == Clients::Certificates {
        // A resumed session would show a certificate whose key nobody proved in this handshake.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves until `stop` turns true, then lets requests that are under way finish. The listeners of a server share its
/// places.
pub async fn serve(
    listener: Listener,
    router: Router,
    proxies: Arc<Proxies>,
    places: Places,
    mut stop: watch::Receiver<bool>,
) {
    let graceful = GracefulShutdown::new();
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_BUFFER);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(100)
        .max_send_buf_size(MAX_BUFFER)
        .keep_alive_interval(Some(Duration::from_secs(30)));
    loop {
        let accepted = tokio::select! {
            accepted = listener.tcp.accept() => accepted,
            _ = stop.changed() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors or the like: give others time to close.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let peer = peer.ip().to_canonical();
        // Of whom a proxy sends, its header says it; what it forwards without one is counted by request.
        let is_forwarded = proxies.forwards(peer);
        let source = (!is_forwarded && !proxies.introduces(peer)).then(|| RequestSource::from(peer).0);
        let Some(connection) = places.take(source.as_deref(), is_forwarded) else {
            tracing::debug!(%peer, "a connection found no place");
            continue;
        };
        let served = Served {
            peer,
            connection,
            proxies: Arc::clone(&proxies),
            http: http.clone(),
            router: router.clone(),
            stop: Stop(stop.clone()),
            watcher: graceful.watcher(),
        };
        let (tls, clients) = (listener.tls.clone(), listener.clients);
        tokio::spawn(async move {
            let given_up = served.connection.given_up();
            let result = tokio::select! {
                result = served.run(stream, tls, clients) => result,
                () = given_up => Err("its place is another's".into()),
            };
            if let Err(error) = result {
                tracing::debug!(%error, %peer, "a connection ended");
            }
        });
    }
    tokio::select! {
        () = graceful.shutdown() => {}
        () = tokio::time::sleep(DRAIN) => tracing::warn!("requests were cut off by the stop"),
    }
}

type ConnectionError = Box<dyn std::error::Error + Send + Sync>;

/// An accepted connection and what it is served with.
struct Served {
    peer: IpAddr,
    connection: Connection,
    proxies: Arc<Proxies>,
    http: Builder<TokioExecutor>,
    router: Router,
    stop: Stop,
    watcher: hyper_util::server::graceful::Watcher,
}

impl Served {
    #[expect(clippy::disallowed_methods, reason = "how long something takes is measured at the edge")]
    async fn run(
        mut self,
        mut stream: TcpStream,
        tls: Option<TlsAcceptor>,
        clients: Clients,
    ) -> Result<(), ConnectionError> {
        stream.set_nodelay(true)?;
        if self.proxies.introduces(self.peer) {
            self.peer = proxies::introduced(&mut stream, self.peer).await?;
            if !self.connection.belongs_to(&RequestSource::from(self.peer).0) {
                return Err("its source has its share of connections".into());
            }
        }
        let mut stream = TimeoutWriter::new(stream);
        stream.set_timeout(Some(WRITE_TIMEOUT));
        let stream = Box::pin(stream);
        let Some(tls) = tls else {
            // The protocol is never guessed from the first bytes: the time for a head runs from the start, also for
            // those who send nothing.
            let http = self.http.clone().http1_only();
            return self.requests(stream, http, None).await;
        };
        let since = Instant::now();
        let stream = tokio::time::timeout(HEAD_TIMEOUT, tls.accept(stream)).await??;
        let session = stream.get_ref().1;
        let mutual = (clients == Clients::Certificates).then(|| MutualTls {
            certificate: session.peer_certificates().and_then(<[_]>::first).map(|der| thumbprint(der).into()),
            since,
        });
        let http = if session.alpn_protocol() == Some(b"h2") {
            self.http.clone().http2_only()
        } else {
            self.http.clone().http1_only()
        };
        self.requests(stream, http, mutual).await
    }

    async fn requests(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        http: Builder<TokioExecutor>,
        mutual: Option<MutualTls>,
    ) -> Result<(), ConnectionError> {
        let Self { peer, connection, proxies, router, stop, watcher, .. } = self;
        let asked = connection.asked();
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let source = RequestSource::from(proxies.source(peer, request.headers()));
            let mut request = request.map(Body::new);
            let extensions = request.extensions_mut();
            extensions.insert(source);
            extensions.insert(connection.clone());
            extensions.insert(stop.clone());
            if let Some(mutual) = &mutual {
                extensions.insert(mutual.clone());
            }
            router.clone().oneshot(request)
        });
        let silence = async {
            // Of HTTP/1 a head that doesn't end has its own time; of HTTP/2 nothing else asks for a first word.
            if tokio::time::timeout(HEAD_TIMEOUT, asked).await.is_ok() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            served = watcher.watch(http.serve_connection(TokioIo::new(stream), service).into_owned()) => served,
            () = silence => Err("nothing was asked in time".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a06_a_source_is_what_one_customer_has() {
        for (address, source) in [
            ("203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("64:ff9b::203.0.113.7", "203.0.113.7"),
            ("2001:db8:0:7::1", "2001:db8:0:7::/64"),
            ("2001:db8:0:7:ffff::1", "2001:db8:0:7::/64"),
        ] {
            assert_eq!(RequestSource::from(address.parse::<IpAddr>().unwrap()).0, source);
        }
    }
}
