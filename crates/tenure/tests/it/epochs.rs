//! A database that was put back to an earlier state revives nothing (S-1): it is noticed, and a new epoch ends it.

use std::path::Path;
use std::process::Output;

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Key, Store, World, client, tenure};

/// Runs `tenure` on the server's own folder and database.
fn run(world: &World, arguments: &[&str]) -> Output {
    let mut command = tenure();
    command.args(arguments).arg("--data").arg(world.server.data()).env("TENURE_PUBLIC_URL", &world.server.url);
    if let Some(url) = world.server.database() {
        command.env("TENURE_STORE", url);
    }
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Puts a file in the database's place, as somebody would by hand.
fn put_by_hand(world: &World, backup: &Path) {
    let database = world.server.data().join("tenure.db");
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(database.with_extension(format!("db{end}")));
    }
    std::fs::copy(backup, &database).unwrap();
}

fn restart(world: &mut World, settings: &[(&str, &str)]) {
    world.server.restart(settings);
    world.http = client();
}

async fn is_contradicted(world: &World) -> bool {
    let ready = world.text("", "/readyz").await;
    let metrics = world.text("", "/metrics").await;
    let contradicted = ready.starts_with("degraded: a checkpoint that is kept outside contradicts the log");
    assert_eq!(metrics.contains("tenure_log_contradicted 1\n"), contradicted, "{ready}");
    contradicted
}

/// Whether a place is said not to keep checkpoints.
async fn is_failing(world: &World) -> bool {
    let ready = world.text("", "/readyz").await;
    let metrics = world.text("", "/metrics").await;
    let failing = ready.starts_with("degraded: a place doesn't keep the log's checkpoints");
    assert_eq!(metrics.contains("tenure_checkpoint_places_failing 1\n"), failing, "{ready}");
    failing
}

/// Puts the epoch's end to a stopped server's database, by the command.
fn begin_epoch(world: &World, arguments: &[&str], number: u64) -> String {
    let restored = run(world, &[&["restore"], arguments].concat());
    let text = said(&restored);
    assert!(restored.status.success() && text.contains(&format!("epoch {number} has begun")), "{text}");
    text
}

fn reason(answer: &crate::world::Answer) -> String {
    format!("{} {}", answer.code(), answer.body)
}

/// What a test of a restore begins with: an identity that is suspended, a token that is cut and a proof that is used
/// after the backup.
struct Before {
    id: String,
    key: Key,
    token: String,
    assertion: String,
    invitation: String,
    jwks: Value,
}

impl Before {
    async fn of(world: &World) -> Self {
        let (id, key) = world.exporter("exporter").await;
        let token = world.token(&key, &id, "production").await;
        let (una, _) = world.person("Una", &[]).await;
        let invited = world.post(&world.admin, "/v1/invitations", json!({"person": una})).await.expect(201);
        Self {
            assertion: key.assertion(&id, &world.issuer("production")),
            invitation: invited.text("/invitation"),
            jwks: world.get("", "/env/production/jwks.json").await.expect(200).body,
            id,
            key,
            token,
        }
    }

    /// What happens after the backup, and must not be undone by it.
    async fn goes_on(&self, world: &World) {
        world.present(&self.assertion, "production").await.expect(200);
        world.revoke("identity", &self.id).await.expect(201);
        assert!(!world.is_live(&self.token).await);
    }

    /// While the contradiction stands.
    async fn gets_nothing(&self, world: &World) {
        assert!(is_contradicted(world).await);
        // Whoever asks about tokens does so with one that is no better.
        let fields = [("token", self.token.as_str())];
        let asked = world.form(&world.gateway, "/env/production/introspect", &fields).await;
        assert_eq!(asked.status, 401, "{}", asked.body);
        assert_eq!(world.evaluate(&self.id, Some(&self.token), "read").await.status, 401);
        let replayed = world.present(&self.assertion, "production").await;
        assert!(replayed.status >= 400 && reason(&replayed).contains("log_contradicted"), "{}", replayed.body);
        let asked = world.ask_token(&self.key, &self.id, "production").await;
        assert!(asked.status >= 400 && reason(&asked).contains("log_contradicted"), "{}", asked.body);
        let given = world.post(&world.admin, "/v1/people", json!({"name": "Eve"})).await;
        assert_eq!((given.status, given.code()), (403, "log_contradicted".into()), "{}", given.body);
        let found = world.get(&world.security, "/v1/findings?state=open&rule=log-contradicted").await.expect(200);
        assert_eq!(found.body["items"].as_array().unwrap().len(), 1, "{}", found.body);
        let told = world.events_of("log.contradicted", "log").await.pop().unwrap();
        assert_eq!(told["data"]["notify"]["roles"], json!(["security", "administrator"]));
        // What takes authority away works.
        world.revoke("identity", &self.id).await.expect(201);
        let suspend = format!("/v1/identities/{}/suspend", self.id);
        world.post(&world.security, &suspend, json!({"reason": "restored"})).await.expect(200);
    }

