//! Request bodies. Unknown fields are refused everywhere.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenure_core::base::id::{ApplicationId, CredentialId, IdentityId, PersonId, TeamId};
use tenure_core::base::time::Span;
use tenure_core::credential::receipt::Target;
use tenure_core::identity::scope::Scope;
use tenure_core::identity::{CharterDraft, Kind};
use tenure_core::inventory::resource::{Verification, WhenUnreachable};
use tenure_core::trust::issuer::Preset;
use tenure_core::trust::signing_key::SigningAlgorithm;

use crate::issuers::NewTokenReview;

/// `POST /v1/setup`: the first administrator (S-10).
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// The set-up token from the data folder.
    pub setup_token: String,
    /// The administrator's name.
    pub name: String,
    /// The administrator's e-mail address.
    #[serde(default)]
    pub email: Option<String>,
}

/// `POST /v1/people/{id}/operator-tokens`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewOperatorToken {
    /// How long it is good for, at most 30 days; eight hours if not given.
    pub ttl: Option<Span>,
}

/// `POST /v1/applications`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApplication {
    /// The name, unique for ever.
    pub name: String,
    /// Who answers for it.
    pub owner: PersonId,
    /// The team that answers for the removal of its identities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal_group: Option<TeamId>,
}

/// `POST /v1/environments`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEnvironment {
    /// The name, part of the issuer identifier.
    pub name: String,
    /// Whether it counts as production.
    #[serde(default)]
    pub production: bool,
    /// What tokens are signed with for resources that don't say otherwise: `EdDSA`, `ES256` or `RS256`.
    #[serde(default)]
    pub signing_algorithm: SigningAlgorithm,
}

/// `POST /v1/resources`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewResource {
    /// Its identifier: an absolute URI without fragment (RFC 8707).
    pub uri: String,
    /// Its type in the decision API.
    #[serde(rename = "type")]
    pub kind: String,
    /// The actions that it knows.
    pub actions: Vec<String>,
    /// The application that it belongs to.
    pub application: ApplicationId,
    /// The environment that it is in.
    pub environment: String,
    /// The data domains that it holds.
    #[serde(default)]
    pub data_domains: Vec<String>,
    /// How credentials are checked there.
    pub verification: Verification,
    /// What happens there when Tenure can't be reached.
    #[serde(default = "deny")]
    pub when_unreachable: WhenUnreachable,
    /// What its tokens are signed with, if not with what its environment says: `EdDSA`, `ES256` or `RS256`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_algorithm: Option<SigningAlgorithm>,
}

const fn deny() -> WhenUnreachable {
    WhenUnreachable::Deny
}

/// `POST /v1/resources/{id}/sign-with`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignWith {
    /// What the resource's tokens are signed with from now on; what its environment says if `null`.
    pub signing_algorithm: Option<SigningAlgorithm>,
}

/// `POST /v1/issuers/{id}/try`.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerToken {
    /// A token of the issuer. It is looked at and neither kept nor used up.
    pub token: String,
    /// The identity whose bindings it is held against, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentityId>,
}

/// `POST /v1/issuers`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIssuer {
    /// What sort of platform it is: which ids its tokens carry, and what a binding to it has to fix (S-13).
    #[serde(default)]
    pub preset: Preset,
    /// The issuer identifier: an https URL; its discovery document must name the same. The preset's own if empty.
    #[serde(default)]
    pub url: String,
    /// The audience that its tokens must name, exactly and alone.
    pub audience: String,
    /// The environments in which its proofs count.
    pub environments: Vec<String>,
    /// Signature algorithms accepted of it; the preset's if empty, or all that Tenure knows.
    #[serde(default)]
    pub algorithms: Vec<String>,
    /// Claims that every token of it must have with exactly these values, or one of a list: of a shared issuer, the
    /// immutable id of our tenant.
    #[serde(default)]
    pub fixed_claims: BTreeMap<String, serde_json::Value>,
    /// Claims that every binding to it must fix.
    #[serde(default)]
    pub required_claims: Vec<String>,
    /// Where a cluster is asked about each token, before it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_review: Option<NewTokenReview>,
}

/// How far registration goes in one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// A draft, whose charter may lack facts.
    Draft,
    /// Handed in: its request waits for its approvers, or a named rule approves it at once.
    #[default]
    Pending,
    /// Active at once by a named rule; otherwise nothing is registered.
    Active,
}

/// `POST /v1/identities`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIdentity {
    /// The kind.
    pub kind: Kind,
    /// The name, unique for ever.
    pub name: String,
    /// The template that it is made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The charter; a template fills in what it leaves out.
    #[serde(default)]
    pub charter: CharterDraft,
    /// How far to go.
    #[serde(default)]
    pub stage: Stage,
    /// A credential in the same call, with the stage `active` (R61).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<crate::templates::FirstToken>,
}

