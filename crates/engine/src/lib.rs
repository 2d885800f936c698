//! Use cases: each loads what its decision needs, asks the policy, lets `core` decide, and commits.
//!
//! They are functions over the [`Kernel`], in rooms by subject. Imports run one way (`cargo xtask layers` holds them to
//! it): `kernel < trust < people < inventory < credentials < requests < identities < access < matters < reviews < endings <
//! signals < run`; `log` sees `kernel` and `trust`. What falls due is decided purely in the `plan` of its subject, and
//! worked off by [`run`].

pub mod access;
pub mod credentials;
pub mod endings;
pub mod identities;
pub mod inventory;
pub mod kernel;
pub mod log;
pub mod matters;
pub mod people;
pub mod requests;
pub mod reviews;
pub mod run;
pub mod signals;
pub mod state;
pub mod targets;
pub mod trust;

pub use kernel::{Kernel, Ports, Settings};
pub use log::epochs::Begun;
pub use log::places::KeptEpochs;
