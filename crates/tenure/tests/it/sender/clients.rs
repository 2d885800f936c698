//! Stock clients: openid-client with DPoP, authlib with assertions as they were before rfc7523bis, requests with a
//! certificate.

use super::mutual_tls::{Certificates, aliases, certified};
use super::*;
use crate::peers::{self, node, p256, said};

async fn python(task: Value) -> Value {
    let mut command = peers::python("authlib_client.py");
    command.arg(task.to_string()).env("AUTHLIB_INSECURE_TRANSPORT", "1");
    said(command).await
}

/// A key with its private part, as the script imports it.
async fn private(script: &str) -> Value {
    let mut command = node("client.mjs");
    command.arg(script);
    said(command).await
}

on_one! {
    async fn openid_client_gets_and_uses_dpop_tokens_by_itself(world: World) {
        let keys = private("keys").await;
        let public = |key: &Value| { let mut key = key.clone(); key.as_object_mut().unwrap().remove("d"); key };
        let id = world.active("stock-client", world.charter(public(&keys["EdDSA"]))).await;
        let mut charter = world.charter(public(&keys["gateway"]));
        charter["scope"] = json!([{"actions": ["enforce"], "resource": world.orders}]);
        let gateway = world.active("stock-gateway", charter).await;
        let task = json!({
            "issuer": world.issuer("production"), "resource": ORDERS, "evaluation": format!("{}{EVALUATION}", world.server.url),
            "workload": {"id": id, "jwk": keys["EdDSA"]}, "gateway": {"id": gateway, "jwk": keys["gateway"]},
            "question": {"subject": {"type": "identity", "id": id}, "resource": {"type": "database", "id": world.orders}, "action": {"name": "read"}},
        });
        let mut command = node("dpop.mjs");
        command.arg(task.to_string());
        let steps = said(command).await;
        for alg in ["EdDSA", "ES256"] {
            for step in ["granted", "second"] {
                let granted = &steps[alg][step];
                assert_eq!(granted["token_type"].as_str().unwrap().to_lowercase(), "dpop");
                assert_eq!(part(granted["access_token"].as_str().unwrap(), 1)["cnf"]["jkt"], steps[alg]["thumbprint"]);
            }
        }
        assert_eq!((&steps["evaluated"]["status"], &steps["evaluated"]["body"]["decision"]), (&json!(200), &json!(true)), "{}", steps["evaluated"]);
        assert_eq!(steps["stolen"], json!({"status": 401, "challenges": [{"scheme": "dpop", "error": "invalid_token"}]}));
        // One refusal for want of a nonce at each new handle, then none.
        let tokens: Vec<(bool, u64)> = steps["seen"].as_array().unwrap().iter()
            .filter(|seen| seen["url"].as_str().unwrap().ends_with("/token"))
            .map(|seen| (seen["proof"].as_bool().unwrap(), seen["status"].as_u64().unwrap()))
            .collect();
        let (asked, given) = ((true, 400), (true, 200));
        assert_eq!(tokens, [asked, given, given, asked, given, given, asked, given]);
        assert_eq!(world.refused(&gateway, "token_bound").await, 1);
    }

    async fn e05_authlib_gets_three_tokens_in_a_row_and_at_the_endpoints_audience_only_by_the_switch(world: World) {
        let endpoint = format!("{}{TOKEN}", world.server.url);
        let register = async |name: &str, audience: Option<&str>| {
            let (pem, jwk) = p256();
            let mut charter = world.charter(jwk);
            if let Some(audience) = audience {
                charter["workload_binding"]["assertion_audience"] = json!(audience);
            }
            (world.active(name, charter).await, pem)
        };
        let issuer = world.issuer("production");
        let (strict, strict_pem) = register("strict", None).await;
        let answer = python(json!({"endpoint": endpoint, "client": strict, "pem": strict_pem, "audience": endpoint})).await;
        assert_eq!(answer, json!({"error": "invalid_client"}));
        assert!(world.events_of("credential.issued", &strict).await.is_empty());
        let (switched, pem) = register("authlib", Some("token_endpoint")).await;
        for (id, pem, audience) in [(&strict, &strict_pem, &issuer), (&switched, &pem, &endpoint)] {
            let answer = python(json!({"endpoint": endpoint, "client": id, "pem": pem, "audience": audience})).await;
            let tokens = answer["tokens"].as_array().unwrap_or_else(|| panic!("{answer}"));
            assert_eq!(tokens.len(), 3);
            for token in tokens {
                assert!(world.is_live(token["access_token"].as_str().unwrap()).await);
            }
        }
    }
}

