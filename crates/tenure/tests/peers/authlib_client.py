"""What stock clients in Python do: authlib with private_key_jwt, requests with a client certificate.

Usage: `authlib_client.py TASK` with {"endpoint", "client", "pem", "audience"} for authlib, as docs/how-to/stock-clients.md has it, three times in a row; or with
{"endpoint", "client", "certificate", "key", "authority"} for a connection with a certificate. Says what the server answered as JSON.
"""

import json
import sys
import time

import requests
from authlib.integrations.requests_client import OAuth2Session, OAuthError
from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign
from joserfc.jwk import ECKey

task = json.loads(sys.argv[1])


class ShortAssertion(PrivateKeyJWT):
    """Assertions that live a minute, each with a jti of its own."""

    def sign(self, auth, audience):
        claims = {"exp": int(time.time()) + 60}
        return private_key_jwt_sign(auth.client_secret, auth.client_id, audience, alg=self.alg, claims=claims)


def with_a_key():
    method = ShortAssertion(task["audience"], alg="ES256")
    session = OAuth2Session(task["client"], ECKey.import_key(task["pem"]), token_endpoint_auth_method=method)
    session.trust_env = False
    try:
        return {"tokens": [session.fetch_token(task["endpoint"], grant_type="client_credentials") for _ in range(3)]}
    except OAuthError as error:
        return {"error": error.error}


def with_a_certificate():
    session = requests.Session()
    session.trust_env = False
    session.verify = task["authority"]
    session.cert = (task["certificate"], task["key"])
    reply = session.post(task["endpoint"], data={"grant_type": "client_credentials", "client_id": task["client"]})
    return {"status": reply.status_code, "body": reply.json()}


print(json.dumps(with_a_key() if "pem" in task else with_a_certificate()))
