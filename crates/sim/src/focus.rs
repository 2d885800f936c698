//! Focus: what a run asks most.

use crate::rng::Rng;

/// A sort of what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Focus {
    /// Requests and votes.
    Requests,
    /// Authority that is handed on.
    Delegation,
    /// A source's words.
    Signals,
}

impl Focus {
    /// A roll that comes to it, or to what shows what came of it.
    pub(crate) fn roll(self, rng: &Rng) -> u64 {
        match self {
            Self::Requests => 775 + rng.below(75),
            Self::Delegation if rng.per_mille(400) => 370 + rng.below(270),
            Self::Delegation => 335 + rng.below(35),
            Self::Signals if rng.per_mille(400) => 890 + rng.below(110),
            Self::Signals => 850 + rng.below(40),
        }
    }
}
