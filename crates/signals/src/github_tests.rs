use serde_json::{Value, json};
use tenure_core::signal::{Format, SignalKind, Word};

use crate::read;
use crate::words::{AdapterError, Headers};

fn deliver(event: &str, body: &Value) -> Result<Vec<Word>, AdapterError> {
    let headers = [("x-github-event", event), ("content-type", "application/json")];
    read(Format::Github, &Headers(&headers), body.to_string().as_bytes())
}

fn only(event: &str, body: &Value) -> Word {
    let mut words = deliver(event, body).unwrap();
    assert_eq!(words.len(), 1, "{words:?}");
    words.remove(0)
}

fn repository() -> Value {
    json!({"id": 42, "full_name": "acme/payments", "owner": {"login": "acme", "id": 7}, "visibility": "private",
           "default_branch": "main", "pushed_at": 1_800_000_000, "archived": false})
}

fn push_of(commits: &Value) -> Value {
    json!({"ref": "refs/heads/main", "before": "0".repeat(40), "after": "a".repeat(40), "created": false, "deleted": false,
           "forced": false, "commits": commits, "repository": repository(), "pusher": {"name": "ada"}})
}

#[test]
fn the_end_of_a_run_names_the_run_as_its_tokens_do() {
    let body = json!({"action": "completed", "repository": repository(), "workflow": {}, "workflow_run": {
        "id": 99, "name": "release", "path": ".github/workflows/release.yml", "run_attempt": 2, "run_number": 5, "head_branch": "main",
        "head_sha": "abc", "event": "push", "conclusion": "failure", "updated_at": "2026-11-22T06:00:00Z"}});
    let word = only("workflow_run", &body);
    assert_eq!((word.kind, word.subject.to_string().as_str()), (SignalKind::RunEnded, "repository:acme/payments"));
    assert_eq!(word.occurred_at.unwrap().to_string(), "2026-11-22T06:00:00Z");
    let facts = Value::Object(word.facts);
    for (name, value) in [("run_id", "99"), ("run_attempt", "2"), ("repository_id", "42"), ("repository_owner_id", "7")]
    {
        assert_eq!(facts[name], value, "{name}");
    }
    assert!(facts.get("ref").is_none(), "a branch's name is no ref claim: it may be a tag's");
    let mut going_on = body;
    going_on["action"] = json!("in_progress");
    assert_eq!(deliver("workflow_run", &going_on).unwrap(), Vec::new());
}

#[test]
fn s12_a_strangers_pull_request_ends_no_run_of_ours() {
    let run = |visibility: &str, event: &str, conclusion: &str, head: &Value| {
        let mut repository = repository();
        repository["visibility"] = json!(visibility);
        let body = json!({"action": "completed", "repository": repository, "workflow_run": {
            "id": 99, "event": event, "conclusion": conclusion, "head_repository": head}});
        deliver("workflow_run", &body).unwrap().len()
    };
    let (own, fork, gone) = (json!({"id": 42}), json!({"id": 43}), json!(null));
    assert_eq!(run("public", "pull_request", "success", &fork), 0);
    assert_eq!(run("public", "pull_request", "failure", &gone), 0);
    assert_eq!(run("public", "push", "action_required", &own), 0);
    for (visibility, event, head) in [
        ("public", "pull_request", &own),
        ("public", "pull_request_target", &fork),
        ("public", "push", &own),
        // A private repository may let the pull requests of its forks have tokens.
        ("private", "pull_request", &fork),
    ] {
        assert_eq!(run(visibility, event, "success", head), 1, "{visibility} {event}");
    }
}

