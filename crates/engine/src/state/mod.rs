//! The state held against the log (S-2).

pub mod beside;
pub mod digest;
pub mod due;
pub mod verification;
pub mod verify;
