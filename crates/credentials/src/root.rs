//! The root key: 32 bytes that live apart from the database (S-5), from which every key at rest derives.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use tenure_core::base::entropy::Entropy;
use tenure_core::store::secret::Secret;
use zeroize::Zeroizing;

use crate::encoding::{from_base64url, push_prefixed, to_base64url};

/// Separates this derivation from every other use that somebody may make of the same 32 bytes.
const SALT: &[u8] = b"tenure root key v1";
const SEALED_VERSION: &str = "v1.";
/// The longest file that can hold a key as text.
const MAX_FILE: u64 = 128;

/// Why there is no root key.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyError {
    /// The file is not there.
    #[error("the root key file {0} does not exist")]
    Missing(PathBuf),
    /// The file can't be read or made.
    #[error("the root key file {path} can't be used")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A symbolic link, a directory or a device.
    #[error("the root key file {0} is not a regular file; symbolic links are not followed")]
    NotAFile(PathBuf),
    /// Others than its owner have a permission on it.
    #[error("the root key file {path} has mode {mode:04o}: others than its owner have access; run chmod 600 on it")]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Not 32 bytes in base64url or hex.
    #[error("the root key is not 32 bytes in base64url (43 characters) or hex (64 characters)")]
    Malformed,
}

/// Why a sealed value doesn't open, or a value can't be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Sealed under another root key, for another use or id, or altered.
    #[error("the sealed value does not open: it was sealed by another root key, for something else, or was altered")]
    DoesNotOpen,
    /// Of a version that this release doesn't know.
    #[error("the sealed value has a version that this release does not know")]
    UnknownVersion,
    /// Longer than the cipher allows.
    #[error("the value is too long to be sealed")]
    TooLong,
}

/// The root key. It derives others and is never shown.
pub struct RootKey(Prk);

