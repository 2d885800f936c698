//! Templates of identities.

use std::path::PathBuf;

use clap::Subcommand;
use tenure_api::templates::TemplateChange;
use tenure_core::identity::Kind;
use tenure_core::trust::issuer::Preset;

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
                let template: tenure_core::identity::template::Template = read_json(&file)?;
                let name = template.name.clone();
                let request = client.change_template(&name, &TemplateChange { template, purpose }).await?;
                eprintln!("{} is {}", request.request.id, request.request.state.as_str());
                context.out.record(&request)
            }
        }
    }
}

/// A registration to fill in, by kind and by what vouches for it.
pub fn charter(kind: Kind, preset: Option<Preset>) -> String {
    let (binding, workload) = match kind {
        Kind::Pipeline => (include_str!("charters/binding/github_actions.json"), "release of acme/billing"),
        Kind::Device => (include_str!("charters/binding/join_token.json"), "till/0017"),
        Kind::Bot => (KEY, "chat/ticket-bot"),
        Kind::Agent => (KEY, "agent/invoice-agent"),
        Kind::Integration => (KEY, "acme/connector"),
        Kind::ServiceAccount | Kind::Workload => (KEY, "deployment/billing-exporter"),
    };
    let binding = match preset {
        None => binding,
        Some(Preset::GithubActions) => include_str!("charters/binding/github_actions.json"),
        Some(Preset::Gitlab) => include_str!("charters/binding/gitlab.json"),
        Some(Preset::Kubernetes) => include_str!("charters/binding/kubernetes.json"),
        Some(Preset::Oidc) if kind == Kind::Pipeline => include_str!("charters/binding/oidc_pipeline.json"),
        Some(Preset::Oidc) => include_str!("charters/binding/oidc.json"),
    };
    of_kind(kind).replace("{workload_binding}", &binding.trim_end().replace("{workload}", workload))
}

const KEY: &str = include_str!("charters/binding/public_key.json");

const fn of_kind(kind: Kind) -> &'static str {
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
