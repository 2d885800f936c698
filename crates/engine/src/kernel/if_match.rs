//! Which revision of a record a change is meant for: `If-Match` (RFC 9110 §13.1.1).
//!
//! What replaces something that others may have changed since says what it replaces ([`IfMatch::demand`]), or that it
//! doesn't care (`*`). Whatever else changes a record asks for nothing of the kind, and heeds what its caller says all
//! the same: the edge says which record the address names ([`Precondition`]), and the first commit by which the request
//! is carried out demands that the record is at a revision of which the condition holds. So nobody can change the
//! record between the comparison and the commit, and no use case can forget it. A request that commits nothing, be it a
//! dry run or one that found its work done, is held against the record as it is then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tenure_core::store::changeset::{Changeset, Expect};
use tenure_core::store::row::RowKey;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;

tokio::task_local! {
    /// The condition of the request that is being carried out.
    static PRECONDITION: Arc<Precondition>;
}

/// The condition that a caller set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// None.
    Missing,
    /// That the record is there, whatever it is now: `*`.
    Any,
    /// That it is at one of these revisions. Other tags than ours, and weak ones, match nothing (§8.8.3.2) and are none
    /// of these.
    Revisions(Vec<u64>),
}

impl IfMatch {
    /// For what replaces a record that may be there: with its revision, if it is.
    ///
    /// # Errors
    /// It is there and the caller set no condition, or the condition doesn't hold.
    pub(crate) fn demand(&self, revision: Option<u64>) -> Result<(), OpError> {
        match (self, revision) {
            (Self::Missing, Some(_)) => Err(OpError::Unconditional),
            _ => self.heed(revision),
        }
    }

    /// For what needs no condition.
    ///
    /// # Errors
    /// The caller set one, and it doesn't hold.
    fn heed(&self, revision: Option<u64>) -> Result<(), OpError> {
        let holds = match self {
            Self::Missing => true,
            Self::Any => revision.is_some(),
            Self::Revisions(wanted) => revision.is_some_and(|revision| wanted.contains(&revision)),
        };
        if holds { Ok(()) } else { Err(OpError::Stale(revision)) }
    }
}

/// What a caller says of the record that an address names.
#[derive(Debug)]
pub struct Precondition {
    record: RowKey,
    if_match: IfMatch,
    is_met: AtomicBool,
    /// Whether a policy let the caller do, or read, anything that the request asks for.
    is_allowed: AtomicBool,
}

impl Precondition {
    /// A condition on a record, be it there or not.
    pub fn on(record: RowKey, if_match: IfMatch) -> Arc<Self> {
        Arc::new(Self { record, if_match, is_met: AtomicBool::new(false), is_allowed: AtomicBool::new(false) })
    }

    /// Makes it a precondition of what carries the request out.
    ///
    /// # Errors
    /// It doesn't hold.
    pub(crate) async fn join(&self, kernel: &Kernel, changeset: &mut Changeset) -> Result<(), OpError> {
        let replaced = changeset.puts.iter().find(|put| put.key == self.record).map(|put| put.replaces);
        // What the decision read already is what it rests on; what it only passed by is read now, and may not change
        // any more.
        let revision = match replaced {
            Some(replaced) => Some(replaced).filter(|revision| *revision > 0),
            None => {
                let revision = self.revision(kernel).await?;
                changeset.expects.push(match revision {
                    Some(revision) => Expect::Revision(self.record.clone(), revision),
                    None => Expect::Absent(self.record.clone()),
                });
                revision
            }
        };
        self.if_match.heed(revision)
    }

    /// It was met by the commit that carried the request out; what the same request commits after that changes the
    /// record itself.
    pub(crate) fn met(&self) {
        self.is_met.store(true, Ordering::Release);
    }

    /// Holds it against the record as it is now, if nothing was committed under it. Whom no policy has let in yet is told nothing of the record.
    ///
    /// # Errors
    /// It doesn't hold, or the store can't be read.
    pub async fn check(&self, kernel: &Kernel) -> Result<(), OpError> {
        if self.is_met.load(Ordering::Acquire) || !self.is_allowed.load(Ordering::Acquire) {
            return Ok(());
        }
        self.if_match.heed(self.revision(kernel).await?)
    }

    async fn revision(&self, kernel: &Kernel) -> Result<Option<u64>, OpError> {
        let rows = kernel.store.load(std::slice::from_ref(&self.record)).await?.rows;
        Ok(rows.into_iter().flatten().next().map(|row| row.revision))
    }
}

/// Carries a request out under a condition.
pub fn under<F: Future>(precondition: Arc<Precondition>, request: F) -> impl Future<Output = F::Output> {
    PRECONDITION.scope(precondition, request)
}

/// A policy has let the caller of this request do something.
pub(crate) fn note_allowed() {
    let _ = PRECONDITION.try_with(|condition| condition.is_allowed.store(true, Ordering::Release));
}

/// The condition of the request that is being carried out, while nothing was committed under it.
pub(crate) fn open() -> Option<Arc<Precondition>> {
    PRECONDITION.try_with(Arc::clone).ok().filter(|condition| !condition.is_met.load(Ordering::Acquire))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e04_a_condition_holds_as_the_standard_says() {
        let some = IfMatch::Revisions(vec![3, 7]);
        for (condition, revision, holds) in [
            (&some, Some(7), true),
            (&some, Some(8), false),
            (&some, None, false),
            (&IfMatch::Revisions(Vec::new()), Some(1), false),
            (&IfMatch::Any, Some(8), true),
            (&IfMatch::Any, None, false),
        ] {
            assert_eq!(condition.demand(revision).is_ok(), holds, "{condition:?} {revision:?}");
            assert_eq!(condition.heed(revision).is_ok(), holds, "{condition:?} {revision:?}");
        }
        assert!(matches!(IfMatch::Missing.demand(Some(1)), Err(OpError::Unconditional)));
        assert!(IfMatch::Missing.heed(Some(1)).is_ok() && IfMatch::Missing.demand(None).is_ok());
    }
}
