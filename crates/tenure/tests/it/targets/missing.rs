//! What a whole look through a real server doesn't find, and what it finds as it should be (R92, R102).

use serde_json::{Value, json};

use super::Orders;
use crate::on_one;
use crate::world::World;

impl World {
    async fn look_through(&self, target: &str) {
        self.post(&self.owner, &format!("/v1/targets/{target}/scan"), json!({})).await.expect(200);
    }
}

on_one! {
    async fn r92_a_login_that_is_gone_is_one_item_and_one_that_is_there_again_is_stopped(world: World) {
        let orders = Orders::new();
        let name = orders.login("phoenix");
        let target = world.target(&orders, "phoenix-db", "end").await;
        let identity = world.claimed(&name).await;
        // Nobody of Tenure's did that.
        orders.admin(&format!("DROP ROLE {name}"));
        world.look_through(&target).await;
        let item = world.drift_of(&identity, "open").await;
        assert_eq!(item["kind"], "account_missing");
        let found = world.get(&world.security, &format!("/v1/findings?subject={identity}&rule=account-missing")).await.expect(200);
        assert_eq!(found.body["items"].as_array().unwrap().len(), 1);
        // What is missing is no reason to end anything, and is called neither ended nor held.
        let view = world.get(&world.security, &format!("/v1/identities/{identity}")).await.expect(200);
        assert_eq!(view.text("/state"), "active");
        let account = world.account(&name).await;
        assert_eq!(account["state"], "standing");
        assert!(account["absent_since"].is_string(), "{account}");
        let path = format!("/v1/drift/{}", item["id"].as_str().unwrap());
        world.post(&world.owner, &format!("{path}/fix"), json!({"reason": "test"})).await.expect(409);
        // What the look could not see is said all the same.
        let looked = world.get(&world.security, &format!("/v1/targets/{target}")).await.expect(200);
        assert!(looked.body["scanned"]["unseen"].to_string().contains("pg_hba.conf"), "{}", looked.body);

        // Somebody makes it anew: it is another login, under a name that was somebody's.
        orders.login("phoenix");
        world.look_through(&target).await;
        let mut back = Value::Null;
        world
            .until(async || {
                let found = world.get(&world.security, "/v1/drift?kind=came_back&state=open").await.expect(200);
                back = found.body["items"].as_array().unwrap().iter().find(|one| one["name"] == name).cloned().unwrap_or_default();
                !back.is_null()
            })
            .await;
        let path = format!("/v1/drift/{}", back["id"].as_str().unwrap());
        world.post(&world.security, &format!("{path}/fix"), json!({"reason": "nobody made it on purpose"})).await.expect(200);
        world.until(async || world.get(&world.security, &path).await.expect(200).body["state"] == "closed").await;
        assert!(orders.refusal(&name).contains("not permitted to log in"));
        orders.admin(&format!("DROP ROLE {name}"));
    }

    async fn r102_what_the_targets_people_take_back_closes_by_the_next_look(world: World) {
        let orders = Orders::new();
        let name = orders.login("tidy");
        let table = format!("t_{name}");
        orders.admin(&format!("CREATE TABLE {table} (n int)"));
        let target = world.target(&orders, "tidy-db", "observe").await;
        let identity = world.claimed(&name).await;
        orders.admin(&format!("GRANT SELECT ON {table} TO {name}"));
        world.look_through(&target).await;
        let item = world.drift_of(&identity, "open").await;
        assert_eq!((item["kind"].as_str(), item["seen_in_part"].as_bool().unwrap_or(false)), (Some("grants_gained"), false), "{item}");
        orders.admin(&format!("REVOKE SELECT ON {table} FROM {name}"));
        world.look_through(&target).await;
        let closed = world.drift_of(&identity, "closed").await;
        assert_eq!((&closed["id"], &closed["decision"]), (&item["id"], &Value::Null), "nobody decided it");
        orders.admin(&format!("DROP TABLE {table}; DROP ROLE {name}"));
    }
}
