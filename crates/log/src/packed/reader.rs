//! Reading packed items.

use serde_json::{Map, Number, Value};

use super::form::{MAX_DEPTH, PackedError};
use super::text::{push_form, text_of};
use super::words::WORDS;
use crate::encoding::{push_signed, push_string, push_unsigned};

/// What a head says.
enum Head {
    Unsigned(u64),
    /// −1 − n.
    Negative(u64),
    Bytes(usize),
    Text(usize),
    Array(usize),
    Map(usize),
    /// A simple value of one byte.
    Simple(u8),
    /// A simple value of two bytes.
    Wide(u8),
    Float(f64),
}

/// Reads one item. It takes nothing that says what it holds in more bytes than it has.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// What the item is kept under, as a long text.
    about: Vec<u8>,
    seen: Vec<&'a [u8]>,
    known: u16,
}

impl<'a> Reader<'a> {
    /// A reader of an item that stands alone, whose writer knew the first `known` words.
    pub(crate) const fn new(item: &'a [u8], known: u16) -> Self {
        Self { rest: item, about: Vec::new(), seen: Vec::new(), known }
    }

    /// A reader of an item that is kept under a text.
    pub(super) fn about(about: &str, item: &'a [u8]) -> Self {
        let known = WORDS.count();
        let mut form = Vec::new();
        push_form(&mut form, about, known);
        Self { rest: item, about: form, seen: Vec::new(), known }
    }

    /// That nothing is left.
    pub(crate) const fn end(&self) -> Result<(), PackedError> {
        if self.rest.is_empty() { Ok(()) } else { Err(PackedError::Length) }
    }

