"""The connection to Redis: scripts, keys, arguments and bytes, over redis-py.

A `Client` belongs to one event loop, and serves one caller at a time. It connects at its first call, and again at the
first one after a failure: it neither retries nor waits, since whoever calls has a time limit and something else to go
by. Must never know what a script is for.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from random import sample
from time import monotonic
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import urlsplit

from asgi_guard.redis.urls import CLUSTER_SCHEMES, SENTINEL_SCHEMES, plain_url

Arguments: TypeAlias = tuple[bytes | str | int, ...]
"""What follows a script's name: the number of keys, the keys, and the rest."""

_IDLE_SECONDS: Final = 1.0  # a connection that was idle for longer may have been closed by the other side


class Script:
    """A script for the server.

    Args:
        source: Lua.

    Attributes:
        source: the same.
        sha: its name on a server that has it.
    """

    __slots__ = ("sha", "source")

    def __init__(self, source: bytes) -> None:
        self.source: bytes = source
        self.sha: str = sha1(source, usedforsecurity=False).hexdigest()


class Client(Protocol):
    """Runs scripts where a URL leads to.

    Attributes:
        is_cluster: keys are in several places.
    """

    is_cluster: bool

    async def run(self, script: Script, calls: Sequence[Arguments]) -> list[bytes]:
        """Run a script, once for each call, and return the answers in their order.

        Args:
            script: the script.
            calls: the arguments; the keys of one call share a slot.

        Raises:
            Exception: whatever redis-py raises where that fails.
        """
        ...

    def slot_of(self, key: bytes) -> int:
        """Return the slot of a key: what one call may touch; the same for all keys where there is one server."""
        ...

    async def connect(self) -> Any:
        """Open a connection of redis-py to a server that hears what is published; the caller closes it.

        Raises:
            Exception: whatever redis-py raises where that fails.
        """
        ...

    async def aclose(self) -> None:
        """Close the connection; a later call opens it again."""
        ...


def client_at(url: str, connect_timeout_seconds: float) -> Client:
    """Return what runs scripts where a URL leads to.

    Args:
        url: a URL that `check_url` has found sound.
        connect_timeout_seconds: bounds connecting.
    """
    scheme = url.partition("://")[0]
    return (ClusterClient if scheme in CLUSTER_SCHEMES else SingleClient)(url, connect_timeout_seconds)


class SingleClient:
    """One connection: to one server, or to the master that sentinels name; see `client_at`."""

    is_cluster: bool = False

    def __init__(self, url: str, connect_timeout_seconds: float) -> None:
        self._url = url
        self._connect_timeout_seconds = connect_timeout_seconds
        self._pool: Any = None  # of redis-py, which has no types for it; its connections hold no reference to it
        self._connection: Any = None
        self._used_at = 0.0

    async def run(self, script: Script, calls: Sequence[Arguments]) -> list[bytes]:
        return [await self._run(script, arguments) for arguments in calls]

    def slot_of(self, key: bytes) -> int:  # noqa: ARG002  all keys are in one place
        return 0

    async def connect(self) -> Any:
        if self._pool is None:
            self._pool = _pool(self._url, self._connect_timeout_seconds)
        return await _connected(self._pool.make_connection())

    async def aclose(self) -> None:
        await self._drop()
        pool, self._pool = self._pool, None
        if hasattr(pool, "sentinel_manager"):
            for client in pool.sentinel_manager.sentinels:
                await client.aclose()

    async def _run(self, script: Script, arguments: Arguments) -> bytes:
        from redis.exceptions import NoScriptError, ResponseError

        connection = await self._ready()
        is_whole = False
        try:
            try:
                answer = await _round_trip(connection, "EVALSHA", script.sha, *arguments)
            except NoScriptError:  # a server that was restarted, or flushed
                answer = await _round_trip(connection, "EVAL", script.source, *arguments)
            is_whole = True
        except ResponseError:
            is_whole = True
            raise
        finally:
            self._used_at = monotonic()
            if not is_whole:  # an answer that nobody read would be taken for the next one's
                await self._drop()
        return answer

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
        self._connection = connection = await self.connect()
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
    pools: Any = ConnectionPool
    watch: Any = Sentinel
    parts = urlsplit(url)
    if parts.scheme not in SENTINEL_SCHEMES:
        return pools.from_url(plain_url(url), **settings)
    user, _, hosts = parts.netloc.rpartition("@")
    name, _, database = parts.path.strip("/").partition("/")
    own: dict[str, Any] = dict(parse_url(f"redis://{user}{'@' if user else ''}localhost/{database}?{parts.query}"))
    own.pop("host")  # the sentinels know it
    sentinels = [(host.rpartition(":")[0], int(host.rpartition(":")[2])) for host in hosts.split(",")]
    pools = SentinelConnectionPool
    return pools(name, watch(sentinels, sentinel_kwargs=settings), **settings, **own)


class ClusterClient:
    """The masters of a cluster; all calls that go to one master go in one trip. See `client_at`.

    Where one master does not answer, all calls have failed.
    """

    is_cluster: bool = True

    def __init__(self, url: str, connect_timeout_seconds: float) -> None:
        self._url = url
        self._connect_timeout_seconds = connect_timeout_seconds
        self._client: Any = None
        self._known: set[Script] = set()
        self._nodes: list[tuple[str, int]] = []  # the one that the URL names may be the one that is gone

    async def run(self, script: Script, calls: Sequence[Arguments]) -> list[bytes]:
        from redis.exceptions import NoScriptError

        client = await self._ready()
        if script not in self._known:
            await client.script_load(script.source)
            self._known.add(script)
        commands = [("EVALSHA", script.sha, *arguments) for arguments in calls]
        try:
            return await _trip(client, commands)
        except NoScriptError:
            # What other masters have done already is done twice then: scripts have to bear it, and it is rare.
            await client.script_load(script.source)
            return await _trip(client, commands)

    def slot_of(self, key: bytes) -> int:
        from redis.crc import key_slot

        return key_slot(key)

    async def connect(self) -> Any:
        client = await self._ready()
        (node,) = sample(client.get_primaries(), 1)  # any of them: a cluster tells all nodes what is published
        return await _connected(node.connection_class(**node.connection_kwargs))

    async def aclose(self) -> None:
        client, self._client = self._client, None
        self._known.clear()
        if client is not None:
            self._nodes = [(node.host, node.port) for node in client.get_nodes()] or self._nodes
            await client.aclose()
            for nodes in ("nodes_cache", "startup_nodes"):  # redis-py closes nothing of what never began in full
                await client.nodes_manager.aclose(nodes)

    async def _ready(self) -> Any:
        if self._client is None:
            from redis.asyncio import RedisCluster
            from redis.asyncio.cluster import ClusterNode
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff

            clients: Any = RedisCluster
            client = clients.from_url(
                plain_url(self._url),
                startup_nodes=[ClusterNode(host, port) for host, port in self._nodes],
                protocol=2,
                driver_info=None,
                retry=Retry(NoBackoff(), 1),  # a slot that has moved is asked for where it is now
                socket_timeout=None,
                socket_connect_timeout=self._connect_timeout_seconds,
            )
            self._client = client
            await client.initialize()
        return self._client


async def _trip(client: Any, commands: Sequence[Arguments]) -> list[bytes]:
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


async def _connected(connection: Any) -> Any:
    try:
        await connection.connect()
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    return connection


async def _has_ended(connection: Any) -> bool:
    """Tell whether the other side has closed a connection, or has said what nobody asked for."""
    from redis.exceptions import RedisError

    try:
        return bool(await connection.can_read())
    except (RedisError, OSError):
        return True
