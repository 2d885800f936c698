//! Epochs (S-1): what an earlier state of the database vouches for ends when the database was put back to it, and while
//! somebody outside keeps a checkpoint that the log contradicts, nothing is issued.

use tenure_core::finding::exceptional::Access;
use tenure_core::finding::rules;
use tenure_core::inventory::environment::Environment;
use tenure_core::people::person::Role;
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::epoch::{Contradiction, Epoch, PastLog};
use tenure_core::store::event::Actor;
use tenure_core::store::event_kind::EventKind;
use tenure_core::target::system::TargetSystem;
use tenure_core::trust::signing_key::KeyUse;

use crate::kernel::deployment::Deployment;
use crate::kernel::error::OpError;
use crate::kernel::exceptional::{self, About};
use crate::kernel::notice::notify;
use crate::kernel::query::Query;
use crate::kernel::{Kernel, epoch, finding, keys};
use crate::log::contradiction::SUBJECT;
use crate::log::places::{self, KeptEpochs};
use crate::log::{reading, seal};

/// An epoch that has begun.
#[derive(Debug, Clone)]
pub struct Begun {
    /// Its number.
    pub number: u64,
    /// The log's length when it began: the next entry is its first.
    pub entries: u64,
    /// The contradiction that it ended.
    pub ended: Option<Contradiction>,
    /// The environments whose keys were changed.
    pub environments: usize,
    /// The epochs that the places which keep checkpoints knew of before.
    pub kept: KeptEpochs,
}

/// Begins an epoch (S-1): every credential, session, operator token, invitation, join token and proof of before is
/// refused, and the log, the receipts and each environment's tokens are signed with new keys. It ends the contradiction
/// that stands. Its number is one that neither the database nor any place that keeps checkpoints knows: two logs of one
/// name are what a forger makes.
///
/// # Errors
/// Set-up was not done, or the store can't be read or written.
pub async fn begin_epoch(kernel: &Kernel) -> Result<Begun, OpError> {
    // Under the old key, so that nothing of before is left to seal under the new one.
    let entries = seal::seal_now(kernel).await?;
    let kept = places::kept_epochs(kernel).await;
    let latest_kept = kept.found.iter().flat_map(|(_, epochs)| epochs).copied().max().unwrap_or(0);
    let (begun, _) = kernel
            .decide(|| async {
                let now = kernel.now();
                let deployment = kernel.must::<Deployment>("deployment", "this").await?;
                let last = kernel.one::<Epoch>("this").await?;
                let contradiction = kernel.one::<Contradiction>("this").await?.filter(|found| found.stands());
                let number = last.as_ref().map_or(0, |last| last.number).max(latest_kept) + 1;
                let epoch = Epoch {
                    number,
                    begun_at: now,
                    before: PastLog {
                        verifier_key: reading::verifier_key(kernel).await?,
                        entries,
                    },
                    ended: contradiction.as_ref().map(|found| (*found.value).clone()),
                };
                let log_key = keys::new_key(kernel, KeyUse::Log, now)?;
                let receipt_key = keys::new_key(kernel, KeyUse::Receipt, now)?;
                let renamed = Deployment {
                    log_name: deployment.name_in_epoch(number),
                    log_key: log_key.id,
                    receipt_key: receipt_key.id,
                    ..(*deployment.value).clone()
                };
                let event = kernel
                    .event(now, EventKind::DeploymentEpochBegun)
                    .subject(SUBJECT)
                    .fact("workflow", "deployment.epoch")
                    .fact("epoch", number)
                    .fact("log_name", &renamed.log_name)
                    .fact("log_key", &log_key.public)
                    .fact("receipt_key", &receipt_key.public)
                    .fact("before", &epoch.before)
                    .fact("ended", &epoch.ended);
                let event = notify(
                    event,
                    &[],
                    &[Role::Security, Role::Administrator],
                    "The database was put back: a new epoch has begun",
                    &format!(
                        "Somebody who holds the root key began epoch {number}, after {entries} entries. Everything that was issued before is refused, and keys are new.\n\
                         What was suspended, revoked, or who left after the state that was restored stands as before it: look at it, and do it again. If that was none of you, change the root key."
                    ),
                );
                let mut changeset = Changeset::new(Actor::System { part: "restore".into() }, now, event);
                changeset.insert(&log_key).insert(&receipt_key).replace(&deployment, &renamed);
                match &last {
                    Some(last) => changeset.replace(last, &epoch),
                    None => changeset.insert(&epoch),
                };
                if let Some(found) = &contradiction {
                    let ended = Contradiction {
                        ended_by: Some(number),
                        ..(*found.value).clone()
                    };
                    changeset.replace(found, &ended);
                    finding::no_longer(kernel, &mut changeset, &[&rules::LOG_CONTRADICTED], SUBJECT, "a new epoch has begun", now).await?;
                }
                let environments = new_environment_keys(kernel, &mut changeset, now).await?;
                look_through_targets(kernel, &mut changeset, now).await?;
                let about = About {
                    access: Access::EpochBegun,
                    with: number.to_string(),
                    identity: None,
                    allowed_by: None,
                    refused: None,
                };
                exceptional::exceptional(kernel, &mut changeset, about);
                let ended = epoch.ended.clone();
                Ok((
                    changeset,
                    Begun {
                        number,
                        entries,
                        ended,
                        environments,
                        kept: kept.clone(),
                    },
                ))
            })
            .await?;
    epoch::trust(kernel).await?;
    seal::seal_now(kernel).await?;
    Ok(begun)
}

/// Every target is looked through anew: it has logins that were issued in what was lost, and lets in whom was stopped
/// there since.
async fn look_through_targets(
    kernel: &Kernel,
    changeset: &mut Changeset,
    now: tenure_core::base::time::Timestamp,
) -> Result<(), OpError> {
    let mut pages = kernel.pages::<TargetSystem>(Query::every());
    while let Some(found) = pages.next().await? {
        for target in found.whole()?.iter().filter(|target| target.is_asked()) {
            changeset.due.push(DueChange::Set(DueKind::TargetScan, target.id.to_string(), now));
        }
    }
    Ok(())
}

/// Each environment signs with a new key at once, and the old ones are published no more: what they signed is refused
/// everywhere.
async fn new_environment_keys(
    kernel: &Kernel,
    changeset: &mut Changeset,
    now: tenure_core::base::time::Timestamp,
) -> Result<usize, OpError> {
    let mut changed = 0;
    let mut pages = kernel.pages::<Environment>(Query::every());
    while let Some(found) = pages.next().await? {
        // One that can't be read would go on signing with its old key.
        for stored in &found.whole()? {
            let (fresh, keys, event) = keys::next_keys(kernel, stored, now, now)?;
            let environment = Environment { keys: fresh, ..(*stored.value).clone() };
            changeset.event(event).replace(stored, &environment);
            for key in &keys {
                changeset.insert(key);
            }
            changed += 1;
        }
    }
    Ok(changed)
}
