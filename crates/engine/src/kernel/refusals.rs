//! The record of refusals: known callers one by one within a budget, strangers as bounded aggregates (invariant 2,
//! S-16).

use serde_json::json;
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::policy::Answer;
use tenure_core::store::changeset::{Changeset, Spend};
use tenure_core::store::event::{Actor, ControlPoint};
use tenure_core::store::event_kind::EventKind;

use crate::kernel::aggregates::{self, WINDOW};
use crate::kernel::budgets::REFUSAL;
use crate::kernel::counters::count;
use crate::kernel::error::OpError;
use crate::kernel::{Kernel, deployment};

/// The code of what sources send and Tenure has no use for: counted beside the refusals, and under an event of its own.
pub(crate) const OF_NO_INTEREST: &str = "signal_of_no_interest";

/// A refusal as it is recorded.
pub(crate) struct Refusal<'a> {
    /// Who asked.
    pub actor: Actor,
    /// At which control point.
    pub control: ControlPoint,
    /// For what: the operation.
    pub asked: &'a str,
    /// About whom.
    pub subjects: Vec<String>,
    /// Why not.
    pub code: &'a str,
    /// Wrong fields, by code.
    pub fields: &'a [FieldProblem],
    /// What the policy said.
    pub answer: Option<&'a Answer>,
}

impl Kernel {
    /// Records a refusal of a caller who is known. Beyond the caller's budget it joins the aggregates.
    pub(crate) async fn record_refusal(&self, refusal: Refusal<'_>) {
        self.record_refusal_with(refusal, |_| {}).await;
    }

    /// As [`Kernel::record_refusal`], with more in the same commit.
    pub(crate) async fn record_refusal_with(&self, refusal: Refusal<'_>, more: impl FnOnce(&mut Changeset) + Send) {
        count(&self.counters.refused);
        let now = self.now();
        let who = match &refusal.actor {
            Actor::Person { id, .. } => id.to_string(),
            Actor::Identity { id } => id.to_string(),
            Actor::Source { id } => id.to_string(),
            Actor::System { part } => part.clone(),
            Actor::Stranger => "stranger".to_owned(),
        };
        let mut event = self
            .event(now, EventKind::AccessRefused)
            .at(refusal.control)
            .fact("asked", refusal.asked)
            .fact("reason", refusal.code);
        for subject in &refusal.subjects {
            event = event.subject(subject);
        }
        if !refusal.fields.is_empty() {
            let named = refusal.fields.iter().take(FieldProblem::MAX);
            event = event
                .fact("fields", named.map(|f| json!({"field": f.field, "code": f.code})).collect::<Vec<_>>())
                .fact("fields_wrong", refusal.fields.len());
        }
        if let Some(answer) = refusal.answer {
            event = event.fact("policies", answer.policies()).fact("policy_version", answer.version());
        }
        let mut changeset = Changeset::new(refusal.actor, now, event);
        changeset.spends.push(Spend {
            budget: format!("{REFUSAL}/{who}"),
            window: aggregates::window(now),
            until: aggregates::window(now).plus(WINDOW).plus(WINDOW),
            by: 1,
            limit: self.settings.refusal_budget,
        });
        more(&mut changeset);
        match self.settle(changeset).await {
            Ok(_) => {}
            Err(OpError::Refused { .. } | OpError::DiskFull) => self.aggregates.count(now, refusal.code, &who),
            Err(error) => {
                tracing::warn!(%error, "a refusal could not be recorded one by one; it is counted");
                self.aggregates.count(now, refusal.code, &who);
            }
        }
    }

    /// Counts a refusal of somebody who proved nothing.
    pub fn count_stranger(&self, reason: Reason, source: &str) {
        count(&self.counters.refused);
        self.aggregates.count(self.now(), reason.code(), source);
    }

    /// Counts what a known caller sent without any effect.
    pub(crate) fn count_aside(&self, code: &str, who: impl std::fmt::Display) {
        self.aggregates.count(self.now(), code, &who.to_string());
    }

    /// Writes the aggregates of minutes that are over, or of all when `everything` (before a stop).
    ///
    /// # Errors
    /// The store doesn't take it; what was not written stays counted.
    pub async fn flush_refusals(&self, everything: bool) -> Result<(), OpError> {
        // The log is empty until set-up, and has to stay so: the set-up token is good only then (S-10).
        if deployment::deployment(self).await?.is_none() {
            return Ok(());
        }
        let now = self.now();
        let until = if everything { now.plus(WINDOW) } else { aggregates::window(now) };
        let mut taken = self.aggregates.take_before(until);
        while let Some(((start, code, source), count)) = taken.pop() {
            let kind = match code.as_str() {
                OF_NO_INTEREST => EventKind::SignalIgnored,
                _ => EventKind::AccessRefusedAggregate,
            };
            let event = self
                .event(now, kind)
                .fact("reason", &code)
                .fact("source", &source)
                .fact("minute", start)
                .fact("count", count);
            if let Err(error) = self.settle(Changeset::new(Actor::Stranger, now, event)).await {
                tracing::warn!(%error, code, source, count, "an aggregate of refusals could not be recorded now");
                taken.push(((start, code, source), count));
                self.aggregates.put_back(taken);
                return Err(error);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
