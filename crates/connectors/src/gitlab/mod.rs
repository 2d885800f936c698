//! GitLab: what acts in a group and its projects by itself. Access tokens of groups, projects and service accounts, deploy
//! tokens, and deploy keys.
//!
//! Each is deleted; none can be stopped in a way that can be taken back. Their secrets are GitLab's to make.

mod account;
mod api;

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Method;
use serde_json::Value;
use tenure_core::base::time::Span;
use tenure_core::store::port::BoxFuture;
use tenure_core::target::connector::{
    Ability, Connector, ConnectorError, Ending, Endpoint, Found, Mode, Probe, ProofWorth, Reach, SeenAccount,
    TargetKind, TargetLogin, words,
};
use tenure_outbound::Outbound;

use self::account::{Named, Sort, Within, id, seen, service_tokens};
use self::api::{Api, understood};
use crate::list::Page;
use crate::place::{Form, GONE, asked, in_time, may_end, not_ourselves};

const FORM: Form = Form {
    schemes: &[("https", Some(true)), ("http", Some(false))],
    ports: (443, 80),
    path: true,
    options: &["group"],
};
/// What stands before the id of a group in the place behind which groups are told.
const GROUPS: &str = "groups:";
/// What stands before the number of a page of projects in the place behind which they are told.
const PROJECTS: &str = "projects:";
/// Groups, or projects, whose accounts one answer of a discovery holds.
const AT_A_TIME: usize = 20;
/// Calls that are made at once.
const AT_ONCE: usize = 4;
const NO_HOLD: &str = "GitLab can't stop a token or a deploy key in a way that can be taken back: it is ended or left";
const NO_NARROWING: &str = "what a token or a deploy key may do is chosen when it is made";
const NO_SECRET: &str = "the secret of a token is GitLab's to make, and the key of a deploy key its people's";

/// The connector to GitLab.
pub struct Gitlab {
    outbound: Arc<Outbound>,
}

impl std::fmt::Debug for Gitlab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gitlab").finish_non_exhaustive()
    }
}

impl Gitlab {
    /// A connector on this way out.
    pub fn new(outbound: Arc<Outbound>) -> Self {
        Self { outbound }
    }
}

/// A group or a project.
struct Place {
    within: Within,
    id: u64,
    name: String,
}

impl Place {
    fn of(within: Within, told: &Value) -> Option<Self> {
        let path = if within == Within::Group { "full_path" } else { "path_with_namespace" };
        Some(Self { within, id: id(told)?, name: told.get(path)?.as_str()?.to_owned() })
    }
}

/// The group and all below it, the first made first, and what of them isn't seen.
async fn groups(api: &Api<'_>) -> Result<(Vec<Place>, Vec<String>), ConnectorError> {
    let top = api.ask(Method::GET, &["groups", api.group], &[("with_projects", "false")]).await?.found()?;
    let top = top.ok_or_else(|| ConnectorError::Rejected("there is no such group".to_owned()))?;
    let below = api.known(&["groups", api.group, "descendant_groups"]).await?;
    let all = below.items.iter().chain([&top]);
    let mut groups: Vec<Place> = all.filter_map(|told| Place::of(Within::Group, told)).collect();
    let mut unseen: Vec<String> = below.lacks.iter().map(|why| format!("groups: {why}")).collect();
    if groups.len() <= below.items.len() {
        unseen.push("groups that it tells without a number or a path".to_owned());
    }
    groups.sort_unstable_by_key(|group| group.id);
    Ok((groups, unseen))
}

/// A page of projects, the first made first, what of them isn't seen, and whether there are more.
async fn projects(api: &Api<'_>, number: usize) -> Result<(Vec<Place>, Vec<String>, bool), ConnectorError> {
    const OLDEST: [(&str, &str); 4] =
        [("include_subgroups", "true"), ("with_shared", "false"), ("order_by", "id"), ("sort", "asc")];
    let page = api.page(&["groups", api.group, "projects"], (number, AT_A_TIME), &OLDEST).await?;
    let Page { items, .. } =
        page.ok_or_else(|| ConnectorError::Rejected("the group's projects aren't told".to_owned()))?;
    let projects: Vec<Place> = items.iter().filter_map(|told| Place::of(Within::Project, told)).collect();
    let strange = (projects.len() < items.len())
        .then(|| "projects that it tells without a number or a path".to_owned())
        .into_iter()
        .collect();
    Ok((projects, strange, items.len() == AT_A_TIME))
}

