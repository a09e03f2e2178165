"""What the commands look with: a guard that is configured by a file, the environment or both, as a server would be.

Must never start what it builds: the guard stands in front of an application that does nothing.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from typing import Any, Final

from asgi_guard.guard import Guard

EXIT_CODES: Final = "Exit codes: 0 all is well, 1 something was found or is refused, 2 it could not do its work."
"""What they say, of every command."""


def add_sources(command: argparse.ArgumentParser) -> None:
    """Add the options that say where settings come from."""
    command.add_argument("--config", metavar="FILE", help="a TOML file, such as guard.toml")
    command.add_argument("--env", action="store_true", help="the ASGI_GUARD_ variables, which win over the file")


def configured(options: argparse.Namespace) -> Guard:
    """Build the guard.

    Raises:
        ConfigError: the settings cannot work.
    """
    environ: Mapping[str, str] = os.environ if options.env else {}
    if options.config is None:
        return Guard.from_env(_nothing, environ)
    return Guard.from_toml(_nothing, options.config, environ)


def harmless(text: str) -> str:
    """Write a complaint, which may name what was given, so that no terminal takes it for a command."""
    return "".join([char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text])


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    """Stand for the application."""
