//! What is stopped or narrowed at a target: its receipt, and what happens where somebody undoes it there.

use tenure_api::targets::NarrowAccount;
use tenure_core::credential::receipt::{NarrowedAt, ReceiptOf};

use super::*;
use crate::targets::narrowing;

fn keep(grants: &[&str]) -> NarrowAccount {
    NarrowAccount { keep: grants.iter().map(|grant| (*grant).to_owned()).collect(), reason: "it only reads".into() }
}

#[tokio::test]
async fn r103_a_suspension_has_a_receipt_that_its_accounts_are_part_of() {
    let (world, fake, _) = with_target(Mode::End, &["app"]).await;
    work(&world).await;
    let engine = &world.engine;
    let id = claimed_and_active(&world, "app").await.id;
    let (first, second) = (world.person(Role::Security).await, world.person(Role::Security).await);
    let because = || serde_json::from_value(json!({"reason": "was the batch"})).unwrap();
    fake.set(Fault::Away);
    lifecycle::suspend(engine, &first, id, "odd traffic".into()).await.unwrap();
    work(&world).await;
    let receipts = receipts_of(&world, id).await;
    assert_eq!(receipts.len(), 1);
    assert_eq!((receipts[0].what, receipts[0].state()), (ReceiptOf::Suspension, ReceiptState::Unreachable));
    // Taken back before it was proven: there is nothing left to prove, and nobody says that it was.
    lifecycle::resume(engine, &second, id, because()).await.unwrap();
    pass(&world, Span::from_mins(20)).await;
    let lifted = &receipts_of(&world, id).await[0];
    assert_eq!((lifted.state(), lifted.signed.is_some()), (ReceiptState::Lifted, false));
    // Suspended while its target answers, the receipt says by what it is stopped there.
    fake.set(Fault::None);
    lifecycle::suspend(engine, &first, id, "odd traffic".into()).await.unwrap();
    pass(&world, Span::from_mins(20)).await;
    let proven = &receipts_of(&world, id).await[1];
    assert_eq!((proven.what, proven.state()), (ReceiptOf::Suspension, ReceiptState::EndedReadBack));
    assert!(proven.signed.is_some());
    assert_eq!(proven.accounts.as_ref().unwrap().first[0].name, "app");
    // What was revoked stays revoked when the suspension is taken back.
    let cut = json!({"target": {"type": "identity", "id": id}, "reason": "leaked"});
    revocation::revoke(engine, &first, serde_json::from_value(cut).unwrap()).await.unwrap();
    lifecycle::resume(engine, &second, id, because()).await.unwrap();
    pass(&world, Span::from_mins(20)).await;
    assert_eq!((fake.enabled("app"), known(&world, "app").await.state), (Some(false), AccountState::Held));
    let whats: Vec<_> = receipts_of(&world, id).await.iter().map(|receipt| receipt.what).collect();
    assert_eq!(whats, [ReceiptOf::Suspension, ReceiptOf::Suspension, ReceiptOf::Revocation]);
}

#[tokio::test]
async fn r103_a_hold_on_a_scope_has_a_receipt_with_every_account_in_it() {
    let (world, fake, _) = with_target(Mode::End, &["a", "b"]).await;
    work(&world).await;
    claimed_and_active(&world, "a").await;
    let security = world.person(Role::Security).await;
    let hold = json!({"scope": {"type": "environment", "id": "prod"}, "reason": "under investigation"});
    let scope = crate::credentials::holds::hold(&world.engine, &security, serde_json::from_value(hold).unwrap())
        .await
        .unwrap()
        .hold
        .scope;
    pass(&world, Span::from_mins(20)).await;
    // What concerns many identities is looked through once for all that came of them.
    pass(&world, Span::from_secs(1)).await;
    let found = Query::of([Receipt::TARGET.of(Revoked::Scope(scope))]);
    let receipt = world.engine.first(found).await.unwrap().expect("the hold has a receipt");
    assert_eq!((receipt.what, receipt.state()), (ReceiptOf::Suspension, ReceiptState::EndedReadBack));
    assert_eq!(receipt.accounts.as_ref().unwrap().count, 2);
    assert_eq!((fake.enabled("a"), fake.enabled("b")), (Some(false), Some(false)));
}

