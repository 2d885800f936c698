//! Replies that live longer than a request: the event feed and the export. How many are open is bounded, and what feeds
//! tell is read and written once for all of them.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::Bytes;
use tenure_api::problem::Problem;
use tenure_core::base::problem::Reason;
use tenure_core::store::row::Position;
use tenure_engine::Kernel;
use tenure_engine::kernel::caller::Caller;
use tenure_engine::kernel::error::OpError;
use tenure_engine::log::reading;

use crate::contract::error::Failure;
use crate::serve::shares::{Full, Share, Shares};

/// Streams that are open at once.
const MAX_STREAMS: usize = 512;
/// Of these, those of one caller.
const MAX_OF_A_CALLER: usize = 16;
/// Pages that are told of changes at once.
const MAX_PAGES: usize = 1_024;
/// Events that one step of a feed takes.
const STEP: u16 = 64;
/// Of the newest events as many bytes are held for whoever comes next.
const MAX_HELD: usize = 1024 * 1024;

/// The streams that are open, and the newest events as feeds tell them.
#[derive(Debug)]
pub(crate) struct Streams {
    open: Arc<Shares>,
    pages: Arc<Shares>,
    newest: tokio::sync::Mutex<Newest>,
}

/// An event as a feed tells it: its position, and the lines of `text/event-stream`.
type Told = (u64, Bytes);

/// A run of events without a gap, up to the newest that a feed has read.
#[derive(Debug, Default)]
struct Newest {
    events: VecDeque<Told>,
    bytes: usize,
    /// The position after the last of them.
    next: u64,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            open: Shares::new(MAX_STREAMS, MAX_OF_A_CALLER),
            pages: Shares::new(MAX_PAGES, MAX_OF_A_CALLER),
            newest: tokio::sync::Mutex::default(),
        }
    }
}

impl Streams {
    /// Opens one more for a caller.
    ///
    /// # Errors
    /// Too many are open.
    pub(crate) fn open(&self, caller: &Caller) -> Result<Share, Failure> {
        let full = match self.open.take(Some(&caller.id()), None) {
            Ok(stream) => return Ok(stream),
            Err(Full { of_key: true, .. }) => format!("{MAX_OF_A_CALLER} feeds and exports of yours are open"),
            Err(_) => format!("{MAX_STREAMS} feeds and exports are open"),
        };
        Err(Failure::of(
            Problem::refusal(429, Reason::BudgetSpent)
                .detail(full)
                .hint("close one of them, or read through one feed for all"),
        ))
    }

    /// Opens one more page that is told of changes. Pages keep nobody from a feed or an export, nor these from a page.
    ///
    /// # Errors
    /// Too many are open.
    pub(crate) fn open_page(&self, caller: &Caller) -> Result<Share, Failure> {
        self.pages.take(Some(&caller.id()), None).map_err(|full| {
            let detail = match full.of_key {
                true => format!("{MAX_OF_A_CALLER} pages of yours are told of changes"),
                false => format!("{MAX_PAGES} pages are told of changes"),
            };
            let problem = Problem::refusal(429, Reason::BudgetSpent).detail(detail);
            Failure::of(problem.hint("close one of them, or read the page again"))
        })
    }

    /// The events from a position on, at most a step of them; empty if there are none yet. The caller's right to read
    /// them is checked here.
    pub(crate) async fn events_from(&self, kernel: &Kernel, caller: &Caller, from: u64) -> Result<Vec<Told>, OpError> {
        let mut newest = self.newest.lock().await;
        if let Some(held) = newest.from(from) {
            drop(newest);
            reading::may_follow(kernel, caller).await?;
            return Ok(held);
        }
        // Whoever is furthest reads for the others; whoever is far behind reads for themselves.
        let behind = from < newest.next;
        if behind {
            drop(newest);
            return read(kernel, caller, from).await;
        }
        let read = read(kernel, caller, from).await?;
        newest.follow(from, &read);
        Ok(read)
    }
}

async fn read(kernel: &Kernel, caller: &Caller, from: u64) -> Result<Vec<Told>, OpError> {
    let events = reading::events_after(kernel, caller, from.checked_sub(1).map(Position::at), STEP).await?;
    let told = events.into_iter().map(|event| {
        let index = event.position.index;
        // A feed that lacks an event is none: it ends before it.
        let data = serde_json::to_string(&event)
            .map_err(|error| OpError::Internal(format!("the event {index} can't be told: {error}")))?;
        Ok((index, Bytes::from(format!("id: {index}\nevent: {}\ndata: {data}\n\n", event.kind))))
    });
    told.collect()
}

impl Newest {
    /// What is held from a position on, if that is held.
    fn from(&self, from: u64) -> Option<Vec<Told>> {
        let first = self.events.front()?.0;
        let skip = usize::try_from(from.checked_sub(first)?).ok()?;
        let held: Vec<Told> = self.events.iter().skip(skip).take(usize::from(STEP)).cloned().collect();
        (!held.is_empty()).then_some(held)
    }

    /// Adds what was read from a position on. Whoever waits further ahead, where there is nothing yet, leads nobody.
    fn follow(&mut self, from: u64, read: &[Told]) {
        if read.is_empty() {
            return;
        }
        if from != self.next {
            self.events.clear();
            self.bytes = 0;
        }
        self.next = from;
        for (index, lines) in read {
            self.next = index.saturating_add(1);
            self.bytes += lines.len();
            self.events.push_back((*index, lines.clone()));
        }
        while self.bytes > MAX_HELD
            && let Some((_, lines)) = self.events.pop_front()
        {
            self.bytes -= lines.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(range: std::ops::Range<u64>) -> Vec<Told> {
        range.map(|n| (n, Bytes::from(n.to_string()))).collect()
    }

    #[test]
    fn a06_what_one_feed_read_is_there_for_the_others() {
        let mut newest = Newest::default();
        assert_eq!(newest.from(0), None);
        newest.follow(5, &told(5..9));
        newest.follow(9, &told(9..12));
        assert_eq!(newest.from(7).unwrap(), told(7..12));
        assert_eq!((newest.from(4), newest.from(12)), (None, None), "before and after what is held");
        newest.follow(12, &[]);
        assert_eq!(newest.from(5).unwrap(), told(5..12));
        newest.follow(u64::MAX, &[]);
        assert_eq!((newest.from(5).unwrap(), newest.next), (told(5..12), 12), "nothing was read there");
        // Whoever is further ahead leads from there.
        newest.follow(40, &told(40..41));
        assert_eq!((newest.from(5), newest.from(40).unwrap(), newest.bytes), (None, told(40..41), 2));
        newest.follow(41, &(41..44).map(|n| (n, Bytes::from(vec![0; MAX_HELD / 2]))).collect::<Vec<_>>());
        assert_eq!(newest.events.front().unwrap().0, 42, "no more is held than the bound");
    }
}
