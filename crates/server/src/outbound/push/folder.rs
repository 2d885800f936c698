//! Checkpoints in a folder.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tenure_core::store::port::BoxFuture;
use tenure_engine::kernel::outbound::{FetchError, Push};
use tenure_log::Checkpoint;
use tenure_log::note::MAX_NOTE_BYTES;
use tokio::sync::Semaphore;

use super::{epoch_in, epoch_of, name_of, parse};

/// Keeps checkpoints in a folder, best on another disk or machine: the newest as `checkpoint`, each as
/// `checkpoint-<size>`. Those of a later epoch, which has a log of its own name, go into a folder beside them,
/// `epoch-<number>`.
#[derive(Debug)]
pub struct FilePush {
    folder: PathBuf,
    each: bool,
    /// The later epochs that are known to be there.
    epochs: Arc<Mutex<Listed>>,
    /// One call to the file system at a time: a network's disk that doesn't answer holds one thread and no more.
    turn: Arc<Semaphore>,
}

/// What a folder was seen to hold.
#[derive(Debug, Default)]
struct Listed {
    /// Which folder it was, by device and inode: another disk may be mounted there by now.
    folder: Option<(u64, u64)>,
    epochs: BTreeSet<u64>,
}

impl FilePush {
    /// Keeps them in this folder, which must exist: a mount that is missing is noticed.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), each: true, epochs: Arc::default(), turn: Arc::new(Semaphore::new(1)) }
    }

    /// Keeps the newest alone, as often as there is one: for the folder beside the database.
    pub fn newest_only(folder: impl Into<PathBuf>) -> Self {
        Self { each: false, ..Self::new(folder) }
    }

    /// Does what may block.
    async fn with_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T, String> + Send + 'static,
    ) -> Result<T, FetchError> {
        let failed = |why: String| FetchError { url: self.target(), why };
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(|error| failed(error.to_string()))?;
        let folder = self.folder.clone();
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&folder);
            drop(turn);
            done
        });
        done.await.unwrap_or_else(|error| Err(error.to_string())).map_err(failed)
    }
}

impl Push for FilePush {
    fn target(&self) -> String {
        self.folder.display().to_string()
    }

    fn newest<'a>(&'a self, origin: &'a str) -> BoxFuture<'a, Result<Option<String>, FetchError>> {
        let origin = origin.to_owned();
        Box::pin(self.with_files(move |folder| read_note(&folder_of(folder, &origin).join(NEWEST))))
    }

    fn epochs_after(&self, epoch: u64) -> BoxFuture<'_, Result<Vec<u64>, FetchError>> {
        let epochs = Arc::clone(&self.epochs);
        Box::pin(self.with_files(move |folder| {
            let mut listed = epochs.lock().unwrap_or_else(PoisonError::into_inner);
            look_for_epochs(folder, &mut listed, epoch).map_err(|error| format!("{}: {error}", folder.display()))?;
            Ok(listed.epochs.range(epoch.saturating_add(1)..).copied().collect())
        }))
    }

    fn pace(&self) -> Duration {
        // Beside the database a file that is written over costs little.
        if self.each { Duration::from_secs(5) } else { Duration::ZERO }
    }

    fn push<'a>(&'a self, checkpoint: &'a str) -> BoxFuture<'a, Result<(), FetchError>> {
        let (each, checkpoint) = (self.each, checkpoint.to_owned());
        Box::pin(self.with_files(move |folder| keep(folder, each, &checkpoint)))
    }
}

/// The newest checkpoint's name in its folder.
const NEWEST: &str = "checkpoint";

/// How many epochs beyond the latest known one are looked for without listing the folder, which may hold a million
/// checkpoints.
const AHEAD: u64 = 8;

/// Where the checkpoints of a log of this origin are kept.
fn folder_of(folder: &Path, origin: &str) -> PathBuf {
    match epoch_of(origin) {
        Some(epoch) => folder.join(name_of(epoch)),
        None => folder.to_owned(),
    }
}

/// Brings what is known of a folder's epochs up to date: by a list of it the first time, and by the next names after
/// that.
fn look_for_epochs(folder: &Path, listed: &mut Listed, epoch: u64) -> io::Result<()> {
    let there = fs::metadata(folder)?;
    let there = Some((there.dev(), there.ino()));
    if listed.folder != there {
        listed.epochs.clear();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            // What is no folder keeps nothing.
            if entry.file_type()?.is_dir() {
                listed.epochs.extend(entry.file_name().to_str().and_then(epoch_in));
            }
        }
        listed.folder = there;
    }
    // After the own one, too: a number that somebody made up far ahead hides none of those that follow.
    let latest = listed.epochs.last().map_or(epoch, |last| epoch.max(*last));
    for known in [epoch, latest] {
        let mut next = known.saturating_add(1);
        let mut end = next.saturating_add(AHEAD);
        while next < end {
            if folder.join(name_of(next)).is_dir() {
                listed.epochs.insert(next);
                end = next.saturating_add(AHEAD);
            }
            next += 1;
        }
    }
    Ok(())
}

