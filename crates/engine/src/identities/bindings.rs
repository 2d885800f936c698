//! A binding is one identity's: no key and no token proves two of them, now or ever (S-13, R75), and whoever tries is a
//! finding (R59).

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tenure_core::base::id::{BindingId, IdentityId, IssuerId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::finding::rules;
use tenure_core::identity::WorkloadBinding;
use tenure_core::identity::binding::{Binding, BindingMatch, BindingState};
use tenure_core::store::changeset::Once;
use tenure_core::store::event::Actor;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_core::trust::claim;
use tenure_core::trust::issuer::Issuer;
use tenure_credentials::assertion::parse_workload_key;
use tenure_credentials::certificate::{CertificateError, ClientCertificate};

use crate::credentials::misuse::{self, Apart};
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::query::Query;

/// A binding that a charter asks for.
pub(crate) struct Bound<'a> {
    pub binding: &'a WorkloadBinding,
    pub issuer: Option<&'a Issuer>,
    /// The consumer of a shared identity that it tells apart.
    pub consumer: Option<&'a str>,
    /// Where it stands.
    pub field: &'a str,
}

/// The binding to one proof of a workload; none where it enrols later, or proves itself by nothing.
pub(crate) async fn bound(
    kernel: &Kernel,
    identity: IdentityId,
    what: Bound<'_>,
    now: Timestamp,
) -> Result<Option<(Binding, Once)>, OpError> {
    let at = |member: &str| format!("{}.{member}", what.field);
    let (matches, once) = match what.binding {
        WorkloadBinding::JoinToken { .. } | WorkloadBinding::Account { .. } | WorkloadBinding::DirectoryUser { .. } => {
            return Ok(None);
        }
        WorkloadBinding::Certificate { certificate, .. } => {
            let refused =
                |error: CertificateError| OpError::field(&at("certificate"), error.code(), &error.to_string());
            let certificate = ClientCertificate::of_pem(certificate).map_err(refused)?;
            if certificate.has_ended(now) {
                return Err(refused(CertificateError::Ended));
            }
            let thumbprint = certificate.thumbprint;
            let once = Once { space: "certificate", key: thumbprint.clone(), until: None };
            (BindingMatch::Certificate { thumbprint }, once)
        }
        WorkloadBinding::PublicKey { jwk, assertion_audience, .. } => {
            let key = parse_workload_key(jwk).map_err(|e| OpError::field(&at("jwk"), e.code(), &e.to_string()))?;
            let thumbprint = key.thumbprint().to_owned();
            let once = Once { space: "key", key: thumbprint.clone(), until: None };
            (BindingMatch::PublicKey { jwk: key.to_json(), thumbprint, assertion_audience: *assertion_audience }, once)
        }
        WorkloadBinding::Oidc { claims, .. } => {
            let Some(issuer) = what.issuer else {
                return Err(OpError::field(
                    &at("issuer"),
                    "issuer_unknown",
                    "name a registered, confirmed issuer by its URL",
                ));
            };
            let once = claims_are_free(kernel, identity, issuer, claims).await?;
            (BindingMatch::Oidc { issuer: issuer.id, claims: claims.clone() }, once)
        }
    };
    let binding = Binding {
        id: BindingId::generate(now, kernel.entropy.as_ref()),
        identity,
        workload: what.binding.workload().to_owned(),
        matches,
        state: BindingState::Live,
        consumer: what.consumer.map(str::to_owned),
        enrolled_with: None,
        recheck: None,
        instances: Vec::new(),
        created_at: now,
    };
    Ok(Some((binding, once)))
}

