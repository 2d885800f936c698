//! GitLab's webhooks and system hooks.
//!
//! What an event is stands in the body (`object_kind`, `event_name`), which a signing token covers; the header that
//! says it again is not read.

use serde::Deserialize;
use tenure_core::base::time::Timestamp;
use tenure_core::signal::{SignalKind, SubjectKind, Word};

use crate::words::{AdapterError, Facts, body_of, word};

/// The pipeline's definition unless the project says otherwise, and the ending of the files that it includes by
/// convention.
const PIPELINE: &str = ".gitlab-ci.yml";
/// Where its parts are by convention.
const PIPELINE_PARTS: &str = ".gitlab/ci/";

#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    object_kind: Option<String>,
    #[serde(default)]
    event_name: Option<String>,
}

pub(crate) fn read(body: &[u8]) -> Result<Vec<Word>, AdapterError> {
    let kind: Kind = body_of("a GitLab event", body)?;
    match (kind.object_kind.as_deref(), kind.event_name.as_deref()) {
        (Some("pipeline"), _) => pipeline(body),
        (Some("push"), _) | (None, Some("push")) => push(body),
        (Some("release"), _) => release(body),
        (Some("deployment"), _) => deployment(body),
        (None, Some("project_destroy")) => project_destroyed(body),
        (None, Some("project_rename" | "project_transfer")) => project_moved(body),
        (None, None) => Err(AdapterError::Member {
            path: "object_kind",
            expected: "the event's kind, as every GitLab event has it here or in event_name",
        }),
        _ => Ok(Vec::new()),
    }
}

#[derive(Deserialize)]
struct Project {
    id: u64,
    path_with_namespace: String,
    #[serde(default)]
    ci_config_path: Option<String>,
}

impl Project {
    /// The word on this project, or on something inside it.
    fn word(
        &self,
        kind: SignalKind,
        inside: Option<&str>,
        occurred_at: Option<Timestamp>,
        facts: Facts,
    ) -> Result<Word, AdapterError> {
        let path = is_path(&self.path_with_namespace, "project.path_with_namespace")?;
        let about = match inside {
            Some(name) => word(kind, SubjectKind::Workload, format!("{path}/{name}"), occurred_at),
            None => word(kind, SubjectKind::Repository, path.to_owned(), occurred_at),
        };
        Ok(facts.on(about))
    }

    fn facts(&self) -> Facts {
        facts(self.id, &self.path_with_namespace)
    }

    /// Whether a file is part of the pipeline's definition.
    fn is_pipeline(&self, file: &str) -> bool {
        // `path@group/project` is a definition in another project.
        let given = self.ci_config_path.as_deref().and_then(|path| path.split('@').next());
        let main = given.filter(|path| !path.is_empty()).unwrap_or(PIPELINE);
        file == main || file.ends_with(PIPELINE) || file.starts_with(PIPELINE_PARTS)
    }
}

/// What holds for everything in a project, by the names of the claims of its tokens. The namespace's id is in no
/// payload (`project_namespace_id` is another number).
fn facts(id: u64, path: &str) -> Facts {
    Facts::default()
        .id("project_id", Some(id))
        .text("project_path", Some(path))
        .text("namespace_path", path.rsplit_once('/').map(|(namespace, _)| namespace))
}

fn is_path<'a>(path: &'a str, at: &'static str) -> Result<&'a str, AdapterError> {
    let fits = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    if path.contains('/') && path.split('/').all(fits) {
        Ok(path)
    } else {
        Err(AdapterError::Member { path: at, expected: "namespace/project" })
    }
}

/// Times as GitLab writes them: RFC 3339, or with spaces and a zone's name or offset.
fn time(path: &'static str, text: Option<&str>) -> Result<Option<Timestamp>, AdapterError> {
    let Some(text) = text else { return Ok(None) };
    let plain = text.replace(" UTC", "Z").replace(" +", "+").replace(" -", "-");
    crate::words::instant(path, Some(&plain))
}

#[derive(Deserialize)]
struct PipelineEvent {
    object_attributes: Pipeline,
    project: Project,
}

#[derive(Deserialize)]
struct Pipeline {
    id: u64,
    status: String,
    #[serde(default, rename = "ref")]
    reference: Option<String>,
    #[serde(default)]
    tag: Option<bool>,
    #[serde(default)]
    sha: Option<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    finished_at: Option<String>,
}

fn pipeline(body: &[u8]) -> Result<Vec<Word>, AdapterError> {
    let event: PipelineEvent = body_of("a pipeline event", body)?;
    let run = event.object_attributes;
    if !matches!(run.status.as_str(), "success" | "failed" | "canceled" | "skipped") {
        return Ok(Vec::new());
    }
    let facts = event
        .project
        .facts()
        .id("pipeline_id", Some(run.id))
        .text("pipeline_source", run.source.as_deref())
        .text("ref", run.reference.as_deref())
        .text("ref_type", run.tag.map(|tag| if tag { "tag" } else { "branch" }))
        .text("sha", run.sha.as_deref())
        .text("conclusion", Some(&run.status));
    let at = time("object_attributes.finished_at", run.finished_at.as_deref())?;
    Ok(vec![event.project.word(SignalKind::RunEnded, None, at, facts)?])
}

