//! NATS: a server with an operator and a full resolver, and an account of its own for each test.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use data_encoding::BASE32_NOPAD;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tenure_connectors::Builtin;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::store::port::BoxFuture;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{
    Ability, Connector, ConnectorError, Connectors, Ending, Endpoint, Found, Mode, NewAccount, Probe, ProofWorth,
    Reach, SeenAccount, TargetKind, TargetLogin,
};
use tenure_outbound::{Authorities, Line};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio_rustls::client::TlsStream;

use crate::conformance::{self, Site};
use crate::places::{PATIENCE, builtin, ca, endpoint, fresh, login, outbound, reach, said};
use crate::strangers;

const KIND: &str = "nats";

/// A pair of keys, by the first byte of its public key's text before that is encoded.
struct Pair(u8, Vec<u8>, Ed25519KeyPair);

const OPERATOR: u8 = 14 << 3;
const ACCOUNT: u8 = 0;
const USER: u8 = 20 << 3;

fn text_of(bytes: &[u8]) -> String {
    let mut sum: u16 = 0;
    for byte in bytes {
        sum ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            sum = if sum >> 15 == 1 { sum << 1 ^ 0x1021 } else { sum << 1 };
        }
    }
    BASE32_NOPAD.encode(&[bytes, &sum.to_le_bytes()].concat())
}

impl Pair {
    /// The pair of a word.
    fn of(owner: u8, word: &str) -> Self {
        Self::raw(owner, digest(&SHA256, word.as_bytes()).as_ref())
    }

    fn raw(owner: u8, seed: &[u8]) -> Self {
        Self(owner, seed.to_vec(), Ed25519KeyPair::from_seed_unchecked(seed).unwrap())
    }

    fn of_seed(owner: u8, seed: &str) -> Self {
        Self::raw(owner, &BASE32_NOPAD.decode(seed.as_bytes()).unwrap()[2..34])
    }

    fn public(&self) -> String {
        text_of(&[&[self.0], self.2.public_key().as_ref()].concat())
    }

    fn seed(&self) -> String {
        text_of(&[&[18 << 3 | self.0 >> 5, (self.0 & 31) << 3], &self.1[..]].concat())
    }

    /// A JWT of a subject.
    fn jwt(&self, subject: &str, name: &str, issued: i64, nats: &Value) -> String {
        let claims = json!({ "jti": fresh("jti"), "iat": issued, "iss": self.public(), "sub": subject, "name": name, "nats": nats });
        let head = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
        let text = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = URL_SAFE_NO_PAD.encode(self.2.sign(text.as_bytes()));
        format!("{text}.{signature}")
    }

    /// A user's JWT, of an account whose signing key this is.
    fn user(&self, account: &str, user: &Self, name: &str, permissions: &[(&str, Value)]) -> String {
        let mut nats = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
        if self.public() != account {
            nats["issuer_account"] = account.into();
        }
        for (way, list) in permissions {
            nats[*way] = list.clone();
        }
        self.jwt(&user.public(), name, now(), &nats)
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs().cast_signed()
}

fn creds(jwt: &str, user: &Pair) -> String {
    format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
         ************************* IMPORTANT *************************\n\
         NKEYs are sensitive and should be treated as secrets.\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        user.seed()
    )
}

/// A client, by the protocol's own words.
struct Client(BufReader<TlsStream<Line>>, u32);

impl Client {
    async fn open(creds: &str) -> Result<Self, String> {
        let port: u16 = said(KIND, "url").rsplit_once(':').unwrap().1.parse().unwrap();
        let line = outbound().dial("localhost", port, true, 1 << 26).await.unwrap();
        let (mut line, mut info) = (line, Vec::new());
        while !info.ends_with(b"\r\n") {
            info.push(line.read_u8().await.unwrap());
        }
        let info: Value = serde_json::from_slice(&info[5..]).unwrap();
        let tls = Authorities::from_pem(&ca()).unwrap().client_config().unwrap();
        let tls = tokio_rustls::TlsConnector::from(Arc::new(tls));
        let stream = tls.connect(ServerName::try_from("localhost").unwrap(), line).await.unwrap();
        let jwt = creds.lines().find(|line| line.starts_with("eyJ")).unwrap();
        let user = Pair::of_seed(USER, creds.lines().find(|line| line.starts_with("SU")).unwrap());
        let sig = URL_SAFE_NO_PAD.encode(user.2.sign(info["nonce"].as_str().unwrap().as_bytes()));
        let mut client = Self(BufReader::new(stream), 0);
        let connect =
            json!({ "verbose": false, "lang": "test", "version": "1", "protocol": 1, "jwt": jwt, "sig": sig });
        client.send(&format!("CONNECT {connect}\r\nPING\r\n")).await;
        match client.line().await.unwrap_or_default() {
            line if line == "PONG" => Ok(client),
            line => Err(line),
        }
    }

