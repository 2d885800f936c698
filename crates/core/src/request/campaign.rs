//! Campaigns: many identities are reviewed together, by one deadline (R95).
//!
//! opening → open → applying → closed; a deadline that would suspend more than the campaign may waits for somebody of
//! security. What is not over can be cancelled.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::id::{CampaignId, PersonId};
use crate::base::state::{BadStep, InState, StateTable};
use crate::base::time::{Span, Timestamp};
use crate::identity::RiskTier;
use crate::request::review::ReviewAnswer;
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms, words};

/// The longest name in characters.
pub const LONGEST_NAME: usize = 120;
/// The longest scope in bytes.
pub const LONGEST_SCOPE: usize = 2_000;
/// How soon a campaign can be over.
pub const SHORTEST: Span = Span::from_mins(1);
/// How long a campaign can take.
pub const LONGEST: Span = Span::from_days(90);
/// How many identities a deadline suspends by itself, unless the campaign says otherwise.
pub const CAP: u64 = 100;

/// What asks for a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CampaignCause {
    /// Somebody.
    Asked,
    /// The cadence of low tier.
    CadenceLow,
    /// The cadence of medium tier.
    CadenceMedium,
    /// The cadence of high tier.
    CadenceHigh,
}

impl CampaignCause {
    /// The name in the log and in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::CadenceLow => "cadence_low",
            Self::CadenceMedium => "cadence_medium",
            Self::CadenceHigh => "cadence_high",
        }
    }

    /// The cadence of a tier.
    pub const fn of(tier: RiskTier) -> Self {
        match tier {
            RiskTier::Low => Self::CadenceLow,
            RiskTier::Medium => Self::CadenceMedium,
            RiskTier::High => Self::CadenceHigh,
        }
    }
}

/// The name under which the next campaign of a tier's cadence falls due: that of no campaign.
pub fn cadence_of(tier: RiskTier) -> String {
    format!("cadence {}", tier.as_str())
}

/// What becomes of an identity whose review nobody answers in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoAnswer {
    /// It is suspended; its owner may resume it.
    #[default]
    Suspend,
    /// It is retired, for good.
    Retire,
}

impl NoAnswer {
    /// The name in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Retire => "retire",
        }
    }
}

/// Where a campaign stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CampaignState {
    /// Its reviews are being opened.
    Opening,
    /// Its reviews wait for their answers.
    Open,
    /// Its deadline is over and would suspend more than it may: somebody of security has to confirm that.
    Waiting,
    /// Its deadline is over, and what nobody answered is worked off.
    Applying,
    /// None of its reviews is open; terminal.
    Closed,
    /// It was given up; terminal.
    Cancelled,
}

impl CampaignState {
    /// The name in the log and in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Open => "open",
            Self::Waiting => "waiting",
            Self::Applying => "applying",
            Self::Closed => "closed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it is over.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Closed | Self::Cancelled)
    }
}

impl StateTable for CampaignState {
    const INITIAL: Self = Self::Opening;
    fn as_str(self) -> &'static str {
        self.as_str()
    }
    fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Opening, Self::Open | Self::Closed | Self::Cancelled)
                | (Self::Open, Self::Waiting | Self::Applying | Self::Closed | Self::Cancelled)
                | (Self::Waiting, Self::Applying | Self::Closed | Self::Cancelled)
                | (Self::Applying, Self::Closed)
        )
    }
}

words!(CampaignCause, CampaignState, NoAnswer);

/// How its reviews stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Those that were opened.
    pub opened: u64,
    /// Identities of the scope whose review was open already.
    pub passed_over: u64,
    /// Those that wait, by the tier of their identities when they were opened.
    pub open: BTreeMap<String, u64>,
    /// Answered: kept as it is.
    pub kept: u64,
    /// Answered: narrowed.
    pub narrowed: u64,
    /// Answered: revoked.
    pub revoked: u64,
    /// Not answered in time.
    pub lapsed: u64,
    /// Closed, since the identity had ended, or the campaign was cancelled.
    pub closed: u64,
    /// Left open beyond the deadline, by an exception.
    pub late: u64,
}

impl Tally {
    /// Those that wait for an answer.
    pub fn waiting(&self) -> u64 {
        self.open.values().fold(0, |sum, open| sum.saturating_add(*open))
    }

    /// One more of this tier is open.
    pub fn add(&mut self, tier: RiskTier) {
        self.opened = self.opened.saturating_add(1);
        let open = self.open.entry(tier.as_str().to_owned()).or_default();
        *open = open.saturating_add(1);
    }

    /// One of this tier waits no more.
    pub fn take(&mut self, tier: RiskTier) {
        if let Some(open) = self.open.get_mut(tier.as_str()) {
            *open = open.saturating_sub(1);
        }
    }

    /// One of this tier was answered.
    pub fn answered(&mut self, tier: RiskTier, answer: ReviewAnswer) {
        self.take(tier);
        let count = match answer {
            ReviewAnswer::Keep => &mut self.kept,
            ReviewAnswer::Narrow => &mut self.narrowed,
            ReviewAnswer::Revoke => &mut self.revoked,
        };
        *count = count.saturating_add(1);
    }
}

