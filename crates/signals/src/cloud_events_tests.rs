use serde_json::{Value, json};
use tenure_core::signal::{Format, SignalKind, Word};

use crate::words::{AdapterError, Headers};
use crate::{cloud_event_type, read};

const STRUCTURED: (&str, &str) = ("content-type", "application/cloudevents+json; charset=utf-8");

fn deliver(body: &str) -> Result<Vec<Word>, AdapterError> {
    read(Format::CloudEvents, &Headers(&[STRUCTURED]), body.as_bytes())
}

fn event() -> Value {
    json!({"specversion": "1.0", "id": "a-1", "source": "/cmdb", "type": "dev.tenure.application.retired.v1", "subject": "application:payments",
           "time": "2026-11-22T06:00:00Z", "traceparent": "00-x", "datacontenttype": "application/json",
           "data": {"ticket": "CHG-7", "urgent": true, "count": 3}})
}

fn with(name: &str, value: Value) -> String {
    let mut event = event();
    event[name] = value;
    event.to_string()
}

#[test]
fn an_event_of_ours_is_a_word() {
    let words = deliver(&event().to_string()).unwrap();
    assert_eq!(words.len(), 1);
    assert_eq!(
        (words[0].kind, words[0].subject.to_string().as_str()),
        (SignalKind::ApplicationRetired, "application:payments")
    );
    assert_eq!(words[0].occurred_at.unwrap().to_string(), "2026-11-22T06:00:00Z");
    assert_eq!(Value::Object(words[0].facts.clone()), json!({"ticket": "CHG-7", "urgent": true, "count": 3}));
}

#[test]
fn every_kind_has_its_type_and_foreign_types_are_of_no_interest() {
    for (kind, subject) in [
        (SignalKind::WorkloadCreated, "workload:prod/deployment/a"),
        (SignalKind::WorkloadChanged, "workload:a"),
        (SignalKind::WorkloadRemoved, "identity:idn_1"),
        (SignalKind::WorkloadDisabled, "workload:a"),
        (SignalKind::PipelineChanged, "repository:acme/payments"),
        (SignalKind::PipelineDeleted, "workload:acme/payments/.github/workflows/a.yml"),
        (SignalKind::RepositoryMoved, "repository:acme/payments"),
        (SignalKind::RepositoryArchived, "repository:acme/payments"),
        (SignalKind::RunEnded, "workload:a"),
        (SignalKind::Released, "application:payments"),
        (SignalKind::ApplicationRetired, "application:payments"),
        (SignalKind::VendorTerminated, "vendor:initech"),
        (SignalKind::CloudAccountDeleted, "cloud_account:aws/123456789012"),
        (SignalKind::IntegrationRemoved, "need:payroll"),
        (SignalKind::EmploymentEnded, "person:hr/4711"),
    ] {
        let body =
            json!({"specversion": "1.0", "id": "1", "source": "s", "type": cloud_event_type(kind), "subject": subject})
                .to_string();
        assert_eq!(deliver(&body).unwrap()[0].kind, kind);
    }
    assert_eq!(deliver(&with("type", json!("com.example.order.created"))).unwrap(), Vec::new());
    assert_eq!(
        deliver(&with("type", json!("dev.tenure.application.retried.v1"))).unwrap_err().code(),
        "member_unusable",
        "misspelt"
    );
}

#[test]
fn what_an_event_needs_is_checked() {
    for (name, value) in [
        ("specversion", json!("0.3")),
        ("id", json!("")),
        ("source", json!(null)),
        ("type", json!(5)),
        ("subject", json!("payments")),
        ("subject", json!("application:")),
        ("subject", json!("planet:mars")),
        ("subject", json!("vendor:initech")),
        ("time", json!("yesterday")),
        ("time", json!(5)),
        ("data", json!(["a"])),
        ("data", json!({"a": {"b": 1}})),
        ("data", json!({"a": 0.5})),
        ("data", json!({"a": "x".repeat(513)})),
        ("data", Value::Object((0..33).map(|i| (i.to_string(), json!(1))).collect())),
        ("data_base64", json!("e30=")),
        ("datacontenttype", json!("text/xml")),
    ] {
        let refused = deliver(&with(name, value.clone())).unwrap_err();
        assert_eq!(refused.code(), "member_unusable", "{name} {value}: {refused}");
    }
    let account =
        with("type", json!("dev.tenure.cloud_account.deleted.v1")).replace("application:payments", "cloud_account:123");
    assert_eq!(deliver(&account).unwrap_err().code(), "member_unusable", "an account needs its provider");
    assert_eq!(
        deliver(&with("subject", json!(format!("application:{}", "a".repeat(151))))).unwrap_err().code(),
        "subject_too_long"
    );
    assert_eq!(deliver(&with("subject", json!("application:a\nb"))).unwrap_err().code(), "member_unusable");
}

#[test]
fn s12_what_no_signature_covers_and_what_is_said_twice_is_refused() {
    let body = event().to_string();
    let binary = [("content-type", "application/json"), ("ce-type", "dev.tenure.vendor.terminated.v1"), ("ce-id", "1")];
    assert_eq!(read(Format::CloudEvents, &Headers(&binary), body.as_bytes()).unwrap_err().code(), "header_unusable");
    let batch = [("content-type", "application/cloudevents-batch+json")];
    assert_eq!(read(Format::CloudEvents, &Headers(&batch), body.as_bytes()).unwrap_err().code(), "header_unusable");
    let twice = body.replacen('{', r#"{"subject":"application:shop","#, 1);
    assert_eq!(deliver(&twice).unwrap_err().code(), "body_unreadable");
}
