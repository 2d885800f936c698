//! Mail (RFC 5321): plain text, one message a person, through one server.
//!
//! The connection is encrypted and the server's certificate checked, unless the server is on this machine.

mod failure;
mod message;

use std::net::IpAddr;
use std::time::Duration;

use lettre::address::AddressError;
use lettre::message::Mailbox;
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use serde::Deserialize;
use tenure_core::store::secret::Secret;

pub use failure::MailFailure;
pub use message::Mail;

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

/// The sender of mail through one server.
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Mailer {
    /// A sender through this server. Nothing is connected yet.
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
        Ok(Self { transport: builder.build(), from })
    }

    /// Sends one message: the server has it once this returns.
    ///
    /// # Errors
    /// See [`MailFailure`].
    pub async fn send(&self, mail: &Mail<'_>) -> Result<(), MailFailure> {
        let message = message::of(&self.from, mail)?;
        self.transport.send(message).await.map_err(|error| failure::said(&error))?;
        Ok(())
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(host: &str, tls: MailTls) -> MailSettings {
        MailSettings { host: host.into(), port: None, from: "tenure@example.com".into(), login: None, tls }
    }

    #[tokio::test]
    async fn only_this_machine_is_spoken_to_in_the_clear() {
        for host in ["localhost", "127.0.0.1", "127.8.9.1", "::1"] {
            assert!(Mailer::new(settings(host, MailTls::None)).is_ok(), "{host}");
        }
        for host in ["mail.example.com", "10.0.0.1", "localhost.example.com", "0.0.0.0"] {
            assert!(matches!(Mailer::new(settings(host, MailTls::None)), Err(MailError::Clear(_))), "{host}");
        }
        let bent = MailSettings { from: "a@b\r\nBcc: c@d".into(), ..settings("localhost", MailTls::None) };
        assert!(matches!(Mailer::new(bent), Err(MailError::From(_))));
    }
}
