//! The port to the connectors: what Tenure asks of a target, whatever the target is.
//!
//! A target's "ok" is never the proof. A connector reports what it did in the target's own words, reads the target
//! again, and tries the old credential; what that is worth is decided by whoever asked (S-18).
//!
//! Every method is idempotent and reads the target before it acts: asked a second time, after a reply was lost, it comes
//! to the same end. None waits longer than [`Reach::patience`].

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::time::{Span, Timestamp};
use crate::store::port::BoxFuture;
use crate::store::secret::Secret;
use crate::trust::signing_key::SigningAlgorithm;

/// The mark of what Tenure made, among the marks of an account: whom it was made for.
pub const MADE_FOR: &str = "tenure";
/// The longest name of an account in bytes, and the longest key.
pub const MAX_ACCOUNT_NAME: usize = 512;
/// Grants of one account at a target that are told one by one; more are counted.
pub const MAX_TARGET_GRANTS: usize = 256;
/// The longest text of a target's own that is kept, in bytes.
pub const MAX_WORDS: usize = 500;
/// Accounts that one answer of a discovery holds at most.
pub const MAX_FOUND: usize = 500;

/// What sort of system a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// PostgreSQL: roles that may log in.
    Postgresql,
    /// MariaDB: accounts, by user and host.
    Mariadb,
    /// Redis: users of its access control list.
    Redis,
    /// RabbitMQ: users, over its management API.
    Rabbitmq,
    /// An LDAP directory: entries with a password.
    Ldap,
    /// OpenBao or Vault: tokens, AppRoles, entities, leases.
    Openbao,
    /// Mosquitto: clients of its dynamic security.
    Mosquitto,
    /// AWS IAM: access keys of users, and roles.
    AwsIam,
    /// GitHub: installations of apps, personal access tokens and deploy keys of an organisation.
    Github,
    /// GitLab: access tokens, deploy tokens and deploy keys of a group.
    Gitlab,
    /// A SCIM service provider: its users.
    Scim,
    /// NATS: users of an account, by its JWT.
    Nats,
    /// A system that has no connector of its own, by an endpoint of its people's.
    Webhook,
}

impl TargetKind {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::Postgresql,
        Self::Mariadb,
        Self::Redis,
        Self::Rabbitmq,
        Self::Ldap,
        Self::Openbao,
        Self::Mosquitto,
        Self::AwsIam,
        Self::Github,
        Self::Gitlab,
        Self::Scim,
        Self::Nats,
        Self::Webhook,
    ];

    /// The name in the log, in filters and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgresql => "postgresql",
            Self::Mariadb => "mariadb",
            Self::Redis => "redis",
            Self::Rabbitmq => "rabbitmq",
            Self::Ldap => "ldap",
            Self::Openbao => "openbao",
            Self::Mosquitto => "mosquitto",
            Self::AwsIam => "aws_iam",
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Scim => "scim",
            Self::Nats => "nats",
            Self::Webhook => "webhook",
        }
    }
}

/// What a connector may do at a target. Each mode holds the ones before it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema, Default,
)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Reads; never writes.
    #[default]
    Observe,
    /// Also holds, narrows and ends accounts, and makes canaries of minutes for the proof.
    End,
    /// Also makes accounts and gives them secrets.
    Issue,
}

impl Mode {
    /// Every mode, the least first.
    pub const ALL: &[Self] = &[Self::Observe, Self::End, Self::Issue];

    /// The name in the log and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::End => "end",
            Self::Issue => "issue",
        }
    }
}

/// Something that a connector may be able to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ability {
    /// Lists the accounts of the target.
    Discover,
    /// Makes an account with a secret.
    Provision,
    /// Gives an account another secret.
    Rotate,
    /// Stops an account in a way that can be taken back.
    Hold,
    /// Takes grants from an account.
    Narrow,
    /// Ends an account for good.
    Revoke,
    /// Tries a secret as its holder would.
    Probe,
    /// Counts open sessions of an account.
    CountSessions,
    /// Ends open sessions of an account.
    EndSessions,
    /// Knows when an account was last used.
    LastUsed,
}

/// What the proof of an ended account is worth at a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProofWorth {
    /// The target itself refuses the old secret, beside a live one that it takes.
    Refusal,
    /// The target's catalogue no longer has the account, or has it disabled.
    ReadBack,
    /// Somebody who speaks for the target says so: nothing of it was seen or tried there.
    Word,
}

