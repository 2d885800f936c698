//! The domain of Tenure, without I/O: what an identity is, when it may act, what ends it.
//!
//! Everything here is a pure function of its arguments. Time and entropy come in as parameters
//! ([`base::time::Clock`], [`base::entropy::Entropy`] are ports that the edge implements), state comes in as rows
//! that a [`store::port::Store`] loaded, and what is decided goes out as a [`store::changeset::Changeset`].
//! Only [`credential::gate`] makes the [`credential::gate::Permit`] that every signer demands.

pub mod base;
pub mod credential;
pub mod finding;
pub mod identity;
pub mod inventory;
pub mod people;
pub mod policy;
pub mod request;
pub mod signal;
pub mod store;
pub mod target;
pub mod trust;
