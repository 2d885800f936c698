//! The schema, brought up to date under an advisory lock, so that replicas that start together don't collide.

use super::session::Address;
use crate::error::OpenError;
use crate::migrations::{self, pending};

/// Names the lock among those of other programs: "tenure" in ASCII.
const LOCK: i64 = 0x74_65_6e_75_72_65;

pub(super) async fn migrate(address: &Address) -> Result<(), OpenError> {
    let mut client = address.connect(|_| ()).await?;
    // Another replica may be at a long migration.
    client.batch_execute("SET lock_timeout = 0; SET statement_timeout = 0").await?;
    let transaction = client.transaction().await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    transaction
        .batch_execute("CREATE TABLE IF NOT EXISTS migration (number INTEGER NOT NULL PRIMARY KEY, checksum BYTEA NOT NULL)")
        .await?;
    let ran: Vec<(u32, Vec<u8>)> = transaction
        .query("SELECT number, checksum FROM migration ORDER BY number", &[])
        .await?
        .iter()
        .map(|row| (u32::try_from(row.get::<_, i32>(0)).unwrap_or_default(), row.get(1)))
        .collect();
    for migration in pending(migrations::POSTGRES, &ran)? {
        transaction.batch_execute(migration.sql).await?;
        let number = i32::try_from(migration.number).unwrap_or(i32::MAX);
        transaction
            .execute("INSERT INTO migration (number, checksum) VALUES ($1, $2)", &[&number, &migration.checksum()])
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}
