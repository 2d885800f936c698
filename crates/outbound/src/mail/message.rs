//! Messages (RFC 5322). What one says about itself is made from an address that was parsed and from words that were
//! encoded (RFC 2047), never put together as text, so that nothing in it can become a header or a second recipient.

use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox};
use lettre::{Address, Message};
use tenure_core::base::text;
use tenure_core::base::time::Timestamp;

use super::failure::MailFailure;

/// A message to one person.
pub struct Mail<'a> {
    /// The part of its id before the sender's domain. A second sending under the same id is dropped by mail stores as a
    /// duplicate.
    pub id: String,
    /// The person's name.
    pub name: Option<&'a str>,
    /// The person's address, e.g. `zoe@example.com`; nothing is sent without one.
    pub address: Option<&'a str>,
    /// When it was written.
    pub at: Timestamp,
    /// The subject.
    pub subject: &'a str,
    /// Plain text of several lines, ended by `\n` alone.
    pub text: &'a str,
}

/// The message as it is sent.
pub(super) fn of(from: &Mailbox, mail: &Mail<'_>) -> Result<Message, MailFailure> {
    let refused = |why: &str| MailFailure::Refused(why.to_owned());
    let address: Address = mail
        .address
        .and_then(|address| address.parse().ok())
        .ok_or_else(|| refused("the person's e-mail is no address that mail can be sent to"))?;
    let name = mail.name.map(|name| text::line(name).into_owned());
    let seconds = u64::try_from(mail.at.as_secs()).unwrap_or(0);
    let body = mail.text.replace('\n', "\r\n");
    let body = Body::new_with_encoding(body, ContentTransferEncoding::QuotedPrintable)
        .map_err(|_| refused("its text can't be encoded"))?;
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(name, address))
        .subject(mail.subject)
        .message_id(Some(format!("<{}@{}>", mail.id, from.email.domain())))
        .date(UNIX_EPOCH + Duration::from_secs(seconds))
        .header(Automatic)
        .header(ContentType::TEXT_PLAIN)
        .body(body)
        .map_err(|_| refused("no message can be made of it"))
}

/// Keeps absence notes and the like from answering (RFC 3834).
#[derive(Clone)]
struct Automatic;

impl Header for Automatic {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_message_becomes_a_header_or_a_recipient() {
        let from: Mailbox = "Tenure <tenure@example.com>".parse().unwrap();
        let mut mail = Mail {
            id: "evt_1.per_7".into(),
            name: Some("Zoë \"Z\" O'Neil\r\nBcc: eve@example.com, <eve@example.com>"),
            address: Some("zoe@example.com"),
            at: Timestamp::from_secs(1_800_000_000),
            subject: "Approve: ünï\r\nBcc: eve@example.com",
            text: "one\n.\ntwo\n<script>alert(1)</script>",
        };
        let made = of(&from, &mail).unwrap();
        assert_eq!(made.envelope().to(), ["zoe@example.com".parse().unwrap()]);
        let text = String::from_utf8(made.formatted()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(!head.lines().any(|line| line.to_ascii_lowercase().starts_with("bcc")), "{head}");
        assert!(head.contains("Message-ID: <evt_1.per_7@example.com>"), "{head}");
        assert!(head.contains("Auto-Submitted: auto-generated") && head.contains("Content-Type: text/plain"), "{head}");
        assert!(body.starts_with("one\r\n.\r\ntwo\r\n<script>"), "{body}");
        for bad in [
            "",
            "zoe",
            "zoe@example.com, eve@example.com",
            "zoe@example.com\r\nRCPT TO:<eve@example.com>",
            "<zoe@example.com>",
        ] {
            mail.address = Some(bad);
            assert!(matches!(of(&from, &mail), Err(MailFailure::Refused(_))), "{bad:?}");
        }
    }
}
