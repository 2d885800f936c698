//! Stand-ins: who votes in the place of somebody who is away (S-8).
//!
//! A stand-in fills a place that somebody is named for, the owner's or the manager's, and nothing else: what they may do
//! is the smaller of what they and the one who is away could do on their own. Whoever is away has to fill the place
//! themselves, so that nobody stands in for a stand-in, and the two count as one person in a request's votes
//! ([`Request::vote`]).

use tenure_api::request::StandsIn;
use tenure_core::base::time::Timestamp;
use tenure_core::people::person::{Person, PersonClass};
use tenure_core::request::{Place, Request, RequestState};
use tenure_core::store::row::Stored;

use crate::kernel::Kernel;
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;

/// Whether somebody is of the class that a place takes: what a third party operates is an employee's to answer for.
pub(crate) fn is_fit(place: Place, vendor: bool, stand_in: &Person) -> bool {
    place != Place::Owner || !vendor || stand_in.class == PersonClass::Employee
}

/// Those whom a request names for a place and who are away, with the caller as their stand-in.
pub(crate) async fn absent(
    kernel: &Kernel,
    caller: &Caller,
    request: &Request,
    at: Timestamp,
) -> Result<Vec<Stored<Person>>, OpError> {
    let Some(stand_in) = caller.person_id() else { return Ok(Vec::new()) };
    let mut absent = Vec::new();
    for id in [request.owner, request.manager].into_iter().flatten() {
        let person = kernel.one::<Person>(id).await?;
        absent.extend(person.filter(|person| person.stand_in_at(at).is_some_and(|named| named.person == stand_in)));
    }
    Ok(absent)
}

/// Who stands in for those whom an open request waits for by name.
pub(crate) async fn standing_in(kernel: &Kernel, request: &Request, at: Timestamp) -> Result<Vec<StandsIn>, OpError> {
    let mut all = Vec::new();
    if request.state != RequestState::Open {
        return Ok(all);
    }
    let places = request.open_steps().into_iter().flatten();
    let named = places.filter_map(|place| {
        let named = match place {
            Place::Owner => request.owner,
            Place::Manager => request.manager,
            Place::Security | Place::Administrator => None,
        };
        Some((named?, place, place.stand_in_holds()?))
    });
    for (id, place, role) in named.collect::<Vec<_>>() {
        let absent = kernel.one::<Person>(id).await?;
        let Some(named) = absent.filter(|absent| absent.is_active()).and_then(|absent| absent.stand_in_at(at)) else {
            continue;
        };
        let stand_in = kernel.one::<Person>(named.person).await?;
        let is_kept_out = request.interested.contains(&named.person) || request.interested.contains(&id);
        let may = !is_kept_out
            && stand_in.is_some_and(|person| person.holds(role) && is_fit(*place, request.vendor, &person));
        if may && !all.iter().any(|known: &StandsIn| known.instead_of == id) {
            all.push(StandsIn { person: named.person, instead_of: id, until: named.until });
        }
    }
    Ok(all)
}
