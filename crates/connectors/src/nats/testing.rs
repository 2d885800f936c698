//! What the parsers of NATS make of bytes, for the tests that feed them with anything.

use bytes::BytesMut;
use serde_json::{Map, Value};

use super::account::Account;
use super::jwt;
use super::key::{Owner, Pair, is_public};
use super::login::Keys;
use super::session::said;

/// What a server says, one line each, where its bytes arrive so many at once; and how many are left of what isn't whole
/// yet. None where it isn't NATS.
pub fn wire(bytes: &[u8], at_once: usize) -> Option<(Vec<String>, usize)> {
    let (mut read, mut heard) = (BytesMut::new(), Vec::new());
    for part in bytes.chunks(at_once.max(1)) {
        read.extend_from_slice(part);
        while let Some(said) = said(&mut read).ok()? {
            heard.push(format!("{said:?}"));
        }
    }
    Some((heard, read.len()))
}

/// The claims of a JWT, whoever signed it.
pub fn claims(text: &str) -> Option<Value> {
    jwt::claims(text)
}

/// A JWT of an account, signed by the operator that these bytes are the seed of, and that operator's public key.
pub fn signed(seed: &[u8; 32], claims: Map<String, Value>) -> Option<(String, String)> {
    let pair = Pair::of_bytes(seed, Owner::Operator)?;
    Some((jwt::signed(&pair, claims, 7), pair.public()))
}

/// Whether one of these operators signed a JWT.
pub fn is_verified(text: &str, operators: &[String]) -> bool {
    jwt::verified(text, operators).is_ok()
}

/// The claims of an account as they are written anew, where nothing was changed of them.
pub fn rewritten(claims: Value, now: i64) -> Value {
    Account::of(claims).written(now).into()
}

/// Whether a text is a connection's login.
pub fn is_login(text: &str) -> bool {
    Keys::of(text).is_ok()
}

/// Whether a text is the public key of an operator, an account, a user.
pub fn is_key(text: &str) -> [bool; 3] {
    [Owner::Operator, Owner::Account, Owner::User].map(|owner| is_public(text, owner))
}
