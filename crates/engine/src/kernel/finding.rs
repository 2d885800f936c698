//! Findings: opened once for each rule, subject and detail, counted while they last, resolved when it is no longer so.

use serde_json::{Map, Value};
use tenure_core::base::id::FindingId;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::finding::{Finding, FindingState, Resolution, Rule};
use tenure_core::people::person::Role;
use tenure_core::store::changeset::{Changeset, Once};
use tenure_core::store::event::Event;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;

use crate::kernel::Kernel;
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::freshness::assurance_fact;
use crate::kernel::notice::notify;
use crate::kernel::query::Query;

/// How often one finding is counted: whoever causes it again and again doesn't fill the log.
pub(crate) const COUNTED_EVERY: Span = Span::from_mins(1);

/// A finding as somebody meets it who sees its rule broken.
pub(crate) struct KnownFinding {
    pub(crate) open: Option<Stored<Finding>>,
    /// The last one, open or not, of this rule, subject and detail.
    last: Option<FindingId>,
}

/// Opens a finding in this changeset, or counts it if it is open already. The id of a new one is returned; its event is
/// then the changeset's last.
pub(crate) async fn raise(
    kernel: &Kernel,
    changeset: &mut Changeset,
    rule: &'static Rule,
    subject: impl ToString,
    detail: &str,
    evidence: Map<String, Value>,
    now: Timestamp,
) -> Result<Option<FindingId>, OpError> {
    let subject = subject.to_string();
    let known = known_finding(kernel, rule, &subject, detail).await?;
    if let Some(open) = known.open {
        count_again(kernel, changeset, &open, evidence, now);
        return Ok(None);
    }
    let finding = Finding {
        id: FindingId::generate(now, kernel.entropy.as_ref()),
        rule: rule.id.to_owned(),
        subject: subject.clone(),
        detail: detail.to_owned(),
        evidence,
        severity: rule.severity,
        state: FindingState::Open,
        seen: 1,
        opened_at: now,
        last_seen_at: now,
        resolved: None,
    };
    let event = kernel
        .event(now, EventKind::FindingOpened)
        .subject(&subject)
        .subject(finding.id)
        .fact("rule", rule.id)
        .fact("severity", finding.severity)
        .fact("detail", detail)
        .fact("frameworks", rule.frameworks)
        .fact("evidence", &finding.evidence)
        .fact("action", rule.action);
    changeset.event(event);
    changeset.insert(&finding);
    // Whoever sees the same at the same time follows the same one: only the first opens the next.
    changeset.once.push(Once {
        space: "finding",
        key: format!("{} {subject} {detail} {}", rule.id, known.last.map(|last| last.to_string()).unwrap_or_default()),
        until: None,
    });
    Ok(Some(finding.id))
}

pub(crate) fn count_again(
    kernel: &Kernel,
    changeset: &mut Changeset,
    open: &Stored<Finding>,
    evidence: Map<String, Value>,
    now: Timestamp,
) {
    if now.since(open.last_seen_at) < COUNTED_EVERY {
        return;
    }
    let finding = Finding { seen: open.seen.saturating_add(1), last_seen_at: now, evidence, ..(*open.value).clone() };
    let event = kernel
        .event(now, EventKind::FindingSeenAgain)
        .subject(&open.subject)
        .subject(open.id)
        .fact("rule", &open.rule)
        .fact("seen", finding.seen)
        .fact("evidence", &finding.evidence);
    changeset.event(event);
    changeset.replace(open, &finding);
}

pub(crate) async fn known_finding(
    kernel: &Kernel,
    rule: &Rule,
    subject: &str,
    detail: &str,
) -> Result<KnownFinding, OpError> {
    let mut known = KnownFinding { open: None, last: None };
    let mut pages = kernel.pages(Query::of([Finding::SUBJECT.of(subject), Finding::RULE.of(rule.id)]));
    while let Some(found) = pages.next().await? {
        for row in found.readable().into_iter().filter(|row| row.detail == detail) {
            known.last = Some(row.id);
            if row.state == FindingState::Open {
                known.open = Some(row);
            }
        }
    }
    Ok(known)
}

