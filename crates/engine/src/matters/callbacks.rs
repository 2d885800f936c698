//! Calls that tell an identity that its request has an answer (OpenID CIBA §10.2, ping): the client's own token as
//! proof of who calls, the `auth_req_id` as all that is said. Each attempt's outcome is an event and stands in the
//! record; the token is erased once it was used or can't be any more.

use std::time::Duration;

use serde_json::json;
use tenure_core::base::id::{IdentityId, RequestId};
use tenure_core::base::time::Timestamp;
use tenure_core::identity::Identity;
use tenure_core::request::backchannel::Backchannel;
use tenure_core::request::{Asker, Matter, Request};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::Stored;

use crate::credentials::token;
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::work::{self, system};

/// The use under which a notification token is sealed.
pub(crate) const SEALED_AS: &str = "notification token";

/// How long one call may take: well inside the lease of the deadline, so that nobody else makes it meanwhile.
const PATIENCE: Duration = Duration::from_secs(6);
/// How often an outcome is written again when the client fetched its answer meanwhile.
const ATTEMPTS: u32 = 8;

/// A call to make.
struct Call {
    url: String,
    token: tenure_core::store::secret::Secret<String>,
    body: String,
}

/// Calls back, and writes down how that went. The outcome is kept through conflicts: what was sent once is not sent
/// again because the client was quick.
pub(crate) async fn work_callback(kernel: &Kernel, claimed: &Claimed, now: Timestamp) -> Result<(), OpError> {
    let Some(call) = call_of(kernel, claimed).await? else {
        return kernel.settle(work::nothing_left(kernel, claimed, now)).await.map(drop);
    };
    let said = kernel.fetch.post_json(&call.url, call.token.expose(), &call.body);
    let outcome = match tokio::time::timeout(PATIENCE, said).await {
        Ok(Ok(status)) if (200..300).contains(&status) => Ok(status),
        Ok(Ok(status)) => Err(format!("it answered with status {status}")),
        Ok(Err(error)) => Err(error.why),
        Err(_) => Err(format!("it took longer than {} s", PATIENCE.as_secs())),
    };
    for _ in 0..ATTEMPTS {
        let Some(waiting) = waiting(kernel, claimed).await? else {
            return Ok(());
        };
        if kernel.settle(called(kernel, claimed, &waiting, &outcome)).await?.is_some() {
            return Ok(());
        }
    }
    // The lease ends, and the call is made again: the client sees it twice rather than never.
    Ok(())
}

async fn waiting(kernel: &Kernel, claimed: &Claimed) -> Result<Option<Stored<Backchannel>>, OpError> {
    match claimed.subject.parse::<RequestId>() {
        Ok(id) => kernel.one(id).await,
        Err(_) => Ok(None),
    }
}

async fn call_of(kernel: &Kernel, claimed: &Claimed) -> Result<Option<Call>, OpError> {
    let Some(waiting) = waiting(kernel, claimed).await? else {
        return Ok(None);
    };
    let sealed = waiting.callback.as_ref().and_then(|callback| callback.token.as_deref());
    let identity = kernel.one::<Identity>(waiting.identity).await?;
    // Where the charter says now: an address that was taken out of it is not called any more.
    let url = identity.and_then(|identity| identity.charter.notification_endpoint.clone());
    let (Some(sealed), Some(url)) = (sealed, url) else {
        return Ok(None);
    };
    let token = notification_token(kernel, waiting.request, sealed)?;
    let token = String::from_utf8(token.expose().clone())
        .map_err(|_| OpError::Internal("a notification token is no text".into()))?;
    Ok(Some(Call {
        url,
        token: tenure_core::store::secret::Secret::new(token),
        body: json!({"auth_req_id": auth_req_id(kernel, waiting.request, waiting.identity)}).to_string(),
    }))
}

fn called(
    kernel: &Kernel,
    claimed: &Claimed,
    waiting: &Stored<Backchannel>,
    outcome: &Result<u16, String>,
) -> Changeset {
    let now = kernel.now();
    let mut noted = (*waiting.value).clone();
    let attempts = noted.callback.as_mut().map_or(0, |callback| {
        callback.attempts = callback.attempts.saturating_add(1);
        callback.why = outcome.as_ref().err().cloned();
        callback.delivered_at = outcome.is_ok().then_some(now);
        callback.attempts
    });
    let is_wanted = outcome.is_err() && noted.redeemed.is_none();
    let again = is_wanted.then(|| noted.next_call(now)).flatten();
    if again.is_none()
        && let Some(callback) = &mut noted.callback
    {
        callback.token = None;
    }
    let event = kernel
        .event(now, EventKind::RequestCalledBack)
        .subject(noted.request)
        .subject(noted.identity)
        .fact("attempt", attempts)
        .fact("delivered", outcome.is_ok())
        .fact("why", outcome.as_ref().err())
        .fact("again_at", again);
    let mut changeset = Changeset::new(system(), now, event);
    changeset.replace(waiting, &noted);
    changeset.due.push(match again {
        Some(at) => DueChange::Retry(claimed.kind, claimed.subject.clone(), claimed.fence, at),
        None => DueChange::Ack(claimed.kind, claimed.subject.clone(), claimed.fence),
    });
    changeset
}

/// Has an identity called back, if its request just got its answer and it wants that.
pub(crate) async fn call_back(
    kernel: &Kernel,
    changeset: &mut Changeset,
    request: &Request,
    now: Timestamp,
) -> Result<(), OpError> {
    if !matches!((&request.requested_by, &request.matter), (Asker::Identity(_), Matter::Access { .. })) {
        return Ok(());
    }
    let waiting: Option<Stored<Backchannel>> = kernel.one(request.id).await?;
    if waiting.is_some_and(|waiting| waiting.callback.is_some()) {
        changeset.due.push(DueChange::Set(DueKind::Callback, request.id.to_string(), now));
    }
    Ok(())
}

/// The token with which a client is called back.
pub(crate) fn notification_token(
    kernel: &Kernel,
    request: RequestId,
    sealed: &str,
) -> Result<tenure_core::store::secret::Secret<Vec<u8>>, OpError> {
    let opened = kernel.root.open(SEALED_AS, &request.to_string(), sealed);
    opened.map_err(|error| OpError::Internal(error.to_string()))
}

/// What the identity fetches the answer to its request with. It is derived, so that nothing which could be stolen is
/// stored.
pub(crate) fn auth_req_id(kernel: &Kernel, request: RequestId, identity: IdentityId) -> String {
    let tag = token::backchannel::answers(kernel).tag(&[&request.to_string(), &identity.to_string()]);
    format!("{request}.{tag}")
}
