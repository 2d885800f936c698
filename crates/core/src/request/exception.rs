//! Exceptions: a waived control with compensating controls, an approver and an end (R39, R105–R112).
//!
//! There is no type that waives the owner or the expiry.

use serde::{Deserialize, Serialize};

use crate::base::id::{ExceptionId, FindingId, IdentityId, PersonId, RequestId};
use crate::base::state::{BadStep, InState, StateTable};
use crate::base::time::{Span, Timestamp};
use crate::identity::place::Place;
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms, words};

/// How often an exception can be renewed; shown with each (R112).
pub const MAX_RENEWALS: u8 = 2;
/// How long after a reported breach of a compensating control the waiver is withdrawn, unless the control is back.
pub const BREACH_GRACE: Span = Span::from_days(2);

/// What is waived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExceptionType {
    /// A scope that says everything (R24).
    WildcardScope,
    /// A credential weaker than the platform offers (R32): a legacy application without workload identity (R108).
    WeakerCredential,
    /// One identity for several workloads (R105).
    SharedUse,
    /// Unused for longer than the tier allows (R76): a long-lived account that dependencies keep (R109).
    Dormancy,
    /// A removal that waits: of a long-lived account on which others depend (R109).
    RemovalDeferred,
    /// A review later than its cadence (R39).
    LateReview,
    /// An enforcement point goes on accepting what it knows while Tenure can't be reached, where the resource allows it
    /// (S-16).
    AcceptUnreachable,
    /// Break-glass, approved before it is needed (R107).
    BreakGlass,
    /// A contractor's access before the usual steps (R110). The only type for people.
    FastOnboarding,
    /// A finding is let be for a while: it is listed as accepted, holds nothing, and comes back by itself.
    AcceptedFinding,
}

impl ExceptionType {
    /// Every type.
    pub const ALL: &[Self] = &[
        Self::WildcardScope,
        Self::WeakerCredential,
        Self::SharedUse,
        Self::Dormancy,
        Self::RemovalDeferred,
        Self::LateReview,
        Self::AcceptUnreachable,
        Self::BreakGlass,
        Self::FastOnboarding,
        Self::AcceptedFinding,
    ];

    /// The name in policies (`waived`) and in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WildcardScope => "wildcard_scope",
            Self::WeakerCredential => "weaker_credential",
            Self::SharedUse => "shared_use",
            Self::Dormancy => "dormancy",
            Self::RemovalDeferred => "removal_deferred",
            Self::LateReview => "late_review",
            Self::AcceptUnreachable => "accept_unreachable",
            Self::BreakGlass => "break_glass",
            Self::FastOnboarding => "fast_onboarding",
            Self::AcceptedFinding => "accepted_finding",
        }
    }

    /// The compensating controls that each must name (R108, R109).
    pub const fn compensating(self) -> &'static [&'static str] {
        match self {
            Self::WildcardScope => &["monitoring", "scope_reduction"],
            Self::WeakerCredential => &["vaulting", "rotation", "ownership", "revalidation"],
            Self::SharedUse => &["consumers", "migration_plan"],
            Self::Dormancy | Self::RemovalDeferred => &["monitoring", "scope_reduction", "documented_expiry"],
            Self::LateReview => &["monitoring"],
            Self::AcceptUnreachable => &["monitoring", "local_limit"],
            Self::BreakGlass => &["monitoring", "after_review"],
            Self::FastOnboarding => &["sponsor"],
            Self::AcceptedFinding => &["monitoring"],
        }
    }

    /// The longest time for one exception.
    pub const fn max_duration(self) -> Span {
        match self {
            Self::FastOnboarding => Span::from_days(14),
            Self::LateReview | Self::AcceptUnreachable => Span::from_days(30),
            _ => Span::from_days(90),
        }
    }

    /// Whether it is about people; every other type is about non-human identities (invariant 9).
    pub const fn is_human(self) -> bool {
        matches!(self, Self::FastOnboarding)
    }
}

/// For whom. Never for a class, so that none can be inherited (R19).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "type", content = "id")]
pub enum ExceptionSubject {
    /// A non-human identity.
    Identity(IdentityId),
    /// A person.
    Person(PersonId),
}

/// The finding that an exception lets be: by its rule and detail, so that it is the same one when it is found again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptedFinding {
    /// As it was when that was asked for.
    pub finding: FindingId,
    /// Its rule, by id.
    pub rule: String,
    /// What exactly breaks it.
    pub detail: String,
}

impl AcceptedFinding {
    /// Whether it is the same thing that was found.
    pub fn is_of(&self, rule: &str, detail: &str) -> bool {
        self.rule == rule && self.detail == detail
    }
}

/// A control that makes up for the waived one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompensatingControl {
    /// Which, by the names that the type demands.
    pub control: String,
    /// How it is done here.
    pub description: String,
    /// When it was last checked, and found in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Timestamp>,
}

/// Where an exception stands (SECURITY.md, "States").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExceptionState {
    /// Waits for its request.
    Proposed,
    /// In force.
    Active,
    /// In force, but a compensating control is not in place.
    Breached,
    /// Its time is over; terminal.
    Expired,
    /// Taken back, denied, or withdrawn for a breach; terminal.
    Withdrawn,
}

