//! Sign-in by OpenID Connect: the code flow with PKCE (OpenID Connect Core 1.0, RFC 7636, RFC 9207).
//!
//! Between the start and the provider's answer nothing is kept here: what the sign-in began with is sealed into a
//! cookie of the browser, bound to the `state` that the provider hands back. So any replica can finish it, a stranger's
//! starts cost no memory, and an answer that somebody else's browser began opens nothing (login CSRF). Each state is
//! used up in the commit of the session that it led to.

use serde::{Deserialize, Serialize};
use tenure_core::base::id::{SessionId, SignInProviderId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::people::person::{Person, PersonState};
use tenure_core::people::sign_in::{Assurance, Session, SignInBinding, SignInMethod, SignInProvider};
use tenure_core::store::changeset::{Changeset, Once};
use tenure_core::store::event::{Actor, Via};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_core::store::secret::{self, Secret};
use tenure_core::trust::state::TrustState;
use tenure_credentials::id_token::{Expected, IdToken, IdTokenError, sha256_text, verify_id_token};
use tenure_credentials::jose::{Algorithm, JoseError, JwkSet};

use crate::kernel::Kernel;
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::keys::base64url;
use crate::kernel::outbound::Form;
use crate::people::setup::personal;
use crate::people::sign_in::{self, Entitled, MAX_SIGN_INS};
use crate::people::sign_in_providers;
use crate::trust::issuers;

/// How long a sign-in at a provider may take.
pub const PENDING_LIFE: Span = Span::from_mins(10);
const SEAL_LABEL: &str = "oidc-sign-in";
const MAX_TOKEN_ANSWER: usize = 64 * 1024;
const MAX_CODE: usize = 4 * 1024;

/// What a browser asks for when it leaves for a provider.
#[derive(Default)]
pub struct BeginOidc {
    /// Where to go afterwards: a path here.
    pub return_to: Option<String>,
    /// Whether the person has to prove themselves anew.
    pub fresh: bool,
    /// The invitation with which a sign-in is bound.
    pub invitation: Option<String>,
    /// Whether the caller's session binds another sign-in to its person.
    pub link: bool,
}

/// Where to send the browser, and what it has to keep meanwhile.
pub struct Begun {
    /// The provider's authorization endpoint with this sign-in's parameters.
    pub location: String,
    /// The sealed start, for a cookie.
    pub sealed: Secret<String>,
}

/// What the provider sent the browser back with.
#[derive(Clone, Deserialize)]
pub struct Returned {
    /// Which sign-in.
    #[serde(default)]
    pub state: String,
    /// The code.
    pub code: Option<String>,
    /// Why there is none.
    pub error: Option<String>,
    /// The issuer that answers (RFC 9207).
    pub iss: Option<String>,
}

/// A person who signed in.
pub struct SignedIn {
    /// The session's secret, for the cookie.
    pub secret: Secret<String>,
    /// The session.
    pub session: Session,
    /// Where to go now.
    pub return_to: Option<String>,
}

/// What a sign-in began with.
#[derive(Serialize, Deserialize)]
struct Pending {
    provider: SignInProviderId,
    nonce: String,
    verifier: String,
    started_at: Timestamp,
    return_to: Option<String>,
    fresh: bool,
    invitation: Option<String>,
    link: Option<SessionId>,
}

/// A token endpoint's good answer (Core 1.0, section 3.1.3.3).
#[derive(Deserialize)]
struct Tokens {
    id_token: String,
    access_token: Option<String>,
}

/// Begins a sign-in at a provider.
///
/// # Errors
/// No such active provider; or another sign-in is to be bound and the caller hasn't just signed in.
pub async fn begin_oidc(
    kernel: &Kernel,
    caller: Option<&Caller>,
    provider: SignInProviderId,
    ask: BeginOidc,
) -> Result<Begun, OpError> {
    let now = kernel.now();
    let provider = active_provider(kernel, provider).await?;
    let link = match (ask.link, caller) {
        (false, _) => None,
        (true, Some(Caller::Person { via: Via::Session(session), .. })) => {
            sign_in::may_bind(kernel, caller, None, now).await?;
            Some(*session)
        }
        (true, _) => return Err(OpError::refused(Reason::FreshSignInNeeded)),
    };
    let (state, nonce, verifier) = (random_text(kernel), random_text(kernel), random_text(kernel));
    let location = authorization_url(
        &provider,
        &[
            ("response_type", "code"),
            ("client_id", &provider.client_id),
            ("redirect_uri", &sign_in_providers::redirect_uri(kernel)),
            ("scope", "openid"),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &sha256_text(&verifier)),
            ("code_challenge_method", "S256"),
        ],
        ask.fresh,
    );
    let pending = Pending {
        provider: provider.id,
        nonce,
        verifier,
        started_at: now,
        return_to: ask.return_to.filter(|path| is_local_path(path)),
        fresh: ask.fresh,
        invitation: ask.invitation,
        link,
    };
    let text = Secret::new(serde_json::to_vec(&pending).map_err(|error| OpError::Internal(error.to_string()))?);
    let sealed = kernel
        .root
        .seal(SEAL_LABEL, &state, text.expose(), kernel.entropy.as_ref())
        .map_err(|error| OpError::Internal(error.to_string()))?;
    Ok(Begun { location, sealed: Secret::new(sealed) })
}

