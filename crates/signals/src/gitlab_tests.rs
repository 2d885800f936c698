use serde_json::{Value, json};
use tenure_core::signal::{Format, SignalKind, Word};

use crate::read;
use crate::words::{AdapterError, Headers};

fn deliver(body: &Value) -> Result<Vec<Word>, AdapterError> {
    read(Format::Gitlab, &Headers(&[]), body.to_string().as_bytes())
}

fn only(body: &Value) -> Word {
    let mut words = deliver(body).unwrap();
    assert_eq!(words.len(), 1, "{words:?}");
    words.remove(0)
}

fn said(word: &Word) -> (SignalKind, String) {
    (word.kind, word.subject.to_string())
}

fn project() -> Value {
    json!({"id": 15, "name": "Payments", "path_with_namespace": "acme/tools/payments", "default_branch": "main", "ci_config_path": null})
}

fn push_of(commits: &Value) -> Value {
    let total = commits.as_array().unwrap().len();
    json!({"object_kind": "push", "event_name": "push", "ref": "refs/heads/main", "before": "0".repeat(40), "after": "a".repeat(40),
           "project_id": 15, "project": project(), "commits": commits, "total_commits_count": total})
}

#[test]
fn a_finished_pipeline_ends_its_run_and_a_going_one_does_not() {
    let of = |status: &str| {
        json!({"object_kind": "pipeline", "project": project(), "object_attributes": {"id": 31, "ref": "main", "tag": false, "sha": "abc",
               "source": "push", "status": status, "finished_at": "2026-11-22 06:00:00 UTC"}})
    };
    for status in ["success", "failed", "canceled", "skipped"] {
        let word = only(&of(status));
        assert_eq!(said(&word), (SignalKind::RunEnded, "repository:acme/tools/payments".to_owned()));
        assert_eq!(word.occurred_at.unwrap().to_string(), "2026-11-22T06:00:00Z");
        let facts = Value::Object(word.facts);
        for (name, value) in
            [("project_id", "15"), ("namespace_path", "acme/tools"), ("pipeline_id", "31"), ("ref_type", "branch")]
        {
            assert_eq!(facts[name], value, "{name}");
        }
    }
    for status in ["created", "pending", "running", "manual", "waiting_for_resource"] {
        assert_eq!(deliver(&of(status)).unwrap(), Vec::new());
    }
}

#[test]
fn a_push_counts_if_it_touches_the_definition_wherever_the_project_keeps_it() {
    for file in [".gitlab-ci.yml", "templates/build.gitlab-ci.yml", ".gitlab/ci/test.yml"] {
        let word = only(&push_of(&json!([{"added": ["a"], "modified": [file], "removed": []}])));
        assert_eq!(said(&word), (SignalKind::PipelineChanged, "repository:acme/tools/payments".to_owned()));
        assert_eq!((word.facts["changed_path"].as_str(), word.occurred_at), (Some(file), None));
    }
    assert_eq!(deliver(&push_of(&json!([{"modified": ["src/main.rs", "ci/main.yml"]}]))).unwrap(), Vec::new());
    let mut own = push_of(&json!([{"modified": ["ci/main.yml"]}]));
    own["project"]["ci_config_path"] = json!("ci/main.yml");
    assert_eq!(only(&own).kind, SignalKind::PipelineChanged);
    own["after"] = json!("0".repeat(40));
    assert_eq!(deliver(&own).unwrap(), Vec::new(), "a branch deleted");
}

#[test]
fn commits_that_are_not_listed_count_as_a_change() {
    let mut body = push_of(&json!([]));
    assert_eq!(deliver(&body).unwrap(), Vec::new());
    body["total_commits_count"] = json!(21);
    assert_eq!(only(&body).facts["changed_in_full"], "false");
    body.as_object_mut().unwrap().remove("object_kind");
    assert_eq!(only(&body).kind, SignalKind::PipelineChanged, "a system hook has only event_name");
}

#[test]
fn projects_that_end_or_move() {
    let of = |event: &str| {
        json!({"event_name": event, "created_at": "2012-07-21T07:30:58Z", "updated_at": "2012-07-21T07:38:22Z", "name": "Payments", "path": "payments",
               "path_with_namespace": "acme/payments", "project_id": 73, "project_namespace_id": 23, "old_path_with_namespace": "acme/billing"})
    };
    let gone = only(&of("project_destroy"));
    assert_eq!(said(&gone), (SignalKind::RepositoryArchived, "repository:acme/payments".to_owned()));
    assert!(!gone.facts.contains_key("namespace_id"), "project_namespace_id is not the namespace of the tokens");
    for event in ["project_rename", "project_transfer"] {
        let moved = only(&of(event));
        assert_eq!(said(&moved), (SignalKind::RepositoryMoved, "repository:acme/billing".to_owned()));
        assert_eq!(moved.facts["project_path"], "acme/payments");
    }
    let mut nameless = of("project_rename");
    nameless["old_path_with_namespace"] = json!(null);
    assert_eq!(deliver(&nameless).unwrap_err().code(), "member_unusable");
    for event in ["project_create", "project_update", "user_destroy", "group_rename", "repository_update"] {
        assert_eq!(deliver(&of(event)).unwrap(), Vec::new(), "{event}");
    }
}

#[test]
fn a_release_and_a_deployment() {
    let release = json!({"object_kind": "release", "action": "create", "tag": "v1.1", "released_at": "2026-11-22 06:00:00 UTC", "project": project()});
    assert_eq!(said(&only(&release)), (SignalKind::Released, "repository:acme/tools/payments".to_owned()));
    let deployment = json!({"object_kind": "deployment", "status": "running", "status_changed_at": "2026-11-22 08:00:00 +0200", "deployment_id": 15,
                            "environment": "review/one", "environment_tier": "staging", "project": project()});
    let word = only(&deployment);
    assert_eq!(said(&word), (SignalKind::WorkloadCreated, "workload:acme/tools/payments/review/one".to_owned()));
    assert_eq!(word.occurred_at.unwrap().to_string(), "2026-11-22T06:00:00Z");
    assert_eq!(word.facts["environment"], "review/one");
    let mut done = deployment;
    done["status"] = json!("success");
    assert_eq!(deliver(&done).unwrap(), Vec::new());
}

#[test]
fn what_cannot_be_told_is_refused_and_what_is_of_no_interest_is_not() {
    assert_eq!(deliver(&json!({"object_kind": "issue", "object_attributes": 5})).unwrap(), Vec::new());
    assert_eq!(deliver(&json!({})).unwrap_err().code(), "member_unusable");
    let mut body = push_of(&json!([{"modified": [".gitlab-ci.yml"]}]));
    body["project"]["path_with_namespace"] = json!(format!("acme/{}", "p".repeat(150)));
    assert_eq!(deliver(&body).unwrap_err().code(), "subject_too_long");
    body["project"]["path_with_namespace"] = json!("acme//payments");
    assert_eq!(deliver(&body).unwrap_err().code(), "member_unusable");
    let twice = br#"{"object_kind":"issue","object_kind":"pipeline"}"#;
    assert_eq!(read(Format::Gitlab, &Headers(&[]), twice).unwrap_err().code(), "body_unreadable");
}
