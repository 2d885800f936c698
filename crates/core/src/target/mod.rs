//! Targets: systems that keep accounts of their own, which Tenure brings in, gives an owner and an end, and ends there.
//!
//! A [`system::TargetSystem`] is registered by one administrator and confirmed by another. Its accounts are found by a
//! connector ([`connector::Connector`], the port) and kept as [`account::Account`]s, each with the identity that it
//! belongs to. What an account should be follows from that identity alone ([`account::Account::wanted`]); workers read
//! the target again before each act, and hold what it says against it afterwards.

pub mod account;
pub mod connector;
pub mod drift;
pub mod login;
pub mod open_trust;
pub mod rotation;
pub mod sighting;
pub mod suggestion;
pub mod system;
