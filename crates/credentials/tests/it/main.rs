//! The crate through its public API: published vectors, a foreign implementation on the other side, and attacks.

#![expect(clippy::disallowed_methods, reason = "tests are at the edge: they measure, wait and make keys of their own")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail as tests do")]

mod assertion;
mod attacks;
mod dpop;
mod external;
mod opaque;
mod random;
mod root;
mod signal;
mod support;
mod token;
mod vectors;
mod webauthn;
