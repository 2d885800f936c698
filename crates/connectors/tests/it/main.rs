//! Every connector against its real server, by one list of assertions.
//!
//! `cargo xtask test -p tenure-connectors` starts the servers; `cargo xtask targets` keeps them for a day's work.

#![expect(clippy::disallowed_methods, reason = "tests are at the edge: where the servers are says the environment")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, also in its helpers"
)]

mod aws_iam;
mod conformance;
mod github;
mod gitlab;
mod ldap;
mod mariadb;
mod mosquitto;
mod nats;
mod openbao;
mod places;
mod postgresql;
mod rabbitmq;
mod redis;
mod scim;
mod stand_ins;
mod strangers;
mod webhook;
