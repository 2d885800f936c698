//! Certificate-bound tokens, as curl gets and uses them (RFC 8705).

use std::path::PathBuf;
use std::process::Command;

use super::*;
use crate::signals;
use crate::world::{Store, in_secs};

/// Certificates for a server and its clients, made by OpenSSL.
pub(crate) struct Certificates(tempfile::TempDir);

impl Certificates {
    pub fn new() -> Self {
        let made = Self(tempfile::tempdir().unwrap());
        made.self_signed("ca");
        made.openssl(&format!("req -newkey {EC} -subj /CN=server -keyout server.key -out server.csr"));
        std::fs::write(made.path("san"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n").unwrap();
        made.openssl(
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile san -out server.pem",
        );
        made
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        let output = command.current_dir(self.0.path()).args(arguments.split(' ')).output().unwrap();
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A certificate that nobody vouches for.
    pub fn self_signed(&self, name: &str) -> String {
        self.openssl(&format!("req -x509 -newkey {EC} -subj /CN={name} -days 2 -keyout {name}.key -out {name}.pem"));
        std::fs::read_to_string(self.path(&format!("{name}.pem"))).unwrap()
    }

    /// One whose lifetime is over in so many seconds.
    pub fn ends_in(&self, name: &str, seconds: i64) -> String {
        let config = "[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\nnew_certs_dir=.\nserial=serial\ndefault_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n[end]\nbasicConstraints=CA:FALSE\n";
        std::fs::write(self.path("ca.cnf"), config).unwrap();
        std::fs::write(self.path("index.txt"), "").unwrap();
        std::fs::write(self.path("serial"), "1000\n").unwrap();
        self.openssl(&format!("req -newkey {EC} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
        let end: String = in_secs(seconds).chars().filter(|c| c.is_ascii_digit()).take(14).collect();
        self.openssl(&format!(
            "ca -batch -selfsign -config ca.cnf -keyfile {name}.key -in {name}.csr -extensions end -enddate {end}Z -notext -out {name}.pem"
        ));
        std::fs::read_to_string(self.path(&format!("{name}.pem"))).unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `x5t#S256`, by OpenSSL.
    pub fn thumbprint(&self, name: &str) -> String {
        self.openssl(&format!("x509 -in {name}.pem -outform DER -out {name}.der"));
        base64url_sha256(&std::fs::read(self.path(&format!("{name}.der"))).unwrap())
    }

    /// A client that trusts the server's certificate.
    pub fn trusting(&self, client: reqwest::ClientBuilder) -> reqwest::Client {
        let authority = reqwest::Certificate::from_pem(&std::fs::read(self.path("ca.pem")).unwrap()).unwrap();
        client.tls_certs_only([authority]).build().unwrap()
    }

    fn client(&self, certificate: Option<&str>) -> reqwest::Client {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let read = |file: &str| std::fs::read(self.path(file)).unwrap();
        let mut client = reqwest::Client::builder().no_proxy();
        if let Some(name) = certificate {
            let pem = [read(&format!("{name}.key")), read(&format!("{name}.pem"))].concat();
            client = client.identity(reqwest::Identity::from_pem(&pem).unwrap());
        }
        self.trusting(client)
    }

    pub async fn world(&self) -> World {
        self.world_on(Store::Sqlite).await
    }

    /// A world whose server has a second listener, which asks for certificates.
    pub async fn world_on(&self, store: Store) -> World {
        let text = |name: &str| self.path(name).to_str().unwrap().to_owned();
        let environment = [
            ("TENURE_TLS_CERTIFICATE", text("server.pem")),
            ("TENURE_TLS_KEY", text("server.key")),
            ("TENURE_MTLS_LISTEN", "127.0.0.1:0".to_owned()),
        ];
        let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        World::fresh(&environment, store, self.client(None)).await
    }

    /// What curl gets: with a client certificate or without, with headers, and a form or JSON.
    pub async fn curl(
        &self,
        url: &str,
        certificate: Option<&str>,
        headers: &[&str],
        body: &[&str],
    ) -> (u16, Value, String) {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--dump-header", "-", "--http1.1", "--noproxy", "*", "--cacert"]);
        command.arg(self.path("ca.pem"));
        if let Some(name) = certificate {
            command.arg("--cert").arg(self.path(&format!("{name}.pem")));
            command.arg("--key").arg(self.path(&format!("{name}.key")));
        }
        for header in headers {
            command.args(["--header", header]);
        }
        for part in body {
            command.args(["--data-raw", part]);
        }
        command.arg(url);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "curl: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_default(), head.to_lowercase())
    }
}

const EC: &str = "ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

/// The charter of an identity that proves itself with this certificate.
pub(super) fn certified(world: &World, certificate: &str) -> Value {
    let mut charter = world.charter(json!({}));
    charter["workload_binding"] =
        json!({"type": "certificate", "workload": "deployment/exporter", "certificate": certificate});
    charter
}

fn code(body: &Value) -> &str {
    ["code", "reason_code", "error"].iter().find_map(|name| body[*name].as_str()).unwrap_or_default()
}

/// Where the listener with certificates is, as the metadata say it.
pub(super) async fn aliases(world: &World) -> Value {
    let metadata = world.get("", "/.well-known/oauth-authorization-server/env/production").await.expect(200);
    assert_eq!(metadata.body["tls_client_certificate_bound_access_tokens"], json!(true));
    let methods = metadata.body["token_endpoint_auth_methods_supported"].as_array().unwrap();
    assert!(methods.contains(&json!("self_signed_tls_client_auth")), "{methods:?}");
    metadata.body["mtls_endpoint_aliases"].clone()
}

#[tokio::test]
async fn curl_gets_and_uses_a_token_that_is_bound_to_its_certificate() {
    let certificates = Certificates::new();
    let world = certificates.world().await;
    let aliases = aliases(&world).await;
    let (endpoint, introspection) =
        (aliases["token_endpoint"].as_str().unwrap(), aliases["introspection_endpoint"].as_str().unwrap());
    assert!(!endpoint.starts_with(&world.server.url));
    let evaluation = introspection.replace(INTROSPECT, EVALUATION);
    let id = world.active("exporter", certified(&world, &certificates.self_signed("exporter"))).await;
    let mut charter = certified(&world, &certificates.self_signed("gate"));
    charter["scope"] = json!([{"actions": ["enforce"], "resource": world.orders}]);
    let gate = world.active("gate", charter).await;

    let own = async |id: &str, certificate: Option<&str>| {
        let client = format!("client_id={id}");
        certificates.curl(endpoint, certificate, &[], &["grant_type=client_credentials", &client]).await
    };
    let (status, issued, _) = own(&id, Some("exporter")).await;
    assert_eq!((status, &issued["token_type"]), (200, &json!("Bearer")), "{issued}");
    let token = issued["access_token"].as_str().unwrap();
    let thumbprint = certificates.thumbprint("exporter");
    assert_eq!(part(token, 1)["cnf"], json!({"x5t#S256": thumbprint}));
    let event = &world.events_of("credential.issued", &id).await[0];
    assert_eq!(event["data"]["method"], "self_signed_tls_client_auth");

    // Only that certificate proves that identity.
    certificates.self_signed("stranger");
    for (who, certificate, why) in [
        (&id, Some("stranger"), "proof_invalid"),
        (&id, Some("gate"), "proof_invalid"),
        (&gate, Some("exporter"), "proof_invalid"),
        (&id, None, "proof_missing"),
    ] {
        let (status, body, _) = own(who, certificate).await;
        assert_eq!((status, code(&body)), (401, why), "{certificate:?}");
    }
    let (status, body, _) =
        certificates.curl(endpoint, Some("exporter"), &[], &["grant_type=client_credentials"]).await;
    assert_eq!((status, code(&body)), (401, "proof_missing"), "a proof names its identity");
    let taken = world
        .register(
            "second",
            certified(&world, &std::fs::read_to_string(certificates.path("exporter.pem")).unwrap()),
            "draft",
        )
        .await;
    assert_eq!((taken.status, taken.code().as_str()), (409, "key_already_bound"));

    // The enforcement point's token is bound as well: from its own connection it is good, and from no other.
    let (_, issued, _) = own(&gate, Some("gate")).await;
    let bearer = format!("authorization: Bearer {}", issued["access_token"].as_str().unwrap());
    let about = format!("token={token}");
    let (status, told, _) = certificates.curl(introspection, Some("gate"), &[&bearer], &[&about]).await;
    assert_eq!((status, &told["active"], &told["cnf"]), (200, &json!(true), &json!({"x5t#S256": thumbprint})));
    let question = |cnf: Value| {
        let subject = json!({"type": "identity", "id": id, "properties": {"access_token": token, "cnf": cnf}});
        json!({"subject": subject, "resource": {"type": "database", "id": world.orders}, "action": {"name": "read"}})
            .to_string()
    };
    let json_body = "content-type: application/json";
    let good = question(json!({"x5t#S256": thumbprint}));
    let (status, told, _) = certificates.curl(&evaluation, Some("gate"), &[&bearer, json_body], &[&good]).await;
    assert_eq!((status, &told["decision"]), (200, &json!(true)));
    let stolen = question(json!({"x5t#S256": certificates.thumbprint("stranger")}));
    let (_, told, _) = certificates.curl(&evaluation, Some("gate"), &[&bearer, json_body], &[&stolen]).await;
    assert_eq!((&told["decision"], &told["context"]["reason_code"]), (&json!(false), &json!("token_bound")));

    let der = std::fs::read(certificates.path("exporter.der")).unwrap();
    let gates = certificates.thumbprint("gate");
    let der_of_gate = std::fs::read(certificates.path("gate.der")).unwrap();
    let standard = base64::engine::general_purpose::STANDARD;
    let client_cert = format!("client-cert: :{}:", standard.encode(&der_of_gate));
    let forwarded = format!("x-forwarded-client-cert: Hash={gates};Cert=\"{}\"", standard.encode(&der_of_gate));
    let nginx = format!("x-ssl-client-cert: {}", standard.encode(&der));
    let spoofed = [bearer.as_str(), client_cert.as_str(), forwarded.as_str(), nginx.as_str()];
    for (what, url, certificate, headers) in [
        ("another certificate", introspection, Some("stranger"), &spoofed[..1]),
        ("no certificate", introspection, None, &spoofed[..1]),
        ("headers in place of one", introspection, None, &spoofed[..]),
        ("headers and another one", introspection, Some("stranger"), &spoofed[..]),
        ("the listener that asks for none", &format!("{}{INTROSPECT}", world.server.url), Some("gate"), &spoofed[..]),
    ] {
        let (status, body, head) = certificates.curl(url, certificate, headers, &[&about]).await;
        assert_eq!((status, code(&body)), (401, "token_bound"), "{what}");
        assert!(
            head.contains(
                r#"www-authenticate: bearer error="invalid_token", error_description="the token is bound to a tls"#
            ),
            "{what}: {head}"
        );
    }
    // With the token that was evaluated above with another key than its own.
    assert_eq!(world.refused(&gate, "token_bound").await, 6);
    let (status, body, _) = certificates
        .curl(
            &format!("{}{TOKEN}", world.server.url),
            Some("exporter"),
            &spoofed[1..],
            &["grant_type=client_credentials", &format!("client_id={id}")],
        )
        .await;
    assert_eq!((status, code(&body)), (401, "proof_missing"), "headers prove nobody");
}

#[tokio::test]
async fn r7_a_certificate_whose_lifetime_is_over_proves_nothing_and_the_inventory_says_so() {
    let certificates = Certificates::new();
    let world = certificates.world().await;
    let endpoint = aliases(&world).await["token_endpoint"].as_str().unwrap().to_owned();
    let soon = certificates.ends_in("soon", 15);
    let id = world.active("exporter", certified(&world, &soon)).await;
    let other = world.active("importer", certified(&world, &certificates.self_signed("other"))).await;
    let own = async |id: &str, certificate: &str| {
        let client = format!("client_id={id}");
        certificates.curl(&endpoint, Some(certificate), &[], &["grant_type=client_credentials", &client]).await
    };
    let inventory = async |id: &str| {
        let identity = world.get(&world.security, &format!("/v1/identities/{id}")).await.expect(200);
        identity.body["certificate"].clone()
    };
    let known = inventory(&id).await;
    assert_eq!(known["state"], "good");
    assert_eq!(known["thumbprint"], certificates.thumbprint("soon"));
    let (status, issued, _) = own(&id, "soon").await;
    assert_eq!(status, 200, "{issued}");
    let left = issued["expires_in"].as_i64().unwrap();
    assert!((1..=15).contains(&left), "what is issued on it ends with it: {left}");
    world.until(async || inventory(&id).await["state"] == "ended").await;
    let (status, refused, _) = own(&id, "soon").await;
    assert_eq!((status, code(&refused)), (401, "certificate_ended"));
    assert_eq!(world.refused(&id, "certificate_ended").await, 1);
    let page = world.get(&world.security, &format!("/identities/{id}")).await.expect(200);
    assert!(page.body.as_str().unwrap().contains("Its certificate ends"));
    let over = std::fs::read_to_string(certificates.path("soon.pem")).unwrap();
    let late = world.register("late", certified(&world, &over), "draft").await;
    assert_eq!(late.expect(422).field_codes(), ["certificate_ended"]);

    // One that is revoked with its identity is refused whatever its dates say.
    assert_eq!(own(&other, "other").await.0, 200);
    let retired = json!({"reason": "no longer needed"});
    world.post(&world.owner, &format!("/v1/identities/{other}/retire"), retired).await.expect(200);
    let (status, refused, _) = own(&other, "other").await;
    assert_eq!((status, code(&refused)), (400, "identity_retired"));
    assert_eq!(inventory(&other).await["state"], "revoked");
}

/// How a client proves itself and what its token is bound to are two things: any client on this listener gets bound
/// tokens.
#[tokio::test]
async fn a_certificate_binds_whatever_proved_the_client() {
    let certificates = Certificates::new();
    let world = certificates.world().await;
    let aliases = aliases(&world).await;
    let endpoint = aliases["token_endpoint"].as_str().unwrap();
    certificates.self_signed("client");
    let key = Key::new();
    let mut charter = world.charter(key.jwk());
    charter["sender_constrained"] = json!(true);
    let id = world.active("exporter", charter).await;
    let form = |assertion: &str| {
        [
            "grant_type=client_credentials".to_owned(),
            format!("client_assertion_type={ASSERTION_TYPE}"),
            format!("client_assertion={assertion}"),
        ]
    };
    let ask = async |certificate: Option<&str>, headers: &[&str]| {
        let form = form(&key.assertion(&id, &world.issuer("production")));
        certificates.curl(endpoint, certificate, headers, &form.each_ref().map(String::as_str)).await
    };
    let (status, issued, _) = ask(Some("client"), &[]).await;
    assert_eq!(status, 200, "{issued}");
    assert_eq!(
        part(issued["access_token"].as_str().unwrap(), 1)["cnf"],
        json!({"x5t#S256": certificates.thumbprint("client")})
    );
    let (status, body, _) = ask(None, &[]).await;
    assert_eq!((status, code(&body)), (400, "sender_constraint_needed"));
    // A proof is for the address that the client used, which is this listener's.
    let dpop = Key::new();
    let nonce = world.dpop_nonce().await;
    let elsewhere = format!("dpop: {}", proof(&dpop, "POST", &format!("{}{TOKEN}", world.server.url), &nonce, None));
    assert_eq!(code(&ask(Some("client"), &[&elsewhere]).await.1), "dpop_invalid");
    let here = format!("dpop: {}", proof(&dpop, "POST", endpoint, &nonce, None));
    let (_, issued, _) = ask(Some("client"), &[&here]).await;
    assert_eq!(part(issued["access_token"].as_str().unwrap(), 1)["cnf"], json!({"jkt": thumbprint(&dpop)}));
    // Where nobody asks for certificates, the metadata offer none.
    let plain = World::start(Store::Sqlite).await;
    let metadata = plain.get("", "/.well-known/oauth-authorization-server/env/production").await.expect(200);
    assert_eq!(
        (&metadata.body["tls_client_certificate_bound_access_tokens"], &metadata.body["mtls_endpoint_aliases"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(metadata.body["dpop_signing_alg_values_supported"], json!(["EdDSA", "Ed25519", "ES256"]));
    for (certificate, code) in [("", "certificate_not_one"), ("-----BEGIN PRIVATE KEY-----", "certificate_private")] {
        let refused = plain.register("x", certified(&plain, certificate), "pending").await.expect(422);
        assert!(refused.field_codes().iter().any(|given| given == code), "{}", refused.body);
    }
}

/// A handshake is a proof of its own time, however long its connection is used (R86).
async fn an_older_connection_is_an_older_proof(store: Store) {
    let certificates = Certificates::new();
    let world = certificates.world_on(store).await;
    let endpoint = aliases(&world).await["token_endpoint"].as_str().unwrap().to_owned();
    let id = world.active("exporter", certified(&world, &certificates.self_signed("exporter"))).await;
    let fields = [("grant_type", "client_credentials"), ("client_id", id.as_str())];
    let ask = async |from: &reqwest::Client| World::answer(from.post(&endpoint).form(&fields)).await;
    let open = certificates.client(Some("exporter"));
    let token = ask(&open).await.expect(200).text("/access_token");

    let mut platform = signals::registration(&world, "platform", "cloud_events", "hmac");
    platform["kinds"] = json!(["workload_changed"]);
    platform["subjects"] = json!(["workload:*"]);
    let platform = signals::source(&world, platform).await;
    let body = signals::event("1", "workload.changed", "workload:deployment/exporter");
    let heard = signals::deliver(&world, &platform.name, &signals::cloud_headers(&platform.secret, &body), &body)
        .await
        .expect(202);
    world.until(async || !world.events_of("workload.mover", &id).await.is_empty()).await;
    for _ in 0..2 {
        assert_eq!(ask(&open).await.expect(400).code(), "binding_unverified");
    }
    assert_eq!(world.refused(&id, "binding_unverified").await, 2);
    // What it has is not taken away, and a new handshake is a new proof, once and for all.
    let form = world.form(&world.gateway, INTROSPECT, &[("token", &token)]).await.expect(200);
    assert_eq!(form.body["active"], json!(true));
    ask(&certificates.client(Some("exporter"))).await.expect(200);
    let verified = world.events_of("binding.verified", &id).await;
    assert_eq!((verified.len(), &verified[0]["data"]["signal"]), (1, &json!(heard.text("/signals/0/id"))));
    ask(&open).await.expect(200);

    // No handshake stands on an earlier one: sessions are not resumed here, by none of TLS's two ways. Where nobody is
    // proven, they are.
    let handshakes = async |url: &str, version: &'static str| {
        let address = url.trim_start_matches("https://").split('/').next().unwrap().to_owned();
        let mut command = Command::new("openssl");
        command.current_dir(certificates.path("")).args([
            "s_client",
            "-connect",
            &address,
            "-CAfile",
            "ca.pem",
            version,
            "-reconnect",
        ]);
        command.args(["-cert", "exporter.pem", "-key", "exporter.key"]).stdin(std::process::Stdio::null());
        let said = tokio::task::spawn_blocking(move || command.output().unwrap().stdout).await.unwrap();
        String::from_utf8_lossy(&said).into_owned()
    };
    for version in ["-tls1_2", "-tls1_3"] {
        let said = handshakes(&endpoint, version).await;
        let resumed = said.contains("Reused,") || said.contains("Post-Handshake New Session Ticket");
        assert!(said.contains("New, TLSv1") && !resumed, "{version}: {said}");
    }
    let said = handshakes(&world.server.url, "-tls1_2").await;
    assert!(said.contains("Reused, TLSv1"), "{said}");
}

mod r86_a_connection_from_before_the_change_proves_nothing_after_it {
    use super::*;
    #[tokio::test]
    async fn sqlite() {
        an_older_connection_is_an_older_proof(Store::Sqlite).await;
    }
    #[tokio::test]
    #[ignore = "long: the second engine"]
    async fn postgres() {
        an_older_connection_is_an_older_proof(Store::Postgres).await;
    }
}
