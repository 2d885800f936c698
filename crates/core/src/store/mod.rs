//! What a store keeps and promises: rows, changesets, events, floors and epochs, and the port that stores implement.

pub mod changeset;
pub mod document;
pub mod due;
pub mod epoch;
pub mod event;
pub mod event_kind;
pub mod floor;
pub mod idempotency;
pub mod log_index;
pub mod port;
pub mod row;
pub mod search;
pub mod secret;
pub mod state_digest;
pub mod term;
pub mod use_note;
