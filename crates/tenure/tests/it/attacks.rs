//! Attacks on the management API and on the server as a whole: what is refused, as what, and that nothing changes by
//! it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::on_one;
use crate::world::{Answer, Key, Server, Store, World, assertion_claims, jwts, now, random};

/// Sends exactly these bytes, which no HTTP library would; gives the status, the head and the body.
async fn raw(world: &World, request: impl AsRef<[u8]>) -> (u16, String, String) {
    let mut stream = TcpStream::connect(world.server.url.trim_start_matches("http://")).await.unwrap();
    // A server that refuses early may close before it has read all.
    let _ = stream.write_all(request.as_ref()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, head.to_lowercase(), body.to_owned())
}

/// What it is, the path, the content type, the body, and the status and code that it gets.
type BodyCase<'a> = (&'a str, &'a str, &'a str, Vec<u8>, u16, &'a str);

fn is_problem(answer: &Answer) -> bool {
    let text =
        |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    text("content-type") == "application/problem+json"
        && text("x-content-type-options") == "nosniff"
        && text("cache-control") == "no-store"
        && answer.body["status"] == json!(answer.status)
}

/// A join token of an active identity that enrols that way, and the identity.
async fn join_token(world: &World, name: &str) -> (String, String) {
    let mut charter = world.charter(json!({}));
    charter["workload_binding"] = json!({"type": "join_token", "workload": name});
    let id = world.active(name, charter).await;
    let token = world
        .post(&world.owner, &format!("/v1/identities/{id}/join-tokens"), json!({}))
        .await
        .expect(201)
        .text("/join_token");
    (id, token)
}

fn enrolment(world: &World, key: &Key, join_token: &str, with: &Value) -> Value {
    let id = format!("jnt_{}", &join_token["tnr_join_".len()..][..26]);
    let mut claims = json!({"aud": world.issuer("production"), "join_token_id": id, "jti": random(), "iat": now(), "exp": now() + 60});
    claims.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
    json!({"join_token": join_token, "jwk": key.jwk(), "proof": key.sign(&json!({"alg": "EdDSA", "typ": "tenure-enrol+jwt"}), &claims)})
}

