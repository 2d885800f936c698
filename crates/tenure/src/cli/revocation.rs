//! Credentials, cuts, holds and receipts.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};
use tenure_api::requests::{HoldRelease, NewHold, NewSuspension, Revocation, RevocationTarget};
use tenure_api::views::Names;
use tenure_api::views::{Page, ReceiptView, Releasers};
use tenure_client::{Client, ClientError};
use tenure_core::base::id::{ApplicationId, CloudAccountId, CredentialId, IdentityId, PersonId, ReceiptId, VendorId};
use tenure_core::credential::receipt::ReceiptState;
use tenure_core::identity::scope::Scope;
use tenure_credentials::key::VerifyingKey;
use tenure_credentials::receipt::verify_receipt;

use super::context::{Context, confirm, confirm_on_terminal, read_input};
use super::directory::filtered;
use super::failure::Failure;
use super::output::{Column, Paging};

const RECEIPTS: &[Column] = &[
    ("ID", "/id"),
    ("OF", "/what"),
    ("TARGET", "/target/target"),
    ("STATE", "/state"),
    ("IN FORCE", "/in_force_at"),
    ("REASON", "/reason"),
];

const HOLDS: &[Column] = &[
    ("SCOPE", "/scope/type"),
    ("ID", "/scope/id"),
    ("PLACED BY", "/placed_by"),
    ("RELEASED BY", "/releasable_by"),
    ("AT", "/at"),
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
            Self::Revoke { id, reason } => revoke(context, RevocationTarget::Credential(id), reason, false).await,
        }
    }
}

/// Revokes everything that was issued to an identity, an owner, an application or in an environment until now.
#[derive(Subcommand)]
#[command(after_help = "\
A cut takes one record, however many credentials it ends. It forbids nothing afterwards: what is active and has its key gets new
credentials by itself, and the reply says how many could. With --suspend the same act keeps them from it: an identity is suspended,
anything else is put on hold, until somebody other than you releases it.

Examples:
  tenure cut identity idn_… --suspend --reason \"key on a lost laptop\"
  tenure cut environment prod --reason \"incident 42\" --yes")]
pub enum Cut {
    /// Everything issued to one identity.
    Identity {
        /// The identity's id.
        id: IdentityId,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Keep it from working as well, until somebody else releases it.
        #[arg(long)]
        suspend: bool,
    },
    /// Everything issued to a person's identities.
    Owner {
        /// The person's id.
        id: PersonId,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Keep it from working as well, until somebody else releases it.
        #[arg(long)]
        suspend: bool,
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
        /// Keep it from working as well, until somebody else releases it.
        #[arg(long)]
        suspend: bool,
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
        /// Keep it from working as well, until somebody else releases it.
        #[arg(long)]
        suspend: bool,
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
        /// Keep it from working as well, until somebody else releases it.
        #[arg(long)]
        suspend: bool,
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
        /// Keep it from working as well, until somebody else releases it.
        #[arg(long)]
        suspend: bool,
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
}

impl Cut {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let (target, reason, suspend) = match self {
            Self::Identity { id, reason, suspend } => (RevocationTarget::Identity(id), reason, suspend),
            Self::Owner { id, reason, suspend, yes } => {
                confirm(&format!("this revokes every credential of every identity of {id}"), yes)?;
                (RevocationTarget::Owner(id), reason, suspend)
            }
            Self::Application { id, reason, suspend, yes } => {
                confirm(&format!("this revokes every credential of every identity of {id}"), yes)?;
                (RevocationTarget::Application(id), reason, suspend)
            }
            Self::Vendor { id, reason, suspend, yes } => {
                confirm(&format!("this revokes every credential of every identity of {id}"), yes)?;
                (RevocationTarget::Vendor(id), reason, suspend)
            }
            Self::CloudAccount { id, reason, suspend, yes } => {
                confirm(&format!("this revokes every credential of every identity of {id}"), yes)?;
                (RevocationTarget::CloudAccount(id), reason, suspend)
            }
            Self::Environment { name, reason, suspend, yes } => {
                confirm(&format!("this revokes every credential in the environment {name}"), yes)?;
                (RevocationTarget::Environment(name), reason, suspend)
            }
        };
        revoke(context, target, reason, suspend).await
    }
}

async fn revoke(context: &Context, target: RevocationTarget, reason: String, suspend: bool) -> anyhow::Result<()> {
    let client = context.client()?;
    if suspend {
        say_who_releases(&planned(&client, &target, &reason).await?, false)?;
    }
    let view = client.revoke(&Revocation { target, reason, suspend }).await?;
    eprintln!("in force since {}", view.receipt.in_force_at);
    match &view.receipt.returning {
        Some(returning) if returning.count > 0 => eprintln!(
            "hint: {} can get new credentials by themselves; to keep them from it, cut with --suspend: {}",
            if returning.count == 1 { "1 identity".to_owned() } else { format!("{} identities", returning.count) },
            returning.identities.iter().take(5).map(ToString::to_string).collect::<Vec<_>>().join(", ")
        ),
        None if !suspend => {
            eprintln!("hint: what is active in it can get new credentials by itself; the receipt will say how many")
        }
        _ => {}
    }
    if view.state == ReceiptState::Requested {
        eprintln!("hint: whether it is refused everywhere is being checked: tenure receipt show {}", view.receipt.id);
    }
    context.out.record(&view)
}

