//! Reviews.

use clap::Subcommand;
use tenure_api::reviews::{ReviewCompleted, ReviewDeed, SeveralReviews};
use tenure_core::base::id::{CampaignId, IdentityId, PersonGrantId, PersonId, ReviewId};
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::request::review::ReviewAnswer;

use super::context::{Context, confirm, word};
use super::directory::filtered;
use super::output::{Column, Paging};

const REVIEWS: &[Column] = &[
    ("ID", "/id"),
    ("SUBJECT", "/subject"),
    ("TRIGGER", "/trigger"),
    ("TIER", "/tier"),
    ("REVIEWER", "/reviewer"),
    ("DUE", "/due_at"),
    ("STATE", "/state"),
    ("ANSWER", "/answer/answer"),
];
const OUTCOMES: &[Column] = &[("REVIEW", "/review"), ("OUTCOME", "/outcome"), ("WHY", "/hint")];

/// Reviews: whether an identity or a person's access is still needed.
#[derive(Subcommand)]
#[command(after_help = "\
A review that nobody answers suspends its identity, and ends a person's access.
Is it still yours? If not, hand it over: whoever takes it over answers by the same deadline.

Examples:
  tenure review list --state open
  tenure review show rvw_…                                       granted beside used, findings, what is recommended
  tenure review complete rvw_… --answer keep --comment \"runs every night\"
  tenure review complete rvw_… --answer narrow                   to what was used
  tenure review complete rvw_… --answer narrow --scope read@orders
  tenure review complete rvw_… --answer revoke                   retires the identity, or takes the access back
  tenure review hand-over rvw_… --to olu@example.com
  tenure review bulk --deed revoke --reason \"shop is gone\" rvw_… rvw_…")]
pub enum Review {
    /// Lists reviews; without a role that reads all, those that are yours to answer.
    List {
        /// Only in this state: open, answered, lapsed, closed.
        #[arg(long)]
        state: Option<String>,
        /// Only of this identity.
        #[arg(long)]
        identity: Option<IdentityId>,
        /// Only of this grant of a person.
        #[arg(long)]
        grant: Option<PersonGrantId>,
        /// Only for this person to answer; whom you stand in for or manage, too.
        #[arg(long)]
        reviewer: Option<PersonId>,
        /// Only of this campaign.
        #[arg(long)]
        campaign: Option<CampaignId>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows a review: what is granted beside what was used, findings, others like it, what ends it, what is recommended.
    Show {
        /// The review's id.
        id: ReviewId,
    },
    /// Answers a review.
    Complete {
        /// The review's id.
        id: ReviewId,
        /// keep, narrow or revoke.
        #[arg(long, value_parser = word::<ReviewAnswer>)]
        answer: ReviewAnswer,
        /// What there is to say.
        #[arg(long, default_value = "")]
        comment: String,
        /// What is left of its scope, as actions@resource, e.g. read,list@res_…; what was used, if left out.
        #[arg(long, value_name = "ACTIONS@RESOURCE", value_parser = entitlement)]
        scope: Vec<Entitlement>,
    },
    /// Says that it isn't yours: offers the identity to somebody, who answers by the same deadline.
    HandOver {
        /// The review's id.
        id: ReviewId,
        /// Who takes it over: an active person with the role owner.
        #[arg(long)]
        to: PersonId,
    },
    /// Answers several reviews alike: shown first, then done. Kept in bulk is only what is of tier low.
    Bulk {
        /// The reviews' ids, a hundred at most.
        #[arg(required = true)]
        reviews: Vec<ReviewId>,
        /// keep, narrow, revoke or hand_over.
        #[arg(long, value_parser = word::<ReviewDeed>)]
        deed: ReviewDeed,
        /// To whom they are handed over.
        #[arg(long)]
        to: Option<PersonId>,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
}

fn entitlement(text: &str) -> Result<Entitlement, String> {
    let (actions, resource) = text.split_once('@').ok_or("write actions@resource, e.g. read,list@res_…")?;
    let actions: Vec<String> = actions.split(',').map(|action| action.trim().to_owned()).collect();
    if actions.iter().any(String::is_empty) || resource.is_empty() {
        return Err("write actions@resource, e.g. read,list@res_…".to_owned());
    }
    Ok(Entitlement { actions, resource: resource.to_owned() })
}

impl Review {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::List { state, identity, grant, reviewer, campaign, paging } => {
                let query = filtered([
                    ("state", state),
                    ("identity", identity.map(|id| id.to_string())),
                    ("person_grant", grant.map(|id| id.to_string())),
                    ("reviewer", reviewer.map(|id| id.to_string())),
                    ("campaign", campaign.map(|id| id.to_string())),
                ]);
                context.out.list(&paging, query, REVIEWS, async |query| client.reviews(&query).await).await
            }
            Self::Show { id } => context.out.record(&client.review(id).await?),
            Self::Complete { id, answer, comment, scope } => {
                let scope = (!scope.is_empty()).then_some(scope);
                context.out.record(&client.complete_review(id, &ReviewCompleted { answer, comment, scope }).await?)
            }
            Self::HandOver { id, to } => context.out.record(&client.hand_over_review(id, to).await?),
            Self::Bulk { reviews, deed, to, reason, yes } => {
                let mut ask = SeveralReviews { reviews, deed, to, reason, dry_run: true, expect: None };
                let shown = client.several_reviews(&ask).await?;
                let done = shown.each.iter().filter(|one| one.outcome == "done").count();
                for one in shown.each.iter().filter(|one| one.outcome != "done") {
                    eprintln!("{}: {}", one.review, one.hint.as_deref().unwrap_or(&one.outcome));
                }
                confirm(&format!("this answers {done} of {} reviews", shown.each.len()), yes)?;
                (ask.dry_run, ask.expect) = (false, Some(shown.digest));
                let answered = client.several_reviews(&ask).await?;
                context.out.rows(&answered, &answered.each, OUTCOMES)
            }
        }
    }
}
