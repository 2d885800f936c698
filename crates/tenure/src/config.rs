//! The server's configuration: a TOML file, then `TENURE_*` variables, then flags; the later wins.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, anyhow, bail};
use serde::Deserialize;
use tenure_core::base::time::Span;
use tenure_core::finding::{Fix, Rule};
use tenure_core::identity::context::NewContextPolicy;
use tenure_core::request::review::RotationReview;
use tenure_outbound::{Cidr, MailTls};
use tenure_server::SourceFrom;

/// What can be configured. `tenure server --help` names the variables.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where to listen.
    pub listen: Listen,
    /// The base URL under which clients reach the server; derived from `listen` if not given.
    pub public_url: Option<String>,
    /// What this process does of the deployment's work.
    pub role: Role,
    /// The folder for keys, tokens and the embedded database.
    pub data: PathBuf,
    /// `sqlite:PATH` or a `postgres://` URL; a file in the data folder if not given.
    pub store: Option<String>,
    /// The file with the root key; `root-key` in the data folder if not given.
    pub root_key_file: Option<PathBuf>,
    /// Private networks that outbound requests may reach all the same, as CIDRs.
    pub outbound_allow: Vec<String>,
    /// Folders and URLs that get every checkpoint.
    pub checkpoint_push: Vec<String>,
    /// The mail server by which people are notified.
    pub mail: Option<MailConfig>,
    /// The receiver that is told of every notice.
    pub webhook: Option<WebhookConfig>,
    /// TLS.
    pub tls: Option<TlsConfig>,
    /// The address of a second listener, which asks for client certificates; needs `tls`.
    pub mtls_listen: Option<SocketAddr>,
    /// The base URL under which clients reach that one; derived from `mtls_listen` if not given.
    pub mtls_public_url: Option<String>,
    /// Whether something in front of the server terminates TLS; without either, only loopback addresses are served.
    pub tls_in_front: bool,
    /// The addresses of what is in front of the server, as CIDRs: what these say of whom they forward is believed.
    pub trusted_proxies: Vec<String>,
    /// How they say it: `x-forwarded-for`, `forwarded` (RFC 7239), or `proxy-protocol` (version 2).
    pub proxy_source: SourceFrom,
    /// Credentials that one identity may get in a minute.
    pub issuance_budget: u32,
    /// Changes that one person may make in a minute.
    pub write_budget: u32,
    /// What these may add to the database in a minute, in KiB.
    pub write_budget_kib: u32,
    /// Refusals of one known caller that are recorded one by one in a minute.
    pub refusal_budget: u32,
    /// How long a new signing key is published before it signs.
    pub key_overlap: Span,
    /// How long a request stays open.
    pub request_open_for: Span,
    /// How long after its opening whoever may approve a request is reminded, and again after as long.
    pub request_remind_after: Span,
    /// How long after its opening a request that nobody answered is escalated.
    pub request_escalate_after: Span,
    /// The solver that analyses proposed policy sets (cvc5).
    pub solver: Option<PathBuf>,
    /// When access that a person got lapses unless its first review keeps it.
    pub early_review: Span,
    /// How long a review of an identity may take before that is suspended.
    pub review_within: Span,
    /// How long an identity goes on after its owner left before it is suspended, unless somebody takes it.
    pub transfer_window: Span,
    /// How long an identity that nobody took stays suspended before it retires.
    pub lapsed_grace: Span,
    /// How long what a removal holds can be released before it retires.
    pub removal_hold: Span,
    /// How closely an identity is looked at after a rotation: by_tier, light or full.
    pub rotation_review: RotationReview,
    /// What becomes of agents, vendors' integrations and shared identities that are used in a new context.
    pub new_context: NewContextPolicy,
    /// For how long it is kept on which day identities were used.
    pub use_daily_for: Span,
    /// For how long it is kept in which month.
    pub use_monthly_for: Span,
    /// How old the log's entries get before they are archived.
    pub archive_after: Span,
    /// How long the name and address of somebody who left are kept; for ever if it isn't set.
    pub erase_departed_after: Option<Span>,
    /// How long every identity may go unused, in place of what its risk tier allows.
    pub dormant_after: Option<Span>,
    /// How often every identity is reviewed; by risk tier if not given.
    pub review_every: Option<Span>,
    /// The rules of posture, by id, whose breach suspends the identity.
    pub hold_findings: Vec<String>,
    /// Log as JSON.
    pub json_logs: bool,
    /// The collector that gets spans by OTLP over HTTP: its base URL, without `/v1/traces`.
    pub otlp_endpoint: Option<String>,
}

