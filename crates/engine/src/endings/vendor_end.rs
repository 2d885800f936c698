//! A vendor ends, and with it what it operates (R86).

use tenure_api::third_party::VendorEnded;
use tenure_core::base::id::VendorId;
use tenure_core::base::problem::Reason;
use tenure_core::identity::scope::Scope;
use tenure_core::inventory::third_party::{Standing, Vendor};
use tenure_core::people::person::Role;
use tenure_core::policy::Action;
use tenure_core::signal::removal::RemovalState;
use tenure_core::signal::{SignalKind, SignalSubject, SubjectKind};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;

use crate::endings::removals;
use crate::kernel::Kernel;
use crate::kernel::authority::{administration, inventory, owns};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::notice::notify;
use crate::kernel::operation::{Asked, check_reason};

/// Ends a vendor for ever. Everything that its identities hold is cut, and they are held, with one record each in the
/// same commit. It is a step that takes authority away, and not only an administrator's.
///
/// # Errors
/// It has ended, or the caller is neither its owner nor of security nor an administrator.
pub async fn end_vendor(
    kernel: &Kernel,
    caller: &Caller,
    id: VendorId,
    reason: String,
) -> Result<VendorEnded, OpError> {
    check_reason(&reason)?;
    kernel
        .recorded(caller, Asked::new(ControlPoint::Revoke, "vendor.end", id), async {
            let by = caller.must_be_person()?;
            let ((vendor, revision, receipt), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Vendor>("vendor", id).await?;
                    let own = caller.person_id() == Some(stored.owner);
                    kernel
                        .allow(caller, Action::Revoke, inventory("vendor", id, ""), owns(own))
                        .or_else(|_| kernel.allow(caller, Action::Administer, inventory("vendor", id, ""), administration(false, false)))?;
                    if stored.standing == Standing::Closed {
                        return Err(OpError::because(Reason::IllegalTransition, "the vendor has ended already"));
                    }
                    let vendor = Vendor {
                        standing: Standing::Closed,
                        ..(*stored.value).clone()
                    };
                    let scope = Scope::Vendor(id);
                    let text = format!("{id} has ended: what its identities held is cut, and they are held. See: tenure identity list --vendor {id}");
                    let event = kernel
                        .event(now, EventKind::VendorEnded)
                        .subject(id)
                        .subject(vendor.owner)
                        .fact("scope", scope.kind())
                        .fact("reason", &reason);
                    let event = notify(event, &[vendor.owner], &[Role::Security], "A vendor has ended", &text);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    changeset.replace(&stored, &vendor);
                    let subject = SignalSubject {
                        kind: SubjectKind::Vendor,
                        id: vendor.name.clone(),
                    };
                    // A removal that waits, or holds until somebody decides, is decided by this.
                    let removal = match removals::open_removal(kernel, &subject, &[], SignalKind::VendorTerminated).await? {
                        Some(open) if open.state != RemovalState::Waiting => (*open.value).clone(),
                        _ => removals::removal_by_hand(kernel, &mut changeset, SignalKind::VendorTerminated, subject, by, &reason, now).await?,
                    };
                    let receipt = removal.receipts.first().copied();
                    if receipt.is_none() && removal.scope.is_some() {
                        return Err(OpError::Internal("a removal without its receipt".into()));
                    }
                    Ok((changeset, (vendor, stored.revision + 1, receipt)))
                })
                .await?;
            Ok(VendorEnded {
                vendor: kernel.changed(vendor, revision, &committed).await?,
                receipt,
            })
        })
        .await
}
