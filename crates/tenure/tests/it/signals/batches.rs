//! Deliveries in which platforms tell of several things at once (S-12).

use serde_json::{Value, json};

use super::{deliver, github_headers, received, registration, source};
use crate::on_both;

fn removal(namespace: &str, name: &str) -> Value {
    json!({"stage": "ResponseComplete", "verb": "delete", "requestURI": "/apis", "user": {"username": "ada"}, "responseStatus": {"code": 200},
        "objectRef": {"resource": "deployments", "namespace": namespace, "name": name, "apiGroup": "apps"}, "stageTimestamp": "2026-11-22T06:00:00.000000Z"})
}

fn batch(items: &[Value]) -> String {
    json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": items}).to_string()
}

on_both! { because "a delivery is known by a key that the engine holds once";
    async fn s12_nobody_keeps_a_platforms_other_words_from_being_heard(world: World) {
        let mut asked = registration(&world, "cluster", "kubernetes", "token");
        (asked["kinds"], asked["subjects"]) = (json!(["workload_removed"]), json!(["workload:prod/*"]));
        asked["rate_per_minute"] = json!(1_000);
        let cluster = source(&world, asked).await;
        let headers = vec![("content-type", "application/json".to_owned()), ("authorization", format!("Bearer {}", cluster.secret))];
        // Somebody who may do as they like in a namespace of their own, in the same batch as the end of another's
        // workload.
        let mixed = batch(&[removal("playground", "a"), removal("prod", "billing"), removal("playground", &"n".repeat(200))]);
        let taken = deliver(&world, &cluster.name, &headers, &mixed).await.expect(202);
        assert_eq!(taken.body["signals"].as_array().unwrap().len(), 1, "{}", taken.body);
        assert_eq!(taken.body["signals"][0]["subject"]["id"], "prod/deployment/billing");
        // What is all outside is refused as ever.
        let outside = deliver(&world, &cluster.name, &headers, &batch(&[removal("playground", "b")])).await;
        assert_eq!((outside.status, outside.code()), (403, "signal_outside_source".to_owned()));
        // Nor is anybody silenced by how much somebody does at once.
        let everything: Vec<Value> = (0..450).map(|n| json!({"metadata": {"name": format!("n{n}"), "namespace": "prod"}})).collect();
        let mut collection = removal("prod", "");
        (collection["verb"], collection["responseObject"]) = (json!("deletecollection"), json!({"kind": "DeploymentList", "items": everything}));
        let large = batch(&[collection, removal("prod", "ledger")]);
        let taken = deliver(&world, &cluster.name, &headers, &large).await.expect(202);
        assert_eq!(taken.body["signals"].as_array().unwrap().len(), 451);
        assert_eq!(taken.text("/signals/450/subject/id"), "prod/deployment/ledger");
        let again = deliver(&world, &cluster.name, &headers, &large).await.expect(202);
        assert_eq!(again.body["duplicate"], json!(true), "{}", again.body);

        // A push that changes one pipeline and removes another, to a source that isn't told of the ends of pipelines.
        let mut asked = registration(&world, "github", "github", "hmac");
        asked["kinds"] = json!(["pipeline_changed"]);
        let github = source(&world, asked).await;
        let push = json!({"ref": "refs/heads/main", "after": "a".repeat(40), "deleted": false, "forced": false,
            "commits": [{"added": [], "modified": [".github/workflows/build.yml"], "removed": [".github/workflows/old.yml"]}],
            "repository": {"id": 42, "full_name": "acme/payments", "owner": {"login": "acme", "id": 7}, "default_branch": "main", "pushed_at": 1_790_000_000}})
        .to_string();
        let mut headers = github_headers(&github.secret, &push);
        headers[1].1 = "push".into();
        let taken = deliver(&world, &github.name, &headers, &push).await.expect(202);
        assert_eq!(taken.body["signals"].as_array().unwrap().len(), 1, "{}", taken.body);
        assert_eq!(taken.text("/signals/0/kind"), "pipeline_changed");
        assert_eq!(received(&world).await.len(), 453);
    }
}
