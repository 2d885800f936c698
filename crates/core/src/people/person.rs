//! People, and the operator tokens that stand for them until sign-in is set up (S-7).

use serde::{Deserialize, Serialize};

use crate::base::id::{OperatorTokenId, PersonId, TeamId};
use crate::base::placed::Placed;
use crate::base::time::{Span, Timestamp};
use crate::store::document::{Document, Order};
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms, words};

/// Where a person stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PersonState {
    /// Known, with a start in the future.
    Preboarding,
    /// At work.
    Active,
    /// Temporarily without authority.
    Suspended,
    /// Gone; terminal. A rehire is a new record.
    Departed,
}

impl PersonState {
    /// The state after going to `next`, if the table has that step.
    pub const fn step(self, next: Self) -> Option<Self> {
        use PersonState as S;
        match (self, next) {
            (S::Preboarding, S::Active)
            | (S::Active, S::Suspended)
            | (S::Suspended, S::Active)
            | (S::Preboarding | S::Active | S::Suspended, S::Departed) => Some(next),
            _ => None,
        }
    }
    /// The name in the log and in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Preboarding => "preboarding",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Departed => "departed",
        }
    }
}

/// Roles that confer authority in Tenure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May propose identities.
    Requester,
    /// May hold identities as their accountable owner.
    Owner,
    /// May approve for those who report to them.
    Manager,
    /// May suspend, revoke and release anything.
    Security,
    /// Runs Tenure: people, applications, environments; never approves grants.
    Administrator,
    /// Reads everything; holds nothing else.
    Auditor,
}

impl Role {
    /// The name in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requester => "requester",
            Self::Owner => "owner",
            Self::Manager => "manager",
            Self::Security => "security",
            Self::Administrator => "administrator",
            Self::Auditor => "auditor",
        }
    }
}

/// How a person belongs to the organisation (R17).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PersonClass {
    /// Employed.
    #[default]
    Employee,
    /// Under a contract that ends.
    Contractor,
}

impl PersonClass {
    /// The name in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Employee => "employee",
            Self::Contractor => "contractor",
        }
    }
}

/// Where a record comes from: an authoritative source and the record's key there (R17, R92).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceRef {
    /// The source, e.g. `hr` or `contractors`.
    pub source: String,
    /// The record's key there; never reassigned.
    pub key: String,
}

/// Why a person is without authority for a while, and who may give it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonSuspension {
    /// Who placed it; they may not lift it (S-11). `None`: Tenure did.
    pub placed_by: Option<PersonId>,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// Who else suspends them; each for themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Placed>,
}

impl PersonSuspension {
    /// Everybody who suspends them.
    pub fn placers(&self) -> impl Iterator<Item = PersonId> {
        self.placed_by.into_iter().chain(self.also.iter().map(|placed| placed.by))
    }

    /// What is left of it without the word of one person, or of Tenure; nothing if nobody else suspends them.
    pub fn lifted(mut self, by: Option<PersonId>) -> Option<Self> {
        self.also.retain(|placed| Some(placed.by) != by);
        if self.placed_by != by {
            return Some(self);
        }
        let next = if self.also.is_empty() { None } else { Some(self.also.remove(0)) };
        next.map(|next| Self { placed_by: Some(next.by), reason: next.reason, at: next.at, also: self.also })
    }
}

/// A team that a source of people took somebody out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeftTeam {
    /// The team.
    pub team: TeamId,
    /// When.
    pub at: Timestamp,
}

impl LeftTeam {
    /// For how long they count as one of it where somebody is kept out.
    pub const COUNTS: Span = Span::from_days(90);
}

/// A control point of a joiner (R118).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JoinerCheckKind {
    /// They are who they say they are (identity proofing, NIST SP 800-63A).
    IdentityProofing,
    /// They were told what is asked of them.
    Orientation,
}

impl JoinerCheckKind {
    /// Every kind.
    pub const ALL: &[Self] = &[Self::IdentityProofing, Self::Orientation];

    /// The name in the log and in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IdentityProofing => "identity_proofing",
            Self::Orientation => "orientation",
        }
    }
}

/// That a joiner has passed a control point: who says so, when, and how it was done (R118).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinerCheck {
    /// Which.
    pub kind: JoinerCheckKind,
    /// Who recorded it: never they themselves.
    pub by: PersonId,
    /// When.
    pub at: Timestamp,
    /// How it was done, in the words of whoever did it.
    pub how: String,
}

/// Who votes in the place of somebody who is away, and for how long: named beforehand, by nobody else (S-8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StandIn {
    /// Who stands in.
    pub person: PersonId,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// When they were named.
    pub named_at: Timestamp,
}

impl StandIn {
    /// The longest that somebody is away.
    pub const LONGEST: Span = Span::from_days(90);
    /// How long before they may be named.
    pub const AHEAD: Span = Span::from_days(365);
    /// For how many others one person stands in: what waits for them is looked for under each.
    pub const MOST: usize = 20;

