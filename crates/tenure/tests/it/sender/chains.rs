//! Authority that was handed on, and answers that were waited for, in tokens that are bound to the key of whoever asks
//! (S-14, RFC 8693, RFC 9449, RFC 8705); and actors that a foreign issuer proves.

use super::mutual_tls::{Certificates, aliases, certified};
use super::*;
use crate::agents::{ACCESS_TOKEN, Chain, PLAIN, Part, Party, claims};
use crate::ask_for_more::Agent;
use crate::peers::{AUDIENCE, Provider, oidc_binding, trust};
use crate::world::Store;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const CIBA: &str = "urn:openid:params:grant-type:ciba";
const ALL: &[&str] = &["read", "write", "enforce"];

impl World {
    /// A form to the token endpoint with a proof by this key.
    async fn ask_bound(&self, dpop: &Key, fields: &[(&str, &str)]) -> Answer {
        let url = format!("{}{TOKEN}", self.server.url);
        let proof = proof(dpop, "POST", &url, &self.dpop_nonce().await, None);
        Self::answer(self.http.post(url).header("dpop", proof).form(fields)).await
    }

    /// A decision on reading for whoever shows this token with this key.
    async fn decided(&self, id: &str, token: &str, cnf: Value) -> Answer {
        let mut properties = json!({"access_token": token});
        if !cnf.is_null() {
            properties["cnf"] = cnf;
        }
        self.show(Method::POST, EVALUATION, "Bearer", &self.gateway, &[], Some(self.question(id, properties)))
            .await
            .expect(200)
    }
}

/// A party whose charter wants bound tokens.
async fn constrained(chain: &Chain, name: &str, part: Part<'_>) -> Party {
    let key = Key::new();
    let mut charter = chain.charter(&key, &part);
    charter["sender_constrained"] = json!(true);
    Party { id: chain.world.active(name, charter).await, key }
}

