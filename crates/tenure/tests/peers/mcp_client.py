"""What the MCP SDK in Python does as a machine: it asks a server for a tool, is told where to get a token, proves itself and calls the tool.

Usage: `mcp_client.py TASK` with {"server", "issuer", "id", "pem", "alg", "scope"?, "tool"} says {"text"} or {"failed"} as JSON.
"""

import asyncio
import json
import sys

import httpx2
from mcp import ClientSession
from mcp.client.auth.extensions.client_credentials import PrivateKeyJWTOAuthProvider, SignedJWTParameters
from mcp.client.streamable_http import streamable_http_client

task = json.loads(sys.argv[1])


class Storage:
    tokens = None
    client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


async def main():
    parameters = SignedJWTParameters(issuer=task["id"], subject=task["id"], signing_key=task["pem"], signing_algorithm=task["alg"])
    provider = PrivateKeyJWTOAuthProvider(
        server_url=task["server"],
        storage=Storage(),
        client_id=task["id"],
        assertion_provider=parameters.create_assertion_provider(),
        scope=task.get("scope"),
        issuer=task["issuer"],
    )
    async with httpx2.AsyncClient(auth=provider, trust_env=False) as http:
        async with streamable_http_client(task["server"], http_client=http) as streams:
            async with ClientSession(streams[0], streams[1]) as session:
                await session.initialize()
                answer = await session.call_tool(task["tool"], {})
                return {"text": answer.content[0].text}


def leaves(error):
    return [leaf for inner in error.exceptions for leaf in leaves(inner)] if isinstance(error, BaseExceptionGroup) else [error]


try:
    said = asyncio.run(main())
except BaseException as error:
    said = {"failed": "; ".join(repr(leaf) for leaf in leaves(error))}
print(json.dumps(said))
