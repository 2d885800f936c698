//! Tokens shown once: `tnr_<kind>_<id><secret><checksum>`.
//!
//! Such a token selects whole on a double click, has a prefix that leak scanners can look for, and carries a checksum,
//! so that a scanner's false find and a typing error cost no look-up. Its id finds the record by key; the record holds
//! a keyed hash (S-5), so that neither a backup nor the database can make or test tokens.

use std::fmt;

use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use tenure_core::base::entropy::Entropy;
use tenure_core::base::id::{
    AccountId, CredentialId, EventId, Id, IdKind, InvitationId, JoinTokenId, OperatorTokenId, SessionId, SourceId,
};
use tenure_core::credential::Credential;
use tenure_core::credential::gate::Permit;
use tenure_core::store::port::Head;
use tenure_core::store::secret::{Pending, Secret};
use zeroize::Zeroizing;

use crate::encoding::{from_base64url, push_prefixed, to_base64url};
use crate::root::{RootKey, SealError};
use crate::signal::standard_secret;

/// What every such token begins with.
pub const PREFIX: &str = "tnr_";
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ID_LEN: usize = 26;
/// Randomness: 168 bits.
const SECRET_BYTES: usize = 21;
/// 62^29 is the first power of 62 above 2^168.
const SECRET_LEN: usize = 29;
/// 62^6 is above 2^32.
const CHECKSUM_LEN: usize = 6;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpaqueKind {
    /// Stands for a named person (S-7).
    Operator,
    /// Enrols a workload's key (S-15).
    Join,
    /// Sets up an empty deployment (S-10).
    Setup,
    /// A person's session (S-7).
    Session,
    /// Binds a person's first sign-in.
    Invitation,
    /// An identity's API key.
    ApiKey,
    /// Authenticates what a source of signals sends (S-12).
    Source,
    /// The password of a login made just in time (R58): a target takes it, and nobody here.
    Login,
}

impl OpaqueKind {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::Operator,
        Self::Join,
        Self::Setup,
        Self::Session,
        Self::Invitation,
        Self::ApiKey,
        Self::Source,
        Self::Login,
    ];

    /// The name in the token.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "op",
            Self::Join => "join",
            Self::Setup => "setup",
            Self::Session => "ses",
            Self::Invitation => "inv",
            Self::ApiKey => "key",
            Self::Source => "whk",
            Self::Login => "login",
        }
    }
}

/// Why a text is no such token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum OpaqueError {
    /// Not of the form.
    #[error("not a Tenure token; one begins with tnr_")]
    Malformed,
    /// The checksum is wrong: mistyped or cut off.
    #[error("the token is mistyped or incomplete")]
    ChecksumWrong,
}

/// A token that was read. It is not proven to be anybody's until [`OpaqueKeys::matches`] says so.
pub struct Parsed {
    kind: OpaqueKind,
    id: String,
    secret: Secret<String>,
}

impl Parsed {
    /// Reads a token, its checksum first.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Self, OpaqueError> {
        let rest = text.strip_prefix(PREFIX).ok_or(OpaqueError::Malformed)?;
        let (kind, tail) = rest.split_once('_').ok_or(OpaqueError::Malformed)?;
        let kind = *OpaqueKind::ALL.iter().find(|known| known.as_str() == kind).ok_or(OpaqueError::Malformed)?;
        if tail.len() != ID_LEN + SECRET_LEN + CHECKSUM_LEN || !tail.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(OpaqueError::Malformed);
        }
        let (body, checksum) = text.split_at_checked(text.len() - CHECKSUM_LEN).ok_or(OpaqueError::Malformed)?;
        if checksum_of(body) != checksum {
            return Err(OpaqueError::ChecksumWrong);
        }
        let (id, secret) = tail.split_at_checked(ID_LEN).ok_or(OpaqueError::Malformed)?;
        let secret = secret.get(..SECRET_LEN).ok_or(OpaqueError::Malformed)?;
        Ok(Self { kind, id: id.to_owned(), secret: Secret::new(secret.to_owned()) })
    }

    /// What it is for.
    pub const fn kind(&self) -> OpaqueKind {
        self.kind
    }

    /// The id of its record, if it is one of a `K`.
    pub fn id<K: IdKind>(&self) -> Option<Id<K>> {
        format!("{}_{}", K::PREFIX, self.id).parse().ok()
    }
}

