//! Agents and those who act for others: declared tasks (R54, RFC 9396), and the chain of a delegation in the record
//! (R57, RFC 8693).

use std::process::{Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::on_one;
use crate::world::{Answer, Key, ORDERS, Store, World, in_secs};

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// An identity that hands on authority, or acts for others.
pub struct Party {
    pub id: String,
    pub key: Key,
}

/// What a party's charter says.
pub struct Part<'a> {
    pub kind: &'a str,
    /// On `orders`.
    pub actions: &'a [&'a str],
    /// Name and actions.
    pub tasks: &'a [(&'a str, &'a [&'a str])],
    /// Who may act for it, with which actions, and how many times further.
    pub delegates: &'a [(&'a str, &'a [&'a str], u8)],
}

/// A workload that may do this on `orders`, and has nobody act for it.
pub const PLAIN: Part<'_> = Part { kind: "workload", actions: &["read", "write"], tasks: &[], delegates: &[] };

/// The world, with Tenure as a resource of production.
pub struct Chain {
    pub world: World,
    pub tenure: String,
}

impl Chain {
    pub async fn new(world: World) -> Self {
        let body = json!({
            "uri": world.issuer("production"), "type": "tenure", "actions": ["delegate", "enforce"], "application": world.edge,
            "environment": "production", "verification": "online",
        });
        let tenure = world.post(&world.admin, "/v1/resources", body).await.expect(201).text("/id");
        Self { world, tenure }
    }

    pub fn charter(&self, key: &Key, part: &Part<'_>) -> Value {
        let on = |actions: &[&str]| json!([{"actions": actions, "resource": self.world.orders}]);
        let mut charter = self.world.charter(key.jwk());
        charter["expires_at"] = json!(in_secs(20 * 86_400));
        charter["scope"] = on(part.actions);
        if !part.delegates.is_empty() {
            charter["scope"].as_array_mut().unwrap().push(json!({"actions": ["delegate"], "resource": self.tenure}));
        }
        let task = |(name, actions): &(&str, &[&str])| json!({"name": name, "purpose": "p", "scope": on(actions)});
        charter["tasks"] = part.tasks.iter().map(task).collect();
        let delegate = |(actor, actions, onward): &(&str, &[&str], u8)| json!({"actor": actor, "scope": on(actions), "onward": onward});
        charter["delegates"] = part.delegates.iter().map(delegate).collect();
        charter
    }

    pub async fn party(&self, name: &str, part: Part<'_>) -> Party {
        let (world, key) = (&self.world, Key::new());
        let body = json!({"kind": part.kind, "name": name, "charter": self.charter(&key, &part), "stage": "pending"});
        let id = world.post(&world.owner, "/v1/identities", body).await.expect(201).text("/id");
        world.activate(&world.manager, &id).await.expect(200);
        Party { id, key }
    }

    /// A request at the token endpoint, with the party's own proof.
    pub async fn ask(&self, party: &Party, fields: &[(&str, &str)]) -> Answer {
        let assertion = party.key.assertion(&party.id, &self.world.issuer("production"));
        let mut form = vec![("client_assertion_type", ASSERTION), ("client_assertion", assertion.as_str())];
        form.extend_from_slice(fields);
        self.world.form("", "/env/production/token", &form).await
    }

    pub async fn own(&self, party: &Party, details: &Value, fields: &[(&str, &str)]) -> Answer {
        let details = details.to_string();
        let mut form = vec![("grant_type", "client_credentials"), ("authorization_details", details.as_str())];
        form.extend_from_slice(fields);
        self.ask(party, &form).await
    }

    /// A party asks for the token by which another one may act for it.
    pub async fn delegate(&self, party: &Party, actor: &str, actions: &[&str], task: Option<&str>) -> Answer {
        self.own(party, &delegation(actor, actions, task), &[]).await
    }

    pub async fn exchange(&self, actor: &Party, subject_token: &str, fields: &[(&str, &str)]) -> Answer {
        let mut form =
            vec![("grant_type", EXCHANGE), ("subject_token", subject_token), ("subject_token_type", ACCESS_TOKEN)];
        form.extend_from_slice(fields);
        self.ask(actor, &form).await
    }

    /// An actor hands on what it was handed.
    pub async fn onward(
        &self,
        actor: &Party,
        subject_token: &str,
        next: &str,
        actions: &[&str],
        task: Option<&str>,
    ) -> Answer {
        let details = delegation(next, actions, task).to_string();
        self.exchange(actor, subject_token, &[("authorization_details", &details)]).await
    }

