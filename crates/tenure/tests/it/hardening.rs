//! Attacks that a review thought of, kept as tests.

use std::time::{Duration, Instant};

use serde_json::json;
use tenure_log::Leaf;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{Key, Store, World, now};
use crate::{on_both, on_one};

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
    world.post(&world.security, &format!("/v1/identities/{id}/suspend"), json!({"reason": "test"})).await.expect(200);
    world.until(async || world.get("", "/v1/log/checkpoint").await.status == 200).await;
    assert_eq!(
        world.post(&world.auditor, "/v1/log/verify-state", json!({})).await.expect(200).body["faults"],
        json!([])
    );
    world.server.stop();
    let database = rusqlite::Connection::open(world.server.data().join("tenure.db")).unwrap();
    let mut read = database.prepare("SELECT place, leaf FROM entry ORDER BY place").unwrap();
    let leaves = read.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))).unwrap();
    let (place, mut leaf) = leaves
        .map(|found| found.map(|(place, leaf)| (place, Leaf::parse(&leaf).unwrap())).unwrap())
        .find(|(_, leaf)| leaf.kind == "identity.suspended")
        .unwrap();
    leaf.rows.clear();
    database
        .execute("UPDATE entry SET leaf = $1 WHERE place = $2", rusqlite::params![leaf.encode().unwrap(), place])
        .unwrap();
    drop(read);
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
    for (n, name) in ["date", "x-now", "x-time", "x-tenure-time", "x-tenure-clock", "x-test-clock"].iter().enumerate() {
        let ask = world.http.post(format!("{}/v1/applications?now=2099-01-01T00:00:00Z", world.server.url));
        let body = json!({"name": format!("app-{n}"), "owner": world.owner_id});
        let answer =
            World::answer(ask.bearer_auth(&world.admin).header(*name, "2099-01-01T00:00:00Z").json(&body)).await;
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
        let answer = world.post(&world.admin, "/v1/people", json!({"name": format!("{n} {}", "x".repeat(100))})).await;
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

on_one! {
    async fn d20_text_that_reads_otherwise_than_it_is_comes_in_by_no_door(world: World) {
        let before = world.changes().await.len();
        let hidden = "Ada\u{202e}nimda";
        for (path, body, field, code) in [
            ("/v1/people", json!({"name": hidden}), "name", "text_has_hidden_character"),
            ("/v1/people", json!({"name": "Ada\nRoot"}), "name", "text_has_line_break"),
            ("/v1/people", json!({"name": "Ada", "email": "a@b\r\nBcc: c@d"}), "email", "text_has_line_break"),
            ("/v1/people", json!({"name": "Ada", "email": "a@b, c@d"}), "email", "email_malformed"),
            ("/v1/teams", json!({"name": "core\u{200b}"}), "name", "text_has_hidden_character"),
            ("/v1/applications", json!({"name": "bill\u{2066}ing", "owner": world.owner_id}), "name", "text_has_hidden_character"),
            ("/v1/requests", json!({"matter": {"type": "activation", "identity": world.owner_id.replace("per", "idn")}, "purpose": "a\u{1b}[2Jb"}), "purpose", "text_has_control_character"),
            ("/v1/identities", json!({"kind": "workload", "name": "x", "charter": {"purpose": "one\ntwo", "repositories": ["acme/\u{feff}x"]}}), "charter.repositories[0]", "text_has_hidden_character"),
        ] {
            let refused = world.post(&world.admin, path, body).await.expect(422);
            let fields: Vec<(&str, &str)> = refused.body["fields"].as_array().unwrap().iter().map(|field| (field["field"].as_str().unwrap(), field["code"].as_str().unwrap())).collect();
            assert_eq!(fields, [(field, code)], "{path}: {}", refused.body);
            assert!(!refused.body.to_string().contains(['\u{202e}', '\u{200b}', '\u{1b}']), "{}", refused.body);
        }
        assert_eq!(world.changes().await.len(), before);
        // A joiner that a script needs, and lines where people write at length, are text like any other.
        world.post(&world.admin, "/v1/people", json!({"name": "می\u{200c}خواهم"})).await.expect(201);
    }
}

/// A server inside the test in a folder, at an address, by the machine's clock.
async fn served(data: &std::path::Path, listen: &str) -> tenure::server::Running {
    let settings = [("TENURE_DATA", data.to_str().unwrap()), ("TENURE_LISTEN", listen)];
    let config =
        tenure::config::Config::read(None, settings.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap();
    tenure::server::start(&config, std::sync::Arc::new(tenure::server::SystemClock)).await.unwrap()
}

#[tokio::test]
async fn d23_the_first_server_has_a_name_under_which_passkeys_work_and_both_addresses() {
    assert_eq!(tenure::config::Config::default().listen.to_string(), "localhost:8420");
    let folder = tempfile::tempdir().unwrap();
    let running = served(folder.path(), "localhost:0").await;
    let port: u16 = running.url.strip_prefix("http://localhost:").expect("it has a name").parse().unwrap();
    for address in [format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
        // A machine without IPv6 has one address.
        if address.starts_with('[') && std::net::TcpListener::bind("[::1]:0").is_err() {
            continue;
        }
        let alive = crate::world::client().get(format!("http://{address}/livez")).send().await.unwrap();
        assert_eq!(alive.status(), 200, "{address}");
    }
    let http = crate::world::client();
    let post = async |path: &str, token: &str, body: serde_json::Value| {
        World::answer(
            http.post(format!("{}{path}", running.url)).bearer_auth(token).header("origin", &running.url).json(&body),
        )
        .await
    };
    let token = std::fs::read_to_string(folder.path().join("setup-token")).unwrap();
    let done = post("/v1/setup", "", json!({"setup_token": token.trim(), "name": "Ada"})).await.expect(201);
    let ada = done.text("/operator_token");
    let invitation =
        post("/v1/invitations", &ada, json!({"person": done.text("/person/id")})).await.expect(201).text("/invitation");
    let begun = post("/sign-in/passkey/register-start", "", json!({"invitation": invitation})).await;
    assert_eq!(
        (begun.status, begun.body.to_string().contains("\"rp\":{\"id\":\"localhost\"")),
        (200, true),
        "{}",
        begun.body
    );
    running.stop().await;
}

#[tokio::test]
async fn d23_a_deployment_that_was_set_up_under_an_address_keeps_its_issuer() {
    let folder = tempfile::tempdir().unwrap();
    let running = served(folder.path(), "127.0.0.1:0").await;
    let old = running.url.clone();
    let port = old.rsplit(':').next().unwrap().to_owned();
    let token = std::fs::read_to_string(folder.path().join("setup-token")).unwrap();
    let http = crate::world::client();
    let setup = json!({"setup_token": token.trim(), "name": "Ada"});
    let ada =
        World::answer(http.post(format!("{old}/v1/setup")).json(&setup)).await.expect(201).text("/operator_token");
    World::answer(http.post(format!("{old}/v1/environments")).bearer_auth(ada).json(&json!({"name": "staging"})))
        .await
        .expect(201);
    running.stop().await;
    let running = served(folder.path(), &format!("localhost:{port}")).await;
    assert_eq!(running.url, old);
    // Whoever comes by the name is told, and addresses proofs to what the server is called.
    let client = tenure_client::Client::builder(format!("http://localhost:{port}")).build().unwrap();
    assert_eq!(client.proof_audience("staging").await, format!("{old}/env/staging"));
    running.stop().await;
}

on_one! {
    async fn d22_a_refusal_says_what_to_do(world: World) {
        // An address that the server may not reach is the operator's to allow.
        let inside = json!({"url": "https://192.168.77.9/realm", "audience": "https://tenure.example.com", "environments": ["production"]});
        let refused = world.post(&world.admin, "/v1/issuers", inside).await.expect(422);
        assert_eq!(refused.field_codes(), ["address_not_allowed"]);
        assert!(refused.text("/fields/0/hint").contains("outbound_allow (TENURE_OUTBOUND_ALLOW)"), "{}", refused.body);
        assert!(!refused.body.to_string().contains("log"), "the rule is told, and not where to look for it: {}", refused.body);
        // An end beyond what every route takes is named with the longest that one takes.
        let mut charter = world.charter(Key::new().jwk());
        charter["expires_at"] = json!(crate::world::in_secs(200 * 86_400));
        let refused = world.register("eternal", charter.clone(), "pending").await.expect(403);
        assert_eq!(refused.code(), "no_route");
        let detail = refused.text("/detail");
        assert!(detail.starts_with("charter.expires_at: ") && detail.contains("more than 90d"), "{detail}");
        charter["expires_at"] = json!(crate::world::in_secs(89 * 86_400));
        world.register("bounded", charter, "pending").await.expect(201);
        // Set-up a second time is told at once, and not by what it lacks.
        let folder = tempfile::tempdir().unwrap();
        let again = world.by_hand("", folder.path(), &["setup", "--name", "Eve"], None);
        let said = String::from_utf8(again.stderr).unwrap();
        assert!(again.status.code() == Some(1) && said.contains("set-up was done before") && !said.contains("can't read"), "{said}");
    }

    async fn d18_a_departures_dry_run_is_the_departure_without_it(world: World) {
        let id = world.active("exporter", world.charter(Key::new().jwk())).await;
        let draft = world.register("unstarted", world.charter(Key::new().jwk()), "draft").await.expect(201).text("/id");
        let path = format!("/v1/people/{}/depart", world.owner_id);
        let before = world.changes().await.len();
        let mut planned = world.post(&world.admin, &path, json!({"reason": "left", "dry_run": true})).await.expect(200).body;
        assert_eq!((world.changes().await.len(), world.get(&world.admin, &format!("/v1/people/{}", world.owner_id)).await.expect(200).text("/state")), (before, "active".into()));
        let folder = tempfile::tempdir().unwrap();
        let said = world.by_hand(&world.admin, folder.path(), &["person", "depart", &world.owner_id, "--reason", "left", "--dry-run"], None);
        let shown = String::from_utf8(said.stdout).unwrap();
        assert!(shown.contains("exporter") && shown.contains("unstarted") && shown.contains("closed"), "{shown}{}", String::from_utf8_lossy(&said.stderr));
        let mut done = world.post(&world.admin, &path, json!({"reason": "left"})).await.expect(200).body;
        assert_eq!((&planned["dry_run"], &done["dry_run"], &done["state"]), (&json!(true), &json!(false), &json!("departed")));
        // The deadline is counted from the moment, and nothing else differs.
        for report in [&mut planned, &mut done] {
            let left = report["left_behind"].as_array_mut().unwrap();
            left.iter_mut().for_each(|one| one["until"] = json!(one["until"].is_string()));
            left.sort_by_key(|one| one["identity"].to_string());
        }
        let named: Vec<&str> = done["left_behind"].as_array().unwrap().iter().map(|one| one["identity"].as_str().unwrap()).collect();
        assert!(named.contains(&id.as_str()) && named.contains(&draft.as_str()), "{done}");
        assert_eq!((&planned["left_behind"], &planned["ended_grants"]), (&done["left_behind"], &done["ended_grants"]));
    }

    async fn d18_what_other_systems_write_is_read(world: World) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("leute.csv");
        std::fs::write(&file, "\u{feff}Personalnummer;Name;Austritt;Kostenstelle\n7001;\"Lovelace; Ada\";2031-03-31;77\n").unwrap();
        let path = file.to_str().unwrap().to_owned();
        let marked = format!("\u{feff}{}", world.admin);
        let run = |more: &[&str]| {
            let arguments = [&["person", "import", "--source", "hr", &path, "-o", "json"][..], more].concat();
            let output = world.by_hand(&marked, folder.path(), &arguments, None);
            (output.status.code(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
        };
        let (code, said) = run(&[]);
        assert!(code == Some(1) && said.contains("separator_unknown") && said.contains("--separator ';'"), "{said}");
        let mapped = ["--separator", ";", "--column", "key=Personalnummer", "--column", "name=Name", "--column", "ends_at=Austritt"];
        let (code, said) = run(&mapped);
        assert!(code == Some(1) && said.contains("Kostenstelle") && said.contains("column_unknown"), "{said}");
        let (code, said) = run(&[&mapped[..], &["--other-columns", "ignore"]].concat());
        assert!(code == Some(0), "{said}");
        let known = world.get(&world.admin, "/v1/people?source=hr").await.expect(200);
        assert_eq!((known.text("/items/0/name"), known.text("/items/0/ends_at")), ("Lovelace; Ada".into(), "2031-04-01T00:00:00Z".into()));
        // A byte order mark is no part of JSON, either.
        let request = world.http.post(format!("{}/v1/teams", world.server.url)).bearer_auth(&world.admin).header("content-type", "application/json");
        World::answer(request.body("\u{feff}{\"name\": \"compilers\"}")).await.expect(201);
    }
}
