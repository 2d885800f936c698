//! OAuth: token endpoint (RFC 6749, 7523, 8707), introspection (RFC 7662), revocation (RFC 7009), metadata (RFC 8414),
//! key set. Each environment is an issuer of its own (S-6).

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tenure_api::problem::Problem;
use tenure_core::base::problem::Reason;
use tenure_core::base::text;
use tenure_engine::credentials::introspection;
use tenure_engine::credentials::token::ask::{Grant, TokenAsk};
use tenure_engine::credentials::token::backchannel::TENURE_ACCESS;
use tenure_engine::credentials::token::{self, DETAIL_TYPES, Proof, prove};
use tenure_engine::kernel::error::OpError;
use tenure_engine::kernel::keys;

use crate::app::App;
use crate::caller::keys::Keys;
use crate::caller::operator::authorization;
use crate::contract::api::{Api, Gives, Operation};
use crate::contract::body::{body, buffered};
use crate::contract::challenge::challenge;
use crate::contract::error::{Failure, problem_of, status_headers, whole_seconds};
use crate::contract::page::problem_page;
use crate::contract::query::Path;
use crate::contract::reply::{Media, Raw, Reply, ok};
use crate::contract::source::Source;
use crate::protocols::{ciba, exchange};
use crate::serve::Connection;

const CLIENT_CREDENTIALS: &str = "client_credentials";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What the token endpoint takes.
const GRANTS: &[&str] = &[CLIENT_CREDENTIALS, JWT_BEARER, exchange::GRANT, ciba::GRANT];

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.post("/env/{environment}/token", "Issues an access token (RFC 6749, RFC 7523, RFC 8693).", token)
        .post("/env/{environment}/introspect", "Introspects a token (RFC 7662).", introspect)
        .post("/env/{environment}/revoke", "Revokes a token (RFC 7009).", revoke)
        .get("/env/{environment}/jwks.json", "Gives the issuer's public keys (RFC 7517).", jwks)
        .page("/env/{environment}/authorize", get(authorize))
        .get(
            "/.well-known/oauth-authorization-server/env/{environment}",
            "Gives the issuer's metadata (RFC 8414).",
            metadata,
        )
        .get(
            "/.well-known/openid-configuration/env/{environment}",
            "Gives the issuer's metadata, where OpenID Connect looks first.",
            discovery,
        )
        .get(
            "/env/{environment}/.well-known/openid-configuration",
            "Gives the issuer's metadata, where OpenID Connect looks.",
            discovery,
        )
}

/// An OAuth error (RFC 6749 §5.2), with our own reason beside it.
pub(super) struct OAuthError {
    pub(super) status: StatusCode,
    pub(super) error: &'static str,
    description: String,
    reason: Option<Reason>,
    policies: Vec<String>,
    challenge: Challenge,
    /// In how many seconds it is worth another try.
    retry_after: Option<u64>,
}

/// What a 401 says of the ways to authenticate. A client of the token endpoint does it in the form, for which there is
/// no scheme of HTTP's: a challenge there would name a way that isn't one, and many clients then look at nothing else.
enum Challenge {
    None,
    /// The scheme that the client tried (RFC 6749 §5.2).
    Tried(String),
    /// Of an address that takes access tokens.
    Token,
}

impl OAuthError {
    pub(super) fn new(status: StatusCode, error: &'static str, description: impl Into<String>) -> Self {
        Self {
            status,
            error,
            description: description.into(),
            reason: None,
            policies: Vec::new(),
            challenge: Challenge::None,
            retry_after: None,
        }
    }

    /// Nothing came that could prove a client.
    pub(super) fn no_proof(form: &Form) -> Self {
        Self {
            challenge: form.scheme.clone().map_or(Challenge::None, Challenge::Tried),
            ..Self::because(StatusCode::UNAUTHORIZED, "invalid_client", Reason::ProofMissing)
        }
    }

    pub(super) fn invalid_request(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// A body that could not be read.
    fn unread(Failure(problem): Failure) -> Self {
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST);
        Self::new(status, "invalid_request", problem.detail.unwrap_or(problem.title))
    }

    /// Says what was wrong this time, before what to do.
    fn detailed(&mut self, detail: Option<String>, reason: Reason) {
        if let Some(detail) = detail {
            self.description = format!("{detail}; {}", reason.hint());
        }
    }

    pub(super) fn because(status: StatusCode, error: &'static str, reason: Reason) -> Self {
        Self { reason: Some(reason), ..Self::new(status, error, reason.hint()) }
    }
}

