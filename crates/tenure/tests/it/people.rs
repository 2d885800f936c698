//! People join, move and leave; what they leave behind finds another owner or stops (R1, R3, R17, R43, R78, R79, R91,
//! R92, R94).

use serde_json::{Value, json};

use crate::world::{Answer, Key, Store, World, in_secs};
use crate::{in_real_time, on_both, on_one};

/// Somebody with identities: their id, token, and each identity with its key.
struct Leaver {
    id: String,
    token: String,
    owned: Vec<(String, Key)>,
}

impl World {
    /// The server itself as a resource.
    async fn tenure(&self) -> String {
        let body = json!({"uri": self.server.url, "type": "tenure", "actions": ["read", "import"], "application": self.application, "environment": "production", "verification": "online"});
        self.post(&self.admin, "/v1/resources", body).await.expect(201).text("/id")
    }

    /// An identity's token for Tenure that is good for one action.
    async fn good_for(&self, tenure: &str, action: &str) -> String {
        let key = Key::new();
        let mut charter = self.charter(key.jwk());
        charter["scope"] = json!([{"actions": [action], "resource": tenure}]);
        let id = self.active(&format!("hr-{action}"), charter).await;
        self.token(&key, &id, "production").await
    }

    async fn leaver(&self, manager: &str, backup: Option<&str>, identities: usize) -> Leaver {
        let (id, token) =
            self.person_as(json!({"name": "Lea", "roles": ["requester", "owner"], "manager": manager})).await;
        let mut owned = Vec::new();
        for n in 0..identities {
            let key = Key::new();
            let mut charter = self.charter(key.jwk());
            charter["owner"] = json!(id);
            charter["parties"]["requester"] = json!(id);
            charter["backup_owner"] = json!(backup);
            let name = format!("lea-{n}");
            let made = json!({"kind": "workload", "name": name, "charter": charter, "stage": "pending"});
            let identity = self.post(&token, "/v1/identities", made).await.expect(201).text("/id");
            self.activate(&self.manager, &identity).await.expect(200);
            owned.push((identity, key));
        }
        Leaver { id, token, owned }
    }

    async fn person_is(&self, id: &str) -> Answer {
        self.get(&self.security, &format!("/v1/people/{id}")).await.expect(200)
    }

    async fn identity_is(&self, id: &str) -> Answer {
        self.get(&self.security, &format!("/v1/identities/{id}")).await.expect(200)
    }

    async fn step(&self, token: &str, path: &str) -> Answer {
        self.post(token, path, json!({"reason": "test"})).await
    }

    async fn import(&self, body: Value) -> Answer {
        self.post(&self.admin, "/v1/people/import", body).await
    }

    async fn csv(&self, query: &str, text: &str) -> Answer {
        let url = format!("{}/v1/people/import?{query}", self.server.url);
        let request =
            self.http.post(url).bearer_auth(&self.admin).header("content-type", "text/csv").body(text.to_owned());
        Self::answer(request).await
    }

    /// The person behind a key of a source.
    async fn of_source(&self, source: &str, key: &str) -> Value {
        let page = self.get(&self.security, &format!("/v1/people?source={source}&limit=200")).await.expect(200);
        let found =
            page.body["items"].as_array().unwrap().iter().find(|person| person["source"]["key"] == key).cloned();
        found.unwrap_or_else(|| panic!("nobody has the key {key}: {}", page.body))
    }

    async fn open_differences(&self) -> Vec<Value> {
        let page = self.get(&self.admin, "/v1/differences?state=open").await.expect(200);
        page.body["items"].as_array().unwrap().clone()
    }

    /// The transfer of an identity that is open.
    async fn transfer_of(&self, identity: &str) -> Answer {
        let page = self.get(&self.security, &format!("/v1/transfers?identity={identity}")).await.expect(200);
        let open = |transfer: &&Value| transfer["state"] == "open" || transfer["state"] == "offered";
        let found = page.body["items"].as_array().unwrap().iter().find(open).cloned();
        Answer { body: found.unwrap_or_else(|| panic!("no open transfer: {}", page.body)), ..page }
    }

    async fn accept(&self, token: &str, identity: &str) -> Answer {
        let transfer = self.transfer_of(identity).await.text("/id");
        self.step_without_body(token, &format!("/v1/transfers/{transfer}/accept")).await
    }

    async fn step_without_body(&self, token: &str, path: &str) -> Answer {
        self.call(reqwest::Method::POST, token, path, None).await
    }
}

/// What a command prints, as JSON, and what it says about it.
fn cli(world: &World, token: &str, arguments: &[&str]) -> (Value, String) {
    let mut command = crate::world::tenure();
    command.args(["-o", "json", "--server", &world.server.url]).args(arguments).env("TENURE_TOKEN", token);
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {said}");
    (serde_json::from_slice(&output.stdout).unwrap(), said)
}

fn outcomes(report: &Answer) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = report.body["items"].as_array().unwrap();
    items.iter().map(|item| (text(&item["key"]), text(&item["outcome"]))).collect()
}

