//! Work that falls due: claimed, acknowledged in the same commit as its effect, or postponed.

use std::future::Future;

use futures_util::{StreamExt as _, stream};
use tenure_core::base::time::Timestamp;
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::event::Actor;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tracing::{Instrument as _, field};

use crate::kernel::Kernel;
use crate::kernel::counters::count;
use crate::kernel::error::OpError;

/// How often what was done outside is written down again, when what it concerns changed meanwhile.
pub(crate) const ATTEMPTS: u32 = 8;
/// Identities that one commit hands over.
pub(crate) const BATCH: usize = 50;

/// Works off what was claimed, so many at once; returns how much was done. What fails is worked off again when its lease
/// ends.
pub(crate) async fn work_off<W: Future<Output = Result<(), OpError>>>(
    kernel: &Kernel,
    claimed: Vec<Claimed>,
    at_once: usize,
    work: impl Fn(Claimed) -> W,
) -> Result<usize, OpError> {
    let mut work = stream::iter(claimed)
        .map(|claimed| {
            let span = span_of(&claimed);
            let working = Box::pin(work(claimed.clone())).instrument(span);
            async move { (working.await, claimed) }
        })
        .buffer_unordered(at_once);
    let mut done = 0;
    while let Some((worked, claimed)) = work.next().await {
        match worked {
            Ok(()) => {
                done += 1;
                count(&kernel.counters.worked);
            }
            Err(error) => {
                count(&kernel.counters.retried);
                tracing::warn!(%error, kind = claimed.kind.as_str(), subject = claimed.subject, "work is retried when its lease ends");
            }
        }
    }
    Ok(done)
}

/// The span of one thing that fell due.
fn span_of(claimed: &Claimed) -> tracing::Span {
    tracing::info_span!("deadline", kind = claimed.kind.as_str(), subject = claimed.subject, commit = field::Empty)
}

/// The claimed deadline goes by its fence, so that a lost lease conflicts.
pub(crate) fn acknowledge(changeset: &mut Changeset, claimed: &Claimed) {
    changeset
        .due
        .retain(|change| !matches!(change, DueChange::Clear(kind, subject) if *kind == claimed.kind && *subject == claimed.subject));
    changeset.due.push(DueChange::Ack(claimed.kind, claimed.subject.clone(), claimed.fence));
}

/// The subject is gone or needs nothing: only the deadline goes, and the log says so.
pub(crate) fn nothing_left(kernel: &Kernel, claimed: &Claimed, now: Timestamp) -> Changeset {
    let event =
        kernel.event(now, EventKind::DeadlineDropped).subject(&claimed.subject).fact("kind", claimed.kind.as_str());
    let mut changeset = Changeset::new(system(), now, event);
    changeset.due.push(DueChange::Ack(claimed.kind, claimed.subject.clone(), claimed.fence));
    changeset
}

pub(crate) fn postponed(kernel: &Kernel, claimed: &Claimed, at: Timestamp, now: Timestamp) -> Changeset {
    let event = kernel
        .event(now, EventKind::DeadlinePostponed)
        .subject(&claimed.subject)
        .fact("kind", claimed.kind.as_str())
        .fact("until", at);
    let mut changeset = Changeset::new(system(), now, event);
    changeset.due.push(DueChange::Retry(claimed.kind, claimed.subject.clone(), claimed.fence, at));
    changeset
}

pub(crate) fn system() -> Actor {
    Actor::System { part: "deadlines".into() }
}

/// When a subject was last used, also if that is noted and not written yet: there is no other way to ask.
pub(crate) async fn last_used(kernel: &Kernel, subject: &str) -> Result<Option<Timestamp>, OpError> {
    let noted = kernel.used.lock().get(subject).copied();
    Ok(kernel.store.last_used(subject).await?.max(noted))
}

/// When each of these subjects was last used, in their order.
pub(crate) async fn last_used_each(kernel: &Kernel, subjects: &[String]) -> Result<Vec<Option<Timestamp>>, OpError> {
    let noted: Vec<Option<Timestamp>> = {
        let used = kernel.used.lock();
        subjects.iter().map(|subject| used.get(subject).copied()).collect()
    };
    let stored = kernel.store.last_used_each(subjects).await?;
    Ok(stored.into_iter().zip(noted).map(|(stored, noted)| stored.max(noted)).collect())
}

/// Under what a decision that allowed an action notes that.
pub(crate) fn use_stamp(identity: &impl std::fmt::Display, resource: &str, action: &str) -> String {
    format!("use {identity} {resource} {action}")
}