    pub async fn change(&self, id: &str, change: impl FnOnce(&mut Value)) -> Answer {
        let path = format!("/v1/identities/{id}");
        let mut charter = self.world.get(&self.world.owner, &path).await.expect(200).body["charter"].take();
        change(&mut charter);
        self.world.put(&self.world.owner, &format!("{path}/charter"), charter).await
    }

    /// A decision about a token, with this task at hand.
    pub async fn decide(&self, id: &str, token: Option<&str>, action: &str, task: Option<&str>) -> Answer {
        let mut body = json!({
            "subject": {"type": "identity", "id": id}, "resource": {"type": "database", "id": self.world.orders}, "action": {"name": action},
        });
        if let Some(token) = token {
            body["subject"]["properties"] = json!({"access_token": token});
        }
        if let Some(task) = task {
            body["context"] = json!({"task": task});
        }
        self.world.post(&self.world.gateway, "/access/v1/evaluation", body).await.expect(200)
    }

    /// Refusals of an identity for a reason.
    pub async fn refused(&self, id: &str, reason: &str) -> Vec<Value> {
        let mut events = self.world.events_of("access.refused", id).await;
        events.retain(|event| event["data"]["reason"] == reason && event["actor"].to_string().contains(id));
        events
    }
}

pub fn task(name: &str) -> Value {
    json!([{"type": "tenure_task", "task": name}])
}

pub fn delegation(actor: &str, actions: &[&str], task: Option<&str>) -> Value {
    let mut detail = json!({"type": "tenure_delegation", "actor": actor, "locations": [ORDERS]});
    if !actions.is_empty() {
        detail["actions"] = json!(actions);
    }
    if let Some(task) = task {
        detail["task"] = json!(task);
    }
    json!([detail])
}

/// What a token says.
pub fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

