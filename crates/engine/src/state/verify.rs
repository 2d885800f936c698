//! Holding the state against the log (S-2): every row that an event wrote must still be what that event says, and be
//! readable; what stands beside it (index, deadlines) must follow from it, and last uses must have been noted by a
//! holder of the key. So must the log's index (`log_index.rs`).
//!
//! The log is read from the newest digest on (`digest.rs`), or from its first entry where the whole of it is asked for,
//! or no digest is to be relied on. A digest is under MACs and named by the log as any other row is: one that was
//! altered, put back or deleted is found by reading on without it.

use std::ops::Range;
use std::sync::Arc;

use tenure_api::log::{FaultyRow, StateFault, StateReport};
use tenure_core::base::time::Timestamp;
use tenure_core::credential::Credential;
use tenure_core::credential::drill::Drill;
use tenure_core::credential::receipt::Receipt;
use tenure_core::finding::Finding;
use tenure_core::finding::debt::DebtTrend;
use tenure_core::finding::exceptional::ExceptionalAccess;
use tenure_core::identity::Identity;
use tenure_core::identity::binding::{Binding, JoinToken};
use tenure_core::identity::grant::Grant;
use tenure_core::identity::naming::NamingStandard;
use tenure_core::identity::scope::{Cut, Hold};
use tenure_core::identity::template::Template;
use tenure_core::identity::transfer::Transfer;
use tenure_core::inventory::application::Application;
use tenure_core::inventory::deprecation::Deprecation;
use tenure_core::inventory::environment::Environment;
use tenure_core::inventory::resource::Resource;
use tenure_core::inventory::third_party::{CloudAccount, DataDomain, Need, Vendor};
use tenure_core::people::difference::Difference;
use tenure_core::people::person::{OperatorToken, Person};
use tenure_core::people::person_grant::{Package, PersonGrant};
use tenure_core::people::sign_in::{Invitation, Passkey, Session, SignInBinding, SignInProvider};
use tenure_core::people::team::Team;
use tenure_core::people::view::SavedViews;
use tenure_core::policy::Action;
use tenure_core::policy::set::{InForce, PolicySet};
use tenure_core::request::Request;
use tenure_core::request::backchannel::Backchannel;
use tenure_core::request::break_glass::BreakGlass;
use tenure_core::request::campaign::Campaign;
use tenure_core::request::exception::Exception;
use tenure_core::request::review::Review;
use tenure_core::signal::removal::{Blasts, Removal};
use tenure_core::signal::rhythm::Rhythm;
use tenure_core::signal::{Heard, Signal, Source};
use tenure_core::store::epoch::{Contradiction, Epoch};
use tenure_core::store::event::ControlPoint;
use tenure_core::store::floor::Floor;
use tenure_core::store::idempotency::Idempotency;
use tenure_core::store::port::{ListQuery, RowSealer};
use tenure_core::store::row::{BadRow, Record, Row, RowKey, RowKind};
use tenure_core::store::state_digest::{DigestChunk, StateDigest};
use tenure_core::target::account::Account;
use tenure_core::target::drift::Drift;
use tenure_core::target::login::Login;
use tenure_core::target::sighting::Sighting;
use tenure_core::target::system::TargetSystem;
use tenure_core::trust::issuer::Issuer;
use tenure_core::trust::signing_key::SigningKey;
use tenure_credentials::row_sealer::RowMac;
use tenure_log::tile::TILE_WIDTH;
use tenure_log::{Checkpoint, Frontier, Hash, Leaf, leaf_hash};

use crate::kernel::administrators::Administrators;
use crate::kernel::authority::{inventory, owns};
use crate::kernel::caller::Caller;
use crate::kernel::deployment::Deployment;
use crate::kernel::error::OpError;
use crate::kernel::freshness::SignInSetUp;
use crate::kernel::notice::Outbox;
use crate::kernel::operation::Asked;
use crate::kernel::search::check::{self, IdSum};
use crate::kernel::{Kernel, keys};
use crate::log::{reading, seal};
use crate::state::log_index::IndexCheck;
use crate::state::said::{Merged, Said, SaidRow, SaidRows};
use crate::state::{beside, digest};

pub(crate) const PAGE: u16 = 500;
/// Faults that are named; more are counted.
const MAX_NAMED: usize = 1_000;

