//! Signed inclusion promises: what a caller holds between the commit of its event and the next checkpoint.
//!
//! The signed message starts with a text and a zero byte. Checkpoints and cosignatures are texts without control
//! characters, so that none can be taken for the other although the log's one key signs both.

use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::encoding::{Text32, TextBytes};
use crate::merkle::{Hash, verify_inclusion};
use crate::note::{KeyAlgorithm, VerifierKey};

const DOMAIN: &[u8] = b"tenure-log-promise/v1\0";

/// The longest text form in bytes that is read.
const MAX_TEXT_BYTES: usize = 4096;

/// What is promised: entry `index` of this log is the leaf with this hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// The log's origin.
    pub origin: String,
    /// The shard whose log it is.
    pub shard: u32,
    /// The position that the commit gave to the entry.
    pub index: u64,
    /// The entry's leaf hash.
    pub leaf: Hash,
    /// Commit time in microseconds since 1970-01-01T00:00:00Z.
    pub time: i64,
}

/// A promise with the log's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPromise {
    /// What is promised.
    pub promise: Promise,
    /// Which of the log's keys signed, see [`VerifierKey::key_id`].
    pub key_id: [u8; 4],
    /// Ed25519 signature, 64 bytes.
    pub signature: Vec<u8>,
}

/// Why a promise, or what is held against it, is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PromiseError {
    /// The text is not a promise in its one form.
    #[error("promise is malformed")]
    Malformed,
    /// None of the keys is the one that the promise names.
    #[error("promise is signed by an unknown key")]
    UnknownKey,
    /// The signature is wrong.
    #[error("promise signature is wrong")]
    BadSignature,
    /// The checkpoint is of another log.
    #[error("checkpoint is of another log than the promise")]
    OtherLog,
    /// The inclusion proof does not prove what is held against the promise.
    #[error("inclusion proof is wrong")]
    Proof,
}

/// Evidence to hold against a promise: what the log shows at the promised index.
#[derive(Debug, Clone, Copy)]
pub struct Inclusion<'a> {
    /// A checkpoint that was opened with the log's key.
    pub checkpoint: &'a Checkpoint,
    /// The leaf hash that the log shows at the promised index.
    pub leaf: &'a Hash,
    /// Inclusion proof of `leaf` at the promised index.
    pub proof: &'a [Hash],
}

/// How a promise stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The promised leaf is in its place.
    Kept,
    /// The checkpoint does not reach the promised index yet.
    Pending,
    /// The log signed another leaf into this place. Promise and checkpoint together prove misconduct.
    Broken {
        /// The leaf hash that is there instead.
        found: Hash,
    },
}

impl Promise {
    /// The bytes that are signed.
    pub(crate) fn message(&self) -> Vec<u8> {
        let mut out = DOMAIN.to_vec();
        out.extend_from_slice(&(self.origin.len() as u64).to_be_bytes());
        out.extend_from_slice(self.origin.as_bytes());
        out.extend_from_slice(&self.shard.to_be_bytes());
        out.extend_from_slice(&self.index.to_be_bytes());
        out.extend_from_slice(&self.leaf);
        out.extend_from_slice(&self.time.to_be_bytes());
        out
    }
}

impl SignedPromise {
    /// One line of JSON without white space.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads [`SignedPromise::to_text`] and nothing else. The signature is not verified here.
    ///
    /// # Errors
    /// [`PromiseError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, PromiseError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(PromiseError::Malformed);
        }
        let signed: Self = serde_json::from_str(text).map_err(|_| PromiseError::Malformed)?;
        if signed.to_text() == text { Ok(signed) } else { Err(PromiseError::Malformed) }
    }

    /// Verifies the signature with whichever of `keys` is named as the origin and has the promise's key id.
    ///
    /// # Errors
    /// [`PromiseError::UnknownKey`] or [`PromiseError::BadSignature`].
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<(), PromiseError> {
        let key = keys
            .iter()
            .filter(|key| key.algorithm() == KeyAlgorithm::Ed25519 && key.name() == self.promise.origin)
            .find(|key| key.key_id() == self.key_id)
            .ok_or(PromiseError::UnknownKey)?;
        if key.verifies(&self.promise.message(), &self.signature) { Ok(()) } else { Err(PromiseError::BadSignature) }
    }

    /// Whether the log kept this promise, judged by what it shows in `inclusion`.
    ///
    /// # Errors
    /// When promise or evidence do not hold by themselves, so that they say nothing about the log.
    pub fn check_kept(&self, keys: &[VerifierKey], inclusion: &Inclusion<'_>) -> Result<Standing, PromiseError> {
        self.verify(keys)?;
        let (promise, checkpoint) = (&self.promise, inclusion.checkpoint);
        if checkpoint.origin != promise.origin {
            return Err(PromiseError::OtherLog);
        }
        if checkpoint.size <= promise.index {
            return Ok(Standing::Pending);
        }
        if !verify_inclusion(inclusion.leaf, promise.index, checkpoint.size, inclusion.proof, &checkpoint.root) {
            return Err(PromiseError::Proof);
        }
        if *inclusion.leaf == promise.leaf {
            Ok(Standing::Kept)
        } else {
            Ok(Standing::Broken { found: *inclusion.leaf })
        }
    }
}

