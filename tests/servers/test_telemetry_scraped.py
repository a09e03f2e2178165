"""A real Prometheus scrapes several workers, and collectors take what these send by OTLP."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from otlp_collector import Collector, collecting
from real_prometheus import scraping
from served import free_port
from shop_under_run import shop, until

from asgi_guard.monitor import names
from asgi_guard.monitor.cells import Aggregate
from asgi_guard.monitor.metric import Kind, Metric
from asgi_guard.telemetry import semconv
from asgi_guard.telemetry.prometheus import render

pytestmark = pytest.mark.timeout(120)

SETTINGS = """
rate_limit = "1000000/second"
telemetry = "otlp"

[endpoints]
local = false
"""
SOON = {"OTEL_METRIC_EXPORT_INTERVAL": "500", "OTEL_BSP_SCHEDULE_DELAY": "200"}
DURATIONS = "http_server_request_duration_seconds"
METRICS = [metric for part in (semconv, names) for metric in vars(part).values() if isinstance(metric, Metric)]


def at(port: int) -> dict[str, str]:
    """Return the variables that name a collector, and ask for haste."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", **SOON}


def arrived(collector: Collector) -> int:
    """Add up what the workers have told last of the shop's requests."""
    last: dict[tuple[str, ...], int] = {}
    for instance, metric, point in collector.metrics:
        labels = {label.key: str(label.value) for label in point.attributes}
        if metric.name == "http.server.request.duration" and "http.route" in labels:
            last[instance, *labels.values()] = point.count
    return sum(last.values())


@pytest.mark.long
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed")
def test_prometheus_and_a_collector_learn_what_was_sent(tmp_path: Path) -> None:
    """Counts, rates and percentiles by route and status, over two workers; exemplars lead to spans."""
    with (
        collecting() as collector,
        shop(tmp_path, workers=2, settings=SETTINGS, **at(collector.port)) as served,
        scraping(tmp_path, served.port) as prometheus,
    ):
        answers = f'{DURATIONS}_count{{http_route="/items/{{id}}",http_response_status_code="%d"}}'
        served.buy(30)
        until(lambda: prometheus.query(answers % 200) == [30])
        assert {served.get("/items/broken")[0] for _ in range(5)} == {500}
        served.buy(10)

        until(lambda: prometheus.query(answers % 200) == [40] and prometheus.query(answers % 500) == [5])
        until(lambda: prometheus.query(f"rate({answers % 200}[30s]) > 0"))
        (p99,) = prometheus.query(f"histogram_quantile(0.99, sum by (le) ({DURATIONS}_bucket))")
        assert 0 < p99 <= 10
        until(lambda: prometheus.query("sum(http_server_active_requests)") == [1])  # the scrape itself
        assert prometheus.query("up") == [1]

        until(lambda: arrived(collector) == 45)
        until(lambda: len(collector.spans) == 45)
        traces = {span.trace_id.hex() for _, span in collector.spans}
        assert {*until(lambda: prometheus.exemplars(f"{DURATIONS}_bucket"))} <= traces


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus is not installed")
def test_promtool_finds_nothing_to_complain_of() -> None:
    """In any of the metrics that there are."""
    aggregate = Aggregate()
    for metric in METRICS:
        if metric.kind is Kind.GAUGE:
            aggregate.observe(metric, lambda metric=metric: [(metric.attributes, 1.5)])
        elif metric.kind is Kind.HISTOGRAM:
            aggregate.series(metric, *metric.attributes).record(1_000_000)
        else:
            aggregate.series(metric, *metric.attributes).add()
    text = render(aggregate.merged())

    command = ["promtool", "check", "metrics"]
    said = subprocess.run(command, input=text, capture_output=True, check=False)
    assert (said.returncode, said.stdout + said.stderr) == (0, b"")
    assert text.count(b"# TYPE") == len(METRICS)


@pytest.mark.slow
def test_a_collector_of_the_trade_hears_each_worker(tmp_path: Path) -> None:
    """Rotel, as it runs beside applications, gets a span of each request, and the numbers of three instances."""
    rotel = pytest.importorskip("rotel")
    port = free_port()
    command = [Path(rotel.__file__).parent / "rotel-agent", "start", "--exporter", "blackhole"]
    command += ["--otlp-http-endpoint", f"127.0.0.1:{port}", "--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}"]
    command += ["--debug-log", "metrics", "--debug-log", "traces", "--debug-log-verbosity", "detailed"]
    log = tmp_path / "rotel.log"
    with (
        log.open("wb") as file,
        subprocess.Popen(
            [*command, "--pid-file", tmp_path / "pid"], stdout=file, stderr=file, cwd=tmp_path
        ) as collector,
    ):
        try:
            until(lambda: "Starting Rotel" in log.read_text())
            with shop(tmp_path, workers=3, settings=SETTINGS, **at(port)) as served:
                workers = set()
                sent = 0
                while len(workers) < 3:
                    workers |= {*served.buy(10)}
                    sent += 10
                until(lambda: len(re.findall(r"^Span #", log.read_text(), re.MULTILINE)) == sent)
        finally:
            collector.terminate()

    instances = {*re.findall(r"service\.instance\.id: \S+\((.+)\)", log.read_text())}
    assert len(instances) == 3
