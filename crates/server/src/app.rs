//! What handlers share.

use std::ops::Deref;
use std::sync::Arc;

use axum::http::Method;
use tenure_engine::Kernel;

use crate::contract::api::Operations;
use crate::limits::admission::Admission;
use crate::limits::attempts::Attempts;
use crate::limits::streams::Streams;
use crate::limits::watched::Watched;
use crate::timings::Timings;

/// What handlers share: one pointer, since axum copies it several times for every request.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

/// What [`App`] points at.
pub(crate) struct Shared {
    pub kernel: Arc<Kernel>,
    /// Sign-ins that were begun lately.
    pub sign_ins: Arc<Attempts>,
    /// Requests under way.
    pub requests: Arc<Admission>,
    /// Streams that are open.
    pub streams: Arc<Streams>,
    /// What open pages look at.
    pub watched: Arc<Watched>,
    /// How long requests took.
    pub timings: Arc<Timings>,
    operations: Operations,
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl App {
    /// What handlers of one server share, whose addresses take this.
    pub(crate) fn new(kernel: Arc<Kernel>, operations: Operations) -> Self {
        Self(Arc::new(Shared {
            kernel,
            sign_ins: Arc::new(Attempts::new()),
            requests: Arc::default(),
            streams: Arc::default(),
            watched: Arc::default(),
            timings: Arc::default(),
            operations,
        }))
    }

    /// Whether a route of the management API takes a method that changes something: what it doesn't take is refused
    /// before anything else is said of it.
    pub(crate) fn changes(&self, route: &str, method: &Method) -> bool {
        route.starts_with("/v1/") && !method.is_safe() && self.operations.contains(&(route, method.clone()))
    }
}
