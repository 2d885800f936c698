//! The accept loop: bounded connections, header timeouts, TLS if asked for, and an orderly stop.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use tenure_credentials::certificate::thumbprint;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::client_certificates::AnyCertificate;
use crate::keys::MutualTls;

/// Connections served at once; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 4_096;
/// How long a client may take for a request's head or the TLS handshake.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a stop waits for requests that are under way.
const DRAIN: Duration = Duration::from_secs(10);

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

/// Serves until `stop` turns true, then lets requests that are under way finish.
pub async fn serve(listener: Listener, router: Router, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
        .keep_alive_interval(Some(Duration::from_secs(30)));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
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
        let (http, router, tls, watcher) = (http.clone(), router.clone(), listener.tls.clone(), graceful.watcher());
        let clients = listener.clients;
        tokio::spawn(async move {
            let _place = place;
            let served = match tls {
                Some(tls) => encrypted(stream, peer, (tls, clients), http, router, watcher).await,
                None => plain(stream, peer, http, router, watcher).await,
            };
            if let Err(error) = served {
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

async fn plain(
    stream: TcpStream,
    peer: SocketAddr,
    http: Builder<TokioExecutor>,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) -> Result<(), ConnectionError> {
    stream.set_nodelay(true)?;
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    // The protocol is never guessed from the first bytes: the time for a head runs from the start, also for those who send nothing.
    let http = http.http1_only();
    watcher.watch(http.serve_connection(TokioIo::new(stream), service).into_owned()).await
}

async fn encrypted(
    stream: TcpStream,
    peer: SocketAddr,
    (tls, clients): (TlsAcceptor, Clients),
    http: Builder<TokioExecutor>,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) -> Result<(), ConnectionError> {
    stream.set_nodelay(true)?;
    let since = Instant::now();
    let stream = tokio::time::timeout(HEAD_TIMEOUT, tls.accept(stream)).await??;
    let session = stream.get_ref().1;
    let mutual = (clients == Clients::Certificates).then(|| MutualTls {
        certificate: session.peer_certificates().and_then(<[_]>::first).map(|der| thumbprint(der).into()),
        since,
    });
    let http = if session.alpn_protocol() == Some(b"h2") {
        http.http2_only()
    } else {
        http.http1_only()
    };
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        if let Some(mutual) = &mutual {
            request.extensions_mut().insert(mutual.clone());
        }
        router.clone().oneshot(request)
    });
    watcher.watch(http.serve_connection(TokioIo::new(stream), service).into_owned()).await
}
