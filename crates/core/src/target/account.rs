//! Accounts at targets: what was seen of one, whose it is, and what it should be.

use serde::{Deserialize, Serialize};

use crate::base::id::{AccountId, IdentityId, PersonId, TargetId};
use crate::base::time::Timestamp;
use crate::credential::liveness::Scopes;
use crate::credential::receipt::AccountOutcome;
use crate::identity::{Identity, IdentityState};
use crate::store::row::{Position, Record, RowKind, Stored};
use crate::store::term::{Field, Terms, words};
use crate::target::connector::{Ending, SeenAccount};
use crate::target::rotation::Rotation;

/// What was done to an account on Tenure's behalf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// As the target's people have it.
    Standing,
    /// Stopped, in a way that is taken back when its identity may act again.
    Held,
    /// Ended for good.
    Ended,
}

impl AccountState {
    /// The name in the log and in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standing => "standing",
            Self::Held => "held",
            Self::Ended => "ended",
        }
    }
}

words!(AccountState);

/// Why an account should not stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// Nobody claimed it in time.
    Unclaimed,
    /// It bears Tenure's mark, and no record of this epoch knows it.
    Stray,
    /// Its identity is suspended.
    Suspended,
    /// A scope of its identity is on hold.
    ScopeHeld,
    /// Its identity, or a scope of it, was cut since the account had its secret.
    Cut,
    /// Its identity retires, or has.
    Retired,
    /// Its identity was given up before it was active.
    Closed,
}

impl Because {
    /// The name in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unclaimed => "unclaimed",
            Self::Stray => "stray",
            Self::Suspended => "suspended",
            Self::ScopeHeld => "scope_held",
            Self::Cut => "cut",
            Self::Retired => "retired",
            Self::Closed => "closed",
        }
    }
}

/// What an account should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Left as it is, and no longer held.
    Standing,
    /// Stopped for now.
    Held(Because),
    /// Gone for good.
    Ended(Because),
}

impl Wanted {
    /// The state that it comes to.
    pub const fn state(self) -> AccountState {
        match self {
            Self::Standing => AccountState::Standing,
            Self::Held(_) => AccountState::Held,
            Self::Ended(_) => AccountState::Ended,
        }
    }
}

/// What the target said of an act that its catalogue confirms.
pub fn read_back(ending: Ending, at: Timestamp) -> AccountOutcome {
    let Ending { words, sessions_ended, sessions_left } = ending;
    AccountOutcome::EndedReadBack { at, words, sessions_ended, sessions_left }
}

/// What the end or the hold of an account comes to, by what its target's catalogue has of it afterwards. One that can't be
/// taken out of the catalogue, since it owns what lives on, lets nobody in.
pub fn stopped(ending: Ending, seen: Option<&SeenAccount>, at: Timestamp) -> AccountOutcome {
    if seen.is_some_and(|seen| seen.enabled) {
        let why = "the target stopped it, and its catalogue has it enabled".to_owned();
        return AccountOutcome::Unproven { at, why };
    }
    let sessions_left = seen.and_then(|seen| seen.sessions).or(ending.sessions_left);
    match sessions_left {
        Some(left) if left > 0 => {
            AccountOutcome::Unproven { at, why: format!("{left} of its sessions are still open") }
        }
        _ => read_back(Ending { sessions_left, ..ending }, at),
    }
}

/// An act at the target, recorded before it is begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// What the account is to become.
    pub to: AccountState,
    /// Why; none where it is to stand again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<Because>,
    /// Since when.
    pub since: Timestamp,
    /// How often it was tried.
    pub tries: u32,
    /// What it came to so far.
    pub outcome: AccountOutcome,
}

/// That an account is to have fewer grants at its target, recorded before it is begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountNarrowing {
    /// The grants that it keeps, in the target's words.
    pub keep: Vec<String>,
    /// The grants that are dropped: of those that it had when this was asked.
    pub dropped: Vec<String>,
    /// Since when.
    pub since: Timestamp,
    /// How often it was tried.
    pub tries: u32,
    /// What it came to so far.
    pub outcome: AccountOutcome,
}

impl AccountNarrowing {
    /// The first of the dropped grants that an account has.
    pub fn still(&self, seen: &SeenAccount) -> Option<&str> {
        self.dropped.iter().find(|grant| seen.grants.contains(grant)).map(String::as_str)
    }
}

