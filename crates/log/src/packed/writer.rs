//! Writing packed items.

use super::text::push_form;
use super::words::WORDS;

/// The major types of CBOR (RFC 8949 §3.1).
pub(super) const UNSIGNED: u8 = 0;
pub(super) const NEGATIVE: u8 = 1;
pub(super) const BYTES: u8 = 2;
pub(super) const TEXT: u8 = 3;
pub(super) const ARRAY: u8 = 4;
pub(super) const MAP: u8 = 5;
pub(super) const SIMPLE: u8 = 7;

/// Long texts that are remembered; later ones are written in full.
pub(super) const REMEMBERED: usize = 256;
/// Repetitions that are one simple value.
pub(super) const SIMPLE_REPETITIONS: usize = 16;
/// Words that are a simple value of two bytes.
pub(super) const SIMPLE_WORDS: u16 = 224;

/// A container whose number of members isn't known yet.
#[derive(Clone, Copy)]
pub(crate) struct Open(usize);

/// Writes one item.
pub(crate) struct Writer {
    out: Vec<u8>,
    /// What the item is kept under, as a long text.
    about: Vec<u8>,
    /// Where long texts stand in `out`, behind the one of `about`.
    seen: Vec<(usize, usize)>,
    /// How many words count.
    known: u16,
}

impl Writer {
    /// A writer of an item that stands alone, behind `out`. It knows the first `known` words.
    pub(crate) fn new(out: Vec<u8>, known: u16) -> Self {
        Self { out, about: Vec::new(), seen: Vec::new(), known }
    }

    /// A writer of an item that is kept under a text.
    pub(super) fn about(about: &str, out: Vec<u8>) -> Self {
        let known = WORDS.count();
        let mut form = Vec::new();
        push_form(&mut form, about, known);
        Self { out, about: form, seen: Vec::new(), known }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.out
    }

    /// A byte that is no part of the item.
    pub(crate) fn raw(&mut self, byte: u8) {
        self.out.push(byte);
    }

    pub(crate) fn null(&mut self) {
        self.out.push(0xf6);
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        self.out.push(if value { 0xf5 } else { 0xf4 });
    }

    pub(crate) fn unsigned(&mut self, value: u64) {
        self.head(UNSIGNED, value);
    }

    pub(crate) fn signed(&mut self, value: i64) {
        match u64::try_from(value) {
            Ok(value) => self.head(UNSIGNED, value),
            // −1 − n, which two's complement says by its bits turned over.
            Err(_) => self.head(NEGATIVE, !value.cast_unsigned()),
        }
    }

    pub(super) fn float(&mut self, value: f64) {
        self.out.push(0xfb);
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    /// Bytes that stand for no text.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.head(BYTES, bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    pub(crate) fn array(&mut self, count: usize) {
        self.head(ARRAY, count as u64);
    }

    pub(crate) fn map(&mut self, count: usize) {
        self.head(MAP, count as u64);
    }

    /// The name of a member.
    pub(crate) fn key(&mut self, name: &str) {
        match self.word(name) {
            Some(number) => self.unsigned(u64::from(number)),
            None => self.text(name),
        }
    }

    pub(crate) fn text(&mut self, text: &str) {
        match self.word(text) {
            Some(number) if number < SIMPLE_WORDS => {
                self.out.extend_from_slice(&[0xf8, u8::try_from(number + 32).unwrap_or(u8::MAX)]);
            }
            Some(number) => self.bytes(&number.to_be_bytes()),
            None => self.long_or_plain(text),
        }
    }

    fn word(&self, text: &str) -> Option<u16> {
        WORDS.number(text).filter(|number| *number < self.known)
    }

    fn long_or_plain(&mut self, text: &str) {
        let begun = self.out.len();
        // The longest form has 84 bytes: its head is two bytes from 24 on. It is written behind one of one byte, and
        // moved where that is too short.
        self.out.push(0);
        if !push_form(&mut self.out, text, self.known) {
            self.out.truncate(begun);
            self.head(TEXT, text.len() as u64);
            self.out.extend_from_slice(text.as_bytes());
            return;
        }
        let form = self.out.get(begun + 1..).unwrap_or_default();
        if let Some(number) = self.place(form) {
            self.out.truncate(begun);
            self.repetition(number);
            return;
        }
        let length = form.len();
        if self.remembered() < REMEMBERED {
            self.seen.push((begun + 1, length));
        }
        self.set_head(begun, BYTES, length);
    }

    fn remembered(&self) -> usize {
        self.seen.len() + usize::from(!self.about.is_empty())
    }

    fn place(&self, form: &[u8]) -> Option<usize> {
        let own = usize::from(!self.about.is_empty());
        if own == 1 && self.about == form {
            return Some(0);
        }
        let same = |(at, length): &(usize, usize)| self.out.get(*at..*at + *length) == Some(form);
        self.seen.iter().position(same).map(|place| place + own)
    }

    fn repetition(&mut self, number: usize) {
        let byte = u8::try_from(number).unwrap_or(u8::MAX);
        if number < SIMPLE_REPETITIONS {
            self.out.push((SIMPLE << 5) | byte);
        } else {
            self.out.extend_from_slice(&[(BYTES << 5) | 1, byte]);
        }
    }

    /// Begins a container; its end says how many members it has.
    pub(super) fn open(&mut self) -> Open {
        self.out.push(0);
        Open(self.out.len() - 1)
    }

    pub(super) fn close_array(&mut self, open: Open, count: usize) {
        self.set_head(open.0, ARRAY, count);
    }

    pub(super) fn close_map(&mut self, open: Open, count: usize) {
        self.set_head(open.0, MAP, count);
    }

    /// Puts a head in the place of the one byte that was left for it.
    fn set_head(&mut self, at: usize, major: u8, argument: usize) {
        let mut head = Vec::with_capacity(9);
        push_head(&mut head, major, argument as u64);
        let further = head.len() - 1;
        self.out.splice(at..=at, head);
        if further > 0 {
            for (place, _) in &mut self.seen {
                if *place > at {
                    *place += further;
                }
            }
        }
    }

    fn head(&mut self, major: u8, argument: u64) {
        push_head(&mut self.out, major, argument);
    }
}

/// The shortest head of CBOR.
fn push_head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let major = major << 5;
    let [.., c, b, a] = argument.to_be_bytes();
    match argument {
        0..=23 => out.push(major | a),
        24..=0xff => out.extend_from_slice(&[major | 24, a]),
        0x100..=0xffff => out.extend_from_slice(&[major | 25, b, a]),
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend_from_slice(argument.to_be_bytes().get(4..).unwrap_or(&[0, c, b, a]));
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&argument.to_be_bytes());
        }
    }
}
