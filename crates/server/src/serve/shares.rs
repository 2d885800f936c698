//! What is bounded in all and for each key: a source's connections and requests, a caller's streams.
//!
//! What merely waits for its client has a turn to give up its share: when a bound is reached, the first in turn makes
//! room, of the same key if that key has all of its own. So a crowd that only waits pushes itself out, and whoever is
//! served stays.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// How many may be held, and which are.
#[derive(Debug)]
pub(crate) struct Shares {
    most: usize,
    most_of_key: usize,
    held: Mutex<Held>,
}

/// When a share is given up for another: the lowest first, of equal ones the oldest.
pub(crate) type Turn = u8;

#[derive(Debug, Default)]
struct Held {
    next: u64,
    shares: HashMap<u64, OfShare>,
    keys: HashMap<Arc<str>, OfKey>,
    in_turn: BTreeSet<(Turn, u64)>,
}

#[derive(Debug)]
struct OfShare {
    key: Option<Arc<str>>,
    turn: Option<Turn>,
    given_up: Arc<Notify>,
}

#[derive(Debug, Default)]
struct OfKey {
    count: usize,
    in_turn: BTreeSet<(Turn, u64)>,
}

/// One that is held, until it is dropped or has to be given up.
#[derive(Debug)]
pub(crate) struct Share {
    shares: Arc<Shares>,
    number: u64,
    given_up: Arc<Notify>,
}

/// The bounds that one more would break, where nobody makes room: at least one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full {
    /// Of all together.
    pub(crate) all: bool,
    /// Of this key's.
    pub(crate) of_key: bool,
}

impl Shares {
    /// Bounds in all, and for each key.
    pub(crate) fn new(most: usize, most_of_key: usize) -> Arc<Self> {
        let held = Mutex::default();
        Arc::new(Self { most, most_of_key, held })
    }

    /// One more, for a key if one is known yet. Without a turn it is held until it is dropped.
    pub(crate) fn take(self: &Arc<Self>, key: Option<&str>, turn: Option<Turn>) -> Result<Share, Full> {
        let mut held = self.held.lock();
        held.make_room(key, self.most, self.most_of_key)?;
        let number = held.next;
        held.next += 1;
        let given_up = Arc::new(Notify::new());
        let share = OfShare { key: key.map(Arc::from), turn, given_up: Arc::clone(&given_up) };
        held.add(number, share);
        drop(held);
        Ok(Share { shares: Arc::clone(self), number, given_up })
    }

    /// How many are held, by how many keys, and how many of them have a turn.
    #[cfg(test)]
    pub(crate) fn count(&self) -> (usize, usize, usize) {
        let held = self.held.lock();
        (held.shares.len(), held.keys.len(), held.in_turn.len())
    }
}

impl Held {
    /// Has the first in turn give up its share, where a bound is reached.
    fn make_room(&mut self, key: Option<&str>, most: usize, most_of_key: usize) -> Result<(), Full> {
        let of_key = key.and_then(|key| self.keys.get(key)).filter(|of_key| of_key.count >= most_of_key);
        let full = Full { all: self.shares.len() >= most, of_key: of_key.is_some() };
        let in_turn = match of_key {
            Some(of_key) => &of_key.in_turn,
            None if full.all => &self.in_turn,
            None => return Ok(()),
        };
        let (_, first) = in_turn.first().copied().ok_or(full)?;
        self.remove(first).iter().for_each(|share| share.given_up.notify_one());
        Ok(())
    }

    fn add(&mut self, number: u64, share: OfShare) {
        let in_turn = share.turn.map(|turn| (turn, number));
        self.in_turn.extend(in_turn);
        if let Some(key) = &share.key {
            let of_key = self.keys.entry(Arc::clone(key)).or_default();
            of_key.count += 1;
            of_key.in_turn.extend(in_turn);
        }
        self.shares.insert(number, share);
    }

    fn remove(&mut self, number: u64) -> Option<OfShare> {
        let share = self.shares.remove(&number)?;
        if let Some(turn) = share.turn {
            self.in_turn.remove(&(turn, number));
        }
        if let Some(key) = &share.key
            && let Some(of_key) = self.keys.get_mut(key)
        {
            of_key.count -= 1;
            if let Some(turn) = share.turn {
                of_key.in_turn.remove(&(turn, number));
            }
            if of_key.count == 0 {
                self.keys.remove(key);
            }
        }
        Some(share)
    }
}

impl Share {
    /// Gives it another turn, or none.
    pub(crate) fn turn(&self, turn: Option<Turn>) {
        let mut held = self.shares.held.lock();
        if held.shares.get(&self.number).is_some_and(|share| share.turn != turn)
            && let Some(share) = held.remove(self.number)
        {
            held.add(self.number, OfShare { turn, ..share });
        }
    }

    /// Whose it is, once that is known.
    ///
    /// # Errors
    /// They have all of theirs, and none of them makes room.
    pub(crate) fn belongs_to(&self, key: &str) -> Result<(), Full> {
        let mut held = self.shares.held.lock();
        held.make_room(Some(key), usize::MAX, self.shares.most_of_key)?;
        if let Some(share) = held.remove(self.number) {
            let key = Some(Arc::from(key));
            held.add(self.number, OfShare { key, ..share });
        }
        Ok(())
    }

    /// Whoever takes this one over ends `other` with it.
    pub(crate) fn is_of(&self, other: &Self) {
        if let Some(share) = self.shares.held.lock().shares.get_mut(&self.number) {
            share.given_up = Arc::clone(&other.given_up);
        }
    }

    /// Returns when it is another's.
    pub(crate) fn given_up(&self) -> OwnedNotified {
        Arc::clone(&self.given_up).notified_owned()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shares.held.lock().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn is_given_up(share: &Share) -> bool {
        share.given_up().now_or_never().is_some()
    }

    #[test]
    fn a06_a_full_key_makes_room_of_its_own_and_a_full_house_the_first_in_turn() {
        let shares = Shares::new(4, 2);
        let take = |key, turn| shares.take(Some(key), turn);
        let (eve, second) = (take("eve", Some(0)).unwrap(), take("eve", Some(0)).unwrap());
        let bob = take("bob", Some(0)).unwrap();
        let third = take("eve", Some(0)).expect("the oldest of her own makes room");
        assert_eq!([&eve, &second, &bob, &third].map(is_given_up), [true, false, false, false]);
        drop(eve);
        second.turn(None);
        third.turn(None);
        assert_eq!(take("eve", Some(0)).unwrap_err(), Full { all: false, of_key: true });
        let nobody = shares.take(None, Some(1)).unwrap();
        let carol = take("carol", None).expect("bob's turn is before nobody's");
        assert_eq!([&bob, &nobody, &carol].map(is_given_up), [true, false, false]);
        nobody.turn(None);
        assert_eq!(take("dave", None).unwrap_err(), Full { all: true, of_key: false });
        second.turn(Some(7));
        let dave = take("dave", None).unwrap();
        // Whose place was given up changes nothing any more.
        second.turn(Some(0));
        second.belongs_to("dave").unwrap();
        assert_eq!((is_given_up(&second), shares.count()), (true, (4, 3, 0)));
        assert_eq!(nobody.belongs_to("eve"), Ok(()));
        assert_eq!(carol.belongs_to("eve").unwrap_err(), Full { all: false, of_key: true });
        drop((second, bob, third, nobody, carol, dave));
        assert_eq!(shares.count(), (0, 0, 0), "nothing of them is left");
    }
}