    /// Whether they stand in at a time.
    pub fn stands_at(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

/// A person: class `human`, governed by the same policy through another workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The person's id.
    pub id: PersonId,
    /// The name; `None` once erased.
    pub name: Option<String>,
    /// The e-mail address; `None` if unknown or erased. Never identifies anyone (S-7).
    pub email: Option<String>,
    /// Where they stand.
    pub state: PersonState,
    /// Their roles in Tenure. No feed confers them (S-8).
    pub roles: Vec<Role>,
    /// Employee or contractor.
    pub class: PersonClass,
    /// When they start; until then they are preboarding (R78).
    pub starts_at: Option<Timestamp>,
    /// When they leave; a contractor has one (R79).
    pub ends_at: Option<Timestamp>,
    /// Their manager.
    pub manager: Option<PersonId>,
    /// Their teams.
    pub teams: Vec<TeamId>,
    /// Where the record comes from; `None` if it was made by hand.
    pub source: Option<SourceRef>,
    /// Teams that a source of people took them out of lately: what it reports lets nobody approve what they were kept
    /// out of (S-8).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_teams: Vec<LeftTeam>,
    /// When a source of people ended them, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by_source_at: Option<Timestamp>,
    /// When they left. Unknown of those who left before a release that notes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub departed_at: Option<Timestamp>,
    /// Set while they are suspended.
    #[serde(default)]
    pub suspension: Option<PersonSuspension>,
    /// Who votes in their place while they are away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stand_in: Option<StandIn>,
    /// Control points of a joiner that they have passed, one of each kind (R118).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<JoinerCheck>,
    /// When the record was made.
    pub created_at: Timestamp,
}

impl Person {
    /// A person at work without anything else known about them.
    pub fn new(id: PersonId, name: String, email: Option<String>, roles: Vec<Role>, now: Timestamp) -> Self {
        Self {
            id,
            name: Some(name),
            email,
            state: PersonState::Active,
            roles,
            class: PersonClass::Employee,
            starts_at: None,
            ends_at: None,
            manager: None,
            teams: Vec::new(),
            source: None,
            left_teams: Vec::new(),
            ended_by_source_at: None,
            departed_at: None,
            suspension: None,
            stand_in: None,
            checks: Vec::new(),
            created_at: now,
        }
    }

    /// Whether they may act.
    pub fn is_active(&self) -> bool {
        self.state == PersonState::Active
    }

    /// Whether they are of a team, or were until a source took them out of it lately.
    pub fn is_or_was_in(&self, team: TeamId) -> bool {
        self.teams.contains(&team) || self.left_teams.iter().any(|left| left.team == team)
    }

    /// Who votes in their place at a time, if they are away then.
    pub fn stand_in_at(&self, at: Timestamp) -> Option<StandIn> {
        self.stand_in.filter(|stand_in| stand_in.stands_at(at))
    }

    /// Whether they hold a role, and may act.
    pub fn holds(&self, role: Role) -> bool {
        self.is_active() && self.roles.contains(&role)
    }
}

words!(PersonState, Role, PersonClass);

impl Person {
    /// Listed by its state.
    pub const STATE: Field<Self, PersonState> = Field::new("state");
    /// Listed by its role.
    pub const ROLE: Field<Self, Role> = Field::new("role");
    /// Listed by its class.
    pub const CLASS: Field<Self, PersonClass> = Field::new("class");
    /// Listed by its manager.
    pub const MANAGER: Field<Self, PersonId> = Field::new("manager");
    /// Listed by its team.
    pub const TEAM: Field<Self, TeamId> = Field::new("team");
    /// Listed by who was named to stand in for them.
    pub const STAND_IN: Field<Self, PersonId> = Field::new("stand_in");
    /// Listed by its authoritative source.
    pub const SOURCE: Field<Self> = Field::new("source");
    /// Listed by its source and the key there.
    pub const SOURCE_KEY: Field<Self> = Field::new("source_key");
}

impl Record for Person {
    const KIND: RowKind = RowKind::Person;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    const ORDERS: &'static [Order] = &[Order::Name, Order::End];
    fn document(&self) -> Document<'_> {
        let text = |text: &Option<String>| text.as_deref().unwrap_or_default().to_owned();
        Document {
            name: text(&self.name).into(),
            texts: vec![text(&self.email).into()],
            end: self.ends_at,
            ..Document::default()
        }
    }
    fn terms(&self) -> Terms<Self> {
        let source = self.source.as_ref();
        Terms::none()
            .with(Self::STATE, self.state)
            .each(Self::ROLE, &self.roles)
            .with(Self::CLASS, self.class)
            .each(Self::MANAGER, self.manager)
            .each(Self::TEAM, &self.teams)
            .each(Self::STAND_IN, self.stand_in.map(|stand_in| stand_in.person))
            .each(Self::SOURCE, source.map(|source| &source.source))
            .each(Self::SOURCE_KEY, source.map(|source| format!("{}/{}", source.source, source.key)))
    }
}

/// A bearer token that stands for a named person, is marked so in the record, and expires (S-7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorToken {
    /// The token's id, part of its text.
    pub id: OperatorTokenId,
    /// Whom it stands for.
    pub person: PersonId,
    /// Keyed hash of its secret part, base64url (S-5).
    pub hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

impl OperatorToken {
    /// Listed by its person.
    pub const PERSON: Field<Self, PersonId> = Field::new("person");
}

impl Record for OperatorToken {
    const KIND: RowKind = RowKind::OperatorToken;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none().with(Self::PERSON, self.person)
    }
}
