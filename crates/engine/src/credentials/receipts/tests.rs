use tenure_api::requests::{Revocation, RevocationTarget};
use tenure_core::base::id::{ApplicationId, BindingId, ResourceId};
use tenure_core::base::time::Span;
use tenure_core::credential::receipt::PointState;
use tenure_core::identity::CharterDraft;

use tenure_core::inventory::application::Application;
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::inventory::resource::{Resource, Verification, WhenUnreachable};
use tenure_core::inventory::third_party::Standing;
use tenure_core::store::row::Position;
use tenure_credentials::key::VerifyingKey;
use tenure_credentials::receipt::verify_receipt;

use super::*;
use crate::credentials::revocation;
use crate::kernel::work::system;
use crate::log::seal::tests::{World, world};
use crate::matters::exceptions::tests::active;
use crate::run::deadlines;
use crate::targets::reach;

const IDENTITIES: u128 = 1_050;

async fn put(world: &World, write: impl FnOnce(&mut Changeset)) {
    let now = world.engine.now();
    let mut changeset = Changeset::new(system(), now, world.engine.event(now, EventKind::PersonChanged));
    write(&mut changeset);
    world.engine.settle(changeset).await.unwrap().unwrap();
}

fn resource(id: u128, application: ApplicationId, verification: Verification) -> Resource {
    Resource {
        id: ResourceId::from_u128(id),
        uri: format!("https://{id}.internal"),
        kind: "service".into(),
        actions: vec!["read".into()],
        application,
        environment: "production".into(),
        data_domains: Vec::new(),
        verification,
        when_unreachable: WhenUnreachable::Deny,
        signing_algorithm: None,
        logins: None,
        created_at: Timestamp::from_secs(1),
    }
}

fn member(application: ApplicationId, joined: Position) -> Membership {
    Membership { scope: Scope::Application(application), joined }
}

/// An application with over a thousand identities that may read one resource that asks Tenure and one that doesn't; the
/// last of them enforces the first.
async fn large(world: &World) -> Application {
    let owner = world.admin.person_id().unwrap();
    let now = world.engine.now();
    let application = Application {
        id: ApplicationId::from_u128(1),
        name: "billing".into(),
        owner,
        removal_group: None,
        standing: Standing::Open,
        created_at: now,
    };
    let entitled = |resource: u128, action: &str| Entitlement {
        actions: vec![action.into()],
        resource: ResourceId::from_u128(resource).to_string(),
    };
    put(world, |changeset| {
        changeset.insert(&application);
        changeset.insert(&resource(1, application.id, Verification::Online));
        changeset.insert(&resource(2, application.id, Verification::Offline));
        let charter = CharterDraft { scope: vec![entitled(1, "enforce")], ..CharterDraft::default() };
        for enforcer in 1..=101 {
            changeset.insert(&active(1_000_000 + enforcer, charter.clone(), owner, now));
        }
    })
    .await;
    for first in (1..=IDENTITIES).step_by(350) {
        put(world, |changeset| {
            for id in first..first + 350 {
                let charter = CharterDraft {
                    application: Some(application.id),
                    scope: vec![entitled(1, "read"), entitled(2, "read")],
                    expires_at: Some(now.plus(Span::from_days(1))),
                    ..CharterDraft::default()
                };
                let mut identity = active(id, charter, owner, now);
                identity.bindings = vec![BindingId::from_u128(id)];
                identity.memberships = vec![member(application.id, Position::at(0))];
                changeset.insert(&identity);
            }
        })
        .await;
    }
    application
}

/// Cuts all that was issued to an application's identities; gives the receipt as its caller gets it.
async fn cut(world: &World, application: &Application) -> Receipt {
    let ask =
        Revocation { target: RevocationTarget::Application(application.id), reason: "drill".into(), suspend: false };
    revocation::revoke(&world.engine, &world.admin, ask).await.unwrap().receipt
}

#[tokio::test]
async fn r72_a_large_scope_is_checked_in_batches_and_every_identity_of_it_once() {
    let world = world().await;
    let engine = &world.engine;
    let application = large(&world).await;
    let first = cut(&world, &application).await;
    assert_eq!((first.state(), first.progress.as_ref().unwrap().identities), (ReceiptState::Requested, 200));
    assert_eq!(first.signed, None, "nothing is signed that was not looked at");
    let mut rounds = Vec::new();
    let receipt = loop {
        assert!(deadlines::work_due(engine).await.unwrap() > 0);
        let receipt = engine.must::<Receipt>("receipt", first.id).await.unwrap();
        match &receipt.progress {
            Some(progress) => rounds.push(progress.identities),
            None => break receipt,
        }
    };
    assert_eq!(rounds, [400, 600, 800, 1_000]);
    let outcomes: Vec<_> = receipt.points.iter().map(|point| (point.resource, &point.outcome)).collect();
    assert!(
        matches!(outcomes[..], [(one, PointState::NothingLive { .. }), (two, PointState::AcceptedUntil { .. })]
            if one == ResourceId::from_u128(1) && two == ResourceId::from_u128(2)),
        "{outcomes:?}"
    );
    let named: Vec<_> =
        receipt.points.iter().map(|point| (point.enforcement_points.len(), point.more_enforcement_points)).collect();
    assert_eq!(named, [(100, true), (0, false)]);
    let returning = receipt.returning.as_ref().unwrap();
    assert_eq!((u128::from(returning.count), returning.identities.len()), (IDENTITIES, 100));
    assert!(receipt.signed.is_some());
    assert_eq!(receipt.attempts, 1);
}

