//! What a list told of, and nobody claims in time (R98).

use serde_json::{Value, json};

use crate::on_one;

on_one! {
    async fn r98_what_a_list_told_of_and_nobody_claims_in_time_is_told_until_somebody_answers_for_it(world: World) {
        let owner = world.get(&world.admin, &format!("/v1/people/{}", world.owner_id)).await.expect(200);
        let who = owner.body["email"].as_str().or(owner.body["name"].as_str()).unwrap().to_owned();
        let rows: Vec<Value> = ["NIGHT", "DAY"].iter().zip(2..).map(|(name, line)| json!({"line": line, "name": name, "system": "mainframe", "owner_name": who})).collect();
        let ask = json!({"source": "racf", "environment": "production", "rows": rows, "claim_within": "1h"});
        let brought = world.post(&world.admin, "/v1/identities/import", ask).await.expect(200);
        let (night, day) = (brought.text("/items/0/identity"), brought.text("/items/1/identity"));
        let told = async |identity: &str, state: &str| {
            let path = format!("/v1/findings?rule=unclaimed-listed&subject={identity}&state={state}");
            world.get(&world.security, &path).await.expect(200).body["items"].as_array().unwrap().clone()
        };
        let claim = async |identity: &str| {
            let charter = json!({"charter": {"purpose": "closes the books"}});
            world.post(&world.owner, &format!("/v1/identities/{identity}/claim"), charter).await.expect(200);
        };
        // Claimed in time nothing is said of it.
        claim(&day).await;
        world.pass(30 * 60).await;
        assert!(told(&night, "open").await.is_empty());
        world.pass(31 * 60).await;
        world.until(async || !told(&night, "open").await.is_empty()).await;
        let found = told(&night, "open").await;
        assert_eq!(found[0]["evidence"], json!({"source": "racf", "system": "mainframe", "name": "NIGHT", "line": 2}));
        assert!(told(&day, "open").await.is_empty());
        // Nothing is done to it by that; a claim resolves it.
        let identity = world.get(&world.security, &format!("/v1/identities/{night}")).await.expect(200);
        assert_eq!(identity.text("/state"), "discovered");
        claim(&night).await;
        assert!(told(&night, "open").await.is_empty());
        assert_eq!(told(&night, "resolved").await.len(), 1);
    }
}
