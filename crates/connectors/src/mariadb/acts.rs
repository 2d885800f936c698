//! What is read of accounts of a MariaDB, and done to them.
//!
//! An account has no comment of its own. What is known of it at the target is therefore a role without any privilege that
//! it has: one for whom it was made, one that it was us who locked it. Each is of one account alone, since nobody but who
//! made a role can give it to others, and a connector's login changes; who may make accounts may drop any role.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{
    AccountSort, ConnectorError, Ending, Found, MAX_FOUND, MAX_TARGET_GRANTS, NewAccount, SeenAccount, words,
};

use super::grant::{MariadbGrant, Where, privilege};
use super::quote::{check_user, literal};
use super::session::{meaning, run};
use crate::place::{GONE, gone, not_ourselves};

/// How long ended sessions are waited for.
const PAUSE: Duration = Duration::from_millis(10);
/// How often.
const PAUSES: usize = 200;
const OURS: &str = "tenure:";
/// The longest mark: a role's name has 128 characters.
const MAX_MARK: usize = 90;

/// An account's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub user: String,
    pub host: String,
}

impl Name {
    /// The account of a key: `user@host`. No host has an @.
    pub fn of(key: &str) -> Result<Self, ConnectorError> {
        let (user, host) = key
            .rsplit_once('@')
            .filter(|(_, host)| host.len() <= 255 && !host.contains('\0'))
            .ok_or_else(|| ConnectorError::Misconfigured("the key of an account is user@host".to_owned()))?;
        Ok(Self { user: user.to_owned(), host: host.to_owned() })
    }

    /// Whether `mariadb-install-db` makes it.
    fn is_built_in(&self) -> bool {
        self.host == "localhost" && ["root", "mysql", "mariadb.sys"].contains(&self.user.as_str())
    }

    fn key(&self) -> String {
        format!("{}@{}", self.user, self.host)
    }

    /// What people call it.
    fn shown(&self) -> String {
        if self.host == "%" { self.user.clone() } else { self.key() }
    }

    fn sql(&self) -> Result<String, ConnectorError> {
        Ok(format!("{}@{}", literal(&self.user)?, literal(&self.host)?))
    }

    /// The role that says that it was us who locked it.
    fn held(&self) -> String {
        format!("{OURS}{}:held", self.digest())
    }

    /// What the role begins with that says for whom it was made.
    fn made_for(&self) -> String {
        format!("{OURS}{}:made_for:", self.digest())
    }

    fn digest(&self) -> String {
        let hash = digest(&SHA256, self.key().as_bytes());
        hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// As the tables of grants name it.
    fn grantee(&self) -> String {
        format!("'{}'@'{}'", self.user, self.host)
    }
}

/// What is known of an account.
#[derive(Debug, Default)]
pub(super) struct Known {
    locked: bool,
    grants: BTreeSet<MariadbGrant>,
    besides: BTreeSet<String>,
    roles: BTreeSet<String>,
    sessions: u32,
}

impl Known {
    fn is_held(&self, name: &Name) -> bool {
        self.roles.contains(&name.held())
    }

    fn made_for(&self, name: &Name) -> Option<&str> {
        self.roles.iter().find_map(|role| role.strip_prefix(&name.made_for()))
    }

