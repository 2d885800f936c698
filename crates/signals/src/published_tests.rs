//! The adapters against what others publish: GitHub's example payloads and schemas (octokit), models of GitLab's hooks
//! (pydantic-gitlab-webhooks) and the CNCF's SDK for CloudEvents. `cargo xtask peers` installs them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tenure_core::signal::{Format, SignalKind, Word};

use crate::read;
use crate::words::{AdapterError, Headers};

const OURS: [&str; 5] = ["workflow_run", "push", "repository", "release", "deployment"];
/// GitHub itself and its Enterprise Servers.
const SITES: [&str; 6] = ["api.github.com", "ghes-31", "ghes-32", "ghes-33", "ghes-34", "ghes-35"];

#[expect(clippy::disallowed_methods, reason = "a test at the edge")]
fn peers() -> PathBuf {
    let given = std::env::var_os("TENURE_TEST_PEERS").map(PathBuf::from);
    let folder = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"));
    let there = folder.join("node_modules/@octokit/webhooks-examples").is_dir() && folder.join("venv-tests").is_dir();
    assert!(there, "the peers are missing in {}; run `cargo xtask peers`", folder.display());
    folder
}

fn say(mut command: Command, script: &str, input: &Value) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script);
    command.arg(&script).env("TENURE_TEST_PEERS", peers());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}: {}", script.display(), output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

fn github(event: &str, body: &Value) -> Result<Vec<Word>, AdapterError> {
    let headers = [("x-github-event", event), ("content-type", "application/json")];
    read(Format::Github, &Headers(&headers), body.to_string().as_bytes())
}

/// Each published example with its event.
fn examples(site: &str) -> Vec<(String, Value)> {
    let path = peers().join("node_modules/@octokit/webhooks-examples").join(site).join("index.json");
    let events: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let of = |event: &Value| -> Vec<(String, Value)> {
        let name = event["name"].as_str().unwrap().to_owned();
        event["examples"].as_array().unwrap().iter().map(|example| (name.clone(), example.clone())).collect()
    };
    events.iter().flat_map(of).collect()
}

/// The one of an event with an action that comes first.
fn first<'a>(mut published: impl Iterator<Item = &'a (String, Value)>, event: &str, action: Option<&str>) -> Value {
    let found = published.find(|(name, body)| name == event && body["action"].as_str() == action);
    found.unwrap_or_else(|| panic!("no example of {event} {action:?}")).1.clone()
}

#[test]
fn every_published_example_of_github_is_read() {
    let mut seen = 0;
    for (event, body) in SITES.iter().flat_map(|site| examples(site)) {
        let words = github(&event, &body).unwrap_or_else(|refused| panic!("{event}: {refused}"));
        let action = body["action"].as_str();
        let expected = match (event.as_str(), action) {
            ("workflow_run", Some("completed")) => Some(SignalKind::RunEnded),
            ("repository", Some("archived" | "deleted")) => Some(SignalKind::RepositoryArchived),
            ("repository", Some("renamed" | "transferred")) => Some(SignalKind::RepositoryMoved),
            ("release", Some("published")) => Some(SignalKind::Released),
            ("deployment", Some("created") | None) => Some(SignalKind::WorkloadCreated),
            _ => None,
        };
        assert_eq!(
            words.iter().map(|word| word.kind).collect::<Vec<_>>(),
            expected.into_iter().collect::<Vec<_>>(),
            "{event} {action:?}"
        );
        seen += usize::from(OURS.contains(&event.as_str()));
    }
    assert!(seen > 60, "only {seen} examples of the events that are read");
}

#[test]
fn s12_no_published_body_passes_for_another_event() {
    for (event, body) in SITES.iter().flat_map(|site| examples(site)) {
        for claimed in OURS.iter().filter(|claimed| **claimed != event) {
            // A deployment's record may name the run that made it; nothing else tells of two things at once.
            let said = github(claimed, &body).unwrap_or_default();
            assert!(said.is_empty(), "{event} passes for {claimed}: {said:?}");
        }
    }
}

