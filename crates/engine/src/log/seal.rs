//! The sealer: tiles and signed checkpoints over what is committed, and their way to places outside.
//!
//! What is sealed follows from the log alone, so any replica may seal. A step is decided by the store: it takes tiles
//! and checkpoint together, and only from the size that was sealed before, so two replicas never publish two roots for
//! one size. A sealer that finds the log or the sealed state shorter than what it signed before stops: that is a
//! rollback.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use tenure_core::store::port::{Seal, Sealed};
use tenure_log::merkle::{self, MissingNode};
use tenure_log::{Checkpoint, HashReader, Node, Tile, TileBuilder, TileHashes, TileReader};
use tracing::Instrument as _;

use crate::kernel::error::OpError;
use crate::kernel::{Kernel, keys};

/// Lets commits gather, so that a busy log gets few checkpoints a second.
pub(crate) const EVERY: Duration = Duration::from_millis(200);
/// After a failure.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);
/// Leaf hashes read at once.
const PAGE: u64 = 4_096;
/// Entries sealed by one step: bounds the tiles in memory to some 2 MiB.
const STEP: u64 = 65_536;
/// How often a step is tried again when another replica sealed first.
const RACES: u32 = 16;

const FRONTIER_VERSION: u8 = 1;

/// What seals; it keeps the right edge of the tree between its steps.
#[derive(Debug, Default)]
pub(crate) struct Sealer {
    pub(crate) edge: Option<TileBuilder>,
    /// The newest checkpoint known here, with its size.
    pub(crate) newest: Option<(u64, String)>,
}

impl Sealer {
    /// Seals everything that is committed when this is called; returns the sealed size.
    pub(crate) async fn seal(&mut self, engine: &Kernel) -> Result<u64, OpError> {
        let wanted = engine.store.head().await?.size;
        let known = self.known();
        if wanted < known {
            return Err(rolled_back(wanted, known));
        }
        if wanted == known && self.edge.is_some() {
            return Ok(known);
        }
        let mut races = 0;
        loop {
            let edge = self.resume(engine).await?;
            if edge.size() >= wanted {
                let size = edge.size();
                self.edge = Some(edge);
                return Ok(size);
            }
            let (from, until) = (edge.size(), wanted.min(edge.size() + STEP));
            let watch = engine.stopwatch();
            let span = tracing::info_span!("seal", from, size = until);
            if self.step(engine, edge, until).instrument(span).await? {
                engine.timings.seals.observe(watch.elapsed());
            } else {
                races += 1;
                if races >= RACES {
                    return Err(OpError::Unavailable("other replicas seal all the time; try again".into()));
                }
            }
        }
    }

    /// Seals from the edge of the sealed tree on; whether the store took it.
    async fn step(&mut self, engine: &Kernel, mut edge: TileBuilder, until: u64) -> Result<bool, OpError> {
        let from = edge.size();
        let tiles = grow(engine, &mut edge, until).await?;
        let (size, root) = (edge.size(), edge.root());
        let checkpoint = keys::deployment_keys(engine).await?.log.checkpoint(size, root).to_string();
        let frontier = encode(&edge);
        let seal = Seal { from, size, frontier, checkpoint: checkpoint.clone(), tiles, at: engine.now() };
        let taken = engine.store.seal(seal).await?;
        // Only what the store took counts: after a failure or a lost race the edge is read again.
        if taken {
            self.edge = Some(edge);
            self.newest = Some((size, checkpoint));
            tracing::debug!("sealed");
        }
        Ok(taken)
    }

    pub(crate) fn known(&self) -> u64 {
        self.newest.as_ref().map_or(0, |(size, _)| *size)
    }

