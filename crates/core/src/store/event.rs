//! Events: every state change is one (invariant 3).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::id::{EventId, IdentityId, OperatorTokenId, PersonId, SessionId, SourceId};
use crate::store::event_kind::EventKind;

/// What shows that a person did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// An operator token stood for them: marks the record as not made by a sign-in (S-7).
    OperatorToken(OperatorTokenId),
    /// They signed in.
    Session(SessionId),
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Actor {
    /// A person, who signed in or for whom an operator token stood (S-7).
    Person {
        /// The person.
        id: PersonId,
        /// What shows that it was them.
        via: Via,
    },
    /// A non-human identity.
    Identity {
        /// The identity.
        id: IdentityId,
    },
    /// A registered source of signals, by its key (S-12).
    Source {
        /// The source.
        id: SourceId,
    },
    /// Tenure itself, working off a deadline or its own set-up.
    System {
        /// Which part, e.g. `deadlines`.
        part: String,
    },
    /// Somebody who proved nothing.
    Stranger,
}

/// Who makes a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// Who it is, as the log names them.
    pub actor: Actor,
    /// The revision of their own row at which they were authenticated: what they may was judged by it, so the change is
    /// made only while it stands. None of what Tenure does by itself.
    pub as_of: Option<u64>,
}

impl From<Actor> for Author {
    fn from(actor: Actor) -> Self {
        Self { actor, as_of: None }
    }
}

/// The named control points that human and non-human paths share (R43).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ControlPoint {
    /// Asked for.
    Request,
    /// Approved.
    Approve,
    /// A credential was issued.
    Issue,
    /// Used, or refused use.
    Use,
    /// Reviewed.
    Review,
    /// Renewed.
    Renew,
    /// Changed.
    Change,
    /// Suspended or held.
    Suspend,
    /// Resumed or released.
    Resume,
    /// Revoked or cut.
    Revoke,
    /// On its way out, or gone.
    Retire,
    /// Accountability goes from one person to another.
    Transfer,
    /// The administration of Tenure itself.
    Administer,
}

impl ControlPoint {
    /// The name in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Approve => "approve",
            Self::Issue => "issue",
            Self::Use => "use",
            Self::Review => "review",
            Self::Renew => "renew",
            Self::Change => "change",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Revoke => "revoke",
            Self::Retire => "retire",
            Self::Transfer => "transfer",
            Self::Administer => "administer",
        }
    }
}

/// What an event does to anybody's authority. Its kind and its control point say it; what the rows of its commit do is
/// held against it ([`Changeset::effect`](crate::store::changeset::Changeset::effect)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It lets somebody do more, or may.
    Enables,
    /// It takes authority away.
    Takes,
    /// It changes something, and neither gives nor takes by itself: what was asked for, whose something is.
    Changes,
    /// It says what was seen, and changes nothing that anybody rests on.
    Notes,
}

impl ControlPoint {
    /// What an event at this control point does, unless its kind says otherwise.
    pub const fn effect(self) -> Effect {
        match self {
            Self::Approve | Self::Issue | Self::Renew | Self::Resume | Self::Administer => Effect::Enables,
            Self::Suspend | Self::Revoke | Self::Retire => Effect::Takes,
            Self::Request | Self::Change | Self::Transfer => Effect::Changes,
            Self::Use | Self::Review => Effect::Notes,
        }
    }
}

/// A field that concerns a person: the leaf holds a salted commitment, the value stands beside the log and can be
/// erased.
#[derive(Clone)]
pub struct Personal {
    /// Whose it is: the id by which it is erased.
    pub subject: String,
    /// Which field.
    pub field: &'static str,
    /// The commitment's salt.
    pub salt: [u8; 32],
    /// The value.
    pub value: String,
}

impl std::fmt::Debug for Personal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Personal").field("subject", &self.subject).field("field", &self.field).finish_non_exhaustive()
    }
}

/// One thing that happened. Its time and position are fixed at commit.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// What happened.
    kind: EventKind,
    /// At which control point.
    control: ControlPoint,
    /// Whom it concerns: ids, most important first.
    pub subjects: Vec<String>,
    /// Public facts. No secret and no personal value belongs here.
    pub data: Map<String, Value>,
    /// Facts about persons.
    pub personal: Vec<Personal>,
    /// The first of its facts that can't be told.
    unwritable: Option<Unwritable>,
}

impl Event {
    /// An event with no facts yet.
    pub fn new(id: EventId, kind: EventKind) -> Self {
        Self {
            id,
            kind,
            control: kind.control(),
            subjects: Vec::new(),
            data: Map::new(),
            personal: Vec::new(),
            unwritable: None,
        }
    }

    /// The event at another control point than its kind's: what was refused, and what a signal or a removal has come
    /// to.
    #[must_use]
    pub const fn at(mut self, control: ControlPoint) -> Self {
        self.control = control;
        self
    }

    /// What happened.
    pub const fn kind(&self) -> EventKind {
        self.kind
    }

    /// At which control point.
    pub const fn control(&self) -> ControlPoint {
        self.control
    }

    /// What it does to anybody's authority. It is not written.
    pub const fn effect(&self) -> Effect {
        match self.kind.own_effect() {
            Some(effect) => effect,
            None => self.control.effect(),
        }
    }

    /// What of it can't be told: a changeset with it is not written.
    pub fn unwritable(&self) -> Option<&Unwritable> {
        self.unwritable.as_ref()
    }

    /// Adds whom it concerns.
    #[must_use]
    pub fn subject(mut self, id: impl ToString) -> Self {
        self.subjects.push(id.to_string());
        self
    }

    /// Adds a public fact. With a value that can't be JSON, the event can't be [written](Self::unwritable).
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Serialize) -> Self {
        match serde_json::to_value(value) {
            Ok(value) => {
                self.data.insert(name.to_owned(), value);
            }
            Err(error) => {
                self.unwritable.get_or_insert(Unwritable {
                    what: format!("the fact `{name}` of the event {}", self.kind.as_str()),
                    why: error.to_string(),
                });
            }
        }
        self
    }

    /// Adds a fact about a person.
    #[must_use]
    pub fn personal(mut self, personal: Personal) -> Self {
        self.personal.push(personal);
        self
    }
}

/// What can't be recorded, or not so that it could be read back. A changeset that holds it is not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} can't be recorded: {why}")]
pub struct Unwritable {
    /// Which record or fact.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
}
