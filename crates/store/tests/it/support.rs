//! The three engines, and changesets to give them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use tenure_core::base::id::EventId;
use tenure_core::base::time::Timestamp;
use tenure_core::store::changeset::{Changeset, DueChange, Expect, Once, Put, Spend};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::{Actor, Event, Personal};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::{Committed, ListQuery, Outcome, Store};
use tenure_core::store::row::{RowKey, RowKind};
use tenure_store::testing::{TestPostgres, TestSealer, postgres};
use tenure_store::{MemoryStore, PostgresStore, SqliteStore};

/// A store of some engine with what must outlive it.
pub struct Engine {
    pub name: &'static str,
    pub store: Arc<dyn Store>,
    _keep: Keep,
}

enum Keep {
    Nothing,
    Folder { _folder: tempfile::TempDir },
    Database { _database: TestPostgres },
}

pub async fn engines() -> Vec<Engine> {
    let memory = Arc::new(MemoryStore::new(TestSealer::new()));
    let (folder, path) = database_file();
    let database = postgres();
    vec![
        Engine { name: "memory", store: memory, _keep: Keep::Nothing },
        Engine { name: "sqlite", store: Arc::new(sqlite(&path)), _keep: Keep::Folder { _folder: folder } },
        Engine {
            name: "postgres",
            store: Arc::new(connect(&database).await),
            _keep: Keep::Database { _database: database },
        },
    ]
}

pub fn database_file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tenure.db");
    (folder, path)
}

pub fn sqlite(path: &Path) -> SqliteStore {
    SqliteStore::open(path, TestSealer::new()).unwrap()
}

pub async fn connect(database: &TestPostgres) -> PostgresStore {
    PostgresStore::connect(database.url(), TestSealer::new()).await.unwrap()
}

pub const fn secs(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_790_000_000 + secs)
}

pub fn key(kind: RowKind, id: &str) -> RowKey {
    RowKey { kind, id: id.to_owned() }
}

pub fn identity(id: &str) -> RowKey {
    key(RowKind::Identity, id)
}

pub fn changeset(id: u128, at: Timestamp) -> Changeset {
    let event = Event::new(EventId::from_u128(id << 8), EventKind::PersonChanged).subject("idn_1").fact("n", json!(7));
    Changeset::new(Actor::System { part: "test".into() }, at, event)
}

pub fn put(key: RowKey, replaces: u64, body: &str, terms: &[&str]) -> Put {
    let terms = terms.iter().map(|term| (*term).to_owned()).collect();
    Put { key, replaces, body: body.as_bytes().to_vec(), terms, droppable_after: None }
}

pub fn personal(subject: &str, field: &'static str, value: &str) -> Personal {
    Personal { subject: subject.into(), field, salt: [u8::try_from(value.len()).unwrap(); 32], value: value.into() }
}

/// Parts of a changeset, in the order of writing them down.
pub trait With: Sized {
    fn with(self, change: impl FnOnce(&mut Changeset)) -> Changeset;
}

impl With for Changeset {
    fn with(mut self, change: impl FnOnce(&mut Changeset)) -> Changeset {
        change(&mut self);
        self
    }
}

pub fn writes(id: u128, at: i64, put: Put) -> Changeset {
    changeset(id, secs(at)).with(|c| c.puts.push(put))
}

pub fn expects(id: u128, at: i64, expect: Expect) -> Changeset {
    changeset(id, secs(at)).with(|c| c.expects.push(expect))
}

pub fn uses(id: u128, at: i64, key: &str, until: Option<i64>) -> Changeset {
    changeset(id, secs(at)).with(|c| c.once.push(Once { space: "jti", key: key.into(), until: until.map(secs) }))
}

pub fn spends(id: u128, at: i64, budget: &str, by: u32, limit: u32) -> Changeset {
    changeset(id, secs(at))
        .with(|c| c.spends.push(Spend { budget: budget.into(), window: secs(0), until: secs(100), by, limit }))
}

pub fn due(id: u128, at: i64, change: DueChange) -> Changeset {
    changeset(id, secs(at)).with(|c| c.due.push(change))
}

pub const WORK: DueKind = DueKind::IdentityExpiry;

pub fn committed(outcome: Outcome) -> Committed {
    match outcome {
        Outcome::Committed(committed) => committed,
        other => panic!("not committed: {other:?}"),
    }
}

/// What can be compared of rows.
pub type Shown = (RowKey, u64, u64, u64, Vec<u8>);

