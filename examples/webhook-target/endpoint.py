"""An endpoint by which Tenure finds, stops and ends the accounts of a system that no connector knows.

Run beside the system: python3 endpoint.py PORT CERTIFICATE KEY DATABASE KEYS, after pip install standardwebhooks. KEYS is
a folder with a file for each who may ask: the secret, whsec_…, then a line for each thing that it may ask for. Here the
system keeps its users in SQLite; what has to be written anew for another one is the functions from told to issue.
"""

import json
import os
import sqlite3
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

PORT, CERTIFICATE, KEY, DATABASE, KEYS = sys.argv[1:]
PAGE = 500


class Refused(Exception):
    def __init__(self, status, code, words):
        self.status, self.error = status, {"code": code, "words": words}


def told(db, user):
    grants = [grant for (grant,) in db.execute("SELECT name FROM grants WHERE user = ? ORDER BY name", [user["id"]])]
    marks = {"owner": user["owner"], "tenure": user["made_for"]}
    return {"key": str(user["id"]), "name": user["name"], "enabled": bool(user["active"]), "grants": grants,
            "marks": {name: text for name, text in marks.items() if text}}


def find(db, key):
    return db.execute("SELECT * FROM users WHERE id = ?", [key]).fetchone()


def list_accounts(db, ask, may):
    users = db.execute("SELECT * FROM users WHERE id > ? ORDER BY id LIMIT ?", [int(ask["after"] or 0), PAGE]).fetchall()
    return {"accounts": [told(db, user) for user in users], "next": str(users[-1]["id"]) if len(users) == PAGE else None,
            "unseen": ["sessions that are open"], "can": may}


def read(db, ask, may):
    user = find(db, ask["key"])
    return {"account": told(db, user) if user else None}


def hold(db, ask, may):  # Whom people stopped already is not ours to let in again.
    db.execute("UPDATE users SET active = 0, held = 1 WHERE id = ? AND active = 1", [ask["key"]])
    return {"words": "active is 0"}


def release(db, ask, may):
    db.execute("UPDATE users SET active = 1, held = 0 WHERE id = ? AND held = 1", [ask["key"]])
    return {"words": "active is 1, if Tenure had set it to 0"}


def narrow(db, ask, may):
    for (grant,) in db.execute("SELECT name FROM grants WHERE user = ?", [ask["key"]]).fetchall():
        if grant not in ask["keep"]:
            db.execute("DELETE FROM grants WHERE user = ? AND name = ?", [ask["key"], grant])
    return {"words": "the other rows of grants are deleted"}


def end(db, ask, may):
    db.execute("DELETE FROM grants WHERE user = ?", [ask["key"]])
    db.execute("DELETE FROM users WHERE id = ?", [ask["key"]])
    return {"words": "its row is deleted"}


def rotate(db, ask, may):
    db.execute("UPDATE users SET password = ? WHERE id = ?", [ask["secret"], ask["key"]])
    return {"words": "another password"}


def issue(db, ask, may):
    user = db.execute("SELECT * FROM users WHERE name = ?", [ask["name"]]).fetchone()
    if user and user["made_for"] != ask["mark"]:
        raise Refused(409, "taken", "somebody else has an account of that name")
    known = {name for (name,) in db.execute("SELECT name FROM rights")}
    if not known.issuperset(ask["grants"]):
        raise Refused(422, "rejected", "there is no such right")
    db.execute("INSERT INTO users (name, made_for) VALUES (?, ?) ON CONFLICT DO NOTHING", [ask["name"], ask["mark"]])
    db.execute("UPDATE users SET password = ?, active = 1, held = 0 WHERE name = ?", [ask["secret"], ask["name"]])
    user = db.execute("SELECT * FROM users WHERE name = ?", [ask["name"]]).fetchone()
    db.execute("DELETE FROM grants WHERE user = ?", [user["id"]])
    db.executemany("INSERT INTO grants VALUES (?, ?)", [(user["id"], grant) for grant in set(ask["grants"])])
    return {"account": told(db, user)}


ASKED = {"list": list_accounts, "read": read, "hold": hold, "release": release, "narrow": narrow, "end": end,
         "rotate": rotate, "issue": issue}
seen, lock = {}, threading.Lock()


def allowed(headers, body):
    """What whoever signed this may ask for. A message counts once: what is replayed within the signature's time isn't."""
    for name in os.listdir(KEYS):
        try:
            with open(os.path.join(KEYS, name)) as file:
                secret, *may = file.read().split()
            Webhook(secret).verify(body, headers, json_parse=False)
        except (WebhookVerificationError, ValueError, OSError):
            continue
        with lock:
            for old in [id for id, at in seen.items() if at < time.monotonic() - 900]:
                del seen[old]
            if seen.setdefault(headers["webhook-id"], (now := time.monotonic())) is not now:
                raise Refused(409, "replayed", "this message was seen before")
        return may
    raise Refused(401, "unauthorized", "it is signed by no key that may ask here")


class Endpoint(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(min(int(self.headers.get("content-length") or 0), 1 << 20))
        answer, status = {"id": self.headers.get("webhook-id", "")}, 200
        try:
            headers = {name.lower(): value for name, value in self.headers.items()}
            may, ask = allowed(headers, body), json.loads(body)
            if ask["type"] not in may or ask["type"] not in ASKED:
                raise Refused(403, "unable", "this key may not ask for that")
            with sqlite3.connect(DATABASE, timeout=30) as db:  # One transaction: all of it, or nothing.
                db.row_factory = sqlite3.Row
                answer["data"] = ASKED[ask["type"]](db, ask["data"], may)
        except Refused as refused:
            status, answer["error"] = refused.status, refused.error
        reply = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERTIFICATE, KEY)
server = ThreadingHTTPServer(("127.0.0.1", int(PORT)), Endpoint)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
