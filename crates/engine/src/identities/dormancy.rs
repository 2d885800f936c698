//! Looks at identities by themselves: posture, dormancy, and whether what they serve is still there (R41, R76).
//!
//! An identity is looked at right after its activation, after each change of its charter and after its resumption, and
//! then when it would have gone dormant. A look takes no input: it reads what stands and is idempotent.

pub mod plan;

use serde_json::{Map, Value, json};
use tenure_core::base::id::{CloudAccountId, IdentityId, NeedId, PersonId, VendorId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::finding::{Finding, FindingState, Rule, rules};
use tenure_core::identity::deferral::RemovalTrigger;
use tenure_core::identity::{Identity, IdentityState, Releaser, SuspensionCause, SuspensionKind};
use tenure_core::inventory::deprecation::Deprecation;
use tenure_core::inventory::third_party::{CloudAccount, Need, Standing, Vendor};
use tenure_core::people::person::{Person, Role};
use tenure_core::request::exception::ExceptionType;
use tenure_core::request::review::{Review, ReviewState, ReviewSubject, ReviewTrigger};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::Stored;
use tenure_core::store::term::Term;

use crate::credentials::{deprecated_use, revocation};
use crate::identities::deferral::{self, Fired};
use crate::identities::dormancy::plan::{DormancyPlan, plan};
use crate::identities::findings;
use crate::identities::posture::Broken;
use crate::identities::review_opening::{self, reviewer_of};
use crate::inventory::third_party::within_contract;
use crate::kernel::error::OpError;
use crate::kernel::exceptional::{self, rests_on};
use crate::kernel::notice::notify;
use crate::kernel::query::Query;
use crate::kernel::work::{self, acknowledge, system};
use crate::kernel::{Kernel, finding};

/// Identities that are suspended in one commit.
const BATCH: usize = 50;
/// When an identity that a broken rule suspended is looked at again.
const LOOK_AGAIN: Span = Span::from_mins(1);

/// A suspension that a rule places.
pub(crate) struct ByRule<'a> {
    pub kind: SuspensionKind,
    pub releasable_by: Releaser,
    pub reason: &'a str,
    /// The rule's finding, opened with it, and its detail.
    pub rule: &'static Rule,
    pub detail: &'a str,
    pub evidence: Map<String, Value>,
    /// Whether it is told as an alert, to security too.
    pub alert: bool,
}

/// Has the identity looked at as soon as this is committed.
pub(crate) fn watch(changeset: &mut Changeset, identity: &Identity, now: Timestamp) {
    if matches!(identity.state, IdentityState::Active | IdentityState::Suspended) {
        changeset.due.push(DueChange::Set(DueKind::Dormancy, identity.id.to_string(), now));
    }
}

