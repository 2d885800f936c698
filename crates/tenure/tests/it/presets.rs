//! Workloads of CI platforms and clusters, proven by tokens of an OpenID provider by other people with the claims that
//! GitHub, GitLab and Kubernetes give theirs: bound on ids that stay (S-13, R9, R36); bootstrap by join tokens (R106,
//! S-15); one agent, one key (R59); API keys.

use serde_json::{Value, json};

use crate::exceptions::{activate, granted};
use crate::peers::{AUDIENCE, Provider, exchange, refuses};
use crate::rows::refusals;
use crate::world::{Answer, Key, Store, World, in_secs, now, random};
use crate::{on_one, signals};

const OWNER: &str = "1234";
pub const REPOSITORY: &str = "74";
const ACCOUNT: &str = "6f2d1c3a-0000-4aaa-8bbb-123456789abc";

/// What a job of `acme/billing` in its environment `production` is told by GitHub.
pub fn github(with: &Value) -> Value {
    let mut claims = json!({
        "sub": "repo:acme/billing:environment:production", "repository": "acme/billing", "repository_id": REPOSITORY,
        "repository_owner": "acme", "repository_owner_id": OWNER, "ref": "refs/heads/main", "environment": "production",
        "job_workflow_ref": "acme/billing/.github/workflows/release.yml@refs/heads/main", "runner_environment": "github-hosted",
        "event_name": "push", "run_id": "9001",
    });
    claims.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
    claims
}

/// What a pod with the service account `exporter` is told by its cluster.
fn kubernetes(uid: &str) -> Value {
    json!({
        "sub": "system:serviceaccount:billing:exporter",
        "kubernetes.io": {"namespace": "billing", "serviceaccount": {"name": "exporter", "uid": uid}, "pod": {"name": "exporter-7", "uid": "x"}},
    })
}

/// The platform as an issuer that is trusted.
pub async fn trust(world: &World, provider: &Provider, preset: &str, with: Value) -> Answer {
    let mut body = json!({"preset": preset, "url": provider.url, "audience": AUDIENCE, "environments": ["production"]});
    body.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
    world.post(&world.admin, "/v1/issuers", body).await
}

pub async fn github_is_trusted(world: &World, provider: &Provider) -> Answer {
    trust(world, provider, "github_actions", json!({"fixed_claims": {"repository_owner_id": OWNER}})).await.expect(201)
}

pub fn pipeline(world: &World, provider: &Provider, repositories: &[&str], claims: &Value) -> Value {
    let mut charter = world.charter(json!({}));
    charter["workload_binding"] =
        json!({"type": "oidc", "workload": "pipeline/release", "issuer": provider.url, "claims": claims});
    charter["repositories"] = json!(repositories);
    charter["auto_revocation"] = json!(["suspension"]);
    charter
}

pub async fn register(world: &World, kind: &str, name: &str, charter: &Value, stage: &str) -> Answer {
    let body = json!({"kind": kind, "name": name, "charter": charter, "stage": stage});
    world.post(&world.owner, "/v1/identities", body).await
}

pub async fn active(world: &World, kind: &str, name: &str, charter: &Value) -> String {
    let id = register(world, kind, name, charter, "pending").await.expect(201).text("/id");
    world.activate(&world.manager, &id).await.expect(200);
    id
}

/// Demands that a proof is refused for this reason, that it is in the log under the identity's name, and that nothing
/// was issued.
pub async fn is_refused(world: &World, id: &str, proof: &str, reason: &str) {
    let before = (refusals(world, id, reason).await.len(), world.events_of("credential.issued", id).await.len());
    let answer = exchange(world, id, proof, "production").await.expect(400);
    assert_eq!(answer.code(), reason);
    let after = (refusals(world, id, reason).await.len(), world.events_of("credential.issued", id).await.len());
    assert_eq!(after, (before.0 + 1, before.1));
}

pub async fn is_issued(world: &World, provider: &Provider, id: &str, claims: &Value) -> Answer {
    exchange(world, id, &provider.shaped(claims, AUDIENCE).await, "production").await.expect(200)
}

/// A token that nobody signed, or not as its issuer does.
fn forged(header: &Value, provider: &Provider, claims: &Value) -> String {
    let mut claims = claims.clone();
    let said = json!({"iss": provider.url, "aud": AUDIENCE, "iat": now(), "exp": now() + 300, "jti": random()});
    claims.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
    Key::new().sign(header, &claims)
}

