//! Stock MCP clients as machines, and a stock MCP server that checks their tokens: the SDKs in Python and TypeScript,
//! and FastMCP, as their registries have them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::on_one;
use crate::peers::{node, p256, python, said};
use crate::world::{Key, World};

/// The clients: PyPI `mcp`, npm `@modelcontextprotocol/sdk` and `@modelcontextprotocol/client`.
const CLIENTS: [&str; 3] = ["python", "sdk", "client"];

/// A running MCP server; it ends with the test.
struct McpServer {
    child: Child,
    url: String,
}

impl McpServer {
    /// A server that demands and offers these scopes.
    async fn start(task: Value) -> Self {
        let start = move || {
            let mut command = python("mcp_server.py");
            command.arg(task.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = command.spawn().unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            let said: Value = serde_json::from_str(&line).expect("the server started");
            Self { url: said["url"].as_str().unwrap().to_owned(), child }
        };
        tokio::task::spawn_blocking(start).await.unwrap()
    }
}

impl Drop for McpServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a client says that asks the server's tool who it is: the tool's answer, or how it failed.
async fn who(client: &str, server: &McpServer, issuer: &str, with: Value) -> Value {
    let mut task = json!({"package": client, "server": format!("{}/", server.url), "issuer": issuer, "alg": "ES256", "tool": "who"});
    task.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
    let mut command = if client == "python" { python("mcp_client.py") } else { node("mcp.mjs") };
    command.arg(task.to_string());
    let said = said(command).await;
    match said["text"].as_str() {
        Some(text) => serde_json::from_str(text).unwrap(),
        None => said,
    }
}

/// What a token is signed with.
fn algorithm_of(token: &str) -> String {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["alg"].as_str().unwrap().to_owned()
}

/// The server as a resource, and an identity with a key that every client reads and these actions there.
async fn client_of(world: &World, server: &McpServer, actions: &[&str], algorithm: &str) -> (String, String) {
    let body = json!({"signing_algorithm": algorithm, "uri": server.url, "type": "mcp", "actions": ["read", "write", "admin"], "application": world.application, "environment": "production", "verification": "offline"});
    let resource = world.post(&world.admin, "/v1/resources", body).await.expect(201).text("/id");
    let (pem, jwk) = p256();
    let mut charter = world.charter(jwk);
    charter["scope"] = json!([{"actions": actions, "resource": resource}]);
    (world.active(&format!("mcp-{}", algorithm.to_lowercase()), charter).await, pem)
}

on_one! {
    async fn e04_e05_a_stock_server_checks_tokens_of_the_algorithm_that_it_knows(world: World) {
        let issuer = world.issuer("production");
        // FastMCP knows RS256 unless it is told otherwise.
        let server = McpServer::start(json!({"issuer": issuer, "required": ["read"], "offered": ["read"]})).await;
        let (id, pem) = client_of(&world, &server, &["read"], "RS256").await;
        let answer = who("sdk", &server, &issuer, json!({"id": id, "pem": pem})).await;
        assert_eq!(answer, json!({"client": id, "scopes": ["read"], "audience": server.url}));
        let more = |uri: &str| json!({"uri": uri, "type": "mcp", "actions": ["read"], "application": world.application, "environment": "production", "verification": "offline", "signing_algorithm": "ES256"});
        for uri in ["https://a.internal", "https://b.internal"] {
            world.post(&world.admin, "/v1/resources", more(uri)).await.expect(201);
        }
        // Each algorithm has one key, however many resources want it, and each is in the key set and in what verifiers
        // discover.
        let algorithms = |keys: Value| keys["keys"].as_array().unwrap().iter().map(|key| key["alg"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        let set = algorithms(world.get("", "/env/production/jwks.json").await.expect(200).body);
        assert_eq!(set, ["EdDSA", "RS256", "ES256"]);
        for path in ["/.well-known/openid-configuration/env/production", "/env/production/.well-known/openid-configuration"] {
            let found = world.get("", path).await.expect(200).body;
            assert_eq!((&found["issuer"], &found["id_token_signing_alg_values_supported"]), (&json!(issuer), &json!(["ES256", "EdDSA", "RS256"])), "{path}");
        }
        for path in ["/.well-known/openid-configuration/env/nowhere", "/env/nowhere/.well-known/openid-configuration"] {
            world.get("", path).await.expect(404);
        }
        // A rotation renews each of them.
        let rotated = world.post(&world.admin, "/v1/environments/production/rotate-key", json!({})).await.expect(200);
        assert_eq!(rotated.body["keys"].as_array().unwrap().len(), 6);
        // An environment may sign with another from its first token on.
        world.post(&world.admin, "/v1/environments", json!({"name": "partners", "signing_algorithm": "ES256"})).await.expect(201);
        assert_eq!(algorithms(world.get("", "/env/partners/jwks.json").await.expect(200).body), ["ES256"]);
        world.post(&world.admin, "/v1/environments", json!({"name": "none", "signing_algorithm": "HS256"})).await.expect(400);
    }

    async fn e04_a_resource_changes_over_once_verifiers_had_time_to_fetch_the_key(world: World) {
        let orders = world.resource("https://orders.staging", "staging", "offline").await;
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["environment"] = json!("staging");
        charter["scope"] = json!([{"actions": ["read"], "resource": orders}]);
        let id = world.active("stager", charter).await;
        let alg = async || algorithm_of(&world.token(&key, &id, "staging").await);
        let change = async |algorithm: Value| world.post(&world.admin, &format!("/v1/resources/{orders}/sign-with"), json!({"signing_algorithm": algorithm})).await;
        change(json!("ES256")).await.expect(200);
        // Published at once, and signing nothing yet.
        let set = world.get("", "/env/staging/jwks.json").await.expect(200).body;
        assert_eq!((set["keys"].as_array().unwrap().len(), alg().await), (2, "EdDSA".to_owned()));
        world.pass(1_200).await;
        assert_eq!(alg().await, "ES256");
        change(Value::Null).await.expect(200);
        assert_eq!(alg().await, "EdDSA");
        change(json!("none")).await.expect(400);
        let changes = world.events_of("resource.signing_changed", &orders).await;
        assert_eq!(changes.iter().map(|event| &event["data"]["signing_algorithm"]).collect::<Vec<_>>(), [&json!("ES256"), &json!("EdDSA")]);
    }

    async fn e01_e02_stock_clients_get_a_token_for_what_is_held_and_call_a_tool(world: World) {
        let issuer = world.issuer("production");
        // It writes its own name with a slash at the end, and is registered without.
        let server = McpServer::start(json!({"issuer": issuer, "algorithm": "EdDSA", "required": [], "offered": ["read", "write", "admin"]})).await;
        let (id, pem) = client_of(&world, &server, &["read", "write"], "EdDSA").await;
        for client in CLIENTS {
            // Two of the three ask for all that the server offers, whatever they are told to ask for.
            let answer = who(client, &server, &issuer, json!({"id": id, "pem": pem, "scope": "read write admin"})).await;
            assert_eq!(answer, json!({"client": id, "scopes": ["read", "write"], "audience": server.url}), "{client}");
        }
        let issued = world.events_of("credential.issued", &id).await;
        assert!(issued.len() == 3 && issued.iter().filter(|event| event["data"]["left_out"] == json!(["admin"])).count() >= 2, "{issued:?}");
        // One resource has one registration, however it is spelled.
        let twin = json!({"uri": format!("{}/", server.url), "type": "mcp", "actions": ["read"], "application": world.application, "environment": "production", "verification": "offline"});
        assert_eq!(world.post(&world.admin, "/v1/resources", twin).await.expect(409).code(), "taken");

        // The address without which they refuse the metadata gives no code, sends nobody on and promises nothing.
        let metadata = world.get("", "/.well-known/oauth-authorization-server/env/production").await.expect(200).body;
        assert_eq!(metadata["response_types_supported"], json!(["none"]));
        assert!(!metadata["grant_types_supported"].as_array().unwrap().contains(&json!("authorization_code")));
        let query = [("response_type", "code"), ("client_id", &id), ("redirect_uri", "https://evil.example/<script>"), ("state", "x")];
        let page = world.http.get(metadata["authorization_endpoint"].as_str().unwrap()).query(&query).send().await.unwrap();
        assert_eq!((page.status().as_u16(), page.headers().get("location")), (400, None));
        assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
        let text = page.text().await.unwrap();
        assert!(text.contains("unsupported_response_type") && !text.contains("evil.example"), "{text}");
        assert_eq!(world.get("", "/env/nowhere/authorize").await.status, 404);
    }
}