    /// After the epoch began.
    async fn begins_anew(&self, world: &mut World) {
        assert!(!is_contradicted(world).await);
        assert!(world.text("", "/metrics").await.contains("tenure_epoch 1\n"));
        let old = world.get(&world.admin, "/v1/people").await;
        assert_eq!((old.status, old.code()), (401, "before_epoch".into()), "{}", old.body);
        assert_ne!(world.get("", "/env/production/jwks.json").await.expect(200).body, self.jwks);
        let invited = world.form("", "/sign-in/invitation", &[("invitation", &self.invitation)]).await;
        assert!(invited.status >= 400, "{}", invited.body);
        // Somebody has to be let in again; who was an administrator is.
        let token = std::fs::read_to_string(world.server.data().join("operator-token")).unwrap();
        world.admin = token.clone();
        let again = async |person: &str| {
            let made = world.post(&token, &format!("/v1/people/{person}/operator-tokens"), json!({})).await.expect(201);
            made.text("/operator_token")
        };
        let (security, owner) = (again(&world.security_id).await, again(&world.owner_id).await);
        let auditor = world.person("Ada", &["auditor"]).await.1;
        (world.security, world.owner, world.auditor) = (security, owner, auditor);
        world
            .until(async || world.ask_token(&world.gateway_key, &world.gateway_id, "production").await.status == 200)
            .await;
        world.gateway = world.token(&world.gateway_key, &world.gateway_id, "production").await;
        assert!(!world.is_live(&self.token).await, "a revoked token is back");
        let replayed = world.present(&self.assertion, "production").await;
        assert!(replayed.status >= 400 && reason(&replayed).contains("before_epoch"), "{}", replayed.body);
        let begun = world.events_of("deployment.epoch_begun", "log").await;
        assert_eq!((begun.len(), &begun[0]["data"]["epoch"]), (1, &json!(1)));
    }
}

