//! What GitHub tells of repositories, signed by octokit's library, and what becomes of pipelines that prove themselves
//! by tokens with GitHub's claims: drafts (R8, R80), ends (R82), moves (R86).

use std::io::Write;
use std::process::Stdio;

use super::*;
use crate::peers::{AUDIENCE, Provider, exchange, node};
use crate::presets::{REPOSITORY, active, github, github_is_trusted, is_issued, is_refused, pipeline};

/// GitHub as a source that speaks of what `acme` has, beside the issuer of its pipelines' tokens.
async fn hook(world: &World, provider: &Provider, template: Value) -> Source {
    let mut body = registration(world, "github", "github", "hmac");
    body["kinds"] = json!(["repository_moved", "repository_archived"]);
    body["subjects"] = json!(["repository:acme/*", "workload:acme/*"]);
    body["issuer"] = json!(provider.url);
    if !template.is_null() {
        body["template"] = template;
        body["kinds"] = json!(["workload_created"]);
    }
    source(world, body).await
}

/// What octokit's delivery is answered with.
async fn send(world: &World, hook: &Source, event: &str, payload: &Value) -> Value {
    let mut command = node("github_hook.mjs");
    command.arg(format!("{}/signals/{}", world.server.url, hook.name)).arg(event);
    let given = json!({"secret": hook.secret, "payload": payload}).to_string();
    let run = move || {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(given.as_bytes()).unwrap();
        child.wait_with_output().unwrap().stdout
    };
    serde_json::from_slice(&tokio::task::spawn_blocking(run).await.unwrap()).unwrap()
}

/// Delivers it, and waits until it is worked off.
async fn tell(world: &World, hook: &Source, event: &str, payload: &Value) -> Value {
    let answer = send(world, hook, event, payload).await;
    assert_eq!(
        (&answer["status"], answer["body"]["signals"].as_array().map(Vec::len)),
        (&json!(202), Some(1)),
        "{answer}"
    );
    let path = format!("/v1/signals/{}", answer["body"]["signals"][0]["id"].as_str().unwrap());
    world.until(async || world.get(&world.security, &path).await.expect(200).text("/state") != "received").await;
    world.get(&world.security, &path).await.expect(200).body
}

fn repository(name: &str, id: u64, owner_id: u64) -> Value {
    let (owner, short) = name.split_once('/').unwrap();
    json!({"id": id, "name": short, "full_name": name, "owner": {"login": owner, "id": owner_id}, "visibility": "private", "default_branch": "main"})
}

/// An event `repository` with these members besides.
fn of_repository(action: &str, repository: Value, changes: Value) -> Value {
    let mut body = json!({"action": action, "repository": repository, "sender": {"login": "ada", "id": 1}});
    if !changes.is_null() {
        body["changes"] = changes;
    }
    body
}

