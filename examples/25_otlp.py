"""Send what was counted, and a span a request, to an OpenTelemetry collector.

`setup_otlp()` goes by the standard `OTEL_*` variables. Durations leave as a histogram for each kind of answer, whatever
the number of requests. Providers that your program has set up are used, and never replaced; where you make a reader
yourself, put `GuardMetricExporter(...)` around its exporter. No request waits for a collector that is away.

Needs: pip install 'asgi-guard[otel]'; the collector here only counts what it is sent.

Expect:
    requests answered: 20
    counted by the collector: 20
    spans: 20
"""

import asyncio
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from asgi_guard import TelemetryMiddleware
from asgi_guard.telemetry.otlp import setup_otlp
from asgi_guard.testing import call

received = {}


class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/traces":
            (scope,) = ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans
            received["spans"] = len(scope.spans)
        else:
            (scope,) = ExportMetricsServiceRequest.FromString(body).resource_metrics[0].scope_metrics
            durations = next(metric for metric in scope.metrics if metric.name == "http.server.request.duration")
            received["requests"] = durations.histogram.data_points[0].count
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args): ...


@TelemetryMiddleware
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


if __name__ == "__main__":
    collector = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    Thread(target=collector.serve_forever, daemon=True).start()
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{collector.server_port}"
    otlp = setup_otlp()
    print("requests answered:", sum(asyncio.run(call(app)).status == 200 for _ in range(20)))
    otlp.shutdown()
    print("counted by the collector:", received["requests"])
    print("spans:", received["spans"])
