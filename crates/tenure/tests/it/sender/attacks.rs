//! What a thief of a token, of a proof or of a nonce tries.

use super::*;
use crate::world::{Server, Store};

on_one! {
    async fn s13_a_bent_proof_binds_nothing(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let (dpop, other) = (Key::new(), Key::new());
        let url = format!("{}{TOKEN}", world.server.url);
        let nonce = world.dpop_nonce().await;
        let make = |header: Value, claims: Value| proof_with(&dpop, "POST", &url, &nonce, None, (header, claims));
        let jwk = dpop.jwk();
        let private = { let mut jwk = jwk.clone(); jwk["d"] = json!(random()); jwk };
        let cases: Vec<(&str, String)> = vec![
            ("for another address", make(json!({}), json!({"htu": format!("{}/env/staging/token", world.server.url)}))),
            ("for another server", make(json!({}), json!({"htu": "https://other.example/env/production/token"}))),
            ("for introspection", make(json!({}), json!({"htu": format!("{}{INTROSPECT}", world.server.url)}))),
            ("for no address", make(json!({}), json!({"htu": null}))),
            ("for another method", make(json!({}), json!({"htm": "GET"}))),
            ("without an id", make(json!({}), json!({"jti": null}))),
            ("too old", make(json!({}), json!({"iat": now() - 400}))),
            ("from the future", make(json!({}), json!({"iat": now() + 120}))),
            ("without a time", make(json!({}), json!({"iat": null}))),
            ("for a token", make(json!({}), json!({"ath": random()}))),
            ("with its private key", make(json!({"jwk": private}), json!({}))),
            ("without a key", make(json!({"jwk": null}), json!({}))),
            ("with another's key", make(json!({"jwk": other.jwk()}), json!({}))),
            ("with a secret for a key", make(json!({"alg": "HS256", "jwk": {"kty": "oct", "k": "c2VjcmV0"}}), json!({}))),
            ("HS256", make(json!({"alg": "HS256"}), json!({}))),
            ("none", make(json!({"alg": "none"}), json!({}))),
            ("ES256 by an Ed25519 key", make(json!({"alg": "ES256"}), json!({}))),
            ("of another type", make(json!({"typ": "JWT"}), json!({}))),
            ("with a link to keys", make(json!({"jku": "https://attacker.example/keys"}), json!({}))),
            ("an assertion", key.assertion(&id, &world.issuer("production"))),
            ("nothing", String::new()),
            ("noise", "a.b.c".into()),
        ];
        let count = cases.len();
        for (what, proof) in cases {
            let answer = world.ask_with(&key, &id, &[&proof]).await;
            assert_eq!((answer.status, answer.text("/error").as_str(), answer.code().as_str()), (400, "invalid_dpop_proof", "dpop_invalid"), "{what}");
        }
        let good = || make(json!({}), json!({}));
        let two = world.ask_with(&key, &id, &[&good(), &good()]).await;
        assert_eq!((two.status, two.text("/error").as_str()), (400, "invalid_dpop_proof"), "two headers");
        let joined = world.ask_with(&key, &id, &[&format!("{}, {}", good(), good())]).await;
        assert_eq!(joined.text("/error"), "invalid_dpop_proof", "two proofs in one header");
        assert_eq!(world.refused(&id, "dpop_invalid").await, count + 1, "each attempt of a known caller is on record");
        assert!(world.events_of("credential.issued", &id).await.is_empty());
        world.ask_with(&key, &id, &[&good()]).await.expect(200);
    }

    async fn d19_an_address_counts_however_it_is_spelled(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let (dpop, nonce) = (Key::new(), world.dpop_nonce().await);
        let (host, base) = (world.server.url.to_uppercase(), &world.server.url);
        for spelled in [format!("{host}/env/production/token?a#b"), format!("{base}/env/%70roduction/./token"), format!("{base}/env/staging/../production/tok%65n")] {
            let proof = proof_with(&dpop, "POST", &spelled, &nonce, None, (json!({}), json!({})));
            assert_eq!(world.ask_with(&key, &id, &[&proof]).await.expect(200).text("/token_type"), "DPoP", "{spelled}");
        }
        for other in [format!("{base}/env/production/../token"), format!("{base}/env%2Fproduction/token"), format!("{base}/env/production/token/")] {
            let proof = proof_with(&dpop, "POST", &other, &nonce, None, (json!({}), json!({})));
            assert_eq!(world.ask_with(&key, &id, &[&proof]).await.expect(400).text("/error"), "invalid_dpop_proof", "{other}");
        }
    }

    async fn s13_a_nonce_is_ours_and_lately(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let dpop = Key::new();
        let url = format!("{}{TOKEN}", world.server.url);
        let elsewhere = Server::start(Store::Sqlite, &[]);
        let foreign = World::answer(world.http.get(format!("{}/v1/identities", elsewhere.url)).header("dpop", "x")).await;
        let ours = world.dpop_nonce().await;
        // An old one: the same bytes with an earlier number, for which nobody but the server can make the rest.
        let mut old = URL_SAFE_NO_PAD.decode(&ours).unwrap();
        old[7] = old[7].wrapping_sub(3);
        for (what, nonce) in [
            ("none", Value::Null),
            ("another server's", json!(header(&foreign, "dpop-nonce"))),
            ("an altered one", json!(URL_SAFE_NO_PAD.encode(old))),
            ("a guess", json!(random())),
            ("an empty one", json!("")),
        ] {
            let proof = proof_with(&dpop, "POST", &url, &ours, None, (json!({}), json!({"nonce": nonce})));
            let answer = world.ask_with(&key, &id, &[&proof]).await;
            assert_eq!((answer.status, answer.text("/error").as_str()), (400, "use_dpop_nonce"), "{what}");
            assert_eq!(header(&answer, "dpop-nonce"), ours, "{what}");
        }
        assert!(world.events_of("credential.issued", &id).await.is_empty());
        // Nobody fills the log with them: they are counted by minute, as strangers' refusals are.
        assert_eq!(world.refused(&id, "dpop_nonce_needed").await, 0);
    }

    async fn s13_a_proof_counts_once(world: World) {
        let mut world = world;
        let (id, key) = world.exporter("exporter").await;
        let dpop = Key::new();
        let url = format!("{}{TOKEN}", world.server.url);
        let nonce = world.dpop_nonce().await;
        let used = proof(&dpop, "POST", &url, &nonce, None);
        let token = world.ask_with(&key, &id, &[&used]).await.expect(200).text("/access_token");
        let again = world.ask_with(&key, &id, &[&used]).await;
        assert_eq!((again.status, again.text("/error").as_str()), (400, "invalid_dpop_proof"), "with another assertion");
        let same_id = proof_with(&dpop, "POST", &url, &nonce, None, (json!({}), json!({"jti": part(&used, 1)["jti"]})));
        assert_eq!(world.ask_with(&key, &id, &[&same_id]).await.text("/error"), "invalid_dpop_proof", "signed anew");
        // The id is the key's own: another key may use the same.
        let other = proof_with(&Key::new(), "POST", &url, &nonce, None, (json!({}), json!({"jti": part(&used, 1)["jti"]})));
        world.ask_with(&key, &id, &[&other]).await.expect(200);

        // Where a token is shown it is the same: at introspection, at evaluation, at the management API.
        let gateway = world.bound(&world.gateway_key, &world.gateway_id, &dpop).await;
        let (steward, steward_key) = world.steward().await;
        let steward_token = world.bound(&steward_key, &steward, &dpop).await;
        let shows = [
            (Method::POST, INTROSPECT.to_owned(), &gateway, about(&token)),
            (Method::POST, EVALUATION.to_owned(), &gateway, Some(world.question(&id, json!({})))),
            (Method::GET, format!("/v1/identities/{steward}"), &steward_token, None),
            (Method::POST, "/v1/requests".to_owned(), &steward_token, Some(Sent::Json(json!({"matter": {}, "purpose": "x"})))),
        ];
        for (method, path, token, body) in shows {
            let proof = proof(&dpop, method.as_str(), &format!("{}{path}", world.server.url), &world.dpop_nonce().await, Some(token));
            let again = match &body {
                Some(Sent::Json(body)) => Some(Sent::Json(body.clone())),
                Some(Sent::Form(fields)) => Some(Sent::Form(fields.clone())),
                None => None,
            };
            let first = world.show(method.clone(), &path, "DPoP", token, &[&proof], body).await;
            assert_ne!(first.status, 401, "{path} {}", first.body);
            let answer = world.show(method, &path, "DPoP", token, &[&proof], again).await;
            assert_eq!((answer.status, answer.code().as_str()), (401, "dpop_invalid"), "{path}");
            assert!(header(&answer, "www-authenticate").starts_with(r#"DPoP error="invalid_dpop_proof""#), "{path}");
        }
        assert_eq!(world.refused(&world.gateway_id, "dpop_invalid").await, 2);
        assert_eq!(world.refused(&steward, "dpop_invalid").await, 2);

        // What was used up stays so over a restart, tokens stay bound, and nonces count on.
        let changing = proof(&dpop, "POST", &format!("{}/v1/requests", world.server.url), &world.dpop_nonce().await, Some(&steward_token));
        let body = || Some(Sent::Json(json!({"matter": {}, "purpose": "x"})));
        assert_ne!(world.show(Method::POST, "/v1/requests", "DPoP", &steward_token, &[&changing], body()).await.status, 401);
        world.server.stop();
        world.restart();
        assert_eq!(world.ask_with(&key, &id, &[&used]).await.text("/error"), "invalid_dpop_proof");
        assert_eq!(world.show(Method::POST, "/v1/requests", "DPoP", &steward_token, &[&changing], body()).await.code(), "dpop_invalid");
        let before = proof(&dpop, "POST", &format!("{}{INTROSPECT}", world.server.url), &nonce, Some(&gateway));
        world.show(Method::POST, INTROSPECT, "DPoP", &gateway, &[&before], about(&token)).await.expect(200);
        assert_eq!(world.show(Method::POST, INTROSPECT, "Bearer", &gateway, &[], about(&token)).await.code(), "token_bound");
    }

    async fn s13_a_bound_token_is_no_bearer_anywhere(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let (dpop, thief) = (Key::new(), Key::new());
        let token = world.bound(&key, &id, &dpop).await;
        let gateway = world.bound(&world.gateway_key, &world.gateway_id, &dpop).await;
        let (steward, steward_key) = world.steward().await;
        let steward_token = world.bound(&steward_key, &steward, &dpop).await;
        let nonce = world.dpop_nonce().await;
        let places = [
            (Method::GET, format!("/v1/identities/{steward}"), &steward_token),
            (Method::POST, "/v1/requests".to_owned(), &steward_token),
            (Method::POST, INTROSPECT.to_owned(), &gateway),
            (Method::POST, EVALUATION.to_owned(), &gateway),
        ];
        for (method, path, shown) in places {
            let url = format!("{}{path}", world.server.url);
            let body = || match path.as_str() {
                INTROSPECT => about(&token),
                EVALUATION => Some(world.question(&id, json!({}))),
                "/v1/requests" => Some(Sent::Json(json!({"matter": {}, "purpose": "x"}))),
                _ => None,
            };
            let good = || proof(&dpop, method.as_str(), &url, &nonce, Some(shown));
            let with = |claims: Value| proof_with(&dpop, method.as_str(), &url, &nonce, Some(shown), (json!({}), claims));
            let cases: Vec<(&str, &str, Vec<String>, &str, &str)> = vec![
                ("as a bearer", "Bearer", vec![], "token_bound", "invalid_token"),
                ("as a bearer beside a good proof", "Bearer", vec![good()], "token_bound", "invalid_token"),
                ("without a proof", "DPoP", vec![], "dpop_invalid", "invalid_dpop_proof"),
                ("with two proofs", "DPoP", vec![good(), good()], "dpop_invalid", "invalid_dpop_proof"),
                ("with the thief's proof", "DPoP", vec![proof(&thief, method.as_str(), &url, &nonce, Some(shown))], "dpop_invalid", "invalid_dpop_proof"),
                ("with a proof for the token endpoint", "DPoP", vec![with(json!({"htu": format!("{}{TOKEN}", world.server.url), "ath": null}))], "dpop_invalid", "invalid_dpop_proof"),
                ("with a proof without the token's hash", "DPoP", vec![with(json!({"ath": null}))], "dpop_invalid", "invalid_dpop_proof"),
                ("with a proof for another token", "DPoP", vec![with(json!({"ath": base64url_sha256(b"x")}))], "dpop_invalid", "invalid_dpop_proof"),
                ("with a proof for another method", "DPoP", vec![with(json!({"htm": "PUT"}))], "dpop_invalid", "invalid_dpop_proof"),
                ("with an old proof", "DPoP", vec![with(json!({"iat": now() - 400}))], "dpop_invalid", "invalid_dpop_proof"),
                ("without a nonce", "DPoP", vec![with(json!({"nonce": null}))], "dpop_nonce_needed", "use_dpop_nonce"),
            ];
            for (what, scheme, proofs, code, error) in cases {
                let proofs: Vec<&str> = proofs.iter().map(String::as_str).collect();
                let answer = world.show(method.clone(), &path, scheme, shown, &proofs, body()).await;
                assert_eq!((answer.status, answer.code().as_str()), (401, code), "{path} {what} {}", answer.body);
                assert!(header(&answer, "www-authenticate").starts_with(&format!(r#"DPoP error="{error}""#)), "{path} {what}");
                assert_eq!(header(&answer, "dpop-nonce"), nonce, "{path} {what}");
            }
            let answer = world.show(method.clone(), &path, "DPoP", shown, &[&good()], body()).await;
            assert_ne!(answer.status, 401, "{path} {}", answer.body);
        }
        for holder in [&steward, &world.gateway_id] {
            assert_eq!(world.refused(holder, "token_bound").await, 4, "each of these is on record");
            assert_eq!(world.refused(holder, "dpop_invalid").await, 12);
        }
        // A token that is bound to nothing gains nothing by a proof, and a person's is no access token.
        let plain = proof(&dpop, "POST", &format!("{}{INTROSPECT}", world.server.url), &nonce, Some(&world.gateway));
        assert_eq!(world.show(Method::POST, INTROSPECT, "DPoP", &world.gateway, &[&plain], about(&token)).await.code(), "dpop_invalid");
        let admins = proof(&dpop, "GET", &format!("{}/v1/identities", world.server.url), &nonce, Some(&world.admin));
        assert_eq!(world.show(Method::GET, "/v1/identities", "DPoP", &world.admin, &[&admins], None).await.status, 401);
        let basic = world.show(Method::GET, "/v1/identities", "Basic", "YTpi", &[], None).await;
        assert_eq!(basic.status, 401);
    }

    async fn s13_the_token_endpoint_is_an_audience_only_where_the_binding_says_so(world: World) {
        let (strict, strict_key) = world.exporter("strict").await;
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["workload_binding"]["assertion_audience"] = json!("token_endpoint");
        let id = world.active("stock-client", charter).await;
        let issuer = world.issuer("production");
        let endpoint = format!("{issuer}/token");
        let ask = async |key: &Key, id: &str, audience: Value| {
            let mut claims = crate::world::assertion_claims(id, &issuer);
            claims["aud"] = audience;
            let assertion = key.sign(&json!({"alg": "EdDSA"}), &claims);
            (world.present(&assertion, "production").await.status, assertion)
        };
        let (status, assertion) = ask(&key, &id, json!(endpoint)).await;
        assert_eq!(status, 200);
        assert_eq!(ask(&key, &id, json!([endpoint])).await.0, 200);
        assert_eq!(ask(&key, &id, json!(issuer)).await.0, 200, "the strict form counts all the same");
        for (who, key, audience) in [
            (&strict, &strict_key, json!(endpoint)),
            (&id, &key, json!([endpoint, issuer])),
            (&id, &key, json!(format!("{endpoint}/"))),
            (&id, &key, json!(format!("{issuer}/introspect"))),
            (&id, &key, json!(format!("{}/env/staging/token", world.server.url))),
            (&id, &key, json!(world.server.url)),
        ] {
            assert_eq!(ask(key, who, audience.clone()).await.0, 401, "{audience}");
        }
        // One assertion is good once, whichever endpoint sees it first.
        let fields = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.as_str()), ("token", "x")];
        assert_eq!(world.form("", "/env/production/revoke", &fields).await.code(), "proof_replayed");
        let (_, fresh) = { let mut claims = crate::world::assertion_claims(&id, &issuer); claims["aud"] = json!(endpoint); (0, key.sign(&json!({"alg": "EdDSA"}), &claims)) };
        let fields = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", fresh.as_str()), ("token", "x")];
        world.form("", "/env/production/revoke", &fields).await.expect(200);
        assert_eq!(world.present(&fresh, "production").await.code(), "proof_replayed");
        assert_eq!(world.form("", "/env/staging/revoke", &fields).await.status, 401, "another environment's issuer is another audience");
    }
}
