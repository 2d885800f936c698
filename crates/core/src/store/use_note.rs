//! Notes of use: what is kept of how an identity is used. Small parts beside the log, written behind the decision as last
//! uses are: a crash may lose what wasn't written yet, and each stands under a MAC of its own (S-2).
//!
//! A store only keeps bytes under keys. What they say is in [`crate::identity::tally`] and
//! [`crate::identity::context`], so that the engines can't count differently.

use crate::base::id::IdentityId;
use crate::base::time::Timestamp;

/// What of an identity's use a note is about. Their order is that of their codes, by which stores keep them: what is
/// older of a sort comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UsePart {
    /// What its counts are about: resources and actions by number.
    Names,
    /// The contexts that it is known in.
    Contexts,
    /// How often it was used in a month, counted from January 1970.
    Month(u16),
    /// How often it was used on a day, counted from 1 January 1970 (UTC).
    Day(u16),
}

const MONTHS: i32 = 0x1_0000;
const DAYS: i32 = 0x2_0000;

impl UsePart {
    /// The day of a time.
    pub fn day_of(at: Timestamp) -> Self {
        Self::Day(u16::try_from(at.as_secs().div_euclid(86_400)).unwrap_or_default())
    }

    /// The month that a day is in.
    pub fn month_of(day: u16) -> Self {
        let (year, month) = month_of_day(day);
        Self::Month(u16::try_from((year - 1970) * 12 + month - 1).unwrap_or_default())
    }

    /// The number that stores keep it by.
    pub const fn code(self) -> i32 {
        match self {
            Self::Names => 0,
            Self::Contexts => 1,
            Self::Month(month) => MONTHS + month as i32,
            Self::Day(day) => DAYS + day as i32,
        }
    }

    /// The part of a number; `None` for numbers that no part has.
    pub fn from_code(code: i32) -> Option<Self> {
        let within = |base: i32| u16::try_from(code - base).ok();
        match code {
            0 => Some(Self::Names),
            1 => Some(Self::Contexts),
            DAYS.. => within(DAYS).map(Self::Day),
            MONTHS.. => within(MONTHS).map(Self::Month),
            _ => None,
        }
    }
}

/// Year and month of a day since 1970, in the proleptic Gregorian calendar.
fn month_of_day(day: u16) -> (i32, i32) {
    // Years are taken to begin in March, so that the day that is sometimes there comes last (H. Hinnant, "chrono-
    // compatible low-level date algorithms", civil_from_days).
    let shifted = i32::from(day) + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i32::from(month <= 2), month)
}

/// Which note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UseKey {
    /// What it is about.
    pub part: UsePart,
    /// Whose use.
    pub identity: IdentityId,
}

/// A change of a note, which is made if it still says what it was decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseChange {
    /// Which note.
    pub key: UseKey,
    /// What it said; `None` if there was none.
    pub before: Option<Vec<u8>>,
    /// What it says from now on; `None` drops it.
    pub after: Option<Vec<u8>>,
}

/// A note as it stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseNote {
    /// Which note.
    pub key: UseKey,
    /// What it says; `None` if nobody with the key wrote it.
    pub body: Option<Vec<u8>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_their_order_by_their_codes() {
        let parts = [
            UsePart::Names,
            UsePart::Contexts,
            UsePart::Month(0),
            UsePart::Month(u16::MAX),
            UsePart::Day(0),
            UsePart::Day(u16::MAX),
        ];
        for pair in parts.windows(2) {
            assert!(pair[0] < pair[1] && pair[0].code() < pair[1].code(), "{pair:?}");
        }
        for part in parts {
            assert_eq!(UsePart::from_code(part.code()), Some(part));
        }
        for code in [i32::MIN, -1, 2, MONTHS - 1, DAYS + 0x1_0000, i32::MAX] {
            assert_eq!(UsePart::from_code(code), None, "{code}");
        }
    }

    #[test]
    fn days_are_in_their_months() {
        for (at, month) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-12-31T23:59:59Z", 11),
            ("2000-02-29T12:00:00Z", 361),
            ("2000-03-01T00:00:00Z", 362),
            ("2026-02-28T23:59:59Z", 673),
            ("2026-03-01T00:00:00Z", 674),
            ("2026-12-31T23:59:59Z", 683),
            ("2027-01-01T00:00:00Z", 684),
            ("2100-02-28T00:00:00Z", 1561),
            ("2100-03-01T00:00:00Z", 1562),
        ] {
            let Ok(at) = at.parse::<Timestamp>() else { panic!("{at}") };
            let UsePart::Day(day) = UsePart::day_of(at) else { panic!("no day") };
            assert_eq!(UsePart::month_of(day), UsePart::Month(month), "{at}");
        }
    }
}
