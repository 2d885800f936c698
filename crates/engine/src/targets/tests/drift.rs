//! What a target has and nobody approved: found, taken away, asked for, left alone, and closed by the facts alone.

use tenure_api::drift::{DriftAccept, DriftFix, DriftIgnore};
use tenure_api::targets::Claim;
use tenure_core::target::drift::{Drift, DriftChoice, DriftKind, DriftState};

use super::*;
use crate::targets::drift;

const SCAN: Span = Span::from_mins(10);

fn fix() -> DriftFix {
    DriftFix { reason: "nobody asked for it".into() }
}

/// A world with an active identity whose account `app` may SELECT, as its charter says, beside one that nobody claimed.
async fn claimed(mode: Mode) -> (World, Arc<Fake>, Caller) {
    let (world, fake, _) = with_target(mode, &["app", "kept"]).await;
    fake.only(&["SELECT"]);
    work(&world).await;
    let owner = world.person(Role::Owner).await;
    activate(&world, "app", &owner).await;
    (world, fake, owner)
}

/// Makes an identity active, as an approved claim would have.
async fn activate(world: &World, name: &str, owner: &Caller) {
    let (account, stored) = (known(world, name).await, identity_of(world, name).await);
    let now = world.engine.now();
    let owner = owner.person_id().unwrap();
    let template = active(1, CharterDraft { owner: Some(owner), ..stored.charter.clone() }, owner, now);
    let live = Identity {
        state: IdentityState::Active,
        charter: CharterDraft {
            expires_at: Some(now.plus(Span::from_days(30))),
            account_grants: vec![tenure_core::target::drift::grants_of(&account)],
            ..template.charter
        },
        activation: template.activation,
        ..(*stored.value).clone()
    };
    let mut changeset = Changeset::new(system(), now, world.engine.event(now, EventKind::PersonChanged));
    changeset.replace(&stored, &live);
    world.engine.settle(changeset).await.unwrap().unwrap();
    work(world).await;
}

async fn standing(world: &World) -> Vec<Stored<Drift>> {
    let every = world.engine.find(Query::<Drift>::every()).await.unwrap().whole().unwrap();
    every.into_iter().filter(|item| item.state != DriftState::Closed).collect()
}

async fn only(world: &World, kind: DriftKind) -> Stored<Drift> {
    let mut items = standing(world).await;
    assert_eq!(items.iter().map(|item| item.kind).collect::<Vec<_>>(), [kind]);
    items.remove(0)
}

#[tokio::test]
async fn r102_a_grant_that_nobody_approved_is_one_item_and_is_taken_away_beside_what_was_approved() {
    let (world, fake, owner) = claimed(Mode::End).await;
    assert!(standing(&world).await.is_empty());
    fake.grant("app", "DELETE");
    // Of what nobody answers for nothing was approved that it could differ from.
    fake.grant("kept", "DELETE");
    pass(&world, SCAN).await;
    pass(&world, SCAN).await;
    let item = only(&world, DriftKind::GrantsGained).await;
    assert_eq!(item.grants, ["DELETE"]);
    let found = findings(&world, &rules::ACCESS_DRIFT).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].evidence["drift"], json!(item.id));
    // Whoever has nothing to do with it takes nothing away.
    let eve = world.person(Role::Owner).await;
    assert!(drift::fix(&world.engine, &eve, item.id, fix()).await.is_err());
    assert!(drift::item(&world.engine, &eve, item.id).await.is_err());
    let decided = drift::fix(&world.engine, &owner, item.id, fix()).await.unwrap();
    assert_eq!(decided.record.decision.map(|decision| decision.choice), Some(DriftChoice::TakeAway));
    pass(&world, Span::from_secs(1)).await;
    assert_eq!((fake.grants("app"), fake.grants("kept").len()), (vec!["SELECT".to_owned()], 2));
    assert!(standing(&world).await.is_empty());
    assert!(findings(&world, &rules::ACCESS_DRIFT).await.is_empty());
    let closed = world.engine.one::<Drift>(item.id).await.unwrap().unwrap();
    assert!(matches!(closed.outcome, Some(AccountOutcome::EndedReadBack { .. })), "{:?}", closed.outcome);
    let late = drift::fix(&world.engine, &owner, item.id, fix()).await.unwrap_err();
    assert_eq!(reason(late), Some(Reason::IllegalTransition));
    // Given anew it is another item.
    fake.grant("app", "DELETE");
    pass(&world, SCAN).await;
    assert_ne!(only(&world, DriftKind::GrantsGained).await.id, item.id);
}

