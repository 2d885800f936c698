//! What lies outside: vendors, cloud accounts, data domains, and the business needs that identities serve.

use serde::{Deserialize, Serialize};

use crate::base::id::{CloudAccountId, NeedId, PersonId, VendorId};
use crate::base::time::Timestamp;
use crate::store::document::{Document, Order};
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms, words};

/// Where a vendor, a cloud account or a need stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// In force.
    Open,
    /// Over; terminal.
    Closed,
}

impl Standing {
    /// The name in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// A vendor: a third party that operates integrations (R12).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vendor {
    /// Its id.
    pub id: VendorId,
    /// Its name, unique for ever.
    pub name: String,
    /// Whom to reach there.
    pub contact: String,
    /// Who answers for it here.
    pub owner: PersonId,
    /// The data domains that its contract allows (R35).
    pub data_domains: Vec<String>,
    /// When the contract ends.
    pub ends_at: Option<Timestamp>,
    /// Where it stands.
    pub standing: Standing,
    /// That it was breached, as long as nobody said that this is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breach: Option<Breach>,
    /// When the record was made.
    pub created_at: Timestamp,
}

/// That a vendor was breached: what it operates is told until somebody else says that it is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Breach {
    /// Who declared it.
    pub declared_by: PersonId,
    /// What is known of it.
    pub reason: String,
    /// When it was declared.
    pub at: Timestamp,
}

words!(Standing);

impl Vendor {
    /// Listed by its name.
    pub const NAME: Field<Self> = Field::new("name");
    /// Listed by its owner.
    pub const OWNER: Field<Self, PersonId> = Field::new("owner");
    /// Listed by its standing.
    pub const STANDING: Field<Self, Standing> = Field::new("standing");
    /// Listed by `true` while it is breached.
    pub const BREACHED: Field<Self> = Field::new("breached");
}

impl Record for Vendor {
    const KIND: RowKind = RowKind::Vendor;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    const ORDERS: &'static [Order] = &[Order::Name, Order::End];
    fn document(&self) -> Document<'_> {
        Document {
            name: (&self.name).into(),
            texts: vec![(&self.contact).into()],
            end: self.ends_at,
            ..Document::default()
        }
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none()
            .with(Self::NAME, &self.name)
            .with(Self::OWNER, self.owner)
            .with(Self::STANDING, self.standing)
            .each(Self::BREACHED, self.breach.is_some().then_some("true"))
    }
}

/// A cloud account that identities are bound to (R15).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloudAccount {
    /// Its id here.
    pub id: CloudAccountId,
    /// The provider, e.g. `aws`.
    pub provider: String,
    /// Its id there; with the provider unique for ever.
    pub account: String,
    /// Who answers for it.
    pub owner: PersonId,
    /// The environment that it belongs to.
    pub environment: String,
    /// Where it stands.
    pub standing: Standing,
    /// When the record was made.
    pub created_at: Timestamp,
}

impl CloudAccount {
    /// Listed by its provider.
    pub const PROVIDER: Field<Self> = Field::new("provider");
    /// Listed by its provider's name for it.
    pub const ACCOUNT: Field<Self> = Field::new("account");
    /// Listed by its owner.
    pub const OWNER: Field<Self, PersonId> = Field::new("owner");
    /// Listed by its environment.
    pub const ENVIRONMENT: Field<Self> = Field::new("environment");
    /// Listed by its standing.
    pub const STANDING: Field<Self, Standing> = Field::new("standing");
}

impl Record for CloudAccount {
    const KIND: RowKind = RowKind::CloudAccount;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    const ORDERS: &'static [Order] = &[Order::Name];
    fn document(&self) -> Document<'_> {
        Document { name: format!("{}/{}", self.provider, self.account).into(), ..Document::default() }
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none()
            .with(Self::PROVIDER, &self.provider)
            .with(Self::ACCOUNT, &self.account)
            .with(Self::OWNER, self.owner)
            .with(Self::ENVIRONMENT, &self.environment)
            .with(Self::STANDING, self.standing)
    }
}

/// How much harm the data of a domain can do in the wrong hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sensitivity {
    /// None.
    Public,
    /// Little.
    Internal,
    /// Much: personal or business secrets.
    Confidential,
    /// The most: payment, health, keys.
    Restricted,
}

/// A data domain: a kind of data that resources hold (R35, R119).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataDomain {
    /// Its name.
    pub name: String,
    /// How sensitive it is.
    pub sensitivity: Sensitivity,
    /// When the record was made.
    pub created_at: Timestamp,
}

impl Record for DataDomain {
    const KIND: RowKind = RowKind::DataDomain;
    fn row_id(&self) -> String {
        self.name.clone()
    }
    const ORDERS: &'static [Order] = &[Order::Name];
    fn document(&self) -> Document<'_> {
        Document { name: (&self.name).into(), ..Document::default() }
    }
}

/// What sort of business need it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NeedKind {
    /// A project.
    Project,
    /// An integration.
    Integration,
    /// A contract.
    Contract,
}

/// A business need that identities serve; when it ends, they don't stay as they are (R76).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// Its id.
    pub id: NeedId,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: NeedKind,
    /// Its name, unique for ever.
    pub name: String,
    /// Who answers for it.
    pub owner: PersonId,
    /// When it ends by itself.
    pub ends_at: Option<Timestamp>,
    /// Where it stands.
    pub standing: Standing,
    /// When the record was made.
    pub created_at: Timestamp,
}

impl Need {
    /// Listed by its name.
    pub const NAME: Field<Self> = Field::new("name");
    /// Listed by its owner.
    pub const OWNER: Field<Self, PersonId> = Field::new("owner");
    /// Listed by its standing.
    pub const STANDING: Field<Self, Standing> = Field::new("standing");
}

impl Record for Need {
    const KIND: RowKind = RowKind::Need;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    const ORDERS: &'static [Order] = &[Order::Name, Order::End];
    fn document(&self) -> Document<'_> {
        Document { name: (&self.name).into(), end: self.ends_at, ..Document::default() }
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none().with(Self::NAME, &self.name).with(Self::OWNER, self.owner).with(Self::STANDING, self.standing)
    }
}
