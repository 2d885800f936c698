//! Fills the places of a tale: with the ids, times, names and keys of whom it is told.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use tenure_core::base::id::EventId;
use tenure_core::base::time::Timestamp;
use tenure_core::credential::receipt::Receipt;
use tenure_core::store::changeset::{Changeset, DueChange, Expect, Once, Put, Spend};
use tenure_core::store::event::{Actor, Event, Personal, Via};
use tenure_core::store::row::RowKey;

use super::{
    DueStencil, EventStencil, Key, Node, Piece, PutStencil, Slot, Stencil, Step, Text, Who, Word, content_hash, id_text,
};
use crate::error::SeedError;
use crate::holder::{base64url, thumbprint};
use crate::random::{bytes, number, wide};
use crate::recorder::Part;

/// Whom a tale is told of.
pub(crate) struct Subject<'a> {
    /// What its ids are made of.
    pub(crate) seed: u64,
    /// How much later than it was played, in microseconds.
    pub(crate) shift: i64,
    /// Its department.
    pub(crate) department: Option<&'a Told>,
    /// Where each of its commits that others name came to stand.
    pub(crate) places: &'a [(usize, u64)],
    /// An id that is said by others.
    pub(crate) fixed: Option<(usize, String)>,
}

/// A department of which was told.
pub(crate) struct Told {
    pub(crate) seed: u64,
    pub(crate) shift: i64,
    pub(crate) slug: String,
    pub(crate) words: HashMap<Word, String>,
}

/// What is asked of whoever tells.
pub(crate) trait Teller {
    /// The words of the identity.
    fn word(&mut self, word: Word) -> String;
    /// The `x` of its key.
    fn x(&mut self) -> Result<String, SeedError>;
    /// The operator token that a person has at a time; the first one if there was no other.
    fn token(&mut self, person: &str, at: i64, first: &dyn Fn() -> String) -> String;
    /// A receipt, signed.
    fn sign(&mut self, receipt: &Receipt) -> Result<String, SeedError>;
}

/// When it is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occasion {
    /// When the commit is made, in microseconds.
    pub(crate) at: i64,
    /// How often it was told before.
    pub(crate) again: u32,
    /// Where the commit comes to stand.
    pub(crate) index: u64,
    /// When the history ends: what is over by then, is not kept.
    pub(crate) end: i64,
}

/// Fills the places of a step.
struct Filling<'a, 'b> {
    stencil: &'a Stencil,
    department: Option<&'a Stencil>,
    subject: &'a Subject<'a>,
    occasion: Occasion,
    commit: usize,
    step: &'a Step,
    teller: &'b mut dyn Teller,
    filled: Vec<Option<String>>,
}

/// Tells one commit of a tale of somebody; also who was used by it.
///
/// # Errors
/// What it says can't be signed, or is malformed.
pub(crate) fn tell(
    stencil: &Stencil,
    department: Option<&Stencil>,
    commit: usize,
    subject: &Subject<'_>,
    occasion: Occasion,
    teller: &mut dyn Teller,
) -> Result<(Changeset, Option<String>), SeedError> {
    let step = stencil.steps.get(commit).ok_or_else(|| SeedError::Other("a tale has no such step".into()))?;
    let filled = vec![None; stencil.slots.len()];
    Filling { stencil, department, subject, occasion, commit, step, teller, filled }.changeset()
}

impl Filling<'_, '_> {
    fn shifted(&self, micros: i64) -> Timestamp {
        Timestamp::from_micros(micros + self.shift())
    }

    /// How much later this commit is than it was played.
    fn shift(&self) -> i64 {
        self.occasion.at - self.step.at
    }

    fn department_id(&self, slot: usize) -> Result<String, SeedError> {
        let wrong = || SeedError::Other("a tale names a department that it isn't told of".into());
        let stencil = self.department.ok_or_else(wrong)?;
        let told = self.subject.department.ok_or_else(wrong)?;
        stencil.id_of(slot, told).ok_or_else(wrong)
    }

    fn key(&self, key: &Key) -> Result<String, SeedError> {
        match key {
            Key::Fixed(id) => Ok(id.clone()),
            Key::Department(slot) => self.department_id(*slot),
        }
    }

