//! Introspection and revocation of tokens by protocol (RFC 7662, RFC 7009), and who may ask.

use tenure_api::views::{ActiveToken, Introspection};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::credential::gate;
use tenure_core::identity::Identity;
use tenure_core::identity::tally::UNNAMED;
use tenure_core::inventory::entitlement::ENFORCE;
use tenure_core::inventory::environment::Environment;
use tenure_core::inventory::resource::{Resource, WhenUnreachable};
use tenure_core::policy::{Action, Question, Value};
use tenure_core::request::exception::{Exception, ExceptionType};
use tenure_core::store::event::{Actor, ControlPoint};
use tenure_core::store::row::Stored;
use tenure_credentials::token::{AccessClaims, actors, task_details, verify_access_token};

use crate::credentials::enforcer::Enforcer;
use crate::credentials::liveness::{self, LiveCredential};
use crate::credentials::misuse::AskedBy;
use crate::credentials::token::{Presented, TokenUse, ask, sender};
use crate::credentials::{deprecated_use, misuse, receipts, revocation};
use crate::kernel::counters::count;
use crate::kernel::error::OpError;
use crate::kernel::{Kernel, authority, keys, spans};

/// Longer than any clock is off.
const ANY_TIME: Span = Span::from_days(36_500);
const NOTHING: Introspection = Introspection { active: false, token: None };

/// The claims of an access token of an environment, whatever this node's clock says: nothing may keep a token from
/// being revoked, neither that another node issued it a moment ahead nor that a clock stepped (S-4). `None` if the
/// signature isn't ours.
async fn signed_by_us(
    kernel: &Kernel,
    environment: &Environment,
    token: &str,
) -> Result<Option<AccessClaims>, OpError> {
    let keys: Vec<_> =
        keys::public_keys(kernel, environment, Timestamp::default()).await?.into_iter().map(|(_, key)| key).collect();
    Ok(verify_access_token(token, &keys, &kernel.issuer_of(&environment.name), kernel.now(), ANY_TIME).ok())
}

/// The enforcement point behind an access token: a live one of ours with the action `enforce`.
///
/// # Errors
/// The token fails, is dead, is for something else, or is bound to a key that was not shown.
pub async fn authenticate_enforcer(kernel: &Kernel, token: &str, shown: &Presented) -> Result<Enforcer, OpError> {
    let now = kernel.now();
    let environment =
        liveness::claimed_environment(kernel, token).await?.ok_or(OpError::Unauthenticated(Reason::ProofInvalid))?;
    let claims = liveness::verified(kernel, &environment, token, now).await?;
    let held = liveness::held(kernel, claims.credential, now)
        .await?
        .ok_or(OpError::Unauthenticated(Reason::CredentialUnknown))?;
    held.status.map_err(OpError::Unauthenticated)?;
    let to = TokenUse { asked: ENFORCE, changes: false };
    sender::holds_key(kernel, &held.credential, token, shown, to, now).await?;
    if !held.actions.iter().any(|action| action == ENFORCE) {
        ask::refuse_identity(kernel, claims.identity, ControlPoint::Use, ENFORCE, Reason::NotAllowed.code(), &[], None)
            .await;
        return Err(OpError::because(Reason::NotAllowed, "the token is not for enforcement"));
    }
    spans::note_caller(&Actor::Identity { id: claims.identity });
    Ok(Enforcer { known: held.known, bound_to: Some(claims.audience) })
}

/// The enforcement point that proved itself with a client assertion.
///
/// # Errors
/// The identity can't be read.
pub async fn enforcer_of(kernel: &Kernel, identity: &Stored<Identity>) -> Result<Enforcer, OpError> {
    Ok(Enforcer { known: kernel.know_rest(identity.clone()).await?, bound_to: None })
}

/// The resource, if the enforcement point may ask about it (S-6).
pub(crate) fn enforces(
    kernel: &Kernel,
    enforcer: &Enforcer,
    resource: &Resource,
    now: Timestamp,
) -> Result<(), OpError> {
    if enforcer.bound_to.as_ref().is_some_and(|uri| *uri != resource.uri) {
        return Err(OpError::refused(Reason::ResourceUnknown));
    }
    let standing = gate::standing(enforcer.known.facts(now))?;
    let held = standing.held(resource, &[ENFORCE.to_owned()]);
    let live_grant = held.is_ok();
    held.map_err(|_| OpError::refused(Reason::ResourceUnknown))?;
    let answer = kernel.policy.decide(&Question {
        principal: authority::identity(&enforcer.known.identity),
        action: Action::Enforce,
        resource: authority::resource(resource),
        context: standing.circumstances().into_iter().chain([("live_grant", Value::Bool(live_grant))]).collect(),
    });
    gate::check(&answer).map_err(|reason| OpError::by_policy(reason, answer))
}

