//! Harbour's directory of people: the OpenID provider by which one signs in to the demo's console, as whom one likes.
//!
//! The demo's server has no way in that another server hasn't: it trusts this provider because two administrators of the
//! demo said so by its API, and its log says of each sign-in that it came from here. What opens the directory is a link
//! with a secret that is good once; the browser that used it has a cookie from then on. It listens on this machine's
//! own address alone, answers to no other name, and ends with the demo.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context, ensure};
use axum::extract::{Form, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Client;
use serde::Deserialize;
use serde_json::json;
use tenure_client::assertion::WorkloadKey;
use tenure_console::demo::{Somebody, UsedLink, WhoPage};
use tenure_console::{Template, assets};
use tenure_core::base::entropy::Entropy;
use tenure_core::base::time::{Clock, Span, Timestamp};
use tenure_credentials::entropy::OsEntropy;
use tenure_credentials::id_token::sha256_text;
use tenure_server::{Clients, Listener, Places, Proxies};
use tokio::sync::{Mutex, watch};

use super::organisation::Organisation;
use crate::server::SystemClock;

/// Tenure's name here.
const CLIENT: &str = "tenure-demo";
/// What it says of how somebody proved themselves: by choosing who they are.
const METHOD: &str = "demo";
/// How long a code or a question may wait.
const LIFE: Span = Span::from_mins(5);
/// Codes that wait at once.
const MAX_CODES: usize = 32;
/// The cookie of the browser that used the link.
const COOKIE: &str = "tenure-demo-directory";

/// Who they are in the story, by the name before the @ of their address.
const WHO: &[(&str, &str)] = &[
    ("ada", "administrator: makes what charters name; changes policy with the other one"),
    ("bea", "administrator: the second one, without whom Ada changes nothing that counts"),
    ("sam", "security: sees all of it, stops anything, approves what is of high risk"),
    ("max", "manager of commerce: approves what Olu and Hal ask for"),
    ("mia", "owner of the platform, manager of Tim"),
    ("olu", "owner of billing: asks for what his workloads need"),
    ("hal", "owner of the shop and of its agents"),
    ("ruth", "manager: who is asked when a manager is gone"),
    ("aud", "auditor: reads the log, and changes nothing"),
    ("pia", "somebody without a role, with access of her own"),
];

/// The directory while it is open.
pub struct Directory {
    link: String,
    stop: watch::Sender<bool>,
    served: tokio::task::JoinHandle<()>,
}

impl Directory {
    /// Opens it on a port of this machine, and has the demo's server trust it.
    ///
    /// # Errors
    /// No port can be listened on, or the server doesn't take it.
    pub async fn open(harbour: &Organisation) -> anyhow::Result<Self> {
        let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), None, Clients::Anonymous).await?;
        let host = listener.address()?.to_string();
        let link = secret();
        let (ada, bea) = (harbour.person("ada")?, harbour.person("bea")?);
        let people = WHO.iter().filter_map(|(handle, what)| {
            let person = harbour.person(handle).ok()?;
            let somebody =
                Somebody { subject: (*handle).to_owned(), name: person.name.clone(), what: (*what).to_owned() };
            Some((somebody, person.id.clone()))
        });
        let desk = Arc::new(Desk {
            url: format!("http://{host}"),
            host,
            server: harbour.wire.url().to_owned(),
            http: Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?,
            key: WorkloadKey::generate(),
            administrators: [ada.token.clone(), bea.token.clone()],
            people: people.collect(),
            codes: Mutex::default(),
            held: Mutex::new(Held { link: Some(link.clone()), ..Held::default() }),
        });
        let (stop, stopped) = watch::channel(false);
        let served = tenure_server::serve(
            listener,
            router(Arc::clone(&desk)),
            Arc::new(Proxies::default()),
            Places::default(),
            stopped,
        );
        let this = Self { link: format!("{}/enter/{link}", desk.url), stop, served: tokio::spawn(served) };
        let provider = json!({
            "name": "Harbour's directory (the demo)", "issuer": desk.url, "client_id": CLIENT, "phishing_resistant": [METHOD],
        });
        let made = harbour.wire.post(&ada.token, "/v1/sign-in-providers", provider).await?;
        let provider = made.text("/id")?;
        harbour.wire.post(&bea.token, &format!("/v1/sign-in-providers/{provider}/confirm"), json!({})).await?;
        desk.held.lock().await.provider = provider;
        Ok(this)
    }

    /// The link that opens it, once.
    pub fn link(&self) -> &str {
        &self.link
    }

    /// Closes it.
    pub async fn close(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.served.await {
            tracing::warn!(%error, "the demo's directory failed");
        }
    }
}

