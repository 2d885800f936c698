//! The management API.

mod directory;
mod exceptions;
mod findings;
mod identities;
mod log;
mod needs;
mod notifications;
mod people;
mod person_access;
mod removals;
mod requests;
mod reviews;
mod revocations;
mod sign_in;
mod sources;
mod templates;
mod third_party;
mod transfers;
mod why;

use axum::Router;

use crate::app::App;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .merge(directory::routes())
        .merge(identities::routes())
        .merge(exceptions::routes())
        .merge(findings::routes())
        .merge(needs::routes())
        .merge(removals::routes())
        .merge(requests::routes())
        .merge(people::routes())
        .merge(transfers::routes())
        .merge(person_access::routes())
        .merge(reviews::routes())
        .merge(revocations::routes())
        .merge(sign_in::routes())
        .merge(sources::routes())
        .merge(templates::routes())
        .merge(third_party::routes())
        .merge(log::routes())
        .merge(why::routes())
        .merge(notifications::routes())
}

/// Routes whose replies are streams.
pub(crate) fn streams() -> Router<App> {
    log::streams()
}
