//! What a review recommends, and why: by rule, from what was seen.

use tenure_core::base::time::{Span, Timestamp};
use tenure_core::finding::Severity;
use tenure_core::identity::right_size::Withheld;
use tenure_core::request::review::ReviewAnswer;

/// What was seen of an identity.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// Since when it could have been used: its activation, or its last resumption.
    pub since: Option<Timestamp>,
    /// When it was last used.
    pub last_used: Option<Timestamp>,
    /// How long it may go unused.
    pub dormant_after: Span,
    /// Actions that it may.
    pub granted: usize,
    /// Those of them that were used within the window.
    pub used: usize,
    /// Those of them that weren't used, as far as is known.
    pub unused: usize,
    /// Whether something is left without those.
    pub can_be_narrowed: bool,
    /// Why nothing can be left out.
    pub withheld: Option<Withheld>,
    /// The worst of its open findings.
    pub worst: Option<Severity>,
}

/// What to answer, if a rule can say, and why.
pub(crate) fn recommended(seen: &Seen, now: Timestamp) -> (Option<ReviewAnswer>, Vec<String>) {
    let mut because = Vec::new();
    let unused_since = seen.last_used.max(seen.since);
    if unused_since.is_none_or(|since| since.plus(half(seen.dormant_after)) <= now) {
        because.push(match seen.last_used {
            Some(at) => format!("it was last used on {at}"),
            None => "it was never used, as far as is known here".to_owned(),
        });
        return (Some(ReviewAnswer::Revoke), because);
    }
    if let Some(worst) = seen.worst.filter(|worst| *worst >= Severity::High) {
        because.push(format!("it has an open finding of severity {}: settle that first", worst.as_str()));
        return (None, because);
    }
    if seen.can_be_narrowed {
        because.push(format!("{} of the {} actions that it may were not used in 90 days", seen.unused, seen.granted));
        return (Some(ReviewAnswer::Narrow), because);
    }
    if seen.granted > 0 && seen.used == seen.granted {
        because.push("it uses everything that it may".to_owned());
        return (Some(ReviewAnswer::Keep), because);
    }
    because.push(format!("{} of the {} actions that it may were used in 90 days", seen.used, seen.granted));
    because.extend(seen.withheld.map(|withheld| withheld.hint().to_owned()));
    (None, because)
}

const fn half(span: Span) -> Span {
    Span::from_micros(span.as_micros() / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn day(n: i64) -> Timestamp {
        Timestamp::from_secs(n * 86_400)
    }

    #[test]
    fn what_is_not_used_is_revoked_what_is_used_in_part_is_narrowed_and_a_finding_comes_first() {
        let used = Seen {
            since: Some(day(0)),
            last_used: Some(day(99)),
            dormant_after: Span::from_days(60),
            granted: 4,
            used: 4,
            unused: 0,
            can_be_narrowed: false,
            withheld: None,
            worst: None,
        };
        let answer = |seen: Seen| recommended(&seen, day(100)).0;
        assert_eq!(answer(used), Some(ReviewAnswer::Keep));
        assert_eq!(answer(Seen { used: 1, unused: 3, can_be_narrowed: true, ..used }), Some(ReviewAnswer::Narrow));
        // Nothing of it was decided here: nobody knows what it needs.
        assert_eq!(answer(Seen { used: 0, unused: 4, withheld: Some(Withheld::NothingUsed), ..used }), None);
        assert_eq!(answer(Seen { granted: 0, used: 0, ..used }), None);
        assert_eq!(answer(Seen { worst: Some(Severity::High), ..used }), None);
        assert_eq!(answer(Seen { worst: Some(Severity::Medium), ..used }), Some(ReviewAnswer::Keep));
        let revoked = Some(ReviewAnswer::Revoke);
        assert_eq!(answer(Seen { last_used: None, ..used }), revoked);
        assert_eq!(answer(Seen { last_used: Some(day(70)), worst: Some(Severity::Critical), ..used }), revoked);
        // What works since lately had no time to be used.
        assert_eq!(answer(Seen { last_used: None, since: Some(day(90)), used: 0, unused: 4, ..used }), None);
        for seen in [used, Seen { last_used: None, ..used }] {
            assert!(!recommended(&seen, day(100)).1.is_empty());
        }
    }
}