fn keep(base: &Path, each: bool, note: &str) -> Result<(), String> {
    let given = parse(note)?;
    let folder = &folder_of(base, &given.origin);
    if folder != base
        && let Err(error) = fs::create_dir(folder)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(format!("{}: {error}", folder.display()));
    }
    let newest = folder.join(NEWEST);
    let of_size = folder.join(format!("checkpoint-{}", given.size));
    if let Some(kept) = read(&of_size)?
        && kept != given
    {
        return Err(format!(
            "another checkpoint of {} entries was kept before: the log was rolled back or forked",
            given.size
        ));
    }
    match read(&newest)? {
        Some(kept) if kept.origin != given.origin => {
            return Err(format!("the checkpoint there is of another log, {}", kept.origin));
        }
        Some(kept) if kept.size > given.size => {
            return Err(format!(
                "the checkpoint there covers {} entries, this one {}: the log was rolled back, or another server is ahead",
                kept.size, given.size
            ));
        }
        Some(kept) if kept.size == given.size && kept != given => {
            return Err(format!("another checkpoint of {} entries was kept before", given.size));
        }
        _ => {}
    }
    let history = if each { write(folder, &of_size, note) } else { Ok(()) };
    history.and_then(|()| write(folder, &newest, note)).map_err(|error| error.to_string())
}

fn read(path: &Path) -> Result<Option<Checkpoint>, String> {
    match read_note(path)? {
        Some(note) => parse(&note).map(Some).map_err(|why| format!("{}: {why}", path.display())),
        None => Ok(None),
    }
}

/// None if there is no such file. A folder that isn't there is a place that can't be read.
fn read_note(path: &Path) -> Result<Option<String>, String> {
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut note = Vec::new();
    file.take(MAX_NOTE_BYTES as u64 + 1).read_to_end(&mut note).map_err(failed)?;
    // What is longer than a note, or no text, is none: it is told as that where it is parsed.
    Ok(Some(String::from_utf8_lossy(&note).into_owned()))
}

/// Readers see the old file or the new one, also after a crash.
#[expect(
    clippy::disallowed_methods,
    reason = "a boundary of a form, which has to differ and to be guessed by nobody it matters to"
)]
fn write(folder: &Path, path: &Path, text: &str) -> io::Result<()> {
    // A name of its own: replicas in containers share folders and process ids.
    let own = RandomState::new().hash_one(std::process::id());
    let temporary = folder.join(format!(".checkpoint-{own:016x}.new"));
    let put = || {
        let mut file = File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    if let Err(error) = put() {
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_log::LogSigner;

    fn note(log: &str, size: u64, root: u8) -> String {
        LogSigner::from_seed(log, 0, &[7; 32]).unwrap().checkpoint(size, [root; 32]).to_string()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn every_checkpoint_is_kept_and_the_newest_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let push = FilePush::new(folder.path());
        for size in [3, 3, 300] {
            push.push(&note("log", size, 1)).await.unwrap();
        }
        assert_eq!(names(folder.path()), ["checkpoint", "checkpoint-3", "checkpoint-300"]);
        assert_eq!(fs::read_to_string(folder.path().join("checkpoint")).unwrap(), note("log", 300, 1));
        assert_eq!(fs::read_to_string(folder.path().join("checkpoint-3")).unwrap(), note("log", 3, 1));
    }

    #[tokio::test]
    async fn a_rollback_a_fork_and_another_log_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let push = FilePush::new(folder.path());
        push.push(&note("log", 3, 1)).await.unwrap();
        push.push(&note("log", 9, 1)).await.unwrap();
        for (bad, why) in [
            (note("log", 3, 2), "rolled back or forked"),
            (note("log", 9, 2), "rolled back or forked"),
            (note("log", 5, 1), "rolled back, or another server is ahead"),
            (note("other", 10, 1), "of another log"),
            ("no note".to_owned(), "note"),
        ] {
            let error = push.push(&bad).await.unwrap_err();
            assert!(error.why.contains(why), "{error}");
        }
        assert_eq!(names(folder.path()), ["checkpoint", "checkpoint-3", "checkpoint-9"]);
        assert_eq!(fs::read_to_string(folder.path().join("checkpoint")).unwrap(), note("log", 9, 1));
    }

    #[tokio::test]
    async fn a_missing_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let push = FilePush::new(folder.path().join("not-mounted"));
        assert!(push.push(&note("log", 3, 1)).await.is_err());
    }

    #[tokio::test]
    async fn a04_later_epochs_are_found_whenever_they_appear() {
        let folder = tempfile::tempdir().unwrap();
        let (mounted, away) = (folder.path().join("mounted"), folder.path().join("away"));
        fs::create_dir(&mounted).unwrap();
        let push = FilePush::new(&mounted);
        for other in ["epoch-0x1", "epoch-", "epoch-01", "epoch-99999999999999999999", "checkpoint-3"] {
            fs::create_dir(mounted.join(other)).unwrap();
        }
        assert!(push.epochs_after(0).await.unwrap().is_empty());
        push.push(&note("log/epoch-1", 3, 1)).await.unwrap();
        push.push(&note("log/epoch-4", 3, 1)).await.unwrap();
        assert_eq!(push.epochs_after(0).await.unwrap(), [1, 4]);
        assert_eq!(FilePush::new(&mounted).epochs_after(0).await.unwrap(), [1, 4]);
        assert!(push.epochs_after(4).await.unwrap().is_empty());
        assert_eq!(push.newest("log/epoch-4/0").await.unwrap(), Some(note("log/epoch-4", 3, 1)));
        // Another disk is mounted there.
        fs::rename(&mounted, &away).unwrap();
        assert!(push.epochs_after(0).await.is_err());
        fs::create_dir_all(mounted.join("epoch-300")).unwrap();
        assert_eq!(push.epochs_after(0).await.unwrap(), [300]);
    }

    #[tokio::test]
    async fn a04_what_is_longer_than_a_note_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        File::create(folder.path().join(NEWEST)).unwrap().set_len(1 << 32).unwrap();
        let read = FilePush::new(folder.path()).newest("log/0").await.unwrap().unwrap();
        assert!(read.len() <= MAX_NOTE_BYTES + 1);
        assert_eq!(FilePush::newest_only(folder.path()).pace(), Duration::ZERO);
    }
}
