//! Signals: what authoritative sources say happened, and who may say what (S-12).
//!
//! A signal may hold and start retirement. It never activates, resumes, renews, changes the owner, or counts as use.

pub mod removal;
pub mod rhythm;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::id::{IdentityId, PersonId, RemovalId, ReviewId, SignalId, SourceId};
use crate::base::state::{BadStep, InState};
use crate::base::time::Timestamp;
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, TermValue, Terms, words};
use crate::trust::state::{TrustState, confirmable};

/// The longest name of a subject in bytes: with its source it makes a row's key.
pub const MAX_SUBJECT: usize = 150;

/// How a source words its signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Security Event Tokens (RFC 8417), pushed by RFC 8935.
    Set,
    /// CloudEvents 1.0, structured mode, of Tenure's own event types.
    CloudEvents,
    /// GitHub's webhooks.
    Github,
    /// GitLab's webhooks.
    Gitlab,
    /// Kubernetes audit events, as its webhook backend sends them, and watch events.
    Kubernetes,
}

impl Format {
    /// The name in the log and in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::CloudEvents => "cloud_events",
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Kubernetes => "kubernetes",
        }
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignalKind {
    /// A workload was deployed for the first time (R8, R80).
    WorkloadCreated,
    /// A workload was changed: another image, repository or account (R77).
    WorkloadChanged,
    /// A workload is gone for good.
    WorkloadRemoved,
    /// Another system stopped a workload or an identity, and may let it go on.
    WorkloadDisabled,
    /// A pipeline's definition was changed (R86).
    PipelineChanged,
    /// A pipeline was deleted (R82).
    PipelineDeleted,
    /// A repository was renamed or given to another owner (R86).
    RepositoryMoved,
    /// A repository was archived or deleted.
    RepositoryArchived,
    /// A run of a pipeline, or a task, has ended, whatever came of it.
    RunEnded,
    /// A release was published, or an integration changed (R88).
    Released,
    /// An application was retired (R84).
    ApplicationRetired,
    /// A vendor's contract was ended (R85).
    VendorTerminated,
    /// A cloud account was deleted (R15, R87).
    CloudAccountDeleted,
    /// A project, an integration or a contract was closed (R83).
    IntegrationRemoved,
    /// A person's employment has ended (R83).
    EmploymentEnded,
}

/// What a kind of signal sets off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// A draft identity is made from a template.
    Joiner,
    /// The bindings concerned are verified again; what no longer matches is cut and held.
    Mover,
    /// What it concerns is cut and held, and retires unless somebody releases it.
    Leaver,
    /// What it concerns is held.
    Hold,
    /// The task of what it concerns is over.
    TaskEnd,
    /// What it concerns is reviewed.
    Review,
    /// The person leaves.
    PersonLeaves,
}

impl SignalKind {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::WorkloadCreated,
        Self::WorkloadChanged,
        Self::WorkloadRemoved,
        Self::WorkloadDisabled,
        Self::PipelineChanged,
        Self::PipelineDeleted,
        Self::RepositoryMoved,
        Self::RepositoryArchived,
        Self::RunEnded,
        Self::Released,
        Self::ApplicationRetired,
        Self::VendorTerminated,
        Self::CloudAccountDeleted,
        Self::IntegrationRemoved,
        Self::EmploymentEnded,
    ];

    /// The name in the log, in filters and in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WorkloadCreated => "workload_created",
            Self::WorkloadChanged => "workload_changed",
            Self::WorkloadRemoved => "workload_removed",
            Self::WorkloadDisabled => "workload_disabled",
            Self::PipelineChanged => "pipeline_changed",
            Self::PipelineDeleted => "pipeline_deleted",
            Self::RepositoryMoved => "repository_moved",
            Self::RepositoryArchived => "repository_archived",
            Self::RunEnded => "run_ended",
            Self::Released => "released",
            Self::ApplicationRetired => "application_retired",
            Self::VendorTerminated => "vendor_terminated",
            Self::CloudAccountDeleted => "cloud_account_deleted",
            Self::IntegrationRemoved => "integration_removed",
            Self::EmploymentEnded => "employment_ended",
        }
    }

    /// What it sets off.
    pub const fn effect(self) -> Effect {
        match self {
            Self::WorkloadCreated => Effect::Joiner,
            Self::WorkloadChanged | Self::PipelineChanged | Self::RepositoryMoved => Effect::Mover,
            Self::WorkloadRemoved
            | Self::PipelineDeleted
            | Self::RepositoryArchived
            | Self::ApplicationRetired
            | Self::VendorTerminated
            | Self::CloudAccountDeleted
            | Self::IntegrationRemoved => Effect::Leaver,
            Self::WorkloadDisabled => Effect::Hold,
            Self::RunEnded => Effect::TaskEnd,
            Self::Released => Effect::Review,
            Self::EmploymentEnded => Effect::PersonLeaves,
        }
    }
}

