//! Help for tests of this and other crates: a fixed row key, and real PostgreSQL databases.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test's helper fails by panicking: a missing server is a failed test"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use parking_lot::Mutex;
use tempfile::TempDir;
use tenure_core::base::id::EventId;
use tenure_core::base::time::Timestamp;
use tenure_core::store::changeset::Put;
use tenure_core::store::port::RowSealer;
use tenure_core::store::row::{Position, RowKey};
use tenure_core::store::use_note::UseKey;
use tenure_log::{Leaf, RowDigest, leaf_hash};

/// Names the server to use; without it, each process starts a private one.
const SERVER: &str = "TENURE_TEST_POSTGRES";
/// How long a server may take to start.
const START: Duration = Duration::from_secs(30);

/// A [`RowSealer`] with a key that everybody knows.
#[derive(Debug)]
pub struct TestSealer(hmac::Key);

impl TestSealer {
    /// The sealer; every instance is alike.
    pub fn new() -> Arc<Self> {
        Arc::new(Self(hmac::Key::new(hmac::HMAC_SHA256, b"not a secret: a key for tests")))
    }

    fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign().as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes")
    }
}

impl RowSealer for TestSealer {
    fn digest(&self, key: &RowKey, revision: u64, body: &[u8]) -> [u8; 32] {
        self.sign(&[b"row", &[key.kind.code()], key.id.as_bytes(), &revision.to_be_bytes(), body])
    }

    fn mac(&self, digest: &[u8; 32], created: Position, position: Position) -> [u8; 32] {
        let place =
            |position: Position| [position.shard.to_be_bytes().as_slice(), &position.index.to_be_bytes()].concat();
        self.sign(&[b"mac", digest, &place(created), &place(position)])
    }

    fn last_use(&self, subject: &str, at: Timestamp) -> [u8; 32] {
        self.sign(&[b"last use", &at.as_micros().to_be_bytes(), subject.as_bytes()])
    }

    fn use_note(&self, key: UseKey, body: &[u8]) -> [u8; 32] {
        self.sign(&[b"note", &key.part.code().to_be_bytes(), &key.identity.as_u128().to_be_bytes(), body])
    }
}

