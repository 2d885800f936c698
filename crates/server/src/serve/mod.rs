//! The accept loop: bounded connections, header timeouts, TLS if asked for, whose connection it is, and an orderly stop.

mod pace;
mod places;
mod proxies;

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
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
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

pub(crate) use self::pace::TooSlow;
pub(crate) use self::places::Connection;
use self::places::Place;
pub use self::places::Places;
pub use self::proxies::{Proxies, SourceFrom, SourceFromError};
use crate::client_certificates::AnyCertificate;
use crate::keys::MutualTls;

/// How long a client may take for a request's head or the TLS handshake.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a stop waits for requests that are under way.
const DRAIN: Duration = Duration::from_secs(10);
/// Of the bytes of one connection as many are held at most, be it a request's head or answers that its client doesn't read.
const MAX_BUFFER: usize = 64 * 1024;

/// Where a request comes from, as it is counted: an address, of IPv6 its first 64 bits, which is what one customer gets.
#[derive(Debug, Clone)]
pub(crate) struct RequestSource(pub String);

impl From<IpAddr> for RequestSource {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
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

/// Serves until `stop` turns true, then lets requests that are under way finish. The listeners of a server share its places.
pub async fn serve(listener: Listener, router: Router, proxies: Arc<Proxies>, places: Arc<Places>, mut stop: watch::Receiver<bool>) {
    let graceful = GracefulShutdown::new();
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_BUFFER);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
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
        let source = (!proxies.forwards(peer) && !proxies.introduces(peer)).then(|| RequestSource::from(peer).0);
        let Some(place) = places.take(source) else {
            tracing::debug!(%peer, "a connection found no place");
            continue;
        };
        let served = Served {
            peer,
            place,
            proxies: Arc::clone(&proxies),
            http: http.clone(),
            router: router.clone(),
            watcher: graceful.watcher(),
        };
        let (tls, clients) = (listener.tls.clone(), listener.clients);
        tokio::spawn(async move {
            let left = served.place.connection();
            let result = tokio::select! {
                result = served.run(stream, tls, clients) => result,
                () = left.given_up() => Err("its place is another's".into()),
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
    place: Place,
    proxies: Arc<Proxies>,
    http: Builder<TokioExecutor>,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
}

impl Served {
    async fn run(mut self, mut stream: TcpStream, tls: Option<TlsAcceptor>, clients: Clients) -> Result<(), ConnectionError> {
        stream.set_nodelay(true)?;
        if self.proxies.introduces(self.peer) {
            self.peer = proxies::introduced(&mut stream, self.peer).await?;
            if !self.place.belongs_to(RequestSource::from(self.peer).0) {
                return Err("its source has its share of connections".into());
            }
        }
        let Some(tls) = tls else {
            // The protocol is never guessed from the first bytes: the time for a head runs from the start, also for those who send nothing.
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
        let Self {
            peer,
            place,
            proxies,
            router,
            watcher,
            ..
        } = self;
        let connection = place.connection();
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let source = RequestSource::from(proxies.source(peer, request.headers()));
            let mut request = request.map(pace::paced);
            let extensions = request.extensions_mut();
            extensions.insert(source);
            extensions.insert(connection.clone());
            if let Some(mutual) = &mutual {
                extensions.insert(mutual.clone());
            }
            let (answer, busy) = (router.clone().oneshot(request), connection.busy());
            async move {
                let answer = answer.await;
                drop(busy);
                answer
            }
        });
        let served = watcher.watch(http.serve_connection(TokioIo::new(stream), service).into_owned()).await;
        drop(place);
        served
    }
}