pub fn shown(row: &tenure_core::store::row::Row) -> Shown {
    (row.key.clone(), row.revision, row.created.index, row.position.index, row.body.clone())
}

/// Compares with a file in `tests/snapshots`, or writes it when `TENURE_UPDATE_SNAPSHOTS` is set.
pub fn check_snapshot(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os("TENURE_UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), text, "{}", path.display());
}

/// Rows as they were written before the migration with this number, each with a term that they lacked and one that they
/// have.
pub fn partial_terms(migration: u32) -> Vec<(Put, &'static str, &'static str)> {
    if migration == 4 {
        let account = r#"{"account":"4\u00002","owner":"per_1"}"#;
        let by_charter = r#"{"charter":{"removal_group":"tea_1","scope":[]}}"#;
        let application = r#"{"name":"billing","removal_group":"tea_1"}"#;
        return vec![
            (put(key(RowKind::CloudAccount, "cla_1"), 0, account, &["standing=open"]), "owner=per_1", "standing=open"),
            (put(identity("idn_1"), 0, by_charter, &["state=active"]), "removal_group=tea_1", "state=active"),
            (
                put(key(RowKind::Application, "app_1"), 0, application, &["name=billing"]),
                "removal_group=tea_1",
                "name=billing",
            ),
        ];
    }
    if migration == 10 {
        let request = r#"{"id":"req_00000000000000000000000001","class":"non_human","matter":{"type":"activation","identity":"idn_00000000000000000000000002"},
            "purpose":"","clipped":[],"requested_by":{"type":"person","id":"per_00000000000000000000000003"},"interested":["per_00000000000000000000000003"],
            "owner":"per_00000000000000000000000003","manager":"per_00000000000000000000000004","tier":null,"route":"manager_and_security","policies":[],
            "policy_version":"","content_hash":"","votes":[],"state":"open","opened_at":"1970-01-01T00:00:00Z","lapses_at":"1970-01-08T00:00:00Z",
            "starts_at":null,"reminders":0,"decided_at":null,"ended_because":null,"single_person":false,"outcome":{"grants":[],"person_grants":[]}}"#;
        let open = |id: &str, body: &str| put(key(RowKind::Request, id), 0, body, &["state=open"]);
        let of_manager = request.replace("manager_and_security", "owner_or_manager");
        let kept_out = of_manager.replace(r#""manager":"per_00000000000000000000000004""#, r#""manager":null"#);
        let kept_out =
            kept_out.replace(r#"["per_00000000000000000000000003"]"#, r#"["per_00000000000000000000000005"]"#);
        return vec![
            (open("req_00000000000000000000000001", request), "waits_for=security", "state=open"),
            (
                open("req_00000000000000000000000002", &kept_out),
                "keeps_out=per_00000000000000000000000005",
                "state=open",
            ),
        ];
    }
    let person = r#"{"name":"A\u0000da","teams":["a","b","c","d","e"]}"#;
    let gateway = r#"{"charter":{"scope":[{"actions":["read","enforce"],"resource":"res_5"}]}}"#;
    let hold = r#"{"scope":{"type":"application","id":"app_1"},"placed_by":"per_1"}"#;
    let removal = r#"{"blast":{"count":9}}"#;
    vec![
        (put(key(RowKind::Person, "per_1"), 0, person, &["state=active", "team=a"]), "team=e", "state=active"),
        (put(key(RowKind::Hold, "application/app_1"), 0, hold, &["t=1"]), "state=held", "t=1"),
        (put(identity("idn_1"), 0, gateway, &["state=active"]), "enforces=res_5", "state=active"),
        (put(key(RowKind::Removal, "rmv_1"), 0, removal, &["state=held"]), "identities=more", "state=held"),
    ]
}

async fn listed(store: &dyn Store, put: &Put, terms: &[&str]) -> usize {
    let terms = terms.iter().map(|term| (*term).to_owned()).collect();
    let query = ListQuery { terms, ..ListQuery::every(put.key.kind, 10) };
    store.list(&query).await.unwrap().rows.len()
}

pub async fn finds(store: &dyn Store, put: &Put, terms: &[&str]) {
    assert_eq!(listed(store, put, terms).await, 1, "{} by {terms:?}", put.key);
}

pub async fn misses(store: &dyn Store, put: &Put, term: &str) {
    assert_eq!(listed(store, put, &[term]).await, 0, "{} by {term}", put.key);
}
