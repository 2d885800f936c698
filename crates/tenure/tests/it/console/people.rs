//! People: what they hold, what leaves with them, invited from their page; what there is, changed.

use reqwest::Method;
use serde_json::json;

use super::{is_sound, page, send};
use crate::on_one;
use crate::world::Key;

on_one! {
    async fn r120_what_is_overdue_with_an_owner_and_how_long_it_takes(world: World) {
        let mut charter = world.charter(Key::new().jwk());
        charter["coverage"] = json!("just_in_time");
        let id = world.active("exporter", charter).await;
        let at = format!("/people/{}", world.owner_id);
        let shown = page(&world, &world.auditor, &at).await.expect(200);
        is_sound(&shown);
        for part in ["What waits for them", "Applications: 2", "Reviews", "Votes, by name", "How long it takes"] {
            assert!(shown.text.contains(part), "{part} is missing in {}", shown.text);
        }
        // Something is asked of them.
        let (_, rita) = world.person("Rita", &["requester"]).await;
        let access = json!({"type": "access", "identity": id, "entitlement": {"actions": ["read"], "resource": world.orders}, "duration": "1h"});
        let asked = world.ask(&rita, access, "migration").await;
        assert_eq!(asked.status, 201, "{}", asked.body);
        assert!(page(&world, &world.auditor, &at).await.expect(200).text.contains("half of 1 took"));
        // Oneself sees it, others don't.
        assert!(page(&world, &world.owner, &at).await.expect(200).text.contains("What waits for them"));
        let (_, ola) = world.person("Ola", &["owner"]).await;
        page(&world, &ola, &at).await.expect(403);
    }

    async fn r79_what_leaves_with_somebody_is_seen_before_they_do(world: World) {
        world.active("exporter", world.charter(Key::new().jwk())).await;
        let at = format!("/people/{}/depart", world.owner_id);
        is_sound(&page(&world, &world.security, &at).await.expect(200));
        page(&world, &world.owner, &format!("/people/{}/depart", world.security_id)).await.expect(403);
        // Unseen is undone, and so is what is only looked at.
        send(&world, &world.security, &at, &[("decision", "leave"), ("reason", "left")]).await.expect(422);
        let plan = send(&world, &world.security, &at, &[("decision", "look"), ("reason", "left <b>")]).await.expect(200);
        is_sound(&plan);
        for part in ["Nothing is done yet", ">exporter</a>", ">They leave</button>", "left &#60;b&#62;"] {
            assert!(plan.text.contains(part), "{part} is missing in {}", plan.text);
        }
        let state = async || world.get(&world.auditor, &format!("/v1/people/{}", world.owner_id)).await.text("/state");
        assert_eq!(state().await, "active");
        send(&world, &world.auditor, &at, &[("decision", "leave"), ("reason", "left"), ("seen", "plan")]).await.expect(403);
        send(&world, &world.security, &at, &[("decision", "leave"), ("reason", "left"), ("seen", "plan")]).await.expect(303);
        assert_eq!(state().await, "departed");
    }

    async fn somebody_is_stopped_and_let_go_on_from_their_page(world: World) {
        let (id, token) = world.person("Ola", &["owner"]).await;
        let at = format!("/people/{id}");
        let shown = page(&world, &world.security, &at).await.expect(200);
        assert!(shown.text.contains(&format!("{at}/suspend")) && shown.text.contains(&format!("{at}/depart")), "{}", shown.text);
        assert!(!page(&world, &world.auditor, &at).await.expect(200).text.contains("/suspend"));
        send(&world, &world.security, &format!("{at}/suspend"), &[("reason", "")]).await.expect(422);
        send(&world, &world.security, &format!("{at}/suspend"), &[("reason", "lost phone")]).await.expect(303);
        world.get(&token, "/v1/me").await.expect(401);
        // Not by who placed it.
        send(&world, &world.security, &format!("{at}/resume"), &[("reason", "found")]).await.expect(403);
        let (_, sib) = world.person("Sib", &["security"]).await;
        assert!(page(&world, &sib, &format!("{at}/resume")).await.expect(200).text.contains("lost phone"));
        send(&world, &sib, &format!("{at}/resume"), &[("reason", "found")]).await.expect(303);
        world.get(&token, "/v1/me").await.expect(200);
    }

    async fn s7_an_invitation_is_shown_once_and_stands_in_no_other_page(world: World) {
        let (id, _) = world.person("Ola", &["owner"]).await;
        let at = format!("/people/{id}/invite");
        is_sound(&page(&world, &world.admin, &at).await.expect(200));
        send(&world, &world.security, &at, &[("replaces", "add")]).await.expect(403);
        let made = send(&world, &world.admin, &at, &[("replaces", "add")]).await.expect(200);
        is_sound(&made);
        let link = made.text.split("/sign-in#invitation=").nth(1).expect("a link").split('<').next().unwrap().to_owned();
        assert!(link.len() > 20, "{link}");
        let list = page(&world, &world.admin, "/invitations").await.expect(200);
        is_sound(&list);
        assert!(list.text.contains(">Ola</a>") && !list.text.contains(&link), "{}", list.text);
        let one = list.text.split("href=\"").find(|part| part.starts_with("/invitations/inv_")).unwrap().split('"').next().unwrap().to_owned();
        let sheet = page(&world, &world.admin, &one).await.expect(200);
        is_sound(&sheet);
        assert!(!sheet.text.contains(&link) && sheet.text.contains("Invitation of Ola"));
        page(&world, &world.owner, &one).await.expect(403);
        assert!(!world.text(&world.auditor, "/v1/log/export").await.contains(&link));
        send(&world, &world.admin, &one, &[("decision", "revoke")]).await.expect(303);
        assert!(page(&world, &world.admin, &one).await.expect(200).text.contains("used or taken back"));
    }

    async fn r116_what_somebody_holds_for_a_while_is_seen_and_taken_back(world: World) {
        let (id, token) = world.person("Ana", &["requester"]).await;
        let matter = json!({"type": "person_access", "person": id, "entitlements": [{"actions": ["read"], "resource": world.orders}], "duration": "40d"});
        let asked = world.ask(&token, matter, "audit <b>").await.expect(201).text("/id");
        let grant = world.approve(&world.manager, &asked).await.expect(200).text("/outcome/person_grants/0");
        let list = page(&world, &world.auditor, "/person-grants?state=live").await.expect(200);
        is_sound(&list);
        for part in [">Ana</a>", "read on https://orders.internal", "audit &#60;b&#62;", "Early review by"] {
            assert!(list.text.contains(part), "{part} is missing in {}", list.text);
        }
        assert_eq!(world.get(&world.auditor, &format!("/v1/person-grants?person={id}")).await.expect(200).text("/items/0/id"), grant);
        let at = format!("/people/{id}/access");
        let shown = page(&world, &token, &at).await.expect(200);
        is_sound(&shown);
        assert!(shown.text.contains("What Ana holds") && shown.text.contains(&grant), "{}", shown.text);
        let (_, ola) = world.person("Ola", &["owner"]).await;
        page(&world, &ola, &at).await.expect(403);
        page(&world, &ola, "/person-grants").await.expect(403);
        send(&world, &ola, &at, &[("grant", &grant), ("reason", "x")]).await.expect(403);
        // Somebody else's grant isn't taken back by another's page.
        let elsewhere = format!("/people/{}/access", world.owner_id);
        send(&world, &world.security, &elsewhere, &[("grant", &grant), ("reason", "x")]).await.expect(404);
        send(&world, &world.security, &at, &[("grant", &grant), ("reason", "done")]).await.expect(303);
        assert_eq!(world.get(&world.auditor, &format!("/v1/person-grants?person={id}")).await.expect(200).text("/items/0/state"), "revoked");
        is_sound(&page(&world, &world.auditor, "/packages").await.expect(200));
        let exceptional = page(&world, &world.auditor, "/log/exceptional").await.expect(200);
        is_sound(&exceptional);
        assert!(exceptional.text.contains("Operator token created"), "{}", exceptional.text);
    }

    async fn what_somebody_else_changed_meanwhile_is_shown_beside_what_was_typed(world: World) {
        let (ola_id, _) = world.person("Ola", &["owner"]).await;
        world.post(&world.admin, "/v1/data-domains", json!({"name": "sales", "sensitivity": "internal"})).await.expect(201);
        let body = json!({"name": "acme", "contact": "first@acme.example", "owner": world.owner_id, "data_domains": ["sales"], "ends_at": crate::world::in_secs(60 * 86_400)});
        let at = format!("/vendors/{}", world.post(&world.admin, "/v1/vendors", body).await.expect(201).text("/id"));
        let edit = format!("{at}/edit");
        let kept = |text: &str, name: &str| {
            let after = text.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("no {name} in {text}")).1;
            (name.to_owned(), after.split('"').next().unwrap().to_owned())
        };
        let hidden = ["revision", "was_owner", "was_contact", "was_data_domains", "was_ends_at"];
        let form = page(&world, &world.admin, &edit).await.expect(200).text;
        let (revision, ends_at) = (kept(&form, "revision"), kept(&form, "was_ends_at").1);
        let typed = |shown: &str, contact: &str, domains: &str| -> Vec<(String, String)> {
            let mut fields: Vec<_> = hidden.iter().map(|name| kept(shown, name)).collect();
            let said = [("owner", ""), ("contact", contact), ("data_domains", domains), ("ends_at", &*ends_at), ("purpose", "")];
            fields.extend(said.map(|(name, value)| (name.to_owned(), value.to_owned())));
            fields
        };
        let sent = async |fields: Vec<(String, String)>| {
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            send(&world, &world.admin, &edit, &fields).await
        };
        // Another administrator is quicker.
        let theirs = json!({"owner": ola_id, "contact": "theirs <soc>"});
        world.patch(&world.admin, &format!("/v1{at}"), Some("*"), &theirs).await.expect(200);
        let late = sent(typed(&form, "mine <soc>", "sales")).await.expect(412);
        is_sound(&late);
        for part in ["somebody else has made it: Ola", "somebody else has made it: theirs &#60;soc&#62;", "value=\"mine &#60;soc&#62;\""] {
            assert!(late.text.contains(part), "{part} is missing in {}", late.text);
        }
        assert_ne!(kept(&late.text, "revision"), revision);
        // What was left as it was shown keeps what the other made of it; what was typed is written on the second send.
        sent(typed(&late.text, "mine <soc>", "sales")).await.expect(303);
        let now = world.get(&world.auditor, &format!("/v1{at}")).await.expect(200);
        assert_eq!((now.text("/owner"), now.text("/contact")), (ola_id, "mine <soc>".to_owned()));
        // A field that was left alone follows the other.
        let form = page(&world, &world.admin, &edit).await.expect(200).text;
        world.patch(&world.admin, &format!("/v1{at}"), Some("*"), &json!({"contact": "second@acme.example"})).await.expect(200);
        let late = sent(typed(&form, "mine <soc>", "")).await.expect(412);
        assert!(late.text.contains("value=\"second@acme.example\""), "{}", late.text);
    }

    async fn what_there_is_is_changed_on_its_page_as_the_api_changes_it(world: World) {
        let (ola_id, _) = world.person("Ola", &["owner"]).await;
        let at = format!("/applications/{}", world.application);
        let edit = format!("{at}/edit");
        assert!(page(&world, &world.admin, &at).await.expect(200).text.contains(&edit));
        assert!(!page(&world, &world.auditor, &at).await.expect(200).text.contains(&edit));
        let form = page(&world, &world.admin, &edit).await.expect(200);
        is_sound(&form);
        let revision = form.text.split("name=\"revision\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        send(&world, &world.owner, &edit, &[("owner", &ola_id), ("revision", &revision)]).await.expect(403);
        // Of another revision than was seen, or of none: nothing is written over.
        let stale = send(&world, &world.admin, &edit, &[("owner", "Ola"), ("revision", "999")]).await.expect(412);
        assert!(stale.text.contains(&format!("name=\"revision\" value=\"{revision}\"")), "{}", stale.text);
        assert!(stale.text.contains("value=\"Ola\""), "{}", stale.text);
        send(&world, &world.admin, &edit, &[("owner", "Ola"), ("revision", "x")]).await.expect(412);
        send(&world, &world.admin, &edit, &[("owner", "Ola"), ("revision", &revision)]).await.expect(303);
        assert_eq!(world.get(&world.auditor, &format!("/v1{at}")).await.expect(200).text("/owner"), ola_id);
        // What widens is a request; a second administrator is there to vote on it.
        world.person("Dan", &["administrator"]).await;
        let resource = format!("/resources/{}/edit", world.orders);
        let form = page(&world, &world.admin, &resource).await.expect(200);
        let revision = form.text.split("name=\"revision\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let fields = [("actions", "read, write, enforce, purge"), ("data_domains", ""), ("verification", "online"), ("when_unreachable", "deny"), ("revision", revision.as_str())];
        send(&world, &world.admin, &resource, &fields).await.expect(422);
        let mut with_need = fields.to_vec();
        with_need.push(("purpose", "purges"));
        assert!(send(&world, &world.admin, &resource, &with_need).await.expect(303).leads().contains("/requests/req_"));
        let kept = world.call(Method::GET, &world.auditor, &format!("/v1/resources/{}", world.orders), None).await.expect(200);
        assert_eq!(kept.body["actions"], json!(["read", "write", "enforce"]));
    }
}
