//! How workloads prove themselves: exactly one binding of the identity that a proof names must match (S-13).

use tenure_core::base::id::IdentityId;
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::binding::{AssertionAudience, Binding, BindingMatch, BindingState};
use tenure_core::identity::place::{self, MAX_PLACE, Place, PlaceKind};
use tenure_core::identity::{Identity, IdentityState, Kind, WorkloadBinding};
use tenure_core::store::changeset::{Changeset, Once};
use tenure_core::store::epoch::Trust;
use tenure_core::store::event::{Actor, ControlPoint};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_core::trust::claim;
use tenure_core::trust::issuer::Issuer;
use tenure_core::trust::state::TrustState;
use tenure_credentials::assertion::{ClientKey, Refused, verify_client_assertion, verify_first_proof};
use tenure_credentials::certificate::ClientCertificate;
use tenure_credentials::external::{ExternalClaims, SignedExternal};
use tenure_credentials::jose::{Algorithm, JoseError, Jwk, JwkSet, read_unverified};

use crate::credentials::token::ask::{self, Proof};
use crate::credentials::token::instances;
use crate::kernel::error::OpError;
use crate::kernel::load::KnownIdentity;
use crate::kernel::{Kernel, exceptional, keys};
use crate::trust::{issuers, reviews};

/// A proof that holds.
pub(crate) struct Proven {
    pub binding: Stored<Binding>,
    /// The external issuer that vouched, if one did.
    pub(crate) issuer: Option<Stored<Issuer>>,
    /// In which place its platform says that the workload runs.
    pub(crate) place: Option<String>,
    /// What is used up by it; a handshake can't be shown twice.
    pub(crate) once: Option<Once>,
    /// Until when it holds at most: the end of a certificate (R7).
    pub(crate) until: Option<Timestamp>,
}

/// Whom a proof claims to be, before anything is checked.
pub(crate) fn claimed_identity(
    kernel: &Kernel,
    client_id: Option<&str>,
    proof: &Proof,
    source: &str,
) -> Result<IdentityId, OpError> {
    let unknown = || {
        kernel.count_stranger(Reason::IdentityUnknown, source);
        OpError::Unauthenticated(Reason::IdentityUnknown)
    };
    match (client_id, proof) {
        (Some(text), _) => text.parse().map_err(|_| unknown()),
        (None, Proof::ClientAssertion(assertion)) => {
            let unverified = tenure_credentials::jose::read_unverified(assertion).map_err(|_| unknown())?;
            unverified.subject.and_then(|subject| subject.parse().ok()).ok_or_else(unknown)
        }
        (None, Proof::ExternalToken(_) | Proof::Registration(_) | Proof::Certificate { .. }) => Err(OpError::field(
            "client_id",
            "client_id_missing",
            "name the identity as client_id: a proof names its identity",
        )),
    }
}

/// Checks a proof against the bindings of the identity that it names: exactly one must match (S-13).
pub(crate) async fn prove(
    kernel: &Kernel,
    known: &KnownIdentity,
    proof: &Proof,
    issuer: &str,
    environment: &str,
    now: Timestamp,
) -> Result<Proven, OpError> {
    if !matches!(proof, Proof::ExternalToken(_)) && !known.identity.charter.places.is_empty() {
        let detail = "the charter names its places, and a proof by key or certificate says none";
        return Err(OpError::because(Reason::PlaceNotPermitted, detail));
    }
    match proof {
        Proof::ClientAssertion(assertion) => prove_key(kernel, known, assertion, issuer, now),
        Proof::ExternalToken(token) => prove_external(kernel, known, token, environment, now).await,
        Proof::Registration(proof) => prove_registration(kernel, known, proof, issuer, now),
        Proof::Certificate { thumbprint, proven_at } => prove_certificate(known, thumbprint, *proven_at, now),
    }
}

fn prove_key(
    kernel: &Kernel,
    known: &KnownIdentity,
    assertion: &str,
    issuer: &str,
    now: Timestamp,
) -> Result<Proven, OpError> {
    let (keys, bindings) = bound_keys(kernel, known)?;
    let endpoint = format!("{issuer}/token");
    let keys: Vec<ClientKey<'_>> = keys
        .iter()
        .zip(&bindings)
        .map(|(key, binding)| ClientKey {
            key: key.as_ref(),
            other_audience: takes_endpoint(binding).then_some(endpoint.as_str()),
        })
        .collect();
    let client = known.identity.id.to_string();
    let verified = verify_client_assertion(assertion, &client, &keys, issuer, now).map_err(refused)?;
    let proven = proven_by(known, &bindings, verified.key_index, &verified.jti, verified.replay_until)?;
    is_recent(known.trust(), &proven.binding, verified.issued_at)?;
    Ok(proven)
}

