//! The export: a whole log as newline-delimited JSON, for an auditor to keep and to verify offline.
//!
//! The first line is the [`Header`]; then one line an entry, in order. An export of some entries only says in its header what
//! joins them to the signed tree ([`Segment`]), so that it is verified alone.
//!
//! ```json
//! {"h":"<leaf hash>","i":0,"leaf":"<leaf bytes>","personal":[{"field":"…","salt":"…","value":"…"}]}
//! ```
//!
//! Bytes are base64url without padding. `personal` is present where values are not erased. `h` only helps to name a
//! changed entry; what is trusted is the signed root. Each line has one exact form and ends with a newline.

mod plain;

use std::io::{self, BufRead, Read as _, Write};

use serde::Deserialize;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::encoding::{Text32, TextBytes, push_hash, push_string, push_unsigned, url64};
use crate::merkle::{Frontier, Hash, leaf_hash};
use crate::note::{SignedNote, VerifierKey};
use crate::personal::PersonalValue;

pub(crate) use plain::plain_line;

/// The format that this crate writes and reads.
pub const FORMAT: &str = "tenure-log-export/v1";

/// The longest line in bytes that is read or written, newline included.
pub const MAX_LINE_BYTES: usize = 1 << 20;

/// The first line of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The log's origin, see [`crate::shard_origin`].
    pub origin: String,
    /// The shard whose log it is.
    pub shard: u32,
    /// The log's key in its text form. A verifier should have its own copy.
    pub verifier_key: String,
    /// The number of the entry behind the last one; without a segment, how many entries follow.
    pub size: u64,
    /// The signed checkpoint over exactly these entries, or over them and others, as a note.
    pub checkpoint: String,
    /// What joins the entries to the checkpoint's tree, unless they are all of it.
    pub segment: Option<Segment>,
}

/// What joins a range of entries to a signed tree that has others before or behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The right edge of the tree over the entries before the first one. Its size is the first one's number.
    pub before: Frontier,
    /// The consistency proof from the entries up to the last one to the checkpoint (RFC 9162 §2.1.4.1).
    pub proof: Vec<Hash>,
}

/// The most hashes of a consistency proof: no log brings its size above 2^62.
const MAX_PROOF: usize = 64;

impl Header {
    /// The header for an export up to the checkpoint `note`.
    ///
    /// # Errors
    /// When the note's text is not a checkpoint.
    pub fn new(key: &VerifierKey, shard: u32, note: &SignedNote) -> Result<Self, CheckpointError> {
        let checkpoint = Checkpoint::parse_text(&note.text)?;
        Ok(Self {
            origin: checkpoint.origin,
            shard,
            verifier_key: key.to_string(),
            size: checkpoint.size,
            checkpoint: note.to_string(),
            segment: None,
        })
    }

    /// The header for an export of the entries up to `end` only, from where the segment begins.
    #[must_use]
    pub fn cut(self, end: u64, segment: Segment) -> Self {
        Self { size: end, segment: Some(segment), ..self }
    }

    /// The first entry's number.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.segment.as_ref().map_or(0, |segment| segment.before.size())
    }

    /// The consistency proof to the checkpoint: of nothing, if all entries follow.
    pub(crate) fn proof(&self) -> &[Hash] {
        self.segment.as_ref().map_or(&[], |segment| &segment.proof)
    }
}

/// One entry of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The index that the line claims.
    pub index: u64,
    /// The leaf hash that the line claims, if it does.
    pub claimed_hash: Option<Hash>,
    /// The exact leaf bytes.
    pub leaf: Vec<u8>,
    /// The personal values that are not erased.
    pub personal: Vec<PersonalValue>,
}

/// Why an export could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The underlying stream failed.
    #[error("export stream failed")]
    Io(#[from] io::Error),
    /// A line is longer than [`MAX_LINE_BYTES`].
    #[error("export line exceeds {MAX_LINE_BYTES} bytes")]
    LineTooLong,
    /// The first line is not a header of [`FORMAT`] in its one form.
    #[error("export header is malformed or of an unknown format")]
    Header,
    /// A line is not an entry in its one form.
    #[error("export entry line is malformed")]
    Entry,
    /// More or fewer entries were written than the header says.
    #[error("export up to the entry {size} was written up to {written}")]
    Count {
        /// What the header says.
        size: u64,
        /// The number of the entry behind the last one that was written.
        written: u64,
    },
}

