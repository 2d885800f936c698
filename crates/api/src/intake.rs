//! Lists of accounts from elsewhere.

use serde::{Deserialize, Serialize};
use tenure_core::base::id::{IdentityId, PersonId};
use tenure_core::base::time::Span;

/// One line of a list, in the list's own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountRow {
    /// The line of the file, or the place counted from 1.
    pub line: u32,
    /// The account's name.
    pub name: String,
    /// The system that it is at.
    pub system: String,
    /// What names it in the list for good; system and name if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The environment that it is in; the import's if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Whom the list names as its owner: an e-mail address or a name. That is a proposal and makes nobody an owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_name: Option<String>,
    /// When it was seen there: a day or a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<String>,
    /// What else the list says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

/// `POST /v1/identities/import`: accounts that no connector sees become identities that nobody answers for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportAccounts {
    /// The list's name, always the same for the same list, e.g. `cmdb`.
    pub source: String,
    /// The environment of the lines that name none.
    pub environment: String,
    /// How long each has until somebody claims it: an hour to 90 days, 14 days if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_within: Option<Span>,
    /// The lines, 10,000 at most.
    pub rows: Vec<AccountRow>,
    /// Only says what would come of each line.
    #[serde(default)]
    pub dry_run: bool,
    /// The `digest` of a dry run: if anything else would be done now, nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
}

/// What came of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IntakeOutcome {
    /// It is an identity that nobody answers for.
    Discovered,
    /// It was brought in before.
    Known,
    /// Its system is a registered target: a scan finds it there, and nothing comes of the line.
    AtTarget,
}

/// What came of a line, or would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct IntakeItem {
    /// The line.
    pub line: u32,
    /// The account's name.
    pub name: String,
    /// The system.
    pub system: String,
    /// What came of it.
    pub outcome: IntakeOutcome,
    /// The identity, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentityId>,
    /// To whom it is proposed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed_to: Option<PersonId>,
    /// What to do instead, or why nobody is proposed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What an import did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct IntakeReport {
    /// The list.
    pub source: String,
    /// Whether nothing was done.
    pub dry_run: bool,
    /// What came of each line.
    pub items: Vec<IntakeItem>,
    /// The hash of what would be done: give it as `expect` to have exactly this done.
    pub digest: String,
}