pub(crate) fn fault(report: &mut StateReport, key: &RowKey, fault: StateFault) {
    report_fault(report, key.kind.as_str().to_owned(), key.id.clone(), fault);
}

/// Names what is wrong first of each: what stands beside a row that was altered or is gone doesn't fit either.
pub(crate) fn report_fault(report: &mut StateReport, kind: String, id: String, fault: StateFault) {
    if report.faults.iter().any(|named| named.kind == kind && named.id == id) {
        return;
    }
    if report.faults.len() < MAX_NAMED {
        report.faults.push(FaultyRow { kind, id, fault });
    } else {
        report.further += 1;
    }
}

/// How much of the log a verification reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// What comes after the newest digest of the state.
    SinceDigest,
    /// All of it.
    Full,
}

/// The log as far as it was read.
pub(crate) struct Replay {
    /// What it says of rows.
    pub(crate) said: Said,
    /// The right edge of its tree.
    pub(crate) frontier: Frontier,
    /// Entries that are missing: what they said is not known.
    pub(crate) gap: Option<Range<u64>>,
}

/// What the log says of the state as of one entry: the next digest.
pub(crate) struct LoggedState {
    pub(crate) frontier: Frontier,
    pub(crate) rows: SaidRows,
}

/// The rows as they are compared with what the log says of them.
struct Comparison<'r> {
    report: &'r mut StateReport,
    said: Merged<'r>,
    gap: Option<Range<u64>>,
    /// What the log says of the rows that there are.
    compared: SaidRows,
    sealer: RowMac,
}

/// Replays the log and names each row that is altered, missing, rolled back, unreadable, or that no event wrote.
///
/// # Errors
/// The caller may not audit, or the store can't be read.
pub async fn verify_state(kernel: &Kernel, caller: &Caller, extent: Extent) -> Result<StateReport, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "state.verify", ""), async {
            kernel.allow(caller, Action::Audit, inventory("log", "", ""), owns(false))?;
            Ok(check_state(kernel, extent).await?.0)
        })
        .await
}

/// The same, whoever asks, and what the next digest says if nothing is wrong.
pub(crate) async fn check_state(kernel: &Kernel, extent: Extent) -> Result<(StateReport, LoggedState), OpError> {
    let mut index = IndexCheck::begin(kernel).await?;
    let (mut report, replay) = replay(kernel, extent, &mut index).await?;
    for (covered, fault) in index.end(kernel).await? {
        report_fault(&mut report, "log_index".to_owned(), covered, fault);
    }
    // What was first written before is still there when the index of records is looked at.
    let since = kernel.store.head().await?.size;
    let mut comparison = Comparison {
        report: &mut report,
        said: replay.said.merged()?,
        gap: replay.gap.clone(),
        compared: SaidRows::new(kernel.settings.scratch.clone()),
        sealer: RowMac::new(&kernel.root),
    };
    // In the order in which what the log says is sorted.
    let mut kinds = RowKind::ALL.to_vec();
    kinds.sort_unstable_by_key(|kind| kind.code());
    for kind in kinds {
        let there = comparison.kind(kernel, kind, since).await?;
        if kind.is_searched() {
            check_search(kernel, kind, since, there, comparison.report).await?;
        }
    }
    let rows = comparison.compared;
    beside::check_index(kernel, &mut report).await?;
    beside::check_last_uses(kernel, &mut report).await?;
    beside::check_use_notes(kernel, &mut report).await?;
    Ok((report, LoggedState { frontier: replay.frontier, rows }))
}

