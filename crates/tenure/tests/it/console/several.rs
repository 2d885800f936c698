//! The same deed for several identities: nothing before what it comes to was shown, each with an outcome of its own.

use serde_json::json;

use super::{is_sound, page, send};
use crate::on_one;
use crate::world::{Key, World};

const AT: &str = "/identities/several";

/// How often an identity was suspended.
async fn suspended(world: &World, id: &str) -> usize {
    world.events_of("identity.suspended", id).await.len()
}

/// The digest of what a page shows; nothing where it is over.
fn digest_of(text: &str) -> String {
    let after = text.split_once("name=\"digest\" value=\"").map(|(_, after)| after.split('"').next().unwrap());
    after.unwrap_or_default().to_owned()
}

on_one! {
    async fn hundreds_are_done_some_at_a_time_as_they_were_shown(world: World) {
        const MANY: usize = 120;
        for n in 0..MANY {
            world.register(&format!("draft-{n:03}"), json!({"purpose": "x", "owner": world.owner_id}), "draft").await.expect(201);
        }
        world.until(async || page(&world, &world.owner, "/identities?state=draft").await.text.contains("120 in all")).await;
        let ask = [("deed", "close"), ("which", "fitting"), ("query", "state=draft&sort=name"), ("reason", "never needed")];
        let mut shown = send(&world, &world.owner, AT, &ask).await.expect(200);
        let field = |text: &str, name: &str| {
            let after = text.split_once(&format!("name=\"{name}\" value=\"")).map(|(_, after)| after.split('"').next().unwrap());
            after.unwrap_or_default().to_owned()
        };
        let first = field(&shown.text, "ids").split(',').next().unwrap().to_owned();
        assert!(shown.text.contains("it would be done to 120"), "{}", shown.text);
        // One changes in between: what was shown is no more what would be done, and nothing is.
        let charter = json!({"purpose": "y", "owner": world.owner_id});
        let at = format!("/v1/identities/{first}/charter");
        world.put(&world.owner, &at, charter).await.expect(200);
        let meant = |text: &str| {
            let named = ["ids", "digest", "kept"].map(|name| (name, field(text, name)));
            let said = [("deed", "close"), ("reason", "never needed"), ("decision", "do")].map(|(name, value)| (name, value.to_owned()));
            named.into_iter().chain(said).collect::<Vec<_>>()
        };
        let sent = async |fields: Vec<(&str, String)>| {
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            send(&world, &world.owner, AT, &fields).await
        };
        shown = sent(meant(&shown.text)).await.expect(409);
        for done in [50, 100] {
            shown = sent(meant(&shown.text)).await.expect(200);
            is_sound(&shown);
            let meter = format!("<meter min=\"0\" max=\"120\" value=\"{done}\"");
            assert!(shown.text.contains(&meter) && shown.text.contains("data-goes-on"), "{}", shown.text);
        }
        shown = sent(meant(&shown.text)).await.expect(200);
        assert!(shown.text.contains("Of 120 it was done to 120") && !shown.text.contains("data-goes-on"), "{}", shown.text);
        assert_eq!(shown.text.matches(">done</span>").count(), MANY);
        assert_eq!(world.events().await.iter().filter(|event| event["kind"] == "identity.closed").count(), MANY);
    }

    async fn the_api_does_to_several_what_its_dry_run_named_or_nothing(world: World) {
        let mut ids = Vec::new();
        for name in ["one", "two", "three"] {
            ids.push(world.active(name, world.charter(Key::new().jwk())).await);
        }
        let ask = |extra: serde_json::Value| {
            let mut body = json!({"deed": "suspend", "reason": "an incident"});
            body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            body
        };
        let bulk = async |token: &str, extra: serde_json::Value| world.post(token, "/v1/bulk", ask(extra)).await;
        world.until(async || bulk(&world.security, json!({"query": "q=one", "dry_run": true})).await.status == 200).await;
        let before = world.changes().await;
        let found = bulk(&world.security, json!({"query": "application=".to_owned() + &world.application, "dry_run": true})).await.expect(200);
        assert_eq!(found.body["each"].as_array().unwrap().len(), 3, "{}", found.body);
        let named = bulk(&world.security, json!({"identities": ids, "dry_run": true})).await.expect(200);
        let digest = named.text("/digest");
        assert!(named.body["each"].as_array().unwrap().iter().all(|one| one["outcome"] == "done"), "{}", named.body);
        assert_eq!(world.changes().await, before, "it was only rehearsed");
        for wrong in [json!({"identities": ids}), json!({"query": "state=active", "digest": digest}), json!({"identities": ids, "to": world.owner_id, "digest": digest})] {
            bulk(&world.security, wrong).await.expect(422);
        }
        // Others of them, in another order, or for somebody else: that wasn't shown.
        for ids in [&ids[..2], &[ids[1].clone(), ids[0].clone(), ids[2].clone()]] {
            let refused = bulk(&world.security, json!({"identities": ids, "digest": digest})).await.expect(409);
            assert_eq!(refused.text("/code"), "plan_changed");
        }
        let (_, ola) = world.person("Ola", &["owner"]).await;
        bulk(&ola, json!({"identities": ids, "digest": digest})).await.expect(409);
        // One was changed since: nothing is done before it was looked at again.
        world.post(&world.owner, &format!("/v1/identities/{}/retire", ids[2]), json!({"reason": "over"})).await.expect(200);
        bulk(&world.security, json!({"identities": ids, "digest": digest})).await.expect(409);
        // A worker ends it meanwhile.
        world.until_state(&ids[2], "retired").await;
        let digest = bulk(&world.security, json!({"identities": ids, "dry_run": true})).await.expect(200).text("/digest");
        let done = bulk(&world.security, json!({"identities": ids, "digest": digest})).await.expect(200);
        let outcomes: Vec<_> = done.body["each"].as_array().unwrap().iter().map(|one| one["outcome"].as_str().unwrap()).collect();
        assert_eq!(outcomes, ["done", "done", "refused"], "{}", done.body);
        assert_eq!((suspended(&world, &ids[0]).await, suspended(&world, &ids[2]).await), (1, 0));
        bulk(&world.security, json!({"identities": ids, "digest": digest})).await.expect(409);
    }

    async fn what_would_happen_to_each_is_shown_before_it_does_and_nothing_happens_twice(world: World) {
        let first = world.active("first-exporter", world.charter(Key::new().jwk())).await;
        let second = world.active("second-exporter", world.charter(Key::new().jwk())).await;
        let draft = world.register("a-draft", world.charter(Key::new().jwk()), "draft").await.expect(201).text("/id");
        let list = page(&world, &world.security, "/identities").await.expect(200);
        is_sound(&list);
        assert!(list.text.contains(&format!("name=\"id\" value=\"{first}\" aria-label=\"Select first-exporter\"")), "{}", list.text);
        let before = world.changes().await;
        let chosen = [("deed", "suspend"), ("which", "selected"), ("id", &*first), ("id", &*draft), ("id", &*second)];
        let shown = send(&world, &world.security, AT, &chosen).await.expect(200);
        is_sound(&shown);
        for part in ["Suspend 3 identities", "Of 3 it would be done to 2, 1 would be refused", "first-exporter", "a-draft", ">Do it</button>"] {
            assert!(shown.text.contains(part), "{part} is missing in {}", shown.text);
        }
        assert_eq!(world.changes().await, before, "it was only rehearsed");
        let all = format!("{first},{draft},{second}");
        // What wasn't shown isn't done; what is shown then is.
        let unseen = [("deed", "suspend"), ("ids", &*all), ("reason", "an incident"), ("decision", "do"), ("digest", "sha256:00")];
        let again = send(&world, &world.security, AT, &unseen).await.expect(409);
        assert!(again.text.contains("has changed since the dry run") && again.text.contains("an incident</textarea>"), "{}", again.text);
        assert_eq!(suspended(&world, &first).await, 0);
        let digest = digest_of(&again.text);
        let meant = [("deed", "suspend"), ("ids", &*all), ("reason", "an incident"), ("decision", "do"), ("digest", &*digest)];
        let done = send(&world, &world.security, AT, &meant).await.expect(200);
        is_sound(&done);
        assert!(done.text.contains("it was done to 2, 1 were refused") && !done.text.contains(">Do it</button>"), "{}", done.text);
        let again = send(&world, &world.security, AT, &meant).await.expect(409);
        assert!(again.text.contains("it would be done to 0, 1 would be refused, 2 stand so already"), "{}", again.text);
        assert_eq!((suspended(&world, &first).await, suspended(&world, &second).await, suspended(&world, &draft).await), (1, 1, 0));
        // Who placed it doesn't release it, be there one of them or several.
        let release = [("deed", "resume"), ("ids", &*all), ("reason", "over"), ("decision", "look")];
        let refused = send(&world, &world.security, AT, &release).await.expect(200);
        assert!(refused.text.contains("it would be done to 0, 3 would be refused"), "{}", refused.text);
        // All that fits the list, whichever page of it was looked at.
        let fitting = [("deed", "retire"), ("which", "fitting"), ("query", "state=suspended&sort=name")];
        let shown = send(&world, &world.security, AT, &fitting).await.expect(200);
        assert!(shown.text.contains("Retire 2 identities") && shown.text.contains("class=\"danger\""), "{}", shown.text);
        // A transfer is to somebody: that is asked first.
        let offered = [("deed", "transfer"), ("ids", &*first)];
        let shown = send(&world, &world.owner, AT, &offered).await.expect(200);
        assert!(shown.text.contains("Nothing is done before") && shown.text.contains("name=\"to\""), "{}", shown.text);
    }

    async fn several_at_once_let_nobody_do_or_learn_more_than_one_would(world: World) {
        let id = world.active("hidden-exporter", world.charter(Key::new().jwk())).await;
        let (_, ola) = world.person("Ola", &["owner"]).await;
        let mut digest = String::new();
        for decision in ["look", "do"] {
            let ask = [("deed", "suspend"), ("ids", &*id), ("reason", "x"), ("decision", decision), ("digest", &*digest)];
            let shown = send(&world, &ola, AT, &ask).await.expect(200);
            assert!(!shown.text.contains("hidden-exporter") && shown.text.contains("1 w"), "{}", shown.text);
            digest = digest_of(&shown.text);
        }
        assert_eq!(suspended(&world, &id).await, 0);
        // The same for what isn't there.
        let nobody = "idn_00000000000000000000000001";
        let of = async |id: &str| {
            let ask = [("deed", "suspend"), ("ids", id), ("reason", "x"), ("decision", "look")];
            let text = send(&world, &ola, AT, &ask).await.expect(200).text;
            text.replace(id, "IT").replace(&digest_of(&text), "DIGEST")
        };
        let strip = |text: String| text.split("<main").nth(1).unwrap().split("</main>").next().unwrap().to_owned();
        assert_eq!(strip(of(&id).await), strip(of(nobody).await));
        let evil = [("deed", "suspend"), ("ids", "<script>alert(1)</script>"), ("reason", "x")];
        send(&world, &world.security, AT, &evil).await.expect(400);
        send(&world, &world.security, AT, &[("deed", "delete"), ("ids", &id)]).await.expect(400);
        send(&world, &world.security, AT, &[("deed", "suspend")]).await.expect(422);
        let many: Vec<String> = (0..501).map(|n| format!("idn_{n:0>26}")).collect();
        send(&world, &world.security, AT, &[("deed", "suspend"), ("ids", &many.join(","))]).await.expect(422);
        let reason = "</textarea><script>alert(1)</script>";
        let shown = send(&world, &world.security, AT, &[("deed", "suspend"), ("ids", &id), ("reason", reason)]).await.expect(200);
        is_sound(&shown);
        assert!(shown.text.contains("&#60;script&#62;alert(1)"), "{}", shown.text);
    }

    async fn columns_are_chosen_in_the_address(world: World) {
        world.active("exporter", world.charter(Key::new().jwk())).await;
        world.until(async || page(&world, &world.auditor, "/identities?q=exporter").await.status == 200).await;
        let usual = page(&world, &world.auditor, "/identities?q=exporter").await.expect(200);
        assert!(usual.text.contains("data-of=\"Owner\"") && !usual.text.contains("data-of=\"Application\""), "{}", usual.text);
        // Boxes are sent one by one; the address that they lead to says all of them.
        let sent = page(&world, &world.auditor, "/identities?q=exporter&columns=state&columns=application").await.expect(303);
        assert_eq!(sent.leads().split_once("/identities").unwrap().1, "?q=exporter&columns=state%2Capplication");
        let chosen = page(&world, &world.auditor, "/identities?q=exporter&columns=state,application").await.expect(200);
        is_sound(&chosen);
        assert!(!chosen.text.contains("data-of=\"Owner\"") && chosen.text.contains("data-of=\"Application\""), "{}", chosen.text);
        // They narrow nothing, and stay with every other order and view.
        assert!(!chosen.text.contains("aria-label=\"Narrowed by\"") && chosen.text.contains("columns=state%2Capplication&#38;sort=name"), "{}", chosen.text);
        for bad in ["columns=nothing", "columns=state,,kind", "columns=%3Cscript%3E"] {
            let refused = page(&world, &world.auditor, &format!("/identities?{bad}")).await.expect(422);
            is_sound(&refused);
        }
        page(&world, &world.auditor, "/people?columns=state").await.expect(422);
    }

    async fn the_file_of_the_inventory_is_all_of_it(world: World) {
        for n in 0..230 {
            world.register(&format!("draft-{n:03}"), json!({"purpose": "x"}), "draft").await.expect(201);
        }
        world.until(async || page(&world, &world.auditor, "/identities?unowned=true").await.status == 200).await;
        let file = page(&world, &world.auditor, "/identities.csv?unowned=true&sort=name").await.expect(200);
        let lines: Vec<&str> = file.text.trim_end().split("\r\n").collect();
        assert_eq!(lines.len(), 1 + 230, "{}", file.text);
        assert!(lines[1].contains("draft-000") && lines[230].contains("draft-229"));
        let list = page(&world, &world.auditor, "/identities?unowned=true").await.expect(200);
        assert!(list.text.contains("230 in all") && list.text.contains("href=\"/identities.csv?unowned=true\""), "{}", list.text);
        // What was counted before is told for a minute.
        world.pass(61).await;
        let census = world.get(&world.auditor, "/v1/census").await.expect(200);
        assert_eq!((census.body["unowned"].clone(), census.body["by_state"]["draft"].clone()), (json!(230), json!(230)));
        let by_tier: u64 = census.body["active_by_tier"].as_object().unwrap().values().filter_map(serde_json::Value::as_u64).sum();
        assert_eq!(json!(by_tier), census.body["by_state"]["active"]);
        page(&world, &world.auditor, "/identities.csv?after=x").await.expect(422);
    }
}