    /// The tree as it is sealed now: from memory if nobody sealed since.
    pub(crate) async fn resume(&mut self, engine: &Kernel) -> Result<TileBuilder, OpError> {
        let known = self.known();
        let Some(sealed) = engine.store.sealed().await? else {
            return if known == 0 { Ok(TileBuilder::new()) } else { Err(rolled_back(0, known)) };
        };
        match &self.newest {
            Some((size, _)) if sealed.size < *size => return Err(rolled_back(sealed.size, *size)),
            Some((size, checkpoint)) if sealed.size == *size && sealed.checkpoint != *checkpoint => {
                return Err(OpError::Internal(format!("two checkpoints are sealed for {size} entries")));
            }
            Some((size, _)) if sealed.size == *size => {
                if let Some(edge) = self.edge.take() {
                    return Ok(edge);
                }
            }
            _ => {}
        }
        let edge = decode(&sealed)?;
        // The frontier has no MAC of its own; it counts only if the log's own key has signed its root.
        let opened = Checkpoint::open(&sealed.checkpoint, &keys::checkpoint_keys(engine).await?)
            .map_err(|error| OpError::Internal(format!("the sealed checkpoint: {error}")))?;
        if opened.checkpoint.size != sealed.size || opened.checkpoint.root != edge.root() {
            return Err(OpError::Internal(format!("the sealed tiles at {} don't give the signed root", sealed.size)));
        }
        self.newest = Some((sealed.size, sealed.checkpoint));
        Ok(edge)
    }
}

fn rolled_back(now: u64, before: u64) -> OpError {
    OpError::Internal(format!("the log has {now} entries, but {before} were sealed before: it was rolled back"))
}

/// Appends up to `until` entries and returns the tiles that they filled.
async fn grow(engine: &Kernel, edge: &mut TileBuilder, until: u64) -> Result<Vec<(u8, u64, Vec<u8>)>, OpError> {
    let mut tiles = Vec::new();
    while edge.size() < until {
        let n = (until - edge.size()).min(PAGE);
        let hashes = engine.store.leaf_hashes(edge.size(), u32::try_from(n).unwrap_or(u32::MAX)).await?;
        if hashes.is_empty() {
            return Err(OpError::Internal(format!("the entry {} is missing from the log", edge.size())));
        }
        for hash in hashes.into_iter().take(usize::try_from(n).unwrap_or(usize::MAX)) {
            edge.append(hash, |tile, bytes| tiles.push((tile.level, tile.index, bytes)));
        }
    }
    Ok(tiles)
}

/// The right edge as bytes that stores keep: the version, the size (64 bit, big-endian), then each partial tile, the
/// lowest level first, as level (8 bit), width (16 bit, big-endian) and its hashes.
fn encode(edge: &TileBuilder) -> Vec<u8> {
    let mut out = vec![FRONTIER_VERSION];
    out.extend_from_slice(&edge.size().to_be_bytes());
    for (tile, bytes) in edge.partial() {
        out.push(tile.level);
        out.extend_from_slice(&tile.width.to_be_bytes());
        out.extend_from_slice(&bytes);
    }
    out
}

/// Partial tiles by level.
struct Partial(HashMap<u8, Vec<u8>>);

impl TileReader for Partial {
    type Error = Infallible;

    fn tile(&mut self, tile: Tile) -> Result<Vec<u8>, Infallible> {
        // One that is missing has the wrong length, which the reader refuses.
        Ok(self.0.get(&tile.level).cloned().unwrap_or_default())
    }
}

fn partial_of(sealed: &Sealed) -> Option<Partial> {
    let (version, rest) = sealed.frontier.split_first()?;
    let (size, mut rest) = rest.split_first_chunk::<8>()?;
    if *version != FRONTIER_VERSION || u64::from_be_bytes(*size) != sealed.size {
        return None;
    }
    let mut levels = HashMap::new();
    while let Some((level, tail)) = rest.split_first() {
        let (width, tail) = tail.split_first_chunk::<2>()?;
        let (bytes, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*width)) * 32)?;
        levels.insert(*level, bytes.to_vec());
        rest = tail;
    }
    Some(Partial(levels))
}

