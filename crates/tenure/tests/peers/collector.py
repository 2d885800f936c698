"""A receiver of traces by OTLP over HTTP: it stands in for a collector, and reads what it gets with the messages that OpenTelemetry publishes.

Usage: `collector.py` says {"port"} once it listens, and then a line for each span: {"service", "version", "trace", "span", "parent", "name", "kind", "error",
"attributes", "repeated", "events", "authorization"}.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

lock = threading.Lock()


def say(thing):
    with lock:
        print(json.dumps(thing), flush=True)


def values(attributes):
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/v1/traces" or self.headers["Content-Type"] != "application/x-protobuf":
            self.send_error(404)
            return
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            about = values(resource.resource.attributes)
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                say(
                    {
                        "service": about.get("service.name"),
                        "version": about.get("service.version"),
                        "trace": span.trace_id.hex(),
                        "span": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "name": span.name,
                        "kind": Span.SpanKind.Name(span.kind),
                        "error": span.status.code == Status.STATUS_CODE_ERROR,
                        "attributes": values(span.attributes),
                        "repeated": len(span.attributes) != len(values(span.attributes)),
                        "events": len(span.events),
                        "authorization": self.headers["Authorization"],
                    }
                )
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
say({"port": server.server_address[1]})
threading.Thread(target=server.serve_forever, daemon=True).start()
# It ends with the test.
sys.stdin.read()
