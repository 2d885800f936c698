//! The log of exceptional access (R106): written by the commit that it is about, listed for those who may audit.

use tenure_api::views::{Names, Page, Revised};
use tenure_core::base::id::{ExceptionalAccessId, IdentityId};
use tenure_core::base::time::Timestamp;
use tenure_core::finding::exceptional::{Access, ExceptionalAccess};
use tenure_core::identity::place::Place;
use tenure_core::identity::{CharterDraft, Identity};
use tenure_core::request::exception::{Exception, ExceptionSubject, ExceptionType};
use tenure_core::store::changeset::Changeset;

use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::query::ListAsk;
use crate::kernel::{Kernel, authority};

/// What an exceptional access is about.
pub(crate) struct About<'a> {
    pub access: Access,
    /// With what: an id.
    pub with: String,
    pub identity: Option<IdentityId>,
    /// The approved request or the exception that allowed it.
    pub allowed_by: Option<String>,
    /// Why it was refused, if it was.
    pub refused: Option<&'a str>,
}

/// Keeps what this changeset's first event says in the log of exceptional access, too.
pub(crate) fn exceptional(kernel: &Kernel, changeset: &mut Changeset, about: About<'_>) {
    let record = ExceptionalAccess {
        id: ExceptionalAccessId::generate(changeset.at, kernel.entropy.as_ref()),
        access: about.access,
        actor: changeset.actor.clone(),
        with: about.with,
        identity: about.identity,
        allowed_by: about.allowed_by,
        refused: about.refused.map(str::to_owned),
        event: changeset.id,
        at: changeset.at,
    };
    changeset.insert(&record);
}

/// A page of the log of exceptional access, the oldest first.
///
/// # Errors
/// The caller may not audit.
pub async fn exceptional_accesses(
    kernel: &Kernel,
    caller: &Caller,
    ask: ListAsk<ExceptionalAccess>,
) -> Result<Page<Revised<ExceptionalAccess>>, OpError> {
    authority::may_audit(kernel, caller).await?;
    let (rows, end) = kernel.page(ask).await?;
    let view = |row: tenure_core::store::row::Stored<ExceptionalAccess>| Revised {
        record: (*row.value).clone(),
        revision: row.revision,
        hold: None,
        log: None,
        names: Names::new(),
    };
    Ok(end.page(rows.into_iter().map(view).collect()))
}

/// The controls that exceptions in force waive for this identity, and for it alone (R19).
pub(crate) async fn waived(kernel: &Kernel, identity: &Identity, now: Timestamp) -> Result<Vec<String>, OpError> {
    let mut waived = Vec::new();
    for id in &identity.exceptions {
        let exception = kernel.one::<Exception>(id).await?;
        if let Some(exception) =
            exception.filter(|e| e.subject == ExceptionSubject::Identity(identity.id) && e.is_in_force(now))
        {
            waived.push(exception.kind.as_str().to_owned());
        }
    }
    waived.sort_unstable();
    waived.dedup();
    Ok(waived)
}

/// The places that exceptions in force list for the shared use of this identity (R21).
pub(crate) async fn shared_places(kernel: &Kernel, identity: &Identity, now: Timestamp) -> Result<Vec<Place>, OpError> {
    let mut places = Vec::new();
    for id in &identity.exceptions {
        let of_it = |exception: &Exception| {
            exception.kind == ExceptionType::SharedUse
                && exception.subject == ExceptionSubject::Identity(identity.id)
                && exception.is_in_force(now)
        };
        if let Some(exception) = kernel.one::<Exception>(id).await?.filter(|exception| of_it(exception)) {
            places.extend(exception.places.iter().cloned());
        }
    }
    Ok(places)
}

/// Whether a charter has what only such an exception allows: without it the identity may not go on.
pub fn rests_on(kind: ExceptionType, charter: &CharterDraft) -> bool {
    match kind {
        ExceptionType::WildcardScope => charter.has_wildcard(),
        ExceptionType::WeakerCredential => charter.has_weaker_credential(),
        ExceptionType::SharedUse => charter.shared.is_some(),
        // These put off what the clock does; their end lets it go on.
        ExceptionType::Dormancy
        | ExceptionType::RemovalDeferred
        | ExceptionType::LateReview
        | ExceptionType::AcceptUnreachable
        | ExceptionType::BreakGlass
        | ExceptionType::FastOnboarding
        | ExceptionType::AcceptedFinding => false,
    }
}
