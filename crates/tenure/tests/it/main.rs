//! The product as its users meet it: the real binary, over HTTP and on the command line, on SQLite and on PostgreSQL.

#![expect(clippy::disallowed_methods, reason = "tests are at the edge: they measure, wait and make keys of their own")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests: what is missing or not as it should be is a failed test"
)]

mod browser;
mod world;

mod accepted;
mod agents;
mod ask_for_more;
mod attacks;
mod authzen;
mod campaigns;
mod cli;
mod cli_bulk;
mod cloud_sessions;
mod clusters;
mod console;
mod contract;
mod cuts;
mod deferrals;
mod delegation;
mod demo;
mod drills;
mod durability;
mod duties;
mod edge;
mod epochs;
mod exceptions;
mod findings;
mod four_eyes;
mod hardening;
mod holds;
mod issuers;
mod kernel;
mod lifecycle;
mod lists;
mod log;
mod mailbox;
mod matrix;
mod mcp;
mod metrics;
mod notify;
mod oauth;
#[cfg(feature = "otlp")]
mod otlp;
mod ownership;
mod passkeys;
mod peers;
mod people;
mod person_access;
mod places;
mod policy_cli;
mod posture;
mod presets;
mod requests;
mod roles;

mod rows;
mod search;
mod sender;
mod shared;
mod sign_in;
mod signals;
mod space;
mod stand_ins;
mod state;
mod target_logins;
mod targets;
mod timeline;
mod triggers;
mod upgrade;
mod usage;
