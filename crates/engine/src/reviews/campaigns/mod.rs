//! Campaigns: many identities are reviewed by one deadline, for a cadence or for somebody (R95).
//!
//! A worker opens the reviews in batches, those of high tier first. After two thirds of the time whoever has not answered,
//! and who manages them, is told what comes of what is left. At the deadline what nobody answered is suspended, high tier
//! first; where that is more than the campaign's cap, once somebody of security has confirmed it. Until then the reviews
//! are overdue, so nothing of theirs renews.

pub(crate) mod applying;
pub mod cadence;
pub(crate) mod forecast;
pub(crate) mod opening;
pub mod statistics;
pub(crate) mod tally;

use tenure_api::reviews::{CampaignView, CancelCampaign, ConfirmCampaign, NewCampaign};
use tenure_api::views::{Names, Page, Revised};
use tenure_core::base::id::CampaignId;
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::base::state::InState;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::Identity;
use tenure_core::people::person::Role;
use tenure_core::policy::Action;
use tenure_core::request::campaign::{
    CAP, Campaign, CampaignCause, CampaignState, LONGEST, LONGEST_NAME, LONGEST_SCOPE, Progress, SHORTEST, Tally,
};
use tenure_core::request::review::Review;
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::Stored;

use crate::kernel::Kernel;
use crate::kernel::authority::{self, administration, inventory, owns};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::freshness::{self, assurance_fact};
use crate::kernel::notice::notify;
use crate::kernel::operation::{Asked, check_reason};
use crate::kernel::query::{ListAsk, Listed, Query};
use crate::kernel::work::{self, acknowledge, system};
use crate::reviews::campaigns::forecast::forecast_of;

impl Listed for Campaign {
    const NAME: &'static str = "campaign";
}

/// Opens a campaign, or says only what it would come to. Whoever reads `scope` has read it as the inventory does.
///
/// # Errors
/// The caller is neither of security nor an administrator, nobody is in the scope, or something of it is unfit.
pub async fn open_campaign(
    kernel: &Kernel,
    caller: &Caller,
    ask: NewCampaign,
    scope: ListAsk<Identity>,
) -> Result<CampaignView, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Review, "campaign.open", ""), async {
            let by = caller.must_be_person()?;
            may_run(kernel, caller, "")?;
            check(&ask)?;
            let now = kernel.now();
            let due_at = now.plus(ask.due_in.unwrap_or(kernel.settings.review_within));
            let filters = scope.filters.iter().map(ToString::to_string).collect();
            let campaign = Campaign {
                id: CampaignId::generate(now, kernel.entropy.as_ref()),
                name: ask.name.trim().to_owned(),
                cause: CampaignCause::Asked,
                scope: ask.scope.clone(),
                text: scope.text.clone(),
                filters,
                unless_reviewed_since: None,
                opened_by: Some(by),
                reason: ask.reason.clone(),
                opened_at: now,
                due_at,
                no_answer: ask.no_answer,
                cap: ask.cap.unwrap_or(CAP),
                state: InState::default(),
                tally: Tally::default(),
                progress: Progress::default(),
                confirmed_by: None,
                ended_at: None,
            };
            let in_scope = opening::in_scope(kernel, &campaign).await?;
            if in_scope == 0 {
                return Err(OpError::field("scope", "nobody_in_scope", "no identity that works is in this scope"));
            }
            if ask.dry_run {
                return Ok(CampaignView { campaign: unwritten(campaign), in_scope: Some(in_scope), forecast: None });
            }
            let ((), committed) = kernel
                .decide(|| async {
                    let event =
                        opening::started(kernel, &campaign, in_scope, now).fact("assurance", assurance_fact(caller));
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    changeset.insert(&campaign);
                    changeset.due.push(DueChange::Set(DueKind::Campaign, campaign.id.to_string(), now));
                    Ok((changeset, ()))
                })
                .await?;
            let campaign = kernel.changed(campaign, 1, &committed).await?;
            Ok(CampaignView { campaign, in_scope: Some(in_scope), forecast: None })
        })
        .await
}

fn unwritten(campaign: Campaign) -> Revised<Campaign> {
    Revised { record: campaign, revision: 0, hold: None, log: None, names: Names::new() }
}

/// Security and administrators have identities reviewed.
fn may_run(kernel: &Kernel, caller: &Caller, id: &str) -> Result<(), OpError> {
    let about = || inventory("campaign", id, "");
    kernel.allow(caller, Action::Suspend, about(), owns(false)).map(drop).or_else(|refused| {
        let administers = kernel.allow(caller, Action::Administer, about(), administration(false, false));
        administers.map(drop).map_err(|_| refused)
    })
}

