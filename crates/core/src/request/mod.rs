//! Requests: from asking to authority (R42–R50, S-8, S-9).
//!
//! A request names what is asked for ([`Matter`]), is sent on a [`Route`] that policy permits, and is voted on. A vote
//! binds the hash of what was read; that approvers are distinct persons, none of whom asked, is decided here and by no
//! policy (S-9).

pub mod backchannel;
pub mod break_glass;
pub mod campaign;
pub mod exception;
pub mod review;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::base::id::{
    ExceptionId, GrantId, IdentityId, PersonGrantId, PersonId, PolicySetId, RequestId, ResourceId, TeamId, VendorId,
};
use crate::base::time::{Span, Timestamp};
use crate::identity::template::Template;
use crate::identity::{CharterDraft, RiskTier};
use crate::inventory::entitlement::Entitlement;
use crate::inventory::resource::{TargetGrants, Verification, WhenUnreachable};
use crate::inventory::third_party::Sensitivity;
use crate::people::person::Role;
use crate::people::person_grant::PackageStep;
use crate::people::sign_in::Assurance;
use crate::policy::Action;
use crate::store::row::{Record, RowKind};
use crate::store::term::{Bounded, Field, TermValue, Terms, words};
use crate::trust::signing_key::SigningAlgorithm;

/// How long a request stays open.
pub const OPEN_FOR: Span = Span::from_days(7);
/// How long after its opening whoever may approve is reminded, and again after as long.
pub const REMIND_AFTER: Span = Span::from_days(1);
/// How long after its opening it is escalated.
pub const ESCALATE_AFTER: Span = Span::from_days(3);

/// Persons that a request is listed by as those who fill no step of it.
const MAX_KEPT_OUT: usize = 32;

/// Where a request stands (SECURITY.md, "States").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestState {
    /// Waits for votes.
    Open,
    /// Has every vote; waits for its start.
    Approved,
    /// Somebody said no; terminal.
    Denied,
    /// Taken back; terminal.
    Withdrawn,
    /// Nobody answered in time, or what it rested on is gone; terminal.
    Lapsed,
    /// What was asked for is there; terminal.
    Fulfilled,
}

impl RequestState {
    /// Every state.
    pub const ALL: &[Self] =
        &[Self::Open, Self::Approved, Self::Denied, Self::Withdrawn, Self::Lapsed, Self::Fulfilled];

    /// The name in the log and in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Withdrawn => "withdrawn",
            Self::Lapsed => "lapsed",
            Self::Fulfilled => "fulfilled",
        }
    }

    /// Whether the table has this step: open → approved, denied, withdrawn, lapsed · approved → fulfilled, lapsed.
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Open, Self::Approved | Self::Denied | Self::Withdrawn | Self::Lapsed)
                | (Self::Approved, Self::Fulfilled | Self::Lapsed)
        )
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Matter {
    /// That a pending identity becomes active with its charter.
    Activation {
        /// Which.
        identity: IdentityId,
    },
    /// A grant for an identity, inside its charter, for a bounded time.
    Access {
        /// Which identity.
        identity: IdentityId,
        /// What.
        entitlement: Entitlement,
        /// From when; at once if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        starts_at: Option<Timestamp>,
        /// For how long.
        duration: Span,
        /// For which of the charter's tasks, if the identity declares them (R54).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<String>,
    },
    /// A wider charter for an active identity. Narrowing needs no request.
    Charter {
        /// Which identity.
        identity: IdentityId,
        /// The charter as it is to be.
        charter: Box<CharterDraft>,
    },
    /// A later end, on verified need (R50).
    Renewal {
        /// Which identity.
        identity: IdentityId,
        /// The new end.
        until: Timestamp,
    },
    /// Something that a person holds for a bounded time.
    PersonAccess {
        /// Which person.
        person: PersonId,
        /// A package by name, or
        #[serde(default, skip_serializing_if = "Option::is_none")]
        package: Option<String>,
        /// single entitlements.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        entitlements: Vec<Entitlement>,
        /// From when; at the person's start or at once if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        starts_at: Option<Timestamp>,
        /// For how long.
        duration: Span,
        /// Before the usual steps, in a box of time: contractors only (R110).
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        fast_onboarding: bool,
    },
    /// A waived control.
    Exception {
        /// The proposed exception.
        exception: ExceptionId,
    },
    /// Other roles in Tenure for a person.
    Roles {
        /// Whose.
        person: PersonId,
        /// All of them, as they are to be.
        roles: Vec<Role>,
    },
    /// Another policy set in force.
    Policy {
        /// The proposed set.
        policy: PolicySetId,
    },
    /// A template, new or changed.
    Template {
        /// As it is to be.
        template: Box<Template>,
    },
    /// A record that authority rests on, changed so that somebody may do more, or more lightly.
    Inventory {
        /// The revision that was read; the change is made of no other.
        revision: u64,
        /// The record, and what of it is to be.
        change: InventoryChange,
    },
}

