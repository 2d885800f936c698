//! Invitations, and providers that people sign in with.

use std::path::PathBuf;

use clap::Subcommand;
use tenure_api::sign_in::{NewInvitation, NewSignInProvider};
use tenure_client::ListQuery;
use tenure_core::base::id::{InvitationId, PersonId, SignInProviderId};

use super::context::{Context, must_be_new, read_secret, write_new_secret};
use super::output::{Column, Paging, line};

const INVITATIONS: &[Column] = &[
    ("ID", "/id"),
    ("PERSON", "/person"),
    ("GOOD", "/good"),
    ("MADE BY", "/proposed_by"),
    ("CONFIRMED BY", "/confirmed_by"),
    ("EXPIRES", "/expires_at"),
];
const PROVIDERS: &[Column] =
    &[("ID", "/id"), ("NAME", "/name"), ("ISSUER", "/issuer"), ("CLIENT", "/client_id"), ("STATE", "/state")];

/// Makes an invitation; `tenure person invite`.
pub async fn invite(context: &Context, person: PersonId, replaces: bool, out: Option<PathBuf>) -> anyhow::Result<()> {
    must_be_new(out.as_deref())?;
    let made = context.client()?.create_invitation(&NewInvitation { person, replaces }).await?;
    eprintln!("the invitation {} is for {} until {}", made.record.id, person, made.record.expires_at);
    if !made.record.good {
        eprintln!(
            "hint: it is good for nothing before another administrator runs: tenure invitation confirm {}",
            made.record.id
        );
    }
    eprintln!("hint: as a link it is {}/sign-in#invitation=… with the invitation at its end", context.client()?.base());
    match out {
        Some(path) => write_new_secret(&path, &made.invitation),
        None if context.out.is_json() => context.out.record(&made),
        None => line(&made.invitation),
    }
}

/// Invitations, with which people bind how they sign in; `tenure person invite` makes one.
#[derive(Subcommand)]
#[command(after_help = "\
Example:
  tenure person invite per_… --out grace.invitation
  tenure invitation confirm inv_…           by a second administrator
  …and Grace enters it on the sign-in page")]
pub enum Invitation {
    /// Lists the invitations of the last day.
    List {
        #[command(flatten)]
        paging: Paging,
    },
    /// Agrees to an invitation that another administrator made.
    Confirm {
        /// The invitation's id.
        id: InvitationId,
    },
    /// Takes an invitation back.
    Revoke {
        /// The invitation's id.
        id: InvitationId,
    },
}

impl Invitation {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::List { paging } => {
                context
                    .out
                    .list(&paging, ListQuery::new(), INVITATIONS, async |query| client.invitations(&query).await)
                    .await
            }
            Self::Confirm { id } => context.out.record(&client.confirm_invitation(id).await?),
            Self::Revoke { id } => context.out.record(&client.revoke_invitation(id).await?),
        }
    }
}

/// Providers that people sign in with (OpenID Connect).
#[derive(Subcommand)]
#[command(after_help = "\
Example:
  tenure sign-in-provider create --name Example --issuer https://login.example.com --client-id tenure \\
    --client-secret-file secret --phishing-resistant phr
  tenure sign-in-provider confirm sip_…     by a second administrator")]
pub enum SignInProvider {
    /// Proposes a provider; a second administrator confirms it.
    Create {
        /// Its name on the sign-in page.
        #[arg(long)]
        name: String,
        /// The issuer identifier: an https URL; its discovery document must name the same.
        #[arg(long)]
        issuer: String,
        /// Tenure's client id there.
        #[arg(long)]
        client_id: String,
        /// The file with Tenure's client secret there, `-` is standard input; none for a public client.
        #[arg(long, value_name = "FILE")]
        client_secret_file: Option<PathBuf>,
        /// A value of acr or amr with which this provider says that a sign-in can't be phished; may be given several
        /// times.
        #[arg(long = "phishing-resistant", value_name = "VALUE")]
        phishing_resistant: Vec<String>,
    },
    /// Confirms a proposed provider.
    Confirm {
        /// The provider's id.
        id: SignInProviderId,
    },
    /// Lets nobody sign in with a provider any more, for ever.
    Remove {
        /// The provider's id.
        id: SignInProviderId,
    },
    /// Lists providers.
    List {
        #[command(flatten)]
        paging: Paging,
    },
}

impl SignInProvider {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::Create { name, issuer, client_id, client_secret_file, phishing_resistant } => {
                let client_secret = client_secret_file.map(|path| read_secret(&path)).transpose()?;
                let ask = NewSignInProvider { name, issuer, client_id, client_secret, phishing_resistant };
                let made = client.create_sign_in_provider(&ask).await?;
                eprintln!("register this redirect URI there: {}", made.record.redirect_uri);
                context.out.record(&made)
            }
            Self::Confirm { id } => context.out.record(&client.confirm_sign_in_provider(id).await?),
            Self::Remove { id } => context.out.record(&client.remove_sign_in_provider(id).await?),
            Self::List { paging } => {
                context.out.list(&paging, ListQuery::new(), PROVIDERS, async |_| client.sign_in_providers().await).await
            }
        }
    }
}
