//! Software by other people: node-oidc-provider as an external issuer, openid-client and jose as clients and resource
//! servers. `cargo xtask peers` installs it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::on_one;
use crate::world::{Answer, Key, ORDERS, World};

/// The audience by which the provider's tokens are meant for us.
pub const AUDIENCE: &str = "https://tenure.example/production";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Where the packages are.
pub fn folder() -> PathBuf {
    let given = std::env::var_os("TENURE_TEST_PEERS").map(PathBuf::from);
    let folder = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"));
    assert!(
        folder.join("node_modules/oidc-provider").is_dir(),
        "the peers are missing in {}; run `cargo xtask peers`",
        folder.display()
    );
    folder
}

pub fn node(script: &str) -> Command {
    let mut command = Command::new("node");
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script))
        .env("TENURE_TEST_PEERS", folder());
    command
}

/// A script in Python, with the packages that `cargo xtask peers` installed.
pub fn python(script: &str) -> Command {
    let mut command = Command::new(folder().join("venv-tests/bin/python3"));
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script));
    command
}

/// Caddy, a reverse proxy.
pub fn caddy() -> Command {
    Command::new(folder().join("venv-tests/bin/caddy"))
}

/// What a program says as JSON.
pub async fn said(mut command: Command) -> Value {
    let output = tokio::task::spawn_blocking(move || command.stderr(Stdio::inherit()).output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A key of OpenSSL's making: its PEM, and its public part as a JWK.
pub fn p256() -> (String, Value) {
    let openssl = |arguments: &[&str], input: &[u8]| {
        use std::io::Write;
        let mut child = Command::new("openssl")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        output.stdout
    };
    let pem = openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], b"");
    let der = openssl(&["pkey", "-pubout", "-outform", "DER"], &pem);
    let point = &der[der.len() - 64..];
    let (x, y) = (URL_SAFE_NO_PAD.encode(&point[..32]), URL_SAFE_NO_PAD.encode(&point[32..]));
    (String::from_utf8(pem).unwrap(), json!({"kty": "EC", "crv": "P-256", "x": x, "y": y}))
}

/// What a script says as JSON.
async fn say(script: &'static str, arguments: Vec<String>) -> Value {
    let mut command = node(script);
    command.args(arguments);
    said(command).await
}

/// A running node-oidc-provider; it ends with the test.
pub struct Provider {
    child: Child,
    _stdin: ChildStdin,
    pub url: String,
    http: reqwest::Client,
}

impl Provider {
    pub fn start(alg: &str, kid: &str) -> Self {
        Self::start_at("0", alg, kid)
    }

    fn start_at(port: &str, alg: &str, kid: &str) -> Self {
        let mut child = node("provider.mjs")
            .args([port, alg, kid])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said: Value = serde_json::from_str(&lines.next().expect("the provider started").unwrap()).unwrap();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { _stdin: child.stdin.take().unwrap(), child, url: said["issuer"].as_str().unwrap().to_owned(), http }
    }

    /// The same provider with another key.
    fn restart(&mut self, alg: &str, kid: &str) {
        self.stop();
        let port = self.url.rsplit_once(':').unwrap().1.to_owned();
        *self = Self::start_at(&port, alg, kid);
    }

    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// A token for the workload with this number.
    pub async fn token(&self, workload: usize, tenant: &str, audience: &str) -> String {
        self.token_saying(workload, tenant, audience, &json!({})).await
    }

    /// A token with the claims of another platform.
    pub async fn shaped(&self, claims: &Value, audience: &str) -> String {
        self.token_saying(0, "blue", audience, claims).await
    }

