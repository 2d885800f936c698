//! The short forms of texts: what a text is, and what it was.

use super::form::{BASE64URL, BEFORE_ID, ID, MICROS, PackedError, SECONDS, SHA256, SHA256_V2, WORD_ID};
use super::words::WORDS;
use crate::encoding::{from_url64, hex_digit, url64};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Digits of an id behind its prefix.
const DIGITS: usize = 26;
/// Bytes of an id's text: a prefix, an underscore and the digits.
const ID_TEXT: usize = 4 + DIGITS;
/// The longest text before an id that has a form.
const MAX_BEFORE: usize = 64;
const MICROS_A_SECOND: i64 = 1_000_000;

/// Writes the form of a text behind `out`; false, and nothing, if it has none. `known` is how many words there are.
pub(super) fn push_form(out: &mut Vec<u8>, text: &str, known: u16) -> bool {
    match text.len() {
        ID_TEXT if push_id(out, &[ID], text) => true,
        43 => push_bytes(out, BASE64URL, from_url64(text)) || push_suffixed(out, text, known),
        71 if text.starts_with("sha256:") => push_bytes(out, SHA256, text.get(7..).and_then(from_hex)),
        74 if text.starts_with("v2:sha256:") => push_bytes(out, SHA256_V2, text.get(10..).and_then(from_hex)),
        20..=27 if text.ends_with('Z') => push_time(out, text),
        length if (ID_TEXT + 1..=ID_TEXT + MAX_BEFORE).contains(&length) => push_suffixed(out, text, known),
        _ => false,
    }
}

/// The text of a form: the inverse of [`push_form`].
pub(super) fn text_of(form: &[u8], known: u16) -> Result<String, PackedError> {
    let (kind, content) = form.split_first().ok_or(PackedError::Form)?;
    let text = match *kind {
        ID => id_text(content),
        BASE64URL if content.len() == 32 => Some(url64(content)),
        SHA256 if content.len() == 32 => Some(hex("sha256:", content)),
        SHA256_V2 if content.len() == 32 => Some(hex("v2:sha256:", content)),
        MICROS => content.try_into().ok().and_then(|bytes| time_text(i64::from_be_bytes(bytes))),
        SECONDS => seconds(content).and_then(|seconds| time_text(seconds.checked_mul(MICROS_A_SECOND)?)),
        WORD_ID => content.split_first_chunk::<2>().and_then(|(number, id)| {
            let number = Some(u16::from_be_bytes(*number)).filter(|number| *number < known)?;
            Some(format!("{}{}", WORDS.word(number)?, id_text(id)?))
        }),
        BEFORE_ID => content.split_first().and_then(|(length, rest)| {
            let (before, id) = rest.split_at_checked(usize::from(*length))?;
            Some(format!("{}{}", std::str::from_utf8(before).ok()?, id_text(id)?))
        }),
        _ => None,
    };
    text.ok_or(PackedError::Form)
}

/// A key as bytes: an id at its end takes 17, the first of which can't stand there in a text; what else it is stands as
/// it is. Keys of ids sort as their texts do.
#[must_use]
pub fn pack_key(key: &str) -> Vec<u8> {
    let (before, id) = key.len().checked_sub(ID_TEXT).and_then(|at| key.split_at_checked(at)).unwrap_or((key, ""));
    let mut out = Vec::with_capacity(before.len() + 17);
    out.extend_from_slice(before.as_bytes());
    match parse_id(id).filter(|_| !before.ends_with(|last: char| last.is_ascii_alphanumeric())) {
        Some((prefix, value)) => {
            // From 0x80 to 0xbf: no character of UTF-8 begins with any of these.
            out.push(prefix | 0x80);
            out.extend_from_slice(&value.to_be_bytes());
        }
        None => out.extend_from_slice(id.as_bytes()),
    }
    out
}

/// The inverse of [`pack_key`]. Bytes that it didn't make give a text that matches nothing.
#[must_use]
pub fn unpack_key(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let packed = bytes.split_last_chunk::<17>().and_then(|(before, [first, id @ ..])| {
        let prefix = WORDS.prefix(first & 0x3f).filter(|_| (0x80..0xc0).contains(first))?;
        Some(format!("{}{}", std::str::from_utf8(before).ok()?, spelled(prefix, u128::from_be_bytes(*id))))
    });
    packed.unwrap_or_else(|| String::from_utf8_lossy(bytes).into_owned())
}

fn push_id(out: &mut Vec<u8>, before: &[u8], text: &str) -> bool {
    let Some((prefix, value)) = parse_id(text) else { return false };
    out.extend_from_slice(before);
    out.push(prefix);
    out.extend_from_slice(&value.to_be_bytes());
    true
}

fn parse_id(text: &str) -> Option<(u8, u128)> {
    let (prefix, digits) = text.split_at_checked(3)?;
    let number = WORDS.prefix_number(prefix)?;
    let digits = digits.strip_prefix('_').filter(|digits| digits.len() == DIGITS)?;
    // 26 digits hold 130 bits: the first may carry only three. Half of the digits are a word of the machine's each.
    let (high, low) = digits.as_bytes().split_at_checked(DIGITS / 2)?;
    if high.first().is_none_or(|first| *first > b'7') {
        return None;
    }
    let (middle, low) = low.split_first()?;
    let value = (u128::from(bits_of(high)?) << 65) | (u128::from(digit(*middle)?) << 60) | u128::from(bits_of(low)?);
    Some((number, value))
}

