//! What is done to roles. Every act reads before it writes, and comes to the same end when it is asked for again.
//!
//! A role that stops logging in has its sessions still: nothing but their end ends them. And a role that is dropped
//! first leaves sessions behind that have no name: so they are found by the role's oid. What a role holds is taken in each
//! database by itself, as a member of whoever owns it, for one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use postgres_protocol::password::scram_sha_256;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{ConnectorError, Ending, NewAccount, Reach, words};
use tenure_outbound::Outbound;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, Transaction};

use super::catalogue::{Holdings, Which, get, roles};
use super::grant::{Grant, Privilege, shown};
use super::quote::{ident, literal};
use super::session::{Session, meaning, own, said};
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
    oid: u32,
    name: String,
    can_login: bool,
    ourselves: bool,
    comment: Comment,
}

impl Role {
    fn ident(&self) -> Result<String, ConnectorError> {
        ident(&self.name)
    }
}

impl<'a> Act<'a> {
    pub async fn begin(
        outbound: &'a Arc<Outbound>,
        place: &'a Place<'a>,
        database: String,
        reach: &'a Reach<'a>,
    ) -> Result<Self, ConnectorError> {
        let session = own(outbound, place, &database, reach).await?;
        Ok(Self { outbound, place, reach, database, session })
    }

