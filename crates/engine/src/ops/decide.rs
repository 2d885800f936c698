//! Runtime decisions (OpenID AuthZEN): may this identity do this on this resource, now?

use tenure_api::requests::Evaluation;
use tenure_api::views::{Decision, DecisionContext};
use tenure_core::event::{Actor, ControlPoint};
use tenure_core::gate;
use tenure_core::id::{IdentityId, ResourceId};
use tenure_core::policy::{Action, Answer, Attributes, Question, Value};
use tenure_core::port::{ListQuery, StoreError};
use tenure_core::problem::{FieldProblem, Reason};
use tenure_core::resource::Resource;
use tenure_core::row::{RowKind, Stored};

use super::introspect::Enforcer;
use crate::Engine;
use crate::counters::count;
use crate::error::OpError;
use crate::load::Known;
use crate::questions;
use crate::refusals::Refusal;

impl Engine {
    /// Decides, for an enforcement point of the resource. The resource's record overrides what the caller says about it.
    ///
    /// # Errors
    /// The question is malformed, or the caller may not ask about this resource.
    pub async fn evaluate(&self, enforcer: &Enforcer, ask: &Evaluation) -> Result<Decision, OpError> {
        let now = self.now();
        check_evaluation(ask)?;
        let caller = Self::enforcer_identity(enforcer).id;
        let resource = self
            .find_resource(&ask.resource.id)
            .await?
            .filter(|resource| resource.kind == ask.resource.kind)
            .ok_or(OpError::refused(Reason::ResourceUnknown));
        let resource = match resource.and_then(|resource| self.enforces(enforcer, &resource, now).map(|()| resource)) {
            Ok(resource) => resource,
            Err(OpError::Refused { reason, detail, answer }) => {
                self.refuse_identity(caller, ControlPoint::Use, "evaluation", reason.code(), &[], answer.as_deref())
                    .await;
                return Err(OpError::Refused { reason, detail, answer });
            }
            Err(other) => return Err(other),
        };
        let token = match ask.subject.properties.get("access_token") {
            None => None,
            Some(serde_json::Value::String(token)) => Some(token.as_str()),
            Some(_) => {
                return Err(OpError::field(
                    "subject.properties.access_token",
                    "access_token_malformed",
                    "give the access token as a string",
                ));
            }
        };
        let verdict = self.use_verdict(&ask.subject.id, token, &ask.action.name, &resource).await?;
        count(if verdict.refused.is_some() {
            &self.counters.denied
        } else {
            &self.counters.allowed
        });
        if let Some(id) = verdict.identity {
            if verdict.refused.is_some() {
                self.record_use_refusal(enforcer, id, &resource, &ask.action.name, &verdict).await;
            } else if verdict.proven {
                self.touch(id.to_string(), now);
            }
        } else if let Some(reason) = verdict.refused {
            // Whoever showed the gateway something that is nobody's is a stranger behind that gateway.
            self.count_stranger(reason, &caller.to_string());
        }
        Ok(verdict.into_decision(self.policy.version()))
    }

    async fn record_use_refusal(&self, enforcer: &Enforcer, id: IdentityId, resource: &Resource, action: &str, verdict: &Verdict) {
        let Some(reason) = verdict.refused else { return };
        let action: String = action.chars().take(64).collect();
        // Without a token of its own the subject is only what the enforcement point says: the record is the enforcement point's.
        let actor = if verdict.proven { id } else { Self::enforcer_identity(enforcer).id };
        self.record_refusal(Refusal {
            actor: Actor::Identity { id: actor },
            control: ControlPoint::Use,
            asked: &action,
            subjects: vec![id.to_string(), resource.id.to_string(), Self::enforcer_identity(enforcer).id.to_string()],
            code: reason.code(),
            fields: &[],
            answer: verdict.answer.as_ref(),
        })
        .await;
    }

    /// A resource by id or by its URI.
    pub(crate) async fn find_resource(&self, name: &str) -> Result<Option<Stored<Resource>>, OpError> {
        if let Ok(id) = name.parse::<ResourceId>() {
            return self.one(id).await;
        }
        let page = self
            .store
            .list(&ListQuery {
                kind: RowKind::Resource,
                terms: vec![format!("uri={name}")],
                after: None,
                limit: 1,
            })
            .await?;
        let found = page.rows.first().map(|row| row.decode::<Resource>()).transpose().map_err(StoreError::from)?;
        Ok(found.filter(|resource| resource.uri == name))
    }

