//! What is done to roles. Every act reads before it writes, and comes to the same end when it is asked for again.
//!
//! A role that stops logging in has its sessions still: nothing but their end ends them. And a role that is dropped
//! first leaves sessions behind that have no name: so they are found by the role's oid. What a role holds is taken in each
//! database by itself, as a member of whoever owns it, for one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{ConnectorError, Ending, NewAccount, Reach, words};
use tenure_outbound::Outbound;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::catalogue::{Holdings, Which, get, roles};
use super::grant::Grant;
use super::privileges::{Change, Guest, refused};
use super::quote::{ident, literal};
use super::session::{Session, meaning, own};
use super::verifier::{iterations, verifier};
use crate::comment::{Comment, check_mark};
use crate::place::{Place, not_ourselves};

/// How long ended sessions are waited for.
const PAUSE: Duration = Duration::from_millis(10);
/// How often.
const PAUSES: usize = 200;

/// One role under the hand of the connector.
pub(super) struct Act<'a> {
    pub outbound: &'a Arc<Outbound>,
    pub place: &'a Place<'a>,
    pub reach: &'a Reach<'a>,
    pub database: String,
    pub session: Session,
}

/// A role as acts know it.
pub(super) struct Role {
    pub(super) oid: u32,
    pub(super) name: String,
    can_login: bool,
    pub(super) ourselves: bool,
    comment: Comment,
}

impl Role {
    pub(super) fn ident(&self) -> Result<String, ConnectorError> {
        ident(&self.name)
    }

    /// The statements after which nobody logs in as it.
    pub(super) fn stop(&self) -> Result<String, ConnectorError> {
        let name = self.ident()?;
        let comment = literal(&Comment { held: false, ended: true, ..self.comment.clone() }.write())?;
        Ok(format!("ALTER ROLE {name} NOLOGIN PASSWORD NULL; COMMENT ON ROLE {name} IS {comment};"))
    }

    pub(super) fn of(row: &Row) -> Result<Self, ConnectorError> {
        Ok(Self {
            oid: get(row, "oid")?,
            name: get(row, "name")?,
            can_login: get(row, "rolcanlogin")?,
            ourselves: get(row, "ourselves")?,
            comment: Comment::read(get::<Option<String>>(row, "comment")?.as_deref().unwrap_or_default()),
        })
    }
}

/// Roles as acts know them; a condition follows.
pub(super) const ROLE: &str =
    "SELECT oid, rolname::text AS name, rolcanlogin, shobj_description(oid, 'pg_authid') AS comment,
            rolname IN (current_user, session_user) AS ourselves
     FROM pg_roles WHERE ";
/// What a role is made with.
pub(super) const ATTRIBUTES: &str = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT";
/// What is said of a role that is gone.
pub(super) const DROPPED: &str = "DROP ROLE";

impl<'a> Act<'a> {
    pub async fn begin(
        outbound: &'a Arc<Outbound>,
        place: &'a Place<'a>,
        database: String,
        reach: &'a Reach<'a>,
        kept: Option<Session>,
    ) -> Result<Self, ConnectorError> {
        let session = match kept {
            Some(session) => session,
            None => own(outbound, place, &database, reach).await?,
        };
        Ok(Self { outbound, place, reach, database, session })
    }

    /// The role of a key, or of a name.
    async fn role(&self, oid: Option<u32>, name: Option<&str>) -> Result<Option<Role>, ConnectorError> {
        let sql = format!("{ROLE} oid = $1 OR rolname = $2");
        let rows = self.session.query(&sql, &[&oid, &name]).await?;
        rows.first().map(Role::of).transpose()
    }

    /// The role of a key, which isn't our own.
    pub async fn other(&self, key: &str) -> Result<Option<Role>, ConnectorError> {
        let oid = oid(key)?;
        let role = self.role(Some(oid), None).await?;
        not_ourselves(role.as_ref().is_some_and(|role| role.ourselves))?;
        Ok(role)
    }

    async fn run(&self, sql: &str) -> Result<(), ConnectorError> {
        self.session.run(sql).await.map_err(|e| meaning(&e))
    }

