//! Space: a full disk still takes a revocation, and strangers can't fill it (S-16).

use reqwest::Method;
use serde_json::json;
use tenure_store::testing::SmallDisk;

use crate::on_one;
use crate::world::{Key, Store, World, assertion_claims, client, now, random};

/// The ids of the credentials that were acknowledged until the server said that its disk is full.
async fn until_full(world: &World, id: &str, key: &Key) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for _ in 0..2_000 {
        let answer = world.ask_token(key, id, "production").await;
        if answer.status == 503 {
            assert_eq!(answer.code(), "temporarily_unavailable");
            return acknowledged;
        }
        acknowledged.push(answer.expect(200).text("/credential"));
    }
    panic!("the disk is never full")
}

async fn health(world: &World) -> (u16, String, bool) {
    let ready = world.get("", "/readyz").await;
    let metrics = world.text("", "/metrics").await;
    (ready.status, ready.body.as_str().unwrap_or_default().to_owned(), metrics.contains("\ntenure_disk_full 1\n"))
}

#[tokio::test]
async fn s16_a_full_disk_still_takes_a_revocation() {
    let disk = SmallDisk::new(80);
    disk.take(40);
    let store = format!("sqlite:{}", disk.path().join("tenure.db").display());
    let environment = [("TENURE_STORE", store.as_str()), ("TENURE_ISSUANCE_BUDGET", "100000")];
    let mut world = World::fresh(&environment, Store::Sqlite, client()).await;
    let (id, key) = world.exporter("exporter").await;
    let (other, other_key) = world.exporter("other").await;
    let (third, _) = world.exporter("third").await;
    let live = world.token(&key, &id, "production").await;
    let others = world.token(&other_key, &other, "production").await;
    assert_eq!(health(&world).await, (200, "ok\n".into(), false));

    disk.fill();
    let acknowledged = until_full(&world, &id, &key).await;
    // What enables is refused, and says why.
    let draft = json!({"kind": "workload", "name": "late", "stage": "draft", "charter": {}});
    // Where an issuance had no room, something smaller may still have some.
    let mut tries = 0;
    let refused = loop {
        let smaller = json!({"kind": "workload", "name": format!("smaller-{tries}"), "stage": "draft", "charter": {}});
        let answer = world.post(&world.owner, "/v1/identities", smaller).await;
        if answer.status != 201 {
            break answer.expect(503);
        }
        tries += 1;
        assert!(tries < 200, "there is room without end");
    };
    assert_eq!(refused.code(), "disk_full");
    assert!(refused.text("/hint").contains("make room"), "{}", refused.body);
    let (status, text, full) = health(&world).await;
    assert!(status == 200 && text.starts_with("degraded: the disk is full") && full, "{status} {text}");
    // Nothing is asked of the disk to read and to decide.
    assert!(world.is_live(&live).await && world.is_allowed(&other, Some(&others), "read").await);

    // What takes authority away works, each way.
    let security = world.security.clone();
    let suspended = world.post(&security, &format!("/v1/identities/{third}/suspend"), json!({"reason": "test"})).await;
    suspended.expect(200);
    let receipt = world.revoke("identity", &id).await.expect(201).text("/id");
    assert!(!world.is_live(&live).await);
    for credential in acknowledged.iter().take(20) {
        world.revoke("credential", credential).await.expect(201);
    }
    world.post(&security, &format!("/v1/identities/{other}/retire"), json!({"reason": "test"})).await.expect(200);
    assert!(!world.is_live(&others).await && !world.is_allowed(&other, Some(&others), "read").await);
    // The revocation's receipt is worked on and signed, the retirement is brought to its end, and the log is sealed.
    world.until_state(&other, "retired").await;
    world.until(async || world.get(&world.auditor, &format!("/v1/receipts/{receipt}.jws")).await.status == 200).await;
    world
        .until(async || {
            let metrics = world.text("", "/metrics").await;
            let number =
                |name: &str| metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
            number("tenure_log_entries ") == number("tenure_log_sealed_entries ")
        })
        .await;
    // What was freed is not for what enables.
    world.post(&world.owner, "/v1/identities", draft.clone()).await.expect(503);
    world.ask_token(&key, &id, "production").await;

    // After a power cut on the full disk, everything that was acknowledged is there.
    world.server.kill();
    world.server.restart(&environment);
    world.http = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(!world.is_live(&live).await && !world.is_live(&others).await);
    for (n, credential) in acknowledged.iter().enumerate() {
        let state =
            world.get(&world.auditor, &format!("/v1/credentials/{credential}")).await.expect(200).text("/state");
        assert_ne!(state, "live", "{n}");
    }
    world.post(&world.owner, "/v1/identities", draft.clone()).await.expect(503);
    world.revoke("identity", &third).await.expect(201);

    // With room, everything works again.
    disk.make_room();
    world.until(async || world.post(&world.owner, "/v1/identities", draft.clone()).await.status == 201).await;
    world.until(async || health(&world).await == (200, "ok\n".into(), false)).await;
}

