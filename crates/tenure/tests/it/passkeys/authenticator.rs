//! An authenticator in software (CTAP 2.1 as far as a relying party sees it), and the browser's half of a ceremony.
//! Written from the specification and independent of what it tests.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::world::World;

/// One passkey and who uses it where. A clone is a copy of the passkey, counter and all.
#[derive(Clone)]
pub struct Authenticator {
    key: Key,
    id: Vec<u8>,
    counter: u32,
    user: String,
    origin: String,
    relying_party: String,
    verified: bool,
}

#[derive(Clone)]
enum Key {
    Es256(Arc<EcdsaKeyPair>),
    Ed25519(Arc<Ed25519KeyPair>),
}

impl Authenticator {
    pub fn es256(world: &World) -> Self {
        Self::with(Key::Es256(Arc::new(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())), world)
    }

    pub fn ed25519(world: &World) -> Self {
        Self::with(Key::Ed25519(Arc::new(Ed25519KeyPair::generate().unwrap())), world)
    }

    fn with(key: Key, world: &World) -> Self {
        let mut id = vec![0; 32];
        aws_lc_rs::rand::fill(&mut id).unwrap();
        Self {
            key,
            id,
            counter: 0,
            user: String::new(),
            origin: world.server.url.clone(),
            relying_party: "localhost".into(),
            verified: true,
        }
    }

    /// Used on a page of another origin.
    pub fn at(mut self, origin: &str) -> Self {
        self.origin = origin.into();
        self
    }

    /// Used for another relying party.
    pub fn for_relying_party(mut self, id: &str) -> Self {
        self.relying_party = id.into();
        self
    }

    /// Used by whoever holds it.
    pub fn without_verification(mut self) -> Self {
        self.verified = false;
        self
    }

    pub fn of_user(mut self, user: &str) -> Self {
        self.user = user.into();
        self
    }

    pub fn user(&self) -> &str {
        &self.user
    }

    /// `navigator.credentials.create`, as JSON.
    pub fn create(&mut self, options: &Value) -> Value {
        self.user = options["user"]["id"].as_str().unwrap_or_default().to_owned();
        let length = u16::try_from(self.id.len()).unwrap().to_be_bytes();
        let attested = [&[0; 16], length.as_slice(), &self.id, &self.cose_key()].concat();
        let data = self.auth_data(0x40, &attested);
        let length = u16::try_from(data.len()).unwrap().to_be_bytes();
        // {"fmt": "none", "attStmt": {}, "authData": …}
        let object = [b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59".as_slice(), &length, &data].concat();
        let response = json!({"clientDataJSON": text(&self.client_data("webauthn.create", options)), "attestationObject": text(&object), "transports": ["internal"]});
        self.credential(response)
    }

    /// `navigator.credentials.get`, as JSON.
    pub fn get(&mut self, options: &Value) -> Value {
        self.counter += 1;
        let data = self.auth_data(0, &[]);
        let client_data = self.client_data("webauthn.get", options);
        let signature = self.sign(&[data.as_slice(), digest(&SHA256, &client_data).as_ref()].concat());
        let response = json!({"clientDataJSON": text(&client_data), "authenticatorData": text(&data), "signature": text(&signature), "userHandle": self.user});
        self.credential(response)
    }

    fn credential(&self, response: Value) -> Value {
        let id = text(&self.id);
        json!({"id": id, "rawId": id, "type": "public-key", "authenticatorAttachment": "platform", "clientExtensionResults": {}, "response": response})
    }

    fn client_data(&self, ceremony: &str, options: &Value) -> Vec<u8> {
        let data =
            json!({"type": ceremony, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": false});
        data.to_string().into_bytes()
    }

    fn auth_data(&self, flags: u8, attested: &[u8]) -> Vec<u8> {
        let verified = if self.verified { 0x04 } else { 0 };
        let hash = digest(&SHA256, self.relying_party.as_bytes());
        [hash.as_ref(), &[0x01 | verified | flags], &self.counter.to_be_bytes(), attested].concat()
    }

    fn cose_key(&self) -> Vec<u8> {
        match &self.key {
            Key::Es256(key) => {
                let point = key.public_key().as_ref();
                // {1: 2, 3: -7, -1: 1, -2: x, -3: y}
                [b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20".as_slice(), &point[1..33], b"\x22\x58\x20", &point[33..]]
                    .concat()
            }
            // {1: 1, 3: -8, -1: 6, -2: x}
            Key::Ed25519(key) => {
                [b"\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20".as_slice(), key.public_key().as_ref()].concat()
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.key {
            Key::Es256(key) => key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Key::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
