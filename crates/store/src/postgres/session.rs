//! Connections: settings, TLS, prepared statements, and a few of them to read with.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustls::{ClientConfig, RootCertStore};
use tenure_core::store::port::StoreError;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::OpenError;

/// How long connecting or one read may take; the server's own limits are shorter.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Connections for reads; each carries many reads at once.
const READERS: usize = 4;
/// Statements are few and keyed: index look-ups are right from the first row on, whatever the statistics say. A process
/// that sleeps in a transaction holds the log's head: the server ends its session after half a second, and nothing is
/// lost, as what it had not committed by then it writes again.
const SETTINGS: &str = "SET statement_timeout = '5s'; SET lock_timeout = '4s'; SET idle_in_transaction_session_timeout = '500ms';
    SET synchronous_commit = on; SET default_transaction_isolation = 'read committed'; SET plan_cache_mode = force_generic_plan;
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
    SET enable_material = off; SET enable_bitmapscan = off; SET jit = off; SET client_min_messages = warning";

/// Where the database is and how to get there.
#[derive(Clone)]
pub(super) struct Address {
    config: Config,
    tls: Option<Arc<ClientConfig>>,
}

impl Address {
    /// Reads a URL. `sslmode=require` demands TLS with a certificate that the system's roots vouch for.
    pub(super) fn parse(url: &str) -> Result<Self, OpenError> {
        let mut config: Config =
            url.parse().map_err(|_| OpenError::Address("expected postgres://user:password@host/database".into()))?;
        config.connect_timeout(PATIENCE).tcp_user_timeout(PATIENCE).application_name("tenure");
        let tls = if config.get_ssl_mode() == SslMode::Require { Some(Arc::new(tls()?)) } else { None };
        Ok(Self { config, tls })
    }

    /// Connects; what the server says unasked goes to `heard`.
    pub(super) async fn connect(
        &self,
        heard: impl FnMut(AsyncMessage) + Send + 'static,
    ) -> Result<Client, tokio_postgres::Error> {
        let client = match &self.tls {
            Some(tls) => {
                let (client, connection) =
                    self.config.connect(MakeRustlsConnect::new(ClientConfig::clone(tls))).await?;
                tokio::spawn(drive(connection, heard));
                client
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                tokio::spawn(drive(connection, heard));
                client
            }
        };
        client.batch_execute(SETTINGS).await?;
        Ok(client)
    }
}

/// Moves a connection's bytes until either side closes it.
async fn drive<S, T>(mut connection: tokio_postgres::Connection<S, T>, mut heard: impl FnMut(AsyncMessage) + Send)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send,
{
    loop {
        match std::future::poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(message)) => heard(message),
            Some(Err(error)) => {
                tracing::warn!(error = describe(&error), "a connection to PostgreSQL was lost");
                return;
            }
            None => return,
        }
    }
}

fn tls() -> Result<ClientConfig, OpenError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| OpenError::Address(format!("TLS can't be set up: {error}")))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// What went wrong, in full: the error itself says only "db error".
pub(super) fn describe(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(said), _) => format!("{} ({})", said.message(), said.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

/// Whether the server ended the session, be it for its idleness or at the request of somebody who revokes.
pub(super) fn is_ended(error: &tokio_postgres::Error) -> bool {
    let code = error.as_db_error().map(|said| said.code().code());
    error.is_closed() || matches!(code, Some("25P03" | "57P01" | "57P05"))
}

pub(super) fn down(error: &tokio_postgres::Error) -> StoreError {
    StoreError::Unavailable(describe(error))
}

/// A connection with the statements that were prepared on it.
pub(super) struct Session {
    pub(super) client: Client,
    statements: Mutex<HashMap<String, Statement>>,
}

impl Session {
    /// Connects and prepares what will be needed without delay.
    pub(super) async fn open(address: &Address, statements: &[&str]) -> Result<Self, tokio_postgres::Error> {
        let session = Self { client: address.connect(|_| ()).await?, statements: Mutex::default() };
        for sql in statements {
            session.statement(sql).await?;
        }
        Ok(session)
    }

    /// The prepared statement; ready at once if it was prepared before.
    pub(super) async fn statement(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        let known = self.statements.lock().get(sql).cloned();
        match known {
            Some(statement) => Ok(statement),
            None => {
                let statement = self.client.prepare(sql).await?;
                self.statements.lock().insert(sql.to_owned(), statement.clone());
                Ok(statement)
            }
        }
    }

    /// Runs a prepared statement.
    pub(super) async fn query(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let statement = self.statement(sql).await?;
        self.client.query(&statement, params).await
    }
}

/// A part of a flight of statements: left out if it has nothing to do.
pub(super) async fn part<const N: usize>(
    session: &Session,
    needed: bool,
    sql: &str,
    params: [&(dyn ToSql + Sync); N],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    if needed { session.query(sql, &params).await } else { Ok(Vec::new()) }
}

/// Connections that are shared by all reads and replaced when they break.
pub(super) struct Pool {
    address: Address,
    slots: Vec<tokio::sync::Mutex<Option<Arc<Session>>>>,
    next: AtomicUsize,
}

impl Pool {
    pub(super) fn new(address: Address) -> Self {
        Self {
            address,
            slots: (0..READERS).map(|_| tokio::sync::Mutex::new(None)).collect(),
            next: AtomicUsize::new(0),
        }
    }

    /// Runs one statement, which is one transaction.
    pub(super) async fn query(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len();
        let Some(slot) = self.slots.get(turn) else {
            return Err(StoreError::Unavailable("no connection".into()));
        };
        let answer = tokio::time::timeout(PATIENCE, async {
            let session = self.session(slot).await?;
            session.query(sql, params).await
        });
        match answer.await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error)) => Err(down(&error)),
            Err(_) => {
                *slot.lock().await = None;
                Err(StoreError::Unavailable("PostgreSQL doesn't answer".into()))
            }
        }
    }

    async fn session(
        &self,
        slot: &tokio::sync::Mutex<Option<Arc<Session>>>,
    ) -> Result<Arc<Session>, tokio_postgres::Error> {
        let mut slot = slot.lock().await;
        match slot.as_ref().filter(|session| !session.client.is_closed()) {
            Some(session) => Ok(Arc::clone(session)),
            None => {
                let session = Arc::new(Session::open(&self.address, &[]).await?);
                *slot = Some(Arc::clone(&session));
                Ok(session)
            }
        }
    }
}
