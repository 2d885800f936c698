//! Policy sets: read in plain words, tried out, proposed, reviewed; and how the server does.

use super::{is_sound, page, send};
use crate::on_one;

on_one! {
    async fn s9_a_change_of_policy_is_tried_out_proposed_and_reviewed_on_pages(world: World) {
        // A second administrator is there to vote.
        world.person("Dan", &["administrator"]).await;
        let shown = page(&world, &world.auditor, "/policy").await.expect(200);
        is_sound(&shown);
        for part in ["In plain words", "self-approval", "forbids", "as it is shipped"] {
            assert!(shown.text.contains(part), "{part} is missing in {}", shown.text);
        }
        assert!(!shown.text.contains("/policies/new"));
        assert!(page(&world, &world.admin, "/policy").await.expect(200).text.contains("/policies/new"));
        page(&world, &world.owner, "/policies/new").await.expect(403);
        let form = page(&world, &world.admin, "/policies/new").await.expect(200);
        is_sound(&form);
        let text = world.get(&world.admin, "/v1/policy").await.expect(200).text("/text");
        let changed = text.replacen("context.duration_secs <= 7776000", "context.duration_secs <= 86400", 1);
        assert_ne!(changed, text);
        // As a browser sends it.
        let changed = changed.replace('\n', "\r\n");
        let sent = async |token: &str, text: &str, decision: &str| {
            send(&world, token, "/policies/new", &[("text", text), ("purpose", "shorter <b>"), ("decision", decision)]).await
        };
        let tried = sent(&world.admin, &changed, "try").await.expect(200);
        is_sound(&tried);
        for part in ["What it changes", "reads otherwise", "86400", "cases of the built-in set", "shorter &#60;b&#62;", "Nobody looked here"] {
            assert!(tried.text.contains(part), "{part} is missing in {}", tried.text);
        }
        let wrong = sent(&world.admin, "permit (principal, action, resource) when { nothing };", "try").await.expect(422);
        assert!(wrong.text.contains("role=\"alert\"") && wrong.text.contains("when { nothing }"), "{}", wrong.text);
        assert!(sent(&world.admin, "no policy <i>", "propose").await.expect(422).text.contains("no policy &#60;i&#62;"));
        for token in [&world.owner, &world.auditor] {
            let refused = sent(token, &changed, "try").await.expect(403);
            assert!(!refused.text.contains("What it changes"));
        }
        sent(&world.admin, &changed, "perhaps").await.expect(422);
        let proposed = sent(&world.admin, &changed, "propose").await.expect(303);
        assert!(proposed.leads().contains("/requests/req_"));
        let list = page(&world, &world.auditor, "/policy").await.expect(200);
        let at = list.text.split("href=\"").find(|part| part.starts_with("/policies/pol_")).unwrap().split('"').next().unwrap().to_owned();
        let set = page(&world, &world.auditor, &at).await.expect(200);
        is_sound(&set);
        for part in ["shorter &#60;b&#62;", "As it is to be", "the request", "In plain words"] {
            assert!(set.text.contains(part), "{part} is missing in {}", set.text);
        }
        page(&world, &world.owner, &at).await.expect(403);
    }

    async fn how_the_server_does_is_read_without_any_secret(world: World) {
        let health = page(&world, &world.security, "/health").await.expect(200);
        is_sound(&health);
        for part in ["Is it well?", "relied on", "Configuration in force", "request open for", "Entries of the log", "nobody is notified"] {
            assert!(health.text.contains(part), "{part} is missing in {}", health.text);
        }
        for secret in [&world.admin, &world.security] {
            assert!(!health.text.contains(secret.as_str()));
        }
        assert!(!health.text.contains(&world.server.data().display().to_string()), "{}", health.text);
        page(&world, &world.owner, "/health").await.expect(403);
    }
}