/// What sort of thing a signal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// A workload by its name, e.g. `prod/deployment/billing-exporter`: a binding's `workload`.
    Workload,
    /// A repository by its name, e.g. `acme/payments`: a charter's `repositories`.
    Repository,
    /// An application by its name.
    Application,
    /// A vendor by its name.
    Vendor,
    /// A cloud account as `provider/account`.
    CloudAccount,
    /// A business need by its name.
    Need,
    /// A person as `source/key`, as a feed of people names them.
    Person,
    /// One of our identities, by its id.
    Identity,
}

impl SubjectKind {
    /// The name in the log and in the patterns of sources.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Workload => "workload",
            Self::Repository => "repository",
            Self::Application => "application",
            Self::Vendor => "vendor",
            Self::CloudAccount => "cloud_account",
            Self::Need => "need",
            Self::Person => "person",
            Self::Identity => "identity",
        }
    }
}

/// What a signal is about, by the name that the source has for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignalSubject {
    /// What sort of thing.
    #[serde(rename = "type")]
    pub kind: SubjectKind,
    /// Its name: 1 to [`MAX_SUBJECT`] bytes.
    pub id: String,
}

impl TermValue for SignalSubject {
    type Of = Self;
    fn text(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_string())
    }
}

impl std::fmt::Display for SignalSubject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.id)
    }
}

/// What a source says, in Tenure's own words; nothing of the source's format is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Word {
    /// What happened.
    pub kind: SignalKind,
    /// To what.
    pub subject: SignalSubject,
    /// When it happened, as the source says, if it does.
    pub occurred_at: Option<Timestamp>,
    /// What is known of the subject now, by the names of the claims that bindings fix, e.g. `repository_owner_id`; at
    /// most 32 plain values.
    #[serde(default)]
    pub facts: Map<String, Value>,
}

/// How a source's signals are authenticated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "type", deny_unknown_fields)]
pub enum SourceKey {
    /// HMAC-SHA-256 over the raw body under a shared key, in the format's own header.
    Hmac {
        /// The key, sealed by the root key.
        sealed: String,
    },
    /// A secret in a header, for formats that can't sign: says who sends, not what.
    Token {
        /// Keyed hash of the secret, base64url.
        hash: String,
    },
    /// Signatures under keys that the source publishes.
    Keys {
        /// The `iss` of its tokens.
        issuer: String,
        /// The `aud` that they must name.
        audience: String,
        /// Where its key set is; fixed by the registration.
        jwks_uri: String,
        /// Algorithms accepted of it.
        algorithms: Vec<String>,
    },
}

/// A registered source of signals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its id.
    pub id: SourceId,
    /// Its name, unique for ever.
    pub name: String,
    /// How it words its signals.
    pub format: Format,
    /// Who answers for it here.
    pub owner: PersonId,
    /// What it may say.
    pub kinds: Vec<SignalKind>,
    /// About what: patterns such as `repository:acme/*` or `application:payments`.
    pub subjects: Vec<String>,
    /// The environments whose workloads and repositories it speaks of; empty: every environment's. Two platforms may
    /// have the same names.
    #[serde(default)]
    pub environments: Vec<String>,
    /// Signals that it may send in a minute.
    pub rate_per_minute: u32,
    /// Identities that its signals may hold in an hour before a person of security has to confirm.
    pub blast_cap: u32,
    /// The template from which a new workload's identity is drafted (R80).
    pub template: Option<String>,
    /// The registered issuer whose tokens prove the workloads that it tells of, if one does; a join token otherwise.
    pub issuer: Option<String>,
    /// How its signals are authenticated.
    pub key: SourceKey,
    /// Where the registration stands.
    pub state: InState<TrustState>,
    /// Who proposed it.
    pub proposed_by: PersonId,
    /// Who confirmed it.
    pub confirmed_by: Option<PersonId>,
    /// Whether one person did both, because there was no second administrator (S-10).
    pub single_person: bool,
    /// When the record was made.
    pub created_at: Timestamp,
}

confirmable!(Source);

impl Source {
    /// Trusted no more, and without its secret.
    ///
    /// # Errors
    /// It was removed before.
    pub fn remove(self) -> Result<Self, BadStep> {
        let key = match self.key {
            SourceKey::Hmac { .. } => SourceKey::Hmac { sealed: String::new() },
            SourceKey::Token { .. } => SourceKey::Token { hash: String::new() },
            keys @ SourceKey::Keys { .. } => keys,
        };
        Ok(Self { state: self.state.step(TrustState::Removed)?, key, ..self })
    }

