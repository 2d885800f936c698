//! Reading a set of policies: parse, name, validate, and sort by control point.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use cedar_policy::{
    ActionConstraint, Effect, Entities, EntityId, EntityTypeName, EntityUid, Policy, PolicyId, PolicySet, Schema,
    ValidationMode, Validator, pst,
};
use tenure_core::policy::{Action, EntityType};

use crate::nesting;
use crate::problem::{PolicyProblem, PolicySetError, Source, collect};
use crate::question::Types;
use crate::shape::{ENTITY_TYPES, Form, Shape, entity_type};

/// What a policy says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyInfo {
    /// `@id`: unique in the set; answers and the record cite it.
    pub id: String,
    /// Whether it permits; otherwise it forbids.
    pub permits: bool,
    /// The actions that it bears on.
    pub actions: Vec<Action>,
    /// `@control`: the risk that it answers, such as `NHI7:2025`; "" if it names none.
    pub control: String,
    /// `@doc`: its intent; "" if it states none.
    pub doc: String,
    /// The policy as it is written.
    pub text: String,
}

/// The policies that bear on one action, ready to be asked.
#[derive(Debug)]
pub(crate) struct ControlPoint {
    pub(crate) uid: EntityUid,
    pub(crate) policies: PolicySet,
    /// The action's own entity: policies may ask for its groups.
    pub(crate) entities: Entities,
    pub(crate) form: Form,
}

/// A valid set.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) types: Types,
    pub(crate) shapes: BTreeMap<EntityType, Shape>,
    pub(crate) points: BTreeMap<Action, ControlPoint>,
    pub(crate) policies: Vec<PolicyInfo>,
    /// The schema, for analysis.
    #[cfg(feature = "solver")]
    pub(crate) schema: Schema,
}

/// Reads both texts, on a stack that fits what [`nesting`] lets through.
pub(crate) fn load(schema_text: &str, policy_text: &str) -> Result<Loaded, PolicySetError> {
    let mut problems = nesting::check(Source::Schema, schema_text);
    problems.extend(nesting::check(Source::Policies, policy_text));
    if !problems.is_empty() {
        return Err(PolicySetError::new(problems));
    }
    nesting::on_deep_stack(|| read(schema_text, policy_text))
}

