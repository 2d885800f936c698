//! Break-glass of machines, and drills of their removal.

use clap::Subcommand;
use serde_json::{Value, json};
use tenure_api::break_glass::{AfterReviewed, NewBreakGlass};
use tenure_api::drills::DrillView;
use tenure_core::base::id::{BreakGlassId, IdentityId};
use tenure_core::base::time::Span;
use tenure_core::inventory::entitlement::Entitlement;

use super::context::Context;
use super::directory::filtered;
use super::output::{Column, Paging};

const ACCESSES: &[Column] = &[
    ("ID", "/id"),
    ("IDENTITY", "/identity"),
    ("STARTED BY", "/started_by"),
    ("STARTED", "/started_at"),
    ("ENDS", "/ends_at"),
    ("STATE", "/state"),
    ("REASON", "/reason"),
];

/// Break-glass: an identity may do more for an hour at most, at once, where that was approved before.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  tenure exception propose break_glass --identity idn_… --for 90d --reason \"restores at night\" \\
    --control monitoring=\"pager\" --control after_review=\"security, next morning\"
  tenure break-glass start idn_… --action write --resource res_… --for 30m --reason \"restore of orders\"
  tenure break-glass review bgl_… --justified --note \"restored, nothing else touched\"
  tenure log exceptional                             every exceptional access, in a log of its own

Its owner and security are told at once; it ends by itself; and until somebody of security who didn't start it has looked at
it there is no next time. One that wasn't justified takes another exception.")]
pub enum BreakGlass {
    /// Lets an identity do more for an hour at most.
    Start {
        /// The identity.
        id: IdentityId,
        /// What it may do; may be given several times.
        #[arg(long = "action", value_name = "ACTION", required = true)]
        actions: Vec<String>,
        /// On what: a resource's id, within the identity's charter.
        #[arg(long, value_name = "ID")]
        resource: String,
        /// For how long: an hour at most.
        #[arg(long = "for", value_name = "SPAN")]
        duration: Span,
        /// Why now.
        #[arg(long)]
        reason: String,
    },
    /// Lists break-glass accesses.
    List {
        /// Only of this identity.
        #[arg(long)]
        identity: Option<IdentityId>,
        /// Only in this state: unreviewed, justified, unjustified.
        #[arg(long)]
        state: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows one.
    Show {
        /// Its id.
        id: BreakGlassId,
    },
    /// Says what was found when somebody looked at it afterwards.
    Review {
        /// Its id.
        id: BreakGlassId,
        /// It was needed.
        #[arg(long, conflicts_with = "unjustified", required_unless_present = "unjustified")]
        justified: bool,
        /// It wasn't: its exception allows no other.
        #[arg(long)]
        unjustified: bool,
        /// What was found.
        #[arg(long)]
        note: String,
    },
}

impl BreakGlass {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::Start { id, actions, resource, duration, reason } => {
                let ask = NewBreakGlass { entitlement: Entitlement { actions, resource }, duration, reason };
                let started = client.start_break_glass(id, &ask).await?;
                eprintln!("hint: end it before its time: tenure grant revoke {}", started.record.grant);
                context.out.record(&started)
            }
            Self::List { identity, state, paging } => {
                let query = filtered([("identity", identity.map(|id| id.to_string())), ("state", state)]);
                context
                    .out
                    .list(&paging, query, ACCESSES, async |query| client.break_glass_accesses(&query).await)
                    .await
            }
            Self::Show { id } => context.out.record(&client.break_glass(id).await?),
            Self::Review { id, justified, unjustified: _, note } => {
                context.out.record(&client.review_break_glass(id, &AfterReviewed { justified, note }).await?)
            }
        }
    }
}

const DRILLED: &[Column] = &[
    ("AT", "/at"),
    ("WHAT", "/what"),
    ("RESULT", "/result"),
    ("MADE", "/made_at"),
    ("TAKEN", "/accepted_at"),
    ("ENDED", "/ended_at"),
    ("REFUSED", "/refused_at"),
    ("RECEIPT", "/receipt"),
    ("WHY", "/why"),
];

/// Rehearses the removal of an identity: the newest token or login that it has for each resource is revoked as at a removal,
/// at the same points and targets, and proven by a receipt; its workload gets another one by itself. At each of its targets a
/// canary goes the same way: made, taken, ended, refused. The date of the last drill that proved all of that is what "still
/// removable?" is answered by.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tenure drill idn_…                         needs a token or a login of its that is alive, or a target
  tenure drill idn_… --last                  what came of the last one
Static keys, and accounts that people made, are left alone. A refusal with nothing that was accepted beside it is said as
refused_not_verified, and proves nothing.")]
pub struct Drill {
    /// The identity.
    pub id: IdentityId,
    /// Only shows the last drill.
    #[arg(long)]
    pub last: bool,
}

impl Drill {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        let drill = if self.last { client.last_drill(self.id).await? } else { client.drill(self.id).await? };
        if !drill.proven {
            eprintln!("hint: whether all of it is refused is being checked: tenure drill {} --last", self.id);
        }
        context.out.rows(&drill, &lines(&drill), DRILLED)
    }
}

/// What was revoked, and the canaries, in one table.
fn lines(drill: &DrillView) -> Vec<Value> {
    let revoked = drill.drilled.iter().map(
        |part| json!({"at": part.resource, "what": part.credential, "result": part.state, "receipt": part.receipt}),
    );
    let canaries = drill.canaries.iter().map(|canary| {
        json!({
            "at": canary.target, "what": "canary", "result": canary.result, "made_at": canary.made_at,
            "accepted_at": canary.accepted_at, "ended_at": canary.ended_at, "refused_at": canary.refused_at,
            "why": canary.why,
        })
    });
    revoked.chain(canaries).collect()
}
