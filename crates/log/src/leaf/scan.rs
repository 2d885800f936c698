//! Leaves as a verifier reads them: whether the bytes are a leaf in its one form, when it was, and what it commits to.
//!
//! [`Leaf::parse`] builds the leaf and encodes it again to see whether the bytes are its one form. Here the form itself is
//! followed in one pass, without building anything. Whatever this pass doesn't follow to the end
//! is [`Leaf::parse`]'s to judge and to name; what it does follow, [`Leaf::parse`] accepts.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Leaf, LeafError, MAX_DATA_DEPTH, MAX_LEAF_BYTES, MAX_NAME_BYTES, PACKED, check_name};
use crate::merkle::Hash;
use crate::packed::{self, Scanner, Words};

/// What a verifier wants to know of a leaf.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scanned<'a> {
    /// Commit time in microseconds since 1970-01-01T00:00:00Z.
    pub(crate) at: i64,
    /// Commitments to personal values by field name, in the order of the names.
    pub(crate) personal: Vec<(Cow<'a, str>, Hash)>,
}

/// Reads leaf bytes of any version and refuses what [`Leaf::parse`] refuses.
///
/// # Errors
/// Those of [`Leaf::parse`].
pub(crate) fn scan(bytes: &[u8]) -> Result<Scanned<'_>, LeafError> {
    let followed = match bytes.first() {
        Some(b'{') => scan_json(bytes),
        Some(&PACKED) => scan_packed(bytes),
        _ => None,
    };
    match followed {
        Some(scanned) => Ok(scanned),
        None => Leaf::parse(bytes).map(|leaf| Scanned {
            at: leaf.at,
            personal: leaf.personal.into_iter().map(|(field, commitment)| (Cow::Owned(field), commitment)).collect(),
        }),
    }
}

/// Follows the form of version 1; `None` for whatever isn't surely in it.
fn scan_json(bytes: &[u8]) -> Option<Scanned<'_>> {
    // Beyond this, bytes of 0x80 and above need no thought: they stand inside strings, and are characters.
    if bytes.len() > MAX_LEAF_BYTES || std::str::from_utf8(bytes).is_err() {
        return None;
    }
    let mut form = Form { rest: bytes };
    form.literal(b"{\"actor\":{\"id\":")?;
    if form.rest.starts_with(b"\"\"") {
        form.literal(b"\"\"")?;
    } else {
        form.name()?;
    }
    form.literal(b",\"type\":")?;
    form.name()?;
    form.literal(b"},\"at\":")?;
    let at = form.signed()?;
    form.literal(b",\"control\":")?;
    form.name()?;
    form.literal(b",\"data\":")?;
    form.object(1)?;
    form.literal(b",\"id\":")?;
    form.name()?;
    form.literal(b",\"kind\":")?;
    form.name()?;
    form.literal(b",\"personal\":")?;
    let personal = form.personal()?;
    form.literal(b",\"rows\":")?;
    form.items(b'[', b']', |form| {
        form.literal(b"[")?;
        form.name()?;
        form.literal(b",")?;
        form.name()?;
        form.literal(b",")?;
        form.unsigned()?;
        form.literal(b",")?;
        form.hash()?;
        form.literal(b"]")
    })?;
    form.literal(b",\"subjects\":")?;
    form.items(b'[', b']', |form| form.name().map(|_| ()))?;
    form.literal(b",\"v\":1}")?;
    form.rest.is_empty().then_some(Scanned { at, personal })
}

/// Follows the form of version 2; `None` for whatever isn't surely in it.
fn scan_packed(bytes: &[u8]) -> Option<Scanned<'_>> {
    let (_, item) = bytes.split_first().filter(|_| bytes.len() <= MAX_LEAF_BYTES)?;
    let mut item = Scanner::new(item);
    if item.array()? != 11 {
        return None;
    }
    let edition = item.unsigned()?;
    item.know(Words::known_to(edition)?);
    let at = item.signed()?;
    // The control point, the kind, the id and the sort of actor.
    for _ in 0..4 {
        packed_name(item.text()?)?;
    }
    match item.text()? {
        packed::Scanned::Plain("") => {}
        actor => packed_name(actor)?,
    }
    for _ in 0..item.array()? {
        packed_name(item.text()?)?;
    }
    for _ in 0..item.array()? {
        if item.array()? != 4 {
            return None;
        }
        packed_name(item.text()?)?;
        packed_name(item.text()?)?;
        item.unsigned()?;
        item.hash()?;
    }
    let facts = item.map()?;
    item.members(facts, 1, MAX_DATA_DEPTH)?;
    let mut personal: Vec<(Cow<'_, str>, Hash)> = Vec::new();
    let mut last: Option<packed::Scanned<'_>> = None;
    for _ in 0..item.map()? {
        let field = item.key()?;
        packed_name(field)?;
        if let Some(before) = last.replace(field)
            && !before.is_before(field, item.known())?
        {
            return None;
        }
        personal.push((field.meant(item.known())?, item.hash()?));
    }
    item.end()?;
    Some(Scanned { at, personal })
}

