"""What the guard adds to a request: in all, part by part, and against the same protections as nested middlewares."""

from __future__ import annotations

import logging
from statistics import median
from time import perf_counter
from typing import Any

import reference
from reference import fully_nested, nested
from sameness import require_same_answers
from scenarios import (
    BLOCKED,
    PAIRS,
    REFUSING,
    Contender,
    altered,
    another,
    chat,
    failing,
    from_one_client,
    get,
    handshake,
    null,
    oversized,
    post,
    preflight,
    proxied,
    reader,
)
from stacks import LIMITS, blocking, engine_alone, full_guard, guard, marked, only, parts, unfused
from timing import Samples, added, in_tasks, interleaved, ratio

GETS = (
    "guard",
    "guard, validating",
    "guard, whole",
    "guard, whole, another item",
    "nested",
    "nested, letting go",
    "unfused",
    "engine",
)
FULL = ("full guard", "full nested", "full nested, letting go")
ANSWERS = ("429", "413", "500", "403", "preflight")
BY_HAND = {"hand-written middlewares": "nested", "hand-written middlewares, letting go": "nested, letting go"}
blocked = altered(proxied, (b"x-forwarded-for", BLOCKED.encode()))


def figures(rounds: int = 150, batch: int = 100) -> dict[str, Any]:
    """Measure all of them, interleaved in one run."""
    with_log_off()
    require_same_answers()
    alone = {f"{name} alone": Contender(only(null, one.settings), one.call) for name, one in parts().items()}
    engine_under = {one.call: f"engine under {one.call}" for one in alone.values()}
    engines = {name: Contender(engine_alone(null), call) for call, name in engine_under.items()}
    samples = interleaved({**contenders(), **alone, **engines}, rounds=rounds, batch=batch)
    return {
        "added to a GET": {
            **{name: added(samples, name, "bare") for name in GETS},
            **{name: added(samples, name, "bare, proxied") for name in FULL},
        },
        "fused over nested": {
            **{name: ratio(samples, "guard", other, "bare") for name, other in BY_HAND.items()},
            "the same layers unfused": ratio(samples, "guard", "unfused", "bare"),
            **{
                f"full, {name}": ratio(samples, "full guard", f"full {other}", "bare, proxied")
                for name, other in BY_HAND.items()
            },
        },
        "each part, over the engine": {
            name.removesuffix(" alone"): added(samples, name, engine_under[one.call]) for name, one in alone.items()
        },
        "each limit, over request_limits": {
            limit: added(samples, f"request_limits, {limit} alone", "request_limits alone") for limit in LIMITS
        },
        "each further one": {
            "layer": added(samples, "ten layers", "engine", count=len(PAIRS)),
            "middleware": added(samples, "ten middlewares", "bare", count=len(PAIRS)),
        },
        "added to others": {
            "POST of 3 chunks": added(samples, "post", "post, bare"),
            "POST of 3 chunks, nested": added(samples, "post, nested", "post, bare"),
            "POST of 3 chunks, full guard": added(samples, "full post", "post, bare"),
            "POST of 3 chunks, full nested": added(samples, "full post, nested", "post, bare"),
            "WebSocket handshake": added(samples, "websocket", "websocket, bare"),
        },
        "an override from outside, over the guard": {
            name: added(samples, f"override, {name}", "guard") for name in overrides()
        },
        "whole answers": whole_answers(samples),
    }


