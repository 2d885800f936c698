//! What goes over the wire: requests, replies and problems. No web framework, no decisions.
//!
//! Records of the domain (identities, receipts, …) are their own wire form; here is what only the API has.

pub mod log;
pub mod problem;
pub mod requests;
pub mod views;
