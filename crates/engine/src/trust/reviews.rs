//! What a cluster says of a token of its own (TokenReview, `authentication.k8s.io/v1`), before the token counts (R14).
//!
//! A projected token's signature holds until the token is over, and the API server's own keys say nothing about the pod
//! that has it: only the cluster knows that the pod is gone. It is asked last, when everything else of the proof holds,
//! so that nobody has it asked but who has a token that it signed. Whoever can't be asked vouches for nothing.
//!
//! The login there may create tokenreviews and nothing else; it is opened for the one call.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tenure_api::issuers::{IssuerView, NewTokenReview, ReviewLoginAsk};
use tenure_api::views::Revised;
use tenure_core::base::id::IssuerId;
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::policy::Action;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::words;
use tenure_core::trust::issuer::{Issuer, Preset, ReviewLogin, TokenReview};
use tenure_core::trust::state::TrustState;

use crate::kernel::Kernel;
use crate::kernel::authority::{administration, inventory};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::freshness::{self, assurance_fact};
use crate::kernel::operation::Asked;
use crate::kernel::outbound::Asking;
use crate::trust::issuers::allowed_url;

const SEAL_LABEL: &str = "review-login";
const PATH: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
/// How long the cluster is waited for, by somebody who waits for a token.
const PATIENCE: Duration = Duration::from_secs(3);
const MAX_ANSWER: usize = 64 * 1024;
const MAX_CA: usize = 64 * 1024;
const MAX_SECRET: usize = 4_096;

/// Why a token doesn't count although its signature holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unreviewed {
    /// The cluster says so.
    Refused(String),
    /// The cluster said nothing of it. Why stands in the server's log.
    Unavailable,
}

impl Unreviewed {
    /// The reason, and what exactly.
    pub fn told(self) -> (Reason, String) {
        match self {
            Self::Refused(said) => (Reason::TokenReviewRefused, said),
            Self::Unavailable => (Reason::TokenReviewUnavailable, Reason::TokenReviewUnavailable.hint().to_owned()),
        }
    }
}

impl From<Unreviewed> for OpError {
    fn from(unreviewed: Unreviewed) -> Self {
        let (reason, detail) = unreviewed.told();
        Self::because(reason, detail)
    }
}

/// The part of a TokenReview that the cluster fills in.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    authenticated: bool,
    audiences: Vec<String>,
    user: User,
    error: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct User {
    username: String,
    uid: String,
    extra: std::collections::BTreeMap<String, Vec<String>>,
}

/// Asks the cluster of an issuer, if its registration names one, about a token whose signature holds.
///
/// # Errors
/// The cluster doesn't take it, takes it for another one, or can't be asked.
pub(crate) async fn review(
    kernel: &Kernel,
    issuer: &Issuer,
    token: &str,
    claims: &Map<String, Value>,
) -> Result<(), Unreviewed> {
    let Some(review) = &issuer.token_review else { return Ok(()) };
    let body = asked(kernel, issuer, review, token).await.map_err(|why| {
        tracing::warn!(issuer = %issuer.id, why, "a cluster could not be asked whether a token still counts");
        Unreviewed::Unavailable
    })?;
    judged(&body, &issuer.audience, claims)
}

async fn asked(kernel: &Kernel, issuer: &Issuer, review: &TokenReview, token: &str) -> Result<Status, String> {
    let login = review.login.as_ref().ok_or("its registration has no login for reviews yet")?;
    let bearer = kernel.root.open_text(SEAL_LABEL, &issuer.id.to_string(), &login.sealed);
    let bearer = bearer.map_err(|_| "the login for reviews can't be opened")?;
    let body = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": { "token": token, "audiences": [issuer.audience] },
    });
    let body = Secret::new(body.to_string());
    let url = format!("{}{PATH}", review.url.trim_end_matches('/'));
    let asking = Asking {
        url: &url,
        ca: review.ca.as_deref(),
        bearer: bearer.expose(),
        body: body.expose(),
        patience: PATIENCE,
    };
    let answer = kernel.fetch.ask(asking, MAX_ANSWER).await.map_err(|error| error.to_string())?;
    if !matches!(answer.status, 200 | 201) {
        return Err(format!("it answered with status {}", answer.status));
    }
    read(&answer.body).ok_or_else(|| "its answer is no TokenReview".to_owned())
}

