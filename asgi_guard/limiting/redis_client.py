"""The connection to Redis: what a URL says, and one call after the other over redis-py.

A `Caller` belongs to one event loop. It connects at its first call, and again at the first one after a failure: it
neither retries nor waits, since whoever calls has a time limit and something else to go by.
Must never show a password: a URL is shown without its secrets, also in errors.

| id    | rule that was broken                                            |
|-------|-----------------------------------------------------------------|
| AG430 | a URL of Redis has one of the schemes, and can be read          |
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from asgi_guard.errors.exceptions import MissingExtraError
from asgi_guard.limiting.redis_batch import SCRIPT, SCRIPT_SHA
from asgi_guard.settings import Problems

if TYPE_CHECKING:
    from redis.asyncio.connection import Connection

SCHEMES: Final = ("redis", "rediss", "valkey", "valkeys", "unix")
"""What a URL of a store may begin with; `rediss` and `valkeys` speak TLS."""

_NAMES: Final = {"valkey": "redis", "valkeys": "rediss"}
_IDLE_SECONDS: Final = 1.0  # a connection that was idle for longer may have been closed by the other side


class Caller(Protocol):
    """Calls the script, one call at a time."""

    async def call(self, arguments: tuple[bytes | str | int, ...]) -> bytes:
        """Run the script.

        Raises:
            Exception: whatever redis-py raises where that fails.
        """
        ...

    async def aclose(self) -> None:
        """Close the connection; a later call opens it again."""
        ...


class SingleCaller:
    """One connection to one server.

    Args:
        url: a URL that `check_url` has found sound.
        connect_timeout_seconds: bounds connecting.
    """

    def __init__(self, url: str, connect_timeout_seconds: float) -> None:
        self._url = _plain(url)
        self._connect_timeout_seconds = connect_timeout_seconds
        self._connection: Connection | None = None
        self._used_at = 0.0

    async def call(self, arguments: tuple[bytes | str | int, ...]) -> bytes:
        from redis.exceptions import NoScriptError, ResponseError

        connection = await self._ready()
        is_whole = False
        try:
            try:
                answer = await _round_trip(connection, "EVALSHA", SCRIPT_SHA, *arguments)
            except NoScriptError:  # a server that was restarted, or flushed
                answer = await _round_trip(connection, "EVAL", SCRIPT, *arguments)
            is_whole = True
        except ResponseError as error:
            # A server that became a replica stays one: the next connection may lead to its master.
            is_whole = not str(error).startswith("READONLY")
            raise
        finally:
            self._used_at = monotonic()
            if not is_whole:  # an answer that nobody read would be taken for the next one's
                await self.aclose()
        return answer

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def _ready(self) -> Connection:
        connection = self._connection
        if connection is not None:
            if monotonic() - self._used_at < _IDLE_SECONDS or not await _has_ended(connection):
                return connection
            await self.aclose()
        connection = self._make()
        try:
            await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._connection = connection
        return connection

    def _make(self) -> Connection:
        from redis.asyncio import ConnectionPool
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        pool: Any = ConnectionPool.from_url(
            self._url,
            protocol=2,
            driver_info=None,  # a round trip of its own, for a name in CLIENT LIST
            retry=Retry(NoBackoff(), 0),
            socket_timeout=None,
            socket_connect_timeout=self._connect_timeout_seconds,
        )
        connection: Connection = pool.make_connection()
        return connection


async def _round_trip(connection: Connection, *arguments: bytes | str | int) -> bytes:
    await connection.send_command(*arguments, check_health=False)
    answer: bytes = await connection.read_response(disable_decoding=True)
    return answer


async def _has_ended(connection: Connection) -> bool:
    """Tell whether the other side has closed a connection, or has said what nobody asked for."""
    from redis.exceptions import RedisError

    try:
        return bool(await connection.can_read())
    except (RedisError, OSError):
        return True


def check_url(problems: Problems, field: str, url: object) -> bool:
    """Check a URL, and never show it."""
    if not isinstance(url, str):
        return problems.text(field, url)
    try:
        parts = urlsplit(url)
        is_sound = parts.scheme in SCHEMES and bool(parts.path if parts.scheme == "unix" else parts.hostname)
        _ = parts.port
    except ValueError:
        is_sound = False
    if is_sound:
        return True
    remedy = "Write it like 'redis://127.0.0.1:6379/0'; percent-encode what is special in a password."
    return problems.add("AG430", field, url, f"must be a URL that begins with {', '.join(SCHEMES)}", remedy)


def shown_url(url: str) -> str:
    """Return a URL without what may be a secret: the user, the password and the query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def need_redis(feature: str) -> None:
    """Import redis-py.

    Raises:
        MissingExtraError: with the command that installs it.
    """
    try:
        import redis.asyncio  # noqa: F401  now, and not in the middle of the first request
    except ImportError:
        raise MissingExtraError(feature, "redis") from None


def _plain(url: str) -> str:
    """Write a URL with the scheme that redis-py knows."""
    scheme, separator, rest = url.partition("://")
    return f"{_NAMES.get(scheme, scheme)}{separator}{rest}"
