//! A vendor is breached: what it operates here is told, identity by identity, until somebody else says that it is over
//! (NHI3:2025).

use tenure_api::views::Revised;
use tenure_core::base::id::VendorId;
use tenure_core::base::problem::Reason;
use tenure_core::identity::Identity;
use tenure_core::inventory::third_party::{Breach, Standing, Vendor};
use tenure_core::people::person::Role;
use tenure_core::policy::Action;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;

use crate::identities::looks;
use crate::kernel::Kernel;
use crate::kernel::authority::{enabling, inventory, owns};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::freshness::{self, assurance_fact};
use crate::kernel::notice::notify;
use crate::kernel::operation::{Asked, check_reason};

/// Declares that a vendor was breached: each identity that it operates is looked at, and has a finding as long as it
/// works. It stops nothing by itself, unless the rule is set to: what stops everything at once is a cut of the vendor.
///
/// # Errors
/// The vendor has ended or is breached already, or the caller is neither its owner nor of security.
pub async fn declare_breach(
    kernel: &Kernel,
    caller: &Caller,
    id: VendorId,
    reason: String,
) -> Result<Revised<Vendor>, OpError> {
    check_reason(&reason)?;
    let declared = kernel
        .recorded(caller, Asked::new(ControlPoint::Suspend, "vendor.declare_breach", id), async {
            let by = caller.must_be_person()?;
            let ((vendor, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Vendor>("vendor", id).await?;
                    let own = caller.person_id() == Some(stored.owner);
                    kernel.allow(caller, Action::Suspend, inventory("vendor", id, ""), owns(own))?;
                    if stored.standing == Standing::Closed {
                        return Err(OpError::because(Reason::IllegalTransition, "the vendor has ended"));
                    }
                    if stored.breach.is_some() {
                        return Err(OpError::because(Reason::IllegalTransition, "the vendor is breached already"));
                    }
                    let breach = Breach { declared_by: by, reason: reason.clone(), at: now };
                    let vendor = Vendor { breach: Some(breach), ..(*stored.value).clone() };
                    let text = format!(
                        "{id} was breached: {reason}\nWhat it operates: tenure identity list --vendor {id}\nStop all of it: \
                         tenure cut vendor {id} --suspend --reason TEXT"
                    );
                    let event = kernel
                        .event(now, EventKind::VendorBreached)
                        .subject(id)
                        .subject(vendor.owner)
                        .fact("reason", &reason)
                        .fact("alert", true);
                    let event = notify(event, &[vendor.owner], &[Role::Security], "A vendor was breached", &text);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    changeset.replace(&stored, &vendor);
                    Ok((changeset, (vendor, stored.revision + 1)))
                })
                .await?;
            kernel.changed(vendor, revision, &committed).await
        })
        .await?;
    looks::look_at_all(kernel, Identity::VENDOR.of(id), "its vendor was breached").await?;
    Ok(declared)
}

/// Says that a vendor's breach is over: somebody else than who declared it.
///
/// # Errors
/// It isn't breached, the caller declared it or isn't of security, or needs a fresh sign-in.
pub async fn breach_over(
    kernel: &Kernel,
    caller: &Caller,
    id: VendorId,
    reason: String,
) -> Result<Revised<Vendor>, OpError> {
    check_reason(&reason)?;
    let over = kernel
        .recorded(caller, Asked::new(ControlPoint::Resume, "vendor.breach_over", id), async {
            let by = caller.must_be_person()?;
            let ((vendor, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Vendor>("vendor", id).await?;
                    let fresh = freshness::freshness(kernel, caller, now).await?;
                    let by_self = stored.breach.as_ref().is_some_and(|breach| breach.declared_by == by);
                    let question = enabling(false, by_self, fresh);
                    kernel.allow(caller, Action::Enable, inventory("vendor", id, ""), question)?;
                    if stored.breach.is_none() {
                        return Err(OpError::because(Reason::IllegalTransition, "the vendor isn't breached"));
                    }
                    let vendor = Vendor { breach: None, ..(*stored.value).clone() };
                    let event = kernel
                        .event(now, EventKind::VendorBreachOver)
                        .subject(id)
                        .subject(vendor.owner)
                        .fact("reason", &reason)
                        .fact("assurance", assurance_fact(caller));
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    fresh.expect(&mut changeset);
                    changeset.replace(&stored, &vendor);
                    Ok((changeset, (vendor, stored.revision + 1)))
                })
                .await?;
            kernel.changed(vendor, revision, &committed).await
        })
        .await?;
    looks::look_at_all(kernel, Identity::VENDOR.of(id), "its vendor's breach is over").await?;
    Ok(over)
}