    async fn send(&mut self, text: &str) {
        let _ = self.0.get_mut().write_all(text.as_bytes()).await;
        let _ = self.0.get_mut().flush().await;
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "PING" => self.send("PONG\r\n").await,
                line if line.starts_with("INFO") => {}
                line => return Some(line.to_owned()),
            }
        }
    }

    async fn ask(&mut self, subject: &str, payload: &str) -> String {
        self.1 += 1;
        let (sid, length) = (self.1, payload.len());
        self.send(&format!("SUB _INBOX.{sid} {sid}\r\nPUB {subject} _INBOX.{sid} {length}\r\n{payload}\r\n")).await;
        let line = self.line().await.unwrap();
        let length: usize = line.rsplit_once(' ').unwrap().1.parse().unwrap_or_else(|_| panic!("{line}"));
        let mut payload = vec![0; length + 2];
        self.0.read_exact(&mut payload).await.unwrap();
        String::from_utf8(payload[..length].to_vec()).unwrap()
    }

    /// Whether it may publish or subscribe, as a grant has it.
    async fn may(&mut self, grant: &str) -> bool {
        let (way, subject) = grant.split_once(':').unwrap();
        let asked = if way == "publish" { format!("PUB {subject} 0\r\n\r\n") } else { format!("SUB {subject} 99\r\n") };
        self.send(&format!("{asked}PING\r\n")).await;
        self.line().await.unwrap() == "PONG"
    }

    async fn is_open(&mut self) -> bool {
        self.send("PING\r\n").await;
        matches!(tokio::time::timeout(Duration::from_secs(5), self.line()).await, Ok(Some(line)) if line == "PONG")
    }
}

/// A user of the system account that may do everything.
async fn system() -> Client {
    let account = Pair::of_seed(ACCOUNT, &said(KIND, "system"));
    let user = Pair::of(USER, &fresh("system"));
    Client::open(&creds(&account.user(&account.public(), &user, "system", &[]), &user)).await.ok().unwrap()
}

fn operator() -> Pair {
    Pair::of_seed(OPERATOR, &said(KIND, "signing"))
}

