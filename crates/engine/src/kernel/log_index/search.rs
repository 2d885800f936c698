//! Questions to the index. Whatever is found is read in the log and held against what was asked, and what no segment
//! covers is read: an answer is what a reading of the whole log would have given.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

use tenure_core::base::time::Span;
use tenure_core::store::port::{BoxFuture, LogEntry};
use tenure_log::{Leaf, leaf_hash};

use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::log_index::page::{self, Header};
use crate::kernel::log_index::terms::{self, Class};
use crate::kernel::log_index::view::{IndexMemory, Tail, View, view};
use crate::kernel::recent::PageKey;

/// Entries that no segment covers and a question reads; with more, it is answered once they are covered. It takes a
/// tenth of a second.
pub(crate) const READABLE: u64 = 16_384;
/// Entries that are read at once.
const PAGE: u16 = 1_000;
/// Single entries that are read at once.
const ENTRIES: usize = 256;
/// Pages that are read at once.
const PAGES: usize = 512;
/// The first pages that are read for the newest entries; if these hold too few, twice as many, and so on.
const FIRST_PAGES: usize = 16;
/// Entries that are looked at in each step when one is sought by its time.
const PROBES: u64 = 15;
/// How often a question is begun again because segments were merged, or turned out to be altered, while it was asked.
const ATTEMPTS: u32 = 8;
/// When to ask again while the index is being made: it takes 100,000 entries a second and more.
const AGAIN_AFTER: Span = Span::from_secs(5);

/// The index and the log, as of one moment or a later one.
pub(crate) struct Search<'k> {
    kernel: &'k Kernel,
    memory: Arc<IndexMemory>,
    view: View,
    /// The entries that no segment covers.
    tail: BTreeMap<u64, Arc<Leaf>>,
}

/// Why a question is not answered yet.
enum Interrupted {
    /// A segment isn't what it was in the list.
    Again,
    Failed(OpError),
}

