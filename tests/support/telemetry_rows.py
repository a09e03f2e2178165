"""The rows of the telemetry matrix: what an instrumentation of an HTTP server owes, each asked for real.

Standard: OpenTelemetry's stable HTTP semantic conventions, and what users of other instrumentations complain of. A row
raises `Absent` where there is nothing to judge, and `AssertionError` where what is told is wrong.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind
from telemetry_shop import CHUNK
from telemetry_watched import ACTIVE, DURATION, EXCLUDED, SIZES, Series, Watched

from asgi_guard.testing import Response, StrictServer, call, http_scope, request_messages, websocket

TRACE = "0af7651916cd43dd8448eb211c80319c"
TOLERANCE_SECONDS = 0.005
"""How far a span and a metric of one request may be apart: much less than what they must both leave out."""


class Absent(Exception):  # noqa: N818  it is no error not to do something
    """The instrumentation tells nothing of the kind."""


class Row(NamedTuple):
    """What is asked.

    Attributes:
        needs: `spans`, `metrics` or both: what there has to be to judge; nothing where either will do.
        ask: asks it.
    """

    needs: frozenset[str]
    ask: Callable[[Watched], Awaitable[None]]


ROWS: dict[str, Row] = {}


def row(name: str, *needs: str) -> Callable[[Any], Any]:
    """Enter a row into the matrix."""

    def enter(ask: Any) -> Any:
        ROWS[name] = Row(frozenset(needs), ask)
        return ask

    return enter


def same(found: object, wanted: object) -> None:
    """Judge by equality."""
    if found != wanted:
        raise AssertionError(f"{found!r}, not {wanted!r}")


def sure(found: object, *, said: str) -> None:
    """Judge by what holds."""
    if not found:
        raise AssertionError(said)


# What is asked, and what was told.


async def ask(watched: Watched, method: str, path: str, **request: Any) -> Response | None:
    """Send a request; what the application raises, or leaves out, is the server's affair."""
    with suppress(Exception):
        return await call(watched.app, method, path, **request)
    return None


async def leave(watched: Watched, *, by: str) -> None:
    """Ask for the stream without end, and leave it in its middle."""
    task: list[asyncio.Task[Any]] = []

    async def on_send(message: Any) -> None:
        if message["type"] == "http.response.body" and message["body"]:
            if by == "send":
                raise OSError("the connection is gone")
            if by == "receive":
                server.push({"type": "http.disconnect"})
            else:
                task[0].cancel()

    server = StrictServer(http_scope("GET", "/endless"), request_messages(), on_send=on_send)
    task.append(asyncio.ensure_future(server.serve(watched.app)))
    with suppress(asyncio.CancelledError):
        await task[0]


def durations(watched: Watched) -> list[Series]:
    """Return the series of durations that have counted something."""
    return [series for series in watched.series() if series.name == DURATION and series.count]


def duration(watched: Watched) -> Series:
    """Return the only one."""
    found = durations(watched)
    same(sum(series.count for series in found), 1)
    return found[0]


def span(watched: Watched) -> ReadableSpan:
    """Return the only span."""
    found = [one for one in watched.spans() if one.kind is SpanKind.SERVER]
    same(len(found), 1)
    return found[0]


def told(series: Series, name: str) -> str:
    """Return the value of an attribute; empty where the series has none."""
    return series.attributes.get(name, "")


def values(watched: Watched) -> set[str]:
    """Return every value of every attribute of the metrics."""
    return {value for series in watched.series() for value in series.attributes.values()}


def texts(one: ReadableSpan) -> Iterable[str]:
    """Return every value of every attribute of a span."""
    return [str(value) for value in (one.attributes or {}).values()]


def has_error(series: Series, status: str) -> None:
    """Judge a request that went wrong after its start: it has an error, and the status that was sent."""
    same(told(series, "http.response.status_code"), status)
    if "error.type" not in series.attributes:
        raise AssertionError("it looks like a request that went well")


# Names.


@row("span named by method and route", "spans")
async def _(watched: Watched) -> None:
    await ask(watched, "GET", "/items/42")
    same(span(watched).name, "GET /items/{key}")


@row("`http.route` on the metric", "metrics")
async def _(watched: Watched) -> None:
    await ask(watched, "GET", "/items/42")
    same(told(duration(watched), "http.route"), "/items/{key}")


