//! Counts of use: kept in memory between two writes, and written behind the decisions as last uses are. A crash loses
//! what wasn't written yet, which is some seconds.

use std::collections::HashMap;

use parking_lot::Mutex;
use tenure_core::base::id::{IdentityId, ResourceId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::context::Baseline;
use tenure_core::identity::tally::{MAX_DAY_BYTES, MAX_MONTH_BYTES, UseCount, UseCounts, UseLedger, UseNames, clipped};
use tenure_core::store::use_note::{UseChange, UseKey, UseNote, UsePart};

use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::work::use_stamp;

/// Things that are counted in memory at once: what comes above it until the next write is lost, as in a crash.
const MOST: usize = 100_000;
/// Identities whose counts one transaction writes.
const CHUNK: usize = 200;
const DAY: Span = Span::from_days(1);
/// Notes that are read at once for their age.
const PAGE: u16 = 500;

/// A day of an identity.
type Day = (IdentityId, u16);
type Things = HashMap<(ResourceId, String), UseCount>;

/// What was counted and isn't written yet.
#[derive(Default)]
pub(crate) struct Tallies(Mutex<Pending>);

#[derive(Default)]
struct Pending {
    things: usize,
    days: HashMap<Day, Things>,
}

impl Pending {
    fn add(&mut self, day: Day, resource: ResourceId, action: &str, count: UseCount) {
        let full = self.things >= MOST;
        let things = match self.days.get_mut(&day) {
            Some(things) => things,
            None if full => return,
            None => self.days.entry(day).or_default(),
        };
        let thing = (resource, clipped(action).to_owned());
        match things.get_mut(&thing) {
            Some(known) => *known = known.plus(count),
            None if full => {}
            None => {
                things.insert(thing, count);
                self.things += 1;
            }
        }
    }
}

impl Kernel {
    /// Notes that an identity was allowed something: when last, and once more on this day. `action`: by the resource's
    /// own name; [`tenure_core::identity::tally::UNNAMED`] if only the resource is known.
    pub(crate) fn note_use(&self, identity: IdentityId, resource: ResourceId, action: &str, now: Timestamp) {
        self.touch(use_stamp(&identity, &resource.to_string(), action), now);
        self.count_use(identity, resource, action, UseCount { allowed: 1, refused: 0 }, now);
    }

    /// Counts that an identity was refused something.
    pub(crate) fn note_refused_use(&self, identity: IdentityId, resource: ResourceId, action: &str, now: Timestamp) {
        self.count_use(identity, resource, action, UseCount { allowed: 0, refused: 1 }, now);
    }

    fn count_use(&self, identity: IdentityId, resource: ResourceId, action: &str, count: UseCount, now: Timestamp) {
        self.memory.of::<Tallies>().0.lock().add((identity, day_of(now)), resource, action, count);
    }
}

/// The number of a time's day.
pub(crate) fn day_of(at: Timestamp) -> u16 {
    match UsePart::day_of(at) {
        UsePart::Day(day) => day,
        _ => 0,
    }
}

const fn key(part: UsePart, identity: IdentityId) -> UseKey {
    UseKey { part, identity }
}

/// Writes what was counted.
///
/// # Errors
/// The store can't take it; it is counted on.
pub async fn flush_tallies(kernel: &Kernel) -> Result<(), OpError> {
    let taken = std::mem::take(&mut *kernel.memory.of::<Tallies>().0.lock()).days;
    let mut days: Vec<(Day, Things)> = taken.into_iter().collect();
    // One day of an identity after the other: no two changes of one transaction are about the same note.
    days.sort_unstable_by_key(|((identity, day), _)| (*day, *identity));
    while !days.is_empty() {
        let first = days.first().map(|((_, day), _)| *day);
        let same = days.iter().take_while(|((_, day), _)| Some(*day) == first).count();
        let rest = days.split_off(same.min(CHUNK));
        let chunk = std::mem::replace(&mut days, rest);
        match write_chunk(kernel, &chunk).await {
            Ok(written) => {
                put_back(kernel, chunk.into_iter().zip(written).filter(|(_, written)| !written).map(|(day, _)| day));
            }
            Err(error) => {
                put_back(kernel, chunk.into_iter().chain(days));
                return Err(error);
            }
        }
    }
    Ok(())
}

fn put_back(kernel: &Kernel, days: impl Iterator<Item = (Day, Things)>) {
    let tallies = kernel.memory.of::<Tallies>();
    let mut pending = tallies.0.lock();
    for (day, things) in days {
        for ((resource, action), count) in things {
            pending.add(day, resource, &action, count);
        }
    }
}

/// Adds counts of one day to what stands; of each identity, whether they were written. What somebody else wrote
/// meanwhile is added to at the next time.
async fn write_chunk(kernel: &Kernel, chunk: &[(Day, Things)]) -> Result<Vec<bool>, OpError> {
    let notes = kernel.store.use_notes();
    let keys = |(identity, day): Day| [key(UsePart::Names, identity), key(UsePart::Day(day), identity)];
    let keys: Vec<UseKey> = chunk.iter().flat_map(|(day, _)| keys(*day)).collect();
    let stand = notes.read_notes(&keys).await?;
    let (mut names, mut counts) = (Vec::with_capacity(chunk.len()), Vec::with_capacity(chunk.len()));
    for (((identity, day), things), stands) in chunk.iter().zip(stand.chunks(2)) {
        let (named, counted) = (stands.first().cloned().flatten(), stands.get(1).cloned().flatten());
        let (named, counted) = added(*identity, *day, things, named, counted);
        names.push(named);
        counts.push(counted);
    }
    // What counts are about stands before there are any.
    let news: Vec<UseChange> = names.iter().filter(|change| change.before != change.after).cloned().collect();
    let mut named = notes.change_notes(&news).await?.into_iter();
    let named: Vec<bool> =
        names.iter().map(|change| change.before == change.after || named.next().unwrap_or_default()).collect();
    let counted: Vec<UseChange> =
        counts.into_iter().zip(&named).filter(|(_, named)| **named).map(|(change, _)| change).collect();
    let mut counted = notes.change_notes(&counted).await?.into_iter();
    Ok(named.into_iter().map(|named| named && counted.next().unwrap_or_default()).collect())
}

/// The changes by which a day's counts are added to what stands.
fn added(
    identity: IdentityId,
    day: u16,
    things: &Things,
    named: Option<Vec<u8>>,
    counted: Option<Vec<u8>>,
) -> (UseChange, UseChange) {
    let mut names = named.as_deref().and_then(UseNames::unpack).unwrap_or_else(|| UseNames::since(day));
    names.last = names.last.max(day);
    let mut counts = counted.as_deref().and_then(UseCounts::unpack).unwrap_or_default();
    // What is allowed finds room before what is refused.
    let mut things: Vec<_> = things.iter().collect();
    things.sort_unstable_by(|one, other| (one.1.allowed == 0, one.0).cmp(&(other.1.allowed == 0, other.0)));
    for ((resource, action), count) in things {
        counts.add(names.number(*resource, action, count.allowed > 0), *count);
    }
    (
        UseChange { key: key(UsePart::Names, identity), before: named, after: Some(names.pack()) },
        UseChange { key: key(UsePart::Day(day), identity), before: counted, after: Some(counts.pack(MAX_DAY_BYTES)) },
    )
}

/// All that is kept of how often an identity was used, with what isn't written yet.
pub(crate) async fn ledger(kernel: &Kernel, identity: IdentityId, now: Timestamp) -> Result<UseLedger, OpError> {
    let today = day_of(now);
    let (days, months) = kept(kernel, today);
    let parts = std::iter::once(UsePart::Names)
        .chain((days..=today).map(UsePart::Day))
        .chain((months..=month_of(today)).map(UsePart::Month));
    let keys: Vec<UseKey> = parts.map(|part| key(part, identity)).collect();
    let tallies = kernel.memory.of::<Tallies>();
    // What isn't written yet is counted since its own day.
    let first = {
        let pending = tallies.0.lock();
        (days..=today).find(|day| pending.days.contains_key(&(identity, *day)))
    };
    let mut ledger = UseLedger { names: UseNames::since(first.unwrap_or(today)), ..UseLedger::default() };
    for (key, body) in keys.iter().zip(kernel.store.use_notes().read_notes(&keys).await?) {
        let Some(body) = body else { continue };
        match key.part {
            UsePart::Names => ledger.names = UseNames::unpack(&body).unwrap_or(ledger.names),
            UsePart::Day(day) => drop(ledger.days.insert(day, UseCounts::unpack(&body).unwrap_or_default())),
            UsePart::Month(month) => drop(ledger.months.insert(month, UseCounts::unpack(&body).unwrap_or_default())),
            UsePart::Contexts => {}
        }
    }
    let pending = tallies.0.lock();
    for day in days..=today {
        for ((resource, action), count) in pending.days.get(&(identity, day)).into_iter().flatten() {
            ledger.add(day, *resource, action, *count);
        }
    }
    Ok(ledger)
}

fn month_of(day: u16) -> u16 {
    match UsePart::month_of(day) {
        UsePart::Month(month) => month,
        _ => 0,
    }
}

/// The first day and the first month that are kept.
fn kept(kernel: &Kernel, today: u16) -> (u16, u16) {
    let before = |kept: Span| today.saturating_sub(u16::try_from(kept.as_secs() / DAY.as_secs()).unwrap_or(u16::MAX));
    (before(kernel.settings.use_daily_for), month_of(before(kernel.settings.use_monthly_for)))
}

/// Adds days that are older than they are kept to their months, and drops months and names that are; returns how many
/// notes went.
///
/// # Errors
/// The store can't be read or written.
pub async fn fold_tallies(kernel: &Kernel) -> Result<usize, OpError> {
    let reading = kernel.reading();
    // By a clock that stepped ahead everything is old.
    if !reading.reliable {
        return Ok(0);
    }
    let logged = kernel.store.head().await?.last_at;
    let today = day_of(reading.now.min(logged.plus(DAY)));
    let (days, months) = kept(kernel, today);
    let mut gone = 0;
    let mut after = None;
    loop {
        tokio::task::yield_now().await;
        let page = kernel.store.use_notes().notes_behind(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(gone) };
        let (last, first) = (last.key, page.first().map(|note| note.key.part));
        // A month takes one day of an identity at once.
        let page: Vec<&UseNote> = page.iter().filter(|note| Some(note.key.part) == first).collect();
        after = page.last().map(|note| note.key).or(Some(last));
        gone += match first {
            Some(UsePart::Names) => {
                drop_old(kernel, &page, |names| {
                    UseNames::unpack(names).is_some_and(|names| month_of(names.last) < months)
                })
                .await?
            }
            Some(UsePart::Contexts) => {
                let is_over =
                    |known: &[u8]| Baseline::unpack(known).is_some_and(|known| month_of(known.last_day()) < months);
                drop_old(kernel, &page, is_over).await?
            }
            Some(UsePart::Month(month)) if month < months => drop_old(kernel, &page, |_| true).await?,
            Some(UsePart::Day(day)) if day < days => fold_day(kernel, &page, day).await?,
            Some(UsePart::Day(_)) => return Ok(gone),
            _ => 0,
        };
    }
}

/// Drops notes that are over; a forged one counts for nothing, and is left to the verification of the state.
async fn drop_old(kernel: &Kernel, page: &[&UseNote], is_over: impl Fn(&[u8]) -> bool) -> Result<usize, OpError> {
    let over = page.iter().filter(|note| note.body.as_deref().is_some_and(&is_over));
    let changes: Vec<UseChange> =
        over.map(|note| UseChange { key: note.key, before: note.body.clone(), after: None }).collect();
    let gone = kernel.store.use_notes().change_notes(&changes).await?;
    Ok(gone.into_iter().filter(|gone| *gone).count())
}

/// Adds a day of several identities to its month. The day goes in the transaction in which the month grows.
async fn fold_day(kernel: &Kernel, page: &[&UseNote], day: u16) -> Result<usize, OpError> {
    let month = UsePart::month_of(day);
    let notes = kernel.store.use_notes();
    // Both as of one moment: whoever folded the day meanwhile has changed both.
    let keys: Vec<UseKey> = page.iter().flat_map(|note| [note.key, key(month, note.key.identity)]).collect();
    let stand = notes.read_notes(&keys).await?;
    let mut changes = Vec::with_capacity(keys.len());
    for (keys, stands) in keys.chunks(2).zip(stand.chunks(2)) {
        let ([of_day, of_month], [Some(counted), sum]) = (keys, stands) else { continue };
        let mut counts = sum.as_deref().and_then(UseCounts::unpack).unwrap_or_default();
        counts.merge(&UseCounts::unpack(counted).unwrap_or_default());
        let after = Some(counts.pack(MAX_MONTH_BYTES));
        changes.push(UseChange { key: *of_day, before: Some(counted.clone()), after: None });
        changes.push(UseChange { key: *of_month, before: sum.clone(), after });
    }
    let changed = notes.change_notes(&changes).await?;
    Ok(changed.chunks(2).filter(|pair| pair.first() == Some(&true)).count())
}
