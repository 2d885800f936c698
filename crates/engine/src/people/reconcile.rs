//! A feed of people against the people who are known: who joins, moves and leaves, and what has to be asked (R17, R92).
//!
//! What a feed lacks is never a deletion (invariant 6): of a complete feed it is a question, of any other nothing.
//! Nobody is recognised by an e-mail address: it only raises the question. Nothing here confers or takes away a role
//! (S-8), and nothing touches an identity but through its owner's leaving (R94).

use std::collections::{BTreeMap, BTreeSet};

use tenure_api::people::{ImportItem, ImportOutcome};
use tenure_core::base::id::{DifferenceId, PersonId, TeamId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::people::difference::{Difference, DifferenceDecision, DifferenceKind};
use tenure_core::people::person::{LeftTeam, Person, PersonClass, PersonState, SourceRef};

use crate::kernel::digest::sha256;
use crate::people::feed::Row;

/// Records that a complete feed may always lack, and the part of them, before it counts as a failed read.
const MAY_LACK: (usize, usize) = (2, 5);

/// For how long those whom a source ended count among the people that it may end.
const ENDED_LATELY: Span = Span::from_days(1);

/// What is known before the feed is read.
#[derive(Debug, Default)]
pub struct KnownPeople {
    /// People of this source, by key.
    pub people: BTreeMap<String, Person>,
    /// Keys of people of this source whose records can't be read: they stay as they are.
    pub unreadable: BTreeSet<String>,
    /// People who were made by hand and have not left, by e-mail address in lower case.
    pub by_hand: BTreeMap<String, PersonId>,
    /// Everybody's manager.
    pub managers: BTreeMap<PersonId, PersonId>,
    /// Teams by name.
    pub teams: BTreeMap<String, TeamId>,
    /// The source's differences that still stand.
    pub standing: Vec<Difference>,
}

/// Ids for what is new.
pub struct Fresh<'a> {
    /// Of people.
    pub person: &'a dyn Fn() -> PersonId,
    /// Of teams.
    pub team: &'a dyn Fn() -> TeamId,
}

/// A new question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The record's key.
    pub key: String,
    /// The person concerned.
    pub person: Option<PersonId>,
    /// What differs.
    pub kind: DifferenceKind,
}

/// What a feed demands.
#[derive(Debug, Default)]
pub struct ImportPlan {
    /// Teams to make.
    pub teams: BTreeMap<String, TeamId>,
    /// People to make; managers come before those whom they manage.
    pub joiners: Vec<Person>,
    /// People as they are to be, by key.
    pub movers: Vec<(String, Person)>,
    /// People who leave, as they are to be otherwise, by key.
    pub leavers: Vec<(String, Person)>,
    /// Questions to open.
    pub questions: Vec<Question>,
    /// Questions that have answered themselves.
    pub settled: Vec<DifferenceId>,
    /// Rows that say what is known.
    pub unchanged: usize,
    /// All of it, for whoever handed the feed in.
    pub items: Vec<ImportItem>,
}

/// The feed reads like a failed export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooShort {
    /// Records that the source had.
    pub expected: usize,
    /// Those of them that the feed lacks or ends.
    pub missing: usize,
}

/// Compares.
///
/// # Errors
/// The feed calls itself complete, and lacks too much for that.
pub fn plan(
    source: &str,
    rows: &[Row],
    complete: bool,
    known: &KnownPeople,
    fresh: &Fresh<'_>,
    now: Timestamp,
) -> Result<ImportPlan, TooShort> {
    let keys: BTreeSet<&str> = rows.iter().map(|row| row.key.as_str()).collect();
    if complete {
        check_length(&keys, known)?;
    }
    let mut work =
        Work { source, known, now, plan: ImportPlan::default(), wanted: BTreeMap::new(), next: BTreeMap::new() };
    for row in rows {
        work.row(row, fresh);
    }
    work.managers(rows);
    work.sort_out(rows);
    // Those whom it ended a moment ago count, too: many short feeds are a long one.
    let ended = known
        .people
        .values()
        .filter(|person| person.ended_by_source_at.is_some_and(|at| now.since(at) < ENDED_LATELY))
        .count();
    within_cap(
        live(known).count() + ended,
        work.plan.leavers.len() + if work.plan.leavers.is_empty() { 0 } else { ended },
    )?;
    if complete {
        for (key, person) in known
            .people
            .iter()
            .filter(|(key, person)| !keys.contains(key.as_str()) && person.state != PersonState::Departed)
        {
            work.want(key, Some(person.id), DifferenceKind::MissingInSource);
        }
    }
    work.questions(|key| complete || keys.contains(key));
    Ok(work.plan)
}

