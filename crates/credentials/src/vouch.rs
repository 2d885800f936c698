//! Tags over what leaves the server and comes back: who brings one shows that the server itself wrote it, and nothing
//! more.

use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};

use crate::encoding::{from_base64url, push_prefixed, to_base64url};
use crate::root::RootKey;

/// Vouches for texts of one use (HMAC-SHA256, RFC 2104, by a key of the root key).
pub struct Vouch(Key);

impl Vouch {
    /// Vouches for this use; a tag for one use is none for another.
    pub fn new(root: &RootKey, label: &str) -> Self {
        Self(Key::new(HMAC_SHA256, root.subkey(label).expose()))
    }

    /// The tag over these parts: 43 characters of base64url.
    pub fn tag(&self, parts: &[&str]) -> String {
        to_base64url(hmac::sign(&self.0, &joined(parts)).as_ref())
    }

    /// Whether a tag is the one over these parts, compared in constant time.
    pub fn holds(&self, parts: &[&str], tag: &str) -> bool {
        from_base64url(tag).is_some_and(|tag| hmac::verify(&self.0, &joined(parts), &tag).is_ok())
    }

    /// A text that a client carries and brings back unread, and that is good together with these parts alone.
    pub fn carried(&self, text: &str, parts: &[&str]) -> String {
        format!("{}.{}", to_base64url(text.as_bytes()), self.tag(&with(text, parts)))
    }

    /// The text that a client brings back, if it was [carried](Self::carried) with these parts.
    pub fn brought_back(&self, carried: &str, parts: &[&str]) -> Option<String> {
        let (text, tag) = carried.split_once('.')?;
        let text = String::from_utf8(from_base64url(text)?).ok()?;
        self.holds(&with(&text, parts), tag).then_some(text)
    }
}

fn with<'a>(text: &'a str, parts: &[&'a str]) -> Vec<&'a str> {
    std::iter::once(text).chain(parts.iter().copied()).collect()
}

/// The parts with their lengths, so that no two lists of parts give the same bytes.
fn joined(parts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        push_prefixed(part.as_bytes(), &mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(byte: &str) -> RootKey {
        RootKey::from_text(&byte.repeat(32)).unwrap()
    }

    #[test]
    fn a_tag_holds_for_its_parts_its_use_and_its_root_key_alone() {
        let vouch = Vouch::new(&root("01"), "a use");
        let tag = vouch.tag(&["ab", "c"]);
        assert_eq!(tag.len(), 43);
        assert!(vouch.holds(&["ab", "c"], &tag));
        for parts in [&["a", "bc"][..], &["abc"], &["ab", "c", ""], &["AB", "c"]] {
            assert!(!vouch.holds(parts, &tag), "{parts:?}");
        }
        assert!(!Vouch::new(&root("01"), "another").holds(&["ab", "c"], &tag));
        assert!(!Vouch::new(&root("02"), "a use").holds(&["ab", "c"], &tag));
        for bad in ["", "x", &tag[1..], &format!("{tag}A")] {
            assert!(!vouch.holds(&["ab", "c"], bad));
        }
    }
}
