//! Base64, hashing and JSON text shared by the formats of this crate.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Base64url without padding, the form used in leaves, promises and exports.
pub(crate) fn url64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Strict inverse of [`url64`]: no padding, no stray trailing bits.
pub(crate) fn from_url64(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Padded standard base64, the form that C2SP notes use.
pub(crate) fn std64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Strict inverse of [`std64`].
pub(crate) fn from_std64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// SHA-256 over the concatenation of `parts`.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    to_array(context.finish().as_ref())
}

/// SHA-256 of one buffer, which is cheaper than a streaming context.
pub(crate) fn sha256_of(bytes: &[u8]) -> [u8; 32] {
    to_array(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn to_array(digest: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(digest) {
        *to = *from;
    }
    out
}

/// Appends `bytes` as a quoted base64url JSON string.
pub(crate) fn push_hash(out: &mut Vec<u8>, hash: &[u8; 32]) {
    let mut buffer = [0; 44];
    let written = URL_SAFE_NO_PAD.encode_slice(hash, &mut buffer).unwrap_or_default();
    out.push(b'"');
    out.extend_from_slice(buffer.get(..written).unwrap_or_default());
    out.push(b'"');
}

/// Appends `text` as a JSON string with the fewest escapes that JSON allows: quote, backslash and control characters.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut clean_from = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(bytes.get(clean_from..at).unwrap_or_default());
        clean_from = at + 1;
        let short = match byte {
            b'"' | b'\\' => byte,
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            _ => {
                out.extend_from_slice(b"\\u00");
                out.push(hex_digit(byte >> 4));
                out.push(hex_digit(byte & 15));
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
    }
    out.extend_from_slice(bytes.get(clean_from..).unwrap_or_default());
    out.push(b'"');
}

/// Appends a signed decimal integer.
pub(crate) fn push_signed(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    push_unsigned(out, value.unsigned_abs());
}

/// Appends a decimal integer.
pub(crate) fn push_unsigned(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0; 20];
    let mut rest = value;
    let mut length = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + (rest % 10) as u8;
        rest /= 10;
        length += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - length..).unwrap_or_default());
}

/// Parses a decimal without sign or leading zeros, as C2SP texts demand.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

/// Lower-case hexadecimal digit of the low four bits.
pub(crate) fn hex_digit(nibble: u8) -> u8 {
    let nibble = nibble & 15;
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

/// A 32-byte value that is base64url text in JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text32(pub(crate) [u8; 32]);

impl serde::Serialize for Text32 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&url64(&self.0))
    }
}

impl<'de> serde::Deserialize<'de> for Text32 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Text32;
            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("32 bytes as base64url without padding")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Text32, E> {
                let mut out = [0; 32];
                match URL_SAFE_NO_PAD.decode_slice(text, &mut out) {
                    Ok(32) => Ok(Text32(out)),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Other("text"), &self)),
                }
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// A byte string that is base64url text in JSON.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TextBytes(pub(crate) Vec<u8>);

impl serde::Serialize for TextBytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&url64(&self.0))
    }
}

impl<'de> serde::Deserialize<'de> for TextBytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = TextBytes;
            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("bytes as base64url without padding")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<TextBytes, E> {
                from_url64(text)
                    .map(TextBytes)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Other("text"), &self))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}
