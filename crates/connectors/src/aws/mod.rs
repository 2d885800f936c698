//! AWS IAM: access keys of users, and roles, over the query API; sessions of roles on our word.
//!
//! A key's secret is AWS's to make, so none is made or changed here. What a key began by `GetSessionToken` goes on until
//! its own end, 36 hours at most, whatever becomes of the key: words of endings say so.

mod api;
mod denials;
mod key;
mod role;
mod session;
mod user;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future;
use tenure_core::base::time::{Clock, Span};
use tenure_core::store::port::BoxFuture;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{
    Ability, Batches, Begun, Connector, ConnectorError, Ending, Endpoint, Federation, Found, Gone, Mode, NewAccount,
    NewSession, Probe, ProofWorth, Reach, SeenAccount, TargetKind, TargetLogin, words,
};
use tenure_core::trust::signing_key::SigningAlgorithm;
use tenure_outbound::Outbound;

use self::api::{Api, Service, text};
use self::key::{Named, SessionKey};
use crate::place::{Form, asked, in_time, may_end, may_issue, not_ourselves};

const STS: &str = "sts";
const FORM: Form = Form {
    schemes: &[("https", Some(true)), ("http", Some(false))],
    ports: (443, 80),
    path: false,
    options: &["region", STS],
};
/// What stands before the id of a role in the place behind which roles are told.
const ROLES: &str = "role:";
/// Users whose keys, or roles, one answer of a discovery holds: some seven calls are made for each.
const AT_A_TIME: usize = 40;
/// Pages of a thousand users or roles that are read; an account has five thousand, unless AWS was asked for more.
const PAGES: usize = 20;
const PAGE: usize = 1_000;
/// Calls that are made at once.
const AT_ONCE: usize = 6;
/// An access key that there is not: what is asked of it shows a right and does nothing.
const NOBODYS: &str = "TENURENOSUCHKEY00";
const NO_NARROWING: &str =
    "what an access key may do is its user's, whose other keys may do the same, and a role's policies are people's";
const NO_SECRET: &str = "the secret of an access key is AWS's to make";
const ENDS_FOR_GOOD: &str = "a session is ended or left: another one is begun in its place";
/// A role that there is not, for the same.
const NO_ROLE: &str = "tenure-no-such-role";

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

    /// Ends sessions of one role; each by its key.
    async fn ended(
        &self,
        reach: &Reach<'_>,
        sessions: Vec<SessionKey<'_>>,
    ) -> Vec<(String, Result<Gone, ConnectorError>)> {
        let ended = in_time(reach.patience, async {
            may_end(reach)?;
            session::revoke_all(&self.at(reach)?, &sessions, self.clock.now()).await
        });
        let ended = match ended.await {
            Ok(gone) => gone.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error); sessions.len()],
        };
        sessions.iter().map(ToString::to_string).zip(ended).collect()
    }

    /// What is to be changed, where that may be: anything but our own key.
    fn other<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> Result<(Api<'a>, Named<'a>), ConnectorError> {
        may_end(reach)?;
        let named = Named::of(key)?;
        not_ourselves(matches!(named, Named::Key(id, _) if id == reach.login.name))?;
        Ok((self.at(reach)?, named))
    }
}

/// Accounts behind a place: users' keys by their users' ids first, then roles by theirs.
async fn page(api: &Api<'_>, after: Option<&str>) -> Result<(Vec<SeenAccount>, Option<String>), ConnectorError> {
    let Some(after) = after.map(|after| after.strip_prefix(ROLES).ok_or(after)) else {
        return of_users(api, "").await;
    };
    let role = match after {
        Ok(role) => role,
        Err(user) => return of_users(api, user).await,
    };
    let (roles, last) = behind(role::roles(api).await?, |role| &role.id, role);
    Ok((role::accounts(api, roles).await?, last.map(|last| format!("{ROLES}{last}"))))
}

async fn of_users(api: &Api<'_>, after: &str) -> Result<(Vec<SeenAccount>, Option<String>), ConnectorError> {
    let (users, last) = behind(user::users(api).await?, |user| &user.id, after);
    Ok((user::accounts(api, users).await?, last.or_else(|| Some(ROLES.to_owned()))))
}

/// So many behind a place as one answer holds, and the last one's id if there are more.
fn behind<T>(mut all: Vec<T>, id: impl Fn(&T) -> &String, after: &str) -> (Vec<T>, Option<String>) {
    all.retain(|one| id(one).as_str() > after);
    all.sort_unstable_by(|one, other| id(one).cmp(id(other)));
    let more = all.len() > AT_A_TIME;
    all.truncate(AT_A_TIME);
    let last = all.last().filter(|_| more).map(|last| id(last).clone());
    (all, last)
}

fn ended(said: &str) -> Ending {
    Ending { words: words(said), sessions_ended: 0, sessions_left: None }
}

fn unable(what: &str) -> ConnectorError {
    ConnectorError::Unable(what.to_owned())
}
impl Federation for AwsIam {
    fn audience(&self) -> &'static str {
        session::AUDIENCE
    }

    fn takes(&self, algorithm: SigningAlgorithm) -> bool {
        matches!(algorithm, SigningAlgorithm::Rs256 | SigningAlgorithm::Es256)
    }

    fn plan(&self, session: &NewSession<'_>) -> Result<String, ConnectorError> {
        session::plan(session)
    }

    fn begin<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        session: &'a NewSession<'a>,
        token: &'a Secret<String>,
    ) -> BoxFuture<'a, Result<Begun, ConnectorError>> {
        asked(reach, async move {
            may_issue(reach)?;
            session::begin(&self.at(reach)?, session, token, self.clock.now()).await
        })
    }
}

