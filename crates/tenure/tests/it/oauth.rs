//! The OAuth endpoints under attack: what is refused, as what, and that nothing changes by it.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::on_one;
use crate::world::{Answer, Key, ORDERS, World, assertion_claims, now, random};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Parameters beside the proof, and the error and reason that they get.
type Wish<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);

/// Signs exactly these texts.
fn sign_raw(key: &Key, header: &str, payload: &str) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(key.0.sign(input.as_bytes()).as_ref()))
}

/// The usual claims with some set, or taken away where the value is null.
fn claims(id: &str, issuer: &str, with: Value) -> Value {
    let mut claims = assertion_claims(id, issuer);
    for (name, value) in with.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

fn header(with: Value) -> Value {
    let mut header = json!({"alg": "EdDSA", "typ": "client-authentication+jwt"});
    header.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
    header
}

fn hs256(secret: &[u8], claims: &Value) -> String {
    let input = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"client-authentication+jwt"}"#),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
}

/// The token with one bit of a part's bytes turned.
fn flipped(token: &str, part: usize, byte: usize) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let mut bytes = URL_SAFE_NO_PAD.decode(&parts[part]).unwrap();
    bytes[byte] ^= 1;
    parts[part] = URL_SAFE_NO_PAD.encode(bytes);
    parts.join(".")
}

async fn ask(world: &World, path: &str, fields: &[(&str, &str)]) -> Answer {
    world.form("", path, fields).await
}

fn credentials<'a>(assertion: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![
        ("grant_type", "client_credentials"),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion),
    ];
    fields.extend_from_slice(more);
    fields
}

