//! What is asked of the token endpoint, and what it costs whoever asks.

use tenure_core::base::id::IdentityId;
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::credential::gate::{self, Delegated, Held};
use tenure_core::identity::delegation::MayAct;
use tenure_core::inventory::resource::Resource;
use tenure_core::policy::Answer;
use tenure_core::store::changeset::{Expect, Spend};
use tenure_core::store::event::{Actor, ControlPoint};
use tenure_core::store::row::Stored;
use tenure_credentials::jose::JoseError;

use crate::credentials::liveness::Ancestor;
use crate::credentials::token::intent::TaskBy;
use crate::kernel::Kernel;
use crate::kernel::aggregates::window;
use crate::kernel::error::OpError;
use crate::kernel::load::KnownIdentity;
use crate::kernel::refusals::Refusal;

/// What is asked of the token endpoint.
#[derive(Clone)]
pub struct TokenAsk {
    /// The environment whose issuer is asked.
    pub environment: String,
    /// Who claims to ask; an assertion names it itself.
    pub client_id: Option<String>,
    /// The proof.
    pub proof: Proof,
    /// The resource's identifier (RFC 8707); may be left out if only one is held.
    pub resource: Option<String>,
    /// The actions wanted, in OAuth's form; all that are held if left out.
    pub scope: Option<String>,
    /// What is asked for in the form of RFC 9396: a JSON array.
    pub authorization_details: Option<String>,
    /// What it rests on.
    pub grant: Grant,
    /// The keys that the client showed besides its proof.
    pub sender: Presented,
    /// Where the request comes from, for the record of strangers.
    pub source: String,
}

impl TokenAsk {
    /// What is asked, in the record of a refusal.
    pub(crate) const fn asked(&self) -> &'static str {
        match self.grant {
            Grant::Exchange(_) => "token_exchange",
            _ => self.proof.method(),
        }
    }

    /// The actions that are asked for.
    pub(crate) fn actions(&self) -> Vec<String> {
        let scope = self.scope.as_deref().unwrap_or_default();
        scope.split(' ').filter(|action| !action.is_empty()).map(str::to_owned).collect()
    }
}

/// What a grant comes to.
pub(crate) struct Wanted {
    pub(crate) resource: Stored<Resource>,
    pub(crate) held: Held,
    /// The task that it is for, with how the request came to it.
    pub(crate) task: Option<(String, TaskBy)>,
    /// Actions that were asked for and are left out.
    pub(crate) left_out: Vec<String>,
    /// Why what is asked for is not part of a declared task, where it isn't.
    pub(crate) outside: Option<Reason>,
    pub(crate) may_act: Option<MayAct>,
    /// What it derives from.
    pub(crate) delegated: Option<Delegated>,
    /// Those whose authority was handed on, the first link first.
    pub(crate) ancestors: Vec<Ancestor>,
    /// The granted details (RFC 9396 §7).
    pub(crate) details: Option<serde_json::Value>,
    /// Of a token exchange (RFC 8693 §2.2.1).
    pub(crate) issued_token_type: Option<&'static str>,
    /// What it rests on besides the identity's own rows.
    pub(crate) expects: Vec<Expect>,
}

/// One more credential from the identity's budget of the minute.
pub(crate) fn issuance_spend(kernel: &Kernel, id: IdentityId, now: Timestamp) -> Spend {
    let start = window(now);
    Spend {
        budget: format!("issue/{id}"),
        window: start,
        until: start.plus(Span::from_mins(2)),
        by: 1,
        limit: kernel.settings.issuance_budget,
    }
}

/// Records that an identity which proved itself was refused.
pub(crate) async fn refuse_identity(
    kernel: &Kernel,
    id: IdentityId,
    control: ControlPoint,
    asked: &str,
    code: &str,
    fields: &[FieldProblem],
    answer: Option<&Answer>,
) {
    kernel
        .record_refusal(Refusal {
            actor: Actor::Identity { id },
            control,
            asked,
            subjects: vec![id.to_string()],
            code,
            fields,
            answer,
        })
        .await;
}

