"""The ways to a server: a Unix socket, a user with few rights, TLS, sentinels."""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import asynccontextmanager

import pytest
import trustme
from redis_servers import wait_until

from asgi_guard.limiting import parse_rate
from asgi_guard.limiting.redis import RedisStore
from asgi_guard.redis.news import FOREVER_NS

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


async def made(url) -> RedisStore:
    """Make a store as an application does, where no event loop waits: it looks whether the files are there."""
    return await asyncio.to_thread(RedisStore, url, timeout_seconds=2, connect_timeout_seconds=5)


async def remaining(url, *, hits=1) -> list[int]:
    """Hit, and say what remained each time; -1 where Redis was not asked."""
    store = await made(url)
    bucket = store.bucket("x", parse_rate("10/minute"))
    try:
        decisions = [await bucket.hit("k") for _ in range(hits)]
    finally:
        await store.aclose()
    return [-1 if decision.degraded else decision.remaining[0] for decision in decisions]


@asynccontextmanager
async def news_of(url):
    """Hear what is published at some place; give what comes, each a message, or None where it begins to hear."""
    told, store = asyncio.Queue(), await made(url)
    store.server.news().topic(b"ways", told.put_nowait).want(FOREVER_NS)
    try:
        assert await told.get() is None
        yield told
    finally:
        await store.aclose()


async def published(server, told) -> None:
    """Publish something as an administrator, and hear it."""
    assert await asyncio.to_thread(server.command, "PUBLISH", "ways", "news") == ":1"
    assert await told.get() == b"news"


async def test_a_unix_socket(make_server, tmp_path) -> None:
    """It is named by its path; news come that way too."""
    path = tmp_path / "s"
    server = await asyncio.to_thread(make_server, "--unixsocket", path)
    assert await remaining(f"unix://{path}?db=1", hits=2) == [9, 8]
    async with news_of(f"unix://{path}?db=1") as told:
        await published(server, told)


RULES = ("on", ">hunter2%", "~asgi-guard:*", "-@all", "+evalsha", "+eval", "+mget", "+set", "+del", "+time")


async def test_a_user_with_the_rights_that_the_script_needs_and_no_others(server) -> None:
    """Its password may hold what has a meaning in URLs; a wrong one is a failure like any other."""
    await asyncio.to_thread(server.command, "ACL", "SETUSER", "guard", *RULES)
    assert await remaining(f"redis://guard:hunter2%25@127.0.0.1:{server.port}", hits=2) == [9, 8]
    assert await remaining(f"redis://guard:wrong@127.0.0.1:{server.port}") == [-1]


@pytest.fixture
def certified(tmp_path):
    """Give what a server with a certificate needs, and the file of the authority that vouches for it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    return context, file


@asynccontextmanager
async def tls(server, context):
    """Terminate TLS in front of a server; give the port."""

    async def pump(reader, writer) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def serve(reader, writer) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(pump(reader, outer), pump(inner, writer))

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()


async def test_tls_with_an_authority_of_ones_own(server, certified) -> None:
    """A certificate that nobody vouches for is a failure like any other."""
    context, authority = certified
    async with tls(server, context) as port:
        assert await remaining(f"rediss://127.0.0.1:{port}?ssl_ca_certs={authority}", hits=2) == [9, 8]
        assert await remaining(f"rediss://127.0.0.1:{port}") == [-1]
        async with news_of(f"rediss://127.0.0.1:{port}?ssl_ca_certs={authority}") as told:
            await published(server, told)


@pytest.mark.long
async def test_sentinels_name_the_master_also_after_a_failover(sentinel_set) -> None:
    """While there is none, this process counts; once there is another, that one does."""
    master, replica, _ = sentinel_set.servers
    store = RedisStore(sentinel_set.url, timeout_seconds=0.5)
    bucket = store.bucket("x", parse_rate("10/minute"))
    assert not (await bucket.hit("k")).degraded
    await asyncio.to_thread(wait_until, lambda: replica.command("DBSIZE") == ":1", "the replica lags")
    await asyncio.to_thread(master.kill)
    since = time.monotonic()
    assert (await bucket.hit("k")).degraded
    while (await bucket.hit("other")).degraded:
        assert time.monotonic() - since < 30
        await asyncio.sleep(0.02)
    assert (await bucket.peek("k")).remaining == (9,)
    assert "role:master" in await asyncio.to_thread(replica.command, "INFO", "replication")
    await store.aclose()


@pytest.mark.long
async def test_news_come_from_the_master_that_sentinels_name_also_after_a_failover(sentinel_set) -> None:
    """Who was heard is gone; so is what it said last, and those who hear are told so."""
    master, replica, _ = sentinel_set.servers
    async with news_of(sentinel_set.url) as told:
        await published(master, told)
        await asyncio.to_thread(master.kill)
        assert await told.get() is None
        await published(replica, told)


@pytest.mark.long
async def test_a_cluster_counts_each_key_where_it_lives(cluster) -> None:
    """A batch goes to all masters at once; a thousand on one key are exact, and each client has its own count."""
    for master in cluster:
        await asyncio.to_thread(master.command, "FLUSHALL")
    store = RedisStore(f"redis+cluster://127.0.0.1:{cluster[0].port}", timeout_seconds=5, connect_timeout_seconds=5)
    bucket = store.bucket("x", parse_rate("5/second;50/hour"))
    assert sum(map(bool, await asyncio.gather(*[bucket.hit("k") for _ in range(1_000)]))) == 5
    decisions = await asyncio.gather(*[bucket.hit(f"client {number}") for number in range(600)])
    assert all(decision and not decision.degraded and decision.remaining == (4, 49) for decision in decisions)
    held = [len(await asyncio.to_thread(master.keys)) for master in cluster]
    assert sum(held) >= 601
    assert min(held) > 100
    for master in cluster:
        await asyncio.to_thread(master.command, "SCRIPT", "FLUSH")
    assert (await bucket.hit("client 0")).remaining == (3, 48)
    await store.aclose()
