//! HMACs of webhooks and security event tokens.

use serde_json::{Value, json};
use tenure_core::base::entropy::SeededEntropy;
use tenure_core::base::time::Timestamp;
use tenure_credentials::jose::{Algorithm, JoseError, JwkSet};
use tenure_credentials::signal::{
    SecurityEvent, SetError, github_signature, is_github_signature, is_standard_signature, is_timed_signature,
    standard_secret, standard_signature, timed_signature, verify_set,
};

use crate::support::{NOW, now, with, workload};

const TRANSMITTER: &str = "https://idp.example";
const RECEIVER: &str = "https://tenure.example/signals/idp";

#[test]
fn githubs_own_test_vector_holds() {
    // The values of GitHub's documentation, "Testing the webhook payload validation".
    let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let is_good = |header: &str, body: &[u8]| is_github_signature("It's a Secret to Everybody", header, body);
    assert!(is_good(good, b"Hello, World!"));
    assert!(is_good(&good.to_uppercase().replace("SHA256", "sha256"), b"Hello, World!"));
    for (header, body) in [
        (good, &b"Hello, World"[..]),
        (&good[..good.len() - 2], b"Hello, World!"),
        (&good[7..], b"Hello, World!"),
        ("", b""),
    ] {
        assert!(!is_good(header, body), "{header}");
    }
    assert!(!is_github_signature("another", good, b"Hello, World!"));
    assert_eq!(github_signature("It's a Secret to Everybody", b"Hello, World!"), good);
}

#[test]
fn the_standard_webhooks_own_test_vector_holds() {
    // The example of the Standard Webhooks' libraries.
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let (id, at, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", br#"{"test": 2432232314}"#);
    let good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let then = |secs: i64| Timestamp::from_secs(1_614_265_330 + secs);
    assert!(is_standard_signature(secret, id, at, good, body, then(300)));
    assert_eq!(standard_signature(secret, id, at, body).as_deref(), Some(good));
    assert!(is_standard_signature(secret, id, at, &format!("v1,AAAA v1a,AAAA {good}"), body, then(-300)));
    assert!(!is_standard_signature(secret, id, at, good, body, then(301)));
    assert!(!is_standard_signature(secret, id, "1614265331", good, body, then(0)));
    assert!(!is_standard_signature(secret, "msg_x", at, good, body, then(0)));
    assert!(!is_standard_signature(secret, id, at, &good.replace("v1,", "v2,"), body, then(0)));
    assert!(!is_standard_signature("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", id, at, good, body, then(0)));
    // What the two parts say together, said by others.
    assert!(!is_standard_signature(secret, &format!("{id}.{at}"), at, good, body, then(0)));
    let fresh = standard_secret(&SeededEntropy::new(1));
    assert!(fresh.expose().starts_with("whsec_") && fresh.expose().len() == 6 + 44);
}

#[test]
fn our_own_signature_is_of_a_body_and_a_time() {
    let header = timed_signature("key", b"body", now());
    assert!(is_timed_signature("key", &header, b"body", now()));
    let late = |secs: i64| Timestamp::from_secs(NOW + secs);
    assert!(
        is_timed_signature("key", &header, b"body", late(300))
            && is_timed_signature("key", &header, b"body", late(-300))
    );
    assert!(
        !is_timed_signature("key", &header, b"body", late(301))
            && !is_timed_signature("key", &header, b"body", late(-301))
    );
    assert!(
        !is_timed_signature("key", &header, b"bodies", now()) && !is_timed_signature("yek", &header, b"body", now())
    );
    let moved = header.replacen(&NOW.to_string(), &(NOW + 1).to_string(), 1);
    for wrong in [&moved, &header.replace(',', ""), &header.replace("v1=", ""), &header.replace("t=", "t=+"), "t=,v1="]
    {
        assert!(!is_timed_signature("key", wrong, b"body", now()), "{wrong}");
    }
}

fn claims() -> Value {
    json!({
        "iss": TRANSMITTER, "aud": RECEIVER, "jti": "one", "iat": NOW - 5,
        "sub_id": {"format": "iss_sub", "iss": TRANSMITTER, "sub": "7"},
        "events": {"https://schemas.openid.net/secevent/caep/event-type/session-revoked": {"event_timestamp": NOW - 6}},
    })
}

fn check(header: &Value, claims: &Value) -> Result<SecurityEvent, SetError> {
    let workload = workload(1);
    let key = with(workload.jwk.to_json(), &json!({"kid": "k"}));
    let keys = JwkSet::from_json(json!({"keys": [key]}).to_string().as_bytes()).unwrap();
    let token = workload.sign(header, claims);
    verify_set(&token, &keys, Algorithm::ALL, TRANSMITTER, RECEIVER, now())
}

#[test]
fn a_security_event_token_is_nothing_else() {
    let header = json!({"alg": "EdDSA", "kid": "k", "typ": "secevent+jwt"});
    let good = check(&header, &claims()).unwrap();
    assert_eq!((good.jti.as_str(), good.issued_at.as_secs()), ("one", NOW - 5));
    assert!(check(&header, &with(claims(), &json!({"aud": [RECEIVER]}))).is_ok());
    for (change, error) in [
        (json!({"sub": "7"}), SetError::LooksLikeAnother),
        (json!({"exp": NOW + 60}), SetError::LooksLikeAnother),
        (json!({"iat": NOW - 86_401}), SetError::TooOld),
        (json!({"iat": NOW + 31}), JoseError::NotYetValid.into()),
        (json!({"iat": null}), JoseError::IatMissing.into()),
        (json!({"jti": null}), JoseError::JtiMissing.into()),
        (json!({"jti": ""}), JoseError::JtiMissing.into()),
        (json!({"iss": "https://idp.example/"}), JoseError::IssuerWrong.into()),
        (json!({"aud": "https://tenure.example/signals/other"}), JoseError::AudienceWrong.into()),
        (json!({"aud": [RECEIVER, "https://other.example"]}), JoseError::AudienceWrong.into()),
        (json!({"events": {}}), SetError::NoEvent),
        (json!({"events": null}), SetError::NoEvent),
        (json!({"sub_id": null}), SetError::NoSubject),
    ] {
        assert_eq!(check(&header, &with(claims(), &change)), Err(error), "{change}");
    }
    // Where the subject stood before SSF 1.0: in each event.
    let subject = json!({"format": "opaque", "id": "7"});
    let in_events = |events: Value| check(&header, &with(claims(), &json!({"sub_id": null, "events": events})));
    assert!(in_events(json!({"urn:a": {"subject": subject}, "urn:b": {"subject": subject}})).is_ok());
    for events in [
        json!({"urn:a": {"subject": subject}, "urn:b": {}}),
        json!({"urn:a": {"subject": {}}}),
        json!({"urn:a": {"subject": "7"}}),
    ] {
        assert_eq!(in_events(events.clone()), Err(SetError::NoSubject), "{events}");
    }
    for typ in ["JWT", "at+jwt", "logout+jwt"] {
        assert_eq!(
            check(&with(header.clone(), &json!({"typ": typ})), &claims()),
            Err(JoseError::TypWrong.into()),
            "{typ}"
        );
    }
    assert_eq!(check(&with(header.clone(), &json!({"typ": null})), &claims()), Err(JoseError::TypWrong.into()));
    assert_eq!(check(&with(header.clone(), &json!({"alg": "HS256"})), &claims()), Err(JoseError::AlgNotAllowed.into()));
    assert_eq!(check(&with(header, &json!({"kid": "other"})), &claims()), Err(JoseError::KeyUnknown.into()));
}
