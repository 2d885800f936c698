//! Removal drills (R97): that an identity can be removed is answered by the last time when that was tried.
//!
//! A drill takes nothing but credentials of minutes: the newest token or login of the identity that is alive, for each
//! resource. It is revoked by the same step as at a removal, checked at the same points and targets, and its receipt says
//! what came of that. Static keys and accounts that people made are left alone: at each target where the identity has one,
//! or gets logins, a canary goes the whole way in its place. Here that is intended, and a worker does it (S-17).

use std::collections::{BTreeMap, BTreeSet};

use tenure_api::drills::{DrillCanaryView, DrillView, DrilledView};
use tenure_api::requests::{Revocation, RevocationTarget};
use tenure_core::base::id::{CredentialId, IdentityId, ResourceId, TargetId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::credential::Credential;
use tenure_core::credential::drill::{CanaryResult, Drill, DrillCanary, Drilled, MAX_CANARIES, MAX_DRILLED};
use tenure_core::credential::receipt::AccountOutcome;
use tenure_core::identity::{CredentialType, Identity};
use tenure_core::inventory::resource::Resource;
use tenure_core::policy::Action;
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_core::target::account::Account;
use tenure_core::target::connector::{Ability, Mode, ProofWorth};
use tenure_core::target::login::{Login, LoginPurpose, Rehearsal};
use tenure_core::target::system::TargetSystem;
use tenure_core::trust::state::TrustState;

use crate::credentials::logins::SEALED_AS;
use crate::credentials::{liveness, revocation};
use crate::identities::removability;
use crate::kernel::Kernel;
use crate::kernel::authority::{self, inventory, owns, owns_identity};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::Asked;
use crate::kernel::query::Query;

const REASON: &str = "removal drill";

/// Drills the removal of an identity.
///
/// # Errors
/// No such identity, the caller is neither its owner nor of security, its last drill isn't over, or there is nothing to
/// rehearse on: no token or login of its is alive, and it has nothing at any target.
pub async fn drill(kernel: &Kernel, caller: &Caller, id: IdentityId) -> Result<DrillView, OpError> {
    let (by, alive) = kernel
        .recorded(caller, Asked::new(ControlPoint::Revoke, "identity.drill", id), async {
            let by = caller.must_be_person()?;
            let identity = kernel.must::<Identity>("identity", id).await?;
            let environment = identity.charter.environment.clone().unwrap_or_default();
            let own = owns(owns_identity(caller, &identity));
            kernel.allow(caller, Action::Revoke, inventory("identity", id, &environment), own)?;
            last_is_over(kernel, id, kernel.now()).await?;
            let alive = alive(kernel, id, kernel.now()).await?;
            if alive.is_empty() && targets_of(kernel, &identity).await?.is_empty() {
                let detail = "no token or login of its is alive: have its workload get one, and drill again";
                return Err(OpError::because(Reason::IllegalTransition, detail));
            }
            Ok((by, alive))
        })
        .await?;
    let mut drilled = Vec::with_capacity(alive.len());
    for (resource, credential) in alive {
        let target = RevocationTarget::Credential(credential.id);
        let ask = Revocation { target, reason: REASON.to_owned(), suspend: false };
        let receipt = Box::pin(revocation::revoke(kernel, caller, ask)).await?;
        drilled.push(Drilled { credential: credential.id, resource, receipt: receipt.receipt.id });
    }
    let (drill, _) = kernel
        .decide(|| async {
            let now = kernel.now();
            last_is_over(kernel, id, now).await?;
            let identity = kernel.must::<Identity>("identity", id).await?;
            let (canaries, logins) = canaries(kernel, &identity, now).await?;
            let event = kernel
                .event(now, EventKind::IdentityDrilled)
                .subject(id)
                .fact("drilled", &drilled)
                .fact("canaries", &canaries);
            let drill = Drill { identity: id, by, at: now, drilled: drilled.clone(), canaries };
            let mut changeset = Changeset::new(caller.author(), now, event);
            for login in &logins {
                changeset.insert(login);
                changeset.due.push(DueChange::Set(DueKind::Login, login.id.to_string(), now));
            }
            match kernel.one::<Drill>(id).await? {
                Some(before) => changeset.replace(&before, &drill),
                None => changeset.insert(&drill),
            };
            Ok((changeset, drill))
        })
        .await?;
    view(kernel, &drill).await
}

/// The last drill of an identity, and what came of it.
///
/// # Errors
/// No such identity, it was never drilled, or the caller may not read it.
pub async fn last_drill(kernel: &Kernel, caller: &Caller, id: IdentityId) -> Result<DrillView, OpError> {
    let identity = kernel.sought::<Identity>(caller, "identity", id).await?;
    authority::may_read(kernel, caller, "identity", &id.to_string(), owns_identity(caller, &identity)).await?;
    let drill = kernel.one::<Drill>(id).await?.ok_or(OpError::NotFound("drill"))?;
    view(kernel, &drill).await
}

/// Demands that no canary of the last drill is on its way: one identity has no more of them than there are targets.
async fn last_is_over(kernel: &Kernel, id: IdentityId, now: Timestamp) -> Result<(), OpError> {
    match kernel.one::<Drill>(id).await?.is_some_and(|drill| drill.is_running(now)) {
        true => Err(OpError::because(
            Reason::IllegalTransition,
            format!("its last drill isn't over: tenure drill {id} --last says how it stands"),
        )),
        false => Ok(()),
    }
}

/// Where an identity has accounts, or gets logins.
async fn targets_of(kernel: &Kernel, identity: &Identity) -> Result<BTreeSet<TargetId>, OpError> {
    let mut targets = BTreeSet::new();
    let mut accounts = kernel.pages(Query::of([Account::IDENTITY.of(identity.id)]));
    while let Some(found) = accounts.next().await? {
        targets.extend(found.readable().iter().map(|account| account.target));
    }
    if identity.charter.credential_types.contains(&CredentialType::Login) {
        for id in
            identity.charter.scope.iter().filter_map(|entitlement| entitlement.resource.parse::<ResourceId>().ok())
        {
            let resource = kernel.one::<Resource>(id).await?;
            targets.extend(resource.and_then(|resource| resource.logins.as_ref().map(|logins| logins.target)));
        }
    }
    Ok(targets)
}

/// A canary at each target, to be made by a worker; of one where none can be made, why.
async fn canaries(
    kernel: &Kernel,
    identity: &Identity,
    now: Timestamp,
) -> Result<(Vec<DrillCanary>, Vec<Login>), OpError> {
    let (mut canaries, mut logins) = (Vec::new(), Vec::new());
    for id in targets_of(kernel, identity).await?.into_iter().take(MAX_CANARIES) {
        let (mut login, mut trouble) = (None, None);
        match kernel.one::<TargetSystem>(id).await? {
            None => trouble = Some("the target isn't there any more"),
            Some(target) => match unable(kernel, &target) {
                Some(why) => trouble = Some(why),
                None => {
                    let canary = canary(kernel, &target, identity.id, now)?;
                    login = Some(canary.id);
                    logins.push(canary);
                }
            },
        }
        canaries.push(DrillCanary {
            target: id,
            login,
            made_at: None,
            accepted_at: None,
            ended_at: None,
            outcome: None,
            trouble: trouble.map(str::to_owned),
        });
    }
    Ok((canaries, logins))
}

/// Why no canary goes the whole way at a target.
fn unable(kernel: &Kernel, target: &TargetSystem) -> Option<&'static str> {
    if !target.is_asked() || target.state != TrustState::Active || target.is_gone() {
        return Some("the target isn't confirmed, was removed, or has no login");
    }
    if target.mode < Mode::End {
        return Some("the connector only observes there: it makes no canary");
    }
    let Some(connector) = kernel.connectors.of(target.kind) else { return Some("this build has no connector for it") };
    let can = |ability| connector.abilities().contains(&ability);
    if connector.federation().is_some() || !can(Ability::Provision) {
        return Some("no account that may do nothing can be made there");
    }
    let sees = connector.proof() == ProofWorth::Refusal && can(Ability::Probe);
    (!sees).then_some("refusals can't be seen at targets of its kind")
}