on_both! { because "transfers and imports find their rows by terms, deadlines are claimed";
    async fn r01_neither_class_is_made_by_the_others_way(world: World) {
        for body in [json!({"name": "robo", "class": "non_human"}), json!({"name": "robo", "kind": "bot"})] {
            assert_eq!(world.post(&world.admin, "/v1/people", body).await.expect(422).code(), "class_mismatch");
        }
        let refused = world.events().await.into_iter().filter(|event| event["data"]["reason"] == "class_mismatch").count();
        assert_eq!(refused, 2);
        // Another workflow runs for each, through the same control points (R2, R43).
        let (id, _) = world.exporter("exporter").await;
        let (person, _) = world.person("Una", &[]).await;
        let made = world.events_of("person.created", &person).await.remove(0);
        let registered = world.events_of("identity.registered", &id).await.remove(0);
        assert_eq!((made["data"]["workflow"].as_str(), registered["data"]["workflow"].as_str()), (Some("human.joiner"), Some("non_human.registration")));
        assert_eq!(made["control"], registered["control"]);
    }

    async fn r03_a_change_of_the_owner_leaves_what_they_own_untouched(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let token = world.token(&key, &id, "production").await;
        let before = world.identity_is(&id).await.body;
        let (boss, _) = world.person("Bea", &["manager"]).await;
        let team = world.post(&world.admin, "/v1/teams", json!({"name": "administrators"})).await.expect(201).text("/id");
        let path = format!("/v1/people/{}/change", world.owner_id);
        let change = json!({"name": "Olu Two", "email": "olu@example.com", "manager": boss, "teams": [team], "class": "contractor", "ends_at": in_secs(86_400)});
        world.post(&world.admin, &path, change).await.expect(200);
        let mut after = world.identity_is(&id).await.body;
        after["last_used"] = before["last_used"].clone();
        // Its owner is called otherwise now, and nothing of it is another.
        after["names"] = before["names"].clone();
        assert_eq!(before, after, "state, approvals, grants and expiry are as they were");
        assert!(world.is_live(&token).await);
        // The other way round: what becomes of the agent is nothing to its owner.
        let person = world.person_is(&world.owner_id).await.body;
        world.step(&world.security, &format!("/v1/identities/{id}/retire")).await.expect(200);
        assert_eq!(world.person_is(&world.owner_id).await.body, person);
        // Nobody comes to manage themselves.
        let circle = world.post(&world.admin, &format!("/v1/people/{boss}/change"), json!({"manager": world.owner_id})).await.expect(422);
        assert_eq!(circle.field_codes(), ["manager_circular"]);
        let contractor = world.post(&world.admin, "/v1/people", json!({"name": "Tim", "class": "contractor"})).await.expect(422);
        assert_eq!(contractor.field_codes(), ["end_missing"]);
    }

    async fn roles_are_given_by_another_administrator_once_there_is_one(world: World) {
        let (_, second) = world.person("Bo", &["administrator"]).await;
        let made = world.post(&world.admin, "/v1/people", json!({"name": "Una", "roles": ["owner"]})).await.expect(201);
        assert_eq!(made.body["roles"], json!([]));
        let (una, request) = (made.text("/id"), made.text("/request"));
        assert_eq!(world.approve(&world.admin, &request).await.expect(403).code(), "self_approval");
        world.approve(&second, &request).await.expect(200);
        assert_eq!(world.person_is(&una).await.body["roles"], json!(["owner"]));
        let asked = world.post(&second, &format!("/v1/people/{una}/roles"), json!({"roles": [], "purpose": "moved on"})).await.expect(201);
        world.approve(&world.admin, &asked.text("/id")).await.expect(200);
        assert_eq!(world.person_is(&una).await.body["roles"], json!([]));
    }

    async fn r78_a_new_hire_of_the_feed_is_active_from_the_start_on(world: World) {
        world.hold();
        let hire = json!({
            "source": "hr", "complete": false, "format": "csv",
            "content": format!("key,name,email,class,starts_at\n77,Nia Hire,nia@example.com,employee,{}\n", in_secs(4)),
        });
        world.import(hire).await.expect(200);
        let page = world.get(&world.security, "/v1/people?source=hr").await.expect(200);
        let nia = page.text("/items/0/id");
        assert_eq!(page.text("/items/0/state"), "preboarding");
        world.post(&world.admin, &format!("/v1/people/{nia}/operator-tokens"), json!({})).await.expect(422);
        assert!(world.events_of("person.started", &nia).await.is_empty());
        world.pass(4).await;
        world.until(async || world.person_is(&nia).await.text("/state") == "active").await;
        assert_eq!(world.events_of("person.started", &nia).await[0]["data"]["workflow"], "human.joiner");
    }

    async fn r78_nothing_works_before_the_start_and_r79_nothing_after_the_end(world: World) {
        world.hold();
        let body = json!({"name": "Tim", "class": "contractor", "starts_at": in_secs(3), "ends_at": in_secs(8), "roles": ["requester"]});
        let tim = world.post(&world.admin, "/v1/people", body).await.expect(201).text("/id");
        assert_eq!(world.person_is(&tim).await.text("/state"), "preboarding");
        let tokens = format!("/v1/people/{tim}/operator-tokens");
        world.post(&world.admin, &tokens, json!({})).await.expect(422);
        world.pass(3).await;
        world.until(async || world.person_is(&tim).await.text("/state") == "active").await;
        let token = world.post(&world.admin, &tokens, json!({})).await.expect(201).text("/operator_token");
        world.get(&token, &format!("/v1/people/{tim}")).await.expect(200);
        world.pass(5).await;
        world.until(async || world.person_is(&tim).await.text("/state") == "departed").await;
        world.get(&token, &format!("/v1/people/{tim}")).await.expect(401);
        assert_eq!(world.events_of("person.started", &tim).await.len(), 1);
        assert_eq!(world.events_of("person.departed", &tim).await[0]["data"]["workflow"], "human.leaver");
        // Terminal is terminal.
        world.step(&world.security, &format!("/v1/people/{tim}/resume")).await.expect(409);
        world.post(&world.admin, &format!("/v1/people/{tim}/change"), json!({"ends_at": null})).await.expect(409);
    }

    async fn r79_a_contractors_end_opens_transfers(world: World) {
        world.hold();
        let (heir, heir_token) = world.person("Hal", &["owner"]).await;
        let body = json!({"name": "Con", "class": "contractor", "ends_at": in_secs(6), "roles": ["requester", "owner"], "manager": world.manager_id});
        let (con, con_token) = world.person_as(body).await;
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        (charter["owner"], charter["backup_owner"], charter["parties"]["requester"]) = (json!(con), json!(heir), json!(con));
        let made = json!({"kind": "workload", "name": "con-1", "charter": charter, "stage": "pending"});
        let id = world.post(&con_token, "/v1/identities", made).await.expect(201).text("/id");
        world.activate(&world.manager, &id).await.expect(200);
        world.pass(6).await;
        world.until(async || world.person_is(&con).await.text("/state") == "departed").await;
        world.token(&key, &id, "production").await;
        let transfer = world.transfer_of(&id).await;
        assert_eq!((transfer.text("/offered_to"), transfer.text("/because")), (heir.clone(), "owner_departed".into()));
        world.accept(&heir_token, &id).await.expect(200);
        assert_eq!(world.identity_is(&id).await.text("/charter/owner"), heir);
    }

    async fn a02_each_who_suspends_a_person_is_overruled_by_somebody_else(world: World) {
        let (sue_id, sue) = world.person("Sue", &["security"]).await;
        let (_, sid) = world.person("Sid", &["security"]).await;
        let (eve, token) = world.person("Eve", &[]).await;
        let path = |step: &str| format!("/v1/people/{eve}/{step}");
        world.step(&world.security, &path("suspend")).await.expect(200);
        let joined = world.step(&sue, &path("suspend")).await.expect(200);
        assert_eq!((joined.text("/suspension/placed_by"), joined.text("/suspension/also/0/by")), (world.security_id.clone(), sue_id.clone()));
        world.step(&sue, &path("suspend")).await.expect(409);
        let resume = async |who: &str, whose: Value| world.post(who, &path("resume"), json!({"reason": "over", "placed_by": whose})).await;
        assert_eq!(resume(&sid, Value::Null).await.expect(422).field_codes(), ["placed_by_missing"]);
        resume(&sue, json!(sue_id)).await.expect(403);
        let left = resume(&sue, json!(world.security_id)).await.expect(200);
        assert_eq!((left.text("/state"), left.text("/suspension/placed_by")), ("suspended".to_owned(), sue_id.clone()));
        world.get(&token, "/v1/me").await.expect(401);
        resume(&sue, Value::Null).await.expect(403);
        assert_eq!(resume(&world.security, Value::Null).await.expect(200).text("/state"), "active");
        world.get(&token, "/v1/me").await.expect(200);
    }

    async fn a_suspended_person_is_resumed_by_somebody_else(world: World) {
        let leaver = world.leaver(&world.manager_id, None, 1).await;
        let path = format!("/v1/people/{}", leaver.id);
        world.step(&world.owner, &format!("{path}/suspend")).await.expect(403);
        world.step(&world.security, &format!("{path}/suspend")).await.expect(200);
        world.get(&leaver.token, "/v1/identities").await.expect(401);
        let (id, key) = &leaver.owned[0];
        world.token(key, id, "production").await;
        assert_eq!(world.transfer_of(id).await.text("/because"), "owner_suspended");
        assert_eq!(world.step(&world.security, &format!("{path}/resume")).await.expect(403).code(), "self_release".replace("self_release", "not_allowed"));
        let (_, other) = world.person("Sue", &["security"]).await;
        world.step(&other, &format!("{path}/resume")).await.expect(200);
        world.get(&leaver.token, "/v1/identities").await.expect(200);
        world.until(async || world.identity_is(id).await.body["transfer"].is_null()).await;
        assert_eq!(world.identity_is(id).await.text("/charter/owner"), leaver.id);
    }

    async fn r17_an_import_follows_the_source_and_stores_it(world: World) {
        let feed = "key,name,email,class,ends_at,manager_key,teams\n7,Grace Hopper,grace@example.com,employee,,8,Navy; Compilers\n8,Howard,,employee,,,\n9,Tess,,contractor,2099-01-01,8,\n";
        let dry = world.csv("source=hr&complete=true&dry_run=true", feed).await.expect(200);
        assert_eq!(world.get(&world.admin, "/v1/people?source=hr").await.expect(200).body["items"], json!([]));
        let done = world.csv(&format!("source=hr&complete=true&expect={}", dry.text("/digest")), feed).await.expect(200);
        assert_eq!((outcomes(&dry), dry.text("/digest")), (outcomes(&done), done.text("/digest")), "a dry run equals the effect");
        let grace = world.of_source("hr", "7").await;
        assert_eq!(grace["source"], json!({"source": "hr", "key": "7"}));
        assert_eq!((&grace["manager"], &grace["roles"], &grace["state"]), (&world.of_source("hr", "8").await["id"], &json!([]), &json!("active")));
        assert_eq!(grace["teams"].as_array().unwrap().len(), 2);
        // It moves, as JSON: what a row leaves out stays.
        let moved = world.import(json!({"source": "hr", "people": [{"key": "7", "name": "Grace B. Hopper", "manager_key": null}]})).await.expect(200);
        assert_eq!(outcomes(&moved), [("7".to_owned(), "moved".to_owned())]);
        let id = grace["id"].as_str().unwrap();
        let after = world.person_is(id).await;
        assert_eq!((after.text("/name"), &after.body["manager"], after.text("/email")), ("Grace B. Hopper".into(), &Value::Null, "grace@example.com".into()));
        assert_eq!(world.events_of("person.changed", id).await[0]["data"]["fields"], json!(["name", "manager"]));
        // It leaves, and a feed that is handed in again changes nothing.
        let gone = "key,name,ends_at\n7,Grace B. Hopper,2020-01-01\n";
        assert_eq!(outcomes(&world.csv("source=hr", gone).await.expect(200)), [("7".to_owned(), "left".to_owned())]);
        assert_eq!(world.csv("source=hr", gone).await.expect(200).body["items"], json!([]));
        assert_eq!(world.person_is(id).await.text("/state"), "departed");
        // What a source keeps is not changed by hand; and not by just anybody.
        let howard = world.of_source("hr", "8").await["id"].as_str().unwrap().to_owned();
        world.post(&world.admin, &format!("/v1/people/{howard}/change"), json!({"manager": null})).await.expect(403);
        world.post(&world.owner, "/v1/people/import", json!({"source": "hr", "people": []})).await.expect(403);
        // A stale expectation is refused, and nothing is done.
        let stale = world.csv(&format!("source=hr&expect={}", dry.text("/digest")), "key,name\n8,How\n").await.expect(409);
        assert_eq!(stale.code(), "request_changed");
        assert_eq!(world.person_is(&howard).await.text("/name"), "Howard");
    }

    async fn a_bad_row_is_named_and_nothing_is_done(world: World) {
        let answer = world.csv("source=hr", "key,name,email\n1,Ada,ada@example.com\n2,Bo,nowhere\n1,Cy,\n").await.expect(422);
        let fields: Vec<_> = answer.body["fields"].as_array().unwrap().iter().map(|field| field["field"].as_str().unwrap()).collect();
        assert_eq!(fields, ["lines[3].email", "lines[4].key"]);
        assert_eq!(world.get(&world.admin, "/v1/people?source=hr").await.expect(200).body["items"], json!([]));
        // What is too large is refused before it is sent; more than other bodies may hold is taken.
        let mut raw = std::net::TcpStream::connect(world.server.url.trim_start_matches("http://")).unwrap();
        let head = format!("POST /v1/people/import?source=hr HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: text/csv\r\ncontent-length: 9000000\r\n\r\n", world.admin);
        std::io::Write::write_all(&mut raw, head.as_bytes()).unwrap();
        let mut start = [0u8; 12];
        std::io::Read::read_exact(&mut raw, &mut start).unwrap();
        assert_eq!(&start, b"HTTP/1.1 413");
        let rows: String = (0..3_000).map(|n| format!("{n},Person number {n} of this feed,p{n}@example.com\n")).collect();
        assert_eq!(world.csv("source=hr&dry_run=true", &format!("key,name,email\n{rows}")).await.expect(200).body["rows"], 3_000);
    }

    async fn r92_each_difference_is_one_question_and_absence_is_no_deletion(world: World) {
        let all = "key,name,email,manager_key\n1,Ada,,\n2,Bo,,\n3,Cy,,1\n4,Di,,1\n";
        world.csv("source=hr&complete=true", all).await.expect(200);
        // Missing, an unknown manager, somebody who looks like one made by hand: one item each, and asked once.
        let una = world.post(&world.admin, "/v1/people", json!({"name": "Una", "email": "una@example.com", "roles": ["owner"]})).await.expect(201).text("/id");
        let feed = "key,name,email,manager_key\n1,Ada,,\n2,Bo,,99\n3,Cy,,1\n5,Una,UNA@example.com,\n";
        for _ in 0..2 {
            world.csv("source=hr&complete=true", feed).await.expect(200);
            let open = world.open_differences().await;
            let mut kinds: Vec<_> = open.iter().map(|d| (d["source_key"].as_str().unwrap(), d["kind"]["type"].as_str().unwrap())).collect();
            kinds.sort_unstable();
            assert_eq!(kinds, [("2", "not_followed"), ("4", "missing_in_source"), ("5", "looks_like")]);
        }
        assert_eq!(world.of_source("hr", "4").await["state"], "active", "what is missing is not gone");
        assert_eq!(world.get(&world.admin, "/v1/people?source=hr").await.expect(200).body["items"].as_array().unwrap().len(), 4);
        let open = world.open_differences().await;
        let question = |key: &str| open.iter().find(|d| d["source_key"] == key).unwrap()["id"].as_str().unwrap().to_owned();
        let decide = async |id: &str, decision: &str| world.post(&world.admin, &format!("/v1/differences/{id}/decide"), json!({"decision": decision})).await;
        decide(&question("4"), "bind").await.expect(422);
        decide(&question("4"), "depart").await.expect(200);
        assert_eq!(decide(&question("4"), "keep").await.expect(409).code(), "illegal_transition");
        assert_eq!(world.of_source("hr", "4").await["state"], "departed");
        decide(&question("5"), "bind").await.expect(200);
        let bound = world.person_is(&una).await.body;
        assert_eq!((&bound["source"]["key"], &bound["roles"]), (&json!("5"), &json!(["owner"])));
        // The source corrects itself, and so does the question.
        let settled = world.csv("source=hr&complete=true", &feed.replace(",99", ",1")).await.expect(200);
        assert!(outcomes(&settled).contains(&("2".into(), "settled".into())), "{:?}", outcomes(&settled));
        assert!(world.open_differences().await.is_empty());
        assert_eq!(world.csv("source=hr&complete=true", &feed.replace(",99", ",1")).await.expect(200).body["items"], json!([]));
        // Who left and is listed again is a question too, not a return.
        world.csv("source=hr&complete=true", &format!("{}4,Di,,\n", feed.replace(",99", ",1"))).await.expect(200);
        assert_eq!(world.open_differences().await.len(), 1);
        assert_eq!(world.of_source("hr", "4").await["state"], "departed");
    }

    async fn r92_a_short_feed_is_a_failed_read(world: World) {
        let row = |n: u32| format!("{n},P{n}\n");
        let all: String = (0..20).map(row).collect();
        world.csv("source=hr&complete=true", &format!("key,name\n{all}")).await.expect(200);
        for feed in ["key,name\n".to_owned(), format!("key,name\n{}", (0..12).map(row).collect::<String>())] {
            assert_eq!(world.csv("source=hr&complete=true", &feed).await.expect(422).code(), "feed_too_short");
        }
        assert!(world.open_differences().await.is_empty());
        let events = world.events().await;
        assert_eq!(events.iter().filter(|event| event["data"]["reason"] == "feed_too_short").count(), 2);
        assert_eq!(events.iter().filter(|event| event["kind"] == "people.imported").count(), 1, "nothing else was done");
        world.csv("source=hr", "key,name\n0,P0\n").await.expect(200);
        assert!(world.open_differences().await.is_empty());
    }

    async fn s8_no_feed_confers_a_role(world: World) {
        for feed in ["key,name,roles\n1,Eve,administrator\n", "key,name,role\n1,Eve,administrator\n"] {
            let answer = world.csv("source=hr", feed).await.expect(422);
            assert_eq!(answer.field_codes(), ["column_unknown"]);
        }
        let json = json!({"source": "hr", "people": [{"key": "1", "name": "Eve", "roles": ["administrator"]}]});
        world.import(json).await.expect(422);
        // Names that sound like roles, and a class and a team that does, are names.
        world.csv("source=administrator", "key,name,teams,manager_key\nadministrator,security,administrator;security,\n2,Mal,owner,administrator\n").await.expect(200);
        let eve = world.of_source("administrator", "administrator").await;
        assert_eq!((&eve["roles"], &eve["state"]), (&json!([]), &json!("active")));
        let token = world.post(&world.admin, &format!("/v1/people/{}/operator-tokens", eve["id"].as_str().unwrap()), json!({})).await.expect(201).text("/operator_token");
        for path in ["/v1/people", "/v1/log/export", "/v1/identities"] {
            let status = world.get(&token, path).await.status;
            assert!(status == 403 || path == "/v1/identities", "{path} {status}");
        }
        world.post(&token, "/v1/environments", json!({"name": "mine"})).await.expect(403);
        // Being somebody's manager by a feed is no role manager.
        let mal = world.of_source("administrator", "2").await["id"].as_str().unwrap().to_owned();
        let matter = json!({"type": "roles", "person": mal, "roles": ["administrator"]});
        world.ask(&token, matter, "mine").await.expect(403);
        // Binding keeps what somebody has, and gives nothing.
        let all = world.get(&world.admin, "/v1/people?role=administrator").await.expect(200);
        assert_eq!(all.body["items"].as_array().unwrap().len(), 1);
    }

    async fn r94_what_hr_says_touches_no_grant(world: World) {
        world.csv("source=hr", "key,name,email\n1,Olu,olu@example.com\n").await.expect(200);
        let (id, key) = world.exporter("exporter").await;
        let path = format!("/v1/people/{}/change", world.owner_id);
        world.post(&world.admin, &path, json!({"email": "o@example.com"})).await.expect(200);
        world.csv("source=hr2", "key,name,email\n1,Olu,o@example.com\n").await.expect(200);
        let question = world.open_differences().await.remove(0)["id"].as_str().unwrap().to_owned();
        world.post(&world.admin, &format!("/v1/differences/{question}/decide"), json!({"decision": "bind"})).await.expect(200);
        let before = (world.identity_is(&id).await.body, world.get(&world.owner, &format!("/v1/identities/{id}/access")).await.expect(200).body);
        world.csv("source=hr2", "key,name,email,teams,class,ends_at,manager_key\n1,Olu,o@example.com,production;orders,contractor,2099-01-01,2\n2,Boss,,,,,\n").await.expect(200);
        assert_eq!(world.person_is(&world.owner_id).await.text("/class"), "contractor");
        assert_eq!(world.person_is(&world.owner_id).await.body["roles"], json!(["requester", "owner"]));
        let after = (world.identity_is(&id).await.body, world.get(&world.owner, &format!("/v1/identities/{id}/access")).await.expect(200).body);
        assert_eq!(before, after);
        world.token(&key, &id, "production").await;
        assert_eq!(world.ask_token(&key, &id, "staging").await.expect(400).code(), "wrong_environment");
    }

    async fn a_chartered_identity_hands_a_feed_in_and_can_do_nothing_else(world: World) {
        let tenure = world.tenure().await;
        let tokens = [world.good_for(&tenure, "import").await, world.good_for(&tenure, "read").await];
        let feed = json!({"source": "hr", "complete": true, "people": [{"key": "1", "name": "Ada"}, {"key": "2", "name": "Bo", "manager_key": "9"}]});
        assert_eq!(world.post(&tokens[1], "/v1/people/import", feed.clone()).await.expect(403).code(), "not_allowed");
        world.post(&tokens[0], "/v1/people/import", feed).await.expect(200);
        assert_eq!(world.of_source("hr", "1").await["state"], "active");
        let question = world.open_differences().await.remove(0)["id"].as_str().unwrap().to_owned();
        let decide = format!("/v1/differences/{question}/decide");
        assert_eq!(world.post(&tokens[0], &decide, json!({"decision": "keep"})).await.expect(403).code(), "not_allowed");
        let person = world.of_source("hr", "1").await["id"].as_str().unwrap().to_owned();
        world.step(&tokens[0], &format!("/v1/people/{person}/depart")).await.expect(403);
        world.post(&tokens[0], "/v1/people", json!({"name": "Eve"})).await.expect(403);
    }

    async fn the_command_line_keeps_people_and_hands_over(world: World) {
        let folder = tempfile::tempdir().unwrap();
        let feed = folder.path().join("people.csv");
        std::fs::write(&feed, "key,name,manager_key\n1,Ada,\n2,Bo,1\n").unwrap();
        let feed = feed.to_str().unwrap();
        let (dry, said) = cli(&world, &world.admin, &["person", "import", "--source", "hr", "--complete", "--dry-run", feed]);
        assert!(said.contains("nothing was done; would be: 2 rows: 2 joined"), "{said}");
        let digest = dry["digest"].as_str().unwrap();
        cli(&world, &world.admin, &["person", "import", "--source", "hr", "--complete", "--expect", digest, feed]);
        let (people, _) = cli(&world, &world.admin, &["person", "list", "--source", "hr"]);
        assert_eq!(people["items"].as_array().unwrap().len(), 2);
        std::fs::write(feed, "key,name\n1,Ada\n").unwrap();
        cli(&world, &world.admin, &["person", "import", "--source", "hr", "--complete", feed]);
        let (open, _) = cli(&world, &world.admin, &["difference", "list", "--state", "open"]);
        cli(&world, &world.admin, &["difference", "decide", open["items"][0]["id"].as_str().unwrap(), "keep"]);
        cli(&world, &world.admin, &["team", "create", "platform"]);
        let (heir, heir_token) = world.person("Hal", &["owner"]).await;
        let (id, _) = world.exporter("exporter").await;
        let (transfer, _) = cli(&world, &world.owner, &["transfer", "start", &id, "--to", &heir]);
        let (taken, said) = cli(&world, &heir_token, &["transfer", "accept", transfer["id"].as_str().unwrap()]);
        assert!(taken["state"] == "accepted" && said.contains("tenure review list"), "{said}");
        cli(&world, &world.security, &["person", "suspend", &heir, "--reason", "test"]);
        let (listed, _) = cli(&world, &world.security, &["transfer", "list", "--from", &heir]);
        assert_eq!(listed["items"][0]["because"], "owner_suspended");
    }

    async fn a_transfer_revives_nothing_and_a_joiner_loses_nothing(world: World) {
        let (heir, heir_token) = world.person("Hal", &["owner"]).await;
        let leaver = world.leaver(&world.manager_id, Some(&heir), 2).await;
        let (cut, live) = (&leaver.owned[0], &leaver.owned[1]);
        let dead = world.token(&cut.1, &cut.0, "production").await;
        world.revoke("owner", &leaver.id).await.expect(201);
        assert!(!world.is_live(&dead).await);
        let alive = world.token(&live.1, &live.0, "production").await;
        world.revoke("owner", &heir).await.expect(201);
        world.step(&world.admin, &format!("/v1/people/{}/depart", leaver.id)).await.expect(200);
        // The leaver's own token is worth nothing, and what they own goes on.
        world.get(&leaver.token, "/v1/identities").await.expect(401);
        assert!(world.is_live(&alive).await);
        // Only who was asked accepts, and only with the role.
        for token in [&world.owner, &world.security, &world.admin, &world.manager] {
            assert_eq!(world.accept(token, &cut.0).await.expect(403).code(), "not_eligible");
        }
        world.accept(&leaver.token, &cut.0).await.expect(401);
        for (id, _) in &leaver.owned {
            world.accept(&heir_token, id).await.expect(200);
            let identity = world.identity_is(id).await;
            assert_eq!((identity.text("/charter/owner"), &identity.body["transfer"], &identity.body["charter"]["backup_owner"]), (heir.clone(), &Value::Null, &Value::Null));
            let reviews = world.get(&heir_token, &format!("/v1/reviews?identity={id}")).await.expect(200);
            assert_eq!((reviews.text("/items/0/trigger"), reviews.text("/items/0/reviewer")), ("offboarding".into(), heir.clone()));
        }
        assert!(!world.is_live(&dead).await, "what was cut stays cut");
        assert!(world.is_live(&alive).await, "an earlier cut of the new owner is nothing to what comes to them");
        let event = world.events_of("identity.transferred", &cut.0).await.remove(0);
        assert_eq!((event["control"].as_str(), event["data"]["to"].as_str()), (Some("transfer"), Some(heir.as_str())));
        // From now on it falls under the new owner's cuts, and no longer under the old one's.
        world.revoke("owner", &leaver.id).await.expect(201);
        assert!(world.is_live(&alive).await);
        world.revoke("owner", &heir).await.expect(201);
        assert!(!world.is_live(&alive).await);
    }

    async fn a_hold_of_the_old_owner_goes_with_the_identity(world: World) {
        let (heir, heir_token) = world.person("Hal", &["owner"]).await;
        let leaver = world.leaver(&world.manager_id, Some(&heir), 1).await;
        let (id, key) = &leaver.owned[0];
        let token = world.token(key, id, "production").await;
        let hold = json!({"scope": {"type": "owner", "id": leaver.id}, "reason": "stolen laptop"});
        world.post(&world.security, "/v1/holds", hold).await.expect(201);
        world.step(&world.security, &format!("/v1/people/{}/depart", leaver.id)).await.expect(200);
        world.accept(&heir_token, id).await.expect(200);
        assert!(!world.is_live(&token).await);
        assert_eq!(world.identity_is(id).await.text("/state"), "suspended");
        let resume = format!("/v1/identities/{id}/resume");
        world.step(&world.security, &resume).await.expect(403);
        world.step(&heir_token, &resume).await.expect(403);
        let (_, other) = world.person("Sue", &["security"]).await;
        world.step(&other, &resume).await.expect(200);
        assert!(world.is_live(&token).await);
    }

    async fn nothing_is_widened_or_renewed_in_a_window_and_drafts_are_closed(world: World) {
        let (heir, heir_token) = world.person("Hal", &["owner"]).await;
        let leaver = world.leaver(&world.manager_id, Some(&heir), 1).await;
        let (id, key) = &leaver.owned[0];
        let mut charter = world.charter(Key::new().jwk());
        charter["owner"] = json!(leaver.id);
        let pending = json!({"kind": "workload", "name": "lea-pending", "charter": charter, "stage": "pending"});
        let pending = world.post(&leaver.token, "/v1/identities", pending).await.expect(201);
        let request = pending.text("/request");
        let draft = json!({"kind": "workload", "name": "lea-draft", "charter": {"owner": leaver.id}, "stage": "draft"});
        let draft = world.post(&leaver.token, "/v1/identities", draft).await.expect(201).text("/id");
        world.step(&world.admin, &format!("/v1/people/{}/depart", leaver.id)).await.expect(200);
        for closed in [&draft, &pending.text("/id")] {
            world.until_state(closed, "closed").await;
        }
        assert_eq!(world.get(&world.security, &format!("/v1/requests/{request}")).await.expect(200).text("/state"), "lapsed");
        world.token(key, id, "production").await;
        let renewal = json!({"type": "renewal", "identity": id, "until": in_secs(60 * 86_400)});
        world.ask(&world.security, renewal.clone(), "goes on").await.expect(403);
        let mut wider = world.identity_is(id).await.body["charter"].clone();
        wider["scope"][0]["actions"] = json!(["read", "write"]);
        world.ask(&world.owner, json!({"type": "charter", "identity": id, "charter": wider}), "more").await.expect(422);
        // A decline goes on to who is next, or is open; security offers it to somebody who may own.
        let transfer = world.transfer_of(id).await.text("/id");
        world.step_without_body(&heir_token, &format!("/v1/transfers/{transfer}/decline")).await.expect(200);
        assert_eq!(world.transfer_of(id).await.text("/state"), "open");
        let offer = format!("/v1/transfers/{transfer}/offer");
        world.post(&world.security, &offer, json!({"to": world.security_id})).await.expect(422);
        world.post(&world.security, &offer, json!({"to": leaver.id})).await.expect(422);
        world.post(&world.owner, &offer, json!({"to": world.owner_id})).await.expect(403);
        world.post(&world.security, &offer, json!({"to": world.owner_id})).await.expect(200);
        assert_eq!(world.get(&world.owner, "/v1/transfers").await.expect(200).body["items"].as_array().unwrap().len(), 1);
        world.step_without_body(&world.owner, &format!("/v1/transfers/{transfer}/accept")).await.expect(200);
        assert_eq!(world.step_without_body(&world.owner, &format!("/v1/transfers/{transfer}/accept")).await.expect(409).code(), "illegal_transition");
    }

    async fn who_hands_a_feed_in_may_stand_in_it(world: World) {
        let feed = |name: &str| json!({"source": "hr", "format": "json", "people": [
            {"key": "1", "name": name, "email": "ida@x.example"},
        ]});
        world.import(feed("Ida")).await.expect(200);
        let ida = world.of_source("hr", "1").await["id"].as_str().unwrap().to_owned();
        let roles = json!({"roles": ["administrator"], "purpose": "imports"});
        world.post(&world.admin, &format!("/v1/people/{ida}/roles"), roles).await;
        let tokens = format!("/v1/people/{ida}/operator-tokens");
        let token = world.post(&world.admin, &tokens, json!({})).await.expect(201).text("/operator_token");
        // Their own record changes in the first of several commits.
        let body = json!({"source": "hr", "format": "json", "people": [
            {"key": "1", "name": "Ida Imports", "email": "ida@x.example", "teams": ["news"]},
            {"key": "2", "name": "Jo"},
        ]});
        world.post(&token, "/v1/people/import", body).await.expect(200);
        assert_eq!(world.of_source("hr", "1").await["name"], "Ida Imports");
    }

    async fn an_owner_hands_over_and_goes_on_until_it_is_taken(world: World) {
        let (heir, heir_token) = world.person("Hal", &["owner"]).await;
        let (id, key) = world.exporter("exporter").await;
        let path = format!("/v1/identities/{id}/transfer");
        world.post(&heir_token, &path, json!({"to": heir})).await.expect(403);
        let transfer = world.post(&world.owner, &path, json!({"to": heir})).await.expect(201).text("/id");
        assert!(world.identity_is(&id).await.body["transfer"].is_null(), "no window: the owner is there");
        world.step_without_body(&heir_token, &format!("/v1/transfers/{transfer}/decline")).await.expect(200);
        world.step_without_body(&world.owner, &format!("/v1/transfers/{transfer}/withdraw")).await.expect(200);
        world.post(&world.owner, &path, json!({"to": heir})).await.expect(201);
        world.accept(&heir_token, &id).await.expect(200);
        assert_eq!(world.identity_is(&id).await.text("/charter/owner"), heir);
        world.token(&key, &id, "production").await;
        world.post(&world.owner, &path, json!({"to": world.owner_id})).await.expect(403);
    }
}

