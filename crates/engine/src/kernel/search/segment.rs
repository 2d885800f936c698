//! The bytes of a segment: pages of postings, and for each order pages of keys and of ranks.
//!
//! - **Postings**: in the order of terms, groups of: the term less the page's term before it, how many places, and the
//!   distances between them, each as a varint; or, where that is shorter, 0 and a bit for each place. A group is in one
//!   page, and the header names each page's first term.
//! - **Keys**: in their order, each as how many bytes it has in common with the page's key before it, how many it has
//!   besides, these, and its place. The header names each page's first key and its rank.
//! - **Ranks**: of each place, at which rank its document stands in the order, in two bytes.

use tenure_core::store::row::RowKind;
use tenure_credentials::index_keys::IndexKeys;

use super::bits::Bits;
use super::document::{DOCUMENTS, Indexed, orders};
use tenure_core::base::varint::{number, number_of, put_varint, varint};

/// Places that a segment has at most: they and the ranks fit into two bytes.
pub(super) const LONGEST: u32 = 32_768;
/// Where a page is cut, in bytes.
const PAGE_BYTES: usize = 3_900;
/// In how many parts postings are sorted.
const PARTS: u64 = 8;
/// Ranks in a page.
const RANKS: u32 = 2_048;
/// The rank of a place without a document.
const NO_RANK: u16 = u16::MAX;
/// The form of the bytes that are described here.
const FORM: u8 = 1;

/// What a segment says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) build: u64,
    pub(super) from: u64,
    pub(super) to: u64,
    /// How many documents it has.
    pub(super) documents: u32,
    /// The first term of each page of postings.
    terms: Vec<u64>,
    /// The pages of each order.
    orders: Vec<OrderPages>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct OrderPages {
    /// The number of the first page of keys.
    first: u32,
    /// The rank and the key that each of them begins with.
    starts: Vec<(u32, Vec<u8>)>,
}

/// A header as it was found.
pub(super) enum Found {
    /// Ours, to be read by this version.
    Ours(Header),
    /// Ours, of a newer version: not to be read, and not to be dropped while that version runs beside this one.
    Newer,
    /// Somebody else's, or of an older version.
    Bad,
}

/// A page is not what a page of its sort is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadPage;

impl Header {
    /// How many places it has.
    pub(super) fn places(&self) -> u32 {
        u32::try_from(self.to - self.from).unwrap_or(LONGEST)
    }

    /// Where a place of the kind is in it, if it is.
    pub(super) fn place_of(&self, place: u64) -> Option<u32> {
        place.checked_sub(self.from).filter(|_| place < self.to).and_then(|place| u32::try_from(place).ok())
    }

    /// The page that holds a term's postings, if there are any.
    pub(super) fn page_of_term(&self, term: u64) -> Option<u32> {
        self.terms.partition_point(|first| *first <= term).checked_sub(1).map(number_of)
    }

    /// The pages of all postings.
    pub(super) fn pages_of_terms(&self) -> std::ops::Range<u32> {
        0..number_of(self.terms.len())
    }

    /// The page of keys that holds a rank of an order, and the rank that it begins with.
    pub(super) fn page_of_rank(&self, order: usize, rank: u32) -> Option<(u32, u32)> {
        let pages = self.orders.get(order)?;
        let nth = pages.starts.partition_point(|(start, _)| *start <= rank).checked_sub(1)?;
        Some((pages.first + number_of(nth), pages.starts.get(nth)?.0))
    }

    /// The page of keys that holds the last key not behind this one, and the rank that it begins with; none if every key
    /// is behind it.
    pub(super) fn page_of_key(&self, order: usize, key: &[u8]) -> Option<(u32, u32)> {
        let pages = self.orders.get(order)?;
        let nth = pages.starts.partition_point(|(_, start)| start.as_slice() <= key).checked_sub(1)?;
        Some((pages.first + number_of(nth), pages.starts.get(nth)?.0))
    }

