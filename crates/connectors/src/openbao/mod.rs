//! OpenBao and Vault: tokens, AppRoles, entities, leases.
//!
//! - The connector's login: a token, without a name; or an AppRole, named by its role id.
//! - Options of an endpoint: `mount`, the path of the AppRole method in which accounts are made and the connector logs in
//!   (`approle`); `namespace`.
//! - Accounts that Tenure makes are AppRoles. A token and a lease can be ended, and neither held nor narrowed.

mod acts;
mod api;
mod catalogue;
mod key;

use std::sync::Arc;

use serde_json::{Value, json};
use tenure_core::base::time::Span;
use tenure_core::store::port::BoxFuture;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{
    Ability, Connector, ConnectorError, Ending, Endpoint, Found, Mode, NewAccount, Probe, ProofWorth, Reach,
    SeenAccount, TargetKind, TargetLogin,
};
use tenure_outbound::Outbound;

use self::api::{Api, texts};
use self::catalogue::{Accessors, discover, read_one};
use self::key::Key;
use crate::place::{Form, in_time, may_end, may_issue, may_provision};

const FORM: Form = Form {
    schemes: &[("https", Some(true)), ("http", Some(false))],
    ports: (8200, 8200),
    path: false,
    options: &["mount", "namespace"],
};

/// What each mode needs of the server's paths: `MOUNT` stands for the AppRole method's.
const OBSERVE: &[(&str, &[&str])] = &[
    ("auth/token/accessors", &["list", "sudo"]),
    ("auth/token/lookup-accessor", &["update"]),
    ("sys/auth", &["read"]),
    ("auth/MOUNT/role", &["list"]),
    ("auth/MOUNT/role/x", &["read"]),
    ("auth/MOUNT/role/x/role-id", &["read"]),
    ("identity/entity/id", &["list"]),
    ("identity/entity/id/x", &["read"]),
    ("identity/lookup/entity", &["update"]),
    ("sys/leases", &["read", "sudo"]),
    ("sys/leases/lookup/x", &["list", "sudo"]),
    ("sys/leases/lookup", &["update"]),
];
const END: &[(&str, &[&str])] = &[
    ("auth/token/revoke-accessor", &["update"]),
    ("auth/MOUNT/role/x", &["create", "update", "delete"]),
    ("auth/MOUNT/role/x/role-id", &["update"]),
    ("auth/MOUNT/role/x/secret-id", &["list"]),
    ("auth/MOUNT/role/x/secret-id/lookup", &["update"]),
    ("auth/MOUNT/role/x/secret-id-accessor/destroy", &["update"]),
    ("auth/MOUNT/role/x/custom-secret-id", &["update"]),
    ("identity/entity", &["update"]),
    ("identity/entity-alias", &["update"]),
    ("identity/entity/id/x", &["update", "delete"]),
    ("identity/entity/name/x", &["read"]),
    ("sys/leases/revoke", &["update"]),
];

/// The connector to OpenBao.
#[derive(Debug)]
pub struct Openbao {
    outbound: Arc<Outbound>,
    accessors: Accessors,
}

impl Openbao {
    /// A connector on this way out.
    pub fn new(outbound: Arc<Outbound>) -> Self {
        Self { outbound, accessors: Accessors::default() }
    }

    async fn within<'r, T, W: Future<Output = Result<T, ConnectorError>>>(
        &'r self,
        reach: &'r Reach<'r>,
        work: impl FnOnce(Arc<Api<'r>>) -> W,
    ) -> Result<T, ConnectorError> {
        in_time(reach.patience, async {
            let api = Arc::new(Api::open(&self.outbound, reach).await?);
            let worked = work(Arc::clone(&api)).await;
            api.close().await;
            worked
        })
        .await
    }
}

