//! States that change along a table and no other way.
//!
//! A record holds an [`InState`]: everybody reads it, and only the record's own transitions, beside its table, change
//! it. So no struct update in a use case sets a state past the table, and a transition comes with the facts that belong
//! to it.

use std::borrow::Cow;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// A table of states.
pub trait StateTable: Copy + Eq {
    /// Where a record begins.
    const INITIAL: Self;
    /// The name in the log and in refusals.
    fn as_str(self) -> &'static str;
    /// Whether the table has this step.
    fn may_become(self, next: Self) -> bool;
}

/// A state of a record that changes along its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InState<S>(S);

impl<S: StateTable> Default for InState<S> {
    fn default() -> Self {
        Self(S::INITIAL)
    }
}

impl<S: StateTable> InState<S> {
    /// The state.
    pub const fn get(self) -> S {
        self.0
    }

    /// Whether the table has this step.
    pub fn may_become(self, next: S) -> bool {
        self.0.may_become(next)
    }

    /// The next state.
    ///
    /// # Errors
    /// The table has no such step.
    pub(crate) fn step(self, next: S) -> Result<Self, BadStep> {
        if self.0.may_become(next) { Ok(Self(next)) } else { Err(BadStep { from: self.0.as_str(), to: next.as_str() }) }
    }

    /// The next state, where only one state leads to it here although the table has others that do.
    ///
    /// # Errors
    /// It is in another state, or the table has no such step.
    pub(crate) fn step_from(self, from: S, next: S) -> Result<Self, BadStep> {
        if self.0 == from { self.step(next) } else { Err(BadStep { from: self.0.as_str(), to: next.as_str() }) }
    }
}

impl<S> Deref for InState<S> {
    type Target = S;
    fn deref(&self) -> &S {
        &self.0
    }
}

impl<S: PartialEq> PartialEq<S> for InState<S> {
    fn eq(&self, state: &S) -> bool {
        self.0 == *state
    }
}

/// In JSON it is the state.
impl<S: JsonSchema> JsonSchema for InState<S> {
    fn inline_schema() -> bool {
        S::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        S::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        S::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        S::json_schema(generator)
    }
}

/// A step that a table of states doesn't have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what is {from} can't become {to}")]
pub struct BadStep {
    /// The state it is in.
    pub from: &'static str,
    /// The state that was asked for.
    pub to: &'static str,
}