impl<E: Into<OpError>> From<E> for Interrupted {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl<'k> Search<'k> {
    /// Reads which segments there are, and what they don't cover.
    ///
    /// # Errors
    /// So much is not covered yet that it isn't read ([`OpError::IndexBuilding`]), or the store can't be read.
    pub(crate) fn begin(kernel: &'k Kernel) -> BoxFuture<'k, Result<Self, OpError>> {
        Box::pin(Self::begin_now(kernel))
    }

    async fn begin_now(kernel: &'k Kernel) -> Result<Self, OpError> {
        let view = view(kernel).await?;
        let uncovered = view.uncovered();
        if uncovered > READABLE {
            return Err(OpError::IndexBuilding {
                covered: view.size.saturating_sub(uncovered),
                size: view.size,
                retry_after: AGAIN_AFTER,
            });
        }
        let memory = kernel.memory.of::<IndexMemory>();
        let mut tail = BTreeMap::new();
        for hole in &view.holes {
            read_uncovered(kernel, &memory, hole.clone(), &mut tail).await?;
        }
        memory.keep_tail(&tail);
        let tail = tail.into_iter().map(|(index, (_, leaf))| (index, leaf)).collect();
        Ok(Self { kernel, memory, view, tail })
    }

    /// Every entry that bears any of these terms, by its number.
    ///
    /// # Errors
    /// The store can't be read, or the log lacks an entry.
    pub(crate) fn all<'s>(
        &'s mut self,
        asked: &'s [(Class, &'s str)],
    ) -> BoxFuture<'s, Result<BTreeMap<u64, Leaf>, OpError>> {
        Box::pin(async move {
            for _ in 0..ATTEMPTS {
                match self.try_all(asked).await {
                    Ok(found) => return Ok(found),
                    Err(Interrupted::Failed(error)) => return Err(error),
                    Err(Interrupted::Again) => *self = Self::begin(self.kernel).await?,
                }
            }
            Err(restless())
        })
    }

    async fn try_all(&self, asked: &[(Class, &str)]) -> Result<BTreeMap<u64, Leaf>, Interrupted> {
        let keys = self.memory.keys(self.kernel);
        let asked: HashSet<(Class, &str)> = asked.iter().copied().collect();
        let numbers: BTreeSet<u64> =
            asked.iter().map(|(class, subject)| terms::number(keys, *class, subject)).collect();
        let mut found: BTreeMap<u64, Leaf> = self
            .tail
            .iter()
            .filter(|(_, leaf)| is_meant(leaf, &asked))
            .map(|(index, leaf)| (*index, Leaf::clone(leaf)))
            .collect();
        let pages: Vec<(&Header, u32)> = self
            .view
            .segments
            .iter()
            .flat_map(|header| {
                let pages = numbers.iter().flat_map(|number| header.pages_of(*number, u64::MAX));
                pages.collect::<BTreeSet<u32>>().into_iter().map(|page| (&**header, page))
            })
            .collect();
        let mut indexes = BTreeSet::new();
        for pages in pages.chunks(PAGES) {
            for postings in self.postings(pages).await? {
                indexes.extend(
                    postings.iter().filter(|posting| numbers.contains(&posting.term)).map(|posting| posting.index),
                );
            }
        }
        let indexes: Vec<u64> = indexes.into_iter().collect();
        for indexes in indexes.chunks(ENTRIES) {
            let entries = self.entries(indexes).await?;
            found.extend(entries.into_iter().filter(|(_, leaf)| is_meant(leaf, &asked)));
        }
        Ok(found)
    }

    /// Of each of these terms the newest entry below `below` that bears it, by its number.
    ///
    /// # Errors
    /// The store can't be read, or the log lacks an entry.
    pub(crate) fn last<'s>(
        &'s mut self,
        asked: &'s [(Class, &'s str)],
        below: u64,
    ) -> BoxFuture<'s, Result<BTreeMap<u64, Leaf>, OpError>> {
        Box::pin(async move {
            for _ in 0..ATTEMPTS {
                match self.try_last(asked, below).await {
                    Ok(found) => return Ok(found),
                    Err(Interrupted::Failed(error)) => return Err(error),
                    Err(Interrupted::Again) => *self = Self::begin(self.kernel).await?,
                }
            }
            Err(restless())
        })
    }

    async fn try_last(&self, asked: &[(Class, &str)], below: u64) -> Result<BTreeMap<u64, Leaf>, Interrupted> {
        let keys = self.memory.keys(self.kernel);
        let terms: BTreeSet<(Class, &str)> = asked.iter().copied().collect();
        let numbers: BTreeMap<u64, (Class, &str)> =
            terms.iter().map(|(class, subject)| (terms::number(keys, *class, subject), (*class, *subject))).collect();
        // A group's newest entry is on the last page that may hold it.
        let pages: Vec<(&Header, u32)> = self
            .view
            .segments
            .iter()
            .flat_map(|header| {
                let pages = numbers.keys().filter_map(|number| header.pages_of(*number, below).next_back());
                pages.collect::<BTreeSet<u32>>().into_iter().map(|page| (&**header, page))
            })
            .collect();
        let mut newest: BTreeMap<u64, u64> = BTreeMap::new();
        for pages in pages.chunks(PAGES) {
            for posting in self.postings(pages).await?.into_iter().flatten() {
                if posting.index < below && numbers.contains_key(&posting.term) {
                    let known = newest.entry(posting.term).or_default();
                    *known = (*known).max(posting.index);
                }
            }
        }
        let indexes: Vec<u64> = newest.values().copied().collect::<BTreeSet<u64>>().into_iter().collect();
        let mut read = BTreeMap::new();
        for indexes in indexes.chunks(ENTRIES) {
            read.extend(self.entries(indexes).await?);
        }
        let is_read = |(number, index): (&u64, &u64)| {
            let leaf = read.get(index);
            numbers.get(number).zip(leaf).is_some_and(|((class, subject), leaf)| terms::bears(leaf, *class, subject))
        };
        let mut found = BTreeMap::new();
        if numbers.len() == terms.len() && newest.iter().all(is_read) {
            found.extend(read);
            let meant = asked.iter().copied().collect();
            let tail = self.tail.range(..below).filter(|(_, leaf)| is_meant(leaf, &meant));
            found.extend(tail.map(|(index, leaf)| (*index, Leaf::clone(leaf))));
        } else {
            // Two terms share a number: all that bear it are looked at.
            found.extend(self.try_all(asked).await?.into_iter().filter(|(index, _)| *index < below));
        }
        let mut last: BTreeMap<(Class, &str), u64> = BTreeMap::new();
        for (index, leaf) in &found {
            for term in terms::terms_of(leaf) {
                if let Some(term) = terms.get(&term) {
                    last.insert(*term, *index);
                }
            }
        }
        let kept: BTreeSet<u64> = last.into_values().collect();
        found.retain(|index, _| kept.contains(index));
        Ok(found)
    }

    /// The newest entries below `below` that bear a term, the newest first, at most `limit`.
    ///
    /// # Errors
    /// The store can't be read, or the log lacks an entry.
    pub(crate) fn newest<'s>(
        &'s mut self,
        class: Class,
        subject: &'s str,
        below: u64,
        limit: usize,
    ) -> BoxFuture<'s, Result<Vec<(u64, Leaf)>, OpError>> {
        Box::pin(async move {
            for _ in 0..ATTEMPTS {
                match self.try_newest(class, subject, below, limit).await {
                    Ok(found) => return Ok(found),
                    Err(Interrupted::Failed(error)) => return Err(error),
                    Err(Interrupted::Again) => *self = Self::begin(self.kernel).await?,
                }
            }
            Err(restless())
        })
    }

    async fn try_newest(
        &self,
        class: Class,
        subject: &str,
        below: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Leaf)>, Interrupted> {
        let term = terms::number(self.memory.keys(self.kernel), class, subject);
        let mut found: Vec<(u64, Leaf)> = Vec::new();
        let mut pages: Vec<(&Header, u32)> = Vec::new();
        let mut at_once = FIRST_PAGES;
        // What no segment covers is at hand, and is merged with what the segments hold.
        let tail: Vec<(u64, &Leaf)> = self
            .tail
            .range(..below)
            .rev()
            .filter(|(_, leaf)| terms::bears(leaf, class, subject))
            .map(|(index, leaf)| (*index, &**leaf))
            .collect();
        let mut tail = tail.into_iter().peekable();
        let mut segments = self.view.segments.iter().rev();
        loop {
            let next = segments.next();
            if let Some(header) = next.filter(|header| header.from < below) {
                pages.extend(header.pages_of(term, below).rev().map(|page| (&**header, page)));
            }
            while (next.is_none() && !pages.is_empty()) || pages.len() >= at_once {
                let rest = pages.split_off(pages.len().min(at_once));
                let postings = self.postings(&std::mem::replace(&mut pages, rest)).await?;
                at_once = (at_once * 2).min(PAGES);
                let of_term = |posting: &&page::Posting| posting.term == term && posting.index < below;
                let mut indexes: Vec<u64> =
                    postings.iter().flatten().filter(of_term).map(|posting| posting.index).collect();
                indexes.sort_unstable_by(|a, b| b.cmp(a));
                let mut indexes = indexes.as_slice();
                while !indexes.is_empty() {
                    let (some, others) = indexes.split_at(indexes.len().min(limit - found.len()).min(ENTRIES));
                    indexes = others;
                    for (index, leaf) in self.entries(some).await?.into_iter().rev() {
                        while let Some((newer, leaf)) = tail.next_if(|(newer, _)| *newer > index) {
                            found.push((newer, leaf.clone()));
                        }
                        if terms::bears(&leaf, class, subject) {
                            found.push((index, leaf));
                        }
                    }
                    if found.len() >= limit {
                        found.truncate(limit);
                        return Ok(found);
                    }
                }
            }
            if next.is_none() {
                found.extend(tail.map(|(index, leaf)| (index, leaf.clone())));
                found.truncate(limit);
                return Ok(found);
            }
        }
    }

    /// The number of the first entry that is later than `at`, in microseconds since 1970; the log's size if there is
    /// none.
    ///
    /// # Errors
    /// The store can't be read, or the log lacks an entry.
    pub(crate) fn first_after(&self, at: i64) -> BoxFuture<'_, Result<u64, OpError>> {
        Box::pin(self.search_time(at))
    }

    async fn search_time(&self, at: i64) -> Result<u64, OpError> {
        // Times never decrease along the log.
        let (mut low, mut high) = (0, self.view.size);
        for header in &self.view.segments {
            if header.last_at <= at {
                low = low.max(header.to);
            } else if header.first_at > at {
                high = high.min(header.from);
            }
        }
        for (index, leaf) in &self.tail {
            if leaf.at <= at {
                low = low.max(index + 1);
            } else {
                high = high.min(*index);
            }
        }
        while low < high {
            let step = ((high - low) / (PROBES + 1)).max(1);
            let probes: Vec<u64> =
                (0..PROBES).map(|n| low + n * step + step / 2).filter(|index| *index < high).collect();
            for entry in exactly(self.kernel, &probes).await? {
                let leaf = leaf_of(&entry)?;
                if leaf.at <= at {
                    low = low.max(entry.index + 1);
                } else {
                    high = high.min(entry.index);
                }
            }
        }
        Ok(low)
    }

    /// The postings of these pages, of those in memory and the others in one round trip.
    async fn postings(&self, asked: &[(&Header, u32)]) -> Result<Vec<Vec<page::Posting>>, Interrupted> {
        let mut pages: Vec<Option<Arc<Vec<u8>>>> =
            asked.iter().map(|(header, number)| self.memory.page((header.build, *number))).collect();
        let missing: Vec<PageKey> = asked
            .iter()
            .zip(&pages)
            .filter(|(_, page)| page.is_none())
            .map(|((header, number), _)| (header.build, *number))
            .collect();
        if !missing.is_empty() {
            let mut read = self.kernel.store.segment_pages(&missing).await?.into_iter();
            let keys = self.memory.keys(self.kernel);
            for ((header, number), slot) in asked.iter().zip(&mut pages).filter(|(_, page)| page.is_none()) {
                let sealed = read.next().flatten();
                let Some(page) = sealed.as_deref().and_then(|sealed| keys.open_page(header.build, *number, sealed))
                else {
                    self.doubt(header.build).await?;
                    return Err(Interrupted::Again);
                };
                let page = Arc::new(page.to_vec());
                self.memory.keep_page((header.build, *number), Arc::clone(&page));
                *slot = Some(page);
            }
        }
        let mut postings = Vec::with_capacity(asked.len());
        for ((header, _), page) in asked.iter().zip(pages) {
            match page.and_then(|page| page::postings(header, &page)) {
                Some(of_page) => postings.push(of_page),
                None => {
                    self.doubt(header.build).await?;
                    return Err(Interrupted::Again);
                }
            }
        }
        Ok(postings)
    }

    /// A page of a segment is not there, or not what it was: the segment was merged meanwhile, or altered.
    async fn doubt(&self, build: u64) -> Result<(), OpError> {
        let listed = self.kernel.store.segments(&[]).await?.segments.iter().any(|segment| segment.build == build);
        if listed {
            self.memory.suspect(build);
        }
        Ok(())
    }

    /// These entries, in the order of their numbers.
    async fn entries(&self, indexes: &[u64]) -> Result<Vec<(u64, Leaf)>, OpError> {
        let entries = exactly(self.kernel, indexes).await?;
        entries.iter().map(|entry| Ok((entry.index, leaf_of(entry)?))).collect()
    }
}