/// Looks at an identity whose time for it has come.
pub(crate) async fn work_dormancy(
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
    if !matches!(stored.state, IdentityState::Active | IdentityState::Suspended) {
        return Ok(None);
    }
    let broken = findings::posture_of(kernel, &stored, now).await?;
    let mut changeset = Changeset::new(system(), now, looked_event(kernel, &stored, &broken, now));
    let accepted = accepted(kernel, id).await?;
    let holding = holding(kernel, &stored, &broken, &accepted);
    findings::note_posture(kernel, &mut changeset, id, &broken, holding, now).await?;
    if let Some(holding) = holding {
        let reason = format!("it breaks the rule {}, which is set to suspend", holding.rule.id);
        let by = ByRule {
            kind: SuspensionKind::RuleBroken,
            releasable_by: Releaser::Security,
            reason: &reason,
            rule: holding.rule,
            detail: &holding.detail,
            evidence: holding.evidence.clone(),
            alert: true,
        };
        suspend_by_rule(kernel, &mut changeset, &stored, by, now).await?;
        // What else there is to see of it is seen by the next look.
        let at = now.plus(LOOK_AGAIN);
        changeset.due.push(DueChange::Retry(DueKind::Dormancy, claimed.subject.clone(), claimed.fence, at));
        return Ok(Some(changeset));
    }
    if let Some(ended) = ended_service(kernel, &stored).await? {
        let fired = Fired { trigger: RemovalTrigger::ServiceEnded, of: &ended.subject, reason: &ended.reason };
        let by = need_ended(kernel, &stored, &ended, &[]).await?;
        if is_settled(kernel, &mut changeset, claimed, &stored, (fired, by), now).await? {
            return Ok(Some(changeset));
        }
    }
    if let Some(deprecation) = deprecated_use::past_sunset(kernel, &stored, now).await? {
        let past = past_sunset(&deprecation);
        if is_settled(kernel, &mut changeset, claimed, &stored, (past.as_fired(), past.as_rule()), now).await? {
            return Ok(Some(changeset));
        }
    }
    let limit = dormant_after(kernel, &stored);
    let next = match plan(&stored, work::last_used(kernel, &stored.id.to_string()).await?, limit, now) {
        DormancyPlan::Nothing => None,
        DormancyPlan::Later(at) => Some(at),
        DormancyPlan::Dormant(_)
            if exceptional::waived(kernel, &stored, now)
                .await?
                .iter()
                .any(|waived| waived == ExceptionType::Dormancy.as_str()) =>
        {
            ask_whether_needed(kernel, &mut changeset, &stored, now).await?;
            Some(now.plus(limit))
        }
        DormancyPlan::Dormant(since) => {
            let reason =
                format!("not used since {since}, for as long as its risk tier {} allows", stored.tier.as_str());
            let by = ByRule {
                kind: SuspensionKind::Dormant,
                releasable_by: Releaser::Owner,
                reason: &reason,
                rule: &rules::DORMANT,
                detail: "",
                evidence: facts(json!({"unused_since": since, "limit": limit, "tier": stored.tier})),
                alert: false,
            };
            suspend_by_rule(kernel, &mut changeset, &stored, by, now).await?;
            None
        }
    };
    match next {
        Some(at) => changeset.due.push(DueChange::Retry(DueKind::Dormancy, claimed.subject.clone(), claimed.fence, at)),
        None => acknowledge(&mut changeset, claimed),
    }
    Ok(Some(changeset))
}

/// Stops an identity for what fired, or has its removal wait: whether the look is over with that.
async fn is_settled(
    kernel: &Kernel,
    changeset: &mut Changeset,
    claimed: &Claimed,
    stored: &Stored<Identity>,
    (fired, by): (Fired<'_>, ByRule<'_>),
    now: Timestamp,
) -> Result<bool, OpError> {
    let is_known = stored.deferred_by(fired.trigger, fired.of).is_some();
    if deferral::put_off(kernel, changeset, stored, fired, now).await?.is_none() {
        suspend_by_rule(kernel, changeset, stored, by, now).await?;
        acknowledge(changeset, claimed);
        return Ok(true);
    }
    if !is_known {
        // What else there is to see of it is seen by the next look.
        let at = now.plus(LOOK_AGAIN);
        changeset.due.push(DueChange::Retry(DueKind::Dormancy, claimed.subject.clone(), claimed.fence, at));
    }
    Ok(!is_known)
}

/// What was found about an identity and is accepted.
async fn accepted(kernel: &Kernel, id: IdentityId) -> Result<Vec<Stored<Finding>>, OpError> {
    let accepted = [Finding::SUBJECT.of(id.to_string()), Finding::STATE.of(FindingState::Accepted)];
    kernel.pages(Query::of(accepted)).readable().await
}

