//! A system that no connector knows, by an endpoint that its people run: what is asked is signed (Standard Webhooks), who
//! answers is known by TLS.
//!
//! Everything here is the endpoint's word: nothing of it is seen or tried at the system itself. What it says of itself has
//! to hold together; more can't be known.
//!
//! The connector's login: the secret, `whsec_…`; its name is that of the endpoint's own account at the system, or empty.

mod api;

use std::sync::Arc;

use serde_json::json;
use tenure_core::base::time::Clock;
use tenure_core::store::port::BoxFuture;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{
    Ability, Connector, ConnectorError, Ending, Endpoint, Found, Mode, NewAccount, ProofWorth, Reach, SeenAccount,
    TargetKind, words,
};
use tenure_outbound::Outbound;

use self::api::{Api, Done, Listed, One, next, unseen};
use crate::comment::check_mark;
use crate::place::{Form, GONE, Place, asked, gone, may_end, may_issue, may_provision, not_ourselves};

const FORM: Form =
    Form { schemes: &[("https", Some(true)), ("http", Some(false))], ports: (443, 80), path: true, options: &[] };
const MAX_NAME: usize = 200;

/// The connector to endpoints of systems that have none of their own.
pub struct Webhook {
    outbound: Arc<Outbound>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").finish_non_exhaustive()
    }
}

impl Webhook {
    /// A connector on this way out; messages are signed by this clock.
    pub fn new(outbound: Arc<Outbound>, clock: Arc<dyn Clock>) -> Self {
        Self { outbound, clock }
    }

    fn open(&self, reach: &Reach<'_>) -> Result<Api<'_>, ConnectorError> {
        Api::open(&self.outbound, &*self.clock, reach)
    }

    /// An account that isn't our own, if it is there.
    async fn other(&self, reach: &Reach<'_>, key: &str) -> Result<(Api<'_>, Option<SeenAccount>), ConnectorError> {
        let api = self.open(reach)?;
        let account = one(&api, key).await?;
        not_ourselves(account.as_ref().is_some_and(|account| account.name == reach.login.name))?;
        Ok((api, account))
    }
}

async fn one(api: &Api<'_>, key: &str) -> Result<Option<SeenAccount>, ConnectorError> {
    let told: One = api.ask("read", json!({ "key": key })).await?;
    match told.seen()? {
        Some(account) if account.key != key => {
            Err(ConnectorError::Unreachable("its endpoint told another account than it was asked for".to_owned()))
        }
        account => Ok(account),
    }
}

fn word(said: &str) -> Ending {
    Ending { words: words(&format!("the endpoint's word: {said}")), sessions_ended: 0, sessions_left: None }
}

/// Does what is asked, and has it told that the account is stopped.
async fn stop(api: &Api<'_>, what: &str, key: &str) -> Result<Ending, ConnectorError> {
    let done: Done = api.ask(what, json!({ "key": key })).await?;
    if one(api, key).await?.is_some_and(|account| account.enabled) {
        let why = "its endpoint says that it did it, and that the account is enabled";
        return Err(ConnectorError::Rejected(why.to_owned()));
    }
    Ok(Ending { sessions_ended: done.sessions_ended, sessions_left: done.sessions_left, ..word(&done.words) })
}

fn check_name(name: &str) -> Result<(), ConnectorError> {
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) || name.trim() != name {
        return Err(ConnectorError::Misconfigured(format!(
            "a name has 1 to {MAX_NAME} bytes, and no blank at either end"
        )));
    }
    Ok(())
}

impl Connector for Webhook {
    fn kind(&self) -> TargetKind {
        TargetKind::Webhook
    }

