//! What the engines share about rows, pages and times: how a row is kept, and how it is checked when it is read.
//!
//! Of every record, its JSON is what is under the MAC and what the log's digest is of. What stands in a column is the
//! packed form of it, which gives the same bytes back. Ids are 17 bytes ([`pack_key`]), MACs are cut to 16, and what is
//! only ever looked up whole, terms and keys that are used once, stands as a digest of itself.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, SHA256};
use tenure_core::base::id::IdentityId;
use tenure_core::base::time::Timestamp;
use tenure_core::store::port::{EntryPersonal, ListQuery, LogEntry, Page, RowSealer, StoreError};
use tenure_core::store::row::{BadRow, Position, Row, RowKey};
use tenure_core::store::use_note::{UseKey, UsePart};
use tenure_log::Leaf;
use tenure_log::packed::{pack, pack_key, unpack};

/// Bytes of a MAC that are kept (NIST SP 800-107r1, 5.3.1: a MAC may be cut to its leftmost bits; nobody has 2^64 tries
/// at one that is checked by the server alone).
pub(crate) const MAC_BYTES: usize = 16;

/// The part of a MAC that is kept.
pub(crate) fn kept_mac(mac: &[u8; 32]) -> &[u8] {
    mac.get(..MAC_BYTES).unwrap_or_default()
}

/// What an engine has read of a row.
pub(crate) struct Found<'a> {
    pub(crate) revision: u64,
    pub(crate) created: u64,
    pub(crate) position: u64,
    pub(crate) mac: &'a [u8],
    pub(crate) body: &'a [u8],
}

/// A row as it was read, if a holder of the key wrote it (S-2).
pub(crate) fn opened(sealer: &dyn RowSealer, key: RowKey, found: &Found<'_>) -> Result<Row, StoreError> {
    // What can't be unpacked was written by nobody who holds the key either.
    let Ok(body) = unpack(found.body, &key.id) else { return Err(StoreError::Tampered(key)) };
    let (created, position) = (Position::at(found.created), Position::at(found.position));
    let row = Row::new(key, found.revision, created, position, body);
    verify(sealer, &row, found.mac)?;
    Ok(row)
}

/// Refuses a row that was not written by a holder of the key (S-2).
pub(crate) fn verify(sealer: &dyn RowSealer, row: &Row, mac: &[u8]) -> Result<(), StoreError> {
    let digest = sealer.digest(&row.key, row.revision, &row.body);
    let expected = sealer.mac(&digest, row.created, row.position);
    match verify_slices_are_equal(kept_mac(&expected), mac) {
        Ok(()) => Ok(()),
        Err(_) => Err(StoreError::Tampered(row.key.clone())),
    }
}

/// A term in the index: rows that are found by it are held against the terms beside them, so that another term of the
/// same digest finds nothing more.
pub(crate) fn term_key(kind: u8, term: &str) -> Vec<u8> {
    digest_of::<8>(&[&[kind], term.as_bytes()])
}

/// A key that can be used once.
pub(crate) fn once_key(space: &str, key: &str) -> Vec<u8> {
    digest_of::<16>(&[space.as_bytes(), &[0], key.as_bytes()])
}

/// The first bytes of a digest.
fn digest_of<const N: usize>(parts: &[&[u8]]) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    context.finish().as_ref().get(..N).unwrap_or_default().to_vec()
}

