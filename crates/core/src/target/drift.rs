//! Drift: what a target has and nobody approved, or lacks (R92, R102). Each difference is one item with one decision.
//!
//! What was approved stands in the identity's charter ([`AccountGrants`]), where whoever approved it read it; what the
//! target has stands in the account. The comparison is pure and is made anew whenever either changes, so an item is
//! closed by nobody but the facts. What a look could not see is no evidence that something is gone: it closes nothing.

use serde::{Deserialize, Serialize};

use crate::base::id::{AccountId, DriftId, IdentityId, PersonId, RequestId, TargetId};
use crate::base::state::{BadStep, InState, StateTable};
use crate::base::time::{Span, Timestamp};
use crate::credential::receipt::AccountOutcome;
use crate::finding::{Rule, rules};
use crate::identity::account_grants::{AccountGrants, MAX_GRANTS_TEXT};
use crate::identity::{Identity, IdentityState};
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms, words};
use crate::target::account::{Account, AccountState};

/// For how long a difference is left alone at most.
pub const MAX_IGNORED: Span = Span::from_days(90);
/// Grants that an item names one by one; more are counted.
pub const MAX_NAMED: usize = 64;

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DriftKind {
    /// The account has grants at its target that its charter doesn't name.
    GrantsGained,
    /// The account may do whatever there is, and its charter doesn't say so.
    PrivilegeGained,
    /// The whole catalogue of the target has the account no more, and its identity is active.
    AccountMissing,
    /// A login that nobody answers for bears the name of one that was ended, or is gone: it is there again.
    CameBack,
    /// A login that nobody answers for bears the name of an identity that it doesn't belong to.
    TookName,
}

impl DriftKind {
    /// Every kind.
    pub const ALL: &[Self] =
        &[Self::GrantsGained, Self::PrivilegeGained, Self::AccountMissing, Self::CameBack, Self::TookName];

    /// The name in the log and in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GrantsGained => "grants_gained",
            Self::PrivilegeGained => "privilege_gained",
            Self::AccountMissing => "account_missing",
            Self::CameBack => "came_back",
            Self::TookName => "took_name",
        }
    }

    /// The rule that it breaks.
    pub const fn rule(self) -> &'static Rule {
        match self {
            Self::GrantsGained | Self::TookName => &rules::ACCESS_DRIFT,
            Self::PrivilegeGained | Self::CameBack => &rules::PRIVILEGE_DRIFT,
            Self::AccountMissing => &rules::ACCOUNT_MISSING,
        }
    }

    /// Whether it is about what an account may do, rather than about whether it is there.
    pub const fn is_access(self) -> bool {
        matches!(self, Self::GrantsGained | Self::PrivilegeGained)
    }
}

/// Where an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DriftState {
    /// It is so.
    Open,
    /// It is so, and is left alone until a day.
    Ignored,
    /// It is no longer so; terminal.
    Closed,
}

impl DriftState {
    /// The name in the log and in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ignored => "ignored",
            Self::Closed => "closed",
        }
    }
}

impl StateTable for DriftState {
    const INITIAL: Self = Self::Open;
    fn as_str(self) -> &'static str {
        self.as_str()
    }
    fn may_become(self, next: Self) -> bool {
        matches!((self, next), (Self::Open, Self::Ignored | Self::Closed) | (Self::Ignored, Self::Open | Self::Closed))
    }
}

words!(DriftKind, DriftState);

/// What somebody decided about an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DriftChoice {
    /// It is taken away at the target.
    TakeAway,
    /// It is asked for as a wider charter, which others approve.
    Accept,
    /// It is left alone until a day.
    Ignore,
}

impl DriftChoice {
    /// The name in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TakeAway => "take_away",
            Self::Accept => "accept",
            Self::Ignore => "ignore",
        }
    }
}

/// A decision about an item, the last one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DriftDecision {
    /// What.
    pub choice: DriftChoice,
    /// By whom.
    pub by: PersonId,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// The request that asks for it, where it is to be accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// Until when it is left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// The end of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DriftEnd {
    /// When.
    pub at: Timestamp,
    /// By what.
    pub how: String,
}