/// Reads the log as far as it is signed, and holds it against its own hashes and that signature: what was rewritten in
/// the database must not vouch for rows. What was written since is no matter of this verification.
async fn replay(kernel: &Kernel, extent: Extent, index: &mut IndexCheck) -> Result<(StateReport, Replay), OpError> {
    let mut report = StateReport::default();
    let mut replay = match extent {
        Extent::SinceDigest => digest::digested(kernel).await?.unwrap_or_else(|| Replay::new(kernel)),
        Extent::Full => Replay::new(kernel),
    };
    seal::seal_now(kernel).await?;
    let Some(signed) = signed_checkpoint(kernel).await? else {
        return Ok((report, Replay::new(kernel)));
    };
    if replay.frontier.size() > signed.size {
        // The log ends before what a digest of it was made of.
        report_log(&mut report, signed.size, StateFault::Missing);
        replay = Replay::new(kernel);
    }
    report.from = replay.frontier.size();
    report.entries = report.from;
    while report.entries < signed.size {
        let entries = kernel.store.entries(report.entries, PAGE).await?;
        let before = report.entries;
        let tiles = SealedHashes::read(kernel, before, PAGE).await?;
        for entry in entries.into_iter().filter(|entry| entry.index < signed.size) {
            if entry.index > report.entries {
                replay.lacks(&mut report, entry.index);
            }
            let hash = leaf_hash(&entry.leaf);
            match Leaf::read(&entry.leaf) {
                Ok(leaf) if tiles.agree(entry.index, &hash) => {
                    index.entry(kernel, entry.index, &leaf);
                    for row in &leaf.rows {
                        note(&mut replay.said, row)?;
                    }
                }
                _ => report_log(&mut report, entry.index, StateFault::Altered),
            }
            replay.frontier.append(hash);
            report.entries = entry.index + 1;
        }
        if report.entries == before {
            replay.lacks(&mut report, signed.size);
        }
        // Others of this thread come to their turn.
        tokio::task::yield_now().await;
    }
    if replay.gap.is_none() && replay.frontier.root() != signed.root {
        report_log(&mut report, signed.size, StateFault::Altered);
    }
    Ok((report, replay))
}

/// What the log was sealed with, tile by tile: names an entry that was altered since. Of the newest ones, which fill no
/// tile, only the root says that one was.
struct SealedHashes {
    first: u64,
    tiles: Vec<Option<Vec<u8>>>,
}

impl SealedHashes {
    async fn read(kernel: &Kernel, from: u64, n: u16) -> Result<Self, OpError> {
        let width = u64::from(TILE_WIDTH);
        let first = from / width;
        let mut tiles = Vec::new();
        for index in first..=from.saturating_add(u64::from(n)) / width {
            tiles.push(kernel.store.tile(0, index).await?);
        }
        Ok(Self { first, tiles })
    }

    fn agree(&self, index: u64, hash: &Hash) -> bool {
        let width = u64::from(TILE_WIDTH);
        let tile = usize::try_from(index / width - self.first).ok().and_then(|tile| self.tiles.get(tile));
        let Some(Some(tile)) = tile else { return true };
        let hashes: (&[Hash], &[u8]) = tile.as_chunks();
        usize::try_from(index % width).ok().and_then(|place| hashes.0.get(place)) == Some(hash)
    }
}

/// The newest checkpoint, its signature checked.
async fn signed_checkpoint(kernel: &Kernel) -> Result<Option<Checkpoint>, OpError> {
    let Some(note) = reading::checkpoint(kernel).await? else {
        return Ok(None);
    };
    let opened = Checkpoint::open(&note, &keys::checkpoint_keys(kernel).await?)
        .map_err(|error| OpError::Internal(format!("the stored checkpoint is not the log's: {error}")))?;
    Ok(Some(opened.checkpoint))
}

/// Names what is wrong with the index of a kind that is searched.
async fn check_search(
    kernel: &Kernel,
    kind: RowKind,
    since: u64,
    there: IdSum,
    report: &mut StateReport,
) -> Result<(), OpError> {
    let faults = check::check(kernel, kind, since, there).await?;
    for (from, to) in faults.altered {
        report_fault(report, "search_index".to_owned(), format!("{} {from}-{to}", kind.as_str()), StateFault::Altered);
    }
    faults.misindexed.iter().for_each(|key| fault(report, key, StateFault::Misindexed));
    faults.unindexed.iter().for_each(|key| fault(report, key, StateFault::Unindexed));
    Ok(())
}

