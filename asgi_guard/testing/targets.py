"""Targets: what loads and attacks have in common: an application in this process, or a server on this machine.

Must never let anything be asked of a host that does not resolve to this machine, unless its very name was given as one
that may be: the address that was checked is the one that is connected to.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from socket import gaierror, getaddrinfo
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

from asgi_guard.networks import is_loopback
from asgi_guard.settings import Problems
from asgi_guard.testing.link import Link
from asgi_guard.testing.sessions import lifespan


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


class Called:
    """An application that is called in this process, its lifespan on.

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


class Served:
    """A server, asked over HTTP/1.1 with connections that are kept.

    Args:
        name: its URL, as it was given.
        url: the same with its address.
        timeout_seconds: after how long a request has failed.
        what: what it is asked for, as the beginning of a sentence.
    """

    def __init__(self, name: str, url: str, timeout_seconds: float, what: str) -> None:
        self.name: str = name
        self._timeout = timeout_seconds
        self._link = Link(what, name, url, timeout_seconds)

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


def check_callable(problems: Problems, target: Any) -> None:
    """Note that what is to be called in this process cannot be."""
    if not callable(target):
        problems.add("AG921", "target", target, "must be an ASGI application or a URL", "Hand over the application.")


def checked_url(problems: Problems, url: str, may_ask: str | None) -> str:
    """Return the URL with the address in the place of its host, as far as it may be asked.

    Args:
        problems: where it is noted that it may not.
        url: `http://` or `https://`, without a user and a password.
        may_ask: the name of a host elsewhere that may be asked.
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
    if host == may_ask:
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
