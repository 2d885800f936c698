//! The contexts that identities are known in, and what was met that is new.

use clap::Subcommand;
use serde_json::json;
use tenure_api::findings::FindingView;
use tenure_api::views::Page;
use tenure_core::base::id::IdentityId;
use tenure_core::finding::rules;
use tenure_core::identity::right_size::UseWindow;

use super::context::Context;
use super::directory::filtered;
use super::output::Column;

const NEW: &[Column] = &[
    ("IDENTITY", "/subject"),
    ("IN", "/evidence/dimension"),
    ("MET", "/evidence/new"),
    ("STALE KEY", "/evidence/stale_key"),
    ("SEEN", "/seen"),
    ("FIRST", "/opened_at"),
    ("FINDING", "/id"),
];
const KNOWN: &[Column] = &[("DIMENSION", "/dimension"), ("KNOWN", "/known")];
/// Findings of each rule that are shown.
const MOST: u16 = 200;

/// Contexts: where an identity is used from, with which key, for which workload, at which hours, how much at once, and what it
/// does for its tasks, in which order. What is met outside of what was learnt is new, until a person says that it belongs
/// there.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  tenure context list                        what was met that is new, and is still open
  tenure context list --identity billing-exporter
  tenure context show billing-exporter       what it is known in, and since when
  tenure finding resolve fin_… --how \"the second office\"           it belongs there
  tenure identity forget-contexts billing-exporter --reason \"incident 42\"    it was learnt from an attack")]
pub enum KnownContext {
    /// Lists what was met that is new: the open findings of it, at most 200 of each rule.
    List {
        /// Only of this identity.
        #[arg(long)]
        identity: Option<IdentityId>,
    },
    /// Shows what an identity is known in.
    Show {
        /// The identity's id.
        id: IdentityId,
    },
}

impl KnownContext {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::List { identity } => {
                let mut met: Page<FindingView> = Page::whole(Vec::new());
                for rule in [&rules::NEW_CONTEXT_STALE_KEY, &rules::NEW_CONTEXT] {
                    let (state, rule) = (Some("open".to_owned()), Some(rule.id.to_owned()));
                    let subject = identity.map(|id| id.to_string());
                    let query = filtered([("state", state), ("rule", rule), ("subject", subject)]).limit(MOST);
                    let found = client.findings(&query).await?;
                    if found.next.is_some() {
                        eprintln!("hint: there are more than {MOST}: tenure finding list --rule … --all");
                    }
                    met.items.extend(found.items);
                    met.names.extend(found.names);
                }
                context.out.rows(&met, &met.items, NEW)
            }
            Self::Show { id } => {
                let usage = client.usage(id, UseWindow::Month).await?;
                let Some(known) = usage.contexts else {
                    eprintln!("hint: it wasn't used yet, or what it is known in was forgotten");
                    return context.out.rows(&json!({}), &[(); 0], KNOWN);
                };
                eprintln!(
                    "learnt since {}, until {}; what is met later is new",
                    known.learnt_since, known.learns_until
                );
                let rows = [
                    ("network", &known.networks),
                    ("client", &known.clients),
                    ("workload", &known.workloads),
                    ("task", &known.tasks),
                    ("order", &known.orders),
                    ("hour", &known.hours),
                ];
                let rows = rows.into_iter().flat_map(|(dimension, known)| {
                    known.iter().map(move |known| json!({"dimension": dimension, "known": known}))
                });
                let rate = json!({"dimension": "rate", "known": known.rate});
                let rows: Vec<_> = rows.chain([rate]).collect();
                context.out.rows(&known, &rows, KNOWN)
            }
        }
    }
}
