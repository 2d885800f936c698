//! How `log verify` goes through an export: how far it is, and where it was left off.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, ErrorKind, IsTerminal as _, Read as _, Write as _};
use std::ops::ControlFlow;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tenure_log::verify::{MAX_BOOKMARK_BYTES, processors};
use tenure_log::{
    Bookmark, BookmarkError, Expectations, Faults, Progress, Run, Unfinished, Verified, verify_export_with,
};

use super::super::failure::Failure;
use super::super::output::width_of_talk;

/// How often a terminal is told how far it is.
const TOLD_EVERY: Duration = Duration::from_millis(250);

/// How often it is noted where to go on.
const NOTED_EVERY: Duration = Duration::from_secs(5);

/// Verifies `file`; `-` is standard input. With `resume` it goes on from what that file says, if there is one, and notes
/// there how far it has come.
pub(super) fn verdict(
    file: &Path,
    resume: Option<&Path>,
    expected: &Expectations<'_>,
) -> anyhow::Result<Result<Verified, Faults>> {
    let from = match resume {
        None => None,
        Some(_) if file == Path::new("-") => {
            return Err(Failure::usage("--resume takes a file to verify: standard input doesn't come twice").into());
        }
        Some(path) => left_off(path)?,
    };
    if let Some(bookmark) = &from {
        eprintln!(
            "going on behind entry {}: what was verified before is read again and has to be the same",
            bookmark.entries()
        );
    }
    let mut watch = Watch::new(resume.map(|path| Notes::new(path.to_owned())));
    let mut watched = |progress: &Progress<'_>| watch.look(progress);
    let run = Run { threads: processors(), from, bookmarks: resume.is_some(), watch: &mut watched };
    let verdict = if file == Path::new("-") {
        verify_export_with(std::io::stdin().lock(), expected, run)
    } else {
        let file = File::open(file).with_context(|| format!("can't read {}", file.display()))?;
        verify_export_with(BufReader::new(file), expected, run)
    };
    watch.clear();
    match (verdict, resume) {
        (Ok(verdict), Some(path)) => {
            // Whatever was noted has led to this verdict, and is of no more use.
            let _ = std::fs::remove_file(path);
            Ok(verdict)
        }
        (Ok(verdict), None) => Ok(verdict),
        (Err(Unfinished::Bookmark(error)), Some(path)) => Err(unusable(path, error)),
        (Err(unfinished), _) => Err(watch.stopped(unfinished)),
    }
}

/// What a file says about where it was left off; none if there is no such file.
fn left_off(path: &Path) -> anyhow::Result<Option<Bookmark>> {
    let failed = || format!("can't read {}", path.display());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(failed),
    };
    let metadata = file.metadata().with_context(failed)?;
    if !metadata.is_file() {
        return Err(unusable(path, BookmarkError::Malformed));
    }
    // It is believed as the key is. Nobody else may have written it.
    if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
        return Err(Failure::usage(format!("others than you may have written {}", path.display()))
            .hint("what it says was verified isn't verified again; delete it, or name another file, to begin anew")
            .into());
    }
    let mut text = String::new();
    match file.take(MAX_BOOKMARK_BYTES as u64 + 1).read_to_string(&mut text) {
        Err(error) if error.kind() == ErrorKind::InvalidData => Err(unusable(path, BookmarkError::Malformed)),
        Err(error) => Err(error).with_context(failed),
        Ok(_) => Bookmark::parse(&text).map(Some).map_err(|error| unusable(path, error)),
    }
}

fn unusable(path: &Path, error: BookmarkError) -> anyhow::Error {
    Failure::usage(format!("can't go on from {}: {error}", path.display()))
        .hint("delete it, or name another file, to begin anew")
        .into()
}

/// Looks on while an export is verified.
struct Watch {
    began: Instant,
    /// When the terminal was told something, or when it began.
    told: Instant,
    terminal: bool,
    /// Whether a line stands on the terminal.
    shown: bool,
    /// The first entry of this run.
    first: Option<u64>,
    notes: Option<Notes>,
    failed: Option<anyhow::Error>,
}

impl Watch {
    fn new(notes: Option<Notes>) -> Self {
        let began = now();
        let terminal = std::io::stderr().is_terminal();
        Self { began, told: began, terminal, shown: false, first: None, notes, failed: None }
    }

