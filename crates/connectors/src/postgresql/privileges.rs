//! Grants that are given and taken inside one database, as a member of whoever owns what they are on, for one transaction.

use std::collections::BTreeSet;

use tenure_core::target::connector::{ConnectorError, words};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row, Transaction};

use super::catalogue::get;
use super::grant::{Grant, Privilege, shown};
use super::quote::ident;
use super::session::{Prepared, Session, meaning, said};

/// Whether grants are given or taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Give,
    Take,
}

/// A transaction in which we are a member of whom we have to be, and of nobody once it is committed.
pub(super) struct Guest<'t> {
    transaction: Transaction<'t>,
    prepared: &'t Prepared,
    superuser: bool,
    joined: BTreeSet<String>,
}

impl<'t> Guest<'t> {
    pub async fn begin(session: &'t mut Session) -> Result<Self, ConnectorError> {
        let Session { client, prepared, .. } = session;
        prepared.begun();
        let transaction = client.transaction().await.map_err(|e| meaning(&e))?;
        let sql = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user";
        let rows = prepared.query(&transaction, sql, &[]).await?;
        let superuser = rows.first().map_or(Ok(false), |row| get(row, "rolsuper"))?;
        Ok(Self { superuser, transaction, prepared, joined: BTreeSet::new() })
    }

    async fn query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, ConnectorError> {
        self.prepared.query(&self.transaction, sql, parameters).await
    }

    /// Runs statements; `what` names them where the server refuses them.
    pub async fn run(&self, what: &str, sql: &str) -> Result<(), ConnectorError> {
        self.transaction.batch_execute(sql).await.map_err(|error| refused(what, &error))
    }

