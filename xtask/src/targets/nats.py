"""What a NATS server needs that trusts an operator: the keys, and the JWTs of the operator, of the system account and of
one account. Writes them beside the configuration, and prints the keys that tests go on with."""

import base64
import json
import os
import sys
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

home, port, certificate, key = sys.argv[1:]
KINDS = {"operator": 14 << 3, "account": 0, "user": 20 << 3}


def encoded(raw):
    crc = 0
    for byte in raw:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return base64.b32encode(raw + crc.to_bytes(2, "little")).decode().rstrip("=")


class Pair:
    def __init__(self, kind):
        self.private, kind = Ed25519PrivateKey.generate(), KINDS[kind]
        self.public = encoded(bytes([kind]) + self.private.public_key().public_bytes_raw())
        self.seed = encoded(bytes([18 << 3 | kind >> 5, (kind & 31) << 3]) + self.private.private_bytes_raw())


def part(value):
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def signed(by, subject, name, nats):
    claims = {"jti": part(os.urandom(16)), "iat": int(time.time()), "iss": by.public, "name": name, "sub": subject.public}
    head = part(b'{"typ":"JWT","alg":"ed25519-nkey"}')
    text = f"{head}.{part(json.dumps(claims | {'nats': nats | {'version': 2}}).encode())}"
    return f"{text}.{part(by.private.sign(text.encode()))}"


def account(name, pair, by, keys):
    limits = {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}
    return signed(by, pair, name, {"type": "account", "limits": limits, "signing_keys": keys})


operator, signing, system, people, theirs = (Pair(kind) for kind in ["operator"] * 2 + ["account"] * 3)
trusted = {"type": "operator", "signing_keys": [signing.public], "system_account": system.public}
with open(f"{home}/nats.conf", "w") as file:
    file.write(f"""
listen: 127.0.0.1:{port}
tls {{ cert_file: {json.dumps(certificate)}, key_file: {json.dumps(key)} }}
operator: {signed(operator, operator, "operator", trusted)}
system_account: {system.public}
resolver {{ type: full, dir: {json.dumps(home + "/jwt")}, allow_delete: false, interval: "2m" }}
resolver_preload {{
  {system.public}: {account("SYS", system, operator, [])}
  {people.public}: {account("people", people, operator, [theirs.public])}
}}
""")
# A connector's login that may do everything, in one line.
user = Pair("user")
limits = {"type": "user", "subs": -1, "data": -1, "payload": -1}
print(json.dumps({
    "name": "administrator",
    "secret": " ".join([signed(system, user, "administrator", limits), user.seed, signing.seed, theirs.seed]),
    "operator": operator.public,
    "signing": signing.seed,
    "system": system.seed,
    "options": {"account": people.public, "operators": operator.public},
}))
