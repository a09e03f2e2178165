"""How the doctor asks: the application is called in process, with its lifespan on, as a server would.

Rule 1: nothing goes over a network from here; what the application itself connects to is its own matter.
Rule 2: every question has an end: so many seconds, so many bytes of an answer, so many of a body.
Rule 3: an application's exception is an answer of its own (`raised`), and must never end the examination.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from asgi_guard.engine.types import ASGIApp, Message

SECONDS: Final = 10.0
STARTUP_SECONDS: Final = 30.0
MAX_ANSWER_BYTES: Final = 1_000_000
_AFTERWARDS_SECONDS: Final = 1.0
_CHUNK: Final = b"x" * 65_536

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: 0 where there was none.
        headers: every line, names in lower case.
        text: the body, of at most a million bytes.
        raised: the exception that came out of the application, as text; empty where there was none.
        read_bytes: how much of the request's body was taken.
    """

    status: int
    headers: Headers
    text: str
    raised: str
    read_bytes: int

    def header(self, name: str) -> str:
        """Return the first line of a header; empty where there is none."""
        return next((value for key, value in self.headers if key == name), "")

    def all(self, name: str) -> list[str]:
        """Return every line of a header."""
        return [value for key, value in self.headers if key == name]

    @property
    def is_limited(self) -> bool:
        """Whether it says nothing of the question: too many of them, or a store is away."""
        return self.status in {429, 503}

    @property
    def succeeded(self) -> bool:
        """Whether the application did what was asked."""
        return 200 <= self.status < 300


class Clients:
    """Addresses to ask from, each for one question, so that no answer depends on those before it.

    They come from the network that is set aside for tests of devices (RFC 2544), which nobody has.

    Args:
        only: the one address to ask from, where only some are let in.
    """

    def __init__(self, only: str | None = None) -> None:
        self._only = only
        self._next = 0

    def next(self) -> str:
        """Return the next address."""
        if self._only is not None:
            return self._only
        self._next += 1
        return f"198.18.{self._next // 250 % 250}.{self._next % 250 + 1}"


class Asker:
    """Asks one application.

    Args:
        app: the application.
        host: the host to ask for, with a port if it is asked at another one than usual.
        clients: whom to ask as.
        peer: who connects: the proxy in front, which writes `X-Forwarded-For`; None where clients connect themselves.
        state: of the lifespan.

    Attributes:
        host: as given.
        name: the same without a port, and without the brackets of an IPv6 address.
    """

    def __init__(
        self, app: ASGIApp, host: str, clients: Clients, *, peer: str | None = None, state: dict[str, Any] | None = None
    ) -> None:
        self._app = app
        self.host = host
        self.name: str = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        self.clients = clients
        self._peer = peer
        self._state = state

    async def ask(
        self,
        path: str = "/",
        *,
        method: str = "GET",
        scheme: str = "https",
        headers: Iterable[tuple[str, str]] = (),
        host: str | None = None,
        client: str | None = None,
        peer: str | None = None,
        body: bytes = b"",
        endless_bytes: int = 0,
    ) -> Answer:
        """Ask once.

        Args:
            path: with the query after a `?`.
            method: the request method.
            scheme: how the client came: `http` or `https`.
            headers: further ones.
            host: another one than usual.
            client: who asks; by default somebody who has not asked before.
            peer: who connects, without any header of a proxy.
            body: of the request.
            endless_bytes: of a body that goes on for so long, and ends in a disconnect.
        """
        client = client or self.clients.next()
        named = {name for name, _ in headers}
        lines = [("host", host or self.host), *headers]
        if peer is None and self._peer is not None:
            lines += [] if "x-forwarded-for" in named else [("x-forwarded-for", client)]
            lines += [] if "x-forwarded-proto" in named else [("x-forwarded-proto", scheme)]
            peer, scheme = self._peer, "http"
        raw_path, _, query = path.partition("?")
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": scheme,
            "path": raw_path,
            "raw_path": raw_path.encode("latin-1", "replace"),
            "query_string": query.encode("latin-1", "replace"),
            "root_path": "",
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in lines],
            "client": (peer or client, 51_234),
            "server": (self.name, 443 if scheme == "https" else 80),
        }
        if self._state is not None:
            scope["state"] = dict(self._state)
        return await _exchange(self._app, scope, body, endless_bytes)


