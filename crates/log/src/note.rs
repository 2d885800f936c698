//! Signed notes and verifier keys (C2SP signed-note), with the two Ed25519 signature types that logs use.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::checkpoint::SignerError;
use crate::encoding::{from_std64, hex_digit, sha256, std64};

/// The longest signed note in bytes that is read.
pub const MAX_NOTE_BYTES: usize = 65_536;

/// The most signature lines that are read.
pub const MAX_SIGNATURES: usize = 64;

/// What a note key signs, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyAlgorithm {
    /// Plain Ed25519 over the note text (signed-note type 0x01): the log itself.
    Ed25519,
    /// Ed25519 over a time and the note text (tlog-cosignature type 0x04): a witness.
    CosignatureV1,
}

impl KeyAlgorithm {
    const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 1,
            Self::CosignatureV1 => 4,
        }
    }
}

/// Why text is not a signed note or not a verifier key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// A key name is empty or holds white space, a control character or `+`.
    #[error("key name is empty or holds white space, control characters or '+'")]
    Name,
    /// A verifier key is not `name+hash+base64`, or its parts do not belong together.
    #[error("verifier key is malformed")]
    Key,
    /// The note is longer than [`MAX_NOTE_BYTES`] or has more than [`MAX_SIGNATURES`] signatures.
    #[error("note is too large")]
    TooLarge,
    /// The text holds a control character, or no blank line ends it.
    #[error("note text is malformed")]
    Text,
    /// A signature line is not `— name base64`, or there is none.
    #[error("note signature line is malformed or missing")]
    SignatureLine,
}

/// A public key under a name; its text form is `name+hash+base64` (C2SP signed-note, verifier keys).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VerifierKey {
    name: String,
    algorithm: KeyAlgorithm,
    public: [u8; 32],
}

impl VerifierKey {
    /// A key from its parts.
    ///
    /// # Errors
    /// [`NoteError::Name`] if the name can't stand in a signature line.
    pub fn new(name: &str, algorithm: KeyAlgorithm, public: [u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), algorithm, public })
    }

    /// Reads the text form, strictly.
    ///
    /// # Errors
    /// [`NoteError::Key`] or [`NoteError::Name`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key);
        };
        let material = from_std64(encoded).ok_or(NoteError::Key)?;
        let (byte, public) = material.split_first().ok_or(NoteError::Key)?;
        let algorithm = [KeyAlgorithm::Ed25519, KeyAlgorithm::CosignatureV1]
            .into_iter()
            .find(|algorithm| algorithm.byte() == *byte)
            .ok_or(NoteError::Key)?;
        let key = Self::new(name, algorithm, public.try_into().map_err(|_| NoteError::Key)?)?;
        if key.to_string() == text { Ok(key) } else { Err(NoteError::Key) }
    }

    /// The key's name; for a log key, the log's origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the key signs.
    #[must_use]
    pub const fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The raw Ed25519 public key.
    #[must_use]
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// The first four bytes of SHA-256 over name, newline, algorithm byte and public key.
    #[must_use]
    pub fn key_id(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = sha256(&[self.name.as_bytes(), b"\n", &[self.algorithm.byte()], &self.public]);
        [a, b, c, d]
    }

    /// Whether this key has signed the note's text, as the log or beside it: a line that names it holds. Plain Ed25519
    /// alone is asked for.
    #[must_use]
    pub fn has_signed(&self, note: &SignedNote) -> bool {
        let holds =
            |line: &NoteSignature| self.is_named_by(line) && self.verifies(note.text.as_bytes(), &line.signature);
        self.algorithm == KeyAlgorithm::Ed25519 && note.signatures.iter().any(holds)
    }

    /// Whether `signature` is this key's over `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public).verify(message, signature).is_ok()
    }

    /// Whether this key is the one that a signature line names.
    pub(crate) fn is_named_by(&self, signature: &NoteSignature) -> bool {
        self.name == signature.name && self.key_id() == signature.key_id
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash: String = self
            .key_id()
            .iter()
            .flat_map(|byte| [byte >> 4, *byte])
            .map(|nibble| char::from(hex_digit(nibble)))
            .collect();
        let mut material = vec![self.algorithm.byte()];
        material.extend_from_slice(&self.public);
        write!(formatter, "{}+{hash}+{}", self.name, std64(&material))
    }
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// Who claims to have signed.
    pub name: String,
    /// See [`VerifierKey::key_id`].
    pub key_id: [u8; 4],
    /// What follows the key id: 64 bytes for [`KeyAlgorithm::Ed25519`], 8 + 64 for [`KeyAlgorithm::CosignatureV1`].
    pub signature: Vec<u8>,
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.key_id.to_vec();
        bytes.extend_from_slice(&self.signature);
        writeln!(formatter, "— {} {}", self.name, std64(&bytes))
    }
}

