use std::collections::BTreeMap;

use serde_json::json;
use tenure_api::requests::NewEnvironment;
use tenure_core::base::problem::Reason;
use tenure_core::people::person::Role;
use tenure_core::store::row::RowKind;
use tenure_core::trust::state::TrustState;

use super::*;
use crate::inventory::directory;
use crate::log::reading;
use crate::log::seal::tests::{World, world};
use crate::trust::issuers;

const URL: &str = "https://issuer.example.com/tenant/";
const JWKS: &str = "https://keys.example.com/set?version=2";
const DISCOVERY: &str = "https://issuer.example.com/tenant/.well-known/openid-configuration";

fn ask() -> NewIssuer {
    NewIssuer {
        preset: Preset::Oidc,
        fixed_claims: BTreeMap::new(),
        url: URL.into(),
        audience: "tenure".into(),
        environments: vec!["prod".into()],
        algorithms: Vec::new(),
        required_claims: vec!["repository_id".into()],
        token_review: None,
    }
}

fn key(kid: &str) -> String {
    json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})
        .to_string()
}

async fn ready() -> World {
    let world = world().await;
    directory::create_environment(
        &world.engine,
        &world.admin,
        NewEnvironment {
            name: "prod".into(),
            production: true,
            signing_algorithm: tenure_core::trust::signing_key::SigningAlgorithm::EdDsa,
        },
    )
    .await
    .unwrap();
    world.web.publish(DISCOVERY, &json!({"issuer": URL, "jwks_uri": JWKS, "token_endpoint": "https://x"}).to_string());
    world.web.publish(JWKS, &key("one"));
    world
}

async fn events(world: &World, id: IssuerId) -> Vec<(String, bool)> {
    let all = reading::events_after(&world.engine, &world.admin, None, 500).await.unwrap();
    all.into_iter()
        .filter(|event| event.subjects.contains(&id.to_string()) && event.kind.starts_with("issuer."))
        .map(|event| {
            (event.kind, event.data.get("single_person").and_then(serde_json::Value::as_bool).unwrap_or(false))
        })
        .collect()
}

fn codes(error: OpError) -> Vec<(String, String)> {
    match error {
        OpError::Invalid(fields) => fields.into_iter().map(|field| (field.field, field.code)).collect(),
        other => panic!("{other}"),
    }
}

