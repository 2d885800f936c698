//! What an earlier release wrote is opened by this build: kept databases in every run, a live upgrade in the long form
//! of the suite.
//!
//! `cargo xtask upgrade` builds the named release and runs [`live`]; with `--keep` it leaves what was written in
//! `tests/upgrade/<version>`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenure_core::base::time::{Span, Timestamp};
use tenure_store::testing::{TestPostgres, postgres};

use crate::world::{Handed, Host, Key, Server, Store, TestClock, World, client, now};

/// The address of what is kept: a deployment stays under the URL that it was set up under. One an engine, so that
/// neither waits for the other.
const fn address(store: Store) -> &'static str {
    match store {
        Store::Sqlite => "127.0.0.1:18420",
        Store::Postgres => "127.0.0.1:18421",
    }
}

const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/upgrade");

/// What the release was asked to do, and what came of it. Keys and tokens are of a deployment that exists nowhere.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    /// When the release stopped (microseconds since 1970).
    at: i64,
    handed: Handed,
    gateway: String,
    /// Names, ids and states of its identities.
    identities: Vec<(String, String, String)>,
    /// A workload that goes on, with its key (PKCS#8) and a live token.
    exporter: String,
    exporter_key: Vec<u8>,
    live: String,
    /// A token that a cut ended, and the receipt of that.
    dead: String,
    receipt: String,
    /// A request that waits for its approver.
    open_request: String,
    /// Somebody who left, and the transfer that this opened.
    leaver: String,
    /// A signal's source.
    source: String,
    /// Entries of the log, and its newest checkpoint's root.
    entries: usize,
    checkpoint: String,
}

/// Lets a release live for a while: something of each kind that is kept.
async fn write(world: &World) -> Written {
    let (exporter, key) = world.exporter("exporter").await;
    let live = world.token(&key, &exporter, "production").await;
    let (cut, cut_key) = world.exporter("cut").await;
    let dead = world.token(&cut_key, &cut, "production").await;
    let receipt = world.revoke("identity", &cut).await.expect(201).text("/id");
    world.until(async || world.get(&world.auditor, &format!("/v1/receipts/{receipt}.jws")).await.status == 200).await;
    let (suspended, _) = world.exporter("suspended").await;
    let reason = json!({"reason": "incident 7"});
    world.post(&world.security, &format!("/v1/identities/{suspended}/suspend"), reason.clone()).await.expect(200);
    let (retired, _) = world.exporter("retired").await;
    world.post(&world.owner, &format!("/v1/identities/{retired}/retire"), reason).await.expect(200);
    world.until_state(&retired, "retired").await;
    world.register("draft", json!({}), "draft").await.expect(201);
    let matter = json!({"type": "renewal", "identity": exporter, "until": "2099-01-01T00:00:00Z"});
    world.ask(&world.owner, matter, "for ever").await.expect(403);
    let until = Timestamp::from_secs(now() + 60 * 86_400).to_string();
    let matter = json!({"type": "renewal", "identity": exporter, "until": until});
    let open_request = world.ask(&world.owner, matter, "needed in spring").await.expect(201).text("/id");
    let leaver = json!({"name": "Lea", "roles": ["requester", "owner"], "manager": world.manager_id});
    let (leaver, token) = world.person_as(leaver).await;
    let mut charter = world.charter(Key::new().jwk());
    (charter["owner"], charter["parties"]["requester"]) = (json!(leaver), json!(leaver));
    let body = json!({"kind": "workload", "name": "left-behind", "charter": charter, "stage": "pending"});
    let left = world.post(&token, "/v1/identities", body).await.expect(201).text("/id");
    world.activate(&world.manager, &left).await.expect(200);
    world.post(&world.admin, &format!("/v1/people/{leaver}/depart"), json!({"reason": "resigned"})).await.expect(200);
    let source = crate::signals::source(world, crate::signals::registration(world, "forge", "github", "hmac")).await;
    settled(world).await;
    let entries = world.events().await.len();
    Written {
        at: TestClock::of_the_machine().as_micros(),
        handed: world.handed(),
        gateway: world.gateway.clone(),
        identities: identities(world).await,
        exporter,
        exporter_key: key.0.to_pkcs8().unwrap().as_ref().to_vec(),
        live,
        dead,
        receipt,
        open_request,
        leaver,
        source: source.id,
        entries,
        checkpoint: world.text("", "/v1/log/checkpoint").await,
    }
}

