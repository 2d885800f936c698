//! External issuers of proofs (S-13): registered by one administrator, confirmed by another, and their key sets in
//! memory.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;
use tenure_api::issuers::IssuerView;
use tenure_api::requests::NewIssuer;
use tenure_api::views::{Page, Revised};
use tenure_core::base::id::{IssuerId, PersonId};
use tenure_core::base::problem::FieldProblem;
use tenure_core::base::state::{BadStep, InState};
use tenure_core::base::time::Span;
use tenure_core::inventory::environment::Environment;
use tenure_core::people::sign_in::SignInProvider;
use tenure_core::policy::Action;
use tenure_core::store::changeset::Once;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::trust::claim;
use tenure_core::trust::issuer::{Issuer, Preset, TokenReview};
use tenure_core::trust::state::TrustState;
use tenure_credentials::jose::{Algorithm, JwkSet, MAX_SET_BYTES};

use crate::kernel::Kernel;
use crate::kernel::authority::{administration, inventory};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::Asked;
use crate::kernel::query::{ListAsk, Query};
use crate::trust::records::{self, Names, Trusted};
use crate::trust::reviews;

const ADDRESS_NOT_ALLOWED: &str = "its host leads to an address that the server may not reach: public ones by https, others only where an \
                                   operator lists their network in outbound_allow (TENURE_OUTBOUND_ALLOW), e.g. 10.20.0.0/16; then propose it again";

const MAX_URL: usize = 500;
const MAX_TEXT: usize = 200;
const MAX_NAMES: usize = 32;
const MAX_DISCOVERY_BYTES: usize = 64 * 1024;

/// How long a key set is used without asking again.
const FRESH: Span = Span::from_mins(10);
/// How long it is used when the issuer can't be reached: a key that the issuer withdrew counts here no longer than
/// that.
const STALE: Span = Span::from_mins(60);
/// Unknown `kid`s, which anyone can send, cause at most one request in this time.
const REFETCH_EVERY: Span = Span::from_secs(30);
/// After a failure.
const RETRY_EVERY: Span = Span::from_secs(5);
/// Issuers whose keys are kept; registrations are few.
const MAX_SETS: usize = 1_024;

/// For whom an issuer vouches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IssuerUse {
    Workloads,
    People,
}

/// The key sets of issuers in memory.
#[derive(Default)]
pub(crate) struct KeySets(Mutex<HashMap<String, Arc<Slot>>>);

/// The keys at one URL, which a registration fixes.
struct Slot {
    jwks_uri: String,
    held: Mutex<Held>,
    /// Held by whoever fetches, so that many who wait cause one request.
    fetching: tokio::sync::Mutex<()>,
}

/// What is known, with times on the monotonic clock, counted from when a request was sent.
#[derive(Clone, Default)]
struct Held {
    keys: Option<(Arc<JwkSet>, Span)>,
    failed_at: Option<Span>,
}

/// Whether what is held may be used, or the issuer be asked.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Use(Arc<JwkSet>),
    Fetch,
    Wait,
}

impl Held {
    fn next(&self, now: Span, refetch: bool) -> Next {
        let age = |at: Span| Span::from_micros(now.as_micros() - at.as_micros());
        let (good_for, retry_every) = if refetch { (REFETCH_EVERY, REFETCH_EVERY) } else { (FRESH, RETRY_EVERY) };
        let failed_lately = self.failed_at.is_some_and(|at| age(at) < retry_every);
        match &self.keys {
            Some((keys, at)) if age(*at) < good_for => Next::Use(Arc::clone(keys)),
            Some((keys, at)) if failed_lately && age(*at) < STALE => Next::Use(Arc::clone(keys)),
            _ if failed_lately => Next::Wait,
            _ => Next::Fetch,
        }
    }

    fn stale(&self, now: Span) -> Option<Arc<JwkSet>> {
        self.keys
            .as_ref()
            .filter(|(_, at)| now.as_micros() - at.as_micros() < STALE.as_micros())
            .map(|(keys, _)| Arc::clone(keys))
    }
}

