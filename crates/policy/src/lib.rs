//! The policy engine: Cedar behind the port [`tenure_core::policy::PolicyEngine`].
//!
//! A set of policies is text: a schema that says what a question holds and the policies that read it.
//! [`CedarPolicy::load`] refuses a set unless every policy is strictly valid against the schema, so that what
//! can fail when a question is asked is little (an overflow, an entity that is named but not sent). What still
//! fails denies: Cedar itself skips a policy that fails, which would let a failing `forbid` vanish.
//!
//! Deciding is on the path of every token and every use, so whatever depends only on the set is done when it is loaded:
//! names are resolved, each action has its own policies with their scope narrowed to it, and the schema's demands are
//! laid out so that a question is checked without Cedar's copying of types.
//!
//! [`bench`](mod@bench) runs tables of cases against a set, to show what a set does before it is in force. A change
//! from one set to another is shown by [`diff`], [`replay`] and [`analyse`]; [`review`] is all of them for an approver.

mod analysis;
pub mod bench;
mod change;
mod defaults;
mod engine;
mod loader;
mod nesting;
mod plain;
mod problem;
mod question;
mod review;
mod set;
mod shape;

pub use analysis::{Analysis, NewlyAllowed, Solver, Verdict, analyse};
pub use change::{Changed, ChangedPolicy, PolicyDiff, PolicyText, diff, replay};
pub use defaults::{DEFAULT_CASES, DEFAULT_POLICIES, SCHEMA};
pub use engine::CedarPolicy;
pub use loader::Loader;
pub use nesting::{MAX_BRACKETS, MAX_LITERAL, MAX_OPERATORS, MAX_PATTERNS};
pub use plain::{Plain, PlainAnswer, PlainAttributes, PlainEntity, PlainQuestion};
pub use problem::{PolicyProblem, PolicySetError, Source};
pub use review::{PolicyReview, Replay, review};
pub use set::PolicyInfo;