    async fn use_verdict(&self, subject: &str, token: Option<&str>, action: &str, resource: &Resource) -> Result<Verdict, OpError> {
        let now = self.now();
        let Ok(id) = subject.parse::<IdentityId>() else {
            return Ok(Verdict::refused(None, Reason::IdentityUnknown));
        };
        let proven = token.is_some();
        let (known, environment) = match token {
            // With a token, the decision is about what the token may be used for; nothing beyond it.
            Some(token) => {
                let Some((claims, held)) = self.presented(token, now).await? else {
                    return Ok(Verdict::refused(None, Reason::CredentialUnknown));
                };
                if claims.identity != id {
                    return Ok(Verdict::refused(None, Reason::ProofInvalid));
                }
                if let Err(reason) = held.status {
                    return Ok(Verdict {
                        proven,
                        ..Verdict::refused(Some(id), reason)
                    });
                }
                if held.credential.environment != resource.environment {
                    return Ok(Verdict {
                        proven,
                        ..Verdict::refused(Some(id), Reason::WrongEnvironment)
                    });
                }
                if held.credential.resource != resource.id || !held.credential.actions.iter().any(|held| held == action) {
                    return Ok(Verdict {
                        proven,
                        ..Verdict::refused(Some(id), Reason::OutsideScope)
                    });
                }
                (held.known, held.credential.environment.clone())
            }
            None => {
                let Some(known) = self.know(id).await? else {
                    return Ok(Verdict::refused(None, Reason::IdentityUnknown));
                };
                let environment = known.identity.charter.environment.clone().unwrap_or_default();
                (known, environment)
            }
        };
        Ok(Verdict {
            proven,
            ..self.decide_use(&known, &environment, action, resource)
        })
    }

    fn decide_use(&self, known: &Known, environment: &str, action: &str, resource: &Resource) -> Verdict {
        let id = known.identity.id;
        let standing = match gate::standing(known.facts(self.now())) {
            Ok(standing) => standing,
            Err(reason) => return Verdict::refused(Some(id), reason),
        };
        let held = standing.held(resource, &[action.to_owned()]);
        let answer = self.policy.decide(&Question {
            principal: questions::identity(&known.identity),
            action: Action::Use,
            resource: questions::resource(resource),
            context: Attributes::from([
                ("action", Value::Text(action.to_owned())),
                ("live_grant", Value::Bool(held.is_ok())),
                ("in_scope", Value::Bool(standing.charter().covers(action, resource.id))),
                ("owner_active", Value::Bool(known.owner_active())),
                ("charter_complete", Value::Bool(true)),
                ("environment", Value::Text(environment.to_owned())),
            ]),
        });
        let refused = held.as_ref().err().copied().or_else(|| gate::check(&answer).err());
        Verdict {
            identity: Some(id),
            refused,
            grants: held.map(|held| held.grants).unwrap_or_default(),
            answer: Some(answer),
            proven: false,
        }
    }
}

struct Verdict {
    identity: Option<IdentityId>,
    refused: Option<Reason>,
    grants: Vec<tenure_core::id::GrantId>,
    answer: Option<Answer>,
    /// Whether the subject showed a token that holds, rather than being named only.
    proven: bool,
}

impl Verdict {
    const fn refused(identity: Option<IdentityId>, reason: Reason) -> Self {
        Self {
            identity,
            refused: Some(reason),
            grants: Vec::new(),
            answer: None,
            proven: false,
        }
    }

    fn into_decision(self, version: String) -> Decision {
        let (policies, policy_version) = self.answer.map_or((Vec::new(), version), |answer| (answer.policies, answer.version));
        Decision {
            decision: self.refused.is_none(),
            context: DecisionContext {
                reason_code: self.refused.map(|reason| reason.code().to_owned()),
                hint: self.refused.map(|reason| reason.hint().to_owned()),
                policies,
                policy_version,
                grants: self.grants,
            },
        }
    }
}

fn check_evaluation(ask: &Evaluation) -> Result<(), OpError> {
    let mut problems = Vec::new();
    if ask.subject.kind != "identity" {
        problems.push(FieldProblem::new("subject.type", "subject_type_unknown", "use the type identity"));
    }
    for (field, text) in [
        ("subject.id", &ask.subject.id),
        ("resource.type", &ask.resource.kind),
        ("resource.id", &ask.resource.id),
        ("action.name", &ask.action.name),
    ] {
        if text.is_empty() || text.len() > 500 {
            problems.push(FieldProblem::new(field, "text_malformed", "give 1 to 500 bytes"));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(OpError::Invalid(problems)) }
}