/// What differs now, as it was computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What.
    pub kind: DriftKind,
    /// The grants concerned, [`MAX_NAMED`] at most.
    pub grants: Vec<String>,
    /// How many beyond those.
    pub more_grants: u32,
}

impl Difference {
    /// A difference that is about no grants.
    pub const fn of(kind: DriftKind) -> Self {
        Self { kind, grants: Vec::new(), more_grants: 0 }
    }

    /// Whether it is no more than what an item told before.
    pub fn is_within(&self, item: &Drift) -> bool {
        self.more_grants <= item.more_grants && self.grants.iter().all(|grant| item.grants.contains(grant))
    }
}

/// A difference between what a target has and what was approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// Its id.
    pub id: DriftId,
    /// What differs.
    pub kind: DriftKind,
    /// The account.
    pub account: AccountId,
    /// The account's name at the target.
    pub name: String,
    /// The identity that the account belongs to.
    pub identity: IdentityId,
    /// The target.
    pub target: TargetId,
    /// The grants concerned, in the target's words, 64 at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<String>,
    /// How many beyond those.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_grants: u32,
    /// Where it stands.
    pub state: InState<DriftState>,
    /// When it was found.
    pub found_at: Timestamp,
    /// What was decided, last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<DriftDecision>,
    /// How often it was tried to take it away.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tries: u32,
    /// What taking it away came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<AccountOutcome>,
    /// Its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<DriftEnd>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Drift {
    /// Listed by its account.
    pub const ACCOUNT: Field<Self, AccountId> = Field::new("account");
    /// Listed by its identity.
    pub const IDENTITY: Field<Self, IdentityId> = Field::new("identity");
    /// Listed by its target.
    pub const TARGET: Field<Self, TargetId> = Field::new("target");
    /// Listed by its kind.
    pub const OF_KIND: Field<Self, DriftKind> = Field::new("kind");
    /// Listed by its state.
    pub const STATE: Field<Self, DriftState> = Field::new("state");

    /// A difference that was not known before.
    pub fn found(id: DriftId, account: &Account, difference: Difference, now: Timestamp) -> Self {
        let Difference { kind, grants, more_grants } = difference;
        Self {
            id,
            kind,
            account: account.id,
            name: account.seen.name.clone(),
            identity: account.identity,
            target: account.target,
            grants,
            more_grants,
            state: InState::default(),
            found_at: now,
            decision: None,
            tries: 0,
            outcome: None,
            closed: None,
        }
    }

    /// With what differs now. What a look in part doesn't tell stays (R92).
    #[must_use]
    pub fn now_is(self, difference: Difference, in_part: bool) -> Self {
        let mut grants = difference.grants;
        if in_part {
            grants.extend(self.grants.iter().filter(|grant| !grants.contains(grant)).cloned().collect::<Vec<_>>());
            grants.sort();
            grants.truncate(MAX_NAMED);
        }
        let more_grants = if in_part { difference.more_grants.max(self.more_grants) } else { difference.more_grants };
        Self { grants, more_grants, ..self }
    }

    /// It is no longer so.
    ///
    /// # Errors
    /// It was closed before.
    pub fn close(self, how: &str, now: Timestamp) -> Result<Self, BadStep> {
        let closed = Some(DriftEnd { at: now, how: how.to_owned() });
        Ok(Self { state: self.state.step(DriftState::Closed)?, closed, ..self })
    }

    /// It is left alone no more.
    ///
    /// # Errors
    /// It isn't ignored.
    pub fn reopen(self) -> Result<Self, BadStep> {
        Ok(Self { state: self.state.step(DriftState::Open)?, decision: None, ..self })
    }

    /// With a decision about it.
    ///
    /// # Errors
    /// It is closed.
    pub fn decide(self, decision: DriftDecision) -> Result<Self, BadStep> {
        let state = match (decision.choice, self.state.get()) {
            (DriftChoice::Ignore, _) => self.state.step_from(DriftState::Open, DriftState::Ignored)?,
            (_, DriftState::Ignored) => self.state.step(DriftState::Open)?,
            (_, DriftState::Open) => self.state,
            (_, DriftState::Closed) => return Err(BadStep { from: "closed", to: decision.choice.as_str() }),
        };
        Ok(Self { state, decision: Some(decision), tries: 0, outcome: None, ..self })
    }

    /// Whether somebody decided that it be taken away, and that isn't done or known to be impossible.
    pub fn is_taken_away(&self) -> bool {
        let decided = self.decision.as_ref().is_some_and(|decision| decision.choice == DriftChoice::TakeAway);
        let tried = matches!(self.outcome, Some(AccountOutcome::CannotRevoke { .. }));
        self.state == DriftState::Open && decided && !tried
    }

    /// Until when it is left alone.
    pub fn ignored_until(&self) -> Option<Timestamp> {
        let until = self.decision.as_ref().and_then(|decision| decision.until);
        until.filter(|_| self.state == DriftState::Ignored)
    }
}