    fn seen(self, name: &Name) -> SeenAccount {
        let everywhere = |grant: &MariadbGrant, privileges: &[&str]| matches!(grant, MariadbGrant::On { what, place: Where::Everywhere, .. } if privileges.contains(what));
        let privileged = self.grants.iter().any(|grant| {
            everywhere(grant, &["SUPER", "CREATE USER", "FILE", "SET USER", "CONNECTION ADMIN"])
                || matches!(grant, MariadbGrant::On { place: Where::Everywhere, grantable: true, .. })
                || matches!(
                    grant,
                    MariadbGrant::On { what: "INSERT" | "UPDATE" | "DELETE", place: Where::Everywhere, .. }
                )
        });
        let marks = self.made_for(name).map(|mark| ("tenure".to_owned(), words(mark))).into_iter().collect();
        let mut grants: Vec<String> = self.grants.iter().map(ToString::to_string).chain(self.besides).collect();
        grants.sort_unstable();
        let more_grants = u32::try_from(grants.len().saturating_sub(MAX_TARGET_GRANTS)).unwrap_or(u32::MAX);
        grants.truncate(MAX_TARGET_GRANTS);
        SeenAccount {
            key: name.key(),
            name: name.shown(),
            sort: AccountSort::Login,
            enabled: !self.locked,
            ends_at: None,
            made_at: None,
            last_used_at: None,
            sessions: Some(self.sessions),
            built_in: name.is_built_in(),
            privileged,
            grants,
            more_grants,
            marks,
        }
    }
}

async fn rows<T: mysql_async::prelude::FromRow + Send + 'static>(
    session: &mut Conn,
    sql: &str,
) -> Result<Vec<T>, ConnectorError> {
    session.query(sql).await.map_err(|error| meaning(&error))
}

/// Accounts behind a key, in the order of their keys.
pub(super) async fn discover(session: &mut Conn, after: Option<&str>) -> Result<Found, ConnectorError> {
    let order = "CONVERT(CONCAT(User, '@', Host) USING utf8mb4) COLLATE utf8mb4_bin";
    let behind = literal(after.unwrap_or_default())?;
    let sql = format!(
        "SELECT User, Host, JSON_VALUE(Priv, '$.account_locked') FROM mysql.global_priv
         WHERE ifnull(JSON_VALUE(Priv, '$.is_role'), 0) <> 1 AND {order} > {behind} ORDER BY {order} LIMIT {}",
        MAX_FOUND + 1
    );
    let accounts: Vec<(String, String, Option<String>)> = rows(session, &sql).await?;
    let more = accounts.len() > MAX_FOUND;
    let accounts = accounts.into_iter().take(MAX_FOUND);
    let mut known: BTreeMap<Name, Known> = accounts
        .map(|(user, host, locked)| {
            (Name { user, host }, Known { locked: is_true(locked.as_deref()), ..Known::default() })
        })
        .collect();
    fill(session, &mut known).await?;
    let accounts = known.into_iter().map(|(name, known)| known.seen(&name)).collect();
    let mut found = Found { accounts, ..Found::default() };
    found.accounts.sort_by(|one, other| one.key.cmp(&other.key));
    found.next = found.accounts.last().map(|account| account.key.clone()).filter(|_| more);
    Ok(found)
}

fn is_true(value: Option<&str>) -> bool {
    matches!(value, Some("1" | "true"))
}

/// One account; none if there is none.
pub(super) async fn read(session: &mut Conn, name: &Name) -> Result<Option<Known>, ConnectorError> {
    let sql = format!(
        "SELECT JSON_VALUE(Priv, '$.account_locked') FROM mysql.global_priv
         WHERE User = {} AND Host = {} AND ifnull(JSON_VALUE(Priv, '$.is_role'), 0) <> 1",
        literal(&name.user)?,
        literal(&name.host)?
    );
    let found: Vec<Option<String>> = rows(session, &sql).await?;
    let Some(locked) = found.first() else { return Ok(None) };
    let known = Known { locked: is_true(locked.as_deref()), ..Known::default() };
    let mut one = BTreeMap::from([(name.clone(), known)]);
    fill(session, &mut one).await?;
    Ok(one.remove(name))
}

pub(super) async fn seen(session: &mut Conn, name: &Name) -> Result<Option<SeenAccount>, ConnectorError> {
    Ok(read(session, name).await?.map(|known| known.seen(name)))
}

