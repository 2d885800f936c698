//! Schema changes: numbered, forward-only, never edited. Each engine runs those that its database lacks, in one
//! transaction under a lock.

use aws_lc_rs::digest::{SHA256, digest};

/// A step of the schema.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Migration {
    pub(crate) number: u32,
    pub(crate) sql: &'static str,
}

/// The one after which the last uses of before get their MACs: that takes the key.
pub(crate) const LAST_USES: u32 = 3;

/// The one after which what was there is moved into the form of now, before any later one: that takes a while, and may
/// be interrupted.
pub(crate) const COMPACT: u32 = 5;

/// The one with which open requests get the terms of whose vote they wait for: records are packed, and no SQL reads them.
pub(crate) const WAITING: u32 = 10;

pub(crate) const SQLITE: &[Migration] = &[
    Migration { number: 1, sql: include_str!("../migrations/sqlite/0001_start.sql") },
    Migration { number: 2, sql: include_str!("../migrations/sqlite/0002_total_terms.sql") },
    Migration { number: LAST_USES, sql: include_str!("../migrations/sqlite/0003_last_uses.sql") },
    Migration { number: 4, sql: include_str!("../migrations/sqlite/0004_terms_of_answering.sql") },
    Migration { number: COMPACT, sql: include_str!("../migrations/sqlite/0005_compact.sql") },
    Migration { number: 6, sql: include_str!("../migrations/sqlite/0006_compacted.sql") },
    Migration { number: 7, sql: include_str!("../migrations/sqlite/0007_log_index.sql") },
    Migration { number: 8, sql: include_str!("../migrations/sqlite/0008_archive.sql") },
    Migration { number: 9, sql: include_str!("../migrations/sqlite/0009_search.sql") },
    Migration { number: WAITING, sql: include_str!("../migrations/sqlite/0010_waiting.sql") },
    Migration { number: 11, sql: include_str!("../migrations/sqlite/0011_use_notes.sql") },
];
pub(crate) const POSTGRES: &[Migration] = &[
    Migration { number: 1, sql: include_str!("../migrations/postgres/0001_start.sql") },
    Migration { number: 2, sql: include_str!("../migrations/postgres/0002_total_terms.sql") },
    Migration { number: LAST_USES, sql: include_str!("../migrations/postgres/0003_last_uses.sql") },
    Migration { number: 4, sql: include_str!("../migrations/postgres/0004_terms_of_answering.sql") },
    Migration { number: COMPACT, sql: include_str!("../migrations/postgres/0005_compact.sql") },
    Migration { number: 6, sql: include_str!("../migrations/postgres/0006_compacted.sql") },
    Migration { number: 7, sql: include_str!("../migrations/postgres/0007_log_index.sql") },
    Migration { number: 8, sql: include_str!("../migrations/postgres/0008_archive.sql") },
    Migration { number: 9, sql: include_str!("../migrations/postgres/0009_search.sql") },
    Migration { number: WAITING, sql: include_str!("../migrations/postgres/0010_waiting.sql") },
    Migration { number: 11, sql: include_str!("../migrations/postgres/0011_use_notes.sql") },
];

impl Migration {
    /// What the database remembers of it.
    pub(crate) fn checksum(&self) -> Vec<u8> {
        digest(&SHA256, self.sql.as_bytes()).as_ref().to_vec()
    }
}

/// Why a database's schema can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MigrationError {
    /// A migration that ran is not the one in this program: somebody edited it.
    #[error("migration {0} is not the one that was run on this database")]
    Edited(u32),
    /// The database was used by a newer Tenure.
    #[error("the database has migration {0}, which this version of Tenure doesn't know: use a newer version")]
    Newer(u32),
    /// Something on a table of ours isn't what the migrations made.
    #[error("{0} isn't what Tenure made: somebody changed the database. Remove what was added, or restore a backup")]
    Altered(String),
}

/// The migrations still to run, given the numbers and checksums of those that ran.
pub(crate) fn pending<'a>(
    known: &'a [Migration],
    ran: &[(u32, Vec<u8>)],
) -> Result<Vec<&'a Migration>, MigrationError> {
    for (number, checksum) in ran {
        match known.iter().find(|migration| migration.number == *number) {
            None => return Err(MigrationError::Newer(*number)),
            Some(migration) if migration.checksum() != *checksum => return Err(MigrationError::Edited(*number)),
            Some(_) => {}
        }
    }
    Ok(known.iter().filter(|migration| ran.iter().all(|(number, _)| *number != migration.number)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: &[Migration] = &[Migration { number: 1, sql: "one" }, Migration { number: 2, sql: "two" }];

    #[test]
    fn only_what_is_missing_runs() {
        let first = (1, STEPS[0].checksum());
        let numbers =
            |ran: &[_]| pending(STEPS, ran).map(|steps| steps.iter().map(|step| step.number).collect::<Vec<_>>());
        assert_eq!(numbers(&[]), Ok(vec![1, 2]));
        assert_eq!(numbers(std::slice::from_ref(&first)), Ok(vec![2]));
        assert_eq!(numbers(&[(1, b"else".to_vec())]), Err(MigrationError::Edited(1)));
        assert_eq!(numbers(&[first, (3, Vec::new())]), Err(MigrationError::Newer(3)));
    }
}
