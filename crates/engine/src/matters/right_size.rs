//! A charter that is narrowed to what was used: asked for by its owner or by security, and approved as any other
//! charter is (R101, S-8).

use tenure_api::usage::{NewRightSize, RightSizeView, UsageView};
use tenure_core::base::id::IdentityId;
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::right_size::{RightSize, UseWindow, Withheld};
use tenure_core::identity::{CharterDraft, Identity, narrows};
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::people::person::Role;
use tenure_core::request::{Matter, Request};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::row::Stored;

use crate::identities::charter::inside;
use crate::identities::usage;
use crate::kernel::Kernel;
use crate::kernel::authority::owns_identity;
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::Asked;
use crate::matters::{matter_facts, request};
use crate::requests::route;

/// Asks that an identity's charter be narrowed to what was used.
///
/// # Errors
/// No such identity, the caller neither answers for it nor is of security, nothing would change, or what any request
/// for a charter is refused for.
pub async fn open_right_size(
    kernel: &Kernel,
    caller: &Caller,
    id: IdentityId,
    ask: NewRightSize,
) -> Result<RightSizeView, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Request, "identity.right_size", id), async {
            let stored = kernel.sought::<Identity>(caller, "identity", id).await?;
            may_open(kernel, caller, &stored).await?;
            if ask.dry_run {
                let usage = usage::usage_view(kernel, &stored, ask.window, kernel.now()).await?;
                return Ok(RightSizeView { usage, request: None });
            }
            let ((usage, request), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Identity>("identity", id).await?;
                    may_open(kernel, caller, &stored).await?;
                    let (changeset, usage, request) = opening(kernel, caller, &stored, &ask, now).await?;
                    Ok((changeset, (usage, request)))
                })
                .await?;
            let request = route::request_view(kernel, request, 1, Some(&committed)).await?;
            Ok(RightSizeView { usage, request: Some(request) })
        })
        .await
}

/// The request for a charter that is narrowed to what was used, as its changeset opens it. Who may is the caller's to
/// check.
///
/// # Errors
/// Nothing would change, or what any request for a charter is refused for.
pub(crate) async fn opening(
    kernel: &Kernel,
    caller: &Caller,
    stored: &Stored<Identity>,
    ask: &NewRightSize,
    now: Timestamp,
) -> Result<(Changeset, UsageView, Request), OpError> {
    let usage = usage::usage_view(kernel, stored, ask.window, now).await?;
    let scope = scope_of(&usage.right_size, ask.drop_rare)
        .map_err(|withheld| OpError::because(Reason::IllegalTransition, withheld.hint()))?;
    let purpose = ask.purpose.clone().unwrap_or_else(|| purpose_of(ask.window));
    let charter = narrowed(&stored.charter, &scope);
    if !narrows(&stored.charter, &charter) {
        return Err(OpError::Internal(format!("the right size of {} isn't narrower than its charter", stored.id)));
    }
    let matter = Matter::Charter { identity: stored.id, charter: Box::new(charter) };
    let (changeset, request) = Box::pin(request::opening(kernel, caller, &matter, &purpose, now)).await?;
    Ok((changeset, usage, request))
}

fn purpose_of(window: UseWindow) -> String {
    format!("narrow its scope to what was used in {} days", window.days())
}

/// Who answers for an identity, and security, whose business what it doesn't need is; if policy lets them ask for a
/// charter at all.
async fn may_open(kernel: &Kernel, caller: &Caller, stored: &Stored<Identity>) -> Result<(), OpError> {
    let security = matches!(caller, Caller::Person { person, .. } if person.holds(Role::Security));
    if !security && !owns_identity(caller, stored) {
        return Err(OpError::because(Reason::NotAllowed, "a right-size is asked for by the owner or by security"));
    }
    let matter = Matter::Charter { identity: stored.id, charter: Box::new(stored.charter.clone()) };
    let facts = Box::pin(matter_facts::facts(kernel, route::asker(caller), &matter, kernel.now())).await?;
    route::may_ask(kernel, caller, &facts).map(|_| ())
}

fn scope_of(right_size: &RightSize, drop_rare: bool) -> Result<Vec<Entitlement>, Withheld> {
    let strict = right_size.without_rare.as_ref().filter(|_| drop_rare).map(|narrower| narrower.scope.clone());
    strict.or_else(|| right_size.proposal.clone()).ok_or_else(|| right_size.withheld.unwrap_or(Withheld::NothingUnused))
}

/// A charter with a narrower scope: what its tasks and delegates may goes with it.
pub(crate) fn narrowed(charter: &CharterDraft, scope: &[Entitlement]) -> CharterDraft {
    let mut narrowed = CharterDraft { scope: scope.to_vec(), ..charter.clone() };
    let cut = |part: &mut Vec<Entitlement>| {
        *part = part.iter().flat_map(|entitlement| inside(entitlement, scope)).collect();
        !part.is_empty()
    };
    narrowed.delegates.retain_mut(|delegate| cut(&mut delegate.scope));
    // Without any task it would be bound by none: such a charter is refused, with what is wrong about its tasks.
    if narrowed.tasks.iter().any(|task| task.scope.iter().any(|entitlement| !inside(entitlement, scope).is_empty())) {
        narrowed.tasks.retain_mut(|task| cut(&mut task.scope));
    }
    let named = |name: &String| narrowed.tasks.iter().any(|task| task.name == *name);
    narrowed.default_task = narrowed.default_task.take().filter(named);
    narrowed
}
