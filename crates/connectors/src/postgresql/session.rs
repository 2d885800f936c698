//! Sessions at a PostgreSQL, and what its errors mean.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tenure_core::target::connector::{ConnectorError, Mode, Reach, TargetLogin, words};
use tenure_outbound::Outbound;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Error, GenericClient, NoTls, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::place::{MAX_ANSWER, Place, duration, unreached};

/// A session; its connection goes with it.
pub(super) struct Session {
    pub client: Client,
    pub prepared: Prepared,
    /// When it logged in.
    pub since: Instant,
    driver: JoinHandle<()>,
}

/// What a session has prepared, by its text, and whether all that was begun in it came to its end.
#[derive(Default)]
pub(super) struct Prepared {
    statements: Mutex<HashMap<String, Statement>>,
    unfinished: AtomicUsize,
}

impl Prepared {
    /// Runs a statement of this program's own, which the server reads and plans once a session.
    pub async fn query(
        &self,
        client: &(impl GenericClient + Sync),
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, ConnectorError> {
        self.counted(self.rows(client, sql, parameters)).await.map_err(|error| meaning(&error))
    }

    async fn rows(
        &self,
        client: &(impl GenericClient + Sync),
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        let known = self.statements.lock().get(sql).cloned();
        let statement = match known {
            Some(statement) => statement,
            None => {
                let statement = client.prepare(sql).await?;
                self.statements.lock().insert(sql.to_owned(), statement.clone());
                statement
            }
        };
        client.query(&statement, parameters).await
    }

    /// Until this is done, and if it fails, or is given up, for ever, the session is for nobody else.
    async fn counted<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.begun();
        let done = work.await?;
        self.finished();
        Ok(done)
    }

    /// Something is begun after which the session is for others only once it is finished.
    pub fn begun(&self) {
        self.unfinished.fetch_add(1, Ordering::Relaxed);
    }

