"""A system that no connector knows: users in SQLite, who sign in over TLS; and its administrator, who has SQL."""

import json
import sqlite3
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, certificate, key, database, administrator = sys.argv[1:]
with sqlite3.connect(database) as db:
    db.executescript("""
        PRAGMA journal_mode = WAL;
        CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE NOT NULL, password TEXT,
            active INTEGER NOT NULL DEFAULT 1, owner TEXT, made_for TEXT, held INTEGER NOT NULL DEFAULT 0);
        CREATE TABLE rights (name TEXT PRIMARY KEY);
        CREATE TABLE grants (user INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (user, name));
        INSERT INTO rights VALUES ('orders.read'), ('orders.write');
    """)


class Legacy(BaseHTTPRequestHandler):
    def do_POST(self):
        told = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with sqlite3.connect(database, timeout=30) as db:
            if self.path == "/sql" and self.headers.get("authorization") == f"Bearer {administrator}":
                said = [db.execute(sql, values).fetchall() for sql, values in told]
            elif self.path == "/sign-in":
                rights = "SELECT grants.name FROM users LEFT JOIN grants ON user = id WHERE users.name = ? AND password = ? AND active"
                rows = db.execute(rights, [told["name"], told["password"]]).fetchall()
                said = {"in": bool(rows), "may": [right for (right,) in rows if right]}
            else:
                said = None
        reply = json.dumps(said).encode()
        self.send_response(200 if said is not None else 403)
        self.send_header("content-length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_request(self, *_):
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server = ThreadingHTTPServer(("127.0.0.1", int(port)), Legacy)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