    fn abilities(&self) -> &'static [Ability] {
        &[Ability::Discover, Ability::Provision, Ability::Rotate, Ability::Hold, Ability::Narrow, Ability::Revoke]
    }

    /// Whoever tries a login does it at the system itself, to which there is no way here.
    fn cannot(&self, _what: Ability) -> &'static str {
        "no login is tried where an endpoint's word is all there is"
    }

    fn proof(&self) -> ProofWorth {
        ProofWorth::Word
    }

    fn rights(&self, mode: Mode) -> &'static str {
        match mode {
            Mode::Observe => "# What the endpoint may be asked for with the secret of LOGIN.\nlist\nread\n",
            Mode::End => {
                "# What the endpoint may be asked for with the secret of LOGIN.\n\
                 list\nread\nhold\nrelease\nnarrow\nend\nissue\n"
            }
            Mode::Issue => {
                "# What the endpoint may be asked for with the secret of LOGIN.\n\
                 list\nread\nhold\nrelease\nnarrow\nend\nissue\nrotate\n"
            }
        }
    }

    fn blind_spots(&self) -> &'static [&'static str] {
        &["what the endpoint doesn't tell: all of this is its word"]
    }

    fn check(&self, endpoint: &Endpoint) -> Result<(), ConnectorError> {
        Place::of(endpoint, &FORM).map(|_| ())
    }

    fn whoami<'a>(&'a self, reach: &'a Reach<'a>) -> BoxFuture<'a, Result<Vec<String>, ConnectorError>> {
        asked(reach, async move {
            let listed: Listed = self.open(reach)?.ask("list", json!({ "after": null })).await?;
            let needed: &[&str] = match reach.mode {
                Mode::Observe => &["list", "read"],
                Mode::End => &["list", "read", "hold", "release", "end"],
                Mode::Issue => &["list", "read", "hold", "release", "end", "issue"],
            };
            let lacking = needed.iter().filter(|what| !listed.can.iter().any(|can| can == *what));
            Ok(lacking.map(|what| format!("its endpoint may not be asked for {what} with this secret")).collect())
        })
    }

    fn discover<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Found, ConnectorError>> {
        asked(reach, async move {
            let mut listed: Listed = self.open(reach)?.ask("list", json!({ "after": after })).await?;
            let unseen = unseen(&listed.unseen);
            let next = next(listed.next.take(), after)?;
            Ok(Found { accounts: listed.seen()?, next, unseen })
        })
    }

    fn read<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<SeenAccount>, ConnectorError>> {
        asked(reach, async move { one(&self.open(reach)?, key).await })
    }

    fn provision<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        account: &'a NewAccount<'a>,
    ) -> BoxFuture<'a, Result<SeenAccount, ConnectorError>> {
        asked(reach, async move {
            may_provision(reach, account)?;
            check_name(account.name)?;
            check_mark(account.mark)?;
            let data = json!({ "name": account.name, "secret": account.secret.expose(), "grants": account.grants,
                "ends_at": account.ends_at, "mark": account.mark });
            let told: One = self.open(reach)?.ask("issue", data).await?;
            let made = told.seen()?.filter(|made| made.name == account.name);
            made.ok_or_else(|| ConnectorError::Rejected("its endpoint told no account of that name".to_owned()))
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
            let (api, account) = self.other(reach, key).await?;
            account.ok_or_else(gone)?;
            let done: Done = api.ask("rotate", json!({ "key": key, "secret": secret.expose() })).await?;
            Ok(Ending { sessions_ended: done.sessions_ended, sessions_left: done.sessions_left, ..word(&done.words) })
        })
    }

    fn hold<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let (api, account) = self.other(reach, key).await?;
            if account.is_some() { stop(&api, "hold", key).await } else { Ok(word(GONE)) }
        })
    }

    fn release<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<(), ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let (api, account) = self.other(reach, key).await?;
            account.ok_or_else(gone)?;
            api.ask::<Done>("release", json!({ "key": key })).await.map(|_| ())
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
            let (api, account) = self.other(reach, key).await?;
            if account.is_none() {
                return Ok(word(GONE));
            }
            let done: Done = api.ask("narrow", json!({ "key": key, "keep": keep })).await?;
            Ok(Ending { sessions_ended: done.sessions_ended, sessions_left: done.sessions_left, ..word(&done.words) })
        })
    }

    fn revoke<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let (api, account) = self.other(reach, key).await?;
            if account.is_some() { stop(&api, "end", key).await } else { Ok(word(GONE)) }
        })
    }
}
