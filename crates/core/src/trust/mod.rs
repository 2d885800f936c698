//! What is trusted from outside and what Tenure is trusted by: signing keys, external issuers, claims.

pub mod claim;
pub mod confirmation;
pub mod issuer;
pub mod signing_key;
pub mod state;
