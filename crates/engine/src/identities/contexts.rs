//! New contexts: what an identity is used in, held against the contexts that it is known in (R57, R104, R111).
//!
//! It is looked at some seconds after the use, apart from it: no decision waits for that, and the use that was new was
//! answered already. What follows is a finding, and for those whose approval rests on how they behave a review or a hold.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tenure_api::requests::Because;
use tenure_api::usage::ContextsView;
use tenure_core::base::id::IdentityId;
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::finding::{Finding, Rule, rules};
use tenure_core::identity::context::{Baseline, ContextDimension, NewContext, NewContextPolicy, SeenContext};
use tenure_core::identity::{Identity, IdentityState, Kind, Releaser, SuspensionKind};
use tenure_core::people::person::Role;
use tenure_core::request::review::{Review, ReviewState, ReviewSubject, ReviewTrigger};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::{Actor, ControlPoint};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_core::store::use_note::{UseChange, UseKey, UsePart};

use crate::identities::dormancy::{self, ByRule};
use crate::identities::review_opening::{open_review, reviewer_of};
use crate::kernel::Kernel;
use crate::kernel::authority::{inventory, owns};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::finding::{self, COUNTED_EVERY};
use crate::kernel::operation::{Asked, check_reason};
use crate::kernel::query::Query;
use crate::kernel::sightings::Met;
use crate::kernel::tallies::day_of;

/// Identities whose baselines are read at once.
const CHUNK: usize = 200;
/// Open findings of new contexts that one identity has; more of them say nothing more.
const MOST_FINDINGS: usize = 8;
const RULES: [&Rule; 2] = [&rules::NEW_CONTEXT, &rules::NEW_CONTEXT_STALE_KEY];

/// Looks at the contexts in which identities were met since the last look; returns how many were new.
///
/// # Errors
/// The store can't be read or written: what was met is looked at when it is met again.
pub async fn look_at_contexts(kernel: &Kernel) -> Result<usize, OpError> {
    let mut met: Vec<(IdentityId, BTreeMap<SeenContext, Met>)> = kernel.take_contexts().into_iter().collect();
    met.sort_unstable_by_key(|(identity, _)| *identity);
    let mut found = 0;
    for chunk in met.chunks(CHUNK) {
        let keys: Vec<UseKey> = chunk.iter().map(|(identity, _)| key(*identity)).collect();
        let stand = kernel.store.use_notes().read_notes(&keys).await?;
        let mut changes = Vec::new();
        for ((identity, seen), before) in chunk.iter().zip(stand) {
            let began = seen.values().map(|met| met.at).min().unwrap_or_else(|| kernel.now());
            let known = before.as_deref().and_then(Baseline::unpack);
            let mut baseline = known.unwrap_or_else(|| Baseline::begun(began));
            found += meet_all(kernel, *identity, &mut baseline, seen).await?;
            let after = Some(baseline.pack());
            if after != before {
                changes.push(UseChange { key: key(*identity), before, after });
            }
        }
        kernel.store.use_notes().change_notes(&changes).await?;
    }
    Ok(found)
}

const fn key(identity: IdentityId) -> UseKey {
    UseKey { part: UsePart::Contexts, identity }
}

async fn meet_all(
    kernel: &Kernel,
    identity: IdentityId,
    baseline: &mut Baseline,
    seen: &BTreeMap<SeenContext, Met>,
) -> Result<usize, OpError> {
    let mut found = 0;
    // How much it is used at once is told of all contexts together.
    let times = seen.values().fold(0_u32, |sum, met| sum.saturating_add(met.times));
    for (seen, met) in seen {
        let seen = SeenContext { times, ..seen.clone() };
        for new in baseline.meet(&seen, met.at, day_of(met.at)) {
            if belongs(kernel, identity, &new).await? {
                baseline.accept(&new, day_of(met.at));
            } else if note_new(kernel, identity, &new, met).await? {
                found += 1;
            }
        }
    }
    Ok(found)
}

fn detail_of(new: &NewContext) -> String {
    format!("{} {}", new.dimension.as_str(), new.new)
}

