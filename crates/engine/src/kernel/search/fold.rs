//! Makes the index of records, behind the commits and never in their way: records that changed are folded into a
//! segment, several short segments into a longer one, and what is left of a segment that is mostly dead is folded again.
//!
//! Each step looks at what there is and does one thing; what it does is decided by a pure `plan`. A step that is broken
//! off has staged pages that count for nothing. Several replicas may do the same step at once: one of them changes the
//! segments, and what the others staged is dropped with what the log's index left.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tenure_core::base::time::{Span, Timestamp};
use tenure_core::store::row::RowKind;
use tenure_core::store::search::{PlacedRecord, SearchChange, SearchSegment};
use tokio::sync::watch;

use super::document::Indexed;
use super::segment::{LONGEST, make};
use super::view::{Interrupted, SearchMemory, Segment, View, documents_of, view};
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::log_index::build_at;

/// Records that changed and are worth a segment of their own.
const SHORTEST: usize = 512;
/// Records that are folded at once.
const AT_ONCE: u16 = 4_096;
/// How many segments that are shorter than one of these lengths make a longer one.
const FANOUT: usize = 8;
/// These lengths.
const SHORT: [u32; 2] = [4_096, LONGEST / 2];
/// Pages that are staged in one commit.
const STAGED: usize = 128;
/// Records whose places are looked at in one commit.
const LOOKED_AT: u32 = 4_096;
/// For how long a dead document may keep what its record doesn't say any more, where that is about people.
const PERSONAL: Span = Span::from_days(1);
/// Between two looks.
const REST: Duration = Duration::from_secs(2);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(5);
/// Records behind which progress is worth a line.
const WORTH_TELLING: u64 = 20_000;

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    /// A segment that is of no use: its documents are folded again, and it goes.
    Replace { build: u64, from: u64, to: u64 },
    /// The records that changed.
    Fold,
    /// These segments, which follow each other.
    Merge(Vec<u64>),
    /// A segment that is mostly dead.
    Empty(u64),
    /// Nothing, until more changed.
    Rest,
}

fn plan(view: &View, now: Timestamp) -> Plan {
    if let Some(bad) = view.bad.first() {
        return Plan::Replace { build: bad.build, from: bad.from, to: bad.to };
    }
    if view.newer {
        return Plan::Rest;
    }
    let stale = stale(view, now);
    if view.changed.len() >= SHORTEST || (stale.is_some() && !view.changed.is_empty()) {
        return Plan::Fold;
    }
    if let Some(merged) = merged(view) {
        return Plan::Merge(merged);
    }
    stale.map_or(Plan::Rest, Plan::Empty)
}

/// The first segment of which too much is dead.
fn stale(view: &View, now: Timestamp) -> Option<u64> {
    let is_stale = |segment: &&Arc<Segment>| {
        let is_personal = view.kind == RowKind::Person && segment.dead > 0;
        let is_old = segment.header.build < build_at(now.minus(PERSONAL), 0);
        segment.dead.saturating_mul(2) > segment.header.documents || (is_personal && is_old)
    };
    view.segments.iter().find(is_stale).map(|segment| segment.header.build)
}

/// Segments that are merged: the first of those that are shorter than a length and follow each other, as many as fit.
fn merged(view: &View) -> Option<Vec<u64>> {
    for length in SHORT {
        let is_short = |segment: &Arc<Segment>| segment.header.places() < length;
        for group in view.segments.chunk_by(|a, b| is_short(a) == is_short(b)) {
            let Some(first) = group.first().filter(|first| group.len() >= FANOUT && is_short(first)) else { continue };
            let fits = |segment: &&Arc<Segment>| segment.header.to - first.header.from <= u64::from(LONGEST);
            let fitting: Vec<u64> = group.iter().take_while(fits).map(|segment| segment.header.build).collect();
            if fitting.len() > 1 {
                return Some(fitting);
            }
        }
    }
    None
}

/// Does the next thing that there is to do for a kind, and says how many records it read for it; `None` if there is
/// nothing until more records change.
///
/// # Errors
/// The store can't be read or written.
pub async fn fold_more(kernel: &Kernel, kind: RowKind) -> Result<Option<u64>, OpError> {
    let view = view(kernel, kind, AT_ONCE).await?;
    match plan(&view, kernel.now()) {
        Plan::Rest => Ok(None),
        Plan::Replace { build, from, to } => {
            tracing::warn!(build, kind = kind.as_str(), "a segment of the index of records is made again");
            fold_again(kernel, &view, from..to).await?;
            change(kernel, &view, view.next, Vec::new(), vec![build], Vec::new()).await?;
            Ok(Some(0))
        }
        Plan::Fold => match (fold(kernel, &view).await?, stale(&view, kernel.now())) {
            // What can't be read is folded by nobody, and holds up nothing else.
            (0, Some(build)) => empty(kernel, &view, build).await,
            (0, None) => Ok(None),
            (folded, _) => Ok(Some(folded)),
        },
        Plan::Merge(builds) => merge(kernel, &view, &builds).await.map(Some),
        Plan::Empty(build) => empty(kernel, &view, build).await,
    }
}

