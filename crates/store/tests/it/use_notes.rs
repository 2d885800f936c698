//! Notes of use: each engine keeps the same, changes only what stands, and believes nothing that was written by hand.

use rusqlite::Connection;
use tenure_core::base::id::{IdentityId, ResourceId};
use tenure_core::identity::tally::{MAX_DAY_BYTES, UseCount, UseCounts, UseNames};
use tenure_core::store::port::Store;
use tenure_core::store::use_note::{UseChange, UseKey, UsePart};
use tenure_store::testing::postgres;

use crate::support::*;

const DAY: UsePart = UsePart::Day(20_700);

const fn note(part: UsePart, identity: u128) -> UseKey {
    UseKey { part, identity: IdentityId::from_u128(identity) }
}

fn change(key: UseKey, before: Option<&str>, after: Option<&str>) -> UseChange {
    let bytes = |text: &str| text.as_bytes().to_vec();
    UseChange { key, before: before.map(bytes), after: after.map(bytes) }
}

#[tokio::test]
async fn a_note_changes_only_from_what_it_says() {
    for engine in engines().await {
        let (notes, name) = (engine.store.use_notes(), engine.name);
        let key = note(DAY, 1);
        let steps = [
            (change(key, Some("x"), Some("1")), false),
            (change(key, None, None), true),
            (change(key, None, Some("1")), true),
            (change(key, None, Some("2")), false),
            (change(key, Some("1"), Some("2")), true),
            (change(key, Some("1"), None), false),
            (change(key, Some("2"), Some("2")), true),
            (change(key, Some("2"), None), true),
            (change(key, Some("2"), Some("3")), false),
            (change(key, None, Some("3")), true),
        ];
        for (n, (step, changes)) in steps.into_iter().enumerate() {
            assert_eq!(notes.change_notes(&[step]).await.unwrap(), [changes], "{name}: step {n}");
        }
        let both = [note(DAY, 2), key];
        assert_eq!(notes.read_notes(&both).await.unwrap(), [None, Some(b"3".to_vec())], "{name}");
        assert!(notes.change_notes(&[]).await.unwrap().is_empty() && notes.read_notes(&[]).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn notes_are_listed_by_their_part_and_their_identity() {
    for engine in engines().await {
        let (notes, name) = (engine.store.use_notes(), engine.name);
        let keys = [
            note(UsePart::Names, 1),
            note(UsePart::Names, u128::MAX),
            note(UsePart::Contexts, 1),
            note(UsePart::Month(680), 1),
            note(DAY, 1),
            note(DAY, 1 << 100),
        ];
        let changes: Vec<UseChange> = keys.iter().rev().map(|key| change(*key, None, Some("x"))).collect();
        assert_eq!(notes.change_notes(&changes).await.unwrap(), [true; 6], "{name}");
        let mut after = None;
        let mut listed = Vec::new();
        loop {
            let page = notes.notes_behind(after, 2).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.key);
            listed.extend(page.iter().map(|note| note.key));
        }
        assert_eq!(listed, keys, "{name}");
    }
}

#[tokio::test]
async fn of_two_who_change_a_note_at_once_one_does() {
    for engine in engines().await {
        let name = engine.name;
        let key = note(DAY, 1);
        for round in 0..20 {
            let before = (round > 0).then(|| round.to_string());
            let next = (round + 1).to_string();
            let change = [change(key, before.as_deref(), Some(&next))];
            let notes = || engine.store.use_notes().change_notes(&change);
            let (one, other) = tokio::join!(notes(), notes());
            let won = usize::from(one.unwrap()[0]) + usize::from(other.unwrap()[0]);
            assert_eq!(won, 1, "{name}: round {round}");
        }
    }
}

/// What somebody wrote into the database says nothing, is named, and is written over.
async fn is_believed_by_nobody(store: &dyn Store, forge: impl AsyncFnOnce()) {
    let notes = store.use_notes();
    let key = note(DAY, 1);
    assert_eq!(notes.change_notes(&[change(key, None, Some("1"))]).await.unwrap(), [true]);
    forge().await;
    assert_eq!(notes.read_notes(&[key]).await.unwrap(), [None]);
    let listed = notes.notes_behind(None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|note| (note.key, note.body.clone())).collect::<Vec<_>>(), [(key, None)]);
    assert_eq!(notes.change_notes(&[change(key, Some("9"), Some("10"))]).await.unwrap(), [false]);
    assert_eq!(notes.change_notes(&[change(key, None, Some("2"))]).await.unwrap(), [true]);
    assert_eq!(notes.read_notes(&[key]).await.unwrap(), [Some(b"2".to_vec())]);
}

const FORGERY: &str = "UPDATE use_note SET body = '9'";

#[tokio::test]
async fn a_forged_note_says_nothing_in_sqlite() {
    let (_folder, path) = database_file();
    let store = sqlite(&path);
    let forge = async || {
        Connection::open(&path).unwrap().execute_batch("UPDATE use_note SET body = CAST('9' AS BLOB)").unwrap();
    };
    is_believed_by_nobody(&store, forge).await;
}

#[tokio::test]
async fn a_forged_note_says_nothing_in_postgresql() {
    let database = postgres();
    let store = connect(&database).await;
    let forge = async || {
        let (client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.simple_query(FORGERY).await.unwrap();
    };
    is_believed_by_nobody(&store, forge).await;
}

/// Days of many identities, each as full as a day may be.
fn full_days(identities: u32) -> Vec<UseChange> {
    let mut names = UseNames::since(20_700);
    let mut counts = UseCounts::default();
    for n in 0..60_u32 {
        let number = names.number(ResourceId::from_u128(u128::from(n)), "read", true);
        counts.add(number, UseCount { allowed: 70 + n, refused: u32::from(n % 8 == 0) });
    }
    let body = counts.pack(MAX_DAY_BYTES);
    assert!(body.len() > MAX_DAY_BYTES - 4, "it is full: {}", body.len());
    // Ids as they are given: what is newer is greater, and the rest is random.
    let id = |n: u32| u128::from(n) << 80 | u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c) >> 48;
    let key = |n| note(DAY, id(n));
    (0..identities).map(|n| UseChange { key: key(n), before: None, after: Some(body.clone()) }).collect()
}

/// The bound of what is kept of use: 200 bytes an identity and day, on disk, with all that the engine adds.
#[tokio::test]
async fn a_full_day_of_an_identity_takes_at_most_200_bytes() {
    const IDENTITIES: u32 = 4_000;
    let (_folder, path) = database_file();
    let store = sqlite(&path);
    let database = postgres();
    let replica = connect(&database).await;
    for changes in full_days(IDENTITIES).chunks(500) {
        store.use_notes().change_notes(changes).await.unwrap();
        replica.use_notes().change_notes(changes).await.unwrap();
    }
    let by_hand = Connection::open(&path).unwrap();
    let pages: i64 = by_hand
        .query_row("SELECT sum(pgsize) FROM dbstat WHERE name = 'use_note'", [], |row| row.get(0))
        .or_else(|_| {
            by_hand.query_row("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", [], |row| {
                row.get(0)
            })
        })
        .unwrap();
    let (client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql = "SELECT pg_relation_size('use_note'), pg_relation_size('use_note_pkey')";
    let row = client.query_one(sql, &[]).await.unwrap();
    let (table, index): (i64, i64) = (row.get(0), row.get(1));
    let each = |bytes: i64| bytes / i64::from(IDENTITIES);
    println!("a day: {} bytes in SQLite, {} and {} of its index in PostgreSQL", each(pages), each(table), each(index));
    assert!(each(pages) <= 200 && each(table + index) <= 200, "{pages} {table} {index}");
}
