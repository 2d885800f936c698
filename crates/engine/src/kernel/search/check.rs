//! Holds the index against the records: each is in it once, as it stands.

use std::collections::{HashMap, HashSet};

use tenure_core::store::document::Order;
use tenure_core::store::port::ListQuery;
use tenure_core::store::row::{RowKey, RowKind};

use super::document::{Indexed, id_of, orders};
use super::segment::{entries, every_posting, every_rank};
use super::view::{Interrupted, RECORDS, SearchMemory, Segment, View, readable, view};
use crate::kernel::Kernel;
use crate::kernel::error::OpError;

/// Records that changed and are looked at; while there are more, nothing is held against what is being made.
const CHANGED: u16 = u16::MAX;

/// What records there are, whatever their order: compared with those that the index has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct IdSum(u128);

impl IdSum {
    pub(crate) fn add(&mut self, id: &str) {
        // What is guarded against is one record in the place of another; ids are chosen by nobody but us.
        let mix = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        let sum = |seed: u64| id.bytes().fold(seed, mix);
        self.0 = self.0.wrapping_add((u128::from(sum(1)) << 64) | u128::from(sum(2)));
    }
}

/// What is wrong with the index of a kind.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct IndexFaults {
    /// Segments that are not what they were when they were made, by the first of their places and the one behind the
    /// last.
    pub(crate) altered: Vec<(u64, u64)>,
    /// Records whose document doesn't say what they do.
    pub(crate) misindexed: Vec<RowKey>,
    /// Records that are in no segment, and not among those that changed.
    pub(crate) unindexed: Vec<RowKey>,
}

/// Holds the index of a kind against its records. These are what was first written before the entry `since`, by what
/// whoever read all of them says of them.
///
/// # Errors
/// The store can't be read.
pub(crate) async fn check(kernel: &Kernel, kind: RowKind, since: u64, there: IdSum) -> Result<IndexFaults, OpError> {
    // What is written from here on may not be in the view as it stands.
    let head = kernel.store.head().await?.size;
    let view = view(kernel, kind, CHANGED).await?;
    let mut check = Check { kernel, view, head, since, found: IdSum::default(), faults: IndexFaults::default() };
    check.faults.altered.extend(check.view.bad.iter().map(|bad| (bad.from, bad.to)));
    if check.view.more_changed || check.view.newer {
        return Ok(check.faults);
    }
    let changed: Vec<String> = check.view.changed.iter().map(|changed| changed.id.clone()).collect();
    check.records(&changed, &HashMap::new()).await?;
    for segment in check.view.segments.clone() {
        match check.segment(&segment).await {
            Ok(()) => {}
            Err(Interrupted::Again) => check.faults.altered.push((segment.header.from, segment.header.to)),
            Err(Interrupted::Failed(error)) => return Err(error),
        }
    }
    if check.found != there && check.faults.altered.is_empty() {
        check.missing().await?;
    }
    Ok(check.faults)
}

struct Check<'k> {
    kernel: &'k Kernel,
    view: View,
    head: u64,
    since: u64,
    found: IdSum,
    faults: IndexFaults,
}

/// What a segment says of a record.
struct Said {
    terms: Vec<u64>,
    keys: Vec<Vec<u8>>,
}

