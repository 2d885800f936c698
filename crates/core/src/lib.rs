//! The domain of Tenure, without I/O: what an identity is, when it may act, what ends it.
//!
//! Everything here is a pure function of its arguments. Time and entropy come in as parameters
//! ([`time::Clock`], [`entropy::Entropy`] are ports that the edge implements), state comes in as rows
//! that a [`port::Store`] loaded, and what is decided goes out as a [`changeset::Changeset`].
//! Only [`gate`] makes the [`gate::Permit`] that every signer demands.

pub mod application;
pub mod backchannel;
pub mod binding;
pub mod changeset;
pub mod claim;
pub mod credential;
pub mod delegation;
pub mod difference;
pub mod entropy;
pub mod environment;
pub mod epoch;
pub mod event;
pub mod exception;
pub mod exceptional;
pub mod finding;
pub mod floor;
pub mod gate;
pub mod grant;
pub mod id;
pub mod identity;
pub mod issuer;
pub mod liveness;
pub mod naming;
pub mod person;
pub mod person_grant;
pub mod placed;
pub mod policy;
pub mod policy_set;
pub mod port;
pub mod problem;
pub mod receipt;
pub mod removal;
pub mod request;
pub mod resource;
pub mod review;
pub mod row;
pub mod scope;
pub mod secret;
pub mod sign_in;
pub mod signal;
pub mod signing_key;
pub mod state_digest;
pub mod team;
pub mod template;
pub mod text;
pub mod third_party;
pub mod time;
pub mod transfer;
pub mod uri;
