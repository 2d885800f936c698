//! Places for connections: bounded in all and for each source, and never so full that somebody new gets none.
//!
//! When all are taken, one that proved nothing gives its place up, the oldest first: whoever comes to revoke proves who they are with their
//! first request, while a crowd of strangers only pushes itself out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::shares::{Share, Shares};

/// Connections served at once, over all listeners.
const MAX_CONNECTIONS: usize = 4_096;
/// Of these, those of one source. What a trusted proxy forwards is bounded by its requests instead.
const MAX_OF_A_SOURCE: usize = 1_024;

/// The places of a server.
#[derive(Debug, Default)]
pub struct Places {
    taken: Mutex<Taken>,
    by_source: Arc<Shares>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    /// Connections on which nobody has proven who they are, by their age.
    strangers: BTreeMap<u64, Arc<Held>>,
    /// The others.
    known: BTreeMap<u64, Arc<Held>>,
}

/// What a connection and its requests share.
#[derive(Debug, Default)]
struct Held {
    /// Whether somebody has proven who they are.
    known: AtomicBool,
    /// Requests that are being answered.
    busy: AtomicUsize,
    /// Tells the connection that its place is another's now.
    given_up: Notify,
}

/// The place of one connection; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    held: Arc<Held>,
    share: Option<Share>,
}

/// The connection that a request came over, for whoever finds out who asks.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    places: Arc<Places>,
    number: u64,
    held: Arc<Held>,
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Busy(Arc<Held>);

impl Places {
    /// A place for a connection, of a source if it is known already; `None` if the source has its share.
    pub(super) fn take(self: &Arc<Self>, source: Option<String>) -> Option<Place> {
        let held = Arc::new(Held::default());
        let mut taken = self.taken.lock();
        if taken.strangers.len() + taken.known.len() >= MAX_CONNECTIONS {
            let left = taken.strangers.pop_first().or_else(|| {
                let idle = taken
                    .known
                    .iter()
                    .find(|(_, held)| held.busy.load(Ordering::Relaxed) == 0)
                    .map(|(number, _)| *number);
                idle.and_then(|number| taken.known.remove_entry(&number))
            });
            // Nobody is idle: all are served, and whoever is new has to come again.
            left?.1.given_up.notify_one();
        }
        let number = taken.next;
        taken.next += 1;
        taken.strangers.insert(number, Arc::clone(&held));
        drop(taken);
        let mut place = Place {
            places: Arc::clone(self),
            number,
            held,
            share: None,
        };
        match source {
            Some(source) => place.belongs_to(source).then_some(place),
            None => Some(place),
        }
    }
}

impl Place {
    /// Whose connection this is, once that is known; false if they have their share already.
    #[must_use]
    pub(super) fn belongs_to(&mut self, source: String) -> bool {
        self.share = self.places.by_source.take(source, usize::MAX, MAX_OF_A_SOURCE).ok();
        self.share.is_some()
    }

    /// What its requests carry.
    pub(super) fn connection(&self) -> Connection {
        Connection {
            places: Arc::clone(&self.places),
            number: self.number,
            held: Arc::clone(&self.held),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        taken.strangers.remove(&self.number);
        taken.known.remove(&self.number);
    }
}

impl Connection {
    /// Somebody has proven who they are.
    pub(crate) fn prove(&self) {
        if self.held.known.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut taken = self.places.taken.lock();
        if let Some((number, held)) = taken.strangers.remove_entry(&self.number) {
            taken.known.insert(number, held);
        }
    }

    /// Returns when the place has to be left.
    pub(super) async fn given_up(&self) {
        self.held.given_up.notified().await;
    }

    /// Counts a request until it is answered.
    pub(super) fn busy(&self) -> Busy {
        self.held.busy.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(&self.held))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(n: usize) -> Option<String> {
        Some(format!("192.0.2.{n}"))
    }

    #[test]
    fn a06_one_source_has_its_share_and_no_more() {
        let places = Arc::new(Places::default());
        let held: Vec<_> = (0..MAX_OF_A_SOURCE).map(|_| places.take(source(1)).unwrap()).collect();
        assert!(places.take(source(1)).is_none());
        assert!(places.take(source(2)).is_some());
        drop(held);
        assert!(places.take(source(1)).is_some());
        assert!(
            places.by_source.count() == (0, 0) && places.taken.lock().strangers.is_empty(),
            "nothing of them is left"
        );
    }

    #[tokio::test]
    async fn a06_whoever_proved_nothing_makes_room_and_who_did_stays() {
        let places = Arc::new(Places::default());
        let known = places.take(source(0)).unwrap();
        known.connection().prove();
        let strangers: Vec<_> = (1..MAX_CONNECTIONS).map(|_| places.take(None).unwrap()).collect();
        let newcomer = places.take(source(0)).expect("there is always a place");
        strangers[0].connection().given_up().await;
        let waits = |place: &Place| futures_util::FutureExt::now_or_never(place.connection().given_up()).is_none();
        assert!(waits(&known) && waits(&newcomer) && waits(&strangers[1]));
        // Where everybody is known, whoever has nothing under way makes room.
        for place in strangers.iter().skip(1).chain([&newcomer]) {
            place.connection().prove();
        }
        let busy = known.connection().busy();
        let second = places.take(source(0)).expect("somebody is idle");
        strangers[1].connection().given_up().await;
        assert!(waits(&known) && waits(&second));
        drop(busy);
    }
}