/// Whether a person resolved the last finding about it: then it belongs there.
async fn belongs(kernel: &Kernel, identity: IdentityId, new: &NewContext) -> Result<bool, OpError> {
    let detail = detail_of(new);
    let mut last: Option<Stored<Finding>> = None;
    for rule in RULES {
        let mut pages = kernel.pages(Query::of([Finding::SUBJECT.of(identity.to_string()), Finding::RULE.of(rule.id)]));
        while let Some(found) = pages.next().await? {
            let about = found.readable().into_iter().filter(|finding| finding.detail == detail);
            last = last.into_iter().chain(about).max_by_key(|finding| finding.id);
        }
    }
    Ok(last.is_some_and(|last| last.resolved.as_ref().is_some_and(|resolved| resolved.by.is_some())))
}

/// Records a new context with what follows from it; whether it is one that wasn't known yet.
async fn note_new(kernel: &Kernel, id: IdentityId, new: &NewContext, met: &Met) -> Result<bool, OpError> {
    for _ in 0..4 {
        let now = kernel.now();
        let Some(stored) = kernel.one::<Identity>(id).await? else { return Ok(false) };
        if !matches!(stored.state, IdentityState::Active | IdentityState::Suspended) {
            return Ok(false);
        }
        let stale = is_stale(&stored, met, now);
        let rule = if stale { &rules::NEW_CONTEXT_STALE_KEY } else { &rules::NEW_CONTEXT };
        let detail = detail_of(new);
        let open = finding::open_findings(kernel, &id.to_string()).await?;
        let of_rule: Vec<_> = open.iter().filter(|open| RULES.iter().any(|rule| rule.id == open.rule)).collect();
        if let Some(known) = of_rule.iter().find(|open| open.detail == detail) {
            if now.since(known.last_seen_at) < COUNTED_EVERY {
                return Ok(false);
            }
            let seen = seen_event(kernel, id, &known.evidence, now);
            let mut changeset = Changeset::new(Actor::System { part: "contexts".into() }, now, seen);
            finding::count_again(kernel, &mut changeset, known, known.evidence.clone(), now);
            kernel.settle(changeset).await?;
            return Ok(false);
        }
        if of_rule.len() >= MOST_FINDINGS {
            return Ok(false);
        }
        let evidence = evidence_of(new, met, stale);
        let seen = seen_event(kernel, id, &evidence, now);
        let mut changeset = Changeset::new(Actor::System { part: "contexts".into() }, now, seen);
        follow(kernel, &mut changeset, &stored, Followed { rule, detail: &detail, evidence, stale }, now).await?;
        match kernel.settle(changeset).await {
            Ok(Some(_)) => return Ok(true),
            // Somebody else opened the same one.
            Err(OpError::Taken { .. }) => return Ok(false),
            Ok(None) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

fn seen_event(
    kernel: &Kernel,
    id: IdentityId,
    evidence: &Map<String, Value>,
    now: Timestamp,
) -> tenure_core::store::event::Event {
    kernel.event(now, EventKind::IdentityContextNew).subject(id).fact("evidence", evidence)
}

/// Whether the key that was shown is in use for longer than the charter or the tier lets it be.
fn is_stale(identity: &Identity, met: &Met, now: Timestamp) -> bool {
    let ceiling = identity.ceilings().key_stale_after;
    let most = identity.charter.rotation_cadence.map_or(ceiling, |cadence| cadence.min(ceiling));
    met.key_since.is_some_and(|since| now.since(since) > most)
}

fn evidence_of(new: &NewContext, met: &Met, stale: bool) -> Map<String, Value> {
    let evidence = json!({
        "dimension": new.dimension, "known": new.known, "new": new.new, "times": met.times, "at": met.at,
        "key_since": met.key_since, "stale_key": stale,
    });
    match evidence {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

struct Followed<'a> {
    rule: &'static Rule,
    detail: &'a str,
    evidence: Map<String, Value>,
    stale: bool,
}

/// What follows from a new context: the finding, told to its owner and to security, and what the policy says.
async fn follow(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Identity>,
    new: Followed<'_>,
    now: Timestamp,
) -> Result<(), OpError> {
    let policy = if rests_on_behaviour(stored) { kernel.settings.new_context } else { NewContextPolicy::Note };
    let holds = policy == NewContextPolicy::Hold || (policy == NewContextPolicy::Reapprove && new.stale);
    let held = stored.suspensions.iter().any(|cause| cause.kind == SuspensionKind::NewContext);
    if holds && !held {
        let by = ByRule {
            kind: SuspensionKind::NewContext,
            releasable_by: Releaser::Security,
            reason: &format!("it was used in a context that it isn't known in: {}", new.detail),
            rule: new.rule,
            detail: new.detail,
            evidence: new.evidence,
            alert: true,
        };
        return dormancy::suspend_by_rule(kernel, changeset, stored, by, now).await;
    }
    finding::raise(kernel, changeset, new.rule, stored.id, new.detail, new.evidence, now).await?;
    let owner: Vec<_> = stored.charter.owner.into_iter().collect();
    let text = format!(
        "{}: it was used in a context that it isn't known in: {}.\nLook: tenure finding list --subject {}",
        stored.id, new.detail, stored.id
    );
    finding::tell(changeset, &owner, &[Role::Security], "An identity was used in a new context", &text);
    if policy != NewContextPolicy::Note {
        ask_again(kernel, changeset, stored, now).await?;
    }
    Ok(())
}

/// Whose approval rests on how they behave: agents, what vendors operate, and what several share (R111).
fn rests_on_behaviour(identity: &Identity) -> bool {
    let charter = &identity.charter;
    identity.kind == Kind::Agent || charter.vendor.is_some() || charter.shared.is_some()
}

/// Whoever answers for it is asked whether it is still needed as it is; one review of this at a time.
async fn ask_again(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Identity>,
    now: Timestamp,
) -> Result<(), OpError> {
    let trigger = ReviewTrigger::NewContext;
    let open =
        Query::of([Review::IDENTITY.of(stored.id), Review::STATE.of(ReviewState::Open), Review::TRIGGER.of(trigger)]);
    if kernel.find(open.limit(1)).await?.readable().is_empty() {
        open_review(kernel, changeset, ReviewSubject::Identity(stored.id), trigger, reviewer_of(stored), now);
    }
    Ok(())
}

/// What an identity is known in.
pub(crate) async fn contexts_view(kernel: &Kernel, id: IdentityId) -> Result<Option<ContextsView>, OpError> {
    let mut stand = kernel.store.use_notes().read_notes(&[key(id)]).await?;
    let baseline = stand.pop().flatten().and_then(|body| Baseline::unpack(&body));
    Ok(baseline.map(|baseline| ContextsView {
        learnt_since: baseline.began(),
        learns_until: baseline.learns_until(),
        networks: baseline.known(ContextDimension::Network),
        clients: baseline.known(ContextDimension::Client),
        workloads: baseline.known(ContextDimension::Workload),
        tasks: baseline.known(ContextDimension::Task),
        orders: baseline.known(ContextDimension::Order),
        hours: baseline.known(ContextDimension::Hour),
        rate: baseline.known(ContextDimension::Rate).pop().unwrap_or_default(),
    }))
}

/// Has what an identity is known in forgotten, and learnt anew: a baseline that was learnt from an attack, say. By
/// security.
///
/// # Errors
/// No such identity, no reason, or the caller may not.
pub async fn forget_contexts(kernel: &Kernel, caller: &Caller, id: IdentityId, ask: Because) -> Result<(), OpError> {
    check_reason(&ask.reason)?;
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "identity.forget_contexts", id), async {
            kernel.allow(caller, tenure_core::policy::Action::Suspend, inventory("identity", id, ""), owns(false))?;
            kernel
                .decide(|| async {
                    let stored = kernel.must::<Identity>("identity", id).await?;
                    let now = kernel.now();
                    let event =
                        kernel.event(now, EventKind::IdentityContextsForgotten).subject(id).fact("reason", &ask.reason);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    changeset.expect(&stored);
                    Ok((changeset, ()))
                })
                .await?;
            let before = kernel.store.use_notes().read_notes(&[key(id)]).await?.pop().flatten();
            let change = UseChange { key: key(id), before, after: None };
            match kernel.store.use_notes().change_notes(&[change]).await?.as_slice() {
                [true] => Ok(()),
                _ => Err(OpError::because(Reason::IllegalTransition, "it is being learnt just now: try again")),
            }
        })
        .await
}

#[cfg(test)]
mod tests;