/// That `check_name` lets a text pass.
fn packed_name(text: packed::Scanned<'_>) -> Option<()> {
    match (text, text.chosen()) {
        (packed::Scanned::Plain(text), _) => check_name("", text).ok(),
        // What stands before an id may be nothing, or anything.
        (packed::Scanned::Form(_), Some(before)) if before.chars().any(char::is_control) => None,
        (packed::Scanned::Form(_), _) => Some(()),
    }
}

/// A string between its quotes, as it is written.
#[derive(Clone, Copy)]
struct Written<'a> {
    bytes: &'a [u8],
    escaped: bool,
}

impl<'a> Written<'a> {
    /// The string that is meant. Only for bytes that [`Form::string`] followed.
    fn meant(self) -> Option<Cow<'a, str>> {
        let text = std::str::from_utf8(self.bytes).ok()?;
        if !self.escaped {
            return Some(Cow::Borrowed(text));
        }
        let mut meant = String::with_capacity(text.len());
        let mut parts = text.chars();
        while let Some(character) = parts.next() {
            meant.push(match character {
                '\\' => match parts.next()? {
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'u' => {
                        let digits: String = parts.by_ref().take(4).collect();
                        char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?
                    }
                    itself => itself,
                },
                plain => plain,
            });
        }
        Some(Cow::Owned(meant))
    }

    /// Whether this key comes before `later`; no object holds one key twice.
    fn is_before(self, later: Self) -> Option<bool> {
        if self.escaped || later.escaped {
            return Some(self.meant()?.as_bytes() < later.meant()?.as_bytes());
        }
        Some(self.bytes < later.bytes)
    }
}

/// What is left of the bytes. Each method follows one thing; `None` where it isn't there in its one form.
struct Form<'a> {
    rest: &'a [u8],
}

impl<'a> Form<'a> {
    /// By its length known beforehand, so that it is compared in words.
    fn literal<const LENGTH: usize>(&mut self, expected: &[u8; LENGTH]) -> Option<()> {
        let (found, rest) = self.rest.split_first_chunk::<LENGTH>()?;
        if found != expected {
            return None;
        }
        self.rest = rest;
        Some(())
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    /// Things between two brackets, separated by commas.
    fn items(&mut self, open: u8, close: u8, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.literal(&[open])?;
        if self.literal(&[close]).is_some() {
            return Some(());
        }
        loop {
            item(self)?;
            if self.literal(b",").is_none() {
                return self.literal(&[close]);
            }
        }
    }

    /// A string with the fewest escapes that JSON allows.
    fn string(&mut self) -> Option<Written<'a>> {
        self.literal(b"\"")?;
        let all = self.rest;
        let mut escaped = false;
        loop {
            self.take(plain_bytes::<false>(self.rest))?;
            let ended = all.len() - self.rest.len();
            let (special, rest) = self.rest.split_first()?;
            self.rest = rest;
            match special {
                b'"' => return Some(Written { bytes: all.get(..ended)?, escaped }),
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return None,
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Option<()> {
        let (kind, rest) = self.rest.split_first()?;
        self.rest = rest;
        match kind {
            b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => match self.take(4)? {
                // The others have a short form.
                [b'0', b'0', b'0', b'0'..=b'7' | b'b' | b'e' | b'f']
                | [b'0', b'0', b'1', b'0'..=b'9' | b'a'..=b'f'] => Some(()),
                _ => None,
            },
            _ => None,
        }
    }

    /// A string that `check_name` lets pass.
    fn name(&mut self) -> Option<Written<'a>> {
        let inside = self.rest.strip_prefix(b"\"")?;
        let length = plain_bytes::<true>(inside);
        if inside.get(length) == Some(&b'"') {
            let (bytes, rest) = inside.split_at_checked(length)?;
            self.rest = rest.get(1..)?;
            return (1..=MAX_NAME_BYTES).contains(&length).then_some(Written { bytes, escaped: false });
        }
        let written = self.string()?;
        check_name("", &written.meant()?).ok()?;
        Some(written)
    }

    /// A decimal without leading zeros.
    fn unsigned(&mut self) -> Option<u64> {
        let length = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let digits = self.take(length)?;
        if digits.is_empty() || (length > 1 && digits.first() == Some(&b'0')) {
            return None;
        }
        digits
            .iter()
            .try_fold(0_u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit.wrapping_sub(b'0'))))
    }