/// An error as the OAuth endpoints tell it.
#[derive(schemars::JsonSchema)]
#[expect(dead_code, reason = "it only tells what the bodies below look like")]
struct OAuthErrorBody {
    /// The code (RFC 6749 §5.2).
    error: String,
    /// What happened, and what to do.
    error_description: String,
    /// The domain's own reason.
    reason_code: Option<Reason>,
    /// The policies that determined the answer.
    policies: Option<Vec<String>>,
}

impl<T: Gives> Gives for Result<T, OAuthError> {
    fn describe(operation: &mut Operation<'_>) {
        let schema = operation.schema::<OAuthErrorBody>();
        for status in [400, 401, 403, 408, 413, 415, 429, 500, 503] {
            operation.failure(status, &schema);
        }
        let form = json!({"type": "object", "additionalProperties": {"type": "string"}});
        operation.body("application/x-www-form-urlencoded", &form, true);
        T::describe(operation);
    }
}

/// A token, as RFC 6749 §5.1 gives it.
pub(super) struct TokenReply;

impl Media for TokenReply {
    const TYPE: Option<&'static str> = Some("application/json");
    const IS_COUNTED: bool = true;
}

/// What a token is worth (RFC 7662 §2.2).
struct Introspection;

impl Media for Introspection {
    const TYPE: Option<&'static str> = Some("application/json");
}

/// Nothing but that it was done.
struct Silence;

impl Media for Silence {
    const TYPE: Option<&'static str> = None;
}

/// Keys (RFC 7517 §8.5).
struct KeySet;

impl Media for KeySet {
    const TYPE: Option<&'static str> = Some("application/jwk-set+json");
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let mut body = json!({"error": self.error, "error_description": self.description});
        if let (Some(object), Some(reason)) = (body.as_object_mut(), self.reason) {
            object.insert("reason_code".into(), json!(reason));
        }
        if let (Some(object), false) = (body.as_object_mut(), self.policies.is_empty()) {
            object.insert("policies".into(), json!(self.policies));
        }
        let mut response = (self.status, Json(body)).into_response();
        let challenge = match &self.challenge {
            _ if self.status != StatusCode::UNAUTHORIZED => None,
            Challenge::None => None,
            Challenge::Tried(scheme) => HeaderValue::try_from(format!("{scheme} realm=\"tenure\"")).ok(),
            Challenge::Token => Some(challenge(self.reason.map_or("", Reason::code), &self.description)),
        };
        if let Some(challenge) = challenge {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        status_headers(self.status, self.retry_after, response.headers_mut());
        response
    }
}

