//! More for a workload while it runs: the question goes to people, and the answer is a grant and a token of its own.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use tenure_api::views::TokenIssued;
use tenure_client::assertion::WorkloadKey;
use tenure_client::{AccessAsk, Client, ClientError, ClientProof};
use tenure_core::base::id::IdentityId;
use tenure_core::base::time::Span;

use super::context::{Context, read_secret};
use super::failure::Failure;

/// Access that a workload asks for while it runs.
///
/// Somebody has to say yes, on the page that their notice leads to or with tenure request approve. What is given is a
/// new grant with an end of its own; what the workload holds already stays as it is.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  tenure access ask --identity idn_… --key agent.key --environment prod --resource https://orders.internal --action write --for 15m --purpose 'refund of order 12'
  tenure access ask … --no-wait                                      prints the auth_req_id and ends
  tenure access fetch --identity idn_… --key agent.key --environment prod --auth-req-id req_….…")]
pub enum Access {
    /// Asks, waits for the answer, and prints the token.
    Ask(Box<Ask>),
    /// Fetches the answer to what was asked before.
    Fetch(Fetch),
}

/// Who asks.
#[derive(Args)]
#[command(group = clap::ArgGroup::new("proof").required(true).args(["key", "oidc_token_file"]))]
struct Workload {
    /// The identity's id.
    #[arg(long)]
    identity: IdentityId,
    /// The private key's file, as `tenure key generate` wrote it.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A file with a token of a registered issuer, read anew for each question: each token is good for one.
    #[arg(long, value_name = "FILE")]
    oidc_token_file: Option<PathBuf>,
    /// The environment.
    #[arg(long)]
    environment: String,
    /// The issuer identifier to sign for, where the server's public URL is not the one that is connected to.
    #[arg(long, value_name = "URL")]
    audience: Option<String>,
}

/// `access ask`.
#[derive(Args)]
pub struct Ask {
    #[command(flatten)]
    workload: Workload,
    /// The resource's identifier.
    #[arg(long, value_name = "URI")]
    resource: String,
    /// An action; may be given several times.
    #[arg(long = "action", value_name = "ACTION", required = true)]
    actions: Vec<String>,
    /// For how long, e.g. 15m.
    #[arg(long = "for", value_name = "SPAN")]
    duration: Span,
    /// For which need; the approvers read it.
    #[arg(long)]
    purpose: String,
    /// For which of the charter's tasks, where it declares some.
    #[arg(long)]
    task: Option<String>,
    /// How long the request may wait for an answer, e.g. 1h.
    #[arg(long, value_name = "SPAN")]
    expires_in: Option<Span>,
    /// Only ask, and print what the answer is fetched with.
    #[arg(long)]
    no_wait: bool,
}

/// `access fetch`.
#[derive(Args)]
pub struct Fetch {
    #[command(flatten)]
    workload: Workload,
    /// What `access ask --no-wait` printed.
    #[arg(long)]
    auth_req_id: String,
    /// Wait until there is an answer.
    #[arg(long)]
    wait: bool,
}

impl Access {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.anonymous()?;
        match self {
            Self::Ask(ask) => ask.run(context, &client).await,
            Self::Fetch(Fetch { workload, auth_req_id, wait }) => {
                let issued = if wait {
                    workload.wait(&client, &auth_req_id, 5).await?
                } else {
                    client.fetch_access(&workload.environment, &workload.proof(&client).await?, &auth_req_id).await?
                };
                context.out.record(&issued)
            }
        }
    }
}

impl Ask {
    async fn run(self, context: &Context, client: &Client) -> anyhow::Result<()> {
        let ask = AccessAsk {
            resource: self.resource,
            actions: self.actions,
            task: self.task,
            duration_secs: self.duration.as_secs(),
            purpose: self.purpose,
            requested_expiry: self.expires_in.map(Span::as_secs),
            notification_token: None,
        };
        let asked =
            client.ask_for_access(&self.workload.environment, &self.workload.proof(client).await?, &ask).await?;
        eprintln!("{} is asked for; whoever may approve it was told", asked.request);
        if self.no_wait {
            return context.out.record(&asked);
        }
        let issued = self.workload.wait(client, &asked.auth_req_id, asked.interval).await?;
        context.out.record(&issued)
    }
}

impl Workload {
    /// A fresh proof: each is good for one use.
    async fn proof(&self, client: &Client) -> anyhow::Result<ClientProof> {
        match (&self.key, &self.oidc_token_file) {
            (Some(path), _) => {
                let audience = match &self.audience {
                    Some(audience) => audience.clone(),
                    None => client.proof_audience(&self.environment).await,
                };
                let key = WorkloadKey::from_text(&read_secret(path)?)?;
                Ok(ClientProof::Assertion(key.client_assertion(&self.identity.to_string(), &audience)?))
            }
            (None, Some(path)) => {
                Ok(ClientProof::External { client_id: self.identity.to_string(), assertion: read_secret(path)? })
            }
            (None, None) => Err(Failure::usage("give --key or --oidc-token-file").into()),
        }
    }

    /// Asks again and again, as slowly as the server wants it.
    #[expect(
        clippy::disallowed_methods,
        reason = "the command line is at the edge: it reads its environment and measures"
    )]
    async fn wait(&self, client: &Client, auth_req_id: &str, interval: u64) -> anyhow::Result<TokenIssued> {
        let (began, mut interval) = (Instant::now(), interval.max(1));
        let mut said = 0;
        loop {
            let error = match client.fetch_access(&self.environment, &self.proof(client).await?, auth_req_id).await {
                Ok(issued) => return Ok(issued),
                Err(error) => error,
            };
            match error.code() {
                Some("authorization_pending") => {}
                Some("slow_down") => interval += 5,
                _ if matches!(&error, ClientError::Transport(_)) || error.status() == Some(503) => {}
                _ => return Err(error.into()),
            }
            let minutes = began.elapsed().as_secs() / 60;
            if said == 0 || minutes >= said {
                eprintln!("waiting for an answer ({minutes} min); Ctrl-C ends the wait and not the request");
                said = minutes + 1;
            }
            tokio::time::sleep(Duration::from_secs(interval)).await;
        }
    }
}
