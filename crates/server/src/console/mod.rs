//! The console: the server's pages for people. A handler finds out who reads, calls the use case that the API has for
//! it, and hands its view to a template of `tenure-console`; what somebody may read and do, the engine says.
//!
//! Addresses are those of the API without `/v1`, so that whoever knows one knows the other: `/identities/{id}`. A form
//! is sent to the page's own address or to one below it, and leads to a page by 303; what was wrong with it comes back
//! with everything that was typed.

mod accepting;
mod access;
mod agents;
mod asset;
mod breach;
mod claims;
mod deeds;
mod deprecations;
mod directory;
mod drift;
mod editing;
mod glass;
mod holds;
mod home;
mod identities;
mod leaving;
mod live;
mod log;
mod making;
mod policy;
mod reader;
mod receipts;
mod requests;
mod reviews;
mod rules;
pub(crate) mod several;
mod signals;
mod stand_in;
mod stop;
mod system;
mod targets;
pub(crate) mod views;
mod watch;

use crate::app::App;
use crate::contract::api::Api;

/// Routes whose replies are streams.
pub(crate) fn streams(api: Api<App>) -> Api<App> {
    receipts::streams(api)
}

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    let rooms = [
        asset::routes,
        home::routes,
        identities::routes,
        views::routes,
        deeds::routes,
        several::routes,
        making::routes,
        requests::routes,
        deprecations::routes,
        accepting::routes,
        glass::routes,
        breach::routes,
        rules::routes,
        stop::routes,
        receipts::routes,
        watch::routes,
        reviews::routes,
        directory::routes,
        targets::routes,
        claims::routes,
        drift::routes,
        stand_in::routes,
        holds::routes,
        editing::routes,
        leaving::routes,
        signals::routes,
        access::routes,
        agents::routes,
        policy::routes,
        system::routes,
        log::routes,
    ];
    rooms.into_iter().fold(api, |api, routes| routes(api))
}