on_one! {
    async fn a_forged_or_bent_assertion_proves_nothing(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let (other, other_key) = world.exporter("other").await;
        let attacker = Key::new();
        let issuer = world.issuer("production");
        let with = |header_with: Value, claims_with: Value| key.sign(&header(header_with), &claims(&id, &issuer, claims_with));
        let good = || key.assertion(&id, &issuer);
        let as_claimed = || claims(&id, &issuer, json!({}));
        let jwk = key.jwk();
        let access = world.token(&key, &id, "production").await;
        let (head, payload) = (header(json!({})).to_string(), as_claimed().to_string());
        let parts = |token: String| token.split('.').map(str::to_owned).collect::<Vec<_>>();
        let padded = { let p = parts(good()); format!("{}.{}.{}==", p[0], p[1], p[2]) };
        let extra = format!("{}.x", good());
        let unsigned = { let p = parts(good()); format!("{}.{}.", p[0], p[1]) };
        let short = { let token = good(); token[..token.len() - 4].to_owned() };
        // Four bits of the last character stand for nothing; set, they would make a second token of the first.
        let respelled = { let token = good(); let last = token.chars().last().unwrap(); format!("{}{}", &token[..token.len() - 1], if last == 'A' { 'B' } else { char::from(last as u8 + 1) }) };

        let cases: Vec<(&str, String)> = vec![
            ("expired", with(json!({}), json!({"iat": now() - 600, "exp": now() - 60}))),
            ("issued in the future", with(json!({}), json!({"iat": now() + 120}))),
            ("not valid yet", with(json!({}), json!({"nbf": now() + 120}))),
            ("valid for too long", with(json!({}), json!({"exp": now() + 700}))),
            ("for ever", with(json!({}), json!({"exp": 1e300}))),
            ("without end", with(json!({}), json!({"exp": null}))),
            ("with an end in words", with(json!({}), json!({"exp": "tomorrow"}))),
            ("with an end before 1970", with(json!({}), json!({"exp": -1}))),
            ("for the token endpoint", with(json!({}), json!({"aud": format!("{issuer}/token")}))),
            ("for two audiences", with(json!({}), json!({"aud": [issuer, "https://other.example"]}))),
            ("for the same audience twice", with(json!({}), json!({"aud": [issuer, issuer]}))),
            ("for no audience", with(json!({}), json!({"aud": null}))),
            ("for an empty list", with(json!({}), json!({"aud": []}))),
            ("for another environment", with(json!({}), json!({"aud": world.issuer("staging")}))),
            ("for almost us", with(json!({}), json!({"aud": format!("{issuer}/")}))),
            ("for us in capitals", with(json!({}), json!({"aud": issuer.to_uppercase()}))),
            ("for the server", with(json!({}), json!({"aud": world.server.url}))),
            ("of an access token's type", with(json!({"typ": "at+jwt"}), json!({}))),
            ("of an enrolment's type", with(json!({"typ": "tenure-enrol+jwt"}), json!({}))),
            ("of a receipt's type", with(json!({"typ": "tenure-receipt+jwt"}), json!({}))),
            ("of a type that is no text", with(json!({"typ": 7}), json!({}))),
            ("an access token", access.clone()),
            ("alg none, unsigned", format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(&payload))),
            ("alg none, signed", with(json!({"alg": "none"}), json!({}))),
            ("alg NONE", with(json!({"alg": "NonE"}), json!({}))),
            ("no alg", sign_raw(&key, r#"{"typ":"client-authentication+jwt"}"#, &payload)),
            ("HS256 with the public key's bytes", hs256(&URL_SAFE_NO_PAD.decode(jwk["x"].as_str().unwrap()).unwrap(), &as_claimed())),
            ("HS256 with the public key's text", hs256(jwk["x"].as_str().unwrap().as_bytes(), &as_claimed())),
            ("HS256 with the JWK", hs256(jwk.to_string().as_bytes(), &as_claimed())),
            ("HS256 with nothing", hs256(b"", &as_claimed())),
            ("RS256", with(json!({"alg": "RS256"}), json!({}))),
            ("ES256 by an Ed25519 key", with(json!({"alg": "ES256"}), json!({}))),
            ("with its key in the header", attacker.sign(&header(json!({"jwk": attacker.jwk()})), &as_claimed())),
            ("with its own, bound key in the header", with(json!({"jwk": jwk}), json!({}))),
            ("jku", attacker.sign(&header(json!({"jku": "https://attacker.example/keys"})), &as_claimed())),
            ("x5u", attacker.sign(&header(json!({"x5u": "https://attacker.example/chain"})), &as_claimed())),
            ("x5c", with(json!({"x5c": ["MIIB"]}), json!({}))),
            ("unknown crit", with(json!({"crit": ["urn:x"], "urn:x": 1}), json!({}))),
            ("empty crit", with(json!({"crit": []}), json!({}))),
            ("an unencoded payload", with(json!({"b64": false}), json!({}))),
            ("compressed", with(json!({"zip": "DEF"}), json!({}))),
            ("kid of the bound key, signed by another", attacker.sign(&header(json!({"kid": jwk["x"]})), &as_claimed())),
            ("kid that is a path", attacker.sign(&header(json!({"kid": "../../../../dev/null"})), &as_claimed())),
            ("kid that is a query", attacker.sign(&header(json!({"kid": "x' UNION SELECT '"})), &as_claimed())),
            ("kid that is no text", with(json!({"kid": {"a": 1}}), json!({}))),
            ("kid that is too long", with(json!({"kid": "k".repeat(5_000)}), json!({}))),
            ("by another identity's key", other_key.sign(&header(json!({})), &as_claimed())),
            ("about another identity", with(json!({}), json!({"sub": other}))),
            ("by another identity", with(json!({}), json!({"iss": other}))),
            ("about another identity altogether", with(json!({}), json!({"iss": other, "sub": other}))),
            ("about nobody", with(json!({}), json!({"sub": null}))),
            ("by nobody", with(json!({}), json!({"iss": null}))),
            ("first bit of the signature", flipped(&good(), 2, 0)),
            ("last bit of the signature", flipped(&good(), 2, 63)),
            ("bent header", flipped(&good(), 0, 20)),
            ("bent payload", flipped(&good(), 1, 40)),
            ("without a signature", unsigned),
            ("a short signature", short),
            ("padded", padded),
            ("spelled otherwise", respelled),
            ("four parts", extra),
            ("a line feed at its end", format!("{}\n", good())),
            ("without jti", with(json!({}), json!({"jti": null}))),
            ("empty jti", with(json!({}), json!({"jti": ""}))),
            ("jti too long", with(json!({}), json!({"jti": "j".repeat(257)}))),
            ("jti that is no text", with(json!({}), json!({"jti": 7}))),
            ("a claim twice", sign_raw(&key, &head, &payload.replacen('{', r#"{"aud":"https://other.example","#, 1))),
            ("a claim twice, once escaped", sign_raw(&key, &head, &payload.replacen('{', r#"{"\u0061ud":"x","#, 1))),
            ("a header member twice", sign_raw(&key, &head.replacen('{', r#"{"alg":"none","#, 1), &payload)),
            ("claims that are a list", sign_raw(&key, &head, "[1]")),
            ("claims that are deep", sign_raw(&key, &head, &payload.replacen('{', &format!(r#"{{"x":{}1{},"#, "[".repeat(100), "]".repeat(100)), 1))),
            ("claims that are no JSON", sign_raw(&key, &head, "exp=1")),
            ("too long", with(json!({}), json!({"x": "x".repeat(20_000)}))),
            ("nothing", ".".into()),
            ("only dots", "..".into()),
            ("no JWT", "tnr_op_00000000000000000000000000".into()),
        ];
        let before = world.changes().await;
        for (what, assertion) in &cases {
            // Once as it says by itself, once with the name beside it.
            for more in [&[][..], &[("client_id", id.as_str())]] {
                let answer = ask(&world, "/env/production/token", &credentials(assertion, more)).await;
                assert_eq!(answer.status, 401, "{what}: {}", answer.body);
                // By the right key, it is told what to change; all else reads the same.
                let told = match *what {
                    "expired" | "issued in the future" | "not valid yet" => "proof_not_now",
                    "valid for too long" => "proof_too_long",
                    "for the token endpoint" | "for two audiences" | "for the same audience twice" | "for no audience" | "for an empty list" | "for another environment" | "for almost us"
                    | "for us in capitals" | "for the server" => "proof_audience_wrong",
                    "for ever" | "with an end before 1970" | "without end" | "with an end in words" | "about another identity" | "about another identity altogether" | "by another identity" | "about nobody" | "by nobody" | "without jti" | "empty jti"
                    | "jti too long" | "jti that is no text" | "a claim twice" | "a claim twice, once escaped" | "claims that are a list" | "claims that are deep" | "claims that are no JSON" => {
                        "proof_claims_wrong"
                    }
                    _ => "proof_invalid",
                };
                let reason = answer.text("/reason_code");
                assert_eq!(answer.text("/error"), "invalid_client", "{what}");
                // What names another identity is held against that one's keys.
                assert!(reason == told || (reason == "proof_invalid" && more.is_empty()), "{what}: {reason} instead of {told}");
                assert!(assertion.len() < 8 || !answer.body.to_string().contains(assertion.as_str()), "{what}");
            }
            // What proves nothing at one endpoint proves nothing at the others.
            for path in ["introspect", "revoke"] {
                let fields = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.as_str()), ("client_id", id.as_str()), ("token", access.as_str())];
                assert_eq!(ask(&world, &format!("/env/production/{path}"), &fields).await.status, 401, "{what} at {path}");
            }
        }
        assert_eq!(world.changes().await, before);
        assert!(world.is_live(&access).await);
        // A right proof under a wrong name.
        for name in [other.as_str(), "idn_00000000000000000000000000", "idn_x", "*", "../x"] {
            let answer = ask(&world, "/env/production/token", &credentials(&good(), &[("client_id", name)])).await.expect(401);
            assert_eq!(answer.text("/reason_code"), "proof_invalid", "{name}");
        }
        assert_eq!(world.changes().await, before);
    }

    async fn d21_whoever_holds_the_key_is_told_what_to_change(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let (stranger, issuer) = (Key::new(), world.issuer("production"));
        let endpoint = json!({"aud": format!("{issuer}/token")});
        for (with, code, says) in [
            (endpoint.clone(), "proof_audience_wrong", "issuer identifier"),
            (json!({"exp": now() + 3_600}), "proof_too_long", "ten minutes"),
            (json!({"iat": now() - 600, "exp": now() - 60}), "proof_not_now", "clock"),
            (json!({"jti": null}), "proof_claims_wrong", "jti"),
        ] {
            let assertion = |signer: &Key| signer.sign(&header(json!({})), &claims(&id, &issuer, with.clone()));
            let told = world.present(&assertion(&key), "production").await.expect(401);
            assert_eq!((told.text("/error").as_str(), told.code().as_str()), ("invalid_client", code));
            assert!(told.text("/error_description").contains(says), "{}", told.body);
            // A stranger is told one thing, whatever is wrong, and leaves nothing on the identity's record.
            let refused = world.present(&assertion(&stranger), "production").await.expect(401);
            assert_eq!(refused.body, world.present(&stranger.assertion(&id, &issuer), "production").await.body);
            assert_eq!(refused.code(), "proof_invalid");
        }
        // Its owner reads the same under the identity's name.
        let refusals = world.get(&world.owner, &format!("/v1/refusals?subject={id}")).await.expect(200).body.to_string();
        for code in ["proof_audience_wrong", "proof_too_long", "proof_not_now", "proof_claims_wrong"] {
            assert!(refusals.contains(code), "{code}: {refusals}");
        }
        let recorded = world.events_of("access.refused", &id).await;
        assert!(recorded.len() == 4 && recorded.iter().all(|event| event["actor"]["id"] == json!(id)), "{recorded:?}");
        // The same at the endpoints beside.
        let fields = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &*key.sign(&header(json!({})), &claims(&id, &issuer, endpoint))), ("token", "x")].map(|(name, value)| (name, value.to_owned()));
        for path in ["revoke", "introspect"] {
            let answer = World::answer(world.http.post(format!("{issuer}/{path}")).form(&fields)).await.expect(401);
            assert_eq!(answer.code(), "proof_audience_wrong", "{path}");
        }
    }

    async fn s15_unusual_but_right_assertions_count_once(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let issuer = world.issuer("production");
        let with = |header: Value, claims_with: Value| key.sign(&header, &claims(&id, &issuer, claims_with));
        let cases = [
            ("without typ", with(json!({"alg": "EdDSA"}), json!({}))),
            ("typ in full", with(json!({"alg": "EdDSA", "typ": "application/client-authentication+jwt"}), json!({}))),
            ("the algorithm's new name", with(json!({"alg": "Ed25519"}), json!({}))),
            ("an audience in a list of one", with(header(json!({})), json!({"aud": [issuer]}))),
            ("a kid that names nothing", with(header(json!({"kid": "mine"})), json!({}))),
            ("the longest jti", with(header(json!({})), json!({"jti": "j".repeat(256)}))),
            ("a jti with a NUL", with(header(json!({})), json!({"jti": "a\u{0}b"}))),
            ("the same jti up to the NUL", with(header(json!({})), json!({"jti": "a\u{0}c"}))),
            ("a jti beyond ASCII", with(header(json!({})), json!({"jti": "\u{1f511}"}))),
        ];
        for (what, assertion) in cases {
            let answer = world.present(&assertion, "production").await;
            assert_eq!(answer.status, 200, "{what}: {}", answer.body);
            let again = world.present(&assertion, "production").await.expect(401);
            assert_eq!((again.text("/error"), again.text("/reason_code")), ("invalid_client".into(), "proof_replayed".into()), "{what}");
        }
        let refusals = world.events_of("access.refused", &id).await;
        assert_eq!(refusals.len(), 9);
        assert!(refusals.iter().all(|event| event["data"]["reason"] == "proof_replayed"));
        // The same jti under another signature is the same proof; another identity's jti is its own.
        let jti = random();
        let twice = json!({"jti": jti});
        world.present(&with(header(json!({})), twice.clone()), "production").await.expect(200);
        let longer = json!({"jti": jti, "exp": now() + 500});
        assert_eq!(world.present(&with(header(json!({})), longer), "production").await.expect(401).code(), "proof_replayed");
        let (other, other_key) = world.exporter("other").await;
        world.present(&other_key.sign(&header(json!({})), &claims(&other, &issuer, twice)), "production").await.expect(200);
    }

    async fn one_proof_presented_many_times_at_once_counts_once(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let assertion = key.assertion(&id, &world.issuer("production"));
        let answers = futures_of((0..24).map(|_| world.present(&assertion, "production"))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        assert!(answers.iter().filter(|answer| answer.status != 200).all(|answer| answer.code() == "proof_replayed"));
        assert_eq!(world.events_of("credential.issued", &id).await.len(), 1);
    }

    async fn a_good_proof_gets_no_more_than_the_charter_gives(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let staging = world.resource("https://orders.staging", "staging", "online").await;
        let before = world.changes().await;
        let cases: &[Wish<'_>] = &[
            (&[("scope", "write")], "invalid_scope", "outside_scope"),
            (&[("scope", "write enforce")], "invalid_scope", "outside_scope"),
            (&[("scope", "enforce")], "invalid_scope", "outside_scope"),
            (&[("scope", "*")], "invalid_scope", "outside_scope"),
            (&[("scope", "READ")], "invalid_scope", "outside_scope"),
            (&[("scope", "read\tread")], "invalid_scope", "outside_scope"),
            (&[("resource", "https://orders.staging")], "invalid_target", "resource_unknown"),
            (&[("resource", "https://orders.internal/a")], "invalid_target", "resource_unknown"),
            (&[("resource", "http://orders.internal")], "invalid_target", "resource_unknown"),
            (&[("resource", &staging)], "invalid_target", "resource_unknown"),
        ];
        for (n, (more, error, reason)) in cases.iter().enumerate() {
            let assertion = key.assertion(&id, &world.issuer("production"));
            let answer = ask(&world, "/env/production/token", &credentials(&assertion, more)).await.expect(400);
            assert_eq!((answer.text("/error").as_str(), answer.text("/reason_code").as_str()), (*error, *reason), "{more:?}");
            let refusals = world.events_of("access.refused", &id).await;
            assert_eq!((refusals.len(), &refusals[n]["data"]["reason"]), (n + 1, &json!(reason)), "{more:?}");
        }
        // Its own environment's proof at another's endpoint, and a proof meant for that.
        for aud in ["production", "staging"] {
            let assertion = key.assertion(&id, &world.issuer(aud));
            let answer = ask(&world, "/env/staging/token", &credentials(&assertion, &[])).await;
            assert!(matches!((answer.status, answer.code().as_str()), (401 | 400, "proof_audience_wrong" | "wrong_environment")), "{aud}: {}", answer.body);
        }
        assert_eq!(world.changes().await, before);
        let token = ask(&world, "/env/production/token", &credentials(&key.assertion(&id, &world.issuer("production")), &[("scope", "read"), ("resource", ORDERS)])).await.expect(200);
        assert_eq!(token.text("/scope"), "read");
    }

    async fn e02_of_a_wider_scope_the_part_that_is_held_is_given(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let get = async |scope: &str| {
            let assertion = key.assertion(&id, &world.issuer("production"));
            ask(&world, "/env/production/token", &credentials(&assertion, &[("scope", scope)])).await
        };
        // The answer and the token say what is given, and the record says what isn't.
        let issued = get("admin read write offline_access").await.expect(200);
        assert_eq!(issued.text("/scope"), "read");
        let event = world.events_of("credential.issued", &issued.text("/credential")).await.remove(0);
        assert_eq!((&event["data"]["actions"], &event["data"]["left_out"]), (&json!(["read"]), &json!(["admin", "write", "offline_access"])));
        assert!(!world.is_allowed(&id, Some(&issued.text("/access_token")), "write").await);
        let exact = get("read").await.expect(200);
        assert!(world.events_of("credential.issued", &exact.text("/credential")).await[0]["data"].get("left_out").is_none());
        // Nothing left is nothing given; and no list is so long that it can't be answered.
        assert_eq!(get("write admin").await.expect(400).code(), "outside_scope");
        let long = (0..200).map(|n| format!("a{n}")).collect::<Vec<_>>().join(" ");
        assert_eq!(get(&format!("read {long}")).await.expect(400).text("/error"), "invalid_scope");
        let some = get(&format!("read {}", long.get(..400).unwrap())).await.expect(200);
        assert_eq!(world.events_of("credential.issued", &some.text("/credential")).await[0]["data"]["left_out"].as_array().unwrap().len(), 32);
        // A charter may want all or nothing: that narrows it, and to drop it again widens it.
        let path = format!("/v1/identities/{id}");
        let mut charter = world.get(&world.owner, &path).await.expect(200).body["charter"].take();
        let put = async |charter: &Value| world.put(&world.owner, &format!("{path}/charter"), charter.clone()).await;
        charter["exact_scope"] = json!(true);
        put(&charter).await.expect(200);
        assert_eq!(get("read write").await.expect(400).code(), "outside_scope");
        assert_eq!(get("read").await.expect(200).text("/scope"), "read");
        charter["exact_scope"] = json!(false);
        assert_eq!(put(&charter).await.expect(403).code(), "approval_needed");
    }

    async fn malformed_requests_are_named_and_change_nothing(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let issuer = world.issuer("production");
        let token = world.token(&key, &id, "production").await;
        let before = world.changes().await;
        let form = "application/x-www-form-urlencoded";
        let pair = |name: &str, value: &str| serde_urlencoded_pair(name, value);
        let assertion = || [pair("client_assertion_type", ASSERTION_TYPE), pair("client_assertion", &key.assertion(&id, &issuer))].join("&");
        let cases: Vec<(&str, &str, &str, String, u16, &str)> = vec![
            ("JSON", "token", "application/json", json!({"grant_type": "client_credentials"}).to_string(), 400, "invalid_request"),
            ("no content type", "token", "", "grant_type=client_credentials".into(), 400, "invalid_request"),
            ("multipart", "token", "multipart/form-data; boundary=x", "--x--".into(), 400, "invalid_request"),
            ("empty", "token", form, String::new(), 400, "invalid_request"),
            ("no grant type", "token", form, assertion(), 400, "invalid_request"),
            ("empty grant type", "token", form, format!("grant_type=&{}", assertion()), 400, "invalid_request"),
            ("password grant", "token", form, format!("grant_type=password&username=a&password=b&{}", assertion()), 400, "unsupported_grant_type"),
            ("code grant", "token", form, format!("grant_type=authorization_code&code=a&{}", assertion()), 400, "unsupported_grant_type"),
            ("refresh grant", "token", form, format!("grant_type=refresh_token&refresh_token=a&{}", assertion()), 400, "unsupported_grant_type"),
            ("grant type twice", "token", form, format!("grant_type=client_credentials&grant_type=client_credentials&{}", assertion()), 400, "invalid_request"),
            ("assertion twice", "token", form, format!("grant_type=client_credentials&{0}&{0}", assertion()), 400, "invalid_request"),
            ("scope twice", "token", form, format!("grant_type=client_credentials&scope=read&scope=write&{}", assertion()), 400, "invalid_request"),
            ("name twice, once encoded", "token", form, format!("grant_type=client_credentials&scope=read&sc%6Fpe=write&{}", assertion()), 400, "invalid_request"),
            ("no client", "token", form, "grant_type=client_credentials".into(), 401, "invalid_client"),
            ("a name is no proof", "token", form, format!("grant_type=client_credentials&client_id={id}"), 401, "invalid_client"),
            ("a secret", "token", form, format!("grant_type=client_credentials&client_id={id}&client_secret=hunter22"), 401, "invalid_client"),
            ("a secret beside a proof", "token", form, format!("grant_type=client_credentials&client_secret=hunter22&{}", assertion()), 401, "invalid_client"),
            ("assertion without type", "token", form, format!("grant_type=client_credentials&{}", pair("client_assertion", &key.assertion(&id, &issuer))), 400, "invalid_request"),
            ("type without assertion", "token", form, format!("grant_type=client_credentials&{}", pair("client_assertion_type", ASSERTION_TYPE)), 400, "invalid_request"),
            ("assertion of SAML", "token", form, format!("grant_type=client_credentials&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:saml2-bearer&{}", pair("client_assertion", "PHNhbWw+")), 400, "invalid_request"),
            ("too large", "token", form, format!("grant_type=client_credentials&{}&x={}", assertion(), "x".repeat(70_000)), 413, "invalid_request"),
            ("no assertion to exchange", "token", form, format!("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&client_id={id}"), 400, "invalid_request"),
            ("exchange with a secret", "token", form, format!("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&client_id={id}&assertion=x&client_secret=hunter22"), 401, "invalid_client"),
            ("exchange of an own assertion", "token", form, format!("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&client_id={id}&assertion={}", key.assertion(&id, &issuer)), 400, "invalid_grant"),
            ("exchange of an access token", "token", form, format!("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&client_id={id}&assertion={token}"), 400, "invalid_grant"),
            ("revocation as JSON", "revoke", "application/json", json!({"token": token}).to_string(), 400, "invalid_request"),
            ("revocation by nobody", "revoke", form, format!("token={token}"), 401, "invalid_client"),
            ("revocation of nothing", "revoke", form, assertion(), 400, "invalid_request"),
            ("revocation with a secret", "revoke", form, format!("token={token}&client_id={id}&client_secret=hunter22"), 401, "invalid_client"),
            ("introspection by nobody", "introspect", form, format!("token={token}"), 401, "invalid_client"),
            ("introspection as JSON", "introspect", "application/json", json!({"token": token}).to_string(), 400, "invalid_request"),
            ("introspection with a secret", "introspect", form, format!("token={token}&client_id={id}&client_secret=hunter22"), 401, "invalid_client"),
        ];
        for (what, path, content_type, body, status, error) in cases {
            let mut request = world.http.post(format!("{issuer}/{path}")).body(body);
            if !content_type.is_empty() {
                request = request.header("content-type", content_type);
            }
            let answer = World::answer(request).await;
            assert_eq!((answer.status, answer.text("/error").as_str()), (status, error), "{what}: {}", answer.body);
            assert!(!answer.text("/error_description").is_empty(), "{what}");
            let text = answer.body.to_string();
            assert!(!text.contains("hunter22") && !text.contains(&token), "{what}: {text}");
            assert_eq!(answer.headers["cache-control"], "no-store", "{what}");
        }
        // Two ways of authenticating at once, and two headers.
        let fields = credentials_owned(&key.assertion(&id, &issuer));
        let both = world.http.post(format!("{issuer}/token")).form(&fields).basic_auth(&id, Some("hunter22"));
        assert_eq!(World::answer(both).await.expect(400).text("/error"), "invalid_request");
        let twice = world.http.post(format!("{issuer}/introspect")).form(&[("token", &token)]).bearer_auth(&world.gateway).bearer_auth(&world.gateway);
        assert_eq!(World::answer(twice).await.expect(400).text("/error"), "invalid_request");
        let mixed = world.http.post(format!("{issuer}/introspect")).form(&[("token", token.as_str()), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &key.assertion(&id, &issuer))]).bearer_auth(&world.gateway);
        assert_eq!(World::answer(mixed).await.expect(400).text("/error"), "invalid_request");
        assert_eq!(world.changes().await, before);
        assert!(world.is_live(&token).await);
    }

    async fn d19_a_refusal_names_the_way_to_authenticate_that_there_is(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let issuer = world.issuer("production");
        let grant = [("grant_type", "client_credentials")];
        let challenge = |answer: &Answer| answer.headers.get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
        // Clients prove themselves in the form, for which HTTP has no scheme; who tries one is answered in that one
        // (RFC 6749 §5.2).
        for path in ["token", "revoke", "bc-authorize"] {
            let tried = World::answer(world.http.post(format!("{issuer}/{path}")).form(&grant).basic_auth(&id, Some("hunter22"))).await.expect(401);
            assert_eq!((tried.text("/error"), challenge(&tried)), ("invalid_client".into(), Some("Basic realm=\"tenure\"".into())), "{path}");
            let nothing = World::answer(world.http.post(format!("{issuer}/{path}")).form(&grant)).await.expect(401);
            assert_eq!((nothing.text("/error"), challenge(&nothing)), ("invalid_client".into(), None), "{path}");
        }
        let failed = world.present(&Key::new().assertion(&id, &issuer), "production").await.expect(401);
        assert_eq!((failed.text("/error"), challenge(&failed)), ("invalid_client".into(), None));
        // Introspection takes tokens too, and what is shown there and at every other address fails as a token (RFC 6750
        // §3.1).
        let (access, realm, invalid) = (world.token(&key, &id, "production").await, "Bearer realm=\"tenure\"", "Bearer error=\"invalid_token\"");
        let introspect = format!("{issuer}/introspect");
        let form = [("token", access.as_str())];
        for (request, error, expected) in [
            (world.http.post(&introspect).form(&form), "invalid_client", realm),
            (world.http.post(&introspect).form(&form).bearer_auth("x"), "invalid_token", invalid),
            (world.http.post(&introspect).form(&form).basic_auth("a", Some("b")), "invalid_client", "Basic realm=\"tenure\""),
        ] {
            let answer = World::answer(request).await.expect(401);
            assert_eq!((answer.text("/error").as_str(), challenge(&answer).as_deref()), (error, Some(expected)));
        }
        for path in ["/v1/people", "/v1/me"] {
            let url = format!("{}{path}", world.server.url);
            for (request, expected) in [(world.http.get(&url), realm), (world.http.get(&url).basic_auth("a", Some("b")), realm), (world.http.get(&url).bearer_auth("x"), invalid)] {
                assert_eq!(challenge(&World::answer(request).await.expect(401)).as_deref(), Some(expected), "{path}");
            }
        }
        // A token for several resources is none that there is (RFC 8707 §2).
        let assertion = key.assertion(&id, &issuer);
        let several = world.form("", "/env/production/token", &credentials(&assertion, &[("resource", ORDERS), ("resource", "https://b.internal")])).await.expect(400);
        assert_eq!(several.text("/error"), "invalid_target");
        world.present(&assertion, "production").await.expect(200);
    }

    async fn introspection_answers_only_the_gateways_of_the_resource(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let token = world.token(&key, &id, "production").await;
        let inactive = json!({"active": false});
        // A gateway of another resource, in production and in staging.
        let mut gateways = Vec::new();
        for (uri, environment) in [("https://ledger.internal", "production"), ("https://orders.staging", "staging")] {
            let resource = world.resource(uri, environment, "online").await;
            let gateway = Key::new();
            let mut charter = world.charter(gateway.jwk());
            charter["application"] = json!(world.edge);
            charter["environment"] = json!(environment);
            charter["scope"] = json!([{"actions": ["enforce"], "resource": resource}]);
            let gateway_id = world.active(&format!("gateway-{environment}"), charter).await;
            gateways.push((world.token(&gateway, &gateway_id, environment).await, gateway, gateway_id));
        }
        let (ledger, ledger_key, ledger_id) = &gateways[0];
        let (staging, ..) = &gateways[1];
        for gateway in [ledger, staging] {
            for environment in ["production", "staging"] {
                let answer = world.form(gateway, &format!("/env/{environment}/introspect"), &[("token", &token)]).await.expect(200);
                assert_eq!(answer.body, inactive);
            }
        }
        // The right gateway at the wrong issuer, tokens of staging here, and what is no token.
        assert_eq!(world.form(&world.gateway, "/env/staging/introspect", &[("token", &token)]).await.expect(200).body, inactive);
        let receipt = world.revoke("credential", &credential_of(&world, &key, &id).await).await.expect(201).text("/id");
        world.until(async || world.get(&world.security, &format!("/v1/receipts/{receipt}.jws")).await.status == 200).await;
        let signed = world.get(&world.security, &format!("/v1/receipts/{receipt}.jws")).await.expect(200).body.as_str().unwrap().to_owned();
        let bent = flipped(&token, 2, 5);
        let assertion = key.assertion(&id, &world.issuer("production"));
        let long = "x".repeat(40_000);
        for other in [staging, "x", "a.b.c", &bent, &signed, &assertion, &world.security, &long, "\u{0}"] {
            let answer = world.form(&world.gateway, "/env/production/introspect", &[("token", other)]).await.expect(200);
            assert_eq!(answer.body, inactive, "{}", &other[..other.len().min(20)]);
        }
        assert!(world.is_live(&token).await);
        // Callers that are no gateways: the client itself, people, receipts, assertions as bearers.
        for (caller, status) in [(&token, 403), (&world.security, 401), (&world.admin, 401), (&signed, 401), (&assertion, 401), (&bent, 401)] {
            let answer = world.form(caller, "/env/production/introspect", &[("token", &token)]).await;
            assert_eq!(answer.status, status, "{}", answer.body);
            assert!(answer.body.get("active").is_none());
        }
        let refusals = world.events_of("access.refused", &id).await;
        assert_eq!((refusals.len(), &refusals[0]["data"]["reason"]), (1, &json!("not_allowed")));
        // With a client assertion: one that enforces nothing learns nothing, one of another resource neither.
        for (who, signer) in [(&id, &key), (ledger_id, ledger_key)] {
            let assertion = signer.assertion(who, &world.issuer("production"));
            let fields = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &assertion), ("token", &token)];
            assert_eq!(ask(&world, "/env/production/introspect", &fields).await.expect(200).body, inactive);
            let again = ask(&world, "/env/production/introspect", &fields).await.expect(401);
            assert_eq!(again.text("/reason_code"), "proof_replayed");
            assert!(world.events_of("access.refused", who).await.iter().any(|event| event["data"]["reason"] == "proof_replayed"));
        }
        // A gateway that is suspended.
        world.post(&world.security, &format!("/v1/identities/{}/suspend", world.gateway_id), json!({"reason": "test"})).await.expect(200);
        let answer = world.form(&world.gateway, "/env/production/introspect", &[("token", &token)]).await.expect(401);
        assert_eq!(answer.text("/error"), "invalid_token");
        let assertion = world.gateway_key.assertion(&world.gateway_id, &world.issuer("production"));
        let fields = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &assertion), ("token", &token)];
        assert_eq!(ask(&world, "/env/production/introspect", &fields).await.expect(400).text("/reason_code"), "identity_suspended");
        assert!(world.events_of("access.refused", &world.gateway_id).await.iter().any(|event| event["data"]["reason"] == "identity_suspended"));
    }

    async fn revocation_is_for_the_tokens_own_client(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let (other, other_key) = world.exporter("other").await;
        let token = world.token(&key, &id, "production").await;
        let revoke = async |environment: &str, who: &str, signer: &Key, token: &str| {
            let assertion = signer.assertion(who, &world.issuer(environment));
            let fields = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.as_str()), ("token", token), ("token_type_hint", "refresh_token")];
            ask(&world, &format!("/env/{environment}/revoke"), &fields).await
        };
        let bent = flipped(&token, 1, 10);
        revoke("production", &other, &other_key, &token).await.expect(200);
        revoke("production", &world.gateway_id, &world.gateway_key, &token).await.expect(200);
        revoke("staging", &id, &key, &token).await.expect(200);
        for nothing in ["x", "a.b.c", bent.as_str(), world.security.as_str(), id.as_str()] {
            revoke("production", &id, &key, nothing).await.expect(200);
        }
        assert!(world.is_live(&token).await);
        assert!(world.events().await.iter().all(|event| event["kind"] != "credential.revoked"));
        revoke("nowhere", &id, &key, &token).await.expect(404);
        // A suspended identity may still end its own tokens: to disable takes less than to enable.
        world.post(&world.security, &format!("/v1/identities/{id}/suspend"), json!({"reason": "test"})).await.expect(200);
        let answer = revoke("production", &id, &key, &token).await.expect(200);
        assert_eq!(answer.body, json!(""));
        assert_eq!(world.events().await.iter().filter(|event| event["kind"] == "credential.revoked").count(), 1);
    }
}

async fn credential_of(world: &World, key: &Key, id: &str) -> String {
    world.ask_token(key, id, "production").await.expect(200).text("/credential")
}

fn credentials_owned(assertion: &str) -> Vec<(String, String)> {
    credentials(assertion, &[]).into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// One pair of a form; the values here need no more than `:` and `+` encoded.
fn serde_urlencoded_pair(name: &str, value: &str) -> String {
    format!("{name}={}", value.replace('+', "%2B").replace(':', "%3A"))
}

/// Runs all of these at once on this thread, in requests that overlap.
async fn futures_of<F: Future<Output = Answer>>(futures: impl Iterator<Item = F>) -> Vec<Answer> {
    let mut waiting: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, answer) in &mut waiting {
            if answer.is_none()
                && let std::task::Poll::Ready(ready) = future.as_mut().poll(context)
            {
                *answer = Some(ready);
            }
        }
        if waiting.iter().all(|(_, answer)| answer.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    waiting.into_iter().filter_map(|(_, answer)| answer).collect()
}
