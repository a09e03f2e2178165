"""The guard that the environment describes: which application, which file, which settings, and by how many workers.

Must never keep what it has read: everything is read again on each SIGHUP.

| id    | rule that was broken                              |
|-------|---------------------------------------------------|
| AG434 | the number of workers is a number from 1 to 1,024 |
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from asgi_guard.config.part import PREFIX
from asgi_guard.config.sources import from_env, from_toml
from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.guard import ORDER, Guard
from asgi_guard.layers.endpoints import Endpoints
from asgi_guard.limiting.shares import work_among
from asgi_guard.monitor.process import share
from asgi_guard.serve.application import find
from asgi_guard.serve.reload import on_hangup
from asgi_guard.settings import Problem, shown

APP: Final = "ASGI_GUARD_APP"
"""The variable that names the application."""

APP_DIR: Final = "ASGI_GUARD_APP_DIR"
"""The variable that names the folder in which the application's module is; where it is not set, Python looks for it."""

CONFIG: Final = "ASGI_GUARD_CONFIG"
"""The variable that names the configuration file, which is TOML."""

WORKERS: Final = "ASGI_GUARD_WORKERS"
"""The variable that says how many processes serve; where it is not set, each takes itself for the only one."""

RUN: Final = "ASGI_GUARD_RUN"
"""The variable that `asgi-guard run` sets: whoever asks from this machine may see the endpoints."""

SHARED_DIR: Final = "ASGI_GUARD_SHARED_DIR"
"""The variable that names the folder in which several workers count together."""

MAX_WORKERS: Final = 1_024

_NO_SETTINGS: Final = frozenset({APP, APP_DIR, WORKERS, RUN, SHARED_DIR})

_BY_DEFAULT: Final = {name: value for name, value in (Guard.__init__.__kwdefaults__ or {}).items() if name in ORDER}


def guarded(environ: Mapping[str, str] | None = None) -> Guard:
    """Build the guard, and reconfigure it on each SIGHUP where it has a configuration file.

    An application that is a guard already is served as it is, where neither a file nor a variable says anything: with
    the defaults around it, its own limits would be worth nothing.

    Args:
        environ: `ASGI_GUARD_APP`, `ASGI_GUARD_APP_DIR`, `ASGI_GUARD_CONFIG` and `ASGI_GUARD_WORKERS`; the other
            `ASGI_GUARD_` variables are settings, and win over the file. By default `os.environ`.

    Raises:
        ConfigError: lists what is wrong.
        MissingExtraError: a part needs what is not installed.
    """
    environ = os.environ if environ is None else environ
    work_among(_workers(environ.get(WORKERS, "1")))
    is_told = any(name.startswith(PREFIX) and name not in _NO_SETTINGS for name in environ)
    if not is_told and SHARED_DIR in environ:
        share(environ[SHARED_DIR])  # before the application is loaded, which may have a guard
    application = find(environ.get(APP, ""), environ.get(APP_DIR))
    if not is_told and isinstance(application, Guard):
        return application
    guard = Guard(application, **settings(environ))
    if CONFIG in environ:
        on_hangup(lambda: guard.reconfigure(**settings(environ)))
    return guard


def settings(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return every part of the guard, so that a part that is no longer named goes back to its default.

    Raises:
        ConfigError: lists every problem of every part.
        MissingExtraError: a part needs what is not installed.
    """
    found = from_toml(environ[CONFIG], ORDER, environ) if CONFIG in environ else from_env(environ, ORDER)
    found.apply(partial(Guard, _nothing))
    parts = {**_BY_DEFAULT, **found.parts}
    if RUN in environ:
        parts["endpoints"] = _seen_from_here(parts["endpoints"])
    return parts


def _seen_from_here(endpoints: Any) -> Any:
    """Let in whoever asks from this machine, unless somebody has said otherwise."""
    if endpoints is True:
        return Endpoints(local=True)
    if isinstance(endpoints, Endpoints) and endpoints.local is None:
        return replace(endpoints, local=True)
    return endpoints


def _workers(said: str) -> int:
    if said.isdecimal() and len(said) <= 4 and 1 <= int(said) <= MAX_WORKERS:
        return int(said)
    rule, remedy = f"must be a number from 1 to {MAX_WORKERS}", "Say how many processes serve, or leave it out."
    raise ConfigError([Problem("AG434", WORKERS, shown(said), rule, remedy)])


async def _nothing(_scope: Any, _receive: Any, _send: Any) -> None:
    """Stand in for the application, of which settings know nothing."""
