//! Checkpoints (C2SP tlog-checkpoint): the signed size and root of one log.
//!
//! Each shard is a log of its own. Its number is part of its origin (`<deployment>/<shard>`), so that a checkpoint of
//! one shard can never pass for one of another.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

use crate::encoding::{decimal, from_std64, std64};
use crate::merkle::{EMPTY_ROOT, Hash};
use crate::note::{KeyAlgorithm, NoteError, NoteSignature, SignedNote, VerifierKey};
use crate::promise::{Promise, SignedPromise};

/// The origin of a shard's log: `<deployment>/<shard>`, such as `tenure.example.com/log/0`.
#[must_use]
pub fn shard_origin(deployment: &str, shard: u32) -> String {
    format!("{deployment}/{shard}")
}

/// What a log commits to: these many entries under this root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name, see [`shard_origin`].
    pub origin: String,
    /// The number of entries.
    pub size: u64,
    /// The Merkle root over them.
    pub root: Hash,
}

/// Why a checkpoint is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a signed note at all.
    #[error("checkpoint is not a signed note")]
    Note(#[source] NoteError),
    /// The text is not exactly origin, size and root.
    #[error("checkpoint text is malformed")]
    Text,
    /// No line is signed by a known log key whose name is the origin.
    #[error("checkpoint bears no signature of a known log key")]
    UnknownKey,
    /// A line that names a known key has a wrong signature.
    #[error("checkpoint signature of a known key is wrong")]
    BadSignature,
}

/// A witness that has seen a checkpoint and found it consistent with all that it saw before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// The name of its key.
    pub name: String,
    /// When it signed, in seconds since 1970-01-01T00:00:00Z, by its own clock.
    pub at: u64,
}

/// A checkpoint whose signatures were verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedCheckpoint {
    /// What was signed.
    pub checkpoint: Checkpoint,
    /// The known witnesses that cosigned; none means unwitnessed (S-3).
    pub witnesses: Vec<Witness>,
}

impl Checkpoint {
    /// The text that is signed: origin, decimal size and base64 root, a line each.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, std64(&self.root))
    }

    /// Reads [`Checkpoint::to_text`]. Extension lines are refused: this log writes none.
    ///
    /// # Errors
    /// [`CheckpointError::Text`].
    pub fn parse_text(text: &str) -> Result<Self, CheckpointError> {
        let parse = || {
            let mut lines = text.strip_suffix('\n')?.split('\n');
            let (origin, size, root) = (lines.next()?, decimal(lines.next()?)?, from_std64(lines.next()?)?);
            let root = root.try_into().ok()?;
            let sound = lines.next().is_none() && !origin.is_empty() && (size > 0 || root == EMPTY_ROOT);
            sound.then(|| Self { origin: origin.to_owned(), size, root })
        };
        parse().ok_or(CheckpointError::Text)
    }

    /// Reads a signed note and verifies every line of a key in `keys`, which may hold keys of the log and of witnesses.
    /// Lines of other keys are ignored, as C2SP signed-note demands.
    ///
    /// # Errors
    /// Unless at least one known log key, named as the origin, has signed, and no line of a known key is wrong.
    pub fn open(note: &str, keys: &[VerifierKey]) -> Result<OpenedCheckpoint, CheckpointError> {
        let note = SignedNote::parse(note).map_err(CheckpointError::Note)?;
        let checkpoint = Self::parse_text(&note.text)?;
        let mut signed = false;
        let mut witnesses: Vec<Witness> = Vec::new();
        for line in &note.signatures {
            for key in keys.iter().filter(|key| key.is_named_by(line)) {
                match key.algorithm() {
                    KeyAlgorithm::Ed25519 => {
                        if !key.verifies(note.text.as_bytes(), &line.signature) {
                            return Err(CheckpointError::BadSignature);
                        }
                        signed |= key.name() == checkpoint.origin;
                    }
                    KeyAlgorithm::CosignatureV1 => {
                        let at = cosigned_at(key, &note.text, line).ok_or(CheckpointError::BadSignature)?;
                        if witnesses.iter().all(|witness| witness.name != key.name()) {
                            witnesses.push(Witness { name: key.name().to_owned(), at });
                        }
                    }
                }
            }
        }
        if signed { Ok(OpenedCheckpoint { checkpoint, witnesses }) } else { Err(CheckpointError::UnknownKey) }
    }
}

/// The message that a witness signs (C2SP tlog-cosignature, `cosignature/v1`): `at` seconds and the checkpoint text.
#[must_use]
pub fn cosignature_message(at: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {at}\n{text}")
}

