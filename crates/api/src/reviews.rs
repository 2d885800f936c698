//! Reviews and campaigns of them.

use serde::{Deserialize, Serialize};
use tenure_core::base::id::{FindingId, GrantId, IdentityId, PersonId, ReviewId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::finding::Severity;
use tenure_core::identity::right_size::{Replay, UseVerdict};
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::request::campaign::{Campaign, NoAnswer};
use tenure_core::request::review::{Review, ReviewAnswer};

use crate::views::{Names, Revised};

/// `POST /v1/reviews/{id}/complete`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewCompleted {
    /// The answer.
    pub answer: ReviewAnswer,
    /// What the reviewer has to say.
    #[serde(default)]
    pub comment: String,
    /// What is left of its scope, where it is narrowed; if not given, what the review proposes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Vec<Entitlement>>,
}

/// `POST /v1/reviews/{id}/hand-over`: it isn't the reviewer's, and is offered to whose it is.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewHandOver {
    /// Who takes over the identity and answers.
    pub to: PersonId,
}

/// A review with what helps to answer it.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ReviewView {
    /// The review.
    #[serde(flatten)]
    pub review: Revised<Review>,
    /// What is known of its identity now; nothing of a person's access, or once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<ReviewFacts>,
}

/// What helps to answer the review of an identity.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ReviewFacts {
    /// Its accountable owner now: is it still theirs?
    pub owner: Option<PersonId>,
    /// When it was last used at all.
    pub last_used: Option<Timestamp>,
    /// When a review last found that it is needed.
    pub reviewed_at: Option<Timestamp>,
    /// What it may, action by action, beside its use.
    pub granted: Vec<GrantedUse>,
    /// Rules that it breaks, the worst first.
    pub findings: Vec<ReviewFinding>,
    /// What others like it may.
    pub peers: Peers,
    /// What ends it.
    pub ends: Vec<String>,
    /// What is recommended.
    pub recommendation: Recommendation,
    /// Its scope without what was not used, if that is less and not nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Vec<Entitlement>>,
    /// What that would have done to the decisions of the last 90 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replayed: Option<Replay>,
}

/// An action that is granted, and its use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct GrantedUse {
    /// On what.
    pub resource: String,
    /// Which.
    pub action: String,
    /// By which live grant; by none, if its charter allows it and it is granted just in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantId>,
    /// Decisions in the last 90 days that allowed it.
    pub allowed: u64,
    /// When a decision last allowed it; never, as far as is known, if empty.
    pub last_used: Option<Timestamp>,
    /// What is known of its use.
    pub verdict: UseVerdict,
    /// Of others like it, how many may the same.
    pub peers: u16,
}

/// A rule that it breaks.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ReviewFinding {
    /// The finding.
    pub id: FindingId,
    /// The rule.
    pub rule: String,
    /// How bad.
    pub severity: Severity,
}

/// Others like it: of its kind, for its application, in its environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Peers {
    /// How many were looked at, fifty at most.
    pub count: u16,
    /// The median of the actions that they may.
    pub actions: u16,
}

/// What is recommended, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Recommendation {
    /// The answer; none, where only a person can say.
    pub answer: Option<ReviewAnswer>,
    /// Why, in sentences.
    pub because: Vec<String>,
}

/// `POST /v1/reviews/bulk`: one answer to several reviews.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeveralReviews {
    /// Which, a hundred at most.
    pub reviews: Vec<ReviewId>,
    /// What is done.
    pub deed: ReviewDeed,
    /// To whom they are handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<PersonId>,
    /// Why.
    pub reason: String,
    /// Only what it would come to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// The digest of what it would come to, as the dry run said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
}

/// What is done with several reviews.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewDeed {
    /// Kept as they are: only of tier low.
    Keep,
    /// Narrowed to what each review proposes.
    Narrow,
    /// Revoked.
    Revoke,
    /// Handed over.
    HandOver,
}

/// What became of several reviews, or would.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SeveralReviewed {
    /// Of each, in the order in which they were named.
    pub each: Vec<OneReviewed>,
    /// The digest of what it comes to: the same is done if it is given as `expect`.
    pub digest: String,
    /// What ids are called.
    #[serde(default, skip_serializing_if = "Names::is_empty")]
    pub names: Names,
}

/// What became of one of them.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OneReviewed {
    /// Which.
    pub review: ReviewId,
    /// `done`, or the code of the refusal.
    pub outcome: String,
    /// What the refusal says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// `POST /v1/campaigns`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCampaign {
    /// What it is called.
    pub name: String,
    /// Which identities: a query of the inventory, as `GET /v1/identities` takes it. Only what is active or suspended is
    /// reviewed.
    pub scope: String,
    /// How long its reviews may take; 14 days if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_in: Option<Span>,
    /// What becomes of what nobody answers.
    #[serde(default)]
    pub no_answer: NoAnswer,
    /// How many identities its deadline suspends by itself; 100 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<u64>,
    /// Why.
    pub reason: String,
    /// Only what it would come to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// A campaign, with how far it is.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CampaignView {
    /// The campaign.
    #[serde(flatten)]
    pub campaign: Revised<Campaign>,
    /// How many identities are in its scope now, while its reviews are being opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_scope: Option<u64>,
    /// What its deadline would do now, while reviews are open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
}

/// What a campaign's deadline would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Forecast {
    /// How many identities it would suspend or retire.
    pub identities: u64,
    /// Those of high tier among them, which come first.
    pub high: u64,
    /// The first of them, fifty at most.
    pub first: Vec<IdentityId>,
    /// Whether that is more than it does by itself.
    pub beyond_cap: bool,
    /// What somebody who confirms it has seen.
    pub digest: String,
}

/// `POST /v1/campaigns/{id}/confirm`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmCampaign {
    /// The digest of the forecast that was seen.
    pub digest: String,
}

/// `POST /v1/campaigns/{id}/cancel`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelCampaign {
    /// Why.
    pub reason: String,
}

/// How reviewers answered a campaign: their own figures, those of whom they manage, or all for an auditor.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CampaignStatistics {
    /// Of each reviewer whose figures the caller may see.
    pub reviewers: Vec<ReviewerFigures>,
    /// Whether there are more answers, or more people, than were looked at.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub capped: bool,
    /// What ids are called.
    #[serde(default, skip_serializing_if = "Names::is_empty")]
    pub names: Names,
}

/// How somebody answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ReviewerFigures {
    /// Who.
    pub reviewer: PersonId,
    /// Answers.
    pub answered: u64,
    /// Answers that kept everything.
    pub kept: u64,
    /// Seconds between an answer and the one before it, the median; none of a single answer.
    pub median_secs: Option<u64>,
    /// Whether it looks as if nobody looked: many answers, each of them to keep, seconds apart.
    pub rubber_stamped: bool,
}
