//! The order in which an agent does things for a task: which action came directly after which (R57).
//!
//! An action is kept by a number of four bytes that its text comes to, so that a pair takes ten with the day of its last
//! use. Two of an agent's few actions have one number once in a thousand million times; an order is then taken for
//! known, and the actions themselves are told apart all the same. Whoever does more in different orders than are kept
//! has none: it is said so, and nothing about orders is new then.

use crate::base::varint::take;

/// Pairs and tasks of one identity that are kept.
pub const MAX_ORDERS: usize = 48;
/// Bytes that they take at most.
pub(super) const MAX_ORDER_BYTES: usize = 1 + MAX_ORDERS * 10;

/// One action directly after another; of a task itself, twice its own number, and the day on which it was met first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pair {
    before: u32,
    after: u32,
    day: u16,
}

/// The orders that an identity is known in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Orders {
    pairs: Vec<Pair>,
    /// Whether there were more than are kept.
    any: bool,
}

/// What the text of an action comes to: FNV-1a of 64 bits, folded. Nobody chooses these texts to make two of them one:
/// they name what a charter was approved for.
pub(super) fn number_of(text: &str) -> u32 {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let [a, b, c, d, e, f, g, h] = hash.to_be_bytes();
    u32::from_be_bytes([a ^ e, b ^ f, c ^ g, d ^ h])
}

impl Orders {
    /// Whether it does too much in too many orders to have any.
    pub(super) const fn has_none(&self) -> bool {
        self.any
    }

    /// Since which day the orders of a task are learnt.
    pub(super) fn began(&self, task: u32) -> Option<u16> {
        self.pairs.iter().find(|pair| (pair.before, pair.after) == (task, task)).map(|pair| pair.day)
    }

    /// Begins to learn the orders of a task.
    pub(super) fn begin(&mut self, task: u32, day: u16) {
        self.learn(task, task, day);
    }

    /// Whether one action is known directly after another; then it is from this day on.
    pub(super) fn refresh(&mut self, before: u32, after: u32, day: u16) -> bool {
        let known = self.pairs.iter_mut().find(|pair| (pair.before, pair.after) == (before, after));
        known.map(|pair| pair.day = pair.day.max(day)).is_some()
    }

    /// Takes an order in.
    pub(super) fn learn(&mut self, before: u32, after: u32, day: u16) {
        if self.any {
            return;
        }
        if self.pairs.len() >= MAX_ORDERS {
            *self = Self { pairs: Vec::new(), any: true };
            return;
        }
        self.pairs.push(Pair { before, after, day });
    }

    /// What is known directly after what, as far as these texts have the numbers.
    pub(super) fn among<'a>(&self, texts: &[&'a str]) -> Vec<(&'a str, &'a str)> {
        let text_of = |number| texts.iter().copied().find(|text| number_of(text) == number);
        let pairs = self.pairs.iter().filter(|pair| pair.before != pair.after);
        pairs.filter_map(|pair| text_of(pair.before).zip(text_of(pair.after))).collect()
    }

    pub(super) fn put(&self, bytes: &mut Vec<u8>) {
        bytes.push(if self.any { u8::MAX } else { u8::try_from(self.pairs.len()).unwrap_or(u8::MAX) });
        for pair in &self.pairs {
            bytes.extend(pair.before.to_be_bytes());
            bytes.extend(pair.after.to_be_bytes());
            bytes.extend(pair.day.to_be_bytes());
        }
    }

    pub(super) fn take(rest: &mut &[u8]) -> Option<Self> {
        let [count] = take(rest)?;
        if count == u8::MAX {
            return Some(Self { pairs: Vec::new(), any: true });
        }
        let mut pairs = Vec::new();
        for _ in 0..count {
            let (before, after) = (u32::from_be_bytes(take(rest)?), u32::from_be_bytes(take(rest)?));
            pairs.push(Pair { before, after, day: u16::from_be_bytes(take(rest)?) });
        }
        (pairs.len() <= MAX_ORDERS).then_some(Self { pairs, any: false })
    }
}