    /// The pages of all keys of an order, in theirs.
    pub(super) fn pages_of_order(&self, order: usize) -> std::ops::Range<u32> {
        self.orders.get(order).map_or(0..0, |pages| pages.first..pages.first + number_of(pages.starts.len()))
    }

    /// The pages of the ranks of an order.
    pub(super) fn pages_of_ranks(&self, order: usize) -> std::ops::Range<u32> {
        let behind = self.pages_of_order(order).end;
        behind..behind + self.places().div_ceil(RANKS)
    }

    fn seal(&self, keys: &IndexKeys, kind: RowKind) -> Vec<u8> {
        let mut bytes = vec![FORM, DOCUMENTS, kind.code()];
        let numbers = [self.build, self.from, self.to, u64::from(self.documents), self.terms.len() as u64];
        numbers.iter().for_each(|number| bytes.extend_from_slice(&number.to_be_bytes()));
        self.terms.iter().for_each(|term| bytes.extend_from_slice(&term.to_be_bytes()));
        for pages in &self.orders {
            put_varint(&mut bytes, u64::from(pages.first));
            put_varint(&mut bytes, pages.starts.len() as u64);
            for (rank, key) in &pages.starts {
                put_varint(&mut bytes, u64::from(*rank));
                put_varint(&mut bytes, key.len() as u64);
                bytes.extend_from_slice(key);
            }
        }
        keys.seal_header(bytes)
    }

    /// The header in these bytes, of a segment of this kind.
    pub(super) fn open(keys: &IndexKeys, kind: RowKind, sealed: &[u8]) -> Found {
        let Some([form, documents, of, rest @ ..]) = keys.open_header(sealed) else {
            return Found::Bad;
        };
        match (form, documents) {
            (&FORM, &DOCUMENTS) if *of == kind.code() => Self::read(kind, rest).map_or(Found::Bad, Found::Ours),
            (form, documents) if *form > FORM || *documents > DOCUMENTS => Found::Newer,
            _ => Found::Bad,
        }
    }

    fn read(kind: RowKind, mut rest: &[u8]) -> Option<Self> {
        let [build, from, to] = [number(&mut rest)?, number(&mut rest)?, number(&mut rest)?];
        let documents = u32::try_from(number(&mut rest)?).ok()?;
        to.checked_sub(from).filter(|places| (1..=u64::from(LONGEST)).contains(places))?;
        let count = number(&mut rest)?;
        let terms = (0..count).map(|_| number(&mut rest)).collect::<Option<_>>()?;
        let mut pages_of = Vec::new();
        for _ in orders(kind) {
            let first = u32::try_from(varint(&mut rest)?).ok()?;
            let count = varint(&mut rest)?;
            let mut start = || {
                let rank = u32::try_from(varint(&mut rest)?).ok()?;
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                let (key, left) = rest.split_at_checked(length)?;
                rest = left;
                Some((rank, key.to_vec()))
            };
            let starts = (0..count).map(|_| start()).collect::<Option<_>>()?;
            pages_of.push(OrderPages { first, starts });
        }
        rest.is_empty().then_some(Self { build, from, to, documents, terms, orders: pages_of })
    }
}

/// Makes a segment of documents at these places, counted from its first: its sealed header and its pages.
pub(super) async fn make(
    keys: &IndexKeys,
    kind: RowKind,
    build: u64,
    places: std::ops::Range<u64>,
    documents: &[(u32, Indexed)],
) -> (Vec<u8>, Vec<Vec<u8>>) {
    let span = u32::try_from(places.end - places.start).unwrap_or(LONGEST);
    let mut pages = Vec::new();
    let terms = write_postings(&mut pages, span, documents).await;
    let mut of_orders = Vec::new();
    for order in 0..orders(kind).len() {
        of_orders.push(write_order(&mut pages, span, documents, order));
        tokio::task::yield_now().await;
    }
    let documents = number_of(documents.len());
    let header = Header { build, from: places.start, to: places.end, documents, terms, orders: of_orders };
    let sealed = (0..).zip(pages).map(|(number, page)| keys.seal_page(build, number, page)).collect();
    (header.seal(keys, kind), sealed)
}

