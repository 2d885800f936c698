//! Reviews.

use clap::Subcommand;
use tenure_api::person_access::ReviewCompleted;
use tenure_core::base::id::{IdentityId, PersonGrantId, PersonId, ReviewId};
use tenure_core::request::review::ReviewAnswer;

use super::context::{Context, word};
use super::directory::filtered;
use super::output::{Column, Paging};

const REVIEWS: &[Column] = &[
    ("ID", "/id"),
    ("SUBJECT", "/subject"),
    ("TRIGGER", "/trigger"),
    ("REVIEWER", "/reviewer"),
    ("DUE", "/due_at"),
    ("STATE", "/state"),
    ("ANSWER", "/answer/answer"),
];

/// Reviews: whether an identity or a person's access is still needed.
#[derive(Subcommand)]
#[command(after_help = "\
A review that nobody answers suspends its identity, and ends a person's access.

Examples:
  tenure review list --state open
  tenure review complete rvw_… --answer keep --comment \"runs every night\"
  tenure review complete rvw_… --answer revoke        retires the identity, or takes the access back")]
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
        /// Only for this person to answer.
        #[arg(long)]
        reviewer: Option<PersonId>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows a review.
    Show {
        /// The review's id.
        id: ReviewId,
    },
    /// Answers a review.
    Complete {
        /// The review's id.
        id: ReviewId,
        /// keep or revoke.
        #[arg(long, value_parser = word::<ReviewAnswer>)]
        answer: ReviewAnswer,
        /// What there is to say.
        #[arg(long, default_value = "")]
        comment: String,
    },
}

impl Review {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::List { state, identity, grant, reviewer, paging } => {
                let query = filtered([
                    ("state", state),
                    ("identity", identity.map(|id| id.to_string())),
                    ("person_grant", grant.map(|id| id.to_string())),
                    ("reviewer", reviewer.map(|id| id.to_string())),
                ]);
                context.out.list(&paging, query, REVIEWS, async |query| client.reviews(&query).await).await
            }
            Self::Show { id } => context.out.record(&client.review(id).await?),
            Self::Complete { id, answer, comment } => {
                context.out.record(&client.complete_review(id, &ReviewCompleted { answer, comment }).await?)
            }
        }
    }
}