/// Waits until the log has stopped growing and is sealed.
async fn settled(world: &World) {
    world.until_quiet().await;
    let size = world.events().await.len().to_string();
    world.until(async || world.text("", "/v1/log/checkpoint").await.lines().nth(1) == Some(size.as_str())).await;
}

async fn identities(world: &World) -> Vec<(String, String, String)> {
    let page = world.get(&world.security, "/v1/identities?limit=100").await.expect(200);
    let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
    page.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (text(item, "name"), text(item, "id"), text(item, "state")))
        .collect()
}

/// Holds a server of this build against what a release wrote: everything is there, and everything goes on.
async fn check(world: &World, written: &Written) {
    // Nothing is lost, and nothing has another standing.
    assert_eq!(identities(world).await, written.identities);
    assert!(world.is_live(&written.live).await && !world.is_live(&written.dead).await);
    assert!(world.is_allowed(&written.exporter, Some(&written.live), "read").await);
    let receipt = world.get(&world.auditor, &format!("/v1/receipts/{}", written.receipt)).await.expect(200);
    assert_eq!(receipt.body["points"][0]["outcome"]["state"], "refused", "{}", receipt.body);
    let person = world.get(&world.security, &format!("/v1/people/{}", written.leaver)).await.expect(200);
    assert_eq!(person.text("/state"), "departed");
    let transfers = world.get(&world.security, &format!("/v1/transfers?from={}", written.leaver)).await.expect(200);
    assert_eq!(transfers.body["items"].as_array().unwrap().len(), 1);
    let source = world.get(&world.admin, &format!("/v1/sources/{}", written.source)).await.expect(200);
    assert_eq!(source.text("/name"), "forge");
    // The log goes on from where it was: what was signed is a prefix of what is there, and every row is as the log
    // says.
    let events = world.events().await;
    assert!(events.len() >= written.entries, "{} of {}", events.len(), written.entries);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("export"), world.text(&world.auditor, "/v1/log/export").await).unwrap();
    std::fs::write(path("old"), &written.checkpoint).unwrap();
    cli(world, &["log", "verify", &path("export"), "--kept", &path("old")]);
    cli(world, &["log", "verify-state"]);
    // It works on: what waited is approved, a credential is issued, what was cut stays so.
    // d14: its hash is of the form of then, and a vote that quotes it counts.
    let then = world
        .get(&world.manager, &format!("/v1/requests/{}", written.open_request))
        .await
        .expect(200)
        .text("/content_hash");
    assert!(then.starts_with("sha256:"), "{then}");
    world.approve(&world.manager, &written.open_request).await.expect(200);
    let key = Key::from_pkcs8(&written.exporter_key);
    let token = world.token(&key, &written.exporter, "production").await;
    assert!(world.is_live(&token).await);
    // What begins anew is answered for by a group; what was there goes on without.
    let teams = world.get(&world.admin, "/v1/teams?name=removers").await.expect(200);
    if teams.body["items"] == json!([]) {
        world.make_removers().await;
    }
    world.give_removers(&world.application).await;
    world.exporter("made-after").await;
    world.revoke("identity", &written.exporter).await.expect(201);
    assert!(!world.is_live(&token).await && !world.is_live(&written.live).await);
}

