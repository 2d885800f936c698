//! Findings, posture, dormancy and the end of a business need (R26, R41, R76).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::world::{Key, Store, World, in_secs, now_micros, random};
use crate::{in_real_time, on_both, on_one};

async fn findings(world: &World, rule: &str, subject: &str, state: &str) -> Vec<Value> {
    let path = format!("/v1/findings?state={state}&rule={rule}&subject={subject}");
    world.get(&world.auditor, &path).await.expect(200).body["items"].as_array().unwrap().clone()
}

async fn identity(world: &World, id: &str) -> Value {
    world.get(&world.security, &format!("/v1/identities/{id}")).await.expect(200).body
}

async fn need(world: &World, name: &str, ends_at: Option<String>) -> String {
    let mut body = json!({"type": "project", "name": name, "owner": world.owner_id});
    if let Some(end) = ends_at {
        body["ends_at"] = json!(end);
    }
    world.post(&world.admin, "/v1/needs", body).await.expect(201).text("/id")
}

/// An active identity that serves a need.
async fn servant(world: &World, name: &str, need: &str) -> (String, Key) {
    let key = Key::new();
    let mut charter = world.charter(key.jwk());
    charter["need"] = json!(need);
    (world.active(name, charter).await, key)
}

on_both! { because "findings are found by terms, deadlines are claimed";
    async fn r26_a_finding_is_raised(world: World) {
        let key = Key::new();
        let staging = world.resource("https://orders.staging.internal", "staging", "online").await;
        let mut charter = world.charter(key.jwk());
        charter["environment"] = json!("staging");
        charter["scope"] = json!([{"actions": ["read"], "resource": staging}]);
        let id = world.active("stager", charter).await;
        let token = world.token(&key, &id, "staging").await;
        // Its credential is used against production: denied, and a finding with the evidence is there.
        for _ in 0..3 {
            let refused = world.evaluate(&id, Some(&token), "read").await.expect(200);
            assert_eq!((refused.body["decision"].clone(), refused.code()), (json!(false), "wrong_environment".into()));
        }
        let found = findings(&world, "environment-mismatch", &id, "open").await;
        assert_eq!(found.len(), 1, "{found:?}");
        let evidence = &found[0]["evidence"];
        assert_eq!(evidence["environment"], "staging");
        assert_eq!(evidence["resource_environment"], "production");
        assert_eq!((&evidence["identity"], &evidence["resource"], &evidence["enforcement_point"]), (&json!(id), &json!(world.orders), &json!(world.gateway_id)));
        assert_eq!((&evidence["proven"], &found[0]["seen"]), (&json!(true), &json!(1)), "who repeats it doesn't fill the log");
        assert_eq!(world.events_of("finding.opened", &id).await.len(), 1);
        // The rule says what it covers and what it doesn't, by the corrected id.
        let shown = world.get(&world.owner, &format!("/v1/findings/{}", found[0]["id"].as_str().unwrap())).await.expect(200);
        assert!(shown.body["explanation"]["frameworks"].as_array().unwrap().contains(&json!("NHI8:2025")));
        for field in ["evidence", "blind_spots", "false_positives", "action"] {
            assert!(!shown.text(&format!("/explanation/{field}")).is_empty());
        }
        // A production issuer that is shown the key's proof, and one that is shown the token, each find it too.
        assert_eq!(world.ask_token(&key, &id, "production").await.expect(400).code(), "wrong_environment");
        assert!(!world.is_live(&token).await);
        let found = findings(&world, "environment-mismatch", &id, "open").await;
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().any(|finding| finding["detail"] == "production"));
        let told = world.events_of("finding.opened", &id).await;
        assert_eq!(told[0]["data"]["notify"]["roles"], json!(["security"]));
    }

    async fn r41_a_fresh_identity_lacks_nothing(world: World) {
        world.hold();
        let (id, _) = world.exporter("exporter").await;
        let posture = world.get(&world.owner, &format!("/v1/identities/{id}/posture")).await.expect(200);
        assert_eq!(posture.body["broken"], json!([]));
        for rule in ["missing-owner", "missing-expiry", "missing-scope", "missing-trigger"] {
            assert!(posture.body["rules"].as_array().unwrap().contains(&json!(rule)));
        }
        // The check runs by itself within a second of the activation: the clock stands still meanwhile, so it is due at
        // once.
        world.until_at_once(async || !world.events_of("identity.posture_checked", &id).await.is_empty()).await;
        let time = |event: &Value| event["at"].as_i64().unwrap();
        let checked = world.events_of("identity.posture_checked", &id).await;
        let activated = world.events_of("identity.activated", &id).await;
        assert_eq!(checked[0]["data"]["broken"], json!([]));
        assert!(time(&checked[0]) - time(&activated[0]) <= 1_000_000, "{} {}", checked[0], activated[0]);
        assert!(world.get(&world.auditor, &format!("/v1/findings?subject={id}")).await.expect(200).body["items"].as_array().unwrap().is_empty());
        // A draft shows what it lacks.
        let draft = world.register("bare", json!({}), "draft").await.expect(201).text("/id");
        let posture = world.get(&world.owner, &format!("/v1/identities/{draft}/posture")).await;
        let (status, broken) = (posture.status, posture.body["broken"].clone());
        let posture = world.get(&world.security, &format!("/v1/identities/{draft}/posture")).await.expect(200);
        let broken_rules: Vec<_> = posture.body["broken"].as_array().unwrap().iter().map(|broken| broken["rule"].as_str().unwrap().to_owned()).collect();
        assert_eq!(broken_rules, ["missing-owner", "missing-expiry", "missing-scope", "missing-trigger"], "{status} {broken}");
    }

    async fn r76_a_closed_need_suspends_what_serves_it_though_it_is_in_use(world: World) {
        let project = need(&world, "atlas", None).await;
        let (id, key) = servant(&world, "exporter", &project).await;
        let (other, _) = world.exporter("other").await;
        let token = world.token(&key, &id, "production").await;
        assert!(world.is_allowed(&id, Some(&token), "read").await);
        let path = format!("/v1/needs/{project}/close");
        let (_, stranger) = world.person("Una", &["requester"]).await;
        world.post(&stranger, &path, json!({"reason": "mine"})).await.expect(403);
        world.post(&world.owner, &path, json!({"reason": "project done"})).await.expect(200);
        // In force with the answer.
        assert!(!world.is_live(&token).await && !world.is_allowed(&id, Some(&token), "read").await);
        let shown = identity(&world, &id).await;
        assert_eq!((&shown["state"], &shown["suspensions"][0]["kind"], &shown["suspensions"][0]["releasable_by"]), (&json!("suspended"), &json!("need_ended"), &json!("security")));
        let found = findings(&world, "need-ended", &id, "open").await;
        assert_eq!((found.len(), &found[0]["evidence"]["ended"]), (1, &json!(project)));
        assert!(found[0]["evidence"]["last_used"].is_string(), "it was in use: {found:?}");
        let suspended = world.events_of("identity.suspended", &id).await;
        assert_eq!((&suspended[0]["data"]["alert"], &suspended[0]["data"]["notify"]["roles"]), (&json!(true), &json!(["security"])));
        assert_eq!(identity(&world, &other).await["state"], "active");
        // It doesn't come back to a need that is over, and nothing new serves it.
        let resume = format!("/v1/identities/{id}/resume");
        world.post(&world.owner, &resume, json!({"reason": "needed"})).await.expect(403);
        assert_eq!(world.post(&world.security, &resume, json!({"reason": "needed"})).await.expect(403).code(), "need_ended");
        let mut charter = world.charter(Key::new().jwk());
        charter["need"] = json!(project);
        assert_eq!(world.register("late", charter, "pending").await.expect(422).field_codes(), ["need_ended"]);
        world.post(&world.owner, &path, json!({"reason": "again"})).await.expect(409);
        // Named in another need by a request, it is let back by security.
        let next = need(&world, "atlas-two", None).await;
        let mut charter = shown["charter"].clone();
        charter["need"] = json!(next);
        let request = world.ask(&world.owner, json!({"type": "charter", "identity": id, "charter": charter}), "goes on in atlas two").await.expect(201).text("/id");
        world.approve(&world.manager, &request).await.expect(200);
        world.post(&world.security, &resume, json!({"reason": "serves atlas two"})).await.expect(200);
        assert!(findings(&world, "need-ended", &id, "open").await.is_empty());
        world.token(&key, &id, "production").await;
    }

    async fn r76_a_need_ends_by_its_date(world: World) {
        world.hold();
        let project = need(&world, "many", Some(in_secs(25))).await;
        let mut all = Vec::new();
        for n in 0..4 {
            all.push(servant(&world, &format!("servant-{n}"), &project).await.0);
        }
        world.pass(25).await;
        for id in &all {
            world.until_state(id, "suspended").await;
        }
        let shown = world.get(&world.auditor, &format!("/v1/needs/{project}")).await.expect(200);
        assert_eq!(shown.text("/standing"), "closed");
    }

    async fn findings_are_resolved_by_whom_they_concern_and_read_by_no_others(world: World) {
        let (id, _) = world.exporter("exporter").await;
        // A production gateway that asks for a staging identity by name only: the finding says that nothing was proven.
        let staging = world.resource("https://s.internal", "staging", "online").await;
        let mut charter = world.charter(Key::new().jwk());
        charter["environment"] = json!("staging");
        charter["scope"] = json!([{"actions": ["read"], "resource": staging}]);
        let stager = world.active("stager", charter).await;
        world.evaluate(&stager, None, "read").await.expect(200);
        let found = findings(&world, "environment-mismatch", &stager, "open").await;
        assert_eq!(found[0]["evidence"]["proven"], false);
        let path = format!("/v1/findings/{}", found[0]["id"].as_str().unwrap());
        let (_, stranger) = world.person("Una", &["requester", "owner"]).await;
        world.get(&stranger, &path).await.expect(403);
        world.get(&stranger, "/v1/findings").await.expect(403);
        world.get(&stranger, &format!("/v1/findings?subject={stager}")).await.expect(403);
        world.get(&stranger, &format!("/v1/identities/{id}/posture")).await.expect(403);
        let how = json!({"how": "address corrected"});
        for token in [&stranger, &world.auditor, &world.admin] {
            world.post(token, &format!("{path}/resolve"), how.clone()).await.expect(403);
        }
        world.post(&world.owner, &format!("{path}/resolve"), json!({"how": ""})).await.expect(422);
        let resolved = world.post(&world.owner, &format!("{path}/resolve"), how.clone()).await.expect(200);
        assert_eq!((resolved.text("/state"), resolved.text("/resolved/by")), ("resolved".into(), world.owner_id.clone()));
        assert_eq!(world.post(&world.security, &format!("{path}/resolve"), how).await.expect(409).code(), "illegal_transition");
        // The next one is a finding of its own.
        world.evaluate(&stager, None, "read").await.expect(200);
        assert_eq!(findings(&world, "environment-mismatch", &stager, "open").await.len(), 1);
        assert_eq!(findings(&world, "environment-mismatch", &stager, "resolved").await.len(), 1);
        let rules = world.get(&world.auditor, "/v1/finding-rules").await.expect(200);
        assert!(rules.body["items"].as_array().unwrap().len() >= 15);
    }

    async fn attack_many_at_once_open_one_finding(world: World) {
        let staging = world.resource("https://s.internal", "staging", "online").await;
        let mut charter = world.charter(Key::new().jwk());
        charter["environment"] = json!("staging");
        charter["scope"] = json!([{"actions": ["read"], "resource": staging}]);
        let id = world.active("stager", charter).await;
        let asks = (0..24).map(|_| world.evaluate(&id, None, "read"));
        for answer in futures_util::future::join_all(asks).await {
            assert_eq!(answer.expect(200).body["decision"], false);
        }
        assert_eq!(findings(&world, "environment-mismatch", &id, "open").await.len(), 1);
    }

    async fn a_replayed_join_token_is_a_critical_finding(world: World) {
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["workload_binding"] = json!({"type": "join_token", "workload": "deployment/exporter"});
        let id = world.active("enroller", charter).await;
        let join = world.post(&world.owner, &format!("/v1/identities/{id}/join-tokens"), json!({})).await.expect(201);
        let claims = json!({"join_token_id": join.text("/id"), "aud": join.text("/audience"), "jti": random(), "iat": crate::world::now(), "exp": crate::world::now() + 60});
        let proof = key.sign(&json!({"alg": "EdDSA", "typ": "tenure-enrol+jwt"}), &claims);
        let body = json!({"join_token": join.text("/join_token"), "jwk": key.jwk(), "proof": proof});
        world.post("", "/v1/enrol", body.clone()).await.expect(201);
        assert_ne!(world.post("", "/v1/enrol", body).await.status, 201);
        let found = findings(&world, "join-token-replayed", &id, "open").await;
        assert_eq!((found.len(), &found[0]["severity"]), (1, &json!("critical")));
        // What is critical is not the owner's to set aside.
        let path = format!("/v1/findings/{}/resolve", found[0]["id"].as_str().unwrap());
        world.post(&world.owner, &path, json!({"how": "it was me"})).await.expect(403);
        world.post(&world.security, &path, json!({"how": "a retry of its own"})).await.expect(200);
    }
}

