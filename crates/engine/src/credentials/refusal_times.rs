//! How long revocations took until what was revoked was refused, as their receipts prove it.

use std::collections::BTreeMap;

use tenure_api::overview::{RefusalTime, RefusalTimes, TargetTime, TimeBucket};
use tenure_api::views::Names;
use tenure_core::base::id::TargetId;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::credential::receipt::{AccountOutcome, PersonOutcome, PointState, Receipt, ReceiptOf, ReceiptState};
use tenure_core::target::system::TargetSystem;

use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::memory::Minute;
use crate::kernel::query::Query;
use crate::kernel::{Kernel, authority};

/// Receipts that are looked at: the newest.
const LOOKED_AT: u16 = 1_000;
/// How old the oldest of them may be.
const SINCE: Span = Span::from_days(30);

/// Targets that are told of.
const TARGETS: usize = 100;

/// The bounds of the buckets: about three to each power of ten, and what people reckon in.
const BOUNDS: [Span; 12] = [
    Span::from_millis(10),
    Span::from_millis(30),
    Span::from_millis(100),
    Span::from_millis(300),
    Span::from_secs(1),
    Span::from_secs(3),
    Span::from_secs(10),
    Span::from_secs(60),
    Span::from_mins(5),
    Span::from_mins(15),
    Span::from_mins(60),
    Span::from_days(1),
];

/// What the newest receipts of the last month say of it; looked at at most a minute ago.
///
/// # Errors
/// The caller may not read receipts.
pub async fn refusal_times(kernel: &Kernel, caller: &Caller) -> Result<RefusalTimes, OpError> {
    authority::may_read(kernel, caller, "receipt", "", false).await?;
    let minute = kernel.memory.of::<Minute<RefusalTimes>>();
    minute.at_most_old(kernel.now(), async |now| looked_at(kernel, now).await).await
}

/// The same for whoever doesn't wait: nothing while they are being looked at.
///
/// # Errors
/// The caller may not read receipts.
pub async fn refusal_times_at_hand(kernel: &Kernel, caller: &Caller) -> Result<Option<RefusalTimes>, OpError> {
    authority::may_read(kernel, caller, "receipt", "", false).await?;
    Ok(kernel.memory.of::<Minute<RefusalTimes>>().at_hand(kernel.now()))
}

/// Looks at them.
pub(crate) async fn looked_at(kernel: &Kernel, now: Timestamp) -> Result<RefusalTimes, OpError> {
    let newest = Query::every().newest_first(true).limit(LOOKED_AT);
    let found = kernel.find::<Receipt>(newest).await?;
    let has_more = found.next().is_some();
    let since = now.minus(SINCE);
    let all = found.readable();
    let receipts: Vec<&Receipt> = all.iter().map(|row| &*row.value).filter(|one| one.asked_at >= since).collect();
    let by_target = by_target(kernel, &receipts).await?;
    let more = has_more && receipts.len() == all.len();
    let revocations: Vec<&Receipt> =
        receipts.into_iter().filter(|receipt| receipt.what == ReceiptOf::Revocation).collect();
    Ok(RefusalTimes { more, by_target, ..told(now, since, &revocations) })
}

/// What receipts say of it.
fn told(now: Timestamp, since: Timestamp, receipts: &[&Receipt]) -> RefusalTimes {
    let proved = |proof: ReceiptState| {
        let of_it = receipts.iter().filter(|receipt| receipt.state() == proof);
        let mut times: Vec<Span> = of_it.filter_map(|receipt| time_of(receipt)).collect();
        times.sort_unstable();
        distribution(proof, &times)
    };
    let count = |is: fn(ReceiptState) -> bool| {
        let count = receipts.iter().filter(|receipt| is(receipt.state())).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    };
    let proofs = [ReceiptState::RefusedVerified, ReceiptState::Refused, ReceiptState::CannotRevoke];
    RefusalTimes {
        at: now,
        since,
        receipts: count(|_| true),
        more: false,
        by_proof: proofs.into_iter().filter_map(proved).collect(),
        nothing_to_refuse: count(|state| state == ReceiptState::NothingToRefuse),
        open: count(|state| {
            matches!(state, ReceiptState::Requested | ReceiptState::Unproven | ReceiptState::Unreachable)
        }),
        by_target: Vec::new(),
        names: Names::new(),
    }
}

/// What is known of the accounts at one target.
#[derive(Default)]
struct AtTarget {
    times: Vec<Span>,
    open: u32,
    cannot_revoke: u32,
    attested_gone: u32,
}

impl AtTarget {
    fn note(&mut self, asked_at: Timestamp, outcome: &AccountOutcome) {
        let counted = match outcome {
            AccountOutcome::RefusedVerified { at, .. }
            | AccountOutcome::Refused { at, .. }
            | AccountOutcome::EndedReadBack { at, .. }
            | AccountOutcome::NarrowedReadBack { at, .. } => {
                self.times.push(at.since(asked_at).max(Span::default()));
                return;
            }
            AccountOutcome::CannotRevoke { .. } => &mut self.cannot_revoke,
            AccountOutcome::AttestedGone { .. } => &mut self.attested_gone,
            AccountOutcome::Requested
            | AccountOutcome::StandsAgain { .. }
            | AccountOutcome::Unreachable { .. }
            | AccountOutcome::Unproven { .. } => &mut self.open,
        };
        *counted = counted.saturating_add(1);
    }
}

