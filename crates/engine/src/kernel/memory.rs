//! What rooms keep in this process besides the store: each type once, begun empty, known to its room alone.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tenure_core::base::time::{Span, Timestamp};

use crate::kernel::error::OpError;

/// How old may be what is told of a whole that takes a while to look through.
pub(crate) const MINUTE: Span = Span::from_secs(60);

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

/// What was told of a whole within the last minute, so that however many ask, it is looked through once a minute: of those
/// who ask at once when it is over, the first one looks, and the others wait for it. Whoever can't wait takes what is at
/// hand ([`Minute::at_hand`]), and a loop keeps that young.
pub(crate) struct Minute<T> {
    last: Mutex<Option<(Timestamp, T)>>,
    looking: tokio::sync::Mutex<()>,
    missed: tokio::sync::Notify,
}

impl<T> Default for Minute<T> {
    fn default() -> Self {
        Self { last: Mutex::default(), looking: tokio::sync::Mutex::default(), missed: tokio::sync::Notify::new() }
    }
}

impl<T: Clone> Minute<T> {
    /// What is told now: made anew by this if it is older than a minute, or of a time that is yet to come.
    pub(crate) async fn at_most_old(
        &self,
        now: Timestamp,
        make: impl AsyncFnOnce(Timestamp) -> Result<T, OpError>,
    ) -> Result<T, OpError> {
        if let Some(known) = self.known(now) {
            return Ok(known);
        }
        let _looking = self.looking.lock().await;
        if let Some(known) = self.known(now) {
            return Ok(known);
        }
        let made = make(now).await?;
        *self.last.lock() = Some((now, made.clone()));
        Ok(made)
    }

    /// What is told now, if there is anything young enough; if not, whoever [keeps it young](Minute::missed) is told.
    pub(crate) fn at_hand(&self, now: Timestamp) -> Option<T> {
        let known = self.known(now);
        if known.is_none() {
            self.missed.notify_one();
        }
        known
    }

    /// Makes it anew, however young what is told may be: those who ask meanwhile are told that.
    pub(crate) async fn renew(
        &self,
        now: Timestamp,
        make: impl AsyncFnOnce(Timestamp) -> Result<T, OpError>,
    ) -> Result<(), OpError> {
        let _looking = self.looking.lock().await;
        let made = make(now).await?;
        *self.last.lock() = Some((now, made));
        Ok(())
    }

    /// Until somebody found nothing young enough at hand.
    pub(crate) async fn missed(&self) {
        self.missed.notified().await;
    }

    fn known(&self, now: Timestamp) -> Option<T> {
        let last = self.last.lock();
        let (_, known) = last.as_ref().filter(|(at, _)| *at <= now && now.since(*at) < MINUTE)?;
        Some(known.clone())
    }
}
