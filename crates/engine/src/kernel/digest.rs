//! The digest of what somebody was shown: what is done is that, and nothing else.

use sha2::{Digest as _, Sha256};

/// `sha256:` and the SHA-256 of a text in small hexadecimal digits.
pub(crate) fn sha256(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    format!("sha256:{}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}
