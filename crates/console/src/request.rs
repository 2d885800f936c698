//! A request as a page: everything that a vote on it means, the form of the vote, and what was asked back.

use askama::Template;
use tenure_api::request::{BriefFact, RequestView, is_free_text};
use tenure_api::views::Names;
use tenure_core::base::time::Timestamp;
use tenure_core::people::person::Person;
use tenure_core::request::{Asker, Note, NoteKind, Place, Request, RequestState, Vote};

use crate::address::Address;
use crate::frame::Frame;
use crate::markup::filters;
use crate::problem::{Kept, Wrong};
use crate::records::{Linked, Named};
use crate::requests;
use crate::state::{Shape, State};
use crate::text;
use crate::when::{self, When};

/// A fact of a request.
struct Fact {
    label: String,
    value: Linked,
    was: Option<Linked>,
}

/// Something that happened to it.
struct Happened {
    at: When,
    who: Option<Named>,
    what: String,
    instead_of: Option<Named>,
    state: Option<State>,
    said: String,
    lesser: &'static str,
}

/// Somebody who stands in for one who is away.
struct StandIn {
    person: Named,
    instead_of: Named,
    until: When,
}

/// The form of a vote, where somebody may cast one.
pub struct VoteForm {
    /// Where it is sent.
    pub action: String,
    /// What was wrong with what was sent.
    pub wrong: Option<Wrong>,
    /// The comment as it was typed.
    pub comment: String,
}

/// What was typed into the form of a note, and why it was not taken.
#[derive(Default)]
pub struct Noted {
    /// What was wrong with it.
    pub wrong: Option<Wrong>,
    /// The text as it was typed.
    pub text: String,
}

/// The form of a note: a question, or an answer.
struct NoteForm {
    action: Address,
    noted: Noted,
    title: &'static str,
    hint: &'static str,
    button: &'static str,
    most: usize,
}

/// The page of one request.
#[derive(Template)]
#[template(path = "request.html")]
pub struct RequestPage {
    frame: Frame,
    state: State,
    tier: Option<State>,
    tier_because: Vec<String>,
    purpose: String,
    asker: Named,
    asked: When,
    lapses: When,
    is_open: bool,
    is_current: bool,
    has_voted: bool,
    edited: Vec<Fact>,
    changes: Vec<Fact>,
    facts: Vec<Fact>,
    clipped: Vec<Fact>,
    route: String,
    waits_for: String,
    approvers: Vec<Named>,
    approver_roles: Vec<&'static str>,
    stand_ins: Vec<StandIn>,
    policies: Vec<String>,
    policy_version: String,
    history: Vec<Happened>,
    took: String,
    outcome: Option<String>,
    single_person: bool,
    content_hash: String,
    id: String,
    wrong: Option<Wrong>,
    form: Option<VoteForm>,
    kept: Option<Kept>,
    note: Option<NoteForm>,
}

impl RequestPage {
    /// The beginning of the policy's version, which tells it from others.
    fn short_version(&self) -> &str {
        self.policy_version.get(..19).unwrap_or(&self.policy_version)
    }

