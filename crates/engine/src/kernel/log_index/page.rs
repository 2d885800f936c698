//! The bytes of a segment: pages of postings in the order of (term, entry), and the header that says what they are.
//!
//! A page is a row of groups: the term less the page's term before it, the first entry less the segment's first and one
//! more, then the distances of the entries that follow, and 0; each as a varint. A group that doesn't fit goes on in the
//! next page. The header names the first posting of every page: whoever looks for a term knows which pages may hold it
//! without a look at any, and a page that is missing is missed.

use tenure_credentials::index_keys::IndexKeys;

use crate::kernel::log_index::terms::TERMS;
use tenure_core::base::varint::{number, number_of, put_varint, take, varint};

/// Where a page is cut, in bytes: two of them fill a page of SQLite's. A question reads a page for each term and segment,
/// and checks and reads all of it.
const PAGE_BYTES: usize = 1_900;
/// The form of the bytes that are described here.
const FORM: u8 = 1;

/// A term's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Posting {
    pub(crate) term: u64,
    pub(crate) index: u64,
}

/// What a segment says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) build: u64,
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// The times of its first and its last entry, in microseconds since 1970.
    pub(crate) first_at: i64,
    pub(crate) last_at: i64,
    /// The leaf hash of its last entry: it counts in the log that has this entry there.
    pub(crate) anchor: [u8; 32],
    /// What its postings come to, whatever their order ([`Sum`]).
    pub(crate) sum: Sum,
    /// The first posting of each page.
    pub(crate) pages: Vec<Posting>,
}

/// What postings come to, whatever their order: compared with what the entries come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sum {
    count: u64,
    sum: u128,
}

impl Sum {
    /// Adds what others come to.
    pub(crate) const fn join(&mut self, other: Self) {
        self.count = self.count.wrapping_add(other.count);
        self.sum = self.sum.wrapping_add(other.sum);
    }

    pub(crate) fn add(&mut self, posting: Posting) {
        // SplitMix64 of both numbers: what is guarded against is a defect, since nobody without the key makes a page.
        let mix = |mut n: u64| {
            n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
            n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            n ^ (n >> 31)
        };
        let low = mix(posting.term ^ mix(posting.index));
        let high = mix(low ^ posting.term);
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add((u128::from(high) << 64) | u128::from(low));
    }
}

/// A header as it was found.
pub(crate) enum Found {
    /// Ours, to be read by this version.
    Ours(Header),
    /// Ours, of a newer version: not to be read, and not to be dropped while that version runs beside this one.
    Newer,
    /// Somebody else's, or of an older version.
    Bad,
}

impl Header {
    /// The sealed bytes.
    pub(crate) fn seal(&self, keys: &IndexKeys) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128 + 16 * self.pages.len());
        bytes.extend_from_slice(&[FORM, TERMS]);
        for number in [self.build, self.from, self.to, self.sum.count] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&self.first_at.to_be_bytes());
        bytes.extend_from_slice(&self.last_at.to_be_bytes());
        bytes.extend_from_slice(&self.sum.sum.to_be_bytes());
        bytes.extend_from_slice(&self.anchor);
        for Posting { term, index } in &self.pages {
            bytes.extend_from_slice(&term.to_be_bytes());
            bytes.extend_from_slice(&index.to_be_bytes());
        }
        keys.seal_header(bytes)
    }

    /// The header in these bytes.
    pub(crate) fn open(keys: &IndexKeys, sealed: &[u8]) -> Found {
        let Some([form, terms, rest @ ..]) = keys.open_header(sealed) else {
            return Found::Bad;
        };
        match (form, terms) {
            (&FORM, &TERMS) => Self::read(rest).map_or(Found::Bad, Found::Ours),
            (form, terms) if *form > FORM || *terms > TERMS => Found::Newer,
            _ => Found::Bad,
        }
    }

    fn read(mut rest: &[u8]) -> Option<Self> {
        let [build, from, to, count] = [number(&mut rest)?, number(&mut rest)?, number(&mut rest)?, number(&mut rest)?];
        let (first_at, last_at) = (i64::from_be_bytes(take(&mut rest)?), i64::from_be_bytes(take(&mut rest)?));
        let sum = Sum { count, sum: u128::from_be_bytes(take(&mut rest)?) };
        let anchor = take(&mut rest)?;
        let mut pages = Vec::with_capacity(rest.len() / 16);
        while !rest.is_empty() {
            pages.push(Posting { term: number(&mut rest)?, index: number(&mut rest)? });
        }
        Some(Self { build, from, to, first_at, last_at, anchor, sum, pages })
    }

    /// The pages that may hold a term's entries below `below`, in their order.
    pub(crate) fn pages_of(&self, term: u64, below: u64) -> std::ops::Range<u32> {
        let first = self.pages.partition_point(|page| *page <= Posting { term, index: 0 }).saturating_sub(1);
        let end = self.pages.partition_point(|page| *page < Posting { term, index: below });
        // A group that begins on the page before may go on; a first page that begins behind the term holds none of it.
        number_of(first)..number_of(end.max(first))
    }

    /// How many pages it has.
    pub(crate) fn page_count(&self) -> u32 {
        number_of(self.pages.len())
    }
}

/// Makes the pages of a segment of postings that come in their order.
pub(crate) struct PageWriter<'k> {
    keys: &'k IndexKeys,
    build: u64,
    from: u64,
    bytes: Vec<u8>,
    last: Option<Posting>,
    page_term: u64,
    pages: Vec<Posting>,
    sum: Sum,
    ready: Vec<Vec<u8>>,
}

