//! Who left long ago is erased without anybody asking, where a deployment says after how long (`erase_departed_after`).

use std::sync::Arc;
use std::time::Duration;

use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::people::person::{Person, PersonState};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_log::Leaf;
use tokio::sync::watch;

use crate::access::departures;
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::query::Query;
use crate::kernel::work::system;

const EVERY: Duration = Duration::from_secs(60 * 60);

/// Erases the names and addresses of those who left longer ago than the deployment keeps them; returns of how many.
/// Whoever still answers for something keeps their name until that is somebody else's: people are asked about it.
///
/// # Errors
/// The store can't be read or written.
pub async fn erase_departed(kernel: &Kernel) -> Result<usize, OpError> {
    let Some(after) = kernel.settings.erase_departed_after else {
        return Ok(0);
    };
    let mut erased = 0;
    let mut departed = kernel.pages(Query::of([Person::STATE.of(PersonState::Departed)]));
    while let Some(found) = departed.next().await? {
        for stored in found.readable() {
            let reading = kernel.reading();
            // By a clock that stepped ahead everybody left long ago, and nothing brings a name back.
            if !reading.reliable {
                return Ok(erased);
            }
            let is_named = stored.name.is_some() || stored.email.is_some();
            if is_named
                && left_at(kernel, &stored).await?.plus(after) <= reading.now
                && !answers_for_something(kernel, &stored).await?
            {
                erase(kernel, &stored, after).await?;
                erased += 1;
            }
        }
    }
    Ok(erased)
}

/// When somebody left. Of those who left before it was noted, when their record was last changed, which is no earlier.
async fn left_at(kernel: &Kernel, stored: &Stored<Person>) -> Result<Timestamp, OpError> {
    if let Some(at) = stored.departed_at {
        return Ok(at);
    }
    let index = stored.position.index;
    let entry = kernel.store.entries(index, 1).await?.into_iter().find(|entry| entry.index == index);
    let leaf = entry.and_then(|entry| Leaf::read(&entry.leaf).ok());
    leaf.map(|leaf| Timestamp::from_micros(leaf.at))
        .ok_or_else(|| OpError::Internal(format!("the entry {index} is missing from the log, or can't be read")))
}

async fn answers_for_something(kernel: &Kernel, stored: &Stored<Person>) -> Result<bool, OpError> {
    let mut owned = kernel.pages(Query::of([Identity::OWNER.of(stored.id)]));
    while let Some(found) = owned.next().await? {
        if found.whole()?.iter().any(|identity| !is_over(identity.state)) {
            return Ok(true);
        }
    }
    Ok(false)
}

const fn is_over(state: IdentityState) -> bool {
    matches!(state, IdentityState::Retired | IdentityState::Closed)
}

async fn erase(kernel: &Kernel, departed: &Stored<Person>, after: Span) -> Result<(), OpError> {
    let decided = kernel.decide(|| async {
        let stored = kernel.must::<Person>("person", departed.id).await?;
        let now = kernel.now();
        let event = kernel
            .event(now, EventKind::PersonErased)
            .subject(stored.id)
            .fact("because", "erase_departed_after")
            .fact("departed_at", stored.departed_at)
            .fact("kept_seconds", after.as_secs());
        let mut changeset = Changeset::new(system(), now, event);
        departures::erase(kernel, &mut changeset, &stored).await?;
        Ok((changeset, ()))
    });
    decided.await.map(drop)
}

pub(crate) async fn run(kernel: Arc<Kernel>, mut stop: watch::Receiver<bool>) {
    loop {
        match erase_departed(&kernel).await {
            Ok(0) => {}
            Ok(people) => tracing::info!(people, "who left long ago was erased"),
            Err(error) => tracing::warn!(%error, "who left long ago is erased later"),
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
