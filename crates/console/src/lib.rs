//! The console's pages: a view of the API becomes HTML, and nothing else happens here.
//!
//! Every page is a struct with a template that askama checks at compile time. It is made of what the engine's use cases
//! gave the server, the same views as the API gives, so a page shows nothing that the API would not; it reads no store,
//! no clock and no configuration. Handlers, sessions and headers are `server/src/console/`.
//!
//! What somebody wrote gets into a page in one way only: through [`markup::Shown`], askama's escaper of this crate, which
//! also takes out what reorders or hides text. Pages run and load nothing but the files of [`assets`], so their policy
//! forbids everything else.
//!
//! All English stands in `templates/` and in [`text`]: another language is another copy of these two.

pub mod accepting;
pub mod access;
pub mod address;
pub mod agents;
pub mod assets;
pub mod breach;
pub mod demo;
pub mod deprecations;
pub mod directory;
pub mod door;
pub mod drift;
pub mod entry;
pub mod frame;
pub mod glass;
pub mod graph;
pub mod home;
pub mod identities;
pub mod identity;
pub mod leaving;
mod lineage;
pub mod list;
pub mod log;
pub mod markup;
pub mod plot;
pub mod policy;
pub mod problem;
pub mod records;
pub mod request;
pub mod requests;
pub mod reviews;
pub mod rules;
pub mod several;
pub mod sheet;
pub mod signals;
pub mod state;
pub mod stop;
pub mod system;
pub mod targets;
pub mod text;
pub mod views;
pub mod watch;
mod ways;
pub mod when;

pub use askama::Template;