    /// The words count that the item begins with, from here on.
    pub(crate) fn know(&mut self, known: u16) {
        self.known = known;
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], PackedError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(PackedError::Length)?;
        self.rest = rest;
        Ok(taken)
    }

    fn number(&mut self, bytes: usize) -> Result<u64, PackedError> {
        Ok(self.take(bytes)?.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    fn head(&mut self) -> Result<Head, PackedError> {
        let first = self.number(1)?;
        let (major, short) = (first >> 5, first & 31);
        if major == 7 {
            return match short {
                0..=23 => Ok(Head::Simple(u8::try_from(short).unwrap_or(u8::MAX))),
                24 => match self.number(1)? {
                    wide @ 32.. => Ok(Head::Wide(u8::try_from(wide).unwrap_or(u8::MAX))),
                    _ => Err(PackedError::Form),
                },
                27 => Ok(Head::Float(f64::from_bits(self.number(8)?))),
                _ => Err(PackedError::Form),
            };
        }
        let argument = match short {
            0..=23 => short,
            24 => self.number(1)?,
            25 => self.number(2)?,
            26 => self.number(4)?,
            27 => self.number(8)?,
            _ => return Err(PackedError::Form),
        };
        // A length says no more than there is, so that nothing is reserved for what isn't.
        let length = usize::try_from(argument).unwrap_or(usize::MAX);
        let within = |length: usize| if length <= self.rest.len() { Ok(length) } else { Err(PackedError::Length) };
        match major {
            0 => Ok(Head::Unsigned(argument)),
            1 => Ok(Head::Negative(argument)),
            2 => Ok(Head::Bytes(within(length)?)),
            3 => Ok(Head::Text(within(length)?)),
            4 => Ok(Head::Array(within(length)?)),
            5 => Ok(Head::Map(within(length)?)),
            _ => Err(PackedError::Form),
        }
    }

    pub(crate) fn unsigned(&mut self) -> Result<u64, PackedError> {
        match self.head()? {
            Head::Unsigned(number) => Ok(number),
            _ => Err(PackedError::Form),
        }
    }

    pub(crate) fn signed(&mut self) -> Result<i64, PackedError> {
        match self.head()? {
            Head::Unsigned(number) => i64::try_from(number).map_err(|_| PackedError::Form),
            Head::Negative(number) => negative(number),
            _ => Err(PackedError::Form),
        }
    }

    /// Bytes that stand for no text.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], PackedError> {
        match self.head()? {
            Head::Bytes(length) => self.take(length),
            _ => Err(PackedError::Form),
        }
    }

    pub(crate) fn array(&mut self) -> Result<usize, PackedError> {
        match self.head()? {
            Head::Array(count) => Ok(count),
            _ => Err(PackedError::Form),
        }
    }

    pub(crate) fn map(&mut self) -> Result<usize, PackedError> {
        match self.head()? {
            Head::Map(count) => Ok(count),
            _ => Err(PackedError::Form),
        }
    }

    pub(crate) fn text(&mut self) -> Result<String, PackedError> {
        let head = self.head()?;
        self.text_of(&head)?.ok_or(PackedError::Form)
    }

    /// The name of a member.
    pub(crate) fn key(&mut self) -> Result<String, PackedError> {
        match self.head()? {
            Head::Unsigned(number) => self.word(number),
            head => self.text_of(&head)?.ok_or(PackedError::Form),
        }
    }

    fn word(&self, number: u64) -> Result<String, PackedError> {
        let number = u16::try_from(number).ok().filter(|number| *number < self.known);
        number.and_then(|number| WORDS.word(number)).map(str::to_owned).ok_or(PackedError::Form)
    }

    /// The text behind a head, if it is one of a text.
    fn text_of(&mut self, head: &Head) -> Result<Option<String>, PackedError> {
        let text = match head {
            Head::Text(length) => {
                let plain = std::str::from_utf8(self.take(*length)?).map_err(|_| PackedError::Form)?;
                plain.to_owned()
            }
            Head::Wide(wide) => self.word(u64::from(*wide) - 32)?,
            Head::Simple(number @ 0..=15) => self.repeated(usize::from(*number))?,
            Head::Bytes(1) => {
                let number = self.number(1)?;
                self.repeated(usize::try_from(number).unwrap_or(usize::MAX))?
            }
            Head::Bytes(2) => {
                let number = self.number(2)?;
                self.word(number)?
            }
            Head::Bytes(length) => {
                let form = self.take(*length)?;
                self.seen.push(form);
                text_of(form, self.known)?
            }
            _ => return Ok(None),
        };
        Ok(Some(text))
    }

    fn repeated(&self, number: usize) -> Result<String, PackedError> {
        let form = match number.checked_sub(usize::from(!self.about.is_empty())) {
            None => Some(self.about.as_slice()),
            Some(place) => self.seen.get(place).copied(),
        };
        text_of(form.ok_or(PackedError::Form)?, self.known)
    }

    /// A value as a tree.
    pub(crate) fn value(&mut self, depth: usize) -> Result<Value, PackedError> {
        let head = self.head()?;
        if let Some(text) = self.text_of(&head)? {
            return Ok(Value::String(text));
        }
        match head {
            Head::Simple(20) => Ok(Value::Bool(false)),
            Head::Simple(21) => Ok(Value::Bool(true)),
            Head::Simple(22) => Ok(Value::Null),
            Head::Unsigned(number) => Ok(Value::from(number)),
            Head::Negative(number) => Ok(Value::from(negative(number)?)),
            Head::Float(number) => Number::from_f64(number).map(Value::Number).ok_or(PackedError::Form),
            Head::Array(count) => {
                let depth = deeper(depth)?;
                (0..count).map(|_| self.value(depth)).collect::<Result<_, _>>().map(Value::Array)
            }
            Head::Map(count) => self.members(count, depth).map(Value::Object),
            _ => Err(PackedError::Form),
        }
    }

    /// The members of a map, whose names have to rise.
    pub(crate) fn members(&mut self, count: usize, depth: usize) -> Result<Map<String, Value>, PackedError> {
        let depth = deeper(depth)?;
        let mut members = Map::new();
        for _ in 0..count {
            let name = self.key()?;
            let value = self.value(depth)?;
            if members.insert(name, value).is_some() {
                return Err(PackedError::Form);
            }
        }
        Ok(members)
    }

    /// A value as JSON, as `serde_json` writes it.
    pub(super) fn json(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<(), PackedError> {
        let head = self.head()?;
        if let Some(text) = self.text_of(&head)? {
            push_string(out, &text);
            return Ok(());
        }
        match head {
            Head::Simple(20) => out.extend_from_slice(b"false"),
            Head::Simple(21) => out.extend_from_slice(b"true"),
            Head::Simple(22) => out.extend_from_slice(b"null"),
            Head::Unsigned(number) => push_unsigned(out, number),
            Head::Negative(number) => push_signed(out, negative(number)?),
            Head::Float(number) => {
                let number = Number::from_f64(number).ok_or(PackedError::Form)?;
                out.extend_from_slice(number.to_string().as_bytes());
            }
            Head::Array(count) => {
                let depth = deeper(depth)?;
                out.push(b'[');
                for n in 0..count {
                    if n > 0 {
                        out.push(b',');
                    }
                    self.json(out, depth)?;
                }
                out.push(b']');
            }
            Head::Map(count) => {
                let depth = deeper(depth)?;
                out.push(b'{');
                for n in 0..count {
                    if n > 0 {
                        out.push(b',');
                    }
                    let name = self.key()?;
                    push_string(out, &name);
                    out.push(b':');
                    self.json(out, depth)?;
                }
                out.push(b'}');
            }
            _ => return Err(PackedError::Form),
        }
        Ok(())
    }
}

fn negative(number: u64) -> Result<i64, PackedError> {
    i64::try_from(number).map(|number| -1 - number).map_err(|_| PackedError::Form)
}

const fn deeper(depth: usize) -> Result<usize, PackedError> {
    if depth < MAX_DEPTH { Ok(depth + 1) } else { Err(PackedError::Depth) }
}
