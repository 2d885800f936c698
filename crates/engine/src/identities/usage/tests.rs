use tenure_core::base::id::ResourceId;
use tenure_core::base::time::Span;
use tenure_core::identity::CharterDraft;
use tenure_core::identity::right_size::{GrantedUse, Replay, Withheld};
use tenure_core::identity::tally::{OTHERS, UNNAMED};
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Store as _;
use tenure_core::store::use_note::{UseNote, UsePart};

use super::*;
use crate::kernel::tallies::{flush_tallies, fold_tallies};
use crate::kernel::work::system;
use crate::log::seal::tests::{World, world};
use crate::matters::exceptions::tests::active;

const ID: IdentityId = IdentityId::from_u128(5);
const ORDERS: ResourceId = ResourceId::from_u128(1);
const LEDGER: ResourceId = ResourceId::from_u128(2);

async fn with_identity(actions: &[&str]) -> World {
    let world = world().await;
    let now = world.engine.now();
    let scope = |resource: ResourceId| Entitlement {
        actions: actions.iter().map(|action| (*action).to_owned()).collect(),
        resource: resource.to_string(),
    };
    let charter = CharterDraft { scope: vec![scope(ORDERS), scope(LEDGER)], ..CharterDraft::default() };
    let identity = active(5, charter, world.admin.person_id().unwrap(), now);
    let mut changeset = Changeset::new(system(), now, world.engine.event(now, EventKind::PersonChanged));
    changeset.insert(&identity);
    world.engine.settle(changeset).await.unwrap().unwrap();
    world
}

/// A day passes; the log goes on, so that it is one by its own time, too.
async fn days(world: &World, days: i64) {
    world.clock.advance(Span::from_days(days));
    world.fill(world.size().await + 1, EventKind::PersonChanged).await;
}

async fn sized(kernel: &Kernel, window: UseWindow) -> RightSize {
    let stored = kernel.one::<Identity>(ID).await.unwrap().unwrap();
    right_size(kernel, &stored, window, kernel.now()).await.unwrap()
}

async fn notes(world: &World) -> Vec<UseNote> {
    world.store.use_notes().notes_behind(None, 1_000).await.unwrap()
}

#[tokio::test]
async fn r101_a_right_size_is_replayed_against_what_was_decided() {
    let world = with_identity(&["read", "write", "drop"]).await;
    let engine = &world.engine;
    engine.note_use(ID, ORDERS, "write", engine.now());
    days(&world, 60).await;
    // A hundred thousand decisions, over a month, by two processes.
    let other = world.another();
    for day in 0..20 {
        for n in 0..2_500_u32 {
            engine.note_use(ID, ORDERS, "read", engine.now());
            other.note_use(ID, LEDGER, if n % 5 == 0 { "write" } else { "read" }, engine.now());
        }
        assert!(day < 10 || sized(engine, UseWindow::Week).await.proposal.is_some(), "what isn't written yet counts");
        flush_tallies(engine).await.unwrap();
        flush_tallies(&other).await.unwrap();
        crate::run::upkeep::flush_used(engine).await.unwrap();
        crate::run::upkeep::flush_used(&other).await.unwrap();
        days(&world, 1).await;
    }
    let sized = sized(engine, UseWindow::Month).await;
    assert_eq!(sized.replayed, Replay { would_deny: 0, of: 100_001, untold: 0 });
    let proposal = sized.proposal.unwrap();
    let actions: Vec<&[String]> = proposal.iter().map(|entitlement| &*entitlement.actions).collect();
    assert_eq!(actions, [["read", "write"], ["read", "write"]]);
    assert_eq!(sized.rare.iter().map(|rare| (&*rare.action, rare.allowed_ever)).collect::<Vec<_>>(), [("write", 1)]);
    assert_eq!(sized.unused.len(), 2, "nobody dropped anything");
    let strict = sized.without_rare.unwrap();
    assert_eq!(strict.replayed.would_deny, 1);
}

