//! From draft to active and to the end by idleness; enrolment; people's authority; budgets.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Answer, Key, Store, World, assertion_claims, in_secs};
use crate::{in_real_time, on_both};

async fn write_charter(world: &World, id: &str, charter: &Value, if_match: Option<&str>) -> Answer {
    world.at(Method::PUT, &world.owner, &format!("/v1/identities/{id}/charter"), if_match, charter).await
}

/// An enrolment proof for a key (S-15); the join token's id is the middle of its text.
fn enrolment(key: &Key, audience: &str, join_token: &str) -> Value {
    let id: tenure_core::base::id::JoinTokenId =
        tenure_credentials::opaque::Parsed::parse(join_token).unwrap().id().unwrap();
    let mut claims = assertion_claims("x", audience);
    claims["join_token_id"] = json!(id);
    let proof = key.sign(&json!({"alg": "EdDSA", "typ": "tenure-enrol+jwt"}), &claims);
    json!({"join_token": join_token, "jwk": key.jwk(), "proof": proof})
}

async fn joining(world: &World, name: &str) -> String {
    let mut charter = world.charter(Value::Null);
    charter["workload_binding"] = json!({"type": "join_token", "workload": "host/edge-7"});
    world.active(name, charter).await
}

on_both! { because "deadlines are claimed from the engine";
    async fn a_draft_is_completed_under_its_revision_and_becomes_active(world: World) {
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter.as_object_mut().unwrap().remove("purpose");
        let id = world.register("exporter", charter.clone(), "draft").await.expect(201).text("/id");
        let path = format!("/v1/identities/{id}");
        let etag = |answer: &Answer| answer.headers["etag"].to_str().unwrap().to_owned();
        let first = etag(&world.get(&world.owner, &path).await.expect(200));
        assert_eq!(world.post(&world.owner, &format!("{path}/submit"), json!({})).await.expect(422).field_codes(), ["purpose_missing"]);
        charter["purpose"] = json!("exports invoices");
        write_charter(&world, &id, &charter, Some(&first)).await.expect(200);
        // Whoever still holds the old revision is told, and changes nothing.
        let mut lost = charter.clone();
        lost["purpose"] = json!("something else");
        assert_eq!(write_charter(&world, &id, &lost, Some(&first)).await.expect(412).code(), "revision_changed");
        write_charter(&world, &id, &lost, Some("first")).await.expect(400);
        let answer = world.get(&world.owner, &path).await.expect(200);
        assert_eq!(answer.text("/charter/purpose"), "exports invoices");
        assert_ne!(etag(&answer), first);
        // A draft and a pending identity get nothing.
        assert_eq!(world.ask_token(&key, &id, "production").await.expect(400).code(), "identity_not_active");
        assert_eq!(world.post(&world.owner, &format!("{path}/submit"), json!({})).await.expect(200).text("/state"), "pending");
        assert_eq!(world.ask_token(&key, &id, "production").await.expect(400).code(), "identity_not_active");
        assert_eq!(write_charter(&world, &id, &lost, None).await.expect(409).code(), "illegal_transition");
        assert_eq!(world.activate(&world.manager, &id).await.expect(200).text("/state"), "active");
        assert!(world.is_live(&world.token(&key, &id, "production").await).await);
        let written = world.events_of("identity.charter_written", &id).await;
        assert_eq!((written.len(), &written[0]["data"]["charter"]["purpose"]), (1, &json!("exports invoices")));
    }

    async fn a_draft_whose_key_is_replaced_works_with_the_new_key_alone(world: World) {
        let (old, new) = (Key::new(), Key::new());
        let id = world.register("exporter", world.charter(old.jwk()), "draft").await.expect(201).text("/id");
        write_charter(&world, &id, &world.charter(new.jwk()), Some("*")).await.expect(200);
        world.hand_in(&id).await;
        assert_eq!(world.ask_token(&old, &id, "production").await.expect(401).body["error"], "invalid_client");
        world.token(&new, &id, "production").await;
        // The key that was given up is still not free for another.
        assert_eq!(world.register("other", world.charter(old.jwk()), "pending").await.expect(409).code(), "key_already_bound");
    }

    async fn names_are_never_reassigned(world: World) {
        let (id, _) = world.exporter("exporter").await;
        let taken = async || {
            let answer = world.register("exporter", world.charter(Key::new().jwk()), "pending").await.expect(409);
            assert_eq!(answer.code(), "taken");
        };
        taken().await;
        world.post(&world.owner, &format!("/v1/identities/{id}/retire"), json!({"reason": "done"})).await.expect(200);
        world.until_state(&id, "retired").await;
        taken().await;
        let given_up = world.register("given-up", world.charter(Key::new().jwk()), "draft").await.expect(201).text("/id");
        world.post(&world.owner, &format!("/v1/identities/{given_up}/close"), json!({"reason": "no need"})).await.expect(200);
        assert_eq!(world.register("given-up", world.charter(Key::new().jwk()), "draft").await.expect(409).code(), "taken");
        assert_eq!(world.post(&world.admin, "/v1/applications", json!({"name": "billing", "owner": world.owner_id})).await.expect(409).code(), "taken");
        assert_eq!(world.post(&world.admin, "/v1/environments", json!({"name": "production"})).await.expect(409).code(), "taken");
    }

    async fn idleness_retires_and_use_postpones_it(world: World) {
        world.hold();
        let (key, idle_key) = (Key::new(), Key::new());
        let mut charter = world.charter(key.jwk());
        charter["retirement"] = json!([{"type": "idle", "after": "3s"}]);
        let used = world.active("used", charter.clone()).await;
        charter["workload_binding"]["jwk"] = idle_key.jwk();
        let idle = world.active("idle", charter).await;
        let state = async |id: &str| world.get(&world.auditor, &format!("/v1/identities/{id}")).await.expect(200).text("/state");
        for _ in 0..7 {
            world.token(&key, &used, "production").await;
            world.pass(1).await;
        }
        world.token(&key, &used, "production").await;
        world.until_state(&idle, "retired").await;
        assert_eq!(state(&used).await, "active");
        world.pass(3).await;
        world.until_state(&used, "retired").await;
        for id in [&used, &idle] {
            let answer = world.get(&world.auditor, &format!("/v1/identities/{id}")).await.expect(200);
            assert_eq!(answer.text("/retirement/because"), "idle");
            assert_eq!(world.events_of("identity.retiring", id).await[0]["actor"]["type"], "system");
        }
        assert!(!world.events_of("deadline.postponed", &used).await.is_empty());
        assert_eq!(world.ask_token(&key, &used, "production").await.expect(400).code(), "identity_retired");
    }

    async fn s15_a_join_token_that_is_presented_twice_suspends(world: World) {
        let id = joining(&world, "edge-7").await;
        let key = Key::new();
        assert_eq!(world.ask_token(&key, &id, "production").await.expect(401).body["error"], "invalid_client");
        let path = format!("/v1/identities/{id}/join-tokens");
        world.post(&world.admin, &path, json!({})).await.expect(403);
        let answer = world.post(&world.owner, &path, json!({})).await.expect(201);
        let (join, audience) = (answer.text("/join_token"), answer.text("/audience"));
        assert!(join.starts_with("tnr_join_") && audience == world.issuer("production"), "{}", answer.body);
        // Without the key itself, for another audience, or for another token, it enrols nothing and stays good.
        let mut foreign = enrolment(&Key::new(), &audience, &join);
        foreign["jwk"] = key.jwk();
        world.post("", "/v1/enrol", foreign).await.expect(403);
        world.post("", "/v1/enrol", enrolment(&key, &world.issuer("staging"), &join)).await.expect(403);
        let other = world.post(&world.owner, &path, json!({})).await.expect(201).text("/join_token");
        let mut swapped = enrolment(&key, &audience, &other);
        swapped["join_token"] = json!(join);
        world.post("", "/v1/enrol", swapped).await.expect(403);
        let mut guessed = enrolment(&key, &audience, &join);
        let another = if join.ends_with('x') { 'y' } else { 'x' };
        guessed["join_token"] = json!(format!("{}{another}", &join[..join.len() - 1]));
        world.post("", "/v1/enrol", guessed).await.expect(401);
        world.post("", "/v1/enrol", enrolment(&key, &audience, &join)).await.expect(201);
        let token = world.token(&key, &id, "production").await;
        assert!(world.is_live(&token).await);
        let enrolled = world.events_of("key.enrolled", &id).await;
        assert_eq!((enrolled.len(), &enrolled[0]["data"]["exceptional_access"]), (1, &json!(true)));
        // A second presentation, even by the same workload, means that the token was seen by two.
        assert_eq!(world.post("", "/v1/enrol", enrolment(&Key::new(), &audience, &join)).await.expect(403).code(), "join_token_spent");
        let answer = world.get(&world.auditor, &format!("/v1/identities/{id}")).await.expect(200);
        assert_eq!((answer.text("/state"), answer.text("/suspensions/0/kind")), ("suspended".to_owned(), "join_token_replayed".to_owned()));
        assert!(!world.is_live(&token).await);
        assert_ne!(world.ask_token(&key, &id, "production").await.status, 200);
        let suspended = world.events_of("identity.suspended", &id).await;
        assert_eq!((suspended.len(), &suspended[0]["data"]["cause"]), (1, &json!("join_token_replayed")));
        assert!(!world.events_of("access.refused", &id).await.is_empty());
        // Presenting it again and again adds no further cause, so that nobody can fill the record.
        world.post("", "/v1/enrol", enrolment(&Key::new(), &audience, &join)).await.expect(403);
        let answer = world.get(&world.auditor, &format!("/v1/identities/{id}")).await.expect(200);
        assert_eq!(answer.body["suspensions"].as_array().unwrap().len(), 1);
        // The owner can't wave it through; security can, and the enrolled key stays suspended.
        let resume = json!({"cause": 0, "reason": "looked at"});
        world.post(&world.owner, &format!("/v1/identities/{id}/resume"), resume.clone()).await.expect(403);
        world.post(&world.security, &format!("/v1/identities/{id}/resume"), resume).await.expect(200);
        assert_eq!(world.ask_token(&key, &id, "production").await.code(), "binding_suspended");
        // Who holds the spent token has nothing more to take: the workload enrols anew and goes on.
        world.post("", "/v1/enrol", enrolment(&Key::new(), &audience, &join)).await.expect(403);
        let fresh = Key::new();
        let join = world.post(&world.owner, &path, json!({})).await.expect(201).text("/join_token");
        world.post("", "/v1/enrol", enrolment(&fresh, &audience, &join)).await.expect(201);
        assert!(world.is_live(&world.token(&fresh, &id, "production").await).await);
    }

    async fn an_auditor_reads_and_does_nothing_else(world: World) {
        let (id, _) = world.exporter("exporter").await;
        for path in ["/v1/identities", "/v1/people", "/v1/applications", "/v1/resources", "/v1/receipts", "/v1/log/export"] {
            world.get(&world.auditor, path).await.expect(200);
        }
        world.get(&world.auditor, &format!("/v1/identities/{id}")).await.expect(200);
        let body = json!({"kind": "workload", "name": "mine", "charter": world.charter(Key::new().jwk()), "stage": "pending"});
        let reason = json!({"reason": "test"});
        let scope = json!({"scope": {"type": "application", "id": world.application}, "reason": "test"});
        for (path, body) in [
            ("/v1/identities".to_owned(), body),
            (format!("/v1/identities/{id}/suspend"), reason.clone()),
            (format!("/v1/identities/{id}/retire"), reason),
            ("/v1/people".to_owned(), json!({"name": "Eve"})),
            ("/v1/holds".to_owned(), scope),
            ("/v1/revocations".to_owned(), json!({"target": {"type": "identity", "id": id}, "reason": "test"})),
        ] {
            let answer = world.post(&world.auditor, &path, body).await.expect(403);
            assert!(answer.body["policies"].as_array().unwrap().contains(&json!("auditors-only-read")), "{path}: {}", answer.body);
        }
        // Nor does anybody read without a right: a requester sees their own.
        let (_, stranger) = world.person("Una", &["requester"]).await;
        world.get(&stranger, &format!("/v1/identities/{id}")).await.expect(403);
        world.get(&stranger, "/v1/log/export").await.expect(403);
        assert_eq!(world.get(&stranger, "/v1/identities").await.expect(200).body["items"], json!([]));
        assert_eq!(world.get(&world.owner, "/v1/identities?name=exporter").await.expect(200).body["items"].as_array().unwrap().len(), 1);
    }

    async fn a_revoked_or_foreign_operator_token_opens_nothing(world: World) {
        let answer = world.post(&world.admin, &format!("/v1/people/{}/operator-tokens", world.security_id), json!({"ttl": "1m"})).await.expect(201);
        let (token, id) = (answer.text("/operator_token"), answer.text("/id"));
        assert!(answer.text("/expires_at") <= in_secs(61));
        world.get(&token, "/v1/identities").await.expect(200);
        for ttl in ["1s", "31d"] {
            let answer = world.post(&world.admin, &format!("/v1/people/{}/operator-tokens", world.security_id), json!({"ttl": ttl})).await.expect(422);
            assert_eq!(answer.field_codes(), ["ttl_out_of_range"]);
        }
        world.post(&world.owner, &format!("/v1/operator-tokens/{id}/revoke"), json!({})).await.expect(403);
        world.get(&token, "/v1/identities").await.expect(200);
        world.post(&world.admin, &format!("/v1/operator-tokens/{id}/revoke"), json!({})).await.expect(200);
        assert_eq!(world.get(&token, "/v1/identities").await.expect(401).code(), "credential_revoked");
        // An access token is no operator token, and a changed one is nothing.
        assert_eq!(world.get(&world.gateway, "/v1/identities").await.expect(401).code(), "proof_invalid");
        let mut changed = world.admin.clone();
        let last = changed.pop().unwrap();
        changed.push(if last == 'a' { 'b' } else { 'a' });
        assert_eq!(world.get(&changed, "/v1/identities").await.expect(401).code(), "proof_invalid");
        assert_eq!(world.call(Method::GET, "", "/v1/identities", None).await.expect(401).code(), "proof_missing");
    }
}

