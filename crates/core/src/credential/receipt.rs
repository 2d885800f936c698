//! Receipts: what a revocation, a suspension or a narrowing asked, when it was in force, and what each enforcement point
//! then did (R72, R103, S-18).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::base::id::{AccountId, CredentialId, IdentityId, PersonId, ReceiptId, ResourceId, TargetId};
use crate::base::time::{Span, Timestamp};
use crate::identity::scope::Scope;
use crate::inventory::resource::Verification;
use crate::store::event::Actor;
use crate::store::row::{Position, Record, RowKind};
use crate::store::term::{Field, TermValue, Terms};

mod person;

pub use person::{MAX_PERSON_POINTS, PersonHeld, PersonOutcome, PersonPoint, PersonPoints};

/// What was revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "type", content = "target")]
pub enum Target {
    /// One credential.
    Credential(CredentialId),
    /// Everything that was issued in a scope until then.
    Scope(Scope),
    /// What stands for a person, and what they hold: they have no accounts at targets, and what they answer for goes to
    /// others.
    Person(PersonId),
}

/// What a receipt proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptOf {
    /// A revocation: what was issued before is refused for ever.
    #[default]
    Revocation,
    /// A suspension or a hold: nothing works until somebody takes it back.
    Suspension,
    /// A narrowing: what was dropped is refused beside what was kept.
    Narrowing,
}

impl ReceiptOf {
    /// The name in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revocation => "revocation",
            Self::Suspension => "suspension",
            Self::Narrowing => "narrowing",
        }
    }
}

/// Where an identity may do less than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "type", content = "id")]
pub enum NarrowedAt {
    /// At a resource, whose enforcement points ask Tenure.
    Resource(ResourceId),
    /// At a target, by an account of the identity's there.
    Account(AccountId),
}

/// What a narrowing took away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Narrowed {
    /// Where.
    pub at: NarrowedAt,
    /// The actions, or the target's grants, that were dropped.
    pub dropped: Vec<String>,
}

/// What is known of one resource's enforcement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum PointState {
    /// Not asked yet.
    Requested,
    /// The enforcement point's source of truth was asked with a credential that was live before, and refused it.
    Refused {
        /// When it answered.
        at: Timestamp,
        /// The credential that was refused.
        probe: CredentialId,
        /// Why, by code.
        reason: String,
        /// A live credential that the same check accepted in the same window: the positive control (S-18).
        control: Option<CredentialId>,
    },
    /// It checks signatures by itself: what was revoked is accepted there until then, at the latest.
    AcceptedUntil {
        /// The end of the longest-lived credential concerned.
        until: Timestamp,
    },
    /// Nothing live was concerned there.
    NothingLive {
        /// When that was found.
        at: Timestamp,
    },
    /// A credential that had to be refused was accepted, or the check failed: retried.
    Unproven {
        /// The last attempt.
        at: Timestamp,
        /// What happened.
        why: String,
    },
}

/// One resource whose enforcement points had to refuse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// The resource.
    pub resource: ResourceId,
    /// How credentials are checked there.
    pub verification: Verification,
    /// The chartered enforcement points of it, at most a hundred of them.
    pub enforcement_points: Vec<IdentityId>,
    /// Whether it has more enforcement points than are named.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more_enforcement_points: bool,
    /// What is known.
    pub outcome: PointState,
}

