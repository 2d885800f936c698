//! A ready world that is copied: its folder, or its database, instead of some 25 calls a test.
//!
//! Tests run beside each other in processes of their own. Each takes the first place that is free (a lock that its
//! process holds), and with it that place's address: a deployment keeps the public URL that it was set up under. What
//! is missing or too old is made, so a place serves one test after another, and no test depends on who was there
//! before: nothing is ever written to what is copied.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tenure_core::base::time::Span;
use tenure_store::testing::{TestPostgres, copied_postgres, shared_postgres};

use super::Store;
use super::clock::TestClock;

/// How long what stands in a template lasts: its operator tokens are good for eight hours.
const FRESH: Span = Span::from_mins(60);
/// The first port of the places: below what the system gives to whoever asks for any.
const FIRST_PORT: u16 = 20_000;
const PLACES: u16 = 500;

/// What the tests hold of a world, besides its server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Handed {
    pub admin: String,
    pub owner: String,
    pub manager: String,
    pub security: String,
    pub auditor: String,
    pub owner_id: String,
    pub manager_id: String,
    pub security_id: String,
    pub application: String,
    pub edge: String,
    pub orders: String,
    pub gateway_id: String,
    /// PKCS#8.
    pub gateway_key: Vec<u8>,
}

/// What is known of a template that stands.
#[derive(Debug, Serialize, Deserialize)]
struct Made {
    /// Of which build, on which database server, and when (microseconds since 1970).
    build: String,
    server: Option<String>,
    at: i64,
    database: Option<String>,
    handed: Handed,
}

/// A place that nobody else has while this is held.
#[derive(Debug)]
pub struct Place {
    folder: PathBuf,
    store: Store,
    host: &'static str,
    port: u16,
    _lock: File,
}

/// A copy of a template: a folder, a database, and what the tests hold of it.
pub struct Copy {
    pub data: tempfile::TempDir,
    pub database: Option<TestPostgres>,
    pub handed: Handed,
}

impl Place {
    /// The first free place for worlds on this store that are reached under this host name. `None` where nothing can be
    /// kept for others: on a PostgreSQL of this process's own.
    pub fn take(store: Store, host: &'static str) -> Option<Self> {
        if store == Store::Postgres && shared_postgres().is_none() {
            return None;
        }
        let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join("worlds");
        fs::create_dir_all(&base).unwrap();
        (0..PLACES).find_map(|number| {
            let lock = File::create(base.join(format!("{number}.lock"))).unwrap();
            lock.try_lock().ok()?;
            let port = FIRST_PORT + number;
            // Somebody else's server may stand here, one of another clone's tests for instance.
            drop(std::net::TcpListener::bind(("127.0.0.1", port)).ok()?);
            let folder = base.join(format!("{number}-{store:?}-{host}").to_lowercase());
            Some(Self { folder, store, host, port, _lock: lock })
        })
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn url(&self) -> String {
        format!("http://{}:{}", self.host, self.port)
    }

    /// A copy of what stands here, if it is of this build and fresh.
    pub fn copy(&self) -> Option<Copy> {
        let made: Made = serde_json::from_slice(&fs::read(self.folder.join("made.json")).ok()?).ok()?;
        let age = TestClock::of_the_machine().as_micros() - made.at;
        if made.build != build() || made.server != self.server() || !(0..FRESH.as_micros()).contains(&age) {
            return None;
        }
        let data = tempfile::tempdir().unwrap();
        for file in fs::read_dir(self.folder.join("data")).unwrap().flatten() {
            fs::copy(file.path(), data.path().join(file.file_name())).unwrap();
        }
        Some(Copy { data, database: made.database.as_deref().map(copied_postgres), handed: made.handed })
    }

    /// Keeps a world, whose server has stopped, for those who come after.
    pub fn keep(&self, data: &Path, database: Option<TestPostgres>, handed: Handed) {
        let _ = fs::remove_dir_all(&self.folder);
        fs::create_dir_all(&self.folder).unwrap();
        let kept = self.folder.join("data");
        fs::create_dir(&kept).unwrap();
        for file in fs::read_dir(data).unwrap().flatten() {
            fs::copy(file.path(), kept.join(file.file_name())).unwrap();
        }
        let made = Made {
            build: build(),
            server: self.server(),
            at: TestClock::of_the_machine().as_micros(),
            database: database.map(TestPostgres::keep),
            handed,
        };
        // Written last: without it there is no template.
        fs::write(self.folder.join("made.json"), serde_json::to_vec(&made).unwrap()).unwrap();
    }

    fn server(&self) -> Option<String> {
        (self.store == Store::Postgres).then(shared_postgres).flatten()
    }
}

/// Names the build that a template was made by: another one may keep other rows.
fn build() -> String {
    let program = fs::metadata(std::env::current_exe().unwrap()).unwrap();
    format!("{} {:?}", program.len(), program.modified().unwrap())
}
