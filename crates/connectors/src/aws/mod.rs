//! AWS IAM: access keys of users, over the query API.
//!
//! A key's secret is AWS's to make, so none is made or changed here. What a key began by `GetSessionToken` goes on until
//! its own end, 36 hours at most, whatever becomes of the key: words of endings say so. Roles and the sessions that are
//! taken of them are none of these accounts.

mod api;
mod key;

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tenure_core::base::time::{Clock, Span};
use tenure_core::store::port::BoxFuture;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{
    Ability, Connector, ConnectorError, Ending, Endpoint, Found, Mode, NewAccount, Probe, ProofWorth, Reach,
    SeenAccount, TargetKind, TargetLogin, words,
};
use tenure_outbound::Outbound;

use self::api::{Api, Service, members, text};
use self::key::{Key, Surroundings, User, held, ids};
use crate::place::{Form, GONE, asked, gone, in_time, may_end, not_ourselves};

const STS: &str = "sts";
const FORM: Form = Form {
    schemes: &[("https", Some(true)), ("http", Some(false))],
    ports: (443, 80),
    path: false,
    options: &["region", STS],
};
/// Users whose keys one answer of a discovery holds: some seven calls are made for each.
const USERS: usize = 40;
/// Pages of a thousand users that are read; an account has five thousand, unless AWS was asked for more.
const PAGES: usize = 20;
/// Calls that are made at once.
const AT_ONCE: usize = 6;
/// An access key that there is not: what is asked of it shows a right and does nothing.
const NOBODYS: &str = "TENURENOSUCHKEY00";
const GOES_ON: &str = "sessions that it began by GetSessionToken go on until their own end, 36 hours at most";

/// The connector to AWS IAM.
pub struct AwsIam {
    outbound: Arc<Outbound>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for AwsIam {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsIam").finish_non_exhaustive()
    }
}

impl AwsIam {
    /// A connector on this way out; requests are signed by this clock.
    pub fn new(outbound: Arc<Outbound>, clock: Arc<dyn Clock>) -> Self {
        Self { outbound, clock }
    }

    fn at<'a>(&'a self, reach: &'a Reach<'a>) -> Result<Api<'a>, ConnectorError> {
        Api::at(&self.outbound, &*self.clock, reach.endpoint, reach.login, reach.patience)
    }

    /// A key that isn't our own, and its user; none where either is gone.
    async fn other<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &str,
    ) -> Result<(Api<'a>, Option<(User, Key)>), ConnectorError> {
        let api = self.at(reach)?;
        let (id, user) = ids(key)?;
        not_ourselves(reach.login.name == id)?;
        let found = find(&api, id, user).await?;
        Ok((api, found))
    }
}

/// Every user. Markers are AWS's own and nothing that stays, so all pages are read.
async fn users(api: &Api<'_>) -> Result<Vec<User>, ConnectorError> {
    let (mut users, mut marker) = (Vec::new(), None);
    for _ in 0..PAGES {
        let mut parameters = vec![("MaxItems", "1000")];
        parameters.extend(marker.as_deref().map(|marker| ("Marker", marker)));
        let answer = api.must("ListUsers", &parameters).await?;
        let next = answer.read(|told| {
            users.extend(members(told, "Users").into_iter().map(User::of));
            (text(told, "IsTruncated") == "true").then(|| text(told, "Marker"))
        })?;
        if next.is_none() {
            return Ok(users);
        }
        marker = next;
    }
    Err(ConnectorError::Rejected(format!("the account has more than {} users", PAGES * 1_000)))
}

async fn keys(api: &Api<'_>, user: &User) -> Result<Vec<Key>, ConnectorError> {
    let Some(answer) = api.find("ListAccessKeys", &[("UserName", &user.name)]).await? else { return Ok(Vec::new()) };
    answer.read(|told| members(told, "AccessKeyMetadata").into_iter().map(Key::of).collect())
}

async fn find(api: &Api<'_>, id: &str, user: &str) -> Result<Option<(User, Key)>, ConnectorError> {
    let Some(user) = users(api).await?.into_iter().find(|known| known.id == user) else { return Ok(None) };
    let key = keys(api, &user).await?.into_iter().find(|key| key.id == id);
    Ok(key.map(|key| (user, key)))
}

/// The values of one name in a list; none where its user is gone meanwhile.
async fn list(api: &Api<'_>, action: &str, user: &User, of: (&str, &str)) -> Result<Vec<String>, ConnectorError> {
    let Some(answer) = api.find(action, &[("UserName", &user.name)]).await? else { return Ok(Vec::new()) };
    let (list, name) = of;
    answer.read(|told| {
        let value = |member| if name.is_empty() { own_text(member) } else { text(member, name) };
        members(told, list).into_iter().map(value).collect()
    })
}

