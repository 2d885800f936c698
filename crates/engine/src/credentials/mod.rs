//! Credentials: issued, introspected, decided on, revoked, and each revocation confirmed.

pub mod api_keys;
pub mod decisions;
pub mod deprecated_use;
pub mod enforcer;
pub mod holds;
pub mod identity_caller;
pub mod introspection;
pub mod issuer_trial;
pub mod liveness;
mod login_troubles;
pub mod logins;
pub mod misuse;
pub mod receipts;
pub mod refusal_times;
pub mod revocation;
pub mod suspension;
pub mod token;
