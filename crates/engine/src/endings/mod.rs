//! What ends along with something else.

pub mod removals;
