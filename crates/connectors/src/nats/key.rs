//! Keys of NATS: Ed25519 pairs whose texts say what they are of, `O…` an operator, `A…` an account, `U…` a user; seeds
//! begin with `S`.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use data_encoding::BASE32_NOPAD;
use tenure_core::store::secret::Secret;

const SEED: u8 = 18 << 3;

/// Whose a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Operator,
    Account,
    User,
}

impl Owner {
    const fn byte(self) -> u8 {
        match self {
            Self::Operator => 14 << 3,
            Self::Account => 0,
            Self::User => 20 << 3,
        }
    }
}

/// A pair of keys.
pub(super) struct Pair {
    owner: Owner,
    pair: Ed25519KeyPair,
}

impl Pair {
    /// The pair of a seed's text.
    pub fn of_seed(text: &str, owner: Owner) -> Option<Self> {
        let bytes = decoded(text)?;
        let (head, seed) = bytes.split_first_chunk::<2>()?;
        let head_is = [SEED | (owner.byte() >> 5), (owner.byte() & 31) << 3];
        if *head != head_is { None } else { Self::of_bytes(seed, owner) }
    }

    /// The pair of 32 bytes.
    pub fn of_bytes(seed: &[u8], owner: Owner) -> Option<Self> {
        Some(Self { owner, pair: Ed25519KeyPair::from_seed_unchecked(seed).ok()? })
    }

    /// The text of its public key.
    pub fn public(&self) -> String {
        encoded(&[&[self.owner.byte()], self.pair.public_key().as_ref()].concat())
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

/// The text of the seed of 32 bytes.
pub(super) fn seed_text(seed: &[u8], owner: Owner) -> Secret<String> {
    let head = [SEED | (owner.byte() >> 5), (owner.byte() & 31) << 3];
    Secret::new(encoded(&[&head, seed].concat()))
}

/// Whether a text is a public key of such an owner.
pub(super) fn is_public(text: &str, owner: Owner) -> bool {
    public(text, owner).is_some()
}

/// Whether a signature is one by a public key.
pub(super) fn is_signed(key: &str, owner: Owner, message: &[u8], signature: &[u8]) -> bool {
    public(key, owner).is_some_and(|key| UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok())
}

fn public(text: &str, owner: Owner) -> Option<Vec<u8>> {
    let bytes = decoded(text)?;
    let (head, key) = bytes.split_first()?;
    (*head == owner.byte() && key.len() == 32).then(|| key.to_vec())
}

fn encoded(bytes: &[u8]) -> String {
    BASE32_NOPAD.encode(&[bytes, &checksum(bytes).to_le_bytes()].concat())
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = BASE32_NOPAD.decode(text.as_bytes()).ok()?;
    let sum = bytes.split_off(bytes.len().checked_sub(2)?);
    (checksum(&bytes).to_le_bytes().as_slice() == sum).then_some(bytes)
}

/// CRC-16/XMODEM.
fn checksum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(
            sum ^ (u16::from(*byte) << 8),
            |sum: u16, _| {
                if sum & 0x8000 == 0 { sum << 1 } else { (sum << 1) ^ 0x1021 }
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pair that Python's nkeys made.
    const SEED_TEXT: &str = "SUACPILD7XXT3T4BPSH3E7XV76L2KGSEIN7QO6YCOR5BJX7OO4Q64EEY44";
    const PUBLIC: &str = "UAKD4JW6WGYM6AIAZ246JBO522ZHX652N5OPOUKQ2C67WLHYKL2NXFMZ";

    #[test]
    fn keys_are_what_other_peoples_tools_make_of_them() {
        let pair = Pair::of_seed(SEED_TEXT, Owner::User).unwrap();
        assert_eq!(pair.public(), PUBLIC);
        let signature = pair.sign(b"nonce");
        assert!(is_signed(PUBLIC, Owner::User, b"nonce", &signature));
        assert!(!is_signed(PUBLIC, Owner::User, b"other", &signature));
        assert!(!is_signed(PUBLIC, Owner::Account, b"nonce", &signature));
        assert_eq!(seed_text(&decoded(SEED_TEXT).unwrap()[2..], Owner::User).expose(), SEED_TEXT);
        let typo = format!("{}A", &PUBLIC[..PUBLIC.len() - 1]);
        for bad in ["", "U", &typo, "SUACPILD", &PUBLIC.to_lowercase()] {
            assert!(!is_public(bad, Owner::User) && Pair::of_seed(bad, Owner::User).is_none(), "{bad}");
        }
        assert!(Pair::of_seed(SEED_TEXT, Owner::Account).is_none() && !is_public(PUBLIC, Owner::Operator));
    }
}
