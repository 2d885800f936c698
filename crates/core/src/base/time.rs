//! Instants and spans. The domain never reads a clock (invariant 10): the edge implements [`Clock`].

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An instant in microseconds since 1970-01-01T00:00:00Z; RFC 3339 on the wire and in records, an integer in indexes.
/// It is always within [`Timestamp::MIN`] and [`Timestamp::MAX`], so that whatever is written can be read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 0000-01-01T00:00:00Z, the earliest instant that RFC 3339 writes.
    pub const MIN: Self = Self(-62_167_219_200_000_000);
    /// 9999-12-30T22:00:00Z, the latest instant that every offset of RFC 3339 writes with four digits of a year.
    pub const MAX: Self = Self(253_402_207_200_000_000);

    /// The instant this many microseconds after the epoch, or the nearest one that can be written.
    pub const fn from_micros(micros: i64) -> Self {
        if micros < Self::MIN.0 {
            Self::MIN
        } else if micros > Self::MAX.0 {
            Self::MAX
        } else {
            Self(micros)
        }
    }
    /// The instant this many seconds after the epoch (a JWT's NumericDate), or the nearest one that can be written.
    pub const fn from_secs(secs: i64) -> Self {
        Self::from_micros(secs.saturating_mul(1_000_000))
    }
    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }
    /// Whole seconds since the epoch, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
    /// The instant `span` later, at most [`Timestamp::MAX`]: for deadlines, which nobody waits for that long. What
    /// somebody gave is added to with [`Timestamp::checked_plus`].
    pub const fn plus(self, span: Span) -> Self {
        Self::from_micros(self.0.saturating_add(span.as_micros()))
    }
    /// The instant `span` later, if it can be written.
    pub fn checked_plus(self, span: Span) -> Option<Self> {
        let later = self.0.checked_add(span.as_micros())?;
        (later <= Self::MAX.0).then_some(Self(later))
    }
    /// The instant `span` earlier, at least [`Timestamp::MIN`].
    pub const fn minus(self, span: Span) -> Self {
        Self::from_micros(self.0.saturating_sub(span.as_micros()))
    }
    /// The time from `earlier` to this instant; zero if it is not earlier.
    pub const fn since(self, earlier: Self) -> Span {
        Span::from_micros(self.0.saturating_sub(earlier.0))
    }
    /// The year, in UTC.
    pub fn year(self) -> i16 {
        self.civil().year()
    }

    fn civil(self) -> jiff::civil::DateTime {
        // Within the bounds the conversion has a result.
        let at = jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::MAX);
        jiff::tz::Offset::UTC.to_datetime(at)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Z", self.civil())
    }
}

impl FromStr for Timestamp {
    type Err = BadTime;

    fn from_str(text: &str) -> Result<Self, BadTime> {
        let micros = match text.parse::<jiff::Timestamp>() {
            Ok(at) => at.as_microsecond(),
            Err(_) if is_time(text) => return Err(OUT_OF_RANGE),
            Err(_) => return Err(BadTime("an RFC 3339 time such as 2027-03-31T12:00:00Z")),
        };
        if (Self::MIN.0..=Self::MAX.0).contains(&micros) { Ok(Self(micros)) } else { Err(OUT_OF_RANGE) }
    }
}

const OUT_OF_RANGE: BadTime =
    BadTime("a time from 0000-01-01T00:00:00Z to 9999-12-30T22:00:00Z; what has no end is left out");

/// Whether a text is a time with its offset, be it one that no instant stands for.
fn is_time(text: &str) -> bool {
    let pieces = jiff::fmt::temporal::DateTimeParser::new().parse_pieces(text);
    pieces.is_ok_and(|pieces| pieces.time().is_some() && pieces.offset().is_some())
}

/// Why a text is no time or span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct BadTime(&'static str);

impl BadTime {
    /// Whether it is a time, only none that can be kept.
    pub fn is_out_of_range(&self) -> bool {
        *self == OUT_OF_RANGE
    }
}

/// A length of time, never negative, in microseconds; written like `90d`, `15m`, `1h30m` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(i64);

