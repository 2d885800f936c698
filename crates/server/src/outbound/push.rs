//! Where checkpoints go: a folder, or a receiver over HTTP. Whoever keeps them can show later that the log was rolled back.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::Url;
use tenure_core::port::BoxFuture;
use tenure_engine::outbound::{FetchError, Push};
use tenure_log::{Checkpoint, SignedNote};

use super::Outbound;

/// Keeps checkpoints in a folder, best on another disk or machine: the newest as `checkpoint`, each as `checkpoint-<size>`. Those of a later
/// epoch, which has a log of its own name, go into a folder beside them, `epoch-<number>`.
#[derive(Debug)]
pub struct FilePush {
    folder: PathBuf,
    each: bool,
}

impl FilePush {
    /// Keeps them in this folder, which must exist: a mount that is missing is noticed.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            each: true,
        }
    }

    /// Keeps the newest alone.
    pub fn newest_only(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            each: false,
        }
    }
}

impl Push for FilePush {
    fn target(&self) -> String {
        self.folder.display().to_string()
    }

    fn newest<'a>(&'a self, origin: &'a str) -> BoxFuture<'a, Result<Option<String>, FetchError>> {
        Box::pin(async move {
            let newest = folder_of(&self.folder, origin).join(NEWEST);
            let read = tokio::task::spawn_blocking(move || read_note(&newest)).await;
            read.unwrap_or_else(|error| Err(error.to_string()))
                .map_err(|why| FetchError { url: self.target(), why })
        })
    }

    fn push<'a>(&'a self, checkpoint: &'a str) -> BoxFuture<'a, Result<(), FetchError>> {
        Box::pin(async move {
            let (folder, each, checkpoint) = (self.folder.clone(), self.each, checkpoint.to_owned());
            let kept = tokio::task::spawn_blocking(move || keep(&folder, each, &checkpoint)).await;
            kept.unwrap_or_else(|error| Err(error.to_string()))
                .map_err(|why| FetchError { url: self.target(), why })
        })
    }
}

/// The newest checkpoint's name in its folder.
const NEWEST: &str = "checkpoint";

/// Where the checkpoints of a log of this origin are kept, which names its epoch from the second on.
fn folder_of(folder: &Path, origin: &str) -> PathBuf {
    let number = |segment: &str| segment.strip_prefix("epoch-").and_then(|number| number.parse::<u64>().ok());
    match origin.split('/').find_map(number) {
        Some(number) => folder.join(format!("epoch-{number}")),
        None => folder.to_owned(),
    }
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
        Some(kept) if kept.origin != given.origin => return Err(format!("the checkpoint there is of another log, {}", kept.origin)),
        Some(kept) if kept.size > given.size => {
            return Err(format!(
                "the checkpoint there covers {} entries, this one {}: the log was rolled back, or another server is ahead",
                kept.size, given.size
            ));
        }
        Some(kept) if kept.size == given.size && kept != given => return Err(format!("another checkpoint of {} entries was kept before", given.size)),
        _ => {}
    }
    let history = if each { write(folder, &of_size, note) } else { Ok(()) };
    history.and_then(|()| write(folder, &newest, note)).map_err(|error| error.to_string())
}

fn parse(note: &str) -> Result<Checkpoint, String> {
    let note = SignedNote::parse(note).map_err(|error| error.to_string())?;
    Checkpoint::parse_text(&note.text).map_err(|error| error.to_string())
}

fn read(path: &Path) -> Result<Option<Checkpoint>, String> {
    match read_note(path)? {
        Some(note) => parse(&note).map(Some).map_err(|why| format!("{}: {why}", path.display())),
        None => Ok(None),
    }
}

fn read_note(path: &Path) -> Result<Option<String>, String> {
    match fs::read_to_string(path) {
        Ok(note) => Ok(Some(note)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// Readers see the old file or the new one, also after a crash.
fn write(folder: &Path, path: &Path, text: &str) -> io::Result<()> {
    let temporary = folder.join(format!(".checkpoint-{}.new", std::process::id()));
    let mut file = File::create(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}

/// Posts checkpoints as `text/plain` to a receiver, under the rules for everything outbound (S-17).
pub struct WebhookPush {
    outbound: Arc<Outbound>,
    url: Url,
}

impl WebhookPush {
    /// Posts to this URL.
    ///
    /// # Errors
    /// It is no URL.
    pub fn new(outbound: Arc<Outbound>, url: &str) -> Result<Self, FetchError> {
        let url = Url::parse(url).map_err(|error| FetchError {
            url: "the URL for checkpoints".into(),
            why: error.to_string(),
        })?;
        Ok(Self { outbound, url })
    }
}

impl Push for WebhookPush {
    /// Without path and query, in which receivers have their secrets.
    fn target(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    fn push<'a>(&'a self, checkpoint: &'a str) -> BoxFuture<'a, Result<(), FetchError>> {
        Box::pin(async move {
            self.outbound
                .post(&self.url, checkpoint)
                .await
                .map_err(|why| FetchError { url: self.target(), why })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_log::LogSigner;

    fn note(log: &str, size: u64, root: u8) -> String {
        LogSigner::from_seed(log, 0, &[7; 32]).unwrap().checkpoint(size, [root; 32]).to_string()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
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
}
