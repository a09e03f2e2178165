"""The command `asgi-guard load`: ask an application for the same again and again, and judge how that went.

Must never load another machine than this one, unless the very host is named with `--i-may-load`; always bounded.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from asgi_guard.errors.exceptions import ConfigError

if TYPE_CHECKING:
    from asgi_guard.testing.load import LoadReport, LoadRule

_BAR = 40


def add_load(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    """Add the command."""
    load = commands.add_parser(
        "load",
        help="see how an application bears many requests",
        description="Ask an application, or a server on this machine, again and again; 1 if a rule is broken.",
    )
    load.add_argument("target", help="module:app, which is called in this process, or a URL of this machine")
    load.add_argument(
        "--path", action="append", metavar="PATH", help="what is asked for: /items or 'POST /orders'; again for more"
    )
    load.add_argument("--requests", type=int, metavar="N", help="end after so many (default: 1000)")
    load.add_argument("--seconds", type=float, metavar="S", help="end after so long, at most 600")
    load.add_argument("--concurrency", type=int, default=10, metavar="N", help="so many at once (default: %(default)s)")
    load.add_argument(
        "--rate", type=float, metavar="R", help="so many are due a second, whether or not others are answered"
    )
    load.add_argument("--warm-up", type=int, default=0, metavar="N", help="so many first, not counted")
    load.add_argument("--timeout", type=float, default=30.0, metavar="S", help="of one request (default: %(default)s)")
    load.add_argument(
        "--header", action="append", default=[], metavar="NAME:VALUE", help="of every request; again for more"
    )
    for name in ("p50", "p95", "p99"):
        load.add_argument(
            f"--{name}", type=float, metavar="S", help=f"fail if the {name} of any route is longer, in seconds"
        )
    load.add_argument(
        "--error-rate", type=_share, default=0.0, metavar="SHARE", help="fail over it: 0.01 or 1%% (default: 0)"
    )
    load.add_argument("--min-throughput", type=float, metavar="R", help="fail if there are fewer answers a second")
    load.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots")
    load.add_argument("--json", action="store_true", help="print the report as JSON")
    add_app_dir(load)
    load.add_argument("--i-may-load", metavar="HOST", help="a host elsewhere that is yours to load, by its very name")
    load.set_defaults(handler=run)


def run(options: argparse.Namespace) -> int:
    """Load it."""
    from asgi_guard.testing.load import LoadRule

    try:
        rule = LoadRule(
            p50_seconds=options.p50,
            p95_seconds=options.p95,
            p99_seconds=options.p99,
            error_rate=options.error_rate,
            min_throughput=options.min_throughput,
        )
        headers = dict(header(line) for line in options.header)
        report = anyio.run(_loaded, options, rule, headers)
    except (ConfigError, ValueError) as error:
        print(f"asgi-guard: {error}", file=sys.stderr)
        return 2
    print(json.dumps(report.told(), indent=2) if options.json else report.text())
    if options.html is not None:
        options.html.write_text(report.html(), encoding="utf-8")
    return 0 if report.passed else 1


async def _loaded(options: argparse.Namespace, rule: LoadRule, headers: dict[str, str]) -> LoadReport:
    """Load it until it is done, or until somebody has enough: what was done until then is told all the same."""
    stop = anyio.Event()

    async def until_interrupted() -> None:
        with anyio.open_signal_receiver(signal.SIGINT) as signals:
            async for _ in signals:
                stop.set()
                return  # a second one ends it at once

    report: LoadReport | Exception = RuntimeError("it was cancelled")  # which nobody sees: the cancellation goes on
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(until_interrupted)
        try:
            report = await _report(options, rule, headers, stop)
        except Exception as error:  # noqa: BLE001  raised below, outside of the group, which would wrap it
            report = error
        tasks.cancel_scope.cancel()
    if isinstance(report, Exception):
        raise report
    if sys.stderr.isatty():
        print(file=sys.stderr)
    if stop.is_set():
        print("asgi-guard: interrupted; this is what was done until then", file=sys.stderr)
    return report


async def _report(
    options: argparse.Namespace, rule: LoadRule, headers: dict[str, str], stop: anyio.Event
) -> LoadReport:
    from asgi_guard.testing.load import run_load

    return await run_load(
        target(options),
        options.path or ["/"],
        requests=options.requests,
        seconds=options.seconds,
        concurrency=options.concurrency,
        rate=options.rate,
        warm_up=options.warm_up,
        timeout_seconds=options.timeout,
        rule=rule,
        headers=headers,
        progress=progress_bar() if sys.stderr.isatty() else None,
        may_load=options.i_may_load,
        stop=stop,
    )


def add_app_dir(command: argparse.ArgumentParser) -> None:
    """Let the folder be named in which an application is looked for."""
    command.add_argument(
        "--app-dir", type=Path, default=Path(), metavar="DIR", help="where the module is (default: here)"
    )


def target(options: argparse.Namespace) -> Any:
    """Return the application that is named, or the URL.

    Raises:
        ConfigError: there is no such application.
    """
    if re.match(r"[a-z]+://", options.target):
        return options.target
    from asgi_guard.serve.application import find

    return find(options.target, str(options.app_dir.absolute()))


def progress_bar() -> Callable[[int, float], None]:
    """Make a bar on standard error."""

    def show(through: int, share: float) -> None:
        filled = round(share * _BAR)
        bar = "=" * filled + " " * (_BAR - filled)
        print(f"\r[{bar}] {through:,}", end="", file=sys.stderr, flush=True)

    return show


def header(line: str) -> tuple[str, str]:
    """Read a header.

    Raises:
        ValueError: it is none.
    """
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise ValueError(f"{line!r} is no header: write 'Authorization: Bearer ...'")
    return name.strip(), value.strip()


def _share(text: str) -> float:
    number = float(text.removesuffix("%"))
    return number / 100 if text.endswith("%") else number
