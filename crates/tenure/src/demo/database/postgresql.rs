//! A PostgreSQL of the demo's own, where one is installed: on a free port of this machine, with passwords, in a folder
//! that goes with it.

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, getuid, kill_process};
use serde_json::{Value, json};

use super::{Answered, CONNECTOR, LOGIN, PAUSE, TRIES, drawn, free_port};

/// Where Debian keeps each version's programs.
const INSTALLED: &str = "/usr/lib/postgresql";
/// Where its folder is when whom it runs as can't get into the demo's.
const ELSEWHERE: &str = "/var/tmp";
/// Whom it runs as for root, which PostgreSQL refuses: the first of these that there is.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];
const SUPERUSER: &str = "postgres";

/// A running PostgreSQL, which goes with the demo.
pub struct Postgres {
    child: Child,
    tools: PathBuf,
    port: u16,
    connector: String,
    secret: String,
    // Declared last: it goes when nothing uses it any more.
    _folder: Folder,
}

impl Postgres {
    /// Makes one and starts it; none if there is none to start.
    ///
    /// # Errors
    /// It is installed and doesn't serve.
    pub async fn start(base: &Path) -> anyhow::Result<Option<Self>> {
        let Some(tools) = tools() else { return Ok(None) };
        let user = User::find()?;
        let folder = Folder::make(base, &user)?;
        let (superuser, connector, secret) = (drawn(), drawn(), drawn());
        let password = folder.0.join("password");
        crate::server::write_secret(&password, &superuser)?;
        user.give(&password)?;
        let data = folder.0.join("data");
        let mut made = user.command(&tools.join("initdb"), &folder.0);
        made.arg("--pgdata").arg(&data).arg("--pwfile").arg(&password).arg(format!("--username={SUPERUSER}"));
        made.args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        succeeded(output(made).await?)?;
        let port = free_port().await?;
        let child = serving(&user, &tools, &folder.0, port)?;
        let postgres = Self { child, tools, port, connector, secret, _folder: folder };
        postgres.furnish(&superuser).await?;
        Ok(Some(postgres))
    }

    /// Logins as people made them once, one with what it may do and with whom it is, as far as somebody wrote it down;
    /// and the connector's, which may do what `tenure target rights postgresql` says.
    async fn furnish(&self, superuser: &str) -> anyhow::Result<()> {
        let (connector, secret) = (&self.connector, &self.secret);
        let sql = format!(
            "CREATE ROLE shop; CREATE TABLE invoices (number int); ALTER TABLE invoices OWNER TO shop; \
             CREATE ROLE {LOGIN} LOGIN PASSWORD '{secret}'; GRANT SELECT ON invoices TO {LOGIN}; \
             COMMENT ON ROLE {LOGIN} IS 'owner: lea@harbour.example'; \
             CREATE ROLE {CONNECTOR} LOGIN CREATEROLE PASSWORD '{connector}'; GRANT pg_signal_backend TO {CONNECTOR}; \
             GRANT shop, {LOGIN} TO {CONNECTOR} WITH ADMIN OPTION"
        );
        let mut last = String::new();
        for _ in 0..TRIES {
            let said = self.psql(SUPERUSER, superuser, &sql).await?;
            if said.status.success() {
                return Ok(());
            }
            last = words(&said);
            tokio::time::sleep(PAUSE).await;
        }
        bail!("the PostgreSQL of the demo doesn't begin to serve: {last}")
    }

    /// How it is registered.
    pub fn endpoint(&self) -> Value {
        json!({"url": format!("postgres://127.0.0.1:{}/postgres", self.port), "plaintext": true})
    }

    /// The connector's own secret.
    pub fn connector(&self) -> &str {
        &self.connector
    }

    /// What psql says to whoever signs in with the login.
    ///
    /// # Errors
    /// psql can't be started.
    pub async fn asked(&self) -> anyhow::Result<Answered> {
        let said = self.psql(LOGIN, &self.secret, "SELECT count(*) FROM invoices").await?;
        let words = words(&said);
        let takes = said.status.success();
        Ok(Answered { takes, is_refusal: !takes && words.contains("FATAL: "), words })
    }

    async fn psql(&self, name: &str, secret: &str, sql: &str) -> anyhow::Result<Output> {
        let mut psql = Command::new(self.tools.join("psql"));
        psql.arg(format!("host=127.0.0.1 port={} user={name} dbname=postgres connect_timeout=10", self.port));
        psql.args(["--no-psqlrc", "--no-password", "--tuples-only", "--no-align", "--command", sql]);
        psql.env("PGPASSWORD", secret).env("LC_ALL", "C");
        output(psql).await
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Asked to end, it takes its shared memory with it; killed, it would leave that behind.
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let asked = pid.is_some_and(|pid| kill_process(pid, Signal::QUIT).is_ok());
        let ended = if asked { Ok(()) } else { self.child.kill() };
        if let Err(error) = ended.and_then(|()| self.child.wait()) {
            tracing::warn!(%error, "the demo's PostgreSQL can't be stopped");
        }
    }
}