/// To whom an account was proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposedOwner {
    /// Who may answer for it, and does so only by claiming it.
    pub owner: PersonId,
    /// Who proposed it.
    pub by: PersonId,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// An account at a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Where it is.
    pub target: TargetId,
    /// The identity that it belongs to.
    pub identity: IdentityId,
    /// What the target's catalogue said of it last.
    pub seen: SeenAccount,
    /// When it was found first.
    pub found_at: Timestamp,
    /// When the catalogue had it last.
    pub seen_at: Timestamp,
    /// Since when a whole catalogue has it no more. That it isn't listed is no such evidence (R92).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent_since: Option<Timestamp>,
    /// Whether the look that saw it last could not see everything: what isn't told of it then is not known to be gone
    /// (R92).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub seen_in_part: bool,
    /// A position before which cuts do not concern its secret: the log's length when it was given one anew. None: the
    /// one at which it was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_after: Option<Position>,
    /// Until when its identity has to be active: then somebody answers for it.
    pub claim_by: Timestamp,
    /// To whom it was proposed, who may claim it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed: Option<ProposedOwner>,
    /// What was done to it.
    pub state: AccountState,
    /// What is being done to it, or was last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// The last narrowing of its grants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub narrowing: Option<AccountNarrowing>,
    /// Whether it bears Tenure's mark, and no record knew it when it was found: after a restore, a login that was issued
    /// in what was lost (S-1).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stray: bool,
    /// That it is given another secret, or was last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
}

impl Stored<Account> {
    /// What the account should be, from its identity and the scopes of it. Whoever may not act has no login that works;
    /// what was cut comes back with another secret alone; what is gone is gone.
    pub fn wanted(&self, identity: &Identity, scopes: Scopes<'_>, now: Timestamp) -> Wanted {
        let issued = self.secret_after.unwrap_or(self.created);
        match identity.state {
            IdentityState::Retiring | IdentityState::Retired => return Wanted::Ended(Because::Retired),
            IdentityState::Closed => return Wanted::Held(Because::Closed),
            IdentityState::Suspended => return Wanted::Held(Because::Suspended),
            IdentityState::Discovered | IdentityState::Draft | IdentityState::Pending if self.stray => {
                return Wanted::Held(Because::Stray);
            }
            IdentityState::Discovered | IdentityState::Draft | IdentityState::Pending
                if now >= self.claim_by && !self.seen.built_in =>
            {
                return Wanted::Held(Because::Unclaimed);
            }
            IdentityState::Discovered | IdentityState::Draft | IdentityState::Pending | IdentityState::Active => {}
        }
        if identity.valid_after.is_some_and(|after| !issued.is_after(after))
            || scopes.cuts_off(&identity.memberships, issued)
        {
            Wanted::Held(Because::Cut)
        } else if scopes.on_hold(&identity.memberships) {
            Wanted::Held(Because::ScopeHeld)
        } else {
            Wanted::Standing
        }
    }
}

impl Account {
    /// Listed by its target.
    pub const TARGET: Field<Self, TargetId> = Field::new("target");
    /// Listed by its identity.
    pub const IDENTITY: Field<Self, IdentityId> = Field::new("identity");
    /// Listed by what was done to it.
    pub const STATE: Field<Self, AccountState> = Field::new("state");
    /// Listed by whom it was proposed to.
    pub const PROPOSED: Field<Self, PersonId> = Field::new("proposed");
    /// Listed by its name at the target.
    pub const NAME: Field<Self> = Field::new("name");
    /// Listed by its target and what names it there for good.
    pub const KEY: Field<Self> = Field::new("key");

    /// The text of [`Account::KEY`].
    pub fn place(target: TargetId, key: &str) -> String {
        format!("{target} {key}")
    }

    /// A narrowing that isn't known to be done.
    pub fn open_narrowing(&self) -> Option<&AccountNarrowing> {
        self.narrowing.as_ref().filter(|narrowing| !narrowing.outcome.is_settled() && self.state != AccountState::Ended)
    }

    /// As people see it: not even what seals a secret leaves the store.
    #[must_use]
    pub fn shown(self) -> Self {
        let rotation = self.rotation.map(|rotation| Rotation { sealed: None, before: None, ..rotation });
        Self { rotation, ..self }
    }

    /// What is being done to it at the target and isn't known to be done.
    pub fn open(&self) -> Option<&Intent> {
        self.intent.as_ref().filter(|intent| intent.to != self.state || !intent.outcome.is_settled())
    }
}

impl Record for Account {
    const KIND: RowKind = RowKind::Account;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none()
            .with(Self::TARGET, self.target)
            .with(Self::IDENTITY, self.identity)
            .with(Self::STATE, self.state)
            .each(Self::PROPOSED, self.proposed.as_ref().map(|proposed| proposed.owner))
            .with(Self::NAME, &self.seen.name)
            .with(Self::KEY, Self::place(self.target, &self.seen.key))
    }
}
