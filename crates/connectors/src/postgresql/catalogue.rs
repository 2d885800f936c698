//! What a PostgreSQL's catalogue says of its roles.
//!
//! Which databases hold something of a role, `pg_shdepend` says in every database: so only those are connected to, and a
//! database that holds something and can't be reached is known by its name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tenure_core::base::time::Timestamp;
use tenure_core::target::connector::{
    AccountSort, ConnectorError, MAX_FOUND, MAX_TARGET_GRANTS, Reach, SeenAccount, words,
};
use tenure_outbound::Outbound;
use tokio::try_join;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::grant::{Grant, Privilege, kind, privilege, shown};
use super::session::{Session, meaning, own};
use crate::comment::Comment;
use crate::place::Place;

/// Databases besides the endpoint's that one question connects to at most.
const MAX_DATABASES: usize = 64;
/// Grants that one question reads in one database at most.
const MAX_ROWS: i64 = 100_000;

/// Roles that may log in, and those that we made or stopped; a condition on `$1` follows, and `$2` says how many. Whoever
/// reaches all is looked for among the few who do, and what stands in which order is the index's: a page of a hundred
/// thousand roles costs what a page costs.
const ROLES: &str = "
    WITH above AS MATERIALIZED (
        SELECT oid FROM pg_roles
        WHERE rolsuper OR rolname IN ('pg_execute_server_program', 'pg_write_server_files')),
    open AS MATERIALIZED (SELECT usesysid, count(*) AS sessions FROM pg_stat_activity GROUP BY usesysid)
    SELECT r.oid, r.rolname::text AS name, r.rolcanlogin, r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolreplication,
           r.rolbypassrls, shobj_description(r.oid, 'pg_authid') AS comment,
           coalesce((SELECT sessions FROM open WHERE usesysid = r.oid), 0) AS sessions,
           CASE WHEN isfinite(r.rolvaliduntil) THEN (extract(epoch FROM r.rolvaliduntil) * 1000000)::bigint END AS ends_at,
           EXISTS (SELECT FROM above WHERE pg_has_role(r.oid, above.oid, 'MEMBER')) AS reaches_all
    FROM pg_roles r WHERE ";
/// A page of them: those behind a place.
const BEHIND: &str = "r.oid > $1::oid AND (r.rolcanlogin OR shobj_description(r.oid, 'pg_authid') LIKE '%tenure:%')
    ORDER BY r.oid LIMIT $2";
/// These alone, whatever they may.
const THESE: &str = "r.oid = ANY($1::oid[]) ORDER BY r.oid LIMIT $2";

const VERSION: &str = "SELECT current_setting('server_version_num')::int AS version";

const MEMBERSHIPS: &str = "
    SELECT m.member, g.rolname::text AS of, m.admin_option
    FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = ANY($1)";

/// Databases that hold something of these roles.
const DATABASES: &str = "
    SELECT DISTINCT d.datname::text AS name, d.datname = current_database() AS here,
           d.datallowconn AND has_database_privilege(d.oid, 'CONNECT') AS open
    FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid
    WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = ANY($1) ORDER BY 1";

/// Privileges on what all databases share.
const SHARED: &str = "
    SELECT a.grantee, a.privilege_type, a.is_grantable, 'DATABASE' AS kind, ARRAY[d.datname::text] AS path,
           NULL::text AS col, NULL::text AS args
    FROM pg_database d, aclexplode(d.datacl) a WHERE a.grantee = ANY($1) AND a.grantee <> d.datdba
    UNION ALL
    SELECT a.grantee, a.privilege_type, a.is_grantable, 'TABLESPACE', ARRAY[t.spcname::text], NULL, NULL
    FROM pg_tablespace t, aclexplode(t.spcacl) a WHERE a.grantee = ANY($1) AND a.grantee <> t.spcowner";

/// The same since PostgreSQL 15.
const PARAMETERS: &str = "
    SELECT a.grantee, a.privilege_type, a.is_grantable, 'PARAMETER' AS kind, ARRAY[p.parname] AS path, NULL::text AS col,
           NULL::text AS args
    FROM pg_parameter_acl p, aclexplode(p.paracl) a WHERE a.grantee = ANY($1)";

