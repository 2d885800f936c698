//! Runtime decisions (OpenID AuthZEN): may this identity do this on this resource, now?

use tenure_api::requests::Evaluation;
use tenure_api::views::{Decision, DecisionContext};
use tenure_core::event::{Actor, ControlPoint};
use tenure_core::gate;
use tenure_core::id::{IdentityId, ResourceId};
use tenure_core::identity::Usage;
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
        if ask.subject.kind == "person" {
            return self.evaluate_person(enforcer, ask, &resource, now).await;
        }
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
        let verdict = self.use_verdict(&ask.subject.id, token, &ask.action.name, &resource, posture_of(ask)).await?;
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
        if reason == Reason::WrongEnvironment {
            let asked_by = Self::enforcer_identity(enforcer).id;
            self.note_use_elsewhere(id, resource, asked_by, &action, verdict.proven).await;
        }
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

    async fn use_verdict(&self, subject: &str, token: Option<&str>, action: &str, resource: &Resource, posture: Option<&str>) -> Result<Verdict, OpError> {
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
                if held.credential.resource != resource.id || !held.actions.iter().any(|held| held == action) {
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
            ..self.decide_use(&known, &environment, action, resource, posture)
        })
    }

    fn decide_use(&self, known: &Known, environment: &str, action: &str, resource: &Resource, posture: Option<&str>) -> Verdict {
        let id = known.identity.id;
        let now = self.now();
        let standing = match gate::standing(known.facts(now)) {
            Ok(standing) => standing,
            Err(reason) => return Verdict::refused(Some(id), reason),
        };
        let held = standing.held(resource, &[action.to_owned()]);
        let usage = standing.charter().usage.clone().unwrap_or_default();
        let (in_hours, in_posture) = (usage.in_hours(now), usage.in_posture(posture));
        let answer = self.policy.decide(&Question {
            principal: questions::identity(&known.identity),
            action: Action::Use,
            resource: questions::resource(resource),
            context: Attributes::from([
                ("action", Value::Text(action.to_owned())),
                ("live_grant", Value::Bool(held.is_ok())),
                ("in_scope", Value::Bool(standing.charter().covers(action, resource.id))),
                ("owner_active", Value::Bool(known.owner_active())),
                ("in_transfer", Value::Bool(known.in_transfer(now))),
                ("charter_complete", Value::Bool(true)),
                ("environment", Value::Text(environment.to_owned())),
                ("in_hours", Value::Bool(in_hours)),
                ("in_posture", Value::Bool(in_posture)),
                ("in_data_domains", Value::Bool(standing.within_data_domains(resource))),
                ("in_intent", Value::Bool(true)),
                ("depth", Value::Long(0)),
            ]),
        });
        let context = (!in_hours || !in_posture).then_some(Reason::WrongContext);
        let refused = held.as_ref().err().copied().or(context).or_else(|| gate::check(&answer).err());
        Verdict {
            identity: Some(id),
            refused,
            detail: (refused == Some(Reason::WrongContext)).then(|| wrong_context(&usage, in_hours, posture)),
            grants: held.map(|held| held.grants).unwrap_or_default(),
            answer: Some(answer),
            proven: false,
        }
    }
}

struct Verdict {
    identity: Option<IdentityId>,
    refused: Option<Reason>,
    /// What exactly is refused, where the reason alone doesn't say.
    detail: Option<String>,
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
            detail: None,
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
                hint: self.refused.map(|reason| self.detail.unwrap_or_else(|| reason.hint().to_owned())),
                workflow: "non_human.access".to_owned(),
                policies,
                policy_version,
                grants: self.grants,
                person_grants: Vec::new(),
            },
        }
    }
}

/// The posture that the enforcement point reports; anything but a text is none.
fn posture_of(ask: &Evaluation) -> Option<&str> {
    ask.context.get("posture").and_then(serde_json::Value::as_str)
}

/// Which bound of its charter the use is outside of.
fn wrong_context(usage: &Usage, in_hours: bool, posture: Option<&str>) -> String {
    match (&usage.hours, &usage.posture) {
        (Some(hours), _) if !in_hours => {
            let days = hours.days.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let on = if days.is_empty() {
                String::new()
            } else {
                format!(" on days {days} (1 is Monday)")
            };
            format!("the charter allows use from {} to {} o'clock UTC{on}", hours.from, hours.until)
        }
        (_, Some(demanded)) => match posture {
            Some(_) => format!("the charter demands the posture {demanded}, and the enforcement point reports another"),
            None => format!("the charter demands the posture {demanded}, and the enforcement point reports none in the context"),
        },
        _ => Reason::WrongContext.hint().to_owned(),
    }
}

fn check_evaluation(ask: &Evaluation) -> Result<(), OpError> {
    let mut problems = Vec::new();
    if !["identity", "person"].contains(&ask.subject.kind.as_str()) {
        problems.push(FieldProblem::new("subject.type", "subject_type_unknown", "use the type identity or person"));
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
