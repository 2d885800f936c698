//! Other policy sets than the built-in one, each parsed once a process.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tenure_core::base::problem::FieldProblem;
use tenure_core::policy::{PolicyEngine, PolicyLoader};
use tenure_policy::Loader;

/// Takes the light route away: what the owner or the manager approved needs security.
const STRICTER: &str = r#"
@id("sim-no-light-route")
@control("NHI5:2025")
@doc("Nobody approves alone but security.")
forbid (principal, action == Action::"route_owner_or_manager", resource)
when { context.class == "non_human" };
"#;

/// A set that says more than the built-in one, or the same in other words.
pub fn text(stricter: bool) -> String {
    let more = if stricter { STRICTER } else { "// As it was.\n" };
    format!("{}\n{more}", Loader.default_text())
}

static LOADED: Mutex<BTreeMap<String, Arc<dyn PolicyEngine>>> = Mutex::new(BTreeMap::new());

/// Loads a text once.
#[derive(Debug, Clone, Copy)]
pub struct LoadedOnce;

impl PolicyLoader for LoadedOnce {
    fn default_text(&self) -> &'static str {
        Loader.default_text()
    }

    fn load(&self, text: &str) -> Result<Arc<dyn PolicyEngine>, Vec<FieldProblem>> {
        let mut loaded = LOADED.lock();
        if let Some(engine) = loaded.get(text) {
            return Ok(Arc::clone(engine));
        }
        let engine = Loader.load(text)?;
        loaded.insert(text.to_owned(), Arc::clone(&engine));
        Ok(engine)
    }
}