    /// The role of a key, or of a name.
    async fn role(&self, oid: Option<u32>, name: Option<&str>) -> Result<Option<Role>, ConnectorError> {
        let sql = "SELECT oid, rolname::text AS name, rolcanlogin, shobj_description(oid, 'pg_authid') AS comment,
                          rolname IN (current_user, session_user) AS ourselves
                   FROM pg_roles WHERE oid = $1 OR rolname = $2";
        let row = self.session.client.query_opt(sql, &[&oid, &name]).await.map_err(|e| meaning(&e))?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Role {
            oid: get(&row, "oid")?,
            name: get(&row, "name")?,
            can_login: get(&row, "rolcanlogin")?,
            ourselves: get(&row, "ourselves")?,
            comment: Comment::read(get::<Option<String>>(&row, "comment")?.as_deref().unwrap_or_default()),
        }))
    }

    /// The role of a key, which isn't our own.
    pub async fn other(&self, key: &str) -> Result<Option<Role>, ConnectorError> {
        let oid = oid(key)?;
        let role = self.role(Some(oid), None).await?;
        not_ourselves(role.as_ref().is_some_and(|role| role.ourselves))?;
        Ok(role)
    }

    async fn run(&self, sql: &str) -> Result<(), ConnectorError> {
        self.session.client.batch_execute(sql).await.map_err(|e| meaning(&e))
    }

    /// Whether our own login may do whatever there is.
    async fn is_superuser(client: &Client) -> Result<bool, ConnectorError> {
        let row = client.query_one("SELECT rolsuper FROM pg_roles WHERE rolname = current_user", &[]).await;
        get(&row.map_err(|e| meaning(&e))?, "rolsuper")
    }

    /// Makes a role, or gives the one that was made for the same mark this secret and these grants.
    pub async fn provision(&mut self, account: &NewAccount<'_>) -> Result<String, ConnectorError> {
        check_mark(account.mark)?;
        let name = ident(account.name)?;
        let mut wanted = BTreeSet::new();
        for grant in account.grants {
            match grant.parse().map_err(|error| ConnectorError::Rejected(format!("{error}: {}", words(grant))))? {
                Grant::Attribute(attribute) => {
                    return Err(ConnectorError::Unable(format!("no account is made with {attribute}")));
                }
                grant => wanted.insert(grant),
            };
        }
        let password = literal(&scram_sha_256(account.secret.expose().as_bytes()))?;
        let login = format!("LOGIN PASSWORD {password} VALID UNTIL {}", literal(&account.ends_at.to_string())?);
        let comment = Comment { made_for: Some(account.mark.to_owned()), ..Comment::default() };
        let comment = format!("COMMENT ON ROLE {name} IS {}", literal(&comment.write())?);
        let known = self.role(None, Some(account.name)).await?;
        let made = match &known {
            Some(role) if role.comment.made_for.as_deref() != Some(account.mark) => return Err(ConnectorError::Taken),
            Some(role) => {
                not_ourselves(role.ourselves)?;
                // Nobody who knows the old secret is left, and nothing is held that isn't asked for.
                self.end_sessions(role.oid).await?;
                self.session.client.batch_execute(&format!("BEGIN; ALTER ROLE {name} {login}; {comment}; COMMIT")).await
            }
            None => {
                let attributes = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT";
                let make = format!("BEGIN; CREATE ROLE {name} {attributes} {login}; {comment}; COMMIT");
                self.session.client.batch_execute(&make).await
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
        // The server gets the verifier: the secret stands in no log of its statements.
        let password = literal(&scram_sha_256(secret.expose().as_bytes()))?;
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
        let name = role.ident()?;
        let comment = Comment { held: false, ended: true, ..role.comment.clone() };
        let comment = literal(&comment.write())?;
        self.run(&format!(
            "BEGIN; ALTER ROLE {name} NOLOGIN PASSWORD NULL; COMMENT ON ROLE {name} IS {comment}; COMMIT"
        ))
        .await?;
        let stopped = self.ending(role.oid, "ALTER ROLE: NOLOGIN").await?;
        // From here on the login is refused, whatever comes.
        let why = match self.drop_role(&role).await {
            Ok(()) => return Ok(Ending { words: "DROP ROLE".to_owned(), ..stopped }),
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
        let rows = self.session.client.query(databases, &[&role.oid]).await.map_err(|e| meaning(&e))?;
        let mut databases: BTreeSet<String> =
            rows.iter().map(|row| get(row, "name")).collect::<Result<_, ConnectorError>>()?;
        // What all databases share goes with any of them.
        databases.insert(self.database.clone());
        for database in databases {
            self.drop_owned(&database, role).await?;
        }
        match self.session.client.batch_execute(&format!("DROP ROLE IF EXISTS {name}")).await {
            Ok(()) => Ok(()),
            Err(error) => Err(refused("DROP ROLE", &error)),
        }
    }

    /// Takes all that a role holds in a database. What it owns goes to the heir, if the endpoint names one, and to nobody
    /// else: no table is ever dropped.
    async fn drop_owned(&mut self, database: &str, role: &Role) -> Result<(), ConnectorError> {
        let name = role.ident()?;
        let heir = self.place.option("heir").map(str::to_owned);
        let mut other;
        let client = if database == self.database {
            &mut self.session.client
        } else {
            other = own(self.outbound, self.place, database, self.reach).await?;
            &mut other.client
        };
        let superuser = Self::is_superuser(client).await?;
        let transaction = client.transaction().await.map_err(|e| meaning(&e))?;
        let mut joined: BTreeSet<String> = join(&transaction, superuser, &role.name).await?.into_iter().collect();
        // DROP OWNED takes, with a warning alone, only what it may take: privileges on what others own, as one of them.
        let owners = "SELECT o.rolname::text AS owner FROM pg_shdepend a
                      JOIN pg_shdepend b ON (b.dbid, b.classid, b.objid, b.deptype) = (a.dbid, a.classid, a.objid, 'o'::\"char\")
                      JOIN pg_roles o ON o.oid = b.refobjid
                      WHERE a.refclassid = 'pg_authid'::regclass AND a.refobjid = $1 AND a.deptype = 'a'
                        AND a.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
                      UNION SELECT r.rolname::text FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba
                            WHERE d.datname = current_database()";
        for row in transaction.query(owners, &[&role.oid]).await.map_err(|e| meaning(&e))? {
            let owner: String = get(&row, "owner")?;
            joined.extend(join(&transaction, superuser, &owner).await?);
        }
        let owned = "SELECT count(*) AS owned FROM pg_shdepend
                     WHERE refclassid = 'pg_authid'::regclass AND refobjid = $1 AND deptype = 'o'
                       AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))";
        let count = async |transaction: &Transaction<'_>| -> Result<i64, ConnectorError> {
            get(&transaction.query_one(owned, &[&role.oid]).await.map_err(|e| meaning(&e))?, "owned")
        };
        if count(&transaction).await? > 0
            && let Some(heir) = &heir
        {
            joined.extend(join(&transaction, superuser, heir).await?);
            let reassign = format!("REASSIGN OWNED BY {name} TO {}", ident(heir)?);
            transaction.batch_execute(&reassign).await.map_err(|error| refused("REASSIGN OWNED", &error))?;
        }
        let left = count(&transaction).await?;
        if left > 0 {
            let how = if heir.is_some() { "" } else { ", and the endpoint's option heir names nobody to have them" };
            return Err(ConnectorError::Rejected(format!("it owns {left} objects of {}{how}", shown(database))));
        }
        transaction
            .batch_execute(&format!("DROP OWNED BY {name}"))
            .await
            .map_err(|error| refused("DROP OWNED", &error))?;
        leave(&transaction, &joined).await?;
        transaction.commit().await.map_err(|e| meaning(&e))
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
            let client = if database == self.database {
                &mut self.session.client
            } else {
                other = own(self.outbound, self.place, &database, self.reach).await?;
                &mut other.client
            };
            change_in(client, &role.name, &grants, change).await?;
        }
        Ok(())
    }

    async fn holdings(&self, oid: u32) -> Result<Holdings, ConnectorError> {
        let mut read = roles(self.outbound, self.place, self.reach, &self.session, Which::One(oid)).await?;
        if let Some(unseen) = read.unseen.first() {
            return Err(ConnectorError::Rejected(format!("not all of it can be seen: {unseen}")));
        }
        Ok(read.holdings.remove(&oid).unwrap_or_default())
    }

    async fn sessions(&self, oid: u32) -> Result<u32, ConnectorError> {
        Ok(u32::try_from(self.pids(oid).await?.len()).unwrap_or(u32::MAX))
    }

    async fn pids(&self, oid: u32) -> Result<BTreeSet<i32>, ConnectorError> {
        let sql = "SELECT pid FROM pg_stat_activity WHERE usesysid = $1";
        let rows = self.session.client.query(sql, &[&oid]).await.map_err(|e| meaning(&e))?;
        rows.iter().map(|row| get(row, "pid")).collect()
    }

    /// Ends the sessions of a role, be it there or not, and those that began while it was stopped.
    async fn end_sessions(&self, oid: u32) -> Result<(u32, u32), ConnectorError> {
        let mut ended: BTreeSet<i32> = BTreeSet::new();
        let mut open = self.pids(oid).await?;
        for _ in 0..PAUSES {
            if open.is_empty() {
                break;
            }
            let pids: Vec<i32> = open.iter().copied().collect();
            let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = $1 AND pid = ANY($2)";
            match self.session.client.query(sql, &[&oid, &pids]).await {
                Ok(_) => {}
                // We may not: then they are left, and said to be.
                Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => break,
                Err(error) => return Err(meaning(&error)),
            }
            tokio::time::sleep(PAUSE).await;
            let now = self.pids(oid).await?;
            ended.extend(open.difference(&now));
            open = now;
        }
        let count = |pids: usize| u32::try_from(pids).unwrap_or(u32::MAX);
        Ok((count(ended.len()), count(open.len())))
    }

    async fn ending(&self, oid: u32, words: &str) -> Result<Ending, ConnectorError> {
        let (sessions_ended, left) = self.end_sessions(oid).await?;
        Ok(Ending { words: words.to_owned(), sessions_ended, sessions_left: Some(left) })
    }
}

