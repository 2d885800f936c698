//! What handlers share.

use std::sync::Arc;

use axum::http::Method;
use tenure_engine::Kernel;

use crate::contract::api::Operations;
use crate::limits::admission::Admission;
use crate::limits::attempts::Attempts;
use crate::limits::streams::Streams;
use crate::timings::Timings;

/// What handlers share.
#[derive(Clone)]
pub(crate) struct App {
    pub kernel: Arc<Kernel>,
    /// Sign-ins that were begun lately.
    pub sign_ins: Arc<Attempts>,
    /// Requests under way.
    pub requests: Arc<Admission>,
    /// Streams that are open.
    pub streams: Arc<Streams>,
    /// How long requests took.
    pub timings: Arc<Timings>,
    operations: Arc<Operations>,
}

impl App {
    /// What handlers of one server share, whose addresses take this.
    pub(crate) fn new(kernel: Arc<Kernel>, operations: Operations) -> Self {
        Self {
            kernel,
            sign_ins: Arc::new(Attempts::new()),
            requests: Arc::default(),
            streams: Arc::default(),
            timings: Arc::default(),
            operations: Arc::new(operations),
        }
    }

    /// Whether a route of the management API takes a method that changes something: what it doesn't take is refused
    /// before anything else is said of it.
    pub(crate) fn changes(&self, route: &str, method: &Method) -> bool {
        route.starts_with("/v1/") && !method.is_safe() && self.operations.contains(&(route, method.clone()))
    }
}
