//! Space that only what takes authority away may use (S-16): a file beside the database, given up when the disk is full
//! and made again once there is room.
//!
//! While it is given up, whatever enables is refused, so that nothing else eats the space that it left.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::ErrorCode;

/// The reserve: some ten thousand revocations, as the WAL is used again and again.
const BYTES: u64 = 16 << 20;
/// Free besides the reserve before it is made again, so that the disk is not full again at once.
const MARGIN: u64 = 4 << 20;
/// With less than this left, a failed write is taken for want of space, whatever the system called it.
const NOTHING: u64 = 256 << 10;
/// Between two tries to make it again.
const EVERY: Duration = Duration::from_secs(1);

/// The reserve, as the writer keeps it.
pub(super) struct Reserve {
    path: PathBuf,
    held: bool,
    tried: Option<Instant>,
    full: Arc<AtomicBool>,
}

impl Reserve {
    /// The reserve of a database, made if there is room. `full` tells whether enabling changes are refused for want of
    /// space.
    pub(super) fn of(database: &Path, full: Arc<AtomicBool>) -> Self {
        let mut reserve = Self { path: path_of(database), held: false, tried: None, full };
        reserve.held = reserve.is_whole();
        if !reserve.held {
            reserve.make();
        }
        reserve
    }

    /// Whether it has been given up and not been made again.
    pub(super) const fn is_given_up(&self) -> bool {
        !self.held
    }

    /// Notes that there was no room for a change, or that there was.
    pub(super) fn note(&self, full: bool) {
        let was = self.full.swap(full || !self.held, Ordering::Relaxed);
        if full && !was {
            tracing::error!("the disk is full: only what takes authority away is written now; make room (S-16)");
        }
    }

    /// Makes its room free.
    #[expect(
        clippy::disallowed_methods,
        reason = "the file that reserves space must not compress to nothing, and is looked at by the machine's clock"
    )]
    pub(super) fn give_up(&mut self) {
        tracing::error!("the disk is full: the space that is reserved for revocations is in use; make room (S-16)");
        remove(&self.path);
        self.held = false;
        self.tried = Some(Instant::now());
        self.note(true);
    }

    /// Makes it again if it was given up and there is room, looking once a second at most; returns whether it did.
    pub(super) fn tend(&mut self) -> bool {
        if self.held || self.tried.is_some_and(|tried| tried.elapsed() < EVERY) {
            return false;
        }
        self.make();
        self.held
    }

    /// Whether an error of SQLite means that there is no room.
    pub(super) fn is_full(&self, error: &rusqlite::Error) -> bool {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => true,
            // Growing the index of the WAL, or a sync, fails with another code for the same reason.
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => {
                room(&self.path).is_some_and(|room| room < NOTHING)
            }
            _ => false,
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the file that reserves space must not compress to nothing, and is looked at by the machine's clock"
    )]
    fn make(&mut self) {
        self.tried = Some(Instant::now());
        let made = match room(&self.path) {
            Some(room) if room < BYTES + MARGIN => Err(ErrorKind::StorageFull.into()),
            _ => allocate(&self.path),
        };
        match made {
            Ok(()) => {
                self.held = true;
                if self.full.swap(false, Ordering::Relaxed) {
                    tracing::info!("there is room again: the space for revocations is reserved");
                }
            }
            Err(error) => {
                remove(&self.path);
                if !self.full.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, path = %self.path.display(), "no space can be reserved for revocations: nothing that enables is written; make room (S-16)");
                }
            }
        }
    }

    fn is_whole(&self) -> bool {
        is_whole(&self.path)
    }
}

fn is_whole(path: &Path) -> bool {
    let Ok(file) = std::fs::metadata(path) else {
        return false;
    };
    #[cfg(unix)]
    let allocated = std::os::unix::fs::MetadataExt::blocks(&file) * 512;
    #[cfg(not(unix))]
    let allocated = file.len();
    file.len() >= BYTES && allocated >= BYTES
}

/// Takes what a closed database gave back to a full disk, as far as the reserve goes: without it the next start would
/// have no room for the index of its WAL.
pub(super) fn take_at_close(database: &Path) {
    let path = path_of(database);
    if !is_whole(&path)
        && let Err(error) = allocate(&path)
    {
        tracing::warn!(%error, path = %path.display(), "less than the reserve is left on the disk");
    }
}

/// Makes room at once, so that a database on a full disk can be opened.
pub(super) fn give_up_before_open(database: &Path) {
    remove(&path_of(database));
}

fn path_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".reserve");
    PathBuf::from(name)
}

fn remove(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(%error, path = %path.display(), "the reserve can't be given up")
        }
        _ => {}
    }
}

/// Writes every byte: a file with holes, or one that compresses, reserves nothing.
#[expect(
    clippy::disallowed_methods,
    reason = "the file that reserves space must not compress to nothing, and is looked at by the machine's clock"
)]
fn allocate(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file: File = options.open(path)?;
    let mut block = vec![0_u8; 1 << 16];
    for _ in 0..BYTES / (1 << 16) {
        aws_lc_rs::rand::fill(&mut block).map_err(|_| std::io::Error::other("the system's random generator failed"))?;
        file.write_all(&block)?;
    }
    file.sync_all()
}

/// The bytes free beside a file, if the system tells.
fn room(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let found = rustix::fs::statvfs(path.parent()?).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}
