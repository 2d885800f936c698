//! Target systems as records: where one is, who answers for it, what its connector may do there (S-17).

use serde::{Deserialize, Serialize};

use crate::base::backoff::Backoff;
use crate::base::id::{IdentityId, PersonId, TargetId};
use crate::base::state::{BadStep, InState};
use crate::base::time::{Span, Timestamp};
use crate::credential::receipt::AccountOutcome;
use crate::store::epoch::Trust;
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms, words};
use crate::target::connector::{Endpoint, Mode, TargetKind};
use crate::trust::state::{TrustState, confirmable};

/// How often a target's accounts are looked through, unless its registration says otherwise.
pub const SCAN_EVERY: Span = Span::from_days(1);
/// How long an account that was found has until somebody claims it, unless its target's registration says otherwise.
pub const CLAIM_WITHIN: Span = Span::from_days(14);
/// Accounts that nobody claimed which are held at a target in a day, before somebody of security has to confirm more.
pub const BLAST_CAP: u32 = 25;
/// Blind spots of a scan that are kept.
pub const MAX_UNSEEN: usize = 32;

/// The login of a connector at its target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectorLogin {
    /// Its name there.
    pub name: String,
    /// Its secret, sealed by the root key: only workers open it.
    pub sealed: String,
    /// Who handed it in.
    pub by: PersonId,
    /// When.
    pub at: Timestamp,
}

/// How far a look through the accounts of a target has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScanProgress {
    /// Where to go on.
    pub after: Option<String>,
    /// When it began.
    pub begun_at: Timestamp,
    /// Accounts that it saw.
    pub seen: u64,
    /// Of these, those that were not known before.
    pub fresh: u64,
    /// What it could not see so far.
    pub unseen: Vec<String>,
}

/// A look through the accounts of a target that came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scan {
    /// When it began.
    pub begun_at: Timestamp,
    /// When it was over.
    pub ended_at: Timestamp,
    /// Accounts that it saw.
    pub seen: u64,
    /// Of these, those that were not known before.
    pub fresh: u64,
    /// What it could not see: what isn't found there is not known to be absent.
    pub unseen: Vec<String>,
}

/// Why a target could not be asked, the last time that it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trouble {
    /// Since when.
    pub since: Timestamp,
    /// When it was tried last.
    pub last: Timestamp,
    /// How often it was tried.
    pub tries: u32,
    /// What happened.
    pub why: String,
}

impl Trouble {
    /// The shortest and the longest time between two tries.
    const BACKOFF: Backoff = Backoff::new(Span::from_secs(2), Span::from_mins(15));

    /// When it is tried again: whoever has something to do there before then waits, so that a dead target takes nobody's
    /// time but its own.
    pub fn again_at(&self) -> Timestamp {
        self.last.plus(Self::BACKOFF.after(self.tries))
    }
}

/// The word of people that a target is gone for good, and what shows it (S-8). It counts once somebody else has said so,
/// too, and is no proof of anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GoneAttestation {
    /// Why it is thought so.
    pub reason: String,
    /// What shows it: a ticket, a decommissioning record, an order number.
    pub evidence: String,
    /// Who said so first.
    pub by: PersonId,
    /// When.
    pub at: Timestamp,
    /// Who said so, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_by: Option<PersonId>,
    /// When they did: from then on it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
}

impl GoneAttestation {
    /// What it makes of an account's end, once two people have said so.
    pub fn outcome(&self) -> Option<AccountOutcome> {
        let (confirmed_by, at) = (self.confirmed_by?, self.confirmed_at?);
        Some(AccountOutcome::AttestedGone { at, by: self.by, confirmed_by })
    }
}

