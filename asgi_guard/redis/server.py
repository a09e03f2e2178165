"""A Redis that something is kept in: where it is, how long it may take, and what each event loop has of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final, Generic, TypeVar
from weakref import WeakValueDictionary

from asgi_guard.redis.client import Client, Script, client_at
from asgi_guard.redis.line import Line
from asgi_guard.redis.news import News
from asgi_guard.redis.urls import shown_url

T = TypeVar("T")

_QUESTION: Final = Script(b"return 1")


class PerLoop(Generic[T]):
    """One thing for each event loop; that of a loop that was closed is forgotten.

    Args:
        make: makes it, in a loop that runs.
    """

    __slots__ = ("_by_loop", "_make")

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._by_loop: dict[asyncio.AbstractEventLoop, T] = {}

    def get(self) -> T:
        """Return that of the loop that runs.

        Raises:
            RuntimeError: none does, or not one of asyncio.
        """
        loop = asyncio.get_running_loop()
        thing = self._by_loop.get(loop)
        if thing is None:
            # A list: to make a tuple may collect garbage on the way, and so let another thread add to them.
            for dead in [other for other in list(self._by_loop) if other.is_closed()]:
                self._by_loop.pop(dead, None)
            thing = self._by_loop[loop] = self._make()
        return thing

    def peek(self) -> T | None:
        """Return that of the loop that runs, if there is one already."""
        return self._by_loop.get(asyncio.get_running_loop())

    def all(self) -> tuple[T, ...]:
        """Return those of all loops."""
        return (*self._by_loop.values(),)

    def pop(self) -> T | None:
        """Forget that of the loop that runs, and return it."""
        return self._by_loop.pop(asyncio.get_running_loop(), None)


class Server:
    """A Redis.

    Args:
        url: a URL that `check_url` has found sound.
        timeout_seconds: how long a call may take.
        connect_timeout_seconds: how long the first call may take, with connecting and all.
        namespace: what keys and channels begin with.

    Attributes:
        timeout_seconds: as given.
        connect_timeout_seconds: as given.
        prefix: what keys and channels begin with; there is no brace in it.
    """

    def __init__(self, url: str, *, timeout_seconds: float, connect_timeout_seconds: float, namespace: str) -> None:
        self._url = url
        self._news = PerLoop(self._new_news)
        self._lines = PerLoop(self._new_line)
        self.timeout_seconds: float = timeout_seconds
        self.connect_timeout_seconds: float = connect_timeout_seconds
        self.prefix: bytes = namespace.replace("{", "(").encode() + b":"

    def __str__(self) -> str:
        return shown_url(self._url)

    def client(self) -> Client:
        """Make a client, for the event loop that will use it."""
        return client_at(self._url, self.connect_timeout_seconds)

    def news(self) -> News:
        """Return what the event loop that runs hears of it."""
        return self._news.get()

    def line(self) -> Line:
        """Return what the event loop that runs asks it rare things on."""
        return self._lines.get()

    async def check(self) -> None:
        """Ask for an answer, on a connection of its own; nothing is written.

        Raises:
            Exception: whatever redis-py raises where there is none. It may take as long as the server likes.
        """
        client = self.client()
        try:
            await client.run(_QUESTION, [(1, self.prefix + b"{probe}")])
        finally:
            await client.aclose()

    async def aclose(self) -> None:
        """Close the connections of the event loop that runs, but those of clients."""
        async with AsyncExitStack() as stack:
            for mine in (self._lines.pop(), self._news.pop()):
                if mine is not None:
                    stack.push_async_callback(mine.aclose)

    def _new_news(self) -> News:
        return News(self.client(), name=str(self), timeout_seconds=self.connect_timeout_seconds)

    def _new_line(self) -> Line:
        return Line(
            self.client(),
            timeout_seconds=self.timeout_seconds,
            connect_timeout_seconds=self.connect_timeout_seconds,
        )


_by_url: Final[WeakValueDictionary[str, Server]] = WeakValueDictionary()


def server_at(url: str) -> Server:
    """Return the server of a URL with the usual settings: one for all that name it, and so one connection.

    Args:
        url: a URL that `check_url` has found sound.
    """
    server = _by_url.get(url)
    if server is None:
        server = _by_url[url] = Server(url, timeout_seconds=0.1, connect_timeout_seconds=1.0, namespace="asgi-guard")
    return server
