//! PostgreSQL: roles that may log in.
//!
//! - Options of an endpoint: `heir`, the role that gets what an ended one owned. Without it, a role that owns something
//!   stays, without a login and without a grant. `scram_iterations`, how often the password of a login is hashed.
//! - `VALID UNTIL` ends logins by password alone; a hold takes LOGIN, which all of them need.

mod acts;
mod batch;
mod catalogue;
mod grant;
mod kept;
mod privileges;
mod quote;
mod session;
mod verifier;

use std::sync::Arc;

use tenure_core::base::time::Span;
use tenure_core::store::port::BoxFuture;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{
    Ability, Batches, Connector, ConnectorError, Ending, Endpoint, Found, Gone, Mode, NewAccount, Probe, ProofWorth,
    Reach, SeenAccount, TargetKind, TargetLogin,
};
use tenure_outbound::Outbound;

use self::acts::{Act, oid};
use self::catalogue::{Which, get, roles};
pub use self::grant::{BadGrant, Grant, Privilege};
use self::kept::{Kept, Whose};
use self::session::{Failure, Session, is_known_but_turned_away, is_refusal, log_in, said};
use crate::place::{Form, Place, in_time, may_end, may_issue, may_provision};

const FORM: Form = Form {
    schemes: &[("postgres", None), ("postgresql", None)],
    ports: (5432, 5432),
    path: true,
    options: &["heir", verifier::OPTION],
};

/// The connector to PostgreSQL, from version 12 on.
#[derive(Debug)]
pub struct Postgresql {
    outbound: Arc<Outbound>,
    kept: Arc<Kept>,
}

impl Postgresql {
    /// A connector on this way out.
    pub fn new(outbound: Arc<Outbound>) -> Self {
        Self { outbound, kept: Arc::default() }
    }

    /// Works in a session, which is kept for a moment if the work was done.
    async fn within<T>(
        &self,
        reach: &Reach<'_>,
        work: impl AsyncFnOnce(&mut Act<'_>) -> Result<T, ConnectorError>,
    ) -> Result<T, ConnectorError> {
        in_time(reach.patience, async {
            let whose = Whose::of(reach);
            let kept = self.kept.take(&whose, reach).await;
            let (done, session) = self.work(reach, kept, work).await?;
            Kept::put(&self.kept, whose, session);
            Ok(done)
        })
        .await
    }

    async fn work<T>(
        &self,
        reach: &Reach<'_>,
        kept: Option<Session>,
        work: impl AsyncFnOnce(&mut Act<'_>) -> Result<T, ConnectorError>,
    ) -> Result<(T, Session), ConnectorError> {
        let place = Place::of(reach.endpoint, &FORM)?;
        let mut act = Act::begin(&self.outbound, &place, database(&place)?, reach, kept).await?;
        Ok((work(&mut act).await?, act.session))
    }

    async fn seen(&self, act: &Act<'_>, which: Which<'_>) -> Result<Found, ConnectorError> {
        let mut read = roles(act.outbound, act.place, act.reach, &act.session, which).await?;
        let unseen = std::mem::take(&mut read.unseen);
        let last = read.accounts.last().map(|(account, _)| account.key.clone());
        let next = last.filter(|_| read.more);
        Ok(Found { accounts: read.seen(), next, unseen })
    }
}

/// The database of an endpoint.
fn database(place: &Place<'_>) -> Result<String, ConnectorError> {
    let database = if place.path.is_empty() { "postgres" } else { &place.path };
    quote::ident(database)?;
    if database.contains(['/', '%']) {
        return Err(ConnectorError::Misconfigured("the URL's path is the name of one database, as it is".to_owned()));
    }
    Ok(database.to_owned())
}

impl Connector for Postgresql {
    fn kind(&self) -> TargetKind {
        TargetKind::Postgresql
    }

    fn abilities(&self) -> &'static [Ability] {
        &[
            Ability::Discover,
            Ability::Provision,
            Ability::Rotate,
            Ability::Hold,
            Ability::Narrow,
            Ability::Revoke,
            Ability::Probe,
            Ability::CountSessions,
            Ability::EndSessions,
        ]
    }

    fn proof(&self) -> ProofWorth {
        ProofWorth::Refusal
    }

    fn rights(&self, mode: Mode) -> &'static str {
        match mode {
            Mode::Observe => {
                "-- Nothing beyond a login that may connect to every database: roles, grants and sessions are in\n\
                 -- catalogues that everybody reads. Where PUBLIC may not connect: GRANT CONNECT ON DATABASE … TO LOGIN;\n"
            }
            Mode::End | Mode::Issue => {
                "ALTER USER LOGIN CREATEROLE;\n\
                 GRANT pg_signal_backend TO LOGIN;\n\
                 -- From PostgreSQL 16 on, also for each role that is to be stopped, narrowed or ended, and for each\n\
                 -- that owns what accounts are granted: GRANT … TO LOGIN WITH ADMIN OPTION;\n\
                 -- Where PUBLIC may not connect to a database: GRANT CONNECT ON DATABASE … TO LOGIN;\n"
            }
        }
    }

