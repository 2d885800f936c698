//! What a source of signals never gets done (S-12).

use super::*;
use crate::world::Store;

on_one! { by |store| World::start_with(store, &LONG);
    async fn s12_a_signal_never_activates_resumes_renews_changes_an_owner_or_counts_as_use(world: World) {
        let forge = platform(&world, "forge", 25).await;
        // The template's route is a named rule: handed in by a person it would be active at once.
        let made = say(&world, &forge, "workload.created", "workload:prod/deployment/new", json!({"stage": "active", "state": "active", "owner": world.manager_id})).await;
        let draft = made["outcome"]["identities"][0].as_str().unwrap().to_owned();
        let before = identity(&world, &draft).await;
        assert_eq!((&before["state"], &before["charter"]["owner"]), (&json!("draft"), &json!(world.owner_id)));

        let (id, key, _) = living(&world, "web", json!({})).await;
        world.post(&world.security, &format!("/v1/identities/{id}/suspend"), json!({"reason": "looked at"})).await.expect(200);
        let held = identity(&world, &id).await;
        for (kind, data) in [
            ("workload.created", Value::Null),
            ("workload.changed", json!({"owner": world.manager_id, "state": "active", "expires_at": in_secs(86_400 * 365)})),
            ("release.published", Value::Null),
            ("run.ended", Value::Null),
        ] {
            say(&world, &forge, kind, "workload:prod/deployment/web", data).await;
            let now = identity(&world, &id).await;
            for field in ["state", "charter", "suspensions", "grants", "registered_by", "resumed_at", "transfer"] {
                assert_eq!(now[field], held[field], "{kind} {field}");
            }
        }
        nothing_for(&world, &key, &id).await;
        assert_eq!(identity(&world, &draft).await["state"], "draft");
        let kinds: Vec<Value> = world.events().await.into_iter().filter(|event| event["actor"]["type"] == "source").map(|event| event["kind"].clone()).collect();
        assert!(kinds.iter().all(|kind| kind == "signal.received"), "{kinds:?}");
    }

    async fn s12_a_source_of_one_environment_is_nobody_in_another(world: World) {
        service_template(&world).await;
        let staging = |name: &str, kinds: Value| {
            let mut bounded = registration(&world, name, "cloud_events", "hmac");
            bounded["kinds"] = kinds;
            bounded["subjects"] = json!(["workload:*", "repository:*", "application:*"]);
            bounded["environments"] = json!(["staging"]);
            bounded
        };
        // An application is of no one environment, and no source is bound to one that isn't there.
        let wide = staging("wide", json!(["workload_removed", "application_retired"]));
        world.post(&world.admin, "/v1/sources", wide).await.expect(422);
        let mut nowhere = staging("nowhere", json!(["workload_removed"]));
        nowhere["environments"] = json!(["moon"]);
        world.post(&world.admin, "/v1/sources", nowhere).await.expect(422);
        // A cluster of staging has a workload and a repository of the names that production has.
        let cluster = source(&world, staging("cluster", json!(["workload_removed", "repository_archived"]))).await;
        let (id, _, token) = living(&world, "web", json!({"repositories": ["acme/web"]})).await;
        for (kind, subject) in [("workload.removed", "workload:prod/deployment/web"), ("repository.archived", "repository:acme/web")] {
            let said = say(&world, &cluster, kind, subject, Value::Null).await;
            assert_eq!(said["state"], "ignored", "{said}");
        }
        assert!(world.is_live(&token).await);
        assert_eq!(identity(&world, &id).await["state"], "active");
    }

    async fn s12_a_stale_word_makes_nothing(world: World) {
        let forge = platform(&world, "forge", 25).await;
        let mut first: Value = serde_json::from_str(&event(&random(), "workload.created", "workload:prod/deployment/web")).unwrap();
        first["time"] = json!(in_secs(-120));
        let mut gone = first.clone();
        gone["id"] = json!(random());
        gone["type"] = json!("dev.tenure.workload.removed.v1");
        gone["time"] = json!(in_secs(-60));
        hear(&world, &forge, &gone).await;
        let stale = hear(&world, &forge, &first).await;
        assert_eq!((&stale["state"], &stale["outcome"]["identities"]), (&json!("stale"), &json!([])));
        // A time that is still to come is worth no more than now.
        let mut future = first.clone();
        future["id"] = json!(random());
        future["time"] = json!(in_secs(86_400));
        hear(&world, &forge, &future).await;
        let heard = say(&world, &forge, "workload.removed", "workload:prod/deployment/web", Value::Null).await;
        assert_ne!(heard["state"], "stale");
    }

    async fn s12_above_its_cap_a_source_waits_for_a_person_of_security(world: World) {
        let forge = platform(&world, "forge", 1).await;
        let (first, _, one) = living(&world, "first", json!({"repositories": ["acme/a"]})).await;
        let (_, _, two) = living(&world, "second", json!({"repositories": ["acme/b"]})).await;
        let (_, _, three) = living(&world, "third", json!({"repositories": ["acme/b"]})).await;
        // Small signals count together.
        say(&world, &forge, "pipeline.deleted", "repository:acme/a", Value::Null).await;
        assert!(!world.is_live(&one).await && identity(&world, &first).await["state"] == "suspended");
        let waits = say(&world, &forge, "pipeline.deleted", "repository:acme/b", Value::Null).await;
        let id = &waits["outcome"]["removal"];
        let seen = removal(&world, id).await;
        assert_eq!((&seen["state"], &seen["blast"]["count"]), (&json!("waiting"), &json!(2)));
        assert!(world.is_live(&two).await && world.is_live(&three).await);
        let told = world.events_of("removal.waiting", id.as_str().unwrap()).await.remove(0);
        assert_eq!((&told["data"]["alert"], &told["data"]["notify"]["roles"]), (&json!(true), &json!(["security"])));

        let confirm = format!("/v1/removals/{}/confirm", id.as_str().unwrap());
        let digest = |removal: &Value| json!({"digest": removal["digest"]});
        for token in [&world.owner, &world.admin, &world.manager, &world.auditor, &world.gateway] {
            let refused = world.post(token, &confirm, digest(&seen)).await.status;
            assert!([401, 403].contains(&refused), "{refused}");
        }
        // What was seen is not what would be done any more.
        let (_, _, four) = living(&world, "fourth", json!({"repositories": ["acme/b"]})).await;
        assert_eq!(world.post(&world.security, &confirm, digest(&seen)).await.expect(409).code(), "plan_changed");
        assert!(world.is_live(&four).await);
        let now = removal(&world, id).await;
        let held = world.post(&world.security, &confirm, digest(&now)).await.expect(200).body;
        assert_eq!((&held["state"], &held["confirmed_by"]), (&json!("held"), &json!(world.security_id)));
        for token in [&two, &three, &four] {
            assert!(!world.is_live(token).await);
        }
        world.post(&world.security, &confirm, digest(&now)).await.expect(409);
    }

    async fn a02_no_set_bars_security_from_what_a_source_may_not_do_by_itself(world: World) {
        let forge = platform(&world, "forge", 1).await;
        let mut living_of = Vec::new();
        for name in ["first", "second"] {
            living_of.push(living(&world, name, json!({"repositories": ["acme/a", "acme/b"]})).await.2);
        }
        let signal = async |subject: &str| say(&world, &forge, "repository.archived", &format!("repository:{subject}"), Value::Null).await["outcome"]["removal"].clone();
        // It fails whenever anybody is concerned; and what waits is not let go.
        let set = r#"
@id("overflows")
forbid (principal, action == Action::"signal", resource) when { context.blast + 9223372036854775807 < 0 };
@id("not-released")
forbid (principal, action == Action::"enable", resource) when { resource.kind == "removal" };
"#;
        let text = format!("{}{set}", tenure_policy::DEFAULT_POLICIES);
        world.post(&world.admin, "/v1/policies", json!({"text": text, "purpose": "test"})).await.expect(201);
        let (one, two) = (signal("acme/a").await, signal("acme/b").await);
        let waiting = removal(&world, &one).await;
        assert_eq!(waiting["state"], "waiting");
        let path = |id: &Value, step: &str| format!("/v1/removals/{}/{step}", id.as_str().unwrap());
        world.post(&world.security, &path(&one, "release"), json!({"reason": "x"})).await.expect(403);
        assert!(world.is_live(&living_of[0]).await);
        // Confirmed, or raised by hand in its place.
        let by_hand = json!({"subject": {"type": "repository", "id": "acme/b"}, "reason": "it is gone"});
        let planned = world.post(&world.security, "/v1/removals", json!({"subject": {"type": "repository", "id": "acme/b"}, "reason": "x", "dry_run": true})).await.expect(200).body;
        assert_eq!((&planned["id"], &removal(&world, &two).await["state"]), (&two, &json!("waiting")));
        let raised = world.post(&world.security, "/v1/removals", by_hand.clone()).await.expect(201).body;
        assert_eq!((&raised["id"], &raised["state"], &raised["because"]), (&two, &json!("held"), &json!({"type": "person", "id": world.security_id})));
        assert_eq!(raised["revision"], 2);
        assert_eq!(world.events_of("removal.raised", two.as_str().unwrap()).await[0]["data"]["waited_because"]["type"], "signal");
        assert_eq!(world.post(&world.security, "/v1/removals", by_hand).await.expect(409).code(), "illegal_transition");
        let seen = removal(&world, &one).await;
        let held = world.post(&world.security, &path(&one, "confirm"), json!({"digest": seen["digest"]})).await.expect(200).body;
        assert_eq!((&held["state"], &held["confirmed_by"]), (&json!("held"), &json!(world.security_id)));
        // What the kernel allows is asked of no set.
        assert_eq!(world.events_of("removal.confirmed", one.as_str().unwrap()).await[0]["data"]["policies"], json!(["kernel"]));
        for token in &living_of {
            assert!(!world.is_live(token).await);
        }
    }

    async fn s12_a_removal_is_released_by_security_and_by_nobody_who_raised_it(world: World) {
        let (id, key, token) = living(&world, "web", json!({})).await;
        let ask = json!({"subject": {"type": "application", "id": "billing"}, "reason": "replaced"});
        let raised = world.post(&world.security, "/v1/removals", ask).await.expect(201).body;
        let release = format!("/v1/removals/{}/release", raised["id"].as_str().unwrap());
        let why = || json!({"reason": "false alarm"});
        assert_eq!(world.post(&world.security, &release, why()).await.expect(403).code(), "same_person");
        for who in [&world.owner, &world.admin, &world.manager, &world.auditor] {
            world.post(who, &release, why()).await.expect(403);
        }
        let asked = world.post(&world.gateway, &release, why()).await.status;
        assert!([401, 403].contains(&asked), "{asked}");
        let sara = sara(&world).await;
        // Not behind the removal's back, either.
        let behind = json!({"scope": {"type": "application", "id": world.application}, "reason": "why not"});
        world.post(&sara, "/v1/holds/release", behind).await.expect(409);
        assert_eq!(world.ask_token(&key, &id, "production").await.code(), "scope_on_hold");
        let released = world.post(&sara, &release, why()).await.expect(200).body;
        assert_eq!((&released["state"], &released["released"][1]), (&json!("released"), &json!("false alarm")));
        // What was revoked stays revoked.
        assert!(!world.is_live(&token).await);
        let fresh = world.token(&key, &id, "production").await;
        assert!(world.is_live(&fresh).await && !world.is_live(&token).await);
        world.post(&sara, &release, why()).await.expect(409);
    }

    async fn s12_a_hold_by_a_signal_is_lifted_by_security_alone(world: World) {
        let forge = platform(&world, "forge", 25).await;
        let (id, key, token) = living(&world, "web", json!({})).await;
        let heard = say(&world, &forge, "workload.disabled", "workload:prod/deployment/web", Value::Null).await;
        let held = removal(&world, &heard["outcome"]["removal"]).await;
        assert_eq!((&held["state"], &held["retire_at"]), (&json!("held"), &Value::Null));
        let shown = identity(&world, &id).await;
        assert_eq!((&shown["suspensions"][0]["kind"], &shown["suspensions"][0]["releasable_by"]), (&json!("signalled"), &json!("security")));
        let resume = format!("/v1/identities/{id}/resume");
        world.post(&world.owner, &resume, json!({"reason": "mine"})).await.expect(403);
        assert!(!world.is_live(&token).await);
        let release = format!("/v1/removals/{}/release", held["id"].as_str().unwrap());
        world.post(&world.owner, &release, json!({"reason": "mine"})).await.expect(403);
        world.post(&world.security, &release, json!({"reason": "it runs again"})).await.expect(200);
        assert_eq!(identity(&world, &id).await["state"], "active");
        world.token(&key, &id, "production").await;
    }

    async fn r94_an_hr_signal_widens_nothing(world: World) {
        let forge = platform(&world, "hr-system", 25).await;
        let feed = "key,name,email,class\n9,Rosalind,ros@example.com,employee\n";
        let imported = world
            .http
            .post(format!("{}/v1/people/import?source=hr&complete=false", world.server.url))
            .bearer_auth(&world.admin)
            .header("content-type", "text/csv")
            .body(feed);
        World::answer(imported).await.expect(200);
        let ros = world.get(&world.admin, "/v1/people?source=hr").await.expect(200).text("/items/0/id");
        world.call(reqwest::Method::PATCH, &world.admin, &format!("/v1/people/{ros}"), Some(json!({"roles": ["requester", "owner"]}))).await;
        let (id, key, _) = living(&world, "web", json!({"backup_owner": ros})).await;
        let before = identity(&world, &id).await;
        // Whatever HR puts beside the end of an employment, nothing but the end counts, and no machine gains by it.
        let facts = json!({"role": "administrator", "grants": "all", "owner": ros, "department": "security"});
        let left = say(&world, &forge, "employment.ended", "person:hr/9", facts).await;
        assert_eq!(left["outcome"]["person"], json!(ros));
        let after = identity(&world, &id).await;
        for field in ["state", "charter", "grants", "tier", "memberships", "exceptions"] {
            assert_eq!(before[field], after[field], "{field}");
        }
        world.token(&key, &id, "production").await;
        let grew = ["grant.started", "grant.created", "identity.activated", "identity.resumed", "request.opened", "request.fulfilled"];
        let signal = left["id"].as_str().unwrap();
        assert!(world.events().await.iter().all(|event| !grew.contains(&event["kind"].as_str().unwrap()) || !event.to_string().contains(signal)));
        // The key by which HR knows somebody stands in no public part of the record.
        let of_it = |event: &Value| event["subjects"].as_array().unwrap().contains(&left["id"]);
        assert!(world.events().await.iter().filter(|event| of_it(event)).all(|event| !event.to_string().contains("hr/9")));
    }
}

mod s12_a_removal_on_hold_outlives_a_restart {
    use super::*;

    async fn run(store: Store) {
        let mut world = World::binary(store, &[("TENURE_REMOVAL_HOLD", "4s")]).await;
        let (id, _, token) = living(&world, "web", json!({})).await;
        let ask = json!({"subject": {"type": "identity", "id": id}, "reason": "gone"});
        let raised = world.post(&world.owner, "/v1/removals", ask).await.expect(201).body;
        world.server.kill();
        world.restart();
        assert_eq!(identity(&world, &id).await["state"], "suspended");
        assert!(!world.is_live(&token).await);
        let done = until_done(&world, &raised["id"]).await;
        assert_eq!((&done["retired"], &identity(&world, &id).await["state"]), (&json!(1), &json!("retired")));
    }

    #[tokio::test]
    async fn sqlite() {
        run(Store::Sqlite).await;
    }

    #[tokio::test]
    async fn postgres() {
        run(Store::Postgres).await;
    }
}
