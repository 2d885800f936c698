//! An identity asks for more while it runs (R56): the backchannel of OpenID CIBA over a request for access.
//!
//! The client proves itself as at the token endpoint, and its proof is used up in the commit that opens the request.
//! What it asks for goes the way of every request: the charter bounds it, policy chooses the route, people answer. The
//! answer is fetched at the token endpoint (`ops/token/backchannel.rs`) under an `auth_req_id` that names the request
//! and is vouched for, so that it can be neither guessed nor made.

use serde::Deserialize;
use tenure_core::base::id::{IdentityId, RequestId};
use tenure_core::base::json::read_object;
use tenure_core::base::problem::Reason;
use tenure_core::base::text;
use tenure_core::base::time::Span;
use tenure_core::credential::gate;
use tenure_core::identity::Identity;
use tenure_core::identity::binding::BindingState;
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::request::backchannel::{Backchannel, Callback, INTERVAL, MAX_NOTIFICATION_TOKEN, MIN_EXPIRY};
use tenure_core::request::{Asker, Matter, Request, RequestState};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::{Actor, ControlPoint};

use crate::credentials::token::backchannel::TENURE_ACCESS;
use crate::credentials::token::{Proof, ask, prove};
use crate::kernel::Kernel;
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::load::KnownIdentity;
use crate::kernel::query::Query;
use crate::matters::callbacks::{self, SEALED_AS};
use crate::matters::{matter_facts, request};
use crate::requests::route;

/// Requests of one identity that may wait at once: each costs people's attention.
const MAX_WAITING: u16 = 16;
/// The longest `authorization_details` in bytes.
const MAX_DETAILS: usize = 8 * 1024;

/// What a client asks for.
#[derive(Clone)]
pub struct BackchannelAsk {
    /// The environment whose issuer is asked.
    pub environment: String,
    /// Who claims to ask; an assertion names it itself.
    pub client_id: Option<String>,
    /// The proof.
    pub proof: Proof,
    /// What it wants, in the form of RFC 9396: a JSON array with one element of type [`TENURE_ACCESS`].
    pub authorization_details: String,
    /// For which need: the approvers read it.
    pub binding_message: String,
    /// How long the request may wait, in seconds; as long as requests do if not given.
    pub requested_expiry: Option<i64>,
    /// The bearer token with which the client wants to be called back (ping).
    pub client_notification_token: Option<String>,
    /// Where the request comes from, for the record of strangers.
    pub source: String,
}

/// A request that waits, or was approved by a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackchannelOpened {
    /// The request, as people know it.
    pub request: RequestId,
    /// What the client fetches the answer with.
    pub auth_req_id: String,
    /// For how many seconds.
    pub expires_in: i64,
    /// How many seconds to wait between two questions.
    pub interval: i64,
}

/// One element of `authorization_details`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Details {
    #[serde(rename = "type")]
    kind: String,
    locations: Vec<String>,
    actions: Vec<String>,
    #[serde(default)]
    task: Option<String>,
    duration_secs: i64,
}

/// Opens a request for access on behalf of the identity that proves itself.
///
/// # Errors
/// The proof fails, what is asked for is wrong or outside the charter, no route is permitted, or too many wait already.
pub async fn ask_for_more(kernel: &Kernel, ask: BackchannelAsk) -> Result<BackchannelOpened, OpError> {
    kernel.must::<tenure_core::inventory::environment::Environment>("environment", &ask.environment).await?;
    let id = prove::claimed_identity(kernel, ask.client_id.as_deref(), &ask.proof, &ask.source)?;
    match kernel.decide(|| decide_ask(kernel, &ask, id)).await {
        Ok((opened, _)) => Ok(opened),
        Err(OpError::Unauthenticated(reason)) => {
            kernel.count_stranger(reason, &ask.source);
            Err(OpError::Unauthenticated(reason))
        }
        Err(error) => {
            let (code, fields, answer) = match &error {
                OpError::Refused { reason, answer, .. } => (reason.code(), &[][..], answer.as_deref()),
                OpError::Invalid(fields) => ("invalid", fields.as_slice(), None),
                _ => return Err(error),
            };
            ask::refuse_identity(kernel, id, ControlPoint::Request, "request.open", code, fields, answer).await;
            Err(error)
        }
    }
}

