"""The run of the demo: send every row to the plain and to the guarded application, report, and serve both to try.

Nothing is simulated: two real servers, the same requests, and the guard with its defaults.
Must never leave a server, a socket or the handler of a log behind.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any, Final

import h11

from asgi_guard.demo.app import Shop
from asgi_guard.demo.client import Site
from asgi_guard.demo.report import Result, table, told
from asgi_guard.demo.rows import ROWS, Check, Row
from asgi_guard.demo.server import serving
from asgi_guard.engine.types import ASGIApp
from asgi_guard.guard import Guard

BUDGET_SECONDS: Final = 18.0
"""The time for all rows; what is not answered by then is wrong."""

_LOGS: Final = ("asgi_guard", "uvicorn")
_TRY: Final = """
Both are running now, the guarded one with a fresh limit; Ctrl-C stops them.

  plain    {plain}
  guarded  {guarded}

  The dashboard, which only this machine may see: {guarded}/performance

  curl -i {guarded}/items
  curl -i {guarded}/late
  curl -s -o /dev/null -w '%{{http_code}}\\n' '{guarded}/items?[1-110]' | sort | uniq -c
"""


def standard(app: ASGIApp) -> Guard:
    """Guard an application by the defaults; whoever asks from this machine may see what there is to be seen."""
    return Guard(app, endpoints="local")


def run(
    *,
    write: Callable[[str], object],
    guard: Callable[[ASGIApp], ASGIApp] = standard,
    host: str = "127.0.0.1",
    ports: tuple[int, int] = (0, 0),
    once: bool = False,
    verbose: bool = False,
    in_colour: bool = False,
) -> int:
    """Run the demo.

    Args:
        write: takes what is to be read.
        guard: wraps the application.
        host: a loopback address.
        ports: where the plain and the guarded application are served; 0 is any free port.
        once: stop after the report, do not serve.
        verbose: let the servers log while the rows are sent.
        in_colour: use the colours of a terminal.

    Returns:
        0 when every row is as it should be, 1 otherwise.

    Raises:
        OSError: a port is taken.
    """
    began = monotonic()
    results = compare(Shop(), guard(Shop()), host=host, ports=ports, verbose=verbose)
    wrong = [result for result in results if not result.is_right]
    write(table(results, in_colour=in_colour))
    write(f"\n{len(results) - len(wrong)} of {len(results)} are as they should be ({monotonic() - began:.1f} s).")
    for result in wrong:
        write(f"WRONG: {result.name}: {told(check for check in result.guarded if not check.holds)}")
    if not once:
        _serve(host, ports, guard, write)
    return 1 if wrong else 0


def compare(
    plain: ASGIApp,
    guarded: ASGIApp,
    rows: Sequence[Row[Any]] = ROWS,
    *,
    host: str = "127.0.0.1",
    ports: tuple[int, int] = (0, 0),
    verbose: bool = False,
) -> list[Result]:
    """Send each row to both applications, over real sockets.

    Args:
        plain: the application as it is.
        guarded: the same one, wrapped.
        rows: what to send.
        host: a loopback address.
        ports: where the two are served; 0 is any free port.
        verbose: let the servers log.

    Raises:
        OSError: a port is taken.
    """
    until = monotonic() + BUDGET_SECONDS
    with _quiet(() if verbose else _LOGS), serving(host, (plain, ports[0]), (guarded, ports[1])) as taken:
        sites = [Site(host, port, until) for port in taken]
        return [Result(row.name, *[_observe(row, site) for site in sites]) for row in rows]


def _observe(row: Row[Any], site: Site) -> list[Check]:
    try:
        return list(row.judge(row.send(site)))
    except (OSError, h11.ProtocolError) as error:
        return [Check(False, "", f"no answer ({type(error).__name__})")]


def _serve(
    host: str, ports: tuple[int, int], guard: Callable[[ASGIApp], ASGIApp], write: Callable[[str], object]
) -> None:
    """Serve both until Ctrl-C; new ones, so that nobody is refused for what the demo has sent."""
    with serving(host, (Shop(), ports[0]), (guard(Shop()), ports[1])) as taken:
        plain, guarded = [f"http://{Site(host, port, 0).authority}" for port in taken]
        write(_TRY.format(plain=plain, guarded=guarded))
        try:
            while True:
                sleep(3_600)
        except KeyboardInterrupt:
            write("Stopped.")


@contextmanager
def _quiet(names: Sequence[str]) -> Generator[None]:
    """Keep logs that nobody has set up off the terminal."""
    handler = logging.NullHandler()
    for name in names:
        logging.getLogger(name).addHandler(handler)
    try:
        yield
    finally:
        for name in names:
            logging.getLogger(name).removeHandler(handler)
