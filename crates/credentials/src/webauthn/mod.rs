//! Passkeys: the relying party's half of Web Authentication Level 3, as strict as Tenure's use of it allows.
//!
//! One way is served and everything else refused: discoverable credentials with user verification, ES256 or EdDSA keys,
//! no trust in attestation, one origin and no embedding in other sites. [`verify_registration`] is §7.1 of the
//! specification and [`verify_assertion`] is §7.2. What the caller has to know beside them (was this challenge used
//! before, whose is this credential) stands in the caller's commit. [`Flows`] keeps a ceremony's challenge at the
//! client, under a MAC, so that beginning one costs the server no memory.

mod assertion;
mod auth_data;
mod cbor;
mod client_data;
mod cose;
mod credential_id;
mod error;
mod flow;
mod registration;
mod relying_party;

pub use assertion::{Assertion, verify_assertion};
pub use credential_id::{MAX_CREDENTIAL_ID, credential_hash, decode};
pub use error::WebauthnError;
pub use flow::{Flow, Flows, Purpose};
pub use registration::{Credential, Registration, verify_registration};
pub use relying_party::RelyingParty;

/// Algorithms that are offered and accepted, best first, as COSE numbers (RFC 9053 §2): EdDSA, ES256.
pub const ALGORITHMS: [i64; 2] = [cose::EDDSA, cose::ES256];
