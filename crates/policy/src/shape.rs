//! What the schema demands of a question, worked out once: Cedar's own check of a request and of its entities copies
//! their types for each question, which takes longer than most decisions.

use std::collections::BTreeMap;

use cedar_policy::{EntityUid, Schema};
use cedar_policy_core::ast;
use cedar_policy_core::validator::ValidatorEntityTypeKind;
use cedar_policy_core::validator::types::{self, EntityKind, Type};
use tenure_core::policy::{Attributes, Entity, EntityType, Question, Value};

pub(crate) const ENTITY_TYPES: [EntityType; 5] =
    [EntityType::Person, EntityType::Identity, EntityType::Resource, EntityType::Inventory, EntityType::Source];

/// The attributes of an entity type or of a context; there are no others.
#[derive(Debug)]
pub(crate) struct Shape(BTreeMap<String, Demand>);

#[derive(Debug)]
struct Demand {
    kind: Kind,
    required: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Long,
    Text,
    Set,
    Entity(EntityType),
}

impl Shape {
    /// The shape of an entity type.
    ///
    /// # Errors
    /// What the schema demands that a question cannot hold.
    pub(crate) fn of_entity(schema: &Schema, name: &ast::EntityType) -> Result<Self, String> {
        let declared = schema.as_ref().get_entity_type(name).ok_or_else(|| format!("`{name}` is not declared"))?;
        if !matches!(declared.kind, ValidatorEntityTypeKind::Standard(_)) {
            return Err(format!("`{name}` must be an entity type with attributes"));
        }
        Self::of(&format!("entity {name}"), declared.attributes())
    }

    /// The shape of an action's context.
    ///
    /// # Errors
    /// What the schema demands that a question cannot hold.
    pub(crate) fn of_context(schema: &Schema, action: &EntityUid) -> Result<Self, String> {
        match schema.as_ref().context_type(action.as_ref()) {
            Some(Type::Record { attrs, .. }) => Self::of(&format!("the context of {action}"), attrs),
            _ => Err(format!("{action} has no context")),
        }
    }

    fn of(place: &str, attributes: &types::Attributes) -> Result<Self, String> {
        let mut shape = BTreeMap::new();
        for (name, declared) in attributes.iter() {
            let kind = kind(&declared.attr_type)
                .ok_or_else(|| format!("`{name}` of {place} has a type that Tenure does not send"))?;
            shape.insert(name.to_string(), Demand { kind, required: declared.is_required });
        }
        Ok(Self(shape))
    }

    /// The attributes' names.
    #[cfg(feature = "solver")]
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    fn fits(&self, attributes: &Attributes) -> bool {
        let known = attributes
            .iter()
            .all(|(name, value)| self.0.get(*name).is_some_and(|demand| demand.kind == Kind::of_value(value)));
        known && self.0.iter().all(|(name, demand)| !demand.required || attributes.contains_key(name.as_str()))
    }
}

impl Kind {
    fn of_value(value: &Value) -> Self {
        match value {
            Value::Bool(_) => Self::Bool,
            Value::Long(_) => Self::Long,
            Value::Text(_) => Self::Text,
            Value::Set(_) => Self::Set,
            Value::Entity(kind, _) => Self::Entity(*kind),
        }
    }
}

/// What the schema demands of the questions about one action.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) principals: Vec<EntityType>,
    pub(crate) resources: Vec<EntityType>,
    pub(crate) context: Shape,
}

impl Form {
    pub(crate) fn fits(&self, question: &Question, shapes: &BTreeMap<EntityType, Shape>) -> bool {
        let entity = |entity: &Entity, kinds: &[EntityType]| {
            kinds.contains(&entity.kind) && shapes.get(&entity.kind).is_some_and(|shape| shape.fits(&entity.attributes))
        };
        entity(&question.principal, &self.principals)
            && entity(&question.resource, &self.resources)
            && self.context.fits(&question.context)
    }
}

/// Tenure's entity type of that name.
pub(crate) fn entity_type(name: &str) -> Option<EntityType> {
    ENTITY_TYPES.into_iter().find(|kind| kind.as_str() == name)
}

fn kind(declared: &Type) -> Option<Kind> {
    match declared {
        Type::Bool(_) => Some(Kind::Bool),
        Type::Long => Some(Kind::Long),
        Type::String => Some(Kind::Text),
        Type::Set { element_type: Some(element) } if **element == Type::String => Some(Kind::Set),
        Type::Entity(EntityKind::Entity(one)) => {
            one.get_single_entity().and_then(|name| entity_type(&name.to_string())).map(Kind::Entity)
        }
        _ => None,
    }
}
