//! Defaults: the schema of the questions, and the policies that are in force until others are set.

/// The schema of the questions that Tenure asks.
pub const SCHEMA: &str = include_str!("../schema.cedarschema");

/// The policies that are in force until others are set.
pub const DEFAULT_POLICIES: &str = include_str!("../default.cedar");

/// The cases that show each default policy at work and at rest, for [`crate::bench::parse`].
pub const DEFAULT_CASES: &str = include_str!("../cases/default.json");