on_both! { because "deadlines are claimed from the engine", by |store| World::start_with(store, &[("TENURE_DORMANT_AFTER", "4s")]);
    async fn r76_what_is_not_used_is_suspended_or_reviewed(world: World) {
        world.hold();
        let (id, key) = world.exporter("sleeper").await;
        let (kept, _) = world.exporter("quarterly").await;
        let controls: Vec<Value> = ["monitoring", "scope_reduction", "documented_expiry"]
            .map(|control| json!({"control": control, "description": "runbook 3"}))
            .into();
        let ask =
            json!({"type": "dormancy", "subject": {"type": "identity", "id": kept}, "reason": "runs each quarter", "compensating": controls, "duration": "30d"});
        let request = world.post(&world.owner, "/v1/exceptions", ask).await.expect(201).text("/request");
        world.approve(&world.manager, &request).await.expect(200);
        world.approve(&world.security, &request).await.expect(200);
        world.token(&key, &id, "production").await;
        world.pass(4).await;
        world.until_state(&id, "suspended").await;
        let shown = identity(&world, &id).await;
        assert_eq!(
            (&shown["suspensions"][0]["kind"], &shown["suspensions"][0]["releasable_by"]),
            (&json!("dormant"), &json!("owner"))
        );
        assert_eq!(world.ask_token(&key, &id, "production").await.expect(400).code(), "identity_suspended");
        assert_eq!(findings(&world, "dormant", &id, "open").await.len(), 1);
        let suspended = world.events_of("identity.suspended", &id).await;
        assert_eq!(suspended[0]["data"]["notify"]["to"], json!([world.owner_id]));
        // An exception sends it to a review instead, and it works on.
        world.until(async || !world.events_of("review.opened", &kept).await.is_empty()).await;
        let state = identity(&world, &kept).await["state"].clone();
        assert_eq!(state, "active");
        assert_eq!(world.events_of("review.opened", &kept).await[0]["data"]["trigger"], "dormancy");
        // Its owner wakes it: idleness counts anew, and the finding is settled.
        world
            .post(&world.owner, &format!("/v1/identities/{id}/resume"), json!({"reason": "month end"}))
            .await
            .expect(200);
        assert!(findings(&world, "dormant", &id, "open").await.is_empty());
        let again = world.ask_token(&key, &id, "production").await;
        assert_eq!(again.status, 200, "{}", again.body);
        world.pass(4).await;
        world.until_state(&id, "suspended").await;
        assert_eq!(findings(&world, "dormant", &id, "open").await.len(), 1);
        assert_eq!(findings(&world, "dormant", &id, "resolved").await.len(), 1);
    }
}

