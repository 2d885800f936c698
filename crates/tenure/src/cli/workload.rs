//! What a workload does for itself: its key, its tokens, its enrolment.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use tenure_api::requests::Enrol as EnrolRequest;
use tenure_client::assertion::{KeyType, WorkloadKey};
use tenure_client::{Client, ClientError, TokenProof, TokenRequest};
use tenure_core::base::id::IdentityId;

use super::context::{Context, read_secret, replace_secret, write_new_secret};
use super::failure::Failure;
use super::output::line;

/// Keys with which workloads prove themselves.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  tenure key generate --out exporter.key                  prints the public JWK for the charter's workload_binding
  tenure key generate --type p256 --out mcp-client.pem    a key that every stock client reads
  tenure key generate --format jwk --out agent.jwk
  tenure key public exporter.key                          prints the public JWK again")]
pub enum Key {
    /// Makes a key: the private part goes to a file that only you can read, the public JWK is printed.
    Generate {
        /// The file for the private part; it must not exist yet.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// The key's type. Every stock client reads a PEM of P-256; some know no Ed25519, or not as PEM.
        #[arg(long = "type", value_enum, default_value_t)]
        kind: KeyKind,
        /// The form of the private part.
        #[arg(long, value_enum, default_value_t)]
        format: KeyFormat,
    },
    /// Prints the public JWK of a key.
    Public {
        /// The private key's file.
        file: PathBuf,
    },
}

/// Types of keys.
#[derive(Clone, Copy, Default, ValueEnum)]
pub enum KeyKind {
    /// Ed25519, which signs as EdDSA.
    #[default]
    Ed25519,
    /// ECDSA on P-256, which signs as ES256.
    P256,
}

/// Forms of private keys.
#[derive(Clone, Copy, Default, ValueEnum)]
pub enum KeyFormat {
    /// PKCS#8 in PEM.
    #[default]
    Pem,
    /// A JSON Web Key.
    Jwk,
}

impl Key {
    /// Does it.
    pub fn run(self, _: &Context) -> anyhow::Result<()> {
        let key = match self {
            Self::Generate { out, kind, format } => {
                let key = WorkloadKey::generate_of(match kind {
                    KeyKind::Ed25519 => KeyType::Ed25519,
                    KeyKind::P256 => KeyType::P256,
                });
                let private = match format {
                    KeyFormat::Pem => key.to_pem()?,
                    KeyFormat::Jwk => key.to_private_jwk()?,
                };
                write_new_secret(&out, &private)?;
                eprintln!("the private key is in {}; it never leaves this machine", out.display());
                key
            }
            Self::Public { file } => WorkloadKey::from_text(&read_secret(&file)?)?,
        };
        line(&key.public_jwk().to_string())
    }
}

/// Access tokens, as a workload gets them.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  tenure token get --identity idn_… --key exporter.key --environment prod
  tenure token get --identity idn_… --key exporter.key --environment prod --scope write --raw
  tenure token get --identity idn_… --key exporter.key --environment prod --out /run/exporter/token
  tenure token get --identity idn_… --oidc-token-file ci.jwt --environment prod
  tenure token get --identity idn_… --key exporter.key --environment prod --dpop-key dpop.key
  tenure token proof --dpop-key dpop.key --url https://orders.internal/v1/orders --token-file token
  tenure token get --identity idn_… --key agent.key --environment prod --task reconcile
  tenure token get --identity idn_A --key a.key --environment prod --task reconcile --resource https://orders --delegate-to idn_B \\
    --out from-a.token
  tenure token get --identity idn_B --key b.key --environment prod --exchange from-a.token --task check-invoices")]
pub enum Token {
    /// Gets an access token with the workload's own key, or with a token of a registered issuer.
    Get(Box<Get>),
    /// Makes the proof that a bound token needs for one request (DPoP, RFC 9449), for the header `DPoP`.
    Proof(Proof),
}

/// `token proof`.
#[derive(Args)]
pub struct Proof {
    /// The key that the token is bound to, as `tenure key generate` wrote it.
    #[arg(long, value_name = "FILE")]
    dpop_key: PathBuf,
    /// The request's method.
    #[arg(long, default_value = "GET")]
    method: String,
    /// The request's address, as the server knows it.
    #[arg(long)]
    url: String,
    /// The server's nonce, from the header `DPoP-Nonce` of its last reply.
    #[arg(long)]
    nonce: Option<String>,
    /// The file with the access token; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
}

/// `token get`.
#[derive(Args)]
#[command(group = clap::ArgGroup::new("proof").required(true).args(["key", "oidc_token_file"]))]
pub struct Get {
    /// The identity's id.
    #[arg(long)]
    identity: IdentityId,
    /// The private key's file: Ed25519 or P-256, as PEM or as a JWK, as `tenure key generate` writes them.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A file with a token of a registered issuer; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    oidc_token_file: Option<PathBuf>,
    /// The environment.
    #[arg(long)]
    environment: String,
    /// The resource's identifier; may be left out if the identity holds exactly one.
    #[arg(long, value_name = "URI")]
    resource: Option<String>,
    /// The actions, separated by spaces; all that it holds if left out.
    #[arg(long)]
    scope: Option<String>,
    /// The task of its charter that the token is for; an agent always names one.
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// Hands authority on: a token with which this other identity may act for it, on --resource, for --scope at most.
    #[arg(long, value_name = "IDENTITY")]
    delegate_to: Option<IdentityId>,
    /// Acts for another identity: a file with the token by which that one handed on authority; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    exchange: Option<PathBuf>,
    /// Binds the token to this key, so that nobody can use it without (DPoP, RFC 9449): a file as `tenure key generate`
    /// writes it.
    #[arg(long, value_name = "FILE")]
    dpop_key: Option<PathBuf>,
    /// The issuer identifier to sign for, where the server's public URL is not the one that is connected to.
    #[arg(long, value_name = "URL")]
    audience: Option<String>,
    /// Prints the access token and nothing else.
    #[arg(long, conflicts_with = "out")]
    raw: bool,
    /// A file for the access token alone, which only you can read; one of before is replaced.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Token {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Get(get) => get.run(context).await,
            Self::Proof(proof) => {
                let key = WorkloadKey::from_text(&read_secret(&proof.dpop_key)?)?;
                let token = read_secret(&proof.token_file)?;
                line(&key.dpop_proof(&proof.method, &proof.url, proof.nonce.as_deref(), Some(token.trim())))
            }
        }
    }
}