#[tokio::test]
async fn r103_a_narrowed_account_is_read_back_and_narrowed_again_where_somebody_widens_it() {
    let (world, fake, _) = with_target(Mode::End, &["app"]).await;
    work(&world).await;
    let engine = &world.engine;
    let identity = claimed_and_active(&world, "app").await.id;
    let security = world.person(Role::Security).await;
    let account = known(&world, "app").await.id;
    for (wrong, code) in [(&["INSERT", "SELECT"][..], "nothing_dropped"), (&["DELETE"][..], "grant_unknown")] {
        match narrowing::narrow(engine, &security, account, keep(wrong)).await {
            Err(OpError::Invalid(problems)) => assert_eq!(problems[0].code, code),
            other => panic!("{other:?}"),
        }
    }
    let stranger = world.person(Role::Owner).await;
    assert!(narrowing::narrow(engine, &stranger, account, keep(&["SELECT"])).await.is_err());
    // It says that it did: its catalogue says otherwise.
    fake.set(Fault::Lies);
    narrowing::narrow(engine, &security, account, keep(&["SELECT"])).await.unwrap();
    work(&world).await;
    assert_eq!(receipt_of(&world, identity).await.state(), ReceiptState::Unproven);
    fake.set(Fault::None);
    pass(&world, Span::from_mins(20)).await;
    assert_eq!(fake.grants("app"), ["SELECT"]);
    let receipt = receipt_of(&world, identity).await;
    assert_eq!((receipt.what, receipt.state()), (ReceiptOf::Narrowing, ReceiptState::NarrowedReadBack));
    assert_eq!(receipt.narrowed[0].at, NarrowedAt::Account(account));
    assert_eq!(receipt.narrowed[0].dropped, ["INSERT"]);
    assert_eq!((fake.enabled("app"), known(&world, "app").await.state), (Some(true), AccountState::Standing));
    // Somebody at the target gives it back.
    fake.accounts.lock().get_mut("app").unwrap().grants.push("INSERT".into());
    pass(&world, Span::from_mins(10)).await;
    assert_eq!(findings(&world, &rules::ACCOUNT_REVIVED).await.len(), 1);
    assert_eq!(fake.grants("app"), ["SELECT"]);
}

#[tokio::test]
async fn s18_what_can_be_undone_is_looked_at_more_often_than_the_rest() {
    let (world, fake, id) = with_target(Mode::End, &["app"]).await;
    work(&world).await;
    let engine = &world.engine;
    let edit = TargetEdit { scan_every: Some(Span::from_days(7)), ..TargetEdit::default() };
    systems::update_target(engine, &world.admin, id, IfMatch::Any, edit).await.unwrap();
    let identity = claimed_and_active(&world, "app").await.id;
    let security = world.person(Role::Security).await;
    lifecycle::suspend(engine, &security, identity, "odd traffic".into()).await.unwrap();
    work(&world).await;
    systems::scan_now(engine, &security, id).await.unwrap();
    work(&world).await;
    fake.accounts.lock().get_mut("app").unwrap().enabled = true;
    pass(&world, Span::from_mins(16)).await;
    assert_eq!(findings(&world, &rules::ACCOUNT_REVIVED).await.len(), 1);
    assert_eq!(fake.enabled("app"), Some(false));
    // What was ended, and is there again under the name and key that it had, is ended again, too.
    lifecycle::retire(engine, &security, identity, "over".into()).await.unwrap();
    work(&world).await;
    assert_eq!(fake.enabled("app"), None);
    fake.add("app");
    world.clock.advance(Span::from_mins(1));
    systems::scan_now(engine, &security, id).await.unwrap();
    work(&world).await;
    assert_eq!(fake.enabled("app"), None);
}
