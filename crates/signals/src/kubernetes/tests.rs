use serde_json::{Value, json};
use tenure_core::signal::{Format, SignalKind, Word};

use crate::read;
use crate::words::{AdapterError, Headers, MAX_WORDS};

fn deliver(body: &str) -> Result<Vec<Word>, AdapterError> {
    read(Format::Kubernetes, &Headers(&[]), body.as_bytes())
}

fn audit(items: &[Value]) -> Result<Vec<Word>, AdapterError> {
    deliver(&json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": items}).to_string())
}

fn said(words: &[Word]) -> Vec<(SignalKind, String)> {
    words.iter().map(|word| (word.kind, word.subject.to_string())).collect()
}

fn deployment(image: &str) -> Value {
    json!({"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "billing", "namespace": "prod", "uid": "u-1", "generation": 3,
           "creationTimestamp": "2026-11-22T05:00:00Z"}, "status": {"observedGeneration": 2},
           "spec": {"replicas": 2, "template": {"spec": {"serviceAccountName": "billing",
                    "containers": [{"name": "b", "image": image}, {"name": "a", "image": "a:1"}]}}}})
}

fn event(verb: &str, resource: &str) -> Value {
    let group = match resource {
        "serviceaccounts" => "",
        "jobs" | "cronjobs" => "batch",
        _ => "apps",
    };
    json!({"level": "RequestResponse", "auditID": "7e1", "stage": "ResponseComplete", "verb": verb,
           "requestURI": format!("/apis/apps/v1/namespaces/prod/{resource}/billing"), "user": {"username": "ada", "groups": ["dev"]},
           "sourceIPs": ["10.0.0.1"], "objectRef": {"resource": resource, "namespace": "prod", "name": "billing", "apiGroup": group, "apiVersion": "v1"},
           "responseStatus": {"metadata": {}, "code": 200}, "responseObject": deployment("b:2"),
           "requestReceivedTimestamp": "2026-11-22T06:00:00.000000Z", "stageTimestamp": "2026-11-22T06:00:00.123456Z"})
}

fn with(mut event: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap()[name] = value.clone();
    }
    event
}

#[test]
fn a_deployment_comes_changes_and_goes() {
    let created = with(event("create", "deployments"), &[("/responseStatus/code", json!(201))]);
    let words = audit(&[created, event("update", "deployments"), event("delete", "deployments")]).unwrap();
    let subject = "workload:prod/deployment/billing".to_owned();
    let kinds = [SignalKind::WorkloadCreated, SignalKind::WorkloadChanged, SignalKind::WorkloadRemoved];
    assert_eq!(said(&words), kinds.map(|kind| (kind, subject.clone())));
    assert_eq!(words[0].occurred_at.unwrap().to_string(), "2026-11-22T06:00:00.123456Z");
    let facts = Value::Object(words[1].facts.clone());
    let expected = json!({"kubernetes.io/namespace": "prod", "kubernetes.io/serviceaccount/name": "billing", "workload_uid": "u-1", "image": "a:1,b:2",
                          "sub": "system:serviceaccount:prod:billing"});
    assert_eq!(facts, expected);
    assert!(words[2].facts.is_empty());
}

#[test]
fn what_was_refused_rehearsed_or_is_not_over_does_not_count() {
    let quiet = [
        with(event("delete", "deployments"), &[("/responseStatus/code", json!(403))]),
        with(event("delete", "deployments"), &[("/stage", json!("RequestReceived"))]),
        with(
            event("delete", "deployments"),
            &[("/requestURI", json!("/apis/apps/v1/namespaces/prod/deployments/billing?dryRun=All"))],
        ),
        with(
            event("delete", "deployments"),
            &[("/requestObject", json!({"kind": "DeleteOptions", "dryRun": ["All"]}))],
        ),
        with(event("patch", "deployments"), &[("/objectRef/subresource", json!("scale"))]),
        with(event("delete", "deployments"), &[("/objectRef/apiGroup", json!("evil.example"))]),
        with(event("delete", "deployments"), &[("/objectRef/resource", json!("namespaces"))]),
        event("get", "deployments"),
        json!({"stage": "ResponseComplete", "verb": "get", "requestURI": "/healthz", "responseStatus": {"code": 200}}),
    ];
    assert_eq!(audit(&quiet).unwrap(), Vec::new());
}

#[test]
fn r77_a_patch_counts_if_it_touches_the_image_or_the_account() {
    let patched =
        |patch: Value| audit(&[with(event("patch", "deployments"), &[("/requestObject", patch)])]).unwrap().len();
    for patch in [
        json!({"spec": {"template": {"spec": {"containers": [{"name": "b", "image": "b:3"}]}}}}),
        json!({"spec": {"template": {"spec": {"serviceAccountName": "root"}}}}),
        json!({"spec": {"template": {"spec": {"containers": [{"name": "b", "$patch": "delete"}]}}}}),
        json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "b:3"}]),
        json!([{"op": "remove", "path": "/spec/template/spec/initContainers/0"}]),
        json!("apiVersion: apps/v1"),
    ] {
        assert_eq!(patched(patch.clone()), 1, "{patch}");
    }
    for patch in
        [json!({"spec": {"replicas": 5}}), json!([{"op": "replace", "path": "/metadata/labels/a", "value": "b"}])]
    {
        assert_eq!(patched(patch.clone()), 0, "{patch}");
    }
    assert_eq!(audit(&[event("patch", "deployments")]).unwrap().len(), 1, "without the request nobody can tell");
    let applied = with(event("patch", "deployments"), &[("/responseStatus/code", json!(201))]);
    assert_eq!(audit(&[applied]).unwrap()[0].kind, SignalKind::WorkloadCreated);
}

