//! Removal drills as their users meet them: a canary at a real server, with its own catalogue as the witness (R97).

use reqwest::Method;
use serde_json::{Value, json};

use crate::on_one;
use crate::targets::Orders;
use crate::world::World;

/// The last drill of an identity, once its canary is over.
async fn over(world: &World, path: &str) -> Value {
    let mut found = Value::Null;
    world
        .until(async || {
            found = world.get(&world.owner, path).await.expect(200).body;
            found["canaries"].as_array().unwrap().iter().all(|canary| canary["result"] != "running")
        })
        .await;
    found
}

on_one! {
    async fn r97_a_drill_ends_a_canary_at_the_real_target(world: World) {
        let orders = Orders::new();
        let table = orders.table();
        let target = world.target(&orders, "drill-db", "issue").await;
        let uri = format!("postgres://{}", orders.mark);
        let resource = world.resource_at(&uri, &target, json!({"read": [orders.reading(&table)]})).await;
        let worker = world.worker("exporter", &resource, |_| {}).await;
        let path = format!("/v1/identities/{}/drill", worker.id);
        world.call(Method::POST, &world.manager, &path, None).await.expect(403);
        // Nothing of its is alive: the canary goes the way alone.
        let began = world.call(Method::POST, &world.owner, &path, None).await.expect(200);
        assert_eq!((&began.body["proven"], began.text("/canaries/0/target")), (&json!(false), target.clone()));
        let drilled = over(&world, &path).await;
        let canary = &drilled["canaries"][0];
        assert_eq!((&canary["result"], &drilled["proven"]), (&json!("refused_verified"), &json!(true)), "{drilled}");
        let times = ["made_at", "accepted_at", "ended_at", "refused_at", "control_at"].map(|time| canary[time].as_str());
        assert!(times.iter().all(Option::is_some) && times[..4].is_sorted(), "{canary}");
        // The server's own words, and its catalogue: nothing of it is left, and it was never allowed anything.
        let login = canary["login"].as_str().unwrap();
        let told = world.get(&world.security, &format!("/v1/logins/{login}")).await.expect(200);
        assert!(told.text("/outcome/words").contains("password authentication failed"), "{}", told.body);
        assert_ne!(told.text("/outcome/control"), told.text("/name"));
        assert_eq!((&told.body["secret_kept"], told.body.get("grants")), (&json!(false), None));
        let count = format!("SELECT count(*) FROM pg_roles WHERE rolname = '{}'", told.text("/name"));
        assert_eq!(orders.admin(&count), "0");
        // Its date answers "removable", and the log says what was done.
        let shown = world.get(&world.owner, &format!("/v1/identities/{}", worker.id)).await.expect(200);
        assert_eq!((shown.text("/drill/at"), &shown.body["drill"]["proven"]), (drilled["at"].as_str().unwrap().to_owned(), &json!(true)));
        let page = world.text(&world.owner, &format!("/identities/{}", worker.id)).await;
        assert!(!page.contains("No removal of it is on record") && !page.contains("The last drill"), "{page}");
        assert_eq!(world.events_of("login.ended", login).await.len(), 1);
        // With a login that is alive, that is revoked too, and both are told in one table.
        let issued = world.ask_login(&worker, &[]).await.expect(200);
        let again = world.call(Method::POST, &world.owner, &path, None).await.expect(200);
        assert_eq!(again.text("/drilled/0/credential"), issued.text("/login"));
        over(&world, &path).await;
        world.until_ended(&issued.text("/login")).await;
        let mut command = crate::world::tenure();
        command.args(["drill", &worker.id, "--last"]).env("TENURE_SERVER", &world.server.url).env("TENURE_TOKEN", &world.owner);
        let told = String::from_utf8(command.output().unwrap().stdout).unwrap();
        assert!(told.contains("canary") && told.contains("refused_verified") && told.contains("drill-db"), "{told}");
        orders.admin(&format!("DROP TABLE {table}"));
    }
}
