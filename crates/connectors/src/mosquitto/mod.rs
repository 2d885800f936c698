//! Mosquitto: clients of its dynamic security, from version 2 on.
//!
//! Whoever may ask may change: that only observing goes on holds Tenure, and not the broker. Each change of a client
//! closes its connections, and the broker answers once it has; it tells nobody how many there were.

mod client;
mod session;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use tenure_core::base::time::Span;
use tenure_core::store::port::BoxFuture;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{
    Ability, Connector, ConnectorError, Ending, Endpoint, Found, MAX_FOUND, Mode, NewAccount, Probe, ProofWorth, Reach,
    SeenAccount, TargetKind, TargetLogin, words,
};
use tenure_outbound::Outbound;

use self::client::{Client, Masters, check_new_name, wanted};
use self::session::{Greeting, Session};
use crate::comment::{Comment, check_mark};
use crate::place::{Form, GONE, Place, asked, gone, in_time, may_end, may_issue, may_provision, not_ourselves};

const FORM: Form =
    Form { schemes: &[("mqtts", Some(true)), ("mqtt", Some(false))], ports: (8883, 1883), path: false, options: &[] };

/// The connector to Mosquitto.
#[derive(Debug)]
pub struct Mosquitto {
    outbound: Arc<Outbound>,
}

impl Mosquitto {
    /// A connector on this way out.
    pub fn new(outbound: Arc<Outbound>) -> Self {
        Self { outbound }
    }

    async fn open(&self, reach: &Reach<'_>) -> Result<Session, ConnectorError> {
        Session::own(&self.outbound, reach).await
    }

    /// A session, and a client that isn't our own, if it is there.
    async fn other(&self, reach: &Reach<'_>, name: &str) -> Result<(Session, Option<Client>), ConnectorError> {
        let mut session = self.open(reach).await?;
        not_ourselves(reach.login.name == name)?;
        let client = get(&mut session, name).await?;
        Ok((session, client))
    }
}

async fn get(session: &mut Session, name: &str) -> Result<Option<Client>, ConnectorError> {
    let told = session.ask(json!({ "command": "getClient", "username": name })).await?;
    Ok(told.as_ref().and_then(|told| told.get("client")).map(Client::of))
}

async fn masters(session: &mut Session) -> Result<Masters, ConnectorError> {
    let mut list = async |command: &str| {
        session.ask(json!({ "command": command, "verbose": true, "count": -1, "offset": 0 })).await
    };
    let roles = list("listRoles").await?.unwrap_or_default();
    let groups = list("listGroups").await?.unwrap_or_default();
    Ok(Masters::of(&roles, &groups))
}

/// Changes a client: it is there.
async fn change(session: &mut Session, name: &str, command: &str, mut with: Value) -> Result<(), ConnectorError> {
    if let Some(with) = with.as_object_mut() {
        with.insert("command".to_owned(), command.into());
        with.insert("username".to_owned(), name.into());
    }
    session.ask(with).await?.map(|_| ()).ok_or_else(gone)
}

async fn describe(session: &mut Session, name: &str, comment: &Comment) -> Result<(), ConnectorError> {
    change(session, name, "modifyClient", json!({ "textdescription": comment.write() })).await
}

/// The broker has closed what was open, and counted nothing.
fn closed(said: &str) -> Ending {
    Ending { words: words(said), sessions_ended: 0, sessions_left: None }
}

fn listed(names: &BTreeSet<String>, name: &str) -> Vec<Value> {
    names.iter().map(|it| json!({ name: it })).collect()
}