    /// The page of a request that this person reads. The frame's title is replaced by what it asks.
    pub fn new(
        frame: Frame,
        view: RequestView,
        names: &Names,
        reader: &Person,
        mut form: VoteForm,
        mut noted: Noted,
    ) -> Self {
        let now = frame.now;
        let may_vote = may_vote(&view, reader);
        let RequestView { request, waits_for, approvers, approver_roles, stand_ins, brief, .. } = view;
        let title = brief.as_ref().map_or_else(
            || text::sentence(&text::plain(request.matter.as_str())),
            |brief| Linked::told(brief.summary.clone()).plain(),
        );
        let is_current = brief.as_ref().is_none_or(|brief| brief.current);
        let (edited, tier_because, facts) =
            brief.map(|brief| (brief.edited, brief.tier_because, brief.facts)).unwrap_or_default();
        let (changes, facts) = facts.into_iter().map(fact).partition(|fact: &Fact| fact.was.is_some());
        let is_open = request.state == RequestState::Open;
        let has_voted = request.votes.iter().any(|vote| vote.is_of(reader.id));
        let has_form = is_open && may_vote && !has_voted;
        let (voted_in_vain, noted_in_vain) = (form.wrong.take(), noted.wrong.take());
        let text = noted.text.clone();
        let note = note_form(&request, reader, may_vote, noted);
        let (wrong, kept) = match (voted_in_vain, noted_in_vain) {
            (Some(wrong), _) if !has_form => (None, Some(Kept { wrong, typed: form.comment.clone() })),
            (_, Some(wrong)) if note.is_none() => (None, Some(Kept { wrong, typed: text })),
            (voted, noted) => (voted.or(noted), None),
        };
        let clipped = |clipped: &tenure_core::request::Clipped| Fact {
            label: text::field(&clipped.field),
            value: Linked::told(clipped.given.clone()),
            was: Some(Linked::told(clipped.wanted.clone())),
        };
        Self {
            state: request.state.into(),
            tier: request.tier.map(State::from),
            tier_because,
            asker: requests::asker(&request, names),
            asked: When::new(request.opened_at, now),
            lapses: When::new(request.lapses_at, now),
            is_open,
            is_current,
            has_voted,
            edited: edited.into_iter().map(fact).collect(),
            changes,
            facts,
            clipped: request.clipped.iter().map(clipped).collect(),
            route: match request.route.steps() {
                [] => text::BY_A_RULE.to_owned(),
                steps => steps_in_words(steps.iter().copied()),
            },
            waits_for: steps_in_words(waits_for.iter().map(Vec::as_slice)),
            approvers: approvers.iter().map(|id| Named::of(id, names)).collect(),
            approver_roles: approver_roles.iter().map(|role| role.as_str()).collect(),
            stand_ins: stand_ins
                .iter()
                .map(|stands_in| StandIn {
                    person: Named::of(stands_in.person, names),
                    instead_of: Named::of(stands_in.instead_of, names),
                    until: When::new(stands_in.until, now),
                })
                .collect(),
            policies: request.policies.clone(),
            policy_version: request.policy_version.clone(),
            history: history(&request, names, now),
            took: took(&request, now),
            outcome: (!is_open).then(|| outcome(request.state, request.ended_because.as_deref())),
            single_person: request.single_person,
            content_hash: request.content_hash.clone(),
            id: request.id.to_string(),
            wrong,
            form: has_form.then_some(form),
            kept,
            note,
            purpose: request.purpose,
            frame: Frame { title, ..frame },
        }
    }
}

/// Whether it waits for somebody: by name, by role, or as the stand-in of one who is away. Whether their vote counts is
/// said when they cast it.
fn may_vote(view: &RequestView, reader: &Person) -> bool {
    let is_kept_out = view.request.interested.contains(&reader.id) && !view.request.single_person;
    !is_kept_out
        && (view.approvers.contains(&reader.id)
            || view.approver_roles.iter().any(|role| reader.holds(*role))
            || view.stand_ins.iter().any(|stands_in| stands_in.person == reader.id))
}

/// The form by which somebody asks back, or answers.
fn note_form(request: &Request, reader: &Person, may_vote: bool, noted: Noted) -> Option<NoteForm> {
    let count = |kind| request.notes.iter().filter(|note| note.kind == kind).count();
    let (questions, answers) = (count(NoteKind::Question), count(NoteKind::Answer));
    let answers_for_it = match request.requested_by {
        Asker::Person(id) => id == reader.id,
        Asker::Identity(_) => request.owner == Some(reader.id),
    };
    let (title, hint, button) = match () {
        () if request.state != RequestState::Open => return None,
        () if may_vote && questions < Note::MAX_QUESTIONS => (text::ASK_BACK, text::ASK_BACK_HINT, text::ASK),
        () if answers_for_it && answers < questions => (text::ANSWER_BACK, text::ANSWER_BACK_HINT, text::SEND_ANSWER),
        () => return None,
    };
    let action = Address::new("/requests").below(&request.id.to_string()).verb("notes");
    Some(NoteForm { action, noted, title, hint, button, most: Note::MAX_TEXT })
}

