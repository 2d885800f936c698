//! Questions as plain data, for files, for the API and for people.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use tenure_core::policy::{Answer, Attributes, Entity, Question, Value};

/// An attribute's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Plain {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Long(i64),
    /// A text.
    Text(String),
    /// A set of texts.
    Set(Vec<String>),
    /// Another entity.
    Entity {
        /// Its type.
        #[serde(rename = "type")]
        kind: String,
        /// Its id.
        id: String,
    },
}

impl Plain {
    /// Whether it says nothing: false, 0, "" or an empty set.
    fn is_neutral(&self) -> bool {
        match self {
            Self::Bool(value) => !value,
            Self::Long(value) => *value == 0,
            Self::Text(text) => text.is_empty(),
            Self::Set(texts) => texts.is_empty(),
            Self::Entity { .. } => false,
        }
    }
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Long(value) => write!(f, "{value}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Set(texts) => write!(f, "{texts:?}"),
            Self::Entity { kind, id } => write!(f, "{kind}::{id:?}"),
        }
    }
}

impl From<&Value> for Plain {
    fn from(value: &Value) -> Self {
        match value {
            Value::Bool(value) => Self::Bool(*value),
            Value::Long(value) => Self::Long(*value),
            Value::Text(text) => Self::Text(text.clone()),
            Value::Set(texts) => Self::Set(texts.clone()),
            Value::Entity(kind, id) => Self::Entity { kind: kind.as_str().to_owned(), id: id.clone() },
        }
    }
}

/// Attributes by name.
pub type PlainAttributes = BTreeMap<String, Plain>;

/// An entity of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PlainEntity {
    /// Its type: Person, Identity, Resource or Inventory.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its attributes.
    pub attributes: PlainAttributes,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PlainQuestion {
    /// Who.
    pub principal: PlainEntity,
    /// Does what.
    pub action: String,
    /// To what.
    pub resource: PlainEntity,
    /// Under which circumstances.
    pub context: PlainAttributes,
}

/// An answer, without the version of the set that gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PlainAnswer {
    /// Whether it is allowed.
    pub allowed: bool,
    /// Whether a policy failed to evaluate.
    pub errored: bool,
    /// The policies that determined it, by `@id`; none if nothing permits.
    pub policies: Vec<String>,
}

impl From<&Answer> for PlainAnswer {
    fn from(answer: &Answer) -> Self {
        Self { allowed: answer.allowed(), errored: answer.errored(), policies: answer.policies().to_vec() }
    }
}

impl fmt::Display for PlainAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = match (self.allowed, self.errored) {
            (true, _) => "allowed",
            (false, true) => "denied, for a policy fails",
            (false, false) if self.policies.is_empty() => "denied, for nothing permits it",
            (false, false) => "denied",
        };
        f.write_str(said)?;
        if self.policies.is_empty() {
            return Ok(());
        }
        write!(f, " by {}", self.policies.join(", "))
    }
}

fn attributes(attributes: &Attributes) -> PlainAttributes {
    attributes.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect()
}

impl From<&Entity> for PlainEntity {
    fn from(entity: &Entity) -> Self {
        Self {
            kind: entity.kind.as_str().to_owned(),
            id: entity.id.clone(),
            attributes: attributes(&entity.attributes),
        }
    }
}

impl From<&Question> for PlainQuestion {
    fn from(question: &Question) -> Self {
        Self {
            principal: (&question.principal).into(),
            action: question.action.as_str().to_owned(),
            resource: (&question.resource).into(),
            context: attributes(&question.context),
        }
    }
}

/// `Person "olga" {active: true}`, without what is false, 0 or empty.
impl fmt::Display for PlainEntity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} ", self.kind, self.id)?;
        record(f, &self.attributes)
    }
}

/// Four lines, without what is false, 0 or empty.
impl fmt::Display for PlainQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "principal  {}", self.principal)?;
        writeln!(f, "action     {}", self.action)?;
        writeln!(f, "resource   {}", self.resource)?;
        f.write_str("context    ")?;
        record(f, &self.context)
    }
}

fn record(f: &mut fmt::Formatter<'_>, attributes: &PlainAttributes) -> fmt::Result {
    let said = attributes.iter().filter(|(_, value)| !value.is_neutral());
    let said: Vec<String> = said.map(|(name, value)| format!("{name}: {value}")).collect();
    write!(f, "{{{}}}", said.join(", "))
}