/// What accounts may do, which roles they have, how many sessions.
async fn fill(session: &mut Conn, accounts: &mut BTreeMap<Name, Known>) -> Result<(), ConnectorError> {
    if accounts.is_empty() {
        return Ok(());
    }
    let grantees: BTreeMap<String, Name> = accounts.keys().map(|name| (name.grantee(), name.clone())).collect();
    let list = grantees.keys().map(|grantee| literal(grantee)).collect::<Result<Vec<_>, _>>()?.join(", ");
    let tables = [
        format!(
            "SELECT GRANTEE, PRIVILEGE_TYPE, IS_GRANTABLE, NULL, NULL, NULL FROM information_schema.USER_PRIVILEGES WHERE GRANTEE IN ({list})"
        ),
        format!(
            "SELECT GRANTEE, PRIVILEGE_TYPE, IS_GRANTABLE, TABLE_SCHEMA, NULL, NULL FROM information_schema.SCHEMA_PRIVILEGES WHERE GRANTEE IN ({list})"
        ),
        format!(
            "SELECT GRANTEE, PRIVILEGE_TYPE, IS_GRANTABLE, TABLE_SCHEMA, TABLE_NAME, NULL FROM information_schema.TABLE_PRIVILEGES WHERE GRANTEE IN ({list})"
        ),
        format!(
            "SELECT GRANTEE, PRIVILEGE_TYPE, IS_GRANTABLE, TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMN_PRIVILEGES WHERE GRANTEE IN ({list})"
        ),
    ];
    type Row = (String, String, String, Option<String>, Option<String>, Option<String>);
    for sql in tables {
        for (grantee, what, grantable, database, table, column) in rows::<Row>(session, &sql).await? {
            let Some(known) = grantees.get(&grantee).and_then(|name| accounts.get_mut(name)) else { continue };
            if what == "USAGE" {
                continue;
            }
            let place = match (database, table) {
                (Some(database), Some(table)) => Where::Table(database, table),
                (Some(database), None) => Where::Database(database),
                _ => Where::Everywhere,
            };
            match privilege(&what) {
                Some(what) => {
                    known.grants.insert(MariadbGrant::On { what, column, place, grantable: grantable == "YES" });
                }
                None => {
                    known.besides.insert(words(&format!("{what} ON {}", place.sql()?)));
                }
            }
        }
    }
    let users = accounts.keys().map(|name| literal(&name.user)).collect::<Result<Vec<_>, _>>()?.join(", ");
    let sql = format!(
        "SELECT User, Host, Db, Routine_name, Routine_type, Proc_priv FROM mysql.procs_priv WHERE User IN ({users})"
    );
    for (user, host, database, routine, sort, privileges) in
        rows::<(String, String, String, String, String, String)>(session, &sql).await?
    {
        let Some(known) = accounts.get_mut(&Name { user, host }) else { continue };
        let grantable = privileges.split(',').any(|privilege| privilege == "Grant");
        for what in privileges.split(',').filter_map(|name| privilege(&name.to_uppercase())) {
            let sort = match sort.as_str() {
                "PROCEDURE" => "PROCEDURE",
                "FUNCTION" => "FUNCTION",
                other => {
                    known.besides.insert(words(&format!("{what} ON {other} {database}.{routine}")));
                    continue;
                }
            };
            let place = Where::Routine(sort, database.clone(), routine.clone());
            known.grants.insert(MariadbGrant::On { what, column: None, place, grantable });
        }
    }
    let sql = format!("SELECT User, Host, Role FROM mysql.roles_mapping WHERE User IN ({users})");
    for (user, host, role) in rows::<(String, String, String)>(session, &sql).await? {
        let Some(known) = accounts.get_mut(&Name { user, host }) else { continue };
        if !role.starts_with(OURS) {
            known.grants.insert(MariadbGrant::Role(role.clone()));
        }
        known.roles.insert(role);
    }
    let sql =
        format!("SELECT USER, count(*) FROM information_schema.PROCESSLIST WHERE USER IN ({users}) GROUP BY USER");
    let sessions: BTreeMap<String, u32> = rows::<(String, u32)>(session, &sql).await?.into_iter().collect();
    for (name, known) in accounts {
        known.sessions = sessions.get(&name.user).copied().unwrap_or(0);
    }
    Ok(())
}

/// The verifier of a password as the server keeps it: the secret stands in no log of its statements.
fn verifier(secret: &Secret<String>) -> String {
    let once = digest(&SHA1_FOR_LEGACY_USE_ONLY, secret.expose().as_bytes());
    let twice = digest(&SHA1_FOR_LEGACY_USE_ONLY, once.as_ref());
    let hex: String = twice.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    format!("'*{hex}'")
}

