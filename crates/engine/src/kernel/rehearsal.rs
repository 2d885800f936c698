//! Rehearsals: a use case is decided, and what it decided is said and not committed.
//!
//! What a dry run says is what would happen, because it is the same decision: by the same policy, on the same rows, up to
//! the commit. Nothing of a rehearsal is written: the one place that hands changesets to the store refuses them meanwhile,
//! and refusals of a rehearsal are in no log.

use std::sync::Arc;

use parking_lot::Mutex;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event_kind::EventKind;

use crate::kernel::error::OpError;

tokio::task_local! {
    /// What the use case that is rehearsed has decided.
    static REHEARSAL: Arc<Mutex<Option<Vec<EventKind>>>>;
}

/// What a use case would do: the kinds of the events that its first commit would bring, or none if there is nothing to
/// do.
///
/// # Errors
/// What the use case itself would fail with before its commit.
pub async fn rehearsed<T>(operation: impl Future<Output = Result<T, OpError>>) -> Result<Vec<EventKind>, OpError> {
    let decided = Arc::default();
    let result = REHEARSAL.scope(Arc::clone(&decided), operation).await;
    let events = decided.lock().take();
    match (events, result) {
        (Some(events), _) => Ok(events),
        (None, Ok(_)) => Ok(Vec::new()),
        (None, Err(error)) => Err(error),
    }
}

/// Whether nothing may be written.
pub(crate) fn is_on() -> bool {
    REHEARSAL.try_with(|_| ()).is_ok()
}

/// Ends a rehearsal where its commit would come; outside of one it does nothing.
///
/// # Errors
/// It is one.
pub(crate) fn ends_with(changeset: &Changeset) -> Result<(), OpError> {
    let noted = REHEARSAL.try_with(|decided| {
        let kinds = || changeset.events.iter().map(|event| event.kind()).collect();
        decided.lock().get_or_insert_with(kinds);
    });
    match noted {
        Ok(()) => Err(OpError::Unavailable("it is only rehearsed".into())),
        Err(_) => Ok(()),
    }
}
