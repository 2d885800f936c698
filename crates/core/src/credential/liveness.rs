//! Whether a credential is alive: log positions, never clocks, decide about cuts.

use crate::base::problem::Reason;
use crate::base::time::Timestamp;
use crate::credential::Credential;
use crate::identity::scope::{Cut, Hold, Membership};
use crate::identity::{Identity, IdentityState};
use crate::store::epoch::Trust;
use crate::store::row::{Position, Stored};

/// What is known about the scopes of an identity; one place for each membership, in its order.
#[derive(Debug, Clone, Copy)]
pub struct Scopes<'a> {
    /// The scopes' cuts.
    pub cuts: &'a [Option<Stored<Cut>>],
    /// The scopes' holds.
    pub holds: &'a [Option<Stored<Hold>>],
    /// How far the database vouches for anything.
    pub trust: Trust,
}

impl Scopes<'_> {
    /// Whether a scope is on hold. A missing place counts as held: what was not read can't be relied on.
    pub fn on_hold(&self, memberships: &[Membership]) -> bool {
        (0..memberships.len()).any(|n| match self.holds.get(n) {
            Some(hold) => hold.as_ref().is_some_and(|hold| hold.placed_by.is_some()),
            None => true,
        })
    }

    /// Whether what was issued at a position is cut: a cut of a scope is later than both the joining and the issuance.
    pub fn cuts_off(&self, memberships: &[Membership], issued: Position) -> bool {
        memberships.iter().enumerate().any(|(n, membership)| match self.cuts.get(n) {
            Some(Some(cut)) => cut.position.is_after(membership.joined) && cut.position.is_after(issued),
            Some(None) => false,
            None => true,
        })
    }
}

/// Whether an identity may act at all now.
///
/// # Errors
/// Why not.
pub fn identity_may_act(identity: &Identity, scopes: Scopes<'_>, now: Timestamp) -> Result<(), Reason> {
    if scopes.trust.contradicted {
        return Err(Reason::LogContradicted);
    }
    match identity.state {
        IdentityState::Active => {}
        IdentityState::Suspended => return Err(Reason::IdentitySuspended),
        IdentityState::Retiring | IdentityState::Retired => return Err(Reason::IdentityRetired),
        IdentityState::Discovered | IdentityState::Draft | IdentityState::Pending | IdentityState::Closed => {
            return Err(Reason::IdentityNotActive);
        }
    }
    if identity.charter.expires_at.is_none_or(|end| now >= end) {
        return Err(Reason::IdentityExpired);
    }
    if scopes.on_hold(&identity.memberships) {
        return Err(Reason::ScopeOnHold);
    }
    Ok(())
}

/// Whether a credential is alive, as far as its own state, its identity's and its scopes' go. What it may still be used
/// for is [`crate::credential::gate::Standing::left`].
///
/// # Errors
/// Why not.
pub fn credential_is_live(
    credential: &Stored<Credential>,
    identity: &Identity,
    scopes: Scopes<'_>,
    now: Timestamp,
) -> Result<(), Reason> {
    if credential.revoked_at.is_some() {
        return Err(Reason::CredentialRevoked);
    }
    if now >= credential.expires_at {
        return Err(Reason::CredentialExpired);
    }
    if credential.identity != identity.id {
        return Err(Reason::CredentialUnknown);
    }
    // What proved it was taken away, of one consumer of a shared identity, say: the others go on (R105).
    if credential.binding.is_some_and(|binding| !identity.bindings.contains(&binding)) {
        return Err(Reason::CredentialRevoked);
    }
    if !scopes.trust.covers(credential.created) {
        return Err(Reason::BeforeEpoch);
    }
    let folded = identity.valid_after.is_some_and(|after| !credential.created.is_after(after));
    if folded || scopes.cuts_off(&identity.memberships, credential.created) {
        return Err(Reason::CredentialCut);
    }
    identity_may_act(identity, scopes, now)
}
