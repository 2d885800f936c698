//! What the engines share about rows, pages and times.

use std::sync::Arc;

use tenure_core::base::time::Timestamp;
use tenure_core::store::port::{ListQuery, Page, RowSealer, StoreError};
use tenure_core::store::row::{BadRow, Row, RowKey};
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

/// A page of the rows that were found, each checked: a full one may have a next one.
pub(crate) fn page(found: Vec<Result<Arc<Row>, StoreError>>, limit: usize) -> Result<Page, StoreError> {
    let full = found.len() >= limit;
    let mut page = Page { rows: Vec::with_capacity(found.len()), next: None, altered: Vec::new() };
    for row in found {
        let id = match row {
            Ok(row) => {
                page.rows.push(row);
                page.rows.last().map(|row| row.key.id.clone())
            }
            Err(StoreError::Tampered(key)) => {
                page.altered.push(key);
                page.altered.last().map(|key| key.id.clone())
            }
            Err(other) => return Err(other),
        };
        page.next = id.filter(|_| full);
    }
    Ok(page)
}

/// Whether a last use was noted by a holder of the key.
pub(crate) fn is_genuine(sealer: &dyn RowSealer, subject: &[u8], at: i64, mac: &[u8]) -> bool {
    let expected = std::str::from_utf8(subject).map(|subject| sealer.last_use(subject, Timestamp::from_micros(at)));
    expected.is_ok_and(|expected| aws_lc_rs::constant_time::verify_slices_are_equal(&expected, mac).is_ok())
}

/// Whether a column of terms holds a term.
pub(crate) fn bears(column: Option<&[u8]>, term: &[u8]) -> bool {
    let terms: Option<Vec<String>> = column.and_then(|column| serde_json::from_slice(column).ok());
    terms.is_some_and(|terms| terms.iter().any(|held| held.as_bytes() == term))
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
    // As a value of JSON it has no way to fail, so that no row stands in the index without its terms.
    serde_json::Value::from(terms).to_string().into_bytes()
}

/// The inverse of [`terms_column`].
pub(crate) fn terms_of(key: &RowKey, column: &[u8]) -> Result<Vec<String>, StoreError> {
    serde_json::from_slice(column)
        .map_err(|error| BadRow { key: key.clone(), why: format!("its terms: {error}") }.into())
}

/// Terms as they stand beside a row, for whoever holds them against it: a column that can't be read stands as a term
/// that no row bears.
pub(crate) fn terms_beside(column: &[u8]) -> Vec<String> {
    serde_json::from_slice(column).unwrap_or_else(|_| vec![format!("unreadable={}", String::from_utf8_lossy(column))])
}

/// The database holds less than was acknowledged: it was rolled back or replaced (S-1).
pub(crate) fn behind(found: u64, acknowledged: u64) -> StoreError {
    StoreError::Unavailable(format!(
        "the database holds {found} entries, but {acknowledged} were acknowledged: it was rolled back or replaced (S-1)"
    ))
}

/// A column of 32 bytes.
pub(crate) fn hash(column: &[u8]) -> Result<[u8; 32], StoreError> {
    column.try_into().map_err(|_| StoreError::Unavailable("a column that should hold 32 bytes doesn't".into()))
}
