//! Places for connections: bounded in all and for each source, and never so full that somebody new gets none.
//!
//! When all are taken, one that proved nothing gives its place up, the oldest first: whoever comes to revoke proves who
//! they are with their first request, while a crowd of strangers only pushes itself out. So it is within one source,
//! which may be many people's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::serve::shares::{Share, Shares, Turn};

/// Connections served at once, over all listeners.
const MAX_CONNECTIONS: usize = 4_096;
/// Of these, those of one source. What a trusted proxy forwards is bounded by its requests instead.
const MAX_OF_A_SOURCE: usize = 1_024;

/// Nobody has proven who they are, and nothing is under way.
const IDLE_STRANGER: Turn = 0;
/// Nobody has proven who they are.
const BUSY_STRANGER: Turn = 1;
/// Nothing is under way.
const IDLE: Turn = 2;
/// Whatever is under way waits for the client.
const WAITING: Turn = 3;

/// The places of a server.
#[derive(Debug, Clone)]
pub struct Places(Arc<Shares>);

impl Default for Places {
    fn default() -> Self {
        Self(Shares::new(MAX_CONNECTIONS, MAX_OF_A_SOURCE))
    }
}

/// The place of one connection; it is free again when this and what its requests hold of it are dropped.
#[derive(Debug, Clone)]
pub(crate) struct Connection(Arc<Held>);

