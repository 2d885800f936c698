//! Contexts in which identities were met: kept in memory until they are looked at, so that nothing waits for that. What
//! comes above the bound until then is not looked at.
//!
//! What one token does for a task is a run: of each the last action is kept for an hour, so that it is known what comes
//! directly after what. A run that several replicas decide about is several here.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;
use tenure_core::base::id::{CredentialId, IdentityId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::context::SeenContext;

use crate::kernel::Kernel;

/// Identities that are met between two looks.
const MOST: usize = 10_000;
/// Contexts of one identity between two looks.
const MOST_OF_ONE: usize = 32;
/// Runs whose last action is kept, at most 300 bytes each: three megabytes a process. Of those beyond it no order is told.
const MOST_RUNS: usize = 10_000;
/// How long the last action of a run is kept: as long as any token of minutes lives.
const RUN_KEPT: Span = Span::from_mins(60);
/// Bytes that a task and an action are cut to, there.
const MOST_TEXT: usize = 96;

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

/// What each run did last, and when.
#[derive(Default)]
pub(crate) struct Runs(Mutex<HashMap<(CredentialId, String), (String, Timestamp)>>);

impl Runs {
    /// What was done directly before, by the same token for the same task.
    fn before(&self, run: CredentialId, task: &str, action: &str, now: Timestamp) -> Option<String> {
        let mut runs = self.0.lock();
        let key = (run, clipped(task));
        if runs.len() >= MOST_RUNS && !runs.contains_key(&key) {
            return None;
        }
        runs.insert(key, (clipped(action), now)).map(|(before, _)| before)
    }

    fn forget_old(&self, now: Timestamp) {
        self.0.lock().retain(|_, (_, at)| now.since(*at) < RUN_KEPT);
    }
}

fn clipped(text: &str) -> String {
    text.get(..text.floor_char_boundary(MOST_TEXT)).unwrap_or_default().to_owned()
}

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

    /// Notes what an identity did for a task with a token; what it did directly before with the same one tells the order.
    pub(crate) fn note_deed(
        &self,
        identity: IdentityId,
        run: Option<CredentialId>,
        deed: (String, String),
        now: Timestamp,
    ) {
        let after = run.and_then(|run| self.memory.of::<Runs>().before(run, &deed.0, &deed.1, now));
        self.note_context(identity, SeenContext { task: Some(deed), after, ..SeenContext::default() }, None, now);
    }

    /// Takes what was noted.
    pub(crate) fn take_contexts(&self) -> HashMap<IdentityId, BTreeMap<SeenContext, Met>> {
        self.memory.of::<Runs>().forget_old(self.now());
        std::mem::take(&mut *self.memory.of::<Sightings>().0.lock())
    }

    /// How many runs are kept.
    #[cfg(test)]
    pub(crate) fn runs_kept(&self) -> usize {
        self.memory.of::<Runs>().0.lock().len()
    }
}
