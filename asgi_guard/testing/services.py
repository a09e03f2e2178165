"""Stand-ins for services: a real HTTP server on loopback that answers, fails and recovers as a test tells it.

    with StandIn() as payments:
        payments.script(fail(503), slow(0.2, {"paid": True}))
        ...                                                # the code under test calls payments.url
        assert [call.path for call in payments.calls] == ["/pay", "/pay"]

A `StandInCache` is the same with GET, PUT and DELETE of keys, and an object with `get`, `set` and `delete` besides; an
`ai` of `Services` speaks chat completions and embeddings, whole or as a stream.

Rule 1: a call is carried out as the script says, and remembered, in the order in which calls came; no step is used
twice.
Rule 2: what is kept is bounded: 10,000 calls, 10,000 keys.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast
from urllib.parse import unquote

import anyio

from asgi_guard.testing.service_server import Call, HTTPServer, LoopThread
from asgi_guard.testing.steps import MAX_SECONDS, Step, ok, reset

__all__ = ["Call", "Services", "StandIn", "StandInCache", "StandInError"]

MAX_CALLS: Final = 10_000
MAX_KEYS: Final = 10_000

StandInT = TypeVar("StandInT", bound="StandIn")


class StandInError(Exception):
    """A stand-in that is an object was told to fail.

    Attributes:
        status: the status with which its server would have answered.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"the stand-in was told to fail with {status}")
        self.status = status


class StandIn:
    """A stand-in for a service that is called over HTTP.

    Args:
        default: what it does when its script is at its end; a 200 with `{}` by default.
        name: how it is called in a message.
        thread: where it runs; a thread of its own by default.

    Attributes:
        calls: what it was called with, in order; the last 10,000.
        name: how it is called in a message.
        port: the port of 127.0.0.1 that it listens on, from 20000 to 31999; 0 before it has started.

    Raises:
        TypeError: the default is no step.
    """

    def __init__(self, default: Step | None = None, *, name: str = "service", thread: LoopThread | None = None) -> None:
        self.name = name
        self.calls: deque[Call] = deque(maxlen=MAX_CALLS)
        self.port: int = 0
        if default is not None and not isinstance(default, Step):
            raise TypeError(f"what it does by default is a step, such as ok({{}}), and not {default!r}")
        self._default = ok({}) if default is None else default
        self._script: deque[Step] = deque()
        self._down: Step | None = None
        self._recovers_after: int | None = None
        self._thread = thread
        self._own_thread: LoopThread | None = None
        if thread is not None:
            self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} at {self.url}, {len(self.calls)} calls>"

    @property
    def url(self) -> str:
        """Where it is called: `http://127.0.0.1:port`."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begin to listen; a second time does nothing."""
        if not self.port:
            server = HTTPServer(self._serve)
            self.port = server.port
            if self._thread is None:
                self._thread = self._own_thread = LoopThread()
            server.serve_in(self._thread)

    def stop(self) -> None:
        """End its server, if it runs in a thread of its own; whatever still hangs is let go."""
        if self._own_thread is not None:
            self._own_thread.end()
            self._thread = self._own_thread = None
            self.port = 0

    def script(self, *steps: Step) -> None:
        """Say what it does with the next calls, one step each, in place of what is left of an earlier script.

        Args:
            *steps: made by `ok`, `fail`, `slow`, `hang`, `reset` and `garbage`.
        """
        self._script = deque(steps)

    def down(self, how: Step | None = None) -> None:
        """Fail every call from now on; the script waits meanwhile.

        Args:
            how: by what; by a reset of the connection when None.

        Raises:
            ValueError: the step is a success.
        """
        how = reset() if how is None else how
        if how.is_ok:
            raise ValueError("a service that answers well is not down")
        self._recovers_after, self._down = None, how

    def recover(self, after: int = 0) -> None:
        """Go on with the script, and be well when it is at its end.

        Args:
            after: how many more calls fail before; at least 0.

        Raises:
            ValueError: `after` is negative.
        """
        if after < 0:
            raise ValueError(f"after must be at least 0, not {after}")
        if after:
            self._down, self._recovers_after = self._down or reset(), after
        else:
            self._down = self._recovers_after = None

    def clear(self) -> None:
        """Forget calls and script, and be well."""
        self.calls.clear()
        self._script = deque()
        self.recover()

    def _serve(self, call: Call) -> Step:
        return self._made(self._taken(call), call)

    def _taken(self, call: Call) -> Step:
        """Remember a call, and take the step that is its turn."""
        self.calls.append(call)
        if self._down is not None:
            step = self._down
            if self._recovers_after is not None:
                self._recovers_after -= 1
                if not self._recovers_after:
                    self.recover()
            return step
        return self._script.popleft() if self._script else self._default

    def _made(self, step: Step, call: Call) -> Step:  # noqa: ARG002  kinds of stand-ins answer by the call
        """Make the answer of a service of this kind from a step."""
        return step


