//! Questions to the policy, with exactly the attributes that its schema knows.

use tenure_core::base::id::{IdentityId, PersonId};
use tenure_core::base::placed::Placed;
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Span;
use tenure_core::identity::delegation::Delegation;
use tenure_core::identity::{Identity, Kind};
use tenure_core::people::person::{Person, PersonState, Role};
use tenure_core::policy::{Action, Answer, Attributes, Entity, EntityType, PolicyEngine, Question, Value};
use tenure_core::store::event::ControlPoint;

use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::freshness::Freshness;
use crate::kernel::operation::Asked;
use crate::kernel::{Kernel, if_match, reserved};

pub(crate) use tenure_core::credential::gate::{identity_entity as identity, resource_entity as resource};

pub(crate) fn person(person: &Person) -> Entity {
    Entity {
        kind: EntityType::Person,
        id: person.id.to_string(),
        attributes: Attributes::from([
            ("roles", Value::Set(person.roles.iter().map(|role| role.as_str().to_owned()).collect())),
            ("active", Value::Bool(person.state == PersonState::Active)),
            ("class", Value::Text(person.class.as_str().to_owned())),
            ("checks", Value::Set(person.checks.iter().map(|check| check.kind.as_str().to_owned()).collect())),
        ]),
    }
}

/// A part of Tenure's inventory as what is acted on.
pub(crate) fn inventory(kind: &str, id: impl ToString, environment: &str) -> Entity {
    Entity {
        kind: EntityType::Inventory,
        id: id.to_string(),
        attributes: Attributes::from([
            ("kind", Value::Text(kind.to_owned())),
            ("environment", Value::Text(environment.to_owned())),
        ]),
    }
}

pub(crate) fn owns(owns: bool) -> Attributes {
    Attributes::from([("owns", Value::Bool(owns))])
}

pub(crate) fn administration(same_person: bool, single_person: bool) -> Attributes {
    Attributes::from([("same_person", Value::Bool(same_person)), ("single_person", Value::Bool(single_person))])
}

impl Kernel {
    /// How far the authority that somebody holds was handed on, and whether an agent has a part in it (S-14).
    pub(crate) async fn handed_on(
        &self,
        holder: &Identity,
        delegation: Option<&Delegation>,
    ) -> Result<Attributes, OpError> {
        let mut through_agent = holder.kind == Kind::Agent;
        for link in delegation.iter().flat_map(|delegation| &delegation.chain) {
            // Who can't be found may have been one.
            through_agent =
                through_agent || self.one::<Identity>(link).await?.is_none_or(|link| link.kind == Kind::Agent);
        }
        let depth = delegation.map_or(0, Delegation::depth);
        Ok(Attributes::from([
            ("depth", Value::Long(i64::try_from(depth).unwrap_or(i64::MAX))),
            ("through_agent", Value::Bool(through_agent)),
        ]))
    }

    /// Asks whether the caller may do this; a denial is an error with the policy's answer. What the kernel allows is
    /// asked of no policy.
    pub(crate) fn allow(
        &self,
        caller: &Caller,
        action: Action,
        resource: Entity,
        context: Attributes,
    ) -> Result<Answer, OpError> {
        self.allow_under(&*self.policy.engine(), caller, action, resource, context)
    }

    /// The same by another set than the one in force.
    pub(crate) fn allow_under(
        &self,
        set: &dyn PolicyEngine,
        caller: &Caller,
        action: Action,
        resource: Entity,
        context: Attributes,
    ) -> Result<Answer, OpError> {
        caller.token_allows(action)?;
        if reserved::allows(caller, action, &resource, &context) {
            if_match::note_allowed();
            #[expect(
                clippy::disallowed_methods,
                reason = "the compiled kernel allows it, so that no policy is asked (S-9)"
            )]
            return Ok(Answer::by_engine(true, false, set.version(), vec![reserved::KERNEL.to_owned()]));
        }
        let principal = match caller {
            Caller::Person { person: who, .. } => person(who),
            Caller::Identity { identity: who, .. } => identity(who),
        };
        let answer = set.decide(&Question { principal, action, resource, context });
        if answer.allowed() {
            if_match::note_allowed();
            Ok(answer)
        } else {
            let silent = answer.policies().is_empty() && !answer.errored();
            let detail = silent.then(|| {
                format!(
                    "no policy permits {} here to this caller; docs/reference/policies.md says who may",
                    action.as_str()
                )
            });
            Err(OpError::Refused {
                reason: if answer.errored() { Reason::PolicyError } else { Reason::NotAllowed },
                detail,
                answer: Some(Box::new(answer)),
                retry_after: None,
            })
        }
    }

    /// That the caller may take something back: by the kernel who ends or trusts such things, else whom the policy lets
    /// do what gave it.
    pub(crate) fn allow_taking_back(&self, caller: &Caller, gave: Action, what: &Entity) -> Result<Answer, OpError> {
        self.allow(caller, Action::Revoke, what.clone(), owns(false))
            .or_else(|_| self.allow(caller, gave, what.clone(), administration(false, false)))
    }

    /// That the caller may change a record by which somebody may do something. What widens it is asked of the policy
    /// once more, as a request; what narrows it an administrator may by the kernel.
    pub(crate) fn allow_changing(&self, caller: &Caller, what: &Entity) -> Result<Answer, OpError> {
        let administers = matches!(caller, Caller::Person { person, .. } if person.holds(Role::Administrator));
        let asked = self.allow(caller, Action::Administer, what.clone(), administration(false, false));
        match asked {
            Err(_) if administers => self.allow(caller, Action::Revoke, what.clone(), owns(false)).or(asked),
            asked => asked,
        }
    }
}