    async fn token_saying(&self, workload: usize, tenant: &str, audience: &str, claims: &Value) -> String {
        let (id, secret) = (format!("workload-{workload}"), format!("a secret of workload {workload}"));
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", &id),
            ("client_secret", &secret),
            ("scope", tenant),
            ("resource", audience),
        ];
        World::answer(self.http.post(format!("{}/token", self.url)).header("claims", claims.to_string()).form(&fields))
            .await
            .expect(200)
            .text("/access_token")
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How an identity's charter names a workload of the provider.
pub fn oidc_binding(provider: &Provider, workload: usize) -> Value {
    let claims = json!({"sub": format!("workload-{workload}"), "tenant": "blue"});
    json!({"type": "oidc", "workload": format!("workload-{workload}"), "issuer": provider.url, "claims": claims})
}

/// Registers the provider as an issuer; alone, one administrator is enough.
pub async fn trust(world: &World, provider: &Provider) -> Answer {
    let body = json!({"url": provider.url, "audience": AUDIENCE, "environments": ["production"], "required_claims": ["tenant"]});
    world.post(&world.admin, "/v1/issuers", body).await.expect(201)
}

pub async fn exchange(world: &World, id: &str, token: &str, environment: &str) -> Answer {
    world
        .form(
            "",
            &format!("/env/{environment}/token"),
            &[("grant_type", JWT_BEARER), ("client_id", id), ("assertion", token)],
        )
        .await
}

async fn bound(world: &World, provider: &Provider, name: &str, workload: usize) -> String {
    let mut charter = world.charter(json!({}));
    charter["workload_binding"] = oidc_binding(provider, workload);
    world.active(name, charter).await
}

/// Demands that the exchange is refused as any failed proof is, and that nothing was issued.
pub async fn refuses(world: &World, id: &str, token: &str, environment: &str) {
    let before = world.events_of("credential.issued", id).await.len();
    let answer = exchange(world, id, token, environment).await.expect(400);
    assert_eq!((answer.text("/error"), answer.text("/reason_code")), ("invalid_grant".into(), "proof_invalid".into()));
    assert!(!answer.body.to_string().contains(token));
    assert_eq!(world.events_of("credential.issued", id).await.len(), before);
}

on_one! {
    async fn d21_a_token_of_a_foreign_oidc_server_is_exchanged_tried_and_told_about(world: World) {
        let provider = Provider::start("ES256", "first");
        let issuer = trust(&world, &provider).await;
        assert_eq!((issuer.text("/state"), &issuer.body["single_person"]), ("active".into(), &json!(true)));
        let id = bound(&world, &provider, "foreign", 0).await;
        let other = bound(&world, &provider, "other", 1).await;

        let proof = provider.token(0, "blue", AUDIENCE).await;
        let issued = exchange(&world, &id, &proof, "production").await.expect(200);
        assert!(world.is_live(&issued.text("/access_token")).await);
        assert!(world.is_allowed(&id, Some(&issued.text("/access_token")), "read").await);

        // Used once; known by then, so that the refusal stands in the log under its name.
        let again = exchange(&world, &id, &proof, "production").await.expect(400);
        assert_eq!((again.text("/error"), again.text("/reason_code")), ("invalid_grant".into(), "proof_replayed".into()));
        assert_eq!(world.events_of("access.refused", &id).await[0]["data"]["reason"], "proof_replayed");

        // An administrator is told which check of a token fails, and nothing is used up by it.
        let path = format!("/v1/issuers/{}/try", issuer.text("/id"));
        let tried = async |token: String, identity: &str| {
            let body = world.post(&world.admin, &path, json!({"token": token, "identity": identity})).await.expect(200).body;
            (body["accepted"].as_bool().unwrap(), body["failed"]["check"].as_str().unwrap_or_default().to_owned())
        };
        let fresh = provider.token(0, "blue", AUDIENCE).await;
        assert_eq!(tried(fresh.clone(), &id).await, (true, String::new()));
        assert_eq!(tried(fresh.clone(), &other).await, (false, "binding_claim_wrong".into()));
        assert_eq!(tried(fresh.clone(), &world.gateway_id).await, (false, "binding_missing".into()));
        assert_eq!(tried(provider.token(0, "green", AUDIENCE).await, &id).await, (false, "binding_claim_wrong".into()));
        assert_eq!(tried(provider.token(0, "blue", "https://else.example").await, &id).await, (false, "audience_wrong".into()));
        assert!(!tried(issued.text("/access_token"), &id).await.0);
        assert_eq!(tried("x".into(), &id).await, (false, "malformed".into()));
        world.post(&world.owner, &path, json!({"token": fresh})).await.expect(403);
        exchange(&world, &id, &fresh, "production").await.expect(200);

        refuses(&world, &id, &provider.token(0, "green", AUDIENCE).await, "production").await;
        // Whoever the token is about, in all that the binding names, is told what is wrong with it.
        let misaddressed = exchange(&world, &id, &provider.token(0, "blue", "https://tenure.example/staging").await, "production").await.expect(400);
        assert_eq!((misaddressed.text("/error"), misaddressed.code()), ("invalid_grant".into(), "proof_audience_wrong".into()));
        assert!(misaddressed.text("/error_description").contains(AUDIENCE));
        refuses(&world, &id, &provider.token(1, "blue", AUDIENCE).await, "production").await;
        refuses(&world, &other, &provider.token(0, "blue", AUDIENCE).await, "production").await;
        // Its proofs don't count in the other environment at all.
        refuses(&world, &id, &provider.token(0, "blue", AUDIENCE).await, "staging").await;
        // A bent signature, a foreign payload under a good one, and a token of ours.
        let good = provider.token(0, "blue", AUDIENCE).await;
        let mut parts: Vec<&str> = good.split('.').collect();
        let bent = format!("{}.{}.A{}", parts[0], parts[1], &parts[2][1..]);
        if bent != good {
            refuses(&world, &id, &bent, "production").await;
        }
        let payload = provider.token(1, "blue", AUDIENCE).await;
        parts[1] = payload.split('.').nth(1).unwrap();
        refuses(&world, &id, &parts.join("."), "production").await;
        refuses(&world, &id, &issued.text("/access_token"), "production").await;

        // Without the name of the identity, a proof proves nothing.
        let nameless = world.form("", "/env/production/token", &[("grant_type", JWT_BEARER), ("assertion", &good)]).await.expect(400);
        assert_eq!(nameless.text("/error"), "invalid_request");
        // The grant's assertion is the proof: other proofs beside it are not silently ignored.
        let both = [("grant_type", JWT_BEARER), ("client_id", &*id), ("assertion", &*good), ("client_assertion", "x"), ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")];
        assert_eq!(world.form("", "/env/production/token", &both).await.expect(400).text("/error"), "invalid_request");
        let header = [("grant_type", JWT_BEARER), ("client_id", &*id), ("assertion", &*good)];
        assert_eq!(world.form("x", "/env/production/token", &header).await.expect(400).text("/error"), "invalid_request");

        world.post(&world.admin, &format!("/v1/issuers/{}/remove", issuer.text("/id")), json!({})).await.expect(200);
        refuses(&world, &id, &good, "production").await;
    }

    async fn trusting_an_issuer_takes_two_administrators(world: World) {
        let provider = Provider::start("RS256", "first");
        let (_, second) = world.person("Bea", &["administrator"]).await;
        let issuer = trust(&world, &provider).await;
        assert_eq!((issuer.text("/state"), &issuer.body["single_person"]), ("proposed".into(), &json!(false)));
        let mut charter = world.charter(json!({}));
        charter["workload_binding"] = oidc_binding(&provider, 0);
        assert_eq!(world.register("early", charter, "pending").await.expect(422).field_codes(), ["issuer_unknown"]);

        let confirm = format!("/v1/issuers/{}/confirm", issuer.text("/id"));
        assert_eq!(world.post(&world.admin, &confirm, json!({})).await.expect(403).code(), "same_person");
        for nobody in [&world.owner, &world.security, &world.auditor] {
            world.post(nobody, &confirm, json!({})).await.expect(403);
        }
        world.post("", &confirm, json!({})).await.expect(401);
        assert!(world.events_of("issuer.activated", &issuer.text("/id")).await.is_empty());
        assert_eq!(world.post(&second, &confirm, json!({})).await.expect(200).text("/state"), "active");
        assert_eq!(world.post(&second, &confirm, json!({})).await.expect(409).code(), "illegal_transition");

        let id = bound(&world, &provider, "foreign", 0).await;
        // A shared issuer's tenant has to be fixed by every binding, and a subject is one identity's for ever.
        let mut charter = world.charter(json!({}));
        charter["workload_binding"] = oidc_binding(&provider, 1);
        charter["workload_binding"]["claims"].as_object_mut().unwrap().remove("tenant");
        assert_eq!(world.register("tenantless", charter, "pending").await.expect(422).field_codes(), ["required_claim_missing"]);
        let mut charter = world.charter(json!({}));
        charter["workload_binding"] = oidc_binding(&provider, 0);
        assert_eq!(world.register("twin", charter, "pending").await.expect(409).code(), "key_already_bound");
        exchange(&world, &id, &provider.token(0, "blue", AUDIENCE).await, "production").await.expect(200);
    }

    async fn e05_a_stock_oauth_client_discovers_gets_introspects_and_revokes_tokens(world: World) {
        let keys = say("client.mjs", vec!["keys".into()]).await;
        let public = |name: &str| {
            let mut jwk = keys[name].clone();
            jwk.as_object_mut().unwrap().remove("d");
            jwk
        };
        // A private key in a charter would be known to whoever reads it.
        let refused = world.register("careless", world.charter(keys["ES256"].clone()), "pending").await.expect(422);
        assert_eq!(refused.field_codes(), ["jwk_private"]);
        assert!(!refused.body.to_string().contains(keys["ES256"]["d"].as_str().unwrap()));

        let mut workloads = Vec::new();
        for alg in ["EdDSA", "ES256"] {
            let id = world.active(&alg.to_lowercase(), world.charter(public(alg))).await;
            workloads.push(json!({"alg": alg, "id": id, "jwk": keys[alg]}));
        }
        let mut charter = world.charter(public("gateway"));
        charter["application"] = json!(world.edge);
        charter["scope"] = json!([{"actions": ["enforce"], "resource": world.orders}]);
        let gateway = world.active("stock-gateway", charter).await;

        let issuer = world.issuer("production");
        let task = json!({"issuer": issuer, "resource": ORDERS, "gateway": {"id": gateway, "jwk": keys["gateway"]}, "workloads": workloads});
        let result = say("client.mjs", vec!["run".into(), task.to_string()]).await;
        assert_eq!(result["metadata"]["issuer"], json!(issuer));
        for workload in &workloads {
            let (step, id) = (&result["steps"][workload["alg"].as_str().unwrap()], &workload["id"]);
            assert_eq!(step["discovered"], json!({"issuer": issuer, "keys": format!("{issuer}/jwks.json")}), "{step}");
            assert_eq!((&step["granted"]["token_type"], &step["granted"]["scope"]), (&json!("bearer"), &json!("read")), "{step}");
            assert!((1..=900).contains(&step["granted"]["expires_in"].as_i64().unwrap()));
            // jose, as a resource server that checks by itself.
            let claims = &step["verified"]["payload"];
            assert_eq!((&claims["sub"], &claims["client_id"], &claims["aud"], &claims["scope"]), (id, id, &json!(ORDERS), &json!("read")));
            assert_eq!(step["verified"]["header"]["alg"], "EdDSA");
            assert!(step["misused"].as_array().unwrap().iter().all(|answer| answer["refused"] == "ERR_JWT_CLAIM_VALIDATION_FAILED"), "{step}");
            for answer in [&step["before"], &step["unimpressed"]] {
                assert_eq!((&answer["active"], &answer["sub"], &answer["jti"]), (&json!(true), id, &claims["jti"]));
            }
            assert_eq!(step["after"], json!({"active": false}));
            assert_eq!(step["refused"], json!({"error": "invalid_scope", "status": 400}));
            assert!(!world.is_live(step["token"].as_str().unwrap()).await);
            let credential = claims["jti"].as_str().unwrap();
            assert_eq!(world.get(&world.security, &format!("/v1/credentials/{credential}")).await.expect(200).text("/state"), "credential_revoked");
        }
    }
}

/// Waits out the half minute in which one look at the provider's keys is enough, so it runs on one engine.
#[tokio::test]
async fn the_provider_may_be_down_and_may_rotate_its_key() {
    let world = World::start(crate::world::Store::Sqlite).await;
    let mut provider = Provider::start("ES256", "first");
    trust(&world, &provider).await;
    let id = bound(&world, &provider, "foreign", 0).await;
    exchange(&world, &id, &provider.token(0, "blue", AUDIENCE).await, "production").await.expect(200);
    let before = provider.token(0, "blue", AUDIENCE).await;
    provider.stop();
    exchange(&world, &id, &before, "production").await.expect(200);

    // Another key of the same name is not taken for the old one, and a new name is looked up, though not at once.
    provider.restart("ES256", "first");
    refuses(&world, &id, &provider.token(0, "blue", AUDIENCE).await, "production").await;
    provider.restart("RS256", "second");
    for _ in 0..45 {
        let proof = provider.token(0, "blue", AUDIENCE).await;
        if exchange(&world, &id, &proof, "production").await.status == 200 {
            return;
        }
        world.pass(1).await;
    }
    panic!("the rotated key was not looked up within 45 s");
}

/// A provider that was never up when its keys were wanted: the proof can't be checked, which is not the workload's
/// fault.
#[tokio::test]
async fn without_the_providers_keys_nothing_is_issued() {
    let world = World::start(crate::world::Store::Sqlite).await;
    let mut provider = Provider::start("ES256", "first");
    trust(&world, &provider).await;
    let id = bound(&world, &provider, "foreign", 0).await;
    let proof = provider.token(0, "blue", AUDIENCE).await;
    provider.stop();
    let answer = exchange(&world, &id, &proof, "production").await.expect(503);
    assert_eq!(answer.text("/error"), "temporarily_unavailable");
    assert!(answer.headers.contains_key("retry-after"));
    assert!(world.events_of("credential.issued", &id).await.is_empty());
    // Somebody else's proof is none of the provider's business.
    let key = Key::new();
    let bystander = world.active("bystander", world.charter(key.jwk())).await;
    world.token(&key, &bystander, "production").await;
}
