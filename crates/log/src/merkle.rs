//! The Merkle tree of RFC 6962 §2.1 (unchanged in RFC 9162 §2.1): roots, inclusion and consistency proofs.
//!
//! Proofs are made from the hashes of *complete* subtrees only, which never change once written. What a proof needs is
//! a list of [`Node`]s ([`inclusion_nodes`], [`consistency_nodes`], [`root_nodes`]), so that a caller with a database
//! fetches them in one read and hands them over as a map.

use std::collections::HashMap;

use crate::encoding::{sha256, sha256_of};

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// The root of a log without entries: SHA-256 of nothing (RFC 6962 §2.1).
pub const EMPTY_ROOT: Hash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// The hash of one entry's bytes.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    sha256(&[&[0], entry])
}

/// The hash of an inner node.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut buffer = [1; 65];
    for (to, from) in buffer.iter_mut().skip(1).zip(left.iter().chain(right)) {
        *to = *from;
    }
    sha256_of(&buffer)
}

/// A complete subtree: the `2^level` entries that start at `index · 2^level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// Height above the leaves; 0 is a leaf hash.
    pub level: u8,
    /// Position among the nodes of this level.
    pub index: u64,
}

/// A source of the hashes of complete subtrees. It takes `&mut self` so that a source may cache.
pub trait HashReader {
    /// Why a hash could not be had.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The hash of `node`, which is asked for only if it is complete at the size in question.
    ///
    /// # Errors
    /// When the source fails or doesn't hold the node.
    fn hash(&mut self, node: Node) -> Result<Hash, Self::Error>;
}

/// A map of nodes lacks one that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no hash at level {}, index {}", .0.level, .0.index)]
pub struct MissingNode(pub Node);

impl<S: std::hash::BuildHasher> HashReader for HashMap<Node, Hash, S> {
    type Error = MissingNode;

    fn hash(&mut self, node: Node) -> Result<Hash, MissingNode> {
        self.get(&node).copied().ok_or(MissingNode(node))
    }
}

