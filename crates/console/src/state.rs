//! States as pages show them: a shape and a word, so that no colour has to be told from another.

use askama::Template;
use tenure_core::finding::{FindingState, Severity};
use tenure_core::identity::{IdentityState, RiskTier};
use tenure_core::request::RequestState;

use crate::markup::Markup;
use crate::text;

/// How a state looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A disc: as it should be.
    Good,
    /// A dashed ring: waits for somebody.
    Wait,
    /// A triangle: look at it.
    Warn,
    /// A diamond: act.
    Bad,
    /// A bar: over.
    Over,
}

impl Shape {
    const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Wait => "wait",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Over => "over",
        }
    }
}

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(source = r#"<span class="state {{ shape.class() }}">{{ word }}</span>"#, ext = "html")]
pub struct State {
    shape: Shape,
    word: String,
}

impl State {
    /// A state with a word of the API or of ours.
    pub fn new(shape: Shape, word: &str) -> Self {
        Self { shape, word: text::plain(word) }
    }
}

impl Markup for State {}

impl From<IdentityState> for State {
    fn from(state: IdentityState) -> Self {
        let shape = match state {
            IdentityState::Active => Shape::Good,
            IdentityState::Discovered | IdentityState::Draft | IdentityState::Pending => Shape::Wait,
            IdentityState::Suspended => Shape::Bad,
            IdentityState::Retiring => Shape::Warn,
            IdentityState::Retired | IdentityState::Closed => Shape::Over,
        };
        Self::new(shape, state.as_str())
    }
}

impl From<RequestState> for State {
    fn from(state: RequestState) -> Self {
        let shape = match state {
            RequestState::Open => Shape::Wait,
            RequestState::Approved | RequestState::Fulfilled => Shape::Good,
            RequestState::Denied => Shape::Bad,
            RequestState::Withdrawn | RequestState::Lapsed => Shape::Over,
        };
        Self::new(shape, state.as_str())
    }
}

impl From<Severity> for State {
    fn from(severity: Severity) -> Self {
        let shape = match severity {
            Severity::Critical | Severity::High => Shape::Bad,
            Severity::Medium => Shape::Warn,
            Severity::Low => Shape::Wait,
        };
        Self::new(shape, severity.as_str())
    }
}

impl From<FindingState> for State {
    fn from(state: FindingState) -> Self {
        match state {
            FindingState::Open => Self::new(Shape::Warn, state.as_str()),
            FindingState::Accepted => Self::new(Shape::Over, state.as_str()),
            FindingState::Resolved => Self::new(Shape::Good, state.as_str()),
        }
    }
}

impl From<RiskTier> for State {
    fn from(tier: RiskTier) -> Self {
        let shape = match tier {
            RiskTier::High => Shape::Bad,
            RiskTier::Medium => Shape::Warn,
            RiskTier::Low => Shape::Good,
        };
        Self::new(shape, tier.as_str())
    }
}