fn prove_registration(
    kernel: &Kernel,
    known: &KnownIdentity,
    proof: &str,
    issuer: &str,
    now: Timestamp,
) -> Result<Proven, OpError> {
    let (keys, bindings) = bound_keys(kernel, known)?;
    let keys: Vec<&Jwk> = keys.iter().map(std::convert::AsRef::as_ref).collect();
    let verified = verify_first_proof(proof, &keys, issuer, &known.identity.name, now).map_err(refused)?;
    proven_by(known, &bindings, verified.key_index, &verified.jti, verified.replay_until)
}

/// The keys that an identity's bindings name, each at the place of its binding.
fn bound_keys(kernel: &Kernel, known: &KnownIdentity) -> Result<BoundKeys, OpError> {
    let mut keys = Vec::new();
    let mut bindings = Vec::new();
    for binding in known.bindings.iter().flatten().filter(|binding| binding.state != BindingState::Removed) {
        if let BindingMatch::PublicKey { jwk, thumbprint, .. } = &binding.matches {
            keys.push(keys::workload_key(kernel, jwk, thumbprint)?);
            bindings.push(binding.clone());
        }
    }
    Ok((keys, bindings))
}

async fn prove_external(
    kernel: &Kernel,
    known: &KnownIdentity,
    token: &str,
    environment: &str,
    now: Timestamp,
) -> Result<Proven, OpError> {
    let mut matched = None;
    let mut unfit = None;
    let claimed = read_unverified(token).ok().and_then(|unverified| unverified.issuer);
    for binding in known.bindings.iter().flatten().filter(|binding| binding.state != BindingState::Removed) {
        let BindingMatch::Oidc { issuer, claims } = &binding.matches else {
            continue;
        };
        let Some(issuer) = kernel.one::<Issuer>(issuer).await? else {
            continue;
        };
        if issuer.state != TrustState::Active
            || !issuer.environments.iter().any(|name| name == environment)
            || claimed.as_ref() != Some(&issuer.url)
        {
            continue;
        }
        let Ok(signed) = signed_by(kernel, &issuer, token).await? else {
            continue;
        };
        // The tenant first: of a shared issuer, another's token is nobody's here, whatever else it says.
        if claim::first_broken(issuer.preset, signed.claims(), &issuer.fixed_claims).is_some()
            || !claim::match_all(issuer.preset, signed.claims(), claims)
        {
            continue;
        }
        // From here on it is the workload itself that asks, and it may know what is wrong.
        let external = match signed.holds(&issuer.audience, now) {
            Ok(external) => external,
            Err(error) => {
                let detail = format!("{error}; the issuer is registered with the audience {}", issuer.audience);
                unfit = Some(OpError::because(ask::unfit_proof(error), detail));
                continue;
            }
        };
        if matched.is_some() {
            return Err(OpError::Unauthenticated(Reason::BindingNotMatched));
        }
        matched = Some((binding.clone(), issuer, external));
    }
    let unmatched = || unfit.unwrap_or(OpError::Unauthenticated(Reason::BindingNotMatched));
    let (binding, issuer, external) = matched.ok_or_else(unmatched)?;
    is_recent(known.trust(), &binding, external.issued_at)?;
    in_its_repositories(&known.identity, &issuer, &external)?;
    in_its_places(kernel, &known.identity, &issuer, &external, now).await?;
    // Its cluster last: it is asked about nothing that fails anyway.
    reviews::review(kernel, &issuer, token, &external.claims).await?;
    let once =
        Once { space: "jti", key: format!("external {}", external.token_hash), until: Some(external.replay_until) };
    let place = instances::place_of(&issuer, &external.claims);
    Ok(Proven { binding, issuer: Some(issuer), place, once: Some(once), until: None })
}

/// A token that this issuer signed.
pub(crate) async fn signed_by(
    kernel: &Kernel,
    issuer: &Issuer,
    token: &str,
) -> Result<Result<SignedExternal, JoseError>, OpError> {
    let algorithms: Vec<Algorithm> = issuer.algorithms.iter().filter_map(|name| name.parse().ok()).collect();
    let check = |keys: &JwkSet| SignedExternal::read(token, keys, &algorithms, &issuer.url);
    let lacks = |error: &JoseError| *error == JoseError::KeyUnknown;
    issuers::check_by_keys(kernel, &issuer.id.to_string(), &issuer.jwks_uri, check, lacks).await
}

