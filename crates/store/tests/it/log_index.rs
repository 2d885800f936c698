//! The log's index: segments that count by one decision, pages that are staged and dropped, single entries.

use std::sync::Arc;

use tenure_core::store::log_index::{Segment, SegmentChange};
use tenure_core::store::port::Store;

use crate::support::*;

fn segment(build: u64, from: u64, to: u64) -> Segment {
    Segment { build, from, to, header: Some(vec![u8::try_from(build).unwrap(); 3]) }
}

fn adds(version: u64, segment: Segment, remove: &[u64]) -> SegmentChange {
    SegmentChange { version, add: Some(segment), remove: remove.to_vec() }
}

async fn listed(store: &dyn Store, known: &[u64]) -> (u64, Vec<Segment>) {
    let list = store.segments(known).await.unwrap();
    (list.version, list.segments)
}

#[tokio::test]
async fn segments_count_from_one_decision_on() {
    for engine in engines().await {
        let (store, name) = (&*engine.store, engine.name);
        assert_eq!(listed(store, &[]).await, (0, vec![]), "{name}");
        store.stage_pages(1, 0, &[b"a".to_vec(), b"b".to_vec()]).await.unwrap();
        store.stage_pages(1, 2, &[b"c".to_vec()]).await.unwrap();
        assert_eq!(listed(store, &[]).await, (0, vec![]), "{name}: staged pages count for nothing");
        assert!(store.change_segments(adds(0, segment(1, 0, 8), &[])).await.unwrap(), "{name}");
        assert!(!store.change_segments(adds(0, segment(2, 0, 8), &[])).await.unwrap(), "{name}: at another version");
        assert_eq!(listed(store, &[]).await, (1, vec![segment(1, 0, 8)]), "{name}");
        assert_eq!(listed(store, &[1]).await.1, [Segment { header: None, ..segment(1, 0, 8) }], "{name}: it is known");
        let pages = store.segment_pages(&[(1, 2), (1, 3), (1, 0), (2, 0)]).await.unwrap();
        assert_eq!(pages, [Some(b"c".to_vec()), None, Some(b"a".to_vec()), None], "{name}");
        store.stage_pages(1, 0, &[b"z".to_vec()]).await.unwrap();
        assert_eq!(store.segment_pages(&[(1, 0)]).await.unwrap(), [Some(b"z".to_vec())], "{name}: the last one stands");

        assert!(store.change_segments(adds(1, segment(3, 8, 16), &[])).await.unwrap(), "{name}");
        assert!(store.change_segments(adds(2, segment(2, 0, 4), &[])).await.unwrap(), "{name}");
        assert_eq!(
            listed(store, &[]).await,
            (3, vec![segment(1, 0, 8), segment(2, 0, 4), segment(3, 8, 16)]),
            "{name}"
        );
        assert!(store.change_segments(adds(3, segment(4, 0, 16), &[1, 2, 3, 77])).await.unwrap(), "{name}");
        assert_eq!(listed(store, &[]).await, (4, vec![segment(4, 0, 16)]), "{name}");
        let nothing = SegmentChange { version: 4, add: None, remove: vec![4] };
        assert!(store.change_segments(nothing).await.unwrap(), "{name}");
        assert_eq!(listed(store, &[]).await, (5, vec![]), "{name}");
    }
}

#[tokio::test]
async fn pages_that_count_for_nothing_are_dropped() {
    for engine in engines().await {
        let (store, name) = (&*engine.store, engine.name);
        for build in 1..=4 {
            let pages: Vec<Vec<u8>> = (0..5).map(|n| vec![n]).collect();
            store.stage_pages(build, 0, &pages).await.unwrap();
        }
        assert!(store.change_segments(adds(0, segment(2, 0, 8), &[])).await.unwrap(), "{name}");
        let there = async || {
            let asked: Vec<(u64, u32)> = (1..=4).map(|build| (build, 4)).collect();
            store.segment_pages(&asked).await.unwrap().iter().map(Option::is_some).collect::<Vec<_>>()
        };
        let drop_all = async |before| while store.drop_pages(before, 3).await.unwrap() > 0 {};
        drop_all(1).await;
        assert_eq!(there().await, [true; 4], "{name}");
        drop_all(4).await;
        assert_eq!(there().await, [false, true, false, true], "{name}");
        assert!(store.change_segments(adds(1, segment(4, 0, 8), &[2])).await.unwrap(), "{name}");
        drop_all(9).await;
        assert_eq!(there().await, [false, false, false, true], "{name}");
    }
}

#[tokio::test]
async fn single_entries_come_in_their_order() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        for n in 1..=5_u128 {
            let c = changeset(n, secs(1)).with(|c| c.events[0].personal = vec![personal("per_1", "name", "Ada")]);
            committed(store.commit(c).await);
        }
        let found = store.entries_at(&[4, 9, 0, 2, 4]).await.unwrap();
        assert_eq!(found.iter().map(|entry| entry.index).collect::<Vec<_>>(), [0, 2, 4], "{name}");
        let all = store.entries(0, 10).await.unwrap();
        assert!(
            found.iter().all(|entry| {
                let whole = &all[usize::try_from(entry.index).unwrap()];
                whole.leaf == entry.leaf && entry.personal.is_empty()
            }),
            "{name}"
        );
        assert!(store.entries_at(&[]).await.unwrap().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn of_several_changes_at_once_one_is_made() {
    for engine in engines().await {
        let changes: Vec<_> = (1..=8)
            .map(|build| {
                let store = Arc::clone(&engine.store);
                tokio::spawn(async move { store.change_segments(adds(0, segment(build, 0, 8), &[])).await.unwrap() })
            })
            .collect();
        let mut made = 0;
        for change in changes {
            made += u32::from(change.await.unwrap());
        }
        let (version, segments) = listed(&*engine.store, &[]).await;
        assert_eq!((made, version, segments.len()), (1, 1, 1), "{}", engine.name);
    }
}
