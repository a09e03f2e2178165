"""A collector that takes OTLP over HTTP, keeps what it was sent, and answers as badly as it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """What was sent to a collector.

    Attributes:
        port: where it listens.
        status: what it answers.
        hangs: whether it does not answer until it is closed.
        headers: of the requests.
        metrics: instance, metric and point of each point.
        spans: instance and span of each span.
    """

    def __init__(self, status: int, *, hangs: bool) -> None:
        self.port = 0
        self.status = status
        self.hangs = hangs
        self.closed = Event()
        self.headers: list[dict[str, str]] = []
        self.metrics: list[tuple[str, Any, Any]] = []
        self.spans: list[tuple[str, Any]] = []

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """Keep what one request has brought."""
        self.headers.append(headers)
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                instance = _instance(resource)
                self.spans += [(instance, span) for scope in resource.scope_spans for span in scope.spans]
            return
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                points = getattr(metric, metric.WhichOneof("data")).data_points
                self.metrics += [(_instance(resource), metric, point) for point in points]

    def last(self, name: str) -> dict[str, Any]:
        """Return the last point of a metric of one series, by instance."""
        return {instance: point for instance, metric, point in self.metrics if metric.name == name}


def _instance(resource: Any) -> str:
    attributes = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
    return attributes["service.instance.id"]


@contextmanager
def collecting(status: int = 200, *, hangs: bool = False) -> Iterator[Collector]:
    """Run a collector on a free port of this machine."""
    collector = Collector(status, hangs=hangs)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            if collector.hangs:
                collector.closed.wait(60)
            self.send_response(collector.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *args: None  # a client that has gone
    collector.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield collector
    finally:
        collector.closed.set()
        server.shutdown()
        thread.join()
        server.server_close()
