//! What is trusted to speak for others.

pub mod issuers;
pub mod records;
pub mod reviews;