/// A change of a record that authority rests on: every field that such a change can be about, as it is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum InventoryChange {
    /// A data domain.
    DataDomain {
        /// Which.
        name: String,
        /// How sensitive it counts as.
        sensitivity: Sensitivity,
    },
    /// A resource.
    Resource {
        /// Which.
        id: ResourceId,
        /// The actions that it knows.
        actions: Vec<String>,
        /// The data domains that it holds.
        data_domains: Vec<String>,
        /// How credentials are checked there.
        verification: Verification,
        /// What happens there when Tenure can't be reached.
        when_unreachable: WhenUnreachable,
        /// The target at which logins are made for it, and what its actions come to there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        logins: Option<TargetGrants>,
    },
    /// An environment.
    Environment {
        /// Which.
        name: String,
        /// Whether it counts as production.
        production: bool,
        /// What tokens are signed with for resources that don't say otherwise.
        signing_algorithm: SigningAlgorithm,
    },
    /// A vendor.
    Vendor {
        /// Which.
        id: VendorId,
        /// Who answers for it here.
        owner: PersonId,
        /// Whom to reach there.
        contact: String,
        /// The data domains that its contract allows.
        data_domains: Vec<String>,
        /// When the contract ends.
        ends_at: Option<Timestamp>,
    },
    /// A package.
    Package {
        /// Which.
        name: String,
        /// What it is for.
        description: String,
        /// What it gives from its start.
        entitlements: Vec<Entitlement>,
        /// What it gives later.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        steps: Vec<PackageStep>,
        /// For how long at most.
        max_duration: Span,
    },
}

impl InventoryChange {
    /// The record's id.
    pub fn id(&self) -> String {
        match self {
            Self::DataDomain { name, .. } | Self::Environment { name, .. } | Self::Package { name, .. } => name.clone(),
            Self::Resource { id, .. } => id.to_string(),
            Self::Vendor { id, .. } => id.to_string(),
        }
    }

    /// What the record is, in words.
    pub const fn noun(&self) -> &'static str {
        match self {
            Self::DataDomain { .. } => "data domain",
            Self::Resource { .. } => "resource",
            Self::Environment { .. } => "environment",
            Self::Vendor { .. } => "vendor",
            Self::Package { .. } => "package",
        }
    }
}

/// On which side of the wall a request is (invariant 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// About a person's access.
    Human,
    /// About a non-human identity.
    NonHuman,
    /// About Tenure itself.
    Administration,
}

impl Class {
    /// The name in policies and in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::NonHuman => "non_human",
            Self::Administration => "administration",
        }
    }

    /// The routes by which a request of this class may be approved, the lightest first. Tenure itself changes by an
    /// administrator's vote, whatever a policy set permits (S-9).
    pub const fn routes(self) -> &'static [Route] {
        match self {
            Self::Human | Self::NonHuman => Route::ALL,
            Self::Administration => &[Route::Administrator],
        }
    }
}

impl Matter {
    /// Every name that [`Matter::as_str`] gives.
    pub const NAMES: [&str; 10] = [
        "activation",
        "access",
        "charter",
        "renewal",
        "person_access",
        "exception",
        "roles",
        "policy",
        "template",
        "inventory",
    ];

