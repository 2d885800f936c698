use serde_json::{Value, json};
use tenure_core::signal::{SignalKind, Word};

use crate::words::AdapterError;
use crate::{read_set, set_event_type};

const IDENTITY: &str = "idn_00000000000000000000000001";

fn set(event: &str, payload: Value, sub_id: &Value) -> Result<Vec<Word>, AdapterError> {
    let claims = json!({"iss": "https://idp.example", "jti": "1", "iat": 1_800_000_000, "aud": "https://tenure.example", "txn": "t",
                        "sub_id": sub_id, "events": {event: payload}});
    read_set(claims.as_object().unwrap())
}

fn said(words: &[Word]) -> Vec<(SignalKind, String)> {
    words.iter().map(|word| (word.kind, word.subject.to_string())).collect()
}

fn caep(name: &str) -> String {
    format!("https://schemas.openid.net/secevent/caep/event-type/{name}")
}

fn risc(name: &str) -> String {
    format!("https://schemas.openid.net/secevent/risc/event-type/{name}")
}

fn wise(name: &str) -> String {
    format!("https://schemas.openid.net/secevent/wise/event-type/{name}")
}

#[test]
fn what_stops_and_what_ends_a_machine() {
    let opaque = json!({"format": "opaque", "id": IDENTITY});
    let spiffe = json!({"format": "uri", "uri": "spiffe://example.org/payments"});
    let (us, them) = (format!("identity:{IDENTITY}"), "workload:spiffe://example.org/payments".to_owned());
    for (event, payload, sub_id, kind, about) in [
        (
            caep("session-revoked"),
            json!({"event_timestamp": 1_700_000_000}),
            &opaque,
            SignalKind::WorkloadDisabled,
            &us,
        ),
        (
            caep("credential-change"),
            json!({"change_type": "revoke", "credential_type": "x509"}),
            &opaque,
            SignalKind::WorkloadDisabled,
            &us,
        ),
        (
            risc("account-disabled"),
            json!({"reason": "hijacking"}),
            &json!({"format": "iss_sub", "iss": "https://a", "sub": IDENTITY}),
            SignalKind::WorkloadDisabled,
            &us,
        ),
        (risc("account-purged"), json!({}), &opaque, SignalKind::WorkloadRemoved, &us),
        (
            wise("workload-disabled"),
            json!({"reason": "policy_violation"}),
            &spiffe,
            SignalKind::WorkloadDisabled,
            &them,
        ),
        (wise("workload-purged"), json!({}), &spiffe, SignalKind::WorkloadRemoved, &them),
        (wise("workload-compromised"), json!({}), &spiffe, SignalKind::WorkloadRemoved, &them),
        (
            "urn:ietf:params:scim:event:prov:deactivate".to_owned(),
            json!({}),
            &json!({"format": "scim", "uri": format!("/Agents/{IDENTITY}")}),
            SignalKind::WorkloadDisabled,
            &us,
        ),
        (
            "urn:ietf:params:scim:event:prov:delete".to_owned(),
            json!({}),
            &json!({"format": "scim", "uri": "/Agents/7", "externalId": IDENTITY}),
            SignalKind::WorkloadRemoved,
            &us,
        ),
    ] {
        let words = set(&event, payload, sub_id).unwrap();
        assert_eq!(said(&words), [(kind, about.clone())], "{event}");
        assert_eq!(words[0].facts["event"], event);
    }
    let words = set(&caep("session-revoked"), json!({"event_timestamp": 1_700_000_000_123_i64}), &opaque).unwrap();
    assert_eq!(words[0].occurred_at.unwrap().as_secs(), 1_700_000_000, "milliseconds of the drafts");
    let words = set(&risc("account-disabled"), json!({"reason": "hijacking"}), &opaque).unwrap();
    assert_eq!(
        (words[0].facts["reason"].as_str(), words[0].occurred_at.unwrap().as_secs()),
        (Some("hijacking"), 1_800_000_000)
    );
}

#[test]
fn other_events_and_other_subjects_are_of_no_interest() {
    let opaque = json!({"format": "opaque", "id": IDENTITY});
    for event in [
        caep("token-claims-change"),
        caep("assurance-level-change"),
        risc("account-enabled"),
        wise("workload-enabled"),
        "https://schemas.openid.net/secevent/ssf/event-type/verification".to_owned(),
        "urn:ietf:params:scim:event:prov:activate".to_owned(),
        "urn:ietf:params:scim:event:prov:patch:full".to_owned(),
        "urn:example:anything".to_owned(),
    ] {
        assert_eq!(set(&event, json!({}), &opaque).unwrap(), Vec::new(), "{event}");
    }
    assert_eq!(set(&caep("credential-change"), json!({"change_type": "create"}), &opaque).unwrap(), Vec::new());
    for sub_id in [
        json!({"format": "email", "email": "ada@example.com"}),
        json!({"format": "phone_number", "phone_number": "+12065550100"}),
        json!({"format": "iss_sub", "iss": "https://idp.example", "sub": "145234573"}),
        json!({"format": "complex", "session": {"format": "opaque", "id": "s"}, "user": {"format": "iss_sub", "iss": "https://a", "sub": "x"}}),
        json!({"format": "aliases", "identifiers": [{"format": "email", "email": "a@b"}]}),
        json!({"format": "scim", "uri": "/Users/44f6142df96bd6ab61e7521d9", "externalId": "jdoe"}),
    ] {
        assert_eq!(set(&caep("session-revoked"), json!({}), &sub_id).unwrap(), Vec::new(), "{sub_id}");
    }
}

