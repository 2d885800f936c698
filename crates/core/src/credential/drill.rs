//! Removal drills (R97): the way by which an identity is removed, rehearsed on credentials of minutes that it has now, and
//! on a canary at each of its targets.
//!
//! A credential is revoked as at a removal and proven by its receipt; the workload gets another one by itself. A canary is an
//! account of minutes that may do nothing: its target has to take it, and to refuse it once it was ended, while it takes
//! another one (S-18). Less than that is no proof, and isn't called one.

use serde::{Deserialize, Serialize};

use crate::base::id::{CredentialId, IdentityId, PersonId, ReceiptId, ResourceId, TargetId};
use crate::base::time::{Span, Timestamp};
use crate::credential::receipt::AccountOutcome;
use crate::store::row::{Record, RowKind};

/// Credentials that one drill revokes, at most: one for each resource.
pub const MAX_DRILLED: usize = 8;
/// Targets at which one drill makes a canary, at most.
pub const MAX_CANARIES: usize = 8;
/// How long a drill is waited for before there may be another one: longer than its canaries stand.
pub const DRILL_PATIENCE: Span = Span::from_mins(15);

/// A credential that a drill revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drilled {
    /// Which.
    pub credential: CredentialId,
    /// For which resource it was good.
    pub resource: ResourceId,
    /// What proves that it is refused.
    pub receipt: ReceiptId,
}

/// What a canary shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CanaryResult {
    /// It isn't over yet.
    Running,
    /// The target took it, and refused it once it was ended, beside another one that it took.
    RefusedVerified,
    /// The target refused it once it was ended, and there was nothing to hold that against: refused, not verified.
    RefusedNotVerified,
    /// There was no canary, the target never took it, or its refusal wasn't seen.
    Unproven,
}

impl CanaryResult {
    /// The name in replies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::RefusedVerified => "refused_verified",
            Self::RefusedNotVerified => "refused_not_verified",
            Self::Unproven => "unproven",
        }
    }
}

/// A canary that a drill made at a target of the identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DrillCanary {
    /// At which target.
    pub target: TargetId,
    /// The login that it is; none if none can be made there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<CredentialId>,
    /// When it stood there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_at: Option<Timestamp>,
    /// When the target took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Timestamp>,
    /// When its end was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// What its end came to, with the time of the refusal and of what it was held against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<AccountOutcome>,
    /// Why there is none, or why the target didn't take it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

impl DrillCanary {
    /// What it shows.
    pub const fn result(&self) -> CanaryResult {
        match (&self.login, &self.outcome, self.accepted_at) {
            (Some(_), None, _) => CanaryResult::Running,
            (_, Some(AccountOutcome::RefusedVerified { .. }), Some(_)) => CanaryResult::RefusedVerified,
            (_, Some(AccountOutcome::Refused { .. }), Some(_)) => CanaryResult::RefusedNotVerified,
            _ => CanaryResult::Unproven,
        }
    }
}

/// The last drill of an identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drill {
    /// Which identity.
    pub identity: IdentityId,
    /// Who had it drilled.
    pub by: PersonId,
    /// When.
    pub at: Timestamp,
    /// What was revoked, one for each resource; at most 8.
    pub drilled: Vec<Drilled>,
    /// The canaries that were made, one at each target; at most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canaries: Vec<DrillCanary>,
}

impl Drill {
    /// Whether a canary of it isn't over yet.
    pub fn is_running(&self, now: Timestamp) -> bool {
        let runs = self.canaries.iter().any(|canary| canary.result() == CanaryResult::Running);
        runs && now.since(self.at) < DRILL_PATIENCE
    }
}

impl Record for Drill {
    const KIND: RowKind = RowKind::Drill;
    fn row_id(&self) -> String {
        self.identity.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_secs(1_790_000_000);

    fn canary(accepted_at: Option<Timestamp>, outcome: Option<AccountOutcome>) -> DrillCanary {
        let login = Some(CredentialId::from_u128(1));
        let (made_at, ended_at) = (Some(AT), Some(AT));
        DrillCanary { target: TargetId::from_u128(1), login, made_at, accepted_at, ended_at, outcome, trouble: None }
    }

    #[test]
    fn r97_only_a_refusal_beside_a_control_of_what_was_taken_before_is_a_proof() {
        let text = || "no".to_owned();
        let verified = || AccountOutcome::RefusedVerified {
            at: AT,
            words: text(),
            done: text(),
            control: text(),
            control_at: AT,
            sessions_ended: 0,
            sessions_left: None,
        };
        let alone = AccountOutcome::Refused {
            at: AT,
            words: text(),
            done: text(),
            no_control: text(),
            sessions_ended: 0,
            sessions_left: None,
        };
        let read_back = AccountOutcome::EndedReadBack { at: AT, words: text(), sessions_ended: 0, sessions_left: None };
        assert_eq!(canary(Some(AT), Some(verified())).result(), CanaryResult::RefusedVerified);
        assert_eq!(canary(None, Some(verified())).result(), CanaryResult::Unproven, "it was never taken");
        assert_eq!(canary(Some(AT), Some(alone)).result(), CanaryResult::RefusedNotVerified);
        assert_eq!(canary(Some(AT), Some(read_back)).result(), CanaryResult::Unproven);
        assert_eq!(canary(Some(AT), None).result(), CanaryResult::Running);
        assert_eq!(DrillCanary { login: None, ..canary(None, None) }.result(), CanaryResult::Unproven);
        let (identity, by) = (IdentityId::from_u128(1), PersonId::from_u128(1));
        let running = vec![canary(Some(AT), None)];
        let drill = Drill { identity, by, at: AT, drilled: Vec::new(), canaries: running };
        assert!(drill.is_running(AT) && !drill.is_running(AT.plus(DRILL_PATIENCE)), "one that hangs bars no other");
    }
}
