//! When a person starts and leaves (R78, R79).

use tenure_core::base::time::Timestamp;
use tenure_core::people::person::{Person, PersonState};

/// What a person's dates demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatesPlan {
    /// They start.
    Start,
    /// They leave.
    Depart,
    /// Nothing until then.
    Later(Timestamp),
    /// Nothing any more.
    Nothing,
}

/// Decides.
pub fn plan(person: &Person, now: Timestamp) -> DatesPlan {
    if person.state == PersonState::Departed {
        return DatesPlan::Nothing;
    }
    if person.ends_at.is_some_and(|end| end <= now) {
        return DatesPlan::Depart;
    }
    if person.state == PersonState::Preboarding && person.starts_at.is_none_or(|start| start <= now) {
        return DatesPlan::Start;
    }
    next(person).map_or(DatesPlan::Nothing, DatesPlan::Later)
}

/// When a person's dates have to be looked at next; at once, if that is past.
pub fn next(person: &Person) -> Option<Timestamp> {
    let start = match (person.state, person.starts_at) {
        (PersonState::Preboarding, None) => Some(person.created_at),
        (PersonState::Preboarding, start) => start,
        (PersonState::Departed, _) => return None,
        _ => None,
    };
    [start, person.ends_at].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_core::base::id::PersonId;

    #[test]
    fn dates_lead_in_and_out_and_nothing_leads_back() {
        let at = Timestamp::from_secs;
        let mut person = Person::new(PersonId::from_u128(1), "Ada".into(), None, Vec::new(), at(0));
        assert_eq!(plan(&person, at(5)), DatesPlan::Nothing);
        (person.state, person.starts_at, person.ends_at) = (PersonState::Preboarding, Some(at(10)), Some(at(20)));
        assert_eq!(plan(&person, at(9)), DatesPlan::Later(at(10)));
        assert_eq!(plan(&person, at(10)), DatesPlan::Start);
        assert_eq!(
            plan(&person, at(20)),
            DatesPlan::Depart,
            "a start that was missed is not made up for after the end"
        );
        for state in [PersonState::Active, PersonState::Suspended] {
            person.state = state;
            assert_eq!((plan(&person, at(9)), plan(&person, at(20))), (DatesPlan::Later(at(20)), DatesPlan::Depart));
        }
        person.state = PersonState::Departed;
        assert_eq!((plan(&person, at(99)), next(&person)), (DatesPlan::Nothing, None));
    }
}
