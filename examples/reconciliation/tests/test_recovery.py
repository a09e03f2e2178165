"""Recovery: the advisor fails and comes back, the database goes and comes back, and nobody waits for either."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from anyio import fail_after, sleep, to_thread
from httpx import ASGITransport
from sqlalchemy import event

from asgi_guard.resilience import State
from asgi_guard.testing import lifespan
from reconciliation.ai import Advisor
from reconciliation.ai_stand_in import StandIn
from reconciliation.settings import PREFIX, Settings
from reconciliation.stage import TOKEN, USERS, Service

pytestmark = pytest.mark.anyio

EXCEPTION = {"reason": "duplicate", "difference": "1.00"}


def advisor(stand_in: StandIn) -> Advisor:
    return Advisor("http://advisor", transport=ASGITransport(stand_in))


async def test_a_short_failure_of_the_advisor_is_not_seen() -> None:
    stand_in = StandIn()
    stand_in.follow([{"status": 503, "calls": 2}])

    assert (await advisor(stand_in).suggest(EXCEPTION)).startswith("It was probably entered twice")
    assert stand_in.calls == 3


@pytest.mark.long
@pytest.mark.parametrize(
    "step",
    [
        {"status": 500, "calls": 100},
        {"latency_seconds": 30, "calls": 100},
        {"suggestion": {"no": "text"}, "calls": 100},
        {"suggestion": "x" * 11_000, "calls": 100},
    ],
    ids=["fails", "is slow", "says nonsense", "says too much"],
)
async def test_an_advisor_that_is_of_no_use_is_done_without(step: dict) -> None:
    stand_in = StandIn()
    stand_in.follow([step])
    with fail_after(10):
        assert await advisor(stand_in).suggest(EXCEPTION) is None


@pytest.mark.long
async def test_an_advisor_that_keeps_failing_is_left_alone_and_asked_again_later() -> None:
    stand_in = StandIn()
    stand_in.follow([{"status": 500, "calls": 5}])
    asked = advisor(stand_in)
    while asked.breaker.state is not State.OPEN:
        assert await asked.suggest(EXCEPTION) is None
    calls = stand_in.calls
    assert [await asked.suggest(EXCEPTION) for _ in range(20)] == [None] * 20
    assert stand_in.calls == calls
    with fail_after(10):
        while await asked.suggest(EXCEPTION) is None:
            await sleep(0.1)

    assert asked.breaker.state is State.CLOSED


async def test_what_it_says_is_cleaned() -> None:
    stand_in = StandIn()
    stand_in.follow([{"suggestion": "Pay\u202e it\r\nnow\x00"}])

    assert await advisor(stand_in).suggest(EXCEPTION) == "Pay it now"


async def test_a_reconciliation_is_done_without_the_advisor(service: Service) -> None:
    service.stand_in.follow([{"status": 500, "calls": 1_000}])
    found = await service.until_done((await service.upload()).json()["id"])
    (exception,) = (await service.ask("GET", f"/reconciliations/{found['id']}/exceptions")).json()["exceptions"]

    assert (exception["reason"], exception["suggestion"]) == ("amount_differs", None)


async def test_connections_from_before_an_outage_are_replaced_and_none_is_left_behind(service: Service) -> None:
    database = service.state.database
    made: list[object] = []
    event.listen(database.engine.sync_engine, "connect", lambda connection, _: made.append(connection))
    await service.ask("GET", "/reconciliations")
    before = database.engine.pool.checkedin()
    await database.forget_connections()
    answers = [(await service.ask("GET", "/reconciliations")).status for _ in range(3)]

    assert before >= 1
    assert made
    assert answers == [200] * 3


@pytest.mark.long
@pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="locks a file; tests/reference cuts PostgreSQL off")
async def test_a_locked_database_is_said_and_overcome(tmp_path: Path) -> None:
    environ = {f"{PREFIX}USERS": ",".join(kept for _, kept in USERS.values()), f"{PREFIX}FOLDER": str(tmp_path)}
    service = Service(Settings.from_env(environ | {f"{PREFIX}TOKEN": TOKEN}), StandIn())
    async with lifespan(service.app, timeout_seconds=20):
        assert (await service.upload()).status == 202
        locks = await to_thread.run_sync(_lock, tmp_path / "reconciliation.db")
        try:
            answers = [await service.upload(window_days=str(number)) for number in range(2)]
            health = await service.ask("GET", "/health", None)
        finally:
            await to_thread.run_sync(locks.close)
        with fail_after(30):
            while (after := await service.upload(window_days="0")).status == 503:
                assert after.headers.get("retry-after")
                await sleep(0.1)
            await service.until_done(after.json()["id"])
            while (await service.ask("GET", "/health", None)).status != 200:
                await sleep(0.1)

    assert {answer.status for answer in answers} == {503}
    assert health.status == 503


def _lock(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    connection.execute("BEGIN EXCLUSIVE")
    return connection