/// What the directory works with.
struct Desk {
    url: String,
    host: String,
    /// Tenure's base URL.
    server: String,
    http: Client,
    key: WorkloadKey,
    /// The tokens of two administrators, who invite everybody before the first sign-in.
    administrators: [String; 2],
    /// Everybody, with their id at Tenure.
    people: Vec<(Somebody, String)>,
    /// Codes that wait. Tenure redeems them while somebody is bound, so that they have a lock of their own.
    codes: Mutex<BTreeMap<String, Code>>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// The directory's id at Tenure.
    provider: String,
    /// The secret of the link, until it is used.
    link: Option<String>,
    /// What the browser that used it shows.
    browser: Option<String>,
    /// Whom it chose, until Tenure asks.
    chosen: Option<String>,
    /// What Tenure asked, until it has chosen.
    asked: Option<(Asked, Timestamp)>,
}

/// What Tenure asks of the authorization endpoint.
#[derive(Debug, Clone, Deserialize)]
struct Asked {
    client_id: String,
    redirect_uri: String,
    response_type: String,
    state: String,
    nonce: String,
    code_challenge: String,
    code_challenge_method: String,
}

/// A code that was given out.
struct Code {
    asked: Asked,
    subject: String,
    given_at: Timestamp,
}

/// What Tenure sends to the token endpoint.
#[derive(Deserialize)]
struct Redeemed {
    grant_type: String,
    code: String,
    redirect_uri: String,
    client_id: String,
    code_verifier: String,
}

#[derive(Deserialize)]
struct Chosen {
    subject: String,
}

fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/enter/{link}", get(enter))
        .route("/", get(who))
        .route("/as", post(choose))
        .route("/authorize", get(authorize))
        .route("/token", post(token))
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/jwks", get(jwks))
        .route("/assets/{digest}/{file}", get(asset))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&desk), of_this_machine))
        .with_state(desk)
}