/// A request that proves nothing, of every sort that needs no proof to be sent.
fn bad_request(world: &World, n: usize) -> reqwest::RequestBuilder {
    let at = |path: &str| format!("{}{path}", world.server.url);
    let post = |path: &str| world.http.post(at(path));
    let noise = random();
    let id = &world.gateway_id;
    let assertion = || Key::new().assertion(id, &world.issuer("production"));
    let token = |fields: &[(&str, &str)]| post("/env/production/token").form(fields);
    let by_assertion = |assertion: &str| {
        token(&[
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion),
        ])
    };
    match n % 22 {
        0 => by_assertion(&assertion()),
        1 => by_assertion(&noise),
        // Of an identity that is nobody's, under a new name each time.
        2 => by_assertion(&Key::new().assertion(&format!("idn_{noise}"), &world.issuer("production"))),
        3 => token(&[("grant_type", &noise)]),
        4 => token(&[("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"), ("subject_token", &noise)]),
        5 => token(&[("grant_type", "urn:openid:params:grant-type:ciba"), ("auth_req_id", &noise)]),
        6 => by_assertion(&assertion()).header("DPoP", &noise),
        7 => by_assertion(&assertion()).header(
            "DPoP",
            Key::new().sign(
                &json!({"alg": "EdDSA", "typ": "dpop+jwt", "jwk": Key::new().jwk()}),
                &json!({"jti": noise, "htm": "POST", "htu": "x", "iat": now()}),
            ),
        ),
        8 => post(&format!("/signals/{noise}"))
            .header("X-Hub-Signature-256", format!("sha256={noise}"))
            .body(noise.clone()),
        9 => post("/signals/github").header("X-Gitlab-Token", &noise).body("{}"),
        10 => {
            post("/signals/hr").header("content-type", "application/secevent+jwt").body(Key::new().sign(
                &json!({"alg": "EdDSA", "typ": "secevent+jwt", "kid": noise}),
                &json!({"iss": noise, "jti": noise}),
            ))
        }
        11 => post("/env/production/introspect").bearer_auth(&noise).form(&[("token", &noise)]),
        12 => post("/access/v1/evaluation")
            .bearer_auth(format!("tnr_{noise}"))
            .json(&json!({"subject": {"type": "identity", "id": noise}})),
        13 => world.http.get(at("/v1/identities")),
        14 => world.http.get(at("/v1/people")).bearer_auth(&noise),
        15 => world.http.get(at("/v1/people")).header("authorization", format!("DPoP {noise}")),
        16 => world.http.get(at(&format!("/{noise}"))),
        17 => world.http.request(Method::DELETE, at("/v1/people")),
        18 => post("/v1/setup").json(&json!({"setup_token": noise, "name": "Eve"})),
        19 => post("/v1/enrol").json(&json!({"join_token": noise, "jwk": {}, "proof": noise})),
        20 => post("/env/production/bc-authorize").form(&[("client_id", id.as_str()), ("binding_message", &noise)]),
        // One that was signed by its own key, for somebody else: still nobody's.
        _ => by_assertion(
            &Key::new()
                .sign(&json!({"alg": "EdDSA", "typ": "client-authentication+jwt"}), &assertion_claims(id, &noise)),
        ),
    }
}

