//! Removals: something that identities live by has ended, and they end with it.

use clap::{Args, Subcommand};
use tenure_api::removals::{ConfirmRemoval, NewRemoval};
use tenure_api::requests::Because;
use tenure_core::base::id::{IdentityId, RemovalId};
use tenure_core::signal::{SignalKind, SignalSubject, SubjectKind};

use super::context::{Context, confirm, word};
use super::directory::filtered;
use super::output::{Column, Paging};

const REMOVALS: &[Column] = &[
    ("ID", "/id"),
    ("STATE", "/state"),
    ("KIND", "/kind"),
    ("SUBJECT", "/subject/id"),
    ("IDENTITIES", "/blast/count"),
    ("RETIRES", "/retire_at"),
];

/// Removals: an application, a vendor, a cloud account, a need, a repository or a workload has ended.
#[derive(Subcommand)]
#[command(after_help = "\
What lives by it is cut and held at once, and retires after the hold unless somebody of security releases it.

Examples:
  tenure removal plan application:billing                        shows whom it takes with it; changes nothing
  tenure removal raise application:billing --reason \"replaced by ledger\" --expect sha256:…
  tenure removal raise cloud_account:aws/123456789012 --reason \"account deleted\"
  tenure removal list --state waiting
  tenure removal confirm rem_… --digest sha256:…
  tenure removal release rem_… --reason \"false alarm\"")]
pub enum Removal {
    /// Shows what raising it would do, and the digest that makes sure that it does nothing else.
    Plan {
        #[command(flatten)]
        what: What,
    },
    /// Says that it has ended: what lives by it is cut and held when the command returns.
    Raise {
        #[command(flatten)]
        what: What,
        /// Why.
        #[arg(long)]
        reason: String,
        /// The digest that the plan showed: refused if the effect would be another.
        #[arg(long, value_name = "DIGEST")]
        expect: Option<String>,
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
    /// Lists removals.
    List {
        /// Only those that are waiting, held, retiring, done or released.
        #[arg(long)]
        state: Option<String>,
        /// Only those of this subject, as type:name.
        #[arg(long)]
        subject: Option<String>,
        /// Only those that concern this identity; found by the first eight that a removal concerns.
        #[arg(long)]
        identity: Option<IdentityId>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows a removal; of one that waits, what confirming it would do now.
    Show {
        /// The removal's id.
        id: RemovalId,
    },
    /// Confirms what a source wants ended beyond its cap; takes a person of security.
    Confirm {
        /// The removal's id.
        id: RemovalId,
        /// The digest that `show` gave: refused if the effect would be another by now.
        #[arg(long)]
        digest: String,
    },
    /// Lets a removal go before it retires, or refuses to confirm it; takes a person of security. What was revoked
    /// stays revoked.
    Release {
        /// The removal's id.
        id: RemovalId,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

/// What ended.
#[derive(Args)]
pub struct What {
    /// What ended, as type:name; types: application, vendor, cloud_account, need, repository, workload, identity.
    #[arg(value_parser = subject)]
    subject: SignalSubject,
    /// What happened to it, e.g. pipeline_deleted; what is usual for its type if left out.
    #[arg(long, value_parser = word::<SignalKind>)]
    kind: Option<SignalKind>,
    /// It is leaked or breached: nothing waits for the end of an exception (removal_deferred).
    #[arg(long)]
    compromise: bool,
}

fn subject(text: &str) -> Result<SignalSubject, String> {
    let (kind, id) = text.split_once(':').ok_or("write type:name, e.g. application:billing")?;
    Ok(SignalSubject { kind: word::<SubjectKind>(kind)?, id: id.to_owned() })
}

impl Removal {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::Plan { what } => {
                let ask = NewRemoval {
                    subject: what.subject,
                    kind: what.kind,
                    reason: "plan".into(),
                    compromise: what.compromise,
                    dry_run: true,
                    expect: None,
                };
                let planned = client.raise_removal(&ask).await?;
                eprintln!(
                    "hint: nothing was changed; to do exactly this: tenure removal raise … --expect {}",
                    planned.record.digest
                );
                context.out.record(&planned.record)
            }
            Self::Raise { what, reason, expect, yes } => {
                confirm(
                    &format!("this revokes and holds everything that lives by {}, and retires it later", what.subject),
                    yes,
                )?;
                let What { subject, kind, compromise } = what;
                let ask = NewRemoval { subject, kind, reason, compromise, dry_run: false, expect };
                let raised = client.raise_removal(&ask).await?;
                if let Some(at) = raised.record.retire_at {
                    eprintln!(
                        "hint: it retires at {at}; somebody else of security can stop that: tenure removal release {}",
                        raised.record.id
                    );
                }
                context.out.record(&raised)
            }
            Self::List { state, subject, identity, paging } => {
                let query =
                    filtered([("state", state), ("subject", subject), ("identity", identity.map(|id| id.to_string()))]);
                context.out.list(&paging, query, REMOVALS, async |query| client.removals(&query).await).await
            }
            Self::Show { id } => context.out.record(&client.removal(id).await?),
            Self::Confirm { id, digest } => {
                context.out.record(&client.confirm_removal(id, &ConfirmRemoval { digest }).await?)
            }
            Self::Release { id, reason } => {
                let released = client.release_removal(id, &Because { reason }).await?;
                eprintln!("hint: what was revoked stays revoked; workloads get credentials anew");
                context.out.record(&released)
            }
        }
    }
}
