"""The command `asgi-guard run`: checks everything that can be checked, then becomes the server.

The process turns into the server's own command (`python -m uvicorn asgi_guard.wrap:app ...`), so that signals, logs and
exit codes are the server's. What the guard is told travels in the environment, where every worker finds it.
Must never leave a process between the user and the server.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from errno import EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT
from pathlib import Path
from typing import Any

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.layers.telemetry import Telemetry
from asgi_guard.monitor.process import default_folder, remove_abandoned
from asgi_guard.serve.application import find, told
from asgi_guard.serve.guarded import APP, APP_DIR, CONFIG, MAX_WORKERS, RUN, SHARED_DIR, WORKERS, settings
from asgi_guard.serve.servers import APPLICATION, SERVERS, CannotServeError, Place, choose
from asgi_guard.telemetry.otlp_variables import check_exporters

_PREFIX = "ASGI_GUARD_"
TOKEN = "ASGI_GUARD_TOKEN"  # noqa: S105  the name of a variable
"""The variable that holds the token of the endpoints."""


def add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    """Add the command to those of `asgi-guard`."""
    run = commands.add_parser(
        "run",
        help="serve an application behind the guard, without touching its code",
        description="Serve an application behind the guard. SIGHUP reads the configuration file again.",
    )
    run.add_argument("app", metavar="MODULE:APP", help="the application, such as shop:app or shop:create_app()")
    run.add_argument("--config", type=Path, metavar="FILE", help="a TOML file with the guard's settings")
    run.add_argument("--env", action="store_true", help="take settings from ASGI_GUARD_ variables as well")
    run.add_argument("--server", choices=SERVERS, help="by default the first that is installed, in this order")
    run.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    run.add_argument("--port", type=_number(0, 65_535), default=8000, metavar="N", help="(default: %(default)s)")
    run.add_argument(
        "--workers", type=_number(1, MAX_WORKERS), default=1, metavar="N", help="how many (default: %(default)s)"
    )
    run.add_argument("--app-dir", type=Path, default=Path(), metavar="DIR", help="where the module is (default: here)")
    run.add_argument(
        "--server-options",
        type=shlex.split,
        default=[],
        metavar="'...'",
        help="further options of the server's own, such as --server-options='--log-level warning'",
    )
    run.set_defaults(handler=run_server)


def run_server(options: argparse.Namespace) -> int:
    """Run the command.

    Args:
        options: what `add_run` has read.

    Returns:
        2 where it cannot be served, or the settings are wrong; otherwise the process is the server's from here on.

    Raises:
        MissingExtraError: a part needs what is not installed.
    """
    environ = _environment(options)
    place = Place(options.host, options.port, options.workers)
    try:
        name = choose(options.server)
        server = SERVERS[name]
        arguments = [*server.options(place), *options.server_options, APPLICATION]
        find(options.app, environ[APP_DIR])
        _check_free(place)
    except (CannotServeError, ConfigError) as error:
        return _refuse(told(error))
    try:
        parts = settings(environ)
        if parts["telemetry"] == "otlp" or getattr(parts["telemetry"], "export", None) == "otlp":
            check_exporters(environ)
    except ConfigError as error:
        return _refuse(str(error))
    if place.workers > 1 and _counts_alone(parts["telemetry"]):
        remove_abandoned()
        environ[SHARED_DIR] = str(default_folder(os.getpid()))
    if server.note:
        _say(server.note)
    _say(f"{options.app} behind the guard, served by {name} on http://{place.authority}")
    can_reload = CONFIG in environ and hasattr(signal, "SIGHUP")
    module = ["asgi_guard.serve.master", name] if can_reload and server.has_master(place.workers) else [name]
    return _become([sys.executable, "-m", *module, *arguments], environ)


def _counts_alone(telemetry: Any) -> bool:
    """Tell whether each worker would count by itself, though the system has what it takes to count together."""
    if telemetry is True:
        return os.name == "posix"
    return (
        os.name == "posix"
        and isinstance(telemetry, Telemetry)
        and telemetry.shared_dir is None
        and telemetry.aggregate is None
    )


def _environment(options: argparse.Namespace) -> dict[str, str]:
    """Return the server's environment; settings that nobody asked to take from it are left out."""
    kept = {SHARED_DIR, TOKEN}
    environ = {
        name: value for name, value in os.environ.items() if options.env or name in kept or not name.startswith(_PREFIX)
    }
    environ[APP] = options.app
    environ[RUN] = "1"
    environ[WORKERS] = str(options.workers)
    environ[APP_DIR] = str(options.app_dir.absolute())
    if options.config is not None:
        environ[CONFIG] = str(options.config.absolute())
    return environ


def _check_free(place: Place) -> None:
    """Listen for a moment: a server says less clearly that it cannot, and one of them would share the port."""
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        absent = [error for error in [_listened(*one) for one in found] if error is not None]
        if absent and len(absent) == len(found):
            raise absent[0]
    except UnicodeError:
        raise CannotServeError(f"cannot listen on {place.authority}: that is no host name") from None
    except OSError as error:
        hint = "; stop what listens there, or choose another --port" if error.errno == EADDRINUSE else ""
        raise CannotServeError(f"cannot listen on {place.authority}: {error.strerror}{hint}") from None


def _listened(family: int, kind: int, protocol: int, _name: str, address: Any) -> OSError | None:
    """Listen at one of the addresses of a name; return what the system says where this machine has no such address."""
    try:
        with socket.socket(family, kind, protocol) as probe:
            if os.name == "posix":  # what the last server has left behind is in nobody's way
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno in {EADDRNOTAVAIL, EAFNOSUPPORT}:  # IPv6 that is switched off, mostly
            return error
        raise
    return None


def _become(command: list[str], environ: Mapping[str, str]) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    if sys.platform == "win32":  # has no exec that keeps the console
        return subprocess.call(command, env=environ)  # noqa: S603  what the user has asked for
    return os.execve(command[0], command, environ)  # noqa: S606  no shell is wanted


def _refuse(text: str) -> int:
    _say(text)
    return 2


def _say(text: str) -> None:
    sys.stderr.write(f"asgi-guard: {text}\n")


def _number(minimum: int, maximum: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if text.isdecimal() and minimum <= int(text) <= maximum:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {minimum} to {maximum}")

    return read