async fn decide_ask(
    kernel: &Kernel,
    ask: &BackchannelAsk,
    id: IdentityId,
) -> Result<(Changeset, BackchannelOpened), OpError> {
    let reading = kernel.reading();
    let now = reading.now;
    let known = kernel.know(id).await?.ok_or(OpError::Unauthenticated(Reason::IdentityUnknown))?;
    let issuer = kernel.issuer_of(&ask.environment);
    let proven = prove::prove(kernel, &known, &ask.proof, &issuer, &ask.environment, now).await?;
    // From here on the caller is known: refusals are recorded one by one.
    if !reading.reliable {
        return Err(OpError::refused(Reason::ClockUnreliable));
    }
    if proven.binding.state == BindingState::Suspended {
        return Err(OpError::refused(Reason::BindingSuspended));
    }
    let charter_environment = gate::standing(known.facts(now))?.charter().environment.clone();
    if charter_environment != ask.environment {
        return Err(OpError::refused(Reason::WrongEnvironment));
    }
    check_message(&ask.binding_message)?;
    let expiry = expiry(kernel, ask.requested_expiry)?;
    let matter = wanted(&known, &ask.authorization_details)?;
    few_wait(kernel, id).await?;
    // The proof is good for this question; it gives no other part in the management API.
    let caller = Caller::Identity { identity: known.identity.clone(), actions: vec!["request".to_owned()] };
    let facts = matter_facts::facts(kernel, Asker::Identity(id), &matter, now).await?;
    route::may_ask(kernel, &caller, &facts)?;
    let mut request = route::draft_request(kernel, &caller, &facts, &ask.binding_message, now).await?;
    request.lapses_at = now.plus(expiry);
    let waiting = Backchannel {
        request: request.id,
        identity: id,
        environment: ask.environment.clone(),
        expires_at: request.lapses_at,
        interval: INTERVAL,
        asked_at: None,
        redeemed: None,
        callback: callback(kernel, ask, &known.identity, request.id)?,
    };
    let event = route::opened_event(kernel, &request, &facts, now)
        .fact("channel", "backchannel")
        .fact("method", ask.proof.method())
        .fact("lapses_at", request.lapses_at)
        .fact("called_back", waiting.callback.is_some());
    let mut changeset = Changeset::new(Actor::Identity { id }, now, event);
    changeset.expects.extend(facts.expects);
    changeset.expect(&proven.binding);
    if let Some(issuer) = &proven.issuer {
        changeset.expect(issuer);
    }
    changeset.once.extend(proven.once);
    request::carry_on(kernel, &caller, &mut changeset, &mut request, now).await?;
    if waiting.callback.is_some() && request.state != RequestState::Open {
        changeset.due.push(DueChange::Set(DueKind::Callback, request.id.to_string(), now));
    }
    changeset.insert(&request).insert(&waiting);
    let opened = BackchannelOpened {
        request: request.id,
        auth_req_id: callbacks::auth_req_id(kernel, request.id, id),
        expires_in: expiry.as_secs(),
        interval: INTERVAL.as_secs(),
    };
    Ok((changeset, opened))
}

fn expiry(kernel: &Kernel, requested: Option<i64>) -> Result<Span, OpError> {
    let longest = kernel.settings.request_open_for;
    match requested.map(Span::from_secs) {
        None => Ok(longest),
        Some(span) if span < MIN_EXPIRY => {
            Err(OpError::field("requested_expiry", "expiry_too_short", "use at least 30 seconds"))
        }
        Some(span) => Ok(span.min(longest)),
    }
}

/// People's attention is a budget too.
async fn few_wait(kernel: &Kernel, id: IdentityId) -> Result<(), OpError> {
    let waiting = Query::of([Request::REQUESTER.of(Asker::Identity(id)), Request::STATE.of(RequestState::Open)]);
    if kernel.find(waiting.limit(MAX_WAITING)).await?.count() < usize::from(MAX_WAITING) {
        return Ok(());
    }
    Err(OpError::because(Reason::BudgetSpent, "16 requests of this identity wait for an answer already"))
}

