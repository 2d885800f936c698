//! The one way out of the process (S-17): requests over HTTP, and mail.
//!
//! What names an address is often somebody else's text, so a caller must not become its author's way into the
//! operator's network. A request resolves its host once, checks every address of it, connects to those and no others,
//! follows no redirect, and is bounded in size and in time: [`Outbound`]. What speaks another protocol than HTTP has its
//! connection from there, too, by the same rule: [`Line`]. Mail goes to one server of the operator's,
//! encrypted: [`Mailer`]. The crate knows no port of any use case; whoever has one implements it over these two.

mod address;
mod answer;
mod authorities;
mod client;
mod destination;
mod error;
mod line;
mod mail;
mod webhook;

pub use address::{Cidr, CidrError};
pub use answer::Answer;
pub use authorities::Authorities;
pub use client::{Call, Outbound};
pub use destination::Destination;
pub use error::OutboundError;
pub use line::Line;
pub use mail::{Mail, MailError, MailFailure, MailSettings, MailTls, Mailer};
pub use webhook::{WebhookKey, WebhookKeyError};