fn check_length(keys: &BTreeSet<&str>, known: &KnownPeople) -> Result<(), TooShort> {
    // Those that are asked about already count too: a feed that shrinks by a little each time must not pass.
    let expected: Vec<&str> = live(known).collect();
    let missing = expected.iter().filter(|key| !keys.contains(*key)).count();
    within_cap(expected.len(), if keys.is_empty() { usize::MAX } else { missing })
}

fn live(known: &KnownPeople) -> impl Iterator<Item = &str> {
    let live = known.people.iter().filter(|(_, person)| person.state != PersonState::Departed);
    live.map(|(key, _)| key.as_str())
}

/// How many people one feed may miss or end: more looks like a failure, and what departs never comes back (S-12).
fn within_cap(expected: usize, missing: usize) -> Result<(), TooShort> {
    let (always, part) = MAY_LACK;
    if missing > always.max(expected / part) {
        return Err(TooShort { expected, missing: missing.min(expected) });
    }
    Ok(())
}

/// The hash of what a plan does and of the rows that it follows.
pub fn digest(source: &str, complete: bool, rows: &[Row], plan: &ImportPlan) -> String {
    let bound = serde_json::json!({"source": source, "complete": complete, "rows": rows, "teams": plan.teams.keys().collect::<Vec<_>>(), "items": plan.items});
    sha256(&bound.to_string())
}

struct Work<'a> {
    source: &'a str,
    known: &'a KnownPeople,
    now: Timestamp,
    plan: ImportPlan,
    /// Questions that the feed raises, by key and what they are about.
    wanted: BTreeMap<(String, String), Question>,
    /// People as they are to be, by key.
    next: BTreeMap<String, Person>,
}