on_both! { because "the deadlines of a leaver are claimed from the engine", by |store| World::start_with(store, &[("TENURE_TRANSFER_WINDOW", "8s"), ("TENURE_LAPSED_GRACE", "6s")]);
    async fn r91_every_identity_of_a_leaver_has_another_owner_or_stops_by_the_deadline(world: World) {
        world.hold();
        let (heir, heir_token) = world.person("Hal", &["owner"]).await;
        let leaver = world.leaver(&world.manager_id, Some(&heir), 30).await;
        world.step(&world.admin, &format!("/v1/people/{}/depart", leaver.id)).await.expect(200);
        let (taken, left) = leaver.owned.split_at(12);
        // No gap: what is owned goes on in its window.
        let (id, key) = &left[0];
        let token = world.token(key, id, "production").await;
        assert!(world.is_live(&token).await);
        for (id, _) in taken {
            world.accept(&heir_token, id).await.expect(200);
        }
        world.pass(8).await;
        for (id, _) in left {
            world.until_state(id, "suspended").await;
            let identity = world.identity_is(id).await;
            assert_eq!((identity.text("/suspensions/0/kind"), &identity.body["transfer"]), ("transfer_lapsed".into(), &Value::Null));
        }
        assert!(!world.is_live(&token).await);
        for (id, key) in taken {
            let identity = world.identity_is(id).await;
            assert_eq!((identity.text("/state"), identity.text("/charter/owner")), ("active".into(), heir.clone()));
            world.token(key, id, "production").await;
        }
        // Security releases nothing that has no owner; who takes it lets it go on.
        world.step(&world.security, &format!("/v1/identities/{id}/resume")).await.expect(403);
        world.post(&world.security, &format!("/v1/identities/{id}/transfer"), json!({"to": heir})).await.expect(201);
        world.accept(&heir_token, id).await.expect(200);
        assert_eq!(world.identity_is(id).await.text("/state"), "active");
        world.pass(6).await;
        for (id, _) in &left[1..] {
            world.until_state(id, "retired").await;
        }
        let lapsed = world.get(&world.security, &format!("/v1/transfers?from={}&state=lapsed", leaver.id)).await.expect(200);
        assert_eq!(lapsed.body["items"].as_array().unwrap().len(), 18);
        assert_eq!(world.identity_is(id).await.text("/state"), "active", "what was taken in time stays");
    }
}

