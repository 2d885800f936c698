"""An MCP server by FastMCP that checks access tokens by itself, by the issuer's key set.

Usage: `mcp_server.py TASK` with {"issuer", "algorithm", "required": [scopes], "offered": [scopes]}: listens at a port of its own, says
{"url"} and serves until its standard input ends. Its tool `who` says whose token it was called with and for what.
"""

import asyncio
import json
import socket
import sys
import threading

import uvicorn
from fastmcp import FastMCP
from fastmcp.server.auth import RemoteAuthProvider
from fastmcp.server.auth.providers.jwt import JWTVerifier
from fastmcp.server.dependencies import get_access_token

task = json.loads(sys.argv[1])
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
url = f"http://127.0.0.1:{listener.getsockname()[1]}"
verifier = JWTVerifier(
    jwks_uri=f"{task['issuer']}/jwks.json",
    issuer=task["issuer"],
    audience=url,
    algorithm=task.get("algorithm"),
    required_scopes=task["required"],
)
server = FastMCP(
    "test",
    auth=RemoteAuthProvider(
        token_verifier=verifier,
        authorization_servers=[task["issuer"]],
        base_url=url,
        scopes_supported=task["offered"],
    ),
)


@server.tool
def who() -> str:
    token = get_access_token()
    return json.dumps({"client": token.client_id, "scopes": sorted(token.scopes), "audience": token.claims["aud"]})


web = uvicorn.Server(uvicorn.Config(server.http_app(path="/"), log_level="warning", lifespan="on"))
threading.Thread(target=lambda: (sys.stdin.read(), setattr(web, "should_exit", True)), daemon=True).start()
print(json.dumps({"url": url}), flush=True)
asyncio.run(web.serve(sockets=[listener]))
