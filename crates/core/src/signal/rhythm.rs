//! The rhythm of a source: for how long it says nothing, learnt from the longest silence of each of its days.
//!
//! What is silent for longer than twice the longest of these is found. The bounds are fixed: a source that talks all the
//! time may rest for an hour, and none for more than two weeks. In its first two weeks nothing is known of its nights and
//! week-ends yet, so the longest silence is allowed. A silence that was found counts as no longer than what was allowed
//! before: whoever keeps a source silent teaches it no more than that.

use serde::{Deserialize, Serialize};

use crate::base::id::SourceId;
use crate::base::time::{Span, Timestamp};
use crate::store::row::{Record, RowKind};

/// How often it is noted that a source was heard.
pub const NOTED_EVERY: Span = Span::from_mins(10);
/// For how long any source may be silent.
pub const SHORTEST: Span = Span::from_mins(60);
/// For how long no source may be silent.
pub const LONGEST: Span = Span::from_days(14);
/// How long it takes to know a source.
const LEARNT_AFTER: Span = Span::from_days(14);
/// Days that are remembered.
const DAYS: usize = 28;
const DAY_SECS: i64 = 24 * 60 * 60;

/// The longest silence that ended on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Silence {
    /// The day, counted from 1970-01-01.
    pub day: i64,
    /// How long it was.
    pub longest: Span,
}

/// How a source speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rhythm {
    /// Which source.
    pub source: SourceId,
    /// When it was heard first.
    pub since: Timestamp,
    /// When it was heard last, as it was noted: up to ten minutes before it was.
    pub heard_at: Timestamp,
    /// The longest silence of each of its last days, at most 28.
    pub silences: Vec<Silence>,
    /// Since when it is found to be silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_since: Option<Timestamp>,
}

impl Rhythm {
    /// Of a source that is heard for the first time.
    pub const fn begun(source: SourceId, now: Timestamp) -> Self {
        Self { source, since: now, heard_at: now, silences: Vec::new(), silent_since: None }
    }

    /// Whether that it is heard is worth a note.
    pub fn is_news(&self, now: Timestamp) -> bool {
        self.silent_since.is_some() || now.since(self.heard_at) >= NOTED_EVERY
    }

    /// It is heard.
    #[must_use]
    pub fn heard(mut self, now: Timestamp) -> Self {
        if now <= self.heard_at {
            return self;
        }
        let silence = now.since(self.heard_at).min(self.may_be_silent());
        let day = now.as_secs().div_euclid(DAY_SECS);
        match self.silences.last_mut() {
            Some(last) if last.day == day => last.longest = last.longest.max(silence),
            _ => self.silences.push(Silence { day, longest: silence }),
        }
        let past = self.silences.len().saturating_sub(DAYS);
        self.silences.drain(..past);
        Self { heard_at: now, silent_since: None, ..self }
    }

    /// It is found to be silent.
    #[must_use]
    pub fn silent(self, now: Timestamp) -> Self {
        Self { silent_since: Some(self.silent_since.unwrap_or(now)), ..self }
    }

    /// For how long it may be silent.
    pub fn may_be_silent(&self) -> Span {
        if self.heard_at.since(self.since) < LEARNT_AFTER {
            return LONGEST;
        }
        let longest = self.silences.iter().map(|silence| silence.longest).max().unwrap_or(LONGEST);
        Span::from_micros(longest.as_micros().saturating_mul(2)).clamp(SHORTEST, LONGEST)
    }

    /// When it has been silent for too long, if it isn't heard until then.
    pub fn silent_at(&self) -> Timestamp {
        self.heard_at.plus(self.may_be_silent()).plus(NOTED_EVERY)
    }
}

impl Record for Rhythm {
    const KIND: RowKind = RowKind::Rhythm;
    fn row_id(&self) -> String {
        self.source.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_secs(minutes * 60)
    }

    const HOUR: i64 = 60;
    const DAY: i64 = 24 * HOUR;

    /// Hears a source every so many minutes in its hours, on its days of the week, for so many days from the first.
    fn heard(every: i64, hours: std::ops::Range<i64>, days: std::ops::Range<i64>, work_week: bool) -> Rhythm {
        let mut rhythm = Rhythm::begun(SourceId::from_u128(1), at(hours.start * HOUR));
        for day in days {
            if work_week && day % 7 >= 5 {
                continue;
            }
            let mut minute = hours.start * HOUR;
            while minute < hours.end * HOUR {
                rhythm = rhythm.heard(at(day * DAY + minute));
                minute += every;
            }
        }
        rhythm
    }

    #[test]
    fn what_is_not_known_yet_may_be_silent_for_as_long_as_any() {
        assert_eq!(heard(15, 0..24, 0..13, false).may_be_silent(), LONGEST);
        assert_eq!(heard(15, 0..24, 0..15, false).may_be_silent(), SHORTEST);
    }

    #[test]
    fn nights_and_week_ends_belong_to_the_rhythm() {
        let nights = heard(30, 8..18, 0..21, false);
        assert_eq!(nights.may_be_silent(), Span::from_mins(2 * (14 * 60 + 30)));
        // Friday evening to Monday morning, twice.
        let weeks = heard(30, 8..18, 0..26, true);
        assert_eq!(weeks.may_be_silent(), Span::from_mins(2 * (62 * 60 + 30)));
        assert_eq!(weeks.silent_at(), weeks.heard_at.plus(weeks.may_be_silent()).plus(NOTED_EVERY));
    }

    #[test]
    fn a_silence_that_was_found_teaches_no_more_than_was_allowed() {
        let rhythm = heard(15, 0..24, 0..20, false);
        let (allowed, last) = (rhythm.may_be_silent(), rhythm.heard_at);
        let rhythm = rhythm.silent(last.plus(allowed));
        assert!(rhythm.is_news(last.plus(allowed)));
        let back = rhythm.heard(last.plus(Span::from_days(9)));
        assert_eq!((back.may_be_silent(), back.silent_since), (Span::from_micros(allowed.as_micros() * 2), None));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_a_clock_that_stepped_back_changes_nothing() {
        let rhythm = heard(15, 0..24, 0..60, false);
        assert_eq!(rhythm.silences.len(), DAYS);
        assert_eq!(rhythm.clone().heard(at(0)), rhythm);
        assert!(!rhythm.is_news(rhythm.heard_at.plus(Span::from_mins(9))));
    }
}
