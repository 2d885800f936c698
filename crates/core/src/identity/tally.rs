//! How often an identity was allowed what, and how often it was refused that: by the day, and by the month of what is
//! older (R88, R101).
//!
//! Counts name resources and actions by number, which [`UseNames`] of the same identity gives once and for all: a day of
//! an identity takes some three bytes for each thing that it does. Everything is bounded. What a bound leaves no room for
//! is counted as [`OTHERS`], so that sums stay right, and whoever reads them is told that they aren't told apart.

use std::collections::BTreeMap;

use crate::base::id::ResourceId;
use crate::base::varint::{put_varint, take, varint};

/// The number of what isn't told apart.
pub const OTHERS: u16 = 0;
/// The action of a use of which only the resource is known: a token was shown there, and nothing was asked about it.
pub const UNNAMED: &str = "";
/// Things that one identity's uses are told apart by.
pub const MAX_NAMES: usize = 255;
/// Of those, at most this many may have been named by refused uses: whoever tries names leaves room for what is used.
pub const MAX_REFUSED_NAMES: usize = 64;
/// Bytes that a name of an action is cut to.
pub const MAX_ACTION: usize = 64;
/// Bytes of a day's counts: with what a store needs beside them at most 200 (see the tests of the stores).
pub const MAX_DAY_BYTES: usize = 64;
/// Bytes of a month's counts.
pub const MAX_MONTH_BYTES: usize = 400;
/// The form of these bytes.
const FORM: u8 = 1;

/// What the counts of an identity are about. A number that was given is never given again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UseNames {
    /// The first day that was counted.
    pub since: u16,
    /// The last day that was counted: whoever drops names that nothing counts any more finds out if somebody counts.
    pub last: u16,
    /// Whether something that was allowed found no room.
    pub overflowed: bool,
    names: Vec<(ResourceId, String)>,
}

impl UseNames {
    /// None yet.
    pub fn since(day: u16) -> Self {
        Self { since: day, last: day, ..Self::default() }
    }

    /// The number of an action on a resource: a new one if there is room, or [`OTHERS`].
    pub fn number(&mut self, resource: ResourceId, action: &str, allowed: bool) -> u16 {
        let action = clipped(action);
        if let Some(known) = self.find(resource, action) {
            return known;
        }
        if self.names.len() >= if allowed { MAX_NAMES } else { MAX_REFUSED_NAMES } {
            self.overflowed |= allowed;
            return OTHERS;
        }
        self.names.push((resource, action.to_owned()));
        u16::try_from(self.names.len()).unwrap_or(OTHERS)
    }

    /// The number that an action on a resource has, if it has one.
    pub fn find(&self, resource: ResourceId, action: &str) -> Option<u16> {
        let place = self.names.iter().position(|(of, name)| *of == resource && name == action)?;
        u16::try_from(place + 1).ok()
    }

    /// The resource and the action of each number, from 1 on.
    pub fn each(&self) -> impl Iterator<Item = (u16, ResourceId, &str)> {
        (1..).zip(&self.names).map(|(number, (resource, action))| (number, *resource, action.as_str()))
    }

    /// As bytes.
    pub fn pack(&self) -> Vec<u8> {
        let mut bytes = vec![FORM, u8::from(self.overflowed)];
        bytes.extend(self.since.to_be_bytes());
        bytes.extend(self.last.to_be_bytes());
        for (resource, action) in &self.names {
            bytes.extend(resource.as_u128().to_be_bytes());
            put_varint(&mut bytes, action.len() as u64);
            bytes.extend(action.as_bytes());
        }
        bytes
    }

    /// From bytes; `None` if these say something else.
    pub fn unpack(mut rest: &[u8]) -> Option<Self> {
        let [FORM, overflowed] = take(&mut rest)? else { return None };
        let (since, last) = (u16::from_be_bytes(take(&mut rest)?), u16::from_be_bytes(take(&mut rest)?));
        let mut names = Self { since, last, overflowed: overflowed == 1, names: Vec::new() };
        while !rest.is_empty() {
            let resource = ResourceId::from_u128(u128::from_be_bytes(take(&mut rest)?));
            let length = usize::try_from(varint(&mut rest)?).ok()?;
            let (action, behind) = rest.split_at_checked(length)?;
            rest = behind;
            names.names.push((resource, String::from_utf8(action.to_vec()).ok()?));
        }
        Some(names)
    }
}