    fn blind_spots(&self) -> &'static [&'static str] {
        &["which logins pg_hba.conf lets in, from where and by what: the server alone reads it"]
    }

    fn check(&self, endpoint: &Endpoint) -> Result<(), ConnectorError> {
        let place = Place::of(endpoint, &FORM)?;
        if let Some(heir) = place.option("heir") {
            quote::ident(heir)?;
        }
        verifier::iterations(&place)?;
        database(&place).map(|_| ())
    }

    fn whoami<'a>(&'a self, reach: &'a Reach<'a>) -> BoxFuture<'a, Result<Vec<String>, ConnectorError>> {
        // Whether its login is let in, a new session alone can tell.
        let told = self.work(reach, None, async |act| {
            let sql = "SELECT rolsuper OR rolcreaterole AS makes_roles,
                              pg_has_role(current_user, 'pg_signal_backend', 'USAGE') AS ends_sessions
                       FROM pg_roles WHERE rolname = current_user";
            let rows = act.session.query(sql, &[]).await?;
            let row =
                rows.first().ok_or_else(|| ConnectorError::Rejected("it says nothing of the login".to_owned()))?;
            let mut problems = Vec::new();
            if act.reach.mode >= Mode::End {
                if !get(row, "makes_roles")? {
                    problems.push("it may not change roles: it lacks CREATEROLE".to_owned());
                }
                if !get(row, "ends_sessions")? {
                    problems.push("it may not end sessions: it is no member of pg_signal_backend".to_owned());
                }
                if let Some(heir) = act.place.option("heir") {
                    let sql = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AS known";
                    let rows = act.session.query(sql, &[&heir]).await?;
                    if !rows.first().map_or(Ok(false), |row| get(row, "known"))? {
                        problems.push("there is no role of the name that the option heir has".to_owned());
                    }
                }
            }
            Ok(problems)
        });
        Box::pin(in_time(reach.patience, async { Ok(told.await?.0) }))
    }

    fn discover<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Found, ConnectorError>> {
        Box::pin(async move {
            let behind = after.map(oid).transpose()?.unwrap_or(0);
            let observing = Reach { mode: Mode::Observe, ..*reach };
            self.within(&observing, async |act| self.seen(act, Which::Behind(behind)).await).await
        })
    }

    fn read<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<SeenAccount>, ConnectorError>> {
        Box::pin(async move {
            let one = [oid(key)?];
            let observing = Reach { mode: Mode::Observe, ..*reach };
            Ok(self.within(&observing, async |act| self.seen(act, Which::These(&one)).await).await?.accounts.pop())
        })
    }

    fn provision<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        account: &'a NewAccount<'a>,
    ) -> BoxFuture<'a, Result<SeenAccount, ConnectorError>> {
        Box::pin(async move {
            may_provision(reach, account)?;
            self.within(reach, async |act| {
                let key = act.provision(account).await?;
                let made = self.seen(act, Which::These(&[oid(&key)?])).await?.accounts.pop();
                made.ok_or_else(|| ConnectorError::Rejected("the role that was made isn't there".to_owned()))
            })
            .await
        })
    }

    fn rotate<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
        secret: &'a Secret<String>,
    ) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        Box::pin(async move {
            may_issue(reach)?;
            self.within(reach, async |act| act.rotate(key, secret).await).await
        })
    }

    fn hold<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        Box::pin(async move {
            may_end(reach)?;
            self.within(reach, async |act| act.hold(key).await).await
        })
    }

    fn release<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<(), ConnectorError>> {
        Box::pin(async move {
            may_end(reach)?;
            self.within(reach, async |act| act.release(key).await).await
        })
    }

    fn narrow<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
        keep: &'a [String],
    ) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        Box::pin(async move {
            may_end(reach)?;
            self.within(reach, async |act| act.narrow(key, keep).await).await
        })
    }

    fn revoke<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        Box::pin(async move {
            may_end(reach)?;
            self.within(reach, async |act| act.revoke(key).await).await
        })
    }

    fn batches(&self) -> Option<&dyn Batches> {
        Some(self)
    }

    fn probe<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        login: &'a TargetLogin,
        patience: Span,
    ) -> BoxFuture<'a, Result<Probe, ConnectorError>> {
        Box::pin(in_time(patience, async move {
            let place = Place::of(endpoint, &FORM)?;
            match log_in(&self.outbound, &place, &database(&place)?, login).await {
                Ok(_) => Ok(Probe::Accepted),
                Err(Failure::Connector(error)) => Err(error),
                Err(Failure::Said(error)) if is_refusal(&error) => Ok(Probe::Refused { words: said(&error) }),
                Err(Failure::Said(error)) if is_known_but_turned_away(&error) => Ok(Probe::Accepted),
                Err(Failure::Said(error)) => Err(ConnectorError::Unreachable(said(&error))),
            }
        }))
    }
}

impl Batches for Postgresql {
    fn provision_all<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        accounts: &'a [NewAccount<'a>],
    ) -> BoxFuture<'a, Vec<Result<SeenAccount, ConnectorError>>> {
        Box::pin(async move {
            let made = async {
                if let Some(Err(error)) =
                    accounts.iter().map(|account| may_provision(reach, account)).min_by_key(Result::is_err)
                {
                    return Err(error);
                }
                self.within(reach, async |act| Ok(batch::provision(act, accounts).await)).await
            };
            made.await.unwrap_or_else(|error| accounts.iter().map(|_| Err(error.clone())).collect())
        })
    }

    fn revoke_all<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        keys: &'a [String],
    ) -> BoxFuture<'a, Vec<Result<Gone, ConnectorError>>> {
        Box::pin(async move {
            let gone = async {
                may_end(reach)?;
                self.within(reach, async |act| Ok(batch::revoke(act, keys).await)).await
            };
            gone.await.unwrap_or_else(|error| keys.iter().map(|_| Err(error.clone())).collect())
        })
    }
}
