//! A session at a NATS server, as far as a connector needs the protocol: connect, ask, be answered.
//!
//! The line is ours, and the client that there is for Rust dials by itself and again whenever it likes: so the few words
//! of the protocol stand here. A server greets without encryption, and is taken at its word for nothing but the number
//! that is to be signed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{Buf as _, BytesMut};
use data_encoding::BASE32_NOPAD;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tenure_core::target::connector::{ConnectorError, words};
use tenure_outbound::Outbound;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use super::login::Keys;
use crate::place::{MAX_ANSWER, Place, Wire, unreached};

/// The longest line and the longest message that are read, in bytes.
const MAX_LINE: usize = 64 << 10;
const MAX_MESSAGE: usize = 16 << 20;
/// How long other servers of a cluster are waited for once one has answered.
const SILENCE: Duration = Duration::from_millis(300);
/// Answers to one question that are read.
const MAX_SERVERS: usize = 1_000;
/// Connections that were made: no two of them listen in one place.
static MADE: AtomicU64 = AtomicU64::new(0);

/// A server that took a login.
pub(super) struct Session {
    line: Box<dyn Wire>,
    read: BytesMut,
    /// Where answers come: whoever else is of the system account asks there, too.
    inbox: String,
    asked: u64,
    /// The most servers that answered a question: for no more is waited.
    servers: usize,
}

/// What a server said to a login.
pub(super) enum Greeting {
    Accepted(Session),
    /// In its own words.
    Refused(String),
}

/// What a server sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Ping,
    Pong,
    /// What is of no use here.
    Nothing,
    /// A message to a subscription; with the status of one that nobody is there to answer.
    Message(u64, Vec<u8>, bool),
    Error(String),
}

fn strange(what: &str) -> ConnectorError {
    ConnectorError::Unreachable(format!("it answered, and not as NATS does: {}", words(what)))
}

fn broken(error: &std::io::Error) -> ConnectorError {
    ConnectorError::Unreachable(words(&error.to_string()))
}