fn limits() -> Value {
    json!({ "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1 })
}

struct Server {
    connector: Holder,
    endpoint: Endpoint,
    logins: [TargetLogin; 4],
    account: Pair,
    open: tokio::sync::Mutex<Vec<Client>>,
}

/// What whoever asks a connector keeps: what the holder of a login logs in with. Of one of whom nothing is known it makes
/// a login that nobody signed for.
#[derive(Debug)]
struct Holder {
    builtin: Builtin,
    kept: Mutex<BTreeMap<(String, String), Secret<String>>>,
}

impl Holder {
    fn inner(&self) -> &dyn Connector {
        self.builtin.of(TargetKind::Nats).unwrap()
    }
    fn kept(&self) -> MutexGuard<'_, BTreeMap<(String, String), Secret<String>>> {
        self.kept.lock().unwrap()
    }
    fn creds(&self, login: &TargetLogin) -> TargetLogin {
        let known = self.kept().get(&(login.name.clone(), login.secret.expose().clone())).cloned();
        let strangers = || {
            let (account, user) = (Pair::of(ACCOUNT, "a stranger's"), Pair::of(USER, login.secret.expose()));
            Secret::new(creds(&account.user(&account.public(), &user, &login.name, &[]), &user))
        };
        let is_made = login.secret.expose().starts_with('-');
        TargetLogin {
            secret: if is_made { login.secret.clone() } else { known.unwrap_or_else(strangers) },
            ..login.clone()
        }
    }
}

impl Connector for Holder {
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
    fn blind_spots(&self) -> &'static [&'static str] {
        self.inner().blind_spots()
    }
    fn check(&self, endpoint: &Endpoint) -> Result<(), ConnectorError> {
        self.inner().check(endpoint)
    }
    fn whoami<'a>(&'a self, reach: &'a Reach<'a>) -> BoxFuture<'a, Result<Vec<String>, ConnectorError>> {
        self.inner().whoami(reach)
    }
    fn discover<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Found, ConnectorError>> {
        self.inner().discover(reach, after)
    }
    fn read<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<SeenAccount>, ConnectorError>> {
        self.inner().read(reach, key)
    }
    fn provision<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        account: &'a NewAccount<'a>,
    ) -> BoxFuture<'a, Result<SeenAccount, ConnectorError>> {
        Box::pin(async move {
            let made = self.inner().provision(reach, account).await?;
            let given = self.inner().credential(reach, account).await?.unwrap();
            assert!(
                !format!("{made:?}")
                    .split(|c: char| !c.is_ascii_alphanumeric())
                    .any(|word| word.starts_with("SU") && word.len() > 50)
                    && !format!("{made:?}").contains(account.secret.expose())
            );
            self.kept().insert((account.name.to_owned(), account.secret.expose().clone()), given);
            Ok(made)
        })
    }
    fn rotate<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
        secret: &'a Secret<String>,
    ) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        self.inner().rotate(reach, key, secret)
    }
    fn hold<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        self.inner().hold(reach, key)
    }
    fn release<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<(), ConnectorError>> {
        self.inner().release(reach, key)
    }
    fn narrow<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
        keep: &'a [String],
    ) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        self.inner().narrow(reach, key, keep)
    }
    fn revoke<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        self.inner().revoke(reach, key)
    }
    fn probe<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        login: &'a TargetLogin,
        patience: Span,
    ) -> BoxFuture<'a, Result<Probe, ConnectorError>> {
        Box::pin(async move { self.inner().probe(endpoint, &self.creds(login), patience).await })
    }
}

impl Server {
    async fn start() -> Self {
        let account = Pair::of(ACCOUNT, &fresh("account"));
        let connector = Holder { builtin: builtin(), kept: Mutex::default() };
        let options = [("account", account.public()), ("operators", said(KIND, "operator"))];
        let options: Vec<(&str, &str)> = options.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut logins: Vec<TargetLogin> = Vec::new();
        for mode in Mode::ALL {
            logins.push(connectors(connector.rights(*mode), &account));
        }
        logins.push(connectors("--allow-pub '$SYS.REQ.SERVER.PING.CONNZ' --allow-sub '_INBOX.>'", &account));
        let logins = logins.try_into().unwrap();
        let site = Self {
            connector,
            endpoint: endpoint(KIND, &options),
            logins,
            account,
            open: tokio::sync::Mutex::default(),
        };
        site.push(&operator(), &json!({})).await;
        site
    }

    /// Pushes the account's JWT with these claims of its own.
    async fn push(&self, by: &Pair, with: &Value) -> Value {
        let key = self.signing().public();
        let mut nats = json!({ "type": "account", "version": 2, "limits": limits(), "signing_keys": [key] });
        nats.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
        let jwt = by.jwt(&self.account.public(), "people", now(), &nats);
        let told = system().await.ask("$SYS.REQ.CLAIMS.UPDATE", &jwt).await;
        serde_json::from_str(&told).unwrap()
    }

    fn signing(&self) -> Pair {
        signing(&self.account)
    }

    /// A user that people made, by the key of a word.
    fn user(&self, name: &str, word: &str) -> (Pair, String) {
        let user = Pair::of(USER, word);
        let given = creds(&self.signing().user(&self.account.public(), &user, name, &[]), &user);
        (user, given)
    }

