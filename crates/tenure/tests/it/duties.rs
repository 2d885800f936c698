//! Who is kept out of an approval, and what becomes of its route then (S-8, R40).

use reqwest::Method;
use serde_json::{Value, json};

use crate::on_one;
use crate::world::{Answer, Key, World};

async fn team(world: &World, name: &str) -> String {
    world.post(&world.admin, "/v1/teams", json!({"name": name})).await.expect(201).text("/id")
}

/// Puts people into these teams, and into no others.
async fn join(world: &World, person: &str, teams: &[&str]) {
    let change = json!({"teams": teams});
    world.post(&world.admin, &format!("/v1/people/{person}/change"), change).await.expect(200);
}

/// A charter that serves this party. With restricted data, the manager and security have to agree.
fn serving(world: &World, party: &str, beneficiary: &str, data_domains: Value) -> Value {
    let mut charter = world.charter(Key::new().jwk());
    charter["parties"][party] = json!(beneficiary);
    charter["data_domains"] = data_domains;
    charter
}

async fn payments(world: &World) {
    let domain = json!({"name": "payments", "sensitivity": "restricted"});
    world.post(&world.admin, "/v1/data-domains", domain).await.expect(201);
}

async fn request_of(world: &World, registered: &Answer) -> Answer {
    let id = registered.text("/request");
    world.get(&world.security, &format!("/v1/requests/{id}")).await.expect(200)
}

