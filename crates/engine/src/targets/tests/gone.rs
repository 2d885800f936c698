//! A target that two people say is gone, and one that a restored database knows too little of.

use tenure_api::targets::GoneAsk;
use tenure_core::target::system::TargetSystem;

use super::*;
use crate::targets::gone;
use tenure_core::store::changeset::DueChange;
use tenure_core::store::due::DueKind;

fn word() -> GoneAsk {
    GoneAsk { reason: "the cluster was switched off".into(), evidence: "CHG-4711".into() }
}

#[tokio::test]
async fn s8_two_people_attest_that_a_target_is_gone_and_nobody_calls_it_proven() {
    let (world, fake, id) = with_target(Mode::End, &["app"]).await;
    work(&world).await;
    let engine = &world.engine;
    let security = world.person(Role::Security).await;
    let identity = identity_of(&world, "app").await.id;
    fake.set(Fault::Away);
    lifecycle::retire(engine, &security, identity, "unused".into()).await.unwrap();
    pass(&world, Span::from_mins(5)).await;
    assert_eq!(receipt_of(&world, identity).await.state(), ReceiptState::Unreachable);

    let auditor = world.person(Role::Auditor).await;
    assert_eq!(reason(gone::attest(engine, &auditor, id, word()).await.unwrap_err()), Some(Reason::NotAllowed));
    let bare = GoneAsk { evidence: String::new(), ..word() };
    assert!(matches!(gone::attest(engine, &world.admin, id, bare).await, Err(OpError::Invalid(_))));
    gone::attest(engine, &world.admin, id, word()).await.unwrap();
    // One person's word is nobody's, whoever else may not say it.
    pass(&world, Span::from_mins(60)).await;
    assert_eq!(receipt_of(&world, identity).await.state(), ReceiptState::Unreachable);
    assert_eq!(reason(gone::confirm(engine, &world.admin, id).await.unwrap_err()), Some(Reason::SamePerson));
    assert_eq!(reason(gone::confirm(engine, &auditor, id).await.unwrap_err()), Some(Reason::NotAllowed));
    gone::confirm(engine, &security, id).await.unwrap();
    work(&world).await;
    let receipt = receipt_of(&world, identity).await;
    assert_eq!(receipt.state(), ReceiptState::AttestedGone);
    assert!(receipt.signed.is_some());
    let point = &receipt.accounts.as_ref().unwrap().first[0];
    assert!(matches!(point.outcome, AccountOutcome::AttestedGone { .. }));
    assert_eq!(identity_of(&world, "app").await.state, IdentityState::Retired);
    assert!(findings(&world, &rules::TARGET_UNREACHABLE).await.is_empty(), "nobody expects an answer");
    assert_eq!(fake.enabled("app"), Some(true), "nobody could ask it");

    // It answers again: their word is void, security is told, and the account is ended after all.
    fake.set(Fault::None);
    pass(&world, Span::from_mins(15)).await;
    assert_eq!(findings(&world, &rules::TARGET_NOT_GONE).await.len(), 1);
    assert!(engine.must::<TargetSystem>("target", id).await.unwrap().gone.is_none());
    assert_eq!(fake.enabled("app"), None);
    pass(&world, Span::from_mins(15)).await;
    assert_eq!(receipt_of(&world, identity).await.state(), ReceiptState::EndedReadBack);
}

