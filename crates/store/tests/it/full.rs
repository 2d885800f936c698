//! A disk that is really full (S-16).

use std::time::Duration;

use tenure_core::base::time::Span;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::due::DueKind;
use tenure_core::store::event::Event;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::{Outcome, Seal, Store};
use tenure_core::store::row::RowKind;
use tenure_store::SqliteStore;
use tenure_store::testing::SmallDisk;

use crate::support::*;

/// A row of some weight, which enables.
fn enabling(n: u128) -> Changeset {
    writes(n, 1, put(identity(&format!("i{n}")), 0, &"x".repeat(2_000), &["t=1"]))
}

/// A revocation that writes a row too.
fn taking_away(n: u128) -> Changeset {
    let mut changeset = writes(n, 1, put(key(RowKind::Cut, &format!("c{n}")), 0, "cut", &[]));
    let event = Event::new(changeset.id, EventKind::ScopeCut);
    changeset.events = vec![event];
    changeset
}

/// Writes what enables until there is no room; returns how many were acknowledged from `from` on.
async fn until_full(store: &SqliteStore, from: u128) -> u128 {
    for n in 0..100_000 {
        match store.commit(enabling(from + n)).await {
            Outcome::Committed(_) => {}
            Outcome::Full => return n,
            other => panic!("{other:?}"),
        }
    }
    panic!("the disk is never full")
}

async fn is_there(store: &SqliteStore, from: u128, n: u128) -> bool {
    let keys: Vec<_> = (from..from + n).map(|n| identity(&format!("i{n}"))).collect();
    let mut there = true;
    for keys in keys.chunks(500) {
        there &= store.load(keys).await.unwrap().rows.iter().all(Option::is_some);
    }
    there
}

#[tokio::test]
async fn s16_a_full_disk_takes_what_takes_away_and_nothing_else() {
    let disk = SmallDisk::new(80);
    disk.take(40);
    let path = disk.path().join("tenure.db");
    let store = sqlite(&path);
    committed(store.commit(enabling(1)).await);
    assert!(!store.is_full());
    // By its own rows first: no neighbour is needed to fill a disk.
    let acknowledged = until_full(&store, 100).await;
    assert!(acknowledged > 300 && store.is_full(), "{acknowledged}");
    disk.fill();
    assert_eq!(store.commit(enabling(50)).await, Outcome::Full);

    for n in 0..2_000 {
        committed(store.commit(taking_away(1_000_000 + n)).await);
    }
    assert_eq!(store.commit(enabling(50)).await, Outcome::Full, "what was freed is not for what enables");
    let mut smuggled = taking_away(60);
    smuggled.puts.push(put(key(RowKind::Credential, "crd_1"), 0, "{}", &[]));
    assert_eq!(store.commit(smuggled).await, Outcome::Full, "nor for what is hidden in a revocation");

    // The log is sealed, deadlines are worked on and what has ended is dropped meanwhile.
    let size = store.head().await.unwrap().size;
    let seal = Seal {
        from: 0,
        size,
        frontier: vec![1; 500],
        checkpoint: "checkpoint".into(),
        tiles: (0..size / 256).map(|index| (0, index, vec![7; 8_192])).collect(),
        at: secs(1),
    };
    assert!(store.seal(seal).await.unwrap());
    let due = taking_away(70)
        .with(|c| c.due.push(tenure_core::store::changeset::DueChange::Set(DueKind::Receipt, "rcp_1".into(), secs(1))));
    committed(store.commit(due).await);
    assert_eq!(store.claim(DueKind::Receipt, secs(2), Span::from_secs(30), 1).await.unwrap().len(), 1);
    store.purge(secs(2), 100).await.unwrap();

    // Stopped and started on the full disk, everything that was acknowledged is there, and it still takes revocations.
    drop(store);
    // Stopping gave the WAL's space back: somebody else takes it.
    disk.fill();
    let store = sqlite(&path);
    assert!(is_there(&store, 100, acknowledged).await);
    committed(store.commit(taking_away(80)).await);
    assert_eq!(store.commit(enabling(50)).await, Outcome::Full);

    // With room, all is as it was, the reserve included.
    disk.make_room();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while store.is_full() {
        assert!(std::time::Instant::now() < deadline, "there is room and it is not used");
        let _ = store.commit(taking_away(90)).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    committed(store.commit(enabling(50)).await);
    assert_eq!(path.with_extension("db.reserve").metadata().unwrap().len(), 16 << 20);
}

#[tokio::test]
async fn s16_a_batch_of_both_sorts_keeps_what_takes_away() {
    let disk = SmallDisk::new(40);
    let store = sqlite(&disk.path().join("tenure.db"));
    committed(store.commit(enabling(1)).await);
    until_full(&store, 100).await;
    disk.fill();
    // All at once, so that the writer finds them together.
    let (mut enable, mut take) = (Vec::new(), Vec::new());
    for n in 0..50 {
        enable.push(store.commit(enabling(1_000_000 + n)));
        take.push(store.commit(taking_away(2_000_000 + n)));
    }
    let both = futures_util::future::join(futures_util::future::join_all(enable), futures_util::future::join_all(take));
    let (enabled, taken) = both.await;
    assert!(enabled.iter().all(|outcome| *outcome == Outcome::Full), "{enabled:?}");
    assert!(taken.iter().all(|outcome| matches!(outcome, Outcome::Committed(_))), "{taken:?}");
}

#[tokio::test]
async fn s16_the_reserve_is_really_there() {
    use std::os::unix::fs::MetadataExt;
    let (_folder, path) = database_file();
    let reserve = path.with_extension("db.reserve");
    // A file with holes reserves nothing.
    std::fs::File::create(&reserve).unwrap().set_len(16 << 20).unwrap();
    let store = sqlite(&path);
    committed(store.commit(changeset(1, secs(1))).await);
    let made = reserve.metadata().unwrap();
    assert!(made.len() == 16 << 20 && made.blocks() * 512 >= 16 << 20, "{made:?}");
    drop(store);
}

#[tokio::test]
async fn s16_a_disk_that_was_full_at_the_start_is_opened() {
    let disk = SmallDisk::new(40);
    let path = disk.path().join("tenure.db");
    let store = sqlite(&path);
    committed(store.commit(enabling(1)).await);
    drop(store);
    disk.fill();
    let store = sqlite(&path);
    committed(store.commit(taking_away(2)).await);
    assert!(is_there(&store, 1, 1).await);
}
