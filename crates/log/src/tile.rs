//! Tiles and entry bundles (C2SP tlog-tiles), from which anyone can serve, mirror and prove the log with plain files.
//!
//! A tile of level L holds up to 256 hashes of complete subtrees of `256^L` entries. Full tiles never change. The right
//! edge of a given size is made of partial tiles, which name their width.

use std::collections::HashMap;

use crate::merkle::{EMPTY_ROOT, Hash, HashReader, Node, root_of_hashes};

/// Hashes in a full tile, and entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;

/// Levels of the tree that a tile spans.
const TILE_HEIGHT: u8 = 8;

/// The highest tile level that a 64-bit size can reach.
const MAX_TILE_LEVEL: u8 = 7;

/// Tiles that [`TileHashes`] keeps: a proof reads at most two of each level.
const CACHED_TILES: usize = 32;

/// The name of a hash tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// Level in tiles: level L holds hashes of `256^L` entries.
    pub level: u8,
    /// Position within the level.
    pub index: u64,
    /// Hashes in it, 1 to 256; below 256 it is partial.
    pub width: u16,
}

impl Tile {
    /// Its path, such as `tile/0/x001/x234/067` or `tile/1/000.p/3`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("tile/{}/{}", self.level, position_path(self.index, self.width))
    }

    /// Reads [`Tile::path`], strictly.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let level = crate::encoding::decimal(level).and_then(|level| u8::try_from(level).ok())?;
        let (index, width) = parse_position(rest)?;
        let tile = Self { level, index, width };
        (level <= MAX_TILE_LEVEL && tile.path() == path).then_some(tile)
    }

    /// The tile that holds or yields `node` in a log of `size` entries; `None` if `node` is not complete at that size.
    #[must_use]
    pub fn of(node: Node, size: u64) -> Option<Self> {
        let level = node.level / TILE_HEIGHT;
        let start = node.index.checked_mul(1 << (node.level % TILE_HEIGHT))?;
        let end = start.checked_add(1 << (node.level % TILE_HEIGHT))?;
        let available = size.checked_shr(u32::from(level) * u32::from(TILE_HEIGHT))?;
        let index = start >> TILE_HEIGHT;
        let width = (available.saturating_sub(index << TILE_HEIGHT)).min(u64::from(TILE_WIDTH));
        (end <= available).then_some(Self { level, index, width: u16::try_from(width).ok()? })
    }
}

/// The path of an entry bundle, such as `tile/entries/x001/067` or `tile/entries/000.p/3`; `width` entries are in it.
#[must_use]
pub fn entries_path(index: u64, width: u16) -> String {
    format!("tile/entries/{}", position_path(index, width))
}

/// Reads [`entries_path`] into index and width, strictly.
#[must_use]
pub fn parse_entries_path(path: &str) -> Option<(u64, u16)> {
    let (index, width) = parse_position(path.strip_prefix("tile/entries/")?)?;
    (entries_path(index, width) == path).then_some((index, width))
}

/// The bytes of an entry bundle: each entry after its length (16 bit, big-endian). `None` if an entry is longer than
/// [`crate::MAX_LEAF_BYTES`] or there are more than 256.
#[must_use]
pub fn encode_bundle<E: AsRef<[u8]>>(entries: &[E]) -> Option<Vec<u8>> {
    if entries.len() > usize::from(TILE_WIDTH) {
        return None;
    }
    let mut out = Vec::with_capacity(entries.iter().map(|entry| entry.as_ref().len() + 2).sum());
    for entry in entries {
        let length = u16::try_from(entry.as_ref().len()).ok()?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(entry.as_ref());
    }
    Some(out)
}

/// The entries of a bundle; `None` unless it holds exactly `width` of them and nothing else.
#[must_use]
pub fn parse_bundle(bundle: &[u8], width: u16) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::new();
    let mut rest = bundle;
    while !rest.is_empty() && entries.len() < usize::from(width) {
        let (length, tail) = rest.split_first_chunk::<2>()?;
        let (entry, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry);
        rest = tail;
    }
    (rest.is_empty() && entries.len() == usize::from(width) && width <= TILE_WIDTH).then_some(entries)
}

