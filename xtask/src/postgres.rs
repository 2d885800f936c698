//! A private PostgreSQL: its own data folder and port, gone when the task ends.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, getuid, kill_process};

use crate::process::{Server, abandoned, free_port};
use crate::workspace::output;

const INSTALLED: &str = "/usr/lib/postgresql";
/// How often another port is tried when somebody takes ours between looking and binding.
const ATTEMPTS: usize = 3;

/// Whether a commit survives a power cut: benches must pay for it, tests need not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// `fsync` on, as shipped.
    Durable,
    /// `fsync` off.
    Fast,
}

/// A server's certificate and key, in PEM.
#[derive(Debug)]
pub struct Tls {
    /// The file of the certificate.
    pub certificate: PathBuf,
    /// The file of its key.
    pub key: PathBuf,
}

/// A running private PostgreSQL. Stop it with [`Postgres::stop`]; dropped, it is killed and its folder removed.
pub struct Postgres {
    server: Option<Server>,
    folder: PathBuf,
    port: u16,
}

impl Postgres {
    /// Makes a cluster in a new folder under `base` and starts it on 127.0.0.1, without passwords. As root it runs as
    /// the user `postgres`, since PostgreSQL refuses root.
    pub async fn start(base: &Path, durability: Durability) -> Result<Self> {
        Self::launch(base, durability, "pg-", None).await
    }

    /// The same, asking for passwords, over TLS alone; the superuser has this one.
    pub async fn start_with_passwords(base: &Path, durability: Durability, tls: &Tls, password: &str) -> Result<Self> {
        Self::launch(base, durability, "pg-passwords-", Some((tls, password))).await
    }