#[test]
fn the_payloads_of_our_tests_are_githubs_by_its_schemas() {
    let published = examples("api.github.com");
    // The newest; the oldest ones keep to older schemas.
    let example = |event, action| first(published.iter().rev(), event, action);
    let mut push = example("push", None);
    push["ref"] = json!("refs/heads/master");
    push["created"] = json!(false);
    push["deleted"] = json!(false);
    push["after"] = json!("6113728f27ae82c7b1a177c8d03f9e96e0adf246");
    let commit = json!({"id": "6113728f27ae82c7b1a177c8d03f9e96e0adf246", "tree_id": "f9d2a07e9488b91af2641b26b9407fe22a451433", "distinct": true,
                        "message": "m", "timestamp": "2026-11-22T06:00:00Z", "url": "https://github.com/acme/payments/commit/6113728f",
                        "author": {"name": "a", "email": "a@b.example"}, "committer": {"name": "a", "email": "a@b.example"},
                        "added": [], "removed": [".github/workflows/old.yml"], "modified": []});
    push["commits"] = json!([commit]);
    push["head_commit"] = commit;
    let by_action = |action| first(published.iter(), "repository", Some(action));
    let mut archived = by_action("created");
    archived["action"] = json!("archived");
    archived["repository"]["archived"] = json!(true);
    let mut deleted = by_action("created");
    deleted["action"] = json!("deleted");
    let made = [
        ("push", push, vec![SignalKind::PipelineChanged, SignalKind::PipelineDeleted]),
        ("repository", archived, vec![SignalKind::RepositoryArchived]),
        ("repository", deleted, vec![SignalKind::RepositoryArchived]),
        ("repository", by_action("renamed"), vec![SignalKind::RepositoryMoved]),
        ("repository", by_action("transferred"), vec![SignalKind::RepositoryMoved]),
        ("workflow_run", example("workflow_run", Some("completed")), vec![SignalKind::RunEnded]),
        ("release", example("release", Some("published")), vec![SignalKind::Released]),
        ("deployment", example("deployment", Some("created")), vec![SignalKind::WorkloadCreated]),
    ];
    for (event, body, kinds) in &made {
        let said: Vec<_> = github(event, body).unwrap().iter().map(|word| word.kind).collect();
        assert_eq!(&said, kinds, "{event}");
    }
    let input: Vec<Value> =
        made.iter().map(|(event, payload, _)| json!({"event": event, "payload": payload})).collect();
    assert_eq!(say(Command::new("node"), "github.mjs", &json!(input)), json!([]));
    let broken = json!([{"event": "repository", "payload": {"action": "archived"}}]);
    assert_ne!(say(Command::new("node"), "github.mjs", &broken), json!([]), "the schemas tell nothing");
}

#[test]
fn the_payloads_of_our_tests_are_gitlabs_by_its_published_models() {
    let project = json!({
        "id": 15, "name": "Payments", "description": "", "web_url": "https://gitlab.example/acme/tools/payments", "avatar_url": null,
        "git_ssh_url": "git@gitlab.example:acme/tools/payments.git", "git_http_url": "https://gitlab.example/acme/tools/payments.git",
        "namespace": "Tools", "visibility_level": 0, "path_with_namespace": "acme/tools/payments", "default_branch": "main", "ci_config_path": null});
    let mut deliveries: Vec<Value> = serde_json::from_str(include_str!("../tests/payloads/gitlab.json")).unwrap();
    for delivery in &mut deliveries {
        if delivery["body"]["project"] == "$project" {
            delivery["body"]["project"] = project.clone();
        }
        let words = read(Format::Gitlab, &Headers(&[]), delivery["body"].to_string().as_bytes()).unwrap();
        let said: Vec<String> = words.iter().map(|word| format!("{} {}", word.kind.as_str(), word.subject)).collect();
        assert_eq!(json!(said), delivery["says"]);
    }
    let python = || Command::new(peers().join("venv-tests/bin/python3"));
    assert_eq!(say(python(), "gitlab.py", &json!(deliveries)), json!([]));
    let broken = json!([{"header": "Push Hook", "body": {"object_kind": "push"}}]);
    assert_ne!(say(python(), "gitlab.py", &broken), json!([]), "the models tell nothing");
}

#[test]
fn a_structured_event_of_the_cncf_sdk_is_read() {
    let attributes = json!({"id": "1", "source": "/cmdb", "type": "dev.tenure.vendor.terminated.v1", "subject": "vendor:initech",
                            "time": "2026-11-22T06:00:00.000Z", "data": {"contract": "C-7"}});
    let made = say(Command::new("node"), "cloud_event.mjs", &attributes);
    let headers: Vec<(String, String)> = made["headers"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap().to_owned()))
        .collect();
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let words = read(Format::CloudEvents, &Headers(&headers), made["body"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(
        (words[0].kind, words[0].subject.to_string().as_str()),
        (SignalKind::VendorTerminated, "vendor:initech")
    );
    assert_eq!(words[0].facts["contract"], "C-7");
}
