#!/usr/bin/env bash
# botocore 1.44.8 (PyPI): a `credential_process` whose credential has 15 minutes or less to live is run again each time credentials are read.
#
# Expected: a credential that is good for ten minutes is kept until near its end, so that a program that signs a request a second runs the process
#   some times an hour.
# Seen: read five times, a credential of 14 minutes starts the process at each of them (and once more at loading); one of 20 minutes starts it once.
#   Whoever hands out short-lived credentials (10 minutes is a common life) by this way gets one process, and one new credential, for each signed request.
# Source: botocore/credentials.py of the release, RefreshableCredentials (_advisory_refresh_timeout = 15 * 60 applies whatever the whole life is).
#   Way around: lives of 20 minutes and more there, or a process that keeps what it got.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check botocore==1.44.8
cat >"$folder/try.py" <<'PY'
import os
import stat
import sys

import botocore.session

folder = sys.argv[1]


def runs(minutes):
    count, process, config = (f"{folder}/{name}-{minutes}" for name in ("count", "process", "config"))
    with open(process, "w") as file:
        file.write(f"""#!/usr/bin/env python3
import datetime, json
open({count!r}, "a").write("x")
end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes={minutes})
print(json.dumps({{"Version": 1, "AccessKeyId": "AKIAEXAMPLE", "SecretAccessKey": "example", "SessionToken": "example",
                  "Expiration": end.isoformat()}}))
""")
    os.chmod(process, stat.S_IRWXU)
    with open(config, "w") as file:
        file.write(f"[profile example]\ncredential_process = {process}\n")
    os.environ.update(AWS_CONFIG_FILE=config, AWS_SHARED_CREDENTIALS_FILE=f"{folder}/none")
    credentials = botocore.session.Session(profile="example").get_credentials()
    for _ in range(5):
        credentials.get_frozen_credentials()
    return os.path.getsize(count)


short, long = runs(14), runs(20)
print(f"five readings: {short} runs for 14 minutes of life, {long} for 20")
if long != 1:
    sys.exit("a credential of 20 minutes should be kept")
if short < 5:
    sys.exit(f"the behaviour changed: {short} runs for a credential of 14 minutes")
PY
"$folder/venv/bin/python" "$folder/try.py" "$folder"
