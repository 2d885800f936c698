//! Archived entries: the leaves of a full tile, compressed together.
//!
//! A bundle of the archive is the entry bundle of C2SP tlog-tiles, compressed with zstd. It is made of 256 entries that are
//! sealed, once their hashes are those of the tile; and what is read from it counts only if it has these hashes still.

use std::io::Read;

use tenure_core::store::port::{LogEntry, StoreError};
use tenure_log::tile::{TILE_WIDTH, encode_bundle, parse_bundle};
use tenure_log::{Hash, leaf_hash};

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

/// How many bundles `n` entries from one on are in.
pub(crate) fn bundles(from: u64, n: u16) -> u64 {
    bundle_of(from.saturating_add(u64::from(n.max(1)) - 1)) - bundle_of(from) + 1
}

/// Those entries of a bundle that are wanted. One that was cut, altered, or swapped for another has none of them: they are
/// missing from the log, and whoever reads it says so.
pub(crate) fn open(bundle: u64, packed: &[u8], tile: &[u8], wanted: impl Fn(u64) -> bool) -> Vec<LogEntry> {
    let first = bundle.saturating_mul(WIDTH);
    let entries = unpack(packed).and_then(|leaves| {
        let (hashes, rest) = tile.as_chunks::<32>();
        let fits = leaves.len() == hashes.len() && rest.is_empty();
        let leaves: Vec<(u64, Vec<u8>, Hash)> =
            (first..).zip(leaves).zip(hashes).map(|((index, leaf), hash)| (index, leaf, *hash)).collect();
        let leaves: Vec<_> = leaves.into_iter().filter(|(index, ..)| wanted(*index)).collect();
        (fits && leaves.iter().all(|(_, leaf, hash)| leaf_hash(leaf) == *hash)).then_some(leaves)
    });
    let Some(leaves) = entries else {
        tracing::error!(
            first,
            "what was archived of the log from here on was altered outside Tenure: restore a backup"
        );
        return Vec::new();
    };
    leaves.into_iter().map(|(index, leaf, _)| LogEntry { index, leaf, personal: Vec::new() }).collect()
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

    fn all(_: u64) -> bool {
        true
    }

    fn leaves(salt: u8) -> Vec<Vec<u8>> {
        (0..=255_u8).map(|n| vec![b'x', salt, n]).collect()
    }

    fn tile(leaves: &[Vec<u8>]) -> Vec<u8> {
        leaves.iter().flat_map(|leaf| leaf_hash(leaf)).collect()
    }

    #[test]
    fn no_more_bundles_are_read_than_entries_are_in() {
        for (from, n, expected) in
            [(0, 1, 1), (255, 1, 1), (255, 2, 2), (0, 256, 1), (1, 256, 2), (5, 500, 2), (20, 500, 3)]
        {
            assert_eq!(bundles(from, n), expected, "{n} from {from}");
        }
        assert_eq!((bundles(u64::MAX, 500), bundles(9, 0)), (1, 1));
    }

    #[test]
    fn a_bundle_comes_back_as_it_was() {
        let (leaves, tile) = (leaves(1), tile(&leaves(1)));
        let packed = pack(7, &leaves, &tile).unwrap();
        assert!(packed.len() < 256 * 5);
        let entries = open(7, &packed, &tile, all);
        assert_eq!((entries.len(), entries[0].index, entries[255].index), (256, 1_792, 2_047));
        assert!(entries.iter().zip(&leaves).all(|(entry, leaf)| entry.leaf == *leaf));
    }

    #[test]
    fn what_is_not_what_was_sealed_is_neither_packed_nor_opened() {
        let (one, other) = (leaves(1), leaves(2));
        assert!(pack(0, &one, &tile(&other)).is_err() && pack(0, &one[1..], &tile(&one)).is_err());
        let packed = pack(0, &one, &tile(&one)).unwrap();
        // Another bundle in its place, one that is cut, and one with a bit turned over.
        assert!(open(0, &packed, &tile(&other), all).is_empty());
        for cut in 0..packed.len() {
            assert!(open(0, &packed[..cut], &tile(&one), all).is_empty());
            let mut turned = packed.clone();
            turned[cut] ^= 0x10;
            let read = open(0, &turned, &tile(&one), all);
            assert!(read.is_empty() || read.iter().zip(&one).all(|(entry, leaf)| entry.leaf == *leaf));
        }
        // Of one that is altered, what isn't wanted is no matter; what is wanted is.
        let mut mixed = one.clone();
        mixed[9] = other[9].clone();
        let mixed = zstd::encode_all(encode_bundle(&mixed).unwrap().as_slice(), LEVEL).unwrap();
        assert_eq!(open(0, &mixed, &tile(&one), |index| index == 8)[0].leaf, one[8]);
        assert!(open(0, &mixed, &tile(&one), |index| index == 9).is_empty());
        // A frame that says that it holds more than there may be.
        let bomb = zstd::encode_all(&vec![0_u8; usize::try_from(MAX_BYTES + 10).unwrap()][..], 3).unwrap();
        assert!(open(0, &bomb, &tile(&one), all).is_empty());
    }
}
