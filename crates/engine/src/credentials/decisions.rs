//! Runtime decisions (OpenID AuthZEN): may this identity do this on this resource, now?

use serde::Deserialize;
use tenure_api::requests::Evaluation;
use tenure_api::views::{Decision, DecisionContext};
use tenure_core::base::id::{BindingId, CredentialId, IdentityId, ResourceId};
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::base::time::Timestamp;
use tenure_core::credential::gate;
use tenure_core::identity::Usage;
use tenure_core::identity::delegation::Delegation;
use tenure_core::inventory::entitlement::ENFORCE;
use tenure_core::inventory::resource::Resource;
use tenure_core::policy::{Action, Answer, Attributes, Question, Value};
use tenure_core::store::event::{Actor, ControlPoint};
use tenure_core::store::row::Stored;
use tenure_core::trust::confirmation::Confirmation;

use crate::credentials::enforcer::{self, Enforcer};
use crate::credentials::liveness::{self, LiveCredential};
use crate::credentials::misuse::AskedBy;
use crate::credentials::token::ask;
use crate::credentials::{deprecated_use, introspection, misuse};
use crate::kernel::counters::count;
use crate::kernel::error::OpError;
use crate::kernel::load::KnownIdentity;
use crate::kernel::query::Query;
use crate::kernel::refusals::Refusal;
use crate::kernel::{Kernel, authority};

/// The resource that is asked about, if the caller enforces it; otherwise the caller's refusal is recorded.
///
/// # Errors
/// The caller may not ask.
pub(crate) async fn resource_of(
    kernel: &Kernel,
    enforcer: &Enforcer,
    ask: &Evaluation,
    now: Timestamp,
) -> Result<Option<Stored<Resource>>, OpError> {
    let found = find_resource(kernel, &ask.resource.id)
        .await?
        .filter(|resource| resource.kind == ask.resource.kind)
        .ok_or(OpError::refused(Reason::ResourceUnknown));
    let error =
        match found.and_then(|resource| introspection::enforces(kernel, enforcer, &resource, now).map(|()| resource)) {
            Ok(resource) => {
                kernel.note_use(enforcer::enforcer_identity(enforcer).id, resource.id, ENFORCE, now);
                return Ok(Some(resource));
            }
            Err(error) => error,
        };
    let OpError::Refused { reason, answer, .. } = &error else {
        return Err(error);
    };
    let caller = enforcer::enforcer_identity(enforcer).id;
    ask::refuse_identity(kernel, caller, ControlPoint::Use, "evaluation", reason.code(), &[], answer.as_deref()).await;
    match reason {
        Reason::ResourceUnknown => Ok(None),
        _ => Err(error),
    }
}

/// A no about nothing that is known here.
pub(crate) fn denial(kernel: &Kernel, reason: Reason) -> Decision {
    count(&kernel.counters.denied);
    Verdict::refused(None, reason).into_decision(kernel.policy.version())
}

/// Decides about an identity, and notes its use or its refusal.
pub(crate) async fn evaluate_identity(
    kernel: &Kernel,
    enforcer: &Enforcer,
    ask: &Evaluation,
    resource: &Stored<Resource>,
    now: Timestamp,
) -> Result<Decision, OpError> {
    let token = token_of(ask)?;
    let asked = Use { action: &ask.action.name, resource, posture: posture_of(ask), task: task_of(ask)? };
    let verdict = use_verdict(kernel, &ask.subject.id, token, asked).await?;
    count(if verdict.refused.is_some() { &kernel.counters.denied } else { &kernel.counters.allowed });
    if let Some(id) = verdict.identity {
        if verdict.refused.is_some() {
            kernel.note_refused_use(id, resource.id, &ask.action.name, now);
            record_use_refusal(kernel, enforcer, id, resource, &ask.action.name, &verdict).await;
        } else {
            // What was used of what it may is shown where that is reviewed (R88); only a proven use keeps an identity
            // from idling.
            kernel.note_use(id, resource.id, &ask.action.name, now);
            deprecated_use::note_of(kernel, id, resource.id, now).await;
            if let Some(task) = verdict.task.clone() {
                let what = format!("{} {}", ask.action.name, resource.uri);
                kernel.note_deed(id, verdict.credential, (task, what), now);
            }
            if verdict.proven {
                kernel.touch(id.to_string(), now);
                verdict.consumer.into_iter().for_each(|binding| kernel.touch(binding.to_string(), now));
            }
        }
    } else if let Some(reason) = verdict.refused {
        // Whoever showed the gateway something that is nobody's is a stranger behind that gateway.
        kernel.count_stranger(reason, &enforcer::enforcer_identity(enforcer).id.to_string());
    }
    Ok(verdict.into_decision(kernel.policy.version()))
}