    /// The name in policies, in the log and in filters.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Activation { .. } => "activation",
            Self::Access { .. } => "access",
            Self::Charter { .. } => "charter",
            Self::Renewal { .. } => "renewal",
            Self::PersonAccess { .. } => "person_access",
            Self::Exception { .. } => "exception",
            Self::Roles { .. } => "roles",
            Self::Policy { .. } => "policy",
            Self::Template { .. } => "template",
            Self::Inventory { .. } => "inventory",
        }
    }

    /// The identity concerned.
    pub const fn identity(&self) -> Option<IdentityId> {
        match self {
            Self::Activation { identity }
            | Self::Access { identity, .. }
            | Self::Charter { identity, .. }
            | Self::Renewal { identity, .. } => Some(*identity),
            _ => None,
        }
    }

    /// The person concerned.
    pub const fn person(&self) -> Option<PersonId> {
        match self {
            Self::PersonAccess { person, .. } | Self::Roles { person, .. } => Some(*person),
            _ => None,
        }
    }
}

/// A place in a route: who fills it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The accountable owner of the identity concerned.
    Owner,
    /// The manager of the owner, or of the person concerned, as recorded when it was asked, holding the role manager.
    Manager,
    /// Somebody with the role security.
    Security,
    /// Somebody with the role administrator.
    Administrator,
}

impl Place {
    /// What whoever stands in for the one who is named for this place has to hold themselves; nothing if it is filled by
    /// role, where nobody needs a stand-in.
    pub const fn stand_in_holds(self) -> Option<Role> {
        match self {
            Self::Owner => Some(Role::Owner),
            Self::Manager => Some(Role::Manager),
            Self::Security | Self::Administrator => None,
        }
    }

    /// The name in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Manager => "manager",
            Self::Security => "security",
            Self::Administrator => "administrator",
        }
    }

    /// Who fills it, in words.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Owner => "accountable owner",
            Self::Manager => "manager on record with the role manager",
            Self::Security => "person with the role security",
            Self::Administrator => "administrator",
        }
    }
}

/// How a request is approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// By a named rule, without anybody's vote.
    Auto,
    /// By the owner or the manager.
    OwnerOrManager,
    /// By the manager.
    Manager,
    /// By security.
    Security,
    /// By the owner and security.
    OwnerAndSecurity,
    /// By the manager and security.
    ManagerAndSecurity,
    /// By two people of security, where there is no manager who may.
    TwoOfSecurity,
    /// By an administrator who didn't ask.
    Administrator,
}

impl Route {
    /// Every route, the lightest first: the order in which policy is asked.
    pub const ALL: &[Self] = &[
        Self::Auto,
        Self::OwnerOrManager,
        Self::Manager,
        Self::Security,
        Self::OwnerAndSecurity,
        Self::ManagerAndSecurity,
        Self::TwoOfSecurity,
        Self::Administrator,
    ];

    /// The action by which policy permits it.
    pub const fn action(self) -> Action {
        match self {
            Self::Auto => Action::RouteAuto,
            Self::OwnerOrManager => Action::RouteOwnerOrManager,
            Self::Manager => Action::RouteManager,
            Self::Security => Action::RouteSecurity,
            Self::OwnerAndSecurity => Action::RouteOwnerAndSecurity,
            Self::ManagerAndSecurity => Action::RouteManagerAndSecurity,
            Self::TwoOfSecurity => Action::RouteTwoOfSecurity,
            Self::Administrator => Action::RouteAdministrator,
        }
    }

    /// Its votes: for each, the places one of which has to be filled.
    pub const fn steps(self) -> &'static [&'static [Place]] {
        match self {
            Self::Auto => &[],
            Self::OwnerOrManager => &[&[Place::Owner, Place::Manager]],
            Self::Manager => &[&[Place::Manager]],
            Self::Security => &[&[Place::Security]],
            Self::OwnerAndSecurity => &[&[Place::Owner], &[Place::Security]],
            Self::ManagerAndSecurity => &[&[Place::Manager], &[Place::Security]],
            Self::TwoOfSecurity => &[&[Place::Security], &[Place::Security]],
            Self::Administrator => &[&[Place::Administrator]],
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "type", content = "id")]
pub enum Asker {
    /// A person.
    Person(PersonId),
    /// A non-human identity.
    Identity(IdentityId),
}

impl TermValue for Asker {
    type Of = Self;
    fn text(&self) -> Cow<'_, str> {
        Cow::Owned(match self {
            Self::Person(person) => person.to_string(),
            Self::Identity(identity) => identity.to_string(),
        })
    }
}

