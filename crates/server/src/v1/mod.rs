//! The management API.

mod directory;
mod identities;
mod log;
mod revocations;

use axum::Router;

use crate::App;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .merge(directory::routes())
        .merge(identities::routes())
        .merge(revocations::routes())
        .merge(log::routes())
}

/// Routes whose replies are streams.
pub(crate) fn streams() -> Router<App> {
    log::streams()
}
