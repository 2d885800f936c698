//! What identities work with: applications, environments, resources, third parties.

pub mod application;
pub mod deprecation;
pub mod entitlement;
pub mod environment;
pub mod resource;
pub mod third_party;
