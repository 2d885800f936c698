//! Bound tokens: DPoP with nonces (RFC 9449), certificates (RFC 8705), and what a stolen token is worth without its
//! key: nothing.

mod attacks;
mod chains;
mod clients;
pub(crate) mod mutual_tls;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};

use crate::on_one;
use crate::world::{Answer, Key, ORDERS, World, now, random};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const TOKEN: &str = "/env/production/token";
const INTROSPECT: &str = "/env/production/introspect";
const EVALUATION: &str = "/access/v1/evaluation";

fn base64url_sha256(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, bytes))
}

/// The thumbprint of a key (RFC 7638).
fn thumbprint(key: &Key) -> String {
    let jwk = key.jwk();
    base64url_sha256(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":{}}}"#, jwk["x"]).as_bytes())
}

fn part(token: &str, place: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(place).unwrap()).unwrap()).unwrap()
}

/// A proof with some members set, or taken away where the value is null.
fn bent(key: &Key, header: Value, claims: Value, with: (Value, Value)) -> String {
    let change = |mut value: Value, changes: Value| {
        for (name, change) in changes.as_object().unwrap() {
            match change {
                Value::Null => value.as_object_mut().unwrap().remove(name),
                change => value.as_object_mut().unwrap().insert(name.clone(), change.clone()),
            };
        }
        value
    };
    key.sign(&change(header, with.0), &change(claims, with.1))
}

/// A proof for a request, with some of its members changed.
fn proof_with(key: &Key, method: &str, url: &str, nonce: &str, token: Option<&str>, with: (Value, Value)) -> String {
    let header = json!({"alg": "EdDSA", "typ": "dpop+jwt", "jwk": key.jwk()});
    let mut claims = json!({"jti": random(), "htm": method, "htu": url, "iat": now(), "nonce": nonce});
    if let Some(token) = token {
        claims["ath"] = json!(base64url_sha256(token.as_bytes()));
    }
    bent(key, header, claims, with)
}

fn proof(key: &Key, method: &str, url: &str, nonce: &str, token: Option<&str>) -> String {
    proof_with(key, method, url, nonce, token, (json!({}), json!({})))
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

impl World {
    /// The nonce that the server gives to whoever uses DPoP.
    async fn dpop_nonce(&self) -> String {
        let answer =
            Self::answer(self.http.get(format!("{}/v1/identities", self.server.url)).header("dpop", "x")).await;
        header(&answer, "dpop-nonce").to_owned()
    }

    /// Asks for a token with these proofs beside a good assertion.
    async fn ask_with(&self, key: &Key, id: &str, proofs: &[&str]) -> Answer {
        let assertion = key.assertion(id, &self.issuer("production"));
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", &assertion),
        ];
        let request = self.http.post(format!("{}{TOKEN}", self.server.url)).form(&fields);
        let request = proofs.iter().fold(request, |request, proof| request.header("dpop", *proof));
        Self::answer(request).await
    }

    /// A token that is bound to a key.
    async fn bound(&self, key: &Key, id: &str, dpop: &Key) -> String {
        let url = format!("{}{TOKEN}", self.server.url);
        let proof = proof(dpop, "POST", &url, &self.dpop_nonce().await, None);
        let issued = self.ask_with(key, id, &[&proof]).await.expect(200);
        assert_eq!(issued.text("/token_type"), "DPoP");
        issued.text("/access_token")
    }

    /// A request with a token, as this scheme sends it, and these proofs.
    async fn show(
        &self,
        method: Method,
        path: &str,
        scheme: &str,
        token: &str,
        proofs: &[&str],
        body: Option<Sent>,
    ) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.server.url));
        request = request.header("authorization", format!("{scheme} {token}"));
        request = proofs.iter().fold(request, |request, proof| request.header("dpop", *proof));
        request = match body {
            Some(Sent::Json(body)) => request.json(&body),
            Some(Sent::Form(fields)) => request.form(&fields),
            None => request,
        };
        Self::answer(request).await
    }

    /// As the holder of the key does it: with a fresh proof.
    async fn show_bound(&self, method: Method, path: &str, token: &str, dpop: &Key, body: Option<Sent>) -> Answer {
        let url = format!("{}{path}", self.server.url);
        let proof = proof(dpop, method.as_str(), &url, &self.dpop_nonce().await, Some(token));
        self.show(method, path, "DPoP", token, &[&proof], body).await
    }

    /// The question whether an identity may read the orders.
    fn question(&self, id: &str, properties: Value) -> Sent {
        Sent::Json(json!({
            "subject": {"type": "identity", "id": id, "properties": properties},
            "resource": {"type": "database", "id": self.orders},
            "action": {"name": "read"},
        }))
    }

    /// Tenure as a resource, and an active identity that may read and ask there, with its key.
    async fn steward(&self) -> (String, Key) {
        let body = json!({"uri": self.server.url, "type": "tenure", "actions": ["read", "request"], "application": self.application, "environment": "production", "verification": "online"});
        let tenure = self.post(&self.admin, "/v1/resources", body).await.expect(201).text("/id");
        let key = Key::new();
        let mut charter = self.charter(key.jwk());
        charter["scope"] = json!([{"actions": ["read", "request"], "resource": tenure}]);
        (self.active("steward", charter).await, key)
    }

    /// Refusals of this identity for this reason that are in the log.
    async fn refused(&self, id: &str, reason: &str) -> usize {
        let events = self.events_of("access.refused", id).await;
        let is_it = |event: &&Value| event["actor"]["id"] == id && event["data"]["reason"] == reason;
        events.iter().filter(is_it).count()
    }
}