pub(super) async fn provision(session: &mut Conn, account: &NewAccount<'_>) -> Result<Name, ConnectorError> {
    check_user(account.name)?;
    let mark = account.mark;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if mark.is_empty() || mark.len() > MAX_MARK || !mark.chars().all(plain) {
        return Err(ConnectorError::Misconfigured(format!(
            "a mark has letters, digits, _, - and ., {MAX_MARK} at most"
        )));
    }
    if account.name.contains('@') {
        return Err(ConnectorError::Misconfigured("the name of an account has no @".to_owned()));
    }
    let mut wanted = BTreeSet::new();
    for grant in account.grants {
        let read = grant.parse::<MariadbGrant>();
        wanted.insert(read.map_err(|error| ConnectorError::Rejected(format!("{error}: {}", words(grant))))?);
    }
    let name = Name { user: account.name.to_owned(), host: "%".to_owned() };
    let to = name.sql()?;
    let marker = format!("{}{mark}", name.made_for());
    let by = verifier(account.secret);
    // A user of that name and another host is the same login to people.
    let others = format!("SELECT Host FROM mysql.global_priv WHERE User = {}", literal(&name.user)?);
    let hosts: Vec<String> = rows(session, &others).await?;
    match read(session, &name).await? {
        Some(known) if known.made_for(&name) == Some(mark) => {
            not_ourselves(is_ourselves(session, &name).await?)?;
            run(session, &format!("ALTER USER {to} IDENTIFIED BY PASSWORD {by} ACCOUNT UNLOCK")).await?;
            end_sessions(session, &name).await?;
            let surplus: Vec<_> = known.grants.iter().filter(|grant| !wanted.contains(*grant)).cloned().collect();
            take(session, &name, &surplus).await?;
            wanted.retain(|grant| !known.grants.contains(grant));
        }
        Some(known) if !known.locked || known.made_for(&name).is_some() => return Err(ConnectorError::Taken),
        known => {
            // One that is locked, has no mark and nothing else is what an earlier try left before it could mark it.
            let left = known.is_some_and(|known| known.roles.is_empty() && known.grants.is_empty());
            if !(hosts.is_empty() || left && hosts.len() == 1 && is_blank(session, &name).await?) {
                return Err(ConnectorError::Taken);
            }
            if hosts.is_empty() {
                let made = session.query_drop(format!("CREATE USER {to} ACCOUNT LOCK")).await;
                match made {
                    Ok(()) => {}
                    Err(mysql_async::Error::Server(server)) if server.code == 1396 => {
                        return Err(ConnectorError::Taken);
                    }
                    Err(error) => return Err(meaning(&error)),
                }
            }
            give_mark(session, &name, &marker).await?;
            run(session, &format!("ALTER USER {to} IDENTIFIED BY PASSWORD {by} ACCOUNT UNLOCK")).await?;
        }
    }
    for grant in wanted {
        let sql = match &grant {
            MariadbGrant::Role(role) => format!("GRANT {} TO {to}", literal(role)?),
            MariadbGrant::On { what, column, place, grantable } => {
                let column = column.as_deref().map(super::quote::ident).transpose()?;
                let column = column.map(|column| format!(" ({column})")).unwrap_or_default();
                let option = if *grantable { " WITH GRANT OPTION" } else { "" };
                format!("GRANT {what}{column} ON {} TO {to}{option}", place.sql()?)
            }
        };
        run(session, &sql).await?;
    }
    Ok(name)
}

/// Whether an account has no password: nobody but us makes one that is locked and has none.
async fn is_blank(session: &mut Conn, name: &Name) -> Result<bool, ConnectorError> {
    let sql = format!(
        "SELECT ifnull(JSON_VALUE(Priv, '$.authentication_string'), '') FROM mysql.global_priv WHERE User = {} AND Host = {}",
        literal(&name.user)?,
        literal(&name.host)?
    );
    let found: Vec<String> = rows(session, &sql).await?;
    Ok(found.first().is_some_and(String::is_empty))
}

