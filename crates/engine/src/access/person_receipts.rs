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

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tenure_api::people::NewPerson;
    use tenure_api::requests::{NewApplication, NewResource, ResumePerson};
    use tenure_core::base::id::{PersonGrantId, RequestId};
    use tenure_core::base::time::Span;
    use tenure_core::credential::receipt::{ReceiptState, Target};
    use tenure_core::inventory::entitlement::Entitlement;
    use tenure_core::inventory::resource::WhenUnreachable;
    use tenure_core::people::person::Role;
    use tenure_core::store::changeset::Changeset;
    use tenure_core::store::event_kind::EventKind;

    use super::*;
    use crate::access::departures;
    use crate::inventory::directory;
    use crate::kernel::work::system;
    use crate::log::seal::tests::{World, world};
    use crate::matters::roles;
    use crate::run::deadlines;

    async fn work(world: &World) {
        while deadlines::work_due(&world.engine).await.unwrap() > 0 {}
    }

    async fn receipt_of(world: &World, person: PersonId) -> Stored<Receipt> {
        let theirs = Query::of([Receipt::TARGET.of(Target::Person(person))]).newest_first(true);
        world.engine.first(theirs).await.unwrap().expect("it has a receipt")
    }

    /// A resource, and a grant there of somebody's.
    async fn granted(world: &World, person: PersonId, verification: Verification) -> PersonGrantId {
        let (engine, owner) = (&world.engine, world.admin.person_id().unwrap());
        let environment = serde_json::from_value(json!({"name": "prod"})).unwrap();
        directory::create_environment(engine, &world.admin, environment).await.unwrap();
        let application = NewApplication { name: "billing".into(), owner, removal_group: None };
        let application = directory::create_application(engine, &world.admin, application).await.unwrap().record.id;
        let resource = NewResource {
            uri: "https://orders".into(),
            kind: "database".into(),
            actions: vec!["read".into()],
            application,
            environment: "prod".into(),
            data_domains: Vec::new(),
            verification,
            when_unreachable: WhenUnreachable::Deny,
            signing_algorithm: None,
        };
        let resource = directory::create_resource(engine, &world.admin, resource).await.unwrap().record.id;
        let now = engine.now();
        let grant = PersonGrant {
            id: PersonGrantId::generate(now, engine.entropy.as_ref()),
            person,
            entitlement: Entitlement { actions: vec!["read".into()], resource: resource.to_string() },
            package: None,
            exception: None,
            starts_at: now,
            ends_at: now.plus(Span::from_days(20)),
            review_by: now.plus(Span::from_days(30)),
            reviewed: false,
            state: PersonGrantState::Live,
            request: RequestId::from_u128(1),
            approved_by: Vec::new(),
            policies: Vec::new(),
            policy_version: String::new(),
            purpose: String::new(),
        };
        let mut changeset = Changeset::new(system(), now, engine.event(now, EventKind::PersonGrantOpened));
        changeset.insert(&grant);
        engine.settle(changeset).await.unwrap().unwrap();
        grant.id
    }

    #[tokio::test]
    async fn s18_a_refusal_with_nobodys_grant_beside_it_is_no_verified_one() {
        let world = world().await;
        let (security, ann) = (world.person(Role::Security).await, world.person(Role::Requester).await);
        let ann = ann.person_id().unwrap();
        let grant = granted(&world, ann, Verification::Online).await;
        departures::suspend_person(&world.engine, &security, ann, "a lost laptop".into()).await.unwrap();
        work(&world).await;
        let receipt = receipt_of(&world, ann).await;
        let theirs = receipt.person.as_ref().unwrap();
        assert_eq!((receipt.state(), theirs.count, theirs.refused), (ReceiptState::Refused, 2, 1));
        let of_grant = theirs.first.iter().find(|point| point.held == PersonHeld::Grant(grant)).unwrap();
        assert!(
            matches!(&of_grant.outcome, PersonOutcome::Refused { control: None, reason, .. } if reason == "no_access")
        );
        // Her token was refused while that of whoever asked was accepted.
        let of_token = theirs.first.iter().find(|point| point.resource.is_none()).unwrap();
        let PersonOutcome::Refused { control, .. } = &of_token.outcome else { panic!("{of_token:?}") };
        let Actor::Person { via, .. } = receipt.requested_by else { panic!("{:?}", receipt.requested_by) };
        assert_eq!(*control, Some(held_by(via)));
    }

    #[tokio::test]
    async fn what_decides_by_itself_is_not_called_refused() {
        let world = world().await;
        let (security, ann) = (world.person(Role::Security).await, world.person(Role::Requester).await);
        let ann = ann.person_id().unwrap();
        granted(&world, ann, Verification::Offline).await;
        departures::suspend_person(&world.engine, &security, ann, "a lost laptop".into()).await.unwrap();
        work(&world).await;
        let receipt = receipt_of(&world, ann).await;
        assert_eq!(receipt.state(), ReceiptState::CannotRevoke);
        assert_eq!(receipt.person.as_ref().unwrap().decided_elsewhere, 1);
        assert!(receipt.signed.is_some());
    }

    #[tokio::test]
    async fn r103_what_was_taken_back_first_proves_nothing_and_who_had_nothing_has_nothing_to_refuse() {
        let world = world().await;
        let (security, other) = (world.person(Role::Security).await, world.person(Role::Security).await);
        let (engine, ann) = (&world.engine, world.person(Role::Requester).await.person_id().unwrap());
        departures::suspend_person(engine, &security, ann, "a lost laptop".into()).await.unwrap();
        let back = ResumePerson { reason: "it was found".into(), placed_by: None };
        departures::resume_person(engine, &other, ann, back).await.unwrap();
        work(&world).await;
        let receipt = receipt_of(&world, ann).await;
        assert_eq!((receipt.state(), receipt.signed.is_some()), (ReceiptState::Lifted, false));
        // Somebody for whom nothing stands.
        let ask = NewPerson { name: "Eve".into(), ..NewPerson::default() };
        let eve = roles::create_person(engine, &world.admin, ask).await.unwrap().record.id;
        departures::suspend_person(engine, &security, eve, "on leave".into()).await.unwrap();
        work(&world).await;
        let receipt = receipt_of(&world, eve).await;
        assert_eq!((receipt.state(), receipt.person.is_none()), (ReceiptState::NothingToRefuse, true));
    }
}
