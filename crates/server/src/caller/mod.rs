//! Who calls: what a request shows, and whom that proves.

pub(crate) mod cookie;
pub(crate) mod keys;
pub(crate) mod named;
pub(crate) mod operator;