/// How an operation's failure reads in OAuth. `proof` says which error a failed proof is: of a client, or of a grant.
pub(super) fn oauth_error(error: OpError, proof: &'static str) -> OAuthError {
    let proof_status = if proof == "invalid_client" { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
    match error {
        // Every failed proof of a stranger reads the same: whether the identity exists, or has this key, is nobody's
        // business.
        OpError::Unauthenticated(_) => OAuthError::because(proof_status, proof, Reason::ProofInvalid),
        OpError::Refused {
            reason:
                reason @ (Reason::ProofReplayed
                | Reason::ProofAudienceWrong
                | Reason::ProofNotNow
                | Reason::CertificateEnded
                | Reason::ProofTooLong
                | Reason::ProofClaimsWrong),
            detail,
            ..
        } => {
            let mut failure = OAuthError::because(proof_status, proof, reason);
            failure.detailed(detail, reason);
            failure
        }
        OpError::Refused { reason, detail, answer, retry_after } => {
            let (status, code) = match reason {
                Reason::OutsideScope => (StatusCode::BAD_REQUEST, "invalid_scope"),
                Reason::ResourceUnknown => (StatusCode::BAD_REQUEST, "invalid_target"),
                Reason::OutsideIntent | Reason::IntentMissing => {
                    (StatusCode::BAD_REQUEST, "invalid_authorization_details")
                }
                // RFC 8693 §2.2.2: a subject token that is no good, or that policy doesn't take, is an invalid request.
                Reason::DelegationNotAllowed
                | Reason::DelegationTooDeep
                | Reason::ParentEnded
                | Reason::CredentialUnknown => (StatusCode::BAD_REQUEST, "invalid_request"),
                Reason::BudgetSpent => (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable"),
                Reason::DpopNonceNeeded => (StatusCode::BAD_REQUEST, "use_dpop_nonce"),
                Reason::DpopInvalid => (StatusCode::BAD_REQUEST, "invalid_dpop_proof"),
                Reason::TokenBound => (StatusCode::UNAUTHORIZED, "invalid_token"),
                Reason::AuthorizationPending => (StatusCode::BAD_REQUEST, "authorization_pending"),
                Reason::SlowDown => (StatusCode::BAD_REQUEST, "slow_down"),
                Reason::RequestDenied => (StatusCode::BAD_REQUEST, "access_denied"),
                Reason::RequestExpired => (StatusCode::BAD_REQUEST, "expired_token"),
                Reason::RequestUnknown => (StatusCode::BAD_REQUEST, "invalid_grant"),
                Reason::ClockUnreliable => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
                Reason::PolicyDenied | Reason::PolicyError | Reason::NotAllowed => {
                    (StatusCode::FORBIDDEN, "access_denied")
                }
                _ => (StatusCode::BAD_REQUEST, "unauthorized_client"),
            };
            let mut failure = OAuthError::because(status, code, reason);
            failure.detailed(detail, reason);
            failure.policies = answer.map(|answer| answer.policies().to_vec()).unwrap_or_default();
            failure.retry_after = retry_after.map(whole_seconds);
            failure
        }
        OpError::Invalid(fields) => {
            let description =
                fields.iter().map(|field| format!("{}: {}", field.field, field.hint)).collect::<Vec<_>>().join("; ");
            let error = if fields.iter().any(|field| field.field == "resource") {
                "invalid_target"
            } else if fields.iter().any(|field| field.field == "scope") {
                "invalid_scope"
            } else if fields.iter().any(|field| field.field.starts_with("authorization_details")) {
                "invalid_authorization_details"
            } else {
                "invalid_request"
            };
            OAuthError::new(StatusCode::BAD_REQUEST, error, description)
        }
        OpError::NotFound(what) => {
            OAuthError::new(StatusCode::NOT_FOUND, "invalid_request", format!("there is no such {what}"))
        }
        other => {
            let problem = problem_of(other);
            let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let error =
                if status == StatusCode::SERVICE_UNAVAILABLE { "temporarily_unavailable" } else { "server_error" };
            OAuthError::new(status, error, problem.hint.unwrap_or(problem.title))
        }
    }
}

/// The parameters of a form; each at most once (RFC 6749 §3.2).
pub(super) struct Form {
    parameters: BTreeMap<String, String>,
    /// The scheme of the request's `Authorization` header, if it has one.
    scheme: Option<String>,
    keys: Keys,
}

/// The scheme of an `Authorization` header; one that can't be read is of none that has a name.
fn scheme_of(value: &HeaderValue) -> String {
    let scheme = value.to_str().ok().and_then(|text| text.split(' ').next()).unwrap_or_default();
    let is_name =
        (1..=32).contains(&scheme.len()) && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_name { scheme.to_owned() } else { "Bearer".to_owned() }
}

impl Form {
    pub(super) async fn read(request: Request, app: &App) -> Result<Self, OAuthError> {
        let is_form =
            request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
                value
                    .split(';')
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .eq_ignore_ascii_case("application/x-www-form-urlencoded")
            });
        if !is_form {
            return Err(OAuthError::invalid_request("send application/x-www-form-urlencoded"));
        }
        let scheme = request.headers().get(header::AUTHORIZATION).map(scheme_of);
        let keys = Keys::of_request(app, &request);
        let bytes = body(request, app).await.map_err(OAuthError::unread)?;
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(&bytes)
            .map_err(|_| OAuthError::invalid_request("the body is not form-encoded"))?;
        let mut parameters = BTreeMap::new();
        for (name, value) in pairs {
            // What is asked about as a token is only compared: whatever it is, it is none that is alive (RFC 7662
            // §2.2).
            let compared = name == "token";
            if let Err(bad) = text::check_line(&name).and(if compared { Ok(()) } else { text::check_lines(&value) }) {
                let code = if name == "binding_message" { "invalid_binding_message" } else { "invalid_request" };
                return Err(OAuthError::new(StatusCode::BAD_REQUEST, code, format!("{}: {bad}", text::line(&name))));
            }
            // Whoever wants a token for several resources may say so (RFC 8707 §2); here a token is for one.
            if name == "resource" && parameters.contains_key(&name) {
                let hint = "name one resource: a token is for one; ask for another token for each other resource";
                return Err(OAuthError::new(StatusCode::BAD_REQUEST, "invalid_target", hint));
            }
            if parameters.insert(name, value).is_some() {
                return Err(OAuthError::invalid_request("a parameter is given twice"));
            }
        }
        Ok(Self { parameters, scheme, keys })
    }

    /// A parameter; an empty one counts as left out (RFC 6749 §3.1).
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn must(&self, name: &str) -> Result<&str, OAuthError> {
        self.get(name).ok_or_else(|| OAuthError::invalid_request(format!("the parameter {name} is missing")))
    }

    fn client_assertion(&self) -> Result<Option<&str>, OAuthError> {
        if self.get("client_secret").is_some() {
            return Err(OAuthError::new(
                StatusCode::UNAUTHORIZED,
                "invalid_client",
                "client secrets are not accepted: sign a client assertion (private_key_jwt)",
            ));
        }
        match (self.get("client_assertion"), self.get("client_assertion_type")) {
            (Some(_), _) if self.scheme.is_some() => {
                Err(OAuthError::invalid_request("authenticate in one way, not in two (RFC 6749 §2.3)"))
            }
            (None, None) => Ok(None),
            (Some(assertion), Some(ASSERTION_TYPE)) => Ok(Some(assertion)),
            (None, Some(_)) => Err(OAuthError::invalid_request("the parameter client_assertion is missing")),
            (Some(_), _) => {
                Err(OAuthError::invalid_request(format!("client_assertion_type has to be {ASSERTION_TYPE}")))
            }
        }
    }
}

