"""Probes and scrapes under real servers: answered whatever else is refused, and to strangers in one word."""

from __future__ import annotations

import json
import re
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from shop_under_run import BEARER, shop, until

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="the signals are those of Unix"),
    pytest.mark.timeout(120),
]

SERVERS = ["uvicorn", *[pytest.param(name, marks=pytest.mark.slow) for name in ("hypercorn", "granian", "gunicorn")]]
PROBES = ("/health", "/livez", "/readyz")
STRICT = """
client_address = ["127.0.0.1"]
rate_limit = "2/hour"
trusted_host = ["shop.example"]
ip_filter = { block = ["203.0.113.0/24"] }
"""
ANSWERS = re.compile(r'^asgi_guard_answers_total\{asgi_guard_layer="(\w+)",.*code="(\d+)"\} (\d+)$', re.MULTILINE)
DURATIONS = re.compile(r'^http_server_request_duration_seconds_count\{.*code="(\d+)".*\} (\d+)$', re.MULTILINE)

BOTH = re.compile(r"^http_server_active_requests\{.*\} 2$", re.MULTILINE)  # one of them is the scrape


def asked_from(address: str, host: str = "shop.example") -> dict[str, str]:
    """Return the headers that a proxy on this machine sends on."""
    return {"Host": host, "X-Forwarded-For": address}


@pytest.mark.long
@pytest.mark.parametrize("server", SERVERS)
def test_a_probe_is_never_refused_and_a_refusal_is_counted(tmp_path: Path, server: str) -> None:
    """Neither for its host, nor for its address, nor after too many; what the application never saw is told, too."""
    with shop(tmp_path, server, settings=STRICT) as served:
        asked = [
            ("/items/1", asked_from("198.51.100.1")),
            ("/items/1", asked_from("198.51.100.1")),
            ("/items/1", asked_from("198.51.100.1")),
            ("/items/1", asked_from("203.0.113.1")),
            ("/items/1", asked_from("198.51.100.2", "elsewhere.example")),
            ("/items/?q=%3Cscript%3Ealert(1)%3C/script%3E", asked_from("198.51.100.3")),
        ]
        statuses = [served.get(path, **headers)[0] for path, headers in asked]
        assert statuses == [200, 200, 429, 403, 421, 400]

        banned = asked_from("203.0.113.1", "elsewhere.example")
        for path in PROBES * 3:
            status, text = served.get(path, **banned)
            assert (status, json.loads(text)) == (200, {"status": "pass"})
        told = until(lambda: served.metrics(**banned))

    refused = {layer: (int(status), int(count)) for layer, status, count in ANSWERS.findall(told) if status != "200"}
    assert refused == {
        "rate_limit": (429, 1),
        "ip_filter": (403, 1),
        "trusted_host": (421, 1),
        "validation": (400, 1),
    }
    assert {int(status): int(count) for status, count in DURATIONS.findall(told)} == {
        200: 2,
        **dict(refused.values()),
    }


@pytest.mark.long
@pytest.mark.parametrize("server", SERVERS)
def test_strangers_see_the_bare_status(tmp_path: Path, server: str) -> None:
    """Whoever asks from this machine sees all under `run`, and so does the token; what a proxy has sent on does not."""
    forwarded = {"X-Forwarded-For": "203.0.113.7"}
    with shop(tmp_path, server) as served:
        for path in PROBES:
            status, text = served.get(path, **forwarded)
            assert (status, json.loads(text)) == (200, {"status": "pass"})
            for headers in ({}, {**forwarded, **BEARER}):
                assert served.get(f"{path}?verbose", **headers) == (200, "status pass\n")

        for headers in ({}, {**forwarded, **BEARER}):
            assert "# TYPE" in served.get("/metrics", **headers)[1]
        assert "# EOF" in served.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")[1]
        _, answered_by_the_shop = served.get("/metrics", **forwarded)
        assert answered_by_the_shop.strip().isdecimal()


@pytest.mark.long
@pytest.mark.parametrize("server", SERVERS)
def test_who_stops_is_not_ready(tmp_path: Path, server: str) -> None:
    """What has begun is answered whole; nobody who asks in the meantime is told to send more."""
    with shop(tmp_path, server) as served, ThreadPoolExecutor() as pool:
        slow = pool.submit(served.get, "/items/slow")
        until(lambda: BOTH.search(served.metrics()))
        served.process.send_signal(signal.SIGTERM)
        until(lambda: served.get("/readyz")[0] != 200)
        while served.process.poll() is None:
            assert served.get("/readyz")[0] in {0, 503}
        assert slow.result()[0] == 200