impl KeySets {
    fn slot(&self, registration: &str, jwks_uri: &str) -> Arc<Slot> {
        let mut slots = self.0.lock();
        match slots.get(registration) {
            Some(slot) if slot.jwks_uri == jwks_uri => Arc::clone(slot),
            _ => {
                if slots.len() >= MAX_SETS {
                    slots.clear();
                }
                let slot = Arc::new(Slot {
                    jwks_uri: jwks_uri.to_owned(),
                    held: Mutex::default(),
                    fetching: tokio::sync::Mutex::default(),
                });
                slots.insert(registration.to_owned(), Arc::clone(&slot));
                slot
            }
        }
    }
}

/// The part of an issuer's discovery document that is looked at (OpenID Connect Discovery 1.0, section 3).
#[derive(Deserialize)]
pub(crate) struct Discovery {
    issuer: String,
    pub jwks_uri: String,
    pub authorization_endpoint: Option<String>,
    pub token_endpoint: Option<String>,
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    pub id_token_signing_alg_values_supported: Vec<String>,
    #[serde(default)]
    pub acr_values_supported: Vec<String>,
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

impl Trusted for Issuer {
    const NAMES: Names = Names {
        what: "issuer",
        kind: "issuer",
        confirm: "issuer.confirm",
        remove: "issuer.remove",
        activated: EventKind::IssuerActivated,
        removed: EventKind::IssuerRemoved,
    };
    fn state(&self) -> TrustState {
        self.state.get()
    }
    fn proposed_by(&self) -> PersonId {
        self.proposed_by
    }
    fn confirmed(self, by: PersonId) -> Result<Self, BadStep> {
        self.confirm(by)
    }
    fn removed(self) -> Result<Self, BadStep> {
        self.remove()
    }
}

/// Registers an external issuer. It is trusted once another administrator has confirmed it, or at once, and marked so,
/// while there is no other.
///
/// # Errors
/// The fields are wrong, the issuer's discovery document doesn't fit, its URL was registered before, or the caller is
/// no administrator.
pub async fn create_issuer(
    kernel: &Kernel,
    caller: &Caller,
    mut ask: NewIssuer,
) -> Result<Revised<IssuerView>, OpError> {
    if ask.url.is_empty() {
        ask.url = ask.preset.default_url().unwrap_or_default().to_owned();
    }
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "issuer.create", ""), async {
            kernel.allow(caller, Action::Trust, inventory("issuer", "", ""), administration(false, false))?;
            let proposed_by = caller.must_be_person()?;
            let mut problems = check(&ask);
            problems.extend(check_preset(&ask));
            problems.extend(ask.token_review.iter().flat_map(|review| reviews::check(ask.preset, review)));
            let algorithms = algorithms(&ask.algorithms, ask.preset, &mut problems);
            for (n, name) in ask.environments.iter().take(MAX_NAMES).enumerate() {
                if kernel.one::<Environment>(name).await?.is_none() {
                    problems.push(FieldProblem::new(
                        format!("environments[{n}]"),
                        "environment_unknown",
                        "name a registered environment",
                    ));
                }
            }
            if !problems.is_empty() {
                return Err(OpError::Invalid(problems));
            }
            let jwks_uri = discover(kernel, "url", &ask.url).await?.jwks_uri;
            let (issuer, committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let proposing = records::proposing(kernel, caller, now).await?;
                    let earlier = earlier_registrations(kernel, &ask.url, IssuerUse::Workloads).await?;
                    let issuer = Issuer {
                        id: IssuerId::generate(now, kernel.entropy.as_ref()),
                        url: ask.url.clone(),
                        jwks_uri: jwks_uri.clone(),
                        algorithms: algorithms.clone(),
                        audience: ask.audience.clone(),
                        environments: sorted(&ask.environments),
                        required_claims: sorted(&ask.required_claims),
                        preset: ask.preset,
                        fixed_claims: ask.fixed_claims.clone(),
                        token_review: ask.token_review.clone().map(|review| TokenReview {
                            url: review.url,
                            ca: review.ca,
                            login: None,
                        }),
                        state: InState::proposed(proposing.alone),
                        proposed_by,
                        confirmed_by: None,
                        single_person: proposing.alone,
                        created_at: now,
                    };
                    let event = kernel
                        .event(now, EventKind::IssuerProposed)
                        .subject(issuer.id)
                        .fact("url", &issuer.url)
                        .fact("jwks_uri", &issuer.jwks_uri)
                        .fact("algorithms", &issuer.algorithms)
                        .fact("audience", &issuer.audience)
                        .fact("environments", &issuer.environments)
                        .fact("preset", issuer.preset)
                        .fact("fixed_claims", &issuer.fixed_claims)
                        .fact("required_claims", &issuer.required_claims)
                        .fact("token_review", ask.token_review.as_ref().map(|review| &review.url));
                    let mut changeset = records::proposal(kernel, caller, now, proposing, &issuer, event);
                    changeset.once.push(Once {
                        space: "issuer_url",
                        // Two that are proposed at the same moment use the same number: one of them conflicts.
                        key: format!("{} {earlier}", issuer.url),
                        until: None,
                    });
                    Ok((changeset, issuer))
                })
                .await?;
            kernel.changed(IssuerView::from(issuer), 1, &committed).await
        })
        .await
}

