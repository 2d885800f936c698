//! What survives a crash, what a server refuses to trust or to share, and how keys change.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};
use tenure_log::packed::{pack_key, unpack, unpack_key};

use crate::on_both;
use crate::world::{Key, Store, World};

/// The number that the store gives to rows of identities.
const IDENTITY: i64 = 7;

/// Issues until the server is gone; gives what was acknowledged.
async fn issue_until_it_dies(
    world: &World,
    key: &Key,
    id: &str,
    acknowledged: &std::cell::Cell<usize>,
) -> Vec<(String, String)> {
    let mut issued = Vec::new();
    loop {
        let assertion = key.assertion(id, &world.issuer("production"));
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion.as_str()),
        ];
        let Ok(response) = world.http.post(format!("{}/token", world.issuer("production"))).form(&fields).send().await
        else {
            return issued;
        };
        let (status, body) = (response.status(), response.json::<Value>().await);
        let Ok(body) = body else { return issued };
        assert!(status.is_success(), "{body}");
        issued
            .push((body["credential"].as_str().unwrap().to_owned(), body["access_token"].as_str().unwrap().to_owned()));
        acknowledged.set(acknowledged.get() + 1);
    }
}

on_both! { because "what was acknowledged is what the engine wrote", by |store| World::binary(store, &[]);
    async fn every_acknowledged_credential_outlives_a_crash(world: World) {
        let mut world = world;
        let mut workloads = Vec::new();
        for n in 0..4 {
            workloads.push(world.exporter(&format!("exporter-{n}")).await);
        }
        for _ in 0..2 {
            let acknowledged = std::cell::Cell::new(0);
            let clients = workloads.iter().map(|(id, key)| issue_until_it_dies(&world, key, id, &acknowledged));
            // The server dies while all of them are waiting for their next one.
            let killer = async {
                world.until(async || acknowledged.get() >= 100).await;
                world.server.kill();
            };
            let (issued, ()) = tokio::join!(futures_util::future::join_all(clients), killer);
            let issued: Vec<_> = issued.into_iter().flatten().collect();
            assert!(issued.len() >= 100);
            world.restart();
            let events = world.events().await;
            let logged: Vec<&str> = events.iter().filter(|event| event["kind"] == "credential.issued").map(|event| event["subjects"][0].as_str().unwrap()).collect();
            for (credential, token) in &issued {
                assert!(logged.contains(&credential.as_str()), "{credential} is not in the log");
                assert!(world.is_live(token).await, "{credential} is not alive");
            }
        }
    }

    async fn what_was_revoked_stays_so_after_a_crash(world: World) {
        let mut world = world;
        let (id, key) = world.exporter("exporter").await;
        let revoked = world.ask_token(&key, &id, "production").await;
        let kept = world.token(&key, &id, "production").await;
        world.revoke("credential", &revoked.text("/credential")).await.expect(201);
        world.server.kill();
        world.restart();
        assert!(!world.is_live(&revoked.text("/access_token")).await);
        assert!(world.is_live(&kept).await);
        world.post(&world.security, &format!("/v1/identities/{id}/retire"), json!({"reason": "done"})).await.expect(200);
        world.server.kill();
        world.restart();
        assert!(!world.is_live(&kept).await);
        // What was under way goes on, at the latest when the dead worker's lease of 30 s ends.
        let path = format!("/v1/identities/{id}");
        let retired = async || world.get(&world.security, &path).await.expect(200).text("/state") == "retired";
        world.until_within(Duration::from_secs(45), retired).await;
    }

    async fn keys_rotate_with_an_overlap(world: World) {
        let (id, workload) = world.exporter("exporter").await;
        let key_ids = async || {
            let keys = world.get("", "/env/production/jwks.json").await.expect(200).body["keys"].as_array().unwrap().clone();
            keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let signed_by = |token: &str| {
            use base64::Engine as _;
            let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
            serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
        };
        let before = key_ids().await;
        let old = world.token(&workload, &id, "production").await;
        assert_eq!(before, [signed_by(&old)]);
        world.post(&world.owner, "/v1/environments/production/rotate-key", json!({})).await.expect(403);
        let asked = Instant::now();
        world.post(&world.admin, "/v1/environments/production/rotate-key", json!({})).await.expect(200);
        // Both are published at once; the new one signs only once verifiers had the overlap to fetch it.
        let after = key_ids().await;
        assert_eq!((after.len(), &after[0]), (2, &before[0]));
        world.until(async || signed_by(&world.token(&workload, &id, "production").await) == after[1]).await;
        assert!(asked.elapsed() >= Duration::from_millis(1_900), "{:?}", asked.elapsed());
        let new = world.token(&workload, &id, "production").await;
        assert!(world.is_live(&old).await && world.is_live(&new).await);
        assert_eq!(key_ids().await, after);
        // The other environment's key is another matter.
        let staging = world.get("", "/env/staging/jwks.json").await.expect(200);
        assert!(!after.contains(&staging.text("/keys/0/kid")));
        assert_eq!(world.events_of("environment.key_rotated", "production").await.len(), 1);
    }
}

#[tokio::test]
async fn a_row_that_was_edited_by_hand_is_not_trusted() {
    let mut world = World::binary(Store::Sqlite, &[]).await;
    let (id, key) = world.exporter("exporter").await;
    let (bystander, bystander_key) = world.exporter("bystander").await;
    let token = world.token(&key, &id, "production").await;
    world
        .post(&world.security, &format!("/v1/identities/{id}/suspend"), json!({"reason": "stolen laptop"}))
        .await
        .expect(200);
    world.server.stop();
    let database = Connection::open(world.server.data().join("tenure.db")).unwrap();
    let body: Vec<u8> = database
        .query_row("SELECT body FROM record WHERE kind = ?1 AND id = ?2", (IDENTITY, pack_key(&id)), |row| row.get(0))
        .unwrap();
    let mut identity: Value = serde_json::from_slice(&unpack(&body, &id).unwrap()).unwrap();
    assert_eq!(identity["state"], "suspended");
    identity["state"] = json!("active");
    identity["suspensions"] = json!([]);
    let edited = serde_json::to_vec(&identity).unwrap();
    assert_eq!(
        database
            .execute("UPDATE record SET body = ?1 WHERE kind = ?2 AND id = ?3", (edited, IDENTITY, pack_key(&id)))
            .unwrap(),
        1
    );
    drop(database);
    world.restart();
    // Nothing is issued, nothing held is accepted, and no answer says more than that something is wrong.
    let answer = world.ask_token(&key, &id, "production").await;
    assert!(answer.status >= 500, "{}", answer.body);
    assert!(!answer.body.to_string().contains(&id), "{}", answer.body);
    let answer = world.form(&world.gateway, "/env/production/introspect", &[("token", &token)]).await;
    assert_ne!(answer.body["active"], json!(true), "{}", answer.body);
    assert_ne!(world.evaluate(&id, Some(&token), "read").await.body["decision"], json!(true));
    assert_eq!(world.events_of("credential.issued", &id).await.len(), 1);
    // Who was not touched goes on.
    assert!(world.is_live(&world.token(&bystander_key, &bystander, "production").await).await);
}

#[tokio::test]
async fn a_second_server_on_one_file_is_refused() {
    let world = World::binary(Store::Sqlite, &[]).await;
    let output = crate::world::tenure()
        .args(["server", "--listen", "127.0.0.1:0", "--data"])
        .arg(world.server.data())
        .env_remove("TENURE_STORE")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("tenure.db") && said.contains("another"), "{said}");
    // The first one is none the worse for it.
    let (id, key) = world.exporter("exporter").await;
    assert!(world.is_live(&world.token(&key, &id, "production").await).await);
}