/// How long it took at each target until its accounts were stopped there.
async fn by_target(kernel: &Kernel, receipts: &[&Receipt]) -> Result<Vec<TargetTime>, OpError> {
    let mut targets: BTreeMap<TargetId, AtTarget> = BTreeMap::new();
    for receipt in receipts.iter().filter(|receipt| receipt.lifted_at.is_none()) {
        for point in receipt.accounts.iter().flat_map(|accounts| &accounts.first) {
            targets.entry(point.target).or_default().note(receipt.asked_at, &point.outcome);
        }
    }
    let mut told = Vec::new();
    for (id, mut there) in targets {
        let Some(target) = kernel.one::<TargetSystem>(id).await? else { continue };
        there.times.sort_unstable();
        let within = |percent: usize| within(&there.times, percent).map(millis);
        told.push(TargetTime {
            target: id,
            name: target.name.clone(),
            kind: target.kind,
            count: u32::try_from(there.times.len()).unwrap_or(u32::MAX),
            p50_ms: within(50),
            p90_ms: within(90),
            p99_ms: within(99),
            open: there.open,
            cannot_revoke: there.cannot_revoke,
            attested_gone: there.attested_gone,
        });
    }
    told.sort_by_key(|one| std::cmp::Reverse((one.count, one.open)));
    told.truncate(TARGETS);
    Ok(told)
}

/// The smallest time within which that share of sorted times is.
fn within(times: &[Span], percent: usize) -> Option<Span> {
    times.get((times.len() * percent).div_ceil(100).saturating_sub(1)).copied()
}

/// From the call until the last point refused, or, of what can't be revoked somewhere, until it ends there by itself.
fn time_of(receipt: &Receipt) -> Option<Span> {
    let last = receipt.points.iter().filter_map(|point| match point.outcome {
        PointState::Refused { at, .. } => Some(at),
        PointState::AcceptedUntil { until } => Some(until),
        _ => None,
    });
    let accounts = receipt.accounts.iter().flat_map(|accounts| &accounts.first);
    let ended = accounts.filter(|point| point.outcome.is_stopped()).filter_map(|point| point.outcome.at());
    let theirs = receipt.person.iter().flat_map(|person| &person.first).filter_map(|point| match point.outcome {
        PersonOutcome::Refused { at, .. } => Some(at),
        PersonOutcome::DecidedElsewhere { .. } | PersonOutcome::Unproven { .. } => None,
    });
    Some(last.chain(ended).chain(theirs).max()?.since(receipt.asked_at))
}

/// How times of one proof are distributed, in their order; none of none.
fn distribution(proof: ReceiptState, times: &[Span]) -> Option<RefusalTime> {
    let within = |percent: usize| within(times, percent);
    let mut before = 0;
    let mut bucket = |up_to: Option<Span>| {
        let upto = up_to.map_or(times.len(), |bound| times.partition_point(|time| *time <= bound));
        let count = upto.saturating_sub(before);
        before = upto;
        TimeBucket { up_to_ms: up_to.map(millis), count: u32::try_from(count).unwrap_or(u32::MAX) }
    };
    let buckets = BOUNDS.into_iter().map(Some).chain([None]).map(&mut bucket).collect();
    Some(RefusalTime {
        proof,
        count: u32::try_from(times.len()).unwrap_or(u32::MAX),
        p50_ms: millis(within(50)?),
        p90_ms: millis(within(90)?),
        p99_ms: millis(within(99)?),
        buckets,
    })
}

/// Milliseconds, rounded up: what took less than one didn't take none.
fn millis(span: Span) -> u64 {
    span.as_micros().unsigned_abs().div_ceil(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_one_bucket_and_shares_are_those_of_the_sorted_times() {
        let times: Vec<Span> = (1..=100).map(|n| Span::from_millis(n * 7)).collect();
        let told = distribution(ReceiptState::Refused, &times).unwrap();
        assert_eq!((told.count, told.buckets.iter().map(|bucket| bucket.count).sum::<u32>()), (100, 100));
        assert_eq!((told.p50_ms, told.p90_ms, told.p99_ms), (350, 630, 693));
        assert_eq!(told.buckets.iter().map(|bucket| bucket.count).collect::<Vec<_>>()[..5], [1, 3, 10, 28, 58]);
        let one = distribution(ReceiptState::Refused, &[Span::from_days(9)]).unwrap();
        assert_eq!((one.p50_ms, one.p99_ms), (9 * 86_400_000, 9 * 86_400_000));
        assert_eq!(one.buckets.last().map(|last| (last.up_to_ms, last.count)), Some((None, 1)));
        assert_eq!(millis(Span::from_micros(1)), 1);
        assert_eq!(distribution(ReceiptState::Refused, &[]), None);
    }
}
