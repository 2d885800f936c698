//! Values that must not leak, and values that may leave only after their record is durable.

use std::fmt;

use zeroize::Zeroize;

use crate::base::id::EventId;
use crate::store::port::Committed;

/// A secret: no `Serialize`, no `Display`, a redacted `Debug`, zeroized on drop (invariant 8).
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Wraps a secret value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }
    /// The value, for the one place that needs it.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize + Clone> Clone for Secret<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A credential that was signed but whose issuance is not yet durable (invariant 2).
///
/// [`Pending::release`] with the commit's own proof is the only way out; dropping it zeroizes.
pub struct Pending<T: Zeroize> {
    value: Secret<T>,
    commit: EventId,
}

impl<T: Zeroize> Pending<T> {
    /// Binds a value to the commit that must come first.
    pub const fn new(value: Secret<T>, commit: EventId) -> Self {
        Self { value, commit }
    }

    /// The value, once the very commit that records it is durable. The proof of another commit gives `None`.
    pub fn release(self, committed: &Committed) -> Option<Secret<T>> {
        (committed.id() == self.commit).then_some(self.value)
    }
}

impl<T: Zeroize> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[pending]")
    }
}
