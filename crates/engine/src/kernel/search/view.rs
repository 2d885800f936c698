//! The segments of a kind, as of one moment, and the records that changed since they were folded.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tenure_core::base::time::Timestamp;
use tenure_core::store::document::Order;
use tenure_core::store::port::StoreError;
use tenure_core::store::row::{Row, RowKey, RowKind};
use tenure_core::store::search::ChangedRecord;
use tenure_credentials::index_keys::IndexKeys;

use super::bits::Bits;
use super::document::{Indexed, id_of, orders};
use super::segment::{BadPage, Found, Header, entries};
use crate::kernel::error::OpError;
use crate::kernel::recent::{PageKey, RecentPages};
use crate::kernel::{Kernel, work};

/// Bytes of pages that are kept in memory.
const KEPT: usize = 32 << 20;
/// Records that are read at once.
pub(super) const RECORDS: usize = 512;
/// Pages that are read at once.
const PAGES: usize = 512;

/// Documents of records that changed since they were folded, by id, with their revisions.
type Unfolded = HashMap<String, (u64, Arc<Indexed>)>;

/// What this process keeps of the index: what it has checked once is never another.
pub(super) struct SearchMemory {
    keys: OnceLock<IndexKeys>,
    segments: Mutex<HashMap<RowKind, BTreeMap<u64, Arc<Segment>>>>,
    pages: Mutex<RecentPages>,
    /// Documents of records that changed, by id, with their revisions.
    changed: Mutex<HashMap<RowKind, Unfolded>>,
    /// Builds of segments that lack a page, or hold one that is not theirs.
    suspects: Mutex<BTreeSet<u64>>,
}

impl Default for SearchMemory {
    fn default() -> Self {
        Self {
            keys: OnceLock::new(),
            segments: Mutex::default(),
            pages: Mutex::new(RecentPages::within(KEPT)),
            changed: Mutex::default(),
            suspects: Mutex::default(),
        }
    }
}

impl SearchMemory {
    pub(super) fn keys(&self, kernel: &Kernel) -> &IndexKeys {
        self.keys.get_or_init(|| IndexKeys::of_search(&kernel.root))
    }

    /// Notes that a segment is not to be relied on: whoever makes segments makes it again.
    pub(super) fn suspect(&self, build: u64) {
        if self.suspects.lock().insert(build) {
            tracing::error!(build, "a segment of the index of records was altered, and is not used any more");
        }
    }
}

/// A segment with its dead documents.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) header: Arc<Header>,
    /// How many of its places were given up, documents or not.
    pub(super) dead: u32,
    pub(super) dead_bits: Bits,
}

/// A segment that is of no use, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadSegment {
    pub(super) build: u64,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// The index of a kind, as of one moment.
pub(super) struct View {
    pub(super) kind: RowKind,
    pub(super) version: u64,
    pub(super) next: u64,
    /// Those that can be read, in the order of their places.
    pub(super) segments: Vec<Arc<Segment>>,
    pub(super) bad: Vec<BadSegment>,
    /// Whether there are segments of a newer version, whose replicas run beside this one: the index is theirs.
    pub(super) newer: bool,
    pub(super) changed: Vec<ChangedRecord>,
    /// Whether more records changed than were asked for.
    pub(super) more_changed: bool,
}

