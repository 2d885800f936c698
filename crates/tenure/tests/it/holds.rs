//! Cuts and holds: what comes back by itself, who releases what, and that everybody sees what is held (S-11).

use reqwest::Method;
use serde_json::{Value, json};

use crate::on_one;
use crate::world::{Answer, Key, World};

async fn identity(world: &World, id: &str) -> Answer {
    world.get(&world.security, &format!("/v1/identities/{id}")).await.expect(200)
}

fn cut(kind: &str, id: &str, suspend: bool) -> Value {
    json!({"target": {"type": kind, "id": id}, "reason": "key on a lost laptop", "suspend": suspend})
}

fn hold(kind: &str, id: &str) -> Value {
    json!({"scope": {"type": kind, "id": id}, "reason": "under investigation"})
}

async fn held(world: &World, query: &str) -> Vec<Value> {
    let page = world.get(&world.auditor, &format!("/v1/holds{query}")).await.expect(200);
    page.body["items"].as_array().unwrap().clone()
}

async fn gauge(world: &World, kind: &str) -> u64 {
    let text = world.text("", "/metrics").await;
    let line = format!("tenure_holds{{scope=\"{kind}\"}} ");
    text.lines().find_map(|found| found.strip_prefix(&line)).unwrap().parse().unwrap()
}

