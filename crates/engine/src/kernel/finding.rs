//! Findings: opened once for each rule, subject and detail, counted while they last, resolved when it is no longer so. One
//! that is accepted stands as an open one does, and is listed as accepted until its exception is over.

use serde_json::{Map, Value};
use tenure_core::base::id::{FindingId, IdentityId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::finding::{Acceptance, Finding, FindingState, Resolution, Rule};
use tenure_core::people::person::Role;
use tenure_core::request::exception::{Exception, ExceptionSubject, ExceptionType};
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

/// The states of what isn't resolved.
pub(crate) const STANDING: [FindingState; 2] = [FindingState::Open, FindingState::Accepted];

/// A finding as somebody meets it who sees its rule broken.
pub(crate) struct KnownFinding {
    /// One that is open, or accepted.
    pub(crate) open: Option<Stored<Finding>>,
    /// The last one, open or not, of this rule, subject and detail.
    last: Option<FindingId>,
}

/// Opens a finding in this changeset, or counts it if it is there already. The id of one that is open from now on is
/// returned; its event is then the changeset's last. What is accepted is there, and nobody is told of it.
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
    let accepted = acceptance(kernel, rule, &subject, detail, now).await?;
    let finding = Finding {
        id: FindingId::generate(now, kernel.entropy.as_ref()),
        rule: rule.id.to_owned(),
        subject: subject.clone(),
        detail: detail.to_owned(),
        evidence,
        severity: rule.severity,
        state: if accepted.is_some() { FindingState::Accepted } else { FindingState::Open },
        seen: 1,
        opened_at: now,
        last_seen_at: now,
        resolved: None,
        accepted: accepted.as_ref().map(|(accepted, _)| *accepted),
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
    if let Some((_, exception)) = &accepted {
        // One that ends meanwhile lets nothing be.
        changeset.expect(exception);
    }
    changeset.event(event);
    changeset.insert(&finding);
    // Whoever sees the same at the same time follows the same one: only the first opens the next.
    changeset.once.push(Once {
        space: "finding",
        key: format!("{} {subject} {detail} {}", rule.id, known.last.map(|last| last.to_string()).unwrap_or_default()),
        until: None,
    });
    Ok(finding.accepted.is_none().then_some(finding.id))
}

/// The exception in force by which what was found is let be.
async fn acceptance(
    kernel: &Kernel,
    rule: &Rule,
    subject: &str,
    detail: &str,
    now: Timestamp,
) -> Result<Option<(Acceptance, Stored<Exception>)>, OpError> {
    let Ok(identity) = subject.parse::<IdentityId>() else { return Ok(None) };
    if !rule.may_be_accepted() {
        return Ok(None);
    }
    let accepting = Query::of([Exception::IDENTITY.of(identity), Exception::TYPE.of(ExceptionType::AcceptedFinding)]);
    let found = kernel.pages(accepting).readable().await?.into_iter().find(|exception| {
        let is_of = exception.accepts.as_ref().is_some_and(|accepts| accepts.is_of(rule.id, detail));
        is_of && exception.is_in_force(now)
    });
    Ok(found.map(|exception| {
        let until = exception.ends_at.unwrap_or(now);
        (Acceptance { exception: exception.id, until }, exception)
    }))
}

/// What an exception that begins lets be is accepted from now on.
pub(crate) async fn accept(
    kernel: &Kernel,
    changeset: &mut Changeset,
    exception: &Exception,
    now: Timestamp,
) -> Result<(), OpError> {
    let Some((stored, until)) = standing_of(kernel, exception).await?.zip(exception.ends_at) else { return Ok(()) };
    let accepted = Acceptance { exception: exception.id, until };
    let finding = Finding { state: FindingState::Accepted, accepted: Some(accepted), ..(*stored.value).clone() };
    let event = kernel
        .event(now, EventKind::FindingAccepted)
        .subject(&stored.subject)
        .subject(stored.id)
        .subject(exception.id)
        .fact("rule", &stored.rule)
        .fact("severity", stored.severity)
        .fact("until", until)
        .fact("approved_by", &exception.approved_by);
    changeset.event(event);
    changeset.replace(&stored, &finding);
    Ok(())
}

/// What an exception let be, which is over, is open again, and told to whoever answers for it and to security.
pub(crate) async fn come_back(
    kernel: &Kernel,
    changeset: &mut Changeset,
    exception: &Exception,
    owner: &[tenure_core::base::id::PersonId],
    now: Timestamp,
) -> Result<(), OpError> {
    let by_it = |stored: &Stored<Finding>| stored.accepted.is_some_and(|accepted| accepted.exception == exception.id);
    let Some(stored) = standing_of(kernel, exception).await?.filter(by_it) else { return Ok(()) };
    let finding = Finding { state: FindingState::Open, accepted: None, ..(*stored.value).clone() };
    let event = kernel
        .event(now, EventKind::FindingReturned)
        .subject(&stored.subject)
        .subject(stored.id)
        .subject(exception.id)
        .fact("rule", &stored.rule)
        .fact("severity", stored.severity);
    let text = format!(
        "{} is no longer accepted: {} of {} is open again.\nLook: tenure finding show {}",
        exception.id, stored.rule, stored.subject, stored.id
    );
    changeset.event(notify(event, owner, &[Role::Security], "A finding that was accepted is open again", &text));
    changeset.replace(&stored, &finding);
    Ok(())
}

/// The finding that an exception is about, as it stands.
async fn standing_of(kernel: &Kernel, exception: &Exception) -> Result<Option<Stored<Finding>>, OpError> {
    let (Some(accepts), ExceptionSubject::Identity(identity)) = (&exception.accepts, exception.subject) else {
        return Ok(None);
    };
    let Some(rule) = Rule::find(&accepts.rule) else { return Ok(None) };
    Ok(known_finding(kernel, rule, &identity.to_string(), &accepts.detail).await?.open)
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
            if row.state != FindingState::Resolved {
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

/// What was found about a subject and isn't resolved: also what is accepted.
pub(crate) async fn open_findings(kernel: &Kernel, subject: &str) -> Result<Vec<Stored<Finding>>, OpError> {
    kernel
        .pages(Query::of([Finding::SUBJECT.of(subject)]).any(STANDING.map(|state| Finding::STATE.of(state))))
        .readable()
        .await
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
        accepted: None,
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
