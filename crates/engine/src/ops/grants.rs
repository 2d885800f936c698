//! Grants: just-in-time ones are opened for a bounded time and end by themselves (R58).

use tenure_api::requests::NewGrant;
use tenure_api::views::{Access, AccessReport, Resource as Changed};
use tenure_core::changeset::{Changeset, DueChange};
use tenure_core::event::ControlPoint;
use tenure_core::gate;
use tenure_core::grant::{Grant, GrantState};
use tenure_core::id::{GrantId, IdentityId};
use tenure_core::identity::{Entitlement, Identity, RetirementCondition};
use tenure_core::policy::{Action, Value};
use tenure_core::port::DueKind;
use tenure_core::problem::{FieldProblem, Reason};
use tenure_core::resource::Resource;
use tenure_core::row::Stored;
use tenure_core::time::Span;

use super::Asked;
use super::identities::{owns_identity, request_context};
use super::lifecycle::check_reason;
use crate::Engine;
use crate::caller::Caller;
use crate::error::OpError;
use crate::questions::{inventory, owns};

/// Grants that an identity can hold at once.
const MAX_GRANTS: usize = 64;

impl Engine {
    /// Opens a just-in-time grant, inside the charter's scope and for a bounded time.
    ///
    /// # Errors
    /// The identity isn't active, the grant is outside its charter, or the caller may not.
    pub async fn open_grant(&self, caller: &Caller, id: IdentityId, ask: NewGrant) -> Result<Changed<Grant>, OpError> {
        self.recorded(caller, Asked::new(ControlPoint::Approve, "grant.open", id), async {
            let by = caller.must_be_person()?;
            check_grant(&ask)?;
            let (grant, committed) = self
                .decide(|| async {
                    let now = self.now();
                    let known = self.know(id).await?.ok_or(OpError::NotFound("identity"))?;
                    let resource = self.must::<Resource>("resource", &ask.resource).await?;
                    let standing = gate::standing(known.facts(now))?;
                    if let Some(action) = ask
                        .actions
                        .iter()
                        .find(|action| !standing.charter().covers(action, resource.id) || !resource.actions.contains(action))
                    {
                        return Err(OpError::because(
                            Reason::OutsideScope,
                            format!("the charter doesn't contain {action} on {}", resource.id),
                        ));
                    }
                    if known.identity.grants.len() >= MAX_GRANTS {
                        return Err(OpError::because(Reason::BudgetSpent, "the identity holds 64 grants already"));
                    }
                    let mut problems = Vec::new();
                    let references = self.check_references(&known.identity.charter, &mut problems).await?;
                    let mut context = request_context(caller, &known.identity.charter, &references, now);
                    context.insert("duration_secs", Value::Long(ask.duration.as_secs()));
                    let answer = self.allow(caller, Action::Grant, inventory("grant", "", &resource.environment), context)?;
                    gate::check(&answer)?;
                    let grant = Grant {
                        id: GrantId::generate(now, self.entropy.as_ref()),
                        identity: id,
                        entitlement: Entitlement {
                            actions: ask.actions.clone(),
                            resource: resource.id.to_string(),
                        },
                        starts_at: now,
                        ends_at: now.plus(ask.duration).min(standing.charter().end()),
                        state: GrantState::Live,
                        approved_by: by,
                        policies: answer.policies.clone(),
                        purpose: ask.purpose.clone(),
                        just_in_time: true,
                    };
                    let mut identity = (*known.identity.value).clone();
                    identity.grants.push(grant.id);
                    let event = self
                        .event(now, "grant.opened", ControlPoint::Approve)
                        .subject(grant.id)
                        .subject(id)
                        .fact("entitlement", &grant.entitlement)
                        .fact("ends_at", grant.ends_at)
                        .fact("purpose", &grant.purpose)
                        .fact("policies", &answer.policies)
                        .fact("policy_version", &answer.version);
                    let mut changeset = Changeset::new(caller.actor(), now, event);
                    known.expect(&mut changeset);
                    changeset.replace(&known.identity, &identity).insert(&grant);
                    changeset.due.push(DueChange::Set(DueKind::Grant, grant.id.to_string(), grant.ends_at));
                    Ok((changeset, grant))
                })
                .await?;
            self.changed(grant, 1, &committed).await
        })
        .await
    }

