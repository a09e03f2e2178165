"""What the parts of a guard count, in the aggregate of their stack: each decision once, under words of our own."""

from __future__ import annotations

import asyncio
from collections import Counter
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard import Guard, IPFilter, RateLimit, RequestLimits, Telemetry, Validation
from asgi_guard.bans import Bans
from asgi_guard.layers.rate_limit import RateLimitMiddleware
from asgi_guard.layers.telemetry import TelemetryMiddleware
from asgi_guard.limiting import MemoryStore
from asgi_guard.limiting.store import Decision
from asgi_guard.monitor import names
from asgi_guard.monitor.cells import Aggregate
from asgi_guard.monitor.metric import Kind, Metric
from asgi_guard.testing.client import call

ATTACK = "/?q=1'%20UNION%20SELECT%20password%20FROM%20users--"
OURS = {metric.name: metric for metric in vars(names).values() if isinstance(metric, Metric)}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Read all there is, and answer."""
    more = scope["type"] == "http"
    while more:
        message = await receive()
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


def counted(aggregate: Aggregate) -> dict[str, int]:
    """Return what the parts have counted, but for nothing: the metric without `asgi_guard.`, and the values."""
    return {
        " ".join([point.metric.name.removeprefix("asgi_guard."), *point.values]): int(point.number) or point.count
        for point in aggregate.snapshot()
        if point.metric.name in OURS and (point.number or point.count)
    }


def request(target: str = "/", **options: Any) -> dict[str, Any]:
    """Describe a request by somebody from afar."""
    return {"path": target, "client": ("203.0.113.9", 1), **options}


CASES: dict[str, tuple[dict[str, Any], list[dict[str, Any]], dict[str, int]]] = {
    "a request that is admitted": (
        {"ip_filter": IPFilter(block=["192.0.2.0/24"])},
        [request()],
        {"rate_limit.requests default allowed memory": 1, "ip_filter.requests allowed": 1},
    ),
    "two that are refused after two that are not": (
        {"rate_limit": "2/minute"},
        [request()] * 4,
        {"rate_limit.requests default allowed memory": 2, "rate_limit.requests default rejected memory": 2},
    ),
    "a policy in the shadows": (
        {"rate_limit": RateLimit("1/minute", shadow=True, name="trial")},
        [request()] * 3,
        {"rate_limit.requests trial allowed memory": 1, "rate_limit.requests trial shadowed memory": 2},
    ),
    "two policies, of which one refuses: the other has not counted the request": (
        {"rate_limit": [RateLimit("1/minute", name="few"), RateLimit("9/minute", name="many")]},
        [request()] * 2,
        {
            "rate_limit.requests few allowed memory": 1,
            "rate_limit.requests few rejected memory": 1,
            "rate_limit.requests many allowed memory": 1,
        },
    ),
    "a default rate behind a proxy that nobody has declared": (
        {},
        [request(client=("10.0.0.1", 1), headers={"X-Forwarded-For": "203.0.113.1"})] * 102,
        {
            "rate_limit.requests default allowed memory": 100,
            "rate_limit.requests default shadowed memory": 2,
            "client_address.forwarding_ignored x-forwarded-for": 102,
        },
    ),
    "addresses on either list, and on none": (
        {"rate_limit": False, "ip_filter": IPFilter(allow=["203.0.113.0/24"], block=["203.0.113.7"])},
        [request(), request(client=("203.0.113.7", 1)), request(client=("192.0.2.1", 1)), request(client=None)],
        {"ip_filter.requests allowed": 1, "ip_filter.requests blocked": 1, "ip_filter.requests not_allowed": 2},
    ),
    "somebody who is banned for not stopping": (
        {"rate_limit": "1/minute", "ip_filter": IPFilter(ban_after="2/minute")},
        [request()] * 5,
        {
            "rate_limit.requests default allowed memory": 1,
            "rate_limit.requests default rejected memory": 2,
            "ip_filter.requests allowed": 3,
            "ip_filter.requests banned": 2,
        },
    ),
    "paths on which the lists do not apply": (
        {"rate_limit": False, "ip_filter": IPFilter(block=["203.0.113.0/24"], paths=["/admin"])},
        [request(), request("/admin")],
        {"ip_filter.requests allowed": 1, "ip_filter.requests blocked": 1},
    ),
    "heads that are over a limit": (
        {"rate_limit": False},
        [
            request("/" + "x" * 9_000),
            request(headers={f"x-{number}": "1" for number in range(101)}),
            request(headers={f"x-{number}": "1" * 9_000 for number in range(9)}),
            request(headers={"x": "1" * 20_000}),
            request(headers=[("content-length", "1"), ("transfer-encoding", "chunked")]),
        ],
        {
            "request_limits.rejections url_bytes": 1,
            "request_limits.rejections headers": 1,
            "request_limits.rejections header_bytes": 1,
            "request_limits.rejections header_line_bytes": 1,
            "request_limits.rejections content_length": 1,
        },
    ),
    "bodies that are, declared and streamed": (
        {"rate_limit": False, "request_limits": RequestLimits(max_body_bytes=10)},
        [request(method="POST", body=b"x" * 11), request(method="POST", chunks=[b"x" * 6, b"x" * 6])],
        {"request_limits.rejections body_bytes": 2},
    ),
    "attacks that are blocked": (
        {"rate_limit": False},
        [request(ATTACK)] * 2,
        {"validation.findings sqli query blocked": 2},
    ),
    "attacks that are only detected": (
        {"rate_limit": False, "validation": Validation(mode="detect")},
        [request(ATTACK)],
        {"validation.findings sqli query logged": 1},
    ),
    "a body that goes on beyond what is looked at": (
        {"rate_limit": False},
        [request(method="POST", headers={"content-type": "application/json"}, body=b"[" * 200 + b"]" * 200)],
        {"validation.limits depth blocked": 1},
    ),
}


@pytest.mark.anyio
@pytest.mark.parametrize("case", CASES)
async def test_a_part_counts_what_it_decides(case: str) -> None:
    """Each decision, and nothing else."""
    settings, requests, expected = CASES[case]
    aggregate = Aggregate()
    guard = Guard(app, telemetry=Telemetry(aggregate=aggregate), **settings)
    for one in requests:
        await call(guard, **one)
    assert counted(aggregate) == expected


@pytest.mark.anyio
@pytest.mark.parametrize("case", CASES)
async def test_a_guard_without_telemetry_decides_the_same(case: str) -> None:
    """There is nothing to count in, and no answer tells."""
    settings, requests, _ = CASES[case]
    told, silent = (
        Guard(app, telemetry=Telemetry(aggregate=Aggregate()), **settings),
        Guard(app, telemetry=False, **settings),
    )
    for one in requests:
        assert (await call(told, **one)).status == (await call(silent, **one)).status


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("limit", "is_whole"), [("total_seconds", True), ("idle_seconds", False)], ids=["the answer", "the body"]
)
async def test_what_takes_too_long_is_counted_by_the_clock_that_has_ended_it(limit: str, is_whole: bool) -> None:
    """The ticker answers for it, and not the layer."""

    async def waiting(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    aggregate = Aggregate()
    limits = RequestLimits(**{limit: 0.1})
    guard = Guard(waiting, telemetry=Telemetry(aggregate=aggregate), rate_limit=False, request_limits=limits)
    begun = {"type": "http.request", "body": b"x", "more_body": not is_whole}
    await call(guard, **request(method="POST", incoming=[begun]))
    assert counted(aggregate) == {f"request_limits.rejections {limit}": 1}


@pytest.mark.anyio
async def test_one_too_many_at_a_time_is_counted() -> None:
    """The first one asks for the second."""
    aggregate = Aggregate()

    async def asking(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/outer":
            await call(guard, **request("/inner"))
        await app(scope, receive, send)

    limits = RequestLimits(max_concurrent=1)
    guard = Guard(asking, telemetry=Telemetry(aggregate=aggregate), rate_limit=False, request_limits=limits)
    await call(guard, **request("/outer"))
    assert counted(aggregate) == {"request_limits.rejections concurrent": 1}


class Failing:
    """A store in this process that is away: each hit is decided by what its `on_failure` says."""

    synchronous = True
    backend = "failing"

    def __init__(self, on_failure: str, decision: Decision) -> None:
        self.on_failure = on_failure
        self.decision = decision

    def bucket(self, name: str, limits: Any, algorithm: str = "strict") -> Any:
        """Give a bucket that says what the store says."""
        bucket = MemoryStore().bucket(name, limits, algorithm)
        decision = self.decision

        class Bucket:
            def __getattr__(self, attribute: str) -> Any:
                return getattr(bucket, attribute)

            def hit(self, key: Any, cost: int = 1) -> Decision:
                return decision

        return Bucket()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("on_failure", "decision", "told"),
    [
        ("open", Decision(True, 0, (0,), (0,), degraded=True), "fail_open"),
        ("closed", Decision(False, 0, (0,), (0,), 1, degraded=True), "fail_closed"),
        ("local", Decision(True, 0, (5,), (0,), degraded=True), "local"),
        ("local", Decision(False, 0, (0,), (9,), 9, (0,), degraded=True), "rejected"),
    ],
    ids=["open", "closed", "admitted here", "refused here"],
)
async def test_what_is_decided_without_the_store_says_so(on_failure: str, decision: Decision, told: str) -> None:
    """`allowed` is what the store has said; what this process has admitted on its own has a word of its own."""
    aggregate = Aggregate()
    limited = RateLimitMiddleware(app, "5/minute", store=Failing(on_failure, decision))
    await call(TelemetryMiddleware(limited, aggregate=aggregate), **request())
    assert counted(aggregate) == {f"rate_limit.requests default {told} failing": 1}


@pytest.mark.long
@given(rate=st.integers(1, 5), clients=st.lists(st.integers(0, 2), max_size=12))
def test_what_is_counted_is_what_was_answered(rate: int, clients: list[int]) -> None:
    """For each request one decision: as many as 200s are allowed, and as many as 429s are rejected."""
    aggregate = Aggregate()
    guard = Guard(app, telemetry=Telemetry(aggregate=aggregate), rate_limit=f"{rate}/hour")

    async def answers() -> Counter[int]:
        told = [await call(guard, client=(f"203.0.113.{client}", 1)) for client in clients]
        return Counter(response.status for response in told)

    statuses = asyncio.run(answers())
    model = {"allowed": statuses[200], "rejected": statuses[429]}
    expected = {f"rate_limit.requests default {result} memory": number for result, number in model.items() if number}
    assert counted(aggregate) == expected


def test_guards_in_several_threads_lose_no_count() -> None:
    """A server may run its workers as threads."""
    aggregate = Aggregate()
    guard = Guard(app, telemetry=Telemetry(aggregate=aggregate), rate_limit="100/hour")

    async def ask() -> None:
        for _ in range(50):
            await call(guard, **request())

    threads = [Thread(target=lambda: asyncio.run(ask())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted(aggregate) == {
        "rate_limit.requests default allowed memory": 100,
        "rate_limit.requests default rejected memory": 100,
    }


@pytest.mark.anyio
async def test_what_a_client_writes_makes_no_series() -> None:
    """A hundred clients with a hundred paths, hosts and headers are told apart by nobody."""
    aggregate = Aggregate()
    guard = Guard(app, telemetry=Telemetry(aggregate=aggregate), ip_filter=IPFilter(bans=Bans()))
    seen = []
    for number in range(100):
        headers = {"x-forwarded-for": f"192.0.2.{number}", "user-agent": f"agent {number}", f"x-{number}": "1"}
        asked = request(f"/{number}?q{number}=1'%20UNION%20SELECT%20password%20FROM%20users--", headers=headers)
        await call(guard, **{**asked, "client": (f"203.0.113.{number}", 1)})
        seen.append(set(counted(aggregate)))
    assert seen[0] == seen[-1]


@pytest.mark.anyio
async def test_a_guard_that_is_reconfigured_counts_on() -> None:
    """In the same series: it is the same policy."""
    aggregate = Aggregate()
    guard = Guard(app, telemetry=Telemetry(aggregate=aggregate), rate_limit="1/hour")
    await call(guard, **request())
    guard.reconfigure(rate_limit="2/hour")
    for _ in range(2):
        await call(guard, **request())
    assert counted(aggregate) == {
        "rate_limit.requests default allowed memory": 2,
        "rate_limit.requests default rejected memory": 1,
    }


@pytest.mark.parametrize(
    "metric", [metric for metric in vars(names).values() if isinstance(metric, Metric)], ids=lambda metric: metric.name
)
def test_a_name_follows_the_conventions(metric: Metric) -> None:
    """Dots, lower case, a namespace of ours, a unit, a sentence; and attributes of the same part."""
    part = metric.name.rsplit(".", 1)[0]
    assert metric.name.startswith("asgi_guard.")
    assert metric.name == metric.name.lower()
    assert metric.description.endswith(".")
    assert (metric.unit == "s") == (metric.kind is Kind.HISTOGRAM)
    assert metric.unit == "s" or metric.unit.strip("{}").isalpha()
    assert all(attribute.startswith(f"{part.removesuffix('.check')}.") for attribute in metric.attributes)