/// A source of tiles, such as a folder, a mirror or a table of pages.
pub trait TileReader {
    /// Why a tile could not be had.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The bytes of `tile`: 32 for each hash. A source that holds a wider one may return that.
    ///
    /// # Errors
    /// When the source fails or doesn't hold the tile.
    fn tile(&mut self, tile: Tile) -> Result<Vec<u8>, Self::Error>;
}

/// Why tiles could not be used.
#[derive(Debug, thiserror::Error)]
pub enum TileError<E: std::error::Error + 'static> {
    /// The source failed.
    #[error("reading {} failed", .tile.path())]
    Read {
        /// The tile that was asked for.
        tile: Tile,
        /// Why the source failed.
        #[source]
        source: E,
    },
    /// The tile has another length than its name says.
    #[error("{} has {bytes} bytes", .tile.path())]
    Length {
        /// The tile that was asked for.
        tile: Tile,
        /// The length of what was returned.
        bytes: usize,
    },
    /// The node is not complete in a log of this size, so that no tile has it.
    #[error("node at level {}, index {} is not complete", .0.level, .0.index)]
    Incomplete(Node),
}

/// Tree hashes out of tiles. The tiles need not be trusted: what is made from them is checked against a checkpoint.
#[derive(Debug)]
pub struct TileHashes<R> {
    reader: R,
    size: u64,
    cache: HashMap<Tile, Vec<Hash>>,
}

impl<R: TileReader> TileHashes<R> {
    /// Reads from the tiles of a log of `size` entries.
    pub fn new(reader: R, size: u64) -> Self {
        Self { reader, size, cache: HashMap::new() }
    }
}

impl<R: TileReader> HashReader for TileHashes<R> {
    type Error = TileError<R::Error>;

    fn hash(&mut self, node: Node) -> Result<Hash, Self::Error> {
        let tile = Tile::of(node, self.size).ok_or(TileError::Incomplete(node))?;
        if self.cache.len() >= CACHED_TILES {
            self.cache.clear();
        }
        let hashes = match self.cache.entry(tile) {
            std::collections::hash_map::Entry::Occupied(cached) => cached.into_mut(),
            std::collections::hash_map::Entry::Vacant(slot) => slot.insert(read(&mut self.reader, tile)?),
        };
        let within = node.level % TILE_HEIGHT;
        let start = ((node.index << within) % u64::from(TILE_WIDTH)) as usize;
        hashes.get(start..start + (1 << within)).map(root_of_hashes).ok_or(TileError::Incomplete(node))
    }
}

/// Turns leaf hashes into tiles, one entry at a time, with at most 255 hashes a level in memory.
#[derive(Debug, Clone, Default)]
pub struct TileBuilder {
    size: u64,
    /// The hashes of each level that no full tile holds yet.
    edges: Vec<Vec<Hash>>,
}

impl TileBuilder {
    /// A builder for an empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Continues a log of `size` entries whose partial tiles are read.
    ///
    /// # Errors
    /// When the source fails or a tile is too short.
    pub fn load<R: TileReader>(reader: &mut R, size: u64) -> Result<Self, TileError<R::Error>> {
        let edges = partial_tiles(size)
            .into_iter()
            .map(|partial| partial.map_or_else(|| Ok(Vec::new()), |tile| read(reader, tile)))
            .collect::<Result<_, _>>()?;
        Ok(Self { size, edges })
    }

    /// The number of entries.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends the hash of the next entry; `full` gets each tile that it fills, the lowest level first, to be stored
    /// for good.
    pub fn append(&mut self, leaf: Hash, mut full: impl FnMut(Tile, Vec<u8>)) {
        self.size += 1;
        let mut hash = leaf;
        let mut count = self.size;
        for level in 0..=MAX_TILE_LEVEL {
            if self.edges.len() <= usize::from(level) {
                self.edges.push(Vec::new());
            }
            let Some(edge) = self.edges.get_mut(usize::from(level)) else {
                return;
            };
            edge.push(hash);
            if edge.len() < usize::from(TILE_WIDTH) {
                return;
            }
            count >>= TILE_HEIGHT;
            full(Tile { level, index: count - 1, width: TILE_WIDTH }, edge.concat());
            hash = root_of_hashes(edge);
            edge.clear();
        }
    }

