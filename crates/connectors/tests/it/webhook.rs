//! A system that no connector knows, behind the endpoint that the documentation shows (`examples/webhook-target`).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tenure_connectors::Builtin;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::store::port::BoxFuture;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{
    Ability, Connector, ConnectorError, Connectors, Ending, Endpoint, Found, Mode, NewAccount, Probe, ProofWorth,
    Reach, SeenAccount, TargetKind, TargetLogin,
};
use tenure_outbound::{Authorities, Call, Destination, OutboundError, WebhookKey};

use crate::conformance::{self, Site};
use crate::places::{PATIENCE, builtin, ca, endpoint, fresh, login, mine, outbound, reach, said};
use crate::strangers;

const KIND: &str = "webhook";

struct Legacy {
    connector: Keyed,
    endpoint: Endpoint,
    logins: [TargetLogin; 4],
}

async fn post(
    url: &str,
    authorities: &Authorities,
    headers: HeaderMap,
    body: &Value,
) -> Result<(u16, Value), OutboundError> {
    let to: Destination = url.parse()?;
    let body = Some(body.to_string().into_bytes());
    let patience = Duration::from_secs(30);
    let call = Call { method: Method::POST, authorities, headers, body, patience, limit: 1 << 26 };
    let answer = outbound().call(&to, call).await?;
    Ok((answer.status.as_u16(), serde_json::from_slice(&answer.body.unwrap()).unwrap_or(Value::Null)))
}

fn trusted() -> Authorities {
    Authorities::from_pem(&ca()).unwrap()
}

/// Runs statements as the system's administrator.
async fn sql(statements: &Value) -> Value {
    let mut headers = HeaderMap::new();
    let bearer = format!("Bearer {}", said(KIND, "secret"));
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&bearer).unwrap());
    let (status, told) = post(&format!("{}/sql", said(KIND, "system")), &trusted(), headers, statements).await.unwrap();
    assert_eq!(status, 200, "{statements}");
    told
}

/// Signs in to the system as its users do.
async fn sign_in(login: &TargetLogin) -> Value {
    let body = json!({ "name": login.name, "password": login.secret.expose() });
    post(&format!("{}/sign-in", said(KIND, "system")), &trusted(), HeaderMap::new(), &body).await.unwrap().1
}

/// A secret as endpoints have them, of any text.
fn whsec(text: &str) -> Secret<String> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    Secret::new(format!("whsec_{}", STANDARD.encode(digest)))
}

/// The connector, whose logins the shared assertions have by any text, and beside which users sign in to the system: the
/// connector itself tries nothing.
#[derive(Debug)]
struct Keyed(Builtin);

impl Keyed {
    fn inner(&self) -> &dyn Connector {
        self.0.of(TargetKind::Webhook).unwrap()
    }
}

/// A reach with the same login as endpoints have it.
macro_rules! keyed {
    ($reach:ident, $inner:ident, $asks:expr) => {
        Box::pin(async move {
            let login = TargetLogin { secret: whsec($reach.login.secret.expose()), ..$reach.login.clone() };
            let $inner = Reach { login: &login, ..*$reach };
            $asks.await
        })
    };
}

impl Connector for Keyed {
    fn kind(&self) -> TargetKind {
        self.inner().kind()
    }
    fn abilities(&self) -> &'static [Ability] {
        self.inner().abilities()
    }
    fn proof(&self) -> ProofWorth {
        self.inner().proof()
    }
    fn rights(&self, mode: Mode) -> &'static str {
        self.inner().rights(mode)
    }
    fn check(&self, endpoint: &Endpoint) -> Result<(), ConnectorError> {
        self.inner().check(endpoint)
    }
    fn whoami<'a>(&'a self, reach: &'a Reach<'a>) -> BoxFuture<'a, Result<Vec<String>, ConnectorError>> {
        keyed!(reach, own, self.inner().whoami(&own))
    }
    fn discover<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Found, ConnectorError>> {
        keyed!(reach, own, self.inner().discover(&own, after))
    }
    fn read<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<SeenAccount>, ConnectorError>> {
        keyed!(reach, own, self.inner().read(&own, key))
    }
    fn provision<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        account: &'a NewAccount<'a>,
    ) -> BoxFuture<'a, Result<SeenAccount, ConnectorError>> {
        keyed!(reach, own, self.inner().provision(&own, account))
    }
    fn rotate<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
        secret: &'a Secret<String>,
    ) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        keyed!(reach, own, self.inner().rotate(&own, key, secret))
    }
    fn hold<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        keyed!(reach, own, self.inner().hold(&own, key))
    }
    fn release<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<(), ConnectorError>> {
        keyed!(reach, own, self.inner().release(&own, key))
    }
    fn narrow<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
        keep: &'a [String],
    ) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        keyed!(reach, own, self.inner().narrow(&own, key, keep))
    }
    fn revoke<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        keyed!(reach, own, self.inner().revoke(&own, key))
    }
    /// Whether the endpoint is one is asked of it, and whether the login is one of the system.
    fn probe<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        login: &'a TargetLogin,
        patience: Span,
    ) -> BoxFuture<'a, Result<Probe, ConnectorError>> {
        Box::pin(async move {
            let unable = self.inner().probe(endpoint, login, patience).await;
            assert!(matches!(unable, Err(ConnectorError::Unable(_))), "{unable:?}");
            let us = TargetLogin { name: String::new(), secret: whsec(login.secret.expose()) };
            let us = Reach { endpoint, login: &us, mode: Mode::Observe, patience };
            if let Err(error @ ConnectorError::Unreachable(_)) = self.inner().whoami(&us).await {
                return Err(error);
            }
            let is_in = sign_in(login).await["in"] == true;
            Ok(if is_in { Probe::Accepted } else { Probe::Refused { words: "not in".to_owned() } })
        })
    }
}

