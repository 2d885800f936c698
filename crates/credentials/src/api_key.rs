//! API keys: shown once, kept as a keyed hash; made only by a permit of the gate (invariant 1), out only after their commit (invariant 2).

use tenure_core::base::entropy::Entropy;
use tenure_core::base::id::EventId;
use tenure_core::credential::gate::Permit;
use tenure_core::store::secret::Pending;

use crate::opaque::{Minted, OpaqueKeys, OpaqueKind};

/// A new API key and the hash that its record keeps, base64url.
pub fn issue_api_key(keys: &OpaqueKeys, permit: &Permit, entropy: &dyn Entropy, commit: EventId) -> (Pending<String>, String) {
    let Minted { token, hash } = keys.mint(OpaqueKind::ApiKey, permit.credential(), entropy);
    (Pending::new(token.expose().clone(), commit), hash)
}
