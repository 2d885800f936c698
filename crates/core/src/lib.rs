//! The domain of Tenure, without I/O: what an identity is, when it may act, what ends it.
//!
//! Everything here is a pure function of its arguments. Time and entropy come in as parameters
//! ([`time::Clock`], [`entropy::Entropy`] are ports that the edge implements), state comes in as rows
//! that a [`port::Store`] loaded, and what is decided goes out as a [`changeset::Changeset`].
//! Only [`gate`] makes the [`gate::Permit`] that every signer demands.

pub mod application;
pub mod binding;
pub mod changeset;
pub mod credential;
pub mod entropy;
pub mod environment;
pub mod event;
pub mod gate;
pub mod grant;
pub mod id;
pub mod identity;
pub mod issuer;
pub mod liveness;
pub mod person;
pub mod policy;
pub mod port;
pub mod problem;
pub mod receipt;
pub mod resource;
pub mod row;
pub mod scope;
pub mod secret;
pub mod sign_in;
pub mod signing_key;
pub mod time;