on_one! {
    async fn r09_a_pipelines_repository_has_to_be_on_the_list(world: World) {
        let provider = Provider::start("RS256", "first");
        let issuer = github_is_trusted(&world, &provider).await;
        assert_eq!((issuer.text("/preset"), &issuer.body["algorithms"]), ("github_actions".into(), &json!(["RS256"])));
        let claims = json!({"repository_id": REPOSITORY, "environment": "production"});
        let by_name = active(&world, "pipeline", "by-name", &pipeline(&world, &provider, &["acme/billing"], &claims)).await;
        let issued = is_issued(&world, &provider, &by_name, &github(&json!({}))).await;
        assert!(world.is_live(&issued.text("/access_token")).await);
        // The repository was renamed: the id is the one that is bound, the name is on no list.
        let renamed = github(&json!({"repository": "acme/ledger", "sub": "repo:acme/ledger:environment:production"}));
        is_refused(&world, &by_name, &provider.shaped(&renamed, AUDIENCE).await, "repository_not_permitted").await;
        let mut nameless = github(&json!({}));
        for name in ["repository", "repository_id"] {
            nameless.as_object_mut().unwrap().remove(name);
        }
        refuses(&world, &by_name, &provider.shaped(&nameless, AUDIENCE).await, "production").await;
        // A list by id holds whatever the name is, and a repository on no list gets nothing although its binding fits.
        let test = json!({"repository_id": REPOSITORY, "environment": "test"});
        let by_id = active(&world, "pipeline", "by-id", &pipeline(&world, &provider, &[REPOSITORY], &test)).await;
        is_issued(&world, &provider, &by_id, &github(&json!({"environment": "test", "repository": "acme/ledger"}))).await;
        let other = json!({"repository_id": "75", "environment": "production"});
        let unlisted = active(&world, "pipeline", "unlisted", &pipeline(&world, &provider, &["acme/billing"], &other)).await;
        let proof = provider.shaped(&github(&json!({"repository_id": "75", "repository": "acme/web"})), AUDIENCE).await;
        is_refused(&world, &unlisted, &proof, "repository_not_permitted").await;
        // A workload that is no pipeline has no such list.
        let mut charter = world.charter(json!({}));
        charter["workload_binding"] = json!({"type": "oidc", "workload": "w", "issuer": provider.url, "claims": {"repository_id": "76", "ref": "refs/heads/main"}});
        let workload = active(&world, "workload", "no-pipeline", &charter).await;
        is_issued(&world, &provider, &workload, &github(&json!({"repository_id": "76"}))).await;
    }

    async fn r21_each_pipeline_is_an_identity_of_its_own_or_an_exception_lists_them(world: World) {
        let provider = Provider::start("RS256", "first");
        github_is_trusted(&world, &provider).await;
        let claims = json!({"repository_id": REPOSITORY, "environment": "production"});
        let emea = active(&world, "pipeline", "emea", &pipeline(&world, &provider, &["acme/billing"], &claims)).await;
        is_issued(&world, &provider, &emea, &github(&json!({}))).await;
        // The same automation in another pipeline is another use: its proof isn't the first one's.
        let elsewhere = github(&json!({"repository_id": "75", "repository": "acme/web"}));
        refuses(&world, &emea, &provider.shaped(&elsewhere, AUDIENCE).await, "production").await;
        let claims = json!({"repository_id": "75", "environment": "production"});
        let apac = active(&world, "pipeline", "apac", &pipeline(&world, &provider, &["75"], &claims)).await;
        is_issued(&world, &provider, &apac, &elsewhere).await;
        refuses(&world, &apac, &provider.shaped(&github(&json!({})), AUDIENCE).await, "production").await;
        // One identity for both takes the exception that lists them.
        let claims = json!({"repository_id": "76", "environment": "production"});
        let mut both = pipeline(&world, &provider, &["76"], &claims);
        both["shared"] = json!({"consumers": ["emea", "apac"], "migration_plan": "each gets its own by May"});
        assert_eq!(register(&world, "pipeline", "both", &both, "pending").await.expect(403).code(), "no_route");
    }

    async fn d15_a_name_in_other_letters_is_the_same_repository(world: World) {
        let provider = Provider::start("RS256", "first");
        github_is_trusted(&world, &provider).await;
        let claims = json!({"repository_id": REPOSITORY, "repository": "acme/billing", "sub": "repo:acme/billing:environment:production"});
        let id = active(&world, "pipeline", "release", &pipeline(&world, &provider, &["acme/billing"], &claims)).await;
        let renamed = github(&json!({"repository": "Acme/Billing", "repository_owner": "Acme", "sub": "repo:Acme/Billing:environment:production"}));
        is_issued(&world, &provider, &id, &renamed).await;
        // What stands behind the name has a case, and the id decides whatever the name is.
        for with in [json!({"sub": "repo:acme/billing:environment:Production"}), json!({"repository_id": "75"})] {
            refuses(&world, &id, &provider.shaped(&github(&with), AUDIENCE).await, "production").await;
        }
    }

    async fn r36_a_platforms_pipeline_is_bound_and_permitted_by_others_than_its_requester(world: World) {
        let provider = Provider::start("RS256", "first");
        let fixed = json!({"fixed_claims": {"namespace_id": ["72", "73"]}});
        trust(&world, &provider, "gitlab", fixed).await.expect(201);
        let claims = json!({"project_id": "22", "ref_protected": "true"});
        let charter = pipeline(&world, &provider, &["acme/billing"], &claims);
        for (repositories, code) in [(json!([]), "repositories_missing"), (json!([""]), "item_malformed")] {
            let mut without = charter.clone();
            without["repositories"] = repositories;
            let refused = register(&world, "pipeline", "release", &without, "pending").await.expect(422);
            assert!(refused.field_codes().contains(&code.to_owned()), "{}", refused.body);
        }
        let mut named = charter.clone();
        named["workload_binding"]["claims"]["project_path"] = json!("acme/secret");
        assert_eq!(register(&world, "pipeline", "release", &named, "pending").await.expect(422).field_codes(), ["repository_not_permitted"]);
        // Nobody gets it active alone; who approves sees the claims and the list.
        assert_eq!(register(&world, "pipeline", "release", &charter, "active").await.expect(403).code(), "approval_needed");
        let id = register(&world, "pipeline", "release", &charter, "pending").await.expect(201).text("/id");
        let token = |namespace: &str| json!({"sub": "project_path:acme/billing:ref_type:branch:ref:main", "project_path": "acme/billing", "project_id": "22", "namespace_id": namespace, "ref": "main", "ref_protected": "true"});
        is_refused(&world, &id, &provider.shaped(&token("72"), AUDIENCE).await, "identity_not_active").await;
        world.activate(&world.manager, &id).await.expect(200);
        for namespace in ["72", "73"] {
            is_issued(&world, &provider, &id, &token(namespace)).await;
        }
        refuses(&world, &id, &provider.shaped(&token("74"), AUDIENCE).await, "production").await;
        // A fork's merge request runs as the fork: another project.
        let mut fork = token("72");
        fork["project_id"] = json!("23");
        refuses(&world, &id, &provider.shaped(&fork, AUDIENCE).await, "production").await;
        let mut unprotected = token("72");
        unprotected["ref_protected"] = json!("false");
        refuses(&world, &id, &provider.shaped(&unprotected, AUDIENCE).await, "production").await;
        // Transferred to another path of the same group.
        let mut moved = token("72");
        moved["project_path"] = json!("acme/archive/billing");
        is_refused(&world, &id, &provider.shaped(&moved, AUDIENCE).await, "repository_not_permitted").await;
    }

    async fn s13_a_shared_issuers_tenant_and_workload_are_fixed_by_id(world: World) {
        // What the platform demands is said with how to find it, before anything is fetched from it.
        let propose = async |body: Value| world.post(&world.admin, "/v1/issuers", body).await.expect(422);
        let base = json!({"preset": "github_actions", "audience": AUDIENCE, "environments": ["production"]});
        let with = |name: &str, value: Value| {
            let mut body = base.clone();
            body[name] = value;
            body
        };
        let refused = propose(base.clone()).await;
        assert_eq!(refused.field_codes(), ["tenant_claim_missing"]);
        assert!(refused.body["fields"][0]["hint"].as_str().unwrap().contains("gh api"), "{}", refused.body);
        for value in [json!("acme"), json!(1234), json!(["1234", "acme"]), json!("")] {
            let refused = propose(with("fixed_claims", json!({"repository_owner_id": value}))).await;
            assert_eq!(refused.field_codes(), ["tenant_claim_malformed"], "{value}");
        }
        for value in [json!({"a": {}}), json!({"a//b": "x"}), json!({"a": []}), json!({"a": null}), json!({"a": 1.5})] {
            assert_eq!(propose(with("fixed_claims", value.clone())).await.field_codes(), ["fixed_claims_malformed"], "{value}");
        }
        let mut asked = with("fixed_claims", json!({"repository_owner_id": OWNER}));
        asked["audience"] = json!("https://github.com/acme");
        assert_eq!(propose(asked).await.field_codes(), ["audience_is_default"]);
        let gitlab = json!({"preset": "gitlab", "audience": "https://gitlab.com", "environments": ["production"]});
        assert_eq!(propose(gitlab).await.field_codes(), ["tenant_claim_missing", "audience_is_default"]);
        assert_eq!(propose(json!({"preset": "kubernetes", "audience": "tenure", "environments": ["production"]})).await.field_codes(), ["url_malformed"]);

        let provider = Provider::start("RS256", "first");
        github_is_trusted(&world, &provider).await;
        for (claims, code) in [
            (json!({"sub": "repo:acme/billing:environment:production"}), "workload_claim_missing"),
            (json!({"repository": "acme/billing", "environment": "production"}), "workload_claim_missing"),
            (json!({"repository_id": 74, "environment": "production"}), "workload_claim_malformed"),
            (json!({"repository_id": "acme/billing", "environment": "production"}), "workload_claim_malformed"),
            (json!({"repository_id": REPOSITORY}), "narrowing_claim_missing"),
            (json!({"repository_id": REPOSITORY, "repository": "acme/billing"}), "narrowing_claim_missing"),
            (json!({"repository_id": REPOSITORY, "ref": "x", "repository_owner_id": "99"}), "claim_contradicts_issuer"),
            (json!({}), "claims_missing"),
            (json!({"repository_id": REPOSITORY, "ref": ["refs/heads/main"]}), "claims_malformed"),
            (json!({"repository_id": REPOSITORY, "ref": "x", "a//b": "x"}), "claims_malformed"),
        ] {
            let refused = register(&world, "pipeline", "release", &pipeline(&world, &provider, &["acme/billing"], &claims), "pending").await.expect(422);
            assert_eq!(refused.field_codes(), [code], "{claims}");
        }
    }

    async fn s13_only_the_bound_workload_of_the_own_tenant_is_proven(world: World) {
        let provider = Provider::start("RS256", "first");
        github_is_trusted(&world, &provider).await;
        let claims = json!({"repository_id": REPOSITORY, "environment": "production", "sub": "repo:acme/billing:environment:production"});
        let id = active(&world, "pipeline", "release", &pipeline(&world, &provider, &["acme/billing"], &claims)).await;
        is_issued(&world, &provider, &id, &github(&json!({}))).await;
        for (attack, with) in [
            ("another tenant", json!({"repository_owner_id": "99"})),
            ("a tenant of the same name", json!({"repository_owner": "acme", "repository_owner_id": "12345"})),
            ("a name that somebody took over", json!({"repository_id": "75"})),
            ("a fork", json!({"repository_id": "76", "repository": "eve/billing", "repository_owner": "eve", "repository_owner_id": "99"})),
            ("an id as a number", json!({"repository_id": 74})),
            ("an id that begins alike", json!({"repository_id": "740"})),
            ("an id with a space", json!({"repository_id": "74 "})),
            ("a list with the id", json!({"repository_id": ["74"]})),
            ("a tenant's list", json!({"repository_owner_id": ["1234", "99"]})),
            ("another environment", json!({"environment": "test"})),
            ("another letter case", json!({"environment": "Production"})),
            ("a subject that goes on", json!({"sub": "repo:acme/billing:environment:production:x"})),
            ("a subject that begins alike", json!({"sub": "repo:acme/billing:environment:prod"})),
            ("a subject with a wildcard", json!({"sub": "repo:acme/*"})),
            ("no subject", json!({"sub": ""})),
        ] {
            let proof = provider.shaped(&github(&with), AUDIENCE).await;
            let answer = exchange(&world, &id, &proof, "production").await;
            assert_eq!((answer.status, answer.text("/error"), answer.code()), (400, "invalid_grant".into(), "proof_invalid".into()), "{attack}");
        }
        let good = github(&json!({}));
        for audience in ["https://github.com/acme", "https://tenure.example", "https://tenure.example/production/"] {
            let told = exchange(&world, &id, &provider.shaped(&good, audience).await, "production").await.expect(400);
            assert_eq!((told.text("/error"), told.code()), ("invalid_grant".into(), "proof_audience_wrong".into()), "{audience}");
        }
        for header in [json!({"alg": "none"}), json!({"alg": "HS256", "kid": "first"}), json!({"alg": "RS256", "kid": "first"}), json!({"alg": "EdDSA", "kid": "first"}), json!({"alg": "RS256"})] {
            refuses(&world, &id, &forged(&header, &provider, &good), "production").await;
        }
        // A flood of unknown keys costs the issuer nothing, and the workload neither: such a key may be new, and is
        // looked for now and then.
        let unknown = |n: usize| forged(&json!({"alg": "RS256", "kid": format!("flood-{n}")}), &provider, &good);
        for n in 0..40 {
            let answer = exchange(&world, &id, &unknown(n), "production").await.expect(503);
            assert!(answer.text("/error") == "temporarily_unavailable" && answer.headers.contains_key("retry-after"));
        }
        world.pass(31).await;
        refuses(&world, &id, &unknown(40), "production").await;
        let proof = provider.shaped(&good, AUDIENCE).await;
        exchange(&world, &id, &proof, "production").await.expect(200);
        is_refused(&world, &id, &proof, "proof_replayed").await;
    }

    async fn s13_no_workload_is_claimed_by_two_identities(world: World) {
        let provider = Provider::start("RS256", "first");
        github_is_trusted(&world, &provider).await;
        let ask = |claims: Value| pipeline(&world, &provider, &["acme/billing"], &claims);
        let first = active(&world, "pipeline", "first", &ask(json!({"repository_id": REPOSITORY, "environment": "production"}))).await;
        // A token could fit both: more claims, fewer, others.
        for claims in [
            json!({"repository_id": REPOSITORY, "environment": "production"}),
            json!({"repository_id": REPOSITORY, "environment": "production", "ref": "refs/heads/main"}),
            json!({"repository_id": REPOSITORY, "ref": "refs/heads/main"}),
            json!({"repository_id": REPOSITORY, "sub": "repo:acme/billing:ref:refs/heads/main"}),
        ] {
            for stage in ["draft", "pending"] {
                let refused = register(&world, "pipeline", "second", &ask(claims.clone()), stage).await.expect(409);
                assert_eq!(refused.code(), "key_already_bound", "{claims}");
            }
        }
        // What differs in one claim is another workload, and each proof is one identity's.
        let test = active(&world, "pipeline", "test", &ask(json!({"repository_id": REPOSITORY, "environment": "test"}))).await;
        let other = active(&world, "pipeline", "other", &ask(json!({"repository_id": "75", "environment": "production"}))).await;
        let proof = provider.shaped(&github(&json!({})), AUDIENCE).await;
        for wrong in [&test, &other] {
            refuses(&world, wrong, &proof, "production").await;
        }
        exchange(&world, &first, &proof, "production").await.expect(200);
        // Never reassigned, not even after the end.
        world.post(&world.owner, &format!("/v1/identities/{first}/retire"), json!({"reason": "done"})).await.expect(200);
        world.until_state(&first, "retired").await;
        let refused = register(&world, "pipeline", "heir", &ask(json!({"repository_id": REPOSITORY, "environment": "production"})), "pending").await.expect(409);
        assert_eq!(refused.code(), "key_already_bound");
        // A draft's own earlier claims are not in its way.
        let draft = register(&world, "pipeline", "draft", &ask(json!({"repository_id": "80", "ref": "a"})), "draft").await.expect(201).text("/id");
        for reference in ["b", "a"] {
            let charter = ask(json!({"repository_id": "80", "ref": reference}));
            world.put(&world.owner, &format!("/v1/identities/{draft}/charter"), charter).await.expect(200);
        }
        // Many at once: at most one of those that overlap.
        let racing: Vec<_> = (0..6).map(|n| json!({"repository_id": "90", "ref": format!("refs/heads/{}", n % 2), "environment": "e"})).collect();
        let charters: Vec<Value> = racing.into_iter().map(ask).collect();
        let names: Vec<String> = (0..charters.len()).map(|n| format!("racing-{n}")).collect();
        let answers = futures_util::future::join_all(charters.iter().zip(&names).map(|(charter, name)| register(&world, "pipeline", name, charter, "draft"))).await;
        for reference in 0..2 {
            let made = answers.iter().skip(reference).step_by(2).filter(|answer| answer.status == 201).count();
            assert!(made <= 1, "{answers:?}");
        }
        assert!(answers.iter().any(|answer| answer.status == 201) && answers.iter().all(|answer| answer.status == 201 || answer.code() == "key_already_bound"));
    }

    async fn s13_a_clusters_account_is_bound_by_its_uid_and_not_by_what_looks_like_it(world: World) {
        let provider = Provider::start("ES256", "first");
        trust(&world, &provider, "kubernetes", json!({})).await.expect(201);
        let mut charter = world.charter(json!({}));
        let bind = |claims: Value| json!({"type": "oidc", "workload": "billing/exporter", "issuer": provider.url, "claims": claims});
        for claims in [json!({"sub": "system:serviceaccount:billing:exporter"}), json!({"kubernetes.io~1serviceaccount~1uid": ACCOUNT})] {
            charter["workload_binding"] = bind(claims);
            assert_eq!(register(&world, "workload", "exporter", &charter, "pending").await.expect(422).field_codes(), ["workload_claim_missing"]);
        }
        charter["workload_binding"] = bind(json!({"kubernetes.io/serviceaccount/uid": "exporter"}));
        assert_eq!(register(&world, "workload", "exporter", &charter, "pending").await.expect(422).field_codes(), ["workload_claim_malformed"]);
        charter["workload_binding"] = bind(json!({"kubernetes.io/serviceaccount/uid": ACCOUNT, "kubernetes.io/namespace": "billing"}));
        let id = active(&world, "workload", "exporter", &charter).await;
        is_issued(&world, &provider, &id, &kubernetes(ACCOUNT)).await;
        // The account was deleted and another one made under its name.
        refuses(&world, &id, &provider.shaped(&kubernetes("6f2d1c3a-0000-4aaa-8bbb-123456789abd"), AUDIENCE).await, "production").await;
        // The same letters as one flat claim, as one claim with dots, and as text inside a text.
        for lookalike in [
            json!({"kubernetes.io/serviceaccount/uid": ACCOUNT, "kubernetes.io/namespace": "billing"}),
            json!({"kubernetes": {"io": {"serviceaccount": {"uid": ACCOUNT}, "namespace": "billing"}}}),
            json!({"kubernetes.io": json!({"serviceaccount": {"uid": ACCOUNT}, "namespace": "billing"}).to_string()}),
            json!({"kubernetes.io": [{"serviceaccount": {"uid": ACCOUNT}, "namespace": "billing"}]}),
        ] {
            let mut claims = lookalike.clone();
            claims["sub"] = json!("system:serviceaccount:billing:exporter");
            refuses(&world, &id, &provider.shaped(&claims, AUDIENCE).await, "production").await;
        }
    }

    async fn s13_an_issuers_rules_are_what_a_second_administrator_confirmed(world: World) {
        let provider = Provider::start("RS256", "first");
        let (_, second) = world.person("Bea", &["administrator"]).await;
        let proposed = github_is_trusted(&world, &provider).await;
        assert_eq!((proposed.text("/state"), &proposed.body["fixed_claims"]), ("proposed".into(), &json!({"repository_owner_id": OWNER})));
        let confirm = format!("/v1/issuers/{}/confirm", proposed.text("/id"));
        assert_eq!(world.post(&world.admin, &confirm, json!({})).await.expect(403).code(), "same_person");
        let charter = pipeline(&world, &provider, &["acme/billing"], &json!({"repository_id": REPOSITORY, "environment": "production"}));
        assert_eq!(register(&world, "pipeline", "early", &charter, "pending").await.expect(422).field_codes(), ["issuer_unknown"]);
        let confirmed = world.post(&second, &confirm, json!({})).await.expect(200);
        assert_eq!((confirmed.text("/state"), confirmed.text("/preset")), ("active".into(), "github_actions".into()));
        let said = world.events_of("issuer.proposed", &proposed.text("/id")).await.remove(0);
        assert_eq!((&said["data"]["preset"], &said["data"]["fixed_claims"]), (&json!("github_actions"), &json!({"repository_owner_id": OWNER})));
        // There is no way to change what was confirmed: only another proposal, in place of this one.
        let wider = json!({"fixed_claims": {"repository_owner_id": [OWNER, "99"]}});
        trust(&world, &provider, "github_actions", wider.clone()).await.expect(409);
        world.post(&world.admin, &format!("/v1/issuers/{}/remove", proposed.text("/id")), json!({})).await.expect(200);
        let again = trust(&world, &provider, "github_actions", wider).await.expect(201);
        assert_eq!(again.text("/state"), "proposed");
    }

    async fn s13_the_command_line_says_which_ids_to_fix_and_where_they_are(world: World) {
        let run = |token: &str, arguments: &[&str]| {
            let output = crate::world::tenure()
                .args(arguments)
                .env("TENURE_SERVER", &world.server.url)
                .env("TENURE_TOKEN", token)
                .output()
                .unwrap();
            (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
        };
        let propose = ["issuer", "propose", "--preset", "github_actions", "--audience", AUDIENCE, "--environment", "production"];
        let (code, _, said) = run(&world.admin, &propose);
        assert!(code == 1 && said.contains("repository_owner_id") && said.contains("gh api"), "{said}");
        let with = |more: &[&'static str]| propose.iter().copied().chain(more.iter().copied()).collect::<Vec<&str>>();
        let (code, _, said) = run(&world.admin, &with(&["--tenant-claim", "acme"]));
        assert!(code == 2 && said.contains("CLAIM=VALUE"), "{said}");
        let (code, _, said) = run(&world.admin, &with(&["--tenant-claim", "repository_owner_id=acme"]));
        assert!(code == 1 && said.contains("no name"), "{said}");
        let provider = Provider::start("RS256", "first");
        let mut good = with(&["--tenant-claim", "repository_owner_id=1234", "--tenant-claim", "repository_owner_id=99", "-o", "json"]);
        good.extend(["--url", provider.url.as_str()]);
        let (code, out, said) = run(&world.admin, &good);
        assert_eq!(code, 0, "{said}");
        let made: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&made["fixed_claims"], &made["preset"]), (&json!({"repository_owner_id": ["1234", "99"]}), &json!("github_actions")));
        let (code, out, said) = run(&world.auditor, &["log", "exceptional", "--access", "operator_token_created", "--all"]);
        assert!(code == 0 && out.contains("operator_token_created") && out.contains("opt_"), "{said}");
        let (code, _, said) = run(&world.owner, &["log", "exceptional"]);
        assert!(code == 1 && said.contains("not_allowed"), "{said}");
    }

    async fn r106_a_bootstrap_token_used_twice_is_refused_and_logged_apart(world: World) {
        let mut charter = world.charter(json!({}));
        charter["workload_binding"] = json!({"type": "join_token", "workload": "vm/billing-7"});
        let id = register(&world, "workload", "joiner", &charter, "pending").await.expect(201).text("/id");
        let path = format!("/v1/identities/{id}/join-tokens");
        // It exists only by a pre-approval that names the workload.
        assert_eq!(world.post(&world.owner, &path, json!({})).await.expect(409).code(), "identity_not_active");
        world.activate(&world.manager, &id).await.expect(200);
        let (bound, _) = world.exporter("bound-otherwise").await;
        assert_eq!(world.post(&world.owner, &format!("/v1/identities/{bound}/join-tokens"), json!({})).await.expect(403).code(), "binding_not_matched");
        let made = world.post(&world.owner, &path, json!({})).await.expect(201);
        let (token, token_id) = (made.text("/join_token"), made.text("/id"));
        let created = world.events_of("join_token.created", &token_id).await.remove(0);
        let request = world.get(&world.auditor, &format!("/v1/identities/{id}")).await.expect(200).text("/activation/request");
        assert_eq!((&created["data"]["workload"], &created["data"]["request"]), (&json!("vm/billing-7"), &json!(request)));

        let enrol = async |key: &Key, jti: &str| {
            let claims = json!({"aud": world.issuer("production"), "join_token_id": token_id, "jti": jti, "iat": now(), "exp": now() + 60});
            let proof = key.sign(&json!({"alg": "EdDSA", "typ": "tenure-enrol+jwt"}), &claims);
            world.post("", "/v1/enrol", json!({"join_token": token, "jwk": key.jwk(), "proof": proof})).await
        };
        let (key, thief) = (Key::new(), Key::new());
        // Without the proof of a key nothing is enrolled, and the token is not spent by it (S-15).
        let bare = json!({"join_token": token, "jwk": key.jwk(), "proof": thief.sign(&json!({"alg": "EdDSA", "typ": "tenure-enrol+jwt"}), &json!({}))});
        assert_eq!(world.post("", "/v1/enrol", bare).await.expect(403).code(), "proof_invalid");
        enrol(&key, "first").await.expect(201);
        world.token(&key, &id, "production").await;
        assert_eq!(enrol(&thief, "second").await.expect(403).code(), "join_token_spent");
        world.until_state(&id, "suspended").await;

        let list = async |query: &str| {
            let page = world.get(&world.auditor, &format!("/v1/log/exceptional?{query}")).await.expect(200);
            page.body["items"].as_array().unwrap().clone()
        };
        let about = list(&format!("identity={id}")).await;
        let sorts: Vec<&str> = about.iter().map(|item| item["access"].as_str().unwrap()).collect();
        assert_eq!(sorts, ["join_token_created", "join_token_refused", "join_token_used", "join_token_refused"]);
        assert!(about.iter().all(|item| item["with"] == json!(token_id)), "{about:?}");
        assert_eq!((&about[0]["allowed_by"], &about[2]["allowed_by"]), (&json!(request), &json!(request)));
        assert_eq!((&about[1]["refused"], &about[3]["refused"]), (&json!("proof_invalid"), &json!("join_token_spent")));
        // Each stands in the log itself, and the secret in neither.
        let events = world.events().await;
        assert!(about.iter().all(|item| events.iter().any(|event| event["id"] == item["event"])), "{about:?}");
        assert!(!json!(about).to_string().contains(&token));
        // The tokens that stood for people who can't sign in yet are exceptional too.
        assert!(list("access=operator_token_created").await.len() >= 5);
        let first = world.get(&world.auditor, "/v1/log/exceptional?limit=1").await.expect(200);
        let next = first.text("/next");
        assert_ne!(list(&format!("limit=1&after={next}")).await[0]["id"], first.body["items"][0]["id"]);
        for (nobody, status) in [(world.owner.as_str(), 403), (world.manager.as_str(), 403), ("", 401)] {
            world.get(nobody, "/v1/log/exceptional").await.expect(status);
        }
        world.get(&world.auditor, "/v1/log/exceptional?access=everything").await.expect(422);
    }

    async fn r86_after_a_change_of_its_pipeline_only_a_newer_token_counts(world: World) {
        let provider = Provider::start("RS256", "first");
        github_is_trusted(&world, &provider).await;
        let claims = json!({"repository_id": REPOSITORY, "environment": "production"});
        let id = active(&world, "pipeline", "release", &pipeline(&world, &provider, &["acme/billing"], &claims)).await;
        is_issued(&world, &provider, &id, &github(&json!({}))).await;
        let before = provider.shaped(&github(&json!({})), AUDIENCE).await;
        let mut registration = signals::registration(&world, "ci", "cloud_events", "hmac");
        registration["kinds"] = json!(["pipeline_changed"]);
        let ci = signals::source(&world, registration).await;
        let body = signals::event("1", "pipeline.changed", "repository:acme/billing");
        let heard = signals::deliver(&world, &ci.name, &signals::cloud_headers(&ci.secret, &body), &body).await.expect(202);
        world.until(async || !world.events_of("workload.mover", &id).await.is_empty()).await;
        is_refused(&world, &id, &before, "binding_unverified").await;
        // A token of the same second can't be told from an older one: the job asks again, and gets its credential.
        let good = github(&json!({}));
        world.until(async || {
            let proof = provider.shaped(&good, AUDIENCE).await;
            exchange(&world, &id, &proof, "production").await.status == 200
        })
        .await;
        let verified = world.events_of("binding.verified", &id).await;
        assert_eq!((verified.len(), &verified[0]["data"]["signal"]), (1, &json!(heard.text("/signals/0/id"))));
        is_issued(&world, &provider, &id, &good).await;
        assert_eq!(world.events_of("binding.verified", &id).await.len(), 1);
    }

    async fn r59_a_second_instance_of_an_agents_key_is_a_finding_and_blocked(world: World) {
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["tasks"] = json!([{"name": "reconcile", "purpose": "reconciles invoices", "scope": charter["scope"]}]);
        charter["expires_at"] = json!(in_secs(10 * 86_400));
        let id = active(&world, "agent", "accountant", &charter).await;
        let second_host = reqwest::Client::builder().no_proxy().local_address("127.0.0.2".parse::<std::net::IpAddr>().unwrap()).build().unwrap();
        let ask = async |from: &reqwest::Client| {
            let assertion = key.assertion(&id, &world.issuer("production"));
            let fields = [
                ("grant_type", "client_credentials"),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", assertion.as_str()),
                ("authorization_details", r#"[{"type":"tenure_task","task":"reconcile"}]"#),
            ];
            World::answer(from.post(format!("{}/env/production/token", world.server.url)).form(&fields)).await
        };
        let findings = async || {
            let page = world.get(&world.auditor, &format!("/v1/findings?subject={id}&rule=key-shared")).await.expect(200);
            page.body["items"].as_array().unwrap().clone()
        };
        let first = ask(&world.http).await.expect(200);
        ask(&world.http).await.expect(200);
        assert!(findings().await.is_empty());
        let refused = ask(&second_host).await.expect(400);
        assert_eq!(refused.code(), "second_instance");
        assert_eq!(refusals(&world, &id, "second_instance").await.len(), 1);
        let found = findings().await;
        assert_eq!((found.len(), &found[0]["severity"]), (1, &json!("high")));
        assert!(found[0]["explanation"]["frameworks"].as_array().unwrap().contains(&json!("NHI9:2025")), "{}", found[0]);
        let evidence = &found[0]["evidence"];
        assert_eq!((&evidence["presented_by"], &evidence["holders"], &evidence["let_in"]), (&json!("addr:127.0.0.2"), &json!(["addr:127.0.0.1"]), &json!(false)));
        // The first one is not harmed, and once nothing of it is alive, the agent may move.
        assert!(world.is_live(&first.text("/access_token")).await);
        world.revoke("identity", &id).await.expect(201);
        ask(&second_host).await.expect(200);
        assert_eq!(ask(&world.http).await.expect(400).code(), "second_instance");

        // The same key for another agent is refused, and a finding about the one whose it is.
        let twin = register(&world, "agent", "twin", &charter, "pending").await.expect(409);
        assert_eq!(twin.code(), "key_already_bound");
        let found = findings().await;
        let shown = world.events_of("key.presented_for_another", &id).await;
        assert_eq!((found.len(), shown.len()), (1, 0), "counted at most once a minute");
        // Of a key for which nothing was found yet, it is one.
        let (quiet, quiet_key) = world.exporter("quiet").await;
        let mut charter = world.charter(quiet_key.jwk());
        charter["purpose"] = json!("something else");
        assert_eq!(register(&world, "workload", "copy", &charter, "draft").await.expect(409).code(), "key_already_bound");
        let page = world.get(&world.auditor, &format!("/v1/findings?subject={quiet}&rule=key-shared")).await.expect(200);
        let item = &page.body["items"][0];
        assert_eq!((&item["evidence"]["wanted_for"], &item["evidence"]["presented_by"]["id"]), (&json!("copy"), &json!(world.owner_id)));
    }
}

on_one! { by |store| World::binary(store, &[]);
    async fn s13_an_api_key_is_good_for_what_it_is_and_no_longer(world: World) {
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["credential_types"] = json!(["access_token", "api_key"]);
        let without = world.exporter("without").await.0;
        world.post(&world.owner, &format!("/v1/identities/{without}/api-keys"), json!({})).await.expect(403);
        let id = world.register("legacy", charter.clone(), "draft").await.expect(201).text("/id");
        let exception = granted(&world, "weaker_credential", &id, "20d").await;
        activate(&world, &id).await;
        let issued = world.post(&world.owner, &format!("/v1/identities/{id}/api-keys"), json!({})).await.expect(201);
        let (credential, secret) = (issued.text("/id"), issued.text("/api_key"));
        assert!(world.is_live(&secret).await);
        let body = &secret[..secret.len() - 6];
        assert_eq!(secret, with_checksum(body), "the checksum is the published one");
        let flip = |at: usize| {
            let other = if &body[at..=at] == "a" { "b" } else { "a" };
            format!("{}{other}{}", &body[..at], &body[at + 1..])
        };
        // Each of these has a checksum that fits: mistyped ones cost no look-up at all.
        let mut wrong: Vec<String> = [flip(body.len() - 1), flip(body.len() - 29), body.replacen("tnr_key_", "tnr_op_", 1), body.replacen("tnr_key_", "tnr_join_", 1), body.replacen("tnr_key_", "tnr_ses_", 1)]
            .iter()
            .map(|body| with_checksum(body))
            .collect();
        wrong.extend([format!("{body}000000"), body.to_owned(), format!("{secret}a"), secret.to_uppercase()]);
        for wrong in &wrong {
            assert!(!world.is_live(wrong).await, "{wrong}");
            world.get(wrong, "/v1/identities").await.expect(401);
        }
        // Neither does one pass for another environment's or another deployment's, even with the same id.
        let elsewhere = World::start(Store::Sqlite).await;
        assert!(!elsewhere.is_live(&secret).await);
        // What can be read of it holds neither its secret nor its hash.
        let (tail, id_part) = (&secret[secret.len() - 30..], &secret["tnr_key_".len()..][..26]);
        assert_eq!(credential, format!("crd_{id_part}"), "its id is no secret");
        for path in [format!("/v1/credentials/{credential}"), format!("/v1/identities/{id}/credentials"), "/v1/log/exceptional".into(), "/v1/log/export".into()] {
            let text = world.text(&world.auditor, &path).await;
            assert!(!text.contains(tail) && !text.contains("\"hash\""), "{path}");
        }
        assert!(!world.server.said().contains(tail));
        let apart = world.get(&world.auditor, &format!("/v1/log/exceptional?access=api_key_issued&identity={id}")).await.expect(200);
        let item = &apart.body["items"][0];
        assert_eq!((&item["with"], &item["allowed_by"], &item["actor"]["id"]), (&json!(credential), &json!(exception), &json!(world.owner_id)));
        world.revoke("credential", &credential).await.expect(201);
        assert!(!world.is_live(&secret).await && !world.is_allowed(&id, Some(&secret), "read").await);
    }
}

/// The text with the checksum of such tokens: six digits in base 62 of its CRC-32.
fn with_checksum(body: &str) -> String {
    let step = |crc: u32| {
        if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
    };
    let mut crc = !body.bytes().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc)));
    let mut digits = Vec::new();
    for _ in 0..6 {
        digits.push(char::from(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[(crc % 62) as usize]));
        crc /= 62;
    }
    format!("{body}{}", digits.iter().rev().collect::<String>())
}

