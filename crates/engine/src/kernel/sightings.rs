//! Contexts in which identities were met: kept in memory until they are looked at, so that nothing waits for that. What
//! comes above the bound until then is not looked at.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;
use tenure_core::base::id::IdentityId;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::context::SeenContext;

use crate::kernel::Kernel;

/// Identities that are met between two looks.
const MOST: usize = 10_000;
/// Contexts of one identity between two looks.
const MOST_OF_ONE: usize = 16;

/// How an identity was met in one context.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Met {
    pub times: u32,
    pub at: Timestamp,
    /// Since when the key is in use by which it proved itself, where it is one of its own.
    pub key_since: Option<Timestamp>,
}

/// Contexts that weren't looked at yet.
#[derive(Default)]
pub(crate) struct Sightings(Mutex<HashMap<IdentityId, BTreeMap<SeenContext, Met>>>);

impl Kernel {
    /// Notes in which context an identity was met.
    pub(crate) fn note_context(
        &self,
        identity: IdentityId,
        mut seen: SeenContext,
        key_since: Option<Timestamp>,
        now: Timestamp,
    ) {
        seen.hour = u8::try_from(now.as_secs().rem_euclid(86_400) / 3_600).ok();
        let noted = self.memory.of::<Sightings>();
        let mut sightings = noted.0.lock();
        if sightings.len() >= MOST && !sightings.contains_key(&identity) {
            return;
        }
        let contexts = sightings.entry(identity).or_default();
        let many = contexts.len() >= MOST_OF_ONE;
        match contexts.get_mut(&seen) {
            Some(met) => *met = Met { times: met.times.saturating_add(1), at: now, ..*met },
            None if many => {}
            None => drop(contexts.insert(seen, Met { times: 1, at: now, key_since })),
        }
    }

    /// Takes what was noted.
    pub(crate) fn take_contexts(&self) -> HashMap<IdentityId, BTreeMap<SeenContext, Met>> {
        std::mem::take(&mut *self.memory.of::<Sightings>().0.lock())
    }
}
