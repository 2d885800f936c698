use tenure_core::base::id::{CredentialId, VendorId};
use tenure_core::base::time::Span;
use tenure_core::finding::Severity;
use tenure_core::identity::context::{MAX_BYTES, network_of};
use tenure_core::identity::{CharterDraft, RiskTier};
use tenure_core::store::port::Store as _;

use super::*;
use crate::kernel::work::system;
use crate::log::seal::tests::{World, world};
use crate::matters::exceptions::tests::active;

const ID: IdentityId = IdentityId::from_u128(5);

async fn with_identity(charter: CharterDraft, kind: Kind) -> World {
    let world = world().await;
    let now = world.engine.now();
    let charter = CharterDraft { rotation_cadence: Some(Span::from_days(30)), ..charter };
    let identity = Identity { kind, ..active(5, charter, world.admin.person_id().unwrap(), now) };
    let mut changeset = Changeset::new(system(), now, world.engine.event(now, EventKind::PersonChanged));
    changeset.insert(&identity);
    world.engine.settle(changeset).await.unwrap().unwrap();
    world
}

async fn from(world: &World, address: &str, key_since: Option<Timestamp>) -> usize {
    let seen = SeenContext { network: network_of(address), client: Some("key-1".into()), ..SeenContext::default() };
    world.engine.note_context(ID, seen, key_since, world.engine.now());
    look_at_contexts(&world.engine).await.unwrap()
}

async fn findings(world: &World) -> Vec<Stored<Finding>> {
    finding::open_findings(&world.engine, &ID.to_string()).await.unwrap()
}

async fn identity(world: &World) -> Stored<Identity> {
    world.engine.one::<Identity>(ID).await.unwrap().unwrap()
}

async fn reviews(world: &World) -> usize {
    let open = Query::of([Review::IDENTITY.of(ID), Review::STATE.of(ReviewState::Open)]);
    world.engine.find(open).await.unwrap().readable().len()
}

async fn resolve(world: &World) {
    let finding = findings(world).await.remove(0);
    let now = world.engine.now();
    let (event, resolved) = finding::resolution(&world.engine, &finding, Some(&world.admin), "a second office", now);
    let mut changeset = Changeset::new(system(), now, event);
    changeset.replace(&finding, &resolved);
    world.engine.settle(changeset).await.unwrap().unwrap();
}

#[tokio::test]
async fn r104_a_stale_key_in_a_new_context_is_a_high_finding_at_once() {
    let world = with_identity(CharterDraft::default(), Kind::Workload).await;
    let born = Some(world.engine.now());
    assert_eq!(from(&world, "10.1.2.3", born).await, 0);
    world.clock.advance(Span::from_days(10));
    assert_eq!(from(&world, "10.1.2.9", born).await, 0);
    assert_eq!(from(&world, "192.0.2.1", born).await, 1);
    let fresh = findings(&world).await.remove(0);
    assert_eq!((fresh.rule.as_str(), fresh.severity), ("new-context", Severity::Medium));
    assert_eq!((&fresh.evidence["dimension"], &fresh.evidence["new"]), (&json!("network"), &json!("192.0.2.0/24")));
    assert_eq!(fresh.evidence["known"], json!(["10.1.2.0/24"]));
    world.clock.advance(Span::from_days(25));
    assert_eq!(from(&world, "198.51.100.1", born).await, 1);
    let open = findings(&world).await;
    let stale = open.iter().find(|open| open.rule == "new-context-stale-key").unwrap();
    assert_eq!((stale.severity, &stale.evidence["stale_key"]), (Severity::High, &json!(true)));
    let entries = world.store.entries(0, 200).await.unwrap();
    let told = entries.iter().filter(|entry| {
        let leaf = String::from_utf8_lossy(&entry.leaf);
        leaf.contains("new context") || leaf.contains("198.51.100.0/24")
    });
    assert!(told.count() >= 1, "security is told in the same commit");
    assert_eq!(identity(&world).await.state, IdentityState::Active, "of a workload it is a finding");
}

