//! Findings, their rules, and posture.

use clap::Subcommand;
use tenure_api::findings::Resolve;
use tenure_client::Client;
use tenure_core::base::id::{FindingId, IdentityId};

use super::context::Context;
use super::directory::filtered;
use super::output::{Column, Paging};

const FINDINGS: &[Column] = &[
    ("ID", "/id"),
    ("RULE", "/rule"),
    ("SEVERITY", "/severity"),
    ("SUBJECT", "/subject"),
    ("STATE", "/state"),
    ("SEEN", "/seen"),
    ("OPENED", "/opened_at"),
];
const RULES: &[Column] = &[
    ("RULE", "/id"),
    ("SEVERITY", "/severity"),
    ("FRAMEWORKS", "/frameworks"),
    ("ALIASES", "/aliases"),
    ("TITLE", "/title"),
];
const BROKEN: &[Column] = &[("RULE", "/rule"), ("SEVERITY", "/severity"), ("DETAIL", "/detail"), ("ACTION", "/action")];

/// Findings: a rule that something breaks, with what shows it and what fixes it.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  tenure finding list --state open --severity critical
  tenure finding show fin_…                  with the rule's blind spots and false positives
  tenure finding resolve fin_… --how \"address corrected in the deployment\"
  tenure finding rules
  tenure identity posture idn_…              every posture rule, computed now")]
pub enum Finding {
    /// Lists findings.
    List {
        /// Only in this state: open, resolved.
        #[arg(long)]
        state: Option<String>,
        /// Only this bad: low, medium, high, critical.
        #[arg(long)]
        severity: Option<String>,
        /// Only of this rule.
        #[arg(long)]
        rule: Option<String>,
        /// Only about this.
        #[arg(long, value_name = "ID")]
        subject: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows a finding with what its rule says.
    Show {
        /// The finding's id.
        id: FindingId,
    },
    /// Answers for a finding; what is still so is found again.
    Resolve {
        /// The finding's id.
        id: FindingId,
        /// What was done about it, or why nothing has to be.
        #[arg(long)]
        how: String,
    },
    /// Lists the rules.
    Rules,
    /// Counts what is open, and the debt that is left.
    Summary,
}

impl Finding {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::List { state, severity, rule, subject, paging } => {
                let query = filtered([("state", state), ("severity", severity), ("rule", rule), ("subject", subject)]);
                context.out.list(&paging, query, FINDINGS, async |query| client.findings(&query).await).await
            }
            Self::Show { id } => context.out.record(&client.finding(id).await?),
            Self::Resolve { id, how } => context.out.record(&client.resolve_finding(id, &Resolve { how }).await?),
            Self::Rules => {
                let rules = client.finding_rules().await?;
                context.out.rows(&rules, &rules.items, RULES)
            }
            Self::Summary => context.out.record(&client.finding_summary().await?),
        }
    }
}

/// Prints every posture rule that an identity breaks.
pub async fn posture(context: &Context, client: &Client, id: IdentityId) -> anyhow::Result<()> {
    let posture = client.posture(id).await?;
    eprintln!("{id} breaks {} of {} rules", posture.broken.len(), posture.rules.len());
    context.out.rows(&posture, &posture.broken, BROKEN)
}
