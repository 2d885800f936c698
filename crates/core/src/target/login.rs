//! Logins made just in time (R58): an account at a target that stands for as long as a credential lives, and no longer.
//!
//! The record, with the secret sealed in it, is there before anything is done at the target, and its name there derives
//! from the credential's id: whoever goes on after a crash does it for the same login again, and a scan that finds it
//! knows whose it is. What the login should be follows from its credential alone.

use serde::{Deserialize, Serialize};

use crate::base::id::{CredentialId, IdentityId, ResourceId, TargetId};
use crate::base::time::{Span, Timestamp};
use crate::credential::receipt::AccountOutcome;
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms, words};
use crate::target::system::TargetSystem;

/// What the names of logins begin with that are made here.
pub const PREFIX: &str = "tnr_";
/// How long a login waits to be fetched by whoever asked for it: what nobody fetches is ended.
pub const FETCH_WITHIN: Span = Span::from_mins(5);
/// How long a canary stands.
pub const CANARY_LIFE: Span = Span::from_mins(10);
/// How old the acceptance of a canary may be for a refusal to be held against it: the window of the proof (S-18).
pub const WINDOW: Span = Span::from_secs(30);
/// How long the secret of a login that can't be proved refused is kept to be tried, after its end (S-18).
pub const KEPT_FOR_PROBING: Span = Span::from_days(30);
/// The longest name that an asker gives what it asks for, so that asking twice is asking once.
pub const MAX_REQUEST_ID: usize = 64;

/// What a login is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoginPurpose {
    /// An identity works with it.
    Work,
    /// A login of minutes that may do nothing: that it is accepted shows that a refusal beside it is one (S-18).
    Canary,
    /// A login of minutes that may do nothing: it is taken, ended and refused in the place of an identity's own (R97).
    Drill,
}

/// Where a login stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoginState {
    /// It is to be made; whether it is there already isn't known.
    Asked,
    /// It is there.
    Standing,
    /// It is to be ended; whether it is there still isn't known.
    Ending,
    /// It is gone, as far as its outcome says.
    Ended,
}

impl LoginState {
    /// Every state.
    pub const ALL: &[Self] = &[Self::Asked, Self::Standing, Self::Ending, Self::Ended];

    /// The name in the log and in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Standing => "standing",
            Self::Ending => "ending",
            Self::Ended => "ended",
        }
    }
}

words!(LoginState);

/// Why a login is to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginEnd {
    /// Why, as a code: what its credential is refused for, or `not_fetched`, `mapping_changed`.
    pub because: String,
    /// Since when.
    pub since: Timestamp,
}

/// What a canary of a drill is made for, and whether its target ever took it: what never was taken proves nothing by its
/// refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rehearsal {
    /// The identity whose removal is rehearsed.
    pub identity: IdentityId,
    /// When the target took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Timestamp>,
    /// Why it wasn't made or taken, if it was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// A login made just in time. Its id is that of its credential; a canary has no credential, and an id all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The credential that it is.
    pub id: CredentialId,
    /// What it is for.
    pub purpose: LoginPurpose,
    /// Where it is.
    pub target: TargetId,
    /// Whose it is; of a canary, the identity of the target's connector.
    pub identity: IdentityId,
    /// For which drill, of a canary of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearsal: Option<Rehearsal>,
    /// The resource that it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceId>,
    /// What it may be used for there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<String>,
    /// What it may do, in the target's words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<String>,
    /// What whoever asked calls its question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What names it at the target for good, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Its secret, sealed by the root key: handed out once, then kept to be tried after its end, and destroyed once it was
    /// refused (S-18).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// When it ends, at the target too where that can end it by itself.
    pub ends_at: Timestamp,
    /// When it stood at the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_at: Option<Timestamp>,
    /// When its secret was handed out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched_at: Option<Timestamp>,
    /// Where it stands.
    pub state: LoginState,
    /// That it is to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<LoginEnd>,
    /// How often what is to be done was tried and not done.
    pub tries: u32,
    /// Why it wasn't made yet, if it was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// What its end came to so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<AccountOutcome>,
}

impl Login {
    /// A login of minutes that may do nothing, and whose it is at the target is its connector's.
    pub fn canary(id: CredentialId, target: &TargetSystem, sealed: String, now: Timestamp) -> Self {
        Self {
            id,
            purpose: LoginPurpose::Canary,
            target: target.id,
            identity: target.identity,
            rehearsal: None,
            resource: None,
            actions: Vec::new(),
            grants: Vec::new(),
            request_id: None,
            key: None,
            sealed: Some(sealed),
            asked_at: now,
            ends_at: now.plus(CANARY_LIFE),
            made_at: None,
            fetched_at: None,
            state: LoginState::Asked,
            end: None,
            tries: 0,
            trouble: None,
            outcome: None,
        }
    }