/// Authenticates an identity by a client assertion outside the token endpoint, and uses the assertion up.
///
/// # Errors
/// The assertion fails or was used before.
pub async fn authenticate_assertion(
    kernel: &Kernel,
    environment: &str,
    client_id: Option<&str>,
    assertion: &str,
    purpose: &'static str,
    source: &str,
) -> Result<Stored<Identity>, OpError> {
    let proof = Proof::ClientAssertion(assertion.to_owned());
    authenticate_client(kernel, environment, client_id, &proof, purpose, source).await
}

/// Authenticates an identity by a proof of its own outside the token endpoint, and uses the proof up.
///
/// # Errors
/// The proof fails or was used before.
pub async fn authenticate_client(
    kernel: &Kernel,
    environment: &str,
    client_id: Option<&str>,
    proof: &Proof,
    purpose: &'static str,
    source: &str,
) -> Result<Stored<Identity>, OpError> {
    let id = claimed_identity(kernel, client_id, proof, source)?;
    let result = kernel
        .decide(|| async {
            let now = kernel.now();
            let known = kernel.know(id).await?.ok_or(OpError::Unauthenticated(Reason::IdentityUnknown))?;
            if matches!(
                known.identity.state,
                IdentityState::Discovered
                    | IdentityState::Draft
                    | IdentityState::Pending
                    | IdentityState::Closed
                    | IdentityState::Retired
            ) {
                return Err(OpError::Unauthenticated(Reason::IdentityNotActive));
            }
            let proven = prove(kernel, &known, proof, &kernel.issuer_of(environment), environment, now).await?;
            if proven.binding.state == BindingState::Suspended {
                return Err(OpError::Unauthenticated(Reason::BindingSuspended));
            }
            let event = kernel.event(now, EventKind::IdentityAuthenticated).subject(id).fact("purpose", purpose);
            let mut changeset = Changeset::new(Actor::Identity { id }, now, event);
            changeset.expect(&known.identity).expect(&proven.binding);
            changeset.once.extend(proven.once);
            changeset.spends.push(ask::authentication_spend(kernel, id, purpose, now));
            Ok((changeset, known.identity))
        })
        .await;
    match result {
        Ok((identity, _)) => Ok(identity),
        Err(OpError::Unauthenticated(reason)) => {
            kernel.count_stranger(reason, source);
            Err(OpError::Unauthenticated(reason))
        }
        Err(error) => {
            if let OpError::Refused { reason, answer, .. } = &error {
                ask::refuse_identity(kernel, id, ControlPoint::Use, purpose, reason.code(), &[], answer.as_deref())
                    .await;
            }
            Err(error)
        }
    }
}

/// A proof by a bound key is told what is wrong with it, on its identity's record; to anybody else every failed proof
/// reads the same.
fn refused(refused: Refused) -> OpError {
    match refused.is_signed {
        true => OpError::because(ask::unfit_proof(refused.error), refused.error.to_string()),
        false => OpError::Unauthenticated(Reason::ProofInvalid),
    }
}

/// Demands that a proof is newer than what was heard of its workload (R86), and than the epoch: what was used before it
/// is forgotten (S-1).
pub(crate) fn is_recent(trust: Trust, binding: &Binding, made_at: Option<Timestamp>) -> Result<(), OpError> {
    if !trust.covers_time(made_at) {
        return Err(OpError::refused(Reason::BeforeEpoch));
    }
    match &binding.recheck {
        Some(recheck) if made_at.is_none_or(|made_at| made_at <= recheck.since) => Err(OpError::because(
            Reason::BindingUnverified,
            format!(
                "{} said at {} that the workload was changed: come with a proof made after that, over a new connection if it is a certificate",
                recheck.because, recheck.since
            ),
        )),
        _ => Ok(()),
    }
}

/// Demands of a pipeline that its charter lists the repository that its token names, by name or by immutable id (R9).
/// The binding fixes the id where the platform has one, so that a name that somebody else took over is not enough.
fn in_its_repositories(identity: &Identity, issuer: &Issuer, external: &ExternalClaims) -> Result<(), OpError> {
    if identity.kind != Kind::Pipeline {
        return Ok(());
    }
    let named: Vec<String> = issuer
        .preset
        .repository_claims()
        .iter()
        .filter_map(|name| claim::find(&external.claims, name))
        .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        .collect();
    let is_listed = |name: &String| {
        identity.charter.repositories.iter().any(|listed| issuer.preset.is_same_repository(listed, name))
    };
    let listed = named.iter().any(is_listed);
    // A platform that doesn't know repositories names none; one that does names it in every token.
    if listed || (named.is_empty() && !issuer.preset.names_repositories()) {
        return Ok(());
    }
    let detail = if named.is_empty() {
        "the token names no repository".to_owned()
    } else {
        format!("the token names {}, which the charter's repositories don't list", named.join(" / "))
    };
    Err(OpError::because(Reason::RepositoryNotPermitted, detail))
}