async fn take(session: &mut Conn, name: &Name, grants: &[MariadbGrant]) -> Result<(), ConnectorError> {
    let from = name.sql()?;
    for grant in grants {
        let sql = match grant {
            MariadbGrant::Role(role) => format!("REVOKE {} FROM {from}", literal(role)?),
            MariadbGrant::On { what, column, place, .. } => {
                let column = column.as_deref().map(super::quote::ident).transpose()?;
                let column = column.map(|column| format!(" ({column})")).unwrap_or_default();
                format!("REVOKE {what}{column} ON {} FROM {from}", place.sql()?)
            }
        };
        run(session, &sql).await?;
    }
    Ok(())
}

async fn is_ourselves(session: &mut Conn, name: &Name) -> Result<bool, ConnectorError> {
    let own: Vec<String> = rows(session, "SELECT CURRENT_USER()").await?;
    Ok(own.first().is_some_and(|own| *own == name.key()))
}

/// An account that isn't our own, if it is there.
async fn other(session: &mut Conn, name: &Name) -> Result<Option<Known>, ConnectorError> {
    not_ourselves(is_ourselves(session, name).await?)?;
    read(session, name).await
}

pub(super) async fn rotate(session: &mut Conn, name: &Name, secret: &Secret<String>) -> Result<Ending, ConnectorError> {
    if other(session, name).await?.is_none() {
        return Err(gone());
    }
    run(session, &format!("ALTER USER {} IDENTIFIED BY PASSWORD {}", name.sql()?, verifier(secret))).await?;
    ending(session, name, "ALTER USER: another password").await
}

pub(super) async fn hold(session: &mut Conn, name: &Name) -> Result<Ending, ConnectorError> {
    let Some(known) = other(session, name).await? else {
        return ending(session, name, GONE).await;
    };
    if !known.locked {
        let to = name.sql()?;
        // The mark first: what is locked and has none, people locked.
        give_mark(session, name, &name.held()).await?;
        run(session, &format!("ALTER USER {to} ACCOUNT LOCK")).await?;
    }
    ending(session, name, "ALTER USER: ACCOUNT LOCK").await
}

pub(super) async fn release(session: &mut Conn, name: &Name) -> Result<(), ConnectorError> {
    let Some(known) = other(session, name).await? else {
        return Err(gone());
    };
    if !known.is_held(name) {
        return Ok(());
    }
    let to = name.sql()?;
    run(session, &format!("ALTER USER {to} ACCOUNT UNLOCK")).await?;
    run(session, &format!("DROP ROLE IF EXISTS {}", literal(&name.held())?)).await
}

/// Gives an account a mark, in place of one of that name that another login of ours made.
async fn give_mark(session: &mut Conn, name: &Name, mark: &str) -> Result<(), ConnectorError> {
    let mark = literal(mark)?;
    run(session, &format!("DROP ROLE IF EXISTS {mark}")).await?;
    run(session, &format!("CREATE ROLE {mark}")).await?;
    run(session, &format!("GRANT {mark} TO {}", name.sql()?)).await
}

pub(super) async fn narrow(session: &mut Conn, name: &Name, keep: &[String]) -> Result<Ending, ConnectorError> {
    let Some(known) = other(session, name).await? else {
        return ending(session, name, GONE).await;
    };
    let is_kept = |grant: &MariadbGrant| keep.contains(&grant.to_string());
    let taken: Vec<_> = known.grants.iter().filter(|grant| !is_kept(grant)).cloned().collect();
    take(session, name, &taken).await?;
    let left = read(session, name).await?.unwrap_or_default();
    let besides = left.besides.iter().filter(|grant| !keep.contains(grant)).cloned();
    let left: Vec<_> =
        left.grants.iter().filter(|grant| !is_kept(grant)).map(ToString::to_string).chain(besides).collect();
    if !left.is_empty() {
        return Err(ConnectorError::Rejected(words(&format!("it can still: {}", left.join(", ")))));
    }
    let said = format!("REVOKE: {} of {} grants", taken.len(), known.grants.len());
    let lasting = |grant: &MariadbGrant| {
        matches!(grant, MariadbGrant::Role(_) | MariadbGrant::On { place: Where::Everywhere, .. })
    };
    // Open sessions keep what counts everywhere, and the role that they are in.
    if taken.iter().any(lasting) {
        return ending(session, name, &said).await;
    }
    Ok(Ending { words: said, sessions_ended: 0, sessions_left: Some(known.sessions) })
}

