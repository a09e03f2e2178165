"""What the guard adds to a request: in all, layer by layer, and against the same protections as nested middlewares."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

import reference
from reference import nested
from scenarios import (
    PAIRS,
    PARTS,
    App,
    Call,
    Contender,
    chat,
    engine_alone,
    failing,
    get,
    guard,
    handshake,
    marked,
    null,
    one_part,
    oversized,
    post,
    reader,
    unfused,
)
from timing import added, in_tasks, interleaved, ratio

from asgi_guard import MemoryStore, RateLimit, RequestID

REFUSING = "1/day"


def figures(rounds: int = 300, batch: int = 200) -> dict[str, Any]:
    """Measure all of them, interleaved in one run."""
    with_log_off()
    require_same_answers()
    samples = interleaved(contenders(), rounds=rounds, batch=batch)
    gets = ("guard", "nested", "nested, letting go", "unfused", "engine", *PARTS)
    return {
        "added to a GET": {name: added(samples, name, "bare") for name in gets},
        "fused over nested": {
            "hand-written middlewares": ratio(samples, "guard", "nested", "bare"),
            "hand-written middlewares, letting go": ratio(samples, "guard", "nested, letting go", "bare"),
            "the same layers unfused": ratio(samples, "guard", "unfused", "bare"),
        },
        "each further one": {
            "layer": added(samples, "ten layers", "engine", count=len(PAIRS)),
            "middleware": added(samples, "ten middlewares", "bare", count=len(PAIRS)),
        },
        "added to others": {
            "POST of 3 chunks": added(samples, "post", "post, bare"),
            "POST of 3 chunks, nested": added(samples, "post, nested", "post, bare"),
            "WebSocket handshake": added(samples, "websocket", "websocket, bare"),
        },
        "whole answers": {
            name: added(samples, name) for name in ("429", "429, nested", "413", "413, nested", "500", "500, nested")
        },
    }


def figures_in_tasks(rounds: int = 60, batch: int = 200) -> dict[str, Any]:
    """Measure the first of them once more with an asyncio task for each request."""
    few = {"bare": null, "guard": guard(null), "nested": nested(null)}
    samples = in_tasks({name: Contender(app, get) for name, app in few.items()}, rounds=rounds, batch=batch)
    return {name: added(samples, name, "bare") for name in ("guard", "nested")}


def contenders() -> dict[str, Contender]:
    """Name every stack under every request."""
    return {
        "bare": Contender(null, get),
        "guard": Contender(guard(null), get),
        "nested": Contender(nested(null), get),
        "nested, letting go": Contender(nested(null, lets_go=True), get),
        "unfused": Contender(unfused(null), get),
        "engine": Contender(engine_alone(null), get),
        "ten layers": Contender(marked(null, PAIRS), get),
        "ten middlewares": Contender(reference.marked(null, PAIRS), get),
        **{part: Contender(one_part(null, part), get) for part in PARTS},
        "post, bare": Contender(reader, post),
        "post": Contender(guard(reader), post),
        "post, nested": Contender(nested(reader), post),
        "websocket, bare": Contender(chat, handshake),
        "websocket": Contender(guard(chat), handshake),
        "429": Contender(guard(null, rate_limit=REFUSING), _from_one_client),
        "429, nested": Contender(nested(null, REFUSING), _from_one_client),
        "413": Contender(guard(null), oversized),
        "413, nested": Contender(nested(null), oversized),
        "500": Contender(guard(failing), get),
        "500, nested": Contender(nested(failing), get),
    }


def with_log_off() -> None:
    """Let error records be made and go nowhere: what a handler costs is the handler's."""
    for name in ("asgi_guard", "reference"):
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.addHandler(logging.NullHandler())


def require_same_answers() -> None:
    """Make sure that the guard and the reference answer alike, to the byte.

    Raises:
        RuntimeError: they do not.
    """
    asyncio.run(_require_same_answers())


async def _require_same_answers() -> None:
    for name, app, call, rate in (
        ("200", null, get, "100/minute"),
        ("200 under two limits", null, get, "5/second;100/minute"),
        ("200 to a POST", reader, post, "100/minute"),
        ("413", null, oversized, "100/minute"),
        ("429", null, _from_one_client, REFUSING),
        ("500", failing, get, "100/minute"),
    ):
        limit = RateLimit(rate, store=MemoryStore(clock=_standing_clock))
        ours = guard(app, rate_limit=limit, request_id=RequestID(factory=_one_id))
        theirs = nested(app, rate, clock=_standing_clock, factory=_one_id)
        for number in range(2):
            mine, other = await _answer_of(ours, *call(number)), await _answer_of(theirs, *call(number))
            if mine != other:
                raise RuntimeError(f"{name}: the guard answers {mine}, the reference {other}")


async def _answer_of(app: App, scope: dict[str, Any], receive: Any) -> str:
    messages: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        messages.append({"more_body": False, **message})

    await app(scope, receive, send)
    return re.sub(r'"timestamp":"[^"]*"', "", str(messages))


def _one_id() -> str:
    return "req_00000000000000000000000000000000"


def _standing_clock() -> int:
    return 1_000_000_000_000


def _from_one_client(_number: int) -> Call:
    return get(0)