impl Record for Drift {
    const KIND: RowKind = RowKind::Drift;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none()
            .with(Self::ACCOUNT, self.account)
            .with(Self::IDENTITY, self.identity)
            .with(Self::TARGET, self.target)
            .with(Self::OF_KIND, self.kind)
            .with(Self::STATE, self.state.get())
    }
}

/// What an account has, as a charter would name it: what is over the bound of a charter is counted.
pub fn grants_of(account: &Account) -> AccountGrants {
    let seen = &account.seen;
    let mut room = MAX_GRANTS_TEXT;
    let fit = |grant: &&String| {
        let left = room.checked_sub(grant.len());
        room = left.unwrap_or(0);
        left.is_some()
    };
    let grants: Vec<String> = seen.grants.iter().take_while(fit).cloned().collect();
    let beyond = u32::try_from(seen.grants.len().saturating_sub(grants.len())).unwrap_or(u32::MAX);
    let more_grants = seen.more_grants.saturating_add(beyond);
    AccountGrants { account: account.id, grants, more_grants, privileged: seen.privileged }
}

/// What an identity's charter approves for an account; nothing, where it doesn't name it.
pub fn approved(identity: &Identity, account: AccountId) -> AccountGrants {
    let named = identity.charter.account_grants.iter().find(|named| named.account == account);
    named.cloned().unwrap_or(AccountGrants { account, grants: Vec::new(), more_grants: 0, privileged: false })
}

/// What an account has and its identity's charter doesn't name, or lacks. Whether a name is somebody else's is not seen
/// from here.
pub fn difference(identity: &Identity, account: &Account) -> Option<Difference> {
    let is_approved = matches!(identity.state, IdentityState::Active | IdentityState::Suspended);
    if !is_approved || account.state == AccountState::Ended {
        return None;
    }
    if account.absent_since.is_some() {
        return Some(Difference::of(DriftKind::AccountMissing));
    }
    let (seen, approved) = (&account.seen, approved(identity, account.id));
    let mut gained: Vec<String> =
        seen.grants.iter().filter(|grant| !approved.grants.contains(grant)).cloned().collect();
    let mut beyond = seen.more_grants;
    if approved.more_grants > 0 {
        // Which grants were approved beyond those that are named isn't known: how many there were is.
        let count = |named: usize, more: u32| u32::try_from(named).unwrap_or(u32::MAX).saturating_add(more);
        beyond = count(seen.grants.len(), seen.more_grants)
            .saturating_sub(count(approved.grants.len(), approved.more_grants));
        gained.clear();
    }
    let more = gained.len().saturating_sub(MAX_NAMED);
    gained.truncate(MAX_NAMED);
    let more_grants = beyond.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
    // What makes it privileged is mostly a grant: one difference, not two.
    let kind = match seen.privileged && !approved.privileged {
        true => DriftKind::PrivilegeGained,
        false if gained.is_empty() && more_grants == 0 => return None,
        false => DriftKind::GrantsGained,
    };
    Some(Difference { kind, grants: gained, more_grants })
}