/// Finishes a sign-in: exchanges the code, checks what the provider vouches for, and begins the session of the person
/// who is bound to it. With an invitation, or in a session that asked for it, the subject is bound first. Names and
/// addresses are not looked at.
///
/// # Errors
/// It isn't this browser's sign-in, or is over or used; the provider refused or doesn't hold what it must; nobody is
/// bound to it.
pub async fn finish_oidc(
    kernel: &Kernel,
    caller: Option<&Caller>,
    sealed: &str,
    returned: Returned,
    source: &str,
) -> Result<SignedIn, OpError> {
    let result = finish(kernel, caller, sealed, &returned).await;
    if let Err(OpError::Unauthenticated(reason) | OpError::Refused { reason, .. }) = &result {
        kernel.count_stranger(*reason, source);
    }
    result
}

async fn finish(
    kernel: &Kernel,
    caller: Option<&Caller>,
    sealed: &str,
    returned: &Returned,
) -> Result<SignedIn, OpError> {
    let pending = pending(kernel, sealed, returned)?;
    let provider = active_provider(kernel, pending.provider).await?;
    if returned.iss.as_ref().is_some_and(|iss| *iss != provider.issuer)
        || (provider.names_itself && returned.iss.is_none())
    {
        return Err(failed(&provider, "another issuer answered (RFC 9207)"));
    }
    let code = match (&returned.code, &returned.error) {
        (Some(code), None) if code.len() <= MAX_CODE => code,
        (_, Some(error)) => {
            return Err(failed(&provider, &format!("it answered {:?}", error.chars().take(64).collect::<String>())));
        }
        _ => return Err(failed(&provider, "it sent no code")),
    };
    let tokens = redeem(kernel, &provider, code, &pending.verifier).await?;
    let id_token = vouched(kernel, &provider, &tokens, &pending).await?;
    let subject_hash = sha256_text(&id_token.subject);
    let ((secret, session), committed) = kernel
        .decide(|| async {
            admit(kernel, caller, &provider, &pending, &returned.state, &id_token, &subject_hash).await
        })
        .await?;
    Ok(SignedIn { secret: Kernel::released(secret, &committed)?, session, return_to: pending.return_to })
}

/// What this browser's sign-in began with, if it is this one and not over.
/// Whether this server began a sign-in of which `returned` may be the end.
pub fn began_oidc(kernel: &Kernel, sealed: &str, returned: &Returned) -> bool {
    pending(kernel, sealed, returned).is_ok()
}

fn pending(kernel: &Kernel, sealed: &str, returned: &Returned) -> Result<Pending, OpError> {
    let failed = || OpError::Unauthenticated(Reason::SignInFailed);
    let opened = kernel.root.open(SEAL_LABEL, &returned.state, sealed).map_err(|_| failed())?;
    let pending: Pending = serde_json::from_slice(opened.expose()).map_err(|_| failed())?;
    let now = kernel.now();
    if now >= pending.started_at.plus(PENDING_LIFE) {
        return Err(failed());
    }
    Ok(pending)
}

async fn active_provider(kernel: &Kernel, id: SignInProviderId) -> Result<Stored<SignInProvider>, OpError> {
    kernel
        .one::<SignInProvider>(id)
        .await?
        .filter(|provider| provider.state == TrustState::Active)
        .ok_or(OpError::NotFound("sign-in provider"))
}

