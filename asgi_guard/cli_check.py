"""The commands `asgi-guard check` and `asgi-guard explain`: what a configuration is worth, before it serves anybody.

Exit codes of `check`: 0 all is well, 1 the settings cannot work, 2 the file cannot be read. Of `explain`: 0, and 2
where there is nothing to explain, since the settings cannot work.
Must never start what it looks at: the guard that is built stands in front of an application that does nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from typing import Any, Final

from asgi_guard.cli_settings import EXIT_CODES, add_sources, configured
from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.guard import Guard
from asgi_guard.telemetry.otlp_variables import check_exporters

_UNREADABLE: Final = "AG510"


def add_check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    """Add the command that checks."""
    check = commands.add_parser(
        "check",
        help="say whether the settings can work, and what is wrong with them",
        description="Read the settings as a server would, and tell every problem. Exit code 1 if there is one.",
        epilog=EXIT_CODES,
    )
    add_sources(check)
    check.add_argument("--json", action="store_true", help="tell it to a program")
    check.set_defaults(handler=run_check, parser=check)


def add_explain(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    """Add the command that explains."""
    explain = commands.add_parser(
        "explain",
        help="print each layer in order, its settings and what it refuses",
        description="Print each layer, outermost first; told nothing, those of a guard that is told nothing.",
        epilog=EXIT_CODES,
    )
    add_sources(explain)
    explain.add_argument("--all", action="store_true", help="tell also the settings that are as by default")
    explain.set_defaults(handler=run_explain)


def run_check(options: argparse.Namespace) -> int:
    """Tell what is wrong, or that nothing is."""
    if options.config is None and not options.env:
        options.parser.error("nothing to check: give --config FILE, --env or both")
    try:
        guard, error = configured(options), None
        _check_exporters(guard)
    except ConfigError as found:
        guard, error = None, found
    if options.json:
        problems = [] if error is None else [asdict(problem) for problem in error.problems]
        print(json.dumps({"ok": error is None, "problems": problems}, indent=2))
    elif guard is None:
        print(error)
    else:
        print(f"All is well. On: {', '.join(layer.name for layer in guard.layers) or 'nothing'}.")
    if error is None:
        return 0
    return 2 if any(problem.id == _UNREADABLE for problem in error.problems) else 1


def _check_exporters(guard: Guard) -> None:
    """Ask what the server would: the OTEL_ variables are read where it serves, whatever else is read here.

    Raises:
        ConfigError: a variable has a value that cannot work.
        MissingExtraError: an exporter is not installed.
    """
    telemetry: Any = next((layer.settings for layer in guard.layers if layer.name == "telemetry"), None)
    if getattr(telemetry, "export", None) == "otlp":
        check_exporters(os.environ)


def run_explain(options: argparse.Namespace) -> int:
    """Print the standard stack as it is configured."""
    try:
        print(configured(options).explain(whole=options.all))
    except ConfigError as error:
        print(f"asgi-guard explain: {error}", file=sys.stderr)
        return 2
    return 0
