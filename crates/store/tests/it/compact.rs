//! A database of before, brought into the form of now: wherever that is stopped, nothing is lost and the next start goes
//! on.

use rusqlite::Connection;
use tenure_core::base::time::Timestamp;
use tenure_core::store::changeset::Put;
use tenure_core::store::due::DueKind;
use tenure_core::store::port::{Conflict, Outcome, Store};
use tenure_core::store::row::RowKey;
use tenure_log::Leaf;
use tenure_store::testing::{Dialect, SmallDisk, TestSealer, older_database, postgres};
use tenure_store::{OpenError, PostgresStore, SqliteStore};

use crate::support::*;

/// The migration that begins it.
const COMPACT: u32 = 5;
/// More than one batch.
const ROWS: usize = 3_000;

fn id(n: usize) -> String {
    format!("idn_{n:026}")
}

fn before() -> Vec<Put> {
    let body = |n: usize| format!(r#"{{"id":"{}","name":"exporter {n}","owner":null}}"#, id(n));
    let one = |n: usize| put(identity(&id(n)), 0, &body(n), &["state=active", "owner=per_00000000000000000000000001"]);
    (0..ROWS).map(one).collect()
}

/// That all of it is there, and goes on.
async fn is_whole(store: &dyn Store) {
    let puts = before();
    assert_eq!(store.head().await.unwrap().size, ROWS as u64);
    for (n, wanted) in puts.iter().enumerate().step_by(499) {
        let found = store.load(std::slice::from_ref(&wanted.key)).await.unwrap();
        let row = found.rows[0].as_ref().unwrap_or_else(|| panic!("{} is lost", wanted.key));
        assert_eq!((row.revision, row.created.index, &row.body), (1, n as u64, &wanted.body));
        let entry = &store.entries(n as u64, 1).await.unwrap()[0];
        assert_eq!(Leaf::parse(&entry.leaf).unwrap().subjects, std::slice::from_ref(&wanted.key.id));
        let due = store.deadlines(&[(DueKind::IdentityExpiry, wanted.key.id.clone())]).await.unwrap();
        assert_eq!(due[0].map(|due| due.due_at), Some(Timestamp::from_micros(n as i64)));
        assert_eq!(store.last_used(&wanted.key.id).await.unwrap(), Some(Timestamp::from_micros(7)));
    }
    let mut all = 0;
    let mut after: Option<String> = None;
    loop {
        let page = store
            .list(&tenure_core::store::port::ListQuery {
                terms: puts[0].terms.clone(),
                after,
                ..tenure_core::store::port::ListQuery::every(puts[0].key.kind, 1_000)
            })
            .await
            .unwrap();
        all += page.rows.len();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(all, ROWS);
    assert_eq!(store.leaf_hashes(0, ROWS as u32).await.unwrap().len(), ROWS);
    // A key that was used stays used, and a row is written over.
    let again = changeset(70_000, secs(1)).with(|c| c.once = uses(0, 0, &id(3), None).once);
    let again = again.with(|c| c.once[0].space = "used");
    assert!(matches!(store.commit(again).await, Outcome::Conflict(Conflict::Once { .. })));
    let key: RowKey = puts[7].key.clone();
    committed(store.commit(writes(70_001, 1, put(key.clone(), 1, "2", &["state=retired"]))).await);
    assert_eq!(store.load(&[key]).await.unwrap().rows[0].as_ref().unwrap().revision, 2);
    finds(store, &puts[7], &["state=retired"]).await;
}

#[tokio::test]
async fn a_disk_that_fills_in_the_middle_of_an_upgrade_loses_nothing() {
    let disk = SmallDisk::new(64);
    let path = disk.path().join("tenure.db");
    Connection::open(&path).unwrap().execute_batch(&older_database(Dialect::Sqlite, COMPACT, &before())).unwrap();
    // Some room, and too little: it comes as far as it can.
    let free = 64 - std::fs::metadata(&path).unwrap().len() / (1 << 20) - 4;
    disk.take(usize::try_from(free).unwrap());
    match SqliteStore::open(&path, TestSealer::new()).map(drop) {
        Err(OpenError::FullWhileUpgrading { moved, of }) => assert!(moved < of, "{moved} of {of}"),
        other => panic!("{other:?}"),
    }
    let said = Connection::open(&path).unwrap();
    let newest: u32 = said.query_row("SELECT max(number) FROM migration", [], |row| row.get(0)).unwrap();
    assert_eq!(newest, COMPACT, "no earlier version opens what is half moved");
    drop(said);
    disk.make_room();
    is_whole(&sqlite(&path)).await;
}

#[tokio::test]
async fn an_upgrade_of_postgres_that_stops_in_the_middle_goes_on() {
    let database = postgres();
    let by_hand = async |sql: &str| {
        let (client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(sql).await.unwrap();
    };
    by_hand(&older_database(Dialect::Postgres, COMPACT, &before())).await;
    // As PostgreSQL fails when its disk is full, in the middle of the records.
    by_hand(&format!(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF OLD.position = {} THEN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END IF; RETURN OLD;
         END $$;
         CREATE TRIGGER full_disk BEFORE DELETE ON record FOR EACH ROW EXECUTE FUNCTION full_disk()",
        ROWS / 2
    ))
    .await;
    match PostgresStore::connect(database.url(), TestSealer::new()).await.map(drop) {
        Err(OpenError::FullWhileUpgrading { moved, of }) => assert!(0 < moved && moved < of, "{moved} of {of}"),
        other => panic!("{other:?}"),
    }
    by_hand("DROP TRIGGER full_disk ON old_record; DROP FUNCTION full_disk()").await;
    is_whole(&connect(&database).await).await;
}

#[tokio::test]
async fn a_process_of_before_that_still_runs_writes_nothing_any_more() {
    let database = postgres();
    let (client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&older_database(Dialect::Postgres, COMPACT, &before()[..3])).await.unwrap();
    // As the writer of before has it at hand.
    let append = "INSERT INTO entry (shard, idx, id, hash, leaf) VALUES (0, 3, 'x', 'x', 'x')";
    let append = client.prepare(append).await.unwrap();
    let store = connect(&database).await;
    // It means the table of that name, and not the one that was set aside.
    client.execute(&append, &[]).await.unwrap_err();
    assert!(client.prepare("SELECT idx, hash, leaf FROM entry WHERE shard = 0 AND idx >= $1").await.is_err());
    assert_eq!((store.head().await.unwrap().size, store.entries(0, 10).await.unwrap().len()), (3, 3));
}