/// Exchanges the code for tokens. What failed is said in the server's own log only.
async fn redeem(kernel: &Kernel, provider: &SignInProvider, code: &str, verifier: &str) -> Result<Tokens, OpError> {
    let secret = sign_in_providers::client_secret(kernel, provider)?;
    let redirect_uri = sign_in_providers::redirect_uri(kernel);
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &redirect_uri),
        ("code_verifier", verifier),
    ];
    let mut basic = None;
    match &secret {
        None => fields.push(("client_id", &provider.client_id)),
        Some(secret) if provider.secret_in_form => {
            fields.push(("client_id", &provider.client_id));
            fields.push(("client_secret", secret.expose()));
        }
        Some(secret) => basic = Some((provider.client_id.as_str(), secret.expose().as_str())),
    }
    let form = Form { url: &provider.token_endpoint, basic, fields: &fields };
    let answered = kernel.fetch.post_form(form, MAX_TOKEN_ANSWER).await.map_err(|error| {
        tracing::warn!(provider = %provider.id, %error, "a sign-in could not be finished");
        OpError::Unavailable("the sign-in provider can't be reached now".into())
    })?;
    if answered.status != 200 {
        return Err(failed(provider, &format!("its token endpoint answered with status {}", answered.status)));
    }
    serde_json::from_slice(&answered.body).map_err(|_| failed(provider, "its token endpoint sent no ID token"))
}

async fn vouched(
    kernel: &Kernel,
    provider: &SignInProvider,
    tokens: &Tokens,
    pending: &Pending,
) -> Result<IdToken, OpError> {
    let algorithms: Vec<Algorithm> = provider.algorithms.iter().filter_map(|name| name.parse().ok()).collect();
    let expected = Expected {
        issuer: &provider.issuer,
        client_id: &provider.client_id,
        nonce: &pending.nonce,
        access_token: tokens.access_token.as_deref(),
        proved_since: pending.fresh.then_some(pending.started_at),
    };
    let registration = provider.id.to_string();
    let check = |keys: &JwkSet| verify_id_token(&tokens.id_token, keys, &algorithms, &expected, kernel.now());
    let lacks = |error: &IdTokenError| matches!(error, IdTokenError::Jose(JoseError::KeyUnknown));
    let checked = issuers::check_by_keys(kernel, &registration, &provider.jwks_uri, check, lacks).await?;
    checked.map_err(|error| failed(provider, &error.to_string()))
}

/// Decides whose sign-in it is, and begins the session.
async fn admit(
    kernel: &Kernel,
    caller: Option<&Caller>,
    provider: &Stored<SignInProvider>,
    pending: &Pending,
    state: &str,
    id_token: &IdToken,
    subject_hash: &str,
) -> Result<(Changeset, (secret::Pending<String>, Session)), OpError> {
    let now = kernel.now();
    let bound = kernel.one::<SignInBinding>(SignInBinding::id_of(provider.id, subject_hash)).await?;
    let bound = bound.filter(|bound| bound.removed_at.is_none());
    let event = kernel.event(now, EventKind::SignInSucceeded).subject(provider.id).fact("method", "oidc");
    let mut changeset = Changeset::new(Actor::System { part: "sign-in".into() }, now, event);
    changeset.expect(provider);
    changeset.once.push(Once {
        space: "sign_in_state",
        key: sha256_text(state),
        until: Some(pending.started_at.plus(PENDING_LIFE)),
    });
    let person = match bound {
        // Whoever is bound already signs in as who they are, whatever invitation they hold.
        Some(bound) if pending.link.is_some() && caller.and_then(Caller::person_id) != Some(bound.person) => {
            return Err(OpError::refused(Reason::KeyAlreadyBound));
        }
        Some(bound) => {
            changeset.expect(&bound);
            kernel.one::<Person>(bound.person).await?
        }
        None => match entitled(kernel, caller, pending, now).await? {
            Some(entitled) => {
                bind_subject(kernel, &mut changeset, &entitled, provider, id_token, subject_hash, now).await?;
                Some(entitled.person)
            }
            None => None,
        },
    };
    let person = person
        .filter(|person| person.state == PersonState::Active)
        .ok_or(OpError::Unauthenticated(Reason::SignInUnknown))?;
    if let Some(first) = changeset.events.first_mut() {
        first.subjects.insert(0, person.id.to_string());
    }
    sign_in::end_earlier_session(kernel, &mut changeset, caller, now).await?;
    let worth = assurance(provider, id_token, now);
    let started = sign_in::start_session(kernel, &mut changeset, &person, worth, true, now).await?;
    Ok((changeset, started))
}

/// What entitles this sign-in to bind the subject, if it was begun for that.
async fn entitled(
    kernel: &Kernel,
    caller: Option<&Caller>,
    pending: &Pending,
    now: Timestamp,
) -> Result<Option<Entitled>, OpError> {
    if let Some(invitation) = &pending.invitation {
        return sign_in::may_bind(kernel, None, Some(invitation), now).await.map(Some);
    }
    let Some(wanted) = pending.link else { return Ok(None) };
    match caller {
        Some(Caller::Person { via: Via::Session(session), .. }) if *session == wanted => {
            sign_in::may_bind(kernel, caller, None, now).await.map(Some)
        }
        _ => Err(OpError::Unauthenticated(Reason::SignInFailed)),
    }
}