on_one! { by |store| World::start_with(store, &[("TENURE_TRANSFER_WINDOW", "3s"), ("TENURE_LAPSED_GRACE", "3s")]);
    async fn d09_no_row_of_a_feed_makes_a_record_that_cannot_be_read(world: World) {
        // One day before the end of what can be written, whose last day ends after it.
        for (class, outcome) in [("employee", 200), ("contractor", 422)] {
            let text = format!("key,name,class,ends_at\n{class},Ada,{class},9999-12-30\n");
            let answer = world.csv("source=hr", &text).await.expect(outcome);
            assert_eq!(answer.field_codes(), if outcome == 422 { vec!["time_too_far"] } else { vec![] });
        }
        for end in ["9998-12-31", "9999-12-31T23:59:59Z", "9999-12-31"] {
            let text = format!("key,name,class,ends_at\nx,Ada,contractor,{end}\n");
            assert_eq!(world.csv("source=hr", &text).await.expect(422).field_codes(), ["time_too_far"], "{end}");
        }
        world.csv("source=hr", "key,name,class,ends_at\nlate,Ann,contractor,9998-12-30\n").await.expect(200);
        assert_eq!(world.of_source("hr", "late").await["ends_at"], "9998-12-31T00:00:00Z");
        // By hand and on a charter, too: what is beyond is told, and nothing is written.
        let before = world.changes().await;
        let person = json!({"name": "Cy", "class": "contractor", "ends_at": "9999-12-31T00:00:00Z"});
        let told = world.post(&world.admin, "/v1/people", person).await.expect(400);
        assert!(told.body.to_string().contains("9999-12-30T22:00:00Z"), "{}", told.body);
        assert_eq!(world.changes().await, before);
        let last = json!({"name": "Cy", "class": "contractor", "ends_at": "9999-12-30T22:00:00Z"});
        let cy = world.post(&world.admin, "/v1/people", last).await.expect(201).text("/id");
        assert_eq!(world.person_is(&cy).await.text("/ends_at"), "9999-12-30T22:00:00Z");
        world.get(&world.security, "/v1/people").await.expect(200);
        for step in ["suspend", "depart"] {
            world.step(&world.security, &format!("/v1/people/{cy}/{step}")).await.expect(200);
        }
        world.csv("source=hr", "key,name,class,ends_at\nlate,Anna,contractor,9998-12-30\n").await.expect(200);
    }

    async fn d10_the_last_day_of_the_calendar_is_no_end(world: World) {
        let text = "key,name,class,ends_at\n1,Ada,employee,9999-12-31\n2,Bo,,9999-12-31T23:59:59Z\n";
        world.csv("source=hr", text).await.expect(200);
        for key in ["1", "2"] {
            assert_eq!(world.of_source("hr", key).await["ends_at"], Value::Null);
        }
        let again = world.csv("source=hr", text).await.expect(200);
        assert_eq!(again.body["unchanged"], 2, "{}", again.body);
        let starts = world.csv("source=hr", "key,name,class,starts_at,ends_at\n3,Cy,contractor,9999-12-31,9999-12-31\n").await.expect(422);
        let fields: Vec<_> = starts.body["fields"].as_array().unwrap().iter().map(|field| field["field"].clone()).collect();
        assert_eq!(fields, ["lines[2].starts_at", "lines[2].ends_at"], "one problem a cell: {}", starts.body);
    }

    async fn r91_what_nobody_takes_stops_and_later_retires(world: World) {
        world.hold();
        let leaver = world.leaver(&world.manager_id, None, 1).await;
        world.step(&world.admin, &format!("/v1/people/{}/depart", leaver.id)).await.expect(200);
        let (id, key) = &leaver.owned[0];
        world.pass(3).await;
        world.until_state(id, "suspended").await;
        assert_eq!(world.ask_token(key, id, "production").await.expect(400).code(), "identity_suspended");
        world.pass(3).await;
        world.until_state(id, "retired").await;
    }
}

