//! Layers: what every request passes through.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts as _, MatchedPath, RawPathParams, Request, State};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use tenure_api::pages;
use tenure_api::problem::Problem;
use tenure_console::address::Address;
use tenure_console::problem::Way;
use tenure_console::records::page_of;
use tenure_console::text;
use tenure_core::base::problem::Reason;
use tenure_core::store::idempotency::KeptAnswer;
use tenure_core::store::row::RowKey;
use tenure_engine::credentials::token::sender;
use tenure_engine::kernel::idempotency::{self, Claim, KnownRequest};
use tenure_engine::kernel::{budgets as engine_budgets, if_match, names};
use tracing::{Instrument as _, field};

use crate::app::App;
use crate::caller::keys::{DPOP, DPOP_NONCE};
use crate::caller::named;
use crate::caller::operator::{Asker, Operator};
use crate::contract::body::body_within;
use crate::contract::condition;
use crate::contract::error::{self, Failure, status_headers};
use crate::contract::page::problem_page;
use crate::contract::reply::GivenOnce;
use crate::contract::request_id;
use crate::contract::source::Source;
use crate::limits::admission::BoundedElsewhere;
use crate::limits::budgets;
use crate::serve::shares::Full;
use crate::serve::{Connection, UnderWay, holding, paced};
use crate::timings;

/// Routes of the management API that read a body before they know who asks.
const OPEN: &[&str] = &["/v1/setup", "/v1/enrol", "/v1/identities/{id}/complete-task"];

/// Where the API has environments.
const ENVIRONMENTS: &str = "/v1/environments";

/// The media type of problems (RFC 9457).
const PROBLEM: &str = "application/problem+json";
/// Headers that are about the body that they come with.
const OF_A_BODY: [HeaderName; 2] = [header::CONTENT_TYPE, header::CONTENT_LENGTH];

/// The route that a request takes, as the router spells it; empty if it takes none.
fn route_of(extensions: &Extensions) -> &str {
    extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str)
}

/// Whether a request shows a credential, be it good or not.
fn shows_a_credential(headers: &HeaderMap) -> bool {
    headers.contains_key(header::AUTHORIZATION) || headers.contains_key(header::COOKIE)
}

/// The layer: all that every request passes through, the outermost first. It is one, since each layer of axum's clones all
/// that is within it for every request.
pub(crate) async fn every(State(app): State<App>, request: Request, next: Next) -> Response {
    let app = &app;
    let handled = async |request| next.run(request).await;
    let conditional = async |request| conditional(app, request, handled).await;
    let named = async |request| name_records(app, request, conditional).await;
    let once = async |request| once(app, request, named).await;
    let with_nonce = async |request| next_nonce(app, request, once).await;
    let admitted = async |request| admit(app, request, with_nonce).await;
    let told = async |request| tell_budgets(request, admitted).await;
    let caught = async |request| AssertUnwindSafe(told(request)).catch_unwind().await.unwrap_or_else(error::panicked);
    let shown = async |request| show_problems(request, caught).await;
    name_request(app, request, shown).await
}

/// Whether an address is no person's: the API's, or one of a protocol's or a monitor's.
fn is_of_software(path: &str) -> bool {
    const PREFIXES: [&str; 4] = ["/v1/", "/env/", "/.well-known/", "/problems/"];
    const PATHS: [&str; 5] = ["/v1", "/livez", "/readyz", "/metrics", "/openapi.json"];
    PREFIXES.iter().any(|prefix| path.starts_with(prefix)) || PATHS.contains(&path)
}

/// What did not work is a page for a browser that asked for one, whoever in here refused it.
async fn show_problems(request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let wanted = request.headers().get(header::ACCEPT).and_then(|wanted| wanted.to_str().ok()).unwrap_or_default();
    let is_wanted = wanted.contains("text/html") && !is_of_software(request.uri().path());
    let response = next(request).await;
    let is_problem = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == PROBLEM);
    if !is_wanted || !is_problem {
        return response;
    }
    let (told, body) = response.into_parts();
    let body = axum::body::to_bytes(body, MAX_KEPT).await.unwrap_or_default();
    let Ok(problem) = serde_json::from_slice::<Problem>(&body) else {
        return Response::from_parts(told, Body::from(body));
    };
    let mut page = problem_page(Failure::of(problem), vec![Way { to: "/".to_owned(), word: text::TO_HOME }]);
    // What its head says besides (which methods, when to come again) is said all the same.
    for (name, value) in told.headers.iter().filter(|(name, _)| !OF_A_BODY.contains(name)) {
        page.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    page
}

