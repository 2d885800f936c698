//! What is particular to SQLite: files, locks, crashes.

use rusqlite::Connection;
use tenure_core::base::time::Timestamp;
use tenure_core::store::port::{Outcome, Store, StoreError};
use tenure_core::store::row::RowKind;
use tenure_store::testing::{Dialect, TestSealer, index_term, older_database};
use tenure_store::{MigrationError, OpenError, SqliteStore};

use crate::support::*;

fn reopen(path: &std::path::Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(path, TestSealer::new())
}

#[tokio::test]
async fn a_second_server_on_one_file_is_refused() {
    let (_folder, path) = database_file();
    let store = sqlite(&path);
    let Err(OpenError::InUse { lock }) = reopen(&path) else { panic!("two servers on one file") };
    assert_eq!(lock, path.with_extension("db.lock"));
    drop(store);
    reopen(&path).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_their_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, path) = database_file();
    let store = sqlite(&path);
    committed(store.commit(changeset(1, secs(1))).await);
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap()).collect();
    assert_eq!(files.len(), 5, "database, WAL, index of the WAL, lock, reserve");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
    }
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
    let (_folder, path) = database_file();
    let unread = put(key(RowKind::Request, "req_1"), 0, r#"{"state":"open"}"#, &["state=open"]);
    let older = older_database(Dialect::Sqlite, 5, std::slice::from_ref(&unread));
    Connection::open(&path).unwrap().execute_batch(&older).unwrap();
    let store = sqlite(&path);
    finds(&store, &unread, &["state=open"]).await;
}

async fn is_found_after(migration: u32) {
    let (_folder, path) = database_file();
    let puts: Vec<_> = partial_terms(migration).into_iter().map(|(put, _, _)| put).collect();
    // In the form in which rows stood before they were packed.
    let before = migration.min(5);
    Connection::open(&path).unwrap().execute_batch(&older_database(Dialect::Sqlite, before, &puts)).unwrap();
    let store = sqlite(&path);
    for (n, (put, missing, kept)) in partial_terms(migration).into_iter().enumerate() {
        finds(&store, &put, &[missing, kept]).await;
        // A later write takes away what the record has no more.
        let bare = tenure_core::store::changeset::Put { replaces: 1, terms: vec![kept.to_owned()], ..put.clone() };
        committed(store.commit(writes(n as u128 + 11, 1, bare)).await);
        misses(&store, &put, missing).await;
    }
}

#[tokio::test]
async fn a05_last_uses_of_before_get_their_macs() {
    let (_folder, path) = database_file();
    let older = older_database(Dialect::Sqlite, 3, &[]);
    Connection::open(&path)
        .unwrap()
        .execute_batch(&format!(
            "{older} INSERT INTO last_used (shard, subject, at) VALUES (0, CAST('idn_1' AS BLOB), 7)"
        ))
        .unwrap();
    let store = sqlite(&path);
    assert_eq!(store.last_used("idn_1").await.unwrap(), Some(Timestamp::from_micros(7)));
    assert!(store.last_uses(b"", 10).await.unwrap().iter().all(|used| used.genuine));
}

#[tokio::test]
async fn a04_what_somebody_put_into_the_file_runs_never_and_is_refused_at_the_next_start() {
    let (_folder, path) = database_file();
    let store = sqlite(&path);
    committed(store.commit(writes(1, 1, put(identity("a"), 0, "active", &[]))).await);
    let by_hand = Connection::open(&path).unwrap();
    by_hand
        .execute_batch(
            "CREATE TRIGGER undo AFTER UPDATE ON record BEGIN
               UPDATE record SET revision = OLD.revision, body = OLD.body, mac = OLD.mac, position = OLD.position WHERE rowid = OLD.rowid;
             END",
        )
        .unwrap();
    committed(store.commit(writes(2, 2, put(identity("a"), 1, "suspended", &[]))).await);
    drop(store);
    let body: Vec<u8> = by_hand.query_row("SELECT body FROM record", [], |row| row.get(0)).unwrap();
    assert_eq!(body, b"suspended");
    let refused = || match reopen(&path) {
        Err(OpenError::Schema(MigrationError::Altered(what))) => what,
        other => panic!("{:?}", other.map(drop)),
    };
    assert_eq!(refused(), "the trigger undo on the table record");
    by_hand.execute_batch("DROP TRIGGER undo; CREATE UNIQUE INDEX once_only ON record (substr(body, 1, 9))").unwrap();
    assert_eq!(refused(), "the index once_only on the table record");
    // What stands beside what is ours is somebody else's.
    by_hand
        .execute_batch("DROP INDEX once_only; CREATE TABLE beside (id INTEGER); CREATE INDEX beside_id ON beside (id)")
        .unwrap();
    drop(by_hand);
    reopen(&path).unwrap();
}

