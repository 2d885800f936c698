//! The opening of a campaign: its identities are found by the index of records, those of high tier first, and their
//! reviews opened in batches.

use std::collections::BTreeSet;

use tenure_core::base::id::{IdentityId, PersonId, ReviewId};
use tenure_core::base::state::InState;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::people::person::Role;
use tenure_core::request::campaign::{Campaign, CampaignCause};
use tenure_core::request::review::{Review, ReviewState, ReviewSubject, ReviewTrigger};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::document::Order;
use tenure_core::store::event::Event;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::{RowKind, Stored};

use crate::identities::review_opening::reviewer_of;
use crate::kernel::error::OpError;
use crate::kernel::notice::{MAX_PEOPLE, notify};
use crate::kernel::query::Query;
use crate::kernel::search::ask::{AGAIN_AFTER, Answer, Question, ask};
use crate::kernel::work::system;
use crate::kernel::{Kernel, search};

/// Identities that are looked at in one commit.
const BATCH: usize = 400;

/// How many identities are in the scope of a campaign now.
pub(crate) async fn in_scope(kernel: &Kernel, campaign: &Campaign) -> Result<u64, OpError> {
    Ok(found(kernel, campaign, None, 1).await?.count)
}

/// That a campaign begins. Its name and its scope are words of somebody's: they stand in the record.
pub(crate) fn started(kernel: &Kernel, campaign: &Campaign, in_scope: u64, now: Timestamp) -> Event {
    kernel
        .event(now, EventKind::CampaignStarted)
        .subject(campaign.id)
        .fact("cause", campaign.cause)
        .fact("opened_by", campaign.opened_by)
        .fact("filters", &campaign.filters)
        .fact("in_scope", in_scope)
        .fact("due_at", campaign.due_at)
        .fact("no_answer", campaign.no_answer)
        .fact("cap", campaign.cap)
        .fact("reason", &campaign.reason)
}

/// Opens a batch of reviews, or says that all are open.
pub(crate) async fn opened(
    kernel: &Kernel,
    stored: &Stored<Campaign>,
    now: Timestamp,
) -> Result<(Changeset, Option<Timestamp>), OpError> {
    let mut campaign = (*stored.value).clone();
    let answer = found(kernel, stored, campaign.progress.after.clone(), BATCH).await?;
    let mut reviewers: BTreeSet<PersonId> = BTreeSet::new();
    let (mut unowned, mut reviews) = (false, Vec::new());
    for identity in readable(kernel, &answer).await? {
        if campaign.unless_reviewed_since.is_some_and(|since| identity.reviewed_at >= Some(since)) {
            continue;
        }
        if has_open(kernel, identity.id).await? {
            campaign.tally.passed_over = campaign.tally.passed_over.saturating_add(1);
            continue;
        }
        let review = review_of(kernel, &campaign, &identity, now);
        match review.reviewer {
            Some(reviewer) => drop(reviewers.insert(reviewer)),
            None => unowned = true,
        }
        campaign.tally.add(identity.tier);
        reviews.push(review);
    }
    let is_all = answer.next.is_none();
    campaign.progress.after = answer.next;
    let kind = if is_all { EventKind::CampaignOpened } else { EventKind::CampaignWorkedOn };
    if is_all {
        campaign = campaign.all_open(now)?;
    }
    let event = kernel.event(now, kind).subject(stored.id).fact("opened", campaign.tally.opened);
    let first = !is_told_of(kernel, stored, &mut reviewers).await? && unowned;
    let to: Vec<PersonId> = reviewers.into_iter().take(MAX_PEOPLE).collect();
    let roles: &[Role] = if first { &[Role::Security] } else { &[] };
    let text = format!(
        "{}: what you answer for is reviewed until {}. What nobody answers then: {}.\n\
         Answer: tenure review list --state open --campaign {}",
        stored.id,
        stored.due_at,
        stored.no_answer.as_str(),
        stored.id
    );
    let event = match to.is_empty() && roles.is_empty() {
        true => event,
        false => notify(event, &to, roles, "Reviews wait for your answer", &text),
    };
    let mut changeset = Changeset::new(system(), now, event);
    for review in &reviews {
        let ReviewSubject::Identity(identity) = review.subject else { continue };
        let event = kernel
            .event(now, EventKind::ReviewOpened)
            .subject(review.id)
            .subject(identity)
            .subject(stored.id)
            .fact("trigger", review.trigger)
            .fact("reviewer", review.reviewer)
            .fact("due_at", review.due_at);
        changeset.event(event).insert(review);
    }
    changeset.replace(stored, &campaign);
    let next = if campaign.state.is_over() {
        None
    } else if is_all {
        Some(campaign.remind_at())
    } else {
        Some(now)
    };
    Ok((changeset, next))
}