on_one! {
    async fn d01_who_is_alone_in_any_of_sixteen_teams_does_not_approve_for_it(world: World) {
        payments(&world).await;
        let (sue_id, sue) = world.person("Sue", &["security"]).await;
        let mut teams = Vec::new();
        for n in 0..16 {
            teams.push(team(&world, &format!("team-{n}")).await);
        }
        join(&world, &sue_id, &teams.iter().map(String::as_str).collect::<Vec<_>>()).await;
        for (n, team) in teams.iter().enumerate() {
            let listed = world.get(&world.admin, &format!("/v1/people?team={team}")).await.expect(200);
            assert_eq!(listed.body["items"][0]["id"], json!(sue_id), "{n}");
            let charter = serving(&world, "beneficiary", team, json!(["payments"]));
            let pending = world.register(&format!("payer-{n}"), charter, "pending").await.expect(201).text("/request");
            assert_eq!(world.approve(&sue, &pending).await.expect(403).code(), "self_approval", "{n}");
        }
    }

    async fn a08_a_team_keeps_each_of_its_members_out_by_id_and_by_name(world: World) {
        payments(&world).await;
        let (sue_id, sue) = world.person("Sue", &["security"]).await;
        let (pat_id, pat) = world.person("Pat", &["security"]).await;
        let payers = team(&world, "payers").await;
        for person in [&sue_id, &pat_id] {
            join(&world, person, &[&payers]).await;
        }
        for (n, (party, by)) in [("operator", payers.as_str()), ("beneficiary", " payers ")].into_iter().enumerate() {
            let charter = serving(&world, party, by, json!(["payments"]));
            let pending = world.register(&format!("payer-{n}"), charter, "pending").await.expect(201);
            let request = request_of(&world, &pending).await;
            assert_eq!(request.body["interested_teams"], json!([payers]), "{party}");
            for member in [&sue, &pat] {
                assert_eq!(world.approve(member, &pending.text("/request")).await.expect(403).code(), "self_approval", "{party}");
            }
            world.approve(&world.security, &pending.text("/request")).await.expect(200);
        }
    }

    async fn a08_what_a_feed_says_of_teams_keeps_out_and_lets_nobody_in(world: World) {
        payments(&world).await;
        let feed = |teams: &str| format!("key,name,teams\n1,Sue,{teams}\n");
        let import = async |teams: &str| {
            let request = world.http.post(format!("{}/v1/people/import?source=hr", world.server.url)).bearer_auth(&world.admin);
            World::answer(request.header("content-type", "text/csv").body(feed(teams))).await.expect(200)
        };
        import("").await;
        let sue_id = world.get(&world.admin, "/v1/people?source=hr").await.expect(200).text("/items/0/id");
        let roles = json!({"roles": ["security"], "purpose": "joins security"});
        world.post(&world.admin, &format!("/v1/people/{sue_id}/roles"), roles).await.expect(201);
        let sue = world.post(&world.admin, &format!("/v1/people/{sue_id}/operator-tokens"), json!({})).await.expect(201).text("/operator_token");
        let register = async |name: &str| {
            let charter = serving(&world, "beneficiary", "payers", json!(["payments"]));
            world.register(name, charter, "pending").await.expect(201).text("/request")
        };
        team(&world, "payers").await;
        let before = register("before").await;
        // Who joins later is out of what was asked before; who leaves later isn't in what was asked while they were
        // there.
        import("payers").await;
        assert_eq!(world.approve(&sue, &before).await.expect(403).code(), "self_approval");
        let while_there = register("while-there").await;
        import("").await;
        assert_eq!(world.approve(&sue, &while_there).await.expect(403).code(), "self_approval");
        // Nor in what was asked before, or is asked soon after.
        let soon_after = register("soon-after").await;
        for request in [&before, &soon_after] {
            assert_eq!(world.approve(&sue, request).await.expect(403).code(), "self_approval");
        }
    }

    async fn a08_striking_a_name_lets_nobody_in(world: World) {
        let payers = team(&world, "Payers").await;
        join(&world, &world.manager_id, &[&payers]).await;
        // A team is who reads like it.
        let mut charter = serving(&world, "operator", "payers", json!([]));
        charter["backup_owner"] = json!(world.manager_id);
        let pending = world.register("payer", charter.clone(), "pending").await.expect(201);
        let request = request_of(&world, &pending).await;
        assert_eq!((request.text("/route"), &request.body["interested_teams"]), ("security".into(), &json!([payers])));
        world.approve(&world.security, &pending.text("/request")).await.expect(200);
        let id = pending.text("/id");
        for struck in [json!({}), json!({"backup_owner": null}), json!({"operator": "ext"}), json!({"backup_owner": null, "operator": "ext"})] {
            charter["scope"] = json!([{"actions": ["read", "write"], "resource": world.orders}]);
            if let Some(operator) = struck.get("operator") {
                charter["parties"]["operator"] = operator.clone();
            }
            if struck.get("backup_owner").is_some() {
                charter["backup_owner"] = Value::Null;
            }
            let asked = world.ask(&world.owner, json!({"type": "charter", "identity": id, "charter": charter}), "writes too").await.expect(201);
            assert_eq!(asked.text("/route"), "security", "{struck}");
            world.approve(&world.manager, &asked.text("/id")).await.expect(403);
            world.post(&world.owner, &format!("/v1/requests/{}/withdraw", asked.text("/id")), json!({})).await.expect(200);
        }
    }

    async fn a08_striking_a_delegate_alone_does_not_either(world: World) {
        payments(&world).await;
        let (sue_id, sue) = world.person("Sue", &["security", "owner"]).await;
        let mut charter = world.charter(Key::new().jwk());
        charter["owner"] = json!(sue_id);
        let helper = world.active("helper", charter).await;
        let mut charter = serving(&world, "operator", "ext", json!(["payments"]));
        charter["delegates"] = json!([{"actor": helper, "scope": charter["scope"], "onward": 0}]);
        let decide = async |request: &str| {
            assert_eq!(world.approve(&sue, request).await.expect(403).code(), "self_approval");
            world.approve(&world.manager, request).await.expect(200);
            assert_eq!(world.approve(&world.security, request).await.expect(200).text("/state"), "fulfilled");
        };
        let pending = world.register("payer", charter.clone(), "pending").await.expect(201);
        decide(&pending.text("/request")).await;
        let id = pending.text("/id");
        // What takes away needs nobody, and is remembered.
        charter["delegates"] = json!([]);
        let path = format!("/v1/identities/{id}/charter");
        let narrowed = world.at(Method::PUT, &world.owner, &path, Some("*"), &charter).await.expect(200);
        assert_eq!(narrowed.body["struck"][0]["party"], json!(helper));
        charter["scope"] = json!([{"actions": ["read", "write"], "resource": world.orders}]);
        let matter = json!({"type": "charter", "identity": id, "charter": charter});
        let asked = world.ask(&world.owner, matter, "writes too").await.expect(201);
        decide(&asked.text("/id")).await;
    }

    async fn a08_handing_it_there_and_back_lets_no_backup_in(world: World) {
        let mut charter = world.charter(Key::new().jwk());
        let (heir, heir_token) = world.person("Hal", &["owner", "manager"]).await;
        charter["backup_owner"] = json!(heir);
        let id = world.active("payer", charter).await;
        for (from, to, accepts) in [(&world.owner, &heir, &heir_token), (&heir_token, &world.owner_id, &world.owner)] {
            let offered = world.post(from, &format!("/v1/identities/{id}/transfer"), json!({"to": to})).await.expect(201);
            world.post(accepts, &format!("/v1/transfers/{}/accept", offered.text("/id")), json!({})).await.expect(200);
        }
        let charter = world.get(&world.owner, &format!("/v1/identities/{id}")).await.expect(200).body["charter"].clone();
        assert_eq!((&charter["owner"], &charter["backup_owner"]), (&json!(world.owner_id), &json!(heir)));
    }

    async fn a01_a_key_is_bounded_and_what_votes_bind_is_hashed_once(world: World) {
        let mut charter = world.charter(Key::new().jwk());
        for n in 0..4_000 {
            charter["workload_binding"]["jwk"][format!("z{n:x}")] = json!(0);
        }
        let refused = world.register("wide", charter.clone(), "pending").await.expect(422);
        assert_eq!(refused.field_codes(), ["jwk_malformed"]);
        // Whoever is refused chooses how much is wrong, and not how much is written of it.
        charter["workload_binding"]["jwk"] = Key::new().jwk();
        charter["scope"] = (0..900).map(|_| json!({"actions": [], "resource": "x".repeat(20)})).collect();
        let refused = world.register("wide", charter, "pending").await.expect(422);
        assert_eq!(refused.body["fields"].as_array().unwrap().len(), 32);
        assert!(refused.text("/detail").contains("the first 32"), "{}", refused.body);
        let recorded = world.events().await.into_iter().rfind(|event| event["kind"] == "access.refused").unwrap();
        assert_eq!(recorded["data"]["fields"].as_array().unwrap().len(), 32);
        assert!(recorded["data"]["fields_wrong"].as_u64().unwrap() > 800, "{recorded}");
    }

    async fn a08_the_backup_owner_does_not_approve(world: World) {
        payments(&world).await;
        let (sue_id, sue) = world.person("Sue", &["security", "owner"]).await;
        let mut charter = serving(&world, "beneficiary", "finance", json!(["payments"]));
        charter["backup_owner"] = json!(sue_id);
        let pending = world.register("payer", charter, "pending").await.expect(201).text("/request");
        assert_eq!(world.approve(&sue, &pending).await.expect(403).code(), "self_approval");
        world.approve(&world.security, &pending).await.expect(200);
    }

    async fn a08_where_nobody_may_fill_a_place_security_does_until_nobody_of_it_is_left(world: World) {
        payments(&world).await;
        let leads = team(&world, "leads").await;
        join(&world, &world.manager_id, &[&leads]).await;
        let standard = serving(&world, "operator", "leads", json!([]));
        let pending = world.register("medium", standard, "pending").await.expect(201);
        let request = request_of(&world, &pending).await;
        assert_eq!((request.text("/route"), &request.body["approver_roles"]), ("security".into(), &json!(["security"])));
        // What takes two people takes two of security then, and one is not enough.
        let high = || serving(&world, "operator", "leads", json!(["payments"]));
        let refused = world.register("high", high(), "pending").await.expect(403);
        assert_eq!(refused.code(), "no_route");
        assert!(refused.text("/detail").contains("manager"), "{}", refused.body);
        let (_, sue) = world.person("Sue", &["security"]).await;
        let pending = world.register("high", high(), "pending").await.expect(201);
        assert_eq!(request_of(&world, &pending).await.text("/route"), "two_of_security");
        let request = pending.text("/request");
        assert_eq!(world.approve(&world.security, &request).await.expect(200).text("/state"), "open");
        // One person fills one place.
        assert_eq!(world.approve(&world.security, &request).await.expect(403).code(), "self_approval");
        assert_eq!(world.approve(&sue, &request).await.expect(200).text("/state"), "fulfilled");
        // Where security gains too, nobody is left.
        join(&world, &world.security_id, &[&leads]).await;
        let sue_id = world.get(&sue, "/v1/me").await.expect(200).text("/person/id");
        join(&world, &sue_id, &[&leads]).await;
        let before = world.changes().await;
        let refused = world.register("nobody", serving(&world, "operator", "leads", json!([])), "pending").await.expect(403);
        assert_eq!(refused.code(), "no_route");
        assert!(refused.text("/detail").contains("role security"), "{}", refused.body);
        assert_eq!(world.changes().await, before);
    }

    async fn d04_what_nobody_could_approve_does_not_open(world: World) {
        let (lone_id, lone) = world.person_as(json!({"name": "Lou", "roles": ["requester", "owner"]})).await;
        let mut charter = world.charter(Key::new().jwk());
        charter["owner"] = json!(lone_id);
        charter["parties"]["requester"] = json!(lone_id);
        let register = async |name: &str| {
            let mut charter = charter.clone();
            charter["workload_binding"]["jwk"] = Key::new().jwk();
            let body = json!({"kind": "workload", "name": name, "charter": charter, "stage": "pending"});
            world.post(&lone, "/v1/identities", body).await
        };
        // Security does, where there is no manager.
        let id = register("one").await.expect(201).text("/id");
        world.activate(&world.security, &id).await.expect(200);
        world.post(&world.admin, &format!("/v1/people/{}/suspend", world.security_id), json!({"reason": "on leave"})).await.expect(200);
        let before = world.changes().await;
        let refused = register("two").await.expect(403);
        assert_eq!(refused.code(), "no_route");
        let detail = refused.text("/detail");
        assert!(detail.contains("no accountable owner") && detail.contains("role security") && detail.contains("route_security"), "{detail}");
        // Nor what is asked about something that is there.
        let access = json!({"type": "renewal", "identity": id, "until": crate::world::in_secs(40 * 86_400)});
        world.ask(&lone, access, "still needed").await.expect(403);
        assert_eq!(world.changes().await, before, "nothing was made");
        // An open request keeps its way; a change of it is judged anew.
        let (second_id, second) = world.person("Bea", &["administrator"]).await;
        let asked = world.post(&world.admin, &format!("/v1/people/{lone_id}/roles"), json!({"roles": [], "purpose": "leaves"})).await.expect(201).text("/id");
        world.post(&second, &format!("/v1/people/{second_id}/suspend"), json!({"reason": "on leave"})).await.expect(200);
        let amend = Some(json!({"purpose": "leaves soon"}));
        assert_eq!(world.call(Method::PUT, &world.admin, &format!("/v1/requests/{asked}"), amend).await.expect(403).code(), "no_route");
    }
}