/// An issuer as it is shown, without secrets.
pub fn shown(issuer: Revised<Issuer>) -> Revised<IssuerView> {
    let Revised { record, revision, hold, log, names } = issuer;
    Revised { record: record.into(), revision, hold, log, names }
}

/// A page of issuers, without secrets.
///
/// # Errors
/// The caller may not read them.
pub async fn list_issuers(
    kernel: &Kernel,
    caller: &Caller,
    ask: ListAsk<Issuer>,
) -> Result<Page<Revised<IssuerView>>, OpError> {
    let Page { items, next, count, unreadable, names } = kernel.list(caller, ask).await?;
    Ok(Page { items: items.into_iter().map(shown).collect(), next, count, unreadable, names })
}

/// How often this URL was registered and removed, for either use; a registration that stands is in the way of another.
/// What vouches for people never vouches for workloads, nor the reverse: a non-human identity rests on a primitive of
/// its platform, not on an account in a directory of people (R18).
pub(crate) async fn earlier_registrations(kernel: &Kernel, url: &str, wanted: IssuerUse) -> Result<usize, OpError> {
    let workloads = kernel.find(Query::of([Issuer::URL.of(url)]).limit(1_000)).await?.whole()?;
    let people = kernel.find(Query::of([SignInProvider::ISSUER.of(url)]).limit(1_000)).await?.whole()?;
    let mut standing = None;
    for issuer in &workloads {
        if issuer.state != TrustState::Removed {
            standing = Some(IssuerUse::Workloads);
        }
    }
    for provider in &people {
        if provider.state != TrustState::Removed {
            standing = Some(IssuerUse::People);
        }
    }
    match (standing, wanted) {
        (None, _) => Ok(workloads.len() + people.len()),
        (Some(standing), wanted) if standing == wanted => Err(OpError::Taken { what: "url" }),
        (Some(_), IssuerUse::Workloads) => Err(OpError::field(
            "url",
            "directory_issuer",
            "people sign in with this issuer: bind workloads to their platform's own issuer, not to a directory of people",
        )),
        (Some(_), IssuerUse::People) => Err(OpError::field(
            "issuer",
            "directory_issuer",
            "workloads are proven by this issuer: people sign in with another one",
        )),
    }
}

/// Confirms an issuer that somebody else proposed: from then on its proofs count.
///
/// # Errors
/// No such issuer, it isn't proposed, or the caller proposed it or is no administrator.
pub async fn confirm_issuer(kernel: &Kernel, caller: &Caller, id: IssuerId) -> Result<Revised<IssuerView>, OpError> {
    records::confirm_trusted(kernel, caller, &id.to_string()).await.map(shown)
}

