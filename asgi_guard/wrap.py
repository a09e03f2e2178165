"""`asgi_guard.wrap:app`: an application behind the guard, for any server to serve, without a line of its code changed.

    ASGI_GUARD_APP=shop:app ASGI_GUARD_CONFIG=guard.toml uvicorn --no-proxy-headers asgi_guard.wrap:app

It is built when this module is imported, so that every worker of every server builds its own; some servers look into
the module's dictionary, so that it has to be there. `asgi-guard run` does the same, and checks more before it starts.
Must never show a traceback for what the user can put right, and must never end a process that has not asked for `app`.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from asgi_guard.engine.types import ASGIApp
from asgi_guard.errors.exceptions import ConfigError, MissingExtraError
from asgi_guard.serve.application import told
from asgi_guard.serve.guarded import APP, guarded

HOPELESS = 3
"""The exit code that tells the masters of uvicorn and gunicorn that a new worker would fail as this one did."""


def _built() -> ASGIApp:
    try:
        return guarded()
    except (ConfigError, MissingExtraError) as error:
        sys.stderr.write(f"asgi_guard.wrap: {told(error)}\n")
        raise SystemExit(HOPELESS) from None


if APP in os.environ:
    app: ASGIApp = _built()


def __getattr__(name: str) -> Any:
    """Say what is missing to whoever asks for `app` without having named one."""
    if name == "app":
        return _built()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