on_one! { by |store| World::start_with(store, &LONG);
    async fn r86_a_transfer_that_breaks_the_binding_revokes_at_once(world: World) {
        let provider = Provider::start("RS256", "first");
        github_is_trusted(&world, &provider).await;
        let hook = hook(&world, &provider, Value::Null).await;
        // Two pipelines of a repository, and one of another.
        let in_environment = |name: &str| json!({"repository_id": REPOSITORY, "environment": name});
        let list = ["acme/billing", REPOSITORY];
        let release = active(&world, "pipeline", "release", &pipeline(&world, &provider, &list, &in_environment("production"))).await;
        let test = active(&world, "pipeline", "test", &pipeline(&world, &provider, &list, &in_environment("test"))).await;
        let web = pipeline(&world, &provider, &["acme/web"], &json!({"repository_id": "75", "environment": "production"}));
        let web = active(&world, "pipeline", "web", &web).await;
        let of_test = github(&json!({"environment": "test"}));
        let of_web = github(&json!({"repository": "acme/web", "repository_id": "75"}));
        let tokens = [
            is_issued(&world, &provider, &release, &github(&json!({}))).await.text("/access_token"),
            is_issued(&world, &provider, &test, &of_test).await.text("/access_token"),
        ];
        let untouched = is_issued(&world, &provider, &web, &of_web).await.text("/access_token");
        let both = |heard: &Value| {
            let mut named = heard["outcome"]["identities"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect::<Vec<_>>();
            named.sort();
            let mut expected = vec![release.clone(), test.clone()];
            expected.sort();
            named == expected
        };

        // Renamed: its ids are what they were, so that nothing is taken away, and only a newer proof gives more.
        let older = provider.shaped(&github(&json!({})), AUDIENCE).await;
        let change = json!({"repository": {"name": {"from": "billing"}}});
        let renamed = tell(&world, &hook, "repository", &of_repository("renamed", repository("acme/ledger", 74, 1234), change)).await;
        assert!(both(&renamed), "{renamed}");
        for token in &tokens {
            assert!(world.is_live(token).await);
        }
        is_refused(&world, &release, &older, "binding_unverified").await;
        let newer = github(&json!({"repository": "acme/ledger", "sub": "repo:acme/ledger:environment:production"}));
        world
            .until(async || exchange(&world, &release, &provider.shaped(&newer, AUDIENCE).await, "production").await.status == 200)
            .await;
        assert_eq!(world.events_of("binding.verified", &release).await[0]["data"]["signal"], renamed["id"]);
        assert_eq!(identity(&world, &release).await["state"], "active");

        // Transferred to another owner, whose id the issuer doesn't take: whatever the new name is, it ends now.
        let change = json!({"owner": {"from": {"organization": {"login": "acme", "id": 1234}}}});
        let transferred = tell(&world, &hook, "repository", &of_repository("transferred", repository("initech/billing", 74, 99), change)).await;
        assert!(both(&transferred), "{transferred}");
        for (id, token) in [&release, &test].into_iter().zip(&tokens) {
            assert!(!world.is_live(token).await && !world.is_allowed(id, Some(token), "read").await);
            let held = identity(&world, id).await;
            assert_eq!((&held["state"], &held["suspensions"][0]["kind"], &held["suspensions"][0]["releasable_by"]), (&json!("suspended"), &json!("binding_broken"), &json!("security")), "{held}");
            let mover = world.events_of("workload.mover", id).await;
            assert_eq!(mover.last().unwrap()["data"]["broken"], json!(["repository_owner_id"]));
            let found = world.get(&world.auditor, &format!("/v1/findings?subject={id}&rule=binding-broken")).await.expect(200);
            let evidence = &found.body["items"][0]["evidence"];
            assert_eq!((&evidence["broken"], &evidence["signal"]), (&json!(["repository_owner_id"]), &transferred["id"]), "{}", found.body);
            let receipts = world.get(&world.auditor, &format!("/v1/receipts?target=identity/{id}")).await.expect(200);
            assert_eq!(receipts.body["items"].as_array().unwrap().len(), 1, "{}", receipts.body);
        }
        // Neither the old owner's proof nor the new one's gives anything, and what was not spoken of goes on.
        let stolen = github(&json!({"repository": "initech/billing", "repository_owner": "initech", "repository_owner_id": "99"}));
        for claims in [github(&json!({})), stolen] {
            exchange(&world, &release, &provider.shaped(&claims, AUDIENCE).await, "production").await.expect(400);
        }
        assert!(world.is_live(&untouched).await);
        is_issued(&world, &provider, &web, &of_web).await;
        // Nor does the owner let it go on: that is for security.
        world.post(&world.owner, &format!("/v1/identities/{release}/resume"), json!({"reason": "it was us"})).await.expect(403);
    }

    async fn r08_a_deployment_at_github_drafts_an_identity_bound_by_ids_that_stay(world: World) {
        let provider = Provider::start("RS256", "first");
        github_is_trusted(&world, &provider).await;
        let scope = json!([{"actions": ["read"], "resource": world.orders}]);
        let template = json!({
            "name": "deployment", "kind": "pipeline", "description": "deployments of acme", "default_life": "20d", "max_life": "30d",
            "max_credential_ttl": "15m", "max_tier": "high", "max_scope": scope, "environments": ["production"], "repositories": ["acme/billing"],
            "defaults": {
                "owner": world.owner_id, "purpose": "deploys", "scope": scope, "environment": "production", "application": world.application,
                "trust_boundary": {"type": "trust_domain", "value": "prod.example.com"}, "retirement": [{"type": "task_completed"}],
                "rotation_cadence": "30d", "coverage": "role_based", "auto_revocation": ["suspension"],
                "parties": {"requester": world.owner_id, "operator": "billing", "beneficiary": "finance"},
            },
        });
        let body = json!({"template": template, "purpose": "deployments"});
        world.call(reqwest::Method::PUT, &world.admin, "/v1/templates/deployment", Some(body)).await.expect(201);
        let hook = hook(&world, &provider, json!("deployment")).await;
        let deployment = json!({
            "action": "created", "repository": repository("acme/billing", 74, 1234), "sender": {"login": "ada", "id": 1},
            "deployment": {"id": 512, "environment": "production", "ref": "main", "sha": "a".repeat(40), "created_at": "2026-11-20T10:00:00Z"},
        });
        let heard = tell(&world, &hook, "deployment", &deployment).await;
        assert_eq!(heard["word"]["subject"], json!({"type": "workload", "id": "acme/billing/production"}));
        let id = heard["outcome"]["identities"][0].as_str().unwrap_or_else(|| panic!("{heard}")).to_owned();
        let draft = identity(&world, &id).await;
        let binding = &draft["charter"]["workload_binding"];
        assert_eq!((&draft["state"], &draft["kind"], &draft["template"]), (&json!("draft"), &json!("pipeline"), &json!("deployment")));
        assert_eq!((&binding["type"], &binding["workload"], &binding["issuer"]), (&json!("oidc"), &json!("acme/billing/production"), &json!(provider.url)), "{binding}");
        // The platform writes them as numbers here, and as text in its tokens.
        assert_eq!((&binding["claims"]["repository_id"], &binding["claims"]["environment"]), (&json!(REPOSITORY), &json!("production")), "{binding}");
        // A draft gets nothing, and people make it more than one; then its own token, and no other's, is its proof.
        is_refused(&world, &id, &provider.shaped(&github(&json!({})), AUDIENCE).await, "identity_not_active").await;
        world.hand_in(&id).await;
        is_issued(&world, &provider, &id, &github(&json!({}))).await;
        for other in [json!({"repository_id": "75"}), json!({"environment": "test"}), json!({"repository_owner_id": "99"})] {
            exchange(&world, &id, &provider.shaped(&github(&other), AUDIENCE).await, "production").await.expect(400);
        }
        // The next deployment of the same finds it there.
        let mut again = deployment.clone();
        again["deployment"]["id"] = json!(513);
        assert_eq!(tell(&world, &hook, "deployment", &again).await["outcome"]["identities"], json!([id]));
    }

    async fn s12_a_delivery_that_octokit_signs_with_another_secret_is_not_githubs(world: World) {
        let provider = Provider::start("RS256", "first");
        github_is_trusted(&world, &provider).await;
        let mut hook = hook(&world, &provider, Value::Null).await;
        let payload = of_repository("archived", repository("acme/billing", 74, 1234), Value::Null);
        let good = send(&world, &hook, "repository", &payload).await;
        assert_eq!((&good["status"], &good["body"]["duplicate"]), (&json!(202), &json!(false)));
        // Delivered again, as GitHub does by its button: another delivery id, and the same body.
        let again = send(&world, &hook, "repository", &payload).await;
        assert_eq!((&again["status"], &again["body"]["duplicate"], &again["body"]["signals"][0]["id"]), (&json!(202), &json!(true), &good["body"]["signals"][0]["id"]));
        hook.secret.push('x');
        let forged = send(&world, &hook, "repository", &of_repository("deleted", repository("acme/billing", 74, 1234), Value::Null)).await;
        assert_eq!((&forged["status"], &forged["body"]["code"]), (&json!(401), &json!("signal_not_authentic")));
    }
}

on_one! { by |store| World::start_with(store, &SHORT);
    async fn r82_a_deleted_repositorys_pipeline_is_revoked_with_proof(world: World) {
        let provider = Provider::start("RS256", "first");
        github_is_trusted(&world, &provider).await;
        let hook = hook(&world, &provider, Value::Null).await;
        let claims = json!({"repository_id": REPOSITORY, "environment": "production"});
        let id = active(&world, "pipeline", "release", &pipeline(&world, &provider, &["acme/billing"], &claims)).await;
        let web = pipeline(&world, &provider, &["acme/web"], &json!({"repository_id": "75", "environment": "production"}));
        let web = active(&world, "pipeline", "web", &web).await;
        let token = is_issued(&world, &provider, &id, &github(&json!({}))).await.text("/access_token");
        let of_web = github(&json!({"repository": "acme/web", "repository_id": "75"}));
        let untouched = is_issued(&world, &provider, &web, &of_web).await.text("/access_token");
        assert!(world.is_allowed(&id, Some(&token), "read").await);

        let heard = tell(&world, &hook, "repository", &of_repository("deleted", repository("acme/billing", 74, 1234), Value::Null)).await;
        assert_eq!(heard["outcome"]["identities"], json!([id]));
        assert!(!world.is_live(&token).await && !world.is_allowed(&id, Some(&token), "read").await);
        exchange(&world, &id, &provider.shaped(&github(&json!({})), AUDIENCE).await, "production").await.expect(400);
        let done = until_done(&world, &heard["outcome"]["removal"]).await;
        assert_eq!((&done["retired"], &identity(&world, &id).await["state"]), (&json!(1), &json!("retired")));
        let receipts = done["receipts"].as_array().unwrap();
        assert!(!receipts.is_empty(), "{done}");
        for receipt in receipts {
            let path = format!("/v1/receipts/{}", receipt.as_str().unwrap());
            world.until(async || world.get(&world.auditor, &path).await.expect(200).text("/state") != "open").await;
            let receipt = world.get(&world.auditor, &path).await.expect(200);
            assert!(receipt.body["points"].as_array().is_some_and(|points| !points.is_empty()), "{}", receipt.body);
        }
        // The workload is nobody else's after it, and what was not spoken of goes on.
        let heir = pipeline(&world, &provider, &["acme/billing"], &claims);
        let body = json!({"kind": "pipeline", "name": "heir", "charter": heir, "stage": "pending"});
        assert_eq!(world.post(&world.owner, "/v1/identities", body).await.expect(409).code(), "key_already_bound");
        assert!(world.is_live(&untouched).await);
        is_issued(&world, &provider, &web, &of_web).await;
    }
}
