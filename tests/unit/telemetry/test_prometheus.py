"""Text for Prometheus: read back with the parsers of its own client library, and checked by its own tool."""

from __future__ import annotations

import math
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard.monitor.cells import Aggregate, Exemplar, Point, Snapshot
from asgi_guard.monitor.metric import HTTP_DURATION_BOUNDS, Kind, Metric
from asgi_guard.telemetry.prometheus import content_type, name_of, render

text_parser = pytest.importorskip("prometheus_client.parser")
openmetrics_parser = pytest.importorskip("prometheus_client.openmetrics.parser")

TIME = Metric(
    "http.server.request.duration",
    "s",
    "Duration of HTTP server requests.",
    Kind.HISTOGRAM,
    ("http.request.method", "http.route"),
    HTTP_DURATION_BOUNDS,
)
HITS = Metric("asgi_guard.hits", "{hit}", 'Hits, "all" of them,\nand \\.', Kind.COUNTER, ("what",))
OPEN = Metric("http.server.active_requests", "{request}", "Open requests.", Kind.UP_DOWN)
LOAD = Metric("load", "1", "Load.", Kind.GAUGE, ("cpu",))

HOSTILE = [
    "",
    "a",
    '"',
    "\\",
    "\n",
    '\\"',
    "\\n",
    '"} 1\nforged{a="',
    "é\u2028",
    "\x00",
    "\r",
    "{",
    "}",
    ",",
    "=",
    "# EOF",
]


def parsed(snapshot: Snapshot, *, openmetrics: bool) -> dict[object, float]:
    """Read a rendered snapshot back: sample by name and labels."""
    text = render(snapshot, openmetrics=openmetrics).decode()
    parser = openmetrics_parser if openmetrics else text_parser
    families = [*parser.text_string_to_metric_families(text)]
    samples = [sample for family in families for sample in family.samples]
    read = {(sample.name, *sorted(sample.labels.items())): sample.value for sample in samples}
    assert len(read) == len(samples)
    return read


def everything() -> Snapshot:
    """Count something of each kind."""
    aggregate = Aggregate()
    aggregate.series(TIME, "GET", "/items/{id}").record(12_000_000, (0xABC, 0xDEF))
    aggregate.series(TIME, "GET", "").record(20_000_000_000)
    aggregate.series(HITS, "a").add(3)
    aggregate.series(OPEN).add(2)
    aggregate.observe(LOAD, lambda: [(("0",), 0.5)])
    return aggregate.snapshot()


@pytest.mark.parametrize("openmetrics", [False, True])
def test_each_kind_is_read_as_it_was_counted(openmetrics: bool) -> None:
    """Buckets add up from the left, sums are in seconds, an attribute without a value is no label."""
    read = parsed(everything(), openmetrics=openmetrics)
    labels = (("http_request_method", "GET"), ("http_route", "/items/{id}"))
    name = "http_server_request_duration_seconds"

    assert read["asgi_guard_hits_total", ("what", "a")] == 3
    assert read["http_server_active_requests",] == 2
    assert read["load_ratio", ("cpu", "0")] == 0.5
    buckets = {key[3][1]: value for key, value in read.items() if key[0] == f"{name}_bucket" and key[1:3] == labels}
    assert buckets == {repr(bound): float(bound >= 0.025) for bound in HTTP_DURATION_BOUNDS} | {"+Inf": 1.0}
    assert read[f"{name}_sum", *labels] == 0.012
    assert read[f"{name}_count", *labels] == 1
    assert read[f"{name}_bucket", ("http_request_method", "GET"), ("le", "10.0")] == 0


def test_the_text_is_the_same_each_time() -> None:
    """Families and series are in order, whatever order they were counted in; nothing is said twice."""
    snapshot = everything()
    text = render(snapshot).decode()
    heads = [line for line in text.splitlines() if line.startswith("#")]

    assert render(Snapshot(reversed([*snapshot]))).decode() == text
    assert len(heads) == len(set(heads)) == 8
    assert heads[0] == r'# HELP asgi_guard_hits_total Hits, "all" of them,\nand \\.'


def test_openmetrics_names_units_exemplars_and_its_end() -> None:
    """The exemplar stands at the bucket that its value is in."""
    lines = render(everything(), openmetrics=True).decode().splitlines()

    assert lines[-1] == "# EOF"
    assert "# TYPE asgi_guard_hits counter" in lines
    assert "# UNIT http_server_request_duration_seconds seconds" in lines
    (exemplar,) = (line for line in lines if " # {" in line)
    ids = f'trace_id="{0xABC:032x}",span_id="{0xDEF:016x}"'
    assert 'le="0.025"} 1 # {' + ids + "} 0.012 " in exemplar


def test_prometheus_text_has_no_exemplars() -> None:
    """Its format knows none: a scrape would fail."""
    assert b" # {" not in render(everything())


