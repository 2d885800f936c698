//! Another secret for an account that stands, at a target in memory that has faults.

use tenure_connectors::faulty::Faults;
use tenure_core::base::id::AccountId;
use tenure_core::target::rotation::Rotation;

use super::logins::Stage;
use super::*;
use crate::kernel::caller;
use crate::people::operator_tokens;
use crate::targets::rotation;
use tenure_api::requests::NewOperatorToken;

/// An account that people made, whose identity is active and the administrator's.
async fn governed(stage: &Stage) -> AccountId {
    stage.target.people_make("app", "of-people", &["read"]);
    pass(&stage.world, Span::from_mins(10)).await;
    let engine = &stage.world.engine;
    let (account, stored) = (known(&stage.world, "app").await, identity_of(&stage.world, "app").await);
    let worker = engine.must::<Identity>("identity", stage.id).await.unwrap();
    let mut charter = worker.charter.clone();
    charter.workload_binding =
        Some(serde_json::from_value(json!({"type": "account", "workload": "batch/app"})).unwrap());
    charter.rotation_cadence = Some(Span::from_days(5));
    let live = Identity {
        state: IdentityState::Active,
        charter,
        activation: worker.activation.clone(),
        ..(*stored.value).clone()
    };
    let mut changeset = Changeset::new(system(), engine.now(), engine.event(engine.now(), EventKind::PersonChanged));
    changeset.replace(&stored, &live);
    engine.settle(changeset).await.unwrap().unwrap();
    account.id
}

async fn rotation_of(stage: &Stage) -> Rotation {
    known(&stage.world, "app").await.rotation.clone().unwrap()
}

impl Stage {
    async fn secret(&self, id: AccountId) -> Result<String, OpError> {
        Ok(rotation::fetch_secret(&self.world.engine, &self.world.admin, id).await?.secret)
    }
}

#[tokio::test]
async fn r34_another_secret_is_shown_once_and_the_one_before_is_refused() {
    let stage = Stage::set(Mode::Issue).await;
    let id = governed(&stage).await;
    let engine = &stage.world.engine;
    let asked = rotation::rotate(engine, &stage.world.admin, id).await.unwrap();
    assert_eq!(asked.record.rotation.unwrap().sealed, None, "nothing of it is shown");
    assert_eq!(reason(stage.secret(id).await.unwrap_err()), Some(Reason::IllegalTransition));
    let twice = rotation::rotate(engine, &stage.world.admin, id).await.unwrap_err();
    assert_eq!(reason(twice), Some(Reason::IllegalTransition));
    work(&stage.world).await;
    assert!(!stage.target.lets_in("app", "of-people"));
    let first = stage.secret(id).await.unwrap();
    assert!(stage.target.lets_in("app", &first));
    assert_eq!(reason(stage.secret(id).await.unwrap_err()), Some(Reason::IllegalTransition));
    assert!(!serde_json::to_string(&rotation_of(&stage).await).unwrap().contains(&first));
    // Who doesn't answer for it gets none.
    let eve = stage.world.person(Role::Owner).await;
    assert_eq!(reason(rotation::rotate(engine, &eve, id).await.unwrap_err()), Some(Reason::NotAllowed));
    // The one that was given here is tried when the next one is there, beside that.
    rotation::rotate(engine, &stage.world.admin, id).await.unwrap();
    work(&stage.world).await;
    let done = rotation_of(&stage).await;
    assert!(matches!(done.old, Some(AccountOutcome::RefusedVerified { .. })), "{:?}", done.old);
    assert_eq!(done.before, None, "it is destroyed");
    let second = stage.secret(id).await.unwrap();
    assert!(stage.target.lets_in("app", &second) && !stage.target.lets_in("app", &first));
}

#[tokio::test]
async fn r34_a_target_that_lies_or_loses_its_answer_has_the_same_secret_in_the_end() {
    for fault in [Faults { lies: 100, ..Faults::default() }, Faults { reply_lost: 100, ..Faults::default() }] {
        let stage = Stage::set(Mode::Issue).await;
        let id = governed(&stage).await;
        stage.target.suffer(fault);
        rotation::rotate(&stage.world.engine, &stage.world.admin, id).await.unwrap();
        work(&stage.world).await;
        assert!(rotation_of(&stage).await.trouble.is_some() && stage.secret(id).await.is_err());
        stage.target.suffer(Faults::default());
        pass(&stage.world, Span::from_mins(10)).await;
        let secret = stage.secret(id).await.unwrap();
        assert!(stage.target.lets_in("app", &secret) && !stage.target.lets_in("app", "of-people"));
    }
}