/// Whether the caller may read this part of the inventory; a refusal is recorded.
///
/// # Errors
/// They may not.
pub async fn may_read(
    kernel: &Kernel,
    caller: &Caller,
    kind: &'static str,
    id: &str,
    owned: bool,
) -> Result<(), OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Use, kind, id), async { can_read(kernel, caller, kind, id, owned) })
        .await
}

pub(crate) fn can_read(kernel: &Kernel, caller: &Caller, kind: &str, id: &str, owned: bool) -> Result<(), OpError> {
    kernel.allow(caller, Action::Read, inventory(kind, id, ""), owns(owned)).map(|_| ())
}

/// Whether the caller may read the log; a refusal is recorded.
///
/// # Errors
/// They may not.
pub async fn may_audit(kernel: &Kernel, caller: &Caller) -> Result<(), OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Use, "log", ""), async {
            kernel.allow(caller, Action::Audit, inventory("log", "", ""), owns(false)).map(|_| ())
        })
        .await
}

/// Who confirms what another administrator proposed: two people, whatever the policy says (S-9).
pub(crate) fn second_person(
    kernel: &Kernel,
    caller: &Caller,
    kind: &str,
    id: impl ToString,
    proposed_by: PersonId,
) -> Result<PersonId, OpError> {
    let same_person = caller.person_id() == Some(proposed_by);
    match kernel.allow(caller, Action::Trust, inventory(kind, id, ""), administration(same_person, false)) {
        Err(OpError::Refused { answer: Some(answer), .. }) if same_person => {
            Err(OpError::by_policy(Reason::SamePerson, *answer))
        }
        _ if same_person => Err(OpError::refused(Reason::SamePerson)),
        Err(other) => Err(other),
        Ok(_) => caller.must_be_person(),
    }
}

/// Whether the caller is the identity's accountable owner, or the identity itself.
/// Whether a subject is an identity that the caller is, or answers for.
pub(crate) async fn owns_subject(kernel: &Kernel, caller: &Caller, subject: &str) -> Result<bool, OpError> {
    let Ok(id) = subject.parse::<IdentityId>() else {
        return Ok(false);
    };
    Ok(kernel.one::<Identity>(id).await?.is_some_and(|identity| owns_identity(caller, &identity)))
}

pub(crate) fn owns_identity(caller: &Caller, identity: &Identity) -> bool {
    match caller {
        Caller::Person { person, .. } => identity.charter.owner == Some(person.id),
        Caller::Identity { identity: who, .. } => who.id == identity.id,
    }
}

/// The context of `enable`, as the schema has it. That the sign-in is fresh is proven by whoever asks.
pub(crate) fn enabling(owns: bool, placed_by_self: bool, fresh: Freshness) -> Attributes {
    Attributes::from([
        ("owns", Value::Bool(owns)),
        ("placed_by_self", Value::Bool(placed_by_self)),
        ("fresh", fresh.fact()),
    ])
}

pub(crate) fn bootstrap(owns: bool, first_use: bool, age: Span) -> Attributes {
    Attributes::from([
        ("owns", Value::Bool(owns)),
        ("first_use", Value::Bool(first_use)),
        ("age_secs", Value::Long(age.as_secs())),
    ])
}

/// Whose word is lifted of those who withhold something: that of whom the caller names, or of the only one. Somebody
/// who joins unseen is not lifted with the others.
pub(crate) fn whose(
    first: Option<PersonId>,
    also: &[Placed],
    named: Option<PersonId>,
) -> Result<Option<PersonId>, OpError> {
    match named {
        Some(named) if first == Some(named) || also.iter().any(|placed| placed.by == named) => Ok(Some(named)),
        Some(_) => {
            Err(OpError::field("placed_by", "placed_by_unknown", "that person doesn't withhold it: read it again"))
        }
        None if also.is_empty() => Ok(first),
        None => {
            let hint = "several people withhold it, each for themselves: name whose word is lifted";
            Err(OpError::field("placed_by", "placed_by_missing", hint))
        }
    }
}

/// Whether the caller may read every record of a kind. A page that shows more to who may asks this first, and asks for
/// nothing in vain: it records nothing.
pub fn reads_all(kernel: &Kernel, caller: &Caller, kind: &str) -> bool {
    can_read(kernel, caller, kind, "", false).is_ok()
}

/// Whether the caller may read the log, of all that is in it. It records nothing.
pub fn audits(kernel: &Kernel, caller: &Caller) -> bool {
    kernel.allow(caller, Action::Audit, inventory("log", "timeline", ""), owns(false)).is_ok()
}