/// What the target's own catalogue, or its refusal, said after an act: what the proof rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum AccountOutcome {
    /// Asked for, and not done yet.
    Requested,
    /// It stands again, as the target's catalogue says.
    StandsAgain {
        /// When the catalogue was read.
        at: Timestamp,
    },
    /// Tenure never held the secret: the target's catalogue no longer has the account, or has it disabled, with no
    /// session left, and has a live one beside it. Weaker than a refusal.
    EndedReadBack {
        /// When the catalogue was read.
        at: Timestamp,
        /// What the target said of the act.
        words: String,
        /// Open sessions that were ended.
        sessions_ended: u32,
        /// Open sessions that were left, where the target tells them.
        sessions_left: Option<u32>,
    },
    /// The target itself refused the secret that was handed out, and took a login beside it in the same window (S-18).
    RefusedVerified {
        /// When it refused.
        at: Timestamp,
        /// Its own words.
        words: String,
        /// What it said of the act.
        done: String,
        /// The login that it took.
        control: String,
        /// When it took that.
        control_at: Timestamp,
        /// Open sessions that were ended.
        sessions_ended: u32,
        /// Open sessions that were left, where the target tells them.
        sessions_left: Option<u32>,
    },
    /// The target itself refused the secret that was handed out, and no login could be made beside it to compare with.
    Refused {
        /// When it refused.
        at: Timestamp,
        /// Its own words.
        words: String,
        /// What it said of the act.
        done: String,
        /// Why there is none to compare with.
        no_control: String,
        /// Open sessions that were ended.
        sessions_ended: u32,
        /// Open sessions that were left, where the target tells them.
        sessions_left: Option<u32>,
    },
    /// It has fewer grants: the target's catalogue has none of those that were dropped.
    NarrowedReadBack {
        /// When the catalogue was read.
        at: Timestamp,
        /// What the target said of the act.
        words: String,
    },
    /// Nobody can ask its target any more, and two people said that it is gone for good: no proof, and never called one.
    AttestedGone {
        /// When the second of them said so.
        at: Timestamp,
        /// Who said so first.
        by: PersonId,
        /// Who said so, too.
        confirmed_by: PersonId,
    },
    /// The target can't be asked; retried.
    Unreachable {
        /// The last try.
        at: Timestamp,
        /// What happened.
        why: String,
    },
    /// The connector may not do it, or the target would not: until then it is accepted there, for ever if no time is
    /// given.
    CannotRevoke {
        /// The last try.
        at: Timestamp,
        /// Why not.
        why: String,
        /// When the target itself ends it.
        until: Option<Timestamp>,
    },
    /// Done, by the target's word, and then found otherwise; retried.
    Unproven {
        /// The last try.
        at: Timestamp,
        /// What was found.
        why: String,
    },
}

impl AccountOutcome {
    /// The name in the log.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::StandsAgain { .. } => "stands_again",
            Self::EndedReadBack { .. } => "ended_read_back",
            Self::RefusedVerified { .. } => "refused_verified",
            Self::Refused { .. } => "refused",
            Self::NarrowedReadBack { .. } => "narrowed_read_back",
            Self::AttestedGone { .. } => "attested_gone",
            Self::Unreachable { .. } => "unreachable",
            Self::CannotRevoke { .. } => "cannot_revoke",
            Self::Unproven { .. } => "unproven",
        }
    }

    /// Whether the account is known to be stopped.
    pub const fn is_stopped(&self) -> bool {
        matches!(self, Self::EndedReadBack { .. } | Self::RefusedVerified { .. } | Self::Refused { .. })
    }

    /// Whether there is nothing left to do.
    pub const fn is_settled(&self) -> bool {
        self.is_stopped()
            || matches!(self, Self::StandsAgain { .. } | Self::NarrowedReadBack { .. } | Self::AttestedGone { .. })
    }

    /// When it was found, if anything was.
    pub const fn at(&self) -> Option<Timestamp> {
        match self {
            Self::Requested => None,
            Self::StandsAgain { at }
            | Self::EndedReadBack { at, .. }
            | Self::RefusedVerified { at, .. }
            | Self::Refused { at, .. }
            | Self::NarrowedReadBack { at, .. }
            | Self::AttestedGone { at, .. }
            | Self::Unreachable { at, .. }
            | Self::CannotRevoke { at, .. }
            | Self::Unproven { at, .. } => Some(*at),
        }
    }
}

/// An account at a target that had to be stopped or ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountPoint {
    /// The account; of a login made just in time, the id that has the number of its credential.
    pub account: AccountId,
    /// The credential that it is, of a login made just in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<CredentialId>,
    /// Its target.
    pub target: TargetId,
    /// What people there call it.
    pub name: String,
    /// The identity that it belongs to.
    pub identity: IdentityId,
    /// What is known.
    pub outcome: AccountOutcome,
}

/// The accounts at targets that had to be stopped or ended: all of them counted, the first of them named.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountPoints {
    /// The first [`MAX_ACCOUNT_POINTS`]; those that aren't done go before those that are.
    pub first: Vec<AccountPoint>,
    /// How many there are.
    pub count: u32,
    /// Of these, those that nothing was done to yet.
    pub requested: u32,
    /// Those whose target can't be asked.
    pub unreachable: u32,
    /// Those that were found otherwise than the target said.
    pub unproven: u32,
    /// Those that are accepted there: the connector may not end them, or the target would not.
    pub cannot_revoke: u32,
    /// Those whose own secret the target refused, beside a login that it took.
    #[serde(default)]
    pub refused_verified: u32,
    /// Those whose own secret the target refused, with none to compare with.
    #[serde(default)]
    pub refused: u32,
    /// Those whose target is gone for good, by the word of two people.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attested_gone: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Accounts that a receipt names.