    /// Makes a role, or gives the one that was made for the same mark this secret and these grants.
    pub async fn provision(&mut self, account: &NewAccount<'_>) -> Result<String, ConnectorError> {
        check_mark(account.mark)?;
        let name = ident(account.name)?;
        let wanted = wanted(account)?;
        let (login, comment) = (login(self.place, account)?, comment(account)?);
        let known = self.role(None, Some(account.name)).await?;
        let made = match &known {
            Some(role) if role.comment.made_for.as_deref() != Some(account.mark) => return Err(ConnectorError::Taken),
            Some(role) => {
                not_ourselves(role.ourselves)?;
                // Nobody who knows the old secret is left, and nothing is held that isn't asked for.
                self.end_sessions(&[role.oid]).await?;
                self.session.run(&format!("BEGIN; ALTER ROLE {name} {login}; {comment}; COMMIT")).await
            }
            None => {
                let make = format!("BEGIN; CREATE ROLE {name} {ATTRIBUTES} {login}; {comment}; COMMIT");
                self.session.run(&make).await
            }
        };
        match made {
            Ok(()) => {}
            Err(error) if error.code() == Some(&SqlState::DUPLICATE_OBJECT) => return Err(ConnectorError::Taken),
            Err(error) => return Err(meaning(&error)),
        }
        let role = self.role(None, Some(account.name)).await?;
        let role = role.ok_or_else(|| ConnectorError::Rejected("the role that was made isn't there".to_owned()))?;
        let held = self.holdings(role.oid).await?;
        if known.is_some() {
            let surplus: Vec<_> = held.grants.iter().filter(|grant| !wanted.contains(*grant)).cloned().collect();
            self.change(&role, &surplus, Change::Take).await?;
        }
        let missing: Vec<_> = wanted.into_iter().filter(|grant| !held.grants.contains(grant)).collect();
        self.change(&role, &missing, Change::Give).await?;
        Ok(role.oid.to_string())
    }

    /// Gives a role another password, and ends the sessions that the old one opened.
    pub async fn rotate(&mut self, key: &str, secret: &Secret<String>) -> Result<Ending, ConnectorError> {
        let Some(role) = self.other(key).await? else {
            return Err(ConnectorError::Rejected("there is no such role".to_owned()));
        };
        let password = literal(&verifier(secret, iterations(self.place)?)?)?;
        self.run(&format!("ALTER ROLE {} PASSWORD {password}", role.ident()?)).await?;
        self.ending(role.oid, "ALTER ROLE: another password").await
    }

    /// Takes LOGIN, and remembers at the target that it was us.
    pub async fn hold(&mut self, key: &str) -> Result<Ending, ConnectorError> {
        let Some(role) = self.other(key).await? else {
            return self.ending(oid(key)?, "there is no such role").await;
        };
        if !role.can_login {
            return self.ending(role.oid, "it has no LOGIN").await;
        }
        let name = role.ident()?;
        let comment = literal(&Comment { held: true, ..role.comment.clone() }.write())?;
        self.run(&format!("BEGIN; ALTER ROLE {name} NOLOGIN; COMMENT ON ROLE {name} IS {comment}; COMMIT")).await?;
        self.ending(role.oid, "ALTER ROLE: NOLOGIN").await
    }

    /// Gives LOGIN back where it was us who took it.
    pub async fn release(&mut self, key: &str) -> Result<(), ConnectorError> {
        let Some(role) = self.other(key).await? else {
            return Err(ConnectorError::Rejected("there is no such role".to_owned()));
        };
        if !role.comment.held {
            return Ok(());
        }
        let name = role.ident()?;
        let comment = literal(&Comment { held: false, ..role.comment.clone() }.write())?;
        self.run(&format!("BEGIN; ALTER ROLE {name} LOGIN; COMMENT ON ROLE {name} IS {comment}; COMMIT")).await
    }

    /// Takes all grants but these. Who has done `SET ROLE` stays in that role when the membership is gone: so open
    /// sessions end where one was.
    pub async fn narrow(&mut self, key: &str, keep: &[String]) -> Result<Ending, ConnectorError> {
        let Some(role) = self.other(key).await? else {
            return self.ending(oid(key)?, "there is no such role").await;
        };
        let kept: BTreeSet<&str> = keep.iter().map(String::as_str).collect();
        let is_kept = |grant: &Grant| kept.contains(grant.to_string().as_str());
        let held = self.holdings(role.oid).await?;
        let taken: Vec<_> = held.grants.iter().filter(|grant| !is_kept(grant)).cloned().collect();
        self.change(&role, &taken, Change::Take).await?;
        let left = self.holdings(role.oid).await?;
        let left = left.grants.iter().filter(|grant| !is_kept(grant)).map(ToString::to_string);
        let besides = held.besides.iter().filter(|grant| !kept.contains(grant.as_str())).cloned();
        let left: Vec<_> = left.chain(besides).collect();
        if !left.is_empty() {
            return Err(ConnectorError::Rejected(words(&format!("it can still: {}", left.join(", ")))));
        }
        let words = format!("REVOKE: {} of {} grants", taken.len(), held.grants.len());
        if taken.iter().any(|grant| !matches!(grant, Grant::On(_))) {
            return self.ending(role.oid, &words).await;
        }
        let sessions_left = Some(self.sessions(role.oid).await?);
        Ok(Ending { words, sessions_ended: 0, sessions_left })
    }