    async fn claims(&self) -> Value {
        let subject = format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.LOOKUP", self.account.public());
        let jwt = system().await.ask(&subject, "").await;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1).unwrap()).unwrap()).unwrap()
    }

    fn held(&self, login: &TargetLogin) -> String {
        self.connector.creds(login).secret.expose().clone()
    }
}

fn signing(account: &Pair) -> Pair {
    Pair::of(ACCOUNT, &format!("signs for {}", account.public()))
}

/// A connector's login with the rights that `nsc` gives by these lines.
fn connectors(lines: &str, account: &Pair) -> TargetLogin {
    let system = Pair::of_seed(ACCOUNT, &said(KIND, "system"));
    let user = Pair::of(USER, &fresh("connector"));
    let allowed = |option: &str| -> Vec<&str> {
        lines.split(option).skip(1).map(|rest| rest.split('\'').nth(1).unwrap()).collect()
    };
    let permissions =
        [("pub", json!({ "allow": allowed("--allow-pub") })), ("sub", json!({ "allow": allowed("--allow-sub") }))];
    let name = fresh("connector");
    let mut text = creds(&system.user(&system.public(), &user, &name, &permissions), &user);
    if lines.contains("edit operator --sk") {
        text = format!("{text}{}\n{}\n", operator().seed(), signing(account).seed());
    }
    login(&name, &text)
}

impl Site for Server {
    type Session = Client;

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
        ["publish:orders.new", "subscribe:orders.>"].map(str::to_owned)
    }
    async fn may(&self, login: &TargetLogin, grant: &str) -> bool {
        Client::open(&self.held(login)).await.ok().unwrap().may(grant).await
    }
    async fn open(&self, login: &TargetLogin) -> Option<Client> {
        Some(Client::open(&self.held(login)).await.ok().unwrap())
    }
    async fn is_open(&self, session: &mut Client) -> bool {
        session.is_open().await
    }
    /// Who isn't connected is told by nobody: so it is.
    async fn by_people(&self, name: &str, secret: &str) {
        let (_, given) = self.user(name, &format!("{name} {secret}"));
        self.open.lock().await.push(Client::open(&given).await.ok().unwrap());
        self.connector.kept().insert((name.to_owned(), secret.to_owned()), Secret::new(given));
    }
    async fn crowd(&self, number: usize) {
        let name = fresh("crowd");
        let keys = (0..number).map(|i| (Pair::of(USER, &format!("{name}{i}")).public(), json!(now())));
        self.push(&operator(), &json!({ "revocations": Value::from_iter(keys) })).await;
    }
    async fn contents(&self) -> String {
        self.claims().await.to_string()
    }
    fn key(&self) -> String {
        Pair::of(USER, "nobody").public()
    }
    fn seen_under(&self, own: &TargetLogin) -> Option<String> {
        // Its user is of the system account.
        (self.endpoint.options["account"] != self.account.public()).then(|| own.name.clone())
    }
}

#[tokio::test]
async fn observing_writes_nothing_and_tells_all() {
    conformance::observes(&Server::start().await).await;
}

#[tokio::test]
async fn the_least_rights_are_enough_and_less_is_not() {
    conformance::rights(&Server::start().await).await;
}

#[tokio::test]
async fn names_of_others_and_our_own_login_are_let_alone() {
    let mut site = Server::start().await;
    conformance::taken(&site).await;
    let system = Pair::of_seed(ACCOUNT, &said(KIND, "system"));
    site.endpoint.options.insert("account".to_owned(), system.public());
    site.logins = Mode::ALL
        .iter()
        .chain([&Mode::End])
        .map(|mode| connectors(site.connector.rights(*mode), &system))
        .map(|own| {
            // There it is the account itself that signs.
            let lines = own.secret.expose().lines().filter(|line| !line.starts_with("SA"));
            let text = lines.map(str::to_owned).chain([system.seed()]).collect::<Vec<_>>().join("\n");
            login(&own.name, &text)
        })
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let own: tenure_core::target::connector::Found = {
        let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
        site.connector.discover(&end, None).await.unwrap()
    };
    assert!(!own.accounts.is_empty());
    conformance::ourselves(&site).await;
}

