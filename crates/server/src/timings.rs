//! How long requests take, by route: what operators see of the HTTP edge.
//!
//! Labels are bounded, whoever calls: a route is named as the router spells it, and never by the path that was sent.

use axum::http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};
use tenure_core::base::time::Span;
use tenure_engine::kernel::durations::Durations;

/// What stands for a route where a request takes none.
const NO_ROUTE: &str = "none";
/// What stands for a method that no route has, or not this one.
const OTHER: &str = "other";

/// Which requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    method: &'static str,
    route: String,
    status: &'static str,
}

/// How long requests took since the start of the process.
#[derive(Debug, Default)]
pub(crate) struct Timings(Family<Labels, Durations>);

impl Timings {
    /// Counts a request that was answered after so long; `route` is empty if it took none.
    pub(crate) fn answered(&self, method: &'static str, route: &str, status: StatusCode, took: Span) {
        let labels = Labels {
            // Otherwise anybody could make series of each route with every method.
            method: if status == StatusCode::METHOD_NOT_ALLOWED { OTHER } else { method },
            route: if route.is_empty() { NO_ROUTE } else { route }.to_owned(),
            status: class(status),
        };
        self.0.get_or_create(&labels).observe(took);
    }

    /// Hands what was measured to a registry, for as long as that is encoded.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "tenure_http_request_duration",
            "How long requests took until their answer began, by method, route and class of status",
            Unit::Seconds,
            self.0.clone(),
        );
    }
}

/// A method by its name, if it is one of those that routes have.
pub(crate) fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => OTHER,
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        500..=599 => "5xx",
        _ => "1xx",
    }
}
