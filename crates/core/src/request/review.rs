//! Reviews: somebody answers whether an access is still needed (R81, R88, R93, R95, R116).

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::base::id::{CampaignId, IdentityId, PersonGrantId, PersonId, ReviewId};
use crate::base::state::{BadStep, InState, StateTable};
use crate::base::time::{Span, Timestamp};
use crate::identity::RiskTier;
use crate::inventory::entitlement::Entitlement;
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms, words};

/// How long a review that an event asks for may take.
pub const ANSWER_WITHIN: Span = Span::from_days(14);
/// How often one review is handed on at most: it is not passed round until its deadline is over.
pub const MAX_HANDED_OVER: usize = 3;

/// What asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewTrigger {
    /// A key or a secret was replaced (R81, R93).
    Rotation,
    /// An owner left or handed it over (R93).
    Offboarding,
    /// The first review of a person's access (R116).
    Early,
    /// The cadence of its tier.
    Cadence,
    /// It was not used (R76).
    Dormancy,
    /// A release or an integration change (R88).
    Release,
    /// A campaign that somebody asked for.
    Campaign,
    /// It was used in a context that it isn't known in, and its approval rests on how it behaves (R111).
    NewContext,
}

impl ReviewTrigger {
    /// The name in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rotation => "rotation",
            Self::Offboarding => "offboarding",
            Self::Early => "early",
            Self::Cadence => "cadence",
            Self::Dormancy => "dormancy",
            Self::Release => "release",
            Self::Campaign => "campaign",
            Self::NewContext => "new_context",
        }
    }
}

/// How closely an identity is looked at after one of its keys or secrets was replaced (R81).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RotationReview {
    /// Of tier high in full, of the others lightly.
    #[default]
    ByTier,
    /// One question: is it still yours?
    Light,
    /// With all that helps to answer.
    Full,
}

impl RotationReview {
    /// The name in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ByTier => "by_tier",
            Self::Light => "light",
            Self::Full => "full",
        }
    }

    /// Whether an identity of this tier is looked at lightly.
    pub fn is_light(self, tier: RiskTier) -> bool {
        match self {
            Self::ByTier => tier != RiskTier::High,
            Self::Light => true,
            Self::Full => false,
        }
    }
}

impl FromStr for RotationReview {
    type Err = UnknownRotationReview;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = [Self::ByTier, Self::Light, Self::Full];
        known.into_iter().find(|policy| policy.as_str() == text).ok_or(UnknownRotationReview)
    }
}

/// A text that names no policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("say how identities are reviewed after a rotation: by_tier, light or full")]
pub struct UnknownRotationReview;

/// What is reviewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "type", content = "id")]
pub enum ReviewSubject {
    /// An identity and all that it holds.
    Identity(IdentityId),
    /// A person's grant.
    PersonGrant(PersonGrantId),
}

/// Something that the subject held when the review was opened, and whether it was used (R88).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Privilege {
    /// The resource.
    pub resource: String,
    /// The action.
    pub action: String,
    /// When a decision last allowed it; never, as far as is known, if empty.
    pub last_used: Option<Timestamp>,
}

/// What was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewAnswer {
    /// Still needed as it is.
    Keep,
    /// Still needed, and less of it: what was left out is taken back.
    Narrow,
    /// Not needed: it ends.
    Revoke,
}

impl ReviewAnswer {
    /// The name in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Narrow => "narrow",
            Self::Revoke => "revoke",
        }
    }
}

/// Where a review stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewState {
    /// Waits for its answer.
    Open,
    /// Answered; terminal.
    Answered,
    /// Not answered in time: the default was applied; terminal.
    Lapsed,
    /// No longer needed, its subject having ended; terminal.
    Closed,
}

impl ReviewState {
    /// The name in the log and in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Answered => "answered",
            Self::Lapsed => "lapsed",
            Self::Closed => "closed",
        }
    }
}

/// open → answered, lapsed, closed.
impl StateTable for ReviewState {
    const INITIAL: Self = Self::Open;
    fn as_str(self) -> &'static str {
        self.as_str()
    }
    fn may_become(self, next: Self) -> bool {
        self == Self::Open && next != Self::Open
    }
}

