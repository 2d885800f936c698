//! The same deed for several identities: rehearsed first, then done some at a time.

use serde::Serialize;
use tenure_api::bulk::{BulkDeed, BulkOutcome, BulkReport, BulkWord, NewBulk};
use tenure_client::Client;
use tenure_core::base::id::{IdentityId, PersonId};

use super::context::{Context, confirm, word};
use super::output::Column;

/// To how many it is done at once.
const AT_ONCE: usize = 50;

const OUTCOMES: &[Column] = &[("IDENTITY", "/identity"), ("OUTCOME", "/outcome"), ("WHY", "/problem/detail")];

/// Does the same to several identities, once you have seen what it comes to for each.
///
/// Each is decided as if it were the only one, by the same policy, and done as it was when that was shown: what has
/// changed since is left as it is. It is done to fifty at a time; stopped in between, the rest stays, and the same
/// again does nothing twice.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tenure identity bulk suspend --query \"application=app_…&state=active\" --reason \"incident 42\" --dry-run
  tenure identity bulk suspend --query \"application=app_…&state=active\" --reason \"incident 42\"
  tenure identity bulk transfer idn_… idn_… --to per_…
  tenure identity bulk retire --query \"unowned=true\" --reason \"nobody needs them\" --yes")]
pub struct Bulk {
    /// suspend, resume, transfer, retire or close.
    #[arg(value_parser = word::<BulkDeed>)]
    deed: BulkDeed,
    /// The identities; at most 500.
    #[arg(required_unless_present = "query")]
    identities: Vec<IdentityId>,
    /// In their place, what the address of the inventory has behind its `?`: the first 500 that fit.
    #[arg(long, conflicts_with = "identities")]
    query: Option<String>,
    /// To whom, of a transfer.
    #[arg(long)]
    to: Option<PersonId>,
    /// Why; of a transfer nobody is asked.
    #[arg(long, default_value = "")]
    reason: String,
    /// Only say what it would come to.
    #[arg(long)]
    dry_run: bool,
    /// Don't ask first.
    #[arg(long)]
    yes: bool,
}

/// What is printed in the end.
#[derive(Serialize)]
struct Outcomes {
    each: Vec<BulkOutcome>,
}

impl Bulk {
    /// Does it.
    pub async fn run(self, client: &Client, context: &Context) -> anyhow::Result<()> {
        let rehearsed = client.bulk(&self.asked(self.identities.clone(), self.query.clone(), None)).await?;
        if rehearsed.more {
            eprintln!("More fit: these are the first {}.", rehearsed.each.len());
        }
        let count = |word| rehearsed.each.iter().filter(|one| one.outcome == word).count();
        let (would, refused) = (count(BulkWord::Done), count(BulkWord::Refused));
        let said = format!("Of {} it would be done to {would}, {refused} would be refused", rehearsed.each.len());
        if self.dry_run || would == 0 {
            eprintln!("{said}. Nothing was done.");
            return context.out.rows(&rehearsed, &rehearsed.each, OUTCOMES);
        }
        confirm(&said, self.yes)?;
        let ids: Vec<IdentityId> = rehearsed.each.iter().map(|one| one.identity).collect();
        let mut done = Outcomes { each: Vec::with_capacity(ids.len()) };
        for some in ids.chunks(AT_ONCE) {
            let shown = rehearsed.each.get(done.each.len()..).unwrap_or_default();
            let report = self.some(client, some, shown).await;
            let report = match report {
                Ok(report) => report,
                Err(error) => {
                    // What was done before that is told all the same.
                    context.out.rows(&done, &done.each, OUTCOMES)?;
                    return Err(error);
                }
            };
            done.each.extend(report.each);
            eprintln!("{} of {}", done.each.len(), ids.len());
        }
        context.out.rows(&done, &done.each, OUTCOMES)
    }

    /// Does it to some of them, if that comes to what was shown.
    async fn some(&self, client: &Client, some: &[IdentityId], shown: &[BulkOutcome]) -> anyhow::Result<BulkReport> {
        let again = client.bulk(&self.asked(some.to_vec(), None, None)).await?;
        let is_other = |(now, then): (&BulkOutcome, &BulkOutcome)| now.outcome != then.outcome;
        if let Some(other) = again.each.iter().zip(shown).find(|(now, then)| is_other((now, then))) {
            let why = format!("what it would come to for {} has changed since it was shown", other.0.identity);
            return Err(super::failure::Failure::new(why).hint("look again: --dry-run").into());
        }
        Ok(client.bulk(&self.asked(some.to_vec(), None, again.digest)).await?)
    }

    /// What is asked: with a digest, that it be done.
    fn asked(&self, identities: Vec<IdentityId>, query: Option<String>, digest: Option<String>) -> NewBulk {
        let dry_run = digest.is_none();
        NewBulk { deed: self.deed, identities, query, to: self.to, reason: self.reason.clone(), dry_run, digest }
    }
}