/// Why a proof could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ProofError<E: std::error::Error + 'static> {
    /// The index isn't below the size, or the old size is above the new one.
    #[error("no such proof: {position} is outside of {size} entries")]
    OutOfRange {
        /// The index, or the old size.
        position: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The source of hashes failed.
    #[error("reading tree hashes failed")]
    Read(#[source] E),
}

/// The nodes that [`root`] reads.
#[must_use]
pub fn root_nodes(size: u64) -> Vec<Node> {
    complete_subtrees(0, size)
}

/// The root of the first `size` entries.
///
/// # Errors
/// When the source fails.
pub fn root<R: HashReader>(reader: &mut R, size: u64) -> Result<Hash, R::Error> {
    range_root(reader, 0, size)
}

/// The nodes that [`prove_inclusion`] reads; empty if there is no such proof.
#[must_use]
pub fn inclusion_nodes(index: u64, size: u64) -> Vec<Node> {
    nodes_of(inclusion_ranges(index, size))
}

/// The inclusion proof of RFC 9162 §2.1.3.1 for entry `index` in the first `size` entries.
///
/// # Errors
/// When `index` isn't below `size`, or the source fails.
pub fn prove_inclusion<R: HashReader>(
    reader: &mut R,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, ProofError<R::Error>> {
    if index >= size {
        return Err(ProofError::OutOfRange { position: index, size });
    }
    roots_of(reader, inclusion_ranges(index, size))
}

/// The nodes that [`prove_consistency`] reads; empty if there is no such proof or it is empty.
#[must_use]
pub fn consistency_nodes(old_size: u64, size: u64) -> Vec<Node> {
    nodes_of(consistency_ranges(old_size, size))
}

/// The consistency proof of RFC 9162 §2.1.4.1 between the first `old_size` and the first `size` entries.
///
/// It is empty for equal sizes and from the empty log.
///
/// # Errors
/// When `old_size` exceeds `size`, or the source fails.
pub fn prove_consistency<R: HashReader>(
    reader: &mut R,
    old_size: u64,
    size: u64,
) -> Result<Vec<Hash>, ProofError<R::Error>> {
    if old_size > size {
        return Err(ProofError::OutOfRange { position: old_size, size });
    }
    roots_of(reader, consistency_ranges(old_size, size))
}

/// Whether `proof` shows that `leaf` is entry `index` of the tree of `size` entries with `root` (RFC 9162 §2.1.3.2).
#[must_use]
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut first, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if first & 1 == 1 || first == last {
            hash = node_hash(sibling, &hash);
            while first & 1 == 0 && first != 0 {
                first >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        first >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether `proof` shows that the tree `(old_size, old_root)` is a prefix of `(size, root)` (RFC 9162 §2.1.4.2).
///
/// From the empty log everything is consistent, with an empty proof, if `old_root` is [`EMPTY_ROOT`].
#[must_use]
pub fn verify_consistency(old_size: u64, old_root: &Hash, size: u64, root: &Hash, proof: &[Hash]) -> bool {
    if old_size > size {
        return false;
    }
    if old_size == size {
        return proof.is_empty() && old_root == root && (size > 0 || *root == EMPTY_ROOT);
    }
    if old_size == 0 {
        return proof.is_empty() && *old_root == EMPTY_ROOT;
    }
    let (seed, rest) = match proof.split_first() {
        None => return false,
        Some(_) if old_size.is_power_of_two() => (old_root, proof),
        Some((first, rest)) => (first, rest),
    };
    let (mut first, mut last) = (old_size - 1, size - 1);
    while first & 1 == 1 {
        first >>= 1;
        last >>= 1;
    }
    let (mut old_hash, mut new_hash) = (*seed, *seed);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if first & 1 == 1 || first == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while first & 1 == 0 && first != 0 {
                first >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        first >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == *old_root && new_hash == *root
}

/// The right edge of a growing tree: all that is needed to append entries and to know the root, in O(log n) memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// Roots of the complete subtrees that make up the tree, from the largest (leftmost) to the smallest.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The frontier of the first `size` entries, from stored hashes.
    ///
    /// # Errors
    /// When the source fails.
    pub fn load<R: HashReader>(reader: &mut R, size: u64) -> Result<Self, R::Error> {
        let peaks = root_nodes(size).into_iter().map(|node| reader.hash(node)).collect::<Result<_, _>>()?;
        Ok(Self { size, peaks })
    }

    /// The number of entries.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends the hash of the next entry.
    pub fn append(&mut self, leaf: Hash) {
        self.append_with(leaf, |_, _| {});
    }

    /// Appends the hash of the next entry and reports each subtree that it completes, the leaf itself first.
    pub fn append_with(&mut self, leaf: Hash, mut completed: impl FnMut(Node, Hash)) {
        let mut hash = leaf;
        let mut node = Node { level: 0, index: self.size };
        completed(node, hash);
        while node.index & 1 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            hash = node_hash(&left, &hash);
            node = Node { level: node.level + 1, index: node.index >> 1 };
            completed(node, hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root of the entries so far.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.peaks.iter().rev().copied().reduce(|right, left| node_hash(&left, &right)).unwrap_or(EMPTY_ROOT)
    }

    /// The size (64 bit, big-endian), then the peaks: `8 + 32 · size.count_ones()` bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.size.to_be_bytes().to_vec();
        out.extend(self.peaks.iter().flatten());
        out
    }

    /// Reads [`Frontier::to_bytes`]; `None` unless the length is right for the size, which no log brings above 2^62.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (size, rest) = bytes.split_first_chunk::<8>()?;
        let size = u64::from_be_bytes(*size);
        let (peaks, rest) = rest.as_chunks::<32>();
        let fits = size <= 1 << 62 && rest.is_empty() && peaks.len() == size.count_ones() as usize;
        fits.then(|| Self { size, peaks: peaks.to_vec() })
    }
}

/// The root over consecutive hashes, whatever their level.
pub(crate) fn root_of_hashes(hashes: &[Hash]) -> Hash {
    let mut frontier = Frontier::new();
    hashes.iter().for_each(|hash| frontier.append(*hash));
    frontier.root()
}

/// The largest power of two below `count`, which must be at least 2.
const fn split(count: u64) -> u64 {
    1 << (63 - (count - 1).leading_zeros())
}

/// Cuts entries `start..end`, a range as RFC 6962 splits trees, into complete subtrees from left to right.
fn complete_subtrees(start: u64, end: u64) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut at = start;
    while at < end {
        let level = 63 - (end - at).leading_zeros();
        nodes.push(Node { level: level as u8, index: at >> level });
        at += 1 << level;
    }
    nodes
}

fn range_root<R: HashReader>(reader: &mut R, start: u64, end: u64) -> Result<Hash, R::Error> {
    let mut hashes = Vec::new();
    for node in complete_subtrees(start, end) {
        hashes.push(reader.hash(node)?);
    }
    Ok(hashes.into_iter().rev().reduce(|right, left| node_hash(&left, &right)).unwrap_or(EMPTY_ROOT))
}

/// The ranges of entries whose roots form the inclusion proof, deepest first.
fn inclusion_ranges(index: u64, size: u64) -> Vec<(u64, u64)> {
    let mut ranges = Vec::new();
    if index >= size {
        return ranges;
    }
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            ranges.push((middle, end));
            end = middle;
        } else {
            ranges.push((start, middle));
            start = middle;
        }
    }
    ranges.reverse();
    ranges
}

/// The ranges of entries whose roots form the consistency proof, deepest first.
fn consistency_ranges(old_size: u64, size: u64) -> Vec<(u64, u64)> {
    let mut ranges = Vec::new();
    if old_size == 0 || old_size >= size {
        return ranges;
    }
    let (mut start, mut end) = (0, size);
    while old_size != end {
        let middle = start + split(end - start);
        if old_size <= middle {
            ranges.push((middle, end));
            end = middle;
        } else {
            ranges.push((start, middle));
            start = middle;
        }
    }
    // The old tree's own root is known to the verifier, so it is left out when it is one of the subtrees.
    if start != 0 {
        ranges.push((start, end));
    }
    ranges.reverse();
    ranges
}

fn nodes_of(ranges: Vec<(u64, u64)>) -> Vec<Node> {
    ranges.into_iter().flat_map(|(start, end)| complete_subtrees(start, end)).collect()
}

fn roots_of<R: HashReader>(reader: &mut R, ranges: Vec<(u64, u64)>) -> Result<Vec<Hash>, ProofError<R::Error>> {
    ranges.into_iter().map(|(start, end)| range_root(reader, start, end).map_err(ProofError::Read)).collect()
}
