//! Claims of what was found at targets: of one, or of everything that was proposed to whoever asks.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::Value;
use tenure_api::targets;
use tenure_client::{Client, ClientError, ListQuery};
use tenure_core::base::id::{AccountId, IdentityId};
use tenure_core::identity::{CharterDraft, IdentityState, Kind};
use tenure_core::target::account::Account;

use super::context::{Context, read_json, word};
use super::failure::Failure;
use super::identity::charter;
use super::output::Column;

const CLAIMED: &[Column] = &[
    ("ACCOUNT", "/account"),
    ("NAME", "/name"),
    ("IDENTITY", "/identity"),
    ("CLAIMED", "/claimed"),
    ("WHY NOT", "/why_not"),
];
/// Accounts that one call claims at most.
const MOST: usize = 500;

/// What is claimed.
#[derive(Args)]
pub struct Claim {
    /// The identity's id or name.
    #[arg(required_unless_present = "proposed_to_me", conflicts_with = "proposed_to_me")]
    id: Option<IdentityId>,
    /// The file with the charter as JSON; - reads it from standard input.
    #[arg(required_unless_present = "proposed_to_me", conflicts_with = "proposed_to_me")]
    file: Option<PathBuf>,
    /// Its kind; a service account if not given.
    #[arg(long, value_parser = word::<Kind>)]
    kind: Option<Kind>,
    /// Everything that was proposed to you and that nobody claimed, 500 at most.
    #[arg(long, requires = "charter_template")]
    proposed_to_me: bool,
    /// The file with the charter of each as JSON, with {name} for the account's name and {identity} for its identity's.
    #[arg(long, value_name = "FILE", requires = "proposed_to_me")]
    charter_template: Option<PathBuf>,
    /// Only say which ones, and whether the template is one.
    #[arg(long, requires = "proposed_to_me")]
    dry_run: bool,
}

/// What came of one claim.
#[derive(Serialize)]
struct Claimed {
    account: AccountId,
    name: String,
    identity: IdentityId,
    claimed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not: Option<String>,
}

impl Claim {
    /// Does it.
    pub async fn run(self, context: &Context, client: &Client) -> anyhow::Result<()> {
        if let Some(template) = &self.charter_template {
            return self.all(context, client, template).await;
        }
        let (Some(id), Some(file)) = (self.id, &self.file) else {
            return Err(Failure::usage("name the identity and the file with its charter").into());
        };
        let ask = targets::Claim { kind: self.kind, charter: charter(read_json(file)?)? };
        let claimed = client.claim_identity(id, &ask).await?;
        eprintln!("hint: it is a draft now: complete its charter and run tenure identity submit {id}");
        context.out.record(&claimed)
    }

    async fn all(&self, context: &Context, client: &Client, template: &Path) -> anyhow::Result<()> {
        let template: Value = read_json(template)?;
        let me = client.me().await?.person.ok_or_else(|| Failure::new("only a person answers for anything"))?;
        let mut query = ListQuery::new().filter("proposed", me.id.to_string()).filter("state", "standing");
        let mut claimed = Vec::new();
        loop {
            let page = client.accounts(&query).await?;
            for account in &page.items {
                if claimed.len() < MOST
                    && let Some(one) = self.one(client, &template, &account.record).await?
                {
                    eprintln!("{} {}", if one.claimed { "claimed" } else { "not claimed" }, one.name);
                    claimed.push(one);
                }
            }
            match page.next {
                Some(next) if claimed.len() < MOST => query = query.after(&next),
                _ => break,
            }
        }
        let done = claimed.iter().filter(|one| one.claimed).count();
        eprintln!("{done} of {} were claimed; each is a draft now: tenure identity submit", claimed.len());
        context.out.rows(&claimed, &claimed, CLAIMED)
    }

    /// Claims one account; nothing, if somebody did before.
    async fn one(&self, client: &Client, template: &Value, account: &Account) -> anyhow::Result<Option<Claimed>> {
        // Whoever may not read it yet may claim it all the same.
        let identity = client.identity(account.identity).await.ok();
        if identity.as_ref().is_some_and(|identity| identity.record.state != IdentityState::Discovered) {
            return Ok(None);
        }
        let identity = identity.map_or_else(|| account.identity.to_string(), |identity| identity.record.name);
        let charter = filled(template, &account.seen.name, &identity)?;
        let ask = targets::Claim { kind: self.kind, charter };
        let why_not = match self.dry_run {
            true => Some("it was only asked".to_owned()),
            false => match client.claim_identity(account.identity, &ask).await {
                Ok(_) => None,
                Err(ClientError::Problem(problem)) => {
                    Some(problem.detail.clone().unwrap_or_else(|| problem.title.clone()))
                }
                Err(error) => return Err(error.into()),
            },
        };
        Ok(Some(Claimed {
            account: account.id,
            name: account.seen.name.clone(),
            identity: account.identity,
            claimed: why_not.is_none(),
            why_not,
        }))
    }
}

/// The charter of one account. What every claim says is there: what it is for, its end, and what ends it.
fn filled(template: &Value, name: &str, identity: &str) -> anyhow::Result<CharterDraft> {
    let charter = charter(with(template, name, identity))?;
    let missing = [
        ("purpose", charter.purpose.is_none()),
        ("expires_at", charter.expires_at.is_none()),
        ("retirement", charter.retirement.is_empty()),
    ];
    match missing.into_iter().find(|(_, missing)| *missing) {
        None => Ok(charter),
        Some((field, _)) => Err(Failure::usage(format!("the template has no {field}: each claim says it")).into()),
    }
}

fn with(template: &Value, name: &str, identity: &str) -> Value {
    match template {
        Value::String(text) => Value::String(text.replace("{name}", name).replace("{identity}", identity)),
        Value::Array(items) => items.iter().map(|item| with(item, name, identity)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(field, value)| (field.clone(), with(value, name, identity))).collect()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_template_is_filled_and_says_what_every_claim_says() {
        let template = json!({
            "charter": {
                "purpose": "{name} as {identity}",
                "expires_at": tenure_core::base::time::Timestamp::from_secs(1_900_000_000),
                "retirement": [{"type": "task_completed"}],
            }
        });
        let charter = filled(&template, "billing_ro", "billing_ro.orders-db").unwrap();
        assert_eq!(charter.purpose.as_deref(), Some("billing_ro as billing_ro.orders-db"));
        for field in ["purpose", "expires_at", "retirement"] {
            let mut less = template.clone();
            less["charter"].as_object_mut().unwrap().remove(field);
            assert!(filled(&less, "a", "b").unwrap_err().to_string().contains(field));
        }
    }
}
