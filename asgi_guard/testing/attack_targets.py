"""Attack targets: how a request gets to an application in this process, or to a server on this machine.

Must never raise for what an application does: an exception, or no answer, is what this is about.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import SimpleNamespace, TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self
from urllib.parse import urlencode, urlsplit

import anyio.to_thread

from asgi_guard.errors.exceptions import MissingExtraError
from asgi_guard.testing.attack_probes import Answer
from asgi_guard.testing.client import call
from asgi_guard.testing.sessions import lifespan

if TYPE_CHECKING:
    import httpx


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

    def body(self) -> tuple[bytes, str | None]:
        """Write the body, and its type."""
        if self.fields:
            return json.dumps(self.fields).encode(), "application/json"
        if self.form:
            text = urlencode({name: str(value) for name, value in self.form.items()})
            return text.encode(), "application/x-www-form-urlencoded"
        return b"", None


class AttackTarget(Protocol):
    """What is attacked; an async context manager."""

    name: str

    async def __aenter__(self) -> Self:
        """Get ready."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Release what was opened."""
        ...

    async def send(self, sent: Sent) -> Answer:
        """Send a request, and return what came back, whatever that is."""
        ...


class CalledApp:
    """An application that is called in this process, its lifespan on.

    Args:
        app: the application.
        timeout_seconds: how long it may take.
    """

    def __init__(self, app: Any, timeout_seconds: float) -> None:
        self.name: str = getattr(app, "__name__", None) or type(app).__name__
        self._app = app
        self._timeout = timeout_seconds
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start the application up, if it knows how that is done."""
        await self._stack.__aenter__()
        try:
            await self._stack.enter_async_context(lifespan(self._app))
        except Exception as exc:
            await self._stack.aclose()
            if str(exc).startswith("the startup failed"):
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Shut it down."""
        await self._stack.__aexit__(kind, exc, traceback)

    async def send(self, sent: Sent) -> Answer:
        """Send a request, and return what came back, whatever that is."""
        body, kind = sent.body()
        headers = {**sent.headers, **({} if kind is None else {"content-type": kind})}
        try:
            answer = await call(
                self._app, sent.method, sent.path, headers=[*headers.items()], body=body, timeout_seconds=self._timeout
            )
        except Exception as exc:  # noqa: BLE001
            return Answer(0, {}, "", error=f"{type(exc).__name__}: {exc}"[:500])
        named = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
        return Answer(answer.status, named, answer.body.decode("utf-8", "replace"))


class ServedApp:
    """A server, asked over HTTP/1.1.

    Args:
        name: its URL, as it was given.
        url: the same with its address.
        timeout_seconds: how long it may take.
    """

    def __init__(self, name: str, url: str, timeout_seconds: float) -> None:
        self.name: str = name
        self._url = url
        self._timeout = timeout_seconds

    async def __aenter__(self) -> Self:
        """Open the client, in a thread, since it reads certificates.

        Raises:
            MissingExtraError: httpx is not installed.
        """
        self._client = await anyio.to_thread.run_sync(self._made)
        await self._client.__aenter__()
        return self

    def _made(self) -> httpx.AsyncClient:
        try:
            import httpx
        except ImportError:
            raise MissingExtraError("To attack a server", "httpx") from None
        host = urlsplit(self.name).netloc
        return httpx.AsyncClient(
            base_url=self._url.rstrip("/"),
            timeout=self._timeout,
            follow_redirects=False,
            headers={"host": host},
            trust_env=False,  # nor is a proxy asked
        )

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._client.__aexit__(kind, exc, traceback)

    async def send(self, sent: Sent) -> Answer:
        """Send a request, and return what came back, whatever that is."""
        body, kind = sent.body()
        headers = {**sent.headers, **({} if kind is None else {"content-type": kind})}
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        try:
            answer = await self._client.request(sent.method, sent.path, headers=raw, content=body)
        except Exception as exc:  # noqa: BLE001
            return Answer(0, {}, "", error=f"{type(exc).__name__}: {exc}"[:500])
        return Answer(answer.status_code, dict(answer.headers), answer.text)


async def openapi_of(target: AttackTarget) -> object:
    """Ask a server for its OpenAPI document, and return what tells its routes by it."""
    answer = await target.send(Sent("GET", "/openapi.json", {}, {}, {}))
    try:
        document: Any = json.loads(answer.text)
    except (ValueError, RecursionError):
        document = {}
    return SimpleNamespace(openapi=lambda: document)