enum Sent {
    Json(Value),
    Form(Vec<(String, String)>),
}

fn about(token: &str) -> Option<Sent> {
    Some(Sent::Form(vec![("token".into(), token.into())]))
}

on_one! {
    async fn a_dpop_token_is_bound_to_its_key_from_issuance_to_use(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let dpop = Key::new();
        let url = format!("{}{TOKEN}", world.server.url);

        // First the nonce, which costs neither the assertion nor a record of its own.
        let asked = world.ask_with(&key, &id, &[&bent(&dpop, json!({"alg": "EdDSA", "typ": "dpop+jwt", "jwk": dpop.jwk()}), json!({"jti": random(), "htm": "POST", "htu": url, "iat": now()}), (json!({}), json!({})))]).await.expect(400);
        assert_eq!(asked.text("/error"), "use_dpop_nonce");
        let nonce = header(&asked, "dpop-nonce").to_owned();
        let issued = world.ask_with(&key, &id, &[&proof(&dpop, "POST", &url, &nonce, None)]).await.expect(200);
        assert_eq!(issued.text("/token_type"), "DPoP");
        assert_ne!(header(&issued, "dpop-nonce"), "", "the next nonce comes with the reply");
        let token = issued.text("/access_token");
        assert_eq!(part(&token, 1)["cnf"], json!({"jkt": thumbprint(&dpop)}));
        let event = &world.events_of("credential.issued", &issued.text("/credential")).await[0];
        assert_eq!(event["data"]["cnf"], json!({"jkt": thumbprint(&dpop)}));
        let record = world.get(&world.auditor, &format!("/v1/credentials/{}", issued.text("/credential"))).await.expect(200);
        assert_eq!(record.body["confirmation"], json!({"jkt": thumbprint(&dpop)}));

        // Whoever enforces is told which key to ask for, and says which one it saw.
        let told = world.form(&world.gateway, INTROSPECT, &[("token", &token)]).await.expect(200);
        assert_eq!((told.text("/token_type"), &told.body["cnf"]), ("DPoP".into(), &json!({"jkt": thumbprint(&dpop)})));
        let ask = async |cnf: Value| {
            let mut properties = json!({"access_token": token, "cnf": cnf});
            if cnf.is_null() { properties.as_object_mut().unwrap().remove("cnf"); }
            world.show(Method::POST, EVALUATION, "Bearer", &world.gateway, &[], Some(world.question(&id, properties))).await
        };
        assert_eq!(ask(json!({"jkt": thumbprint(&dpop)})).await.expect(200).body["decision"], json!(true));
        for other in [Value::Null, json!({"jkt": thumbprint(&key)}), json!({"x5t#S256": thumbprint(&dpop)})] {
            let answer = ask(other.clone()).await.expect(200);
            assert_eq!((&answer.body["decision"], answer.code()), (&json!(false), "token_bound".into()), "{other}");
        }
        for malformed in [json!("jkt"), json!({}), json!({"jkt": 7}), json!({"jkt": "a", "x5t#S256": "b"}), json!({"kid": "a"})] {
            assert_eq!(ask(malformed.clone()).await.expect(422).field_codes(), ["cnf_malformed"], "{malformed}");
        }
        assert_eq!(world.refused(&world.gateway_id, "token_bound").await, 3, "the gateway's own record names what it was shown");

        // The enforcement point itself and an identity at the management API, with tokens that are bound.
        let bound_gateway = world.bound(&world.gateway_key, &world.gateway_id, &dpop).await;
        let answer = world.show_bound(Method::POST, INTROSPECT, &bound_gateway, &dpop, about(&token)).await.expect(200);
        assert_eq!(answer.body["active"], json!(true));
        let properties = json!({"access_token": token, "cnf": {"jkt": thumbprint(&dpop)}});
        let answer = world.show_bound(Method::POST, EVALUATION, &bound_gateway, &dpop, Some(world.question(&id, properties))).await.expect(200);
        assert_eq!(answer.body["decision"], json!(true));
        let (steward, steward_key) = world.steward().await;
        let steward_token = world.bound(&steward_key, &steward, &dpop).await;
        world.show_bound(Method::GET, &format!("/v1/identities/{steward}"), &steward_token, &dpop, None).await.expect(200);

        // Revocation is as true for a bound token, and its receipt has a positive control.
        let again = world.bound(&key, &id, &dpop).await;
        let revoked = world.revoke("credential", part(&token, 1)["jti"].as_str().unwrap()).await.expect(201);
        assert_eq!(revoked.text("/state"), "refused_verified");
        assert!(!world.is_live(&token).await && world.is_live(&again).await);
        assert_eq!(ask(json!({"jkt": thumbprint(&dpop)})).await.expect(200).code(), "credential_revoked");
    }

    async fn s13_a_charter_that_wants_bound_tokens_gets_no_others(world: World) {
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["sender_constrained"] = json!(true);
        let id = world.active("exporter", charter).await;
        let refused = world.ask_token(&key, &id, "production").await.expect(400);
        assert_eq!(refused.code(), "sender_constraint_needed");
        assert_eq!(world.refused(&id, "sender_constraint_needed").await, 1);
        let token = world.bound(&key, &id, &Key::new()).await;
        assert!(world.is_live(&token).await);
        // To want less needs an approval, to want more doesn't.
        assert_eq!(world.form(&world.gateway, INTROSPECT, &[("token", &token)]).await.expect(200).text("/aud"), ORDERS);
    }
}
