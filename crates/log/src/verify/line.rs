//! What one line of an export says, worked out without knowing the lines before it: so that many can be read at once.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::BufRead as _;

use crate::encoding::sha256_of;
use crate::export::{ExportError, MAX_LINE_BYTES, parse_entry, plain_line};
use crate::fault::FaultCode;
use crate::leaf::scan::scan;
use crate::merkle::Hash;
use crate::personal::PersonalValue;

/// The longest name of a personal field that is repeated in a fault. None that a leaf commits to is longer.
const MAX_SHOWN_BYTES: usize = 256;

/// One line, or several malformed ones in a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// An entry.
    Entry(Summary),
    /// Lines that are no entries.
    Malformed {
        /// How many.
        count: u64,
        /// What is wrong with each.
        detail: String,
    },
}

/// What the walk needs to know of an entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Summary {
    /// The index that the line claims.
    pub(super) index: u64,
    /// The leaf hash.
    pub(super) hash: Hash,
    /// The leaf hash that the line claims, if it is another one.
    pub(super) otherwise_claimed: Option<Hash>,
    /// What the leaf holds.
    pub(super) content: Content,
}

/// What a leaf holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// It is no leaf.
    Malformed(String),
    /// It is one.
    Leaf {
        /// Commit time in microseconds since 1970-01-01T00:00:00Z.
        at: i64,
        /// Personal values that are there and match their commitments.
        present: u64,
        /// Commitments without a value.
        erased: u64,
        /// What is wrong with the personal values.
        personal: Vec<(FaultCode, String)>,
    },
}

/// Reads lines. It holds room that is used again for each of them.
#[derive(Default)]
pub(super) struct LineReader {
    /// A zero byte, which leaf hashes start with (RFC 6962 §2.1), and the leaf.
    leaf: Vec<u8>,
    canonical: Vec<u8>,
}

impl LineReader {
    /// What the lines of `block` say, and whether one of them was too long to be read, which ends the export.
    pub(super) fn block(&mut self, block: &[u8]) -> (Vec<Line>, Option<ExportError>) {
        let mut lines = Vec::new();
        let mut rest = block;
        while !rest.is_empty() {
            let mut behind = rest;
            let length = behind.skip_until(b'\n').unwrap_or(rest.len());
            let line = rest.get(..length).unwrap_or(rest);
            rest = behind;
            let ended = line.ends_with(b"\n");
            if line.len() > MAX_LINE_BYTES || (line.len() == MAX_LINE_BYTES && !ended) {
                return (lines, Some(ExportError::LineTooLong));
            }
            match (self.line(line), lines.last_mut()) {
                (Ok(summary), _) => lines.push(Line::Entry(summary)),
                (Err(error), last) => {
                    let detail = error.to_string();
                    match last {
                        // A file of nothing but newlines must not become as many objects.
                        Some(Line::Malformed { count, detail: before }) if *before == detail => *count += 1,
                        _ => lines.push(Line::Malformed { count: 1, detail }),
                    }
                }
            }
        }
        (lines, None)
    }

    fn line(&mut self, line: &[u8]) -> Result<Summary, ExportError> {
        self.leaf.clear();
        self.leaf.push(0);
        let (index, claimed_hash, personal) = match plain_line(line, &mut self.leaf) {
            Some(plain) => (plain.index, plain.claimed_hash, Vec::new()),
            None => {
                let entry = parse_entry(line, &mut self.canonical)?;
                self.leaf.truncate(1);
                self.leaf.extend_from_slice(&entry.leaf);
                (entry.index, entry.claimed_hash, entry.personal)
            }
        };
        let hash = sha256_of(&self.leaf);
        Ok(Summary {
            index,
            hash,
            otherwise_claimed: claimed_hash.filter(|claimed| *claimed != hash),
            content: content(self.leaf.get(1..).unwrap_or_default(), &personal),
        })
    }
}

fn content(leaf: &[u8], values: &[PersonalValue]) -> Content {
    let scanned = match scan(leaf) {
        Ok(scanned) => scanned,
        Err(error) => return Content::Malformed(error.to_string()),
    };
    let at = scanned.at;
    if values.is_empty() {
        return Content::Leaf { at, present: 0, erased: scanned.personal.len() as u64, personal: Vec::new() };
    }
    let mut open: BTreeMap<Cow<'_, str>, Hash> = scanned.personal.into_iter().collect();
    let (mut present, mut personal) = (0, Vec::new());
    for value in values {
        match open.remove(value.field.as_str()) {
            Some(commitment) if value.opens(&commitment) => present += 1,
            Some(_) => {
                let detail = format!("the value of {:?} is not the one committed to", shown(&value.field));
                personal.push((FaultCode::PersonalMismatch, detail));
            }
            None => {
                let detail = format!("no commitment is left for {:?}", shown(&value.field));
                personal.push((FaultCode::PersonalUnknown, detail));
            }
        }
    }
    Content::Leaf { at, present, erased: open.len() as u64, personal }
}

/// The name, or as much of it as is shown.
fn shown(field: &str) -> &str {
    let end = (0..=MAX_SHOWN_BYTES).rev().find(|end| field.is_char_boundary(*end)).unwrap_or_default();
    if field.len() <= MAX_SHOWN_BYTES { field } else { field.get(..end).unwrap_or_default() }
}