/// Where the server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// At one address.
    Address(SocketAddr),
    /// On this machine by its name: at this port of 127.0.0.1 and of ::1, since clients take either. Browsers offer
    /// passkeys under the name and not under an address.
    Localhost(u16),
}

impl Listen {
    /// Whether other machines can reach it.
    const fn is_exposed(self) -> bool {
        match self {
            Self::Address(address) => !is_loopback(address.ip()),
            Self::Localhost(_) => false,
        }
    }
}

impl FromStr for Listen {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let wrong = "it has to be an address and a port, such as 127.0.0.1:8420, or localhost:8420 for both addresses of this machine";
        match text.strip_prefix("localhost:") {
            Some(port) => port.parse().map(Self::Localhost).context(wrong),
            None => text.parse().map(Self::Address).context(wrong),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Localhost(port) => write!(f, "localhost:{port}"),
        }
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(|error: anyhow::Error| serde::de::Error::custom(format!("`listen`: {error}")))
    }
}

/// The server's certificate.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The chain in PEM.
    pub certificate: PathBuf,
    /// The key in PEM.
    pub key: PathBuf,
}

/// Mail by SMTP.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MailConfig {
    /// The mail server.
    pub host: String,
    /// Its port; by `tls` if not given.
    pub port: Option<u16>,
    /// The sender.
    pub from: String,
    /// The name to sign in with, if the server wants one.
    pub username: Option<String>,
    /// The file with the password; `TENURE_MAIL_PASSWORD` wins over it.
    pub password_file: Option<PathBuf>,
    /// How the connection is encrypted.
    pub tls: MailTls,
}

/// A receiver of notices.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookConfig {
    /// Its URL.
    pub url: String,
    /// The file with the secret that signs; `TENURE_WEBHOOK_SECRET` wins over it.
    pub secret_file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        let engine = tenure_engine::Settings::default();
        Self {
            listen: Listen::Localhost(8420),
            public_url: None,
            role: Role::All,
            data: PathBuf::from(".tenure"),
            store: None,
            root_key_file: None,
            outbound_allow: Vec::new(),
            checkpoint_push: Vec::new(),
            mail: None,
            webhook: None,
            tls: None,
            mtls_listen: None,
            mtls_public_url: None,
            tls_in_front: false,
            trusted_proxies: Vec::new(),
            proxy_source: SourceFrom::default(),
            issuance_budget: engine.issuance_budget,
            write_budget: engine.write_budget,
            write_budget_kib: engine.write_budget_kib,
            refusal_budget: engine.refusal_budget,
            key_overlap: engine.key_overlap,
            request_open_for: engine.request_open_for,
            request_remind_after: engine.request_remind_after,
            request_escalate_after: engine.request_escalate_after,
            solver: None,
            early_review: engine.early_review,
            review_within: engine.review_within,
            transfer_window: engine.transfer_window,
            lapsed_grace: engine.lapsed_grace,
            removal_hold: engine.removal_hold,
            rotation_review: engine.rotation_review,
            new_context: engine.new_context,
            use_daily_for: engine.use_daily_for,
            use_monthly_for: engine.use_monthly_for,
            archive_after: engine.archive_after,
            erase_departed_after: engine.erase_departed_after,
            dormant_after: engine.dormant_after,
            review_every: engine.review_every,
            hold_findings: engine.hold_findings,
            json_logs: false,
            otlp_endpoint: None,
        }
    }
}

