//! Applications: what identities work for, and a scope that can be cut at once.

use serde::{Deserialize, Serialize};

use crate::base::id::{ApplicationId, PersonId, TeamId};
use crate::base::time::Timestamp;
use crate::inventory::third_party::Standing;
use crate::store::row::{Record, RowKind};

/// An application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// Its id.
    pub id: ApplicationId,
    /// Its name, unique for ever.
    pub name: String,
    /// Who answers for it.
    pub owner: PersonId,
    /// The team that answers for the removal of its identities, unless their charters name another (R115).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal_group: Option<TeamId>,
    /// Where it stands: closed once it is retired (R84).
    #[serde(default = "open")]
    pub standing: Standing,
    /// When the record was made.
    pub created_at: Timestamp,
}

const fn open() -> Standing {
    Standing::Open
}

/// The term of the applications, and of the identities by their charters, whose removal a team answers for.
pub fn removal_group_term(team: TeamId) -> String {
    format!("removal_group={team}")
}

impl Record for Application {
    const KIND: RowKind = RowKind::Application;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Vec<String> {
        let mut terms = vec![
            format!("name={}", self.name),
            format!("owner={}", self.owner),
            format!("standing={}", self.standing.as_str()),
        ];
        terms.extend(self.removal_group.map(removal_group_term));
        terms
    }
}