impl Legacy {
    async fn start() -> Self {
        let connector = Keyed(builtin());
        let mut logins = Vec::new();
        for mode in Mode::ALL {
            logins.push(key(connector.rights(*mode)).await);
        }
        logins.push(key("list\n").await);
        Self { connector, endpoint: endpoint(KIND, &[]), logins: logins.try_into().unwrap() }
    }
}

/// A secret that may ask for what these lines say, and an account of the endpoint's own.
async fn key(lines: &str) -> TargetLogin {
    let (name, text) = (fresh("connector"), fresh("connectors-Secret"));
    sql(&json!([["INSERT INTO users (name) VALUES (?)", [name]]])).await;
    let may: Vec<&str> = lines.lines().filter(|line| !line.starts_with('#')).collect();
    let file = std::path::Path::new(&said(KIND, "keys")).join(&name);
    // Whole, or not at all: others read the folder meanwhile.
    let written = std::env::temp_dir().join(&name);
    std::fs::write(&written, format!("{}\n{}\n", whsec(&text).expose(), may.join("\n"))).unwrap();
    std::fs::copy(&written, file.with_extension("new")).unwrap();
    std::fs::rename(file.with_extension("new"), file).unwrap();
    std::fs::remove_file(written).unwrap();
    login(&name, &text)
}

impl Site for Legacy {
    type Session = ();

    fn connector(&self) -> &dyn Connector {
        &self.connector
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
        ["orders.read", "orders.write"].map(str::to_owned)
    }
    async fn may(&self, login: &TargetLogin, grant: &str) -> bool {
        sign_in(login).await["may"].as_array().is_some_and(|may| may.iter().any(|right| right == grant))
    }
    async fn open(&self, _login: &TargetLogin) -> Option<()> {
        None
    }
    async fn is_open(&self, _session: &mut ()) -> bool {
        false
    }
    async fn by_people(&self, name: &str, secret: &str) {
        sql(&json!([["INSERT INTO users (name, password, owner) VALUES (?, ?, 'Ada')", [name, secret]]])).await;
    }
    async fn crowd(&self, number: usize) {
        let name = fresh("crowd");
        let insert = |i| json!(["INSERT INTO users (name) VALUES (?)", [format!("{name}_{i}")]]);
        sql(&Value::from_iter((0..number).map(insert))).await;
    }
    async fn contents(&self) -> String {
        let users = "SELECT * FROM users LEFT JOIN grants ON user = id WHERE users.name LIKE ? ORDER BY id";
        sql(&json!([[users, [format!("%{}%", mine())]]])).await.to_string()
    }
}

#[tokio::test]
async fn an_account_lives_and_ends() {
    conformance::life(&Legacy::start().await).await;
}

#[tokio::test]
async fn observing_writes_nothing_and_tells_all() {
    conformance::observes(&Legacy::start().await).await;
}

#[tokio::test]
async fn the_least_rights_are_enough_and_less_is_not() {
    conformance::rights(&Legacy::start().await).await;
}

#[tokio::test]
async fn names_of_others_and_our_own_login_are_let_alone() {
    let site = Legacy::start().await;
    conformance::taken(&site).await;
    conformance::ourselves(&site).await;
    conformance::unauthorized(&site).await;
}