#[tokio::test]
async fn a_batch_that_is_lost_is_done_again_and_no_identity_is_counted_twice() {
    let world = world().await;
    let engine = &world.engine;
    let application = large(&world).await;
    let first = cut(&world, &application).await;
    let now = engine.now();
    // A worker that dies with the batch in its hands: its lease has to end.
    let claimed = engine.store.claim(DueKind::Receipt, now, Span::from_secs(10), 1).await.unwrap();
    let lost = work_receipt(engine, &claimed[0], nobodys, now).await.unwrap().unwrap();
    assert_eq!(deadlines::work_due(engine).await.unwrap(), 0);
    world.clock.advance(Span::from_secs(11));
    while deadlines::work_due(engine).await.unwrap() > 0 {}
    // Whoever comes back with it later is too late.
    assert!(engine.settle(lost).await.unwrap().is_none());
    let receipt = engine.must::<Receipt>("receipt", first.id).await.unwrap();
    assert_eq!(u128::from(receipt.returning.as_ref().unwrap().count), IDENTITIES);
}

#[tokio::test]
async fn what_is_too_long_to_be_signed_is_signed_by_its_digest() {
    let world = world().await;
    let engine = &world.engine;
    let application = large(&world).await;
    let mut receipt = cut(&world, &application).await;
    let point = receipt.points[0].clone();
    receipt.points = vec![point; 5_000];
    let signed = check::signed(engine, &receipt).await.unwrap();
    let keys = keys::deployment_keys(engine).await.unwrap();
    let key = VerifyingKey::new(keys.receipt.kid(), &keys.receipt_public).unwrap();
    let claims = verify_receipt(&signed, &[key]).unwrap();
    assert_eq!(claims["points_count"], 5_000);
    assert_eq!(claims["points_sha256"].as_str().unwrap().len(), 64);
    assert!(claims.get("points").is_none());
}

#[tokio::test]
async fn r72_who_leaves_while_it_is_checked_is_followed_and_who_joins_is_none_of_it() {
    let world = world().await;
    let engine = &world.engine;
    let application = large(&world).await;
    let first = cut(&world, &application).await;
    // The check has come to the two hundredth: one of those before and one of those behind leave, another joins.
    for leaver in [5, 1_000] {
        let now = engine.now();
        let stored = engine.must::<Identity>("identity", IdentityId::from_u128(leaver)).await.unwrap();
        let event = engine.event(now, EventKind::IdentityTransferred);
        let mut changeset = Changeset::new(system(), now, event);
        note_leaving(engine, &mut changeset, &stored.memberships[0], stored.id).await.unwrap();
        let mut left = (*stored.value).clone();
        left.charter.application = None;
        left.memberships.clear();
        changeset.replace(&stored, &left);
        assert!(engine.settle(changeset).await.unwrap().is_some());
    }
    let joined = Position::at(world.size().await);
    put(&world, |changeset| {
        let charter = CharterDraft {
            application: Some(application.id),
            expires_at: Some(engine.now().plus(Span::from_days(1))),
            ..CharterDraft::default()
        };
        let mut joiner = active(IDENTITIES + 1, charter, world.admin.person_id().unwrap(), engine.now());
        joiner.bindings = vec![BindingId::from_u128(IDENTITIES + 1)];
        joiner.memberships = vec![member(application.id, joined)];
        changeset.insert(&joiner);
    })
    .await;
    while deadlines::work_due(engine).await.unwrap() > 0 {}
    let receipt = engine.must::<Receipt>("receipt", first.id).await.unwrap();
    let followed: Vec<_> = receipt.left.iter().map(|left| (left.identity, left.seen_in)).collect();
    assert_eq!(followed, [(IdentityId::from_u128(5), Some(1)), (IdentityId::from_u128(1_000), None)]);
    assert_eq!(u128::from(receipt.returning.as_ref().unwrap().count), IDENTITIES, "each that was cut, once");
    assert!(receipt.signed.is_some());
}

/// What an end at a target does, of one of the application's identities.
async fn an_end(world: &World) {
    let (engine, now) = (&world.engine, world.engine.now());
    let mut changeset = Changeset::new(system(), now, engine.event(now, EventKind::LoginEnded));
    reach::wake_receipts(engine, &mut changeset, IdentityId::from_u128(7), None, now).await.unwrap();
    engine.settle(changeset).await.unwrap().unwrap();
}

async fn looks_at(world: &World, receipt: &Receipt) -> Timestamp {
    let known = world.engine.store.deadlines(&[(DueKind::Receipt, receipt.id.to_string())]).await.unwrap();
    known[0].unwrap().due_at
}

#[tokio::test]
async fn ends_that_go_on_put_no_receipt_off() {
    let world = world().await;
    let engine = &world.engine;
    let receipt = cut(&world, &large(&world).await).await;
    let soon = looks_at(&world, &receipt).await;
    for _ in 0..10 {
        world.clock.advance(Span::from_millis(300));
        an_end(&world).await;
        assert_eq!(looks_at(&world, &receipt).await, soon, "it looks no later than it would have");
    }
    // One comes while it is being looked at: what was seen counts, and it looks once more.
    let now = engine.now();
    let claimed = engine.store.claim(DueKind::Receipt, now, Span::from_secs(10), 1).await.unwrap();
    an_end(&world).await;
    let looked = work_receipt(engine, &claimed[0], nobodys, now).await.unwrap().unwrap();
    assert!(engine.settle(looked).await.unwrap().is_some());
    let seen = engine.must::<Receipt>("receipt", receipt.id).await.unwrap();
    assert_eq!(seen.progress.as_ref().unwrap().identities, 400);
    assert!(looks_at(&world, &receipt).await > now, "at the end of the slot, and once for all that ends in it");
}