/// Resolves the open findings of these rules about a subject: it is no longer so.
pub(crate) async fn no_longer(
    kernel: &Kernel,
    changeset: &mut Changeset,
    rules: &[&Rule],
    subject: impl ToString,
    how: &str,
    now: Timestamp,
) -> Result<(), OpError> {
    let open = open_findings(kernel, &subject.to_string()).await?;
    for stored in open.iter().filter(|stored| rules.iter().any(|rule| rule.id == stored.rule)) {
        settle_finding(kernel, changeset, stored, how, now);
    }
    Ok(())
}

/// As [`Kernel::no_longer`], of one rule and one detail.
pub(crate) async fn no_longer_about(
    kernel: &Kernel,
    changeset: &mut Changeset,
    rule: &Rule,
    subject: impl ToString,
    detail: &str,
    how: &str,
    now: Timestamp,
) -> Result<(), OpError> {
    if let Some(open) = known_finding(kernel, rule, &subject.to_string(), detail).await?.open {
        settle_finding(kernel, changeset, &open, how, now);
    }
    Ok(())
}

/// Whether a finding of this rule, about this detail of a subject, is open.
pub(crate) async fn is_found(kernel: &Kernel, rule: &Rule, subject: &str, detail: &str) -> Result<bool, OpError> {
    Ok(known_finding(kernel, rule, subject, detail).await?.open.is_some())
}

/// Whether a finding of this rule about a subject is open.
pub(crate) async fn has_finding(kernel: &Kernel, rule: &Rule, subject: &str) -> Result<bool, OpError> {
    Ok(open_since(kernel, rule, subject).await?.is_some())
}

/// Since when a finding of this rule about a subject is open.
pub(crate) async fn open_since(kernel: &Kernel, rule: &Rule, subject: &str) -> Result<Option<Timestamp>, OpError> {
    let open = open_findings(kernel, subject).await?;
    Ok(open.iter().find(|open| open.rule == rule.id).map(|open| open.opened_at))
}

pub(crate) async fn open_findings(kernel: &Kernel, subject: &str) -> Result<Vec<Stored<Finding>>, OpError> {
    let open = Query::of([Finding::SUBJECT.of(subject), Finding::STATE.of(FindingState::Open)]);
    kernel.pages(open).readable().await
}

/// The end of a finding, and its event.
pub(crate) fn resolution(
    kernel: &Kernel,
    stored: &Finding,
    by: Option<&Caller>,
    how: &str,
    now: Timestamp,
) -> (Event, Finding) {
    let mut event = kernel
        .event(now, EventKind::FindingResolved)
        .subject(&stored.subject)
        .subject(stored.id)
        .fact("rule", &stored.rule)
        .fact("how", how)
        .fact("seen", stored.seen);
    if let Some(caller) = by {
        event = event.fact("assurance", assurance_fact(caller));
    }
    let finding = Finding {
        state: FindingState::Resolved,
        resolved: Some(Resolution { at: now, by: by.and_then(Caller::person_id), how: how.to_owned() }),
        ..stored.clone()
    };
    (event, finding)
}

pub(crate) fn settle_finding(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Finding>,
    how: &str,
    now: Timestamp,
) {
    let (event, finding) = resolution(kernel, stored, None, how, now);
    changeset.event(event);
    changeset.replace(stored, &finding);
}

/// Has people told through the changeset's last event.
pub(crate) fn tell(
    changeset: &mut Changeset,
    to: &[tenure_core::base::id::PersonId],
    roles: &[Role],
    title: &str,
    text: &str,
) {
    if let Some(event) = changeset.events.last_mut() {
        *event = notify(event.clone(), to, roles, title, text);
    }
}
