//! Deadlines: claimed by lease, decided by [`crate::plan`], acknowledged in the same commit as their effect.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tenure_core::changeset::{Changeset, DueChange};
use tenure_core::event::{Actor, ControlPoint};
use tenure_core::grant::{Grant, GrantState};
use tenure_core::id::{GrantId, IdentityId};
use tenure_core::identity::Identity;
use tenure_core::port::{Claimed, DueKind};
use tenure_core::row::Stored;
use tenure_core::time::{Span, Timestamp};
use tokio::sync::watch;

use crate::Engine;
use crate::counters::count;
use crate::error::OpError;
use crate::ops::grants::end_grant;
use crate::plan::{self, expiry::Plan};

/// How long a worker may take before another takes the work over.
const LEASE: Span = Span::from_secs(10);
const BATCH: u16 = 64;
/// How much of a batch is worked off at once, so that commits share their way to the disk.
const AT_ONCE: usize = 32;
/// How often work is decided again when what it rests on has changed meanwhile.
const ATTEMPTS: u32 = 4;
/// How long nothing is looked for when nothing was found and nobody pokes.
const IDLE: Duration = Duration::from_millis(500);

impl Engine {
    /// Works off what is due now; returns how much was done.
    ///
    /// # Errors
    /// The store can't be asked. Single items that fail are retried when their lease ends.
    pub async fn work_due(&self) -> Result<usize, OpError> {
        let mut done = 0;
        // Calls back have a loop of their own: they wait for others.
        for kind in DueKind::ALL.iter().filter(|kind| **kind != DueKind::Callback) {
            let reading = self.reading();
            // An unreliable clock stops what can't be undone, never a revocation (S-4).
            if !reading.reliable && *kind != DueKind::Receipt {
                continue;
            }
            let claimed = self.store.claim(*kind, reading.now, LEASE, BATCH).await?;
            let mut work = stream::iter(claimed)
                .map(|claimed| async move { (Box::pin(self.work_one(&claimed, reading.now)).await, claimed) })
                .buffer_unordered(AT_ONCE);
            while let Some((worked, claimed)) = work.next().await {
                match worked {
                    Ok(()) => {
                        done += 1;
                        count(&self.counters.worked);
                    }
                    Err(error) => {
                        count(&self.counters.retried);
                        tracing::warn!(%error, kind = kind.as_str(), subject = claimed.subject, "work is retried when its lease ends");
                    }
                }
            }
        }
        Ok(done)
    }

    /// Works one thing off. Whoever changed what was read is taken account of at once; who took the lease has the work.
    async fn work_one(&self, claimed: &Claimed, now: Timestamp) -> Result<(), OpError> {
        for _ in 0..ATTEMPTS {
            let basis = self.policy.basis();
            let changeset = self.work(claimed, now).await?;
            if self.settle_under(basis, changeset).await?.is_some() {
                return Ok(());
            }
        }
        // The deadline stands and comes again.
        Ok(())
    }

    async fn work(&self, claimed: &Claimed, now: Timestamp) -> Result<Changeset, OpError> {
        let changeset = match claimed.kind {
            DueKind::IdentityExpiry => {
                self.work_identity(claimed, now, |identity| async move { Ok(plan::expiry::plan(&identity, now)) })
                    .await?
            }
            DueKind::IdentityIdle => {
                self.work_identity(claimed, now, |identity| async move {
                    Ok(plan::idle::plan(&identity, self.last_used(&identity.id.to_string()).await?, now))
                })
                .await?
            }
            DueKind::Grant => self.work_grant(claimed, now).await?,
            DueKind::Receipt => self.work_receipt(claimed, now).await?,
            DueKind::Request => self.work_request(claimed, now).await?,
            DueKind::Renewal => self.work_renewal(claimed, now).await?,
            DueKind::PersonGrant => self.work_person_grant(claimed, now).await?,
            DueKind::Review => self.work_review(claimed, now).await?,
            DueKind::Tier => self.work_tier(claimed, now).await?,
            DueKind::Exception => self.work_exception(claimed, now).await?,
            DueKind::Dormancy => self.work_dormancy(claimed, now).await?,
            DueKind::Need => self.work_need(claimed, now).await?,
            DueKind::Leaver => self.work_leaver(claimed, now).await?,
            DueKind::Transfer => self.work_transfer(claimed, now).await?,
            DueKind::Person => self.work_person(claimed, now).await?,
            DueKind::Signal => self.work_signal(claimed, now).await?,
            DueKind::Removal => self.work_removal(claimed, now).await?,
            DueKind::Callback => None,
        };
        Ok(changeset.unwrap_or_else(|| self.nothing_left(claimed, now)))
    }

