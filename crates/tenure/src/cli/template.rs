//! Templates of identities.

use std::path::PathBuf;

use clap::Subcommand;
use tenure_api::templates::TemplateChange;
use tenure_core::identity::Kind;

use super::context::{Context, read_json};
use super::directory::filtered;
use super::output::{Column, Paging, line};

const TEMPLATES: &[Column] = &[
    ("NAME", "/name"),
    ("KIND", "/kind"),
    ("DESCRIPTION", "/description"),
    ("LIFE", "/default_life"),
    ("AT MOST", "/max_life"),
    ("MAX TIER", "/max_tier"),
    ("OVER", "/when_over"),
    ("VERSION", "/version"),
];

/// Templates: what identities of a sort start from, and what they can't go beyond.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  tenure template list
  tenure template example > batch-job.json      fill in the ids
  tenure template put -f batch-job.json --purpose \"nightly jobs\"   opens a request: another administrator approves it")]
pub enum Template {
    /// Lists templates.
    List {
        /// Only for this kind.
        #[arg(long)]
        kind: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows a template.
    Show {
        /// Its name.
        name: String,
    },
    /// Prints a file to fill in for `put`.
    Example,
    /// Asks for a new template, or for a change of one.
    Put {
        /// The file: JSON as `example` prints it; `-` is standard input.
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        /// For which need.
        #[arg(long)]
        purpose: String,
    },
}

impl Template {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        if matches!(self, Self::Example) {
            return line(include_str!("template-example.json").trim_end());
        }
        let client = context.client()?;
        match self {
            Self::Example => Ok(()),
            Self::List { kind, paging } => {
                context
                    .out
                    .list(&paging, filtered([("kind", kind)]), TEMPLATES, async |query| client.templates(&query).await)
                    .await
            }
            Self::Show { name } => context.out.record(&client.template(&name).await?),
            Self::Put { file, purpose } => {
                let template: tenure_core::template::Template = read_json(&file)?;
                let name = template.name.clone();
                let request = client.change_template(&name, &TemplateChange { template, purpose }).await?;
                eprintln!("{} is {}", request.request.id, request.request.state.as_str());
                context.out.record(&request)
            }
        }
    }
}

/// A registration to fill in, by kind.
pub const fn charter(kind: Kind) -> &'static str {
    match kind {
        Kind::ServiceAccount => include_str!("charters/service_account.json"),
        Kind::Workload => include_str!("charters/workload.json"),
        Kind::Pipeline => include_str!("charters/pipeline.json"),
        Kind::Bot => include_str!("charters/bot.json"),
        Kind::Agent => include_str!("charters/agent.json"),
        Kind::Integration => include_str!("charters/integration.json"),
        Kind::Device => include_str!("charters/device.json"),
    }
}
