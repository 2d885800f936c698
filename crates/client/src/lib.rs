//! A typed client of Tenure's HTTP API: one method for each endpoint, problems as values, and the proofs that a
//! workload signs.
//!
//! The client never follows redirects, so that a token goes only where it was meant to go, and it repeats no request by
//! itself; only the event feed resumes after an interruption. If the process has chosen no rustls crypto provider,
//! aws-lc becomes its default.
//!
//! ```no_run
//! # async fn example() -> Result<(), tenure_client::ClientError> {
//! use tenure_client::{Client, ListQuery};
//!
//! let client = Client::builder("http://localhost:8420").token("tnr_op_…").build()?;
//! for identity in client.identities(&ListQuery::new().filter("state", "active")).await?.items {
//!     println!("{} {}", identity.record.id, identity.record.name);
//! }
//! # Ok(())
//! # }
//! ```

pub mod assertion;
mod backchannel;
mod break_glass;
mod client;
mod deprecations;
mod directory;
pub mod dpop;
mod drift;
mod error;
mod events;
mod exceptions;
mod identities;
mod log;
mod logins;
mod oauth;
mod people;
mod person_access;
mod removals;
mod requests;
mod reviews;
mod revocations;
mod saved_views;
mod sign_in;
mod signals;
mod targets;
mod third_party;
mod transport;

pub use backchannel::{AccessAsk, AccessWaits, ClientProof};
pub use client::{Builder, Client, ListQuery};
pub use error::{ClientError, OAuthFailure};
pub use events::EventStream;
pub use log::Export;
pub use logins::{LoginReply, LoginRequest};
pub use oauth::{TokenProof, TokenRequest};
pub use revocations::TenureKeys;
pub use tenure_api::log::{ConsistencyProof, FaultyRow, FeedActor, FeedEvent, InclusionProof, StateFault, StateReport};
