//! What identities live among: applications, environments, resources, third parties, needs, and what charters may name.

pub mod directory;
pub mod entitlements;
pub mod naming;
pub mod needs;
pub mod ownership;
pub mod references;
pub mod removal_groups;
pub mod templates;
pub mod third_party;
