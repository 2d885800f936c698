//! What the log says of rows, in constant memory: kept until there is much of it, then sorted and put in a file that has
//! no name, and merged as the rows are listed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use tenure_core::store::row::{RowKey, RowKind};
use tenure_log::Hash;
use tenure_log::packed::{pack_key, unpack_key};

use crate::kernel::error::OpError;

/// Rows that are kept before they are sorted and put away: some 20 MiB.
const KEPT: usize = 200_000;
/// Rows of a kind that are at hand while it is listed, besides those of the page. What isn't more is found whatever the
/// order of the list.
const AT_HAND: usize = 20_000;
/// Bytes of a file that are read and written at once.
const PIECE: usize = 32 << 10;

/// The kind's code and the packed key: sorts as a store lists.
type Place = Vec<u8>;

fn place(key: &RowKey) -> Place {
    let mut place = vec![key.kind.code()];
    place.extend(pack_key(&key.id));
    place
}

fn key_at(place: &[u8]) -> Option<RowKey> {
    let (code, id) = place.split_first()?;
    Some(RowKey { kind: RowKind::from_code(*code)?, id: unpack_key(id) })
}

/// A row as the log says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SaidRow {
    pub(crate) key: RowKey,
    pub(crate) revision: u64,
    pub(crate) digest: Hash,
}

/// Records one after the other: in memory, and in a file as soon as they are many.
struct Spool {
    folder: PathBuf,
    file: Option<Arc<File>>,
    /// Bytes in the file.
    put_away: u64,
    /// What follows them.
    rest: Vec<u8>,
    /// Bytes that are kept in memory.
    kept: usize,
}

impl Spool {
    fn new(folder: PathBuf, kept: usize) -> Self {
        Self { folder, file: None, put_away: 0, rest: Vec::new(), kept }
    }

    fn push(&mut self, place: &[u8], revision: u64, digest: &Hash) -> io::Result<()> {
        let length = u8::try_from(place.len()).map_err(|_| io::Error::other("a key is too long"))?;
        self.rest.push(length);
        self.rest.extend_from_slice(place);
        self.rest.extend_from_slice(&revision.to_le_bytes());
        self.rest.extend_from_slice(digest);
        if self.rest.len() >= self.kept { self.put_away() } else { Ok(()) }
    }

    fn put_away(&mut self) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(Arc::new(tempfile::tempfile_in(&self.folder)?)),
        };
        file.write_all_at(&self.rest, self.put_away)?;
        self.put_away += self.rest.len() as u64;
        self.rest.clear();
        self.kept = PIECE;
        Ok(())
    }

    fn size(&self) -> u64 {
        self.put_away + self.rest.len() as u64
    }

    /// The records in a range of bytes, as far as they are put away or, at the end, kept.
    fn read(&self, range: Range<u64>) -> Reader<'_> {
        Reader { spool: self, next: range.start, end: range.end, piece: Vec::new(), at: 0 }
    }

    fn bytes(&self, from: u64, n: usize) -> io::Result<Vec<u8>> {
        let there = usize::try_from(self.put_away.saturating_sub(from)).unwrap_or(usize::MAX).min(n);
        let mut bytes = vec![0; there];
        if let Some(file) = self.file.as_ref().filter(|_| there > 0) {
            file.read_exact_at(&mut bytes, from)?;
        }
        if there < n {
            let start = usize::try_from(from.saturating_sub(self.put_away)).unwrap_or(usize::MAX);
            bytes.extend(self.rest.iter().skip(start).take(n - there));
        }
        Ok(bytes)
    }
}

type Record = (Place, u64, Hash);

struct Reader<'s> {
    spool: &'s Spool,
    next: u64,
    end: u64,
    piece: Vec<u8>,
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, n: usize) -> io::Result<Option<&[u8]>> {
        if self.piece.len() - self.at < n {
            self.piece.drain(..self.at);
            self.at = 0;
            let n = usize::try_from(self.end - self.next).unwrap_or(usize::MAX).min(PIECE);
            self.piece.extend(self.spool.bytes(self.next, n)?);
            self.next += n as u64;
        }
        let taken = self.piece.get(self.at..self.at + n);
        self.at += taken.map_or(0, <[u8]>::len);
        Ok(taken)
    }

    fn next(&mut self) -> io::Result<Option<Record>> {
        let Some([length]) = self.take(1)? else { return Ok(None) };
        let length = usize::from(*length);
        let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let record = self.take(length + 40)?.ok_or_else(cut)?;
        let (place, rest) = record.split_at(length);
        let (revision, digest) = rest.split_first_chunk().ok_or_else(cut)?;
        let digest = digest.try_into().map_err(|_| cut())?;
        Ok(Some((place.to_vec(), u64::from_le_bytes(*revision), digest)))
    }
}