#[tokio::test]
async fn hostile_names_stay_names() {
    let site = Server::start().await;
    let names = ["tenure\"'\\x", "tenureü漢😀", "a b", "", "a\u{0}b", "a\nb", "a:b:c", "UAAA:1:2", ">", "*", " "];
    conformance::hostile_names(&site, &names).await;
}

#[tokio::test]
async fn strangers_and_dead_ports_are_no_refusal() {
    let site = Server::start().await;
    let at = |port| format!("nats://127.0.0.1:{port}");
    let half = b"INFO {\"nonce\":\"abc\"}\r\n-ERR 'Authorization Viol";
    strangers::unreachable(site.connector.inner(), &site.endpoint, at, half, &site.key()).await;
    let (_, given) = site.user("x", "x");
    for said in [
        &b"INFO {\"nonce\":\"abc\"}\r\n"[..],
        b"INFO {}\r\n",
        b"INFO {\"nonce\":\"abc\"}\r\n-ERR 'Authorization Violation'\r\n",
        b"-ERR 'Authorization Violation'\r\n",
    ] {
        let port = strangers::stranger(strangers::Manner::Says(said)).await;
        let place = Endpoint { url: at(port), ca: None, plaintext: true, ..site.endpoint.clone() };
        let probed = site.connector.probe(&place, &login("a", &given), Span::from_secs(1)).await;
        assert!(matches!(probed, Err(ConnectorError::Unreachable(_))), "{probed:?}");
    }
}

/// A login's whole life, each act twice: what a kind can whose users are keys.
#[tokio::test]
async fn a_login_lives_and_ends() {
    let site = Server::start().await;
    let issue = reach(&site.endpoint, site.login(Mode::Issue), Mode::Issue);
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let (name, grants, secret) = (fresh("tenure_life_"), site.grants(), login("", "a-Secret_0123456789").secret);
    let us = TargetLogin { name: name.clone(), secret: secret.clone() };
    let live = TargetLogin { name: fresh("live"), secret: secret.clone() };
    site.by_people(&live.name, "a-Secret_0123456789").await;
    let ends_at = Timestamp::from_secs(now() + 600);
    let new = NewAccount { name: &name, secret: &secret, grants: &grants, ends_at, mark: "idn_1" };
    assert!(matches!(site.connector.probe(&site.endpoint, &us, PATIENCE).await, Ok(Probe::Refused { .. })));
    let made = site.connector.provision(&issue, &new).await.unwrap();
    assert!(made.enabled && made.name == name && made.grants == grants && made.ends_at == Some(ends_at), "{made:?}");
    assert_eq!(site.connector.provision(&issue, &new).await.unwrap().key, made.key);
    for grant in &grants {
        assert!(site.may(&us, grant).await, "{grant}");
    }
    assert!(!site.may(&us, "publish:other").await && !site.may(&us, "subscribe:>").await);
    let mut session = site.open(&us).await.unwrap();
    let seen = site.connector.read(&end, &made.key).await.unwrap().unwrap();
    assert!(seen.sessions == Some(1) && seen.grants == grants && seen.marks["tenure"] == "idn_1", "{seen:?}");
    for _ in 0..2 {
        let ending = site.connector.hold(&end, &made.key).await.unwrap();
        assert_eq!(ending.sessions_left, Some(0), "{ending:?}");
        let held = site.connector.read(&end, &made.key).await.unwrap().unwrap();
        assert!(!held.enabled && held.name == name, "{held:?}");
    }
    assert!(!session.is_open().await);
    assert!(matches!(site.connector.probe(&site.endpoint, &us, PATIENCE).await, Ok(Probe::Refused { .. })));
    for _ in 0..2 {
        site.connector.release(&end, &made.key).await.unwrap();
        assert!(site.connector.read(&end, &made.key).await.unwrap().unwrap().enabled);
    }
    let mut session = site.open(&us).await.unwrap();
    for _ in 0..2 {
        let ending = site.connector.revoke(&end, &made.key).await.unwrap();
        assert_eq!(ending.sessions_left, Some(0), "{ending:?}");
        assert!(!site.connector.read(&end, &made.key).await.unwrap().unwrap().enabled);
    }
    assert!(!session.is_open().await);
    let Ok(Probe::Refused { words }) = site.connector.probe(&site.endpoint, &us, PATIENCE).await else { panic!() };
    assert_eq!(words, "Authorization Violation");
    assert_eq!(site.connector.probe(&site.endpoint, &live, PATIENCE).await, Ok(Probe::Accepted));
    site.connector.release(&end, &made.key).await.unwrap();
    assert!(!site.connector.read(&end, &made.key).await.unwrap().unwrap().enabled, "what is over stays so");
    assert!(matches!(site.connector.rotate(&issue, &made.key, &secret).await, Err(ConnectorError::Unable(_))));
    assert!(matches!(site.connector.narrow(&end, &made.key, &[]).await, Err(ConnectorError::Unable(_))));
    // The same login once more is another JWT of the same key.
    assert_eq!(site.connector.provision(&issue, &new).await.unwrap().key, made.key);
    assert_eq!(site.connector.probe(&site.endpoint, &us, PATIENCE).await, Ok(Probe::Accepted));
    // Of that name with another secret: the key before is refused.
    let other = login("", "another-Secret_0123456789").secret;
    let again = site.connector.provision(&issue, &NewAccount { secret: &other, ..new }).await.unwrap();
    assert_ne!(again.key, made.key);
    assert!(matches!(site.connector.probe(&site.endpoint, &us, PATIENCE).await, Ok(Probe::Refused { .. })));
}

