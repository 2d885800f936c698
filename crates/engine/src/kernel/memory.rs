//! What rooms keep in this process besides the store: each type once, begun empty, known to its room alone.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

/// One value of each type.
#[derive(Default)]
pub(crate) struct Memory(RwLock<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Memory {
    /// The value of a type.
    pub(crate) fn of<T: Any + Default + Send + Sync>(&self) -> Arc<T> {
        let known = self.0.read().get(&TypeId::of::<T>()).cloned();
        let value = known.unwrap_or_else(|| {
            Arc::clone(self.0.write().entry(TypeId::of::<T>()).or_insert_with(|| Arc::new(T::default())))
        });
        // What stands under a type's id is of that type.
        value.downcast().unwrap_or_default()
    }
}