/// The body of a step that only wants a reason.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Because {
    /// Why.
    pub reason: String,
}

/// `POST /v1/identities/{id}/end-consumer`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsumerEnd {
    /// Which of the consumers of its charter.
    pub consumer: String,
    /// Why.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
}

/// `POST /v1/people/{id}/resume`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResumePerson {
    /// Why.
    pub reason: String,
    /// Whose suspension is lifted, where several people suspend them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placed_by: Option<PersonId>,
}

/// `POST /v1/identities/{id}/resume`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Resume {
    /// Which cause to release: its place in `suspensions`.
    pub cause: usize,
    /// The revision of the identity in which it has that place; wanted where there is more than one cause.
    pub revision: Option<u64>,
    /// Why.
    pub reason: String,
}

/// `POST /v1/identities/{id}/complete-task`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TaskCompleted {
    /// How it ended; failure counts as completion.
    pub outcome: String,
    /// The identity's own proof (RFC 7523), where no person reports it.
    pub client_assertion: Option<String>,
}

/// `POST /v1/enrol`: a workload proves a key of its own with a join token (S-15).
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Enrol {
    /// The join token.
    pub join_token: String,
    /// The public key as a JWK.
    pub jwk: serde_json::Value,
    /// A JWS by that key, typ `tenure-enrol+jwt`.
    pub proof: String,
}

/// `POST /v1/revocations`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// What to revoke.
    pub target: RevocationTarget,
    /// Why.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
    /// Whether what was cut is kept from coming back as well, in the same act: an identity is suspended, another scope
    /// held.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// What a revocation names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "type", content = "id")]
pub enum RevocationTarget {
    /// One credential.
    Credential(CredentialId),
    /// Everything issued to one identity until now.
    Identity(tenure_core::base::id::IdentityId),
    /// Everything issued to an owner's identities until now.
    Owner(PersonId),
    /// Everything issued to an application's identities until now.
    Application(ApplicationId),
    /// Everything issued in an environment until now.
    Environment(String),
    /// Everything issued to a vendor's identities until now.
    Vendor(tenure_core::base::id::VendorId),
    /// Everything issued to a cloud account's identities until now.
    CloudAccount(tenure_core::base::id::CloudAccountId),
}

impl From<RevocationTarget> for Target {
    fn from(target: RevocationTarget) -> Self {
        match target {
            RevocationTarget::Credential(id) => Self::Credential(id),
            RevocationTarget::Identity(id) => Self::Scope(Scope::Identity(id)),
            RevocationTarget::Owner(id) => Self::Scope(Scope::Owner(id)),
            RevocationTarget::Application(id) => Self::Scope(Scope::Application(id)),
            RevocationTarget::Environment(name) => Self::Scope(Scope::Environment(name)),
            RevocationTarget::Vendor(id) => Self::Scope(Scope::Vendor(id)),
            RevocationTarget::CloudAccount(id) => Self::Scope(Scope::CloudAccount(id)),
        }
    }
}

/// `POST /v1/holds`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHold {
    /// What is held.
    pub scope: Scope,
    /// Why.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
    /// Only says who could release it; nothing is held.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// `POST /v1/holds/release`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldRelease {
    /// What is held.
    pub scope: Scope,
    /// Why it no longer is.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
    /// Whose hold is released, where several people hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placed_by: Option<PersonId>,
}

/// `POST /v1/identities/{id}/suspend`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewSuspension {
    /// Why.
    pub reason: String,
    /// Only says who could release it; nothing is suspended.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// `POST /access/v1/evaluation` (OpenID AuthZEN Authorization API 1.0).
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Evaluation {
    /// Who acts.
    pub subject: EvaluationEntity,
    /// On what.
    pub resource: EvaluationEntity,
    /// Doing what.
    pub action: EvaluationAction,
    /// Circumstances that the caller claims; the resource's record overrides them.
    #[serde(default)]
    pub context: serde_json::Map<String, serde_json::Value>,
}

/// A subject or a resource of an evaluation.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct EvaluationEntity {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id.
    pub id: String,
    /// What the caller says about it.
    #[serde(default)]
    pub properties: serde_json::Map<String, serde_json::Value>,
}

/// The action of an evaluation.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct EvaluationAction {
    /// Its name.
    pub name: String,
    /// What the caller says about it.
    #[serde(default)]
    pub properties: serde_json::Map<String, serde_json::Value>,
}
