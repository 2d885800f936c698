//! Deprecations.

use clap::Subcommand;
use tenure_api::deprecations::NewDeprecation;
use tenure_api::requests::Because;
use tenure_core::base::time::Timestamp;
use tenure_core::inventory::deprecation::Deprecated;

use super::context::Context;
use super::directory::filtered;
use super::output::{Column, Paging};

const DEPRECATIONS: &[Column] = &[
    ("OF", "/of/id"),
    ("TYPE", "/of/type"),
    ("STATE", "/state"),
    ("SINCE", "/deprecated_since"),
    ("SUNSET", "/sunset"),
    ("REASON", "/reason"),
];

/// Deprecations: what goes on a day, its sunset. Until then whoever still uses it is counted; from then on use is denied.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  tenure deprecation declare app_… --sunset 2027-03-31T00:00:00Z --reason \"replaced by orders-v2\" --instead orders-v2
  tenure deprecation show app_…              who still uses it, how often, and when last
  tenure deprecation declare app_… --sunset 2027-06-30T00:00:00Z --reason \"two teams need longer\"
  tenure deprecation withdraw app_… --reason \"it stays\"

What can be deprecated: an application (app_…), a vendor (ven_…), a business need (nee_…), an identity (idn_…). After the
sunset only somebody else of security puts it off or takes it back; what it suspended is resumed by hand.")]
pub enum Deprecation {
    /// Says that something goes on a day, or on another day than was said.
    Declare {
        /// What: the id of an application, a vendor, a business need or an identity.
        #[arg(value_parser = deprecated)]
        id: Deprecated,
        /// From when on use is denied.
        #[arg(long, value_name = "TIME")]
        sunset: Timestamp,
        /// Why.
        #[arg(long)]
        reason: String,
        /// What to use instead.
        #[arg(long, value_name = "TEXT")]
        instead: Option<String>,
    },
    /// Lists deprecations.
    List {
        /// Only in this state: announced, past, withdrawn.
        #[arg(long)]
        state: Option<String>,
        /// Only of this sort: application, vendor, need, identity.
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows a deprecation, and who still uses what is deprecated.
    Show {
        /// What is deprecated.
        #[arg(value_parser = deprecated)]
        id: Deprecated,
    },
    /// Takes a deprecation back.
    Withdraw {
        /// What is deprecated.
        #[arg(value_parser = deprecated)]
        id: Deprecated,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

fn deprecated(text: &str) -> Result<Deprecated, String> {
    Deprecated::parse(text)
        .ok_or_else(|| "the id of an application, a vendor, a business need or an identity".to_owned())
}

impl Deprecation {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::Declare { id, sunset, reason, instead } => {
                let ask = NewDeprecation { of: id, sunset, reason, instead };
                context.out.record(&client.deprecate(&ask).await?)
            }
            Self::List { state, kind, paging } => {
                let query = filtered([("state", state), ("type", kind)]);
                context.out.list(&paging, query, DEPRECATIONS, async |query| client.deprecations(&query).await).await
            }
            Self::Show { id } => context.out.record(&client.deprecation(id).await?),
            Self::Withdraw { id, reason } => {
                context.out.record(&client.withdraw_deprecation(id, &Because { reason }).await?)
            }
        }
    }
}
