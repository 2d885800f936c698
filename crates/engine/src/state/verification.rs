//! The state is held against the log without anybody asking (S-2): soon after the start, and once a day.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Map, Value};
use tenure_api::log::StateReport;
use tenure_core::finding::{Finding, FindingState, rules};
use tenure_core::people::person::Role;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::Actor;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tokio::sync::watch;

use crate::kernel::error::OpError;
use crate::kernel::notice::notify;
use crate::kernel::query::Query;
use crate::kernel::{Kernel, finding};
use crate::state::digest;
use crate::state::verify::{self, Extent};

/// A server that has just started has other things to do first.
const FIRST: Duration = Duration::from_secs(5);
const EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// Rows that get a finding of their own in one look; the event says how many there are.
const NAMED: usize = 50;

/// Holds the state against the log, and keeps a finding of each row that doesn't fit it.
///
/// # Errors
/// The store can't be read or written.
pub async fn verify_by_itself(kernel: &Kernel) -> Result<StateReport, OpError> {
    let (report, logged) = verify::check_state(kernel, Extent::SinceDigest).await?;
    let faults = u64::try_from(report.faults.len()).unwrap_or(u64::MAX).saturating_add(report.further);
    kernel.state_faults.store(faults, Ordering::Relaxed);
    kernel.state_verified_at.store(kernel.now().as_secs(), Ordering::Relaxed);
    let known = faults_on_record(kernel).await?;
    if report.faults.is_empty() {
        // The next verification goes on from here; without it, that one reads more.
        if let Err(error) = digest::write_digest(kernel, logged).await {
            tracing::warn!(%error, "the state's digest can't be written now");
        }
        if known.is_empty() {
            return Ok(report);
        }
    }
    kernel
        .decide(|| async {
            let now = kernel.now();
            let text = format!(
                "{faults} rows of the database are not what the log says of them. What rests on them is refused, as far as it is noticed where it is used.\n\
                 Look: tenure finding list --rule {}\nAll of them: tenure log verify-state",
                rules::STATE_ALTERED.id
            );
            let mut event = kernel
                .event(now, EventKind::StateVerified)
                .subject("log")
                .fact("entries", report.entries)
                .fact("rows", report.rows)
                .fact("faults", faults);
            let fresh = report
                .faults
                .iter()
                .any(|fault| !known.iter().any(|finding| finding.subject == subject_of(fault)));
            if fresh {
                event = notify(
                    event,
                    &[],
                    &[Role::Security, Role::Administrator],
                    "The database was altered outside Tenure",
                    &text,
                );
            }
            let mut changeset = Changeset::new(Actor::System { part: "verification".into() }, now, event);
            for fault in report.faults.iter().take(NAMED) {
                let fact = serde_json::to_value(fault.fault).map_err(|error| OpError::Internal(format!("a fault can't be told: {error}")))?;
                let evidence = Map::from_iter([("fault".to_owned(), fact), ("entries".to_owned(), Value::from(report.entries))]);
                finding::raise(kernel, &mut changeset, &rules::STATE_ALTERED, subject_of(fault), "", evidence, now).await?;
            }
            for finding in &known {
                if !report.faults.iter().any(|fault| finding.subject == subject_of(fault)) {
                    finding::no_longer(
                        kernel,
                        &mut changeset,
                        &[&rules::STATE_ALTERED],
                        &finding.subject,
                        "the row is what the log says",
                        now,
                    )
                    .await?;
                }
            }
            Ok((changeset, ()))
        })
        .await?;
    Ok(report)
}

async fn faults_on_record(kernel: &Kernel) -> Result<Vec<Stored<Finding>>, OpError> {
    let open = Query::of([Finding::RULE.of(rules::STATE_ALTERED.id), Finding::STATE.of(FindingState::Open)]);
    Ok(kernel.find(open).await?.readable())
}

/// Rows that didn't fit the log when it was last held against the state, and when that was, in seconds since 1970; 0:
/// not yet.
pub fn state_verified(kernel: &Kernel) -> (u64, i64) {
    (kernel.state_faults.load(Ordering::Relaxed), kernel.state_verified_at.load(Ordering::Relaxed))
}

fn subject_of(fault: &tenure_api::log::FaultyRow) -> String {
    format!("{}/{}", fault.kind, fault.id)
}

pub(crate) async fn run(engine: Arc<Kernel>, stop: watch::Receiver<bool>) {
    run_after(FIRST, engine, stop).await;
}

pub(crate) async fn run_after(first: Duration, engine: Arc<Kernel>, mut stop: watch::Receiver<bool>) {
    let mut pause = first;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        // Of a large state it takes minutes: a server that is stopped waits for none of them.
        let verified = tokio::select! {
            verified = verify_by_itself(&engine) => verified,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match verified {
            Ok(report) if report.faults.is_empty() => {
                tracing::info!(entries = report.entries, rows = report.rows, "the state is what the log says")
            }
            Ok(report) => tracing::error!(
                faults = report.faults.len(),
                "the database was altered outside Tenure: see `tenure log verify-state`"
            ),
            Err(OpError::Setup(_)) => {}
            Err(error) => tracing::warn!(%error, "the state can't be held against the log now"),
        }
        pause = EVERY;
    }
}
