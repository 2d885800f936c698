//! A policy set as what is asked for: its facts, and what follows from the answer.

use std::sync::Arc;

use tenure_core::base::id::PolicySetId;
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::policy::PolicyEngine;
use tenure_core::policy::set::{InForce, PolicySet, PolicySetState};
use tenure_core::request::{Matter, Request};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event_kind::EventKind;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::load::expect;
use crate::requests::content::Subject;
use crate::requests::facts::MatterFacts;

/// What votes on a policy set bind.
pub(crate) fn facts_of_set(
    kernel: &Kernel,
    matter: &Matter,
    set: &PolicySet,
    proposed: Arc<dyn PolicyEngine>,
) -> Result<MatterFacts, OpError> {
    let subject = Subject::default().with("version", &set.version)?.with("based_on", &set.based_on)?;
    let mut facts = MatterFacts::about(matter, subject);
    facts.interested = vec![set.author];
    facts.subjects = vec![set.id.to_string()];
    facts.proposed_policy = Some(proposed);
    facts.judge = kernel.policy.way_back(&set.text);
    Ok(facts)
}

pub(crate) async fn facts_of_policy(kernel: &Kernel, matter: &Matter, id: PolicySetId) -> Result<MatterFacts, OpError> {
    let set = kernel.must::<PolicySet>("policy set", id).await?;
    if set.state != PolicySetState::Proposed {
        return Err(OpError::because(
            Reason::IllegalTransition,
            format!("the policy set is {}: propose another", set.state.as_str()),
        ));
    }
    if set.based_on != kernel.policy.version() {
        return Err(OpError::because(
            Reason::RequestChanged,
            "another policy set came into force since it was proposed: propose it again on that one",
        ));
    }
    let proposed = kernel.policy.read(&set.text).await?;
    let mut facts = facts_of_set(kernel, matter, &set, proposed)?;
    facts.expects = vec![expect(&set)];
    Ok(facts)
}

pub(crate) async fn fulfil_policy(
    kernel: &Kernel,
    changeset: &mut Changeset,
    request: &Request,
    id: PolicySetId,
    now: Timestamp,
) -> Result<(), OpError> {
    let stored = kernel.must::<PolicySet>("policy set", id).await?;
    let mut set = (*stored.value).clone();
    put_in_force(kernel, changeset, &mut set, request, now).await?;
    changeset.replace(&stored, &set);
    Ok(())
}

/// The changes that put a set in force, but for its own row.
pub(crate) async fn put_in_force(
    kernel: &Kernel,
    changeset: &mut Changeset,
    set: &mut PolicySet,
    request: &Request,
    now: Timestamp,
) -> Result<(), OpError> {
    let row = kernel.store.load(&[InForce::row_key()]).await?.get::<InForce>(0)?;
    let in_force = InForce { policy: set.id, version: set.version.clone() };
    match &row {
        Some(row) => {
            let old = kernel.must::<PolicySet>("policy set", row.policy).await?;
            let replaced = PolicySet { state: PolicySetState::Replaced, ..(*old.value).clone() };
            changeset.replace(&old, &replaced).replace(row, &in_force);
        }
        None => {
            changeset.insert(&in_force);
        }
    }
    set.state = PolicySetState::InForce;
    set.in_force_at = Some(now);
    let event = kernel
        .event(now, EventKind::PolicyChanged)
        .subject(set.id)
        .fact("version", &set.version)
        .fact("replaces", &set.based_on)
        .fact("purpose", &set.purpose)
        .fact("author", set.author)
        .fact("approved_by", request.approvers())
        .fact("single_person", request.single_person)
        .fact("request", request.id);
    changeset.event(event);
    Ok(())
}

pub(crate) async fn drop_policy(
    kernel: &Kernel,
    changeset: &mut Changeset,
    id: PolicySetId,
    now: Timestamp,
) -> Result<(), OpError> {
    let stored = kernel.must::<PolicySet>("policy set", id).await?;
    let set = PolicySet { state: PolicySetState::Dropped, ..(*stored.value).clone() };
    changeset.event(kernel.event(now, EventKind::PolicyDropped).subject(id));
    changeset.replace(&stored, &set);
    Ok(())
}
