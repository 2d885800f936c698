//! Which revision of a record a change is meant for: `If-Match` (RFC 9110 §13.1.1).
//!
//! What replaces something that others may have changed since says what it replaces ([`IfMatch::demand`]), or that it doesn't care (`*`). What takes
//! authority away asks for nothing of the kind, and a vote quotes what was read instead: there it is held against the record if it was given
//! ([`IfMatch::heed`]).

use crate::kernel::error::OpError;

/// The condition that a caller set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// None.
    Missing,
    /// That the record is there, whatever it is now: `*`.
    Any,
    /// That it is at one of these revisions. Other tags than ours, and weak ones, match nothing (§8.8.3.2) and are none of these.
    Revisions(Vec<u64>),
}

impl IfMatch {
    /// For what replaces a record that may be there: with its revision, if it is.
    ///
    /// # Errors
    /// It is there and the caller set no condition, or the condition doesn't hold.
    pub(crate) fn demand(&self, revision: Option<u64>) -> Result<(), OpError> {
        match (self, revision) {
            (Self::Missing, Some(_)) => Err(OpError::Unconditional),
            _ => self.heed(revision),
        }
    }

    /// For what needs no condition.
    ///
    /// # Errors
    /// The caller set one, and it doesn't hold.
    pub(crate) fn heed(&self, revision: Option<u64>) -> Result<(), OpError> {
        let holds = match self {
            Self::Missing => true,
            Self::Any => revision.is_some(),
            Self::Revisions(wanted) => revision.is_some_and(|revision| wanted.contains(&revision)),
        };
        if holds { Ok(()) } else { Err(OpError::Stale(revision)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e04_a_condition_holds_as_the_standard_says() {
        let some = IfMatch::Revisions(vec![3, 7]);
        for (condition, revision, holds) in [
            (&some, Some(7), true),
            (&some, Some(8), false),
            (&some, None, false),
            (&IfMatch::Revisions(Vec::new()), Some(1), false),
            (&IfMatch::Any, Some(8), true),
            (&IfMatch::Any, None, false),
        ] {
            assert_eq!(condition.demand(revision).is_ok(), holds, "{condition:?} {revision:?}");
            assert_eq!(condition.heed(revision).is_ok(), holds, "{condition:?} {revision:?}");
        }
        assert!(matches!(IfMatch::Missing.demand(Some(1)), Err(OpError::Unconditional)));
        assert!(IfMatch::Missing.heed(Some(1)).is_ok() && IfMatch::Missing.demand(None).is_ok());
    }
}