#[tokio::test]
async fn a07_a_replica_that_sleeps_on_the_logs_head_delays_no_revocation() {
    let world = World::binary(Store::Postgres, &[]).await;
    let mut tokens = Vec::new();
    for n in 0..4 {
        let (id, key) = world.exporter(&format!("exporter-{n}")).await;
        tokens.push(world.ask_token(&key, &id, "production").await.text("/credential"));
    }
    let url = world.server.database().unwrap();
    for credential in &tokens {
        // As a process that was stopped between its two flights of statements: in a transaction, with the lock, doing
        // nothing.
        let (sleeper, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        sleeper
            .batch_execute("SET application_name = 'tenure'; BEGIN; SELECT size FROM head FOR UPDATE")
            .await
            .unwrap();
        // Whoever sleeps holds the lock for as long as it likes: unless it is ended, this is a 503.
        world.revoke("credential", credential).await.expect(201);
        assert!(sleeper.is_closed() || sleeper.batch_execute("COMMIT").await.is_err(), "the sleeper goes on");
    }
}

/// The rows of a kind whose id holds a text, as they stand in the database.
fn rows_of(data: &std::path::Path, kind: i64, part: &str) -> Vec<(String, Vec<rusqlite::types::Value>)> {
    let database = Connection::open(data.join("tenure.db")).unwrap();
    let mut statement =
        database.prepare("SELECT id, revision, position, mac, body FROM record WHERE kind = ?1 ORDER BY id").unwrap();
    let rows = statement.query_map([kind], |row| {
        let id: Vec<u8> = row.get(0)?;
        Ok((unpack_key(&id), (1..5).map(|n| row.get(n)).collect::<Result<_, _>>()?))
    });
    rows.unwrap().map(Result::unwrap).filter(|(id, _): &(String, _)| id.contains(part)).collect()
}

/// Puts rows back to what they were, each with the MAC that it had; those that were not there yet go.
fn put_rows_back(data: &std::path::Path, kind: i64, part: &str, before: &[(String, Vec<rusqlite::types::Value>)]) {
    let now = rows_of(data, kind, part);
    assert_ne!(now, before, "nothing to put back");
    let database = Connection::open(data.join("tenure.db")).unwrap();
    for (id, _) in &now {
        let changed = match before.iter().find(|(known, _)| known == id) {
            Some((_, columns)) => database.execute(
                "UPDATE record SET revision = ?3, position = ?4, mac = ?5, body = ?6 WHERE kind = ?1 AND id = ?2",
                rusqlite::params![kind, pack_key(id), columns[0], columns[1], columns[2], columns[3]],
            ),
            None => database
                .execute("DELETE FROM record WHERE kind = ?1 AND id = ?2", rusqlite::params![kind, pack_key(id)]),
        };
        assert_eq!(changed.unwrap(), 1);
    }
}

#[tokio::test]
async fn a05_a_row_that_was_put_back_or_deleted_is_not_believed() {
    const PERSON: i64 = 1;
    const OPERATOR_TOKEN: i64 = 2;
    const CREDENTIAL: i64 = 10;
    const CUT: i64 = 11;
    const HOLD: i64 = 12;
    let mut world = World::binary(Store::Sqlite, &[]).await;
    let data = world.server.data();
    let (una_id, una) = world.person("Una", &["requester"]).await;
    let (cut, cut_key) = world.exporter("cut").await;
    let (suspended, suspended_key) = world.exporter("suspended").await;
    let (revoked, revoked_key) = world.exporter("revoked").await;
    let token = world.token(&cut_key, &cut, "production").await;
    let issued = world.ask_token(&revoked_key, &revoked, "production").await;
    let (credential, of_revoked) = (issued.text("/credential"), issued.text("/access_token"));
    let tokens = format!("/v1/people/{}/operator-tokens", world.owner_id);
    let operator = world.post(&world.admin, &tokens, json!({})).await.expect(201);
    let (operator_id, operator) = (operator.text("/id"), operator.text("/operator_token"));
    let watched = [
        (IDENTITY, suspended.clone()),
        (PERSON, una_id.clone()),
        (OPERATOR_TOKEN, operator_id.clone()),
        (CREDENTIAL, credential.clone()),
        (CUT, cut.clone()),
        (HOLD, "staging".to_owned()),
    ];
    let before: Vec<_> = watched.iter().map(|(kind, part)| rows_of(&data, *kind, part)).collect();
    world
        .post(&world.security, &format!("/v1/identities/{suspended}/suspend"), json!({"reason": "x"}))
        .await
        .expect(200);
    world.post(&world.security, &format!("/v1/people/{una_id}/suspend"), json!({"reason": "x"})).await.expect(200);
    world.post(&world.admin, &format!("/v1/operator-tokens/{operator_id}/revoke"), json!({})).await.expect(200);
    world.revoke("credential", &credential).await.expect(201);
    world.revoke("identity", &cut).await.expect(201);
    world
        .post(&world.security, "/v1/holds", json!({"scope": {"type": "environment", "id": "staging"}, "reason": "x"}))
        .await
        .expect(201);
    world.server.stop();
    for ((kind, part), before) in watched.iter().zip(&before) {
        put_rows_back(&data, *kind, part, before);
    }
    world.restart();
    // Each is refused, and by name where somebody may know.
    let asked = world.ask_token(&suspended_key, &suspended, "production").await;
    assert!(asked.status >= 400, "{}", asked.body);
    for token in [&token, &of_revoked] {
        let fields = [("token", token.as_str())];
        let introspected = world.form(&world.gateway, "/env/production/introspect", &fields).await;
        assert_ne!(introspected.body["active"], json!(true), "{}", introspected.body);
    }
    for token in [&una, &operator] {
        let answer = world.get(token, "/v1/people").await;
        assert!(answer.status >= 400, "{}", answer.body);
    }
    let (held, held_key) = (world.gateway_id.clone(), &world.gateway_key);
    assert_eq!(world.ask_token(held_key, &held, "production").await.status, 200);
    let state = world.post(&world.auditor, "/v1/log/verify-state", json!({})).await.expect(200);
    let faults = state.body["faults"].as_array().unwrap();
    // Nobody has to ask.
    let about = format!("identity/{suspended}");
    let noticed = async || {
        let found = world.get(&world.security, "/v1/findings?state=open&rule=state-altered").await.expect(200);
        found.body["items"].as_array().unwrap().iter().any(|found| found["subject"] == about.as_str())
    };
    world.until_within(Duration::from_secs(20), noticed).await;
    let metrics = world.text("", "/metrics").await;
    assert!(metrics.contains("\ntenure_state_faults 6\n"), "{metrics}");
    assert!(world.text("", "/readyz").await.starts_with("degraded: rows of the database"));
    for (kind, part) in [
        ("identity", &suspended),
        ("person", &una_id),
        ("operator_token", &operator_id),
        ("credential", &credential),
        ("cut", &cut),
    ] {
        let named = |fault: &&Value| fault["kind"] == kind && fault["id"].as_str().unwrap().contains(part.as_str());
        assert!(faults.iter().any(|fault| named(&fault)), "{kind} {part} in {}", state.body);
    }
}