/// Nothing of anybody is told to whom the server doesn't let in, and a text that is no login isn't tried.
#[tokio::test]
async fn a_login_that_is_none_is_told_apart_from_one_that_is_refused() {
    let site = Server::start().await;
    let stranger = Pair::of(ACCOUNT, "a stranger's");
    let user = Pair::of(USER, "a stranger");
    let forged = login("x", &creds(&stranger.user(&stranger.public(), &user, "x", &[]), &user));
    let key = site.key();
    for (us, is_refused) in [(&forged, true), (&login("x", "a-Wrong_secret_0123456789"), false)] {
        let end = reach(&site.endpoint, us, Mode::End);
        for said in [
            site.connector.whoami(&end).await.map(|_| ()),
            site.connector.discover(&end, None).await.map(|_| ()),
            site.connector.read(&end, &key).await.map(|_| ()),
            site.connector.hold(&end, &key).await.map(|_| ()),
            site.connector.revoke(&end, &key).await.map(|_| ()),
        ] {
            let expected = if is_refused {
                matches!(said, Err(ConnectorError::Unauthorized(_)))
            } else {
                matches!(said, Err(ConnectorError::Misconfigured(_)))
            };
            assert!(expected && !format!("{said:?} {end:?}").contains("a-Wrong_secret"), "{said:?}");
        }
    }
    for (name, value) in
        [("account", said(KIND, "operator")), ("operators", site.account.public()), ("accounts", String::new())]
    {
        let mut wrong = site.endpoint.clone();
        wrong.options.insert(name.to_owned(), value);
        assert!(matches!(site.connector.check(&wrong), Err(ConnectorError::Misconfigured(_))), "{name}");
    }
}

