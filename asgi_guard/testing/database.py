"""Database: a transaction for each test, rolled back at its end, in which code under test may commit as it likes.

    database = Database("sqlite+aiosqlite:///test.db", Base.metadata)
    async with database.transaction() as transaction:
        async with transaction.session() as session: ...      # its commits release savepoints
        with transaction.joins(application_sessionmaker): ... # so do those of the application's own sessions

Rule 1: nothing that a test does is there for the next: the outer transaction is rolled back, whatever happened.
Rule 2: SQLite is told itself when a transaction begins: its driver would begin too late and commit too early.
Rule 3: SQLAlchemy is imported here alone, and only when it is needed.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from asgi_guard.errors.exceptions import MissingExtraError
from asgi_guard.testing.generate import ROLLED_BACK

if TYPE_CHECKING:
    from sqlalchemy import MetaData
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker

T = TypeVar("T")

_TABLES_LOCK = 4_702_111_234_120_837  # any number that no application is likely to lock


class Database:
    """A database for tests.

    A connection is opened for each transaction and none is kept, so that each test may have an event loop of its own.

    Args:
        url: where it is, with a driver of asyncio: `sqlite+aiosqlite:///file`, `postgresql+asyncpg://...`. A SQLite in
            memory is refused: each connection would have its own.
        metadata: the tables that `create_tables` makes, or a declarative base; None for none.

    Attributes:
        engine: the engine.

    Raises:
        MissingExtraError: SQLAlchemy, or greenlet, or the driver of SQLite is not installed.
        ValueError: the URL is that of a SQLite in memory.
    """

    def __init__(self, url: str, metadata: MetaData | Any = None) -> None:
        try:
            from sqlalchemy import event, make_url
            from sqlalchemy.ext.asyncio import create_async_engine
            from sqlalchemy.pool import NullPool

            self.engine: AsyncEngine = create_async_engine(url, poolclass=NullPool)
        except ImportError as exc:
            raise MissingExtraError("Database", "testing") from exc
        self._metadata: Any = getattr(metadata, "metadata", metadata)
        parsed = make_url(url)
        self._is_sqlite = parsed.get_backend_name() == "sqlite"
        if self._is_sqlite:
            if parsed.database in {None, "", ":memory:"}:
                raise ValueError("a SQLite in memory is another one on each connection: name a file")
            event.listen(self.engine.sync_engine, "connect", _leave_transactions_alone)
            event.listen(self.engine.sync_engine, "begin", _begin)

    async def create_tables(self) -> None:
        """Create the tables that are not there yet; several processes may do so at once."""
        if self._metadata is None:
            return
        from sqlalchemy import text

        async with self.engine.begin() as connection:
            if self.engine.dialect.name == "postgresql":
                await connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _TABLES_LOCK})
            await connection.run_sync(self._metadata.create_all)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Transaction, None]:
        """Open a transaction, and roll it back at the end of the block."""
        async with self.engine.connect() as connection:
            outer = await connection.begin()
            try:
                yield Transaction(connection)
            finally:
                if outer.is_active:
                    await outer.rollback()


class Transaction:
    """A transaction that will be rolled back.

    It has one connection: its sessions take turns. Commit, or close, one before the next one writes.

    Attributes:
        connection: the connection.
        sessions: makes sessions in it.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        from sqlalchemy.ext.asyncio import async_sessionmaker

        self.connection = connection
        self.sessions: async_sessionmaker[AsyncSession] = async_sessionmaker(
            bind=connection, join_transaction_mode="create_savepoint", expire_on_commit=False, info={ROLLED_BACK: True}
        )

    def session(self) -> AsyncSession:
        """Make a session; its commits and rollbacks are of savepoints."""
        return self.sessions()

    @contextmanager
    def joins(self, sessionmaker: async_sessionmaker[Any]) -> Generator[None, None, None]:
        """Let the sessions of an application's own sessionmaker be in this transaction, until the end of the block.

        Args:
            sessionmaker: the one that the application calls, an `async_sessionmaker`.
        """
        before = dict(sessionmaker.kw)
        info = {**before.get("info", {}), ROLLED_BACK: True}
        sessionmaker.kw["info"] = info  # `configure` would add to the one that is there
        sessionmaker.configure(bind=self.connection, join_transaction_mode="create_savepoint")
        try:
            yield
        finally:
            sessionmaker.kw.clear()
            sessionmaker.kw.update(before)


def find_metadata(path: str) -> Any:
    """Import what a setting such as `shop.models:Base.metadata` names; None for an empty one.

    Args:
        path: a module, a colon, and a name with dots.

    Raises:
        ValueError: it has another form, or there is nothing of this name.
    """
    if not path:
        return None
    module, _, names = path.partition(":")
    if not module or not names:
        raise ValueError(f"asgi_guard_db_metadata must be like shop.models:Base.metadata, not {path!r}")
    found: Any = importlib.import_module(module)
    for name in names.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise ValueError(f"asgi_guard_db_metadata: {path!r} has no {name!r}") from None
    return found


def run_apart(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run something on an event loop in a thread of its own, and wait for it; for fixtures that are not async."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(asyncio.run(work()))
        except BaseException as exc:  # noqa: BLE001  raised below, in the thread that asked
            errors.append(exc)

    thread = threading.Thread(target=run, name="asgi-guard-apart")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _leave_transactions_alone(connection: Any, _record: Any) -> None:
    connection.isolation_level = None


def _begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN")