/// What the log says of rows: of each the newest.
pub(crate) struct Said {
    recent: BTreeMap<Place, (u64, Hash)>,
    sorted: Spool,
    runs: Vec<Range<u64>>,
    kept: usize,
}

impl Said {
    /// Nothing yet. What is much goes to a file in `folder`.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { recent: BTreeMap::new(), sorted: Spool::new(folder, PIECE), runs: Vec::new(), kept: KEPT }
    }

    /// Notes what the log says next of a row.
    pub(crate) fn note(&mut self, key: &RowKey, revision: u64, digest: Hash) -> Result<(), OpError> {
        self.recent.insert(place(key), (revision, digest));
        if self.recent.len() < self.kept {
            return Ok(());
        }
        let start = self.sorted.size();
        let recent = std::mem::take(&mut self.recent);
        for (place, (revision, digest)) in recent {
            self.sorted.push(&place, revision, &digest).map_err(unwritable)?;
        }
        self.runs.push(start..self.sorted.size());
        Ok(())
    }

    /// All of it, kind by kind in the order of their codes.
    pub(crate) fn merged(&self) -> Result<Merged<'_>, OpError> {
        let mut merged =
            Merged { runs: Vec::new(), recent: self.recent.iter(), heap: BinaryHeap::new(), at_hand: BTreeMap::new() };
        for (number, run) in self.runs.iter().enumerate() {
            merged.runs.push(self.sorted.read(run.clone()));
            merged.refill(number)?;
        }
        merged.refill(self.runs.len())?;
        Ok(merged)
    }
}

/// The next record of a run: where, by the run's number, and what is said.
type Next = (Place, Reverse<usize>, u64, Hash);

/// What the log says, as a store lists rows.
pub(crate) struct Merged<'s> {
    runs: Vec<Reader<'s>>,
    recent: std::collections::btree_map::Iter<'s, Place, (u64, Hash)>,
    /// The next of each run, the newest run first where they say the same row.
    heap: BinaryHeap<Reverse<Next>>,
    /// What is in front of the rows that are listed now.
    at_hand: BTreeMap<Place, (u64, Hash)>,
}

impl Merged<'_> {
    fn refill(&mut self, number: usize) -> Result<(), OpError> {
        let next = match self.runs.get_mut(number) {
            Some(run) => run.next().map_err(unwritable)?,
            None => self.recent.next().map(|(place, (revision, digest))| (place.clone(), *revision, *digest)),
        };
        if let Some((place, revision, digest)) = next {
            self.heap.push(Reverse((place, Reverse(number), revision, digest)));
        }
        Ok(())
    }

    fn pop(&mut self) -> Result<Option<Record>, OpError> {
        let Some(Reverse((place, Reverse(number), revision, digest))) = self.heap.pop() else {
            return Ok(None);
        };
        self.refill(number)?;
        while let Some(Reverse((other, Reverse(older), ..))) = self.heap.peek()
            && *other == place
        {
            let older = *older;
            self.heap.pop();
            self.refill(older)?;
        }
        Ok(Some((place, revision, digest)))
    }

    /// Brings what is said of these rows to hand, of one page of a kind.
    pub(crate) fn reach<'k>(&mut self, kind: RowKind, page: impl Iterator<Item = &'k RowKey>) -> Result<(), OpError> {
        let last = page.map(place).max().unwrap_or_default();
        while let Some(Reverse((next, ..))) = self.heap.peek()
            && next.first() == Some(&kind.code())
            && (*next <= last || self.at_hand.len() < AT_HAND)
        {
            if let Some((place, revision, digest)) = self.pop()? {
                self.at_hand.insert(place, (revision, digest));
            }
        }
        Ok(())
    }

    /// What is said of a row at hand.
    pub(crate) fn take(&mut self, key: &RowKey) -> Option<(u64, Hash)> {
        self.at_hand.remove(&place(key))
    }

    /// What is said of rows that a page went past without them.
    pub(crate) fn passed<'k>(&mut self, page: impl Iterator<Item = &'k RowKey>) -> Vec<SaidRow> {
        if self.at_hand.len() <= AT_HAND {
            return Vec::new();
        }
        let ahead = self.at_hand.split_off(&page.map(place).max().unwrap_or_default());
        rows_of(std::mem::replace(&mut self.at_hand, ahead))
    }

    /// What else is said of rows of a kind that was listed to its end, piece by piece.
    pub(crate) fn rest(&mut self, kind: RowKind) -> Result<Vec<SaidRow>, OpError> {
        self.reach(kind, std::iter::empty())?;
        Ok(rows_of(std::mem::take(&mut self.at_hand)))
    }
}

fn rows_of(said: BTreeMap<Place, (u64, Hash)>) -> Vec<SaidRow> {
    let row =
        |(place, (revision, digest)): (Place, (u64, Hash))| key_at(&place).map(|key| SaidRow { key, revision, digest });
    said.into_iter().filter_map(row).collect()
}