/// Begins to serve, with what it says in a file of its folder.
fn serving(user: &User, tools: &Path, folder: &Path, port: u16) -> anyhow::Result<Child> {
    let log = std::fs::File::create(folder.join("log"))?;
    let mut command = user.command(&tools.join("postgres"), folder);
    command.arg("-D").arg(folder.join("data")).args(["-p", &port.to_string()]);
    for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "max_connections=20"] {
        command.args(["-c", setting]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().context("PostgreSQL can't be started")
}

/// Runs a program to its end.
async fn output(command: Command) -> anyhow::Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::null()).output().await.with_context(|| format!("{name} can't be started"))
}

fn succeeded(said: Output) -> anyhow::Result<()> {
    ensure!(said.status.success(), "initdb made no database: {}", words(&said));
    Ok(())
}

/// What a program said, in one line.
fn words(said: &Output) -> String {
    let text = if said.status.success() { &said.stdout } else { &said.stderr };
    String::from_utf8_lossy(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where the programs of the newest PostgreSQL are: Debian's folders, or one that is searched for programs.
#[expect(clippy::disallowed_methods, reason = "the demo is a client at the edge: it reads its environment")]
fn tools() -> Option<PathBuf> {
    let is_whole = |bin: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|program| bin.join(program).is_file());
    let version = |bin: &PathBuf| {
        let name = bin.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        name.and_then(|name| name.parse::<u32>().ok()).unwrap_or(0)
    };
    let installed = std::fs::read_dir(INSTALLED).into_iter().flatten().flatten();
    let newest = installed.map(|entry| entry.path().join("bin")).filter(is_whole).max_by_key(version);
    newest.or_else(|| std::env::split_paths(&std::env::var_os("PATH")?).find(is_whole))
}

/// Whom PostgreSQL runs as: whoever runs the demo, or for root somebody who may do nothing.
struct User(Option<(u32, u32)>);

impl User {
    fn find() -> anyhow::Result<Self> {
        if !getuid().is_root() {
            return Ok(Self(None));
        }
        let known = std::fs::read_to_string("/etc/passwd").context("can't read /etc/passwd")?;
        let ids = UNPRIVILEGED.iter().find_map(|name| ids_of(&known, name));
        Ok(Self(Some(ids.context("it runs as root for nobody, and there is no user `postgres` or `nobody`")?)))
    }

    fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder).env("LC_ALL", "C");
        if let Self(Some((user, group))) = self {
            command.uid(*user).gid(*group);
        }
        command
    }

    fn give(&self, path: &Path) -> anyhow::Result<()> {
        match self {
            Self(None) => Ok(()),
            Self(Some((user, group))) => std::os::unix::fs::chown(path, Some(*user), Some(*group))
                .with_context(|| format!("can't give {} away", path.display())),
        }
    }

    /// A folder in which a folder of theirs can be reached: the demo's own is closed to everybody else.
    fn base<'a>(&self, base: &'a Path) -> &'a Path {
        let is_open = |folder: &Path| std::fs::metadata(folder).is_ok_and(|it| it.permissions().mode() & 0o001 != 0);
        if self.0.is_none() || base.ancestors().filter(|it| it.is_absolute()).all(is_open) {
            base
        } else {
            Path::new(ELSEWHERE)
        }
    }
}

fn ids_of(passwd: &str, name: &str) -> Option<(u32, u32)> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// A folder that goes with what is in it.
struct Folder(PathBuf);

impl Folder {
    fn make(base: &Path, user: &User) -> anyhow::Result<Self> {
        let folder = user.base(base).join(format!("tenure-demo-postgresql-{}", drawn()));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&folder);
        made.with_context(|| format!("can't make the folder {}", folder.display()))?;
        let folder = Self(folder);
        user.give(&folder.0)?;
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, folder = %self.0.display(), "can't remove the folder of the demo's PostgreSQL");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_somebody_else_there() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\npostgres-exporter:x:7:8::/:/bin/sh\npostgres:x:101:104:,,,:/:\n";
        assert_eq!(ids_of(passwd, "postgres"), Some((101, 104)));
        assert_eq!(ids_of(passwd, "nobody"), None);
        let closed = tempfile::tempdir().unwrap();
        std::fs::set_permissions(closed.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(User(None).base(closed.path()), closed.path());
        assert_eq!(User(Some((101, 104))).base(closed.path()), Path::new(ELSEWHERE));
    }
}