class StandInCache(StandIn):
    """A stand-in for a cache: GET, PUT and DELETE of `/key` over HTTP, or its methods; one script for both.

    A successful step without a value carries the command out; one with a value answers that instead.
    """

    def __init__(self, *, name: str = "cache", thread: LoopThread | None = None) -> None:
        self.values: dict[str, bytes] = {}
        super().__init__(ok(), name=name, thread=thread)

    async def get(self, key: str) -> bytes | None:
        """Return a value, or None.

        Raises:
            StandInError: it was told to fail.
            ConnectionResetError: it was told to reset, or is down.
            TimeoutError: it was told to hang, for 60 seconds.
        """
        step = await self._carried_out(Call("GET", key))
        return step.body if step.value is not None or step.kind == "garbage" else self.values.get(key)

    async def set(self, key: str, value: bytes | str) -> None:
        """Keep a value; raises as `get` does."""
        raw = value.encode() if isinstance(value, str) else value
        await self._carried_out(Call("PUT", key, body=raw))
        self._keep(key, raw)

    async def delete(self, key: str) -> bool:
        """Forget a value, and return whether there was one; raises as `get` does."""
        await self._carried_out(Call("DELETE", key))
        return self.values.pop(key, None) is not None

    async def _carried_out(self, call: Call) -> Step:
        step = self._taken(call)
        await anyio.sleep(MAX_SECONDS if step.kind == "hang" else step.after_seconds)
        if step.kind == "hang":
            raise TimeoutError(f"the stand-in {self.name!r} was told to hang")
        if step.kind == "reset":
            raise ConnectionResetError(f"the stand-in {self.name!r} was told to reset")
        if step.kind == "garbage":
            return replace(step, body=b"\x00\xff garbage")
        if not step.is_ok:
            raise StandInError(step.status)
        return step

    def _keep(self, key: str, value: bytes) -> None:
        self.values.pop(key, None)
        self.values[key] = value
        if len(self.values) > MAX_KEYS:
            del self.values[next(iter(self.values))]

    def _made(self, step: Step, call: Call) -> Step:
        if not step.is_ok or step.value is not None:
            return step
        key = unquote(call.path.partition("?")[0].removeprefix("/"))
        body, status = b"", 204
        match call.method:
            case "GET" | "HEAD":
                status = 200 if key in self.values else 404
                body = self.values.get(key, b"")
            case "PUT" | "POST":
                self._keep(key, call.body)
            case "DELETE":
                status = 204 if self.values.pop(key, None) is not None else 404
            case _:
                status = 405
        return replace(step, status=status, body=body, headers={"Content-Type": "application/octet-stream"})


class _StandInAI(StandIn):
    """A stand-in for a service of language models: a step's text is what the model says."""

    def _made(self, step: Step, call: Call) -> Step:
        if not step.is_ok or not (step.value is None or isinstance(step.value, str)):
            return step
        try:
            told: Any = json.loads(call.body or b"{}")
        except ValueError:
            return replace(step, status=400, body=b'{"error":{"message":"the body is no JSON"}}')
        asked: dict[str, Any] = cast("dict[str, Any]", told) if isinstance(told, dict) else {}
        if call.path.partition("?")[0].endswith("/embeddings"):
            return self._as_json(step, _embedded(asked))
        text = "Understood." if step.value is None else step.value
        if asked.get("stream"):
            pieces = [
                {"choices": [{"index": 0, "delta": {"content": word}}]}
                for word in text.split(" ")
                for word in (word, " ")
            ]
            events = [*map(json.dumps, pieces[:-1]), "[DONE]"]
            body = "".join(f"data: {event}\n\n" for event in events).encode()
            return replace(step, body=body, headers={**step.headers, "Content-Type": "text/event-stream"})
        message = {"role": "assistant", "content": text}
        usage = {"prompt_tokens": len(call.body) // 4, "completion_tokens": len(text) // 4}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return self._as_json(
            step,
            {
                "id": "stand-in",
                "object": "chat.completion",
                "model": asked.get("model"),
                "choices": [choice],
                "usage": {**usage, "total_tokens": sum(usage.values())},
            },
        )

    @staticmethod
    def _as_json(step: Step, value: Mapping[str, Any]) -> Step:
        return replace(
            step, body=json.dumps(value).encode(), headers={**step.headers, "Content-Type": "application/json"}
        )


def _embedded(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Make the same eight numbers of the same text."""
    given: Any = asked.get("input", "")
    texts: list[Any] = []
    texts.extend(given if isinstance(given, (list, tuple)) else [given])  # pyright: ignore[reportUnknownArgumentType]
    vectors = [[byte / 127.5 - 1 for byte in hashlib.sha256(str(text).encode()).digest()[:8]] for text in texts]
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return {"object": "list", "model": asked.get("model"), "data": data}


class Services:
    """Stand-ins that share a thread, and end together; what the fixture `services` hands out."""

    def __init__(self) -> None:
        self._thread = LoopThread()
        self._made: list[StandIn] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def http(self, default: Step | None = None, *, name: str = "http") -> StandIn:
        """Start a stand-in for a service over HTTP; `default` is what it does without a script, a 200 with `{}`."""
        return self._kept(lambda: StandIn(default, name=name, thread=self._thread))

    def cache(self, *, name: str = "cache") -> StandInCache:
        """Start a stand-in for a cache."""
        return self._kept(lambda: StandInCache(name=name, thread=self._thread))

    def ai(self, says: str = "Understood.", *, name: str = "ai") -> StandIn:
        """Start a stand-in for a service of language models: POST `/v1/chat/completions` and `/v1/embeddings`.

        Args:
            says: what the model says when no script says otherwise; `script(ok("Yes."))` does.
            name: how it is called in a message.
        """
        return self._kept(lambda: _StandInAI(ok(says), name=name, thread=self._thread))

    def stop(self) -> None:
        """End every one of them."""
        self._thread.end()

    def _kept(self, make: Callable[[], StandInT]) -> StandInT:
        stand_in = make()
        self._made.append(stand_in)
        return stand_in
