//! People, teams, feeds of people, and transfers of identities on the wire.

use serde::{Deserialize, Serialize};
use tenure_core::base::id::{DifferenceId, IdentityId, PersonGrantId, PersonId, RequestId, TeamId};
use tenure_core::base::time::Timestamp;
use tenure_core::identity::IdentityState;
use tenure_core::people::difference::DifferenceDecision;
use tenure_core::people::person::{JoinerCheckKind, Person, PersonClass, Role};

use crate::given;
use crate::views::{Logged, Names, Revised};

/// A class as a caller names it. That of non-human identities is known so that it can be refused by name (R1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClassName {
    /// Employed.
    #[default]
    Employee,
    /// Under a contract that ends.
    Contractor,
    /// No person at all: refused.
    NonHuman,
}

/// `POST /v1/people`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPerson {
    /// The name.
    pub name: String,
    /// The e-mail address; it never identifies anyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Roles in Tenure. Where there is a second administrator, they are given by a request that one of the others
    /// approves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    /// What the roles are for: the purpose of that request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Employee or contractor.
    #[serde(default)]
    pub class: ClassName,
    /// When they start; until then nothing of theirs works (R78).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<Timestamp>,
    /// When they leave; a contractor has such a date (R79).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// Their manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<PersonId>,
    /// Their teams.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<TeamId>,
    /// What only a non-human identity has: refused (R1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// `POST /v1/people/{id}/change`: what is left out stays, `null` takes a value away.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PersonChange {
    /// The name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The e-mail address.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub email: Option<Option<String>>,
    /// Employee or contractor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<PersonClass>,
    /// When they start.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<Option<Timestamp>>,
    /// When they leave.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Option<Timestamp>>,
    /// Their manager.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub manager: Option<Option<PersonId>>,
    /// All of their teams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teams: Option<Vec<TeamId>>,
}

/// A person that was just made.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PersonMade {
    /// The record.
    #[serde(flatten)]
    pub record: Person,
    /// Its revision.
    pub revision: u64,
    /// The request about the roles, if any were asked for: they are there once it is fulfilled.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request: Option<RequestId>,
    /// Where the making stands in the log.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub log: Option<Logged>,
    /// The names of the records whose ids it holds.
    #[serde(skip_serializing_if = "Names::is_empty", default)]
    pub names: Names,
}

/// `POST /v1/people/{id}/roles`: opens a request.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRoles {
    /// All roles, as they are to be.
    pub roles: Vec<Role>,
    /// What they are for.
    pub purpose: String,
}

/// `PUT /v1/people/{id}/stand-in`: who votes in one's own place while one is away (S-8).
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewStandIn {
    /// Who stands in.
    pub person: PersonId,
    /// From when; at once if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Until when: at most 90 days later.
    pub until: Timestamp,
}

/// `POST /v1/people/{id}/checks`: a control point of a joiner was passed (R118).
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewJoinerCheck {
    /// Which.
    pub kind: JoinerCheckKind,
    /// How it was done: no number of a document belongs here.
    pub how: String,
}

/// `POST /v1/teams`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTeam {
    /// The name, unique for ever.
    pub name: String,
}

/// How a feed is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FeedFormat {
    /// Comma-separated values with a heading (RFC 4180), in `content`.
    Csv,
    /// Objects, in `people`.
    #[default]
    Json,
}

/// `POST /v1/people/import`: what an authoritative source says about people.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportPeople {
    /// The source, e.g. `hr`.
    pub source: String,
    /// Whether the feed holds every record of the source: what it lacks is then asked about.
    #[serde(default)]
    pub complete: bool,
    /// How it is written.
    #[serde(default)]
    pub format: FeedFormat,
    /// The text of a `csv` feed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The rows of a `json` feed: `key` and `name`, and of `email`, `class`, `starts_at`, `ends_at`, `manager_key` and
    /// `teams` what the source knows. What a row leaves out stays as it is, `null` takes it away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<serde_json::Map<String, serde_json::Value>>,
    /// Only says what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// The `digest` of a dry run: if anything else would be done now, nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
}

/// What became of a row, or of a record that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportOutcome {
    /// A person was made.
    Joined,
    /// A person was changed.
    Moved,
    /// A person left.
    Left,
    /// A question was opened.
    Asked,
    /// A question has answered itself.
    Settled,
    /// Nothing can be done with it, and nothing has to: it is somebody who had left before they were known.
    Skipped,
}

/// One thing that an import did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ImportItem {
    /// The row's place in the feed: a line of CSV, or a place counted from 1; none for what the feed lacks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<u32>,
    /// The record's key in the source.
    pub key: String,
    /// What became of it.
    pub outcome: ImportOutcome,
    /// The person, if they were known before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub person: Option<PersonId>,
    /// What changed, or what the question is about.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub fields: Vec<String>,
    /// The question that has answered itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub difference: Option<DifferenceId>,
}

/// The reply to an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ImportReport {
    /// The source.
    pub source: String,
    /// Whether nothing was done.
    pub dry_run: bool,
    /// Rows in the feed.
    pub rows: usize,
    /// Rows that say what is known.
    pub unchanged: usize,
    /// Teams that the feed names and that were not known.
    pub teams_made: Vec<String>,
    /// What was done, or would be.
    pub items: Vec<ImportItem>,
    /// The hash of all that: give it as `expect` to have exactly this done.
    pub digest: String,
}

/// `POST /v1/people/{id}/depart`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDeparture {
    /// Why.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
    /// Only says what would be done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// The reply to a departure, or to its dry run: the same commit, written or not.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Departure {
    /// The person as they are after it.
    #[serde(flatten)]
    pub person: Revised<Person>,
    /// Whether nothing was done.
    pub dry_run: bool,
    /// The identities that they answer for, with what becomes of each.
    pub left_behind: Vec<LeftBehind>,
    /// Whether there are more of them, which follow in batches.
    pub more: bool,
    /// Grants of theirs that end.
    pub ended_grants: Vec<PersonGrantId>,
    /// The names of the records whose ids it holds.
    #[serde(skip_serializing_if = "Names::is_empty", default)]
    pub names: Names,
}

/// An identity whose owner leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LeftBehind {
    /// The identity.
    pub identity: IdentityId,
    /// Its name.
    pub name: String,
    /// Its state after the departure: what never began is closed.
    pub state: IdentityState,
    /// Who is asked to answer for it.
    pub offered_to: Option<PersonId>,
    /// When it is suspended unless somebody takes it.
    pub until: Option<Timestamp>,
}

/// `POST /v1/differences/{id}/decide`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDecision {
    /// What.
    pub decision: DifferenceDecision,
}

/// `POST /v1/identities/{id}/transfer` and `POST /v1/transfers/{id}/offer`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOffer {
    /// Who is asked to answer for it.
    pub to: PersonId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_stays_and_null_takes_away() {
        let change: PersonChange = serde_json::from_str(r#"{"manager": null, "class": "contractor"}"#).unwrap();
        assert_eq!((change.manager, &change.email, change.class), (Some(None), &None, Some(PersonClass::Contractor)));
        assert_eq!(serde_json::to_string(&change).unwrap(), r#"{"class":"contractor","manager":null}"#);
    }
}