#[test]
fn a_push_counts_if_it_touches_a_pipeline() {
    let body = push_of(&json!([{"added": [], "modified": ["src/lib.rs"], "removed": []},
                               {"added": [], "modified": [".github/workflows/ci.yml"], "removed": []}]));
    let word = only("push", &body);
    assert_eq!(
        (word.kind, word.subject.to_string().as_str()),
        (SignalKind::PipelineChanged, "repository:acme/payments")
    );
    assert_eq!(word.occurred_at.unwrap().as_secs(), 1_800_000_000);
    assert_eq!(word.facts["changed_path"], ".github/workflows/ci.yml");
    assert_eq!(word.facts["changed_ref"], "refs/heads/main");
    let quiet = push_of(&json!([{"modified": ["src/lib.rs", "docs/.github/workflows/x.yml"]}]));
    assert_eq!(deliver("push", &quiet).unwrap(), Vec::new());
    let mut tag = body.clone();
    tag["ref"] = json!("refs/tags/v1");
    assert_eq!(deliver("push", &tag).unwrap(), Vec::new());
    let mut gone = body;
    gone["deleted"] = json!(true);
    assert_eq!(deliver("push", &gone).unwrap(), Vec::new());
}

#[test]
fn a_push_that_may_hide_something_counts_as_a_change() {
    let mut body = push_of(&json!([]));
    assert_eq!(deliver("push", &body).unwrap(), Vec::new());
    body["forced"] = json!(true);
    assert_eq!(only("push", &body).facts["changed_in_full"], "false");
    let many: Vec<Value> = (0..2_048).map(|_| json!({"modified": ["a"]})).collect();
    assert_eq!(only("push", &push_of(&json!(many))).kind, SignalKind::PipelineChanged);
}

#[test]
fn r82_a_workflow_removed_from_the_default_branch_is_a_pipeline_deleted() {
    let removed = json!([{"removed": [".github/workflows/old.yml", ".github/workflows/moved.yml"]}, {"added": [".github/workflows/moved.yml"]}]);
    let words = deliver("push", &push_of(&removed)).unwrap();
    let said: Vec<_> = words.iter().map(|word| (word.kind, word.subject.to_string())).collect();
    assert_eq!(
        said,
        [
            (SignalKind::PipelineChanged, "repository:acme/payments".to_owned()),
            (SignalKind::PipelineDeleted, "workload:acme/payments/.github/workflows/old.yml".to_owned()),
        ]
    );
    let mut elsewhere = push_of(&removed);
    elsewhere["ref"] = json!("refs/heads/feature");
    assert_eq!(only("push", &elsewhere).kind, SignalKind::PipelineChanged);
}

#[test]
fn a_moved_repository_is_named_as_charters_know_it() {
    let renamed = json!({"action": "renamed", "changes": {"repository": {"name": {"from": "billing"}}}, "repository": repository(), "sender": {}});
    let word = only("repository", &renamed);
    assert_eq!(
        (word.kind, word.subject.to_string().as_str()),
        (SignalKind::RepositoryMoved, "repository:acme/billing")
    );
    assert_eq!(word.facts["repository"], "acme/payments");
    for owner in ["user", "organization"] {
        let transferred = json!({"action": "transferred", "changes": {"owner": {"from": {owner: {"login": "initech", "id": 1}}}},
                                 "repository": repository()});
        let word = only("repository", &transferred);
        assert_eq!(word.subject.to_string(), "repository:initech/payments");
        assert_eq!(word.facts["repository_owner_id"], "7");
    }
    let unnamed = json!({"action": "renamed", "repository": repository()});
    assert_eq!(deliver("repository", &unnamed).unwrap_err().code(), "member_unusable");
    let odd =
        json!({"action": "renamed", "changes": {"repository": {"name": {"from": "a/b"}}}, "repository": repository()});
    assert_eq!(deliver("repository", &odd).unwrap_err().code(), "member_unusable");
}

#[test]
fn archived_and_deleted_repositories_end() {
    for action in ["archived", "deleted"] {
        let word = only(
            "repository",
            &json!({"action": action, "repository": repository(), "organization": {}, "enterprise": {}}),
        );
        assert_eq!((word.kind, word.occurred_at), (SignalKind::RepositoryArchived, None));
    }
    for action in ["created", "edited", "unarchived", "publicized"] {
        assert_eq!(deliver("repository", &json!({"action": action, "repository": repository()})).unwrap(), Vec::new());
    }
}

