"""A load: what is measured is true, a slow route is named, it always ends, and nobody else is ever loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import anyio
import pytest

from asgi_guard import ConfigError
from asgi_guard.testing.load import Ask, LoadFailedError, LoadReport, LoadRule, Route, run_load

pytestmark = pytest.mark.anyio


def shop(pauses: dict[str, float] | None = None, seen: list[str] | None = None) -> Callable[..., Any]:
    """Make an application that takes its time on some paths, fails at `/fails` and raises at `/raises`."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for phase in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{phase}.complete"})
            return
        if seen is not None:
            seen.append(f"{scope['method']} {scope['path']}")
        await anyio.sleep((pauses or {}).get(scope["path"], 0))
        if scope["path"] == "/raises":
            raise LookupError
        status = 503 if scope["path"] == "/fails" else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    return app


def fail(route: str, seconds: float, count: int = 100) -> Route:
    """Make a route that always takes as long."""
    made = Route(route)
    for _ in range(count):
        made.add(seconds, 200, None)
    return made


def report(*routes: Route, seconds: float = 1.0) -> LoadReport:
    """Make a report of routes."""
    return LoadReport("shop", seconds, 1, None, 0, routes, ())


async def test_each_thing_is_asked_in_its_turn_and_no_more_often_than_said() -> None:
    """Methods, paths and bodies as the scenario has them."""
    seen: list[str] = []
    told = await run_load(shop(seen=seen), ["/a", "POST /b", Ask("/c", "PUT", body=b"x")], requests=300)

    assert {name: seen.count(name) for name in seen} == {"GET /a": 100, "POST /b": 100, "PUT /c": 100}
    assert [(route.name, route.requests) for route in told.routes] == [
        ("GET /a", 100),
        ("POST /b", 100),
        ("PUT /c", 100),
    ]
    assert (told.requests, told.passed, told.all.statuses) == (300, True, {200: 300})
    assert sum(second.requests for second in told.timeline) == 300


async def test_a_slow_route_among_fast_ones_is_named() -> None:
    """Though hardly any request goes there."""
    scenario = [*["/fast"] * 49, "/slow"]
    told = await run_load(shop({"/slow": 1.0}), scenario, requests=500, rule=LoadRule(p95_seconds=0.9))

    assert [(route.name, route.requests) for route in told.routes] == [("GET /fast", 490), ("GET /slow", 10)]
    assert not told.passed
    (failure,) = told.failures
    assert failure.startswith("p95 of GET /slow is 1")
    with pytest.raises(LoadFailedError, match="GET /slow"):
        told.raise_unless_passed()


async def test_what_fails_and_what_raises_are_errors_by_name() -> None:
    """A status from 500 on, or an exception."""
    told = await run_load(shop(), ["/fails", "/raises", "/"], requests=30)

    assert [dict(route.errors) for route in told.routes] == [{"503": 10}, {"LookupError": 10}, {}]
    assert len(told.failures) == 2


async def test_a_request_that_never_ends_is_an_error_in_time() -> None:
    """And the run ends."""
    told = await run_load(shop({"/": 60}), requests=4, concurrency=4, timeout_seconds=0.05)

    assert sum(told.all.errors.values()) == 4


async def test_with_a_rate_a_request_is_timed_from_when_it_was_due() -> None:
    """So one pause of the application is charged with all that waited for it."""
    held = anyio.Event()
    began = False

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal began
        assert scope["type"] == "http"
        if not began:
            began = True
            await anyio.sleep(0.3)
            held.set()
        await held.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    told = await run_load(app, requests=30, rate=100, concurrency=1_000)

    waited = sum(count for bucket, count in told.all.buckets.items() if 2 ** (bucket / 32) > 0.05)
    assert waited >= 20


async def test_a_pause_breaks_the_rule_however_few_clients_there_are() -> None:
    """Whoever waits for a client to be free has waited: none is left out."""
    until = 0.0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal until
        assert scope["type"] == "http"
        until = until or anyio.current_time() + 0.8
        await anyio.sleep(max(until - anyio.current_time(), 0))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    told = await run_load(app, seconds=1.0, rate=100, concurrency=2, rule=LoadRule(p95_seconds=0.5))

    assert (told.requests, told.missed) == (100, 0)
    assert told.failures[0].startswith("p95 of GET / is 0.")


async def test_with_a_rate_what_cannot_begin_is_missed_and_breaks_the_rule() -> None:
    """It is waited for as long as a request may take, and no longer."""
    told = await run_load(shop({"/": 0.2}), seconds=0.2, rate=500, concurrency=2, timeout_seconds=0.4)

    assert told.missed > 0
    assert told.requests + told.missed == 100
    assert told.failures == (f"{told.missed} of 100 that were due never began: no client was free in time",)
    assert "never began" in told.text()