/// The form by which a party that a key of its own proves takes up what a token hands on.
fn taken_up<'a>(assertion: &'a str, subject_token: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut form =
        vec![("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion), ("grant_type", EXCHANGE)];
    form.extend([("subject_token", subject_token), ("subject_token_type", ACCESS_TOKEN)]);
    form.extend_from_slice(more);
    form
}

fn jkt(key: &Key) -> Value {
    json!({"jkt": thumbprint(key)})
}

on_one! {
    async fn s14_a_derived_token_is_bound_to_its_actors_key(world: World) {
        let chain = Chain::new(world).await;
        let world = &chain.world;
        let actor = constrained(&chain, "actor", Part { actions: ALL, ..PLAIN }).await;
        let delegates: &[(&str, &[&str], u8)] = &[(&actor.id, ALL, 0)];
        let subject = constrained(&chain, "subject", Part { actions: ALL, delegates, ..PLAIN }).await;
        let (of_subject, of_actor) = (Key::new(), Key::new());
        // What names its actor serves that one alone, and is bound by that: it is handed over, so that no key of the
        // subject's goes with it.
        let assertion = subject.key.assertion(&subject.id, &world.issuer("production"));
        let details = crate::agents::delegation(&actor.id, &[], None).to_string();
        let form = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &assertion), ("grant_type", "client_credentials"), ("authorization_details", &details)];
        let handed = world.ask_bound(&of_subject, &form).await.expect(200);
        let token = handed.text("/access_token");
        assert_eq!((handed.text("/token_type"), claims(&token).get("cnf"), &claims(&token)["may_act"]), ("Bearer".into(), None, &json!({"sub": actor.id})));

        let bearer = chain.exchange(&actor, &token, &[("scope", "read")]).await.expect(400);
        assert_eq!(bearer.code(), "sender_constraint_needed");
        assert_eq!(world.refused(&actor.id, "sender_constraint_needed").await, 1);
        let assertion = actor.key.assertion(&actor.id, &world.issuer("production"));
        let derived = world.ask_bound(&of_actor, &taken_up(&assertion, &token, &[("scope", "read")])).await.expect(200);
        assert_eq!((derived.text("/token_type"), derived.text("/issued_token_type")), ("DPoP".into(), ACCESS_TOKEN.into()));
        let derived = derived.text("/access_token");
        let said = claims(&derived);
        assert_eq!((&said["sub"], &said["client_id"], &said["act"]["sub"], &said["cnf"]), (&json!(subject.id), &json!(actor.id), &json!(actor.id), &jkt(&of_actor)));
        let told = world.form(&world.gateway, INTROSPECT, &[("token", &derived)]).await.expect(200);
        assert_eq!((&told.body["active"], told.text("/token_type"), &told.body["cnf"], &told.body["act"]["sub"]), (&json!(true), "DPoP".into(), &jkt(&of_actor), &json!(actor.id)));
        // Neither stolen, nor in the subject's own hands, is it good for anything.
        assert_eq!(world.decided(&actor.id, &derived, jkt(&of_actor)).await.body["decision"], json!(true));
        for cnf in [Value::Null, jkt(&of_subject), jkt(&actor.key)] {
            let answer = world.decided(&actor.id, &derived, cnf).await;
            assert_eq!((&answer.body["decision"], answer.code()), (&json!(false), "token_bound".into()));
        }
        // At Tenure itself as anywhere.
        let assertion = actor.key.assertion(&actor.id, &world.issuer("production"));
        let enforcing = world.ask_bound(&of_actor, &taken_up(&assertion, &token, &[("scope", "enforce")])).await.expect(200).text("/access_token");
        assert_eq!(world.show_bound(Method::POST, INTROSPECT, &enforcing, &of_actor, about(&world.gateway)).await.expect(200).body["active"], json!(true));
        let stolen = world.show(Method::POST, INTROSPECT, "Bearer", &enforcing, &[], about(&world.gateway)).await.expect(401);
        assert_eq!(stolen.code(), "token_bound");
        assert!(header(&stolen, "www-authenticate").starts_with(r#"DPoP error="invalid_token""#));
        world.show_bound(Method::POST, INTROSPECT, &enforcing, &of_subject, about(&world.gateway)).await.expect(401);
        // It dies with what it derives from.
        world.revoke("credential", &handed.text("/credential")).await.expect(201);
        assert!(!world.is_live(&derived).await);
        assert_eq!(world.decided(&actor.id, &derived, jkt(&of_actor)).await.code(), "parent_ended");
    }

    async fn s14_one_link_that_wants_bound_tokens_is_enough(world: World) {
        let chain = Chain::new(world).await;
        let world = &chain.world;
        // The first of three wants them: so it is for the second and the third, who want nothing of themselves.
        let c = chain.party("c", PLAIN).await;
        let b = chain.party("b", Part { delegates: &[(&c.id, &["read"], 0)], ..PLAIN }).await;
        let delegates: &[(&str, &[&str], u8)] = &[(&b.id, &["read"], 1)];
        let a = constrained(&chain, "a", Part { delegates, ..PLAIN }).await;
        let first = chain.delegate(&a, &b.id, &[], None).await.expect(200).text("/access_token");
        let second = chain.onward(&b, &first, &c.id, &[], None).await.expect(200).text("/access_token");
        for (party, token) in [(&b, &first), (&c, &second)] {
            assert_eq!(chain.exchange(party, token, &[]).await.expect(400).code(), "sender_constraint_needed");
            let own = Key::new();
            let assertion = party.key.assertion(&party.id, &world.issuer("production"));
            let derived = world.ask_bound(&own, &taken_up(&assertion, token, &[])).await.expect(200).text("/access_token");
            assert_eq!((&claims(&derived)["sub"], &claims(&derived)["cnf"]), (&json!(a.id), &jkt(&own)));
            assert_eq!(world.decided(&party.id, &derived, jkt(&own)).await.body["decision"], json!(true));
        }
        // Their own tokens are theirs to choose.
        assert_eq!(chain.ask(&c, &[("grant_type", "client_credentials"), ("resource", ORDERS)]).await.expect(200).text("/token_type"), "Bearer");
    }

    async fn s14_an_actor_that_a_foreign_issuer_proves_takes_up_a_delegation(world: World) {
        let provider = Provider::start("ES256", "first");
        trust(&world, &provider).await;
        let chain = Chain::new(world).await;
        let world = &chain.world;
        let mut charter = chain.charter(&Key::new(), &PLAIN);
        charter["workload_binding"] = oidc_binding(&provider, 0);
        let actor = world.active("foreign", charter).await;
        let subject = chain.party("subject", Part { delegates: &[(&actor, &["read"], 0)], ..PLAIN }).await;
        let token = chain.delegate(&subject, &actor, &[], None).await.expect(200).text("/access_token");
        let form = |assertion: &str| {
            let fields = [("client_id", actor.as_str())].into_iter().chain(taken_up(assertion, &token, &[]));
            fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>()
        };
        let ask = async |assertion: &str| World::answer(world.http.post(format!("{}{TOKEN}", world.server.url)).form(&form(assertion))).await;
        // Another workload's token, another tenant's, and one for another audience prove nobody.
        for assertion in [provider.token(1, "blue", AUDIENCE).await, provider.token(0, "green", AUDIENCE).await, provider.token(0, "blue", "https://other.example").await] {
            assert_eq!(ask(&assertion).await.expect(401).text("/error"), "invalid_client");
        }
        let proof = provider.token(0, "blue", AUDIENCE).await;
        let derived = ask(&proof).await.expect(200);
        let said = claims(&derived.text("/access_token"));
        assert_eq!((&said["sub"], &said["act"]["sub"], derived.text("/scope")), (&json!(subject.id), &json!(actor), "read".into()));
        assert_eq!(world.events_of("credential.issued", &derived.text("/credential")).await[0]["data"]["method"], "jwt_bearer");
        assert_eq!(ask(&proof).await.expect(401).code(), "proof_replayed");
        // With a key for it, its token is bound to that.
        let (own, proof) = (Key::new(), provider.token(0, "blue", AUDIENCE).await);
        let form = form(&proof);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let bound = world.ask_bound(&own, &form).await.expect(200).text("/access_token");
        assert_eq!(claims(&bound)["cnf"], jkt(&own));
        // Once the issuer doesn't count any more, neither does the actor.
        let issuers = world.get(&world.admin, "/v1/issuers").await.expect(200);
        world.post(&world.admin, &format!("/v1/issuers/{}/remove", issuers.text("/items/0/id")), json!({})).await.expect(200);
        assert_eq!(ask(&provider.token(0, "blue", AUDIENCE).await).await.expect(401).text("/error"), "invalid_client");
    }

    async fn r56_the_token_of_an_answer_is_bound_to_who_fetches_it(world: World) {
        let agent = Agent::new(&world, "bound-agent", json!({"sender_constrained": true})).await;
        let asked = agent.ask(&world, 600, "refund of order 12", &[]).await.expect(200);
        let auth_req_id = asked.text("/auth_req_id");
        let dpop = Key::new();
        let fetch = async || {
            let assertion = agent.key.assertion(&agent.id, &world.issuer("production"));
            let form = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &assertion), ("grant_type", CIBA), ("auth_req_id", &auth_req_id)];
            world.ask_bound(&dpop, &form).await
        };
        assert_eq!(fetch().await.expect(400).text("/error"), "authorization_pending");
        world.approve(&world.manager, &asked.text("/request")).await.expect(200);
        // A bearer token is none that its charter takes, and the answer is still there for who comes with a key.
        assert_eq!(agent.fetch(&world, &auth_req_id).await.expect(400).code(), "sender_constraint_needed");
        let given = fetch().await.expect(200);
        let token = given.text("/access_token");
        assert_eq!((given.text("/token_type"), &claims(&token)["cnf"]), ("DPoP".into(), &jkt(&dpop)));
        let decided = async |cnf: Value| {
            let properties = json!({"access_token": token, "cnf": cnf});
            let body = json!({"subject": {"type": "identity", "id": agent.id, "properties": properties}, "resource": {"type": "database", "id": world.orders}, "action": {"name": "write"}});
            world.post(&world.gateway, EVALUATION, body).await.expect(200)
        };
        assert_eq!(decided(jkt(&dpop)).await.body["decision"], json!(true));
        assert_eq!(decided(jkt(&agent.key)).await.code(), "token_bound");
        assert_eq!(fetch().await.expect(400).text("/error"), "invalid_grant");
    }
}

