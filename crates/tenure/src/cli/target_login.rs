//! Logins at targets, made just in time: got by a workload, looked at by people.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};
use tenure_api::logins::LoginIssued;
use tenure_client::assertion::WorkloadKey;
use tenure_client::{Client, ClientProof, LoginReply, LoginRequest};
use tenure_core::base::id::{CredentialId, IdentityId, TargetId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::target::connector::TargetKind;

use super::context::{Context, read_secret, replace_secret, today};
use super::directory::filtered;
use super::failure::Failure;
use super::output::{Column, Paging, line};

/// The columns of a list of logins.
const LOGINS: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("TARGET", "/target"),
    ("IDENTITY", "/identity"),
    ("STATE", "/state"),
    ("ENDS", "/ends_at"),
    ("OUTCOME", "/outcome/state"),
];

/// How long before its end a session is kept no more.
const SPARE: Span = Span::from_mins(2);
/// How long the server lets one question wait.
const SECONDS_A_QUESTION: i64 = 10;

/// Logins at targets, made just in time.
///
/// Nothing stands at the target before somebody asks, and nothing is left there when the grant, the credential's life or
/// the identity ends.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  tenure target-login get --identity idn_… --key migrate.key --environment prod --resource postgres://orders
  eval \"$(tenure target-login get --identity idn_… --key migrate.key --environment prod --format env)\" && psql -c 'select 1'
  tenure target-login get --identity idn_… --key migrate.key --environment prod --format pgpass --out ~/.pgpass
  tenure target-login get --identity idn_… --key agent.pem --environment prod --format aws-credential-process --cache ~/.aws/agent.json
  tenure target-login list --target orders-db --state standing
  tenure target-login show crd_…                   what its target said when it was ended, and what it was tried beside")]
pub enum TargetLogin {
    /// Gets a login with the workload's own key, or with a token of a registered issuer. Its secret is shown this once.
    Get(Box<Get>),
    /// Lists logins.
    List {
        /// Only at this target.
        #[arg(long)]
        target: Option<TargetId>,
        /// Only of this identity.
        #[arg(long)]
        identity: Option<IdentityId>,
        /// Only in this state: asked, standing, ending or ended.
        #[arg(long)]
        state: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows a login, without its secret.
    Show {
        /// Its id, which is that of its credential.
        id: CredentialId,
    },
}

/// In which form a login is printed.
#[derive(Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Form {
    /// As a record.
    #[default]
    Record,
    /// As variables for a shell: `PGHOST` and so on of PostgreSQL, `AWS_ACCESS_KEY_ID` and so on of AWS,
    /// `TENURE_LOGIN_…` of whatever it is.
    Env,
    /// As a line of psql's password file.
    Pgpass,
    /// As AWS's clients read the answer of a `credential_process`.
    AwsCredentialProcess,
}

/// `target-login get`.
#[derive(Args)]
#[command(group = clap::ArgGroup::new("proof").required(true).args(["key", "oidc_token_file"]))]
pub struct Get {
    /// The identity's id.
    #[arg(long)]
    identity: IdentityId,
    /// The private key's file: Ed25519 or P-256, as PEM or as a JWK, as `tenure key generate` writes them.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A file with a token of a registered issuer, good for one question; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    oidc_token_file: Option<PathBuf>,
    /// The environment.
    #[arg(long)]
    environment: String,
    /// The resource's identifier; may be left out if the identity holds exactly one.
    #[arg(long, value_name = "URI")]
    resource: Option<String>,
    /// The actions, separated by spaces; all that it holds and logins are made for if left out.
    #[arg(long)]
    scope: Option<String>,
    /// The task of its charter that the login is for; an agent always names one.
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// A shorter life than the charter gives, e.g. 5m.
    #[arg(long, value_name = "TIME")]
    ttl: Option<Span>,
    /// What you call this question: asked again by the same name, it is the same login.
    #[arg(long, value_name = "NAME")]
    request_id: Option<String>,
    /// The login that was asked for before, if it wasn't there yet.
    #[arg(long, value_name = "ID")]
    login: Option<CredentialId>,
    /// How long to wait until it is there.
    #[arg(long, value_name = "TIME", default_value = "1m")]
    wait: Span,
    /// The issuer identifier to sign for, where the server's public URL is not the one that is connected to.
    #[arg(long, value_name = "URL")]
    audience: Option<String>,
    /// In which form it is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    /// A file for it, which only you can read; one of before is replaced.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// A file in which the answer of a `credential_process` is kept, and from which it is answered until two minutes before
    /// the session's end: AWS's clients run the process at each use in the last fifteen.
    #[arg(long, value_name = "FILE", requires = "format", conflicts_with = "out")]
    cache: Option<PathBuf>,
}

