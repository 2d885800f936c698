//! What a decision wants changed: events and rows, under preconditions, in one commit.

use crate::base::id::EventId;
use crate::base::time::Timestamp;
use crate::store::due::DueKind;
use crate::store::event::{Actor, Author, Effect, Event, Unwritable};
use crate::store::row::{Record, RowKey, RowKind, Stored};

/// What must still be so when the commit happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// The row is at this revision: it was read, and the decision rests on it.
    Revision(RowKey, u64),
    /// There is no such row.
    Absent(RowKey),
}

/// A row to write; the write itself demands the revision that it replaces.
#[derive(Debug, Clone)]
pub struct Put {
    /// Which row.
    pub key: RowKey,
    /// The revision that is replaced; 0 demands that there is none.
    pub replaces: u64,
    /// The record as JSON.
    pub body: Vec<u8>,
    /// What lists can filter by.
    pub terms: Vec<String>,
    /// When the row may be dropped without an event.
    pub droppable_after: Option<Timestamp>,
}

/// A key that can be used once (proof ids, names): a second use is a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// The namespace, e.g. `jti`.
    pub space: &'static str,
    /// The key.
    pub key: String,
    /// Until when it must be remembered; `None` is for ever.
    pub until: Option<Timestamp>,
}

/// A bounded increment: refused if it would pass the limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spend {
    /// The budget, e.g. `issue/idn_…`.
    pub budget: String,
    /// The window's start; windows don't share a count.
    pub window: Timestamp,
    /// When the count may be forgotten.
    pub until: Timestamp,
    /// How much to add.
    pub by: u32,
    /// The highest count allowed.
    pub limit: u32,
}

/// A change to the deadlines of a subject. There is one deadline for each (kind, subject).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DueChange {
    /// Falls due at this time; replaces what stood, and invalidates the lease of whoever works on it.
    Set(DueKind, String, Timestamp),
    /// No longer falls due.
    Clear(DueKind, String),
    /// Done by the holder of this fencing token: removes the deadline only if the token is still the newest.
    Ack(DueKind, String, u64),
    /// Not done; due again at the time, by the holder of this fencing token.
    Retry(DueKind, String, u64, Timestamp),
}

/// Everything that one commit does. Events ride in the same commit as the state they explain.
#[derive(Debug, Clone)]
pub struct Changeset {
    /// The first event's id: writing the same id again settles an unknown outcome.
    pub id: EventId,
    /// Who does it.
    pub actor: Actor,
    /// The revision of the actor's own row at which they were authenticated, if they called.
    pub as_of: Option<u64>,
    /// The time it was decided with.
    pub at: Timestamp,
    /// What happened; never empty.
    pub events: Vec<Event>,
    /// What the decision rests on.
    pub expects: Vec<Expect>,
    /// Rows to write.
    pub puts: Vec<Put>,
    /// Keys to use up.
    pub once: Vec<Once>,
    /// Budgets to spend from.
    pub spends: Vec<Spend>,
    /// Deadlines to change.
    pub due: Vec<DueChange>,
    /// Subjects whose personal values are erased.
    pub erase: Vec<String>,
    /// Written even where the disk is full, though it takes nothing away: the sign-in of somebody of security, without
    /// which they could stop nobody (S-16).
    pub stands_for_stopping: bool,
    /// The first of its records that can't be written so that it is read back.
    unwritable: Option<Unwritable>,
}

impl Changeset {
    /// A changeset with its first event: there is no change without its record.
    pub fn new(author: impl Into<Author>, at: Timestamp, event: Event) -> Self {
        let Author { actor, as_of } = author.into();
        Self {
            id: event.id,
            actor,
            as_of,
            at,
            events: vec![event],
            expects: Vec::new(),
            puts: Vec::new(),
            once: Vec::new(),
            spends: Vec::new(),
            due: Vec::new(),
            erase: Vec::new(),
            stands_for_stopping: false,
            unwritable: None,
        }
    }

    /// What of it can't be recorded: then no store writes any of it.
    pub fn unwritable(&self) -> Option<&Unwritable> {
        self.unwritable.as_ref().or_else(|| self.events.iter().find_map(Event::unwritable))
    }