    /// The subject is gone or needs nothing: only the deadline goes, and the log says so.
    pub(crate) fn nothing_left(&self, claimed: &Claimed, now: Timestamp) -> Changeset {
        let event = self
            .event(now, "deadline.dropped", ControlPoint::Administer)
            .subject(&claimed.subject)
            .fact("kind", claimed.kind.as_str());
        let mut changeset = Changeset::new(system(), now, event);
        changeset.due.push(DueChange::Ack(claimed.kind, claimed.subject.clone(), claimed.fence));
        changeset
    }

    async fn work_identity<Fut: Future<Output = Result<Plan, OpError>>>(
        &self,
        claimed: &Claimed,
        now: Timestamp,
        plan: impl Fn(Stored<Identity>) -> Fut,
    ) -> Result<Option<Changeset>, OpError> {
        let Ok(id) = claimed.subject.parse::<IdentityId>() else { return Ok(None) };
        let Some(stored) = self.one::<Identity>(id).await? else { return Ok(None) };
        Ok(match plan(stored.clone()).await? {
            Plan::Nothing => None,
            Plan::Later(at) => Some(self.postponed(claimed, at, now)),
            Plan::Retire(because) => {
                let mut changeset = self.retire_by_deadline(&stored, because, now).await?;
                // The end clears every deadline of the identity; the claimed one goes by its fence, so that a lost lease conflicts.
                changeset
                    .due
                    .retain(|change| !matches!(change, DueChange::Clear(kind, _) if *kind == claimed.kind));
                changeset.due.push(DueChange::Ack(claimed.kind, claimed.subject.clone(), claimed.fence));
                Some(changeset)
            }
        })
    }

    pub(crate) fn postponed(&self, claimed: &Claimed, at: Timestamp, now: Timestamp) -> Changeset {
        let event = self
            .event(now, "deadline.postponed", ControlPoint::Administer)
            .subject(&claimed.subject)
            .fact("kind", claimed.kind.as_str())
            .fact("until", at);
        let mut changeset = Changeset::new(system(), now, event);
        changeset.due.push(DueChange::Retry(claimed.kind, claimed.subject.clone(), claimed.fence, at));
        changeset
    }

    async fn work_grant(&self, claimed: &Claimed, now: Timestamp) -> Result<Option<Changeset>, OpError> {
        let Ok(id) = claimed.subject.parse::<GrantId>() else { return Ok(None) };
        let Some(stored) = self.one::<Grant>(id).await? else { return Ok(None) };
        Ok(match plan::grant::plan(&stored, now) {
            Plan::Nothing => None,
            Plan::Later(at) => Some(self.postponed(claimed, at, now)),
            Plan::Retire(_) => {
                let Some(identity) = self.one::<Identity>(stored.identity).await? else {
                    return Ok(None);
                };
                let event = self.event(now, "grant.expired", ControlPoint::Revoke).subject(id).subject(identity.id);
                let mut changeset = Changeset::new(system(), now, event);
                end_grant(&mut changeset, &stored, &identity, GrantState::Expired);
                changeset.due.push(DueChange::Ack(claimed.kind, claimed.subject.clone(), claimed.fence));
                Some(changeset)
            }
        })
    }
}

pub(crate) fn system() -> Actor {
    Actor::System { part: "deadlines".into() }
}

pub(super) async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        match engine.work_due().await {
            Ok(0) => {}
            Ok(_) => continue,
            Err(error) => tracing::warn!(%error, "deadlines can't be worked off now"),
        }
        tokio::select! {
            () = engine.poke.notified() => {}
            () = tokio::time::sleep(IDLE) => {}
            _ = stop.changed() => {}
        }
    }
}