crate::on_one! { by |store| World::start_with(store, &[("TENURE_ISSUANCE_BUDGET", "3"), ("TENURE_WRITE_BUDGET", "60")]);
    async fn d22_a_spent_budget_says_when_it_has_room_again(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let refused = loop {
            let answer = world.ask_token(&key, &id, "production").await;
            if answer.status != 200 {
                break answer.expect(429);
            }
        };
        let wait = refused.retry_after().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        world.pass(wait.try_into().unwrap()).await;
        world.token(&key, &id, "production").await;
        let (_, bo) = world.person("Bo", &["administrator"]).await;
        let team = async |n: usize| world.post(&bo, "/v1/teams", json!({"name": format!("team-{n}")})).await;
        let mut made = 0;
        let refused = loop {
            let answer = team(made).await;
            if answer.status != 201 {
                break answer.expect(429);
            }
            made += 1;
        };
        assert!(made >= 60 && refused.code() == "budget_spent", "{made} {}", refused.body);
        let wait = refused.retry_after().unwrap();
        assert_eq!(refused.body["retry_after"], wait);
        let left = refused.headers["ratelimit"].to_str().unwrap();
        assert!(left.contains(&format!("\"writes\";r=0;t={wait}")), "{left}");
        assert!((1..=60).contains(&wait), "{wait}");
        world.pass(wait.try_into().unwrap()).await;
        team(made).await.expect(201);
    }
}

