//! Findings: opened once for each rule, subject and detail, counted while they last, resolved when it is no longer so
//! or somebody answers for it.

use std::collections::BTreeMap;

use tenure_api::findings::{
    BrokenView, FindingSummary, FindingView, PostureView, Resolve, RuleList, RuleStanding, RuleView,
};
use tenure_api::views::{Names, Page};
use tenure_core::base::id::{FindingId, IdentityId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::finding::{Finding, FindingState, Fix, Rule, Severity, rules};
use tenure_core::identity::Identity;
use tenure_core::inventory::third_party::Vendor;
use tenure_core::people::person::Person;
use tenure_core::policy::Action;
use tenure_core::request::review::{Review, ReviewState};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;

use crate::identities::debt::{self, each};
use crate::identities::posture::{self, Around, Broken};
use crate::kernel::authority::{self, enabling, inventory, owns_identity};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::{Asked, check_reason};
use crate::kernel::query::{ListAsk, Query};
use crate::kernel::{Kernel, exceptional, finding, freshness};

/// What a posture look found stands in findings from now on, and what it no longer finds is resolved. What is noted by
/// something else in the same changeset isn't noted twice.
pub(crate) async fn note_posture(
    kernel: &Kernel,
    changeset: &mut Changeset,
    id: IdentityId,
    broken: &[Broken],
    noted: Option<&Broken>,
    now: Timestamp,
) -> Result<(), OpError> {
    for broken in broken.iter().filter(|broken| noted.is_none_or(|noted| noted != *broken)) {
        finding::raise(kernel, changeset, broken.rule, id, &broken.detail, broken.evidence.clone(), now).await?;
    }
    for stored in finding::open_findings(kernel, &id.to_string()).await? {
        let is_posture = posture::RULES.iter().any(|rule| rule.id == stored.rule);
        let is_so = broken.iter().any(|broken| broken.rule.id == stored.rule && broken.detail == stored.detail);
        if is_posture && !is_so {
            finding::settle_finding(kernel, changeset, &stored, "it is no longer so", now);
        }
    }
    Ok(())
}

/// Every posture rule that an identity breaks now (R41).
pub(crate) async fn posture_of(kernel: &Kernel, identity: &Identity, now: Timestamp) -> Result<Vec<Broken>, OpError> {
    let owner = match identity.charter.owner {
        Some(owner) => kernel.one::<Person>(owner).await?,
        None => None,
    };
    let vendor = match identity.charter.vendor {
        Some(vendor) => kernel.one::<Vendor>(vendor).await?,
        None => None,
    };
    let open = Query::of([Review::IDENTITY.of(identity.id), Review::STATE.of(ReviewState::Open)]);
    let reviews = kernel.find(open).await?.readable();
    let around = Around {
        owner_active: owner.is_some_and(|owner| owner.is_active()),
        waived: exceptional::waived(kernel, identity, now).await?,
        overdue: reviews.iter().filter(|review| review.due_at <= now).map(|review| review.id).collect(),
        breach: vendor.and_then(|vendor| vendor.breach.clone()),
    };
    Ok(posture::posture(identity, &around, now))
}

/// Every rule, and how it stands here: how many of its findings are open is said to those who may read them all.
///
/// # Errors
/// The caller may read no findings at all.
pub async fn finding_rules(kernel: &Kernel, caller: &Caller) -> Result<RuleList, OpError> {
    authority::may_read(kernel, caller, "finding", "", true).await?;
    let mut open: Option<BTreeMap<String, u64>> = None;
    let mut capped = false;
    if authority::reads_all(kernel, caller, "finding") {
        let counted = open.insert(BTreeMap::new());
        let mut count = |finding: &Finding| *counted.entry(finding.rule.clone()).or_default() += 1;
        capped = each(kernel, Query::of([Finding::STATE.of(FindingState::Open)]), &mut count).await?;
    }
    let items = rules::ALL.iter().map(|rule| RuleStanding {
        rule: RuleView::from(*rule),
        holds: holds(kernel, rule),
        open: open.as_ref().map(|open| open.get(rule.id).copied().unwrap_or_default()),
    });
    Ok(RuleList { items: items.collect(), capped })
}

/// One rule, and how it stands here.
///
/// # Errors
/// There is no such rule, or the caller may read no findings at all.
pub async fn finding_rule(kernel: &Kernel, caller: &Caller, id: &str) -> Result<RuleStanding, OpError> {
    let rules = finding_rules(kernel, caller).await?;
    rules.items.into_iter().find(|standing| standing.rule.id == id).ok_or(OpError::NotFound("rule"))
}

/// Whether an identity that breaks a rule is suspended by that.
pub(crate) fn holds(kernel: &Kernel, rule: &Rule) -> bool {
    match rule.fix {
        Fix::Note => false,
        Fix::BySetting => kernel.settings.hold_findings.iter().any(|id| id == rule.id),
        Fix::Hold => true,
    }
}

/// A page of findings. Who may not read all of them names an identity of theirs as the subject.
///
/// # Errors
/// The caller may not read them.
pub async fn findings(kernel: &Kernel, caller: &Caller, ask: ListAsk<Finding>) -> Result<Page<FindingView>, OpError> {
    let subject = ask.value_of(Finding::SUBJECT).map(str::to_owned);
    let owned = match &subject {
        Some(subject) => owns_what_is_found(kernel, caller, subject).await?,
        None => false,
    };
    authority::may_read(kernel, caller, "finding", subject.as_deref().unwrap_or(""), owned).await?;
    let (rows, end) = kernel.page(ask).await?;
    Ok(end.page(rows.into_iter().map(|row| finding_view((*row.value).clone(), row.revision)).collect()))
}

/// One finding.
///
/// # Errors
/// No such finding, or the caller may not read it.
pub async fn finding(kernel: &Kernel, caller: &Caller, id: FindingId) -> Result<FindingView, OpError> {
    let stored = kernel.sought::<Finding>(caller, "finding", id).await?;
    let owned = owns_what_is_found(kernel, caller, &stored.subject).await?;
    authority::may_read(kernel, caller, "finding", &id.to_string(), owned).await?;
    Ok(finding_view((*stored.value).clone(), stored.revision))
}

/// Answers for a finding. What is still so when its rule is looked at next opens another.
///
/// # Errors
/// It is resolved already, the caller is neither its owner nor security, or needs a fresh sign-in; a critical one takes
/// security.
pub async fn resolve_finding(
    kernel: &Kernel,
    caller: &Caller,
    id: FindingId,
    ask: Resolve,
) -> Result<FindingView, OpError> {
    check_reason(&ask.how)?;
    kernel
        .recorded(caller, Asked::new(ControlPoint::Review, "finding.resolve", id), async {
            caller.must_be_person()?;
            let ((finding, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Finding>("finding", id).await?;
                    let fresh = freshness::freshness(kernel, caller, now).await?;
                    // What is critical bars renewal: no owner lifts that alone.
                    let owned = stored.severity < Severity::Critical
                        && owns_what_is_found(kernel, caller, &stored.subject).await?;
                    kernel.allow(
                        caller,
                        Action::Enable,
                        inventory("finding", id, ""),
                        enabling(owned, false, fresh),
                    )?;
                    if stored.state == FindingState::Resolved {
                        return Err(OpError::because(Reason::IllegalTransition, "the finding is resolved already"));
                    }
                    let (event, finding) = finding::resolution(kernel, &stored, Some(caller), &ask.how, now);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    fresh.expect(&mut changeset);
                    changeset.replace(&stored, &finding);
                    Ok((changeset, (finding, stored.revision + 1)))
                })
                .await?;
            let mut view = finding_view(finding, revision);
            view.log = Some(kernel.logged(&committed).await?);
            Ok(view)
        })
        .await
}

/// How many findings are open, and what debt is left (R105).
///
/// # Errors
/// The caller may not read all of them.
pub async fn finding_summary(kernel: &Kernel, caller: &Caller) -> Result<FindingSummary, OpError> {
    authority::may_read(kernel, caller, "finding", "", false).await?;
    let mut summary = FindingSummary::default();
    let mut by_severity: BTreeMap<String, u64> = BTreeMap::new();
    let mut by_rule: BTreeMap<String, u64> = BTreeMap::new();
    let mut count_finding = |finding: &Finding| {
        *by_severity.entry(finding.severity.as_str().to_owned()).or_default() += 1;
        *by_rule.entry(finding.rule.clone()).or_default() += 1;
    };
    let mut capped = each(kernel, Query::of([Finding::STATE.of(FindingState::Open)]), &mut count_finding).await?;
    let (debt, more) = debt::counted(kernel).await?;
    capped |= more;
    summary.open_by_severity = by_severity;
    summary.open_by_rule = by_rule;
    summary.debt = debt;
    summary.capped = capped;
    Ok(summary)
}

/// Every posture rule, computed now.
///
/// # Errors
/// No such identity, or the caller may not read it.
pub async fn posture(kernel: &Kernel, caller: &Caller, id: IdentityId) -> Result<PostureView, OpError> {
    let stored = kernel.sought::<Identity>(caller, "identity", id).await?;
    authority::may_read(kernel, caller, "identity", &id.to_string(), owns_identity(caller, &stored)).await?;
    let now = kernel.now();
    let broken = posture_of(kernel, &stored, now).await?;
    Ok(PostureView {
        identity: id,
        at: now,
        rules: posture::RULES.iter().map(|rule| rule.id.to_owned()).collect(),
        broken: broken
            .into_iter()
            .map(|broken| BrokenView {
                rule: broken.rule.id.to_owned(),
                severity: broken.rule.severity,
                detail: broken.detail,
                evidence: broken.evidence,
                action: broken.rule.action.to_owned(),
            })
            .collect(),
    })
}

/// Whether what a finding is about is the caller's: an identity that they own or are, or the person themselves.
async fn owns_what_is_found(kernel: &Kernel, caller: &Caller, subject: &str) -> Result<bool, OpError> {
    if caller.person_id().is_some_and(|person| person.to_string() == subject) {
        return Ok(true);
    }
    let Ok(id) = subject.parse::<IdentityId>() else {
        return Ok(false);
    };
    Ok(kernel.one::<Identity>(id).await?.is_some_and(|identity| owns_identity(caller, &identity)))
}

fn finding_view(record: Finding, revision: u64) -> FindingView {
    FindingView {
        explanation: Rule::find(&record.rule).map(RuleView::from),
        record,
        revision,
        log: None,
        names: Names::new(),
    }
}
