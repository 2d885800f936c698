//! What is made on pages: an identity with its charter, and what a charter names.

use super::{is_sound, page, send};
use crate::on_one;
use crate::world::{Key, in_secs};

on_one! {
    async fn r22_a_charter_is_written_approved_and_used_from_pages(world: World) {
        is_sound(&page(&world, &world.owner, "/identities/new").await.expect(200));
        let (day, key) = (in_secs(20 * 86_400)[..10].to_owned(), Key::new());
        let jwk = key.jwk().to_string();
        let mut fields = vec![
            ("kind", "workload"), ("name", "page-exporter"), ("purpose", "exports <invoices>"), ("owner", ""), ("application", "billing"),
            ("environment", "production"), ("resource", crate::world::ORDERS), ("actions", "read"), ("coverage", "role_based"), ("until", &day),
            ("idle", "30d"), ("operator", "billing"), ("beneficiary", "finance"), ("boundary", "prod.example.com"), ("workload", "deployment/x"), ("jwk", &jwk),
        ];
        // What is missing is named, and the rest stays in the form.
        let lacks: Vec<_> = fields.iter().copied().filter(|(name, _)| *name != "operator").collect();
        let again = send(&world, &world.owner, "/identities/new", &lacks).await.expect(422);
        is_sound(&again);
        for part in ["<code>charter.parties", "exports &#60;invoices&#62;</textarea>", "value=\"page-exporter\"", "selected>workload"] {
            assert!(again.text.contains(part), "{part} is missing in {}", again.text);
        }
        for (name, bad) in [("until", "soon"), ("idle", "long"), ("jwk", "{"), ("kind", "planet")] {
            let wrong: Vec<_> = fields.iter().map(|(field, value)| (*field, if *field == name { bad } else { *value })).collect();
            send(&world, &world.owner, "/identities/new", &wrong).await.expect(422);
        }
        let made = send(&world, &world.owner, "/identities/new", &fields).await.expect(303);
        let at = made.location.clone().unwrap();
        let shown = page(&world, &world.owner, &at).await.expect(200);
        assert!(shown.text.contains("state wait\">pending") && shown.text.contains("exports &#60;invoices&#62;"), "{}", shown.text);
        // Its name is taken from now on.
        let taken = send(&world, &world.owner, "/identities/new", &fields).await.expect(409);
        assert!(taken.text.contains("value=\"page-exporter\""), "{}", taken.text);
        fields.clear();
        // A second person approves it on theirs, and it gets its token.
        let home = page(&world, &world.manager, "/").await.expect(200);
        let sheet = home.text.split("href=\"").find(|part| part.starts_with("/requests/req_")).unwrap().split('"').next().unwrap().to_owned();
        let vote = page(&world, &world.manager, &sheet).await.expect(200);
        let hash = vote.text.split("name=\"content_hash\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        send(&world, &world.manager, &sheet, &[("content_hash", &hash), ("decision", "approve")]).await.expect(303);
        let id = at.rsplit('/').next().unwrap();
        let token = world.token(&key, id, "production").await;
        assert!(world.is_live(&token).await);
        // And is stopped.
        let proof = send(&world, &world.owner, &format!("/stop/identity/{id}"), &[("reason", "enough"), ("how", "hold")]).await.expect(303);
        world.until(async || page(&world, &world.auditor, proof.location.as_ref().unwrap()).await.text.contains("refused, verified")).await;
        assert!(!world.is_live(&token).await);
    }

    async fn who_registers_for_somebody_else_sees_their_draft_and_no_more(world: World) {
        let (_, rex) = world.person("Rex", &["requester"]).await;
        let charter = world.charter(Key::new().jwk());
        let body = serde_json::json!({"kind": "workload", "name": "for-olu", "charter": charter, "stage": "pending"});
        let id = world.post(&rex, "/v1/identities", body).await.expect(201).text("/id");
        let shown = page(&world, &rex, &format!("/identities/{id}")).await.expect(200);
        is_sound(&shown);
        assert!(shown.text.contains("<h1>for-olu</h1>") && !shown.text.contains("What happened"), "{}", shown.text);
        world.activate(&world.manager, &id).await.expect(200);
        page(&world, &rex, &format!("/identities/{id}")).await.expect(403);
    }

    async fn what_a_charter_names_is_made_by_whoever_administers(world: World) {
        let made = async |path: &str, fields: &[(&str, &str)]| {
            is_sound(&page(&world, &world.admin, path).await.expect(200));
            send(&world, &world.owner, path, fields).await.expect(403);
            let to = send(&world, &world.admin, path, fields).await.expect(303).location.unwrap();
            page(&world, &world.admin, &to).await.expect(200).text
        };
        assert!(made("/teams/new", &[("name", "undertakers")]).await.contains("<h1>undertakers</h1>"));
        assert!(made("/people/new", &[("name", "Digger"), ("teams", "undertakers")]).await.contains(">undertakers</a>"));
        assert!(made("/applications/new", &[("name", "shop"), ("owner", &world.owner_id), ("removers", "undertakers")]).await.contains("<h1>shop</h1>"));
        assert!(made("/environments/new", &[("name", "sandbox"), ("production", "not_production")]).await.contains("not production"));
        let resource = [("uri", "https://shop.internal"), ("type", "api"), ("application", "shop"), ("environment", "sandbox"), ("actions", "read, write"), ("verification", "offline")];
        let text = made("/resources/new", &resource).await;
        assert!(text.contains("<h1>https://shop.internal</h1>") && text.contains("read, write") && text.contains("by their signature"), "{text}");
        assert!(made("/people/new", &[("name", "Pat <b>"), ("email", "pat@example.com"), ("roles", ""), ("manager", "Max")]).await.contains(">Max</a>"));
        send(&world, &world.admin, "/people/new", &[("name", "Eve"), ("roles", "emperor")]).await.expect(422);
    }

    async fn r58_access_is_asked_for_on_an_identitys_page(world: World) {
        let mut charter = world.charter(Key::new().jwk());
        charter["coverage"] = serde_json::json!("just_in_time");
        let id = world.active("jit-exporter", charter).await;
        let at = format!("/identities/{id}/access");
        let again = send(&world, &world.owner, &at, &[("resource", crate::world::ORDERS), ("actions", "read"), ("duration", "ages"), ("reason", "why <b>")]).await.expect(422);
        assert!(again.text.contains("why &#60;b&#62;</textarea>"), "{}", again.text);
        let asked = send(&world, &world.owner, &at, &[("resource", crate::world::ORDERS), ("actions", "read"), ("duration", "1h"), ("reason", "migration")]).await.expect(303);
        let sheet = page(&world, &world.manager, asked.location.as_ref().unwrap()).await.expect(200);
        assert!(sheet.text.contains("migration") && sheet.text.contains(">Approve</button>"), "{}", sheet.text);
    }
}
