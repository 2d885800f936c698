//! What every handler keeps: a request that is sent twice is carried out once, each request can be found in the log,
//! and the document says it all.

use reqwest::Method;
use serde_json::{Value, json};

use crate::on_one;
use crate::world::{Answer, World};

impl World {
    /// A request under an idempotency key.
    async fn once(&self, token: &str, key: &str, path: &str, body: &Value) -> Answer {
        let request = self.http.post(format!("{}{path}", self.server.url)).bearer_auth(token);
        Self::answer(request.header("idempotency-key", key).json(body)).await
    }

    async fn applications(&self, name: &str) -> usize {
        let page = self.get(&self.admin, &format!("/v1/applications?name={name}")).await.expect(200);
        page.body["items"].as_array().unwrap().len()
    }
}

fn application(world: &World, name: &str) -> Value {
    json!({"name": name, "owner": world.owner_id})
}

on_one! {
    async fn what_is_sent_twice_is_done_once_and_answered_twice(world: World) {
        let body = application(&world, "acme");
        let first = world.once(&world.admin, "k-1", "/v1/applications", &body).await.expect(201);
        assert!(!first.headers.contains_key("idempotency-replayed"));
        let again = world.once(&world.admin, "k-1", "/v1/applications", &body).await.expect(201);
        assert_eq!((&again.body, &again.headers["etag"], &again.headers["idempotency-replayed"]), (&first.body, &first.headers["etag"], &"true".parse().unwrap()));
        // In quotes it is the same key (RFC 8941 §3.3.3).
        assert_eq!(world.once(&world.admin, "\"k-1\"", "/v1/applications", &body).await.expect(201).body, first.body);
        assert_eq!(world.applications("acme").await, 1);
        // The key stands for that request, at that address, of that caller.
        let other = world.once(&world.admin, "k-1", "/v1/applications", &application(&world, "other")).await.expect(422);
        assert_eq!(other.code(), "idempotency_key_reused");
        let (bert, second) = world.person("Bert", &["administrator"]).await;
        assert_eq!(world.once(&second, "k-1", "/v1/applications", &application(&world, "berts")).await.expect(201).text("/name"), "berts");
        let need = json!({"type": "project", "name": "acme", "owner": world.owner_id});
        world.once(&world.admin, "k-1", "/v1/needs", &need).await.expect(201);
        let request = world.http.post(format!("{}/v1/applications", world.server.url)).bearer_auth(&world.admin).header("idempotency-key", "k-1");
        let other = World::answer(request.header("content-type", "text/plain").body(body.to_string())).await.expect(422);
        assert_eq!(other.code(), "idempotency_key_reused", "in another form it is another request");
        // Without a key the name is taken.
        world.post(&world.admin, "/v1/applications", body).await.expect(409);
        // What changes the caller's own record is answered again as well.
        let own = format!("/v1/people/{bert}/change");
        let first = world.once(&second, "k-own", &own, &json!({"name": "Bert B."})).await.expect(200);
        let again = world.once(&second, "k-own", &own, &json!({"name": "Bert B."})).await.expect(200);
        assert_eq!((&again.body, again.headers.contains_key("idempotency-replayed")), (&first.body, true));
    }

    async fn e04_whom_no_policy_lets_in_learns_no_revision(world: World) {
        let (id, _) = world.exporter("exporter").await;
        let (_, stranger) = world.person("Rex", &[]).await;
        world.get(&stranger, &format!("/v1/identities/{id}")).await.expect(403);
        for step in ["submit", "activate", "suspend"] {
            let url = format!("{}/v1/identities/{id}/{step}", world.server.url);
            let body = json!({"reason": "curious", "content_hash": "v2:sha256:00", "comment": ""});
            let request = world.http.post(url).bearer_auth(&stranger).header("if-match", "\"1\"").json(&body);
            let answer = World::answer(request).await;
            assert!(answer.status != 412 && !answer.headers.contains_key("etag"), "{step}: {}", answer.body);
            assert!(!answer.body.to_string().contains("revision"), "{step}: {}", answer.body);
        }
    }

    async fn a_condition_is_part_of_the_request_that_is_repeated(world: World) {
        let id = world.person("Bo", &[]).await.0;
        let change = async |conditions: &[&str]| {
            let request = world.http.post(format!("{}/v1/people/{id}/change", world.server.url)).bearer_auth(&world.admin);
            let request = conditions.iter().fold(request.header("idempotency-key", "k"), |request, condition| request.header("if-match", *condition));
            World::answer(request.json(&json!({"name": "Bob"}))).await
        };
        let first = change(&["\"1\""]).await.expect(200);
        assert_eq!(change(&["\"1\""]).await.expect(200).body, first.body, "what was answered is answered again, though the record has moved on");
        for other in [&[][..], &["\"2\""], &["*"], &["\"1\"", "\"2\""]] {
            assert_eq!(change(other).await.expect(422).code(), "idempotency_key_reused", "{other:?}");
        }
        // One that can't be read is none, whatever was answered before.
        assert_eq!(change(&[""]).await.expect(400).code(), "request_malformed");
    }

    async fn what_was_refused_or_wrong_stands_for_nothing(world: World) {
        let wrong = json!({"name": "", "owner": world.owner_id});
        world.once(&world.admin, "k", "/v1/applications", &wrong).await.expect(422);
        world.once(&world.owner, "k", "/v1/applications", &application(&world, "acme")).await.expect(403);
        world.once("tnr_op_nobodys", "k", "/v1/applications", &application(&world, "acme")).await.expect(401);
        world.once(&world.admin, "k", "/v1/applications", &application(&world, "acme")).await.expect(201);
        for bad in ["", "a b", "\"\"", &"x".repeat(256)] {
            assert_eq!(world.once(&world.admin, bad, "/v1/applications", &application(&world, "bad")).await.expect(400).code(), "request_malformed", "{bad:?}");
        }
        assert_eq!(world.applications("bad").await, 0);
    }

    async fn a_secret_is_never_answered_twice(world: World) {
        let path = format!("/v1/people/{}/operator-tokens", world.owner_id);
        let first = world.once(&world.admin, "k", &path, &json!({})).await.expect(201);
        let again = world.once(&world.admin, "k", &path, &json!({})).await.expect(409);
        assert_eq!(again.code(), "answer_not_kept");
        assert!(!again.body.to_string().contains(&first.text("/operator_token")));
        world.get(&first.text("/operator_token"), "/v1/me").await.expect(200);
    }

    async fn of_two_at_once_one_is_carried_out(world: World) {
        let body = application(&world, "acme");
        let send = || world.once(&world.admin, "k", "/v1/applications", &body);
        let answers = futures_util::future::join_all((0..8).map(|_| send())).await;
        assert_eq!(world.applications("acme").await, 1);
        for answer in answers {
            assert!(answer.status == 201 || ["request_repeated", "answer_not_kept"].contains(&answer.code().as_str()), "{} {}", answer.status, answer.body);
        }
        world.once(&world.admin, "k", "/v1/applications", &body).await.expect(201);
    }

    async fn of_changes_to_one_revision_one_is_made(world: World) {
        let id = world.person("Bo", &[]).await.0;
        let read = world.get(&world.admin, &format!("/v1/people/{id}")).await.expect(200);
        let etag = read.headers["etag"].to_str().unwrap();
        let (path, world) = (&format!("/v1/people/{id}/change"), &world);
        let change = async |n: usize| world.at(Method::POST, &world.admin, path, Some(etag), &json!({"name": format!("Bo {n}")})).await;
        let answers = futures_util::future::join_all((0..8).map(change)).await;
        let made: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(made.len(), 1);
        for refused in answers.iter().filter(|answer| answer.status != 200) {
            assert_eq!((refused.status, refused.code().as_str()), (412, "revision_changed"), "{}", refused.body);
        }
        assert_eq!(world.events_of("person.changed", &id).await.len(), 1);
        // Somebody who may not learn of the record learns no revision either.
        let (_, stranger) = world.person("Eve", &[]).await;
        let refused = world.at(Method::POST, &stranger, path, Some("\"7\""), &json!({"name": "Eve"})).await.expect(403);
        assert!(!refused.body.to_string().contains("revision"), "{}", refused.body);
        // A method that the address doesn't take is told as that, whatever else the request says.
        for header in ["if-match", "idempotency-key"] {
            let request = world.http.request(Method::DELETE, format!("{}{path}", world.server.url)).header(header, "x");
            World::answer(request).await.expect(405);
        }
    }

    async fn each_answer_names_its_request(world: World) {
        let send = |id: Option<&str>| {
            let request = world.http.request(Method::GET, format!("{}/v1/people/nobody", world.server.url)).bearer_auth(&world.admin);
            match id {
                Some(id) => request.header("x-request-id", id),
                None => request,
            }
        };
        let answer = World::answer(send(Some("deploy-42"))).await.expect(404);
        assert_eq!((answer.text("/request_id").as_str(), answer.headers["x-request-id"].to_str().unwrap()), ("deploy-42", "deploy-42"));
        let (one, other) = (World::answer(send(None)).await.text("/request_id"), World::answer(send(None)).await.text("/request_id"));
        assert!(one != other && !one.is_empty());
        // What could forge a line of the log is no name in it: the reply bears the one that stands there.
        let forged = World::answer(send(Some("a b=\"c\""))).await;
        assert_eq!(forged.headers["x-request-id"], forged.text("/request_id"));
        assert!(!forged.text("/request_id").contains(' '));
    }

    async fn who_counts_against_a_budget_is_told_what_is_left(world: World) {
        world.hold();
        let header = |answer: &Answer, name: &str| answer.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let left = |answer: &Answer, budget: &str| -> Option<u64> {
            let list = header(answer, "ratelimit")?;
            let item = list.split(", ").find(|item| item.starts_with(&format!("\"{budget}\";")))?;
            item.split(";r=").nth(1)?.split(';').next()?.parse().ok()
        };
        let bo = world.person("Bo", &["administrator"]).await.1;
        let team = async |n: usize| world.post(&bo, "/v1/teams", json!({"name": format!("team-{n}")})).await.expect(201);
        let (first, second) = (team(1).await, team(2).await);
        assert_eq!((left(&first, "writes"), left(&second, "writes")), (Some(5_999), Some(5_998)));
        assert!(left(&first, "written").unwrap() > left(&second, "written").unwrap());
        let policy = header(&first, "ratelimit-policy").unwrap();
        assert_eq!(policy, r#""writes";q=6000;w=60, "written";q=33554432;qu="content-bytes";w=60"#);
        // What only reads counts against nothing, nor does what is answered again.
        let read = world.get(&bo, "/v1/teams").await.expect(200);
        assert_eq!((header(&read, "ratelimit"), header(&read, "ratelimit-policy")), (None, None));
        // A refusal counts against a budget of its own; who isn't let in is told nothing.
        let refused = world.post(&world.owner, "/v1/teams", json!({"name": "three"})).await.expect(403);
        assert_eq!(left(&refused, "refusals"), Some(59));
        assert_eq!(header(&world.post("tnr_op_nobodys", "/v1/teams", json!({"name": "three"})).await.expect(401), "ratelimit"), None);
        // An identity is told of what it is issued, and whoever asks about it is not.
        let (id, key) = world.exporter("exporter").await;
        let issued = world.ask_token(&key, &id, "production").await.expect(200);
        assert_eq!(left(&issued, "issuance"), Some(599));
        let denied = world.evaluate(&id, Some(&issued.text("/access_token")), "write").await.expect(200);
        assert_eq!((denied.body["decision"].clone(), header(&denied, "ratelimit")), (json!(false), None));
        let asked = world.ask(&world.owner, json!({"type": "access", "identity": id, "entitlement": {"actions": ["read"], "resource": world.orders}, "duration": "10m"}), "test").await;
        assert_eq!(left(&asked.expect(201), "asks"), Some(599));
    }

    async fn the_contract_is_for_everyone_to_read(world: World) {
        let document = world.get("", "/openapi.json").await.expect(200);
        assert_eq!(document.headers["content-type"], "application/openapi+json");
        assert_eq!(document.body, tenure_server::contract());
    }

    async fn what_has_a_name_is_called_by_it(world: World) {
        let (id, _) = world.exporter("billing-exporter").await;
        let by_name = world.get(&world.admin, "/v1/identities/billing-exporter").await.expect(200);
        assert_eq!(by_name.body, world.get(&world.admin, &format!("/v1/identities/{id}")).await.expect(200).body);
        // A reply names what it holds the ids of.
        assert_eq!((&by_name.body["names"][&id], &by_name.body["names"][&world.owner_id]), (&json!("billing-exporter"), &json!("Olu")));
        let page = world.get(&world.admin, "/v1/identities?limit=1").await.expect(200);
        assert!(page.body["names"].as_object().unwrap().contains_key(&world.owner_id), "{}", page.body);
        let resource = world.get(&world.admin, &format!("/v1/resources/{}", world.orders)).await.expect(200).text("/uri");
        let encoded = resource.replace(':', "%3A").replace('/', "%2F");
        assert_eq!(world.get(&world.admin, &format!("/v1/resources/{encoded}")).await.expect(200).text("/id"), world.orders);
        // People by name or e-mail address, be it written otherwise; whose name two bear is asked back.
        assert_eq!(world.get(&world.admin, "/v1/people/olu").await.expect(200).text("/id"), world.owner_id);
        let twin = json!({"name": "Ada Twin", "email": "first@example.com"});
        let first = world.post(&world.admin, "/v1/people", twin).await.expect(201).text("/id");
        let second = world.post(&world.admin, "/v1/people", json!({"name": "Ada Twin"})).await.expect(201).text("/id");
        let ambiguous = world.get(&world.admin, "/v1/people/ada%20twin").await.expect(422);
        assert_eq!(ambiguous.field_codes(), ["name_ambiguous"]);
        let asked = ambiguous.body["fields"][0]["hint"].as_str().unwrap();
        assert!(asked.contains(&first) && asked.contains(&second) && asked.contains("first@example.com"), "{asked}");
        assert_eq!(world.get(&world.admin, "/v1/people/First@example.com").await.expect(200).text("/id"), first);
        // An unknown name is answered as an unknown id is: whether it is there, is not everybody's to learn.
        let stranger = world.person("Eve", &[]).await.1;
        for name in ["nobody-bears-it", "per_00000000000000000000000000"] {
            let (admin, eve) = (world.get(&world.admin, &format!("/v1/people/{name}")).await, world.get(&stranger, &format!("/v1/people/{name}")).await);
            assert_eq!((admin.status, eve.status), (404, 403), "{name}");
        }
        // Nor is a name that an identity has, to whoever may not read it.
        for path in ["", "/posture", "/transfer"] {
            let ask = async |name: &str| {
                let path = format!("/v1/identities/{name}{path}");
                let mut answer = if path.ends_with("transfer") {
                    world.post(&stranger, &path, json!({"to": first, "reason": "mine"})).await
                } else {
                    world.get(&stranger, &path).await
                };
                answer.body.as_object_mut().unwrap().remove("request_id");
                (answer.status, answer.body)
            };
            assert_eq!(ask("billing-exporter").await, ask("nobody-bears-it").await, "{path}");
        }
    }

    async fn the_command_line_takes_names_and_shows_them(world: World) {
        let (id, _) = world.exporter("billing-exporter").await;
        let folder = tempfile::tempdir().unwrap();
        let run = |arguments: &[&str]| {
            let output = world.by_hand(&world.admin, folder.path(), arguments, None);
            (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
        };
        let (code, shown, _) = run(&["identity", "show", "billing-exporter"]);
        assert!(code == Some(0) && shown.contains(&id) && shown.contains(&format!("Olu ({})", world.owner_id)), "{shown}");
        let (code, shown, _) = run(&["identity", "list", "--owner", "olu"]);
        assert!(code == Some(0) && shown.contains("billing-exporter") && shown.contains("Olu") && !shown.contains("idn_"), "{shown}");
        let (_, shown, _) = run(&["identity", "list", "--owner=Olu", "--ids"]);
        assert!(shown.contains(&id) && shown.contains(&world.owner_id), "{shown}");
        let hold = ["hold", "place", "owner", "Olu", "--reason", "drill", "--yes"];
        let held = world.by_hand(&world.security, folder.path(), &hold, None);
        let shown = String::from_utf8(held.stdout).unwrap();
        assert!(held.status.success() && shown.contains(&world.owner_id), "{shown}");
        // Help is there beside a name, too.
        let (code, shown, said) = run(&["person", "show", "Olu", "--help"]);
        assert!(code == Some(0) && shown.contains("Usage:"), "{shown}{said}");
        let (code, _, said) = run(&["identity", "show", "nobody-bears-it"]);
        assert!(code != Some(0) && said.contains("no such"), "{said}");
    }
}