#[test]
fn a_person_leaves_when_the_account_is_deleted_for_good_and_not_when_it_is_disabled() {
    let user = json!({"format": "scim", "uri": "/Users/44f6142df96bd6ab61e7521d9", "externalId": "hr/4711"});
    let gone = set("urn:ietf:params:scim:event:prov:delete", json!({}), &user).unwrap();
    assert_eq!(said(&gone), [(SignalKind::EmploymentEnded, "person:hr/4711".to_owned())]);
    assert_eq!(set("urn:ietf:params:scim:event:prov:deactivate", json!({}), &user).unwrap(), Vec::new());
    let person = json!({"format": "opaque", "id": "person:hr/4711"});
    assert_eq!(set(&risc("account-disabled"), json!({}), &person).unwrap(), Vec::new());
    assert_eq!(set(&risc("account-purged"), json!({}), &person).unwrap()[0].kind, SignalKind::EmploymentEnded);
}

#[test]
fn our_own_events_say_the_rest() {
    for (kind, subject) in [
        (SignalKind::ApplicationRetired, "application:payments"),
        (SignalKind::VendorTerminated, "vendor:initech"),
        (SignalKind::CloudAccountDeleted, "cloud_account:aws/123456789012"),
        (SignalKind::EmploymentEnded, "person:hr/4711"),
        (SignalKind::RunEnded, "workload:prod/job/nightly"),
    ] {
        let words = set(
            &set_event_type(kind),
            json!({"facts": {"ticket": "CHG-1"}}),
            &json!({"format": "opaque", "id": subject}),
        )
        .unwrap();
        assert_eq!(said(&words), [(kind, subject.to_owned())]);
        assert_eq!(words[0].facts["ticket"], "CHG-1");
    }
    let wrong = set(
        &set_event_type(SignalKind::VendorTerminated),
        json!({}),
        &json!({"format": "opaque", "id": "application:payments"}),
    );
    assert_eq!(wrong.unwrap_err().code(), "member_unusable");
    let misspelt = set("urn:tenure:signal:vendor.ended:v1", json!({}), &json!({"format": "opaque", "id": "vendor:a"}));
    assert_eq!(misspelt.unwrap_err().code(), "member_unusable");
}

#[test]
fn what_an_event_needs_is_checked() {
    let opaque = json!({"format": "opaque", "id": IDENTITY});
    for sub_id in [
        json!({"format": "opaque", "id": "something"}),
        json!({"format": "uri", "uri": "https://example.com/a"}),
        json!({"format": "scim"}),
        json!({"format": "made_up", "id": IDENTITY}),
        json!({"id": IDENTITY}),
        json!("subject"),
    ] {
        assert_eq!(
            set(&wise("workload-purged"), json!({}), &sub_id).unwrap_err().code(),
            "member_unusable",
            "{sub_id}"
        );
    }
    for at in [json!("now"), json!(-1), json!({})] {
        assert!(set(&caep("session-revoked"), json!({"event_timestamp": at}), &opaque).is_err(), "{at}");
    }
    assert!(set(&caep("credential-change"), json!({}), &opaque).is_err());
    for claims in [json!({}), json!({"events": {}}), json!({"events": {"a": 1}}), json!({"events": []})] {
        assert!(read_set(claims.as_object().unwrap()).is_err(), "{claims}");
    }
    let many: serde_json::Map<String, Value> = (0..9).map(|i| (format!("urn:x:{i}"), json!({}))).collect();
    assert!(read_set(json!({"events": many}).as_object().unwrap()).is_err());
}

#[test]
fn the_subject_may_stand_in_the_event_as_it_did_before_ssf() {
    let claims = json!({"iat": 1, "events": {wise("workload-disabled"): {"subject": {"format": "uri", "uri": "wimse://trust.example.com/workload/pay"}}}});
    let words = read_set(claims.as_object().unwrap()).unwrap();
    assert_eq!(
        said(&words),
        [(SignalKind::WorkloadDisabled, "workload:wimse://trust.example.com/workload/pay".to_owned())]
    );
    let complex = json!({"format": "complex", "workload": {"format": "uri", "uri": "spiffe://a/b"}, "user": {"format": "email", "email": "a@b"}});
    assert_eq!(said(&set(&wise("workload-purged"), json!({}), &complex).unwrap())[0].1, "workload:spiffe://a/b");
}
