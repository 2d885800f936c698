#!/usr/bin/env bash
# PyJWT 2.15.1 (PyPI): a key set whose only key says `"alg": "Ed25519"` (RFC 9864, 2.2) "did not contain any usable keys. Perhaps 'cryptography' is not installed?", which it is.
#
# Expected: the name that RFC 9864 registers in the place of the deprecated `EdDSA` is known, or the error names the algorithm that isn't.
# Seen: PyJWKSet raises as above; a token with that header is `Algorithm not supported`. joserfc 1.8.0 signs and reads the same token by the new name. With both names
#   in a set, the key by the new name is dropped without a word, so that a token signed by it has no key.
# Source: jwt/algorithms.py (get_default_algorithms) and api_jwk.py of the release (PyJWKSet.__init__ swallows the key's error). Way around: publish the key
#   with `EdDSA` or without `alg`, and sign with `EdDSA`, for as long as Python reads it; openid-client 6.9.0 (npm) signs by the new name wherever WebCrypto holds the key.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'PyJWT[crypto]==2.15.1' joserfc==1.8.0
cat >"$folder/try.py" <<'PY'
import sys

import jwt
from joserfc import jwt as other
from joserfc.jwk import OKPKey

key = OKPKey.generate_key("Ed25519")
token = other.encode({"alg": "Ed25519"}, {"sub": "example"}, key, algorithms=["Ed25519"])
read = other.decode(token, key, algorithms=["Ed25519"]).claims


def seen(what):
    try:
        return what()
    except jwt.exceptions.PyJWTError as error:
        return f"{type(error).__name__}: {error}"


def published(alg, kid):
    return {**key.as_dict(private=False), "alg": alg, "kid": kid}


def kids(*names):
    keys = [published(name, name) for name in names]
    return [one.key_id for one in jwt.PyJWKSet.from_dict({"keys": keys}).keys]


new, both = seen(lambda: kids("Ed25519")), seen(lambda: kids("Ed25519", "EdDSA"))
public = jwt.PyJWK(published("EdDSA", "old")).key
decoded = seen(lambda: jwt.decode(token, public, algorithms=["Ed25519", "EdDSA"]))
print(f"joserfc reads: {read}; PyJWT: a set by the new name: {new}; by both: {both}; a token: {decoded}")
if read != {"sub": "example"}:
    sys.exit("the token should be read by joserfc")
if "usable keys" not in str(new) or both != ["EdDSA"] or "not supported" not in str(decoded):
    sys.exit("the behaviour changed")
PY
"$folder/venv/bin/python" "$folder/try.py"
