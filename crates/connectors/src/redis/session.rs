//! Sessions at a Redis, and what its errors mean.

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, RedisConnectionInfo, RedisError, Value, cmd};
use tenure_core::target::connector::{ConnectorError, Reach, TargetLogin, words};
use tenure_outbound::Outbound;
use tokio::task::JoinHandle;

use crate::place::{MAX_ANSWER, Place, secured};

/// A session; its connection goes with it.
pub(super) struct Session {
    connection: MultiplexedConnection,
    driver: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Connects, without a login.
pub(super) async fn connect(outbound: &Outbound, place: &Place<'_>) -> Result<Session, ConnectorError> {
    // Nothing is said before the login: a user may be allowed nothing else.
    let settings = RedisConnectionInfo::default().set_skip_set_lib_name();
    let line = secured(outbound, place, MAX_ANSWER).await?;
    let (connection, driver) =
        MultiplexedConnection::new_with_config(&settings, line, AsyncConnectionConfig::default())
            .await
            .map_err(|error| meaning(&error))?;
    Ok(Session { connection, driver: tokio::spawn(driver) })
}

/// A session of the connector itself.
pub(super) async fn own(outbound: &Outbound, place: &Place<'_>, reach: &Reach<'_>) -> Result<Session, ConnectorError> {
    let mut session = connect(outbound, place).await?;
    session.log_in(reach.login).await.map_err(|error| {
        if is_refusal(&error) { ConnectorError::Unauthorized(said(&error)) } else { meaning(&error) }
    })?;
    Ok(session)
}

impl Session {
    pub async fn log_in(&mut self, login: &TargetLogin) -> Result<(), RedisError> {
        let name = if login.name.is_empty() { "default" } else { &login.name };
        cmd("AUTH").arg(name).arg(login.secret.expose()).exec_async(&mut self.connection).await
    }

    pub async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, ConnectorError> {
        command.query_async(&mut self.connection).await.map_err(|error| meaning(&error))
    }

    /// The answers to many commands, or the first error.
    pub async fn ask_all(&mut self, commands: &redis::Pipeline) -> Result<Vec<Value>, ConnectorError> {
        commands.query_async(&mut self.connection).await.map_err(|error| meaning(&error))
    }
}

/// What the server said, or what happened to the connection.
pub(super) fn said(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => words(&format!("{code} {detail}")),
        (Some(code), None) => words(code),
        (None, _) => words(&error.to_string()),
    }
}

/// What an error in a session means.
pub(super) fn meaning(error: &RedisError) -> ConnectorError {
    match (error.kind(), error.code()) {
        (_, Some("LOADING" | "BUSY" | "MASTERDOWN" | "TRYAGAIN" | "CLUSTERDOWN" | "MISCONF" | "OOM")) => {
            ConnectorError::Unreachable(said(error))
        }
        (ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::AuthenticationFailed, Some(_)) => {
            ConnectorError::Rejected(said(error))
        }
        _ => ConnectorError::Unreachable(said(error)),
    }
}

/// Whether a login was refused for what it is.
pub(super) fn is_refusal(error: &RedisError) -> bool {
    error.code() == Some("WRONGPASS")
}