/// Writes the postings, those of a part of all terms at a time, so that no more than these are in memory twice.
async fn write_postings(pages: &mut Vec<Vec<u8>>, span: u32, documents: &[(u32, Indexed)]) -> Vec<u64> {
    let (mut first_terms, mut page, mut before) = (Vec::new(), Vec::new(), 0);
    let mut postings: Vec<(u64, u32)> = Vec::new();
    for part in 0..PARTS {
        postings.clear();
        for (place, Indexed { terms, .. }) in documents {
            let from = terms.partition_point(|term| part_of(*term) < part);
            let of_part = terms.get(from..).unwrap_or_default().iter().take_while(|term| part_of(**term) == part);
            postings.extend(of_part.map(|term| (*term, *place)));
        }
        postings.sort_unstable();
        for group in postings.chunk_by(|a, b| a.0 == b.0) {
            let Some((term, _)) = group.first() else { continue };
            let mut listed = Vec::new();
            put_varint(&mut listed, group.len() as u64);
            let mut last = 0;
            for (_, place) in group {
                put_varint(&mut listed, u64::from(place - last));
                last = *place;
            }
            if listed.len() > Bits::bytes(span) {
                let mut bits = Bits::none(span);
                group.iter().for_each(|(_, place)| bits.set(*place));
                listed = [vec![0], bits.write()].concat();
            }
            if !page.is_empty() && page.len() + listed.len() > PAGE_BYTES {
                pages.push(std::mem::take(&mut page));
                before = 0;
            }
            if page.is_empty() {
                first_terms.push(*term);
            }
            put_varint(&mut page, term - before);
            page.extend_from_slice(&listed);
            before = *term;
        }
        // Others of this thread come to their turn.
        tokio::task::yield_now().await;
    }
    if !page.is_empty() {
        pages.push(page);
    }
    first_terms
}

/// Which part of all terms one is in.
const fn part_of(term: u64) -> u64 {
    term / (u64::MAX / 2 / PARTS + 1)
}

fn write_order(pages: &mut Vec<Vec<u8>>, span: u32, documents: &[(u32, Indexed)], order: usize) -> OrderPages {
    let key_of = |document: &Indexed| document.keys.get(order).cloned().unwrap_or_default();
    let mut sorted: Vec<(Vec<u8>, u32)> =
        documents.iter().map(|(place, document)| (key_of(document), *place)).collect();
    sorted.sort_unstable();
    let first = number_of(pages.len());
    let (mut starts, mut page) = (Vec::new(), Vec::new());
    let mut ranks = vec![NO_RANK; span as usize];
    let mut before: &[u8] = &[];
    for (rank, (key, place)) in (0..).zip(&sorted) {
        if page.len() + key.len() > PAGE_BYTES && !page.is_empty() {
            pages.push(std::mem::take(&mut page));
        }
        if page.is_empty() {
            starts.push((rank, key.clone()));
            before = &[];
        }
        let common = key.iter().zip(before).take_while(|(a, b)| a == b).count();
        put_varint(&mut page, common as u64);
        put_varint(&mut page, (key.len() - common) as u64);
        page.extend_from_slice(key.get(common..).unwrap_or_default());
        put_varint(&mut page, u64::from(*place));
        before = key;
        if let Some(slot) = ranks.get_mut(*place as usize) {
            *slot = u16::try_from(rank).unwrap_or(NO_RANK);
        }
    }
    if !page.is_empty() {
        pages.push(page);
    }
    let of_ranks = ranks.chunks(RANKS as usize);
    pages.extend(of_ranks.map(|ranks| ranks.iter().flat_map(|rank| rank.to_le_bytes()).collect()));
    OrderPages { first, starts }
}

/// The places of a term's documents, by the page that would hold them.
pub(super) fn postings(page: &[u8], term: u64, places: u32) -> Result<Bits, BadPage> {
    read_postings(page, term, places).ok_or(BadPage)
}