fn decode(sealed: &Sealed) -> Result<TileBuilder, OpError> {
    let malformed = || OpError::Internal(format!("the sealed state at {} can't be read", sealed.size));
    let edge =
        TileBuilder::load(&mut partial_of(sealed).ok_or_else(malformed)?, sealed.size).map_err(|_| malformed())?;
    if encode(&edge) == sealed.frontier { Ok(edge) } else { Err(malformed()) }
}

/// The log as far as it is sealed, to read tiles and tree hashes from.
pub(crate) struct SealedLog<'a> {
    engine: &'a Kernel,
    /// The number of entries sealed.
    pub size: u64,
    /// The signed checkpoint over them.
    pub checkpoint: String,
    partial: Partial,
}

impl<'a> SealedLog<'a> {
    /// The newest sealed state, if anything is sealed.
    pub(crate) async fn newest(engine: &'a Kernel) -> Result<Option<Self>, OpError> {
        let Some(sealed) = engine.store.sealed().await? else {
            return Ok(None);
        };
        let partial = partial_of(&sealed)
            .ok_or_else(|| OpError::Internal(format!("the sealed state at {} can't be read", sealed.size)))?;
        Ok(Some(Self { engine, size: sealed.size, checkpoint: sealed.checkpoint, partial }))
    }

    /// The bytes of a tile that is covered by this size; one of lesser width is the beginning of the one that there is
    /// now.
    pub(crate) async fn tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, OpError> {
        let first = Node { level: tile.level.saturating_mul(8), index: tile.index << 8 };
        let Some(now) = Tile::of(first, self.size).filter(|now| tile.width > 0 && tile.width <= now.width) else {
            return Ok(None);
        };
        let bytes = if usize::from(now.width) < 256 {
            self.partial.0.get(&tile.level).cloned()
        } else {
            self.engine.store.tile(tile.level, tile.index).await?
        };
        let wanted = usize::from(tile.width) * 32;
        match bytes {
            Some(mut bytes) if bytes.len() == usize::from(now.width) * 32 => {
                bytes.truncate(wanted);
                Ok(Some(bytes))
            }
            _ => Err(OpError::Internal(format!("the sealed {} is missing or damaged", tile.path()))),
        }
    }

    /// Proves that the first `to` entries, which are sealed, begin with the first `from`.
    pub(crate) async fn consistency(&self, from: u64, to: u64) -> Result<Vec<tenure_log::Hash>, OpError> {
        let mut hashes = self.hashes(&merkle::consistency_nodes(from, to)).await?;
        merkle::prove_consistency(&mut hashes, from, to).map_err(|error| OpError::Internal(error.to_string()))
    }

    /// A source for exactly these nodes; each tile is read once.
    pub(crate) async fn hashes(&self, nodes: &[Node]) -> Result<HashMap<Node, tenure_log::Hash>, OpError> {
        let mut tiles = HashMap::new();
        for node in nodes {
            let tile = Tile::of(*node, self.size).ok_or_else(|| OpError::Internal(MissingNode(*node).to_string()))?;
            if let std::collections::hash_map::Entry::Vacant(slot) = tiles.entry(tile) {
                slot.insert(self.tile(tile).await?.unwrap_or_default());
            }
        }
        let mut reader = TileHashes::new(Loaded(tiles), self.size);
        nodes
            .iter()
            .map(|node| Ok((*node, reader.hash(*node).map_err(|error| OpError::Internal(error.to_string()))?)))
            .collect()
    }
}

struct Loaded(HashMap<Tile, Vec<u8>>);

impl TileReader for Loaded {
    type Error = Infallible;

    fn tile(&mut self, tile: Tile) -> Result<Vec<u8>, Infallible> {
        Ok(self.0.get(&tile).cloned().unwrap_or_default())
    }
}

/// Seals everything that is committed by now and returns the sealed size, which is at least that.
///
/// # Errors
/// The store can't be reached, or what it holds contradicts what was signed before.
pub async fn seal_now(kernel: &Kernel) -> Result<u64, OpError> {
    Sealer::default().seal(kernel).await
}

#[cfg(test)]
pub(crate) mod tests;