on_one! {
    async fn s16_strangers_cannot_fill_the_disk(world: World) {
        let mut world = world;
        const SENT: usize = 4_400;
        let before = world.events().await.len();
        let mut statuses = std::collections::BTreeMap::<u16, usize>::new();
        for batch in 0..SENT / 44 {
            let sent = (0..44).map(|n| World::answer(bad_request(&world, batch * 44 + n)));
            for answer in futures_util::future::join_all(sent).await {
                *statuses.entry(answer.status).or_default() += 1;
                assert!((400..500).contains(&answer.status), "{} {}", answer.status, answer.body);
            }
        }
        // A stop writes what is counted; what is in the log then is all that is left of them.
        world.server.stop();
        world.restart();
        let events = world.events().await;
        let new = &events[before..];
        assert!(new.len() <= 100, "{} events of {SENT} requests, {statuses:?}", new.len());
        let by_kind = |kind: &str| new.iter().filter(|event| event["kind"] == kind).collect::<Vec<_>>();
        let aggregates = by_kind("access.refused_aggregate");
        assert!(by_kind("access.refused").is_empty(), "a stranger has no record of their own");
        // One for each reason, source and minute, and nothing of what the stranger chose.
        let mut seen = std::collections::BTreeSet::new();
        for event in &aggregates {
            let key = ["reason", "source", "minute"].map(|name| event["data"][name].to_string());
            assert!(seen.insert(key.clone()), "{key:?} twice");
        }
        let counted: u64 = aggregates.iter().filter_map(|event| event["data"]["count"].as_u64()).sum();
        assert!(counted > 2_000, "{counted} {statuses:?}");
    }
}

on_one! {
    async fn s16_a_resource_is_not_accepted_unreachable_without_an_exception(world: World) {
        // By default nothing is said, which means: refuse.
        let (id, key) = world.exporter("exporter").await;
        let token = world.token(&key, &id, "production").await;
        let introspect = async |as_who: &str, token: &str| world.form(as_who, "/env/production/introspect", &[("token", token)]).await.expect(200).body;
        let told = introspect(&world.gateway, &token).await;
        assert!(told["active"] == json!(true) && told["tenure_accept_until"].is_null(), "{told}");

        let uri = "https://ledger.internal";
        let resource = json!({"uri": uri, "type": "database", "actions": ["read", "enforce"], "application": world.application, "environment": "production", "verification": "online", "when_unreachable": "accept"});
        let ledger = world.post(&world.admin, "/v1/resources", resource).await.expect(201);
        assert_eq!(ledger.text("/when_unreachable"), "accept");
        let ledger = ledger.text("/id");
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["scope"] = json!([{"actions": ["read"], "resource": ledger}]);
        let reader = world.active("reader", charter).await;
        let token = world.token(&key, &reader, "production").await;
        let gate_key = Key::new();
        let mut charter = world.charter(gate_key.jwk());
        charter["scope"] = json!([{"actions": ["enforce"], "resource": ledger}]);
        charter["application"] = json!(world.edge);
        let gate = world.active("ledger-gate", charter).await;
        let gate_token = world.token(&gate_key, &gate, "production").await;
        // The resource alone does not do it.
        let told = introspect(&gate_token, &token).await;
        assert!(told["active"] == json!(true) && told["tenure_accept_until"].is_null(), "{told}");

        let control = |control: &str| json!({"control": control, "description": "as written down in runbook 12"});
        let ask = json!({"type": "accept_unreachable", "subject": {"type": "identity", "id": gate}, "reason": "the ledger outlives an outage", "duration": "1d", "compensating": [control("monitoring"), control("local_limit")]});
        let mut without = ask.clone();
        without["compensating"] = json!([control("monitoring")]);
        world.post(&world.owner, "/v1/exceptions", without).await.expect(422);
        let proposed = world.post(&world.owner, "/v1/exceptions", ask).await.expect(201);
        let told = introspect(&gate_token, &token).await;
        assert!(told["tenure_accept_until"].is_null(), "it is proposed only: {told}");
        for who in [&world.manager, &world.security] {
            world.approve(who, &proposed.text("/request")).await.expect(200);
        }
        let told = introspect(&gate_token, &token).await;
        assert_eq!(told["tenure_accept_until"], told["exp"], "{told}");
        // A dead token has no such time, and another gate has no part in it.
        let dead = world.token(&key, &reader, "production").await;
        let (claims, _) = dead.rsplit_once('.').unwrap();
        assert_eq!(introspect(&gate_token, &format!("{claims}.x")).await, json!({"active": false}));
        world.revoke("identity", &reader).await.expect(201);
        assert_eq!(introspect(&gate_token, &dead).await, json!({"active": false}));
        let token = world.token(&key, &reader, "production").await;
        // With the exception it ends.
        world.post(&world.security, &format!("/v1/exceptions/{}/withdraw", proposed.text("/id")), json!({"reason": "test"})).await.expect(200);
        let told = introspect(&gate_token, &token).await;
        assert!(told["active"] == json!(true) && told["tenure_accept_until"].is_null(), "{told}");
    }
}