    /// What it does to anybody's authority, all in all: what its events say, held against the rows that it writes. It
    /// takes only if something of it does and nothing that rides along gives any.
    pub fn effect(&self) -> Effect {
        // What proves or confers something is not new in a commit that only takes away.
        let confers = |put: &Put| match put.key.kind {
            RowKind::Credential
            | RowKind::Grant
            | RowKind::PersonGrant
            | RowKind::Binding
            | RowKind::JoinToken
            | RowKind::OperatorToken
            | RowKind::Passkey
            | RowKind::SignInBinding
            | RowKind::Invitation => put.replaces == 0,
            RowKind::Session => put.replaces == 0 && !self.stands_for_stopping,
            _ => false,
        };
        let any = |effect| self.events.iter().any(|event| event.effect() == effect);
        if any(Effect::Enables) || self.puts.iter().any(confers) {
            Effect::Enables
        } else if any(Effect::Takes) || self.stands_for_stopping {
            Effect::Takes
        } else if any(Effect::Changes) {
            Effect::Changes
        } else {
            Effect::Notes
        }
    }

    /// Whether it takes authority away, or lets somebody in who can: space is reserved for it (S-16), and neither a
    /// budget nor another policy set stands in its way (S-9).
    pub fn is_essential(&self) -> bool {
        self.effect() == Effect::Takes
    }

    /// Whether it may be written while a checkpoint outside contradicts the log (S-1): it takes authority away, or says
    /// what was seen and confers nothing.
    pub fn confers_nothing(&self) -> bool {
        matches!(self.effect(), Effect::Takes | Effect::Notes)
    }

    /// Adds a further event.
    pub fn event(&mut self, event: Event) -> &mut Self {
        self.events.push(event);
        self
    }

    /// Demands that what was read is still so.
    pub fn expect<T: Record>(&mut self, read: &Stored<T>) -> &mut Self {
        self.expects.push(Expect::Revision(read.value.key(), read.revision));
        self
    }

    /// Demands that there is no such row.
    pub fn expect_absent(&mut self, key: RowKey) -> &mut Self {
        self.expects.push(Expect::Absent(key));
        self
    }

    /// Writes a new record.
    pub fn insert<T: Record>(&mut self, record: &T) -> &mut Self {
        self.put(record, 0)
    }

    /// Writes a record over the one that was read.
    pub fn replace<T: Record>(&mut self, read: &Stored<T>, record: &T) -> &mut Self {
        self.put(record, read.revision)
    }

    fn put<T: Record>(&mut self, record: &T, replaces: u64) -> &mut Self {
        let key = record.key();
        let body = match written::<T>(record) {
            Ok(body) => body,
            Err(error) => {
                self.unwritable.get_or_insert(Unwritable { what: format!("the row {key}"), why: error.to_string() });
                return self;
            }
        };
        if let Some((kind, subject)) = record.follows() {
            self.due.push(DueChange::Set(kind, subject, self.at));
        }
        self.puts.push(Put {
            key,
            replaces,
            body,
            terms: record.terms().into_text(),
            droppable_after: record.droppable_after(),
        });
        self
    }
}

