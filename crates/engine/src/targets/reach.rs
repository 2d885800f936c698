//! What every room of work at targets needs of them: how long they are waited for, what is noted of a target that was
//! asked, and who is told of what came of it.

use std::time::Duration;

use tenure_core::base::backoff::Backoff;
use tenure_core::base::id::{CredentialId, IdentityId, TargetId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::credential::receipt::{Receipt, Target as Revoked};
use tenure_core::identity::Identity;
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::target::connector::ConnectorError;
use tenure_core::target::system::TargetSystem;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::query::Query;

/// How long one call of a connector may take: well inside the lease of the deadline.
pub(crate) const PATIENCE: Span = Span::from_secs(15);
/// How long one call is waited for at most: longer than a connector waits by itself.
const NO_LONGER: Duration = if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(20) };
/// The time between two tries of an act.
pub(super) const BACKOFF: Backoff = Backoff::new(Span::from_secs(2), Span::from_mins(60));

/// What a connector answers. One that waits longer than it was let is not waited for: a target that takes a question and
/// never answers takes nobody's time but its own.
pub(super) async fn answered<T>(asked: impl Future<Output = Result<T, ConnectorError>>) -> Result<T, ConnectorError> {
    match tokio::time::timeout(NO_LONGER, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(ConnectorError::Unreachable("it did not answer in time".into())),
    }
}

/// That a target answers, or doesn't: what the others who have something to do there go by.
pub(crate) async fn note_target(
    kernel: &Kernel,
    changeset: &mut Changeset,
    id: TargetId,
    unreachable: Option<&str>,
    answered: bool,
    now: Timestamp,
) -> Result<(), OpError> {
    let Some(target) = kernel.one::<TargetSystem>(id).await? else { return Ok(()) };
    if unreachable.is_none() && (target.trouble.is_none() || !answered) {
        return Ok(());
    }
    let asked = (*target.value).clone().asked(unreachable, now);
    changeset.replace(&target, &asked);
    Ok(())
}

/// Has the open receipts of an identity, of its scopes, and of the credential that a login is, look again.
pub(crate) async fn wake_receipts(
    kernel: &Kernel,
    changeset: &mut Changeset,
    identity: IdentityId,
    login: Option<CredentialId>,
    now: Timestamp,
) -> Result<(), OpError> {
    let Some(identity) = kernel.one::<Identity>(identity).await? else { return Ok(()) };
    let scopes = identity.memberships.iter().map(|membership| Revoked::Scope(membership.scope.clone()));
    let revoked = scopes.chain(login.map(Revoked::Credential)).map(|revoked| Receipt::TARGET.of(revoked));
    let mut receipts = kernel.pages(Query::every().any(revoked));
    while let Some(found) = receipts.next().await? {
        for receipt in found.readable().iter().filter(|receipt| receipt.signed.is_none() && receipt.lifted_at.is_none())
        {
            changeset.due.push(DueChange::Set(DueKind::Receipt, receipt.id.to_string(), now));
        }
    }
    Ok(())
}
