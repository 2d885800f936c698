//! The record of refusals: known callers one by one within a budget, strangers as bounded aggregates (invariant 2, S-16).

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde_json::json;
use tenure_core::changeset::{Changeset, Spend};
use tenure_core::event::{Actor, ControlPoint};
use tenure_core::policy::Answer;
use tenure_core::problem::{FieldProblem, Reason};
use tenure_core::time::{Span, Timestamp};

use crate::Kernel;
use crate::kernel::counters::count;
use crate::kernel::deployment;
use crate::kernel::error::OpError;

/// The code of what sources send and Tenure has no use for: counted beside the refusals, and under an event of its own.
pub(crate) const OF_NO_INTEREST: &str = "signal_of_no_interest";
/// What stands for every source that has no line of its own.
const OTHERS: &str = "others";
const WINDOW: Span = Span::from_mins(1);
/// Lines of one minute; the rest share one line for each reason.
const MAX_KEYS: usize = 1_000;
/// Lines of one hour that name their source: whoever has a thousand addresses in every minute fills no disk with them (S-16).
const MAX_NAMED: usize = 3_000;
/// Lines in memory, however long they can't be written: beyond, minutes share their lines too.
const MAX_HELD: usize = 2_000;
const HOUR: Span = Span::from_mins(60);

/// Refusals of the running minute that have no event of their own.
#[derive(Debug, Default)]
pub(crate) struct Aggregates(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    by: BTreeMap<(Timestamp, String, String), u64>,
    /// The hour that `named` is about.
    hour: Timestamp,
    named: usize,
}

/// How often, by the start of its minute, code and source.
type Counted = ((Timestamp, String, String), u64);

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

pub(crate) fn window(now: Timestamp) -> Timestamp {
    floor(now, WINDOW)
}

/// The beginning of the window after the one that begins then.
pub(crate) fn next_window(start: Timestamp) -> Timestamp {
    start.plus(WINDOW)
}

fn floor(now: Timestamp, width: Span) -> Timestamp {
    let width = width.as_micros();
    Timestamp::from_micros(now.as_micros().div_euclid(width) * width)
}

impl Aggregates {
    fn count(&self, now: Timestamp, code: &str, source: &str) {
        let mut counts = self.0.lock();
        let hour = floor(now, HOUR);
        if counts.hour != hour {
            (counts.hour, counts.named) = (hour, 0);
        }
        let mut key = (window(now), code.to_owned(), source.to_owned());
        if !counts.by.contains_key(&key) {
            if counts.by.len() < MAX_KEYS && counts.named < MAX_NAMED {
                counts.named += 1;
            } else {
                OTHERS.clone_into(&mut key.2);
                if counts.by.len() >= MAX_HELD
                    && let Some((minute, ..)) = counts.by.keys().find(|(_, held, source)| held == code && source == OTHERS)
                {
                    key.0 = *minute;
                }
            }
        }
        *counts.by.entry(key).or_default() += 1;
    }

    fn take_before(&self, window: Timestamp) -> Vec<Counted> {
        let mut counts = self.0.lock();
        let done: Vec<_> = counts.by.keys().filter(|(start, _, _)| *start < window).cloned().collect();
        done.into_iter().filter_map(|key| counts.by.remove(&key).map(|count| (key, count))).collect()
    }

    fn put_back(&self, taken: Vec<Counted>) {
        let mut counts = self.0.lock();
        for (key, count) in taken {
            *counts.by.entry(key).or_default() += count;
        }
    }
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
            .event(now, "access.refused", refusal.control)
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
            event = event.fact("policies", &answer.policies).fact("policy_version", &answer.version);
        }
        let mut changeset = Changeset::new(refusal.actor, now, event);
        changeset.spends.push(Spend {
            budget: format!("refusal/{who}"),
            window: window(now),
            until: window(now).plus(WINDOW).plus(WINDOW),
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
        let until = if everything { now.plus(WINDOW) } else { window(now) };
        let mut taken = self.aggregates.take_before(until);
        while let Some(((start, code, source), count)) = taken.pop() {
            let kind = match code.as_str() {
                OF_NO_INTEREST => "signal.ignored",
                _ => "access.refused_aggregate",
            };
            let event = self
                .event(now, kind, ControlPoint::Use)
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
