//! What a commit demands and what it does, on every engine.

use tenure_core::base::id::EventId;
use tenure_core::store::changeset::{DueChange, Expect, Spend};
use tenure_core::store::event::Event;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::{Conflict, Outcome};
use tenure_core::store::row::{Position, RowKind};
use tenure_store::MemoryStore;
use tenure_store::testing::TestSealer;

use crate::support::*;

fn on(row: &str) -> Outcome {
    Outcome::Conflict(Conflict::Row(identity(row)))
}

#[tokio::test]
async fn revisions_and_absences_are_demanded() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        let first = committed(store.commit(writes(1, 1, put(identity("a"), 0, "1", &[]))).await);
        assert_eq!(first.position(), Position::at(0), "{name}");
        assert_eq!(
            store.commit(writes(2, 1, put(identity("a"), 0, "2", &[]))).await,
            on("a"),
            "{name}: there is one already"
        );
        assert_eq!(store.commit(writes(3, 1, put(identity("b"), 1, "2", &[]))).await, on("b"), "{name}: there is none");
        assert_eq!(
            store.commit(writes(4, 1, put(identity("a"), 2, "2", &[]))).await,
            on("a"),
            "{name}: not that revision"
        );
        committed(store.commit(writes(5, 1, put(identity("a"), 1, "2", &[]))).await);
        assert_eq!(
            store.commit(expects(6, 1, Expect::Revision(identity("a"), 1))).await,
            on("a"),
            "{name}: it was read before"
        );
        assert_eq!(store.commit(expects(7, 1, Expect::Absent(identity("a")))).await, on("a"), "{name}");
        committed(store.commit(expects(8, 1, Expect::Revision(identity("a"), 2))).await);
        committed(store.commit(expects(9, 1, Expect::Absent(identity("b")))).await);
        let both = changeset(10, secs(1))
            .with(|c| c.puts = vec![put(identity("c"), 0, "1", &[]), put(identity("c"), 1, "2", &[])]);
        assert_eq!(store.commit(both).await, on("c"), "{name}: a row is written once");

        let found = store.load(&[identity("a"), identity("b"), identity("c")]).await.unwrap();
        let row = found.rows[0].as_ref().unwrap();
        assert_eq!(
            (row.revision, row.created.index, row.position.index, row.body.as_slice()),
            (2, 0, 1, b"2".as_slice()),
            "{name}"
        );
        assert!(found.rows[1].is_none() && found.rows[2].is_none(), "{name}");
        assert_eq!(found.head, 4, "{name}: the rejected left no entry");
    }
}

#[tokio::test]
async fn a_key_is_used_once_until_it_is_forgotten() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        let used = |key: &str| Outcome::Conflict(Conflict::Once { space: "jti", key: key.into() });
        committed(store.commit(uses(1, 1, "k", Some(10))).await);
        assert_eq!(
            store.commit(uses(2, 10, "k", Some(20))).await,
            used("k"),
            "{name}: at its end it is still remembered"
        );
        committed(store.commit(uses(3, 11, "k", None)).await);
        assert_eq!(store.commit(uses(4, 1_000, "k", None)).await, used("k"), "{name}: for ever");
        let twice = uses(5, 11, "l", None).with(|c| c.once.push(c.once[0].clone()));
        assert_eq!(store.commit(twice).await, used("l"), "{name}");
        committed(store.commit(uses(6, 11, "l", None)).await);
    }
}

