//! Timed work: leases, fencing tokens, and what is dropped when its time is over.

use tenure_core::base::time::Span;
use tenure_core::store::changeset::DueChange;
use tenure_core::store::due::DueKind;
use tenure_core::store::port::{Conflict, Outcome};
use tenure_core::store::row::RowKind;

use crate::support::*;

const LEASE: Span = Span::from_secs(10);

fn lost() -> Outcome {
    Outcome::Conflict(Conflict::Fence { kind: WORK, subject: "a".into() })
}

#[tokio::test]
async fn only_the_newest_token_counts() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        let claim = |now: i64| store.claim(WORK, secs(now), LEASE, 10);
        committed(store.commit(due(1, 0, DueChange::Set(WORK, "a".into(), secs(5)))).await);
        assert!(claim(4).await.unwrap().is_empty(), "{name}: not yet");
        let first = claim(5).await.unwrap().remove(0);
        assert_eq!((first.subject.as_str(), first.due_at), ("a", secs(5)), "{name}");
        assert!(claim(14).await.unwrap().is_empty(), "{name}: leased");
        let second = claim(15).await.unwrap().remove(0);
        assert!(second.fence > first.fence, "{name}");
        assert_eq!(
            store.commit(due(2, 0, DueChange::Ack(WORK, "a".into(), first.fence))).await,
            lost(),
            "{name}: a zombie"
        );
        assert_eq!(
            store.commit(due(3, 0, DueChange::Retry(WORK, "a".into(), first.fence, secs(1)))).await,
            lost(),
            "{name}"
        );

        committed(store.commit(due(4, 0, DueChange::Retry(WORK, "a".into(), second.fence, secs(20)))).await);
        assert_eq!(
            store.commit(due(5, 0, DueChange::Ack(WORK, "a".into(), second.fence))).await,
            lost(),
            "{name}: given back"
        );
        assert!(claim(19).await.unwrap().is_empty(), "{name}");
        let third = claim(20).await.unwrap().remove(0);
        committed(store.commit(due(6, 0, DueChange::Set(WORK, "a".into(), secs(21)))).await);
        assert_eq!(
            store.commit(due(7, 0, DueChange::Ack(WORK, "a".into(), third.fence))).await,
            lost(),
            "{name}: set anew"
        );

        let fourth = claim(21).await.unwrap().remove(0);
        committed(store.commit(due(8, 0, DueChange::Ack(WORK, "a".into(), fourth.fence))).await);
        assert!(claim(1_000).await.unwrap().is_empty(), "{name}: done");
        assert_eq!(store.commit(due(9, 0, DueChange::Ack(WORK, "a".into(), fourth.fence))).await, lost(), "{name}");
        committed(store.commit(due(10, 0, DueChange::Set(WORK, "a".into(), secs(21)))).await);
        let fifth = claim(30).await.unwrap().remove(0);
        assert!(fifth.fence > fourth.fence, "{name}: tokens never repeat");
        committed(store.commit(due(11, 0, DueChange::Clear(WORK, "a".into()))).await);
        committed(store.commit(due(12, 0, DueChange::Clear(WORK, "a".into()))).await);
        assert!(claim(1_000).await.unwrap().is_empty(), "{name}: cleared");
    }
}

#[tokio::test]
async fn deadlines_are_claimed_in_order_and_by_kind() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        let set = |kind, subject: &str, at| DueChange::Set(kind, subject.into(), secs(at));
        let all = due(1, 0, set(WORK, "late", 3)).with(|c| {
            c.due.push(set(WORK, "b", 1));
            c.due.push(set(WORK, "a", 1));
            c.due.push(set(DueKind::Grant, "grant", 0));
            c.due.push(set(WORK, "future", 100));
        });
        committed(store.commit(all).await);
        let subjects = |claimed: Vec<tenure_core::store::port::Claimed>| {
            claimed.into_iter().map(|c| c.subject).collect::<Vec<_>>()
        };
        assert_eq!(subjects(store.claim(WORK, secs(50), LEASE, 2).await.unwrap()), ["a", "b"], "{name}");
        assert_eq!(subjects(store.claim(WORK, secs(50), LEASE, 2).await.unwrap()), ["late"], "{name}");
        assert_eq!(subjects(store.claim(DueKind::Grant, secs(50), LEASE, 2).await.unwrap()), ["grant"], "{name}");
    }
}

#[tokio::test]
async fn what_is_over_goes_in_chunks_and_without_a_trace_in_the_log() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        for n in 0..5_u128 {
            let over = i64::try_from(n).unwrap();
            let mut row = put(key(RowKind::Credential, &format!("crd_{n}")), 0, "{}", &["identity=a"]);
            row.droppable_after = Some(secs(over));
            let c = writes(n + 1, 0, row).with(|c| {
                c.once = uses(0, 0, &format!("k{n}"), Some(over)).once;
                c.spends = spends(0, 0, &format!("b{n}"), 1, 1).spends;
                c.spends[0].until = secs(over);
            });
            committed(store.commit(c).await);
        }
        let kept = key(RowKind::JoinToken, "jnt_1");
        committed(store.commit(writes(9, 0, put(kept.clone(), 0, "{}", &[]))).await);
        assert_eq!(store.purge(secs(0), 10).await.unwrap(), 0, "{name}: nothing is over yet");
        assert_eq!(store.purge(secs(3), 2).await.unwrap(), 6, "{name}");
        assert_eq!(store.purge(secs(3), 2).await.unwrap(), 3, "{name}");
        let query = tenure_core::store::port::ListQuery {
            terms: vec!["identity=a".into()],
            ..tenure_core::store::port::ListQuery::every(RowKind::Credential, 9)
        };
        let left: Vec<_> = store.list(&query).await.unwrap().rows.iter().map(|row| row.key.id.clone()).collect();
        assert_eq!(left, ["crd_3", "crd_4"], "{name}");
        assert_eq!(store.head().await.unwrap().size, 6, "{name}");
        assert!(store.load(&[kept]).await.unwrap().rows[0].is_some(), "{name}");
        committed(store.commit(uses(20, 0, "k0", None)).await);
        assert!(matches!(store.commit(uses(21, 0, "k4", None)).await, Outcome::Conflict(_)), "{name}");
        committed(store.commit(writes(22, 0, put(key(RowKind::Credential, "crd_0"), 0, "{}", &["identity=a"]))).await);
    }
}

#[tokio::test]
async fn the_last_use_only_moves_forward() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        assert_eq!(store.last_used("a").await.unwrap(), None, "{name}");
        store.touch(&[("a".into(), secs(5)), ("a".into(), secs(7)), ("b".into(), secs(1))]).await.unwrap();
        store.touch(&[("a".into(), secs(6))]).await.unwrap();
        assert_eq!(store.last_used("a").await.unwrap(), Some(secs(7)), "{name}");
        assert_eq!(store.last_used("b").await.unwrap(), Some(secs(1)), "{name}");
    }
}
