//! Identities and their grants.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::Value;
use tenure_api::api_keys::NewApiKey;
use tenure_api::requests::{Because, ConsumerEnd, NewIdentity, NewSuspension, Resume, Stage, TaskCompleted};
use tenure_api::usage::NewRightSize;
use tenure_api::views::{IdentityView, Releasers};
use tenure_core::base::id::{ApplicationId, GrantId, IdentityId, PersonId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::right_size::UseWindow;
use tenure_core::identity::{CharterDraft, IdentityState, Kind};
use tenure_core::trust::issuer::Preset;

use super::bulk::Bulk;
use super::claim;
use super::context::{Context, must_be_new, read_json, today, word, write_new_secret};
use super::directory::filtered;
use super::failure::Failure;
use super::finding;
use super::output::{Column, Paging, Search, line};
use super::request::Request;
use super::revocation::say_who_releases;
use super::usage;

pub const IDENTITIES: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("STATE", "/state"),
    ("ENVIRONMENT", "/charter/environment"),
    ("OWNER", "/charter/owner"),
    ("EXPIRES", "/charter/expires_at"),
    ("LAST USED", "/last_used"),
];
pub const CREDENTIALS: &[Column] = &[
    ("ID", "/id"),
    ("STATE", "/state"),
    ("RESOURCE", "/resource"),
    ("ACTIONS", "/actions"),
    ("ISSUED", "/issued_at"),
    ("EXPIRES", "/expires_at"),
];
const ACCESS: &[Column] = &[
    ("GRANT", "/grant"),
    ("RESOURCE", "/entitlement/resource"),
    ("ACTIONS", "/entitlement/actions"),
    ("APPROVED BY", "/approved_by"),
    ("NEED", "/need"),
    ("ENDS", "/ends"),
    ("LIVE", "/live"),
];
/// The suggested life of an identity in the template.
const TEMPLATE_LIFE: Span = Span::from_days(90);

/// Non-human identities: register, approve, suspend, end.
#[derive(Subcommand)]
#[command(after_help = "\
A life:
  tenure key generate --out exporter.key            the workload's own key; its public part goes into the charter
  tenure identity charter-template > exporter.json  fill in the ids
  tenure identity register -f exporter.json         draft → pending; every field that is missing is named
  tenure request list --state open                  its request waits for the approvers that it names
  tenure request approve req_…                      by one of them
  tenure token get --identity idn_… --key exporter.key --environment prod
  tenure identity access idn_…                      what it holds, who approved it, for which need, what ends it
  tenure identity suspend idn_… --reason \"incident 42\"
  tenure identity retire idn_… --reason \"replaced\"  for ever")]