fn own_text(node: roxmltree::Node<'_, '_>) -> String {
    node.text().unwrap_or_default().trim().to_owned()
}

async fn surroundings(api: &Api<'_>, user: &User) -> Result<Surroundings, ConnectorError> {
    let mut around = Surroundings::default();
    if let Some(answer) = api.find("ListUserTags", &[("UserName", &user.name)]).await? {
        let tags = answer.read(|told| {
            members(told, "Tags").into_iter().map(|tag| (text(tag, "Key"), text(tag, "Value"))).collect()
        })?;
        around.tags = tags;
    }
    for policy in list(api, "ListAttachedUserPolicies", user, ("AttachedPolicies", "PolicyArn")).await? {
        around.grants.insert(format!("POLICY {policy}"));
        around.policies.insert(policy);
    }
    for name in list(api, "ListUserPolicies", user, ("PolicyNames", "")).await? {
        around.grants.insert(format!("INLINE {name}"));
    }
    for group in list(api, "ListGroupsForUser", user, ("Groups", "GroupName")).await? {
        if let Some(answer) = api.find("ListAttachedGroupPolicies", &[("GroupName", &group)]).await? {
            let policies: Vec<String> = answer.read(|told| {
                members(told, "AttachedPolicies").into_iter().map(|policy| text(policy, "PolicyArn")).collect()
            })?;
            around.policies.extend(policies);
        }
        around.grants.insert(format!("GROUP {group}"));
    }
    Ok(around)
}

/// Keys of a user, as the port has them: all of them, or one.
async fn seen(api: &Api<'_>, user: &User, keys: Vec<Key>) -> Result<Vec<SeenAccount>, ConnectorError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let around = surroundings(api, user).await?;
    let mut accounts = Vec::new();
    for key in keys {
        let used = api.find("GetAccessKeyLastUsed", &[("AccessKeyId", &key.id)]).await?;
        let used = used.map(|answer| answer.read(|told| text(told, "LastUsedDate"))).transpose()?;
        accounts.push(key.seen(user, &used.unwrap_or_default(), &around));
    }
    Ok(accounts)
}

async fn set(api: &Api<'_>, user: &User, key: &Key, status: &str) -> Result<(), ConnectorError> {
    let parameters = [("UserName", user.name.as_str()), ("AccessKeyId", &key.id), ("Status", status)];
    api.must("UpdateAccessKey", &parameters).await.map(|_| ())
}

async fn untag(api: &Api<'_>, user: &User, key: &str) -> Result<(), ConnectorError> {
    api.find("UntagUser", &[("UserName", &user.name), ("TagKeys.member.1", &held(key))]).await.map(|_| ())
}

fn ended(said: &str) -> Ending {
    Ending { words: words(said), sessions_ended: 0, sessions_left: None }
}

fn unable(what: &str) -> ConnectorError {
    ConnectorError::Unable(what.to_owned())
}

impl Connector for AwsIam {
    fn kind(&self) -> TargetKind {
        TargetKind::AwsIam
    }