@row("`http.route` under an included router", "metrics")
async def _(watched: Watched) -> None:
    await ask(watched, "GET", "/v1/users/7")
    same(told(duration(watched), "http.route"), "/v1/users/{key}")


@row("`http.route` under a mounted application", "metrics")
async def _(watched: Watched) -> None:
    await ask(watched, "GET", "/sub/things/7")
    same(told(duration(watched), "http.route"), "/sub/things/{key}")


@row("a path without a route is counted, and never a name", "metrics")
async def _(watched: Watched) -> None:
    await ask(watched, "GET", "/nowhere/17")
    same(told(duration(watched), "http.response.status_code"), "404")
    same([value for value in values(watched) if "17" in value], [])


@row("an unknown method is `_OTHER`", "metrics")
async def _(watched: Watched) -> None:
    await ask(watched, "FOO", "/items/42")
    same(told(duration(watched), "http.request.method"), "_OTHER")


@row("`get` is not `GET`", "metrics")
async def _(watched: Watched) -> None:
    await ask(watched, "get", "/items/42")
    same(told(duration(watched), "http.request.method"), "_OTHER")


@row("`server.address` and `server.port` from `Host`", "spans")
async def _(watched: Watched) -> None:
    await ask(watched, "GET", "/items/42", headers={"Host": "shop.example:8443"})
    found = span(watched).attributes or {}
    same((found.get("server.address"), found.get("server.port")), ("shop.example", 8443))


@row("no client's `Host` on the metric", "metrics")
async def _(watched: Watched) -> None:
    await ask(watched, "GET", "/items/42", headers={"Host": "evil.example"})
    same([value for value in values(watched) if "evil" in value], [])


# Time.


@row("the duration of a stream goes to its last byte", "metrics")
async def _(watched: Watched) -> None:
    await ask(watched, "GET", "/stream")
    moments = watched.diary.moments
    streamed = (moments["last"].perf_ns - moments["first"].perf_ns) / 1e9
    sure(duration(watched).total >= streamed, said=f"{duration(watched).total:.3f} s, of {streamed:.3f} s of streaming")


@row("the duration leaves a background task out", "metrics")
async def _(watched: Watched) -> None:
    watched.diary.note("asked")
    await ask(watched, "GET", "/afterwards")
    moments = watched.diary.moments
    waited = (moments["background"].perf_ns - moments["asked"].perf_ns) / 1e9
    sure(duration(watched).total <= waited, said=f"{duration(watched).total:.3f} s, where it waited {waited:.3f} s")


@row("the span ends before a background task", "spans")
async def _(watched: Watched) -> None:
    await ask(watched, "GET", "/afterwards")
    ended = span(watched).end_time or 0
    sure(ended <= watched.diary.moments["background"].time_ns, said="it ends after the background task has begun")


@row("metric and span tell the same duration", "spans", "metrics")
async def _(watched: Watched) -> None:
    await ask(watched, "GET", "/afterwards")
    one = span(watched)
    apart = abs(((one.end_time or 0) - (one.start_time or 0)) / 1e9 - duration(watched).total)
    sure(apart < TOLERANCE_SECONDS, said=f"{apart:.3f} s apart")


# What goes wrong.


@row("an exception before the start: status 500", "metrics")
async def _(watched: Watched) -> None:
    await ask(watched, "GET", "/fails/1")
    same(told(duration(watched), "http.response.status_code"), "500")


@row("an exception before the start: its class as `error.type`", "metrics")
async def _(watched: Watched) -> None:
    await ask(watched, "GET", "/fails/1")
    same(told(duration(watched), "error.type"), "LookupError")


@row("an exception after the start: the status sent, and its class", "metrics")
async def _(watched: Watched) -> None:
    await ask(watched, "GET", "/breaks")
    has_error(duration(watched), "200")
    same(told(duration(watched), "error.type"), "LookupError")


@row("the client leaves, `receive` says so: an error, no 5xx", "metrics")
async def _(watched: Watched) -> None:
    await leave(watched, by="receive")
    has_error(duration(watched), "200")


@row("the client leaves, `send` raises: an error, no 5xx", "metrics")
async def _(watched: Watched) -> None:
    await leave(watched, by="send")
    has_error(duration(watched), "200")


@row("a call that is cancelled: an error", "metrics")
async def _(watched: Watched) -> None:
    await leave(watched, by="cancelling")
    has_error(duration(watched), "200")


