//! What people hold: the human side of grants, in records of its own, so that the two paths never mix (invariant 9).

use serde::{Deserialize, Serialize};

use crate::base::id::{ExceptionId, PersonGrantId, PersonId, RequestId};
use crate::base::time::{Span, Timestamp};
use crate::inventory::entitlement::Entitlement;
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms, words};

/// When access that a person got is reviewed for the first time (R116).
pub const EARLY_REVIEW: Span = Span::from_days(30);

/// Where a person's grant stands (SECURITY.md, "States").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PersonGrantState {
    /// Begins later.
    Scheduled,
    /// In force.
    Live,
    /// Its time is over, or its early review was not answered; terminal.
    Expired,
    /// Taken back; terminal.
    Revoked,
}

impl PersonGrantState {
    /// The name in the log and in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Live => "live",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
    /// Whether it has ended.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Expired | Self::Revoked)
    }
}

/// An entitlement that a person holds for a bounded time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonGrant {
    /// Its id.
    pub id: PersonGrantId,
    /// Whose it is.
    pub person: PersonId,
    /// What is granted.
    pub entitlement: Entitlement,
    /// The package that it came with, if any.
    pub package: Option<String>,
    /// The exception that it rests on, if it was given before the usual steps: it works no longer than that is in force
    /// (R110).
    pub exception: Option<ExceptionId>,
    /// From when; once it began, when it really did.
    pub starts_at: Timestamp,
    /// Until when.
    pub ends_at: Timestamp,
    /// When it lapses unless its early review keeps it.
    pub review_by: Timestamp,
    /// Whether that review kept it.
    pub reviewed: bool,
    /// Where it stands.
    pub state: PersonGrantState,
    /// The request that made it (R45).
    pub request: RequestId,
    /// Who approved it.
    pub approved_by: Vec<PersonId>,
    /// The policies that permitted it, and the version.
    pub policies: Vec<String>,
    /// The version of the policy set.
    pub policy_version: String,
    /// The purpose as it read at the approval (R44).
    pub purpose: String,
}

impl PersonGrant {
    /// When its first review opens: halfway to the day on which it lapses without one (R116).
    pub const fn review_opens_at(&self) -> Timestamp {
        let half = self.review_by.since(self.starts_at).as_micros() / 2;
        self.review_by.minus(Span::from_micros(half))
    }

    /// Whether it waits for its first review; what ends before that needs none.
    pub fn needs_review(&self) -> bool {
        !self.reviewed && self.review_by < self.ends_at
    }

    /// Whether it is in force at `now`, as far as it stands for itself.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.state == PersonGrantState::Live
            && self.starts_at <= now
            && now < self.ends_at
            && (!self.needs_review() || now < self.review_by)
    }
}

words!(PersonGrantState);

impl PersonGrant {
    /// Listed by its person.
    pub const PERSON: Field<Self, PersonId> = Field::new("person");
    /// Listed by its state.
    pub const STATE: Field<Self, PersonGrantState> = Field::new("state");
    /// Listed by its resource.
    pub const RESOURCE: Field<Self> = Field::new("resource");
}

impl Record for PersonGrant {
    const KIND: RowKind = RowKind::PersonGrant;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none()
            .with(Self::PERSON, self.person)
            .with(Self::STATE, self.state)
            .with(Self::RESOURCE, &self.entitlement.resource)
    }
}

/// A package of entitlements that people in a role need: granted together, for a bounded time (R116, R118).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it gives from its start.
    pub entitlements: Vec<Entitlement>,
    /// What it gives later, so that access grows with the role (R118).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<PackageStep>,
    /// For how long at most.
    pub max_duration: Span,
    /// When the record was made.
    pub created_at: Timestamp,
}

/// What a package gives some time after its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PackageStep {
    /// How long after the start.
    pub after: Span,
    /// What it gives from then on.
    pub entitlements: Vec<Entitlement>,
}

impl Package {
    /// Whether somebody may get more by it than by another one: an action that isn't in that, one that begins earlier,
    /// or for longer.
    pub fn is_wider_than(&self, other: &Self) -> bool {
        let from = |wanted| other.actions().filter(|(action, _)| *action == wanted).map(|(_, after)| after).min();
        self.max_duration > other.max_duration
            || self.actions().any(|(action, after)| from(action).is_none_or(|from| after < from))
    }

    /// Each action on each resource that it gives, with how long after its start.
    fn actions(&self) -> impl Iterator<Item = ((&str, &str), Span)> {
        self.parts().flat_map(|(after, part)| {
            part.actions.iter().map(move |action| ((part.resource.as_str(), action.as_str()), after))
        })
    }

    /// Everything that it gives, and how long after its start.
    pub fn parts(&self) -> impl Iterator<Item = (Span, &Entitlement)> {
        let at_once = self.entitlements.iter().map(|entitlement| (Span::default(), entitlement));
        let later =
            self.steps.iter().flat_map(|step| step.entitlements.iter().map(|entitlement| (step.after, entitlement)));
        at_once.chain(later)
    }
}

impl Record for Package {
    const KIND: RowKind = RowKind::Package;
    fn row_id(&self) -> String {
        self.name.clone()
    }
}