impl Session {
    /// Connects with a login, which is read once there is a server of NATS to hand it in at.
    pub async fn connect(
        outbound: &Outbound,
        place: &Place<'_>,
        login: impl FnOnce() -> Result<Keys, ConnectorError>,
    ) -> Result<(Greeting, Keys), ConnectorError> {
        let tls = place.authorities.is_some();
        let line = outbound.dial(place.host(), place.port, tls, MAX_ANSWER).await.map_err(unreached)?;
        let mut session =
            Self { line: Box::new(line), read: BytesMut::new(), inbox: String::new(), asked: 0, servers: usize::MAX };
        let greeting = session.line().await?;
        let told = greeting.strip_prefix("INFO ").ok_or_else(|| strange("no INFO"))?;
        let told: Value = serde_json::from_str(told).map_err(|_| strange("INFO"))?;
        let nonce = told.get("nonce").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !session.read.is_empty() {
            // What is sent before the encryption isn't the server's.
            return Err(strange("more than INFO"));
        }
        if let Some(authorities) = &place.authorities {
            let name = ServerName::try_from(place.host().to_owned())
                .map_err(|_| ConnectorError::Misconfigured("the host is no name that a certificate has".to_owned()))?;
            let tls = TlsConnector::from(Arc::new(authorities.client_config().map_err(unreached)?));
            let stream = tls.connect(name, session.line).await;
            let stream = stream.map_err(|error| ConnectorError::Unreachable(words(&format!("TLS: {error}"))))?;
            session.line = Box::new(stream);
        }
        if nonce.is_empty() || nonce.len() > 256 || nonce.chars().any(char::is_control) {
            return Err(strange("it asks for no signature"));
        }
        let keys = login()?;
        let signature = keys.user.sign(nonce.as_bytes());
        let number = MADE.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let inbox = digest(&SHA256, &[b"tenure: an inbox\0", &number[..], &signature].concat());
        session.inbox = format!("_INBOX.{}", BASE32_NOPAD.encode(inbox.as_ref()));
        let connect = json!({
            "verbose": false, "pedantic": false, "tls_required": tls, "lang": "rust", "version": env!("CARGO_PKG_VERSION"),
            "name": "tenure", "protocol": 1, "headers": true, "no_responders": true,
            "jwt": keys.jwt, "sig": URL_SAFE_NO_PAD.encode(signature),
        });
        session.send(format!("CONNECT {connect}\r\nPING\r\n").as_bytes()).await?;
        match session.next(None).await? {
            Some(Said::Pong) => Ok((Greeting::Accepted(session), keys)),
            Some(Said::Error(said)) if is_refusal(&said) => Ok((Greeting::Refused(said), keys)),
            Some(Said::Error(said)) => Err(ConnectorError::Unreachable(said)),
            _ => Err(strange("a message that nobody asked for")),
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), ConnectorError> {
        self.line.write_all(bytes).await.map_err(|error| broken(&error))?;
        self.line.flush().await.map_err(|error| broken(&error))
    }

    async fn more(&mut self) -> Result<(), ConnectorError> {
        if self.line.read_buf(&mut self.read).await.map_err(|error| broken(&error))? == 0 {
            return Err(ConnectorError::Unreachable("it closed the connection".to_owned()));
        }
        Ok(())
    }

    async fn line(&mut self) -> Result<String, ConnectorError> {
        loop {
            if let Some(line) = line_of(&self.read)? {
                self.read.advance(line.len() + 2);
                return Ok(line);
            }
            self.more().await?;
        }
    }

    /// What it says next that means something here; none if it says nothing for so long.
    async fn next(&mut self, silence: Option<Duration>) -> Result<Option<Said>, ConnectorError> {
        loop {
            match said(&mut self.read)? {
                Some(Said::Ping) => self.send(b"PONG\r\n").await?,
                Some(Said::Nothing) => {}
                Some(said) => return Ok(Some(said)),
                None => match silence {
                    Some(silence) => match tokio::time::timeout(silence, self.more()).await {
                        Ok(more) => more?,
                        Err(_) => return Ok(None),
                    },
                    None => self.more().await?,
                },
            }
        }
    }

    /// What is answered to a question: the first answer, or those of every server that answers soon after it; nothing where
    /// nobody is asked by that.
    pub async fn ask(&mut self, subject: &str, question: &[u8], every: bool) -> Result<Vec<Vec<u8>>, ConnectorError> {
        self.asked += 1;
        let sid = self.asked;
        let to = format!("{}.{sid}", self.inbox);
        let head = format!("SUB {to} {sid}\r\nPUB {subject} {to} {}\r\n", question.len());
        self.send(&[head.as_bytes(), question, b"\r\n"].concat()).await?;
        let mut answers: Vec<Vec<u8>> = Vec::new();
        loop {
            let Some(said) = self.next((!answers.is_empty()).then_some(SILENCE)).await? else { break };
            match said {
                // Nobody is there to answer.
                Said::Message(to, _, true) if to == sid => break,
                Said::Message(to, answer, false) if to == sid => answers.push(answer),
                Said::Error(said) if said.starts_with("Permissions Violation") => {
                    return Err(ConnectorError::Rejected(said));
                }
                Said::Error(said) => return Err(ConnectorError::Unreachable(said)),
                Said::Message(..) | Said::Pong | Said::Ping | Said::Nothing => {}
            }
            if !every || answers.len() >= self.servers.min(MAX_SERVERS) {
                break;
            }
        }
        if every && (self.servers == usize::MAX || answers.len() > self.servers) {
            self.servers = answers.len().max(1);
        }
        self.send(format!("UNSUB {sid}\r\n").as_bytes()).await?;
        Ok(answers)
    }

    /// The data of what servers answer; an error of one of them is one.
    pub async fn data(&mut self, subject: &str, question: &Value, every: bool) -> Result<Vec<Value>, ConnectorError> {
        let question = if question.is_null() { String::new() } else { question.to_string() };
        let answers = self.ask(subject, question.as_bytes(), every).await?;
        answers
            .iter()
            .map(|answer| {
                let told: Value = serde_json::from_slice(answer).map_err(|_| strange("an answer that is no JSON"))?;
                match told.pointer("/error/description").and_then(Value::as_str) {
                    Some(said) => Err(ConnectorError::Rejected(words(said))),
                    None => Ok(told),
                }
            })
            .collect()
    }
}

/// The first line of what was read, once it is there.
fn line_of(read: &[u8]) -> Result<Option<String>, ConnectorError> {
    let line = read.windows(2).position(|two| two == b"\r\n").and_then(|end| read.get(..end));
    match line {
        Some(line) if line.len() > MAX_LINE => Err(strange("a line without end")),
        Some(line) => String::from_utf8(line.to_vec()).map(Some).map_err(|_| strange("a line that is no text")),
        None if read.len() > MAX_LINE => Err(strange("a line without end")),
        None => Ok(None),
    }
}

/// Takes what was said first out of what was read, once all of it is there.
pub(super) fn said(read: &mut BytesMut) -> Result<Option<Said>, ConnectorError> {
    let Some(line) = line_of(read)? else { return Ok(None) };
    let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
    let head = line.len() + 2;
    if !matches!(verb, "MSG" | "HMSG") {
        read.advance(head);
        return Ok(Some(match verb {
            "PING" => Said::Ping,
            "PONG" => Said::Pong,
            "INFO" | "+OK" => Said::Nothing,
            "-ERR" => Said::Error(words(rest.trim_matches('\''))),
            _ => return Err(strange(verb)),
        }));
    }
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |at: usize| fields.iter().rev().nth(at).and_then(|text| text.parse::<usize>().ok());
    let sid = fields.get(1).and_then(|sid| sid.parse().ok());
    let (Some(length), Some(sid)) = (number(0).filter(|length| *length <= MAX_MESSAGE), sid) else {
        return Err(strange("a message without its length, or too long"));
    };
    if read.len() < head + length + 2 {
        return Ok(None);
    }
    read.advance(head);
    let message = read.split_to(length);
    if read.split_to(2) != b"\r\n"[..] {
        return Err(strange("a message that is longer than it says"));
    }
    if verb == "MSG" {
        return Ok(Some(Said::Message(sid, message.to_vec(), false)));
    }
    let Some((headers, payload)) = number(1).and_then(|end| message.split_at_checked(end)) else {
        return Err(strange("a message whose head is longer than it"));
    };
    Ok(Some(Said::Message(sid, payload.to_vec(), headers.starts_with(b"NATS/1.0 503"))))
}

/// Whether it is said of the login itself, and not of the server, its account, or how many there are.
fn is_refusal(said: &str) -> bool {
    matches!(said, "Authorization Violation" | "User Authentication Revoked" | "User Authentication Expired")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_taken_whole_or_not_at_all() {
        let all = b"PING\r\nMSG a 7 b 3\r\n\r\nx\r\nHMSG a 8 16 18\r\nNATS/1.0 503\r\n\r\nhi\r\n-ERR 'no'\r\n";
        let (mut read, mut heard) = (BytesMut::new(), Vec::new());
        for byte in all {
            read.extend_from_slice(&[*byte]);
            heard.extend(said(&mut read).unwrap());
        }
        let expected = [
            Said::Ping,
            Said::Message(7, b"\r\nx".to_vec(), false),
            Said::Message(8, b"hi".to_vec(), true),
            Said::Error("no".to_owned()),
        ];
        assert_eq!(heard, expected);
        assert!(read.is_empty());
        for bad in [
            "MSG\r\n",
            "MSG a 1 x\r\n",
            "MSG a 1 99999999\r\n",
            "HMSG a 1 9 2\r\nab\r\n",
            "MSG a 1 1\r\nabc",
            "SMTP\r\n",
        ] {
            assert!(said(&mut BytesMut::from(bad)).is_err(), "{bad}");
        }
        assert!(said(&mut BytesMut::from(&vec![b'x'; MAX_LINE + 1][..])).is_err());
    }

    #[test]
    fn only_what_is_said_of_the_login_is_a_refusal() {
        assert!(is_refusal("Authorization Violation") && is_refusal("User Authentication Revoked"));
        for other in [
            "Account Authentication Expired",
            "Authentication Timeout",
            "maximum connections exceeded",
            "maximum account active connections exceeded",
            "Secure Connection - TLS Required",
            "Stale Connection",
        ] {
            assert!(!is_refusal(other), "{other}");
        }
    }
}
