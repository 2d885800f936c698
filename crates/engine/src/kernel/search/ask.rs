//! Questions to the index of records, and their answers.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use tenure_core::base::time::Span;
use tenure_core::store::document::{Order, words};
use tenure_core::store::row::{Record, RowKey, RowKind};
use tenure_credentials::index_keys::IndexKeys;

use super::bits::Bits;
use super::document::{self, Indexed, id_of, is_read, key_at, orders, person_key, place_of};
use super::segment::{BadPage, Entry, Header, entries, postings, ranks};
use super::view::{Interrupted, SearchMemory, Segment, View, last_uses, readable, view};
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::recent::PageKey;

/// Records that changed since they were folded and are read by who asks; with more, it is answered once they are folded.
pub(crate) const READABLE: u16 = 4_096;
/// Records that are read for an order which the index doesn't hold.
const WIDEST: usize = 2_000;
/// When to ask again while the index is being made.
pub(crate) const AGAIN_AFTER: Span = Span::from_secs(5);
/// How often a question is begun again because segments were merged, or turned out to be altered, while it was asked.
const ATTEMPTS: u32 = 8;

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) kind: RowKind,
    /// Of each of these groups of terms of lists, one has to hold.
    pub(crate) filters: Vec<Vec<String>>,
    /// Text of which each word has to begin one of the record's.
    pub(crate) text: String,
    /// What the record is called, or another of its texts, whole and whatever its case.
    pub(crate) whole: Option<String>,
    pub(crate) order: Order,
    pub(crate) descending: bool,
    /// Only what comes behind this place, which an answer to the same question said.
    pub(crate) after: Option<String>,
    /// At most this many.
    pub(crate) limit: usize,
}

impl Question {
    /// Whether a record fits as it stands now.
    pub(crate) fn is_met_by<T: Record>(&self, record: &T) -> bool {
        let mut terms = record.terms().into_text();
        terms.extend(record.facets().into_text());
        let own = record.document().words();
        self.filters.iter().all(|group| group.iter().any(|term| terms.contains(term)))
            && words(&self.text).iter().all(|word| own.iter().any(|own| own.starts_with(word.as_str())))
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The ids of the records, in the order that was asked for.
    pub(crate) ids: Vec<String>,
    /// The place of each of them: whoever asks for what comes behind it names that.
    pub(crate) places: Vec<String>,
    /// The place of the last of them, if there are more.
    pub(crate) next: Option<String>,
    /// How many records fit, on whichever page.
    pub(crate) count: u64,
    /// Records that changed lately and can't be read: whether they fit, nobody can tell.
    pub(crate) unreadable: Vec<RowKey>,
}

/// Answers a question; `None` if the index is being made and it would take too long.
///
/// # Errors
/// The store can't be read, or the kind is not sorted so.
pub(crate) async fn ask(kernel: &Kernel, question: &Question) -> Result<Option<Answer>, OpError> {
    let Some(order) = orders(question.kind).iter().position(|order| *order == question.order) else {
        return Err(OpError::Internal(format!("{:?} is not sorted by {}", question.kind, question.order)));
    };
    if is_read(question.kind, question.order) {
        return ask_read(kernel, question).await;
    }
    for _ in 0..ATTEMPTS {
        let view = view(kernel, question.kind, READABLE).await?;
        if view.more_changed || !view.bad.is_empty() || view.newer {
            return Ok(None);
        }
        let after = question.after.as_deref().map(|place| key_at(question.order, place));
        match (Asking { kernel, view, question, order, after }).answer().await {
            Ok(answer) => return Ok(Some(answer)),
            Err(Interrupted::Again) => {}
            Err(Interrupted::Failed(error)) => return Err(error),
        }
    }
    Err(changed_again())
}

/// How many records have one of each of these groups of terms; `None` if the index is being made.
///
/// # Errors
/// The store can't be read.
pub(crate) async fn count(kernel: &Kernel, kind: RowKind, filters: Vec<Vec<String>>) -> Result<Option<u64>, OpError> {
    let question = Question {
        kind,
        filters,
        text: String::new(),
        whole: None,
        order: Order::Id,
        descending: false,
        after: None,
        limit: 0,
    };
    for _ in 0..ATTEMPTS {
        let view = view(kernel, kind, READABLE).await?;
        if view.more_changed || !view.bad.is_empty() || view.newer {
            return Ok(None);
        }
        let asking = Asking { kernel, view, question: &question, order: 0, after: None };
        match asking.found().await {
            Ok(found) => return Ok(Some(found.count())),
            Err(Interrupted::Again) => {}
            Err(Interrupted::Failed(error)) => return Err(error),
        }
    }
    Err(changed_again())
}

fn changed_again() -> OpError {
    OpError::Unavailable("the index of records was changed again and again while it was read".into())
}

/// The same, of records that are sorted by what the index doesn't hold.
async fn ask_read(kernel: &Kernel, question: &Question) -> Result<Option<Answer>, OpError> {
    let by_id = Question { order: Order::Id, descending: false, after: None, limit: WIDEST, ..question.clone() };
    let Some(mut answer) = Box::pin(ask(kernel, &by_id)).await? else { return Ok(None) };
    if answer.next.is_some() {
        let hint = format!("narrow it by words or filters: of more than {WIDEST} people, this order is not made");
        return Err(OpError::field("sort", "sort_too_wide", &hint));
    }
    let (rows, altered) = readable(kernel, question.kind, &answer.ids).await?;
    answer.unreadable.extend(altered);
    let mut found: Vec<(Vec<u8>, String)> = Vec::with_capacity(rows.len());
    for row in rows {
        match person_key(&row) {
            Ok(key) => found.push((key, row.key.id.clone())),
            Err(bad) => answer.unreadable.push(bad.key),
        }
    }
    // What the order is by stands in no cursor either: such a place is an id.
    if let Some(after) = &question.after {
        let (rows, _) = readable(kernel, question.kind, std::slice::from_ref(after)).await?;
        let after = rows.first().and_then(|row| person_key(row).ok()).unwrap_or_default();
        found.retain(|(key, _)| if question.descending { *key < after } else { *key > after });
    }
    found.sort_unstable();
    if question.descending {
        found.reverse();
    }
    let more = found.len() > question.limit;
    let ids: Vec<String> = found.into_iter().take(question.limit).map(|(_, id)| id).collect();
    let next = ids.last().filter(|_| more).cloned();
    Ok(Some(Answer { places: ids.clone(), ids, next, ..answer }))
}

struct Asking<'a> {
    kernel: &'a Kernel,
    view: View,
    question: &'a Question,
    /// Which of the kind's orders it is.
    order: usize,
    /// Only what comes behind this key of it.
    after: Option<Vec<u8>>,
}

