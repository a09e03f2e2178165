"""A link to a server: it goes where it was checked to go, and carries nothing from one request to the next."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from asgi_guard.testing import attack_application, run_load
from asgi_guard.testing.link import Link

pytestmark = pytest.mark.anyio

ANSWER = b"HTTP/1.1 302 Found\r\nlocation: http://192.0.2.1/\r\nset-cookie: a=b\r\ncontent-length: 10\r\n\r\n0123456789"


@asynccontextmanager
async def server(heard: list[bytes]) -> AsyncGenerator[int]:
    """Answer everybody the same, and note what they have sent."""

    async def answer(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            buffered = BufferedByteReceiveStream(stream)
            while True:
                try:
                    heard.append(await buffered.receive_until(b"\r\n\r\n", 65_536))
                except (anyio.IncompleteRead, anyio.EndOfStream, anyio.BrokenResourceError):
                    return
                await stream.send(ANSWER)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, answer)
        yield listener.extra(anyio.abc.SocketAttribute.local_port)
        tasks.cancel_scope.cancel()
    await listener.aclose()


async def test_a_request_stands_alone_and_no_redirect_is_followed() -> None:
    """The name is told, the address is connected to; no cookie comes back, and of the body as much as was asked for."""
    heard: list[bytes] = []
    async with server(heard) as port:
        name = f"http://shop.example:{port}"
        link = Link("To ask", name, f"http://127.0.0.1:{port}", 5)
        await link.open()
        told = [await link.ask("GET", "/a?b=1", {"x-a": "1"}, b"", kept_bytes=4) for _ in range(2)]
        await link.close()

    assert [(answer.status_code, kept) for answer, kept in told] == [(302, b"0123")] * 2
    assert len(heard) == 2
    for request in heard:
        head = request.lower()
        assert head.startswith(b"get /a?b=1 http/1.1")
        assert b"host: shop.example:%d" % port in head
        assert b"cookie" not in head


async def free_port() -> int:
    """Return a port that nobody listens on any more."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0) as listener:
        port: int = listener.extra(anyio.abc.SocketAttribute.local_port)
        return port


async def test_where_nobody_listens_nothing_is_tried() -> None:
    """Which is no load that was borne, and no attack that found nothing."""
    url = f"http://127.0.0.1:{await free_port()}"
    with pytest.raises(ConnectionError, match="nobody listens at"):
        await run_load(url, requests=1)
    with pytest.raises(ConnectionError, match="nobody listens at"):
        await attack_application(url, routes=[("GET", "/", {"q": "query"})])
