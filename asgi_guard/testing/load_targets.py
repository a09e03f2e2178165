"""Load targets: what is asked, and how: an application in this process, or a server on this machine.

Must never ask a host that does not resolve to this machine, unless its very name was given as one that may be asked:
the address that was checked is the one that is connected to, and no redirect is followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from socket import gaierror, getaddrinfo
from types import TracebackType
from typing import Any, Final, Protocol, Self
from urllib.parse import urlsplit

import anyio

from asgi_guard.networks import is_loopback
from asgi_guard.settings import Problems
from asgi_guard.testing.client import call
from asgi_guard.testing.link import Link
from asgi_guard.testing.sessions import lifespan

METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


@dataclass(frozen=True, slots=True)
class Ask:
    """One thing that is asked for.

    Attributes:
        path: the path, with the query where there is one.
        method: of HTTP.
        headers: its own, besides those of the run.
        body: what is sent.
        label: what it is called in the report; by default its method and its path.
    """

    path: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    label: str = ""

    @property
    def name(self) -> str:
        """What it is called."""
        return self.label or f"{self.method} {self.path.partition('?')[0]}"


class Target(Protocol):
    """What is asked; an async context manager."""

    name: str

    async def __aenter__(self) -> Self:
        """Get ready."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Release what was opened."""
        ...

    async def ask(self, ask: Ask) -> int:
        """Ask, read the whole answer, and return its status."""
        ...


def parsed(
    problems: Problems, scenario: Iterable[str | Ask], headers: Mapping[str, str], *, most: int
) -> tuple[Ask, ...]:
    """Read a scenario; what is wrong with it is noted.

    Args:
        problems: where it is noted.
        scenario: paths, methods with paths, or `Ask`s.
        headers: of every request.
        most: how many there may be.
    """
    if isinstance(scenario, str) or not isinstance(scenario, Iterable):
        scenario = [scenario]  # one alone is meant as one
    asks: list[Ask] = []
    for index, given in enumerate(scenario):
        ask = _ask(given)
        if ask is None or ask.method not in METHODS or not ask.path.startswith("/"):
            remedy = 'Write "/items/1", "POST /orders" or Ask("/orders", "POST", body=b"{}").'
            problems.add("AG920", f"scenario[{index}]", given, "must be a path, with or without a method", remedy)
        else:
            asks.append(Ask(ask.path, ask.method, {**headers, **ask.headers}, ask.body, ask.label))
    if not 1 <= len(asks) <= most:
        problems.add("AG920", "scenario", len(asks), f"must be 1 to {most} things to ask for", "Name some paths.")
    return tuple(asks)


def _ask(given: Any) -> Ask | None:
    if isinstance(given, Ask):
        return given
    if not isinstance(given, str):
        return None
    method, space, path = given.strip().partition(" ")
    return Ask(path.strip(), method.upper()) if space else Ask(method)


def target_of(problems: Problems, target: Any, timeout_seconds: float, may_load: str | None) -> Target:
    """Return what is asked; what is wrong with it is noted.

    Args:
        problems: where it is noted.
        target: an application, or a URL.
        timeout_seconds: after how long a request has failed.
        may_load: the name of a host elsewhere that may be asked.
    """
    if isinstance(target, str):
        return ServedTarget(target, checked_url(problems, target, may_load), timeout_seconds)
    if not callable(target):
        problems.add("AG921", "target", target, "must be an ASGI application or a URL", "Hand over the application.")
    return CalledTarget(target, timeout_seconds)


def checked_url(problems: Problems, url: str, may_load: str | None) -> str:
    """Return the URL with the address in the place of its host, as far as it may be asked.

    Args:
        problems: where it is noted that it may not.
        url: `http://` or `https://`, without a user and a password.
        may_load: the name of a host elsewhere that may be asked.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # a port beyond 65535, a bracket that is not closed
        parts, host, port = urlsplit(""), "", None
    if parts.scheme not in {"http", "https"} or not host or "@" in parts.netloc:
        shown = url.rpartition("@")[2]  # what stands before it may be a password
        problems.add("AG921", "target", shown, "must be a URL such as http://127.0.0.1:8000", "Name the server alone.")
        return url
    if host == may_load:
        return url
    try:
        addresses: list[str] = sorted({str(found[4][0]) for found in getaddrinfo(host, port or 80)})
    except (gaierror, UnicodeError):
        addresses = []
    if not addresses or not all(is_loopback(address.partition("%")[0]) for address in addresses):
        remedy = "Take what runs here; or name the host as one that may be loaded or attacked, if it is yours."
        problems.add("AG922", "target", url, "must be on this machine", remedy)
        return url
    address = addresses[0]
    place = f"[{address}]" if ":" in address else address
    return parts._replace(netloc=place if port is None else f"{place}:{port}").geturl()


class CalledTarget:
    """An application that is called in this process, its lifespan on, by a strict server.

    Args:
        app: the application.
        timeout_seconds: after how long a request has failed.
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
            if str(exc).startswith("the startup failed"):  # what raises has no lifespan, as servers see it
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Shut it down."""
        await self._stack.__aexit__(kind, exc, traceback)

    async def ask(self, ask: Ask) -> int:
        """Ask, read the whole answer, and return its status."""
        headers = [*ask.headers.items()]
        answer = await call(
            self._app, ask.method, ask.path, headers=headers, body=ask.body, timeout_seconds=self._timeout
        )
        return answer.status


class ServedTarget:
    """A server, asked over HTTP/1.1 with connections that are kept.

    Args:
        name: its URL, as it was given.
        url: the same with its address.
        timeout_seconds: after how long a request has failed.
    """

    def __init__(self, name: str, url: str, timeout_seconds: float) -> None:
        self.name: str = name
        self._timeout = timeout_seconds
        self._link = Link("To load a server", name, url, timeout_seconds)

    async def __aenter__(self) -> Self:
        """Open the client.

        Raises:
            MissingExtraError: httpx is not installed.
            OSError: nobody listens there.
        """
        await self._link.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._link.close()

    async def ask(self, ask: Ask) -> int:
        """Ask, read the whole answer, and return its status."""
        with anyio.fail_after(self._timeout):
            answer, _ = await self._link.ask(ask.method, ask.path, ask.headers, ask.body, kept_bytes=0)
        return answer.status_code
