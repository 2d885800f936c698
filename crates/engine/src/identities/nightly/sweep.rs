//! A sweep: what is so of one rule, held against its findings that are open.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tenure_core::finding::{Finding, Rule};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::finding::{self, STANDING};
use crate::kernel::query::Query;
use crate::kernel::work::system;

/// Breaches that one sweep holds.
const MAX_SEEN: usize = 10_000;

/// A breach that was seen.
pub(super) struct Seen {
    subject: String,
    detail: String,
    evidence: Map<String, Value>,
}

impl Seen {
    pub(super) fn new(subject: impl ToString, detail: impl ToString, evidence: Value) -> Self {
        let evidence = match evidence {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        Self { subject: subject.to_string(), detail: detail.to_string(), evidence }
    }
}

/// What is so of one rule.
pub(super) struct Sweep {
    rule: &'static Rule,
    seen: BTreeMap<(String, String), Map<String, Value>>,
    /// Whether that is all: if not, nothing is resolved.
    pub(super) is_whole: bool,
}

impl Sweep {
    pub(super) const fn of(rule: &'static Rule) -> Self {
        Self { rule, seen: BTreeMap::new(), is_whole: true }
    }

    /// Adds a breach.
    pub(super) fn found(&mut self, seen: Seen) {
        if self.seen.len() >= MAX_SEEN {
            self.is_whole = false;
            return;
        }
        self.seen.insert((seen.subject, seen.detail), seen.evidence);
    }

    /// Opens what is missing and resolves what is no longer so; returns how many of both.
    pub(super) async fn settle(mut self, kernel: &Kernel) -> Result<u64, OpError> {
        let mut settled = 0;
        let open = Query::of([Finding::RULE.of(self.rule.id)]).any(STANDING.map(|state| Finding::STATE.of(state)));
        for stored in kernel.pages(open).readable().await? {
            let is_so = self.seen.remove(&(stored.subject.clone(), stored.detail.clone())).is_some();
            if !is_so && self.is_whole {
                settled += u64::from(resolved(kernel, &stored).await?);
            }
        }
        for ((subject, detail), evidence) in self.seen {
            settled += u64::from(opened(kernel, self.rule, &subject, &detail, evidence).await?);
        }
        Ok(settled)
    }
}

/// Resolves a finding, unless somebody did.
async fn resolved(kernel: &Kernel, stored: &Stored<Finding>) -> Result<bool, OpError> {
    let now = kernel.now();
    let (event, finding) = finding::resolution(kernel, stored, None, "it is no longer so", now);
    let mut changeset = Changeset::new(system(), now, event);
    changeset.replace(stored, &finding);
    Ok(kernel.settle(changeset).await?.is_some())
}

/// Opens a finding, unless somebody did.
async fn opened(
    kernel: &Kernel,
    rule: &'static Rule,
    subject: &str,
    detail: &str,
    evidence: Map<String, Value>,
) -> Result<bool, OpError> {
    let now = kernel.now();
    let event = kernel.event(now, EventKind::PostureFound).subject(subject).fact("rule", rule.id);
    let mut changeset = Changeset::new(system(), now, event);
    finding::raise(kernel, &mut changeset, rule, subject, detail, evidence, now).await?;
    match kernel.settle(changeset).await {
        Ok(committed) => Ok(committed.is_some()),
        Err(OpError::Taken { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