async fn exchanged_over_certificates(store: Store) {
    let certificates = Certificates::new();
    let chain = Chain::new(certificates.world_on(store).await).await;
    let world = &chain.world;
    let aliases = aliases(world).await;
    let (endpoint, introspection) =
        (aliases["token_endpoint"].as_str().unwrap(), aliases["introspection_endpoint"].as_str().unwrap());
    let mut charter = certified(world, &certificates.self_signed("actor"));
    charter["scope"] = json!([{"actions": ALL, "resource": world.orders}]);
    charter["sender_constrained"] = json!(true);
    let actor = world.active("actor", charter).await;
    let delegates: &[(&str, &[&str], u8)] = &[(&actor, ALL, 0)];
    let subject = chain.party("subject", Part { actions: ALL, delegates, ..PLAIN }).await;
    let token = chain.delegate(&subject, &actor, &[], None).await.expect(200).text("/access_token");
    certificates.self_signed("thief");
    let exchange = async |certificate: Option<&str>, scope: &str| {
        let form = [
            format!("grant_type={EXCHANGE}"),
            format!("client_id={actor}"),
            format!("subject_token={token}"),
            format!("subject_token_type={ACCESS_TOKEN}"),
            format!("scope={scope}"),
        ];
        certificates.curl(endpoint, certificate, &[], &form.each_ref().map(String::as_str)).await
    };
    for other in [Some("thief"), None] {
        let (status, body, _) = exchange(other, "read").await;
        assert_eq!((status, &body["error"]), (401, &json!("invalid_client")), "{body}");
    }
    let (status, issued, _) = exchange(Some("actor"), "read").await;
    assert_eq!((status, &issued["token_type"]), (200, &json!("Bearer")), "{issued}");
    let derived = issued["access_token"].as_str().unwrap();
    let cnf = json!({"x5t#S256": certificates.thumbprint("actor")});
    let said = claims(derived);
    assert_eq!((&said["sub"], &said["act"]["sub"], &said["cnf"]), (&json!(subject.id), &json!(actor), &cnf));
    assert_eq!(world.decided(&actor, derived, cnf.clone()).await.body["decision"], json!(true));
    for other in [Value::Null, json!({"x5t#S256": certificates.thumbprint("thief")})] {
        assert_eq!(world.decided(&actor, derived, other).await.code(), "token_bound");
    }
    // As an enforcement point, over its own connection and over no other.
    let (_, issued, _) = exchange(Some("actor"), "enforce").await;
    let bearer = format!("authorization: Bearer {}", issued["access_token"].as_str().unwrap());
    let about = format!("token={derived}");
    let (status, told, _) = certificates.curl(introspection, Some("actor"), &[&bearer], &[&about]).await;
    assert_eq!((status, &told["active"], &told["cnf"]), (200, &json!(true), &cnf));
    for other in [Some("thief"), None] {
        let (status, body, head) = certificates.curl(introspection, other, &[&bearer], &[&about]).await;
        assert_eq!((status, &body["reason_code"]), (401, &json!("token_bound")), "{body}");
        assert!(head.contains(r#"www-authenticate: bearer error="invalid_token""#), "{head}");
    }
}

mod s14_a_derived_token_is_bound_to_its_actors_certificate {
    use super::*;
    #[tokio::test]
    async fn sqlite() {
        exchanged_over_certificates(Store::Sqlite).await;
    }
    #[tokio::test]
    #[ignore = "long: the second engine"]
    async fn postgres() {
        exchanged_over_certificates(Store::Postgres).await;
    }
}