/// Which identities were not used for so long by a time, as another program makes it out from the entries of the log: of
/// their standard input, one JSON object a line.
const DORMANT: &str = r#"
import json, sys

limit, now = int(sys.argv[1]), int(sys.argv[2])
begins = {"identity.activated", "identity.resumed", "credential.issued"}
since, ended = {}, set()
for line in sys.stdin:
    event = json.loads(line)
    for subject in event["subjects"]:
        if not subject.startswith("idn_"):
            continue
        if event["kind"] in begins:
            since[subject] = max(since.get(subject, 0), event["at"])
        elif event["kind"] in ("identity.retired", "identity.retiring", "identity.closed"):
            ended.add(subject)
for identity in sorted(since):
    if identity not in ended and since[identity] + limit <= now:
        print(identity)
"#;

on_one! { by |store| World::start_with(store, &[("TENURE_DORMANT_AFTER", "60s")]);
    async fn r96_what_is_dormant_is_what_another_program_makes_out_from_the_log(world: World) {
        world.hold();
        let mut all = Vec::new();
        for n in 0..5 {
            let (id, key) = world.exporter(&format!("exporter-{n}")).await;
            world.token(&key, &id, "production").await;
            all.push((id, key));
        }
        world.pass(40).await;
        for (id, key) in all.iter().take(2) {
            world.token(key, id, "production").await;
        }
        // At sixty seconds those go that were used at the beginning only; at a hundred the others.
        for (seconds, expected) in [(20, 3), (40, 5)] {
            world.pass(seconds).await;
            for (id, _) in all.iter().rev().take(expected) {
                world.until_state(id, "suspended").await;
            }
            let now = now_micros();
            let events: Vec<String> = world.events().await.iter().map(ToString::to_string).collect();
            let mut python = std::process::Command::new("python3")
                .args(["-c", DORMANT, &60_000_000.to_string(), &now.to_string()])
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            std::io::Write::write_all(&mut python.stdin.take().unwrap(), events.join("\n").as_bytes()).unwrap();
            let output = python.wait_with_output().unwrap();
            assert!(output.status.success());
            // What is used by asking only, as the world's gateway is, leaves no entry.
            let ours = |id: &String| all.iter().any(|(ours, _)| ours == id);
            let computed: BTreeSet<String> =
                String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).filter(ours).collect();
            let listed = world.get(&world.security, "/v1/findings?rule=dormant&state=open&limit=200").await.expect(200);
            let listed: BTreeSet<String> =
                listed.body["items"].as_array().unwrap().iter().map(|item| item["subject"].as_str().unwrap().to_owned()).filter(ours).collect();
            assert_eq!(listed, computed);
            assert!(all.iter().rev().take(expected).all(|(id, _)| listed.contains(id)), "{listed:?}");
        }
    }
}

in_real_time! {
    r76_what_is_not_used_is_suspended_or_reviewed on World::binary(Store::Sqlite, &[("TENURE_DORMANT_AFTER", "4s")]);
    r76_a_need_ends_by_its_date on World::binary(Store::Sqlite, &[]);
}
