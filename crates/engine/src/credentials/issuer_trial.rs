//! Whether an issuer's token would be taken, and which check fails.

use serde_json::{Map, Value};
use tenure_api::requests::IssuerToken;
use tenure_api::views::{FailedCheck, IssuerTrial};
use tenure_core::base::id::{IdentityId, IssuerId};
use tenure_core::identity::binding::{BindingMatch, BindingState};
use tenure_core::policy::Action;
use tenure_core::store::event::ControlPoint;
use tenure_core::trust::claim;
use tenure_core::trust::issuer::Issuer;
use tenure_core::trust::state::TrustState;
use tenure_credentials::external::SignedExternal;
use tenure_credentials::jose::{JoseError, read_unverified};

use crate::credentials::token::{prove, unfit_proof};
use crate::kernel::Kernel;
use crate::kernel::authority::{administration, inventory};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::Asked;
use crate::trust::reviews;

/// Says which check of an issuer's token fails first, if one does, without using it up. Workloads are told less: to
/// them most failed proofs read the same.
///
/// # Errors
/// No such issuer, its key set can't be had, or the caller is no administrator.
pub async fn try_issuer_token(
    kernel: &Kernel,
    caller: &Caller,
    id: IssuerId,
    ask: &IssuerToken,
) -> Result<IssuerTrial, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "issuer.try", id), async {
            kernel.allow(caller, Action::Trust, inventory("issuer", id, ""), administration(false, false))?;
            let issuer = kernel.must::<Issuer>("issuer", id).await?;
            // What is no token at all is said without the issuer's keys.
            let failed = match read_unverified(&ask.token) {
                Err(error) => Some(unsigned(&issuer, error)),
                Ok(_) => match prove::signed_by(kernel, &issuer, &ask.token).await? {
                    Err(error) => Some(unsigned(&issuer, error)),
                    Ok(signed) => {
                        let claims = signed.claims().clone();
                        match first_failed(kernel, &issuer, signed, ask.identity).await? {
                            None => unreviewed(kernel, &issuer, &ask.token, &claims).await,
                            failed => failed,
                        }
                    }
                },
            };
            Ok(IssuerTrial { accepted: failed.is_none(), failed })
        })
        .await
}

/// What the issuer's cluster says against the token, if its registration names one.
async fn unreviewed(kernel: &Kernel, issuer: &Issuer, token: &str, claims: &Map<String, Value>) -> Option<FailedCheck> {
    let (reason, hint) = reviews::review(kernel, issuer, token, claims).await.err()?.told();
    Some(failed(reason.code(), hint))
}

pub(crate) async fn first_failed(
    kernel: &Kernel,
    issuer: &Issuer,
    signed: SignedExternal,
    identity: Option<IdentityId>,
) -> Result<Option<FailedCheck>, OpError> {
    if issuer.state != TrustState::Active {
        return Ok(Some(failed(
            "issuer_not_active",
            "no proof of this issuer counts: it waits for its confirmation, or was removed",
        )));
    }
    if let Some(name) = claim::first_broken(issuer.preset, signed.claims(), &issuer.fixed_claims) {
        return Ok(Some(failed(
            "fixed_claim_wrong",
            format!("the issuer is registered for other values of the claim {name}"),
        )));
    }
    let claims = signed.claims().clone();
    if let Err(error) = signed.holds(&issuer.audience, kernel.now()) {
        let hint = match error {
            JoseError::AudienceWrong => format!("aud has to be {:?}, and alone", issuer.audience),
            _ => unfit_proof(error).hint().to_owned(),
        };
        return Ok(Some(failed(error.code(), hint)));
    }
    let Some(identity) = identity else { return Ok(None) };
    let known = kernel.know(identity).await?.ok_or(OpError::NotFound("identity"))?;
    let bound: Vec<_> = known
        .bindings
        .iter()
        .flatten()
        .filter(|binding| binding.state != BindingState::Removed)
        .filter_map(|binding| match &binding.matches {
            BindingMatch::Oidc { issuer: of, claims } if *of == issuer.id => Some(claims),
            _ => None,
        })
        .collect();
    let broken = bound.iter().map(|wanted| claim::first_broken(issuer.preset, &claims, wanted)).collect::<Vec<_>>();
    Ok(match broken.first() {
        None => Some(failed("binding_missing", "the identity has no binding to this issuer")),
        Some(_) if broken.contains(&None) => None,
        Some(name) => {
            let name = name.unwrap_or_default();
            Some(failed(
                "binding_claim_wrong",
                format!("the identity's binding demands another value of the claim {name}"),
            ))
        }
    })
}

pub(crate) fn failed(check: &str, hint: impl Into<String>) -> FailedCheck {
    FailedCheck { check: check.to_owned(), hint: hint.into() }
}

/// What is wrong with a token before anything that it says can be believed.
pub(crate) fn unsigned(issuer: &Issuer, error: JoseError) -> FailedCheck {
    let hint = match error {
        JoseError::AlgNotAllowed => format!(
            "the issuer is registered with {}, and the token's alg or its key is another",
            issuer.algorithms.join(", ")
        ),
        JoseError::IssuerWrong => format!("iss has to be {:?}, to the letter", issuer.url),
        JoseError::KeyUnknown => format!("the key set at {} has no key with the token's kid", issuer.jwks_uri),
        JoseError::KidMissing => {
            format!("the token has no kid, and the key set at {} has several keys", issuer.jwks_uri)
        }
        JoseError::SignatureInvalid => format!("no key at {} made this signature", issuer.jwks_uri),
        other => other.to_string(),
    };
    failed(error.code(), hint)
}
