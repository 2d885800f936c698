//! Packed items as a verifier follows them: whether each is in its one form, without building what it says.
//!
//! Each method follows one thing, and is `None` where it isn't there in its one form, or isn't surely.

use std::borrow::Cow;

use super::form::{BASE64URL, BEFORE_ID, ID, SHA256, SHA256_V2};
use super::text::{push_form, text_of};
use super::words::WORDS;
use super::writer::{
    ARRAY, BYTES, MAP, NEGATIVE, REMEMBERED, SIMPLE, SIMPLE_REPETITIONS, SIMPLE_WORDS, TEXT, UNSIGNED,
};

/// A text, as it is written.
#[derive(Clone, Copy)]
pub(crate) enum Scanned<'a> {
    /// As it is, or as a word.
    Plain(&'a str),
    /// As the form of a long text.
    Form(&'a [u8]),
}

impl<'a> Scanned<'a> {
    /// The text that is meant.
    pub(crate) fn meant(self, known: u16) -> Option<Cow<'a, str>> {
        match self {
            Self::Plain(text) => Some(Cow::Borrowed(text)),
            Self::Form(form) => text_of(form, known).ok().map(Cow::Owned),
        }
    }

    /// Whatever of it somebody may have chosen: the rest is printable ASCII, and never empty.
    pub(crate) fn chosen(self) -> Option<&'a str> {
        match self {
            Self::Plain(text) => Some(text),
            Self::Form([BEFORE_ID, length, rest @ ..]) => {
                rest.get(..usize::from(*length)).and_then(|before| std::str::from_utf8(before).ok())
            }
            Self::Form(_) => None,
        }
    }

    /// Whether this name comes before `later`.
    pub(crate) fn is_before(self, later: Self, known: u16) -> Option<bool> {
        Some(self.meant(known)?.as_bytes() < later.meant(known)?.as_bytes())
    }
}

/// What is left of an item.
pub(crate) struct Scanner<'a> {
    rest: &'a [u8],
    seen: Vec<&'a [u8]>,
    known: u16,
    form: Vec<u8>,
}

impl<'a> Scanner<'a> {
    /// A scanner of an item that stands alone, of which nobody has said yet how many words its writer knew.
    pub(crate) const fn new(item: &'a [u8]) -> Self {
        Self { rest: item, seen: Vec::new(), known: 0, form: Vec::new() }
    }

    /// How many words count from here on.
    pub(crate) const fn know(&mut self, known: u16) {
        self.known = known;
    }

    pub(crate) const fn known(&self) -> u16 {
        self.known
    }