impl Batches for AwsIam {
    fn provision_all<'a>(
        &'a self,
        _reach: &'a Reach<'a>,
        accounts: &'a [NewAccount<'a>],
    ) -> BoxFuture<'a, Vec<Result<SeenAccount, ConnectorError>>> {
        Box::pin(std::future::ready(accounts.iter().map(|_| Err(unable(NO_SECRET))).collect()))
    }

    /// Sessions of one role end by one policy.
    fn revoke_all<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        keys: &'a [String],
    ) -> BoxFuture<'a, Vec<Result<Gone, ConnectorError>>> {
        Box::pin(async move {
            let (mut roles, mut others) = (BTreeMap::<_, Vec<SessionKey<'_>>>::new(), Vec::new());
            for key in keys {
                match Named::of(key) {
                    Ok(Named::Session(session)) => {
                        roles.entry((session.role, session.role_id)).or_default().push(session)
                    }
                    _ => others.push(key),
                }
            }
            let roles = roles.into_values().map(async |sessions| self.ended(reach, sessions).await);
            let others = others.into_iter().map(async |key| {
                let gone = async { Ok((self.revoke(reach, key).await?, self.read(reach, key).await?)) };
                (key.clone(), gone.await)
            });
            let (roles, others) = future::join(future::join_all(roles), future::join_all(others)).await;
            let mut gone: BTreeMap<String, _> = roles.into_iter().flatten().chain(others).collect();
            let none = || Err(ConnectorError::Unreachable("it was asked for once".to_owned()));
            keys.iter().map(|key| gone.remove(key).unwrap_or_else(none)).collect()
        })
    }
}

impl Connector for AwsIam {
    fn kind(&self) -> TargetKind {
        TargetKind::AwsIam
    }

    fn abilities(&self) -> &'static [Ability] {
        &[Ability::Discover, Ability::Hold, Ability::Revoke, Ability::Probe, Ability::LastUsed]
    }

    fn cannot(&self, what: Ability) -> &'static str {
        match what {
            Ability::Narrow => NO_NARROWING,
            _ => NO_SECRET,
        }
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

    fn blind_spots(&self) -> &'static [&'static str] {
        &[
            "access keys of the account's root user",
            "console passwords, and sessions of users and roles",
            "service-specific credentials, SSH keys and signing certificates",
        ]
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
            let (role, policy) = (("RoleName", NO_ROLE), ("PolicyName", NO_ROLE));
            let nothing = role::denial(None).to_string();
            let observing: &[(&str, &[(&str, &str)])] = &[
                ("ListUsers", &[("MaxItems", "1")]),
                ("ListUserTags", &[user]),
                ("ListAccessKeys", &[user]),
                ("ListAttachedUserPolicies", &[user]),
                ("ListUserPolicies", &[user]),
                ("ListGroupsForUser", &[user]),
                ("ListRoles", &[("MaxItems", "1")]),
                ("GetRole", &[role]),
                ("ListAttachedRolePolicies", &[role]),
                ("ListRolePolicies", &[role]),
                ("GetRolePolicy", &[role, policy]),
            ];
            let ending: &[(&str, &[(&str, &str)])] = &[
                ("UpdateAccessKey", &[user, key, ("Status", "Inactive")]),
                ("DeleteAccessKey", &[user, key]),
                ("UntagUser", &[user, tags]),
                ("PutRolePolicy", &[role, policy, ("PolicyDocument", &nothing)]),
                ("DeleteRolePolicy", &[role, policy]),
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
            let (accounts, next) = page(&api, after).await?;
            Ok(Found { accounts, next, unseen: Vec::new() })
        })
    }

    fn read<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<SeenAccount>, ConnectorError>> {
        asked(reach, async move {
            let named = Named::of(key)?;
            let api = self.at(reach)?;
            match named {
                Named::Key(id, user) => user::read(&api, id, user).await,
                Named::Role(id, name) => role::read(&api, id, name).await,
                Named::Session(key) => session::read(&api, &key, self.clock.now()).await,
            }
        })
    }

    fn federation(&self) -> Option<&dyn Federation> {
        Some(self)
    }

    fn hold<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            let (api, named) = self.other(reach, key)?;
            match named {
                Named::Key(id, user) => user::hold(&api, id, user).await,
                Named::Role(id, name) => role::hold(&api, id, name).await,
                Named::Session(_) => Err(unable(ENDS_FOR_GOOD)),
            }
        })
    }

    fn release<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<(), ConnectorError>> {
        asked(reach, async move {
            let (api, named) = self.other(reach, key)?;
            match named {
                Named::Key(id, user) => user::release(&api, id, user).await,
                Named::Role(id, name) => role::release(&api, id, name).await,
                Named::Session(_) => Err(unable(ENDS_FOR_GOOD)),
            }
        })
    }

    fn revoke<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            let (api, named) = self.other(reach, key)?;
            match named {
                Named::Key(id, user) => user::revoke(&api, id, user).await,
                Named::Role(id, name) => role::revoke(&api, id, name).await,
                Named::Session(key) => session::revoke(&api, &key, self.clock.now()).await,
            }
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
            let api = Api::at(&self.outbound, &*self.clock, endpoint, login, patience)?;
            match api.ask(Service::Sts, "GetCallerIdentity", &[]).await? {
                Ok(_) => Ok(Probe::Accepted),
                Err(fault) if fault.is_refusal() => Ok(Probe::Refused { words: fault.words() }),
                Err(fault) => Err(ConnectorError::Unreachable(fault.words())),
            }
        }))
    }
}
