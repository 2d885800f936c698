//! Rows and lists of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use tenure_core::store::port::ListQuery;
use tenure_core::store::row::RowKind;

use crate::support::*;

fn query(terms: &[&str], after: Option<String>, limit: u16) -> ListQuery {
    let terms = terms.iter().map(|term| (*term).to_owned()).collect();
    ListQuery { terms, after, ..ListQuery::every(RowKind::Identity, limit) }
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
async fn the_newest_come_first_and_rows_of_some_terms_are_left_out() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        for n in 0..9_u128 {
            let voted = if n % 3 == 0 { &["t=1", "voted=a"][..] } else { &["t=1"] };
            committed(store.commit(writes(n + 1, 1, put(identity(&format!("i{n}")), 0, "1", voted))).await);
        }
        committed(store.commit(writes(50, 1, put(key(RowKind::Application, "z"), 0, "1", &["t=1"]))).await);
        committed(store.commit(writes(51, 1, put(key(RowKind::Vendor, "a"), 0, "1", &["t=1"]))).await);
        let ids = async |without: &[&str], after: Option<&str>, newest_first: bool, limit: u16| {
            let without = without.iter().map(|term| (*term).to_owned()).collect();
            let query = ListQuery { without, newest_first, ..query(&["t=1"], after.map(str::to_owned), limit) };
            let page = store.list(&query).await.unwrap();
            page.rows.iter().map(|row| row.key.id.clone()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(ids(&[], None, true, 3).await, "i8 i7 i6", "{name}");
        assert_eq!(ids(&[], Some("i6"), true, 3).await, "i5 i4 i3", "{name}");
        assert_eq!(ids(&[], Some("i0"), true, 3).await, "", "{name}");
        assert_eq!(ids(&["voted=a"], None, false, 9).await, "i1 i2 i4 i5 i7 i8", "{name}");
        assert_eq!(ids(&["voted=a"], Some("i7"), true, 3).await, "i5 i4 i2", "{name}");
        assert_eq!(ids(&["voted=b", "voted=a"], Some("i2"), false, 2).await, "i4 i5", "{name}");
        let all = ListQuery { without: vec!["voted=a".into()], newest_first: true, ..query(&[], None, 2) };
        let page = store.list(&all).await.unwrap();
        assert_eq!(page.rows.iter().map(|row| row.key.id.as_str()).collect::<Vec<_>>(), ["i8", "i7"], "{name}");
        assert_eq!(page.next.as_deref(), Some("i7"), "{name}");
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