impl<'k> PageWriter<'k> {
    pub(crate) const fn new(keys: &'k IndexKeys, build: u64, from: u64) -> Self {
        Self {
            keys,
            build,
            from,
            bytes: Vec::new(),
            last: None,
            page_term: 0,
            pages: Vec::new(),
            sum: Sum { count: 0, sum: 0 },
            ready: Vec::new(),
        }
    }

    /// Adds a posting that comes behind all before it.
    pub(crate) fn push(&mut self, posting: Posting) {
        if self.bytes.len() >= PAGE_BYTES {
            self.cut();
        }
        if self.bytes.is_empty() {
            self.pages.push(posting);
        }
        match self.last {
            Some(last) if last.term == posting.term => put_varint(&mut self.bytes, posting.index - last.index),
            last => {
                if last.is_some() {
                    self.bytes.push(0);
                }
                put_varint(&mut self.bytes, posting.term - self.page_term);
                put_varint(&mut self.bytes, posting.index - self.from + 1);
                self.page_term = posting.term;
            }
        }
        self.last = Some(posting);
        self.sum.add(posting);
    }

    fn cut(&mut self) {
        if self.bytes.is_empty() {
            return;
        }
        self.bytes.push(0);
        let number = number_of(self.pages.len().saturating_sub(1));
        self.ready.push(self.keys.seal_page(self.build, number, std::mem::take(&mut self.bytes)));
        (self.last, self.page_term) = (None, 0);
    }

    /// The pages that are whole and were not taken yet, with the number of the first one.
    pub(crate) fn take(&mut self) -> (u32, Vec<Vec<u8>>) {
        let cut = self.pages.len() - usize::from(!self.bytes.is_empty());
        (number_of(cut - self.ready.len()), std::mem::take(&mut self.ready))
    }

    /// How many pages can be taken.
    pub(crate) const fn ready(&self) -> usize {
        self.ready.len()
    }

    /// What the postings come to so far.
    pub(crate) const fn sum(&self) -> Sum {
        self.sum
    }

    /// Ends the last page. What is taken then is the last of it.
    pub(crate) fn finish(&mut self) {
        self.cut();
    }

    /// The first postings of the pages, and what all postings come to.
    pub(crate) fn into_parts(self) -> (Vec<Posting>, Sum) {
        (self.pages, self.sum)
    }
}

/// The postings of a page, in their order; `None` if its bytes are none, or its postings none of the segment's.
pub(crate) fn postings(header: &Header, page: &[u8]) -> Option<Vec<Posting>> {
    let mut found = Vec::with_capacity(page.len() / 2);
    let (mut rest, mut term) = (page, 0_u64);
    while !rest.is_empty() {
        term = term.checked_add(varint(&mut rest)?)?;
        let mut index = header.from.checked_add(varint(&mut rest)?.checked_sub(1)?)?;
        loop {
            if index >= header.to {
                return None;
            }
            found.push(Posting { term, index });
            match varint(&mut rest)? {
                0 => break,
                distance => index = index.checked_add(distance)?,
            }
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tenure_credentials::root::RootKey;

    use super::*;

    fn keys() -> IndexKeys {
        IndexKeys::of_log(&RootKey::from_text(&"1".repeat(64)).unwrap())
    }

    fn segment(keys: &IndexKeys, from: u64, to: u64, postings: &[Posting]) -> (Header, Vec<Vec<u8>>) {
        let mut writer = PageWriter::new(keys, 9, from);
        let mut sealed = Vec::new();
        for (n, posting) in postings.iter().enumerate() {
            writer.push(*posting);
            if n % 1_000 == 0 {
                let (first, pages) = writer.take();
                assert_eq!(first as usize, sealed.len());
                sealed.extend(pages);
            }
        }
        writer.finish();
        let (first, pages) = writer.take();
        assert_eq!(first as usize, sealed.len());
        sealed.extend(pages);
        let (pages, sum) = writer.into_parts();
        (Header { build: 9, from, to, first_at: -1, last_at: 2, anchor: [7; 32], sum, pages }, sealed)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn what_was_written_is_found(terms in proptest::collection::vec((prop_oneof![0..20_u64, any::<u64>()], 0..5_000_u64), 0..20_000)) {
            let (keys, from) = (keys(), 3_000_000_000);
            let mut written: Vec<Posting> = terms.into_iter().map(|(term, index)| Posting { term: term >> 1, index: from + index }).collect();
            written.sort_unstable();
            written.dedup();
            let (header, sealed) = segment(&keys, from, from + 5_000, &written);
            prop_assert!(matches!(Header::open(&keys, &header.seal(&keys)), Found::Ours(opened) if opened == header));
            prop_assert_eq!(sealed.len(), header.pages.len());
            let opened: Vec<Vec<Posting>> = (0..).zip(&sealed).map(|(n, page)| postings(&header, keys.open_page(9, n, page).unwrap()).unwrap()).collect();
            prop_assert_eq!(&opened.concat(), &written);
            let mut sum = Sum::default();
            written.iter().rev().for_each(|posting| sum.add(*posting));
            prop_assert_eq!(sum, header.sum);
            for term in (0..11).chain(written.iter().step_by(500).map(|posting| posting.term)) {
                for below in [from, from + 1, from + 2_500, u64::MAX] {
                    let of_term = |posting: &&Posting| posting.term == term && posting.index < below;
                    let there: Vec<Posting> = written.iter().filter(of_term).copied().collect();
                    let pages = header.pages_of(term, below);
                    let found: Vec<Posting> =
                        opened[pages.start as usize..pages.end as usize].iter().flatten().filter(of_term).copied().collect();
                    prop_assert_eq!(found, there);
                }
            }
        }

        #[test]
        fn bytes_of_others_are_no_postings(page in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (header, _) = segment(&keys(), 0, 50, &[]);
            prop_assert!(postings(&header, &page).is_none_or(|found| found.iter().all(|posting| posting.index < 50)));
        }
    }
}
