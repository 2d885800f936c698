//! What is read anew at the start and after a conflict: where the log stands, and the policy set in force.

use std::sync::Arc;

use tenure_core::policy::set::{InForce, PolicySet};
use tenure_core::store::port::StoreError;

use crate::kernel::error::OpError;
use crate::kernel::policy::{Current, NotTaken};
use crate::kernel::{Kernel, deployment};

/// Takes the set that the store says is in force, if it is another than before.
///
/// # Errors
/// The store can't be read: then the old one stays, and every enabling commit conflicts.
pub async fn refresh_policy(kernel: &Kernel) -> Result<(), OpError> {
    let row = kernel.store.load(&[InForce::row_key()]).await?.get::<InForce>(0)?;
    if row.as_ref().map(|row| row.revision) == kernel.policy.current.read().basis {
        return Ok(());
    }
    let engine = match &row {
        None => Arc::clone(&kernel.policy.builtin),
        Some(row) => {
            let set = kernel.must::<PolicySet>("policy set", row.policy).await?;
            match kernel.policy.load(&set.text).await {
                Err(OpError::Invalid(problems)) => {
                    tracing::error!(
                        version = set.version,
                        problems = ?problems,
                        "this release doesn't take the policy set in force: only the kernel permits anything, until an administrator proposes `default`"
                    );
                    Arc::new(NotTaken { version: set.version.clone() })
                }
                loaded => loaded?,
            }
        }
    };
    *kernel.policy.current.write() = Current { engine, basis: row.map(|row| row.revision) };
    Ok(())
}

/// Reads where the log stands before anything is decided, and that this root key is the one that the rows were written
/// with.
///
/// # Errors
/// The store can't be read, or its rows carry another root key's MACs.
pub async fn catch_up(kernel: &Kernel) -> Result<(), OpError> {
    kernel.note_committed(kernel.store.head().await?.last_at);
    match deployment::deployment(kernel).await {
        Ok(_) => refresh_policy(kernel).await,
        Err(StoreError::Tampered(key)) => Err(OpError::Unavailable(format!(
            "the row {key} was not written under this root key: use the root key that this database was made with"
        ))),
        Err(other) => Err(other.into()),
    }
}
