//! Targets that hang, and sessions that nobody had: what one of them costs the others.

use tenure_connectors::faulty::{Faults, Faulty};
use tenure_core::target::connector::{Connector, Connectors};
use tenure_core::target::login::{Login, LoginPurpose, LoginState};

use super::logins::{READ, Stage};
use super::*;

/// Two targets, each of its kind.
struct Two(Arc<Faulty>, Arc<Faulty>);

impl Connectors for Two {
    fn of(&self, kind: TargetKind) -> Option<&dyn Connector> {
        [&self.0, &self.1].into_iter().find(|target| target.kind() == kind).map(|target| &**target as &dyn Connector)
    }
}

#[tokio::test]
async fn a_target_that_hangs_holds_up_no_login_elsewhere() {
    let targets = [TargetKind::Postgresql, TargetKind::Mariadb].map(|kind| Arc::new(Faulty::new(kind, 7)));
    let [hanging, other] = &targets;
    let two = Arc::new(Two(Arc::clone(hanging), Arc::clone(other)));
    let stage = Stage::among(Arc::clone(hanging), two, Mode::Issue).await;
    let engine = &stage.world.engine;
    other.people_make("tenure", "hunter2", &["all"]);
    let ask =
        NewTarget { name: "invoices-db".into(), kind: TargetKind::Mariadb, ..ask(&stage.world.admin, Mode::Issue) };
    let elsewhere = systems::create_target(engine, &stage.world.admin, ask).await.unwrap().record.id;
    let login = TargetLoginAsk { name: "tenure".into(), secret: "hunter2".into() };
    systems::set_login(engine, &stage.world.admin, elsewhere, login).await.unwrap();
    let first = stage.issued().await;
    // Its login is to end, and another is asked for elsewhere: both are due in one turn, the hanging target's first.
    stage.map(elsewhere, &[("read", &[READ])]).await;
    hanging.suffer(Faults { hangs: true, ..Faults::default() });
    let second = stage.asked().await;
    work(&stage.world).await;
    let (first, second) = (stage.login(first.login).await, stage.login(second).await);
    assert_eq!((first.state, second.state, second.target), (LoginState::Ending, LoginState::Standing, elsewhere));
    assert!(matches!(first.outcome, Some(AccountOutcome::Unreachable { .. })), "{:?}", first.outcome);
    assert!(first.position.is_after(second.position), "what hangs was waited for by nobody else");
}

#[tokio::test]
async fn a_target_that_tells_no_end_of_its_accounts_is_looked_through_once_and_that_is_said() {
    let (world, fake, id) = with_target(Mode::Observe, &["a", "b", "c"]).await;
    fake.set(Fault::Endless);
    work(&world).await;
    let scan = systems::target(&world.engine, &world.admin, id).await.unwrap().record.scanned.unwrap();
    assert!(scan.unseen.iter().any(|unseen| unseen.contains("tells no end of them")), "{:?}", scan.unseen);
    assert_eq!((scan.seen, scan.fresh), (120, 3));
    let asked = fake.asked.lock().len();
    work(&world).await;
    assert_eq!(fake.asked.lock().len(), asked, "until its next turn");
}

#[tokio::test]
async fn s18_one_canary_that_hangs_is_waited_for_once_by_all_who_prove_something_there() {
    let stage = Stage::set(Mode::Issue).await;
    let engine = &stage.world.engine;
    let mut issued = Vec::new();
    for _ in 0..12 {
        issued.push(stage.issued().await);
    }
    let canaries = || async {
        let all = engine.find::<Login>(Query::every()).await.unwrap().whole().unwrap();
        all.iter().filter(|login| login.purpose == LoginPurpose::Canary).count()
    };
    stage.target.suffer(Faults { hangs_on_new: true, ..Faults::default() });
    stage.cut().await;
    work(&stage.world).await;
    // More of them than are tried at once: whoever comes after it hung doesn't try it anew.
    assert_eq!(canaries().await, 1);
    for one in &issued {
        let login = stage.login(one.login).await;
        assert!(!stage.lets_in(one) && login.state == LoginState::Ending, "refused, and not proven");
        assert!(matches!(login.outcome, Some(AccountOutcome::Unreachable { .. })), "{:?}", login.outcome);
    }
    // Once the target answers again, and its own time has come, all are proven beside one canary.
    stage.target.suffer(Faults::default());
    pass(&stage.world, Span::from_mins(61)).await;
    assert_eq!(canaries().await, 2);
    for one in &issued {
        let outcome = stage.login(one.login).await.outcome.clone();
        assert!(matches!(outcome, Some(AccountOutcome::RefusedVerified { .. })), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_session_that_nobody_fetched_is_destroyed_and_takes_no_room_there() {
    // Begun, and its answer lost; or begun, and never fetched.
    for fault in [Faults { reply_lost: 100, ..Faults::default() }, Faults::default()] {
        let stage = Stage::at(Faulty::federating(TargetKind::Postgresql, 7), Mode::Issue).await;
        work(&stage.world).await;
        stage.target.suffer(fault);
        let id = stage.asked().await;
        work(&stage.world).await;
        stage.target.suffer(Faults::default());
        let login = stage.login(id).await;
        let state = if fault == Faults::default() { LoginState::Standing } else { LoginState::Asked };
        assert!(login.state == state && stage.target.sessions(&login.name()).is_some(), "it stands there");
        let writes = stage.target.writes();
        stage.cut().await;
        pass(&stage.world, Span::from_mins(6)).await;
        let login = stage.login(id).await;
        assert!(login.state == LoginState::Ended && login.sealed.is_none());
        let Some(AccountOutcome::EndedReadBack { words, .. }) = &login.outcome else { panic!("{:?}", login.outcome) };
        assert!(words.contains("handed to nobody"), "{words}");
        assert_eq!(stage.target.writes(), writes, "no denial was written");
    }
}
