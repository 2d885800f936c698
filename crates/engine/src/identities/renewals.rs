//! Renewal on verified need: by a request, or by itself in the window before the end (R50, R51).

pub mod plan;

use tenure_core::base::id::IdentityId;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::credential::gate;
use tenure_core::finding::{Finding, FindingState, Severity};
use tenure_core::identity::{CharterDraft, Identity};
use tenure_core::people::person::Person;
use tenure_core::policy::{Action, Answer, Attributes, Question, Value};
use tenure_core::request::review::{Review, ReviewState};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::{Record, Stored};
use tenure_core::store::term::Term;

use crate::identities::{charter, silence};
use crate::inventory::references;
use crate::kernel::authority::{self, inventory};
use crate::kernel::error::OpError;
use crate::kernel::load::charter_of;
use crate::kernel::notice::notify;
use crate::kernel::query::Query;
use crate::kernel::work::{self, acknowledge, system};
use crate::kernel::{Kernel, exceptional};

/// Within which time an identity must have been used for a renewal that somebody asks for.
pub(crate) const USED_WITHIN: Span = Span::from_days(30);

/// Why an identity's need isn't verified; empty if it is: recent use, an active owner who accepted it, no overdue
/// review, no critical finding (SECURITY.md).
pub(crate) async fn renewal_problems(
    kernel: &Kernel,
    identity: &Identity,
    used_within: Span,
    now: Timestamp,
) -> Result<Vec<String>, OpError> {
    let mut problems = Vec::new();
    let id = identity.id.to_string();
    let last_used = work::last_used(kernel, &id).await?;
    if last_used.is_none_or(|used| now.since(used) > used_within) {
        problems.push(format!("no use within {used_within}"));
    }
    let owner = match identity.charter.owner {
        Some(owner) => kernel.one::<Person>(owner).await?,
        None => None,
    };
    if !owner.is_some_and(|owner| owner.is_active()) {
        problems.push("no active owner".to_owned());
    }
    if gate::in_transfer(identity, now) {
        problems.push("the new owner has not accepted it yet".to_owned());
    }
    for silent in silence::silent_for(kernel, identity).await? {
        problems.push(format!("{} ({}), by which its end would be heard of, is silent", silent.name, silent.id));
    }
    let reviews = open_of(kernel, [Review::IDENTITY.of(identity.id), Review::STATE.of(ReviewState::Open)]).await?;
    if reviews.iter().any(|review| review.due_at <= now) {
        problems.push("an overdue review".to_owned());
    }
    let findings = open_of(kernel, [Finding::SUBJECT.of(id), Finding::STATE.of(FindingState::Open)]).await?;
    if findings.iter().any(|finding| finding.severity == Severity::Critical && finding.state == FindingState::Open) {
        problems.push("an open critical finding".to_owned());
    }
    Ok(problems)
}

/// The open records about a subject; enough of them to know whether there are any.
async fn open_of<T: Record>(kernel: &Kernel, open: [Term<T>; 2]) -> Result<Vec<Stored<T>>, OpError> {
    // What can't be read may be in the way of the renewal.
    kernel.find(Query::of(open).limit(100)).await?.whole()
}