    async fn launch(
        base: &Path,
        durability: Durability,
        prefix: &str,
        passwords: Option<(&Tls, &str)>,
    ) -> Result<Self> {
        let tools = tools().context("PostgreSQL is not installed: cargo xtask peers")?;
        let user = ServerUser::find()?;
        let base = reachable(base, &user);
        fs::create_dir_all(&base)?;
        sweep(&base, prefix);
        let folder = base.join(format!("{prefix}{}", std::process::id()));
        let data = folder.join("data");
        fs::create_dir_all(&folder)?;
        user.give(&folder)?;
        let mut postgres = Self { server: None, folder: folder.clone(), port: 0 };
        let mut initdb = user.command(&tools.join("initdb"), &folder);
        initdb.arg("--pgdata").arg(&data).args(["--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        let mut settings = settings(durability);
        match passwords {
            None => output(initdb.arg("--auth=trust"))?,
            Some((tls, password)) => {
                for (from, to) in [(&tls.certificate, "server.crt"), (&tls.key, "server.key")] {
                    let to = folder.join(to);
                    fs::copy(from, &to)?;
                    fs::set_permissions(&to, fs::Permissions::from_mode(0o600))?;
                    user.give(&to)?;
                    settings.push_str(&format!(
                        "ssl_{}_file = '{}'\n",
                        if from == &tls.key { "key" } else { "cert" },
                        to.display()
                    ));
                }
                settings.push_str("ssl = on\n");
                if durability == Durability::Fast {
                    // Whose commits wait for a standby waits for ever: nobody's do that don't ask for it.
                    settings.push_str("synchronous_standby_names = 'gone'\n");
                }
                let file = folder.join("password");
                fs::write(&file, password)?;
                user.give(&file)?;
                let made = output(initdb.arg("--auth=scram-sha-256").arg("--pwfile").arg(&file))?;
                fs::write(data.join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 scram-sha-256\n")?;
                made
            }
        };
        fs::write(data.join("postgresql.auto.conf"), settings)?;
        for _ in 0..ATTEMPTS {
            postgres.port = free_port()?;
            let mut command = user.command(&tools.join("postgres"), &folder);
            command.arg("-D").arg(&data).args(["-p", &postgres.port.to_string()]);
            let mut server = Server::spawn("PostgreSQL", command, &folder.join("log"))?;
            let port = postgres.port.to_string();
            let ready = server
                .until(async || {
                    Command::new(tools.join("pg_isready"))
                        .args(["-q", "-h", "127.0.0.1", "-p", &port])
                        .status()
                        .is_ok_and(|s| s.success())
                })
                .await;
            match ready {
                Ok(()) => {
                    postgres.server = Some(server);
                    return Ok(postgres);
                }
                Err(_) if server.log_tail().contains("Address already in use") => {}
                Err(why) => return Err(why),
            }
        }
        bail!("found no free port for PostgreSQL in {ATTEMPTS} attempts");
    }

    /// Where clients connect to, as the superuser.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The postmaster, parent of all server processes.
    pub fn pid(&self) -> Option<Pid> {
        self.server.as_ref().map(Server::pid)
    }

    /// Ends its sessions, stops it, and removes its folder.
    pub async fn stop(mut self) -> Result<()> {
        if let Some(server) = self.server.take() {
            server.stop(Signal::INT).await?;
        }
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.server.take());
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn settings(durability: Durability) -> String {
    let durable = match durability {
        Durability::Durable => "",
        Durability::Fast => "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n",
    };
    format!(
        "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 200\nlog_timezone = 'UTC'\ntimezone = 'UTC'\n{durable}"
    )
}

/// The programs of the newest PostgreSQL that is installed.
pub fn tools() -> Option<PathBuf> {
    let installed = fs::read_dir(INSTALLED).ok()?.flatten().map(|version| version.path().join("bin"));
    installed.filter(|bin| bin.join("initdb").is_file()).max_by_key(|bin| version(bin))
}

fn version(bin: &Path) -> u32 {
    bin.parent()
        .and_then(Path::file_name)
        .and_then(|name| name.to_str())
        .and_then(|name| name.parse().ok())
        .unwrap_or(0)
}

/// Whom PostgreSQL runs as.
struct ServerUser(Option<(u32, u32)>);

impl ServerUser {
    fn find() -> Result<Self> {
        if !getuid().is_root() {
            return Ok(Self(None));
        }
        let users = fs::read_to_string("/etc/passwd")?;
        parse_user(&users, "postgres")
            .map(|ids| Self(Some(ids)))
            .context("there is no user postgres to run PostgreSQL as: apt-get install postgresql")
    }

    fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder).env("LC_ALL", "C");
        if let Self(Some((user, group))) = self {
            command.uid(*user).gid(*group);
        }
        command
    }

    fn give(&self, folder: &Path) -> Result<()> {
        match self {
            Self(None) => Ok(()),
            Self(Some((user, group))) => std::os::unix::fs::chown(folder, Some(*user), Some(*group))
                .with_context(|| format!("could not give {} away", folder.display())),
        }
    }
}

fn parse_user(passwd: &str, name: &str) -> Option<(u32, u32)> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// `base`, or a folder under /var/tmp where the user can't get to `base` because a folder above it is closed (a clone
/// below /root).
fn reachable(base: &Path, user: &ServerUser) -> PathBuf {
    let open = base
        .ancestors()
        .filter_map(|folder| fs::metadata(folder).ok())
        .all(|folder| folder.permissions().mode() & 0o001 != 0);
    if user.0.is_none() || open {
        base.to_owned()
    } else {
        PathBuf::from(format!("/var/tmp/tenure-xtask-{}", getuid().as_raw()))
    }
}

/// Stops and removes what earlier tasks left behind.
fn sweep(base: &Path, prefix: &str) {
    for folder in abandoned(base, prefix) {
        if let Some(postmaster) = left_behind(&folder.join("data")) {
            let _ = kill_process(postmaster, Signal::QUIT);
        }
        let _ = fs::remove_dir_all(&folder);
    }
}

/// The postmaster that still serves `data`. Its working folder is its data folder, which tells it from whoever got its
/// number since.
fn left_behind(data: &Path) -> Option<Pid> {
    let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let pid: i32 = text.lines().next()?.trim().parse().ok()?;
    let working_folder = fs::metadata(format!("/proc/{pid}/cwd")).ok()?;
    let folder = fs::metadata(data).ok()?;
    let same = working_folder.dev() == folder.dev() && working_folder.ino() == folder.ino();
    Pid::from_raw(pid).filter(|_| same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_whole_name() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\npostgres-exporter:x:7:8::/:/bin/sh\npostgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(parse_user(passwd, "postgres"), Some((101, 104)));
        assert_eq!(parse_user(passwd, "mysql"), None);
    }

    #[test]
    fn only_tests_go_without_fsync() {
        assert!(settings(Durability::Fast).contains("fsync = off"));
        assert!(!settings(Durability::Durable).contains("fsync"));
        assert!(settings(Durability::Durable).contains("listen_addresses = '127.0.0.1'"));
    }

    #[test]
    fn the_newest_version_counts_as_a_number() {
        assert!(version(Path::new("/usr/lib/postgresql/15/bin")) > version(Path::new("/usr/lib/postgresql/9/bin")));
    }

    #[tokio::test]
    async fn a_private_server_starts_answers_and_leaves_nothing() {
        if tools().is_none() {
            return;
        }
        let base = tempfile::tempdir().unwrap();
        fs::set_permissions(base.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let postgres = Postgres::start(base.path(), Durability::Fast).await.unwrap();
        let execute = |sql: &str| {
            output(Command::new(tools().unwrap().join("psql")).args([
                &postgres.url(),
                "--no-psqlrc",
                "--tuples-only",
                "--command",
                sql,
            ]))
        };
        assert_eq!(execute("show fsync").unwrap().trim(), "off");
        assert!(execute("select nonsense").is_err());
        let pid = postgres.pid().unwrap();
        postgres.stop().await.unwrap();
        assert!(rustix::process::test_kill_process(pid).is_err());
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
    }
}
