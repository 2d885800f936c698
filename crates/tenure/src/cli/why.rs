//! Why: who approved what, what was refused, who could touch what.

use clap::Subcommand;
use tenure_core::base::id::{IdentityId, ResourceId};
use tenure_core::base::time::Timestamp;

use super::context::Context;
use super::output::Column;

const REFUSALS: &[Column] = &[
    ("AT", "/at"),
    ("ASKED", "/asked"),
    ("BY", "/actor"),
    ("REASON", "/reason"),
    ("POLICIES", "/policies"),
    ("WHAT TO DO", "/hint"),
];
const ACCESS: &[Column] = &[
    ("GRANT", "/grant"),
    ("RESOURCE", "/entitlement/resource"),
    ("ACTIONS", "/entitlement/actions"),
    ("REQUEST", "/request"),
    ("APPROVED BY", "/approved_by"),
    ("BY RULE", "/policies"),
    ("NEED", "/need"),
    ("ENDS", "/ends"),
    ("LIVE", "/live"),
];
const PAST: &[Column] = &[
    ("WHO", "/holder"),
    ("ACTIONS", "/actions"),
    ("FROM", "/starts_at"),
    ("UNTIL", "/until"),
    ("REACH", "/reach"),
    ("BECAUSE", "/because"),
    ("NEED", "/purpose"),
    ("APPROVED BY", "/approved_by"),
    ("REQUEST", "/request"),
];

/// Why: answers with their evidence.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  tenure why access idn_…                                  who approved what, for which need, what ends it
  tenure why refused idn_…                                 what was refused, by which rule, and what to do
  tenure why resource res_… --at 2026-11-01T12:00:00Z      who could touch it then, and why")]
pub enum Why {
    /// For each access of an identity: who approved it, for which need, and what ends it.
    Access {
        /// The identity.
        identity: IdentityId,
    },
    /// What was refused to somebody or about something, the newest first.
    Refused {
        /// An identity, a person, a request, a resource: any id.
        subject: String,
        /// How many.
        #[arg(long, default_value_t = 20)]
        limit: u16,
        /// Only before this entry of the log.
        #[arg(long)]
        before: Option<u64>,
    },
    /// Who could touch a resource, and why, told from the log.
    Resource {
        /// The resource.
        resource: ResourceId,
        /// When; now if not given.
        #[arg(long, value_name = "TIME")]
        at: Option<Timestamp>,
    },
}

impl Why {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::Access { identity } => {
                let report = client.access(identity).await?;
                context.out.rows(&report, &report.access, ACCESS)
            }
            Self::Refused { subject, limit, before } => {
                let refusals = client.refusals(&subject, before, limit).await?;
                if let Some(before) = refusals.before {
                    eprintln!("hint: further back: tenure why refused {subject} --before {before}");
                }
                context.out.rows(&refusals, &refusals.items, REFUSALS)
            }
            Self::Resource { resource, at } => {
                let report = client.past_access(resource, at).await?;
                eprintln!("at {}, from {} entries of the log", report.at, report.entries);
                context.out.rows(&report, &report.access, PAST)
            }
        }
    }
}
