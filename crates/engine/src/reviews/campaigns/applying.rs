//! The deadline of a campaign: announced with what it would do, and then worked off, high tier first.

use std::collections::BTreeMap;

use tenure_core::base::id::PersonId;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::{Identity, IdentityState, RiskTier};
use tenure_core::people::person::{Person, Role};
use tenure_core::request::campaign::{Campaign, NoAnswer};
use tenure_core::request::review::ReviewSubject;
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;

use crate::identities::lifecycle;
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::notice::{MAX_PEOPLE, notify};
use crate::kernel::work::system;
use crate::reviews::campaigns::forecast::{forecast_of, open_of};
use crate::reviews::deadline;

/// Reviews that are worked off in one commit.
const BATCH: u16 = 50;
/// Nobody is suspended who wasn't warned: a campaign whose warning comes too late, the clock having stepped over it,
/// takes that much longer, or a third of its time if that is less.
const GRACE: Span = Span::from_days(1);

/// Whoever still has to answer is told what comes of what is left, and so is who manages them.
pub(crate) async fn reminded(
    kernel: &Kernel,
    stored: &Stored<Campaign>,
    now: Timestamp,
) -> Result<(Changeset, Option<Timestamp>), OpError> {
    let mut campaign = (*stored.value).clone();
    campaign.progress.reminded = true;
    let third = Span::from_secs(campaign.due_at.since(campaign.opened_at).as_secs() / 3);
    campaign.due_at = campaign.due_at.max(now.plus(GRACE.min(third)));
    let mut left: BTreeMap<PersonId, u64> = BTreeMap::new();
    let mut pages = kernel.pages(open_of(stored.id).limit(1_000));
    while let Some(found) = pages.next().await? {
        for review in found.readable() {
            if let Some(reviewer) = review.reviewer {
                let count = left.entry(reviewer).or_default();
                *count = count.saturating_add(1);
            }
        }
    }
    let forecast = forecast_of(kernel, stored).await?;
    let event = kernel
        .event(now, EventKind::CampaignReminded)
        .subject(stored.id)
        .fact("left", forecast.identities)
        .fact("high", forecast.high)
        .fact("beyond_cap", forecast.beyond_cap)
        .fact("due_at", campaign.due_at);
    let mut changeset = Changeset::new(system(), now, event);
    let (id, due, deed) = (stored.id, campaign.due_at, stored.no_answer.as_str());
    let mut above: BTreeMap<PersonId, u64> = BTreeMap::new();
    for (reviewer, count) in left {
        let manager = kernel.one::<Person>(reviewer).await?.and_then(|reviewer| reviewer.manager);
        if let Some(manager) = manager {
            let theirs = above.entry(manager).or_default();
            *theirs = theirs.saturating_add(count);
        }
        let text = format!(
            "{id}: {count} reviews wait for you until {due}. What nobody answers then: {deed}.\n\
             Answer: tenure review list --state open --campaign {id}"
        );
        let event = kernel.event(now, EventKind::CampaignReminded).subject(id).subject(reviewer).fact("left", count);
        changeset.event(notify(event, &[reviewer], &[], "Reviews still wait for your answer", &text));
    }
    for (manager, count) in above {
        let text = format!(
            "{id}: {count} reviews of people whom you manage were not answered. You may answer for them until {due}.\n\
             Look: tenure campaign show {id}"
        );
        let event = kernel.event(now, EventKind::CampaignReminded).subject(id).subject(manager).fact("left", count);
        changeset.event(notify(event, &[manager], &[], "Reviews of your people wait", &text));
    }
    let text = format!(
        "{id}: if nobody answers until {due}, {} identities end as agreed ({deed}), {} of them of high tier.\n\
         Look: tenure campaign show {id}",
        forecast.identities, forecast.high
    );
    let event = kernel.event(now, EventKind::CampaignReminded).subject(id).fact("first", &forecast.first);
    changeset.event(notify(event, &[], &[Role::Security], "What a campaign's deadline would do", &text));
    changeset.replace(stored, &campaign);
    Ok((changeset, Some(campaign.due_at)))
}

