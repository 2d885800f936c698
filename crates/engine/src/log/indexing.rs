//! Makes the log's index, behind the commits and never in their way: short segments of the newest entries, merged into
//! longer ones.
//!
//! Each step looks at what there is and does one thing; what it does is decided by a pure `plan`. A step that is broken
//! off has staged pages that count for nothing. Several replicas may do the same step at once: one of them changes the
//! list of segments, and what the others staged is dropped after an hour.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tenure_api::log::{DerivedIndex, Reindexed};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::policy::Action;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::log_index::{Segment, SegmentChange};
use tenure_credentials::index_keys::IndexKeys;
use tenure_log::leaf_hash;
use tokio::sync::watch;

use crate::kernel::Kernel;
use crate::kernel::authority::{inventory, owns};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::log_index::build_at;
use crate::kernel::log_index::page::{self, Header, PageWriter, Posting};
use crate::kernel::log_index::search::{leaf_of, read_entries};
use crate::kernel::log_index::terms;
use crate::kernel::log_index::view::{IndexMemory, View, view};
use crate::kernel::operation::Asked;
use crate::kernel::search::fold;

/// Entries that the shortest segments cover.
const SHORTEST: u64 = 1_024;
/// How many segments of a length make one of the next.
const FANOUT: u64 = 16;
/// The longest segment that is made of entries at once: with their terms, some 25 MB in memory.
const MADE_AT_ONCE: u64 = SHORTEST * FANOUT * FANOUT;
/// The longest segments: a log of as many entries has as many as it takes.
const LONGEST: u64 = MADE_AT_ONCE * FANOUT * FANOUT * FANOUT;
/// Pages that are staged in one commit: 512 KiB.
const STAGED: usize = 256;
/// Pages of each segment that are read at once for a merge.
const READ: u32 = 64;
/// For how long pages that count for nothing are kept: whoever stages them may be slow.
const KEPT: Span = Span::from_mins(60);
/// Between two looks at a log that hasn't grown.
const REST: Duration = Duration::from_millis(500);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(5);
/// Entries behind which progress is worth a line.
const WORTH_TELLING: u64 = MADE_AT_ONCE;

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    /// These segments are none of this log, or cover what longer ones do.
    Drop(Vec<u64>),
    /// Entries that no segment covers.
    Make(Range<u64>),
    /// Segments that make up a longer one, in order.
    Merge(Vec<Arc<Header>>),
    /// Nothing, until the log has grown.
    Rest,
}

fn plan(view: &View) -> Plan {
    let dropped: Vec<u64> = view.bad.iter().map(|segment| segment.build).chain(view.spare.iter().copied()).collect();
    if !dropped.is_empty() {
        return Plan::Drop(dropped);
    }
    if view.newer {
        return Plan::Rest;
    }
    for hole in &view.holes {
        let start = hole.start.next_multiple_of(SHORTEST);
        let fits = |length: &u64| start.is_multiple_of(*length) && start + length <= hole.end;
        let lengths = [MADE_AT_ONCE, SHORTEST * FANOUT, SHORTEST];
        if let Some(length) = lengths.into_iter().find(fits) {
            return Plan::Make(start..start + length);
        }
    }
    let mut length = SHORTEST * FANOUT;
    while length <= LONGEST {
        for group in view.segments.chunk_by(|a, b| a.to == b.from && a.from / length == b.from / length) {
            let covers =
                |first: &Header, last: &Header| first.from.is_multiple_of(length) && last.to == first.from + length;
            if let [first, .., last] = group
                && covers(first, last)
            {
                return Plan::Merge(group.to_vec());
            }
        }
        length *= FANOUT;
    }
    Plan::Rest
}

/// Does the next thing that there is to do for the index; false if there is nothing until the log grows.
///
/// # Errors
/// The store can't be read or written, or the log lacks an entry.
pub async fn index_more(kernel: &Kernel) -> Result<bool, OpError> {
    let view = view(kernel).await?;
    match plan(&view) {
        Plan::Rest => {
            let before = kernel.now().minus(KEPT);
            return Ok(
                kernel.store.drop_pages(build_at(before, 0), u32::try_from(STAGED).unwrap_or(u32::MAX)).await? > 0
            );
        }
        Plan::Drop(builds) => {
            tracing::warn!(segments = builds.len(), "segments that are not of this log are dropped from its index");
            let change = SegmentChange { version: view.version, add: None, remove: builds };
            kernel.store.change_segments(change).await?;
        }
        Plan::Make(entries) => make(kernel, view.version, entries).await?,
        Plan::Merge(segments) => merge(kernel, view.version, &segments).await?,
    }
    Ok(true)
}

