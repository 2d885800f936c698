//! Runtime decisions about identities and people (OpenID AuthZEN).

use tenure_api::requests::Evaluation;
use tenure_api::views::Decision;
use tenure_core::base::problem::Reason;

use crate::access::person_access::verdict;
use crate::credentials::decisions;
use crate::credentials::enforcer::{self, Enforcer};
use crate::kernel::Kernel;
use crate::kernel::error::OpError;

/// Decides, for an enforcement point of the resource. The resource's record overrides what the caller says about it.
/// What isn't the caller's resource, and what no subject here is, is a no like any other: to a gateway an error means
/// that the decision point is broken.
///
/// # Errors
/// The question is malformed, or the caller itself may not ask any more.
pub async fn evaluate(kernel: &Kernel, enforcer: &Enforcer, ask: &Evaluation) -> Result<Decision, OpError> {
    let now = kernel.now();
    decisions::check_evaluation(ask)?;
    let Some(resource) = decisions::resource_of(kernel, enforcer, ask, now).await? else {
        return Ok(decisions::denial(kernel, Reason::ResourceUnknown));
    };
    match ask.subject.kind.as_str() {
        "identity" => decisions::evaluate_identity(kernel, enforcer, ask, &resource, now).await,
        "person" => verdict::evaluate_person(kernel, enforcer, ask, &resource, now).await,
        _ => {
            let reason = Reason::SubjectTypeUnknown;
            kernel.count_stranger(reason, &enforcer::enforcer_identity(enforcer).id.to_string());
            Ok(decisions::denial(kernel, reason))
        }
    }
}
