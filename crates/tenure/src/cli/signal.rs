//! Signals: what sources said, and saying something as one.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use tenure_api::removals::NewRemoval;
use tenure_client::ListQuery;
use tenure_core::base::entropy::Entropy;
use tenure_core::base::id::{SignalId, SourceId};
use tenure_core::base::time::Timestamp;
use tenure_core::signal::{Format, SignalKind, SignalSubject, SubjectKind};
use tenure_credentials::entropy::OsEntropy;
use tenure_credentials::signal::{github_signature, standard_signature, timed_signature};
use tenure_signals::cloud_event_type;

use super::context::{Context, read_input, read_secret, today, word};
use super::directory::{filtered, typed};
use super::failure::Failure;
use super::output::{Column, Paging};

const COLUMNS: &[Column] = &[
    ("ID", "/id"),
    ("SOURCE", "/source"),
    ("KIND", "/word/kind"),
    ("SUBJECT", "/word/subject/id"),
    ("RECEIVED", "/received_at"),
    ("STATE", "/state"),
    ("WHAT CAME OF IT", "/outcome/what"),
];

/// Signals: what registered sources said.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  tenure signal list --state done
  tenure signal send --source assets --secret-file assets.secret \\
    --kind application_retired --subject application:billing
  tenure signal send --source github --secret-file github.secret --format github \\
    --file payload.json --header 'X-GitHub-Event: repository'
  tenure signal send --source assets --kind application_retired --subject application:billing --dry-run")]
pub enum Signal {
    /// Lists signals.
    List {
        /// Only of this source, by its id.
        #[arg(long)]
        source: Option<SourceId>,
        /// Only of this kind.
        #[arg(long)]
        kind: Option<String>,
        /// Only about this subject, as type:name.
        #[arg(long)]
        subject: Option<String>,
        /// Only in this state: received, done, ignored or stale.
        #[arg(long)]
        state: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows a signal and what came of it.
    Show {
        /// The signal's id.
        id: SignalId,
    },
    /// Signs and sends a signal as its source does: a CloudEvent made of --kind and --subject, or a file in the
    /// source's own format.
    Send(Box<Send>),
}

/// What is sent.
#[derive(Args)]
pub struct Send {
    /// The source's name or id.
    #[arg(long)]
    source: String,
    /// The file with the source's secret, `-` is standard input.
    #[arg(long, value_name = "FILE", required_unless_present = "dry_run")]
    secret_file: Option<PathBuf>,
    /// What happened, e.g. application_retired; sent as a CloudEvent, to a source of that format.
    #[arg(long, value_parser = word::<SignalKind>, requires = "subject", required_unless_present = "file")]
    kind: Option<SignalKind>,
    /// To what, as type:name, e.g. application:billing.
    #[arg(long, value_parser = subject, requires = "kind")]
    subject: Option<SignalSubject>,
    /// When it happened; now if not given.
    #[arg(long, value_name = "TIME", requires = "kind")]
    occurred_at: Option<Timestamp>,
    /// What is known of the subject now, as name=text, or name:=value for a number, true or false; may be given several
    /// times.
    #[arg(long = "fact", value_name = "NAME=VALUE", value_parser = typed, requires = "kind")]
    facts: Vec<(String, Value)>,
    /// A file to send as it is.
    #[arg(long, conflicts_with = "kind", requires = "format")]
    file: Option<PathBuf>,
    /// The format of the file: cloud_events, github, gitlab or kubernetes.
    #[arg(long, value_parser = word::<Format>, requires = "file")]
    format: Option<Format>,
    /// A header to send with the file, e.g. 'X-GitHub-Event: repository'; may be given several times.
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header, requires = "file")]
    headers: Vec<(String, String)>,
    /// The source's secret is a token in a header, and not an HMAC key: gitlab, kubernetes.
    #[arg(long = "as-bearer", requires = "file")]
    as_bearer: bool,
    /// Sends nothing, and shows the removal that the signal would begin: whom it concerns, and what with them. It asks
    /// as you do, and not as the source: what the source may say, and its cap, are not looked at.
    #[arg(long, requires = "kind")]
    dry_run: bool,
}

impl Signal {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::List { source, kind, subject, state, paging } => {
                let client = context.client()?;
                let query: ListQuery = filtered([
                    ("source", source.map(|id| id.to_string())),
                    ("kind", kind),
                    ("subject", subject),
                    ("state", state),
                ]);
                context.out.list(&paging, query, COLUMNS, async |query| client.signals(&query).await).await
            }
            Self::Show { id } => context.out.record(&context.client()?.signal(id).await?),
            Self::Send(send) => send.run(context).await,
        }
    }
}

