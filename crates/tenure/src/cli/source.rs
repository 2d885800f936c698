//! Sources of signals.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use tenure_api::ownership::OwnerEdit;
use tenure_api::requests::Because;
use tenure_api::signals::{NewSource, SourceAuth, SourceMade};
use tenure_core::base::id::{PersonId, SourceId};
use tenure_core::signal::{Format, SignalKind};

use super::context::{Context, must_be_new, revision_or, word, write_new_secret};
use super::directory::filtered;
use super::failure::Failure;
use super::output::{Column, Paging, line};

const COLUMNS: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("FORMAT", "/format"),
    ("AUTH", "/auth/type"),
    ("OWNER", "/owner"),
    ("RATE", "/rate_per_minute"),
    ("STATE", "/state"),
];

/// Sources of signals: platforms whose word holds and retires identities.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  tenure source propose --name github --format github --auth hmac --owner per_… \\
    --kind repository_archived --kind pipeline_changed --subject 'repository:acme/*' --out github.secret
  tenure source propose --name cluster-a --format kubernetes --auth token --owner per_… --kind workload_created \\
    --kind workload_removed --subject 'workload:prod/*' --template deployment --out cluster-a.secret
  tenure source confirm src_…               by a second administrator
  …and GitHub gets the delivery_url and the secret")]
