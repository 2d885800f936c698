//! Notices by mail (RFC 5321, RFC 5322): plain text, one message a person.
//!
//! The connection is encrypted and the server's certificate checked, unless the server is on this machine. What a message says about
//! itself is made from an address that was parsed and from words that were encoded (RFC 2047), never put together as text, so that
//! nothing in a notice can become a header or a second recipient.

use std::error::Error as _;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use lettre::address::AddressError;
use lettre::message::header::{ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::{Error, PoolConfig};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use serde::Deserialize;
use tenure_core::store::port::BoxFuture;
use tenure_core::store::secret::Secret;
use tenure_engine::kernel::notice::{Notice, Notify, Recipient, Undelivered};

/// For connecting, and for each answer of the server.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections kept to the server.
const CONNECTIONS: u32 = 8;
const NAME: &str = "Tenure";

/// How the connection to the mail server is encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailTls {
    /// By STARTTLS, which the server must offer (RFC 3207).
    #[default]
    Starttls,
    /// From its first byte (RFC 8314).
    Implicit,
    /// Not at all: only to a server on this machine.
    None,
}

/// Where mail goes.
#[derive(Debug)]
pub struct MailSettings {
    /// The mail server's name or address.
    pub host: String,
    /// Its port; 587, 465 or 25 if not given, by `tls`.
    pub port: Option<u16>,
    /// The sender's address, with or without a name.
    pub from: String,
    /// The name and the password to sign in with.
    pub login: Option<(String, Secret<String>)>,
    /// How the connection is encrypted.
    pub tls: MailTls,
}

/// Why mail can't be sent with these settings.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// Nothing may be sent to other machines in the clear.
    #[error("`mail.tls` is \"none\", but {0} is not this machine: use \"starttls\" or \"implicit\"")]
    Clear(String),
    /// The sender is no address.
    #[error("`mail.from` has to be an address such as tenure@example.com or \"Tenure <tenure@example.com>\": {0}")]
    From(AddressError),
    /// The host is no name.
    #[error("`mail.host` is no host name: {0}")]
    Host(String),
}

/// Sends notices through a mail server.
pub struct MailNotify {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl MailNotify {
    /// Sends through this server. Nothing is connected yet.
    ///
    /// # Errors
    /// See [`MailError`].
    pub fn new(settings: MailSettings) -> Result<Self, MailError> {
        let host = settings.host;
        if settings.tls == MailTls::None && !is_this_machine(&host) {
            return Err(MailError::Clear(host));
        }
        let mut from: Mailbox = settings.from.parse().map_err(MailError::From)?;
        from.name.get_or_insert_with(|| NAME.to_owned());
        let parameters = || TlsParameters::new(host.clone()).map_err(|error| MailError::Host(error.to_string()));
        let (tls, port) = match settings.tls {
            MailTls::Starttls => (Tls::Required(parameters()?), 587),
            MailTls::Implicit => (Tls::Wrapper(parameters()?), 465),
            MailTls::None => (Tls::None, 25),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .tls(tls)
            .port(settings.port.unwrap_or(port))
            .timeout(Some(PATIENCE))
            .pool_config(PoolConfig::new().max_size(CONNECTIONS));
        if let Some((name, password)) = settings.login {
            builder = builder.credentials(Credentials::new(name, password.expose().clone()));
        }
        Ok(Self {
            transport: builder.build(),
            from,
        })
    }

    async fn send(&self, notice: &Notice) -> Result<(), Undelivered> {
        for recipient in &notice.to {
            let message = message(&self.from, recipient, notice)?;
            self.transport.send(message).await.map_err(|error| said(&error))?;
        }
        Ok(())
    }
}

impl Notify for MailNotify {
    fn channel(&self) -> &'static str {
        "mail"
    }

    fn addresses_people(&self) -> bool {
        true
    }

