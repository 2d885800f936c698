//! Instants and spans. The domain never reads a clock (invariant 10): the edge implements [`Clock`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An instant in microseconds since 1970-01-01T00:00:00Z; RFC 3339 on the wire, an integer in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant this many microseconds after the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }
    /// The instant this many seconds after the epoch (a JWT's NumericDate).
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }
    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }
    /// Whole seconds since the epoch, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
    /// The instant `span` later, saturating.
    pub const fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.as_micros()))
    }
    /// The instant `span` earlier, saturating.
    pub const fn minus(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.as_micros()))
    }
    /// The time from `earlier` to this instant; zero if it is not earlier.
    pub const fn since(self, earlier: Self) -> Span {
        Span::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(timestamp) => fmt::Display::fmt(&timestamp, f),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = BadTime;

    fn from_str(text: &str) -> Result<Self, BadTime> {
        text.parse::<jiff::Timestamp>()
            .map(|t| Self(t.as_microsecond()))
            .map_err(|_| BadTime("an RFC 3339 time such as 2027-03-31T12:00:00Z"))
    }
}

/// Why a text is no time or span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct BadTime(&'static str);

/// A length of time, never negative, in microseconds; written like `90d`, `15m`, `1h30m` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(i64);

const UNITS: [(char, i64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Span {
    /// This many microseconds; a negative number is zero.
    pub const fn from_micros(micros: i64) -> Self {
        Self(if micros < 0 { 0 } else { micros })
    }
    /// This many milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self::from_micros(millis.saturating_mul(1_000))
    }
    /// This many seconds.
    pub const fn from_secs(secs: i64) -> Self {
        Self::from_micros(secs.saturating_mul(1_000_000))
    }
    /// This many minutes.
    pub const fn from_mins(mins: i64) -> Self {
        Self::from_secs(mins.saturating_mul(60))
    }
    /// This many days of 24 hours.
    pub const fn from_days(days: i64) -> Self {
        Self::from_secs(days.saturating_mul(86_400))
    }
    /// Microseconds.
    pub const fn as_micros(self) -> i64 {
        self.0
    }
    /// Whole seconds, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0 / 1_000_000
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.as_secs();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, secs) in UNITS {
            if rest >= secs {
                write!(f, "{}{unit}", rest / secs)?;
                rest %= secs;
            }
        }
        Ok(())
    }
}

impl FromStr for Span {
    type Err = BadTime;

    fn from_str(text: &str) -> Result<Self, BadTime> {
        let bad = BadTime("a length of time such as 90d, 12h, 15m, 30s or 1h30m");
        let mut secs: i64 = 0;
        let mut digits = String::new();
        if text.is_empty() || text.len() > 24 {
            return Err(bad);
        }
        for c in text.chars() {
            if c.is_ascii_digit() {
                digits.push(c);
                continue;
            }
            let (_, unit) = UNITS.iter().find(|(name, _)| *name == c).ok_or(bad.clone())?;
            let count: i64 = digits.parse().map_err(|_| bad.clone())?;
            secs = count.checked_mul(*unit).and_then(|part| secs.checked_add(part)).ok_or(bad.clone())?;
            digits.clear();
        }
        // A hundred years bounds every later addition.
        if digits.is_empty() && secs <= 36_500 * 86_400 {
            Ok(Self::from_secs(secs))
        } else {
            Err(bad)
        }
    }
}

macro_rules! text_serde {
    ($type:ident) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}
text_serde!(Timestamp);
text_serde!(Span);

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// The wall clock's time.
    fn now(&self) -> Timestamp;
    /// Time since an arbitrary start, on a clock that never steps and runs through suspend.
    fn monotonic(&self) -> Span;
}

/// Notices a wall clock that stepped (S-4).
///
/// The wall clock is held against the monotonic one and against the last committed time. Inside the tolerance,
/// decision time is the later of the two; beyond it, [`ClockGuard::check`] says so, and the caller stops issuing and
/// stops irreversible deadlines, but never a revocation.
#[derive(Debug, Clone, Copy)]
pub struct ClockGuard {
    wall: Timestamp,
    monotonic: Span,
    tolerance: Span,
}

/// What the guard found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The time to decide with: never below the last committed time.
    pub now: Timestamp,
    /// Whether the wall clock may be relied on for what enables or can't be undone.
    pub reliable: bool,
}

impl ClockGuard {
    /// A guard that trusts the clock as it is now.
    pub fn new(clock: &dyn Clock, tolerance: Span) -> Self {
        Self {
            wall: clock.now(),
            monotonic: clock.monotonic(),
            tolerance,
        }
    }

    /// Reads the clock, given the latest committed time known.
    pub fn check(&self, clock: &dyn Clock, last_committed: Timestamp) -> Reading {
        let wall = clock.now();
        let expected = self.wall.plus(clock.monotonic().as_span_since(self.monotonic));
        let stepped = wall.as_micros().abs_diff(expected.as_micros()) > self.tolerance.as_micros().unsigned_abs();
        let behind = last_committed.since(wall) > self.tolerance;
        // A stepped clock is not decided with: a time far ahead, once committed, could never be taken back.
        let trusted = if stepped { expected } else { wall };
        Reading {
            now: trusted.max(last_committed),
            reliable: !stepped && !behind,
        }
    }
}

impl Span {
    const fn as_span_since(self, earlier: Self) -> Self {
        Self::from_micros(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_round_trip() {
        for text in ["90d", "15m", "1h30m", "30s", "1d1s", "0s"] {
            assert_eq!(text.parse::<Span>().map(|s| s.to_string()), Ok(text.to_owned()));
        }
        for bad in ["", "90", "d", "-1d", "1w", "9999999999999d", "36501d"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn times_round_trip() {
        let time: Timestamp = "2027-03-31T12:00:00.000001Z".parse().unwrap();
        assert_eq!(time.to_string(), "2027-03-31T12:00:00.000001Z");
        assert_eq!(time.since(Timestamp::from_micros(0)).as_secs(), time.as_secs());
    }
}
