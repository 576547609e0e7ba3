"""The agent's traces against OpenTelemetry's own definition; see traces.sh."""

import base64
import collections
import http.server
import json
import os
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PIPELINE = """
[inputs.app]
type = "file"
paths = ["@HOME@/app.log"]
codec = "json"

[outputs.kept]
type = "file"
path = "@HOME@/data/kept.jsonl"

[outputs.nothing]
type = "null"
"""
requests = queue.Queue()


def read(body):
    """OTLP's JSON writes ids in hexadecimal, where JSON of protobuf has base64; else it is the same."""
    def ids(value):
        if isinstance(value, list):
            return [ids(one) for one in value]
        if not isinstance(value, dict):
            return value
        return {key: base64.b64encode(bytes.fromhex(one)).decode() if key in ("traceId", "spanId", "parentSpanId") else ids(one)
                for key, one in value.items()}

    return json_format.ParseDict(ids(json.loads(body)), ExportTraceServiceRequest(), ignore_unknown_fields=False)


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            assert (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/json"), (self.path, self.headers["Content-Type"])
            requests.put(read(body))
        except Exception as why:
            requests.put(why)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def attributes(of):
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in of.attributes}


def check(spans):
    """One tree: `batch`, and below it the way through the agent."""
    [root] = [span for span in spans if not span.parent_span_id]
    names = collections.Counter(span.name for span in spans)
    assert names == {"batch": 1, "wait": 1, "filter": 1, "journal": 1, "output kept": 1, "output nothing": 1}, names
    assert root.name == "batch" and len({span.span_id for span in spans}) == len(spans)
    for span in spans:
        assert len(span.trace_id) == 16 and any(span.trace_id) and len(span.span_id) == 8 and any(span.span_id), span
        assert span is root or span.parent_span_id == root.span_id, span
        assert root.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano <= root.end_time_unix_nano, (root, span)
    return attributes(root)


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="logweir-traces-") as home:
        (pathlib.Path(home) / "app.toml").write_text(PIPELINE.replace("@HOME@", home))
        log = open(f"{home}/agent.log", "wb")
        agent = subprocess.Popen([os.environ["LOGWEIR_BINARY"], "run", "--data-dir", f"{home}/data", "--admin", "off", "--otlp-sample", "1",
                                  "--otlp-endpoint", f"http://127.0.0.1:{server.server_address[1]}", f"{home}/app.toml"],
                                 stdin=subprocess.DEVNULL, stderr=log)
        traces, events, resource = collections.defaultdict(list), 0, {}
        try:
            for number in range(5):
                with open(f"{home}/app.log", "a") as out:
                    out.writelines(json.dumps({"message": f"line {number}-{n}"}) + "\n" for n in range(100))
                wanted = (number + 1) * 100
                while events < wanted:
                    request = requests.get(timeout=60)
                    if isinstance(request, Exception):
                        sys.exit(f"traces: a request is not OpenTelemetry's: {request!r}")
                    for resource_spans in request.resource_spans:
                        resource = attributes(resource_spans.resource)
                        for scope in resource_spans.scope_spans:
                            for span in scope.spans:
                                traces[span.trace_id].append(span)
                                events += attributes(span).get("logweir.events", 0) if not span.parent_span_id else 0
        except queue.Empty:
            sys.exit(f"traces: no request in a minute; {events} events were told of\n" + pathlib.Path(f"{home}/agent.log").read_text()[-2000:])
        finally:
            agent.kill()
            agent.wait()
    told = [check(spans) for spans in traces.values()]
    assert sum(one["logweir.events"] for one in told) == 500, told
    assert resource.get("service.name") == "logweir", resource
    print(f"{len(traces)} traces of 500 events; resource {sorted(resource)}; of a batch {sorted(told[0])}")


main()