class _Exchange:
    """One request, and what came back so far."""

    def __init__(self, body: bytes, endless_bytes: int) -> None:
        self.start: Message = {}
        self.ended = asyncio.Event()
        self.read_bytes = 0
        self._parts: list[bytes] = []
        self._body: bytes | None = body
        self._is_endless = endless_bytes > 0
        self._left = endless_bytes

    @property
    def text(self) -> str:
        """The body of the answer."""
        return b"".join(self._parts)[:MAX_ANSWER_BYTES].decode("utf-8", "replace")

    async def receive(self) -> Message:
        if self._left > 0:
            self._left -= len(_CHUNK)
            self.read_bytes += len(_CHUNK)
            return {"type": "http.request", "body": _CHUNK, "more_body": True}
        if self._is_endless:
            return {"type": "http.disconnect"}
        if self._body is None:
            await self.ended.wait()
            return {"type": "http.disconnect"}
        body, self._body = self._body, None
        self.read_bytes += len(body)
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and not self.start:
            self.start = message
        elif message["type"] == "http.response.body":
            if sum(map(len, self._parts)) < MAX_ANSWER_BYTES:
                self._parts.append(bytes(message.get("body", b"")))
            if not message.get("more_body", False):
                self.ended.set()


async def _exchange(app: ASGIApp, scope: dict[str, Any], body: bytes, endless_bytes: int) -> Answer:
    exchange, raised = _Exchange(body, endless_bytes), ""
    task = asyncio.create_task(_run(app, scope, exchange.receive, exchange.send))
    over = asyncio.create_task(_once(exchange.ended))
    try:
        await asyncio.wait({task, over}, timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():  # work in the background is none of ours, but gets a moment
            await asyncio.wait({task}, timeout=_AFTERWARDS_SECONDS)
        if task.done():
            raised = task.result()
        elif not exchange.ended.is_set():
            raised = f"no answer within {SECONDS:g} seconds"
    finally:
        for each in (task, over):
            await _end(each)
    lines = exchange.start.get("headers", ())
    return Answer(
        int(exchange.start.get("status", 0)),
        [(bytes(name).decode("latin-1").lower(), bytes(value).decode("latin-1")) for name, value in lines],
        exchange.text,
        raised,
        exchange.read_bytes,
    )


async def _once(event: asyncio.Event) -> str:
    await event.wait()
    return ""


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _run(app: ASGIApp, scope: dict[str, Any], receive: Any, send: Any) -> str:
    try:
        await app(scope, receive, send)
    except Exception as error:  # noqa: BLE001  it is an answer
        return f"{type(error).__name__}: {error}"
    return ""


class StartupError(Exception):
    """The application could not start, or does not answer."""


@asynccontextmanager
async def alive(app: ASGIApp) -> AsyncGenerator[dict[str, Any]]:
    """Keep the lifespan of an application on, and give its state.

    Raises:
        StartupError: it says that it could not start, or takes longer than 30 seconds.
    """
    state: dict[str, Any] = {}
    heard: asyncio.Queue[Message] = asyncio.Queue()
    told: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
    task = asyncio.create_task(_run(app, scope, told.get, heard.put))
    try:
        told.put_nowait({"type": "lifespan.startup"})
        said = await _said(heard, task)
        if said is not None and said["type"] == "lifespan.startup.failed":
            raise StartupError(f"the application could not start: {said.get('message', '')}")
        yield state
        if said is not None:
            told.put_nowait({"type": "lifespan.shutdown"})
            await _said(heard, task)
            await asyncio.wait({task}, timeout=STARTUP_SECONDS)
    finally:
        await _end(task)


async def _said(heard: asyncio.Queue[Message], task: asyncio.Task[str]) -> Message | None:
    """Return what the application says next; None where it knows no lifespan.

    Raises:
        StartupError: it says nothing for 30 seconds.
    """
    getting = asyncio.create_task(heard.get())
    try:
        waiting: set[asyncio.Task[Any]] = {getting, task}
        await asyncio.wait(waiting, timeout=STARTUP_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if getting.done():
            return getting.result()
        if task.done():
            return None if heard.empty() else heard.get_nowait()
        raise StartupError(f"the application has not started or stopped within {STARTUP_SECONDS:g} seconds")
    finally:
        await _end(getting)
