//! Entry lines without personal values, which most are, read without building anything.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::merkle::Hash;

/// An entry line in its one form that holds no personal value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PlainLine {
    /// The index that the line claims.
    pub(crate) index: u64,
    /// The leaf hash that the line claims, if it does.
    pub(crate) claimed_hash: Option<Hash>,
}

/// Reads a line with its newline, and puts the leaf's bytes behind what is in `leaf`. `None`, with anything behind it, for
/// whatever isn't surely such a line: that is [`super::parse_entry`]'s to judge.
pub(crate) fn plain_line(line: &[u8], leaf: &mut Vec<u8>) -> Option<PlainLine> {
    let mut rest = line.strip_prefix(b"{")?;
    let mut claimed_hash = None;
    if let Some(behind) = rest.strip_prefix(b"\"h\":\"") {
        let (text, behind) = behind.split_at_checked(43)?;
        let mut hash = [0; 32];
        if URL_SAFE_NO_PAD.decode_slice(text, &mut hash).ok()? != hash.len() {
            return None;
        }
        claimed_hash = Some(hash);
        rest = behind.strip_prefix(b"\",")?;
    }
    rest = rest.strip_prefix(b"\"i\":")?;
    let (index, behind) = decimal(rest)?;
    let text = behind.strip_prefix(b",\"leaf\":\"")?.strip_suffix(b"\"}\n")?;
    let start = leaf.len();
    leaf.resize(start + text.len() / 4 * 3 + 3, 0);
    let written = URL_SAFE_NO_PAD.decode_slice(text, leaf.get_mut(start..)?).ok()?;
    leaf.truncate(start + written);
    Some(PlainLine { index, claimed_hash })
}

/// A decimal without leading zeros, and what comes behind it.
fn decimal(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let length = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = bytes.split_at_checked(length)?;
    if digits.is_empty() || (length > 1 && digits.first() == Some(&b'0')) {
        return None;
    }
    let value = digits
        .iter()
        .try_fold(0_u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit.wrapping_sub(b'0'))))?;
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Entry, parse_entry, push_entry};
    use super::*;

    /// Both say the same of the line, but for lines with personal values.
    fn agree(line: &[u8]) -> Result<bool, TestCaseError> {
        let mut leaf = b"before".to_vec();
        let plain = plain_line(line, &mut leaf);
        let parsed = parse_entry(line, &mut Vec::new()).ok();
        let text = String::from_utf8_lossy(line);
        match (&plain, parsed) {
            (Some(plain), Some(Entry { index, claimed_hash, leaf: bytes, personal })) => {
                prop_assert!(personal.is_empty(), "{}", text);
                prop_assert_eq!((plain.index, plain.claimed_hash), (index, claimed_hash));
                prop_assert_eq!(leaf, [b"before".as_slice(), &bytes].concat());
            }
            (None, Some(entry)) => prop_assert!(!entry.personal.is_empty(), "{}", text),
            (None, None) => {}
            (Some(_), None) => prop_assert!(false, "{}", text),
        }
        Ok(plain.is_some())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_line_is_read_as_the_parser_reads_it(
            index in prop_oneof![any::<u64>(), 0..12_u64],
            hash in any::<Option<[u8; 32]>>(),
            leaf in prop::collection::vec(any::<u8>(), 0..40),
            place in any::<prop::sample::Index>(),
            byte in prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\",:\\0123AQg_-=\n ".to_vec())],
            how in 0..4,
        ) {
            let mut line = Vec::new();
            push_entry(&mut line, index, hash.as_ref(), &leaf, &[]);
            prop_assert!(agree(&line)?);
            let at = place.index(line.len());
            match how {
                0 => line[at] = byte,
                1 => line.insert(at, byte),
                2 => drop(line.remove(at)),
                _ => line.truncate(at),
            }
            agree(&line)?;
        }
    }

    #[test]
    fn every_other_writing_is_left_to_the_parser() {
        let refused = [
            "{\"i\":00,\"leaf\":\"\"}\n",
            "{\"i\":18446744073709551616,\"leaf\":\"\"}\n",
            "{\"i\":-1,\"leaf\":\"\"}\n",
            "{\"i\":1,\"leaf\":\"AR\"}\n",
            "{\"i\":1,\"leaf\":\"AQ==\"}\n",
            "{\"i\":1,\"leaf\":\"A\\u0051\"}\n",
            "{\"i\":1,\"leaf\":\"AQ\"}",
            "{\"i\":1,\"leaf\":\"AQ\"}\n\n",
            "{\"i\":1,\"leaf\":\"AQ\",\"personal\":[]}\n",
            "{\"h\":null,\"i\":1,\"leaf\":\"AQ\"}\n",
            "\n",
            "",
        ];
        for line in refused {
            assert!(!agree(line.as_bytes()).unwrap(), "{line}");
        }
        assert!(agree(b"{\"i\":18446744073709551615,\"leaf\":\"\"}\n").unwrap());
    }
}
