//! What falls due by a commit, told to whoever works it off.

use std::collections::BTreeMap;

use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tokio::sync::watch;

/// Wakes whoever works off a kind of deadline as soon as a commit of this process has one of it fall due: nobody else, since
/// each looks into the store.
pub(crate) struct DueNow(BTreeMap<DueKind, watch::Sender<()>>);

impl Default for DueNow {
    fn default() -> Self {
        Self(DueKind::ALL.iter().map(|kind| (*kind, watch::Sender::new(()))).collect())
    }
}

impl DueNow {
    /// Told of a commit.
    pub(crate) fn committed(&self, changeset: &Changeset) {
        for change in &changeset.due {
            if let DueChange::Set(kind, _, at) = change
                && *at <= changeset.at
                && let Some(waiting) = self.0.get(kind)
            {
                waiting.send_replace(());
            }
        }
    }

    /// Changes whenever something of a kind falls due by a commit.
    pub(crate) fn of(&self, kind: DueKind) -> Option<watch::Receiver<()>> {
        self.0.get(&kind).map(watch::Sender::subscribe)
    }
}