    pub(crate) fn end(&self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn number<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*taken)
    }

    /// The major type and the argument of the shortest head that says both.
    fn head(&mut self) -> Option<(u8, u64)> {
        let [first] = self.number()?;
        let (major, short) = (first >> 5, first & 31);
        let (argument, least) = match short {
            0..=23 => (u64::from(short), 0),
            24 => (u64::from(u8::from_be_bytes(self.number()?)), 24),
            25 if major != SIMPLE => (u64::from(u16::from_be_bytes(self.number()?)), 0x100),
            26 if major != SIMPLE => (u64::from(u32::from_be_bytes(self.number()?)), 0x1_0000),
            27 if major != SIMPLE => (u64::from_be_bytes(self.number()?), 0x1_0000_0000),
            _ => return None,
        };
        (argument >= least).then_some((major, argument))
    }

    fn length(&mut self, wanted: u8) -> Option<usize> {
        let (major, length) = self.head()?;
        usize::try_from(length).ok().filter(|length| major == wanted && *length <= self.rest.len())
    }

    pub(crate) fn array(&mut self) -> Option<usize> {
        self.length(ARRAY)
    }

    pub(crate) fn map(&mut self) -> Option<usize> {
        self.length(MAP)
    }

    pub(crate) fn unsigned(&mut self) -> Option<u64> {
        let (major, number) = self.head()?;
        (major == UNSIGNED).then_some(number)
    }

    pub(crate) fn signed(&mut self) -> Option<i64> {
        let (major, number) = self.head()?;
        let number = i64::try_from(number).ok()?;
        match major {
            UNSIGNED => Some(number),
            NEGATIVE => Some(-1 - number),
            _ => None,
        }
    }

    /// 32 bytes that stand for no text.
    pub(crate) fn hash(&mut self) -> Option<[u8; 32]> {
        if self.length(BYTES)? != 32 {
            return None;
        }
        self.number()
    }

    pub(crate) fn text(&mut self) -> Option<Scanned<'a>> {
        let (major, argument) = self.head()?;
        self.text_behind(major, argument)
    }

    /// The name of a member.
    pub(crate) fn key(&mut self) -> Option<Scanned<'a>> {
        match self.head()? {
            (UNSIGNED, number) => self.word(u16::try_from(number).ok()?),
            (major, argument) => self.text_behind(major, argument),
        }
    }

    fn word(&self, number: u16) -> Option<Scanned<'a>> {
        if number >= self.known { None } else { WORDS.word(number).map(Scanned::Plain) }
    }

    fn is_word(&self, text: &str) -> bool {
        WORDS.number(text).is_some_and(|number| number < self.known)
    }

    fn text_behind(&mut self, major: u8, argument: u64) -> Option<Scanned<'a>> {
        let length = usize::try_from(argument).ok()?;
        match (major, length) {
            (SIMPLE, 0..SIMPLE_REPETITIONS) => self.seen.get(length).map(|form| Scanned::Form(form)),
            (SIMPLE, 32..=255) => self.word(u16::try_from(length - 32).ok()?),
            (BYTES, 1) => {
                let [number] = self.number()?;
                let number = usize::from(number);
                self.seen.get(number).filter(|_| number >= SIMPLE_REPETITIONS).map(|form| Scanned::Form(form))
            }
            (BYTES, 2) => {
                let number = u16::from_be_bytes(self.number()?);
                if number < SIMPLE_WORDS { None } else { self.word(number) }
            }
            (BYTES, _) => {
                let form = self.take(length)?;
                self.form(form)
            }
            (TEXT, _) => {
                let text = std::str::from_utf8(self.take(length)?).ok()?;
                self.plain(text)
            }
            _ => None,
        }
    }

    /// The form of a long text that wasn't written before.
    fn form(&mut self, form: &'a [u8]) -> Option<Scanned<'a>> {
        match form {
            // Whatever these bytes are, they are some text's, and no word's.
            [ID, prefix, id @ ..] if id.len() == 16 && WORDS.prefix(*prefix).is_some() => {}
            [SHA256 | SHA256_V2 | BASE64URL, bytes @ ..] if bytes.len() == 32 => {}
            _ => {
                let text = text_of(form, self.known).ok()?;
                self.form.clear();
                if self.is_word(&text) || !push_form(&mut self.form, &text, self.known) || self.form != form {
                    return None;
                }
            }
        }
        if self.seen.contains(&form) {
            return None;
        }
        if self.seen.len() < REMEMBERED {
            self.seen.push(form);
        }
        Some(Scanned::Form(form))
    }

    /// A text that is no word and has no form.
    fn plain(&mut self, text: &'a str) -> Option<Scanned<'a>> {
        self.form.clear();
        if self.is_word(text) || push_form(&mut self.form, text, self.known) {
            return None;
        }
        Some(Scanned::Plain(text))
    }

    /// The members of an object, whose names rise.
    pub(crate) fn members(&mut self, count: usize, depth: usize, most: usize) -> Option<()> {
        if depth > most {
            return None;
        }
        let mut last: Option<Scanned<'a>> = None;
        for _ in 0..count {
            let name = self.key()?;
            if let Some(before) = last.replace(name)
                && !before.is_before(name, self.known)?
            {
                return None;
            }
            self.value(depth, most)?;
        }
        Some(())
    }

    /// A value without fractions, nested no deeper than `most`.
    fn value(&mut self, depth: usize, most: usize) -> Option<()> {
        match self.head()? {
            (UNSIGNED, _) | (SIMPLE, 20..=22) => Some(()),
            (NEGATIVE, number) => i64::try_from(number).ok().map(drop),
            (ARRAY, count) if depth < most => (0..count).try_for_each(|_| self.value(depth + 1, most)),
            (MAP, count) => self.members(usize::try_from(count).ok()?, depth + 1, most),
            (major, argument) => self.text_behind(major, argument).map(drop),
        }
    }
}
