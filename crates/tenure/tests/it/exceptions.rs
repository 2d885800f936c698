//! Exceptions: typed, approved, compensated, ended by themselves (R19, R32, R39, R105, R108, R109, R112).

use serde_json::{Value, json};

use crate::world::{Answer, Key, Store, World, in_secs};
use crate::{in_real_time, on_one};

const CONTROLS: &[(&str, &[&str])] = &[
    ("wildcard_scope", &["monitoring", "scope_reduction"]),
    ("weaker_credential", &["vaulting", "rotation", "ownership", "revalidation"]),
    ("shared_use", &["consumers", "migration_plan"]),
    ("dormancy", &["monitoring", "scope_reduction", "documented_expiry"]),
    ("removal_deferred", &["monitoring", "scope_reduction", "documented_expiry"]),
    ("late_review", &["monitoring"]),
    ("accept_unreachable", &["monitoring", "local_limit"]),
    ("break_glass", &["monitoring", "after_review"]),
];

/// A whole proposal of a type for an identity.
pub fn proposal(kind: &str, identity: &str, duration: &str) -> Value {
    let (_, controls) = CONTROLS.iter().find(|(name, _)| *name == kind).unwrap();
    let compensating: Vec<Value> = controls
        .iter()
        .map(|control| json!({"control": control, "description": "as written down in runbook 12"}))
        .collect();
    json!({"type": kind, "subject": {"type": "identity", "id": identity}, "reason": "the legacy importer", "compensating": compensating, "duration": duration})
}

pub async fn propose(world: &World, ask: Value) -> Answer {
    world.post(&world.owner, "/v1/exceptions", ask).await
}

/// Proposes as the owner; the manager and security approve.
pub async fn granted(world: &World, kind: &str, identity: &str, duration: &str) -> String {
    let proposed = propose(world, proposal(kind, identity, duration)).await.expect(201);
    approved(world, &proposed).await;
    proposed.text("/id")
}

pub async fn approved(world: &World, proposed: &Answer) {
    let request = proposed.text("/request");
    world.approve(&world.manager, &request).await.expect(200);
    let last = world.approve(&world.security, &request).await.expect(200);
    assert_eq!(last.text("/state"), "fulfilled");
}

async fn exception(world: &World, id: &str) -> Answer {
    world.get(&world.owner, &format!("/v1/exceptions/{id}")).await.expect(200)
}

async fn identity(world: &World, id: &str) -> Answer {
    world.get(&world.owner, &format!("/v1/identities/{id}")).await.expect(200)
}

async fn until_exception(world: &World, id: &str, state: &str) {
    world.until(async || exception(world, id).await.text("/state") == state).await;
}

/// Open findings of a rule about an identity.
async fn findings(world: &World, rule: &str, identity: &str) -> Vec<Value> {
    let path = format!("/v1/findings?state=open&rule={rule}&subject={identity}");
    world.get(&world.owner, &path).await.expect(200).body["items"].as_array().unwrap().clone()
}

/// A draft whose charter says everything on `orders`, and its key.
async fn wildcard_draft(world: &World, name: &str) -> (String, Key) {
    let key = Key::new();
    let mut charter = world.charter(key.jwk());
    charter["scope"] = json!([{"actions": ["*"], "resource": world.orders}]);
    (world.register(name, charter, "draft").await.expect(201).text("/id"), key)
}

/// Hands a draft in, and whoever its tier asks for approves it.
async fn submit(world: &World, id: &str) -> Answer {
    world.post(&world.owner, &format!("/v1/identities/{id}/submit"), json!({})).await
}

pub async fn activate(world: &World, id: &str) {
    let request = submit(world, id).await.expect(200).text("/request");
    for token in [&world.manager, &world.security] {
        if world.get(&world.security, &format!("/v1/requests/{request}")).await.text("/state") == "open" {
            world.approve(token, &request).await.expect(200);
        }
    }
    assert_eq!(identity(world, id).await.text("/state"), "active");
}

/// The record's refusals for a reason.
async fn recorded(world: &World, reason: &str) -> usize {
    let events = world.events().await;
    events.iter().filter(|event| event["kind"] == "access.refused" && event["data"]["reason"] == reason).count()
}

