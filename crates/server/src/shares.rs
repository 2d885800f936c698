//! What is bounded in all and for each key: a source's connections and requests, a caller's streams.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// How many are held, by whom.
#[derive(Debug, Default)]
pub(crate) struct Shares(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    all: usize,
    by_key: HashMap<String, usize>,
}

/// One that is held, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    shares: Arc<Shares>,
    key: String,
}

/// The bounds that one more would break: at least one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full {
    /// Of all together.
    pub(crate) all: bool,
    /// Of this key's.
    pub(crate) of_key: bool,
}

impl Shares {
    /// One more for a key, if fewer than `most` are held in all and fewer than `most_of_key` by this key.
    pub(crate) fn take(self: &Arc<Self>, key: String, most: usize, most_of_key: usize) -> Result<Share, Full> {
        let mut held = self.0.lock();
        let full = Full {
            all: held.all >= most,
            of_key: held.by_key.get(&key).is_some_and(|count| *count >= most_of_key),
        };
        if full.all || full.of_key {
            return Err(full);
        }
        held.all += 1;
        *held.by_key.entry(key.clone()).or_default() += 1;
        drop(held);
        Ok(Share { shares: Arc::clone(self), key })
    }

    /// How many are held, and by how many keys.
    #[cfg(test)]
    pub(crate) fn count(&self) -> (usize, usize) {
        let held = self.0.lock();
        (held.all, held.by_key.len())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.shares.0.lock();
        held.all -= 1;
        if let Some(count) = held.by_key.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                held.by_key.remove(&self.key);
            }
        }
    }
}