/// Demands that a token comes from a place that the charter names, or an exception in force for its shared use (R21). Of
/// sorts that the charter doesn't name, any place will do; a token that doesn't say it comes from none.
async fn in_its_places(
    kernel: &Kernel,
    identity: &Identity,
    issuer: &Issuer,
    external: &ExternalClaims,
    now: Timestamp,
) -> Result<(), OpError> {
    let places = &identity.charter.places;
    for kind in PlaceKind::ALL.iter().copied().filter(|kind| places.iter().any(|place| place.kind == *kind)) {
        let told = place::told(issuer.preset, &issuer.url, &external.claims, kind);
        let is_here = |named: &Place| {
            named.kind == kind && told.as_ref().is_some_and(|at| place::is_same(issuer.preset, named, at))
        };
        if places.iter().any(is_here) || exceptional::shared_places(kernel, identity, now).await?.iter().any(is_here) {
            continue;
        }
        let sort = kind.as_str();
        let detail = match told {
            Some(at) => {
                format!("the token comes from the {sort} {}, which the charter's places don't list", shortened(&at))
            }
            None => format!("the token doesn't say its {sort}, which the charter's places name"),
        };
        return Err(OpError::because(Reason::PlaceNotPermitted, detail));
    }
    Ok(())
}

/// A place as a refusal says it.
fn shortened(place: &str) -> &str {
    place.get(..place.floor_char_boundary(MAX_PLACE)).unwrap_or_default()
}

/// The one binding with this certificate, whose key the handshake has proven, while its lifetime lasts (R7).
fn prove_certificate(
    known: &KnownIdentity,
    shown: &str,
    proven_at: Timestamp,
    now: Timestamp,
) -> Result<Proven, OpError> {
    let is_shown = |binding: &&Stored<Binding>| match &binding.matches {
        BindingMatch::Certificate { thumbprint } => binding.state != BindingState::Removed && thumbprint == shown,
        _ => false,
    };
    let mut matching = known.bindings.iter().flatten().filter(is_shown);
    let (Some(binding), None) = (matching.next(), matching.next()) else {
        return Err(OpError::Unauthenticated(Reason::ProofInvalid));
    };
    is_recent(known.trust(), binding, Some(proven_at))?;
    let Some(certificate) = registered(&known.identity, shown) else {
        return Err(OpError::Unauthenticated(Reason::ProofInvalid));
    };
    if now < certificate.not_before || certificate.has_ended(now) {
        let (from, until) = (certificate.not_before, certificate.not_after);
        let detail = format!("the certificate is good from {from} until {until}: register the one that followed it");
        return Err(OpError::because(Reason::CertificateEnded, detail));
    }
    Ok(Proven { binding: binding.clone(), issuer: None, place: None, once: None, until: Some(certificate.not_after) })
}

/// The certificate with this thumbprint that an identity, or a consumer of it, is registered with.
fn registered(identity: &Identity, thumbprint: &str) -> Option<ClientCertificate> {
    let consumers = identity.charter.shared.iter().flat_map(|shared| &shared.bindings).map(|bound| &bound.binding);
    let all = identity.charter.workload_binding.iter().chain(consumers);
    all.filter_map(certificate_of).find(|certificate| certificate.thumbprint == thumbprint)
}

/// The certificate that a workload proves itself by.
pub(crate) fn certificate_of(binding: &WorkloadBinding) -> Option<ClientCertificate> {
    match binding {
        WorkloadBinding::Certificate { certificate, .. } => ClientCertificate::of_pem(certificate).ok(),
        _ => None,
    }
}

/// Whether assertions of this binding may be addressed to the token endpoint.
fn takes_endpoint(binding: &Binding) -> bool {
    matches!(binding.matches, BindingMatch::PublicKey { assertion_audience: AssertionAudience::TokenEndpoint, .. })
}

/// Keys, and the bindings that name them.
type BoundKeys = (Vec<std::sync::Arc<Jwk>>, Vec<Stored<Binding>>);

/// The proof that one of an identity's keys gave, with the id that it uses up.
fn proven_by(
    known: &KnownIdentity,
    bindings: &[Stored<Binding>],
    key_index: usize,
    jti: &str,
    replay_until: Timestamp,
) -> Result<Proven, OpError> {
    let binding = bindings.get(key_index).ok_or(OpError::Unauthenticated(Reason::ProofInvalid))?.clone();
    let once = Once { space: "jti", key: format!("{} {jti}", known.identity.id), until: Some(replay_until) };
    Ok(Proven { binding, issuer: None, place: None, once: Some(once), until: None })
}
