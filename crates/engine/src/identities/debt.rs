//! Debt: counted each night, told with its trend (R105, R112).

use tenure_api::findings::{Debt, DebtView};
use tenure_core::finding::debt::{DebtDay, DebtTrend};
use tenure_core::finding::{Finding, FindingState};
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::request::exception::{Exception, ExceptionState};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Record;

use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::query::Query;
use crate::kernel::work::system;
use crate::kernel::{Kernel, authority};

/// Records of one answer, and answers, that are counted at most.
const ROWS: u16 = 1_000;
const PAGES: usize = 10;

/// What is owed now, and whether there is more than was counted.
pub(crate) async fn counted(kernel: &Kernel) -> Result<(Debt, bool), OpError> {
    let mut debt = Debt::default();
    let mut capped = false;
    for state in [IdentityState::Active, IdentityState::Suspended] {
        let shared = Query::of([Identity::SHARED.of("true"), Identity::STATE.of(state)]);
        capped |= each(kernel, shared, &mut |_: &Identity| debt.shared_identities += 1).await?;
    }
    for state in [ExceptionState::Active, ExceptionState::Breached] {
        let mut count = |exception: &Exception| {
            debt.exceptions += 1;
            debt.renewed_exceptions += u64::from(exception.renewals > 0);
            debt.breached_exceptions += u64::from(exception.state == ExceptionState::Breached);
        };
        capped |= each(kernel, Query::of([Exception::STATE.of(state)]), &mut count).await?;
    }
    let found = Query::of([Identity::STATE.of(IdentityState::Discovered)]);
    let mut count = |identity: &Identity| debt.unowned += u64::from(identity.charter.owner.is_none());
    capped |= each(kernel, found, &mut count).await?;
    Ok((debt, capped))
}

/// Looks at up to ten thousand records that a query finds; true if there are more.
pub(crate) async fn each<T: Record>(
    kernel: &Kernel,
    query: Query<T>,
    look: &mut (dyn FnMut(&T) + Send),
) -> Result<bool, OpError> {
    let mut pages = kernel.pages(query.limit(ROWS));
    for _ in 0..PAGES {
        let Some(found) = pages.next().await? else { break };
        found.readable().iter().for_each(|row| look(&row.value));
    }
    Ok(pages.more())
}

/// Counts what is owed, as the trend keeps it.
pub(crate) async fn note_debt(kernel: &Kernel) -> Result<(), OpError> {
    let (debt, _) = counted(kernel).await?;
    let mut findings = 0;
    each(kernel, Query::of([Finding::STATE.of(FindingState::Open)]), &mut |_: &Finding| findings += 1).await?;
    let noted = kernel.decide(|| async {
        let now = kernel.now();
        let day = DebtDay {
            at: now,
            shared_identities: debt.shared_identities,
            exceptions: debt.exceptions,
            renewed_exceptions: debt.renewed_exceptions,
            breached_exceptions: debt.breached_exceptions,
            unowned: debt.unowned,
            findings,
        };
        let event = kernel.event(now, EventKind::PostureDebtCounted).fact("debt", day);
        let mut changeset = Changeset::new(system(), now, event);
        match kernel.one::<DebtTrend>(DebtTrend::ID).await? {
            Some(known) => {
                let trend = (*known.value).clone().with(day);
                changeset.replace(&known, &trend)
            }
            None => changeset.insert(&DebtTrend::default().with(day)),
        };
        Ok((changeset, ()))
    });
    noted.await.map(drop)
}

/// What is owed now, and how that went, day by day.
///
/// # Errors
/// The caller may not read all findings.
pub async fn debt(kernel: &Kernel, caller: &Caller) -> Result<DebtView, OpError> {
    authority::may_read(kernel, caller, "finding", "", false).await?;
    let (debt, capped) = counted(kernel).await?;
    Ok(DebtView { debt, capped, trend: trend(kernel).await? })
}

/// How what is owed went, day by day.
///
/// # Errors
/// The store can't be read.
pub async fn trend(kernel: &Kernel) -> Result<Vec<DebtDay>, OpError> {
    Ok(kernel.one::<DebtTrend>(DebtTrend::ID).await?.map(|trend| trend.days.clone()).unwrap_or_default())
}