pub const MAX_ACCOUNT_POINTS: usize = 200;

impl AccountPoints {
    /// Those that are known to be stopped by the target's catalogue alone.
    pub fn read_back(&self) -> u32 {
        let otherwise = [
            self.requested,
            self.unreachable,
            self.unproven,
            self.cannot_revoke,
            self.refused_verified,
            self.refused,
            self.attested_gone,
        ];
        otherwise.into_iter().fold(self.count, u32::saturating_sub)
    }

    /// One more account.
    pub fn add(&mut self, point: AccountPoint) {
        self.count = self.count.saturating_add(1);
        let done = point.outcome.is_settled() && !matches!(point.outcome, AccountOutcome::StandsAgain { .. });
        let counted = match point.outcome {
            AccountOutcome::Requested | AccountOutcome::StandsAgain { .. } => Some(&mut self.requested),
            AccountOutcome::Unreachable { .. } => Some(&mut self.unreachable),
            AccountOutcome::Unproven { .. } => Some(&mut self.unproven),
            AccountOutcome::CannotRevoke { .. } => Some(&mut self.cannot_revoke),
            AccountOutcome::RefusedVerified { .. } => Some(&mut self.refused_verified),
            AccountOutcome::Refused { .. } => Some(&mut self.refused),
            AccountOutcome::AttestedGone { .. } => Some(&mut self.attested_gone),
            AccountOutcome::EndedReadBack { .. } | AccountOutcome::NarrowedReadBack { .. } => None,
        };
        if let Some(counted) = counted {
            *counted = counted.saturating_add(1);
        }
        if self.first.len() < MAX_ACCOUNT_POINTS {
            let place =
                if done { self.first.len() } else { self.first.partition_point(|point| !point.outcome.is_settled()) };
            self.first.insert(place, point);
        }
    }
}

/// Where a receipt stands as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptState {
    /// Not every point has answered.
    Requested,
    /// Nothing live was concerned anywhere: there was nothing to refuse.
    NothingToRefuse,
    /// Refused everywhere, each with a positive control.
    RefusedVerified,
    /// Refused everywhere, but somewhere there was no live credential to compare with.
    Refused,
    /// Refused everywhere, and at a target known by its own catalogue alone: Tenure never held the secret there.
    EndedReadBack,
    /// Refused everywhere but at a target that is gone for good, by the word of two people.
    AttestedGone,
    /// At a target that was narrowed, its own catalogue has none of what was dropped.
    NarrowedReadBack,
    /// The suspension, or the narrowing, was taken back before every point had answered: there is nothing left to prove.
    Lifted,
    /// Somewhere a target can't be asked; retried.
    Unreachable,
    /// Somewhere accepted until its own end.
    CannotRevoke,
    /// Somewhere not proven; retried.
    Unproven,
}

/// What can get new credentials by itself after a revocation: identities that may act and have a way to prove
/// themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Returning {
    /// How many there are.
    pub count: u32,
    /// The first hundred of them.
    pub identities: Vec<IdentityId>,
}

/// How far the check of a scope has come: its identities are looked at in batches, in the order of their ids. What was
/// found so far stands in the receipt's points; one where nothing was found yet is [`PointState::Requested`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// The last identity that was looked at.
    pub after: String,
    /// How many identities were looked at.
    pub identities: u64,
    /// The longest life of a credential of any of them.
    pub longest_life: Span,
}

/// An identity that left the scope while its receipt wasn't signed: what was issued to it before is revoked all the
/// same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Left {
    /// The identity.
    pub identity: IdentityId,
    /// The check, by its number, that had looked at it before it left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_in: Option<u32>,
}