impl RootKey {
    /// Reads the key from a file that only its owner has access to.
    ///
    /// # Errors
    /// The file is missing, a link, exposed, or holds something else.
    pub fn open_file(path: &Path) -> Result<Self, RootKeyError> {
        let io_error = |source| RootKeyError::Io { path: path.into(), source };
        let named = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(RootKeyError::Missing(path.into())),
            Err(e) => return Err(io_error(e)),
        };
        if !named.is_file() {
            return Err(RootKeyError::NotAFile(path.into()));
        }
        let file = File::open(path).map_err(io_error)?;
        let opened = file.metadata().map_err(io_error)?;
        // What was opened must be what was looked at: a link put there in between leads elsewhere.
        if (opened.dev(), opened.ino()) != (named.dev(), named.ino()) {
            return Err(RootKeyError::NotAFile(path.into()));
        }
        let mode = opened.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(RootKeyError::Exposed { path: path.into(), mode });
        }
        let mut text = Zeroizing::new(String::with_capacity(MAX_FILE as usize));
        file.take(MAX_FILE).read_to_string(&mut text).map_err(io_error)?;
        Self::from_text(&text)
    }

    /// Reads the key from a file, or makes the file with a fresh key (mode 0600, never over an existing one).
    ///
    /// # Errors
    /// As [`Self::open_file`], or the file can't be made.
    pub fn open_or_create_file(path: &Path, entropy: &dyn Entropy) -> Result<Self, RootKeyError> {
        match Self::open_file(path) {
            Err(RootKeyError::Missing(_)) => {}
            other => return other,
        }
        match create(path, entropy) {
            // Somebody else made it a moment ago: theirs counts.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => {
                return Err(RootKeyError::Io { path: path.into(), source });
            }
            Ok(()) => {}
        }
        Self::open_file(path)
    }

    /// Reads the key from text, as an environment variable holds it: 32 bytes in base64url or hex; one line end is
    /// ignored.
    ///
    /// # Errors
    /// [`RootKeyError::Malformed`].
    pub fn from_text(text: &str) -> Result<Self, RootKeyError> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let bytes = Zeroizing::new(
            if text.len() == 64 { from_hex(text) } else { from_base64url(text) }.ok_or(RootKeyError::Malformed)?,
        );
        if bytes.len() != 32 {
            return Err(RootKeyError::Malformed);
        }
        Ok(Self(Salt::new(HKDF_SHA256, SALT).extract(&bytes)))
    }

    /// The key for one use (HKDF-SHA256, RFC 5869).
    pub fn subkey(&self, label: &str) -> Secret<[u8; 32]> {
        self.derive("subkey", label)
    }

    /// Names this root key without giving it away: kept in the database, so that it is not opened with another key.
    pub fn fingerprint(&self) -> String {
        let derived = self.derive("fingerprint", "");
        to_base64url(derived.expose().get(..16).unwrap_or_default())
    }

    /// Seals a value (AES-256-GCM), bound to its use and to the id of what it belongs to.
    ///
    /// # Errors
    /// [`SealError::TooLong`]: beyond 64 GiB.
    pub fn seal(&self, label: &str, id: &str, plaintext: &[u8], entropy: &dyn Entropy) -> Result<String, SealError> {
        let mut nonce = [0u8; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut text = Zeroizing::new(plaintext.to_vec());
        let tag = self
            .sealing_key(label)?
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound_to(label, id)), &mut text)
            .map_err(|_| SealError::TooLong)?;
        let sealed = [nonce.as_slice(), text.as_slice(), tag.as_ref()].concat();
        Ok(format!("{SEALED_VERSION}{}", to_base64url(&sealed)))
    }

    /// Opens what was sealed for the same use and id.
    ///
    /// # Errors
    /// It doesn't open.
    pub fn open(&self, label: &str, id: &str, sealed: &str) -> Result<Secret<Vec<u8>>, SealError> {
        let body = sealed.strip_prefix(SEALED_VERSION).ok_or(SealError::UnknownVersion)?;
        let bytes = from_base64url(body).ok_or(SealError::DoesNotOpen)?;
        let (nonce, text) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(SealError::DoesNotOpen)?;
        let mut text = Zeroizing::new(text.to_vec());
        let opened = self
            .sealing_key(label)?
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(bound_to(label, id)), &mut text)
            .map_err(|_| SealError::DoesNotOpen)?;
        Ok(Secret::new(opened.to_vec()))
    }

    /// Opens a sealed text.
    ///
    /// # Errors
    /// It doesn't open, or is no text.
    pub fn open_text(&self, label: &str, id: &str, sealed: &str) -> Result<Secret<String>, SealError> {
        let opened = self.open(label, id, sealed)?;
        String::from_utf8(opened.expose().clone()).map(Secret::new).map_err(|_| SealError::DoesNotOpen)
    }

    /// Opens a sealed Ed25519 seed.
    ///
    /// # Errors
    /// It doesn't open, or is no seed.
    pub fn open_seed(&self, label: &str, id: &str, sealed: &str) -> Result<Secret<[u8; 32]>, SealError> {
        let opened = self.open(label, id, sealed)?;
        <[u8; 32]>::try_from(opened.expose().as_slice()).map(Secret::new).map_err(|_| SealError::DoesNotOpen)
    }

    fn sealing_key(&self, label: &str) -> Result<LessSafeKey, SealError> {
        let key = self.derive("seal", label);
        UnboundKey::new(&AES_256_GCM, key.expose()).map(LessSafeKey::new).map_err(|_| SealError::DoesNotOpen)
    }

    #[expect(
        clippy::expect_used,
        reason = "HKDF-SHA256 gives up to 8160 bytes; asking for 32 can't fail, and no key could stand in for the missing one"
    )]
    fn derive(&self, purpose: &str, label: &str) -> Secret<[u8; 32]> {
        let mut info = Vec::new();
        push_prefixed(purpose.as_bytes(), &mut info);
        push_prefixed(label.as_bytes(), &mut info);
        let mut key = Zeroizing::new([0u8; 32]);
        let info = [info.as_slice()];
        self.0.expand(&info, HKDF_SHA256).and_then(|okm| okm.fill(key.as_mut())).expect("32 bytes of HKDF output");
        Secret::new(*key)
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey([redacted])")
    }
}

fn bound_to(label: &str, id: &str) -> Vec<u8> {
    let mut aad = Vec::new();
    for part in [SEALED_VERSION, label, id] {
        push_prefixed(part.as_bytes(), &mut aad);
    }
    aad
}

fn create(path: &Path, entropy: &dyn Entropy) -> io::Result<()> {
    let mut key = Zeroizing::new([0u8; 32]);
    entropy.fill(key.as_mut());
    let mut text = Zeroizing::new(to_base64url(key.as_ref()));
    text.push('\n');
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    // The name must survive a crash too: what is sealed under a lost root key is lost.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}