/// Whether grants are given or taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Give,
    Take,
}

async fn change_in(client: &mut Client, role: &str, grants: &[&Grant], change: Change) -> Result<(), ConnectorError> {
    let superuser = Act::is_superuser(client).await?;
    let to = ident(role)?;
    let transaction = client.transaction().await.map_err(|e| meaning(&e))?;
    let mut joined = BTreeSet::new();
    for grant in grants {
        let sql = match (grant, change) {
            (Grant::Attribute(attribute), Change::Take) => format!("ALTER ROLE {to} NO{attribute}"),
            (Grant::Attribute(attribute), Change::Give) => {
                return Err(ConnectorError::Unable(format!("no account is given {attribute}")));
            }
            (Grant::Member { of, admin }, Change::Give) => {
                format!("GRANT {} TO {to}{}", ident(of)?, if *admin { " WITH ADMIN OPTION" } else { "" })
            }
            (Grant::Member { of, .. }, Change::Take) => format!("REVOKE {} FROM {to}", ident(of)?),
            (Grant::On(privilege), change) => {
                let (owner, routine) = owner(&transaction, privilege).await?;
                if !joined.contains(&owner) {
                    joined.extend(join(&transaction, superuser, &owner).await?);
                }
                let on = privilege.sql(routine.as_deref())?;
                match change {
                    Change::Give => {
                        format!("GRANT {on} TO {to}{}", if privilege.grantable { " WITH GRANT OPTION" } else { "" })
                    }
                    // What it handed on goes with it.
                    Change::Take => format!("REVOKE {on} FROM {to} CASCADE"),
                }
            }
        };
        transaction.batch_execute(&sql).await.map_err(|error| refused(&grant.to_string(), &error))?;
    }
    leave(&transaction, &joined).await?;
    transaction.commit().await.map_err(|e| meaning(&e))
}

