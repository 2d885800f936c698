//! Replies that are not a record of the domain by itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenure_core::base::id::{BindingId, CredentialId, GrantId, OperatorTokenId, PersonId, ReceiptId, TeamId};
use tenure_core::base::time::Timestamp;
use tenure_core::credential::receipt::{Receipt, ReceiptState};
use tenure_core::identity::Identity;
use tenure_core::identity::scope::Hold;
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::people::person::Person;
use tenure_core::store::row::Position;
use tenure_core::trust::confirmation::Confirmation;

/// The names of the records whose ids stand in a reply, by id: of identities, people, applications, teams, resources,
/// vendors, needs, cloud accounts, sources, issuers and targets.
pub type Names = BTreeMap<String, String>;

/// A page of a list.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Page<T> {
    /// The items: in the order of their ids, or as they were asked to be sorted.
    pub items: Vec<T>,
    /// Give it as `after` to get the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
    /// How many there are on all pages, if that was asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub count: Option<u64>,
    /// The ids of records of this page that can't be read or were altered outside Tenure, of which an operator finds
    /// the cause with `tenure log verify-state`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub unreadable: Vec<String>,
    /// The names of the records whose ids it holds.
    #[serde(skip_serializing_if = "Names::is_empty", default)]
    pub names: Names,
}

impl<T> Page<T> {
    /// A list that is one page.
    pub fn whole(items: Vec<T>) -> Self {
        Self { items, next: None, count: None, unreadable: Vec::new(), names: Names::new() }
    }
}

/// Where in the log a change stands, and the log's signed promise to include it (S-3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Logged {
    /// The position.
    pub position: Position,
    /// The leaf hash, base64url.
    pub leaf_hash: String,
    /// The signed inclusion promise.
    pub promise: String,
}

/// A record with where it stands.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Revised<T> {
    /// The record.
    #[serde(flatten)]
    pub record: T,
    /// Its revision, as in the `ETag`.
    pub revision: u64,
    /// The hold on everything that belongs to it, while there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hold: Option<Hold>,
    /// Where its last change stands in the log; only in replies to changes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub log: Option<Logged>,
    /// The names of the records whose ids it holds.
    #[serde(skip_serializing_if = "Names::is_empty", default)]
    pub names: Names,
}

/// A record without a revision, with the names of what it names.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Plain<T> {
    /// The record.
    #[serde(flatten)]
    pub record: T,
    /// The names of the records whose ids it holds.
    #[serde(skip_serializing_if = "Names::is_empty", default)]
    pub names: Names,
}

/// A new operator token; its text is shown this once.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OperatorTokenIssued {
    /// The token's id.
    pub id: OperatorTokenId,
    /// Whom it stands for.
    pub person: PersonId,
    /// The token.
    pub operator_token: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// The reply to set-up.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SetupDone {
    /// The first administrator.
    pub person: Person,
    /// A token that stands for them; shown this once.
    pub operator_token: String,
    /// When the token ends.
    pub expires_at: Timestamp,
}

/// A new join token; its text is shown this once.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct JoinTokenIssued {
    /// The join token's id: the enrolment proof names it as `join_token_id`.
    pub id: tenure_core::base::id::JoinTokenId,
    /// The join token.
    pub join_token: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The audience of the enrolment proof: the environment's issuer identifier.
    pub audience: String,
}

/// One access that an identity holds, with the three answers of R46.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Access {
    /// The grant.
    pub grant: GrantId,
    /// What it gives.
    pub entitlement: Entitlement,
    /// The request that it was derived from.
    pub request: tenure_core::base::id::RequestId,
    /// Who approved it; nobody, if a named rule did.
    pub approved_by: Vec<PersonId>,
    /// The policies that permitted it.
    pub policies: Vec<String>,
    /// For which need, as it read at the approval.
    pub need: String,
    /// What ends it: its date and each event that removes it.
    pub ends: Vec<String>,
    /// Its last day at the latest.
    pub until: Timestamp,
    /// Whether it is in force now.
    pub live: bool,
}

/// `GET /v1/identities/{id}/access`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AccessReport {
    /// Whose.
    pub identity: tenure_core::base::id::IdentityId,
    /// Each access.
    pub access: Vec<Access>,
    /// The names of the records whose ids it holds.
    #[serde(skip_serializing_if = "Names::is_empty", default)]
    pub names: Names,
}

