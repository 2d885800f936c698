//! Why a history can't be made.

use tenure_core::store::port::{Outcome, StoreError};
use tenure_engine::kernel::error::OpError;

/// Why a history can't be made.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The file says something else than a history.
    #[error("the history can't be read: {0}")]
    History(String),
    /// The engine refused what a history is made of: its rules have moved on, and the history has not.
    #[error("the engine doesn't {what}: {detail}")]
    Engine {
        /// What was asked.
        what: String,
        /// Why not: also which fields were wrong.
        detail: String,
        /// The refusal.
        #[source]
        source: Option<OpError>,
    },
    /// A commit of the engine holds something that can't be told anew of another identity.
    #[error("a commit of the engine can't be told of others: {0}")]
    Shape(String),
    /// The store didn't take a commit.
    #[error("the store took the commit {number} as {outcome:?}: {about}")]
    Commit {
        /// Its number.
        number: u64,
        /// What it came to.
        outcome: Box<Outcome>,
        /// What it was about.
        about: String,
    },
    /// The store holds something already.
    #[error("the store is not empty: its log has {0} entries")]
    NotEmpty(u64),
    /// The store can't be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something of the machinery that has no other name.
    #[error("{0}")]
    Other(String),
}

impl SeedError {
    /// What the engine refused.
    pub(crate) fn engine(what: &str, source: OpError) -> Self {
        let detail = match &source {
            OpError::Invalid(fields) => fields
                .iter()
                .map(|field| format!("{} ({}): {}", field.field, field.code, field.hint))
                .collect::<Vec<_>>()
                .join("; "),
            OpError::Refused { answer: Some(answer), .. } => format!("{source}: {:?}", answer.policies()),
            other => other.to_string(),
        };
        Self::Engine { what: what.to_owned(), detail, source: Some(source) }
    }

    /// Something that has to be there is not.
    pub(crate) fn missing(what: &str) -> Self {
        Self::Engine { what: what.to_owned(), detail: "it isn't there".into(), source: None }
    }
}