#[test]
fn s12_a_signed_body_of_another_event_is_not_taken_for_the_end_of_a_repository() {
    // The header is not signed: these are real shapes of other events, replayed under the name of this one.
    let others = [
        json!({"action": "deleted", "label": {"name": "bug"}, "repository": repository(), "sender": {}}),
        json!({"action": "deleted", "starred_at": null, "repository": repository(), "sender": {}}),
        json!({"action": "deleted", "hook_id": 1, "hook": {}, "repository": repository(), "sender": {}}),
        json!({"action": "deleted", "issue": {}, "comment": {}, "repository": repository(), "sender": {}}),
    ];
    for body in others {
        let refused = deliver("repository", &body).unwrap_err();
        assert_eq!(refused.code(), "body_unreadable", "{refused}");
    }
    let status = json!({"action": "created", "deployment_status": {}, "deployment": {"id": 1, "environment": "production"}, "repository": repository()});
    assert_eq!(deliver("deployment", &status).unwrap_err().code(), "event_disagrees");
    let job = json!({"action": "completed", "workflow_job": {"id": 1}, "repository": repository()});
    assert_eq!(deliver("workflow_run", &job).unwrap_err().code(), "body_unreadable");
}

#[test]
fn a_release_and_a_deployment() {
    let release = json!({"action": "published", "release": {"tag_name": "v2", "published_at": "2026-11-22T06:00:00Z"}, "repository": repository()});
    let word = only("release", &release);
    assert_eq!((word.kind, word.subject.to_string().as_str()), (SignalKind::Released, "repository:acme/payments"));
    let mut same = release;
    same["action"] = json!("released");
    assert_eq!(deliver("release", &same).unwrap(), Vec::new(), "GitHub says both of one release");

    let deployment = json!({"action": "created", "deployment": {"id": 3, "environment": "production", "ref": "main", "sha": "abc",
                            "created_at": "2026-11-22T06:00:00Z", "payload": {}}, "repository": repository()});
    let word = only("deployment", &deployment);
    assert_eq!(
        (word.kind, word.subject.to_string().as_str()),
        (SignalKind::WorkloadCreated, "workload:acme/payments/production")
    );
    assert_eq!(word.facts["environment"], "production");
}

#[test]
fn what_a_word_is_made_of_is_read_strictly_and_nothing_else_is() {
    let mut body = json!({"action": "published", "release": {"tag_name": "v2", "body": {"deep": [[[]]]}, "published_at": null}, "repository": repository()});
    body["something new"] = json!([1, 2, 3]);
    assert_eq!(only("release", &body).occurred_at, None);
    body["release"]["published_at"] = json!("yesterday");
    assert_eq!(deliver("release", &body).unwrap_err().code(), "member_unusable");
    body["repository"]["full_name"] = json!("acme/payments/../../other");
    body["release"]["published_at"] = json!(null);
    assert_eq!(deliver("release", &body).unwrap_err().code(), "member_unusable");
    body["repository"]["id"] = json!("42");
    assert_eq!(deliver("release", &body).unwrap_err().code(), "body_unreadable");
}

#[test]
fn a_member_given_twice_is_refused() {
    let headers = [("x-github-event", "release"), ("content-type", "application/json; charset=utf-8")];
    let twice = r#"{"action":"published","release":{"tag_name":"v1"},"repository":{"id":1,"full_name":"acme/a","full_name":"acme/b","owner":{"login":"acme","id":7}}}"#;
    assert_eq!(read(Format::Github, &Headers(&headers), twice.as_bytes()).unwrap_err().code(), "body_unreadable");
}

#[test]
fn headers_are_needed_once_and_forms_are_refused_with_a_hint() {
    let body = b"{}";
    for headers in [
        &[("content-type", "application/json")][..],
        &[("content-type", "application/json"), ("x-github-event", "push"), ("x-github-event", "ping")][..],
        &[("content-type", "application/x-www-form-urlencoded"), ("x-github-event", "push")][..],
    ] {
        assert_eq!(read(Format::Github, &Headers(headers), body).unwrap_err().code(), "header_unusable");
    }
    assert_eq!(deliver("ping", &json!({"zen": "Design for failure.", "hook_id": 1})).unwrap(), Vec::new());
}
