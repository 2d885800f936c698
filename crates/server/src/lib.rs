//! The HTTP edge: authenticates the caller, parses, limits, and hands over to the engine. It decides nothing.

mod admission;
mod approve;
mod client_certificates;
mod error;
mod extract;
mod health;
mod keys;
mod listing;
pub mod outbound;
mod protocols;
mod serve;
mod shares;
mod sign_in;
mod streams;
mod v1;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::routing::get;
use tenure_engine::Kernel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

pub use serve::{Clients, Listener, Places, Proxies, ServeError, SourceFrom, SourceFromError, Tls, introduced, serve};

/// The largest request body in bytes.
const MAX_BODY: usize = 64 * 1024;
const TIMEOUT: Duration = Duration::from_secs(30);

/// What handlers share.
#[derive(Clone)]
pub(crate) struct App {
    pub engine: Arc<Kernel>,
    /// Sign-ins that were begun lately.
    pub sign_ins: Arc<sign_in::Attempts>,
    /// Requests under way.
    pub requests: Arc<admission::Admission>,
    /// Streams that are open.
    pub streams: Arc<streams::Streams>,
}

/// Every route of the server.
pub fn router(engine: Arc<Kernel>) -> Router {
    let app = App {
        engine,
        sign_ins: Arc::new(sign_in::Attempts::new()),
        requests: Arc::default(),
        streams: Arc::default(),
    };
    let bounded = Router::new()
        .merge(v1::routes())
        .merge(protocols::routes())
        .merge(sign_in::routes())
        .merge(approve::routes())
        .merge(health::routes())
        .route("/problems/{code}", get(error::page))
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, TIMEOUT));
    bounded
        // Streams live longer than any request's bound; each of their steps is bounded by itself.
        .merge(v1::streams().method_not_allowed_fallback(error::method_not_allowed))
        // One layer of all, the outermost first: each `layer` boxes every request's future once more.
        .layer((
            CatchPanicLayer::custom(error::panicked),
            SetSensitiveRequestHeadersLayer::new([header::AUTHORIZATION, header::COOKIE]),
            SetResponseHeaderLayer::overriding(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff")),
            SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            DefaultBodyLimit::max(MAX_BODY),
            axum::middleware::from_fn_with_state(app.clone(), admission::admit),
            axum::middleware::from_fn_with_state(app.clone(), keys::next_nonce),
        ))
        .with_state(app)
}