async def test_it_ends_when_the_time_is_over() -> None:
    """Though there would be no end of requests."""
    with anyio.fail_after(10):
        told = await run_load(shop({"/": 0.01}), seconds=0.3)

    assert 0.3 <= told.seconds < 5
    assert told.requests > 3


async def test_the_warm_up_is_not_counted() -> None:
    """It is asked all the same."""
    seen: list[str] = []
    told = await run_load(shop(seen=seen), requests=20, warm_up=30)

    assert (told.requests, len(seen)) == (20, 50)


async def test_progress_is_told() -> None:
    """Up to the end."""
    heard: list[tuple[int, float]] = []
    await run_load(shop(), requests=100, progress=lambda through, share: heard.append((through, share)))

    assert heard[-1] == (100, 1.0)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (LoadRule(p50_seconds=0.1), ["p50 of GET /b is 0.4946 s, over 0.1 s"]),
        (LoadRule(p95_seconds=1), []),
        (
            LoadRule(p99_seconds=0.4, p50_seconds=0.4),
            ["p50 of GET /b is 0.4946 s, over 0.4 s", "p99 of GET /b is 0.4946 s, over 0.4 s"],
        ),
        (LoadRule(min_throughput=201), ["200 answers a second, under 201"]),
        (LoadRule(min_throughput=199), []),
    ],
)
async def test_a_rule_holds_for_each_route(rule: LoadRule, expected: list[str]) -> None:
    """And for the throughput of all."""
    assert rule.broken_by(report(fail("GET /a", 0.01), fail("GET /b", 0.5))) == expected


async def test_percentiles_are_within_a_hundredth() -> None:
    """Of what was added."""
    route = Route("GET /")
    for number in range(1, 1_001):
        route.add(number / 1_000, 200, None)

    assert route.quantile(0.5) == pytest.approx(0.5, rel=0.011)
    assert route.quantile(0.99) == pytest.approx(0.99, rel=0.011)
    assert route.quantile(1.0) == pytest.approx(1.0, rel=0.011)


async def test_a_report_is_text_data_and_a_page() -> None:
    """What an application or a scenario says is never markup."""
    route = Route("GET /<script>alert(1)</script>")
    route.add(0.1, None, "<b>Error")
    told = report(route, fail("GET /", 0.2))

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            found.add(tag)

    found: set[str] = set()
    Tags().feed(told.html())
    assert "script" not in found
    assert "b" not in found
    assert "default-src 'none'" in told.html()
    assert json.loads(json.dumps(told.told()))["requests"] == 101
    assert "GET /" in told.text()


@pytest.mark.parametrize(
    ("settings", "ids"),
    [
        ({"requests": 0, "seconds": 0, "concurrency": 0, "rate": 0}, ["AG101", "AG102", "AG101", "AG102"]),
        ({"requests": 1_000_001}, ["AG101"]),
        ({"seconds": 601}, ["AG102"]),
        ({"scenario": []}, ["AG920"]),
        ({"scenario": ["items", "BREW /tea", 7]}, ["AG920"] * 4),
        ({"target": "http://example.com/"}, ["AG922"]),
        ({"target": "http://10.0.0.1/"}, ["AG922"]),
        ({"target": "http://127.0.0.1.example/"}, ["AG922"]),
        ({"target": "http://[::ffff:10.0.0.1]/"}, ["AG922"]),
        ({"target": "ftp://127.0.0.1/"}, ["AG921"]),
        ({"target": "http://127.0.0.1:99999/"}, ["AG921"]),
        ({"target": "http://[::1/"}, ["AG921"]),
        ({"target": "http://user:secret@127.0.0.1/"}, ["AG921"]),
        ({"target": 7}, ["AG921"]),
    ],
)
async def test_nonsense_and_other_machines_are_refused(settings: dict[str, Any], ids: list[str], monkeypatch) -> None:
    """All at once, before anything is asked."""
    from asgi_guard.testing import targets

    def resolved(host: str, port: int) -> list[Any]:
        if host[0].isdigit() or ":" in host:
            return [(0, 0, 0, "", (host, port))]
        raise targets.gaierror

    monkeypatch.setattr(targets, "getaddrinfo", resolved)
    with pytest.raises(ConfigError) as caught:
        await run_load(**{"target": shop(), **settings})
    assert [problem.id for problem in caught.value.problems] == ids
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"), [("p95_seconds", 0), ("error_rate", 2), ("min_throughput", -1), ("p50_seconds", "fast")]
)
async def test_a_rule_is_made_of_numbers(field: str, value: object) -> None:
    """Within their bounds."""
    with pytest.raises(ConfigError):
        LoadRule(**{field: value})  # type: ignore[arg-type]


async def test_an_application_that_cannot_start_is_not_loaded() -> None:
    """It has said so."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(RuntimeError, match="no database"):
        await run_load(app, requests=1)


async def test_an_application_without_a_lifespan_is_loaded() -> None:
    """As servers serve it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    assert (await run_load(app, requests=5)).passed
