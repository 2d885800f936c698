#!/usr/bin/env bash
# cyclonedx-python-lib 11.12.0 (PyPI): a CycloneDX 1.6 document that is read and written again has lost parts that the format defines, and has a serial
# number and a time that it never had.
#
# Expected: `Bom.from_json` keeps what the schema of the document's version defines, or says what it leaves out; a field that is absent stays absent.
# Seen: `annotations`, `compositions`, `declarations` and `formulation` are gone without a word; `serialNumber` (a new one at each reading) and
#   `metadata.timestamp` (the time of reading) are there. A digest or signature over the document is void after it, and evidence in `declarations` is lost.
# Source: cyclonedx/model/bom.py of the release (the class has no such properties; serial number and metadata have defaults). Way around: edit the JSON itself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'cyclonedx-python-lib[validation]==11.12.0'
cat >"$folder/try.py" <<'PY'
import json
import sys

from cyclonedx.model.bom import Bom
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

given = {
    "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
    "components": [{"type": "library", "name": "a", "version": "1", "bom-ref": "a"}],
    "compositions": [{"aggregate": "complete", "assemblies": ["a"]}],
    "annotations": [{"subjects": ["a"], "annotator": {"organization": {"name": "Example"}}, "timestamp": "2026-01-01T00:00:00Z", "text": "reviewed"}],
    "declarations": {"assessors": [{"bom-ref": "b", "thirdParty": True, "organization": {"name": "Example"}}]},
    "formulation": [{"bom-ref": "c", "workflows": [{"bom-ref": "d", "uid": "u", "taskTypes": ["build"]}]}],
}
problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(given))
if problem:
    sys.exit(f"the document should be valid: {problem}")
written = json.loads(JsonV1Dot6(Bom.from_json(given)).output_as_string())
lost, gained = sorted(set(given) - set(written)), sorted(set(written) - set(given))
print(f"lost: {lost}; gained: {gained}")
if lost != ["annotations", "compositions", "declarations", "formulation"] or not {"serialNumber", "metadata"} <= set(gained):
    sys.exit("the behaviour changed")
PY
"$folder/venv/bin/python" "$folder/try.py"
