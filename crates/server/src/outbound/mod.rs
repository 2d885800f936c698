//! The engine's ports to the outside, over `tenure-outbound`, which holds the rules of everything outbound (S-17).

mod fetch;
mod mail;
mod push;
mod webhook;

pub use fetch::DocumentFetch;
pub use mail::MailNotify;
pub use push::{FilePush, WebhookPush};
pub use webhook::{WebhookError, WebhookNotify};
