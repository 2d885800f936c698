//! Requests on the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenure_core::base::id::PersonId;
use tenure_core::base::time::Timestamp;
use tenure_core::people::person::Role;
use tenure_core::request::{Matter, Place, Request};

use crate::views::{Logged, Names};

/// `POST /v1/requests`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRequest {
    /// What is asked for.
    pub matter: Matter,
    /// For which need.
    pub purpose: String,
}

/// `PUT /v1/requests/{id}`: an open request changes, and its votes are void.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Amendment {
    /// What is asked for now; as before if not given.
    #[serde(default)]
    pub matter: Option<Matter>,
    /// For which need.
    pub purpose: String,
}

/// `POST /v1/requests/{id}/approve` and `…/deny`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVote {
    /// The `content_hash` of the request as the voter read it (S-8).
    pub content_hash: String,
    /// What the voter has to say.
    #[serde(default)]
    pub comment: String,
}

/// `POST /v1/requests/{id}/notes`: a question of somebody who may vote, or the answer of who asked.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNote {
    /// The question or the answer: 1 to 1000 bytes.
    pub text: String,
}

/// Somebody who stands in for one whom a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StandsIn {
    /// Who stands in.
    pub person: PersonId,
    /// Who is away.
    pub instead_of: PersonId,
    /// Until when.
    pub until: Timestamp,
}

/// A request with what is computed about it.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RequestView {
    /// The record.
    #[serde(flatten)]
    pub request: Request,
    /// The workflow's name.
    pub workflow: String,
    /// The steps that wait for a vote: one of the places of each.
    pub waits_for: Vec<Vec<Place>>,
    /// Who may fill them by name.
    pub approvers: Vec<PersonId>,
    /// Who may fill them by role.
    pub approver_roles: Vec<Role>,
    /// Who stands in for those, while they are away; only where one request is read.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub stand_ins: Vec<StandsIn>,
    /// What a vote on it means, in words; only where one request is read, by a person.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub brief: Option<Brief>,
    /// Its revision.
    pub revision: u64,
    /// Where its last change stands in the log; only in replies to changes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub log: Option<Logged>,
    /// The names of the records whose ids it holds.
    #[serde(skip_serializing_if = "Names::is_empty", default)]
    pub names: Names,
}

/// What a vote on a request means: all that its content hash binds, with names beside ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Brief {
    /// Who asks for what, in one sentence.
    pub summary: String,
    /// Whether a vote counts as things stand: what the request is about is still what it was when it was asked.
    pub current: bool,
    /// What is asked for and what it is about, the weightiest first.
    pub facts: Vec<BriefFact>,
    /// What the last edit changed, if there was one: each as it is now, and as it was `before`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub edited: Vec<BriefFact>,
    /// Why the risk tier is what it is, in words; of an open request about a non-human identity.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tier_because: Vec<String>,
    /// The names of the ids in it and of the persons in the request, by id.
    pub names: BTreeMap<String, String>,
}

/// Whether a field of a brief holds what somebody wrote: an id in it is no reference that was checked, and its name nobody's
/// to learn by writing it.
pub fn is_free_text(field: &str) -> bool {
    matches!(field.rsplit('.').next(), Some("purpose" | "reason" | "name" | "what" | "migration_plan" | "description"))
}

/// One fact of a brief.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BriefFact {
    /// The field, in the words of the API.
    pub field: String,
    /// What it is to be; `-` if it is taken away.
    pub value: String,
    /// What it is today, where the request changes it; `-` if it isn't there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<String>,
}
