//! Attacks on delegation (S-14): authority = subject ∩ actor ∩ delegation grant ∩ intent, and it dies with every link.

use serde_json::{Value, json};

use crate::agents::{ACCESS_TOKEN, Chain, PLAIN, Part, Party, claims, delegation, task};
use crate::on_one;
use crate::world::{Answer, Key, ORDERS, World, assertion_claims};

/// A subject and an actor that it names for reading and writing, and the token by which it does.
struct Pair {
    subject: Party,
    actor: Party,
    token: String,
}

async fn pair(chain: &Chain, name: &str) -> Pair {
    let actor = chain.party(&format!("{name}-actor"), PLAIN).await;
    let delegates: &[(&str, &[&str], u8)] = &[(&actor.id, &["read", "write"], 0)];
    let subject = chain.party(&format!("{name}-subject"), Part { delegates, ..PLAIN }).await;
    let token = chain.delegate(&subject, &actor.id, &[], None).await.expect(200).text("/access_token");
    Pair { subject, actor, token }
}

/// A, B and C; what A and B hand on, and what B and C hold by it.
struct Three {
    parties: [Party; 3],
    handed: [(String, String); 2],
    derived: [String; 2],
    /// By which C asks Tenure as an enforcement point.
    enforcing: String,
}

async fn three(chain: &Chain, name: &str) -> Three {
    let all: &[&str] = &["read", "write", "enforce"];
    let c = chain.party(&format!("{name}-c"), Part { actions: all, ..PLAIN }).await;
    let b = Part { actions: all, delegates: &[(&c.id, all, 0)], ..PLAIN };
    let b = chain.party(&format!("{name}-b"), b).await;
    let a = Part { actions: all, delegates: &[(&b.id, all, 1)], ..PLAIN };
    let a = chain.party(&format!("{name}-a"), a).await;
    let first = chain.delegate(&a, &b.id, &[], None).await.expect(200);
    let first = (first.text("/access_token"), first.text("/credential"));
    let second = chain.onward(&b, &first.0, &c.id, &[], None).await.expect(200);
    let second = (second.text("/access_token"), second.text("/credential"));
    let read = [("scope", "read")];
    let derived = [
        chain.exchange(&b, &first.0, &read).await.expect(200).text("/access_token"),
        chain.exchange(&c, &second.0, &read).await.expect(200).text("/access_token"),
    ];
    let enforcing = chain.exchange(&c, &second.0, &[("scope", "enforce")]).await.expect(200).text("/access_token");
    Three { parties: [a, b, c], handed: [first, second], derived, enforcing }
}

impl Three {
    /// Where C's token still opens a door: introspection, a decision, Tenure itself.
    async fn open(&self, chain: &Chain) -> [bool; 3] {
        let world = &chain.world;
        let asked = world.form(&self.enforcing, "/env/production/introspect", &[("token", &world.gateway)]).await;
        [
            world.is_live(&self.derived[1]).await,
            chain.decide(&self.parties[2].id, Some(&self.derived[1]), "read", None).await.body["decision"]
                == json!(true),
            asked.status == 200,
        ]
    }
}

/// An exchange that is refused, and by which error and reason.
fn refusal(answer: Answer) -> (String, String) {
    let answer = answer.expect(400);
    (answer.text("/error"), answer.code())
}

fn invalid(reason: &str) -> (String, String) {
    ("invalid_request".to_owned(), reason.to_owned())
}

async fn grant_on_orders(world: &World, id: &str) -> String {
    let access =
        world.get(&world.auditor, &format!("/v1/identities/{id}/access")).await.expect(200).body["access"].take();
    let on_orders = |access: &&Value| access["entitlement"]["resource"] == json!(world.orders);
    access.as_array().unwrap().iter().find(on_orders).unwrap()["grant"].as_str().unwrap().to_owned()
}