/// What a connection and its requests share.
#[derive(Debug)]
struct Held {
    share: Share,
    /// Whether its peer is trusted, and carries other people's requests.
    is_forwarded: bool,
    now: Mutex<Now>,
    /// The first request came.
    asked: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Now {
    /// Whether somebody has proven who they are.
    known: bool,
    /// Requests that are being answered.
    busy: usize,
    /// Of these, those that wait for the client: a body that doesn't come, an answer that isn't read.
    waiting: usize,
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Busy {
    connection: Connection,
    waits: AtomicBool,
}

impl Places {
    /// A place for a connection: of a source if it is known already, or of a proxy which forwards; `None` if there is
    /// none.
    pub(super) fn take(&self, source: Option<&str>, is_forwarded: bool) -> Option<Connection> {
        // A proxy is known by its address, and a stranger's request over it is another's neighbour.
        let now = Now { known: is_forwarded, ..Now::default() };
        let share = self.0.take(source, now.turn()).ok()?;
        Some(Connection(Arc::new(Held { share, is_forwarded, now: Mutex::new(now), asked: Arc::default() })))
    }
}

impl Now {
    const fn turn(&self) -> Option<Turn> {
        match (self.known, self.busy) {
            (false, 0) => Some(IDLE_STRANGER),
            (false, _) => Some(BUSY_STRANGER),
            (true, 0) => Some(IDLE),
            (true, busy) if busy == self.waiting => Some(WAITING),
            (true, _) => None,
        }
    }
}

impl Connection {
    /// Whose connection this is, once that is known; false if they have their share already.
    #[must_use]
    pub(super) fn belongs_to(&self, source: &str) -> bool {
        self.0.share.belongs_to(source).is_ok()
    }

    /// Somebody has proven who they are.
    pub(crate) fn prove(&self) {
        self.change(|now| now.known = true);
    }

    /// Counts a request until its answer has been handed over.
    pub(crate) fn busy(&self) -> Busy {
        self.0.asked.notify_one();
        self.change(|now| now.busy += 1);
        Busy { connection: self.clone(), waits: AtomicBool::new(false) }
    }

    fn change(&self, change: impl FnOnce(&mut Now)) {
        let mut now = self.0.now.lock();
        let before = now.turn();
        change(&mut now);
        // Under the lock: of two changes the later one stands.
        if now.turn() != before {
            self.0.share.turn(now.turn());
        }
    }

    /// Whether it carries other people's requests.
    pub(crate) fn is_forwarded(&self) -> bool {
        self.0.is_forwarded
    }

    /// Ties a share to it: it is given up together with the whole connection, since an answer that nobody reads can be
    /// ended in no other way.
    pub(crate) fn tie(&self, share: &Share) {
        share.is_of(&self.0.share);
    }

    /// Returns when its place is another's.
    pub(super) fn given_up(&self) -> OwnedNotified {
        self.0.share.given_up()
    }

    /// Returns once the first request came.
    pub(super) fn asked(&self) -> OwnedNotified {
        Arc::clone(&self.0.asked).notified_owned()
    }
}

impl Busy {
    /// Whether it waits for its client.
    pub(super) fn waits(&self, waits: bool) {
        self.connection.change(|now| {
            let did = self.waits.swap(waits, Ordering::Relaxed);
            now.waiting = now.waiting + usize::from(waits) - usize::from(did);
        });
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.waits(false);
        self.connection.change(|now| now.busy -= 1);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn gave_up(connection: &Connection) -> bool {
        connection.given_up().now_or_never().is_some()
    }

    #[test]
    fn a06_a_full_source_makes_room_of_its_own() {
        let places = Places::default();
        let revoker = places.take(Some("192.0.2.1"), false).unwrap();
        revoker.prove();
        let strangers: Vec<_> = (1..MAX_OF_A_SOURCE).map(|_| places.take(Some("192.0.2.1"), false).unwrap()).collect();
        let other = places.take(Some("192.0.2.2"), false).unwrap();
        let late = places.take(None, false).unwrap();
        assert!(late.belongs_to("192.0.2.1"));
        assert_eq!(
            [&revoker, &strangers[0], &strangers[1], &other, &late].map(gave_up),
            [false, true, false, false, false]
        );
    }

    #[test]
    fn a06_whoever_proved_nothing_makes_room_and_who_did_stays() {
        let places = Places::default();
        let known = places.take(Some("192.0.2.0"), false).unwrap();
        known.prove();
        let proxy = places.take(None, true).unwrap();
        let strangers: Vec<_> = (2..MAX_CONNECTIONS).map(|_| places.take(None, false).unwrap()).collect();
        // A stranger who is being answered makes room after those who aren't.
        let answered = strangers[0].busy();
        let first = places.take(Some("192.0.2.0"), false).expect("there is always a place");
        assert_eq!(
            [&known, &proxy, &strangers[0], &strangers[1], &first].map(gave_up),
            [false, false, false, true, false]
        );
        // Where everybody is known, whoever has nothing under way makes room.
        for place in strangers.iter().chain([&first]) {
            place.prove();
        }
        let busy = [known.busy(), proxy.busy()];
        let second = places.take(Some("192.0.2.0"), false).expect("somebody is idle");
        assert_eq!(
            [&known, &proxy, &strangers[0], &strangers[2], &second].map(gave_up),
            [false, false, false, true, false]
        );
        drop((answered, busy));
        let third = places.take(None, false).unwrap();
        assert_eq!((gave_up(&second), gave_up(&third)), (true, false), "a stranger again, before those who are known");
    }

    #[test]
    fn a06_whose_requests_only_wait_makes_room() {
        let places = Places::default();
        let all: Vec<_> = (0..MAX_CONNECTIONS).map(|n| places.take(Some(&n.to_string()), false).unwrap()).collect();
        let busy: Vec<_> = all.iter().map(Connection::busy).collect();
        all.iter().for_each(Connection::prove);
        assert!(places.take(Some("revoker"), false).is_none(), "all of them are being answered");
        let second = all[1].busy();
        for n in [1, 2, 3] {
            busy[n].waits(true);
            busy[n].waits(true);
        }
        busy[3].waits(false);
        // Of one connection's requests one is worked on.
        assert!(places.take(Some("revoker"), false).is_some());
        assert_eq!([&all[0], &all[1], &all[2], &all[3]].map(gave_up), [false, false, true, false]);
        drop(second);
        assert!(places.take(Some("revoker"), false).is_some());
        drop(busy);
    }
}