async fn issues_within_its_budget(store: Store) {
    let world = World::start_with(store, &[("TENURE_ISSUANCE_BUDGET", "3")]).await;
    let (id, key) = world.exporter("exporter").await;
    let (other, other_key) = world.exporter("other").await;
    // Three a minute: in at most two minutes' windows, the seventh is refused at the latest.
    let mut issued = 0;
    let refused = loop {
        let answer = world.ask_token(&key, &id, "production").await;
        if answer.status != 200 {
            break answer;
        }
        issued += 1;
        assert!(issued <= 6);
    };
    assert!(issued >= 3);
    assert_eq!((refused.status, refused.code().as_str()), (429, "budget_spent"));
    assert!(refused.retry_after().is_some_and(|wait| (1..=60).contains(&wait)));
    let recorded = world.events_of("access.refused", &id).await;
    assert_eq!(recorded.last().unwrap()["data"]["reason"], "budget_spent");
    assert_eq!(world.events_of("credential.issued", &id).await.len(), issued);
    // The budget is the identity's own.
    world.token(&other_key, &other, "production").await;
}

#[tokio::test]
async fn issuance_beyond_the_budget_is_refused_and_recorded_sqlite() {
    issues_within_its_budget(Store::Sqlite).await;
}

#[tokio::test]
async fn issuance_beyond_the_budget_is_refused_and_recorded_postgres() {
    issues_within_its_budget(Store::Postgres).await;
}

