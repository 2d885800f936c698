//! Archived entries: the leaves of a full tile, compressed together.
//!
//! A bundle of the archive is the entry bundle of C2SP tlog-tiles, compressed with zstd. It is made of 256 entries that are
//! sealed, once their hashes are those of the tile; and what is read from it counts only if it has these hashes still.

use std::io::Read;

use tenure_core::store::port::{LogEntry, StoreError};
use tenure_log::leaf_hash;
use tenure_log::tile::{TILE_WIDTH, encode_bundle, parse_bundle};

/// Entries in a bundle.
pub(crate) const WIDTH: u64 = TILE_WIDTH as u64;
/// The level of compression: an archive is written once, in the background.
const LEVEL: i32 = 9;
/// The longest bundle: each entry behind its length.
const MAX_BYTES: u64 = WIDTH * (tenure_log::MAX_LEAF_BYTES as u64 + 2);

/// The bundle that an entry is in.
pub(crate) const fn bundle_of(index: u64) -> u64 {
    index / WIDTH
}

/// Packs the leaves of a bundle, if they are what the log was sealed with.
pub(crate) fn pack(bundle: u64, leaves: &[Vec<u8>], tile: &[u8]) -> Result<Vec<u8>, StoreError> {
    if let Some(altered) = altered(leaves, tile) {
        let index = bundle * WIDTH + altered;
        return Err(StoreError::Unavailable(format!("the entry {index} is not what the log was sealed with")));
    }
    let failed = || StoreError::Unavailable(format!("the entries from {} on can't be packed", bundle * WIDTH));
    let plain = encode_bundle(leaves).ok_or_else(failed)?;
    zstd::encode_all(plain.as_slice(), LEVEL).map_err(|_| failed())
}

/// The entries of a bundle. One that was cut, altered, or swapped for another has none: they are missing from the log,
/// and whoever reads it says so.
pub(crate) fn open(bundle: u64, packed: &[u8], tile: &[u8]) -> Vec<LogEntry> {
    let entries = unpack(packed).filter(|leaves| altered(leaves, tile).is_none());
    let first = bundle.saturating_mul(WIDTH);
    let Some(leaves) = entries else {
        tracing::error!(
            first,
            "what was archived of the log from here on was altered outside Tenure: restore a backup"
        );
        return Vec::new();
    };
    (first..).zip(leaves).map(|(index, leaf)| LogEntry { index, leaf, personal: Vec::new() }).collect()
}

fn unpack(packed: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut plain = Vec::new();
    let reader = zstd::Decoder::new(packed).ok()?;
    // No more than the longest, whatever the frame claims.
    reader.take(MAX_BYTES + 1).read_to_end(&mut plain).ok()?;
    let leaves = parse_bundle(&plain, TILE_WIDTH)?;
    Some(leaves.into_iter().map(<[u8]>::to_vec).collect())
}

/// The first leaf that isn't the tile's; all of them where the tile is of another width.
fn altered(leaves: &[Vec<u8>], tile: &[u8]) -> Option<u64> {
    let (hashes, rest) = tile.as_chunks::<32>();
    if hashes.len() != leaves.len() || !rest.is_empty() || leaves.len() != usize::from(TILE_WIDTH) {
        return Some(0);
    }
    let differs = leaves.iter().zip(hashes).position(|(leaf, hash)| leaf_hash(leaf) != *hash);
    differs.map(|place| place as u64)
}

/// What was read, with what the archive holds of the same range in front of it: entries from `from` on, at most `n`.
pub(crate) fn joined(from: u64, n: usize, archived: Vec<LogEntry>, hot: Vec<LogEntry>) -> Vec<LogEntry> {
    let until = hot.first().map_or(u64::MAX, |first| first.index);
    let mut entries: Vec<LogEntry> =
        archived.into_iter().filter(|entry| (from..until).contains(&entry.index)).collect();
    entries.extend(hot);
    entries.truncate(n);
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(salt: u8) -> Vec<Vec<u8>> {
        (0..=255_u8).map(|n| vec![b'x', salt, n]).collect()
    }

    fn tile(leaves: &[Vec<u8>]) -> Vec<u8> {
        leaves.iter().flat_map(|leaf| leaf_hash(leaf)).collect()
    }

    #[test]
    fn a_bundle_comes_back_as_it_was() {
        let (leaves, tile) = (leaves(1), tile(&leaves(1)));
        let packed = pack(7, &leaves, &tile).unwrap();
        assert!(packed.len() < 256 * 5);
        let entries = open(7, &packed, &tile);
        assert_eq!((entries.len(), entries[0].index, entries[255].index), (256, 1_792, 2_047));
        assert!(entries.iter().zip(&leaves).all(|(entry, leaf)| entry.leaf == *leaf));
    }

    #[test]
    fn what_is_not_what_was_sealed_is_neither_packed_nor_opened() {
        let (one, other) = (leaves(1), leaves(2));
        assert!(pack(0, &one, &tile(&other)).is_err() && pack(0, &one[1..], &tile(&one)).is_err());
        let packed = pack(0, &one, &tile(&one)).unwrap();
        // Another bundle in its place, one that is cut, and one with a bit turned over.
        assert!(open(0, &packed, &tile(&other)).is_empty());
        for cut in 0..packed.len() {
            assert!(open(0, &packed[..cut], &tile(&one)).is_empty());
            let mut turned = packed.clone();
            turned[cut] ^= 0x10;
            let read = open(0, &turned, &tile(&one));
            assert!(read.is_empty() || read.iter().zip(&one).all(|(entry, leaf)| entry.leaf == *leaf));
        }
        // A frame that says that it holds more than there may be.
        let bomb = zstd::encode_all(&vec![0_u8; usize::try_from(MAX_BYTES + 10).unwrap()][..], 3).unwrap();
        assert!(open(0, &bomb, &tile(&one)).is_empty());
    }
}
