//! Use of what is deprecated, counted per caller (R99): in memory where it happens, written once a minute.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use tenure_core::base::id::{IdentityId, ResourceId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::Identity;
use tenure_core::inventory::deprecation::{Deprecated, Deprecation, DeprecationState};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event_kind::EventKind;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::query::Query;
use crate::kernel::work::system;

/// How often what is deprecated is read anew, and what was counted is written.
const EVERY: Span = Span::from_mins(1);
/// Deprecations that are kept at hand, and callers that are counted between two writes.
const MAX_KEPT: usize = 10_000;

/// What is deprecated, and what was counted of it, in this process.
#[derive(Default)]
struct Tallies {
    known: Mutex<Known>,
    counted: Mutex<HashMap<(Deprecated, String), Tally>>,
}

#[derive(Default)]
struct Known {
    read_at: Option<Timestamp>,
    announced: Arc<BTreeSet<Deprecated>>,
}

#[derive(Clone, Copy)]
struct Tally {
    uses: u64,
    last_at: Timestamp,
}

/// What of an identity may be deprecated.
pub(crate) fn parts(identity: &Identity) -> impl Iterator<Item = Deprecated> {
    let charter = &identity.charter;
    [
        Some(Deprecated::Identity(identity.id)),
        charter.application.map(Deprecated::Application),
        charter.vendor.map(Deprecated::Vendor),
        charter.need.map(Deprecated::Need),
    ]
    .into_iter()
    .flatten()
}

/// Notes that an identity was used for a resource. It costs next to nothing as long as nothing of it is deprecated.
pub(crate) fn note(kernel: &Kernel, identity: &Identity, resource: ResourceId, now: Timestamp) {
    let tallies = kernel.memory.of::<Tallies>();
    let announced = Arc::clone(&tallies.known.lock().announced);
    if announced.is_empty() {
        return;
    }
    for part in parts(identity).filter(|part| announced.contains(part)) {
        let caller = match part {
            Deprecated::Identity(_) => resource.to_string(),
            _ => identity.id.to_string(),
        };
        let mut counted = tallies.counted.lock();
        if counted.len() >= MAX_KEPT && !counted.contains_key(&(part, caller.clone())) {
            continue;
        }
        let tally = counted.entry((part, caller)).or_insert(Tally { uses: 0, last_at: now });
        tally.uses = tally.uses.saturating_add(1);
        tally.last_at = tally.last_at.max(now);
    }
}

/// The same, of an identity that isn't at hand: it is read only while something is deprecated.
pub(crate) async fn note_of(kernel: &Kernel, id: IdentityId, resource: ResourceId, now: Timestamp) {
    let counts = !kernel.memory.of::<Tallies>().known.lock().announced.is_empty();
    if !counts {
        return;
    }
    match kernel.one::<Identity>(id).await {
        Ok(Some(identity)) => note(kernel, &identity, resource, now),
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, identity = %id, "use of something deprecated could not be counted"),
    }
}

/// Has what is deprecated counted from now on, or no more. Other processes learn of it within a minute.
pub(crate) fn changed(kernel: &Kernel, of: Deprecated, is_announced: bool) {
    let tallies = kernel.memory.of::<Tallies>();
    let mut known = tallies.known.lock();
    let mut announced = (*known.announced).clone();
    if is_announced {
        announced.insert(of);
    } else {
        announced.remove(&of);
    }
    known.announced = Arc::new(announced);
}

/// Reads what is deprecated, once a minute, and writes what was counted; all of it when the
/// process stops.
///
/// # Errors
/// The store can't be read or written; it is tried again.
pub(crate) async fn keep_up(kernel: &Kernel, stopping: bool) -> Result<(), OpError> {
    let tallies = kernel.memory.of::<Tallies>();
    let now = kernel.now();
    let is_due = tallies.known.lock().read_at.is_none_or(|at| now.since(at) >= EVERY || at > now);
    if !is_due && !stopping {
        return Ok(());
    }
    write(kernel, &tallies).await?;
    let mut announced = BTreeSet::new();
    let mut pages = kernel.pages(Query::of([Deprecation::STATE.of(DeprecationState::Announced)]));
    while let Some(found) = pages.next().await? {
        announced.extend(found.readable().iter().map(|deprecation| deprecation.of));
        if announced.len() >= MAX_KEPT {
            tracing::warn!("more is deprecated than is counted");
            break;
        }
    }
    *tallies.known.lock() = Known { read_at: Some(now), announced: Arc::new(announced) };
    Ok(())
}

async fn write(kernel: &Kernel, tallies: &Tallies) -> Result<(), OpError> {
    let counted: HashMap<(Deprecated, String), Tally> = std::mem::take(&mut *tallies.counted.lock());
    let mut by_part: HashMap<Deprecated, Vec<(String, Tally)>> = HashMap::new();
    for ((part, caller), tally) in counted {
        by_part.entry(part).or_default().push((caller, tally));
    }
    for (part, uses) in by_part {
        let written = kernel.decide(|| async {
            let now = kernel.now();
            let stored = kernel.must::<Deprecation>("deprecation", part).await?;
            let mut deprecation = (*stored.value).clone();
            for (caller, tally) in &uses {
                deprecation.count(caller, tally.uses, tally.last_at);
            }
            let total = uses.iter().fold(0_u64, |total, (_, tally)| total.saturating_add(tally.uses));
            let event = kernel
                .event(now, EventKind::DeprecationUsed)
                .subject(part)
                .fact("callers", uses.len())
                .fact("uses", total);
            let mut changeset = Changeset::new(system(), now, event);
            changeset.replace(&stored, &deprecation);
            Ok((changeset, ()))
        });
        if let Err(error) = written.await {
            put_back(tallies, part, uses);
            return Err(error);
        }
    }
    Ok(())
}

/// What couldn't be written is counted on.
fn put_back(tallies: &Tallies, part: Deprecated, uses: Vec<(String, Tally)>) {
    let mut counted = tallies.counted.lock();
    for (caller, tally) in uses {
        let known = counted.entry((part, caller)).or_insert(Tally { uses: 0, last_at: tally.last_at });
        known.uses = known.uses.saturating_add(tally.uses);
        known.last_at = known.last_at.max(tally.last_at);
    }
}

/// What an identity is or belongs to that is past its sunset.
pub(crate) async fn past_sunset(
    kernel: &Kernel,
    identity: &Identity,
    now: Timestamp,
) -> Result<Option<Deprecation>, OpError> {
    for part in parts(identity) {
        if let Some(deprecation) = kernel.one::<Deprecation>(part).await?.filter(|found| found.is_past(now)) {
            return Ok(Some((*deprecation.value).clone()));
        }
    }
    Ok(None)
}

/// The deprecations of an identity and of what it belongs to that weren't taken back.
pub(crate) async fn of_identity(kernel: &Kernel, identity: &Identity) -> Result<Vec<Deprecation>, OpError> {
    let mut found = Vec::new();
    for part in parts(identity) {
        let deprecation = kernel.one::<Deprecation>(part).await?;
        let deprecation = deprecation.filter(|found| found.state != DeprecationState::Withdrawn);
        found.extend(deprecation.map(|found| (*found.value).clone()));
    }
    Ok(found)
}
