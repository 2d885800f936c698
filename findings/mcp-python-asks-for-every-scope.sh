#!/usr/bin/env bash
# mcp 2.3.0 (PyPI, the Python SDK of the Model Context Protocol): `ClientCredentialsOAuthProvider(scope="files:read")` asks for every scope that the server lists, and not for
# the one it was given.
#
# Expected: the parameter is described as the scopes to request, so an agent that was set up to read asks for the right to read.
# Seen: the token request carries the whole `scopes_supported` of the protected resource's metadata (RFC 9728). A server that grants what is asked for and allowed gives
#   more than the agent was set up with; one that refuses a scope beyond the client's gives nothing, and the operator finds no trace of the configured scope.
# Source: mcp/client/auth/oauth2.py of the release (the chosen scope overwrites client_metadata.scope at the first 401) and utils.py, get_client_metadata_scopes.
#   Way around: a 401 whose WWW-Authenticate names the scope that this call needs, and a resource document without scopes_supported.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mcp==2.3.0
cat >"$folder/try.py" <<'PY'
import asyncio
import http.server
import json
import sys
import threading
import urllib.parse

import httpx2
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider

asked = []


class Server(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body, **headers):
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path.startswith("/.well-known/oauth-protected-resource"):
            self.answer(200, {"resource": f"{origin}/mcp", "authorization_servers": [origin],
                              "scopes_supported": ["files:read", "files:write", "files:delete"]})
        elif self.path.startswith("/.well-known/oauth-authorization-server"):
            self.answer(200, {
                "issuer": origin, "authorization_endpoint": f"{origin}/authorize", "token_endpoint": f"{origin}/token",
                "response_types_supported": ["code"], "grant_types_supported": ["client_credentials"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"], "code_challenge_methods_supported": ["S256"]})
        elif self.headers.get("Authorization"):
            self.answer(200, {})
        else:
            where = f'Bearer resource_metadata="{origin}/.well-known/oauth-protected-resource/mcp"'
            self.answer(401, {}, **{"WWW-Authenticate": where})

    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        asked.append(form.get("scope", [None])[0])
        self.answer(200, {"access_token": "example", "token_type": "Bearer", "expires_in": 60})

    def log_message(self, *_):
        pass


class Storage:
    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
origin = f"http://127.0.0.1:{server.server_port}"
threading.Thread(target=server.serve_forever, daemon=True).start()


async def main():
    provider = ClientCredentialsOAuthProvider(
        f"{origin}/mcp", Storage(), "example", "example", scope="files:read", issuer=origin)
    async with httpx2.AsyncClient(auth=provider) as client:
        return (await client.get(f"{origin}/mcp")).status_code


status = asyncio.run(main())
print(f"set up with files:read; asked for: {asked}; then {status}")
if status != 200:
    sys.exit("a token should be had")
if asked != ["files:read files:write files:delete"]:
    sys.exit("the behaviour changed")
PY
"$folder/venv/bin/python" "$folder/try.py"