impl Get {
    async fn run(self, context: &Context) -> anyhow::Result<()> {
        let Self {
            identity,
            key,
            oidc_token_file,
            environment,
            resource,
            scope,
            task,
            delegate_to,
            exchange,
            dpop_key,
            audience,
            raw,
            out,
        } = self;
        let client = context.anonymous()?;
        let audience = match audience {
            Some(audience) => audience,
            None => client.proof_audience(&environment).await,
        };
        let proof = match (key, oidc_token_file) {
            (Some(path), _) => TokenProof::Assertion(
                WorkloadKey::from_text(&read_secret(&path)?)?.client_assertion(&identity.to_string(), &audience)?,
            ),
            (None, Some(path)) => {
                TokenProof::External { client_id: identity.to_string(), assertion: read_secret(&path)? }
            }
            (None, None) => return Err(Failure::usage("give --key or --oidc-token-file").into()),
        };
        let subject_token = exchange.as_deref().map(read_secret).transpose()?;
        let mut ask = TokenRequest {
            resource,
            scope,
            authorization_details: task.as_ref().map(|task| json!([{"type": "tenure_task", "task": task}])),
            subject_token,
            ..TokenRequest::new(proof)
        };
        if let Some(actor) = delegate_to {
            // The token itself is for Tenure; what is named here is what the actor may do.
            let Some(resource) = ask.resource.take() else {
                return Err(Failure::usage("name with --resource where the other identity is to act").into());
            };
            let scope = ask.scope.take().unwrap_or_default();
            let actions: Vec<&str> = scope.split(' ').filter(|action| !action.is_empty()).collect();
            let mut detail =
                json!({"type": "tenure_delegation", "actor": actor, "locations": [resource], "actions": actions});
            if let (Some(detail), Some(task)) = (detail.as_object_mut(), task) {
                detail.insert("task".to_owned(), json!(task));
            }
            ask.authorization_details = Some(json!([detail]));
        }
        let issued = match dpop_key {
            Some(path) => {
                let bound_to = WorkloadKey::from_text(&read_secret(&path)?)?;
                client.bound_token(&environment, &ask, &bound_to, &audience).await
            }
            None => client.token(&environment, &ask).await,
        };
        match issued {
            Ok(issued) => match out {
                Some(path) => {
                    replace_secret(&path, &issued.access_token)?;
                    eprintln!("the access token is in {}; it ends in {} seconds", path.display(), issued.expires_in);
                    Ok(())
                }
                None if raw => line(&issued.access_token),
                None => context.out.record(&issued),
            },
            Err(error) => {
                explain_audience(&client, &environment, &audience, &error).await;
                Err(error.into())
            }
        }
    }
}

/// Enrols a new key of this workload's own with a join token.
///
/// The key is made here and its private part never leaves this machine. A join token is good for one use: a second one
/// suspends the identity.
#[derive(Args)]
#[command(
    group = clap::ArgGroup::new("issuer").required(true).args(["environment", "audience"]),
    after_help = "\
Examples:
  tenure identity join-token idn_… --out join-token       by the owner
  tenure enrol --join-token-file join-token --environment prod --out exporter.key"
)]
pub struct Enrol {
    /// The file with the join token; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    join_token_file: PathBuf,
    /// The identity's environment.
    #[arg(long)]
    environment: Option<String>,
    /// The issuer identifier to sign for, as it came with the join token.
    #[arg(long, value_name = "URL")]
    audience: Option<String>,
    /// The file for the private part of the new key; it must not exist yet.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Enrol {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.anonymous()?;
        let join_token = read_secret(&self.join_token_file)?;
        let environment = self.environment.unwrap_or_default();
        let audience = match self.audience {
            Some(audience) => audience,
            None => client.proof_audience(&environment).await,
        };
        let key = WorkloadKey::generate();
        let proof = key.enrolment_proof(&join_token, &audience)?;
        // A key that was enrolled and then lost would waste the join token.
        write_new_secret(&self.out, &key.to_pem()?)?;
        match client.enrol(&EnrolRequest { join_token, jwk: key.public_jwk(), proof }).await {
            Ok(binding) => {
                eprintln!("the private key is in {}", self.out.display());
                context.out.record(&binding)
            }
            Err(error) => {
                if matches!(error, ClientError::Problem(_)) {
                    let _ = std::fs::remove_file(&self.out);
                }
                if !environment.is_empty() {
                    explain_audience(&client, &environment, &audience, &error).await;
                }
                Err(error.into())
            }
        }
    }
}

/// A proof for another audience reads as any bad proof does; the server's own name tells why.
async fn explain_audience(client: &Client, environment: &str, audience: &str, error: &ClientError) {
    if error.code() != Some("proof_invalid") {
        return;
    }
    if let Ok(metadata) = client.metadata(environment).await
        && let Some(issuer) = metadata.get("issuer").and_then(|issuer| issuer.as_str())
        && issuer != audience
    {
        eprintln!(
            "note: the server calls itself {issuer:?}, and the proof was for {audience:?}; if that name is right, give it with --audience"
        );
    }
}