    fn value(&mut self, place: usize) -> Result<String, SeedError> {
        let wrong = |what: &str| SeedError::Other(format!("a tale has no {what}"));
        if let Some((fixed, id)) = &self.subject.fixed
            && *fixed == place
        {
            return Ok(id.clone());
        }
        let stencil = self.stencil;
        let slot = stencil.slots.get(place).ok_or_else(|| wrong("such place"))?;
        let again = |born: usize| if born == self.commit { u64::from(self.occasion.again) } else { 0 };
        Ok(match slot {
            Slot::Own { prefix, millis, born } => {
                let again = again(*born);
                let shift = if again > 0 { self.shift() } else { self.subject.shift };
                id_text(prefix, millis + shift / 1_000, wide(self.subject.seed, place as u64 | again << 32))
            }
            Slot::Department(slot) => self.department_id(*slot)?,
            Slot::Time(micros) => self.shifted(*micros).to_string(),
            Slot::Word(word) if word.is_department() => match self.subject.department {
                Some(told) => told.words.get(word).cloned().unwrap_or_default(),
                None => self.teller.word(*word),
            },
            Slot::Word(word) => self.teller.word(*word),
            Slot::X => self.teller.x()?,
            Slot::Thumbprint => thumbprint(&self.teller.x()?),
            Slot::Content(content) => {
                let text = stencil.contents.get(*content).ok_or_else(|| wrong("such content"))?;
                content_hash(&self.fill(text)?)
            }
            Slot::Secret { born } => {
                let of = place as u64 | again(*born) << 32;
                base64url(&bytes(self.subject.seed, of))
            }
            Slot::Place { commit, offset } => {
                let place = if *commit == self.commit {
                    self.occasion.index
                } else {
                    let named = self.subject.places.iter().find(|(named, _)| named == commit);
                    named.map(|(_, place)| *place).ok_or_else(|| wrong("place for a commit"))?
                };
                (place + offset).to_string()
            }
            Slot::Token { person, first } => {
                let id = self.key(person)?;
                let first = self.key(first)?;
                self.teller.token(&id, self.occasion.at, &|| first.clone())
            }
            Slot::Signed => "null".to_owned(),
        })
    }

    fn write(&mut self, text: &Text, into: &mut String) -> Result<(), SeedError> {
        for piece in &text.0 {
            match piece {
                Piece::Fixed(fixed) => into.push_str(fixed),
                Piece::Slot(place) => {
                    if !matches!(self.filled.get(*place), Some(Some(_))) {
                        let value = self.value(*place)?;
                        if let Some(slot) = self.filled.get_mut(*place) {
                            *slot = Some(value);
                        }
                    }
                    if let Some(Some(value)) = self.filled.get(*place) {
                        into.push_str(value);
                    }
                }
            }
        }
        Ok(())
    }

    fn fill(&mut self, text: &Text) -> Result<String, SeedError> {
        let mut filled = String::with_capacity(96);
        self.write(text, &mut filled)?;
        Ok(filled)
    }

    fn node(&mut self, node: &Node) -> Result<Value, SeedError> {
        Ok(match node {
            Node::Fixed(value) => value.clone(),
            Node::Text(text) => Value::String(self.fill(text)?),
            Node::Place(place) => {
                let index: u64 = self.value(*place)?.parse().unwrap_or_default();
                json!({"shard": 0, "index": index})
            }
            Node::Array(items) => Value::Array(items.iter().map(|item| self.node(item)).collect::<Result<_, _>>()?),
            Node::Object(members) => {
                let mut object = Map::new();
                for (name, member) in members {
                    object.insert(self.fill(name)?, self.node(member)?);
                }
                Value::Object(object)
            }
        })
    }

    fn parsed<T: std::str::FromStr>(&mut self, text: &Text) -> Result<T, SeedError> {
        let text = self.fill(text)?;
        text.parse().map_err(|_| SeedError::Shape(format!("{text} is no id of its kind")))
    }

