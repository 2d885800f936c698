//! Sessions at a MariaDB, and what its errors mean.

use mysql_async::{Conn, Error, Opts, OptsBuilder, SslOpts};
use tenure_core::target::connector::{ConnectorError, Reach, TargetLogin, words};
use tenure_outbound::Outbound;

use crate::place::{Place, duration, unreached};

/// The largest packet that is read.
const MAX_PACKET: usize = 16 << 20;

/// Why a session did not come about.
pub(super) enum Failure {
    /// The target said so.
    Said(Error),
    /// There was no target to say anything.
    Connector(ConnectorError),
}

/// Logs in. The client connects by itself, to the addresses that were checked and to no local socket that the server
/// might offer; it reads no local file for the server.
pub(super) async fn log_in(outbound: &Outbound, place: &Place<'_>, login: &TargetLogin) -> Result<Conn, Failure> {
    let encrypted = place.authorities.is_some();
    let addresses = outbound.addresses(place.host(), place.port, encrypted).await;
    let addresses = addresses.map_err(|error| Failure::Connector(unreached(error)))?;
    let ips: Vec<_> = addresses.iter().map(|address| address.ip()).collect();
    let tls = place.authorities.as_ref().map(|authorities| {
        let roots = authorities.certificates().iter().map(|certificate| certificate.to_vec().into()).collect();
        SslOpts::default().with_disable_built_in_roots(true).with_root_certs(roots)
    });
    let options = OptsBuilder::default()
        .ip_or_hostname(place.host())
        .resolved_ips(Some(ips))
        .tcp_port(place.port)
        .user(Some(&login.name))
        .pass(Some(login.secret.expose()))
        .prefer_socket(false)
        .max_allowed_packet(Some(MAX_PACKET))
        .ssl_opts(tls)
        .secure_auth(true)
        .setup(vec!["SET NAMES utf8mb4, sql_mode = ''"]);
    Conn::new(Opts::from(options)).await.map_err(|error| match error {
        error @ Error::Server(_) => Failure::Said(error),
        error => Failure::Connector(ConnectorError::Unreachable(said(&error))),
    })
}

/// A session of the connector itself.
pub(super) async fn own(outbound: &Outbound, place: &Place<'_>, reach: &Reach<'_>) -> Result<Conn, ConnectorError> {
    let mut session = log_in(outbound, place, reach.login).await.map_err(|failure| match failure {
        Failure::Connector(error) => error,
        Failure::Said(error) if is_refusal(&error) => ConnectorError::Unauthorized(said(&error)),
        Failure::Said(error) => meaning(&error),
    })?;
    let seconds = duration(reach.patience).as_secs().max(1);
    run(&mut session, &format!("SET max_statement_time = {seconds}, lock_wait_timeout = {seconds}")).await?;
    Ok(session)
}

/// Runs a statement.
pub(super) async fn run(session: &mut Conn, sql: &str) -> Result<(), ConnectorError> {
    use mysql_async::prelude::Queryable as _;
    session.query_drop(sql).await.map_err(|error| meaning(&error))
}

/// What the server said, or what happened to the connection.
pub(super) fn said(error: &Error) -> String {
    match error {
        Error::Server(said) => words(&format!("{} ({})", said.message, said.code)),
        error => words(&error.to_string()),
    }
}

/// What an error in a session means.
pub(super) fn meaning(error: &Error) -> ConnectorError {
    match error {
        // Too many connections, shut down, out of time or locks, killed: these pass.
        Error::Server(server)
            if matches!(server.code, 1040 | 1053 | 1105 | 1158..=1161 | 1205 | 1213 | 1317 | 1927 | 1969) =>
        {
            ConnectorError::Unreachable(said(error))
        }
        Error::Server(_) => ConnectorError::Rejected(said(error)),
        _ => ConnectorError::Unreachable(said(error)),
    }
}

/// Whether a login was refused for what it is: not known, another password, locked.
pub(super) fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Server(server) if matches!(server.code, 1045 | 1698 | 4151))
}

/// Whether a login was known, and turned away for something else about it: its password is to be changed, or it has too
/// many sessions.
pub(super) fn is_known_but_turned_away(error: &Error) -> bool {
    matches!(error, Error::Server(server) if matches!(server.code, 1203 | 1226 | 1820 | 1862 | 1044))
}