#[tokio::test]
async fn s18_a_secret_whose_end_nobody_can_prove_is_destroyed_after_thirty_days() {
    let stage = Stage::set(Mode::Issue).await;
    let id = governed(&stage).await;
    let engine = &stage.world.engine;
    rotation::rotate(engine, &stage.world.admin, id).await.unwrap();
    work(&stage.world).await;
    stage.target.suffer(Faults { stalls: 100, ..Faults::default() });
    let (identity, security) = (identity_of(&stage.world, "app").await.id, stage.world.person(Role::Security).await);
    lifecycle::retire(engine, &security, identity, "over".into()).await.unwrap();
    work(&stage.world).await;
    pass(&stage.world, Span::from_days(29)).await;
    assert!(rotation_of(&stage).await.sealed.is_some(), "it may be tried still");
    pass(&stage.world, Span::from_days(2)).await;
    let account = known(&stage.world, "app").await;
    assert_eq!(account.rotation.clone().unwrap().sealed, None);
    // The end itself is not given up.
    assert_ne!(account.state, AccountState::Ended);
    stage.target.suffer(Faults::default());
    pass(&stage.world, Span::from_mins(61)).await;
    assert_eq!(known(&stage.world, "app").await.state, AccountState::Ended);
}

#[tokio::test]
async fn r34_what_was_cut_is_let_go_with_another_secret_and_an_old_one_is_a_finding() {
    let stage = Stage::set(Mode::Issue).await;
    let id = governed(&stage).await;
    let engine = &stage.world.engine;
    let identity = identity_of(&stage.world, "app").await.id;
    work(&stage.world).await;
    let month = NewOperatorToken { ttl: Some(Span::from_days(30)) };
    let admin = stage.world.admin.person_id().unwrap();
    let token = operator_tokens::create_operator_token(engine, &stage.world.admin, admin, month).await.unwrap();
    let cut = json!({"target": {"type": "environment", "id": "prod"}, "reason": "leaked"});
    let security = stage.world.person(Role::Security).await;
    revocation::revoke(engine, &security, serde_json::from_value(cut).unwrap()).await.unwrap();
    work(&stage.world).await;
    assert_eq!(known(&stage.world, "app").await.state, AccountState::Held);
    rotation::rotate(engine, &stage.world.admin, id).await.unwrap();
    work(&stage.world).await;
    pass(&stage.world, Span::from_mins(1)).await;
    assert_eq!(known(&stage.world, "app").await.state, AccountState::Standing);
    let secret = stage.secret(id).await.unwrap();
    assert!(stage.target.lets_in("app", &secret) && !stage.target.lets_in("app", "of-people"));
    // Longer than the charter's cadence.
    assert!(findings(&stage.world, &rules::ROTATION_DUE).await.is_empty());
    pass(&stage.world, Span::from_days(6)).await;
    let due = findings(&stage.world, &rules::ROTATION_DUE).await;
    assert_eq!((due.len(), due[0].subject.clone()), (1, identity.to_string()));
    let later = caller::authenticate_person(engine, &token.operator_token).await.unwrap();
    rotation::rotate(engine, &later, id).await.unwrap();
    work(&stage.world).await;
    assert!(findings(&stage.world, &rules::ROTATION_DUE).await.is_empty());
}

#[tokio::test]
async fn r72_an_account_whose_secret_was_given_here_is_tried_when_it_is_ended() {
    let stage = Stage::set(Mode::Issue).await;
    let id = governed(&stage).await;
    let engine = &stage.world.engine;
    rotation::rotate(engine, &stage.world.admin, id).await.unwrap();
    work(&stage.world).await;
    let secret = stage.secret(id).await.unwrap();
    let identity = identity_of(&stage.world, "app").await.id;
    let security = stage.world.person(Role::Security).await;
    lifecycle::retire(engine, &security, identity, "over".into()).await.unwrap();
    work(&stage.world).await;
    pass(&stage.world, Span::from_mins(1)).await;
    assert!(!stage.target.lets_in("app", &secret));
    let account = known(&stage.world, "app").await;
    let outcome = &account.intent.as_ref().unwrap().outcome;
    assert!(matches!(outcome, AccountOutcome::RefusedVerified { .. }), "{outcome:?}");
    assert_eq!(account.rotation.as_ref().unwrap().sealed, None, "it is destroyed");
    assert_eq!(receipt_of(&stage.world, identity).await.state(), ReceiptState::RefusedVerified);
}