    fn event(&mut self, event: &EventStencil) -> Result<Event, SeedError> {
        let id = self.value(event.id)?;
        let id: EventId = id.parse().map_err(|_| SeedError::Shape(format!("{id} is no event's")))?;
        let mut told = Event::new(id, event.kind).at(event.control);
        for subject in &event.subjects {
            told.subjects.push(self.fill(subject)?);
        }
        for (name, node) in &event.data {
            let (name, value) = (self.fill(name)?, self.node(node)?);
            told.data.insert(name, value);
        }
        for (n, (subject, field, value)) in event.personal.iter().enumerate() {
            let salt = bytes(self.subject.seed, (event.id as u64) << 16 | n as u64);
            told.personal.push(Personal { subject: self.fill(subject)?, field, salt, value: self.fill(value)? });
        }
        Ok(told)
    }

    fn put(&mut self, put: &PutStencil) -> Result<Put, SeedError> {
        let mut body = String::with_capacity(1_024);
        self.write(&put.body, &mut body)?;
        if put.signed {
            let receipt: Receipt =
                serde_json::from_str(&body).map_err(|error| SeedError::Shape(format!("a receipt: {error}")))?;
            let receipt = Receipt { signed: Some(self.teller.sign(&receipt)?), ..receipt };
            body = serde_json::to_string(&receipt).map_err(|error| SeedError::Other(error.to_string()))?;
        }
        let mut terms = put.terms.iter().map(|term| self.fill(term)).collect::<Result<Vec<_>, _>>()?;
        terms.sort_unstable();
        Ok(Put {
            key: RowKey { kind: put.kind, id: self.fill(&put.id)? },
            replaces: put.replaces,
            body: body.into_bytes(),
            terms,
            droppable_after: put.droppable_after.map(|at| self.shifted(at)),
        })
    }

    fn changeset(mut self) -> Result<(Changeset, Option<String>), SeedError> {
        let step = self.step;
        let actor = match &step.who {
            Who::Person(id, proof, session) => {
                let id = self.parsed(id)?;
                let via =
                    if *session { Via::Session(self.parsed(proof)?) } else { Via::OperatorToken(self.parsed(proof)?) };
                Actor::Person { id, via }
            }
            Who::Identity(id) => Actor::Identity { id: self.parsed(id)? },
            Who::Fixed(actor) => actor.clone(),
        };
        let used = match &actor {
            Actor::Identity { id } if step.part == Part::Issuance => Some(id.to_string()),
            _ => None,
        };
        let mut events = step.events.iter();
        let first = events.next().ok_or_else(|| SeedError::Shape("a commit without an event".into()))?;
        let first = self.event(first)?;
        let at = Timestamp::from_micros(self.occasion.at);
        let mut changeset = Changeset::new(actor, at, first);
        for event in events {
            let event = self.event(event)?;
            changeset.events.push(event);
        }
        changeset.stands_for_stopping = step.stands_for_stopping;
        for (kind, id, revision) in &step.expects {
            let key = RowKey { kind: *kind, id: self.fill(id)? };
            changeset.expects.push(match revision {
                Some(revision) => Expect::Revision(key, *revision),
                None => Expect::Absent(key),
            });
        }
        for put in &step.puts {
            let put = self.put(put)?;
            changeset.puts.push(put);
        }
        for (n, (space, key, until)) in step.once.iter().enumerate() {
            let until = until.map(|until| self.shifted(until));
            // What is remembered for a while is forgotten by the end, and never the same twice.
            if until.is_some_and(|until| until.as_micros() < self.occasion.end) {
                continue;
            }
            let mut key = self.fill(key)?;
            if until.is_some() {
                let of = (self.commit as u64) << 40 | u64::from(self.occasion.again) << 8 | n as u64;
                key = format!("{key}-{:016x}", number(self.subject.seed, of));
            }
            changeset.once.push(Once { space, key, until });
        }
        for spend in &step.spends {
            let until = self.shifted(spend.spend.until.as_micros());
            if until.as_micros() >= self.occasion.end {
                let budget = self.fill(&spend.budget)?;
                let minute = 60_000_000;
                let window = Timestamp::from_micros(self.occasion.at / minute * minute);
                changeset.spends.push(Spend { budget, window, until, ..spend.spend.clone() });
            }
        }
        for due in &step.due {
            changeset.due.push(match due {
                DueStencil::Set(kind, subject, at) => DueChange::Set(*kind, self.fill(subject)?, self.shifted(*at)),
                DueStencil::Clear(kind, subject) => DueChange::Clear(*kind, self.fill(subject)?),
            });
        }
        Ok((changeset, used))
    }
}