fn read(schema_text: &str, policy_text: &str) -> Result<Loaded, PolicySetError> {
    let mut problems = Vec::new();
    let schema = read_schema(schema_text, &mut problems);
    let policies = read_policies(policy_text, &mut problems);
    if let (Some((schema, _)), Some(set)) = (&schema, &policies) {
        validate(schema, set, policy_text, &mut problems);
    }
    let types = schema.as_ref().and_then(|(schema, _)| types(schema, &mut problems));
    let (Some((schema, actions)), Some(set), Some(types)) = (schema, policies, types) else {
        return Err(PolicySetError::new(problems));
    };

    let mut shapes = BTreeMap::new();
    for kind in ENTITY_TYPES {
        match Shape::of_entity(&schema, types.name(kind).as_ref()) {
            Ok(shape) => {
                shapes.insert(kind, shape);
            }
            Err(message) => problems.push(unsendable(message)),
        }
    }
    let written: Result<Vec<Written>, PolicyProblem> = set.policies().map(Written::of).collect();
    let written = written.map_err(|problem| PolicySetError::new(vec![problem]))?;
    let mut points = BTreeMap::new();
    for &action in Action::ALL {
        match control_point(action, &schema, &actions, &written) {
            Ok(point) => {
                points.insert(action, point);
            }
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(PolicySetError::new(problems));
    }
    let mut policies: Vec<PolicyInfo> = set.policies().map(|policy| info(policy, policy_text, &points)).collect();
    policies.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(Loaded {
        types,
        shapes,
        points,
        policies,
        #[cfg(feature = "solver")]
        schema,
    })
}

fn read_schema(text: &str, problems: &mut Vec<PolicyProblem>) -> Option<(Schema, Entities)> {
    let schema = match Schema::from_cedarschema_str(text) {
        // Its warnings are about names that shadow built-in ones: confusing, and avoidable.
        Ok((schema, warnings)) => {
            warnings.for_each(|warning| collect(Source::Schema, text, &warning, problems));
            schema
        }
        Err(error) => {
            collect(Source::Schema, text, &error, problems);
            return None;
        }
    };
    match schema.action_entities() {
        Ok(actions) => Some((schema, actions)),
        Err(error) => {
            collect(Source::Schema, text, &error, problems);
            None
        }
    }
}

/// The policies under their own names instead of Cedar's numbers.
fn read_policies(text: &str, problems: &mut Vec<PolicyProblem>) -> Option<PolicySet> {
    let numbered = match PolicySet::from_str(text) {
        Ok(set) => set,
        Err(errors) => {
            collect(Source::Policies, text, &errors, problems);
            return None;
        }
    };
    for template in numbered.templates() {
        let offset = template.as_ref().loc().map(|loc| loc.span.offset());
        let hint = "write the principal and the resource out: a template decides nothing by itself";
        problems.push(PolicyProblem::new(Source::Policies, text, offset, "templates are not supported", hint));
    }
    let mut named = PolicySet::new();
    let mut seen = BTreeSet::new();
    for policy in numbered.policies() {
        let offset = policy.as_ref().loc().map(|loc| loc.span.offset());
        let id = policy.annotation("id").unwrap_or_default().trim();
        let (message, hint) = if id.is_empty() {
            ("a policy has no name".to_owned(), "start it with @id(\"…\"): decisions and the record cite it")
        } else if !seen.insert(id) {
            (format!("two policies are named `{id}`"), "give each policy a name of its own")
        } else {
            match named.add(policy.new_id(PolicyId::new(id))) {
                Ok(()) => continue,
                Err(error) => (error.to_string(), "give each policy a name of its own"),
            }
        };
        problems.push(PolicyProblem::new(Source::Policies, text, offset, message, hint));
    }
    Some(named)
}

/// Strictly, and with warnings refused too: a policy that can never apply or that hides characters is a mistake or a
/// trick.
fn validate(schema: &Schema, set: &PolicySet, text: &str, problems: &mut Vec<PolicyProblem>) {
    let result = Validator::new(schema.clone()).validate(set, ValidationMode::Strict);
    result.validation_errors().for_each(|error| collect(Source::Policies, text, error, problems));
    result.validation_warnings().for_each(|warning| collect(Source::Policies, text, warning, problems));
}

fn types(schema: &Schema, problems: &mut Vec<PolicyProblem>) -> Option<Types> {
    let mut find = |kind: EntityType| {
        let name = kind.as_str();
        let found = EntityTypeName::from_str(name).ok().filter(|name| schema.entity_types().any(|known| known == name));
        if found.is_none() {
            problems.push(missing(&format!("entity {name}")));
        }
        found
    };
    let (person, identity) = (find(EntityType::Person), find(EntityType::Identity));
    let (resource, inventory) = (find(EntityType::Resource), find(EntityType::Inventory));
    let source = find(EntityType::Source);
    Some(Types { person: person?, identity: identity?, resource: resource?, inventory: inventory?, source: source? })
}

/// A policy on its way to the actions that it bears on.
struct Written<'a> {
    policy: &'a Policy,
    /// Its syntax tree, to be narrowed to each of its actions: Cedar builds the set of `action in […]` anew for every
    /// question and every policy, which would cost more than the rest of a typical forbid. One that names a single
    /// action is as narrow as it can be, and needs none.
    tree: Option<pst::Template>,
}

impl<'a> Written<'a> {
    fn of(policy: &'a Policy) -> Result<Self, PolicyProblem> {
        if matches!(policy.action_constraint(), ActionConstraint::Eq(_)) {
            return Ok(Self { policy, tree: None });
        }
        match policy.to_pst().map_err(|error| internal(error.to_string()))? {
            pst::Policy::Static(tree) => Ok(Self { policy, tree: Some(tree.body().clone()) }),
            pst::Policy::Linked(_) => Err(internal("a linked template is no policy of its own".to_owned())),
        }
    }

