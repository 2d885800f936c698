//! Sets of places within a segment.

/// A bit for each place, from the segment's first on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// None of so many places.
    pub(super) fn none(places: u32) -> Self {
        Self(vec![0; places.div_ceil(u64::BITS) as usize])
    }

    /// As they were written, for so many places; what is beyond them is none.
    pub(super) fn read(bytes: &[u8], places: u32) -> Self {
        let mut bits = Self::none(places);
        for (word, bytes) in bits.0.iter_mut().zip(bytes.chunks(8)) {
            let mut whole = [0; 8];
            whole.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = *byte);
            *word = u64::from_le_bytes(whole);
        }
        let beyond = places % u64::BITS;
        if let (Some(last), 1..) = (bits.0.last_mut(), beyond) {
            *last &= (1 << beyond) - 1;
        }
        bits
    }

    /// How many bytes [`Bits::write`] gives for so many places.
    pub(super) const fn bytes(places: u32) -> usize {
        places.div_ceil(u64::BITS) as usize * 8
    }

    /// The bytes that [`Bits::read`] takes.
    pub(super) fn write(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    pub(super) fn set(&mut self, place: u32) {
        if let Some(word) = self.0.get_mut((place / u64::BITS) as usize) {
            *word |= 1 << (place % u64::BITS);
        }
    }

    pub(super) fn has(&self, place: u32) -> bool {
        self.0.get((place / u64::BITS) as usize).is_some_and(|word| word >> (place % u64::BITS) & 1 == 1)
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word |= other);
    }

    pub(super) fn keep(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= other);
    }

    pub(super) fn remove(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= !other);
    }

    pub(super) fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// The places, in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        (0_u32..).step_by(u64::BITS as usize).zip(&self.0).flat_map(|(first, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let next = rest.trailing_zeros();
                (rest != 0).then(|| {
                    rest &= rest - 1;
                    first + next
                })
            })
        })
    }

    /// The places, the last one first.
    pub(super) fn backwards(&self) -> impl Iterator<Item = u32> {
        (0_u32..).step_by(u64::BITS as usize).zip(&self.0).collect::<Vec<_>>().into_iter().rev().flat_map(
            |(first, word)| {
                let mut rest = *word;
                std::iter::from_fn(move || {
                    let next = u64::BITS.wrapping_sub(rest.leading_zeros() + 1);
                    (rest != 0).then(|| {
                        rest ^= 1 << next;
                        first + next
                    })
                })
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn bits(places: u32, set: &BTreeSet<u32>) -> Bits {
        let mut bits = Bits::none(places);
        set.iter().for_each(|place| bits.set(*place));
        bits
    }

    proptest! {
        #[test]
        fn bits_are_a_set(one in proptest::collection::btree_set(0..300_u32, 0..200), other in proptest::collection::btree_set(0..300_u32, 0..200)) {
            let (a, b) = (bits(300, &one), bits(300, &other));
            prop_assert_eq!(a.iter().collect::<Vec<_>>(), one.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(a.backwards().collect::<Vec<_>>(), one.iter().rev().copied().collect::<Vec<_>>());
            prop_assert_eq!(a.count() as usize, one.len());
            prop_assert_eq!(&Bits::read(&a.write(), 300), &a);
            for place in 0..320 {
                prop_assert_eq!(a.has(place), one.contains(&place));
            }
            let changed = |change: fn(&mut Bits, &Bits)| {
                let mut changed = a.clone();
                change(&mut changed, &b);
                changed.iter().collect::<BTreeSet<_>>()
            };
            prop_assert_eq!(changed(Bits::add), &one | &other);
            prop_assert_eq!(changed(Bits::keep), &one & &other);
            prop_assert_eq!(changed(Bits::remove), &one - &other);
        }
    }

    #[test]
    fn what_is_beyond_the_places_is_none() {
        let read = Bits::read(&[0xff; 100], 70);
        assert_eq!((read.count(), read.iter().max()), (70, Some(69)));
        assert_eq!(Bits::read(&[1], 70).iter().collect::<Vec<_>>(), [0]);
    }
}