/// The proof of a client by what it holds itself: an assertion by its own key, or its certificate.
fn own_proof(form: &Form) -> Result<Option<Proof>, OAuthError> {
    match form.client_assertion()? {
        Some(assertion) => Ok(Some(Proof::ClientAssertion(assertion.to_owned()))),
        None => client_proof(form),
    }
}

/// A failure where an access token is shown: what is wrong with its key is said as any resource says it (RFC 9449
/// §7.1).
fn at_resource(error: OpError) -> OAuthError {
    let is_token = matches!(error, OpError::Unauthenticated(_));
    let mut failure = oauth_error(error, "invalid_client");
    if is_token {
        // RFC 7662 §2.3, RFC 6750 §3.1: the token is what failed, and no client.
        failure.error = "invalid_token";
    }
    if matches!(failure.reason, Some(Reason::DpopInvalid | Reason::DpopNonceNeeded)) {
        failure.status = StatusCode::UNAUTHORIZED;
    }
    failure.challenge = Challenge::Token;
    failure
}

/// The proof of a client that asks for itself: an assertion by its own key, its certificate (RFC 8705 §2.2), or an
/// assertion by a registered issuer in its place (RFC 7523 §2.2), whose subject is the issuer's name for the workload
/// and needs the identity as `client_id` beside it.
pub(super) fn client_proof(form: &Form) -> Result<Option<Proof>, OAuthError> {
    let Some(assertion) = form.client_assertion()? else {
        // Without a name the certificate says nothing: a proof names its identity (S-13).
        return Ok(form.keys.certificate().filter(|_| form.get("client_id").is_some() && form.scheme.is_none()));
    };
    let issuer = tenure_credentials::jose::read_unverified(assertion).ok().and_then(|unverified| unverified.issuer);
    let is_own = form.get("client_id").is_none_or(|client| issuer.as_deref().is_none_or(|issuer| issuer == client));
    Ok(Some(match is_own {
        true => Proof::ClientAssertion(assertion.to_owned()),
        false => Proof::ExternalToken(assertion.to_owned()),
    }))
}