def contenders() -> dict[str, Contender]:
    """Name every stack under every request."""
    secure_post = altered(post, scheme="https")
    return {
        "bare": Contender(null, get),
        "guard": Contender(guard(null), get),
        "guard, validating": Contender(guard(null, validation=True), get),
        "guard, whole": Contender(guard(null, validation=True, telemetry=True, endpoints=True), get),
        "guard, whole, another item": Contender(guard(null, validation=True, telemetry=True, endpoints=True), another),
        "nested": Contender(nested(null), get),
        "nested, letting go": Contender(nested(null, lets_go=True), get),
        "unfused": Contender(unfused(null), get),
        "engine": Contender(engine_alone(null), get),
        "ten layers": Contender(marked(null, PAIRS), get),
        "ten middlewares": Contender(reference.marked(null, PAIRS), get),
        "bare, proxied": Contender(null, proxied),
        "full guard": Contender(full_guard(null), proxied),
        "full nested": Contender(fully_nested(null), proxied),
        "full nested, letting go": Contender(fully_nested(null, lets_go=True), proxied),
        **{
            f"override, {name}": Contender(guard(null), altered(get, asgi_guard=said))
            for name, said in overrides().items()
        },
        "post, bare": Contender(reader, post),
        "post": Contender(guard(reader), post),
        "post, nested": Contender(nested(reader), post),
        "full post": Contender(full_guard(reader), secure_post),
        "full post, nested": Contender(fully_nested(reader), secure_post),
        "websocket, bare": Contender(chat, handshake),
        "websocket": Contender(guard(chat), handshake),
        "429": Contender(guard(null, rate_limit=REFUSING), from_one_client),
        "429, nested": Contender(nested(null, REFUSING), from_one_client),
        "413": Contender(guard(null), oversized),
        "413, nested": Contender(nested(null), oversized),
        "500": Contender(guard(failing), get),
        "500, nested": Contender(nested(failing), get),
        "403": Contender(full_guard(null), blocked),
        "403, nested": Contender(fully_nested(null), blocked),
        "preflight": Contender(full_guard(null), preflight),
        "preflight, nested": Contender(fully_nested(null), preflight),
        "preflight, cors alone": Contender(only(null, parts()["cors, an Origin"].settings), preflight),
    }


def overrides() -> dict[str, Any]:
    """Name what whoever stands outside may say for one request."""
    return {
        "another limit": {"request_limits": {"max_body_bytes": 1_000_000_000}},
        "a layer left out": {"request_id": False},
    }


def whole_answers(samples: Samples) -> dict[str, Any]:
    """Tell what the answers cost that the application has no part in."""
    names = [name for answer in ANSWERS for name in (answer, f"{answer}, nested")]
    return {name: added(samples, name) for name in (*names, "preflight, cors alone")}


def figures_in_tasks(rounds: int = 30, batch: int = 200) -> dict[str, Any]:
    """Measure the first of them once more with an asyncio task for each request."""
    few = {
        "bare": Contender(null, get),
        "guard": Contender(guard(null), get),
        "nested": Contender(nested(null), get),
        "bare, proxied": Contender(null, proxied),
        "full guard": Contender(full_guard(null), proxied),
        "full nested": Contender(fully_nested(null), proxied),
    }
    samples = in_tasks(few, rounds=rounds, batch=batch)
    bases = {"guard": "bare", "nested": "bare", "full guard": "bare, proxied", "full nested": "bare, proxied"}
    return {name: added(samples, name, base) for name, base in bases.items()}


def reconfiguring(runs: int = 20) -> dict[str, Any]:
    """Time a change of settings while the guard serves; the settings themselves are made before."""
    lists = [blocking(count) for count in (1_000, 100_000)]
    changes: dict[str, list[dict[str, Any]]] = {
        "another rate": [{"rate_limit": "100/minute"}, {"rate_limit": "200/minute"}],
        "another list of 1,000 or 100,000 networks": [{"ip_filter": one} for one in lists],
    }
    return {name: _reconfigured(settings, runs) for name, settings in changes.items()}


def _reconfigured(settings: list[dict[str, Any]], runs: int) -> dict[str, float]:
    app = full_guard(null)
    took: list[float] = []
    for number in range(runs):
        began = perf_counter()
        app.reconfigure(**settings[number % len(settings)])
        took.append((perf_counter() - began) * 1_000)
    return {"min_ms": round(min(took), 3), "median_ms": round(median(took), 3)}


def with_log_off() -> None:
    """Let error records be made and go nowhere: what a handler costs is the handler's."""
    for name in ("asgi_guard", "reference"):
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.addHandler(logging.NullHandler())
