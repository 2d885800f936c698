//! Loops that run beside each other, each as a task of its own.

use tokio::task::JoinSet;

/// Waits for every loop; what panicked in one of them panics here.
pub(super) async fn all(mut loops: JoinSet<()>) {
    while let Some(ended) = loops.join_next().await {
        if let Err(error) = ended
            && let Ok(panic) = error.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
    }
}
