//! The first page: what waits for whoever reads, and nothing that they may not see.

use serde_json::json;

use super::{is_sound, page};
use crate::on_one;
use crate::world::Key;

on_one! {
    async fn what_waits_for_somebody_stands_on_their_first_page(world: World) {
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["coverage"] = json!("just_in_time");
        let exporter = world.active("jit-exporter", charter).await;
        let access = json!({"type": "access", "identity": exporter, "entitlement": {"actions": ["read"], "resource": world.orders}, "duration": "1h"});
        let id = world.ask(&world.owner, access, "read <once>").await.expect(201).text("/id");
        let home = page(&world, &world.manager, "/").await.expect(200);
        is_sound(&home);
        let link = format!("href=\"/requests/{id}\"");
        for part in [link.as_str(), "jit-exporter may read on https://orders.internal", "Asked by Olu: read &#60;once&#62;", ">Decide</a>", "lapses <time"] {
            assert!(home.text.contains(part), "{part} is missing in {}", home.text);
        }
        // Who asked has no vote; nor has who is of another role.
        for other in [&world.owner, &world.security, &world.admin, &world.auditor] {
            let home = page(&world, other, "/").await.expect(200);
            assert!(!home.text.contains(&link), "{}", home.text);
        }
        world.approve(&world.manager, &id).await.expect(200);
        let home = page(&world, &world.manager, "/").await.expect(200);
        assert!(!home.text.contains(&link) && home.text.contains("Nothing. No vote"), "{}", home.text);
    }

    async fn what_ends_this_week_and_what_is_offered_waits_for_its_owner(world: World) {
        let mut charter = world.charter(Key::new().jwk());
        charter["expires_at"] = json!(crate::world::in_secs(3 * 86_400));
        let ending = world.active("ending-soon", charter).await;
        world.until(async || page(&world, &world.owner, "/").await.text.contains("Ends this week")).await;
        let home = page(&world, &world.owner, "/").await.expect(200);
        assert!(home.text.contains(&format!("href=\"/identities/{ending}/renew\"")), "{}", home.text);
        let (ola_id, ola) = world.person("Ola", &["owner"]).await;
        let offer = json!({"to": ola_id});
        world.post(&world.owner, &format!("/v1/identities/{ending}/transfer"), offer).await.expect(201);
        let home = page(&world, &ola, "/").await.expect(200);
        assert!(home.text.contains("Transfers") && home.text.contains("ending-soon") && home.text.contains("Offered by Olu"), "{}", home.text);
    }

    async fn the_whole_is_told_to_those_who_may_read_all_of_it(world: World) {
        let (id, _) = world.exporter("exporter").await;
        world.revoke("identity", &id).await.expect(201);
        let (_, una) = world.person("Una", &[]).await;
        let before = world.events().await.len();
        for nobody in [&una, &world.owner] {
            let home = page(&world, nobody, "/").await.expect(200);
            for hidden in ["<meter", "Last revocations", "Worst open findings", "exporter"] {
                assert!(!home.text.contains(hidden) || (hidden == "exporter" && nobody == &world.owner), "{hidden}: {}", home.text);
            }
        }
        world.until(async || page(&world, &world.security, "/").await.text.contains("<meter")).await;
        let home = page(&world, &world.security, "/").await.expect(200);
        for part in ["href=\"/identities?state=active\"", "active identities to each active person", "Last revocations", "href=\"/receipts/rct_", "Identity exporter"] {
            assert!(home.text.contains(part), "{part} is missing in {}", home.text);
        }
        // How long it took stands there as a picture and as a table, and the API says the same.
        world.until(async || world.get(&world.security, "/v1/receipts").await.body["items"][0]["signed"].is_string()).await;
        world.pass(61).await;
        let times = world.get(&world.security, "/v1/refusal-times").await.expect(200);
        // What is older than a minute is told by no page, and waited for by none: it says so until it was counted again.
        world.until(async || page(&world, &world.security, "/").await.text.contains("Active, by risk tier")).await;
        let home = page(&world, &world.security, "/").await.expect(200);
        is_sound(&home);
        assert_eq!(times.body["receipts"], 1, "{}", times.body);
        let proven = times.body["by_proof"].as_array().unwrap().len();
        assert_eq!(home.text.contains("Time to refuse"), proven > 0, "{}", home.text);
        assert!(home.text.contains("Active, by risk tier") && home.text.contains("tier=medium"), "{}", home.text);
        // A page asks for nothing in vain: nobody was refused anything.
        let refused = world.events().await.into_iter().skip(before).filter(|event| event["kind"] == "access.refused");
        assert_eq!(refused.count(), 0);
    }
}
