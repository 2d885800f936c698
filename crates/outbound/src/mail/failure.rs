//! Why a message wasn't sent.

use std::error::Error as _;
use std::io;

use lettre::transport::smtp::Error;

/// Why a message was not sent, in our words: the server's own may hold the person's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailFailure {
    /// The server can't be reached, or takes nothing now.
    #[error("{0}")]
    Later(String),
    /// The server works and doesn't take this message, or none can be made of it.
    #[error("refused: {0}")]
    Refused(String),
}

/// What a failed delivery says.
pub(super) fn said(error: &Error) -> MailFailure {
    let Some(code) = error.status() else {
        return MailFailure::Later(cause(error).to_owned());
    };
    let code = code.to_string();
    let why = format!("the mail server answered {code}");
    // A refused sign-in (RFC 4954) or a server that takes no mail at all says nothing about this message.
    let of_this_message = error.is_permanent() && !matches!(code.as_str(), "521" | "530" | "534" | "535" | "538");
    if of_this_message { MailFailure::Refused(why) } else { MailFailure::Later(why) }
}

fn cause(error: &Error) -> &'static str {
    if error.is_timeout() {
        "the mail server took too long"
    } else if error.is_tls() || is_of_tls(error) {
        "no trusted TLS connection to the mail server"
    } else if error.is_client() {
        "the mail server lacks what the settings demand, such as STARTTLS or a way to sign in"
    } else if error.is_response() {
        "the mail server answered what is no SMTP"
    } else {
        "the mail server can't be reached"
    }
}

/// A failed handshake comes as an error of the connection, with its cause inside.
fn is_of_tls(error: &Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
            return true;
        }
        cause = error.source();
    }
    false
}
