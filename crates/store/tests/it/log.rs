//! The log: exact leaves, erasure beside them, sealing.

use tenure_core::store::port::Seal;
use tenure_core::store::row::RowKind;
use tenure_log::{Leaf, commit, leaf_hash};

use crate::support::*;

#[tokio::test]
async fn the_first_events_leaf_names_the_rows() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        let c = writes(1, 1, put(identity("a"), 0, "body", &[])).with(|c| {
            let more = changeset(2, secs(1)).events.remove(0);
            c.puts.push(put(key(RowKind::Cut, "app/1"), 0, "cut", &[]));
            c.event(more);
        });
        let done = committed(store.commit(c).await);
        let entries = store.entries(0, 10).await.unwrap();
        let hashes: Vec<_> = entries.iter().map(|entry| leaf_hash(&entry.leaf)).collect();
        assert_eq!(hashes, done.leaf_hashes(), "{name}");
        assert_eq!(store.leaf_hashes(0, 10).await.unwrap(), hashes, "{name}");
        let leaves: Vec<Leaf> = entries.iter().map(|entry| Leaf::parse(&entry.leaf).unwrap()).collect();
        let rows: Vec<_> =
            leaves[0].rows.iter().map(|row| (row.kind.as_str(), row.id.as_str(), row.revision)).collect();
        assert_eq!(rows, [("identity", "a", 1), ("cut", "app/1", 1)], "{name}");
        assert!(leaves[1].rows.is_empty(), "{name}");
        assert_eq!(store.leaf_hashes(1, 10).await.unwrap(), done.leaf_hashes()[1..], "{name}");
        assert!(store.entries(2, 10).await.unwrap().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn erasure_keeps_leaf_and_hash() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        let c = changeset(1, secs(1)).with(|c| {
            c.events[0].personal = vec![
                personal("per_1", "name", "Ada"),
                personal("per_2", "name", "Grace"),
                personal("per_1", "email", "a@b"),
            ];
        });
        committed(store.commit(c).await);
        let before = store.entries(0, 1).await.unwrap().remove(0);
        assert_eq!(
            before.personal.iter().map(|p| p.field.as_str()).collect::<Vec<_>>(),
            ["email", "name", "name#2"],
            "{name}"
        );
        let leaf = Leaf::parse(&before.leaf).unwrap();
        assert!(
            before.personal.iter().all(|p| leaf.personal[&p.field] == commit(&p.salt, &p.field, &p.value)),
            "{name}"
        );

        let erasing = changeset(2, secs(2)).with(|c| {
            c.erase.push("per_1".into());
            c.events[0].personal.push(personal("per_1", "name", "Ada"));
        });
        committed(store.commit(erasing).await);
        let after = store.entries(0, 2).await.unwrap();
        assert_eq!(after[0].leaf, before.leaf, "{name}");
        assert_eq!(after[0].personal.iter().map(|p| p.value.as_str()).collect::<Vec<_>>(), ["Grace"], "{name}");
        assert!(after[1].personal.is_empty(), "{name}: what the erasing event itself brought goes too");
        committed(
            store
                .commit(changeset(3, secs(3)).with(|c| c.events[0].personal.push(personal("per_1", "name", "Eve"))))
                .await,
        );
        assert_eq!(store.entries(2, 1).await.unwrap()[0].personal.len(), 1, "{name}: later values are later values");
    }
}

#[tokio::test]
async fn the_log_is_sealed_by_one() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        let seal = |from: u64, size: u64| Seal {
            from,
            size,
            frontier: vec![u8::try_from(size).unwrap()],
            checkpoint: format!("tenure\n{size}\n"),
            tiles: vec![(0, from, vec![1, 2, 3]), (1, from, vec![u8::try_from(size).unwrap()])],
            at: secs(1),
        };
        assert_eq!(store.sealed().await.unwrap(), None, "{name}");
        assert!(!store.seal(seal(3, 5)).await.unwrap(), "{name}");
        assert!(store.seal(seal(0, 5)).await.unwrap(), "{name}");
        assert!(!store.seal(seal(0, 7)).await.unwrap(), "{name}: somebody else was first");
        assert_eq!(store.tile(1, 0).await.unwrap(), Some(vec![5]), "{name}: the loser wrote nothing");
        assert!(store.seal(seal(5, 9)).await.unwrap(), "{name}");
        let sealed = store.sealed().await.unwrap().unwrap();
        assert_eq!(
            (sealed.size, sealed.checkpoint.as_str(), sealed.frontier, sealed.at),
            (9, "tenure\n9\n", vec![9], secs(1)),
            "{name}"
        );
        assert_eq!(store.tile(0, 5).await.unwrap(), Some(vec![1, 2, 3]), "{name}");
        assert_eq!(store.tile(3, 0).await.unwrap(), None, "{name}");
    }
}

#[tokio::test]
async fn growth_is_noticed() {
    for engine in engines().await {
        let store = std::sync::Arc::clone(&engine.store);
        let waiting = tokio::spawn(async move {
            while store.head().await.unwrap().size == 0 {
                store.grown(0).await;
                tokio::task::yield_now().await;
            }
        });
        committed(engine.store.commit(changeset(1, secs(1))).await);
        waiting.await.unwrap();
    }
}
