"""News: what others publish, heard on one connection for each event loop.

It subscribes at the first need, and again after each failure, with pauses that grow. Nobody waits for it: what it would
have told is found out in another way then, and a `Topic` says whether that is necessary. Subscribing again is its sign
of life: the answer comes after all that was published before, and needs no other right on the server than that.
On a cluster it listens to one node, which hears from the others what is published there.
Must never raise, and never grow without bound: what it hears is handed on at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from math import inf
from random import uniform
from time import monotonic_ns
from typing import Any, Final, TypeAlias, cast

from asgi_guard.redis.client import Client

logger: logging.Logger = logging.getLogger("asgi_guard")

Handler: TypeAlias = Callable[[bytes | None], None]
"""Is told each message; and None when it begins to hear, since there may have been some before."""

STALE_NS: Final = 1_000_000_000
"""What was heard so long ago proves nothing any more."""

FOREVER_NS: Final = 2**63 - 1

_BEAT_SECONDS: Final = 0.25  # while somebody asks; a lost connection is noticed within `STALE_NS`
_CALM_BEAT_SECONDS: Final = 15.0  # while others are only told
_IDLE_NS: Final = 60_000_000_000
_SHORTEST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 5.0


class Topic:
    """What is heard on one channel.

    Attributes:
        handlers: are told what is heard.
        since_ns: from when on all was heard that was published; in the far future while nothing is.
    """

    __slots__ = ("_news", "handlers", "since_ns")

    def __init__(self, news: News) -> None:
        self._news = news
        self.handlers: dict[Handler, None] = {}
        self.since_ns: int = FOREVER_NS

    def covers(self, moment_ns: int, now_ns: int) -> bool:
        """Tell whether all was heard that was published from a moment until a second ago."""
        return self.since_ns <= moment_ns and now_ns - self._news.heard_ns < STALE_NS

    def tell(self, message: bytes | None) -> None:
        """Hand on what was heard."""
        for handler in tuple(self.handlers):
            handler(message)

    def want(self, until_ns: int) -> None:
        """Begin to hear, if it does not yet; `covers` will be asked until some moment.

        Args:
            until_ns: that moment; with `FOREVER_NS` it is heard until it is closed, and `covers` is not asked.
        """
        self._news.want(until_ns)


class News:
    """What one event loop hears of one Redis.

    Args:
        client: opens the connection; closed with this.
        name: of the server, for the log.
        timeout_seconds: how long connecting may take, and an answer.

    Attributes:
        heard_ns: all was heard that was published before.
        is_closed: it has been closed.
    """

    def __init__(self, client: Client, *, name: str, timeout_seconds: float) -> None:
        self._client = client
        self._name = name
        self._timeout = timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._topics: dict[bytes, Topic] = {}
        self._task: asyncio.Task[None] | None = None
        self._asked_until_ns = 0
        self._is_told = False
        self._unanswered = 0
        self._answered = asyncio.Event()
        self._hurry = asyncio.Event()
        self._pause = _SHORTEST_PAUSE
        self.heard_ns: int = 0
        self.is_closed: bool = False

    def topic(self, channel: bytes, handler: Handler) -> Topic:
        """Return the topic of a channel, which begins to be heard once somebody wants it.

        Args:
            channel: its name; there are as many as an application has stores and circuits.
            handler: called in this loop, once however often it is given; must neither raise nor wait.
        """
        topic = self._topics.get(channel)
        if topic is None:
            topic = self._topics[channel] = Topic(self)
            self._hurry.set()
        if handler not in topic.handlers:
            topic.handlers[handler] = None
            if topic.since_ns != FOREVER_NS:
                handler(None)
        return topic

    def want(self, until_ns: int) -> None:
        """Begin to hear; see `Topic.want`."""
        if until_ns == FOREVER_NS:
            self._is_told = True
        elif until_ns > self._asked_until_ns:
            if monotonic_ns() >= self._asked_until_ns:
                self._hurry.set()
            self._asked_until_ns = until_ns
        if self._task is None:
            self._task = self._loop.create_task(self._run(), context=Context())

    async def aclose(self) -> None:
        """Stop."""
        self.is_closed = True
        task, self._task = self._task, None
        try:
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        finally:
            await self._client.aclose()

    async def _run(self) -> None:
        while self._is_wanted():
            try:
                async with asyncio.timeout(self._timeout):
                    connection = await self._client.connect()
                try:
                    await self._hear(connection)
                finally:
                    for topic in self._topics.values():
                        topic.since_ns = FOREVER_NS
                    await connection.disconnect(nowait=True)
            except Exception as error:  # noqa: BLE001  whatever it is, nobody may fail for it
                await self._come_back(error)
            else:
                await self._client.aclose()  # which takes its time: meanwhile, somebody may want it again
        self._task = None

    def _is_wanted(self) -> bool:
        return self._is_told or monotonic_ns() < self._asked_until_ns + _IDLE_NS

    async def _hear(self, connection: Any) -> None:
        """Hand on what comes, until nobody wants it.

        Raises:
            Exception: the connection is of no use any more.
        """
        async with asyncio.TaskGroup() as both:
            reader = both.create_task(self._read(connection))
            while self._is_wanted():
                async with asyncio.timeout(self._timeout):
                    await self._beat(connection)
                self._pause = _SHORTEST_PAUSE
                is_asked = monotonic_ns() < self._asked_until_ns
                with suppress(TimeoutError):
                    async with asyncio.timeout(_BEAT_SECONDS if is_asked else _CALM_BEAT_SECONDS):
                        await self._hurry.wait()
            reader.cancel()

    async def _beat(self, connection: Any) -> None:
        """Subscribe, and wait for the answer."""
        self._hurry.clear()
        self._answered.clear()
        self._unanswered = len(self._topics)
        sent_ns = monotonic_ns()
        await connection.send_command("SUBSCRIBE", *self._topics, check_health=False)
        await self._answered.wait()
        self.heard_ns = sent_ns

    async def _read(self, connection: Any) -> None:
        while True:
            kind, channel, message = await connection.read_response(disable_decoding=True, timeout=inf)
            topic = self._topics[channel]
            if kind == b"message":
                topic.tell(message)
                continue
            if topic.since_ns == FOREVER_NS:
                topic.since_ns = monotonic_ns()
                topic.tell(None)
            self._unanswered -= 1
            if not self._unanswered:
                self._answered.set()

    async def _come_back(self, error: Exception) -> None:
        """Say once that nothing is heard, and wait."""
        if self._pause == _SHORTEST_PAUSE:
            cause: BaseException = error
            while isinstance(cause, BaseExceptionGroup):
                cause = cast("BaseExceptionGroup[BaseException]", cause).exceptions[0]
            # The name alone: the text of an error may have the address, and what is secret in it.
            logger.warning("News of %s is not heard (%s)", self._name, type(cause).__name__)
        await self._client.aclose()  # after a failover, the next connection is to go to another server
        await asyncio.sleep(uniform(self._pause / 2, self._pause))  # noqa: S311  so that not all come back at once
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
