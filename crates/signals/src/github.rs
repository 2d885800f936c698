//! GitHub's webhooks.
//!
//! The signature covers the body alone, so the event's name in the header proves nothing. Whoever got hold of one
//! signed body must not be able to pass it off as another event: "label deleted" as "repository deleted". Every reader
//! therefore demands the members that only its own event has, and the reader of `repository`, which has none of its
//! own, refuses any that it doesn't know.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use tenure_core::base::time::Timestamp;
use tenure_core::signal::{SignalKind, SubjectKind, Word};

use crate::words::{AdapterError, Facts, Headers, body_of, instant, media_type, word};

/// From this many commits on, a push may have more than it lists.
const LISTED_COMMITS: usize = 2_048;
/// Where the definitions of workflows are, and of the steps that they share.
const PIPELINES: [&str; 2] = [".github/workflows/", ".github/actions/"];

pub(crate) fn read(headers: &Headers<'_>, body: &[u8]) -> Result<Vec<Word>, AdapterError> {
    let event = headers
        .get("x-github-event")
        .ok_or(AdapterError::Header { name: "x-github-event", expected: "the event's name, once" })?;
    if media_type(headers) != Some("application/json") {
        return Err(AdapterError::Header {
            name: "content-type",
            expected: "application/json: choose it in the webhook's settings",
        });
    }
    match event {
        "workflow_run" => workflow_run(body),
        "push" => push(body),
        "repository" => repository(body),
        "release" => release(body),
        "deployment" => deployment(body),
        _ => Ok(Vec::new()),
    }
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
    full_name: String,
    owner: Owner,
    #[serde(default)]
    visibility: Option<String>,
    #[serde(default)]
    default_branch: Option<String>,
    /// A number in a push, a text elsewhere.
    #[serde(default)]
    pushed_at: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Owner {
    login: String,
    id: u64,
}

impl Repository {
    /// Its name as the platform writes it, fit to be a subject.
    fn name(&self) -> Result<&str, AdapterError> {
        is_repository(&self.full_name)
            .then_some(self.full_name.as_str())
            .ok_or(AdapterError::Member { path: "repository.full_name", expected: "owner/name" })
    }

    /// What holds for everything in it, by the names of the claims of its tokens.
    fn facts(&self) -> Facts {
        Facts::default()
            .text("repository", Some(&self.full_name))
            .id("repository_id", Some(self.id))
            .text("repository_owner", Some(&self.owner.login))
            .id("repository_owner_id", Some(self.owner.id))
            .text("repository_visibility", self.visibility.as_deref())
    }

    fn word(&self, kind: SignalKind, occurred_at: Option<Timestamp>, facts: Facts) -> Result<Word, AdapterError> {
        Ok(facts.on(word(kind, SubjectKind::Repository, self.name()?.to_owned(), occurred_at)))
    }
}

fn is_repository(name: &str) -> bool {
    name.split_once('/').is_some_and(|(owner, name)| is_name(owner) && is_name(name))
}

fn is_name(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[derive(Deserialize)]
struct WorkflowRunEvent {
    action: String,
    workflow_run: WorkflowRun,
    repository: Repository,
}

#[derive(Deserialize)]
struct WorkflowRun {
    id: u64,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    run_attempt: Option<u64>,
    #[serde(default)]
    run_number: Option<u64>,
    #[serde(default)]
    head_branch: Option<String>,
    #[serde(default)]
    head_sha: Option<String>,
    #[serde(default)]
    event: Option<String>,
    #[serde(default)]
    conclusion: Option<String>,
    /// None, once a fork is gone.
    #[serde(default)]
    head_repository: Option<HeadRepository>,
    #[serde(default)]
    updated_at: Option<String>,
}

#[derive(Deserialize)]
struct HeadRepository {
    id: u64,
}

impl WorkflowRun {
    /// Whether it can't have had an identity, so that nothing ends with it: it waits for leave to run, or it is of a
    /// fork's pull request to a public repository, which anybody may open and to which the platform gives no token.
    fn had_no_identity(&self, repository: &Repository) -> bool {
        let of_pull_request = matches!(
            self.event.as_deref(),
            Some("pull_request" | "pull_request_review" | "pull_request_review_comment")
        );
        let of_fork = self.head_repository.as_ref().map(|head| head.id) != Some(repository.id);
        let public = repository.visibility.as_deref() == Some("public");
        self.conclusion.as_deref() == Some("action_required") || (of_pull_request && of_fork && public)
    }
}

fn workflow_run(body: &[u8]) -> Result<Vec<Word>, AdapterError> {
    let event: WorkflowRunEvent = body_of("a workflow_run event", body)?;
    if event.action != "completed" || event.workflow_run.had_no_identity(&event.repository) {
        return Ok(Vec::new());
    }
    let run = event.workflow_run;
    let facts = event
        .repository
        .facts()
        .id("run_id", Some(run.id))
        .id("run_attempt", run.run_attempt)
        .id("run_number", run.run_number)
        .text("workflow", run.name.as_deref())
        .text("workflow_path", run.path.as_deref())
        .text("event_name", run.event.as_deref())
        .text("sha", run.head_sha.as_deref())
        .text("head_branch", run.head_branch.as_deref())
        .text("conclusion", run.conclusion.as_deref());
    let at = instant("workflow_run.updated_at", run.updated_at.as_deref())?;
    Ok(vec![event.repository.word(SignalKind::RunEnded, at, facts)?])
}

#[derive(Deserialize)]
struct PushEvent {
    #[serde(rename = "ref")]
    reference: String,
    after: String,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    forced: bool,
    commits: Vec<Commit>,
    repository: Repository,
}

#[derive(Deserialize)]
struct Commit {
    #[serde(default)]
    added: Vec<String>,
    #[serde(default)]
    modified: Vec<String>,
    #[serde(default)]
    removed: Vec<String>,
}

fn push(body: &[u8]) -> Result<Vec<Word>, AdapterError> {
    let event: PushEvent = body_of("a push event", body)?;
    let Some(branch) = event.reference.strip_prefix("refs/heads/").filter(|_| !event.deleted) else {
        return Ok(Vec::new());
    };
    let changed = changed_pipelines(&event.commits);
    // A forced push may take away what none of its commits mentions.
    let in_full = !event.forced && event.commits.len() < LISTED_COMMITS;
    if changed.is_empty() && in_full {
        return Ok(Vec::new());
    }
    let at = event.repository.pushed_at.as_ref().and_then(serde_json::Value::as_i64).map(Timestamp::from_secs);
    let facts = event
        .repository
        .facts()
        .text("changed_ref", Some(&event.reference))
        .text("changed_path", changed.keys().next().copied())
        .id("changed_paths", u64::try_from(changed.len()).ok())
        .text("changed_in_full", Some(if in_full { "true" } else { "false" }))
        .text("changed_sha", Some(&event.after));
    let mut words = vec![event.repository.word(SignalKind::PipelineChanged, at, facts)?];
    if event.repository.default_branch.as_deref() == Some(branch) {
        let name = event.repository.name()?;
        let removed = changed.iter().filter(|(path, gone)| **gone && path.starts_with(PIPELINES[0]));
        for (path, _) in removed {
            let about = word(SignalKind::PipelineDeleted, SubjectKind::Workload, format!("{name}/{path}"), at);
            words.push(event.repository.facts().text("workflow_path", Some(path)).on(about));
        }
    }
    Ok(words)
}

/// The pipelines that a push touches, and whether each is gone after it.
fn changed_pipelines(commits: &[Commit]) -> BTreeMap<&str, bool> {
    let mut changed = BTreeMap::new();
    for commit in commits {
        let kept = commit.added.iter().chain(&commit.modified).map(|path| (path, false));
        for (path, gone) in kept.chain(commit.removed.iter().map(|path| (path, true))) {
            if PIPELINES.iter().any(|folder| path.starts_with(folder)) {
                changed.insert(path.as_str(), gone);
            }
        }
    }
    changed
}

/// Every member that a `repository` event has, and no other.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RepositoryEvent {
    action: String,
    repository: Repository,
    #[serde(default)]
    changes: Option<Changes>,
    #[serde(default, rename = "sender")]
    _sender: IgnoredAny,
    #[serde(default, rename = "organization")]
    _organization: IgnoredAny,
    #[serde(default, rename = "installation")]
    _installation: IgnoredAny,
    #[serde(default, rename = "enterprise")]
    _enterprise: IgnoredAny,
}

#[derive(Default, Deserialize)]
struct Changes {
    #[serde(default)]
    repository: Option<RepositoryChange>,
    #[serde(default)]
    owner: Option<From<OldOwner>>,
}

#[derive(Deserialize)]
struct RepositoryChange {
    #[serde(default)]
    name: Option<From<String>>,
}

#[derive(Deserialize)]
struct From<T> {
    from: T,
}

#[derive(Deserialize)]
struct OldOwner {
    #[serde(default)]
    user: Option<Owner>,
    #[serde(default)]
    organization: Option<Owner>,
}

fn repository(body: &[u8]) -> Result<Vec<Word>, AdapterError> {
    let event: RepositoryEvent = body_of("a repository event", body)?;
    let changes = event.changes.unwrap_or_default();
    let now = event.repository.name()?;
    let (owner, name) = now.split_once('/').unwrap_or_default();
    let old = match event.action.as_str() {
        // No time: the record's own is that of its last change, which may lie long before its end.
        "archived" | "deleted" => {
            let facts = event.repository.facts().text("action", Some(&event.action));
            return Ok(vec![event.repository.word(SignalKind::RepositoryArchived, None, facts)?]);
        }
        "renamed" => {
            let from = changes
                .repository
                .and_then(|r| r.name)
                .ok_or(AdapterError::Member { path: "changes.repository.name.from", expected: "the name before" })?;
            format!("{owner}/{}", from.from)
        }
        "transferred" => {
            let from = changes
                .owner
                .and_then(|o| o.from.organization.or(o.from.user))
                .ok_or(AdapterError::Member { path: "changes.owner.from", expected: "the owner before" })?;
            format!("{}/{name}", from.login)
        }
        _ => return Ok(Vec::new()),
    };
    if !is_repository(&old) {
        return Err(AdapterError::Member { path: "changes", expected: "a name before that is a repository's" });
    }
    let facts = event.repository.facts().text("action", Some(&event.action));
    Ok(vec![facts.on(word(SignalKind::RepositoryMoved, SubjectKind::Repository, old, None))])
}

#[derive(Deserialize)]
struct ReleaseEvent {
    action: String,
    release: Release,
    repository: Repository,
}

#[derive(Deserialize)]
struct Release {
    tag_name: String,
    #[serde(default)]
    published_at: Option<String>,
}

fn release(body: &[u8]) -> Result<Vec<Word>, AdapterError> {
    let event: ReleaseEvent = body_of("a release event", body)?;
    if event.action != "published" {
        return Ok(Vec::new());
    }
    let at = instant("release.published_at", event.release.published_at.as_deref())?;
    let facts = event.repository.facts().text("release", Some(&event.release.tag_name));
    Ok(vec![event.repository.word(SignalKind::Released, at, facts)?])
}

#[derive(Deserialize)]
struct DeploymentEvent {
    /// Older GitHub Enterprise Servers send none.
    #[serde(default)]
    action: Option<String>,
    deployment: Deployment,
    repository: Repository,
    #[serde(default)]
    deployment_status: Option<IgnoredAny>,
    #[serde(default)]
    environment: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Deployment {
    id: u64,
    environment: String,
    #[serde(default, rename = "ref")]
    reference: Option<String>,
    #[serde(default)]
    sha: Option<String>,
    #[serde(default)]
    created_at: Option<String>,
}

fn deployment(body: &[u8]) -> Result<Vec<Word>, AdapterError> {
    let event: DeploymentEvent = body_of("a deployment event", body)?;
    if event.deployment_status.is_some() || event.environment.is_some() {
        return Err(AdapterError::Disagrees {
            event: "deployment",
            why: "it has members of an event about a deployment's status or protection",
        });
    }
    if event.action.is_some_and(|action| action != "created") {
        return Ok(Vec::new());
    }
    let deployment = event.deployment;
    if deployment.environment.is_empty() {
        return Err(AdapterError::Member { path: "deployment.environment", expected: "the environment's name" });
    }
    let at = instant("deployment.created_at", deployment.created_at.as_deref())?;
    let subject = format!("{}/{}", event.repository.name()?, deployment.environment);
    let facts = event
        .repository
        .facts()
        .text("environment", Some(&deployment.environment))
        .id("deployment_id", Some(deployment.id))
        .text("deployed_ref", deployment.reference.as_deref())
        .text("sha", deployment.sha.as_deref());
    Ok(vec![facts.on(word(SignalKind::WorkloadCreated, SubjectKind::Workload, subject, at))])
}

#[cfg(test)]
#[path = "github_tests.rs"]
mod tests;