/// The first of the broken rules that is set to suspend and isn't accepted, unless it is suspended by one.
fn holding<'a>(
    kernel: &Kernel,
    identity: &Identity,
    broken: &'a [Broken],
    accepted: &[Stored<Finding>],
) -> Option<&'a Broken> {
    if identity.suspensions.iter().any(|cause| cause.kind == SuspensionKind::RuleBroken) {
        return None;
    }
    let is_accepted = |broken: &Broken| {
        accepted.iter().any(|finding| finding.rule == broken.rule.id && finding.detail == broken.detail)
    };
    broken.iter().find(|broken| findings::holds(kernel, broken.rule) && !is_accepted(broken))
}

fn looked_event(
    kernel: &Kernel,
    identity: &Identity,
    broken: &[Broken],
    now: Timestamp,
) -> tenure_core::store::event::Event {
    kernel
        .event(now, EventKind::IdentityPostureChecked)
        .subject(identity.id)
        .fact("broken", broken.iter().map(|broken| broken.rule.id).collect::<Vec<_>>())
}

/// How long an identity may go unused.
fn dormant_after(kernel: &Kernel, identity: &Identity) -> Span {
    kernel.settings.dormant_after.unwrap_or(identity.tier.ceilings().dormant_after)
}

/// A live exception keeps a dormant identity; its owner answers whether it is still needed.
async fn ask_whether_needed(
    kernel: &Kernel,
    changeset: &mut Changeset,
    identity: &Identity,
    now: Timestamp,
) -> Result<(), OpError> {
    let open = Query::of([
        Review::IDENTITY.of(identity.id),
        Review::STATE.of(ReviewState::Open),
        Review::TRIGGER.of(ReviewTrigger::Dormancy),
    ]);
    if !kernel.find(open).await?.readable().is_empty() {
        return Ok(());
    }
    let subject = ReviewSubject::Identity(identity.id);
    review_opening::open_review(kernel, changeset, subject, ReviewTrigger::Dormancy, reviewer_of(identity), now);
    Ok(())
}

/// Suspends an identity for a rule's reason, with the rule's finding, and tells its owner. One that is suspended for it
/// already, or doesn't work any more, stays as it is.
pub(crate) async fn suspend_by_rule(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Identity>,
    by: ByRule<'_>,
    now: Timestamp,
) -> Result<(), OpError> {
    if let Some(identity) = suspended_by_rule(kernel, changeset, (*stored.value).clone(), by, now).await? {
        changeset.replace(stored, &identity);
    }
    Ok(())
}

/// As [`Kernel::suspend_by_rule`], for an identity that is changed otherwise, too; `None` if nothing changes.
pub(crate) async fn suspended_by_rule(
    kernel: &Kernel,
    changeset: &mut Changeset,
    identity: Identity,
    by: ByRule<'_>,
    now: Timestamp,
) -> Result<Option<Identity>, OpError> {
    let works = matches!(identity.state, IdentityState::Active | IdentityState::Suspended);
    if !works || identity.suspensions.iter().any(|cause| cause.kind == by.kind) {
        return Ok(None);
    }
    let mut event = kernel
        .event(now, EventKind::IdentitySuspended)
        .subject(identity.id)
        .fact("cause", by.kind)
        .fact("reason", by.reason)
        .fact("releasable_by", by.releasable_by);
    if by.alert {
        event = event.fact("alert", true);
    }
    let owner: Vec<PersonId> = identity.charter.owner.into_iter().collect();
    let roles: &[Role] = if by.alert { &[Role::Security] } else { &[] };
    let text = format!(
        "{} is suspended: {}.\n{}.\nLook: tenure identity show {}",
        identity.id, by.reason, by.rule.action, identity.id
    );
    changeset.event(notify(event, &owner, roles, "An identity is suspended", &text));
    revocation::suspended_with_receipt(kernel, changeset, &identity, by.reason, now).await?;
    finding::raise(kernel, changeset, by.rule, identity.id, by.detail, by.evidence, now).await?;
    let cause = SuspensionCause {
        kind: by.kind,
        placed_by: None,
        releasable_by: by.releasable_by,
        reason: by.reason.to_owned(),
        at: now,
    };
    Ok(Some(identity.suspend(cause)?))
}

