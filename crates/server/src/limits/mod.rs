//! Limits of what is under way at once, and of how often strangers may try.

pub(crate) mod admission;
pub(crate) mod attempts;
pub(crate) mod budgets;
pub(crate) mod streams;
pub(crate) mod watched;
