"""The servers that can be run: the command line of each, what it cannot do, and what SIGHUP is to it.

Only the guard decides who the client is, so each server's own reading of forwarding headers is switched off: uvicorn
and gunicorn believe loopback peers unless they are told otherwise; the others believe nobody unless they are asked to.

| server    | workers | lifespan | `Server` header | SIGHUP to one worker | SIGHUP to more                     |
|-----------|---------|----------|-----------------|----------------------|------------------------------------|
| uvicorn   | any     | yes      | off             | reconfigures         | replaced one by one, new one first |
| hypercorn | any     | yes      | off             | reconfigures         | stopped, then started anew         |
| granian   | any     | yes      | its own         | replaced             | replaced one by one, new one first |
| gunicorn  | any     | yes      | its worker's    | replaced             | replaced, new ones first           |
| daphne    | 1       | no       | off             | reconfigures         |                                    |

A process that reconfigures keeps its connections and its counts. A worker that is replaced finishes the requests that
it has; its successor reads the application's code anew, and its counts begin anew unless they live in a shared store.
When a worker dies, uvicorn and gunicorn start another; hypercorn ends, and so does granian, unless it is given
`--respawn-failed-workers`. What workers have measured together stays for as long as the server.
Must never import a server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from types import MappingProxyType, SimpleNamespace
from typing import Final

APPLICATION: Final = "asgi_guard.wrap:app"

HYPERCORN: SimpleNamespace = SimpleNamespace(include_server_header=False)
"""What hypercorn has no option for; it reads this as its configuration."""

_GUNICORN_WORKERS: Final = {
    "uvicorn_worker": "uvicorn_worker.UvicornWorker",
    "uvicorn.workers": "uvicorn.workers.UvicornWorker",  # deprecated, and still what most have
    "gunicorn.workers.gasgi": "asgi",  # gunicorn's own, the youngest
}
"""The workers of gunicorn that speak ASGI, by module, in the order in which they are tried."""


class CannotServeError(Exception):
    """A server cannot do what is asked of it; the message says what to do instead."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to serve.

    Attributes:
        host: the address to listen on.
        port: the port, 0 to 65535.
        workers: how many processes serve, 1 or more.
    """

    host: str
    port: int
    workers: int

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URL (RFC 3986 section 3.2.2)."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Server:
    """One server.

    Attributes:
        options: makes the options of its command; raises CannotServeError.
        package: what brings it, for pip.
        has_master: tells whether the process that is started serves through others, for a number of workers.
        note: what its user has to know; empty where there is nothing.
    """

    options: Callable[[Place], list[str]]
    package: str
    has_master: Callable[[int], bool]
    note: str = ""


def _uvicorn(place: Place) -> list[str]:
    options = ["--host", place.host, "--port", str(place.port), "--workers", str(place.workers)]
    return [*options, "--no-proxy-headers", "--no-server-header"]


def _hypercorn(place: Place) -> list[str]:
    # Without workers it serves in the process that is started, which can be reconfigured while it serves.
    workers = place.workers if place.workers > 1 else 0
    return ["--bind", place.authority, "--workers", str(workers), "--config", f"python:{__name__}.HYPERCORN"]


def _granian(place: Place) -> list[str]:
    options = ["--interface", "asgi", "--host", place.host, "--port", str(place.port)]
    return [*options, "--workers", str(place.workers)]


def _gunicorn(place: Place) -> list[str]:
    worker = next((name for module, name in _GUNICORN_WORKERS.items() if _is_installed(module)), None)
    if worker is None:
        raise CannotServeError("gunicorn needs a worker that speaks ASGI: pip install uvicorn-worker")
    options = ["--bind", place.authority, "--workers", str(place.workers), "--worker-class", worker]
    return [*options, "--forwarded-allow-ips", ""]


def _daphne(place: Place) -> list[str]:
    if place.workers > 1:
        raise CannotServeError("daphne serves from one process: leave --workers out, or choose another --server")
    return ["--bind", place.host, "--port", str(place.port), "--no-server-name"]


SERVERS: Final[Mapping[str, Server]] = MappingProxyType(
    {
        "uvicorn": Server(_uvicorn, "'asgi-guard[server]'", lambda workers: workers > 1),
        "hypercorn": Server(_hypercorn, "hypercorn", lambda workers: workers > 1),
        "granian": Server(_granian, "granian", lambda _: True),
        "gunicorn": Server(_gunicorn, "gunicorn uvicorn-worker", lambda _: True),
        "daphne": Server(
            _daphne,
            "daphne",
            lambda _: False,
            note="daphne has no lifespan: what the application does at startup and shutdown is not done",
        ),
    }
)
"""The servers by name; of those that are installed, the first one serves where none is named."""


def choose(name: str | None) -> str:
    """Return the name of an installed server.

    Args:
        name: the one that is wanted; by default the first that is installed.

    Raises:
        CannotServeError: it is not installed, or none is; the message has the command that installs one.
    """
    for candidate in SERVERS if name is None else [name]:
        if _is_installed(candidate):
            return candidate
    package = SERVERS[name or "uvicorn"].package
    raise CannotServeError(f"{name or 'no server'} is {'not ' if name else ''}installed: pip install {package}")


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its parent is not
        return False
