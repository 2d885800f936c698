//! Holding the state against the log (S-2): every row that an event wrote must still be what that event says, and be readable; what stands
//! beside it (index, deadlines) must follow from it, and last uses must have been noted by a holder of the key.

mod beside;

use std::collections::HashMap;
use std::sync::Arc;

use tenure_api::log::{FaultyRow, StateFault, StateReport};
use tenure_core::application::Application;
use tenure_core::backchannel::Backchannel;
use tenure_core::binding::{Binding, JoinToken};
use tenure_core::credential::Credential;
use tenure_core::difference::Difference;
use tenure_core::environment::Environment;
use tenure_core::epoch::{Contradiction, Epoch};
use tenure_core::event::ControlPoint;
use tenure_core::exception::Exception;
use tenure_core::exceptional::ExceptionalAccess;
use tenure_core::finding::Finding;
use tenure_core::floor::Floor;
use tenure_core::grant::Grant;
use tenure_core::identity::Identity;
use tenure_core::issuer::Issuer;
use tenure_core::naming::NamingStandard;
use tenure_core::person::{OperatorToken, Person};
use tenure_core::person_grant::{Package, PersonGrant};
use tenure_core::policy::Action;
use tenure_core::policy_set::{InForce, PolicySet};
use tenure_core::port::{ListQuery, RowSealer};
use tenure_core::receipt::Receipt;
use tenure_core::removal::{Blasts, Removal};
use tenure_core::request::Request;
use tenure_core::resource::Resource;
use tenure_core::review::Review;
use tenure_core::row::{BadRow, Record, Row, RowKey, RowKind};
use tenure_core::scope::{Cut, Hold};
use tenure_core::sign_in::{Invitation, Passkey, Session, SignInBinding, SignInProvider};
use tenure_core::signal::{Heard, Signal, Source};
use tenure_core::signing_key::SigningKey;
use tenure_core::team::Team;
use tenure_core::template::Template;
use tenure_core::third_party::{CloudAccount, DataDomain, Need, Vendor};
use tenure_core::time::Timestamp;
use tenure_core::transfer::Transfer;
use tenure_credentials::row_sealer::RowMac;
use tenure_log::{Checkpoint, Frontier, Leaf, leaf_hash};

use super::Asked;
use super::setup::Deployment;
use super::sign_in::SignInSetUp;
use crate::Engine;
use crate::caller::Caller;
use crate::error::OpError;
use crate::notice::Outbox;
use crate::questions::{inventory, owns};

const PAGE: u16 = 500;
/// Faults that are named; more are counted.
const MAX_NAMED: usize = 1_000;

fn fault(report: &mut StateReport, key: &RowKey, fault: StateFault) {
    report_fault(report, key.kind.as_str().to_owned(), key.id.clone(), fault);
}

/// Names what is wrong first of each: what stands beside a row that was altered or is gone doesn't fit either.
fn report_fault(report: &mut StateReport, kind: String, id: String, fault: StateFault) {
    if report.faults.iter().any(|named| named.kind == kind && named.id == id) {
        return;
    }
    if report.faults.len() < MAX_NAMED {
        report.faults.push(FaultyRow { kind, id, fault });
    } else {
        report.further += 1;
    }
}

/// What the log says of rows: their last revision and its digest.
type Said = HashMap<RowKey, (u64, [u8; 32])>;

impl Engine {
    /// Replays the log and names each row that is altered, missing, rolled back, unreadable, or that no event wrote.
    ///
    /// # Errors
    /// The caller may not audit, or the store can't be read.
    pub async fn verify_state(&self, caller: &Caller) -> Result<StateReport, OpError> {
        self.recorded(caller, Asked::new(ControlPoint::Administer, "state.verify", ""), async {
            self.allow(caller, Action::Audit, inventory("log", "", ""), owns(false))?;
            self.check_state().await
        })
        .await
    }

    /// The same, whoever asks.
    pub(crate) async fn check_state(&self) -> Result<StateReport, OpError> {
        let mut report = StateReport::default();
        let mut said = Said::new();
        self.replay(&mut report, &mut said).await?;
        for kind in RowKind::ALL {
            self.compare(*kind, &mut report, &mut said).await?;
        }
        // What the log named and no list showed is gone, unless it may have been dropped at its end.
        for (key, _) in said.iter().filter(|(key, _)| !Floor::may_be_dropped(key)) {
            // It may have been written after its kind was listed.
            let now_there = matches!(self.store.load(std::slice::from_ref(key)).await, Ok(snapshot) if snapshot.rows.iter().any(Option::is_some));
            if !now_there {
                fault(&mut report, key, StateFault::Missing);
            }
        }
        self.check_index(&mut report).await?;
        self.check_last_uses(&mut report).await?;
        Ok(report)
    }