fn cli(world: &World, arguments: &[&str]) {
    let mut command = crate::world::tenure();
    let output = command
        .args(arguments)
        .env("TENURE_SERVER", &world.server.url)
        .env("TENURE_TOKEN", &world.auditor)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Every kept database of an earlier release, by the time at which it was written.
async fn kept(store: Store) {
    let mut releases: Vec<PathBuf> =
        std::fs::read_dir(KEPT).unwrap().flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    releases.sort();
    assert!(!releases.is_empty(), "{KEPT}");
    for release in releases {
        let folder = release.join(if store == Store::Sqlite { "sqlite" } else { "postgres" });
        let written: Written = serde_json::from_slice(&std::fs::read(folder.join("written.json")).unwrap()).unwrap();
        let data = tempfile::tempdir().unwrap();
        for file in ["root-key", "tenure.db"].iter().filter(|file| folder.join(file).exists()) {
            // A clone doesn't keep modes, and a root key that others can read is refused.
            std::fs::copy(folder.join(file), data.path().join(file)).unwrap();
            std::fs::set_permissions(data.path().join(file), std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let database = (store == Store::Postgres).then(|| restored(&folder.join("dump.sql")));
        let clock = TestClock::new(Timestamp::from_micros(written.at).plus(Span::from_secs(30)));
        let host = Host::Inside(clock.clone());
        host.is_of_this_thread();
        let server = Server::on(&host, data, database, &[("TENURE_LISTEN", address(store))]);
        let world = World::taken_over(server, Some(clock), written.handed.clone(), written.gateway.clone());
        check(&world, &written).await;
    }
}

#[tokio::test]
async fn kept_sqlite_files_of_earlier_releases_open() {
    kept(Store::Sqlite).await;
}

#[tokio::test]
async fn kept_postgresql_dumps_of_earlier_releases_open() {
    kept(Store::Postgres).await;
}

/// A database with the content of a dump.
fn restored(dump: &Path) -> TestPostgres {
    let database = postgres();
    let output = Command::new("psql")
        .args(["--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--file"])
        .arg(dump)
        .arg(database.url())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    database
}

/// The release itself, from its own build: run by `cargo xtask upgrade`.
mod live {
    use super::*;

    async fn run(store: Store) {
        let program = std::env::var_os("TENURE_TEST_RELEASE")
            .expect("TENURE_TEST_RELEASE names a release's binary: run `cargo xtask upgrade`");
        let database = (store == Store::Postgres).then(tenure_store::testing::postgres);
        let server = Server::on(
            &Host::Program(program.into()),
            tempfile::tempdir().unwrap(),
            database,
            &[("TENURE_LISTEN", address(store))],
        );
        let mut world = World::furnished(server, client()).await;
        let written = write(&world).await;
        world.server.stop();
        if let Some(folder) = std::env::var_os("TENURE_TEST_KEEP") {
            keep(Path::new(&folder), store, &world.server, &written);
        }
        world.server.goes_on_as(Host::Binary);
        world.restart();
        check(&world, &written).await;
    }

    #[tokio::test]
    #[ignore = "long: builds a release first"]
    async fn sqlite() {
        run(Store::Sqlite).await;
    }

    #[tokio::test]
    #[ignore = "long: builds a release first"]
    async fn postgres() {
        run(Store::Postgres).await;
    }
}

/// Leaves what a stopped server wrote for every later build.
fn keep(folder: &Path, store: Store, server: &Server, written: &Written) {
    let folder = folder.join(if store == Store::Sqlite { "sqlite" } else { "postgres" });
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(server.data().join("root-key"), folder.join("root-key")).unwrap();
    match server.database() {
        None => {
            std::fs::copy(server.data().join("tenure.db"), folder.join("tenure.db")).unwrap();
        }
        Some(url) => {
            let output = Command::new("pg_dump")
                .args(["--no-owner", "--no-privileges", "--file"])
                .arg(folder.join("dump.sql"))
                .arg(url)
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    std::fs::write(folder.join("written.json"), serde_json::to_vec_pretty(written).unwrap()).unwrap();
}