    fn look(&mut self, progress: &Progress<'_>) -> ControlFlow<()> {
        let at = now();
        if self.terminal && at.duration_since(self.told) >= TOLD_EVERY {
            self.told = at;
            self.tell(progress, at);
        }
        let Some(notes) = &mut self.notes else {
            return ControlFlow::Continue(());
        };
        match notes.look(progress, at) {
            Ok(goes_on) => goes_on,
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    fn tell(&mut self, progress: &Progress<'_>, at: Instant) {
        let line = if progress.entries == 0 {
            format!("{} MiB of what was verified before", progress.bytes >> 20)
        } else {
            if self.first.is_none() {
                self.first = Some(progress.entries);
                self.began = at;
            }
            let of_this_run = progress.entries.saturating_sub(self.first.unwrap_or_default());
            let (entries, all) = (progress.entries - progress.first, progress.size.saturating_sub(progress.first));
            told(entries, all, of_this_run, at.duration_since(self.began))
        };
        let width = width_of_talk().unwrap_or(80).saturating_sub(1);
        let line: String = line.chars().take(width).collect();
        self.shown = true;
        eprint!("\r{line:<width$}");
    }

    /// Leaves the terminal's line to whatever comes next.
    fn clear(&self) {
        if self.shown {
            let width = width_of_talk().unwrap_or(80).saturating_sub(1);
            eprint!("\r{:width$}\r", "");
        }
    }

    fn stopped(&mut self, unfinished: Unfinished) -> anyhow::Error {
        match (self.failed.take(), &self.notes) {
            (Some(error), _) => error,
            (None, Some(notes)) => Failure::new("stopped before there was a verdict")
                .hint(format!("the same command goes on from {}", notes.path.display()))
                .into(),
            (None, None) => unfinished.into(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the command line is at the edge: it says how long something takes")]
fn now() -> Instant {
    Instant::now()
}

/// A line about how far it is: `1,234,567 of 5,000,000 entries, 24 %, 512,000 a second, 8 s left`.
fn told(entries: u64, size: u64, of_this_run: u64, since: Duration) -> String {
    let share = if size == 0 { 100 } else { (u128::from(entries) * 100 / u128::from(size)).min(100) };
    let mut line = format!("{} of {} entries, {share} %", grouped(entries), grouped(size));
    let millis = since.as_millis().max(1);
    let rate = u64::try_from(u128::from(of_this_run) * 1000 / millis).unwrap_or(u64::MAX);
    if let Some(left) = size.saturating_sub(entries).checked_div(rate) {
        let left = match left {
            0..120 => format!("{left} s"),
            120..7200 => format!("{} min", left / 60),
            _ => format!("{} h", left / 3600),
        };
        line.push_str(&format!(", {} a second, {left} left", grouped(rate)));
    }
    line
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The file that says where it was left off.
struct Notes {
    path: PathBuf,
    noted: Option<Instant>,
    interrupted: Arc<AtomicBool>,
}

impl Notes {
    /// From here on an interruption is waited for, so that it can be noted how far it came.
    fn new(path: PathBuf) -> Self {
        let interrupted = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&interrupted);
        tokio::spawn(async move {
            let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
            let terminated = async {
                match &mut term {
                    Some(term) => term.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated => {}
            }
            flag.store(true, Ordering::Relaxed);
        });
        Self { path, noted: None, interrupted }
    }

    /// Notes how far it is, at once for the first time: then it is known that it can be.
    fn look(&mut self, progress: &Progress<'_>, at: Instant) -> anyhow::Result<ControlFlow<()>> {
        let interrupted = self.interrupted.load(Ordering::Relaxed);
        let due = self.noted.is_none_or(|noted| at.duration_since(noted) >= NOTED_EVERY);
        if (due || interrupted)
            && let Some(bookmark) = progress.bookmark()
        {
            self.noted = Some(at);
            self.note(&bookmark).with_context(|| format!("can't write {}", self.path.display()))?;
        }
        Ok(if interrupted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// What stands under the name is whole, or what stood there before.
    fn note(&self, bookmark: &Bookmark) -> std::io::Result<()> {
        let mut partial = self.path.clone().into_os_string();
        partial.push(".partial");
        match std::fs::remove_file(&partial) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
        file.write_all(bookmark.to_text().as_bytes())?;
        std::fs::rename(&partial, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is_and_how_long_it_takes() {
        let told = |entries, size, run, seconds| told(entries, size, run, Duration::from_secs(seconds));
        assert_eq!(
            told(1_234_567, 5_000_000, 1_234_567, 2),
            "1,234,567 of 5,000,000 entries, 24 %, 617,283 a second, 6 s left"
        );
        assert_eq!(told(1000, 1_000_000, 0, 0), "1,000 of 1,000,000 entries, 0 %");
        assert_eq!(told(500_010, 100_000_000, 10, 10), "500,010 of 100,000,000 entries, 0 %, 1 a second, 27638 h left");
        // What a header says needn't be so.
        assert_eq!(told(7, 0, 7, 1), "7 of 0 entries, 100 %, 7 a second, 0 s left");
        assert!(told(u64::MAX, 1, u64::MAX, 0).contains("100 %"));
    }
}