/// What digits stand for: 13 of them at most, the first of which with three bits.
fn bits_of(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |bits, byte| Some((bits << 5) | u64::from(digit(*byte)?)))
}

/// The digit that each byte stands for; 255 if it stands for none.
#[expect(clippy::indexing_slicing, reason = "in a constant the compiler checks every index")]
const DIGIT: [u8; 256] = {
    let mut digits = [u8::MAX; 256];
    let mut digit = 0;
    while digit < ALPHABET.len() {
        digits[ALPHABET[digit] as usize] = digit as u8;
        digit += 1;
    }
    digits
};

fn digit(byte: u8) -> Option<u8> {
    DIGIT.get(usize::from(byte)).copied().filter(|digit| *digit < 32)
}

fn id_text(content: &[u8]) -> Option<String> {
    let (prefix, id) = content.split_first()?;
    Some(spelled(WORDS.prefix(*prefix)?, u128::from_be_bytes(id.try_into().ok()?)))
}

fn spelled(prefix: &str, value: u128) -> String {
    let mut text = String::with_capacity(ID_TEXT);
    text.push_str(prefix);
    text.push('_');
    let mut digits = [b'0'; DIGITS];
    let (high, rest) = digits.split_at_mut(DIGITS / 2);
    spell(high, (value >> 65) as u64);
    if let Some((middle, low)) = rest.split_first_mut() {
        spell(std::slice::from_mut(middle), (value >> 60) as u64 & 31);
        spell(low, value as u64);
    }
    text.push_str(std::str::from_utf8(&digits).unwrap_or_default());
    text
}

/// The digits of the lowest bits.
fn spell(digits: &mut [u8], mut bits: u64) {
    for slot in digits.iter_mut().rev() {
        *slot = ALPHABET.get((bits & 31) as usize).copied().unwrap_or(b'0');
        bits >>= 5;
    }
}

/// A text whose last 30 bytes are an id, behind something that can't belong to it.
fn push_suffixed(out: &mut Vec<u8>, text: &str, known: u16) -> bool {
    let Some((before, id)) = text.len().checked_sub(ID_TEXT).and_then(|at| text.split_at_checked(at)) else {
        return false;
    };
    if before.ends_with(|last: char| last.is_ascii_alphanumeric()) {
        return false;
    }
    if let Some(number) = WORDS.number(before).filter(|number| *number < known) {
        let [high, low] = number.to_be_bytes();
        return push_id(out, &[WORD_ID, high, low], id);
    }
    let Some(length) = u8::try_from(before.len()).ok().filter(|length| usize::from(*length) <= MAX_BEFORE) else {
        return false;
    };
    let begun = out.len();
    out.extend_from_slice(&[BEFORE_ID, length]);
    out.extend_from_slice(before.as_bytes());
    let pushed = push_id(out, &[], id);
    if !pushed {
        out.truncate(begun);
    }
    pushed
}

fn push_bytes(out: &mut Vec<u8>, kind: u8, bytes: Option<Vec<u8>>) -> bool {
    let Some(bytes) = bytes.filter(|bytes| bytes.len() == 32) else { return false };
    out.push(kind);
    out.extend_from_slice(&bytes);
    true
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let nibble = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some((nibble(*high)? << 4) | nibble(*low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

fn hex(before: &str, bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [hex_digit(byte >> 4), hex_digit(*byte)]);
    before.chars().chain(digits.map(char::from)).collect()
}

fn push_time(out: &mut Vec<u8>, text: &str) -> bool {
    let Some(micros) = micros_of(text).filter(|micros| time_text(*micros).as_deref() == Some(text)) else {
        return false;
    };
    if micros % MICROS_A_SECOND == 0 {
        let [_, _, _, seconds @ ..] = (micros / MICROS_A_SECOND).to_be_bytes();
        out.push(SECONDS);
        out.extend_from_slice(&seconds);
    } else {
        out.push(MICROS);
        out.extend_from_slice(&micros.to_be_bytes());
    }
    true
}

/// Five bytes of a signed number.
fn seconds(content: &[u8]) -> Option<i64> {
    let bytes: [u8; 5] = content.try_into().ok()?;
    let fill = if bytes.first().is_some_and(|first| *first >= 0x80) { 0xff } else { 0 };
    let [a, b, c, d, e] = bytes;
    Some(i64::from_be_bytes([fill, fill, fill, a, b, c, d, e]))
}

/// Microseconds since 1970 of a time that [`time_text`] may have written.
fn micros_of(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse::<i64>().ok() } else { None }
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let fraction = match text.len() {
        20 => 0,
        length => number(20, length - 1)? * 10_i64.pow(u32::try_from(27_usize.checked_sub(length)?).ok()?),
    };
    let seconds = ((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    seconds.checked_mul(MICROS_A_SECOND)?.checked_add(fraction)
}

/// An RFC 3339 time in UTC, its fraction as short as it can be: as every record and leaf of Tenure writes it.
fn time_text(micros: i64) -> Option<String> {
    let (seconds, fraction) = (micros.div_euclid(MICROS_A_SECOND), micros.rem_euclid(MICROS_A_SECOND));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date_of(days);
    if !(0..=9999).contains(&year) {
        return None;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if fraction > 0 {
        let digits = format!(".{fraction:06}");
        text.push_str(digits.trim_end_matches('0'));
    }
    text.push('Z');
    Some(text)
}

/// Days since 1970 of a date of the Gregorian calendar, in eras of 400 years that begin in March.
const fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of [`days_of`].
const fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + if month <= 2 { 1 } else { 0 }, month, day)
}
