//! SCIM 2.0: users of whatever is a SCIM service provider (RFC 7643, RFC 7644).
//!
//! - The connector's login: a bearer token; its name is that of the user whose token it is, or empty.
//! - The option `user_type` of an endpoint: accounts are users of that `userType`, and those that are made get it.
//!   Without it every user is one, people among them.
//!
//! Providers differ in what they understand, and answer 200 to what they don't: every change is read back, and made in
//! another form where it shows nothing.

mod acts;
mod api;
mod group;
mod user;

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tenure_core::base::time::Span;
use tenure_core::store::port::BoxFuture;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{
    Ability, Connector, ConnectorError, Ending, Endpoint, Found, MAX_FOUND, Mode, NewAccount, Probe, ProofWorth, Reach,
    SeenAccount, TargetKind, TargetLogin, words,
};
use tenure_outbound::Outbound;

use self::acts::{activate, create, items, mark, relist, renew, set_password, unmark};
use self::api::{Api, Config};
use self::group::Groups;
use self::user::{LISTS, User, Wanted, check_name, group_grant, quoted};
use crate::comment::check_mark;
use crate::place::{Form, GONE, asked, basic, gone, in_time, may_end, may_issue, may_provision, not_ourselves};

const USER_TYPE: &str = "user_type";
const FORM: Form = Form {
    schemes: &[("https", Some(true)), ("http", Some(false))],
    ports: (443, 80),
    path: true,
    options: &[USER_TYPE],
};
/// What is asked of users: their addresses and numbers are nobody's business here.
const ATTRIBUTES: &str = "userName,active,externalId,displayName,userType,entitlements,roles,groups,meta";
/// What there is not: whoever may change it may change what there is.
const NOBODY: &str = "tenure-nobody";

/// The connector to SCIM service providers.
#[derive(Debug)]
pub struct Scim {
    outbound: Arc<Outbound>,
}

impl Scim {
    /// A connector on this way out.
    pub fn new(outbound: Arc<Outbound>) -> Self {
        Self { outbound }
    }

    /// A user that isn't our own, if it is there.
    async fn other<'r>(&'r self, reach: &'r Reach<'r>, id: &str) -> Result<(Api<'r>, Option<User>), ConnectorError> {
        let api = Api::own(&self.outbound, reach)?;
        let Some(user) = get(&api, id).await? else { return Ok((api, None)) };
        // Whose token it is, the provider may know; otherwise whoever handed it in has said so.
        let us = api.send(Method::GET, &["Me"], &[], None, None).await?;
        let is_us = us.is_done() && us.body.get("id").and_then(Value::as_str) == Some(id);
        not_ourselves(is_us || user.name.to_lowercase() == reach.login.name.to_lowercase())?;
        Ok((api, Some(user)))
    }
}

async fn get(api: &Api<'_>, id: &str) -> Result<Option<User>, ConnectorError> {
    let Some(told) = api.get(&["Users", id]).await? else { return Ok(None) };
    let user = User::of(&told).filter(|user| user.id == id);
    user.map(Some).ok_or_else(|| ConnectorError::Unreachable("it told a user without its id or name".to_owned()))
}

/// The user of a name. Providers compare names in ways of their own: another one that they take for the same is `Taken`.
async fn named(api: &Api<'_>, config: &Config, name: &str) -> Result<Option<User>, ConnectorError> {
    let filter = format!("userName eq {}", quoted(name));
    let filter = Some(filter.as_str()).filter(|_| config.filter);
    let listed = api.list("Users", ATTRIBUTES, filter).await?.unwrap_or_default().uncut()?;
    let mut users = listed.values().filter_map(User::of);
    if config.filter {
        return match users.next() {
            Some(user) if user.name != name => Err(ConnectorError::Taken),
            user => Ok(user),
        };
    }
    Ok(users.find(|user| user.name == name))
}

async fn seen(api: &Api<'_>, config: &Config, id: &str) -> Result<Option<SeenAccount>, ConnectorError> {
    let Some(user) = get(api, id).await? else { return Ok(None) };
    let groups = Groups::of(api, config, id).await?;
    Ok(Some(user.seen(&groups.of_user(&user))))
}

/// What was open goes on until whoever runs the provider ends it: SCIM knows no sessions.
fn ended(said: &str) -> Ending {
    Ending { words: words(&format!("{said}; SCIM tells no sessions")), sessions_ended: 0, sessions_left: None }
}