/// Reads entries that no segment covers: those that were read before, and are still these, are in memory.
async fn read_uncovered(
    kernel: &Kernel,
    memory: &IndexMemory,
    stretch: Range<u64>,
    tail: &mut Tail,
) -> Result<(), OpError> {
    let n = u32::try_from(stretch.end - stretch.start).unwrap_or(u32::MAX);
    let hashes = kernel.store.leaf_hashes(stretch.start, n).await?;
    let mut missing: Vec<Range<u64>> = Vec::new();
    for index in stretch.clone() {
        let place = usize::try_from(index - stretch.start).unwrap_or(usize::MAX);
        match hashes.get(place).and_then(|hash| memory.uncovered(index, hash)) {
            Some(known) => drop(tail.insert(index, known)),
            None => match missing.last_mut().filter(|missing| missing.end == index) {
                Some(missing) => missing.end += 1,
                None => missing.push(index..index + 1),
            },
        }
    }
    for stretch in missing {
        read_entries(kernel, stretch, |entry| {
            tail.insert(entry.index, (leaf_hash(&entry.leaf), Arc::new(leaf_of(&entry)?)));
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Whether an entry bears any of these terms.
fn is_meant(leaf: &Leaf, asked: &HashSet<(Class, &str)>) -> bool {
    terms::terms_of(leaf).iter().any(|term| asked.contains(term))
}

/// Reads a stretch of the log.
///
/// # Errors
/// The store can't be read, the log lacks an entry, or `take` fails.
pub(crate) async fn read_entries(
    kernel: &Kernel,
    stretch: Range<u64>,
    mut take: impl FnMut(LogEntry) -> Result<(), OpError> + Send,
) -> Result<(), OpError> {
    let mut next = stretch.start;
    while next < stretch.end {
        let n = u16::try_from(stretch.end - next).unwrap_or(u16::MAX).min(PAGE);
        let before = next;
        for entry in kernel.store.entries(next, n).await? {
            if entry.index != next {
                return Err(lacks(next));
            }
            take(entry)?;
            next += 1;
        }
        if next == before {
            return Err(lacks(next));
        }
        // Others of this thread come to their turn.
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// The entry's leaf.
pub(crate) fn leaf_of(entry: &LogEntry) -> Result<Leaf, OpError> {
    Leaf::read(&entry.leaf).map_err(|error| OpError::Internal(format!("entry {} can't be read: {error}", entry.index)))
}

async fn exactly(kernel: &Kernel, indexes: &[u64]) -> Result<Vec<LogEntry>, OpError> {
    let entries = kernel.store.entries_at(indexes).await?;
    if entries.len() != indexes.len() {
        let there: HashSet<u64> = entries.iter().map(|entry| entry.index).collect();
        return Err(lacks(indexes.iter().copied().find(|index| !there.contains(index)).unwrap_or_default()));
    }
    Ok(entries)
}

fn lacks(index: u64) -> OpError {
    OpError::Internal(format!("the entry {index} is missing from the log"))
}

fn restless() -> OpError {
    OpError::Unavailable("the log's index was changed again and again while it was read".into())
}