/// Who may fill a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Voter {
    /// A person by name.
    Person(PersonId),
    /// Whoever holds a role.
    Role(Role),
}

impl TermValue for Voter {
    type Of = Self;
    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Person(person) => Cow::Owned(person.to_string()),
            Self::Role(role) => Cow::Borrowed(role.as_str()),
        }
    }
}

/// A vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// Who.
    pub by: PersonId,
    /// For or against.
    pub approves: bool,
    /// The place that they filled.
    pub place: Place,
    /// When.
    pub at: Timestamp,
    /// The hash of what they read (S-8).
    pub content_hash: String,
    /// The purpose as it then read (R44).
    pub purpose: String,
    /// The version of the policy set that they were judged by.
    pub policy_version: String,
    /// What their sign-in was worth; none if an operator token stood for them.
    pub assurance: Option<Assurance>,
    /// What they said.
    pub comment: String,
    /// Who is away and named them as their stand-in, if it is that person's place that they filled (S-8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<PersonId>,
}

impl Vote {
    /// Whether it is somebody's vote, be it by their stand-in.
    pub fn is_of(&self, person: PersonId) -> bool {
        self.by == person || self.instead_of == Some(person)
    }
}

/// What a note on a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// Somebody who may vote asks back.
    Question,
    /// Who asked for it answers.
    Answer,
}

/// A note on an open request: it changes nothing of what is asked, so that votes stand and its clock runs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// Who wrote it.
    pub by: Asker,
    /// When.
    pub at: Timestamp,
    /// A question or an answer.
    pub kind: NoteKind,
    /// What they wrote.
    pub text: String,
}

impl Note {
    /// The longest text in bytes.
    pub const MAX_TEXT: usize = 1_000;
    /// Questions that one request takes; it takes as many answers.
    pub const MAX_QUESTIONS: usize = 10;
}

/// Why a note isn't taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadNote {
    /// The request isn't open.
    #[error("the request is {}, not open", .0.as_str())]
    NotOpen(RequestState),
    /// There are too many questions.
    #[error("a request takes {} questions: vote on it, or deny it and say what is missing", Note::MAX_QUESTIONS)]
    TooMany,
    /// There is no question without an answer.
    #[error("no question waits for an answer: what is asked for is changed by amending it")]
    NoQuestion,
}

/// What became of a fulfilled request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Outcome {
    /// Grants that were derived from it (R45).
    pub grants: Vec<GrantId>,
    /// Grants of a person that were.
    pub person_grants: Vec<PersonGrantId>,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// On which side of the wall it is; its workflow's name begins with it.
    pub class: Class,
    /// What is asked for.
    pub matter: Matter,
    /// For which need.
    pub purpose: String,
    /// What was cut down to a ceiling before it was asked (R49): field and what was wanted.
    pub clipped: Vec<Clipped>,
    /// Who asks.
    pub requested_by: Asker,
    /// Persons who may not approve it, being who asks or benefits, or was of a team that does when it was asked (S-8).
    pub interested: Vec<PersonId>,
    /// Teams that run or gain from what it is about: nobody who is of one of them approves it (S-8).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interested_teams: Vec<TeamId>,
    /// Whether a third party operates what it is about: then only an employee stands in for its owner.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vendor: bool,
    /// The accountable owner when it was asked.
    pub owner: Option<PersonId>,
    /// The manager when it was asked; a later one doesn't count (S-8).
    pub manager: Option<PersonId>,
    /// The tier when it was asked, of a non-human identity.
    pub tier: Option<RiskTier>,
    /// How it is approved.
    pub route: Route,
    /// The policies that permitted the route.
    pub policies: Vec<String>,
    /// The version of the policy set.
    pub policy_version: String,
    /// The hash of what is asked for, of the charter concerned and of the purpose: what votes bind (S-8).
    pub content_hash: String,
    /// The votes; an edit voids them.
    pub votes: Vec<Vote>,
    /// What was asked before the last edit, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Box<Edited>>,
    /// What approvers asked back, and what who asked answered, the oldest first. An edit leaves them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// Where it stands.
    pub state: RequestState,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it lapses unless it is answered.
    pub lapses_at: Timestamp,
    /// When it is to be fulfilled, if later than its approval.
    pub starts_at: Option<Timestamp>,
    /// How many reminders and escalations were sent.
    pub reminders: u8,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
    /// Why it ended, if not by a vote.
    pub ended_because: Option<String>,
    /// One person did what two have to, because there was no second administrator (S-10).
    pub single_person: bool,
    /// What came of it.
    pub outcome: Outcome,
}