/// A login of minutes that may do nothing: whose it is at the target is its connector's, as of every canary.
fn canary(kernel: &Kernel, target: &TargetSystem, identity: IdentityId, now: Timestamp) -> Result<Login, OpError> {
    let id = CredentialId::generate(now, kernel.entropy.as_ref());
    let sealed = kernel.opaque.canary((&kernel.root, SEALED_AS), id, kernel.entropy.as_ref());
    let sealed = sealed.map_err(|error| OpError::Internal(error.to_string()))?;
    let rehearsal = Some(Rehearsal { identity, accepted_at: None, trouble: None });
    Ok(Login { purpose: LoginPurpose::Drill, rehearsal, ..Login::canary(id, target, sealed, now) })
}

/// The newest credential of minutes that is alive, for each resource.
async fn alive(
    kernel: &Kernel,
    id: IdentityId,
    now: Timestamp,
) -> Result<BTreeMap<ResourceId, Stored<Credential>>, OpError> {
    let mut newest: BTreeMap<ResourceId, Stored<Credential>> = BTreeMap::new();
    let mut pages = kernel.pages(Query::of([Credential::IDENTITY.of(id)]).newest_first(true));
    while let Some(found) = pages.next().await? {
        for credential in found.readable() {
            let is_short = matches!(credential.kind, CredentialType::AccessToken | CredentialType::Login);
            if !is_short || newest.contains_key(&credential.resource) {
                continue;
            }
            if liveness::held(kernel, credential.id, now).await?.is_some_and(|held| held.status.is_ok()) {
                newest.insert(credential.resource, credential);
            }
            if newest.len() >= MAX_DRILLED {
                return Ok(newest);
            }
        }
    }
    Ok(newest)
}

