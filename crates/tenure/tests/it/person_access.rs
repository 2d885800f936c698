//! What people hold, and reviews (R1, R2, R43, R93, R110, R116, R117, R118).

use std::collections::BTreeSet;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Answer, Key, Store, World, assertion_claims, in_secs};
use crate::{in_real_time, on_both, on_one};

fn read_orders(world: &World) -> Value {
    json!([{"actions": ["read"], "resource": world.orders}])
}

fn access(person: &str, entitlements: &Value, duration: &str) -> Value {
    json!({"type": "person_access", "person": person, "entitlements": entitlements, "duration": duration})
}

/// Somebody whose manager is Max, and their operator token.
async fn employee(world: &World, name: &str) -> (String, String) {
    world.person_as(json!({"name": name, "manager": world.manager_id})).await
}

/// Somebody who starts later and has no token yet.
async fn joiner(world: &World, record: Value) -> String {
    world.post(&world.admin, "/v1/people", record).await.expect(201).text("/id")
}

async fn decide(world: &World, kind: &str, id: &str, action: &str) -> Answer {
    let body = json!({"subject": {"type": kind, "id": id}, "resource": {"type": "database", "id": world.orders}, "action": {"name": action}});
    world.post(&world.gateway, "/access/v1/evaluation", body).await
}

async fn may(world: &World, person: &str, action: &str) -> bool {
    decide(world, "person", person, action).await.expect(200).body["decision"] == json!(true)
}

/// What the person holds, as the auditor sees it.
async fn held(world: &World, person: &str) -> Vec<Value> {
    let answer = world.get(&world.auditor, &format!("/v1/people/{person}/access")).await.expect(200);
    answer.body["access"].as_array().unwrap().clone()
}

/// A live grant to read orders, asked for by the person and approved by their manager; the person, the token, the
/// grant, the request.
async fn reader(world: &World, name: &str) -> (String, String, String, String) {
    let (person, token) = employee(world, name).await;
    let request = world
        .ask(&token, access(&person, &read_orders(world), "20d"), "closes the books")
        .await
        .expect(201)
        .text("/id");
    let grant = world.approve(&world.manager, &request).await.expect(200).text("/outcome/person_grants/0");
    (person, token, grant, request)
}

async fn reviews(world: &World, query: &str) -> Vec<Value> {
    let answer = world.get(&world.auditor, &format!("/v1/reviews?{query}")).await.expect(200);
    answer.body["items"].as_array().unwrap().clone()
}

async fn complete(world: &World, token: &str, review: &str, answer: &str) -> Answer {
    world.post(token, &format!("/v1/reviews/{review}/complete"), json!({"answer": answer, "comment": "test"})).await
}

/// Enrols a key of the identity with a fresh join token.
async fn enrol(world: &World, id: &str) {
    let issued = world.post(&world.owner, &format!("/v1/identities/{id}/join-tokens"), json!({})).await.expect(201);
    let key = Key::new();
    let mut claims = assertion_claims("x", &issued.text("/audience"));
    claims["join_token_id"] = json!(issued.text("/id"));
    let proof = key.sign(&json!({"alg": "EdDSA", "typ": "tenure-enrol+jwt"}), &claims);
    let ask = json!({"join_token": issued.text("/join_token"), "jwk": key.jwk(), "proof": proof});
    world.post("", "/v1/enrol", ask).await.expect(201);
}

