//! Roles of people: asked for by a request.

use crate::kernel::Kernel;
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::matters::request;
use tenure_api::people::NewRoles;
use tenure_api::request::NewRequest;
use tenure_api::request::RequestView;
use tenure_core::id::PersonId;
use tenure_core::person::Role;
use tenure_core::request::Matter;

/// Asks for other roles of a person: another administrator approves.
///
/// # Errors
/// No such person, or the caller may not ask.
pub async fn ask_for_roles(kernel: &Kernel, caller: &Caller, person: PersonId, ask: NewRoles) -> Result<RequestView, OpError> {
    let mut roles: Vec<Role> = ask.roles;
    roles.sort_unstable();
    roles.dedup();
    let ask = NewRequest {
        matter: Matter::Roles { person, roles },
        purpose: ask.purpose,
    };
    request::open_request(kernel, caller, ask).await
}
