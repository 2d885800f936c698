//! What the engines share about rows, pages and times.

use std::sync::Arc;

use tenure_core::port::{ListQuery, Page, RowSealer, StoreError};
use tenure_core::row::{BadRow, Row, RowKey};
use tenure_core::time::Timestamp;
use tenure_log::Leaf;

/// Refuses a row that was not written by a holder of the key (S-2).
pub(crate) fn verify(sealer: &dyn RowSealer, row: &Row, mac: &[u8]) -> Result<(), StoreError> {
    let digest = sealer.digest(&row.key, row.revision, &row.body);
    let expected = sealer.mac(&digest, row.created, row.position);
    match aws_lc_rs::constant_time::verify_slices_are_equal(&expected, mac) {
        Ok(()) => Ok(()),
        Err(_) => Err(StoreError::Tampered(row.key.clone())),
    }
}

/// How many rows a page may have.
pub(crate) fn limit_of(query: &ListQuery) -> usize {
    usize::from(query.limit.clamp(1, 1000))
}

/// A full page may have a next one.
pub(crate) fn page(rows: Vec<Arc<Row>>, limit: usize) -> Page {
    let next = rows.last().filter(|_| rows.len() >= limit).map(|row| row.key.id.clone());
    Page { rows, next }
}

/// The time that an entry carries.
pub(crate) fn leaf_time(leaf: &[u8]) -> Result<Timestamp, StoreError> {
    match Leaf::parse(leaf) {
        Ok(leaf) => Ok(Timestamp::from_micros(leaf.at)),
        Err(error) => Err(StoreError::Unavailable(format!("an entry of the log can't be read: {error}"))),
    }
}

/// A number of the domain as the engines' signed column. What doesn't fit is larger than any that they hold.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A column's number, which is never negative unless somebody else wrote it; then its MAC fails.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// A column's bytes as the text that they were; bytes that somebody else wrote match no MAC.
pub(crate) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned())
}

/// Terms as the column beside a row, from which a later write learns what to remove.
pub(crate) fn terms_column(terms: &[String]) -> Vec<u8> {
    // A list of texts is always JSON.
    serde_json::to_vec(terms).unwrap_or_default()
}

/// The inverse of [`terms_column`].
pub(crate) fn terms_of(key: &RowKey, column: &[u8]) -> Result<Vec<String>, StoreError> {
    serde_json::from_slice(column).map_err(|error| {
        BadRow {
            key: key.clone(),
            why: format!("its terms: {error}"),
        }
        .into()
    })
}

/// The database holds less than was acknowledged: it was rolled back or replaced (S-1).
pub(crate) fn behind(found: u64, acknowledged: u64) -> StoreError {
    StoreError::Unavailable(format!(
        "the database holds {found} entries, but {acknowledged} were acknowledged: it was rolled back or replaced (S-1)"
    ))
}

/// A column of 32 bytes.
pub(crate) fn hash(column: &[u8]) -> Result<[u8; 32], StoreError> {
    column
        .try_into()
        .map_err(|_| StoreError::Unavailable("a column that should hold 32 bytes doesn't".into()))
}
