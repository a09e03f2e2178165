"""A stranger's application and suite, in a folder and processes of their own: what they get is all that we promise."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOADED = [] if entry_points(group="pytest11", name="asgi_guard") else ["-p", "asgi_guard.testing.plugin"]
PROCESSES = ["-n2"] if find_spec("xdist") else []  # the suite is also run where nothing is but what a stranger installs
IN_ANY_ORDER = ["-p", "no:cacheprovider", "-p", "no:cov", "-q", "-W", "error"]

SHOP = """
from collections.abc import AsyncIterator

from fastapi import Depends, FastAPI, HTTPException, WebSocket
from fastapi.security import HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


sessions = async_sessionmaker(create_async_engine("sqlite+aiosqlite:////nowhere/at/all.db"))


async def session() -> AsyncIterator[AsyncSession]:
    async with sessions() as one:
        yield one


app = FastAPI()


@app.put("/items/{number}")
async def put(number: int, db: AsyncSession = Depends(session)):
    db.add(Item(id=number, name="tea"))
    await db.commit()
    return {"id": number}


@app.get("/me")
async def me(told=Depends(HTTPBearer())):
    if told.credentials != "good-token":
        raise HTTPException(401)
    return {}


@app.websocket("/echo")
async def echo(socket: WebSocket):
    await socket.accept()
    await socket.send_text(await socket.receive_text())
    await socket.close()
"""

SUITE = """
import urllib.error
import urllib.request

import pytest
from shop import Item, app, session, sessions
from sqlalchemy import func, select

from asgi_guard import Guard, RequestAllowed
from asgi_guard.testing import assert_requires_authentication, bearer, fail, ok


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.integration
@pytest.mark.anyio
@pytest.mark.parametrize("time", ["once", "again"])
async def test_the_same_key_is_free_each_time(guard_client, db_join, db_session, time):
    db_join(sessions)
    async with guard_client(app) as client:
        assert (await client.put("/items/1")).status == 200
    assert await db_session.scalar(select(func.count()).select_from(Item)) == 1


@pytest.mark.anyio
@pytest.mark.parametrize("time", ["once", "again"])
async def test_so_it_is_where_a_dependency_is_overridden(guard_client, db_session, time):
    app.dependency_overrides[session] = lambda: db_session
    try:
        assert (await guard_client(app).put("/items/1")).status == 200
    finally:
        app.dependency_overrides.clear()


@pytest.mark.anyio
async def test_what_is_rolled_back_in_the_test_takes_no_more_with_it(db_session):
    db_session.add(Item(id=1, name="kept"))
    await db_session.commit()
    db_session.add(Item(id=2, name="not kept"))
    await db_session.flush()
    await db_session.rollback()
    assert (await db_session.scalars(select(Item.name))).all() == ["kept"]


@pytest.mark.anyio
async def test_a_websocket(guard_client):
    async with guard_client(app).websocket("/echo") as socket:
        socket.send("tea")
        assert await socket.receive() == "tea"


@pytest.mark.security
@pytest.mark.anyio
async def test_authentication(guard_client):
    report = await assert_requires_authentication(guard_client(app), "GET", "/me", good=bearer("good-token"))
    assert report.statuses["missing"] == 401


@pytest.mark.anyio
async def test_data(generate, db_session):
    rows = await generate.put(db_session, Item, 3)
    assert [row.id for row in rows] == [1, 2, 3]


@pytest.mark.anyio
async def test_the_guard_tells(guard_client, guard_events):
    await guard_client(Guard(app, listeners=[guard_events])).get("/me")
    assert guard_events.of(RequestAllowed)


@pytest.mark.unit
def test_the_rest(guard_clock, valkey, valkey_url, services, as_user, generate):
    guard_clock.advance(1)
    assert valkey.url == valkey_url and valkey.command("DBSIZE") == b":0"
    valkey.command("SET", "left", "over")
    upstream = services.http()
    upstream.script(ok("well"))
    assert urllib.request.urlopen(upstream.url).read() == b"well"
    assert as_user("ada", key="secret")["Authorization"].startswith("Bearer ey")
    assert generate(Item).name


def test_valkey_is_empty_again(valkey):
    assert valkey.command("DBSIZE") == b":0"
"""

SETTINGS = """
[pytest]
asgi_guard_db_metadata = shop:Base.metadata
addopts = --strict-markers
pythonpath = .
"""


def run(folder: Path, suite: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a suite as its owner would."""
    for name, text in {"shop.py": SHOP, "test_shop.py": suite, "pytest.ini": SETTINGS}.items():
        (folder / name).write_text(textwrap.dedent(text), encoding="utf-8")
    path = {} if "WHEEL_UNDER_TEST" in os.environ else {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", *LOADED, *IN_ANY_ORDER, *options]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **path}, capture_output=True, text=True, timeout=50, check=False
    )


def test_every_fixture_serves_a_strangers_suite(tmp_path: Path) -> None:
    """In two processes and an order of chance, with tests that would clash if one left anything to the next."""
    done = run(tmp_path, SUITE, *PROCESSES, "--guard-report=reports")
    report = (tmp_path / "reports/report.html").read_text(encoding="utf-8")

    assert re.search(r"^11 passed in", done.stdout, re.MULTILINE), done.stdout
    assert "<h1>11 tests: 11 passed</h1>" in report
    assert "<tr><td>security</td><td class=n>0</td><td class=n>0</td><td class=n>1</td>" in report


def test_a_failure_tells_its_seed_and_the_report_is_safe(tmp_path: Path) -> None:
    """The seed makes the same data again, and what a test says is text."""
    suite = "def test_it(generate):\n    assert generate.email() == '<script>'\n"
    first, again = (
        run(tmp_path, suite, "--guard-report=reports"),
        run(tmp_path, suite, "--guard-seed=test_shop.py::test_it"),
    )
    (made,) = set(re.findall(r"[a-z]+\.[a-z]+\.1@example\.com", first.stdout))
    report = (tmp_path / "reports/report.html").read_text(encoding="utf-8")

    assert first.returncode == again.returncode == 1
    assert "--guard-seed=test_shop.py::test_it" in first.stdout
    assert made in again.stdout
    assert "<script" not in report
    assert "&lt;script&gt;" in report


def test_it_loads_nothing_before_it_is_asked() -> None:
    """Coverage begins later than a plugin, and whoever uses nothing of it waits for nothing."""
    program = (
        "import pytest, sys, asgi_guard.testing.plugin; print(*[m for m in sys.modules if m.startswith('asgi_guard')])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)

    assert done.stdout.split() == ["asgi_guard", "asgi_guard.testing", "asgi_guard.testing.plugin"]
