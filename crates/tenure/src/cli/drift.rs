//! What targets have and nobody approved.

use clap::Subcommand;
use tenure_api::drift::{DriftAccept, DriftFix, DriftIgnore};
use tenure_core::base::id::{AccountId, DriftId, IdentityId, TargetId};
use tenure_core::base::time::Timestamp;

use super::context::Context;
use super::directory::filtered;
use super::output::{Column, Paging};

const COLUMNS: &[Column] = &[
    // Its name is its account's, and names no item.
    ("ITEM", "/id"),
    ("WHAT", "/kind"),
    ("ACCOUNT", "/name"),
    ("IDENTITY", "/identity"),
    ("TARGET", "/target"),
    ("GRANTS", "/grants"),
    ("STATE", "/state"),
    ("DECIDED", "/decision/choice"),
    ("OUTCOME", "/outcome/state"),
    ("FOUND", "/found_at"),
];

/// Drift: what targets have and nobody approved, or lack. Each difference is one item with one decision.
#[derive(Subcommand)]
#[command(after_help = "\
What was approved stands in the identity's charter (account_grants), where its approvers read it. An item closes by
itself once the target and the charter say the same.

Examples:
  tenure drift list --state open
  tenure drift show drf_…                      the grants, the decision, and what the target said
  tenure drift fix drf_… --reason 'nobody asked for it'           takes it away at the target
  tenure drift accept drf_… --reason 'the year-end report'        asks for it: others approve the wider charter
  tenure drift ignore drf_… --until 2026-12-31T00:00:00Z --reason 'the migration of the ledger'   by security")]
pub enum Drift {
    /// Lists differences.
    List {
        /// Only in this state: open, ignored or closed.
        #[arg(long)]
        state: Option<String>,
        /// Only of this kind: grants_gained, privilege_gained, account_missing, came_back or took_name.
        #[arg(long)]
        kind: Option<String>,
        /// Only at this target.
        #[arg(long)]
        target: Option<TargetId>,
        /// Only of this identity.
        #[arg(long)]
        identity: Option<IdentityId>,
        /// Only of this account.
        #[arg(long)]
        account: Option<AccountId>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows a difference.
    Show {
        /// Its id.
        id: DriftId,
    },
    /// Has it taken away at the target: the account is left what its charter names, a login that nobody claimed is
    /// stopped.
    Fix {
        /// Its id.
        id: DriftId,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Asks that what the account gained be approved: opens a request for the wider charter.
    Accept {
        /// Its id.
        id: DriftId,
        /// What it is needed for.
        #[arg(long)]
        reason: String,
    },
    /// Leaves it alone until a day: by somebody of security who has no part in it.
    Ignore {
        /// Its id.
        id: DriftId,
        /// Until when, in 90 days at the latest.
        #[arg(long)]
        until: Timestamp,
        /// Why it may stay.
        #[arg(long)]
        reason: String,
    },
}

impl Drift {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::List { state, kind, target, identity, account, paging } => {
                let query = filtered([
                    ("state", state),
                    ("kind", kind),
                    ("target", target.map(|id| id.to_string())),
                    ("identity", identity.map(|id| id.to_string())),
                    ("account", account.map(|id| id.to_string())),
                ]);
                context.out.list(&paging, query, COLUMNS, async |query| client.drift(&query).await).await
            }
            Self::Show { id } => context.out.record(&client.drift_item(id).await?),
            Self::Fix { id, reason } => {
                let decided = client.fix_drift(id, &DriftFix { reason }).await?;
                eprintln!("hint: a worker does it at the target: tenure drift show {id} says what it came to");
                context.out.record(&decided)
            }
            Self::Accept { id, reason } => {
                let decided = client.accept_drift(id, &DriftAccept { reason }).await?;
                if let Some(request) = decided.record.decision.as_ref().and_then(|decision| decision.request) {
                    eprintln!("hint: {request} asks for it: tenure request show {request}");
                }
                context.out.record(&decided)
            }
            Self::Ignore { id, until, reason } => {
                context.out.record(&client.ignore_drift(id, &DriftIgnore { reason, until }).await?)
            }
        }
    }
}