/// A review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// Its id.
    pub id: ReviewId,
    /// What is reviewed.
    pub subject: ReviewSubject,
    /// What asks for it.
    pub trigger: ReviewTrigger,
    /// Who is asked: the accountable owner, or the person's manager.
    pub reviewer: Option<PersonId>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it has to be answered.
    pub due_at: Timestamp,
    /// Where it stands.
    pub state: InState<ReviewState>,
    /// The answer, by whom, when, and what they said.
    pub answer: Option<Answered>,
    /// What the subject held when it was opened, beside what of it was used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub privileges: Vec<Privilege>,
    /// Whether it asks no more than whether it is still theirs: no list is shown to go through.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub light: bool,
    /// The campaign that it is part of: its deadline is the campaign's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<CampaignId>,
    /// The tier of its identity when it was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<RiskTier>,
    /// Who said that it isn't theirs, and to whom they offered it, [`MAX_HANDED_OVER`] at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handed_over: Vec<HandedOver>,
}

/// That a reviewer handed a review on, together with what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HandedOver {
    /// Who.
    pub by: PersonId,
    /// To whom.
    pub to: PersonId,
    /// When.
    pub at: Timestamp,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    /// What.
    pub answer: ReviewAnswer,
    /// By whom.
    pub by: PersonId,
    /// When.
    pub at: Timestamp,
    /// What they said.
    pub comment: String,
    /// What was left out, where it was narrowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<Entitlement>,
}

words!(ReviewAnswer, ReviewState, ReviewTrigger);

impl Review {
    /// When those above a reviewer who has not answered may answer, too: after two thirds of its time.
    pub fn escalates_at(&self) -> Timestamp {
        self.opened_at.plus(Span::from_secs(self.due_at.since(self.opened_at).as_secs() / 3 * 2))
    }

    /// Answered.
    ///
    /// # Errors
    /// It isn't open.
    pub fn answer(self, answer: Answered) -> Result<Self, BadStep> {
        Ok(Self { state: self.state.step(ReviewState::Answered)?, answer: Some(answer), ..self })
    }

    /// Nobody answered in time.
    ///
    /// # Errors
    /// It isn't open.
    pub fn lapse(self) -> Result<Self, BadStep> {
        Ok(Self { state: self.state.step(ReviewState::Lapsed)?, ..self })
    }

    /// Handed on: whoever it was offered to answers it from now on, by the same deadline.
    ///
    /// # Errors
    /// It isn't open.
    pub fn hand_over(mut self, handed: HandedOver) -> Result<Self, BadStep> {
        // The state stays: that it is open is what the table is asked.
        self.state.step(ReviewState::Closed)?;
        self.reviewer = Some(handed.to);
        self.handed_over.push(handed);
        Ok(self)
    }

    /// No longer needed.
    ///
    /// # Errors
    /// It isn't open.
    pub fn close(self) -> Result<Self, BadStep> {
        Ok(Self { state: self.state.step(ReviewState::Closed)?, ..self })
    }

    /// Listed by its identity that it is about.
    pub const IDENTITY: Field<Self, IdentityId> = Field::new("identity");
    /// Listed by its person's grant that it is about.
    pub const PERSON_GRANT: Field<Self, PersonGrantId> = Field::new("person_grant");
    /// Listed by its state.
    pub const STATE: Field<Self, ReviewState> = Field::new("state");
    /// Listed by its trigger.
    pub const TRIGGER: Field<Self, ReviewTrigger> = Field::new("trigger");
    /// Listed by its reviewer.
    pub const REVIEWER: Field<Self, PersonId> = Field::new("reviewer");
    /// Listed by its campaign.
    pub const CAMPAIGN: Field<Self, CampaignId> = Field::new("campaign");
    /// One of a campaign, listed by who answered it.
    pub const ANSWERED_BY: Field<Self, PersonId> = Field::new("answered_by");
}

impl Record for Review {
    const KIND: RowKind = RowKind::Review;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        let terms = match self.subject {
            ReviewSubject::Identity(id) => Terms::none().with(Self::IDENTITY, id),
            ReviewSubject::PersonGrant(id) => Terms::none().with(Self::PERSON_GRANT, id),
        };
        terms
            .with(Self::STATE, self.state.get())
            .with(Self::TRIGGER, self.trigger)
            .each(Self::REVIEWER, self.reviewer)
            .each(Self::CAMPAIGN, self.campaign)
            .each(Self::ANSWERED_BY, self.answer.as_ref().filter(|_| self.campaign.is_some()).map(|answer| answer.by))
    }
}
