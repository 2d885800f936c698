//! Entries that were archived are read as before, take a part of the space, and count only if they are what was sealed.

use tenure_core::store::port::{LogEntry, Seal, Store, StoreError};
use tenure_log::TileBuilder;
use tenure_store::SqliteStore;
use tenure_store::testing::TestSealer;

use crate::support::*;

/// Entries in a bundle.
const WIDTH: u64 = 256;

/// Commits so many entries, some with a personal value, and seals them.
async fn filled(store: &dyn Store, entries: u128) {
    for n in 0..entries {
        let c = changeset(n + 1, secs(i64::try_from(n).unwrap())).with(|c| {
            if n % 50 == 7 {
                c.events[0].personal.push(personal(&format!("per_{n}"), "name", "Ada"));
            }
        });
        committed(store.commit(c).await);
    }
    seal(store).await;
}

async fn seal(store: &dyn Store) {
    let mut tree = TileBuilder::new();
    let mut tiles = Vec::new();
    for entry in all(store).await {
        tree.append(tenure_log::leaf_hash(&entry.leaf), |tile, bytes| tiles.push((tile.level, tile.index, bytes)));
    }
    let from = store.sealed().await.unwrap().map_or(0, |sealed| sealed.size);
    let seal = Seal { from, size: tree.size(), frontier: Vec::new(), checkpoint: String::new(), tiles, at: secs(1) };
    assert!(store.seal(seal).await.unwrap());
}

async fn all(store: &dyn Store) -> Vec<LogEntry> {
    let mut entries: Vec<LogEntry> = Vec::new();
    loop {
        let page = store.entries(entries.len() as u64, 100).await.unwrap();
        if page.is_empty() {
            return entries;
        }
        entries.extend(page);
    }
}

#[tokio::test]
async fn what_is_archived_is_read_as_before() {
    for engine in engines().await {
        let (store, name) = (&*engine.store, engine.name);
        filled(store, 700).await;
        let before = all(store).await;
        assert_eq!(store.archived().await.unwrap(), 0, "{name}");
        for bundle in 0..2 {
            assert!(store.archive(bundle).await.unwrap(), "{name}");
            assert_eq!(store.archived().await.unwrap(), bundle + 1, "{name}");
        }
        assert!(!store.archive(2).await.unwrap(), "{name}: it isn't full");
        assert_eq!(all(store).await, before, "{name}");
        for (from, n) in
            [(0, 1), (255, 2), (256, 1), (300, 400), (511, 1), (512, 5), (511, 3), (0, 700), (699, 5), (700, 5)]
        {
            let wanted = before.iter().skip(from).take(n);
            let found = store.entries(from as u64, u16::try_from(n).unwrap()).await.unwrap();
            assert!(found.iter().eq(wanted), "{name}: {n} from {from}");
        }
        // Whoever is erased is erased there too.
        let erasing = changeset(9_001, secs(9)).with(|c| c.erase.push("per_57".into()));
        committed(store.commit(erasing).await);
        let entry = &store.entries(57, 1).await.unwrap()[0];
        assert!(entry.personal.is_empty() && entry.leaf == before[57].leaf, "{name}");
    }
}

#[tokio::test]
async fn a_bundle_that_is_missing_cut_or_swapped_is_no_part_of_the_log() {
    let (_folder, path) = database_file();
    let store = sqlite(&path);
    filled(&store, 3 * u128::from(WIDTH)).await;
    let before = all(&store).await;
    for bundle in 0..2 {
        assert!(store.archive(bundle).await.unwrap());
    }
    drop(store);
    for alteration in [
        "DELETE FROM archive WHERE bundle = 0",
        "UPDATE archive SET bytes = substr(bytes, 1, length(bytes) - 9) WHERE bundle = 0",
        "UPDATE archive SET bytes = (SELECT bytes FROM archive WHERE bundle = 1) WHERE bundle = 0",
        "UPDATE archive SET bytes = x'' WHERE bundle = 0",
        "UPDATE tile SET bytes = zeroblob(8192) WHERE level = 0 AND idx = 0",
    ] {
        let copy = path.with_extension("copy");
        std::fs::copy(&path, &copy).unwrap();
        let by_hand = rusqlite::Connection::open(&copy).unwrap();
        assert_eq!(by_hand.execute(alteration, []).unwrap(), 1);
        drop(by_hand);
        let store = SqliteStore::open(&copy, TestSealer::new()).unwrap();
        // What comes first is not what was asked for: whoever reads on sees that it is missing.
        let read = store.entries(0, 10).await.unwrap();
        assert!(read.iter().all(|entry| entry.index >= WIDTH), "{alteration}");
        let behind = store.entries(WIDTH, 600).await.unwrap();
        assert!(behind.iter().eq(&before[256..]), "{alteration}");
    }
}

#[tokio::test]
async fn an_entry_that_was_altered_is_not_archived() {
    let (_folder, path) = database_file();
    let store = sqlite(&path);
    filled(&store, u128::from(WIDTH)).await;
    drop(store);
    let by_hand = rusqlite::Connection::open(&path).unwrap();
    let other = "UPDATE entry SET leaf = (SELECT leaf FROM entry WHERE place = 8) WHERE place = 7";
    assert_eq!(by_hand.execute(other, []).unwrap(), 1);
    drop(by_hand);
    let store = sqlite(&path);
    let refused = store.archive(0).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Unavailable(why) if why.contains("the entry 7 ")), "{refused}");
    assert_eq!(store.archived().await.unwrap(), 0);
}
