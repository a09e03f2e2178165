"""Database: transactions that are whole or not there, behind a circuit breaker that knows how to recover.

    stored = await database.do(store_upload, owner, files)        # store_upload(session, owner, files)

What is done runs in one transaction, and is tried again where the connection failed, so it has to be such that doing it
twice is doing it once. While the database is away, the circuit is open and nobody waits; then a `Recovery` lets go of
the connections that are dead, and asks for one that is not, before the first call is let through.
Rule 1: what the driver says goes to the log, never to a client: there are hosts and names in it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, Concatenate, ParamSpec, TypeVar

from anyio import CancelScope
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from asgi_guard import DatabaseError, PerformanceTracker, performance_monitor
from asgi_guard.resilience import BreakerPolicy, CircuitBreaker, Recovery, resilient, retry_on_failure
from reconciliation.models import Base

P = ParamSpec("P")
T = TypeVar("T")

_MAKES_TABLES = 4_711  # any number, the same in all processes: one at a time makes the tables


class ServiceDatabaseError(DatabaseError):
    error_code = "DATABASE_UNAVAILABLE"
    message = "The database does not answer."
    retry_after = 1
    logs_traceback = False
    suggestions = ("Send the same request again: what was stored is not stored twice.",)


class Database:
    """The database of one process.

    Args:
        url: of SQLite with aiosqlite, or of PostgreSQL with asyncpg.

    Attributes:
        breaker: its circuit.
    """

    def __init__(self, url: str) -> None:
        self.is_sqlite: bool = url.startswith("sqlite")
        self.engine: AsyncEngine = _sqlite(url) if self.is_sqlite else _postgresql(url)
        self._writes = self.engine.execution_options(begins="IMMEDIATE")
        self._has_tables = False
        self._forgotten_at = 0.0
        event.listen(self.engine.sync_engine, "connect", _note_age)
        event.listen(self.engine.sync_engine, "checkout", self._check_age)
        policy = BreakerPolicy(failure_threshold=3, recovery_timeout=0.5, recovery_growth=2, max_recovery_timeout=4)
        self.breaker: CircuitBreaker = CircuitBreaker(
            "database",
            policy,
            recovery=Recovery("database", reconnect=self.forget_connections, warm_up=self.ping, timeout=3),
        )
        self._guarded = resilient(
            retry=retry_on_failure(max_retries=2, base=0.1, cap=0.5, name="database"), breaker=self.breaker, timeout=20
        )(self._do)

    async def do(
        self, work: Callable[Concatenate[AsyncSession, P], Awaitable[T]], *args: P.args, **given: P.kwargs
    ) -> T:
        """Do something in a transaction that is written at its end, or not at all.

        Raises:
            ServiceDatabaseError: the database does not answer.
            CircuitOpenError: it has not for a while.
        """
        return await self._guarded(self._writes, work, *args, **given)

    async def see(
        self, work: Callable[Concatenate[AsyncSession, P], Awaitable[T]], *args: P.args, **given: P.kwargs
    ) -> T:
        """Read something, which in SQLite waits for nobody who writes.

        Raises:
            ServiceDatabaseError: the database does not answer.
            CircuitOpenError: it has not for a while.
        """
        return await self._guarded(self.engine, work, *args, **given)

    async def _do(self, engine: AsyncEngine, work: Callable[..., Awaitable[T]], *args: Any, **given: Any) -> T:
        try:
            # SQLite works in a thread that nobody can interrupt: it ends by itself, and is waited for.
            with CancelScope(shield=self.is_sqlite):
                if not self._has_tables:
                    await self._make_tables()
                with PerformanceTracker(performance_monitor, "reconciliation.database", {"work": work.__name__}):
                    async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
                        return await work(session, *args, **given)
        except (IntegrityError, ProgrammingError):
            raise  # these are ours
        except (DBAPIError, PoolTimeoutError, OSError) as error:
            raise ServiceDatabaseError from error

    async def ping(self) -> None:
        """Ask for a connection that could write now.

        Raises:
            Exception: there is none.
        """
        with CancelScope(shield=self.is_sqlite):
            async with self._writes.begin() as connection:
                await connection.execute(text("SELECT 1"))

    async def forget_connections(self) -> None:
        """Have each connection that is there replaced when it is wanted next, since it may be dead.

        To dispose of the pool would leave behind those that somebody uses just now.
        """
        self._forgotten_at = monotonic()

    def _check_age(self, _: Any, record: ConnectionPoolEntry, __: Any) -> None:
        if record.info["made_at"] < self._forgotten_at:
            raise DisconnectionError  # to the pool it means: make another one

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()

    async def _make_tables(self) -> None:
        async with self._writes.begin() as connection:
            if not self.is_sqlite:
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({_MAKES_TABLES})"))
            await connection.run_sync(Base.metadata.create_all)
        self._has_tables = True


def _note_age(_: Any, record: ConnectionPoolEntry) -> None:
    record.info["made_at"] = monotonic()


def _postgresql(url: str) -> AsyncEngine:
    arguments = {"timeout": 2, "command_timeout": 10}  # to connect, and for each command, in seconds
    return create_async_engine(url, pool_size=8, max_overflow=4, pool_timeout=5, connect_args=arguments)


def _sqlite(url: str) -> AsyncEngine:
    engine = create_async_engine(url, pool_size=4, max_overflow=0, pool_timeout=5, connect_args={"timeout": 2})

    @event.listens_for(engine.sync_engine, "connect")
    def connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say, as below
        cursor = connection.cursor()
        try:
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):  # answered is on the disk
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()
        except BaseException:
            connection.close()  # nobody else knows of it yet
            raise

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        # A transaction that reads first and then writes fails at once where another one has written in between.
        connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('begins', 'DEFERRED')}")

    return engine
