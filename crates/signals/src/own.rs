//! Tenure's own event types and the way that subjects are written in them, for CloudEvents and SETs alike.

use serde_json::{Map, Value};
use tenure_core::base::text::check_line;
use tenure_core::signal::{SignalKind, SignalSubject, SubjectKind};

use crate::words::{AdapterError, Facts, MAX_FACT, MAX_FACTS, shown};

/// The longest name of a fact in bytes.
const MAX_FACT_NAME: usize = 200;

/// Every subject sort.
const SUBJECTS: [SubjectKind; 8] = [
    SubjectKind::Workload,
    SubjectKind::Repository,
    SubjectKind::Application,
    SubjectKind::Vendor,
    SubjectKind::CloudAccount,
    SubjectKind::Need,
    SubjectKind::Person,
    SubjectKind::Identity,
];

/// What every type of a CloudEvent of ours begins with.
const CLOUD_EVENT: &str = "dev.tenure.";
/// What every event identifier of ours in a SET begins with.
const SET_EVENT: &str = "urn:tenure:signal:";

/// A kind's name within an event type.
const fn name(kind: SignalKind) -> &'static str {
    match kind {
        SignalKind::WorkloadCreated => "workload.created",
        SignalKind::WorkloadChanged => "workload.changed",
        SignalKind::WorkloadRemoved => "workload.removed",
        SignalKind::WorkloadDisabled => "workload.disabled",
        SignalKind::PipelineChanged => "pipeline.changed",
        SignalKind::PipelineDeleted => "pipeline.deleted",
        SignalKind::RepositoryMoved => "repository.moved",
        SignalKind::RepositoryArchived => "repository.archived",
        SignalKind::RunEnded => "run.ended",
        SignalKind::Released => "release.published",
        SignalKind::ApplicationRetired => "application.retired",
        SignalKind::VendorTerminated => "vendor.terminated",
        SignalKind::CloudAccountDeleted => "cloud_account.deleted",
        SignalKind::IntegrationRemoved => "integration.removed",
        SignalKind::EmploymentEnded => "employment.ended",
    }
}

/// The type of the CloudEvent that says this, e.g. `dev.tenure.application.retired.v1`.
pub fn cloud_event_type(kind: SignalKind) -> String {
    format!("{CLOUD_EVENT}{}.v1", name(kind))
}

/// The identifier of the event in a SET that says this, e.g. `urn:tenure:signal:application.retired:v1`.
pub fn set_event_type(kind: SignalKind) -> String {
    format!("{SET_EVENT}{}:v1", name(kind))
}

/// What a type says: nothing if it isn't ours.
pub(crate) fn kind_of(event: &str) -> Result<Option<SignalKind>, AdapterError> {
    if !event.starts_with(CLOUD_EVENT) && !event.starts_with(SET_EVENT) {
        return Ok(None);
    }
    let ours = |kind: &&SignalKind| cloud_event_type(**kind) == event || set_event_type(**kind) == event;
    // One of ours that is misspelt must not pass in silence.
    SignalKind::ALL.iter().find(ours).copied().map(Some).ok_or(AdapterError::Member {
        path: "type",
        expected: "one of Tenure's event types, such as dev.tenure.application.retired.v1 or urn:tenure:signal:application.retired:v1",
    })
}

/// Reads `application:payments`.
pub(crate) fn subject(text: &str) -> Option<SignalSubject> {
    let (kind, id) = text.split_once(':')?;
    let kind = SUBJECTS.into_iter().find(|sort| sort.as_str() == kind)?;
    let is_whole = match kind {
        SubjectKind::CloudAccount | SubjectKind::Person => {
            id.split_once('/').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty())
        }
        _ => !id.is_empty(),
    };
    is_whole.then(|| SignalSubject { kind, id: id.to_owned() })
}

/// Whether such a thing can happen to such a subject.
pub(crate) const fn fits(kind: SignalKind, about: SubjectKind) -> bool {
    match kind {
        SignalKind::WorkloadCreated | SignalKind::WorkloadChanged => matches!(about, SubjectKind::Workload),
        SignalKind::WorkloadRemoved | SignalKind::WorkloadDisabled => {
            matches!(about, SubjectKind::Workload | SubjectKind::Identity)
        }
        SignalKind::PipelineChanged | SignalKind::PipelineDeleted => {
            matches!(about, SubjectKind::Repository | SubjectKind::Workload)
        }
        SignalKind::RepositoryMoved | SignalKind::RepositoryArchived => matches!(about, SubjectKind::Repository),
        SignalKind::RunEnded => {
            matches!(about, SubjectKind::Repository | SubjectKind::Workload | SubjectKind::Identity)
        }
        SignalKind::Released => {
            matches!(about, SubjectKind::Application | SubjectKind::Repository | SubjectKind::Workload)
        }
        SignalKind::ApplicationRetired => matches!(about, SubjectKind::Application),
        SignalKind::VendorTerminated => matches!(about, SubjectKind::Vendor),
        SignalKind::CloudAccountDeleted => matches!(about, SubjectKind::CloudAccount),
        SignalKind::IntegrationRemoved => matches!(about, SubjectKind::Need | SubjectKind::Identity),
        SignalKind::EmploymentEnded => matches!(about, SubjectKind::Person),
    }
}

/// Facts that a sender of our own events gives: all of them or none, for what it says of its subject is ours to
/// compare.
pub(crate) fn facts(given: Option<&Value>) -> Result<Facts, AdapterError> {
    let wrong = AdapterError::Member {
        path: "data",
        expected: "an object of at most 32 facts, each a text of at most 512 bytes, a whole number or a truth value",
    };
    let empty = Map::new();
    let given = match given {
        None | Some(Value::Null) => &empty,
        Some(Value::Object(given)) => given,
        Some(_) => return Err(wrong),
    };
    let is_name = |name: &str| !name.is_empty() && name.len() <= MAX_FACT_NAME && check_line(name).is_ok();
    let plain = |value: &Value| match value {
        Value::String(text) => Some(shown(text)).filter(|text| text.len() <= MAX_FACT).map(Value::from),
        Value::Number(number) if number.is_f64() => None,
        Value::Bool(_) | Value::Number(_) => Some(value.clone()),
        _ => None,
    };
    if given.len() > MAX_FACTS {
        return Err(wrong);
    }
    let facts = given.iter().map(|(name, value)| Some((name.clone(), plain(value).filter(|_| is_name(name))?)));
    facts.collect::<Option<_>>().map(Facts).ok_or(wrong)
}