/// What a commit is found by: the last 8 bytes of its id, of which 62 bits are random. Whoever finds an entry by it
/// compares the whole id.
pub(crate) fn commit_key(id: &str) -> i64 {
    let key = pack_key(id);
    key.last_chunk::<8>().map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

/// What an entry says.
pub(crate) fn leaf_of_entry(leaf: &[u8]) -> Result<Leaf, StoreError> {
    Leaf::read(leaf).map_err(|error| StoreError::Unavailable(format!("an entry of the log can't be read: {error}")))
}

/// Puts a value beside its entry, if that is among these.
pub(crate) fn add_personal(entries: &mut [LogEntry], index: u64, personal: EntryPersonal) {
    if let Ok(found) = entries.binary_search_by_key(&index, |entry| entry.index)
        && let Some(entry) = entries.get_mut(found)
    {
        entry.personal.push(personal);
    }
}

/// Where an entry stands: the shard's number is above it.
pub(crate) fn place(index: u64) -> i64 {
    signed(index)
}

/// How many rows a page may have.
pub(crate) fn limit_of(query: &ListQuery) -> usize {
    usize::from(query.limit.clamp(1, 1000))
}

/// A list as both engines are asked for it. The first term leads, in the order of ids; the others are looked up for each
/// of its rows. Parameters, each behind this sign: the kind, the id behind which it goes on, how many, the keys of its
/// terms, and of those that none may bear.
pub(crate) fn list_sql(query: &ListQuery, join: &str, sign: char) -> String {
    let columns = "SELECT r.revision, r.created, r.position, r.mac, r.body, r.id, r.terms FROM";
    let (mut tables, ids) = match query.terms.len() {
        0 => ("record r".to_owned(), "r"),
        _ => ("term t0".to_owned(), "t0"),
    };
    for n in 1..query.terms.len() {
        let term = n + 4;
        let same = format!("t{n}.shard = 0 AND t{n}.kind = {sign}1 AND t{n}.term = {sign}{term} AND t{n}.id = t0.id");
        tables.push_str(&format!(" {join} term t{n} ON {same}"));
    }
    let mut clauses = format!("{ids}.shard = 0 AND {ids}.kind = {sign}1");
    if !query.terms.is_empty() {
        tables.push_str(&format!(" {join} record r ON r.shard = 0 AND r.kind = {sign}1 AND r.id = t0.id"));
        clauses.push_str(&format!(" AND t0.term = {sign}4"));
    }
    for n in 0..query.without.len() {
        let term = n + 4 + query.terms.len();
        let same = format!("x.shard = 0 AND x.kind = {sign}1 AND x.term = {sign}{term} AND x.id = {ids}.id");
        clauses.push_str(&format!(" AND NOT EXISTS (SELECT 1 FROM term x WHERE {same})"));
    }
    let behind = match (&query.after, query.newest_first) {
        (None, _) => ">=",
        (Some(_), false) => ">",
        (Some(_), true) => "<",
    };
    let order = if query.newest_first { " DESC" } else { "" };
    format!("{columns} {tables} WHERE {clauses} AND {ids}.id {behind} {sign}2 ORDER BY {ids}.id{order} LIMIT {sign}3")
}

/// A row of a list as it was found.
pub(crate) struct Listed {
    pub(crate) id: String,
    /// Whether it bears the terms that it was found by.
    pub(crate) bears: bool,
    pub(crate) row: Result<Arc<Row>, StoreError>,
}

/// A page of the rows that were found, each checked: a full one may have a next one.
pub(crate) fn page(found: Vec<Listed>, limit: usize) -> Result<Page, StoreError> {
    let next = found.last().filter(|_| found.len() >= limit).map(|last| last.id.clone());
    let mut page = Page { rows: Vec::with_capacity(found.len()), next, altered: Vec::new() };
    for listed in found.into_iter().filter(|listed| listed.bears) {
        match listed.row {
            Ok(row) => page.rows.push(row),
            Err(StoreError::Tampered(key)) => page.altered.push(key),
            Err(other) => return Err(other),
        }
    }
    Ok(page)
}

/// Whether a last use was noted by a holder of the key.
pub(crate) fn is_genuine(sealer: &dyn RowSealer, subject: &str, at: i64, mac: &[u8]) -> bool {
    let expected = sealer.last_use(subject, Timestamp::from_micros(at));
    verify_slices_are_equal(kept_mac(&expected), mac).is_ok()
}

/// Whether a note of use was written by a holder of the key.
pub(crate) fn is_genuine_note(sealer: &dyn RowSealer, key: UseKey, body: &[u8], mac: &[u8]) -> bool {
    verify_slices_are_equal(kept_mac(&sealer.use_note(key, body)), mac).is_ok()
}

/// The column of whose use a note is about.
pub(crate) fn use_column(key: UseKey) -> Vec<u8> {
    key.identity.as_u128().to_be_bytes().to_vec()
}

/// Which note stands in these columns; `None` for what nobody with the key can have written.
pub(crate) fn use_key(part: i32, identity: &[u8]) -> Option<UseKey> {
    let identity = IdentityId::from_u128(u128::from_be_bytes(identity.try_into().ok()?));
    Some(UseKey { part: UsePart::from_code(part)?, identity })
}

/// Whether a column of terms holds one of this digest.
pub(crate) fn bears(kind: u8, column: Option<&[u8]>, term: &[u8]) -> bool {
    let terms = column.and_then(|column| read_terms(column).ok());
    terms.is_some_and(|terms| terms.iter().any(|held| term_key(kind, held) == term))
}

/// A number of the domain as the engines' signed column. What doesn't fit is larger than any that they hold.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A column's number, which is never negative unless somebody else wrote it; then its MAC fails.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// The column of a build's number: each number has one, so that what somebody else wrote there can be named and removed.
pub(crate) const fn build_column(build: u64) -> i64 {
    build.cast_signed()
}

/// The number of a build from its column.
pub(crate) const fn build_of(column: i64) -> u64 {
    column.cast_unsigned()
}

/// A column's bytes as the text that they were; bytes that somebody else wrote match no MAC.
pub(crate) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned())
}

/// Terms as the column beside a row, from which a later write learns what to remove.
pub(crate) fn terms_column(terms: &[String]) -> Vec<u8> {
    // As a value of JSON it has no way to fail, so that no row stands in the index without its terms.
    pack(serde_json::Value::from(terms).to_string().as_bytes(), "")
}

fn read_terms(column: &[u8]) -> Result<Vec<String>, String> {
    let json = unpack(column, "").map_err(|error| error.to_string())?;
    serde_json::from_slice(&json).map_err(|error| error.to_string())
}

/// The inverse of [`terms_column`].
pub(crate) fn terms_of(key: &RowKey, column: &[u8]) -> Result<Vec<String>, StoreError> {
    read_terms(column).map_err(|error| BadRow { key: key.clone(), why: format!("its terms: {error}") }.into())
}

/// The terms that a row bore, by what is in the index; `None` where the column can't be read.
pub(crate) fn term_keys_of(kind: u8, column: &[u8]) -> Option<Vec<Vec<u8>>> {
    Some(read_terms(column).ok()?.iter().map(|term| term_key(kind, term)).collect())
}

/// Whether a row that was found by terms bears all of them: two terms may have one digest.
pub(crate) fn bears_all(column: &[u8], terms: &[String]) -> bool {
    terms.is_empty() || read_terms(column).is_ok_and(|held| terms.iter().all(|term| held.contains(term)))
}

/// Terms as they stand beside a row, for whoever holds them against it: a column that can't be read stands as a term
/// that no row bears.
pub(crate) fn terms_beside(column: &[u8]) -> Vec<String> {
    read_terms(column).unwrap_or_else(|_| vec![format!("unreadable={}", String::from_utf8_lossy(column))])
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