/// Writes an export as a stream.
#[derive(Debug)]
pub struct ExportWriter<W> {
    out: W,
    line: Vec<u8>,
    size: u64,
    next: u64,
}

impl<W: Write> ExportWriter<W> {
    /// Starts an export by writing its header.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn new(mut out: W, header: &Header) -> Result<Self, ExportError> {
        out.write_all(&header_line(header))?;
        Ok(Self { out, line: Vec::new(), size: header.size, next: header.first() })
    }

    /// Writes the next entry with those of its personal values that are not erased.
    ///
    /// # Errors
    /// When the line would be too long, the header's size is exceeded, or the stream fails.
    pub fn entry(&mut self, leaf: &[u8], personal: &[PersonalValue]) -> Result<(), ExportError> {
        if self.next >= self.size {
            return Err(ExportError::Count { size: self.size, written: self.next.saturating_add(1) });
        }
        self.line.clear();
        push_entry(&mut self.line, self.next, Some(&leaf_hash(leaf)), leaf, personal);
        if self.line.len() > MAX_LINE_BYTES {
            return Err(ExportError::LineTooLong);
        }
        self.out.write_all(&self.line)?;
        self.next += 1;
        Ok(())
    }

    /// Flushes and returns the stream.
    ///
    /// # Errors
    /// When entries are missing or the stream fails.
    pub fn finish(mut self) -> Result<W, ExportError> {
        if self.next != self.size {
            return Err(ExportError::Count { size: self.size, written: self.next });
        }
        self.out.flush()?;
        Ok(self.out)
    }
}

/// Reads an export as a stream, one bounded line at a time. Nothing is verified here, see [`crate::verify_export`].
#[derive(Debug)]
pub struct ExportReader<R> {
    input: R,
    header: Header,
    line: Vec<u8>,
    canonical: Vec<u8>,
}

impl<R: BufRead> ExportReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// When the stream fails or doesn't start with a header.
    pub fn new(mut input: R) -> Result<Self, ExportError> {
        let (header, line) = read_header(&mut input)?;
        Ok(Self { input, header, line, canonical: Vec::new() })
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The next entry, or `None` at the end. After [`ExportError::Entry`] reading can go on with the next line.
    ///
    /// # Errors
    /// When the stream fails or the line is not an entry.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, ExportError> {
        if !read_line(&mut self.input, &mut self.line)? {
            return Ok(None);
        }
        parse_entry(&self.line, &mut self.canonical).map(Some)
    }
}

/// Reads the first line, and gives its bytes, too.
pub(crate) fn read_header<R: BufRead>(input: &mut R) -> Result<(Header, Vec<u8>), ExportError> {
    let mut line = Vec::new();
    read_line(input, &mut line)?;
    let header = parse_header(&line).ok_or(ExportError::Header)?;
    Ok((header, line))
}