async fn view(kernel: &Kernel, drill: &Drill) -> Result<DrillView, OpError> {
    let mut drilled = Vec::with_capacity(drill.drilled.len());
    for part in &drill.drilled {
        let state = removability::state_of(kernel, part.receipt).await?;
        drilled.push(DrilledView {
            credential: part.credential,
            resource: part.resource,
            receipt: part.receipt,
            proven: state.is_some_and(removability::is_proven),
            state,
        });
    }
    Ok(DrillView {
        identity: drill.identity,
        by: drill.by,
        at: drill.at,
        proven: removability::is_proof(drill, drilled.iter().all(|part| part.proven)),
        drilled,
        canaries: drill.canaries.iter().map(canary_view).collect(),
        names: tenure_api::views::Names::new(),
    })
}

fn canary_view(canary: &DrillCanary) -> DrillCanaryView {
    let refused_at = canary.outcome.as_ref().and_then(|outcome| match outcome {
        AccountOutcome::RefusedVerified { at, .. } | AccountOutcome::Refused { at, .. } => Some(*at),
        _ => None,
    });
    let control_at = canary.outcome.as_ref().and_then(|outcome| match outcome {
        AccountOutcome::RefusedVerified { control_at, .. } => Some(*control_at),
        _ => None,
    });
    let result = canary.result();
    DrillCanaryView {
        target: canary.target,
        login: canary.login,
        made_at: canary.made_at,
        accepted_at: canary.accepted_at,
        ended_at: canary.ended_at,
        refused_at,
        control_at,
        result,
        why: why(canary, result),
    }
}

/// Why a canary is no proof.
fn why(canary: &DrillCanary, result: CanaryResult) -> Option<String> {
    let of_outcome = || match &canary.outcome {
        Some(AccountOutcome::Refused { no_control, .. }) => {
            Some(format!("refused, not verified: there is no other login to hold that against: {no_control}"))
        }
        Some(
            AccountOutcome::Unproven { why, .. }
            | AccountOutcome::CannotRevoke { why, .. }
            | AccountOutcome::Unreachable { why, .. },
        ) => Some(why.clone()),
        Some(_) => Some("the target's refusal wasn't seen, or it never took the canary".to_owned()),
        None => None,
    };
    match result {
        CanaryResult::Running | CanaryResult::RefusedVerified => None,
        CanaryResult::RefusedNotVerified | CanaryResult::Unproven => canary.trouble.clone().or_else(of_outcome),
    }
}
