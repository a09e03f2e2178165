"""The commands `asgi-guard check` and `asgi-guard explain`: what a configuration is worth, before it serves anybody.

Exit codes: 0 all is well, 1 the settings cannot work, 2 the command could not run.
Must never start what it looks at: the guard that is built stands in front of an application that does nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.guard import Guard


def add_check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    """Add the command that checks."""
    check = commands.add_parser(
        "check",
        help="say whether the settings can work, and what is wrong with them",
        description="Read the settings as a server would, and tell every problem. Exit code 1 if there is one.",
    )
    _add_sources(check)
    check.add_argument("--json", action="store_true", help="tell it to a program")
    check.set_defaults(handler=run_check, parser=check)


def add_explain(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    """Add the command that explains."""
    explain = commands.add_parser(
        "explain",
        help="print each layer in order, its settings and what it refuses",
        description="Print each layer, outermost first; told nothing, those of a guard that is told nothing.",
    )
    _add_sources(explain)
    explain.set_defaults(handler=run_explain)


def run_check(options: argparse.Namespace) -> int:
    """Tell what is wrong, or that nothing is."""
    if options.config is None and not options.env:
        options.parser.error("nothing to check: give --config FILE, --env or both")
    try:
        guard, error = _guard(options), None
    except ConfigError as found:
        guard, error = None, found
    if options.json:
        problems = [] if error is None else [asdict(problem) for problem in error.problems]
        print(json.dumps({"ok": error is None, "problems": problems}, indent=2))
    elif guard is None:
        print(error)
    else:
        print(f"All is well. On: {', '.join(layer.name for layer in guard.layers) or 'nothing'}.")
    return 0 if error is None else 1


def run_explain(options: argparse.Namespace) -> int:
    """Print the standard stack as it is configured."""
    try:
        print(_guard(options).explain())
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _add_sources(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", metavar="FILE", help="a TOML file, such as guard.toml")
    command.add_argument("--env", action="store_true", help="the ASGI_GUARD_ variables, which win over the file")


def _guard(options: argparse.Namespace) -> Guard:
    environ: Mapping[str, str] = os.environ if options.env else {}
    if options.config is None:
        return Guard.from_env(_nothing, environ)
    return Guard.from_toml(_nothing, options.config, environ)


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    """Stand for the application."""
