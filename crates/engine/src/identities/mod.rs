//! Non-human identities: registered, changed, watched and ended.

pub mod bindings;
pub mod census;
pub mod charter;
pub mod consumer_end;
pub mod consumers;
pub mod contexts;
pub mod debt;
pub mod deferral;
pub mod dormancy;
pub mod enrolment;
pub mod findings;
pub mod grants;
pub mod identity_facts;
pub mod lifecycle;
pub mod looks;
pub mod nightly;
pub mod posture;
pub mod registration;
pub mod removability;
pub mod renewals;
pub mod review_opening;
pub mod silence;
pub mod usage;
pub mod view;
pub mod why;
