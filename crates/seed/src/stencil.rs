//! Stencils: what the engine committed once, with a place for everything that is another's when it is told of another.
//!
//! Nothing here knows what a row or an event looks like. Ids, times, names, keys and hashes are found in what was
//! committed by what they look like; whatever is left is the same for everybody.

use std::collections::{HashMap, HashSet};

use regex::Regex;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tenure_core::base::id::EventId;
use tenure_core::base::time::Timestamp;
use tenure_core::credential::CLOCK_SKEW;
use tenure_core::credential::receipt::Receipt;
use tenure_core::store::changeset::{Changeset, DueChange, Expect, Once, Put, Spend};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::{Actor, ControlPoint, Event, Personal, Via};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::{RowKey, RowKind};

use crate::error::SeedError;
use crate::frame::department;
use crate::holder::{base64url, thumbprint};
use crate::random::{bytes, number, wide};
use crate::recorder::{Part, Recorded};
use crate::stage::unfenced;
use crate::tale::life;

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
    fn all() -> Vec<(&'static str, Self)> {
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
}

/// What was there when a tale began.
pub(crate) struct Before<'a> {
    /// Every id of the deployment's own.
    pub(crate) frame: &'a HashSet<String>,
    /// The department.
    pub(crate) department: Option<&'a Stencil>,
    /// Operator tokens, and whose they are; of each person the first one too.
    pub(crate) tokens: &'a HashMap<String, (String, String)>,
    /// The bodies of rows.
    pub(crate) rows: HashMap<RowKey, Value>,
    /// The key's `x`.
    pub(crate) x: Option<String>,
    /// When the tale began.
    pub(crate) begun: Timestamp,
}

/// Finds places.
struct Finder<'a> {
    before: &'a Before<'a>,
    pattern: Regex,
    words: HashMap<&'static str, Word>,
    stencil: Stencil,
    known: HashMap<String, usize>,
    /// The place and the length of each commit as it was played.
    places: Vec<(u64, u64)>,
    rows: HashMap<RowKey, Value>,
    commit: usize,
}

impl Stencil {
    /// The stencil of what was committed.
    ///
    /// # Errors
    /// Something can't be told of others.
    pub(crate) fn of(recorded: &[Recorded], before: &Before<'_>) -> Result<Self, SeedError> {
        let words: HashMap<&'static str, Word> = Word::all().into_iter().collect();
        let mut alternatives = vec![
            r#""hash":"[A-Za-z0-9_-]{43}""#.to_owned(),
            r#""signed":"[A-Za-z0-9_.-]+""#.to_owned(),
            r#"\{"shard":0,"index":[0-9]+\}"#.to_owned(),
            "v2:sha256:[0-9a-f]{64}".to_owned(),
            "[a-z]{3}_[0-7][0-9a-hjkmnp-tv-z]{25}".to_owned(),
            r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?Z".to_owned(),
        ];
        alternatives.extend(words.keys().map(|word| regex::escape(word)));
        if let Some(x) = &before.x {
            alternatives.extend([regex::escape(x), regex::escape(&thumbprint(x))]);
        }
        let pattern = Regex::new(&alternatives.join("|")).map_err(|error| SeedError::Other(error.to_string()))?;
        let recorded: Vec<&Recorded> = recorded.iter().filter(|recorded| recorded.part != Part::Beside).collect();
        let places = recorded.iter().map(|one| (one.index, one.changeset.events.len() as u64)).collect();
        let stencil = Self {
            begun: before.begun.as_micros(),
            steps: Vec::new(),
            slots: Vec::new(),
            contents: Vec::new(),
            ids: HashMap::new(),
        };
        let rows = before.rows.clone();
        let mut finder = Finder { before, pattern, words, stencil, known: HashMap::new(), places, rows, commit: 0 };
        for (commit, recorded) in recorded.into_iter().enumerate() {
            finder.commit = commit;
            finder.step(unfenced(recorded.changeset.clone()), recorded.part)?;
        }
        let mut stencil = finder.stencil;
        stencil.note_named();
        Ok(stencil)
    }

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

impl Finder<'_> {
    fn slot(&mut self, text: &str, slot: Slot) -> usize {
        if let Some(known) = self.known.get(text) {
            return *known;
        }
        let place = self.stencil.slots.len();
        if matches!(slot, Slot::Own { .. }) {
            self.stencil.ids.insert(text.to_owned(), place);
        }
        self.stencil.slots.push(slot);
        self.known.insert(text.to_owned(), place);
        place
    }

