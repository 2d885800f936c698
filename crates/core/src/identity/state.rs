//! The identity's state machine.

use serde::{Deserialize, Serialize};

use crate::base::id::PersonId;
use crate::base::time::Timestamp;
use crate::identity::scope::Releaser;
use crate::identity::{Identity, Retirement};

/// Where an identity stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdentityState {
    /// Found at a target: nobody answers for it yet, and it authenticates nowhere but there.
    Discovered,
    /// Being written; its charter may lack facts.
    Draft,
    /// Complete, waits for activation.
    Pending,
    /// May authenticate.
    Active,
    /// Refused everything until every cause is released.
    Suspended,
    /// On its way out, irreversibly; refused everything.
    Retiring,
    /// Gone; terminal.
    Retired,
    /// Given up before it was active; terminal.
    Closed,
}

impl IdentityState {
    /// Every state.
    pub const ALL: &[Self] = &[
        Self::Discovered,
        Self::Draft,
        Self::Pending,
        Self::Active,
        Self::Suspended,
        Self::Retiring,
        Self::Retired,
        Self::Closed,
    ];

    /// The name in the log, in filters and in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Discovered => "discovered",
            Self::Draft => "draft",
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
            Self::Closed => "closed",
        }
    }
}

/// A step of the lifecycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Answer for it from now on.
    Claim,
    /// Hand in the complete charter.
    Submit,
    /// Let it authenticate.
    Activate,
    /// Add a cause of suspension.
    Suspend,
    /// Release a cause.
    Resume,
    /// Begin its end.
    Retire,
    /// Complete its end.
    FinishRetiring,
    /// Give up a draft or a pending identity.
    Close,
}

impl Step {
    /// Every step.
    pub const ALL: &[Self] = &[
        Self::Claim,
        Self::Submit,
        Self::Activate,
        Self::Suspend,
        Self::Resume,
        Self::Retire,
        Self::FinishRetiring,
        Self::Close,
    ];

    /// The name in refusals.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Submit => "submit",
            Self::Activate => "activate",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Retire => "retire",
            Self::FinishRetiring => "finish_retiring",
            Self::Close => "close",
        }
    }
}

/// A step that the state table doesn't have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an identity that is {} can't {}", from.as_str(), step.as_str())]
pub struct BadTransition {
    /// The state it is in.
    pub from: IdentityState,
    /// The step that was asked for.
    pub step: Step,
}

/// Why an identity is suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SuspensionKind {
    /// By hand.
    ByHand,
    /// A join token was presented a second time (S-15).
    JoinTokenReplayed,
    /// Nobody took it from an owner who left (R91).
    TransferLapsed,
    /// Not used for as long as its tier allows (R76).
    Dormant,
    /// Its business need has ended (R76).
    NeedEnded,
    /// An exception that it needs is over (R112).
    ExceptionEnded,
    /// A review was not answered.
    ReviewOverdue,
    /// A source said that what it lives by has ended, or another system stopped it (S-12).
    Signalled,
    /// What proves its workload no longer matches what was chartered (R86, R89).
    BindingBroken,
    /// It breaks a rule of posture whose breach is set to suspend.
    RuleBroken,
    /// It, or what it belongs to, is past its sunset (R99).
    Sunset,
    /// It was used in a context that it isn't known in (R104, R111).
    NewContext,
}

/// One cause of suspension and who may release it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SuspensionCause {
    /// Which cause.
    pub kind: SuspensionKind,
    /// Who placed it; a person may not release their own (S-11). `None`: Tenure did.
    pub placed_by: Option<PersonId>,
    /// Who may release it.
    pub releasable_by: Releaser,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

impl SuspensionCause {
    /// Whether a newer cause takes this one's place: what somebody says by hand replaces what they said before, so that
    /// nobody fills the list by repeating themselves, and leaves no place to others; what Tenure says it says once.
    fn is_renewed_by(&self, newer: &Self) -> bool {
        self.kind == newer.kind
            && self.placed_by == newer.placed_by
            && (self.kind == SuspensionKind::ByHand || self.reason == newer.reason)
    }
}

impl Identity {
    fn bad(&self, step: Step) -> BadTransition {
        BadTransition { from: self.state, step }
    }

