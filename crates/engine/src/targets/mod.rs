//! Targets: systems with accounts of their own. They are registered by two people, looked through by connectors, and
//! what becomes of an identity is done to its accounts there.
//!
//! Nothing here is told what to do: [`enforcement`] works out from an identity what each of its accounts should be,
//! [`acting`] does it at the target and reads it back, [`scanning`] finds what is there, [`logins`] makes what was asked for
//! just in time and ends it, and [`proving`] tries what was ended, and a canary in the place of what a drill rehearses ([`rehearsing`]). Each is work that falls due,
//! begun again from what the store and the target say whenever it was interrupted.

pub mod accounts;
pub mod acting;
pub mod drift;
pub(crate) mod drift_acts;
pub mod enforcement;
pub mod gone;
pub mod intake;
pub(crate) mod logins;
pub mod narrowing;
pub(crate) mod proving;
pub(crate) mod reach;
mod rehearsing;
pub mod rotation;
pub mod scanning;
pub mod suggestions;
pub mod systems;

#[cfg(test)]
mod tests;