#[tokio::test]
async fn r102_what_is_taken_away_is_proven_by_the_catalogue_and_tried_until_then() {
    let (world, fake, owner) = claimed(Mode::End).await;
    fake.grant("app", "SUPERUSER");
    pass(&world, SCAN).await;
    let item = only(&world, DriftKind::PrivilegeGained).await;
    assert_eq!(findings(&world, &rules::PRIVILEGE_DRIFT).await.len(), 1);
    drift::fix(&world.engine, &owner, item.id, fix()).await.unwrap();
    for (fault, wanted) in [(Fault::Away, "unreachable"), (Fault::Lies, "unproven"), (Fault::ReplyLost, "unreachable")]
    {
        fake.set(fault);
        pass(&world, Span::from_mins(5)).await;
        let item = only(&world, DriftKind::PrivilegeGained).await;
        assert_eq!(item.outcome.as_ref().map(AccountOutcome::as_str), Some(wanted), "{fault:?}");
        assert_eq!(fake.grants("app").len() == 2, fault != Fault::ReplyLost);
    }
    fake.set(Fault::None);
    pass(&world, Span::from_mins(60)).await;
    assert!(standing(&world).await.is_empty());
    // What the target refuses to do is said, and isn't tried without end.
    fake.grant("app", "SUPERUSER");
    pass(&world, SCAN).await;
    let item = only(&world, DriftKind::PrivilegeGained).await;
    fake.set(Fault::Refuses);
    drift::fix(&world.engine, &owner, item.id, fix()).await.unwrap();
    pass(&world, Span::from_secs(1)).await;
    let item = world.engine.one::<Drift>(item.id).await.unwrap().unwrap();
    assert!(matches!(item.outcome, Some(AccountOutcome::CannotRevoke { .. })));
    fake.asked.lock().clear();
    pass(&world, Span::from_mins(5)).await;
    assert!(!fake.asked.lock().iter().any(|asked| asked.starts_with("narrow")));
    assert_eq!(item.state, DriftState::Open);
    // Asked once more, it is tried once more.
    fake.set(Fault::None);
    drift::fix(&world.engine, &owner, item.id, fix()).await.unwrap();
    pass(&world, Span::from_secs(1)).await;
    assert!(standing(&world).await.is_empty());
}

#[tokio::test]
async fn an_observing_connector_takes_nothing_away() {
    let (world, fake, owner) = claimed(Mode::Observe).await;
    fake.grant("app", "DELETE");
    pass(&world, SCAN).await;
    let item = only(&world, DriftKind::GrantsGained).await;
    let refused = drift::fix(&world.engine, &owner, item.id, fix()).await.unwrap_err();
    assert_eq!(reason(refused), Some(Reason::IllegalTransition));
    // Its people do it: the item closes by that.
    fake.accounts.lock().get_mut("app").unwrap().grants.pop();
    pass(&world, SCAN).await;
    assert!(standing(&world).await.is_empty());
}

#[tokio::test]
async fn r92_what_a_look_in_part_does_not_tell_closes_nothing() {
    let (world, fake, _) = claimed(Mode::End).await;
    fake.grant("app", "DELETE");
    pass(&world, SCAN).await;
    let item = only(&world, DriftKind::GrantsGained).await;
    // The catalogue is seen in part, and doesn't tell the grant.
    *fake.unseen.lock() = vec!["grants in the database `ledger`".into()];
    fake.accounts.lock().get_mut("app").unwrap().grants.pop();
    pass(&world, SCAN).await;
    let still = only(&world, DriftKind::GrantsGained).await;
    assert_eq!((still.id, still.grants.as_slice()), (item.id, &["DELETE".to_owned()][..]));
    // What it does tell is more, all the same.
    fake.grant("app", "TRUNCATE");
    pass(&world, SCAN).await;
    assert_eq!(only(&world, DriftKind::GrantsGained).await.grants, ["DELETE", "TRUNCATE"]);
    // An account that isn't listed is not missing, and a target that is away says nothing.
    *fake.hidden.lock() = vec!["app".into()];
    pass(&world, SCAN).await;
    fake.set(Fault::Away);
    pass(&world, SCAN).await;
    assert_eq!(only(&world, DriftKind::GrantsGained).await.id, item.id);
    // The whole catalogue, with what was approved: closed by that alone.
    fake.set(Fault::None);
    fake.hidden.lock().clear();
    fake.unseen.lock().clear();
    fake.accounts.lock().get_mut("app").unwrap().grants.pop();
    pass(&world, Span::from_mins(20)).await;
    assert!(standing(&world).await.is_empty());
}

#[tokio::test]
async fn r92_an_account_that_is_gone_is_an_item_and_ends_nothing() {
    let (world, fake, owner) = claimed(Mode::End).await;
    let gone = fake.accounts.lock().remove("app").unwrap();
    pass(&world, SCAN).await;
    let item = only(&world, DriftKind::AccountMissing).await;
    assert_eq!(findings(&world, &rules::ACCOUNT_MISSING).await.len(), 1);
    assert_eq!(identity_of(&world, "app").await.state, IdentityState::Active);
    for refused in [
        drift::fix(&world.engine, &owner, item.id, fix()).await.unwrap_err(),
        Box::pin(drift::accept(&world.engine, &owner, item.id, DriftAccept { reason: "it was moved".into() }))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(reason(refused), Some(Reason::IllegalTransition));
    }
    fake.accounts.lock().insert("app".into(), gone);
    pass(&world, SCAN).await;
    assert!(standing(&world).await.is_empty());
    assert!(findings(&world, &rules::ACCOUNT_MISSING).await.is_empty());
}