#[test]
fn a_service_account_is_known_by_its_uid() {
    let account = json!({"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "billing", "namespace": "prod", "uid": "u-9"}});
    let words = audit(&[
        with(event("create", "serviceaccounts"), &[("/responseObject", account)]),
        event("patch", "serviceaccounts"),
    ])
    .unwrap();
    assert_eq!(said(&words), [(SignalKind::WorkloadCreated, "workload:prod/serviceaccount/billing".to_owned())]);
    assert_eq!(words[0].facts["kubernetes.io/serviceaccount/uid"], "u-9");
    assert_eq!(words[0].facts["sub"], "system:serviceaccount:prod:billing");
}

#[test]
fn the_runs_of_a_cron_job_are_no_workloads_of_their_own() {
    let cron = with(
        event("create", "jobs"),
        &[("/user/username", json!("system:serviceaccount:kube-system:cronjob-controller"))],
    );
    let owned =
        with(event("create", "jobs"), &[("/responseObject/metadata/ownerReferences", json!([{"kind": "CronJob"}]))]);
    assert_eq!(audit(&[cron, owned]).unwrap(), Vec::new());
    assert_eq!(audit(&[event("create", "jobs")]).unwrap().len(), 1);
    let inner = json!({"metadata": {"name": "nightly"}, "spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [{"image": "n:1"}]}}}}}});
    let words = audit(&[with(event("create", "cronjobs"), &[("/responseObject", inner)])]).unwrap();
    assert_eq!(
        (words[0].facts["image"].as_str(), words[0].facts["kubernetes.io/serviceaccount/name"].as_str()),
        (Some("n:1"), Some("default"))
    );
}

#[test]
fn a_collection_that_was_deleted_is_named_one_by_one() {
    let list = json!({"kind": "DeploymentList", "items": [deployment("b:1"), {"metadata": {"name": "other", "namespace": "prod"}}]});
    let all =
        with(event("deletecollection", "deployments"), &[("/responseObject", list), ("/objectRef/name", json!(""))]);
    let names: Vec<_> = audit(&[all]).unwrap().iter().map(|word| word.subject.id.clone()).collect();
    assert_eq!(names, ["prod/deployment/billing", "prod/deployment/other"]);
}

#[test]
fn s12_nobody_spoils_a_batch_for_the_others() {
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    let custom = with(event("create", "deployments"), &[("/objectRef/apiGroup", json!("evil.example"))]).to_string();
    let custom = custom.replace(&deployment("b:2").to_string(), &deep);
    let long = with(event("create", "deployments"), &[("/objectRef/name", json!("n".repeat(200)))]);
    let odd = with(event("create", "deployments"), &[("/responseObject", json!({"spec": "not a specification"}))]);
    let body = format!(
        r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{custom},{long},{odd},{}]}}"#,
        event("delete", "deployments")
    );
    assert!(body.contains("[[[[[["), "the deep object is in it");
    let words = deliver(&body).unwrap();
    assert_eq!(
        words.iter().map(|word| word.kind).collect::<Vec<_>>(),
        [SignalKind::WorkloadCreated, SignalKind::WorkloadRemoved]
    );
    assert!(words[0].facts.is_empty());
}

#[test]
fn a_delivery_is_bounded() {
    let many: Vec<Value> = (0..=MAX_WORDS).map(|_| event("delete", "deployments")).collect();
    assert_eq!(audit(&many).unwrap().len(), MAX_WORDS + 1, "it is the doing of many");
    for body in [
        "",
        "{}",
        "[]",
        "1",
        r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1"}"#,
        r#"{"type":"EXPLODED","object":{}}"#,
        r#"{"type":"ADDED"}"#,
    ] {
        assert!(deliver(body).is_err(), "{body}");
    }
}

#[test]
fn watch_events_come_one_after_another() {
    let of = |change: &str, object: &Value| json!({"type": change, "object": object}).to_string();
    let mut seen = deployment("b:2");
    seen["status"]["observedGeneration"] = json!(3);
    let mut gone = deployment("b:2");
    gone["metadata"]["deletionTimestamp"] = json!("2026-11-22T06:30:00Z");
    let bookmark = json!({"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"resourceVersion": "12"}});
    let pod = json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p"}});
    let stream = [
        of("ADDED", &deployment("b:2")),
        of("MODIFIED", &deployment("b:3")),
        of("MODIFIED", &seen),
        of("ADDED", &pod),
        of("DELETED", &gone),
    ]
    .join("\n");
    let words = deliver(&stream).unwrap();
    let kinds: Vec<_> = words.iter().map(|word| word.kind).collect();
    assert_eq!(kinds, [SignalKind::WorkloadCreated, SignalKind::WorkloadChanged, SignalKind::WorkloadRemoved]);
    let times: Vec<_> = words.iter().map(|word| word.occurred_at.map(|at| at.to_string())).collect();
    assert_eq!(times, [Some("2026-11-22T05:00:00Z".to_owned()), None, Some("2026-11-22T06:30:00Z".to_owned())]);
    assert_eq!(deliver(&of("BOOKMARK", &bookmark)).unwrap(), Vec::new());
}