impl ExceptionState {
    /// The name in the log and in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Active => "active",
            Self::Breached => "breached",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// proposed → active ⇄ breached · any → expired, withdrawn.
impl StateTable for ExceptionState {
    const INITIAL: Self = Self::Proposed;
    fn as_str(self) -> &'static str {
        self.as_str()
    }
    fn may_become(self, next: Self) -> bool {
        match (self, next) {
            (Self::Expired | Self::Withdrawn, _) => false,
            (_, Self::Expired | Self::Withdrawn)
            | (Self::Proposed | Self::Breached, Self::Active)
            | (Self::Active, Self::Breached) => true,
            _ => false,
        }
    }
}

/// An exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// Its id.
    pub id: ExceptionId,
    /// What is waived.
    #[serde(rename = "type")]
    pub kind: ExceptionType,
    /// For whom.
    pub subject: ExceptionSubject,
    /// Why.
    pub reason: String,
    /// What makes up for it.
    pub compensating: Vec<CompensatingControl>,
    /// Of a shared use, where else the identity runs than its charter says (R21).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
    /// Who proposed it.
    pub proposed_by: PersonId,
    /// The request about it.
    pub request: RequestId,
    /// Who approved it.
    pub approved_by: Vec<PersonId>,
    /// For how long it was asked.
    pub duration: Span,
    /// From when, once approved.
    pub starts_at: Option<Timestamp>,
    /// Until when, once approved.
    pub ends_at: Option<Timestamp>,
    /// The exception that it renews.
    pub renews: Option<ExceptionId>,
    /// How many renewals led to it, of [`MAX_RENEWALS`].
    pub renewals: u8,
    /// Where it stands.
    pub state: InState<ExceptionState>,
    /// When a breach was reported, while it is breached.
    pub breached_at: Option<Timestamp>,
    /// What is let be, of an accepted finding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepts: Option<AcceptedFinding>,
    /// When the record was made.
    pub created_at: Timestamp,
}

impl Exception {
    /// In force for its time; whoever approved it `now` has checked its compensating controls.
    ///
    /// # Errors
    /// It isn't proposed.
    pub fn activate(
        self,
        approved_by: Vec<PersonId>,
        starts_at: Timestamp,
        ends_at: Timestamp,
        now: Timestamp,
    ) -> Result<Self, BadStep> {
        let next = Self {
            state: self.state.step_from(ExceptionState::Proposed, ExceptionState::Active)?,
            starts_at: Some(starts_at),
            ends_at: Some(ends_at),
            approved_by,
            ..self
        };
        Ok(next.checked(now))
    }

    /// A compensating control isn't in place.
    ///
    /// # Errors
    /// It isn't in force, or breached already.
    pub fn breach(self, now: Timestamp) -> Result<Self, BadStep> {
        Ok(Self { state: self.state.step(ExceptionState::Breached)?, breached_at: Some(now), ..self })
    }

    /// Its compensating controls are in place again.
    ///
    /// # Errors
    /// It isn't breached.
    pub fn restore(self, now: Timestamp) -> Result<Self, BadStep> {
        let state = self.state.step_from(ExceptionState::Breached, ExceptionState::Active)?;
        let next = Self { state, breached_at: None, ..self };
        Ok(next.checked(now))
    }

    /// Its time is over.
    ///
    /// # Errors
    /// It is over already.
    pub fn expire(self) -> Result<Self, BadStep> {
        Ok(Self { state: self.state.step(ExceptionState::Expired)?, ..self })
    }

    /// Taken back, denied, or withdrawn for a breach.
    ///
    /// # Errors
    /// It is over already.
    pub fn withdraw(self) -> Result<Self, BadStep> {
        Ok(Self { state: self.state.step(ExceptionState::Withdrawn)?, ..self })
    }

    fn checked(mut self, now: Timestamp) -> Self {
        for control in &mut self.compensating {
            control.checked_at = Some(now);
        }
        self
    }

    /// Whether it waives its control at `now`.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        matches!(self.state.get(), ExceptionState::Active | ExceptionState::Breached)
            && self.starts_at.is_some_and(|start| start <= now)
            && self.ends_at.is_some_and(|end| now < end)
    }
}

words!(ExceptionState, ExceptionType);

impl Exception {
    /// Listed by its identity that it is about.
    pub const IDENTITY: Field<Self, IdentityId> = Field::new("identity");
    /// Listed by its person whom it is about.
    pub const PERSON: Field<Self, PersonId> = Field::new("person");
    /// Listed by its state.
    pub const STATE: Field<Self, ExceptionState> = Field::new("state");
    /// Listed by its type.
    pub const TYPE: Field<Self, ExceptionType> = Field::new("type");
}

impl Record for Exception {
    const KIND: RowKind = RowKind::Exception;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        let terms = match self.subject {
            ExceptionSubject::Identity(id) => Terms::none().with(Self::IDENTITY, id),
            ExceptionSubject::Person(id) => Terms::none().with(Self::PERSON, id),
        };
        terms.with(Self::STATE, self.state.get()).with(Self::TYPE, self.kind)
    }
}
