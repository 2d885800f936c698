//! Passkeys: the specification's own vectors, ceremonies built by a foreign implementation (python-fido2), and every
//! bit of them flipped.

use std::sync::LazyLock;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use proptest::prelude::*;
use serde_json::{Value, json};
use tenure_credentials::webauthn::{
    Assertion, Credential, MAX_CREDENTIAL_ID, Registration, RelyingParty, WebauthnError, decode, verify_assertion,
    verify_registration,
};

use crate::support::b64 as base64url;

static W3C: LazyLock<Vectors> = LazyLock::new(|| Vectors::read(include_str!("../vectors/webauthn-w3c.json")));
static FIDO2: LazyLock<Vectors> = LazyLock::new(|| Vectors::read(include_str!("../vectors/webauthn-fido2.json")));

struct Vectors {
    relying_party: RelyingParty,
    cases: Vec<Value>,
}

impl Vectors {
    fn read(text: &str) -> Self {
        let file: Value = serde_json::from_str(text).unwrap();
        let relying_party = RelyingParty::from_url(file["pageOrigin"].as_str().unwrap()).unwrap();
        assert_eq!(relying_party.id(), file["rpId"]);
        Self { relying_party, cases: file["cases"].as_array().unwrap().clone() }
    }
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A ceremony's parts, each of which a test may bend.
#[derive(Clone)]
struct Ceremony {
    challenge: String,
    id: Vec<u8>,
    client_data: Vec<u8>,
    /// Attestation object or authenticator data.
    data: Vec<u8>,
    signature: Vec<u8>,
}

impl Ceremony {
    fn registration(case: &Value) -> Self {
        let part = &case["registration"];
        Self {
            challenge: base64url(hex(&part["challenge"])),
            id: hex(&case["credentialId"]),
            client_data: hex(&part["clientDataJSON"]),
            data: hex(&part["attestationObject"]),
            signature: Vec::new(),
        }
    }

    fn assertion(case: &Value) -> Self {
        let part = &case["assertion"];
        Self {
            challenge: base64url(hex(&part["challenge"])),
            id: hex(&case["credentialId"]),
            client_data: hex(&part["clientDataJSON"]),
            data: hex(&part["authenticatorData"]),
            signature: hex(&part["signature"]),
        }
    }

    fn register(&self, to: &Vectors) -> Result<Credential, WebauthnError> {
        let answer =
            Registration { credential_id: &self.id, client_data: &self.client_data, attestation_object: &self.data };
        verify_registration(&to.relying_party, &self.challenge, &answer)
    }

    fn sign_in(&self, to: &Vectors, credential: &Credential) -> Result<u32, WebauthnError> {
        let answer =
            Assertion { client_data: &self.client_data, authenticator_data: &self.data, signature: &self.signature };
        verify_assertion(&to.relying_party, &self.challenge, credential, &answer)
    }

