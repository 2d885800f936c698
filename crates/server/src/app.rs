//! What handlers share.

use std::sync::Arc;

use tenure_engine::Kernel;

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
}

impl App {
    /// What handlers of one server share.
    pub(crate) fn new(kernel: Arc<Kernel>) -> Self {
        Self {
            kernel,
            sign_ins: Arc::new(Attempts::new()),
            requests: Arc::default(),
            streams: Arc::default(),
            timings: Arc::default(),
        }
    }
}
