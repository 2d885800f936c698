//! The first bytes of the forms of texts, and why bytes are none.

/// An id.
pub(super) const ID: u8 = 0x00;
/// A digest as records name it.
pub(super) const SHA256: u8 = 0x01;
/// A digest of the second version of a content.
pub(super) const SHA256_V2: u8 = 0x02;
/// 32 bytes.
pub(super) const BASE64URL: u8 = 0x03;
/// A time with a fraction of a second.
pub(super) const MICROS: u8 = 0x04;
/// A time of whole seconds.
pub(super) const SECONDS: u8 = 0x05;
/// An id behind a word.
pub(super) const WORD_ID: u8 = 0x06;
/// An id behind another text.
pub(super) const BEFORE_ID: u8 = 0x07;

/// How deep objects and arrays of a packed item may nest.
pub(super) const MAX_DEPTH: usize = 64;

/// Why bytes are no packed item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PackedError {
    /// They end too early, or go on behind its end.
    #[error("the packed item is cut, or something is behind it")]
    Length,
    /// A head, a word or a form that there is none of.
    #[error("the packed item holds what no writer of it makes")]
    Form,
    /// It nests deeper than it may.
    #[error("the packed item nests too deep")]
    Depth,
}
