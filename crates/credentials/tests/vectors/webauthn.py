"""Makes webauthn-fido2.json: registrations and assertions built by Yubico's python-fido2, not by our own code.

Run with `pip install fido2==2.2.1`, and write the output to webauthn-fido2.json. Keys and signatures are fresh in each run.
"""

import hashlib
import json
import os

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from fido2 import cose
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData

RP_ID = "tenure.example"
ORIGIN = "https://tenure.example"
UP, UV, BE, BS, AT, ED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80


def make(name, alg, flags, counters, extensions=None, id_length=32, attestation="none"):
    if alg == "ES256":
        key = ec.generate_private_key(ec.SECP256R1())
        public = cose.ES256.from_cryptography_key(key.public_key())
        sign = lambda message: key.sign(message, ec.ECDSA(hashes.SHA256()))
    else:
        key = ed25519.Ed25519PrivateKey.generate()
        public = cose.EdDSA.from_cryptography_key(key.public_key())
        sign = key.sign
    rp_id_hash = hashlib.sha256(RP_ID.encode()).digest()
    credential_id = os.urandom(id_length)
    extended = ED if extensions else 0

    challenge = os.urandom(32)
    client_data = CollectedClientData.create("webauthn.create", challenge, ORIGIN)
    attested = AttestedCredentialData.create(bytes(16), credential_id, public)
    auth_data = AuthenticatorData.create(rp_id_hash, flags | AT | extended, counters[0], attested, extensions)
    statement = {}
    if attestation == "packed":
        statement = {"alg": public[3], "sig": sign(bytes(auth_data) + client_data.hash)}
    registration = {
        "challenge": challenge.hex(),
        "clientDataJSON": bytes(client_data).hex(),
        "attestationObject": bytes(AttestationObject.create(attestation, auth_data, statement)).hex(),
    }

    challenge = os.urandom(32)
    client_data = CollectedClientData.create("webauthn.get", challenge, ORIGIN)
    auth_data = AuthenticatorData.create(rp_id_hash, flags | extended, counters[1], b"", extensions)
    assertion = {
        "challenge": challenge.hex(),
        "clientDataJSON": bytes(client_data).hex(),
        "authenticatorData": bytes(auth_data).hex(),
        "signature": sign(bytes(auth_data) + client_data.hash).hex(),
    }
    return {"name": name, "credentialId": credential_id.hex(), "counters": counters, "registration": registration, "assertion": assertion}


print(json.dumps({
    "origin": "made by webauthn.py with PyPI fido2 2.2.1",
    "rpId": RP_ID,
    "pageOrigin": ORIGIN,
    "cases": [
        make("ES256, no attestation, counters", "ES256", UP | UV, [7, 8]),
        make("EdDSA, no attestation, no counters, synced", "EdDSA", UP | UV | BE | BS, [0, 0]),
        make("ES256, self attestation, eligible but not backed up yet", "ES256", UP | UV | BE, [0, 1], attestation="packed"),
        make("EdDSA, self attestation, extensions", "EdDSA", UP | UV, [1, 4294967295], {"credProtect": 3}, attestation="packed"),
        make("ES256, the longest credential id", "ES256", UP | UV, [0, 0], id_length=1023),
    ],
}, indent=1))