    /// Reads the log from its first entry, and holds it against its own hashes and its newest signed root: what was rewritten in the
    /// database must not vouch for rows.
    async fn replay(&self, report: &mut StateReport, said: &mut Said) -> Result<(), OpError> {
        self.seal_now().await?;
        let checkpoint = self.signed_checkpoint().await?;
        let mut frontier = Frontier::new();
        loop {
            let entries = self.store.entries(report.entries, PAGE).await?;
            if entries.is_empty() {
                return Ok(());
            }
            for entry in entries {
                let hash = leaf_hash(&entry.leaf);
                match Leaf::parse(&entry.leaf) {
                    Ok(leaf) if hash == entry.hash && entry.index == report.entries => leaf.rows.into_iter().for_each(|row| note(said, row)),
                    _ => log_fault(report, report.entries),
                }
                frontier.append(hash);
                report.entries += 1;
                if checkpoint
                    .as_ref()
                    .is_some_and(|signed| signed.size == report.entries && signed.root != frontier.root())
                {
                    log_fault(report, report.entries);
                }
            }
        }
    }

    /// The newest checkpoint, its signature checked.
    async fn signed_checkpoint(&self) -> Result<Option<Checkpoint>, OpError> {
        let Some(note) = self.checkpoint().await? else { return Ok(None) };
        let opened = Checkpoint::open(&note, &self.checkpoint_keys().await?)
            .map_err(|error| OpError::Internal(format!("the stored checkpoint is not the log's: {error}")))?;
        Ok(Some(opened.checkpoint))
    }

    async fn compare(&self, kind: RowKind, report: &mut StateReport, said: &mut Said) -> Result<(), OpError> {
        let sealer = RowMac::new(&self.root);
        let mut after = None;
        loop {
            let page = self
                .store
                .page(&ListQuery {
                    kind,
                    terms: Vec::new(),
                    after,
                    limit: PAGE,
                })
                .await?;
            for key in &page.altered {
                report.rows += 1;
                fault(report, key, StateFault::Altered);
                said.remove(key);
            }
            for row in &page.rows {
                compare_row(row, report, said, &sealer);
            }
            self.check_beside(&page.rows, report).await?;
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}

/// The log itself is not what its hashes or its signed root say, up to this entry.
fn log_fault(report: &mut StateReport, index: u64) {
    report_fault(report, "log_entry".to_owned(), index.to_string(), StateFault::Altered);
}

fn note(said: &mut Said, row: tenure_log::RowDigest) {
    let Some(kind) = RowKind::ALL.iter().copied().find(|kind| kind.as_str() == row.kind) else {
        return;
    };
    // A credential that was never touched after its issuance is told by its MAC alone: there are too many to keep.
    if kind == RowKind::Credential && row.revision == 1 {
        return;
    }
    said.insert(RowKey { kind, id: row.id }, (row.revision, row.digest));
}

fn compare_row(row: &Arc<Row>, report: &mut StateReport, said: &mut Said, sealer: &RowMac) {
    report.rows += 1;
    match said.remove(&row.key) {
        Some((revision, _)) if row.revision < revision => fault(report, &row.key, StateFault::RolledBack),
        Some((revision, digest)) if row.revision == revision && sealer.digest(&row.key, row.revision, &row.body) != digest => {
            fault(report, &row.key, StateFault::Altered)
        }
        // Written again since the log was replayed.
        Some(_) => {}
        None if row.key.kind == RowKind::Credential && row.revision == 1 => {}
        None if row.position.index < report.entries => fault(report, &row.key, StateFault::Unlogged),
        None => {}
    }
    if let Err(bad) = read(row) {
        tracing::error!(row = %bad.key, why = bad.why, "a row can't be read");
        fault(report, &row.key, StateFault::Unreadable);
    }
}

/// What a store keeps beside a row, as it follows from the row.
struct Derived {
    terms: Vec<String>,
    droppable_after: Option<Timestamp>,
}

/// Reads a row as the record that it holds.
fn read(row: &Arc<Row>) -> Result<Derived, BadRow> {
    fn of<T: Record>(row: &Arc<Row>) -> Result<Derived, BadRow> {
        let record = row.decode::<T>()?;
        let mut terms = record.terms();
        terms.sort_unstable();
        terms.dedup();
        Ok(Derived {
            terms,
            droppable_after: record.droppable_after(),
        })
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
        // No release has written one.
        RowKind::Idempotency => Ok(Derived {
            terms: Vec::new(),
            droppable_after: None,
        }),
        RowKind::Policy if row.key == InForce::row_key() => of::<InForce>(row),
        RowKind::Policy => of::<PolicySet>(row),
        RowKind::Deployment if row.key == SignInSetUp::row_key() => of::<SignInSetUp>(row),
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
    }
}
