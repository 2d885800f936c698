//! What is particular to PostgreSQL: several replicas, lost connections, hints.

use std::sync::Arc;
use std::time::Duration;

use tenure_core::base::time::{Span, Timestamp};
use tenure_core::store::changeset::{DueChange, Expect};
use tenure_core::store::port::{Conflict, Outcome, Store, StoreError};
use tenure_core::store::row::RowKind;
use tenure_store::testing::{Dialect, TestPostgres, TestSealer, index_term, older_database, postgres};
use tenure_store::{MigrationError, OpenError, PostgresStore};

use crate::support::*;

async fn by_hand(database: &TestPostgres, sql: &str) -> Vec<String> {
    let (client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let rows = client.simple_query(sql).await.unwrap();
    rows.into_iter()
        .filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn d02_what_v0_1_left_out_of_the_terms_is_found() {
    is_found_after(2).await;
}

#[tokio::test]
async fn d08_who_answers_for_older_records_is_found() {
    is_found_after(4).await;
}

#[tokio::test]
async fn whose_vote_older_requests_wait_for_is_found() {
    is_found_after(10).await;
}

async fn is_found_after(migration: u32) {
    let database = postgres();
    let puts: Vec<_> = partial_terms(migration).into_iter().map(|(put, _, _)| put).collect();
    // In the form in which rows stood before they were packed.
    by_hand(&database, &older_database(Dialect::Postgres, migration.min(5), &puts)).await;
    let store = connect(&database).await;
    for (n, (put, missing, kept)) in partial_terms(migration).into_iter().enumerate() {
        finds(&store, &put, &[missing, kept]).await;
        let bare = tenure_core::store::changeset::Put { replaces: 1, terms: vec![kept.to_owned()], ..put.clone() };
        committed(store.commit(writes(n as u128 + 11, 1, bare)).await);
        misses(&store, &put, missing).await;
    }
}

#[tokio::test]
async fn a05_last_uses_of_before_get_their_macs() {
    let database = postgres();
    by_hand(&database, &older_database(Dialect::Postgres, 3, &[])).await;
    by_hand(&database, "INSERT INTO last_used (shard, subject, at) VALUES (0, 'idn_1', 7)").await;
    let store = connect(&database).await;
    assert_eq!(store.last_used("idn_1").await.unwrap(), Some(Timestamp::from_micros(7)));
    assert!(store.last_uses(b"", 10).await.unwrap().iter().all(|used| used.genuine));
}

#[tokio::test]
async fn replicas_write_one_log() {
    let database = postgres();
    let (one, two) = tokio::join!(connect(&database), connect(&database));
    let replicas = [Arc::new(one), Arc::new(two)];
    let callers: Vec<_> = (0..120_u128)
        .map(|n| {
            let store = Arc::clone(&replicas[usize::from(n % 2 == 1)]);
            tokio::spawn(async move {
                let c = writes(n + 1, 1, put(identity(&format!("i{}", n / 4)), 0, "1", &[])).with(|c| {
                    c.spends = spends(0, 0, "all", 1, 20).spends;
                });
                store.commit(c).await
            })
        })
        .collect();
    let mut positions = Vec::new();
    for caller in callers {
        match caller.await.unwrap() {
            Outcome::Committed(done) => positions.push(done.position().index),
            Outcome::Conflict(Conflict::Row(_)) | Outcome::Refused { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    positions.sort_unstable();
    assert_eq!(positions, (0..20).collect::<Vec<_>>());
    assert_eq!(replicas[0].entries(0, 100).await.unwrap(), replicas[1].entries(0, 100).await.unwrap());
}

/// The trap of READ COMMITTED: who waits for the head must see what was committed meanwhile.
#[tokio::test]
async fn a_cut_committed_while_waiting_is_seen() {
    let database = postgres();
    let replicas = [connect(&database).await, connect(&database).await];
    for n in 0..50_u128 {
        let cut = key(RowKind::Cut, &format!("app/{n}"));
        let issue = writes(1_000 + n, 1, put(key(RowKind::Credential, &format!("crd_{n}")), 0, "{}", &[]));
        let issue = issue.with(|c| c.expects.push(Expect::Absent(cut.clone())));
        let (cut_at, issued) =
            tokio::join!(replicas[0].commit(writes(n + 1, 1, put(cut, 0, "{}", &[]))), replicas[1].commit(issue));
        let cut_at = committed(cut_at).position();
        if let Outcome::Committed(issued) = issued {
            assert!(cut_at.is_after(issued.position()), "issued at {} under a cut at {cut_at}", issued.position());
        }
    }
}

#[tokio::test]
async fn a_lost_connection_loses_nothing() {
    let database = postgres();
    let store = Arc::new(connect(&database).await);
    let callers: Vec<_> = (0..8_u128)
        .map(|caller| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut unsettled = 0;
                for n in 0..25_u128 {
                    let build =
                        || writes(caller * 100 + n + 1, 1, put(identity(&format!("i{caller}-{n}")), 0, "1", &[]));
                    loop {
                        match store.commit(build()).await {
                            Outcome::Committed(_) => break,
                            Outcome::Unavailable(_) | Outcome::Unknown => unsettled += 1,
                            other => panic!("{other:?}"),
                        }
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
                unsettled
            })
        })
        .collect();
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()";
    while callers.iter().any(|caller| !caller.is_finished()) {
        by_hand(&database, kill).await;
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    for caller in callers {
        caller.await.unwrap();
    }
    // Reads share connections that were killed as well; the next ones are fresh.
    let store = connect(&database).await;
    assert_eq!(store.head().await.unwrap().size, 200);
    let hashes = store.leaf_hashes(0, 1_000).await.unwrap();
    assert_eq!(hashes.iter().collect::<std::collections::HashSet<_>>().len(), 200);
}

#[tokio::test]
async fn only_the_changeset_that_the_server_rejects_falls() {
    let database = postgres();
    let store = Arc::new(connect(&database).await);
    by_hand(&database, "ALTER TABLE record ADD CONSTRAINT planted CHECK (body <> 'bad'::bytea)").await;
    let callers: Vec<_> = (0..32_u128)
        .map(|n| {
            let store = Arc::clone(&store);
            let body = if n == 13 { "bad" } else { "good" };
            tokio::spawn(
                async move { store.commit(writes(n + 1, 1, put(identity(&format!("i{n}")), 0, body, &[]))).await },
            )
        })
        .collect();
    for (n, caller) in callers.into_iter().enumerate() {
        let outcome = caller.await.unwrap();
        assert_eq!(matches!(outcome, Outcome::Committed(_)), n != 13, "{n}: {outcome:?}");
    }
    assert_eq!(store.head().await.unwrap().size, 31);
}

#[tokio::test]
async fn leases_are_shared_out() {
    let database = postgres();
    let replicas = [connect(&database).await, connect(&database).await];
    let all = changeset(1, secs(0))
        .with(|c| c.due = (0..100).map(|n| DueChange::Set(WORK, format!("s{n:03}"), secs(1))).collect());
    committed(replicas[0].commit(all).await);
    let claim = |n: usize| replicas[n].claim(WORK, secs(2), Span::from_secs(60), 60);
    let (one, two, more) = tokio::join!(claim(0), claim(1), claim(0));
    let mut claimed: Vec<_> =
        [one, two, more].into_iter().flat_map(Result::unwrap).map(|claimed| claimed.subject).collect();
    claimed.extend(claim(1).await.unwrap().into_iter().map(|claimed| claimed.subject));
    claimed.sort();
    assert_eq!(claimed, (0..100).map(|n| format!("s{n:03}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn growth_by_another_replica_is_heard() {
    let database = postgres();
    let (one, two) = (connect(&database).await, connect(&database).await);
    committed(one.commit(changeset(1, secs(1))).await);
    while two.head().await.unwrap().size < 1 {
        two.grown(0).await;
    }
    two.grown(0).await;
}

#[tokio::test]
async fn an_altered_row_is_refused_by_name() {
    let database = postgres();
    let store = connect(&database).await;
    committed(store.commit(writes(1, 1, put(identity("a"), 0, "one", &[]))).await);
    by_hand(&database, "UPDATE record SET body = 'two'").await;
    let refused = StoreError::Tampered(identity("a"));
    assert_eq!(store.load(&[identity("a")]).await.unwrap_err(), refused);
    let replace = store.commit(writes(2, 1, put(identity("a"), 1, "three", &[]))).await;
    assert!(matches!(&replace, Outcome::Unavailable(why) if why.contains("altered outside Tenure")), "{replace:?}");
}

#[tokio::test]
async fn terms_that_cannot_be_read_are_never_taken_for_none() {
    let database = postgres();
    let store = connect(&database).await;
    committed(store.commit(writes(1, 1, put(identity("a"), 0, "one", &["t=1"]))).await);
    let over = |id| tenure_core::store::changeset::Put {
        droppable_after: Some(secs(2)),
        ..put(identity(id), 0, "two", &["t=1", "t=2"])
    };
    committed(store.commit(writes(2, 1, over("b"))).await);
    by_hand(&database, "UPDATE record SET terms = '['::bytea").await;
    committed(store.commit(writes(3, 1, over("c"))).await);
    let beside = store.beside(&[(identity("a"), Vec::new())]).await.unwrap();
    assert_eq!(beside[0].as_ref().unwrap().terms, ["unreadable=["], "no row bears that");
    let replace = store.commit(writes(4, 1, put(identity("a"), 1, "three", &["t=3"]))).await;
    assert!(matches!(&replace, Outcome::Unavailable(why) if why.contains("its terms")), "{replace:?}");
    assert_eq!(store.purge(secs(3), 10).await.unwrap(), 2);
    let left = store.index(&tenure_core::store::port::IndexEntry::default(), 10).await.unwrap();
    let left: Vec<_> = left.iter().map(|entry| (entry.term.as_slice(), entry.id.as_slice())).collect();
    let kept = index_term(RowKind::Identity.code(), "t=1");
    assert_eq!(left, [(kept.as_slice(), b"a".as_slice())]);
}

#[tokio::test]
async fn a_database_that_went_back_is_refused() {
    let database = postgres();
    let store = connect(&database).await;
    for n in 1..4 {
        committed(store.commit(changeset(n, secs(1))).await);
    }
    by_hand(&database, "UPDATE head SET size = 2; DELETE FROM entry WHERE place = 2").await;
    let outcome = store.commit(changeset(4, secs(1))).await;
    assert!(matches!(&outcome, Outcome::Unavailable(why) if why.contains("S-1")), "{outcome:?}");
    let read = store.load(&[identity("a")]).await;
    assert!(matches!(&read, Err(StoreError::Unavailable(why)) if why.contains("S-1")), "{read:?}");
}

#[tokio::test]
async fn replicas_migrate_together_and_refuse_edits() {
    let database = postgres();
    let open = || PostgresStore::connect(database.url(), TestSealer::new());
    let (one, two, three) = tokio::join!(open(), open(), open());
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    by_hand(&database, "INSERT INTO migration (number, checksum) VALUES (99, '')").await;
    assert!(matches!(open().await, Err(OpenError::Schema(MigrationError::Newer(99)))));
    by_hand(&database, "DELETE FROM migration WHERE number = 99; UPDATE migration SET checksum = '' WHERE number = 1")
        .await;
    assert!(matches!(open().await, Err(OpenError::Schema(MigrationError::Edited(1)))));
}

#[tokio::test]
async fn the_schema_is_the_one_on_record() {
    let database = postgres();
    drop(connect(&database).await);
    let columns = "SELECT table_name || '.' || column_name || ' ' || data_type || CASE is_nullable WHEN 'NO' THEN ' not null' ELSE '' END
        FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name COLLATE \"C\", ordinal_position";
    let indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname COLLATE \"C\"";
    let sequences = "SELECT 'sequence ' || sequencename FROM pg_sequences ORDER BY 1";
    let mut schema = Vec::new();
    for query in [columns, indexes, sequences] {
        schema.extend(by_hand(&database, query).await);
    }
    check_snapshot("postgres.txt", &format!("{}\n", schema.join("\n")));
}

#[tokio::test]
async fn s16_a_disk_that_is_full_over_there_loses_nothing() {
    let database = postgres();
    let store = connect(&database).await;
    committed(store.commit(writes(1, 1, put(identity("a"), 0, "one", &[]))).await);
    // As PostgreSQL fails when its disk is full: 53100, in the middle of the transaction.
    by_hand(
        &database,
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' \
         USING ERRCODE = 'disk_full'; END $$; CREATE TRIGGER full_disk BEFORE INSERT ON record FOR EACH ROW EXECUTE FUNCTION full_disk()",
    )
    .await;
    let later = || writes(2, 1, put(identity("b"), 0, "two", &[]));
    let outcome = store.commit(later()).await;
    assert!(matches!(&outcome, Outcome::Unavailable(why) if why.contains("No space left")), "{outcome:?}");
    assert_eq!(store.head().await.unwrap().size, 1);
    assert!(store.load(&[identity("b")]).await.unwrap().rows[0].is_none());
    // What writes no row is not hindered, and with room the same commit is taken.
    committed(store.commit(changeset(3, secs(1))).await);
    by_hand(&database, "DROP TRIGGER full_disk ON record").await;
    committed(store.commit(later()).await);
    assert!(store.load(&[identity("b")]).await.unwrap().rows[0].is_some());
}
