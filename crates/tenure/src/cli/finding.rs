//! Findings, their rules, and posture.

use clap::Subcommand;
use serde_json::json;
use tenure_api::exceptions::{NewControl, NewException};
use tenure_api::findings::Resolve;
use tenure_client::Client;
use tenure_core::base::id::{FindingId, IdentityId};
use tenure_core::base::time::Span;
use tenure_core::request::exception::ExceptionType;

use super::context::Context;
use super::directory::filtered;
use super::exception;
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
    ("FIX", "/fix"),
    ("SUPPRESSED BY", "/suppressed_by"),
    ("OPEN", "/open"),
    ("TITLE", "/title"),
];
const DEBT: &[Column] = &[
    ("COUNTED", "/at"),
    ("SHARED", "/shared_identities"),
    ("EXCEPTIONS", "/exceptions"),
    ("RENEWED", "/renewed_exceptions"),
    ("BREACHED", "/breached_exceptions"),
    ("UNOWNED", "/unowned"),
    ("FINDINGS", "/findings"),
];
const BROKEN: &[Column] = &[("RULE", "/rule"), ("SEVERITY", "/severity"), ("DETAIL", "/detail"), ("ACTION", "/action")];

/// Findings: a rule that something breaks, with what shows it and what fixes it.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  tenure finding list --state open --severity critical
  tenure finding show fin_…                  with the rule's blind spots and false positives
  tenure finding resolve fin_… --how \"address corrected in the deployment\"
  tenure finding accept fin_… --for 30d --reason \"split in May\" --monitoring \"alert on each use\"
  tenure rule list                           every rule, and how many of its findings are open
  tenure identity posture idn_…              every posture rule, computed now")]
pub enum Finding {
    /// Lists findings.
    List {
        /// Only in this state: open, accepted, resolved.
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
    /// Asks that a finding about an identity be let be for a while: an exception, which the owner's side and security
    /// approve. Until it ends the finding is listed as accepted and holds nothing; then it is open again by itself.
    #[command(after_help = "\
Example:
  tenure finding accept fin_… --for 30d --reason \"split in May\" --monitoring \"alert on each use\"
What is critical, or may be an attack, is never accepted.")]
    Accept {
        /// The finding's id.
        id: FindingId,
        /// For how long: 90d at most.
        #[arg(long = "for", value_name = "SPAN")]
        duration: Span,
        /// Why.
        #[arg(long)]
        reason: String,
        /// How it is watched meanwhile.
        #[arg(long)]
        monitoring: String,
    },
    /// Lists the rules, as `tenure rule list`.
    Rules,
    /// Counts what is open, and the debt that is left.
    Summary,
    /// Counts what is allowed for a while and has to be paid off, and tells its trend, day by day.
    Debt,
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
            Self::Accept { id, duration, reason, monitoring } => {
                let finding = client.finding(id).await?;
                let ask = NewException {
                    kind: ExceptionType::AcceptedFinding.as_str().to_owned(),
                    subject: json!({"type": "identity", "id": finding.record.subject}),
                    reason,
                    compensating: vec![NewControl { control: "monitoring".to_owned(), description: monitoring }],
                    duration,
                    renews: None,
                    places: Vec::new(),
                    finding: Some(id),
                };
                exception::proposed(context, &client.propose_exception(&ask).await?)
            }
            Self::Rules => rules(context, &client).await,
            Self::Debt => {
                let debt = client.debt().await?;
                context.out.rows(&debt, &debt.trend, DEBT)
            }
            Self::Summary => context.out.record(&client.finding_summary().await?),
        }
    }
}

/// Rules: what findings are about, which risk each answers, what it can't see, what fixes it, and what Tenure does about
/// it by itself.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  tenure rule list                           with how many findings of each are open
  tenure rule show wildcard-scope            its evidence, blind spots, false positives, and the exception that suppresses it

FIX says what Tenure does by itself: note (it tells), hold (what it is about is stopped at once), or by_setting: the
identity is suspended where the server's hold_findings names the rule. A suppression is an exception, and has an end:
  tenure exception propose --help")]
pub enum Rule {
    /// Lists every rule.
    List,
    /// Shows a rule.
    Show {
        /// Its id, e.g. wildcard-scope.
        id: String,
    },
}

impl Rule {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::List => rules(context, &client).await,
            Self::Show { id } => context.out.record(&client.finding_rule(&id).await?),
        }
    }
}

async fn rules(context: &Context, client: &Client) -> anyhow::Result<()> {
    let rules = client.finding_rules().await?;
    if rules.capped {
        eprintln!("hint: more findings are open than are counted; each number is at least that");
    }
    context.out.rows(&rules, &rules.items, RULES)
}

/// Prints every posture rule that an identity breaks.
pub async fn posture(context: &Context, client: &Client, id: IdentityId) -> anyhow::Result<()> {
    let posture = client.posture(id).await?;
    eprintln!("{id} breaks {} of {} rules", posture.broken.len(), posture.rules.len());
    context.out.rows(&posture, &posture.broken, BROKEN)
}
