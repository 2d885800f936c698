//! Campaigns of reviews.

use clap::Subcommand;
use tenure_api::reviews::NewCampaign;
use tenure_core::base::id::CampaignId;
use tenure_core::base::time::Span;
use tenure_core::request::campaign::NoAnswer;

use super::context::{Context, confirm, word};
use super::directory::filtered;
use super::output::{Column, Paging};

const CAMPAIGNS: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("STATE", "/state"),
    ("CAUSE", "/cause"),
    ("OPENED", "/tally/opened"),
    ("KEPT", "/tally/kept"),
    ("NARROWED", "/tally/narrowed"),
    ("REVOKED", "/tally/revoked"),
    ("LAPSED", "/tally/lapsed"),
    ("DUE", "/due_at"),
];
const FIGURES: &[Column] = &[
    ("REVIEWER", "/reviewer"),
    ("ANSWERED", "/answered"),
    ("KEPT", "/kept"),
    ("SECONDS", "/median_secs"),
    ("RUBBER-STAMPED", "/rubber_stamped"),
];

/// Campaigns: many identities are reviewed by one deadline, for a cadence or because somebody asks.
#[derive(Subcommand)]
#[command(after_help = "\
The cadence of each tier opens a campaign by itself: high every 30 days, medium and low every 90. What nobody answers by
the deadline is suspended, high tier first; where that is more than the cap, once somebody of security confirms it.

Examples:
  tenure campaign open --name \"Payments, December\" --scope 'application=app_…' --reason \"before the audit\" --dry-run
  tenure campaign open --name \"High tier\" --scope 'tier=high' --reason \"a breach next door\" --due-in 5d
  tenure campaign list --state open
  tenure campaign show cmp_…                          how far it is, and what its deadline would do
  tenure campaign confirm cmp_… --digest sha256:…
  tenure campaign statistics cmp_…                    who answered how, as far as you may see")]
pub enum Campaign {
    /// Opens a campaign over what a query of the inventory finds.
    Open {
        /// What it is called.
        #[arg(long)]
        name: String,
        /// Which identities: filters and words as `GET /v1/identities` takes them, e.g. 'tier=high&environment=production'.
        #[arg(long)]
        scope: String,
        /// How long its reviews may take: 1m to 90d; 14d if left out.
        #[arg(long)]
        due_in: Option<Span>,
        /// What becomes of what nobody answers: suspend or retire.
        #[arg(long, default_value = "suspend", value_parser = word::<NoAnswer>)]
        no_answer: NoAnswer,
        /// How many identities its deadline suspends by itself; 100 if left out.
        #[arg(long)]
        cap: Option<u64>,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Only say how many identities are in its scope.
        #[arg(long)]
        dry_run: bool,
    },
    /// Lists campaigns.
    List {
        /// Only in this state: opening, open, waiting, applying, closed, cancelled.
        #[arg(long)]
        state: Option<String>,
        /// Only for this cause: asked, cadence_low, cadence_medium, cadence_high.
        #[arg(long)]
        cause: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows a campaign: how far it is, and what its deadline would do now.
    Show {
        /// The campaign's id.
        id: CampaignId,
    },
    /// Confirms what the deadline of a campaign does beyond its cap; takes a person of security.
    Confirm {
        /// The campaign's id.
        id: CampaignId,
        /// The digest that `show` gave: refused if the effect would be another by now.
        #[arg(long)]
        digest: String,
    },
    /// Gives a campaign up: its open reviews are closed.
    Cancel {
        /// The campaign's id.
        id: CampaignId,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
    /// Says how reviewers answered: your own figures, those of whom you manage, or all for an auditor.
    Statistics {
        /// The campaign's id.
        id: CampaignId,
    },
}

impl Campaign {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::Open { name, scope, due_in, no_answer, cap, reason, dry_run } => {
                let ask = NewCampaign { name, scope, due_in, no_answer, cap, reason, dry_run };
                let opened = client.open_campaign(&ask).await?;
                if dry_run {
                    eprintln!("hint: nothing was opened; without --dry-run it is");
                }
                context.out.record(&opened)
            }
            Self::List { state, cause, paging } => {
                let query = filtered([("state", state), ("cause", cause)]);
                context.out.list(&paging, query, CAMPAIGNS, async |query| client.campaigns(&query).await).await
            }
            Self::Show { id } => {
                let shown = client.campaign(id).await?;
                if let Some(forecast) = shown.forecast.as_ref().filter(|forecast| forecast.beyond_cap) {
                    let (count, digest) = (forecast.identities, &forecast.digest);
                    eprintln!(
                        "hint: its deadline ends {count} identities only once security has seen that: tenure campaign confirm {id} --digest {digest}"
                    );
                }
                context.out.record(&shown)
            }
            Self::Confirm { id, digest } => context.out.record(&client.confirm_campaign(id, digest).await?),
            Self::Cancel { id, reason, yes } => {
                confirm("this closes its open reviews: nobody is asked any more", yes)?;
                context.out.record(&client.cancel_campaign(id, reason).await?)
            }
            Self::Statistics { id } => {
                let figures = client.campaign_statistics(id).await?;
                context.out.rows(&figures, &figures.reviewers, FIGURES)
            }
        }
    }
}
