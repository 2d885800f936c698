//! Which deadlines a row has to have (S-2): worked out from the row alone, to hold the queue against it.
//!
//! A deadline only has its row looked at, and what is looked at early is put off again. So what does harm is one that
//! is missing, or that comes later than the row allows; one too many, or too early, does none.
//!
//! Not worked out is what takes more than the row to know: dormancy, automatic renewals, tiers, leavers, calls back and
//! the end of what nobody took. A wrong alarm that the database was altered costs more than one that is missed.

use std::sync::Arc;

use tenure_core::base::time::Timestamp;
use tenure_core::credential::receipt::Receipt;
use tenure_core::identity::Identity;
use tenure_core::identity::grant::{Grant, GrantState};
use tenure_core::identity::transfer::{Transfer, TransferState};
use tenure_core::inventory::deprecation::{Deprecation, DeprecationState};
use tenure_core::inventory::third_party::{Need, Standing};
use tenure_core::people::person::Person;
use tenure_core::people::person_grant::PersonGrant;
use tenure_core::request::break_glass::{BreakGlass, BreakGlassState};
use tenure_core::request::campaign::{Campaign, CampaignState};
use tenure_core::request::exception::{Exception, ExceptionState};
use tenure_core::request::review::{Review, ReviewState, ReviewSubject};
use tenure_core::request::{Request, RequestState};
use tenure_core::signal::removal::Removal;
use tenure_core::signal::rhythm::Rhythm;
use tenure_core::signal::{Signal, SignalState};
use tenure_core::store::due::DueKind;
use tenure_core::store::row::{BadRow, Row, RowKind};
use tenure_core::target::account::{Account, AccountState};
use tenure_core::target::drift::Drift;
use tenure_core::target::login::{Login, LoginState};
use tenure_core::target::rotation::Rotation;
use tenure_core::target::sighting::Sighting;
use tenure_core::target::system::TargetSystem;

use crate::credentials::receipts::plan as receipt;
use crate::endings::removals::plan as removal;
use crate::identities::lifecycle::{expiry, idle};
use crate::people::dates as person;

/// A deadline that a row has to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Its queue; its subject is the row's id.
    pub kind: DueKind,
    /// The latest time at which it may fall due.
    pub latest: Timestamp,
}