impl Comparison<'_> {
    /// Compares the rows of a kind with what the log says of them, and returns what rows first written before `since`
    /// there are.
    async fn kind(&mut self, kernel: &Kernel, kind: RowKind, since: u64) -> Result<IdSum, OpError> {
        let mut there = IdSum::default();
        let mut after = None;
        loop {
            // Whatever stands there, and no record: a row that was altered is named, and kinds are read below.
            let page = kernel.store.page(&ListQuery { after, ..ListQuery::every(kind, PAGE) }).await?;
            let keys = || page.altered.iter().chain(page.rows.iter().map(|row| &row.key));
            self.said.reach(kind, keys())?;
            for key in &page.altered {
                self.report.rows += 1;
                fault(self.report, key, StateFault::Altered);
                self.said.take(key);
                there.add(&key.id);
            }
            for row in &page.rows {
                if row.created.index < since {
                    there.add(&row.key.id);
                }
                self.row(row)?;
            }
            let passed = self.said.passed(keys());
            self.missing(kernel, passed).await?;
            beside::check_beside(kernel, &page.rows, self.report).await?;
            tokio::task::yield_now().await;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        loop {
            let rest = self.said.rest(kind)?;
            if rest.is_empty() {
                return Ok(there);
            }
            self.missing(kernel, rest).await?;
        }
    }

    fn row(&mut self, row: &Arc<Row>) -> Result<(), OpError> {
        self.report.rows += 1;
        match self.said.take(&row.key) {
            Some((revision, _)) if row.revision < revision => fault(self.report, &row.key, StateFault::RolledBack),
            Some((revision, digest))
                if row.revision == revision && self.sealer.digest(&row.key, row.revision, &row.body) != digest =>
            {
                fault(self.report, &row.key, StateFault::Altered)
            }
            // As the log says, or written again since it was replayed.
            Some((revision, digest)) => self.compared.push(&SaidRow { key: row.key.clone(), revision, digest })?,
            None if row.key.kind == RowKind::Credential && row.revision == 1 => {}
            None if self.gap.as_ref().is_some_and(|gap| gap.contains(&row.position.index)) => {}
            None if row.position.index < self.report.entries => fault(self.report, &row.key, StateFault::Unlogged),
            None => {}
        }
        if let Err(bad) = read(row) {
            tracing::error!(row = %bad.key, why = bad.why, "a row can't be read");
            fault(self.report, &row.key, StateFault::Unreadable);
        }
        Ok(())
    }

    /// Names the rows of which the log says that they are there, and which are not.
    async fn missing(&mut self, kernel: &Kernel, said: Vec<SaidRow>) -> Result<(), OpError> {
        for row in said {
            // What was dropped at its end is not there any more, and no digest says it again.
            if Floor::may_be_dropped(&row.key) {
                continue;
            }
            // It may have been written after its kind was listed.
            let now_there = matches!(kernel.store.load(std::slice::from_ref(&row.key)).await, Ok(snapshot) if snapshot.rows.iter().any(Option::is_some));
            if now_there {
                self.compared.push(&row)?;
            } else {
                fault(self.report, &row.key, StateFault::Missing);
            }
        }
        Ok(())
    }
}

impl Replay {
    /// Nothing of it.
    pub(crate) fn new(kernel: &Kernel) -> Self {
        Self { said: Said::new(kernel.settings.scratch.clone()), frontier: Frontier::default(), gap: None }
    }

    /// Goes on at an entry, those before it being missing.
    fn lacks(&mut self, report: &mut StateReport, next: u64) {
        report_log(report, report.entries, StateFault::Missing);
        let start = self.gap.as_ref().map_or(report.entries, |gap| gap.start);
        self.gap = Some(start..next);
        report.entries = next;
    }
}

/// The log itself is not what its hashes or its signed root say, up to this entry, or lacks entries from this one on.
fn report_log(report: &mut StateReport, index: u64, fault: StateFault) {
    report_fault(report, "log_entry".to_owned(), index.to_string(), fault);
}

/// Notes what an entry, or a digest, says of a row.
pub(crate) fn note(said: &mut Said, row: &tenure_log::RowDigest) -> Result<(), OpError> {
    let Some(kind) = RowKind::named(&row.kind) else {
        return Ok(());
    };
    // A credential that was never touched after its issuance is told by its MAC alone: there are too many to keep.
    if kind == RowKind::Credential && row.revision == 1 {
        return Ok(());
    }
    said.note(&RowKey { kind, id: row.id.clone() }, row.revision, row.digest)
}

/// What a store keeps beside a row, as it follows from the row.
pub(crate) struct Derived {
    pub(crate) terms: Vec<String>,
    pub(crate) droppable_after: Option<Timestamp>,
}