fn check(ask: &NewCampaign) -> Result<(), OpError> {
    check_reason(&ask.reason)?;
    let mut problems = Vec::new();
    let mut wrong = |field: &str, code: &str, hint: String| problems.push(FieldProblem::new(field, code, hint));
    let name = ask.name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        wrong("name", "name_unfit", format!("call it something, in at most {LONGEST_NAME} characters"));
    }
    if ask.scope.len() > LONGEST_SCOPE {
        wrong("scope", "too_long", format!("it takes at most {LONGEST_SCOPE} bytes"));
    }
    if ask.due_in.is_some_and(|due_in| !(SHORTEST..=LONGEST).contains(&due_in)) {
        wrong("due_in", "duration_unfit", format!("give {SHORTEST} to {LONGEST}"));
    }
    if ask.cap.is_some_and(|cap| !(1..=1_000_000).contains(&cap)) {
        wrong("cap", "cap_unfit", "let it suspend 1 to 1000000 by itself".to_owned());
    }
    if problems.is_empty() { Ok(()) } else { Err(OpError::Invalid(problems)) }
}

/// A page of campaigns.
///
/// # Errors
/// The caller may not read them.
pub async fn campaigns(
    kernel: &Kernel,
    caller: &Caller,
    ask: ListAsk<Campaign>,
) -> Result<Page<Revised<Campaign>>, OpError> {
    kernel.list(caller, ask).await
}

/// A campaign, with how far it is and what its deadline would do now.
///
/// # Errors
/// No such campaign, or the caller may not read it.
pub async fn campaign(kernel: &Kernel, caller: &Caller, id: CampaignId) -> Result<CampaignView, OpError> {
    let stored = kernel.sought::<Campaign>(caller, Campaign::NAME, id).await?;
    // Whoever is asked by it sees how far it is.
    let is_asked = match caller.person_id() {
        Some(me) => kernel.first(Query::of([Review::REVIEWER.of(me), Review::CAMPAIGN.of(id)])).await?.is_some(),
        None => false,
    };
    authority::may_read(kernel, caller, Campaign::NAME, &id.to_string(), is_asked).await?;
    let reads_all = authority::can_read(kernel, caller, Campaign::NAME, "", false).is_ok();
    let campaign = kernel.record_view(&stored).await?;
    let (mut in_scope, mut forecast) = (None, None);
    match campaign.record.state.get() {
        _ if !reads_all => {}
        CampaignState::Opening => in_scope = Some(opening::in_scope(kernel, &campaign.record).await?),
        CampaignState::Open | CampaignState::Waiting => {
            forecast = Some(forecast_of(kernel, &campaign.record).await?);
        }
        CampaignState::Applying | CampaignState::Closed | CampaignState::Cancelled => {}
    }
    Ok(CampaignView { campaign, in_scope, forecast })
}

/// A person of security has seen what the deadline of a campaign would do, and lets it.
///
/// # Errors
/// It doesn't wait for that, it would do something else by now, or the caller isn't of security or not freshly signed in.
pub async fn confirm_campaign(
    kernel: &Kernel,
    caller: &Caller,
    id: CampaignId,
    ask: ConfirmCampaign,
) -> Result<Revised<Campaign>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Suspend, "campaign.confirm", id), async {
            let by = caller.must_be_person()?;
            let ((campaign, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let fresh = freshness::freshness(kernel, caller, now).await?;
                    let answer = kernel.allow(caller, Action::Suspend, inventory("campaign", id, ""), owns(false))?;
                    if !caller.person().is_some_and(|person| person.holds(Role::Security)) {
                        return Err(OpError::because(Reason::NotAllowed, "somebody of security confirms it"));
                    }
                    let stored = kernel.must::<Campaign>("campaign", id).await?;
                    if stored.state != CampaignState::Waiting {
                        return Err(OpError::because(
                            Reason::IllegalTransition,
                            format!("the campaign is {}: nothing is to be confirmed", stored.state.as_str()),
                        ));
                    }
                    if forecast_of(kernel, &stored).await?.digest != ask.digest {
                        return Err(OpError::refused(Reason::PlanChanged));
                    }
                    let campaign = (*stored.value).clone().apply(Some(by))?;
                    let event = kernel
                        .event(now, EventKind::CampaignConfirmed)
                        .subject(id)
                        .fact("digest", &ask.digest)
                        .fact("identities", stored.tally.waiting())
                        .fact("policies", answer.policies())
                        .fact("assurance", assurance_fact(caller));
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    fresh.expect(&mut changeset);
                    changeset.replace(&stored, &campaign);
                    changeset.due.push(DueChange::Set(DueKind::Campaign, id.to_string(), now));
                    Ok((changeset, (campaign, stored.revision + 1)))
                })
                .await?;
            kernel.changed(campaign, revision, &committed).await
        })
        .await
}

