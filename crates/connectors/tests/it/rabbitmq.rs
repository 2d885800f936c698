//! RabbitMQ.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tenure_connectors::Builtin;
use tenure_core::target::connector::{Connector, ConnectorError, Connectors, Endpoint, Mode, TargetKind, TargetLogin};
use tenure_outbound::{Authorities, Call, Destination, Line};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::client::TlsStream;

use crate::conformance::{self, Site};
use crate::places::{PATIENCE, administrator, builtin, ca, endpoint, fresh, login, mine, outbound, port, reach, said};
use crate::strangers;

const KIND: &str = "rabbitmq";

struct Rabbit {
    builtin: Builtin,
    endpoint: Endpoint,
    logins: [TargetLogin; 4],
}

async fn call(method: Method, path: &[&str], body: Value) -> (u16, Value) {
    let base: Destination = format!("{}/api", said(KIND, "url")).parse().unwrap();
    let to = base.below(path.iter().copied(), &[]).unwrap();
    let us = administrator(KIND);
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, basic(&us.name, us.secret.expose()));
    let authorities = Authorities::from_pem(&ca()).unwrap();
    let body = (!body.is_null()).then(|| body.to_string().into_bytes());
    let call =
        Call { method, authorities: &authorities, headers, body, patience: Duration::from_secs(30), limit: 1 << 26 };
    let answer = outbound().call(&to, call).await.unwrap();
    (answer.status.as_u16(), serde_json::from_slice(&answer.body.unwrap()).unwrap_or(Value::Null))
}

fn basic(name: &str, secret: &str) -> HeaderValue {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{secret}"));
    HeaderValue::from_str(&format!("Basic {text}")).unwrap()
}

/// A connection as a program has it that sends and receives (AMQP 0-9-1).
struct Amqp {
    line: TlsStream<Line>,
    channels: u16,
}