on_one! {
    async fn r54_outside_the_declared_task_is_denied_at_issuance_and_at_each_decision(world: World) {
        let chain = Chain::new(world).await;
        let tasks: &[(&str, &[&str])] = &[("reconcile", &["read"]), ("correct", &["read", "write"])];
        let agent = chain.party("accountant", Part { kind: "agent", tasks, ..PLAIN }).await;
        // Without a task there is nothing, nor beyond the one that is declared; policy says so, and it is in the
        // record.
        for (details, fields, reason) in [
            (None, vec![], "intent_missing"),
            (Some(task("reconcile")), vec![("scope", "read write")], "outside_intent"),
            (Some(task("reconcile")), vec![("scope", "write")], "outside_intent"),
            (Some(task("delete-all")), vec![], "outside_intent"),
        ] {
            let answer = match &details {
                Some(details) => chain.own(&agent, details, &fields).await,
                None => chain.ask(&agent, &[("grant_type", "client_credentials")]).await,
            };
            let answer = answer.expect(400);
            assert_eq!((answer.text("/error"), answer.code()), ("invalid_authorization_details".into(), reason.into()), "{details:?}");
            assert_eq!(answer.body["policies"], json!(["outside-intent"]));
        }
        assert_eq!(chain.refused(&agent.id, "outside_intent").await.len(), 3);
        // Unknown types, fields and shapes are refused, never passed over.
        for details in [json!([{"type": "payment_initiation"}]), json!([{"type": "tenure_task", "task": "reconcile", "admin": true}]), json!({}), json!([])] {
            assert_eq!(chain.own(&agent, &details, &[]).await.expect(400).text("/error"), "invalid_authorization_details");
        }

        // Of all that it holds, the token has what the task takes.
        let issued = chain.own(&agent, &task("reconcile"), &[]).await.expect(200);
        assert_eq!((issued.text("/scope"), issued.text("/authorization_details/0/task")), ("read".into(), "reconcile".into()));
        let token = issued.text("/access_token");
        assert_eq!(claims(&token)["authorization_details"], task("reconcile"));
        let told = chain.world.form(&chain.world.gateway, "/env/production/introspect", &[("token", &token)]).await.expect(200);
        assert_eq!((&told.body["active"], &told.body["authorization_details"]), (&json!(true), &task("reconcile")));
        assert_eq!(chain.world.events_of("credential.issued", &agent.id).await.pop().unwrap()["data"]["task"], "reconcile");
        for (token, action, at_hand, reason) in [
            (Some(&token), "read", None, None),
            (Some(&token), "read", Some("reconcile"), None),
            (Some(&token), "read", Some("correct"), Some("outside_intent")),
            (Some(&token), "write", None, Some("outside_intent")),
            (None, "read", Some("reconcile"), None),
            (None, "write", Some("correct"), None),
            (None, "write", Some("reconcile"), Some("outside_intent")),
            (None, "write", Some("delete-all"), Some("outside_intent")),
            (None, "read", None, Some("intent_missing")),
        ] {
            let answer = chain.decide(&agent.id, token.map(String::as_str), action, at_hand).await;
            assert_eq!(answer.body["decision"], json!(reason.is_none()), "{action} {at_hand:?}: {}", answer.body);
            if let Some(reason) = reason {
                assert_eq!((answer.code().as_str(), &answer.body["context"]["policies"]), (reason, &json!(["outside-intent"])), "{action} {at_hand:?}");
            }
        }
        let proven = chain.refused(&agent.id, "outside_intent").await;
        assert_eq!(proven.iter().filter(|event| event["control"] == "use").count(), 2);

        // A task that is dropped takes its tokens with it; dropping needs no approval, adding does, and the last one
        // can't be dropped.
        let added = chain.change(&agent.id, |charter| charter["tasks"].as_array_mut().unwrap().push(json!({"name": "more", "purpose": "p", "scope": charter_scope(&chain)}))).await;
        assert_eq!(added.expect(403).code(), "approval_needed");
        let none = chain.change(&agent.id, |charter| charter["tasks"] = json!([])).await;
        assert_eq!(none.expect(422).field_codes(), ["tasks_missing"]);
        assert!(chain.world.is_live(&token).await);
        chain.change(&agent.id, |charter| { charter["tasks"].as_array_mut().unwrap().remove(0); }).await.expect(200);
        assert!(!chain.world.is_live(&token).await);
        assert_eq!(chain.decide(&agent.id, Some(&token), "read", None).await.code(), "outside_intent");
    }

    async fn r54_tasks_bound_whoever_declares_them_and_dropping_them_all_widens(world: World) {
        let chain = Chain::new(world).await;
        let tasks: &[(&str, &[&str])] = &[("report", &["read"])];
        let tool = chain.party("reporter", Part { tasks, ..PLAIN }).await;
        // Its only task is what it means when it says nothing.
        assert_eq!(chain.world.ask_token(&tool.key, &tool.id, "production").await.expect(200).text("/authorization_details/0/task"), "report");
        assert_eq!(chain.own(&tool, &task("report"), &[]).await.expect(200).text("/scope"), "read");
        assert_eq!(chain.change(&tool.id, |charter| charter["tasks"] = json!([])).await.expect(403).code(), "approval_needed");
        // Who declares none is bound by its scope alone, and can't claim one; declaring some is free, and ends what was
        // issued for none.
        let free = chain.party("mover", PLAIN).await;
        let token = chain.world.token(&free.key, &free.id, "production").await;
        assert_eq!(chain.own(&free, &task("report"), &[]).await.expect(400).code(), "outside_intent");
        assert_eq!(chain.decide(&free.id, Some(&token), "read", Some("report")).await.code(), "outside_intent");
        assert_eq!(chain.decide(&free.id, Some(&token), "read", None).await.body["decision"], json!(true));
        chain.change(&free.id, |charter| charter["tasks"] = json!([{"name": "t", "purpose": "p", "scope": charter_scope(&chain)}])).await.expect(200);
        assert_eq!(chain.decide(&free.id, Some(&token), "read", None).await.code(), "intent_missing");
        assert!(!chain.world.is_live(&token).await);
    }

    async fn e03_a_task_is_implied_where_one_fits(world: World) {
        let chain = Chain::new(world).await;
        let tasks: &[(&str, &[&str])] = &[("reconcile", &["read"]), ("report", &["read"]), ("correct", &["read", "write"])];
        let agent = chain.party("accountant", Part { kind: "agent", tasks, ..PLAIN }).await;
        let ask = async |scope: &str| chain.ask(&agent, &[("grant_type", "client_credentials"), ("scope", scope)]).await;
        let got = |answer: Answer| { let answer = answer.expect(200); (answer.text("/authorization_details/0/task"), answer.text("/scope")) };
        let refused = |answer: Answer| { let answer = answer.expect(400); (answer.text("/error"), answer.code()) };
        // The one that takes all that is asked for; by its name in the scope; and never one that has to be guessed.
        assert_eq!(got(ask("write").await), ("correct".into(), "write".into()));
        assert_eq!(got(ask("read write").await), ("correct".into(), "read write".into()));
        assert_eq!(got(ask("task:report").await), ("report".into(), "read".into()));
        assert_eq!(got(ask("read write task:reconcile").await), ("reconcile".into(), "read".into()));
        for scope in ["read", ""] {
            assert_eq!(refused(ask(scope).await), ("invalid_authorization_details".into(), "intent_missing".into()), "{scope}");
        }
        assert_eq!(refused(ask("task:rob").await), ("invalid_authorization_details".into(), "outside_intent".into()));
        assert_eq!(refused(ask("write task:report").await), ("invalid_authorization_details".into(), "outside_intent".into()));
        assert_eq!(ask("task:report task:correct").await.expect(400).text("/error"), "invalid_scope");
        let details = task("correct");
        assert_eq!(chain.own(&agent, &details, &[("scope", "task:report")]).await.expect(400).text("/error"), "invalid_scope");
        // How it came to its task is on record, and the token is bound to it as to any.
        let recorded: Vec<_> = chain.world.events_of("credential.issued", &agent.id).await.iter().map(|event| (event["data"]["task"].clone(), event["data"]["task_by"].clone())).collect();
        let by = |task: &str, by: &str| (json!(task), json!(by));
        assert_eq!(recorded, [by("correct", "implied"), by("correct", "implied"), by("report", "scope"), by("reconcile", "scope")]);
        let token = ask("write").await.expect(200).text("/access_token");
        assert_eq!(claims(&token)["authorization_details"], task("correct"));
        assert_eq!(chain.decide(&agent.id, Some(&token), "read", Some("report")).await.code(), "outside_intent");

        // With a default in the charter, which widens nothing and needs nobody, what was to be guessed is said.
        assert_eq!(chain.change(&agent.id, |charter| charter["default_task"] = json!("rob")).await.expect(422).field_codes(), ["default_task_unknown"]);
        chain.change(&agent.id, |charter| charter["default_task"] = json!("reconcile")).await.expect(200);
        assert_eq!(got(ask("read").await), ("reconcile".into(), "read".into()));
        assert_eq!(got(ask("").await), ("reconcile".into(), "read".into()));
        assert_eq!(got(ask("write").await), ("correct".into(), "write".into()));
    }

    async fn r57_the_chain_of_a_delegation_is_in_the_record(world: World) {
        let chain = Chain::new(world).await;
        let tool = chain.party("ledger-tool", PLAIN).await;
        let fetch: &[(&str, &[&str])] = &[("fetch", &["read"])];
        let helper = Part { kind: "agent", tasks: fetch, delegates: &[(&tool.id, &["read"], 0)], ..PLAIN };
        let helper = chain.party("helper", helper).await;
        let tasks: &[(&str, &[&str])] = &[("reconcile", &["read"])];
        let planner = Part { kind: "agent", tasks, delegates: &[(&helper.id, &["read"], 1)], ..PLAIN };
        let planner = chain.party("planner", planner).await;

        let first = chain.delegate(&planner, &helper.id, &[], Some("reconcile")).await.expect(200);
        assert_eq!(first.text("/scope"), "delegate");
        let granted = json!([{"type": "tenure_delegation", "actor": helper.id, "locations": [ORDERS], "actions": ["read"], "task": "reconcile"}]);
        assert_eq!(first.body["authorization_details"], granted);
        assert_eq!(claims(&first.text("/access_token"))["may_act"], json!({"sub": helper.id}));
        // The helper acts itself, and has a tool act for it in turn.
        let acting = chain.exchange(&helper, &first.text("/access_token"), &[("authorization_details", &task("fetch").to_string())]).await.expect(200);
        assert_eq!((acting.text("/issued_token_type"), acting.text("/scope")), (ACCESS_TOKEN.into(), "read".into()));
        let second = chain.onward(&helper, &first.text("/access_token"), &tool.id, &["read"], Some("fetch")).await.expect(200);
        let last = chain.exchange(&tool, &second.text("/access_token"), &[]).await.expect(200);
        let token = last.text("/access_token");

        let said = claims(&token);
        assert_eq!((&said["sub"], &said["client_id"]), (&json!(planner.id), &json!(tool.id)));
        assert_eq!(said["act"], json!({"sub": tool.id, "act": {"sub": helper.id}}));
        let told = chain.world.form(&chain.world.gateway, "/env/production/introspect", &[("token", &token)]).await.expect(200);
        assert_eq!((&told.body["active"], &told.body["sub"], &told.body["act"]), (&json!(true), &json!(planner.id), &said["act"]));
        // A gateway may name whom the token is about, or who holds it, and learns the chain.
        for id in [&planner.id, &tool.id] {
            let answer = chain.decide(id, Some(&token), "read", Some("reconcile")).await;
            assert_eq!((&answer.body["decision"], &answer.body["context"]["chain"]), (&json!(true), &json!([planner.id, helper.id, tool.id])), "{}", answer.body);
        }
        assert_eq!(chain.decide(&helper.id, Some(&token), "read", None).await.body["decision"], json!(false));
        assert_eq!(chain.decide(&tool.id, Some(&token), "write", None).await.body["decision"], json!(false));

        // Whoever of the chain is asked about, the record tells actor, subject and task of each step.
        let credential = last.text("/credential");
        for id in [&planner.id, &helper.id, &tool.id] {
            let events = chain.world.events_of("credential.issued", id).await;
            let event = events.iter().find(|event| event["subjects"].to_string().contains(&credential)).unwrap();
            assert_eq!(event["data"]["chain"], json!([planner.id, helper.id, tool.id]));
            assert_eq!(event["data"]["parents"], json!([first.text("/credential"), second.text("/credential")]));
            assert_eq!(event["data"]["tasks"], json!([{"identity": planner.id, "task": "reconcile"}, {"identity": helper.id, "task": "fetch"}]));
            assert!(event["actor"].to_string().contains(&tool.id), "{event}");
        }
        let view = chain.world.get(&chain.world.owner, &format!("/v1/credentials/{credential}")).await.expect(200);
        assert_eq!((view.text("/state"), &view.body["delegation"]["chain"]), ("live".into(), &json!([planner.id, helper.id, tool.id])));
        // So is a refused step.
        let stranger = chain.party("stranger", PLAIN).await;
        assert_eq!(chain.exchange(&stranger, &first.text("/access_token"), &[]).await.expect(400).code(), "delegation_not_allowed");
        assert_eq!(chain.refused(&stranger.id, "delegation_not_allowed").await[0]["data"]["asked"], "token_exchange");
        let metadata = chain.world.get("", "/.well-known/oauth-authorization-server/env/production").await.expect(200);
        for (list, value) in [("grant_types_supported", EXCHANGE), ("authorization_details_types_supported", "tenure_task"), ("authorization_details_types_supported", "tenure_delegation")] {
            assert!(metadata.body[list].as_array().unwrap().contains(&json!(value)), "{value}");
        }
    }
}