    /// Ends a role: no login, no session, no grant, and no role, unless something is left that it owns.
    pub async fn revoke(&mut self, key: &str) -> Result<Ending, ConnectorError> {
        let Some(role) = self.other(key).await? else {
            return self.ending(oid(key)?, "there is no such role").await;
        };
        self.run(&format!("BEGIN; {} COMMIT", role.stop()?)).await?;
        let stopped = self.ending(role.oid, "ALTER ROLE: NOLOGIN").await?;
        self.dropped(&role, stopped).await
    }

    /// Drops a role that was stopped. Its login is refused, whatever comes of that.
    pub(super) async fn dropped(&mut self, role: &Role, stopped: Ending) -> Result<Ending, ConnectorError> {
        let why = match self.drop_role(role).await {
            Ok(()) => return Ok(Ending { words: DROPPED.to_owned(), ..stopped }),
            Err(ConnectorError::Rejected(why)) => why,
            Err(error) => return Err(error),
        };
        let stays = format!("NOLOGIN, without a password; the role stays, because {why}");
        Ok(Ending { words: words(&stays), ..stopped })
    }

    async fn drop_role(&mut self, role: &Role) -> Result<(), ConnectorError> {
        let name = role.ident()?;
        let memberships: Vec<_> = self.holdings(role.oid).await?.grants.into_iter().collect();
        let memberships: Vec<_> =
            memberships.into_iter().filter(|grant| matches!(grant, Grant::Member { .. })).collect();
        self.change(role, &memberships, Change::Take).await?;
        let databases =
            "SELECT DISTINCT d.datname::text AS name FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid
                         WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = $1";
        let rows = self.session.query(databases, &[&role.oid]).await?;
        let mut databases: BTreeSet<String> =
            rows.iter().map(|row| get(row, "name")).collect::<Result<_, ConnectorError>>()?;
        // What all databases share goes with any of them.
        databases.insert(self.database.clone());
        for database in databases {
            self.drop_owned(&database, role).await?;
        }
        match self.session.run(&format!("DROP ROLE IF EXISTS {name}")).await {
            Ok(()) => Ok(()),
            Err(error) => Err(refused("DROP ROLE", &error)),
        }
    }

    /// Takes all that a role holds in a database.
    async fn drop_owned(&mut self, database: &str, role: &Role) -> Result<(), ConnectorError> {
        let heir = self.place.option("heir").map(str::to_owned);
        let mut other;
        let session = if database == self.database {
            &mut self.session
        } else {
            other = own(self.outbound, self.place, database, self.reach).await?;
            &mut other
        };
        let mut guest = Guest::begin(session).await?;
        guest.drop_owned(&[role.oid], &[&role.name], heir.as_deref(), database).await?;
        guest.commit().await
    }

    /// Gives grants or takes them: what is inside a database there, and the rest in the endpoint's.
    async fn change(&mut self, role: &Role, grants: &[Grant], change: Change) -> Result<(), ConnectorError> {
        let mut by_database: BTreeMap<String, Vec<&Grant>> = BTreeMap::new();
        for grant in grants {
            let database = match grant {
                Grant::On(privilege) => privilege.database(),
                Grant::Attribute(_) | Grant::Member { .. } => None,
            };
            by_database.entry(database.unwrap_or(&self.database).to_owned()).or_default().push(grant);
        }
        for (database, grants) in by_database {
            let mut other;
            let session = if database == self.database {
                &mut self.session
            } else {
                other = own(self.outbound, self.place, &database, self.reach).await?;
                &mut other
            };
            let mut guest = Guest::begin(session).await?;
            guest.change(&[&role.name], &grants, change).await?;
            guest.commit().await?;
        }
        Ok(())
    }

