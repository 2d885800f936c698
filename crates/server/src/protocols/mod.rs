//! Standard protocols.

mod authzen;
mod ciba;
mod exchange;
mod oauth;
mod signals;

use axum::Router;

use crate::app::App;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .merge(oauth::routes())
        .merge(ciba::routes())
        .merge(authzen::routes())
        .merge(signals::routes())
}
