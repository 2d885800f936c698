//! A non-human identity: its charter, its state, and what suspends and ends it.

pub mod account_grants;
pub mod binding;
mod charter;
mod checker;
mod consumer;
pub mod context;
pub mod deferral;
pub mod delegation;
pub mod grant;
mod kind;
mod kinds;
pub mod naming;
mod narrower;
pub mod place;
mod record;
pub mod right_size;
pub mod scope;
mod state;
pub mod tally;
pub mod template;
mod tier;
pub mod transfer;
mod workload;

pub use charter::{
    AutoRenewal, Charter, CharterDraft, Coverage, CredentialType, DEFAULT_CREDENTIAL_TTL, Hours, MAX_CREDENTIAL_TTL,
    MAX_KEY_LIFE, Parties, RetirementCondition, RevocationTrigger, TrustBoundary, Usage,
};
pub use checker::MAX_ITEMS;
pub use consumer::{ConsumerBinding, MAX_CONSUMER_BINDINGS, Shared};
pub use kind::Kind;
pub use narrower::narrows;
pub use record::{Activation, Identity, Retirement, Struck};
pub use scope::Releaser;
pub use tier::{Ceilings, RiskFacts, RiskTier};
pub use workload::WorkloadBinding;

pub use state::{BadTransition, IdentityState, Step, SuspensionCause, SuspensionKind};
