//! How a request is routed and voted on, whatever it is about.

pub mod content;
pub mod eligible;
pub mod facts;
pub mod route;
pub mod stand_in;
pub mod vote;
