//! Keys of indexes: what hides which subjects and words they name, and what shows that a segment is ours.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key, Tag};

use crate::root::RootKey;

/// Bytes of a MAC.
pub const MAC_BYTES: usize = 32;
/// Bytes of the key of terms: with it, a class and an id, one block of SHA-256 is full.
const TERM_KEY: usize = 16;

/// The keys that a root key gives.
pub struct IndexKeys {
    terms: [u8; TERM_KEY],
    segments: Key,
}

impl IndexKeys {
    /// The keys of a deployment for the index of its log.
    pub fn of_log(root: &RootKey) -> Self {
        Self::new(root, "log index terms", "log index segments")
    }

    /// The keys of a deployment for the index of its records.
    pub fn of_search(root: &RootKey) -> Self {
        Self::new(root, "search terms", "search segments")
    }

    fn new(root: &RootKey, terms_label: &str, segments_label: &str) -> Self {
        let mut terms = [0; TERM_KEY];
        for (slot, byte) in terms.iter_mut().zip(root.subkey(terms_label).expose()) {
            *slot = *byte;
        }
        Self { terms, segments: Key::new(HMAC_SHA256, root.subkey(segments_label).expose()) }
    }

    /// The number of a term: the same for the same class and subject, below 2^63, and to be foretold by nobody without
    /// the key. Two terms that share a number cost a look at an entry that is neither's.
    pub fn term(&self, class: u8, subject: &str) -> u64 {
        let mut input = Vec::with_capacity(TERM_KEY + 1 + subject.len());
        input.extend_from_slice(&self.terms);
        input.push(class);
        input.extend_from_slice(subject.as_bytes());
        let first = digest(&SHA256, &input).as_ref().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        first >> 1
    }

    /// A segment's header with its MAC.
    pub fn seal_header(&self, mut header: Vec<u8>) -> Vec<u8> {
        let mac = self.mac(b"header", 0, 0, &header);
        header.extend_from_slice(mac.as_ref());
        header
    }

    /// The header that was sealed so; `None` if these bytes are none.
    pub fn open_header<'a>(&self, sealed: &'a [u8]) -> Option<&'a [u8]> {
        self.open(b"header", 0, 0, sealed)
    }

    /// The page `number` of a build with its MAC.
    pub fn seal_page(&self, build: u64, number: u32, mut page: Vec<u8>) -> Vec<u8> {
        let mac = self.mac(b"page", build, number, &page);
        page.extend_from_slice(mac.as_ref());
        page
    }

    /// The page that was sealed so; `None` if these bytes are not that page.
    pub fn open_page<'a>(&self, build: u64, number: u32, sealed: &'a [u8]) -> Option<&'a [u8]> {
        self.open(b"page", build, number, sealed)
    }

    fn open<'a>(&self, what: &[u8], build: u64, number: u32, sealed: &'a [u8]) -> Option<&'a [u8]> {
        let (bytes, mac) = sealed.split_last_chunk::<MAC_BYTES>()?;
        verify_slices_are_equal(self.mac(what, build, number, bytes).as_ref(), mac).ok()?;
        Some(bytes)
    }

    fn mac(&self, what: &[u8], build: u64, number: u32, bytes: &[u8]) -> Tag {
        // No word begins another one, and the numbers have a fixed length.
        let mut context = Context::with_key(&self.segments);
        context.update(what);
        context.update(&build.to_be_bytes());
        context.update(&number.to_be_bytes());
        context.update(bytes);
        context.sign()
    }
}

impl fmt::Debug for IndexKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IndexKeys([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(hex: &str) -> IndexKeys {
        IndexKeys::of_log(&RootKey::from_text(&hex.repeat(64)).unwrap())
    }

    #[test]
    fn a_term_is_of_one_class_and_subject_under_one_key() {
        let base = keys("1").term(1, "idn_1");
        assert_eq!(base, keys("1").term(1, "idn_1"));
        assert!(
            [keys("1").term(2, "idn_1"), keys("1").term(1, "idn_2"), keys("2").term(1, "idn_1")]
                .iter()
                .all(|other| *other != base)
        );
        assert!(base < 1 << 63);
    }

    #[test]
    fn a_page_is_one_of_one_build_and_no_header() {
        let page = keys("1").seal_page(7, 2, b"postings".to_vec());
        assert_eq!(keys("1").open_page(7, 2, &page), Some(b"postings".as_slice()));
        let others =
            [keys("1").open_page(8, 2, &page), keys("1").open_page(7, 3, &page), keys("2").open_page(7, 2, &page)];
        assert!(others.iter().all(Option::is_none));
        assert_eq!(keys("1").open_header(&page), None);
        let header = keys("1").seal_header(b"header".to_vec());
        assert_eq!(keys("1").open_header(&header), Some(b"header".as_slice()));
        for place in 0..page.len() {
            let mut altered = page.clone();
            altered[place] ^= 1;
            assert_eq!(keys("1").open_page(7, 2, &altered), None);
        }
        assert_eq!(keys("1").open_page(7, 2, &page[..20]), None);
    }
}
