//! Packages, and what people hold.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tenure_api::person_access::PutPackage;
use tenure_client::ListQuery;
use tenure_core::base::id::{PersonGrantId, PersonId};

use super::context::{Context, read_json, revision_if_any};
use super::directory::filtered;
use super::output::{Column, Paging};

const PACKAGES: &[Column] =
    &[("NAME", "/name"), ("DESCRIPTION", "/description"), ("AT MOST", "/max_duration"), ("CREATED", "/created_at")];
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

const GRANTS: &[Column] = &[
    ("GRANT", "/id"),
    ("PERSON", "/person"),
    ("RESOURCE", "/entitlement/resource"),
    ("ACTIONS", "/entitlement/actions"),
    ("STATE", "/state"),
    ("UNTIL", "/ends_at"),
    ("REVIEW BY", "/review_by"),
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
  tenure package put clerk -f clerk.json --purpose 'clerks book, too'     asks for it: another administrator approves
  tenure package show clerk")]
pub enum Package {
    /// Writes a package, new or changed: that it gives less is in force at once, that it gives more is a request that
    /// another administrator approves.
    Put {
        /// The name.
        name: String,
        /// The package as JSON; `-` is standard input.
        #[arg(short, long)]
        file: PathBuf,
        /// For which need, where it takes a request.
        #[arg(long)]
        purpose: Option<String>,
        /// The revision that the change is meant for; what it is now if not given.
        #[arg(long)]
        revision: Option<u64>,
    },
    /// Lists what people hold for a while, by a package or by itself.
    Grants {
        /// Only in this state: scheduled, live, expired, revoked.
        #[arg(long)]
        state: Option<String>,
        /// Only this person's.
        #[arg(long)]
        person: Option<PersonId>,
        #[command(flatten)]
        paging: Paging,
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
            Self::Put { name, file, purpose, revision } => {
                let mut ask: PutPackage = read_json(&file)?;
                ask.purpose = purpose.or(ask.purpose);
                let revision = revision_if_any(revision, client.package(&name)).await?;
                context.out.edited(&client.put_package(&name, revision, &ask).await?)
            }
            Self::Grants { state, person, paging } => {
                let filters = filtered([("state", state), ("person", person.map(|id| id.to_string()))]);
                context.out.list(&paging, filters, GRANTS, async |query| client.person_grants(&query).await).await
            }
            Self::List { paging } => {
                context.out.list(&paging, ListQuery::new(), PACKAGES, async |query| client.packages(&query).await).await
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