impl fmt::Debug for Parsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parsed").field("kind", &self.kind).field("id", &self.id).finish_non_exhaustive()
    }
}

/// A new token and what is kept of it.
#[derive(Debug)]
pub struct Minted {
    /// The token, to be shown once, after the commit that records it (invariant 2).
    pub token: Pending<String>,
    /// The keyed hash for its record, base64url.
    pub hash: String,
}

/// A token that nothing records: of the set-up alone, and while there is no log that could.
#[derive(Debug)]
pub struct SetupToken {
    /// The token, to be shown once.
    pub token: Secret<String>,
    /// The keyed hash that it is held against, base64url.
    pub hash: String,
}

/// Makes and checks such tokens under a key that derives from the root key.
pub struct OpaqueKeys(Key);

impl OpaqueKeys {
    /// The keys of a deployment.
    pub fn new(root: &RootKey) -> Self {
        Self(Key::new(HMAC_SHA256, root.subkey("opaque token hash").expose()))
    }

    /// An operator token, for the record `id` that `commit` writes.
    pub fn operator_token(&self, id: OperatorTokenId, commit: EventId, entropy: &dyn Entropy) -> Minted {
        self.minted(OpaqueKind::Operator, id, commit, entropy)
    }

    /// A join token, for the record `id` that `commit` writes (S-15).
    pub fn join_token(&self, id: JoinTokenId, commit: EventId, entropy: &dyn Entropy) -> Minted {
        self.minted(OpaqueKind::Join, id, commit, entropy)
    }

    /// The secret of a session, for the record `id` that `commit` writes (S-7).
    pub fn session(&self, id: SessionId, commit: EventId, entropy: &dyn Entropy) -> Minted {
        self.minted(OpaqueKind::Session, id, commit, entropy)
    }

    /// The secret of an invitation, for the record `id` that `commit` writes (S-10).
    pub fn invitation(&self, id: InvitationId, commit: EventId, entropy: &dyn Entropy) -> Minted {
        self.minted(OpaqueKind::Invitation, id, commit, entropy)
    }

    /// A token by which a source of signals authenticates, for the record `id` that `commit` writes (S-12).
    pub fn source_token(&self, id: SourceId, commit: EventId, entropy: &dyn Entropy) -> Minted {
        self.minted(OpaqueKind::Source, id, commit, entropy)
    }

    /// A secret that a source of signals signs its deliveries with (S-12), for the record `id` that `commit` writes;
    /// that keeps it sealed, as the second part is. With `standard` it has the form of Standard Webhooks.
    ///
    /// # Errors
    /// It can't be sealed.
    pub fn signing_secret(
        &self,
        (root, label): (&RootKey, &str),
        id: SourceId,
        standard: bool,
        commit: EventId,
        entropy: &dyn Entropy,
    ) -> Result<(Pending<String>, String), SealError> {
        let secret = if standard { standard_secret(entropy) } else { self.mint(OpaqueKind::Source, id, entropy).0 };
        let sealed = root.seal(label, &id.to_string(), secret.expose().as_bytes(), entropy)?;
        Ok((Pending::new(secret, commit), sealed))
    }

    /// The API key that a permit of the gate allows, which it uses up (invariant 1); for the record that `commit`
    /// writes.
    pub fn api_key(&self, permit: Permit, commit: EventId, entropy: &dyn Entropy) -> (Minted, Credential) {
        let minted = self.minted(OpaqueKind::ApiKey, permit.credential(), commit, entropy);
        let record = Credential { hash: Some(minted.hash.clone()), ..permit.record() };
        (minted, record)
    }

    /// The password of the login that a permit of the gate allows, which it uses up (invariant 1): sealed, since it is
    /// handed out only once the login stands at its target.
    ///
    /// # Errors
    /// It can't be sealed.
    pub fn login(
        &self,
        (root, label): (&RootKey, &str),
        permit: Permit,
        entropy: &dyn Entropy,
    ) -> Result<(String, Credential), SealError> {
        let sealed = self.sealed_login((root, label), permit.credential(), entropy)?;
        Ok((sealed, permit.record()))
    }

    /// The password of a canary, sealed: it is tried beside a login that was ended, may do nothing, and is shown to nobody
    /// (S-18).
    ///
    /// # Errors
    /// It can't be sealed.
    pub fn canary(
        &self,
        (root, label): (&RootKey, &str),
        id: CredentialId,
        entropy: &dyn Entropy,
    ) -> Result<String, SealError> {
        self.sealed_login((root, label), id, entropy)
    }