on_one! {
    async fn d17_every_template_that_is_printed_passes_once_it_is_filled_in(world: World) {
        let kinds = ["service_account", "workload", "pipeline", "bot", "agent", "integration", "device"];
        let folder = tempfile::tempdir().unwrap();
        let mut providers = Vec::new();
        for preset in ["github_actions", "gitlab", "kubernetes", "oidc"] {
            let provider = Provider::start("RS256", "first");
            let with = if preset == "github_actions" { json!({"fixed_claims": {"repository_owner_id": OWNER}}) } else { json!({}) };
            trust(&world, &provider, preset, with).await.expect(201);
            providers.push((preset, provider));
        }
        world.post(&world.admin, "/v1/data-domains", json!({"name": "invoices", "sensitivity": "internal"})).await.expect(201);
        let vendor = json!({"name": "acme", "contact": "help@acme.example", "owner": world.owner_id, "data_domains": ["invoices"]});
        let vendor = world.post(&world.admin, "/v1/vendors", vendor).await.expect(201).text("/id");
        let mut number = 0;
        for kind in kinds {
            for preset in std::iter::once(None).chain(providers.iter().map(Some)) {
                // A cluster names no repository, and a device has a key of its own: the command says so.
                if (kind, preset.map(|(preset, _)| *preset)) == ("pipeline", Some("kubernetes")) || (kind == "device" && preset.is_some()) {
                    continue;
                }
                number += 1;
                let mut arguments = vec!["identity", "charter-template", "--kind", kind];
                arguments.extend(preset.iter().flat_map(|(preset, _)| ["--preset", preset]));
                let printed = world.by_hand(&world.owner, folder.path(), &arguments, None);
                let url = preset.map_or(&providers[0].1.url, |(_, provider)| &provider.url);
                let mut filled = String::from_utf8(printed.stdout).unwrap();
                for (placeholder, value) in [
                    ("per_OWNER", world.owner_id.as_str()),
                    ("per_REQUESTER", &world.owner_id),
                    ("app_APPLICATION", &world.application),
                    ("res_RESOURCE", &world.orders),
                    ("ven_VENDOR", &vendor),
                    ("DATA-DOMAIN", "invoices"),
                    ("PUBLIC_KEY", Key::new().jwk()["x"].as_str().unwrap()),
                    // The tests' own platforms stand for the real ones.
                    ("https://token.actions.githubusercontent.com", url),
                    ("https://gitlab.com", url),
                    ("https://CLUSTER_ISSUER", url),
                    ("https://PROVIDER_ISSUER", url),
                    ("REPOSITORY_ID", &format!("{number}")),
                    ("PROJECT_ID", &format!("{number}")),
                    ("SERVICE_ACCOUNT_UID", &format!("6f2d1c3a-0000-4aaa-8bbb-{number:012}")),
                    ("TOKEN_SUBJECT", &format!("subject-{number}")),
                ] {
                    filled = filled.replace(placeholder, value);
                }
                let name = filled.split("\"name\": \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
                filled = filled.replacen(&name, &format!("{name}-{number}"), 1);
                let file = folder.path().join("filled.json");
                std::fs::write(&file, &filled).unwrap();
                let registered = world.by_hand(&world.owner, folder.path(), &["identity", "register", "-f", file.to_str().unwrap()], None);
                assert!(registered.status.success(), "{kind} {:?}: {}", preset.map(|(preset, _)| preset), String::from_utf8_lossy(&registered.stderr));
            }
        }
        // And a template of identities.
        let printed = world.by_hand(&world.owner, folder.path(), &["template", "example"], None);
        let staging = world.resource("https://staging.internal", "staging", "online").await;
        let filled = String::from_utf8(printed.stdout).unwrap().replace("res_RESOURCE", &staging).replace("app_APPLICATION", &world.application);
        let file = folder.path().join("template.json");
        std::fs::write(&file, &filled).unwrap();
        let put = world.by_hand(&world.admin, folder.path(), &["template", "put", "-f", file.to_str().unwrap(), "--purpose", "nightly jobs"], None);
        assert!(put.status.success(), "{}", String::from_utf8_lossy(&put.stderr));
    }
}
