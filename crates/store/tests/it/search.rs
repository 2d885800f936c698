//! The index of records: what changed, where documents stand, segments that count by one decision.

use tenure_core::base::time::{Span, Timestamp};
use tenure_core::store::port::Store;
use tenure_core::store::row::RowKind;
use tenure_core::store::search::{ChangedRecord, PlacedRecord, SearchChange, SearchSegment, SearchState};

use crate::support::*;

const KIND: RowKind = RowKind::Identity;
const IDS: [&str; 3] =
    ["idn_00000000000000000000000001", "idn_00000000000000000000000002", "idn_00000000000000000000000003"];

fn segment(build: u64, from: u64, to: u64) -> SearchSegment {
    SearchSegment { build, from, to, header: Some(vec![7; 3]), dead: 0, dead_bits: Some(Vec::new()) }
}

fn placed(id: &str, revision: u64, place: u64) -> PlacedRecord {
    PlacedRecord { id: id.to_owned(), revision, place }
}

fn change(version: u64, next: u64, put: Vec<SearchSegment>, placed: Vec<PlacedRecord>) -> SearchChange {
    SearchChange { kind: KIND, version, next, put, remove: Vec::new(), placed }
}

async fn state(store: &dyn Store, known: &[(u64, u32)]) -> SearchState {
    store.search().search_state(KIND, known, 100).await.unwrap()
}

async fn changed(store: &dyn Store) -> Vec<(String, u64, Option<u64>)> {
    let told = |changed: ChangedRecord| (changed.id, changed.revision, changed.place);
    state(store, &[]).await.changed.into_iter().map(told).collect()
}

fn told(id: &str, revision: u64, place: Option<u64>) -> (String, u64, Option<u64>) {
    (id.to_owned(), revision, place)
}

#[tokio::test]
async fn what_changed_is_noted_until_it_is_folded() {
    for engine in engines().await {
        let (store, name) = (&*engine.store, engine.name);
        assert_eq!(state(store, &[]).await, SearchState::default(), "{name}");
        for (n, id) in (1..).zip(IDS) {
            committed(store.commit(writes(n, 1, put(identity(id), 0, "{}", &[]))).await);
        }
        // Nobody looks for these by words.
        committed(store.commit(writes(9, 1, put(key(RowKind::Grant, "gra_1"), 0, "{}", &[]))).await);
        assert_eq!(changed(store).await, IDS.map(|id| told(id, 1, None)), "{name}");
        assert_eq!(store.search().search_state(KIND, &[], 1).await.unwrap().changed.len(), 2, "{name}: one more");
        assert_eq!(store.search().search_state(RowKind::Team, &[], 9).await.unwrap(), SearchState::default(), "{name}");

        let fold = change(0, 2, vec![segment(5, 0, 2)], vec![placed(IDS[0], 1, 0), placed(IDS[1], 1, 1)]);
        assert!(store.search().change_search(fold.clone()).await.unwrap(), "{name}");
        assert!(!store.search().change_search(fold).await.unwrap(), "{name}: at another version");
        assert_eq!(changed(store).await, [told(IDS[2], 1, None)], "{name}");
        let known = state(store, &[(5, 0)]).await;
        assert_eq!((known.version, known.next), (1, 2), "{name}");
        let of_known = SearchSegment { header: None, dead_bits: None, ..segment(5, 0, 2) };
        assert_eq!(known.segments, [of_known], "{name}");
        assert_eq!(state(store, &[]).await.segments, [segment(5, 0, 2)], "{name}");

        // Written twice, and folded as it was between the two.
        committed(store.commit(writes(11, 2, put(identity(IDS[0]), 1, "{\"a\":1}", &[]))).await);
        committed(store.commit(writes(12, 2, put(identity(IDS[0]), 2, "{\"a\":2}", &[]))).await);
        assert_eq!(changed(store).await, [told(IDS[0], 3, Some(0)), told(IDS[2], 1, None)], "{name}");
        let dead = SearchSegment { header: None, dead: 1, dead_bits: Some(vec![1]), ..segment(5, 0, 2) };
        let fold = change(1, 3, vec![dead, segment(6, 2, 3)], vec![placed(IDS[0], 2, 2)]);
        assert!(store.search().change_search(fold).await.unwrap(), "{name}");
        assert_eq!(changed(store).await, [told(IDS[0], 3, Some(2)), told(IDS[2], 1, None)], "{name}");
        let more_dead = state(store, &[(5, 0), (6, 0)]).await.segments;
        let bits = SearchSegment { header: None, dead: 1, dead_bits: Some(vec![1]), ..segment(5, 0, 2) };
        assert_eq!(more_dead, [bits, SearchSegment { header: None, dead_bits: None, ..segment(6, 2, 3) }], "{name}");
        let whole = SearchSegment { dead: 1, dead_bits: Some(vec![1]), ..segment(5, 0, 2) };
        assert_eq!(state(store, &[]).await.segments[0], whole, "{name}: its header stands");

        let gone = SearchChange { remove: vec![5, 77], ..change(2, 3, Vec::new(), Vec::new()) };
        assert!(store.search().change_search(gone).await.unwrap(), "{name}");
        assert_eq!(state(store, &[]).await.segments, [segment(6, 2, 3)], "{name}");
    }
}