/// Who owns the object of a privilege, and what a routine is called in statements.
async fn owner(
    transaction: &Transaction<'_>,
    privilege: &Privilege,
) -> Result<(String, Option<String>), ConnectorError> {
    let sql = match privilege.kind {
        "DATABASE" => "SELECT datdba, NULL::text FROM pg_database WHERE datname = ($1::text[])[1] AND $2::text IS NULL",
        "TABLESPACE" => "SELECT spcowner, NULL::text FROM pg_tablespace WHERE spcname = ($1::text[])[1] AND $2::text IS NULL",
        "PARAMETER" => "SELECT 10::oid, NULL::text WHERE $1::text[] IS NOT NULL AND $2::text IS NULL",
        "SCHEMA" => "SELECT nspowner, NULL::text FROM pg_namespace WHERE nspname = ($1::text[])[2] AND $2::text IS NULL",
        "LANGUAGE" => "SELECT lanowner, NULL::text FROM pg_language WHERE lanname = ($1::text[])[2] AND $2::text IS NULL",
        "FOREIGN DATA WRAPPER" => {
            "SELECT fdwowner, NULL::text FROM pg_foreign_data_wrapper WHERE fdwname = ($1::text[])[2] AND $2::text IS NULL"
        }
        "FOREIGN SERVER" => "SELECT srvowner, NULL::text FROM pg_foreign_server WHERE srvname = ($1::text[])[2] AND $2::text IS NULL",
        "LARGE OBJECT" => {
            "SELECT lomowner, NULL::text FROM pg_largeobject_metadata WHERE oid::text = ($1::text[])[2] AND $2::text IS NULL"
        }
        "TYPE" => {
            "SELECT typowner, NULL::text FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace
             WHERE nspname = ($1::text[])[2] AND typname = ($1::text[])[3] AND $2::text IS NULL"
        }
        "ROUTINE" => {
            "SELECT proowner, p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
             WHERE nspname = ($1::text[])[2] AND proname = ($1::text[])[3] AND pg_get_function_identity_arguments(p.oid) = $2"
        }
        _ => {
            "SELECT relowner, NULL::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
             WHERE nspname = ($1::text[])[2] AND relname = ($1::text[])[3] AND $2::text IS NULL"
        }
    };
    // Whoever owns the database stands for a role that nobody can be made a member of.
    let sql = format!(
        "SELECT r.rolname::text AS owner, o.routine FROM ({sql}) o (owner, routine) JOIN pg_roles n ON n.oid = o.owner
         JOIN pg_roles r ON r.oid = CASE WHEN n.rolname = 'pg_database_owner'
             THEN (SELECT datdba FROM pg_database WHERE datname = current_database()) ELSE n.oid END"
    );
    let row = transaction.query_opt(&sql, &[&privilege.path, &privilege.arguments]).await.map_err(|e| meaning(&e))?;
    let grant = || Grant::On(privilege.clone()).to_string();
    let row = row.ok_or_else(|| ConnectorError::Rejected(words(&format!("there is no such object: {}", grant()))))?;
    Ok((get(&row, "owner")?, get(&row, "routine")?))
}

/// Makes us a member of a role for this transaction, where we aren't one and it can be had; gives whom to leave again.
async fn join(transaction: &Transaction<'_>, superuser: bool, role: &str) -> Result<Option<String>, ConnectorError> {
    if superuser {
        return Ok(None);
    }
    let sql = "SELECT pg_has_role(current_user, oid, 'USAGE') AS member, rolsuper FROM pg_roles WHERE rolname = $1";
    let Some(row) = transaction.query_opt(sql, &[&role]).await.map_err(|e| meaning(&e))? else { return Ok(None) };
    // Nobody but a superuser becomes a superuser, nor a role of the server's own: what comes of it says the statement.
    if get(&row, "member")? || get(&row, "rolsuper")? || role.starts_with("pg_") {
        return Ok(None);
    }
    let sql = format!("GRANT {} TO CURRENT_USER", ident(role)?);
    transaction.batch_execute(&sql).await.map_err(|error| refused(&sql, &error))?;
    Ok(Some(role.to_owned()))
}

async fn leave(transaction: &Transaction<'_>, joined: impl IntoIterator<Item = &String>) -> Result<(), ConnectorError> {
    for role in joined {
        let sql = format!("REVOKE {} FROM CURRENT_USER", ident(role)?);
        transaction.batch_execute(&sql).await.map_err(|error| refused(&sql, &error))?;
    }
    Ok(())
}

/// What the server refused, by its own words.
fn refused(what: &str, error: &Error) -> ConnectorError {
    match meaning(error) {
        ConnectorError::Rejected(_) => {
            let detail = error.as_db_error().and_then(|said| said.detail()).unwrap_or_default();
            ConnectorError::Rejected(words(&format!("{what}: {} {detail}", said(error))))
        }
        other => other,
    }
}

/// The oid of a key.
pub(super) fn oid(key: &str) -> Result<u32, ConnectorError> {
    key.parse().map_err(|_| ConnectorError::Misconfigured("the key of a role is its oid".to_owned()))
}
