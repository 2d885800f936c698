//! Moves what earlier versions kept into the tables of migration 5.

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Transaction};

use crate::error::OpenError;
use crate::row::{once_key, place, term_key, text, unsigned};
use crate::upgrade::{BATCH, Progress, moved_commit, moved_key, moved_mac, moved_record};

/// A table of before: what takes a batch out of it.
struct Table {
    name: &'static str,
    take: &'static str,
}

const ENTRIES: Table = Table {
    name: "old_entry",
    take: "DELETE FROM old_entry WHERE (shard, idx) IN (SELECT shard, idx FROM old_entry ORDER BY shard, idx LIMIT $1)
           RETURNING idx, id, leaf",
};
const RECORDS: Table = Table {
    name: "old_record",
    take: "DELETE FROM old_record WHERE (shard, kind, id) IN (SELECT shard, kind, id FROM old_record ORDER BY shard, kind, id LIMIT $1)
           RETURNING kind, id, revision, created, position, mac, drop_after, terms, body",
};
const TERMS: Table = Table {
    name: "old_term",
    take: "DELETE FROM old_term WHERE (shard, kind, term, id) IN
           (SELECT shard, kind, term, id FROM old_term ORDER BY shard, kind, term, id LIMIT $1) RETURNING kind, term, id",
};
const ONCE: Table = Table {
    name: "old_once",
    take: "DELETE FROM old_once WHERE (shard, space, key) IN (SELECT shard, space, key FROM old_once ORDER BY shard, space, key LIMIT $1)
           RETURNING space, key, until",
};
const DUE: Table = Table {
    name: "old_due",
    take: "DELETE FROM old_due WHERE (shard, kind, subject) IN (SELECT shard, kind, subject FROM old_due ORDER BY shard, kind, subject LIMIT $1)
           RETURNING kind, subject, due_at, fence, lease_until",
};
const LAST_USES: Table = Table {
    name: "old_last_use",
    take: "DELETE FROM old_last_use WHERE (shard, subject) IN (SELECT shard, subject FROM old_last_use ORDER BY shard, subject LIMIT $1)
           RETURNING subject, at, mac",
};

/// Moves what is still to be moved.
pub(super) async fn move_rows(client: &mut Client) -> Result<(), OpenError> {
    let mut waiting = Vec::new();
    let mut of = 0_u64;
    for table in [ENTRIES, RECORDS, TERMS, ONCE, DUE, LAST_USES] {
        let there: bool = client.query_one("SELECT to_regclass($1::text) IS NOT NULL", &[&table.name]).await?.get(0);
        if there {
            let count = client.query_one(&format!("SELECT count(*) FROM {}", table.name), &[]).await?;
            of += unsigned(count.get(0));
            waiting.push(table);
        }
    }
    let mut progress = Progress::new(of);
    for table in waiting {
        loop {
            let moved = batch(client, &table).await.map_err(|error| full(error, &progress))?;
            if moved == 0 {
                break;
            }
            progress.moved(moved);
        }
    }
    progress.end();
    Ok(())
}

/// A server whose disk is full says so by a class of its own.
fn full(error: Error, progress: &Progress) -> OpenError {
    match error.as_db_error().map(|said| said.code().code()) {
        Some("53100") => {
            let (moved, of) = progress.counts();
            OpenError::FullWhileUpgrading { moved, of }
        }
        _ => error.into(),
    }
}

async fn batch(client: &mut Client, table: &Table) -> Result<usize, Error> {
    let transaction = client.transaction().await?;
    let taken = transaction.query(table.take, &[&i64::from(BATCH)]).await?;
    if !taken.is_empty() {
        match table.name {
            "old_entry" => put_entries(&transaction, &taken).await?,
            "old_record" => put_records(&transaction, &taken).await?,
            "old_term" => put_terms(&transaction, &taken).await?,
            "old_once" => put_once(&transaction, &taken).await?,
            "old_due" => put_due(&transaction, &taken).await?,
            _ => put_last_uses(&transaction, &taken).await?,
        }
    }
    transaction.commit().await?;
    Ok(taken.len())
}

async fn put(transaction: &Transaction<'_>, sql: &str, columns: &[&(dyn ToSql + Sync)]) -> Result<(), Error> {
    transaction.execute(sql, columns).await.map(drop)
}

/// A column of what was taken.
fn column<'r, T: tokio_postgres::types::FromSql<'r>>(taken: &'r [Row], n: usize) -> Vec<T> {
    taken.iter().map(|row| row.get(n)).collect()
}

