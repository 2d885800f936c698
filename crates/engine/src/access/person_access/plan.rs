//! A person's grant: its start, its early review and its end (R116, R117).

use tenure_core::base::time::{Span, Timestamp};
use tenure_core::people::person::PersonState;
use tenure_core::people::person_grant::{PersonGrant, PersonGrantState};

/// How soon and how late it is asked again whether the person has started.
const ASK_AGAIN: (Span, Span) = (Span::from_secs(1), Span::from_mins(60));

/// What a person's grant demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessPlan {
    /// It ended already.
    Nothing,
    /// Nothing until then.
    Later(Timestamp),
    /// It begins.
    Start,
    /// Its early review opens.
    Review,
    /// It ends, for this reason; whether its review was missed.
    End {
        /// Why.
        because: &'static str,
        /// The early review was not answered.
        unreviewed: bool,
    },
}

/// Decides, given where its person stands and whether its early review was opened.
pub fn plan(grant: &PersonGrant, person: Option<PersonState>, review_opened: bool, now: Timestamp) -> AccessPlan {
    let end = |because, unreviewed| AccessPlan::End { because, unreviewed };
    if grant.state.is_terminal() {
        return AccessPlan::Nothing;
    }
    if grant.ends_at <= now {
        return end("its time is over", false);
    }
    if matches!(person, None | Some(PersonState::Departed)) {
        return end("the person has left", false);
    }
    if grant.state == PersonGrantState::Scheduled {
        return if grant.starts_at > now {
            AccessPlan::Later(grant.starts_at)
        } else if person == Some(PersonState::Active) {
            AccessPlan::Start
        } else {
            // Asked again after as long as it was held already, so that a start by a minute late costs seconds and a
            // long wait little.
            let (soon, late) = ASK_AGAIN;
            AccessPlan::Later(now.plus(now.since(grant.starts_at).clamp(soon, late)).min(grant.ends_at))
        };
    }
    if !grant.needs_review() {
        return AccessPlan::Later(grant.ends_at);
    }
    if grant.review_by <= now {
        return end("its early review was not answered", true);
    }
    if review_opened {
        AccessPlan::Later(grant.review_by)
    } else if grant.review_opens_at() <= now {
        AccessPlan::Review
    } else {
        AccessPlan::Later(grant.review_opens_at())
    }
}

/// The grant once it begins: what was held begins later, and is reviewed as long after that; its end stays what was
/// approved.
#[must_use]
pub fn started(grant: &PersonGrant, now: Timestamp) -> PersonGrant {
    let early = grant.review_by.since(grant.starts_at);
    PersonGrant { state: PersonGrantState::Live, starts_at: now, review_by: now.plus(early), ..grant.clone() }
}

#[cfg(test)]
mod tests {
    use tenure_core::base::id::{PersonGrantId, PersonId, RequestId};
    use tenure_core::inventory::entitlement::Entitlement;
    use tenure_core::people::person_grant::EARLY_REVIEW;

    use super::*;

    fn day(n: i64) -> Timestamp {
        Timestamp::from_secs(0).plus(Span::from_days(n))
    }

    fn grant(state: PersonGrantState) -> PersonGrant {
        PersonGrant {
            id: PersonGrantId::from_u128(1),
            person: PersonId::from_u128(2),
            entitlement: Entitlement { actions: vec!["read".into()], resource: "res_1".into() },
            package: None,
            exception: None,
            starts_at: day(10),
            ends_at: day(100),
            review_by: day(10).plus(EARLY_REVIEW),
            reviewed: false,
            state,
            request: RequestId::from_u128(3),
            approved_by: Vec::new(),
            policies: Vec::new(),
            policy_version: String::new(),
            purpose: String::new(),
        }
    }

    #[test]
    fn it_begins_at_its_start_and_only_for_who_is_at_work() {
        let scheduled = grant(PersonGrantState::Scheduled);
        assert_eq!(plan(&scheduled, Some(PersonState::Active), false, day(9)), AccessPlan::Later(day(10)));
        assert_eq!(plan(&scheduled, Some(PersonState::Active), false, day(10)), AccessPlan::Start);
        for state in [PersonState::Preboarding, PersonState::Suspended] {
            assert_eq!(
                plan(&scheduled, Some(state), false, day(10)),
                AccessPlan::Later(day(10).plus(Span::from_secs(1)))
            );
            assert_eq!(
                plan(&scheduled, Some(state), false, day(12)),
                AccessPlan::Later(day(12).plus(Span::from_mins(60)))
            );
        }
        assert_eq!(
            plan(&scheduled, Some(PersonState::Preboarding), false, day(100)),
            AccessPlan::End { because: "its time is over", unreviewed: false }
        );
        let late = started(&scheduled, day(20));
        assert_eq!((late.starts_at, late.review_by, late.ends_at), (day(20), day(50), day(100)));
        assert!(late.is_live(day(20)));
    }

    #[test]
    fn it_lapses_without_its_early_review_and_goes_on_with_it() {
        let live = grant(PersonGrantState::Live);
        let at = |review_opened, day| plan(&live, Some(PersonState::Active), review_opened, day);
        assert_eq!(at(false, day(11)), AccessPlan::Later(day(25)));
        assert_eq!(at(false, day(25)), AccessPlan::Review);
        assert_eq!(at(true, day(26)), AccessPlan::Later(day(40)));
        let missed = AccessPlan::End { because: "its early review was not answered", unreviewed: true };
        assert_eq!((at(true, day(40)), at(false, day(40))), (missed, missed));
        assert!(live.is_live(day(39)) && !live.is_live(day(40)));
        let kept = PersonGrant { reviewed: true, ..live };
        assert_eq!(plan(&kept, Some(PersonState::Active), true, day(40)), AccessPlan::Later(day(100)));
        assert!(kept.is_live(day(99)) && !kept.is_live(day(100)));
    }

    #[test]
    fn what_ends_before_its_review_needs_none_and_who_left_holds_nothing() {
        let short = PersonGrant { ends_at: day(20), ..grant(PersonGrantState::Live) };
        assert_eq!(plan(&short, Some(PersonState::Active), false, day(19)), AccessPlan::Later(day(20)));
        for person in [None, Some(PersonState::Departed)] {
            assert!(matches!(plan(&short, person, false, day(11)), AccessPlan::End { unreviewed: false, .. }));
        }
        assert_eq!(plan(&grant(PersonGrantState::Revoked), None, false, day(200)), AccessPlan::Nothing);
    }
}
