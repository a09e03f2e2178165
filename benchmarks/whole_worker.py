"""Worker of the whole: one stack in a process of its own, which runs what it is told to and says what that took.

`python benchmarks/whole_worker.py STACK` reads lines `WORKLOAD NUMBER CONCURRENCY`, and writes nanoseconds of CPU time
a line. With `--behaviour` it writes how the stack behaves, as JSON; with `--serve` it serves the stack on a free port.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Mapping
from time import process_time_ns
from types import MappingProxyType
from typing import Any

import uvloop
from scenarios import ORIGIN, App, altered, get
from timing import discard
from whole_stacks import STACKS

JSON = json.dumps({f"field{number}": "an ordinary value of a form, in words" for number in range(40)}).encode()[:2_048]
JSON = JSON[: JSON.rindex(b",")] + b"}"
MEGABYTE = b"0123456789abcdef" * 65_535


def _without_body(path: str = "/api/items/42", *headers: tuple[bytes, bytes], **fields: Any) -> Callable[[int], Any]:
    """Make requests whose client says that there is no body, and then waits for the answer, as servers tell it."""
    make = altered(get, *headers, scheme="https", path=path, **fields)

    def call(number: int) -> Any:
        scope, _ = make(number)
        left = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> dict[str, Any]:
            return left.pop() if left else await asyncio.get_running_loop().create_future()

        return scope, receive

    return call


def _of_another_item(number: int) -> Any:
    """Ask for another item and another page each time: what has come before must not be all that is measured."""
    path = f"/api/items/{number}"
    query = b"page=%d&sort=price" % (number % 97)
    return _without_body(path, ORIGIN, raw_path=path.encode(), query_string=query)(number)


def _with_body(path: str, body: bytes, content_type: bytes, parts: int) -> Callable[[int], Any]:
    size = -(-len(body) // parts)
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    length = (b"content-length", b"%d" % len(body))
    make = altered(
        get, ORIGIN, length, (b"content-type", content_type), scheme="https", method="POST", path=path, query_string=b""
    )

    def call(number: int) -> Any:
        scope, _ = make(number)
        left = [
            {"type": "http.request", "body": chunk, "more_body": index < len(chunks) - 1}
            for index, chunk in enumerate(chunks)
        ]

        async def receive() -> dict[str, Any]:
            return left.pop(0) if left else await asyncio.get_running_loop().create_future()

        return scope, receive

    return call


def _conversation(number: int) -> Any:
    scope, _ = altered(get, ORIGIN, scheme="wss", type="websocket", path="/api/echo", query_string=b"")(number)
    scope.pop("method", None)
    left = [{"type": "websocket.connect"}, *[{"type": "websocket.receive", "text": "how are you"}] * 5]

    async def receive() -> dict[str, Any]:
        return left.pop(0) if left else {"type": "websocket.disconnect", "code": 1000}

    return {**scope, "subprotocols": []}, receive


WORKLOADS: Mapping[str, Callable[[int], Any]] = MappingProxyType(
    {
        "GET": _of_another_item,
        "POST of 2 KB of JSON": _with_body("/api/items", JSON, b"application/json", 1),
        "POST of 1 MB": _with_body("/api/files", MEGABYTE, b"application/octet-stream", 16),
        "a stream of 5 parts": _without_body("/api/stream", ORIGIN, query_string=b""),
        "a WebSocket, 5 messages": _conversation,
    }
)
"""What is asked, by the names that the results give it."""


async def batches(app: App) -> None:
    """Run a batch for each line of standard input; a word alone asks how idle this is."""
    done = 0
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        if line.startswith("idle"):
            before = process_time_ns()
            await asyncio.sleep(float(line.split()[1]))
            print(process_time_ns() - before, flush=True)
            continue
        workload, number, concurrency = line.rsplit(maxsplit=2)
        calls = [WORKLOADS[workload](done + index) for index in range(int(number))]
        done += len(calls)
        gc.collect()
        began = process_time_ns()
        await run(app, calls, int(concurrency))
        print(process_time_ns() - began, flush=True)


async def run(app: App, calls: list[Any], concurrency: int) -> None:
    """Run calls, so many at a time, each as a task."""
    if concurrency == 1:
        for scope, receive in calls:
            await asyncio.create_task(app(scope, receive, discard))
        return
    waiting = iter(calls)

    async def one_after_the_other() -> None:
        for scope, receive in waiting:
            await app(scope, receive, discard)

    await asyncio.gather(*[asyncio.create_task(one_after_the_other()) for _ in range(concurrency)])


# Behaviour ------------------------------------------------------------------------------------------------------------


async def _sent(app: App, call: Any) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    try:
        await asyncio.wait_for(asyncio.create_task(app(*call, send)), 20)
    except Exception:  # noqa: BLE001  a server would answer 500, without a header
        messages = messages or [{"type": "http.response.start", "status": 500, "headers": []}]
    return messages


def _asked(path: str, *headers: tuple[bytes, bytes], method: str = "GET", query: bytes = b"") -> Any:
    return _without_body(path, *headers, method=method, query_string=query)(7)


def _head(messages: list[dict[str, Any]]) -> tuple[int, dict[str, str]]:
    start = next(one for one in messages if one["type"] == "http.response.start")
    return start["status"], {name.decode().lower(): value.decode() for name, value in start["headers"]}


async def _streams(name: str) -> bool:
    messages = await _sent(STACKS[name](), WORKLOADS["a stream of 5 parts"](1))
    bodies = [one["body"] for one in messages if one["type"] == "http.response.body" and one.get("body")]
    starts = [one for one in messages if one["type"] == "http.response.start"]
    return len(starts) == 1 and bodies == [b"part %d\n" % number for number in range(5)]


async def _talks(name: str) -> bool:
    messages = await _sent(STACKS[name](), _conversation(1))
    return [one["type"] for one in messages][:6] == ["websocket.accept", *["websocket.send"] * 5]


async def _refuses(name: str) -> tuple[int, dict[str, str]]:
    app = STACKS[name]("1/day")
    answers = [_head(await _sent(app, _asked("/api/items/1", ORIGIN))) for _ in range(2)]
    return answers[1]


async def _readable_refusal(name: str) -> bool:
    status, headers = await _refuses(name)
    return status == 429 and "access-control-allow-origin" in headers


async def _named_refusal(name: str) -> bool:
    status, headers = await _refuses(name)
    return status == 429 and "x-request-id" in headers and "x-content-type-options" in headers


async def _fails(name: str) -> tuple[int, dict[str, str]]:
    return _head(await _sent(STACKS[name](), _asked("/api/broken", ORIGIN)))


async def _readable_error(name: str) -> bool:
    status, headers = await _fails(name)
    return status == 500 and "access-control-allow-origin" in headers


async def _named_error(name: str) -> bool:
    status, headers = await _fails(name)
    return status == 500 and "x-request-id" in headers and "x-content-type-options" in headers


async def _preflights_are_free(name: str) -> bool:
    app = STACKS[name]("1/day")
    asking = (b"access-control-request-method", b"GET")
    await _sent(app, _asked("/api/items/1", ORIGIN, asking, method="OPTIONS"))
    return _head(await _sent(app, _asked("/api/items/1", ORIGIN)))[0] == 200


async def _forged_addresses(name: str) -> bool:
    app = STACKS[name]("1/day")
    statuses = [
        _head(await _sent(app, _asked("/api/items/1", (b"x-forwarded-for", b"203.0.113.%d" % number))))[0]
        for number in range(2)
    ]
    return statuses[1] == 429


async def _limits_handshakes(name: str) -> bool:
    app = STACKS[name]("1/day")
    kinds = [[one["type"] for one in await _sent(app, _conversation(7))] for _ in range(2)]
    return "websocket.accept" in kinds[0] and "websocket.accept" not in kinds[1]


async def _finds_attacks(name: str) -> bool:
    app = STACKS[name]()
    attack = _asked("/api/items/1", query=b"q=1%27%20UNION%20SELECT%20password%20FROM%20users--%20")
    return _head(await _sent(app, attack))[0] in {400, 403}


async def _leaves_prose(name: str) -> bool:
    app = STACKS[name]()
    prose = _asked("/api/items/1", query=b"q=please+select+a+chair+from+the+union+table+%26+drop+me+a+line")
    return _head(await _sent(app, prose))[0] == 200


BEHAVIOUR: Mapping[str, Callable[[str], Awaitable[bool]]] = MappingProxyType(
    {
        "a streamed answer arrives whole, part by part": _streams,
        "a WebSocket works": _talks,
        "a WebSocket handshake counts against the rate": _limits_handshakes,
        "a refusal can be read by the page that asked (CORS)": _readable_refusal,
        "a refusal has a request id and the security headers": _named_refusal,
        "a 500 can be read by the page that asked (CORS)": _readable_error,
        "a 500 has a request id and the security headers": _named_error,
        "a preflight costs nothing of the rate": _preflights_are_free,
        "a forged X-Forwarded-For gets no rate of its own": _forged_addresses,
        "an SQL injection is refused": _finds_attacks,
        "a sentence of its words is not": _leaves_prose,
    }
)
"""What is asked of each, by the words of the table."""


async def behaviour(name: str) -> dict[str, bool]:
    """Ask it all."""
    return {asked: await ask(name) for asked, ask in BEHAVIOUR.items()}


def main(arguments: list[str]) -> None:
    """Run batches, say how the stack behaves, or serve it."""
    logging.disable(logging.CRITICAL)  # what a handler costs is the handler's
    name = arguments[0]
    if "--behaviour" in arguments:
        print(json.dumps(uvloop.run(behaviour(name))))
    elif "--serve" in arguments:
        from servers import serve

        serve(STACKS[name]())
    else:
        uvloop.run(batches(STACKS[name]()))


if __name__ == "__main__":
    main(sys.argv[1:])
