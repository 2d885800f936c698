//! The contract of every handler: what is taken from a request and what is answered.

pub(crate) mod api;
pub(crate) mod body;
pub(crate) mod challenge;
pub(crate) mod condition;
pub(crate) mod error;
pub(crate) mod list;
pub(crate) mod page;
pub(crate) mod query;
pub(crate) mod reply;
pub(crate) mod request_id;
pub(crate) mod source;
