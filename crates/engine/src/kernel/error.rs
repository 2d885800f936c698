//! How an operation fails, for its caller and for the log.

use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::base::state::BadStep;
use tenure_core::base::time::Span;
use tenure_core::policy::Answer;
use tenure_core::store::port::StoreError;

/// Why an operation did not do what was asked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpError {
    /// The input is missing something or is wrong: every field at once.
    #[error("the input has {} problem(s), first {:?}", .0.len(), .0.first())]
    Invalid(Vec<FieldProblem>),
    /// Refused for a reason.
    #[error("refused: {reason}")]
    Refused {
        /// Why.
        reason: Reason,
        /// What exactly, where that helps the caller and tells a stranger nothing.
        detail: Option<String>,
        /// The policy's answer, if it was asked.
        answer: Option<Box<Answer>>,
        /// How long it takes until the same may be asked again, where that is known: a budget that is spent has room
        /// then.
        retry_after: Option<Span>,
    },
    /// The caller proved nothing, or nothing that counts.
    #[error("not authenticated: {0}")]
    Unauthenticated(Reason),
    /// There is no such thing, or the caller may not know.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// Something unique is taken.
    #[error("{what} is taken")]
    Taken {
        /// Which field.
        what: &'static str,
    },
    /// The caller's `If-Match` doesn't hold: the record is at this revision now, or isn't there.
    #[error("the record is at another revision now: {0:?}")]
    Stale(Option<u64>),
    /// A change that has to say which revision it is meant for doesn't.
    #[error("the change names no revision")]
    Unconditional,
    /// The same request is being carried out, under the same idempotency key.
    #[error("the same request is being carried out")]
    Repeated,
    /// Set-up has not been done, or was done already.
    #[error("{0}")]
    Setup(&'static str),
    /// The disk is full: only what takes authority away is written (S-16). Nothing was changed.
    #[error("the disk is full: only what takes authority away is written")]
    DiskFull,
    /// The log's index doesn't cover enough of the log yet to answer in time; it is being made.
    #[error("the log's index covers {covered} of {size} entries")]
    IndexBuilding {
        /// Entries that it covers.
        covered: u64,
        /// Entries of the log.
        size: u64,
        /// When to ask again.
        retry_after: Span,
    },
    /// Too many records changed since the index of records was made to answer in time; it is being made.
    #[error("the index of records is being made")]
    SearchBuilding {
        /// When to ask again.
        retry_after: Span,
    },
    /// Can't be done now; nothing was decided.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// A defect or damage: the caller learns only that it happened.
    #[error("internal: {0}")]
    Internal(String),
}

impl OpError {
    /// A refusal for a reason and nothing else.
    pub const fn refused(reason: Reason) -> Self {
        Self::Refused { reason, detail: None, answer: None, retry_after: None }
    }

    /// A refusal with what exactly is refused.
    pub fn because(reason: Reason, detail: impl Into<String>) -> Self {
        Self::Refused { reason, detail: Some(detail.into()), answer: None, retry_after: None }
    }

    /// A refusal by policy.
    pub fn by_policy(reason: Reason, answer: Answer) -> Self {
        Self::Refused { reason, detail: None, answer: Some(Box::new(answer)), retry_after: None }
    }

    /// One wrong field.
    pub fn field(field: &str, code: &str, hint: &str) -> Self {
        Self::Invalid(vec![FieldProblem::new(field, code, hint)])
    }
}

impl From<StoreError> for OpError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) => Self::Unavailable(why),
            StoreError::Tampered(_) | StoreError::BadRow(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<BadStep> for OpError {
    fn from(step: BadStep) -> Self {
        Self::because(Reason::IllegalTransition, step.to_string())
    }
}

impl From<Reason> for OpError {
    fn from(reason: Reason) -> Self {
        Self::refused(reason)
    }
}