impl Connector for Scim {
    fn kind(&self) -> TargetKind {
        TargetKind::Scim
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
        ]
    }

    /// Few providers let a user be tried.
    fn proof(&self) -> ProofWorth {
        ProofWorth::ReadBack
    }

    fn rights(&self, mode: Mode) -> &'static str {
        match mode {
            Mode::Observe => include_str!("observe.txt"),
            // Canaries are users like any other.
            Mode::End | Mode::Issue => include_str!("end.txt"),
        }
    }

    fn blind_spots(&self) -> &'static [&'static str] {
        &[
            "sessions, tokens, other ways to log in, and when a user logged in last",
            "what a group, a role or an entitlement allows",
            "users of another userType, where the endpoint names one",
        ]
    }

    fn check(&self, endpoint: &Endpoint) -> Result<(), ConnectorError> {
        Api::at(&self.outbound, endpoint, None, Span::from_secs(1)).map(|_| ())
    }

    fn whoami<'a>(&'a self, reach: &'a Reach<'a>) -> BoxFuture<'a, Result<Vec<String>, ConnectorError>> {
        asked(reach, async move {
            let api = Api::own(&self.outbound, reach)?;
            let mut questions = vec![(Method::GET, vec!["Users"]), (Method::GET, vec!["Groups"])];
            if reach.mode > Mode::Observe {
                let write = if api.config().await?.patch { Method::PATCH } else { Method::PUT };
                questions.push((write.clone(), vec!["Users", NOBODY]));
                questions.push((Method::DELETE, vec!["Users", NOBODY]));
                questions.push((write, vec!["Groups", NOBODY]));
            }
            let mut problems = Vec::new();
            for (method, path) in questions {
                let body = (method != Method::GET && method != Method::DELETE).then(|| {
                    json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                        "Operations": [{ "op": "add", "path": "displayName", "value": "nobody" }] })
                });
                let query: &[_] = if method == Method::GET { &[("count", "1")] } else { &[] };
                let answer = api.ask(method.clone(), &path, query, body.as_ref()).await?;
                if answer.status == 403 {
                    problems.push(format!("it may not {method} /{}: {}", path.join("/"), answer.words()));
                }
            }
            Ok(problems)
        })
    }

    fn discover<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Found, ConnectorError>> {
        asked(reach, async move {
            let api = Api::own(&self.outbound, reach)?;
            let listed = api.list("Users", ATTRIBUTES, None).await?;
            let listed = listed.ok_or_else(|| ConnectorError::Rejected("it has no users".to_owned()))?;
            let groups = Groups::all(&api).await?;
            let users: Vec<Option<User>> = listed.resources.values().map(User::of).collect();
            let nameless = users.iter().any(Option::is_none);
            // In the order of their ids, which stays.
            let users = users.into_iter().flatten();
            let users = users.filter(|user| api.user_type.is_none_or(|it| user.user_type.as_deref() == Some(it)));
            let mut users: Vec<_> = users.filter(|user| after.is_none_or(|after| user.id.as_str() > after)).collect();
            let more = users.len() > MAX_FOUND;
            users.truncate(MAX_FOUND);
            let next = users.last().filter(|_| more).map(|user| user.id.clone());
            let mut found = Found { next, ..Found::default() };
            found.accounts = users.iter().map(|user| user.seen(&groups.of_user(user))).collect();
            found.unseen.extend(listed.lacks.map(|why| format!("users: {why}")));
            found.unseen.extend(groups.lacks.map(|why| format!("groups: {why}")));
            if nameless {
                found.unseen.push("users that it tells without an id or a name".to_owned());
            }
            Ok(found)
        })
    }

    fn read<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<SeenAccount>, ConnectorError>> {
        asked(reach, async move {
            let api = Api::own(&self.outbound, reach)?;
            let config = api.config().await?;
            seen(&api, &config, key).await
        })
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
            let wanted = Wanted::of(account.grants)?;
            let api = Api::own(&self.outbound, reach)?;
            let config = api.config().await?;
            let known = named(&api, &config, account.name).await?;
            if known.as_ref().is_some_and(|user| user.made_for() != Some(account.mark)) {
                return Err(ConnectorError::Taken);
            }
            let groups = group::ids(&api, &config, &wanted.groups).await?;
            let id = match known {
                Some(user) => {
                    renew(&api, &config, &user, account, &wanted).await?;
                    user.id
                }
                None => create(&api, account, &wanted).await?,
            };
            let user = get(&api, &id).await?.ok_or_else(gone)?;
            let now = Groups::of(&api, &config, &id).await?.of_user(&user);
            for group in groups.keys().filter(|group| !now.contains_key(*group)) {
                group::join(&api, &config, group, &id).await?;
            }
            for group in now.keys().filter(|group| !groups.contains_key(*group)) {
                group::leave(&api, &config, group, &id).await?;
            }
            let made = seen(&api, &config, &id).await?;
            made.ok_or_else(|| ConnectorError::Rejected("the user that was made isn't there".to_owned()))
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
            let (api, user) = self.other(reach, key).await?;
            let user = user.ok_or_else(gone)?;
            let config = api.config().await?;
            set_password(&api, &config, &user.id, secret).await?;
            Ok(ended("PATCH password: it was taken, and no provider tells it"))
        })
    }

    fn hold<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let (api, user) = self.other(reach, key).await?;
            let Some(user) = user else { return Ok(ended(GONE)) };
            let config = api.config().await?;
            let mut said = "active: false".to_owned();
            if user.active {
                // A provider that keeps no mark stops it all the same, and whoever runs it lets it in again.
                if let Err(ConnectorError::Rejected(why)) = mark(&api, &config, key).await {
                    said = format!("active: false; it takes no mark, so that people have to let it in again: {why}");
                }
                activate(&api, &config, key, false).await?;
            }
            Ok(ended(&said))
        })
    }

    fn release<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<(), ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let (api, user) = self.other(reach, key).await?;
            let user = user.ok_or_else(gone)?;
            if user.held {
                let config = api.config().await?;
                activate(&api, &config, key, true).await?;
                unmark(&api, &config, key).await?;
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
            let (api, user) = self.other(reach, key).await?;
            let Some(user) = user else { return Ok(ended(GONE)) };
            let config = api.config().await?;
            let groups = Groups::of(&api, &config, key).await?.of_user(&user);
            let grants = user.grants(&groups);
            let taken: Vec<&String> = grants.iter().filter(|grant| !keep.contains(grant)).collect();
            for (group, _) in groups.iter().filter(|(_, name)| !keep.contains(&group_grant(name))) {
                group::leave(&api, &config, group, key).await?;
            }
            for (list, word) in LISTS {
                if taken.iter().any(|grant| grant.starts_with(word)) {
                    let kept = |value: &str| !taken.iter().any(|grant| grant.strip_prefix(word) == Some(value));
                    let Some(left) = items(&api, key, list, kept).await? else { return Ok(ended(GONE)) };
                    relist(&api, &config, key, list, &left).await?;
                }
            }
            Ok(ended(&format!("{} of {} grants taken", taken.len(), grants.len())))
        })
    }

    fn revoke<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let (api, user) = self.other(reach, key).await?;
            if user.is_none() {
                return Ok(ended(GONE));
            }
            let answer = api.ask(Method::DELETE, &["Users", key], &[], None).await?;
            match get(&api, key).await? {
                None => Ok(ended("DELETE: it is deleted")),
                Some(user) if !user.active && answer.is_done() => Ok(ended("DELETE: it is left, and inactive")),
                Some(_) => {
                    let config = api.config().await?;
                    activate(&api, &config, key, false).await?;
                    unmark(&api, &config, key).await?;
                    let said = format!("DELETE left it there ({}): active: false, and stays so", answer.words());
                    Ok(ended(&said))
                }
            }
        })
    }

    /// As its holder would: by name and password where the provider says that it takes them, at what every user may ask
    /// for. Elsewhere nothing shows whether a password is one.
    fn probe<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        login: &'a TargetLogin,
        patience: Span,
    ) -> BoxFuture<'a, Result<Probe, ConnectorError>> {
        Box::pin(in_time(patience, async move {
            check_name(&login.name)?;
            let api = Api::at(&self.outbound, endpoint, Some(basic(login)?), patience)?;
            if !api.config().await?.basic {
                return Err(ConnectorError::Unable("the provider takes no passwords over SCIM".to_owned()));
            }
            let answer = api.send(Method::GET, &["Me"], &[], None, None).await?;
            match answer.status {
                200 => Ok(Probe::Accepted),
                401 => Ok(Probe::Refused { words: answer.words() }),
                _ => Err(ConnectorError::Unable(answer.words())),
            }
        }))
    }
}
