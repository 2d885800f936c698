//! The state held against the log (S-2).

pub mod beside;
pub mod digest;
pub mod due;
mod log_index;
mod said;
pub mod verification;
pub mod verify;