/// Does whatever there is to do for the index.
///
/// # Errors
/// As [`index_more`].
pub async fn index_all(kernel: &Kernel) -> Result<(), OpError> {
    while index_more(kernel).await? {}
    Ok(())
}

/// Throws the index away. Whoever works for the deployment makes it again, and meanwhile questions are answered as far
/// as that takes no long reading.
///
/// # Errors
/// The caller may not audit, or the store can't be written.
pub async fn reindex(kernel: &Kernel, caller: &Caller, of: DerivedIndex) -> Result<Reindexed, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "log.reindex", ""), async {
            kernel.allow(caller, Action::Audit, inventory("log", "index", ""), owns(false))?;
            let (entries, _) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let entries = kernel.store.head().await?.size;
                    let event = kernel
                        .event(now, EventKind::LogReindexed)
                        .subject("log")
                        .fact("index", of)
                        .fact("entries", entries);
                    Ok((Changeset::new(caller.author(), now, event), entries))
                })
                .await?;
            if of == DerivedIndex::Records {
                fold::anew(kernel).await?;
                return Ok(Reindexed { of, entries });
            }
            loop {
                let list = kernel.store.segments(&[]).await?;
                let remove = list.segments.iter().map(|segment| segment.build).collect();
                let change = SegmentChange { version: list.version, add: None, remove };
                if kernel.store.change_segments(change).await? {
                    return Ok(Reindexed { of, entries });
                }
            }
        })
        .await
}

/// How many entries the index covers, of how many.
///
/// # Errors
/// The store can't be read.
pub async fn covered(kernel: &Kernel) -> Result<(u64, u64), OpError> {
    let view = view(kernel).await?;
    Ok((view.size.saturating_sub(view.uncovered()), view.size))
}

/// A segment that is being made.
struct Draft<'k> {
    kernel: &'k Kernel,
    keys: &'k IndexKeys,
    build: u64,
    writer: PageWriter<'k>,
}

impl<'k> Draft<'k> {
    fn new(kernel: &'k Kernel, keys: &'k IndexKeys, from: u64) -> Self {
        let mut random = [0; 4];
        kernel.entropy.fill(&mut random);
        let build = build_at(kernel.now(), u32::from_be_bytes(random));
        Self { kernel, keys, build, writer: PageWriter::new(keys, build, from) }
    }

    async fn stage(&mut self) -> Result<(), OpError> {
        let (first, pages) = self.writer.take();
        for (first, pages) in (first..).step_by(STAGED).zip(pages.chunks(STAGED)) {
            self.kernel.store.stage_pages(self.build, first, pages).await?;
        }
        Ok(())
    }