/// Gives a campaign up: its open reviews are closed, and nothing is suspended by it.
///
/// # Errors
/// It is over, or its deadline is being worked off; or the caller may not.
pub async fn cancel_campaign(
    kernel: &Kernel,
    caller: &Caller,
    id: CampaignId,
    ask: CancelCampaign,
) -> Result<Revised<Campaign>, OpError> {
    check_reason(&ask.reason)?;
    kernel
        .recorded(caller, Asked::new(ControlPoint::Review, "campaign.cancel", id), async {
            caller.must_be_person()?;
            let ((campaign, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    // It keeps what was to be looked at: as much as resuming something.
                    let fresh = freshness::freshness(kernel, caller, now).await?;
                    let stored = kernel.must::<Campaign>("campaign", id).await?;
                    may_run(kernel, caller, &id.to_string())?;
                    let campaign = (*stored.value).clone().cancel(now)?;
                    let event = kernel
                        .event(now, EventKind::CampaignCancelled)
                        .subject(id)
                        .fact("reason", &ask.reason)
                        .fact("left", stored.tally.waiting())
                        .fact("assurance", assurance_fact(caller));
                    let text = format!("{id}: its reviews need no answer any more.");
                    let event = notify(event, &[], &[Role::Security], "A campaign of reviews was cancelled", &text);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    fresh.expect(&mut changeset);
                    changeset.replace(&stored, &campaign);
                    changeset.due.push(DueChange::Set(DueKind::Campaign, id.to_string(), now));
                    Ok((changeset, (campaign, stored.revision + 1)))
                })
                .await?;
            kernel.changed(campaign, revision, &committed).await
        })
        .await
}

/// Takes a campaign one step on.
pub(crate) async fn work_campaign(
    kernel: &Kernel,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    if let Some(tier) = cadence::tier_of(&claimed.subject) {
        return Ok(Some(cadence::work_cadence(kernel, claimed, tier, now).await?));
    }
    let Ok(id) = claimed.subject.parse::<CampaignId>() else {
        return Ok(None);
    };
    let Some(stored) = kernel.one::<Campaign>(id).await? else {
        return Ok(None);
    };
    let (mut changeset, next) = match stored.state.get() {
        CampaignState::Opening => opening::opened(kernel, &stored, now).await?,
        CampaignState::Open if now >= stored.due_at && stored.progress.reminded => over(kernel, &stored, now).await?,
        CampaignState::Open if now >= stored.remind_at() && !stored.progress.reminded => {
            applying::reminded(kernel, &stored, now).await?
        }
        CampaignState::Open => {
            let at = if stored.progress.reminded { stored.due_at } else { stored.remind_at() };
            return Ok(Some(work::postponed(kernel, claimed, at, now)));
        }
        CampaignState::Applying => applying::applied(kernel, &stored, now).await?,
        CampaignState::Cancelled if stored.tally.waiting() > 0 => applying::cancelled(kernel, &stored, now).await?,
        CampaignState::Closed if !stored.progress.looked_at => statistics::looked_at(kernel, &stored, now).await?,
        CampaignState::Waiting | CampaignState::Closed | CampaignState::Cancelled => return Ok(None),
    };
    match next {
        Some(at) => changeset.due.push(DueChange::Retry(DueKind::Campaign, claimed.subject.clone(), claimed.fence, at)),
        None => acknowledge(&mut changeset, claimed),
    }
    Ok(Some(changeset))
}

/// The deadline is over: it is applied, or waits for security.
async fn over(
    kernel: &Kernel,
    stored: &Stored<Campaign>,
    now: Timestamp,
) -> Result<(Changeset, Option<Timestamp>), OpError> {
    let waiting = stored.tally.waiting();
    if waiting <= stored.cap {
        let campaign = (*stored.value).clone().apply(None)?;
        let event = kernel.event(now, EventKind::CampaignApplied).subject(stored.id).fact("left", waiting);
        let mut changeset = Changeset::new(system(), now, event);
        changeset.replace(stored, &campaign);
        return Ok((changeset, Some(now)));
    }
    let campaign = (*stored.value).clone().wait()?;
    let event = kernel
        .event(now, EventKind::CampaignWaiting)
        .subject(stored.id)
        .fact("left", waiting)
        .fact("open", &stored.tally.open)
        .fact("cap", stored.cap);
    let text = format!(
        "{}: {waiting} reviews were not answered in time; to {} that many identities at once takes your word. Until \
         then nothing of theirs renews.\nLook: tenure campaign show {}",
        stored.id,
        stored.no_answer.as_str(),
        stored.id
    );
    let event = notify(event, &[], &[Role::Security], "A campaign's deadline waits for you", &text);
    let mut changeset = Changeset::new(system(), now, event);
    changeset.replace(stored, &campaign);
    Ok((changeset, None))
}
