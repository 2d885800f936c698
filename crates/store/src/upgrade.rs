//! How what an earlier version kept is brought into the form of this one: what each engine needs of it.
//!
//! Rows are moved a batch a transaction, and what a batch moved is gone from where it was: wherever it is stopped, the
//! next start goes on. The migration that begins it is on record before the first batch, so that no earlier version
//! opens a database that is half moved. MACs and digests are of what a record says, which stays as it is.

use std::time::{Duration, Instant};

use tenure_core::request::{Request, RequestState};
use tenure_core::store::row::Record;
use tenure_log::packed::{pack, pack_key, unpack, unpack_key};

use crate::row::{MAC_BYTES, commit_key, term_key, term_keys_of, terms_column, text};

/// Rows moved in one transaction.
pub(crate) const BATCH: u16 = 2_000;
/// The newest commits that are found by their ids behind an upgrade: nobody asks for older ones.
pub(crate) const SETTLED_LATER: u64 = 4_096;
/// Between two lines of progress.
const PACE: Duration = Duration::from_secs(2);

/// How far an upgrade has come; it says so now and then.
pub(crate) struct Progress {
    of: u64,
    moved: u64,
    begun: Instant,
    told: Instant,
}

impl Progress {
    #[expect(clippy::disallowed_methods, reason = "how long it takes is told, and decides nothing")]
    pub(crate) fn new(of: u64) -> Self {
        let now = Instant::now();
        if of > 0 {
            tracing::info!(
                rows = of,
                "the database is brought into the form of this version; it may be stopped and goes on then"
            );
        }
        Self { of, moved: 0, begun: now, told: now }
    }

    pub(crate) fn moved(&mut self, rows: usize) {
        self.moved += rows as u64;
        if self.told.elapsed() >= PACE {
            self.told += self.told.elapsed();
            let rate = self.moved as f64 / self.begun.elapsed().as_secs_f64();
            let percent = self.moved.saturating_mul(100) / self.of.max(1);
            tracing::info!(
                percent,
                rows = self.moved,
                of = self.of,
                rows_a_second = rate as u64,
                "upgrading the database"
            );
        }
    }

    pub(crate) fn end(&self) {
        if self.of > 0 {
            let seconds = self.begun.elapsed().as_secs();
            tracing::info!(rows = self.moved, seconds, "the database is in the form of this version");
        }
    }

    pub(crate) const fn counts(&self) -> (u64, u64) {
        (self.moved, self.of)
    }
}

/// A key as it is kept now.
pub(crate) fn moved_key(key: Vec<u8>) -> Vec<u8> {
    pack_key(&text(key))
}

/// A record's columns as they are kept now: id, MAC, terms, body. What nobody can read stays as it is, so that it is
/// found out as before.
pub(crate) fn moved_record(id: Vec<u8>, mac: &[u8], terms: &[u8], body: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>) {
    let id = text(id);
    let terms = serde_json::from_slice::<Vec<String>>(terms).map_or(terms.to_vec(), |terms| terms_column(&terms));
    (pack_key(&id), moved_mac(mac), terms, pack(body, &id))
}

/// A MAC as it is kept now.
pub(crate) fn moved_mac(mac: &[u8]) -> Vec<u8> {
    mac.get(..MAC_BYTES).unwrap_or(mac).to_vec()
}

/// By what a moved entry is found: only the newest are.
pub(crate) fn moved_commit(index: u64, size: u64, id: Vec<u8>) -> Option<i64> {
    (index.saturating_add(SETTLED_LATER) >= size).then(|| commit_key(&text(id)))
}

/// The kind of requests, and the key by which the open ones are found.
pub(crate) fn open_requests() -> (u8, Vec<u8>) {
    let kind = Request::KIND.code();
    (kind, term_key(kind, &Request::STATE.of(RequestState::Open).to_string()))
}

/// The terms of a request as they stand beside it now, and the keys of those that it lacked in the index; `None` where it
/// can't be read: then it stays as it is, and a verification of the state names it.
pub(crate) fn request_terms(id: &[u8], terms: &[u8], body: &[u8]) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    let body = unpack(body, &unpack_key(id)).ok()?;
    let request: Request = serde_json::from_slice(&body).ok()?;
    let kind = Request::KIND.code();
    let had = term_keys_of(kind, terms)?;
    let terms = request.terms().into_text();
    let lacked = terms.iter().map(|term| term_key(kind, term)).filter(|key| !had.contains(key)).collect();
    Some((terms_column(&terms), lacked))
}