#[tokio::test]
async fn a_budget_holds_exactly() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        let spent = Outcome::Refused { budget: "issue/a".into() };
        assert_eq!(committed(store.commit(spends(1, 1, "issue/a", 2, 5)).await).counts(), [2], "{name}");
        assert_eq!(committed(store.commit(spends(2, 1, "issue/a", 2, 5)).await).counts(), [4], "{name}");
        // What was written before counts nothing again, and nobody can tell what it counted then.
        assert!(committed(store.commit(spends(2, 1, "issue/a", 2, 5)).await).counts().is_empty(), "{name}");
        assert_eq!(store.commit(spends(3, 1, "issue/a", 2, 5)).await, spent, "{name}");
        committed(store.commit(spends(4, 1, "issue/a", 1, 5)).await);
        assert_eq!(store.commit(spends(5, 1, "issue/a", 1, 5)).await, spent, "{name}");
        committed(store.commit(spends(6, 1, "issue/b", 5, 5)).await);
        let other_window = spends(7, 1, "issue/a", 3, 5).with(|c| c.spends[0].window = secs(60));
        committed(store.commit(other_window).await);
        let sum = spends(8, 1, "issue/c", 3, 5).with(|c| c.spends.push(Spend { by: 3, ..c.spends[0].clone() }));
        assert_eq!(
            store.commit(sum).await,
            Outcome::Refused { budget: "issue/c".into() },
            "{name}: a changeset's spends add up"
        );
    }
}

#[tokio::test]
async fn an_unknown_outcome_is_settled_by_the_same_id() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        let build = || {
            let more = Event::new(EventId::from_u128(77), EventKind::PersonChanged);
            writes(1, 5, put(identity("a"), 0, "1", &[])).with(|c| {
                c.event(more);
                c.once = uses(0, 0, "k", None).once;
            })
        };
        let first = committed(store.commit(build()).await);
        committed(store.commit(changeset(2, secs(9))).await);
        let again = committed(store.commit(build()).await);
        assert_eq!(first, again, "{name}");
        assert_eq!((again.leaf_hashes().len(), store.head().await.unwrap().size), (2, 3), "{name}");
    }
}

#[tokio::test]
async fn the_order_of_checks_is_fixed() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        let all = |id: u128| {
            writes(id, 1, put(identity("a"), 0, "1", &[])).with(|c| {
                c.once = uses(0, 0, "k", None).once;
                c.spends = spends(0, 0, "b", 1, 1).spends;
            })
        };
        committed(store.commit(all(1)).await);
        let lost = DueChange::Ack(WORK, "a".into(), 9);
        assert_eq!(store.commit(all(2).with(|c| c.due.push(lost.clone()))).await, on("a"), "{name}");
        let once = all(3).with(|c| {
            c.puts.clear();
            c.due.push(lost.clone());
        });
        assert!(matches!(store.commit(once.clone()).await, Outcome::Conflict(Conflict::Once { .. })), "{name}");
        let fence = once.with(|c| c.once.clear());
        assert!(matches!(store.commit(fence.clone()).await, Outcome::Conflict(Conflict::Fence { .. })), "{name}");
        assert!(matches!(store.commit(fence.with(|c| c.due.clear())).await, Outcome::Refused { .. }), "{name}");
    }
}

#[tokio::test]
async fn conflicting_changesets_in_one_flight_are_judged_one_by_one() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        let callers: Vec<_> = (0..64_u128)
            .map(|n| {
                let store = std::sync::Arc::clone(store);
                tokio::spawn(async move {
                    let c = writes(n + 1, 1, put(identity(&format!("i{}", n % 4)), 0, "1", &["t=1"])).with(|c| {
                        c.once = uses(0, 0, &format!("k{}", n % 8), None).once;
                        c.spends = spends(0, 0, "all", 1, 3).spends;
                    });
                    store.commit(c).await
                })
            })
            .collect();
        let mut wins = 0;
        for caller in callers {
            wins += usize::from(matches!(caller.await.unwrap(), Outcome::Committed(_)));
        }
        assert_eq!(wins, 3, "{name}: four rows, but a budget of three");
        assert_eq!(store.head().await.unwrap().size, 3, "{name}");
    }
}

#[tokio::test]
async fn time_never_goes_back() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        committed(store.commit(changeset(1, secs(100))).await);
        let late = committed(store.commit(changeset(2, secs(50))).await);
        assert_eq!(late.at(), secs(100), "{name}");
        assert_eq!(store.head().await.unwrap().last_at, secs(100), "{name}");
        let leaf = tenure_log::Leaf::parse(&store.entries(1, 1).await.unwrap()[0].leaf).unwrap();
        assert_eq!(leaf.at, secs(100).as_micros(), "{name}");
        assert_eq!(committed(store.commit(changeset(3, secs(101))).await).at(), secs(101), "{name}");
    }
}

