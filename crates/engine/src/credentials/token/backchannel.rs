//! The answer to what an identity asked for while it runs (R56), fetched at the token endpoint.
//!
//! While nobody has answered, each question is a commit of its own: it uses up the client's proof (S-15), and notes
//! when it came in the row itself, so that the interval holds whichever replica is asked. A question that comes too
//! soon makes the next wait longer and is bounded by the identity's own budget. An answer is worth one token, under the
//! new grant and nothing else.

use serde_json::json;
use tenure_core::base::id::{CredentialId, IdentityId, RequestId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::credential::gate::{self, IdentityFacts};
use tenure_core::identity::Identity;
use tenure_core::identity::binding::BindingState;
use tenure_core::identity::grant::Grant as GrantRecord;
use tenure_core::request::backchannel::{Backchannel, Wait};
use tenure_core::request::{Matter, Request, RequestState};
use tenure_core::store::changeset::{Changeset, Spend};
use tenure_core::store::event::Actor;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::{Record, Stored};
use tenure_credentials::vouch::Vouch;

use crate::credentials::token::ask::{self, TokenAsk, Wanted};
use crate::credentials::token::intent::{PARAMETER, TaskBy};
use crate::credentials::token::prove;
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::load::KnownIdentity;

/// The type of what is asked for, in the form of RFC 9396.
pub const TENURE_ACCESS: &str = "tenure_access";

/// How often a note is written again when somebody else wrote the row meanwhile.
const ATTEMPTS: u32 = 8;

/// Answers a question whose request nobody has answered yet; what is decided, or fails, is left to the issuance.
pub(crate) async fn unless_answered(
    kernel: &Kernel,
    ask: &TokenAsk,
    id: IdentityId,
    auth_req_id: &str,
) -> Result<(), OpError> {
    for _ in 0..ATTEMPTS {
        let Some((changeset, wait)) = Box::pin(decide_wait(kernel, ask, id, auth_req_id)).await? else {
            return Ok(());
        };
        if kernel.settle(changeset).await?.is_some() {
            return Err(OpError::refused(match wait {
                Wait::Pending => Reason::AuthorizationPending,
                Wait::SlowDown => Reason::SlowDown,
            }));
        }
    }
    Err(OpError::Unavailable("others ask with the same auth_req_id at once; try again".into()))
}

async fn decide_wait(
    kernel: &Kernel,
    ask: &TokenAsk,
    id: IdentityId,
    auth_req_id: &str,
) -> Result<Option<(Changeset, Wait)>, OpError> {
    let now = kernel.now();
    let Some(request) = request_behind(kernel, auth_req_id, id) else {
        return Ok(None);
    };
    let (Some(known), Some(waiting)) = (kernel.know(id).await?, kernel.one::<Backchannel>(request).await?) else {
        return Ok(None);
    };
    let Some(asked) = kernel.one::<Request>(request).await? else {
        return Ok(None);
    };
    let open = matches!(asked.state, RequestState::Open | RequestState::Approved) && now < waiting.expires_at;
    if !open || waiting.environment != ask.environment || gate::standing(known.facts(now)).is_err() {
        return Ok(None);
    }
    let issuer = kernel.issuer_of(&ask.environment);
    let Ok(proven) = prove::prove(kernel, &known, &ask.proof, &issuer, &ask.environment, now).await else {
        return Ok(None);
    };
    if proven.binding.state == BindingState::Suspended {
        return Ok(None);
    }
    let (noted, wait) = (*waiting.value).clone().asked(now);
    let event = kernel
        .event(now, EventKind::RequestPolled)
        .subject(request)
        .subject(id)
        .fact("slow_down", wait == Wait::SlowDown)
        .fact("interval", noted.interval);
    let mut changeset = Changeset::new(Actor::Identity { id }, now, event);
    changeset.expect(&proven.binding).replace(&waiting, &noted);
    changeset.once.extend(proven.once);
    changeset.spends.push(Spend { budget: format!("poll/{id}"), ..ask::issuance_spend(kernel, id, now) });
    Ok(Some((changeset, wait)))
}

/// What the request gave, and that alone.
pub(crate) async fn wanted_backchannel(
    kernel: &Kernel,
    ask: &TokenAsk,
    known: &KnownIdentity,
    auth_req_id: &str,
    now: Timestamp,
) -> Result<Wanted, OpError> {
    if ask.authorization_details.is_some() {
        // Passed over, a narrower wish would get the whole answer.
        let hint = "leave it out: the answer is what the request asked for, and scope names less of it";
        return Err(OpError::field(PARAMETER, "details_not_here", hint));
    }
    let (waiting, request) = answered(kernel, &known.identity, &ask.environment, auth_req_id, now).await?;
    let Matter::Access { entitlement, task, .. } = &request.matter else {
        return Err(OpError::refused(Reason::RequestUnknown));
    };
    let given: Vec<Option<Stored<GrantRecord>>> = known
        .grants
        .iter()
        .filter(|grant| {
            grant.as_ref().is_some_and(|grant| request.outcome.grants.contains(&grant.id) && grant.is_live(now))
        })
        .cloned()
        .collect();
    if given.is_empty() {
        return Err(OpError::because(Reason::RequestExpired, "the grant that came of it has ended"));
    }
    let standing = gate::standing(IdentityFacts { grants: &given, ..known.facts(now) })?;
    let resource = known.resources.iter().flatten().find(|resource| resource.id.to_string() == entitlement.resource);
    let resource = resource.filter(|resource| ask.resource.as_ref().is_none_or(|uri| resource.is_at(uri)));
    let resource = resource
        .cloned()
        .ok_or_else(|| OpError::because(Reason::ResourceUnknown, "what was given is on another resource"))?;
    let asked = ask.actions();
    if asked.iter().any(|action| !entitlement.actions.contains(action)) {
        return Err(OpError::because(Reason::OutsideScope, "the request gave less than this scope"));
    }
    let held = standing.held(&resource, if asked.is_empty() { &entitlement.actions } else { &asked })?;
    let tasks = &known.identity.charter.tasks;
    let declared = task.as_ref().and_then(|name| tasks.iter().find(|task| task.name == *name));
    let covered = declared.is_some_and(|task| held.actions().iter().all(|action| task.covers(action, resource.id)));
    let mut details =
        json!({"type": TENURE_ACCESS, "locations": [resource.uri], "actions": held.actions(), "until": held.until()});
    if let (Some(details), Some(task)) = (details.as_object_mut(), task) {
        details.insert("task".into(), json!(task));
    }
    Ok(Wanted {
        outside: (!tasks.is_empty() && !covered).then_some(if task.is_some() {
            Reason::OutsideIntent
        } else {
            Reason::IntentMissing
        }),
        resource,
        held,
        task: task.clone().map(|task| (task, TaskBy::Declared)),
        left_out: Vec::new(),
        may_act: None,
        delegated: None,
        ancestors: Vec::new(),
        details: Some(json!([details])),
        issued_token_type: None,
        expects: vec![tenure_core::store::changeset::Expect::Revision(waiting.value.key(), waiting.revision)],
    })
}

/// The request that is behind an `auth_req_id`, if it was granted and nobody has redeemed it.
async fn answered(
    kernel: &Kernel,
    identity: &Identity,
    environment: &str,
    auth_req_id: &str,
    now: Timestamp,
) -> Result<(Stored<Backchannel>, Stored<Request>), OpError> {
    let unknown = || OpError::refused(Reason::RequestUnknown);
    let id = request_behind(kernel, auth_req_id, identity.id).ok_or_else(unknown)?;
    let expired = || OpError::refused(Reason::RequestExpired);
    let waiting = kernel.one::<Backchannel>(id).await?.ok_or_else(expired)?;
    if waiting.environment != environment || waiting.identity != identity.id || waiting.redeemed.is_some() {
        return Err(unknown());
    }
    let request = kernel.one::<Request>(id).await?.ok_or_else(expired)?;
    match request.state {
        RequestState::Denied => Err(OpError::refused(Reason::RequestDenied)),
        RequestState::Withdrawn | RequestState::Lapsed => Err(expired()),
        _ if now >= waiting.expires_at => Err(expired()),
        RequestState::Open | RequestState::Approved => Err(OpError::refused(Reason::AuthorizationPending)),
        RequestState::Fulfilled => Ok((waiting, request)),
    }
}

/// Uses the answer up in the commit that issues its token.
pub(crate) async fn redeem_answer(
    kernel: &Kernel,
    changeset: &mut Changeset,
    identity: IdentityId,
    auth_req_id: &str,
    credential: CredentialId,
    now: Timestamp,
) -> Result<(), OpError> {
    let unknown = || OpError::refused(Reason::RequestUnknown);
    let id = request_behind(kernel, auth_req_id, identity).ok_or_else(unknown)?;
    let waiting = kernel.one::<Backchannel>(id).await?.ok_or_else(unknown)?;
    let mut redeemed = (*waiting.value).clone();
    redeemed.redeemed = Some(credential);
    if let Some(callback) = &mut redeemed.callback {
        // Whoever has the answer needs no call.
        callback.token = None;
    }
    let event = kernel.event(now, EventKind::RequestRedeemed).subject(id).subject(identity).subject(credential);
    changeset.event(event).replace(&waiting, &redeemed);
    Ok(())
}

/// The request that an `auth_req_id` of this identity names.
pub(crate) fn request_behind(kernel: &Kernel, auth_req_id: &str, identity: IdentityId) -> Option<RequestId> {
    let (request, tag) = auth_req_id.split_once('.')?;
    let id = request.parse().ok()?;
    answers(kernel).holds(&[request, &identity.to_string()], tag).then_some(id)
}

pub(crate) fn answers(kernel: &Kernel) -> Vouch {
    Vouch::new(&kernel.root, "auth_req_id")
}
