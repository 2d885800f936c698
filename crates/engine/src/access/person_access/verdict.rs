//! What a person may do on a resource: decided by their own grants, under the same policies as an identity's use (R2).

use tenure_api::requests::Evaluation;
use tenure_api::views::{Decision, DecisionContext};
use tenure_core::base::id::{PersonGrantId, PersonId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::credential::gate;
use tenure_core::inventory::resource::Resource;
use tenure_core::people::person::Person;
use tenure_core::people::person_grant::{PersonGrant, PersonGrantState};
use tenure_core::policy::{Action, Answer, Attributes, Question, Value};
use tenure_core::request::exception::{Exception, ExceptionSubject};
use tenure_core::store::event::{Actor, ControlPoint};
use tenure_core::store::row::Stored;

use crate::access::person_access::MAX_HELD;
use crate::credentials::enforcer::{self, Enforcer};
use crate::kernel::counters::count;
use crate::kernel::error::OpError;
use crate::kernel::query::Query;
use crate::kernel::refusals::Refusal;
use crate::kernel::{Kernel, authority};

/// The workflow that a person's use belongs to.
const WORKFLOW: &str = "human.access";

struct Verdict {
    person: Option<PersonId>,
    refused: Option<Reason>,
    grants: Vec<PersonGrantId>,
    answer: Option<Answer>,
}

/// Decides about a person, for an enforcement point of the resource, which has authenticated them itself.
///
/// # Errors
/// The question is malformed, or the store can't be read.
pub(crate) async fn evaluate_person(
    kernel: &Kernel,
    enforcer: &Enforcer,
    ask: &Evaluation,
    resource: &Resource,
    now: Timestamp,
) -> Result<Decision, OpError> {
    if ask.subject.properties.contains_key("access_token") {
        return Err(OpError::field(
            "subject.properties.access_token",
            "cross_class",
            "access tokens are issued to identities: use the subject type identity",
        ));
    }
    let verdict = person_verdict(kernel, &ask.subject.id, &ask.action.name, resource, now).await?;
    count(if verdict.refused.is_some() { &kernel.counters.denied } else { &kernel.counters.allowed });
    if let Some(reason) = verdict.refused {
        let enforcer = enforcer::enforcer_identity(enforcer).id;
        match verdict.person {
            Some(person) => {
                let action: String = ask.action.name.chars().take(64).collect();
                kernel
                    .record_refusal(Refusal {
                        actor: Actor::Identity { id: enforcer },
                        control: ControlPoint::Use,
                        asked: &action,
                        subjects: vec![person.to_string(), resource.id.to_string(), enforcer.to_string()],
                        code: reason.code(),
                        fields: &[],
                        answer: verdict.answer.as_ref(),
                    })
                    .await;
            }
            None => kernel.count_stranger(reason, &enforcer.to_string()),
        }
    }
    let (policies, policy_version) = verdict.answer.map_or_else(
        || (Vec::new(), kernel.policy.version()),
        |answer| (answer.policies().to_vec(), answer.version().to_owned()),
    );
    Ok(Decision {
        decision: verdict.refused.is_none(),
        context: DecisionContext {
            reason_code: verdict.refused.map(|reason| reason.code().to_owned()),
            hint: verdict.refused.map(|reason| reason.hint().to_owned()),
            workflow: WORKFLOW.to_owned(),
            policies,
            policy_version,
            grants: Vec::new(),
            person_grants: verdict.grants,
            chain: Vec::new(),
        },
    })
}

/// Why a person may not do something on a resource now; nothing if they may. It is asked of the same as at each use, and
/// recorded nowhere.
pub(crate) async fn refusal(
    kernel: &Kernel,
    person: PersonId,
    action: &str,
    resource: &Resource,
    now: Timestamp,
) -> Result<Option<Reason>, OpError> {
    Ok(person_verdict(kernel, &person.to_string(), action, resource, now).await?.refused)
}

async fn person_verdict(
    kernel: &Kernel,
    subject: &str,
    action: &str,
    resource: &Resource,
    now: Timestamp,
) -> Result<Verdict, OpError> {
    let unknown = Verdict { person: None, refused: Some(Reason::NoAccess), grants: Vec::new(), answer: None };
    let Ok(id) = subject.parse::<PersonId>() else {
        return Ok(unknown);
    };
    let Some(person) = kernel.one::<Person>(id).await? else {
        return Ok(unknown);
    };
    let grants = covering(kernel, &person, action, resource, now).await?;
    let held = person.is_active() && !grants.is_empty();
    let answer = kernel.policy.decide(&Question {
        principal: authority::person(&person),
        action: Action::Use,
        resource: authority::resource(resource),
        context: Attributes::from([
            ("action", Value::Text(action.to_owned())),
            ("live_grant", Value::Bool(held)),
            ("in_scope", Value::Bool(resource.actions.iter().any(|known| known == action))),
            // A person answers for themselves and has no charter that could bound hours, posture or data.
            ("owner_active", Value::Bool(person.is_active())),
            ("in_transfer", Value::Bool(false)),
            ("charter_complete", Value::Bool(true)),
            ("environment", Value::Text(resource.environment.clone())),
            ("in_hours", Value::Bool(true)),
            ("in_posture", Value::Bool(true)),
            ("in_data_domains", Value::Bool(true)),
            ("in_intent", Value::Bool(true)),
            ("depth", Value::Long(0)),
            ("through_agent", Value::Bool(false)),
        ]),
    });
    // Beyond any policy: without a grant of their own that is in force, and unless they are at work, a person uses
    // nothing.
    let refused = if held { gate::check(&answer).err() } else { Some(Reason::NoAccess) };
    Ok(Verdict {
        person: Some(id),
        refused,
        grants: if refused.is_none() { grants } else { Vec::new() },
        answer: Some(answer),
    })
}

async fn covering(
    kernel: &Kernel,
    person: &Person,
    action: &str,
    resource: &Resource,
    now: Timestamp,
) -> Result<Vec<PersonGrantId>, OpError> {
    let live = Query::of([
        PersonGrant::PERSON.of(person.id),
        PersonGrant::RESOURCE.of(resource.id.to_string()),
        PersonGrant::STATE.of(PersonGrantState::Live),
    ]);
    let known = resource.actions.iter().any(|known| known == action);
    let mut covering = Vec::new();
    for grant in kernel.find(live.limit(MAX_HELD)).await?.readable() {
        if known && grant.entitlement.covers(action, resource.id) && is_in_force(kernel, &grant, now).await? {
            covering.push(grant.id);
        }
    }
    Ok(covering)
}

/// Whether a grant works now, with the exception that it rests on.
pub(crate) async fn is_in_force(kernel: &Kernel, grant: &PersonGrant, now: Timestamp) -> Result<bool, OpError> {
    let Some(exception) = grant.exception.filter(|_| grant.is_live(now)) else {
        return Ok(grant.is_live(now));
    };
    let exception: Option<Stored<Exception>> = kernel.one(exception).await?;
    Ok(exception.is_some_and(|exception| {
        exception.subject == ExceptionSubject::Person(grant.person) && exception.is_in_force(now)
    }))
}