/// What a process does of a deployment's work. Of several on one PostgreSQL database, those that serve the API need
/// none of what only work needs, such as the mail server's password (S-17).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    All,
    /// Serves the API and the pages, and works off nothing.
    Api,
    /// Works off what falls due, verifies the state, sends notices; serves its own health and nothing else.
    Worker,
}

impl Role {
    /// Whether it serves the API and the pages.
    pub const fn serves(self) -> bool {
        matches!(self, Self::All | Self::Api)
    }
    /// Whether it works off what falls due.
    pub const fn works(self) -> bool {
        matches!(self, Self::All | Self::Worker)
    }
}

/// Where the rows are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL URL.
    Postgres(String),
}

impl Config {
    /// Reads the file, if one is given, and the environment.
    pub fn read(file: Option<&Path>, environment: impl IntoIterator<Item = (String, String)>) -> anyhow::Result<Self> {
        let mut config = match file {
            None => Self::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("can't read the configuration {}", path.display()))?;
                toml::from_str(&text).with_context(|| format!("the configuration {} is wrong", path.display()))?
            }
        };
        for (name, value) in environment {
            if let Some(name) = name.strip_prefix("TENURE_") {
                config.set(name, &value).with_context(|| format!("the variable TENURE_{name} is wrong"))?;
            }
        }
        Ok(config)
    }

    fn set(&mut self, name: &str, value: &str) -> anyhow::Result<()> {
        match name {
            "LISTEN" => self.listen = value.parse()?,
            "PUBLIC_URL" => self.public_url = Some(value.to_owned()),
            "ROLE" => {
                self.role = <Role as clap::ValueEnum>::from_str(value, false)
                    .map_err(|_| anyhow!("`role` is all, api or worker"))?
            }
            "DATA" => self.data = value.into(),
            "STORE" => self.store = Some(value.to_owned()),
            "ROOT_KEY_FILE" => self.root_key_file = Some(value.into()),
            "OUTBOUND_ALLOW" => self.outbound_allow = list(value),
            "CHECKPOINT_PUSH" => self.checkpoint_push = list(value),
            "MAIL_HOST" => self.mail.get_or_insert_default().host = value.to_owned(),
            "MAIL_PORT" => self.mail.get_or_insert_default().port = Some(value.parse()?),
            "MAIL_FROM" => self.mail.get_or_insert_default().from = value.to_owned(),
            "MAIL_USERNAME" => self.mail.get_or_insert_default().username = Some(value.to_owned()),
            "MAIL_PASSWORD_FILE" => self.mail.get_or_insert_default().password_file = Some(value.into()),
            "MAIL_TLS" => self.mail.get_or_insert_default().tls = mail_tls(value)?,
            "WEBHOOK_URL" => self.webhook.get_or_insert_default().url = value.to_owned(),
            "WEBHOOK_SECRET_FILE" => self.webhook.get_or_insert_default().secret_file = Some(value.into()),
            "TLS_CERTIFICATE" => self.tls.get_or_insert_with(TlsConfig::empty).certificate = value.into(),
            "TLS_KEY" => self.tls.get_or_insert_with(TlsConfig::empty).key = value.into(),
            "MTLS_LISTEN" => self.mtls_listen = Some(value.parse()?),
            "MTLS_PUBLIC_URL" => self.mtls_public_url = Some(value.to_owned()),
            "TLS_IN_FRONT" => self.tls_in_front = value.parse()?,
            "TRUSTED_PROXIES" => self.trusted_proxies = list(value),
            "PROXY_SOURCE" => self.proxy_source = value.parse()?,
            "ISSUANCE_BUDGET" => self.issuance_budget = value.parse()?,
            "WRITE_BUDGET" => self.write_budget = value.parse()?,
            "WRITE_BUDGET_KIB" => self.write_budget_kib = value.parse()?,
            "REFUSAL_BUDGET" => self.refusal_budget = value.parse()?,
            "SOLVER" => self.solver = Some(value.into()),
            "REQUEST_OPEN_FOR" => self.request_open_for = value.parse()?,
            "REQUEST_REMIND_AFTER" => self.request_remind_after = value.parse()?,
            "REQUEST_ESCALATE_AFTER" => self.request_escalate_after = value.parse()?,
            "KEY_OVERLAP" => self.key_overlap = value.parse()?,
            "EARLY_REVIEW" => self.early_review = value.parse()?,
            "REVIEW_WITHIN" => self.review_within = value.parse()?,
            "TRANSFER_WINDOW" => self.transfer_window = value.parse()?,
            "LAPSED_GRACE" => self.lapsed_grace = value.parse()?,
            "REMOVAL_HOLD" => self.removal_hold = value.parse()?,
            "ROTATION_REVIEW" => self.rotation_review = value.parse()?,
            "NEW_CONTEXT" => self.new_context = value.parse()?,
            "USE_DAILY_FOR" => self.use_daily_for = days_within(value, 7, 366)?,
            "USE_MONTHLY_FOR" => self.use_monthly_for = days_within(value, 30, 1_830)?,
            "ARCHIVE_AFTER" => self.archive_after = value.parse()?,
            "ERASE_DEPARTED_AFTER" => self.erase_departed_after = Some(value.parse()?),
            "DORMANT_AFTER" => self.dormant_after = Some(value.parse()?),
            "REVIEW_EVERY" => self.review_every = Some(value.parse()?),
            "HOLD_FINDINGS" => self.hold_findings = list(value),
            "JSON_LOGS" => self.json_logs = value.parse()?,
            "OTLP_ENDPOINT" => self.otlp_endpoint = Some(value.to_owned()),
            // Read where they are used: a secret never becomes part of a configuration that could be printed.
            "ROOT_KEY" | "MAIL_PASSWORD" | "WEBHOOK_SECRET" | "LOG" => {}
            // Of the command line.
            "SERVER" | "TOKEN" | "TOKEN_FILE" | "CA_FILE" | "OUTPUT" => {}
            _ => bail!("there is no such setting; `tenure server --help` lists them"),
        }
        Ok(())
    }

    /// The rules whose breach suspends an identity, each one that may.
    pub fn hold_findings(&self) -> anyhow::Result<Vec<String>> {
        for id in &self.hold_findings {
            let rule = Rule::find(id).ok_or_else(|| {
                anyhow!("`hold_findings` names {id:?}, which is no rule: `tenure rule list` has them all")
            })?;
            anyhow::ensure!(
                rule.fix == Fix::BySetting,
                "`hold_findings` names {id}, whose breach is told or stopped whatever is set: `tenure rule show {id}`"
            );
        }
        Ok(self.hold_findings.clone())
    }

    /// Where the rows are.
    pub fn location(&self) -> anyhow::Result<Location> {
        match self.store.as_deref() {
            None => Ok(Location::Sqlite(self.data.join("tenure.db"))),
            Some(text) if text.starts_with("postgres://") || text.starts_with("postgresql://") => {
                Ok(Location::Postgres(text.to_owned()))
            }
            Some(text) => match text.strip_prefix("sqlite:") {
                Some(path) if !path.is_empty() => Ok(Location::Sqlite(path.into())),
                _ => bail!("`store` has to be sqlite:PATH or postgres://…"),
            },
        }
    }

    /// Refuses a role that can't be this process's.
    pub fn check_role(&self) -> anyhow::Result<()> {
        if self.role == Role::All {
            return Ok(());
        }
        if let Location::Sqlite(_) = self.location()? {
            bail!(
                "an SQLite database is one process's, which does everything\nhint: leave `role` out, or set `store` to a postgres:// URL"
            );
        }
        if !self.role.serves() && self.public_url.is_none() {
            bail!(
                "a worker names addresses in its notices, and serves none of them itself\nhint: set `public_url` to what the API's processes are reached under"
            );
        }
        Ok(())
    }

    /// The private networks that outbound requests may reach.
    pub fn outbound_networks(&self) -> anyhow::Result<Vec<Cidr>> {
        networks("outbound_allow", &self.outbound_allow)
    }

    /// Refuses to serve secrets in the clear to other machines.
    pub fn check_exposure(&self) -> anyhow::Result<()> {
        if self.tls.is_none() && !self.tls_in_front && self.listen.is_exposed() {
            bail!(
                "{} is reachable from other machines, and there is no TLS\nhint: set `tls` (certificate, key), or `tls_in_front = true` if a proxy terminates it",
                self.listen
            );
        }
        if self.tls_in_front && self.trusted_proxies.is_empty() {
            bail!(
                "`tls_in_front` says that a proxy forwards to this server, and `trusted_proxies` doesn't say which\nhint: set `trusted_proxies` to its addresses, such as [\"10.0.0.5\"]: without them every client has the proxy's address, and one can use up the sign-ins of all"
            );
        }
        if self.tls.is_none() && self.mtls_listen.is_some() {
            bail!(
                "`mtls_listen` needs a certificate of the server's own\nhint: set `tls` (certificate, key): the handshake with a client can't be left to a proxy"
            );
        }
        Ok(())
    }
}