#[tokio::test]
async fn requests_gets_a_token_with_its_certificate() {
    let certificates = Certificates::new();
    let world = certificates.world().await;
    let aliases = aliases(&world).await;
    let id = world.active("exporter", certified(&world, &certificates.self_signed("exporter"))).await;
    certificates.self_signed("stranger");
    let ask = async |name: &str| {
        python(json!({
            "endpoint": aliases["token_endpoint"], "client": id, "authority": certificates.path("ca.pem"),
            "certificate": certificates.path(&format!("{name}.pem")), "key": certificates.path(&format!("{name}.key")),
        }))
        .await
    };
    let answer = ask("exporter").await;
    assert_eq!(answer["status"], json!(200), "{answer}");
    let token = answer["body"]["access_token"].as_str().unwrap();
    assert_eq!(part(token, 1)["cnf"], json!({"x5t#S256": certificates.thumbprint("exporter")}));
    assert!(world.is_live(token).await);
    let refused = ask("stranger").await;
    assert_eq!((&refused["status"], &refused["body"]["error"]), (&json!(401), &json!("invalid_client")));
}

/// The command line makes proofs, fetches the nonce, and makes proofs for other programs.
#[tokio::test]
async fn the_command_line_binds_tokens() {
    let world = World::start(crate::world::Store::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let run = |arguments: Vec<String>| {
        let mut command = crate::world::tenure();
        command.args(arguments).env("TENURE_SERVER", &world.server.url).env_remove("TENURE_TOKEN");
        async move {
            let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        }
    };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let jwk: Value =
        serde_json::from_str(&run(words(&format!("key generate --out {}", path("gate.key")))).await).unwrap();
    let bound_to: Value =
        serde_json::from_str(&run(words(&format!("key generate --out {}", path("dpop.key")))).await).unwrap();
    let mut charter = world.charter(jwk);
    charter["scope"] = json!([{"actions": ["enforce"], "resource": world.orders}]);
    charter["sender_constrained"] = json!(true);
    let id = world.active("gate", charter).await;
    let get = format!(
        "token get --identity {id} --key {} --environment production --dpop-key {} -o json",
        path("gate.key"),
        path("dpop.key")
    );
    let issued: Value = serde_json::from_str(&run(words(&get)).await).unwrap();
    assert_eq!(issued["token_type"], "DPoP");
    let token = issued["access_token"].as_str().unwrap();
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":{}}}"#, bound_to["x"]);
    assert_eq!(part(token, 1)["cnf"]["jkt"], json!(base64url_sha256(canonical.as_bytes())));
    std::fs::write(path("token"), token).unwrap();
    let url = format!("{}{INTROSPECT}", world.server.url);
    let nonce = world.dpop_nonce().await;
    let make = format!(
        "token proof --dpop-key {} --method POST --url {url} --nonce {nonce} --token-file {}",
        path("dpop.key"),
        path("token")
    );
    let proof = run(words(&make)).await;
    world.show(Method::POST, INTROSPECT, "DPoP", token, &[proof.trim()], about(&world.gateway)).await.expect(200);
}

/// Keys as files: as they are made, as OpenSSL reads and makes them, and as earlier releases wrote them.
#[tokio::test]
async fn e04_the_command_line_reads_and_writes_keys_and_bare_tokens() {
    let world = World::start(crate::world::Store::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let run = |text: String| {
        let mut command = crate::world::tenure();
        command.args(text.split(' ')).env("TENURE_SERVER", &world.server.url).env_remove("TENURE_TOKEN");
        async move { tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap() }
    };
    let said = |output: std::process::Output| {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let (foreign, foreign_jwk) = p256();
    std::fs::write(path("openssl"), foreign).unwrap();
    // RFC 8037, appendix A: what earlier releases wrote.
    std::fs::write(path("old"), "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\n").unwrap();
    let mut keys = vec![("openssl", foreign_jwk)];
    keys.push(("old", json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})));
    for (name, options) in [
        ("ed25519-pem", ""),
        ("p256-pem", " --type p256"),
        ("ed25519-jwk", " --format jwk"),
        ("p256-jwk", " --type p256 --format jwk"),
    ] {
        let made = said(run(format!("key generate --out {}{options}", path(name))).await);
        keys.push((name, serde_json::from_str(&made).unwrap()));
        if name.ends_with("pem") {
            let read =
                std::process::Command::new("openssl").args(["pkey", "-noout", "-in", &path(name)]).output().unwrap();
            assert!(read.status.success(), "{name}");
        }
    }
    for (name, jwk) in keys {
        let shown: Value = serde_json::from_str(&said(run(format!("key public {}", path(name))).await)).unwrap();
        assert_eq!(shown, jwk, "{name}");
        let id = world.active(name, world.charter(jwk)).await;
        let get = format!("token get --identity {id} --environment production --key {}", path(name));
        let raw = said(run(format!("{get} --raw")).await);
        assert!(world.is_live(raw.trim()).await, "{name}");
        // A file of before is replaced; nobody else may read it.
        for _ in 0..2 {
            assert_eq!(said(run(format!("{get} --out {}", path("token"))).await), "");
        }
        let written = std::fs::read_to_string(path("token")).unwrap();
        assert!(written != raw && world.is_live(written.trim()).await, "{name}");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path("token")).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
    std::fs::write(path("none"), "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
        .unwrap();
    let refused = run(format!("key public {}", path("none"))).await;
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("without a passphrase"));
}
