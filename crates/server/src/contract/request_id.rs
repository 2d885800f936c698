//! Request ids: how a request is found again in the log.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

tokio::task_local! {
    /// The id of the request that is being answered.
    static REQUEST: Arc<str>;
}

/// Answers a request under its id.
pub(crate) fn scope<F: Future>(id: Arc<str>, answer: F) -> impl Future<Output = F::Output> {
    REQUEST.scope(id, answer)
}

/// The id of the request that is being answered, if one is.
pub(crate) fn current() -> Option<String> {
    REQUEST.try_with(|id| id.as_ref().to_owned()).ok()
}

/// An id that no other request has: this process's, and a number.
#[expect(clippy::disallowed_methods, reason = "a name in the log, by which nothing is decided")]
pub(crate) fn fresh() -> String {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{:016x}-{:x}", *PROCESS, NEXT.fetch_add(1, Ordering::Relaxed))
}
