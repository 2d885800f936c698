//! The deadline of an identity's review (R93).

use tenure_core::base::time::Timestamp;
use tenure_core::identity::IdentityState;
use tenure_core::request::review::{Review, ReviewState};

/// What a review demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewPlan {
    /// It is no longer open.
    Nothing,
    /// Nothing until then.
    Later(Timestamp),
    /// What it is about has ended.
    Close,
    /// Nobody answered: the default applies.
    Lapse,
}

/// Decides, given until when an exception lets the answer be late.
pub fn plan(
    review: &Review,
    identity: Option<IdentityState>,
    may_be_late_until: Option<Timestamp>,
    now: Timestamp,
) -> ReviewPlan {
    let ended = |state| !matches!(state, IdentityState::Active | IdentityState::Suspended);
    if review.state != ReviewState::Open {
        ReviewPlan::Nothing
    } else if identity.is_none_or(ended) {
        ReviewPlan::Close
    } else if review.due_at > now {
        ReviewPlan::Later(review.due_at)
    } else {
        match may_be_late_until.filter(|until| *until > now) {
            Some(until) => ReviewPlan::Later(until),
            None => ReviewPlan::Lapse,
        }
    }
}

#[cfg(test)]
mod tests {
    use tenure_core::base::id::{IdentityId, PersonId, ReviewId};
    use tenure_core::base::state::InState;
    use tenure_core::base::time::Span;
    use tenure_core::request::review::{ANSWER_WITHIN, Answered, ReviewAnswer, ReviewSubject, ReviewTrigger};

    use super::*;

    #[test]
    fn who_sits_it_out_does_not_keep_it_unless_an_exception_says_so() {
        let opened = Timestamp::from_secs(1_000);
        let review = Review {
            id: ReviewId::from_u128(3),
            subject: ReviewSubject::Identity(IdentityId::from_u128(1)),
            trigger: ReviewTrigger::Rotation,
            reviewer: None,
            opened_at: opened,
            due_at: opened.plus(ANSWER_WITHIN),
            state: InState::default(),
            privileges: Vec::new(),
            answer: None,
            light: false,
            campaign: None,
            tier: None,
            handed_over: Vec::new(),
        };
        let active = Some(IdentityState::Active);
        let later = review.due_at.plus(Span::from_days(30));
        assert_eq!(plan(&review, active, None, opened), ReviewPlan::Later(review.due_at));
        assert_eq!(plan(&review, active, None, review.due_at), ReviewPlan::Lapse);
        assert_eq!(plan(&review, active, Some(later), review.due_at), ReviewPlan::Later(later));
        assert_eq!(plan(&review, active, Some(later), later), ReviewPlan::Lapse);
        for gone in [None, Some(IdentityState::Retiring)] {
            assert_eq!(plan(&review, gone, None, review.due_at), ReviewPlan::Close);
        }
        let answered = review
            .answer(Answered {
                answer: ReviewAnswer::Keep,
                by: PersonId::from_u128(1),
                at: opened,
                comment: String::new(),
                dropped: Vec::new(),
            })
            .unwrap();
        assert_eq!(plan(&answered, active, None, later), ReviewPlan::Nothing);
    }
}
