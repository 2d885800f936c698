//! Servers that a task starts and stops again.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

use crate::workspace::show;

const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);
const LOG_TAIL: usize = 3_000;

/// A running server; killed if dropped.
pub struct Server {
    name: String,
    child: Child,
    pid: Pid,
    log: PathBuf,
}

impl Server {
    /// Starts it with its output going to `log`, in a process group of its own: a ctrl-c in the terminal is for us, who
    /// then stop it.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let out = File::create(log).with_context(|| format!("could not make {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).process_group(0);
        let shown = show(&command);
        let child = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("could not start {shown}"))?;
        let pid = child
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()))
            .with_context(|| format!("{name} ended at once"))?;
        Ok(Self { name: name.to_owned(), child, pid, log: log.to_owned() })
    }

    /// The process id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits until `ready` says so; fails if the server ends or a minute passes, with the end of its log.
    pub async fn until(&mut self, mut ready: impl AsyncFnMut() -> bool) -> Result<()> {
        let start = Instant::now();
        while !ready().await {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}; its log says:\n{}", self.name, self.log_tail());
            }
            if start.elapsed() > PATIENCE {
                bail!("{} is not ready after {PATIENCE:?}; its log says:\n{}", self.name, self.log_tail());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// The end of what it printed.
    pub fn log_tail(&self) -> String {
        let text =
            std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let skip = text.len().saturating_sub(LOG_TAIL);
        text.char_indices()
            .find(|(at, _)| *at >= skip)
            .and_then(|(at, _)| text.get(at..))
            .unwrap_or_default()
            .to_owned()
    }

    /// Asks it to end with `signal` and kills it if it hasn't after 20 seconds.
    pub async fn stop(mut self, signal: Signal) -> Result<()> {
        if self.child.try_wait()?.is_none() {
            kill_process(self.pid, signal).with_context(|| format!("could not stop {}", self.name))?;
        }
        if tokio::time::timeout(Duration::from_secs(20), self.child.wait()).await.is_err() {
            eprintln!("{} does not stop and is killed", self.name);
            self.child.kill().await?;
        }
        Ok(())
    }
}

/// The folders in `base` named `<prefix><pid>` whose process is gone: what tasks left behind because they were killed.
pub fn abandoned(base: &Path, prefix: &str) -> Vec<PathBuf> {
    let is_abandoned = |folder: &PathBuf| {
        let name = folder.file_name().and_then(|name| name.to_str());
        let owner = name.and_then(|name| name.strip_prefix(prefix)).and_then(|pid| pid.parse::<u32>().ok());
        owner.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
    };
    std::fs::read_dir(base).into_iter().flatten().flatten().map(|entry| entry.path()).filter(is_abandoned).collect()
}

/// A port on 127.0.0.1 that nobody uses now.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn only_folders_of_processes_that_are_gone_are_abandoned() {
        let base = tempfile::tempdir().unwrap();
        let gone = base.path().join("pg-4194999");
        for folder in [
            &gone,
            &base.path().join(format!("pg-{}", std::process::id())),
            &base.path().join("pg-x"),
            &base.path().join("venv"),
        ] {
            std::fs::create_dir_all(folder).unwrap();
        }
        assert_eq!(abandoned(base.path(), "pg-"), [gone]);
    }

    #[tokio::test]
    async fn a_server_that_ends_before_it_is_ready_shows_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut server =
            Server::spawn("toy", shell("echo the port is taken; exit 3"), &folder.path().join("log")).unwrap();
        let error = server.until(async || false).await.unwrap_err().to_string();
        assert!(error.contains("toy ended with exit status: 3"), "{error}");
        assert!(error.contains("the port is taken"), "{error}");
    }

    #[tokio::test]
    async fn a_server_is_stopped_with_the_signal_that_it_wants() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut server =
            Server::spawn("toy", shell("trap 'echo bye; exit 0' INT; echo up; while :; do sleep 0.01; done"), &log)
                .unwrap();
        server.until(async || std::fs::read_to_string(&log).unwrap().contains("up")).await.unwrap();
        let pid = server.pid();
        server.stop(Signal::INT).await.unwrap();
        assert!(std::fs::read_to_string(&log).unwrap().contains("bye"));
        assert!(rustix::process::test_kill_process(pid).is_err(), "it is gone");
    }
}