/// A list of what acts in a place, and what of it isn't seen: also where nothing is told of it, since there may be some.
async fn listed(
    api: &Api<'_>,
    path: &[&str],
    what: &str,
    of: impl Fn(&Value) -> Option<SeenAccount>,
) -> Result<(Vec<SeenAccount>, Vec<String>), ConnectorError> {
    match api.known(path).await {
        Ok(listed) => Ok(listed.accounts(what, of)),
        Err(ConnectorError::Rejected(why)) => Ok((Vec::new(), vec![words(&format!("{what}: {why}"))])),
        Err(error) => Err(error),
    }
}

/// What acts in a group or a project, and what of it isn't shown.
async fn accounts(api: &Api<'_>, place: Place) -> Result<(Vec<SeenAccount>, Vec<String>), ConnectorError> {
    let number = place.id.to_string();
    let (mut accounts, mut unseen) = (Vec::new(), Vec::new());
    let mut add = |(some, lacks): (Vec<SeenAccount>, Vec<String>)| {
        accounts.extend(some);
        unseen.extend(lacks);
    };
    for sort in Sort::ALL.into_iter().filter(|sort| place.within == Within::Project || *sort != Sort::DeployKey) {
        let what = format!("{} of {}", sort.path().replace('_', " "), place.name);
        let of = |told: &Value| Some(seen(&Named::In(place.within, place.id, sort, id(told)?), &place.name, told));
        add(listed(api, &[place.within.path(), &number, sort.path()], &what, of).await?);
    }
    if place.within == Within::Project {
        return Ok((accounts, unseen));
    }
    let what = format!("service accounts of {}", place.name);
    let services = match api.known(&["groups", &number, "service_accounts"]).await {
        Ok(services) => services,
        Err(ConnectorError::Rejected(why)) => {
            add((Vec::new(), vec![words(&format!("{what}: {why}"))]));
            return Ok((accounts, unseen));
        }
        Err(error) => return Err(error),
    };
    add((Vec::new(), services.lacks.iter().map(|why| format!("{what}: {why}")).collect()));
    for service in &services.items {
        let Some(user) = id(service) else {
            add((Vec::new(), vec![format!("{what}: one that it tells without a number")]));
            continue;
        };
        let path = service_tokens(place.id, user);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let name = service.get("username").and_then(Value::as_str).unwrap_or_default();
        let of = |told: &Value| Some(seen(&Named::OfService(place.id, user, id(told)?), name, told));
        add(listed(api, &path, &words(&format!("tokens of {name}")), of).await?);
    }
    Ok((accounts, unseen))
}

/// Accounts behind a place: of groups by their ids, then of projects, the first made first.
async fn page(api: &Api<'_>, after: Option<&str>) -> Result<Found, ConnectorError> {
    let none = || ConnectorError::Misconfigured("there is no such place in the catalogue".to_owned());
    let after = after.unwrap_or("groups:0");
    let (places, unseen, next) = if let Some(after) = after.strip_prefix(GROUPS) {
        let after: u64 = after.parse().map_err(|_| none())?;
        let (mut groups, unseen) = groups(api).await?;
        groups.retain(|group| group.id > after);
        let more = groups.len() > AT_A_TIME;
        groups.truncate(AT_A_TIME);
        let next = groups.last().filter(|_| more).map(|last| format!("{GROUPS}{}", last.id));
        (groups, unseen, next.or_else(|| Some(format!("{PROJECTS}1"))))
    } else {
        let number: usize = after.strip_prefix(PROJECTS).and_then(|number| number.parse().ok()).ok_or_else(none)?;
        let (projects, unseen, more) = projects(api, number).await?;
        (projects, unseen, more.then(|| format!("{PROJECTS}{}", number + 1)))
    };
    let told = stream::iter(places).map(async |place| accounts(api, place).await).buffered(AT_ONCE);
    let told: Vec<(Vec<SeenAccount>, Vec<String>)> = told.try_collect().await?;
    let mut found = Found { accounts: Vec::new(), next, unseen };
    for (accounts, unseen) in told {
        found.accounts.extend(accounts);
        found.unseen.extend(unseen);
    }
    Ok(found)
}