/// What a command prints as JSON.
fn told(world: &World, token: &str, arguments: &[&str]) -> Value {
    let mut command = crate::world::tenure();
    let output = command
        .args(["--server", &world.server.url, "-o", "json"])
        .args(arguments)
        .env("TENURE_TOKEN", token)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn put_package(world: &World, token: &str, name: &str, package: Value) -> Answer {
    world.put(token, &format!("/v1/packages/{name}"), package).await
}

on_both! { because "deadlines are claimed, access is found by terms";
    async fn r01_people_and_identities_take_different_workflows(world: World) {
        let (person, token) = employee(&world, "Pia").await;
        let human = world.ask(&token, access(&person, &read_orders(&world), "1d"), "closes the books").await.expect(201);
        let id = world.register("exporter", world.charter(Key::new().jwk()), "pending").await.expect(201).text("/id");
        let request = world.get(&world.auditor, &format!("/v1/identities/{id}")).await.expect(200).text("/request");
        let other = world.get(&world.auditor, &format!("/v1/requests/{request}")).await.expect(200);
        assert_eq!((human.text("/workflow").as_str(), other.text("/workflow").as_str()), ("human.person_access", "non_human.activation"));
        assert_eq!((human.text("/class").as_str(), other.text("/class").as_str()), ("human", "non_human"));
        assert_ne!(human.text("/route"), other.text("/route"));
        // Neither side takes the other's class.
        let identity = json!({"kind": "human", "name": "pia", "charter": world.charter(Key::new().jwk())});
        world.post(&world.owner, "/v1/identities", identity).await.expect(400);
        world.ask(&world.owner, access(&id, &read_orders(&world), "1d"), "x").await.expect(400);
        let matter = json!({"type": "access", "identity": person, "entitlement": {"actions": ["read"], "resource": world.orders}, "duration": "1h"});
        world.ask(&world.owner, matter, "x").await.expect(400);
        world.get(&world.auditor, &format!("/v1/identities/{person}")).await.expect(404);
        world.get(&world.auditor, &format!("/v1/people/{id}")).await.expect(404);
    }

    async fn r02_one_policy_set_judges_both_and_the_workflows_differ(world: World) {
        let (person, _, grant, request) = reader(&world, "Pia").await;
        let (identity, _) = world.exporter("exporter").await;
        let human = decide(&world, "person", &person, "read").await.expect(200);
        let other = decide(&world, "identity", &identity, "read").await.expect(200);
        assert_eq!((&human.body["decision"], &other.body["decision"]), (&json!(true), &json!(true)));
        assert_eq!(human.text("/context/policy_version"), other.text("/context/policy_version"));
        assert_eq!(human.text("/context/workflow"), "human.access");
        assert_eq!(other.text("/context/workflow"), "non_human.access");
        assert_eq!(human.body["context"]["person_grants"], json!([grant]));
        assert_eq!(human.body["context"]["policies"], json!(["human-use"]));
        // The grants themselves cite the set that their requests were judged by: one and the same.
        let opened = &world.events_of("person_grant.opened", &grant).await[0]["data"];
        let activated = &world.events_of("identity.activated", &identity).await[0]["data"];
        assert_eq!(opened["policy_version"], activated["policy_version"]);
        assert_eq!((&opened["request"], &opened["purpose"]), (&json!(request), &json!("closes the books")));
        // What is not granted is refused under the same version, and recorded.
        let refused = decide(&world, "person", &person, "write").await.expect(200);
        assert_eq!((refused.code().as_str(), refused.text("/context/policy_version")), ("no_access", human.text("/context/policy_version")));
        assert_eq!(world.events_of("access.refused", &person).await[0]["control"], "use");
    }

    async fn r46_one_call_answers_for_what_a_person_holds(world: World) {
        let (person, token, grant, request) = reader(&world, "Pia").await;
        let held = held(&world, &person).await;
        assert_eq!(held.len(), 1);
        assert_eq!((&held[0]["grant"], &held[0]["request"], &held[0]["live"]), (&json!(grant), &json!(request), &json!(true)));
        assert_eq!((&held[0]["approved_by"], &held[0]["need"]), (&json!([world.manager_id]), &json!("closes the books")));
        assert!(held[0]["ends"].as_array().unwrap().iter().any(|end| end == "the person's departure"), "{held:?}");
        assert!(held[0].get("review_by").is_none(), "what ends before the early review needs none: {held:?}");
        // Their own, and their manager's to read; a stranger's not.
        let path = format!("/v1/people/{person}/access");
        world.get(&token, &path).await.expect(200);
        let (_, stranger) = world.person("Una", &["requester"]).await;
        assert_eq!(world.get(&stranger, &path).await.expect(403).code(), "not_allowed");
        // Taken back, it works no more at once.
        let revoke = format!("/v1/person-grants/{grant}/revoke");
        assert_eq!(world.post(&stranger, &revoke, json!({"reason": "x"})).await.expect(403).code(), "not_allowed");
        world.post(&world.security, &revoke, json!({"reason": "left the project"})).await.expect(200);
        assert!(!may(&world, &person, "read").await);
        assert_eq!(world.post(&world.security, &revoke, json!({"reason": "again"})).await.expect(409).code(), "illegal_transition");
    }

    async fn r43_both_lives_pass_the_same_control_points(world: World) {
        // A human grant: asked for, approved, refused beyond it, taken back.
        let (person, _, grant, request) = reader(&world, "Pia").await;
        assert!(!may(&world, &person, "write").await);
        world.post(&world.security, &format!("/v1/person-grants/{grant}/revoke"), json!({"reason": "done"})).await.expect(200);
        // A non-human one: the same.
        let mut charter = world.charter(Key::new().jwk());
        charter["coverage"] = json!("just_in_time");
        let identity = world.active("exporter", charter).await;
        let matter = json!({"type": "access", "identity": identity, "entitlement": {"actions": ["read"], "resource": world.orders}, "duration": "1h"});
        let asked = world.ask(&world.owner, matter, "closes the books").await.expect(201).text("/id");
        let given = world.approve(&world.manager, &asked).await.expect(200).text("/outcome/grants/0");
        assert!(!world.is_allowed(&identity, None, "write").await);
        world.post(&world.security, &format!("/v1/grants/{given}/revoke"), json!({"reason": "done"})).await.expect(200);
        let events = world.events().await;
        let points = |ids: [&str; 3]| -> BTreeSet<String> {
            let about = |event: &&Value| event["subjects"].as_array().unwrap().iter().any(|subject| ids.contains(&subject.as_str().unwrap()));
            // What Tenure looks at by itself, or runs itself by, is nobody's life.
            let theirs = |event: &&Value| event["control"] != "administer" && event["kind"] != "identity.posture_checked";
            events.iter().filter(about).filter(theirs).map(|event| event["control"].as_str().unwrap().to_owned()).collect()
        };
        let human = points([&person, &grant, &request]);
        // The identity's own activation is at the same points as its access.
        assert_eq!(human, points([&identity, &given, &asked]));
        assert_eq!(human.iter().map(String::as_str).collect::<Vec<_>>(), ["approve", "request", "revoke", "use"]);
        // Step by step, what stands for the same carries the same name.
        let control = |kind: &str, id: &str| {
            let names = |event: &&Value| event["kind"] == kind && event["subjects"].as_array().unwrap().contains(&json!(id));
            events.iter().find(names).unwrap_or_else(|| panic!("no {kind} of {id}"))["control"].clone()
        };
        for (a, b) in [
            (control("request.opened", &request), control("request.opened", &asked)),
            (control("request.approved", &request), control("request.approved", &asked)),
            (control("person_grant.opened", &grant), control("grant.opened", &given)),
            (control("request.fulfilled", &request), control("request.fulfilled", &asked)),
            (control("access.refused", &person), control("access.refused", &identity)),
            (control("person_grant.revoked", &grant), control("grant.revoked", &given)),
        ] {
            assert_eq!(a, b);
        }
    }

    async fn r93_a_rotation_asks_for_a_review_without_any_hr_event(world: World) {
        let mut charter = world.charter(Key::new().jwk());
        charter["workload_binding"] = json!({"type": "join_token", "workload": "vm/exporter"});
        let id = world.active("exporter", charter).await;
        enrol(&world, &id).await;
        assert!(reviews(&world, &format!("identity={id}")).await.is_empty(), "a first key is no rotation");
        enrol(&world, &id).await;
        let open = reviews(&world, &format!("identity={id}&state=open")).await;
        assert_eq!(open.len(), 1);
        assert_eq!((&open[0]["trigger"], &open[0]["reviewer"]), (&json!("rotation"), &json!(world.owner_id)));
        assert_eq!(world.events_of("review.opened", &id).await[0]["data"]["notify"]["to"], json!([world.owner_id]));
        // One review covers what comes until it is answered.
        enrol(&world, &id).await;
        assert_eq!(reviews(&world, &format!("identity={id}")).await.len(), 1);
        let review = open[0]["id"].as_str().unwrap();
        assert_eq!(complete(&world, &world.manager, review, "keep").await.expect(403).code(), "not_allowed");
        let answered = complete(&world, &world.owner, review, "keep").await.expect(200);
        assert_eq!((answered.text("/state").as_str(), answered.text("/answer/by")), ("answered", world.owner_id.clone()));
        assert_eq!(complete(&world, &world.owner, review, "revoke").await.expect(409).code(), "illegal_transition");
        // The next rotation asks again; who finds that it isn't needed ends it.
        enrol(&world, &id).await;
        let open = reviews(&world, &format!("identity={id}&state=open")).await;
        complete(&world, &world.owner, open[0]["id"].as_str().unwrap(), "revoke").await.expect(200);
        world.until_state(&id, "retired").await;
        assert_eq!(world.get(&world.auditor, &format!("/v1/identities/{id}")).await.expect(200).text("/retirement/because"), "review");
    }

    async fn r81_a_rotation_asks_lightly_or_in_full_as_the_policy_says(world: World) {
        let mut charter = world.charter(Key::new().jwk());
        charter["workload_binding"] = json!({"type": "join_token", "workload": "vm/exporter"});
        let light = world.active("exporter", charter.clone()).await;
        // Of tier high by what it is: privileged in production.
        charter["coverage"] = json!("privileged");
        let full = world.register("root", charter, "draft").await.expect(201).text("/id");
        crate::exceptions::activate(&world, &full).await;
        assert_eq!(world.get(&world.owner, &format!("/v1/identities/{full}")).await.expect(200).text("/tier"), "high");
        for (id, is_light) in [(&light, true), (&full, false)] {
            enrol(&world, id).await;
            enrol(&world, id).await;
            let open = reviews(&world, &format!("identity={id}&state=open")).await;
            assert_eq!((open.len(), &open[0]["trigger"]), (1, &json!("rotation")));
            assert_eq!(open[0]["light"] == json!(true), is_light);
            assert_eq!(world.events_of("review.opened", id).await[0]["data"]["light"], json!(is_light));
            let review = open[0]["id"].as_str().unwrap();
            let shown = world.get(&world.owner, &format!("/v1/reviews/{review}")).await.expect(200);
            assert_eq!(shown.body["facts"]["granted"].as_array().unwrap().is_empty(), is_light, "{}", shown.body);
            assert_eq!(shown.text("/facts/owner"), world.owner_id, "is it still yours?");
            let page = world.text(&world.owner, &format!("/reviews/{review}")).await;
            assert_eq!(page.contains("Others like it"), !is_light);
            complete(&world, &world.owner, review, "keep").await.expect(200);
        }
    }

    async fn r93_an_offboarding_asks_for_a_review_without_any_hr_event(world: World) {
        let (id, _) = world.exporter("exporter").await;
        let (heir, heir_token) = world.person("Hal", &["owner"]).await;
        let transfer = world.post(&world.owner, &format!("/v1/identities/{id}/transfer"), json!({"to": heir})).await.expect(201).text("/id");
        world.post(&heir_token, &format!("/v1/transfers/{transfer}/accept"), json!({})).await.expect(200);
        let open = reviews(&world, &format!("identity={id}&state=open")).await;
        assert_eq!(open.len(), 1, "{open:?}");
        assert_eq!((&open[0]["trigger"], &open[0]["reviewer"]), (&json!("offboarding"), &json!(heir)));
        // It is the new owner's to answer, not the old one's.
        let review = open[0]["id"].as_str().unwrap();
        assert_eq!(complete(&world, &world.owner, review, "keep").await.expect(403).code(), "not_allowed");
        complete(&world, &heir_token, review, "keep").await.expect(200);
    }

    async fn r110_a_contractor_starts_early_in_a_box_that_the_manager_approved(world: World) {
        world.hold();
        let contractor = json!({"name": "Cy", "class": "contractor", "manager": world.manager_id, "ends_at": in_secs(90 * 86_400)});
        let (person, token) = world.person_as(contractor).await;
        let fast = |duration: &str| {
            let mut matter = access(&person, &read_orders(&world), duration);
            matter["fast_onboarding"] = json!(true);
            matter
        };
        // Contractors only, a fortnight at most, and never without an approval: the manager's, or security's where
        // there is none.
        let (employee, employee_token) = employee(&world, "Pia").await;
        let mut matter = fast("7d");
        matter["person"] = json!(employee);
        assert_eq!(world.ask(&employee_token, matter, "starts").await.expect(422).field_codes(), ["contractors_only"]);
        assert_eq!(world.ask(&token, fast("15d"), "starts").await.expect(403).code(), "over_ceiling");
        let unmanaged = json!({"name": "Una", "class": "contractor", "ends_at": in_secs(90 * 86_400)});
        let (unmanaged, unmanaged_token) = world.person_as(unmanaged).await;
        let mut matter = fast("7d");
        matter["person"] = json!(unmanaged);
        assert_eq!(world.ask(&unmanaged_token, matter, "starts").await.expect(201).text("/route"), "security");
        let request = world.ask(&token, fast("1m"), "starts before the vetting is done").await.expect(201);
        assert_eq!((request.text("/state").as_str(), request.text("/route").as_str()), ("open", "manager"));
        assert!(!may(&world, &person, "read").await);
        assert_eq!(world.approve(&world.security, &request.text("/id")).await.expect(403).code(), "not_eligible");
        let done = world.approve(&world.manager, &request.text("/id")).await.expect(200);
        assert_eq!(done.body["outcome"]["person_grants"].as_array().unwrap().len(), 1);
        assert!(may(&world, &person, "read").await);
        // It stands among the exceptions, with its approver and its end.
        let listed = world.get(&world.auditor, &format!("/v1/exceptions?person={person}")).await.expect(200);
        let exception = &listed.body["items"][0];
        assert_eq!((&exception["type"], &exception["state"], &exception["renewals"]), (&json!("fast_onboarding"), &json!("active"), &json!(0)));
        assert_eq!((&exception["approved_by"], &exception["request"]), (&json!([world.manager_id]), &json!(request.text("/id"))));
        assert_eq!(held(&world, &person).await[0]["exception"], exception["id"]);
        // When the box ends, access ends.
        world.pass(60).await;
        world.until(async || !may(&world, &person, "read").await).await;
        world.until(async || held(&world, &person).await.is_empty()).await;
        world.until(async || {
            let listed = world.get(&world.auditor, &format!("/v1/exceptions?person={person}&state=expired")).await.expect(200);
            !listed.body["items"].as_array().unwrap().is_empty()
        }).await;
        // Twice more, and then no more.
        for renewals in [1, 2] {
            let request = world.ask(&token, fast("1h"), "vetting takes longer").await.expect(201).text("/id");
            world.approve(&world.manager, &request).await.expect(200);
            let listed = world.get(&world.auditor, &format!("/v1/exceptions?person={person}&state=active")).await.expect(200);
            assert!(listed.body["items"].as_array().unwrap().iter().any(|exception| exception["renewals"] == renewals), "{}", listed.body);
        }
        assert_eq!(world.ask(&token, fast("1h"), "again").await.expect(403).code(), "renewals_used_up");
        // Withdrawn, it takes the access with it.
        let listed = world.get(&world.auditor, &format!("/v1/exceptions?person={person}&state=active")).await.expect(200);
        for exception in listed.body["items"].as_array().unwrap() {
            let path = format!("/v1/exceptions/{}/withdraw", exception["id"].as_str().unwrap());
            world.post(&world.security, &path, json!({"reason": "incident"})).await.expect(200);
        }
        assert!(!may(&world, &person, "read").await && held(&world, &person).await.is_empty());
    }

    async fn r110_early_access_works_only_once_the_contractor_is_at_work(world: World) {
        world.hold();
        let start = json!({"name": "Cy", "class": "contractor", "manager": world.manager_id, "starts_at": in_secs(5), "ends_at": in_secs(86_400)});
        let person = joiner(&world, start).await;
        let mut matter = access(&person, &read_orders(&world), "1h");
        matter["fast_onboarding"] = json!(true);
        let request = world.ask(&world.admin, matter, "starts at once").await.expect(201).text("/id");
        let done = world.approve(&world.manager, &request).await.expect(200);
        assert_eq!(done.text("/state"), "fulfilled");
        let grants = held(&world, &person).await;
        assert_eq!((&grants[0]["state"], &grants[0]["live"]), (&json!("scheduled"), &json!(false)));
        assert!(!may(&world, &person, "read").await);
        world.pass(5).await;
        world.until(async || may(&world, &person, "read").await).await;
        let started = world.get(&world.auditor, &format!("/v1/people/{person}")).await.expect(200);
        assert_eq!(started.text("/state"), "active");
    }

    async fn r117_the_manager_on_record_approves_and_a_start_in_the_future_holds_it(world: World) {
        world.hold();
        let person = joiner(&world, json!({"name": "Jo", "manager": world.manager_id, "starts_at": in_secs(6)})).await;
        let (other, other_token) = world.person("Mo", &["manager"]).await;
        let request = world.ask(&world.admin, access(&person, &read_orders(&world), "1d"), "joins billing").await.expect(201);
        assert_eq!((request.text("/manager"), request.text("/route")), (world.manager_id.clone(), "manager".to_owned()));
        // A manager who is recorded afterwards doesn't count; who was on record when it was asked does.
        world.post(&world.admin, &format!("/v1/people/{person}/change"), json!({"manager": other})).await.expect(200);
        let id = request.text("/id");
        assert_eq!(world.approve(&other_token, &id).await.expect(403).code(), "not_eligible");
        assert_eq!(world.approve(&world.admin, &id).await.expect(403).code(), "not_eligible");
        let approved = world.approve(&world.manager, &id).await.expect(200);
        // Approved, and held until the start date.
        assert_eq!(approved.text("/state"), "approved");
        assert!(held(&world, &person).await.is_empty() && !may(&world, &person, "read").await);
        world.pass(6).await;
        world.until(async || may(&world, &person, "read").await).await;
        let done = world.get(&world.auditor, &format!("/v1/requests/{id}")).await.expect(200);
        assert_eq!(done.text("/state"), "fulfilled");
        assert_eq!(held(&world, &person).await[0]["approved_by"], json!([world.manager_id]));
    }

    async fn r117_a_manager_without_the_role_confers_nothing(world: World) {
        let (boss, boss_token) = world.person("Bo", &["requester"]).await;
        let (person, token) = world.person_as(json!({"name": "Pia", "manager": boss})).await;
        // The feed says who manages; Tenure's own role says who approves. Security does where the manager may not.
        let request = world.ask(&token, access(&person, &read_orders(&world), "1d"), "closes the books").await.expect(201);
        assert_eq!(request.text("/route"), "security");
        assert_eq!(world.approve(&boss_token, &request.text("/id")).await.expect(403).code(), "not_eligible");
        world.approve(&world.security, &request.text("/id")).await.expect(200);
        assert!(may(&world, &person, "read").await);
        // A manager who asks for somebody doesn't approve it.
        let (report, _) = employee(&world, "Rob").await;
        let request = world.ask(&world.manager, access(&report, &read_orders(&world), "1d"), "closes the books").await.expect(201);
        assert_eq!(request.text("/route"), "security");
        assert!(world.approve(&world.manager, &request.text("/id")).await.status == 403);
    }

    async fn r118_access_waits_for_the_control_points_that_a_policy_demands(world: World) {
        let (person, token, ..) = reader(&world, "Pia").await;
        assert!(may(&world, &person, "read").await);
        // The deployment's policy demands that a joiner was proven to be who they say they are.
        let text = world.get(&world.auditor, "/v1/policy").await.expect(200).text("/text");
        let demand = "\n@id(\"proven\")\n@doc(\"Who was not proven to be who they say they are uses nothing (R118).\")\n\
            forbid (principal is Person, action == Action::\"use\", resource) unless { principal has checks && principal.checks.contains(\"identity_proofing\") };\n";
        let second = world.second_administrator().await;
        let proposed = json!({"text": format!("{text}{demand}"), "purpose": "joiners are proven"});
        let proposed = world.post(&world.admin, "/v1/policies", proposed).await.expect(201);
        world.approve(&second, &proposed.text("/id")).await.expect(200);
        world.until(async || !may(&world, &person, "read").await).await;
        // Nobody vouches for themselves, nor does a colleague; it is said how.
        let path = format!("/v1/people/{person}/checks");
        let check = json!({"kind": "identity_proofing", "how": "in person, with a passport"});
        let (_, colleague) = employee(&world, "Quin").await;
        assert_eq!(world.post(&token, &path, check.clone()).await.expect(403).code(), "same_person");
        assert_eq!(world.post(&colleague, &path, check.clone()).await.status, 403);
        assert_eq!(world.post(&world.manager, &path, json!({"kind": "identity_proofing", "how": " "})).await.expect(422).field_codes(), ["how_missing"]);
        let recorded = world.post(&world.manager, &path, check).await.expect(200);
        assert_eq!((recorded.text("/checks/0/by"), recorded.text("/checks/0/how")), (world.manager_id.clone(), "in person, with a passport".to_owned()));
        assert!(recorded.body["checks"][0]["at"].is_string());
        assert_eq!(world.events_of("person.check_recorded", &person).await.len(), 1);
        assert!(may(&world, &person, "read").await);
    }

    async fn r118_a_package_gives_access_step_by_step_and_only_as_it_was_approved(world: World) {
        let package = |actions: Value| json!({
            "description": "accounting clerk", "max_duration": "90d",
            "entitlements": [{"actions": actions, "resource": world.orders}],
            "steps": [{"after": "30d", "entitlements": [{"actions": ["write"], "resource": world.orders}]}],
        });
        assert_eq!(put_package(&world, &world.owner, "clerk", package(json!(["read"]))).await.expect(403).code(), "not_allowed");
        let wrong = json!({"description": "", "max_duration": "0s", "entitlements": [{"actions": ["*"], "resource": world.orders}, {"actions": ["enforce"], "resource": world.orders}]});
        let codes = put_package(&world, &world.admin, "clerk", wrong).await.expect(422).field_codes();
        assert_eq!(codes, ["description_missing", "duration_out_of_range", "wildcard", "cross_class"]);
        put_package(&world, &world.admin, "clerk", package(json!(["read"]))).await.expect(200);
        let (person, token) = employee(&world, "Pia").await;
        assert!(!may(&world, &person, "read").await, "a package confers nothing by itself");
        let matter = |duration: &str| json!({"type": "person_access", "person": person, "package": "clerk", "duration": duration});
        assert_eq!(world.ask(&token, matter("91d"), "joins accounting").await.expect(403).code(), "over_ceiling");
        let request = world.ask(&token, matter("90d"), "joins accounting").await.expect(201).text("/id");
        // What is approved is the package as it was read: changed meanwhile, it has to be read again.
        let mut described = package(json!(["read"]));
        described["description"] = json!("clerk of another sort");
        put_package(&world, &world.admin, "clerk", described).await.expect(200);
        assert_eq!(world.approve(&world.manager, &request).await.expect(409).code(), "request_changed");
        put_package(&world, &world.admin, "clerk", package(json!(["read"]))).await.expect(200);
        world.approve(&world.manager, &request).await.expect(200);
        let grants = held(&world, &person).await;
        let states: Vec<_> = grants.iter().map(|grant| (grant["entitlement"]["actions"][0].clone(), grant["state"].clone(), grant["package"].clone())).collect();
        assert_eq!(states, [(json!("read"), json!("live"), json!("clerk")), (json!("write"), json!("scheduled"), json!("clerk"))]);
        assert!(may(&world, &person, "read").await && !may(&world, &person, "write").await);
        assert!(grants[0]["review_by"].is_string());
    }

    async fn the_command_line_shows_packages_what_is_held_and_reviews(world: World) {
        let file = world.server.data().join("clerk.json");
        let package = json!({"description": "clerk", "max_duration": "90d", "entitlements": [{"actions": ["read"], "resource": world.orders}]});
        std::fs::write(&file, package.to_string()).unwrap();
        assert_eq!(told(&world, &world.admin, &["package", "put", "clerk", "-f", file.to_str().unwrap()])["revision"], 1);
        assert_eq!(told(&world, &world.auditor, &["package", "show", "clerk"])["max_duration"], "90d");
        assert_eq!(told(&world, &world.auditor, &["package", "list"])["items"].as_array().unwrap().len(), 1);
        let (person, _, grant, _) = reader(&world, "Pia").await;
        assert_eq!(told(&world, &world.auditor, &["person", "access", &person])["access"][0]["grant"], json!(grant));
        told(&world, &world.security, &["person", "revoke-access", &grant, "--reason", "done"]);
        assert_eq!(told(&world, &world.auditor, &["person", "access", &person])["access"], json!([]));
        let mut charter = world.charter(Key::new().jwk());
        charter["workload_binding"] = json!({"type": "join_token", "workload": "vm/exporter"});
        let id = world.active("exporter", charter).await;
        enrol(&world, &id).await;
        enrol(&world, &id).await;
        let open = told(&world, &world.owner, &["review", "list", "--state", "open"]);
        let review = open["items"][0]["id"].as_str().unwrap();
        assert_eq!(told(&world, &world.owner, &["review", "show", review])["trigger"], "rotation");
        let done = told(&world, &world.owner, &["review", "complete", review, "--answer", "keep", "--comment", "runs every night"]);
        assert_eq!(done["answer"]["comment"], "runs every night");
    }

    async fn attack_nobody_approves_or_keeps_their_own_access(world: World) {
        let refused = |answer: &Answer| assert!(answer.status == 403 && ["self_approval", "not_eligible"].contains(&answer.code().as_str()), "{answer:?}");
        // A manager who reports to themselves, and holds every role that could approve.
        let (person, token) = world.person("Eve", &["manager", "security"]).await;
        world.post(&world.admin, &format!("/v1/people/{person}/change"), json!({"manager": person})).await;
        let request = world.ask(&token, access(&person, &read_orders(&world), "1d"), "mine").await.expect(201).text("/id");
        refused(&world.approve(&token, &request).await);
        // Nor somebody who had it asked for by another.
        let request = world.ask(&world.admin, access(&person, &read_orders(&world), "1d"), "mine").await.expect(201).text("/id");
        refused(&world.approve(&token, &request).await);
        assert_eq!(world.approve(&world.admin, &request).await.status, 403);
        assert!(held(&world, &person).await.is_empty());
    }

    async fn attack_neither_class_uses_what_the_other_holds(world: World) {
        // A contractor owns an identity, and gets early access by an exception of their own.
        let contractor = json!({"name": "Cy", "class": "contractor", "roles": ["owner", "requester"], "manager": world.manager_id, "ends_at": in_secs(86_400)});
        let (person, token) = world.person_as(contractor).await;
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["owner"] = json!(person);
        charter["parties"]["requester"] = json!(person);
        let body = json!({"kind": "workload", "name": "theirs", "charter": charter, "stage": "pending"});
        let identity = world.post(&token, "/v1/identities", body).await.expect(201).text("/id");
        world.activate(&world.manager, &identity).await.expect(200);
        let write = json!([{"actions": ["write"], "resource": world.orders}]);
        let mut matter = access(&person, &write, "1h");
        matter["fast_onboarding"] = json!(true);
        let request = world.ask(&token, matter, "starts at once").await.expect(201).text("/id");
        world.approve(&world.manager, &request).await.expect(200);
        assert!(may(&world, &person, "write").await && world.is_allowed(&identity, None, "read").await);
        // The person's grant and exception do nothing for the identity, and the identity's grant nothing for the
        // person.
        assert!(!world.is_allowed(&identity, None, "write").await && !may(&world, &person, "read").await);
        assert!(world.get(&world.auditor, &format!("/v1/exceptions?identity={identity}")).await.expect(200).body["items"].as_array().unwrap().is_empty());
        assert_eq!(world.get(&world.auditor, &format!("/v1/identities/{identity}")).await.expect(200).body["exceptions"], json!([]));
        // Nor does naming the one as the other, or showing the identity's token for the person.
        for (kind, id) in [("person", &identity), ("identity", &person)] {
            assert_eq!(decide(&world, kind, id, "read").await.expect(200).body["decision"], false);
        }
        let shown = world.token(&key, &identity, "production").await;
        let body = json!({"subject": {"type": "person", "id": person, "properties": {"access_token": shown}}, "resource": {"type": "database", "id": world.orders}, "action": {"name": "read"}});
        assert_eq!(world.post(&world.gateway, "/access/v1/evaluation", body).await.expect(422).field_codes(), ["cross_class"]);
        // A person enforces nothing: that is for chartered identities.
        let matter = access(&person, &json!([{"actions": ["enforce"], "resource": world.orders}]), "1h");
        assert_eq!(world.ask(&token, matter, "x").await.expect(422).field_codes(), ["cross_class"]);
    }

    async fn a_leaver_holds_nothing_from_the_moment_they_leave(world: World) {
        let (person, _, grant, _) = reader(&world, "Pia").await;
        assert!(may(&world, &person, "read").await);
        world.post(&world.admin, &format!("/v1/people/{person}/suspend"), json!({"reason": "leave"})).await.expect(200);
        assert!(!may(&world, &person, "read").await);
        world.post(&world.security, &format!("/v1/people/{person}/resume"), json!({"reason": "back"})).await.expect(200);
        assert!(may(&world, &person, "read").await);
        world.post(&world.admin, &format!("/v1/people/{person}/depart"), json!({"reason": "resigned"})).await.expect(200);
        assert!(!may(&world, &person, "read").await);
        world.until(async || held(&world, &person).await.is_empty()).await;
        let ended = [world.events_of("person_grant.revoked", &grant).await, world.events_of("person_grant.expired", &grant).await].concat();
        assert_eq!(ended.len(), 1);
        let error = world.ask(&world.admin, access(&person, &read_orders(&world), "1d"), "x").await.expect(409);
        assert_eq!(error.code(), "illegal_transition");
    }
}

on_both! { because "deadlines are claimed from the engine", by |store| World::start_with(store, &[("TENURE_EARLY_REVIEW", "8s")]);
    async fn r116_access_lapses_without_its_early_review(world: World) {
        world.hold();
        let (kept, kept_token, kept_grant, _) = reader(&world, "Kai").await;
        let (lapsing, _, lapsing_grant, _) = reader(&world, "Lea").await;
        let (refused, _, refused_grant, _) = reader(&world, "Ria").await;
        assert!(held(&world, &kept).await[0]["review_by"].is_string());
        // Halfway there, the manager is asked.
        let open = async |grant: &str| reviews(&world, &format!("person_grant={grant}&state=open")).await;
        world.pass(4).await;
        for grant in [&kept_grant, &lapsing_grant, &refused_grant] {
            world.until(async || !open(grant).await.is_empty()).await;
        }
        let review = open(&kept_grant).await[0].clone();
        assert_eq!((&review["trigger"], &review["reviewer"]), (&json!("early"), &json!(world.manager_id)));
        let id = review["id"].as_str().unwrap();
        assert_eq!(complete(&world, &kept_token, id, "keep").await.expect(403).code(), "not_allowed");
        complete(&world, &world.manager, id, "keep").await.expect(200);
        let id = open(&refused_grant).await[0]["id"].as_str().unwrap().to_owned();
        complete(&world, &world.manager, &id, "revoke").await.expect(200);
        assert!(!may(&world, &refused, "read").await);
        // Nobody answered for the third: it lapses, and the review with it.
        world.pass(4).await;
        world.until(async || !may(&world, &lapsing, "read").await).await;
        world.until(async || held(&world, &lapsing).await.is_empty()).await;
        let expired = &world.events_of("person_grant.expired", &lapsing_grant).await[0];
        assert_eq!(
            (&expired["data"]["because"], &expired["control"]),
            (&json!("its early review was not answered"), &json!("revoke"))
        );
        assert_eq!(reviews(&world, &format!("person_grant={lapsing_grant}")).await[0]["state"], "lapsed");
        assert!(may(&world, &kept, "read").await && held(&world, &kept).await[0].get("review_by").is_none());
    }
}

on_both! { because "deadlines are claimed from the engine", by |store| World::start_with(store, &[("TENURE_REVIEW_WITHIN", "4s")]);
    async fn r93_an_identity_whose_review_nobody_answers_is_suspended(world: World) {
        world.hold();
        let mut charter = world.charter(Key::new().jwk());
        charter["workload_binding"] = json!({"type": "join_token", "workload": "vm/exporter"});
        let id = world.active("exporter", charter).await;
        enrol(&world, &id).await;
        enrol(&world, &id).await;
        world.pass(4).await;
        world.until_state(&id, "suspended").await;
        let seen = world.get(&world.auditor, &format!("/v1/identities/{id}")).await.expect(200);
        assert_eq!(
            (seen.text("/suspensions/0/kind").as_str(), seen.text("/suspensions/0/releasable_by").as_str()),
            ("review_overdue", "owner")
        );
        let lapsed = &reviews(&world, &format!("identity={id}")).await[0];
        assert_eq!(lapsed["state"], "lapsed");
        assert_eq!(
            complete(&world, &world.owner, lapsed["id"].as_str().unwrap(), "keep").await.expect(409).code(),
            "illegal_transition"
        );
        // To go on is a decision of its own, on the record.
        let resume = json!({"cause": 0, "reason": "still needed: runs every night"});
        let resumed = world.post(&world.owner, &format!("/v1/identities/{id}/resume"), resume).await.expect(200);
        assert_eq!(resumed.text("/state"), "active");
    }
}

in_real_time! {
    r116_access_lapses_without_its_early_review on World::binary(Store::Sqlite, &[("TENURE_EARLY_REVIEW", "8s")]);
    r93_an_identity_whose_review_nobody_answers_is_suspended on World::binary(Store::Sqlite, &[("TENURE_REVIEW_WITHIN", "4s")]);
}

/// The last receipt about a person, once every point has answered.
async fn receipt(world: &World, person: &str, what: &str) -> Value {
    let path = format!("/v1/receipts?target=person/{person}&sort=-id&limit=1");
    let mut last = Value::Null;
    world
        .until(async || {
            last = world.get(&world.auditor, &path).await.expect(200).body["items"][0].clone();
            last["what"] == what && !last["signed"].is_null()
        })
        .await;
    world.get(&world.auditor, &format!("/v1/receipts/{}", last["id"].as_str().unwrap())).await.expect(200).body
}

/// What a receipt says of each thing that the person had: its sort, where it stands, and whether a control was accepted.
fn points(receipt: &Value) -> BTreeSet<(String, String, bool)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let point = |point: &Value| {
        let outcome = &point["outcome"];
        (text(&point["held"]["type"]), text(&outcome["state"]), !outcome["control"].is_null())
    };
    receipt["person"]["first"].as_array().into_iter().flatten().map(point).collect()
}

