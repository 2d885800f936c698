//! Transfers of identities from one accountable owner to another.

use clap::Subcommand;
use tenure_api::people::NewOffer;
use tenure_core::base::id::{IdentityId, PersonId, TransferId};

use super::context::Context;
use super::directory::filtered;
use super::output::{Column, Paging};

const TRANSFERS: &[Column] = &[
    ("ID", "/id"),
    ("IDENTITY", "/identity"),
    ("FROM", "/from"),
    ("OFFERED TO", "/offered_to"),
    ("STATE", "/state"),
    ("BECAUSE", "/because"),
    ("DEADLINE", "/deadline"),
];

/// Transfers: an identity goes to another owner, who accepts it, or stops by a deadline.
#[derive(Subcommand)]
#[command(after_help = "\
When an owner leaves, each identity of theirs is offered to its backup owner, else to the leaver's manager. Until the deadline it goes on
as it is, and nothing is added, widened or renewed. What nobody took is suspended then, and retires later.

Examples:
  tenure transfer list --offered-to per_…     what waits for an answer
  tenure transfer accept tra_…                it is yours to answer for, and a review of it opens
  tenure transfer start idn_… --to per_…      hand over one of your own")]
pub enum Transfer {
    /// Offers an identity to another owner: by its owner, security or an administrator.
    Start {
        /// The identity's id.
        identity: IdentityId,
        /// Who is to answer for it: an active person with the role owner.
        #[arg(long)]
        to: PersonId,
    },
    /// Offers an open transfer to somebody else.
    Offer {
        /// The transfer's id.
        id: TransferId,
        /// Who is to answer for it.
        #[arg(long)]
        to: PersonId,
    },
    /// Takes what is offered to you.
    Accept {
        /// The transfer's id.
        id: TransferId,
    },
    /// Declines what is offered to you, so that it goes to somebody else.
    Decline {
        /// The transfer's id.
        id: TransferId,
    },
    /// Takes an offer of your own back.
    Withdraw {
        /// The transfer's id.
        id: TransferId,
    },
    /// Lists transfers.
    List {
        /// Only in this state: open, offered, accepted, lapsed, closed.
        #[arg(long)]
        state: Option<String>,
        /// Only of this identity.
        #[arg(long)]
        identity: Option<IdentityId>,
        /// Only from this owner.
        #[arg(long)]
        from: Option<PersonId>,
        /// Only what is offered to this person.
        #[arg(long)]
        offered_to: Option<PersonId>,
        #[command(flatten)]
        paging: Paging,
    },
}

impl Transfer {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::Start { identity, to } => {
                context.out.record(&client.start_transfer(identity, &NewOffer { to }).await?)
            }
            Self::Offer { id, to } => context.out.record(&client.offer_transfer(id, &NewOffer { to }).await?),
            Self::Accept { id } => {
                let taken = client.accept_transfer(id).await?;
                eprintln!(
                    "hint: say whether it is needed as it is: tenure review list --identity {}",
                    taken.record.identity
                );
                context.out.record(&taken)
            }
            Self::Decline { id } => context.out.record(&client.decline_transfer(id).await?),
            Self::Withdraw { id } => context.out.record(&client.withdraw_transfer(id).await?),
            Self::List { state, identity, from, offered_to, paging } => {
                let query = filtered([
                    ("state", state),
                    ("identity", identity.map(|id| id.to_string())),
                    ("from", from.map(|id| id.to_string())),
                    ("offered_to", offered_to.map(|id| id.to_string())),
                ]);
                context.out.list(&paging, query, TRANSFERS, async |query| client.transfers(&query).await).await
            }
        }
    }
}
