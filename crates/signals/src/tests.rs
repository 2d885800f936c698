//! Nothing that anybody may send stops an adapter, and whatever one says keeps to its bounds.

use proptest::prelude::*;
use serde_json::{Map, Number, Value, json};
use tenure_core::signal::{Format, MAX_SUBJECT, Word};

use crate::words::{Headers, MAX_FACT, MAX_FACTS, MAX_WORDS};
use crate::{read, read_set};

const FORMATS: [Format; 5] = [Format::Github, Format::Gitlab, Format::Kubernetes, Format::CloudEvents, Format::Set];
const EVENTS: [&str; 6] = ["push", "workflow_run", "repository", "release", "deployment", "ping"];

/// The members and the values by which the adapters go, so that random payloads get past the first check.
const NAMES: [&str; 60] = [
    "action",
    "after",
    "api_version",
    "apiVersion",
    "kind",
    "items",
    "type",
    "object",
    "metadata",
    "name",
    "namespace",
    "spec",
    "template",
    "containers",
    "image",
    "status",
    "stage",
    "verb",
    "objectRef",
    "resource",
    "apiGroup",
    "responseStatus",
    "code",
    "responseObject",
    "requestObject",
    "repository",
    "id",
    "full_name",
    "owner",
    "login",
    "workflow_run",
    "changes",
    "from",
    "ref",
    "commits",
    "removed",
    "modified",
    "added",
    "forced",
    "object_kind",
    "event_name",
    "project",
    "path_with_namespace",
    "old_path_with_namespace",
    "object_attributes",
    "release",
    "tag_name",
    "deployment",
    "environment",
    "specversion",
    "source",
    "subject",
    "data",
    "time",
    "events",
    "sub_id",
    "format",
    "uri",
    "toe",
    "default_branch",
];
const VALUES: [&str; 24] = [
    "completed",
    "deleted",
    "renamed",
    "published",
    "created",
    "acme/payments",
    "refs/heads/main",
    ".github/workflows/a.yml",
    "EventList",
    "audit.k8s.io/v1",
    "ADDED",
    "DELETED",
    "deployments",
    "apps",
    "ResponseComplete",
    "delete",
    "pipeline",
    "push",
    "success",
    "1.0",
    "dev.tenure.application.retired.v1",
    "application:payments",
    "2026-11-22T06:00:00Z",
    "opaque",
];

fn json_like() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|f| Number::from_f64(f).map_or(Value::Null, Value::Number)),
        prop::sample::select(VALUES.to_vec()).prop_map(Value::from),
        ".{0,200}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(NAMES.to_vec()), inner), 0..12).prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

fn in_bounds(words: &[Word]) {
    assert!(words.len() <= MAX_WORDS);
    for word in words {
        assert!((1..=MAX_SUBJECT).contains(&word.subject.id.len()));
        assert!(!word.subject.id.contains(char::is_control));
        assert!(word.facts.len() <= MAX_FACTS);
        for value in word.facts.values() {
            assert!(
                value.as_str().is_none_or(|text| text.len() <= MAX_FACT) && !value.is_object() && !value.is_array()
            );
        }
    }
}

fn everywhere(body: &[u8]) {
    for format in FORMATS {
        for event in EVENTS {
            let kind = if format == Format::CloudEvents { "application/cloudevents+json" } else { "application/json" };
            let headers = [("x-github-event", event), ("content-type", kind)];
            match read(format, &Headers(&headers), body) {
                Ok(words) => in_bounds(&words),
                Err(error) => assert!(error.to_string().len() < 1_000 && !error.code().is_empty()),
            }
        }
    }
}

proptest! {
    #[test]
    fn bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..512)) {
        everywhere(&body);
    }

    #[test]
    fn payloads_are_read_or_refused(payload in json_like()) {
        everywhere(payload.to_string().as_bytes());
        if let Value::Object(claims) = &payload && let Ok(words) = read_set(claims) {
            in_bounds(&words);
        }
    }

    #[test]
    fn a_payload_with_one_member_replaced_is_read_or_refused(which in 0..4usize, at in any::<prop::sample::Index>(), with in json_like()) {
        let mut payload = payloads().swap_remove(which);
        let places = pointers(&payload);
        *payload.pointer_mut(&places[at.index(places.len())]).unwrap() = with;
        everywhere(payload.to_string().as_bytes());
    }
}

fn payloads() -> Vec<Value> {
    let repository = json!({"id": 1, "full_name": "acme/payments", "owner": {"login": "acme", "id": 7}, "default_branch": "main", "pushed_at": 1});
    let metadata = json!({"name": "a", "namespace": "prod", "uid": "u", "ownerReferences": [], "creationTimestamp": "2026-11-22T06:00:00Z"});
    let object = json!({"kind": "Deployment", "apiVersion": "apps/v1", "metadata": metadata, "status": {"observedGeneration": 1},
                        "spec": {"template": {"spec": {"serviceAccountName": "a", "containers": [{"image": "b"}]}}}});
    let audited = json!({"stage": "ResponseComplete", "verb": "patch", "requestURI": "/apis", "user": {"username": "ada"}, "stageTimestamp": null,
                         "objectRef": {"resource": "deployments", "namespace": "prod", "name": "a", "apiGroup": "apps"},
                         "responseStatus": {"code": 200}, "responseObject": object, "requestObject": {"spec": {"image": 1}}});
    vec![
        json!({"ref": "refs/heads/main", "after": "a", "forced": false, "repository": repository, "commits": [{"removed": [".github/workflows/a.yml"]}]}),
        json!({"object_kind": "push", "ref": "refs/heads/main", "after": "a", "project": {"id": 1, "path_with_namespace": "a/b", "ci_config_path": "x"},
               "commits": [{"modified": [".gitlab-ci.yml"]}], "total_commits_count": 1}),
        json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": [audited]}),
        json!({"specversion": "1.0", "id": "1", "source": "s", "type": "dev.tenure.application.retired.v1", "subject": "application:a", "data": {"a": 1}}),
    ]
}

fn pointers(value: &Value) -> Vec<String> {
    let mut all = vec![String::new()];
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, inner)| (name.clone(), inner)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(i, inner)| (i.to_string(), inner)).collect(),
        _ => Vec::new(),
    };
    for (name, inner) in inner {
        all.extend(pointers(inner).into_iter().map(|rest| format!("/{name}{rest}")));
    }
    all
}

#[test]
fn an_error_quotes_nothing_of_the_body() {
    let body = json!({"object_kind": {"secret": "hunter2"}}).to_string();
    let refused = read(Format::Gitlab, &Headers(&[]), body.as_bytes()).unwrap_err().to_string();
    let named = json!({"object_kind": "pipeline", "project": "hunter2", "object_attributes": {}}).to_string();
    let named = read(Format::Gitlab, &Headers(&[]), named.as_bytes()).unwrap_err().to_string();
    for text in [refused, named] {
        assert!(!text.contains("hunter2") && text.contains("line 1"), "{text}");
    }
    assert!(read(Format::Set, &Headers(&[]), b"{}").is_err(), "a token is read by its verified claims alone");
    assert!(read_set(&Map::new()).is_err());
}