on_one! {
    async fn d05_a_cut_says_what_comes_back_by_itself_and_stops_it_in_one_act(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let (other, _) = world.exporter("other").await;
        world.token(&key, &id, "production").await;
        let receipt = world.post(&world.security, "/v1/revocations", cut("identity", &id, false)).await.expect(201);
        assert_eq!(receipt.body["returning"], json!({"count": 1, "identities": [id]}));
        // It does come back, as was said.
        let back = world.token(&key, &id, "production").await;
        let before = world.events().await.len();
        let receipt = world.post(&world.security, "/v1/revocations", cut("identity", &id, true)).await.expect(201);
        assert_eq!(receipt.body["returning"], json!({"count": 0, "identities": []}));
        let signed: Vec<_> = world.events().await.split_off(before);
        let of = |kind: &str| signed.iter().filter(|event| event["kind"] == kind).count();
        assert_eq!((of("scope.cut"), of("identity.suspended")), (1, 1));
        assert!(!world.is_live(&back).await);
        assert_eq!(world.ask_token(&key, &id, "production").await.expect(400).code(), "identity_suspended");
        assert_eq!(identity(&world, &id).await.text("/suspensions/0/releasable_by"), "security");
        // Of a scope the same act holds it, and its identities are told apart.
        let receipt = world.post(&world.security, "/v1/revocations", cut("application", &world.application, false)).await.expect(201);
        assert_eq!(receipt.body["returning"], json!({"count": 1, "identities": [other]}));
        let receipt = world.post(&world.security, "/v1/revocations", cut("application", &world.application, true)).await.expect(201);
        assert_eq!(receipt.body["returning"]["count"], 0);
        assert_eq!(held(&world, "?kind=application").await.len(), 1);
        // Once more is no error: what is stopped stays so.
        world.post(&world.security, "/v1/revocations", cut("application", &world.application, true)).await.expect(201);
        world.post(&world.security, "/v1/revocations", cut("identity", &id, true)).await.expect(201);
        // A credential has nothing to suspend, and nothing is done.
        let changes = world.changes().await;
        let refused = world.post(&world.security, "/v1/revocations", cut("credential", &receipt.text("/id").replace("rct_", "crd_"), true)).await.expect(422);
        assert_eq!(refused.field_codes(), ["suspend_without_scope"]);
        // Who may only cut what is theirs holds nothing else.
        world.post(&world.owner, "/v1/revocations", cut("environment", "production", true)).await.expect(403);
        assert_eq!(world.changes().await, changes);
    }

    async fn d05_a_scope_on_hold_lets_nothing_come_back(world: World) {
        let (id, _) = world.exporter("exporter").await;
        world.post(&world.security, "/v1/holds", hold("environment", "production")).await.expect(201);
        let receipt = world.post(&world.security, "/v1/revocations", cut("identity", &id, false)).await.expect(201);
        assert_eq!(receipt.body["returning"]["count"], 0);
    }

    async fn d06_what_the_owner_suspends_security_releases_and_all_say_so(world: World) {
        let (id, _) = world.exporter("exporter").await;
        let path = format!("/v1/identities/{id}/suspend");
        let planned = world.post(&world.owner, &path, json!({"reason": "paused", "dry_run": true})).await.expect(200);
        assert_eq!(planned.body["releasers"], json!({"people": [world.security_id]}));
        assert_eq!(identity(&world, &id).await.text("/state"), "active", "nothing was done");
        let done = world.post(&world.owner, &path, json!({"reason": "paused"})).await.expect(200);
        assert_eq!((done.text("/suspensions/0/releasable_by"), &done.body["releasers"]), ("security".into(), &planned.body["releasers"]));
        let resume = format!("/v1/identities/{id}/resume");
        let refused = world.post(&world.owner, &resume, json!({"reason": "goes on", "cause": 0})).await.expect(403);
        assert_eq!(refused.code(), "same_person");
        assert!(refused.text("/detail").contains(&world.security_id), "{}", refused.body);
        world.post(&world.security, &resume, json!({"reason": "goes on", "cause": 0})).await.expect(200);
        // What the identity does to itself its owner undoes.
        let own = json!({"scope": {"type": "identity", "id": id}, "reason": "paused"});
        let placed = world.post(&world.owner, "/v1/holds", own.clone()).await.expect(201);
        assert_eq!((placed.text("/releasable_by"), &placed.body["releasers"]["people"]), ("security".into(), &json!([world.security_id])));
        assert_eq!(world.post(&world.owner, "/v1/holds/release", own.clone()).await.expect(403).code(), "same_person");
        world.post(&world.security, "/v1/holds/release", own).await.expect(200);
    }

    async fn d06_the_only_person_of_security_is_told_before_they_hold(world: World) {
        let mut plan = hold("application", &world.application);
        plan["dry_run"] = json!(true);
        let before = world.changes().await;
        let planned = world.post(&world.security, "/v1/holds", plan.clone()).await.expect(200);
        assert_eq!(planned.body["releasers"], json!({"people": []}));
        assert_eq!(world.changes().await, before, "nothing is held");
        // Nothing stands in the way of a hold; it is released once there is somebody.
        let placed = world.post(&world.security, "/v1/holds", hold("application", &world.application)).await.expect(201);
        assert_eq!(placed.body["releasers"]["people"], json!([]));
        let release = hold("application", &world.application);
        let refused = world.post(&world.security, "/v1/holds/release", release.clone()).await.expect(403);
        assert!(refused.text("/detail").contains("give a second person the role security"), "{}", refused.body);
        let (sue_id, sue) = world.person("Sue", &["security"]).await;
        let refused = world.post(&world.security, "/v1/holds/release", release.clone()).await.expect(403);
        assert!(refused.text("/detail").contains(&sue_id), "{}", refused.body);
        world.post(&sue, "/v1/holds/release", release).await.expect(200);
        assert_eq!(world.post(&world.security, "/v1/holds", plan).await.expect(200).body["releasers"]["people"], json!([sue_id]));
    }

    async fn d07_holds_are_listed_shown_and_counted(world: World) {
        let (id, _) = world.exporter("exporter").await;
        assert_eq!((held(&world, "").await.len(), gauge(&world, "application").await), (0, 0));
        let scopes = [("application", world.application.as_str()), ("environment", "production"), ("owner", &world.owner_id), ("identity", &id)];
        for (kind, scope) in scopes {
            world.post(&world.security, "/v1/holds", hold(kind, scope)).await.expect(201);
            assert_eq!(gauge(&world, kind).await, 1, "{kind}");
        }
        let listed = held(&world, "").await;
        assert_eq!(listed.len(), 4);
        assert!(listed.iter().all(|hold| hold["placed_by"] == json!(world.security_id) && hold["reason"] == "under investigation"), "{listed:?}");
        assert_eq!(held(&world, "?kind=owner").await[0]["scope"], json!({"type": "owner", "id": world.owner_id}));
        assert_eq!(held(&world, &format!("?placed_by={}", world.owner_id)).await.len(), 0);
        // By pages.
        let first = world.get(&world.auditor, "/v1/holds?limit=3").await.expect(200);
        let rest = held(&world, &format!("?limit=3&after={}", first.text("/next"))).await;
        assert_eq!((first.body["items"].as_array().unwrap().len(), rest.len()), (3, 1));
        // On what they hold.
        for path in ["/v1/applications/".to_owned() + &world.application, "/v1/environments/production".into(), format!("/v1/people/{}", world.owner_id)] {
            let shown = world.get(&world.auditor, &path).await.expect(200);
            assert_eq!(shown.text("/hold/reason"), "under investigation", "{path}");
        }
        assert_eq!(world.get(&world.auditor, &format!("/v1/applications/{}", world.edge)).await.expect(200).body["hold"], Value::Null);
        let shown = identity(&world, &id).await;
        assert_eq!((shown.text("/state").as_str(), shown.body["holds"].as_array().unwrap().len()), ("active", 4));
        // Who may not read the inventory reads no holds.
        world.get(&world.owner, "/v1/holds").await.expect(403);
        let (_, sue) = world.person("Sue", &["security"]).await;
        world.post(&sue, "/v1/holds/release", hold("application", &world.application)).await.expect(200);
        assert_eq!((held(&world, "").await.len(), gauge(&world, "application").await), (3, 0));
        assert_eq!(identity(&world, &id).await.body["holds"].as_array().unwrap().len(), 3);
    }

    async fn d07_the_command_line_says_who_releases_and_lists_what_is_held(world: World) {
        let run = |token: &str, args: &[&str]| {
            let mut command = crate::world::tenure();
            command.args(args).env("TENURE_SERVER", &world.server.url).env("TENURE_TOKEN", token).stdin(std::process::Stdio::null());
            let done = command.output().unwrap();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (done.status.code(), text(&done.stdout), text(&done.stderr))
        };
        let place = ["hold", "place", "application", world.application.as_str(), "--reason", "incident 42"];
        let (code, _, said) = run(&world.security, &[&place[..], &["--dry-run"]].concat());
        assert!(code == Some(0) && said.contains("nobody but you could release this now"), "{said}");
        let (code, out, said) = run(&world.security, &place);
        assert!(code == Some(0) && out.contains("incident 42"), "{said}");
        let (code, out, said) = run(&world.auditor, &["hold", "list", "--ids"]);
        assert!(code == Some(0) && out.contains("incident 42") && out.contains(&world.application), "{out} {said}");
        let (id, _) = world.exporter("exporter").await;
        world.call(Method::POST, &world.security, "/v1/revocations", Some(cut("identity", &id, false))).await.expect(201);
        let (code, _, said) = run(&world.owner, &["cut", "identity", &id, "--suspend", "--reason", "lost"]);
        assert!(code == Some(0) && said.contains(&format!("to be released by: {}", world.security_id)), "{said}");
        assert_eq!(identity(&world, &id).await.text("/state"), "suspended");
        let (other, _) = (world.active("second", world.charter(Key::new().jwk())).await, ());
        world.person("Sue", &["security"]).await;
        let (_, _, said) = run(&world.owner, &["cut", "identity", &other, "--reason", "lost"]);
        assert!(!said.contains("--suspend"), "its application is on hold: {said}");
    }

    async fn a02_an_owner_takes_no_place_that_security_needs(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let suspend = format!("/v1/identities/{id}/suspend");
        for n in 0..20 {
            world.post(&world.owner, &suspend, json!({"reason": format!("window {n}")})).await.expect(200);
        }
        world.post(&world.security, "/v1/revocations", cut("identity", &id, true)).await.expect(201);
        world.post(&world.security, &suspend, json!({"reason": "compromised"})).await.expect(200);
        let shown = identity(&world, &id).await;
        let causes: Vec<(&Value, &Value)> = shown.body["suspensions"].as_array().unwrap().iter().map(|cause| (&cause["placed_by"], &cause["reason"])).collect();
        assert_eq!(causes, [(&json!(world.owner_id), &json!("window 19")), (&json!(world.security_id), &json!("compromised"))]);
        assert_eq!(world.events_of("identity.suspended", &id).await.len(), 22, "the log has each");
        // Who releases the owner's doesn't release what somebody of security placed.
        let (_, sue) = world.person("Sue", &["security"]).await;
        let resume = async |who: &str, cause: u64| {
            let revision = identity(&world, &id).await.body["revision"].clone();
            world.post(who, &format!("/v1/identities/{id}/resume"), json!({"reason": "over", "cause": cause, "revision": revision})).await
        };
        assert_eq!(resume(&sue, 0).await.expect(200).text("/state"), "suspended");
        assert_eq!(world.ask_token(&key, &id, "production").await.expect(400).code(), "identity_suspended");
        assert_eq!(resume(&world.security, 0).await.expect(403).code(), "same_person");
        assert_eq!(resume(&sue, 0).await.expect(200).text("/state"), "active");
    }

    async fn a02_each_who_holds_a_scope_is_overruled_by_somebody_else(world: World) {
        let (sue_id, sue) = world.person("Sue", &["security"]).await;
        let (sid_id, sid) = world.person("Sid", &["security"]).await;
        let ask = || hold("application", &world.application);
        world.post(&world.security, "/v1/holds", ask()).await.expect(201);
        let joined = world.post(&sue, "/v1/holds", ask()).await.expect(201);
        assert_eq!((joined.text("/placed_by"), joined.text("/also/0/by")), (world.security_id.clone(), sue_id.clone()));
        let mut releasers = vec![json!(world.security_id), json!(sid_id)];
        releasers.sort_by_key(Value::to_string);
        let mut told = joined.body["releasers"]["people"].as_array().unwrap().clone();
        told.sort_by_key(Value::to_string);
        assert_eq!(told, releasers);
        assert_eq!(world.post(&sue, "/v1/holds", ask()).await.expect(409).code(), "illegal_transition");
        // A cut that stops what it cuts counts as well.
        world.post(&sid, "/v1/revocations", cut("application", &world.application, true)).await.expect(201);
        for placer in [&world.security_id, &sue_id, &sid_id] {
            assert_eq!(held(&world, &format!("?placed_by={placer}")).await.len(), 1, "{placer}");
        }
        let release = async |who: &str, whose: Value| {
            let mut body = ask();
            body["placed_by"] = whose;
            world.post(who, "/v1/holds/release", body).await
        };
        // Nobody lifts a hold that they did not see.
        assert_eq!(release(&sue, Value::Null).await.expect(422).field_codes(), ["placed_by_missing"]);
        assert_eq!(release(&sue, json!(world.owner_id)).await.expect(422).field_codes(), ["placed_by_unknown"]);
        release(&world.owner, Value::Null).await.expect(403);
        assert_eq!(release(&sue, json!(sue_id)).await.expect(403).code(), "same_person");
        let left = release(&sue, json!(world.security_id)).await.expect(200);
        assert_eq!((left.text("/placed_by"), left.body["also"].as_array().unwrap().len()), (sue_id.clone(), 1));
        assert_eq!(world.events_of("scope.released", &world.application).await[0]["data"]["holds_left"], 2);
        let mut command = crate::world::tenure();
        command.args(["hold", "release", "application", &world.application, "--reason", "cleared", "--placed-by", &sid_id]);
        let done = command.env("TENURE_SERVER", &world.server.url).env("TENURE_TOKEN", &sue).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        // The last one needs no name, as it was before.
        assert_eq!(gauge(&world, "application").await, 1);
        assert_eq!(release(&sid, Value::Null).await.expect(200).body["placed_by"], Value::Null);
        assert_eq!((held(&world, "").await.len(), gauge(&world, "application").await), (0, 0));
    }
}
