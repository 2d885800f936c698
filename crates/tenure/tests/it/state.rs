//! The state held against the log and against itself: whatever somebody wrote into the database by hand is named.

use std::time::Duration;

use serde_json::{Value, json};
use tenure_log::packed::pack_key;
use tenure_store::testing::index_term;

use crate::world::{Key, World, in_secs};
use crate::{on_both, on_one};

/// Kinds of rows, and of deadlines, by their numbers.
const PERSON: u8 = 1;
const IDENTITY: u8 = 7;
const DIGEST: u8 = 50;
const EXPIRY: u8 = 1;

/// A key as it stands in the database.
fn bytes(text: &str) -> String {
    literal(&pack_key(text))
}

/// A term as it stands in the index.
fn term(kind: u8, text: &str) -> String {
    literal(&index_term(kind, text))
}

/// Bytes as SQLite writes them in a statement.
fn literal(bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("x'{hex}'")
}

impl World {
    /// Alters the database as somebody would who has it and not the key; the server stands still meanwhile.
    async fn alter(&mut self, statements: &[String]) {
        self.server.stop();
        match self.server.database() {
            None => {
                let database = rusqlite::Connection::open(self.server.data().join("tenure.db")).unwrap();
                for statement in statements {
                    let altered = database.execute(statement, []).unwrap();
                    assert!(altered > 0 || statement.starts_with("CREATE"), "{statement}");
                }
            }
            Some(url) => {
                let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
                tokio::spawn(connection);
                for statement in statements {
                    let statement = statement.replace("x'", "'\\x");
                    assert_ne!(client.execute(&statement, &[]).await.unwrap(), 0, "{statement}");
                }
            }
        }
        self.restart();
    }

    /// What the server says of its state.
    async fn verified(&self, query: &str) -> Value {
        self.post(&self.auditor, &format!("/v1/log/verify-state{query}"), json!({})).await.expect(200).body
    }

    /// Every fault that the server finds.
    async fn faults(&self) -> Vec<String> {
        named(&self.verified("").await)
    }

    /// Lets the server make another digest of its state, which takes a log that has grown; returns how many entries it
    /// covers.
    async fn digest(&mut self) -> u64 {
        let known = self.digests().await.len();
        for n in 0..100 {
            self.register(&format!("draft-{known}-{n}"), json!({}), "draft").await.expect(201);
        }
        self.server.stop();
        self.restart();
        self.until_within(Duration::from_secs(30), async || self.digests().await.len() > known).await;
        self.digests().await[known]["data"]["entries"].as_u64().unwrap()
    }

    async fn digests(&self) -> Vec<Value> {
        let events = self.events().await;
        events.into_iter().filter(|event| event["kind"] == "state.digested").collect()
    }
}

/// The faults of a report, as `kind/id: fault`.
fn named(report: &Value) -> Vec<String> {
    let text = |fault: &Value, name: &str| fault[name].as_str().unwrap().to_owned();
    let named = |fault: &Value| format!("{}/{}: {}", text(fault, "kind"), text(fault, "id"), text(fault, "fault"));
    let mut faults: Vec<String> = report["faults"].as_array().unwrap().iter().map(named).collect();
    faults.sort_unstable();
    faults
}

