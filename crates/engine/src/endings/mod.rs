//! What ends along with something else.

pub mod needs;
pub mod removals;
pub mod vendors;