fn charter_scope(chain: &Chain) -> Value {
    json!([{"actions": ["read"], "resource": chain.world.orders}])
}

#[tokio::test]
async fn the_command_line_declares_tasks_and_hands_authority_on() {
    let chain = Chain::new(World::start(Store::Sqlite).await).await;
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let tenure = |arguments: &[&str]| {
        let mut command = crate::world::tenure();
        command.env("TENURE_SERVER", &chain.world.server.url).args(arguments).args(["-o", "json"]);
        command.stdin(Stdio::null()).output().unwrap()
    };
    let made = |output: Output| -> Value {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let register = async |name: &str, part: Part<'_>| {
        let jwk = made(tenure(&["key", "generate", "--out", &path(name)]));
        let mut charter = chain.charter(&Key::new(), &part);
        charter["workload_binding"]["jwk"] = jwk;
        let body = json!({"kind": part.kind, "name": name, "charter": charter, "stage": "pending"});
        let id = chain.world.post(&chain.world.owner, "/v1/identities", body).await.expect(201).text("/id");
        chain.world.activate(&chain.world.manager, &id).await.expect(200);
        id
    };
    let tool = register("tool", PLAIN).await;
    let tasks: &[(&str, &[&str])] = &[("reconcile", &["read"])];
    let agent = register("agent", Part { kind: "agent", tasks, delegates: &[(&tool, &["read"], 0)], ..PLAIN }).await;
    let (agent_key, tool_key) = (path("agent"), path("tool"));
    let by_agent = [
        "token",
        "get",
        "--environment",
        "production",
        "--identity",
        &agent,
        "--key",
        &agent_key,
        "--resource",
        ORDERS,
    ];
    let refused = tenure(&[&by_agent[..], &["--scope", "write"]].concat());
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("declare one"),
        "{}",
        String::from_utf8_lossy(&refused.stderr)
    );
    let with_task = [&by_agent[..], &["--task", "reconcile"]].concat();
    assert_eq!(made(tenure(&with_task))["scope"], "read");
    let handed = made(tenure(&[&with_task[..], &["--delegate-to", &tool]].concat()));
    std::fs::write(path("handed"), handed["access_token"].as_str().unwrap()).unwrap();
    let taken = [
        "token",
        "get",
        "--environment",
        "production",
        "--identity",
        &tool,
        "--key",
        &tool_key,
        "--exchange",
        &path("handed"),
    ];
    let taken = made(tenure(&taken));
    assert_eq!((&taken["scope"], &taken["issued_token_type"]), (&json!("read"), &json!(ACCESS_TOKEN)));
    assert!(chain.world.is_live(taken["access_token"].as_str().unwrap()).await);
}
