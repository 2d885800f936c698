//! What survives a crash, what a server refuses to trust or to share, and how keys change.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::on_both;
use crate::world::{Key, Store, World};

/// The number that the store gives to rows of identities.
const IDENTITY: i64 = 7;

/// Issues until the server is gone; gives what was acknowledged.
async fn issue_until_it_dies(world: &World, key: &Key, id: &str, acknowledged: &std::cell::Cell<usize>) -> Vec<(String, String)> {
    let mut issued = Vec::new();
    loop {
        let assertion = key.assertion(id, &world.issuer("production"));
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion.as_str()),
        ];
        let Ok(response) = world.http.post(format!("{}/token", world.issuer("production"))).form(&fields).send().await else {
            return issued;
        };
        let (status, body) = (response.status(), response.json::<Value>().await);
        let Ok(body) = body else { return issued };
        assert!(status.is_success(), "{body}");
        issued.push((
            body["credential"].as_str().unwrap().to_owned(),
            body["access_token"].as_str().unwrap().to_owned(),
        ));
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
        .query_row("SELECT body FROM record WHERE kind = ?1 AND id = ?2", (IDENTITY, id.as_bytes()), |row| {
            row.get(0)
        })
        .unwrap();
    let mut identity: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(identity["state"], "suspended");
    identity["state"] = json!("active");
    identity["suspensions"] = json!([]);
    let edited = serde_json::to_vec(&identity).unwrap();
    assert_eq!(
        database
            .execute("UPDATE record SET body = ?1 WHERE kind = ?2 AND id = ?3", (edited, IDENTITY, id.as_bytes()))
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