/// Works a batch off; without any left, the campaign is over.
pub(crate) async fn applied(
    kernel: &Kernel,
    stored: &Stored<Campaign>,
    now: Timestamp,
) -> Result<(Changeset, Option<Timestamp>), OpError> {
    let found = kernel.find(open_of(stored.id).limit(BATCH).after(stored.progress.after.clone())).await?;
    let next = found.next();
    let mut campaign = (*stored.value).clone();
    let mut changeset = Changeset::new(system(), now, kernel.event(now, EventKind::CampaignApplied).subject(stored.id));
    let mut owners: Vec<PersonId> = Vec::new();
    for review in found.readable() {
        let ReviewSubject::Identity(id) = review.subject else { continue };
        let tier = review.tier.unwrap_or(RiskTier::High);
        let identity = kernel.one::<Identity>(id).await?;
        let works =
            |identity: &Stored<Identity>| matches!(identity.state, IdentityState::Active | IdentityState::Suspended);
        campaign.tally.take(tier);
        let Some(identity) = identity.filter(works) else {
            let event = kernel.event(now, EventKind::ReviewClosed).subject(review.id).subject(id);
            changeset.event(event).replace(&review, &(*review.value).clone().close()?);
            campaign.tally.closed = campaign.tally.closed.saturating_add(1);
            continue;
        };
        if let Some(until) = deadline::may_be_late_until(kernel, &identity, now).await?.filter(|until| *until > now) {
            changeset.expect(&review).due.push(DueChange::Set(DueKind::Review, review.id.to_string(), until));
            campaign.tally.late = campaign.tally.late.saturating_add(1);
            continue;
        }
        let event = kernel.event(now, EventKind::ReviewLapsed).subject(review.id).subject(id).subject(stored.id);
        changeset.event(event.fact("trigger", review.trigger));
        changeset.replace(&review, &(*review.value).clone().lapse()?);
        campaign.tally.lapsed = campaign.tally.lapsed.saturating_add(1);
        owners.extend(identity.charter.owner);
        match stored.no_answer {
            NoAnswer::Suspend => {
                let cause = deadline::overdue(review.id, now);
                lifecycle::suspend_in(kernel, &mut changeset, &identity, cause, now).await?;
            }
            NoAnswer::Retire => {
                let why = format!("{} was not answered in time", review.id);
                lifecycle::retire_in(kernel, &mut changeset, &identity, "review", &why, now).await?;
            }
        }
    }
    tell(kernel, &mut changeset, stored, owners, now);
    campaign.progress.after.clone_from(&next);
    if next.is_none() {
        campaign = campaign.close(now)?;
        changeset.event(kernel.event(now, EventKind::CampaignClosed).subject(stored.id).fact("tally", &campaign.tally));
    }
    changeset.replace(stored, &campaign);
    Ok((changeset, Some(now)))
}

fn tell(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Campaign>,
    mut owners: Vec<PersonId>,
    now: Timestamp,
) {
    owners.sort_unstable();
    owners.dedup();
    owners.truncate(MAX_PEOPLE);
    if owners.is_empty() {
        return;
    }
    let text = match stored.no_answer {
        NoAnswer::Suspend => "What you own and nobody reviewed in time is suspended. Whoever owns it may resume it.",
        NoAnswer::Retire => "What you own and nobody reviewed in time is retired.",
    };
    let text = format!("{}: {text}\nLook: tenure review list --campaign {} --state lapsed", stored.id, stored.id);
    let event = kernel.event(now, EventKind::CampaignApplied).subject(stored.id).fact("told", owners.len());
    changeset.event(notify(event, &owners, &[], "Identities ended for overdue reviews", &text));
}

/// Closes a batch of the reviews of a campaign that was given up.
pub(crate) async fn cancelled(
    kernel: &Kernel,
    stored: &Stored<Campaign>,
    now: Timestamp,
) -> Result<(Changeset, Option<Timestamp>), OpError> {
    let found = kernel.find(open_of(stored.id).limit(BATCH * 4)).await?;
    let more = found.next().is_some();
    let mut campaign = (*stored.value).clone();
    let event = kernel.event(now, EventKind::CampaignWorkedOn).subject(stored.id);
    let mut changeset = Changeset::new(system(), now, event);
    for review in found.readable() {
        campaign.tally.take(review.tier.unwrap_or(RiskTier::High));
        campaign.tally.closed = campaign.tally.closed.saturating_add(1);
        let event = kernel.event(now, EventKind::ReviewClosed).subject(review.id).fact("cancelled", stored.id);
        changeset.event(event).replace(&review, &(*review.value).clone().close()?);
    }
    if !more {
        campaign.tally.open.clear();
    }
    changeset.replace(stored, &campaign);
    Ok((changeset, more.then_some(now)))
}