/// An action's name as far as it is kept.
pub fn clipped(action: &str) -> &str {
    let mut end = action.len().min(MAX_ACTION);
    while !action.is_char_boundary(end) {
        end -= 1;
    }
    action.get(..end).unwrap_or_default()
}

/// How often one thing was allowed and refused. Counts stay at their largest number, and never begin anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UseCount {
    /// Decisions that allowed it.
    pub allowed: u32,
    /// Decisions that refused it.
    pub refused: u32,
}

impl UseCount {
    /// With another count.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            allowed: self.allowed.saturating_add(other.allowed),
            refused: self.refused.saturating_add(other.refused),
        }
    }
}

/// The counts of a day or a month, by number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UseCounts(BTreeMap<u16, UseCount>);

impl UseCounts {
    /// Counts something.
    pub fn add(&mut self, number: u16, count: UseCount) {
        let known = self.0.entry(number).or_default();
        *known = known.plus(count);
    }

    /// Adds all that others count.
    pub fn merge(&mut self, others: &Self) {
        for (number, count) in &others.0 {
            self.add(*number, *count);
        }
    }

    /// What a number counts.
    pub fn of(&self, number: u16) -> UseCount {
        self.0.get(&number).copied().unwrap_or_default()
    }

    /// Each number with its count.
    pub fn each(&self) -> impl Iterator<Item = (u16, UseCount)> {
        self.0.iter().map(|(number, count)| (*number, *count))
    }

    /// As bytes, at most so many: what was counted least goes to the others until they fit.
    pub fn pack(&self, most: usize) -> Vec<u8> {
        let mut counts = self.clone();
        loop {
            let bytes = counts.bytes();
            if bytes.len() <= most {
                return bytes;
            }
            let least = counts.0.iter().filter(|(number, _)| **number != OTHERS);
            let sum = |count: &UseCount| u64::from(count.allowed) + u64::from(count.refused);
            let Some(number) = least.min_by_key(|(_, count)| sum(count)).map(|(number, _)| *number) else {
                return bytes;
            };
            let count = counts.0.remove(&number).unwrap_or_default();
            counts.add(OTHERS, count);
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORM];
        for (number, count) in &self.0 {
            put_varint(&mut bytes, u64::from(*number));
            put_varint(&mut bytes, u64::from(count.allowed) << 1 | u64::from(count.refused > 0));
            if count.refused > 0 {
                put_varint(&mut bytes, u64::from(count.refused));
            }
        }
        bytes
    }

    /// From bytes; `None` if these say something else.
    pub fn unpack(mut rest: &[u8]) -> Option<Self> {
        let [FORM] = take(&mut rest)? else { return None };
        let mut counts = Self::default();
        while !rest.is_empty() {
            let number = u16::try_from(varint(&mut rest)?).ok()?;
            let first = varint(&mut rest)?;
            let allowed = u32::try_from(first >> 1).ok()?;
            let refused = if first & 1 == 1 { u32::try_from(varint(&mut rest)?).ok()? } else { 0 };
            counts.add(number, UseCount { allowed, refused });
        }
        Some(counts)
    }
}

/// All that is kept of how often an identity was used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UseLedger {
    /// What the counts are about.
    pub names: UseNames,
    /// Counts by day.
    pub days: BTreeMap<u16, UseCounts>,
    /// Counts by month, of days that were folded.
    pub months: BTreeMap<u16, UseCounts>,
}

impl UseLedger {
    /// What was counted from a day on.
    pub fn from_day(&self, day: u16) -> UseCounts {
        let mut sum = UseCounts::default();
        self.days.range(day..).for_each(|(_, counts)| sum.merge(counts));
        sum
    }

    /// All that is counted.
    pub fn whole(&self) -> UseCounts {
        let mut sum = self.from_day(0);
        self.months.values().for_each(|counts| sum.merge(counts));
        sum
    }