/// A receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Its id.
    pub id: ReceiptId,
    /// What it proves.
    #[serde(default)]
    pub what: ReceiptOf,
    /// What was revoked, suspended or narrowed.
    pub target: Target,
    /// What a narrowing took away, place by place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub narrowed: Vec<Narrowed>,
    /// When it was found that the suspension, or the narrowing, had been taken back before every point answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted_at: Option<Timestamp>,
    /// Why.
    pub reason: String,
    /// Who asked.
    pub requested_by: Actor,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// When it was in force at the centre: its commit's time.
    pub in_force_at: Timestamp,
    /// The log position of the revocation.
    pub position: Option<Position>,
    /// The position of an earlier cut of the same scope: what was issued before it was dead already and proves nothing.
    pub previous: Option<Position>,
    /// What each enforcement point did.
    pub points: Vec<Point>,
    /// The accounts at targets, if there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts: Option<AccountPoints>,
    /// What a person had, if it is about one, once that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonPoints>,
    /// How far a check of the points has come that isn't over yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The identities that left the scope since the revocation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<Left>,
    /// What could come back by itself when the points were last checked; none until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returning: Option<Returning>,
    /// How often the points were checked.
    pub attempts: u32,
    /// The receipt as a signed JWS (typ `tenure-receipt+jwt`), once every point has answered.
    pub signed: Option<String>,
}

impl Receipt {
    /// What a narrowing took away at a resource.
    pub fn dropped_at(&self, resource: ResourceId) -> &[String] {
        let narrowed = self.narrowed.iter().find(|narrowed| narrowed.at == NarrowedAt::Resource(resource));
        narrowed.map_or(&[], |narrowed| &narrowed.dropped)
    }

    /// Where it stands, from what its points did.
    pub fn state(&self) -> ReceiptState {
        let any = |test: fn(&PointState) -> bool| self.points.iter().any(|point| test(&point.outcome));
        let accounts = self.accounts.as_ref();
        let some = |count: fn(&AccountPoints) -> u32| accounts.is_some_and(|accounts| count(accounts) > 0);
        let theirs = |count: fn(&PersonPoints) -> u32| self.person.as_ref().is_some_and(|person| count(person) > 0);
        if self.lifted_at.is_some() {
            ReceiptState::Lifted
        } else if self.position.is_none()
            || self.progress.is_some()
            || any(|p| matches!(p, PointState::Requested))
            || some(|accounts| accounts.requested)
        {
            ReceiptState::Requested
        } else if some(|accounts| accounts.unreachable) {
            ReceiptState::Unreachable
        } else if any(|p| matches!(p, PointState::Unproven { .. }))
            || some(|accounts| accounts.unproven)
            || theirs(|person| person.unproven)
        {
            ReceiptState::Unproven
        } else if any(|p| matches!(p, PointState::AcceptedUntil { .. }))
            || some(|accounts| accounts.cannot_revoke)
            || theirs(|person| person.decided_elsewhere)
        {
            ReceiptState::CannotRevoke
        } else if some(|accounts| accounts.attested_gone) {
            ReceiptState::AttestedGone
        } else if self.what == ReceiptOf::Narrowing && some(AccountPoints::read_back) {
            ReceiptState::NarrowedReadBack
        } else if some(AccountPoints::read_back) {
            ReceiptState::EndedReadBack
        } else if any(|p| matches!(p, PointState::Refused { control: None, .. }))
            || some(|accounts| accounts.refused)
            || theirs(|person| person.refused)
        {
            ReceiptState::Refused
        } else if any(|p| matches!(p, PointState::Refused { .. }))
            || some(|accounts| accounts.refused_verified)
            || theirs(|person| person.refused_verified)
        {
            ReceiptState::RefusedVerified
        } else {
            ReceiptState::NothingToRefuse
        }
    }

    /// Until when something revoked may still be accepted somewhere.
    pub fn accepted_until(&self) -> Option<Timestamp> {
        self.points
            .iter()
            .filter_map(|point| match point.outcome {
                PointState::AcceptedUntil { until } => Some(until),
                _ => None,
            })
            .max()
    }
}

impl TermValue for Target {
    type Of = Self;
    fn text(&self) -> Cow<'_, str> {
        Cow::Owned(match self {
            Self::Credential(id) => format!("credential/{id}"),
            Self::Scope(scope) => scope.to_string(),
            Self::Person(id) => format!("person/{id}"),
        })
    }
}

impl Receipt {
    /// Listed by its what was revoked.
    pub const TARGET: Field<Self, Target> = Field::new("target");
}

impl Record for Receipt {
    const KIND: RowKind = RowKind::Receipt;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none().with(Self::TARGET, &self.target)
    }
}