on_both! {
    because "the index, the deadlines and the last uses are read with each engine's own statements";

    async fn a05_what_stands_beside_the_rows_is_held_against_them(world: World) {
        let mut world = world;
        let (emptied, key) = world.exporter("emptied").await;
        let (late, _) = world.exporter("late").await;
        let (gateway, person) = (world.gateway_id.clone(), world.security_id.clone());
        assert_eq!(world.faults().await, [""; 0]);
        let owner = format!("owner={}", world.owner_id);
        world
            .alter(&[
                format!("DELETE FROM due WHERE kind = {EXPIRY} AND subject = {}", bytes(&emptied)),
                format!("UPDATE due SET due_at = due_at + 86400000000 WHERE kind = {EXPIRY} AND subject = {}", bytes(&late)),
                format!("DELETE FROM term WHERE kind = {IDENTITY} AND term = {} AND id = {}", term(IDENTITY, &owner), bytes(&gateway)),
                format!("INSERT INTO term (shard, kind, term, id) VALUES (0, {PERSON}, {}, {})", term(PERSON, "team=forged"), bytes(&person)),
                format!("INSERT INTO term (shard, kind, term, id) VALUES (0, {PERSON}, {}, {})", term(PERSON, "team=forged"), bytes("per_nobody")),
                format!("INSERT INTO last_use (shard, subject, at, mac) VALUES (0, {}, 4000000000000000, {})", bytes(&emptied), bytes("forged")),
            ])
            .await;
        let mut expected = [
            format!("identity/{emptied}: deadline_missing"),
            format!("identity/{late}: deadline_late"),
            format!("identity/{gateway}: unindexed"),
            format!("person/{person}: misindexed"),
            "person/per_nobody: misindexed".to_owned(),
            format!("last_use/{emptied}: altered"),
        ];
        expected.sort_unstable();
        assert_eq!(world.faults().await, expected);
        // What nobody noted who has the key is no use, and the next real one is: however late the forged one was.
        world.token(&key, &emptied, "production").await;
        let forged = format!("last_use/{emptied}: altered");
        world.until(async || !world.faults().await.contains(&forged)).await;
    }
}

