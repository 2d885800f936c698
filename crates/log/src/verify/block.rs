//! An export in blocks of whole lines.

use std::io::{BufRead, Read as _};

use crate::export::{ExportError, MAX_LINE_BYTES};

/// The bytes that a block has, give or take a line: enough that handing it over costs nothing beside reading it, few enough
/// that the blocks under way are a few MiB.
const BLOCK_BYTES: usize = 128 << 10;

/// Whole lines of an export.
#[derive(Default)]
pub(super) struct Block {
    pub(super) bytes: Vec<u8>,
    /// Why no block follows, if none does and it isn't because the export ends.
    pub(super) failed: Option<ExportError>,
    /// No block follows.
    pub(super) last: bool,
}

/// Cuts a stream into blocks. Where they end follows from the stream's bytes alone, and from a block's end on it follows
/// from the bytes behind it.
pub(super) struct Blocks<R> {
    input: R,
    /// The start of a line whose end wasn't read yet.
    carried: Vec<u8>,
}

impl<R: BufRead> Blocks<R> {
    pub(super) const fn new(input: R) -> Self {
        Self { input, carried: Vec::new() }
    }

    /// The next block, in the room that is given.
    ///
    /// A line of more than [`MAX_LINE_BYTES`] is cut there, and is the last one. A line that the stream fails within is
    /// left out.
    pub(super) fn next(&mut self, mut room: Vec<u8>) -> Block {
        room.clear();
        room.append(&mut self.carried);
        let mut filled = BLOCK_BYTES;
        loop {
            let wanted = filled.saturating_sub(room.len());
            let before = room.len();
            let read = self.input.by_ref().take(wanted as u64).read_to_end(&mut room);
            let fresh = room.get(before..).unwrap_or_default();
            let newline = fresh.iter().rposition(|byte| *byte == b'\n').map(|at| before + at + 1);
            match read {
                Err(error) => {
                    room.truncate(newline.unwrap_or_default());
                    return Block { bytes: room, failed: Some(error.into()), last: true };
                }
                Ok(read) if read < wanted => return Block { bytes: room, failed: None, last: true },
                Ok(_) => {}
            }
            if let Some(newline) = newline {
                self.carried.extend_from_slice(room.get(newline..).unwrap_or_default());
                room.truncate(newline);
                return Block { bytes: room, failed: None, last: false };
            }
            if room.len() >= MAX_LINE_BYTES {
                return Block { bytes: room, failed: None, last: true };
            }
            filled += BLOCK_BYTES;
        }
    }
}
