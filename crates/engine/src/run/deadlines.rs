//! Deadlines: claimed by lease, decided by the `plan` beside its subject, acknowledged in the same commit as their effect.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future;
use tenure_core::base::id::{GrantId, IdentityId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::Identity;
use tenure_core::identity::deferral::RemovalTrigger;
use tenure_core::identity::grant::{Grant, GrantState};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::Stored;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::access::person_access::grant_deadlines;
use crate::access::{departures, leavers, person_receipts};
use crate::credentials::receipts;
use crate::endings::removals::steps;
use crate::endings::{deprecations, need_end};
use crate::identities::deferral::{self, Fired};
use crate::identities::grants::{self, end_grant};
use crate::identities::lifecycle::expiry::{self, ExpiryPlan};
use crate::identities::lifecycle::{self, idle};
use crate::identities::{dormancy, renewals};
use crate::kernel::error::OpError;
use crate::kernel::{Kernel, work};
use crate::matters::exceptions::endings;
use crate::matters::{break_glass, request_deadlines, tiers};
use crate::reviews::{campaigns, deadline};
use crate::run::loops;
use crate::signals::{effects, rhythm};
use crate::targets::{enforcement, intake};

/// How long a worker may take before another takes the work over.
const LEASE: Span = Span::from_secs(10);
const BATCH: u16 = 64;
/// How much of a batch is worked off at once, so that commits share their way to the disk.
const AT_ONCE: usize = 32;
/// How often work is decided again when what it rests on has changed meanwhile.
const ATTEMPTS: u32 = 4;
/// How long nothing is looked for when nothing was found and nothing fell due by a commit of this process.
const IDLE: Duration = Duration::from_millis(500);

/// The kinds that are worked off here. Calls back and what is asked of targets have loops of their own: they wait for
/// others.
fn kinds() -> impl Iterator<Item = DueKind> {
    let outside = [DueKind::Callback, DueKind::TargetScan, DueKind::Account, DueKind::Login, DueKind::Drift];
    DueKind::ALL.iter().copied().filter(move |kind| !outside.contains(kind))
}

/// Works off what is due now, the kinds beside each other; returns how much was done.
///
/// # Errors
/// The store can't be asked. Single items that fail are retried when their lease ends.
pub async fn work_due(kernel: &Kernel) -> Result<usize, OpError> {
    let done = future::try_join_all(kinds().map(|kind| work_kind(kernel, kind))).await?;
    Ok(done.into_iter().sum())
}

/// Works off a batch of what is due of a kind.
async fn work_kind(kernel: &Kernel, kind: DueKind) -> Result<usize, OpError> {
    let reading = kernel.reading();
    // An unreliable clock stops what can't be undone, never a revocation (S-4).
    if !reading.reliable && !matches!(kind, DueKind::Receipt | DueKind::Enforcement) {
        return Ok(0);
    }
    let claimed = kernel.store.claim(kind, reading.now, LEASE, BATCH).await?;
    work::work_off(kernel, claimed, AT_ONCE, |claimed| async move { work_one(kernel, &claimed, reading.now).await })
        .await
}

/// Works one thing off. Whoever changed what was read is taken account of at once; who took the lease has the work.
async fn work_one(kernel: &Kernel, claimed: &Claimed, now: Timestamp) -> Result<(), OpError> {
    for _ in 0..ATTEMPTS {
        let basis = kernel.policy.basis();
        let changeset = work(kernel, claimed, now).await?;
        if kernel.settle_under(basis, changeset).await?.is_some() {
            tracing::debug!("worked off");
            return Ok(());
        }
    }
    // The deadline stands and comes again.
    Ok(())
}

async fn work(kernel: &Kernel, claimed: &Claimed, now: Timestamp) -> Result<Changeset, OpError> {
    let changeset = match claimed.kind {
        DueKind::IdentityExpiry => {
            work_identity(kernel, claimed, now, |identity| async move { Ok(expiry::plan(&identity, now)) }).await?
        }
        DueKind::IdentityIdle => {
            work_identity(kernel, claimed, now, |identity| async move {
                Ok(idle::plan(&identity, work::last_used(kernel, &identity.id.to_string()).await?, now))
            })
            .await?
        }
        DueKind::Grant => work_grant(kernel, claimed, now).await?,
        DueKind::Receipt => receipts::work_receipt(kernel, claimed, person_receipts::points, now).await?,
        DueKind::Request => request_deadlines::work_request(kernel, claimed, now).await?,
        DueKind::Renewal => renewals::work_renewal(kernel, claimed, now).await?,
        DueKind::PersonGrant => grant_deadlines::work_person_grant(kernel, claimed, now).await?,
        DueKind::Review => deadline::work_review(kernel, claimed, now).await?,
        DueKind::Campaign => campaigns::work_campaign(kernel, claimed, now).await?,
        DueKind::Tier => tiers::work_tier(kernel, claimed, now).await?,
        DueKind::Exception => endings::work_exception(kernel, claimed, now).await?,
        DueKind::Dormancy => dormancy::work_dormancy(kernel, claimed, now).await?,
        DueKind::Need => need_end::work_need(kernel, claimed, now).await?,
        DueKind::Leaver => leavers::work_leaver(kernel, claimed, now).await?,
        DueKind::Transfer => leavers::work_transfer(kernel, claimed, now).await?,
        DueKind::Person => departures::work_person(kernel, claimed, now).await?,
        DueKind::Signal => effects::work_signal(kernel, claimed, now).await?,
        DueKind::Removal => steps::work_removal(kernel, claimed, now).await?,
        DueKind::Enforcement => enforcement::work_enforcement(kernel, claimed, now).await?,
        DueKind::BreakGlass => break_glass::work_break_glass(kernel, claimed, now).await?,
        DueKind::Sunset => deprecations::work_sunset(kernel, claimed, now).await?,
        DueKind::Silence => rhythm::work_silence(kernel, claimed, now).await?,
        DueKind::Sighting => intake::work_sighting(kernel, claimed, now).await?,
        DueKind::Callback | DueKind::TargetScan | DueKind::Account | DueKind::Login | DueKind::Drift => None,
    };
    Ok(changeset.unwrap_or_else(|| work::nothing_left(kernel, claimed, now)))
}

async fn work_identity<Fut: Future<Output = Result<ExpiryPlan, OpError>>>(
    kernel: &Kernel,
    claimed: &Claimed,
    now: Timestamp,
    plan: impl Fn(Stored<Identity>) -> Fut,
) -> Result<Option<Changeset>, OpError> {
    let Ok(id) = claimed.subject.parse::<IdentityId>() else {
        return Ok(None);
    };
    let Some(stored) = kernel.one::<Identity>(id).await? else {
        return Ok(None);
    };
    Ok(match plan(stored.clone()).await? {
        ExpiryPlan::Nothing => None,
        ExpiryPlan::Later(at) => Some(work::postponed(kernel, claimed, at, now)),
        ExpiryPlan::Retire(because) => {
            // An end by date was fixed before, and no exception reaches past it.
            if claimed.kind == DueKind::IdentityIdle {
                let fired = Fired { trigger: RemovalTrigger::Idle, of: &claimed.subject, reason: "it is not used" };
                if let Some(postponed) = deferral::postponed(kernel, claimed, &stored, fired, now).await? {
                    return Ok(Some(postponed));
                }
            }
            let mut changeset = lifecycle::retire_by_deadline(kernel, &stored, because, now).await?;
            // The end clears every deadline of the identity; the claimed one goes by its fence, so that a lost lease
            // conflicts.
            changeset.due.retain(|change| !matches!(change, DueChange::Clear(kind, _) if *kind == claimed.kind));
            changeset.due.push(DueChange::Ack(claimed.kind, claimed.subject.clone(), claimed.fence));
            Some(changeset)
        }
    })
}

async fn work_grant(kernel: &Kernel, claimed: &Claimed, now: Timestamp) -> Result<Option<Changeset>, OpError> {
    let Ok(id) = claimed.subject.parse::<GrantId>() else {
        return Ok(None);
    };
    let Some(stored) = kernel.one::<Grant>(id).await? else {
        return Ok(None);
    };
    Ok(match grants::plan::plan(&stored, now) {
        ExpiryPlan::Nothing => None,
        ExpiryPlan::Later(at) => Some(work::postponed(kernel, claimed, at, now)),
        ExpiryPlan::Retire(_) => {
            let Some(identity) = kernel.one::<Identity>(stored.identity).await? else {
                return Ok(None);
            };
            let event = kernel.event(now, EventKind::GrantExpired).subject(id).subject(identity.id);
            let mut changeset = Changeset::new(work::system(), now, event);
            end_grant(&mut changeset, &stored, &identity, GrantState::Expired);
            changeset.due.push(DueChange::Ack(claimed.kind, claimed.subject.clone(), claimed.fence));
            Some(changeset)
        }
    })
}

pub(crate) async fn run(kernel: Arc<Kernel>, stop: watch::Receiver<bool>) {
    // Each is a task of its own: of many that fall due at once, several processors work off several kinds.
    let mut tasks = JoinSet::new();
    for kind in kinds() {
        let (kernel, stop) = (Arc::clone(&kernel), stop.clone());
        tasks.spawn(async move { run_kind(&kernel, kind, stop, |kind| work_kind(&kernel, kind)).await });
    }
    loops::all(tasks).await;
}

/// Works off a kind for as long as the server runs: what takes long of one kind holds up no other.
pub(crate) async fn run_kind<Fut: Future<Output = Result<usize, OpError>>>(
    kernel: &Kernel,
    kind: DueKind,
    mut stop: watch::Receiver<bool>,
    work: impl Fn(DueKind) -> Fut,
) {
    let Some(mut due_now) = kernel.due_now.of(kind) else { return };
    while !*stop.borrow() {
        // What falls due after this is looked for once more.
        due_now.mark_unchanged();
        match work(kind).await {
            Ok(0) => {}
            Ok(_) => continue,
            Err(error) => tracing::warn!(%error, kind = kind.as_str(), "deadlines can't be worked off now"),
        }
        tokio::select! {
            _ = due_now.changed() => {}
            () = tokio::time::sleep(IDLE) => {}
            _ = stop.changed() => {}
        }
    }
}
