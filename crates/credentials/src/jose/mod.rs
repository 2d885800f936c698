//! JOSE as far as Tenure needs it: compact JWS (RFC 7515), JWK (RFC 7517), thumbprints (RFC 7638), JWT claims (RFC
//! 7519), by the advice of RFC 8725.

mod algorithm;
mod claims;
mod error;
mod jwk;
mod jwk_set;
mod jws;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use claims::{Claims, SKEW};
pub use error::JoseError;
pub use jwk::{Jwk, JwkError};
pub use jwk_set::{JwkSet, JwkSetError, MAX_KEYS, MAX_SET_BYTES};
pub use jws::{Jws, MAX_TOKEN_BYTES, Rules, Types, Unverified, read_unverified};

pub(crate) use claims::Period;
pub(crate) use jws::{sign_compact, signing_input_header};
