use std::sync::Arc;
use std::time::Duration;

use tenure_core::base::id::TeamId;
use tenure_core::people::team::Team;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::RowKind;
use tenure_core::store::state_digest::{DigestChunk, Slot};

use tenure_log::Leaf;
use tokio::sync::watch;

use crate::kernel::Kernel;
use crate::kernel::work::system;
use crate::log::seal;
use crate::log::seal::tests::world;
use crate::state::verification;
use crate::state::verify::{self, Extent};

/// More than one commit of a digest holds, by what one leaf names.
const TEAMS: u128 = 10_100;
const AT_ONCE: u128 = 400;

/// What was read of the log, and whether nothing was wrong.
async fn verified(engine: &Kernel, extent: Extent) -> (u64, bool) {
    let (report, _) = verify::check_state(engine, extent).await.unwrap();
    (report.from, report.faults.is_empty() && report.further == 0)
}

#[tokio::test]
async fn a05_a_digest_of_many_rows_is_written_in_parts_and_counts_while_it_is_whole() {
    let world = world().await;
    let engine = &world.engine;
    let change = |now| Changeset::new(system(), now, engine.event(now, EventKind::PersonChanged));
    for first in (0..TEAMS).step_by(usize::try_from(AT_ONCE).unwrap()) {
        let now = engine.now();
        let mut changeset = change(now);
        for n in first..TEAMS.min(first + AT_ONCE) {
            changeset.insert(&Team {
                id: TeamId::from_u128(n + 1),
                name: format!("team {n}"),
                source: None,
                created_at: now,
            });
        }
        engine.settle(changeset).await.unwrap().unwrap();
    }
    // A log that has hardly grown is read as quickly.
    assert!(verification::verify_by_itself(engine).await.unwrap().faults.is_empty());
    assert_eq!(verified(engine, Extent::SinceDigest).await, (0, true));
    for _ in 0..100 {
        engine.settle(change(engine.now())).await.unwrap().unwrap();
    }
    let entries = seal::seal_now(engine).await.unwrap();
    assert!(verification::verify_by_itself(engine).await.unwrap().faults.is_empty());
    let dump = world.store.dump();
    let parts = |kind: &str| dump.entries.iter().filter(|entry| Leaf::parse(&entry.leaf).unwrap().kind == kind).count();
    assert_eq!((parts("state.digest_begun"), parts("state.digested")), (1, 1));
    assert_eq!(verified(engine, Extent::SinceDigest).await, (entries, true));
    assert_eq!(verified(engine, Extent::Full).await, (0, true));
    // The next one has begun, and whoever wrote it is gone.
    let chunk = |slot| DigestChunk { slot, number: 0, rows: Vec::new() };
    let mut changeset = change(engine.now());
    changeset.insert(&chunk(Slot::Odd));
    engine.settle(changeset).await.unwrap().unwrap();
    assert_eq!(verified(engine, Extent::SinceDigest).await, (entries, true));
    // One whose chunks are others says nothing, and nothing is wrong with the state.
    let keys = [DigestChunk::row_key(Slot::Even, 0)];
    let stored = engine.store.load(&keys).await.unwrap().get::<DigestChunk>(0).unwrap().unwrap();
    let mut changeset = change(engine.now());
    changeset.replace(&stored, &chunk(Slot::Even));
    engine.settle(changeset).await.unwrap().unwrap();
    assert_eq!(verified(engine, Extent::SinceDigest).await, (0, true));
}

#[tokio::test]
async fn others_come_to_their_turn_while_the_state_is_verified() {
    let world = world().await;
    world.fill(8_000, EventKind::PersonChanged).await;
    let turns = std::cell::Cell::new(0);
    let others = async {
        loop {
            turns.set(turns.get() + 1);
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = others => {}
        report = verify::check_state(&world.engine, Extent::Full) => assert!(report.unwrap().0.entries >= 8_000),
    }
    // One for each 500 entries that are read.
    assert!(turns.get() > 16, "{}", turns.get());
}

#[tokio::test]
async fn a_verification_ends_with_the_server_that_makes_it() {
    let world = world().await;
    world.fill(8_000, EventKind::PersonChanged).await;
    let (stop, stopped) = watch::channel(false);
    let stopping = async {
        // By then it has begun, and is somewhere in its midst.
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        stop.send(true).unwrap();
    };
    tokio::join!(verification::run_after(Duration::ZERO, Arc::clone(&world.engine), stopped), stopping);
    let digests = world.store.dump().rows.into_keys().filter(|key| key.kind == RowKind::StateDigest).count();
    assert_eq!(digests, 0, "it wasn't ended");
}
