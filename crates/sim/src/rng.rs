//! Choices from a seed.

use tenure_core::base::entropy::SeededEntropy;

/// A sequence of choices that the seed determines.
#[derive(Debug)]
pub struct Rng(SeededEntropy);

impl Rng {
    /// The sequence of this seed; `stream` tells sequences of one seed apart.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mixed = SeededEntropy::new(seed ^ stream.wrapping_mul(0xd6e8_feb8_6659_fd93));
        Self(SeededEntropy::new(mixed.next_u64()))
    }

    /// A number below `n`; 0 if `n` is 0.
    pub fn below(&self, n: u64) -> u64 {
        self.0.next_u64().checked_rem(n).unwrap_or(0)
    }

    /// True in so many of a thousand cases.
    pub fn per_mille(&self, n: u64) -> bool {
        self.below(1_000) < n
    }

    /// One of the items.
    pub fn pick<'a, T>(&self, items: &'a [T]) -> Option<&'a T> {
        items.get(usize::try_from(self.below(items.len() as u64)).unwrap_or(0))
    }

    /// Thirty-two bytes.
    pub fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        tenure_core::base::entropy::Entropy::fill(&self.0, &mut bytes);
        bytes
    }
}