/// What the next step of the worker is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Behind what it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Whether reviewers were told what comes of what is left.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reminded: bool,
    /// Whether it was looked at how people answered, once it was over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub looked_at: bool,
}

/// A campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    /// Its id.
    pub id: CampaignId,
    /// What it is called.
    pub name: String,
    /// What asks for it.
    pub cause: CampaignCause,
    /// Which identities: a query of the inventory, as `GET /v1/identities` takes it.
    pub scope: String,
    /// The words of the scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The filters of the scope, as identities are listed by them.
    pub filters: Vec<String>,
    /// Who was reviewed since is passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless_reviewed_since: Option<Timestamp>,
    /// Who asked for it; nobody, if a cadence did.
    pub opened_by: Option<PersonId>,
    /// Why.
    pub reason: String,
    /// When it was asked for.
    pub opened_at: Timestamp,
    /// When its reviews have to be answered.
    pub due_at: Timestamp,
    /// What becomes of what nobody answers.
    pub no_answer: NoAnswer,
    /// How many identities its deadline suspends by itself.
    pub cap: u64,
    /// Where it stands.
    pub state: InState<CampaignState>,
    /// How its reviews stand.
    pub tally: Tally,
    /// Where the worker is.
    pub progress: Progress,
    /// Who of security confirmed what its deadline does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_by: Option<PersonId>,
    /// Its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

impl Campaign {
    /// Listed by what asks for it.
    pub const CAUSE: Field<Self, CampaignCause> = Field::new("cause");
    /// Listed by its state.
    pub const STATE: Field<Self, CampaignState> = Field::new("state");

    /// When whoever still has to answer, and those above them, are told what comes of what is left: after two thirds of
    /// its time.
    pub fn remind_at(&self) -> Timestamp {
        let time = self.due_at.since(self.opened_at);
        self.opened_at.plus(Span::from_secs(time.as_secs() / 3 * 2))
    }

    /// Every review is open; without any, it is over.
    ///
    /// # Errors
    /// It isn't opening.
    pub fn all_open(mut self, now: Timestamp) -> Result<Self, BadStep> {
        let next = if self.tally.opened == 0 { CampaignState::Closed } else { CampaignState::Open };
        self.state = self.state.step_from(CampaignState::Opening, next)?;
        self.ended_at = next.is_over().then_some(now);
        self.progress = Progress::default();
        Ok(self)
    }

    /// Its deadline would do more than it may.
    ///
    /// # Errors
    /// It isn't open.
    pub fn wait(mut self) -> Result<Self, BadStep> {
        self.state = self.state.step(CampaignState::Waiting)?;
        Ok(self)
    }

    /// What nobody answered is worked off, by its deadline or by the word of this person of security.
    ///
    /// # Errors
    /// It is neither open nor waiting.
    pub fn apply(mut self, confirmed_by: Option<PersonId>) -> Result<Self, BadStep> {
        self.state = self.state.step(CampaignState::Applying)?;
        self.confirmed_by = confirmed_by;
        self.progress.after = None;
        Ok(self)
    }

    /// None of its reviews is open.
    ///
    /// # Errors
    /// It is over already.
    pub fn close(mut self, now: Timestamp) -> Result<Self, BadStep> {
        self.state = self.state.step(CampaignState::Closed)?;
        self.ended_at = Some(now);
        Ok(self)
    }

    /// It is given up.
    ///
    /// # Errors
    /// It is over, or its deadline is being worked off.
    pub fn cancel(mut self, now: Timestamp) -> Result<Self, BadStep> {
        self.state = self.state.step(CampaignState::Cancelled)?;
        self.ended_at = Some(now);
        Ok(self)
    }
}

impl Record for Campaign {
    const KIND: RowKind = RowKind::Campaign;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none().with(Self::CAUSE, self.cause).with(Self::STATE, self.state.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_reviews_stay_where_they_are_full_or_empty() {
        let full = BTreeMap::from([("low".to_owned(), u64::MAX), ("high".to_owned(), u64::MAX)]);
        let mut tally = Tally { opened: u64::MAX, kept: u64::MAX, open: full, ..Tally::default() };
        assert_eq!(tally.waiting(), u64::MAX);
        tally.add(RiskTier::Low);
        assert_eq!((tally.opened, tally.open["low"]), (u64::MAX, u64::MAX));
        tally.answered(RiskTier::Low, ReviewAnswer::Keep);
        assert_eq!((tally.kept, tally.open["low"]), (u64::MAX, u64::MAX - 1));
        // One more is taken than there is, and one of a tier that none is of.
        let mut none = Tally::default();
        none.take(RiskTier::High);
        none.answered(RiskTier::Medium, ReviewAnswer::Revoke);
        assert_eq!((none.waiting(), none.revoked), (0, 1));
    }
}