#[tokio::test]
async fn what_stands_at_a_place_is_folded_again() {
    for engine in engines().await {
        let (store, name) = (&*engine.store, engine.name);
        for (n, id) in (1..).zip(IDS) {
            committed(store.commit(writes(n, 1, put(identity(id), 0, "{}", &[]))).await);
        }
        let all = (0..).zip(IDS).map(|(place, id)| placed(id, 1, place)).collect();
        assert!(store.search().change_search(change(0, 3, vec![segment(5, 0, 3)], all)).await.unwrap(), "{name}");
        assert_eq!(changed(store).await, [], "{name}");
        let mut after: Option<String> = None;
        let mut looks = 0;
        loop {
            after = store.search().fold_again(KIND, 1..3, after.as_deref(), 2).await.unwrap();
            looks += 1;
            if after.is_none() {
                break;
            }
        }
        assert!(looks <= 3, "{name}: {looks}");
        assert_eq!(changed(store).await, [told(IDS[1], 1, Some(1)), told(IDS[2], 1, Some(2))], "{name}");
    }
}

#[tokio::test]
async fn every_record_is_folded_anew_wherever_it_stands() {
    for engine in engines().await {
        let (store, name) = (&*engine.store, engine.name);
        for (n, id) in (1..).zip(IDS) {
            committed(store.commit(writes(n, 1, put(identity(id), 0, "{}", &[]))).await);
        }
        let first = vec![placed(IDS[0], 1, 0)];
        assert!(store.search().change_search(change(0, 1, vec![segment(5, 0, 1)], first)).await.unwrap(), "{name}");
        let (mut after, mut looks) = (None::<String>, 0);
        loop {
            after = store.search().fold_anew(KIND, after.as_deref(), 2).await.unwrap();
            looks += 1;
            if after.is_none() {
                break;
            }
        }
        assert!(looks <= IDS.len() / 2 + 2, "{name}: {looks}");
        let noted: Vec<String> = changed(store).await.into_iter().map(|record| record.0).collect();
        assert_eq!(noted, IDS.map(str::to_owned), "{name}");
    }
}

#[tokio::test]
async fn pages_of_segments_are_kept_and_those_of_none_go() {
    for engine in engines().await {
        let (store, name) = (&*engine.store, engine.name);
        for build in [5, 6] {
            store.stage_pages(build, 0, &[vec![1]]).await.unwrap();
        }
        assert!(store.search().change_search(change(0, 2, vec![segment(5, 0, 2)], Vec::new())).await.unwrap());
        while store.drop_pages(100, 3).await.unwrap() > 0 {}
        let pages = async || store.segment_pages(&[(5, 0), (6, 0)]).await.unwrap();
        assert_eq!(pages().await, [Some(vec![1]), None], "{name}");
        let gone = SearchChange { remove: vec![5], ..change(1, 2, Vec::new(), Vec::new()) };
        assert!(store.search().change_search(gone).await.unwrap(), "{name}");
        while store.drop_pages(100, 3).await.unwrap() > 0 {}
        assert_eq!(pages().await, [None, None], "{name}");
    }
}

#[tokio::test]
async fn a_use_on_another_day_changes_the_order_and_one_on_the_same_day_does_not() {
    for engine in engines().await {
        let (store, name) = (&*engine.store, engine.name);
        committed(store.commit(writes(1, 1, put(identity(IDS[0]), 0, "{}", &[]))).await);
        let folded = change(0, 1, vec![segment(5, 0, 1)], vec![placed(IDS[0], 1, 0)]);
        assert!(store.search().change_search(folded).await.unwrap(), "{name}");
        let mut version = 1;
        let mut noted = async |at: Timestamp| {
            store.touch(&[(IDS[0].to_owned(), at), ("idn_x".to_owned(), at)]).await.unwrap();
            let changed = changed(store).await.len();
            let again = change(version, 1, Vec::new(), vec![placed(IDS[0], 1, 0)]);
            assert!(store.search().change_search(again).await.unwrap());
            version += 1;
            changed
        };
        let begun = secs(86_400 * 7);
        assert_eq!(noted(begun).await, 1, "{name}: never used before");
        // One day begins somewhere within the next.
        let mut moved = 0;
        for hour in 1..=24 {
            moved += noted(begun.plus(Span::from_mins(60 * hour))).await;
        }
        assert_eq!(moved, 1, "{name}");
        assert_eq!(noted(begun).await, 0, "{name}: earlier than what is known");
        let each = store.last_used_each(&["idn_none".into(), IDS[0].into(), "idn_x".into()]).await.unwrap();
        let last = begun.plus(Span::from_days(1));
        assert_eq!(each, [None, Some(last), Some(last)], "{name}");
    }
}

#[tokio::test]
async fn a_segment_of_any_number_is_listed_and_goes() {
    // Numbers that only somebody else writes are negative in their column.
    for engine in engines().await {
        let (store, name) = (&*engine.store, engine.name);
        let builds = [u64::MAX, 1 << 63, 5];
        let put = builds.iter().zip(0..).map(|(build, n)| segment(*build, n, n + 1)).collect();
        assert!(store.search().change_search(change(0, 3, put, Vec::new())).await.unwrap(), "{name}");
        let listed = state(store, &[]).await.segments;
        assert_eq!(listed.iter().map(|segment| segment.build).collect::<Vec<_>>(), builds, "{name}");
        assert!(listed.iter().all(|segment| segment.header.as_deref() == Some(&[7; 3])), "{name}");
        let gone = SearchChange { remove: builds.to_vec(), ..change(1, 3, Vec::new(), Vec::new()) };
        assert!(store.search().change_search(gone).await.unwrap(), "{name}");
        assert!(state(store, &[]).await.segments.is_empty(), "{name}");
    }
}