in_real_time! {
    r78_a_new_hire_of_the_feed_is_active_from_the_start_on on World::binary(Store::Sqlite, &[]);
    r91_what_nobody_takes_stops_and_later_retires on World::binary(Store::Sqlite, &[("TENURE_TRANSFER_WINDOW", "3s"), ("TENURE_LAPSED_GRACE", "3s")]);
}

on_one! { by |store| World::start_with(store, &[("TENURE_WRITE_BUDGET_KIB", "100")]);
    async fn a10_what_an_importing_identity_changes_is_bounded_as_what_a_person_does(world: World) {
        world.hold();
        let token = world.good_for(&world.tenure().await, "import").await;
        let hand_in = async |round: u32| {
            let people: Vec<Value> = (0..60).map(|n| json!({"key": n.to_string(), "name": format!("{round} {}", "x".repeat(100))})).collect();
            world.post(&token, "/v1/people/import", json!({"source": "hr", "people": people})).await
        };
        hand_in(0).await.expect(200);
        world.pass(60).await;
        let mut refused = None;
        for round in 1..6 {
            let answer = hand_in(round).await;
            if answer.status != 200 {
                refused = Some(answer);
                break;
            }
        }
        let refused = refused.expect("the budget is never spent").expect(429);
        assert_eq!(refused.code(), "budget_spent");
        // It is the identity's alone, and of a minute: handed in again, the feed goes on.
        world.post(&world.admin, "/v1/people", json!({"name": "Ida"})).await.expect(201);
        world.pass(60).await;
        hand_in(9).await.expect(200);
    }
}
