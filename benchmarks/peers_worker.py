"""Worker: one stack in a process of its own, which runs as many requests as it is told to and says what they took.

So no stack shares a heap, a module or a global with another, and their turns can still be taken in any order.
Each request is an asyncio task of uvloop, as under a server. The clock is the CPU time of the process, all its threads.

`python benchmarks/peers_worker.py STACK` reads a number a line, and writes nanoseconds a line.
With `--answers` it writes what the stack answers, as JSON, and ends.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
from time import process_time_ns
from typing import Any

import uvloop
from peers_stacks import MAX_BODY_BYTES, STACKS
from scenarios import ORIGIN, App, Call, altered, get
from timing import discard

request = altered(get, ORIGIN, scheme="https")
"""The request that is measured: a GET by a page of a listed origin, over TLS."""

ASKING = (ORIGIN, (b"access-control-request-method", b"GET"))
preflight = altered(get, *ASKING, scheme="https", method="OPTIONS")
foreign = altered(get, (b"host", b"elsewhere.example"), scheme="https")


async def batches(app: App) -> None:
    """Run a batch for each number on standard input."""
    done = 0
    for line in sys.stdin:  # it blocks the loop: there is nothing else to do in this process
        calls = [request(done + number) for number in range(int(line))]
        done += len(calls)
        gc.collect()
        began = process_time_ns()
        for scope, receive in calls:
            await asyncio.create_task(app(scope, receive, discard))
        print(process_time_ns() - began, flush=True)


async def answers(name: str) -> dict[str, Any]:
    """Return the headers of an answer, and the status with which each protection answers what it is there for."""
    app = STACKS[name]()
    status, headers = await _answer(app, request(0))
    if status != 200:
        raise RuntimeError(f"{name} answers {status} to a request in order")
    is_readable = (await _answer(app, preflight(1)))[1].get("access-control-allow-origin")
    limited = STACKS[name]("1/day")
    return {
        "headers": headers,
        "statuses": {
            "host": (await _answer(app, foreign(2)))[0],
            "CORS": 200 if is_readable else 0,
            "declared body": (await _answer(app, _upload(3, declared=True)))[0],
            "streamed body": (await _answer(app, _upload(4, declared=False)))[0],
            "rate": [(await _answer(limited, request(5)))[0] for _ in range(2)][1],
        },
    }


def _upload(number: int, *, declared: bool) -> Call:
    length = [(b"content-length", b"%d" % (2 * MAX_BODY_BYTES))] if declared else [(b"transfer-encoding", b"chunked")]
    scope, _ = altered(get, *length, scheme="https", method="POST", path="/api/items", raw_path=b"/api/items")(number)
    rest = [2, 1]

    async def receive():
        if not rest:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": bytes(MAX_BODY_BYTES), "more_body": rest.pop(0) > 1}

    return scope, receive


async def _answer(app: App, call: Call) -> tuple[int, dict[str, str]]:
    starts: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            starts.append(message)

    await asyncio.create_task(app(*call, send))
    headers = {name.decode().lower(): value.decode() for name, value in starts[0]["headers"]}
    return starts[0]["status"], headers


def main(arguments: list[str]) -> None:
    """Answer, or run batches."""
    logging.disable(logging.CRITICAL)  # what a handler costs is the handler's
    if "--answers" in arguments:
        print(json.dumps(uvloop.run(answers(arguments[0]))))
    else:
        uvloop.run(batches(STACKS[arguments[0]]()))


if __name__ == "__main__":
    main(sys.argv[1:])