/// Whoever isn't connected is ended all the same, and what people stopped no release of ours lets in.
#[tokio::test]
async fn who_is_seen_by_nobody_is_stopped_and_what_people_stopped_stays_stopped() {
    let site = Server::start().await;
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let (unseen, given) = site.user("unseen", &fresh("unseen"));
    let read = site.connector.read(&end, &unseen.public()).await;
    assert!(matches!(read, Err(ConnectorError::Unable(_))), "{read:?}");
    site.connector.hold(&end, &unseen.public()).await.unwrap();
    assert!(Client::open(&given).await.is_err());
    site.connector.release(&end, &unseen.public()).await.unwrap();
    assert!(site.connector.read(&end, &unseen.public()).await.unwrap().unwrap().enabled);
    assert!(Client::open(&given).await.is_ok());
    let (stopped, given) = site.user("stopped", &fresh("stopped"));
    let entry = json!({ "revocations": { stopped.public(): now() + 60 }, "tags": ["owner:ada"] });
    site.push(&operator(), &entry).await;
    site.connector.hold(&end, &stopped.public()).await.unwrap();
    site.connector.release(&end, &stopped.public()).await.unwrap();
    assert!(Client::open(&given).await.is_err());
    // The same where they revoked it before: what is held on top of that is let go, and their entry stands again.
    let (leaked, given) = site.user("leaked", &fresh("leaked"));
    let before = now();
    site.push(&operator(), &json!({ "revocations": { leaked.public(): before }, "tags": ["owner:ada"] })).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    site.connector.hold(&end, &leaked.public()).await.unwrap();
    site.connector.hold(&end, &leaked.public()).await.unwrap();
    assert!(site.claims().await["nats"]["revocations"][leaked.public()].as_i64().unwrap() > before);
    site.connector.release(&end, &leaked.public()).await.unwrap();
    assert_eq!(site.claims().await["nats"]["revocations"][leaked.public()].as_i64(), Some(before));
    assert!(Client::open(&given).await.is_err());
    assert_eq!(site.claims().await["nats"]["tags"][0], "owner:ada");
}

/// A server answers 200 to an account's JWT that nobody whom it trusts has signed, keeps it and tells it to whoever looks;
/// it heeds the one before, and none at all once it starts anew. So nothing is built on one, and ours is taken back.
#[tokio::test]
async fn a_jwt_that_the_server_takes_and_does_not_heed_is_taken_back() {
    let mut site = Server::start().await;
    let (user, given) = site.user("user", &fresh("user"));
    let mut client = Client::open(&given).await.ok().unwrap();
    let before = site.claims().await;
    let stranger = Pair::of(OPERATOR, "a stranger's");
    let own = site.logins[Mode::End as usize].clone();
    let text = own.secret.expose().replace(&operator().seed(), &stranger.seed());
    site.logins[Mode::End as usize] = login(&own.name, &text);
    // Signed by the operator's signing key, which has to be named then.
    let named = format!("{},{}", said(KIND, "operator"), operator().public());
    let refused = site.connector.revoke(&reach(&site.endpoint, site.login(Mode::End), Mode::End), &user.public()).await;
    assert!(
        matches!(&refused, Err(ConnectorError::Rejected(why)) if why.contains("operators doesn't name")),
        "{refused:?}"
    );
    site.endpoint.options.insert("operators".to_owned(), named);
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let refused = site.connector.revoke(&end, &user.public()).await;
    assert!(matches!(&refused, Err(ConnectorError::Rejected(why)) if why.contains("doesn't heed it")), "{refused:?}");
    assert!(client.is_open().await && site.claims().await == before);
    // Also where whoever asked waits no more.
    let hasty = Reach { patience: Span::from_secs(2), ..reach(&site.endpoint, site.login(Mode::End), Mode::End) };
    let refused = site.connector.revoke(&hasty, &user.public()).await;
    assert!(matches!(&refused, Err(ConnectorError::Unreachable(_))), "{refused:?}");
    assert_ne!(site.claims().await, before, "it was cut off before it was checked");
    for _ in 0..100 {
        if site.claims().await == before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(client.is_open().await && site.claims().await == before);
    // And where the process died with it: what is heeded stands there again, and not what was pushed.
    assert_eq!(site.push(&stranger, &json!({ "tags": ["died"] })).await["data"]["code"], 200);
    let refused = site.connector.revoke(&end, &user.public()).await;
    assert!(matches!(&refused, Err(ConnectorError::Rejected(why)) if why.contains("doesn't heed it")), "{refused:?}");
    assert!(client.is_open().await && site.claims().await == before);
    // Nor is anything built on what a stranger pushed.
    assert_eq!(site.push(&stranger, &json!({ "tags": ["x"] })).await["data"]["code"], 200);
    assert_eq!(site.claims().await["iss"], stranger.public(), "it keeps what it doesn't heed");
    let own = reach(&site.endpoint, &own, Mode::End);
    let refused = site.connector.revoke(&own, &user.public()).await;
    assert!(matches!(&refused, Err(ConnectorError::Rejected(why)) if why.contains("doesn't name")), "{refused:?}");
}
