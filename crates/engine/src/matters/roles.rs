//! Roles of people: asked for by a request.

use tenure_api::people::{ClassName, NewPerson, NewRoles, PersonMade};
use tenure_api::request::{NewRequest, RequestView};
use tenure_api::views::Names;
use tenure_core::base::id::PersonId;
use tenure_core::base::problem::Reason;
use tenure_core::people::person::{Person, PersonClass, PersonState, Role};
use tenure_core::policy::Action;
use tenure_core::request::Matter;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;

use crate::kernel::administrators;
use crate::kernel::authority::{administration, inventory};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::Asked;
use crate::kernel::{Kernel, freshness};
use crate::matters::request;
use crate::people::{person, teams};

/// Asks for other roles of a person: another administrator approves.
///
/// # Errors
/// No such person, or the caller may not ask.
pub async fn ask_for_roles(
    kernel: &Kernel,
    caller: &Caller,
    person: PersonId,
    ask: NewRoles,
) -> Result<RequestView, OpError> {
    let mut roles: Vec<Role> = ask.roles;
    roles.sort_unstable();
    roles.dedup();
    let ask = NewRequest { matter: Matter::Roles { person, roles }, purpose: ask.purpose };
    match request::open_request(kernel, caller, ask).await {
        // Whether there is such a person, not everybody is told.
        Err(OpError::NotFound(what)) => {
            let asked = Asked::new(ControlPoint::Request, "request.open", person);
            kernel.recorded(caller, asked, async { Err(OpError::NotFound(what)) }).await
        }
        opened => opened,
    }
}

/// Registers a person. Roles come by a request; while there is one administrator it is fulfilled at once (S-10).
///
/// # Errors
/// The fields are wrong or a non-human's, or the caller is no administrator.
pub async fn create_person(kernel: &Kernel, caller: &Caller, ask: NewPerson) -> Result<PersonMade, OpError> {
    let (person, log) = kernel
        .recorded(caller, Asked::new(ControlPoint::Request, "person.create", ""), async {
            kernel.allow(caller, Action::Administer, inventory("person", "", ""), administration(false, false))?;
            let class = match (ask.class, &ask.kind) {
                (ClassName::Employee, None) => PersonClass::Employee,
                (ClassName::Contractor, None) => PersonClass::Contractor,
                _ => return Err(OpError::refused(Reason::ClassMismatch)),
            };
            if !ask.roles.is_empty() && administrators::is_alone(kernel).await? {
                // They approve their own request in a moment: better no person than one without the roles.
                let _ = freshness::freshness(kernel, caller, kernel.now()).await?;
            }
            let (person, committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let mut person = Person {
                        class,
                        starts_at: ask.starts_at,
                        ends_at: ask.ends_at,
                        manager: ask.manager,
                        teams: person::sorted(ask.teams.clone()),
                        ..Person::new(
                            PersonId::generate(now, kernel.entropy.as_ref()),
                            ask.name.clone(),
                            ask.email.clone(),
                            Vec::new(),
                            now,
                        )
                    };
                    if person.starts_at.is_some_and(|start| start > now) {
                        person.state = PersonState::Preboarding;
                    }
                    let mut changeset =
                        Changeset::new(caller.author(), now, person::joined_event(kernel, &person, now));
                    person::check_record(kernel, &mut changeset, None, &person, now).await?;
                    teams::join(&mut changeset, &person);
                    Ok((changeset, person))
                })
                .await?;
            Ok((person, kernel.logged(&committed).await?))
        })
        .await?;
    if ask.roles.is_empty() {
        return Ok(PersonMade { record: person, revision: 1, request: None, log: Some(log), names: Names::new() });
    }
    let roles = NewRoles {
        roles: ask.roles,
        purpose: ask.purpose.unwrap_or_else(|| "roles given when the person was registered".into()),
    };
    let request = ask_for_roles(kernel, caller, person.id, roles).await?;
    let stored = kernel.must::<Person>("person", person.id).await?;
    Ok(PersonMade {
        record: (*stored.value).clone(),
        revision: stored.revision,
        request: Some(request.request.id),
        log: Some(log),
        names: Names::new(),
    })
}