#[tokio::test]
async fn r102_an_ended_login_that_is_there_again_is_stopped_by_one_action() {
    let (world, fake, _) = claimed(Mode::End).await;
    let security = world.person(Role::Security).await;
    let identity = identity_of(&world, "app").await.id;
    lifecycle::retire(&world.engine, &security, identity, "over".into()).await.unwrap();
    pass(&world, Span::from_mins(5)).await;
    assert_eq!(fake.enabled("app"), None);
    // The target's people make it anew: another one, by its key, of the same name.
    fake.add("again");
    fake.accounts.lock().get_mut("again").unwrap().name = "app".into();
    pass(&world, SCAN).await;
    let item = only(&world, DriftKind::CameBack).await;
    assert_eq!(findings(&world, &rules::PRIVILEGE_DRIFT).await.len(), 1);
    assert_ne!(item.identity, identity);
    drift::fix(&world.engine, &security, item.id, fix()).await.unwrap();
    pass(&world, Span::from_secs(1)).await;
    assert_eq!(fake.enabled("again"), Some(false));
    assert!(standing(&world).await.is_empty());
    // A login that takes an identity's name is told, too.
    fake.add("orders-db-connector");
    let connector = world.engine.one::<Identity>(IdentityId::from_u128(CONNECTOR)).await.unwrap().unwrap();
    fake.accounts.lock().get_mut("orders-db-connector").unwrap().name = connector.name.clone();
    pass(&world, SCAN).await;
    only(&world, DriftKind::TookName).await;
}

#[tokio::test]
async fn s8_a_difference_is_left_alone_by_nobody_who_has_a_part_in_it_and_for_no_more_than_it_was() {
    let (world, fake, owner) = claimed(Mode::End).await;
    fake.grant("app", "DELETE");
    pass(&world, SCAN).await;
    let item = only(&world, DriftKind::GrantsGained).await;
    let engine = &world.engine;
    let until = |span: Span| DriftIgnore { reason: "until the migration".into(), until: engine.now().plus(span) };
    let week = Span::from_days(7);
    let security = world.person(Role::Security).await;
    assert!(drift::ignore(engine, &owner, item.id, until(week)).await.is_err());
    for wrong in [Span::from_days(400), Span::from_secs(-5)] {
        let wrong = drift::ignore(engine, &security, item.id, until(wrong)).await.unwrap_err();
        assert!(matches!(wrong, OpError::Invalid(_)), "{wrong:?}");
    }
    drift::ignore(engine, &security, item.id, until(week)).await.unwrap();
    assert!(findings(&world, &rules::ACCESS_DRIFT).await.is_empty());
    pass(&world, SCAN).await;
    assert_eq!(only(&world, DriftKind::GrantsGained).await.state, DriftState::Ignored);
    // More than was left alone is asked about again.
    fake.grant("app", "TRUNCATE");
    pass(&world, SCAN).await;
    let again = only(&world, DriftKind::GrantsGained).await;
    assert_eq!((again.id, *again.state), (item.id, DriftState::Open));
    assert_eq!(findings(&world, &rules::ACCESS_DRIFT).await.len(), 1);
    // And so is what is still there when the day has come.
    drift::ignore(engine, &security, item.id, until(week)).await.unwrap();
    pass(&world, Span::from_days(8)).await;
    assert_eq!(only(&world, DriftKind::GrantsGained).await.state, DriftState::Open);
}

#[tokio::test]
async fn a_claim_names_what_its_approvers_read() {
    let (world, fake, _) = with_target(Mode::End, &["app"]).await;
    fake.only(&["SELECT"]);
    fake.grant("app", "DELETE");
    work(&world).await;
    let engine = &world.engine;
    let bob = world.person(Role::Owner).await;
    let proposal = serde_json::from_value(json!({"owner": bob.person_id(), "reason": "his"})).unwrap();
    let target = known(&world, "app").await.target;
    accounts::propose(engine, &world.admin, target, proposal).await.unwrap();
    let identity = identity_of(&world, "app").await.id;
    let claim = Claim { kind: None, charter: CharterDraft::default() };
    let claimed = Box::pin(accounts::claim(engine, &bob, identity, claim)).await.unwrap();
    let named = &claimed.record.charter.account_grants;
    assert_eq!(named[0].grants, ["SELECT", "DELETE"]);
}