    /// Gives grants to roles, or takes them.
    pub async fn change(&mut self, roles: &[&str], grants: &[&Grant], change: Change) -> Result<(), ConnectorError> {
        let to = idents(roles)?;
        for grant in grants {
            let sql = match (grant, change) {
                (Grant::Attribute(attribute), Change::Take) => roles
                    .iter()
                    .map(|role| Ok(format!("ALTER ROLE {} NO{attribute};", ident(role)?)))
                    .collect::<Result<_, ConnectorError>>()?,
                (Grant::Attribute(attribute), Change::Give) => {
                    return Err(ConnectorError::Unable(format!("no account is given {attribute}")));
                }
                (Grant::Member { of, admin }, Change::Give) => {
                    format!("GRANT {} TO {to}{}", ident(of)?, if *admin { " WITH ADMIN OPTION" } else { "" })
                }
                (Grant::Member { of, .. }, Change::Take) => format!("REVOKE {} FROM {to}", ident(of)?),
                (Grant::On(privilege), change) => {
                    let (owner, routine) = self.owner(privilege).await?;
                    self.join(&[&owner]).await?;
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
            self.run(&grant.to_string(), &sql).await?;
        }
        Ok(())
    }

    /// Takes all that roles hold in this database. What they own goes to the heir, if there is one, and to nobody else: no
    /// table is ever dropped.
    pub async fn drop_owned(
        &mut self,
        oids: &[u32],
        roles: &[&str],
        heir: Option<&str>,
        database: &str,
    ) -> Result<(), ConnectorError> {
        let names = idents(roles)?;
        self.join(roles).await?;
        // DROP OWNED takes, with a warning alone, only what it may take: privileges on what others own, as one of them.
        let owners = "SELECT o.rolname::text AS owner FROM pg_shdepend a
                      JOIN pg_shdepend b ON (b.dbid, b.classid, b.objid, b.deptype) = (a.dbid, a.classid, a.objid, 'o'::\"char\")
                      JOIN pg_roles o ON o.oid = b.refobjid
                      WHERE a.refclassid = 'pg_authid'::regclass AND a.refobjid = ANY($1) AND a.deptype = 'a'
                        AND a.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
                      UNION SELECT r.rolname::text FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba
                            WHERE d.datname = current_database()";
        let rows = self.query(owners, &[&oids]).await?;
        let owners: Vec<String> = rows.iter().map(|row| get(row, "owner")).collect::<Result<_, _>>()?;
        self.join(&owners.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        if let Some(heir) = heir
            && self.owned(oids).await? > 0
        {
            self.join(&[heir]).await?;
            self.run("REASSIGN OWNED", &format!("REASSIGN OWNED BY {names} TO {}", ident(heir)?)).await?;
        }
        let left = self.owned(oids).await?;
        if left > 0 {
            let how = if heir.is_some() { "" } else { ", and the endpoint's option heir names nobody to have them" };
            return Err(ConnectorError::Rejected(format!("it owns {left} objects of {}{how}", shown(database))));
        }
        self.run("DROP OWNED", &format!("DROP OWNED BY {names}")).await
    }

    /// How many objects roles own in this database and in what all databases share.
    async fn owned(&self, oids: &[u32]) -> Result<i64, ConnectorError> {
        let owned = "SELECT count(*) AS owned FROM pg_shdepend
                     WHERE refclassid = 'pg_authid'::regclass AND refobjid = ANY($1) AND deptype = 'o'
                       AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))";
        self.query(owned, &[&oids]).await?.first().map_or(Ok(0), |row| get(row, "owned"))
    }

    /// Makes us a member of roles, where we aren't one and it can be had.
    async fn join(&mut self, roles: &[&str]) -> Result<(), ConnectorError> {
        let others: Vec<&str> = roles.iter().copied().filter(|role| !self.joined.contains(*role)).collect();
        if self.superuser || others.is_empty() {
            return Ok(());
        }
        // Nobody but a superuser becomes a superuser, nor a role of the server's own: what comes of it says the statement.
        let sql = "SELECT rolname::text AS name FROM pg_roles
                   WHERE rolname = ANY($1::text[]) AND NOT pg_has_role(current_user, oid, 'USAGE') AND NOT rolsuper
                     AND rolname NOT LIKE 'pg\\_%'";
        let rows = self.query(sql, &[&others]).await?;
        let missing: Vec<String> = rows.iter().map(|row| get(row, "name")).collect::<Result<_, _>>()?;
        if missing.is_empty() {
            return Ok(());
        }
        let sql = format!("GRANT {} TO CURRENT_USER", idents(&missing)?);
        self.run(&sql, &sql).await?;
        self.joined.extend(missing);
        Ok(())
    }

    /// Leaves whom we joined; those that were dropped meanwhile are left already.
    pub async fn leave(&mut self) -> Result<(), ConnectorError> {
        let joined: Vec<String> = std::mem::take(&mut self.joined).into_iter().collect();
        if joined.is_empty() {
            return Ok(());
        }
        let sql = format!("REVOKE {} FROM CURRENT_USER", idents(&joined)?);
        self.run(&sql, &sql).await
    }

    pub async fn commit(mut self) -> Result<(), ConnectorError> {
        self.leave().await?;
        self.transaction.commit().await.map_err(|e| meaning(&e))?;
        self.prepared.finished();
        Ok(())
    }

    /// Who owns the object of a privilege, and what a routine is called in statements.
    async fn owner(&self, privilege: &Privilege) -> Result<(String, Option<String>), ConnectorError> {
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
        let rows = self.query(&sql, &[&privilege.path, &privilege.arguments]).await?;
        let grant = || Grant::On(privilege.clone()).to_string();
        let row = rows
            .first()
            .ok_or_else(|| ConnectorError::Rejected(words(&format!("there is no such object: {}", grant()))))?;
        Ok((get(row, "owner")?, get(row, "routine")?))
    }
}

/// Names in a statement.
fn idents(names: &[impl AsRef<str>]) -> Result<String, ConnectorError> {
    let quoted: Vec<String> = names.iter().map(|name| ident(name.as_ref())).collect::<Result<_, _>>()?;
    Ok(quoted.join(", "))
}

/// What the server refused, by its own words.
pub(super) fn refused(what: &str, error: &Error) -> ConnectorError {
    match meaning(error) {
        ConnectorError::Rejected(_) => {
            let detail = error.as_db_error().and_then(|said| said.detail()).unwrap_or_default();
            ConnectorError::Rejected(words(&format!("{what}: {} {detail}", said(error))))
        }
        other => other,
    }
}