#[tokio::test]
async fn hostile_names_stay_names() {
    let site = Legacy::start().await;
    let names = ["tenure'); DROP TABLE users; --", "tenureü漢😀", "a b", "", "a\u{0}b", "a\nb", "%", "a:b", " "];
    conformance::hostile_names(&site, &names).await;
}

#[tokio::test]
async fn strangers_and_dead_ports_are_no_refusal() {
    let connector = Keyed(builtin());
    let at = |port| format!("http://127.0.0.1:{port}/tenure");
    let half =
        b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 900\r\n\r\n{\"id\":\"msg_1\",\"error\":{\"code\":\"unauthor";
    strangers::unreachable(&connector, &endpoint(KIND, &[]), at, half, "1").await;
    for said in [
        &b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 14\r\n\r\n<html>no</html"[..],
        b"HTTP/1.1 200 OK\r\ncontent-length: 36\r\n\r\n{\"id\":\"msg_1\",\"data\":{\"account\":null}}",
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}",
    ] {
        let port = strangers::stranger(strangers::Manner::Says(said)).await;
        let place = Endpoint { url: at(port), ca: None, plaintext: true, ..endpoint(KIND, &[]) };
        let us = login("", "x");
        let read = connector.read(&reach(&place, &us, Mode::End), "1").await;
        assert!(matches!(read, Err(ConnectorError::Unreachable(_))), "{read:?}");
    }
}

/// What people stopped, no release of ours lets in; and every ending says whose word it is.
#[tokio::test]
async fn endings_are_called_the_endpoints_word_and_what_people_stopped_stays_stopped() {
    let site = Legacy::start().await;
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    for active in [1, 0] {
        let name = fresh("peoples");
        let insert = "INSERT INTO users (name, password, active) VALUES (?, 'peoples-Secret', ?) RETURNING id";
        let key = sql(&json!([[insert, [name, active]]])).await[0][0][0].to_string();
        let ending = site.connector.hold(&end, &key).await.unwrap();
        assert!(ending.words.starts_with("the endpoint's word: "), "{ending:?}");
        assert!(sign_in(&login(&name, "peoples-Secret")).await["in"] == false);
        site.connector.release(&end, &key).await.unwrap();
        assert_eq!(sign_in(&login(&name, "peoples-Secret")).await["in"], active == 1);
    }
    assert_eq!(site.connector.proof(), ProofWorth::Word);
}

/// A message counts once and for minutes, as it was signed: what is sent again, late or otherwise is refused.
#[tokio::test]
async fn what_is_replayed_late_or_changed_is_refused() {
    let site = Legacy::start().await;
    let own = site.login(Mode::Issue);
    let key = WebhookKey::new(&whsec(own.secret.expose())).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let now = i64::try_from(now).unwrap();
    let list = json!({ "type": "list", "data": { "after": null } });
    let signed = |id: &str, at: i64| key.headers(id, Timestamp::from_secs(at), &list.to_string()).unwrap();
    let send = async |headers: HeaderMap, body: &Value| {
        let (status, told) = post(&site.endpoint.url, &trusted(), headers, body).await.unwrap();
        (status, told["error"]["code"].as_str().unwrap_or_default().to_owned())
    };
    let first = signed(&fresh("msg_"), now);
    assert_eq!(send(first.clone(), &list).await, (200, String::new()));
    assert_eq!(send(first, &list).await, (409, "replayed".to_owned()));
    let unauthorized = (401, "unauthorized".to_owned());
    assert_eq!(send(signed(&fresh("msg_"), now - 400), &list).await, unauthorized);
    assert_eq!(send(signed(&fresh("msg_"), now + 400), &list).await, unauthorized);
    let end = json!({ "type": "end", "data": { "key": "1" } });
    assert_eq!(send(signed(&fresh("msg_"), now), &end).await, unauthorized);
    let mut renamed = signed(&fresh("msg_"), now);
    renamed.insert(HeaderName::from_static("webhook-id"), HeaderValue::from_str(&fresh("msg_")).unwrap());
    assert_eq!(send(renamed, &list).await, unauthorized);
    assert_eq!(send(HeaderMap::new(), &list).await, unauthorized);
    // A secret that may only ask for the list may end nothing.
    let weaker = reach(&site.endpoint, site.weaker(), Mode::End);
    assert!(matches!(site.connector.read(&weaker, "1").await, Err(ConnectorError::Unable(_))));
    let plain = reach(&site.endpoint, own, Mode::End);
    let misconfigured = site.connector.inner().whoami(&Reach { patience: PATIENCE, ..plain }).await;
    assert!(matches!(misconfigured, Err(ConnectorError::Misconfigured(_))), "a secret of another form is none");
}