    /// Another secret for an account at a target, to be sealed at once and shown once it is there (R34).
    pub fn account_secret(&self, id: AccountId, entropy: &dyn Entropy) -> Secret<String> {
        self.mint(OpaqueKind::Login, id, entropy).0
    }

    fn sealed_login(
        &self,
        (root, label): (&RootKey, &str),
        id: CredentialId,
        entropy: &dyn Entropy,
    ) -> Result<String, SealError> {
        let secret = self.mint(OpaqueKind::Login, id, entropy).0;
        root.seal(label, &id.to_string(), secret.expose().as_bytes(), entropy)
    }

    /// A set-up token. No commit records it, so it is made only while the log is empty (S-10).
    pub fn setup_token(&self, id: OperatorTokenId, head: Head, entropy: &dyn Entropy) -> Option<SetupToken> {
        (head.size == 0).then(|| {
            let (token, hash) = self.mint(OpaqueKind::Setup, id, entropy);
            SetupToken { token, hash }
        })
    }

    fn minted<K: IdKind>(&self, kind: OpaqueKind, id: Id<K>, commit: EventId, entropy: &dyn Entropy) -> Minted {
        let (token, hash) = self.mint(kind, id, entropy);
        Minted { token: Pending::new(token, commit), hash }
    }

    fn mint<K: IdKind>(&self, kind: OpaqueKind, id: Id<K>, entropy: &dyn Entropy) -> (Secret<String>, String) {
        let mut random = Zeroizing::new([0u8; SECRET_BYTES]);
        entropy.fill(random.as_mut());
        let secret = Secret::new(base62::<SECRET_LEN>(random.as_mut()));
        let id = id.to_string();
        let id = id.rsplit_once('_').map_or("", |(_, body)| body).to_owned();
        let mut token = String::with_capacity(PREFIX.len() + 8 + ID_LEN + SECRET_LEN + CHECKSUM_LEN);
        for part in [PREFIX, kind.as_str(), "_", &id, secret.expose()] {
            token.push_str(part);
        }
        let checksum = checksum_of(&token);
        token.push_str(&checksum);
        let hash = to_base64url(hmac::sign(&self.0, &hashed(kind, &id, secret.expose())).as_ref());
        (Secret::new(token), hash)
    }

    /// Whether the token is the one whose hash was kept; in constant time.
    pub fn matches(&self, token: &Parsed, hash: &str) -> bool {
        from_base64url(hash).is_some_and(|hash| {
            hmac::verify(&self.0, &hashed(token.kind, &token.id, token.secret.expose()), &hash).is_ok()
        })
    }
}

impl fmt::Debug for OpaqueKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpaqueKeys([redacted])")
    }
}

/// What is hashed: the kind and the id too, so that a hash moved to another record fits nothing.
fn hashed(kind: OpaqueKind, id: &str, secret: &str) -> Zeroizing<Vec<u8>> {
    let mut input = Zeroizing::new(Vec::with_capacity(128));
    for part in [kind.as_str(), id, secret] {
        push_prefixed(part.as_bytes(), &mut input);
    }
    input
}

fn checksum_of(body: &str) -> String {
    base62::<CHECKSUM_LEN>(&mut crc32(body.as_bytes()).to_be_bytes())
}

/// A big-endian number in base 62, `N` digits long; the number is used up.
fn base62<const N: usize>(number: &mut [u8]) -> String {
    let mut digits = Zeroizing::new([0u8; N]);
    for digit in digits.iter_mut().rev() {
        let mut rest = 0u32;
        for byte in number.iter_mut() {
            let value = rest << 8 | u32::from(*byte);
            *byte = (value / 62).to_be_bytes()[3];
            rest = value % 62;
        }
        *digit = BASE62.get(rest as usize).copied().unwrap_or(b'0');
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

/// CRC-32 as in zlib and PNG (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_published_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(base62::<CHECKSUM_LEN>(&mut u32::MAX.to_be_bytes()), "4gfFC3");
    }

    #[test]
    fn base62_is_positional() {
        assert_eq!(base62::<3>(&mut [0, 61]), "00z");
        assert_eq!(base62::<3>(&mut [0, 62]), "010");
        assert_eq!(base62::<SECRET_LEN>(&mut [0xff; SECRET_BYTES]).len(), SECRET_LEN);
    }
}
