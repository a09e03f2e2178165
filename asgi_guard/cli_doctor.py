"""The command `asgi-guard doctor`: what an application and its server cannot protect from, and the fix for each.

Exit codes: 0 nothing as grave as `--fail-on` was found, 1 something was, 2 the application could not be examined.
Must never serve: the application is called in this process, and nothing is sent over a network but a question to the
stores that it counts in. Must never let the application's prints in between its report: a program may read that.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Final

from asgi_guard.cli_settings import EXIT_CODES
from asgi_guard.doctor.ask import StartupError
from asgi_guard.doctor.doctor import examine
from asgi_guard.doctor.examination import Options
from asgi_guard.doctor.finding import SEVERITIES, at_least
from asgi_guard.doctor.report import as_mapping, written
from asgi_guard.doctor.servers import CannotServeError, Chosen, chosen
from asgi_guard.engine.types import ASGIApp
from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.guard import Guard
from asgi_guard.serve.application import find, told
from asgi_guard.serve.guarded import CONFIG, MAX_WORKERS, settings
from asgi_guard.serve.servers import SERVERS

_WORKERS: Final = ("WEB_CONCURRENCY", "ASGI_GUARD_WORKERS")


def add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    """Add the command that examines."""
    doctor = commands.add_parser(
        "doctor",
        help="say what an application and its server cannot protect from, and the fix for each",
        description="Call an application in process, and look for what is missing. Exit code 1 if something is.",
        epilog=EXIT_CODES,
    )
    doctor.add_argument("app", metavar="MODULE:APP", help="the application, such as shop:app or shop:create_app()")
    doctor.add_argument("--config", type=Path, metavar="FILE", help="put it behind a guard with these settings, as run")
    doctor.add_argument("--env", action="store_true", help="the same with the ASGI_GUARD_ variables")
    doctor.add_argument("--server", choices=SERVERS, help="who serves it; by default asgi-guard run")
    doctor.add_argument(
        "--server-options", type=shlex.split, default=[], metavar="'...'", help="the options that the server is given"
    )
    doctor.add_argument("--workers", type=int, metavar="N", help="how many (default: WEB_CONCURRENCY, or 1)")
    doctor.add_argument(
        "--behind-proxy", action="store_true", help="a proxy in front speaks TLS, and reads heads first"
    )
    doctor.add_argument("--host", help="the host that it answers for (default: of its settings, or example.com)")
    doctor.add_argument("--path", default="/", help="the page to look at (default: %(default)s)")
    doctor.add_argument("--error-path", metavar="PATH", help="a path at which the application fails")
    doctor.add_argument("--app-dir", type=Path, default=Path(), metavar="DIR", help="where the module is")
    doctor.add_argument(
        "--fail-on",
        choices=SEVERITIES,
        default="warning",
        help="from when on the exit code is 1 (default: %(default)s)",
    )
    doctor.add_argument("--json", action="store_true", help="tell it to a program")
    doctor.set_defaults(handler=run_doctor, parser=doctor)


def run_doctor(options: argparse.Namespace) -> int:
    """Examine the application, and say what was found.

    Raises:
        MissingExtraError: a part of the guard needs what is not installed.
    """
    for path in (options.path, options.error_path):
        if path is not None and not path.startswith("/"):
            options.parser.error(f"a path begins with a slash: {path!r}")
    workers = _workers(options)
    try:
        server = _server(options, workers)
        known = Options(
            host=options.host,
            path=options.path,
            error_path=options.error_path,
            workers=workers,
            behind_proxy=options.behind_proxy,
            config=options.config,
            server=server,
        )
        with redirect_stdout(sys.stderr):
            report = asyncio.run(examine(_application(options), known))
    except ConfigError as error:
        return _refuse(told(error))
    except (CannotServeError, StartupError) as error:
        return _refuse(str(error))
    if options.json:
        print(json.dumps(as_mapping(options.app, report), indent=2))
    else:
        print("\n".join(written(options.app, report)))
    return int(at_least(report.findings, options.fail_on))


def _application(options: argparse.Namespace) -> ASGIApp:
    """Return what a server would serve.

    Raises:
        ConfigError: there is no such application, or the settings cannot work.
    """
    found = find(options.app, str(options.app_dir.absolute()))
    if options.config is None and not options.env:
        return found
    environ = dict(os.environ) if options.env else {}
    if options.config is not None:
        environ[CONFIG] = str(options.config.absolute())
    return Guard(found, **settings(environ))


def _server(options: argparse.Namespace, workers: int) -> Chosen:
    return chosen(options.server, options.server_options, workers)


def _workers(options: argparse.Namespace) -> int:
    said = [options.workers, *[os.environ.get(name) for name in _WORKERS]]
    first = str(next((one for one in said if one is not None), 1))
    if first.isascii() and first.isdecimal() and len(first) <= 4 and 1 <= int(first) <= MAX_WORKERS:
        return int(first)
    return int(options.parser.error(f"workers are a number from 1 to {MAX_WORKERS}, not {first!r}"))


def _refuse(text: str) -> int:
    sys.stderr.write(f"asgi-guard doctor: {text}\n")
    return 2