/// Suspends the active identities that have a term, such as `need=nee_…` or `vendor=ven_…`, because what they served
/// has ended, though they be in use (R76). At most fifty in one changeset; true if there may be more.
pub(crate) async fn suspend_all(
    kernel: &Kernel,
    changeset: &mut Changeset,
    term: Term<Identity>,
    ended: &Ended,
    facts: &[(&str, Value)],
    now: Timestamp,
) -> Result<bool, OpError> {
    let fired = || Fired { trigger: RemovalTrigger::ServiceEnded, of: &ended.subject, reason: &ended.reason };
    let (rows, more) = next_to_stop(kernel, term, &fired()).await?;
    for stored in rows {
        if deferral::put_off(kernel, changeset, &stored, fired(), now).await?.is_none() {
            let by = need_ended(kernel, &stored, ended, facts).await?;
            suspend_by_rule(kernel, changeset, &stored, by, now).await?;
        }
    }
    Ok(more)
}

/// The next active identities that have a term and are to be stopped for what fired, as many as one commit takes; whether
/// there may be more. What waits already is left out.
pub(crate) async fn next_to_stop(
    kernel: &Kernel,
    term: Term<Identity>,
    fired: &Fired<'_>,
) -> Result<(Vec<Stored<Identity>>, bool), OpError> {
    let mut next: Vec<Stored<Identity>> = Vec::new();
    let mut pages = kernel.pages(Query::of([term, Identity::STATE.of(IdentityState::Active)]));
    while let Some(found) = pages.next().await? {
        // Those that can be read come first; what can't be is not left behind once there is nothing else.
        let some_unreadable = found.count();
        let rows = found.readable_first()?;
        let some_unreadable = some_unreadable > rows.len();
        next.extend(rows.into_iter().filter(|row| row.deferred_by(fired.trigger, fired.of).is_none()));
        if next.len() > BATCH || (some_unreadable && !next.is_empty()) {
            next.truncate(BATCH);
            return Ok((next, true));
        }
    }
    Ok((next, false))
}

pub(crate) async fn need_ended<'a>(
    kernel: &Kernel,
    identity: &Identity,
    ended: &'a Ended,
    more: &[(&str, Value)],
) -> Result<ByRule<'a>, OpError> {
    let mut evidence =
        facts(json!({"ended": ended.subject, "last_used": work::last_used(kernel, &identity.id.to_string()).await?}));
    evidence.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    Ok(ByRule {
        kind: SuspensionKind::NeedEnded,
        releasable_by: Releaser::Security,
        reason: &ended.reason,
        rule: &rules::NEED_ENDED,
        detail: &ended.subject,
        evidence,
        alert: true,
    })
}

/// Why a sunset suspends.
pub(crate) struct PastSunset {
    reason: String,
    of: String,
    evidence: Map<String, Value>,
}

/// Why a sunset suspends what it concerns.
pub(crate) fn past_sunset(deprecation: &Deprecation) -> PastSunset {
    let of = deprecation.of;
    let instead = deprecation.instead.as_ref().map(|instead| format!("; instead: {instead}")).unwrap_or_default();
    PastSunset {
        reason: format!("the {} {of} is past its sunset of {}{instead}", of.kind(), deprecation.sunset),
        of: of.to_string(),
        evidence: facts(json!({
            "of": of, "deprecated_since": deprecation.deprecated_since, "sunset": deprecation.sunset,
            "reason": deprecation.reason, "instead": deprecation.instead,
        })),
    }
}