    /// Listed by its identity.
    pub const IDENTITY: Field<Self, IdentityId> = Field::new("identity");
    /// Listed by its target.
    pub const TARGET: Field<Self, TargetId> = Field::new("target");
    /// Listed by where it stands.
    pub const STATE: Field<Self, LoginState> = Field::new("state");
    /// Listed by its identity while it isn't known to be gone.
    pub const LEFT: Field<Self, IdentityId> = Field::new("left");
    /// Listed by its resource while it isn't known to be gone.
    pub const LEFT_AT: Field<Self, ResourceId> = Field::new("left_at");
    /// A canary, listed by its target until its end.
    pub const CANARY: Field<Self, TargetId> = Field::new("canary");
    /// Listed by who asked and what they call their question.
    pub const QUESTION: Field<Self> = Field::new("question");

    /// The name at the target of the login of an id: never one that people would choose, and at most 63 bytes long.
    pub fn name_of(id: CredentialId) -> String {
        let text = id.to_string();
        format!("{PREFIX}{}", text.rsplit_once('_').map_or(text.as_str(), |(_, number)| number))
    }

    /// The login that has a name at a target, if it may be one that was made here.
    pub fn named(name: &str) -> Option<CredentialId> {
        let id: CredentialId = format!("crd_{}", name.strip_prefix(PREFIX)?).parse().ok()?;
        (Self::name_of(id) == name).then_some(id)
    }

    /// Its name at the target.
    pub fn name(&self) -> String {
        Self::name_of(self.id)
    }

    /// The text of [`Login::QUESTION`].
    pub fn question(identity: IdentityId, request_id: &str) -> String {
        format!("{identity} {request_id}")
    }

    /// Whether nothing is left to be done about it.
    pub fn is_over(&self) -> bool {
        self.state == LoginState::Ended
    }

    /// Until when its secret may be fetched.
    pub fn fetch_by(&self) -> Timestamp {
        self.ends_at.min(self.asked_at.plus(FETCH_WITHIN))
    }

    /// The mark by which it is known at the target as ours.
    pub fn mark(&self) -> String {
        self.identity.to_string()
    }

    /// When it is looked at again, if nothing happens before.
    pub fn next(&self) -> Option<Timestamp> {
        match (self.state, self.purpose) {
            (LoginState::Ended, _) => None,
            (LoginState::Standing, LoginPurpose::Drill) => Some(self.made_at.unwrap_or(self.ends_at)),
            (LoginState::Standing, LoginPurpose::Work) if self.fetched_at.is_none() => Some(self.fetch_by()),
            _ => Some(self.ends_at),
        }
    }

    /// To be ended from now on.
    #[must_use]
    pub fn ending(self, because: &str, now: Timestamp) -> Self {
        let end = Some(LoginEnd { because: because.to_owned(), since: now });
        let outcome = Some(AccountOutcome::Requested);
        Self { state: LoginState::Ending, end, outcome, tries: 0, trouble: None, ..self }
    }

    /// With what its end came to. What was proved, or can't be, needs its secret no more.
    #[must_use]
    pub fn ended(self, outcome: AccountOutcome) -> Self {
        let over = outcome.is_settled();
        let (state, sealed) = if over { (LoginState::Ended, None) } else { (self.state, self.sealed) };
        Self { state, sealed, outcome: Some(outcome), tries: self.tries.saturating_add(1), ..self }
    }
}

impl Record for Login {
    const KIND: RowKind = RowKind::Login;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        let left = !self.is_over();
        let question = self.request_id.as_deref().map(|request_id| Self::question(self.identity, request_id));
        Terms::none()
            .with(Self::IDENTITY, self.identity)
            .with(Self::TARGET, self.target)
            .with(Self::STATE, self.state)
            .each(Self::LEFT, left.then_some(self.identity))
            .each(Self::LEFT_AT, self.resource.filter(|_| left))
            .each(Self::CANARY, (left && self.purpose == LoginPurpose::Canary).then_some(self.target))
            .each(Self::QUESTION, question)
    }
    /// What is over stays for receipts and for whoever asks what it was, and goes then: there are as many as tokens.
    fn droppable_after(&self) -> Option<Timestamp> {
        self.is_over().then(|| self.ends_at.plus(KEPT_FOR_PROBING))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_at_a_target_is_that_of_one_login_and_no_persons_own() {
        let id = CredentialId::from_u128(0x0192_3456_789a_bcde_f012_3456_789a_bcde);
        let name = Login::name_of(id);
        assert!(
            name.len() <= 63
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        );
        assert_eq!(Login::named(&name), Some(id));
        for other in ["tnr_", "tnr_app", "billing", &name.to_uppercase(), &format!("{name}x"), &name[4..]] {
            assert_eq!(Login::named(other), None, "{other}");
        }
    }
}
