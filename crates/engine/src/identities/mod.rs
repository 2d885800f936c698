//! Non-human identities: registered, changed, watched and ended.

pub mod bindings;
pub mod dormancy;
pub mod enrolment;
pub mod findings;
pub mod grants;
pub mod lifecycle;
pub mod posture;
pub mod registration;
pub mod renewals;
pub mod why;
