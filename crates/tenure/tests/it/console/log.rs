//! The log and the policy on pages.

use super::{is_sound, page};
use crate::on_one;
use crate::world::Key;

on_one! {
    async fn an_entry_stands_with_its_proof(world: World) {
        let id = world.active("exporter", world.charter(Key::new().jwk())).await;
        let log = page(&world, &world.auditor, "/log").await.expect(200);
        is_sound(&log);
        assert!(log.text.contains("href=\"/log/"), "{}", log.text);
        // By the name of an identity, which leads to the address with its id.
        let named = page(&world, &world.auditor, "/log?subject=exporter").await.expect(303);
        assert!(named.leads().ends_with(&format!("/log?subject={id}")));
        let about = page(&world, &world.auditor, &format!("/log?subject={id}")).await.expect(200);
        is_sound(&about);
        assert!(about.text.contains("Identity activated") && !about.text.contains("Deployment set up"), "{}", about.text);
        let first = page(&world, &world.auditor, "/log/0").await.expect(200);
        is_sound(&first);
        for part in ["<h1>Deployment set up</h1>", "id=\"proof\" data-index=\"0\"", "id=\"checkpoint\"", "class=\"path\"", "proof.js"] {
            assert!(first.text.contains(part), "{part} is missing in {}", first.text);
        }
        for nowhere in ["/log/999999999", "/log/x", "/log/-1"] {
            page(&world, &world.auditor, nowhere).await.expect(404);
        }
        for path in ["/log", "/log/0", "/log?subject=exporter"] {
            assert!([403, 303].contains(&page(&world, &world.manager, path).await.status), "{path}");
        }
        page(&world, &world.manager, &format!("/log?subject={id}")).await.expect(403);
    }

    async fn the_policy_in_force_is_read_as_it_stands(world: World) {
        let policy = page(&world, &world.auditor, "/policy").await.expect(200);
        is_sound(&policy);
        assert!(policy.text.contains("as it is shipped") && policy.text.contains("@id(&#34;incomplete-charter&#34;)"), "{}", policy.text);
        page(&world, &world.owner, "/policy").await.expect(403);
    }
}