fn fact(fact: BriefFact) -> Fact {
    // Words of the API read as words; what somebody wrote stands as they wrote it.
    let is_word = matches!(
        fact.field.rsplit('.').next(),
        Some("coverage" | "kind" | "type" | "credential_types" | "verification" | "standing")
    );
    let shown = |value: String| match value.parse::<Timestamp>() {
        Ok(at) => Linked::told(when::exact(at)),
        Err(_) if is_free_text(&fact.field) => Linked::written(value),
        Err(_) if is_word => Linked::told(text::plain(&value)),
        Err(_) => Linked::told(value),
    };
    Fact { label: text::field(&fact.field), value: shown(fact.value), was: fact.before.map(shown) }
}

/// What happened to it so far, in the order in which it did.
fn history(request: &Request, names: &Names, now: Timestamp) -> Vec<Happened> {
    let at = |at: Timestamp, who: Option<Named>, what: &str| Happened {
        at: When::new(at, now),
        who,
        what: what.to_owned(),
        instead_of: None,
        state: None,
        said: String::new(),
        lesser: "",
    };
    let mut all = vec![(request.opened_at, at(request.opened_at, Some(requests::asker(request, names)), text::ASKED))];
    if let Some(before) = &request.before {
        let by = Some(requests::asker(request, names));
        all.push((before.at, Happened { lesser: text::VOTES_VOID, ..at(before.at, by, text::CHANGED_IT) }));
    }
    all.extend(request.votes.iter().map(|vote| (vote.at, cast(vote, names, now))));
    all.extend(request.notes.iter().map(|note| {
        let by = match note.by {
            Asker::Person(id) => Named::of(id, names),
            Asker::Identity(id) => Named::of(id, names),
        };
        let what = match note.kind {
            NoteKind::Question => text::ASKED_BACK,
            NoteKind::Answer => text::ANSWERED_BACK,
        };
        (note.at, Happened { said: note.text.clone(), ..at(note.at, Some(by), what) })
    }));
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, happened)| happened).collect()
}

fn cast(vote: &Vote, names: &Names, now: Timestamp) -> Happened {
    Happened {
        at: When::new(vote.at, now),
        who: Some(Named::of(vote.by, names)),
        what: text::voted_as(vote.place.as_str()),
        instead_of: vote.instead_of.map(|absent| Named::of(absent, names)),
        state: Some(match vote.approves {
            true => State::new(Shape::Good, "approved"),
            false => State::new(Shape::Bad, "denied"),
        }),
        said: vote.comment.clone(),
        lesser: match vote.assurance.as_ref().is_some_and(|assurance| assurance.phishing_resistant) {
            true => text::ASSURED,
            false => text::BY_A_TOKEN,
        },
    }
}

/// How long it took to answer it, or for how long it has waited.
fn took(request: &Request, now: Timestamp) -> String {
    match request.decided_at {
        Some(decided) => text::decided_after(&when::span(decided.since(request.opened_at)), request.reminders),
        None => text::waits_since(&when::span(now.since(request.opened_at)), request.reminders),
    }
}

/// The steps in words: one of each step's places.
fn steps_in_words<'a>(steps: impl Iterator<Item = &'a [Place]>) -> String {
    let step = |places: &[Place]| places.iter().map(|place| place.as_str()).collect::<Vec<_>>().join(" or ");
    steps.map(step).collect::<Vec<_>>().join(", and ")
}

fn outcome(state: RequestState, because: Option<&str>) -> String {
    let said = text::became(state);
    because.map_or_else(|| format!("{said}."), |because| format!("{said}: {because}."))
}
