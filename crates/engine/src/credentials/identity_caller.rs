//! An identity that calls the management API by its access token.

use tenure_core::base::problem::Reason;
use tenure_core::credential::gate;
use tenure_core::identity::tally::UNNAMED;
use tenure_core::inventory::resource::Resource;
use tenure_core::store::event::ControlPoint;

use crate::credentials::liveness;
use crate::credentials::token::{Presented, TokenUse, ask, sender};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::{Kernel, spans};

/// The identity behind an access token of ours that is addressed to Tenure itself: the resource whose URI is the public
/// URL. It may do what the token says and what its grants still cover now.
///
/// `changes`: whether the request may change something.
///
/// # Errors
/// The token is nobody's, dead, for another resource, or bound to a key that was not shown.
pub async fn authenticate_identity(
    kernel: &Kernel,
    token: &str,
    shown: &Presented,
    changes: bool,
) -> Result<Caller, OpError> {
    let now = kernel.now();
    let unknown = OpError::Unauthenticated(Reason::CredentialUnknown);
    let (claims, held) = liveness::presented(kernel, token, now).await?.ok_or(unknown)?;
    held.status.map_err(OpError::Unauthenticated)?;
    let to = TokenUse { asked: "management_api", changes };
    sender::holds_key(kernel, &held.credential, token, shown, to, now).await?;
    if held.credential.delegation.is_some() || held.credential.may_act.is_some() {
        let id = held.known.identity.id;
        let reason = Reason::DelegationNotAllowed;
        ask::refuse_identity(kernel, id, ControlPoint::Use, "management_api", reason.code(), &[], None).await;
        let detail =
            "authority that is handed on counts at resources, not here: come with a token under authority of your own";
        return Err(OpError::because(reason, detail));
    }
    let resource = kernel.one::<Resource>(held.credential.resource).await?;
    let resource = resource
        .filter(|resource| resource.is_at(&kernel.settings.public_url) && claims.audience == resource.uri)
        .ok_or(OpError::Unauthenticated(Reason::ProofInvalid))?;
    let standing = gate::standing(held.known.facts(now)).map_err(OpError::Unauthenticated)?;
    let usage = standing.charter().usage.as_ref();
    if usage.is_some_and(|usage| !usage.in_hours(now) || !usage.in_posture(None)) {
        return Err(OpError::Unauthenticated(Reason::WrongContext));
    }
    let covered = |action: &&String| standing.held(&resource, std::slice::from_ref(*action)).is_ok();
    let actions = held.credential.actions.iter().filter(covered).cloned().collect();
    kernel.touch(claims.identity.to_string(), now);
    kernel.note_use(claims.identity, resource.id, UNNAMED, now);
    let caller = Caller::Identity { identity: held.known.identity.clone(), actions };
    spans::note_caller(&caller.actor());
    Ok(caller)
}