/// A key that signs notes beside whoever made them (C2SP signed-note); who doesn't know it ignores its line.
pub struct NoteSigner {
    key: Ed25519KeyPair,
    verifier: VerifierKey,
}

impl NoteSigner {
    /// A signer of this name from the 32-byte Ed25519 seed (RFC 8032 §5.1.5).
    ///
    /// # Errors
    /// See [`SignerError`].
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, SignerError> {
        let key = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| SignerError::Key)?;
        let public = key.public_key().as_ref().try_into().map_err(|_| SignerError::Key)?;
        let verifier = VerifierKey::new(name, KeyAlgorithm::Ed25519, public).map_err(SignerError::Name)?;
        Ok(Self { key, verifier })
    }

    /// The public half.
    #[must_use]
    pub const fn verifier_key(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Adds its line to a note.
    pub fn sign(&self, note: &mut SignedNote) {
        note.signatures.push(NoteSignature {
            name: self.verifier.name.clone(),
            key_id: self.verifier.key_id(),
            signature: self.key.sign(note.text.as_bytes()).as_ref().to_vec(),
        });
    }
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("NoteSigner").field("verifier", &self.verifier.to_string()).finish_non_exhaustive()
    }
}

/// Text with signature lines; nothing about it is verified yet. Cosignatures are added by pushing to `signatures`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    /// The signed text with its final newline.
    pub text: String,
    /// Signatures in their order.
    pub signatures: Vec<NoteSignature>,
}

impl SignedNote {
    /// Splits a note into text and signatures.
    ///
    /// # Errors
    /// See [`NoteError`].
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge);
        }
        // The last blank line separates; the text may hold blank lines of its own.
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::Text)?;
        if text.chars().any(|character| character != '\n' && character.is_control()) {
            return Err(NoteError::Text);
        }
        let lines = lines.strip_suffix('\n').ok_or(NoteError::SignatureLine)?;
        let signatures = lines.split('\n').map(parse_signature).collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(NoteError::TooLarge);
        }
        Ok(Self { text: format!("{text}\n"), signatures })
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| signature.fmt(formatter))
    }
}

fn parse_signature(line: &str) -> Result<NoteSignature, NoteError> {
    let (name, encoded) =
        line.strip_prefix("— ").and_then(|rest| rest.split_once(' ')).ok_or(NoteError::SignatureLine)?;
    check_name(name)?;
    let bytes = from_std64(encoded).ok_or(NoteError::SignatureLine)?;
    match bytes.split_first_chunk::<4>() {
        Some((key_id, signature)) if !signature.is_empty() => {
            Ok(NoteSignature { name: name.to_owned(), key_id: *key_id, signature: signature.to_vec() })
        }
        _ => Err(NoteError::SignatureLine),
    }
}

fn check_name(name: &str) -> Result<(), NoteError> {
    let usable = !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+');
    if usable { Ok(()) } else { Err(NoteError::Name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example key and note of golang.org/x/mod/sumdb/note, an implementation that is not ours.
    const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const NOTE: &str = concat!(
        "If you think cryptography is the answer to your problem,\n",
        "then you don't know what your problem is.\n\n",
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    );

    #[test]
    fn a_note_of_the_go_implementation_verifies() {
        let key = VerifierKey::parse(KEY).unwrap();
        let note = SignedNote::parse(NOTE).unwrap();
        let signature = &note.signatures[0];
        assert!(key.is_named_by(signature));
        assert!(key.verifies(note.text.as_bytes(), &signature.signature));
        assert_eq!(note.to_string(), NOTE);
        assert_eq!(key.to_string(), KEY);
    }

    #[test]
    fn malformed_keys_and_notes_are_refused() {
        for key in
            ["", "a+b", "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", &KEY[..KEY.len() - 4]]
        {
            assert!(VerifierKey::parse(key).is_err(), "{key}");
        }
        for note in [
            "",
            "text\n\n",
            "text\n\n— a b\n",
            "te\u{0}xt\n\n— a AAAAAAA=\n",
            "text\n\n- a AAAAAAA=\n",
            "text\n— a AAAAAAA=\n",
        ] {
            assert!(SignedNote::parse(note).is_err(), "{note}");
        }
        assert!(VerifierKey::new("a b", KeyAlgorithm::Ed25519, [0; 32]).is_err());
    }
}
