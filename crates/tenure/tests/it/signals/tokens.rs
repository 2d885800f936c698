//! Security event tokens, pushed by RFC 8935, and attacks on them (S-12).

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Source, deliver, received, registration, source};
use crate::on_one;
use crate::world::{Answer, Key, World, now, random};

pub const AUDIENCE: &str = "https://tenure.example/signals/idp";

/// A transmitter: its key, and a server with its discovery document and its key set under any path.
pub struct Transmitter {
    pub key: Key,
    pub url: String,
}

impl Transmitter {
    pub async fn start() -> Self {
        let key = Key::new();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut jwk = key.jwk();
        jwk["kid"] = json!("k");
        let document = json!({"issuer": url, "jwks_uri": format!("{url}/jwks"), "keys": [jwk]}).to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    document.len()
                );
                let _ = stream.write_all(format!("{head}{document}").as_bytes()).await;
            }
        });
        Self { key, url }
    }

    pub fn header() -> Value {
        json!({"alg": "EdDSA", "kid": "k", "typ": "secevent+jwt"})
    }

    fn claims(&self, subject: &str) -> Value {
        json!({"iss": self.url, "aud": AUDIENCE, "jti": random(), "iat": now(), "sub_id": {"format": "opaque", "id": subject},
            "events": {"urn:tenure:signal:application.retired:v1": {}}})
    }
}

async fn listened_to(world: &World, transmitter: &Transmitter, name: &str) -> Source {
    let mut body = registration(world, name, "set", "keys");
    body["auth"] = json!({"type": "keys", "issuer": transmitter.url, "audience": AUDIENCE});
    source(world, body).await
}

pub async fn push(world: &World, source: &str, token: &str) -> Answer {
    deliver(world, source, &vec![("content-type", "application/secevent+jwt".into())], token).await
}