    /// What was begun came to its end.
    pub fn finished(&self) {
        self.unfinished.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Session {
    #[expect(clippy::disallowed_methods, reason = "how old a connection is, its own clock says")]
    fn new(client: Client, driver: JoinHandle<()>) -> Self {
        Self { client, prepared: Prepared::default(), since: Instant::now(), driver }
    }

    /// The rows of a statement of this program's own.
    pub async fn query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, ConnectorError> {
        self.prepared.query(&self.client, sql, parameters).await
    }

    /// Runs statements.
    pub async fn run(&self, sql: &str) -> Result<(), Error> {
        self.prepared.counted(self.client.batch_execute(sql)).await
    }

    /// Whether nothing is left in it of whoever had it.
    pub fn is_clean(&self) -> bool {
        !self.client.is_closed() && self.prepared.unfinished.load(Ordering::Relaxed) == 0
    }

    /// Has the session be as a new one is. One that observes can't write, whatever is sent through it. A commit that takes
    /// away doesn't wait for a standby: while it waited, nobody else would see it.
    pub async fn set_up(&self, reach: &Reach<'_>) -> Result<(), ConnectorError> {
        let patience = duration(reach.patience).as_millis().max(1);
        let read_only = if reach.mode == Mode::Observe { "on" } else { "off" };
        // Nobody's functions and operators are found before the server's own.
        let settings = format!(
            "SET search_path = pg_catalog; SET synchronous_commit = local; SET statement_timeout = '{patience}ms';
             SET lock_timeout = '{patience}ms'; SET idle_in_transaction_session_timeout = '{patience}ms';
             SET default_transaction_read_only = {read_only}; SET client_min_messages = error; SET DateStyle = ISO;
             SET plan_cache_mode = force_generic_plan"
        );
        self.run(&settings).await.map_err(|error| meaning(&error))
    }
}

impl Drop for Session {
    /// The server is told that the session is over, since it logs a line for each that breaks off. One that doesn't take
    /// that in time is left.
    fn drop(&mut self) {
        let driver = self.driver.abort_handle();
        tokio::spawn(async move {
            tokio::time::sleep(PARTING).await;
            driver.abort();
        });
    }
}

/// How long a session may take to end.
const PARTING: Duration = Duration::from_secs(2);

/// Why a session did not come about.
pub(super) enum Failure {
    /// The target said so.
    Said(Error),
    /// There was no target to say anything.
    Connector(ConnectorError),
}

/// Logs in.
pub(super) async fn log_in(
    outbound: &Outbound,
    place: &Place<'_>,
    database: &str,
    login: &TargetLogin,
) -> Result<Session, Failure> {
    if [&login.name, database, login.secret.expose()].iter().any(|text| text.contains('\0')) {
        return Err(Failure::Connector(ConnectorError::Misconfigured("a login has no NUL in it".to_owned())));
    }
    let mut config = Config::new();
    config.user(&login.name).password(login.secret.expose()).dbname(database).application_name("tenure");
    let line = outbound
        .dial(place.host(), place.port, place.authorities.is_some(), MAX_ANSWER)
        .await
        .map_err(|error| Failure::Connector(unreached(error)))?;
    match &place.authorities {
        Some(authorities) => {
            config.ssl_mode(SslMode::Require);
            let tls = authorities.client_config().map_err(|error| Failure::Connector(unreached(error)))?;
            let mut tls = MakeRustlsConnect::new(tls);
            let tls = MakeTlsConnect::<tenure_outbound::Line>::make_tls_connect(&mut tls, place.host())
                .map_err(|error| Failure::Connector(ConnectorError::Unreachable(words(&error.to_string()))))?;
            let (client, connection) = config.connect_raw(line, tls).await.map_err(Failure::Said)?;
            Ok(Session::new(client, tokio::spawn(async move { drop(connection.await) })))
        }
        None => {
            config.ssl_mode(SslMode::Disable);
            let (client, connection) = config.connect_raw(line, NoTls).await.map_err(Failure::Said)?;
            Ok(Session::new(client, tokio::spawn(async move { drop(connection.await) })))
        }
    }
}

/// A new session of the connector itself.
pub(super) async fn own(
    outbound: &Arc<Outbound>,
    place: &Place<'_>,
    database: &str,
    reach: &Reach<'_>,
) -> Result<Session, ConnectorError> {
    let session = log_in(outbound, place, database, reach.login).await.map_err(|failure| match failure {
        Failure::Connector(error) => error,
        Failure::Said(error) if is_refusal(&error) => ConnectorError::Unauthorized(said(&error)),
        Failure::Said(error) => meaning(&error),
    })?;
    session.set_up(reach).await?;
    Ok(session)
}

/// What the server said, or what happened to the connection.
pub(super) fn said(error: &Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(said), _) => words(&format!("{} ({})", said.message(), said.code().code())),
        (None, Some(source)) => words(&format!("{error}: {source}")),
        (None, None) => words(&error.to_string()),
    }
}

/// What an error in a session means.
pub(super) fn meaning(error: &Error) -> ConnectorError {
    match error.code().map(SqlState::code) {
        // Out of resources, somebody intervened, a system error, a conflict, a lock or a time that ran out: these pass.
        Some(code) if matches!(code.get(..2), Some("08" | "40" | "53" | "57" | "58" | "XX")) || code == "55P03" => {
            ConnectorError::Unreachable(said(error))
        }
        Some(_) => ConnectorError::Rejected(said(error)),
        None => ConnectorError::Unreachable(said(error)),
    }
}

/// Whether a login was refused for what it is. The server tells a host that `pg_hba.conf` doesn't let in by the same
/// code as a role that may not log in; which it was, the routine says, and no language that the server speaks changes it.
pub(super) fn is_refusal(error: &Error) -> bool {
    let Some(said) = error.as_db_error() else { return false };
    match said.code().code() {
        "28P01" => true,
        "28000" => said.routine() != Some("ClientAuthentication"),
        _ => false,
    }
}

/// Whether a login came past the question who it is, and was turned away for something else about it.
pub(super) fn is_known_but_turned_away(error: &Error) -> bool {
    // It may not connect to this database, or there is no such database: both are asked after the login.
    matches!(error.code().map(SqlState::code), Some("42501" | "3D000"))
}
