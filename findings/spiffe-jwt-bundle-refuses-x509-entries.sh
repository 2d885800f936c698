#!/usr/bin/env bash
# spiffe 0.3.2 (PyPI): a SPIFFE bundle that holds an `x509-svid` entry beside its `jwt-svid` entries is refused as a whole by `JwtBundle.parse`.
#
# Expected: a trust domain's bundle holds the keys of both kinds of SVID (SPIFFE Trust Domain and Bundle, sections 3 and 4.2.2, and its appendix A), and a reader of JWT keys takes
#   those whose `use` is `jwt-svid`. An X.509 entry needs no `kid`.
# Seen: `ParseJWTBundleError`: "keyID" cannot be empty. The same bundle without the X.509 entry is read. A bundle endpoint of a trust domain that issues both can't be
#   read by this class.
# Source: spiffe/bundle/jwt_bundle of the release (every key of the set is taken for a JWT authority, whatever its `use`). Way around: take out other entries first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check spiffe==0.3.2
cat >"$folder/try.py" <<'PY'
import base64
import datetime
import json
import sys

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from spiffe import JwtBundle, TrustDomain

key = ec.generate_private_key(ec.SECP256R1())
now = datetime.datetime.now(datetime.timezone.utc)
name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.org")])
usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
certificate = (
    x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(5)
    .not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    .add_extension(x509.BasicConstraints(True, None), True).add_extension(usage, True)
    .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier("spiffe://example.org")]), False)
    .sign(key, hashes.SHA256()))
public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
for_jwt = {**public, "use": "jwt-svid", "kid": "one"}
for_x509 = {**public, "use": "x509-svid", "x5c": [base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()]}


def parsed(*keys):
    bundle = json.dumps({"keys": keys, "spiffe_sequence": 1, "spiffe_refresh_hint": 60}).encode()
    try:
        return list(JwtBundle.parse(TrustDomain("example.org"), bundle).jwt_authorities)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


alone, both = parsed(for_jwt), parsed(for_x509, for_jwt)
print(f"jwt-svid alone: {alone}; with x509-svid: {both}")
if alone != ["one"]:
    sys.exit("a bundle of JWT keys should be read")
if not isinstance(both, str):
    sys.exit("the behaviour changed: a bundle with an X.509 entry is read")
PY
"$folder/venv/bin/python" "$folder/try.py"
