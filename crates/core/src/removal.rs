//! Removals: something that identities live by has ended (R83–R87). Everything is cut and held at once; what is not released retires.

use serde::{Deserialize, Serialize};

use crate::id::{IdentityId, PersonId, RemovalId, SignalId};
use crate::row::{Record, RowKind};
use crate::scope::Scope;
use crate::signal::{SignalKind, SignalSubject};
use crate::time::{Span, Timestamp};

/// How long what a removal holds can be released before it retires.
pub const HOLD: Span = Span::from_days(7);

/// Where a removal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemovalState {
    /// It concerns more than its source may hold: a person of security has to confirm; nothing is held yet.
    Waiting,
    /// Cut and held; it can be released until it retires.
    Held,
    /// Its identities retire, one after the other.
    Retiring,
    /// Every one of them is retired; terminal.
    Done,
    /// Somebody of security let it go, or refused to confirm it; what was cut stays cut; terminal.
    Released,
}

impl RemovalState {
    /// The name in the log and in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Retiring => "retiring",
            Self::Done => "done",
            Self::Released => "released",
        }
    }

    /// Whether the table has this step: waiting → held, released · held → retiring, released · retiring → done.
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Waiting, Self::Held | Self::Released) | (Self::Held, Self::Retiring | Self::Released) | (Self::Retiring, Self::Done)
        )
    }
}

/// What asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type", content = "id")]
pub enum Because {
    /// A signal.
    Signal(SignalId),
    /// A person.
    Person(PersonId),
}

/// What a removal takes with it, as it was when it was planned (R84).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BlastRadius {
    /// The identities that it concerns; the first thousand.
    pub identities: Vec<IdentityId>,
    /// How many there are.
    pub count: u32,
    /// Credentials of theirs that were alive; counted up to ten thousand.
    pub live_credentials: u32,
    /// Resources that they enforce, which nobody else does: who relies on decisions there gets none.
    pub enforced_resources: Vec<String>,
    /// Consumers of shared identities among them.
    pub consumers: Vec<String>,
    /// Identities that act on their behalf, or that they act on behalf of.
    pub delegates: Vec<IdentityId>,
}

/// A removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Removal {
    /// Its id.
    pub id: RemovalId,
    /// What happened.
    pub kind: SignalKind,
    /// What ended.
    pub subject: SignalSubject,
    /// The scope that is cut and held as one, where the subject is one; else each identity is.
    pub scope: Option<Scope>,
    /// What asked for it.
    pub because: Because,
    /// Why, in words.
    pub reason: String,
    /// What it takes with it.
    pub blast: BlastRadius,
    /// The hash over what it does to whom: a dry run's and the effect's are the same, or the effect is refused.
    pub digest: String,
    /// Where it stands.
    pub state: RemovalState,
    /// When it was planned.
    pub created_at: Timestamp,
    /// When everything was cut and held.
    pub held_at: Option<Timestamp>,
    /// When it retires unless it is released.
    pub retire_at: Option<Timestamp>,
    /// Who confirmed it.
    pub confirmed_by: Option<PersonId>,
    /// Who released it, and why.
    pub released: Option<(PersonId, String)>,
    /// How many identities have retired.
    pub retired: u32,
    /// When the last one was.
    pub done_at: Option<Timestamp>,
}

impl Record for Removal {
    const KIND: RowKind = RowKind::Removal;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Vec<String> {
        let mut terms = vec![
            format!("state={}", self.state.as_str()),
            format!("subject={}", self.subject),
            format!("kind={}", self.kind.as_str()),
        ];
        terms.extend(self.blast.identities.iter().take(8).map(|id| format!("identity={id}")));
        terms
    }
}
