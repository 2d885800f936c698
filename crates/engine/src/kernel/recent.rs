//! Pages of indexes that were used lately, as long as they fit into a bound of bytes.

use std::collections::HashMap;
use std::sync::Arc;

/// A page of a build, by number.
pub(crate) type PageKey = (u64, u32);

/// Pages in two generations: the one that is full becomes the older one.
pub(crate) struct RecentPages {
    /// Bytes of one generation at most.
    most: usize,
    bytes: usize,
    newer: HashMap<PageKey, Arc<Vec<u8>>>,
    older: HashMap<PageKey, Arc<Vec<u8>>>,
}

impl RecentPages {
    /// None yet, and never more bytes than these.
    pub(crate) fn within(bytes: usize) -> Self {
        Self { most: bytes / 2, bytes: 0, newer: HashMap::new(), older: HashMap::new() }
    }

    pub(crate) fn get(&mut self, key: PageKey) -> Option<Arc<Vec<u8>>> {
        if let Some(page) = self.newer.get(&key) {
            return Some(Arc::clone(page));
        }
        let page = self.older.remove(&key)?;
        self.put(key, Arc::clone(&page));
        Some(page)
    }

    pub(crate) fn put(&mut self, key: PageKey, page: Arc<Vec<u8>>) {
        if self.bytes >= self.most {
            self.older = std::mem::take(&mut self.newer);
            self.bytes = 0;
        }
        self.bytes += page.len();
        self.newer.insert(key, page);
    }
}
