//! Targets by the rows and by a target in memory that has faults; against real servers in the tests of the product.

mod bad_input;
mod drift;
mod drills;
mod fake;
mod gone;
mod hanging;
mod logins;
mod rotation;
mod stopped;

use std::sync::Arc;

use serde_json::json;
use tenure_api::targets::{Claim, NewTarget, Proposal, TargetEdit, TargetLoginAsk};
use tenure_core::base::id::{IdentityId, TargetId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Span;
use tenure_core::credential::receipt::{AccountOutcome, Receipt, ReceiptState, Target as Revoked};
use tenure_core::finding::{Finding, rules};
use tenure_core::identity::scope::Scope;
use tenure_core::identity::{CharterDraft, Identity, IdentityState};
use tenure_core::people::person::Role;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_core::target::account::{Account, AccountState, Because};
use tenure_core::target::connector::{Endpoint, Mode, TargetKind};

use self::fake::{Fake, Fault};
use crate::credentials::revocation;
use crate::identities::lifecycle;
use crate::inventory::directory;
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::if_match::IfMatch;
use crate::kernel::query::Query;
use crate::kernel::work::system;
use crate::log::seal::tests::{World, world_with};
use crate::matters::exceptions::tests::active;
use crate::run::{deadlines, targets as loops};
use crate::targets::{accounts, systems};

const CONNECTOR: u128 = 77;

fn endpoint(host: &str) -> Endpoint {
    Endpoint { url: format!("postgres://{host}:5432/orders"), ca: None, plaintext: false, options: Default::default() }
}

fn ask(owner: &Caller, mode: Mode) -> NewTarget {
    NewTarget {
        name: "orders-db".into(),
        kind: TargetKind::Postgresql,
        endpoint: endpoint("db.example"),
        mode,
        identity: IdentityId::from_u128(CONNECTOR),
        owner: owner.person_id().unwrap(),
        environment: "prod".into(),
        scan_every: Some(Span::from_mins(10)),
        claim_within: Some(Span::from_mins(120)),
        blast_cap: Some(2),
    }
}

/// A world with a target that has these accounts, whose connector has its login.
async fn with_target(mode: Mode, names: &[&str]) -> (World, Arc<Fake>, TargetId) {
    let fake = Arc::new(Fake::default());
    names.iter().for_each(|name| fake.add(name));
    let world = world_with(Arc::clone(&fake) as _).await;
    let engine = &world.engine;
    let now = engine.now();
    directory::create_environment(engine, &world.admin, serde_json::from_value(json!({"name": "prod"})).unwrap())
        .await
        .unwrap();
    let connector = active(CONNECTOR, CharterDraft::default(), world.admin.person_id().unwrap(), now);
    let mut changeset = Changeset::new(system(), now, engine.event(now, EventKind::PersonChanged));
    changeset.insert(&connector);
    engine.settle(changeset).await.unwrap().unwrap();
    let target = systems::create_target(engine, &world.admin, ask(&world.admin, mode)).await.unwrap();
    let id = target.record.id;
    assert!(target.record.single_person, "there is no second administrator yet");
    let login = TargetLoginAsk { name: "tenure".into(), secret: "hunter2".into() };
    systems::set_login(engine, &world.admin, id, login).await.unwrap();
    (world, fake, id)
}

/// Works off whatever is due until nothing is.
async fn work(world: &World) {
    for _ in 0..200 {
        let done =
            deadlines::work_due(&world.engine).await.unwrap() + loops::work_targets(&world.engine).await.unwrap();
        if done == 0 {
            return;
        }
    }
    panic!("there is always something to do");
}

async fn pass(world: &World, span: Span) {
    world.clock.advance(span);
    work(world).await;
}

async fn known(world: &World, name: &str) -> Stored<Account> {
    world.engine.first(Query::of([Account::NAME.of(name)])).await.unwrap().expect("it was found")
}

async fn identity_of(world: &World, name: &str) -> Stored<Identity> {
    let account = known(world, name).await;
    world.engine.one::<Identity>(account.identity).await.unwrap().unwrap()
}

async fn findings(world: &World, rule: &'static tenure_core::finding::Rule) -> Vec<Stored<Finding>> {
    let found = world.engine.find(Query::of([Finding::RULE.of(rule.id)])).await.unwrap();
    found.whole().unwrap().into_iter().filter(|finding| finding.resolved.is_none()).collect()
}

async fn receipt_of(world: &World, identity: IdentityId) -> Stored<Receipt> {
    let target = Revoked::Scope(Scope::Identity(identity));
    world.engine.first(Query::of([Receipt::TARGET.of(target)])).await.unwrap().expect("it has a receipt")
}

/// The identity of an account, as a claim and an approved request would have made it.
async fn claimed_and_active(world: &World, name: &str) -> Stored<Identity> {
    let engine = &world.engine;
    let stored = identity_of(world, name).await;
    let now = engine.now();
    let owner = world.admin.person_id().unwrap();
    let template = active(1, CharterDraft { owner: Some(owner), ..stored.charter.clone() }, owner, now);
    let live = Identity {
        state: IdentityState::Active,
        charter: CharterDraft { expires_at: Some(now.plus(Span::from_days(30))), ..template.charter },
        activation: template.activation,
        ..(*stored.value).clone()
    };
    let mut changeset = Changeset::new(system(), now, engine.event(now, EventKind::PersonChanged));
    changeset.replace(&stored, &live);
    engine.settle(changeset).await.unwrap().unwrap();
    identity_of(world, name).await
}

/// The receipts about an identity, the oldest first.
async fn receipts_of(world: &World, identity: IdentityId) -> Vec<Stored<Receipt>> {
    let target = Revoked::Scope(Scope::Identity(identity));
    world.engine.find(Query::of([Receipt::TARGET.of(target)])).await.unwrap().whole().unwrap()
}

fn reason(error: OpError) -> Option<Reason> {
    match error {
        OpError::Refused { reason, .. } => Some(reason),
        _ => None,
    }
}

#[tokio::test]
async fn s17_a_login_goes_nowhere_else_and_does_no_more() {
    let (world, _, id) = with_target(Mode::Observe, &["app"]).await;
    let engine = &world.engine;
    let stored = engine.must::<tenure_core::target::system::TargetSystem>("target", id).await.unwrap();
    assert!(!serde_json::to_string(&*stored.value).unwrap().contains("hunter2"));
    let shown = systems::target(engine, &world.admin, id).await.unwrap();
    assert!(!serde_json::to_string(&shown.record).unwrap().contains(&stored.login.as_ref().unwrap().sealed));
    let second = world.person(Role::Administrator).await;
    let edits = [
        TargetEdit { endpoint: Some(endpoint("evil.example")), ..TargetEdit::default() },
        TargetEdit { mode: Some(Mode::End), ..TargetEdit::default() },
    ];
    for edit in edits {
        let moved = systems::update_target(engine, &world.admin, id, IfMatch::Any, edit).await.unwrap();
        assert!(moved.record.login.is_none());
        let login = || TargetLoginAsk { name: "tenure".into(), secret: "hunter2".into() };
        let own = systems::set_login(engine, &world.admin, id, login()).await.unwrap_err();
        assert_eq!(reason(own), Some(Reason::SamePerson));
        assert!(systems::set_login(engine, &second, id, login()).await.unwrap().record.login.is_some());
    }
    // Less takes nobody's word but one's own.
    let edit = TargetEdit { mode: Some(Mode::Observe), ..TargetEdit::default() };
    assert!(systems::update_target(engine, &world.admin, id, IfMatch::Any, edit).await.unwrap().record.login.is_some());
    // Whoever is no administrator may nothing of this.
    let auditor = world.person(Role::Auditor).await;
    let refused = systems::create_target(engine, &auditor, ask(&auditor, Mode::Observe)).await.unwrap_err();
    assert_eq!(reason(refused), Some(Reason::NotAllowed));
    let removed = systems::remove_target(engine, &world.admin, id, "over").await.unwrap();
    assert!(removed.record.login.is_none());
    work(&world).await;
}

#[tokio::test]
async fn r98_everything_that_is_found_is_an_identity_that_nobody_answers_for() {
    let (world, fake, id) = with_target(Mode::Observe, &["a", "b", "c", "tenure", "Ünï; DROP"]).await;
    work(&world).await;
    let discovered = world.engine.find(Query::of([Identity::STATE.of(IdentityState::Discovered)])).await.unwrap();
    let discovered = discovered.whole().unwrap();
    assert_eq!(discovered.len(), 4, "the connector's own login is governed by its own identity");
    assert!(discovered.iter().all(|identity| identity.charter.owner.is_none()));
    let target = systems::target(&world.engine, &world.admin, id).await.unwrap().record;
    assert_eq!(target.scanned.map(|scan| (scan.seen, scan.fresh)), Some((5, 4)));
    // Looked through again nothing is new, and nothing is written of what is as it was.
    let size = world.size().await;
    pass(&world, Span::from_mins(10)).await;
    let target = systems::target(&world.engine, &world.admin, id).await.unwrap().record;
    assert_eq!(target.scanned.map(|scan| (scan.seen, scan.fresh)), Some((5, 0)));
    assert!(world.size().await - size < 10);
    assert!(fake.asked.lock().iter().all(|asked| asked.starts_with("discover")), "an observer writes nothing");
}

#[tokio::test]
async fn r92_what_is_not_listed_is_not_gone() {
    let (world, fake, id) = with_target(Mode::End, &["a", "b", "c"]).await;
    work(&world).await;
    let target = systems::target(&world.engine, &world.admin, id).await.unwrap().record;
    assert_eq!(target.scanned.unwrap().unseen, ["what it never lists"], "that is said, and hides nothing");
    // Half an answer, and a blind spot.
    *fake.hidden.lock() = vec!["b".into()];
    *fake.unseen.lock() = vec!["roles of the schema `secret`".into()];
    pass(&world, Span::from_mins(10)).await;
    assert_eq!(known(&world, "b").await.absent_since, None);
    // A whole answer without it, whose catalogue has it all the same.
    fake.unseen.lock().clear();
    pass(&world, Span::from_mins(10)).await;
    assert_eq!(known(&world, "b").await.absent_since, None);
    // Gone from the catalogue: noted, and nothing follows.
    fake.accounts.lock().remove("b");
    pass(&world, Span::from_mins(10)).await;
    assert!(known(&world, "b").await.absent_since.is_some());
    assert_eq!(identity_of(&world, "b").await.state, IdentityState::Discovered);
    // It comes back.
    fake.hidden.lock().clear();
    fake.add("b");
    pass(&world, Span::from_mins(10)).await;
    assert_eq!(known(&world, "b").await.absent_since, None);
    // A target that is away ends nothing either.
    fake.set(Fault::Away);
    pass(&world, Span::from_mins(10)).await;
    assert_eq!(findings(&world, &rules::TARGET_UNREACHABLE).await.len(), 1);
    fake.set(Fault::None);
    pass(&world, Span::from_mins(20)).await;
    assert!(findings(&world, &rules::TARGET_UNREACHABLE).await.is_empty());
}

#[tokio::test]
async fn a_claim_is_its_owners_own() {
    let (world, _, id) = with_target(Mode::End, &["app_one", "app_two", "other"]).await;
    work(&world).await;
    let engine = &world.engine;
    let (bob, eve) = (world.person(Role::Owner).await, world.person(Role::Owner).await);
    let mut proposal = Proposal {
        name_prefix: "app_".into(),
        marks: Default::default(),
        owner: bob.person_id(),
        by_suggestion: None,
        reason: "his team made them".into(),
        dry_run: true,
    };
    let planned = accounts::propose(engine, &world.admin, id, proposal.clone()).await.unwrap();
    assert_eq!(planned.accounts.len(), 2);
    assert!(known(&world, "app_one").await.proposed.is_none(), "a dry run proposes nothing");
    proposal.dry_run = false;
    accounts::propose(engine, &world.admin, id, proposal.clone()).await.unwrap();
    assert!(accounts::propose(engine, &eve, id, proposal).await.is_err());
    let account = known(&world, "app_one").await;
    assert!(accounts::account(engine, &bob, account.id).await.is_ok());
    assert!(accounts::account(engine, &eve, account.id).await.is_err());
    let claim = || Claim { kind: None, charter: CharterDraft::default() };
    assert_eq!(
        reason(Box::pin(accounts::claim(engine, &eve, account.identity, claim())).await.unwrap_err()),
        Some(Reason::NotAllowed)
    );
    // Nobody is claimed for, and nothing leaves its environment.
    let elsewhere = CharterDraft { owner: eve.person_id(), environment: Some("dev".into()), ..CharterDraft::default() };
    let wrong =
        Box::pin(accounts::claim(engine, &bob, account.identity, Claim { kind: None, charter: elsewhere })).await;
    assert!(matches!(wrong, Err(OpError::Invalid(problems)) if problems.len() >= 2));
    let claimed = Box::pin(accounts::claim(engine, &bob, account.identity, claim())).await.unwrap();
    assert_eq!((claimed.record.state, claimed.record.charter.owner), (IdentityState::Draft, bob.person_id()));
    assert_eq!(claimed.record.registered_by, bob.person_id().unwrap());
    let again = Box::pin(accounts::claim(engine, &bob, account.identity, claim())).await.unwrap_err();
    assert_eq!(reason(again), Some(Reason::IllegalTransition));
}

#[tokio::test]
async fn what_nobody_claims_is_held_under_a_cap_and_security_says_more() {
    let (world, fake, id) = with_target(Mode::End, &["a", "b", "c", "d"]).await;
    let (requester, security) = (world.person(Role::Requester).await, world.person(Role::Security).await);
    work(&world).await;
    pass(&world, Span::from_mins(120)).await;
    let held = || fake.accounts.lock().values().filter(|account| !account.enabled).count();
    assert_eq!(held(), 2, "no more than the cap in a day");
    assert_eq!(findings(&world, &rules::UNCLAIMED_OVER_CAP).await.len(), 1);
    let name = fake.accounts.lock().values().find(|account| !account.enabled).unwrap().name.clone();
    let account = known(&world, &name).await;
    let intent = account.intent.as_ref().unwrap();
    assert_eq!((account.state, intent.because), (AccountState::Held, Some(Because::Unclaimed)));
    // Only security lets more be held: the owner of the target doesn't.
    assert!(systems::confirm_holds(&world.engine, &requester, id).await.is_err());
    systems::confirm_holds(&world.engine, &security, id).await.unwrap();
    pass(&world, Span::from_days(1)).await;
    assert_eq!(held(), 4);
}

#[tokio::test]
async fn r72_what_is_retired_is_gone_from_the_target_and_the_receipt_says_by_what() {
    let (world, fake, _) = with_target(Mode::End, &["app"]).await;
    work(&world).await;
    let identity = identity_of(&world, "app").await.id;
    let security = world.person(Role::Security).await;
    for fault in [Fault::Away, Fault::Lies] {
        fake.set(fault);
        if identity_of(&world, "app").await.state == IdentityState::Discovered {
            lifecycle::retire(&world.engine, &security, identity, "unused".into()).await.unwrap();
        }
        pass(&world, Span::from_mins(5)).await;
        let receipt = receipt_of(&world, identity).await;
        let wanted = if fault == Fault::Away { ReceiptState::Unreachable } else { ReceiptState::Unproven };
        assert_eq!(receipt.state(), wanted);
        assert!(receipt.signed.is_none());
        assert_eq!(identity_of(&world, "app").await.state, IdentityState::Retiring, "it waits for the proof");
        assert_eq!(fake.enabled("app"), Some(true));
    }
    // The effect without the answer is found to be done.
    fake.set(Fault::ReplyLost);
    pass(&world, Span::from_mins(60)).await;
    assert_eq!(fake.enabled("app"), None);
    fake.set(Fault::None);
    pass(&world, Span::from_mins(60)).await;
    pass(&world, Span::from_mins(10)).await;
    let receipt = receipt_of(&world, identity).await;
    assert_eq!(receipt.state(), ReceiptState::EndedReadBack);
    assert!(receipt.signed.is_some());
    let points = receipt.accounts.as_ref().unwrap();
    assert!(matches!(points.first[0].outcome, AccountOutcome::EndedReadBack { .. }));
    assert_eq!(identity_of(&world, "app").await.state, IdentityState::Retired);
    let account = known(&world, "app").await;
    assert_eq!(account.state, AccountState::Ended);
    assert!(account.absent_since.is_some());
}

#[tokio::test]
async fn what_may_only_be_observed_or_is_refused_is_said_to_go_on() {
    for (mode, fault) in [(Mode::Observe, Fault::None), (Mode::End, Fault::Refuses)] {
        let (world, fake, _) = with_target(mode, &["app"]).await;
        work(&world).await;
        fake.set(fault);
        let identity = identity_of(&world, "app").await.id;
        let security = world.person(Role::Security).await;
        lifecycle::retire(&world.engine, &security, identity, "unused".into()).await.unwrap();
        pass(&world, Span::from_mins(5)).await;
        assert_eq!(receipt_of(&world, identity).await.state(), ReceiptState::CannotRevoke);
        assert_eq!(fake.enabled("app"), Some(true));
        let account = known(&world, "app").await;
        assert!(matches!(account.intent.as_ref().unwrap().outcome, AccountOutcome::CannotRevoke { .. }));
    }
}

#[tokio::test]
async fn r103_a_suspended_identitys_accounts_are_held_and_let_go_with_it() {
    let (world, fake, _) = with_target(Mode::End, &["app"]).await;
    work(&world).await;
    let engine = &world.engine;
    let stored = claimed_and_active(&world, "app").await;
    pass(&world, Span::from_mins(1)).await;
    assert_eq!(fake.enabled("app"), Some(true));
    fake.set(Fault::KeepsSessions);
    let first = world.person(Role::Security).await;
    lifecycle::suspend(engine, &first, stored.id, "odd traffic".into()).await.unwrap();
    pass(&world, Span::from_mins(1)).await;
    let outcome = known(&world, "app").await.intent.clone().unwrap().outcome;
    assert!(matches!(outcome, AccountOutcome::Unproven { ref why, .. } if why.contains("1 of its sessions")));
    fake.set(Fault::None);
    pass(&world, Span::from_mins(5)).await;
    assert_eq!((fake.enabled("app"), known(&world, "app").await.state), (Some(false), AccountState::Held));
    // Somebody at the target lets it go: found, told, and stopped again.
    fake.accounts.lock().get_mut("app").unwrap().enabled = true;
    pass(&world, Span::from_mins(10)).await;
    assert_eq!(findings(&world, &rules::ACCOUNT_REVIVED).await.len(), 1);
    assert_eq!(fake.enabled("app"), Some(false));
    let security = world.person(Role::Security).await;
    lifecycle::resume(
        engine,
        &security,
        stored.id,
        serde_json::from_value(json!({"reason": "was the batch"})).unwrap(),
    )
    .await
    .unwrap();
    pass(&world, Span::from_mins(1)).await;
    assert_eq!((fake.enabled("app"), known(&world, "app").await.state), (Some(true), AccountState::Standing));
    // What is cut stays stopped: the secret that is out is never taken again.
    let cut = json!({"target": {"type": "environment", "id": "prod"}, "reason": "leaked"});
    revocation::revoke(engine, &security, serde_json::from_value(cut).unwrap()).await.unwrap();
    pass(&world, Span::from_mins(1)).await;
    let account = known(&world, "app").await;
    assert_eq!((account.state, account.intent.as_ref().unwrap().because), (AccountState::Held, Some(Because::Cut)));
    pass(&world, Span::from_days(1)).await;
    assert_eq!(fake.enabled("app"), Some(false));
}

#[tokio::test]
async fn a_target_that_is_away_takes_nobodys_time_and_its_own_connectors_end_stops_it() {
    let (world, fake, _) = with_target(Mode::End, &["a", "b", "c", "d", "e", "f"]).await;
    work(&world).await;
    fake.set(Fault::Away);
    let security = world.person(Role::Security).await;
    for name in ["a", "b", "c", "d", "e", "f"] {
        let identity = identity_of(&world, name).await.id;
        lifecycle::retire(&world.engine, &security, identity, "unused".into()).await.unwrap();
    }
    fake.asked.lock().clear();
    pass(&world, Span::from_secs(1)).await;
    let tries = fake.asked.lock().len();
    assert!(tries <= 6, "{tries} tries at a target that is away");
    fake.asked.lock().clear();
    pass(&world, Span::from_secs(1)).await;
    assert!(fake.asked.lock().len() <= 1);
    // The connector is an identity: suspended, nothing is asked any more.
    lifecycle::suspend(&world.engine, &security, IdentityId::from_u128(CONNECTOR), "on leave".into()).await.unwrap();
    fake.set(Fault::None);
    fake.asked.lock().clear();
    pass(&world, Span::from_mins(60)).await;
    assert!(fake.asked.lock().is_empty());
}

#[tokio::test]
async fn accounts_whose_names_come_to_the_same_are_each_found() {
    let (world, _fake, _target) = with_target(Mode::Observe, &["Billing", "billing"]).await;
    work(&world).await;
    let names = [identity_of(&world, "Billing").await, identity_of(&world, "billing").await];
    let [first, second] = names.map(|identity| identity.name.clone());
    assert_eq!(first, "billing.orders-db");
    assert!(second.starts_with("billing.orders-db-"), "{second}");
}

#[tokio::test]
async fn what_a_target_has_from_the_start_is_not_held_by_itself() {
    let (world, fake, _target) = with_target(Mode::End, &["app", "root"]).await;
    work(&world).await;
    pass(&world, Span::from_mins(121)).await;
    assert_eq!((fake.enabled("app"), fake.enabled("root")), (Some(false), Some(true)));
    let identity = identity_of(&world, "root").await.id;
    let found = findings(&world, &rules::UNCLAIMED_BUILT_IN).await;
    assert_eq!(found.len(), 1);
    let security = world.person(Role::Security).await;
    lifecycle::retire(&world.engine, &security, identity, "nothing uses it".into()).await.unwrap();
    work(&world).await;
    assert_eq!(fake.enabled("root"), None, "a person may end it");
}

#[tokio::test]
async fn r98_what_a_target_has_from_the_start_is_somebodys_once_it_is_claimed() {
    let (world, fake, target) = with_target(Mode::End, &["root"]).await;
    work(&world).await;
    pass(&world, Span::from_mins(121)).await;
    let [found] = findings(&world, &rules::UNCLAIMED_BUILT_IN).await.try_into().unwrap();
    // What its target's people have disabled lets nobody in, and is found again if it does.
    fake.enable("root", false);
    pass(&world, Span::from_mins(10)).await;
    assert!(findings(&world, &rules::UNCLAIMED_BUILT_IN).await.is_empty());
    fake.enable("root", true);
    pass(&world, Span::from_mins(10)).await;
    let [again] = findings(&world, &rules::UNCLAIMED_BUILT_IN).await.try_into().unwrap();
    assert_ne!(again.id, found.id);
    let bob = world.person(Role::Owner).await;
    let proposal = Proposal {
        name_prefix: "root".into(),
        marks: Default::default(),
        owner: bob.person_id(),
        by_suggestion: None,
        reason: "his team runs it".into(),
        dry_run: false,
    };
    accounts::propose(&world.engine, &world.admin, target, proposal).await.unwrap();
    let identity = identity_of(&world, "root").await.id;
    let claim = Claim { kind: None, charter: CharterDraft::default() };
    Box::pin(accounts::claim(&world.engine, &bob, identity, claim)).await.unwrap();
    assert!(findings(&world, &rules::UNCLAIMED_BUILT_IN).await.is_empty(), "somebody answers for it");
    pass(&world, Span::from_mins(60)).await;
    assert!(findings(&world, &rules::UNCLAIMED_BUILT_IN).await.is_empty(), "and goes on to");
}
