//! Standard protocols.

mod authzen;
mod oauth;

use axum::Router;

use crate::App;

pub(crate) fn routes() -> Router<App> {
    Router::new().merge(oauth::routes()).merge(authzen::routes())
}