async fn token(
    State(app): State<App>,
    Path(environment): Path<String>,
    Source(source): Source,
    request: Request,
) -> Result<Raw<TokenReply>, OAuthError> {
    let connection = request.extensions().get::<Connection>().cloned();
    let form = Form::read(request, &app).await?;
    let (proof, failed) = match form.must("grant_type")? {
        CLIENT_CREDENTIALS => {
            let Some(proof) = own_proof(&form)? else {
                app.kernel.count_stranger(Reason::ProofMissing, &source);
                return Err(OAuthError::no_proof(&form));
            };
            (proof, "invalid_client")
        }
        JWT_BEARER if form.client_assertion()?.is_some() || form.scheme.is_some() => {
            return Err(OAuthError::invalid_request(
                "the assertion alone is the proof here: send no client authentication beside it",
            ));
        }
        JWT_BEARER => (Proof::ExternalToken(form.must("assertion")?.to_owned()), "invalid_grant"),
        ciba::GRANT | exchange::GRANT => match client_proof(&form)? {
            Some(proof) => (proof, "invalid_client"),
            None => {
                app.kernel.count_stranger(Reason::ProofMissing, &source);
                return Err(OAuthError::no_proof(&form));
            }
        },
        _ => {
            return Err(OAuthError::new(
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                format!("use {}", GRANTS.join(", ")),
            ));
        }
    };
    let grant = match form.must("grant_type")? {
        ciba::GRANT => Grant::Backchannel(form.must("auth_req_id")?.to_owned()),
        exchange::GRANT => exchange::grant(&form)?,
        _ => Grant::Own,
    };
    let ask = TokenAsk {
        environment,
        client_id: form.get("client_id").map(str::to_owned),
        proof,
        resource: form.get("resource").map(str::to_owned),
        scope: form.get("scope").map(str::to_owned),
        authorization_details: form.get("authorization_details").map(str::to_owned),
        grant,
        sender: form.keys.for_a_token().map_err(|error| oauth_error(error, failed))?,
        source,
    };
    let issued = token::issue_token(&app.kernel, ask).await.map_err(|error| oauth_error(error, failed))?;
    connection.iter().for_each(Connection::prove);
    Ok(([(header::PRAGMA, "no-cache")], Json(issued)).into_response().into())
}

async fn introspect(
    State(app): State<App>,
    Path(environment): Path<String>,
    Source(source): Source,
    request: Request,
) -> Result<Raw<Introspection>, OAuthError> {
    let connection = request.extensions().get::<Connection>().cloned();
    let (request, whole) = buffered(request, &app).await;
    let token = match authorization(request.headers()) {
        Ok(token) => token,
        // Another scheme, which the answer names once the form has no proof either.
        Err(Failure(problem)) if problem.status == StatusCode::UNAUTHORIZED.as_u16() => None,
        Err(Failure(problem)) => return Err(OAuthError::invalid_request(problem.detail.unwrap_or_default())),
    };
    let by_token = match token {
        None => None,
        Some((scheme, access_token)) => {
            let shown = Keys::of_request(&app, &request).with_a_token(scheme).map_err(at_resource)?;
            let enforcer =
                introspection::authenticate_enforcer(&app.kernel, &access_token, &shown).await.map_err(|error| {
                    if let OpError::Unauthenticated(reason) = &error {
                        app.kernel.count_stranger(*reason, &source);
                    }
                    at_resource(error)
                })?;
            Some(enforcer)
        }
    };
    whole.map_err(OAuthError::unread)?;
    let form = Form::read(request, &app).await?;
    let enforcer = match (by_token, own_proof(&form)?) {
        (Some(enforcer), _) => enforcer,
        (None, Some(proof)) => {
            // A proof is used up by what it is for, and by nothing less.
            form.must("token")?;
            let identity = prove::authenticate_client(
                &app.kernel,
                &environment,
                form.get("client_id"),
                &proof,
                "introspection",
                &source,
            )
            .await
            .map_err(|error| oauth_error(error, "invalid_client"))?;
            introspection::enforcer_of(&app.kernel, &identity)
                .await
                .map_err(|error| oauth_error(error, "invalid_client"))?
        }
        (None, None) => {
            app.kernel.count_stranger(Reason::ProofMissing, &source);
            let failure = OAuthError::no_proof(&form);
            return Err(match failure.challenge {
                Challenge::None => OAuthError { challenge: Challenge::Token, ..failure },
                _ => failure,
            });
        }
    };
    connection.iter().for_each(Connection::prove);
    let asked_about = form.must("token")?;
    let answer = introspection::introspect(&app.kernel, &environment, &enforcer, asked_about)
        .await
        .map_err(|error| oauth_error(error, "invalid_client"))?;
    Ok(Json(answer).into_response().into())
}

async fn revoke(
    State(app): State<App>,
    Path(environment): Path<String>,
    Source(source): Source,
    request: Request,
) -> Result<Raw<Silence>, OAuthError> {
    let form = Form::read(request, &app).await?;
    let Some(proof) = own_proof(&form)? else {
        app.kernel.count_stranger(Reason::ProofMissing, &source);
        return Err(OAuthError::no_proof(&form));
    };
    let token = form.must("token")?;
    let client =
        prove::authenticate_client(&app.kernel, &environment, form.get("client_id"), &proof, "revocation", &source)
            .await
            .map_err(|error| oauth_error(error, "invalid_client"))?;
    introspection::revoke_token(&app.kernel, &environment, &client, token)
        .await
        .map_err(|error| oauth_error(error, "invalid_client"))?;
    Ok(StatusCode::OK.into_response().into())
}

