//! What proves that a person's suspension, or their leaving, is in force: whatever stood for them at Tenure and whatever they
//! held is tried again, by what decides about it at each use (R103, S-18).
//!
//! A person has no accounts at targets. What they answer for goes to somebody else, or is suspended at the end of its
//! transfer, with receipts of its own.

use tenure_core::base::id::{PersonId, ResourceId};
use tenure_core::base::time::Timestamp;
use tenure_core::credential::receipt::{PersonHeld, PersonOutcome, PersonPoint, PersonPoints, Receipt};
use tenure_core::inventory::resource::{Resource, Verification};
use tenure_core::people::person::OperatorToken;
use tenure_core::people::person_grant::{PersonGrant, PersonGrantState};
use tenure_core::people::sign_in::Session;
use tenure_core::store::event::{Actor, Via};
use tenure_core::store::port::BoxFuture;
use tenure_core::store::row::{Position, Stored};

use crate::access::person_access::verdict;
use crate::kernel::error::OpError;
use crate::kernel::query::Query;
use crate::kernel::{Kernel, caller, epoch};
use crate::people::sign_in::of_person;

/// Records of others among which one is looked for that is accepted, as the positive control.
const CONTROLS: u16 = 64;

/// What a person had when they were suspended or left, and what became of it.
pub(crate) fn points<'a>(
    kernel: &'a Kernel,
    person: PersonId,
    receipt: &'a Receipt,
    now: Timestamp,
) -> BoxFuture<'a, Result<PersonPoints, OpError>> {
    Box::pin(async move {
        let mut points = PersonPoints::default();
        add_sign_ins(kernel, person, receipt, &mut points, now).await?;
        add_grants(kernel, person, receipt, &mut points, now).await?;
        Ok(points)
    })
}

const fn held_by(via: Via) -> PersonHeld {
    match via {
        Via::Session(id) => PersonHeld::Session(id),
        Via::OperatorToken(id) => PersonHeld::OperatorToken(id),
    }
}

/// Adds the sessions and operator tokens that stood for them. What was dead before proves nothing.
async fn add_sign_ins(
    kernel: &Kernel,
    person: PersonId,
    receipt: &Receipt,
    points: &mut PersonPoints,
    now: Timestamp,
) -> Result<(), OpError> {
    let (since, in_force) = (receipt.position.unwrap_or_default(), receipt.in_force_at);
    let trust = epoch::trust(kernel).await?;
    let stood = |made: Position, revoked_at: Option<Timestamp>, expires_at: Timestamp| {
        trust.covers(made)
            && since.is_after(made)
            && revoked_at.is_none_or(|revoked_at| in_force <= revoked_at)
            && in_force < expires_at
    };
    let mut vias = Vec::new();
    for session in of_person(kernel, Session::PERSON, person).whole().await? {
        if stood(session.created, session.revoked_at, session.expires_at) {
            vias.push(Via::Session(session.id));
        }
    }
    for token in of_person(kernel, OperatorToken::PERSON, person).whole().await? {
        if stood(token.created, token.revoked_at, token.expires_at) {
            vias.push(Via::OperatorToken(token.id));
        }
    }
    if vias.is_empty() {
        return Ok(());
    }
    let control = sign_in_of_another(kernel, person, receipt, now).await?;
    for via in vias {
        let outcome = match caller::stands(kernel, person, via).await {
            Err(OpError::Unauthenticated(reason)) => {
                PersonOutcome::Refused { at: now, reason: reason.code().to_owned(), control }
            }
            Ok(_) => PersonOutcome::Unproven { at: now, why: "it was accepted".to_owned() },
            Err(error) => return Err(error),
        };
        points.add(PersonPoint { held: held_by(via), resource: None, outcome });
    }
    Ok(())
}