/// Answers to its own name alone: a page of another site that has its name lead here asks under that name.
async fn of_this_machine(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    let named = request.headers().get(header::HOST).map(HeaderValue::as_bytes);
    if named != Some(desk.host.as_bytes()) {
        return StatusCode::MISDIRECTED_REQUEST.into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

impl Desk {
    /// A page of it, from which forms lead here and on to Tenure.
    fn page(&self, status: StatusCode, page: &impl Template) -> Response {
        let policy = format!(
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' {}; frame-ancestors 'none'; base-uri 'none'",
            self.server
        );
        let (Ok(html), Ok(policy)) = (page.render(), HeaderValue::try_from(policy)) else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
            (header::CONTENT_SECURITY_POLICY, policy),
            // Not `no-referrer`: a browser would then not say of a form where it comes from.
            (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
            (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
            (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
        ];
        (status, headers, html).into_response()
    }

    fn refused(&self) -> Response {
        self.page(StatusCode::FORBIDDEN, &UsedLink { console: self.server.clone() })
    }

    fn callback(&self) -> String {
        format!("{}/sign-in/oidc/callback", self.server)
    }

    /// Gives a code out for a subject; where it leads.
    async fn answer(&self, asked: Asked, subject: String) -> Response {
        match self.code(asked, subject).await {
            Some(to) => Redirect::to(&to).into_response(),
            None => StatusCode::TOO_MANY_REQUESTS.into_response(),
        }
    }

    /// The address that a code for a subject leads to; none if too many wait.
    async fn code(&self, asked: Asked, subject: String) -> Option<String> {
        let now = SystemClock.now();
        let mut codes = self.codes.lock().await;
        codes.retain(|_, code| now < code.given_at.plus(LIFE));
        if codes.len() >= MAX_CODES {
            return None;
        }
        let code = secret();
        let mut to = reqwest::Url::parse(&asked.redirect_uri).ok()?;
        to.query_pairs_mut().extend_pairs([("code", &code), ("state", &asked.state), ("iss", &self.url)]);
        codes.insert(code, Code { asked, subject, given_at: now });
        Some(to.to_string())
    }

    /// Has everybody bound to their subject here, as people are: each by an invitation of two administrators. From then
    /// on people sign in at the demo's server, and operator tokens stand for nobody's vote any more.
    async fn bind(&self, provider: &str) -> anyhow::Result<()> {
        let [ada, bea] = &self.administrators;
        let mut invited = Vec::new();
        for (somebody, id) in &self.people {
            // Nobody vouches for their own invitation.
            let (proposes, confirms) = if somebody.subject == "bea" { (bea, ada) } else { (ada, bea) };
            let made = self.ask(proposes, "/v1/invitations", &json!({"person": id})).await?;
            let text = |name: &str| made.get(name).and_then(|value| value.as_str()).map(str::to_owned);
            let (id, invitation) = text("id").zip(text("invitation")).context("no invitation was made")?;
            self.ask(confirms, &format!("/v1/invitations/{id}/confirm"), &json!({})).await?;
            invited.push((somebody.subject.clone(), invitation));
        }
        for (subject, invitation) in invited {
            self.sign_in(provider, &subject, &invitation).await.with_context(|| format!("{subject} can't sign in"))?;
        }
        Ok(())
    }

    async fn ask(&self, token: &str, path: &str, body: &serde_json::Value) -> anyhow::Result<serde_json::Value> {
        let answer = self.http.post(format!("{}{path}", self.server)).bearer_auth(token).json(body).send().await?;
        ensure!(answer.status().is_success(), "{path} gave {}: {}", answer.status(), answer.text().await?);
        Ok(serde_json::from_str(&answer.text().await?)?)
    }

    /// Signs somebody in with their invitation as their browser would, and out again.
    async fn sign_in(&self, provider: &str, subject: &str, invitation: &str) -> anyhow::Result<()> {
        let mut browser = Cookies::default();
        let at = |path: &str| format!("{}{path}", self.server);
        let form = self.http.post(at("/sign-in/invitation")).form(&[("invitation", invitation)]);
        browser.send(form.header(header::ORIGIN, &self.server)).await?;
        let to = browser.send(self.http.get(at(&format!("/sign-in/oidc/{provider}")))).await?;
        let url = reqwest::Url::parse(&to)?;
        let Query(asked) = Query::<Asked>::try_from_uri(&url.as_str().parse()?)?;
        let code = self.code(asked, subject.to_owned()).await.context("too many codes wait")?;
        browser.send(self.http.get(code)).await?;
        browser.send(self.http.post(at("/sign-out")).header(header::ORIGIN, &self.server)).await?;
        Ok(())
    }
}

/// The cookies of a browser that was never opened.
#[derive(Default)]
struct Cookies(BTreeMap<String, String>);

impl Cookies {
    /// Sends a request, which has to lead on; where.
    async fn send(&mut self, request: reqwest::RequestBuilder) -> anyhow::Result<String> {
        let pairs: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = request.header(header::COOKIE, pairs.join("; ")).send().await?;
        for line in answer.headers().get_all(header::SET_COOKIE) {
            let pair = line.to_str()?.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
        let to = answer.headers().get(header::LOCATION).and_then(|to| to.to_str().ok()).map(str::to_owned);
        to.with_context(|| format!("{} led nowhere: {}", answer.url().path(), answer.status()))
    }
}

/// 256 bits that nobody can guess.
fn secret() -> String {
    let mut random = [0u8; 32];
    OsEntropy.fill(&mut random);
    URL_SAFE_NO_PAD.encode(random)
}

/// Whether two secrets are the same; how much of them is, isn't to be measured.
fn is_same(known: Option<&str>, shown: &str) -> bool {
    known.is_some_and(|known| sha256_text(known) == sha256_text(shown))
}

/// Whether it is the browser that used the link.
fn is_open_to(held: &Held, headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.any(|(name, value)| name == COOKIE && is_same(held.browser.as_deref(), value))
}

/// Opens the directory to the browser that shows the link's secret, once.
async fn enter(State(desk): State<Arc<Desk>>, Path(link): Path<String>, headers: HeaderMap) -> Response {
    let mut held = desk.held.lock().await;
    if !is_same(held.link.as_deref(), &link) {
        // Whoever used it comes back to what it opened.
        return if is_open_to(&held, &headers) { Redirect::to("/").into_response() } else { desk.refused() };
    }
    if let Err(error) = desk.bind(&held.provider).await {
        tracing::error!(error = format!("{error:#}"), "the demo's people can't sign in");
        return (StatusCode::SERVICE_UNAVAILABLE, "the demo's people can't sign in: start the demo anew\n")
            .into_response();
    }
    let browser = secret();
    let cookie = format!("{COOKIE}={browser}; Path=/; HttpOnly; SameSite=Lax");
    (held.link, held.browser) = (None, Some(browser));
    ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

/// The page on which one chooses.
async fn who(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    if !is_open_to(&*desk.held.lock().await, &headers) {
        return desk.refused();
    }
    let people = desk.people.iter().map(|(somebody, _)| somebody.clone()).collect();
    desk.page(StatusCode::OK, &WhoPage { people })
}

/// Takes a choice, and leads to Tenure, which asks for it, or with its answer.
async fn choose(State(desk): State<Arc<Desk>>, headers: HeaderMap, Form(chosen): Form<Chosen>) -> Response {
    let mut held = desk.held.lock().await;
    let origin = headers.get(header::ORIGIN).map(HeaderValue::as_bytes);
    let is_known = desk.people.iter().any(|(somebody, _)| somebody.subject == chosen.subject);
    if origin != Some(desk.url.as_bytes()) || !is_open_to(&held, &headers) || !is_known {
        return desk.refused();
    }
    match held.asked.take().filter(|(_, at)| SystemClock.now() < at.plus(LIFE)) {
        Some((asked, _)) => desk.answer(asked, chosen.subject).await,
        None => {
            let to = format!("{}/sign-in/oidc/{}?fresh=true&return_to=%2F", desk.server, held.provider);
            held.chosen = Some(chosen.subject);
            Redirect::to(&to).into_response()
        }
    }
}

/// Answers Tenure with whom the browser chose, or has it choose.
async fn authorize(State(desk): State<Arc<Desk>>, headers: HeaderMap, Query(asked): Query<Asked>) -> Response {
    let mut held = desk.held.lock().await;
    let is_tenures = asked.client_id == CLIENT
        && asked.redirect_uri == desk.callback()
        && (asked.response_type.as_str(), asked.code_challenge_method.as_str()) == ("code", "S256");
    if !is_tenures || !is_open_to(&held, &headers) {
        return desk.refused();
    }
    match held.chosen.take() {
        Some(subject) => desk.answer(asked, subject).await,
        None => {
            held.asked = Some((asked, SystemClock.now()));
            Redirect::to("/").into_response()
        }
    }
}

/// Exchanges a code for whom it stands for, once.
async fn token(State(desk): State<Arc<Desk>>, Form(redeemed): Form<Redeemed>) -> Response {
    let now = SystemClock.now();
    let code = desk.codes.lock().await.remove(&redeemed.code);
    let code = code.filter(|code| {
        now < code.given_at.plus(LIFE)
            && (redeemed.grant_type.as_str(), redeemed.client_id.as_str()) == ("authorization_code", CLIENT)
            && redeemed.redirect_uri == code.asked.redirect_uri
            && sha256_text(&redeemed.code_verifier) == code.asked.code_challenge
    });
    let Some(code) = code else {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response();
    };
    let claims = json!({
        "iss": desk.url, "sub": code.subject, "aud": CLIENT, "nonce": code.asked.nonce, "amr": [METHOD],
        "auth_time": now.as_secs(), "iat": now.as_secs(), "exp": now.plus(LIFE).as_secs(),
    });
    let id_token = desk.key.compact("JWT", &claims);
    let tokens =
        json!({"access_token": secret(), "token_type": "Bearer", "expires_in": LIFE.as_secs(), "id_token": id_token});
    Json(tokens).into_response()
}

async fn discovery(State(desk): State<Arc<Desk>>) -> Response {
    let url = &desk.url;
    Json(json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    }))
    .into_response()
}

async fn jwks(State(desk): State<Arc<Desk>>) -> Response {
    let mut jwk = desk.key.public_jwk();
    if let Some(members) = jwk.as_object_mut() {
        members.extend([
            ("kid".to_owned(), json!(desk.key.thumbprint())),
            ("alg".to_owned(), json!("EdDSA")),
            ("use".to_owned(), json!("sig")),
        ]);
    }
    Json(json!({"keys": [jwk]})).into_response()
}

/// The look and the sign of its pages.
async fn asset(Path((digest, file)): Path<(String, String)>) -> Response {
    let known = [assets::STYLE, assets::ICON];
    match known.iter().find(|asset| asset.name == file && asset.digest() == digest) {
        Some(asset) => ([(header::CONTENT_TYPE, asset.media_type)], asset.bytes).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