fn short(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

impl Amqp {
    /// Logs in and opens the virtual host `/`.
    async fn open(login: &TargetLogin) -> Option<Self> {
        let line = outbound().dial("localhost", port(KIND, "amqp"), true, 1 << 20).await.unwrap();
        let tls = Authorities::from_pem(&ca()).unwrap().client_config().unwrap();
        let tls = tokio_rustls::TlsConnector::from(Arc::new(tls));
        let line = tls.connect(ServerName::try_from("localhost").unwrap(), line).await.unwrap();
        let mut amqp = Self { line, channels: 0 };
        amqp.line.write_all(b"AMQP\x00\x00\x09\x01").await.ok()?;
        amqp.method(0).await.filter(|method| *method == (10, 10))?;
        let response = format!("\0{}\0{}", login.name, login.secret.expose());
        let start = [vec![0; 4], short("PLAIN"), long(response.as_bytes()), short("en_US")].concat();
        amqp.send(0, (10, 11), &start).await?;
        amqp.method(0).await.filter(|method| *method == (10, 30))?;
        amqp.send(0, (10, 31), &[0, 16, 0, 1, 0, 0, 0, 0]).await?;
        amqp.send(0, (10, 40), &[short("/"), short(""), vec![0]].concat()).await?;
        amqp.method(0).await.filter(|method| *method == (10, 41))?;
        Some(amqp)
    }

    async fn send(&mut self, channel: u16, method: (u16, u16), arguments: &[u8]) -> Option<()> {
        let payload = [&method.0.to_be_bytes()[..], &method.1.to_be_bytes(), arguments].concat();
        let frame = [&[1][..], &channel.to_be_bytes(), &long(&payload), &[0xce]].concat();
        self.line.write_all(&frame).await.ok()?;
        self.line.flush().await.ok()
    }

    /// The next method on a channel; none when the connection is over, be it by a close of the server's.
    async fn method(&mut self, channel: u16) -> Option<(u16, u16)> {
        loop {
            let mut head = [0; 7];
            self.line.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
            let mut payload = vec![0; length + 1];
            self.line.read_exact(&mut payload).await.ok()?;
            if head[0] != 1 {
                continue;
            }
            let method = (u16::from_be_bytes([payload[0], payload[1]]), u16::from_be_bytes([payload[2], payload[3]]));
            if method == (10, 50) {
                return None;
            }
            if u16::from_be_bytes([head[1], head[2]]) == channel {
                return Some(method);
            }
        }
    }

    /// Whether another channel can be opened.
    async fn is_open(&mut self) -> bool {
        self.channels += 1;
        self.send(self.channels, (20, 10), &short("")).await.is_some()
            && self.method(self.channels).await == Some((20, 11))
    }
}

impl Rabbit {
    async fn start() -> Self {
        let builtin = builtin();
        let connector = builtin.of(TargetKind::Rabbitmq).unwrap();
        let mut logins = Vec::new();
        for mode in Mode::ALL {
            assert!(connector.rights(*mode).contains("set_user_tags LOGIN administrator"));
            let name = fresh("connector");
            let body = json!({ "password": "connectors-Secret", "tags": "administrator" });
            assert!(call(Method::PUT, &["users", &name], body).await.0 < 300);
            logins.push(login(&name, "connectors-Secret"));
        }
        let weaker = fresh("weaker");
        call(Method::PUT, &["users", &weaker], json!({ "password": "connectors-Secret", "tags": "monitoring" })).await;
        logins.push(login(&weaker, "connectors-Secret"));
        Self { builtin, endpoint: endpoint(KIND, &[]), logins: logins.try_into().unwrap() }
    }
}

impl Site for Rabbit {
    type Session = Amqp;

    fn connector(&self) -> &dyn Connector {
        self.builtin.of(TargetKind::Rabbitmq).unwrap()
    }
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
    fn login(&self, mode: Mode) -> &TargetLogin {
        &self.logins[mode as usize]
    }
    fn weaker(&self) -> &TargetLogin {
        &self.logins[3]
    }
    fn grants(&self) -> [String; 2] {
        ["READ .* ON VHOST /", "CONFIGURE .* ON VHOST /"].map(str::to_owned)
    }
    /// To declare a queue needs to configure it; to ask for one that there is needs to read nothing, so reading is asked
    /// by consuming from one that there is.
    async fn may(&self, login: &TargetLogin, grant: &str) -> bool {
        let queue = "tenure-conformance";
        call(Method::PUT, &["queues", "/", queue], json!({})).await;
        let Some(mut amqp) = Amqp::open(login).await else { return false };
        assert!(amqp.is_open().await);
        let (ask, answer, arguments) = if grant.starts_with("READ") {
            ((60, 20), (60, 21), [&[0, 0][..], &short(queue), &short(""), &[0b10], &[0; 4]].concat())
        } else {
            let name = fresh("queue");
            ((50, 10), (50, 11), [&[0, 0][..], &short(&name), &[0b1000], &[0; 4]].concat())
        };
        amqp.send(1, ask, &arguments).await.unwrap();
        amqp.method(1).await == Some(answer)
    }
    async fn open(&self, login: &TargetLogin) -> Option<Amqp> {
        let amqp = Amqp::open(login).await.expect("it may open the virtual host");
        Some(amqp)
    }
    async fn is_open(&self, session: &mut Amqp) -> bool {
        session.is_open().await
    }
    async fn by_people(&self, name: &str, secret: &str) {
        call(Method::PUT, &["users", name], json!({ "password": secret, "tags": "owner-ada" })).await;
    }
    async fn crowd(&self, number: usize) {
        let name = fresh("crowd");
        for i in 0..number {
            let body = json!({ "password_hash": "", "tags": "" });
            assert!(call(Method::PUT, &["users", &format!("{name}_{i}")], body).await.0 < 300);
        }
    }
    async fn contents(&self) -> String {
        let mine = mine();
        let mut text = String::new();
        for what in ["users", "permissions"] {
            for item in call(Method::GET, &[what], Value::Null).await.1.as_array().unwrap() {
                let item = item.to_string();
                if item.contains(&mine) {
                    text.push_str(&item);
                }
            }
        }
        text
    }
}

#[tokio::test]
async fn an_account_lives_and_ends() {
    conformance::life(&Rabbit::start().await).await;
}

#[tokio::test]
async fn observing_writes_nothing_and_tells_all() {
    conformance::observes(&Rabbit::start().await).await;
}

#[tokio::test]
async fn the_least_rights_are_enough_and_less_is_not() {
    conformance::rights(&Rabbit::start().await).await;
}

#[tokio::test]
async fn names_of_others_and_our_own_login_are_let_alone() {
    let site = Rabbit::start().await;
    conformance::taken(&site).await;
    conformance::ourselves(&site).await;
    conformance::unauthorized(&site).await;
}

#[tokio::test]
async fn hostile_names_stay_names() {
    let site = Rabbit::start().await;
    let names = [
        "tenure/../administrator",
        "tenure\"x'",
        "tenure%2Fa",
        "tenureü 漢😀",
        "..",
        ".",
        "",
        "a:b",
        "a\u{0}b",
        "tenure?x=1#y",
    ];
    conformance::hostile_names(&site, &names).await;
}

#[tokio::test]
async fn strangers_and_dead_ports_are_no_refusal() {
    let builtin = builtin();
    let half = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 90\r\n\r\n{\"error\":\"not_authorized\"";
    let connector = builtin.of(TargetKind::Rabbitmq).unwrap();
    strangers::unreachable(connector, &endpoint(KIND, &[]), |port| format!("http://127.0.0.1:{port}"), half, "a").await;
    let proxy = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 14\r\n\r\n<html>no</html";
    let port = strangers::stranger(strangers::Manner::Says(proxy)).await;
    let place = Endpoint { url: format!("http://127.0.0.1:{port}"), ca: None, plaintext: true, ..endpoint(KIND, &[]) };
    let probed = connector.probe(&place, &login("a", "b"), PATIENCE).await;
    assert!(matches!(probed, Err(ConnectorError::Unreachable(_))), "{probed:?}");
}

/// A hold is taken back without the secret, whatever hashed it; what people stopped stays stopped.
#[tokio::test]
async fn a_held_user_is_let_in_again_by_its_own_password() {
    let site = Rabbit::start().await;
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let (standing, stopped) = (fresh("standing"), fresh("stopped"));
    site.by_people(&standing, "peoples-Secret").await;
    call(Method::PUT, &["permissions", "/", &standing], json!({ "configure": "", "write": "", "read": ".*" })).await;
    call(Method::PUT, &["users", &stopped], json!({ "password_hash": "", "tags": "" })).await;
    for (name, comes_back) in [(&standing, true), (&stopped, false)] {
        let before = call(Method::GET, &["users", name], Value::Null).await.1;
        site.connector().hold(&end, name).await.unwrap();
        assert!(!site.connector().read(&end, name).await.unwrap().unwrap().enabled);
        assert!(Amqp::open(&login(name, "peoples-Secret")).await.is_none());
        site.connector().release(&end, name).await.unwrap();
        assert_eq!(call(Method::GET, &["users", name], Value::Null).await.1, before);
        assert_eq!(Amqp::open(&login(name, "peoples-Secret")).await.is_some(), comes_back, "{name}");
    }
}
