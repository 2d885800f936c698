//! Locks of what is changed at targets by reading it and writing it anew: whoever changes the same thing waits, and
//! nobody else does.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::{Mutex as Lock, OwnedMutexGuard};

/// Locks by the names of what is changed; one that nobody holds or waits for is forgotten.
#[derive(Default)]
pub(crate) struct Locks(Mutex<HashMap<String, Weak<Lock<()>>>>);

impl Locks {
    /// Waits until nobody else changes the thing of this name.
    pub async fn of(&self, name: &str) -> OwnedMutexGuard<()> {
        self.lock(name).lock_owned().await
    }

    fn lock(&self, name: &str) -> Arc<Lock<()>> {
        let mut locks = self.0.lock();
        if let Some(lock) = locks.get(name).and_then(Weak::upgrade) {
            return lock;
        }
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::default();
        locks.insert(name.to_owned(), Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn one_name_is_one_lock_and_no_others() {
        let locks = Locks::default();
        let held = locks.of("a").await;
        assert!(locks.of("a").now_or_never().is_none());
        let other = locks.of("b").now_or_never();
        assert!(other.is_some(), "whoever hangs at one holds up none at another");
        drop(held);
        assert!(locks.of("a").now_or_never().is_some());
        drop(other);
        drop(locks.of("c").await);
        assert_eq!(locks.0.lock().len(), 1, "what nobody holds is forgotten");
    }
}