impl TargetLogin {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Get(get) => get.run(context).await,
            Self::List { target, identity, state, paging } => {
                let client = context.client()?;
                let query = filtered([
                    ("target", target.map(|id| id.to_string())),
                    ("identity", identity.map(|id| id.to_string())),
                    ("state", state),
                ]);
                context.out.list(&paging, query, LOGINS, async |query| client.logins(&query).await).await
            }
            Self::Show { id } => context.out.record(&context.client()?.login_made(id).await?),
        }
    }
}

impl Get {
    async fn run(self, context: &Context) -> anyhow::Result<()> {
        if self.cache.is_some() && self.format != Form::AwsCredentialProcess {
            return Err(Failure::usage("--cache goes with --format aws-credential-process").into());
        }
        if let Some(kept) = self.cache.as_deref().and_then(kept) {
            return line(&kept);
        }
        let client = context.anonymous()?;
        let audience = match &self.audience {
            Some(audience) => audience.clone(),
            None => client.proof_audience(&self.environment).await,
        };
        let issued = self.waited(&client, &audience).await?;
        let text = match self.format {
            Form::Record if self.out.is_none() => return context.out.record(&issued),
            Form::Record => serde_json::to_string(&issued)?,
            Form::Env => variables(&issued)?,
            Form::Pgpass => pgpass(&issued)?,
            Form::AwsCredentialProcess => credential_process(&issued)?,
        };
        if let Some(path) = &self.cache {
            replace_secret(path, &text)?;
        }
        match self.out {
            Some(path) => {
                replace_secret(&path, &text)?;
                eprintln!("the login {} is in {}; it ends at {}", issued.name, path.display(), issued.expires_at);
                Ok(())
            }
            None => line(text.trim_end()),
        }
    }

    /// Asks until it is there, with a proof of its own each time.
    async fn waited(&self, client: &Client, audience: &str) -> anyhow::Result<LoginIssued> {
        let mut questions = self.wait.as_secs() / SECONDS_A_QUESTION;
        let mut told = None;
        let mut ask = LoginRequest {
            resource: self.resource.clone(),
            scope: self.scope.clone(),
            authorization_details: self.task.as_ref().map(|task| json!([{"type": "tenure_task", "task": task}])),
            ttl: self.ttl.map(Span::as_secs),
            request_id: self.request_id.clone(),
            login: self.login,
        };
        loop {
            let reply = client.login_just_in_time(&self.environment, &self.proof(audience)?, &ask).await?;
            let awaited = match reply {
                LoginReply::Issued(issued) => return Ok(*issued),
                LoginReply::Awaited(awaited) => awaited,
            };
            if questions <= 0 || self.key.is_none() {
                let why = awaited.trouble.unwrap_or_else(|| "its target hasn't answered yet".to_owned());
                let again = format!("ask again with --login {}", awaited.login);
                return Err(Failure::new(format!("the login isn't there yet: {why}")).hint(again).into());
            }
            if let Some(why) = awaited.trouble.filter(|why| told.as_ref() != Some(why)) {
                eprintln!("the login isn't there yet: {why}");
                told = Some(why);
            }
            questions -= 1;
            ask = LoginRequest { login: Some(awaited.login), ..LoginRequest::default() };
        }
    }

    fn proof(&self, audience: &str) -> anyhow::Result<ClientProof> {
        let id = self.identity.to_string();
        Ok(match (&self.key, &self.oidc_token_file) {
            (Some(path), _) => {
                ClientProof::Assertion(WorkloadKey::from_text(&read_secret(path)?)?.client_assertion(&id, audience)?)
            }
            (None, Some(path)) => ClientProof::External { client_id: id, assertion: read_secret(path)? },
            (None, None) => return Err(Failure::usage("give --key or --oidc-token-file").into()),
        })
    }
}

