//! Exceptions and business needs.

use clap::Subcommand;
use serde_json::json;
use tenure_api::exceptions::{
    BreachReport, ControlsRestored, ExceptionView, NewControl, NewException, NewNeed, Renewal,
};
use tenure_api::ownership::OwnerEdit;
use tenure_api::requests::Because;
use tenure_core::base::id::{ExceptionId, FindingId, IdentityId, NeedId, PersonId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::place::{Place, PlaceKind};
use tenure_core::inventory::third_party::NeedKind;

use super::context::{Context, revision_or, word};
use super::directory::filtered;
use super::output::{Column, Paging, Search};

const EXCEPTIONS: &[Column] = &[
    ("ID", "/id"),
    ("TYPE", "/type"),
    ("IDENTITY", "/subject/id"),
    ("STATE", "/state"),
    ("ENDS", "/ends_at"),
    ("RENEWALS", "/renewals"),
    ("LEFT", "/renewals_left"),
];
const NEEDS: &[Column] = &[
    ("ID", "/id"),
    ("TYPE", "/type"),
    ("NAME", "/name"),
    ("OWNER", "/owner"),
    ("ENDS", "/ends_at"),
    ("STANDING", "/standing"),
];

/// Exceptions: a control that is waived for one identity, for a while.
#[derive(Subcommand)]
#[command(after_help = "\
Types and the controls that each demands:
  wildcard_scope     monitoring, scope_reduction
  weaker_credential  vaulting, rotation, ownership, revalidation
  shared_use         consumers, migration_plan
  dormancy           monitoring, scope_reduction, documented_expiry
  removal_deferred   monitoring, scope_reduction, documented_expiry
  late_review        monitoring
  accept_unreachable monitoring, local_limit
  break_glass        monitoring, after_review
  accepted_finding   monitoring                      (tenure finding accept)
Nothing waives the owner or the expiry. removal_deferred has removals of the identity wait for its end: those that begin
once it is in force, and never one for a compromise.

Example:
  tenure exception propose wildcard_scope --identity idn_… --for 30d --reason \"legacy importer\" \\
    --control monitoring=\"alert on each use\" --control scope_reduction=\"read replica only\"
  tenure request approve req_…                       by the owner, and by security
  tenure exception renew exc_… --for 30d --reason \"cut-over in May\"")]
pub enum Exception {
    /// Proposes an exception and opens the request about it.
    Propose {
        /// What is waived.
        #[arg(value_name = "TYPE")]
        kind: String,
        /// For which identity.
        #[arg(long)]
        identity: IdentityId,
        /// Why.
        #[arg(long)]
        reason: String,
        /// A compensating control and how it is done; may be given several times.
        #[arg(long = "control", value_name = "NAME=DESCRIPTION", value_parser = control)]
        controls: Vec<NewControl>,
        /// Of a shared use, where else it runs, as region=…, cluster=… or pipeline=…; may be given several times.
        #[arg(long = "place", value_name = "TYPE=NAME", value_parser = place)]
        places: Vec<Place>,
        /// For how long, e.g. 30d.
        #[arg(long = "for", value_name = "SPAN")]
        duration: Span,
        /// The finding that is let be, of the type accepted_finding.
        #[arg(long, value_name = "ID")]
        finding: Option<FindingId>,
    },
    /// Lists exceptions.
    List {
        /// Only in this state: proposed, active, breached, expired, withdrawn.
        #[arg(long)]
        state: Option<String>,
        /// Only of this type.
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// Only of this identity.
        #[arg(long)]
        identity: Option<IdentityId>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows an exception.
    Show {
        /// The exception's id.
        id: ExceptionId,
    },
    /// Proposes the next one after this; how often is capped.
    Renew {
        /// The exception's id.
        id: ExceptionId,
        /// Why it is still needed.
        #[arg(long)]
        reason: String,
        /// For how long, e.g. 30d.
        #[arg(long = "for", value_name = "SPAN")]
        duration: Span,
        /// A compensating control and how it is done; as before if none is given.
        #[arg(long = "control", value_name = "NAME=DESCRIPTION", value_parser = control)]
        controls: Vec<NewControl>,
    },
    /// Takes an exception back; what rests on it is suspended at once.
    Withdraw {
        /// The exception's id.
        id: ExceptionId,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Reports that a compensating control is not in place; after two days the waiver is withdrawn.
    Breach {
        /// The exception's id.
        id: ExceptionId,
        /// Which control.
        #[arg(long)]
        control: String,
        /// What was seen.
        #[arg(long)]
        note: String,
    },
    /// Confirms that every compensating control is in place again.
    Restore {
        /// The exception's id.
        id: ExceptionId,
        /// What was checked, and how.
        #[arg(long)]
        note: String,
    },
}

impl Exception {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::Propose { kind, identity, reason, controls, places, duration, finding } => {
                let ask = NewException {
                    kind,
                    subject: json!({"type": "identity", "id": identity}),
                    reason,
                    compensating: controls,
                    places,
                    duration,
                    renews: None,
                    finding,
                };
                proposed(context, &client.propose_exception(&ask).await?)
            }
            Self::List { state, kind, identity, paging } => {
                let query =
                    filtered([("state", state), ("type", kind), ("identity", identity.map(|id| id.to_string()))]);
                context.out.list(&paging, query, EXCEPTIONS, async |query| client.exceptions(&query).await).await
            }
            Self::Show { id } => context.out.record(&client.exception(id).await?),
            Self::Renew { id, reason, duration, controls } => {
                let ask = Renewal { reason, duration, compensating: (!controls.is_empty()).then_some(controls) };
                proposed(context, &client.renew_exception(id, &ask).await?)
            }
            Self::Withdraw { id, reason } => {
                context.out.record(&client.withdraw_exception(id, &Because { reason }).await?)
            }
            Self::Breach { id, control, note } => {
                let view = client.report_breach(id, &BreachReport { control, note }).await?;
                eprintln!("hint: once it is in place again: tenure exception restore {id} --note …");
                context.out.record(&view)
            }
            Self::Restore { id, note } => {
                context.out.record(&client.restore_controls(id, &ControlsRestored { note }).await?)
            }
        }
    }
}

