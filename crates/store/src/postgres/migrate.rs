//! The schema, brought up to date under an advisory lock, so that replicas that start together don't collide.

use std::ops::RangeBounds;

use tenure_core::base::time::Timestamp;
use tenure_core::store::port::RowSealer;
use tokio_postgres::{Client, Transaction};

use super::compact;
use super::session::Address;
use crate::error::OpenError;
use crate::migrations::{self, pending};
use crate::row::text;
use crate::upgrade::{open_requests, request_terms};

/// Names the lock among those of other programs: "tenure" in ASCII.
const LOCK: i64 = 0x74_65_6e_75_72_65;

/// Brings the database into the form of this version. What takes long goes in steps: stopped in the middle, the next
/// start goes on.
pub(super) async fn migrate(address: &Address, sealer: &dyn RowSealer) -> Result<(), OpenError> {
    let mut client = address.connect(|_| ()).await?;
    // Another replica may be at a long migration. The lock ends with the connection.
    client
        .batch_execute("SET lock_timeout = 0; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
        .await?;
    client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await?;
    run_migrations(&mut client, sealer, ..=migrations::COMPACT).await?;
    compact::move_rows(&mut client).await?;
    run_migrations(&mut client, sealer, ..).await
}

/// Runs those of the migrations in a range that are still to run.
async fn run_migrations(
    client: &mut Client,
    sealer: &dyn RowSealer,
    range: impl RangeBounds<u32>,
) -> Result<(), OpenError> {
    let transaction = client.transaction().await?;
    transaction
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS migration (number INTEGER NOT NULL PRIMARY KEY, checksum BYTEA NOT NULL)",
        )
        .await?;
    let ran: Vec<(u32, Vec<u8>)> = transaction
        .query("SELECT number, checksum FROM migration ORDER BY number", &[])
        .await?
        .iter()
        .map(|row| (u32::try_from(row.get::<_, i32>(0)).unwrap_or_default(), row.get(1)))
        .collect();
    for migration in pending(migrations::POSTGRES, &ran)?.into_iter().filter(|step| range.contains(&step.number)) {
        transaction.batch_execute(migration.sql).await?;
        if migration.number == migrations::LAST_USES {
            seal_last_uses(&transaction, sealer).await?;
        }
        if migration.number == migrations::WAITING {
            name_voters(&transaction).await?;
        }
        let number = i32::try_from(migration.number).unwrap_or(i32::MAX);
        transaction
            .execute("INSERT INTO migration (number, checksum) VALUES ($1, $2)", &[&number, &migration.checksum()])
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Takes over the last uses that an earlier version noted without a MAC.
async fn seal_last_uses(transaction: &Transaction<'_>, sealer: &dyn RowSealer) -> Result<(), OpenError> {
    let mut after: Vec<u8> = Vec::new();
    loop {
        let noted = transaction
            .query(
                "SELECT subject, at FROM last_used WHERE shard = 0 AND subject > $1 ORDER BY subject LIMIT 1000",
                &[&after],
            )
            .await?;
        let Some(last) = noted.last() else { return Ok(()) };
        after = last.get(0);
        let subjects: Vec<&[u8]> = noted.iter().map(|row| row.get(0)).collect();
        let times: Vec<i64> = noted.iter().map(|row| row.get(1)).collect();
        let mac = |(subject, at): (&&[u8], &i64)| {
            sealer.last_use(&text(subject.to_vec()), Timestamp::from_micros(*at)).to_vec()
        };
        let macs: Vec<Vec<u8>> = subjects.iter().zip(&times).map(mac).collect();
        transaction
            .execute(
                "INSERT INTO last_use (shard, subject, at, mac)
                 SELECT 0, u.subject, u.at, u.mac FROM UNNEST($1::bytea[], $2::bigint[], $3::bytea[]) AS u (subject, at, mac)
                 ON CONFLICT (shard, subject) DO UPDATE SET at = excluded.at, mac = excluded.mac",
                &[&subjects, &times, &macs],
            )
            .await?;
    }
}

/// Gives open requests of an earlier version the terms that they lack.
async fn name_voters(transaction: &Transaction<'_>) -> Result<(), OpenError> {
    let (kind, open) = open_requests();
    let kind = i16::from(kind);
    let mut after: Vec<u8> = Vec::new();
    loop {
        let found = transaction
            .query(
                "SELECT r.id, r.terms, r.body FROM term t JOIN record r ON r.shard = 0 AND r.kind = t.kind AND r.id = t.id
                 WHERE t.shard = 0 AND t.kind = $1 AND t.term = $2 AND t.id > $3 ORDER BY t.id LIMIT 1000",
                &[&kind, &open, &after],
            )
            .await?;
        let Some(last) = found.last() else { return Ok(()) };
        after = last.get(0);
        let (mut ids, mut columns) = (Vec::<&[u8]>::new(), Vec::new());
        let (mut indexed, mut keys) = (Vec::<&[u8]>::new(), Vec::new());
        for row in &found {
            let id: &[u8] = row.get(0);
            let Some((terms, lacked)) = request_terms(id, row.get(1), row.get(2)) else { continue };
            ids.push(id);
            columns.push(terms);
            indexed.extend(lacked.iter().map(|_| id));
            keys.extend(lacked);
        }
        transaction
            .execute(
                "UPDATE record r SET terms = u.terms FROM UNNEST($2::bytea[], $3::bytea[]) AS u (id, terms)
                 WHERE r.shard = 0 AND r.kind = $1 AND r.id = u.id",
                &[&kind, &ids, &columns],
            )
            .await?;
        transaction
            .execute(
                "INSERT INTO term (shard, kind, term, id) SELECT 0, $1, u.term, u.id FROM UNNEST($2::bytea[], $3::bytea[]) AS u (term, id)
                 ON CONFLICT DO NOTHING",
                &[&kind, &keys, &indexed],
            )
            .await?;
    }
}