    fn signed(&mut self) -> Option<i64> {
        if self.literal(b"-").is_none() {
            return i64::try_from(self.unsigned()?).ok();
        }
        // There is no -0.
        0_i64.checked_sub_unsigned(self.unsigned()?).filter(|value| *value != 0)
    }

    fn hash(&mut self) -> Option<Hash> {
        self.literal(b"\"")?;
        let mut hash = [0; 32];
        let written = URL_SAFE_NO_PAD.decode_slice(self.take(43)?, &mut hash).ok()?;
        self.literal(b"\"")?;
        (written == hash.len()).then_some(hash)
    }

    fn personal(&mut self) -> Option<Vec<(Cow<'a, str>, Hash)>> {
        let mut personal = Vec::new();
        let mut last = None;
        self.items(b'{', b'}', |form| {
            let field = form.name()?;
            form.follows(&mut last, field)?;
            form.literal(b":")?;
            personal.push((field.meant()?, form.hash()?));
            Some(())
        })?;
        Some(personal)
    }

    fn follows(&self, last: &mut Option<Written<'a>>, key: Written<'a>) -> Option<()> {
        let first = last.replace(key);
        match first {
            Some(before) if !before.is_before(key)? => None,
            _ => Some(()),
        }
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        if depth > MAX_DATA_DEPTH {
            return None;
        }
        let mut last = None;
        self.items(b'{', b'}', |form| {
            let key = form.string()?;
            // serde_json gives keys of its own a meaning, according to what it was built with.
            if key.bytes.starts_with(b"$serde_json") {
                return None;
            }
            form.follows(&mut last, key)?;
            form.literal(b":")?;
            form.value(depth)
        })
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        match self.rest.first()? {
            b'"' => self.string().map(|_| ()),
            b'-' => self.signed().map(|_| ()),
            b'0'..=b'9' => self.unsigned().map(|_| ()),
            b'{' => self.object(depth + 1),
            b'[' if depth >= MAX_DATA_DEPTH => None,
            b'[' => self.items(b'[', b']', |form| form.value(depth + 1)),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            _ => self.literal(b"null"),
        }
    }
}

/// How many bytes from the start on are neither a quote, a backslash nor a control character of ASCII; for `NAME`, nor
/// above ASCII.
fn plain_bytes<const NAME: bool>(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    let mut plain = 0;
    for word in words {
        let special = special_bytes::<NAME>(u64::from_le_bytes(*word));
        if special != 0 {
            return plain + special.trailing_zeros() as usize / 8;
        }
        plain += 8;
    }
    let tail = bytes.get(plain..).unwrap_or_default();
    plain + tail.iter().take_while(|byte| !is_special::<NAME>(**byte)).count()
}

const fn is_special<const NAME: bool>(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\' || (NAME && byte >= 0x7f)
}

/// Eight bytes at once: the lowest bit that is set is the highest one of the first byte that is special. Bits above it say
/// nothing, since a borrow runs upwards.
const fn special_bytes<const NAME: bool>(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const fn below(word: u64, bound: u64) -> u64 {
        word.wrapping_sub(ONES * bound) & !word & HIGH
    }
    let found = below(word, 0x20) | below(word ^ (ONES * b'"' as u64), 1) | below(word ^ (ONES * b'\\' as u64), 1);
    if NAME { found | below(word ^ (ONES * 0x7f), 1) | (word & HIGH) } else { found }
}

#[cfg(test)]
mod tests;