pub(super) async fn revoke(session: &mut Conn, name: &Name) -> Result<Ending, ConnectorError> {
    let Some(known) = other(session, name).await? else {
        return ending(session, name, GONE).await;
    };
    let from = name.sql()?;
    // Open sessions would keep what they may do everywhere: first nobody comes in, then all are out, then it goes.
    run(session, &format!("ALTER USER {from} ACCOUNT LOCK")).await?;
    let stopped = ending(session, name, "DROP USER").await?;
    run(session, &format!("DROP USER IF EXISTS {from}")).await?;
    for mark in known.roles.iter().filter(|role| **role == name.held() || role.starts_with(&name.made_for())) {
        run(session, &format!("DROP ROLE IF EXISTS {}", literal(mark)?)).await?;
    }
    Ok(stopped)
}

async fn sessions(session: &mut Conn, name: &Name) -> Result<BTreeSet<u64>, ConnectorError> {
    let sql = format!(
        "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = {} AND ID <> CONNECTION_ID()",
        literal(&name.user)?
    );
    Ok(rows::<u64>(session, &sql).await?.into_iter().collect())
}

/// Ends the sessions of a user. The list of sessions has a user's name, not its account: another account of the same user
/// has its sessions ended, too.
async fn end_sessions(session: &mut Conn, name: &Name) -> Result<(u32, u32), ConnectorError> {
    let mut ended: BTreeSet<u64> = BTreeSet::new();
    let mut open = sessions(session, name).await?;
    for _ in 0..PAUSES {
        if open.is_empty() {
            break;
        }
        for id in &open {
            match session.query_drop(format!("KILL CONNECTION {id}")).await {
                Ok(()) => {}
                // It is gone, or we may not: what is left is counted.
                Err(mysql_async::Error::Server(server)) if matches!(server.code, 1094 | 1095 | 1227) => {}
                Err(error) => return Err(meaning(&error)),
            }
        }
        tokio::time::sleep(PAUSE).await;
        let now = sessions(session, name).await?;
        ended.extend(open.difference(&now));
        open = now;
    }
    let count = |sessions: usize| u32::try_from(sessions).unwrap_or(u32::MAX);
    Ok((count(ended.len()), count(open.len())))
}

async fn ending(session: &mut Conn, name: &Name, said: &str) -> Result<Ending, ConnectorError> {
    let (sessions_ended, left) = end_sessions(session, name).await?;
    Ok(Ending { words: said.to_owned(), sessions_ended, sessions_left: Some(left) })
}

/// What our own login lacks of these privileges, and of reading the tables of accounts.
pub(super) async fn problems(session: &mut Conn, needed: &[&str]) -> Result<Vec<String>, ConnectorError> {
    let own: Vec<String> = rows(session, "SELECT CURRENT_USER()").await?;
    let name = Name::of(own.first().map(String::as_str).unwrap_or_default())?;
    let sql = format!(
        "SELECT PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES WHERE GRANTEE = {}",
        literal(&name.grantee())?
    );
    let held: Vec<String> = rows(session, &sql).await?;
    let lacks = needed.iter().filter(|privilege| !held.iter().any(|held| held == *privilege));
    let mut problems: Vec<String> = lacks.map(|privilege| format!("it lacks {privilege} on *.*")).collect();
    for table in ["global_priv", "procs_priv", "roles_mapping"] {
        match session.query_drop(format!("SELECT 1 FROM mysql.{table} LIMIT 1")).await {
            Ok(()) => {}
            Err(mysql_async::Error::Server(server)) if server.code == 1142 => {
                problems.push(format!("it may not read mysql.{table}"));
            }
            Err(error) => return Err(meaning(&error)),
        }
    }
    Ok(problems)
}
