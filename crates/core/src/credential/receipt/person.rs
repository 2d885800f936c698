//! What a person had when they were suspended or left, and what whoever decides about it then answered (R103).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::id::{OperatorTokenId, PersonGrantId, ResourceId, SessionId};
use crate::base::time::Timestamp;

/// What stands for a person at Tenure, or what they hold at a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "type", content = "id")]
pub enum PersonHeld {
    /// A session, of a browser or of the command line.
    Session(SessionId),
    /// An operator token.
    OperatorToken(OperatorTokenId),
    /// A grant of theirs.
    Grant(PersonGrantId),
}

impl fmt::Display for PersonHeld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(id) => id.fmt(f),
            Self::OperatorToken(id) => id.fmt(f),
            Self::Grant(id) => id.fmt(f),
        }
    }
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum PersonOutcome {
    /// It was good before, and is refused by what decides about it at each use.
    Refused {
        /// When.
        at: Timestamp,
        /// Why, by code.
        reason: String,
        /// One of somebody else's that was accepted in the same window: the positive control (S-18).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        control: Option<PersonHeld>,
    },
    /// A grant at a resource that decides by itself and asks nobody: what it lets them do isn't known here.
    DecidedElsewhere {
        /// When that was found.
        at: Timestamp,
    },
    /// It was accepted: retried.
    Unproven {
        /// The last attempt.
        at: Timestamp,
        /// What happened.
        why: String,
    },
}

/// One thing that a person had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonPoint {
    /// What.
    pub held: PersonHeld,
    /// The resource of a grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceId>,
    /// What became of it.
    pub outcome: PersonOutcome,
}

/// What a person had: all of it counted, the first of it named.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonPoints {
    /// The first [`MAX_PERSON_POINTS`]; what isn't refused goes before what is.
    pub first: Vec<PersonPoint>,
    /// How many there are.
    pub count: u32,
    /// Of these, those that were accepted.
    pub unproven: u32,
    /// Those about which others decide.
    pub decided_elsewhere: u32,
    /// Those that were refused, beside one of somebody else's that was accepted.
    pub refused_verified: u32,
    /// Those that were refused, with none to compare with.
    pub refused: u32,
}

/// What a receipt names of a person's.
pub const MAX_PERSON_POINTS: usize = 200;

impl PersonPoints {
    /// One more of them.
    pub fn add(&mut self, point: PersonPoint) {
        self.count = self.count.saturating_add(1);
        let is_refused = matches!(point.outcome, PersonOutcome::Refused { .. });
        let counted = match &point.outcome {
            PersonOutcome::Refused { control: Some(_), .. } => &mut self.refused_verified,
            PersonOutcome::Refused { control: None, .. } => &mut self.refused,
            PersonOutcome::DecidedElsewhere { .. } => &mut self.decided_elsewhere,
            PersonOutcome::Unproven { .. } => &mut self.unproven,
        };
        *counted = counted.saturating_add(1);
        let others = self.first.partition_point(|point| !matches!(point.outcome, PersonOutcome::Refused { .. }));
        if is_refused {
            if self.first.len() < MAX_PERSON_POINTS {
                self.first.push(point);
            }
            return;
        }
        self.first.insert(others, point);
        self.first.truncate(MAX_PERSON_POINTS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::PersonGrantId;

    #[test]
    fn everything_is_counted_and_what_is_not_refused_is_named_first() {
        let mut points = PersonPoints::default();
        let point = |n: u32, outcome| PersonPoint {
            held: PersonHeld::Grant(PersonGrantId::from_u128(u128::from(n))),
            resource: None,
            outcome,
        };
        let at = Timestamp::default();
        for n in 0..300 {
            points.add(point(n, PersonOutcome::Refused { at, reason: "no_access".into(), control: None }));
        }
        points.add(point(300, PersonOutcome::Unproven { at, why: "it was accepted".into() }));
        points.add(point(301, PersonOutcome::DecidedElsewhere { at }));
        assert_eq!((points.count, points.refused, points.unproven, points.decided_elsewhere), (302, 300, 1, 1));
        assert_eq!(points.first.len(), MAX_PERSON_POINTS);
        assert!(matches!(points.first[0].outcome, PersonOutcome::Unproven { .. }));
        assert!(matches!(points.first[1].outcome, PersonOutcome::DecidedElsewhere { .. }));
    }
}
