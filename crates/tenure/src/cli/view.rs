//! Saved views of the inventory.

use clap::Subcommand;
use tenure_api::saved_views::{NewView, SavedView, ViewChange};
use tenure_client::{Client, ListQuery};
use tenure_core::base::id::TeamId;

use super::context::Context;
use super::failure::Failure;
use super::identity::IDENTITIES;
use super::output::{Column, Paging};

const VIEWS: &[Column] =
    &[("ID", "/id"), ("NAME", "/name"), ("QUERY", "/query"), ("WHOSE", "/person"), ("TEAM", "/team")];

/// Saved views: the inventory by a name, with its filters, its order and its columns.
#[derive(Subcommand)]
#[command(after_help = "\
A view is what the address of the inventory has behind its `?`. Whoever opens one sees what they may see, and nothing else.

Examples:
  tenure view save \"Riskiest first\" --query \"state=active&sort=-risk\"
  tenure view list
  tenure view show \"Riskiest first\"                         the identities that it shows
  tenure view change \"Riskiest first\" --team tea_…          a team of yours sees it too
  tenure view delete \"Riskiest first\"")]
pub enum View {
    /// Lists the views that you keep, and those that are shared with a team of yours.
    List,
    /// Lists the identities that a view shows.
    Show {
        /// The view's name or id.
        view: String,
        #[command(flatten)]
        paging: Paging,
    },
    /// Keeps a view.
    Save {
        /// What it is called: at most 80 characters.
        name: String,
        /// Filters, sort and columns, as the address of the inventory has them; all of it if not given.
        #[arg(long, default_value = "")]
        query: String,
        /// A team of yours that is to see it too.
        #[arg(long)]
        team: Option<TeamId>,
    },
    /// Gives a view another name, or has it show something else, or to others.
    Change {
        /// The view's name or id.
        view: String,
        /// What it is called from now on.
        #[arg(long)]
        name: Option<String>,
        /// What it shows from now on.
        #[arg(long)]
        query: Option<String>,
        /// The team that sees it from now on.
        #[arg(long, conflicts_with = "unshare")]
        team: Option<TeamId>,
        /// No team sees it any more.
        #[arg(long)]
        unshare: bool,
    },
    /// Deletes a view.
    Delete {
        /// The view's name or id.
        view: String,
    },
}

impl View {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::List => {
                let views = client.views().await?;
                context.out.rows(&views, &views.items, VIEWS)
            }
            Self::Show { view, paging } => {
                let view = meant(&client, &view).await?;
                let of = async |query: ListQuery| client.identities_of(&view, &query).await;
                context.out.list(&paging, ListQuery::new(), IDENTITIES, of).await
            }
            Self::Save { name, query, team } => {
                context.out.record(&client.save_view(&NewView { name, query, team }).await?)
            }
            Self::Change { view, name, query, team, unshare } => {
                let view = meant(&client, &view).await?;
                let team = if unshare { Some(None) } else { team.map(Some) };
                context.out.record(&client.change_view(view.id, &ViewChange { name, query, team }).await?)
            }
            Self::Delete { view } => context.out.record(&client.delete_view(meant(&client, &view).await?.id).await?),
        }
    }
}

/// The view that a text means: by its id, or by its name, where one's own stands before what others share.
async fn meant(client: &Client, text: &str) -> anyhow::Result<SavedView> {
    let views = client.views().await?.items;
    let found = views.into_iter().find(|view| view.name == text || view.id.to_string() == text);
    found.ok_or_else(|| Failure::new(format!("you see no view {text:?}")).hint("tenure view list").into())
}