    fn text(&mut self, text: &str) -> Result<Text, SeedError> {
        let pattern = self.pattern.clone();
        let mut pieces = Vec::new();
        let mut end = 0;
        for found in pattern.find_iter(text) {
            let (before, slot, after) = self.place(found.as_str())?;
            let Some(slot) = slot else { continue };
            let fixed = format!("{}{before}", text.get(end..found.start()).unwrap_or_default());
            if !fixed.is_empty() {
                pieces.push(Piece::Fixed(fixed));
            }
            pieces.push(Piece::Slot(slot));
            if !after.is_empty() {
                pieces.push(Piece::Fixed(after.to_owned()));
            }
            end = found.end();
        }
        let rest = text.get(end..).unwrap_or_default();
        if !rest.is_empty() {
            pieces.push(Piece::Fixed(rest.to_owned()));
        }
        Ok(Text(pieces))
    }

    /// What was found, as what comes before its slot, the slot, and what comes behind; no slot if it is everybody's.
    fn place(&mut self, found: &str) -> Result<(&'static str, Option<usize>, &'static str), SeedError> {
        if found.starts_with(r#""hash":"#) {
            let born = self.commit;
            return Ok((r#""hash":""#, Some(self.slot(found, Slot::Secret { born })), "\""));
        }
        if found.starts_with(r#""signed":"#) {
            return Ok((r#""signed":"#, Some(self.slot("signed", Slot::Signed)), ""));
        }
        if let Some(index) = found.strip_prefix(r#"{"shard":0,"index":"#) {
            let index = index.trim_end_matches('}').parse().unwrap_or(u64::MAX);
            return Ok(match self.log_place(index)? {
                Some(slot) => (r#"{"shard":0,"index":"#, Some(slot), "}"),
                None => ("", None, ""),
            });
        }
        if found.starts_with("v2:sha256:") {
            return Ok(("", Some(self.content(found)?), ""));
        }
        if let Some(word) = self.words.get(found).copied() {
            return Ok(("", Some(self.slot(found, Slot::Word(word))), ""));
        }
        if let Some(x) = &self.before.x {
            if x == found {
                return Ok(("", Some(self.slot(found, Slot::X)), ""));
            }
            if thumbprint(x) == found {
                return Ok(("", Some(self.slot(found, Slot::Thumbprint)), ""));
            }
        }
        if found.as_bytes().get(10) == Some(&b'T') {
            let at: Timestamp = found.parse().map_err(|_| SeedError::Shape(format!("{found} is no time")))?;
            // What is older is the deployment's, or the department's.
            let slot = (at >= self.before.begun).then(|| self.slot(found, Slot::Time(at.as_micros())));
            return Ok(("", slot, ""));
        }
        Ok(("", self.id(found)?, ""))
    }

    fn key(&self, id: &str) -> Key {
        match self.before.department.and_then(|department| department.slot_of(id)) {
            Some(slot) => Key::Department(slot),
            None => Key::Fixed(id.to_owned()),
        }
    }

    fn id(&mut self, id: &str) -> Result<Option<usize>, SeedError> {
        if let Some((person, first)) = self.before.tokens.get(id) {
            let (person, first) = (self.key(person), self.key(first));
            // Whoever it was played with: it is the person's that counts.
            let name = format!("token {person:?}");
            return Ok(Some(self.slot(&name, Slot::Token { person, first })));
        }
        if let Some(slot) = self.before.department.and_then(|department| department.slot_of(id)) {
            return Ok(Some(self.slot(id, Slot::Department(slot))));
        }
        if self.before.frame.contains(id) {
            return Ok(None);
        }
        let (Some(prefix), Some(millis)) = (id.get(..3), millis_of(id)) else {
            return Err(SeedError::Shape(format!("{id} is no id")));
        };
        let slot = Slot::Own { prefix: prefix.to_owned(), millis, born: self.commit };
        Ok(Some(self.slot(id, slot)))
    }

    fn log_place(&mut self, index: u64) -> Result<Option<usize>, SeedError> {
        let Some((first, _)) = self.places.first() else { return Ok(None) };
        if index < *first {
            return Ok(None);
        }
        let commit = self.places.iter().rposition(|(place, _)| *place <= index).unwrap_or_default();
        let (place, length) = self.places.get(commit).copied().unwrap_or_default();
        let own = self.places.get(self.commit).map_or(0, |(place, _)| *place);
        // The length of the log when something was decided: where the commit itself came to stand.
        let (commit, offset) = if index - place < length || commit < self.commit {
            (commit, index - place)
        } else {
            (self.commit, index.saturating_sub(own))
        };
        Ok(Some(self.slot(&format!("place {commit} {offset}"), Slot::Place { commit, offset })))
    }

    /// What votes bind, made anew from what it is made of: the engine's `content_hash`.
    fn content(&mut self, hash: &str) -> Result<usize, SeedError> {
        if let Some(known) = self.known.get(hash) {
            return Ok(*known);
        }
        let request = self
            .rows
            .values()
            .find(|row| row.get("content_hash").and_then(Value::as_str) == Some(hash))
            .cloned()
            .ok_or_else(|| SeedError::Shape(format!("{hash} is no request's")))?;
        let matter = request.get("matter").cloned().unwrap_or_default();
        let row = |kind: RowKind, name: &str| {
            let id = matter.get(name).and_then(Value::as_str)?;
            self.rows.get(&RowKey::new(kind, id)).cloned()
        };
        let part = |row: &Option<Value>, name: &str| row.as_ref().and_then(|row| row.get(name)).cloned();
        let identity = row(RowKind::Identity, "identity");
        let subject = match matter.get("type").and_then(Value::as_str) {
            Some("activation") => {
                json!({"name": part(&identity, "name"), "kind": part(&identity, "kind"), "charter": part(&identity, "charter")})
            }
            Some("charter") => json!({"from": part(&identity, "charter"), "to": matter.get("charter")}),
            Some("access" | "renewal") => json!({"charter": part(&identity, "charter")}),
            Some("roles") => json!({"from": part(&row(RowKind::Person, "person"), "roles")}),
            Some("exception") => {
                let exception = row(RowKind::Exception, "exception");
                let id = exception.as_ref().and_then(|exception| exception.pointer("/subject/id")?.as_str());
                let identity = id.and_then(|id| self.rows.get(&RowKey::new(RowKind::Identity, id)).cloned());
                json!({
                    "identity": {"id": part(&identity, "id"), "kind": part(&identity, "kind"), "charter": part(&identity, "charter")},
                    "type": part(&exception, "type"),
                    "compensating": part(&exception, "compensating"),
                    "duration": part(&exception, "duration"),
                    "renews": part(&exception, "renews"),
                    "renewals": part(&exception, "renewals"),
                })
            }
            other => return Err(SeedError::Shape(format!("what votes about {other:?} bind is not known"))),
        };
        let mut bound = Map::from_iter([
            ("matter".to_owned(), matter),
            ("purpose".to_owned(), request.get("purpose").cloned().unwrap_or_default()),
            ("subject".to_owned(), subject),
        ]);
        if let Some(start) = request.get("starts_at").filter(|start| !start.is_null()) {
            bound.insert("starts_at".to_owned(), start.clone());
        }
        let mut text = String::new();
        canonical(&Value::Object(bound), &mut text);
        if content_hash(&text) != hash {
            return Err(SeedError::Shape(format!("what votes bind is made of something else than {text}")));
        }
        let text = self.text(&text)?;
        let place = self.stencil.contents.len();
        self.stencil.contents.push(text);
        Ok(self.slot(hash, Slot::Content(place)))
    }

    fn node(&mut self, value: &Value) -> Result<Node, SeedError> {
        Ok(match value {
            Value::String(text) => {
                let text = self.text(text)?;
                if text.slots().next().is_none() { Node::Fixed(value.clone()) } else { Node::Text(text) }
            }
            Value::Array(items) => Node::Array(items.iter().map(|item| self.node(item)).collect::<Result<_, _>>()?),
            Value::Object(members) => {
                if let (2, Some(index), Some(_)) =
                    (members.len(), members.get("index").and_then(Value::as_u64), members.get("shard"))
                {
                    return Ok(self.log_place(index)?.map_or_else(|| Node::Fixed(value.clone()), Node::Place));
                }
                Node::Object(
                    members.iter().map(|(name, member)| Ok((self.text(name)?, self.node(member)?))).collect::<Result<
                        _,
                        SeedError,
                    >>(
                    )?,
                )
            }
            other => Node::Fixed(other.clone()),
        })
    }

    fn texts(&mut self, texts: &[String]) -> Result<Vec<Text>, SeedError> {
        texts.iter().map(|text| self.text(text)).collect()
    }

    fn step(&mut self, changeset: Changeset, part: Part) -> Result<(), SeedError> {
        self.check(&changeset)?;
        // First of all what it writes: what votes bind is made of it, and may have changed along with it.
        let before = self.rows.clone();
        for put in &changeset.puts {
            let body = serde_json::from_slice(&put.body).map_err(|error| SeedError::Other(error.to_string()))?;
            self.rows.insert(put.key.clone(), body);
        }
        // A request that is new binds the charter as it stood.
        let asks = |put: &Put| put.key.kind == RowKind::Request && put.replaces == 0;
        if !changeset.puts.iter().any(asks) {
            for (key, body) in before {
                if key.kind == RowKind::Identity {
                    self.rows.insert(key, body);
                }
            }
        }
        let who = match changeset.actor {
            Actor::Person { id, via } => {
                let (proof, session) = match via {
                    Via::OperatorToken(token) => (token.to_string(), false),
                    Via::Session(session) => (session.to_string(), true),
                };
                Who::Person(self.text(&id.to_string())?, self.text(&proof)?, session)
            }
            Actor::Identity { id } => Who::Identity(self.text(&id.to_string())?),
            other => Who::Fixed(other),
        };
        let mut events = Vec::with_capacity(changeset.events.len());
        for event in &changeset.events {
            let id =
                self.id(&event.id.to_string())?.ok_or_else(|| SeedError::Shape("an event was there before".into()))?;
            let mut data = Vec::new();
            for (name, value) in &event.data {
                data.push((self.text(name)?, self.node(value)?));
            }
            let mut personal = Vec::new();
            for one in &event.personal {
                personal.push((self.text(&one.subject)?, one.field, self.text(&one.value)?));
            }
            let subjects = self.texts(&event.subjects)?;
            events.push(EventStencil { id, kind: event.kind(), control: event.control(), subjects, data, personal });
        }
        let mut expects = Vec::new();
        for expect in &changeset.expects {
            let (key, revision) = match expect {
                Expect::Revision(key, revision) => (key, Some(*revision)),
                Expect::Absent(key) => (key, None),
            };
            expects.push((key.kind, self.text(&key.id)?, revision));
        }
        let mut puts = Vec::new();
        for put in &changeset.puts {
            let body = std::str::from_utf8(&put.body).map_err(|error| SeedError::Other(error.to_string()))?;
            let body = self.text(body)?;
            let signed = body.slots().any(|slot| self.stencil.slots.get(slot) == Some(&Slot::Signed));
            puts.push(PutStencil {
                kind: put.key.kind,
                id: self.text(&put.key.id)?,
                replaces: put.replaces,
                body,
                terms: self.texts(&put.terms)?,
                droppable_after: put.droppable_after.map(Timestamp::as_micros),
                signed,
            });
        }
        let mut once = Vec::new();
        for one in &changeset.once {
            once.push((one.space, self.text(&one.key)?, one.until.map(Timestamp::as_micros)));
        }
        let mut spends = Vec::new();
        for spend in &changeset.spends {
            spends.push(SpendStencil { budget: self.text(&spend.budget)?, spend: spend.clone() });
        }
        let mut due = Vec::new();
        for change in &changeset.due {
            due.push(match change {
                DueChange::Set(kind, subject, at) | DueChange::Retry(kind, subject, _, at) => {
                    DueStencil::Set(*kind, self.text(subject)?, at.as_micros())
                }
                DueChange::Clear(kind, subject) | DueChange::Ack(kind, subject, _) => {
                    DueStencil::Clear(*kind, self.text(subject)?)
                }
            });
        }
        let at = changeset.at.as_micros();
        let state = changeset.puts.iter().rfind(|put| put.key.kind == RowKind::Identity).and_then(|put| {
            let body: Value = serde_json::from_slice(&put.body).ok()?;
            Some(body.get("state")?.as_str()?.to_owned())
        });
        let issued = changeset.puts.iter().find(|put| put.key.kind == RowKind::Credential && put.replaces == 0);
        // What also notes who came, as an agent's does, comes no second time.
        let only = changeset.puts.iter().all(|put| put.replaces == 0);
        let life = issued
            .filter(|_| only && part == Part::Issuance && matches!(who, Who::Identity(_)))
            .and_then(|put| Some(put.droppable_after?.as_micros() - at - CLOCK_SKEW.as_micros()));
        self.stencil.steps.push(Step {
            offset: at - self.stencil.begun,
            part,
            at,
            who,
            events,
            expects,
            puts,
            once,
            spends,
            due,
            stands_for_stopping: changeset.stands_for_stopping,
            is_named: false,
            state,
            life,
        });
        // From now on every row is what it says.
        for put in &changeset.puts {
            let body = serde_json::from_slice(&put.body).map_err(|error| SeedError::Other(error.to_string()))?;
            self.rows.insert(put.key.clone(), body);
        }
        Ok(())
    }

    /// What is others' too can't be written by a tale that is told often.
    fn check(&self, changeset: &Changeset) -> Result<(), SeedError> {
        let wrong = |what: String| Err(SeedError::Shape(what));
        if !changeset.erase.is_empty() {
            return wrong("it erases what is personal".into());
        }
        for put in changeset.puts.iter().filter(|put| put.replaces > 0) {
            if self.before.rows.contains_key(&put.key) {
                return wrong(format!("{} is changed by it, which was there before", put.key));
            }
        }
        Ok(())
    }
}

/// Canonical JSON (RFC 8785), of names in ASCII.
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(object) => {
            let mut members: Vec<_> = object.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            for (n, (name, member)) in members.into_iter().enumerate() {
                text.push_str(if n == 0 { "" } else { "," });
                text.push_str(&Value::String(name.clone()).to_string());
                text.push(':');
                canonical(member, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (n, item) in items.iter().enumerate() {
                text.push_str(if n == 0 { "" } else { "," });
                canonical(item, text);
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
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

#[cfg(test)]
mod tests {
    use tenure_core::base::id::IdentityId;

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