/// Says whether a token is alive, to an enforcement point of its resource. Every other case is the same answer (RFC
/// 7662 §2.2).
///
/// # Errors
/// The enforcement point itself may not act, or the store can't be read.
pub async fn introspect(
    kernel: &Kernel,
    environment: &str,
    enforcer: &Enforcer,
    token: &str,
) -> Result<Introspection, OpError> {
    count(&kernel.counters.introspected);
    let now = kernel.now();
    let environment = kernel.must::<Environment>("environment", environment).await?;
    if let Err(reason) = gate::standing(enforcer.known.facts(now)) {
        ask::refuse_identity(
            kernel,
            enforcer.known.identity.id,
            ControlPoint::Use,
            "introspection",
            reason.code(),
            &[],
            None,
        )
        .await;
        return Err(OpError::refused(reason));
    }
    let key = liveness::api_key_claims(kernel, token).await?;
    let verified = match &key {
        Some(claims) => Ok(claims.clone()),
        None => liveness::verified(kernel, &environment, token, now).await,
    };
    let claims = match verified {
        Ok(claims) => claims,
        Err(OpError::Unauthenticated(_)) => {
            misuse::note_token_elsewhere(kernel, enforcer, &environment.name, token, now).await;
            return Ok(NOTHING);
        }
        Err(other) => return Err(other),
    };
    let Some(held) = liveness::held(kernel, claims.credential, now).await? else {
        return Ok(NOTHING);
    };
    let Some(resource) = kernel.one::<Resource>(held.credential.resource).await? else {
        return Ok(NOTHING);
    };
    match enforces(kernel, enforcer, &resource, now) {
        Ok(()) => kernel.note_use(enforcer.known.identity.id, resource.id, ENFORCE, now),
        Err(OpError::Refused { .. }) => return Ok(NOTHING),
        Err(other) => return Err(other),
    }
    if held.status.is_err() {
        let asked_by = AskedBy { enforcer: enforcer.known.identity.id, proven: true };
        misuse::note_use_after_end(kernel, claims.identity, &resource.id.to_string(), Some(asked_by)).await;
    }
    if held.status.is_err() || !fits(&held, &claims, &resource) || held.credential.environment != environment.name {
        return Ok(NOTHING);
    }
    // Who only introspects reports no posture: where the charter demands one, a decision has to be asked for (R53).
    if held.usages().any(|usage| !usage.in_hours(now) || !usage.in_posture(None)) {
        return Ok(NOTHING);
    }
    kernel.touch(claims.identity.to_string(), now);
    if let Some(binding) = held.credential.binding.filter(|_| held.known.identity.charter.shared.is_some()) {
        kernel.touch(binding.to_string(), now);
    }
    // For which of its actions the token was shown, nobody said.
    kernel.note_use(claims.identity, resource.id, UNNAMED, now);
    deprecated_use::note(kernel, &held.known.identity, resource.id, now);
    if key.is_some() {
        kernel.touch(claims.credential.to_string(), now);
    }
    let acting = held.credential.delegation.as_ref().map(actors).transpose();
    let act = acting.map_err(|error| OpError::Internal(error.to_string()))?.flatten();
    Ok(Introspection {
        active: true,
        token: Some(ActiveToken {
            scope: held.actions.join(" "),
            client_id: claims.identity.to_string(),
            sub: claims.subject.to_string(),
            aud: resource.uri.clone(),
            iss: kernel.issuer_of(&environment.name),
            jti: claims.credential.to_string(),
            exp: claims.expires_at.as_secs(),
            iat: claims.issued_at.as_secs(),
            token_type: sender::token_type(held.credential.confirmation.as_ref()).into(),
            cnf: held.credential.confirmation.clone(),
            act,
            authorization_details: held.credential.task.as_deref().map(task_details),
            tenure_accept_until: accepted_until(kernel, enforcer, &resource, &claims, now).await?,
        }),
    })
}

/// Until when the enforcement point may go on accepting a token while Tenure can't be reached: not at all, unless the
/// resource says so and the enforcement point has an exception in force (S-16).
async fn accepted_until(
    kernel: &Kernel,
    enforcer: &Enforcer,
    resource: &Resource,
    claims: &AccessClaims,
    now: Timestamp,
) -> Result<Option<i64>, OpError> {
    if resource.when_unreachable == WhenUnreachable::Deny {
        return Ok(None);
    }
    let mut until = None;
    for id in &enforcer.known.identity.exceptions {
        let exception = kernel.one::<Exception>(id).await?;
        let ends_at = exception
            .filter(|found| found.kind == ExceptionType::AcceptUnreachable && found.is_in_force(now))
            .and_then(|found| found.ends_at);
        until = until.max(ends_at);
    }
    Ok(until.map(|until| until.min(claims.expires_at).as_secs()))
}

/// Revokes a token at its own client's request (RFC 7009). An unknown token, or another client's, changes nothing.
///
/// # Errors
/// The store can't take it.
pub async fn revoke_token(kernel: &Kernel, environment: &str, client: &Identity, token: &str) -> Result<(), OpError> {
    let environment = kernel.must::<Environment>("environment", environment).await?;
    let Some(claims) = signed_by_us(kernel, &environment, token).await? else {
        return Ok(());
    };
    if let Some(receipt) = revocation::revoke_own(kernel, client.id, claims.credential).await? {
        receipts::first_receipt(kernel, receipt).await?;
    }
    Ok(())
}

/// Whether the record is what the token says it is.
fn fits(held: &LiveCredential, claims: &AccessClaims, resource: &Resource) -> bool {
    held.credential.identity == claims.identity
        && resource.uri == claims.audience
        && held.credential.actions == claims.scope
}
