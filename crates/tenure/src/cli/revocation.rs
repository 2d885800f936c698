//! Credentials, cuts, holds and receipts.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};
use tenure_api::requests::{HoldRequest, Revocation, RevocationTarget};
use tenure_api::views::{Page, ReceiptView};
use tenure_client::ClientError;
use tenure_core::id::{ApplicationId, CloudAccountId, CredentialId, IdentityId, PersonId, ReceiptId, VendorId};
use tenure_core::receipt::ReceiptState;
use tenure_core::scope::Scope;
use tenure_credentials::key::VerifyingKey;
use tenure_credentials::receipt::verify_receipt;

use super::context::{Context, confirm, read_input};
use super::directory::filtered;
use super::failure::Failure;
use super::output::{Column, Paging};

const RECEIPTS: &[Column] = &[
    ("ID", "/id"),
    ("TARGET", "/target/target"),
    ("STATE", "/state"),
    ("IN FORCE", "/in_force_at"),
    ("REASON", "/reason"),
];

/// Issued credentials. The inventory holds their records, never the secrets.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  tenure identity credentials idn_…
  tenure credential revoke crd_… --reason \"seen in a log\"")]
pub enum Credential {
    /// Shows a credential.
    Show {
        /// The credential's id, the token's `jti`.
        id: CredentialId,
    },
    /// Revokes a credential: in force when the command returns, with a receipt.
    Revoke {
        /// The credential's id, the token's `jti`.
        id: CredentialId,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

impl Credential {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Show { id } => context.out.record(&context.client()?.credential(id).await?),
            Self::Revoke { id, reason } => revoke(context, RevocationTarget::Credential(id), reason).await,
        }
    }
}

/// Revokes everything that was issued to an identity, an owner, an application or in an environment until now.
#[derive(Subcommand)]
#[command(after_help = "\
A cut takes one record, however many credentials it ends. It forbids nothing afterwards: what is active gets new credentials.
To keep it from working at all, see `tenure hold`.

Examples:
  tenure cut identity idn_… --reason \"key on a lost laptop\"
  tenure cut environment prod --reason \"incident 42\" --yes")]