on_one! {
    async fn s14_only_the_named_actor_takes_up_a_delegation(world: World) {
        let chain = Chain::new(world).await;
        let pair = pair(&chain, "p").await;
        let other = chain.party("other", PLAIN).await;
        assert_eq!(refusal(chain.exchange(&other, &pair.token, &[]).await), invalid("delegation_not_allowed"));
        assert_eq!(refusal(chain.exchange(&pair.subject, &pair.token, &[]).await), invalid("delegation_not_allowed"));
        assert_eq!(chain.refused(&other.id, "delegation_not_allowed").await.len(), 1);
        let got = chain.exchange(&pair.actor, &pair.token, &[]).await.expect(200);
        assert_eq!(got.text("/scope"), "read write");
        // Nor does the actor without a proof of its own.
        let form = [("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"), ("subject_token", pair.token.as_str()), ("subject_token_type", ACCESS_TOKEN)];
        assert_eq!(chain.world.form("", "/env/production/token", &form).await.expect(401).text("/error"), "invalid_client");
    }

    async fn s14_a_subject_token_is_addressed_to_tenure_and_names_an_actor(world: World) {
        let chain = Chain::new(world).await;
        let pair = pair(&chain, "p").await;
        // A token for a resource; one for Tenure that names nobody; the derived one itself; a person's; nobody's.
        let ordinary = chain.ask(&pair.subject, &[("grant_type", "client_credentials"), ("resource", ORDERS)]).await.expect(200).text("/access_token");
        let issuer = chain.world.issuer("production");
        let unnamed = chain.ask(&pair.subject, &[("grant_type", "client_credentials"), ("resource", &issuer)]).await.expect(200).text("/access_token");
        let derived = chain.exchange(&pair.actor, &pair.token, &[]).await.expect(200).text("/access_token");
        for token in [&ordinary, &unnamed, &derived] {
            assert_eq!(refusal(chain.exchange(&pair.actor, token, &[]).await), invalid("delegation_not_allowed"));
        }
        let mut forged = pair.token.clone();
        forged.replace_range(forged.len() - 4.., "AAAA");
        for token in [&chain.world.owner, "nothing", &forged] {
            assert_eq!(refusal(chain.exchange(&pair.actor, token, &[]).await), invalid("credential_unknown"));
        }
        let typed = async |kind| chain.ask(&pair.actor, &[("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"), ("subject_token", &pair.token), ("subject_token_type", kind)]).await;
        for kind in ["urn:ietf:params:oauth:token-type:id_token", "urn:ietf:params:oauth:token-type:jwt"] {
            assert_eq!(typed(kind).await.expect(400).text("/error"), "invalid_request");
        }
        for extra in [("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"), ("actor_token", ordinary.as_str())] {
            assert_eq!(chain.exchange(&pair.actor, &pair.token, &[extra]).await.expect(400).text("/error"), "invalid_request");
        }
        // Another resource than the one that was handed on.
        for (field, value) in [("resource", "https://payroll.internal"), ("audience", ORDERS)] {
            assert_eq!(chain.exchange(&pair.actor, &pair.token, &[(field, value)]).await.expect(400).text("/error"), "invalid_target");
        }
        chain.exchange(&pair.actor, &pair.token, &[("resource", ORDERS)]).await.expect(200);
    }

    async fn s14_what_hands_authority_on_is_good_for_nothing_else(world: World) {
        let mut chain = Chain::new(world).await;
        // Tenure by its public URL, as its management API goes by.
        let body = json!({"uri": chain.world.server.url, "type": "tenure", "actions": ["delegate", "read", "enforce"], "application": chain.world.edge, "environment": "production", "verification": "online"});
        chain.tenure = chain.world.post(&chain.world.admin, "/v1/resources", body).await.expect(201).text("/id");
        let pair = pair(&chain, "p").await;
        let derived = chain.exchange(&pair.actor, &pair.token, &[]).await.expect(200).text("/access_token");
        for token in [&pair.token, &derived] {
            for path in ["/v1/identities", "/v1/people", "/v1/requests"] {
                let answer = chain.world.get(token, path).await;
                assert_eq!((answer.status, answer.code().as_str()), (403, "delegation_not_allowed"), "{path}: {}", answer.body);
            }
            assert_ne!(chain.world.form(token, "/env/production/introspect", &[("token", &pair.token)]).await.status, 200);
        }
        assert_eq!(chain.refused(&pair.subject.id, "delegation_not_allowed").await.len(), 3);
        // It shows nothing at the resource either.
        assert!(!chain.world.is_live(&pair.token).await);
        assert_eq!(chain.decide(&pair.subject.id, Some(&pair.token), "read", None).await.body["decision"], json!(false));
        // And asks for nothing beside it.
        let details = delegation(&pair.actor.id, &["read"], None);
        assert_eq!(chain.own(&pair.subject, &details, &[("scope", "delegate read")]).await.expect(400).text("/error"), "invalid_scope");
        assert_eq!(chain.own(&pair.subject, &details, &[("resource", ORDERS)]).await.expect(400).text("/error"), "invalid_target");
    }

    async fn s14_an_actor_outside_the_delegates_gets_nothing(world: World) {
        let chain = Chain::new(world).await;
        let pair = pair(&chain, "p").await;
        let other = chain.party("other", PLAIN).await;
        assert_eq!(refusal(chain.delegate(&pair.subject, &other.id, &[], None).await), invalid("delegation_not_allowed"));
        assert_eq!(refusal(chain.delegate(&pair.subject, &pair.subject.id, &[], None).await), invalid("delegation_not_allowed"));
        // Without the right to delegate, a delegate in the charter is worth nothing.
        assert_eq!(chain.delegate(&other, &pair.actor.id, &[], None).await.expect(400).text("/error"), "invalid_target");
        // A charter names only whom it may: others of its environment that have not ended, not itself, and inside its
        // scope.
        let staging = chain.world.resource("https://orders.staging", "staging", "online").await;
        let mut charter = chain.charter(&Key::new(), &PLAIN);
        charter["environment"] = json!("staging");
        charter["scope"] = json!([{"actions": ["read"], "resource": staging}]);
        let elsewhere = chain.world.active("elsewhere", charter).await;
        let gone = chain.party("gone", PLAIN).await;
        chain.world.post(&chain.world.owner, &format!("/v1/identities/{}/retire", gone.id), json!({"reason": "done"})).await.expect(200);
        for (actor, code) in [(&elsewhere, "wrong_environment"), (&gone.id, "identity_retired"), (&other.id.replace(char::is_numeric, "7"), "identity_unknown")] {
            let charter = chain.charter(&Key::new(), &Part { delegates: &[(actor, &["read"], 0)], ..PLAIN });
            assert_eq!(chain.world.register("x", charter, "pending").await.expect(422).field_codes(), [code]);
        }
        let path = format!("/v1/identities/{}", other.id);
        let mut charter = chain.world.get(&chain.world.owner, &path).await.expect(200).body["charter"].take();
        charter["delegates"] = json!([{"actor": other.id, "scope": charter["scope"]}]);
        let asked = chain.world.ask(&chain.world.owner, json!({"type": "charter", "identity": other.id, "charter": charter}), "why not").await;
        assert_eq!(asked.expect(422).field_codes(), ["delegate_is_self"]);
        assert_eq!(chain.change(&other.id, |new| *new = charter.clone()).await.expect(422).field_codes(), ["delegate_is_self"]);
    }

    async fn s14_no_action_beyond_the_subjects_own(world: World) {
        let chain = Chain::new(world).await;
        let actor = chain.party("actor", PLAIN).await;
        let subject = chain.party("subject", Part { actions: &["read"], delegates: &[(&actor.id, &["read"], 0)], ..PLAIN }).await;
        assert_eq!(refusal(chain.delegate(&subject, &actor.id, &["write"], None).await), ("invalid_scope".into(), "outside_scope".into()));
        let token = chain.delegate(&subject, &actor.id, &[], None).await.expect(200).text("/access_token");
        assert_eq!(chain.exchange(&actor, &token, &[("scope", "write")]).await.expect(400).code(), "delegation_not_allowed");
        // The actor's own authority is unlike the subject's: it doesn't fill what the subject lacks.
        let got = chain.exchange(&actor, &token, &[]).await.expect(200);
        assert_eq!(got.text("/scope"), "read");
        assert_eq!(chain.decide(&actor.id, Some(&got.text("/access_token")), "write", None).await.body["decision"], json!(false));
    }

    async fn s14_no_action_beyond_the_actors_own(world: World) {
        let chain = Chain::new(world).await;
        let actor = chain.party("actor", Part { actions: &["read"], ..PLAIN }).await;
        let subject = chain.party("subject", Part { delegates: &[(&actor.id, &["read", "write"], 0)], ..PLAIN }).await;
        let token = chain.delegate(&subject, &actor.id, &[], None).await.expect(200).text("/access_token");
        assert_eq!(refusal(chain.exchange(&actor, &token, &[("scope", "write")]).await), ("invalid_scope".into(), "outside_scope".into()));
        assert_eq!(chain.exchange(&actor, &token, &[]).await.expect(200).text("/scope"), "read");
    }

    async fn s14_no_action_beyond_the_delegation_grant(world: World) {
        let chain = Chain::new(world).await;
        let actor = chain.party("actor", PLAIN).await;
        let subject = chain.party("subject", Part { delegates: &[(&actor.id, &["read"], 0)], ..PLAIN }).await;
        assert_eq!(refusal(chain.delegate(&subject, &actor.id, &["read", "write"], None).await), invalid("delegation_not_allowed"));
        let token = chain.delegate(&subject, &actor.id, &[], None).await.expect(200).text("/access_token");
        assert_eq!(chain.exchange(&actor, &token, &[]).await.expect(200).text("/scope"), "read");
    }

    async fn s14_no_action_beyond_the_subject_token(world: World) {
        let chain = Chain::new(world).await;
        let pair = pair(&chain, "p").await;
        let token = chain.delegate(&pair.subject, &pair.actor.id, &["read"], None).await.expect(200).text("/access_token");
        assert_eq!(refusal(chain.exchange(&pair.actor, &token, &[("scope", "write")]).await), invalid("delegation_not_allowed"));
        assert_eq!(chain.exchange(&pair.actor, &token, &[("scope", "read write")]).await.expect(200).text("/scope"), "read");
        assert_eq!(chain.exchange(&pair.actor, &token, &[]).await.expect(200).text("/scope"), "read");
    }

    async fn s14_no_action_beyond_the_tasks_of_either(world: World) {
        let chain = Chain::new(world).await;
        let tasks: &[(&str, &[&str])] = &[("look", &["read"]), ("fix", &["read", "write"])];
        let actor = chain.party("actor", Part { kind: "agent", tasks, ..PLAIN }).await;
        let subject = Part { kind: "agent", tasks, delegates: &[(&actor.id, &["read", "write"], 0)], ..PLAIN };
        let subject = chain.party("subject", subject).await;
        let intent = |reason: &str| ("invalid_authorization_details".to_owned(), reason.to_owned());
        assert_eq!(refusal(chain.delegate(&subject, &actor.id, &[], None).await), intent("intent_missing"));
        assert_eq!(refusal(chain.delegate(&subject, &actor.id, &[], Some("rob")).await), intent("outside_intent"));
        assert_eq!(refusal(chain.delegate(&subject, &actor.id, &["write"], Some("look")).await), intent("outside_intent"));
        let token = async |task| chain.delegate(&subject, &actor.id, &[], Some(task)).await.expect(200).text("/access_token");
        let (look, fix) = (token("look").await, token("fix").await);
        let with = async |token: &str, name: &str, fields: &[(&str, &str)]| {
            let details = task(name).to_string();
            chain.exchange(&actor, token, &[&[("authorization_details", details.as_str())], fields].concat()).await
        };
        assert_eq!(refusal(chain.exchange(&actor, &look, &[]).await), intent("intent_missing"));
        // A wider task of the actor's own doesn't widen the subject's, nor the reverse.
        assert_eq!(with(&look, "fix", &[]).await.expect(200).text("/scope"), "read");
        assert_eq!(refusal(with(&look, "fix", &[("scope", "write")]).await), invalid("delegation_not_allowed"));
        assert_eq!(with(&fix, "look", &[]).await.expect(200).text("/scope"), "read");
        assert_eq!(refusal(with(&fix, "look", &[("scope", "write")]).await), intent("outside_intent"));
        assert_eq!(refusal(with(&fix, "rob", &[]).await), intent("outside_intent"));
        let got = with(&fix, "fix", &[]).await.expect(200);
        assert_eq!(got.text("/scope"), "read write");
        // Once the subject's task is dropped, what was derived for it is over.
        let derived = got.text("/access_token");
        assert!(chain.world.is_live(&derived).await);
        chain.change(&subject.id, |charter| { charter["tasks"].as_array_mut().unwrap().remove(1); }).await.expect(200);
        assert!(!chain.world.is_live(&derived).await);
        assert_eq!(chain.decide(&actor.id, Some(&derived), "read", None).await.code(), "parent_ended");
    }

    async fn s14_nothing_outlives_the_shortest_parent(world: World) {
        world.hold();
        let chain = Chain::new(world).await;
        let actor = chain.party("actor", PLAIN).await;
        let key = Key::new();
        let mut charter = chain.charter(&key, &Part { delegates: &[(&actor.id, &["read"], 0)], ..PLAIN });
        charter["credential_ttl"] = json!("10s");
        let subject = Party { id: chain.world.active("subject", charter).await, key };
        let token = chain.delegate(&subject, &actor.id, &[], None).await.expect(200).text("/access_token");
        let derived = chain.exchange(&actor, &token, &[]).await.expect(200).text("/access_token");
        assert!(claims(&derived)["exp"].as_i64().unwrap() <= claims(&token)["exp"].as_i64().unwrap());
        assert!(chain.world.is_live(&derived).await);
        chain.world.pass(10).await;
        chain.world.until(async || !chain.world.is_live(&derived).await).await;
        assert_eq!(refusal(chain.exchange(&actor, &token, &[]).await).0, "invalid_request");
    }

    async fn s14_authority_is_handed_on_four_times_at_most(world: World) {
        let chain = Chain::new(world).await;
        let mut parties = vec![chain.party("last", PLAIN).await];
        for n in 0..5u8 {
            let delegates = [(parties[0].id.clone(), &["read"][..], n.min(3))];
            let delegates: Vec<(&str, &[&str], u8)> = delegates.iter().map(|(id, actions, onward)| (id.as_str(), *actions, *onward)).collect();
            let party = chain.party(&format!("link-{n}"), Part { delegates: &delegates, ..PLAIN }).await;
            parties.insert(0, party);
        }
        let mut token = chain.delegate(&parties[0], &parties[1].id, &[], None).await.expect(200).text("/access_token");
        for n in 1..4 {
            token = chain.onward(&parties[n], &token, &parties[n + 1].id, &[], None).await.expect(200).text("/access_token");
        }
        let fourth = chain.exchange(&parties[4], &token, &[]).await.expect(200).text("/access_token");
        assert!(chain.world.is_live(&fourth).await);
        assert_eq!(refusal(chain.onward(&parties[4], &token, &parties[5].id, &[], None).await), invalid("delegation_too_deep"));
    }

    async fn s14_agents_hand_authority_on_twice_at_most(world: World) {
        let chain = Chain::new(world).await;
        let tasks: &[(&str, &[&str])] = &[("t", &["read"])];
        let d = chain.party("d", PLAIN).await;
        let c = chain.party("c", Part { delegates: &[(&d.id, &["read"], 0)], ..PLAIN }).await;
        let b = chain.party("b", Part { delegates: &[(&c.id, &["read"], 1)], ..PLAIN }).await;
        let a = chain.party("a", Part { kind: "agent", tasks, delegates: &[(&b.id, &["read"], 2)], ..PLAIN }).await;
        let first = chain.delegate(&a, &b.id, &[], Some("t")).await.expect(200).text("/access_token");
        let second = chain.onward(&b, &first, &c.id, &[], None).await.expect(200).text("/access_token");
        let third = chain.onward(&c, &second, &d.id, &[], None).await.expect(200).text("/access_token");
        assert!(chain.world.is_live(&chain.exchange(&c, &second, &[]).await.expect(200).text("/access_token")).await);
        let refused = chain.exchange(&d, &third, &[]).await.expect(403);
        assert_eq!((refused.code(), &refused.body["policies"]), ("policy_denied".into(), &json!(["delegated-too-far"])));
    }

    async fn s14_authority_goes_no_further_than_the_grant_says_and_never_in_a_circle(world: World) {
        let chain = Chain::new(world).await;
        let c = chain.party("c", PLAIN).await;
        let b = chain.party("b", Part { delegates: &[(&c.id, &["read"], 3)], ..PLAIN }).await;
        // A lets B act, but not hand on; whatever B's own charter says.
        let a = chain.party("a", Part { delegates: &[(&b.id, &["read"], 0)], ..PLAIN }).await;
        let first = chain.delegate(&a, &b.id, &[], None).await.expect(200).text("/access_token");
        assert_eq!(refusal(chain.onward(&b, &first, &c.id, &[], None).await), invalid("delegation_too_deep"));
        // X and Y name each other; X comes to nothing through Y.
        let y = chain.party("y", Part { delegates: &[(&c.id, &["read"], 3)], ..PLAIN }).await;
        let x = chain.party("x", Part { delegates: &[(&y.id, &["read"], 3)], ..PLAIN }).await;
        let path = format!("/v1/identities/{}", y.id);
        let mut charter = chain.world.get(&chain.world.owner, &path).await.expect(200).body["charter"].take();
        charter["delegates"].as_array_mut().unwrap().push(json!({"actor": x.id, "scope": [{"actions": ["read"], "resource": chain.world.orders}], "onward": 3}));
        let request = chain.world.ask(&chain.world.owner, json!({"type": "charter", "identity": y.id, "charter": charter}), "both ways").await.expect(201).text("/id");
        chain.world.approve(&chain.world.manager, &request).await.expect(200);
        let first = chain.delegate(&x, &y.id, &[], None).await.expect(200).text("/access_token");
        assert_eq!(refusal(chain.onward(&y, &first, &x.id, &[], None).await), invalid("delegation_not_allowed"));
        let second = chain.onward(&y, &first, &c.id, &[], None).await.expect(200).text("/access_token");
        chain.exchange(&c, &second, &[]).await.expect(200);
    }

    async fn s14_the_end_of_any_link_ends_what_derives_from_it(world: World) {
        let chain = Chain::new(world).await;
        let w = &chain.world;
        let untouched = three(&chain, "z").await;
        for (n, ending) in ["revoke-first", "revoke-second", "revoke-subject", "suspend-subject", "suspend-middle", "retire-subject", "retire-middle",
            "grant-subject", "grant-middle", "delegate-subject", "delegate-middle", "onward-subject", "scope-subject", "right-to-delegate"].into_iter().enumerate() {
            let three = three(&chain, &format!("t{n}")).await;
            assert_eq!(three.open(&chain).await, [true; 3], "{ending}");
            let [a, b, c] = &three.parties;
            let (reason, read) = (json!({"reason": "test"}), json!([{"actions": ["write"], "resource": w.orders}]));
            match ending {
                "revoke-first" => drop(w.revoke("credential", &three.handed[0].1).await.expect(201)),
                "revoke-second" => drop(w.revoke("credential", &three.handed[1].1).await.expect(201)),
                "revoke-subject" => drop(w.revoke("identity", &a.id).await.expect(201)),
                "suspend-subject" => drop(w.post(&w.security, &format!("/v1/identities/{}/suspend", a.id), reason).await.expect(200)),
                "suspend-middle" => drop(w.post(&w.security, &format!("/v1/identities/{}/suspend", b.id), reason).await.expect(200)),
                "retire-subject" => drop(w.post(&w.owner, &format!("/v1/identities/{}/retire", a.id), reason).await.expect(200)),
                "retire-middle" => drop(w.post(&w.owner, &format!("/v1/identities/{}/retire", b.id), reason).await.expect(200)),
                "grant-subject" => drop(w.post(&w.security, &format!("/v1/grants/{}/revoke", grant_on_orders(w, &a.id).await), reason).await.expect(200)),
                "grant-middle" => drop(w.post(&w.security, &format!("/v1/grants/{}/revoke", grant_on_orders(w, &b.id).await), reason).await.expect(200)),
                "delegate-subject" => drop(chain.change(&a.id, |charter| charter["delegates"] = json!([])).await.expect(200)),
                "delegate-middle" => drop(chain.change(&b.id, |charter| charter["delegates"] = json!([])).await.expect(200)),
                "onward-subject" => drop(chain.change(&a.id, |charter| charter["delegates"][0]["onward"] = json!(0)).await.expect(200)),
                "scope-subject" => drop(chain.change(&a.id, |charter| { charter["delegates"][0]["scope"] = read.clone(); }).await.expect(200)),
                _ => drop(chain.change(&a.id, |charter| { charter["scope"].as_array_mut().unwrap().retain(|part| part["resource"] != json!(chain.tenure)); }).await.expect(200)),
            }
            assert_eq!(three.open(&chain).await, [false; 3], "{ending}");
            // Nor does the chain give anything new.
            assert_eq!(chain.exchange(c, &three.handed[1].0, &[("scope", "read")]).await.status, 400, "{ending}");
            // What B holds by A goes on only if A's part of the chain still stands.
            let b_stands = ["revoke-second", "delegate-middle", "onward-subject"].contains(&ending);
            assert_eq!(w.is_live(&three.derived[0]).await, b_stands, "{ending}");
        }
        assert_eq!(untouched.open(&chain).await, [true; 3]);
    }

    async fn s14_what_is_granted_again_revives_nothing(world: World) {
        let chain = Chain::new(world).await;
        let three = three(&chain, "t").await;
        let [a, _, c] = &three.parties;
        let w = &chain.world;
        w.post(&w.security, &format!("/v1/grants/{}/revoke", grant_on_orders(w, &a.id).await), json!({"reason": "test"})).await.expect(200);
        w.grant(&a.id, &["read"], "10m").await;
        assert_eq!(three.open(&chain).await, [false; 3]);
        assert_eq!(chain.exchange(c, &three.handed[1].0, &[("scope", "read")]).await.status, 400);
        // A suspension that is lifted gives back what was only held; a revoked parent stays dead.
        let again = self::three(&chain, "u").await;
        w.post(&w.security, &format!("/v1/identities/{}/suspend", again.parties[1].id), json!({"reason": "look"})).await.expect(200);
        assert_eq!(again.open(&chain).await, [false; 3]);
        assert_eq!(chain.decide(&again.parties[2].id, Some(&again.derived[1]), "read", None).await.code(), "parent_ended");
        let (_, sara) = w.person("Sara", &["security"]).await;
        w.post(&sara, &format!("/v1/identities/{}/resume", again.parties[1].id), json!({"cause": 0, "reason": "cleared"})).await.expect(200);
        assert_eq!(again.open(&chain).await, [true; 3]);
    }

    async fn s14_what_binds_one_of_the_chain_binds_what_derives_from_it(world: World) {
        let chain = Chain::new(world).await;
        let actor = chain.party("actor", PLAIN).await;
        let subject = async |name: &str, fact: &str, value: Value| {
            let key = Key::new();
            let mut charter = chain.charter(&key, &Part { delegates: &[(&actor.id, &["read"], 0)], ..PLAIN });
            charter[fact] = value;
            let subject = Party { id: chain.world.active(name, charter).await, key };
            chain.delegate(&subject, &actor.id, &[], None).await.expect(200).text("/access_token")
        };
        // Bound tokens only: the actor's without a key is refused, although its own charter doesn't mind.
        let bound = subject("bound", "sender_constrained", json!(true)).await;
        assert_eq!(chain.exchange(&actor, &bound, &[]).await.expect(400).code(), "sender_constraint_needed");
        // A posture that the subject's charter demands is demanded of who acts for it.
        let demanding = subject("demanding", "usage", json!({"posture": "compliant"})).await;
        let derived = chain.exchange(&actor, &demanding, &[]).await.expect(200).text("/access_token");
        assert!(!chain.world.is_live(&derived).await);
        for (posture, allowed) in [(json!(null), false), (json!("jailbroken"), false), (json!("compliant"), true)] {
            let body = json!({
                "subject": {"type": "identity", "id": actor.id, "properties": {"access_token": derived}},
                "resource": {"type": "database", "id": chain.world.orders}, "action": {"name": "read"}, "context": {"posture": posture},
            });
            let answer = chain.world.post(&chain.world.gateway, "/access/v1/evaluation", body).await.expect(200);
            assert_eq!(answer.body["decision"], json!(allowed), "{posture}");
        }
    }

    async fn s14_environments_do_not_mix(world: World) {
        let chain = Chain::new(world).await;
        let pair = pair(&chain, "p").await;
        let staging = chain.world.resource("https://orders.staging", "staging", "online").await;
        let key = Key::new();
        let mut charter = chain.charter(&key, &PLAIN);
        charter["environment"] = json!("staging");
        charter["scope"] = json!([{"actions": ["read"], "resource": staging}]);
        let id = chain.world.active("stager", charter).await;
        let in_staging = async |id: &str, key: &Key| {
            let assertion = key.assertion(id, &chain.world.issuer("staging"));
            let form = [
                ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", assertion.as_str()),
                ("subject_token", pair.token.as_str()),
                ("subject_token_type", ACCESS_TOKEN),
            ];
            chain.world.form("", "/env/staging/token", &form).await.expect(400).code()
        };
        // Neither an identity of the other environment, nor the actor itself at the other issuer.
        assert_eq!(in_staging(&id, &key).await, "delegation_not_allowed");
        assert_eq!(in_staging(&pair.actor.id, &pair.actor.key).await, "wrong_environment");
        let stager = chain.world.token(&key, &id, "staging").await;
        assert_eq!(refusal(chain.exchange(&pair.actor, &stager, &[]).await), invalid("delegation_not_allowed"));
    }

    async fn s14_a_proof_is_used_once_and_says_nothing_about_others(world: World) {
        let chain = Chain::new(world).await;
        let pair = pair(&chain, "p").await;
        let issuer = chain.world.issuer("production");
        // Claims that an assertion has no business with change nothing.
        let mut forged = assertion_claims(&pair.actor.id, &issuer);
        forged["act"] = json!({"sub": pair.subject.id});
        forged["may_act"] = json!({"sub": pair.actor.id});
        forged["authorization_details"] = json!([{"type": "tenure_task", "task": "all"}]);
        let forged = pair.actor.key.sign(&json!({"alg": "EdDSA", "typ": "client-authentication+jwt"}), &forged);
        let token = chain.world.present(&forged, "production").await.expect(200).text("/access_token");
        let said = claims(&token);
        assert_eq!((&said["sub"], said.get("act"), said.get("may_act")), (&json!(pair.actor.id), None, None));
        assert_eq!(chain.exchange(&pair.actor, &token, &[]).await.expect(400).code(), "delegation_not_allowed");
        let assertion = pair.actor.key.assertion(&pair.actor.id, &issuer);
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion.as_str()),
            ("subject_token", pair.token.as_str()),
            ("subject_token_type", ACCESS_TOKEN),
        ];
        chain.world.form("", "/env/production/token", &form).await.expect(200);
        assert_eq!(chain.world.form("", "/env/production/token", &form).await.expect(401).code(), "proof_replayed");
    }

    async fn s14_no_actor_widens_what_was_delegated_to_it(world: World) {
        let chain = Chain::new(world).await;
        let body = json!({"uri": chain.world.server.url, "type": "tenure", "actions": ["request", "read"], "application": chain.world.edge, "environment": "production", "verification": "online"});
        let api = chain.world.post(&chain.world.admin, "/v1/resources", body).await.expect(201).text("/id");
        let key = Key::new();
        let mut charter = chain.charter(&key, &PLAIN);
        charter["scope"] = json!([{"actions": ["request", "read"], "resource": api}, {"actions": ["read", "write"], "resource": chain.world.orders}]);
        let actor = Party { id: chain.world.active("actor", charter).await, key };
        let subject = chain.party("subject", Part { delegates: &[(&actor.id, &["read"], 0)], ..PLAIN }).await;
        let token = chain.ask(&actor, &[("grant_type", "client_credentials"), ("resource", &chain.world.server.url)]).await.expect(200).text("/access_token");
        let path = format!("/v1/identities/{}", subject.id);
        let mut charter = chain.world.get(&chain.world.owner, &path).await.expect(200).body["charter"].take();
        charter["delegates"][0]["scope"][0]["actions"] = json!(["read", "write"]);
        let changed = chain.world.put(&token, &format!("{path}/charter"), charter.clone()).await;
        assert_eq!(changed.status, 403, "{}", changed.body);
        let asked = chain.world.ask(&token, json!({"type": "charter", "identity": subject.id, "charter": charter}), "more").await;
        assert_eq!(asked.status, 403, "{}", asked.body);
        // Its owner needs an approval for it; taking away is free.
        assert_eq!(chain.change(&subject.id, |new| *new = charter.clone()).await.expect(403).code(), "approval_needed");
        chain.change(&subject.id, |charter| charter["delegates"] = json!([])).await.expect(200);
    }
}