impl Send {
    async fn run(self, context: &Context) -> anyhow::Result<()> {
        let Some(secret_file) = self.secret_file.as_ref().filter(|_| !self.dry_run) else {
            return self.plan(context).await;
        };
        let secret = read_secret(secret_file)?;
        let (format, body) = match (&self.file, self.kind, &self.subject) {
            (Some(path), ..) => (self.format.unwrap_or(Format::CloudEvents), read_input(path)?),
            (None, Some(kind), Some(subject)) => (Format::CloudEvents, self.cloud_event(kind, subject).to_string()),
            (None, ..) => return Err(Failure::usage("give --kind and --subject, or --file and --format").into()),
        };
        let mut headers = self.headers;
        headers.extend(signed(format, self.as_bearer, &secret, body.as_bytes())?);
        let given = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        if !given("content-type") {
            let kind = if format == Format::CloudEvents { "application/cloudevents+json" } else { "application/json" };
            headers.push(("content-type".into(), kind.into()));
        }
        let taken = context.anonymous()?.deliver(&self.source, &headers, body.into_bytes()).await?;
        if taken.duplicate {
            eprintln!("it came before: nothing was done again");
        } else if taken.signals.is_empty() {
            eprintln!("it says nothing that Tenure has a use for");
        } else {
            eprintln!(
                "hint: what came of it: tenure signal show {}",
                taken.signals.first().map_or_else(String::new, |signal| signal.id.to_string())
            );
        }
        context.out.record(&taken)
    }

    async fn plan(self, context: &Context) -> anyhow::Result<()> {
        let subject = self.subject.ok_or_else(|| Failure::usage("--dry-run: give --kind and --subject"))?;
        let ask = NewRemoval {
            subject,
            kind: self.kind,
            reason: format!("dry run of a signal of {}", self.source),
            compromise: false,
            dry_run: true,
            expect: None,
        };
        context.out.record(&context.client()?.raise_removal(&ask).await?)
    }

    fn cloud_event(&self, kind: SignalKind, subject: &SignalSubject) -> Value {
        let mut id = [0u8; 16];
        OsEntropy.fill(&mut id);
        let facts: Map<String, Value> = self.facts.iter().cloned().collect();
        json!({
            "specversion": "1.0",
            "id": id.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
            "source": format!("/{}", self.source),
            "type": cloud_event_type(kind),
            "subject": subject.to_string(),
            "time": self.occurred_at.unwrap_or_else(today).to_string(),
            "data": facts,
        })
    }
}

/// The headers that authenticate a body, by the rules of its format.
fn signed(format: Format, as_bearer: bool, secret: &str, body: &[u8]) -> anyhow::Result<Vec<(String, String)>> {
    let header = |name: &str, value: String| (name.to_owned(), value);
    Ok(match (format, as_bearer) {
        (Format::Github, false) => vec![header("x-hub-signature-256", github_signature(secret, body))],
        (Format::Gitlab, true) => vec![header("x-gitlab-token", secret.to_owned())],
        (Format::Gitlab, false) => {
            let (id, at) = (format!("msg_{}", today().as_micros()), today().as_secs().to_string());
            let signature = standard_signature(secret, &id, &at, body).ok_or_else(|| {
                Failure::usage("the secret is no signing key of GitLab")
                    .hint("of a source with a token, say --as-bearer")
            })?;
            vec![header("webhook-id", id), header("webhook-timestamp", at), header("webhook-signature", signature)]
        }
        (Format::Kubernetes, true) => vec![header("authorization", format!("Bearer {secret}"))],
        (Format::CloudEvents | Format::Kubernetes, false) => {
            vec![header("tenure-signature", timed_signature(secret, body, today()))]
        }
        (Format::Set, _) | (Format::Github | Format::CloudEvents, true) => {
            return Err(Failure::usage("a source of this format is not authenticated like that").into());
        }
    })
}

fn subject(text: &str) -> Result<SignalSubject, String> {
    let (kind, id) = text.split_once(':').ok_or("give it as type:name, e.g. application:billing")?;
    Ok(SignalSubject { kind: word::<SubjectKind>(kind)?, id: id.to_owned() })
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("give it as 'Name: value'")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
