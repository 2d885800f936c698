//! Numbers from the seed: each is a function of what it is for, so that none depends on the order of the others.

/// The next number of a mixed sequence (SplitMix64).
const fn mixed(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The number for a use of a seed.
pub(crate) const fn number(seed: u64, of: u64) -> u64 {
    mixed(mixed(seed) ^ of.wrapping_mul(0xd6e8_feb8_6659_fd93))
}

/// Some 128 bits for a use of a seed.
pub(crate) fn wide(seed: u64, of: u64) -> u128 {
    let first = number(seed, of);
    (u128::from(first) << 64) | u128::from(mixed(first))
}

/// 32 bytes for a use of a seed. They protect nothing but what is made up.
pub(crate) fn bytes(seed: u64, of: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    let mut last = number(seed, of);
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&last.to_le_bytes());
        last = mixed(last);
    }
    bytes
}

/// A sequence of numbers from a seed.
pub(crate) struct Sequence(u64);

impl Sequence {
    /// The sequence for a use of a seed.
    pub(crate) const fn new(seed: u64, of: u64) -> Self {
        Self(number(seed, of))
    }

    /// The next number.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// A number below `n`; 0 of none.
    pub(crate) const fn below(&mut self, n: u64) -> u64 {
        match self.next().checked_rem(n) {
            Some(below) => below,
            None => 0,
        }
    }

    /// One of these.
    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> Option<&'a T> {
        let place = usize::try_from(self.below(from.len() as u64)).ok()?;
        from.get(place).copied()
    }
}