/// The status of an answer that is a TokenReview.
fn read(body: &[u8]) -> Option<Status> {
    let mut told: Value = serde_json::from_slice(body).ok()?;
    let is_review = told.get("kind")? == "TokenReview" && told.get("apiVersion")? == "authentication.k8s.io/v1";
    let status = told.get_mut("status").map(Value::take).filter(|_| is_review)?;
    serde_json::from_value(status).ok()
}

/// Whether the cluster takes the token, for the audience that it was asked about, and for who the token says it is.
fn judged(status: &Status, audience: &str, claims: &Map<String, Value>) -> Result<(), Unreviewed> {
    let refused = |why: &str| Err(Unreviewed::Refused(why.to_owned()));
    if !status.authenticated {
        return Err(Unreviewed::Refused(words(&format!("the cluster no longer takes this token: {}", status.error))));
    }
    if !status.audiences.iter().any(|name| name == audience) {
        return refused("the cluster takes this token, but says nothing of the audience that it is for");
    }
    let bound = claims.get("kubernetes.io");
    let uid_of = |what: &str| bound.and_then(|bound| bound.get(what)?.get("uid")?.as_str());
    let extra = |name: &str| status.user.extra.get(name).and_then(|values| values.first()).map(String::as_str);
    let same_account = claims.get("sub").and_then(Value::as_str) == Some(&status.user.username)
        && uid_of("serviceaccount") == Some(&status.user.uid);
    let same_pod = uid_of("pod").is_none_or(|pod| extra("authentication.kubernetes.io/pod-uid") == Some(pod));
    if same_account && same_pod {
        Ok(())
    } else {
        refused("the cluster takes this token for another service account's or another pod's than it names")
    }
}

/// What is wrong with where a cluster is to be asked.
pub(crate) fn check(preset: Preset, review: &NewTokenReview) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    if preset != Preset::Kubernetes {
        let hint = "only a cluster answers TokenReviews: register it with the preset kubernetes";
        problems.push(FieldProblem::new("token_review", "token_review_not_supported", hint));
    }
    if !allowed_url(&review.url, false) {
        let hint = "give the URL of the cluster's API server: an https URL without user, query and fragment";
        problems.push(FieldProblem::new("token_review.url", "url_malformed", hint));
    }
    let is_pem = |pem: &String| pem.len() <= MAX_CA && pem.contains("-----BEGIN CERTIFICATE-----");
    if review.ca.as_ref().is_some_and(|pem| !is_pem(pem)) {
        let hint = "give the cluster's certificate authorities in PEM, 64 KiB at most";
        problems.push(FieldProblem::new("token_review.ca", "ca_malformed", hint));
    }
    problems
}

