//! Target systems and their accounts.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use tenure_core::base::id::{AccountId, IdentityId, PersonId, TargetId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::{CharterDraft, Kind};
use tenure_core::target::connector::{Ability, Endpoint, Mode, ProofWorth, TargetKind};
use tenure_core::target::suggestion::{Strength, Suggestion, SuggestionReason};
use tenure_core::target::system::{GoneAttestation, Scan, ScanProgress, Trouble};
use tenure_core::trust::state::TrustState;

use crate::views::Logged;

/// `POST /v1/targets`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTarget {
    /// Its name, unique for ever.
    pub name: String,
    /// What sort of system.
    pub kind: TargetKind,
    /// Where it is.
    pub endpoint: Endpoint,
    /// What the connector may do there; `observe` if left out.
    #[serde(default)]
    pub mode: Mode,
    /// The identity that the connector is. It works while that is active (S-17).
    pub identity: IdentityId,
    /// Who answers for it.
    pub owner: PersonId,
    /// The environment that its accounts are in.
    pub environment: String,
    /// How often its accounts are looked through: a minute to 30 days, a day if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan_every: Option<Span>,
    /// How long an account that was found has until an active identity answers for it: an hour to 90 days, 14 days if
    /// left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_within: Option<Span>,
    /// Accounts that nobody claimed which are held in a day without a word of security; 25 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blast_cap: Option<u32>,
}

/// `PATCH /v1/targets/{id}`: what is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetEdit {
    /// Where it is. The connector's login doesn't follow: somebody else hands in another (S-17).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// What the connector may do. Where it may do more than before, the login doesn't follow either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<PersonId>,
    /// How often its accounts are looked through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan_every: Option<Span>,
    /// How long an account that was found from now on has until an active identity answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_within: Option<Span>,
    /// Accounts that nobody claimed which are held in a day without a word of security.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blast_cap: Option<u32>,
}

/// `PUT /v1/targets/{id}/login`: with what the connector signs in there. It is sealed, opened by workers alone, and
/// shown to nobody.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetLoginAsk {
    /// The name of the login at the target; empty where a token needs none.
    #[serde(default)]
    pub name: String,
    /// Its password, key or token.
    pub secret: String,
}

impl fmt::Debug for TargetLoginAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TargetLoginAsk").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The login of a connector, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TargetLoginView {
    /// Its name at the target.
    pub name: String,
    /// Who handed it in.
    pub by: PersonId,
    /// When.
    pub at: Timestamp,
}

/// `POST /v1/targets/{id}/attest-gone`: the target is gone for good.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GoneAsk {
    /// Why it is thought so.
    pub reason: String,
    /// What shows it: a ticket, a record of its end, an order number.
    pub evidence: String,
}

/// `POST /v1/accounts/{id}/narrow`: what an account keeps of what it may do at its target.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NarrowAccount {
    /// The grants that it keeps, in the target's words, of those that it has.
    pub keep: Vec<String>,
    /// Why.
    pub reason: String,
}

/// A target system.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TargetView {
    /// Its id.
    pub id: TargetId,
    /// Its name.
    pub name: String,
    /// What sort of system.
    pub kind: TargetKind,
    /// Where it is.
    pub endpoint: Endpoint,
    /// What the connector may do there.
    pub mode: Mode,
    /// The identity that the connector is.
    pub identity: IdentityId,
    /// Who answers for it.
    pub owner: PersonId,
    /// The environment that its accounts are in.
    pub environment: String,
    /// The connector's login; none until one was handed in.
    pub login: Option<TargetLoginView>,
    /// What the connector can do; none if this build has no connector of its kind.
    pub abilities: Option<Vec<Ability>>,
    /// What the connector's proof is worth.
    pub proof: Option<ProofWorth>,
    /// How often its accounts are looked through.
    pub scan_every: Span,
    /// How long an account that was found has until an active identity answers for it.
    pub claim_within: Span,
    /// Accounts that nobody claimed which are held in a day without a word of security.
    pub blast_cap: u32,
    /// Until when somebody of security lets more be held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncapped_until: Option<Timestamp>,
    /// The scan that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scanning: Option<ScanProgress>,
    /// The last scan that came to its end, with what it could not see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scanned: Option<Scan>,
    /// That it can't be asked, while it can't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    /// That it is gone for good, by the word of people: one, or two, from when on it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<GoneAttestation>,
    /// Where the registration stands.
    pub state: TrustState,
    /// Who proposed it.
    pub proposed_by: PersonId,
    /// Who confirmed it.
    pub confirmed_by: Option<PersonId>,
    /// Whether one person did both, because there was no second administrator (S-10).
    pub single_person: bool,
    /// When the record was made.
    pub created_at: Timestamp,
}

/// `POST /v1/targets/{id}/propose`: to whom the accounts may belong whose names begin so, and why.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// How their names begin; empty: all that nobody answers for.
    #[serde(default)]
    pub name_prefix: String,
    /// Only those that have each of these marks at the target, with this text in it whatever its case; an empty one: that
    /// have the mark at all. E.g. `{"comment": "billing"}`, `{"created_by": "terraform"}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub marks: BTreeMap<String, String>,
    /// Who may answer for them: told, and free to claim each or not. Left out where the suggestions say who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<PersonId>,
    /// Propose each to whom its first suggestion names, if that is worth at least this; with `owner`, only those of
    /// which that is the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_suggestion: Option<Strength>,
    /// Why it is thought so.
    pub reason: String,
    /// Whether nothing is to be proposed, and the answer to say what would be.
    #[serde(default)]
    pub dry_run: bool,
}

/// An account that was proposed, or would be.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Proposed {
    /// The account.
    pub account: AccountId,
    /// The identity that it belongs to.
    pub identity: IdentityId,
    /// Its name at the target.
    pub name: String,
    /// To whom.
    pub owner: PersonId,
    /// What speaks for it, where it was suggested.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<SuggestionReason>,
    /// Until when it has to be claimed.
    pub claim_by: Timestamp,
}

/// `GET /v1/accounts/{id}/suggestions`: who may answer for an account. Nobody does so by being suggested.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Suggestions {
    /// The account.
    pub account: AccountId,
    /// Who may, the strongest first.
    pub items: Vec<Suggestion>,
    /// Whether there is more than was looked at.
    pub partial: bool,
}

/// What a proposal came to.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ProposedAccounts {
    /// The accounts, 500 at most.
    pub accounts: Vec<Proposed>,
    /// Whether nothing was proposed.
    pub dry_run: bool,
    /// Whether there are more: propose once more for them.
    pub more: bool,
}

/// The secret that an account was given, shown this once.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AccountSecret {
    /// The account.
    pub account: AccountId,
    /// Its name at the target.
    pub name: String,
    /// Its password. It is shown this once.
    pub secret: String,
    /// Where the log says so.
    pub log: Logged,
}

impl fmt::Debug for AccountSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountSecret").field("account", &self.account).finish_non_exhaustive()
    }
}

/// `POST /v1/identities/{id}/claim`: the caller answers for an identity that was found at a target.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Its kind; a service account if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Its charter, as far as it is known: the owner is the caller, the environment the target's.
    pub charter: CharterDraft,
}