async fn record_use_refusal(
    kernel: &Kernel,
    enforcer: &Enforcer,
    id: IdentityId,
    resource: &Resource,
    action: &str,
    verdict: &Verdict,
) {
    let Some(reason) = verdict.refused else { return };
    let action: String = action.chars().take(64).collect();
    // Without a token of its own the subject is only what the enforcement point says: the record is the enforcement
    // point's.
    let actor = if verdict.proven { id } else { enforcer::enforcer_identity(enforcer).id };
    kernel
        .record_refusal(Refusal {
            actor: Actor::Identity { id: actor },
            control: ControlPoint::Use,
            asked: &action,
            subjects: [id.to_string(), resource.id.to_string(), enforcer::enforcer_identity(enforcer).id.to_string()]
                .into_iter()
                .chain(verdict.chain.iter().filter(|link| **link != id).map(ToString::to_string))
                .collect(),
            code: reason.code(),
            fields: &[],
            answer: verdict.answer.as_ref(),
        })
        .await;
    let asked_by = AskedBy { enforcer: enforcer::enforcer_identity(enforcer).id, proven: verdict.proven };
    misuse::note_use_after_end(kernel, id, &resource.id.to_string(), Some(asked_by)).await;
    if reason == Reason::WrongEnvironment {
        let asked_by = enforcer::enforcer_identity(enforcer).id;
        misuse::note_use_elsewhere(kernel, id, resource, asked_by, &action, verdict.proven).await;
    }
}

/// A resource by id or by its URI.
pub(crate) async fn find_resource(kernel: &Kernel, name: &str) -> Result<Option<Stored<Resource>>, OpError> {
    if let Ok(id) = name.parse::<ResourceId>() {
        return kernel.one(id).await;
    }
    for spelling in Resource::spellings(name) {
        let found = kernel.first(Query::of([Resource::URI.of(spelling)])).await?;
        if let Some(resource) = found.filter(|resource| resource.is_at(name)) {
            return Ok(Some(resource));
        }
    }
    Ok(None)
}

async fn use_verdict(
    kernel: &Kernel,
    subject: &str,
    token: Option<ShownToken<'_>>,
    asked: Use<'_>,
) -> Result<Verdict, OpError> {
    let now = kernel.now();
    let Use { action, resource, .. } = asked;
    let Ok(id) = subject.parse::<IdentityId>() else {
        return Ok(Verdict::refused(None, Reason::IdentityUnknown));
    };
    let proven = token.is_some();
    let (known, environment, rest, task, credential, consumer) = match token {
        // With a token, the decision is about what the token may be used for; nothing beyond it.
        Some(token) => {
            let Some((claims, held)) = liveness::presented(kernel, token.text, now).await? else {
                return Ok(Verdict::refused(None, Reason::CredentialUnknown));
            };
            // Of authority that was handed on, a gateway may name either: whom the token is about, or who holds it.
            if ![claims.identity, claims.subject].contains(&id) {
                return Ok(Verdict::refused(None, Reason::ProofInvalid));
            }
            let id = claims.identity;
            if held.credential.confirmation.is_some() && held.credential.confirmation != token.key {
                // Whoever showed it is not shown to be its holder: the record is the enforcement point's.
                return Ok(Verdict::refused(Some(id), Reason::TokenBound));
            }
            if let Err(reason) = held.status {
                return Ok(Verdict { proven, ..Verdict::refused(Some(id), reason) });
            }
            if held.credential.environment != resource.environment {
                return Ok(Verdict { proven, ..Verdict::refused(Some(id), Reason::WrongEnvironment) });
            }
            let rest = Rest::of(&held, asked);
            let in_scope = held.credential.resource == resource.id && held.actions.iter().any(|held| held == action);
            if !in_scope && rest.intent.is_ok() {
                return Ok(Verdict { proven, ..Verdict::refused(Some(id), Reason::OutsideScope) });
            }
            let environment = held.credential.environment.clone();
            let consumer = held.credential.binding.filter(|_| held.known.identity.charter.shared.is_some());
            let credential = Some(held.credential.id);
            (held.known, environment, rest, held.credential.task.clone(), credential, consumer)
        }
        None => {
            let Some(known) = kernel.know(id).await? else {
                return Ok(Verdict::refused(None, Reason::IdentityUnknown));
            };
            let environment = known.identity.charter.environment.clone().unwrap_or_default();
            let intent =
                gate::standing(known.facts(now)).and_then(|standing| standing.in_task(asked.task, action, resource.id));
            let rest = Rest { intent, delegation: None, usages: Vec::new() };
            (known, environment, rest, asked.task.map(str::to_owned), None, None)
        }
    };
    let handed_on = kernel.handed_on(&known.identity, rest.delegation.as_ref()).await?;
    let decided = decide_use(kernel, &known, handed_on, &environment, asked, rest);
    Ok(Verdict { proven, task, credential, consumer, ..decided })
}