    async fn holdings(&self, oid: u32) -> Result<Holdings, ConnectorError> {
        let mut read = roles(self.outbound, self.place, self.reach, &self.session, Which::These(&[oid])).await?;
        if let Some(unseen) = read.unseen.first() {
            return Err(ConnectorError::Rejected(format!("not all of it can be seen: {unseen}")));
        }
        Ok(read.holdings.remove(&oid).unwrap_or_default())
    }

    async fn sessions(&self, oid: u32) -> Result<u32, ConnectorError> {
        Ok(u32::try_from(self.pids(&[oid]).await?.len()).unwrap_or(u32::MAX))
    }

    /// The sessions of roles, be they there or not, each with whose it is.
    async fn pids(&self, oids: &[u32]) -> Result<BTreeMap<i32, u32>, ConnectorError> {
        let sql = "SELECT pid, usesysid FROM pg_stat_activity WHERE usesysid = ANY($1)";
        let rows = self.session.query(sql, &[&oids]).await?;
        rows.iter().map(|row| Ok((get(row, "pid")?, get(row, "usesysid")?))).collect()
    }

    /// Ends the sessions of roles, be they there or not, and those that began while they were stopped; gives for each how
    /// many were ended, and how many are left. None waits for another one's.
    pub(super) async fn end_sessions(&self, oids: &[u32]) -> Result<BTreeMap<u32, (u32, u32)>, ConnectorError> {
        let mut counts: BTreeMap<u32, (u32, u32)> = oids.iter().map(|oid| (*oid, (0, 0))).collect();
        let mut ended: BTreeMap<i32, u32> = BTreeMap::new();
        let mut open = self.pids(oids).await?;
        for _ in 0..PAUSES {
            if open.is_empty() {
                break;
            }
            let pids: Vec<i32> = open.keys().copied().collect();
            let sql =
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = ANY($1) AND pid = ANY($2)";
            match self.session.client.query(sql, &[&oids, &pids]).await {
                Ok(_) => {}
                // We may not: then they are left, and said to be.
                Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => break,
                Err(error) => return Err(meaning(&error)),
            }
            tokio::time::sleep(PAUSE).await;
            let now = self.pids(oids).await?;
            ended.extend(open.into_iter().filter(|(pid, _)| !now.contains_key(pid)));
            open = now;
        }
        for oid in ended.values() {
            counts.entry(*oid).or_default().0 += 1;
        }
        for oid in open.values() {
            counts.entry(*oid).or_default().1 += 1;
        }
        Ok(counts)
    }

    pub(super) async fn ending(&self, oid: u32, words: &str) -> Result<Ending, ConnectorError> {
        let (sessions_ended, left) = self.end_sessions(&[oid]).await?.remove(&oid).unwrap_or_default();
        Ok(Ending { words: words.to_owned(), sessions_ended, sessions_left: Some(left) })
    }
}

/// What an account is to be granted; that it is to be given attributes is an error.
pub(super) fn wanted(account: &NewAccount<'_>) -> Result<BTreeSet<Grant>, ConnectorError> {
    let mut wanted = BTreeSet::new();
    for grant in account.grants {
        match grant.parse().map_err(|error| ConnectorError::Rejected(format!("{error}: {}", words(grant))))? {
            Grant::Attribute(attribute) => {
                return Err(ConnectorError::Unable(format!("no account is made with {attribute}")));
            }
            grant => wanted.insert(grant),
        };
    }
    Ok(wanted)
}

/// By what a new account logs in, and until when.
pub(super) fn login(place: &Place<'_>, account: &NewAccount<'_>) -> Result<String, ConnectorError> {
    let password = literal(&verifier(account.secret, iterations(place)?)?)?;
    Ok(format!("LOGIN PASSWORD {password} VALID UNTIL {}", literal(&account.ends_at.to_string())?))
}

/// The mark of a new account.
pub(super) fn comment(account: &NewAccount<'_>) -> Result<String, ConnectorError> {
    let comment = Comment { made_for: Some(account.mark.to_owned()), ..Comment::default() };
    Ok(format!("COMMENT ON ROLE {} IS {}", ident(account.name)?, literal(&comment.write())?))
}

/// The oid of a key.
pub(super) fn oid(key: &str) -> Result<u32, ConnectorError> {
    key.parse().map_err(|_| ConnectorError::Misconfigured("the key of a role is its oid".to_owned()))
}
