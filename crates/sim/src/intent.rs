//! What is asked for and what comes of it, as far as the model needs it; and who asks.

use std::fmt;

use tenure_api::views::TokenIssued;
use tenure_core::base::id::{
    ApplicationId, CredentialId, GrantId, IdentityId, PersonId, RequestId, ResourceId, TransferId,
};
use tenure_core::base::time::Timestamp;
use tenure_core::identity::IdentityState;
use tenure_core::identity::scope::Scope;
use tenure_core::request::RequestState;

/// How a workload proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// By its key.
    Key,
    /// By its platform's issuer.
    Oidc,
    /// By a key that a join token enrols.
    Join,
}

/// A workload as its operator knows it.
#[derive(Clone)]
pub struct Subject {
    /// The identity.
    pub id: IdentityId,
    /// Its name, and its subject at the platform.
    pub name: String,
    /// The seed of its key.
    pub seed: [u8; 32],
    /// Its environment, by place.
    pub place: usize,
    /// How it proves itself.
    pub bound: Bound,
    /// Join tokens that it was given.
    pub join_tokens: Vec<String>,
    /// Proofs that it made.
    pub proofs: Vec<String>,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.name, self.bound)
    }
}

/// An environment with its application and resources.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its name.
    pub environment: String,
    /// The application.
    pub application: ApplicationId,
    /// Resources: id and URI. The first is asked about online, the second checks signatures by itself.
    pub resources: Vec<(ResourceId, String)>,
}

/// Every environment.
pub type Places = Vec<Place>;

/// Something that would make the trace hard to read.
#[derive(Clone)]
pub struct Hidden<T>(pub T);

impl<T> fmt::Debug for Hidden<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// What was asked for, as far as the model needs it.
#[derive(Debug, Clone)]
pub enum Intent {
    /// Register; whether the charter lacks something although it mustn't.
    Register(Box<Subject>, bool),
    /// A step that enables or is of no account to the model.
    Change(&'static str, IdentityId),
    /// Suspend.
    Suspend(IdentityId),
    /// Resume.
    Resume(IdentityId),
    /// Retire, close, or report a task as completed.
    End(&'static str, IdentityId),
    /// Revoke a grant.
    RevokeGrant(GrantId),
    /// Get a token: whose, whether the proof is good, and which environment and resource.
    Issue(IdentityId, &'static str, Hidden<String>, usize, usize),
    /// Introspect what was issued at this place of the model's list.
    Introspect(usize),
    /// Decide about an identity and an action, with a token or without.
    Evaluate(IdentityId, Option<usize>, String),
    /// Do something with a request.
    Request(&'static str, Option<RequestId>),
    /// Do something with a transfer.
    Transfer(&'static str, TransferId),
    /// Somebody leaves.
    Depart(PersonId),
    /// Revoke a credential.
    Revoke(CredentialId),
    /// Cut a scope.
    Cut(Scope),
    /// Hold a scope.
    Hold(Scope),
    /// Release a scope.
    Release(Scope),
    /// Get a token that hands authority on, or that derives from one.
    Derive(Box<Derived>),
    /// Say something as a source.
    Signal(&'static str),
    /// Raise, confirm or release a removal.
    Removal(&'static str),
    /// Hand out a join token.
    JoinToken(IdentityId),
    /// Enrol a key.
    Enrol(IdentityId, Hidden<[u8; 32]>),
    /// Anything else.
    Other(&'static str),
}

impl Intent {
    /// What it may give back, by key.
    pub fn loosens(&self) -> Option<String> {
        match self {
            Self::Resume(id) => Some(id.to_string()),
            Self::Release(scope) => Some(scope.to_string()),
            _ => None,
        }
    }
}

/// A credential of a chain, as it was asked for.
#[derive(Debug, Clone)]
pub struct Derived {
    /// Who is to hold it.
    pub id: IdentityId,
    /// Whether the proof is good.
    pub kind: &'static str,
    /// The proof.
    pub proof: Hidden<String>,
    /// The place.
    pub place: usize,
    /// What it derives from: places in the model's list, the first link first.
    pub parents: Vec<usize>,
    /// The link that it is handed on to, if it is.
    pub to: Option<usize>,
}

/// When something was asked.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The step.
    pub step: u64,
    /// The node's time; nothing if its clock stepped before it answered.
    pub at: Timestamp,
    /// The log's length.
    pub head: u64,
}

/// What came of it.
pub enum Fact {
    /// An identity as it is now.
    Identity(IdentityId, IdentityState),
    /// A token.
    Token(Box<TokenIssued>),
    /// Whether a token is active, or a use is allowed; and for which actions, where that was said.
    Verdict(bool, Vec<String>),
    /// A request as it is now.
    Request(RequestId, RequestState),
    /// A revocation, at this place of the log.
    Revoked(u64),
    /// What was shown to somebody before a removal, and what it then was: its digests.
    Removal(String, String),
    /// A join token.
    JoinToken(String),
    /// The newest checkpoint.
    Checkpoint(Option<String>),
    /// Done, to so many.
    Done(u64),
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity(id, state) => write!(f, "{id} is {}", state.as_str()),
            Self::Token(token) => write!(f, "{} for {}", token.credential, token.scope),
            Self::Verdict(yes, actions) => write!(f, "{yes} {}", actions.join(" ")),
            Self::Request(id, state) => write!(f, "{id} is {}", state.as_str()),
            Self::Revoked(index) => write!(f, "in force at {index}"),
            Self::Removal(shown, is) => write!(f, "a removal of {is}, shown as {shown}"),
            Self::JoinToken(_) => f.write_str("a join token"),
            Self::Checkpoint(checkpoint) => {
                write!(f, "{:?}", checkpoint.as_deref().map(|text| text.lines().nth(1).unwrap_or_default()))
            }
            Self::Done(n) => write!(f, "done {n}"),
        }
    }
}
