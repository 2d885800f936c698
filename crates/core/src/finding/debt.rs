//! Debt: what is allowed for a while and has to be paid off, and how it went day by day (R105, R112).

use serde::{Deserialize, Serialize};

use crate::base::time::Timestamp;
use crate::store::row::{Record, RowKind};

/// Days of the trend that are kept: somewhat more than a year.
pub const DAYS: usize = 400;
const DAY_SECS: i64 = 24 * 60 * 60;

/// What was owed on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DebtDay {
    /// When it was counted.
    pub at: Timestamp,
    /// Identities, active or suspended, that several consumers share.
    pub shared_identities: u64,
    /// Exceptions in force.
    pub exceptions: u64,
    /// Those among them that renew an earlier one.
    pub renewed_exceptions: u64,
    /// Those among them of which a compensating control is not in place.
    pub breached_exceptions: u64,
    /// Identities that were found and are nobody's.
    pub unowned: u64,
    /// Open findings.
    pub findings: u64,
}

impl DebtDay {
    fn day(&self) -> i64 {
        self.at.as_secs().div_euclid(DAY_SECS)
    }
}

/// How what is owed went, day by day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DebtTrend {
    /// The days, the oldest first; at most 400.
    pub days: Vec<DebtDay>,
}

impl DebtTrend {
    /// The id of the one row.
    pub const ID: &str = "trend";

    /// With another count: one of a day takes the place of an earlier one of the same day.
    #[must_use]
    pub fn with(mut self, counted: DebtDay) -> Self {
        if self.days.last().is_some_and(|last| last.day() >= counted.day()) {
            self.days.pop();
        }
        self.days.push(counted);
        let past = self.days.len().saturating_sub(DAYS);
        self.days.drain(..past);
        self
    }
}

impl Record for DebtTrend {
    const KIND: RowKind = RowKind::DebtTrend;
    fn row_id(&self) -> String {
        Self::ID.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_counted_once_and_a_year_is_kept() {
        let counted = |hour: i64, exceptions| DebtDay {
            at: Timestamp::from_secs(hour * 3_600),
            shared_identities: 0,
            exceptions,
            renewed_exceptions: 0,
            breached_exceptions: 0,
            unowned: 0,
            findings: 0,
        };
        let trend = DebtTrend::default().with(counted(1, 1)).with(counted(20, 2)).with(counted(30, 3));
        assert_eq!(trend.days.iter().map(|day| day.exceptions).collect::<Vec<_>>(), [2, 3]);
        let long = (0..1_000).fold(DebtTrend::default(), |trend, day| trend.with(counted(day * 24, 1)));
        assert_eq!((long.days.len(), long.days[0].at), (DAYS, Timestamp::from_secs(600 * DAY_SECS)));
    }
}
