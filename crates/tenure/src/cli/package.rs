//! Packages, and what people hold.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tenure_api::person_access::PutPackage;
use tenure_client::ListQuery;
use tenure_core::id::{PersonGrantId, PersonId};

use super::context::{Context, read_json};
use super::output::{Column, Paging};

const PACKAGES: &[Column] = &[
    ("NAME", "/name"),
    ("DESCRIPTION", "/description"),
    ("AT MOST", "/max_duration"),
    ("CREATED", "/created_at"),
];
const HELD: &[Column] = &[
    ("GRANT", "/grant"),
    ("RESOURCE", "/entitlement/resource"),
    ("ACTIONS", "/entitlement/actions"),
    ("APPROVED BY", "/approved_by"),
    ("NEED", "/need"),
    ("UNTIL", "/until"),
    ("STATE", "/state"),
    ("LIVE", "/live"),
];

/// Packages of access that people in a role need. A package confers nothing until a request for it is approved.
#[derive(Subcommand)]
#[command(after_help = "\
A package as JSON; a step begins so long after the start:
  {\"description\": \"accounting clerk\", \"max_duration\": \"90d\",
   \"entitlements\": [{\"actions\": [\"read\"], \"resource\": \"res_…\"}],
   \"steps\": [{\"after\": \"30d\", \"entitlements\": [{\"actions\": [\"write\"], \"resource\": \"res_…\"}]}]}

Examples:
  tenure package put clerk -f clerk.json
  tenure package show clerk")]
pub enum Package {
    /// Writes a package, new or changed.
    Put {
        /// The name.
        name: String,
        /// The package as JSON; `-` is standard input.
        #[arg(short, long)]
        file: PathBuf,
    },
    /// Lists packages.
    List {
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows a package.
    Show {
        /// The name.
        name: String,
    },
}

impl Package {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::Put { name, file } => {
                let ask: PutPackage = read_json(&file)?;
                context.out.record(&client.put_package(&name, &ask).await?)
            }
            Self::List { paging } => {
                context
                    .out
                    .list(&paging, ListQuery::new(), PACKAGES, async |query| client.packages(&query).await)
                    .await
            }
            Self::Show { name } => context.out.record(&client.package(&name).await?),
        }
    }
}

/// Shows what a person holds: by whose approval, for which need, and what ends it.
#[derive(Args)]
pub struct Held {
    /// The person's id.
    id: PersonId,
}

impl Held {
    /// Shows it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let report = context.client()?.person_access(self.id).await?;
        context.out.rows(&report, &report.access, HELD)
    }
}

/// Takes something back that a person holds: in force when the command returns.
#[derive(Args)]
pub struct TakeBack {
    /// The grant's id, as `tenure person access` shows it.
    id: PersonGrantId,
    /// Why.
    #[arg(long)]
    reason: String,
}

impl TakeBack {
    /// Takes it back.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        context.out.record(&context.client()?.revoke_person_grant(self.id, self.reason).await?)
    }
}
