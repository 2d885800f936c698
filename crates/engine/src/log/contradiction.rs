//! A checkpoint that somebody keeps and that the log doesn't continue (S-1).

use serde_json::{Map, Value};
use tenure_core::finding::rules;
use tenure_core::people::person::Role;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::epoch::Contradiction;
use tenure_core::store::event::Actor;
use tenure_core::store::event_kind::EventKind;
use tenure_log::Checkpoint;

use crate::kernel::error::OpError;
use crate::kernel::notice::notify;
use crate::kernel::{Kernel, epoch, finding};
use crate::log::places;

/// What is known of the log as a whole, in findings and in the log.
pub(crate) const SUBJECT: &str = "log";

/// Records that the log contradicts a kept checkpoint: from this commit on nothing is issued, and nothing that was
/// issued is good.
pub(crate) async fn contradicted_by(kernel: &Kernel, kept_at: &str, kept: &KeptNote) -> Result<(), OpError> {
    places::distrust(kernel);
    let stored = kernel.one::<Contradiction>("this").await?;
    if stored.is_some_and(|stored| stored.stands()) {
        return Ok(());
    }
    let entries = kernel.store.head().await?.size;
    kernel.decide(|| async {
            let now = kernel.now();
            let stored = kernel.one::<Contradiction>("this").await?;
            let found = Contradiction {
                kept_at: kept_at.to_owned(),
                kept: kept.note.clone(),
                kept_entries: kept.checkpoint.size,
                kept_epoch: kept.epoch,
                entries,
                found_at: now,
                ended_by: None,
            };
            let event = kernel
                .event(now, EventKind::LogContradicted)
                .subject(SUBJECT)
                .fact("workflow", "deployment.epoch")
                .fact("kept_at", kept_at)
                .fact("kept_entries", found.kept_entries)
                .fact("kept_epoch", found.kept_epoch)
                .fact("kept", &found.kept)
                .fact("entries", entries);
            let text = format!(
                "{kept_at} keeps a checkpoint of {} entries of epoch {}, which this log of {entries} in epoch {} doesn't continue: the database was put back to an earlier state, or is a fork.\n\
                 Nothing is issued, and nothing that was issued is good, until somebody who holds the root key runs `tenure restore --new-epoch`. Revocations work.",
                found.kept_entries,
                found.kept_epoch,
                epoch::epoch_number(kernel)
            );
            let event = notify(
                event,
                &[],
                &[Role::Security, Role::Administrator],
                "The log contradicts a checkpoint that is kept outside",
                &text,
            );
            let mut changeset = Changeset::new(Actor::System { part: "log".into() }, now, event);
            match &stored {
                Some(stored) => changeset.replace(stored, &found),
                None => changeset.insert(&found),
            };
            let evidence = Map::from_iter([
                ("kept_at".to_owned(), Value::from(kept_at)),
                ("kept_entries".to_owned(), Value::from(found.kept_entries)),
                ("kept_epoch".to_owned(), Value::from(found.kept_epoch)),
                ("entries".to_owned(), Value::from(entries)),
            ]);
            finding::raise(kernel, &mut changeset, &rules::LOG_CONTRADICTED, SUBJECT, "", evidence, now).await?;
            Ok((changeset, ()))
        })
        .await?;
    tracing::error!(
        kept_at,
        kept = kept.checkpoint.size,
        kept_epoch = kept.epoch,
        entries,
        "the log contradicts a checkpoint that is kept outside: nothing is issued"
    );
    Ok(())
}

/// A checkpoint of this deployment that somebody keeps; its signature was checked.
#[derive(Debug, Clone)]
pub(crate) struct KeptNote {
    pub note: String,
    pub checkpoint: Checkpoint,
    /// The epoch whose log it is of.
    pub epoch: u64,
}
