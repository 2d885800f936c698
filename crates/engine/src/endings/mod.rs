//! What ends along with something else.

pub mod deprecations;
pub mod drills;
pub mod need_end;
pub mod removals;
pub mod vendor_breach;
pub mod vendor_end;
