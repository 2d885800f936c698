//! Kubernetes: audit events as the webhook backend sends them (`EventList`, audit.k8s.io/v1), and watch events.
//!
//! A batch carries what many people did. None of them may be able to spoil it for the others: objects are read only if
//! they are of a kind that the API server itself gives a shape to, never those of custom resources, whose shape and
//! depth are their authors' choice; and a workload whose name is too long to be a subject is left out rather than
//! refused with everything around it.

mod object;

use serde::Deserialize;
use serde_json::value::RawValue;
use tenure_core::base::time::Timestamp;
use tenure_core::signal::{MAX_SUBJECT, SignalKind, SubjectKind, Word};

use self::object::{Object, Workload, touches_account_or_image};
use crate::words::{AdapterError, instant, unreadable, word};

/// Who makes the jobs of cron jobs: runs, not workloads of their own.
const CRON: &str = "system:serviceaccount:kube-system:cronjob-controller";

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default)]
    kind: Option<String>,
    #[serde(default, rename = "apiVersion")]
    api_version: Option<String>,
    #[serde(default, borrow)]
    items: Option<Vec<&'a RawValue>>,
    #[serde(default, rename = "type")]
    change: Option<String>,
    #[serde(default, borrow)]
    object: Option<&'a RawValue>,
}

pub(crate) fn read(body: &[u8]) -> Result<Vec<Word>, AdapterError> {
    let expected = "an EventList of audit.k8s.io/v1, or watch events";
    let mut words = Vec::new();
    let mut seen = false;
    for envelope in serde_json::Deserializer::from_slice(body).into_iter::<Envelope<'_>>() {
        let envelope = envelope.map_err(|e| unreadable(expected, &e))?;
        seen = true;
        match (envelope.kind.as_deref(), envelope.api_version.as_deref(), envelope.change.as_deref()) {
            (Some("EventList"), Some("audit.k8s.io/v1"), None) => {
                for item in envelope.items.unwrap_or_default() {
                    let event = serde_json::from_str(item.get()).map_err(|e| unreadable("an audit event", &e))?;
                    audited(&event, &mut words)?;
                }
            }
            (None, None, Some(change)) => watched(change, envelope.object, &mut words)?,
            _ => return Err(AdapterError::Member { path: "kind", expected }),
        }
    }
    if !seen {
        return Err(AdapterError::Member { path: "kind", expected });
    }
    words.retain(|word| word.subject.id.len() <= MAX_SUBJECT);
    Ok(words)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Audited<'a> {
    stage: String,
    verb: String,
    #[serde(default, rename = "requestURI")]
    request_uri: String,
    #[serde(default)]
    user: User,
    #[serde(default)]
    object_ref: Option<ObjectRef>,
    #[serde(default)]
    response_status: Option<Status>,
    #[serde(default, borrow)]
    request_object: Option<&'a RawValue>,
    #[serde(default, borrow)]
    response_object: Option<&'a RawValue>,
    #[serde(default)]
    stage_timestamp: Option<String>,
}

#[derive(Default, Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectRef {
    #[serde(default)]
    resource: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    api_group: String,
    #[serde(default)]
    subresource: String,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}