    fn deliver<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), Undelivered>> {
        Box::pin(self.send(notice))
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn message(from: &Mailbox, to: &Recipient, notice: &Notice) -> Result<Message, Undelivered> {
    let refused = |why: &str| Undelivered::Refused(why.to_owned());
    let address: Address = to
        .email
        .as_deref()
        .and_then(|email| email.parse().ok())
        .ok_or_else(|| refused("the person's e-mail is no address that mail can be sent to"))?;
    let name = to.name.as_deref().map(|name| tenure_core::base::text::line(name).into_owned());
    let seconds = u64::try_from(notice.at.as_secs()).unwrap_or(0);
    // A second delivery of the same notice has the same id: mail stores drop it as a duplicate.
    let id = format!("<{}.{}@{}>", notice.id, to.person, from.email.domain());
    let body = Body::new_with_encoding(text(notice), ContentTransferEncoding::QuotedPrintable).map_err(|_| refused("its text can't be encoded"))?;
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(name, address))
        .subject(notice.title.clone())
        .message_id(Some(id))
        .date(UNIX_EPOCH + Duration::from_secs(seconds))
        .header(Automatic)
        .header(ContentType::TEXT_PLAIN)
        .body(body)
        .map_err(|_| refused("no message can be made of it"))
}

fn text(notice: &Notice) -> String {
    let mut text = notice.text.trim_end().to_owned();
    if let Some(link) = &notice.link {
        text.push_str(&format!("\n\n{link}"));
    }
    text.push_str(&format!("\n\n-- \n{NAME} tells you of {} at {} ({}).\n", notice.kind, notice.at, notice.id));
    text.replace('\n', "\r\n")
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

/// What happened, in our words: the server's own may hold the person's address.
fn said(error: &Error) -> Undelivered {
    let Some(code) = error.status() else {
        return Undelivered::Later(cause(error).to_owned());
    };
    let code = code.to_string();
    let why = format!("the mail server answered {code}");
    // A refused sign-in (RFC 4954) or a server that takes no mail at all says nothing about this message.
    let of_this_message = error.is_permanent() && !matches!(code.as_str(), "521" | "530" | "534" | "535" | "538");
    if of_this_message {
        Undelivered::Refused(why)
    } else {
        Undelivered::Later(why)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_core::base::id::PersonId;
    use tenure_core::base::time::Timestamp;

    fn settings(host: &str, tls: MailTls) -> MailSettings {
        MailSettings {
            host: host.into(),
            port: None,
            from: "tenure@example.com".into(),
            login: None,
            tls,
        }
    }

    #[tokio::test]
    async fn only_this_machine_is_spoken_to_in_the_clear() {
        for host in ["localhost", "127.0.0.1", "127.8.9.1", "::1"] {
            assert!(MailNotify::new(settings(host, MailTls::None)).is_ok(), "{host}");
        }
        for host in ["mail.example.com", "10.0.0.1", "localhost.example.com", "0.0.0.0"] {
            assert!(matches!(MailNotify::new(settings(host, MailTls::None)), Err(MailError::Clear(_))), "{host}");
        }
        let bent = MailSettings {
            from: "a@b\r\nBcc: c@d".into(),
            ..settings("localhost", MailTls::None)
        };
        assert!(matches!(MailNotify::new(bent), Err(MailError::From(_))));
    }

    #[test]
    fn nothing_in_a_notice_becomes_a_header_or_a_recipient() {
        let from: Mailbox = "Tenure <tenure@example.com>".parse().unwrap();
        let mut to = Recipient {
            person: PersonId::from_u128(7),
            name: Some("Zoë \"Z\" O'Neil\r\nBcc: eve@example.com, <eve@example.com>".into()),
            email: Some("zoe@example.com".into()),
        };
        let mut notice = Notice {
            id: "evt_1".into(),
            kind: "request.opened".into(),
            at: Timestamp::from_secs(1_800_000_000),
            title: "Approve: ünï\r\nBcc: eve@example.com".into(),
            text: "one\n.\ntwo\n<script>alert(1)</script>".into(),
            link: Some("https://t.example/v1/requests/req_1".into()),
            to: vec![],
            roles: vec![],
            subjects: vec![],
            data: serde_json::Map::new(),
        };
        let made = message(&from, &to, &notice).unwrap();
        assert_eq!(made.envelope().to(), ["zoe@example.com".parse().unwrap()]);
        let text = String::from_utf8(made.formatted()).unwrap();
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(!head.lines().any(|line| line.to_ascii_lowercase().starts_with("bcc")), "{head}");
        assert!(head.contains("Message-ID: <evt_1.per_00000000000000000000000007@example.com>"), "{head}");
        assert!(
            head.contains("Auto-Submitted: auto-generated") && head.contains("Content-Type: text/plain"),
            "{head}"
        );
        for bad in [
            "",
            "zoe",
            "zoe@example.com, eve@example.com",
            "zoe@example.com\r\nRCPT TO:<eve@example.com>",
            "<zoe@example.com>",
        ] {
            to.email = Some(bad.into());
            assert!(matches!(message(&from, &to, &notice), Err(Undelivered::Refused(_))), "{bad:?}");
        }
        notice.link = None;
        assert!(super::text(&notice).starts_with("one\r\n.\r\ntwo\r\n<script>"));
    }
}
