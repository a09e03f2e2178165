"""What the log says of a Redis that is away, or that refuses us: once, with what to mend, and no secret."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager

import pytest
from redis_harms import back_in_redis

from asgi_guard.limiting import parse_rate
from asgi_guard.limiting.redis import RedisStore

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

RATE = parse_rate("9/hour")


@asynccontextmanager
async def opened(url, **settings):
    """Open a store that waits for as long as it takes, and close it."""
    store = RedisStore(url, **{"timeout_seconds": 5, "connect_timeout_seconds": 5, **settings})
    try:
        yield store
    finally:
        await store.aclose()


def told(caplog) -> list[tuple[str, str]]:
    """Return the level and the text of each record that somebody is to read."""
    return [
        (record.levelname, record.getMessage())
        for record in caplog.records
        if record.name == "asgi_guard" and record.levelno > logging.DEBUG
    ]


async def until_told(caplog, text, bucket) -> None:
    """Ask until the log says it."""
    async with asyncio.timeout(20):
        while text not in caplog.text:
            await bucket.hit("k")
            await asyncio.sleep(0.01)


def set_users(server) -> None:
    """Let some in, each with too few rights or another password."""
    users = {"alice": "~* +@all", "bob": "~* +@all -evalsha", "carl": "~other:* +@all", "dora": "~* +@all"}
    for user, rights in users.items():
        password = "another" if user == "alice" else "hunter2"
        server.command("ACL", "SETUSER", user, "on", f">{password}", *rights.split())
    server.command("CONFIG", "SET", "requirepass", "hunter3")


REFUSED = {
    "a wrong password": ("alice:hunter2@{place}/0", "invalid username-password pair", "Mend the user and the password"),
    "an unknown user": ("nobody:hunter2@{place}/0", "invalid username-password pair", "Mend the user and the password"),
    "no password": ("{place}/0", "Authentication required", "Put the user and the password into the URL"),
    "a right that is missing": ("bob:hunter2@{place}/0", "no permissions", "Give the user the rights"),
    "a key that is not his": ("carl:hunter2@{place}/0", "ermissions to access", "Give the user the rights"),
    "a database that is not there": ("dora:hunter2@{place}/77", "DB index is out of range", "Name a database"),
}


@pytest.mark.parametrize(("where", "text", "remedy"), REFUSED.values(), ids=REFUSED)
async def test_who_is_refused_is_told_why_and_what_to_mend(server, caplog, where, text, remedy) -> None:
    """It is an error, in the server's own words, and said once; requests are served as in an outage."""
    await asyncio.to_thread(set_users, server)

    async with opened("redis://" + where.format(place=f"127.0.0.1:{server.port}")) as store:
        bucket = store.bucket("x", RATE)
        decisions = [await bucket.hit("k") for _ in range(3)]

    assert all(decision.degraded for decision in decisions)
    ((level, message),) = told(caplog)
    assert level == "ERROR"
    assert text in message
    assert remedy in message
    assert message.endswith("Until then this process counts for itself")
    assert "does not answer" not in message
    assert "hunter" not in caplog.text


MODES = {
    "local": ["this process counts for itself"],
    "open": ["everything is admitted"],
    "closed": ["everything is refused with 503"],
}


@pytest.mark.parametrize(("on_failure", "does"), MODES.items(), ids=MODES)
async def test_it_is_said_what_is_done_meanwhile(caplog, on_failure, does) -> None:
    """Who refuses everything does not say that counting goes on."""
    async with opened("redis://127.0.0.1:1", on_failure=on_failure) as store:
        await store.bucket("x", RATE).hit("k")
    says = f"RedisStore('redis://127.0.0.1:1') does not answer (ConnectionError); until it does, {does[0]}"
    assert told(caplog) == [("WARNING", says)]


async def test_of_policies_that_differ_each_is_named(caplog) -> None:
    """The store has one circuit for all of them."""
    async with opened("redis://127.0.0.1:1", namespace="shop") as store:
        for on_failure in ("closed", "open"):
            bucket = store.bucket("x", RATE, on_failure=on_failure)
        await bucket.hit("k")
    ((_, message),) = told(caplog)
    assert message.startswith("RedisStore('redis://127.0.0.1:1', namespace='shop') does not answer")
    assert message.endswith("everything is admitted or everything is refused with 503, as each policy says")


@pytest.mark.long
async def test_an_outage_is_told_when_it_begins_and_when_it_ends(server, caplog) -> None:
    """However often somebody looks whether Redis is back; those attempts are for who debugs."""
    caplog.set_level(logging.DEBUG, "asgi_guard")
    async with opened(server.url) as store:
        bucket = store.bucket("x", RATE)
        await bucket.hit("k")
        await asyncio.to_thread(server.kill)
        await until_told(caplog, "is still away", bucket)
        await asyncio.to_thread(server.start)
        await back_in_redis(bucket)
    (went, gone), (came, back) = told(caplog)
    assert (went, came) == ("WARNING", "WARNING")
    assert "does not answer" in gone
    assert back == f"RedisStore('{server.url}') answers again"


@pytest.mark.long
async def test_an_outage_that_becomes_a_refusal_is_told_as_one(server, caplog) -> None:
    """A server that comes back with another password."""
    async with opened(server.url) as store:
        bucket = store.bucket("x", RATE)
        await bucket.hit("k")
        await asyncio.to_thread(server.kill)
        await bucket.hit("k")
        await asyncio.to_thread(server.start, "--requirepass", "hunter2", until=lambda answer: "NOAUTH" in answer)
        await until_told(caplog, "Authentication required", bucket)
    assert [level for level, _ in told(caplog)] == ["WARNING", "ERROR"]