impl TlsConfig {
    fn empty() -> Self {
        Self { certificate: PathBuf::new(), key: PathBuf::new() }
    }
}

/// The networks that a setting lists.
pub(crate) fn networks(setting: &str, listed: &[String]) -> anyhow::Result<Vec<Cidr>> {
    let parsed = |text: &String| text.parse().map_err(|error| anyhow::anyhow!("`{setting}` has {text:?}: {error}"));
    listed.iter().map(parsed).collect()
}

fn mail_tls(value: &str) -> anyhow::Result<MailTls> {
    match value {
        "starttls" => Ok(MailTls::Starttls),
        "implicit" => Ok(MailTls::Implicit),
        "none" => Ok(MailTls::None),
        _ => bail!("`mail.tls` is starttls, implicit or none"),
    }
}

fn list(value: &str) -> Vec<String> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

const fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => address.is_loopback(),
    }
}

/// A span of at least and at most so many days.
fn days_within(value: &str, least: i64, most: i64) -> anyhow::Result<Span> {
    let span: Span = value.parse()?;
    anyhow::ensure!(
        (Span::from_days(least)..=Span::from_days(most)).contains(&span),
        "{value} is outside of {least}d to {most}d"
    );
    Ok(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_wins_over_the_file_and_unknown_names_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tenure.toml");
        std::fs::write(&file, "listen = \"127.0.0.1:9000\"\nissuance_budget = 5\n").unwrap();
        let config = Config::read(Some(&file), [("TENURE_LISTEN".to_owned(), "127.0.0.1:9001".to_owned())]).unwrap();
        assert_eq!((config.listen.to_string().as_str(), config.issuance_budget), ("127.0.0.1:9001", 5));
        assert!(Config::read(None, [("TENURE_LISTNE".to_owned(), "x".to_owned())]).is_err());
        std::fs::write(&file, "listne = 1").unwrap();
        assert!(Config::read(Some(&file), []).is_err());
    }

    #[test]
    fn other_machines_are_served_only_with_tls() {
        let mut config = Config { listen: "0.0.0.0:8420".parse().unwrap(), ..Config::default() };
        assert!(config.check_exposure().is_err());
        config.tls_in_front = true;
        let refused = config.check_exposure().unwrap_err().to_string();
        assert!(refused.contains("trusted_proxies"), "{refused}");
        config.trusted_proxies = vec!["10.0.0.5".to_owned()];
        assert!(config.check_exposure().is_ok());
        config.mtls_listen = Some("127.0.0.1:8421".parse().unwrap());
        assert!(config.check_exposure().is_err(), "client certificates are shown in a handshake with this server");
    }
}