pub(super) fn proposed(context: &Context, view: &ExceptionView) -> anyhow::Result<()> {
    let record = &view.record;
    eprintln!("{} is {}; renewals left after it: {}", record.id, record.state.as_str(), view.renewals_left);
    eprintln!("hint: it waits for its approvers: tenure request show {}", record.request);
    context.out.record(view)
}

fn place(text: &str) -> Result<Place, String> {
    let (kind, name) = text.split_once('=').ok_or("write TYPE=NAME, e.g. region=eu-central-1")?;
    Ok(Place { kind: word::<PlaceKind>(kind)?, name: name.to_owned() })
}

fn control(text: &str) -> Result<NewControl, String> {
    match text.split_once('=') {
        Some((name, description)) if !name.is_empty() && !description.is_empty() => {
            Ok(NewControl { control: name.to_owned(), description: description.to_owned() })
        }
        _ => Err("expected NAME=DESCRIPTION, e.g. monitoring=\"alert on each use\"".to_owned()),
    }
}

/// Business needs, which identities serve: projects, integrations, contracts.
#[derive(Subcommand)]
#[command(after_help = "\
When a need closes, the identities that serve it are suspended, though they be in use, and retire after the hold (tenure removal list).

Examples:
  tenure need create --type project --name atlas --owner per_… --ends-at 2027-03-31T00:00:00Z
  tenure need close nee_… --reason \"project done\"")]
pub enum Need {
    /// Makes a need; a charter names it as `need`.
    Create {
        /// What it is: project, integration, contract.
        #[arg(long = "type", value_name = "TYPE", value_parser = word::<NeedKind>)]
        kind: NeedKind,
        /// The name, unique for ever.
        #[arg(long)]
        name: String,
        /// The person who answers for it.
        #[arg(long)]
        owner: PersonId,
        /// When it ends by itself.
        #[arg(long, value_name = "TIME")]
        ends_at: Option<Timestamp>,
    },
    /// Changes who answers for a need, as it stands now or at the revision that was read.
    Update {
        /// Its id.
        id: NeedId,
        /// The person who answers for it from now on.
        #[arg(long)]
        owner: PersonId,
        /// The revision that the change is meant for; what it is now if not given.
        #[arg(long)]
        revision: Option<u64>,
    },
    /// Lists needs.
    List {
        /// Only with this name.
        #[arg(long)]
        name: Option<String>,
        /// Only of this owner.
        #[arg(long)]
        owner: Option<PersonId>,
        /// Only where they stand so: open, closed.
        #[arg(long)]
        standing: Option<String>,
        #[command(flatten)]
        search: Search,
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows a need.
    Show {
        /// The need's id.
        id: NeedId,
    },
    /// Closes a need for ever: the identities that serve it are suspended, and retire after the hold.
    Close {
        /// The need's id.
        id: NeedId,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

impl Need {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::Create { kind, name, owner, ends_at } => {
                context.out.record(&client.create_need(&NewNeed { kind, name, owner, ends_at }).await?)
            }
            Self::List { name, owner, standing, search, paging } => {
                let query =
                    filtered([("name", name), ("owner", owner.map(|id| id.to_string())), ("standing", standing)]);
                context.out.list(&paging, search.of(query), NEEDS, async |query| client.needs(&query).await).await
            }
            Self::Update { id, owner, revision } => {
                let revision = revision_or(revision, client.need(id)).await?;
                context.out.record(&client.update_need(id, revision, &OwnerEdit { owner }).await?)
            }
            Self::Show { id } => context.out.record(&client.need(id).await?),
            Self::Close { id, reason } => {
                let closed = client.close_need(id, &Because { reason }).await?;
                eprintln!("hint: what served it is suspended: tenure finding list --rule need-ended --state open");
                context.out.record(&closed)
            }
        }
    }
}
