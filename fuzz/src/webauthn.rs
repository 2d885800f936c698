//! What browsers and authenticators answer.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use tenure_credentials::webauthn::{
    Assertion, Credential, MAX_CREDENTIAL_ID, Registration, RelyingParty, WebauthnError, verify_assertion,
    verify_registration,
};

use crate::credentials::{PAIR, public};
use crate::edit::edited;

const CHALLENGE: &str = "Y2hhbGxlbmdl";

static RELYING_PARTY: LazyLock<RelyingParty> =
    LazyLock::new(|| RelyingParty::from_url("https://tenure.example").unwrap());

fn client_data(ceremony: &str) -> Vec<u8> {
    let data = serde_json::json!({"type": ceremony, "challenge": CHALLENGE, "origin": "https://tenure.example", "crossOrigin": false});
    data.to_string().into_bytes()
}

fn cose_key() -> Vec<u8> {
    [&[0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20][..], &public()].concat()
}

fn auth_data(flags: u8) -> Vec<u8> {
    [digest(&SHA256, b"tenure.example").as_ref(), &[flags, 0, 0, 0, 7]].concat()
}

static CREDENTIAL: LazyLock<Credential> =
    LazyLock::new(|| Credential { id: b"id".to_vec(), public_key: cose_key(), counter: 6, backup_eligible: false });

/// Client data, authenticator data and a signature that hold.
static RIGHT: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let (client, auth) = (client_data("webauthn.get"), auth_data(0x05));
    let signature = PAIR.sign(&[&auth[..], digest(&SHA256, &client).as_ref()].concat());
    [client, auth, signature.as_ref().to_vec()]
});

fn asserted([client_data, authenticator_data, signature]: &[Vec<u8>; 3]) -> Result<u32, WebauthnError> {
    let answer = Assertion { client_data, authenticator_data, signature };
    verify_assertion(&RELYING_PARTY, CHALLENGE, &CREDENTIAL, &answer)
}

/// Assertions as they come, each part after its length in two bytes: none holds that wasn't signed.
pub(crate) fn assertion(bytes: &[u8]) {
    let mut rest = bytes;
    let parts = [(); 3].map(|()| {
        let (length, after) = rest.split_first_chunk::<2>().unwrap_or((&[0, 0], rest));
        let (part, after) = after.split_at(usize::from(u16::from_be_bytes(*length)).min(after.len()));
        rest = after;
        part.to_vec()
    });
    assert!(asserted(&parts).is_err() || parts == *RIGHT);
}

/// An assertion that holds, of which the part that the first byte names is edited.
pub(crate) fn edited_assertion(bytes: &[u8]) {
    let (which, script) = bytes.split_first().unwrap_or((&0, &[]));
    let mut parts = RIGHT.clone();
    let which = usize::from(which % 3);
    parts[which] = edited(&parts[which], script);
    match asserted(&parts) {
        Ok(counter) => assert_eq!((&parts, counter), (&*RIGHT, 7)),
        Err(why) => assert_ne!(parts, *RIGHT, "{why}"),
    }
}

/// Registrations: the length of the credential's id and the id, then the attestation object. What is registered is what
/// was sent.
pub(crate) fn registration(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first() else {
        return;
    };
    let (credential_id, attestation_object) = rest.split_at(usize::from(*length).min(rest.len()));
    let client_data = client_data("webauthn.create");
    let answer = Registration { credential_id, client_data: &client_data, attestation_object };
    if let Ok(credential) = verify_registration(&RELYING_PARTY, CHALLENGE, &answer) {
        assert_eq!(credential.id, credential_id);
        assert!((1..=MAX_CREDENTIAL_ID).contains(&credential.id.len()));
        let key = &credential.public_key;
        assert!(attestation_object.windows(key.len()).any(|window| window == key), "a key that wasn't sent");
        // The key that was taken can be used, and doesn't take whatever comes.
        let [client_data, authenticator_data, _] = &*RIGHT;
        let answer = Assertion { client_data, authenticator_data, signature: &[0; 64] };
        let refused = verify_assertion(&RELYING_PARTY, CHALLENGE, &credential, &answer);
        assert_eq!(refused, Err(WebauthnError::SignatureInvalid));
    }
}
