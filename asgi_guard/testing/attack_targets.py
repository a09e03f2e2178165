"""Attack targets: how a request gets to an application in this process, or to a server on this machine.

Must never raise for what an application does: an exception, or no answer, is what this is about.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import unquote, urlencode

import anyio

from asgi_guard.engine.types import Receive, Scope, Send
from asgi_guard.testing.attack_probes import Answer
from asgi_guard.testing.client import call
from asgi_guard.testing.targets import Called, Served, Target

_MOST_BYTES: Final = 8 << 20
"""How much of an answer is kept: whole OpenAPI documents, and no flood."""


class Sent(NamedTuple):
    """A request.

    Attributes:
        method: of HTTP.
        path: with the query.
        headers: by name.
        fields: of a JSON body.
        form: of a form.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    fields: Mapping[str, object]
    form: Mapping[str, object]

    def body(self) -> tuple[bytes, dict[str, str]]:
        """Write the body, and the headers with its type."""
        if self.fields:
            return json.dumps(self.fields).encode(), {**self.headers, "content-type": "application/json"}
        if self.form:
            text = urlencode({name: str(value) for name, value in self.form.items()})
            return text.encode(), {**self.headers, "content-type": "application/x-www-form-urlencoded"}
        return b"", {**self.headers}


class AttackTarget(Target, Protocol):
    """What is attacked; an async context manager."""

    async def send(self, sent: Sent) -> Answer:
        """Send a request, and return what came back, whatever that is."""
        ...


class CalledApp(Called):
    """An application that is called in this process, by a client of another address each time."""

    _sent = 0

    async def send(self, sent: Sent) -> Answer:
        """Send a request, and return what came back, whatever that is."""
        body, headers = sent.body()
        try:
            answer = await call(
                self._as_served,
                sent.method,
                sent.path,
                headers=[*headers.items()],
                body=body,
                timeout_seconds=self._timeout,
                client=self._next_client(),
            )
        except Exception as exc:  # noqa: BLE001
            return Answer(0, {}, "", error=f"{type(exc).__name__}: {exc}"[:500])
        named = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
        return Answer(answer.status, named, answer.body.decode("utf-8", "replace"))

    async def _as_served(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Decode the path, as every server does: a slash within a parameter is one for the application."""
        await self._app({**scope, "path": unquote(scope["path"])}, receive, send)

    def _next_client(self) -> tuple[str, int]:
        """Return an address that no request has come from before: limits of one client would hide what the rest do."""
        self._sent += 1
        return f"127.{self._sent >> 16 & 255}.{self._sent >> 8 & 255}.{self._sent & 255}", 51_234


class ServedApp(Served):
    """A server."""

    async def send(self, sent: Sent) -> Answer:
        """Send a request, and return what came back, whatever that is."""
        body, headers = sent.body()
        try:
            with anyio.fail_after(self._timeout):
                answer, kept = await self._link.ask(sent.method, sent.path, headers, body, kept_bytes=_MOST_BYTES)
        except Exception as exc:  # noqa: BLE001
            return Answer(0, {}, "", error=f"{type(exc).__name__}: {exc}"[:500])
        return Answer(answer.status_code, dict(answer.headers), kept.decode("utf-8", "replace"))


async def openapi_of(target: AttackTarget) -> object:
    """Ask a server for its OpenAPI document, and return what tells its routes by it."""
    answer = await target.send(Sent("GET", "/openapi.json", {}, {}, {}))
    try:
        document: Any = json.loads(answer.text)
    except (ValueError, RecursionError):
        document = {}
    return SimpleNamespace(openapi=lambda: document)