impl Serialize for SignedPromise {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let promise = &self.promise;
        Wire {
            index: promise.index,
            key: TextBytes(self.key_id.to_vec()),
            leaf: Text32(promise.leaf),
            origin: promise.origin.clone(),
            shard: promise.shard,
            sig: TextBytes(self.signature.clone()),
            time: promise.time,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SignedPromise {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        let key_id = wire.key.0.try_into().map_err(|_| serde::de::Error::custom("key is not 4 bytes"))?;
        let promise =
            Promise { origin: wire.origin, shard: wire.shard, index: wire.index, leaf: wire.leaf.0, time: wire.time };
        Ok(Self { promise, key_id, signature: wire.sig.0 })
    }
}

/// The JSON form, with its keys in order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    index: u64,
    key: TextBytes,
    leaf: Text32,
    origin: String,
    shard: u32,
    sig: TextBytes,
    time: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::LogSigner;
    use crate::merkle::node_hash;

    fn signer() -> LogSigner {
        LogSigner::from_seed("tenure.example/log", 2, &[7; 32]).unwrap()
    }

    #[test]
    fn a_promise_survives_its_text_form_and_verifies() {
        let signed = signer().promise(5, [1; 32], 1_700_000_000_000_000);
        let read = SignedPromise::parse(&signed.to_text()).unwrap();
        assert_eq!(read, signed);
        assert_eq!(read.verify(&[signer().verifier_key().clone()]), Ok(()));
        assert_eq!(read.verify(&[]), Err(PromiseError::UnknownKey));
        for bad in [format!("{} ", signed.to_text()), signed.to_text().replacen("{", "{\"x\":1,", 1), String::new()] {
            assert_eq!(SignedPromise::parse(&bad), Err(PromiseError::Malformed));
        }
    }

    #[test]
    fn every_part_is_signed() {
        let keys = [signer().verifier_key().clone()];
        let signed = signer().promise(5, [1; 32], 9);
        let changes: [fn(&mut SignedPromise); 5] = [
            |s| s.promise.index += 1,
            |s| s.promise.shard += 1,
            |s| s.promise.leaf[31] ^= 1,
            |s| s.promise.time -= 1,
            |s| s.signature[0] ^= 1,
        ];
        for change in changes {
            let mut changed = signed.clone();
            change(&mut changed);
            assert_eq!(changed.verify(&keys), Err(PromiseError::BadSignature));
        }
    }

    #[test]
    fn kept_pending_and_broken_are_told_apart() {
        let keys = [signer().verifier_key().clone()];
        let (left, right) = ([1; 32], [2; 32]);
        let checkpoint = |size, root| Checkpoint { origin: "tenure.example/log/2".to_owned(), size, root };
        let both = checkpoint(2, node_hash(&left, &right));
        let evidence = Inclusion { checkpoint: &both, leaf: &right, proof: &[left] };
        assert_eq!(signer().promise(1, right, 9).check_kept(&keys, &evidence), Ok(Standing::Kept));
        let other = signer().promise(1, [3; 32], 9);
        assert_eq!(other.check_kept(&keys, &evidence), Ok(Standing::Broken { found: right }));
        let claimed = Inclusion { leaf: &[3; 32], ..evidence };
        assert_eq!(other.check_kept(&keys, &claimed), Err(PromiseError::Proof));
        let early = checkpoint(1, left);
        let pending = Inclusion { checkpoint: &early, ..evidence };
        assert_eq!(other.check_kept(&keys, &pending), Ok(Standing::Pending));
        let foreign = Checkpoint { origin: "tenure.example/log/3".into(), ..both.clone() };
        let elsewhere = Inclusion { checkpoint: &foreign, ..evidence };
        assert_eq!(other.check_kept(&keys, &elsewhere), Err(PromiseError::OtherLog));
    }
}
