//! Logins just in time on the pages of whom they are and of where they are; another secret for an account, begun on a
//! page that never shows it.

use serde_json::json;

use super::{is_sound, page, send};
use crate::on_one;
use crate::targets::Orders;

on_one! {
    async fn r58_r34_logins_stand_on_the_pages_of_their_identity_and_their_target_and_no_page_shows_a_secret(world: World) {
        let orders = Orders::new();
        let name = orders.login("nightly");
        let table = orders.table();
        let target = world.target(&orders, "paged-db", "issue").await;
        let uri = format!("postgres://{}", orders.mark);
        let resource = world.resource_at(&uri, &target, json!({"read": [orders.reading(&table)]})).await;
        let worker = world.worker("pager", &resource, |_| {}).await;
        let over = world.ask_login(&worker, &[]).await.expect(200);
        let cut = json!({"target": {"type": "credential", "id": over.text("/login")}, "reason": "leaked"});
        world.post(&world.security, "/v1/revocations", cut).await.expect(201);
        world.until_ended(&over.text("/login")).await;
        let left = world.ask_login(&worker, &[]).await.expect(200);

        let of_identity = page(&world, &world.auditor, &format!("/identities/{}", worker.id)).await.expect(200);
        let of_target = page(&world, &world.auditor, "/targets/paged-db").await.expect(200);
        for (shown, other) in [(&of_identity, target.as_str()), (&of_target, ">pager</a>")] {
            is_sound(shown);
            for part in [left.text("/name"), over.text("/name"), format!("read on {uri}"), "standing".into(), other.into(), "password authentication failed".into()] {
                assert!(shown.text.contains(&part), "{part} is missing in {}", shown.text);
            }
            // What is left stands before what is over, and neither secret anywhere.
            assert!(shown.text.find(&left.text("/name")) < shown.text.find(&over.text("/name")));
            assert!(!shown.text.contains(&left.text("/secret")) && !shown.text.contains(&over.text("/secret")));
        }
        // Whoever answers for the identity reads them, and who doesn't reads none.
        assert!(page(&world, &world.owner, &format!("/identities/{}", worker.id)).await.expect(200).text.contains(&left.text("/name")));
        let listed = world.get(&world.owner, &format!("/v1/logins?identity={}", worker.id)).await.expect(200);
        assert_eq!(listed.body["items"].as_array().unwrap().len(), 2);
        let (_, dan) = world.person("Dan", &["requester", "owner"]).await;
        assert!(!page(&world, &dan, &format!("/identities/{}", worker.id)).await.text.contains(&left.text("/name")));
        let owners = page(&world, &world.owner, "/targets/paged-db").await.expect(200);
        assert!(!owners.text.contains(&left.text("/name")), "who owns the target reads no credentials of others");

        // Another secret: by whoever answers for the account, begun on its page, and fetched by a command.
        let identity = world.claimed_as(&name, |charter| charter["rotation_cadence"] = json!("1h")).await;
        let account = world.account(&name).await["id"].as_str().unwrap().to_owned();
        let (at, rotate) = (format!("/accounts/{account}"), format!("/accounts/{account}/rotate"));
        let shown = page(&world, &world.owner, &at).await.expect(200);
        assert!(shown.text.contains(&format!("href=\"{rotate}\"")), "{}", shown.text);
        assert!(!page(&world, &world.auditor, &at).await.expect(200).text.contains("/rotate"));
        page(&world, &world.auditor, &rotate).await.expect(403);
        send(&world, &world.auditor, &rotate, &[]).await.expect(403);
        is_sound(&page(&world, &world.owner, &rotate).await.expect(200));
        send(&world, &world.owner, &rotate, &[]).await.expect(303);
        let command = format!("tenure account secret {account} --out FILE");
        world.until(async || page(&world, &world.owner, &at).await.text.contains(&command)).await;
        assert!(!orders.psql(&name, &format!("of-{name}"), "SELECT 1").status.success(), "the old one is refused");
        let secret = world.post(&world.owner, &format!("/v1/accounts/{account}/secret"), json!({})).await.expect(200);
        assert!(orders.psql(&name, &secret.text("/secret"), "SELECT 1").status.success());
        let shown = page(&world, &world.owner, &at).await.expect(200);
        is_sound(&shown);
        assert!(shown.text.contains("Shown to somebody") && !shown.text.contains(&command), "{}", shown.text);
        assert!(!shown.text.contains(&secret.text("/secret")));

        // One that is due leads there.
        world.pass(3_700).await;
        let found = format!("/v1/findings?rule=rotation-due&subject={identity}&state=open");
        world.until(async || world.get(&world.security, &found).await.expect(200).body["items"][0]["id"].is_string()).await;
        let finding = world.get(&world.security, &found).await.expect(200).text("/items/0/id");
        let shown = page(&world, &world.security, &format!("/findings/{finding}")).await.expect(200);
        is_sound(&shown);
        assert!(shown.text.contains(&format!("href=\"{rotate}\"")), "{}", shown.text);
        orders.admin(&format!("DROP TABLE {table}; DROP ROLE {name}"));
    }
}
