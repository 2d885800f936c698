//! What stands beside rows is under no MAC. It follows from them, so it is worked out again and compared (S-2).

use std::collections::BTreeSet;
use std::sync::Arc;

use tenure_api::log::{StateFault, StateReport};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::store::due::DueKind;
use tenure_core::store::port::{Deadline, IndexEntry, StoreError};
use tenure_core::store::row::{Row, RowKey, RowKind};
use tenure_log::packed::unpack_key;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::state::due::{Wanted, wanted};
use crate::state::verify::{PAGE, fault, read, report_fault};

/// How often a row that is written meanwhile is looked at again.
const ATTEMPTS: u32 = 4;
/// No worker leases anything for as long, not even one whose clock was wrong for a while.
const LONGEST_LEASE: Span = Span::from_days(1);
/// How much later than it has to a deadline may come: by what two clocks differ, or because its work was put off.
const SLACK: Span = Span::from_mins(20);
/// Terms of which v0.1 wrote others than this release does, so that a row of before, or of a replica that was still
/// running, says nothing wrong: they are held against the index only, not against the row.
const WRITTEN_OTHERWISE: [&str; 7] =
    ["uri=", "repository=", "repositories=", "identity=", "identities=", "team=", "enforces="];

/// Something that doesn't follow from its row, and the row's revision from which it should.
type Misfit = (RowKey, u64, StateFault);

/// Compares what stands beside the rows of a page.
pub(crate) async fn check_beside(kernel: &Kernel, rows: &[Arc<Row>], report: &mut StateReport) -> Result<(), OpError> {
    for (key, mut revision, mut found) in misfits(kernel, rows).await? {
        // It may have been written between the two readings: what counts is a fault of a row that stayed as it was.
        for _ in 0..ATTEMPTS {
            let snapshot = match kernel.store.load(std::slice::from_ref(&key)).await {
                // What was put back is named already.
                Err(StoreError::Tampered(_)) => break,
                read => read?,
            };
            let Some(row) = snapshot.rows.into_iter().next().flatten() else {
                break;
            };
            if row.revision == revision {
                fault(report, &key, found);
                break;
            }
            let Some(again) =
                misfits(kernel, std::slice::from_ref(&row)).await?.into_iter().find(|(_, _, again)| *again == found)
            else {
                break;
            };
            (_, revision, found) = again;
        }
    }
    Ok(())
}

async fn misfits(kernel: &Kernel, rows: &[Arc<Row>]) -> Result<Vec<Misfit>, OpError> {
    let now = kernel.now();
    let mut derived = Vec::with_capacity(rows.len());
    let mut asked = Vec::with_capacity(rows.len());
    let mut due: Vec<(&Arc<Row>, Wanted)> = Vec::new();
    for row in rows {
        // What can't be read is named already.
        let (Ok(own), Ok(deadlines)) = (read(row), wanted(row, now)) else {
            continue;
        };
        asked.push((row.key.clone(), own.terms.clone()));
        derived.push((row, own));
        due.extend(deadlines.into_iter().map(|wanted| (row, wanted)));
    }
    let columns = kernel.store.beside(&asked).await?;
    // The index has to hold what the column says, and the column what follows from the row: mostly the same terms, about
    // which the index was asked already.
    let otherwise: Vec<(RowKey, Vec<String>)> = derived
        .iter()
        .zip(&columns)
        .filter_map(|((row, own), column)| {
            let column = column.as_ref()?;
            (!same(&column.terms, &own.terms)).then(|| (row.key.clone(), column.terms.clone()))
        })
        .collect();
    let mut indexed_otherwise = match otherwise.as_slice() {
        [] => Vec::new(),
        otherwise => kernel.store.beside(otherwise).await?,
    }
    .into_iter();
    let mut misfits = Vec::new();
    for ((row, own), column) in derived.iter().zip(columns) {
        let Some(column) = column else {
            continue;
        };
        let same = same(&column.terms, &own.terms);
        let indexed = if same {
            column.indexed
        } else {
            match indexed_otherwise.next().flatten() {
                Some(beside) => beside.indexed,
                None => continue,
            }
        };
        let mut misfit = |fault| misfits.push((row.key.clone(), column.revision, fault));
        let (lacks, has_more) = match row.key.kind {
            // To v0.1 they had no terms.
            RowKind::Hold => (false, false),
            _ if same => (false, false),
            _ => differences(&column.terms, &own.terms),
        };
        if lacks || !indexed {
            misfit(StateFault::Unindexed);
        }
        if has_more {
            misfit(StateFault::Misindexed);
        }
        if column.droppable_after != own.droppable_after {
            misfit(StateFault::DropTimeAltered);
        }
    }
    let subjects: Vec<(DueKind, String)> = due.iter().map(|(row, wanted)| (wanted.kind, row.key.id.clone())).collect();
    for ((row, wanted), deadline) in due.into_iter().zip(kernel.store.deadlines(&subjects).await?) {
        if let Some(fault) = deadline_fault(wanted, deadline, now) {
            misfits.push((row.key.clone(), row.revision, fault));
        }
    }
    Ok(misfits)
}

