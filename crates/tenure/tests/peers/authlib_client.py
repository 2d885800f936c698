"""What stock clients in Python do: authlib with private_key_jwt, requests with a client certificate.

Usage: `authlib_client.py TASK` with {"endpoint", "client", "pem"} for authlib, whose assertions are addressed to the token endpoint; or with
{"endpoint", "client", "certificate", "key", "authority"} for a connection with a certificate. Says what the server answered as JSON.
"""

import json
import sys
import time

import requests
from authlib.integrations.requests_client import OAuth2Session, OAuthError
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey

task = json.loads(sys.argv[1])


def with_a_key():
    # Its assertions live an hour if nobody says otherwise; ten minutes are taken at most.
    method = PrivateKeyJWT(task["endpoint"], claims={"exp": int(time.time()) + 60}, alg="ES256")
    session = OAuth2Session(task["client"], ECKey.import_key(task["pem"]), token_endpoint_auth_method=method)
    session.trust_env = False
    try:
        return {"token": session.fetch_token(task["endpoint"], grant_type="client_credentials")}
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