/// A request beyond a bound is answered at once, and nothing of it is read.
async fn admit(app: &App, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(Source(source)) = Source::from_request_parts(&mut parts, app).await;
    let connection = parts.extensions.get::<Connection>().cloned();
    let route = route_of(&parts.extensions);
    let places =
        app.requests.places(route.starts_with("/v1/") && !OPEN.contains(&route) && shows_a_credential(&parts.headers));
    let busy = connection.as_ref().map(|connection| Arc::new(connection.busy()));
    let share = match places.take(Some(&source), None) {
        Ok(share) => Arc::new(share),
        Err(full) => return refusal(full),
    };
    let version = parts.version;
    let request = UnderWay { share, busy: busy.clone() };
    let answer = next(Request::from_parts(parts, paced(body, request.clone()))).await;
    let is_bounded_elsewhere = answer.extensions().get::<BoundedElsewhere>().is_some();
    let own = connection.filter(|connection| !is_bounded_elsewhere && !connection.is_forwarded());
    let unread = own.map(|connection| {
        connection.tie(&request.share);
        request.waits(true);
        request
    });
    let last_apart = unread.is_some() && version == Version::HTTP_2;
    answer.map(|body| holding(body, (busy, unread), last_apart))
}

fn refusal(full: Full) -> Response {
    let problem = if full.of_key {
        Problem::refusal(429, Reason::BudgetSpent)
            .detail("as many requests from this address are being answered as one may have")
            .hint("send the next one when one of them is answered")
    } else {
        Problem::new(503, "unavailable", "unavailable for the moment")
            .hint("try again in a second; nothing was changed")
    };
    Failure::of(problem).into_response()
}

/// Gives whoever uses DPoP the nonce for their next proof, with every reply (RFC 9449 §8.2).
async fn next_nonce(app: &App, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let asked = request.headers().contains_key(DPOP);
    let mut response = next(request).await;
    let challenged = || {
        let challenge = response.headers().get(header::WWW_AUTHENTICATE);
        challenge.is_some_and(|value| value.as_bytes().starts_with(b"DPoP"))
    };
    if asked || challenged() {
        let nonce = sender::dpop_nonce(&app.kernel);
        if let Ok(value) = HeaderValue::try_from(nonce) {
            response.headers_mut().insert(DPOP_NONCE, value);
        }
    }
    response
}

/// The header that names a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives each request a name, its client's own if that is fit for a log: it stands in every line that is logged
/// meanwhile, in every problem, and in the reply. Counts how long the request took.
async fn name_request(app: &App, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let watch = app.kernel.stopwatch();
    let given = request.headers().get(REQUEST_ID).and_then(|given| given.to_str().ok());
    let id: Arc<str> = match given.filter(|given| is_loggable(given)) {
        Some(given) => given.into(),
        None => request_id::fresh().into(),
    };
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("", MatchedPath::as_str);
    let method = timings::method_name(request.method());
    let span = tracing::info_span!(
        "request",
        id = %id,
        method,
        route,
        // Who it is comes out when they are known, and what was done when it is in the log.
        caller = field::Empty,
        via = field::Empty,
        commit = field::Empty,
        status = field::Empty,
    );
    let mut response = request_id::scope(Arc::clone(&id), next(request)).instrument(span.clone()).await;
    let took = watch.elapsed();
    app.timings.answered(method, route, response.status(), took);
    span.record("status", i64::from(response.status().as_u16()));
    span.in_scope(|| tracing::debug!(micros = took.as_micros(), "answered"));
    if let Ok(value) = HeaderValue::try_from(&*id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// Whether a client's name of a request can stand in a log and be found there.
fn is_loggable(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&b))
}

/// Tells callers what their request counted against, and everybody whom the server turns away for the moment when to
/// come again.
async fn tell_budgets(request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let (mut response, counted) = engine_budgets::counted(next(request)).await;
    budgets::tell(&counted, response.headers_mut());
    if !response.headers().contains_key(header::RETRY_AFTER) {
        let status = response.status();
        status_headers(status, None, response.headers_mut());
    }
    response
}