@given(
    st.lists(st.tuples(st.sampled_from(HOSTILE) | st.text(max_size=8), st.integers(0, 9)), max_size=6), st.booleans()
)
def test_a_value_is_never_more_than_a_value(pairs, openmetrics: bool) -> None:
    """Whatever is in it, it comes back as it was, and nothing else comes."""
    aggregate = Aggregate()
    expected: dict[object, float] = {}
    for value, number in pairs:
        aggregate.series(HITS, value).add(number)
        key = ("asgi_guard_hits_total", ("what", value)) if value else ("asgi_guard_hits_total",)
        expected[key] = expected.get(key, 0) + number

    assert parsed(aggregate.snapshot(), openmetrics=openmetrics) == expected


def test_the_overflow_says_what_it_is() -> None:
    """By the one label that OpenTelemetry gives it."""
    aggregate = Aggregate(max_series=1)
    aggregate.series(HITS, "a")
    aggregate.series(HITS, "b").add(7)

    assert b'asgi_guard_hits_total{otel_metric_overflow="true"} 7\n' in render(aggregate.snapshot())


@pytest.mark.parametrize(
    ("name", "unit", "kind", "family"),
    [
        ("http.server.request.duration", "s", Kind.UP_DOWN, "http_server_request_duration_seconds"),
        ("a.duration.seconds", "s", Kind.UP_DOWN, "a_duration_seconds"),
        ("a.total", "By", Kind.COUNTER, "a_bytes"),
        ("a..b-c", "1", Kind.UP_DOWN, "a_b_c"),
        ("cpu.usage", "1", Kind.GAUGE, "cpu_usage_ratio"),
        ("disk.io", "By/s", Kind.GAUGE, "disk_io_bytes_per_second"),
        ("5xx", "{reply}", Kind.UP_DOWN, "_5xx"),
        ("share", "%", Kind.GAUGE, "share_percent"),
        ("x", "", Kind.GAUGE, "x"),
    ],
)
def test_names_are_opentelemetrys_translation(name: str, unit: str, kind: Kind, family: str) -> None:
    """So that dashboards made for its exporter work."""
    assert name_of(Metric(name, unit, "", kind)) == family


def test_of_two_metrics_that_become_one_name_one_is_written() -> None:
    """A family that stands there twice would make the whole scrape fail."""
    twins = [Point(Metric(name, "1", "", Kind.UP_DOWN), (), number) for number, name in enumerate(("a.b", "a_b"))]

    assert render(Snapshot(twins)) == b"# HELP a_b \n# TYPE a_b gauge\na_b 0\n"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (2**63 - 1, "9223372036854775807"),
        (0.1, "0.1"),
        (2.0, "2"),
        (1e20, "100000000000000000000"),
        (-1.5, "-1.5"),
        (math.nan, "NaN"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
    ],
)
def test_any_number_can_be_written(number: float, text: str) -> None:
    """A gauge may be anything, and one odd number must not cost the others."""
    line = render(Snapshot([Point(Metric("x", "", "", Kind.GAUGE), (), number)])).decode().splitlines()[-1]

    assert line == f"x {text}"


def test_an_exemplar_above_all_bounds_is_at_the_last_bucket() -> None:
    """Its value is in no other."""
    counts = (*[0] * len(HTTP_DURATION_BOUNDS), 1)
    point = Point(TIME, ("GET", ""), 0, counts, 20 * 10**9, {}, Exemplar(20.0, "0" * 31 + "1", "0" * 15 + "1", 1.0))

    (line,) = (line for line in render(Snapshot([point]), openmetrics=True).splitlines() if b" # {" in line)
    assert b'le="+Inf"' in line


@pytest.mark.parametrize(
    ("accept", "is_openmetrics"),
    [
        (b"", False),
        (b"*/*", False),
        (b"text/html,application/xhtml+xml,*/*;q=0.8", False),
        (b"application/openmetrics-text", True),
        (b"APPLICATION/OpenMetrics-Text ; Version=1.0.0 ; charset=utf-8", True),
        (b'application/openmetrics-text; version="1.0.0"', True),
        (b"application/openmetrics-text;version=2.0.0", False),
        (b"application/openmetrics-text;q=0", False),
        (b"application/openmetrics-text;q=nan", False),
        (b"application/openmetrics-text;q=2", False),
        (b"application/openmetrics-text;q=0.4,text/plain;q=0.5", False),
        (b"application/openmetrics-text;q=0.5,text/plain;q=0.5", True),
        (b"application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", True),
        (
            b"application/vnd.google.protobuf;q=0.7,application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.3",
            True,
        ),
        (b";;;===,,,\xff\x00", False),
        (b"application/openmetrics-text," + b"x" * 1_024, False),
    ],
)
def test_the_format_is_negotiated(accept: bytes, is_openmetrics: bool) -> None:
    """Whoever names OpenMetrics, and likes no text more, gets it."""
    media_type, told = content_type(accept)

    assert told is is_openmetrics
    assert media_type.startswith(
        b"application/openmetrics-text; version=1.0.0" if told else b"text/plain; version=0.0.4"
    )


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus is not installed")
def test_prometheus_own_tool_finds_no_fault() -> None:
    """Neither in the syntax nor in the names."""
    tool = [str(shutil.which("promtool")), "check", "metrics"]
    checked = subprocess.run(tool, input=render(everything()), capture_output=True, check=False)

    assert (checked.returncode, checked.stderr) == (0, b"")