    /// Whether a subject lies in its namespace. A pattern ends in `*` or is exact; `*` alone stands for every subject
    /// of its sort. GitHub and GitLab don't tell names of repositories apart by case.
    pub fn covers(&self, subject: &SignalSubject) -> bool {
        let folds = subject.kind == SubjectKind::Repository && matches!(self.format, Format::Github | Format::Gitlab);
        let folded = |id: &str| if folds { id.to_lowercase() } else { id.to_owned() };
        let named = folded(&subject.id);
        self.subjects.iter().any(|pattern| match pattern.split_once(':') {
            Some((kind, id)) if kind == subject.kind.as_str() => match id.strip_suffix('*') {
                Some(prefix) => named.starts_with(&folded(prefix)),
                None => named == folded(id),
            },
            _ => false,
        })
    }
}

words!(Format);

impl Source {
    /// Listed by its name.
    pub const NAME: Field<Self> = Field::new("name");
    /// Listed by its format.
    pub const FORMAT: Field<Self, Format> = Field::new("format");
    /// Listed by its owner.
    pub const OWNER: Field<Self, PersonId> = Field::new("owner");
    /// Listed by its state.
    pub const STATE: Field<Self, TrustState> = Field::new("state");
}

impl Record for Source {
    const KIND: RowKind = RowKind::Source;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none()
            .with(Self::NAME, &self.name)
            .with(Self::FORMAT, self.format)
            .with(Self::OWNER, self.owner)
            .with(Self::STATE, self.state.get())
    }
}

/// Where a signal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignalState {
    /// Durable, not yet worked off.
    Received,
    /// Worked off; what came of it is in its outcome; terminal.
    Done,
    /// It concerns nothing that is known here; terminal.
    Ignored,
    /// Something newer was said of the same subject; terminal.
    Stale,
}

impl SignalState {
    /// The name in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Done => "done",
            Self::Ignored => "ignored",
            Self::Stale => "stale",
        }
    }
}

/// What came of a signal.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SignalOutcome {
    /// What was done, in a sentence.
    pub what: String,
    /// Identities that were made, held, cut or are to be reviewed; the first hundred.
    pub identities: Vec<IdentityId>,
    /// The removal that it began or waits for.
    pub removal: Option<RemovalId>,
    /// Reviews that it opened.
    pub reviews: Vec<ReviewId>,
    /// The person who left.
    pub person: Option<PersonId>,
    /// While it concerns more than one commit takes: the last identity that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A signal as it was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// Its id.
    pub id: SignalId,
    /// Who said it.
    pub source: SourceId,
    /// What.
    pub word: Word,
    /// SHA-256 over the delivery's raw body, base64url.
    pub digest: String,
    /// When it was received.
    pub received_at: Timestamp,
    /// Where it stands.
    pub state: SignalState,
    /// What came of it.
    pub outcome: SignalOutcome,
}

words!(SignalKind, SignalState);

impl Signal {
    /// Listed by its source.
    pub const SOURCE: Field<Self, SourceId> = Field::new("source");
    /// Listed by its kind of what happened.
    pub const OF_KIND: Field<Self, SignalKind> = Field::new("kind");
    /// Listed by its subject.
    pub const SUBJECT: Field<Self, SignalSubject> = Field::new("subject");
    /// Listed by its state.
    pub const STATE: Field<Self, SignalState> = Field::new("state");
    /// Listed by its digest of what was said.
    pub const DIGEST: Field<Self> = Field::new("digest");
}

impl Record for Signal {
    const KIND: RowKind = RowKind::Signal;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none()
            .with(Self::SOURCE, self.source)
            .with(Self::OF_KIND, self.word.kind)
            .with(Self::SUBJECT, &self.word.subject)
            .with(Self::STATE, self.state)
            .with(Self::DIGEST, &self.digest)
    }
}

/// The newest word of a source on a subject: what is older adds nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Heard {
    /// Who said it.
    pub source: SourceId,
    /// On what.
    pub subject: SignalSubject,
    /// What was said last.
    pub kind: SignalKind,
    /// When it happened; when it was received, if the source doesn't say.
    pub at: Timestamp,
}

impl Heard {
    /// The row's id.
    pub fn id(source: SourceId, subject: &SignalSubject) -> String {
        format!("{source} {subject}")
    }
}

impl Record for Heard {
    const KIND: RowKind = RowKind::Heard;
    fn row_id(&self) -> String {
        Self::id(self.source, &self.subject)
    }
}