/// The layer: what takes longer than a request may is answered without waiting for its end.
pub(crate) async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Failure::of(
            Problem::new(503, "unavailable", "unavailable for the moment")
                .detail("the request took longer than 30 s")
                .hint("read what it was to change before you send it again: it may have been carried out"),
        )
        .into_response(),
    }
}

/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The header that makes a request one that may be sent twice.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// An answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The largest answer in bytes that is kept.
const MAX_KEPT: usize = 64 * 1024;

/// Carries a request with an idempotency key out once, and gives its answer again when it comes again. Who asks is
/// settled before anything of it is read.
async fn once(app: &App, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    if !request.headers().contains_key(IDEMPOTENCY_KEY)
        || !app.changes(route_of(request.extensions()), request.method())
    {
        return next(request).await;
    }
    match Box::pin(repeated(app, request, next)).await {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    }
}

/// The body is read within the bound of every request: a route's own wider one is set further in.
async fn repeated(
    app: &App,
    request: Request,
    next: impl AsyncFnOnce(Request) -> Response,
) -> Result<Response, Failure> {
    let (mut parts, body) = request.into_parts();
    let key = idempotency_key(&parts.headers)?;
    let operator = Operator::from_request_parts(&mut parts, app).await?;
    parts.extensions.insert(operator.clone());
    let Operator(caller) = operator;
    let body = body_within(
        Request::from_parts(parts.clone(), body),
        app,
        "a request with an idempotency key has at most 64 KiB",
    )
    .await?;
    let address = format!("{} {}", parts.method, parts.uri.path());
    // A condition that can't be read is no part of any request; one over several lines is what they are together (RFC
    // 9110 §5.2).
    condition::if_match(&parts.headers)?;
    let conditions: Vec<&[u8]> = parts.headers.get_all(header::IF_MATCH).iter().map(HeaderValue::as_bytes).collect();
    let condition = conditions.join(&b", "[..]);
    // The same bytes in another form are another request.
    let form = parts.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let query = parts.uri.query().unwrap_or_default();
    let claim = Claim::new(&caller, &address, &key, [query.as_bytes(), &condition, form, &body]);
    match idempotency::known(&app.kernel, &claim).await? {
        KnownRequest::Nothing => {}
        KnownRequest::Other => {
            return Err(Failure::of(
                Problem::new(422, "idempotency_key_reused", "the key stands for another request")
                    .hint("use a new key for a new request"),
            ));
        }
        KnownRequest::Answered(answer) => return Ok(given_again(answer)),
        KnownRequest::Unanswered => {
            return Err(Failure::of(
                Problem::new(409, "answer_not_kept", "the request was carried out before")
                    .detail("its answer held a secret, which is given once, or was lost")
                    .hint("read what it made; what held a secret that never arrived is revoked and made anew, under a new key"),
            ));
        }
    }
    let request = Request::from_parts(parts, Body::from(body));
    let response = idempotency::under(Arc::clone(&claim), next(request)).await;
    if !claim.is_carried_out()
        || response.status().is_server_error()
        || response.extensions().get::<GivenOnce>().is_some()
    {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    if let (Ok(body), true) = (serde_json::from_slice(&bytes), bytes.len() <= MAX_KEPT) {
        let etag = parts.headers.get(header::ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let answer = KeptAnswer { status: parts.status.as_u16(), etag, body };
        // The request was carried out, whatever becomes of its answer.
        if let Err(error) = idempotency::keep(&app.kernel, &caller, &claim, answer).await {
            tracing::warn!(%error, "an answer was not kept");
        }
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

/// The key that a request bears: text of 1 to 255 visible characters, in quotes or without.
fn idempotency_key(headers: &HeaderMap) -> Result<String, Failure> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let value = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    };
    let key = value.map(|value| value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value));
    key.filter(|key| (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()))
        .map(str::to_owned)
        .ok_or_else(|| {
            Failure::malformed("Idempotency-Key is one value of 1 to 255 visible characters, such as a UUID")
        })
}

fn given_again(answer: KeptAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let etag = answer.etag.and_then(|etag| HeaderValue::try_from(etag).ok());
    let mut response = (status, [(REPLAYED, "true")], Json(answer.body)).into_response();
    if let Some(etag) = etag {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

/// Carries a change with a condition out while that holds of the record that its address names (RFC 9110 §13.1.1). Who
/// asks is settled before anything of the condition is read.
async fn conditional(app: &App, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    if !request.headers().contains_key(header::IF_MATCH)
        || !app.changes(route_of(request.extensions()), request.method())
    {
        return next(request).await;
    }
    match Box::pin(under_condition(app, request, next)).await {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    }
}

async fn under_condition(
    app: &App,
    request: Request,
    next: impl AsyncFnOnce(Request) -> Response,
) -> Result<Response, Failure> {
    let (mut parts, body) = request.into_parts();
    let route = route_of(&parts.extensions).to_owned();
    let caller = match OPEN.contains(&&*route) && !shows_a_credential(&parts.headers) {
        // What the body proves decides there.
        true => None,
        false => Some(Operator::from_request_parts(&mut parts, app).await?),
    };
    let kind = condition::record_of(&route).ok_or_else(condition::unfit)?;
    let named = RawPathParams::from_request_parts(&mut parts, app).await.map_err(|_| condition::unfit())?;
    let text = named.iter().next().map(|(_, text)| text.to_owned()).unwrap_or_default();
    let record = match &caller {
        Some(Operator(caller)) => named::row_of(app, caller, kind, &text).await?,
        None => RowKey::new(kind, text),
    };
    if let Some(caller) = caller {
        parts.extensions.insert(caller);
    }
    let precondition = if_match::Precondition::on(record, condition::if_match(&parts.headers)?);
    let response = if_match::under(Arc::clone(&precondition), next(Request::from_parts(parts, body))).await;
    // Where nothing was to be done, or the state of the record is in the way, what it is now may be why.
    if response.status().is_success() || response.status() == StatusCode::CONFLICT {
        precondition.check(&app.kernel).await?;
    }
    Ok(response)
}

/// Answers of the management API name the records whose ids they hold, in `names` beside whatever else they say: people
/// read names. Only a caller who was let in by a credential is told any.
async fn name_records(app: &App, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let route = route_of(request.extensions());
    let is_named = route.starts_with("/v1/") && shows_a_credential(request.headers());
    let route = route.to_owned();
    let asker = Asker::default();
    let mut request = request;
    request.extensions_mut().insert(asker.clone());
    let response = next(request).await;
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if !is_named || !is_json || !response.status().is_success() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    // An answer without names is still one.
    let names = match asker.known() {
        Some(caller) => Box::pin(names::of(&app.kernel, caller, named::mentions(&bytes))).await.unwrap_or_default(),
        None => BTreeMap::new(),
    };
    if let Some(link) = page_link(app, &route, &bytes) {
        parts.headers.insert(header::LINK, link);
    }
    let with_names = (!names.is_empty()).then(|| with_names(&bytes, &names)).flatten();
    let bytes = with_names.unwrap_or(bytes);
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    Response::from_parts(parts, Body::from(bytes))
}

/// The address of the page on which people look at the record that an answer is (RFC 8288), if its sort has one. An
/// environment's id is its name, and it has no other member that says what it is: it is known by its route.
fn page_link(app: &App, route: &str, json: &[u8]) -> Option<HeaderValue> {
    #[derive(serde::Deserialize)]
    struct Record {
        id: Option<String>,
        name: Option<String>,
    }
    let record: Record = serde_json::from_slice(json).ok()?;
    let page = match record.id {
        Some(id) => page_of(&id)?,
        None if route.starts_with(ENVIRONMENTS) => Address::new(pages::ENVIRONMENTS).below(&record.name?),
        None => return None,
    };
    let text = format!("<{}{page}>; rel=\"alternate\"; type=\"text/html\"", app.kernel.settings().public_url);
    HeaderValue::try_from(text).ok()
}

/// An object in JSON with the member `names`.
fn with_names(json: &[u8], names: &BTreeMap<String, String>) -> Option<Bytes> {
    let open = json.strip_suffix(b"}")?;
    let separator: &[u8] = if open == b"{" { b"" } else { b"," };
    let names = serde_json::to_vec(names).ok()?;
    Some([open, separator, b"\"names\":", &names, b"}"].concat().into())
}
