//! Personal values beside the log: a leaf commits to them, the values themselves can be erased.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::encoding::{Text32, sha256};
use crate::merkle::Hash;

/// Separates these hashes from every other use of SHA-256 in Tenure.
const DOMAIN: &[u8] = b"tenure-log-personal/v1\0";

/// The commitment that a leaf holds instead of a personal value.
///
/// It is SHA-256 over a domain string, the salt, and the length-prefixed (64 bit, big-endian) field name and value.
/// The salt is 32 random bytes, one per value: names and addresses are guessable, so without it the hash would tell
/// the value even after erasure. Erase the salt together with the value.
#[must_use]
pub fn commit(salt: &[u8; 32], field: &str, value: &str) -> Hash {
    let field_length = (field.len() as u64).to_be_bytes();
    let value_length = (value.len() as u64).to_be_bytes();
    sha256(&[DOMAIN, salt, &field_length, field.as_bytes(), &value_length, value.as_bytes()])
}

/// A personal value with what opens its commitment. `Debug` shows only the field's name.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonalValue {
    /// The name under which the leaf commits to the value, such as `actor.email`.
    pub field: String,
    /// 32 random bytes used for this value only.
    #[serde(with = "salt_text")]
    pub salt: [u8; 32],
    /// The value itself.
    pub value: String,
}

impl PersonalValue {
    /// The commitment to put into the leaf.
    #[must_use]
    pub fn commitment(&self) -> Hash {
        commit(&self.salt, &self.field, &self.value)
    }

    /// Whether this value is the one that `commitment` was made for.
    #[must_use]
    pub fn opens(&self, commitment: &Hash) -> bool {
        self.commitment() == *commitment
    }
}

impl fmt::Debug for PersonalValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PersonalValue").field("field", &self.field).finish_non_exhaustive()
    }
}

mod salt_text {
    use super::{Deserialize, Serialize, Text32};

    pub(super) fn serialize<S: serde::Serializer>(salt: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        Text32(*salt).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        Text32::deserialize(deserializer).map(|text| text.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commitment_depends_on_every_part_and_on_their_borders() {
        let base = commit(&[1; 32], "name", "ada");
        assert_ne!(base, commit(&[2; 32], "name", "ada"));
        assert_ne!(base, commit(&[1; 32], "nam", "eada"));
        assert_ne!(base, commit(&[1; 32], "name", "adb"));
        assert!(PersonalValue { field: "name".into(), salt: [1; 32], value: "ada".into() }.opens(&base));
    }

    #[test]
    fn debug_shows_neither_value_nor_salt() {
        let value = PersonalValue { field: "name".into(), salt: [7; 32], value: "ada".into() };
        assert_eq!(format!("{value:?}"), r#"PersonalValue { field: "name", .. }"#);
    }
}