async fn jwks(State(app): State<App>, Path(environment): Path<String>) -> Result<Raw<KeySet>, Failure> {
    let keys = keys::key_set(&app.kernel, &environment).await?;
    Ok((
        [(header::CACHE_CONTROL, "public, max-age=60"), (header::CONTENT_TYPE, "application/jwk-set+json")],
        Json(json!({"keys": keys})),
    )
        .into_response()
        .into())
}

/// The authorization endpoint, which gives nobody a code: identities prove themselves at the token endpoint. Its
/// address stands in the metadata since clients refuse those without one, though RFC 8414 §2 doesn't. The error is
/// shown and not sent on: no client has an address here that it could be sent to (RFC 6749 §4.1.2.1).
async fn authorize(State(app): State<App>, Path(environment): Path<String>) -> Response {
    let failure = match keys::key_set(&app.kernel, &environment).await {
        Ok(_) => Failure::of(
            Problem::new(400, "unsupported_response_type", "unsupported response type")
                .detail("unsupported_response_type: nobody signs in here for an application")
                .hint("clients get their tokens at the token endpoint, by grant_type=client_credentials with an assertion by their own key (private_key_jwt)"),
        ),
        Err(error) => error.into(),
    };
    problem_page(failure, Vec::new())
}

async fn metadata(State(app): State<App>, Path(environment): Path<String>) -> Reply<Value> {
    ok(metadata_of(&app, &environment).await?)
}

/// The same for verifiers that know only OpenID Connect Discovery 1.0, at the addresses of both ways to put the
/// issuer's path (RFC 8414 §5). What that demands beside has no use here: there are no ID tokens, and subjects are the
/// same for every resource.
async fn discovery(State(app): State<App>, Path(environment): Path<String>) -> Reply<Value> {
    let mut metadata = metadata_of(&app, &environment).await?;
    if let Some(members) = metadata.as_object_mut() {
        members.insert("subject_types_supported".into(), json!(["public"]));
        let keys = keys::key_set(&app.kernel, &environment).await?;
        let algorithms: BTreeSet<&str> = keys.iter().filter_map(|key| key.get("alg").and_then(Value::as_str)).collect();
        members.insert("id_token_signing_alg_values_supported".into(), json!(algorithms));
    }
    ok(metadata)
}

async fn metadata_of(app: &App, environment: &str) -> Result<Value, Failure> {
    // A name that has no environment has no metadata either.
    keys::key_set(&app.kernel, environment).await?;
    let issuer = app.kernel.issuer_of(environment);
    let details = [DETAIL_TYPES, &[TENURE_ACCESS]].concat();
    let mtls = app.kernel.settings().mtls_url.as_ref();
    let mut auth = vec!["private_key_jwt"];
    auth.extend(mtls.map(|_| "self_signed_tls_client_auth"));
    let algorithms = json!(["EdDSA", "Ed25519", "ES256"]);
    let mut metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks.json"),
        "introspection_endpoint": format!("{issuer}/introspect"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "backchannel_authentication_endpoint": format!("{issuer}/bc-authorize"),
        "backchannel_token_delivery_modes_supported": ["poll", "ping"],
        "backchannel_user_code_parameter_supported": false,
        "authorization_details_types_supported": details,
        "grant_types_supported": GRANTS,
        "response_types_supported": ["none"],
        "token_endpoint_auth_methods_supported": auth,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": auth,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": auth,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "dpop_signing_alg_values_supported": ["EdDSA", "Ed25519", "ES256"],
        "tls_client_certificate_bound_access_tokens": mtls.is_some(),
    });
    if let (Some(base), Some(members)) = (mtls, metadata.as_object_mut()) {
        let alias = |endpoint: &str| format!("{base}/env/{environment}/{endpoint}");
        let aliases = json!({
            "token_endpoint": alias("token"),
            "introspection_endpoint": alias("introspect"),
            "revocation_endpoint": alias("revoke"),
            "backchannel_authentication_endpoint": alias("bc-authorize"),
        });
        members.insert("mtls_endpoint_aliases".into(), aliases);
    }
    Ok(metadata)
}
