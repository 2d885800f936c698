//! Nonces for DPoP proofs (RFC 9449 §8, §9): stretches of time, authenticated under the root key, so that no replica
//! has to remember one and a restart makes none of them void.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use tenure_core::base::time::{Span, Timestamp};

use crate::encoding::{from_base64url, to_base64url};
use crate::jose::SKEW;
use crate::root::RootKey;

/// How long one nonce is given out. It is taken for as long again, so that nobody's is refused right after it was
/// given.
pub const STRETCH: Span = Span::from_secs(150);
/// Bytes of the authenticator in a nonce: nobody guesses one in its lifetime.
const TAG: usize = 16;

/// What makes and recognises nonces.
pub struct NonceKey(Key);

impl NonceKey {
    /// The key that this root key gives.
    pub fn new(root: &RootKey) -> Self {
        Self(Key::new(HMAC_SHA256, root.subkey("dpop nonces").expose()))
    }

    /// The nonce to give out now.
    pub fn current(&self, now: Timestamp) -> String {
        to_base64url(&self.bytes(number(now)))
    }

    /// The stretch of time that a nonce is of, if it is one of ours and counts now. A replica whose clock is ahead may
    /// have given it.
    pub fn accepts(&self, nonce: &str, now: Timestamp) -> Option<i64> {
        let given = from_base64url(nonce)?;
        let stretch = i64::from_be_bytes(*given.first_chunk()?);
        verify_slices_are_equal(&self.bytes(stretch), &given).ok()?;
        let counts = stretch >= self.oldest(now) && stretch <= number(now.plus(SKEW));
        counts.then_some(stretch)
    }

    /// The oldest stretch of time whose nonce counts now.
    pub const fn oldest(&self, now: Timestamp) -> i64 {
        number(now).saturating_sub(1)
    }

    fn bytes(&self, stretch: i64) -> Vec<u8> {
        let number = stretch.to_be_bytes();
        let tag = hmac::sign(&self.0, &number);
        [number.as_slice(), tag.as_ref().get(..TAG).unwrap_or_default()].concat()
    }
}

impl fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceKey([redacted])")
    }
}

const fn number(at: Timestamp) -> i64 {
    at.as_secs().div_euclid(STRETCH.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: &str) -> NonceKey {
        NonceKey::new(&RootKey::from_text(&byte.repeat(32)).unwrap())
    }

    #[test]
    fn a_nonce_counts_for_two_stretches_and_on_every_replica_of_the_deployment() {
        let start = Timestamp::from_secs(STRETCH.as_secs() * 1_000);
        let nonce = key("ab").current(start);
        assert_eq!(nonce, key("ab").current(start.plus(Span::from_secs(149))), "a restart gives the same");
        for (later, counts) in [(0, true), (299, true), (300, false), (100_000, false)] {
            assert_eq!(key("ab").accepts(&nonce, start.plus(Span::from_secs(later))).is_some(), counts, "{later}");
        }
        assert!(key("ab").accepts(&nonce, start.minus(SKEW)).is_some());
        assert!(key("ab").accepts(&nonce, start.minus(Span::from_secs(31))).is_none());
    }

    #[test]
    fn another_deployments_and_made_up_nonces_are_none() {
        let now = Timestamp::from_secs(1_800_000_000);
        let nonce = key("ab").current(now);
        assert!(key("cd").accepts(&nonce, now).is_none());
        let mut bytes = from_base64url(&nonce).unwrap();
        bytes[7] ^= 1;
        for made_up in [
            to_base64url(&bytes),
            to_base64url(&bytes[..8]),
            nonce[..nonce.len() - 4].to_owned(),
            "x".into(),
            String::new(),
        ] {
            assert!(key("ab").accepts(&made_up, now).is_none(), "{made_up}");
        }
        assert!(!format!("{:?}", key("ab")).contains("ab"));
    }
}