#[tokio::test]
async fn r104_a_key_is_stale_by_its_tiers_ceiling_where_the_charter_lets_it_be_in_use_for_longer() {
    for (tier, days, rule) in [
        (RiskTier::High, 31, "new-context-stale-key"),
        (RiskTier::High, 29, "new-context"),
        (RiskTier::Low, 31, "new-context"),
        (RiskTier::Low, 91, "new-context-stale-key"),
    ] {
        let world = with_identity(CharterDraft::default(), Kind::Workload).await;
        let (engine, stored) = (&world.engine, identity(&world).await);
        let cadence = Some(Span::from_days(365));
        let charter = CharterDraft { rotation_cadence: cadence, ..stored.charter.clone() };
        let mut changeset =
            Changeset::new(system(), engine.now(), engine.event(engine.now(), EventKind::PersonChanged));
        changeset.replace(&stored, &Identity { tier, charter, ..(*stored.value).clone() });
        engine.settle(changeset).await.unwrap().unwrap();
        let born = Some(engine.now());
        from(&world, "10.1.2.3", born).await;
        world.clock.advance(Span::from_days(days));
        assert_eq!(from(&world, "192.0.2.1", born).await, 1);
        assert_eq!(findings(&world).await[0].rule, rule, "{tier:?} after {days} days");
    }
}

#[tokio::test]
async fn r111_a_vendor_in_a_new_context_is_sent_to_re_approval_and_with_a_stale_key_held() {
    let charter = CharterDraft { vendor: Some(VendorId::from_u128(1)), ..CharterDraft::default() };
    let world = with_identity(charter, Kind::Integration).await;
    let born = Some(world.engine.now());
    from(&world, "10.1.2.3", born).await;
    world.clock.advance(Span::from_days(8));
    assert_eq!(from(&world, "192.0.2.1", born).await, 1);
    assert_eq!((reviews(&world).await, identity(&world).await.state), (1, IdentityState::Active));
    assert_eq!(from(&world, "192.0.3.1", born).await, 1);
    assert_eq!(reviews(&world).await, 1, "it is asked about once");
    let of = Query::of([Review::IDENTITY.of(ID), Review::TRIGGER.of(ReviewTrigger::NewContext)]);
    assert_eq!(world.engine.find(of).await.unwrap().readable().len(), 1, "by a trigger of its own");
    world.clock.advance(Span::from_days(30));
    assert_eq!(from(&world, "198.51.100.1", born).await, 1);
    let held = identity(&world).await;
    assert_eq!(held.state, IdentityState::Suspended);
    let cause = held.suspensions.first().unwrap();
    assert_eq!((cause.kind, cause.releasable_by), (SuspensionKind::NewContext, Releaser::Security));
}

#[tokio::test]
async fn r57_an_agent_that_does_something_new_for_a_task_is_asked_about() {
    let world = with_identity(CharterDraft::default(), Kind::Agent).await;
    let does = |action: &str| SeenContext {
        task: Some(("refund".into(), format!("{action} orders"))),
        ..SeenContext::default()
    };
    let engine = &world.engine;
    engine.note_context(ID, does("read"), None, engine.now());
    assert_eq!(look_at_contexts(engine).await.unwrap(), 0);
    world.clock.advance(Span::from_days(9));
    engine.note_context(ID, does("read"), None, engine.now());
    engine.note_context(ID, does("write"), None, engine.now());
    assert_eq!(look_at_contexts(engine).await.unwrap(), 1);
    assert_eq!(findings(&world).await[0].detail, "task refund write orders");
    assert_eq!(reviews(&world).await, 1);
}

