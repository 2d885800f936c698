//! The management API.

mod break_glass;
mod bulk;
pub(crate) mod deprecations;
mod directory;
mod drift;
mod exceptions;
mod findings;
mod identities;
mod intake;
mod log;
mod logins;
mod needs;
mod notifications;
mod overview;
mod people;
mod person_access;
mod removals;
mod requests;
mod reviews;
mod revocations;
mod sign_in;
mod sources;
mod targets;
mod templates;
mod third_party;
mod transfers;
mod views;
mod why;

use crate::app::App;
use crate::contract::api::Api;

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    let rooms = [
        directory::routes,
        identities::routes,
        bulk::routes,
        exceptions::routes,
        findings::routes,
        needs::routes,
        removals::routes,
        requests::routes,
        people::routes,
        transfers::routes,
        person_access::routes,
        reviews::routes,
        revocations::routes,
        sign_in::routes,
        sources::routes,
        targets::routes,
        logins::routes,
        break_glass::routes,
        deprecations::routes,
        drift::routes,
        intake::routes,
        templates::routes,
        third_party::routes,
        log::routes,
        why::routes,
        notifications::routes,
        overview::routes,
        views::routes,
    ];
    rooms.into_iter().fold(api, |api, routes| routes(api))
}

/// Routes whose replies are streams.
pub(crate) fn streams(api: Api<App>) -> Api<App> {
    log::streams(api)
}
