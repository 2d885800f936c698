#!/usr/bin/env bash
# Authlib 1.9.10 (PyPI): a client with PrivateKeyJWT that is given extra claims sends the same `jti` in every assertion.
#
# Expected: each assertion has an identifier of its own, as without extra claims; servers remember `jti` to refuse replays
#   (RFC 7523 §3 item 7, RFC 7519 §4.1.7), so that a second token request is answered with invalid_client.
# Seen: sign_jwt_bearer_assertion writes the `jti` that it made into the dictionary it was given. That is the client's own, kept for its life, and the
#   next assertion finds a `jti` there already. The caller's dictionary has changed too.
# Source: authlib/oauth2/rfc7523/assertion.py and auth.py of the release. Way around: a method object for each request, or no claims.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check authlib==1.9.10 joserfc==1.8.0 requests
"$folder/venv/bin/python" - <<'PYTHON'
import base64
import json
from urllib.parse import parse_qs

from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey


class Client:
    client_id = "example-client"
    client_secret = ECKey.generate_key("P-256")


def identifiers(method):
    found = []
    for _ in range(3):
        _, _, body = method(Client, "POST", "https://as.example/token", {}, "grant_type=client_credentials")
        payload = parse_qs(body)["client_assertion"][0].split(".")[1]
        found.append(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"])
    return len(set(found))


plain = identifiers(PrivateKeyJWT("https://as.example/token", alg="ES256"))
extra = {"department": "billing"}
with_claims = identifiers(PrivateKeyJWT("https://as.example/token", claims=extra, alg="ES256"))
print(f"three assertions: {plain} identifiers without extra claims, {with_claims} with; the caller's claims are {sorted(extra)} now")
assert plain == 3, "without extra claims each assertion should have its own"
assert with_claims == 1 and "jti" in extra, "the behaviour changed: assertions with extra claims don't repeat their jti any more"
PYTHON