/// Who could release what a cut with `--suspend` would place.
async fn planned(client: &Client, target: &RevocationTarget, reason: &str) -> anyhow::Result<Releasers> {
    let scope = match target {
        RevocationTarget::Credential(_) => return Ok(Releasers::default()),
        RevocationTarget::Identity(id) => {
            let ask = NewSuspension { reason: reason.to_owned(), dry_run: true };
            // One that can't be suspended can be cut all the same.
            return Ok(client.suspend(*id, &ask).await.ok().and_then(|view| view.releasers).unwrap_or_default());
        }
        RevocationTarget::Owner(id) => Scope::Owner(*id),
        RevocationTarget::Application(id) => Scope::Application(*id),
        RevocationTarget::Environment(name) => Scope::Environment(name.clone()),
        RevocationTarget::Vendor(id) => Scope::Vendor(*id),
        RevocationTarget::CloudAccount(id) => Scope::CloudAccount(*id),
    };
    let ask = NewHold { scope, reason: reason.to_owned(), dry_run: true };
    Ok(client.place_hold(&ask).await.map(|view| view.releasers).unwrap_or_default())
}

/// Says who could release what is about to be placed; if nobody could, asks where there is a terminal. It never stands
/// in the way of a script.
pub fn say_who_releases(releasers: &Releasers, yes: bool) -> anyhow::Result<()> {
    if releasers.people.is_empty() {
        let what = "nobody but you could release this now, and you may not: give a second person the role security";
        return confirm_on_terminal(what, yes);
    }
    let people: Vec<_> = releasers.people.iter().map(ToString::to_string).collect();
    eprintln!("to be released by: {}{}", people.join(", "), if releasers.more { ", …" } else { "" });
    Ok(())
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
  tenure hold list
  tenure hold place application app_… --reason \"vendor under investigation\"
  tenure hold release application app_… --reason \"cleared\"")]
pub enum Hold {
    /// Lists the holds in force.
    List {
        /// Only of this sort: identity, owner, application, environment, vendor, cloud_account.
        #[arg(long)]
        kind: Option<String>,
        /// Only those that this person placed.
        #[arg(long)]
        placed_by: Option<PersonId>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Places a hold, and says before who could release it.
    Place {
        /// On what.
        kind: ScopeKind,
        /// Its id; an environment's name.
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Only say who could release it.
        #[arg(long)]
        dry_run: bool,
        /// Don't ask, though nobody could release it.
        #[arg(long)]
        yes: bool,
    },
    /// Releases a hold that somebody else placed.
    Release {
        /// On what.
        kind: ScopeKind,
        /// Its id; an environment's name.
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Whose hold, where several people hold it.
        #[arg(long)]
        placed_by: Option<PersonId>,
    },
}

impl Hold {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::List { kind, placed_by, paging } => {
                let query = filtered([("kind", kind), ("placed_by", placed_by.map(|id| id.to_string()))]);
                context.out.list(&paging, query, HOLDS, async |query| client.holds(&query).await).await
            }
            Self::Place { kind, id, reason, dry_run, yes } => {
                let mut ask = NewHold { scope: scope(&client, kind, &id).await?, reason, dry_run: true };
                let planned = client.place_hold(&ask).await?;
                say_who_releases(&planned.releasers, yes || dry_run)?;
                if dry_run {
                    return context.out.record(&planned);
                }
                ask.dry_run = false;
                context.out.record(&client.place_hold(&ask).await?)
            }
            Self::Release { kind, id, reason, placed_by } => {
                let ask = HoldRelease { scope: scope(&client, kind, &id).await?, reason, placed_by };
                context.out.record(&client.release_hold(&ask).await?)
            }
        }
    }
}

/// The scope that is named by its id, or by any name that an address takes.
async fn scope(client: &Client, kind: ScopeKind, name: &str) -> anyhow::Result<Scope> {
    let parse = |id: &str| match kind {
        ScopeKind::Identity => id.parse().map(Scope::Identity),
        ScopeKind::Owner => id.parse().map(Scope::Owner),
        ScopeKind::Application => id.parse().map(Scope::Application),
        ScopeKind::Environment => Ok(Scope::Environment(id.to_owned())),
        ScopeKind::Vendor => id.parse().map(Scope::Vendor),
        ScopeKind::CloudAccount => id.parse().map(Scope::CloudAccount),
    };
    if let Ok(scope) = parse(name) {
        return Ok(scope);
    }
    let list = match kind {
        ScopeKind::Identity => "identities",
        ScopeKind::Owner => "people",
        ScopeKind::Application => "applications",
        ScopeKind::Environment => "environments",
        ScopeKind::Vendor => "vendors",
        ScopeKind::CloudAccount => "cloud-accounts",
    };
    let id = client.id_of(list, name).await?;
    parse(&id).map_err(|error| Failure::usage(format!("{id}: {error}")).into())
}