/// Rows one after the other, however many.
pub(crate) struct SaidRows(Spool);

impl SaidRows {
    /// None yet. What is much goes to a file in `folder`.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self(Spool::new(folder, KEPT * 64))
    }

    pub(crate) fn push(&mut self, row: &SaidRow) -> Result<(), OpError> {
        self.0.push(&place(&row.key), row.revision, &row.digest).map_err(unwritable)
    }

    /// At most `n` rows from a place on, and the place behind them.
    pub(crate) fn batch(&self, from: u64, n: usize) -> Result<(Vec<SaidRow>, u64), OpError> {
        let mut reader = self.0.read(from..self.0.size());
        let mut rows = Vec::new();
        let mut read = from;
        while rows.len() < n
            && let Some((place, revision, digest)) = reader.next().map_err(unwritable)?
        {
            read += place.len() as u64 + 41;
            rows.extend(key_at(&place).map(|key| SaidRow { key, revision, digest }));
        }
        Ok((rows, read))
    }

    /// The place behind the last row.
    pub(crate) fn end(&self) -> u64 {
        self.0.size()
    }
}

fn unwritable(error: io::Error) -> OpError {
    OpError::Internal(format!("what the log says of the rows can't be put away to be sorted: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u128) -> RowKey {
        let id = tenure_core::base::id::IdentityId::from_u128(number).to_string();
        RowKey { kind: if number.is_multiple_of(3) { RowKind::Grant } else { RowKind::Identity }, id }
    }

    /// Whatever fits in memory, each row is said once, as it was said last, in the order of the list.
    #[test]
    fn of_each_row_the_newest_is_said_in_the_order_of_the_list() {
        let folder = tempfile::tempdir().unwrap();
        for kept in [1, 7, 100, 100_000] {
            let mut said = Said { kept, ..Said::new(folder.path().into()) };
            let mut expected = BTreeMap::new();
            for n in 0..3_000_u64 {
                let key = key(u128::from(n * 7919 % 997));
                let (revision, digest) = (n, [(n % 251) as u8; 32]);
                said.note(&key, revision, digest).unwrap();
                expected.insert(place(&key), (revision, digest));
            }
            let mut merged = said.merged().unwrap();
            let mut told = BTreeMap::new();
            let mut last = None;
            while let Some((place, revision, digest)) = merged.pop().unwrap() {
                assert!(last.is_none_or(|last| last < place));
                last = Some(place.clone());
                told.insert(place, (revision, digest));
            }
            assert!(told == expected, "with {kept} kept");
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
        }
    }

    #[test]
    fn rows_are_found_page_by_page_and_those_that_are_missing_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut said = Said { kept: 500, ..Said::new(folder.path().into()) };
        let keys: Vec<RowKey> = (0..60_000).map(|n| RowKey { kind: RowKind::Identity, ..key(n) }).collect();
        keys.iter().for_each(|key| said.note(key, 1, [1; 32]).unwrap());
        let mut merged = said.merged().unwrap();
        let (mut missing, mut most) = (Vec::new(), 0);
        let is_there = |n: usize| n % 5 > 2 && n < 30_000;
        let there: Vec<&RowKey> = keys.iter().enumerate().filter(|(n, _)| is_there(*n)).map(|(_, key)| key).collect();
        for page in there.chunks(500) {
            merged.reach(RowKind::Identity, page.iter().copied()).unwrap();
            // Whatever the order within what is at hand.
            assert!(page.iter().rev().all(|key| merged.take(key) == Some((1, [1; 32]))));
            missing.extend(merged.passed(page.iter().copied()));
            most = most.max(merged.at_hand.len());
        }
        loop {
            match merged.rest(RowKind::Identity).unwrap() {
                rest if rest.is_empty() => break,
                rest => missing.extend(rest),
            }
        }
        let wanted: Vec<&RowKey> = keys.iter().enumerate().filter(|(n, _)| !is_there(*n)).map(|(_, key)| key).collect();
        assert_eq!(missing.iter().map(|row| &row.key).collect::<Vec<_>>(), wanted);
        assert!(most <= AT_HAND + 2_000, "{most}");
    }

    #[test]
    fn rows_are_read_in_batches_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        for kept in [1, 999, 1 << 30] {
            let mut rows = SaidRows(Spool::new(folder.path().into(), kept));
            let written: Vec<SaidRow> =
                (0..2_500).map(|n| SaidRow { key: key(n), revision: n as u64, digest: [n as u8; 32] }).collect();
            written.iter().for_each(|row| rows.push(row).unwrap());
            let (mut read, mut from) = (Vec::new(), 0);
            while from < rows.end() {
                let (batch, next) = rows.batch(from, 700).unwrap();
                (read, from) = ([read, batch].concat(), next);
            }
            assert_eq!(read, written);
        }
    }
}