/// What a request asked before it was edited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Edited {
    /// What was asked for.
    pub matter: Matter,
    /// For which need.
    pub purpose: String,
    /// When it was edited.
    pub at: Timestamp,
}

/// Something wanted beyond a ceiling and cut down to it (R49).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clipped {
    /// Which field.
    pub field: String,
    /// What was wanted.
    pub wanted: String,
    /// What is asked for instead.
    pub given: String,
}

/// Why a vote doesn't count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadVote {
    /// It isn't open.
    #[error("the request is {}, not open", .0.as_str())]
    NotOpen(RequestState),
    /// The voter read something else.
    #[error("the request was changed since it was read")]
    ContentChanged,
    /// The voter asked for it, or is otherwise the same accountable person.
    #[error("who asks or benefits doesn't approve")]
    SamePerson,
    /// The voter voted already.
    #[error("each approver votes once")]
    VotedAlready,
    /// No step of the route waits for this place.
    #[error("no open step of the route takes this place")]
    PlaceTaken,
}

impl Request {
    /// The workflow's name in the record: human and non-human ones differ (R2).
    pub fn workflow(&self) -> String {
        format!("{}.{}", self.class.as_str(), self.matter.as_str())
    }

    /// The steps that wait for a vote.
    pub fn open_steps(&self) -> Vec<&'static [Place]> {
        let mut votes: Vec<Place> = self.votes.iter().filter(|vote| vote.approves).map(|vote| vote.place).collect();
        let mut open = Vec::new();
        for step in self.route.steps() {
            match votes.iter().position(|place| step.contains(place)) {
                Some(n) => {
                    votes.remove(n);
                }
                None => open.push(*step),
            }
        }
        open
    }

    /// Adds a vote. The caller has checked that policy lets the voter fill the place; the rest is checked here.
    ///
    /// # Errors
    /// Why it doesn't count.
    pub fn vote(mut self, vote: Vote) -> Result<Self, BadVote> {
        if self.state != RequestState::Open {
            return Err(BadVote::NotOpen(self.state));
        }
        if vote.content_hash != self.content_hash {
            return Err(BadVote::ContentChanged);
        }
        let is_interested = |person: PersonId| self.interested.contains(&person);
        if is_interested(vote.by) && vote.approves && !self.single_person {
            return Err(BadVote::SamePerson);
        }
        if vote.instead_of.is_some_and(is_interested) {
            return Err(BadVote::SamePerson);
        }
        // Who is away and who stands in for them are one person here, whichever of them votes.
        let persons = [Some(vote.by), vote.instead_of];
        if self.votes.iter().any(|earlier| persons.iter().flatten().any(|person| earlier.is_of(*person))) {
            return Err(BadVote::VotedAlready);
        }
        if !self.open_steps().iter().any(|step| step.contains(&vote.place)) {
            return Err(BadVote::PlaceTaken);
        }
        let at = vote.at;
        let approves = vote.approves;
        self.votes.push(vote);
        if !approves {
            self.state = RequestState::Denied;
            self.decided_at = Some(at);
        } else if self.open_steps().is_empty() {
            self.state = RequestState::Approved;
            self.decided_at = Some(at);
        }
        Ok(self)
    }

    /// Adds a note. The caller has checked that who wrote it may; the rest is checked here.
    ///
    /// # Errors
    /// Why it isn't taken.
    pub fn note(mut self, note: Note) -> Result<Self, BadNote> {
        if self.state != RequestState::Open {
            return Err(BadNote::NotOpen(self.state));
        }
        let questions = self.notes.iter().filter(|earlier| earlier.kind == NoteKind::Question).count();
        match note.kind {
            NoteKind::Question if questions >= Note::MAX_QUESTIONS => return Err(BadNote::TooMany),
            NoteKind::Answer if self.notes.len() - questions >= questions => return Err(BadNote::NoQuestion),
            NoteKind::Question | NoteKind::Answer => self.notes.push(note),
        }
        Ok(self)
    }

    /// Goes on to a state that no vote leads to.
    ///
    /// # Errors
    /// The table has no such step; the request's state is given back.
    pub fn end(mut self, next: RequestState, because: Option<String>, at: Timestamp) -> Result<Self, RequestState> {
        if !self.state.may_become(next) {
            return Err(self.state);
        }
        self.state = next;
        self.ended_because = because;
        self.decided_at = self.decided_at.or(Some(at));
        Ok(self)
    }

    /// Whether it goes on a route of its class, and each step of that has its vote: then what is asked for may come
    /// about.
    pub fn is_carried(&self) -> bool {
        self.class.routes().contains(&self.route) && self.open_steps().is_empty()
    }

    /// Who may fill the steps that are open: persons by name, but those who are interested, and roles. Nobody, unless it
    /// is open.
    pub fn waits_for(&self) -> Vec<Voter> {
        let open = if self.state == RequestState::Open { self.open_steps() } else { Vec::new() };
        let fills = |place: &Place| match place {
            Place::Owner => self.owner.map(Voter::Person),
            Place::Manager => self.manager.map(Voter::Person),
            Place::Security => Some(Voter::Role(Role::Security)),
            Place::Administrator => Some(Voter::Role(Role::Administrator)),
        };
        let is_kept_out = |voter: &Voter| matches!(voter, Voter::Person(person) if self.interested.contains(person));
        let mut voters: Vec<Voter> = open.into_iter().flatten().filter_map(fills).filter(|v| !is_kept_out(v)).collect();
        voters.sort_unstable();
        voters.dedup();
        voters
    }

    /// Who fills no step of it, whatever they hold: those who voted, be it by their stand-in, and those who ask or gain
    /// by it.
    pub fn keeps_out(&self, person: PersonId) -> bool {
        self.kept_out().any(|kept_out| kept_out == person)
    }

    fn kept_out(&self) -> impl Iterator<Item = PersonId> {
        // The only administrator there is decides what they ask for themselves (S-10).
        let interested = if self.single_person { &[][..] } else { &self.interested };
        let voted = self.votes.iter().flat_map(|vote| std::iter::once(vote.by).chain(vote.instead_of));
        voted.chain(interested.iter().copied())
    }

    /// Who approved it.
    pub fn approvers(&self) -> Vec<PersonId> {
        self.votes.iter().filter(|vote| vote.approves).map(|vote| vote.by).collect()
    }
}