#[tokio::test]
async fn r57_an_order_that_was_never_seen_for_a_task_is_new() {
    let world = with_identity(CharterDraft::default(), Kind::Agent).await;
    let engine = &world.engine;
    let does = |run: u128, actions: &[&str]| {
        for action in actions {
            let deed = ("refund".to_owned(), format!("{action} orders"));
            engine.note_deed(ID, Some(CredentialId::from_u128(run)), deed, engine.now());
        }
    };
    does(1, &["read", "write", "close"]);
    assert_eq!(look_at_contexts(engine).await.unwrap(), 0);
    world.clock.advance(Span::from_days(9));
    // Two runs at once are each in order, however they come in between each other.
    does(2, &["read"]);
    does(3, &["read", "write"]);
    does(2, &["write", "close"]);
    does(3, &["close"]);
    assert_eq!(look_at_contexts(engine).await.unwrap(), 0);
    // Each action is known, and never came directly after that one.
    does(4, &["close", "write"]);
    assert_eq!(look_at_contexts(engine).await.unwrap(), 1);
    let found = findings(&world).await.remove(0);
    assert_eq!(found.detail, "order refund write orders, directly after refund close orders");
    assert_eq!(found.evidence["known"].as_array().unwrap().len(), 2);
    assert_eq!(reviews(&world).await, 1);
    let view = contexts_view(engine, ID).await.unwrap().unwrap();
    assert_eq!(view.orders.len(), 2);
    // Whoever shows no token tells no order: a gateway's word orders nothing.
    for action in ["close", "read"] {
        engine.note_deed(ID, None, ("refund".into(), format!("{action} orders")), engine.now());
    }
    assert_eq!(look_at_contexts(engine).await.unwrap(), 0);
}

#[tokio::test]
async fn r57_what_runs_did_last_is_bounded_and_forgotten_after_an_hour() {
    let world = with_identity(CharterDraft::default(), Kind::Agent).await;
    let engine = &world.engine;
    let long = "ü".repeat(10_000);
    let does = |run: u128| {
        engine.note_deed(ID, Some(CredentialId::from_u128(run)), (long.clone(), long.clone()), engine.now())
    };
    (0..10_500).for_each(does);
    assert_eq!(engine.runs_kept(), 10_000);
    world.clock.advance(Span::from_mins(61));
    look_at_contexts(engine).await.unwrap();
    assert_eq!(engine.runs_kept(), 0);
}

#[tokio::test]
async fn a_context_belongs_there_once_a_person_says_so() {
    let world = with_identity(CharterDraft::default(), Kind::Workload).await;
    from(&world, "10.1.2.3", None).await;
    world.clock.advance(Span::from_days(8));
    assert_eq!(from(&world, "192.0.2.1", None).await, 1);
    assert_eq!(from(&world, "192.0.2.1", None).await, 0, "it is known to be open");
    resolve(&world).await;
    assert_eq!(from(&world, "192.0.2.1", None).await, 0);
    world.clock.advance(Span::from_days(1));
    assert_eq!(from(&world, "192.0.2.77", None).await, 0);
    assert!(findings(&world).await.is_empty());
}

#[tokio::test]
async fn a_baseline_that_was_learnt_from_an_attack_is_forgotten() {
    let world = with_identity(CharterDraft::default(), Kind::Workload).await;
    from(&world, "203.0.113.66", None).await;
    let learnt = contexts_view(&world.engine, ID).await.unwrap().unwrap();
    assert_eq!(learnt.networks, ["203.0.113.0/24"], "the attack was there from the beginning");
    let because = || Because { reason: "incident 12".into() };
    let (owner, security) = (world.person(Role::Owner).await, world.person(Role::Security).await);
    assert!(forget_contexts(&world.engine, &owner, ID, because()).await.is_err(), "that is not the owners' to say");
    forget_contexts(&world.engine, &security, ID, because()).await.unwrap();
    assert!(contexts_view(&world.engine, ID).await.unwrap().is_none());
    assert_eq!(from(&world, "10.1.2.3", None).await, 0);
    world.clock.advance(Span::from_days(8));
    assert_eq!(from(&world, "203.0.113.66", None).await, 1);
}

#[tokio::test]
async fn whoever_comes_from_everywhere_opens_few_findings_and_takes_little_room() {
    let world = with_identity(CharterDraft::default(), Kind::Workload).await;
    from(&world, "10.1.2.3", None).await;
    world.clock.advance(Span::from_days(8));
    for n in 0..40 {
        from(&world, &format!("192.0.{n}.1"), None).await;
    }
    assert_eq!(findings(&world).await.len(), MOST_FINDINGS);
    let note = world.store.use_notes().read_notes(&[key(ID)]).await.unwrap().remove(0).unwrap();
    assert!(note.len() <= MAX_BYTES);
    for n in 0..1_000_u32 {
        let seen = SeenContext { client: Some(n.to_string()), ..SeenContext::default() };
        world.engine.note_context(ID, seen, None, world.engine.now());
    }
    assert!(world.engine.take_contexts()[&ID].len() <= 32);
}
