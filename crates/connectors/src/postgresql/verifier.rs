//! What a server keeps of a password: a verifier by SCRAM-SHA-256 (RFC 5802, RFC 7677, in the form of RFC 5803). It gets
//! that alone, so that a secret stands in no log of its statements.

use std::borrow::Cow;
use std::num::NonZeroU32;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use aws_lc_rs::{digest, pbkdf2, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::ConnectorError;

use crate::place::Place;

/// The option by which an endpoint has another number of iterations than [`USUAL`].
pub(super) const OPTION: &str = "scram_iterations";
/// The least that RFC 7677 §4 recommends, and that some clients take.
const USUAL: u32 = 4_096;
/// The most that an endpoint may have: what one login costs is bounded.
const MOST: u32 = 100_000;

/// How often a password is hashed at an endpoint.
pub(super) fn iterations(place: &Place<'_>) -> Result<NonZeroU32, ConnectorError> {
    let Some(option) = place.option(OPTION) else { return Ok(NonZeroU32::new(USUAL).unwrap_or(NonZeroU32::MIN)) };
    let number = option.parse().ok().filter(|number: &NonZeroU32| number.get() <= MOST);
    number.ok_or_else(|| {
        ConnectorError::Misconfigured(format!("the option {OPTION} is a number of iterations from 1 to {MOST}"))
    })
}

/// The verifier of a secret.
#[expect(clippy::disallowed_methods, reason = "a salt is nobody's secret, and nothing is decided by it")]
pub(super) fn verifier(secret: &Secret<String>, iterations: NonZeroU32) -> Result<String, ConnectorError> {
    let secret = secret.expose();
    if secret.is_empty() {
        return Err(ConnectorError::Unable("no login is made with an empty secret: it would have none".to_owned()));
    }
    // As the server and its clients do: what SASLprep (RFC 4013) prohibits is taken as it is.
    let password = stringprep::saslprep(secret).unwrap_or(Cow::Borrowed(secret));
    let mut salt = [0; 16];
    rand::fill(&mut salt).map_err(|_| ConnectorError::Unable("there is no randomness for a salt".to_owned()))?;
    Ok(salted(&password, &salt, iterations))
}

fn salted(password: &str, salt: &[u8], iterations: NonZeroU32) -> String {
    let mut salted = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password.as_bytes(), &mut salted);
    let key = Key::new(HMAC_SHA256, &salted);
    let stored = digest::digest(&digest::SHA256, sign(&key, b"Client Key").as_ref());
    let (salt, stored) = (STANDARD.encode(salt), STANDARD.encode(stored));
    format!("SCRAM-SHA-256${iterations}:{salt}${stored}:{}", STANDARD.encode(sign(&key, b"Server Key")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677 §3: with its salt and password, the server's key signs what the RFC's server signs, and the
    /// client's proof leads to the stored key.
    #[test]
    fn a_verifier_is_that_of_the_rfcs_exchange() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = salted("pencil", &salt, NonZeroU32::new(4_096).unwrap());
        let (head, keys) = verifier.rsplit_once('$').unwrap();
        assert_eq!(head, "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==");
        let (stored, server) = keys.split_once(':').unwrap();
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let message =
            format!("n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}");
        let signed = |key: &[u8]| sign(&Key::new(HMAC_SHA256, key), message.as_bytes());
        let server = signed(&STANDARD.decode(server).unwrap());
        assert_eq!(STANDARD.encode(server), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        let proof = STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        let stored = STANDARD.decode(stored).unwrap();
        let client: Vec<u8> =
            proof.iter().zip(signed(&stored).as_ref()).map(|(proof, signed)| proof ^ signed).collect();
        assert_eq!(digest::digest(&digest::SHA256, &client).as_ref(), stored);
    }

    #[test]
    fn an_empty_secret_is_refused() {
        let made = verifier(&Secret::new(String::new()), NonZeroU32::MIN);
        assert!(matches!(made, Err(ConnectorError::Unable(_))), "{made:?}");
    }
}