on_one! {
    async fn s12_a_pushed_token_is_answered_as_rfc_8935_says(world: World) {
        let idp = Transmitter::start().await;
        let registered = listened_to(&world, &idp, "idp").await;
        let shown = world.get(&world.security, &format!("/v1/sources/{}", registered.id)).await.expect(200);
        assert_eq!(shown.text("/auth/jwks_uri"), format!("{}/jwks", idp.url));
        assert!(registered.secret.is_empty());
        let claims = idp.claims("application:payments");
        let token = idp.key.sign(&Transmitter::header(), &claims);
        let taken = push(&world, "idp", &token).await.expect(202);
        assert_eq!(taken.body, json!(""));
        let events = received(&world).await;
        assert_eq!((events.len(), &events[0]["data"]["subject"]), (1, &json!("application:payments")));
        // Again, and said anew under the same id: acknowledged, and nothing more.
        push(&world, "idp", &token).await.expect(202);
        let mut reworded = claims.clone();
        reworded["iat"] = json!(now() - 1);
        push(&world, "idp", &idp.key.sign(&Transmitter::header(), &reworded)).await.expect(202);
        assert_eq!(received(&world).await.len(), 1);
        // The transmitter's own keys are the transmitter's to rotate.
        let rotate = world.post(&world.admin, &format!("/v1/sources/{}/rotate-key", registered.id), json!({})).await;
        assert_eq!(rotate.expect(409).code(), "illegal_transition");
    }

    async fn d19_a_subject_may_stand_in_the_event(world: World) {
        let idp = Transmitter::start().await;
        listened_to(&world, &idp, "idp").await;
        let told = |events: Value| {
            let mut claims = idp.claims("application:payments");
            claims.as_object_mut().unwrap().remove("sub_id");
            claims["events"] = events;
            idp.key.sign(&Transmitter::header(), &claims)
        };
        let event = json!({"subject": {"format": "opaque", "id": "application:payments"}});
        push(&world, "idp", &told(json!({"urn:tenure:signal:application.retired:v1": event}))).await.expect(202);
        let events = received(&world).await;
        assert_eq!((events.len(), &events[0]["data"]["subject"]), (1, &json!("application:payments")));
        let half = told(json!({"urn:tenure:signal:application.retired:v1": event, "urn:tenure:signal:repository.archived:v1": {}}));
        assert_eq!(push(&world, "idp", &half).await.expect(400).body["err"], json!("invalid_request"));
        assert_eq!(received(&world).await.len(), 1);
    }

    async fn s12_a_token_that_is_not_exactly_right_is_refused(world: World) {
        let (idp, other) = (Transmitter::start().await, Transmitter::start().await);
        listened_to(&world, &idp, "idp").await;
        listened_to(&world, &other, "other").await;
        let changed = |change: Value| {
            let mut claims = idp.claims("application:payments");
            for (name, value) in change.as_object().unwrap() {
                if value.is_null() { claims.as_object_mut().unwrap().remove(name); } else { claims[name] = value.clone(); }
            }
            idp.key.sign(&Transmitter::header(), &claims)
        };
        let headed = |change: Value| {
            let mut header = Transmitter::header();
            for (name, value) in change.as_object().unwrap() {
                if value.is_null() { header.as_object_mut().unwrap().remove(name); } else { header[name] = value.clone(); }
            }
            idp.key.sign(&header, &idp.claims("application:payments"))
        };
        let unsigned = |header: Value| format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(idp.claims("application:payments").to_string()));
        // The public key, taken for a shared secret.
        let public = URL_SAFE_NO_PAD.decode(idp.key.jwk()["x"].as_str().unwrap()).unwrap();
        let hs256 = unsigned(json!({"alg": "HS256", "kid": "k", "typ": "secevent+jwt"}));
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &public), hs256.as_bytes());
        let good = idp.key.sign(&Transmitter::header(), &idp.claims("application:payments"));
        for (what, token, err) in [
            ("alg none", format!("{}.", unsigned(json!({"alg": "none", "typ": "secevent+jwt"}))), "invalid_key"),
            ("HS256 by the public key", format!("{hs256}.{}", URL_SAFE_NO_PAD.encode(mac.as_ref())), "invalid_key"),
            ("its own key in the header", headed(json!({"jwk": idp.key.jwk()})), "invalid_key"),
            ("an ID token's type", headed(json!({"typ": "JWT"})), "invalid_request"),
            ("no type", headed(json!({"typ": null})), "invalid_request"),
            ("an access token's type", headed(json!({"typ": "at+jwt"})), "invalid_request"),
            ("another audience", changed(json!({"aud": "https://elsewhere.example"})), "invalid_audience"),
            ("one audience more", changed(json!({"aud": [AUDIENCE, "https://elsewhere.example"]})), "invalid_audience"),
            ("another issuer", changed(json!({"iss": other.url})), "invalid_issuer"),
            ("sub", changed(json!({"sub": "application:payments"})), "invalid_request"),
            ("exp", changed(json!({"exp": now() + 600})), "invalid_request"),
            ("an old iat", changed(json!({"iat": now() - 86_500})), "invalid_request"),
            ("an iat to come", changed(json!({"iat": now() + 600})), "invalid_request"),
            ("no iat", changed(json!({"iat": null})), "invalid_request"),
            ("no jti", changed(json!({"jti": null})), "invalid_request"),
            ("no events", changed(json!({"events": {}})), "invalid_request"),
            ("no subject", changed(json!({"sub_id": null})), "invalid_request"),
            ("the key of another issuer", other.key.sign(&Transmitter::header(), &idp.claims("application:payments")), "authentication_failed"),
            ("of another issuer", other.key.sign(&Transmitter::header(), &other.claims("application:payments")), "authentication_failed"),
            // 85 characters are never base64url, 84 always are: 63 bytes of the 64.
            ("cut off within a byte", good[..good.len() - 1].to_owned(), "invalid_request"),
            ("cut off after a byte", good[..good.len() - 2].to_owned(), "authentication_failed"),
            ("nothing", String::new(), "invalid_request"),
            ("outside its subjects", changed(json!({"sub_id": {"format": "opaque", "id": "repository:evil/x"}, "events": {"urn:tenure:signal:repository.archived:v1": {}}})), "access_denied"),
            ("outside its kinds", changed(json!({"sub_id": {"format": "opaque", "id": "repository:acme/x"}, "events": {"urn:tenure:signal:pipeline.deleted:v1": {}}})), "access_denied"),
        ] {
            let answer = push(&world, "idp", &token).await.expect(400);
            assert_eq!(answer.body["err"], json!(err), "{what}: {}", answer.body);
            assert!(answer.body["description"].as_str().is_some_and(|text| !text.is_empty()), "{what}");
        }
        // A key that may be new is looked for once the set may be fetched again; only then is it nobody's.
        let unknown = headed(json!({"kid": "x"}));
        push(&world, "idp", &unknown).await.expect(503);
        world.pass(31).await;
        assert_eq!(push(&world, "idp", &unknown).await.expect(400).body["err"], json!("invalid_key"));
        // As what it isn't.
        let plain = deliver(&world, "idp", &vec![("content-type", "application/json".into())], &good).await;
        assert_eq!(plain.expect(401).code(), "signal_not_authentic");
        assert_eq!(push(&world, "nobody", &good).await.expect(400).body["err"], json!("authentication_failed"));
        assert!(received(&world).await.is_empty());
        push(&world, "idp", &good).await.expect(202);
    }
}