async fn bind_subject(
    kernel: &Kernel,
    changeset: &mut Changeset,
    entitled: &Entitled,
    provider: &SignInProvider,
    id_token: &IdToken,
    subject_hash: &str,
    now: Timestamp,
) -> Result<(), OpError> {
    let person = entitled.person.id;
    let earlier = sign_in::of_person(kernel, SignInBinding::PERSON, person).readable().await?;
    if earlier.iter().filter(|binding| binding.removed_at.is_none()).count() >= MAX_SIGN_INS {
        return Err(OpError::because(Reason::BudgetSpent, "the person has 16 sign-ins already: remove one first"));
    }
    let binding = SignInBinding {
        provider: provider.id,
        subject: id_token.subject.clone(),
        subject_hash: subject_hash.to_owned(),
        person,
        created_at: now,
        removed_at: None,
    };
    match kernel.one::<SignInBinding>(SignInBinding::id_of(provider.id, subject_hash)).await? {
        None => changeset.insert(&binding),
        // Bound before to this very person; to nobody else ever.
        Some(removed) if removed.person == person => changeset.replace(&removed, &binding),
        Some(_) => return Err(OpError::refused(Reason::KeyAlreadyBound)),
    };
    let event = kernel
        .event(now, EventKind::SignInBound)
        .subject(person)
        .subject(provider.id)
        .fact("method", "oidc")
        .fact("issuer", &provider.issuer)
        .fact("invitation", entitled.invitation().map(|invitation| invitation.id))
        .fact("single_person", entitled.invitation().is_some_and(|invitation| invitation.single_person))
        .personal(personal(kernel, person, "sign_in_subject", &id_token.subject));
    changeset.event(event);
    sign_in::bind_sign_in(kernel, changeset, entitled, now).await
}

fn random_text(kernel: &Kernel) -> String {
    let mut bytes = [0u8; 32];
    kernel.entropy.fill(&mut bytes);
    base64url(&bytes)
}

/// What the sign-in is worth: when the person proved themselves, and whether in a way that this provider is trusted to
/// call phishing-resistant.
fn assurance(provider: &SignInProvider, id_token: &IdToken, now: Timestamp) -> Assurance {
    Assurance {
        method: SignInMethod::Oidc,
        // A provider's clock that is ahead must not lend the session more freshness.
        at: id_token.auth_time.unwrap_or(id_token.issued_at).min(now),
        // Without the time of the proof it may be hours old, and only the token new: that is worth no freshness.
        phishing_resistant: id_token.auth_time.is_some()
            && id_token.claimed_methods.iter().any(|method| provider.phishing_resistant.contains(method)),
    }
}

fn authorization_url(provider: &SignInProvider, parameters: &[(&str, &str)], fresh: bool) -> String {
    let mut url = provider.authorization_endpoint.clone();
    let mut separator = if url.contains('?') { '&' } else { '?' };
    let acr_values = provider.acr_values.join(" ");
    let mut anew = Vec::new();
    if fresh {
        anew.push(("max_age", "0"));
        if !acr_values.is_empty() {
            anew.push(("acr_values", acr_values.as_str()));
        }
    }
    for (name, value) in parameters.iter().chain(&anew) {
        url.push(separator);
        url.push_str(name);
        url.push('=');
        push_encoded(value, &mut url);
        separator = '&';
    }
    url
}

/// Percent-encodes everything but unreserved characters (RFC 3986 §2.3).
fn push_encoded(value: &str, to: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            to.push(char::from(byte));
        } else {
            to.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// Whether it is a path of this server and nothing that a browser takes for another one.
pub fn is_local_path(path: &str) -> bool {
    let plain = path.len() <= 1_000 && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    plain && path.starts_with('/') && !path.starts_with("//")
}

/// A sign-in that came to nothing: what happened is for the server's log, and the browser starts again.
fn failed(provider: &SignInProvider, why: &str) -> OpError {
    tracing::warn!(provider = %provider.id, why, "a sign-in failed");
    OpError::Unauthenticated(Reason::SignInFailed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_server_are_gone_to_afterwards() {
        for good in ["/", "/sign-in/done", "/sign-in/cli?port=1&challenge=x"] {
            assert!(is_local_path(good), "{good}");
        }
        for bad in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/a b",
            "/\n/evil",
            "evil",
        ] {
            assert!(!is_local_path(bad), "{bad}");
        }
    }

    #[test]
    fn parameters_are_encoded() {
        let mut text = String::new();
        push_encoded("a b&c=d/ü~", &mut text);
        assert_eq!(text, "a%20b%26c%3Dd%2F%C3%BC~");
    }
}