impl Work<'_> {
    fn want(&mut self, key: &str, person: Option<PersonId>, kind: DifferenceKind) {
        let question = Question { key: key.to_owned(), person, kind };
        self.wanted.insert((key.to_owned(), question.kind.about().to_owned()), question);
    }

    fn not_followed(&mut self, key: &str, person: Option<PersonId>, field: &str, why: &str) {
        let kind = DifferenceKind::NotFollowed { field: field.to_owned(), why: why.to_owned() };
        self.want(key, person, kind);
    }

    /// What a row says about its person, without the manager.
    fn row(&mut self, row: &Row, fresh: &Fresh<'_>) {
        if self.known.unreadable.contains(&row.key) {
            let why = "the person's record can't be read: an operator finds it with `tenure log verify-state`";
            return self.not_followed(&row.key, None, "record", why);
        }
        let ended = row.ends_at.flatten().is_some_and(|end| end <= self.now);
        let mut person = match self.known.people.get(&row.key) {
            Some(person) if person.state == PersonState::Departed => {
                if !ended {
                    let why =
                        "the source lists somebody who has left; who comes back is a new record with a key of its own";
                    self.not_followed(&row.key, Some(person.id), "record", why);
                }
                return;
            }
            Some(person) => person.clone(),
            None if ended => return,
            None => match self.looks_like(row) {
                Some(person) => return self.want(&row.key, Some(person), DifferenceKind::LooksLike { person }),
                None => self.new_person(row, (fresh.person)()),
            },
        };
        person.name = Some(row.name.clone());
        tell(&mut person.email, row.email.as_ref());
        person.class = row.class.unwrap_or(person.class);
        tell(&mut person.starts_at, row.starts_at.as_ref());
        tell(&mut person.ends_at, row.ends_at.as_ref());
        if let Some(names) = row.teams.as_ref() {
            let before = std::mem::take(&mut person.teams);
            person.teams = names.iter().flatten().map(|name| self.team(name, fresh)).collect();
            person.teams.sort_unstable();
            let (now, teams) = (self.now, &person.teams);
            let left = before.into_iter().map(|team| LeftTeam { team, at: now });
            person.left_teams.extend(left);
            person.left_teams.retain(|left| !teams.contains(&left.team) && now.since(left.at) < LeftTeam::COUNTS);
        }
        if person.class == PersonClass::Contractor && person.ends_at.is_none() {
            let known = self.known.people.get(&row.key);
            self.not_followed(
                &row.key,
                known.map(|known| known.id),
                "ends_at",
                "a contractor without the end of the contract",
            );
            match known {
                Some(known) => (person.class, person.ends_at) = (known.class, known.ends_at),
                None => return,
            }
        }
        self.next.insert(row.key.clone(), person);
    }

    /// The person made by hand whom a row resembles, unless somebody said that they are two.
    fn looks_like(&self, row: &Row) -> Option<PersonId> {
        let email = row.email.as_ref()?.as_ref()?.to_lowercase();
        let person = *self.known.by_hand.get(&email)?;
        let two = self.known.standing.iter().any(|standing| {
            let decided = standing.decision.as_ref().and_then(|decided| decided.what);
            standing.source_key == row.key
                && decided == Some(DifferenceDecision::Create)
                && standing.kind == DifferenceKind::LooksLike { person }
        });
        (!two).then_some(person)
    }

    fn new_person(&self, row: &Row, id: PersonId) -> Person {
        let starts_at = row.starts_at.flatten();
        Person {
            state: if starts_at.is_some_and(|start| start > self.now) {
                PersonState::Preboarding
            } else {
                PersonState::Active
            },
            source: Some(SourceRef { source: self.source.to_owned(), key: row.key.clone() }),
            // No feed confers a role (S-8).
            ..Person::new(id, row.name.clone(), None, Vec::new(), self.now)
        }
    }

    fn team(&mut self, name: &str, fresh: &Fresh<'_>) -> TeamId {
        match self.known.teams.get(name) {
            Some(id) => *id,
            None => *self.plan.teams.entry(name.to_owned()).or_insert_with(fresh.team),
        }
    }

    /// Follows the managers as far as they are known and nobody comes to manage themselves.
    fn managers(&mut self, rows: &[Row]) {
        let mut chain = self.known.managers.clone();
        let mut changes = Vec::new();
        for row in rows {
            let (Some(told), Some(person)) = (&row.manager_key, self.next.get(&row.key)) else {
                continue;
            };
            let (id, before) = (person.id, person.manager);
            let wanted = match told {
                None => None,
                Some(key) => {
                    match self.next.get(key).filter(|manager| manager.ends_at.is_none_or(|end| end > self.now)) {
                        Some(manager) => Some(manager.id),
                        None => {
                            match self.known.people.get(key).filter(|manager| manager.state != PersonState::Departed) {
                                Some(manager) if !self.next.contains_key(key) => Some(manager.id),
                                _ => {
                                    self.not_followed(
                                        &row.key,
                                        Some(id),
                                        "manager_key",
                                        &format!("the source knows no manager {key} who is there"),
                                    );
                                    continue;
                                }
                            }
                        }
                    }
                }
            };
            if wanted != before {
                chain.remove(&id);
                changes.push((row, id, before, wanted));
            }
        }
        for (row, id, before, wanted) in changes {
            let leads_back = |to: PersonId| leads_to(&chain, to, id);
            let manager = match wanted {
                Some(to) if leads_back(to) => {
                    self.not_followed(
                        &row.key,
                        Some(id),
                        "manager_key",
                        "somebody would manage themselves, be it through others",
                    );
                    before.filter(|before| !leads_back(*before))
                }
                other => other,
            };
            if let Some(manager) = manager {
                chain.insert(id, manager);
            }
            if let Some(person) = self.next.get_mut(&row.key) {
                person.manager = manager;
            }
        }
    }

    /// Who joins, moves, leaves or stays as they are.
    fn sort_out(&mut self, rows: &[Row]) {
        let mut joiners = Vec::new();
        for row in rows {
            let mut item = ImportItem {
                line: Some(row.line),
                key: row.key.clone(),
                outcome: ImportOutcome::Joined,
                person: None,
                fields: Vec::new(),
                difference: None,
            };
            let Some(person) = self.next.remove(&row.key) else {
                if self.known.people.contains_key(&row.key) || self.wanted.keys().any(|(key, _)| *key == row.key) {
                    self.plan.unchanged += 1;
                } else {
                    item.outcome = ImportOutcome::Skipped;
                    self.plan.items.push(item);
                }
                continue;
            };
            match self.known.people.get(&row.key) {
                None => joiners.push(person),
                Some(known) => {
                    item.person = Some(known.id);
                    item.fields = differing(known, &person).into_iter().map(str::to_owned).collect();
                    if person.ends_at.is_some_and(|end| end <= self.now) {
                        item.outcome = ImportOutcome::Left;
                        let ended_by_source_at = Some(self.now);
                        self.plan.leavers.push((row.key.clone(), Person { ended_by_source_at, ..person }));
                    } else if item.fields.is_empty() {
                        self.plan.unchanged += 1;
                        continue;
                    } else {
                        item.outcome = ImportOutcome::Moved;
                        self.plan.movers.push((row.key.clone(), person));
                    }
                }
            }
            self.plan.items.push(item);
        }
        self.plan.joiners = managers_first(joiners);
    }

    /// Which questions are new, and which have answered themselves.
    fn questions(&mut self, is_read: impl Fn(&str) -> bool) {
        for standing in self.known.standing.iter().filter(|standing| is_read(&standing.source_key)) {
            let place = (standing.source_key.clone(), standing.kind.about().to_owned());
            if self.wanted.get(&place).is_some_and(|wanted| wanted.kind == standing.kind) {
                self.wanted.remove(&place);
                continue;
            }
            self.plan.settled.push(standing.id);
            self.plan.items.push(ImportItem {
                line: None,
                key: standing.source_key.clone(),
                outcome: ImportOutcome::Settled,
                person: standing.person,
                fields: vec![standing.kind.about().to_owned()],
                difference: Some(standing.id),
            });
        }
        let joining: BTreeSet<PersonId> = self.plan.joiners.iter().map(|person| person.id).collect();
        for (_, question) in std::mem::take(&mut self.wanted) {
            self.plan.items.push(ImportItem {
                line: None,
                key: question.key.clone(),
                outcome: ImportOutcome::Asked,
                // Who is only being made has another id each time that this is asked.
                person: question.person.filter(|person| !joining.contains(person)),
                fields: vec![question.kind.about().to_owned()],
                difference: None,
            });
            self.plan.questions.push(question);
        }
    }
}

