"""Sameness: the guard and the reference answer alike, to the byte, in every case that is compared; else nothing counts.

Each case is asked twice at the same time, so that limits on rates and on concurrency have something to refuse.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from reference import fully_nested, nested
from scenarios import (
    BLOCKED,
    ORIGIN,
    PLENTY,
    REFUSING,
    App,
    Call,
    altered,
    cross_origin,
    failing,
    from_one_client,
    get,
    null,
    oversized,
    post,
    preflight,
    proxied,
    reader,
    slow,
    unfinished,
)
from stacks import full_guard, guard

from asgi_guard import MemoryStore, RateLimit, RequestID

SOON = 0.1  # the shortest deadline there is


@dataclass
class Case:
    """A request, and how both sides are set up.

    Attributes:
        status: of the answers, in order.
        app: what stands inside.
        call: makes the requests.
        rate: the rate limit.
        limits: of `request_limits`, where they are not the usual ones.
        https: the mode of that part.
    """

    status: tuple[int, ...]
    app: App = null
    call: Callable[[int], Call] = proxied
    rate: str = PLENTY
    limits: dict[str, float] = field(default_factory=dict)
    https: str = "require"


OK = (200, 200)
STANDARD = (
    Case(OK, call=get),
    Case(OK, call=get, rate="5/second;100/minute"),
    Case(OK, reader, post),
    Case((413, 413), call=oversized),
    Case((200, 429), call=from_one_client, rate=REFUSING),
    Case((500, 500), failing, get),
)
FULL = (
    Case(OK),
    Case(OK, call=altered(proxied, ORIGIN)),
    Case(OK, call=altered(proxied, (b"origin", b"https://elsewhere.example"))),
    Case(OK, call=altered(proxied, method="OPTIONS")),
    Case(OK, reader, altered(post, scheme="https")),
    Case((204, 204), call=preflight),
    Case((403, 403), call=altered(preflight, (b"access-control-request-method", b"PATCH"))),
    Case((403, 403), call=altered(preflight, (b"access-control-request-headers", b"x-odd"))),
    Case((403, 403), call=altered(preflight, (b"origin", b"https://elsewhere.example"))),
    Case((421, 421), call=altered(proxied, (b"host", b"elsewhere.example"))),
    Case((400, 400), call=altered(proxied, (b"host", b"shop example"))),
    Case(OK, call=altered(proxied, (b"host", b"api.Shop.Example:443"))),
    Case((403, 403), call=altered(proxied, scheme="http")),
    Case((308, 308), call=altered(proxied, scheme="http"), https="redirect"),
    Case(OK, call=altered(proxied, (b"x-forwarded-proto", b"https"), scheme="http")),
    Case((403, 403), call=altered(proxied, (b"x-forwarded-for", b"198.51.100.7, %s, 10.0.0.3" % BLOCKED.encode()))),
    Case(OK, call=altered(cross_origin, scheme="https")),
    Case((403, 403), call=altered(proxied, (b"sec-fetch-site", b"cross-site"))),
    Case((413, 413), call=altered(oversized, scheme="https")),
    Case((200, 429), call=altered(from_one_client, scheme="https"), rate=REFUSING),
    Case((200, 503), slow, limits={"max_concurrent": 1}),
    Case((504, 504), slow, limits={"total_seconds": SOON}),
    Case((408, 408), reader, altered(unfinished, scheme="https"), limits={"idle_seconds": SOON}),
    Case((500, 500), failing),
)


def require_same_answers() -> None:
    """Make sure of it.

    Raises:
        RuntimeError: they answer differently, or otherwise than the case says.
    """
    asyncio.run(_require_same_answers())


async def _require_same_answers() -> None:
    for case in STANDARD:
        ours = guard(case.app, **_settings(case))
        await _compare(case, ours, nested(case.app, case.rate, _standing_clock, _one_id))
    for case in FULL:
        ours = full_guard(case.app, limits=case.limits, https=case.https, **_settings(case))
        theirs = fully_nested(case.app, case.rate, _standing_clock, _one_id, https=case.https, **case.limits)
        await _compare(case, ours, theirs)


def _settings(case: Case) -> dict[str, Any]:
    limit = RateLimit(case.rate, store=MemoryStore(clock=_standing_clock))
    return {"rate_limit": limit, "request_id": RequestID(factory=_one_id)}


async def _compare(case: Case, ours: App, theirs: App) -> None:
    mine = await asyncio.gather(*[_answer_of(ours, *case.call(number)) for number in range(2)])
    others = await asyncio.gather(*[_answer_of(theirs, *case.call(number)) for number in range(2)])
    if mine != others:
        raise RuntimeError(f"{case}: the guard answers {mine}, the reference {others}")
    if [status for status, _ in mine] != [*case.status]:
        raise RuntimeError(f"{case}: both answer {mine}")


async def _answer_of(app: App, scope: dict[str, Any], receive: Any) -> tuple[int, str]:
    messages: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        messages.append({"more_body": False, **message})

    await app(scope, receive, send)
    return messages[0]["status"], re.sub(r'"timestamp":"[^"]*"', "", str(messages))


def _one_id() -> str:
    return "req_00000000000000000000000000000000"


def _standing_clock() -> int:
    return 1_000_000_000_000