/// Ends the trust in an issuer, for ever. One administrator is enough to take trust away.
///
/// # Errors
/// No such issuer, it was removed before, or the caller is no administrator.
pub async fn remove_issuer(kernel: &Kernel, caller: &Caller, id: IssuerId) -> Result<Revised<IssuerView>, OpError> {
    records::remove_trusted(kernel, caller, &id.to_string(), None).await.map(shown)
}

/// Checks something by the keys that a registration of an issuer fixed the place of, and once more by fresh ones where
/// `lacks` says that they lack the key that it names.
///
/// # Errors
/// The issuer's key set can't be had, and none is held that is less than an hour old; or the key may be a new one, and
/// the issuer was asked too lately to be asked again: the same will be known in half a minute.
pub(crate) async fn check_by_keys<T, E>(
    kernel: &Kernel,
    registration: &str,
    jwks_uri: &str,
    check: impl Fn(&JwkSet) -> Result<T, E>,
    lacks: impl Fn(&E) -> bool,
) -> Result<Result<T, E>, OpError> {
    let since = kernel.clock.monotonic();
    let keys = keys_at(kernel, registration, jwks_uri, false).await?;
    let checked = check(&keys);
    if !checked.as_ref().is_err_and(&lacks) || fetched_since(kernel, registration, jwks_uri, since) {
        return Ok(checked);
    }
    let fresh = keys_at(kernel, registration, jwks_uri, true).await?;
    if Arc::ptr_eq(&keys, &fresh) {
        return Err(OpError::Unavailable(format!(
            "the key that a token of the issuer {registration} names may be new"
        )));
    }
    Ok(check(&fresh))
}

/// Whether the keys that are held now were asked for after this moment.
fn fetched_since(kernel: &Kernel, registration: &str, jwks_uri: &str, since: Span) -> bool {
    let slot = kernel.memory.of::<KeySets>().slot(registration, jwks_uri);
    let held = slot.held.lock();
    held.keys.as_ref().is_some_and(|(_, at)| at.as_micros() >= since.as_micros())
}

/// The keys at the place that a registration fixed; `refetch` when a proof names a key that they lack.
///
/// # Errors
/// The issuer's key set can't be had, and none is held that is less than an hour old.
pub(crate) async fn keys_at(
    kernel: &Kernel,
    registration: &str,
    jwks_uri: &str,
    refetch: bool,
) -> Result<Arc<JwkSet>, OpError> {
    let slot = kernel.memory.of::<KeySets>().slot(registration, jwks_uri);
    let unavailable = || OpError::Unavailable(format!("the key set of the issuer {registration} can't be had now"));
    let held = || slot.held.lock().next(kernel.clock.monotonic(), refetch);
    match held() {
        Next::Use(keys) => return Ok(keys),
        Next::Wait => return Err(unavailable()),
        Next::Fetch => {}
    }
    let _fetching = slot.fetching.lock().await;
    // Somebody else may have asked while this waited.
    match held() {
        Next::Use(keys) => return Ok(keys),
        Next::Wait => return Err(unavailable()),
        Next::Fetch => {}
    }
    let sent = kernel.clock.monotonic();
    match fetch_keys(kernel, jwks_uri).await {
        Ok(keys) => {
            let keys = Arc::new(keys);
            *slot.held.lock() = Held { keys: Some((Arc::clone(&keys), sent)), failed_at: None };
            Ok(keys)
        }
        Err(why) => {
            tracing::warn!(issuer = registration, why, "an issuer's key set could not be fetched");
            let now = kernel.clock.monotonic();
            let mut held = slot.held.lock();
            held.failed_at = Some(now);
            held.stale(now).ok_or_else(unavailable)
        }
    }
}

