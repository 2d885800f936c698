//! GitHub: what acts in an organisation by itself. Installations of apps, fine-grained personal access tokens with access
//! to it, and deploy keys of its repositories.
//!
//! A deploy key is named by the number of its repository: a name may be another repository's tomorrow.
//!
//! GitHub lets an app be suspended and uninstalled by itself or by people alone, so installations are found here and
//! ended by nobody but them. Tokens lose their access to the organisation, deploy keys are deleted; neither can be held.

mod account;
mod api;

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Method;
use serde_json::{Value, json};
use tenure_core::base::time::{Clock, Span};
use tenure_core::store::port::BoxFuture;
use tenure_core::target::connector::{
    Ability, Connector, ConnectorError, Ending, Endpoint, Found, Mode, Probe, ProofWorth, Reach, SeenAccount,
    TargetKind, TargetLogin, words,
};
use tenure_outbound::Outbound;

use self::account::{Named, Repository, deploy_key, id, installation, pat};
use self::api::{Api, understood};
use crate::list::{Listed, Page};
use crate::place::{Form, GONE, asked, in_time, may_end, not_ourselves};

const FORM: Form =
    Form { schemes: &[("https", Some(true)), ("http", Some(false))], ports: (443, 80), path: true, options: &["org"] };
/// What stands before the number of a page of repositories, in the place behind which their deploy keys are told.
const REPOSITORIES: &str = "repositories:";
/// What stands before the id of a token in the place behind which tokens are told.
const PATS: &str = "pat:";
/// Accounts that one answer of a discovery holds.
const AT_A_TIME: usize = 200;
/// Repositories whose deploy keys one answer holds: a call is made for each.
const REPOSITORIES_AT_A_TIME: usize = 40;
/// Calls that are made at once: GitHub asks for few.
const AT_ONCE: usize = 4;
const INSTALLED: &str = "GitHub lets an app be suspended and uninstalled by itself or by people alone: let an owner of the \
                         organisation do it at its page";
const NO_HOLD: &str = "GitHub can't stop a token or a deploy key in a way that can be taken back: it is ended or left";
const NO_NARROWING: &str =
    "what a token or an app may do is chosen by its people, and what a deploy key may do when it is made";
const NO_SECRET: &str = "the secret of a token is GitHub's to make, and the key of a deploy key its people's";
/// What the connector's app may do for a mode.
const NEEDS: [(&str, &str, &str); 3] = [
    ("organization_administration", "read", "read"),
    ("organization_personal_access_tokens", "read", "write"),
    ("administration", "read", "write"),
];

/// The connector to GitHub.
pub struct Github {
    outbound: Arc<Outbound>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Github {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Github").finish_non_exhaustive()
    }
}

impl Github {
    /// A connector on this way out; apps sign by this clock.
    pub fn new(outbound: Arc<Outbound>, clock: Arc<dyn Clock>) -> Self {
        Self { outbound, clock }
    }

    async fn open<'a>(&'a self, reach: &'a Reach<'a>) -> Result<Api<'a>, ConnectorError> {
        Api::open(&self.outbound, &*self.clock, reach).await
    }
}

async fn installations(api: &Api<'_>) -> Result<Listed, ConnectorError> {
    api.every(&["orgs", api.org, "installations"], Some("installations")).await?.ok_or_else(no_org)
}

async fn pats(api: &Api<'_>) -> Result<Listed, ConnectorError> {
    api.every(&["orgs", api.org, "personal-access-tokens"], None).await?.ok_or_else(no_org)
}

fn no_org() -> ConnectorError {
    ConnectorError::Rejected("there is no such organisation, or it isn't shown to this login".to_owned())
}

/// A repository by its number, as GitHub's own redirects and pages name it: none of another organisation's.
async fn repository(api: &Api<'_>, id: u64) -> Result<Option<Repository>, ConnectorError> {
    let Some(told) = api.get(&["repositories", &id.to_string()]).await? else { return Ok(None) };
    let owner = told.pointer("/owner/login").and_then(Value::as_str).unwrap_or_default();
    if !owner.eq_ignore_ascii_case(api.org) {
        return Err(ConnectorError::Rejected("the repository is another organisation's now".to_owned()));
    }
    let it = Repository::of(&told).filter(|it| it.id == id);
    it.map(Some).ok_or_else(|| ConnectorError::Unreachable("it told another repository than it was asked for".into()))
}

/// The repository that a key is of; none where it is gone for certain.
async fn repository_of(api: &Api<'_>, id: u64) -> Result<Option<Repository>, ConnectorError> {
    let found = repository(api, id).await?;
    if found.is_none() && !api.own.as_ref().is_some_and(|own| own.is_everywhere) {
        let why = "the repository is gone, or isn't shown to this login".to_owned();
        return Err(ConnectorError::Rejected(why));
    }
    Ok(found)
}

