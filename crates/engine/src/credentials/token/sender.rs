//! Sender constraint: the key that a credential is bound to, so that it is worth nothing to whoever steals it (RFC
//! 9449, RFC 8705).
//!
//! The id of a proof that something is issued or changed on is used up in that commit, or in one of its own. Where a
//! proof only lets something be read, the node that saw it remembers it for as long as its nonce counts: another node
//! would answer the same question once more, and nothing else.

use std::collections::{BTreeMap, HashSet};

use parking_lot::Mutex;
use tenure_core::base::id::IdentityId;
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::credential::Credential;
use tenure_core::store::changeset::{Changeset, Once};
use tenure_core::store::event::{Actor, ControlPoint};
use tenure_core::store::event_kind::EventKind;
use tenure_core::trust::confirmation::Confirmation;
use tenure_credentials::dpop::{DpopProof, Expected, verify_dpop_proof};
use tenure_credentials::token::token_hash;

use crate::credentials::token::ask::{self, Dpop, Presented, TokenUse};
use crate::kernel::Kernel;
use crate::kernel::error::OpError;

/// Proofs of one nonce that a node remembers; past that it answers none more until the next nonce.
const MAX_PROOFS: usize = 200_000;

/// What is said of a token that is bound to a certificate which the connection doesn't have; by it the challenge is
/// chosen.
pub const CERTIFICATE_WANTED: &str = "the token is bound to a TLS client certificate";

/// What a credential is to be bound to.
pub(crate) struct Sender {
    pub confirmation: Option<Confirmation>,
    /// Proof ids that are used up.
    pub once: Option<Once>,
}

/// A DPoP proof that holds.
struct Checked {
    proof: DpopProof,
    /// Of which stretch of time its nonce is.
    stretch: i64,
}

impl Checked {
    fn once(&self) -> Once {
        Once {
            space: "dpop",
            key: format!("{} {}", self.proof.thumbprint, self.proof.jti),
            until: Some(self.proof.replay_until),
        }
    }
}

/// The proofs that this node has seen, by the stretch of time of their nonce.
#[derive(Debug, Default)]
pub(crate) struct SeenProofs(Mutex<BTreeMap<i64, HashSet<[u8; 16]>>>);

impl SeenProofs {
    /// Notes a proof, unless it was seen before.
    fn note(&self, checked: &Checked, oldest: i64) -> Result<(), OpError> {
        let hash = token_hash(&checked.once().key);
        let mut short = [0; 16];
        short.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        let mut seen = self.0.lock();
        // What no nonce of which counts any more is refused without being remembered.
        *seen = seen.split_off(&oldest);
        let proofs = seen.entry(checked.stretch).or_default();
        if proofs.len() >= MAX_PROOFS {
            return Err(OpError::Unavailable("too many DPoP proofs in a short time".into()));
        }
        if proofs.insert(short) { Ok(()) } else { Err(replayed()) }
    }
}

fn replayed() -> OpError {
    OpError::because(Reason::DpopInvalid, "this proof was used before")
}

/// The nonce that a client has to put into its next DPoP proof.
pub fn dpop_nonce(kernel: &Kernel) -> String {
    kernel.nonces.current(kernel.now())
}

/// Checks the keys that a client showed at the token endpoint: a DPoP key, or else its certificate.
pub(crate) fn sender(kernel: &Kernel, presented: &Presented, now: Timestamp) -> Result<Sender, OpError> {
    let Some(dpop) = &presented.dpop else {
        return Ok(Sender { confirmation: presented.certificate.clone().map(Confirmation::Certificate), once: None });
    };
    let checked = checked_proof(kernel, dpop, None, now)?;
    Ok(Sender { once: Some(checked.once()), confirmation: Some(Confirmation::Jkt(checked.proof.thumbprint)) })
}