/// A real file system that is small enough to fill; it goes when this is dropped.
#[derive(Debug)]
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// Mounts one of so many MiB. That takes root (`CAP_SYS_ADMIN`): a full disk can't be had otherwise.
    pub fn new(mib: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m,mode=0700"), "tmpfs"])
            .arg(folder.path())
            .output();
        match mounted {
            Ok(mounted) if mounted.status.success() => Self(folder),
            failed => panic!(
                "this test fills a real file system and has to mount one: run it as root with CAP_SYS_ADMIN: {failed:?}"
            ),
        }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes so many MiB of it.
    pub fn take(&self, mib: usize) {
        fs::write(self.filler(), vec![0_u8; mib << 20]).expect("there is room for what is taken");
    }

    /// Takes all the room that is left, to the last page.
    pub fn fill(&self) {
        use std::io::Write;
        let filler = fs::OpenOptions::new().create(true).append(true).open(self.filler());
        let mut filler = filler.expect("a full disk has room for a name");
        for block in [vec![0_u8; 1 << 20], vec![0; 1 << 12]] {
            while filler.write_all(&block).is_ok() {}
        }
    }

    /// Gives back what was taken.
    pub fn make_room(&self) {
        fs::remove_file(self.filler()).expect("it was filled before");
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A server that has not closed its files yet must not keep the mount.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

/// A database on a real server; it goes when this is dropped.
pub struct TestPostgres {
    url: String,
    name: String,
    server: Arc<Server>,
    kept: bool,
}

impl TestPostgres {
    /// The database's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Leaves the database to its server, for [`copied_postgres`]; gives its name.
    pub fn keep(mut self) -> String {
        self.kept = true;
        self.name.clone()
    }
}

impl Drop for TestPostgres {
    fn drop(&mut self) {
        // A private server goes with all its databases.
        if self.server.process.is_none() && !self.kept {
            self.server.execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        }
    }
}

/// Makes a fresh database on the server that `TENURE_TEST_POSTGRES` names, or else on a private one that lives until
/// the last of this process's databases is dropped.
///
/// # Panics
/// If there is no PostgreSQL: a test that needs it has failed.
pub fn postgres() -> TestPostgres {
    database_on(Server::shared())
}

/// Makes a fresh database on a private server that syncs its files as a real one does: for measurements.
///
/// # Panics
/// If there is no PostgreSQL.
pub fn durable_postgres() -> TestPostgres {
    database_on(Arc::new(Server::private(&["shared_buffers=256MB", "max_wal_size=4GB"])))
}

/// The server that is shared between processes, if `TENURE_TEST_POSTGRES` names one: what is kept there is found by
/// other tests.
#[expect(clippy::disallowed_methods, reason = "a database for tests: where it is says the environment")]
pub fn shared_postgres() -> Option<String> {
    std::env::var(SERVER).ok()
}

/// Makes a database with the content of another one of the same server, which nobody may be connected to.
///
/// # Panics
/// If there is no such database.
pub fn copied_postgres(template: &str) -> TestPostgres {
    create(Server::shared(), &format!(" TEMPLATE {template}"))
}

fn database_on(server: Arc<Server>) -> TestPostgres {
    create(server, "")
}

fn create(server: Arc<Server>, template: &str) -> TestPostgres {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("tenure_test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    server.execute(&format!("CREATE DATABASE {name}{template}"));
    TestPostgres { url: server.url_of(&name), name, server, kept: false }
}

struct Server {
    /// Up to the database's name, and what follows it.
    url: (String, String),
    process: Option<(Child, TempDir)>,
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "a database for tests: where it is says the environment")]
    fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock();
        if let Some(server) = shared.upgrade() {
            return server;
        }
        let server = Arc::new(match std::env::var(SERVER) {
            Ok(url) => Self::named(&url),
            Err(_) => Self::private(&["fsync=off", "full_page_writes=off", "shared_buffers=64MB"]),
        });
        *shared = Arc::downgrade(&server);
        server
    }

    fn named(url: &str) -> Self {
        let (rest, query) =
            url.split_once('?').map_or((url, String::new()), |(rest, query)| (rest, format!("?{query}")));
        let authority = rest.find("://").map_or(0, |at| at + 3);
        let end = rest.get(authority..).and_then(|rest| rest.find('/')).map_or(rest.len(), |at| authority + at);
        Self { url: (rest.get(..end).unwrap_or(rest).to_owned(), query), process: None }
    }

    fn private(settings: &[&str]) -> Self {
        let bin = binaries();
        let home = tempfile::Builder::new().prefix("tenure-pg-").tempdir().expect("a temporary folder");
        let user = unprivileged();
        if let Some((_, uid)) = &user {
            std::os::unix::fs::chown(home.path(), Some(*uid), None).expect("the server's user owns its folder");
        }
        let data = home.path().join("data");
        let mut initdb = as_user(user.as_ref(), &bin.join("initdb"));
        initdb.arg("-D").arg(&data).args(["-U", "tenure", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]);
        let output = initdb.current_dir(home.path()).output().expect("initdb runs");
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));

        // The shell ends the server when its input closes: also if this process is killed.
        let mut shell = as_user(user.as_ref(), Path::new("/bin/sh"));
        shell
            .arg("-c")
            .arg(r#""$@" & server=$!; read -r _; kill -INT "$server"; wait "$server""#)
            .arg("sh")
            .arg(bin.join("postgres"));
        shell.arg("-D").arg(&data).arg("-k").arg(home.path());
        for setting in ["listen_addresses=", "max_connections=200"].iter().chain(settings) {
            shell.args(["-c", setting]);
        }
        let log = fs::File::create(home.path().join("log")).expect("the server's log");
        let process = shell
            .current_dir(home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("PostgreSQL starts");
        let host = home.path().to_str().expect("a folder's name in UTF-8").replace('/', "%2F");
        let server = Self { url: (format!("postgres://tenure@{host}"), String::new()), process: Some((process, home)) };
        server.wait_until_ready();
        server
    }

    #[expect(clippy::disallowed_methods, reason = "a database for tests: where it is says the environment")]
    fn wait_until_ready(&self) {
        let started = Instant::now();
        while let Err(error) = self.try_execute("SELECT 1") {
            if started.elapsed() > START {
                let log = self
                    .process
                    .as_ref()
                    .and_then(|(_, home)| fs::read_to_string(home.path().join("log")).ok())
                    .unwrap_or_default();
                panic!("PostgreSQL doesn't start: {error}\n{log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn url_of(&self, database: &str) -> String {
        format!("{}/{database}{}", self.url.0, self.url.1)
    }

    fn execute(&self, sql: &str) {
        self.try_execute(sql).unwrap_or_else(|error| panic!("PostgreSQL: {sql}: {error}"));
    }

    /// On a thread of its own, so that it works inside and outside of an async runtime.
    fn try_execute(&self, sql: &str) -> Result<(), String> {
        let url = self.url_of("postgres");
        std::thread::scope(|scope| {
            let run = scope.spawn(|| {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
                runtime.block_on(async {
                    let (client, connection) =
                        tokio_postgres::connect(&url, tokio_postgres::NoTls).await.map_err(|e| e.to_string())?;
                    let connection = tokio::spawn(connection);
                    let done = client.batch_execute(sql).await.map_err(|e| format!("{e:?}"));
                    connection.abort();
                    done
                })
            });
            run.join().expect("the statement's thread")
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((mut process, _)) = self.process.take() {
            drop(process.stdin.take());
            let _ = process.wait();
        }
    }
}

fn binaries() -> PathBuf {
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|found| {
            found
                .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
                .filter(|bin| bin.join("initdb").exists())
                .collect()
        })
        .unwrap_or_default();
    versions.sort();
    versions.pop().unwrap_or_else(|| panic!("no PostgreSQL under /usr/lib/postgresql: install it, or set {SERVER}"))
}

/// PostgreSQL refuses to run as root: then somebody else runs it.
fn unprivileged() -> Option<(String, u32)> {
    let id = |args: &[&str]| {
        let output = Command::new("id").args(args).output().ok().filter(|output| output.status.success())?;
        String::from_utf8(output.stdout).ok()?.trim().parse::<u32>().ok()
    };
    if id(&["-u"]) != Some(0) {
        return None;
    }
    let user = ["postgres", "nobody"].iter().find_map(|user| Some(((*user).to_owned(), id(&["-u", user])?)));
    Some(user.expect("a user who isn't root"))
}

fn as_user(user: Option<&(String, u32)>, program: &Path) -> Command {
    match user {
        Some((name, _)) => {
            let mut command = Command::new("runuser");
            command.args(["-u", name, "--"]).arg(program);
            command
        }
        None => Command::new(program),
    }
}

/// What a term of a row of this kind is in the index, for tests that alter it by hand.
pub fn index_term(kind: u8, term: &str) -> Vec<u8> {
    crate::row::term_key(kind, term)
}

/// The SQL that makes a database as the version before a migration left it: with these rows, each written by an entry of
/// its own, at the head of which stands a key that was used once, and with a deadline and a last use.
///
/// # Panics
/// If a leaf can't be written.
pub fn older_database(dialect: Dialect, before: u32, puts: &[Put]) -> String {
    let (migrations, bytes): (_, fn(&[u8]) -> String) = match dialect {
        Dialect::Sqlite => (crate::migrations::SQLITE, |bytes| format!("x'{}'", hex(bytes))),
        Dialect::Postgres => (crate::migrations::POSTGRES, |bytes| format!("'\\x{}'", hex(bytes))),
    };
    let (strict, blob) = if dialect == Dialect::Sqlite { ("STRICT", "BLOB") } else { ("", "BYTEA") };
    let mut sql =
        format!("CREATE TABLE migration (number INTEGER NOT NULL PRIMARY KEY, checksum {blob} NOT NULL) {strict};");
    for migration in migrations.iter().filter(|migration| migration.number < before) {
        let checksum = bytes(&migration.checksum());
        sql.push_str(&format!("BEGIN; {}; COMMIT;", migration.sql));
        sql.push_str(&format!("INSERT INTO migration (number, checksum) VALUES ({}, {checksum});", migration.number));
    }
    let sealer = TestSealer::new();
    sql.push_str("BEGIN;");
    for (index, put) in puts.iter().enumerate() {
        let (kind, id, at) = (put.key.kind.code(), bytes(put.key.id.as_bytes()), Position::at(index as u64));
        let digest = sealer.digest(&put.key, 1, &put.body);
        let mac = bytes(&sealer.mac(&digest, at, at));
        let terms = bytes(serde_json::Value::from(put.terms.clone()).to_string().as_bytes());
        sql.push_str(&format!(
            "INSERT INTO record (shard, kind, id, revision, created, position, mac, drop_after, terms, body)
             VALUES (0, {kind}, {id}, 1, {index}, {index}, {mac}, NULL, {terms}, {});",
            bytes(&put.body)
        ));
        for term in &put.terms {
            let term = bytes(term.as_bytes());
            sql.push_str(&format!("INSERT INTO term (shard, kind, term, id) VALUES (0, {kind}, {term}, {id});"));
        }
        let event = EventId::from_u128(index as u128 + 1).to_string();
        let row = RowDigest { kind: put.key.kind.as_str().into(), id: put.key.id.clone(), revision: 1, digest };
        let leaf = Leaf {
            actor: tenure_log::Actor { id: "before".into(), kind: "system".into() },
            at: 0,
            control: "administer".into(),
            data: serde_json::Map::new(),
            id: event.clone(),
            kind: "team.created".into(),
            personal: std::collections::BTreeMap::new(),
            rows: vec![row],
            subjects: vec![put.key.id.clone()],
        };
        let leaf = leaf.encode_json().expect("a leaf");
        sql.push_str(&format!(
            "INSERT INTO entry (shard, idx, id, hash, leaf) VALUES (0, {index}, {}, {}, {});",
            bytes(event.as_bytes()),
            bytes(&leaf_hash(&leaf)),
            bytes(&leaf)
        ));
        sql.push_str(&format!(
            "INSERT INTO once (shard, space, key, until) VALUES (0, {}, {id}, NULL);
             INSERT INTO due (shard, kind, subject, due_at, fence, lease_until) VALUES (0, 1, {id}, {index}, 1, NULL);",
            bytes(b"used")
        ));
        if before > crate::migrations::LAST_USES {
            let mac = bytes(&sealer.last_use(&put.key.id, Timestamp::from_micros(7)));
            sql.push_str(&format!("INSERT INTO last_use (shard, subject, at, mac) VALUES (0, {id}, 7, {mac});"));
        }
    }
    sql.push_str(&format!("UPDATE head SET size = {}; COMMIT;", puts.len()));
    sql
}

/// Whose SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite's.
    Sqlite,
    /// PostgreSQL's.
    Postgres,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