/// Privileges inside the database: only what depends on the roles is looked at.
const INSIDE: &str = "
    WITH dep AS MATERIALIZED (
        SELECT DISTINCT classid, objid, objsubid FROM pg_shdepend
        WHERE refclassid = 'pg_authid'::regclass AND refobjid = ANY($1) AND deptype = 'a'
          AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()))
    SELECT a.grantee, a.privilege_type, a.is_grantable, CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
           ARRAY[current_database()::text, n.nspname::text, c.relname::text] AS path, NULL::text AS col, NULL::text AS args
    FROM dep JOIN pg_class c ON dep.classid = 'pg_class'::regclass AND c.oid = dep.objid AND dep.objsubid = 0
    JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a
    WHERE a.grantee = ANY($1) AND a.grantee <> c.relowner
    UNION ALL
    SELECT a.grantee, a.privilege_type, a.is_grantable, 'TABLE',
           ARRAY[current_database()::text, n.nspname::text, c.relname::text], t.attname::text, NULL
    FROM dep JOIN pg_attribute t ON dep.classid = 'pg_class'::regclass AND t.attrelid = dep.objid AND t.attnum = dep.objsubid
    JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(t.attacl) a
    WHERE dep.objsubid <> 0 AND a.grantee = ANY($1) AND a.grantee <> c.relowner
    UNION ALL
    SELECT a.grantee, a.privilege_type, a.is_grantable, 'SCHEMA', ARRAY[current_database()::text, n.nspname::text], NULL, NULL
    FROM dep JOIN pg_namespace n ON dep.classid = 'pg_namespace'::regclass AND n.oid = dep.objid, aclexplode(n.nspacl) a
    WHERE a.grantee = ANY($1) AND a.grantee <> n.nspowner
    UNION ALL
    SELECT a.grantee, a.privilege_type, a.is_grantable, 'ROUTINE',
           ARRAY[current_database()::text, n.nspname::text, p.proname::text], NULL, pg_get_function_identity_arguments(p.oid)
    FROM dep JOIN pg_proc p ON dep.classid = 'pg_proc'::regclass AND p.oid = dep.objid
    JOIN pg_namespace n ON n.oid = p.pronamespace, aclexplode(p.proacl) a
    WHERE a.grantee = ANY($1) AND a.grantee <> p.proowner
    UNION ALL
    SELECT a.grantee, a.privilege_type, a.is_grantable, 'TYPE',
           ARRAY[current_database()::text, n.nspname::text, t.typname::text], NULL, NULL
    FROM dep JOIN pg_type t ON dep.classid = 'pg_type'::regclass AND t.oid = dep.objid
    JOIN pg_namespace n ON n.oid = t.typnamespace, aclexplode(t.typacl) a
    WHERE a.grantee = ANY($1) AND a.grantee <> t.typowner
    UNION ALL
    SELECT a.grantee, a.privilege_type, a.is_grantable, 'LANGUAGE', ARRAY[current_database()::text, l.lanname::text], NULL, NULL
    FROM dep JOIN pg_language l ON dep.classid = 'pg_language'::regclass AND l.oid = dep.objid, aclexplode(l.lanacl) a
    WHERE a.grantee = ANY($1) AND a.grantee <> l.lanowner
    UNION ALL
    SELECT a.grantee, a.privilege_type, a.is_grantable, 'FOREIGN DATA WRAPPER',
           ARRAY[current_database()::text, w.fdwname::text], NULL, NULL
    FROM dep JOIN pg_foreign_data_wrapper w ON dep.classid = 'pg_foreign_data_wrapper'::regclass AND w.oid = dep.objid,
         aclexplode(w.fdwacl) a
    WHERE a.grantee = ANY($1) AND a.grantee <> w.fdwowner
    UNION ALL
    SELECT a.grantee, a.privilege_type, a.is_grantable, 'FOREIGN SERVER',
           ARRAY[current_database()::text, s.srvname::text], NULL, NULL
    FROM dep JOIN pg_foreign_server s ON dep.classid = 'pg_foreign_server'::regclass AND s.oid = dep.objid, aclexplode(s.srvacl) a
    WHERE a.grantee = ANY($1) AND a.grantee <> s.srvowner
    UNION ALL
    SELECT a.grantee, a.privilege_type, a.is_grantable, 'LARGE OBJECT',
           ARRAY[current_database()::text, l.oid::text], NULL, NULL
    FROM dep JOIN pg_largeobject_metadata l ON dep.classid = 'pg_largeobject'::regclass AND l.oid = dep.objid,
         aclexplode(l.lomacl) a
    WHERE a.grantee = ANY($1) AND a.grantee <> l.lomowner
    LIMIT $2";

/// What roles own, are defaults of, or have policies for: shown, and no privilege that is taken by itself.
const OTHERWISE: &str = "
    SELECT s.refobjid AS grantee, s.deptype::text AS how, i.type, i.identity,
           CASE WHEN s.dbid = 0 THEN NULL ELSE current_database()::text END AS database
    FROM pg_shdepend s, pg_identify_object(s.classid, s.objid, s.objsubid) i
    WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = ANY($1)
      AND (s.deptype IN ('o', 'r') OR (s.deptype = 'a' AND s.classid = 'pg_default_acl'::regclass))
      AND (s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) OR (s.dbid = 0 AND $2))
    LIMIT $3";