impl PastSunset {
    /// What would remove an identity.
    pub(crate) fn as_fired(&self) -> Fired<'_> {
        Fired { trigger: RemovalTrigger::Sunset, of: &self.of, reason: &self.reason }
    }

    /// The suspension that the rule places.
    pub(crate) fn as_rule(&self) -> ByRule<'_> {
        ByRule {
            kind: SuspensionKind::Sunset,
            releasable_by: Releaser::Security,
            reason: &self.reason,
            rule: &rules::PAST_SUNSET,
            detail: &self.of,
            evidence: self.evidence.clone(),
            alert: false,
        }
    }
}

/// What an identity served that is closed: its need, its vendor, its cloud account.
pub(crate) async fn ended_service(kernel: &Kernel, identity: &Identity) -> Result<Option<Ended>, OpError> {
    let charter = &identity.charter;
    if let Some(id) = charter.need
        && kernel.one::<Need>(id).await?.is_some_and(|need| need.standing == Standing::Closed)
    {
        return Ok(Some(Ended::need(id)));
    }
    if let Some(id) = charter.vendor
        && kernel.one::<Vendor>(id).await?.is_some_and(|vendor| vendor.standing == Standing::Closed)
    {
        return Ok(Some(Ended::vendor(id)));
    }
    if let Some(id) = charter.cloud_account
        && kernel.one::<CloudAccount>(id).await?.is_some_and(|account| account.standing == Standing::Closed)
    {
        return Ok(Some(Ended::cloud_account(id)));
    }
    Ok(None)
}

/// What stands in the way of lifting a cause: nobody answers for the identity, what it served has ended, or it still
/// rests on the exception that is over.
pub(crate) async fn may_return(
    kernel: &Kernel,
    identity: &Identity,
    released: Option<SuspensionKind>,
    now: Timestamp,
) -> Result<(), OpError> {
    let owner = match identity.charter.owner {
        Some(owner) => kernel.one::<Person>(owner).await?,
        None => None,
    };
    if identity.transfer.is_none() && !owner.is_some_and(|owner| owner.is_active()) {
        return Err(OpError::because(
            Reason::OwnerNotActive,
            "it has no owner: offer it to somebody who takes it (`tenure transfer start`)",
        ));
    }
    // What waits for the end of an exception goes on until then.
    let waits = !identity.deferred.is_empty() && deferral::in_force(kernel, identity, now).await?.is_some();
    if let Some(deprecation) = deprecated_use::past_sunset(kernel, identity, now).await?.filter(|_| !waits) {
        return Err(OpError::because(
            Reason::NeedEnded,
            format!("{}: have security put that off, or retire it", past_sunset(&deprecation).reason),
        ));
    }
    let outside = match identity.charter.vendor {
        Some(id) => kernel
            .one::<Vendor>(id)
            .await?
            .filter(|vendor| within_contract(&identity.charter, vendor) != identity.charter),
        None => None,
    };
    let outside = outside.map(|vendor| Ended::contract(vendor.id));
    if let Some(ended) = ended_service(kernel, identity).await?.filter(|_| !waits).or(outside) {
        return Err(OpError::because(
            Reason::NeedEnded,
            format!("{}: name what it serves now in its charter by a request, or retire it", ended.reason),
        ));
    }
    if released != Some(SuspensionKind::ExceptionEnded) {
        return Ok(());
    }
    let waived = exceptional::waived(kernel, identity, now).await?;
    for kind in ExceptionType::ALL {
        if rests_on(*kind, &identity.charter) && !waived.iter().any(|waived| waived == kind.as_str()) {
            return Err(OpError::because(
                Reason::NotWaivable,
                format!("no exception {} is in force: narrow its charter, or have another one approved", kind.as_str()),
            ));
        }
    }
    Ok(())
}