/// Names what the index holds under a term that it doesn't bear.
pub(crate) async fn check_index(kernel: &Kernel, report: &mut StateReport) -> Result<(), OpError> {
    let mut after = IndexEntry::default();
    loop {
        tokio::task::yield_now().await;
        let entries = kernel.store.index(&after, PAGE).await?;
        for entry in entries.iter().filter(|entry| !entry.borne) {
            let id = unpack_key(&entry.id);
            match RowKind::from_code(entry.kind) {
                Some(kind) => fault(report, &RowKey { kind, id }, StateFault::Misindexed),
                None => report_fault(report, format!("kind {}", entry.kind), id, StateFault::Misindexed),
            }
        }
        match entries.into_iter().next_back() {
            Some(last) => after = last,
            None => return Ok(()),
        }
    }
}

/// Names last uses that nobody with the key has noted.
pub(crate) async fn check_last_uses(kernel: &Kernel, report: &mut StateReport) -> Result<(), OpError> {
    let mut after = Vec::new();
    loop {
        tokio::task::yield_now().await;
        let uses = kernel.store.last_uses(&after, PAGE).await?;
        for forged in uses.iter().filter(|used| !used.genuine) {
            let subject = unpack_key(&forged.subject);
            report_fault(report, "last_use".to_owned(), subject, StateFault::Altered);
        }
        match uses.into_iter().next_back() {
            Some(last) => after = last.subject,
            None => return Ok(()),
        }
    }
}

/// Names notes of use that nobody with the key has written.
pub(crate) async fn check_use_notes(kernel: &Kernel, report: &mut StateReport) -> Result<(), OpError> {
    let mut after = None;
    loop {
        tokio::task::yield_now().await;
        let notes = kernel.store.use_notes().notes_behind(after, PAGE).await?;
        for forged in notes.iter().filter(|note| note.body.is_none()) {
            report_fault(report, "use_note".to_owned(), forged.key.identity.to_string(), StateFault::Altered);
        }
        match notes.into_iter().next_back() {
            Some(last) => after = Some(last.key),
            None => return Ok(()),
        }
    }
}

/// Whether two lists hold the same terms.
fn same(one: &[String], other: &[String]) -> bool {
    one == other || one.iter().collect::<BTreeSet<_>>() == other.iter().collect::<BTreeSet<_>>()
}

/// Whether a column lacks a term of its row, and whether it has one that is none.
fn differences(column: &[String], own: &[String]) -> (bool, bool) {
    let compared = |terms: &[String]| -> BTreeSet<String> {
        let steady = |term: &&String| !WRITTEN_OTHERWISE.iter().any(|prefix| term.starts_with(prefix));
        terms.iter().filter(steady).cloned().collect()
    };
    let (column, own) = (compared(column), compared(own));
    (!own.is_subset(&column), !column.is_subset(&own))
}

fn deadline_fault(wanted: Wanted, deadline: Option<Deadline>, now: Timestamp) -> Option<StateFault> {
    let Some(deadline) = deadline else {
        return Some(StateFault::DeadlineMissing);
    };
    let leased_for_ever = deadline.leased_until.is_some_and(|until| until > now.plus(LONGEST_LEASE));
    let late = wanted.latest < Timestamp::MAX && deadline.due_at > wanted.latest.max(now).plus(SLACK);
    (leased_for_ever || late).then_some(StateFault::DeadlineLate)
}