/// A credential as the inventory shows it. The secret is not stored, so it can't be shown (R5).
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CredentialView {
    /// The record.
    #[serde(flatten)]
    pub record: tenure_core::credential::Credential,
    /// The log position of its issuance.
    pub issued_position: Position,
    /// `live`, or why it is not.
    pub state: String,
    /// Who answers for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub owner: Option<PersonId>,
    /// What its identity is for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub purpose: Option<String>,
    /// The consumer for which it was issued, of a shared identity that tells it apart (R105).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub consumer: Option<String>,
    /// When it was last used itself, of an API key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_used: Option<Timestamp>,
    /// When its identity was last used.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub identity_last_used: Option<Timestamp>,
}

/// An identity with what is computed about it.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct IdentityView {
    /// The record.
    #[serde(flatten)]
    pub record: Identity,
    /// Its revision.
    pub revision: u64,
    /// What its tier and its kind allow (R119).
    pub ceilings: tenure_core::identity::Ceilings,
    /// When it was last used, as far as noted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_used: Option<Timestamp>,
    /// The team that answers for its removal (R115); none of one that was activated before that was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub removal_group: Option<RemovalGroup>,
    /// The holds on it, and on what it belongs to: while there is one it doesn't work, though it be active.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub holds: Vec<Hold>,
    /// What its end hangs on that can't be heard or reached now: until it is back it isn't removable (R97), and isn't
    /// renewed.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub silent: Vec<SilentView>,
    /// The client certificate that it proves itself by, if it does that (R7).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub certificate: Option<CertificateView>,
    /// When its removal was drilled last, and whether that proved that it can be removed (R97).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub drill: Option<LastDrill>,
    /// That it, or what it belongs to, goes on a day (R99).
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub deprecations: Vec<Sunset>,
    /// Who shares it, and how each is told apart (R105); in the view of one identity.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub consumers: Vec<ConsumerView>,
    /// Who could release its newest cause of suspension now; only in replies to a suspension.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub releasers: Option<Releasers>,
    /// Where its last change stands in the log; only in replies to changes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub log: Option<Logged>,
    /// The names of the records whose ids it holds.
    #[serde(skip_serializing_if = "Names::is_empty", default)]
    pub names: Names,
}

/// The client certificate of an identity (RFC 8705).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CertificateView {
    /// SHA-256 over its DER, base64url (`x5t#S256`).
    pub thumbprint: String,
    /// Its serial number, in hex.
    pub serial: String,
    /// From when on it is good.
    pub not_before: Timestamp,
    /// When its lifetime is over.
    pub not_after: Timestamp,
    /// Whether it proves anything now.
    pub state: CertificateState,
}

/// Whether a certificate proves anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CertificateState {
    /// It does, while its identity works.
    Good,
    /// Its lifetime has not begun.
    NotYet,
    /// Its lifetime is over.
    Ended,
    /// Its identity has ended, and it with that, for good.
    Revoked,
}

/// A consumer of a shared identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ConsumerView {
    /// Its name.
    pub consumer: String,
    /// The binding that tells it apart; none while several have none of their own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub binding: Option<BindingId>,
    /// The workload that holds its proof.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub workload: Option<String>,
    /// When it was last used by this consumer, as far as noted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_used: Option<Timestamp>,
}

/// The last removal drill of an identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LastDrill {
    /// When.
    pub at: Timestamp,
    /// Whether each of what it revoked is proven to be refused.
    pub proven: bool,
    /// What proves that: the first of its receipts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub receipt: Option<ReceiptId>,
}

/// That something goes on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Sunset {
    /// What: its id.
    pub of: String,
    /// Since when it is deprecated.
    pub deprecated_since: Timestamp,
    /// From when on use is denied.
    pub sunset: Timestamp,
}

/// A source that is silent for longer than its rhythm, or a target that doesn't answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SilentView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Since when it is found to be.
    pub since: Timestamp,
}

/// The team that answers for an identity's removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RemovalGroup {
    /// The team.
    pub team: TeamId,
    /// Its name.
    pub name: String,
    /// Whether it is the application's, because the charter names none.
    pub of_application: bool,
    /// Whether it has a member who is active; if not, name another.
    pub has_active_member: bool,
}

