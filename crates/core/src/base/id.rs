//! Typed, time-ordered identifiers.
//!
//! An id is a UUIDv7 (RFC 9562 §5.7) written as a prefix that names its type and 26 characters of
//! Crockford base32, which sort as the ids themselves do: `idn_01k9…`. An id of one type can't be given where
//! another is meant, and its text is the same in URLs, tokens, the log and the database.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::base::entropy::Entropy;
use crate::base::time::Timestamp;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const ENCODED: usize = 26;

/// The digit that each byte stands for; 255 if it stands for none.
#[expect(clippy::indexing_slicing, reason = "in a constant the compiler checks every index")]
const DIGITS: [u8; 256] = {
    let mut digits = [u8::MAX; 256];
    let mut digit = 0;
    while digit < ALPHABET.len() {
        digits[ALPHABET[digit] as usize] = digit as u8;
        digit += 1;
    }
    digits
};

/// What the characters after the prefix stand for: every row is full of them, so a digit is one look into a table.
fn decode(body: &str) -> Option<u128> {
    // 26 digits hold 130 bits: the first digit may carry only three.
    if body.len() != ENCODED || body.as_bytes().first().is_none_or(|first| *first > b'7') {
        return None;
    }
    let mut value: u128 = 0;
    for byte in body.as_bytes() {
        let digit = DIGITS.get(usize::from(*byte)).copied().filter(|digit| *digit < 32)?;
        value = (value << 5) | u128::from(digit);
    }
    Some(value)
}

/// What an id identifies; its prefix is part of the id's text.
pub trait IdKind {
    /// The prefix without its underscore.
    const PREFIX: &'static str;
    /// The name of such ids in schemas, e.g. `PersonId`.
    const NAME: &'static str;
}

/// An identifier of a `K`.
pub struct Id<K>(u128, PhantomData<fn() -> K>);

impl<K: IdKind> Id<K> {
    /// A fresh id: `now` in milliseconds in its first 48 bits, randomness in the rest.
    pub fn generate(now: Timestamp, entropy: &dyn Entropy) -> Self {
        let mut random = [0u8; 10];
        entropy.fill(&mut random);
        let millis = u64::try_from(now.as_micros() / 1_000).unwrap_or(0);
        let uuid = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
        Self(uuid.as_u128(), PhantomData)
    }

    /// The id before every id that is made at `at` or later: where a list of what is newer begins.
    pub fn floor(at: Timestamp) -> Self {
        let millis = u64::try_from(at.as_micros() / 1_000).unwrap_or(0);
        Self(u128::from(millis) << 80, PhantomData)
    }

    /// The id with these 128 bits.
    pub const fn from_u128(value: u128) -> Self {
        Self(value, PhantomData)
    }
    /// The number that it is.
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> std::hash::Hash for Id<K> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<K: IdKind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; ENCODED];
        let mut value = self.0;
        for slot in text.iter_mut().rev() {
            *slot = ALPHABET.get((value & 31) as usize).copied().unwrap_or(b'0');
            value >>= 5;
        }
        f.write_str(K::PREFIX)?;
        f.write_str("_")?;
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl<K: IdKind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is no id of the wanted type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id like {prefix}_ followed by 26 characters of lower-case base32")]
pub struct BadId {
    /// The prefix that was wanted.
    pub prefix: &'static str,
}

impl<K: IdKind> FromStr for Id<K> {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let body = text.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('_'));
        let value = body.and_then(decode).ok_or(BadId { prefix: K::PREFIX })?;
        Ok(Self(value, PhantomData))
    }
}

impl<K: IdKind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: IdKind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl<K: IdKind> JsonSchema for Id<K> {
    fn schema_name() -> Cow<'static, str> {
        K::NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": format!("^{}_[0-7][0-9a-hjkmnp-tv-z]{{{}}}$", K::PREFIX, ENCODED - 1)})
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $kind:ident, $alias:ident, $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $kind {}
        impl IdKind for $kind {
            const PREFIX: &'static str = $prefix;
            const NAME: &'static str = stringify!($alias);
        }
        $(#[$doc])*
        pub type $alias = Id<$kind>;
    )*};
}