#[tokio::test]
async fn a_yearly_job_is_rare_and_what_is_older_is_forgotten() {
    let world = with_identity(&["read", "close"]).await;
    let engine = &world.engine;
    engine.note_use(ID, ORDERS, "close", engine.now());
    flush_tallies(engine).await.unwrap();
    days(&world, 360).await;
    assert_eq!(fold_tallies(engine).await.unwrap(), 1, "the day became a part of its month");
    assert_eq!(fold_tallies(engine).await.unwrap(), 0);
    engine.note_use(ID, ORDERS, "read", engine.now());
    let year = sized(engine, UseWindow::Month).await;
    let of = |uses: &[GrantedUse]| uses.iter().map(|granted| granted.action.clone()).collect::<Vec<_>>();
    assert_eq!((of(&year.used), of(&year.rare)), (vec!["read".into()], vec!["close".into()]));
    assert_eq!(year.replayed.would_deny, 0);
    days(&world, 75).await;
    engine.note_use(ID, ORDERS, "read", engine.now());
    flush_tallies(engine).await.unwrap();
    fold_tallies(engine).await.unwrap();
    assert!(!notes(&world).await.iter().any(|note| matches!(note.key.part, UsePart::Month(_))), "and then it went");
    // What nobody uses any more leaves nothing.
    days(&world, 500).await;
    fold_tallies(engine).await.unwrap();
    fold_tallies(engine).await.unwrap();
    assert_eq!(notes(&world).await, []);
}

#[tokio::test]
async fn a_clock_that_steps_ahead_forgets_nothing() {
    let world = with_identity(&["read"]).await;
    world.engine.note_use(ID, ORDERS, "read", world.engine.now());
    flush_tallies(&world.engine).await.unwrap();
    let before = notes(&world).await;
    world.clock.step(Span::from_days(1_000).as_micros());
    assert_eq!(fold_tallies(&world.engine).await.unwrap(), 0);
    assert_eq!(notes(&world).await, before);
}

#[tokio::test]
async fn where_tokens_are_only_shown_nothing_is_said_to_be_unused() {
    let world = with_identity(&["read", "write"]).await;
    let engine = &world.engine;
    engine.note_use(ID, LEDGER, UNNAMED, engine.now());
    flush_tallies(engine).await.unwrap();
    days(&world, 40).await;
    engine.note_use(ID, ORDERS, UNNAMED, engine.now());
    let sized = sized(engine, UseWindow::Month).await;
    assert_eq!(sized.used.len(), 2, "{:?}", sized.used);
    assert_eq!(sized.rare.len(), 2);
    assert_eq!(sized.withheld, Some(Withheld::NothingUnused));
    assert!(sized.without_rare.is_some());
}

#[tokio::test]
async fn whoever_tries_names_takes_no_room_from_what_is_used() {
    let world = with_identity(&["read", "write"]).await;
    let engine = &world.engine;
    for n in 0..2_000 {
        engine.note_refused_use(ID, ORDERS, &format!("tried-{n}"), engine.now());
    }
    flush_tallies(engine).await.unwrap();
    engine.note_use(ID, ORDERS, "read", engine.now());
    engine.note_refused_use(ID, ORDERS, "write", engine.now());
    flush_tallies(engine).await.unwrap();
    let ledger = tallies::ledger(engine, ID, engine.now()).await.unwrap();
    let read = ledger.names.find(ORDERS, "read").unwrap();
    assert!(ledger.names.each().count() <= 66 && !ledger.names.overflowed);
    let counts = ledger.whole();
    let sum: u64 = counts.each().map(|(_, count)| u64::from(count.refused)).sum();
    assert_eq!((counts.of(read).allowed + counts.of(OTHERS).allowed, sum), (1, 2_001));
    let size: usize = notes(&world).await.iter().filter_map(|note| note.body.as_ref()).map(Vec::len).sum();
    assert!(size < 4_000, "{size} bytes");
}