impl Check<'_> {
    /// Reads records that the index has, and holds them against what a segment says of them.
    async fn records(&mut self, ids: &[String], said: &HashMap<String, Said>) -> Result<(), OpError> {
        let memory = self.kernel.memory.of::<SearchMemory>();
        let keys = memory.keys(self.kernel);
        let by_use = orders(self.view.kind).iter().position(|order| *order == Order::LastUse);
        for some in ids.chunks(RECORDS) {
            let (rows, altered) = readable(self.kernel, self.view.kind, some).await?;
            // What was altered is named as a row; where it was first written, nobody can tell.
            altered.iter().for_each(|key| self.found.add(&key.id));
            for row in rows {
                if row.created.index < self.since {
                    self.found.add(&row.key.id);
                }
                let Some(said) = said.get(&row.key.id).filter(|_| row.position.index < self.head) else { continue };
                let Ok(Some(mut own)) = Indexed::of_row(keys, &row, None) else { continue };
                // A use moves a record within a day.
                if let Some((own, said)) = by_use.and_then(|n| Some((own.keys.get_mut(n)?, said.keys.get(n)?))) {
                    own.clone_from(said);
                }
                if own.terms != said.terms || own.keys != said.keys {
                    self.faults.misindexed.push(row.key.clone());
                }
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn segment(&mut self, segment: &Segment) -> Result<(), Interrupted> {
        let header = &segment.header;
        let places = header.places() as usize;
        let mut said: Vec<Said> = (0..places).map(|_| Said { terms: Vec::new(), keys: Vec::new() }).collect();
        for page in self.view.pages_in(self.kernel, header.build, header.pages_of_terms()).await? {
            let postings = every_posting(&page, header.places());
            for (term, of_term) in self.view.read(self.kernel, header.build, postings).await? {
                for place in of_term.iter() {
                    said.get_mut(place as usize).into_iter().for_each(|said| said.terms.push(term));
                }
            }
        }
        let mut ids: Vec<(String, usize)> = Vec::new();
        for (order, of) in orders(self.view.kind).into_iter().enumerate() {
            let mut keys: Vec<(Vec<u8>, u32)> = Vec::with_capacity(header.documents as usize);
            for page in self.view.pages_in(self.kernel, header.build, header.pages_of_order(order)).await? {
                keys.extend(self.view.read(self.kernel, header.build, entries(&page, header.places())).await?);
            }
            let pages = self.view.pages_in(self.kernel, header.build, header.pages_of_ranks(order)).await?;
            let ranks = every_rank(pages.iter().map(|page| page.as_slice()));
            let in_order = keys.windows(2).all(|pair| matches!(pair, [(a, _), (b, _)] if a < b));
            let at_rank = |(rank, (_, place)): (usize, &(Vec<u8>, u32))| {
                ranks.get(*place as usize).is_some_and(|found| usize::from(*found) == rank)
            };
            let is_whole = keys.len() == header.documents as usize;
            if !in_order || !is_whole || !keys.iter().enumerate().all(at_rank) {
                return Err(self.view.doubt(self.kernel, header.build).await);
            }
            for (key, place) in keys {
                if of == Order::Id {
                    ids.extend(id_of(of, &key).map(|id| (id, place as usize)));
                }
                said.get_mut(place as usize).into_iter().for_each(|said| said.keys.push(key.clone()));
            }
        }
        let moved: HashSet<u64> = self.view.changed.iter().filter_map(|changed| changed.place).collect();
        let is_live = |place: usize| {
            let at = u32::try_from(place).unwrap_or(u32::MAX);
            !segment.dead_bits.has(at) && !moved.contains(&(header.from + place as u64))
        };
        let mut of_ids = HashMap::with_capacity(ids.len());
        for (id, place) in ids.into_iter().filter(|(_, place)| is_live(*place)) {
            if let Some(said) = said.get_mut(place) {
                let (terms, keys) = (std::mem::take(&mut said.terms), std::mem::take(&mut said.keys));
                of_ids.insert(id, Said { terms, keys });
            }
        }
        let ids: Vec<String> = of_ids.keys().cloned().collect();
        Ok(self.records(&ids, &of_ids).await?)
    }

    /// Names the records that the index lacks, or has twice.
    async fn missing(&mut self) -> Result<(), OpError> {
        let mut times: HashMap<String, u32> = HashMap::new();
        self.view.changed.iter().for_each(|changed| *times.entry(changed.id.clone()).or_default() += 1);
        let moved: HashSet<u64> = self.view.changed.iter().filter_map(|changed| changed.place).collect();
        for segment in &self.view.segments {
            let Ok(live) = self.view.live_documents(self.kernel, segment).await else { continue };
            for (id, _) in live.into_iter().filter(|(_, place)| !moved.contains(place)) {
                *times.entry(id).or_default() += 1;
            }
        }
        let mut after = None;
        loop {
            let query = ListQuery { after, ..ListQuery::every(self.view.kind, 1_000) };
            let page = self.kernel.store.page(&query).await?;
            for row in page.rows.iter().filter(|row| row.created.index < self.since) {
                match times.get(&row.key.id) {
                    Some(1) => {}
                    Some(_) => self.faults.misindexed.push(row.key.clone()),
                    None => self.faults.unindexed.push(row.key.clone()),
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}
