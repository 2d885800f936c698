//! Non-human identities: registered, changed, watched and ended.

pub mod bindings;
pub mod charter;
pub mod dormancy;
pub mod enrolment;
pub mod facts;
pub mod findings;
pub mod grants;
pub mod lifecycle;
pub mod posture;
pub mod registration;
pub mod renewals;
pub mod reviews;
pub mod tiers;
pub mod why;
