//! The log, what is held against it, and what is told from it.

pub mod contradiction;
pub mod epochs;
pub mod indexing;
pub mod notifications;
pub mod outbox;
pub mod places;
pub mod push;
pub mod reading;
pub mod seal;
pub mod sealer;
pub mod timeline;
