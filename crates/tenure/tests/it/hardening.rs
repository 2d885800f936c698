//! Attacks that a review thought of, kept as tests.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::on_both;
use crate::world::{Key, Store, World, now};

fn address(world: &World) -> String {
    world.server.url.trim_start_matches("http://").to_owned()
}

on_both! { because "races of commits, and what the engine lets be altered";
    async fn a_token_revoked_while_its_request_is_under_way_commits_nothing(world: World) {
        let (eve, token) = world.person("Eve", &["administrator"]).await;
        let id = world.events_of("operator_token.created", &eve).await[0]["subjects"][1].as_str().unwrap().to_owned();
        // The head authenticates; the body is held back until the token is revoked.
        let body = json!({"ttl": "30d"}).to_string();
        let mut parked = TcpStream::connect(address(&world)).await.unwrap();
        let head = format!(
            "POST /v1/people/{eve}/operator-tokens HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        parked.write_all(head.as_bytes()).await.unwrap();
        // Its own earlier request shows that the server has read as far as it will.
        world.get(&token, "/v1/people").await.expect(200);
        world.post(&world.admin, &format!("/v1/operator-tokens/{id}/revoke"), json!({})).await.expect(200);
        parked.write_all(body.as_bytes()).await.unwrap();
        let mut answer = String::new();
        parked.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert_eq!(world.events_of("operator_token.created", &eve).await.len(), 1);
    }

    async fn entry_bundles_are_for_those_who_may_audit(world: World) {
        world.until(async || world.get("", "/v1/log/checkpoint").await.status == 200).await;
        let size: u64 = world.get("", "/v1/log/checkpoint").await.expect(200).body.as_str().unwrap().lines().nth(1).unwrap().parse().unwrap();
        let (bundle, tile) = (format!("/v1/log/tile/entries/000.p/{size}"), format!("/v1/log/tile/0/000.p/{size}"));
        world.get("", &bundle).await.expect(401);
        world.get(&world.owner, &bundle).await.expect(403);
        world.get(&world.auditor, &bundle).await.expect(200);
        world.get("", &tile).await.expect(200);
    }

    async fn a_second_cut_is_proven_with_what_it_killed_itself(world: World) {
        let (id, key) = world.exporter("exporter").await;
        world.token(&key, &id, "production").await;
        world.revoke("identity", &id).await.expect(201);
        let again = world.ask_token(&key, &id, "production").await.expect(200).text("/credential");
        let receipt = world.revoke("identity", &id).await.expect(201);
        assert_eq!(receipt.text("/points/0/outcome/probe"), again);
        assert_eq!(receipt.text("/state"), "refused_verified");
        // A third one kills nothing, and doesn't say that it did.
        assert_eq!(world.revoke("identity", &id).await.expect(201).text("/state"), "nothing_to_refuse");
    }

    async fn who_may_not_activate_registers_nothing_by_trying(world: World) {
        let key = Key::new();
        let body = json!({"kind": "workload", "name": "grab", "charter": world.charter(key.jwk()), "stage": "active"});
        // Active at once is for what a rule approves: otherwise nothing is registered.
        assert_eq!(world.post(&world.admin, "/v1/identities", body.clone()).await.expect(403).code(), "approval_needed");
        assert_eq!(world.post(&world.owner, "/v1/identities", body).await.expect(403).code(), "approval_needed");
        assert_eq!(world.get(&world.security, "/v1/identities?name=grab").await.expect(200).body["items"], json!([]));
        world.active("grab", world.charter(key.jwk())).await;
    }

    async fn an_owner_holds_the_role(world: World) {
        let (id, token) = world.person("Una", &["requester"]).await;
        let mut charter = world.charter(Key::new().jwk());
        charter["owner"] = json!(id);
        let body = json!({"kind": "workload", "name": "mine", "charter": charter, "stage": "active"});
        assert_eq!(world.post(&token, "/v1/identities", body).await.expect(422).field_codes(), ["owner_without_role"]);
    }

    async fn security_takes_an_owners_hold_over(world: World) {
        let scope = json!({"scope": {"type": "application", "id": world.application}, "reason": "test"});
        world.post(&world.owner, "/v1/holds", scope.clone()).await.expect(201);
        world.post(&world.security, "/v1/holds", scope.clone()).await.expect(201);
        world.post(&world.owner, "/v1/holds/release", scope.clone()).await.expect(403);
        let (_, second) = world.person("Sid", &["security"]).await;
        world.post(&second, "/v1/holds/release", scope).await.expect(200);
    }

    async fn a_refused_read_is_recorded(world: World) {
        let (id, token) = world.person("Una", &[]).await;
        world.get(&token, "/v1/people").await.expect(403);
        assert!(world.events().await.iter().any(|event| event["kind"] == "access.refused" && event["actor"]["id"] == json!(id) && event["data"]["asked"] == "person"));
    }
}

#[tokio::test]
async fn silent_connections_are_closed() {
    let world = World::binary(Store::Sqlite, &[]).await;
    let started = Instant::now();
    let mut silent = TcpStream::connect(address(&world)).await.unwrap();
    let mut half = TcpStream::connect(address(&world)).await.unwrap();
    half.write_all(b"P").await.unwrap();
    for socket in [&mut silent, &mut half] {
        let mut rest = Vec::new();
        tokio::time::timeout(Duration::from_secs(20), socket.read_to_end(&mut rest))
            .await
            .expect("still open")
            .unwrap();
    }
    assert!(started.elapsed() >= Duration::from_secs(5));
}

#[tokio::test]
async fn a_log_that_was_rewritten_in_the_database_vouches_for_nothing() {
    let mut world = World::binary(Store::Sqlite, &[]).await;
    let (id, _) = world.exporter("exporter").await;
    world
        .post(&world.security, &format!("/v1/identities/{id}/suspend"), json!({"reason": "test"}))
        .await
        .expect(200);
    world.until(async || world.get("", "/v1/log/checkpoint").await.status == 200).await;
    assert_eq!(
        world.post(&world.auditor, "/v1/log/verify-state", json!({})).await.expect(200).body["faults"],
        json!([])
    );
    world.server.stop();
    let database = rusqlite::Connection::open(world.server.data().join("tenure.db")).unwrap();
    let (index, leaf): (i64, Vec<u8>) = database
        .query_row(
            "SELECT idx, leaf FROM entry WHERE instr(leaf, CAST('identity.suspended' AS BLOB)) > 0",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    let mut leaf: serde_json::Value = serde_json::from_slice(&leaf).unwrap();
    leaf["rows"] = json!([]);
    database
        .execute(
            "UPDATE entry SET leaf = $1 WHERE idx = $2",
            rusqlite::params![leaf.to_string().into_bytes(), index],
        )
        .unwrap();
    drop(database);
    world.restart();
    let report = world.post(&world.auditor, "/v1/log/verify-state", json!({})).await.expect(200);
    let faults = report.body["faults"].as_array().unwrap();
    assert!(faults.iter().any(|fault| fault["kind"] == "log_entry"), "{}", report.body);
}

#[tokio::test]
async fn an_administrator_is_recovered_with_the_root_key_alone() {
    let mut world = World::binary(Store::Sqlite, &[]).await;
    let recover = |folder: &std::path::Path, url: &str| {
        let mut command = crate::world::tenure();
        command
            .args(["recover", "--data"])
            .arg(folder)
            .env("TENURE_PUBLIC_URL", url)
            .env_remove("TENURE_STORE")
            .env_remove("TENURE_ROOT_KEY");
        command.output().unwrap()
    };
    let (folder, url) = (world.server.data(), world.server.url.clone());
    assert!(!recover(&folder, &url).status.success(), "a running server's database was opened");
    world.server.stop();
    let done = recover(&folder, &url);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let token = std::fs::read_to_string(folder.join("operator-token")).unwrap();
    world.restart();
    world.post(&token, "/v1/people", json!({"name": "Bea"})).await.expect(201);
    assert!(world.events().await.iter().any(|event| event["kind"] == "deployment.recovered"));
    world.server.stop();
    std::fs::remove_file(folder.join("root-key")).unwrap();
    assert!(!recover(&folder, &url).status.success());
    assert!(!folder.join("root-key").exists(), "a root key was made up");
}

/// The clock of the tests is a value that a test hands over: nothing that somebody can say to a server moves its time.
#[tokio::test]
async fn the_servers_time_can_not_be_moved_from_outside() {
    // No variable, and no flag.
    for name in ["TENURE_CLOCK", "TENURE_TEST_CLOCK", "TENURE_NOW", "TENURE_TIME", "TENURE_CLOCK_OFFSET"] {
        let folder = tempfile::tempdir().unwrap();
        let mut server = crate::world::tenure();
        server
            .args(["server", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.path())
            .env(name, "2099-01-01T00:00:00Z");
        let output = server.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(&format!("the variable {name} is wrong")), "{said}");
    }
    for flag in ["--clock", "--now", "--time", "--test-clock"] {
        let mut server = crate::world::tenure();
        let output = server.args(["server", flag, "2099-01-01T00:00:00Z"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{flag}");
    }
    // No header, query or member of a body: what is committed is of the machine's time.
    let world = World::binary(Store::Sqlite, &[]).await;
    let before = now();
    for (n, name) in ["date", "x-now", "x-time", "x-tenure-time", "x-tenure-clock", "x-test-clock"]
        .iter()
        .enumerate()
    {
        let ask = world.http.post(format!("{}/v1/applications?now=2099-01-01T00:00:00Z", world.server.url));
        let body = json!({"name": format!("app-{n}"), "owner": world.owner_id});
        let answer = World::answer(ask.bearer_auth(&world.admin).header(*name, "2099-01-01T00:00:00Z").json(&body)).await;
        assert!([201, 400].contains(&answer.status), "{}", answer.body);
    }
    let body = json!({"name": "late", "owner": world.owner_id, "now": "2099-01-01T00:00:00Z"});
    world.post(&world.admin, "/v1/applications", body).await.expect(400);
    for event in world.events().await {
        assert!(event["at"].as_i64().unwrap() <= (now() + 1) * 1_000_000 && now() >= before, "{event}");
    }
    // And the binary holds nothing that could.
    let program = std::fs::read(env!("CARGO_BIN_EXE_tenure")).unwrap();
    assert!(contains(&program, b"SystemClock") && !contains(&program, b"TestClock"));
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test]
async fn a10_what_one_person_writes_is_bounded_in_number_size_and_kind() {
    let settings = [("TENURE_WRITE_BUDGET_KIB", "60")];
    let world = World::start_with(Store::Sqlite, &settings).await;
    world.hold();
    let (id, key) = world.exporter("exporter").await;
    let (_, other) = world.person("Bea", &["administrator"]).await;
    let mut refused = None;
    for n in 0..300 {
        let answer = world
            .post(&world.admin, "/v1/people", json!({"name": format!("{n} {}", "x".repeat(100))}))
            .await;
        if answer.status != 201 {
            assert_eq!(answer.code(), "budget_spent");
            refused = Some((n, answer));
            break;
        }
    }
    let (n, refused) = refused.expect("the budget of bytes is never spent");
    assert!(n > 10, "after {n} changes");
    assert_eq!(refused.status, 429, "{}", refused.body);
    // It is hers alone, and takes nothing from who revokes.
    world.post(&other, "/v1/people", json!({"name": "Una"})).await.expect(201);
    assert!(world.is_live(&world.token(&key, &id, "production").await).await);
    for _ in 0..40 {
        world.revoke("identity", &id).await.expect(201);
    }
    world.pass(60).await;
    world.post(&world.admin, "/v1/people", json!({"name": "Ida"})).await.expect(201);
}