fn decide_use(
    kernel: &Kernel,
    known: &KnownIdentity,
    handed_on: Attributes,
    environment: &str,
    asked: Use<'_>,
    rest: Rest,
) -> Verdict {
    let Use { action, resource, posture, .. } = asked;
    let id = known.identity.id;
    let now = kernel.now();
    let standing = match gate::standing(known.facts(now)) {
        Ok(standing) => standing,
        Err(reason) => return Verdict::refused(Some(id), reason),
    };
    let held = standing.held(resource, &[action.to_owned()]);
    // Who acts for others keeps to their bounds too.
    let usages = standing.charter().usage.iter().chain(&rest.usages);
    let broken = usages.clone().find(|usage| !usage.in_hours(now) || !usage.in_posture(posture));
    let (in_hours, in_posture) =
        (usages.clone().all(|usage| usage.in_hours(now)), usages.clone().all(|usage| usage.in_posture(posture)));
    let answer = kernel.policy.decide(&Question {
        principal: authority::identity(&known.identity),
        action: Action::Use,
        resource: authority::resource(resource),
        // What the caller knows better than the charter, such as the environment of a credential, comes last.
        context: standing
            .circumstances()
            .into_iter()
            .chain([
                ("action", Value::Text(action.to_owned())),
                ("live_grant", Value::Bool(held.is_ok())),
                ("in_scope", Value::Bool(standing.charter().covers(action, resource.id))),
                ("environment", Value::Text(environment.to_owned())),
                ("in_hours", Value::Bool(in_hours)),
                ("in_posture", Value::Bool(in_posture)),
                ("in_data_domains", Value::Bool(standing.within_data_domains(resource))),
                ("in_intent", Value::Bool(rest.intent.is_ok())),
            ])
            .chain(handed_on)
            .collect(),
    });
    let context = broken.map(|_| Reason::WrongContext);
    let intent = rest.intent.err();
    let refused = held.as_ref().err().copied().or(intent).or(context).or_else(|| gate::check(&answer).err());
    Verdict {
        identity: Some(id),
        refused,
        detail: broken
            .filter(|_| refused == Some(Reason::WrongContext))
            .map(|usage| wrong_context(usage, usage.in_hours(now), posture)),
        grants: held.map(|held| held.grants().to_vec()).unwrap_or_default(),
        answer: Some(answer),
        proven: false,
        task: None,
        credential: None,
        consumer: None,
        chain: rest.delegation.map(|delegation| delegation.chain).unwrap_or_default(),
    }
}

/// A use that is asked about.
#[derive(Clone, Copy)]
struct Use<'a> {
    action: &'a str,
    resource: &'a Resource,
    /// What the enforcement point reports.
    posture: Option<&'a str>,
    /// The task at hand, as the enforcement point names it.
    task: Option<&'a str>,
}

/// What bounds a use besides its holder's charter.
struct Rest {
    /// Whether it is part of a declared task, where tasks are declared (R54).
    intent: Result<(), Reason>,
    /// For whom the holder acts.
    delegation: Option<Delegation>,
    /// Bounds of use of those.
    usages: Vec<Usage>,
}