    async fn put(
        mut self,
        version: u64,
        remove: Vec<u64>,
        header: impl FnOnce(u64, PageWriter<'k>) -> Header,
    ) -> Result<(), OpError> {
        self.writer.finish();
        self.stage().await?;
        let header = header(self.build, self.writer);
        let (from, to) = (header.from, header.to);
        let segment = Segment { build: self.build, from, to, header: Some(header.seal(self.keys)) };
        // If somebody else was first, the next look finds what they made.
        let won = self.kernel.store.change_segments(SegmentChange { version, add: Some(segment), remove }).await?;
        tracing::debug!(from, to, pages = header.page_count(), won, "a segment of the log's index was made");
        Ok(())
    }
}

/// Puts a segment in the place of the one that covers these entries, made as a defect would make it.
#[cfg(test)]
pub(crate) async fn make_wrongly(kernel: &Kernel, entries: Range<u64>) {
    let list = kernel.store.segments(&[]).await.unwrap();
    let remove = list.segments.iter().filter(|segment| segment.from == entries.start).map(|segment| segment.build);
    let change = SegmentChange { version: list.version, add: None, remove: remove.collect() };
    assert!(kernel.store.change_segments(change).await.unwrap());
    let index = entries.start;
    make_of(kernel, list.version + 1, entries, vec![Posting { term: 7, index }]).await.unwrap();
}

async fn make(kernel: &Kernel, version: u64, entries: Range<u64>) -> Result<(), OpError> {
    make_of(kernel, version, entries, Vec::new()).await
}

async fn make_of(
    kernel: &Kernel,
    version: u64,
    entries: Range<u64>,
    mut postings: Vec<Posting>,
) -> Result<(), OpError> {
    let memory = kernel.memory.of::<IndexMemory>();
    let keys = memory.keys(kernel);
    let (mut first_at, mut last_at, mut anchor) = (None, 0, [0; 32]);
    read_entries(kernel, entries.clone(), |entry| {
        let leaf = leaf_of(&entry)?;
        let posting = |(class, subject)| Posting { term: terms::number(keys, class, subject), index: entry.index };
        postings.extend(terms::terms_of(&leaf).into_iter().map(posting));
        first_at.get_or_insert(leaf.at);
        (last_at, anchor) = (leaf.at, leaf_hash(&entry.leaf));
        Ok(())
    })
    .await?;
    postings.sort_unstable();
    // Of two terms that share a number an entry may bear both.
    postings.dedup();
    let mut draft = Draft::new(kernel, keys, entries.start);
    postings.into_iter().for_each(|posting| draft.writer.push(posting));
    draft
        .put(version, Vec::new(), |build, writer| {
            let (pages, sum) = writer.into_parts();
            let first_at = first_at.unwrap_or(last_at);
            Header { build, from: entries.start, to: entries.end, first_at, last_at, anchor, sum, pages }
        })
        .await
}

/// The postings of a segment, read some pages at a time.
struct Source {
    header: Arc<Header>,
    next: u32,
    postings: std::iter::Peekable<std::vec::IntoIter<Posting>>,
}

impl Source {
    fn of(header: &Arc<Header>) -> Self {
        Self { header: Arc::clone(header), next: 0, postings: Vec::new().into_iter().peekable() }
    }