pub enum Cut {
    /// Everything issued to one identity.
    Identity {
        /// The identity's id.
        id: IdentityId,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Everything issued to a person's identities.
    Owner {
        /// The person's id.
        id: PersonId,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
    /// Everything issued to an application's identities.
    Application {
        /// The application's id.
        id: ApplicationId,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
    /// Everything issued to the identities of a vendor.
    Vendor {
        /// The vendor's id.
        id: VendorId,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
    /// Everything issued to the identities of a cloud account.
    CloudAccount {
        /// The account's id here.
        id: CloudAccountId,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
    /// Everything issued in an environment.
    Environment {
        /// The environment's name.
        name: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
}

impl Cut {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let (target, reason) = match self {
            Self::Identity { id, reason } => (RevocationTarget::Identity(id), reason),
            Self::Owner { id, reason, yes } => {
                confirm(&format!("this revokes every credential of every identity of {id}"), yes)?;
                (RevocationTarget::Owner(id), reason)
            }
            Self::Application { id, reason, yes } => {
                confirm(&format!("this revokes every credential of every identity of {id}"), yes)?;
                (RevocationTarget::Application(id), reason)
            }
            Self::Vendor { id, reason, yes } => {
                confirm(&format!("this revokes every credential of every identity of {id}"), yes)?;
                (RevocationTarget::Vendor(id), reason)
            }
            Self::CloudAccount { id, reason, yes } => {
                confirm(&format!("this revokes every credential of every identity of {id}"), yes)?;
                (RevocationTarget::CloudAccount(id), reason)
            }
            Self::Environment { name, reason, yes } => {
                confirm(&format!("this revokes every credential in the environment {name}"), yes)?;
                (RevocationTarget::Environment(name), reason)
            }
        };
        revoke(context, target, reason).await
    }
}

async fn revoke(context: &Context, target: RevocationTarget, reason: String) -> anyhow::Result<()> {
    let view = context.client()?.revoke(&Revocation { target, reason }).await?;
    eprintln!("in force since {}", view.receipt.in_force_at);
    if view.state == ReceiptState::Requested {
        eprintln!(
            "hint: whether it is refused everywhere is being checked: tenure receipt show {}",
            view.receipt.id
        );
    }
    context.out.record(&view)
}

/// What a hold is on.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ScopeKind {
    /// One identity.
    Identity,
    /// Every identity of a person.
    Owner,
    /// Every identity of an application.
    Application,
    /// Every identity of an environment.
    Environment,
    /// Every identity that a vendor operates.
    Vendor,
    /// Every identity bound to a cloud account.
    CloudAccount,
}

/// Holds: nothing in a scope works until somebody other than who placed the hold releases it.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  tenure hold place application app_… --reason \"vendor under investigation\"
  tenure hold release application app_… --reason \"cleared\"")]
pub enum Hold {
    /// Places a hold.
    Place {
        /// On what.
        kind: ScopeKind,
        /// Its id; an environment's name.
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Releases a hold.
    Release {
        /// On what.
        kind: ScopeKind,
        /// Its id; an environment's name.
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

impl Hold {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        context.out.record(&match self {
            Self::Place { kind, id, reason } => {
                client
                    .place_hold(&HoldRequest {
                        scope: scope(kind, &id)?,
                        reason,
                    })
                    .await?
            }
            Self::Release { kind, id, reason } => {
                client
                    .release_hold(&HoldRequest {
                        scope: scope(kind, &id)?,
                        reason,
                    })
                    .await?
            }
        })
    }
}

fn scope(kind: ScopeKind, id: &str) -> anyhow::Result<Scope> {
    let parsed = match kind {
        ScopeKind::Identity => id.parse().map(Scope::Identity),
        ScopeKind::Owner => id.parse().map(Scope::Owner),
        ScopeKind::Application => id.parse().map(Scope::Application),
        ScopeKind::Environment => Ok(Scope::Environment(id.to_owned())),
        ScopeKind::Vendor => id.parse().map(Scope::Vendor),
        ScopeKind::CloudAccount => id.parse().map(Scope::CloudAccount),
    };
    parsed.map_err(|error| Failure::usage(format!("{id}: {error}")).into())
}

/// Receipts: signed proofs of what a revocation did at each enforcement point.
#[derive(Subcommand)]
#[command(after_help = "\
States: requested, refused_verified (refused, and a live credential passed the same check), refused, cannot_revoke (somewhere
accepted until its own end), unproven (retried).

Examples:
  tenure receipt show rct_…
  tenure receipt verify rct_…                      with the server's key
  tenure receipt verify receipt.jws --key keys.json   offline; keys.json as /.well-known/tenure-keys gave it")]
pub enum Receipt {
    /// Lists receipts.
    List {
        /// Only of this target: credential/crd_…, identity/idn_…, owner/per_…, application/app_…, environment/NAME.
        #[arg(long)]
        target: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows a receipt.
    Show {
        /// The receipt's id.
        id: ReceiptId,
    },
    /// Checks a receipt's signature and prints what was signed.
    Verify {
        /// A file with the signed receipt, `-` for standard input, or a receipt's id to get it from the server.
        receipt: String,
        /// A file with the key: a JWK, a JWK set, or what /.well-known/tenure-keys gave. The server is asked if it is left out.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
}

impl Receipt {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::List { target, paging } => {
                let client = context.client()?;
                let fetch = async |query| {
                    let page = client.receipts(&query).await?;
                    let items = page
                        .items
                        .into_iter()
                        .map(|item| ReceiptView {
                            state: item.record.state(),
                            receipt: item.record,
                            log: item.log,
                        })
                        .collect();
                    Ok::<_, ClientError>(Page {
                        items,
                        next: page.next,
                        unreadable: page.unreadable,
                    })
                };
                context.out.list(&paging, filtered([("target", target)]), RECEIPTS, fetch).await
            }
            Self::Show { id } => context.out.record(&context.client()?.receipt(id).await?),
            Self::Verify { receipt, key } => {
                let signed = match receipt.parse() {
                    Ok(id) => context.client()?.signed_receipt(id).await?,
                    Err(_) => signed_in(&read_input(receipt.as_ref())?)?,
                };
                let keys = match &key {
                    Some(path) => serde_json::from_str(&read_input(path)?).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?,
                    None => context.anonymous()?.keys().await?.receipts,
                };
                let claims =
                    verify_receipt(signed.trim(), &receipt_keys(&keys)?).map_err(|error| Failure::new(format!("the receipt does not hold: {error}")))?;
                match key {
                    Some(_) => eprintln!("the signature holds"),
                    None => eprintln!(
                        "the signature holds, by the key that the server names itself\nhint: keep its key and give it with --key, to prove it to somebody else"
                    ),
                }
                context.out.record(&claims)
            }
        }
    }
}

/// The signed form in a file: by itself, or in a receipt as `receipt show -o json` prints it.
fn signed_in(text: &str) -> anyhow::Result<String> {
    match serde_json::from_str::<Value>(text) {
        Ok(receipt) => match receipt.get("signed").and_then(Value::as_str) {
            Some(signed) => Ok(signed.to_owned()),
            None => Err(Failure::new("the receipt is not signed yet: not every point has answered")
                .hint("look again: tenure receipt show")
                .into()),
        },
        Err(_) => Ok(text.to_owned()),
    }
}

fn receipt_keys(value: &Value) -> anyhow::Result<Vec<VerifyingKey>> {
    let single = json!([value]);
    let list = value.pointer("/receipts/keys").or_else(|| value.get("keys")).unwrap_or(&single);
    let keys: Option<Vec<VerifyingKey>> = list.as_array().and_then(|list| list.iter().map(receipt_key).collect());
    keys.filter(|keys| !keys.is_empty()).ok_or_else(|| {
        Failure::new("there is no receipt key")
            .hint("give the JWK that /.well-known/tenure-keys names")
            .into()
    })
}

fn receipt_key(jwk: &Value) -> Option<VerifyingKey> {
    let public = URL_SAFE_NO_PAD.decode(jwk.get("x")?.as_str()?).ok()?;
    VerifyingKey::new(jwk.get("kid")?.as_str()?.parse().ok()?, &public.try_into().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_core::id::SigningKeyId;
    use tenure_core::secret::Secret;
    use tenure_credentials::receipt::ReceiptSigner;

    #[test]
    fn a_receipt_verifies_with_each_form_of_the_key_and_no_other() {
        let (kid, seed) = (SigningKeyId::from_u128(3), Secret::new([5; 32]));
        let public = tenure_credentials::key::public_of(&seed).unwrap();
        let signed = ReceiptSigner::new(kid, &seed)
            .unwrap()
            .sign(json!({"id": "rct_1"}).as_object().unwrap())
            .unwrap();
        let jwk = tenure_credentials::token::public_jwk(kid, &public);
        for keys in [jwk.clone(), json!({"keys": [jwk]}), json!({"receipts": {"keys": [jwk]}, "log": "x"})] {
            assert!(verify_receipt(&signed, &receipt_keys(&keys).unwrap()).is_ok(), "{keys}");
        }
        let other = tenure_credentials::token::public_jwk(kid, &tenure_credentials::key::public_of(&Secret::new([6; 32])).unwrap());
        assert!(verify_receipt(&signed, &receipt_keys(&other).unwrap()).is_err());
        assert!(receipt_keys(&json!({"keys": []})).is_err());
        assert_eq!(signed_in(&json!({"signed": signed}).to_string()).unwrap(), signed);
        assert!(signed_in("{\"signed\":null}").is_err());
    }
}
