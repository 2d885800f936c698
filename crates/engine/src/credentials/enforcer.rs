//! Who may ask about tokens and uses: an enforcement point.

use tenure_core::identity::Identity;
use tenure_core::store::row::Stored;

use crate::kernel::load::KnownIdentity;

/// An enforcement point that has proven itself.
pub struct Enforcer {
    pub(crate) known: KnownIdentity,
    /// The resource that its access token is for, if it came with one: it may ask about no other.
    pub(crate) bound_to: Option<String>,
}

pub(crate) const fn enforcer_identity(enforcer: &Enforcer) -> &Stored<Identity> {
    &enforcer.known.identity
}