impl Connector for Mosquitto {
    fn kind(&self) -> TargetKind {
        TargetKind::Mosquitto
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
            Ability::EndSessions,
        ]
    }

    fn proof(&self) -> ProofWorth {
        ProofWorth::Refusal
    }

    fn rights(&self, _mode: Mode) -> &'static str {
        "# Whoever may ask may change, whatever it is asked for.\n\
         mosquitto_ctrl dynsec createRole tenure\n\
         mosquitto_ctrl dynsec addRoleACL tenure publishClientSend '$CONTROL/dynamic-security/v1' allow\n\
         mosquitto_ctrl dynsec addRoleACL tenure subscribeLiteral '$CONTROL/dynamic-security/v1/response' allow\n\
         mosquitto_ctrl dynsec addRoleACL tenure publishClientReceive '$CONTROL/dynamic-security/v1/response' allow\n\
         mosquitto_ctrl dynsec addClientRole LOGIN tenure\n"
    }

    fn blind_spots(&self) -> &'static [&'static str] {
        &[
            "logins by password file, certificate or another plugin",
            "whether a client has a password, when it was made and used last",
            "open connections: the broker tells them of nobody",
        ]
    }

    fn check(&self, endpoint: &Endpoint) -> Result<(), ConnectorError> {
        Place::of(endpoint, &FORM).map(|_| ())
    }

    fn whoami<'a>(&'a self, reach: &'a Reach<'a>) -> BoxFuture<'a, Result<Vec<String>, ConnectorError>> {
        asked(reach, async move {
            let mut session = self.open(reach).await?;
            match get(&mut session, &reach.login.name).await {
                Ok(Some(_)) => Ok(Vec::new()),
                Ok(None) => Ok(vec!["its login is none of dynamic security".to_owned()]),
                Err(ConnectorError::Rejected(why)) => Ok(vec![why]),
                Err(error) => Err(error),
            }
        })
    }

    fn discover<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Found, ConnectorError>> {
        asked(reach, async move {
            let mut session = self.open(reach).await?;
            let masters = masters(&mut session).await?;
            let list = json!({ "command": "listClients", "verbose": true, "count": -1, "offset": 0 });
            let told = session.ask(list).await?.unwrap_or_default();
            let clients = told.get("clients").and_then(Value::as_array).into_iter().flatten().map(Client::of);
            let mut clients: Vec<_> =
                clients.filter(|client| after.is_none_or(|after| client.name.as_str() > after)).collect();
            clients.sort_unstable_by(|one, other| one.name.cmp(&other.name));
            let more = clients.len() > MAX_FOUND;
            clients.truncate(MAX_FOUND);
            let next = clients.last().filter(|_| more).map(|client| client.name.clone());
            let mut found = Found { next, ..Found::default() };
            found.accounts = clients.iter().map(|client| client.seen(&masters)).collect();
            Ok(found)
        })
    }

    fn read<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<SeenAccount>, ConnectorError>> {
        asked(reach, async move {
            let mut session = self.open(reach).await?;
            let Some(client) = get(&mut session, key).await? else { return Ok(None) };
            Ok(Some(client.seen(&masters(&mut session).await?)))
        })
    }

    fn provision<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        account: &'a NewAccount<'a>,
    ) -> BoxFuture<'a, Result<SeenAccount, ConnectorError>> {
        asked(reach, async move {
            may_provision(reach, account)?;
            check_new_name(account.name)?;
            check_mark(account.mark)?;
            let (roles, groups) = wanted(account.grants)?;
            let (mut session, known) = self.other(reach, account.name).await?;
            if known.as_ref().is_some_and(|client| client.comment.made_for.as_deref() != Some(account.mark)) {
                return Err(ConnectorError::Taken);
            }
            let masters = masters(&mut session).await?;
            let comment = Comment { made_for: Some(account.mark.to_owned()), ..Comment::default() };
            let made = Client { name: account.name.to_owned(), comment, roles, groups, ..Client::default() };
            if made.seen(&masters).privileged {
                return Err(ConnectorError::Unable("no account is made that may change clients".to_owned()));
            }
            let with = json!({
                "password": account.secret.expose(),
                "textdescription": made.comment.write(),
                "roles": listed(&made.roles, "rolename"),
                "groups": listed(&made.groups, "groupname"),
            });
            let command = if known.is_some() { "modifyClient" } else { "createClient" };
            change(&mut session, account.name, command, with).await?;
            if known.is_some_and(|client| client.disabled) {
                change(&mut session, account.name, "enableClient", json!({})).await?;
            }
            let made = get(&mut session, account.name).await?;
            made.map(|client| client.seen(&masters))
                .ok_or_else(|| ConnectorError::Rejected("the client that was made isn't there".to_owned()))
        })
    }

    /// A login that is bound to a client id is refused by every other one: who tries it without that would take it for
    /// ended. So it gets no secret of ours.
    fn rotate<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
        secret: &'a Secret<String>,
    ) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_issue(reach)?;
            let (mut session, client) = self.other(reach, key).await?;
            let client = client.ok_or_else(gone)?;
            if client.bound_to.is_some() {
                return Err(ConnectorError::Unable("it is bound to a client id".to_owned()));
            }
            change(&mut session, key, "setClientPassword", json!({ "password": secret.expose() })).await?;
            Ok(closed("setClientPassword: another password, its connections are closed"))
        })
    }

    fn hold<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let (mut session, client) = self.other(reach, key).await?;
            let Some(client) = client else { return Ok(closed(GONE)) };
            if !client.disabled {
                if !client.comment.held {
                    describe(&mut session, key, &Comment { held: true, ..client.comment }).await?;
                }
                change(&mut session, key, "disableClient", json!({})).await?;
            }
            Ok(closed("disableClient: it is disabled, its connections are closed"))
        })
    }

    fn release<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<(), ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let (mut session, client) = self.other(reach, key).await?;
            let client = client.ok_or_else(gone)?;
            if client.comment.held {
                change(&mut session, key, "enableClient", json!({})).await?;
                describe(&mut session, key, &Comment { held: false, ..client.comment }).await?;
            }
            Ok(())
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
            let (mut session, client) = self.other(reach, key).await?;
            let Some(client) = client else { return Ok(closed(GONE)) };
            let held = client.grants();
            let taken: Vec<String> = held.iter().filter(|grant| !keep.contains(grant)).cloned().collect();
            if taken.is_empty() {
                return Ok(closed("it has no other grants"));
            }
            // One by one: what is kept keeps its priority.
            let (roles, groups) = wanted(&taken)?;
            for role in roles {
                change(&mut session, key, "removeClientRole", json!({ "rolename": role })).await?;
            }
            for group in groups {
                change(&mut session, key, "removeGroupClient", json!({ "groupname": group })).await?;
            }
            Ok(closed(&format!("{} of {} grants taken, its connections are closed", taken.len(), held.len())))
        })
    }

    fn revoke<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let (mut session, client) = self.other(reach, key).await?;
            if client.is_none() {
                return Ok(closed(GONE));
            }
            session.ask(json!({ "command": "deleteClient", "username": key })).await?;
            Ok(closed("deleteClient: it is deleted, its connections are closed"))
        })
    }

    fn probe<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        login: &'a TargetLogin,
        patience: Span,
    ) -> BoxFuture<'a, Result<Probe, ConnectorError>> {
        Box::pin(in_time(patience, async move {
            match Session::connect(&self.outbound, endpoint, login).await? {
                Greeting::Accepted(_) => Ok(Probe::Accepted),
                Greeting::Refused(words) => Ok(Probe::Refused { words }),
            }
        }))
    }
}
