//! Findings, exceptions, reviews, transfers, removals: read, and answered.

use serde_json::json;

use super::{is_sound, page, send};
use crate::on_one;
use crate::world::Key;

on_one! {
    async fn r32_a_transfer_is_answered_on_its_page(world: World) {
        let id = world.active("exporter", world.charter(Key::new().jwk())).await;
        let (ola_id, ola) = world.person("Ola", &["owner"]).await;
        let offered = world.post(&world.owner, &format!("/v1/identities/{id}/transfer"), json!({"to": ola_id})).await.expect(201).text("/id");
        let at = format!("/transfers/{offered}");
        let shown = page(&world, &ola, &at).await.expect(200);
        is_sound(&shown);
        for part in ["<h1>Who answers for exporter?</h1>", ">Accept</button>", ">Decline</button>", ">Olu</"] {
            assert!(shown.text.contains(part), "{part} is missing in {}", shown.text);
        }
        let (_, una) = world.person("Una", &["owner"]).await;
        page(&world, &una, &at).await.expect(403);
        send(&world, &una, &at, &[("decision", "accept")]).await.expect(403);
        send(&world, &ola, &at, &[("decision", "perhaps")]).await.expect(422);
        send(&world, &ola, &at, &[("decision", "accept")]).await.expect(303);
        assert_eq!(world.get(&world.auditor, &format!("/v1/identities/{id}")).await.expect(200).text("/charter/owner"), ola_id);
        let over = page(&world, &ola, &at).await.expect(200);
        assert!(over.text.contains("state good\">accepted") && !over.text.contains("name=\"decision\""), "{}", over.text);
        is_sound(&page(&world, &world.auditor, "/transfers?state=accepted").await.expect(200));
        assert!(page(&world, &ola, "/transfers").await.expect(200).text.contains("exporter"));
    }

    async fn a_finding_is_read_and_resolved_on_its_page(world: World) {
        // It is of staging, and is asked about in production.
        let staging = world.resource("https://orders.staging", "staging", "online").await;
        let mut charter = world.charter(Key::new().jwk());
        charter["environment"] = json!("staging");
        charter["scope"] = json!([{"actions": ["read"], "resource": staging}]);
        let id = world.active("stray-exporter", charter).await;
        world.evaluate(&id, None, "read").await.expect(200);
        let list = async || page(&world, &world.security, "/findings?state=open").await;
        world.until(async || list().await.text.contains("/findings/fin_")).await;
        let shown = list().await.expect(200);
        is_sound(&shown);
        let at = shown.text.split("href=\"").find(|part| part.starts_with("/findings/fin_")).unwrap().split('"').next().unwrap().to_owned();
        let finding = page(&world, &world.security, &at).await.expect(200);
        is_sound(&finding);
        for part in ["What fixes it", "What the rule can’t see", "Frameworks", "First seen"] {
            assert!(finding.text.contains(part), "{part} is missing in {}", finding.text);
        }
        let again = send(&world, &world.security, &at, &[("comment", "")]).await.expect(422);
        assert!(again.text.contains("role=\"alert\""), "{}", again.text);
        send(&world, &world.auditor, &at, &[("comment", "x")]).await.expect(403);
        page(&world, &world.owner, "/findings").await.expect(403);
        assert!(page(&world, &world.security, "/").await.expect(200).text.contains(&at));
    }

    async fn lists_of_what_is_watched_are_there_for_those_who_may_read_them(world: World) {
        for list in ["/findings", "/exceptions", "/reviews", "/transfers", "/removals", "/receipts"] {
            is_sound(&page(&world, &world.auditor, list).await.expect(200));
            is_sound(&page(&world, &world.auditor, &format!("{list}?nothing=x")).await.expect(422));
            page(&world, &world.auditor, &format!("{list}/x")).await.expect(404);
        }
        let id = world.active("exporter", world.charter(Key::new().jwk())).await;
        let raised = json!({"subject": {"type": "identity", "id": id}, "reason": "gone <b>"});
        let removal = world.post(&world.security, "/v1/removals", raised).await.expect(201).text("/id");
        let shown = page(&world, &world.auditor, &format!("/removals/{removal}")).await.expect(200);
        is_sound(&shown);
        for part in ["gone &#60;b&#62;", "exporter", "Whom it hits", ">Olu</a>", "Live credentials"] {
            assert!(shown.text.contains(part), "{part} is missing in {}", shown.text);
        }
        assert!(page(&world, &world.auditor, "/removals").await.expect(200).text.contains(&removal));
    }
}
