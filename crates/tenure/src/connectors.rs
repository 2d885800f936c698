//! The connectors of this build.

use std::sync::Arc;

use tenure_core::target::connector::{Connectors, NoConnectors};

/// Every connector that is built in.
pub fn builtin() -> Arc<dyn Connectors> {
    Arc::new(NoConnectors)
}
