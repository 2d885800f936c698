//! Removals: something that identities live by has ended (R83–R87). Everything is cut and held at once; what is not
//! released retires.

use serde::{Deserialize, Serialize};

use crate::base::id::{IdentityId, PersonId, ReceiptId, RemovalId, SignalId, SourceId};
use crate::base::state::{BadStep, InState, StateTable};
use crate::base::time::{Span, Timestamp};
use crate::identity::scope::Scope;
use crate::signal::{SignalKind, SignalSubject};
use crate::store::row::{Record, RowKind};
use crate::store::term::{Bounded, Field, Terms, words};

/// How long what a removal holds can be released before it retires.
pub const HOLD: Span = Span::from_days(7);

/// Where a removal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
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
}

/// waiting → held, released · held → retiring, released · retiring → done.
impl StateTable for RemovalState {
    const INITIAL: Self = Self::Waiting;
    fn as_str(self) -> &'static str {
        self.as_str()
    }
    fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Waiting, Self::Held | Self::Released)
                | (Self::Held, Self::Retiring | Self::Released)
                | (Self::Retiring, Self::Done)
        )
    }
}

/// What asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "type", content = "id")]
pub enum Because {
    /// A signal.
    Signal(SignalId),
    /// A person.
    Person(PersonId),
}

/// What a removal takes with it, as it was when it was planned (R84).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
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
    /// The accountable owners of what ended and of the identities, who are told; the first two hundred.
    pub owners: Vec<PersonId>,
    /// Those of the identities whose removal waits for the end of an exception (R109).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deferred: Vec<IdentityId>,
    /// Whether there are more than two hundred owners, enforced resources, consumers, delegates or those that wait: then
    /// not all of them are named.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// A removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
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
    /// The environments that it is bounded to; empty: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
    /// What asked for it.
    pub because: Because,
    /// Why, in words.
    pub reason: String,
    /// Whether what ended is in other hands: then nothing waits (R109).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compromise: bool,
    /// What it takes with it.
    pub blast: BlastRadius,
    /// The hash over what it does to whom: a dry run's and the effect's are the same, or the effect is refused.
    pub digest: String,
    /// Where it stands.
    pub state: InState<RemovalState>,
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
    /// Who answers for what ended.
    #[serde(default)]
    pub owner: Option<PersonId>,
    /// The receipts of what was cut when it was held; the first hundred.
    #[serde(default)]
    pub receipts: Vec<ReceiptId>,
    /// While the step that it is at has more identities than one commit takes: the last that was looked at.
    #[serde(default)]
    pub cursor: Option<String>,
}

impl Removal {
    /// Cut and held from `now` on; it retires at `retire_at`, if it ends for good.
    ///
    /// # Errors
    /// It doesn't wait.
    pub fn hold(self, now: Timestamp, retire_at: Option<Timestamp>) -> Result<Self, BadStep> {
        Ok(Self { state: self.state.step(RemovalState::Held)?, held_at: Some(now), retire_at, ..self })
    }

    /// Its identities retire from here on.
    ///
    /// # Errors
    /// It doesn't hold.
    pub fn retire(self) -> Result<Self, BadStep> {
        Ok(Self { state: self.state.step(RemovalState::Retiring)?, ..self })
    }

    /// The last of its identities is retired.
    ///
    /// # Errors
    /// It doesn't retire.
    pub fn done(self, now: Timestamp) -> Result<Self, BadStep> {
        Ok(Self { state: self.state.step(RemovalState::Done)?, done_at: Some(now), ..self })
    }

    /// Let go by somebody.
    ///
    /// # Errors
    /// It neither waits nor holds.
    pub fn release(self, by: PersonId, reason: &str) -> Result<Self, BadStep> {
        Ok(Self { state: self.state.step(RemovalState::Released)?, released: Some((by, reason.to_owned())), ..self })
    }

    /// The mark that the causes and holds that it places begin with, and by which they are lifted again and no others
    /// are.
    pub fn mark(&self) -> String {
        format!("{}: ", self.id)
    }
}