ids! {
    /// An identity with a lifecycle.
    IdentityKind, IdentityId, "idn";
    /// A person.
    PersonKind, PersonId, "per";
    /// An application that identities belong to.
    ApplicationKind, ApplicationId, "app";
    /// A resource that entitlements are on.
    ResourceKind, ResourceId, "res";
    /// A way in which a workload proves that it is an identity.
    BindingKind, BindingId, "bnd";
    /// A registered external issuer of proofs.
    IssuerKind, IssuerId, "iss";
    /// An entitlement held for a bounded time.
    GrantKind, GrantId, "gra";
    /// A credential; the `jti` of an access token.
    CredentialKind, CredentialId, "crd";
    /// A receipt of a revocation.
    ReceiptKind, ReceiptId, "rct";
    /// An event; the first of a changeset is its commit id.
    EventKind, EventId, "evt";
    /// A signing key.
    SigningKeyKind, SigningKeyId, "key";
    /// An operator token, which stands for a named person until sign-in exists (S-7).
    OperatorTokenKind, OperatorTokenId, "opt";
    /// A one-time join token (S-15).
    JoinTokenKind, JoinTokenId, "jnt";
    /// A team of people.
    TeamKind, TeamId, "tea";
    /// A vendor: a third party that operates integrations.
    VendorKind, VendorId, "ven";
    /// A cloud account that identities are bound to.
    CloudAccountKind, CloudAccountId, "cla";
    /// A business need, such as a project or a contract, that identities serve.
    NeedKind, NeedId, "nee";
    /// A request that is approved, denied or lapses.
    RequestKind, RequestId, "req";
    /// A waived control.
    ExceptionKind, ExceptionId, "exc";
    /// A rule that something breaks.
    FindingKind, FindingId, "fin";
    /// A review of an access.
    ReviewKind, ReviewId, "rvw";
    /// A transfer of an identity to another owner.
    TransferKind, TransferId, "tra";
    /// An entitlement that a person holds for a bounded time.
    PersonGrantKind, PersonGrantId, "pgr";
    /// A person's sign-in session.
    SessionKind, SessionId, "ses";
    /// A person's passkey.
    PasskeyKind, PasskeyId, "pky";
    /// A one-time invitation with which a person binds their sign-in.
    InvitationKind, InvitationId, "inv";
    /// A provider that people sign in with.
    SignInProviderKind, SignInProviderId, "sip";
    /// A difference between an authoritative source and the inventory.
    DifferenceKind, DifferenceId, "dif";
    /// A policy set, proposed or in force.
    PolicySetKind, PolicySetId, "pol";
    /// A registered source of signals.
    SourceKind, SourceId, "src";
    /// A signal.
    SignalKind, SignalId, "sig";
    /// A removal.
    RemovalKind, RemovalId, "rem";
    /// A use of access that is exceptional by itself.
    ExceptionalAccessKind, ExceptionalAccessId, "exa";
    /// A target system.
    TargetKind, TargetId, "tgt";
    /// An account at a target.
    AccountKind, AccountId, "acc";
    /// A saved view of the inventory.
    ViewKind, ViewId, "viw";
    /// A difference between what a target has and what was approved.
    DriftKind, DriftId, "drf";
    /// What a list from elsewhere says of an account that nothing here can see.
    SightingKind, SightingId, "sgt";
    /// A campaign of reviews.
    CampaignKind, CampaignId, "cmp";
    /// A break-glass access of an identity.
    BreakGlassKind, BreakGlassId, "bgl";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::entropy::SeededEntropy;

    #[test]
    fn text_round_trips_and_sorts_by_time() {
        let entropy = SeededEntropy::new(7);
        let early = IdentityId::generate(Timestamp::from_micros(1_000_000), &entropy);
        let late = IdentityId::generate(Timestamp::from_micros(2_000_000_000), &entropy);
        assert_eq!(early.to_string().parse::<IdentityId>(), Ok(early));
        assert!(early.to_string() < late.to_string());
    }

    #[test]
    fn another_types_id_is_refused() {
        let id = PersonId::from_u128(5).to_string();
        assert!(id.parse::<IdentityId>().is_err());
        assert!("idn_8zzzzzzzzzzzzzzzzzzzzzzzzz".parse::<IdentityId>().is_err());
        assert!("idn_".parse::<IdentityId>().is_err());
        assert!("idn_0000000000000000000000000I".parse::<IdentityId>().is_err());
    }
}