in_real_time! {
    idleness_retires_and_use_postpones_it on World::binary(Store::Sqlite, &[]);
}

crate::on_one! {
    async fn d27_an_identity_has_one_group_that_answers_for_its_removal(world: World) {
        let bare = world.post(&world.admin, "/v1/applications", json!({"name": "bare", "owner": world.owner_id})).await.expect(201).text("/id");
        let charter = |application: &str, group: Value| {
            let mut charter = world.charter(Key::new().jwk());
            charter["application"] = json!(application);
            charter["removal_group"] = group;
            charter
        };
        // A draft may lack it; what is to be activated may not.
        world.register("draft", charter(&bare, Value::Null), "draft").await.expect(201);
        let refused = world.register("one", charter(&bare, Value::Null), "pending").await.expect(422);
        assert_eq!((refused.field_codes(), refused.text("/fields/0/field")), (vec!["removal_group_missing".to_owned()], "charter.removal_group".into()));
        let team = world.post(&world.admin, "/v1/teams", json!({"name": "platform"})).await.expect(201).text("/id");
        let refused = world.register("one", charter(&bare, json!(team)), "pending").await.expect(422);
        assert_eq!(refused.field_codes(), ["removal_group_empty"]);
        let bare_is = format!("/v1/applications/{bare}");
        let change = json!({"removal_group": team});
        assert_eq!(world.patch(&world.admin, &bare_is, Some("*"), &change).await.expect(422).field_codes(), ["removal_group_empty"]);
        let (pat_id, _) = world.person("Pat", &[]).await;
        let (pam_id, _) = world.person("Pam", &[]).await;
        for person in [&pat_id, &pam_id] {
            world.post(&world.admin, &format!("/v1/people/{person}/change"), json!({"teams": [team]})).await.expect(200);
        }
        let named = world.register("named", charter(&bare, json!(team)), "pending").await.expect(201).text("/id");
        world.activate(&world.manager, &named).await.expect(200);
        // By default it is the application's.
        world.patch(&world.admin, &bare_is, Some("*"), &change).await.expect(200);
        let by_default = world.active("by-default", charter(&bare, Value::Null)).await;
        let group = async |id: &str| world.get(&world.auditor, &format!("/v1/identities/{id}")).await.expect(200).body["removal_group"].clone();
        assert_eq!(group(&named).await, json!({"team": team, "name": "platform", "of_application": false, "has_active_member": true}));
        assert_eq!(group(&by_default).await, json!({"team": team, "name": "platform", "of_application": true, "has_active_member": true}));
        // It stays when people leave it, and when the owner changes.
        world.post(&world.admin, &format!("/v1/people/{pat_id}/depart"), json!({"reason": "left"})).await.expect(200);
        assert_eq!(group(&named).await["has_active_member"], true);
        let (heir_id, heir) = world.person("Hal", &["owner"]).await;
        let transfer = world.post(&world.owner, &format!("/v1/identities/{named}/transfer"), json!({"to": heir_id})).await.expect(201).text("/id");
        world.post(&heir, &format!("/v1/transfers/{transfer}/accept"), json!({})).await.expect(200);
        assert_eq!(group(&named).await["team"], json!(team));
        world.post(&world.admin, &format!("/v1/people/{pam_id}/depart"), json!({"reason": "left"})).await.expect(200);
        assert_eq!((&group(&named).await["team"], &group(&named).await["has_active_member"]), (&json!(team), &json!(false)));
        // Nothing new begins under a group that nobody is left of.
        let refused = world.register("late", charter(&bare, Value::Null), "pending").await.expect(422);
        assert_eq!(refused.field_codes(), ["removal_group_empty"]);
    }

    async fn d27_another_group_takes_a_request(world: World) {
        let (id, _) = world.exporter("exporter").await;
        let team = world.post(&world.admin, "/v1/teams", json!({"name": "platform"})).await.expect(201).text("/id");
        let (pat_id, _) = world.person("Pat", &[]).await;
        world.post(&world.admin, &format!("/v1/people/{pat_id}/change"), json!({"teams": [team]})).await.expect(200);
        let mut charter = world.get(&world.owner, &format!("/v1/identities/{id}")).await.expect(200).body["charter"].clone();
        charter["removal_group"] = json!(team);
        let path = format!("/v1/identities/{id}/charter");
        assert_eq!(world.put(&world.owner, &path, charter.clone()).await.expect(403).code(), "approval_needed");
        let asked = world.ask(&world.owner, json!({"type": "charter", "identity": id, "charter": charter}), "moves").await.expect(201).text("/id");
        world.approve(&world.manager, &asked).await.expect(200);
        let shown = world.get(&world.owner, &format!("/v1/identities/{id}")).await.expect(200);
        assert_eq!((&shown.body["removal_group"]["team"], &shown.body["removal_group"]["of_application"]), (&json!(team), &json!(false)));
    }
}