/// Who could release a hold or a suspension now: nobody who placed it (S-11).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Releasers {
    /// The first sixteen of them; empty: nobody, until somebody else gets the role security.
    pub people: Vec<PersonId>,
    /// Whether there are more.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub more: bool,
}

/// A hold with who could release it.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct HoldView {
    /// The hold.
    #[serde(flatten)]
    pub hold: Hold,
    /// Who could release it now.
    pub releasers: Releasers,
    /// The names of the records whose ids it holds.
    #[serde(skip_serializing_if = "Names::is_empty", default)]
    pub names: Names,
}

/// A receipt with its state.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ReceiptView {
    /// The receipt.
    #[serde(flatten)]
    pub receipt: Receipt,
    /// Where it stands as a whole.
    pub state: ReceiptState,
    /// Of a revocation that suspends or holds as well: who could release that now.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub releasers: Option<Releasers>,
    /// Where the revocation stands in the log; only in the reply to it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub log: Option<Logged>,
    /// The names of the records whose ids it holds.
    #[serde(skip_serializing_if = "Names::is_empty", default)]
    pub names: Names,
}

/// A token response (RFC 6749 §5.1) with where the issuance stands in the log.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TokenIssued {
    /// The access token.
    pub access_token: String,
    /// Its type.
    pub token_type: String,
    /// Of a token exchange: what sort of token it is (RFC 8693 §2.2.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_token_type: Option<String>,
    /// The details that were granted (RFC 9396 §7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_details: Option<serde_json::Value>,
    /// Its life in seconds.
    pub expires_in: i64,
    /// What it may be used for.
    pub scope: String,
    /// The credential's id in the inventory.
    pub credential: CredentialId,
    /// Where its issuance stands in the log.
    pub log: Logged,
}

/// An introspection response (RFC 7662 §2.2); of an inactive token, nothing but that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Introspection {
    /// Whether it is alive, here and now, for this caller.
    pub active: bool,
    /// The rest, of an active token.
    #[serde(flatten, skip_serializing_if = "Option::is_none", default)]
    pub token: Option<ActiveToken>,
}

/// What is said of an active token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ActiveToken {
    /// What it may be used for.
    pub scope: String,
    /// The identity.
    pub client_id: String,
    /// The identity.
    pub sub: String,
    /// The resource's identifier.
    pub aud: String,
    /// The environment's issuer identifier.
    pub iss: String,
    /// The credential's id.
    pub jti: String,
    /// End, seconds since the epoch.
    pub exp: i64,
    /// Issued at, seconds since the epoch.
    pub iat: i64,
    /// `DPoP` if it is bound to a DPoP key, `Bearer` otherwise.
    pub token_type: String,
    /// The key that it is bound to (RFC 7800).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// Who acts for the subject: the outermost is the one who does now (RFC 8693 §4.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<serde_json::Value>,
    /// The task that it is for, as RFC 9396 words it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_details: Option<serde_json::Value>,
    /// Until when the asking enforcement point may go on accepting it while Tenure can't be reached, in seconds since
    /// the epoch; absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenure_accept_until: Option<i64>,
}

/// What becomes of a token of an external issuer, said to whoever administers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct IssuerTrial {
    /// Whether it would prove something now: of the identity that was named, if one was.
    pub accepted: bool,
    /// The first check that failed: its code, and what to do.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failed: Option<FailedCheck>,
}

/// A check that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FailedCheck {
    /// Its stable code, e.g. `audience_wrong`.
    pub check: String,
    /// What to do about it.
    pub hint: String,
}

/// The answer to an evaluation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Decision {
    /// Whether it is allowed.
    pub decision: bool,
    /// What the decision rests on.
    pub context: DecisionContext,
}

/// What a decision rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DecisionContext {
    /// Why not; absent when allowed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason_code: Option<String>,
    /// What can be done about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
    /// The workflow by which the access came about: people's and identities' differ (R2).
    pub workflow: String,
    /// The policies that determined it.
    pub policies: Vec<String>,
    /// The policy set that was asked.
    pub policy_version: String,
    /// The grants that it rests on.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub grants: Vec<GrantId>,
    /// The person's grants that it rests on.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub person_grants: Vec<tenure_core::base::id::PersonGrantId>,
    /// Who acts for whom, if the subject's token was derived: the subject first, the holder last (S-14).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<tenure_core::base::id::IdentityId>,
}
