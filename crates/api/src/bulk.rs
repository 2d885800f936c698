//! The same deed for several identities, on the wire.

use serde::{Deserialize, Serialize};
use tenure_core::base::id::{IdentityId, PersonId};

use crate::problem::Problem;
use crate::views::Names;

/// What is done to each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BulkDeed {
    /// It is suspended.
    Suspend,
    /// Its only suspension is released.
    Resume,
    /// It is offered to another owner.
    Transfer,
    /// It is retired, for good.
    Retire,
    /// A draft, or what waits for its approval, is given up.
    Close,
}

/// `POST /v1/bulk`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBulk {
    /// What is done to each.
    pub deed: BulkDeed,
    /// To which: at most 500.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<IdentityId>,
    /// In place of ids, what the inventory's address has behind its `?`: the first 500 that fit. Of a dry run alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// To whom, of a transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<PersonId>,
    /// Why; of a transfer nobody is asked.
    #[serde(default)]
    pub reason: String,
    /// Only says what it would come to, with the digest of that.
    #[serde(default)]
    pub dry_run: bool,
    /// The digest that a dry run gave: what is done is what was shown, or nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// What became of one of them, or would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BulkWord {
    /// It was done; of a dry run, it would be.
    Done,
    /// It stands so already.
    StandsSo,
    /// It was refused; of a dry run, it would be.
    Refused,
}

/// One of them with its outcome.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkOutcome {
    /// Which.
    pub identity: IdentityId,
    /// What became of it, or would.
    pub outcome: BulkWord,
    /// Why it was refused, or would be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// What a deed came to for several identities, or would come to.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkReport {
    /// What was done, or would be.
    pub deed: BulkDeed,
    /// Whether nothing was done.
    pub dry_run: bool,
    /// The hash of the deed, and of each with its revision and what it comes to; of a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Whether more fit the query than are named here.
    pub more: bool,
    /// Each of them, in the order in which they were named.
    pub each: Vec<BulkOutcome>,
    /// The names of the records whose ids it holds.
    #[serde(skip_serializing_if = "Names::is_empty", default)]
    pub names: Names,
}