async fn fetch_keys(kernel: &Kernel, jwks_uri: &str) -> Result<JwkSet, String> {
    let body = kernel.fetch.get(jwks_uri, MAX_SET_BYTES).await.map_err(|error| error.to_string())?;
    JwkSet::from_json(&body).map_err(|error| error.to_string())
}

/// Reads the issuer's discovery document, in which its key set's URL must be one that can be trusted. What failed is
/// said in the server's own log only: an answer that told refused connections from silence would make the server a port
/// scanner.
pub(crate) async fn discover(kernel: &Kernel, field: &'static str, url: &str) -> Result<Discovery, OpError> {
    // Discovery 1.0, section 4: a slash at the end is left out before the well-known part is added. The issuer itself
    // stays as it is.
    let document = format!("{}/.well-known/openid-configuration", url.strip_suffix('/').unwrap_or(url));
    let failed = |why: &str| {
        tracing::warn!(issuer = url, why, "an issuer's discovery document could not be used");
        OpError::field(
            field,
            "discovery_failed",
            "its discovery document could not be read at URL/.well-known/openid-configuration: check the URL; what failed stands in the server's log, for an operator",
        )
    };
    let body = match kernel.fetch.get(&document, MAX_DISCOVERY_BYTES).await {
        Ok(body) => body,
        Err(error) => {
            let said = failed(&error.to_string());
            // The server's own rule tells nothing about who listens there: it was said before anything was asked.
            return Err(if kernel.fetch.is_forbidden(&document).await {
                OpError::field(field, "address_not_allowed", ADDRESS_NOT_ALLOWED)
            } else {
                said
            });
        }
    };
    let found: Discovery = serde_json::from_slice(&body).map_err(|error| {
        failed(&error.to_string());
        OpError::field(
            field,
            "discovery_failed",
            "what is read there is no discovery document: JSON with at least issuer and jwks_uri",
        )
    })?;
    if found.issuer != url {
        return Err(OpError::field(
            field,
            "issuer_mismatch",
            "its discovery document names another issuer: give the URL exactly as it stands there",
        ));
    }
    let https = |url: &str| url.starts_with("https://");
    if !allowed_url(&found.jwks_uri, true) || (https(url) && !https(&found.jwks_uri)) {
        return Err(OpError::field(
            field,
            "jwks_uri_malformed",
            "the jwks_uri in its discovery document must be an https URL",
        ));
    }
    Ok(found)
}

fn check(ask: &NewIssuer) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    if !allowed_url(&ask.url, false) {
        let hint = "give the issuer exactly as its tokens name it: an https URL without user, query and fragment";
        problems.push(FieldProblem::new("url", "url_malformed", hint));
    }
    if ask.audience.trim().is_empty()
        || ask.audience.len() > MAX_TEXT
        || tenure_core::base::text::check_line(&ask.audience).is_err()
    {
        problems.push(FieldProblem::new(
            "audience",
            "audience_malformed",
            "give the audience that its tokens must name, of 1 to 200 bytes",
        ));
    }
    if ask.environments.is_empty() || ask.environments.len() > MAX_NAMES {
        problems.push(FieldProblem::new(
            "environments",
            "environments_malformed",
            "name 1 to 32 environments in which its proofs count",
        ));
    }
    if ask.required_claims.len() > MAX_NAMES || !ask.required_claims.iter().all(|name| claim::is_name(name)) {
        problems.push(FieldProblem::new(
            "required_claims",
            "required_claims_malformed",
            "list at most 32 claims by name",
        ));
    }
    problems
}