    /// Takes a grant back: every credential that rests on it dies with it.
    ///
    /// # Errors
    /// No such live grant, or the caller may not.
    pub async fn revoke_grant(&self, caller: &Caller, id: GrantId, reason: String) -> Result<Changed<Grant>, OpError> {
        check_reason(&reason)?;
        self.recorded(caller, Asked::new(ControlPoint::Revoke, "grant.revoke", id), async {
            let ((grant, revision), committed) = self
                .decide(|| async {
                    let now = self.now();
                    let stored = self.must::<Grant>("grant", id).await?;
                    let identity = self.must::<Identity>("identity", stored.identity).await?;
                    self.allow(caller, Action::Revoke, inventory("grant", id, ""), owns(owns_identity(caller, &identity)))?;
                    if stored.state != GrantState::Live {
                        return Err(OpError::because(Reason::IllegalTransition, "the grant has ended already"));
                    }
                    let event = self
                        .event(now, "grant.revoked", ControlPoint::Revoke)
                        .subject(id)
                        .subject(identity.id)
                        .fact("reason", &reason);
                    let mut changeset = Changeset::new(caller.actor(), now, event);
                    let grant = end_grant(&mut changeset, &stored, &identity, GrantState::Revoked);
                    changeset.due.push(DueChange::Clear(DueKind::Grant, id.to_string()));
                    Ok((changeset, (grant, stored.revision + 1)))
                })
                .await?;
            self.changed(grant, revision, &committed).await
        })
        .await
    }

    /// For each access of an identity: who approved it, for which need, and what ends it, in one call (R46).
    ///
    /// # Errors
    /// No such identity, or the caller may not read it.
    pub async fn access(&self, caller: &Caller, id: IdentityId) -> Result<AccessReport, OpError> {
        let now = self.now();
        let known = self.know(id).await?.ok_or(OpError::NotFound("identity"))?;
        self.may_read(caller, "identity", &id.to_string(), owns_identity(caller, &known.identity))
            .await?;
        let stands = gate::standing(known.facts(now)).is_ok();
        let access = known.grants.iter().flatten().map(|grant| Access {
            grant: grant.id,
            entitlement: grant.entitlement.clone(),
            approved_by: grant.approved_by,
            policies: grant.policies.clone(),
            need: grant.purpose.clone(),
            ends: ends(&known.identity, grant),
            until: grant.ends_at,
            live: stands && grant.is_live(now),
        });
        Ok(AccessReport {
            identity: id,
            access: access.collect(),
        })
    }
}

/// The changes that end a grant and take it off its identity's list.
pub(crate) fn end_grant(changeset: &mut Changeset, stored: &Stored<Grant>, identity: &Stored<Identity>, state: GrantState) -> Grant {
    let grant = Grant {
        state,
        ..(*stored.value).clone()
    };
    let mut without = (*identity.value).clone();
    without.grants.retain(|held| *held != grant.id);
    changeset.replace(stored, &grant).replace(identity, &without);
    grant
}

fn ends(identity: &Identity, grant: &Grant) -> Vec<String> {
    let mut ends = vec![format!("date: {}", grant.ends_at)];
    for condition in &identity.charter.retirement {
        ends.push(match condition {
            RetirementCondition::Date { at } => format!("retirement on {at}"),
            RetirementCondition::Idle { after } => format!("retirement after {after} without use"),
            RetirementCondition::TaskCompleted => "retirement when the task is completed".to_owned(),
        });
    }
    ends.extend(["suspension", "revocation", "a cut or hold of its owner, application or environment"].map(str::to_owned));
    ends
}

fn check_grant(ask: &NewGrant) -> Result<(), OpError> {
    let mut problems = Vec::new();
    if ask.actions.is_empty() || ask.actions.len() > 32 || ask.actions.iter().any(|action| action == tenure_core::identity::WILDCARD) {
        problems.push(FieldProblem::new("actions", "actions_missing", "list 1 to 32 actions by name"));
    }
    if ask.purpose.trim().is_empty() || ask.purpose.len() > 1_000 {
        problems.push(FieldProblem::new("purpose", "purpose_missing", "say for which need, in at most 1000 bytes"));
    }
    if ask.duration < Span::from_secs(10) {
        problems.push(FieldProblem::new("duration", "duration_too_short", "use at least 10s"));
    }
    if problems.is_empty() { Ok(()) } else { Err(OpError::Invalid(problems)) }
}
