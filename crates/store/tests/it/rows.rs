//! Rows and lists of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use tenure_core::store::port::ListQuery;
use tenure_core::store::row::RowKind;

use crate::support::*;

fn query(terms: &[&str], after: Option<String>, limit: u16) -> ListQuery {
    ListQuery { kind: RowKind::Identity, terms: terms.iter().map(|term| (*term).to_owned()).collect(), after, limit }
}

#[tokio::test]
async fn terms_follow_their_row() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        let ids = async |terms: &[&str]| {
            let page = store.list(&query(terms, None, 10)).await.unwrap();
            page.rows.iter().map(|row| row.key.id.clone()).collect::<Vec<_>>()
        };
        committed(store.commit(writes(1, 1, put(identity("a"), 0, "1", &["state=active", "owner=x"]))).await);
        committed(store.commit(writes(2, 1, put(identity("b"), 0, "1", &["state=active", "owner=y"]))).await);
        committed(store.commit(writes(3, 1, put(key(RowKind::Grant, "c"), 0, "1", &["state=active"]))).await);
        assert_eq!(ids(&[]).await, ["a", "b"], "{name}");
        assert_eq!(ids(&["state=active"]).await, ["a", "b"], "{name}");
        assert_eq!(ids(&["state=active", "owner=y"]).await, ["b"], "{name}");
        committed(store.commit(writes(4, 1, put(identity("a"), 1, "2", &["state=retired", "owner=x"]))).await);
        assert_eq!(ids(&["state=active"]).await, ["b"], "{name}");
        assert_eq!(ids(&["owner=x", "state=retired"]).await, ["a"], "{name}");
        committed(store.commit(writes(5, 1, put(identity("a"), 2, "3", &[]))).await);
        assert_eq!(ids(&["owner=x"]).await, Vec::<String>::new(), "{name}");
    }
}

#[tokio::test]
async fn pages_miss_and_repeat_nothing_while_others_write() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        for n in 0..40_u128 {
            committed(store.commit(writes(n + 1, 1, put(identity(&format!("i{n:03}")), 0, "1", &["t=1"]))).await);
        }
        let others = {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                for n in 0..40_u128 {
                    committed(
                        store.commit(writes(n + 101, 1, put(identity(&format!("i{n:03}x")), 0, "1", &["t=1"]))).await,
                    );
                    committed(
                        store.commit(writes(n + 201, 1, put(identity(&format!("i{n:03}")), 1, "2", &["t=1"]))).await,
                    );
                }
            })
        };
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = store.list(&query(&["t=1"], after, 7)).await.unwrap();
            seen.extend(page.rows.iter().map(|row| row.key.id.clone()));
            after = page.next;
            if after.is_none() {
                break;
            }
            tokio::task::yield_now().await;
        }
        others.await.unwrap();
        let distinct: BTreeSet<_> = seen.iter().cloned().collect();
        assert_eq!(distinct.iter().cloned().collect::<Vec<_>>(), seen, "{name}: in order and without repeats");
        assert!((0..40).all(|n| distinct.contains(&format!("i{n:03}"))), "{name}: what stood all along is seen");
    }
}

/// Two rows that are always written together are never seen at different revisions, and a read's head is never later
/// than its rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_read_together() {
    for engine in engines().await {
        let name = engine.name;
        let both = |id: u128, revision: u64| {
            changeset(id, secs(1)).with(|c| {
                c.puts = vec![put(identity("a"), revision, "1", &[]), put(key(RowKind::Cut, "b"), revision, "1", &[])];
                // A kind that isn't cached.
                c.puts.push(put(key(RowKind::Credential, "c"), revision, "1", &[]));
            })
        };
        committed(engine.store.commit(both(1, 0)).await);
        let store = Arc::clone(&engine.store);
        let writer = tokio::spawn(async move {
            for n in 1..200_u64 {
                committed(store.commit(both(u128::from(n) + 1, n)).await);
            }
        });
        let keys = [identity("a"), key(RowKind::Cut, "b"), key(RowKind::Credential, "c"), key(RowKind::Hold, "none")];
        while !writer.is_finished() {
            let found = engine.store.load(&keys).await.unwrap();
            let revisions: Vec<u64> = found.rows.iter().flatten().map(|row| row.revision).collect();
            assert_eq!(revisions.len(), 3, "{name}");
            assert!(
                revisions.iter().all(|revision| *revision == revisions[0] && *revision >= found.head),
                "{name}: {revisions:?}, {}",
                found.head
            );
            tokio::task::yield_now().await;
        }
        writer.await.unwrap();
    }
}