/// The deploy keys of a repository, and what of them isn't seen.
async fn keys_of(api: &Api<'_>, it: &Repository) -> Result<(Vec<SeenAccount>, Vec<String>), ConnectorError> {
    let what = format!("deploy keys of {}", it.name);
    let unseen = |why: &str| Ok((Vec::new(), vec![format!("{what}: {why}")]));
    match api.every(&["repositories", &it.id.to_string(), "keys"], None).await {
        Ok(Some(listed)) => Ok(listed.accounts(&what, |told| deploy_key(it, told))),
        // What is gone meanwhile has none; what is there and tells none may have some.
        Ok(None) => match repository(api, it.id).await {
            Ok(None) => Ok((Vec::new(), Vec::new())),
            Ok(Some(_)) => unseen("they aren't shown to this login"),
            Err(ConnectorError::Rejected(why)) => unseen(&why),
            Err(error) => Err(error),
        },
        Err(ConnectorError::Rejected(why)) => unseen(&why),
        Err(error) => Err(error),
    }
}

/// The deploy keys of one page of repositories, the oldest repositories first.
async fn deploy_keys(api: &Api<'_>, number: usize) -> Result<Found, ConnectorError> {
    const OLDEST: [(&str, &str); 2] = [("sort", "created"), ("direction", "asc")];
    let page = (number, REPOSITORIES_AT_A_TIME);
    let Page { items, .. } = api.page(&["orgs", api.org, "repos"], None, page, &OLDEST).await?.ok_or_else(no_org)?;
    let mut found = Found::default();
    if items.len() == REPOSITORIES_AT_A_TIME {
        found.next = Some(format!("{REPOSITORIES}{}", number + 1));
    }
    let repositories: Vec<Repository> = items.iter().filter_map(Repository::of).collect();
    if repositories.len() < items.len() {
        found.unseen.push("repositories that it tells without a number or a name".to_owned());
    }
    let keys = stream::iter(repositories).map(async |it| keys_of(api, &it).await).buffered(AT_ONCE);
    let keys: Vec<(Vec<SeenAccount>, Vec<String>)> = keys.try_collect().await?;
    for (accounts, unseen) in keys {
        found.accounts.extend(accounts);
        found.unseen.extend(unseen);
    }
    Ok(found)
}

/// Accounts behind a place: installations and tokens by their ids, then deploy keys by their repositories.
async fn page(api: &Api<'_>, after: Option<&str>) -> Result<Found, ConnectorError> {
    let first = || Some(format!("{REPOSITORIES}1"));
    let Some(after) = after else {
        let next = if api.own.is_some() { Some(format!("{PATS}0")) } else { first() };
        let (accounts, unseen) = installations(api).await?.accounts("installations", installation);
        return Ok(Found { accounts, next, unseen });
    };
    let none = || ConnectorError::Misconfigured("there is no such place in the catalogue".to_owned());
    if let Some(after) = after.strip_prefix(PATS) {
        let after: u64 = after.parse().map_err(|_| none())?;
        let number =
            |seen: &SeenAccount| seen.key.strip_prefix(PATS).and_then(|id| id.parse::<u64>().ok()).unwrap_or(0);
        let (mut accounts, unseen) = pats(api).await?.accounts("personal access tokens", pat);
        accounts.retain(|seen| number(seen) > after);
        accounts.sort_unstable_by_key(number);
        let more = accounts.len() > AT_A_TIME;
        accounts.truncate(AT_A_TIME);
        let next = accounts.last().filter(|_| more).map(|last| last.key.clone()).or_else(first);
        return Ok(Found { accounts, next, unseen });
    }
    let number: usize = after.strip_prefix(REPOSITORIES).and_then(|number| number.parse().ok()).ok_or_else(none)?;
    deploy_keys(api, number).await
}

/// One account; none where it is gone, and not where nothing is told of it.
async fn read(api: &Api<'_>, named: Named) -> Result<Option<SeenAccount>, ConnectorError> {
    let strange = || ConnectorError::Unreachable("it tells it in another form than is known".to_owned());
    let is = |number: u64| move |told: &Value| id(told) == Some(number);
    let seen = match named {
        Named::Installation(number) => installations(api).await?.find(is(number))?.map(|told| installation(&told)),
        Named::Pat(number) => pats(api).await?.find(is(number))?.map(|told| pat(&told)),
        Named::DeployKey(repository, number) => {
            let Some(it) = repository_of(api, repository).await? else { return Ok(None) };
            let told = api.get(&["repositories", &repository.to_string(), "keys", &number.to_string()]).await?;
            told.map(|told| deploy_key(&it, &told).filter(|_| is(number)(&told)))
        }
    };
    seen.map(|seen| seen.ok_or_else(strange)).transpose()
}

fn ended(said: &str) -> Ending {
    Ending { words: words(said), sessions_ended: 0, sessions_left: None }
}