fn checked_proof(kernel: &Kernel, dpop: &Dpop, token: Option<&str>, now: Timestamp) -> Result<Checked, OpError> {
    let expected = Expected { method: &dpop.method, url: &dpop.url, token };
    let proof = verify_dpop_proof(&dpop.proof, &expected, now)
        .map_err(|error| OpError::because(Reason::DpopInvalid, error.to_string()))?;
    match proof.nonce.as_deref().and_then(|nonce| kernel.nonces.accepts(nonce, now)) {
        Some(stretch) => Ok(Checked { proof, stretch }),
        None => Err(OpError::refused(Reason::DpopNonceNeeded)),
    }
}

/// Demands that whoever shows an identity's token also holds the key that it is bound to. A refusal is recorded.
///
/// # Errors
/// The key was not shown, or not for this request; or a proof came with a token that is bound to no key.
pub(crate) async fn holds_key(
    kernel: &Kernel,
    credential: &Credential,
    token: &str,
    presented: &Presented,
    to: TokenUse<'_>,
    now: Timestamp,
) -> Result<(), OpError> {
    let held = match shown_key(kernel, credential, token, presented, now) {
        Ok(None) => Ok(()),
        Ok(Some(checked)) if to.changes => use_up(kernel, credential.identity, &checked, to.asked, now).await,
        Ok(Some(checked)) => kernel.memory.of::<SeenProofs>().note(&checked, kernel.nonces.oldest(now)),
        Err(refusal) => Err(refusal),
    };
    match &held {
        // A step of the protocol rather than an attempt at something: counted, as it may come with each new nonce.
        Err(OpError::Refused { reason: reason @ Reason::DpopNonceNeeded, .. }) => {
            kernel.count_stranger(*reason, &credential.identity.to_string())
        }
        Err(OpError::Refused { reason, .. }) => {
            ask::refuse_identity(kernel, credential.identity, ControlPoint::Use, to.asked, reason.code(), &[], None)
                .await;
        }
        _ => {}
    }
    held
}

fn shown_key(
    kernel: &Kernel,
    credential: &Credential,
    token: &str,
    presented: &Presented,
    now: Timestamp,
) -> Result<Option<Checked>, OpError> {
    match (&credential.confirmation, &presented.dpop) {
        (None, None) => Ok(None),
        (Some(Confirmation::Jkt(thumbprint)), Some(dpop)) => {
            let checked = checked_proof(kernel, dpop, Some(token), now)?;
            if checked.proof.thumbprint == *thumbprint {
                Ok(Some(checked))
            } else {
                Err(OpError::because(Reason::DpopInvalid, "the proof is by another key than the token's"))
            }
        }
        (Some(Confirmation::Certificate(thumbprint)), None) if presented.certificate.as_ref() == Some(thumbprint) => {
            Ok(None)
        }
        (Some(Confirmation::Certificate(_)), _) => Err(OpError::because(Reason::TokenBound, CERTIFICATE_WANTED)),
        (Some(Confirmation::Jkt(_)), None) => Err(OpError::refused(Reason::TokenBound)),
        (None, Some(_)) => Err(OpError::because(Reason::DpopInvalid, "the token is not bound to a DPoP key")),
    }
}

async fn use_up(
    kernel: &Kernel,
    id: IdentityId,
    checked: &Checked,
    asked: &str,
    now: Timestamp,
) -> Result<(), OpError> {
    kernel
        .decide(|| async {
            let event = kernel.event(now, EventKind::IdentityAuthenticated).subject(id).fact("purpose", asked);
            let mut changeset = Changeset::new(Actor::Identity { id }, now, event);
            changeset.once.push(checked.once());
            changeset.spends.push(ask::authentication_spend(kernel, id, "proof", now));
            Ok((changeset, ()))
        })
        .await
        .map(drop)
}

/// How a token is presented (RFC 6750, RFC 9449).
pub(crate) const fn token_type(confirmation: Option<&Confirmation>) -> &'static str {
    match confirmation {
        Some(Confirmation::Jkt(_)) => "DPoP",
        Some(Confirmation::Certificate(_)) | None => "Bearer",
    }
}