on_one! {
    async fn bodies_are_read_strictly(world: World) {
        let (id, _) = world.exporter("exporter").await;
        let secret = &world.security;
        let identity = json!({"kind": "workload", "name": "x", "charter": world.charter(Key::new().jwk()), "stage": "active"}).to_string();
        let deep = |depth: usize| format!(r#"{{"subject":{{"type":"identity","id":"x","properties":{{"a":{}{}}}}}}}"#, "[".repeat(depth), "]".repeat(depth));
        let suspend = format!("/v1/identities/{id}/suspend");
        let tokens = format!("/v1/people/{}/operator-tokens", world.owner_id);
        let json_type = "application/json";
        let cases: Vec<BodyCase<'_>> = vec![
            ("empty", "/v1/people", json_type, b"".to_vec(), 400, "body_malformed"),
            ("cut off", "/v1/people", json_type, b"{\"name\":".to_vec(), 400, "body_malformed"),
            ("a list", "/v1/people", json_type, b"[]".to_vec(), 400, "body_malformed"),
            ("null", "/v1/people", json_type, b"null".to_vec(), 400, "body_malformed"),
            ("two values", "/v1/people", json_type, b"{\"name\":\"a\"}{}".to_vec(), 400, "body_malformed"),
            ("no UTF-8", "/v1/people", json_type, b"{\"name\":\"\xff\"}".to_vec(), 400, "body_malformed"),
            ("UTF-16", "/v1/people", json_type, b"\xff\xfe{\0}\0".to_vec(), 400, "body_malformed"),
            ("half a surrogate", "/v1/people", json_type, br#"{"name":"\ud800"}"#.to_vec(), 400, "body_malformed"),
            ("an unknown field", "/v1/people", json_type, br#"{"name":"a","administrator":true}"#.to_vec(), 400, "body_malformed"),
            ("an unknown role", "/v1/people", json_type, br#"{"name":"a","roles":["root"]}"#.to_vec(), 400, "body_malformed"),
            ("a field twice", "/v1/people", json_type, br#"{"name":"a","name":"b"}"#.to_vec(), 400, "body_malformed"),
            ("a field of another type", "/v1/people", json_type, br#"{"name":7}"#.to_vec(), 400, "body_malformed"),
            ("a field of its charter twice", "/v1/identities", json_type, identity.replacen(r#""purpose":"#, r#""purpose":"a","purpose":"#, 1).into(), 400, "body_malformed"),
            ("a member of its key twice", "/v1/identities", json_type, identity.replacen(r#""kty":"#, r#""kty":"EC","kty":"#, 1).into(), 400, "body_malformed"),
            ("an unknown field of its charter", "/v1/identities", json_type, identity.replacen(r#""purpose":"#, r#""approved":true,"purpose":"#, 1).into(), 400, "body_malformed"),
            ("a state of its own choice", "/v1/identities", json_type, identity.replacen(r#""stage":"active""#, r#""state":"active""#, 1).into(), 400, "body_malformed"),
            ("an unknown stage", "/v1/identities", json_type, identity.replacen(r#""stage":"active""#, r#""stage":"retired""#, 1).into(), 400, "body_malformed"),
            ("an unknown kind", "/v1/identities", json_type, identity.replacen("workload", "human", 1).into(), 400, "body_malformed"),
            ("nested deeply", "/v1/setup", json_type, deep(10_000).into(), 400, "body_malformed"),
            ("too large", &suspend, json_type, json!({"reason": "x".repeat(70_000)}).to_string().into(), 413, "body_too_large"),
            ("a form", &suspend, "application/x-www-form-urlencoded", b"reason=x".to_vec(), 415, "media_type_unsupported"),
            ("a text that is JSON", &suspend, "text/plain", br#"{"reason":"x"}"#.to_vec(), 415, "media_type_unsupported"),
            ("no content type", &suspend, "", br#"{"reason":"x"}"#.to_vec(), 415, "media_type_unsupported"),
            ("almost JSON", &suspend, "application/json-patch+json", br#"{"reason":"x"}"#.to_vec(), 415, "media_type_unsupported"),
            ("no reason", &suspend, json_type, b"{}".to_vec(), 422, "fields_invalid"),
            ("endless life", &tokens, json_type, br#"{"ttl":"36500d"}"#.to_vec(), 422, "fields_invalid"),
            ("life in words", &tokens, json_type, br#"{"ttl":"for ever"}"#.to_vec(), 400, "body_malformed"),
            ("an unknown target", "/v1/revocations", json_type, br#"{"target":{"type":"everything","id":"*"},"reason":"x"}"#.to_vec(), 400, "body_malformed"),
            ("a target of another type", "/v1/revocations", json_type, format!(r#"{{"target":{{"type":"credential","id":"{id}"}},"reason":"x"}}"#).into(), 400, "body_malformed"),
            ("a secret as the body", "/v1/people", json_type, json!(secret).to_string().into(), 400, "body_malformed"),
            ("a secret as a number", &tokens, json_type, json!({"ttl": secret}).to_string().into(), 400, "body_malformed"),
            ("a secret as a role", "/v1/people", json_type, json!({"name": "a", "roles": [secret]}).to_string().into(), 400, "body_malformed"),
            ("a secret as a list", "/v1/people", json_type, json!({"name": "a", "roles": secret}).to_string().into(), 400, "body_malformed"),
            ("a secret as a name", "/v1/people", json_type, format!(r#"{{"name":"a","{secret}":1}}"#).into(), 400, "body_malformed"),
            ("a secret as a kind", "/v1/identities", json_type, identity.replacen(r#""kind":"workload""#, &format!(r#""kind":"{secret}""#), 1).into(), 400, "body_malformed"),
            ("a secret as an id", "/v1/revocations", json_type, json!({"target": {"type": "credential", "id": secret}, "reason": "x"}).to_string().into(), 400, "body_malformed"),
            ("a secret as a target", "/v1/revocations", json_type, json!({"target": {"type": secret, "id": "x"}, "reason": "x"}).to_string().into(), 400, "body_malformed"),
            ("a secret as an issuer", "/v1/issuers", json_type, json!({"url": secret, "audience": "x", "environments": [secret], "algorithms": [secret]}).to_string().into(), 422, "fields_invalid"),
        ];
        let before = world.changes().await;
        for (what, path, content_type, body, status, code) in cases {
            let caller = if path == suspend { &world.security } else if path == "/v1/identities" { &world.owner } else { &world.admin };
            let mut request = world.http.post(format!("{}{path}", world.server.url)).bearer_auth(caller).body(body);
            if !content_type.is_empty() {
                request = request.header("content-type", content_type);
            }
            let answer = World::answer(request).await;
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{what}: {}", answer.body);
            assert!(is_problem(&answer), "{what}: {:?}", answer.headers);
            assert!(!answer.body.to_string().contains(&secret[12..]), "{what}: {}", answer.body);
        }
        assert_eq!(world.changes().await, before);
        // Those of a known caller that were understood and refused stand in the log.
        let refused = |fields: &str| {
            let fields = fields.to_owned();
            move |event: &Value| event["kind"] == "access.refused" && event["data"]["fields"].as_array().is_some_and(|list| list.iter().any(|field| field["code"] == json!(fields)))
        };
        let events = world.events().await;
        assert!(events.iter().any(refused("ttl_out_of_range")) && events.iter().any(refused("url_malformed")));
        let answer = World::answer(world.http.post(format!("{}{suspend}", world.server.url)).bearer_auth(&world.security).header("content-type", "application/json; charset=utf-8").body(r#"{"reason":"x"}"#)).await;
        answer.expect(200);
    }

    async fn headers_paths_and_queries_play_no_tricks(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let url = &world.server.url;
        let before = world.changes().await;
        // Who is asked with two names is not asked at all.
        let people = format!("{url}/v1/people");
        for pair in [[&world.admin, &world.admin], [&world.auditor, &world.admin], [&world.admin, &world.auditor]] {
            let request = world.http.post(&people).bearer_auth(pair[0]).bearer_auth(pair[1]).json(&json!({"name": "a"}));
            let answer = World::answer(request).await.expect(400);
            assert!(is_problem(&answer) && answer.code() == "request_malformed");
        }
        for (value, status) in [("", 400), ("Bearer", 400), ("Bearer ", 400), ("Basic YTpi", 401), (&*world.admin, 400), ("Bearer x", 401), ("Bearer tnr_op_", 401), ("DPoP x", 401)] {
            let answer = World::answer(world.http.post(&people).header("authorization", value).json(&json!({"name": "a"}))).await;
            assert_eq!(answer.status, status, "{value}: {}", answer.body);
            assert!(is_problem(&answer));
            assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401);
            assert!(!answer.body.to_string().contains(&world.admin[12..]));
        }
        let mut bent = world.admin.clone();
        bent.replace_range(60..61, if &bent[60..61] == "a" { "b" } else { "a" });
        for token in [bent.as_str(), &world.admin.to_uppercase(), &world.admin[..world.admin.len() - 1], &format!("{}0", world.admin)] {
            world.post(token, "/v1/people", json!({"name": "a"})).await.expect(401);
        }
        // Names of environments, as no URL library would send them.
        let assertion = key.assertion(&id, &world.issuer("production"));
        let form = format!("token=x&grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={assertion}");
        for name in ["..%2Fproduction", "staging%2F..%2Fproduction", "%2e%2e", "..", ".", "PRODUCTION", "production%00", "production%20", "production%2F", "%70roduction%00", "%FF", "", "production;a=b", "production%3F", "*", "%25", "'%20OR%201=1--"] {
            for (method, path) in [("POST", format!("/env/{name}/token")), ("POST", format!("/env/{name}/revoke")), ("GET", format!("/env/{name}/jwks.json")), ("GET", format!("/.well-known/oauth-authorization-server/env/{name}"))] {
                let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}", form.len());
                let (status, head, body) = raw(&world, request).await;
                assert!(matches!(status, 404 | 401), "{method} {path}: {status} {body}");
                assert!(head.contains("json") && head.contains("nosniff"), "{method} {path}: {head}");
                assert!(!body.contains("access_token") && !body.contains(&assertion), "{body}");
            }
        }
        // Ids, lists and methods.
        for path in ["/v1/identities/..%2Fpeople", "/v1/identities/%FF", "/v1/identities/%00", "/v1/identities/idn_x", "/v1/people/*", "/v1/receipts/x.jws", "/v1/credentials/../../livez", "/v1/nothing", "/V1/people", "//v1/people"] {
            let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n\r\n", world.security);
            let (status, head, _) = raw(&world, request).await;
            assert_eq!(status, 404, "{path}");
            assert!(head.contains("application/problem+json"), "{path}: {head}");
        }
        for query in ["unknown=1", "limit=-1", "limit=x", "limit=70000", "limit=1&limit=2", "name=a&name=b", "%FF=1"] {
            let answer = world.get(&world.security, &format!("/v1/identities?{query}")).await;
            assert!(matches!(answer.status, 400 | 422) && is_problem(&answer), "{query}: {} {}", answer.status, answer.body);
        }
        for cursor in ["x", "%00", "idn_0", "../x", "'"] {
            let answer = world.get(&world.security, &format!("/v1/identities?after={cursor}")).await;
            assert!(matches!(answer.status, 200 | 400 | 422), "{cursor}: {}", answer.body);
        }
        for (method, path) in [(Method::GET, "/env/production/token"), (Method::PUT, "/v1/people"), (Method::DELETE, "/v1/identities"), (Method::GET, "/v1/setup"), (Method::TRACE, "/livez"), (Method::GET, "/access/v1/evaluation"), (Method::OPTIONS, "/v1/people")] {
            let answer = world.call(method.clone(), &world.admin, path, None).await;
            assert_eq!(answer.status, 405, "{method} {path}");
            assert!(is_problem(&answer), "{method} {path}: {:?}", answer.headers);
        }
        // A body without a length, larger than is taken; a length that lies; two lengths; a length and chunks.
        let head = format!("POST /v1/people HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n", world.admin);
        let chunk = format!("{head}transfer-encoding: chunked\r\n\r\n{}0\r\n\r\n", format!("2000\r\n{}\r\n", " ".repeat(0x2000)).repeat(12));
        assert_eq!(raw(&world, chunk).await.0, 413);
        for lengths in ["content-length: 12\r\ncontent-length: 13\r\n", "content-length: -1\r\n", "content-length: 99999999999999999999\r\n", "content-length: 0x10\r\n"] {
            assert_eq!(raw(&world, format!("{head}{lengths}\r\n{{\"name\":\"a\"}}")).await.0, 400, "{lengths}");
        }
        let smuggled = format!("{head}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nhost: x\r\n\r\n");
        assert!(matches!(raw(&world, smuggled).await.0, 400));
        // Where it came from can't be claimed, nor can who it is.
        let request = world.http.post(&people).header("x-forwarded-for", "127.0.0.1").header("x-remote-user", "Ada").header("x-http-method-override", "GET").json(&json!({"name": "a"}));
        World::answer(request).await.expect(401);
        assert_eq!(world.changes().await, before);
    }

    async fn no_token_passes_for_another(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let access = world.token(&key, &id, "production").await;
        let (_, join) = join_token(&world, "enroller").await;
        let credential = world.ask_token(&key, &id, "production").await.expect(200).text("/credential");
        let receipt = world.revoke("credential", &credential).await.expect(201).text("/id");
        let path = format!("/v1/receipts/{receipt}.jws");
        world.until(async || world.get(&world.security, &path).await.status == 200).await;
        let signed = world.get(&world.security, &path).await.expect(200).body.as_str().unwrap().to_owned();
        let assertion = key.assertion(&id, &world.issuer("production"));
        let renamed = |token: &str, from: &str, to: &str| token.replacen(from, to, 1);
        let as_operator = renamed(&join, "tnr_join_", "tnr_op_");
        let as_join = renamed(&world.admin, "tnr_op_", "tnr_join_");
        let before = world.changes().await;

        for token in [&access, &join, &signed, &assertion, &world.gateway, &as_operator, &credential, &id] {
            for (method, path) in [(Method::GET, "/v1/people"), (Method::POST, "/v1/revocations"), (Method::GET, "/v1/log/export"), (Method::GET, "/v1/events")] {
                let answer = world.call(method, token, path, None).await.expect(401);
                assert!(is_problem(&answer) && answer.headers.contains_key("www-authenticate"));
                assert!(!answer.body.to_string().contains(token.as_str()));
            }
        }
        let fresh = Key::new();
        for token in [world.admin.as_str(), &as_join, &access, &assertion, "tnr_join_", "", &join[..join.len() - 1]] {
            let answer = world.post("", "/v1/enrol", json!({"join_token": token, "jwk": fresh.jwk(), "proof": "x"})).await.expect(401);
            assert_eq!(answer.code(), "join_token_spent");
            assert!(token.len() < 20 || !answer.body.to_string().contains(token));
        }
        for token in [&join, &access, &world.admin, &as_operator] {
            world.post("", "/v1/setup", json!({"setup_token": token, "name": "Eve"})).await.expect(409);
            world.present(token, "production").await.expect(401);
        }
        assert_eq!(world.changes().await, before);
        assert!(world.is_live(&access).await);
    }

    async fn s15_a_join_token_enrols_one_key_that_is_proven(world: World) {
        let (id, join) = join_token(&world, "enroller").await;
        let (_, other_join) = join_token(&world, "other-enroller").await;
        let (key, thief) = (Key::new(), Key::new());
        let before = world.changes().await;
        let good = |key: &Key| enrolment(&world, key, &join, &json!({}));
        let mut by_another = good(&key);
        by_another["proof"] = good(&thief)["proof"].clone();
        let mut untyped = good(&key);
        untyped["proof"] = json!(key.sign(&json!({"alg": "EdDSA"}), &assertion_claims(&id, &world.issuer("production"))));
        let mut private = good(&key);
        private["jwk"]["d"] = json!("c2VjcmV0");
        let mut weak = good(&key);
        weak["jwk"]["x"] = json!("AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        let mut symmetric = good(&key);
        symmetric["jwk"] = json!({"kty": "oct", "k": "c2VjcmV0"});
        let mut bound = good(&key);
        bound["jwk"] = world.gateway_key.jwk();
        for (what, ask, status) in [
            ("another key's proof", by_another, 403),
            ("a proof for something else", untyped, 403),
            ("for another join token", enrolment(&world, &key, &join, &json!({"join_token_id": format!("jnt_{}", &other_join[9..35])})), 403),
            ("for another environment", enrolment(&world, &key, &join, &json!({"aud": world.issuer("staging")})), 403),
            ("expired", enrolment(&world, &key, &join, &json!({"exp": now() - 60})), 403),
            ("for too long", enrolment(&world, &key, &join, &json!({"exp": now() + 700})), 403),
            ("without jti", enrolment(&world, &key, &join, &json!({"jti": ""})), 403),
            ("a private key", private, 422),
            ("a key for which anybody can sign", weak, 422),
            ("a shared secret", symmetric, 422),
            ("somebody's key", bound, 403),
        ] {
            let answer = world.post("", "/v1/enrol", ask).await;
            assert_eq!(answer.status, status, "{what}: {}", answer.body);
            assert!(is_problem(&answer) && !answer.body.to_string().contains(&join));
        }
        assert_eq!(world.changes().await, before);
        assert!(world.events_of("access.refused", &id).await.len() >= 8);
        // A key is one identity's for ever, even where its holder asks for a second.
        let twice = enrolment(&world, &world.gateway_key, &join, &json!({}));
        assert_eq!(world.post("", "/v1/enrol", twice).await.expect(409).code(), "key_already_bound");
        world.post("", "/v1/enrol", good(&key)).await.expect(201);
        let token = world.token(&key, &id, "production").await;
        assert!(world.is_live(&token).await);
        // Whoever comes second shows that the token leaked: the first key stops too.
        assert_eq!(world.post("", "/v1/enrol", good(&thief)).await.expect(403).code(), "join_token_spent");
        assert!(!world.is_live(&token).await);
        assert_eq!(world.ask_token(&thief, &id, "production").await.expect(401).code(), "proof_invalid");
        assert!(matches!(world.ask_token(&key, &id, "production").await.expect(400).code().as_str(), "identity_suspended" | "binding_suspended"));
    }

    async fn replies_say_how_they_are_to_be_kept(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let issued = world.ask_token(&key, &id, "production").await.expect(200);
        assert_eq!((&issued.headers["cache-control"], &issued.headers["pragma"], &issued.headers["content-type"]), (&"no-store".parse().unwrap(), &"no-cache".parse().unwrap(), &"application/json".parse().unwrap()));
        let person = world.post(&world.admin, &format!("/v1/people/{}/operator-tokens", world.owner_id), json!({})).await.expect(201);
        assert_eq!(person.headers["cache-control"], "no-store");
        let (_, join) = join_token(&world, "enroller").await;
        assert!(join.starts_with("tnr_join_"));
        for path in ["/env/production/jwks.json", "/.well-known/oauth-authorization-server/env/production", "/.well-known/authzen-configuration", "/.well-known/tenure-keys", "/livez", "/readyz", "/metrics", "/v1/log/checkpoint"] {
            let answer = world.get("", path).await;
            assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{path}");
            let text = answer.body.to_string();
            assert!(!text.contains("\"d\"") && !text.contains("tnr_"), "{path}: {text}");
        }
        // What anybody can read names nobody and no secret.
        for path in ["/v1/people", "/v1/identities", "/v1/issuers", "/v1/log/export", "/v1/events", "/v1/receipts", "/v1/environments"] {
            let answer = world.get("", path).await.expect(401);
            assert!(is_problem(&answer) && answer.headers["www-authenticate"] == "Bearer realm=\"tenure\"", "{path}");
        }
        // The inventory and the people's records hold no secret, and no hash of one.
        for path in [format!("/v1/identities/{id}/credentials"), "/v1/people".into(), format!("/v1/identities/{id}")] {
            let text = world.get(&world.security, &path).await.expect(200).body.to_string();
            assert!(!text.contains("tnr_op_") && jwts(&text).is_empty() && !text.contains("hash"), "{path}: {text}");
        }
    }

    async fn issuers_are_no_way_into_the_network(world: World) {
        let hits = Arc::new(AtomicUsize::new(0));
        let web = hostile(Arc::clone(&hits)).await;
        let register = async |url: &str| world.post(&world.admin, "/v1/issuers", json!({"url": url, "audience": "x", "environments": ["production"]})).await;
        let before = world.changes().await;
        for (url, code) in [
            ("http://169.254.169.254", "url_malformed"),
            ("http://169.254.169.254/latest/meta-data/", "url_malformed"),
            ("http://localhost:8420", "url_malformed"),
            ("http://127.0.0.1.nip.io", "url_malformed"),
            ("file:///etc/passwd", "url_malformed"),
            ("gopher://127.0.0.1:6379/_FLUSHALL", "url_malformed"),
            ("//127.0.0.1", "url_malformed"),
            ("https://user:secret@example.com", "url_malformed"),
            ("https://example.com@127.0.0.1", "url_malformed"),
            ("https://example.com?x=1", "url_malformed"),
            ("https://example.com#x", "url_malformed"),
            ("https://exa mple.com", "url_malformed"),
            ("https://example.com\r\nx: y", "text_has_line_break"),
            ("https://ex\u{e4}mple.com", "url_malformed"),
            ("https://example.com\\@127.0.0.1", "url_malformed"),
            ("https://", "url_malformed"),
            ("https://example.com:0", "url_malformed"),
            ("https://example.com:99999", "url_malformed"),
            ("", "url_malformed"),
            ("https://169.254.169.254", "address_not_allowed"),
            ("https://10.0.0.1", "address_not_allowed"),
            ("https://[::1]", "address_not_allowed"),
            ("https://[::ffff:169.254.169.254]", "address_not_allowed"),
            ("https://[fd00:ec2::254]", "address_not_allowed"),
            ("https://[64:ff9b::a9fe:a9fe]", "address_not_allowed"),
            ("https://2852039166", "address_not_allowed"),
            ("https://0xa9fea9fe", "address_not_allowed"),
            ("https://0251.0376.0251.0376", "address_not_allowed"),
            ("https://169.254.43518", "address_not_allowed"),
            ("https://0", "address_not_allowed"),
            ("https://0.0.0.0", "address_not_allowed"),
        ] {
            let answer = register(url).await.expect(422);
            assert_eq!(answer.field_codes(), [code], "{url}");
        }
        for (path, code, requests) in [
            ("redirect", "discovery_failed", 1),
            ("large", "discovery_failed", 1),
            ("endless", "discovery_failed", 1),
            ("no-json", "discovery_failed", 1),
            ("error", "discovery_failed", 1),
            ("other", "issuer_mismatch", 1),
            ("keys-file", "jwks_uri_malformed", 1),
            ("keys-metadata", "jwks_uri_malformed", 1),
            ("keys-user", "jwks_uri_malformed", 1),
            ("nowhere", "discovery_failed", 1),
        ] {
            let seen = hits.load(Ordering::SeqCst);
            let answer = register(&format!("{web}/{path}")).await.expect(422);
            assert_eq!(answer.field_codes(), [code], "{path}");
            assert_eq!(hits.load(Ordering::SeqCst) - seen, requests, "{path}");
            // What the server saw there is not told.
            assert!(!answer.body.to_string().contains("s3cret"), "{}", answer.body);
        }
        assert_eq!(world.changes().await, before);
        assert!(world.events().await.iter().filter(|event| event["kind"] == "access.refused").count() >= 40);
        // Nobody but an administrator makes the server ask at all.
        let seen = hits.load(Ordering::SeqCst);
        for nobody in [&world.owner, &world.security, &world.auditor] {
            world.post(nobody, "/v1/issuers", json!({"url": format!("{web}/other"), "audience": "x", "environments": ["production"]})).await.expect(403);
        }
        assert_eq!(hits.load(Ordering::SeqCst), seen);
    }

    async fn set_up_happens_once(world: World) {
        // This world is set up: the token that did it is spent, and so is any other.
        let path = world.server.data().join("setup-token");
        let spent = std::fs::read_to_string(&path).unwrap_or_else(|_| "tnr_setup_x".into());
        let before = world.changes().await;
        for token in [spent.trim(), "tnr_setup_x", "", &world.admin] {
            let answer = world.post("", "/v1/setup", json!({"setup_token": token, "name": "Eve"})).await.expect(409);
            assert!(is_problem(&answer) && (token.is_empty() || !answer.body.to_string().contains(token)));
        }
        assert_eq!(world.changes().await, before);
        let people = world.get(&world.admin, "/v1/people?role=administrator").await.expect(200);
        assert_eq!(people.body["items"].as_array().unwrap().len(), 1);
    }
}

/// A web server that wants to be believed: it counts requests and answers by path.
async fn hostile(hits: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let url = base.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (hits, url) = (Arc::clone(&hits), url.clone());
            tokio::spawn(async move {
                let mut buffer = [0u8; 4096];
                let read = stream.read(&mut buffer).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&buffer[..read]).into_owned();
                if request.is_empty() {
                    return;
                }
                hits.fetch_add(1, Ordering::SeqCst);
                let path = request.split(' ').nth(1).unwrap_or_default();
                let name = path.trim_start_matches('/').split('/').next().unwrap_or_default();
                let own = format!("{url}/{name}");
                let discovery = |issuer: &str, keys: &str| ok(&json!({"issuer": issuer, "jwks_uri": keys}).to_string());
                let answer = match name {
                    "redirect" => format!(
                        "HTTP/1.1 302 Found\r\nlocation: {url}/other/.well-known/openid-configuration\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                    ),
                    "large" => {
                        ok(&json!({"issuer": own, "jwks_uri": format!("{url}/k"), "x": "x".repeat(200_000)})
                            .to_string())
                    }
                    "endless" => format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", "[".repeat(200_000)),
                    "no-json" => ok("<html>s3cret of the network</html>"),
                    "error" => "HTTP/1.1 500 s3cret\r\ncontent-length: 6\r\nconnection: close\r\n\r\ns3cret".to_owned(),
                    "other" => discovery("https://accounts.example.com", &format!("{url}/k")),
                    "keys-file" => discovery(&own, "file:///etc/passwd"),
                    "keys-metadata" => discovery(&own, "http://169.254.169.254/latest"),
                    "keys-user" => discovery(&own, "https://user:secret@example.com/k"),
                    _ => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
                };
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    base
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Without leave, not even the loopback is reached.
#[tokio::test]
async fn private_addresses_need_leave() {
    let hits = Arc::new(AtomicUsize::new(0));
    let web = hostile(Arc::clone(&hits)).await;
    let world = World::start_with(Store::Sqlite, &[("TENURE_OUTBOUND_ALLOW", "203.0.113.0/24")]).await;
    for url in [
        format!("{web}/other"),
        web.replace("http:", "https:"),
        "https://localhost".into(),
        "https://127.0.0.1".into(),
        "https://[::1]".into(),
    ] {
        let answer = world
            .post(&world.admin, "/v1/issuers", json!({"url": url, "audience": "x", "environments": ["production"]}))
            .await
            .expect(422);
        assert_eq!(answer.field_codes(), ["address_not_allowed"], "{url}");
    }
    assert_eq!(hits.load(Ordering::SeqCst), 0);
}

/// The first administrator, on a server that waits for one.
#[tokio::test]
async fn only_the_set_up_token_sets_up() {
    use std::os::unix::fs::PermissionsExt as _;
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let server = Server::start(Store::Sqlite, &[]);
    let path = server.data().join("setup-token");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let token = std::fs::read_to_string(&path).unwrap().trim().to_owned();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let set_up = async |body: Value| World::answer(http.post(format!("{}/v1/setup", server.url)).json(&body)).await;
    let mut bent = token.clone();
    bent.replace_range(50..51, if &bent[50..51] == "a" { "b" } else { "a" });
    let cut_off = &token[..token.len() - 1];
    for wrong in [
        "",
        "x",
        "tnr_setup_",
        &bent,
        cut_off,
        &token.replace("_setup_", "_op_"),
        &token.to_uppercase(),
        &format!("{token} "),
    ] {
        let answer = set_up(json!({"setup_token": wrong, "name": "Eve"})).await.expect(401);
        assert!(is_problem(&answer) && answer.code() == "proof_invalid", "{}", answer.body);
        assert!(wrong.len() < 20 || !answer.body.to_string().contains(wrong));
    }
    assert_eq!(set_up(json!({"setup_token": token, "name": ""})).await.expect(422).code(), "fields_invalid");
    assert_eq!(
        set_up(json!({"setup_token": token, "name": "Eve", "roles": ["security"]})).await.expect(400).code(),
        "body_malformed"
    );
    assert_eq!(set_up(json!({"setup_token": token, "name": [token]})).await.expect(400).code(), "body_malformed");
    // Nothing works before.
    for path in ["/env/production/token", "/v1/enrol", "/v1/people", "/access/v1/evaluation"] {
        let answer = World::answer(http.post(format!("{}{path}", server.url)).json(&json!({}))).await;
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.body);
    }
    // Two at once with the right one: one administrator.
    let body = json!({"setup_token": token, "name": "Ada"});
    let (one, two) = (set_up(body.clone()), set_up(body.clone()));
    let (one, two) = tokio::join!(one, two);
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses[0], 201);
    assert!(statuses[1] >= 400);
    set_up(body).await.expect(409);
}

/// Everything that is secret and that the server has seen or made, against everything that it has said; with its talk
/// turned up.
#[tokio::test]
async fn the_servers_own_log_never_shows_a_secret() {
    for level in ["info", "trace"] {
        let world = World::binary(Store::Postgres, &[("TENURE_LOG", level)]).await;
        let (id, key) = world.exporter("exporter").await;
        let assertion = key.assertion(&id, &world.issuer("production"));
        let access = world.present(&assertion, "production").await.expect(200).text("/access_token");
        let (joined, join) = join_token(&world, "enroller").await;
        let enrolled = Key::new();
        let ask = enrolment(&world, &enrolled, &join, &json!({}));
        let proof = ask["proof"].as_str().unwrap().to_owned();
        world.post("", "/v1/enrol", ask.clone()).await.expect(201);
        world.post("", "/v1/enrol", ask).await.expect(403);
        let setup = std::fs::read_to_string(world.server.data().join("setup-token")).unwrap_or_default();
        assert!(world.is_live(&access).await && world.is_allowed(&id, Some(&access), "read").await);
        // The same secrets where they don't belong, so that something fails over each of them.
        let fields = |secret: &str| json!({"url": secret, "audience": secret, "environments": [secret], "algorithms": [secret], "required_claims": [secret]});
        for secret in [&access, &assertion, &join, &world.owner, &proof] {
            world.post(&world.admin, "/v1/issuers", fields(secret)).await.expect(422);
            world.post(&world.admin, "/v1/people", json!(secret)).await.expect(400);
            world.post(secret, "/v1/issuers", json!({})).await;
            world.form(secret, "/env/production/introspect", &[("token", secret)]).await;
            world.form("", "/env/production/token", &[("grant_type", secret), ("client_secret", secret)]).await;
            world
                .form(
                    "",
                    "/env/production/token",
                    &[
                        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                        ("client_id", &joined),
                        ("assertion", secret),
                    ],
                )
                .await;
            world.form("", &format!("/env/{secret}/token"), &[("grant_type", secret)]).await;
            world.get(&world.security, &format!("/v1/credentials/{secret}")).await.expect(404);
            world.present(secret, "production").await;
            world.evaluate(secret, Some(secret), "read").await;
        }
        world
            .post(&world.security, &format!("/v1/identities/{id}/suspend"), json!({"reason": "test"}))
            .await
            .expect(200);
        let root = std::fs::read_dir(world.server.data())
            .unwrap()
            .flatten()
            .filter(|file| file.file_name().to_string_lossy().contains("key"))
            .filter_map(|file| std::fs::read_to_string(file.path()).ok());
        let mut secrets: Vec<String> = root.map(|text| text.trim().to_owned()).collect();
        assert!(!secrets.is_empty());
        secrets.extend([access, assertion, join, proof, setup.trim().to_owned(), world.gateway.clone()]);
        secrets.extend([&world.admin, &world.owner, &world.security, &world.auditor].map(String::clone));
        world.server.stop();
        let said = world.server.said();
        assert!(said.contains("Tenure serves") && (level != "trace" || said.contains("answered")));
        for secret in secrets.iter().filter(|secret| secret.len() > 20) {
            // Neither the whole nor the part that makes it secret.
            let tail = &secret[secret.len() - 20..];
            let line = said.lines().find(|line| line.contains(tail));
            assert!(line.is_none(), "at the level {level}: {}", line.unwrap_or_default());
        }
    }
}

on_one! {
    async fn a01_a_policy_is_read_only_of_who_may_propose_it(world: World) {
        let nested = |brackets: usize| format!("@id(\"deep\")\npermit (principal, action, resource)\nwhen {{ {}true{} }};\n", "(".repeat(brackets), ")".repeat(brackets));
        let propose = async |caller: &str, text: &str| world.post(caller, "/v1/policies", json!({"text": text, "purpose": "test"})).await;
        for caller in [&world.owner, &world.manager, &world.auditor] {
            for text in [nested(33), "no policy".to_owned(), "x".repeat(60_000)] {
                assert_eq!(propose(caller, &text).await.expect(403).code(), "not_allowed");
            }
        }
        for caller in [&world.security, &world.admin] {
            let refused = propose(caller, &nested(33)).await.expect(422);
            assert!(refused.field_codes() == ["policy_invalid"] && refused.body.to_string().contains("more than 32"), "{}", refused.body);
        }
    }
}