    /// The next posting, if there is one; false if a page isn't what it should be.
    async fn fill(&mut self, kernel: &Kernel, keys: &IndexKeys) -> Result<bool, OpError> {
        while self.postings.peek().is_none() && self.next < self.header.page_count() {
            let end = self.header.page_count().min(self.next + READ);
            let asked: Vec<(u64, u32)> = (self.next..end).map(|number| (self.header.build, number)).collect();
            let mut found = Vec::new();
            for ((build, number), sealed) in asked.iter().zip(kernel.store.segment_pages(&asked).await?) {
                let page = sealed.as_deref().and_then(|sealed| keys.open_page(*build, *number, sealed));
                let Some(of_page) = page.and_then(|page| page::postings(&self.header, page)) else {
                    return Ok(false);
                };
                found.extend(of_page);
            }
            (self.next, self.postings) = (end, found.into_iter().peekable());
        }
        Ok(true)
    }
}

async fn merge(kernel: &Kernel, version: u64, segments: &[Arc<Header>]) -> Result<(), OpError> {
    let memory = kernel.memory.of::<IndexMemory>();
    let keys = memory.keys(kernel);
    let (Some(first), Some(last)) = (segments.first(), segments.last()) else {
        return Ok(());
    };
    let mut sources: Vec<Source> = segments.iter().map(Source::of).collect();
    let mut draft = Draft::new(kernel, keys, first.from);
    loop {
        // A term's entries in one segment come before those in the next one: they are in order as they stand.
        let mut term = None;
        for source in &mut sources {
            if !source.fill(kernel, keys).await? {
                return doubt(kernel, source.header.build).await;
            }
            let head = source.postings.peek().map(|posting| posting.term);
            term = head.filter(|head| term.is_none_or(|term| *head < term)).or(term);
        }
        let Some(term) = term else {
            break;
        };
        for source in &mut sources {
            loop {
                while let Some(posting) = source.postings.next_if(|posting| posting.term == term) {
                    draft.writer.push(posting);
                }
                if source.postings.peek().is_some() || source.next == source.header.page_count() {
                    break;
                }
                if !source.fill(kernel, keys).await? {
                    return doubt(kernel, source.header.build).await;
                }
            }
        }
        if draft.writer.ready() >= STAGED {
            draft.stage().await?;
            tokio::task::yield_now().await;
        }
    }
    let remove = segments.iter().map(|segment| segment.build).collect();
    let mut sum = page::Sum::default();
    segments.iter().for_each(|segment| sum.join(segment.sum));
    if draft.writer.sum() != sum {
        // What was read isn't what was written: which of them it is, a look at each says.
        segments.iter().for_each(|segment| memory.suspect(segment.build));
        return Ok(());
    }
    let (first_at, last_at, anchor) = (first.first_at, last.last_at, last.anchor);
    draft
        .put(version, remove, |build, writer| {
            let (pages, sum) = writer.into_parts();
            Header { build, from: first.from, to: last.to, first_at, last_at, anchor, sum, pages }
        })
        .await
}

/// A page is not there, or not what it was: somebody else merged its segment, or altered it.
async fn doubt(kernel: &Kernel, build: u64) -> Result<(), OpError> {
    if kernel.store.segments(&[]).await?.segments.iter().any(|listed| listed.build == build) {
        kernel.memory.of::<IndexMemory>().suspect(build);
    }
    Ok(())
}

pub(crate) async fn run(kernel: Arc<Kernel>, mut stop: watch::Receiver<bool>) {
    let mut begun: Option<(Timestamp, u64)> = None;
    loop {
        let step = tokio::select! {
            step = step(&kernel, &mut begun) => step,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let pause = match step {
            Ok(true) => continue,
            Ok(false) => REST,
            Err(error) => {
                tracing::warn!(%error, "the log's index can't be made now");
                PAUSE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// One step, with a line about how far it has come while there is much to do.
async fn step(kernel: &Kernel, begun: &mut Option<(Timestamp, u64)>) -> Result<bool, OpError> {
    if kernel.store.is_full() {
        return Ok(false);
    }
    let more = index_more(kernel).await?;
    let (covered, size) = covered(kernel).await?;
    let now = kernel.now();
    match begun {
        None if more && size - covered > WORTH_TELLING => *begun = Some((now, covered)),
        Some((since, from)) => {
            let seconds = u64::try_from(now.since(*since).as_secs()).unwrap_or_default().max(1);
            let rate = covered.saturating_sub(*from) / seconds;
            tracing::info!(entries = covered, of = size, per_second = rate, "the log is being indexed");
            if !more || size - covered < WORTH_TELLING {
                *begun = None;
            }
        }
        None => {}
    }
    Ok(more)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view_of(size: u64, segments: &[(u64, u64)]) -> View {
        let header = |(n, (from, to)): (usize, &(u64, u64))| {
            let (sum, pages) = (page::Sum::default(), Vec::new());
            let build = n as u64;
            Arc::new(Header { build, from: *from, to: *to, first_at: 0, last_at: 0, anchor: [0; 32], sum, pages })
        };
        let segments: Vec<_> = segments.iter().enumerate().map(header).collect();
        let mut holes = Vec::new();
        let mut covered = 0;
        for segment in &segments {
            if covered < segment.from {
                holes.push(covered..segment.from);
            }
            covered = segment.to;
        }
        if covered < size {
            holes.push(covered..size);
        }
        View { version: 0, size, segments, holes, bad: Vec::new(), newer: false, spare: Vec::new() }
    }

    #[test]
    fn the_longest_stretch_that_fits_is_made() {
        assert_eq!(plan(&view_of(1_023, &[])), Plan::Rest);
        assert_eq!(plan(&view_of(1_024, &[])), Plan::Make(0..1_024));
        assert_eq!(plan(&view_of(10_000_000, &[])), Plan::Make(0..262_144));
        assert_eq!(plan(&view_of(300_000, &[(0, 262_144)])), Plan::Make(262_144..278_528));
        assert_eq!(plan(&view_of(20_000, &[(0, 1_024)])), Plan::Make(1_024..2_048));
        assert_eq!(plan(&view_of(2_048, &[(1_024, 2_048)])), Plan::Make(0..1_024));
    }

    #[test]
    fn what_makes_up_a_longer_one_is_merged() {
        let short = |from: u64| (from * SHORTEST, (from + 1) * SHORTEST);
        let merged = |size, segments: &[(u64, u64)]| match plan(&view_of(size, segments)) {
            Plan::Merge(group) => group.first().map(|first| (first.from, group.len())),
            _ => None,
        };
        let sixteen: Vec<_> = (0..16).map(short).collect();
        assert_eq!(merged(16_384, &sixteen), Some((0, 16)));
        assert_eq!(merged(16_384, &sixteen[..15]), None);
        let next: Vec<_> = (16..31).map(short).collect();
        assert_eq!(merged(31 * 1_024, &[&[(0, 16_384)][..], &next].concat()), None);
        let long: Vec<_> = (0..16).map(|n| (n * 262_144, (n + 1) * 262_144)).collect();
        assert_eq!(merged(16 * 262_144, &long), Some((0, 16)));
    }
}
