//! Removal drills (R97) at a target in memory that has faults.

use tenure_api::drills::DrillView;
use tenure_connectors::faulty::Faults;
use tenure_core::credential::drill::CanaryResult;
use tenure_core::target::login::{Login, LoginPurpose, LoginState};

use super::logins::Stage;
use super::*;
use crate::endings::drills;

async fn drill(stage: &Stage) -> Result<DrillView, OpError> {
    let security = stage.world.person(Role::Security).await;
    drills::drill(&stage.world.engine, &security, stage.id).await
}

async fn last(stage: &Stage) -> DrillView {
    let security = stage.world.person(Role::Security).await;
    drills::last_drill(&stage.world.engine, &security, stage.id).await.unwrap()
}

async fn canaries(stage: &Stage) -> Vec<Stored<Login>> {
    let all = stage.world.engine.find::<Login>(Query::every()).await.unwrap().whole().unwrap();
    all.into_iter().filter(|login| login.purpose == LoginPurpose::Drill).collect()
}

#[tokio::test]
async fn r97_a_canary_is_made_taken_ended_and_refused_beside_another_one() {
    let stage = Stage::set(Mode::End).await;
    work(&stage.world).await;
    let began = drill(&stage).await.unwrap();
    assert!(!began.proven && began.drilled.is_empty());
    assert_eq!(began.canaries[0].result, CanaryResult::Running);
    // One at a time: nobody fills a target with canaries.
    assert_eq!(reason(drill(&stage).await.unwrap_err()), Some(Reason::IllegalTransition));
    work(&stage.world).await;
    let over = last(&stage).await;
    let canary = &over.canaries[0];
    assert_eq!((canary.result, over.proven, &canary.why), (CanaryResult::RefusedVerified, true, &None), "{canary:?}");
    let times = [canary.made_at, canary.accepted_at, canary.ended_at, canary.refused_at].map(Option::unwrap);
    assert!(times.is_sorted() && canary.control_at.is_some());
    // It may do nothing, is nobody's, and nothing of it is left but what is told of it.
    let login = canaries(&stage).await.remove(0);
    assert!(login.grants.is_empty() && login.sealed.is_none() && login.identity != stage.id);
    assert_eq!(login.state, LoginState::Ended);
    assert!(
        stage.standing().await.iter().all(|login| login.purpose == LoginPurpose::Canary),
        "the control alone stands"
    );
    drill(&stage).await.unwrap();
    work(&stage.world).await;
    assert_eq!(canaries(&stage).await.len(), 2);
}

#[tokio::test]
async fn r97_a_refusal_without_a_control_is_called_refused_and_not_verified() {
    let stage = Stage::set(Mode::Issue).await;
    work(&stage.world).await;
    drill(&stage).await.unwrap();
    while canaries(&stage).await[0].state == LoginState::Asked {
        assert!(loops::work_targets(&stage.world.engine).await.unwrap() > 0);
    }
    // It makes no other account, so nothing is there to hold the refusal against.
    stage.target.reject_new(true);
    work(&stage.world).await;
    let over = last(&stage).await;
    assert_eq!((over.canaries[0].result, over.proven), (CanaryResult::RefusedNotVerified, false), "{over:?}");
    assert!(over.canaries[0].why.as_ref().unwrap().starts_with("refused, not verified"));
}

#[tokio::test]
async fn r97_a_target_that_goes_on_letting_it_in_or_never_did_proves_nothing() {
    let stage = Stage::set(Mode::Issue).await;
    work(&stage.world).await;
    stage.target.suffer(Faults { ghosts: true, ..Faults::default() });
    drill(&stage).await.unwrap();
    let deadline = tenure_core::credential::drill::DRILL_PATIENCE;
    for _ in 0..20 {
        let _ = loops::work_targets(&stage.world.engine).await.unwrap();
        stage.world.clock.advance(Span::from_secs(30));
    }
    assert!(!last(&stage).await.proven, "it is in no catalogue, and still let in");
    // What hangs for ever bars no other drill.
    stage.world.clock.advance(deadline);
    stage.target.suffer(Faults::default());
    stage.target.reject_new(true);
    drill(&stage).await.unwrap();
    pass(&stage.world, Span::from_mins(6)).await;
    pass(&stage.world, Span::from_mins(6)).await;
    let over = last(&stage).await;
    assert_eq!((over.canaries[0].result, over.proven), (CanaryResult::Unproven, false), "{over:?}");
    assert!(over.canaries[0].accepted_at.is_none());
}

#[tokio::test]
async fn r97_where_nothing_may_be_written_the_drill_says_why_it_shows_nothing() {
    let stage = Stage::set(Mode::Observe).await;
    work(&stage.world).await;
    let over = drill(&stage).await.unwrap();
    assert!(!over.proven && over.canaries[0].login.is_none());
    assert!(over.canaries[0].why.as_ref().unwrap().contains("only observes"));
    // And again at once: nothing of it is under way.
    drill(&stage).await.unwrap();
    assert!(canaries(&stage).await.is_empty());
}
