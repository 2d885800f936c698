//! Idempotency keys: a request that comes again under its key is not carried out again, and gets the answer of the
//! first time.
//!
//! The request's row is part of the commit that carries it out, so that of two that run beside each other one commits
//! and the other conflicts. What was answered is added in a commit of its own, since an answer names what the first one
//! made of it. Between the two lies a moment in which a retry learns that its request was carried out, and not how it
//! was answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::idempotency::{Idempotency, KeptAnswer};
use tracing::Instrument as _;

use crate::kernel::Kernel;
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::keys::base64url;

tokio::task_local! {
    /// The key of the request that is being carried out.
    static CLAIM: Arc<Claim>;
}

/// The key of a request.
#[derive(Debug)]
pub struct Claim {
    id: String,
    request: String,
    is_carried_out: AtomicBool,
}

/// What is known of a key.
#[derive(Debug)]
pub enum KnownRequest {
    /// Nothing: the request is new.
    Nothing,
    /// It stands for another request.
    Other,
    /// The request was carried out and answered so.
    Answered(KeptAnswer),
    /// The request was carried out; its answer is not kept.
    Unanswered,
}

impl Claim {
    /// The key of a caller's request to an address, of which `request` is everything that makes it what it is.
    pub fn new<'a>(
        caller: &Caller,
        address: &str,
        key: &str,
        request: impl IntoIterator<Item = &'a [u8]>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id: digest([caller.id().as_bytes(), address.as_bytes(), key.as_bytes()]),
            request: digest(request),
            is_carried_out: AtomicBool::new(false),
        })
    }

    /// Whether the request was carried out.
    pub fn is_carried_out(&self) -> bool {
        self.is_carried_out.load(Ordering::Acquire)
    }
}

/// SHA-256 over parts, each with its length before it.
fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    base64url(&hash.finalize())
}

/// What is known of a key already.
///
/// # Errors
/// The store can't be read.
pub async fn known(kernel: &Kernel, claim: &Claim) -> Result<KnownRequest, OpError> {
    let Some(row) = kernel.one::<Idempotency>(&claim.id).await? else {
        return Ok(KnownRequest::Nothing);
    };
    // What may be dropped at any moment stands for nothing any more.
    if kernel.now() >= row.at.plus(Idempotency::LIFE) {
        return Ok(KnownRequest::Nothing);
    }
    Ok(match &row.answer {
        _ if row.request != claim.request => KnownRequest::Other,
        Some(answer) => KnownRequest::Answered(answer.clone()),
        None => KnownRequest::Unanswered,
    })
}

/// Carries a request out under its key.
pub fn under<F: Future>(claim: Arc<Claim>, request: F) -> impl Future<Output = F::Output> {
    CLAIM.scope(claim, request)
}

/// Keeps the answer of a request that was carried out.
///
/// # Errors
/// It can't be written; the request was carried out all the same.
pub async fn keep(kernel: &Kernel, caller: &Caller, claim: &Claim, answer: KeptAnswer) -> Result<(), OpError> {
    let Some(row) = kernel.one::<Idempotency>(&claim.id).await? else {
        return Ok(());
    };
    let now = kernel.now();
    let event = kernel.event(now, EventKind::RequestAnswered).fact("status", answer.status);
    let mut changeset = Changeset::new(caller.author(), now, event);
    let kept = Idempotency { answer: Some(answer), ..Idempotency::clone(&row) };
    changeset.replace(&row, &kept);
    // In a span of its own: the request's commit is the one that carried it out.
    kernel.settle(changeset).instrument(tracing::info_span!("answer")).await.map(drop)
}

/// The claim of the request that is being carried out, while it was not.
pub(crate) fn open() -> Option<Arc<Claim>> {
    CLAIM.try_with(Arc::clone).ok().filter(|claim| !claim.is_carried_out())
}

impl Claim {
    /// Makes the request's row a part of what carries it out.
    pub(crate) fn join(&self, changeset: &mut Changeset) {
        changeset.insert(&Idempotency {
            id: self.id.clone(),
            request: self.request.clone(),
            at: changeset.at,
            answer: None,
        });
    }

    /// It was carried out.
    pub(crate) fn carried_out(&self) {
        self.is_carried_out.store(true, Ordering::Release);
    }

    /// Whether another request was carried out under the key meanwhile.
    pub(crate) async fn is_taken(&self, kernel: &Kernel) -> Result<bool, OpError> {
        Ok(kernel.one::<Idempotency>(&self.id).await?.is_some())
    }
}
