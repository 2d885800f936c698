//! Workloads of the story, how they prove themselves, and how their answers are read.

use anyhow::Context;
use serde_json::Value;
use tenure_client::assertion::WorkloadKey;

/// The sort of proof that workloads make (RFC 7523).
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A workload of the story, with its key.
pub struct Workload {
    /// Its id.
    pub id: String,
    /// Its key.
    pub key: WorkloadKey,
}

/// The form with which a client proves itself.
pub fn proof(assertion: &str) -> [(&str, &str); 3] {
    [("grant_type", "client_credentials"), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion)]
}

/// A list's texts under a name, joined.
pub fn joined(list: &Value) -> String {
    let texts: Vec<&str> = list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    texts.join(", ")
}

/// A field of an object, as text.
pub fn field<'a>(record: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    record.get(name).and_then(Value::as_str).with_context(|| format!("no {name} in {record}"))
}
