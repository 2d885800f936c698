//! Sessions at a directory, and what its answers mean.

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, SearchEntry, StdStream};
use tenure_core::target::connector::{ConnectorError, Reach, TargetLogin, words};
use tenure_outbound::Outbound;
use tokio::task::JoinHandle;

use crate::place::{MAX_ANSWER, Place, secured};

/// A session; its connection goes with it.
pub(super) struct Session {
    pub ldap: Ldap,
    drivers: [JoinHandle<()>; 2],
}

impl Drop for Session {
    fn drop(&mut self) {
        for driver in &self.drivers {
            driver.abort();
        }
    }
}

/// Connects. The client speaks to one end of a pair; what is at its other end goes over our own connection, whose address,
/// certificate and size are checked as those of all connectors are.
pub(super) async fn connect(outbound: &Outbound, place: &Place<'_>) -> Result<Session, ConnectorError> {
    let broken = |why: String| ConnectorError::Unreachable(words(&why));
    let mut line = secured(outbound, place, MAX_ANSWER).await?;
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(|error| broken(error.to_string()))?;
    ours.set_nonblocking(true).map_err(|error| broken(error.to_string()))?;
    let mut ours = tokio::net::UnixStream::from_std(ours).map_err(|error| broken(error.to_string()))?;
    let relay = tokio::spawn(async move {
        // Whatever ends it, the client sees its connection closed.
        let _ = tokio::io::copy_bidirectional(&mut ours, &mut line).await;
    });
    let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(theirs));
    let (connection, ldap) =
        LdapConnAsync::with_settings(settings, "ldapi://connected").await.map_err(|error| meaning(&error))?;
    let driver = tokio::spawn(async move { drop(connection.drive().await) });
    Ok(Session { ldap, drivers: [driver, relay] })
}

/// A session of the connector itself.
pub(super) async fn own(outbound: &Outbound, place: &Place<'_>, reach: &Reach<'_>) -> Result<Session, ConnectorError> {
    let mut session = connect(outbound, place).await?;
    let result = bind(&mut session, &reach.login.name, reach.login).await?;
    match result.rc {
        0 => Ok(session),
        rc if is_refusal(rc) => Err(ConnectorError::Unauthorized(said(&result))),
        _ => Err(ConnectorError::Unreachable(said(&result))),
    }
}

/// Logs in. A directory takes a name without a password for nobody, and lets it in: so none is tried.
pub(super) async fn bind(session: &mut Session, dn: &str, login: &TargetLogin) -> Result<LdapResult, ConnectorError> {
    if dn.is_empty() || login.secret.expose().is_empty() {
        return Err(ConnectorError::Misconfigured("a login of a directory has a name and a password".to_owned()));
    }
    session.ldap.simple_bind(dn, login.secret.expose()).await.map_err(|error| meaning(&error))
}

/// Whether a login was refused for what it is: invalid credentials, or an entry that has none.
pub(super) const fn is_refusal(rc: u32) -> bool {
    matches!(rc, 48 | 49)
}

/// The directory's own words.
pub(super) fn said(result: &LdapResult) -> String {
    words(&format!("{} {}", result.rc, result.text))
}

/// What a result that isn't wanted means.
pub(super) fn rejected(result: &LdapResult) -> ConnectorError {
    match result.rc {
        // Time, busy, unavailable.
        3 | 51 | 52 => ConnectorError::Unreachable(said(result)),
        _ => ConnectorError::Rejected(said(result)),
    }
}

/// What became of a connection.
pub(super) fn meaning(error: &LdapError) -> ConnectorError {
    match error {
        LdapError::LdapResult { result } => rejected(result),
        error => ConnectorError::Unreachable(words(&error.to_string())),
    }
}

/// A modification, or why there was none; some results are as good as none.
pub(super) fn done(result: Result<LdapResult, LdapError>, also: &[u32]) -> Result<(), ConnectorError> {
    let result = result.map_err(|error| meaning(&error))?;
    if result.rc == 0 || also.contains(&result.rc) { Ok(()) } else { Err(rejected(&result)) }
}

/// The values of an attribute, whatever the case of its name.
pub(super) fn values(entry: &SearchEntry, name: &str) -> Vec<String> {
    let texts = entry.attrs.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).flat_map(|(_, values)| values);
    texts.cloned().collect()
}
