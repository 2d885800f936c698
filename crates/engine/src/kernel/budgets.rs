//! Budgets as their owners are told of them: what a request counted against, and what is left of it.
//!
//! Nobody learns of another's: a commit's budgets are told if they are its actor's own, and those of refusals, which
//! are also recorded of whoever somebody else asks about, only to the caller that the edge has let in ([`let_in`]).

use std::sync::Arc;

use parking_lot::Mutex;
use tenure_core::store::changeset::{Changeset, Spend};
use tenure_core::store::event::Actor;

use crate::kernel::Kernel;
use crate::kernel::aggregates::{WINDOW, next_window};

tokio::task_local! {
    /// What the request that is being carried out counted against.
    static COUNTED: Arc<Mutex<Counted>>;
}

/// What a request counted against.
#[derive(Debug, Default)]
struct Counted {
    caller: Option<String>,
    budgets: Vec<Budget>,
}

/// A budget of a caller's after their request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Its name.
    pub name: &'static str,
    /// Whether it counts bytes, and not requests.
    pub of_bytes: bool,
    /// How much it takes in a window.
    pub quota: u64,
    /// How much of it is left.
    pub left: u64,
    /// How long a window is, in seconds.
    pub window: u64,
    /// In how many seconds this one is over.
    pub over_in: u64,
}

/// Budgets that are told, as spends call them: the name, and the bytes in one of theirs; none if they count requests.
const TOLD: &[(&str, &str, Option<u64>)] = &[
    ("write", "writes", None),
    ("write_kib", "written", Some(1_024)),
    ("request", "asks", None),
    ("issue", "issuance", None),
    (REFUSAL, "refusals", None),
];

/// The budget of refusals.
pub(crate) const REFUSAL: &str = "refusal";

/// Carries a request out and gives what it counted against, each budget once.
pub async fn counted<F: Future>(request: F) -> (F::Output, Vec<Budget>) {
    let counted = Arc::new(Mutex::new(Counted::default()));
    let output = COUNTED.scope(Arc::clone(&counted), request).await;
    let budgets = std::mem::take(&mut counted.lock().budgets);
    (output, budgets)
}

/// The request is that of this caller, who has proven who they are.
pub fn let_in(caller: &str) {
    let _ = COUNTED.try_with(|counted| counted.lock().caller = Some(caller.to_owned()));
}

impl Kernel {
    /// Notes what the budgets of a changeset count after its commit, or, where there are no counts, that this one has
    /// no room for it.
    pub(crate) fn note_budgets(&self, changeset: &Changeset, counts: &[u32], refused: Option<&str>) {
        let who = match &changeset.actor {
            Actor::Person { id, .. } => id.to_string(),
            Actor::Identity { id } => id.to_string(),
            _ => return,
        };
        let _ = COUNTED.try_with(|counted| {
            let mut counted = counted.lock();
            for (n, spend) in changeset.spends.iter().enumerate() {
                let count = match refused {
                    Some(budget) => (budget == spend.budget).then_some(spend.limit),
                    None => counts.get(n).copied(),
                };
                let Some(budget) = count.and_then(|count| self.told(spend, count, &who, counted.caller.as_deref()))
                else {
                    continue;
                };
                counted.budgets.retain(|earlier| earlier.name != budget.name);
                counted.budgets.push(budget);
            }
        });
    }

    /// The budget that a spend is of, after so many were counted, if it is told to its actor.
    fn told(&self, spend: &Spend, count: u32, who: &str, caller: Option<&str>) -> Option<Budget> {
        let (kind, owner) = spend.budget.split_once('/')?;
        let (_, name, bytes) = TOLD.iter().find(|(told, ..)| *told == kind)?;
        if owner != who || (kind == REFUSAL && caller != Some(who)) {
            return None;
        }
        let unit = bytes.unwrap_or(1);
        let wait = next_window(spend.window).since(self.now());
        Some(Budget {
            name,
            of_bytes: bytes.is_some(),
            quota: u64::from(spend.limit).saturating_mul(unit),
            left: u64::from(spend.limit.saturating_sub(count)).saturating_mul(unit),
            window: u64::try_from(WINDOW.as_secs()).unwrap_or_default(),
            over_in: u64::try_from(wait.as_micros()).unwrap_or_default().div_ceil(1_000_000),
        })
    }
}