/// A record as JSON that reads as a record again: what doesn't is found out now, while nothing rests on it.
fn written<T: Record>(record: &T) -> Result<Vec<u8>, serde_json::Error> {
    let body = serde_json::to_vec(record)?;
    serde_json::from_slice::<T>(&body).map(|_| body)
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::store::event::ControlPoint;
    use crate::store::event_kind::EventKind;
    use crate::store::row::RowKind;

    /// A record with a number that JSON may have no word for, and keys that it may not take.
    #[derive(Serialize, Deserialize)]
    struct Measured {
        number: f64,
        keys: std::collections::BTreeMap<Vec<u8>, u8>,
    }

    impl Record for Measured {
        const KIND: RowKind = RowKind::Team;
        fn row_id(&self) -> String {
            "one".into()
        }
    }

    fn event(kind: EventKind) -> Event {
        Event::new(EventId::from_u128(1), kind)
    }

    fn of_events(events: impl IntoIterator<Item = Event>) -> Changeset {
        let mut events = events.into_iter();
        let mut changeset =
            Changeset::new(Actor::System { part: "test".into() }, Timestamp::from_secs(1), events.next().unwrap());
        changeset.events.extend(events);
        changeset
    }

    fn changeset(kinds: &[EventKind]) -> Changeset {
        of_events(kinds.iter().copied().map(event))
    }

    fn with_new(mut changeset: Changeset, kind: RowKind) -> Changeset {
        changeset.puts.push(Put {
            key: RowKey { kind, id: "x".into() },
            replaces: 0,
            body: Vec::new(),
            terms: Vec::new(),
            droppable_after: None,
        });
        changeset
    }

    #[test]
    fn s16_space_is_reserved_for_what_only_takes_away() {
        let revoked = EventKind::CredentialRevoked;
        for taking in [revoked, EventKind::IdentitySuspended, EventKind::IdentityRetiring] {
            assert!(changeset(&[taking]).is_essential());
            assert!(changeset(&[taking, EventKind::ReviewOpened]).is_essential());
            assert!(with_new(changeset(&[taking]), RowKind::Cut).is_essential());
        }
        for giving in [
            EventKind::RequestApproved,
            EventKind::CredentialIssued,
            EventKind::IdentityRenewed,
            EventKind::IdentityResumed,
            EventKind::SignInBound,
            EventKind::IdentityTransferred,
        ] {
            assert!(!changeset(&[giving]).is_essential(), "{giving:?}");
            assert!(!changeset(&[revoked, giving]).is_essential(), "{giving:?} rides along");
        }
        for kind in [RowKind::Credential, RowKind::Grant, RowKind::OperatorToken, RowKind::Passkey, RowKind::Session] {
            assert!(!with_new(changeset(&[revoked]), kind).is_essential(), "{kind:?} rides along");
        }
        for control in [ControlPoint::Use, ControlPoint::Suspend, ControlPoint::Revoke, ControlPoint::Retire] {
            assert!(
                !of_events([event(EventKind::AccessRefused).at(control)]).is_essential(),
                "{control:?} was refused"
            );
        }
    }

    #[test]
    fn a_changeset_does_what_the_strongest_of_its_events_and_rows_does() {
        let (asked, seen) = (EventKind::RequestOpened, EventKind::FindingOpened);
        let (revoked, issued) = (EventKind::CredentialRevoked, EventKind::CredentialIssued);
        for (events, effect) in [
            (vec![seen], Effect::Notes),
            (vec![seen, asked], Effect::Changes),
            (vec![seen, asked, revoked], Effect::Takes),
            (vec![seen, asked, revoked, issued], Effect::Enables),
        ] {
            assert_eq!(changeset(&events).effect(), effect);
            assert_eq!(changeset(&events).is_essential(), effect == Effect::Takes);
            assert_eq!(changeset(&events).confers_nothing(), matches!(effect, Effect::Takes | Effect::Notes));
            // Whatever its events say, a row that confers something is new in it.
            assert_eq!(with_new(changeset(&events), RowKind::Grant).effect(), Effect::Enables);
        }
        // What was refused takes nothing, and stands in nobody's way.
        for control in [ControlPoint::Suspend, ControlPoint::Issue] {
            assert_eq!(of_events([event(EventKind::AccessRefused).at(control)]).effect(), Effect::Notes);
        }
    }

    #[test]
    fn s16_security_can_sign_in_and_bind_nothing_new() {
        let sign_in = |kind| {
            let mut changeset = with_new(changeset(&[EventKind::SignInSucceeded, EventKind::SessionStarted]), kind);
            changeset.stands_for_stopping = true;
            changeset
        };
        assert!(sign_in(RowKind::Session).is_essential());
        assert!(!sign_in(RowKind::Passkey).is_essential());
        assert!(!sign_in(RowKind::SignInBinding).is_essential());
    }

    #[test]
    fn d13_what_cannot_be_written_or_read_back_makes_the_changeset_unwritable() {
        let with = |number, keys: &[(Vec<u8>, u8)]| {
            let mut changeset = changeset(&[EventKind::TeamCreated]);
            let keys = keys.iter().cloned().collect();
            changeset.insert(&Measured { number, keys });
            changeset
        };
        assert_eq!(with(0.5, &[]).unwritable(), None);
        for changeset in [with(f64::NAN, &[]), with(0.5, &[(vec![1], 1)])] {
            assert_eq!(changeset.unwritable().unwrap().what, "the row team/one");
            assert!(changeset.puts.is_empty(), "no empty body waits to be written");
        }
        let mut fact = changeset(&[EventKind::TeamCreated]);
        fact.event(
            Event::new(EventId::from_u128(2), EventKind::TeamCreated)
                .fact("keys", std::collections::BTreeMap::from([(vec![1_u8], 1)])),
        );
        assert_eq!(fact.unwritable().unwrap().what, "the fact `keys` of the event team.created");
        assert!(!fact.events[1].data.contains_key("keys"), "it is no null");
    }
}
