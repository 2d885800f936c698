//! How reviewers answered: who answers in seconds, and keeps everything, hasn't looked. Figures about a person are for
//! themselves, their manager and auditors.

use std::collections::BTreeMap;

use serde_json::{Map, json};
use tenure_api::reviews::{CampaignStatistics, ReviewerFigures};
use tenure_api::views::Names;
use tenure_core::base::id::{CampaignId, PersonId};
use tenure_core::base::time::Timestamp;
use tenure_core::finding::rules;
use tenure_core::people::person::Person;
use tenure_core::policy::Action;
use tenure_core::request::campaign::Campaign;
use tenure_core::request::review::{Review, ReviewAnswer, ReviewState};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;

use crate::kernel::authority::{inventory, owns};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::Asked;
use crate::kernel::query::Query;
use crate::kernel::work::system;
use crate::kernel::{Kernel, finding};

/// From so many answers on, all of them to keep, it counts how fast they came.
pub(crate) const MANY: usize = 20;
/// Answers that come faster than this, in seconds, were not looked at.
pub(crate) const FAST: u64 = 5;

/// Answers that one question for figures reads, at most.
const MOST_ANSWERS: usize = 20_000;
/// People whose figures their manager is told, at most.
const MOST_REPORTS: u16 = 200;

/// How a campaign was answered, by each reviewer whose figures are the caller's to see.
///
/// # Errors
/// No such campaign, or the caller is no person.
pub async fn statistics(kernel: &Kernel, caller: &Caller, id: CampaignId) -> Result<CampaignStatistics, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Use, "campaign.statistics", id), async {
            let me = caller.must_be_person()?;
            caller.token_allows(Action::Read)?;
            kernel.must::<Campaign>("campaign", id).await?;
            let sees_all = kernel.allow(caller, Action::Audit, inventory("log", "", ""), owns(false)).is_ok();
            let mut answers = Answers::default();
            if sees_all {
                let answered = [Review::CAMPAIGN.of(id), Review::STATE.of(ReviewState::Answered)];
                answers.read(kernel, Query::of(answered), MOST_ANSWERS).await?;
            } else {
                let reports = kernel.find(Query::of([Person::MANAGER.of(me)]).limit(MOST_REPORTS)).await?;
                answers.capped |= reports.next().is_some();
                let reports: Vec<PersonId> = reports.readable().iter().map(|person| person.id).collect();
                for reviewer in std::iter::once(me).chain(reports) {
                    let theirs = [Review::CAMPAIGN.of(id), Review::ANSWERED_BY.of(reviewer)];
                    answers.read(kernel, Query::of(theirs), MOST_ANSWERS).await?;
                }
            }
            let capped = answers.capped;
            Ok(CampaignStatistics { reviewers: answers.figures(), capped, names: Names::new() })
        })
        .await
}

/// Answers that were read, by whoever gave them.
#[derive(Default)]
struct Answers {
    by: BTreeMap<PersonId, Vec<(Timestamp, ReviewAnswer)>>,
    read: usize,
    /// Whether there are more.
    capped: bool,
}

impl Answers {
    /// Reads what is answered of these, until so many were read altogether.
    async fn read(&mut self, kernel: &Kernel, query: Query<Review>, most: usize) -> Result<(), OpError> {
        let mut pages = kernel.pages(query.limit(1_000));
        while let Some(found) = pages.next().await? {
            if self.read >= most {
                self.capped = true;
                return Ok(());
            }
            for review in found.readable() {
                self.read += 1;
                if let Some(answered) = &review.answer {
                    self.by.entry(answered.by).or_default().push((answered.at, answered.answer));
                }
            }
        }
        Ok(())
    }

    fn figures(self) -> Vec<ReviewerFigures> {
        self.by.into_iter().map(|(reviewer, answers)| figures(reviewer, answers)).collect()
    }
}

/// Looks at how a campaign was answered, once it is over: whoever answered without looking is a finding of the campaign,
/// which names nobody.
pub(crate) async fn looked_at(
    kernel: &Kernel,
    stored: &Stored<Campaign>,
    now: Timestamp,
) -> Result<(Changeset, Option<Timestamp>), OpError> {
    // By the worker, once, of all of it.
    let mut answers = Answers::default();
    answers.read(kernel, Query::of([Review::CAMPAIGN.of(stored.id)]), usize::MAX).await?;
    let figures = answers.figures();
    let rubber_stamped: Vec<&ReviewerFigures> = figures.iter().filter(|figures| figures.rubber_stamped).collect();
    let answers: u64 = rubber_stamped.iter().map(|figures| figures.answered).sum();
    let event = kernel.event(now, EventKind::CampaignWorkedOn).subject(stored.id);
    let event = event.fact("reviewers", figures.len()).fact("rubber_stamped", rubber_stamped.len());
    let mut changeset = Changeset::new(system(), now, event);
    if !rubber_stamped.is_empty() {
        let mut evidence = Map::new();
        evidence.insert("reviewers".to_owned(), json!(rubber_stamped.len()));
        evidence.insert("of".to_owned(), json!(figures.len()));
        evidence.insert("answers".to_owned(), json!(answers));
        finding::raise(kernel, &mut changeset, &rules::RUBBER_STAMPED, stored.id, "", evidence, now).await?;
    }
    let mut campaign = (*stored.value).clone();
    campaign.progress.looked_at = true;
    changeset.replace(stored, &campaign);
    Ok((changeset, None))
}

fn figures(reviewer: PersonId, mut answers: Vec<(Timestamp, ReviewAnswer)>) -> ReviewerFigures {
    answers.sort_by_key(|(at, _)| *at);
    let kept = answers.iter().filter(|(_, answer)| *answer == ReviewAnswer::Keep).count();
    let mut between: Vec<u64> = answers
        .windows(2)
        .filter_map(|pair| match pair {
            [(before, _), (after, _)] => u64::try_from(after.since(*before).as_secs()).ok(),
            _ => None,
        })
        .collect();
    between.sort_unstable();
    let median_secs = between.get(between.len() / 2).copied();
    let rubber_stamped =
        answers.len() >= MANY && kept == answers.len() && median_secs.is_some_and(|median| median < FAST);
    ReviewerFigures { reviewer, answered: answers.len() as u64, kept: kept as u64, median_secs, rubber_stamped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_answers_that_keep_everything_within_seconds_are_no_review() {
        let answers = |count: i64, every: i64, answer: ReviewAnswer| {
            (0..count).map(|n| (Timestamp::from_secs(n * every), answer)).collect::<Vec<_>>()
        };
        let of = |answers| figures(PersonId::from_u128(1), answers);
        assert!(of(answers(20, 2, ReviewAnswer::Keep)).rubber_stamped);
        assert!(!of(answers(19, 2, ReviewAnswer::Keep)).rubber_stamped);
        assert!(!of(answers(20, 30, ReviewAnswer::Keep)).rubber_stamped);
        assert!(!of(answers(20, 2, ReviewAnswer::Revoke)).rubber_stamped);
        // A single one that is taken away says that somebody looked.
        let mut looked = answers(20, 2, ReviewAnswer::Keep);
        looked.push((Timestamp::from_secs(60), ReviewAnswer::Narrow));
        let figures = of(looked);
        assert_eq!((figures.answered, figures.kept, figures.median_secs), (21, 20, Some(2)));
        assert!(!figures.rubber_stamped);
        assert_eq!(of(answers(1, 1, ReviewAnswer::Keep)).median_secs, None);
    }
}
