//! What every handler keeps: a request that is sent twice is carried out once, each request can be found in the log, and the document says it all.

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
        let second = world.person("Bert", &["administrator"]).await.1;
        assert_eq!(world.once(&second, "k-1", "/v1/applications", &application(&world, "berts")).await.expect(201).text("/name"), "berts");
        let need = json!({"type": "project", "name": "acme", "owner": world.owner_id});
        world.once(&world.admin, "k-1", "/v1/needs", &need).await.expect(201);
        // Without a key the name is taken.
        world.post(&world.admin, "/v1/applications", body).await.expect(409);
    }

    async fn what_was_refused_or_wrong_stands_for_nothing(world: World) {
        let wrong = json!({"name": "", "owner": world.owner_id});
        world.once(&world.admin, "k", "/v1/applications", &wrong).await.expect(422);
        world.once(&world.owner, "k", "/v1/applications", &application(&world, "acme")).await.expect(403);
        world.once("", "k", "/v1/applications", &application(&world, "acme")).await.expect(401);
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
        // What could forge a line of the log is no name in it, though its sender gets it back.
        let forged = World::answer(send(Some("a b=\"c\""))).await;
        assert_eq!(forged.headers["x-request-id"], "a b=\"c\"");
        assert!(!forged.text("/request_id").contains(' '));
    }

    async fn the_contract_is_for_everyone_to_read(world: World) {
        let document = world.get("", "/openapi.json").await.expect(200);
        assert_eq!(document.headers["content-type"], "application/openapi+json");
        assert_eq!(document.body, tenure_server::contract());
    }
}