#[tokio::test]
async fn numbers_that_no_segment_has_keep_none_from_being_listed() {
    let (_folder, path) = database_file();
    let store = sqlite(&path);
    let kind = RowKind::Identity;
    let by_hand = Connection::open(&path).unwrap();
    let insert = "INSERT INTO search_segment (build, kind, start, stop, dead, dead_bits, header) VALUES ($1, $2, $3, $4, $5, x'', x'00')";
    for (build, start, stop, dead) in
        [(-1_i64, -5_i64, -7_i64, -1_i64), (1, 9, 3, i64::MAX), (2, 0, i64::MAX, i64::MIN)]
    {
        by_hand.execute(insert, rusqlite::params![build, kind.code(), start, stop, dead]).unwrap();
    }
    let state = store.search().search_state(kind, &[], 10).await.unwrap();
    let told: Vec<(u64, u32)> = state.segments.iter().map(|segment| (segment.build, segment.dead)).collect();
    assert_eq!(told, [(u64::MAX, u32::MAX), (2, u32::MAX), (1, u32::MAX)]);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_crash() {
    let (folder, path) = database_file();
    let store = sqlite(&path);
    for n in 0..20_u128 {
        committed(store.commit(writes(n + 1, 1, put(identity(&format!("i{n}")), 0, "1", &["t=1"]))).await);
    }
    // What a crash leaves: the files as they are now, WAL and all.
    let crashed = folder.path().join("crashed.db");
    for suffix in ["", "-wal"] {
        let name = |base: &std::path::Path| format!("{}{suffix}", base.display());
        std::fs::copy(name(&path), name(&crashed)).unwrap();
    }
    let after = sqlite(&crashed);
    assert_eq!(after.head().await.unwrap(), store.head().await.unwrap());
    assert_eq!(after.entries(0, 100).await.unwrap(), store.entries(0, 100).await.unwrap());
    assert!(after.load(&[identity("i19")]).await.unwrap().rows[0].is_some());
    committed(after.commit(writes(30, 1, put(identity("i19"), 1, "2", &[]))).await);
}

#[tokio::test]
async fn an_altered_row_is_refused_by_name() {
    let alterations = [
        "UPDATE record SET body = replace(body, 'one', 'two')",
        "UPDATE record SET revision = revision + 1",
        "UPDATE record SET created = created + 1",
        "UPDATE record SET position = position + 1",
        "UPDATE record SET mac = zeroblob(16)",
    ];
    for alteration in alterations {
        let (_folder, path) = database_file();
        let store = sqlite(&path);
        committed(store.commit(writes(1, 1, put(identity("a"), 0, "one", &[]))).await);
        drop(store);
        let by_hand = Connection::open(&path).unwrap();
        let set = alteration.replace("replace(body, 'one', 'two')", "CAST('two' AS BLOB)");
        assert_eq!(by_hand.execute(&set, []).unwrap(), 1);
        drop(by_hand);
        let store = sqlite(&path);
        let refused = StoreError::Tampered(identity("a"));
        assert_eq!(store.load(&[identity("a")]).await.unwrap_err(), refused, "{alteration}");
        let all = tenure_core::store::port::ListQuery::every(RowKind::Identity, 10);
        assert_eq!(store.list(&all).await.unwrap_err(), refused, "{alteration}");
        let replace = store.commit(writes(2, 1, put(identity("a"), 1, "three", &[]))).await;
        assert!(
            matches!(&replace, Outcome::Unavailable(why) if why.contains("altered outside Tenure")),
            "{alteration}: {replace:?}"
        );
        committed(store.commit(writes(3, 1, put(identity("b"), 0, "four", &[]))).await);
    }
}

#[tokio::test]
async fn terms_that_cannot_be_read_are_never_taken_for_none() {
    let (_folder, path) = database_file();
    let store = sqlite(&path);
    committed(store.commit(writes(1, 1, put(identity("a"), 0, "one", &["t=1"]))).await);
    let over = tenure_core::store::changeset::Put {
        droppable_after: Some(secs(2)),
        ..put(identity("b"), 0, "two", &["t=1", "t=2"])
    };
    committed(store.commit(writes(2, 1, over)).await);
    drop(store);
    let by_hand = Connection::open(&path).unwrap();
    assert_eq!(by_hand.execute("UPDATE record SET terms = CAST('[' AS BLOB)", []).unwrap(), 2);
    drop(by_hand);
    let store = sqlite(&path);
    let beside = store.beside(&[(identity("a"), Vec::new())]).await.unwrap();
    assert_eq!(beside[0].as_ref().unwrap().terms, ["unreadable=["], "no row bears that");
    // Nothing is written over a row of which nobody knows what it left in the index.
    let replace = store.commit(writes(3, 1, put(identity("a"), 1, "three", &["t=3"]))).await;
    assert!(matches!(&replace, Outcome::Unavailable(why) if why.contains("its terms")), "{replace:?}");
    // What is over goes with all that it left there.
    assert_eq!(store.purge(secs(3), 10).await.unwrap(), 1);
    let left = store.index(&tenure_core::store::port::IndexEntry::default(), 10).await.unwrap();
    let left: Vec<_> = left.iter().map(|entry| (entry.term.as_slice(), entry.id.as_slice())).collect();
    let kept = index_term(RowKind::Identity.code(), "t=1");
    assert_eq!(left, [(kept.as_slice(), b"a".as_slice())]);
}

#[tokio::test]
async fn a_database_that_went_back_is_refused() {
    let (_folder, path) = database_file();
    let store = sqlite(&path);
    for n in 1..4 {
        committed(store.commit(changeset(n, secs(1))).await);
    }
    let by_hand = Connection::open(&path).unwrap();
    by_hand.execute("UPDATE head SET size = 2", []).unwrap();
    by_hand.execute("DELETE FROM entry WHERE place = 2", []).unwrap();
    let outcome = store.commit(changeset(4, secs(1))).await;
    assert!(matches!(&outcome, Outcome::Unavailable(why) if why.contains("S-1")), "{outcome:?}");
    let read = store.load(&[key(RowKind::Credential, "crd_1")]).await;
    assert!(matches!(&read, Err(StoreError::Unavailable(why)) if why.contains("S-1")), "{read:?}");
}

#[tokio::test]
async fn an_edited_or_unknown_migration_is_refused() {
    let (_folder, path) = database_file();
    drop(sqlite(&path));
    let by_hand = Connection::open(&path).unwrap();
    by_hand.execute("INSERT INTO migration (number, checksum) VALUES (99, x'00')", []).unwrap();
    assert!(matches!(reopen(&path), Err(OpenError::Schema(MigrationError::Newer(99)))));
    by_hand.execute("DELETE FROM migration WHERE number = 99", []).unwrap();
    by_hand.execute("UPDATE migration SET checksum = x'00' WHERE number = 1", []).unwrap();
    assert!(matches!(reopen(&path), Err(OpenError::Schema(MigrationError::Edited(1)))));
}

#[test]
fn the_schema_is_the_one_on_record() {
    let (_folder, path) = database_file();
    drop(sqlite(&path));
    let database = Connection::open(&path).unwrap();
    let mut statement =
        database.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type DESC, name").unwrap();
    let schema: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    check_snapshot("sqlite.sql", &format!("{};\n", schema.join(";\n\n")));
}

/// What a page held of a row that was moved is not overwritten when the row is erased: the next start does it.
#[tokio::test]
async fn the_start_after_an_erasure_leaves_no_copy_in_an_unused_part_of_a_page() {
    let (_folder, path) = database_file();
    let noted = || -> i64 {
        let connection = Connection::open(&path).unwrap();
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    };
    let store = sqlite(&path);
    committed(store.commit(changeset(1, secs(1))).await);
    drop(store);
    assert_eq!(noted(), 0);
    // A copy as SQLite leaves it: in a page that no table uses.
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA secure_delete = OFF; CREATE TABLE other (text TEXT); INSERT INTO other VALUES ('Tim Unverkennbar'); DROP TABLE other;").unwrap();
    drop(connection);
    let is_there = || std::fs::read(&path).unwrap().windows(16).any(|window| window == b"Tim Unverkennbar");
    assert!(is_there());
    drop(sqlite(&path));
    assert!(is_there(), "nothing was erased: no start writes every page anew");
    let store = sqlite(&path);
    committed(store.commit(changeset(2, secs(2)).with(|c| c.erase.push("per_1".into()))).await);
    drop(store);
    assert_eq!(noted(), 1, "the next start knows of it, whatever came between");
    let store = sqlite(&path);
    assert_eq!(store.head().await.unwrap().size, 2);
    drop(store);
    assert_eq!(noted(), 0);
    assert!(!is_there());
}
