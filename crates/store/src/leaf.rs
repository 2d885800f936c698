//! From the event of a changeset to the leaf of the log.
//!
//! - The rows of a changeset are named by its first event's leaf, and by no other.
//! - The actor is the leaf's actor. The operator token that stood for a person (S-7), or their session, is the
//!   public fact [`OPERATOR_TOKEN`] or [`SESSION`] of each of the changeset's events.
//! - A personal field is keyed by its name; a second field of that name in one event is keyed `name#2`, and so on.
//!   The key is what the commitment is made over and what stands beside the log.

use std::collections::BTreeMap;

use serde_json::Value;
use tenure_core::store::event::{Actor, Event, Via};
use tenure_core::store::port::EntryPersonal;
use tenure_log::{Hash, Leaf, RowDigest, commit};

/// The fact that names the operator token which stood for the acting person.
pub const OPERATOR_TOKEN: &str = "actor.operator_token";
/// The fact that names the session in which the acting person did it.
pub const SESSION: &str = "actor.session";

/// The leaf of an event, its time still to be set, and the personal values that stand beside it.
pub(crate) fn leaf_of(actor: &Actor, event: Event, rows: Vec<RowDigest>) -> (Leaf, Vec<EntryPersonal>) {
    let (happened, control) = (event.kind(), event.control());
    let mut data = event.data;
    let (kind, id) = match actor {
        Actor::Person { id, via } => {
            let (fact, value) = match via {
                Via::OperatorToken(token) => (OPERATOR_TOKEN, token.to_string()),
                Via::Session(session) => (SESSION, session.to_string()),
            };
            data.insert(fact.to_owned(), Value::String(value));
            ("person", id.to_string())
        }
        Actor::Identity { id } => ("identity", id.to_string()),
        Actor::Source { id } => ("source", id.to_string()),
        Actor::System { part } => ("system", part.clone()),
        Actor::Stranger => ("stranger", String::new()),
    };
    let mut commitments: BTreeMap<String, Hash> = BTreeMap::new();
    let mut beside = Vec::with_capacity(event.personal.len());
    for personal in event.personal {
        let field = free_name(&commitments, personal.field);
        commitments.insert(field.clone(), commit(&personal.salt, &field, &personal.value));
        beside.push(EntryPersonal { subject: personal.subject, field, salt: personal.salt, value: personal.value });
    }
    // In the order in which every engine gives them back.
    beside.sort_by(|a, b| a.field.cmp(&b.field));
    let leaf = Leaf {
        actor: tenure_log::Actor { id, kind: kind.to_owned() },
        at: 0,
        control: control.as_str().to_owned(),
        data,
        id: event.id.to_string(),
        kind: happened.as_str().to_owned(),
        personal: commitments,
        rows,
        subjects: event.subjects,
    };
    (leaf, beside)
}

fn free_name(taken: &BTreeMap<String, Hash>, field: &str) -> String {
    let mut name = field.to_owned();
    let mut n = 2_u32;
    while taken.contains_key(&name) {
        name = format!("{field}#{n}");
        n += 1;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_core::base::id::{EventId, OperatorTokenId, PersonId};
    use tenure_core::store::event::Personal;
    use tenure_core::store::event_kind::EventKind;

    fn personal(subject: &str, field: &'static str, value: &str) -> Personal {
        Personal { subject: subject.into(), field, salt: [7; 32], value: value.into() }
    }

    #[test]
    fn fields_of_one_name_get_keys_of_their_own() {
        let event = Event::new(EventId::from_u128(1), EventKind::PersonCreated)
            .personal(personal("per_a", "name", "Ada"))
            .personal(personal("per_b", "name", "Bob"));
        let (leaf, beside) = leaf_of(&Actor::Stranger, event, Vec::new());
        assert_eq!(leaf.personal.keys().collect::<Vec<_>>(), ["name", "name#2"]);
        for kept in beside {
            assert_eq!(leaf.personal[&kept.field], commit(&kept.salt, &kept.field, &kept.value));
        }
    }

    #[test]
    fn the_token_that_stood_for_a_person_is_recorded() {
        let token = OperatorTokenId::from_u128(9);
        let actor = Actor::Person { id: PersonId::from_u128(4), via: Via::OperatorToken(token) };
        let event = Event::new(EventId::from_u128(1), EventKind::PolicyChanged);
        let (leaf, _) = leaf_of(&actor, event, Vec::new());
        assert_eq!(leaf.data.get(OPERATOR_TOKEN), Some(&Value::String(token.to_string())));
        assert_eq!(leaf.actor.kind, "person");
    }
}