async fn read(api: &Api<'_>, named: &Named) -> Result<Option<SeenAccount>, ConnectorError> {
    // What the catalogue calls a place doesn't matter here; it is asked for so that a name is the same in both.
    let (path, member) = match named {
        Named::In(within, place, _, _) => ([within.path().to_owned(), place.to_string()].to_vec(), within),
        Named::OfService(group, _, _) => (["groups".to_owned(), group.to_string()].to_vec(), &Within::Group),
    };
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let told = api.ask(Method::GET, &path, &[]).await?.found()?;
    let untold = || ConnectorError::Rejected("nothing is told of the group or the project that it is in".to_owned());
    let place = told.as_ref().and_then(|told| Place::of(*member, told)).ok_or_else(untold)?;
    if let Named::OfService(group, user, token) = named {
        let services = api.known(&["groups", &group.to_string(), "service_accounts"]).await?;
        let Some(service) = services.find(|service| id(service) == Some(*user))? else { return Ok(None) };
        let path = service_tokens(*group, *user);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let tokens = api.known(&path).await?;
        let name = service.get("username").and_then(Value::as_str).unwrap_or_default();
        let told = tokens.find(|told| id(told) == Some(*token))?;
        return Ok(told.map(|told| seen(named, name, &told)));
    }
    let path = named.path();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let told = api.ask(Method::GET, &path, &[]).await?.found()?;
    Ok(told.as_ref().map(|told| seen(named, &place.name, told)))
}

impl Connector for Gitlab {
    fn kind(&self) -> TargetKind {
        TargetKind::Gitlab
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

    /// No secret of a token is ever ours to try.
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
            "personal access tokens and SSH keys of people, and OAuth applications",
            "runners, trigger tokens, CI/CD variables, and tokens that jobs get",
        ]
    }

    fn check(&self, endpoint: &Endpoint) -> Result<(), ConnectorError> {
        understood(endpoint).map(|_| ())
    }

    fn whoami<'a>(&'a self, reach: &'a Reach<'a>) -> BoxFuture<'a, Result<Vec<String>, ConnectorError>> {
        asked(reach, async move {
            let (api, us) = Api::open(&self.outbound, reach).await?;
            let scopes: Vec<&str> =
                us.get("scopes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
            let mut problems = Vec::new();
            if reach.mode > Mode::Observe && !scopes.contains(&"api") {
                problems.push("the token's scope is less than api: it ends nothing".to_owned());
            }
            for path in [["groups", api.group, "access_tokens"], ["groups", api.group, "deploy_tokens"]] {
                match api.page(&path, (1, 1), &[]).await {
                    Ok(Some(_)) => {}
                    Ok(None) => problems.push(format!("{}: there is none for this token", path.join("/"))),
                    Err(ConnectorError::Rejected(why)) => problems.push(format!("{}: {why}", path.join("/"))),
                    Err(error) => return Err(error),
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
            let (api, _) = Api::open(&self.outbound, reach).await?;
            page(&api, after).await
        })
    }

    fn read<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<SeenAccount>, ConnectorError>> {
        asked(reach, async move {
            let named = Named::of(key)?;
            let (api, _) = Api::open(&self.outbound, reach).await?;
            read(&api, &named).await
        })
    }

    fn revoke<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let named = Named::of(key)?;
            let (api, us) = Api::open(&self.outbound, reach).await?;
            not_ourselves(named.token().is_some_and(|token| id(&us) == Some(token)))?;
            let path = named.path();
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let told = api.ask(Method::DELETE, &path, &[]).await?.found()?;
            let said = told.map_or(GONE, |_| "it is deleted; a connection or a job that is open goes on until it ends");
            Ok(Ending { words: said.to_owned(), sessions_ended: 0, sessions_left: None })
        })
    }

    fn probe<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        login: &'a TargetLogin,
        patience: Span,
    ) -> BoxFuture<'a, Result<Probe, ConnectorError>> {
        Box::pin(in_time(patience, async move {
            let api = Api::at(&self.outbound, endpoint, login, patience)?;
            let answer = api.ask(Method::GET, &["personal_access_tokens", "self"], &[]).await?;
            match answer.status {
                200 => Ok(Probe::Accepted),
                401 => Ok(Probe::Refused { words: answer.words() }),
                _ => Err(ConnectorError::Unreachable(answer.words())),
            }
        }))
    }
}