on_one! {
    async fn r19_no_exception_is_for_a_class_or_a_person_and_none_is_inherited(world: World) {
        let (draft, _) = wildcard_draft(&world, "importer").await;
        for subject in [json!({"type": "class", "id": "human"}), json!({"class": "human"}), json!("human"), json!({"type": "identity", "id": "*"}), json!({"type": "person", "id": world.owner_id})] {
            let mut ask = proposal("wildcard_scope", &draft, "1d");
            ask["subject"] = subject.clone();
            let refused = propose(&world, ask).await.expect(422);
            assert_eq!(refused.code(), "not_waivable", "{subject}");
            assert!(refused.text("/hint").contains("owner or the expiry"));
        }
        // What is for a person is asked for on the people's side only, and has no effect on what the person owns.
        let mut ask = proposal("late_review", &draft, "1d");
        ask["type"] = json!("fast_onboarding");
        ask["subject"] = json!({"type": "person", "id": world.owner_id});
        assert_eq!(propose(&world, ask).await.expect(422).code(), "not_waivable");
        let refused = submit(&world, &draft).await.expect(403);
        assert_eq!(refused.code(), "no_route");
        assert!(refused.body["policies"].as_array().unwrap().contains(&json!("wildcard-scope")), "{}", refused.body);
        assert_eq!(recorded(&world, "not_waivable").await, 6);
    }

    async fn r39_nothing_waives_the_owner_or_the_expiry(world: World) {
        let (id, _) = world.exporter("exporter").await;
        for kind in ["owner", "expiry", "never_expires", "no_owner", "credential_expiry", "always_on", ""] {
            let mut ask = proposal("wildcard_scope", &id, "1d");
            ask["type"] = json!(kind);
            let refused = propose(&world, ask).await.expect(422);
            assert_eq!(refused.code(), "not_waivable", "{kind}");
            assert!(refused.text("/hint").contains("no exception waives the owner or the expiry"), "{}", refused.body);
        }
        // An exception of each real type is let in, and still no charter lacks its owner or its end.
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["expires_at"] = json!(null);
        charter["owner"] = json!(null);
        let draft = world.register("forever", charter, "draft").await.expect(201).text("/id");
        for kind in ["wildcard_scope", "late_review"] {
            let proposed = propose(&world, proposal(kind, &draft, "1d")).await;
            // Without an owner on record nobody's manager answers for it.
            assert_eq!(proposed.expect(403).code(), "no_route");
        }
        let refused = submit(&world, &draft).await.expect(422);
        assert_eq!(refused.field_codes(), ["owner_missing", "expiry_missing"]);
        // A later review is waived by a typed, expiring exception, which says when it ends.
        let late = granted(&world, "late_review", &id, "10d").await;
        let shown = exception(&world, &late).await;
        assert!(shown.text("/ends_at").as_str() > in_secs(9 * 86_400).as_str() && shown.text("/ends_at").as_str() < in_secs(11 * 86_400).as_str());
        // None lasts longer than its type allows, nor is without an end.
        for duration in ["31d", "0s"] {
            let refused = propose(&world, proposal("late_review", &id, duration)).await.expect(422);
            assert_eq!(refused.field_codes(), ["duration_out_of_range"]);
        }
    }

    async fn r32_a_weaker_credential_is_refused_unless_an_exception_is_attached(world: World) {
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["credential_types"] = json!(["api_key"]);
        for stage in ["pending", "active"] {
            let refused = world.register("legacy", charter.clone(), stage).await.expect(403);
            assert_eq!(refused.code(), "no_route");
            assert!(refused.body["policies"].as_array().unwrap().contains(&json!("weaker-credential")), "{}", refused.body);
        }
        let draft = world.register("legacy", charter, "draft").await.expect(201).text("/id");
        assert_eq!(submit(&world, &draft).await.expect(403).code(), "no_route");
        // R108: with any of the four controls absent it isn't let in.
        for absent in ["vaulting", "rotation", "ownership", "revalidation"] {
            let mut ask = proposal("weaker_credential", &draft, "30d");
            ask["compensating"].as_array_mut().unwrap().retain(|control| control["control"] != absent);
            let refused = propose(&world, ask).await.expect(422);
            assert_eq!(refused.field_codes(), ["control_missing"]);
            assert!(refused.text("/fields/0/hint").contains(absent));
        }
        let id = granted(&world, "weaker_credential", &draft, "30d").await;
        let shown = exception(&world, &id).await;
        assert_eq!((shown.text("/state"), shown.body["approved_by"].as_array().unwrap().len()), ("active".into(), 2));
        activate(&world, &draft).await;
        assert_eq!(identity(&world, &draft).await.body["exceptions"], json!([id]));
        assert!(findings(&world, "weaker-credential", &draft).await.is_empty());
        // An access token is no API key: the charter lists that alone.
        assert_eq!(world.ask_token(&key, &draft, "production").await.expect(400).code(), "weaker_credential");
    }

    async fn r05_an_api_key_is_listed_with_everything_but_its_secret(world: World) {
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["credential_types"] = json!(["access_token", "api_key"]);
        charter["scope"] = json!([{"actions": ["read", "write"], "resource": world.orders}]);
        let id = world.register("legacy", charter, "draft").await.expect(201).text("/id");
        granted(&world, "weaker_credential", &id, "20d").await;
        activate(&world, &id).await;
        let path = format!("/v1/identities/{id}/api-keys");
        // Not for everybody: with it one acts as the identity.
        for nobody in [&world.admin, &world.manager, &world.auditor] {
            world.post(nobody, &path, json!({})).await.expect(403);
        }
        assert_eq!(world.post(&world.owner, &path, json!({"actions": ["enforce"]})).await.expect(403).code(), "outside_scope");
        let issued = world.post(&world.owner, &path, json!({"actions": ["read"]})).await.expect(201);
        let (credential, secret) = (issued.text("/id"), issued.text("/api_key"));
        assert!(secret.starts_with("tnr_key_"));
        // It ends with the exception, before the cadence of 30 days.
        assert!(issued.text("/expires_at") <= in_secs(20 * 86_400), "{}", issued.body);
        assert!(world.is_live(&secret).await);
        assert!(world.is_allowed(&id, Some(&secret), "read").await);
        assert!(!world.is_allowed(&id, Some(&secret), "write").await);
        world.until(async || world.get(&world.auditor, &format!("/v1/credentials/{credential}")).await.expect(200).body["last_used"].is_string()).await;
        let listed = world.get(&world.auditor, &format!("/v1/identities/{id}/credentials")).await.expect(200);
        let item = &listed.body["items"][0];
        assert_eq!((&item["id"], &item["type"], &item["owner"], &item["purpose"]), (&json!(credential), &json!("api_key"), &json!(world.owner_id), &json!("exports invoices")));
        assert!(item["expires_at"].is_string() && !item["revoked_by"].as_array().unwrap().is_empty(), "{item}");
        // Neither the secret nor its hash stands anywhere that can be read.
        let tail = &secret[secret.len() - 30..];
        for text in [listed.body.to_string(), world.text(&world.auditor, "/v1/log/export").await] {
            assert!(!text.contains(tail) && !text.contains("\"hash\""));
        }
        // A bent one, one with another's id, and the key as an operator's token open nothing.
        let mut bent = secret.clone();
        bent.replace_range(bent.len() - 1.., if secret.ends_with('a') { "b" } else { "a" });
        assert!(!world.is_live(&bent).await);
        world.get(&secret, "/v1/people").await.expect(401);
        // It dies as any credential does: by its own revocation, and with the exception.
        let second = world.post(&world.owner, &path, json!({"ttl": "1h"})).await.expect(201).text("/api_key");
        world.revoke("credential", &credential).await.expect(201);
        assert!(!world.is_live(&secret).await && world.is_live(&second).await);
        let exceptions = identity(&world, &id).await;
        world.post(&world.security, &format!("/v1/exceptions/{}/withdraw", exceptions.text("/exceptions/0")), json!({"reason": "moved"})).await.expect(200);
        world.until(async || !world.is_live(&second).await).await;
        assert_ne!(world.post(&world.owner, &path, json!({})).await.status, 201);
    }

    async fn r05_without_exception_there_is_no_api_key(world: World) {
        let (id, _) = world.exporter("exporter").await;
        let refused = world.post(&world.owner, &format!("/v1/identities/{id}/api-keys"), json!({})).await.expect(403);
        assert!(["policy_denied", "weaker_credential"].contains(&refused.code().as_str()), "{}", refused.body);
    }

    async fn r105_a_shared_identity_is_debt_that_is_counted(world: World) {
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["shared"] = json!({"consumers": ["a"], "migration_plan": ""});
        let refused = world.register("everyones", charter.clone(), "pending").await.expect(422);
        assert_eq!(refused.field_codes(), ["consumers_missing", "migration_plan_missing"]);
        charter["shared"] = json!({"consumers": ["emea", "apac"], "migration_plan": "each gets its own by May"});
        assert_eq!(world.register("everyones", charter.clone(), "pending").await.expect(403).code(), "no_route");
        let draft = world.register("everyones", charter, "draft").await.expect(201).text("/id");
        granted(&world, "shared_use", &draft, "60d").await;
        activate(&world, &draft).await;
        world.token(&key, &draft, "production").await;
        world.until(async || findings(&world, "shared-identity", &draft).await.len() == 1).await;
        let summary = world.get(&world.auditor, "/v1/findings/summary").await.expect(200);
        assert_eq!(summary.body["debt"], json!({"shared_identities": 1, "exceptions": 1, "renewed_exceptions": 0, "breached_exceptions": 0, "unowned": 0}));
        assert_eq!(summary.body["open_by_rule"]["shared-identity"], 1);
        // Its debt is paid off: the flag goes by a narrowing, and the finding with it.
        let mut charter = identity(&world, &draft).await.body["charter"].clone();
        charter["shared"] = json!(null);
        world.put(&world.owner, &format!("/v1/identities/{draft}/charter"), charter).await.expect(200);
        world.until(async || findings(&world, "shared-identity", &draft).await.is_empty()).await;
    }

    async fn r109_a_long_lived_account_needs_each_of_its_three_controls(world: World) {
        let (id, _) = world.exporter("exporter").await;
        for absent in ["monitoring", "scope_reduction", "documented_expiry"] {
            let mut ask = proposal("dormancy", &id, "30d");
            for control in ask["compensating"].as_array_mut().unwrap() {
                if control["control"] == absent {
                    control["description"] = json!("  ");
                }
            }
            let refused = propose(&world, ask).await.expect(422);
            assert_eq!(refused.field_codes(), ["control_missing"]);
        }
        granted(&world, "dormancy", &id, "30d").await;
    }

    async fn r112_the_end_of_an_exception_removes_the_access_that_needed_it(world: World) {
        world.hold();
        let (draft, key) = wildcard_draft(&world, "importer").await;
        let first = granted(&world, "wildcard_scope", &draft, "8s").await;
        activate(&world, &draft).await;
        let token = world.token(&key, &draft, "production").await;
        assert!(world.is_allowed(&draft, Some(&token), "write").await);
        // It ends by itself: what needed it is suspended, everything that it holds is refused, and its owner is told.
        world.pass(6).await;
        world.until(async || !world.events_of("exception.ending", &first).await.is_empty()).await;
        world.pass(2).await;
        until_exception(&world, &first, "expired").await;
        assert_eq!(identity(&world, &draft).await.text("/suspensions/0/kind"), "exception_ended");
        assert!(!world.is_live(&token).await && !world.is_allowed(&draft, Some(&token), "write").await);
        assert_eq!(world.ask_token(&key, &draft, "production").await.expect(400).code(), "identity_suspended");
        let found = findings(&world, "exception-ended", &draft).await;
        assert_eq!((found.len(), &found[0]["evidence"]["exception"]), (1, &json!(first)));
        let suspended = world.events_of("identity.suspended", &draft).await;
        assert_eq!(suspended[0]["data"]["alert"], true);
        assert_eq!(suspended[0]["data"]["notify"]["to"], json!([world.owner_id]));
        assert_eq!(world.events_of("exception.ending", &first).await.len(), 1, "its owner was warned once");
        // The owner doesn't lift it, and security not while the need for it remains.
        let resume = json!({"reason": "still needed"});
        let path = format!("/v1/identities/{draft}/resume");
        world.post(&world.owner, &path, resume.clone()).await.expect(403);
        assert_eq!(world.post(&world.security, &path, resume.clone()).await.expect(422).code(), "not_waivable");
        // Narrowed to what it needs it comes back, and what it held before stays dead only by its own end.
        let mut charter = identity(&world, &draft).await.body["charter"].clone();
        charter["scope"] = json!([{"actions": ["read"], "resource": world.orders}]);
        world.put(&world.owner, &format!("/v1/identities/{draft}/charter"), charter).await.expect(200);
        world.post(&world.security, &path, resume).await.expect(200);
        assert!(findings(&world, "exception-ended", &draft).await.is_empty());
        let token = world.token(&key, &draft, "production").await;
        assert!(world.is_allowed(&draft, Some(&token), "read").await && !world.is_allowed(&draft, Some(&token), "write").await);
    }

    async fn r112_renewals_are_capped_and_shown(world: World) {
        let (id, _) = world.exporter("exporter").await;
        let mut last = granted(&world, "late_review", &id, "1d").await;
        for renewal in 1..=2 {
            // Left unsaid it counts all the same.
            let ask = proposal("late_review", &id, "1d");
            let proposed = if renewal == 1 {
                world.post(&world.owner, &format!("/v1/exceptions/{last}/renew"), json!({"reason": "not yet", "duration": "1d"})).await
            } else {
                propose(&world, ask).await
            };
            let proposed = proposed.expect(201);
            assert_eq!((&proposed.body["renewals"], &proposed.body["renewals_left"], proposed.text("/renews")), (&json!(renewal), &json!(2 - renewal), last));
            // One at a time.
            assert_eq!(propose(&world, proposal("late_review", &id, "1d")).await.expect(409).code(), "illegal_transition");
            approved(&world, &proposed).await;
            last = proposed.text("/id");
        }
        for ask in [proposal("late_review", &id, "1d"), proposal("late_review", &id, "1s")] {
            let refused = propose(&world, ask).await.expect(403);
            assert_eq!(refused.code(), "renewals_used_up");
            assert!(refused.text("/detail").contains("2 of 2"));
        }
        let path = format!("/v1/exceptions?identity={id}&state=active");
        let shown = world.get(&world.auditor, &path).await.expect(200);
        let mut renewals: Vec<_> = shown.body["items"].as_array().unwrap().iter().map(|item| item["renewals"].as_u64().unwrap()).collect();
        renewals.sort_unstable();
        assert_eq!(renewals, [0, 1, 2]);
        let summary = world.get(&world.auditor, "/v1/findings/summary").await.expect(200);
        assert_eq!(summary.body["debt"]["renewed_exceptions"], 2);
        // What has ended can't be renewed from its middle.
        let first = shown.body["items"][0]["id"].as_str().unwrap();
        let refused = world.post(&world.owner, &format!("/v1/exceptions/{first}/renew"), json!({"reason": "again", "duration": "1d"})).await.expect(422);
        assert_eq!(refused.field_codes(), ["renews_unknown"]);
    }

    async fn a_denied_or_withdrawn_proposal_confers_nothing(world: World) {
        let (draft, _) = wildcard_draft(&world, "importer").await;
        let denied = propose(&world, proposal("wildcard_scope", &draft, "1d")).await.expect(201);
        let request = denied.text("/request");
        let hash = world.get(&world.security, &format!("/v1/requests/{request}")).await.text("/content_hash");
        world.post(&world.security, &format!("/v1/requests/{request}/deny"), json!({"content_hash": hash, "comment": "no"})).await.expect(200);
        assert_eq!(exception(&world, &denied.text("/id")).await.text("/state"), "withdrawn");
        // Withdrawn by who proposed it, with its request; and by the request.
        let second = propose(&world, proposal("wildcard_scope", &draft, "1d")).await.expect(201);
        world.post(&world.owner, &format!("/v1/exceptions/{}/withdraw", second.text("/id")), json!({"reason": "not needed"})).await.expect(200);
        assert_eq!(world.get(&world.security, &format!("/v1/requests/{}", second.text("/request"))).await.text("/state"), "withdrawn");
        let third = propose(&world, proposal("wildcard_scope", &draft, "1d")).await.expect(201);
        assert_eq!(third.body["renewals"], 0, "what was never in force is not renewed");
        world.post(&world.owner, &format!("/v1/requests/{}/withdraw", third.text("/request")), json!({})).await.expect(200);
        assert_eq!(exception(&world, &third.text("/id")).await.text("/state"), "withdrawn");
        assert_eq!(submit(&world, &draft).await.expect(403).code(), "no_route");
    }

    async fn a_breached_control_is_put_back_or_the_waiver_goes(world: World) {
        let (draft, key) = wildcard_draft(&world, "importer").await;
        let id = granted(&world, "wildcard_scope", &draft, "30d").await;
        activate(&world, &draft).await;
        let token = world.token(&key, &draft, "production").await;
        let breach = json!({"control": "monitoring", "note": "the alert is muted"});
        let (_, stranger) = world.person("Una", &["requester"]).await;
        world.post(&stranger, &format!("/v1/exceptions/{id}/report-breach"), breach.clone()).await.expect(403);
        let unknown = json!({"control": "prayer", "note": "nothing"});
        world.post(&world.security, &format!("/v1/exceptions/{id}/report-breach"), unknown).await.expect(422);
        world.post(&world.security, &format!("/v1/exceptions/{id}/report-breach"), breach.clone()).await.expect(200);
        let shown = exception(&world, &id).await;
        assert_eq!(shown.text("/state"), "breached");
        assert_eq!(findings(&world, "exception-breached", &draft).await.len(), 1);
        assert!(world.is_live(&token).await, "in the grace period it works on");
        world.post(&world.owner, &format!("/v1/exceptions/{id}/restore-control"), json!({"note": "unmuted, seen to fire"})).await.expect(200);
        assert_eq!(exception(&world, &id).await.text("/state"), "active");
        assert!(findings(&world, "exception-breached", &draft).await.is_empty());
        assert!(exception(&world, &id).await.body["breached_at"].is_null());
        // Taken back, what rests on it stops at once.
        world.post(&world.security, &format!("/v1/exceptions/{id}/withdraw"), json!({"reason": "muted again"})).await.expect(200);
        assert_eq!(identity(&world, &draft).await.text("/state"), "suspended");
        assert!(!world.is_live(&token).await);
        for step in ["withdraw", "report-breach", "restore-control"] {
            let body = match step {
                "withdraw" => json!({"reason": "again"}),
                "report-breach" => breach.clone(),
                _ => json!({"note": "again"}),
            };
            assert_eq!(world.post(&world.security, &format!("/v1/exceptions/{id}/{step}"), body).await.expect(409).code(), "illegal_transition");
        }
    }

    async fn the_command_line_proposes_shows_and_finds(world: World) {
        let (draft, _) = wildcard_draft(&world, "importer").await;
        let run = |token: &str, arguments: &[&str]| {
            let output = crate::world::tenure().args(arguments).args(["-o", "json"]).env("TENURE_SERVER", &world.server.url).env("TENURE_TOKEN", token).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            (output.status.code().unwrap(), serde_json::from_str::<Value>(&text).unwrap_or_default(), String::from_utf8(output.stderr).unwrap())
        };
        let ask = ["exception", "propose", "wildcard_scope", "--identity", &draft, "--reason", "legacy", "--for", "30d", "--control", "monitoring=alert 7"];
        let (code, _, said) = run(&world.owner, &ask);
        assert!(code == 1 && said.contains("scope_reduction"), "{said}");
        let (code, proposed, said) = run(&world.owner, &[&ask[..], &["--control", "scope_reduction=read replica"]].concat());
        assert_eq!((code, &proposed["state"]), (0, &json!("proposed")), "{said}");
        assert!(said.contains("tenure request show req_"), "{said}");
        let id = proposed["id"].as_str().unwrap();
        assert_eq!(run(&world.owner, &["exception", "show", id]).1["renewals_left"], 2);
        assert_eq!(run(&world.auditor, &["exception", "list", "--identity", &draft]).1["items"][0]["id"], id);
        assert_eq!(run(&world.owner, &["exception", "withdraw", id, "--reason", "not needed"]).1["state"], "withdrawn");
        assert_eq!(run(&world.owner, &["identity", "posture", &draft]).1["broken"][0]["rule"], "wildcard-scope");
        assert_eq!(run(&world.auditor, &["finding", "list"]).1["items"], json!([]));
        assert!(run(&world.auditor, &["finding", "rules"]).1["items"].as_array().unwrap().len() >= 15);
        assert_eq!(run(&world.auditor, &["finding", "summary"]).1["debt"]["exceptions"], 0);
        let (_, need, said) = run(&world.admin, &["need", "create", "--type", "project", "--name", "atlas", "--owner", &world.owner_id]);
        assert_eq!(need["standing"], "open", "{said}");
        assert_eq!(run(&world.owner, &["need", "close", need["id"].as_str().unwrap(), "--reason", "done"]).1["standing"], "closed");
        assert_eq!(run(&world.auditor, &["need", "list", "--standing", "closed"]).1["items"].as_array().unwrap().len(), 1);
    }

    async fn attack_nobody_approves_an_exception_of_their_own(world: World) {
        let (draft, _) = wildcard_draft(&world, "importer").await;
        let proposed = propose(&world, proposal("wildcard_scope", &draft, "1d")).await.expect(201);
        let request = proposed.text("/request");
        assert!(["self_approval", "not_eligible"].contains(&world.approve(&world.owner, &request).await.expect(403).code().as_str()));
        // Security's own proposal takes another one of security.
        let (_, other) = world.person("Sue", &["security"]).await;
        let (second, _) = wildcard_draft(&world, "exporter").await;
        let own = world.post(&world.security, "/v1/exceptions", proposal("wildcard_scope", &second, "1d")).await.expect(201);
        assert_eq!(world.approve(&world.security, &own.text("/request")).await.expect(403).code(), "self_approval");
        world.approve(&other, &own.text("/request")).await.expect(200);
        assert_eq!(exception(&world, &own.text("/id")).await.text("/state"), "proposed");
        // An administrator decides on nobody's waiver, and a requester who is a stranger to it can't ask in the owner's
        // name.
        world.approve(&world.admin, &request).await.expect(403);
        let (_, auditor) = world.person("Abe", &["auditor"]).await;
        world.post(&auditor, "/v1/exceptions", proposal("wildcard_scope", &draft, "1d")).await.expect(403);
        // Nor does it come in by the requests' own door, without a record of its own.
        let smuggled = json!({"type": "exception", "exception": proposed.text("/id")});
        assert_eq!(world.ask(&world.owner, smuggled, "again").await.expect(422).field_codes(), ["matter_proposed_elsewhere"]);
    }

    async fn attack_an_exception_is_good_for_one_identity_and_one_control(world: World) {
        let (first, _) = wildcard_draft(&world, "importer").await;
        let (second, _) = wildcard_draft(&world, "other").await;
        granted(&world, "wildcard_scope", &first, "1d").await;
        activate(&world, &first).await;
        // Another identity of the same owner doesn't share it, nor one control another's.
        assert_eq!(submit(&world, &second).await.expect(403).code(), "no_route");
        granted(&world, "late_review", &second, "1d").await;
        assert_eq!(submit(&world, &second).await.expect(403).code(), "no_route");
        // A charter can't name an exception for itself.
        let mut charter = identity(&world, &second).await.body["charter"].clone();
        charter["exceptions"] = identity(&world, &first).await.body["exceptions"].clone();
        let path = format!("/v1/identities/{second}/charter");
        world.put(&world.owner, &path, charter).await.expect(400);
    }

    async fn attack_an_expired_exception_lets_nothing_in(world: World) {
        world.hold();
        let (draft, _) = wildcard_draft(&world, "importer").await;
        let id = granted(&world, "wildcard_scope", &draft, "1s").await;
        world.pass(1).await;
        until_exception(&world, &id, "expired").await;
        assert_eq!(submit(&world, &draft).await.expect(403).code(), "no_route");
        // A request that was opened while it was in force is not approved after its end.
        let second = propose(&world, proposal("wildcard_scope", &draft, "4s")).await.expect(201);
        approved(&world, &second).await;
        let request = submit(&world, &draft).await.expect(200).text("/request");
        world.pass(4).await;
        until_exception(&world, &second.text("/id"), "expired").await;
        for token in [&world.manager, &world.security] {
            let _ = world.approve(token, &request).await;
        }
        assert_ne!(identity(&world, &draft).await.text("/state"), "active");
    }
}

in_real_time! {
    attack_an_expired_exception_lets_nothing_in on World::binary(Store::Sqlite, &[]);
}