/// Receipts: signed proofs of what a revocation, a suspension or a narrowing did at each enforcement point and target.
#[derive(Subcommand)]
#[command(after_help = "\
States: requested, refused_verified (refused, and a live credential passed the same check), refused, cannot_revoke (somewhere
accepted until its own end), unproven (retried), unreachable (retried), ended_read_back and narrowed_read_back (as a target's own
catalogue says), attested_gone (not proven: two people say that a target is gone), lifted (taken back before it was proven).

Examples:
  tenure receipt show rct_…
  tenure receipt verify rct_…                      with the server's key
  tenure receipt verify receipt.jws --key keys.json   offline; keys.json as /.well-known/tenure-keys gave it")]
pub enum Receipt {
    /// Lists receipts.
    List {
        /// Only of this target: credential/crd_…, identity/idn_…, owner/per_… (their identities), person/per_… (what stood
        /// for them and what they held), application/app_…, environment/NAME.
        #[arg(long)]
        target: Option<String>,
        /// The newest first.
        #[arg(long)]
        newest_first: bool,
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows how long the last revocations took until what was revoked was refused.
    Times,
    /// Shows a receipt.
    Show {
        /// The receipt's id.
        id: ReceiptId,
    },
    /// Checks a receipt's signature and prints what was signed.
    Verify {
        /// A file with the signed receipt, `-` for standard input, or a receipt's id to get it from the server.
        receipt: String,
        /// A file with the key: a JWK, a JWK set, or what /.well-known/tenure-keys gave. The server is asked if it is
        /// left out.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
}

impl Receipt {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::List { target, newest_first, paging } => {
                let client = context.client()?;
                let fetch = async |query| {
                    let page = client.receipts(&query).await?;
                    let items = page
                        .items
                        .into_iter()
                        .map(|item| ReceiptView {
                            state: item.record.state(),
                            receipt: item.record,
                            releasers: None,
                            log: item.log,
                            names: Names::new(),
                        })
                        .collect();
                    Ok::<_, ClientError>(Page {
                        items,
                        count: None,
                        next: page.next,
                        unreadable: page.unreadable,
                        names: Names::new(),
                    })
                };
                context
                    .out
                    .list(
                        &paging,
                        filtered([("target", target), ("sort", newest_first.then(|| "-id".to_owned()))]),
                        RECEIPTS,
                        fetch,
                    )
                    .await
            }
            Self::Times => context.out.record(&context.client()?.refusal_times().await?),
            Self::Show { id } => context.out.record(&context.client()?.receipt(id).await?),
            Self::Verify { receipt, key } => {
                let signed = match receipt.parse() {
                    Ok(id) => context.client()?.signed_receipt(id).await?,
                    Err(_) => signed_in(&read_input(receipt.as_ref())?)?,
                };
                let keys = match &key {
                    Some(path) => serde_json::from_str(&read_input(path)?)
                        .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?,
                    None => context.anonymous()?.keys().await?.receipts,
                };
                let claims = verify_receipt(signed.trim(), &receipt_keys(&keys)?)
                    .map_err(|error| Failure::new(format!("the receipt does not hold: {error}")))?;
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
        Failure::new("there is no receipt key").hint("give the JWK that /.well-known/tenure-keys names").into()
    })
}

fn receipt_key(jwk: &Value) -> Option<VerifyingKey> {
    let public = URL_SAFE_NO_PAD.decode(jwk.get("x")?.as_str()?).ok()?;
    VerifyingKey::new(jwk.get("kid")?.as_str()?.parse().ok()?, &public.try_into().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_core::base::id::SigningKeyId;
    use tenure_core::store::secret::Secret;
    use tenure_credentials::receipt::ReceiptSigner;

    #[test]
    fn a_receipt_verifies_with_each_form_of_the_key_and_no_other() {
        let (kid, seed) = (SigningKeyId::from_u128(3), Secret::new([5; 32]));
        let public = tenure_credentials::key::public_of(&seed).unwrap();
        let signed = ReceiptSigner::new(kid, &seed).unwrap().sign(json!({"id": "rct_1"}).as_object().unwrap()).unwrap();
        let jwk = tenure_credentials::token::public_jwk(kid, &public);
        for keys in [jwk.clone(), json!({"keys": [jwk]}), json!({"receipts": {"keys": [jwk]}, "log": "x"})] {
            assert!(verify_receipt(&signed, &receipt_keys(&keys).unwrap()).is_ok(), "{keys}");
        }
        let other = tenure_credentials::token::public_jwk(
            kid,
            &tenure_credentials::key::public_of(&Secret::new([6; 32])).unwrap(),
        );
        assert!(verify_receipt(&signed, &receipt_keys(&other).unwrap()).is_err());
        assert!(receipt_keys(&json!({"keys": []})).is_err());
        assert_eq!(signed_in(&json!({"signed": signed}).to_string()).unwrap(), signed);
        assert!(signed_in("{\"signed\":null}").is_err());
    }
}
