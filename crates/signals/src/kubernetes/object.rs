//! The objects that are workloads, as far as they are of interest.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::words::{AdapterError, Facts, unreadable};

/// The account of pods that name none.
const DEFAULT_ACCOUNT: &str = "default";

/// What runs, or is an account to run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
    Deployment,
    StatefulSet,
    DaemonSet,
    CronJob,
    Job,
    ServiceAccount,
}

impl Workload {
    /// By API group, resource and kind.
    const ALL: [(&'static str, &'static str, &'static str, Self); 6] = [
        ("apps", "deployments", "Deployment", Self::Deployment),
        ("apps", "statefulsets", "StatefulSet", Self::StatefulSet),
        ("apps", "daemonsets", "DaemonSet", Self::DaemonSet),
        ("batch", "cronjobs", "CronJob", Self::CronJob),
        ("batch", "jobs", "Job", Self::Job),
        ("", "serviceaccounts", "ServiceAccount", Self::ServiceAccount),
    ];

    pub(crate) fn of_resource(group: &str, resource: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(g, r, _, _)| (*g, *r) == (group, resource));
        found.map(|(_, _, _, workload)| *workload)
    }

    pub(crate) fn of_object(object: &RawValue) -> Result<Option<Self>, AdapterError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Type {
            kind: String,
            api_version: String,
        }
        let it: Type = serde_json::from_str(object.get()).map_err(|e| unreadable("a watched object", &e))?;
        let group = it.api_version.split_once('/').map_or("", |(group, _)| group);
        let found = Self::ALL.iter().find(|(g, _, kind, _)| (*g, *kind) == (group, it.kind.as_str()));
        Ok(found.map(|(_, _, _, workload)| *workload))
    }

    /// The name in a subject.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::StatefulSet => "statefulset",
            Self::DaemonSet => "daemonset",
            Self::CronJob => "cronjob",
            Self::Job => "job",
            Self::ServiceAccount => "serviceaccount",
        }
    }

    pub(crate) fn has_pods(self) -> bool {
        self != Self::ServiceAccount
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Object {
    metadata: Metadata,
    #[serde(default)]
    spec: Option<Spec>,
    #[serde(default)]
    status: Option<ObjectStatus>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    uid: Option<String>,
    #[serde(default)]
    generation: Option<u64>,
    #[serde(default)]
    creation_timestamp: Option<String>,
    #[serde(default)]
    deletion_timestamp: Option<String>,
    #[serde(default)]
    owner_references: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectStatus {
    #[serde(default)]
    observed_generation: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    template: Option<Template>,
    #[serde(default)]
    job_template: Option<JobTemplate>,
}

#[derive(Debug, Deserialize)]
struct JobTemplate {
    #[serde(default)]
    spec: Option<JobSpec>,
}

#[derive(Debug, Deserialize)]
struct JobSpec {
    #[serde(default)]
    template: Option<Template>,
}

#[derive(Debug, Deserialize)]
struct Template {
    #[serde(default)]
    spec: Option<Pod>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pod {
    #[serde(default)]
    service_account_name: Option<String>,
    #[serde(default)]
    containers: Vec<Container>,
    #[serde(default)]
    init_containers: Vec<Container>,
}

#[derive(Debug, Deserialize)]
struct Container {
    #[serde(default)]
    image: Option<String>,
}

impl Object {
    /// Nothing, if it isn't of the shape: the answer to a deletion may be a mere status.
    pub(crate) fn read(raw: &RawValue, workload: Workload) -> Option<Self> {
        let object: Self = serde_json::from_str(raw.get()).ok()?;
        (object.pod().is_some() || !workload.has_pods()).then_some(object)
    }

    /// The objects of a list that was deleted as a whole.
    pub(crate) fn read_list(raw: &RawValue) -> Vec<Self> {
        #[derive(Deserialize)]
        struct List {
            #[serde(default)]
            items: Vec<Object>,
        }
        serde_json::from_str::<List>(raw.get()).map(|list| list.items).unwrap_or_default()
    }

    pub(crate) fn name(&self) -> &str {
        &self.metadata.name
    }

    pub(crate) fn namespace(&self) -> Option<&str> {
        self.metadata.namespace.as_deref()
    }

    pub(crate) fn created(&self) -> Option<&str> {
        self.metadata.creation_timestamp.as_deref()
    }

    pub(crate) fn deleted(&self) -> Option<&str> {
        self.metadata.deletion_timestamp.as_deref()
    }

    /// Whether another object made it.
    pub(crate) fn is_owned(&self) -> bool {
        self.metadata.owner_references.as_ref().is_some_and(|owners| !owners.is_empty())
    }

    /// Whether its controller has seen the specification as it is.
    pub(crate) fn is_observed(&self) -> bool {
        let seen = self.status.as_ref().and_then(|status| status.observed_generation);
        seen.is_some() && seen == self.metadata.generation
    }

    fn pod(&self) -> Option<&Pod> {
        let spec = self.spec.as_ref()?;
        let inner =
            spec.job_template.as_ref().and_then(|job| job.spec.as_ref()).and_then(|spec| spec.template.as_ref());
        spec.template.as_ref().or(inner)?.spec.as_ref()
    }

    /// What its tokens say of it, by their claims, and which images it runs.
    pub(crate) fn facts(&self, workload: Workload, namespace: &str) -> Facts {
        let account = match self.pod() {
            Some(pod) => pod.service_account_name.as_deref().filter(|name| !name.is_empty()).unwrap_or(DEFAULT_ACCOUNT),
            None => self.name(),
        };
        let facts = Facts::default()
            .text("kubernetes.io/namespace", Some(namespace))
            .text("kubernetes.io/serviceaccount/name", Some(account))
            .text("sub", Some(&format!("system:serviceaccount:{namespace}:{account}")));
        if workload == Workload::ServiceAccount {
            return facts.text("kubernetes.io/serviceaccount/uid", self.metadata.uid.as_deref());
        }
        let containers = self.pod().into_iter().flat_map(|pod| pod.containers.iter().chain(&pod.init_containers));
        let images: BTreeSet<&str> = containers.filter_map(|container| container.image.as_deref()).collect();
        let images = images.into_iter().collect::<Vec<_>>().join(",");
        facts.text("workload_uid", self.metadata.uid.as_deref()).text("image", Some(&images))
    }
}

/// Whether a patch may change what runs or as whom: any that can't be followed may.
pub(crate) fn touches_account_or_image(patch: &RawValue) -> bool {
    match serde_json::from_str::<Value>(patch.get()) {
        Ok(patch) if patch.is_object() || patch.is_array() => touches(&patch),
        _ => true,
    }
}

fn touches(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(touches),
        Value::Object(members) => members.iter().any(|(name, inner)| match (name.as_str(), inner) {
            ("image" | "serviceAccountName" | "serviceAccount" | "$patch" | "$retainKeys", _) => true,
            // A JSON patch (RFC 6902) says in a text where.
            ("path" | "from", Value::String(at)) if at.contains("ontainers") || at.contains("/serviceAccount") => true,
            (_, inner) => touches(inner),
        }),
        _ => false,
    }
}
