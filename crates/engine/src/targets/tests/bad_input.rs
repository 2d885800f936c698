//! Targets that answer badly: nothing is made of what they didn't say, and none takes the time of another one.

use super::*;

#[tokio::test]
async fn a_target_that_never_answers_is_unreachable_after_a_while() {
    let (world, fake, _) = with_target(Mode::End, &["app"]).await;
    work(&world).await;
    let security = world.person(Role::Security).await;
    let identity = identity_of(&world, "app").await.id;
    fake.set(Fault::Hangs);
    lifecycle::retire(&world.engine, &security, identity, "unused".into()).await.unwrap();
    pass(&world, Span::from_mins(10)).await;
    pass(&world, Span::from_mins(10)).await;
    assert_eq!(receipt_of(&world, identity).await.state(), ReceiptState::Unreachable);
    assert_eq!(findings(&world, &rules::TARGET_UNREACHABLE).await.len(), 1);
    fake.set(Fault::None);
    pass(&world, Span::from_mins(60)).await;
    assert_eq!(fake.enabled("app"), None);
}

#[tokio::test]
async fn what_owns_something_stays_in_the_catalogue_lets_nobody_in_and_is_watched() {
    let (world, fake, _) = with_target(Mode::End, &["app"]).await;
    work(&world).await;
    let security = world.person(Role::Security).await;
    let identity = identity_of(&world, "app").await.id;
    fake.set(Fault::Owns);
    lifecycle::retire(&world.engine, &security, identity, "unused".into()).await.unwrap();
    pass(&world, Span::from_mins(5)).await;
    assert_eq!(receipt_of(&world, identity).await.state(), ReceiptState::EndedReadBack);
    assert_eq!(identity_of(&world, "app").await.state, IdentityState::Retired);
    assert_eq!((fake.enabled("app"), known(&world, "app").await.absent_since), (Some(false), None));
    // Somebody at the target lets it in again.
    fake.accounts.lock().get_mut("app").unwrap().enabled = true;
    pass(&world, Span::from_mins(10)).await;
    assert_eq!(findings(&world, &rules::ACCOUNT_REVIVED).await.len(), 1);
    assert_eq!(fake.enabled("app"), Some(false));
}

#[tokio::test]
async fn a_target_that_is_full_or_would_not_know_us_says_nothing_of_its_accounts() {
    let (world, fake, _) = with_target(Mode::End, &["app"]).await;
    work(&world).await;
    let security = world.person(Role::Security).await;
    let identity = identity_of(&world, "app").await.id;
    fake.set(Fault::Full);
    lifecycle::retire(&world.engine, &security, identity, "unused".into()).await.unwrap();
    pass(&world, Span::from_mins(10)).await;
    pass(&world, Span::from_mins(10)).await;
    let receipt = receipt_of(&world, identity).await;
    assert_eq!((receipt.state(), receipt.signed.is_some()), (ReceiptState::Unreachable, false));
    assert_eq!(known(&world, "app").await.absent_since, None);
    assert_eq!(identity_of(&world, "app").await.state, IdentityState::Retiring);
}

#[tokio::test]
async fn s17_a_target_that_moved_is_not_asked_with_the_login_of_before() {
    let (world, fake, id) = with_target(Mode::End, &["app"]).await;
    work(&world).await;
    let engine = &world.engine;
    let security = world.person(Role::Security).await;
    let identity = identity_of(&world, "app").await.id;
    let edit = TargetEdit { endpoint: Some(endpoint("elsewhere.example")), ..TargetEdit::default() };
    systems::update_target(engine, &world.admin, id, IfMatch::Any, edit).await.unwrap();
    fake.asked.lock().clear();
    lifecycle::retire(engine, &security, identity, "unused".into()).await.unwrap();
    pass(&world, Span::from_mins(60)).await;
    assert!(fake.asked.lock().is_empty(), "its login is destroyed");
    assert_eq!(receipt_of(&world, identity).await.state(), ReceiptState::Unreachable);
    let second = world.person(Role::Administrator).await;
    let login = TargetLoginAsk { name: "tenure".into(), secret: "of-elsewhere".into() };
    systems::set_login(engine, &second, id, login).await.unwrap();
    pass(&world, Span::from_mins(60)).await;
    assert_eq!(fake.enabled("app"), None);
}