/// Reads the segments of a kind, and at most `n` of the records that changed.
pub(super) async fn view(kernel: &Kernel, kind: RowKind, n: u16) -> Result<View, StoreError> {
    let memory = kernel.memory.of::<SearchMemory>();
    let keys = memory.keys(kernel);
    let known: BTreeMap<u64, Arc<Segment>> = memory.segments.lock().get(&kind).cloned().unwrap_or_default();
    let asked: Vec<(u64, u32)> = known.iter().map(|(build, segment)| (*build, segment.dead)).collect();
    let mut state = kernel.store.search().search_state(kind, &asked, n).await?;
    let suspects = memory.suspects.lock().clone();
    let mut view = View {
        kind,
        version: state.version,
        next: state.next,
        segments: Vec::with_capacity(state.segments.len()),
        bad: Vec::new(),
        newer: false,
        more_changed: state.changed.len() > usize::from(n),
        changed: Vec::new(),
    };
    state.changed.truncate(usize::from(n));
    view.changed = state.changed;
    for segment in state.segments {
        let (build, from, to) = (segment.build, segment.from, segment.to);
        let header = match (segment.header, known.get(&build)) {
            (None, Some(known)) => Some(Arc::clone(&known.header)),
            (Some(sealed), _) => match Header::open(keys, kind, &sealed) {
                Found::Ours(header) => Some(Arc::new(header)),
                Found::Newer => {
                    view.newer = true;
                    continue;
                }
                Found::Bad => None,
            },
            (None, None) => None,
        };
        let fits = |header: &Header| (header.build, header.from, header.to) == (build, from, to);
        let Some(header) = header.filter(|header| fits(header) && !suspects.contains(&build)) else {
            view.bad.push(BadSegment { build, from, to });
            continue;
        };
        let segment = match (segment.dead_bits, known.get(&build)) {
            (None, Some(known)) => Arc::clone(known),
            (bits, _) => {
                let dead_bits = Bits::read(&bits.unwrap_or_default(), header.places());
                Arc::new(Segment { header, dead: segment.dead, dead_bits })
            }
        };
        // Whoever sets it back in the database would have two records stand in one place.
        view.next = view.next.max(segment.header.to);
        view.segments.push(segment);
    }
    let kept = view.segments.iter().map(|segment| (segment.header.build, Arc::clone(segment))).collect();
    memory.segments.lock().insert(kind, kept);
    Ok(view)
}

/// A segment was merged while it was read, or is not what it was: the question is asked again.
#[derive(Debug)]
pub(super) enum Interrupted {
    Again,
    Failed(OpError),
}

impl<E: Into<OpError>> From<E> for Interrupted {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl View {
    /// Pages of segments, each checked; as many as were asked for, in their order.
    pub(super) async fn pages(&self, kernel: &Kernel, asked: &[PageKey]) -> Result<Vec<Arc<Vec<u8>>>, Interrupted> {
        let memory = kernel.memory.of::<SearchMemory>();
        let keys = memory.keys(kernel);
        let mut found: HashMap<PageKey, Arc<Vec<u8>>> = HashMap::with_capacity(asked.len());
        let mut missing: BTreeSet<PageKey> = BTreeSet::new();
        for key in asked {
            match memory.pages.lock().get(*key) {
                Some(page) => drop(found.insert(*key, page)),
                None => drop(missing.insert(*key)),
            }
        }
        let missing: Vec<PageKey> = missing.into_iter().collect();
        for some in missing.chunks(PAGES) {
            for (key, sealed) in some.iter().zip(kernel.store.segment_pages(some).await?) {
                let opened = sealed.as_deref().and_then(|sealed| keys.open_page(key.0, key.1, sealed));
                let Some(page) = opened.map(|page| Arc::new(page.to_vec())) else {
                    return Err(self.doubt(kernel, key.0).await);
                };
                memory.pages.lock().put(*key, Arc::clone(&page));
                found.insert(*key, page);
            }
        }
        Ok(asked.iter().filter_map(|key| found.get(key).cloned()).collect())
    }

    /// Pages of one segment that follow each other.
    pub(super) async fn pages_in(
        &self,
        kernel: &Kernel,
        build: u64,
        numbers: Range<u32>,
    ) -> Result<Vec<Arc<Vec<u8>>>, Interrupted> {
        let asked: Vec<PageKey> = numbers.map(|number| (build, number)).collect();
        self.pages(kernel, &asked).await
    }

    /// The ids of the documents of a segment that aren't dead, with their places in the kind.
    pub(super) async fn live_documents(
        &self,
        kernel: &Kernel,
        segment: &Segment,
    ) -> Result<Vec<(String, u64)>, Interrupted> {
        let header = &segment.header;
        let mut live = Vec::with_capacity(header.documents as usize);
        for page in self.pages_in(kernel, header.build, header.pages_of_order(0)).await? {
            for (key, place) in self.read(kernel, header.build, entries(&page, header.places())).await? {
                if !segment.dead_bits.has(place) {
                    live.extend(id_of(Order::Id, &key).map(|id| (id, header.from + u64::from(place))));
                }
            }
        }
        Ok(live)
    }

    /// A page of a segment is not there, or not what it was: the segment was merged meanwhile, or altered.
    pub(super) async fn doubt(&self, kernel: &Kernel, build: u64) -> Interrupted {
        match kernel.store.search().search_state(self.kind, &[], 0).await {
            Ok(state) => {
                if state.segments.iter().any(|segment| segment.build == build) {
                    kernel.memory.of::<SearchMemory>().suspect(build);
                }
                Interrupted::Again
            }
            Err(error) => error.into(),
        }
    }