#[derive(Deserialize)]
struct PushEvent {
    #[serde(rename = "ref")]
    reference: String,
    after: String,
    project: Project,
    #[serde(default)]
    commits: Vec<Commit>,
    #[serde(default)]
    total_commits_count: Option<u64>,
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
    let deleted = event.after.bytes().all(|b| b == b'0');
    if deleted || !event.reference.starts_with("refs/heads/") {
        return Ok(Vec::new());
    }
    let files = event.commits.iter().flat_map(|c| c.added.iter().chain(&c.modified).chain(&c.removed));
    let changed: Vec<&String> = files.filter(|file| event.project.is_pipeline(file)).collect();
    // Twenty commits are listed at most, and none in a system hook: what isn't listed may have changed it.
    let listed = u64::try_from(event.commits.len()).unwrap_or(u64::MAX);
    let in_full = event.total_commits_count.is_none_or(|total| total <= listed);
    if changed.is_empty() && in_full {
        return Ok(Vec::new());
    }
    let facts = event
        .project
        .facts()
        .text("changed_ref", Some(&event.reference))
        .text("changed_path", changed.first().map(|file| file.as_str()))
        .text("changed_in_full", Some(if in_full { "true" } else { "false" }))
        .text("changed_sha", Some(&event.after));
    // A push has no time but those of its commits, which their authors choose.
    Ok(vec![event.project.word(SignalKind::PipelineChanged, None, None, facts)?])
}

#[derive(Deserialize)]
struct ReleaseEvent {
    action: String,
    tag: String,
    #[serde(default)]
    released_at: Option<String>,
    project: Project,
}

fn release(body: &[u8]) -> Result<Vec<Word>, AdapterError> {
    let event: ReleaseEvent = body_of("a release event", body)?;
    if event.action != "create" {
        return Ok(Vec::new());
    }
    let at = time("released_at", event.released_at.as_deref())?;
    let facts = event.project.facts().text("release", Some(&event.tag));
    Ok(vec![event.project.word(SignalKind::Released, None, at, facts)?])
}

#[derive(Deserialize)]
struct DeploymentEvent {
    status: String,
    /// None, once the environment is gone.
    #[serde(default)]
    environment: Option<String>,
    #[serde(default)]
    environment_tier: Option<String>,
    #[serde(default)]
    deployment_id: Option<u64>,
    #[serde(default)]
    status_changed_at: Option<String>,
    project: Project,
}

fn deployment(body: &[u8]) -> Result<Vec<Word>, AdapterError> {
    let event: DeploymentEvent = body_of("a deployment event", body)?;
    // One of the four that a deployment sends: its start.
    let Some(environment) = event.environment.as_deref().filter(|name| event.status == "running" && !name.is_empty())
    else {
        return Ok(Vec::new());
    };
    let at = time("status_changed_at", event.status_changed_at.as_deref())?;
    let facts = event
        .project
        .facts()
        .text("environment", Some(environment))
        .text("deployment_tier", event.environment_tier.as_deref())
        .id("deployment_id", event.deployment_id);
    let word = event.project.word(SignalKind::WorkloadCreated, Some(environment), at, facts)?;
    Ok(vec![word])
}

#[derive(Deserialize)]
struct ProjectEvent {
    project_id: u64,
    path_with_namespace: String,
    #[serde(default)]
    old_path_with_namespace: Option<String>,
    event_name: String,
}

// Neither has a time: the record's own is that of its last change.

fn project_destroyed(body: &[u8]) -> Result<Vec<Word>, AdapterError> {
    let event: ProjectEvent = body_of("a project event", body)?;
    let path = is_path(&event.path_with_namespace, "path_with_namespace")?;
    let about = word(SignalKind::RepositoryArchived, SubjectKind::Repository, path.to_owned(), None);
    Ok(vec![facts(event.project_id, path).text("action", Some(&event.event_name)).on(about)])
}

fn project_moved(body: &[u8]) -> Result<Vec<Word>, AdapterError> {
    let event: ProjectEvent = body_of("a project event", body)?;
    let path = is_path(&event.path_with_namespace, "path_with_namespace")?;
    let old = is_path(event.old_path_with_namespace.as_deref().unwrap_or_default(), "old_path_with_namespace")?;
    let about = word(SignalKind::RepositoryMoved, SubjectKind::Repository, old.to_owned(), None);
    Ok(vec![facts(event.project_id, path).text("action", Some(&event.event_name)).on(about)])
}

#[cfg(test)]
#[path = "gitlab_tests.rs"]
mod tests;