/// The deadlines that a row has to have at a time.
///
/// # Errors
/// The row can't be read.
pub fn wanted(row: &Arc<Row>, now: Timestamp) -> Result<Vec<Wanted>, BadRow> {
    let one = |kind, latest: Option<Timestamp>| latest.map(|latest| Wanted { kind, latest }).into_iter().collect();
    Ok(match row.key.kind {
        RowKind::Identity => of_identity(&*row.decode::<Identity>()?, now),
        RowKind::Grant => {
            // What lasts as long as its identity ends with it.
            let grant = row.decode::<Grant>()?;
            one(DueKind::Grant, (grant.state == GrantState::Live && grant.just_in_time).then_some(grant.ends_at))
        }
        RowKind::Receipt => {
            let receipt = row.decode::<Receipt>()?;
            let latest = match receipt::next(&receipt, now) {
                receipt::Next::At(at) => Some(at),
                receipt::Next::Settled => None,
            };
            one(DueKind::Receipt, latest)
        }
        RowKind::Request => {
            let request = row.decode::<Request>()?;
            let latest = match request.state {
                RequestState::Open => Some(request.lapses_at),
                RequestState::Approved => request.starts_at.filter(|start| *start > now),
                _ => None,
            };
            one(DueKind::Request, latest)
        }
        RowKind::Person => one(DueKind::Person, person::next(&*row.decode::<Person>()?)),
        RowKind::Transfer => {
            let transfer = row.decode::<Transfer>()?;
            let waits = matches!(transfer.state.get(), TransferState::Open | TransferState::Offered);
            one(DueKind::Transfer, waits.then_some(transfer.deadline))
        }
        RowKind::Exception => {
            let exception = row.decode::<Exception>()?;
            let in_force = matches!(exception.state.get(), ExceptionState::Active | ExceptionState::Breached);
            one(DueKind::Exception, exception.ends_at.filter(|_| in_force && exception.starts_at.is_some()))
        }
        RowKind::Review => {
            let review = row.decode::<Review>()?;
            // The review of a person's grant ends by the grant's own deadline; how late an answer may be, an exception
            // says.
            let waits = review.state == ReviewState::Open
                && review.campaign.is_none()
                && matches!(review.subject, ReviewSubject::Identity(_))
                && review.due_at > now;
            one(DueKind::Review, waits.then_some(review.due_at))
        }
        RowKind::PersonGrant => {
            let grant = row.decode::<PersonGrant>()?;
            one(DueKind::PersonGrant, (!grant.state.is_terminal()).then_some(grant.ends_at))
        }
        RowKind::Need => {
            let need = row.decode::<Need>()?;
            one(DueKind::Need, need.ends_at.filter(|_| need.standing == Standing::Open))
        }
        RowKind::Signal => {
            let signal = row.decode::<Signal>()?;
            one(DueKind::Signal, (signal.state == SignalState::Received).then_some(now))
        }
        RowKind::Target => one(DueKind::TargetScan, row.decode::<TargetSystem>()?.is_asked().then_some(Timestamp::MAX)),
        RowKind::Account => {
            let account = row.decode::<Account>()?;
            // One that is stopped meanwhile goes on when it is let go.
            let stands = account.state == AccountState::Standing;
            let rotates = stands && account.rotation.as_ref().is_some_and(Rotation::is_open);
            let is_open = account.open().is_some() || account.open_narrowing().is_some() || rotates;
            one(DueKind::Account, is_open.then_some(Timestamp::MAX))
        }
        RowKind::Login => {
            // What is under way is tried again without end: any time will do.
            let login = row.decode::<Login>()?;
            let latest = if login.state == LoginState::Standing { login.next() } else { Some(Timestamp::MAX) };
            one(DueKind::Login, latest.filter(|_| !login.is_over()))
        }
        RowKind::Drift => {
            let item = row.decode::<Drift>()?;
            let taken = item.is_taken_away().then_some(Timestamp::MAX);
            one(DueKind::Drift, taken.or(item.ignored_until()))
        }
        // What becomes of it when its time is over says its identity.
        RowKind::Sighting => {
            let claim_by = row.decode::<Sighting>()?.claim_by;
            one(DueKind::Sighting, (claim_by > now).then_some(claim_by))
        }
        RowKind::Campaign => {
            let campaign = row.decode::<Campaign>()?;
            let latest = match campaign.state.get() {
                CampaignState::Opening | CampaignState::Applying => Some(Timestamp::MAX),
                CampaignState::Open => Some(campaign.due_at),
                CampaignState::Waiting | CampaignState::Closed | CampaignState::Cancelled => None,
            };
            one(DueKind::Campaign, latest)
        }
        RowKind::BreakGlass => {
            let access = row.decode::<BreakGlass>()?;
            let waits = access.state == BreakGlassState::Unreviewed && access.review_by > now;
            one(DueKind::BreakGlass, waits.then_some(access.review_by))
        }
        RowKind::Deprecation => {
            let deprecation = row.decode::<Deprecation>()?;
            one(DueKind::Sunset, (deprecation.state == DeprecationState::Announced).then_some(deprecation.sunset))
        }
        RowKind::Rhythm => {
            let rhythm = row.decode::<Rhythm>()?;
            one(DueKind::Silence, rhythm.silent_since.is_none().then(|| rhythm.silent_at()))
        }
        RowKind::Removal => {
            let planned = row.decode::<Removal>()?;
            let latest = match removal::step(&planned, now) {
                removal::Step::Nothing => None,
                removal::Step::Later(at) => Some(at),
                // It waits for the end of an exception.
                removal::Step::Watch if !planned.blast.deferred.is_empty() => Some(Timestamp::MAX),
                _ => Some(now),
            };
            one(DueKind::Removal, latest)
        }
        _ => Vec::new(),
    })
}

fn of_identity(identity: &Identity, now: Timestamp) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    let mut want = |kind, latest| wanted.push(Wanted { kind, latest });
    if let (expiry::ExpiryPlan::Later(at), _) | (expiry::ExpiryPlan::Retire(_), at) = (expiry::plan(identity, now), now)
    {
        want(DueKind::IdentityExpiry, at);
    }
    // As if it were used now: it can't end later than that.
    if let expiry::ExpiryPlan::Later(at) = idle::plan(identity, Some(now), now) {
        want(DueKind::IdentityIdle, identity.deferred_until().map_or(at, |until| at.max(until)));
    }
    wanted
}
