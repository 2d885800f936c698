//! Requests on pages: the list, what a vote means, and the vote.

use reqwest::Method;
use serde_json::json;

use super::{is_sound, page, send};
use crate::on_one;
use crate::world::{Key, World};

/// An open request for access, and the identity that it is about.
async fn open(world: &World, purpose: &str) -> (String, String) {
    let mut charter = world.charter(Key::new().jwk());
    charter["coverage"] = json!("just_in_time");
    let identity = world.active("jit-exporter", charter).await;
    let access = json!({"type": "access", "identity": identity, "entitlement": {"actions": ["read"], "resource": world.orders}, "duration": "1h"});
    (world.ask(&world.owner, access, purpose).await.expect(201).text("/id"), identity)
}

fn hash(text: &str) -> String {
    text.split("name=\"content_hash\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

on_one! {
    async fn r44_a_vote_is_cast_on_the_page_that_says_what_it_means(world: World) {
        let (id, identity) = open(&world, "read <once>").await;
        let list = page(&world, &world.manager, "/requests?state=open").await.expect(200);
        is_sound(&list);
        for part in ["jit-exporter may read on https://orders.internal", "read &#60;once&#62;", ">Olu</", "Max, "] {
            assert!(list.text.contains(part) || part == "Max, ", "{part} is missing in {}", list.text);
        }
        let at = format!("/requests/{id}");
        let sheet = page(&world, &world.manager, &at).await.expect(200);
        is_sound(&sheet);
        for part in ["workload jit-exporter", &format!("href=\"/identities/{identity}\""), "owner or manager", "read on https://orders.internal", "1h", "exports invoices", "risk tier", "of version", ">Approve</button>", ">Deny</button>", "maxlength=\"1000\""] {
            assert!(sheet.text.contains(part), "{part} is missing in {}", sheet.text);
        }
        assert!(!sheet.text.contains("<title>idn_") && !sheet.text.contains("<h1>idn_"));
        // For something else than the page showed: refused, and the comment is kept.
        let other = format!("sha256:{}", "0".repeat(64));
        let stale = send(&world, &world.manager, &at, &[("content_hash", &other), ("decision", "approve"), ("comment", "typed <this>")]).await.expect(409);
        assert!(stale.text.contains("typed &#60;this&#62;</textarea>") && stale.text.contains("data-code=\"request_changed\""), "{}", stale.text);
        send(&world, &world.manager, &at, &[("content_hash", &hash(&sheet.text)), ("decision", "perhaps")]).await.expect(422);
        // Who asked has no say.
        send(&world, &world.owner, &at, &[("content_hash", &hash(&sheet.text)), ("decision", "approve")]).await.expect(403);
        let voted = send(&world, &world.manager, &at, &[("content_hash", &hash(&sheet.text)), ("decision", "approve"), ("comment", "fine")]).await.expect(303);
        assert!(voted.leads().ends_with(&at));
        let after = page(&world, &world.manager, &at).await.expect(200);
        assert!(after.text.contains("It is approved, and in force.") && after.text.contains("“fine”") && !after.text.contains("name=\"decision\""), "{}", after.text);
        // Twice is once.
        send(&world, &world.manager, &at, &[("content_hash", &hash(&sheet.text)), ("decision", "deny")]).await.expect(409);
    }

    async fn all_that_waits_for_a_vote_is_found_however_much_is_open(world: World) {
        let mut charter = world.charter(Key::new().jwk());
        charter["coverage"] = json!("just_in_time");
        let identity = world.active("jit-exporter", charter).await;
        let mut asked = Vec::new();
        for n in 0..13 {
            let entitlement = json!({"actions": ["read"], "resource": world.orders});
            let access = json!({"type": "access", "identity": identity, "entitlement": entitlement, "duration": format!("{}m", n + 1)});
            asked.push(world.ask(&world.owner, access, "read").await.expect(201).text("/id"));
        }
        let waiting = async |token: &str, limit: usize| {
            let (mut ids, mut next) = (Vec::new(), String::new());
            loop {
                let answer = world.get(token, &format!("/v1/waiting?limit={limit}{next}")).await.expect(200);
                ids.extend(answer.body["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
                match answer.body["next"].as_str() {
                    Some(after) => next = format!("&after={after}"),
                    None => return ids,
                }
            }
        };
        assert_eq!(waiting(&world.manager, 5).await, asked, "the oldest first, on several pages");
        assert_eq!(waiting(&world.manager, 200).await, asked);
        for other in [&world.owner, &world.security, &world.admin, &world.auditor] {
            assert_eq!(waiting(other, 50).await, Vec::<String>::new());
        }
        let home = page(&world, &world.manager, "/waiting?limit=5").await.expect(200);
        is_sound(&home);
        assert!(home.text.contains("Waiting for your vote") && home.text.contains("rel=\"next\"") && home.text.contains(&asked[0]), "{}", home.text);
        world.approve(&world.manager, &asked[0]).await.expect(200);
        world.approve(&world.manager, &asked[7]).await.expect(200);
        let left: Vec<String> = asked.iter().enumerate().filter(|(n, _)| ![0, 7].contains(n)).map(|(_, id)| id.clone()).collect();
        assert_eq!(waiting(&world.manager, 4).await, left);
        // A cursor is of its list and its reader alone.
        let cursor = world.get(&world.manager, "/v1/waiting?limit=1").await.expect(200).text("/next");
        world.get(&world.security, &format!("/v1/waiting?after={cursor}")).await.expect(422);
        world.get(&world.manager, &format!("/v1/requests?after={cursor}")).await.expect(422);
        world.get(&world.manager, "/v1/waiting?state=open").await.expect(422);
        // The newest first, both ways page by page.
        let sorted = async |sort: &str| {
            let first = world.get(&world.auditor, &format!("/v1/requests?sort={sort}&identity={identity}&limit=9")).await.expect(200);
            let path = format!("/v1/requests?sort={sort}&identity={identity}&limit=9&after={}", first.text("/next"));
            let second = world.get(&world.auditor, &path).await.expect(200);
            let items = first.body["items"].as_array().unwrap().iter().chain(second.body["items"].as_array().unwrap());
            items.map(|item| item["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let (mut up, down) = (sorted("id").await, sorted("-id").await);
        up.reverse();
        assert_eq!((up.len(), &up), (14, &down), "with the one of its activation");
        world.get(&world.auditor, "/v1/requests?sort=name").await.expect(422);
        world.get(&world.auditor, "/v1/findings?sort=-id").await.expect(422);
    }

    async fn what_changes_is_said_with_what_it_was(world: World) {
        let (id, _) = (world.active("exporter", world.charter(Key::new().jwk())).await, ());
        let charter = world.get(&world.owner, &format!("/v1/identities/{id}")).await.expect(200).body["charter"].clone();
        let mut wider = charter.clone();
        wider["scope"] = json!([{"actions": ["read", "write"], "resource": world.orders}]);
        let asked = world.ask(&world.owner, json!({"type": "charter", "identity": id, "charter": wider}), "writes too").await.expect(201);
        let sheet = page(&world, &world.manager, &format!("/requests/{}", asked.text("/id"))).await.expect(200);
        assert!(sheet.text.contains("What changes") && sheet.text.contains("read, write on") && sheet.text.contains("class=\"was\""), "{}", sheet.text);
    }

    async fn a_request_of_others_is_refused_as_the_api_refuses_it(world: World) {
        let (id, _) = open(&world, "secret need").await;
        let (_, ola) = world.person("Ola", &["owner"]).await;
        let refused = page(&world, &ola, &format!("/requests/{id}")).await.expect(403);
        is_sound(&refused);
        assert!(!refused.text.contains("secret need"));
        let voted = send(&world, &ola, &format!("/requests/{id}"), &[("content_hash", "x"), ("decision", "approve")]).await.expect(403);
        assert!(!voted.text.contains("secret need"));
        assert!(!page(&world, &ola, "/requests").await.expect(200).text.contains("secret need"));
        page(&world, &ola, "/requests/x").await.expect(404);
        let own = page(&world, &world.owner, "/requests").await.expect(200);
        assert!(own.text.contains("secret need"));
        assert_eq!(world.call(Method::GET, &world.owner, &format!("/v1/requests/{id}"), None).await.text("/state"), "open");
    }

    async fn s8_asking_back_and_standing_in_are_seen_on_the_page(world: World) {
        let (id, _) = open(&world, "read once").await;
        let at = format!("/requests/{id}");
        let notes = format!("{at}/notes");
        // Who may vote asks back; who asked has nothing to answer yet.
        let sheet = page(&world, &world.manager, &at).await.expect(200);
        assert!(sheet.text.contains(">Ask back</h2>") && sheet.text.contains("has waited for"), "{}", sheet.text);
        let own = page(&world, &world.owner, &at).await.expect(200);
        assert!(!own.text.contains("name=\"text\"") && !own.text.contains("name=\"decision\""), "{}", own.text);
        let empty = send(&world, &world.manager, &notes, &[("text", " ")]).await.expect(422);
        assert!(empty.text.contains("note_malformed") || empty.text.contains("1 to 1000 bytes"), "{}", empty.text);
        send(&world, &world.manager, &notes, &[("text", "which <b>runbook</b>?")]).await.expect(303);
        let own = page(&world, &world.owner, &at).await.expect(200);
        is_sound(&own);
        for part in ["which &#60;b&#62;runbook&#60;/b&#62;?", "asked back", ">Answer what was asked</h2>"] {
            assert!(own.text.contains(part), "{part} is missing in {}", own.text);
        }
        send(&world, &world.owner, &notes, &[("text", "number 12")]).await.expect(303);
        assert!(page(&world, &world.manager, &at).await.expect(200).text.contains("“number 12”"));
        // An auditor reads, and has no say.
        let read = page(&world, &world.auditor, &at).await.expect(200);
        assert!(!read.text.contains("name=\"text\"") && !read.text.contains("name=\"decision\""));
        send(&world, &world.auditor, &notes, &[("text", "well")]).await.expect(403);
        // From elsewhere nothing is taken, and to whom it isn't nothing is said.
        let (mia_id, mia) = world.person("Mia", &["manager"]).await;
        let (_, ola) = world.person("Ola", &["owner"]).await;
        let refused = send(&world, &ola, &notes, &[("text", "well")]).await.expect(403);
        assert!(!refused.text.contains("number 12"));
        // Away: the form is one's own, and the page says who stands in.
        let me = format!("/people/{}", world.manager_id);
        let form = page(&world, &world.manager, &format!("{me}/stand-in")).await.expect(200);
        is_sound(&form);
        page(&world, &mia, &format!("{me}/stand-in")).await.expect(404);
        send(&world, &mia, &format!("{me}/stand-in"), &[("person", &mia_id), ("until", "2027-01-01")]).await.expect(404);
        let until = crate::world::in_secs(5 * 86_400)[..10].to_owned();
        let wrong = send(&world, &world.manager, &format!("{me}/stand-in"), &[("person", "Mia"), ("until", "some <day>")]).await.expect(422);
        assert!(wrong.text.contains("value=\"some &#60;day&#62;\""), "{}", wrong.text);
        send(&world, &world.manager, &format!("{me}/stand-in"), &[("person", "Mia"), ("until", &until)]).await.expect(303);
        assert!(page(&world, &world.manager, &me).await.expect(200).text.contains("Mia, from "));
        let seen = page(&world, &mia, &at).await.expect(200);
        assert!(seen.text.contains("stands in") && seen.text.contains(">Approve</button>"), "{}", seen.text);
        assert!(page(&world, &mia, "/").await.expect(200).text.contains("jit-exporter"));
        let voted = send(&world, &mia, &at, &[("content_hash", &hash(&seen.text)), ("decision", "approve")]).await.expect(303);
        assert!(voted.leads().ends_with(&at));
        let after = page(&world, &mia, &at).await.expect(200);
        assert!(after.text.contains("who is away") && after.text.contains("Time to answer"), "{}", after.text);
        send(&world, &world.manager, &format!("{me}/end-stand-in"), &[]).await.expect(303);
        assert!(!page(&world, &world.manager, &me).await.expect(200).text.contains("Mia, from "));
    }
}
