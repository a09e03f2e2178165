"""The command `asgi-guard attack`: fire payloads at every place where an application takes input, and say what worked.

Must never attack another machine than this one, unless the very host is named with `--i-may-attack`; always bounded.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from asgi_guard.cli_load import add_app_dir, header, progress_bar, target
from asgi_guard.errors.exceptions import ConfigError

if TYPE_CHECKING:
    from asgi_guard.testing.attack import AttackReport


def add_attack(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    """Add the command."""
    attack = commands.add_parser(
        "attack",
        help="see what attacks do to an application",
        description="Fire payloads at every place where an application takes input; exit with 1 if something worked.",
    )
    attack.add_argument(
        "target", help="module:app, called in this process, or a URL of this machine with /openapi.json"
    )
    attack.add_argument(
        "--routes", type=Path, metavar="FILE", help='JSON: [["POST", "/login", {"user": "form"}], ...], or OpenAPI'
    )
    attack.add_argument("--header", action="append", default=[], metavar="NAME:VALUE", help="of every request")
    attack.add_argument("--max-requests", type=int, default=20_000, metavar="N", help="(default: %(default)s)")
    attack.add_argument("--seconds", type=float, default=120.0, metavar="S", help="at most 600 (default: %(default)s)")
    attack.add_argument("--html", type=Path, metavar="FILE", help="write a page")
    attack.add_argument("--json", action="store_true", help="print the report as JSON")
    add_app_dir(attack)
    attack.add_argument("--i-may-attack", metavar="HOST", help="a host elsewhere that is yours to attack, by its name")
    attack.set_defaults(handler=run)


def run(options: argparse.Namespace) -> int:
    """Attack it."""
    try:
        headers = dict(header(line) for line in options.header)
        with _unlogged():
            report = anyio.run(_attacked, options, headers, _routes(options.routes))
    except (ConfigError, ValueError) as error:
        print(f"asgi-guard: {error}", file=sys.stderr)
        return 2
    print(json.dumps(report.told(), indent=2) if options.json else report.text())
    if options.html is not None:
        options.html.write_text(report.html(), encoding="utf-8")
    if report.holes:
        return 1
    if report.is_blind:
        said = "every route was closed (see --header), or the client was shut out"
        print(f"asgi-guard: too little was seen: {said}", file=sys.stderr)
        return 2
    return 0


@contextmanager
def _unlogged() -> Generator[None]:
    """Keep from standard error what an application logs that has not set logging up: a traceback for each payload."""
    last, logging.lastResort = logging.lastResort, None
    try:
        yield
    finally:
        logging.lastResort = last


async def _attacked(options: argparse.Namespace, headers: dict[str, str], routes: list[Any] | None) -> AttackReport:
    from asgi_guard.testing.attack import attack_application

    is_watched = sys.stderr.isatty()
    report = await attack_application(
        target(options),
        routes=routes,
        headers=headers,
        max_requests=options.max_requests,
        seconds=options.seconds,
        progress=progress_bar() if is_watched else None,
        may_attack=options.i_may_attack,
    )
    if is_watched:
        print(file=sys.stderr)
    return report


def _routes(path: Path | None) -> list[Any] | None:
    """Read the routes of a file.

    Raises:
        ValueError: it is no JSON, or tells no routes.
        OSError: it cannot be read.
    """
    if path is None:
        return None
    from asgi_guard.testing.attack_spots import as_a, of_openapi

    told: Any = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(told, dict):
        found = of_openapi(as_a(dict, told))
        return [(method, template, {name: place for place, name in places}) for method, template, places in found]
    routes = [as_a(list, route) for route in as_a(list, told)]
    if not routes or not all(len(route) in {2, 3} for route in routes):
        raise ValueError(f'{path} tells no routes: write [["GET", "/search", {{"q": "query"}}]]')
    return routes