/// A suspension was released: idleness counts anew, what was found about it is settled, and it is looked at.
pub(crate) async fn resumed(
    kernel: &Kernel,
    changeset: &mut Changeset,
    identity: &mut Identity,
    now: Timestamp,
) -> Result<(), OpError> {
    identity.resumed_at = Some(now);
    let settled = [
        &rules::DORMANT,
        &rules::NEED_ENDED,
        &rules::EXCEPTION_ENDED,
        &rules::JOIN_TOKEN_REPLAYED,
        &rules::BINDING_BROKEN,
        &rules::PAST_SUNSET,
    ];
    let over: Vec<&Rule> = settled
        .into_iter()
        .filter(|rule| !identity.suspensions.iter().any(|cause| rule_of(cause.kind).is_some_and(|of| of.id == rule.id)))
        .collect();
    finding::no_longer(kernel, changeset, &over, identity.id, "the suspension was released", now).await?;
    watch(changeset, identity, now);
    Ok(())
}

/// What has ended, and why that suspends.
pub(crate) struct Ended {
    pub subject: String,
    pub reason: String,
}

impl Ended {
    pub(crate) fn need(id: NeedId) -> Self {
        Self { subject: id.to_string(), reason: format!("the business need {id} has ended") }
    }

    pub(crate) fn vendor(id: VendorId) -> Self {
        Self { subject: id.to_string(), reason: format!("the contract with the vendor {id} has ended") }
    }

    pub(crate) fn contract(id: VendorId) -> Self {
        Self {
            subject: id.to_string(),
            reason: format!("the contract with the vendor {id} doesn't allow what the charter names"),
        }
    }

    pub(crate) fn cloud_account(id: CloudAccountId) -> Self {
        Self { subject: id.to_string(), reason: format!("the cloud account {id} is closed") }
    }
}

/// The rule whose finding goes with a cause.
fn rule_of(kind: SuspensionKind) -> Option<&'static Rule> {
    match kind {
        SuspensionKind::Dormant => Some(&rules::DORMANT),
        SuspensionKind::NeedEnded => Some(&rules::NEED_ENDED),
        SuspensionKind::ExceptionEnded => Some(&rules::EXCEPTION_ENDED),
        SuspensionKind::JoinTokenReplayed => Some(&rules::JOIN_TOKEN_REPLAYED),
        SuspensionKind::BindingBroken => Some(&rules::BINDING_BROKEN),
        SuspensionKind::ByHand
        | SuspensionKind::TransferLapsed
        | SuspensionKind::ReviewOverdue
        // Resolving it says that the context belongs there: that is more than letting it work again.
        | SuspensionKind::NewContext
        | SuspensionKind::Signalled
        | SuspensionKind::RuleBroken => None,
        SuspensionKind::Sunset => Some(&rules::PAST_SUNSET),
    }
}

fn facts(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use tenure_core::identity::CharterDraft;

    use super::*;
    use crate::log::seal::tests::world;
    use crate::matters::exceptions::tests::active;

    #[tokio::test]
    async fn r76_nothing_that_served_a_need_is_left_behind() {
        let world = world().await;
        let (engine, now) = (&world.engine, world.engine.now());
        let need = NeedId::from_u128(1);
        let serving = CharterDraft { need: Some(need), ..CharterDraft::default() };
        let made = || Changeset::new(system(), now, engine.event(now, EventKind::PersonChanged));
        let mut before = made();
        for id in [1, 2] {
            before.insert(&active(id, serving.clone(), world.admin.person_id().unwrap(), now));
        }
        engine.settle(before).await.unwrap().unwrap();
        let [first, other] = [1, 2].map(IdentityId::from_u128);
        world.spoil::<Identity>(first).await;
        let suspend = async |changeset: &mut Changeset| {
            suspend_all(engine, changeset, Identity::NEED.of(need), &Ended::need(need), &[], now).await
        };
        // What can be read is suspended first; then it isn't done.
        let mut changeset = made();
        assert!(suspend(&mut changeset).await.unwrap(), "there is more");
        engine.settle(changeset).await.unwrap().unwrap();
        assert_eq!(engine.must::<Identity>("identity", other).await.unwrap().state, IdentityState::Suspended);
        assert!(suspend(&mut made()).await.is_err());
    }
}