/// Does whatever there is to do.
///
/// # Errors
/// As [`fold_more`].
#[cfg(test)]
pub(crate) async fn fold_all(kernel: &Kernel) -> Result<(), OpError> {
    for kind in RowKind::SEARCHED {
        while fold_more(kernel, *kind).await?.is_some() {}
    }
    Ok(())
}

async fn fold(kernel: &Kernel, view: &View) -> Result<u64, OpError> {
    let ids: Vec<String> = view.changed.iter().map(|changed| changed.id.clone()).collect();
    let (documents, unreadable) = documents_of(kernel, view.kind, &ids).await?;
    let noted: HashMap<&str, u64> =
        view.changed.iter().map(|changed| (changed.id.as_str(), changed.revision)).collect();
    let count = documents.len() as u64;
    let (mut placed, mut of_places) = (Vec::with_capacity(documents.len()), Vec::with_capacity(documents.len()));
    for (place, (id, revision, document)) in (0_u32..).zip(documents) {
        // A revision that the record never had was noted by somebody else.
        let revision = noted.get(id.as_str()).map_or(revision, |noted| revision.max(*noted));
        placed.push(PlacedRecord { id, revision, place: view.next + u64::from(place) });
        of_places.push((place, document));
    }
    let mut put = killed(view, &placed);
    // Nor was there ever a record that isn't there now: it is off the list, at a place where nothing stands.
    let mut there: HashSet<&str> = unreadable.iter().map(|key| key.id.as_str()).collect();
    there.extend(placed.iter().map(|placed| placed.id.as_str()));
    let gone = view.changed.iter().filter(|changed| !there.contains(changed.id.as_str()));
    let nowhere = view.next + count;
    let gone: Vec<PlacedRecord> =
        gone.map(|gone| PlacedRecord { id: gone.id.clone(), revision: gone.revision, place: nowhere }).collect();
    let done = count + gone.len() as u64;
    if done == 0 {
        return Ok(0);
    }
    if !gone.is_empty() {
        tracing::warn!(
            kind = view.kind.as_str(),
            count = gone.len(),
            "records that aren't there were noted as changed"
        );
    }
    let next = nowhere + u64::from(!gone.is_empty());
    placed.extend(gone);
    if count > 0 {
        put.push(staged(kernel, view, view.next..nowhere, &of_places).await?);
    }
    change(kernel, view, next, put, Vec::new(), placed).await?;
    Ok(done)
}

/// The segments in which these records stood before, with one more dead document each.
fn killed(view: &View, placed: &[PlacedRecord]) -> Vec<SearchSegment> {
    let placed: HashSet<&str> = placed.iter().map(|placed| placed.id.as_str()).collect();
    let left = view.changed.iter().filter(|changed| placed.contains(changed.id.as_str()));
    let left: Vec<u64> = left.filter_map(|changed| changed.place).collect();
    let mut killed = Vec::new();
    for segment in &view.segments {
        let header = &segment.header;
        let mut bits = segment.dead_bits.clone();
        left.iter().filter_map(|place| header.place_of(*place)).for_each(|place| bits.set(place));
        if bits != segment.dead_bits {
            let (build, from, to) = (header.build, header.from, header.to);
            let (dead, dead_bits) = (bits.count(), Some(bits.write()));
            killed.push(SearchSegment { build, from, to, header: None, dead, dead_bits });
        }
    }
    killed
}

async fn merge(kernel: &Kernel, view: &View, builds: &[u64]) -> Result<u64, OpError> {
    let merged = view.segments.iter().filter(|segment| builds.contains(&segment.header.build));
    let mut live = Vec::new();
    for segment in merged.clone() {
        match view.live_documents(kernel, segment).await {
            Ok(found) => live.extend(found),
            Err(Interrupted::Again) => return Ok(0),
            Err(Interrupted::Failed(error)) => return Err(error),
        }
    }
    let (Some(first), Some(last)) = (merged.clone().next(), merged.clone().next_back()) else { return Ok(0) };
    let places = first.header.from..last.header.to;
    let ids: Vec<String> = live.iter().map(|(id, _)| id.clone()).collect();
    let (documents, altered) = documents_of(kernel, view.kind, &ids).await?;
    let mut by_id: HashMap<String, u64> = live.into_iter().collect();
    let mut documents: Vec<(u32, Indexed)> = documents
        .into_iter()
        .filter_map(|(id, _, document)| {
            let place = by_id.remove(&id)?.checked_sub(places.start)?;
            Some((u32::try_from(place).ok()?, document))
        })
        .collect();
    documents.sort_unstable_by_key(|(place, _)| *place);
    // What can't be read is no document, so that it is told of as a record that changed.
    for key in altered {
        if let Some(place) = by_id.remove(&key.id) {
            fold_again(kernel, view, place..place + 1).await?;
        }
    }
    let count = documents.len() as u64;
    let put = match documents.is_empty() {
        true => Vec::new(),
        false => vec![staged(kernel, view, places, &documents).await?],
    };
    change(kernel, view, view.next, put, builds.to_vec(), Vec::new()).await?;
    Ok(count)
}

