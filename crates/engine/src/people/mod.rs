//! People: how a secret becomes a caller, how they sign in, and how they join, move and leave.

pub mod cli_sign_in;
pub mod dates;
pub mod feed;
pub mod invitations;
pub mod joiner_checks;
pub mod oidc;
pub mod operator_tokens;
pub mod passkeys;
pub mod person;
pub mod reconcile;
pub mod setup;
pub mod sign_in;
pub mod sign_in_providers;
pub mod stand_ins;
pub mod teams;
pub mod views;
