//! Documents: what people look for records by, and the orders in which they want them.
//!
//! A word is found by how it begins, whatever its case: up to its first [`LETTERS`] letters and digits. What is neither
//! letter nor digit parts two words, so that an e-mail address or a URI is found by each of its parts.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::base::time::Timestamp;

/// By how many of its first letters a word is told from others.
pub const LETTERS: usize = 16;

/// What a record is looked for by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document<'a> {
    /// What it is called, or how it is written: it is sorted by this, and found by the words of it.
    pub name: Cow<'a, str>,
    /// What else it is found by.
    pub texts: Vec<Cow<'a, str>>,
    /// When it ends, if it does.
    pub end: Option<Timestamp>,
    /// How much harm it can do: more is more.
    pub risk: u8,
}

impl Document<'_> {
    /// Its words, each once.
    pub fn words(&self) -> BTreeSet<String> {
        let texts = std::iter::once(&self.name).chain(&self.texts);
        texts.flat_map(|text| words(text)).collect()
    }
}

/// The words of a text, each cut to what tells it from others.
pub fn words(text: &str) -> BTreeSet<String> {
    let text = text.to_lowercase();
    let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(|word| word.chars().take(LETTERS).collect()).collect()
}

/// How a word may begin: each prefix of it, the shortest first.
pub fn beginnings(word: &str) -> impl Iterator<Item = &str> {
    let ends = word.char_indices().map(|(start, letter)| start + letter.len_utf8());
    ends.filter_map(|end| word.get(..end))
}

macro_rules! orders {
    ($($(#[$doc:meta])* $variant:ident = $text:literal;)*) => {
        /// By what records are sorted. What is equal by it goes by id.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Order { $($(#[$doc])* $variant,)* }
        impl Order {
            /// Its name in the API.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $text,)* } }
        }
        impl FromStr for Order {
            type Err = ();
            fn from_str(text: &str) -> Result<Self, ()> { match text { $($text => Ok(Self::$variant),)* _ => Err(()) } }
        }
    };
}

orders! {
    /// By its id: those that were made first come first.
    Id = "id";
    /// By its name, whatever its case.
    Name = "name";
    /// By its end; what has none comes last.
    End = "end";
    /// By its risk tier; the lowest first.
    Risk = "risk";
    /// By when it was last used, to the day; what was never used comes first.
    LastUse = "last_use";
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_after_whatever_is_no_letter_or_digit() {
        let of = |text: &str| words(text).into_iter().collect::<Vec<_>>();
        assert_eq!(of("Payments-Batch 007, payments"), ["007", "batch", "payments"]);
        assert_eq!(of("anna.berg@example.com"), ["anna", "berg", "com", "example"]);
        assert_eq!(of("https://api.example/v1"), ["api", "example", "https", "v1"]);
        assert_eq!(of("Straße ÉCOLE 支付"), ["straße", "école", "支付"]);
        assert_eq!(of("abcdefghijklmnopqrst"), ["abcdefghijklmnop"]);
        assert_eq!(of(" -- "), Vec::<String>::new());
    }

    #[test]
    fn a_word_begins_with_each_of_its_prefixes() {
        assert_eq!(beginnings("été").collect::<Vec<_>>(), ["é", "ét", "été"]);
        assert_eq!(beginnings("").count(), 0);
    }

    #[test]
    fn an_order_is_what_it_is_called() {
        for order in [Order::Id, Order::Name, Order::End, Order::Risk, Order::LastUse] {
            assert_eq!(order.to_string().parse(), Ok(order));
        }
        assert_eq!("Name".parse::<Order>(), Err(()));
    }
}
