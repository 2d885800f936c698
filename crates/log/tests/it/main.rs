//! The log through its public API, against an implementation that is not ours and against tampering.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail by panicking as the tests do")]

mod encoding;
mod support;
mod tampering;
mod tree;