fn callback(
    kernel: &Kernel,
    ask: &BackchannelAsk,
    identity: &Identity,
    request: RequestId,
) -> Result<Option<Callback>, OpError> {
    let Some(token) = &ask.client_notification_token else {
        return Ok(None);
    };
    let problem = |code, hint| Err(OpError::field("client_notification_token", code, hint));
    // What a header takes (RFC 6750 §2.1).
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.len() > MAX_NOTIFICATION_TOKEN || !token.bytes().all(good) {
        return problem("token_malformed", "use at most 1024 characters of a bearer token's alphabet");
    }
    if identity.charter.notification_endpoint.is_none() {
        return problem("endpoint_missing", "the charter names no notification_endpoint to call back at: poll instead");
    }
    let sealed = kernel
        .root
        .seal(SEALED_AS, &request.to_string(), token.as_bytes(), kernel.entropy.as_ref())
        .map_err(|error| OpError::Internal(error.to_string()))?;
    Ok(Some(Callback { token: Some(sealed), attempts: 0, delivered_at: None, why: None }))
}

fn check_message(message: &str) -> Result<(), OpError> {
    if message.trim().is_empty() || message.len() > crate::requests::route::MAX_PURPOSE {
        return Err(OpError::field(
            "binding_message",
            "purpose_missing",
            "say for which need, in at most 1000 bytes: the approvers read it",
        ));
    }
    match text::check_line(message) {
        Ok(()) => Ok(()),
        Err(bad) => Err(OpError::field("binding_message", bad.code(), &bad.to_string())),
    }
}

/// The request's matter: access for the identity itself, on a resource of its charter, under a task where the charter
/// declares some.
fn wanted(known: &KnownIdentity, text: &str) -> Result<Matter, OpError> {
    let problem = |code, hint| OpError::field("authorization_details", code, hint);
    let form = "send one element {\"type\":\"tenure_access\",\"locations\":[uri],\"actions\":[…],\"duration_secs\":n} and, where the charter declares tasks, \"task\"";
    if text.len() > MAX_DETAILS {
        return Err(problem("details_too_long", "use at most 8 KiB"));
    }
    // A member that comes twice is read by two readers in two ways.
    let object =
        read_object(format!("{{\"details\":{text}}}").as_bytes()).map_err(|_| problem("details_malformed", form))?;
    let details = (object.len() == 1).then(|| object.get("details").cloned()).flatten();
    let details: Vec<Details> = details
        .and_then(|details| serde_json::from_value(details).ok())
        .ok_or_else(|| problem("details_malformed", form))?;
    let Ok([details]) = <[Details; 1]>::try_from(details) else {
        return Err(problem("details_not_one", "ask for one thing at a time: each request has its own answer"));
    };
    if details.kind != TENURE_ACCESS {
        return Err(problem("details_type_unknown", form));
    }
    let [location] = details.locations.as_slice() else {
        return Err(problem("locations_not_one", "name one resource by its identifier"));
    };
    let resource = known.resources.iter().flatten().find(|resource| resource.is_at(location));
    let resource = resource
        .ok_or_else(|| OpError::because(Reason::ResourceUnknown, "the charter has nothing on this resource"))?;
    let mut actions = details.actions.clone();
    actions.sort_unstable();
    actions.dedup();
    if actions.len() != details.actions.len() {
        return Err(problem("action_twice", "name each action once"));
    }
    if details.task.is_none() && !known.identity.charter.tasks.is_empty() {
        return Err(OpError::refused(Reason::IntentMissing));
    }
    Ok(Matter::Access {
        identity: known.identity.id,
        entitlement: Entitlement { actions: details.actions, resource: resource.id.to_string() },
        starts_at: None,
        // Longer than a century is none, and must not overflow.
        duration: Span::from_secs(details.duration_secs.clamp(0, 3_155_760_000)),
        task: details.task,
    })
}