impl Connector for Github {
    fn kind(&self) -> TargetKind {
        TargetKind::Github
    }

    fn abilities(&self) -> &'static [Ability] {
        &[Ability::Discover, Ability::Revoke, Ability::Probe, Ability::LastUsed]
    }

    fn cannot(&self, what: Ability) -> &'static str {
        match what {
            Ability::Narrow => NO_NARROWING,
            Ability::Hold => NO_HOLD,
            _ => NO_SECRET,
        }
    }

    /// No secret of an account is ever ours to try.
    fn proof(&self) -> ProofWorth {
        ProofWorth::ReadBack
    }

    fn rights(&self, mode: Mode) -> &'static str {
        match mode {
            Mode::Observe => include_str!("observe.txt"),
            Mode::End | Mode::Issue => include_str!("end.txt"),
        }
    }

    fn blind_spots(&self) -> &'static [&'static str] {
        &[
            "classic personal access tokens, OAuth apps and people's SSH keys",
            "secrets of Actions, webhooks, and tokens that workflows get",
        ]
    }

    fn check(&self, endpoint: &Endpoint) -> Result<(), ConnectorError> {
        understood(endpoint).map(|_| ())
    }

    fn whoami<'a>(&'a self, reach: &'a Reach<'a>) -> BoxFuture<'a, Result<Vec<String>, ConnectorError>> {
        asked(reach, async move {
            let api = self.open(reach).await?;
            let mut problems = Vec::new();
            let Some(own) = &api.own else {
                // What a token may do isn't told: what it is needed for is tried.
                for path in [&["orgs", api.org, "installations"][..], &["orgs", api.org, "repos"]] {
                    match api.get(path).await {
                        Ok(Some(_)) => {}
                        Ok(None) => problems.push(format!("{}: there is none for this login", path.join("/"))),
                        Err(ConnectorError::Rejected(why)) => problems.push(format!("{}: {why}", path.join("/"))),
                        Err(error) => return Err(error),
                    }
                }
                return Ok(problems);
            };
            for (permission, observing, ending) in NEEDS {
                let needed = if reach.mode == Mode::Observe { observing } else { ending };
                let has = own.permissions.get(permission).and_then(Value::as_str).unwrap_or("none");
                if has != needed && has != "write" {
                    problems.push(format!("the app's permission {permission} is {has}: {needed} is needed"));
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
            let api = self.open(reach).await?;
            let mut found = page(&api, after).await?;
            if after.is_none() && api.own.is_none() {
                found.unseen.push("fine-grained personal access tokens: GitHub shows them to apps alone".to_owned());
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
            let named = Named::of(key)?;
            read(&self.open(reach).await?, named).await
        })
    }

    fn hold<'a>(&'a self, _reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        let is_installation = matches!(Named::of(key), Ok(Named::Installation(_)));
        let why = if is_installation { INSTALLED } else { NO_HOLD };
        Box::pin(std::future::ready(Err(ConnectorError::Unable(why.to_owned()))))
    }

    fn revoke<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let named = Named::of(key)?;
            let api = self.open(reach).await?;
            let said = match named {
                Named::Installation(number) => {
                    not_ourselves(api.own.as_ref().is_some_and(|own| own.installation == number))?;
                    return match read(&api, named).await? {
                        Some(_) => Err(ConnectorError::Unable(INSTALLED.to_owned())),
                        None => Ok(ended(GONE)),
                    };
                }
                Named::Pat(number) => {
                    let path = ["orgs", api.org, "personal-access-tokens", &number.to_string()];
                    let revoke = Some(json!({"action": "revoke"}));
                    let told = api.ask(Method::POST, &path, &[], revoke).await?.found()?;
                    told.map(|_| "its access to the organisation is revoked; elsewhere it is its owner's to delete")
                }
                Named::DeployKey(repository, number) => {
                    let it = repository_of(&api, repository).await?;
                    let path = ["repositories", &repository.to_string(), "keys", &number.to_string()];
                    let told = match it {
                        Some(_) => api.ask(Method::DELETE, &path, &[], None).await?.found()?,
                        None => None,
                    };
                    told.map(|_| "the deploy key is deleted; a connection by SSH that is open goes on until it ends")
                }
            };
            Ok(ended(said.unwrap_or(GONE)))
        })
    }

    fn probe<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        login: &'a TargetLogin,
        patience: Span,
    ) -> BoxFuture<'a, Result<Probe, ConnectorError>> {
        Box::pin(in_time(patience, async move {
            let api = Api::at(&self.outbound, &*self.clock, endpoint, login, patience)?;
            let answer = api.ask(Method::GET, &["rate_limit"], &[], None).await?;
            match answer.status {
                200 => Ok(Probe::Accepted),
                401 => Ok(Probe::Refused { words: answer.words() }),
                _ => Err(ConnectorError::Unreachable(answer.words())),
            }
        }))
    }
}
