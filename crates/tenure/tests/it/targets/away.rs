//! A real server that can't be reached any more: said to be gone by two people, and there after all (S-8); and one that
//! has logins which a restored database knows nothing of (S-1).

use std::process::Command;

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::Orders;
use crate::on_one;
use crate::world::{Store, World, client, tenure};

/// A way to a server that can be cut off: with what goes over it at that moment.
struct Way {
    is_open: watch::Sender<bool>,
    port: u16,
    task: tokio::task::JoinHandle<()>,
}

impl Way {
    async fn to(url: &str) -> Self {
        let place = url.split_once("://").unwrap().1.split('/').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (is_open, open) = watch::channel(true);
        let task = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                if !*open.borrow() {
                    continue;
                }
                let (place, mut open) = (place.clone(), open.clone());
                tokio::spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(&place).await {
                        tokio::select! {
                            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                            _ = open.wait_for(|open| !open) => {}
                        }
                    }
                });
            }
        });
        Self { is_open, port, task }
    }

    fn is_open(&self, open: bool) {
        self.is_open.send_replace(open);
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl World {
    /// The state of the receipt of an identity's end.
    async fn receipt_of_end(&self, identity: &str) -> Value {
        let path = format!("/v1/receipts?target=identity/{identity}");
        let listed = self.get(&self.security, &path).await.expect(200);
        let of_it = listed.body["items"].as_array().unwrap().iter().find(|receipt| receipt["what"] == "revocation");
        let Some(id) = of_it.and_then(|receipt| receipt["id"].as_str().map(str::to_owned)) else { return Value::Null };
        self.get(&self.security, &format!("/v1/receipts/{id}")).await.expect(200).body
    }
}

on_one! {
    async fn s8_r72_a_server_is_gone_by_the_word_of_two_and_that_is_void_once_it_answers(world: World) {
        let orders = Orders::new();
        let name = orders.login("away");
        let way = Way::to(&orders.url).await;
        let mut endpoint = orders.endpoint();
        endpoint["url"] = json!(orders.url.replace(orders.url.rsplit(':').next().unwrap().split('/').next().unwrap(), &way.port.to_string()));
        let login = json!({"name": orders.name, "secret": orders.secret});
        let target = world.target_of("postgresql", endpoint, &login, "away-db", "end").await;
        let identity = world.claimed(&name).await;

        // How long it took to be stopped is told by target.
        let path = format!("/v1/identities/{identity}");
        world.post(&world.owner, &format!("{path}/suspend"), json!({"reason": "odd traffic"})).await.expect(200);
        world.until_receipt(&identity, "suspension", "ended_read_back").await;
        world.pass(61).await;
        let mut here = Value::Null;
        world
            .until(async || {
                let times = world.get(&world.security, "/v1/refusal-times").await.expect(200);
                here = times.body["by_target"].as_array().unwrap().iter().find(|one| one["target"] == target).cloned().unwrap_or_default();
                !here.is_null()
            })
            .await;
        assert_eq!((&here["name"], &here["count"], &here["open"]), (&json!("away-db"), &json!(1), &json!(0)), "{here}");
        assert!(here["p99_ms"].as_u64() >= here["p50_ms"].as_u64() && here["p50_ms"].is_u64(), "{here}");
        world.post(&world.security, &format!("{path}/resume"), json!({"reason": "was the batch"})).await.expect(200);
        world.until_account(&name, "standing").await;

        way.is_open(false);
        world.post(&world.owner, &format!("{path}/retire"), json!({"reason": "over"})).await.expect(200);
        world.until(async || world.receipt_of_end(&identity).await["state"] == "unreachable").await;
        assert!(orders.lets_in(&name));
        let at = format!("/v1/targets/{target}");
        let word = json!({"reason": "the cluster was switched off", "evidence": "CHG-4711"});
        world.post(&world.owner, &format!("{at}/attest-gone"), word.clone()).await.expect(403);
        world.post(&world.admin, &format!("{at}/attest-gone"), word).await.expect(200);
        // One person's word is nobody's.
        let alone = world.post(&world.admin, &format!("{at}/confirm-gone"), json!({})).await.expect(403);
        assert_eq!(alone.code(), "same_person");
        assert_eq!(world.receipt_of_end(&identity).await["state"], "unreachable");
        world.post(&world.security, &format!("{at}/confirm-gone"), json!({})).await.expect(200);
        world.until(async || world.receipt_of_end(&identity).await["state"] == "attested_gone").await;
        world.until_state(&identity, "retired").await;
        let receipt = world.receipt_of_end(&identity).await;
        assert_eq!(receipt["accounts"]["refused_verified"], 0, "nothing is proven: {receipt}");
        assert!(orders.lets_in(&name), "nobody could ask it");

        // It answers: their word is void, security is told, and the login is ended after all.
        way.is_open(true);
        world.pass(20 * 60).await;
        let found = format!("/v1/findings?rule=target-not-gone&subject={target}");
        world.until(async || world.get(&world.security, &found).await.expect(200).body["items"][0]["severity"] == "critical").await;
        // A try that met the closed way just before it opened puts the next one off once more.
        world
            .until(async || {
                world.pass(60).await;
                !orders.lets_in(&name)
            })
            .await;
        world.pass(20 * 60).await;
        world.until(async || world.receipt_of_end(&identity).await["state"] == "ended_read_back").await;
        assert!(world.get(&world.security, &at).await.expect(200).body["gone"].is_null());
    }
}

/// Runs `tenure` on the folder of a server.
fn run(world: &World, arguments: &[&str]) {
    let mut command: Command = tenure();
    command.args(arguments).arg("--data").arg(world.server.data()).env("TENURE_PUBLIC_URL", &world.server.url);
    let said = command.output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

#[tokio::test]
async fn s1_a_login_that_a_restored_database_knows_nothing_of_is_held_and_told() {
    let mut world = World::binary(Store::Sqlite, &[]).await;
    // Where no other test has logins with Tenure's mark: all of them are strays to this one.
    let orders = Orders::of_stores();
    let target = world.target(&orders, "restored-db", "issue").await;
    let uri = format!("postgres://{}", orders.mark);
    let table = orders.table();
    let resource = world.resource_at(&uri, &target, json!({"read": [orders.reading(&table)]})).await;
    let worker = world.worker("restored", &resource, |_| {}).await;
    let known = world.ask_login(&worker, &[("resource", &uri)]).await.expect(200);
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("monday.db");
    run(&world, &["backup", "--out", backup.to_str().unwrap()]);
    // What is issued now is lost with the database.
    let lost = world.ask_login(&worker, &[("resource", &uri)]).await.expect(200);
    let may_sign_in =
        |login: &str| orders.admin(&format!("SELECT rolcanlogin FROM pg_roles WHERE rolname = '{login}'"));
    assert_eq!(may_sign_in(&lost.text("/name")), "t");
    world.server.stop();
    run(&world, &["restore", "--from", backup.to_str().unwrap()]);
    world.server.restart(&[]);
    world.http = client();
    world.admin = std::fs::read_to_string(world.server.data().join("operator-token")).unwrap();

    // The target is looked through before anything else is done there; the login is held, and security is told.
    world.until(async || may_sign_in(&lost.text("/name")) == "f").await;
    let mut found = Value::Null;
    world
        .until(async || {
            found = world.get(&world.admin, "/v1/findings?rule=account-stray").await.expect(200).body;
            !found["items"][0].is_null()
        })
        .await;
    let ours = found["items"].as_array().unwrap().iter().find(|one| one["evidence"]["account"] == lost.text("/name"));
    let ours = ours.unwrap_or_else(|| panic!("{found}"));
    assert_eq!(
        (ours["severity"].as_str(), ours["evidence"]["target"].as_str()),
        (Some("critical"), Some("restored-db"))
    );
    // One of which the backup knew is none.
    assert!(!found.to_string().contains(&known.text("/name")), "{found}");
    orders.admin(&format!("DROP TABLE {table}"));
    for login in [&known, &lost] {
        orders.admin(&format!("DROP ROLE IF EXISTS {}", login.text("/name")));
    }
}