on_one! {
    async fn r103_r72_a_persons_suspension_has_a_receipt_and_nothing_revoked_comes_back(world: World) {
        let (ann, token, grant, _) = reader(&world, "Ann").await;
        // Beside whom a refusal of hers means something.
        let (bob, _, of_bob, _) = reader(&world, "Bob").await;
        let another = world.post(&world.admin, &format!("/v1/people/{ann}/operator-tokens"), json!({})).await.expect(201);
        let (dead, dead_id) = (another.text("/operator_token"), another.text("/id"));
        world.call(Method::POST, &token, &format!("/v1/operator-tokens/{dead_id}/revoke"), None).await.expect(200);
        assert!(may(&world, &ann, "read").await && may(&world, &bob, "read").await);
        world.post(&world.security, &format!("/v1/people/{ann}/suspend"), json!({"reason": "a lost laptop"})).await.expect(200);
        world.get(&token, "/v1/me").await.expect(401);
        assert!(!may(&world, &ann, "read").await);
        let proof = receipt(&world, &ann, "suspension").await;
        assert_eq!((&proof["state"], &proof["reason"]), (&json!("refused_verified"), &json!("a lost laptop")), "{proof}");
        // Her token and her grant; not the token that was dead before.
        let refused = |held: &str| (held.to_owned(), "refused".to_owned(), true);
        assert_eq!(points(&proof), BTreeSet::from([refused("operator_token"), refused("grant")]), "{proof}");
        assert_eq!(proof["person"]["count"], 2);
        let of = |held: &str| proof["person"]["first"].as_array().unwrap().iter().find(|point| point["held"]["type"] == held).unwrap().clone();
        assert_eq!((&of("grant")["held"]["id"], &of("grant")["outcome"]["control"]["id"]), (&json!(grant), &json!(of_bob)));
        assert_eq!(proof["names"][&ann], "Ann");
        // The signed form says the same, and the page of the receipt and of the person lead to it.
        let signed = world.text(&world.auditor, &format!("/v1/receipts/{}.jws", proof["id"].as_str().unwrap())).await;
        let said = signed.split('.').nth(1).map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        let said: Value = serde_json::from_slice(&said).unwrap();
        assert_eq!((&said["person"], &said["target"]["type"]), (&proof["person"], &json!("person")));
        // Let go on: what was held works again, what was revoked doesn't.
        let (_, sib) = world.person("Sib", &["security"]).await;
        world.post(&sib, &format!("/v1/people/{ann}/resume"), json!({"reason": "it was found"})).await.expect(200);
        world.get(&token, "/v1/me").await.expect(200);
        assert!(may(&world, &ann, "read").await);
        world.get(&dead, "/v1/me").await.expect(401);
        // Gone for good: what she held is revoked, and that has a receipt too.
        world.post(&world.security, &format!("/v1/people/{ann}/depart"), json!({"reason": "left"})).await.expect(200);
        let proof = receipt(&world, &ann, "revocation").await;
        assert_eq!((&proof["state"], points(&proof)), (&json!("refused_verified"), BTreeSet::from([refused("operator_token"), refused("grant")])), "{proof}");
        assert!(may(&world, &bob, "read").await);
    }

    async fn r103_a_suspension_that_was_taken_back_leaves_nothing_to_prove_and_owned_identities_are_said_to_go_on(world: World) {
        let (olu, _) = world.person_as(json!({"name": "Oz", "roles": ["requester", "owner"], "manager": world.manager_id})).await;
        let mut charter = world.charter(Key::new().jwk());
        charter["owner"] = json!(olu);
        let id = world.active("of-oz", charter).await;
        world.post(&world.security, &format!("/v1/people/{olu}/suspend"), json!({"reason": "on leave"})).await.expect(200);
        let proof = receipt(&world, &olu, "suspension").await;
        assert_eq!(proof["returning"], json!({"count": 1, "identities": [id]}), "{proof}");
        // Nobody else's: whoever may not read receipts reads none about people either.
        let path = format!("/v1/receipts/{}", proof["id"].as_str().unwrap());
        for nobody in [&world.owner, &world.person("Rex", &["requester"]).await.1] {
            world.get(nobody, &path).await.expect(403);
        }
        world.get(&world.security, &path).await.expect(200);
        // Nobody cuts a person: what is cut is what they answer for.
        let ask = json!({"target": {"type": "person", "id": olu}, "reason": "x"});
        world.post(&world.security, "/v1/revocations", ask).await.expect(400);
    }
}
