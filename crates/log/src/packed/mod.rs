//! The packed form of JSON: CBOR (RFC 8949) with short forms for the texts that records and leaves are full of.
//!
//! Everything but texts is plain CBOR with the shortest heads and definite lengths. JSON has no byte strings, so a byte
//! string always stands for a text, by its first byte:
//!
//! | Content of the byte string | The text |
//! |---|---|
//! | one byte `n` | the `n`-th long text of this item once more; up to 15 it is the simple value `n` instead |
//! | two bytes, big-endian | the word of that number; up to 223 it is the simple value `32 + n` instead |
//! | `00`, the prefix's number, 16 bytes | an id: `idn_` and 26 digits of Crockford's base32 |
//! | `01`, 32 bytes | `sha256:` and 64 hexadecimal digits |
//! | `02`, 32 bytes | the same behind `v2:` |
//! | `03`, 32 bytes | 43 characters of base64url |
//! | `04`, 8 bytes | an RFC 3339 time in UTC with a fraction, as microseconds since 1970 |
//! | `05`, 5 bytes | such a time without one, as seconds since 1970 |
//! | `06`, a word's number, a prefix's number, 16 bytes | the word, and an id behind it: `owner=per_…` |
//! | `07`, a length, that many bytes, a prefix's number, 16 bytes | any other short text, and an id behind it |
//!
//! In the place of a map's key, a word is its number as an unsigned integer. All byte strings but words and repetitions
//! are the item's long texts: each is written once. A text has exactly one writing, the first of these that fits:
//! word, repetition, the forms in the order of the table, plain text.
//!
//! The words are those of `words.txt`, by line, and never change: what comes later is appended. A leaf says of which
//! edition of the list it is.

mod form;
mod reader;
mod scan;
mod text;
mod words;
mod writer;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use self::form::MAX_DEPTH;

pub(crate) use self::reader::Reader;
pub(crate) use self::scan::{Scanned, Scanner};
pub(crate) use self::words::Words;
pub(crate) use self::writer::Writer;

pub use self::form::PackedError;
pub use self::text::{pack_key, unpack_key};

/// What a packed record begins with: no JSON does.
const PACKED: u8 = 0x01;

/// What stands before a record that is kept as it is, where it begins with this or with [`PACKED`] itself.
const PLAIN: u8 = 0x00;

/// Packs a record's JSON, as `serde_json` writes it. `about` is the text that it is kept under, which it needn't
/// repeat. What wouldn't come back byte by byte is kept as it is.
#[must_use]
pub fn pack(json: &[u8], about: &str) -> Vec<u8> {
    if let Some(packed) = packed(json, about).filter(|packed| unpack(packed, about).is_ok_and(|back| back == json)) {
        return packed;
    }
    match json.first() {
        Some(&(PLAIN | PACKED)) => [&[PLAIN], json].concat(),
        _ => json.to_vec(),
    }
}

fn packed(json: &[u8], about: &str) -> Option<Vec<u8>> {
    let mut writer = Writer::about(about, Vec::with_capacity(json.len() / 2));
    writer.raw(PACKED);
    let mut input = serde_json::Deserializer::from_slice(json);
    Item { writer: &mut writer, depth: 0 }.deserialize(&mut input).ok()?;
    input.end().ok()?;
    Some(writer.finish())
}

/// What was packed: the inverse of [`pack`]. JSON of before stands for itself.
///
/// # Errors
/// The bytes are cut, or nothing that [`pack`] makes.
pub fn unpack(bytes: &[u8], about: &str) -> Result<Vec<u8>, PackedError> {
    let item = match bytes.split_first() {
        Some((&PACKED, item)) => item,
        Some((&PLAIN, plain)) => return Ok(plain.to_vec()),
        _ => return Ok(bytes.to_vec()),
    };
    let mut reader = Reader::about(about, item);
    let mut json = Vec::with_capacity(bytes.len().saturating_mul(3));
    reader.json(&mut json, 0)?;
    reader.end()?;
    Ok(json)
}

/// Writes whatever a deserializer of JSON finds.
struct Item<'w> {
    writer: &'w mut Writer,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Item<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.writer.null();
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.writer.boolean(value);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.writer.unsigned(value);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.writer.signed(value);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.writer.float(value);
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.writer.text(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let (writer, depth) = deeper(self)?;
        let open = writer.open();
        let mut count = 0;
        while items.next_element_seed(Item { writer, depth })?.is_some() {
            count += 1;
        }
        writer.close_array(open, count);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let (writer, depth) = deeper(self)?;
        let open = writer.open();
        let mut count = 0;
        while members.next_key_seed(Key { writer })?.is_some() {
            members.next_value_seed(Item { writer, depth })?;
            count += 1;
        }
        writer.close_map(open, count);
        Ok(())
    }
}

fn deeper<'w, E: serde::de::Error>(item: Item<'w>) -> Result<(&'w mut Writer, usize), E> {
    let depth = item.depth + 1;
    if depth > MAX_DEPTH { Err(E::custom("too deep")) } else { Ok((item.writer, depth)) }
}

/// Writes the name of a member.
struct Key<'w> {
    writer: &'w mut Writer,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the name of a member")
    }

    fn visit_str<E>(self, name: &str) -> Result<(), E> {
        self.writer.key(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
