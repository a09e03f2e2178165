"""The command `asgi-guard`: reads its arguments, hands over, and turns errors into an exit code.

Exit codes, the same of every command: 0 all is well, 1 something was found that is not as it should be, or a request is
refused, 2 the command could not do its work, 130 interrupted, 141 nobody read what it wrote.
Must never show a traceback for what the user can put right, and must never import a server before it is told to serve.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from ipaddress import ip_address
from typing import Final, TextIO

from asgi_guard import __version__
from asgi_guard.cli_attack import add_attack
from asgi_guard.cli_audit import add_audit
from asgi_guard.cli_check import add_check, add_explain
from asgi_guard.cli_doctor import add_doctor
from asgi_guard.cli_inspect import add_inspect
from asgi_guard.cli_load import add_load
from asgi_guard.cli_settings import EXIT_CODES, harmless
from asgi_guard.errors.exceptions import MissingExtraError
from asgi_guard.serve.command import add_run

_SERVER_EXTRA: Final = ("h11", "uvicorn", "websockets")
_UNREAD: Final = 141  # as where the shell's own commands die of it: 128 and the number of SIGPIPE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: what stands after the command's name; by default those of this process.

    Returns:
        The exit code.

    Raises:
        SystemExit: the arguments are wrong, or ask for help or the version.
    """
    options = _parser().parse_args(arguments)
    try:
        handler: Callable[[argparse.Namespace], int] = options.handler
        code = handler(options)
        sys.stdout.flush()  # at exit it would be too late to say anything
    except BrokenPipeError:  # `| head` has seen enough
        _leave_unread()
        return _UNREAD
    except (MissingExtraError, OSError) as error:
        print(f"asgi-guard: {harmless(_told(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return code


def _told(error: MissingExtraError | OSError) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}. Check the path, and that you may read and write there."
    return str(error)


def _leave_unread() -> None:
    """Throw away what is still to be written: at exit it would fail once more."""
    with suppress(OSError, ValueError):  # no descriptor: nothing is written at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="asgi-guard", description="Protection for any ASGI application.", epilog=EXIT_CODES
    )
    parser.add_argument("--version", action="version", version=f"asgi-guard {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add_demo(commands)
    add_run(commands)
    add_check(commands)
    add_explain(commands)
    add_inspect(commands)
    add_audit(commands)
    add_load(commands)
    add_attack(commands)
    add_doctor(commands)
    return parser


def add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    """Add the command that shows what the guard changes."""
    demo = commands.add_parser(
        "demo",
        help="show what the guard changes",
        description="Send the same requests to the same application, once plain and once guarded, and compare.",
    )
    demo.add_argument("--once", action="store_true", help="stop after the report; exit code 1 if something is wrong")
    demo.add_argument("--host", type=_loopback, default="127.0.0.1", help="a loopback address (default: %(default)s)")
    for option, which in (("--port", "plain"), ("--guarded-port", "guarded")):
        what = f"where the {which} application is served (default: a free port)"
        demo.add_argument(option, type=_port, default=0, metavar="N", help=what)
    demo.add_argument("--verbose", action="store_true", help="show what the servers log while the requests are sent")
    demo.set_defaults(handler=run_demo)


def run_demo(options: argparse.Namespace) -> int:
    """Send the same requests to both, and compare."""
    if any(find_spec(module) is None for module in _SERVER_EXTRA):
        raise MissingExtraError("asgi-guard demo", "server")
    from asgi_guard.demo.run import run

    return run(
        write=lambda text: print(text, flush=True),
        host=options.host,
        ports=(options.port, options.guarded_port),
        once=options.once,
        verbose=options.verbose,
        in_colour=_takes_colour(sys.stdout, os.environ),
    )


def _takes_colour(output: TextIO, environment: Mapping[str, str]) -> bool:
    """Tell whether somebody is looking, and has not asked for plain text (no-color.org)."""
    return output.isatty() and not environment.get("NO_COLOR")


def _loopback(text: str) -> str:
    """Read an address that only this machine can reach: half of the demo is unprotected on purpose."""
    try:
        if text == "localhost" or ip_address(text).is_loopback:
            return text
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not a loopback address, such as 127.0.0.1 or ::1")


def _port(text: str) -> int:
    if text.isdecimal() and int(text) <= 65_535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port, from 0 to 65535")