    /// The partial tiles at the current size. A checkpoint may be published once they are stored.
    #[must_use]
    pub fn partial(&self) -> Vec<(Tile, Vec<u8>)> {
        let edges = self.edges.iter().map(|edge| edge.concat());
        partial_tiles(self.size).into_iter().zip(edges).filter_map(|(tile, bytes)| Some((tile?, bytes))).collect()
    }

    /// The Merkle root of the entries so far.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut right: Option<Hash> = None;
        for edge in &self.edges {
            let mut hashes = edge.clone();
            hashes.extend(right);
            right = (!hashes.is_empty()).then(|| root_of_hashes(&hashes));
        }
        right.unwrap_or(EMPTY_ROOT)
    }
}

/// The partial tile of each level at `size`, lowest first; `None` where the level ends with a full tile.
fn partial_tiles(size: u64) -> Vec<Option<Tile>> {
    let mut tiles = Vec::new();
    let mut count = size;
    for level in 0..=MAX_TILE_LEVEL {
        if count == 0 {
            break;
        }
        let width = (count % u64::from(TILE_WIDTH)) as u16;
        tiles.push((width > 0).then_some(Tile { level, index: count >> TILE_HEIGHT, width }));
        count >>= TILE_HEIGHT;
    }
    tiles
}

fn read<R: TileReader>(reader: &mut R, tile: Tile) -> Result<Vec<Hash>, TileError<R::Error>> {
    let bytes = reader.tile(tile).map_err(|source| TileError::Read { tile, source })?;
    let (hashes, rest) = bytes.as_chunks::<32>();
    match hashes.get(..usize::from(tile.width)) {
        Some(wanted) if rest.is_empty() && hashes.len() <= usize::from(TILE_WIDTH) => Ok(wanted.to_vec()),
        _ => Err(TileError::Length { tile, bytes: bytes.len() }),
    }
}

/// Three digits a component, all but the last with an `x`; a partial one ends in `.p/<width>`.
fn position_path(index: u64, width: u16) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    if width == TILE_WIDTH { path } else { format!("{path}.p/{width}") }
}

fn parse_position(path: &str) -> Option<(u64, u16)> {
    let (path, width) = match path.split_once(".p/") {
        Some((path, width)) => {
            (path, crate::encoding::decimal(width).filter(|width| (1..256).contains(width)).map(|width| width as u16)?)
        }
        None => (path, TILE_WIDTH),
    };
    let mut index = 0u64;
    for component in path.split('/') {
        let digits = component.strip_prefix('x').unwrap_or(component);
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    Some((index, width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        assert_eq!(Tile { level: 0, index: 1_234_067, width: 256 }.path(), "tile/0/x001/x234/067");
        assert_eq!(Tile { level: 1, index: 0, width: 3 }.path(), "tile/1/000.p/3");
        assert_eq!(entries_path(273, 112), "tile/entries/273.p/112");
        for path in ["tile/0/x001/x234/067", "tile/1/000.p/3", "tile/0/x018/x446/x744/x073/x709/x551/615"] {
            assert_eq!(Tile::parse(path).map(|tile| tile.path()).as_deref(), Some(path));
        }
        assert_eq!(parse_entries_path("tile/entries/x001/067"), Some((1067, 256)));
        for path in [
            "tile/0/67",
            "tile/0/001/067",
            "tile/0/x000/067",
            "tile/0/x067",
            "tile/00/067",
            "tile/8/067",
            "tile/0/067.p/0",
            "tile/0/067.p/256",
            "tile/0/067.p/03",
            "tile/0/x999/x999/x999/x999/x999/x999/999",
            "tile/entries/067",
            "",
        ] {
            assert_eq!(Tile::parse(path), None, "{path}");
        }
    }

    #[test]
    fn a_bundle_holds_exactly_its_entries() {
        let bundle = encode_bundle(&[b"ab".as_slice(), b"", b"c"]).unwrap();
        assert_eq!(bundle, b"\0\x02ab\0\0\0\x01c");
        assert_eq!(parse_bundle(&bundle, 3), Some(vec![b"ab".as_slice(), b"", b"c"]));
        assert_eq!(parse_bundle(&bundle, 2), None);
        assert_eq!(parse_bundle(&bundle, 4), None);
        assert_eq!(parse_bundle(&bundle[..bundle.len() - 1], 3), None);
        assert_eq!(encode_bundle(&[vec![0; 65_536]]), None);
    }
}
