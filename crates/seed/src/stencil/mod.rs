//! Stencils: what the engine committed once, with a place for everything that is another's when it is told of another.
//!
//! Nothing here knows what a row or an event looks like. Ids, times, names, keys and hashes are found in what was
//! committed by what they look like; whatever is left is the same for everybody.

mod fill;
mod find;

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tenure_core::store::changeset::Spend;
use tenure_core::store::due::DueKind;
use tenure_core::store::event::{Actor, ControlPoint};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::RowKind;

use crate::frame::department;
use crate::random::wide;
use crate::recorder::Part;
use crate::tale::life;

pub(crate) use self::fill::{Occasion, Subject, Teller, Told, tell};
pub(crate) use self::find::Before;

/// The alphabet of ids.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// What stands for something of which each has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Word {
    Slug,
    Person(u8),
    Mail(u8),
    Account,
    Name,
    Purpose,
    Repository,
    Reason,
    Leaver,
    LeaverMail,
}

impl Word {
    pub(crate) fn all() -> Vec<(&'static str, Self)> {
        let mut all = vec![
            (department::SLUG, Self::Slug),
            (department::ACCOUNT, Self::Account),
            (life::NAME, Self::Name),
            (life::PURPOSE, Self::Purpose),
            (life::REPOSITORY, Self::Repository),
            (life::REASON, Self::Reason),
            (life::LEAVER, Self::Leaver),
            (life::MAIL, Self::LeaverMail),
        ];
        all.extend(department::PEOPLE.into_iter().zip((0..).map(Self::Person)));
        all.extend(department::MAILS.into_iter().zip((0..).map(Self::Mail)));
        all
    }

    const fn is_department(self) -> bool {
        matches!(self, Self::Slug | Self::Account | Self::Person(_) | Self::Mail(_))
    }
}

/// What stands in a place: nobody else's, or a slot of the department's stencil.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Fixed(String),
    Department(usize),
}

/// A place.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Slot {
    /// An id that the tale made, in this commit.
    Own {
        prefix: String,
        millis: i64,
        born: usize,
    },
    /// An id that the department's stencil made.
    Department(usize),
    /// A time.
    Time(i64),
    Word(Word),
    /// The key's `x`, and its thumbprint.
    X,
    Thumbprint,
    /// What votes bind.
    Content(usize),
    /// The hash of a secret that nobody holds.
    Secret {
        born: usize,
    },
    /// A place in the log.
    Place {
        commit: usize,
        offset: u64,
    },
    /// The operator token that somebody has at the time.
    Token {
        person: Key,
        first: Key,
    },
    /// A signed receipt.
    Signed,
}

#[derive(Debug, Clone)]
enum Piece {
    Fixed(String),
    Slot(usize),
}

/// A text with places.
#[derive(Debug, Clone, Default)]
struct Text(Vec<Piece>);

impl Text {
    fn slots(&self) -> impl Iterator<Item = usize> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Slot(slot) => Some(*slot),
            Piece::Fixed(_) => None,
        })
    }
}

/// A value with places.
#[derive(Debug, Clone)]
enum Node {
    Fixed(Value),
    Text(Text),
    Place(usize),
    Array(Vec<Node>),
    Object(Vec<(Text, Node)>),
}

#[derive(Debug, Clone)]
enum Who {
    Person(Text, Text, bool),
    Identity(Text),
    Fixed(Actor),
}

