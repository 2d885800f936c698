//! A request as a page: everything that a vote on it means, and the form of the vote.

use askama::Template;
use tenure_api::request::{BriefFact, RequestView, is_free_text};
use tenure_api::views::Names;
use tenure_core::base::id::PersonId;
use tenure_core::base::time::Timestamp;
use tenure_core::request::{Asker, Place, RequestState};

use crate::frame::Frame;
use crate::markup::filters;
use crate::problem::{Kept, Wrong};
use crate::records::{Linked, Named};
use crate::state::State;
use crate::text;
use crate::when::{self, When};

/// A fact of a request.
struct Fact {
    label: String,
    value: Linked,
    was: Option<Linked>,
}

/// A vote that was cast.
struct Cast {
    by: Named,
    place: &'static str,
    approves: bool,
    at: When,
    comment: String,
    assured: bool,
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

/// The page of one request.
#[derive(Template)]
#[template(path = "request.html")]
pub struct RequestPage {
    frame: Frame,
    state: State,
    tier: Option<State>,
    purpose: String,
    asker: Named,
    asked: When,
    lapses: When,
    is_open: bool,
    is_current: bool,
    has_voted: bool,
    changes: Vec<Fact>,
    facts: Vec<Fact>,
    clipped: Vec<Fact>,
    route: String,
    waits_for: String,
    approvers: Vec<Named>,
    approver_roles: Vec<&'static str>,
    policies: Vec<String>,
    policy_version: String,
    votes: Vec<Cast>,
    outcome: Option<String>,
    single_person: bool,
    content_hash: String,
    id: String,
    form: Option<VoteForm>,
    kept: Option<Kept>,
}

impl RequestPage {
    /// The beginning of the policy's version, which tells it from others.
    fn short_version(&self) -> &str {
        self.policy_version.get(..19).unwrap_or(&self.policy_version)
    }

    /// The page of a request that this person reads. The frame's title is replaced by what it asks.
    pub fn new(frame: Frame, view: RequestView, names: &Names, reader: PersonId, form: VoteForm) -> Self {
        let now = frame.now;
        let RequestView { request, waits_for, approvers, approver_roles, brief, .. } = view;
        let title = brief.as_ref().map_or_else(
            || text::sentence(&text::plain(request.matter.as_str())),
            |brief| Linked::told(brief.summary.clone()).plain(),
        );
        let is_current = brief.as_ref().is_none_or(|brief| brief.current);
        let (changes, facts) =
            brief.into_iter().flat_map(|brief| brief.facts).map(fact).partition(|fact: &Fact| fact.was.is_some());
        let is_open = request.state == RequestState::Open;
        let has_voted = request.votes.iter().any(|vote| vote.by == reader);
        let (form, kept) = match is_open && !has_voted {
            true => (Some(form), None),
            false => (None, Kept::of(form.wrong, form.comment)),
        };
        let clipped = |clipped: &tenure_core::request::Clipped| Fact {
            label: text::field(&clipped.field),
            value: Linked::told(clipped.given.clone()),
            was: Some(Linked::told(clipped.wanted.clone())),
        };
        Self {
            state: request.state.into(),
            tier: request.tier.map(State::from),
            asker: match request.requested_by {
                Asker::Person(id) => Named::of(id, names),
                Asker::Identity(id) => Named::of(id, names),
            },
            asked: When::new(request.opened_at, now),
            lapses: When::new(request.lapses_at, now),
            is_open,
            is_current,
            has_voted,
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
            policies: request.policies.clone(),
            policy_version: request.policy_version.clone(),
            votes: request.votes.iter().map(|vote| cast(vote, names, now)).collect(),
            outcome: (!is_open).then(|| outcome(request.state, request.ended_because.as_deref())),
            single_person: request.single_person,
            content_hash: request.content_hash.clone(),
            id: request.id.to_string(),
            form,
            kept,
            purpose: request.purpose,
            frame: Frame { title, ..frame },
        }
    }
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

fn cast(vote: &tenure_core::request::Vote, names: &Names, now: Timestamp) -> Cast {
    Cast {
        by: Named::of(vote.by, names),
        place: vote.place.as_str(),
        approves: vote.approves,
        at: When::new(vote.at, now),
        comment: vote.comment.clone(),
        assured: vote.assurance.as_ref().is_some_and(|assurance| assurance.phishing_resistant),
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