/// Hands in the login by which an issuer's cluster is asked about tokens.
///
/// # Errors
/// No such issuer, it isn't confirmed or names no cluster, the login is none, or the caller may not, or hasn't just
/// signed in.
pub async fn set_review_login(
    kernel: &Kernel,
    caller: &Caller,
    id: IssuerId,
    ask: ReviewLoginAsk,
) -> Result<Revised<IssuerView>, OpError> {
    let secret = Secret::new(ask.secret);
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "issuer.review_login", id), async {
            kernel.allow(caller, Action::Trust, inventory("issuer", id, ""), administration(false, false))?;
            let by = caller.must_be_person()?;
            let plain = secret.expose().bytes().all(|b| b.is_ascii_graphic());
            if secret.expose().is_empty() || secret.expose().len() > MAX_SECRET || !plain {
                let hint = "give the bearer token: 1 to 4096 printable characters without a blank";
                return Err(OpError::field("secret", "secret_malformed", hint));
            }
            let ((issuer, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let fresh = freshness::freshness(kernel, caller, now).await?;
                    let stored = kernel.must::<Issuer>("issuer", id).await?;
                    if stored.state != TrustState::Active || stored.token_review.is_none() {
                        let detail = "hand in the login of an issuer that is confirmed, not removed, and whose \
                                      registration says where its cluster is asked about tokens";
                        return Err(OpError::because(Reason::IllegalTransition, detail));
                    }
                    let sealed = kernel
                        .root
                        .seal(SEAL_LABEL, &id.to_string(), secret.expose().as_bytes(), kernel.entropy.as_ref())
                        .map_err(|error| OpError::Internal(error.to_string()))?;
                    let issuer = (*stored.value).clone().with_review_login(ReviewLogin { sealed, by, at: now });
                    let event = kernel
                        .event(now, EventKind::IssuerReviewLoginSet)
                        .subject(id)
                        .fact("assurance", assurance_fact(caller));
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    fresh.expect(&mut changeset);
                    changeset.replace(&stored, &issuer);
                    Ok((changeset, (issuer, stored.revision + 1)))
                })
                .await?;
            kernel.changed(IssuerView::from(issuer), revision, &committed).await
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Map<String, Value> {
        let claims = json!({
            "sub": "system:serviceaccount:billing:exporter",
            "kubernetes.io": {
                "namespace": "billing",
                "serviceaccount": { "name": "exporter", "uid": "sa-1" },
                "pod": { "name": "exporter-7", "uid": "pod-1" },
            },
        });
        claims.as_object().unwrap().clone()
    }

    fn good() -> Value {
        json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {}, "spec": {},
            "status": {
                "authenticated": true, "audiences": ["tenure"],
                "user": {
                    "username": "system:serviceaccount:billing:exporter", "uid": "sa-1",
                    "groups": ["system:serviceaccounts"],
                    "extra": { "authentication.kubernetes.io/pod-uid": ["pod-1"] },
                },
            },
        })
    }

    fn judge(answer: &Value) -> Result<(), Unreviewed> {
        judged(&read(answer.to_string().as_bytes()).unwrap(), "tenure", &claims())
    }

    #[test]
    fn r14_only_the_very_token_for_the_very_audience_counts() {
        assert_eq!(judge(&good()), Ok(()));
        for (pointer, value) in [
            ("/status/authenticated", json!(false)),
            ("/status/audiences", json!([])),
            ("/status/audiences", json!(["https://kubernetes.default.svc"])),
            ("/status/user/username", json!("system:serviceaccount:billing:other")),
            ("/status/user/username", json!("")),
            ("/status/user/uid", json!("sa-2")),
            ("/status/user/extra", json!({})),
            ("/status/user/extra", json!({ "authentication.kubernetes.io/pod-uid": ["pod-2"] })),
        ] {
            let mut bad = good();
            *bad.pointer_mut(pointer).unwrap() = value;
            assert!(matches!(judge(&bad), Err(Unreviewed::Refused(_))), "{pointer}");
        }
        let gone = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "status": { "user": {}, "error": "[invalid bearer token,\nservice account token is not valid yet]" } });
        let said = judge(&gone).unwrap_err().told().1;
        assert!(said.contains("[invalid bearer token, service account"), "{said}");
        // Who is bound to no pod has none to be compared.
        let mut unbound = claims();
        unbound["kubernetes.io"].as_object_mut().unwrap().remove("pod");
        let status = read(good().to_string().as_bytes()).unwrap();
        assert_eq!(judged(&status, "tenure", &unbound), Ok(()));
    }

    #[test]
    fn r14_what_is_no_review_says_nothing() {
        for (pointer, value) in [
            ("/kind", json!("Status")),
            ("/apiVersion", json!("authentication.k8s.io/v1beta1")),
            ("/status", json!(null)),
            ("/status", json!("yes")),
            ("/status/authenticated", json!("true")),
        ] {
            let mut bad = good();
            *bad.pointer_mut(pointer).unwrap() = value;
            assert!(read(bad.to_string().as_bytes()).is_none(), "{pointer}");
        }
        assert!(read(b"").is_none() && read(b"{}").is_none());
    }
}