/// Where a target is. No secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Its URL, without user, password, query and fragment, e.g. `postgres://db.acme.example:5432/orders`.
    pub url: String,
    /// The certificate authorities that its certificate is checked against, in PEM; those of the system if there are
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Whether it may be reached without encryption: on this machine only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plaintext: bool,
    /// What else a kind needs to know, e.g. `base_dn` of a directory or `mount` of a vault; which, each kind says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

/// A login at a target.
#[derive(Debug, Clone)]
pub struct TargetLogin {
    /// The name; empty where a secret has none, as a token.
    pub name: String,
    /// The password, key or token.
    pub secret: Secret<String>,
}

/// A target and the authority to ask it.
#[derive(Debug)]
pub struct Reach<'a> {
    /// Where it is.
    pub endpoint: &'a Endpoint,
    /// The connector's own login there.
    pub login: &'a TargetLogin,
    /// What may be done.
    pub mode: Mode,
    /// How long one call may take at most.
    pub patience: Span,
}

/// What sort of account it is at its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountSort {
    /// A name with a password or a certificate.
    Login,
    /// A token that acts by itself.
    Token,
    /// A way to get tokens, e.g. an AppRole.
    Role,
    /// What a vault leased out elsewhere, e.g. a database login.
    Lease,
}

impl AccountSort {
    /// The name in the log and in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Token => "token",
            Self::Role => "role",
            Self::Lease => "lease",
        }
    }
}

/// An account as a target's catalogue tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeenAccount {
    /// What names it there for good, even if it is renamed: an oid, an accessor; its name where there is nothing else.
    pub key: String,
    /// What people there call it.
    pub name: String,
    /// What sort of account.
    pub sort: AccountSort,
    /// Whether the target would let it in.
    pub enabled: bool,
    /// When the target itself ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// When it was made, where the target knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_at: Option<Timestamp>,
    /// When it was last used, where the target knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// Its open sessions, where the target tells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u32>,
    /// Whether every server of its kind has it from the start, as its first administrator or its nameless user: whoever
    /// runs the target may depend on it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub built_in: bool,
    /// Whether it may do whatever there is, or give itself the right to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub privileged: bool,
    /// What it may do, in the target's words, sorted: [`MAX_TARGET_GRANTS`] at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<String>,
    /// How many grants there are beyond those.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_grants: u32,
    /// What the target's people wrote beside it: comments, tags, its creator. Suggestions of an owner rest on it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub marks: BTreeMap<String, String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// One answer of a discovery.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Accounts, [`MAX_FOUND`] at most.
    pub accounts: Vec<SeenAccount>,
    /// Where to go on; none at the end.
    pub next: Option<String>,
    /// What could not be seen of what targets of this kind list, in words for people: accounts, or what some may do, may be
    /// missing from this answer (R92). What they never list is [`Connector::blind_spots`].
    pub unseen: Vec<String>,
}

/// What came of an act that takes away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ending {
    /// What the target said, or what was found done already.
    pub words: String,
    /// Open sessions that were ended.
    pub sessions_ended: u32,
    /// Open sessions that are left, where the target tells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions_left: Option<u32>,
}

/// What a target answered to somebody who tried a login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum Probe {
    /// It let it in.
    Accepted,
    /// It refused it, and not for want of a connection, for a certificate, or because it is full.
    Refused {
        /// Its own words.
        words: String,
    },
}

/// Why a target could not be asked, or what it would not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectorError {
    /// It can't be reached, did not answer in time, or answered with less than a whole answer: asked again later.
    #[error("the target can't be reached: {0}")]
    Unreachable(String),
    /// It doesn't take the connector's own login: nothing is known of anything else.
    #[error("the target refuses the connector's own login: {0}")]
    Unauthorized(String),
    /// It would not do this, in its own words.
    #[error("the target would not: {0}")]
    Rejected(String),
    /// The connector may not, or this kind can't.
    #[error("this can't be done there: {0}")]
    Unable(String),
    /// The endpoint, the options or the login are none that this kind understands.
    #[error("{0}")]
    Misconfigured(String),
    /// An account of that name is there, and it isn't ours.
    #[error("an account of that name is there and was made by somebody else")]
    Taken,
}

impl ConnectorError {
    /// The same without a secret, which a target's words may repeat: they are shown to people, and kept.
    #[must_use]
    pub fn without(self, secret: &Secret<String>) -> Self {
        let hidden = |said: String| match secret.expose().as_str() {
            "" => said,
            secret => said.replace(secret, "…"),
        };
        match self {
            Self::Unreachable(said) => Self::Unreachable(hidden(said)),
            Self::Unauthorized(said) => Self::Unauthorized(hidden(said)),
            Self::Rejected(said) => Self::Rejected(hidden(said)),
            Self::Unable(said) => Self::Unable(hidden(said)),
            Self::Misconfigured(said) => Self::Misconfigured(hidden(said)),
            Self::Taken => Self::Taken,
        }
    }

