//! The log's index held against the log: it follows from the entries, so it is worked out again from those that a
//! verification reads, and compared (S-2).
//!
//! Every page of every segment is read. Of a segment whose entries were all read, its postings must come to what these
//! come to; of another one, to what its header says. A segment that doesn't is named, counts no more, and is made again.

use std::collections::BTreeSet;
use std::sync::Arc;

use tenure_api::log::StateFault;
use tenure_core::store::log_index::SegmentChange;
use tenure_log::Leaf;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::log_index::page::{self, Header, Posting, Sum};
use crate::kernel::log_index::terms;
use crate::kernel::log_index::view::{IndexMemory, view};

/// Pages that are read at once.
const PAGES: u32 = 256;

/// A segment, and what the entries that it covers come to as far as they were read.
struct Compared {
    header: Arc<Header>,
    read: u64,
    sum: Sum,
}

/// The index as it was when a verification began.
pub(crate) struct IndexCheck {
    memory: Arc<IndexMemory>,
    /// In the order of their entries.
    segments: Vec<Compared>,
    /// The segment that the next entry is in, or behind.
    place: usize,
    /// Builds of segments that are none of this log's, with what they say they cover.
    bad: Vec<(u64, String)>,
}

impl IndexCheck {
    pub(crate) async fn begin(kernel: &Kernel) -> Result<Self, OpError> {
        let view = view(kernel).await?;
        let segments =
            view.segments.into_iter().map(|header| Compared { header, read: 0, sum: Sum::default() }).collect();
        let bad = view.bad.iter().map(|segment| (segment.build, name(segment.from, segment.to))).collect();
        Ok(Self { memory: kernel.memory.of::<IndexMemory>(), segments, place: 0, bad })
    }

    /// Takes in an entry; they come in the order of their numbers.
    pub(crate) fn entry(&mut self, kernel: &Kernel, index: u64, leaf: &Leaf) {
        while self.segments.get(self.place).is_some_and(|segment| segment.header.to <= index) {
            self.place += 1;
        }
        let Some(segment) = self.segments.get_mut(self.place).filter(|segment| segment.header.from <= index) else {
            return;
        };
        let keys = self.memory.keys(kernel);
        let terms: BTreeSet<u64> =
            terms::terms_of(leaf).into_iter().map(|(class, subject)| terms::number(keys, class, subject)).collect();
        terms.into_iter().for_each(|term| segment.sum.add(Posting { term, index }));
        segment.read += 1;
    }

    /// Names the segments that don't follow from the log, by what they cover; they count no more.
    pub(crate) async fn end(self, kernel: &Kernel) -> Result<Vec<(String, StateFault)>, OpError> {
        let mut faulty = self.bad;
        let mut altered: BTreeSet<u64> = faulty.iter().map(|(build, _)| *build).collect();
        for segment in &self.segments {
            let header = &segment.header;
            let name = name(header.from, header.to);
            match pages_sum(kernel, &self.memory, header).await? {
                Some(sum) if sum == header.sum => {
                    if segment.read == header.to - header.from && segment.sum != sum {
                        faulty.push((header.build, name));
                    }
                }
                _ => {
                    altered.insert(header.build);
                    faulty.push((header.build, name));
                }
            }
        }
        if faulty.is_empty() {
            return Ok(Vec::new());
        }
        // What was merged meanwhile is not there any more, and that is no fault.
        let list = kernel.store.segments(&[]).await?;
        faulty.retain(|(build, _)| list.segments.iter().any(|listed| listed.build == *build));
        let remove = faulty.iter().map(|(build, _)| *build).collect();
        // Where somebody else changed the list, the next verification looks again.
        kernel.store.change_segments(SegmentChange { version: list.version, add: None, remove }).await?;
        let fault = |build| if altered.contains(&build) { StateFault::Altered } else { StateFault::Misindexed };
        Ok(faulty.into_iter().map(|(build, name)| (name, fault(build))).collect())
    }
}

/// What the postings of a segment's pages come to; none if a page is missing, or not what it was.
async fn pages_sum(kernel: &Kernel, memory: &IndexMemory, header: &Header) -> Result<Option<Sum>, OpError> {
    let keys = memory.keys(kernel);
    let mut sum = Sum::default();
    let mut next = 0;
    while next < header.page_count() {
        let end = header.page_count().min(next + PAGES);
        let asked: Vec<(u64, u32)> = (next..end).map(|number| (header.build, number)).collect();
        for ((build, number), sealed) in asked.iter().zip(kernel.store.segment_pages(&asked).await?) {
            let page = sealed.as_deref().and_then(|sealed| keys.open_page(*build, *number, sealed));
            let Some(postings) = page.and_then(|page| page::postings(header, page)) else {
                return Ok(None);
            };
            postings.into_iter().for_each(|posting| sum.add(posting));
        }
        next = end;
        tokio::task::yield_now().await;
    }
    Ok(Some(sum))
}

fn name(from: u64, to: u64) -> String {
    format!("{from}..{to}")
}

#[cfg(test)]
mod tests;
