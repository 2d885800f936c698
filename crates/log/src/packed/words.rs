//! The words that have numbers.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::LazyLock;

/// All words, in the order of their numbers. They are part of what is hashed: a line never changes, and none is put
/// before another.
static LIST: &str = include_str!("words.txt");

/// Bytes of the longest word that there may be.
const LONGEST: usize = 64;

/// How many of the words each edition of the list has, from the first on: an edition is what a leaf names. A new one
/// comes with words appended, in a release whose migrations no earlier release opens.
const EDITIONS: &[u16] = &[1020];

/// The prefixes of ids, in the order of their numbers, which never change either.
static PREFIXES: &str = include_str!("prefixes.txt");

/// Words and prefixes by number, and the numbers of both.
pub(crate) struct Words {
    list: Vec<&'static str>,
    numbers: Numbers<u16>,
    prefixes: Vec<&'static str>,
    prefix_numbers: Numbers<u8>,
}

/// A table that is made once of what is ours. Nobody else puts anything into it, so its hash has to be quick alone.
type Numbers<N> = HashMap<&'static str, N, BuildHasherDefault<Fnv>>;

/// FNV-1a over 64 bits.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The words that this build knows.
pub(crate) static WORDS: LazyLock<Words> = LazyLock::new(|| {
    let list: Vec<&str> = LIST.lines().collect();
    let prefixes: Vec<&str> = PREFIXES.lines().collect();
    let numbers = list.iter().zip(0..).map(|(word, number)| (*word, number)).collect();
    let prefix_numbers = prefixes.iter().zip(0..).map(|(prefix, number)| (*prefix, number)).collect();
    Words { list, numbers, prefixes, prefix_numbers }
});

impl Words {
    /// How many there are.
    pub(crate) fn count(&self) -> u16 {
        u16::try_from(self.list.len()).unwrap_or(u16::MAX)
    }

    /// The newest edition.
    pub(crate) const fn edition() -> u64 {
        EDITIONS.len() as u64
    }

    /// How many words an edition has, from 1 on.
    pub(crate) fn known_to(edition: u64) -> Option<u16> {
        EDITIONS.get(usize::try_from(edition.checked_sub(1)?).ok()?).copied()
    }

    pub(crate) fn number(&self, word: &str) -> Option<u16> {
        // A text of somebody's is not hashed to find that it is none.
        if word.len() > LONGEST { None } else { self.numbers.get(word).copied() }
    }

    pub(crate) fn word(&self, number: u16) -> Option<&'static str> {
        self.list.get(usize::from(number)).copied()
    }

    pub(crate) fn prefix_number(&self, prefix: &str) -> Option<u8> {
        self.prefix_numbers.get(prefix).copied()
    }

    pub(crate) fn prefix(&self, number: u8) -> Option<&'static str> {
        self.prefixes.get(usize::from(number)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::{sha256_of, url64};
    use crate::packed::text::push_form;

    #[test]
    fn words_and_prefixes_are_what_they_were() {
        let digest = |list: &str, count: usize| {
            let lines: Vec<&str> = list.lines().take(count).collect();
            url64(&sha256_of(lines.join("\n").as_bytes()))
        };
        // An edition that is appended gets a line of its own here.
        let editions = ["9nA5aSmf3FlwTdzdUwft5lWBdTQgPoZ19ZIN7QxnKU8"];
        for (count, expected) in EDITIONS.iter().zip(editions) {
            assert_eq!(digest(LIST, usize::from(*count)), expected);
        }
        assert_eq!((EDITIONS.len(), EDITIONS.last()), (editions.len(), Some(&WORDS.count())));
        assert_eq!(digest(PREFIXES, PREFIX_COUNT), PREFIX_DIGEST);
        assert_eq!(WORDS.numbers.len(), WORDS.list.len(), "no word twice");
        assert!(WORDS.list.iter().all(|word| !word.is_empty() && word.len() <= LONGEST));
        assert!(WORDS.list.len() < 1 << 15);
        // A long text is never a word: who follows its form needn't look.
        assert!(WORDS.list.iter().all(|word| !push_form(&mut Vec::new(), word, WORDS.count())));
        assert_eq!(WORDS.prefix_numbers.len(), WORDS.prefixes.len());
        assert!(WORDS.prefixes.len() <= 64 && WORDS.prefixes.iter().all(|prefix| prefix.len() == 3));
    }

    const PREFIX_COUNT: usize = 33;
    const PREFIX_DIGEST: &str = "gD3PxfD6RnhnHutME7dfM505WtO5b-1vQ2BGiU5Ydcs";
}