/// Where a login is good, from its target's URL.
struct Place {
    host: String,
    port: u16,
    database: String,
}

fn place(issued: &LoginIssued) -> anyhow::Result<Place> {
    let url = Url::parse(&issued.url)?;
    let usual = match issued.kind {
        TargetKind::Postgresql => 5432,
        TargetKind::Mariadb => 3306,
        TargetKind::Redis => 6379,
        TargetKind::Ldap => 636,
        _ => 443,
    };
    Ok(Place {
        host: url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned(),
        port: url.port_or_known_default().unwrap_or(usual),
        database: url.path().trim_start_matches('/').to_owned(),
    })
}

/// Variables for a shell.
fn variables(issued: &LoginIssued) -> anyhow::Result<String> {
    let Place { host, port, database } = place(issued)?;
    let port = port.to_string();
    let ends = issued.expires_at.to_string();
    let mut variables = vec![
        ("TENURE_LOGIN_URL", issued.url.as_str()),
        ("TENURE_LOGIN_NAME", &issued.name),
        ("TENURE_LOGIN_SECRET", &issued.secret),
        ("TENURE_LOGIN_EXPIRES_AT", &ends),
    ];
    match issued.kind {
        TargetKind::Postgresql => variables.extend([
            ("PGHOST", host.as_str()),
            ("PGPORT", &port),
            ("PGDATABASE", &database),
            ("PGUSER", &issued.name),
            ("PGPASSWORD", &issued.secret),
        ]),
        TargetKind::Mariadb => {
            variables.extend([("MYSQL_HOST", host.as_str()), ("MYSQL_TCP_PORT", &port), ("MYSQL_PWD", &issued.secret)])
        }
        TargetKind::Redis => variables.push(("REDISCLI_AUTH", &issued.secret)),
        _ => {}
    }
    let session = (issued.kind == TargetKind::AwsIam).then(|| session_of(issued)).transpose()?;
    if let Some(session) = &session {
        variables.extend([
            ("AWS_ACCESS_KEY_ID", session.access_key_id.as_str()),
            ("AWS_SECRET_ACCESS_KEY", &session.secret_access_key),
            ("AWS_SESSION_TOKEN", &session.session_token),
        ]);
    }
    let mut text = String::new();
    for (name, value) in variables {
        // A quote inside quotes is written outside of them.
        writeln!(text, "export {name}='{}'", value.replace('\'', r"'\''"))?;
    }
    Ok(text)
}

/// A session of AWS's, as its login's secret has it.
#[derive(Deserialize)]
struct AwsSession {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: Timestamp,
}

fn session_of(issued: &LoginIssued) -> anyhow::Result<AwsSession> {
    if issued.kind != TargetKind::AwsIam {
        return Err(Failure::usage("a session of AWS's is of targets of the kind aws_iam").into());
    }
    serde_json::from_str(&issued.secret).map_err(|_| Failure::new("the login's secret is no session of AWS's").into())
}

/// What AWS's clients read of a `credential_process`.
fn credential_process(issued: &LoginIssued) -> anyhow::Result<String> {
    let session = session_of(issued)?;
    let answer = json!({
        "Version": 1,
        "AccessKeyId": session.access_key_id,
        "SecretAccessKey": session.secret_access_key,
        "SessionToken": session.session_token,
        "Expiration": session.expiration,
    });
    Ok(answer.to_string())
}

/// What was kept of a `credential_process`, if it is good for a while still.
fn kept(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let answer: Value = serde_json::from_str(&text).ok()?;
    let until: Timestamp = answer.get("Expiration")?.as_str()?.parse().ok()?;
    (until.since(today()) > SPARE).then_some(text)
}

/// A line of psql's password file, in which a colon and a backslash are escaped.
fn pgpass(issued: &LoginIssued) -> anyhow::Result<String> {
    if issued.kind != TargetKind::Postgresql {
        return Err(Failure::usage("a password file of psql is for targets of the kind postgresql").into());
    }
    let Place { host, port, database } = place(issued)?;
    let port = port.to_string();
    let database = if database.is_empty() { "*" } else { &database };
    let fields = [host.as_str(), &port, database, &issued.name, &issued.secret];
    Ok(fields.map(|field| field.replace('\\', r"\\").replace(':', r"\:")).join(":"))
}
