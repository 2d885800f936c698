//! The end of an exception: by its time, or by a breach that lasts (R112).

use tenure_core::base::time::{Span, Timestamp};
use tenure_core::request::exception::{BREACH_GRACE, Exception, ExceptionState};

/// How long before the end its owner is told, or a quarter of its time if that is less.
const WARNED_BEFORE: Span = Span::from_days(7);

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExceptionPlan {
    /// Nothing: it is over, or was never in force.
    Nothing,
    /// Another look then.
    Later(Timestamp),
    /// Its owner is told that it ends then, and it is looked at again then.
    Warn(Timestamp),
    /// It ends, for this reason.
    End(End, &'static str),
}

/// How it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// In its time.
    Expires,
    /// Before.
    Withdrawn,
}

/// Decides.
pub fn plan(exception: &Exception, now: Timestamp) -> ExceptionPlan {
    let (Some(starts), Some(ends)) = (exception.starts_at, exception.ends_at) else {
        return ExceptionPlan::Nothing;
    };
    let grace_ends = exception.breached_at.map(|breached| breached.plus(BREACH_GRACE));
    match (exception.state.get(), grace_ends) {
        (ExceptionState::Active | ExceptionState::Breached, _) if ends <= now => {
            ExceptionPlan::End(End::Expires, "its time is over")
        }
        (ExceptionState::Breached, Some(until)) if until <= now => {
            ExceptionPlan::End(End::Withdrawn, "a compensating control was not put back in time")
        }
        (ExceptionState::Breached, Some(until)) => ExceptionPlan::Later(until.min(ends)),
        (ExceptionState::Active, _) if warns_at(starts, ends) <= now => ExceptionPlan::Warn(ends),
        (ExceptionState::Active, _) => ExceptionPlan::Later(warns_at(starts, ends)),
        _ => ExceptionPlan::Nothing,
    }
}

/// When an exception that has just changed is looked at next. A warning that is due was given before the change.
pub fn next_look(exception: &Exception, now: Timestamp) -> Timestamp {
    match plan(exception, now) {
        ExceptionPlan::Later(at) | ExceptionPlan::Warn(at) => at,
        ExceptionPlan::Nothing | ExceptionPlan::End(..) => now,
    }
}

fn warns_at(starts: Timestamp, ends: Timestamp) -> Timestamp {
    let quarter = Span::from_micros(ends.since(starts).as_micros() / 4);
    ends.minus(quarter.min(WARNED_BEFORE))
}

#[cfg(test)]
mod tests {
    use tenure_core::base::id::{ExceptionId, IdentityId, PersonId, RequestId};
    use tenure_core::base::state::InState;
    use tenure_core::request::exception::{ExceptionSubject, ExceptionType};

    use super::*;

    fn day(n: i64) -> Timestamp {
        Timestamp::from_secs(n * 86_400)
    }

    fn proposed() -> Exception {
        Exception {
            id: ExceptionId::from_u128(1),
            kind: ExceptionType::WildcardScope,
            subject: ExceptionSubject::Identity(IdentityId::from_u128(2)),
            reason: "legacy".into(),
            compensating: Vec::new(),
            places: Vec::new(),
            proposed_by: PersonId::from_u128(3),
            request: RequestId::from_u128(4),
            approved_by: Vec::new(),
            duration: Span::from_days(80),
            starts_at: None,
            ends_at: None,
            renews: None,
            renewals: 0,
            state: InState::default(),
            breached_at: None,
            accepts: None,
            created_at: day(0),
        }
    }

    fn active_until(end: Timestamp) -> Exception {
        proposed().activate(Vec::new(), day(0), end, day(0)).unwrap()
    }

    #[test]
    fn it_warns_a_week_before_its_end_and_ends_at_its_time() {
        let exception = active_until(day(80));
        assert_eq!(plan(&exception, day(0)), ExceptionPlan::Later(day(73)));
        assert_eq!(plan(&exception, day(73)), ExceptionPlan::Warn(day(80)));
        assert_eq!(next_look(&exception, day(75)), day(80));
        assert_eq!(plan(&exception, day(80)), ExceptionPlan::End(End::Expires, "its time is over"));
        assert_eq!(plan(&active_until(day(4)), day(0)), ExceptionPlan::Later(day(3)));
    }

    #[test]
    fn a_breach_that_lasts_ends_it_and_never_puts_its_end_off() {
        let breached = |on| active_until(day(80)).breach(day(on)).unwrap();
        assert_eq!(plan(&breached(10), day(11)), ExceptionPlan::Later(day(12)));
        assert!(matches!(plan(&breached(10), day(12)), ExceptionPlan::End(End::Withdrawn, _)));
        assert_eq!(plan(&breached(79), day(79)), ExceptionPlan::Later(day(80)));
        assert!(matches!(plan(&breached(79), day(80)), ExceptionPlan::End(End::Expires, _)));
    }

    #[test]
    fn what_is_not_in_force_has_no_deadline() {
        let active = active_until(day(80));
        for over in [active.clone().expire(), active.withdraw()] {
            assert_eq!(plan(&over.unwrap(), day(90)), ExceptionPlan::Nothing);
        }
        assert_eq!(plan(&proposed(), day(90)), ExceptionPlan::Nothing);
    }
}