fn cosigned_at(key: &VerifierKey, text: &str, line: &NoteSignature) -> Option<u64> {
    let (time, signature) = line.signature.split_first_chunk::<8>()?;
    let at = u64::from_be_bytes(*time);
    key.verifies(cosignature_message(at, text).as_bytes(), signature).then_some(at)
}

/// A log's signing key was not usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// The key material is not an Ed25519 private key.
    #[error("log key is not an Ed25519 private key")]
    Key,
    /// The deployment's name can't stand in an origin.
    #[error("deployment name is not usable as a log origin")]
    Name(#[source] NoteError),
}

/// The key of one shard's log. It signs checkpoints and promises and nothing else (S-3).
pub struct LogSigner {
    key: Ed25519KeyPair,
    verifier: VerifierKey,
    shard: u32,
}

impl LogSigner {
    /// A signer from the 32-byte Ed25519 seed (RFC 8032 §5.1.5).
    ///
    /// # Errors
    /// See [`SignerError`].
    pub fn from_seed(deployment: &str, shard: u32, seed: &[u8; 32]) -> Result<Self, SignerError> {
        let key = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| SignerError::Key)?;
        Self::new(deployment, shard, key)
    }

    /// A signer from a PKCS#8 private key (DER), version 1 or 2.
    ///
    /// # Errors
    /// See [`SignerError`].
    pub fn from_pkcs8(deployment: &str, shard: u32, der: &[u8]) -> Result<Self, SignerError> {
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| SignerError::Key)?;
        Self::new(deployment, shard, key)
    }

    /// The log's origin, which is also the name of its key.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.verifier.name()
    }

    /// The shard's number.
    #[must_use]
    pub const fn shard(&self) -> u32 {
        self.shard
    }

    /// The public half, to be published and pinned.
    #[must_use]
    pub const fn verifier_key(&self) -> &VerifierKey {
        &self.verifier
    }

    /// A signed checkpoint for the first `size` entries with `root`. Callers must only ever ask for one root per size.
    #[must_use]
    pub fn checkpoint(&self, size: u64, root: Hash) -> SignedNote {
        let text = Checkpoint { origin: self.origin().to_owned(), size, root }.to_text();
        let signature = NoteSignature {
            name: self.origin().to_owned(),
            key_id: self.verifier.key_id(),
            signature: self.key.sign(text.as_bytes()).as_ref().to_vec(),
        };
        SignedNote { text, signatures: vec![signature] }
    }

    /// A promise that the committed entry `index` with hash `leaf` will be in every later checkpoint that covers it.
    /// `time` is the entry's commit time in microseconds since 1970.
    #[must_use]
    pub fn promise(&self, index: u64, leaf: Hash, time: i64) -> SignedPromise {
        let promise = Promise { origin: self.origin().to_owned(), shard: self.shard, index, leaf, time };
        let signature = self.key.sign(&promise.message());
        SignedPromise { key_id: self.verifier.key_id(), signature: signature.as_ref().to_vec(), promise }
    }

    fn new(deployment: &str, shard: u32, key: Ed25519KeyPair) -> Result<Self, SignerError> {
        let public = key.public_key().as_ref().try_into().map_err(|_| SignerError::Key)?;
        let origin = shard_origin(deployment, shard);
        let verifier = VerifierKey::new(&origin, KeyAlgorithm::Ed25519, public).map_err(SignerError::Name)?;
        Ok(Self { key, verifier, shard })
    }
}

