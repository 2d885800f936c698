//! Saved views of the inventory: an address by a name, kept by one person, and shown to whoever opens it as they may see.

use serde_json::{Value, json};

use super::{is_sound, page, send};
use crate::on_one;
use crate::world::{Key, World};

async fn join(world: &World, person: &str, teams: &[&str]) {
    let change = json!({"teams": teams});
    world.post(&world.admin, &format!("/v1/people/{person}/change"), change).await.expect(200);
}

async fn names(world: &World, token: &str) -> Vec<String> {
    let views = world.get(token, "/v1/views").await.expect(200).body["items"].clone();
    views.as_array().unwrap().iter().map(|view| view["name"].as_str().unwrap().to_owned()).collect()
}

on_one! {
    async fn what_the_inventory_shows_is_kept_by_a_name_and_opened_again(world: World) {
        world.active("exporter", world.charter(Key::new().jwk())).await;
        world.until(async || page(&world, &world.auditor, "/identities?q=exporter").await.status == 200).await;
        let evil = "</a><script>alert(1)</script>";
        let query = "state=active&sort=-risk&columns=kind,owner&after=x&limit=20&q=";
        let saved = send(&world, &world.auditor, "/views", &[("name", evil), ("query", query)]).await.expect(303);
        assert!(saved.leads().ends_with("/identities?state=active&sort=-risk&columns=kind%2Cowner"), "{}", saved.leads());
        let shown = page(&world, &world.auditor, "/identities?state=active&sort=-risk&columns=kind%2Cowner").await.expect(200);
        is_sound(&shown);
        let current = "aria-current=\"true\">&#60;/a&#62;&#60;script&#62;";
        assert!(shown.text.contains(current), "{}", shown.text);
        // Another look is not that view; the form keeps what is looked at.
        let other = page(&world, &world.auditor, "/identities?state=active").await.expect(200);
        assert!(other.text.contains("name=\"query\" value=\"state=active\"") && !other.text.contains(current), "{}", other.text);
        // What the inventory doesn't take is kept by nobody, and nothing that was typed is lost.
        for bad in ["state=bogus", "nobody=1", "columns=nothing", "state=active&state=draft"] {
            let refused = send(&world, &world.auditor, "/views", &[("name", "Kept <so>"), ("query", bad)]).await.expect(422);
            is_sound(&refused);
            assert!(refused.text.contains("Kept &#60;so&#62;"), "{}", refused.text);
            world.post(&world.auditor, "/v1/views", json!({"name": "x", "query": bad})).await.expect(422);
        }
        let id = world.get(&world.auditor, "/v1/views").await.expect(200).text("/items/0/id");
        let at = format!("/views/{id}");
        is_sound(&page(&world, &world.auditor, &at).await.expect(200));
        send(&world, &world.auditor, &at, &[("name", "Riskiest"), ("decision", "save")]).await.expect(303);
        let list = page(&world, &world.auditor, "/views").await.expect(200);
        is_sound(&list);
        assert!(list.text.contains(">Riskiest</a>") && list.text.contains("Sort: -risk"), "{}", list.text);
        // Nobody else sees it, or learns that it is there.
        let nobody = "viw_00000000000000000000000001";
        for id in [&*id, nobody] {
            page(&world, &world.security, &format!("/views/{id}")).await.expect(404);
            world.post(&world.security, &format!("/v1/views/{id}/delete"), Value::Null).await.expect(404);
        }
        assert!(names(&world, &world.security).await.is_empty());
        send(&world, &world.auditor, &at, &[("decision", "delete")]).await.expect(303);
        assert!(names(&world, &world.auditor).await.is_empty());
        assert_eq!(world.events_of("view.deleted", &id).await.len(), 1);
    }

    async fn a_shared_view_shows_a_team_what_each_of_them_may_see(world: World) {
        world.active("hidden-exporter", world.charter(Key::new().jwk())).await;
        let team = world.post(&world.admin, "/v1/teams", json!({"name": "payments"})).await.expect(201).text("/id");
        let (kim_id, kim) = world.person("Kim", &["auditor"]).await;
        let (lou_id, lou) = world.person("Lou", &["owner"]).await;
        let ask = json!({"name": "Ours", "query": "state=active", "team": team});
        world.post(&kim, "/v1/views", ask.clone()).await.expect(422);
        join(&world, &kim_id, &[&team]).await;
        let made = world.post(&kim, "/v1/views", ask).await.expect(201);
        assert!(names(&world, &lou).await.is_empty());
        join(&world, &lou_id, &[&team]).await;
        assert_eq!(names(&world, &lou).await, ["Ours"]);
        let list = page(&world, &lou, "/identities?state=active").await.expect(200);
        assert!(list.text.contains(">Ours</a>") && !list.text.contains("hidden-exporter"), "{}", list.text);
        // It is Kim's alone to change, also for the team.
        let id = made.text("/id");
        world.post(&lou, &format!("/v1/views/{id}/change"), json!({"name": "Mine"})).await.expect(404);
        page(&world, &lou, &format!("/views/{id}")).await.expect(404);
        is_sound(&page(&world, &lou, "/views").await.expect(200));
        // Whoever leaves the team shares nothing with it any more, and who is erased nothing with anybody.
        join(&world, &kim_id, &[]).await;
        assert!(names(&world, &lou).await.is_empty());
        join(&world, &kim_id, &[&team]).await;
        assert_eq!(names(&world, &lou).await, ["Ours"]);
        world.post(&world.admin, &format!("/v1/people/{kim_id}/erase"), json!({})).await.expect(200);
        assert!(names(&world, &lou).await.is_empty() && names(&world, &kim).await.is_empty());
    }
}
