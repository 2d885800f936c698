//! The append-only Merkle log of Tenure, and all that an auditor needs to check it offline.
//!
//! Every state change is one [`Leaf`] with exact bytes. Leaves are numbered when they are committed; the tree of
//! RFC 6962 over them, its tiles (C2SP tlog-tiles) and its signed checkpoints (C2SP tlog-checkpoint) are derived
//! afterwards and can be derived again by anyone. Between commit and sealing a [`SignedPromise`] stands in.
//!
//! Personal values never enter a leaf: it holds salted commitments, so that erasing a value keeps every proof.
//!
//! The crate is pure. Time, salts and keys are parameters, and the only I/O is through readers and writers that the
//! caller hands in. It depends on no other part of Tenure.

mod encoding;

pub mod checkpoint;
pub mod export;
pub mod fault;
pub mod leaf;
pub mod merkle;
pub mod note;
pub mod packed;
pub mod personal;
pub mod promise;
pub mod tile;
pub mod verify;

pub use checkpoint::{Checkpoint, CheckpointError, LogSigner, OpenedCheckpoint, SignerError, Witness, shard_origin};
pub use export::{Entry, ExportError, ExportReader, ExportWriter, Header};
pub use fault::{Fault, FaultCode, Faults};
pub use leaf::{Actor, Leaf, LeafError, MAX_LEAF_BYTES, RowDigest};
pub use merkle::{
    EMPTY_ROOT, Frontier, Hash, HashReader, Node, ProofError, leaf_hash, node_hash, verify_consistency,
    verify_inclusion,
};
pub use note::{KeyAlgorithm, NoteError, NoteSignature, NoteSigner, SignedNote, VerifierKey};
pub use personal::{PersonalValue, commit};
pub use promise::{Inclusion, Promise, PromiseError, SignedPromise, Standing};
pub use tile::{Tile, TileBuilder, TileError, TileHashes, TileReader};
pub use verify::{
    Bookmark, BookmarkError, Expectations, Progress, Run, Unfinished, Verified, verify_export, verify_export_with,
};
