//! Ids of credentials, and how what a client sends is decoded.

use aws_lc_rs::digest::{SHA256, digest};

use crate::encoding::{from_base64url, to_base64url};

/// The longest credential id in bytes (WebAuthn §4).
pub const MAX_CREDENTIAL_ID: usize = 1023;

/// The name by which a credential is looked up and can be bound once: SHA-256 of its id, base64url. Ids themselves may
/// be long.
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
