//! From the plain values of a question to Cedar's, without a detour through text.
//!
//! Cedar's public constructors take expressions and evaluate them. A question's values are values already, so they are
//! made with the types of Cedar's core, whose version is fixed together with Cedar's: this is on the path of each
//! decision.

use std::collections::HashSet;
use std::sync::Arc;

use cedar_policy::{Context, Entity, EntityId, EntityTypeName, EntityUid};
use cedar_policy_core::ast;
use tenure_core::policy::{Attributes, Entity as PlainEntity, EntityType, Value};

/// The schema's entity types, resolved once.
#[derive(Debug, Clone)]
pub(crate) struct Types {
    pub(crate) person: EntityTypeName,
    pub(crate) identity: EntityTypeName,
    pub(crate) resource: EntityTypeName,
    pub(crate) inventory: EntityTypeName,
    pub(crate) source: EntityTypeName,
}

impl Types {
    pub(crate) fn uid(&self, kind: EntityType, id: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(self.name(kind).clone(), EntityId::new(id))
    }

    pub(crate) fn name(&self, kind: EntityType) -> &EntityTypeName {
        match kind {
            EntityType::Person => &self.person,
            EntityType::Identity => &self.identity,
            EntityType::Resource => &self.resource,
            EntityType::Inventory => &self.inventory,
            EntityType::Source => &self.source,
        }
    }

    pub(crate) fn entity(&self, uid: EntityUid, plain: &PlainEntity) -> Entity {
        let attributes = plain.attributes.iter().map(|(name, value)| ((*name).into(), self.value(value).into()));
        ast::Entity::new_with_attr_partial_value(uid.into(), attributes, HashSet::new(), HashSet::new(), []).into()
    }

    pub(crate) fn context(&self, attributes: &Attributes) -> Context {
        let values = attributes.iter().map(|(name, value)| ((*name).into(), self.value(value)));
        ast::Context::Value(Arc::new(values.collect())).into()
    }

    fn value(&self, value: &Value) -> ast::Value {
        match value {
            Value::Bool(value) => (*value).into(),
            Value::Long(value) => (*value).into(),
            Value::Text(value) => value.as_str().into(),
            Value::Set(values) => ast::Value::set_of_lits(values.iter().map(|value| value.as_str().into()), None),
            Value::Entity(kind, id) => ast::EntityUID::from(self.uid(*kind, id)).into(),
        }
    }
}
