//! Finds the places in what the engine committed.

use std::collections::{HashMap, HashSet};

use regex::Regex;
use serde_json::{Map, Value, json};
use tenure_core::base::time::Timestamp;
use tenure_core::credential::CLOCK_SKEW;
use tenure_core::store::changeset::{Changeset, DueChange, Expect, Put};
use tenure_core::store::event::{Actor, Via};
use tenure_core::store::row::{RowKey, RowKind};

use super::{
    DueStencil, EventStencil, Key, Node, Piece, PutStencil, Slot, SpendStencil, Stencil, Step, Text, Who, Word,
    content_hash, millis_of,
};
use crate::error::SeedError;
use crate::holder::thumbprint;
use crate::recorder::{Part, Recorded};
use crate::stage::unfenced;

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
            #[cfg(test)]
            played: recorded.iter().map(|recorded| unfenced(recorded.changeset.clone())).collect(),
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
