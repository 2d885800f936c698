//! The part of CBOR (RFC 8949) that authenticators speak: the CTAP2 canonical form's types, without floats, tags and
//! indefinite lengths.
//!
//! A key that comes twice in a map is an error rather than a choice. Depth and sizes are bounded before anything is
//! allocated.

/// How deep arrays and maps may nest (CTAP 2.1 §8 allows four).
const MAX_DEPTH: u8 = 4;
/// Items of one array or pairs of one map.
const MAX_ITEMS: u64 = 64;

/// One item. Byte and text strings stay where they are.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item<'a> {
    /// An integer; those beyond 64 bits with sign don't occur and are refused.
    Int(i64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Text.
    Text(&'a str),
    /// An array.
    Array(Vec<Item<'a>>),
    /// A map.
    Map(Vec<(Item<'a>, Item<'a>)>),
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
}

impl<'a> Item<'a> {
    /// The one item that these bytes are.
    pub(super) fn of(mut bytes: &'a [u8]) -> Option<Self> {
        let item = Self::read(&mut bytes)?;
        bytes.is_empty().then_some(item)
    }

    /// Reads one item and moves past it.
    pub(super) fn read(bytes: &mut &'a [u8]) -> Option<Self> {
        read(bytes, MAX_DEPTH)
    }

    /// The value under a key, if this is a map that has it.
    pub(super) fn get(&self, key: &Item<'_>) -> Option<&Item<'a>> {
        match self {
            Self::Map(pairs) => pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The bytes under a key.
    pub(super) fn bytes(&self, key: &Item<'_>) -> Option<&'a [u8]> {
        match self.get(key)? {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The integer under a key.
    pub(super) fn int(&self, key: &Item<'_>) -> Option<i64> {
        match self.get(key)? {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// How many pairs a map has.
    pub(super) fn pairs(&self) -> Option<usize> {
        match self {
            Self::Map(pairs) => Some(pairs.len()),
            _ => None,
        }
    }
}

fn read<'a>(bytes: &mut &'a [u8], depth: u8) -> Option<Item<'a>> {
    let (initial, rest) = bytes.split_first()?;
    *bytes = rest;
    let (major, short) = (initial >> 5, initial & 0x1f);
    if major == 7 {
        return match short {
            20 => Some(Item::Bool(false)),
            21 => Some(Item::Bool(true)),
            22 => Some(Item::Null),
            _ => None,
        };
    }
    let argument = argument(bytes, short)?;
    match major {
        0 => i64::try_from(argument).ok().map(Item::Int),
        1 => i64::try_from(argument).ok().map(|value| Item::Int(-1 - value)),
        2 => take(bytes, argument).map(Item::Bytes),
        3 => std::str::from_utf8(take(bytes, argument)?).ok().map(Item::Text),
        4 => array(bytes, argument, depth.checked_sub(1)?),
        5 => map(bytes, argument, depth.checked_sub(1)?),
        _ => None,
    }
}

fn argument(bytes: &mut &[u8], short: u8) -> Option<u64> {
    let width = match short {
        0..=23 => return Some(u64::from(short)),
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return None,
    };
    let (number, rest) = bytes.split_at_checked(width)?;
    *bytes = rest;
    Some(number.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(taken)
}

fn array<'a>(bytes: &mut &'a [u8], count: u64, depth: u8) -> Option<Item<'a>> {
    if count > MAX_ITEMS {
        return None;
    }
    (0..count).map(|_| read(bytes, depth)).collect::<Option<_>>().map(Item::Array)
}

fn map<'a>(bytes: &mut &'a [u8], count: u64, depth: u8) -> Option<Item<'a>> {
    if count > MAX_ITEMS {
        return None;
    }
    let mut pairs: Vec<(Item<'a>, Item<'a>)> = Vec::new();
    for _ in 0..count {
        let key = read(bytes, depth)?;
        if pairs.iter().any(|(name, _)| *name == key) {
            return None;
        }
        pairs.push((key, read(bytes, depth)?));
    }
    Some(Item::Map(pairs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8949_appendix_a_values() {
        let cases: [(&[u8], Item<'_>); 12] = [
            (&[0x00], Item::Int(0)),
            (&[0x17], Item::Int(23)),
            (&[0x18, 0x18], Item::Int(24)),
            (&[0x1a, 0x00, 0x0f, 0x42, 0x40], Item::Int(1_000_000)),
            (&[0x20], Item::Int(-1)),
            (&[0x39, 0x03, 0xe7], Item::Int(-1000)),
            (&[0x44, 1, 2, 3, 4], Item::Bytes(&[1, 2, 3, 4])),
            (&[0x62, 0xc3, 0xbc], Item::Text("\u{fc}")),
            (&[0xf4], Item::Bool(false)),
            (&[0xf6], Item::Null),
            (&[0x83, 0x01, 0x02, 0x03], Item::Array(vec![Item::Int(1), Item::Int(2), Item::Int(3)])),
            (&[0xa1, 0x01, 0x02], Item::Map(vec![(Item::Int(1), Item::Int(2))])),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Item::of(bytes), Some(expected), "{bytes:x?}");
        }
    }

    #[test]
    fn what_no_authenticator_sends_is_refused() {
        let nested = [0x81, 0x81, 0x81, 0x81, 0x81, 0x00];
        let cases: [&[u8]; 16] = [
            &[],
            &[0x00, 0x00],
            // Twice the same key, the second time written longer.
            &[0xa2, 0x01, 0x02, 0x01, 0x03],
            &[0xa2, 0x01, 0x02, 0x18, 0x01, 0x03],
            // Indefinite lengths, a tag, floats, undefined, a reserved argument.
            &[0x5f, 0x41, 0x00, 0xff],
            &[0x9f, 0xff],
            &[0xbf, 0xff],
            &[0xc0, 0x60],
            &[0xf9, 0x00, 0x00],
            &[0xf7],
            &[0x1c],
            // Lengths that exceed what is there, or what fits.
            &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x62, 0xc3, 0x28],
            &nested,
        ];
        for bytes in cases {
            assert_eq!(Item::of(bytes), None, "{bytes:x?}");
        }
        assert!(Item::of(&nested[1..]).is_some());
    }
}