/// Takes those out who were told of the campaign by an earlier batch; true if security was.
async fn is_told_of(kernel: &Kernel, campaign: &Campaign, reviewers: &mut BTreeSet<PersonId>) -> Result<bool, OpError> {
    let of = Query::of([Review::CAMPAIGN.of(campaign.id)]).limit(1);
    let is_begun = kernel.first(of).await?.is_some();
    if is_begun {
        for reviewer in reviewers.clone() {
            let theirs = Query::of([Review::CAMPAIGN.of(campaign.id), Review::REVIEWER.of(reviewer)]);
            if kernel.first(theirs.limit(1)).await?.is_some() {
                reviewers.remove(&reviewer);
            }
        }
    }
    Ok(is_begun)
}

fn review_of(kernel: &Kernel, campaign: &Campaign, identity: &Identity, now: Timestamp) -> Review {
    Review {
        id: ReviewId::generate(now, kernel.entropy.as_ref()),
        subject: ReviewSubject::Identity(identity.id),
        trigger: match campaign.cause {
            CampaignCause::Asked => ReviewTrigger::Campaign,
            CampaignCause::CadenceLow | CampaignCause::CadenceMedium | CampaignCause::CadenceHigh => {
                ReviewTrigger::Cadence
            }
        },
        reviewer: reviewer_of(identity),
        opened_at: now,
        due_at: campaign.due_at,
        state: InState::default(),
        answer: None,
        privileges: Vec::new(),
        light: false,
        campaign: Some(campaign.id),
        tier: Some(identity.tier),
        handed_over: Vec::new(),
    }
}

/// Whether a review of a campaign or a cadence is open for it.
async fn has_open(kernel: &Kernel, identity: IdentityId) -> Result<bool, OpError> {
    // By the one term that few bear: a question by all of them would count each, for each identity of the campaign.
    let mut theirs = kernel.pages(Query::of([Review::IDENTITY.of(identity)]).newest_first(true));
    while let Some(found) = theirs.next().await? {
        // One that can't be read may be open: none is opened beside it.
        let covers = |review: &Stored<Review>| {
            review.state == ReviewState::Open
                && matches!(review.trigger, ReviewTrigger::Campaign | ReviewTrigger::Cadence)
        };
        if found.whole()?.iter().any(covers) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn readable(kernel: &Kernel, answer: &Answer) -> Result<Vec<Stored<Identity>>, OpError> {
    let (rows, _) = search::readable(kernel, RowKind::Identity, &answer.ids).await?;
    let mut identities = Vec::with_capacity(rows.len());
    for row in rows {
        // What was altered is told by the state's own check, and is no reason for not reviewing the others.
        let Ok(identity) = row.decode::<Identity>() else { continue };
        if matches!(identity.state, IdentityState::Active | IdentityState::Suspended) {
            identities.push(identity);
        }
    }
    Ok(identities)
}

/// What the scope finds: of it, what is active or suspended.
async fn found(kernel: &Kernel, campaign: &Campaign, after: Option<String>, limit: usize) -> Result<Answer, OpError> {
    let works = [IdentityState::Active, IdentityState::Suspended].map(|state| Identity::STATE.of(state).to_string());
    let mut filters: Vec<Vec<String>> = campaign.filters.iter().map(|filter| vec![filter.clone()]).collect();
    filters.push(works.to_vec());
    let question = Question {
        kind: RowKind::Identity,
        filters,
        text: campaign.text.clone().unwrap_or_default(),
        whole: None,
        order: Order::Risk,
        descending: true,
        after,
        limit,
    };
    ask(kernel, &question).await?.ok_or(OpError::SearchBuilding { retry_after: AGAIN_AFTER })
}