/// A target system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetSystem {
    /// Its id.
    pub id: TargetId,
    /// Its name, unique for ever.
    pub name: String,
    /// What sort of system.
    pub kind: TargetKind,
    /// Where it is.
    pub endpoint: Endpoint,
    /// What the connector may do there.
    pub mode: Mode,
    /// The identity that the connector is: it works while that is active.
    pub identity: IdentityId,
    /// Who answers for it.
    pub owner: PersonId,
    /// The environment that its accounts are in.
    pub environment: String,
    /// The connector's login; none until it was handed in, and again once where it goes has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<ConnectorLogin>,
    /// How often its accounts are looked through.
    pub scan_every: Span,
    /// How long an account that was found has until somebody claims it.
    pub claim_within: Span,
    /// Accounts that nobody claimed which are held in a day without a word of security.
    pub blast_cap: u32,
    /// The scan that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scanning: Option<ScanProgress>,
    /// The last scan that came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scanned: Option<Scan>,
    /// Until when somebody of security lets more be held than that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncapped_until: Option<Timestamp>,
    /// That it can't be asked, while it can't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    /// That it is gone for good, by the word of people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<GoneAttestation>,
    /// Where the registration stands.
    pub state: InState<TrustState>,
    /// Who registered it.
    pub proposed_by: PersonId,
    /// Who confirmed it.
    pub confirmed_by: Option<PersonId>,
    /// Whether one person did both, there being no other (S-10).
    pub single_person: bool,
    /// Who sent it elsewhere, or let its connector do more: until somebody else hands in a login for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_by: Option<PersonId>,
    /// When it was registered.
    pub created_at: Timestamp,
}

confirmable!(TargetSystem);

impl TargetSystem {
    /// Removed, without its connector's login.
    ///
    /// # Errors
    /// It was removed before.
    pub fn remove(self) -> Result<Self, BadStep> {
        Ok(Self { state: self.state.step(TrustState::Removed)?, login: None, scanning: None, ..self })
    }

    /// With another endpoint or another mode. A login goes to no other address than the one that it was handed in for,
    /// and does no more there than was meant (S-17).
    #[must_use]
    pub fn changed(self, endpoint: Option<Endpoint>, mode: Option<Mode>, by: PersonId) -> Self {
        let moves = endpoint.as_ref().is_some_and(|endpoint| *endpoint != self.endpoint);
        let rises = mode.is_some_and(|mode| mode > self.mode);
        let (endpoint, mode) = (endpoint.unwrap_or_else(|| self.endpoint.clone()), mode.unwrap_or(self.mode));
        let changed = Self { endpoint, mode, ..self };
        if moves || rises { Self { login: None, scanning: None, moved_by: Some(by), ..changed } } else { changed }
    }

    /// Whether anything is asked of it: it is trusted and has a login.
    pub fn is_asked(&self) -> bool {
        self.state == TrustState::Active && self.login.is_some()
    }

    /// Whether its accounts were looked through from the first to the last since the database was put back, if it ever
    /// was: nothing is issued there before, as what was issued in what was lost may stand there unknown (S-1).
    pub fn is_reconciled(&self, trust: Trust) -> bool {
        trust.covers_time(self.scanned.as_ref().map(|scan| scan.begun_at))
    }

    /// Whether two people said that it is gone for good.
    pub fn is_gone(&self) -> bool {
        self.gone.as_ref().is_some_and(|gone| gone.confirmed_by.is_some())
    }

    /// With what a try to ask it came to.
    #[must_use]
    pub fn asked(mut self, failed: Option<&str>, now: Timestamp) -> Self {
        self.trouble = failed.map(|why| {
            let before = self.trouble.take();
            let tries = before.as_ref().map_or(0, |trouble| trouble.tries).saturating_add(1);
            Trouble { since: before.map_or(now, |trouble| trouble.since), last: now, tries, why: why.to_owned() }
        });
        self
    }
}

words!(TargetKind);

impl TargetSystem {
    /// Listed by its name.
    pub const NAME: Field<Self> = Field::new("name");
    /// Listed by its kind.
    pub const OF_KIND: Field<Self, TargetKind> = Field::new("kind");
    /// Listed by its state.
    pub const STATE: Field<Self, TrustState> = Field::new("state");
    /// Listed by who answers for it.
    pub const OWNER: Field<Self, PersonId> = Field::new("owner");
    /// Listed by its connector's identity.
    pub const IDENTITY: Field<Self, IdentityId> = Field::new("identity");
}

impl Record for TargetSystem {
    const KIND: RowKind = RowKind::Target;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none()
            .with(Self::NAME, &self.name)
            .with(Self::OF_KIND, self.kind)
            .with(Self::STATE, self.state.get())
            .with(Self::OWNER, self.owner)
            .with(Self::IDENTITY, self.identity)
    }
}