/// What a role may do.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    /// What can be taken from it one by one.
    pub grants: BTreeSet<Grant>,
    /// What it may do besides: what it owns, its default privileges, its policies.
    pub besides: BTreeSet<String>,
}

/// Roles, and what is known of them.
#[derive(Debug, Default)]
pub(super) struct Roles {
    pub accounts: Vec<(SeenAccount, Comment)>,
    pub holdings: BTreeMap<u32, Holdings>,
    /// Whether there are more behind them.
    pub more: bool,
    /// What could not be seen.
    pub unseen: Vec<String>,
}

/// Which roles are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which<'a> {
    /// Those behind this one.
    Behind(u32),
    /// These: [`MAX_FOUND`] at most.
    These(&'a [u32]),
}

/// Reads roles with all that they may do, in every database that holds something of them.
pub(super) async fn roles(
    outbound: &Arc<Outbound>,
    place: &Place<'_>,
    reach: &Reach<'_>,
    session: &Session,
    which: Which<'_>,
) -> Result<Roles, ConnectorError> {
    let (condition, which): (&str, &(dyn ToSql + Sync)) = match &which {
        Which::Behind(oid) => (BEHIND, oid),
        Which::These(oids) => (THESE, oids),
    };
    let (sql, limit) = (format!("{ROLES}{condition}"), i64::try_from(MAX_FOUND).unwrap_or(i64::MAX));
    let parameters: [&(dyn ToSql + Sync); 2] = [which, &(limit + 1)];
    let (rows, version) = try_join!(session.query(&sql, &parameters), session.query(VERSION, &[]))?;
    let version: i32 = version.first().map_or(Ok(0), |row| get(row, "version"))?;
    let mut roles = Roles { more: rows.len() > MAX_FOUND, ..Roles::default() };
    for row in rows.iter().take(MAX_FOUND) {
        let oid: u32 = get(row, "oid")?;
        let (account, comment) = account(row)?;
        let mut holdings = Holdings::default();
        for (column, attribute) in [
            ("rolsuper", "SUPERUSER"),
            ("rolcreaterole", "CREATEROLE"),
            ("rolcreatedb", "CREATEDB"),
            ("rolreplication", "REPLICATION"),
            ("rolbypassrls", "BYPASSRLS"),
        ] {
            if get(row, column)? {
                holdings.grants.insert(Grant::Attribute(attribute));
            }
        }
        roles.holdings.insert(oid, holdings);
        roles.accounts.push((account, comment));
    }
    let oids: Vec<u32> = roles.holdings.keys().copied().collect();
    if oids.is_empty() {
        return Ok(roles);
    }
    let oids_alone: [&(dyn ToSql + Sync); 1] = [&oids];
    // The server answers these one after another, without waiting for us in between.
    let (memberships, shared, parameters, databases, ()) = try_join!(
        session.query(MEMBERSHIPS, &oids_alone),
        session.query(SHARED, &oids_alone),
        async {
            match version >= 150_000 {
                true => session.query(PARAMETERS, &oids_alone).await,
                false => Ok(Vec::new()),
            }
        },
        session.query(DATABASES, &oids_alone),
        roles.inside(session, &oids, true),
    )?;
    for row in memberships {
        let member = Grant::Member { of: get(&row, "of")?, admin: get(&row, "admin_option")? };
        roles.holdings.entry(get(&row, "member")?).or_default().grants.insert(member);
    }
    for row in shared.iter().chain(&parameters) {
        roles.add(row)?;
    }
    let mut elsewhere = 0;
    for row in databases {
        let (name, here, open): (String, bool, bool) = (get(&row, "name")?, get(&row, "here")?, get(&row, "open")?);
        if here {
            continue;
        }
        elsewhere += 1;
        if !open || elsewhere > MAX_DATABASES {
            roles.unseen.push(words(&format!("what is granted inside the database {}", shown(&name))));
            continue;
        }
        match own(outbound, place, &name, reach).await {
            Ok(other) => roles.inside(&other, &oids, false).await?,
            // It is there, and says that it doesn't let us in.
            Err(ConnectorError::Rejected(why) | ConnectorError::Unauthorized(why)) => {
                let database = shown(&name);
                roles.unseen.push(words(&format!("what is granted inside the database {database}: {why}")));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(roles)
}

impl Roles {
    /// The accounts as the port has them.
    pub fn seen(self) -> Vec<SeenAccount> {
        let Self { accounts, mut holdings, .. } = self;
        let told = |(account, _): (SeenAccount, Comment)| {
            let holdings = account.key.parse().ok().and_then(|oid: u32| holdings.remove(&oid)).unwrap_or_default();
            let mut grants: Vec<String> = holdings.grants.iter().map(ToString::to_string).collect();
            grants.extend(holdings.besides);
            grants.sort_unstable();
            let more = u32::try_from(grants.len().saturating_sub(MAX_TARGET_GRANTS)).unwrap_or(u32::MAX);
            grants.truncate(MAX_TARGET_GRANTS);
            SeenAccount { grants, more_grants: more, ..account }
        };
        accounts.into_iter().map(told).collect()
    }

    async fn inside(&mut self, session: &Session, oids: &[u32], shared: bool) -> Result<(), ConnectorError> {
        let (within, besides): ([&(dyn ToSql + Sync); 2], [&(dyn ToSql + Sync); 3]) =
            ([&oids, &MAX_ROWS], [&oids, &shared, &MAX_ROWS]);
        let (rows, others) = try_join!(session.query(INSIDE, &within), session.query(OTHERWISE, &besides))?;
        let full = usize::try_from(MAX_ROWS).unwrap_or(usize::MAX);
        if rows.len() >= full || others.len() >= full {
            self.unseen.push(format!("more than {MAX_ROWS} grants in one database"));
        }
        for row in &rows {
            self.add(row)?;
        }
        for row in &others {
            let (how, of, identity): (String, String, String) =
                (get(row, "how")?, get(row, "type")?, get(row, "identity")?);
            let database: Option<String> = get(row, "database")?;
            let within = database.map(|name| format!(" in {}", shown(&name))).unwrap_or_default();
            let what = match how.as_str() {
                "o" => format!("OWNER OF {of} {identity}{within}"),
                "r" => format!("{of} {identity}{within}"),
                _ => format!("DEFAULT PRIVILEGES: {identity}{within}"),
            };
            self.holdings.entry(get(row, "grantee")?).or_default().besides.insert(words(&what));
        }
        Ok(())
    }

    fn add(&mut self, row: &Row) -> Result<(), ConnectorError> {
        let (what, on): (String, String) = (get(row, "privilege_type")?, get(row, "kind")?);
        let (path, arguments): (Vec<String>, Option<String>) = (get(row, "path")?, get(row, "args")?);
        let (column, grantable): (Option<String>, bool) = (get(row, "col")?, get(row, "is_grantable")?);
        let holdings = self.holdings.entry(get(row, "grantee")?).or_default();
        match (privilege(&what), kind(&on)) {
            (Some(what), Some(kind)) => {
                holdings.grants.insert(Grant::On(Privilege { what, column, kind, path, arguments, grantable }));
            }
            // A privilege that a newer server invented.
            _ => {
                holdings.besides.insert(words(&format!("{what} ON {on} {}", path.join("."))));
            }
        }
        Ok(())
    }
}

/// The oid of the superuser that `initdb` makes, whatever it is called.
const FIRST_SUPERUSER: u32 = 10;

fn account(row: &Row) -> Result<(SeenAccount, Comment), ConnectorError> {
    let comment = Comment::read(get::<Option<String>>(row, "comment")?.as_deref().unwrap_or_default());
    let superuser: bool = get(row, "rolsuper")?;
    let makes_roles: bool = get(row, "rolcreaterole")?;
    let reaches_all: bool = get(row, "reaches_all")?;
    let sessions: i64 = get(row, "sessions")?;
    let oid: u32 = get(row, "oid")?;
    let account = SeenAccount {
        key: oid.to_string(),
        name: get(row, "name")?,
        sort: AccountSort::Login,
        enabled: get(row, "rolcanlogin")?,
        ends_at: get::<Option<i64>>(row, "ends_at")?.map(Timestamp::from_micros),
        made_at: None,
        last_used_at: None,
        sessions: Some(u32::try_from(sessions).unwrap_or(u32::MAX)),
        built_in: oid == FIRST_SUPERUSER,
        privileged: superuser || makes_roles || reaches_all,
        grants: Vec::new(),
        more_grants: 0,
        marks: comment.marks(),
    };
    Ok((account, comment))
}

/// A column of a row, of the type that the query says.
pub(super) fn get<'r, T: tokio_postgres::types::FromSql<'r>>(row: &'r Row, column: &str) -> Result<T, ConnectorError> {
    row.try_get(column).map_err(|error| meaning(&error))
}
