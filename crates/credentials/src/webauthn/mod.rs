//! Passkeys: the relying party's half of Web Authentication Level 3, as strict as Tenure's use of it allows.
//!
//! One way is served and everything else refused: discoverable credentials with user verification, ES256 or EdDSA keys, no trust in
//! attestation, one origin and no embedding in other sites. [`verify_registration`] is §7.1 of the specification and [`verify_assertion`] is
//! §7.2. What the caller has to know beside them (was this challenge used before, whose is this credential) stands in the caller's commit.
//! [`Flows`] keeps a ceremony's challenge at the client, under a MAC, so that beginning one costs the server no memory.

mod assertion;
mod auth_data;
mod cbor;
mod client_data;
mod cose;
mod error;
mod flow;
mod registration;
mod relying_party;

pub use assertion::{Assertion, verify_assertion};
pub use error::WebauthnError;
pub use flow::{Flow, Flows, Purpose};
pub use registration::{Credential, Registration, verify_registration};
pub use relying_party::RelyingParty;

use aws_lc_rs::digest::{SHA256, digest};

use crate::encoding::{from_base64url, to_base64url};

/// Algorithms that are offered and accepted, best first, as COSE numbers (RFC 9053 §2): EdDSA, ES256.
pub const ALGORITHMS: [i64; 2] = [cose::EDDSA, cose::ES256];
/// The longest credential id in bytes (WebAuthn §4).
pub const MAX_CREDENTIAL_ID: usize = 1023;

/// The name by which a credential is looked up and can be bound once: SHA-256 of its id, base64url. Ids themselves may be long.
pub fn credential_hash(id: &[u8]) -> String {
    to_base64url(digest(&SHA256, id).as_ref())
}

/// The bytes of a base64url text from a client, if they are at most `max`.
pub fn decode(text: &str, max: usize) -> Option<Vec<u8>> {
    // The length of the text is checked first: nothing is allocated for what is refused anyway.
    if text.len() > max.saturating_mul(4).div_ceil(3) {
        return None;
    }
    from_base64url(text)
}
