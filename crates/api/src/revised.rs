//! Revisions of what is replied: the entity tag that a change sends back as `If-Match` (RFC 9110 §8.8.3).

use serde_json::Value;

use crate::api_keys::ApiKeyIssued;
use crate::bulk::BulkReport;
use crate::drills::DrillView;
use crate::exceptions::ExceptionView;
use crate::findings::{DebtView, FindingSummary, FindingView, PostureView, RuleList, RuleStanding};
use crate::intake::IntakeReport;
use crate::log::{ConsistencyProof, InclusionProof, Reindexed, StateReport, Timeline};
use crate::overview::{Census, RefusalTimes};
use crate::passkeys::PasskeyView;
use crate::people::{Departure, ImportReport, PersonMade};
use crate::person_access::PersonAccessReport;
use crate::policies::PolicyInForceView;
use crate::request::RequestView;
use crate::reviews::{CampaignStatistics, CampaignView, ReviewView, SeveralReviewed};
use crate::saved_views::SavedView;
use crate::sign_in::{CliSession, InvitationMade, Me, SessionView};
use crate::signals::SourceMade;
use crate::targets::{AccountSecret, ProposedAccounts, Suggestions};
use crate::templates::Registered;
use crate::third_party::VendorEnded;
use crate::usage::{RightSizeView, UsageView};
use crate::views::{
    AccessReport, CredentialView, Decision, HoldView, IdentityView, IssuerTrial, JoinTokenIssued, OperatorTokenIssued,
    Page, Plain, ReceiptView, Revised, SetupDone,
};
use crate::why::{PastAccessReport, Refusals};

/// A reply that may be one record at one revision.
pub trait HasRevision {
    /// Whether it is one.
    const IS_REVISED: bool = false;
    /// Whether it may hold a secret, which is given once and never kept.
    const HOLDS_A_SECRET: bool = false;

    /// The revision, if it is one.
    fn revision(&self) -> Option<u64> {
        None
    }
}

impl<T> HasRevision for Revised<T> {
    const IS_REVISED: bool = true;

    fn revision(&self) -> Option<u64> {
        Some(self.revision)
    }
}

macro_rules! revised {
    ($($reply:ty),* $(,)?) => {$(
        impl HasRevision for $reply {
            const IS_REVISED: bool = true;

            fn revision(&self) -> Option<u64> {
                Some(self.revision)
            }
        }
    )*};
}

revised!(IdentityView, RequestView, ExceptionView, FindingView, PersonMade);

impl HasRevision for ReviewView {
    const IS_REVISED: bool = true;

    fn revision(&self) -> Option<u64> {
        Some(self.review.revision)
    }
}

impl HasRevision for CampaignView {
    const IS_REVISED: bool = true;

    fn revision(&self) -> Option<u64> {
        Some(self.campaign.revision)
    }
}

macro_rules! unrevised {
    ($($reply:ty),* $(,)?) => {$(impl HasRevision for $reply {})*};
}

impl<T> HasRevision for Page<T> {}
impl<T> HasRevision for Plain<T> {}

unrevised!(
    AccessReport,
    BulkReport,
    CampaignStatistics,
    Census,
    ConsistencyProof,
    CredentialView,
    Decision,
    Departure,
    FindingSummary,
    HoldView,
    ImportReport,
    InclusionProof,
    IntakeReport,
    IssuerTrial,
    Me,
    PasskeyView,
    PastAccessReport,
    PersonAccessReport,
    PolicyInForceView,
    PostureView,
    ProposedAccounts,
    ReceiptView,
    RefusalTimes,
    Refusals,
    Reindexed,
    RightSizeView,
    RuleList,
    RuleStanding,
    DebtView,
    DrillView,
    SavedView,
    SessionView,
    SeveralReviewed,
    StateReport,
    Suggestions,
    Timeline,
    UsageView,
    Value,
    VendorEnded,
);

macro_rules! secret {
    ($($reply:ty),* $(,)?) => {$(
        impl HasRevision for $reply {
            const HOLDS_A_SECRET: bool = true;
        }
    )*};
}

secret!(
    AccountSecret,
    ApiKeyIssued,
    CliSession,
    InvitationMade,
    JoinTokenIssued,
    OperatorTokenIssued,
    Registered,
    SetupDone,
    SourceMade,
);