    /// Whether nothing is known of what was asked, since the target could not be asked at all.
    pub const fn is_of_the_target(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Unauthorized(_))
    }
}

/// An account to be made.
#[derive(Debug)]
pub struct NewAccount<'a> {
    /// Its name, derived from the id of the credential: never one that people would choose.
    pub name: &'a str,
    /// Its secret, made by Tenure.
    pub secret: &'a Secret<String>,
    /// What it may do, in the target's words.
    pub grants: &'a [String],
    /// When the target itself ends it, where it can.
    pub ends_at: Timestamp,
    /// The mark by which it is known as ours, e.g. the identity's id.
    pub mark: &'a str,
}

/// An account that was ended, and what the whole catalogue has of it afterwards.
pub type Gone = (Ending, Option<SeenAccount>);

/// What a kind does to several accounts at once, where that costs the target less than one after the other. What becomes
/// of one is in the place of that one, and never another's doing. For kinds whose accounts log in with the secret that they
/// were made with, and nothing else; sessions on our word are ended together, and begin each by itself.
pub trait Batches: Send + Sync {
    /// Makes accounts, as [`Connector::provision`] each.
    fn provision_all<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        accounts: &'a [NewAccount<'a>],
    ) -> BoxFuture<'a, Vec<Result<SeenAccount, ConnectorError>>>;
    /// Ends accounts, as [`Connector::revoke`] each, and reads each as [`Connector::read`].
    fn revoke_all<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        keys: &'a [String],
    ) -> BoxFuture<'a, Vec<Result<Gone, ConnectorError>>>;
}

/// A session to be begun at a target that takes our word for who somebody is.
#[derive(Debug)]
pub struct NewSession<'a> {
    /// Its name, derived from the id of the credential.
    pub name: &'a str,
    /// What it may do, in the target's words.
    pub grants: &'a [String],
    /// When it ends.
    pub ends_at: Timestamp,
}

/// A session that was begun.
#[derive(Debug)]
pub struct Begun {
    /// As the target has it.
    pub account: SeenAccount,
    /// What its holder signs in with, made by the target.
    pub secret: Secret<String>,
}

/// How a target lets somebody in on a token of ours, with no secret of ours there.
pub trait Federation: Send + Sync {
    /// Whom the token is for: its audience.
    fn audience(&self) -> &'static str;
    /// Whether the target checks what is signed so.
    fn takes(&self, algorithm: SigningAlgorithm) -> bool;
    /// What names the session for good, known before it begins: it is ended by this even if the target's answer was lost.
    /// Nothing is connected to.
    ///
    /// # Errors
    /// No session comes of these grants.
    fn plan(&self, session: &NewSession<'_>) -> Result<String, ConnectorError>;
    /// Begins a session on a token; asked again, it begins one of the same name.
    fn begin<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        session: &'a NewSession<'a>,
        token: &'a Secret<String>,
    ) -> BoxFuture<'a, Result<Begun, ConnectorError>>;
}

