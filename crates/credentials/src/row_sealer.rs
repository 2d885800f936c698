//! MACs on the rows that the gate trusts (S-2).

use std::fmt;

use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key, Tag};
use tenure_core::base::time::Timestamp;
use tenure_core::store::port::RowSealer;
use tenure_core::store::row::{Position, RowKey};
use tenure_core::store::use_note::UseKey;

use crate::root::RootKey;

/// HMAC-SHA256 under keys that derive from the root key: one for contents, one for contents at positions, one for last
/// uses, one for notes of use.
pub struct RowMac {
    digest: Key,
    mac: Key,
    last_use: Key,
    use_note: Key,
}

impl RowMac {
    /// The MACs of a deployment.
    pub fn new(root: &RootKey) -> Self {
        let key = |label| Key::new(HMAC_SHA256, root.subkey(label).expose());
        Self { digest: key("row digest"), mac: key("row mac"), last_use: key("last use"), use_note: key("note of use") }
    }
}

impl RowSealer for RowMac {
    fn digest(&self, key: &RowKey, revision: u64, body: &[u8]) -> [u8; 32] {
        // Every part but the last has a fixed length or carries its length, so that no two rows give the same input.
        let mut context = Context::with_key(&self.digest);
        context.update(&[key.kind.code()]);
        context.update(&(key.id.len() as u64).to_be_bytes());
        context.update(key.id.as_bytes());
        context.update(&revision.to_be_bytes());
        context.update(body);
        bytes(&context.sign())
    }

    fn mac(&self, digest: &[u8; 32], created: Position, position: Position) -> [u8; 32] {
        let mut context = Context::with_key(&self.mac);
        context.update(digest);
        for at in [created, position] {
            context.update(&at.shard.to_be_bytes());
            context.update(&at.index.to_be_bytes());
        }
        bytes(&context.sign())
    }

    fn last_use(&self, subject: &str, at: Timestamp) -> [u8; 32] {
        let mut context = Context::with_key(&self.last_use);
        context.update(&at.as_micros().to_be_bytes());
        context.update(subject.as_bytes());
        bytes(&context.sign())
    }

    fn use_note(&self, key: UseKey, body: &[u8]) -> [u8; 32] {
        let mut context = Context::with_key(&self.use_note);
        context.update(&key.part.code().to_be_bytes());
        context.update(&key.identity.as_u128().to_be_bytes());
        context.update(body);
        bytes(&context.sign())
    }
}

impl fmt::Debug for RowMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowMac([redacted])")
    }
}

fn bytes(tag: &Tag) -> [u8; 32] {
    let mut out = [0u8; 32];
    for (slot, byte) in out.iter_mut().zip(tag.as_ref()) {
        *slot = *byte;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_core::base::id::IdentityId;
    use tenure_core::store::row::RowKind;
    use tenure_core::store::use_note::UsePart;

    fn sealer(hex: &str) -> RowMac {
        RowMac::new(&RootKey::from_text(&hex.repeat(64)).unwrap())
    }

    #[test]
    fn every_part_of_a_row_counts() {
        let sealer = sealer("1");
        let key = |kind, id: &str| RowKey { kind, id: id.into() };
        let base = sealer.digest(&key(RowKind::Identity, "a"), 1, b"body");
        assert_eq!(base, sealer.digest(&key(RowKind::Identity, "a"), 1, b"body"));
        for other in [
            sealer.digest(&key(RowKind::Grant, "a"), 1, b"body"),
            sealer.digest(&key(RowKind::Identity, "b"), 1, b"body"),
            sealer.digest(&key(RowKind::Identity, "a"), 2, b"body"),
            sealer.digest(&key(RowKind::Identity, "a"), 1, b"bodx"),
            sealer.digest(&key(RowKind::Identity, "a\0"), 1, b"body"),
            super::RowMac::new(&RootKey::from_text(&"2".repeat(64)).unwrap()).digest(
                &key(RowKind::Identity, "a"),
                1,
                b"body",
            ),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn a_last_use_is_of_one_subject_at_one_time() {
        let at = Timestamp::from_secs;
        let base = sealer("1").last_use("idn_1", at(1));
        assert_ne!(base, sealer("1").last_use("idn_2", at(1)));
        assert_ne!(base, sealer("1").last_use("idn_1", at(2)));
        assert_ne!(base, sealer("2").last_use("idn_1", at(1)));
    }

    #[test]
    fn a_note_of_use_is_of_one_part_of_one_identity() {
        let key = |part, id| UseKey { part, identity: IdentityId::from_u128(id) };
        let base = sealer("1").use_note(key(UsePart::Day(1), 1), b"body");
        assert_ne!(base, sealer("1").use_note(key(UsePart::Month(1), 1), b"body"));
        assert_ne!(base, sealer("1").use_note(key(UsePart::Day(1), 2), b"body"));
        assert_ne!(base, sealer("1").use_note(key(UsePart::Day(1), 1), b"bodx"));
        assert_ne!(base, sealer("2").use_note(key(UsePart::Day(1), 1), b"body"));
    }

    #[test]
    fn a_row_can_not_move_in_the_log() {
        let sealer = sealer("1");
        let digest = [7; 32];
        let base = sealer.mac(&digest, Position::at(1), Position::at(2));
        assert_ne!(base, sealer.mac(&digest, Position::at(2), Position::at(1)));
        assert_ne!(base, sealer.mac(&digest, Position::at(1), Position::at(3)));
        assert_ne!(base, sealer.mac(&digest, Position { shard: 1, index: 1 }, Position::at(2)));
        assert_ne!(base, sealer.mac(&[8; 32], Position::at(1), Position::at(2)));
        assert_ne!(base, digest);
    }
}
