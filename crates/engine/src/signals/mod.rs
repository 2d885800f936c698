//! What the outside says: received, understood, and followed.

pub mod effects;
pub mod reception;
pub mod rhythm;
pub mod sources;
pub mod workloads;