    /// Counts something on a day.
    pub fn add(&mut self, day: u16, resource: ResourceId, action: &str, count: UseCount) {
        let number = self.names.number(resource, action, count.allowed > 0);
        self.days.entry(day).or_default().add(number, count);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn resource(n: u128) -> ResourceId {
        ResourceId::from_u128(n)
    }

    const fn allowed(allowed: u32) -> UseCount {
        UseCount { allowed, refused: 0 }
    }

    #[test]
    fn counts_stay_at_their_largest_number() {
        let mut counts = UseCounts::default();
        counts.add(1, UseCount { allowed: u32::MAX - 1, refused: u32::MAX });
        counts.add(1, UseCount { allowed: 7, refused: 1 });
        assert_eq!(counts.of(1), UseCount { allowed: u32::MAX, refused: u32::MAX });
        assert_eq!(UseCounts::unpack(&counts.pack(MAX_DAY_BYTES)), Some(counts));
    }

    #[test]
    fn what_does_not_fit_is_counted_with_the_others() {
        let mut counts = UseCounts::default();
        for number in 1..=200 {
            counts.add(number, allowed(u32::from(number)));
        }
        let bytes = counts.pack(MAX_DAY_BYTES);
        assert!(bytes.len() <= MAX_DAY_BYTES, "{}", bytes.len());
        let read = UseCounts::unpack(&bytes).unwrap();
        let sum = |counts: &UseCounts| counts.each().map(|(_, count)| u64::from(count.allowed)).sum::<u64>();
        assert_eq!(sum(&read), sum(&counts));
        assert_eq!(read.of(200), allowed(200), "the most used one keeps its count");
        assert_eq!(read.of(1), allowed(0), "the least used one doesn't");
        assert!(read.of(OTHERS).allowed > 0);
    }

    #[test]
    fn refused_names_leave_room_for_used_ones() {
        let mut names = UseNames::since(20_000);
        for n in 0..1_000 {
            names.number(resource(1), &format!("tried-{n}"), false);
        }
        assert_eq!(names.each().count(), MAX_REFUSED_NAMES);
        assert!(!names.overflowed);
        let used = names.number(resource(2), "read", true);
        assert_eq!(names.find(resource(2), "read"), Some(used));
        for n in 0..1_000 {
            names.number(resource(3), &format!("used-{n}"), true);
        }
        assert_eq!(names.each().count(), MAX_NAMES);
        assert!(names.overflowed, "and it is told that some aren't told apart");
        assert_eq!(UseNames::unpack(&names.pack()), Some(names));
    }

    #[test]
    fn long_actions_are_cut_between_characters() {
        let long = "é".repeat(60);
        assert_eq!(clipped(&long).len(), MAX_ACTION);
        let mut names = UseNames::default();
        let number = names.number(resource(1), &long, true);
        assert_eq!(names.number(resource(1), &long, true), number);
    }

    #[test]
    fn other_bytes_are_no_counts() {
        for bytes in [&[][..], &[2], &[FORM, 0x80], &[FORM, 1], &[FORM, 1, 3], &[FORM, 0xff, 0xff, 0xff, 0xff, 1, 2]] {
            assert_eq!(UseCounts::unpack(bytes), None, "{bytes:?}");
        }
        for bytes in [&[][..], &[FORM, 0, 0], &[2, 0, 0, 0, 0, 0], &[FORM, 0, 0, 0, 0, 0, 1]] {
            assert_eq!(UseNames::unpack(bytes), None, "{bytes:?}");
        }
    }

    fn counts() -> impl Strategy<Value = UseCounts> {
        let count = (any::<u32>(), any::<u32>()).prop_map(|(allowed, refused)| UseCount { allowed, refused });
        let small = (0..500_u32, 0..3_u32).prop_map(|(allowed, refused)| UseCount { allowed, refused });
        proptest::collection::btree_map(0..300_u16, prop_oneof![3 => small, 1 => count], 0..60).prop_map(UseCounts)
    }

    proptest! {
        #[test]
        fn counts_come_back_as_they_were(counts in counts()) {
            prop_assert_eq!(UseCounts::unpack(&counts.pack(usize::MAX)), Some(counts));
        }

        #[test]
        fn a_bound_is_kept_and_sums_stay_right(counts in counts(), most in 20..200_usize) {
            let bytes = counts.pack(most);
            prop_assert!(bytes.len() <= most);
            let read = UseCounts::unpack(&bytes).unwrap();
            let sum = |counts: &UseCounts| counts.each().fold(0_u32, |sum, (_, count)| sum.saturating_add(count.allowed));
            prop_assert_eq!(sum(&read), sum(&counts));
        }

        #[test]
        fn merging_is_adding(one in counts(), other in counts()) {
            let mut merged = one.clone();
            merged.merge(&other);
            let mut turned = other.clone();
            turned.merge(&one);
            prop_assert_eq!(&merged, &turned);
            for (number, count) in merged.each() {
                prop_assert_eq!(count, one.of(number).plus(other.of(number)));
            }
        }

        #[test]
        fn whatever_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = UseCounts::unpack(&bytes);
            let _ = UseNames::unpack(&bytes);
        }
    }
}