fn reason(error: OpError) -> Reason {
    match error {
        OpError::Refused { reason, .. } => reason,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn alone_an_administrator_is_marked_as_such() {
    let world = ready().await;
    let issuer = issuers::create_issuer(&world.engine, &world.admin, ask()).await.unwrap().record;
    assert_eq!((issuer.state, issuer.single_person, issuer.confirmed_by), (TrustState::Active, true, None));
    assert_eq!((issuer.url.as_str(), issuer.jwks_uri.as_str()), (URL, JWKS));
    assert_eq!(issuer.algorithms, ["EdDSA", "ES256", "ES384", "RS256", "PS256"]);
    assert_eq!(events(&world, issuer.id).await, [("issuer.proposed".into(), false), ("issuer.activated".into(), true)]);
    assert!(matches!(
        issuers::create_issuer(&world.engine, &world.admin, ask()).await,
        Err(OpError::Taken { what: "url" })
    ));
}

#[tokio::test]
async fn trust_takes_two_administrators() {
    let world = ready().await;
    let other = world.person(Role::Administrator).await;
    let security = world.person(Role::Security).await;
    let engine = &world.engine;
    let ask = NewIssuer { algorithms: vec!["ES256".into(), "Ed25519".into(), "ES256".into()], ..ask() };
    let proposed = issuers::create_issuer(engine, &world.admin, ask).await.unwrap().record;
    assert_eq!((proposed.state, proposed.single_person), (TrustState::Proposed, false));
    assert_eq!(proposed.algorithms, ["ES256", "EdDSA"]);

    assert_eq!(
        reason(issuers::confirm_issuer(engine, &world.admin, proposed.id).await.unwrap_err()),
        Reason::SamePerson
    );
    assert_eq!(reason(issuers::confirm_issuer(engine, &security, proposed.id).await.unwrap_err()), Reason::NotAllowed);
    let confirmed = issuers::confirm_issuer(engine, &other, proposed.id).await.unwrap();
    assert_eq!(
        (confirmed.record.state, confirmed.record.confirmed_by, confirmed.revision),
        (TrustState::Active, other.person_id(), 2)
    );
    assert_eq!(
        reason(issuers::confirm_issuer(engine, &other, proposed.id).await.unwrap_err()),
        Reason::IllegalTransition
    );

    assert_eq!(reason(issuers::remove_issuer(engine, &security, proposed.id).await.unwrap_err()), Reason::NotAllowed);
    assert_eq!(
        issuers::remove_issuer(engine, &world.admin, proposed.id).await.unwrap().record.state,
        TrustState::Removed
    );
    assert_eq!(
        reason(issuers::remove_issuer(engine, &world.admin, proposed.id).await.unwrap_err()),
        Reason::IllegalTransition
    );
    assert_eq!(
        reason(issuers::confirm_issuer(engine, &other, proposed.id).await.unwrap_err()),
        Reason::IllegalTransition
    );
    assert_eq!(
        events(&world, proposed.id).await,
        [("issuer.proposed".into(), false), ("issuer.activated".into(), false), ("issuer.removed".into(), false)]
    );
}

#[tokio::test]
async fn only_an_administrator_causes_a_request() {
    let world = ready().await;
    let owner = world.person(Role::Owner).await;
    assert_eq!(reason(issuers::create_issuer(&world.engine, &owner, ask()).await.unwrap_err()), Reason::NotAllowed);
    assert_eq!(world.web.fetched(), 0);
}

#[tokio::test]
async fn all_wrong_fields_are_named_at_once_and_nothing_is_fetched() {
    let world = ready().await;
    let bad = NewIssuer {
        preset: Preset::Oidc,
        fixed_claims: BTreeMap::new(),
        url: "https://issuer.example.com/#here".into(),
        audience: " ".into(),
        environments: vec!["prod".into(), "nowhere".into()],
        algorithms: vec!["HS256".into(), "none".into(), "RS256".into()],
        required_claims: vec![String::new()],
        token_review: None,
    };
    let found = codes(issuers::create_issuer(&world.engine, &world.admin, bad).await.unwrap_err());
    let fields: Vec<_> = found.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(fields, ["url", "audience", "required_claims", "algorithms[0]", "algorithms[1]", "environments[1]"]);
    assert_eq!(world.web.fetched(), 0);
}

#[tokio::test]
async fn a_discovery_document_that_does_not_fit_is_refused() {
    let world = ready().await;
    for (document, code) in [
        (None, "discovery_failed"),
        (Some("<html>".to_owned()), "discovery_failed"),
        (Some(json!({"issuer": URL}).to_string()), "discovery_failed"),
        (Some(json!({"issuer": URL.trim_end_matches('/'), "jwks_uri": JWKS}).to_string()), "issuer_mismatch"),
        (Some(json!({"issuer": URL, "jwks_uri": "http://127.0.0.1/keys"}).to_string()), "jwks_uri_malformed"),
        (Some(json!({"issuer": URL, "jwks_uri": "file:///etc/passwd"}).to_string()), "jwks_uri_malformed"),
    ] {
        match document {
            Some(document) => world.web.publish(DISCOVERY, &document),
            None => world.web.withdraw(DISCOVERY),
        }
        let error = issuers::create_issuer(&world.engine, &world.admin, ask()).await.unwrap_err();
        assert!(!format!("{error:?}").contains("10.0.0.7"), "{error:?}");
        assert_eq!(codes(error), [("url".to_owned(), code.to_owned())]);
    }
    assert!(world.store.dump().rows.keys().all(|key| key.kind != RowKind::Issuer));
}

#[test]
fn only_https_and_loopback_http_urls_are_taken() {
    for good in [
        "https://a.example",
        "https://a.example/",
        "https://a.example:8443/x/y",
        "https://[2600::1]:443/x",
        "https://10.0.0.1",
        "http://127.0.0.1:8080/x",
        "http://[::1]:80",
        "http://127.8.8.8",
    ] {
        assert!(allowed_url(good, false), "{good}");
    }
    for bad in [
        "",
        "https://",
        "https:///x",
        "https://:443",
        "https://a.example:",
        "https://a.example:0",
        "https://a.example:99999",
        "https://a.example:+1",
        "https://u@a.example",
        "https://u:p@a.example/",
        "https://a.example/#x",
        "https://a.example/?q",
        "https://a.example?q",
        "https://a.example\\x",
        "https://a b.example",
        "https://a.example/\n",
        "https://ä.example",
        "HTTPS://a.example",
        "ftp://a.example",
        "a.example",
        "//a.example",
        "http://a.example",
        "http://localhost:80",
        "http://10.0.0.1",
        "http://127.1",
        "http://[::1",
        "https://[x]:1",
        "https://[::1]x",
        "http://127.0.0.1.evil.example",
    ] {
        assert!(!allowed_url(bad, false), "{bad}");
    }
    assert!(!allowed_url(&format!("https://a.example/{}", "x".repeat(500)), false));
    assert!(allowed_url("https://a.example/keys?p=x", true) && !allowed_url("https://a.example/keys?p=x#y", true));
}

async fn registered(world: &World) -> IssuerView {
    issuers::create_issuer(&world.engine, &world.admin, ask()).await.unwrap().record
}

async fn keys_of(world: &World, issuer: &IssuerView, refetch: bool) -> Result<Arc<JwkSet>, OpError> {
    issuers::keys_at(&world.engine, &issuer.id.to_string(), &issuer.jwks_uri, refetch).await
}

fn kid(keys: &JwkSet) -> &str {
    keys.keys()[0].kid().unwrap()
}

#[tokio::test]
async fn keys_are_fetched_when_they_are_old_or_one_is_missing_but_not_too_often() {
    let world = ready().await;
    let issuer = registered(&world).await;
    let before = world.web.fetched();
    let expect = async |refetch, kid_wanted: &str, fetches: usize| {
        let keys = keys_of(&world, &issuer, refetch).await.unwrap();
        assert_eq!((kid(&keys), world.web.fetched() - before), (kid_wanted, fetches));
    };
    expect(false, "one", 1).await;
    world.web.publish(JWKS, &key("two"));
    expect(false, "one", 1).await;
    // Unknown kids in a row cause one request in 30 s.
    world.clock.advance(Span::from_secs(29));
    expect(true, "one", 1).await;
    world.clock.advance(Span::from_secs(1));
    expect(true, "two", 2).await;
    expect(true, "two", 2).await;
    world.web.publish(JWKS, &key("three"));
    world.clock.advance(Span::from_mins(10));
    expect(false, "three", 3).await;
}

#[tokio::test]
async fn d16_a_key_that_may_be_new_is_no_final_no() {
    let world = ready().await;
    let issuer = registered(&world).await;
    let find = async |wanted: &str| {
        let check = |keys: &JwkSet| if kid(keys) == wanted { Ok(()) } else { Err(()) };
        issuers::check_by_keys(&world.engine, &issuer.id.to_string(), &issuer.jwks_uri, check, |()| true).await
    };
    // Asked for just now, the set has no such key.
    assert!(matches!(find("two").await, Ok(Err(()))));
    world.web.publish(JWKS, &key("two"));
    world.clock.advance(Span::from_secs(5));
    assert!(matches!(find("two").await, Err(OpError::Unavailable(_))));
    world.clock.advance(Span::from_secs(25));
    assert!(matches!(find("two").await, Ok(Ok(()))));
    world.clock.advance(Span::from_secs(1));
    assert!(matches!(find("three").await, Err(OpError::Unavailable(_))));
    world.clock.advance(Span::from_secs(29));
    assert!(matches!(find("three").await, Ok(Err(()))));
}

#[tokio::test]
async fn s13_a_key_set_that_discovery_moves_is_not_followed() {
    let world = ready().await;
    let issuer = registered(&world).await;
    let evil = "https://evil.example.com/keys";
    world.web.publish(DISCOVERY, &json!({"issuer": URL, "jwks_uri": evil}).to_string());
    world.web.publish(evil, &key("evil"));
    for _ in 0..3 {
        world.clock.advance(Span::from_mins(11));
        assert_eq!(kid(&keys_of(&world, &issuer, true).await.unwrap()), "one");
    }
    // Nor when the fixed place is gone: after an hour there are no keys at all.
    world.web.withdraw(JWKS);
    world.clock.advance(Span::from_mins(61));
    assert!(matches!(keys_of(&world, &issuer, true).await, Err(OpError::Unavailable(_))));
}

#[tokio::test]
async fn s13_the_shared_instance_demands_a_tenant_and_ones_own_does_not() {
    let world = ready().await;
    let gitlab = "https://gitlab.example.com";
    world.web.publish(
        &format!("{gitlab}/.well-known/openid-configuration"),
        &json!({"issuer": gitlab, "jwks_uri": JWKS}).to_string(),
    );
    let own = NewIssuer { preset: Preset::Gitlab, url: gitlab.into(), required_claims: Vec::new(), ..ask() };
    // An instance of one's own has no other tenant; the shared one has.
    let issuer = issuers::create_issuer(&world.engine, &world.admin, own.clone()).await.unwrap().record;
    assert_eq!((issuer.preset, issuer.algorithms), (Preset::Gitlab, vec!["RS256".to_owned()]));
    // Nobody gets round a shared issuer's rules by another preset.
    for url in [
        "https://gitlab.com",
        "https://token.actions.githubusercontent.com",
        "https://token.actions.githubusercontent.com/acme",
    ] {
        let plain = NewIssuer { url: url.into(), ..ask() };
        let refused = codes(issuers::create_issuer(&world.engine, &world.admin, plain).await.unwrap_err());
        assert_eq!(refused, [("preset".to_owned(), "preset_wrong".to_owned())], "{url}");
    }
    assert_eq!(Preset::at_shared("https://gitlab.com.example.com"), None);
    for url in ["", "https://gitlab.com", "https://gitlab.com/"] {
        let shared = NewIssuer { url: url.into(), ..own.clone() };
        let refused = codes(issuers::create_issuer(&world.engine, &world.admin, shared).await.unwrap_err());
        assert_eq!(refused, [("fixed_claims".to_owned(), "tenant_claim_missing".to_owned())], "{url}");
    }
}

#[tokio::test]
async fn keys_outlive_an_outage_for_an_hour_and_no_longer() {
    let world = ready().await;
    let issuer = registered(&world).await;
    keys_of(&world, &issuer, false).await.unwrap();
    world.web.publish(JWKS, r#"{"keys":[]}"#);
    let before = world.web.fetched();
    world.clock.advance(Span::from_mins(30));
    for _ in 0..3 {
        assert_eq!(kid(&keys_of(&world, &issuer, false).await.unwrap()), "one");
    }
    assert_eq!(world.web.fetched() - before, 1, "a failure is not repeated at once");
    world.clock.advance(Span::from_mins(30));
    for _ in 0..3 {
        assert!(matches!(keys_of(&world, &issuer, false).await, Err(OpError::Unavailable(_))));
    }
    assert_eq!(world.web.fetched() - before, 2);
    world.web.publish(JWKS, &key("two"));
    world.clock.advance(Span::from_secs(5));
    assert_eq!(kid(&keys_of(&world, &issuer, false).await.unwrap()), "two");
}

#[tokio::test]
async fn many_who_wait_cause_one_request() {
    let world = ready().await;
    let issuer = registered(&world).await;
    let before = world.web.fetched();
    let waiting = (0..50).map(|_| keys_of(&world, &issuer, false));
    assert!(futures_util::future::join_all(waiting).await.into_iter().all(|keys| keys.is_ok()));
    assert_eq!(world.web.fetched() - before, 1);
}