crate::on_one! { by |store| World::start_with(store, &[("TENURE_TRANSFER_WINDOW", "60s")]);
    async fn d27_a_group_that_nobody_is_left_of_has_a_finding_until_somebody_is_or_another_one_answers(world: World) {
        let team = world.post(&world.admin, "/v1/teams", json!({"name": "platform"})).await.expect(201).text("/id");
        let other = world.post(&world.admin, "/v1/teams", json!({"name": "operations"})).await.expect(201).text("/id");
        let join = async |person: &str, teams: Value| world.post(&world.admin, &format!("/v1/people/{person}/change"), json!({"teams": teams})).await.expect(200);
        let (pat, _) = world.person("Pat", &[]).await;
        let (pam, _) = world.person("Pam", &[]).await;
        join(&pat, json!([team])).await;
        join(&pam, json!([team, other])).await;
        let mut charter = world.charter(Key::new().jwk());
        charter["removal_group"] = json!(team);
        let named = world.active("named", charter).await;
        let path = format!("/v1/findings?rule=removal-group-empty&subject={team}&state=open");
        let open = async || world.get(&world.security, &path).await.expect(200).body["items"].as_array().unwrap().clone();
        let depart = async |person: &str| world.post(&world.admin, &format!("/v1/people/{person}/depart"), json!({"reason": "left"})).await.expect(200);
        // One is left, and then nobody.
        depart(&pat).await;
        join(&pam, json!([other])).await;
        world.until(async || !open().await.is_empty()).await;
        let found = open().await;
        assert_eq!((found.len(), &found[0]["evidence"]["identities"], &found[0]["evidence"]["identities_in_all"]), (1, &json!([named]), &json!(1)));
        let told = &world.events_of("removal_group.empty", &team).await[0]["data"];
        assert!(told["notify"]["roles"] == json!(["administrator"]) && told["deadline"].is_string(), "{told}");
        // Nobody acts in time: security is told, again and again.
        for times in [1, 2] {
            world.pass(61).await;
            world.until(async || world.events_of("removal_group.overdue", &team).await.len() >= times).await;
        }
        let overdue = &world.events_of("removal_group.overdue", &team).await[0]["data"];
        assert_eq!(overdue["notify"]["roles"], json!(["security", "administrator"]));
        join(&pam, json!([team, other])).await;
        world.until(async || open().await.is_empty()).await;
        // It is the application's, and its last member is suspended.
        let billing = format!("/v1/applications/{}", world.application);
        world.patch(&world.admin, &billing, Some("*"), &json!({"removal_group": team})).await.expect(200);
        let (by_default, _) = world.exporter("by-default").await;
        world.post(&world.security, &format!("/v1/people/{pam}/suspend"), json!({"reason": "lost laptop"})).await.expect(200);
        world.until(async || !open().await.is_empty()).await;
        let found = &open().await[0]["evidence"];
        assert!(found["identities"].as_array().unwrap().contains(&json!(by_default)) && found["applications"] == json!([world.application]), "{found}");
        // Another team answers for the application; the identity whose charter names this one still has nobody.
        world.give_removers(&world.application).await;
        world.pass(61).await;
        world.until(async || open().await[0]["evidence"]["identities"] == json!([named])).await;
        world.post(&world.owner, &format!("/v1/identities/{named}/retire"), json!({"reason": "done"})).await.expect(200);
        world.until_state(&named, "retired").await;
        world.pass(61).await;
        world.until(async || open().await.is_empty()).await;
    }
}