#[derive(Debug, Clone)]
struct EventStencil {
    id: usize,
    kind: EventKind,
    control: ControlPoint,
    subjects: Vec<Text>,
    data: Vec<(Text, Node)>,
    personal: Vec<(Text, &'static str, Text)>,
}

#[derive(Debug, Clone)]
struct PutStencil {
    kind: RowKind,
    id: Text,
    replaces: u64,
    body: Text,
    terms: Vec<Text>,
    droppable_after: Option<i64>,
    signed: bool,
}

#[derive(Debug, Clone)]
struct SpendStencil {
    budget: Text,
    spend: Spend,
}

#[derive(Debug, Clone)]
enum DueStencil {
    Set(DueKind, Text, i64),
    Clear(DueKind, Text),
}

/// One commit of a tale.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// How long after the tale's beginning, in microseconds.
    pub(crate) offset: i64,
    pub(crate) part: Part,
    at: i64,
    who: Who,
    events: Vec<EventStencil>,
    expects: Vec<(RowKind, Text, Option<u64>)>,
    puts: Vec<PutStencil>,
    once: Vec<(&'static str, Text, Option<i64>)>,
    spends: Vec<SpendStencil>,
    due: Vec<DueStencil>,
    stands_for_stopping: bool,
    /// Whether a later commit names its place in the log.
    pub(crate) is_named: bool,
    /// What state its identity is in after it, if it says so.
    pub(crate) state: Option<String>,
    /// How long what is issued by it lives, in microseconds, where it could be issued any number of times.
    pub(crate) life: Option<i64>,
}

impl Step {
    /// Rows that it writes.
    pub(crate) fn rows(&self) -> u64 {
        self.puts.len() as u64
    }
}

/// A tale as it is told.
#[derive(Debug, Clone)]
pub(crate) struct Stencil {
    /// When it began as it was played.
    pub(crate) begun: i64,
    pub(crate) steps: Vec<Step>,
    slots: Vec<Slot>,
    contents: Vec<Text>,
    /// The slots of ids, by the id as it was played.
    ids: HashMap<String, usize>,
    /// What was committed as it was played.
    #[cfg(test)]
    pub(crate) played: Vec<tenure_core::store::changeset::Changeset>,
}

impl Stencil {
    fn note_named(&mut self) {
        let mut named = HashSet::new();
        for (n, step) in self.steps.iter().enumerate() {
            for slot in step.places() {
                if let Some(Slot::Place { commit, .. }) = self.slots.get(slot)
                    && *commit != n
                {
                    named.insert(*commit);
                }
            }
        }
        for (n, step) in self.steps.iter_mut().enumerate() {
            step.is_named = named.contains(&n);
        }
    }

    /// The id that a slot has of somebody.
    pub(crate) fn id_of(&self, slot: usize, told: &Told) -> Option<String> {
        match self.slots.get(slot) {
            Some(Slot::Own { prefix, millis, .. }) => {
                Some(id_text(prefix, millis + told.shift / 1_000, wide(told.seed, slot as u64)))
            }
            _ => None,
        }
    }

    /// The slot of an id as it was played.
    pub(crate) fn slot_of(&self, id: &str) -> Option<usize> {
        self.ids.get(id).copied()
    }
}

impl Step {
    fn places(&self) -> impl Iterator<Item = usize> {
        let bodies = self.puts.iter().flat_map(|put| put.body.slots());
        let facts = self.events.iter().flat_map(|event| &event.data).flat_map(|(_, node)| {
            let mut found = Vec::new();
            node.places(&mut found);
            found
        });
        bodies.chain(facts)
    }
}

impl Node {
    fn places(&self, found: &mut Vec<usize>) {
        match self {
            Self::Place(slot) => found.push(*slot),
            Self::Array(items) => items.iter().for_each(|item| item.places(found)),
            Self::Object(members) => members.iter().for_each(|(_, member)| member.places(found)),
            Self::Fixed(_) | Self::Text(_) => {}
        }
    }
}

/// The engine's hash over what votes bind.
fn content_hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let mut hash = String::with_capacity(74);
    hash.push_str("v2:sha256:");
    for byte in digest {
        for half in [byte >> 4, byte & 15] {
            hash.push(char::from_digit(u32::from(half), 16).unwrap_or('0'));
        }
    }
    hash
}

fn millis_of(id: &str) -> Option<i64> {
    let mut value: u128 = 0;
    for byte in id.get(4..)?.bytes() {
        let digit = ALPHABET.iter().position(|letter| *letter == byte)?;
        value = (value << 5) | u128::try_from(digit).ok()?;
    }
    i64::try_from(value >> 80).ok()
}

/// An id: a UUIDv7 of this time and these bits.
pub(crate) fn id_text(prefix: &str, millis: i64, random: u128) -> String {
    let millis = u128::try_from(millis).unwrap_or(0) & 0xffff_ffff_ffff;
    let (a, b) = ((random >> 100) & 0xfff, random & 0x3fff_ffff_ffff_ffff);
    let mut value = (millis << 80) | (7 << 76) | (a << 64) | (0b10 << 62) | b;
    let mut text = [b'0'; 26];
    for slot in text.iter_mut().rev() {
        *slot = ALPHABET.get((value & 31) as usize).copied().unwrap_or(b'0');
        value >>= 5;
    }
    format!("{prefix}_{}", std::str::from_utf8(&text).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use tenure_core::base::id::IdentityId;
    use tenure_core::base::time::Timestamp;

    use super::*;

    #[test]
    fn an_id_is_the_engines_and_says_its_time() {
        let text = id_text("idn", 1_790_000_000_123, u128::MAX / 3);
        let id: IdentityId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(millis_of(&text), Some(1_790_000_000_123));
        let floor = IdentityId::floor(Timestamp::from_micros(1_790_000_000_123_000));
        let next = IdentityId::floor(Timestamp::from_micros(1_790_000_000_124_000));
        assert!(floor < id && id < next);
    }
}