on_one! {
    async fn a05_what_a_row_is_listed_and_dropped_by_follows_from_it(world: World) {
        let mut world = world;
        let (id, _) = world.exporter("exporter").await;
        let (gateway, person) = (world.gateway_id.clone(), world.security_id.clone());
        world
            .alter(&[
                // Taken out of the column and the index alike, so that these two agree.
                format!("UPDATE record SET terms = {} WHERE kind = {IDENTITY} AND id = {}", bytes("[]"), bytes(&id)),
                format!("UPDATE record SET drop_after = 1 WHERE kind = {IDENTITY} AND id = {}", bytes(&gateway)),
                format!("UPDATE due SET lease_until = 9000000000000000000 WHERE kind = {EXPIRY} AND subject = {}", bytes(&id)),
                format!("UPDATE record SET mac = {} WHERE kind = {PERSON} AND id = {}", bytes("forged"), bytes(&person)),
            ])
            .await;
        let faults = world.faults().await;
        assert!(faults.contains(&format!("identity/{id}: unindexed")), "{faults:?}");
        assert!(faults.contains(&format!("person/{person}: altered")), "{faults:?}");
        // Its own time is over according to the column: it is named, or was dropped and is missed.
        let dropped = ["drop_time_altered", "missing"].map(|fault| format!("identity/{gateway}: {fault}"));
        assert!(faults.iter().any(|fault| dropped.contains(fault)), "{faults:?}");
    }

    async fn a05_whatever_waits_is_missed_in_an_emptied_queue(world: World) {
        let mut world = world;
        let (id, _) = world.exporter("exporter").await;
        let later = |days: i64| in_secs(days * 86_400);
        let request = world.register("waits", world.charter(Key::new().jwk()), "pending").await.expect(201).text("/request");
        let need = json!({"type": "contract", "name": "atlas", "owner": world.owner_id, "ends_at": later(30)});
        let need = world.post(&world.admin, "/v1/needs", need).await.expect(201).text("/id");
        let (leaves, _) = world.person_as(json!({"name": "Lea", "roles": ["requester", "owner"], "ends_at": later(20)})).await;
        let transfer = format!("/v1/identities/{id}/transfer");
        let transfer = world.post(&world.owner, &transfer, json!({"to": leaves})).await.expect(201).text("/id");
        assert_eq!(world.faults().await, [""; 0]);
        world.alter(&["DELETE FROM due".to_owned()]).await;
        let faults = world.faults().await;
        for waits in [("identity", &id), ("request", &request), ("need", &need), ("person", &leaves), ("transfer", &transfer)] {
            assert!(faults.contains(&format!("{}/{}: deadline_missing", waits.0, waits.1)), "{waits:?}: {faults:?}");
        }
    }

    async fn a05_a_digest_stands_for_the_log_before_it(world: World) {
        let mut world = world;
        let (id, _) = world.exporter("exporter").await;
        let row = format!("kind = {IDENTITY} AND id = {}", bytes(&id));
        world.alter(&[format!("CREATE TABLE aside AS SELECT * FROM record WHERE {row}")]).await;
        let suspend = format!("/v1/identities/{id}/suspend");
        world.post(&world.security, &suspend, json!({"reason": "incident 7"})).await.expect(200);
        let entries = world.digest().await;
        world.alter(&[format!("DELETE FROM entry WHERE place < {entries}")]).await;
        let report = world.verified("").await;
        assert_eq!((named(&report), &report["from"]), (vec![], &json!(entries)));
        // Who asks for all of it is told that it isn't there.
        let full = world.verified("?full=true").await;
        assert_eq!((named(&full), &full["from"]), (vec!["log_entry/0: missing".to_owned()], &json!(0)));
        world.post(&world.auditor, "/v1/log/verify-state?ful=true", json!({})).await.expect(422);
        // The digest says what the entries said.
        world.alter(&[format!("DELETE FROM record WHERE {row}"), "INSERT INTO record SELECT * FROM aside".to_owned()]).await;
        assert!(world.faults().await.contains(&format!("identity/{id}: rolled_back")));
        // One that was altered says nothing, and the log is read without it.
        let chunk = "chunk/even/0000000000";
        let altered = format!("UPDATE record SET mac = {} WHERE kind = {DIGEST} AND id = {}", bytes("forged"), bytes(chunk));
        world.alter(&[altered]).await;
        let report = world.verified("").await;
        let faults = named(&report);
        for fault in [format!("state_digest/{chunk}: altered"), "log_entry/0: missing".to_owned()] {
            assert!(faults.contains(&fault), "{fault} in {faults:?}");
        }
        assert_eq!(report["from"], 0);
    }

    async fn a05_what_was_put_back_with_an_older_digest_is_named(world: World) {
        let mut world = world;
        let (id, _) = world.exporter("exporter").await;
        world.digest().await;
        let rows = format!("kind = {DIGEST} OR (kind = {IDENTITY} AND id = {})", bytes(&id));
        world.alter(&[format!("CREATE TABLE aside AS SELECT * FROM record WHERE {rows}")]).await;
        let suspend = format!("/v1/identities/{id}/suspend");
        world.post(&world.security, &suspend, json!({"reason": "incident 7"})).await.expect(200);
        world.digest().await;
        assert_eq!(world.faults().await, [""; 0]);
        world.alter(&[format!("DELETE FROM record WHERE {rows}"), "INSERT INTO record SELECT * FROM aside".to_owned()]).await;
        let faults = world.faults().await;
        for fault in ["state_digest/newest: rolled_back".to_owned(), format!("identity/{id}: rolled_back")] {
            assert!(faults.contains(&fault), "{fault} in {faults:?}");
        }
    }

    async fn d09_a_row_that_was_altered_spoils_itself_and_not_its_list(world: World) {
        let mut world = world;
        let person = world.owner_id.clone();
        world
            .alter(&[format!("UPDATE record SET mac = {} WHERE kind = {PERSON} AND id = {}", bytes("forged"), bytes(&person))])
            .await;
        let page = world.get(&world.admin, "/v1/people").await.expect(200);
        assert_eq!(page.body["unreadable"], json!([person]));
        assert!(page.body["items"].as_array().unwrap().iter().any(|item| item["id"] == world.manager_id.as_str()));
        // A page that ends with it goes on behind it.
        let mut path = "/v1/people?limit=1".to_owned();
        let mut seen = Vec::new();
        loop {
            let page = world.get(&world.admin, &path).await.expect(200);
            seen.extend(page.body["items"].as_array().unwrap().iter().map(|item| item["id"].clone()));
            let Some(next) = page.body["next"].as_str() else { break };
            path = format!("/v1/people?limit=1&after={next}");
        }
        assert!(seen.len() >= 4 && !seen.contains(&json!(person)), "{seen:?}");
        world.get(&world.admin, &format!("/v1/people/{person}")).await.expect(500);
        assert_eq!(world.faults().await, [format!("person/{person}: altered")]);
    }
}