#[tokio::test]
async fn a_word_that_is_taken_back_leaves_nothing_ended_by_it() {
    let (world, fake, id) = with_target(Mode::End, &["app"]).await;
    work(&world).await;
    let engine = &world.engine;
    let (first, second) = (world.person(Role::Security).await, world.person(Role::Security).await);
    let identity = claimed_and_active(&world, "app").await.id;
    fake.set(Fault::Away);
    lifecycle::suspend(engine, &first, identity, "odd traffic".into()).await.unwrap();
    work(&world).await;
    gone::attest(engine, &first, id, word()).await.unwrap();
    gone::confirm(engine, &second, id).await.unwrap();
    work(&world).await;
    assert_eq!(receipt_of(&world, identity).await.state(), ReceiptState::AttestedGone);
    assert_eq!(known(&world, "app").await.state, AccountState::Held);
    gone::withdraw(engine, &first, id, "it only moved").await.unwrap();
    pass(&world, Span::from_mins(20)).await;
    pass(&world, Span::from_mins(20)).await;
    let account = known(&world, "app").await;
    assert!(account.open().is_some(), "it is asked of the target again");
    let receipt = receipt_of(&world, identity).await;
    assert_eq!((receipt.state(), receipt.signed.is_some()), (ReceiptState::Unreachable, false));
    assert!(gone::withdraw(engine, &first, id, "it only moved").await.is_err());
    fake.set(Fault::None);
    pass(&world, Span::from_mins(60)).await;
    assert_eq!(fake.enabled("app"), Some(false));
}

#[tokio::test]
async fn s1_after_a_restore_logins_of_ours_that_no_record_knows_are_held_before_anything_is_let_go() {
    let (world, fake, id) = with_target(Mode::End, &["app", "people"]).await;
    work(&world).await;
    let engine = &world.engine;
    let identity = claimed_and_active(&world, "app").await.id;
    let first = world.person(Role::Security).await;
    lifecycle::suspend(engine, &first, identity, "odd traffic".into()).await.unwrap();
    work(&world).await;
    // Before an epoch, a login with the mark is one as any other: it may be in the making.
    fake.add_marked("tnr_making", "idn_1");
    pass(&world, Span::from_mins(15)).await;
    assert_eq!(fake.enabled("tnr_making"), Some(true));
    // What was issued in what the restore lost.
    fake.add_marked("tnr_lost", "idn_2");
    fake.add("of_people");
    fake.set(Fault::Away);
    world.clock.advance(Span::from_secs(1));
    world.begin_epoch().await;
    work(&world).await;
    let target = engine.must::<TargetSystem>("target", id).await.unwrap();
    let trust = crate::kernel::epoch::trust(engine).await.unwrap();
    assert!(!target.is_reconciled(trust), "nothing is issued there yet");
    // Nothing is let go either.
    let stored = engine.one::<Identity>(identity).await.unwrap().unwrap();
    let mut changeset = Changeset::new(system(), engine.now(), engine.event(engine.now(), EventKind::PersonChanged));
    let live = Identity { state: IdentityState::Active, suspensions: Vec::new(), ..(*stored.value).clone() };
    changeset.replace(&stored, &live);
    let account = known(&world, "app").await.id.to_string();
    changeset.due.push(DueChange::Set(DueKind::Account, account, engine.now()));
    engine.settle(changeset).await.unwrap().unwrap();
    fake.hidden.lock().push("tnr_lost".into());
    fake.asked.lock().clear();
    pass(&world, Span::from_secs(1)).await;
    assert!(!fake.asked.lock().iter().any(|asked| asked.starts_with("release")));
    fake.hidden.lock().clear();
    fake.set(Fault::None);
    pass(&world, Span::from_mins(20)).await;
    assert!(engine.must::<TargetSystem>("target", id).await.unwrap().is_reconciled(trust));
    pass(&world, Span::from_mins(1)).await;
    let strays = findings(&world, &rules::ACCOUNT_STRAY).await;
    assert_eq!(strays.len(), 1);
    assert_eq!(strays[0].subject, identity_of(&world, "tnr_lost").await.id.to_string());
    assert_eq!((fake.enabled("tnr_lost"), fake.enabled("of_people")), (Some(false), Some(true)));
    let stray = known(&world, "tnr_lost").await;
    assert_eq!(stray.intent.as_ref().unwrap().because, Some(Because::Stray));
    assert_eq!(fake.enabled("app"), Some(true), "let go once the target was looked through");
}