/// The resource that a token is for: the one that is named, or the only one that the identity holds something on.
pub(crate) fn wanted_resource(
    known: &KnownIdentity,
    uri: Option<&str>,
    standing: &gate::Standing<'_>,
) -> Result<Stored<Resource>, OpError> {
    let mut resources = known.resources.iter().flatten();
    match uri {
        Some(uri) => resources
            .find(|resource| resource.is_at(uri))
            .cloned()
            .ok_or_else(|| OpError::because(Reason::ResourceUnknown, "the charter has nothing on this resource")),
        None => {
            let mut held = resources.filter(|resource| standing.held(resource, &[]).is_ok());
            match (held.next(), held.next()) {
                (Some(only), None) => Ok(only.clone()),
                (None, _) => Err(OpError::refused(Reason::NoLiveGrant)),
                (Some(_), Some(_)) => Err(OpError::field(
                    "resource",
                    "resource_missing",
                    "name the resource (RFC 8707): the identity holds more than one",
                )),
            }
        }
    }
}

/// One more authentication outside the token endpoint. Each purpose has a count of its own, so that questions never use
/// up what a revocation needs.
pub(crate) fn authentication_spend(kernel: &Kernel, id: IdentityId, purpose: &str, now: Timestamp) -> Spend {
    let limit = kernel.settings.issuance_budget.saturating_mul(10);
    Spend { budget: format!("{purpose}/{id}"), limit, ..issuance_spend(kernel, id, now) }
}

/// What is wrong with a proof whose signature holds.
pub(crate) const fn unfit_proof(error: JoseError) -> Reason {
    match error {
        JoseError::AudienceWrong => Reason::ProofAudienceWrong,
        JoseError::Expired | JoseError::NotYetValid => Reason::ProofNotNow,
        JoseError::LifetimeTooLong => Reason::ProofTooLong,
        _ => Reason::ProofClaimsWrong,
    }
}

/// What a credential is asked for on the strength of.
#[derive(Clone)]
pub enum Grant {
    /// The identity's own grants.
    Own,
    /// What another identity handed on (RFC 8693): the token by which it did, for Tenure itself, with `may_act`.
    Exchange(String),
    /// What the identity asked for while it runs (R56): the `auth_req_id` under which its request was opened.
    Backchannel(String),
}

/// How a workload proves itself at the token endpoint.
#[derive(Clone)]
pub enum Proof {
    /// A client assertion by a bound key (RFC 7523 §2.2).
    ClientAssertion(String),
    /// A token of a bound external issuer, as the grant itself (RFC 7523 §2.1).
    ExternalToken(String),
    /// A proof by a bound key that came with the identity's registration (R61); nobody else's request takes it.
    Registration(String),
    /// A TLS connection with a bound client certificate (RFC 8705 §2.2).
    Certificate {
        /// SHA-256 over its DER, base64url.
        thumbprint: String,
        /// When the handshake proved its key: requests may follow on the connection long after.
        proven_at: Timestamp,
    },
}

impl Proof {
    pub(crate) const fn method(&self) -> &'static str {
        match self {
            Self::ClientAssertion(_) => "private_key_jwt",
            Self::ExternalToken(_) => "jwt_bearer",
            // The same proof of the same key, with the name in place of the id that was not there yet.
            Self::Registration(_) => "private_key_jwt",
            Self::Certificate { .. } => "self_signed_tls_client_auth",
        }
    }
}

/// The keys that a client showed with a request.
#[derive(Debug, Clone, Default)]
pub struct Presented {
    /// SHA-256 over the DER of the TLS client certificate, base64url, if the connection has one.
    pub certificate: Option<String>,
    /// The DPoP proof that came along.
    pub dpop: Option<Dpop>,
}

/// To what use a token is put.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenUse<'a> {
    /// What is asked for, as refusals name it.
    pub asked: &'a str,
    /// Whether it may change something: then the proof is used up for all nodes and for good.
    pub changes: bool,
}

/// A DPoP proof with the request that it has to be for.
#[derive(Debug, Clone)]
pub struct Dpop {
    /// The proof.
    pub proof: String,
    /// The request's method.
    pub method: String,
    /// The request's address, as clients see it.
    pub url: String,
}
