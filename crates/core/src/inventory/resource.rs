//! Resources: what entitlements are on. The record overrides whatever a caller claims about it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::id::{ApplicationId, ResourceId, TargetId};
use crate::base::time::Timestamp;
use crate::base::uri;
use crate::store::document::{Document, Order};
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms};
use crate::trust::signing_key::SigningAlgorithm;

/// How the resource's enforcement points check credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    /// They ask Tenure at each use: a revocation is in force at once.
    Online,
    /// They check signatures by themselves: a revoked token is accepted there until its end.
    Offline,
}

/// What the resource's enforcement points do when Tenure can't be reached (S-16).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenUnreachable {
    /// Refuse.
    Deny,
    /// Those of them that have an exception in force (`accept_unreachable`) may go on accepting what they were told is
    /// alive, until it or the exception ends; the others refuse.
    Accept,
}

/// Actions of a resource that logins are made for, at most.
pub const MAX_LOGIN_ACTIONS: usize = 64;
/// Grants of one action at a target, at most.
pub const MAX_LOGIN_GRANTS: usize = 64;
/// The longest of these grants in bytes.
pub const MAX_LOGIN_GRANT: usize = 500;

/// What a resource is at a target where logins are made just in time: which grants there an action comes to, in the
/// target's words (R58).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetGrants {
    /// The target.
    pub target: TargetId,
    /// Of each action that a login can be had for, its grants, e.g. `SELECT ON TABLE public.orders`; of none, no login
    /// can be had.
    pub actions: BTreeMap<String, Vec<String>>,
}

impl TargetGrants {
    /// The grants that actions come to, sorted; none if one of them is none that logins are made for.
    pub fn of(&self, actions: &[String]) -> Option<Vec<String>> {
        let mut grants = Vec::new();
        for action in actions {
            grants.extend(self.actions.get(action)?.iter().cloned());
        }
        grants.sort_unstable();
        grants.dedup();
        (!actions.is_empty()).then_some(grants)
    }

    /// Whether a login can do something by it that it could not before.
    pub fn is_wider_than(&self, before: Option<&Self>) -> bool {
        let known = before.filter(|before| before.target == self.target);
        self.actions.iter().any(|(action, grants)| {
            let had = known.and_then(|before| before.actions.get(action));
            had.is_none_or(|had| grants.iter().any(|grant| !had.contains(grant)))
        })
    }
}

/// A resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// Its id.
    pub id: ResourceId,
    /// Its identifier as tokens' audience and in RFC 8707's `resource`: an absolute URI without fragment; unique for
    /// ever, however it is spelled.
    pub uri: String,
    /// Its type in the decision API, e.g. `database`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The actions that it knows.
    pub actions: Vec<String>,
    /// The application that it belongs to.
    pub application: ApplicationId,
    /// The environment that it is in.
    pub environment: String,
    /// The data domains that it holds.
    pub data_domains: Vec<String>,
    /// How credentials are checked there.
    pub verification: Verification,
    /// What happens there when Tenure can't be reached.
    pub when_unreachable: WhenUnreachable,
    /// What its tokens are signed with, if not with what its environment says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_algorithm: Option<SigningAlgorithm>,
    /// The target at which logins are made for it just in time, and what its actions come to there (R58).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logins: Option<TargetGrants>,
    /// When the record was made.
    pub created_at: Timestamp,
}

impl Resource {
    /// Whether a URI names this resource: `https://h` and `https://h/` are one.
    pub fn is_at(&self, uri: &str) -> bool {
        uri::is_same(&self.uri, uri)
    }

    /// The spellings under which a resource of this URI may have been registered: as given, in normal form, and without
    /// the path `/`.
    pub fn spellings(uri: &str) -> Vec<String> {
        let normal = uri::normal(uri);
        let bare = normal.strip_suffix('/').filter(|bare| uri::is_same(bare, &normal)).map(str::to_owned);
        let mut spellings = vec![uri.to_owned()];
        for spelling in std::iter::once(normal).chain(bare) {
            if !spellings.contains(&spelling) {
                spellings.push(spelling);
            }
        }
        spellings
    }
}

impl Resource {
    /// Listed by its URI, in each of its spellings.
    pub const URI: Field<Self> = Field::new("uri");
    /// Listed by its environment.
    pub const ENVIRONMENT: Field<Self> = Field::new("environment");
    /// Listed by its application.
    pub const APPLICATION: Field<Self, ApplicationId> = Field::new("application");
    /// Listed by its type.
    pub const TYPE: Field<Self> = Field::new("type");
}

impl Record for Resource {
    const KIND: RowKind = RowKind::Resource;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    const ORDERS: &'static [Order] = &[Order::Name];
    fn document(&self) -> Document<'_> {
        Document { name: (&self.uri).into(), texts: vec![(&self.kind).into()], ..Document::default() }
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none()
            .each(Self::URI, Self::spellings(&self.uri))
            .with(Self::ENVIRONMENT, &self.environment)
            .with(Self::APPLICATION, self.application)
            .with(Self::TYPE, &self.kind)
    }
}
