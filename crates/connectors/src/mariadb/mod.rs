//! MariaDB: accounts, by user and host.
//!
//! An account is one user at one host; its key is `user@host`. Sessions are told and ended by the user, since the
//! server's list of them has no account.

mod acts;
mod grant;
mod quote;
mod session;

use std::sync::Arc;

use mysql_async::Conn;
use tenure_core::base::time::Span;
use tenure_core::store::port::BoxFuture;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{
    Ability, Connector, ConnectorError, Ending, Endpoint, Found, Mode, NewAccount, Probe, ProofWorth, Reach,
    SeenAccount, TargetKind, TargetLogin,
};
use tenure_outbound::Outbound;

use self::acts::Name;
pub use self::grant::{BadMariadbGrant, MariadbGrant, Where};
use self::session::{Failure, is_known_but_turned_away, is_refusal, log_in, meaning, own, said};
use crate::place::{Form, Place, asked, in_time, may_end, may_issue, may_provision};

const FORM: Form =
    Form { schemes: &[("mariadb", None), ("mysql", None)], ports: (3306, 3306), path: false, options: &[] };

/// The connector to MariaDB, from version 10.4 on.
#[derive(Debug)]
pub struct Mariadb {
    outbound: Arc<Outbound>,
}

impl Mariadb {
    /// A connector on this way out.
    pub fn new(outbound: Arc<Outbound>) -> Self {
        Self { outbound }
    }

    async fn open(&self, reach: &Reach<'_>) -> Result<Conn, ConnectorError> {
        let place = Place::of(reach.endpoint, &FORM)?;
        own(&self.outbound, &place, reach).await
    }
}

impl Connector for Mariadb {
    fn kind(&self) -> TargetKind {
        TargetKind::Mariadb
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
            Mode::Observe => "GRANT SELECT ON mysql.* TO LOGIN;\nGRANT PROCESS ON *.* TO LOGIN;\n",
            Mode::End | Mode::Issue => {
                "GRANT SELECT ON mysql.* TO LOGIN;\n\
                 GRANT PROCESS, CREATE USER, CONNECTION ADMIN ON *.* TO LOGIN;\n\
                 -- Only what one has can be given or taken: what accounts are granted, for narrowing and issuing.\n\
                 GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE ON *.* TO LOGIN WITH GRANT OPTION;\n"
            }
        }
    }

    fn blind_spots(&self) -> &'static [&'static str] {
        &[
            "when an account was made and used last: the server keeps neither",
            "sessions are told by the user's name, whatever its host",
        ]
    }

    fn check(&self, endpoint: &Endpoint) -> Result<(), ConnectorError> {
        Place::of(endpoint, &FORM).map(|_| ())
    }

    fn whoami<'a>(&'a self, reach: &'a Reach<'a>) -> BoxFuture<'a, Result<Vec<String>, ConnectorError>> {
        asked(reach, async move {
            let mut session = self.open(reach).await?;
            let needed: &[&str] = match reach.mode {
                Mode::Observe => &["PROCESS"],
                Mode::End | Mode::Issue => &["PROCESS", "CREATE USER", "CONNECTION ADMIN"],
            };
            acts::problems(&mut session, needed).await
        })
    }

    fn discover<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Found, ConnectorError>> {
        asked(reach, async move {
            let mut session = self.open(reach).await?;
            acts::discover(&mut session, after).await
        })
    }

    fn read<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<SeenAccount>, ConnectorError>> {
        asked(reach, async move {
            let name = Name::of(key)?;
            acts::seen(&mut self.open(reach).await?, &name).await
        })
    }

    fn provision<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        account: &'a NewAccount<'a>,
    ) -> BoxFuture<'a, Result<SeenAccount, ConnectorError>> {
        asked(reach, async move {
            may_provision(reach, account)?;
            let mut session = self.open(reach).await?;
            let name = acts::provision(&mut session, account).await?;
            let made = acts::seen(&mut session, &name).await?;
            made.ok_or_else(|| ConnectorError::Rejected("the account that was made isn't there".to_owned()))
        })
    }

    fn rotate<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
        secret: &'a Secret<String>,
    ) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_issue(reach)?;
            let name = Name::of(key)?;
            acts::rotate(&mut self.open(reach).await?, &name, secret).await
        })
    }

    fn hold<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let name = Name::of(key)?;
            acts::hold(&mut self.open(reach).await?, &name).await
        })
    }

    fn release<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<(), ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let name = Name::of(key)?;
            acts::release(&mut self.open(reach).await?, &name).await
        })
    }

    fn narrow<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
        keep: &'a [String],
    ) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let name = Name::of(key)?;
            acts::narrow(&mut self.open(reach).await?, &name, keep).await
        })
    }

    fn revoke<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let name = Name::of(key)?;
            acts::revoke(&mut self.open(reach).await?, &name).await
        })
    }

    fn probe<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        login: &'a TargetLogin,
        patience: Span,
    ) -> BoxFuture<'a, Result<Probe, ConnectorError>> {
        Box::pin(in_time(patience, async move {
            let place = Place::of(endpoint, &FORM)?;
            match log_in(&self.outbound, &place, login).await {
                Ok(_) => Ok(Probe::Accepted),
                Err(Failure::Connector(error)) => Err(error),
                Err(Failure::Said(error)) if is_refusal(&error) => Ok(Probe::Refused { words: said(&error) }),
                Err(Failure::Said(error)) if is_known_but_turned_away(&error) => Ok(Probe::Accepted),
                Err(Failure::Said(error)) => Err(match meaning(&error) {
                    ConnectorError::Rejected(why) => ConnectorError::Unreachable(why),
                    other => other,
                }),
            }
        }))
    }
}
