"""News: what others publish is heard, however the connection came about, and as long as somebody wants it."""

from __future__ import annotations

import asyncio
import time

import pytest

from asgi_guard.redis import news as news_module
from asgi_guard.redis.client import SingleClient
from asgi_guard.redis.news import FOREVER_NS, News

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


class SlowToClose(SingleClient):
    """A client that is told when it may close."""

    def __init__(self, url) -> None:
        super().__init__(url, 5)
        self.is_closing = asyncio.Event()
        self.may_close = asyncio.Event()

    async def aclose(self) -> None:
        self.is_closing.set()
        await self.may_close.wait()
        await super().aclose()


@pytest.mark.long
async def test_who_wants_news_while_the_connection_is_closed_hears_them(server, monkeypatch) -> None:
    """Nobody had wanted them for a minute."""
    monkeypatch.setattr(news_module, "_IDLE_NS", 0)
    client, told = SlowToClose(server.url), asyncio.Queue()
    news = News(client, name="test", timeout_seconds=5)
    topic = news.topic(b"test", told.put_nowait)
    topic.want(time.monotonic_ns() + 50_000_000)
    await client.is_closing.wait()
    while not told.empty():
        told.get_nowait()
    topic.want(FOREVER_NS)
    client.may_close.set()
    async with asyncio.timeout(20):
        assert await told.get() is None
        await asyncio.to_thread(server.command, "PUBLISH", "test", "news")
        assert await told.get() == b"news"
    await news.aclose()
