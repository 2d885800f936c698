//! Sources, signals and what each did; removals by hand, confirmed and let go; chains of those who act for others.

use serde_json::json;

use super::{is_sound, page, send};
use crate::agents::{Chain, PLAIN, Part};
use crate::on_one;
use crate::signals::{cloud_headers, deliver, event, registration, source};
use crate::world::Key;

on_one! {
    async fn s12_a_source_and_what_its_signal_did_are_read_on_their_pages(world: World) {
        let mut asked = registration(&world, "cmdb", "cloud_events", "hmac");
        asked["kinds"] = json!(["workload_removed"]);
        asked["subjects"] = json!(["identity:*"]);
        let made = source(&world, asked).await;
        let id = world.active("exporter", world.charter(Key::new().jwk())).await;
        let body = event("1", "workload.removed", &format!("identity:{id}"));
        let taken = deliver(&world, &made.name, &cloud_headers(&made.secret, &body), &body).await.expect(202).text("/signals/0/id");
        let signal = format!("/signals/{taken}");
        world.until(async || page(&world, &world.auditor, &signal).await.text.contains("state good\">done")).await;
        let shown = page(&world, &world.auditor, &signal).await.expect(200);
        is_sound(&shown);
        for part in ["Workload removed: exporter", "cut and held", ">cmdb</a>", "what it takes with it", "/removals/rem_"] {
            assert!(shown.text.contains(part), "{part} is missing in {}", shown.text);
        }
        let list = page(&world, &world.auditor, &format!("/signals?source={}", made.id)).await.expect(200);
        assert!(list.text.contains(&signal), "{}", list.text);
        let sheet = page(&world, &world.security, &format!("/sources/{}", made.name)).await.expect(200);
        is_sound(&sheet);
        for part in ["<h1>cmdb</h1>", "Workload removed: what lives by it is cut and held", "by an HMAC", ">Remove</button>"] {
            assert!(sheet.text.contains(part), "{part} is missing in {}", sheet.text);
        }
        // Its key is in no page.
        assert!(!sheet.text.contains(&made.secret) && !list.text.contains(&made.secret));
        let at = format!("/sources/{}", made.id);
        assert!(!page(&world, &world.auditor, &at).await.expect(200).text.contains("name=\"decision\""));
        for path in [signal.as_str(), "/signals", "/sources"] {
            page(&world, &world.owner, path).await.expect(403);
        }
        send(&world, &world.auditor, &at, &[("decision", "remove"), ("comment", "no")]).await.expect(403);
        let (_, dan) = world.person("Dan", &["requester"]).await;
        assert!(!send(&world, &dan, &at, &[("decision", "remove"), ("comment", "no")]).await.expect(403).text.contains("cmdb"));
        send(&world, &world.security, &at, &[("decision", "perhaps")]).await.expect(422);
        send(&world, &world.security, &at, &[("decision", "remove"), ("comment", "replaced")]).await.expect(303);
        assert!(page(&world, &world.security, &at).await.expect(200).text.contains("removed"));
    }

    async fn r84_what_a_removal_would_do_is_seen_before_and_it_is_let_go_on_its_page(world: World) {
        let id = world.active("exporter", world.charter(Key::new().jwk())).await;
        let form = |decision: &'static str, expect: String| vec![("kind", "application".to_owned()), ("subject", "billing".to_owned()), ("reason", "gone <b>".to_owned()), ("decision", decision.to_owned()), ("expect", expect)];
        let sent = async |token: &str, fields: Vec<(&'static str, String)>| {
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            send(&world, token, "/removals/new", &fields).await
        };
        is_sound(&page(&world, &world.security, "/removals/new").await.expect(200));
        let look = sent(&world.security, form("look", String::new())).await.expect(200);
        is_sound(&look);
        for part in ["Nothing is done yet", "exporter", "Whom it hits", "gone &#60;b&#62;", ">Do exactly this</button>"] {
            assert!(look.text.contains(part), "{part} is missing in {}", look.text);
        }
        assert_eq!(world.get(&world.auditor, &format!("/v1/identities/{id}")).await.expect(200).text("/state"), "active");
        let digest = look.text.split("name=\"expect\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        // Unseen, or another than was seen: nothing is done.
        sent(&world.security, form("do", String::new())).await.expect(422);
        sent(&world.security, form("do", "x".to_owned())).await.expect(409);
        let (_, una) = world.person("Una", &["requester"]).await;
        assert!(!sent(&una, form("look", String::new())).await.expect(403).text.contains("exporter"));
        let done = sent(&world.security, form("do", digest)).await.expect(303);
        let at = done.leads();
        let at = at.split_once("/removals/").map(|(_, id)| format!("/removals/{id}")).unwrap();
        // Who had it held doesn't let it go; somebody else of security does.
        send(&world, &world.security, &at, &[("decision", "release"), ("comment", "mistake")]).await.expect(403);
        let (_, sib) = world.person("Sib", &["security"]).await;
        assert!(page(&world, &sib, &at).await.expect(200).text.contains(">Let it go</button>"));
        assert!(!page(&world, &world.auditor, &at).await.expect(200).text.contains("name=\"decision\""));
        send(&world, &sib, &at, &[("decision", "release"), ("comment", "")]).await.expect(422);
        send(&world, &sib, &at, &[("decision", "release"), ("comment", "a mistake")]).await.expect(303);
        assert!(page(&world, &sib, &at).await.expect(200).text.contains("a mistake (Sib)"));
    }

    async fn r57_a_chain_is_seen_and_stopped_with_all_that_derives_from_it(world: World) {
        let chain = Chain::new(world).await;
        let actor = chain.party("helper", PLAIN).await;
        let delegates: &[(&str, &[&str], u8)] = &[(&actor.id, &["read"], 0)];
        let subject = chain.party("principal", Part { delegates, ..PLAIN }).await;
        let handed = chain.delegate(&subject, &actor.id, &[], None).await.expect(200);
        let derived = chain.exchange(&actor, &handed.text("/access_token"), &[("scope", "read")]).await.expect(200).text("/access_token");
        let world = &chain.world;
        let chains = page(world, &world.auditor, &format!("/identities/{}/chains", actor.id)).await.expect(200);
        is_sound(&chains);
        for part in ["principal → helper", "<svg viewBox=", "Acts for"] {
            assert!(chains.text.contains(part), "{part} is missing in {}", chains.text);
        }
        let principal = page(world, &world.auditor, &format!("/identities/{}/chains", subject.id)).await.expect(200);
        assert!(principal.text.contains("May act for it") && principal.text.contains(">helper</a>"), "{}", principal.text);
        let at = chains.text.split("href=\"").find(|part| part.starts_with("/credentials/crd_")).unwrap().split('"').next().unwrap().to_owned();
        let sheet = page(world, &world.security, &at).await.expect(200);
        is_sound(&sheet);
        assert!(sheet.text.contains("Stop it, and all that derives from it") && !sheet.text.contains(&derived), "{}", sheet.text);
        let (_, una) = world.person("Una", &["owner"]).await;
        for path in [at.clone(), format!("/identities/{}/chains", actor.id)] {
            page(world, &una, &path).await.expect(403);
        }
        send(world, &una, &at, &[("reason", "x")]).await.expect(403);
        // The first link goes, and so does the last.
        assert!(world.is_live(&derived).await);
        let first = format!("/credentials/{}", handed.text("/credential"));
        send(world, &world.security, &first, &[("reason", "")]).await.expect(422);
        let stopped = send(world, &world.security, &first, &[("reason", "enough")]).await.expect(303);
        assert!(stopped.leads().contains("/receipts/rct_"));
        assert!(!world.is_live(&derived).await);
    }
}