/// Works off the opening of a renewal window.
pub(crate) async fn work_renewal(
    kernel: &Kernel,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    let Ok(id) = claimed.subject.parse::<IdentityId>() else {
        return Ok(None);
    };
    let Some(stored) = kernel.one::<Identity>(id).await? else {
        return Ok(None);
    };
    let (Some(opens), Some(terms)) = (plan::opens(&stored), stored.charter.renewal.clone()) else {
        return Ok(None);
    };
    if opens > now {
        return Ok(Some(work::postponed(kernel, claimed, opens, now)));
    }
    let next = plan::next_end(&stored, now);
    let mut problems = renewal_problems(kernel, &stored, terms.used_within, now).await?;
    if let Some(until) = next {
        problems.extend(
            references::end_problems(kernel, &stored, until, now).await?.into_iter().map(|problem| problem.hint),
        );
    }
    let answer = may_renew(kernel, &stored, problems.is_empty(), now).await?;
    let next = plan::next_end(&stored, now);
    let evidence = serde_json::json!({"last_used": work::last_used(kernel, &id.to_string()).await?, "problems": problems, "used_within": terms.used_within});
    let (Some(until), true) = (next, problems.is_empty() && gate::check(&answer).is_ok()) else {
        return Ok(Some(not_renewed(kernel, claimed, &stored, evidence, &answer, now)?));
    };
    let charter = CharterDraft { expires_at: Some(until), ..stored.charter.clone() };
    let event = kernel
        .event(now, EventKind::IdentityRenewed)
        .subject(id)
        .fact("workflow", "non_human.renewal")
        .fact("until", until)
        .fact("evidence", evidence)
        .fact("policies", answer.policies())
        .fact("policy_version", answer.version());
    let mut changeset = Changeset::new(system(), now, event);
    charter::rechartered(kernel, &mut changeset, &stored, charter, None, now).await?;
    acknowledge(&mut changeset, claimed);
    changeset.due.retain(|change| {
        !matches!(change, DueChange::Ack(DueKind::Renewal, ..) | DueChange::Set(DueKind::Renewal, ..))
    });
    changeset.due.push(DueChange::Retry(
        DueKind::Renewal,
        claimed.subject.clone(),
        claimed.fence,
        until.minus(terms.window).max(now.plus(Span::from_secs(1))),
    ));
    Ok(Some(changeset))
}

async fn may_renew(
    kernel: &Kernel,
    identity: &Stored<Identity>,
    need_verified: bool,
    now: Timestamp,
) -> Result<Answer, OpError> {
    let charter = &identity.charter;
    let extends = charter.renewal.as_ref().map_or(Span::default(), |renewal| renewal.extend_by);
    let owner = match charter.owner {
        Some(owner) => kernel.one::<Person>(owner).await?,
        None => None,
    };
    Ok(kernel.policy.decide(&Question {
        principal: authority::identity(identity),
        action: Action::Renew,
        resource: inventory("identity", identity.id, charter.environment.as_deref().unwrap_or("")),
        context: Attributes::from([
            ("charter_complete", Value::Bool(identity.complete_charter().is_ok())),
            ("owner_active", Value::Bool(owner.is_some_and(|owner| owner.is_active()))),
            ("in_transfer", Value::Bool(gate::in_transfer(identity, now))),
            ("need_verified", Value::Bool(need_verified)),
            ("duration_secs", Value::Long(extends.as_secs())),
            ("waived", Value::Set(exceptional::waived(kernel, identity, now).await?)),
            ("wildcard_scope", Value::Bool(charter.has_wildcard())),
            ("weaker_credential", Value::Bool(charter.has_weaker_credential())),
            ("shared", Value::Bool(charter.shared.is_some())),
        ]),
    }))
}

/// The conditions fail: the identity keeps its end, and its owner is told while there is time.
fn not_renewed(
    kernel: &Kernel,
    claimed: &Claimed,
    stored: &Stored<Identity>,
    evidence: serde_json::Value,
    answer: &Answer,
    now: Timestamp,
) -> Result<Changeset, OpError> {
    let end = charter_of(stored)?.end();
    let event = kernel
        .event(now, EventKind::IdentityRenewalRefused)
        .subject(stored.id)
        .fact("workflow", "non_human.renewal")
        .fact("ends_at", end)
        .fact("evidence", evidence)
        .fact("policies", answer.policies())
        .fact("policy_version", answer.version());
    let text = format!("{} is not renewed and ends at {end}: see `tenure identity show {}`.", stored.id, stored.id);
    let owner: Vec<_> = stored.charter.owner.into_iter().collect();
    let event = notify(event, &owner, &[], "An identity of yours is not renewed", &text);
    let mut changeset = Changeset::new(system(), now, event);
    acknowledge(&mut changeset, claimed);
    Ok(changeset)
}