words!(RemovalState);

impl Removal {
    /// Listed by its state.
    pub const STATE: Field<Self, RemovalState> = Field::new("state");
    /// Listed by its subject.
    pub const SUBJECT: Field<Self, SignalSubject> = Field::new("subject");
    /// Listed by its kind of what happened.
    pub const OF_KIND: Field<Self, SignalKind> = Field::new("kind");
    /// Listed by its scope that is held as one.
    pub const SCOPE: Field<Self, Scope> = Field::new("scope");
    /// Listed by the identities that it concerns: the first of them, and that there are more.
    pub const IDENTITY: Bounded<Self, IdentityId> = Bounded::new("identity", 64, ("identities", "more"));
}

impl Record for Removal {
    const KIND: RowKind = RowKind::Removal;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        let count = usize::try_from(self.blast.count).unwrap_or(usize::MAX);
        Terms::none()
            .with(Self::STATE, self.state.get())
            .with(Self::SUBJECT, &self.subject)
            .with(Self::OF_KIND, self.kind)
            .each(Self::SCOPE, &self.scope)
            .capped(Self::IDENTITY, &self.blast.identities, count)
    }
}

/// How long what a source held counts against its cap.
pub const BLAST_WINDOW: Span = Span::from_mins(60);

/// What the signals of a source held lately: many small signals come to the same as a large one (S-12).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Blasts {
    /// The source.
    pub source: SourceId,
    /// How many identities in which minute, by its start.
    pub held: Vec<(Timestamp, u32)>,
}

impl Blasts {
    /// What counts at a time.
    pub fn lately(&self, now: Timestamp) -> u32 {
        let counts = self.held.iter().filter(|(minute, _)| now.since(*minute) < BLAST_WINDOW);
        counts.fold(0, |sum, (_, held)| sum.saturating_add(*held))
    }

    /// The same with this many more; what no longer counts is dropped.
    #[must_use]
    pub fn with(mut self, more: u32, now: Timestamp) -> Self {
        let width = Span::from_mins(1).as_micros();
        let minute = Timestamp::from_micros(now.as_micros().div_euclid(width) * width);
        self.held.retain(|(at, _)| now.since(*at) < BLAST_WINDOW);
        match self.held.iter_mut().find(|(at, _)| *at == minute) {
            Some((_, held)) => *held = held.saturating_add(more),
            None => self.held.push((minute, more)),
        }
        self
    }
}

impl Record for Blasts {
    const KIND: RowKind = RowKind::Blast;
    fn row_id(&self) -> String {
        self.source.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_small_signals_count_as_one_large_one_for_an_hour() {
        let start = Timestamp::from_secs(1_000_000);
        let mut blasts = Blasts { source: SourceId::from_u128(1), held: Vec::new() };
        for n in 0..60 {
            blasts = blasts.with(1, start.plus(Span::from_secs(n * 30)));
        }
        let end = start.plus(Span::from_mins(30));
        assert_eq!(blasts.lately(end), 60);
        assert!(blasts.held.len() <= 31, "one count for each minute: {blasts:?}");
        assert_eq!(blasts.lately(end.plus(BLAST_WINDOW)), 0);
        assert_eq!(blasts.with(2, end.plus(BLAST_WINDOW)).held.len(), 1);
    }

    #[test]
    fn nothing_is_released_once_it_retires_and_nothing_retires_unheld() {
        use RemovalState::{Done, Held, Released, Retiring, Waiting};
        assert!(
            Waiting.may_become(Held)
                && Waiting.may_become(Released)
                && Held.may_become(Retiring)
                && Held.may_become(Released)
        );
        for (from, to) in [
            (Waiting, Retiring),
            (Retiring, Released),
            (Retiring, Held),
            (Released, Held),
            (Done, Held),
            (Done, Released),
        ] {
            assert!(!from.may_become(to), "{from:?} {to:?}");
        }
    }
}