    /// What was read from a page of a segment; its segment is in doubt if that is none.
    pub(super) async fn read<T>(
        &self,
        kernel: &Kernel,
        build: u64,
        read: Result<T, BadPage>,
    ) -> Result<T, Interrupted> {
        match read {
            Ok(read) => Ok(read),
            Err(BadPage) => Err(self.doubt(kernel, build).await),
        }
    }

    /// The documents of the records that changed, as they stand now, and those records that were altered outside
    /// Tenure, or can't be read.
    pub(super) async fn changed_documents(
        &self,
        kernel: &Kernel,
    ) -> Result<(Vec<(String, Arc<Indexed>)>, Vec<RowKey>), OpError> {
        let memory = kernel.memory.of::<SearchMemory>();
        let known = memory.changed.lock().remove(&self.kind).unwrap_or_default();
        let current = |changed: &ChangedRecord| {
            known.get(&changed.id).filter(|(revision, _)| *revision == changed.revision).cloned()
        };
        let mut documents: Unfolded = HashMap::with_capacity(self.changed.len());
        let mut missing = Vec::new();
        for changed in &self.changed {
            match current(changed) {
                Some(known) => drop(documents.insert(changed.id.clone(), known)),
                None => missing.push(changed.id.clone()),
            }
        }
        let (read, altered) = documents_of(kernel, self.kind, &missing).await?;
        documents.extend(read.into_iter().map(|(id, revision, document)| (id, (revision, Arc::new(document)))));
        let all = documents.iter().map(|(id, (_, document))| (id.clone(), Arc::clone(document))).collect();
        memory.changed.lock().insert(self.kind, documents);
        Ok((all, altered))
    }
}

/// The documents of these records as they stand now, with their revisions; and the records that can't be read.
pub(super) async fn documents_of(
    kernel: &Kernel,
    kind: RowKind,
    ids: &[String],
) -> Result<(Vec<(String, u64, Indexed)>, Vec<RowKey>), OpError> {
    let memory = kernel.memory.of::<SearchMemory>();
    let keys = memory.keys(kernel);
    let (mut documents, mut altered) = (Vec::with_capacity(ids.len()), Vec::new());
    for some in ids.chunks(RECORDS) {
        let (rows, of_some) = readable(kernel, kind, some).await?;
        altered.extend(of_some);
        let ids: Vec<String> = rows.iter().map(|row| row.key.id.clone()).collect();
        let uses = last_uses(kernel, kind, &ids).await?;
        for (row, last_used) in rows.iter().zip(uses) {
            match Indexed::of_row(keys, row, last_used) {
                Ok(document) => documents.extend(document.map(|read| (row.key.id.clone(), row.revision, read))),
                Err(bad) => altered.push(bad.key),
            }
        }
        // Others of this thread come to their turn.
        tokio::task::yield_now().await;
    }
    Ok((documents, altered))
}

/// When each of these records was last used, if its kind is sorted by that.
pub(super) async fn last_uses(
    kernel: &Kernel,
    kind: RowKind,
    ids: &[String],
) -> Result<Vec<Option<Timestamp>>, OpError> {
    match orders(kind).contains(&Order::LastUse) {
        true => work::last_used_each(kernel, ids).await,
        false => Ok(vec![None; ids.len()]),
    }
}

/// The rows with these ids that are there and weren't altered, and those that were.
pub(crate) async fn readable(
    kernel: &Kernel,
    kind: RowKind,
    ids: &[String],
) -> Result<(Vec<Arc<Row>>, Vec<RowKey>), OpError> {
    let (mut rows, mut altered) = (Vec::with_capacity(ids.len()), Vec::new());
    for some in ids.chunks(RECORDS) {
        let mut asked: Vec<RowKey> = some.iter().map(|id| RowKey { kind, id: id.clone() }).collect();
        loop {
            match kernel.store.load(&asked).await {
                Ok(snapshot) => break rows.extend(snapshot.rows.into_iter().flatten()),
                Err(StoreError::Tampered(key)) if asked.contains(&key) => {
                    asked.retain(|wanted| *wanted != key);
                    altered.push(key);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok((rows, altered))
}