    /// The same with another text in its client data.
    fn with_client_data(&self, from: &str, to: &str) -> Self {
        let text = String::from_utf8(self.client_data.clone()).unwrap();
        assert!(text.contains(from), "{text}");
        Self { client_data: text.replacen(from, to, 1).into_bytes(), ..self.clone() }
    }
}

#[test]
fn w3c_vectors_hold_but_for_the_users_verification() {
    let none = &W3C.cases[0];
    assert_eq!(Ceremony::registration(none).register(&W3C), Err(WebauthnError::UserNotVerified));
    // Its key, as the vector prints it inside the attestation object.
    let object = Ceremony::registration(none).data;
    let at = object.windows(4).rposition(|window| window == [0xa5, 0x01, 0x02, 0x03]).unwrap();
    let credential = Credential {
        id: hex(&none["credentialId"]),
        public_key: object[at..].to_vec(),
        counter: 0,
        backup_eligible: true,
    };
    let assertion = Ceremony::assertion(none);
    assert_eq!(assertion.sign_in(&W3C, &credential), Err(WebauthnError::UserNotVerified));
    let mut bent = assertion;
    bent.signature[20] ^= 1;
    assert_eq!(bent.sign_in(&W3C, &credential), Err(WebauthnError::SignatureInvalid));

    let own = &W3C.cases[1];
    let credential = Ceremony::registration(own).register(&W3C).unwrap();
    assert_eq!((&credential.id, credential.counter, credential.backup_eligible), (&hex(&own["credentialId"]), 0, true));
    assert_eq!(Ceremony::assertion(own).sign_in(&W3C, &credential), Err(WebauthnError::UserNotVerified));
}

#[test]
fn w3c_vector_made_inside_another_sites_page_is_refused() {
    assert_eq!(Ceremony::registration(&W3C.cases[2]).register(&W3C), Err(WebauthnError::Embedded));
}

#[test]
fn a_foreign_implementations_ceremonies_pass() {
    for case in &FIDO2.cases {
        let credential = Ceremony::registration(case).register(&FIDO2).unwrap();
        assert_eq!(credential.id, hex(&case["credentialId"]), "{}", case["name"]);
        assert_eq!(u64::from(credential.counter), case["counters"][0]);
        let counter = Ceremony::assertion(case).sign_in(&FIDO2, &credential).unwrap();
        assert_eq!(u64::from(counter), case["counters"][1], "{}", case["name"]);
    }
}

#[test]
fn every_flipped_bit_of_an_assertion_is_refused() {
    for case in &FIDO2.cases {
        let credential = Ceremony::registration(case).register(&FIDO2).unwrap();
        let good = Ceremony::assertion(case);
        for bit in 0..good.client_data.len() * 8 {
            let mut bent = good.clone();
            bent.client_data[bit / 8] ^= 1 << (bit % 8);
            assert!(bent.sign_in(&FIDO2, &credential).is_err(), "client data, bit {bit}");
        }
        for bit in 0..good.data.len() * 8 {
            let mut bent = good.clone();
            bent.data[bit / 8] ^= 1 << (bit % 8);
            assert!(bent.sign_in(&FIDO2, &credential).is_err(), "authenticator data, bit {bit}");
        }
        for bit in 0..good.signature.len() * 8 {
            let mut bent = good.clone();
            bent.signature[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(bent.sign_in(&FIDO2, &credential), Err(WebauthnError::SignatureInvalid), "signature, bit {bit}");
        }
    }
}

#[test]
fn every_flipped_bit_of_a_self_attested_registration_is_refused() {
    let case = FIDO2.cases.iter().find(|case| case["name"].as_str().unwrap().contains("EdDSA, self")).unwrap();
    let good = Ceremony::registration(case);
    good.register(&FIDO2).unwrap();
    for bit in 0..good.data.len() * 8 {
        let mut bent = good.clone();
        bent.data[bit / 8] ^= 1 << (bit % 8);
        assert!(bent.register(&FIDO2).is_err(), "attestation object, bit {bit}");
    }
    for at in 0..good.data.len() {
        let cut = Ceremony { data: good.data[..at].to_vec(), ..good.clone() };
        assert!(cut.register(&FIDO2).is_err(), "cut at {at}");
    }
    let longer = Ceremony { data: [good.data.as_slice(), &[0]].concat(), ..good };
    assert_eq!(longer.register(&FIDO2), Err(WebauthnError::Malformed));
}

#[test]
fn client_data_has_to_be_of_this_ceremony_challenge_and_origin() {
    let case = &FIDO2.cases[0];
    let registration = Ceremony::registration(case);
    let credential = registration.register(&FIDO2).unwrap();
    let assertion = Ceremony::assertion(case);
    let other = base64url([7; 32]);
    for (from, to, error) in [
        ("webauthn.create", "webauthn.get", WebauthnError::TypeWrong),
        (registration.challenge.as_str(), other.as_str(), WebauthnError::ChallengeWrong),
        ("https://tenure.example", "https://tenure.example.evil", WebauthnError::OriginWrong),
        ("https://tenure.example", "http://tenure.example", WebauthnError::OriginWrong),
        ("https://tenure.example", "https://tenure.example:444", WebauthnError::OriginWrong),
        ("https://tenure.example", "https://sub.tenure.example", WebauthnError::OriginWrong),
        ("\"crossOrigin\":false", "\"crossOrigin\":true", WebauthnError::Embedded),
        ("\"crossOrigin\":false", "\"topOrigin\":\"https://tenure.example\"", WebauthnError::Embedded),
        ("\"crossOrigin\":false", "\"crossOrigin\":\"false\"", WebauthnError::Malformed),
        ("\"crossOrigin\":false", "\"type\":\"webauthn.create\"", WebauthnError::Malformed),
        ("{", "[", WebauthnError::Malformed),
    ] {
        assert_eq!(registration.with_client_data(from, to).register(&FIDO2), Err(error), "{from} -> {to}");
    }
    // Each ceremony's answer is none to the other, and none to another challenge.
    let mixed = Ceremony {
        challenge: assertion.challenge.clone(),
        client_data: assertion.client_data.clone(),
        ..registration.clone()
    };
    assert_eq!(mixed.register(&FIDO2), Err(WebauthnError::TypeWrong));
    let later = Ceremony { challenge: other, ..assertion.clone() };
    assert_eq!(later.sign_in(&FIDO2, &credential), Err(WebauthnError::ChallengeWrong));
    let elsewhere =
        Vectors { relying_party: RelyingParty::from_url("https://other.example").unwrap(), cases: Vec::new() };
    assert_eq!(assertion.sign_in(&elsewhere, &credential), Err(WebauthnError::OriginWrong));
}

#[test]
fn counters_never_go_back_and_stand_still_only_at_zero() {
    let case = &FIDO2.cases[0];
    let credential = Ceremony::registration(case).register(&FIDO2).unwrap();
    let assertion = Ceremony::assertion(case);
    for (seen, expected) in [
        (0, Ok(8)),
        (7, Ok(8)),
        (8, Err(WebauthnError::CounterWentBack)),
        (u32::MAX, Err(WebauthnError::CounterWentBack)),
    ] {
        let known = Credential { counter: seen, ..credential.clone() };
        assert_eq!(assertion.sign_in(&FIDO2, &known), expected, "{seen}");
    }
    let counterless = &FIDO2.cases[1];
    let known = Credential { counter: 1, ..Ceremony::registration(counterless).register(&FIDO2).unwrap() };
    assert_eq!(Ceremony::assertion(counterless).sign_in(&FIDO2, &known), Err(WebauthnError::CounterWentBack));
}

#[test]
fn a_passkey_does_not_change_whether_it_may_be_shared_nor_whose_key_it_is() {
    let (first, second) = (&FIDO2.cases[0], &FIDO2.cases[2]);
    let credential = Ceremony::registration(first).register(&FIDO2).unwrap();
    let flipped = Credential { backup_eligible: true, ..credential.clone() };
    assert_eq!(Ceremony::assertion(first).sign_in(&FIDO2, &flipped), Err(WebauthnError::BackupFlagsWrong));
    assert_eq!(Ceremony::assertion(second).sign_in(&FIDO2, &credential), Err(WebauthnError::SignatureInvalid));
}

/// CBOR as the tests need it.
mod cbor {
    pub fn head(major: u8, argument: usize) -> Vec<u8> {
        match u8::try_from(argument) {
            Ok(short @ 0..=23) => vec![major << 5 | short],
            Ok(byte) => vec![major << 5 | 24, byte],
            Err(_) => [vec![major << 5 | 25], u16::try_from(argument).unwrap().to_be_bytes().to_vec()].concat(),
        }
    }
    pub fn bytes(bytes: &[u8]) -> Vec<u8> {
        [head(2, bytes.len()), bytes.to_vec()].concat()
    }
    pub fn text(text: &str) -> Vec<u8> {
        [head(3, text.len()), text.as_bytes().to_vec()].concat()
    }
    pub fn int(value: i64) -> Vec<u8> {
        match usize::try_from(value) {
            Ok(value) => head(0, value),
            Err(_) => head(1, usize::try_from(-1 - value).unwrap()),
        }
    }
    pub fn map(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let body = pairs.iter().flat_map(|(key, value)| [key.clone(), value.clone()]).flatten();
        head(5, pairs.len()).into_iter().chain(body).collect()
    }
}

/// A registration whose parts a test chooses; the key is Ed25519 unless told otherwise.
fn attested(flags: u8, id: &[u8], key: &[u8], format: &str, statement: Vec<u8>, after: &[u8]) -> Ceremony {
    let challenge = base64url([3; 32]);
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, FIDO2.relying_party.id().as_bytes());
    let length = u16::try_from(id.len()).unwrap().to_be_bytes();
    let data = [hash.as_ref(), &[flags], &[0; 4], &[0; 16], &length, id, key, after].concat();
    let object = cbor::map(&[
        (cbor::text("fmt"), cbor::text(format)),
        (cbor::text("attStmt"), statement),
        (cbor::text("authData"), cbor::bytes(&data)),
    ]);
    let client_data = json!({"type": "webauthn.create", "challenge": challenge, "origin": FIDO2.relying_party.origin(), "crossOrigin": false});
    Ceremony {
        challenge,
        id: id.to_vec(),
        client_data: client_data.to_string().into_bytes(),
        data: object,
        signature: Vec::new(),
    }
}

const AT_UP_UV: u8 = 0x45;

fn okp(pairs: &[(i64, Vec<u8>)]) -> Vec<u8> {
    let pairs: Vec<_> = pairs.iter().map(|(label, value)| (cbor::int(*label), value.clone())).collect();
    cbor::map(&pairs)
}

fn ed25519() -> Vec<(i64, Vec<u8>)> {
    let key = Ed25519KeyPair::generate().unwrap();
    vec![(1, cbor::int(1)), (3, cbor::int(-8)), (-1, cbor::int(6)), (-2, cbor::bytes(key.public_key().as_ref()))]
}

#[test]
fn only_verified_users_with_consistent_flags_register() {
    let register = |flags, after: &[u8]| {
        attested(flags, &[9; 16], &okp(&ed25519()), "none", cbor::map(&[]), after).register(&FIDO2).map(|_| ())
    };
    assert_eq!(register(AT_UP_UV, &[]), Ok(()));
    assert_eq!(register(0x44, &[]), Err(WebauthnError::UserNotPresent));
    assert_eq!(register(0x41, &[]), Err(WebauthnError::UserNotVerified));
    assert_eq!(register(AT_UP_UV | 0x10, &[]), Err(WebauthnError::BackupFlagsWrong));
    // Without the flag, what follows is no credential; bytes after the end are none of ours; extensions come only when
    // announced.
    assert_eq!(register(0x05, &[]), Err(WebauthnError::Malformed));
    assert_eq!(register(AT_UP_UV, &[0xa0]), Err(WebauthnError::Malformed));
    assert_eq!(register(AT_UP_UV | 0x80, &[0xa0]), Ok(()));
    assert_eq!(register(AT_UP_UV | 0x80, &[]), Err(WebauthnError::Malformed));
    assert_eq!(register(AT_UP_UV | 0x80, &[0x80]), Err(WebauthnError::Malformed));
}

#[test]
fn other_keys_than_strong_ones_of_the_two_algorithms_are_refused() {
    let register = |pairs: &[(i64, Vec<u8>)]| {
        attested(AT_UP_UV, &[9; 16], &okp(pairs), "none", cbor::map(&[]), &[]).register(&FIDO2).map(|_| ())
    };
    let good = ed25519();
    assert_eq!(register(&good), Ok(()));
    let with = |at: usize, value: Vec<u8>| {
        let mut pairs = good.clone();
        pairs[at].1 = value;
        pairs
    };
    let more = [good.clone(), vec![(4, cbor::int(1))]].concat();
    let rs256 =
        vec![(1, cbor::int(3)), (3, cbor::int(-257)), (-1, cbor::bytes(&[0xff; 256])), (-2, cbor::bytes(&[1, 0, 1]))];
    let off_curve = vec![
        (1, cbor::int(2)),
        (3, cbor::int(-7)),
        (-1, cbor::int(1)),
        (-2, cbor::bytes(&[1; 32])),
        (-3, cbor::bytes(&[1; 32])),
    ];
    for (why, pairs) in [
        ("another algorithm", with(1, cbor::int(-7))),
        ("another curve", with(2, cbor::int(1))),
        ("short", with(3, cbor::bytes(&[1; 31]))),
        ("small order", with(3, cbor::bytes(&[0; 32]))),
        ("text instead of bytes", with(3, cbor::text("x"))),
        ("a further parameter", more),
        ("RSA", rs256),
        ("off the curve", off_curve),
        ("a part missing", good[..3].to_vec()),
    ] {
        assert_eq!(register(&pairs), Err(WebauthnError::KeyUnsupported), "{why}");
    }
    let twice = [good[..3].to_vec(), vec![good[0].clone()]].concat();
    assert_eq!(register(&twice), Err(WebauthnError::Malformed));
}

#[test]
fn attestation_is_absent_or_by_the_credential_itself() {
    let key = okp(&ed25519());
    let register = |format: &str, statement: Vec<u8>| {
        attested(AT_UP_UV, &[9; 16], &key, format, statement, &[]).register(&FIDO2).map(|_| ())
    };
    let statement = |alg: i64, further: bool| {
        let mut pairs = vec![(cbor::text("alg"), cbor::int(alg)), (cbor::text("sig"), cbor::bytes(&[0; 64]))];
        if further {
            pairs.push((cbor::text("x5c"), cbor::head(4, 0)));
        }
        cbor::map(&pairs)
    };
    assert_eq!(register("none", cbor::map(&[])), Ok(()));
    assert_eq!(register("none", statement(-8, false)), Err(WebauthnError::AttestationUnsupported));
    assert_eq!(register("packed", statement(-8, false)), Err(WebauthnError::SignatureInvalid));
    assert_eq!(register("packed", statement(-7, false)), Err(WebauthnError::AttestationUnsupported));
    assert_eq!(register("packed", statement(-8, true)), Err(WebauthnError::AttestationUnsupported));
    for format in ["fido-u2f", "tpm", "android-key", "apple", "compound", ""] {
        assert_eq!(register(format, cbor::map(&[])), Err(WebauthnError::AttestationUnsupported), "{format}");
    }
}

#[test]
fn credential_ids_have_bounds_and_are_the_one_that_the_client_names() {
    let key = okp(&ed25519());
    let of = |id: &[u8]| attested(AT_UP_UV, id, &key, "none", cbor::map(&[]), &[]);
    assert!(of(&[1; MAX_CREDENTIAL_ID]).register(&FIDO2).is_ok());
    assert_eq!(of(&[1; MAX_CREDENTIAL_ID + 1]).register(&FIDO2), Err(WebauthnError::Malformed));
    assert_eq!(of(&[]).register(&FIDO2), Err(WebauthnError::Malformed));
    let renamed = Ceremony { id: vec![2; 16], ..of(&[1; 16]) };
    assert_eq!(renamed.register(&FIDO2), Err(WebauthnError::Malformed));
    assert_eq!(decode(&base64url([1; 5]), 4), None);
    assert_eq!(decode(&base64url([1; 4]), 4), Some(vec![1; 4]));
    assert_eq!(decode("AA==", 4), None);
}

proptest! {
    #[test]
    fn whatever_comes_is_refused_without_a_panic(object in proptest::collection::vec(any::<u8>(), 0..400), client_data in proptest::collection::vec(any::<u8>(), 0..200)) {
        let case = &FIDO2.cases[0];
        let good = Ceremony::registration(case);
        let credential = good.register(&FIDO2).unwrap();
        let with_object = Ceremony { data: object.clone(), ..good.clone() };
        prop_assert!(with_object.register(&FIDO2).is_err());
        let with_client_data = Ceremony { client_data: client_data.clone(), ..good };
        prop_assert!(with_client_data.register(&FIDO2).is_err());
        let assertion = Ceremony { data: object, ..Ceremony::assertion(case) };
        prop_assert!(assertion.sign_in(&FIDO2, &credential).is_err());
    }

    /// An object that begins as a good one and goes on with anything.
    #[test]
    fn what_follows_a_good_beginning_is_refused_too(at in 0usize..200, rest in proptest::collection::vec(any::<u8>(), 0..200)) {
        let good = Ceremony::registration(&FIDO2.cases[2]);
        let mut bent = good.clone();
        bent.data.truncate(at);
        bent.data.extend(rest);
        prop_assume!(bent.data != good.data);
        prop_assert!(bent.register(&FIDO2).is_err());
    }
}