/// A record that is written as what it can't be read from.
#[derive(serde::Serialize, serde::Deserialize)]
struct Lossy(f64);

impl tenure_core::store::row::Record for Lossy {
    const KIND: tenure_core::store::row::RowKind = tenure_core::store::row::RowKind::Team;
    fn row_id(&self) -> String {
        "lossy".into()
    }
}

#[tokio::test]
async fn d13_what_no_engine_can_take_is_refused_alike() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        let long = "x".repeat(3_000);
        let unfit = |outcome: Outcome| assert!(matches!(outcome, Outcome::Unwritable(_)), "{name}: {outcome:?}");
        unfit(store.commit(writes(1, 1, put(identity(&long), 0, "1", &[]))).await);
        unfit(store.commit(writes(2, 1, put(identity("a"), 0, "1", &[&long]))).await);
        unfit(store.commit(uses(3, 1, &long, None)).await);
        unfit(store.commit(changeset(4, secs(1)).with(|c| c.events.clear())).await);
        let float = changeset(5, secs(1)).with(|c| {
            c.events[0].data.insert("x".into(), serde_json::json!(0.5));
        });
        unfit(store.commit(float).await);
        // d13, d09: what can't be serialised, and what could not be read back.
        let untold = changeset(6, secs(1)).with(|c| {
            let keys = std::collections::BTreeMap::from([(vec![1_u8], 1_u8)]);
            let event = c.events.remove(0);
            c.events.push(event.fact("keys", keys));
        });
        unfit(store.commit(untold).await);
        let unread = changeset(7, secs(1)).with(|c| {
            c.insert(&Lossy(f64::NAN));
        });
        unfit(store.commit(unread).await);
        assert_eq!(store.head().await.unwrap().size, 0, "{name}");
    }
}

/// In one batch, each changeset is judged against what the ones before it write, and a rejected one leaves no trace.
#[test]
fn a_batch_is_as_good_as_one_after_the_other() {
    let sequence = || {
        vec![
            writes(1, 1, put(identity("a"), 0, "1", &["t=1"])),
            writes(2, 2, put(identity("a"), 1, "2", &["t=2"])).with(|c| c.spends = spends(0, 0, "b", 1, 1).spends),
            writes(3, 3, put(identity("b"), 0, "1", &[])).with(|c| c.spends = spends(0, 0, "b", 1, 1).spends),
            expects(4, 4, Expect::Absent(identity("b"))),
            expects(5, 5, Expect::Revision(identity("a"), 2)),
            uses(6, 6, "k", Some(7)),
            uses(7, 7, "k", Some(9)),
            uses(8, 8, "k", Some(9)),
            writes(1, 1, put(identity("a"), 0, "1", &["t=1"])),
            due(9, 9, DueChange::Set(WORK, "a".into(), secs(1))),
            due(10, 9, DueChange::Ack(WORK, "a".into(), 99)),
            changeset(11, secs(3)).with(|c| c.events[0].personal.push(personal("per_1", "name", "Ada"))),
            changeset(12, secs(12)).with(|c| c.erase.push("per_1".into())),
            changeset(13, secs(13)).with(|c| c.events[0].personal.push(personal("per_1", "name", "Bob"))),
            writes(14, 14, put(key(RowKind::Cut, "app/1"), 0, "1", &[])),
        ]
    };
    let (at_once, singly) = (MemoryStore::new(TestSealer::new()), MemoryStore::new(TestSealer::new()));
    let one_by_one: Vec<Outcome> = sequence().into_iter().flat_map(|c| singly.commit_all(vec![c])).collect();
    assert_eq!(at_once.commit_all(sequence()), one_by_one);
    let (a, b) = (at_once.dump(), singly.dump());
    assert_eq!((a.head, a.entries, a.once, a.spends), (b.head, b.entries, b.once, b.spends));
    assert_eq!(
        a.rows.values().map(|row| shown(row)).collect::<Vec<_>>(),
        b.rows.values().map(|row| shown(row)).collect::<Vec<_>>()
    );
    assert_eq!(a.due.into_keys().collect::<Vec<_>>(), b.due.into_keys().collect::<Vec<_>>());
}