const UNITS: [(char, i64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Span {
    /// Longer than anything.
    pub const MAX: Self = Self(i64::MAX);

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
        if digits.is_empty() && secs <= 36_500 * 86_400 { Ok(Self::from_secs(secs)) } else { Err(bad) }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().or_else(|error| unwritable(&text).ok_or_else(|| de::Error::custom(error)))
    }
}

/// A time beyond the bounds as v0.1.0 wrote it into records, in microseconds: `253402214400000000us`. It reads as the
/// bound.
fn unwritable(text: &str) -> Option<Timestamp> {
    let micros: i64 = text.strip_suffix("us")?.parse().ok()?;
    let at = Timestamp::from_micros(micros);
    (at.as_micros() != micros).then_some(at)
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time", "description": "A time in UTC (RFC 3339)."})
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^([0-9]+[dhms])+$",
            "maxLength": 24,
            "description": "A length of time such as 90d, 12h, 15m, 30s or 1h30m; at most a hundred years.",
        })
    }
}

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
        Self { wall: clock.now(), monotonic: clock.monotonic(), tolerance }
    }

    /// Reads the clock, given the latest committed time known.
    pub fn check(&self, clock: &dyn Clock, last_committed: Timestamp) -> Reading {
        let wall = clock.now();
        let expected = self.wall.plus(clock.monotonic().as_span_since(self.monotonic));
        let stepped = wall.as_micros().abs_diff(expected.as_micros()) > self.tolerance.as_micros().unsigned_abs();
        let behind = last_committed.since(wall) > self.tolerance;
        // A stepped clock is not decided with: a time far ahead, once committed, could never be taken back.
        let trusted = if stepped { expected } else { wall };
        Reading { now: trusted.max(last_committed), reliable: !stepped && !behind }
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

    #[test]
    fn d09_every_instant_is_written_so_that_it_is_read_back() {
        let written = |at: Timestamp| serde_json::from_str::<Timestamp>(&serde_json::to_string(&at).unwrap()).unwrap();
        let century = Span::from_days(36_500);
        for micros in
            [i64::MIN, -62_167_219_200_000_001, -1, 0, 1, 253_402_207_200_000_000, 253_402_214_400_000_000, i64::MAX]
        {
            let at = Timestamp::from_micros(micros);
            for at in [at, at.plus(century), at.minus(century), Timestamp::from_secs(micros)] {
                assert_eq!(written(at), at, "{micros}");
            }
        }
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-30T22:00:00Z");
        assert_eq!(Timestamp::MIN.to_string(), "0000-01-01T00:00:00Z");
        assert_eq!(Timestamp::MAX.checked_plus(Span::from_secs(1)), None);
        assert_eq!(Timestamp::from_secs(1).checked_plus(Span::from_secs(1)), Some(Timestamp::from_secs(2)));
    }

    #[test]
    fn d09_what_is_beyond_the_bounds_is_told_apart_from_what_is_no_time() {
        for beyond in [
            "9999-12-31T00:00:00Z",
            "9999-12-30T22:00:00.000001Z",
            "9999-12-31T23:59:59+02:00",
            "-000001-01-01T00:00:00Z",
        ] {
            assert!(beyond.parse::<Timestamp>().unwrap_err().is_out_of_range(), "{beyond}");
        }
        for bad in ["9999-12-31", "9999-13-31T00:00:00Z", "253402214400000000us", "soon", ""] {
            assert!(!bad.parse::<Timestamp>().unwrap_err().is_out_of_range(), "{bad}");
        }
    }

    #[test]
    fn d09_a_record_of_an_earlier_release_reads_as_the_bound() {
        let read = |text: &str| serde_json::from_str::<Timestamp>(&format!("\"{text}\""));
        assert_eq!(read("253402214400000000us").unwrap(), Timestamp::MAX);
        assert_eq!(read("-9223372036854775808us").unwrap(), Timestamp::MIN);
        assert!(read("1000000us").is_err(), "no second form of what can be written");
    }
}
