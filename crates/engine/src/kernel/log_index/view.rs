//! The segments that count, as of one moment, and what none of them covers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tenure_core::store::log_index::Segment;
use tenure_core::store::port::StoreError;
use tenure_credentials::index_keys::IndexKeys;
use tenure_log::{Leaf, leaf_hash};

use crate::kernel::Kernel;
use crate::kernel::log_index::page::{Found, Header};
use crate::kernel::recent::{PageKey, RecentPages};

/// Bytes of pages that are kept in memory.
const KEPT: usize = 16 << 20;

/// What this process keeps of the index: what it has checked once is never another.
pub(crate) struct IndexMemory {
    keys: OnceLock<IndexKeys>,
    headers: Mutex<BTreeMap<u64, Arc<Header>>>,
    pages: Mutex<RecentPages>,
    /// The entries that no segment covered when somebody asked, by their numbers.
    tail: Mutex<Tail>,
    /// Builds of segments that lack a page, or hold one that is not theirs.
    suspects: Mutex<BTreeSet<u64>>,
}

/// Entries with their leaf hashes, by number.
pub(crate) type Tail = BTreeMap<u64, ([u8; 32], Arc<Leaf>)>;

impl Default for IndexMemory {
    fn default() -> Self {
        Self {
            keys: OnceLock::new(),
            headers: Mutex::default(),
            pages: Mutex::new(RecentPages::within(KEPT)),
            tail: Mutex::default(),
            suspects: Mutex::default(),
        }
    }
}

impl IndexMemory {
    /// The keys of the deployment's index.
    pub(crate) fn keys(&self, kernel: &Kernel) -> &IndexKeys {
        self.keys.get_or_init(|| IndexKeys::of_log(&kernel.root))
    }

    /// A page that was checked before.
    pub(crate) fn page(&self, key: PageKey) -> Option<Arc<Vec<u8>>> {
        self.pages.lock().get(key)
    }

    /// Keeps a page that was checked.
    pub(crate) fn keep_page(&self, key: PageKey, page: Arc<Vec<u8>>) {
        self.pages.lock().put(key, page);
    }

    /// An entry that no segment covered lately, if it is the one with this leaf hash.
    pub(crate) fn uncovered(&self, index: u64, hash: &[u8; 32]) -> Option<([u8; 32], Arc<Leaf>)> {
        self.tail.lock().get(&index).filter(|(known, _)| known == hash).cloned()
    }

    /// Keeps the entries that no segment covers now.
    pub(crate) fn keep_tail(&self, tail: &Tail) {
        *self.tail.lock() = tail.clone();
    }

    /// Notes that a segment is not to be relied on: whoever makes segments makes it again.
    pub(crate) fn suspect(&self, build: u64) {
        if self.suspects.lock().insert(build) {
            tracing::error!(build, "a segment of the log's index was altered, and is not used any more");
        }
    }

    /// The segments in this process's memory that are not to be relied on.
    fn suspects(&self) -> BTreeSet<u64> {
        self.suspects.lock().clone()
    }

    /// Forgets what isn't in the list any more.
    fn retain(&self, listed: &[Segment]) {
        let builds: BTreeSet<u64> = listed.iter().map(|segment| segment.build).collect();
        self.headers.lock().retain(|build, _| builds.contains(build));
        self.suspects.lock().retain(|build| builds.contains(build));
    }
}

/// The segments that count, as of one moment.
pub(crate) struct View {
    /// The version of the list.
    pub(crate) version: u64,
    /// How many entries the log has, at least.
    pub(crate) size: u64,
    /// The segments, in the order of their entries; no two cover the same one.
    pub(crate) segments: Vec<Arc<Header>>,
    /// What no segment covers, in order.
    pub(crate) holes: Vec<Range<u64>>,
    /// The builds of segments that are none of this log, or can't be relied on, with what they say they cover.
    pub(crate) bad: Vec<Segment>,
    /// Whether there are segments of a newer version, whose replicas run beside this one: the index is theirs.
    pub(crate) newer: bool,
    /// The builds of segments that cover what longer ones do.
    pub(crate) spare: Vec<u64>,
}

impl View {
    /// How many entries no segment covers.
    pub(crate) fn uncovered(&self) -> u64 {
        self.holes.iter().map(|hole| hole.end - hole.start).sum()
    }
}

/// Reads the list of segments; headers that are new are checked, and held against the log that they say they are of.
pub(crate) async fn view(kernel: &Kernel) -> Result<View, StoreError> {
    let memory = kernel.memory.of::<IndexMemory>();
    let keys = memory.keys(kernel);
    // As it is now: whoever reads a newer list meanwhile forgets what that has no more.
    let mut headers = memory.headers.lock().clone();
    let known: Vec<u64> = headers.keys().copied().collect();
    let list = kernel.store.segments(&known).await?;
    // Behind the list, so that no segment is of entries that are still to come.
    let size = kernel.store.head().await?.size;
    memory.retain(&list.segments);
    let mut newer = BTreeSet::new();
    let mut fresh: BTreeMap<u64, Header> = BTreeMap::new();
    for segment in &list.segments {
        match segment.header.as_deref().map(|header| Header::open(keys, header)) {
            Some(Found::Ours(header)) => drop(fresh.insert(header.build, header)),
            Some(Found::Newer) => drop(newer.insert(segment.build)),
            Some(Found::Bad) | None => {}
        }
    }
    let anchors: Vec<u64> = fresh.values().filter_map(|header| header.to.checked_sub(1)).collect();
    let anchors: HashMap<u64, [u8; 32]> = if anchors.is_empty() {
        HashMap::new()
    } else {
        kernel
            .store
            .entries_at(&anchors)
            .await?
            .into_iter()
            .map(|entry| (entry.index, leaf_hash(&entry.leaf)))
            .collect()
    };
    fresh.retain(|_, header| {
        header.from < header.to
            && header.to <= size
            && header.to.checked_sub(1).is_some_and(|last| anchors.get(&last) == Some(&header.anchor))
    });
    let fresh: Vec<_> = fresh.into_iter().map(|(build, header)| (build, Arc::new(header))).collect();
    headers.extend(fresh.iter().cloned());
    memory.headers.lock().extend(fresh);
    let suspects = memory.suspects();
    let mut view = View {
        version: list.version,
        size,
        segments: Vec::new(),
        holes: Vec::new(),
        bad: Vec::new(),
        newer: !newer.is_empty(),
        spare: Vec::new(),
    };
    let mut covered = 0;
    for segment in list.segments {
        let header = headers.get(&segment.build).filter(|header| {
            (header.from, header.to) == (segment.from, segment.to) && !suspects.contains(&segment.build)
        });
        match header {
            None if newer.contains(&segment.build) => {}
            None => view.bad.push(Segment { header: None, ..segment }),
            Some(header) if header.from < covered => view.spare.push(header.build),
            Some(header) => {
                if covered < header.from {
                    view.holes.push(covered..header.from);
                }
                covered = header.to;
                view.segments.push(Arc::clone(header));
            }
        }
    }
    if covered < size {
        view.holes.push(covered..size);
    }
    Ok(view)
}