/// Where answers come from, in their order: a segment, or the records that changed.
struct Source {
    segment: Option<Arc<Segment>>,
    /// The ranks that fit, in the order that was asked for.
    ranks: VecDeque<u32>,
    /// Their keys, as far as they were read.
    keys: VecDeque<Vec<u8>>,
}

/// What fits: places of segments, and documents of records that changed.
struct Fitting {
    matches: Vec<(Arc<Segment>, Bits)>,
    changed: Vec<(String, Arc<Indexed>)>,
    unreadable: Vec<RowKey>,
}

impl Fitting {
    /// How many records that is.
    fn count(&self) -> u64 {
        self.matches.iter().map(|(_, bits)| u64::from(bits.count())).sum::<u64>() + self.changed.len() as u64
    }
}

impl Asking<'_> {
    /// What fits, wherever it stands.
    async fn found(&self) -> Result<Fitting, Interrupted> {
        let memory = self.kernel.memory.of::<SearchMemory>();
        let clauses = clauses(memory.keys(self.kernel), self.question);
        let (mut changed, unreadable) = self.view.changed_documents(self.kernel).await?;
        changed.retain(|(_, document)| fits(document, &clauses));
        Ok(Fitting { matches: self.matches(&clauses).await?, changed, unreadable })
    }

    async fn answer(&self) -> Result<Answer, Interrupted> {
        let found = self.found().await?;
        let count = found.count();
        let Fitting { matches, changed, unreadable } = found;
        let mut sources = self.ranked(matches).await?;
        sources.push(self.changed_source(&changed).await?);
        let (found, more) = self.merged(sources).await?;
        let places: Vec<String> = found.iter().map(|(key, _)| place_of(self.question.order, key)).collect();
        let next = places.last().filter(|_| more).cloned();
        Ok(Answer { ids: found.into_iter().map(|(_, id)| id).collect(), places, next, count, unreadable })
    }

    /// The places of each segment that fit, but those that are dead, or of records that changed.
    async fn matches(&self, clauses: &[Vec<u64>]) -> Result<Vec<(Arc<Segment>, Bits)>, Interrupted> {
        let mut asked: BTreeSet<PageKey> = BTreeSet::new();
        for segment in &self.view.segments {
            let pages = clauses.iter().flatten().filter_map(|term| segment.header.page_of_term(*term));
            asked.extend(pages.map(|page| (segment.header.build, page)));
        }
        let asked: Vec<PageKey> = asked.into_iter().collect();
        let pages: HashMap<PageKey, Arc<Vec<u8>>> =
            asked.iter().copied().zip(self.view.pages(self.kernel, &asked).await?).collect();
        let moved: Vec<u64> = self.view.changed.iter().filter_map(|changed| changed.place).collect();
        let mut matches = Vec::with_capacity(self.view.segments.len());
        for segment in &self.view.segments {
            let header = &segment.header;
            let mut fitting: Option<Bits> = None;
            for clause in clauses {
                let mut any = Bits::none(header.places());
                for term in clause {
                    let page = header.page_of_term(*term).and_then(|page| pages.get(&(header.build, page)));
                    if let Some(page) = page {
                        let found = postings(page, *term, header.places());
                        any.add(&self.view.read(self.kernel, header.build, found).await?);
                    }
                }
                match &mut fitting {
                    Some(fitting) => fitting.keep(&any),
                    None => fitting = Some(any),
                }
            }
            let Some(mut fitting) = fitting else { continue };
            fitting.remove(&segment.dead_bits);
            let mut gone = Bits::none(header.places());
            moved.iter().filter_map(|place| header.place_of(*place)).for_each(|place| gone.set(place));
            fitting.remove(&gone);
            if fitting.count() > 0 {
                matches.push((Arc::clone(segment), fitting));
            }
        }
        Ok(matches)
    }

    /// The ranks of what fits behind where the question goes on.
    async fn ranked(&self, matches: Vec<(Arc<Segment>, Bits)>) -> Result<Vec<Source>, Interrupted> {
        let keys_page = |header: &Header| {
            let after = self.after.as_deref()?;
            header.page_of_key(self.order, after)
        };
        let mut asked: Vec<PageKey> = Vec::new();
        for (segment, _) in &matches {
            let header = &segment.header;
            asked.extend(header.pages_of_ranks(self.order).map(|page| (header.build, page)));
            asked.extend(keys_page(header).map(|(page, _)| (header.build, page)));
        }
        let mut pages = self.view.pages(self.kernel, &asked).await?.into_iter();
        let mut sources = Vec::with_capacity(matches.len());
        for (segment, places) in matches {
            let header = &segment.header;
            let of_ranks: Vec<Arc<Vec<u8>>> = pages.by_ref().take(header.pages_of_ranks(self.order).len()).collect();
            let found = ranks(header, of_ranks.iter().map(|page| page.as_slice()), &places);
            let found = self.view.read(self.kernel, header.build, found).await?;
            let bound = match (self.after.as_deref(), keys_page(header)) {
                (None, _) => None,
                // Every key is behind it.
                (Some(_), None) => Some((0, false)),
                (Some(after), Some((_, first))) => {
                    let page = pages.next().unwrap_or_default();
                    let keys = self.view.read(self.kernel, header.build, entries(&page, header.places())).await?;
                    let before = keys.iter().filter(|(key, _)| key.as_slice() < after).count();
                    let is_there = keys.iter().any(|(key, _)| key.as_slice() == after);
                    Some((first.saturating_add(u32::try_from(before).unwrap_or(u32::MAX)), is_there))
                }
            };
            let is_behind = |rank: &u32| match bound {
                None => true,
                Some((bound, _)) if self.question.descending => *rank < bound,
                Some((bound, is_there)) => *rank >= bound + u32::from(is_there),
            };
            let wanted = self.question.limit + 1;
            let ranks = match self.question.descending {
                true => found.backwards().filter(is_behind).take(wanted).collect(),
                false => found.iter().filter(is_behind).take(wanted).collect(),
            };
            sources.push(Source { segment: Some(segment), ranks, keys: VecDeque::new() });
        }
        Ok(sources)
    }

    /// The keys of the records that changed and fit.
    async fn changed_source(&self, fitting: &[(String, Arc<Indexed>)]) -> Result<Source, OpError> {
        let mut keys: Vec<Vec<u8>> = match self.question.order {
            // When they are used changes no record, so that what was read of them says nothing of it.
            Order::LastUse => {
                let ids: Vec<String> = fitting.iter().map(|(id, _)| id.clone()).collect();
                let uses = last_uses(self.kernel, self.question.kind, &ids).await?;
                ids.iter().zip(uses).map(|(id, used)| Indexed::use_key(id, used)).collect()
            }
            _ => fitting.iter().filter_map(|(_, document)| document.keys.get(self.order).cloned()).collect(),
        };
        let descending = self.question.descending;
        if let Some(after) = &self.after {
            keys.retain(|key| if descending { key < after } else { key > after });
        }
        keys.sort_unstable();
        if descending {
            keys.reverse();
        }
        Ok(Source { segment: None, ranks: VecDeque::new(), keys: keys.into() })
    }

    /// The first of all sources together, and whether there are more.
    async fn merged(&self, mut sources: Vec<Source>) -> Result<(Vec<(Vec<u8>, String)>, bool), Interrupted> {
        let limit = self.question.limit;
        // Of many sources few are asked for much.
        let ahead = (2 * limit / sources.len().max(1)).clamp(1, limit.max(1));
        let mut found: Vec<(Vec<u8>, String)> = Vec::with_capacity(limit);
        loop {
            self.fill(&mut sources, ahead).await?;
            let heads = sources.iter().enumerate().filter_map(|(n, source)| Some((source.keys.front()?, n)));
            let next = if self.question.descending { heads.max() } else { heads.min() };
            let Some(key) =
                next.map(|(_, n)| n).and_then(|n| sources.get_mut(n)).and_then(|source| source.keys.pop_front())
            else {
                return Ok((found, false));
            };
            if found.len() == limit {
                return Ok((found, true));
            }
            let Some(id) = id_of(self.question.order, &key) else { continue };
            found.push((key, id));
        }
    }

    /// Reads the next keys of the sources that have none left.
    async fn fill(&self, sources: &mut [Source], ahead: usize) -> Result<(), Interrupted> {
        let mut asked: BTreeSet<PageKey> = BTreeSet::new();
        let dry = |source: &&mut Source| source.keys.is_empty() && !source.ranks.is_empty();
        let mut wanted = Vec::new();
        for source in sources.iter_mut().filter(dry) {
            let Some(segment) = source.segment.clone() else { continue };
            let header = &segment.header;
            let some: Vec<u32> = source.ranks.drain(..ahead.min(source.ranks.len())).collect();
            let pages: Vec<(u32, u32, u32)> = some
                .iter()
                .filter_map(|rank| header.page_of_rank(self.order, *rank).map(|(page, first)| (*rank, page, first)))
                .collect();
            asked.extend(pages.iter().map(|(_, page, _)| (header.build, *page)));
            wanted.push((source, segment, pages));
        }
        if asked.is_empty() {
            return Ok(());
        }
        let asked: Vec<PageKey> = asked.into_iter().collect();
        let pages: HashMap<PageKey, Arc<Vec<u8>>> =
            asked.iter().copied().zip(self.view.pages(self.kernel, &asked).await?).collect();
        for (source, segment, ranks) in wanted {
            let header = &segment.header;
            let mut open: Option<(u32, Vec<Entry>)> = None;
            for (rank, page, first) in ranks {
                let keys = match open {
                    Some((number, keys)) if number == page => keys,
                    _ => {
                        let bytes = pages.get(&(header.build, page)).cloned().unwrap_or_default();
                        self.view.read(self.kernel, header.build, entries(&bytes, header.places())).await?
                    }
                };
                let nth = usize::try_from(rank - first).unwrap_or(usize::MAX);
                let key = keys.get(nth).map(|(key, _)| key.clone()).ok_or(BadPage);
                source.keys.push_back(self.view.read(self.kernel, header.build, key).await?);
                open = Some((page, keys));
            }
        }
        Ok(())
    }
}

/// What has to hold: of each of these groups of terms, one.
fn clauses(keys: &IndexKeys, question: &Question) -> Vec<Vec<u64>> {
    let filters = question.filters.iter().map(|group| group.iter().map(|term| document::filter(keys, term)).collect());
    let words = words(&question.text).into_iter().map(|word| vec![document::word(keys, &word)]);
    let whole = question.whole.iter().map(|text| vec![document::whole(keys, text)]);
    let mut clauses: Vec<Vec<u64>> = filters.chain(words).chain(whole).collect();
    if clauses.is_empty() {
        clauses.push(vec![document::every(keys)]);
    }
    clauses
}

fn fits(document: &Indexed, clauses: &[Vec<u64>]) -> bool {
    clauses.iter().all(|clause| clause.iter().any(|term| document.has(*term)))
}