async fn put_entries(transaction: &Transaction<'_>, taken: &[Row]) -> Result<(), Error> {
    let size = unsigned(transaction.query_one("SELECT size FROM head WHERE shard = 0", &[]).await?.get(0));
    let places: Vec<i64> = taken.iter().map(|row| place(unsigned(row.get(0)))).collect();
    let commits: Vec<Option<i64>> =
        taken.iter().map(|row| moved_commit(unsigned(row.get(0)), size, row.get(1))).collect();
    let leaves: Vec<&[u8]> = column(taken, 2);
    let sql =
        "INSERT INTO entry (place, commit_key, leaf) SELECT * FROM UNNEST($1::bigint[], $2::bigint[], $3::bytea[])";
    put(transaction, sql, &[&places, &commits, &leaves]).await
}

async fn put_records(transaction: &Transaction<'_>, taken: &[Row]) -> Result<(), Error> {
    let (mut ids, mut macs, mut terms_columns, mut bodies) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for row in taken {
        let (id, mac, terms, body) = moved_record(row.get(1), row.get(5), row.get(7), row.get(8));
        ids.push(id);
        macs.push(mac);
        terms_columns.push(terms);
        bodies.push(body);
    }
    let sql = "INSERT INTO record (shard, kind, id, revision, created, position, mac, drop_after, terms, body)
        SELECT 0, * FROM UNNEST($1::smallint[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bigint[], $8::bytea[], $9::bytea[])";
    let kinds: Vec<i16> = column(taken, 0);
    let (revisions, created, positions): (Vec<i64>, Vec<i64>, Vec<i64>) =
        (column(taken, 2), column(taken, 3), column(taken, 4));
    let drop_after: Vec<Option<i64>> = column(taken, 6);
    put(
        transaction,
        sql,
        &[&kinds, &ids, &revisions, &created, &positions, &macs, &drop_after, &terms_columns, &bodies],
    )
    .await
}

async fn put_terms(transaction: &Transaction<'_>, taken: &[Row]) -> Result<(), Error> {
    let kinds: Vec<i16> = column(taken, 0);
    let terms: Vec<Vec<u8>> = taken
        .iter()
        .map(|row| term_key(u8::try_from(row.get::<_, i16>(0)).unwrap_or(u8::MAX), &text(row.get(1))))
        .collect();
    let ids: Vec<Vec<u8>> = taken.iter().map(|row| moved_key(row.get(2))).collect();
    let sql = "INSERT INTO term (shard, kind, term, id) SELECT 0, * FROM UNNEST($1::smallint[], $2::bytea[], $3::bytea[]) ON CONFLICT DO NOTHING";
    put(transaction, sql, &[&kinds, &terms, &ids]).await
}

async fn put_once(transaction: &Transaction<'_>, taken: &[Row]) -> Result<(), Error> {
    let keys: Vec<Vec<u8>> = taken.iter().map(|row| once_key(&text(row.get(0)), &text(row.get(1)))).collect();
    let until: Vec<Option<i64>> = column(taken, 2);
    let sql = "INSERT INTO once (shard, key, until) SELECT 0, * FROM UNNEST($1::bytea[], $2::bigint[]) ON CONFLICT DO NOTHING";
    put(transaction, sql, &[&keys, &until]).await
}

async fn put_due(transaction: &Transaction<'_>, taken: &[Row]) -> Result<(), Error> {
    let kinds: Vec<i16> = column(taken, 0);
    let subjects: Vec<Vec<u8>> = taken.iter().map(|row| moved_key(row.get(1))).collect();
    let (due_at, fences): (Vec<i64>, Vec<i64>) = (column(taken, 2), column(taken, 3));
    let leases: Vec<Option<i64>> = column(taken, 4);
    let sql = "INSERT INTO due (shard, kind, subject, due_at, fence, lease_until)
        SELECT 0, * FROM UNNEST($1::smallint[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[])";
    put(transaction, sql, &[&kinds, &subjects, &due_at, &fences, &leases]).await
}

async fn put_last_uses(transaction: &Transaction<'_>, taken: &[Row]) -> Result<(), Error> {
    let subjects: Vec<Vec<u8>> = taken.iter().map(|row| moved_key(row.get(0))).collect();
    let at: Vec<i64> = column(taken, 1);
    let macs: Vec<Vec<u8>> = taken.iter().map(|row| moved_mac(row.get(2))).collect();
    let sql = "INSERT INTO last_use (shard, subject, at, mac) SELECT 0, * FROM UNNEST($1::bytea[], $2::bigint[], $3::bytea[])";
    put(transaction, sql, &[&subjects, &at, &macs]).await
}