#[tokio::test]
async fn a04_a_restored_backup_revives_nothing() {
    let mut world = World::binary(Store::Sqlite, &[]).await;
    let before = Before::of(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("monday.db");
    let out = backup.to_str().unwrap();
    let made = run(&world, &["backup", "--out", out]);
    assert!(made.status.success(), "{}", said(&made));
    assert!(said(&made).contains("entries, until"), "{}", said(&made));
    let again = run(&world, &["backup", "--out", out]);
    assert!(!again.status.success() && said(&again).contains("exists"), "{}", said(&again));
    before.goes_on(&world).await;
    // Nobody puts a database back under a server that runs.
    let running = run(&world, &["restore", "--from", out]);
    assert!(
        !running.status.success() && said(&running).contains("another server uses this database"),
        "{}",
        said(&running)
    );
    world.server.stop();
    put_by_hand(&world, &backup);
    world.restart();
    before.gets_nothing(&world).await;
    // Nor does another start end it, even where the evidence is gone.
    world.server.stop();
    std::fs::remove_file(world.server.data().join("checkpoint")).unwrap();
    world.restart();
    before.gets_nothing(&world).await;
    world.server.stop();
    let restored = run(&world, &["restore", "--new-epoch"]);
    assert!(restored.status.success(), "{}", said(&restored));
    assert!(
        said(&restored).contains("or more are lost") && said(&restored).contains("epoch 1 has begun"),
        "{}",
        said(&restored)
    );
    world.restart();
    before.begins_anew(&mut world).await;
    // The suspension of the restored state stands, and is lifted as any.
    let resume = format!("/v1/identities/{}/resume", before.id);
    world.post(&world.security, &resume, json!({})).await;
    // The log goes on under another name, and its evidence beside the old one.
    world.server.stop();
    let kept = std::fs::read_to_string(world.server.data().join("epoch-1/checkpoint")).unwrap();
    assert!(kept.contains("/epoch-1/"), "{kept}");
    world.restart();
    assert!(!is_contradicted(&world).await);
}

#[tokio::test]
async fn a04_restoring_by_the_command_is_an_epoch_too() {
    let mut world = World::binary(Store::Sqlite, &[]).await;
    let before = Before::of(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("monday.db");
    let out = backup.to_str().unwrap();
    assert!(run(&world, &["backup", "--out", out]).status.success());
    before.goes_on(&world).await;
    world.server.stop();
    // What is no database is refused before anything is moved.
    let none = folder.path().join("none.db");
    std::fs::write(&none, "none").unwrap();
    let refused = run(&world, &["restore", "--from", none.to_str().unwrap()]);
    assert!(!refused.status.success());
    let restored = run(&world, &["restore", "--from", out]);
    assert!(restored.status.success(), "{}", said(&restored));
    assert!(world.server.data().join("tenure.db.before-restore").exists());
    world.restart();
    before.begins_anew(&mut world).await;
    // A proof says its second alone: one of the epoch's first is taken for one of before.
    world.until(async || world.ask_token(&before.key, &before.id, "production").await.status == 200).await;
    let token = world.token(&before.key, &before.id, "production").await;
    assert!(world.is_live(&token).await);
}

#[tokio::test]
async fn a04_a_fork_is_never_pushed_over_what_it_contradicts() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    std::fs::create_dir(&kept).unwrap();
    let mut world = World::binary(Store::Sqlite, &[]).await;
    let settings = [("TENURE_CHECKPOINT_PUSH", kept.to_str().unwrap())];
    world.server.stop();
    restart(&mut world, &settings);
    let before = Before::of(&world).await;
    let backup = folder.path().join("monday.db");
    assert!(run(&world, &["backup", "--out", backup.to_str().unwrap()]).status.success());
    before.goes_on(&world).await;
    world.server.stop();
    let evidence = std::fs::read(kept.join("checkpoint")).unwrap();
    put_by_hand(&world, &backup);
    std::fs::remove_file(world.server.data().join("checkpoint")).unwrap();
    // A folder that can't be read says nothing.
    let away = folder.path().join("away");
    std::fs::rename(&kept, &away).unwrap();
    restart(&mut world, &settings);
    assert!(!is_contradicted(&world).await);
    // The fork grows longer than what is kept.
    for n in 0..40 {
        world.person(&format!("P{n}"), &[]).await;
    }
    world.server.stop();
    std::fs::rename(&away, &kept).unwrap();
    restart(&mut world, &settings);
    before.gets_nothing(&world).await;
    world.server.stop();
    assert_eq!(std::fs::read(kept.join("checkpoint")).unwrap(), evidence);
}

#[tokio::test]
async fn a04_a_kept_checkpoint_of_another_log_is_none_of_ours() {
    let mut world = World::binary(Store::Sqlite, &[]).await;
    let other = World::binary(Store::Sqlite, &[]).await;
    other.exporter("exporter").await;
    other.server.stop();
    world.server.stop();
    std::fs::copy(other.server.data().join("checkpoint"), world.server.data().join("checkpoint")).unwrap();
    world.restart();
    assert!(!is_contradicted(&world).await);
    let (id, key) = world.exporter("exporter").await;
    world.token(&key, &id, "production").await;
    // It is no place to rely on, though.
    assert!(is_failing(&world).await);
    // Nor does somebody stop the server by writing one that nobody signed.
    world.server.stop();
    let own = world.server.data().join("checkpoint");
    let note = std::fs::read_to_string(&own).unwrap();
    let mut lines: Vec<&str> = note.lines().collect();
    lines[1] = "99999999";
    let unsigned = lines.join("\n") + "\n";
    std::fs::write(&own, &unsigned).unwrap();
    world.restart();
    assert!(!is_contradicted(&world).await && is_failing(&world).await);
    world.server.stop();
    std::fs::write(&own, &note).unwrap();
    let later = world.server.data().join("epoch-7");
    std::fs::create_dir(&later).unwrap();
    std::fs::write(later.join("checkpoint"), &unsigned).unwrap();
    world.restart();
    assert!(!is_contradicted(&world).await);
}

#[tokio::test]
async fn a04_the_database_of_before_an_epoch_is_noticed() {
    let mut world = World::binary(Store::Sqlite, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let before = folder.path().join("before.db");
    world.server.stop();
    let data = world.server.data();
    std::fs::copy(data.join("tenure.db"), &before).unwrap();
    begin_epoch(&world, &["--new-epoch"], 1);
    let later = std::fs::read(data.join("epoch-1/checkpoint")).unwrap();
    put_by_hand(&world, &before);
    // Whoever can add to a place hides nothing by it.
    std::fs::write(data.join("epoch-5"), "").unwrap();
    for number in (900..916).chain([999_999_999]) {
        std::fs::create_dir(data.join(format!("epoch-{number}"))).unwrap();
    }
    world.restart();
    assert!(is_contradicted(&world).await);
    let refused = world.ask_token(&world.gateway_key, &world.gateway_id, "production").await;
    assert!(refused.status >= 400 && reason(&refused).contains("log_contradicted"), "{}", refused.body);
    // Who has nothing to stop and nothing to look into isn't let in either.
    let refused = world.get(&world.owner, "/v1/me").await;
    assert_eq!((refused.status, refused.code()), (401, "log_contradicted".into()), "{}", refused.body);
    world.get(&world.security, "/v1/me").await.expect(200);
    let found = world.get(&world.security, "/v1/findings?state=open&rule=log-contradicted").await.expect(200);
    assert_eq!(found.body["items"][0]["evidence"]["kept_epoch"], json!(1), "{}", found.body);
    // The way out is an epoch that nobody has seen yet.
    world.server.stop();
    let told = begin_epoch(&world, &["--new-epoch"], 2);
    assert!(told.contains("later epochs: 1\n") && told.contains("or more are lost"), "{told}");
    world.restart();
    assert!(!is_contradicted(&world).await);
    assert_eq!(std::fs::read(data.join("epoch-1/checkpoint")).unwrap(), later);
}

#[tokio::test]
async fn a04_two_restores_of_one_backup_are_two_epochs() {
    let mut world = World::binary(Store::Sqlite, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let (monday, later) = (folder.path().join("monday.db"), folder.path().join("later.db"));
    let backup = monday.to_str().unwrap();
    assert!(run(&world, &["backup", "--out", backup]).status.success());
    world.server.stop();
    let data = world.server.data();
    begin_epoch(&world, &["--from", backup], 1);
    let first = std::fs::read(data.join("epoch-1/checkpoint")).unwrap();
    let told = begin_epoch(&world, &["--from", backup], 2);
    assert!(told.contains("or more are lost") && told.contains("(epoch 1)"), "{told}");
    assert_eq!(std::fs::read(data.join("epoch-1/checkpoint")).unwrap(), first);
    // What the first one moved aside is still there.
    assert!(data.join("tenure.db.before-restore").exists() && data.join("tenure.db.before-restore-2").exists());
    // Its own rollbacks are noticed as any.
    std::fs::copy(data.join("tenure.db"), &later).unwrap();
    world.restart();
    assert!(!is_contradicted(&world).await && !is_failing(&world).await);
    world.admin = std::fs::read_to_string(data.join("operator-token")).unwrap();
    world.person("Una", &[]).await;
    world.server.stop();
    put_by_hand(&world, &later);
    world.restart();
    assert!(is_contradicted(&world).await);
}

#[tokio::test]
async fn a04_what_is_no_backup_of_this_deployment_takes_no_ones_place() {
    let (world, other) = (World::binary(Store::Sqlite, &[]).await, World::binary(Store::Sqlite, &[]).await);
    let folder = tempfile::tempdir().unwrap();
    let (own, foreign) = (folder.path().join("own.db"), folder.path().join("foreign.db"));
    for (world, to) in [(&world, &own), (&other, &foreign)] {
        assert!(run(world, &["backup", "--out", to.to_str().unwrap()]).status.success());
    }
    world.server.stop();
    let database = world.server.data().join("tenure.db");
    let files = || {
        let mut names: Vec<_> =
            std::fs::read_dir(world.server.data()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort_unstable();
        (names, std::fs::read(&database).unwrap())
    };
    let before = files();
    for _ in 0..2 {
        let refused = run(&world, &["restore", "--from", foreign.to_str().unwrap()]);
        let text = said(&refused);
        assert!(
            !refused.status.success() && text.contains("nothing was changed") && text.contains("another deployment"),
            "{text}"
        );
        assert!(files() == before);
    }
    let key = world.server.data().join("root-key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::copy(other.server.data().join("root-key"), &key).unwrap();
    assert!(!run(&world, &["restore", "--from", own.to_str().unwrap()]).status.success());
    std::fs::write(&key, kept).unwrap();
    assert!(files() == before);
    begin_epoch(&world, &["--from", own.to_str().unwrap()], 1);
}

#[tokio::test]
async fn a04_two_logs_of_one_name_are_noticed() {
    let mut world = World::binary(Store::Sqlite, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let (before, away) = (folder.path().join("before.db"), folder.path().join("away"));
    world.server.stop();
    let data = world.server.data();
    std::fs::copy(data.join("tenure.db"), &before).unwrap();
    begin_epoch(&world, &["--new-epoch"], 1);
    // The evidence is out of reach while somebody restores again.
    std::fs::rename(data.join("epoch-1"), &away).unwrap();
    put_by_hand(&world, &before);
    begin_epoch(&world, &["--new-epoch"], 1);
    std::fs::rename(away.join("checkpoint"), data.join("epoch-1/checkpoint")).unwrap();
    world.restart();
    assert!(is_contradicted(&world).await);
}

#[tokio::test]
async fn a04_a_copy_that_writes_nothing_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (kept, copy) = (folder.path().join("kept"), folder.path().join("copy"));
    for folder in [&kept, &copy] {
        std::fs::create_dir(folder).unwrap();
    }
    let settings = [("TENURE_CHECKPOINT_PUSH", kept.to_str().unwrap())];
    let mut world = World::start_with(Store::Sqlite, &settings).await;
    let (id, key) = world.exporter("exporter").await;
    let token = world.token(&key, &id, "production").await;
    world.server.stop();
    let data = world.server.data();
    std::fs::copy(data.join("tenure.db"), copy.join("tenure.db")).unwrap();
    for (from, to) in [(&data, "beside"), (&kept, "elsewhere")] {
        std::fs::copy(from.join("checkpoint"), copy.join(to)).unwrap();
    }
    restart(&mut world, &settings);
    world.revoke("identity", &id).await.expect(201);
    world.server.stop();
    // The copy goes on where the original was, which runs elsewhere and hands over what it seals.
    std::fs::rename(kept.join("checkpoint"), copy.join("newest")).unwrap();
    std::fs::copy(copy.join("elsewhere"), kept.join("checkpoint")).unwrap();
    std::fs::copy(copy.join("beside"), data.join("checkpoint")).unwrap();
    put_by_hand(&world, &copy.join("tenure.db"));
    restart(&mut world, &settings);
    assert!(!is_contradicted(&world).await && world.is_live(&token).await);
    // Its start is over, and with it what it has to hand over: from here on it writes nothing, over what is kept there
    // neither.
    let size_in = |text: &str| text.lines().nth(1).unwrap().parse::<u64>().unwrap();
    let handed_over = async || {
        let metrics = world.text("", "/metrics").await;
        let entries = metrics.lines().find_map(|line| line.strip_prefix("tenure_log_entries ")).unwrap();
        entries.parse::<u64>().unwrap() == size_in(&std::fs::read_to_string(kept.join("checkpoint")).unwrap())
    };
    world.until(handed_over).await;
    // What is asked is all that it does, but for what a worker of it still has to write; the original hands over as well.
    world
        .until(async || {
            std::fs::copy(copy.join("newest"), copy.join("next")).unwrap();
            std::fs::rename(copy.join("next"), kept.join("checkpoint")).unwrap();
            world.form(&world.gateway, "/env/production/introspect", &[("token", &token)]).await.status == 401
        })
        .await;
    assert!(is_contradicted(&world).await);
}

#[tokio::test]
async fn a04_a_place_that_fails_for_a_minute_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (kept, away) = (folder.path().join("kept"), folder.path().join("away"));
    std::fs::create_dir(&kept).unwrap();
    let world = World::start_with(Store::Sqlite, &[("TENURE_CHECKPOINT_PUSH", kept.to_str().unwrap())]).await;
    assert!(!is_failing(&world).await);
    std::fs::rename(&kept, &away).unwrap();
    let open = async || {
        let found = world.get(&world.security, "/v1/findings?state=open&rule=checkpoints-not-kept").await.expect(200);
        found.body["items"].as_array().unwrap().clone()
    };
    world
        .until(async || {
            world.pass(61).await;
            open().await.len() == 1
        })
        .await;
    assert!(is_failing(&world).await);
    assert_eq!(open().await[0]["evidence"]["place"], json!(kept.to_str().unwrap()));
    let told = world.events_of("log.place_failed", "log").await.pop().unwrap();
    assert_eq!(told["data"]["notify"]["roles"], json!(["security", "administrator"]));
    assert!(!is_contradicted(&world).await);
    // Nothing else stops: only the evidence is missing.
    world.token(&world.gateway_key, &world.gateway_id, "production").await;
    std::fs::rename(&away, &kept).unwrap();
    world.until(async || open().await.is_empty()).await;
    assert!(!is_failing(&world).await);
}

#[tokio::test]
async fn a04_on_postgresql_a_database_that_was_put_back_is_noticed() {
    let mut world = World::binary(Store::Postgres, &[]).await;
    let before = Before::of(&world).await;
    world.server.stop();
    let name = world.server.database().unwrap().split('?').next().unwrap().rsplit('/').next().unwrap().to_owned();
    let backup = tenure_store::testing::copied_postgres(&name);
    world.restart();
    before.goes_on(&world).await;
    let hinted = run(&world, &["backup", "--out", "x"]);
    assert!(!hinted.status.success() && said(&hinted).contains("pg_dump"), "{}", said(&hinted));
    world.server.stop();
    world.server.stands_on(backup);
    world.restart();
    before.gets_nothing(&world).await;
    world.server.stop();
    let restored = run(&world, &["recover"]);
    assert!(restored.status.success() && said(&restored).contains("epoch 1 has begun"), "{}", said(&restored));
    world.restart();
    before.begins_anew(&mut world).await;
    assert_eq!(
        world
            .call(Method::GET, &world.security, "/v1/findings?state=open&rule=log-contradicted", None)
            .await
            .expect(200)
            .body["items"],
        json!([])
    );
}

/// The names of the files of a folder in whose bytes a text stands.
fn holding(folder: &Path, text: &str) -> Vec<String> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file());
    let holds = |path: &std::path::PathBuf| {
        std::fs::read(path).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
    };
    files.filter(holds).map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn a09_an_erased_name_is_in_no_file_and_the_database_is_whole_alone() {
    let name = "Petronella Unverkennbar";
    let mut world = World::binary(Store::Sqlite, &[]).await;
    let (id, _) = world.person(name, &[]).await;
    let data = world.server.data();
    assert!(!holding(&data, name).is_empty());
    world.post(&world.admin, &format!("/v1/people/{id}/erase"), json!({})).await.expect(200);
    world.until(async || holding(&data, name).is_empty()).await;
    // Killed between, what is left in the WAL goes at the next start.
    let other = "Ottokar Unvergesslich";
    let (id, _) = world.person(other, &[]).await;
    world.post(&world.admin, &format!("/v1/people/{id}/erase"), json!({})).await.expect(200);
    world.server.kill();
    world.restart();
    world.until(async || holding(&data, other).is_empty()).await;
    let size = world.events().await.len();
    world.server.stop();
    assert!(!data.join("tenure.db-wal").exists());
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(data.join("tenure.db"), copy.path().join("tenure.db")).unwrap();
    std::fs::copy(data.join("root-key"), copy.path().join("root-key")).unwrap();
    let backup = copy.path().join("again.db");
    let made =
        tenure().args(["backup", "--out", backup.to_str().unwrap(), "--data"]).arg(copy.path()).output().unwrap();
    let entries: usize = said(&made).split(": ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(entries >= size, "{entries} of {size}");
}