/// Reads an entry's line with its newline. `canonical` is room for the line's one form.
pub(crate) fn parse_entry(line: &[u8], canonical: &mut Vec<u8>) -> Result<Entry, ExportError> {
    let wire: EntryWire = serde_json::from_slice(line).map_err(|_| ExportError::Entry)?;
    let entry =
        Entry { index: wire.i, claimed_hash: wire.h.map(|hash| hash.0), leaf: wire.leaf.0, personal: wire.personal };
    canonical.clear();
    push_entry(canonical, entry.index, entry.claimed_hash.as_ref(), &entry.leaf, &entry.personal);
    if canonical == line { Ok(entry) } else { Err(ExportError::Entry) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderWire {
    format: String,
    origin: String,
    shard: u32,
    verifier_key: String,
    size: u64,
    checkpoint: String,
    #[serde(default)]
    segment: Option<SegmentWire>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SegmentWire {
    before: TextBytes,
    proof: Vec<Text32>,
}

impl SegmentWire {
    fn read(self) -> Option<Segment> {
        let proof: Vec<Hash> = self.proof.into_iter().map(|hash| hash.0).collect();
        let before = Frontier::from_bytes(&self.before.0)?;
        (proof.len() <= MAX_PROOF).then_some(Segment { before, proof })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryWire {
    #[serde(default)]
    h: Option<Text32>,
    i: u64,
    leaf: TextBytes,
    #[serde(default)]
    personal: Vec<PersonalValue>,
}

fn header_line(header: &Header) -> Vec<u8> {
    let mut line = Vec::with_capacity(1024);
    line.extend_from_slice(b"{\"format\":");
    push_string(&mut line, FORMAT);
    line.extend_from_slice(b",\"origin\":");
    push_string(&mut line, &header.origin);
    line.extend_from_slice(b",\"shard\":");
    push_unsigned(&mut line, u64::from(header.shard));
    line.extend_from_slice(b",\"verifier_key\":");
    push_string(&mut line, &header.verifier_key);
    line.extend_from_slice(b",\"size\":");
    push_unsigned(&mut line, header.size);
    line.extend_from_slice(b",\"checkpoint\":");
    push_string(&mut line, &header.checkpoint);
    if let Some(segment) = &header.segment {
        line.extend_from_slice(b",\"segment\":{\"before\":\"");
        line.extend_from_slice(url64(&segment.before.to_bytes()).as_bytes());
        line.extend_from_slice(b"\",\"proof\":[");
        for (position, hash) in segment.proof.iter().enumerate() {
            line.extend_from_slice(if position == 0 { b"" } else { b"," });
            push_hash(&mut line, hash);
        }
        line.extend_from_slice(b"]}");
    }
    line.extend_from_slice(b"}\n");
    line
}

fn parse_header(line: &[u8]) -> Option<Header> {
    let wire: HeaderWire = serde_json::from_slice(line).ok()?;
    let segment = match wire.segment {
        Some(segment) => Some(segment.read()?),
        None => None,
    };
    let header = Header {
        origin: wire.origin,
        shard: wire.shard,
        verifier_key: wire.verifier_key,
        size: wire.size,
        checkpoint: wire.checkpoint,
        segment,
    };
    (wire.format == FORMAT && header_line(&header) == line).then_some(header)
}

fn push_entry(out: &mut Vec<u8>, index: u64, hash: Option<&Hash>, leaf: &[u8], personal: &[PersonalValue]) {
    out.push(b'{');
    if let Some(hash) = hash {
        out.extend_from_slice(b"\"h\":");
        push_hash(out, hash);
        out.push(b',');
    }
    out.extend_from_slice(b"\"i\":");
    push_unsigned(out, index);
    out.extend_from_slice(b",\"leaf\":\"");
    out.extend_from_slice(url64(leaf).as_bytes());
    out.push(b'"');
    for (position, value) in personal.iter().enumerate() {
        out.extend_from_slice(if position == 0 { b",\"personal\":[{\"field\":".as_slice() } else { b",{\"field\":" });
        push_string(out, &value.field);
        out.extend_from_slice(b",\"salt\":");
        push_hash(out, &value.salt);
        out.extend_from_slice(b",\"value\":");
        push_string(out, &value.value);
        out.push(b'}');
    }
    if !personal.is_empty() {
        out.push(b']');
    }
    out.extend_from_slice(b"}\n");
}

/// Reads one line with its newline into `line`; false at the end of the stream.
fn read_line<R: BufRead>(input: &mut R, line: &mut Vec<u8>) -> Result<bool, ExportError> {
    line.clear();
    let read = input.by_ref().take(MAX_LINE_BYTES as u64).read_until(b'\n', line)?;
    if read == MAX_LINE_BYTES && line.last() != Some(&b'\n') {
        return Err(ExportError::LineTooLong);
    }
    Ok(read > 0)
}