fn tell<T: Clone>(value: &mut Option<T>, told: Option<&Option<T>>) {
    if let Some(told) = told {
        value.clone_from(told);
    }
}

/// Whether the chain of managers from somebody upwards comes to `sought`.
fn leads_to(chain: &BTreeMap<PersonId, PersonId>, from: PersonId, sought: PersonId) -> bool {
    let mut at = Some(from);
    for _ in 0..=chain.len() {
        match at {
            Some(person) if person == sought => return true,
            Some(person) => at = chain.get(&person).copied(),
            None => return false,
        }
    }
    // A chain that is longer than it has links goes in a circle.
    at.is_some()
}

/// What differs between two records of a person, by the names of a feed.
pub fn differing(a: &Person, b: &Person) -> Vec<&'static str> {
    let fields = [
        ("name", a.name == b.name),
        ("email", a.email == b.email),
        ("class", a.class == b.class),
        ("starts_at", a.starts_at == b.starts_at),
        ("ends_at", a.ends_at == b.ends_at),
        ("manager", a.manager == b.manager),
        ("teams", a.teams == b.teams),
    ];
    fields.into_iter().filter(|(_, same)| !same).map(|(field, _)| field).collect()
}

/// New people in an order in which nobody comes before their manager.
fn managers_first(joiners: Vec<Person>) -> Vec<Person> {
    let mut waiting: BTreeMap<PersonId, Vec<Person>> = BTreeMap::new();
    let new: BTreeSet<PersonId> = joiners.iter().map(|person| person.id).collect();
    let mut ordered = Vec::with_capacity(joiners.len());
    for person in joiners {
        match person.manager.filter(|manager| new.contains(manager)) {
            Some(manager) => waiting.entry(manager).or_default().push(person),
            None => ordered.push(person),
        }
    }
    let mut n = 0;
    while let Some(manager) = ordered.get(n).map(|person| person.id) {
        ordered.extend(waiting.remove(&manager).unwrap_or_default());
        n += 1;
    }
    ordered
}

#[cfg(test)]
mod tests;