/// What is asked of one kind of target.
///
/// In mode [`Mode::Observe`] nothing is ever written: acts are [`ConnectorError::Unable`].
pub trait Connector: Send + Sync + fmt::Debug {
    /// Which kind.
    fn kind(&self) -> TargetKind;
    /// What it can do.
    fn abilities(&self) -> &'static [Ability];
    /// Why targets of this kind can't do what it has no ability for, in words for people. What isn't said of an ability here
    /// answers with this by itself, as [`ConnectorError::Unable`].
    fn cannot(&self, what: Ability) -> &'static str {
        let _ = what;
        "targets of this kind have no way to"
    }
    /// What its proof is worth.
    fn proof(&self) -> ProofWorth;
    /// The least rights that the connector's login needs for a mode, as the target's administrator would give them, with
    /// `LOGIN` in the place of its name.
    fn rights(&self, mode: Mode) -> &'static str;
    /// What targets of this kind never list, in words for people. It hides neither an account that they do list nor what
    /// that may do, so nothing is taken for unknown for it.
    fn blind_spots(&self) -> &'static [&'static str] {
        &[]
    }
    /// Whether an endpoint is one that this kind understands; nothing is connected to.
    ///
    /// # Errors
    /// What is wrong with it, as [`ConnectorError::Misconfigured`].
    fn check(&self, endpoint: &Endpoint) -> Result<(), ConnectorError>;
    /// Whose login it is at the target, and whether it may do what the mode needs: its problems, in words.
    fn whoami<'a>(&'a self, reach: &'a Reach<'a>) -> BoxFuture<'a, Result<Vec<String>, ConnectorError>>;
    /// Accounts behind a place in the target's own stable order. The connector's own login is among them.
    fn discover<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Found, ConnectorError>>;
    /// One account as it stands now; none if the whole catalogue was read and has none.
    fn read<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<SeenAccount>, ConnectorError>>;
    /// How it lets somebody in on our word, if it does: such a target makes its secrets itself.
    fn federation(&self) -> Option<&dyn Federation> {
        None
    }
    /// Makes an account; one of that name with the same mark is given this secret and these grants.
    fn provision<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        account: &'a NewAccount<'a>,
    ) -> BoxFuture<'a, Result<SeenAccount, ConnectorError>> {
        let _ = (reach, account);
        unable(self.cannot(Ability::Provision))
    }
    /// What the holder of an account that was just made logs in with, where that is more than the secret that it was made
    /// with: what was signed for it, too. None where the secret is all. Asked again, it gives what works as well.
    fn credential<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        account: &'a NewAccount<'a>,
    ) -> BoxFuture<'a, Result<Option<Secret<String>>, ConnectorError>> {
        let _ = (reach, account);
        Box::pin(std::future::ready(Ok(None)))
    }
    /// Gives an account another secret. Where sessions outlive it, they are ended.
    fn rotate<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
        secret: &'a Secret<String>,
    ) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        let _ = (reach, key, secret);
        unable(self.cannot(Ability::Rotate))
    }
    /// Stops an account in a way that [`Connector::release`] takes back, and ends its sessions.
    fn hold<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        let _ = (reach, key);
        unable(self.cannot(Ability::Hold))
    }
    /// Takes a hold back.
    fn release<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<(), ConnectorError>> {
        let _ = (reach, key);
        unable(self.cannot(Ability::Hold))
    }
    /// Leaves an account these grants of those that it has, and no others.
    fn narrow<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
        keep: &'a [String],
    ) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        let _ = (reach, key, keep);
        unable(self.cannot(Ability::Narrow))
    }
    /// Ends an account for good, and its sessions. One that isn't there is ended.
    fn revoke<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>>;
    /// How it does something to several accounts at once, if it has a quicker way than one by one.
    fn batches(&self) -> Option<&dyn Batches> {
        None
    }
    /// Tries a login as its holder would.
    fn probe<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        login: &'a TargetLogin,
        patience: Span,
    ) -> BoxFuture<'a, Result<Probe, ConnectorError>> {
        let _ = (endpoint, login, patience);
        unable(self.cannot(Ability::Probe))
    }
}

fn unable<'a, T: Send + 'a>(why: &str) -> BoxFuture<'a, Result<T, ConnectorError>> {
    let why = ConnectorError::Unable(why.to_owned());
    Box::pin(std::future::ready(Err(why)))
}

/// The connectors of a deployment.
pub trait Connectors: Send + Sync {
    /// The connector of a kind, if this build has one.
    fn of(&self, kind: TargetKind) -> Option<&dyn Connector>;
}

/// A deployment without connectors: nothing can be asked of any target.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoConnectors;

impl Connectors for NoConnectors {
    fn of(&self, _kind: TargetKind) -> Option<&dyn Connector> {
        None
    }
}

/// A target's own words, bounded, on one line, without control characters: they are shown to people and kept in the log.
pub fn words(text: &str) -> String {
    let mut words = String::new();
    for part in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|part| !part.is_empty()) {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(part);
        if words.len() > MAX_WORDS {
            words.truncate(words.floor_char_boundary(MAX_WORDS));
            break;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_stands_in_what_a_target_said_of_it() {
        let secret = Secret::new("s3cret".to_owned());
        let error = ConnectorError::Rejected("the password 's3cret' is too weak: s3cret".to_owned()).without(&secret);
        assert_eq!(error, ConnectorError::Rejected("the password '…' is too weak: …".to_owned()));
        let none = Secret::new(String::new());
        assert_eq!(ConnectorError::Unable("no".to_owned()).without(&none), ConnectorError::Unable("no".to_owned()));
    }

    #[test]
    fn words_of_a_target_are_one_bounded_line() {
        assert_eq!(words(" FATAL:  role\r\n\"a\"\u{7} is not\tpermitted "), "FATAL: role \"a\" is not permitted");
        let long = words(&"ü".repeat(MAX_WORDS));
        assert!(long.len() <= MAX_WORDS && long.chars().all(|c| c == 'ü'));
        assert_eq!(words(""), "");
    }
}