@row("an answer that never ends: an error", "metrics")
async def _(watched: Watched) -> None:
    await ask(watched, "GET", "/half")
    has_error(duration(watched), "200")


@row("active requests: one meanwhile, none after any end", "metrics")
async def _(watched: Watched) -> None:
    meanwhile: list[float] = []

    async def look(message: Any) -> None:
        meanwhile.append(_active(watched))

    await ask(watched, "GET", "/items/1", on_send=look)
    for path in ("/fails/1", "/breaks", "/half"):
        await ask(watched, "GET", path)
    for way in ("receive", "send", "cancelling"):
        await leave(watched, by=way)
    same((meanwhile[0], _active(watched)), (1, 0))


def _active(watched: Watched) -> float:
    found = [series.total for series in watched.series() if series.name == ACTIVE]
    if not found:
        raise Absent
    return sum(found)


# What else is told.


@row("sizes of bodies: bytes that were counted, of this request", "metrics")
async def _(watched: Watched) -> None:
    await ask(watched, "GET", "/large")
    for _ in range(2):
        await ask(watched, "POST", "/upload", chunks=[bytes(1_000)] * 3)
    found = [sum(series.total for series in watched.series() if series.name == name) for name in SIZES]
    if not any(found):
        raise Absent
    same(found, [2 * 3_000, 1_000_000 + 2 * 3 * len(CHUNK)])


@row("a WebSocket: one span, none for its messages", "spans")
async def _(watched: Watched) -> None:
    await _talk(watched)
    silent = len(watched.spans())
    if not silent:
        raise Absent
    one = span(watched)
    sure(one.name.endswith("/rooms/{room}"), said=f"it is called {one.name}")
    same((one.attributes or {}).get("http.response.status_code", 101), 101)
    await _talk(watched, "one", "two", "three")
    same(len(watched.spans()) - silent, silent)


@row("a WebSocket: the duration of its connection", "metrics")
async def _(watched: Watched) -> None:
    await _talk(watched, "one")
    found = [series for series in watched.series() if "websocket" in series.name and "duration" in series.name]
    if not found:
        raise Absent
    same([(series.count, told(series, "http.route")) for series in found], [(1, "/rooms/{room}")])


async def _talk(watched: Watched, *messages: str) -> None:
    async with websocket(watched.app, "/rooms/1") as session:
        for text in messages:
            session.send(text)
            same(await session.receive(), text)


@row("the trace and the baggage of the client go on (W3C)", "spans")
async def _(watched: Watched) -> None:
    headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "baggage": "tenant=acme"}
    answer = await ask(watched, "GET", "/carries", headers=headers)
    sure(answer, said="it was not answered")
    same(json.loads(answer.body), {"trace": TRACE, "baggage": {"tenant": "acme"}})  # type: ignore[union-attr]


@row("excluded paths are not told")
async def _(watched: Watched) -> None:
    await ask(watched, "GET", EXCLUDED)
    same([one.name for one in watched.spans() if one.kind is SpanKind.SERVER], [])
    same(durations(watched), [])


@row("excluded paths leave no orphan spans", "spans")
async def _(watched: Watched) -> None:
    await ask(watched, "GET", EXCLUDED)
    same([one.name for one in watched.spans()], [])


@row("captured headers, secrets redacted", "spans")
async def _(watched: Watched) -> None:
    await ask(watched, "GET", "/items/42", headers={"X-Tenant": "acme", "Authorization": "Bearer hunter2"})
    found = dict(span(watched).attributes or {})
    if not any(name.startswith("http.request.header.") for name in found):
        raise Absent
    captured = {name: value for name, value in found.items() if name.startswith("http.request.header.x")}
    same(captured, {"http.request.header.x-tenant": ("acme",)})
    same([text for text in texts(span(watched)) if "hunter2" in text], [])


@row("secrets in queries redacted", "spans")
async def _(watched: Watched) -> None:
    await ask(watched, "GET", "/items/42?page=2&X-Amz-Signature=hunter2")
    sure(any("page=2" in text for text in texts(span(watched))), said="the query is not told at all")
    same([text for text in texts(span(watched)) if "hunter2" in text], [])


@row("exemplars lead from the metric to the trace", "spans", "metrics")
async def _(watched: Watched) -> None:
    await ask(watched, "GET", "/items/42")
    traces = duration(watched).traces
    if not traces:
        raise Absent
    same(traces, (f"{span(watched).get_span_context().trace_id:032x}",))  # type: ignore[union-attr]