fn read_postings(page: &[u8], term: u64, places: u32) -> Option<Bits> {
    let (mut rest, mut at) = (page, 0_u64);
    while !rest.is_empty() {
        let mut next = rest;
        let found = at.checked_add(varint(&mut next)?)?;
        if found >= term {
            let (_, bits) = read_group(&mut rest, at, places)?;
            return Some(if found == term { bits } else { Bits::none(places) });
        }
        let count = varint(&mut next)?;
        if count == 0 {
            (_, next) = next.split_at_checked(Bits::bytes(places))?;
        }
        for _ in 0..count {
            varint(&mut next)?;
        }
        (rest, at) = (next, found);
    }
    Some(Bits::none(places))
}

/// The places of the documents of each term of a page.
pub(super) fn every_posting(page: &[u8], places: u32) -> Result<Vec<(u64, Bits)>, BadPage> {
    let (mut rest, mut at, mut found) = (page, 0_u64, Vec::new());
    while !rest.is_empty() {
        let (term, bits) = read_group(&mut rest, at, places).ok_or(BadPage)?;
        found.push((term, bits));
        at = term;
    }
    Ok(found)
}

/// The next term behind this one, and the places of its documents.
fn read_group(rest: &mut &[u8], before: u64, places: u32) -> Option<(u64, Bits)> {
    let term = before.checked_add(varint(rest)?)?;
    let count = varint(rest)?;
    let mut bits = Bits::none(places);
    if count == 0 {
        let (found, left) = rest.split_at_checked(Bits::bytes(places))?;
        *rest = left;
        return Some((term, Bits::read(found, places)));
    }
    let mut place = 0_u32;
    for _ in 0..count {
        place = place.checked_add(u32::try_from(varint(rest)?).ok()?).filter(|place| *place < places)?;
        bits.set(place);
    }
    Some((term, bits))
}

/// A key of an order, and the place of its document.
pub(super) type Entry = (Vec<u8>, u32);

/// The keys of a page, with their places.
pub(super) fn entries(page: &[u8], places: u32) -> Result<Vec<Entry>, BadPage> {
    read_entries(page, places).ok_or(BadPage)
}

fn read_entries(page: &[u8], places: u32) -> Option<Vec<Entry>> {
    let (mut rest, mut found) = (page, Vec::<Entry>::new());
    while !rest.is_empty() {
        let common = usize::try_from(varint(&mut rest)?).ok()?;
        let besides = usize::try_from(varint(&mut rest)?).ok()?;
        let (suffix, left) = rest.split_at_checked(besides)?;
        rest = left;
        let before = found.last().map(|(key, _)| key.as_slice()).unwrap_or_default();
        let key = [before.get(..common)?, suffix].concat();
        let place = u32::try_from(varint(&mut rest)?).ok().filter(|place| *place < places)?;
        found.push((key, place));
    }
    Some(found)
}

/// The rank at each place.
pub(super) fn every_rank<'p>(pages: impl Iterator<Item = &'p [u8]>) -> Vec<u16> {
    pages.flat_map(|page| page.as_chunks::<2>().0.iter().map(|rank| u16::from_le_bytes(*rank))).collect()
}

/// The ranks of the documents at these places, by the pages of ranks.
pub(super) fn ranks<'p>(
    header: &Header,
    pages: impl Iterator<Item = &'p [u8]>,
    places: &Bits,
) -> Result<Bits, BadPage> {
    let pages: Vec<&[u8]> = pages.collect();
    let mut ranks = Bits::none(header.documents);
    let (mut number, mut found): (u32, &[[u8; 2]]) = (u32::MAX, &[]);
    for place in places.iter() {
        if place / RANKS != number {
            number = place / RANKS;
            found = pages.get(number as usize).ok_or(BadPage)?.as_chunks().0;
        }
        let rank = u16::from_le_bytes(*found.get((place % RANKS) as usize).ok_or(BadPage)?);
        if u32::from(rank) >= header.documents {
            return Err(BadPage);
        }
        ranks.set(u32::from(rank));
    }
    Ok(ranks)
}
