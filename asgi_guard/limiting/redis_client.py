"""The connection to Redis: what a URL says, and one call after the other over redis-py.

A `Caller` belongs to one event loop. It connects at its first call, and again at the first one after a failure: it
neither retries nor waits, since whoever calls has a time limit and something else to go by.
Must never show a password: a URL is shown without its secrets, also in errors.

| id    | rule that was broken                                            |
|-------|-----------------------------------------------------------------|
| AG430 | a URL of Redis has one of the schemes, and can be read          |
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from time import monotonic
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from asgi_guard.errors.exceptions import MissingExtraError
from asgi_guard.limiting.redis_batch import SCRIPT, SCRIPT_SHA, Ask, read, write
from asgi_guard.limiting.store import Decision
from asgi_guard.settings import Problems

SENTINEL_SCHEMES: Final = ("redis+sentinel", "valkey+sentinel")
"""With these, a URL names sentinels and the name of their master: `redis+sentinel://h1:26379,h2:26379/mymaster/0`."""

CLUSTER_SCHEMES: Final = ("redis+cluster", "rediss+cluster", "valkey+cluster", "valkeys+cluster")
"""With these, a URL names any node of a cluster."""

SCHEMES: Final = ("redis", "rediss", "valkey", "valkeys", "unix", *SENTINEL_SCHEMES, *CLUSTER_SCHEMES)
"""What a URL of a store may begin with; `rediss` and `valkeys` speak TLS."""

_NAMES: Final = {
    "valkey": "redis",
    "valkeys": "rediss",
    "redis+cluster": "redis",
    "rediss+cluster": "rediss",
    "valkey+cluster": "redis",
    "valkeys+cluster": "rediss",
}
_IDLE_SECONDS: Final = 1.0  # a connection that was idle for longer may have been closed by the other side


class Caller(Protocol):
    """Calls the script, for one batch at a time."""

    async def call(self, batch: Sequence[Ask], now_us: int | None) -> list[Decision | None]:
        """Run the script.

        Args:
            batch: 1 to 64 operations.
            now_us: the time, for tests; None for that of the server.

        Returns:
            A decision for each hit, peek and charge, None for what asked for none.

        Raises:
            Exception: whatever redis-py raises where that fails.
        """
        ...

    async def aclose(self) -> None:
        """Close the connection; a later call opens it again."""
        ...


def caller_for(url: str, connect_timeout_seconds: float) -> Caller:
    """Return what calls the script where a URL leads to."""
    scheme = url.partition("://")[0]
    return (ClusterCaller if scheme in CLUSTER_SCHEMES else SingleCaller)(url, connect_timeout_seconds)


class SingleCaller:
    """One connection: to one server, or to the master that sentinels name.

    Args:
        url: a URL that `check_url` has found sound.
        connect_timeout_seconds: bounds connecting.
    """

    def __init__(self, url: str, connect_timeout_seconds: float) -> None:
        self._url = url
        self._connect_timeout_seconds = connect_timeout_seconds
        self._pool: Any = None  # of redis-py, which has no types for it; its connections hold no reference to it
        self._connection: Any = None
        self._used_at = 0.0

    async def call(self, batch: Sequence[Ask], now_us: int | None) -> list[Decision | None]:
        from redis.exceptions import NoScriptError, ResponseError

        arguments = write(batch, now_us)
        connection = await self._ready()
        is_whole = False
        try:
            try:
                answer = await _round_trip(connection, "EVALSHA", SCRIPT_SHA, *arguments)
            except NoScriptError:  # a server that was restarted, or flushed
                answer = await _round_trip(connection, "EVAL", SCRIPT, *arguments)
            is_whole = True
        except ResponseError:
            is_whole = True
            raise
        finally:
            self._used_at = monotonic()
            if not is_whole:  # an answer that nobody read would be taken for the next one's
                await self._drop()
        return read(batch, answer)

    async def aclose(self) -> None:
        await self._drop()
        pool, self._pool = self._pool, None
        if hasattr(pool, "sentinel_manager"):
            for client in pool.sentinel_manager.sentinels:
                await client.aclose()

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def _ready(self) -> Any:
        connection = self._connection
        if connection is not None:
            if monotonic() - self._used_at < _IDLE_SECONDS or not await _has_ended(connection):
                return connection
            await self._drop()
        if self._pool is None:
            self._pool = _pool(self._url, self._connect_timeout_seconds)
        connection = self._pool.make_connection()
        try:
            await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._connection = connection
        return connection


def _pool(url: str, connect_timeout_seconds: float) -> Any:
    """Return what makes connections; none is open yet."""
    from redis.asyncio import ConnectionPool
    from redis.asyncio.connection import parse_url
    from redis.asyncio.retry import Retry
    from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
    from redis.backoff import NoBackoff

    settings: dict[str, Any] = {
        "protocol": 2,
        "driver_info": None,  # a round trip of its own, for a name in CLIENT LIST
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": None,
        "socket_connect_timeout": connect_timeout_seconds,
    }
    scheme, _, rest = url.partition("://")
    pools: Any = ConnectionPool
    watch: Any = Sentinel
    if scheme not in SENTINEL_SCHEMES:
        return pools.from_url(f"{_NAMES.get(scheme, scheme)}://{rest}", **settings)
    parts = urlsplit(url)
    user, _, hosts = parts.netloc.rpartition("@")
    name, _, database = parts.path.strip("/").partition("/")
    own: dict[str, Any] = dict(parse_url(f"redis://{user}{'@' if user else ''}localhost/{database}?{parts.query}"))
    own.pop("host")  # the sentinels know it
    sentinels = [(host.rpartition(":")[0], int(host.rpartition(":")[2])) for host in hosts.split(",")]
    pools = SentinelConnectionPool
    return pools(name, watch(sentinels, sentinel_kwargs=settings), **settings, **own)


class ClusterCaller:
    """The masters of a cluster: a batch is one call for each slot in it, and all that go to one master go in one trip.

    Where one master does not answer, the batch has failed.

    Args:
        url: a URL that `check_url` has found sound, of any node.
        connect_timeout_seconds: bounds connecting to a node.
    """

    def __init__(self, url: str, connect_timeout_seconds: float) -> None:
        self._url = url
        self._connect_timeout_seconds = connect_timeout_seconds
        self._client: Any = None

    async def call(self, batch: Sequence[Ask], now_us: int | None) -> list[Decision | None]:
        from redis.crc import key_slot
        from redis.exceptions import NoScriptError

        client = await self._ready()
        by_slot: dict[int, list[int]] = {}
        for position, ask in enumerate(batch):
            by_slot.setdefault(key_slot(ask.key), []).append(position)
        groups = [[batch[position] for position in positions] for positions in by_slot.values()]
        calls = [write(group, now_us) for group in groups]
        try:
            answers = await _trip(client, [("EVALSHA", SCRIPT_SHA, *arguments) for arguments in calls])
        except NoScriptError:
            # What other masters have counted already is counted twice then: that admits less, and is rare.
            await client.script_load(SCRIPT)
            answers = await _trip(client, [("EVALSHA", SCRIPT_SHA, *arguments) for arguments in calls])
        decisions: list[Decision | None] = [None] * len(batch)
        for positions, group, answer in zip(by_slot.values(), groups, answers, strict=True):
            for position, decision in zip(positions, read(group, answer), strict=True):
                decisions[position] = decision
        return decisions

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _ready(self) -> Any:
        if self._client is None:
            from redis.asyncio import RedisCluster
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff

            clients: Any = RedisCluster
            scheme, _, rest = self._url.partition("://")
            self._client = clients.from_url(
                f"{_NAMES.get(scheme, scheme)}://{rest}",
                protocol=2,
                driver_info=None,
                retry=Retry(NoBackoff(), 1),  # a slot that has moved is asked for where it is now
                socket_timeout=None,
                socket_connect_timeout=self._connect_timeout_seconds,
            )
            await self._client.script_load(SCRIPT)
        return self._client


async def _trip(client: Any, commands: Sequence[tuple[bytes | str | int, ...]]) -> list[bytes]:
    if len(commands) == 1:
        return [await client.execute_command(*commands[0])]
    pipeline = client.pipeline()
    for command in commands:
        pipeline.execute_command(*command)
    answers: list[bytes] = await pipeline.execute()
    return answers


async def _round_trip(connection: Any, *arguments: bytes | str | int) -> bytes:
    await connection.send_command(*arguments, check_health=False)
    answer: bytes = await connection.read_response(disable_decoding=True)
    return answer


async def _has_ended(connection: Any) -> bool:
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
        is_sound = _is_sound(url)
    except ValueError:
        is_sound = False
    if is_sound:
        return True
    remedy = "Write it like 'redis://127.0.0.1:6379/0'; percent-encode what is special in a password."
    return problems.add("AG430", field, url, f"must be a URL that begins with {', '.join(SCHEMES)}", remedy)


def _is_sound(url: str) -> bool:
    """Tell whether a URL says where to connect to.

    Raises:
        ValueError: it cannot be read.
    """
    parts = urlsplit(url)
    if parts.scheme in SENTINEL_SCHEMES:
        hosts = parts.netloc.rpartition("@")[2].split(",")
        return bool(parts.path.strip("/")) and all(urlsplit(f"//{host}").port for host in hosts)
    if parts.scheme == "unix":
        return bool(parts.path)
    return parts.scheme in SCHEMES and bool(parts.hostname) and parts.port != 0


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
        import_module("redis.asyncio")  # now, and not in the middle of the first request
    except ImportError:
        raise MissingExtraError(feature, "redis") from None