pub enum Source {
    /// Proposes a source; a second administrator confirms it. Prints its secret once, or writes it to a file.
    Propose(Box<Propose>),
    /// Lists sources.
    List {
        /// Only in this state: proposed, active or removed.
        #[arg(long)]
        state: Option<String>,
        /// Only of this format.
        #[arg(long)]
        format: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Changes who answers for a source, as it stands now or at the revision that was read.
    Update {
        /// Its id.
        id: SourceId,
        /// The person who answers for it from now on.
        #[arg(long)]
        owner: PersonId,
        /// The revision that the change is meant for; what it is now if not given.
        #[arg(long)]
        revision: Option<u64>,
    },
    /// Shows a source.
    Show {
        /// The source's id.
        id: SourceId,
    },
    /// Confirms a proposed source.
    Confirm {
        /// The source's id.
        id: SourceId,
    },
    /// Listens to a source no more, for ever.
    Remove {
        /// The source's id.
        id: SourceId,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Makes a source's secret anew. The old one is dead at once.
    RotateKey {
        /// The source's id.
        id: SourceId,
        /// The new file for the secret; without one it is printed.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// How a source is authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Auth {
    /// HMAC over the raw body: github, gitlab, kubernetes, cloud_events.
    Hmac,
    /// A secret in a header: gitlab, kubernetes.
    Token,
    /// Signatures under published keys: set.
    Keys,
}

/// What a source is registered with.
#[derive(Args)]
pub struct Propose {
    /// Its name, part of its delivery URL.
    #[arg(long)]
    name: String,
    /// How it words its signals: set, cloud_events, github, gitlab or kubernetes.
    #[arg(long, value_parser = word::<Format>)]
    format: Format,
    /// Who answers for it; drafts that it has made stand in this person's name.
    #[arg(long)]
    owner: PersonId,
    /// A kind of signals that it may send, e.g. repository_archived (docs/reference/signals.md lists them); may be
    /// given several times.
    #[arg(long = "kind", required = true, value_parser = word::<SignalKind>)]
    kinds: Vec<SignalKind>,
    /// A pattern of subjects, type:name or type:prefix*, e.g. 'repository:acme/*'; may be given several times.
    #[arg(long = "subject", required = true, value_name = "PATTERN")]
    subjects: Vec<String>,
    /// Signals that it may send in a minute; 600 if not given.
    #[arg(long, value_name = "N")]
    rate_per_minute: Option<u32>,
    /// An environment whose workloads and repositories it speaks of; give it again for more. All of them if none is
    /// given: two clusters may well have workloads of the same name.
    #[arg(long = "environment", value_name = "NAME")]
    environments: Vec<String>,
    /// Identities that it may hold in an hour before a person of security has to confirm; 25 if not given.
    #[arg(long, value_name = "N")]
    blast_cap: Option<u32>,
    /// The template from which the identities of new workloads are drafted; workload_created needs one.
    #[arg(long)]
    template: Option<String>,
    /// The URL of the registered issuer whose tokens prove the workloads that it tells of.
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// How it is authenticated.
    #[arg(long, value_enum)]
    auth: Auth,
    /// With keys: the `iss` of its tokens.
    #[arg(long, value_name = "URL", required_if_eq("auth", "keys"))]
    set_issuer: Option<String>,
    /// With keys: the `aud` that they must name.
    #[arg(long, value_name = "AUDIENCE", required_if_eq("auth", "keys"))]
    set_audience: Option<String>,
    /// With keys: where its key set is; found by its discovery document if not given.
    #[arg(long, value_name = "URL")]
    jwks_uri: Option<String>,
    /// With keys: an algorithm accepted of it, e.g. RS256; may be given several times.
    #[arg(long = "algorithm", value_name = "ALG")]
    algorithms: Vec<String>,
    /// The new file for the secret; without one it is printed.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Propose {
    fn ask(self) -> anyhow::Result<(NewSource, Option<PathBuf>)> {
        let auth = match self.auth {
            Auth::Hmac => SourceAuth::Hmac {},
            Auth::Token => SourceAuth::Token {},
            Auth::Keys => SourceAuth::Keys {
                issuer: self.set_issuer.unwrap_or_default(),
                audience: self.set_audience.unwrap_or_default(),
                jwks_uri: self.jwks_uri,
                algorithms: self.algorithms,
            },
        };
        if self.out.is_some() && self.auth == Auth::Keys {
            return Err(Failure::usage("--out: a source that signs with its own keys has no secret of ours").into());
        }
        let ask = NewSource {
            name: self.name,
            format: self.format,
            owner: self.owner,
            kinds: self.kinds,
            subjects: self.subjects,
            environments: self.environments,
            rate_per_minute: self.rate_per_minute,
            blast_cap: self.blast_cap,
            template: self.template,
            issuer: self.issuer,
            auth,
        };
        Ok((ask, self.out))
    }
}

impl Source {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::Propose(propose) => {
                let (ask, out) = propose.ask()?;
                must_be_new(out.as_deref())?;
                let made = client.create_source(&ask).await?;
                let source = &made.source.record;
                eprintln!("the source {} delivers to {}", source.id, source.delivery_url);
                if !source.single_person {
                    eprintln!(
                        "hint: it is not listened to before another administrator runs: tenure source confirm {}",
                        source.id
                    );
                }
                hand_over(context, &made, out)
            }
            Self::List { state, format, paging } => {
                let query = filtered([("state", state), ("format", format)]);
                context.out.list(&paging, query, COLUMNS, async |query| client.sources(&query).await).await
            }
            Self::Update { id, owner, revision } => {
                let revision = revision_or(revision, client.source(id)).await?;
                context.out.record(&client.update_source(id, revision, &OwnerEdit { owner }).await?)
            }
            Self::Show { id } => context.out.record(&client.source(id).await?),
            Self::Confirm { id } => context.out.record(&client.confirm_source(id).await?),
            Self::Remove { id, reason } => context.out.record(&client.remove_source(id, &Because { reason }).await?),
            Self::RotateKey { id, out } => {
                must_be_new(out.as_deref())?;
                let made = client.rotate_source_key(id).await?;
                eprintln!("the old secret is dead: give the new one to {} now", made.source.record.name);
                hand_over(context, &made, out)
            }
        }
    }
}

/// The secret goes to a file or, alone, to standard output; as JSON the whole reply does.
fn hand_over(context: &Context, made: &SourceMade, out: Option<PathBuf>) -> anyhow::Result<()> {
    match (out, &made.secret) {
        (Some(path), Some(secret)) => {
            write_new_secret(&path, secret)?;
            context.out.record(&made.source)
        }
        (_, Some(secret)) if !context.out.is_json() => line(secret),
        _ => context.out.record(made),
    }
}