    fn abilities(&self) -> &'static [Ability] {
        &[Ability::Discover, Ability::Hold, Ability::Revoke, Ability::Probe, Ability::LastUsed]
    }

    /// No secret of a key is ever ours to try.
    fn proof(&self) -> ProofWorth {
        ProofWorth::ReadBack
    }

    fn rights(&self, mode: Mode) -> &'static str {
        match mode {
            Mode::Observe => concat!(
                "aws iam put-user-policy --user-name LOGIN --policy-name tenure --policy-document '",
                include_str!("observe.json"),
                "'\n"
            ),
            Mode::End | Mode::Issue => concat!(
                "aws iam put-user-policy --user-name LOGIN --policy-name tenure --policy-document '",
                include_str!("end.json"),
                "'\n"
            ),
        }
    }

    fn check(&self, endpoint: &Endpoint) -> Result<(), ConnectorError> {
        let nobody = TargetLogin { name: "nobody".to_owned(), secret: Secret::new(String::new()) };
        Api::at(&self.outbound, &*self.clock, endpoint, &nobody, Span::from_secs(1)).map(|_| ())
    }

    fn whoami<'a>(&'a self, reach: &'a Reach<'a>) -> BoxFuture<'a, Result<Vec<String>, ConnectorError>> {
        asked(reach, async move {
            let api = self.at(reach)?;
            let us = match api.ask(Service::Sts, "GetCallerIdentity", &[]).await? {
                Ok(answer) => answer.read(|told| text(told, "Arn"))?,
                Err(fault) if fault.is_refusal() => return Err(ConnectorError::Unauthorized(fault.words())),
                Err(fault) => return Err(ConnectorError::Unreachable(fault.words())),
            };
            let Some(name) = us.split_once(":user/").and_then(|(_, path)| path.rsplit('/').next()) else {
                return Ok(vec![format!("its login is no user's access key: {}", words(&us))]);
            };
            let user = ("UserName", name);
            let (key, tags) = (("AccessKeyId", NOBODYS), ("TagKeys.member.1", "tenure:none"));
            let observing: &[(&str, &[(&str, &str)])] = &[
                ("ListUsers", &[("MaxItems", "1")]),
                ("ListUserTags", &[user]),
                ("ListAccessKeys", &[user]),
                ("ListAttachedUserPolicies", &[user]),
                ("ListUserPolicies", &[user]),
                ("ListGroupsForUser", &[user]),
            ];
            let ending: &[(&str, &[(&str, &str)])] = &[
                ("UpdateAccessKey", &[user, key, ("Status", "Inactive")]),
                ("DeleteAccessKey", &[user, key]),
                ("UntagUser", &[user, tags]),
            ];
            let needed = if reach.mode == Mode::Observe { observing.to_vec() } else { [observing, ending].concat() };
            let mut problems = Vec::new();
            for (action, parameters) in needed {
                problems.extend(api.lacks(action, parameters).await?);
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
            let api = self.at(reach)?;
            let mut users = users(&api).await?;
            users.retain(|user| after.is_none_or(|after| user.id.as_str() > after));
            users.sort_unstable_by(|one, other| one.id.cmp(&other.id));
            let more = users.len() > USERS;
            users.truncate(USERS);
            let next = users.last().filter(|_| more).map(|user| user.id.clone());
            let told = stream::iter(users).map(async |user| seen(&api, &user, keys(&api, &user).await?).await);
            let accounts: Vec<Vec<SeenAccount>> = told.buffered(AT_ONCE).try_collect().await?;
            let mut found = Found { accounts: accounts.into_iter().flatten().collect(), next, unseen: Vec::new() };
            if after.is_none() {
                found.unseen.push("access keys of the account's root user".to_owned());
                found.unseen.push("console passwords, roles, and sessions of either".to_owned());
                found.unseen.push("service-specific credentials, SSH keys and signing certificates".to_owned());
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
            let (id, user) = ids(key)?;
            let api = self.at(reach)?;
            let Some((user, key)) = find(&api, id, user).await? else { return Ok(None) };
            Ok(seen(&api, &user, vec![key]).await?.pop())
        })
    }

    fn provision<'a>(
        &'a self,
        _reach: &'a Reach<'a>,
        _account: &'a NewAccount<'a>,
    ) -> BoxFuture<'a, Result<SeenAccount, ConnectorError>> {
        Box::pin(std::future::ready(Err(unable("the secret of an access key is AWS's to make"))))
    }

    fn rotate<'a>(
        &'a self,
        _reach: &'a Reach<'a>,
        _key: &'a str,
        _secret: &'a Secret<String>,
    ) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        Box::pin(std::future::ready(Err(unable("the secret of an access key is AWS's to make"))))
    }

    fn hold<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let (api, found) = self.other(reach, key).await?;
            let Some((user, key)) = found else { return Ok(ended(GONE)) };
            if key.active {
                let name = held(&key.id);
                let tag =
                    [("UserName", user.name.as_str()), ("Tags.member.1.Key", &name), ("Tags.member.1.Value", "yes")];
                api.must("TagUser", &tag).await?;
                set(&api, &user, &key, "Inactive").await?;
            }
            Ok(ended(&format!("UpdateAccessKey: Inactive; {GOES_ON}")))
        })
    }

    fn release<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<(), ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let (api, found) = self.other(reach, key).await?;
            let (user, key) = found.ok_or_else(gone)?;
            if surroundings(&api, &user).await?.tags.contains_key(&held(&key.id)) {
                set(&api, &user, &key, "Active").await?;
                untag(&api, &user, &key.id).await?;
            }
            Ok(())
        })
    }

    fn narrow<'a>(
        &'a self,
        _reach: &'a Reach<'a>,
        _key: &'a str,
        _keep: &'a [String],
    ) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        Box::pin(std::future::ready(Err(unable(
            "what an access key may do is its user's, whose other keys may do the same",
        ))))
    }

    fn revoke<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let (api, found) = self.other(reach, key).await?;
            let Some((user, key)) = found else { return Ok(ended(GONE)) };
            api.find("DeleteAccessKey", &[("UserName", &user.name), ("AccessKeyId", &key.id)]).await?;
            untag(&api, &user, &key.id).await?;
            Ok(ended(&format!("DeleteAccessKey: it is deleted; {GOES_ON}")))
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
            match api.ask(Service::Sts, "GetCallerIdentity", &[]).await? {
                Ok(_) => Ok(Probe::Accepted),
                Err(fault) if fault.is_refusal() => Ok(Probe::Refused { words: fault.words() }),
                Err(fault) => Err(ConnectorError::Unreachable(fault.words())),
            }
        }))
    }
}