/// Demands that no token fits these claims and another identity's binding too, be it live or past: what once proved an
/// identity never proves another. Bindings of one workload differ in some claim that both fix, or are one identity's.
///
/// What is given back takes a number that only one of those who look at the same moment gets.
pub(crate) async fn claims_are_free(
    kernel: &Kernel,
    identity: IdentityId,
    issuer: &Issuer,
    claims: &BTreeMap<String, Value>,
) -> Result<Once, OpError> {
    let others = bindings_like(kernel, issuer, claims).await?;
    let in_the_way = |binding: &&Stored<Binding>| {
        let BindingMatch::Oidc { claims: theirs, .. } = &binding.matches else {
            return false;
        };
        let own_and_over = binding.identity == identity && binding.state == BindingState::Removed;
        !own_and_over && claim::overlap(issuer.preset, claims, theirs)
    };
    if others.iter().any(|binding| in_the_way(&binding)) {
        return Err(OpError::because(
            Reason::KeyAlreadyBound,
            "a token that these claims fit would fit the binding of another identity too, and what once proved one never proves another: \
                 fix a claim in which they differ",
        ));
    }
    let anchor = claims
        .get(issuer.preset.workload_claim())
        .map(|value| Binding::by_claim(issuer.preset.workload_claim(), value).to_string());
    Ok(Once {
        space: "oidc_subject",
        key: format!("{} {} {}", issuer.id, anchor.unwrap_or_default(), others.len()),
        until: None,
    })
}

/// Every binding ever made to this issuer's tokens about the workload that the claims name.
async fn bindings_like(
    kernel: &Kernel,
    issuer: &Issuer,
    claims: &BTreeMap<String, Value>,
) -> Result<Vec<Stored<Binding>>, OpError> {
    let workload = issuer.preset.workload_claim();
    let Some(value) = claims.get(workload) else {
        return Ok(Vec::new());
    };
    // An issuer that was removed and registered anew is the same one.
    let mut registrations: Vec<IssuerId> = Vec::new();
    // What can't be read may be in the way.
    for row in kernel.pages(Query::of([Issuer::URL.of(&issuer.url)])).whole().await? {
        registrations.push(row.id);
    }
    let mut bindings = kernel.pages(Query::of([Binding::by_claim(workload, value)])).whole().await?;
    bindings.retain(|binding| match &binding.matches {
        BindingMatch::Oidc { issuer, claims } => registrations.contains(issuer) && claims.get(workload) == Some(value),
        BindingMatch::PublicKey { .. } | BindingMatch::Certificate { .. } => false,
    });
    Ok(bindings)
}

/// After a registration was refused because what it binds is another identity's: that one gets a finding.
pub(crate) async fn note_taken_binding<T>(
    kernel: &Kernel,
    actor: Actor,
    wanted_for: &str,
    binding: Option<&WorkloadBinding>,
    result: &Result<T, OpError>,
) {
    let refused = matches!(result, Err(OpError::Refused { reason: Reason::KeyAlreadyBound, .. }));
    let thumbprint = match binding.filter(|_| refused) {
        Some(WorkloadBinding::PublicKey { jwk, .. }) => {
            parse_workload_key(jwk).ok().map(|key| key.thumbprint().to_owned())
        }
        Some(WorkloadBinding::Certificate { certificate, .. }) => {
            ClientCertificate::of_pem(certificate).ok().map(|certificate| certificate.thumbprint)
        }
        _ => None,
    };
    if let Some(thumbprint) = thumbprint {
        note_taken_key(kernel, actor, wanted_for, &thumbprint).await;
    }
}

/// Somebody presented a key that is bound to an identity as another one's.
pub(crate) async fn note_taken_key(kernel: &Kernel, actor: Actor, wanted_for: &str, thumbprint: &str) {
    let bindings = match kernel.pages(Query::of([Binding::KEY.of(thumbprint)])).readable().await {
        Ok(bindings) => bindings,
        Err(error) => {
            tracing::warn!(%error, "whose key it is could not be read");
            return;
        }
    };
    for binding in bindings.iter().filter(|binding| binding.identity.to_string() != wanted_for) {
        let evidence =
            json!({"binding": binding.id, "thumbprint": thumbprint, "wanted_for": wanted_for, "presented_by": actor});
        let about = Apart {
            rule: &rules::KEY_SHARED,
            seen: EventKind::KeyPresentedForAnother,
            title: "An identity's key was presented as another one's",
            what: "The key of this identity was presented for the registration of another one, and refused.",
        };
        misuse::note_apart(kernel, about, binding.identity, &binding.id.to_string(), evidence).await;
    }
}
