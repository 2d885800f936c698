"""What a scraper reads of a server's metrics: the official client of Prometheus, with its strict parser of OpenMetrics.

Usage: `metrics.py URL` says {"type", "families": {name: {"type", "unit", "help", "samples": [[name, labels, value]]}}} as JSON.
"""

import json
import sys
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families

# What Prometheus sends.
accept = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
request = urllib.request.Request(sys.argv[1], headers={"Accept": accept})
with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
    kind, text = answer.headers["Content-Type"], answer.read().decode()
families = {
    family.name: {
        "type": family.type,
        "unit": family.unit,
        "help": family.documentation,
        "samples": [[sample.name, sample.labels, sample.value] for sample in family.samples],
    }
    for family in text_string_to_metric_families(text)
}
json.dump({"type": kind, "families": families}, sys.stdout)