/// Reads a row as the record that it holds.
pub(crate) fn read(row: &Arc<Row>) -> Result<Derived, BadRow> {
    fn of<T: Record>(row: &Arc<Row>) -> Result<Derived, BadRow> {
        let record = row.decode::<T>()?;
        Ok(Derived { terms: record.terms().into_text(), droppable_after: record.droppable_after() })
    }
    match row.key.kind {
        RowKind::Person => of::<Person>(row),
        RowKind::OperatorToken => of::<OperatorToken>(row),
        RowKind::Application => of::<Application>(row),
        RowKind::Environment => of::<Environment>(row),
        RowKind::Resource => of::<Resource>(row),
        RowKind::Issuer => of::<Issuer>(row),
        RowKind::Identity => of::<Identity>(row),
        RowKind::Binding => of::<Binding>(row),
        RowKind::Grant => of::<Grant>(row),
        RowKind::Credential => of::<Credential>(row),
        RowKind::Cut => of::<Cut>(row),
        RowKind::Hold => of::<Hold>(row),
        RowKind::Receipt => of::<Receipt>(row),
        RowKind::SigningKey => of::<SigningKey>(row),
        RowKind::JoinToken => of::<JoinToken>(row),
        RowKind::Idempotency => of::<Idempotency>(row),
        RowKind::Policy if row.key == InForce::row_key() => of::<InForce>(row),
        RowKind::Policy => of::<PolicySet>(row),
        RowKind::Deployment if row.key == SignInSetUp::row_key() => of::<SignInSetUp>(row),
        RowKind::Deployment if row.key == Administrators::row_key() => of::<Administrators>(row),
        RowKind::Deployment => of::<Deployment>(row),
        RowKind::Team => of::<Team>(row),
        RowKind::Vendor => of::<Vendor>(row),
        RowKind::CloudAccount => of::<CloudAccount>(row),
        RowKind::DataDomain => of::<DataDomain>(row),
        RowKind::Need => of::<Need>(row),
        RowKind::NamingStandard => of::<NamingStandard>(row),
        RowKind::Template => of::<Template>(row),
        RowKind::Package => of::<Package>(row),
        RowKind::Request => of::<Request>(row),
        RowKind::Exception => of::<Exception>(row),
        RowKind::Finding => of::<Finding>(row),
        RowKind::Review => of::<Review>(row),
        RowKind::Campaign => of::<Campaign>(row),
        RowKind::Transfer => of::<Transfer>(row),
        RowKind::PersonGrant => of::<PersonGrant>(row),
        RowKind::Session => of::<Session>(row),
        RowKind::Passkey => of::<Passkey>(row),
        RowKind::Invitation => of::<Invitation>(row),
        RowKind::SignInProvider => of::<SignInProvider>(row),
        RowKind::SignInBinding => of::<SignInBinding>(row),
        RowKind::Difference => of::<Difference>(row),
        RowKind::Cursor => of::<Outbox>(row),
        RowKind::Source => of::<Source>(row),
        RowKind::Signal => of::<Signal>(row),
        RowKind::Heard => of::<Heard>(row),
        RowKind::Removal => of::<Removal>(row),
        RowKind::ExceptionalAccess => of::<ExceptionalAccess>(row),
        RowKind::Backchannel => of::<Backchannel>(row),
        RowKind::Blast => of::<Blasts>(row),
        RowKind::Epoch => of::<Epoch>(row),
        RowKind::Contradiction => of::<Contradiction>(row),
        RowKind::Floor => of::<Floor>(row),
        RowKind::Target => of::<TargetSystem>(row),
        RowKind::Account => of::<Account>(row),
        RowKind::SavedViews => of::<SavedViews>(row),
        RowKind::Login => of::<Login>(row),
        RowKind::Drift => of::<Drift>(row),
        RowKind::Sighting => of::<Sighting>(row),
        RowKind::Drill => of::<Drill>(row),
        RowKind::BreakGlass => of::<BreakGlass>(row),
        RowKind::Deprecation => of::<Deprecation>(row),
        RowKind::DebtTrend => of::<DebtTrend>(row),
        RowKind::Rhythm => of::<Rhythm>(row),
        RowKind::StateDigest if row.key == StateDigest::row_key() => of::<StateDigest>(row),
        RowKind::StateDigest => of::<DigestChunk>(row),
    }
}

#[cfg(test)]
mod tests;