    /// Discovered → draft: somebody answers for it from now on, and asked for its charter.
    ///
    /// # Errors
    /// It wasn't discovered, or was claimed before.
    pub fn claim(mut self, by: PersonId) -> Result<Self, BadTransition> {
        match self.state {
            IdentityState::Discovered => {
                self.state = IdentityState::Draft;
                self.registered_by = by;
                Ok(self)
            }
            _ => Err(self.bad(Step::Claim)),
        }
    }

    /// Draft → pending. The caller has checked that the charter is complete.
    ///
    /// # Errors
    /// It is no draft.
    pub fn submit(mut self) -> Result<Self, BadTransition> {
        match self.state {
            IdentityState::Draft => {
                self.state = IdentityState::Pending;
                Ok(self)
            }
            _ => Err(self.bad(Step::Submit)),
        }
    }

    /// Pending → active.
    ///
    /// # Errors
    /// It is not pending.
    pub fn activate(mut self, activation: crate::identity::Activation) -> Result<Self, BadTransition> {
        match self.state {
            IdentityState::Pending => {
                self.state = IdentityState::Active;
                self.activation = Some(activation);
                Ok(self)
            }
            _ => Err(self.bad(Step::Activate)),
        }
    }

    /// Adds a cause: active → suspended, or one more cause of a suspended identity.
    ///
    /// # Errors
    /// It is neither.
    pub fn suspend(mut self, cause: SuspensionCause) -> Result<Self, BadTransition> {
        match self.state {
            IdentityState::Active | IdentityState::Suspended => {
                self.state = IdentityState::Suspended;
                let (same, mut others): (Vec<_>, Vec<_>) =
                    self.suspensions.into_iter().partition(|earlier| earlier.is_renewed_by(&cause));
                let strict = same.iter().any(|earlier| earlier.releasable_by == Releaser::Security);
                others.push(SuspensionCause {
                    releasable_by: if strict { Releaser::Security } else { cause.releasable_by },
                    ..cause
                });
                self.suspensions = others;
                Ok(self)
            }
            _ => Err(self.bad(Step::Suspend)),
        }
    }

    /// Releases the cause at place `n`; active again once none is left.
    ///
    /// # Errors
    /// It is not suspended, or has no such cause.
    pub fn resume(mut self, n: usize) -> Result<Self, BadTransition> {
        if self.state != IdentityState::Suspended || n >= self.suspensions.len() {
            return Err(self.bad(Step::Resume));
        }
        self.suspensions.remove(n);
        if self.suspensions.is_empty() {
            self.state = IdentityState::Active;
        }
        Ok(self)
    }

    /// Active or suspended → retiring: irreversible.
    ///
    /// # Errors
    /// It is neither.
    pub fn retire(mut self, because: String, at: Timestamp) -> Result<Self, BadTransition> {
        match self.state {
            IdentityState::Discovered | IdentityState::Active | IdentityState::Suspended => {
                self.state = IdentityState::Retiring;
                self.retirement = Some(Retirement { because, started_at: at, retired_at: None });
                Ok(self)
            }
            _ => Err(self.bad(Step::Retire)),
        }
    }

    /// Retiring → retired, once the last receipt is in.
    ///
    /// # Errors
    /// It is not retiring.
    pub fn finish_retiring(mut self, at: Timestamp) -> Result<Self, BadTransition> {
        match (self.state, self.retirement.take()) {
            (IdentityState::Retiring, Some(retirement)) => {
                self.state = IdentityState::Retired;
                self.retirement = Some(Retirement { retired_at: Some(at), ..retirement });
                Ok(self)
            }
            (_, retirement) => {
                self.retirement = retirement;
                Err(self.bad(Step::FinishRetiring))
            }
        }
    }

    /// Draft or pending → closed.
    ///
    /// # Errors
    /// It is neither.
    pub fn close(mut self) -> Result<Self, BadTransition> {
        match self.state {
            IdentityState::Draft | IdentityState::Pending => {
                self.state = IdentityState::Closed;
                Ok(self)
            }
            _ => Err(self.bad(Step::Close)),
        }
    }
}