impl fmt::Debug for LogSigner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LogSigner").field("verifier", &self.verifier.to_string()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::NoteSigner;

    fn signer() -> LogSigner {
        LogSigner::from_seed("tenure.example/log", 0, &[7; 32]).unwrap()
    }

    fn witness() -> (Ed25519KeyPair, VerifierKey) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
        let public = pair.public_key().as_ref().try_into().unwrap();
        (pair, VerifierKey::new("witness.example/w", KeyAlgorithm::CosignatureV1, public).unwrap())
    }

    fn cosigned(at: u64) -> SignedNote {
        let (pair, key) = witness();
        let mut note = signer().checkpoint(3, [5; 32]);
        let mut signature = at.to_be_bytes().to_vec();
        signature.extend_from_slice(pair.sign(cosignature_message(at, &note.text).as_bytes()).as_ref());
        note.signatures.push(NoteSignature { name: key.name().to_owned(), key_id: key.key_id(), signature });
        note
    }

    #[test]
    fn a_checkpoint_opens_with_the_logs_key_only() {
        let note = signer().checkpoint(3, [5; 32]).to_string();
        let opened = Checkpoint::open(&note, &[signer().verifier_key().clone()]).unwrap();
        assert_eq!(opened.checkpoint, Checkpoint { origin: "tenure.example/log/0".into(), size: 3, root: [5; 32] });
        assert!(opened.witnesses.is_empty());
        assert_eq!(Checkpoint::open(&note, &[]), Err(CheckpointError::UnknownKey));
        let other_shard = LogSigner::from_seed("tenure.example/log", 1, &[7; 32]).unwrap();
        assert_eq!(Checkpoint::open(&note, &[other_shard.verifier_key().clone()]), Err(CheckpointError::UnknownKey));
        let larger = note.replacen("\n3\n", "\n4\n", 1);
        assert_eq!(Checkpoint::open(&larger, &[signer().verifier_key().clone()]), Err(CheckpointError::BadSignature));
    }

    #[test]
    fn witnesses_are_reported_if_known_and_refused_if_wrong() {
        let log = signer().verifier_key().clone();
        let note = cosigned(1_700_000_000);
        let opened = Checkpoint::open(&note.to_string(), &[log.clone(), witness().1]).unwrap();
        assert_eq!(opened.witnesses, [Witness { name: "witness.example/w".into(), at: 1_700_000_000 }]);
        assert!(Checkpoint::open(&note.to_string(), std::slice::from_ref(&log)).unwrap().witnesses.is_empty());
        let mut wrong = note;
        wrong.signatures[1].signature[0] ^= 1;
        assert_eq!(Checkpoint::open(&wrong.to_string(), &[log, witness().1]), Err(CheckpointError::BadSignature));
    }

    #[test]
    fn a_key_beside_the_logs_is_known_by_its_line_and_makes_no_checkpoint() {
        let beside = NoteSigner::from_seed("tenure.example/every-epoch", &[8; 32]).unwrap();
        let other = NoteSigner::from_seed("tenure.example/every-epoch", &[9; 32]).unwrap();
        let mut note = signer().checkpoint(3, [5; 32]);
        assert!(!beside.verifier_key().has_signed(&note) && signer().verifier_key().has_signed(&note));
        beside.sign(&mut note);
        let read = SignedNote::parse(&note.to_string()).unwrap();
        assert!(beside.verifier_key().has_signed(&read) && !other.verifier_key().has_signed(&read));
        // The log's own line is what counts for everybody else.
        assert!(Checkpoint::open(&note.to_string(), &[signer().verifier_key().clone()]).is_ok());
        let alone = Checkpoint::open(&note.to_string(), &[beside.verifier_key().clone()]);
        assert_eq!(alone, Err(CheckpointError::UnknownKey));
        let mut altered = read;
        altered.text = altered.text.replacen("\n3\n", "\n4\n", 1);
        assert!(!beside.verifier_key().has_signed(&altered));
    }

    #[test]
    fn a_witness_alone_does_not_make_a_checkpoint() {
        let mut note = cosigned(1);
        note.signatures.remove(0);
        let keys = [signer().verifier_key().clone(), witness().1];
        assert_eq!(Checkpoint::open(&note.to_string(), &keys), Err(CheckpointError::UnknownKey));
    }

    #[test]
    fn text_is_strict() {
        let good = signer().checkpoint(3, [5; 32]).text;
        assert!(Checkpoint::parse_text(&good).is_ok());
        for bad in [
            good.replacen("\n3\n", "\n03\n", 1),
            good.replacen("\n3\n", "\n+3\n", 1),
            good.replacen("\n3\n", "\n0\n", 1),
            good.replacen('=', "", 1),
            format!("{good}extension\n"),
            good.trim_end().to_owned(),
            String::new(),
        ] {
            assert_eq!(Checkpoint::parse_text(&bad), Err(CheckpointError::Text), "{bad}");
        }
    }

    #[test]
    fn a_signer_comes_from_pkcs8_too_and_prints_no_secret() {
        let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        der.extend_from_slice(&[7; 32]);
        let from_der = LogSigner::from_pkcs8("tenure.example/log", 0, &der).unwrap();
        assert_eq!(from_der.verifier_key(), signer().verifier_key());
        assert_eq!(format!("{from_der:?}"), format!("LogSigner {{ verifier: \"{}\", .. }}", from_der.verifier_key()));
        assert!(LogSigner::from_pkcs8("x", 0, &der[1..]).is_err());
        assert!(LogSigner::from_seed("a b", 0, &[7; 32]).is_err());
    }
}