/// What the platform behind an issuer demands of its registration (S-13).
fn check_preset(ask: &NewIssuer) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    let scalar = |value: &Value| {
        value.is_boolean()
            || value.is_i64()
            || value.is_u64()
            || value.as_str().is_some_and(|text| text.len() <= MAX_TEXT)
    };
    let allowed = |value: &Value| match value {
        Value::Array(several) => !several.is_empty() && several.len() <= MAX_NAMES && several.iter().all(scalar),
        one => scalar(one),
    };
    if ask.fixed_claims.len() > MAX_NAMES
        || !ask.fixed_claims.iter().all(|(name, value)| claim::is_name(name) && allowed(value))
    {
        let hint = "give at most 32 claims by name, each a text, a whole number, a truth value, or a list of such of which one has to be there";
        problems.push(FieldProblem::new("fixed_claims", "fixed_claims_malformed", hint));
    } else if let Some(tenant) = ask.preset.tenant_claim(&ask.url) {
        let is_id = |value: &Value| match value {
            Value::Array(several) => several.iter().all(|one| ask.preset.is_id(one)),
            one => ask.preset.is_id(one),
        };
        match ask.fixed_claims.get(tenant) {
            None => {
                let hint = format!(
                    "everybody's jobs get tokens of this issuer: fix {tenant} to the id of your own, which stays when names change hands; {}",
                    ask.preset.where_to_find()
                );
                problems.push(FieldProblem::new("fixed_claims", "tenant_claim_missing", hint));
            }
            Some(value) if !is_id(value) => {
                let hint = format!(
                    "give {tenant} as the platform writes it, a text of digits and no name: {}",
                    ask.preset.where_to_find()
                );
                problems.push(FieldProblem::new("fixed_claims", "tenant_claim_malformed", hint));
            }
            Some(_) => {}
        }
    }
    if let Some(shared) = Preset::at_shared(&ask.url).filter(|shared| *shared != ask.preset) {
        let hint =
            format!("everybody's jobs get tokens of this issuer: register it with the preset {}", shared.as_str());
        problems.push(FieldProblem::new("preset", "preset_wrong", hint));
    }
    if ask.preset.is_default_audience(&ask.url, &ask.audience) {
        let hint = "this audience is in every token that the platform gives out for itself: choose one of your own and have jobs ask for it";
        problems.push(FieldProblem::new("audience", "audience_is_default", hint));
    }
    problems
}

/// The algorithms by their one name; the preset's if none is given, or all that Tenure knows.
pub(crate) fn algorithms(given: &[String], preset: Preset, problems: &mut Vec<FieldProblem>) -> Vec<String> {
    let mut known = Vec::new();
    for (n, name) in given.iter().take(MAX_NAMES).enumerate() {
        match name.parse::<Algorithm>() {
            Ok(algorithm) if !known.contains(&algorithm) => known.push(algorithm),
            Ok(_) => {}
            Err(error) => {
                problems.push(FieldProblem::new(format!("algorithms[{n}]"), "algorithm_unknown", error.to_string()))
            }
        }
    }
    if given.is_empty() && !preset.algorithms().is_empty() {
        return preset.algorithms().iter().map(|name| (*name).to_owned()).collect();
    }
    let known = if given.is_empty() { Algorithm::ALL } else { &known };
    known.iter().map(|algorithm| algorithm.as_str().to_owned()).collect()
}

fn sorted(names: &[String]) -> Vec<String> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names.dedup();
    names
}

/// Whether this is an https URL, or an http one whose host is a loopback address; which addresses may be reached is for
/// the outbound guard to say. Neither user nor fragment is taken, and a query only where `with_query`.
pub(crate) fn allowed_url(url: &str, with_query: bool) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&b);
    if url.len() > MAX_URL || !url.bytes().all(plain) || (!with_query && url.contains('?')) {
        return false;
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    let Some(host) = host_of(authority) else { return false };
    match scheme {
        "https" => true,
        "http" => host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()),
        _ => false,
    }
}

/// The host of `host`, `host:port` or `[v6]:port`, without brackets.
fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, tail) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if tail.is_empty() { None } else { Some(tail.strip_prefix(':')?) })
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let good_port = port.is_none_or(|port| {
        !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    let good_host = authority.starts_with('[')
        || (!host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)));
    (good_port && good_host).then_some(host)
}

#[cfg(test)]
mod tests;