pub enum Identity {
    /// Registers an identity from a file.
    Register {
        /// The file: JSON as `charter-template` prints it; `-` is standard input.
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        /// How far to go: draft, pending or active; what the file says, or pending.
        #[arg(long, value_parser = word::<Stage>)]
        stage: Option<Stage>,
    },
    /// Lists identities.
    List {
        /// Only in this state: draft, pending, active, suspended, retiring, retired, closed.
        #[arg(long)]
        state: Option<String>,
        /// Only of this owner.
        #[arg(long)]
        owner: Option<PersonId>,
        /// Only of this application.
        #[arg(long)]
        application: Option<ApplicationId>,
        /// Only in this environment.
        #[arg(long)]
        environment: Option<String>,
        /// Only with this name.
        #[arg(long)]
        name: Option<String>,
        /// Only of this kind.
        #[arg(long)]
        kind: Option<String>,
        /// Only enforcement points of this resource.
        #[arg(long, value_name = "RESOURCE")]
        enforces: Option<String>,
        /// Only of this risk tier: low, medium, high.
        #[arg(long)]
        tier: Option<String>,
        /// Only those that nobody owns.
        #[arg(long)]
        unowned: bool,
        #[command(flatten)]
        search: Search,
        #[command(flatten)]
        paging: Paging,
    },
    Bulk(Bulk),
    /// Counts identities by state, kind and tier; at most a minute ago.
    Census,
    /// Shows an identity.
    Show {
        /// The identity's id.
        id: IdentityId,
    },
    /// Prints a file to fill in for `register`, with what the kind demands.
    CharterTemplate {
        /// The kind.
        #[arg(long, value_parser = word::<Kind>, default_value = "workload")]
        kind: Kind,
        /// What vouches for it, in place of a key of its own: github_actions, gitlab, kubernetes or oidc. A pipeline's
        /// is github_actions if not given.
        #[arg(long, value_parser = word::<Preset>)]
        preset: Option<Preset>,
    },
    /// Writes a new charter.
    Charter {
        /// The identity's id.
        id: IdentityId,
        /// The file: a charter, or a whole file as for `register`; `-` is standard input.
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        /// The revision that the charter is meant for; what the identity is at now if not given.
        #[arg(long, value_name = "N")]
        revision: Option<u64>,
    },
    /// Answers for an identity that was found at a target: writes its charter, and makes it a draft. Or for everything
    /// that was proposed to you, each with a charter made from a template.
    #[command(after_help = "\
In a template {name} stands for the account's name at its target, {identity} for its identity's. It has a purpose, an
end and what ends it: nothing is claimed without.

Examples:
  tenure identity claim billing_ro.orders-db charter.json
  tenure identity claim --proposed-to-me --charter-template template.json --dry-run")]
    Claim(Box<claim::Claim>),
    /// Hands a draft in for activation.
    Submit {
        /// The identity's id.
        id: IdentityId,
    },
    /// Shows the request of a pending identity, asks, and votes for its activation; the last vote activates it.
    Activate {
        /// The identity's id.
        id: IdentityId,
        /// The content hash of its request as you read it, in place of being shown it and asked.
        #[arg(long, value_name = "HASH")]
        content_hash: Option<String>,
    },
    /// Suspends an identity: nothing of it works until it is resumed.
    Suspend {
        /// The identity's id.
        id: IdentityId,
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
    /// Releases one cause of suspension; what was revoked stays revoked.
    Resume {
        /// The identity's id.
        id: IdentityId,
        /// Which cause: its place in `suspensions`, from 0.
        #[arg(long, default_value_t = 0)]
        cause: usize,
        /// The identity's revision in which it has that place; wanted where there is more than one cause.
        #[arg(long)]
        revision: Option<u64>,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Ends one consumer of a shared identity: its binding is gone for ever, what it holds is dead, and the others go on.
    EndConsumer {
        /// The identity's id.
        id: IdentityId,
        /// Which of the consumers of its charter.
        consumer: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Ends an identity for ever and revokes all that it holds.
    Retire {
        /// The identity's id.
        id: IdentityId,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Ends a draft or pending identity that never worked.
    Close {
        /// The identity's id.
        id: IdentityId,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Reports that the identity's task is over, be it with success or not.
    CompleteTask {
        /// The identity's id.
        id: IdentityId,
        /// How it ended.
        #[arg(long, default_value = "completed")]
        outcome: String,
    },
    /// Says what an identity holds, who approved it, for which need, and what ends it.
    Access {
        /// The identity's id.
        id: IdentityId,
    },
    /// Computes every posture rule now, and says which the identity breaks.
    Posture {
        /// The identity's id.
        id: IdentityId,
    },
    /// Shows what an identity's charter grants beside what it used, and the scope that would do.
    #[command(after_help = "\
VERDICT is used, new (granted within the window), untold (tokens were shown, and nobody asked what for), rare (used within
13 months, and not within the window) or unused. The scope that would do is replayed against the decisions of 90 days.

Examples:
  tenure identity usage billing-exporter
  tenure identity usage billing-exporter --window 90d")]
    Usage {
        /// The identity's id.
        id: IdentityId,
        /// Over which time: 7d, 30d or 90d.
        #[arg(long, value_parser = word::<UseWindow>, default_value = "30d")]
        window: UseWindow,
    },
    /// Asks that an identity's charter be narrowed to what was used; its approvers decide.
    #[command(after_help = "\
What is used more rarely than the window is long stays, unless you say --drop-rare: read first what it is, and what the
replay says of it.

Examples:
  tenure identity right-size billing-exporter --dry-run
  tenure identity right-size billing-exporter --window 90d
  tenure identity right-size billing-exporter --drop-rare --purpose \"the yearly closing moved to the ledger\"")]
    RightSize {
        /// The identity's id.
        id: IdentityId,
        /// Over which time use is looked at: 7d, 30d or 90d.
        #[arg(long, value_parser = word::<UseWindow>, default_value = "30d")]
        window: UseWindow,
        /// Drop what was used within 13 months, and not within the window, too.
        #[arg(long)]
        drop_rare: bool,
        /// For which need; if not given, what it is.
        #[arg(long)]
        purpose: Option<String>,
        /// Only show what would be asked for.
        #[arg(long)]
        dry_run: bool,
    },
    /// Has the contexts that an identity is known in forgotten, and learnt anew over a week: when they were learnt from
    /// an attack, say.
    #[command(after_help = "Example:\n  tenure identity forget-contexts billing-exporter --reason \"incident 42\"")]
    ForgetContexts {
        /// The identity's id.
        id: IdentityId,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Lists an identity's credentials.
    Credentials {
        /// The identity's id.
        id: IdentityId,
        #[command(flatten)]
        paging: Paging,
    },
    /// Makes an API key, for what can't prove itself otherwise: the charter lists the type, and an exception is in
    /// force.
    #[command(after_help = "Example:\n  tenure identity api-key idn_… --action read --for 30d --out legacy.key")]
    ApiKey {
        /// The identity's id.
        id: IdentityId,
        /// The resource's identifier; may be left out if only one is held.
        #[arg(long)]
        resource: Option<String>,
        /// An action; all that is held if none is given.
        #[arg(long = "action", value_name = "ACTION")]
        actions: Vec<String>,
        /// For how long; the rotation cadence if not given.
        #[arg(long = "for", value_name = "SPAN")]
        ttl: Option<Span>,
        /// Write it to a new file that only you can read, instead of printing it.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Makes a one-time join token with which the workload enrols a key of its own within ten minutes.
    JoinToken {
        /// The identity's id.
        id: IdentityId,
        /// Write it to a new file that only you can read, instead of printing it.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

impl Identity {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        if let Self::CharterTemplate { kind, preset } = self {
            return line(&template(kind, preset, today())?);
        }
        let client = context.client()?;
        match self {
            Self::Register { file, stage } => {
                let mut ask: NewIdentity = read_json(&file)?;
                if let Some(stage) = stage {
                    ask.stage = stage;
                }
                let registered = client.register(&ask).await?;
                let view = &registered.identity;
                match (view.record.state, view.record.request) {
                    (_, Some(request)) => {
                        eprintln!("hint: {request} waits for its approvers: tenure request show {request}")
                    }
                    (IdentityState::Draft, _) => eprintln!("hint: next: tenure identity submit {}", view.record.id),
                    _ => eprintln!("hint: next: tenure identity access {}", view.record.id),
                }
                if let Some(refused) = &registered.token_refused {
                    eprintln!("warning: it got no credential: {}\nhint: {}", refused.code, refused.hint);
                }
                context.out.record(&registered)
            }
            Self::List {
                state,
                owner,
                application,
                environment,
                name,
                kind,
                enforces,
                tier,
                unowned,
                search,
                paging,
            } => {
                let owner = owner.map(|id| id.to_string());
                let application = application.map(|id| id.to_string());
                let filters = [
                    ("state", state),
                    ("owner", owner),
                    ("application", application),
                    ("environment", environment),
                    ("name", name),
                    ("kind", kind),
                    ("enforces", enforces),
                    ("tier", tier),
                    ("unowned", unowned.then(|| "true".to_owned())),
                ];
                context
                    .out
                    .list(&paging, search.of(filtered(filters)), IDENTITIES, async |query| {
                        client.identities(&query).await
                    })
                    .await
            }
            Self::Bulk(bulk) => bulk.run(&client, context).await,
            Self::Census => context.out.record(&client.census().await?),
            Self::Show { id } => context.out.record(&client.identity(id).await?),
            Self::CharterTemplate { .. } => Ok(()),
            Self::Charter { id, file, revision } => {
                let charter = charter(read_json(&file)?)?;
                let revision = match revision {
                    Some(revision) => revision,
                    None => client.identity(id).await?.revision,
                };
                context.out.record(&client.write_charter(id, revision, &charter).await?)
            }
            Self::Claim(claim) => claim.run(context, &client).await,
            Self::Submit { id } => changed(context, client.submit(id).await?),
            Self::Activate { id, content_hash } => {
                let request = client.identity(id).await?.record.request.ok_or_else(|| {
                    Failure::new(format!("{id} has no open request"))
                        .hint("an identity that is a draft is handed in first: tenure identity submit")
                })?;
                let comment = String::new();
                Box::pin(Request::Approve { id: request, content_hash, comment }.run(context)).await
            }
            Self::Suspend { id, reason, dry_run, yes } => {
                let mut ask = NewSuspension { reason, dry_run: true };
                let planned = client.suspend(id, &ask).await?;
                say_who_releases(planned.releasers.as_ref().unwrap_or(&Releasers::default()), yes || dry_run)?;
                if dry_run {
                    return context.out.record(&planned);
                }
                ask.dry_run = false;
                changed(context, client.suspend(id, &ask).await?)
            }
            Self::Resume { id, cause, revision, reason } => {
                changed(context, client.resume(id, &Resume { cause, revision, reason }).await?)
            }
            Self::EndConsumer { id, consumer, reason } => {
                changed(context, client.end_consumer(id, &ConsumerEnd { consumer, reason }).await?)
            }
            Self::Retire { id, reason } => changed(context, client.retire(id, &Because { reason }).await?),
            Self::Close { id, reason } => changed(context, client.close(id, &Because { reason }).await?),
            Self::CompleteTask { id, outcome } => {
                changed(context, client.complete_task(id, &TaskCompleted { outcome, client_assertion: None }).await?)
            }
            Self::Access { id } => {
                let report = client.access(id).await?;
                context.out.rows(&report, &report.access, ACCESS)
            }
            Self::Posture { id } => finding::posture(context, &client, id).await,
            Self::Usage { id, window } => {
                let usage = client.usage(id, window).await?;
                usage::say(&usage);
                context.out.rows(&usage, &usage.right_size.granted, usage::GRANTED)
            }
            Self::RightSize { id, window, drop_rare, purpose, dry_run } => {
                let ask = NewRightSize { window, drop_rare, purpose, dry_run };
                let sized = client.right_size(id, &ask).await?;
                usage::say(&sized.usage);
                match sized.request {
                    Some(request) => super::request::opened(context, request),
                    None => context.out.rows(&sized, &sized.usage.right_size.granted, usage::GRANTED),
                }
            }
            Self::ForgetContexts { id, reason } => {
                context.out.record(&client.forget_contexts(id, &Because { reason }).await?)
            }
            Self::Credentials { id, paging } => {
                context
                    .out
                    .list(&paging, filtered([]), CREDENTIALS, async |query| client.credentials(id, &query).await)
                    .await
            }
            Self::ApiKey { id, resource, actions, ttl, out } => {
                must_be_new(out.as_deref())?;
                let issued = client.create_api_key(id, &NewApiKey { resource, actions, ttl }).await?;
                eprintln!(
                    "{} is good until {} for {} on {}",
                    issued.id, issued.expires_at, issued.scope, issued.resource
                );
                match out {
                    Some(path) => write_new_secret(&path, &issued.api_key),
                    None if context.out.is_json() => context.out.record(&issued),
                    None => line(&issued.api_key),
                }
            }
            Self::JoinToken { id, out } => {
                must_be_new(out.as_deref())?;
                let issued = client.create_join_token(id).await?;
                eprintln!("good for one use until {}, with the audience {}", issued.expires_at, issued.audience);
                match out {
                    Some(path) => write_new_secret(&path, &issued.join_token),
                    None if context.out.is_json() => context.out.record(&issued),
                    None => line(&issued.join_token),
                }
            }
        }
    }
}

fn changed(context: &Context, view: IdentityView) -> anyhow::Result<()> {
    eprintln!("{} is {}", view.record.id, view.record.state.as_str());
    context.out.record(&view)
}

/// A charter by itself, or the one in a registration.
pub(super) fn charter(value: Value) -> anyhow::Result<CharterDraft> {
    let value = value.get("charter").cloned().unwrap_or(value);
    serde_json::from_value(value).map_err(|error| Failure::new(format!("the charter: {error}")).into())
}

/// Grants, the access that an identity holds.
#[derive(Subcommand)]
#[command(after_help = "\
Grants are derived from approved requests: an identity's activation, or `tenure request access`.

Example:
  tenure grant revoke gra_… --reason \"not needed any more\"")]
pub enum Grant {
    /// Takes a grant back; credentials that rest on it die at once.
    Revoke {
        /// The grant's id.
        id: GrantId,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

impl Grant {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let Self::Revoke { id, reason } = self;
        context.out.record(&context.client()?.revoke_grant(id, &Because { reason }).await?)
    }
}

fn template(kind: Kind, preset: Option<Preset>, now: Timestamp) -> anyhow::Result<String> {
    if (kind, preset) == (Kind::Pipeline, Some(Preset::Kubernetes)) {
        return Err(Failure::usage("a cluster's tokens name no repository, and a pipeline runs for named ones")
            .hint("take --preset github_actions, gitlab or oidc, or another kind")
            .into());
    }
    if kind == Kind::Device && preset.is_some() {
        return Err(Failure::usage("a device proves itself with a key of its own, and nothing else vouches for it")
            .hint("leave --preset out")
            .into());
    }
    let end = now.plus(kind.max_life().map_or(TEMPLATE_LIFE, |life| life.min(TEMPLATE_LIFE)));
    let end = Timestamp::from_micros(end.as_secs().saturating_mul(1_000_000));
    Ok(super::template::charter(kind, preset).trim_end().replace("{expires_at}", &end.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_client::assertion::WorkloadKey;

    #[test]
    fn d17_the_template_of_each_kind_and_preset_passes_once_the_ids_are_filled_in() {
        let now = Timestamp::from_micros(1_700_000_000_123_456);
        let key = WorkloadKey::draw(&tenure_core::base::entropy::SeededEntropy::new(1)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("charter.json");
        let presets = || [None].into_iter().chain(Preset::ALL.iter().copied().map(Some));
        for (kind, preset) in Kind::ALL.iter().flat_map(|kind| presets().map(move |preset| (kind, preset))) {
            let Ok(text) = template(*kind, preset, now) else {
                assert!(
                    *kind == Kind::Device || (*kind, preset) == (Kind::Pipeline, Some(Preset::Kubernetes)),
                    "{kind:?} {preset:?}"
                );
                continue;
            };
            let filled = text
                .replace("per_OWNER", &PersonId::from_u128(1).to_string())
                .replace("per_BACKUP", &PersonId::from_u128(2).to_string())
                .replace("per_REQUESTER", &PersonId::from_u128(3).to_string())
                .replace("app_APPLICATION", &ApplicationId::from_u128(4).to_string())
                .replace("res_RESOURCE", &tenure_core::base::id::ResourceId::from_u128(5).to_string())
                .replace("ven_VENDOR", &tenure_core::base::id::VendorId::from_u128(6).to_string())
                .replace("PUBLIC_KEY", key.public_jwk()["x"].as_str().unwrap());
            std::fs::write(&path, &filled).unwrap();
            let ask: NewIdentity = read_json(&path).unwrap();
            assert_eq!(ask.kind, *kind);
            let complete = ask.charter.complete(*kind, now);
            assert_eq!(complete.map(|charter| charter.environment), Ok("production".to_owned()), "{kind:?} {preset:?}");
            // As it is printed, it says what is missing instead of passing.
            std::fs::write(&path, &text).unwrap();
            assert!(read_json::<NewIdentity>(&path).is_err(), "{kind:?}");
        }
    }
}
