//! The HTTP edge: authenticates the caller, parses, limits, and hands over to the engine. It decides nothing.

mod app;
mod approve;
mod caller;
mod console;
mod contract;
mod health;
mod layers;
mod limits;
mod openapi;
pub mod outbound;
mod protocols;
mod serve;
mod sign_in;
mod timings;
mod v1;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, header};
use tenure_engine::Kernel;
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::app::App;
use crate::contract::api::Api;
use crate::contract::error;
pub use openapi::{addresses, contract};
pub use serve::{Clients, Listener, Places, Proxies, ServeError, SourceFrom, SourceFromError, Tls, introduced, serve};

/// The largest request body in bytes.
const MAX_BODY: usize = 64 * 1024;

/// Every route of the server.
pub fn router(kernel: Arc<Kernel>) -> Router {
    layered(kernel, openapi::apis(false))
}

/// The routes of a process that works and serves no API: whether it lives, is ready, and what it counts.
pub fn worker_router(kernel: Arc<Kernel>) -> Router {
    layered(kernel, [health::routes(Api::new(false)), Api::new(false)])
}

fn layered(kernel: Arc<Kernel>, apis: [Api<App>; 2]) -> Router {
    let app = App::new(kernel, apis.iter().flat_map(Api::operations).cloned().collect());
    let [bounded, streams] = apis.map(Api::into_router);
    bounded
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(axum::middleware::from_fn(layers::in_time))
        // Streams live longer than any request's bound; each of their steps is bounded by itself.
        .merge(streams.method_not_allowed_fallback(error::method_not_allowed))
        .layer((
            SetSensitiveRequestHeadersLayer::new([header::AUTHORIZATION, header::COOKIE]),
            SetResponseHeaderLayer::overriding(
                HeaderName::from_static("x-content-type-options"),
                HeaderValue::from_static("nosniff"),
            ),
            SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            DefaultBodyLimit::max(MAX_BODY),
            axum::middleware::from_fn_with_state(app.clone(), layers::every),
        ))
        .with_state(app)
}
