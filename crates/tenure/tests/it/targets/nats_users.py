"""Users of an account of NATS, as its people make them: signed by the account's key, and connected, since nobody has a
list of the others. One line asks for one thing, `make NAME` or `lets-in NAME`, and one line answers."""

import base64
import json
import socket
import ssl
import sys
import threading
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

port, authorities, account, seed = sys.argv[1:]
ACCOUNT, USER = 0, 20 << 3
users, connections = {}, []


def encoded(raw):
    crc = 0
    for byte in raw:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return base64.b32encode(raw + crc.to_bytes(2, "little")).decode().rstrip("=")


def public(kind, private):
    return encoded(bytes([kind]) + private.public_key().public_bytes_raw())


def part(value):
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def signed(name, user):
    raw = base64.b32decode(seed + "=" * (-len(seed) % 8))[2:34]
    by = Ed25519PrivateKey.from_private_bytes(raw)
    nats = {"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1, "issuer_account": account}
    claims = {"jti": name, "iat": int(time.time()), "iss": public(ACCOUNT, by), "name": name, "sub": public(USER, user), "nats": nats}
    head = part(b'{"typ":"JWT","alg":"ed25519-nkey"}')
    text = f"{head}.{part(json.dumps(claims).encode())}"
    return f"{text}.{part(by.sign(text.encode()))}"


def connected(name):
    user, jwt = users[name]
    plain = socket.create_connection(("localhost", int(port)), timeout=10)
    info = b""
    while not info.endswith(b"\r\n"):
        info += plain.recv(1)
    nonce = json.loads(info[5:])["nonce"]
    stream = ssl.create_default_context(cafile=authorities).wrap_socket(plain, server_hostname="localhost")
    connect = {"verbose": False, "jwt": jwt, "sig": part(user.sign(nonce.encode())), "lang": "test", "version": "1", "protocol": 1}
    stream.sendall(f"CONNECT {json.dumps(connect)}\r\nPING\r\n".encode())
    lines = stream.makefile("rb")
    for line in lines:
        if line.startswith(b"PONG"):
            return stream, lines
        if line.startswith(b"-ERR"):
            break
    stream.close()
    return None


def kept(stream, lines):
    try:
        for line in lines:
            if line.startswith(b"PING"):
                stream.sendall(b"PONG\r\n")
    except OSError:
        pass


for line in sys.stdin:
    ask, name = line.split()
    if ask == "make":
        user = Ed25519PrivateKey.generate()
        users[name] = (user, signed(name, user))
        connections.append(connected(name))
        threading.Thread(target=kept, args=connections[-1], daemon=True).start()
        print("made", flush=True)
    else:
        there = connected(name)
        print("yes" if there else "no", flush=True)
        if there:
            there[0].close()