words!(RequestState, Matter, Class);

impl Request {
    /// Listed by its state.
    pub const STATE: Field<Self, RequestState> = Field::new("state");
    /// Listed by its sort of matter.
    pub const TYPE: Field<Self, Matter> = Field::new("type");
    /// Listed by its class.
    pub const CLASS: Field<Self, Class> = Field::new("class");
    /// Listed by its identity concerned.
    pub const IDENTITY: Field<Self, IdentityId> = Field::new("identity");
    /// Listed by its person concerned.
    pub const PERSON: Field<Self, PersonId> = Field::new("person");
    /// Listed by its person or identity that asks.
    pub const REQUESTER: Field<Self, Asker> = Field::new("requester");
    /// Listed by who may fill a step that is open, while it is.
    pub const WAITS_FOR: Field<Self, Voter> = Field::new("waits_for");
    /// Listed by who fills none of them, while it is open. Nobody is found by the rest: whoever reads what is listed
    /// without some of these looks at each of them.
    pub const KEEPS_OUT: Bounded<Self, PersonId> = Bounded::new("keeps_out", MAX_KEPT_OUT, ("keeps_out", "more"));
}

impl Record for Request {
    const KIND: RowKind = RowKind::Request;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none()
            .with(Self::STATE, self.state)
            .with(Self::TYPE, &self.matter)
            .with(Self::CLASS, self.class)
            .each(Self::IDENTITY, self.matter.identity())
            .each(Self::PERSON, self.matter.person())
            .with(Self::REQUESTER, self.requested_by)
            .each(Self::WAITS_FOR, self.waits_for())
            .capped(Self::KEEPS_OUT, self.kept_out().filter(|_| self.state == RequestState::Open), 0)
    }
}
