//! One call that gives a decision and a credential (R61).
//!
//! These are two commits, and stay two: the identity and the request that a named rule approved are durable first, then
//! the credential is issued through the same gate as every other. Whatever can be known to be wrong is refused before
//! the first of them; if the second is refused all the same, the reply names the identity and says why it has no
//! credential.

use serde_json::json;
use tenure_api::requests::{NewIdentity, Stage};
use tenure_api::templates::{FirstToken, Registered, TokenRefused};
use tenure_core::base::problem::Reason;
use tenure_core::identity::{CharterDraft, WorkloadBinding};
use tenure_core::store::event::ControlPoint;
use tenure_credentials::assertion::{parse_workload_key, verify_first_proof};
use tenure_credentials::token::TASK_DETAIL;

use crate::credentials::token::ask::{Grant, TokenAsk};
use crate::credentials::token::{self, Presented, Proof};
use crate::identities::registration;
use crate::inventory::templates;
use crate::kernel::Kernel;
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::Asked;

/// Registers an identity, and issues its first credential where the registration asks for one.
///
/// # Errors
/// As [`Kernel::register`]; or the proof fails, and then nothing is registered.
pub async fn register_with_token(
    kernel: &Kernel,
    caller: &Caller,
    mut ask: NewIdentity,
    source: String,
) -> Result<Registered, OpError> {
    let Some(wanted) = ask.token.take() else {
        return Ok(Registered {
            identity: Box::pin(registration::register(kernel, caller, ask)).await?,
            token: None,
            token_refused: None,
        });
    };
    let environment = kernel
        .recorded(
            caller,
            Asked::new(ControlPoint::Issue, "identity.register", ""),
            check_first_token(kernel, &ask, &wanted),
        )
        .await?;
    let identity = Box::pin(registration::register(kernel, caller, ask)).await?;
    let issued = token::issue_token(
        kernel,
        TokenAsk {
            environment,
            client_id: Some(identity.record.id.to_string()),
            proof: Proof::Registration(wanted.proof),
            resource: wanted.resource,
            scope: wanted.scope,
            authorization_details: wanted.task.map(|task| json!([{"type": TASK_DETAIL, "task": task}]).to_string()),
            grant: Grant::Own,
            sender: Presented::default(),
            source,
        },
    )
    .await;
    let (token, token_refused) = match issued {
        Ok(token) => (Some(token), None),
        Err(error) => (None, Some(refused(error))),
    };
    Ok(Registered { identity, token, token_refused })
}

/// That the proof is by the key that the charter is to bind, for this name; gives the environment whose issuer it is
/// addressed to.
async fn check_first_token(kernel: &Kernel, ask: &NewIdentity, wanted: &FirstToken) -> Result<String, OpError> {
    let now = kernel.now();
    if ask.stage != Stage::Active {
        return Err(OpError::field("token", "token_without_activation", "a credential takes the stage active"));
    }
    let (charter, _) = templates::templated(kernel, ask, now).await?;
    let CharterDraft {
        environment: Some(environment),
        workload_binding: Some(WorkloadBinding::PublicKey { jwk, .. }),
        ..
    } = charter
    else {
        let hint = "a first credential takes an environment and a workload_binding of the type public_key";
        return Err(OpError::field("token", "token_without_key", hint));
    };
    let key = parse_workload_key(&jwk)
        .map_err(|e| OpError::field("charter.workload_binding.jwk", e.code(), &e.to_string()))?;
    verify_first_proof(&wanted.proof, &[&key], &kernel.issuer_of(&environment), &ask.name, now)
        .map_err(|refused| OpError::because(Reason::ProofInvalid, refused.error.code()))?;
    Ok(environment)
}

/// Why there is no credential although there is an identity; what is internal is not told.
fn refused(error: OpError) -> TokenRefused {
    let (code, hint) = match error {
        OpError::Refused { reason, detail, .. } => (reason.code(), detail.unwrap_or_else(|| reason.hint().to_owned())),
        OpError::Unauthenticated(reason) => (reason.code(), reason.hint().to_owned()),
        OpError::Invalid(fields) => {
            let hints = fields.into_iter().map(|field| format!("{}: {}", field.field, field.hint));
            ("fields_invalid", hints.collect::<Vec<_>>().join("; "))
        }
        _ => ("unavailable", "the identity is there: get a credential at the token endpoint".to_owned()),
    };
    TokenRefused { code: code.to_owned(), hint }
}