fn audited(event: &Audited<'_>, words: &mut Vec<Word>) -> Result<(), AdapterError> {
    let Some(about) = &event.object_ref else { return Ok(()) };
    let Some(workload) =
        Workload::of_resource(&about.api_group, &about.resource).filter(|_| about.subresource.is_empty())
    else {
        return Ok(());
    };
    let code = event.response_status.as_ref().map_or(0, |status| status.code);
    if event.stage != "ResponseComplete" || !(200..300).contains(&code) || is_dry_run(event) {
        return Ok(());
    }
    let at = instant("stageTimestamp", event.stage_timestamp.as_deref())?;
    let object = event.response_object.and_then(|raw| Object::read(raw, workload));
    let kind = match event.verb.as_str() {
        "create" => SignalKind::WorkloadCreated,
        // Applied or put where nothing was.
        "update" | "patch" if code == 201 => SignalKind::WorkloadCreated,
        "update" if workload.has_pods() => SignalKind::WorkloadChanged,
        "patch" if workload.has_pods() && event.request_object.is_none_or(touches_account_or_image) => {
            SignalKind::WorkloadChanged
        }
        "delete" => SignalKind::WorkloadRemoved,
        "deletecollection" => {
            let gone = event.response_object.map(Object::read_list).unwrap_or_default();
            words.extend(
                gone.iter()
                    .map(|object| named(workload, &about.namespace, object.name(), SignalKind::WorkloadRemoved, at)),
            );
            return Ok(());
        }
        _ => return Ok(()),
    };
    let is_run =
        workload == Workload::Job && (event.user.username == CRON || object.as_ref().is_some_and(Object::is_owned));
    let name = Some(about.name.as_str()).filter(|name| !name.is_empty()).or_else(|| object.as_ref().map(Object::name));
    let Some(name) = name.filter(|_| !is_run) else {
        return Ok(());
    };
    let mut said = named(workload, &about.namespace, name, kind, at);
    if let Some(object) = object.filter(|_| kind != SignalKind::WorkloadRemoved) {
        said = object.facts(workload, &about.namespace).on(said);
    }
    words.push(said);
    Ok(())
}

/// Whether nothing was done at all: asked for in the address, or in the options of a deletion.
fn is_dry_run(event: &Audited<'_>) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Options {
        #[serde(default)]
        dry_run: Option<Vec<String>>,
    }
    let asked = |raw: &RawValue| {
        serde_json::from_str::<Options>(raw.get()).is_ok_and(|o| o.dry_run.is_some_and(|d| !d.is_empty()))
    };
    event.request_uri.contains("dryRun=")
        || (event.verb.starts_with("delete") && event.request_object.is_some_and(asked))
}

fn watched(change: &str, object: Option<&RawValue>, words: &mut Vec<Word>) -> Result<(), AdapterError> {
    match change {
        "ADDED" | "MODIFIED" | "DELETED" => {}
        "BOOKMARK" | "ERROR" => return Ok(()),
        _ => {
            return Err(AdapterError::Member { path: "type", expected: "ADDED, MODIFIED, DELETED, BOOKMARK or ERROR" });
        }
    }
    let object = object.ok_or(AdapterError::Member { path: "object", expected: "the object" })?;
    let Some(workload) = Workload::of_object(object)? else {
        return Ok(());
    };
    let Some(object) = Object::read(object, workload) else {
        return Err(AdapterError::Member { path: "object", expected: "an object as the API server gives it" });
    };
    let namespace = object
        .namespace()
        .ok_or(AdapterError::Member { path: "object.metadata.namespace", expected: "the namespace" })?;
    let (kind, at) = match change {
        "ADDED" => (SignalKind::WorkloadCreated, instant("object.metadata.creationTimestamp", object.created())?),
        "DELETED" => (SignalKind::WorkloadRemoved, instant("object.metadata.deletionTimestamp", object.deleted())?),
        // Every change of a status is told of too; one that the controller hasn't seen yet is of the specification.
        "MODIFIED" if workload.has_pods() && workload != Workload::Job && !object.is_observed() => {
            (SignalKind::WorkloadChanged, None)
        }
        _ => return Ok(()),
    };
    if workload == Workload::Job && object.is_owned() {
        return Ok(());
    }
    let said = named(workload, namespace, object.name(), kind, at);
    let facts = object.facts(workload, namespace);
    words.push(if kind == SignalKind::WorkloadRemoved { said } else { facts.on(said) });
    Ok(())
}

fn named(workload: Workload, namespace: &str, name: &str, kind: SignalKind, at: Option<Timestamp>) -> Word {
    word(kind, SubjectKind::Workload, format!("{namespace}/{}/{name}", workload.as_str()), at)
}

#[cfg(test)]
mod tests;
