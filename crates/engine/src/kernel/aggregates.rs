//! Refusals of strangers, counted in memory until they are written as one.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tenure_core::base::time::{Span, Timestamp};

/// What stands for every source that has no line of its own.
pub(crate) const OTHERS: &str = "others";
/// Lines of one minute; the rest share one line for each reason.
pub(crate) const MAX_KEYS: usize = 1_000;
/// Lines of one hour that name their source: whoever has a thousand addresses in every minute fills no disk with them
/// (S-16).
pub(crate) const MAX_NAMED: usize = 3_000;
/// Lines in memory, however long they can't be written: beyond, minutes share their lines too.
pub(crate) const MAX_HELD: usize = 2_000;
pub(crate) const HOUR: Span = Span::from_mins(60);
pub(crate) const WINDOW: Span = Span::from_mins(1);

/// Refusals of the running minute that have no event of their own.
#[derive(Debug, Default)]
pub(crate) struct Aggregates(Mutex<Counts>);

impl Aggregates {
    pub(crate) fn count(&self, now: Timestamp, code: &str, source: &str) {
        let mut counts = self.0.lock();
        let hour = floor(now, HOUR);
        if counts.hour != hour {
            (counts.hour, counts.named) = (hour, 0);
        }
        let mut key = (window(now), code.to_owned(), source.to_owned());
        if !counts.by.contains_key(&key) {
            if counts.by.len() < MAX_KEYS && counts.named < MAX_NAMED {
                counts.named += 1;
            } else {
                OTHERS.clone_into(&mut key.2);
                if counts.by.len() >= MAX_HELD
                    && let Some((minute, ..)) =
                        counts.by.keys().find(|(_, held, source)| held == code && source == OTHERS)
                {
                    key.0 = *minute;
                }
            }
        }
        *counts.by.entry(key).or_default() += 1;
    }

    pub(crate) fn take_before(&self, window: Timestamp) -> Vec<Counted> {
        let mut counts = self.0.lock();
        let done: Vec<_> = counts.by.keys().filter(|(start, _, _)| *start < window).cloned().collect();
        done.into_iter().filter_map(|key| counts.by.remove(&key).map(|count| (key, count))).collect()
    }

    pub(crate) fn put_back(&self, taken: Vec<Counted>) {
        let mut counts = self.0.lock();
        for (key, count) in taken {
            *counts.by.entry(key).or_default() += count;
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) by: BTreeMap<(Timestamp, String, String), u64>,
    /// The hour that `named` is about.
    pub(crate) hour: Timestamp,
    pub(crate) named: usize,
}

/// How often, by the start of its minute, code and source.
pub(crate) type Counted = ((Timestamp, String, String), u64);

pub(crate) fn window(now: Timestamp) -> Timestamp {
    floor(now, WINDOW)
}

/// The beginning of the window after the one that begins then.
pub(crate) fn next_window(start: Timestamp) -> Timestamp {
    start.plus(WINDOW)
}

pub(crate) fn floor(now: Timestamp, width: Span) -> Timestamp {
    let width = width.as_micros();
    Timestamp::from_micros(now.as_micros().div_euclid(width) * width)
}
