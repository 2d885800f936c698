//! Authenticator data (WebAuthn §6.1).

use aws_lc_rs::digest::{SHA256, digest};

use super::cbor::Item;
use super::credential_id::MAX_CREDENTIAL_ID;
use super::error::WebauthnError;
use super::relying_party::RelyingParty;

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const ATTESTED: u8 = 0x40;
const EXTENSIONS: u8 = 0x80;

/// What an authenticator says, taken apart but not judged.
pub(super) struct AuthData<'a> {
    rp_id_hash: &'a [u8; 32],
    flags: u8,
    /// The signature counter.
    pub(super) counter: u32,
    /// The new credential, in a registration.
    pub(super) attested: Option<Attested<'a>>,
}

/// A new credential (§6.5.1).
pub(super) struct Attested<'a> {
    /// Its id.
    pub(super) credential_id: &'a [u8],
    /// Its public key as it was sent.
    pub(super) public_key: &'a [u8],
    /// The same, read.
    pub(super) key: Item<'a>,
}

impl<'a> AuthData<'a> {
    /// Takes the bytes apart; nothing may be left over.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (rp_id_hash, rest) = bytes.split_first_chunk::<32>()?;
        let (flags, rest) = rest.split_first()?;
        let (counter, mut rest) = rest.split_first_chunk::<4>()?;
        let attested = match flags & ATTESTED != 0 {
            true => Some(Attested::read(&mut rest)?),
            false => None,
        };
        if flags & EXTENSIONS != 0 {
            Item::read(&mut rest)?.pairs()?;
        }
        rest.is_empty().then_some(Self { rp_id_hash, flags: *flags, counter: u32::from_be_bytes(*counter), attested })
    }

    /// Whether the credential may leave its authenticator as a backup; fixed at registration.
    pub(super) const fn backup_eligible(&self) -> bool {
        self.flags & BACKUP_ELIGIBLE != 0
    }

    /// Demands our relying party.
    pub(super) fn is_for(&self, relying_party: &RelyingParty) -> Result<(), WebauthnError> {
        match digest(&SHA256, relying_party.id().as_bytes()).as_ref() == self.rp_id_hash {
            true => Ok(()),
            false => Err(WebauthnError::RelyingPartyWrong),
        }
    }

    /// Demands a user who is present and was verified, and backup flags that agree with each other.
    pub(super) const fn by_verified_user(&self) -> Result<(), WebauthnError> {
        if self.flags & USER_PRESENT == 0 {
            return Err(WebauthnError::UserNotPresent);
        }
        if self.flags & USER_VERIFIED == 0 {
            return Err(WebauthnError::UserNotVerified);
        }
        if self.flags & BACKED_UP != 0 && !self.backup_eligible() {
            return Err(WebauthnError::BackupFlagsWrong);
        }
        Ok(())
    }
}

impl<'a> Attested<'a> {
    fn read(bytes: &mut &'a [u8]) -> Option<Self> {
        let (_aaguid, rest) = bytes.split_first_chunk::<16>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        if length == 0 || length > MAX_CREDENTIAL_ID {
            return None;
        }
        let (credential_id, from_key) = rest.split_at_checked(length)?;
        let mut rest = from_key;
        let key = Item::read(&mut rest)?;
        let public_key = from_key.get(..from_key.len() - rest.len())?;
        *bytes = rest;
        Some(Self { credential_id, public_key, key })
    }
}