    /// The policy for one of the actions that it bears on.
    fn narrowed(&self, uid: &EntityUid) -> Result<Policy, PolicyProblem> {
        let Some(mut tree) = self.tree.clone() else {
            return Ok(self.policy.clone());
        };
        tree.action = pst::ActionConstraint::Eq(uid.as_ref().clone().into());
        let body = tree.try_into().map_err(|error: pst::error_body::ContainsSlotError| internal(error.to_string()))?;
        Policy::from_pst(pst::Policy::Static(body)).map_err(|error| internal(error.to_string()))
    }
}

fn internal(message: String) -> PolicyProblem {
    PolicyProblem { source: Source::Policies, position: None, message, hint: None }
}

fn control_point(
    action: Action,
    schema: &Schema,
    actions: &Entities,
    written: &[Written<'_>],
) -> Result<ControlPoint, PolicyProblem> {
    let kind = EntityTypeName::from_str("Action").map_err(|error| internal(error.to_string()))?;
    let uid = EntityUid::from_type_name_and_id(kind, EntityId::new(action.as_str()));
    let entity = actions.get(&uid).ok_or_else(|| missing(&format!("action {}", action.as_str())))?;
    let entities = Entities::from_entities([entity.clone()], None).map_err(|error| internal(error.to_string()))?;
    let within = |group: &EntityUid| group == &uid || actions.is_ancestor_of(group, &uid);
    let bearing = written.iter().filter(|written| match written.policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(only) => only == uid,
        ActionConstraint::In(groups) => groups.iter().any(within),
    });
    let bearing: Result<Vec<Policy>, PolicyProblem> = bearing.map(|written| written.narrowed(&uid)).collect();
    let policies = PolicySet::from_policies(bearing?).map_err(|error| internal(error.to_string()))?;
    // The schema gives them in no order of its own.
    let kinds = |names: &mut dyn Iterator<Item = &EntityTypeName>| {
        let kinds: BTreeSet<EntityType> = names.filter_map(|name| entity_type(&name.to_string())).collect();
        kinds.into_iter().collect()
    };
    let form = Form {
        principals: schema.principals_for_action(&uid).map(|mut names| kinds(&mut names)).unwrap_or_default(),
        resources: schema.resources_for_action(&uid).map(|mut names| kinds(&mut names)).unwrap_or_default(),
        context: Shape::of_context(schema, &uid).map_err(unsendable)?,
    };
    Ok(ControlPoint { uid, policies, entities, form })
}

fn info(policy: &Policy, text: &str, points: &BTreeMap<Action, ControlPoint>) -> PolicyInfo {
    let written = policy.as_ref().loc().map(|loc| loc.span);
    let written = written.and_then(|span| text.get(span.offset()..span.offset() + span.len()));
    let annotation = |name| policy.annotation(name).unwrap_or_default().to_owned();
    let bears = |point: &ControlPoint| point.policies.policy(policy.id()).is_some();
    PolicyInfo {
        id: policy.id().to_string(),
        permits: policy.effect() == Effect::Permit,
        actions: points.iter().filter(|(_, point)| bears(point)).map(|(&action, _)| action).collect(),
        control: annotation("control"),
        doc: annotation("doc"),
        text: written.unwrap_or_default().to_owned(),
    }
}

fn missing(what: &str) -> PolicyProblem {
    PolicyProblem {
        source: Source::Schema,
        position: None,
        message: format!("the schema lacks `{what}`"),
        hint: Some("keep every action and entity that Tenure asks about".to_owned()),
    }
}

fn unsendable(message: String) -> PolicyProblem {
    PolicyProblem {
        source: Source::Schema,
        position: None,
        message,
        hint: Some("use Bool, Long, String, Set<String> or one of Tenure's entity types".to_owned()),
    }
}