impl Connector for Openbao {
    fn kind(&self) -> TargetKind {
        TargetKind::Openbao
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
            Mode::Observe => include_str!("observe.hcl"),
            // Canaries are AppRoles like any other.
            Mode::End | Mode::Issue => include_str!("end.hcl"),
        }
    }

    fn blind_spots(&self) -> &'static [&'static str] {
        &[
            "batch tokens: the server keeps no list of them",
            "users and roles of other ways to log in than AppRole, until their first login",
        ]
    }

    fn check(&self, endpoint: &Endpoint) -> Result<(), ConnectorError> {
        Api::at(&self.outbound, endpoint, Span::MAX).map(|_| ())
    }

    fn whoami<'a>(&'a self, reach: &'a Reach<'a>) -> BoxFuture<'a, Result<Vec<String>, ConnectorError>> {
        Box::pin(self.within(reach, move |api| async move {
            let needed: Vec<_> = if reach.mode == Mode::Observe { OBSERVE.to_vec() } else { [OBSERVE, END].concat() };
            let path = |path: &str| path.replace("MOUNT", api.mount);
            let paths: Vec<String> = needed.iter().map(|(name, _)| path(name)).collect();
            let body = json!({ "paths": paths });
            let answer = api.ask("POST", &["sys", "capabilities-self"], Some(body)).await?.done()?;
            let mut problems = Vec::new();
            for (name, capabilities) in needed {
                let has = texts(answer.get("data").and_then(|data| data.get(path(name))).unwrap_or(&Value::Null), "");
                for capability in
                    capabilities.iter().filter(|wanted| !has.iter().any(|has| has == *wanted || has == "root"))
                {
                    problems.push(format!("it may not {capability} at {}", path(name)));
                }
            }
            Ok(problems)
        }))
    }

    fn discover<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Found, ConnectorError>> {
        Box::pin(
            self.within(
                reach,
                move |api| async move { discover(&api, &self.accessors, &reach.endpoint.url, after).await },
            ),
        )
    }

    fn read<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<SeenAccount>, ConnectorError>> {
        Box::pin(async move {
            let key: Key = key.parse()?;
            self.within(reach, move |api| async move { read_one(&api, key).await }).await
        })
    }

    fn provision<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        account: &'a NewAccount<'a>,
    ) -> BoxFuture<'a, Result<SeenAccount, ConnectorError>> {
        Box::pin(async move {
            may_provision(reach, account)?;
            self.within(reach, move |api| async move {
                let made = read_one(&api, acts::provision(&api, account).await?).await?;
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
            let key: Key = key.parse()?;
            self.within(reach, move |api| async move { acts::rotate(&api, &key, secret).await }).await
        })
    }

    fn hold<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        Box::pin(async move {
            may_end(reach)?;
            let key: Key = key.parse()?;
            self.within(reach, move |api| async move { acts::hold(&api, &key).await }).await
        })
    }

    fn release<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<(), ConnectorError>> {
        Box::pin(async move {
            may_end(reach)?;
            let key: Key = key.parse()?;
            self.within(reach, move |api| async move { acts::release(&api, &key).await }).await
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
            let key: Key = key.parse()?;
            self.within(reach, move |api| async move { acts::narrow(&api, &key, keep).await }).await
        })
    }

    fn revoke<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        Box::pin(async move {
            may_end(reach)?;
            let key: Key = key.parse()?;
            self.within(reach, move |api| async move { acts::revoke(&api, &key).await }).await
        })
    }

    fn probe<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        login: &'a TargetLogin,
        patience: Span,
    ) -> BoxFuture<'a, Result<Probe, ConnectorError>> {
        Box::pin(in_time(patience, async move {
            let mut api = Api::at(&self.outbound, endpoint, patience)?;
            if !login.name.is_empty() {
                let answer = api.log_in(login).await?;
                return match answer.status {
                    200 => {
                        api.adopt(&answer)?;
                        api.close().await;
                        Ok(Probe::Accepted)
                    }
                    // Who may not log in is told 400, whose entity is disabled 403.
                    400 | 403 => Ok(Probe::Refused { words: answer.words() }),
                    _ => Err(ConnectorError::Unreachable(answer.words())),
                };
            }
            let api = api.with_token(login.secret.expose())?;
            // A token that may do nothing is told the same as one that is none; this, every token may ask.
            let answer = api.ask("GET", &["sys", "internal", "ui", "namespaces"], None).await?;
            match answer.status {
                200 => Ok(Probe::Accepted),
                403 => Ok(Probe::Refused { words: answer.words() }),
                _ => Err(ConnectorError::Unreachable(answer.words())),
            }
        }))
    }
}