impl Rest {
    fn of(held: &LiveCredential, asked: Use<'_>) -> Self {
        let credential = &held.credential;
        let declared = |task: &str| {
            credential.delegation.iter().any(|delegation| delegation.declared().any(|(_, declared)| declared == task))
        };
        let named = |task: &str| credential.task.as_deref() == Some(task) || declared(task);
        let task = credential
            .task
            .as_deref()
            .and_then(|name| held.known.identity.charter.tasks.iter().find(|task| task.name == name));
        let outside = task.is_some_and(|task| !task.covers(asked.action, asked.resource.id))
            || asked.task.is_some_and(|task| !named(task));
        Self {
            intent: if outside { Err(Reason::OutsideIntent) } else { Ok(()) },
            delegation: credential.delegation.clone(),
            usages: held.usages().skip(usize::from(held.known.identity.charter.usage.is_some())).cloned().collect(),
        }
    }
}

struct Verdict {
    identity: Option<IdentityId>,
    refused: Option<Reason>,
    /// What exactly is refused, where the reason alone doesn't say.
    detail: Option<String>,
    grants: Vec<tenure_core::base::id::GrantId>,
    answer: Option<Answer>,
    /// Whether the subject showed a token that holds, rather than being named only.
    proven: bool,
    /// The task that it is for, where one is declared.
    task: Option<String>,
    /// The token that was shown.
    credential: Option<CredentialId>,
    /// The binding of the consumer whose token it is, of a shared identity.
    consumer: Option<BindingId>,
    /// Who acts for whom, if somebody does.
    chain: Vec<IdentityId>,
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
            task: None,
            credential: None,
            consumer: None,
            chain: Vec::new(),
        }
    }

    fn into_decision(self, version: String) -> Decision {
        let (policies, policy_version) = self
            .answer
            .map_or((Vec::new(), version), |answer| (answer.policies().to_vec(), answer.version().to_owned()));
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
                chain: self.chain,
            },
        }
    }
}

/// A token that the enforcement point was shown.
struct ShownToken<'a> {
    text: &'a str,
    /// The key whose proof the enforcement point has checked.
    key: Option<Confirmation>,
}

fn token_of(ask: &Evaluation) -> Result<Option<ShownToken<'_>>, OpError> {
    let properties = &ask.subject.properties;
    let malformed = |field, code, hint| Err(OpError::field(field, code, hint));
    let text = match properties.get("access_token") {
        None => return Ok(None),
        Some(serde_json::Value::String(text)) => text,
        Some(_) => {
            return malformed(
                "subject.properties.access_token",
                "access_token_malformed",
                "give the access token as a string",
            );
        }
    };
    let Ok(key) = properties.get("cnf").map(Confirmation::deserialize).transpose() else {
        return malformed(
            "subject.properties.cnf",
            "cnf_malformed",
            "give the one key whose proof you have checked: {\"jkt\": …} or {\"x5t#S256\": …}",
        );
    };
    Ok(Some(ShownToken { text, key }))
}

/// The posture that the enforcement point reports; anything but a text is none.
fn posture_of(ask: &Evaluation) -> Option<&str> {
    ask.context.get("posture").and_then(serde_json::Value::as_str)
}

/// The task at hand, where the enforcement point knows it.
fn task_of(ask: &Evaluation) -> Result<Option<&str>, OpError> {
    match ask.context.get("task") {
        None | Some(serde_json::Value::Null) => Ok(None),
        Some(serde_json::Value::String(task)) => Ok(Some(task)),
        Some(_) => Err(OpError::field("context.task", "task_malformed", "give the task's name as a string")),
    }
}

/// Which bound of its charter the use is outside of.
fn wrong_context(usage: &Usage, in_hours: bool, posture: Option<&str>) -> String {
    match (&usage.hours, &usage.posture) {
        (Some(hours), _) if !in_hours => {
            let days = hours.days.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let on = if days.is_empty() { String::new() } else { format!(" on days {days} (1 is Monday)") };
            format!("the charter allows use from {} to {} o'clock UTC{on}", hours.from, hours.until)
        }
        (_, Some(demanded)) => match posture {
            Some(_) => format!("the charter demands the posture {demanded}, and the enforcement point reports another"),
            None => format!(
                "the charter demands the posture {demanded}, and the enforcement point reports none in the context"
            ),
        },
        _ => Reason::WrongContext.hint().to_owned(),
    }
}

pub(crate) fn check_evaluation(ask: &Evaluation) -> Result<(), OpError> {
    let mut problems = Vec::new();
    for (field, text) in [
        ("subject.type", &ask.subject.kind),
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