/// Folds what is alive in a segment again, or drops it if nothing is; `None` if nothing came of it.
async fn empty(kernel: &Kernel, view: &View, build: u64) -> Result<Option<u64>, OpError> {
    let Some(segment) = view.segments.iter().find(|segment| segment.header.build == build) else { return Ok(None) };
    match view.live_documents(kernel, segment).await {
        Ok(live) if live.is_empty() => {
            change(kernel, view, view.next, Vec::new(), vec![build], Vec::new()).await?;
            Ok(Some(0))
        }
        Ok(live) => {
            fold_again(kernel, view, segment.header.from..segment.header.to).await?;
            let noted = kernel.store.search().search_state(view.kind, &[], AT_ONCE).await?.changed;
            // What stands there and isn't said to is named by a verification; to look again and again helps nobody.
            let known = |id: &str| view.changed.iter().any(|changed| changed.id == id);
            Ok(noted.iter().any(|changed| !known(&changed.id)).then_some(live.len() as u64))
        }
        Err(Interrupted::Again) => Ok(None),
        Err(Interrupted::Failed(error)) => Err(error),
    }
}

/// Stages the pages of a new segment.
async fn staged(
    kernel: &Kernel,
    view: &View,
    places: Range<u64>,
    documents: &[(u32, Indexed)],
) -> Result<SearchSegment, OpError> {
    let memory = kernel.memory.of::<SearchMemory>();
    let mut random = [0; 4];
    kernel.entropy.fill(&mut random);
    let build = build_at(kernel.now(), u32::from_be_bytes(random));
    let (from, to) = (places.start, places.end);
    let (header, pages) = make(memory.keys(kernel), view.kind, build, places, documents).await;
    for (first, pages) in (0..).step_by(STAGED).zip(pages.chunks(STAGED)) {
        kernel.store.stage_pages(build, first, pages).await?;
    }
    tracing::debug!(
        kind = view.kind.as_str(),
        documents = documents.len(),
        pages = pages.len(),
        "a segment of records"
    );
    Ok(SearchSegment { build, from, to, header: Some(header), dead: 0, dead_bits: Some(Vec::new()) })
}

/// Notes the records at these places as changed.
async fn fold_again(kernel: &Kernel, view: &View, places: Range<u64>) -> Result<(), OpError> {
    let mut after: Option<String> = None;
    loop {
        let search = kernel.store.search();
        after = search.fold_again(view.kind, places.clone(), after.as_deref(), LOOKED_AT).await?;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// Throws the index of every kind away, to be made again: notes every record as changed, whatever the index says of it, and
/// lets go of the segments that there were before. What is asked meanwhile is answered as after any other change.
pub(crate) async fn anew(kernel: &Kernel) -> Result<(), OpError> {
    for kind in RowKind::SEARCHED {
        let search = kernel.store.search();
        let before: Vec<u64> =
            search.search_state(*kind, &[], 0).await?.segments.into_iter().map(|segment| segment.build).collect();
        let mut after: Option<String> = None;
        loop {
            after = search.fold_anew(*kind, after.as_deref(), LOOKED_AT).await?;
            if after.is_none() {
                break;
            }
        }
        // Segments that were made since hold what the records said since.
        loop {
            let view = view(kernel, *kind, 0).await?;
            let there =
                view.segments.iter().map(|segment| segment.header.build).chain(view.bad.iter().map(|bad| bad.build));
            let remove: Vec<u64> = there.filter(|build| before.contains(build)).collect();
            if remove.is_empty() || change(kernel, &view, view.next, Vec::new(), remove, Vec::new()).await? {
                break;
            }
        }
    }
    Ok(())
}

/// Changes the segments, and says whether they were changed; if somebody else was first, the next look finds what they made.
async fn change(
    kernel: &Kernel,
    view: &View,
    next: u64,
    put: Vec<SearchSegment>,
    remove: Vec<u64>,
    placed: Vec<PlacedRecord>,
) -> Result<bool, OpError> {
    let change = SearchChange { kind: view.kind, version: view.version, next, put, remove, placed };
    Ok(kernel.store.search().change_search(change).await?)
}

pub(crate) async fn run(kernel: Arc<Kernel>, mut stop: watch::Receiver<bool>) {
    loop {
        let pause = tokio::select! {
            all = all(&kernel) => match all {
                Ok(()) => REST,
                Err(error) => {
                    tracing::warn!(%error, "the index of records can't be made now");
                    PAUSE
                }
            },
            _ = stop.wait_for(|stop| *stop) => return,
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Whatever there is to do for every kind, with a line about how far it has come while there is much to do.
async fn all(kernel: &Kernel) -> Result<(), OpError> {
    for kind in RowKind::SEARCHED {
        let (mut read, mut told) = (0, 0);
        while !kernel.store.is_full() {
            let Some(more) = fold_more(kernel, *kind).await? else { break };
            read += more;
            if read - told >= WORTH_TELLING {
                told = read;
                tracing::info!(kind = kind.as_str(), records = read, "records are being indexed");
            }
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}