/// A session or an operator token of somebody else that is accepted now: of whoever asked, else one of the newest.
async fn sign_in_of_another(
    kernel: &Kernel,
    person: PersonId,
    receipt: &Receipt,
    now: Timestamp,
) -> Result<Option<PersonHeld>, OpError> {
    let mut others = Vec::new();
    if let Actor::Person { id, via } = receipt.requested_by {
        others.push((id, via));
    }
    let sessions = kernel.find(Query::<Session>::every().newest_first(true).limit(CONTROLS)).await?.readable();
    let live = sessions.iter().filter(|session| session.revoked_at.is_none() && now < session.expires_at);
    others.extend(live.map(|session| (session.person, Via::Session(session.id))));
    let tokens = kernel.find(Query::<OperatorToken>::every().newest_first(true).limit(CONTROLS)).await?.readable();
    let live = tokens.iter().filter(|token| token.revoked_at.is_none() && now < token.expires_at);
    others.extend(live.map(|token| (token.person, Via::OperatorToken(token.id))));
    for (other, via) in others.into_iter().filter(|(other, _)| *other != person) {
        match caller::stands(kernel, other, via).await {
            Ok(_) => return Ok(Some(held_by(via))),
            Err(OpError::Unauthenticated(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Adds the grants that they held.
async fn add_grants(
    kernel: &Kernel,
    person: PersonId,
    receipt: &Receipt,
    points: &mut PersonPoints,
    now: Timestamp,
) -> Result<(), OpError> {
    let (since, in_force) = (receipt.position.unwrap_or_default(), receipt.in_force_at);
    // What was taken back by this, or later, was live before.
    let was_live = |grant: &Stored<PersonGrant>| {
        let stands = match grant.state {
            PersonGrantState::Live => true,
            PersonGrantState::Revoked | PersonGrantState::Expired => !since.is_after(grant.position),
            PersonGrantState::Scheduled => false,
        };
        let before = PersonGrant { state: PersonGrantState::Live, ..(*grant.value).clone() };
        stands && since.is_after(grant.created) && before.is_live(in_force)
    };
    let mut theirs = kernel.pages(Query::of([PersonGrant::PERSON.of(person)]));
    while let Some(found) = theirs.next().await? {
        for grant in found.whole()?.iter().filter(|grant| was_live(grant)) {
            let id: Option<ResourceId> = grant.entitlement.resource.parse().ok();
            let resource = match id {
                Some(id) => kernel.one::<Resource>(id).await?,
                None => None,
            };
            let Some(resource) = resource else { continue };
            let outcome = of_grant(kernel, grant, &resource, now).await?;
            points.add(PersonPoint { held: PersonHeld::Grant(grant.id), resource: Some(resource.id), outcome });
        }
    }
    Ok(())
}

async fn of_grant(
    kernel: &Kernel,
    grant: &PersonGrant,
    resource: &Resource,
    now: Timestamp,
) -> Result<PersonOutcome, OpError> {
    if resource.verification == Verification::Offline {
        return Ok(PersonOutcome::DecidedElsewhere { at: now });
    }
    let mut refused = None;
    for action in &grant.entitlement.actions {
        match verdict::refusal(kernel, grant.person, action, resource, now).await? {
            Some(reason) => refused = Some(reason),
            None => return Ok(PersonOutcome::Unproven { at: now, why: format!("they may still {action}") }),
        }
    }
    let Some(reason) = refused else {
        return Ok(PersonOutcome::Unproven { at: now, why: "it says no action that could be tried".to_owned() });
    };
    let control = grant_of_another(kernel, grant, resource, now).await?;
    Ok(PersonOutcome::Refused { at: now, reason: reason.code().to_owned(), control })
}

/// A grant of somebody else at the same resource by which they may do something there now.
async fn grant_of_another(
    kernel: &Kernel,
    grant: &PersonGrant,
    resource: &Resource,
    now: Timestamp,
) -> Result<Option<PersonHeld>, OpError> {
    let live = [PersonGrant::RESOURCE.of(resource.id.to_string()), PersonGrant::STATE.of(PersonGrantState::Live)];
    let found = kernel.find(Query::of(live).limit(CONTROLS)).await?.readable();
    for other in found.iter().filter(|other| other.person != grant.person && other.is_live(now)) {
        let Some(action) = other.entitlement.actions.first() else { continue };
        if verdict::refusal(kernel, other.person, action, resource, now).await?.is_none() {
            return Ok(Some(PersonHeld::Grant(other.id)));
        }
    }
    Ok(None)
}
